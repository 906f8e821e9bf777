/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. The dialled server and one end of a socket pair go to bailey-keys; the other end takes the server's place here. So bytes of the client are pumped, counted, bounded
 * and ended as those of every other connection. What bailey-keys decides about requests comes back in packets. It holds what is most
 * secret, and reads hostile bytes: here it is believed about what it did, and about nothing else.
 *
 * A connection may end here while bailey-keys still reads what was sent before: what it is to the log is kept until bailey-keys says that it is over, so that no request
 * goes without its line.
 */
#include "inspect.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "keys/keys.h"

#define PACKETS 64 /* in one turn of the loop; what is left comes in the next one */
#define DRAIN 4096 /* more than the socket holds */

struct offer {
	uint32_t id;    /* 0: a free place */
	struct conn *c; /* NULL: it has ended here */
	char host[NET_HOST_MAX + 1];
	struct net_addr addr;
	uint16_t port;
	bool tls;
};

static bool may_be(const struct gateway *g, const struct conn *c)
{
	return (g->policy.n_inspects > 0 || g->policy.inspect_all) && !c->offer &&
	       c->via != VIA_PUBLISHED && c->via != VIA_FORWARD && !conn_local(c);
}

bool inspect_wanted(const struct gateway *g, const struct conn *c)
{
	const struct net_request q = conn_request(c);

	return may_be(g, c) && net_policy_inspects(&g->policy, &q);
}

bool inspect_plain(const struct gateway *g, const struct conn *c)
{
	return (may_be(g, c) && g->policy.inspect_all) || inspect_wanted(g, c);
}

uint64_t inspect_first_ms(const struct gateway *g, const struct conn *c)
{
	/* where the port is named its server may speak first */
	return g->setup->handshake_ms && !c->verdict.names_port && inspect_wanted(g, c) ?
		       g->setup->handshake_ms :
		       0;
}

/* One packet, with @n descriptors. Return: 0 or negative errno. */
static int send_packet(struct gateway *g, void *p, size_t size, const int *fds, size_t n)
{
	union {
		struct cmsghdr align;
		char b[CMSG_SPACE(2 * sizeof(int))];
	} control = { .b = { 0 } };
	struct iovec iov = { .iov_base = p, .iov_len = size };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct cmsghdr *h;

	if (n > 0) {
		m.msg_control = control.b;
		m.msg_controllen = CMSG_SPACE(n * sizeof(int));
		h = CMSG_FIRSTHDR(&m);
		h->cmsg_level = SOL_SOCKET;
		h->cmsg_type = SCM_RIGHTS;
		h->cmsg_len = CMSG_LEN(n * sizeof(int));
		memcpy(CMSG_DATA(h), fds, n * sizeof(int));
	}
	if (sendmsg(g->keys.fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT) != (ssize_t)size)
		return -errno;
	return 0;
}

/* Return: 0 or negative errno. */
static int hand_over(struct gateway *g, const struct conn *c, bool tls, int client)
{
	struct keys_offer o = { .kind = KEYS_OFFER,
				.version = KEYS_VERSION,
				.id = c->offer,
				.flags = tls ? KEYS_OFFER_TLS : 0,
				.port = c->port };
	const int fds[2] = { client, c->server.watch.fd };

	if (*c->host)
		memcpy(o.host, c->host, sizeof(o.host));
	else
		net_addr_text(&c->target, o.host);
	return send_packet(g, &o, sizeof(o), fds, 2);
}

/* What the log will need of @c. Return: NULL: bailey-keys has not ended as many as there may be. */
static struct offer *place(struct gateway *g, struct conn *c)
{
	struct offer *o;
	size_t i;

	if (!g->offered) {
		o = mmap(NULL, LIMIT_CONNS * sizeof(*o), PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (o == MAP_FAILED)
			return NULL;
		g->offered = o;
	}
	for (i = 0; i < LIMIT_CONNS; i++) {
		g->offers += g->offers + 1 == 0 ? 2 : 1; /* 0 is none */
		o = &g->offered[g->offers % LIMIT_CONNS];
		if (!o->id) {
			*o = (struct offer){ .id = g->offers,
					     .c = c,
					     .addr = c->proxy ? c->target : c->addr,
					     .port = c->port };
			memcpy(o->host, c->host, sizeof(o->host));
			return o;
		}
	}
	return NULL;
}

/* Whether as many tunnels are looked into as may be. */
static bool full(const struct gateway *g)
{
	size_t i, n = 0;

	for (i = 0; g->setup->tunnels && g->offered && i < LIMIT_CONNS; i++)
		n += g->offered[i].id && g->offered[i].c && g->offered[i].tls;
	return g->setup->tunnels && n >= g->setup->tunnels;
}

bool inspect_begin(struct gateway *g, struct conn *c, bool tls)
{
	_cleanup_close_ int client = -1;
	struct offer *o;
	int pair[2], r;

	if (g->keys.fd < 0) {
		conn_refuse(
			g, c,
			"what inspects this host has ended, and with it the sandbox's trust in it: start the run again");
		return false;
	}
	if (tls && full(g)) {
		conn_fail(g, c, 503, "as many tunnels are looked into as may be");
		return false;
	}
	o = place(g, c);
	if (!o || socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) < 0) {
		if (o)
			o->id = 0;
		conn_fail(g, c, 503,
			  o ? "no descriptor is free" : "too many requests are looked into");
		return false;
	}
	client = pair[1];
	o->tls = tls;
	c->offer = o->id;
	r = hand_over(g, c, tls, client);
	if (r < 0) {
		c->offer = o->id = 0;
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

static struct offer *find(const struct gateway *g, uint32_t id)
{
	struct offer *o = g->offered ? &g->offered[id % LIMIT_CONNS] : NULL;

	return o && id && o->id == id ? o : NULL;
}

static void log_request(struct gateway *g, const struct offer *o, const struct keys_request *m)
{
	const struct net_request q = { .host = *o->host ? o->host : NULL,
				       .addr = *o->host && conn_no_addr(&o->addr) ? NULL : &o->addr,
				       .port = o->port,
				       .proto = NET_TCP };
	const struct net_verdict none = { .allowed = true };
	struct audit_event ev = gw_event("request", NULL, &q, o->c ? &o->c->verdict : &none);

	if (o->c)
		conn_log_open(g, o->c);
	ev.decision = m->flags & KEYS_DENIED ? "deny" : "allow";
	ev.spoken = o->tls ? "tls" : "http";
	ev.method = m->method;
	ev.target = m->target;
	ev.cut = (m->flags & KEYS_CUT) != 0;
	ev.status = m->status;
	ev.reason = *m->why ? m->why : NULL;
	ev.secret = *m->secret ? m->secret : NULL;
	if (*m->rule) { /* that which denied it, not the one that the connection had */
		ev.rule = m->rule;
		ev.origin = NULL;
	}
	/* the end of any connection reads these packets, too: nothing may end below it */
	if (!audit_write(&g->audit, &ev) && g->setup->audit_required && o->c) {
		o->c->doomed = true;
		conn_queue(g, o->c);
	}
}

/* --- requests that go elsewhere --- */

void inspect_dialled(struct gateway *g, struct conn *c, const char *why)
{
	struct keys_dialled m = { .kind = KEYS_DIALLED,
				  .version = KEYS_VERSION,
				  .id = c->forward.id,
				  .serial = c->forward.serial };

	if (c->forward.fd < 0)
		return;
	if (why)
		(void)snprintf(m.why, sizeof(m.why), "%s", why); /* cut where it is long */
	if (g->keys.fd >= 0) /* without an answer bailey-keys gives up after a while */
		(void)send_packet(g, &m, sizeof(m), &c->forward.fd, why ? 0 : 1);
	cleanup_close(&c->forward.fd);
	c->forward.fd = -1;
}

/* Where @m wants to go. Return: whether that is a place. */
static bool read_place(const struct keys_dial *m, struct net_request *q, struct net_addr *addr)
{
	char canon[NET_HOST_MAX + 1];

	*q = (struct net_request){ .port = m->port, .proto = NET_TCP };
	if (net_addr_parse(addr, m->host, strlen(m->host))) {
		q->addr = addr;
		return m->port != 0;
	}
	q->host = m->host;
	return m->port && net_host_canon(m->host, strlen(m->host), canon, NULL) >= 0 &&
	       strcmp(canon, m->host) == 0;
}

/* Whether that is where the offered connection itself has gone. */
static bool is_own(const struct offer *o, const struct net_request *q)
{
	if (q->port != o->port || !*o->host != !q->host)
		return false;
	return q->host ? strcmp(q->host, o->host) == 0 :
			 memcmp(q->addr, &o->addr, sizeof(o->addr)) == 0;
}

/* It is judged and dialled as what a client asks for; bailey-keys is that client, and its rules' word stands for one that allows a public place. */
static void dial(struct gateway *g, const struct offer *o, const struct keys_dial *m)
{
	struct keys_dialled no = {
		.kind = KEYS_DIALLED, .version = KEYS_VERSION, .id = m->id, .serial = m->serial
	};
	struct net_addr addr;
	struct net_request q;
	struct conn *c;
	bool own;
	int pair[2];

	if (!o->c)
		return; /* nobody waits for it */
	own = read_place(m, &q, &addr) && is_own(o, &q);
	if ((!q.host && !q.addr) || (!own && !net_policy_forwards(&g->policy, &q)))
		(void)snprintf(no.why, sizeof(no.why), "no rule forwards requests there");
	else if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) < 0)
		(void)snprintf(no.why, sizeof(no.why), "no descriptor is free");
	if (*no.why) {
		(void)send_packet(g, &no, sizeof(no), NULL, 0); /* else it gives up after a while */
		return;
	}
	c = conn_forwarded(g, pair[0]);
	if (!c) {
		(void)close(pair[1]); /* the same */
		return;
	}
	c->forward.fd = pair[1];
	c->forward.id = m->id;
	c->forward.serial = m->serial;
	c->granted = own ? o->c->granted : true;
	c->port = q.port;
	if (q.host)
		memcpy(c->host, m->host, sizeof(c->host));
	else
		c->addr = addr;
	conn_connect(g, c);
	if (c->state != CONN_DEAD)
		conn_step(g, c);
}

/* Nothing more will be said about it. */
static void over(struct gateway *g, struct offer *o, const char *why)
{
	if (o->c && *why)
		conn_log(g, o->c, "fail", NULL, why);
	o->id = 0;
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
		struct keys_dial dial;
	} m;
	ssize_t n = recv(g->keys.fd, &m, sizeof(m), MSG_DONTWAIT | MSG_TRUNC);
	struct offer *o;

	if (n < 0)
		return errno == EINTR;
	if (n == 0) {
		gw_close(&g->keys);
		return false;
	}
	o = n >= (ssize_t)sizeof(m.any) && m.any.version == KEYS_VERSION ? find(g, m.any.id) : NULL;
	if (o && m.any.kind == KEYS_REQUEST && n == (ssize_t)sizeof(m.request) &&
	    ends(m.request.method, sizeof(m.request.method)) &&
	    ends(m.request.target, sizeof(m.request.target)) &&
	    ends(m.request.why, sizeof(m.request.why)) &&
	    ends(m.request.secret, sizeof(m.request.secret)) &&
	    ends(m.request.rule, sizeof(m.request.rule)))
		log_request(g, o, &m.request);
	else if (o && m.any.kind == KEYS_END && n == (ssize_t)sizeof(m.end) &&
		 ends(m.end.why, sizeof(m.end.why)))
		over(g, o, m.end.why);
	else if (o && m.any.kind == KEYS_DIAL && n == (ssize_t)sizeof(m.dial) &&
		 ends(m.dial.host, sizeof(m.dial.host)))
		dial(g, o, &m.dial);
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
	struct offer *o;
	int i;

	for (i = 0; i < DRAIN && g->keys.fd >= 0 && take(g); i++)
		;
	o = find(g, c->offer);
	if (o)
		o->c = NULL;
	c->offer = 0;
}
