/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. A name is judged, then looked up; every name on the way to its addresses is judged, too, and each address by its class. What is left is
 * dialled, one after the other, exactly as it was judged. A name that no rule speaks of can wait for a human's answer before that.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "answer.h"
#include "conn.h"
#include "control.h"
#include "door.h"
#include "inspect.h"
#include "line.h"

#define RESOLVE_MS 20000
#define DIAL_MS 30000 /* one address; less where there are more */
#define DIAL_NEXT_MS 1000
#define SILENT_MS 300000 /* a client that says nothing */
#define ASKS \
	16 /* connections that wait for answers of a human; more would be no questions, but noise */

void conn_opened(struct gateway *g, struct conn *c)
{
	if (g->setup->audit_required) {
		c->log_open = true;
		if (!conn_log_open(g, c)) {
			conn_fail(g, c, 503, GW_UNLOGGED);
			return;
		}
	}
	c->state = CONN_OPEN;
	c->deadline = g->now + (inspect_first_ms(g, c) ? inspect_first_ms(g, c) : SILENT_MS);
	c->server.writable = true;
	c->server.readable = true;
	c->logged = true;
	c->log_open = !g->setup->audit_required;
	proxy_opened(g, c);
	/* of what bailey-keys has asked for it has looked into every byte */
	if (conn_trusted(c) || c->via == VIA_FORWARD) {
		c->talk = TALK_OPAQUE;
		c->up.open = c->down.open = true;
		c->deadline = 0;
	}
	if (c->verdict.names_port && (g->setup->opaque || !inspect_wanted(g, c)))
		c->down.open = true; /* servers that speak first */
	/* a plain request for a proxy is read already, and goes to whoever looks into it */
	if (c->via == VIA_HTTP && inspect_plain(g, c))
		(void)inspect_begin(g, c, false);
}

void conn_failed(struct gateway *g, struct conn *c, const char *why)
{
	conn_fail(g, c, 502, why);
}

/* Somebody has answered: the server itself, or the proxy that is to dial it. */
static void opened(struct gateway *g, struct conn *c)
{
	c->server.writable = c->server.readable = true;
	if (c->proxy && !(c->proxy == &g->handed && c->via == VIA_HTTP))
		tunnel_begin(g, c);
	else
		conn_opened(g,
			    c); /* the server; or a proxy, for a request that is written for one */
}

void conn_dialled_by(struct gateway *g, struct conn *c, int fd)
{
	c->server.watch = (struct watch){ .fd = fd, .on = conn_on_server };
	if (gw_watch(g, &c->server.watch, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET) < 0) {
		gw_close(&c->server.watch);
		conn_fail(g, c, 502, strerror(ENOMEM));
		return;
	}
	opened(g, c);
	conn_queue(g, c);
}

void conn_dial(struct gateway *g, struct conn *c)
{
	struct sockaddr_storage to;
	unsigned int size;
	int fd, r = -ENETUNREACH;

	for (; c->next_addr < c->n_addrs; c->next_addr++) {
		c->addr = c->addrs[c->next_addr];
		size = gw_sockaddr(&c->addr, c->proxy ? c->proxy->port : c->port, false, &to);
		fd = c->via == VIA_PUBLISHED ?
			     door_socket(g->setup->door, SOCK_STREAM, to.ss_family == AF_INET6,
					 NULL, 0) :
			     socket(to.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		if (fd < 0) {
			r = c->via == VIA_PUBLISHED ? fd : -errno;
			continue;
		}
		(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){ 1 }, sizeof(int));
		(void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &(int){ 1 }, sizeof(int));
		r = connect(fd, (struct sockaddr *)&to, size) < 0 ? -errno : 0;
		c->server.watch = (struct watch){ .fd = fd, .on = conn_on_server };
		if ((r == 0 || r == -EINPROGRESS) &&
		    gw_watch(g, &c->server.watch, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET) == 0) {
			c->next_addr++;
			c->state = CONN_DIAL;
			c->deadline = g->now + (c->next_addr < c->n_addrs ? DIAL_NEXT_MS : DIAL_MS);
			if (r == 0) {
				opened(g, c);
				(void)conn_log_open(
					g,
					c); /* no step follows in this turn; the next line counts it */
			}
			return;
		}
		gw_close(&c->server.watch);
	}
	conn_fail_dial(g, c, 502, strerror(-r));
}

void conn_dialled(struct gateway *g, struct conn *c)
{
	int error = 0;
	socklen_t n = sizeof(error);

	if (getsockopt(c->server.watch.fd, SOL_SOCKET, SO_ERROR, &error, &n) < 0)
		error = errno;
	if (error == 0) {
		opened(g, c);
		return;
	}
	gw_close(&c->server.watch);
	if (c->next_addr < c->n_addrs)
		conn_dial(g, c);
	else
		conn_fail_dial(g, c, 502, strerror(error));
}

/* Every name on the way must not be denied, and of the addresses only those that may be had for this name are dialled. */
static void on_resolved(void *arg, const struct resolve_result *a)
{
	struct conn *c = arg;
	struct gateway *g = c->g;
	const char *why = gw_no_answer(a);
	struct net_request q = conn_request(c);
	struct net_verdict v, worst = { .allowed = false };
	bool own = false;
	size_t i;

	c->ticket = 0;
	if (c->proxy && !why) {
		for (i = 0; i < a->n && i < CONN_ADDRS; i++)
			c->addrs[c->n_addrs++] = a->addrs[i]; /* the caller's own choice */
		conn_dial(g, c);
		return;
	}
	if (why) {
		conn_fail_dial(g, c, a->error == -ETIMEDOUT ? 504 : 502, why);
		return;
	}
	for (i = 0; i < a->n_aliases; i++) {
		struct net_request alias = { .host = a->aliases[i],
					     .port = c->port,
					     .proto = NET_TCP };

		v = net_policy_judge(&g->policy, &alias);
		if (!v.allowed && v.rule) {
			c->verdict = v;
			conn_refuse_by_rule(g, c);
			return;
		}
	}
	for (i = 0; i < a->n && c->n_addrs < CONN_ADDRS; i++) {
		v = net_policy_judge_answer(&g->policy, &q, &c->verdict, &a->addrs[i]);
		if (v.allowed && gw_own(g, &a->addrs[i], c->port, NET_TCP)) {
			c->addr = a->addrs[i];
			own = true;
		} else if (v.allowed) {
			c->addrs[c->n_addrs++] = a->addrs[i];
		} else {
			worst = v;
			c->addr = a->addrs[i];
		}
	}
	if (c->n_addrs > 0) {
		conn_dial(g, c);
		return;
	}
	if (own) {
		c->refused = GATEWAY_OWN_ADDRESS;
		conn_refuse(g, c, gw_own_why(g, &c->addr, c->port, NET_TCP));
		return;
	}
	c->refused = GATEWAY_ADDRESS;
	c->verdict = worst;
	conn_refuse_by_rule(g, c);
}

/* The same question is asked once. Return: whether somebody will answer. */
static bool ask(struct gateway *g, struct conn *c)
{
	const struct conn *o;
	unsigned int waiting = 0;

	if (!g->setup->ask || c->verdict.rule || conn_local(c))
		return false;
	for (o = g->live; o; o = o->next) {
		waiting += o->state == CONN_ASK;
		if (o->state == CONN_ASK && o->port == c->port && strcmp(o->host, c->host) == 0 &&
		    (*c->host || memcmp(&o->addr, &c->addr, sizeof(c->addr)) == 0))
			break;
	}
	if (!o && waiting >= ASKS)
		return false;
	c->ask = o ? o->ask : ++g->asks;
	c->deadline = o ? o->deadline : 0;
	c->state = CONN_ASK;
	return o || control_ask(g, c);
}

const struct conn *conn_asked(const struct gateway *g, unsigned int n)
{
	const struct conn *c;

	for (c = g->live; c && (c->state != CONN_ASK || c->ask != n); c = c->next)
		;
	return c;
}

void conn_answer(struct gateway *g, unsigned int n, bool yes, const char *why)
{
	struct conn *c, *next;

	for (c = g->live; c; c = next) {
		next = c->next;
		if (c->state != CONN_ASK || (n && c->ask != n))
			continue;
		c->granted = yes;
		if (yes)
			conn_connect(g, c);
		else
			conn_refuse(g, c, why);
	}
}

/* Whoever is at the unix socket dials, or nobody does. */
static void hand_on(struct gateway *g, struct conn *c)
{
	int r;

	c->proxy = &g->handed;
	c->target = c->addr;
	c->state = CONN_DIAL;
	c->deadline = g->now + DIAL_MS;
	r = line_dial(g, c);
	if (r < 0)
		conn_fail(g, c, 503, strerror(-r));
}

static const struct upstream_proxy *find_proxy(const struct gateway *g, const struct conn *c)
{
	bool tls = c->via != VIA_HTTP;

	if (c->via == VIA_CAPTURED && g->external.port)
		return &g->external;
	/* nobody knows what is in a tunnel yet; to port 80 it is plain HTTP, as a rule, and has that proxy when there is no other */
	if (tls && c->port == 80 && (c->via == VIA_CAPTURED || !g->upstream.https.port))
		tls = false;
	return upstream_for(&g->upstream, *c->host ? c->host : NULL, &c->addr, c->port, tls);
}

void conn_connect(struct gateway *g, struct conn *c)
{
	const struct net_request q = conn_request(c);

	if (!conn_judge(g, c)) {
		if (!ask(g, c))
			conn_refuse_by_rule(g, c);
		return;
	}
	c->quota = net_policy_quota(&g->policy, &q);
	c->state = CONN_RESOLVE;
	c->deadline = g->now + RESOLVE_MS;
	if (conn_local(c)) {
		c->addrs[0] =
			(struct net_addr){ { [10] = 0xff, [11] = 0xff, [12] = 127, [15] = 1 } };
		c->addrs[1] = (struct net_addr){ { [15] = 1 } };
		c->n_addrs = 2;
		conn_dial(g, c);
		return;
	}
	if (*c->host &&
	    !answer_may_look_up(g, c->host,
				c->granted || (c->verdict.rule &&
					       c->verdict.rule->what == NET_RULE_HOST))) {
		conn_refuse(g, c, "new names under a wildcard come too fast, or are too long");
		return;
	}
	if (net_policy_handed(&g->policy, &q)) {
		hand_on(g, c);
		return;
	}
	c->proxy = find_proxy(g, c);
	if (!c->proxy && !*c->host && gw_own(g, &c->addr, c->port, NET_TCP)) {
		conn_refuse(g, c, gw_own_why(g, &c->addr, c->port, NET_TCP));
		return;
	}
	if (c->proxy ? !*c->proxy->host : !*c->host) {
		c->target = c->addr;
		c->addrs[0] = c->proxy ? c->proxy->addr : c->addr;
		c->n_addrs = 1;
		conn_dial(g, c);
		return;
	}
	c->target = c->addr;
	c->ticket = gw_ask(g, c->proxy ? c->proxy->host : c->host, on_resolved, c);
	if (!c->ticket)
		conn_fail(g, c, 503, "too many questions at once");
}
