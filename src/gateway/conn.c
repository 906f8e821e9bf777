/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. Events are edges: an end is taken for readable and writable until a call says EAGAIN, and the next edge says otherwise.
 * What can then be done is done in pump.c; how a server is found and dialled stands in dial.c. Here connections begin, are judged and end.
 */
#include "conn.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "answer.h"
#include "inspect.h"
#include "line.h"
#include "own.h"

#define GREET_MS 10000 /* in which a proxy's client must have said what it wants */
#define ACCEPTS 64     /* of one listener in one turn; it is no edge */

/* --- lists and memory --- */

static void link_conn(struct conn **list, struct conn *c)
{
	c->prev = NULL;
	c->next = *list;
	if (*list)
		(*list)->prev = c;
	*list = c;
}

static void unlink_conn(struct conn **list, struct conn *c)
{
	if (c->prev)
		c->prev->next = c->next;
	else
		*list = c->next;
	if (c->next)
		c->next->prev = c->prev;
}

static struct conn *conn_new(struct gateway *g)
{
	struct conn *c = g->free;

	if (c)
		unlink_conn(&g->free, c);
	else if (g->n_used < g->n_conns)
		c = &g->conns[g->n_used++];
	else
		return NULL;
	*c = (struct conn){ .state = CONN_GREET,
			    .client.watch.fd = -1,
			    .server.watch.fd = -1,
			    .up.pipe = { -1, -1 },
			    .down.pipe = { -1, -1 },
			    .g = g,
			    .quota = -1,
			    .forward = { .fd = -1 },
			    .began = g->now };
	link_conn(&g->live, c);
	g->setup->kept->use.connections++;
	return c;
}

bool conn_chunk(struct gateway *g, struct chunk **slot)
{
	if (!*slot) {
		*slot = g->n_buffers > 0 ? g->buffers[--g->n_buffers] :
					   mmap(NULL, sizeof(**slot), PROT_READ | PROT_WRITE,
						MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (*slot == MAP_FAILED)
			*slot = NULL;
		if (*slot)
			(*slot)->n = (*slot)->ok = (*slot)->at = 0;
	}
	return *slot;
}

void conn_chunk_free(struct gateway *g, struct chunk **slot)
{
	if (*slot && g->n_buffers < ARRAY_SIZE(g->buffers))
		g->buffers[g->n_buffers++] = *slot;
	else if (*slot)
		(void)munmap(*slot, sizeof(**slot));
	*slot = NULL;
}

/* It has more to do than one turn allows. */
void conn_queue(struct gateway *g, struct conn *c)
{
	if (c->queued)
		return;
	c->queued = true;
	c->next_again = g->again;
	g->again = c;
}

/* Look at it again in a little while. */
void conn_wait_a_little(struct gateway *g, struct conn *c)
{
	if (c->slow)
		return;
	c->slow = true;
	c->next_slow = g->slow;
	g->slow = c;
}

/* --- what is logged --- */

static const char *via_name(enum conn_via via)
{
	static const char *const names[] = { "captured", "connect",   "http",     "socks",
					     "dns",      "published", "external", "forward" };

	return names[via];
}

bool conn_no_addr(const struct net_addr *a)
{
	static const struct net_addr none;

	return memcmp(a, &none, sizeof(none)) == 0;
}

/* Whether nobody here knows the address of the name: it was not looked up yet, or a proxy of the caller's does that. */
static bool lacks_addr(const struct conn *c)
{
	return *c->host && (c->proxy || (conn_no_addr(&c->addr) && c->refused != GATEWAY_ADDRESS));
}

struct net_request conn_request(const struct conn *c)
{
	return (struct net_request){ .host = *c->host ? c->host : NULL,
				     .addr = lacks_addr(c) ? NULL :
					     c->proxy      ? &c->target :
							     &c->addr,
				     .port = c->port,
				     .proto = NET_TCP };
}

/* What was spoken, as far as it was found out. Return: NULL: not. */
static const char *spoken(const struct conn *c)
{
	if (c->opaque)
		return "opaque";
	switch (c->talk) {
	case TALK_TLS:
		return "tls";
	case TALK_HTTP:
	case TALK_UPGRADE:
	case TALK_OPAQUE: /* it has begun as HTTP, which became a WebSocket */
		return "http";
	case TALK_UNKNOWN:
		break;
	}
	return NULL;
}

void conn_log(struct gateway *g, struct conn *c, const char *event, const char *decision,
	      const char *why)
{
	const struct net_request q = conn_request(c);
	struct audit_event ev = gw_event(event, via_name(c->via), &q, &c->verdict);
	struct buf missing = BUF_INIT(512);

	(void)conn_log_open(g, c); /* the next line counts it */
	ev.decision = decision;
	if (c->lacks && decision && strcmp(decision, "deny") == 0) {
		net_request_rule(&q, c->lacks == LACKS_PORT, &missing);
		ev.missing = missing.failed ? NULL : missing.data;
	}
	if (why)
		ev.reason = why;
	if (c->logged) {
		ev.counts = true;
		ev.sent = c->up.bytes;
		ev.received = c->down.bytes;
		ev.ms = g->now - c->began;
		if (!conn_trusted(c))
			ev.spoken = spoken(c);
	}
	(void)audit_write(&g->audit, &ev);
	buf_done(&missing);
}

bool conn_log_open(struct gateway *g, struct conn *c)
{
	const struct net_request q = conn_request(c);
	struct audit_event ev = gw_event("open", via_name(c->via), &q, &c->verdict);

	if (!c->log_open)
		return true;
	c->log_open = false;
	ev.decision = "allow";
	ev.counts = true; /* of nothing: what has passed by now stands in the last line */
	ev.ms = g->now - c->began;
	return audit_write(&g->audit, &ev);
}

/* --- the end --- */

static void reset_on_close(int fd)
{
	const struct linger now = { .l_onoff = 1 };

	if (fd >= 0)
		(void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
}

/* Its answer would dial. */
static void forget_look_up(struct gateway *g, struct conn *c)
{
	if (c->ticket)
		resolver_cancel(g->resolver, c->ticket);
	c->ticket = 0;
}

/* What has gone through it is part of what the sandbox uses. */
static void count(struct gateway *g, struct conn *c)
{
	struct gateway_use *use = &g->setup->kept->use;

	use->up += c->up.bytes - c->up.counted;
	use->down += c->down.bytes - c->down.counted;
	c->up.counted = c->up.bytes;
	c->down.counted = c->down.bytes;
}

void conn_close(struct gateway *g, struct conn *c, bool reset)
{
	if (c->state == CONN_DEAD)
		return;
	if (c->offer)
		inspect_end(g, c);
	if (c->logged)
		conn_log(g, c, "close", NULL, NULL);
	if (c->question)
		answer_forget(g, c);
	forget_look_up(g, c);
	if (reset) {
		reset_on_close(c->client.watch.fd);
		reset_on_close(c->server.watch.fd);
	}
	gw_close(&c->client.watch);
	gw_close(&c->server.watch);
	cleanup_close(&c->forward.fd);
	conn_pipe_put(g, &c->up);
	conn_pipe_put(g, &c->down);
	conn_chunk_free(g, &c->in);
	conn_chunk_free(g, &c->out);
	count(g, c);
	g->setup->kept->use.connections--;
	unlink_conn(&g->live, c);
	link_conn(&g->dead, c);
	c->state = CONN_DEAD;
}

/* What to say goes to the client when its protocol has words, else a reset. */
static void refuse(struct gateway *g, struct conn *c, int status, const char *why)
{
	if (c->state == CONN_DEAD)
		return;
	forget_look_up(g, c);
	gw_close(&c->server.watch);
	if (c->state == CONN_OPEN || !proxy_refused(g, c, status, why))
		conn_close(g, c, true);
}

void conn_garbage(struct gateway *g, struct conn *c, const char *why)
{
	/* nobody knows where it wanted to go */
	const struct audit_event ev = {
		.event = "deny", .via = via_name(c->via), .decision = "deny", .reason = why
	};

	g->garbage++;
	(void)audit_write(&g->audit, &ev);
}

void conn_note(struct gateway *g, struct conn *c, const char *why)
{
	conn_log(g, c, "deny", "deny", why);
}

void conn_refuse(struct gateway *g, struct conn *c, const char *why)
{
	conn_note(g, c, why);
	refuse(g, c, 403, why);
}

/* Not denied, but it can't be had. */
void conn_fail(struct gateway *g, struct conn *c, int status, const char *why)
{
	conn_log(g, c, "fail", NULL, why);
	refuse(g, c, status, why);
}

void conn_fail_dial(struct gateway *g, struct conn *c, int status, const char *why)
{
	char text[NET_HOST_MAX + 200], addr[NET_ADDR_TEXT];
	const struct upstream_proxy *p = c->proxy;

	if (p && p != &g->handed) { /* its user and password are elsewhere */
		net_addr_text(&p->addr, addr);
		(void)snprintf(text, sizeof(text),
			       *p->host || net_addr_is_v4(&p->addr) ? "the proxy %s:%u: %.100s" :
								      "the proxy [%s]:%u: %.100s",
			       *p->host ? p->host : addr, p->port, why);
		why = text;
	}
	conn_fail(g, c, status, why);
}

bool conn_trusted(const struct conn *c)
{
	return c->via == VIA_PUBLISHED || c->via == VIA_EXTERNAL;
}

bool conn_local(const struct conn *c)
{
	return strcmp(c->host, NET_HOST_LOCAL) == 0;
}

void conn_mean_host(struct gateway *g, struct conn *c)
{
	const struct net_request q = conn_request(c), local = { .host = NET_HOST_LOCAL,
								.port = c->port,
								.proto = NET_TCP };
	size_t i;

	if (!net_request_loopback(&q) || !net_policy_judge(&g->policy, &local).allowed)
		return;
	for (i = 0; i < ARRAY_SIZE(g->published); i++) {
		if (g->published[i].port == c->port)
			return;
	}
	(void)snprintf(c->host, sizeof(c->host), NET_HOST_LOCAL);
}

bool conn_judge(struct gateway *g, struct conn *c)
{
	const struct net_request q = conn_request(c);

	if (conn_trusted(c))
		return c->verdict.allowed =
			       true; /* whoever published it, or gave that proxy, has decided */
	c->verdict = net_policy_judge(&g->policy, &q);
	if (conn_local(c)) /* no yes of a human opens the host itself */
		return c->verdict.allowed;
	/* a yes stands in for the rule that is not there; what rules deny it does not lift. That of a rule which forwards opens no address that is not public */
	if (c->granted && !c->verdict.rule &&
	    (c->via != VIA_FORWARD || c->verdict.cls == NET_CLASS_PUBLIC))
		c->verdict.allowed = c->verdict.names_port = true;
	return c->verdict.allowed;
}

/* Refuse by the verdict, with its words. */
void conn_refuse_by_rule(struct gateway *g, struct conn *c)
{
	const struct net_request q = conn_request(c);
	struct buf b = BUF_INIT(1024);

	net_verdict_text(&g->policy, &q, &c->verdict, &b);
	/* what listens at an address of the host's own is no matter of a rule that somebody writes without thinking */
	if (!c->verdict.rule && c->verdict.cls == NET_CLASS_PUBLIC && !conn_local(c) &&
	    (*c->host || !own_has(g->own, &c->addr)))
		c->lacks = LACKS_RULE;
	if (c->refused == GATEWAY_OTHERWISE)
		c->refused = c->verdict.rule ? GATEWAY_BY_RULE : GATEWAY_NO_RULE;
	conn_refuse(g, c, b.failed || !b.data ? "denied" : b.data);
	buf_done(&b);
}

/* --- events --- */

/* The only request of this connection is read. */
static bool is_last(const struct conn *c)
{
	return c->last && !c->in_body;
}

static void on_client(struct gateway *g, struct watch *w, uint32_t events)
{
	struct conn *c = CONTAINER_OF(w, struct conn, client.watch);

	if (c->state == CONN_DEAD)
		return;
	if (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR))
		c->client.readable = true;
	if (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR))
		c->client.ended = true;
	if (events & (EPOLLOUT | EPOLLERR))
		c->client.writable = true;
	/* it has gone while nothing of it is read: nobody waits for the answer */
	if (events & (EPOLLHUP | EPOLLERR) &&
	    ((c->state >= CONN_ASK && c->state <= CONN_TUNNEL) ||
	     (c->state == CONN_OPEN && (c->talk == TALK_UPGRADE || is_last(c))))) {
		conn_close(g, c, true);
		return;
	}
	if (c->client.ended && c->state == CONN_OPEN && is_last(c))
		c->up.shut = true;
	conn_step(g, c);
}

void conn_on_server(struct gateway *g, struct watch *w, uint32_t events)
{
	struct conn *c = CONTAINER_OF(w, struct conn, server.watch);

	if (c->state == CONN_DEAD)
		return;
	if (c->state == CONN_DIAL) {
		if (!(events & (EPOLLOUT | EPOLLERR | EPOLLHUP)))
			return;
		conn_dialled(g, c);
	} else {
		if (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR))
			c->server.readable = true;
		if (events & (EPOLLOUT | EPOLLERR))
			c->server.writable = true;
	}
	if (c->state != CONN_DEAD)
		conn_step(g, c);
}

/* Where a captured connection was meant to go. */
static void captured(struct gateway *g, struct conn *c)
{
	struct sockaddr_storage ss;
	socklen_t n = sizeof(ss);
	int i;

	if (getsockname(c->client.watch.fd, (struct sockaddr *)&ss, &n) < 0 ||
	    !gw_addr_of(&ss, &c->addr, &c->port)) {
		conn_close(g, c, true);
		return;
	}
	if (c->port == 53) {
		c->via = VIA_DNS;
		return;
	}
	conn_mean_host(g, c);
	i = *c->host ? -ERANGE : names_by_addr(&g->names, &c->addr);
	if (i == -ENOENT) {
		conn_refuse(g, c, "no name has this address");
		return;
	}
	if (i >= 0)
		memcpy(c->host, g->names.host[i], sizeof(c->host));
	conn_connect(g, c);
}

/* A connection whose client is at @fd, which becomes ours. Return: it, or NULL: it was closed. */
static struct conn *begin(struct gateway *g, int fd, enum conn_via via)
{
	struct conn *c;

	g->counted[0]++;
	c = conn_new(g);
	if (!c) {
		g->counted[1]++;
		reset_on_close(fd);
		(void)close(fd);
		return NULL;
	}
	c->via = via;
	c->deadline = g->now + GREET_MS;
	c->client = (struct end){ .watch = { .fd = fd, .on = on_client },
				  .readable = true,
				  .writable = true };
	if (gw_watch(g, &c->client.watch, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET) < 0) {
		conn_close(g, c, true);
		return NULL;
	}
	return c;
}

struct conn *conn_forwarded(struct gateway *g, int client)
{
	return begin(g, client, VIA_FORWARD);
}

/* One more connection of a listener. Return: it; NULL: there is none now, or it could not be kept (*ret_more). */
static struct conn *take(struct gateway *g, int listener, enum conn_via via, bool *ret_more)
{
	struct sockaddr_storage from;
	socklen_t size = sizeof(from);
	/* musl's own answers EINVAL with accept(2), which the filter does not know */
	int fd = (int)syscall(SYS_accept4, listener, &from, &size, SOCK_NONBLOCK | SOCK_CLOEXEC);

	*ret_more = fd >= 0;
	if (fd < 0) {
		if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED &&
		    errno != EINVAL) /* the supervisor has ended it */
			gw_pause(g);
		return NULL;
	}
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){ 1 }, sizeof(int));
	return begin(g, fd, via);
}

void conn_published(struct gateway *g, int listener, uint16_t port)
{
	bool more = true;
	int i;

	for (i = 0; i < ACCEPTS && more; i++) {
		struct conn *c = take(g, listener, VIA_PUBLISHED, &more);

		if (!c)
			continue;
		line_wake(g);
		c->port = port;
		c->addrs[0] =
			(struct net_addr){ { [10] = 0xff, [11] = 0xff, [12] = 127, [15] = 1 } };
		c->addrs[1] = (struct net_addr){ { [15] = 1 } };
		c->n_addrs = 2;
		conn_dial(g, c);
	}
}

/* To the proxy of the host that stands in the place of ours. */
static void external(struct gateway *g, struct conn *c, uint16_t port)
{
	c->via = VIA_EXTERNAL;
	c->port = port;
	c->addrs[0] = (struct net_addr){ { [10] = 0xff, [11] = 0xff, [12] = 127, [15] = 1 } };
	c->addrs[1] = (struct net_addr){ { [15] = 1 } };
	c->n_addrs = 2;
	conn_dial(g, c);
}

void conn_accept(struct gateway *g, int listener, enum conn_via via)
{
	uint16_t port = via == VIA_HTTP  ? g->setup->external_http :
			via == VIA_SOCKS ? g->setup->external_socks :
					   0;
	bool more = true;
	int i;

	for (i = 0; i < ACCEPTS && more && gw_may(g, GW_CONNS); i++) {
		struct conn *c = take(g, listener, via, &more);

		g->pace[GW_CONNS].left -= more;
		if (c && via == VIA_CAPTURED)
			captured(g, c);
		else if (c && port)
			external(g, c, port);
		if (c && c->state != CONN_DEAD)
			conn_step(g, c);
	}
}

void conn_tick(struct gateway *g)
{
	struct conn *c, *next;

	for (c = g->live; c; c = next) {
		next = c->next;
		count(g, c);
		if (!c->deadline || g->now < c->deadline)
			continue;
		if (c->state == CONN_ASK) {
			conn_refuse(g, c, "nobody has answered");
		} else if (c->state == CONN_DIAL && c->next_addr < c->n_addrs) {
			gw_close(&c->server.watch);
			conn_dial(g, c);
		} else if (c->state == CONN_DIAL || c->state == CONN_RESOLVE ||
			   c->state == CONN_TUNNEL) {
			conn_fail_dial(g, c, 504, "timed out");
		} else {
			g->timed_out += c->state != CONN_CLOSING;
			if (c->logged)
				conn_log(g, c, "close", NULL, "timed out");
			c->logged = false;
			conn_close(g, c, true);
		}
	}
}

/* Whether addresses of its name are judged here, beside the name. */
static bool has_answers(const struct conn *c)
{
	return *c->host && c->state != CONN_RESOLVE && !c->proxy && !conn_local(c) &&
	       !conn_trusted(c);
}

/* The name, and the address that was dialled for it. */
static bool still_allowed(struct gateway *g, struct conn *c)
{
	const struct net_request q = conn_request(c);
	struct net_verdict v;

	if (!conn_judge(g, c))
		return false;
	if (!has_answers(c))
		return true;
	v = net_policy_judge_answer(&g->policy, &q, &c->verdict, &c->addr);
	if (!v.allowed)
		c->verdict = v;
	return v.allowed;
}

/* Of the addresses that are still to be tried those go that are denied now. */
static void drop_denied(struct gateway *g, struct conn *c)
{
	const struct net_request q = conn_request(c);
	size_t i, n = c->next_addr;

	for (i = n; i < c->n_addrs; i++) {
		if (net_policy_judge_answer(&g->policy, &q, &c->verdict, &c->addrs[i]).allowed &&
		    !gw_own(g, &c->addrs[i], c->port, NET_TCP))
			c->addrs[n++] = c->addrs[i];
	}
	c->n_addrs = n;
}

void conn_rejudge(struct gateway *g)
{
	struct conn *c, *next;

	for (c = g->live; c; c = next) {
		next = c->next;
		if (c->state < CONN_RESOLVE || c->state > CONN_OPEN)
			continue;
		if (!still_allowed(g, c))
			conn_refuse_by_rule(g, c);
		else if (c->state == CONN_DIAL && has_answers(c))
			drop_denied(g, c);
	}
}
