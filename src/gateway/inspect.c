/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. The dialled server and one end of a socket pair go to bailey-keys; the other end takes the server's place here. So bytes of the client are pumped, counted, bounded
 * and ended as those of every other connection. What bailey-keys decides about requests comes back in packets. It holds what is most
 * secret, and reads hostile bytes: here it is believed about what it did, and about nothing else.
 */
#include "inspect.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "keys/keys.h"

#define PACKETS 64 /* in one turn of the loop; what is left comes in the next one */
#define DRAIN 4096 /* more than the socket holds */

bool inspect_wanted(const struct gateway *g, const struct conn *c)
{
	const struct net_request q = conn_request(c);

	return g->policy.n_inspects > 0 && !c->offer && c->via != VIA_PUBLISHED && !conn_local(c) &&
	       net_policy_inspects(&g->policy, &q);
}

/* Return: 0 or negative errno. */
static int offer(struct gateway *g, const struct conn *c, bool tls, int client)
{
	struct keys_offer o = { .kind = KEYS_OFFER,
				.version = KEYS_VERSION,
				.id = c->offer,
				.flags = tls ? KEYS_OFFER_TLS : 0,
				.port = c->port };
	union {
		struct cmsghdr align;
		char b[CMSG_SPACE(2 * sizeof(int))];
	} control = { .b = { 0 } };
	struct iovec iov = { .iov_base = &o, .iov_len = sizeof(o) };
	struct msghdr m = { .msg_iov = &iov,
			    .msg_iovlen = 1,
			    .msg_control = control.b,
			    .msg_controllen = sizeof(control.b) };
	struct cmsghdr *h = CMSG_FIRSTHDR(&m);
	const int fds[2] = { client, c->server.watch.fd };

	if (*c->host)
		memcpy(o.host, c->host, sizeof(o.host));
	else
		net_addr_text(&c->target, o.host);
	h->cmsg_level = SOL_SOCKET;
	h->cmsg_type = SCM_RIGHTS;
	h->cmsg_len = CMSG_LEN(sizeof(fds));
	memcpy(CMSG_DATA(h), fds, sizeof(fds));
	if (sendmsg(g->keys.fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT) != (ssize_t)sizeof(o))
		return -errno;
	return 0;
}

bool inspect_begin(struct gateway *g, struct conn *c, bool tls)
{
	_cleanup_close_ int client = -1;
	int pair[2], r;

	if (g->keys.fd < 0) {
		conn_refuse(
			g, c,
			"what inspects this host has ended, and with it the sandbox's trust in it: start the run again");
		return false;
	}
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) < 0) {
		conn_fail(g, c, 503, "no descriptor is free");
		return false;
	}
	client = pair[1];
	g->offers += g->offers + 1 == 0 ? 2 : 1; /* 0 is none */
	c->offer = g->offers;
	r = offer(g, c, tls, client);
	if (r < 0) {
		c->offer = 0;
		(void)close(pair[0]);
		conn_fail(g, c, 503, "what inspects this host has too much to do");
		return false;
	}
	gw_close(&c->server.watch); /* bailey-keys has it */
	c->server = (struct end){ .watch = { .fd = pair[0], .on = conn_on_server },
				  .readable = true,
				  .writable = true };
	if (gw_watch(g, &c->server.watch, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET) == 0)
		return true;
	conn_fail(g, c, 503, "no memory");
	return false;
}

/* Connections have no index by that number; those that are looked into are few enough to be searched. */
static struct conn *find(const struct gateway *g, uint32_t id)
{
	struct conn *c;

	for (c = g->live; c && c->offer != id; c = c->next)
		;
	return c;
}

static void log_request(struct gateway *g, struct conn *c, const struct keys_request *m)
{
	const struct net_request q = conn_request(c);
	struct audit_event ev = gw_event("request", NULL, &q, &c->verdict);

	conn_log_open(g, c);
	ev.decision = m->denied ? "deny" : "allow";
	ev.method = m->method;
	ev.target = m->target;
	ev.status = m->status;
	ev.reason = *m->why ? m->why : NULL;
	ev.secret = *m->secret ? m->secret : NULL;
	audit_write(&g->audit, &ev);
}

static bool ends(const char *text, size_t size)
{
	return memchr(text, '\0', size) != NULL;
}

/* One packet. Return: whether there may be more. */
static bool take(struct gateway *g)
{
	union {
		struct {
			uint16_t kind, version;
			uint32_t id;
		} any;
		struct keys_request request;
		struct keys_end end;
	} m;
	ssize_t n = recv(g->keys.fd, &m, sizeof(m), MSG_DONTWAIT | MSG_TRUNC);
	struct conn *c;

	if (n < 0)
		return errno == EINTR;
	if (n == 0) {
		gw_close(&g->keys);
		return false;
	}
	c = n >= (ssize_t)sizeof(m.any) && m.any.version == KEYS_VERSION && m.any.id ?
		    find(g, m.any.id) :
		    NULL;
	if (c && m.any.kind == KEYS_REQUEST && n == (ssize_t)sizeof(m.request) &&
	    ends(m.request.method, sizeof(m.request.method)) &&
	    ends(m.request.target, sizeof(m.request.target)) &&
	    ends(m.request.why, sizeof(m.request.why)) &&
	    ends(m.request.secret, sizeof(m.request.secret)))
		log_request(g, c, &m.request);
	else if (c && m.any.kind == KEYS_END && n == (ssize_t)sizeof(m.end) &&
		 ends(m.end.why, sizeof(m.end.why)) && *m.end.why)
		conn_log(g, c, "fail", NULL, m.end.why);
	return true;
}

void inspect_read(struct gateway *g)
{
	int i;

	for (i = 0; i < PACKETS && g->keys.fd >= 0 && take(g); i++)
		;
}

void inspect_end(struct gateway *g, struct conn *c)
{
	int i;

	for (i = 0; i < DRAIN && g->keys.fd >= 0 && take(g); i++)
		;
	c->offer = 0;
}
