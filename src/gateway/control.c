/* SPDX-License-Identifier: Apache-2.0 */
#include "control.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "conn.h"
#include "rules.h"
#include "udp.h"

#define CLIENTS 8
#define CHANGE_MAX_BYTES 16384u
#define LINE_MAX_BYTES 262144u /* all changes that are kept with a sandbox, at once */
#define OUTPUT_MAX (2u << 20)  /* a policy of as many rules as there can be */
#define WAITING_MAX (4u << 20)
#define ASK_MS 120000 /* in which a human answers */

struct client {
	struct watch watch;
	size_t n;
	bool asks;      /* wants to be asked */
	struct buf out; /* what the socket had no room for; until it has gone nothing more is read */
	size_t sent;    /* of that */
	char line[LINE_MAX_BYTES];
};

static struct client clients[CLIENTS]; /* one process, one loop */
static bool begun;

static void drop(struct gateway *g, struct client *c)
{
	bool left = false;
	size_t i;

	gw_close(&c->watch);
	buf_done(&c->out);
	c->asks = false;
	for (i = 0; i < CLIENTS; i++)
		left |= clients[i].watch.fd >= 0 && clients[i].asks;
	if (!left)
		conn_answer(g, 0, false, "nobody is there to be asked");
}

static void wait_for(struct gateway *g, struct client *c, uint32_t events)
{
	struct epoll_event ev = { .events = events, .data.ptr = &c->watch };

	(void)epoll_ctl(g->epoll, EPOLL_CTL_MOD, c->watch.fd,
			&ev); /* of what is there it can't fail */
}

/* Send what waits. Return: whether the client is still there. */
static bool flush(struct gateway *g, struct client *c)
{
	ssize_t n;

	while (c->sent < c->out.len) {
		n = send(c->watch.fd, c->out.data + c->sent, c->out.len - c->sent,
			 MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN) {
			wait_for(g, c, EPOLLOUT);
			return true;
		}
		if (n < 0) {
			drop(g, c);
			return false;
		}
		c->sent += (size_t)n;
	}
	buf_done(&c->out);
	c->out = (struct buf)BUF_INIT(WAITING_MAX);
	c->sent = 0;
	wait_for(g, c, EPOLLIN);
	return true;
}

/* One line. Return: whether the client is still there: one that does not read is dropped when too much waits. */
static bool say(struct gateway *g, struct client *c, struct buf *b)
{
	buf_puts(b, "\n");
	if (!b->failed)
		buf_add(&c->out, b->data, b->len);
	if (b->failed || c->out.failed) {
		drop(g, c);
		return false;
	}
	return flush(g, c);
}

static void reply(struct gateway *g, struct client *c, struct buf *b)
{
	(void)say(g, c, b); /* a client that has gone asks nothing */
}

static void reply_plain(struct gateway *g, struct client *c, const char *error)
{
	struct buf b = BUF_INIT(4096);
	struct json j = { .out = &b };

	json_open(&j, NULL, '{');
	json_bool(&j, "ok", !error);
	if (error)
		json_str(&j, "error", error);
	json_close(&j, '}');
	reply(g, c, &b);
	buf_done(&b);
}

static void log_change(struct gateway *g, const struct net_change *c, const struct net_rule *r)
{
	const struct audit_event ev = { .event = "change",
					.decision = net_change_name(c->op),
					.rule = r->text,
					.origin = r->origin,
					.reason = c->op == NET_CHANGE_MODE ?
							  net_mode_name(c->mode) :
							  r->reason };

	(void)audit_write(&g->audit, &ev);
}

void control_changed(struct gateway *g)
{
	conn_rejudge(g);
	udp_rejudge(g);
}

static uint32_t live_len(const struct gateway_kept *k)
{
	const uint32_t n = k->live_len & ~GATEWAY_LIVE_SECOND;

	return n <= GATEWAY_LIVE ? n : 0;
}

static const char *live_text(const struct gateway_kept *k)
{
	return k->live[(k->live_len & GATEWAY_LIVE_SECOND) != 0];
}

/* A gateway that is started again does it again. Return: 0, or -ENOSPC with @e: then nothing must change. */
static int keep(struct gateway *g, const struct net_change *c, struct err *e)
{
	struct gateway_kept *k = g->setup->kept;
	const uint32_t len = live_len(k);
	struct buf b = BUF_INIT(CHANGE_MAX_BYTES);
	struct json j = { .out = &b };
	int r = 0;

	net_change_write(c, &j);
	buf_puts(&b, "\n");
	if (b.failed || b.len > GATEWAY_LIVE - len) {
		r = err_set(e, ERR_USAGE, -ENOSPC, "the rules were changed too often");
	} else {
		memcpy(k->live[(k->live_len & GATEWAY_LIVE_SECOND) != 0] + len, b.data, b.len);
		/* the line is whole before it counts */
		__atomic_store_n(&k->live_len, k->live_len + (uint32_t)b.len, __ATOMIC_RELEASE);
	}
	buf_done(&b);
	return r;
}

/* What a gateway is told. Return: 0 or negative errno with @e: nothing has changed. */
static int change(struct gateway *g, const struct net_change *c, struct err *e)
{
	const uint32_t before = g->setup->kept->live_len;
	struct net_rule rule;
	int r = keep(g, c, e);

	if (r < 0)
		return r;
	r = net_change_apply(&g->policy, c, &rule, e);
	if (r < 0) {
		__atomic_store_n(&g->setup->kept->live_len, before, __ATOMIC_RELEASE);
		return r;
	}
	log_change(g, c, &rule);
	control_changed(g);
	return 0;
}

void control_replay(struct gateway *g)
{
	const struct gateway_kept *k = g->setup->kept;
	const size_t only = strlen(GATEWAY_LIVE_ONLY);
	size_t left = live_len(k);
	const char *p = live_text(k), *nl;

	if (left >= only && memcmp(p, GATEWAY_LIVE_ONLY, only) == 0) {
		net_change_forget_all(&g->policy);
		p += only;
		left -= only;
	}
	for (; (nl = memchr(p, '\n', left)); left -= (size_t)(nl + 1 - p), p = nl + 1) {
		struct arena a = ARENA_INIT((size_t)8 * CHANGE_MAX_BYTES);
		const struct json_node *root = NULL;
		struct net_change c;

		if ((size_t)(nl - p) < CHANGE_MAX_BYTES &&
		    json_read("kept", p, (size_t)(nl - p), &a, &root, NULL) == 0 &&
		    net_change_read(root, &c, NULL) == 0)
			(void)net_change_apply(&g->policy, &c, NULL,
					       NULL); /* it was possible before */
		arena_done(&a);
	}
}

/* What a successor of ours is to do before it begins: forget what was said live, repeat answers, and then the list @changes. */
static void write_live(const struct gateway_kept *k, const struct json_node *changes, struct buf *b)
{
	const char *p = live_text(k), *nl;
	const struct json_node *o;
	struct json j = { .out = b };
	size_t left = live_len(k);
	struct net_change c;

	buf_puts(b, GATEWAY_LIVE_ONLY);
	for (; (nl = memchr(p, '\n', left)); left -= (size_t)(nl + 1 - p), p = nl + 1) {
		struct arena a = ARENA_INIT((size_t)8 * CHANGE_MAX_BYTES);

		if (json_read("kept", p, (size_t)(nl - p), &a, &o, NULL) == 0 &&
		    net_change_read(o, &c, NULL) == 0 && c.answered)
			buf_add(b, p, (size_t)(nl + 1 - p));
		arena_done(&a);
	}
	for (o = changes->first; o; o = o->next) {
		if (net_change_read(o, &c, NULL) < 0)
			continue;
		c.answered = false; /* that is for who was asked */
		j = (struct json){ .out = b };
		net_change_write(&c, &j);
		buf_puts(b, "\n");
	}
}

/*
 * {"op":"live","changes":[…],"new":2,"try":false}: nothing else was said live. All of it, or nothing: also when we are killed meanwhile. Return: 0 or
 * negative errno with @e.
 */
static int set_live(struct gateway *g, const struct json_node *root, struct err *e)
{
	struct gateway_kept *k = g->setup->kept;
	const struct json_node *changes = json_member(root, "changes"),
			       *only_try = json_member(root, "try");
	const char *strict = json_text(root, "new");
	const uint32_t before = k->live_len;
	struct buf b = BUF_INIT(GATEWAY_LIVE);
	int r = 0;

	if (!changes || changes->type != JSON_LIST)
		return err_set(e, ERR_USAGE, -EINVAL, "changes: expected a list");
	write_live(k, changes, &b);
	if (b.failed) {
		r = err_set(e, ERR_USAGE, -ENOSPC, "the rules are too long");
	} else if (only_try && only_try->value) {
		r = rules_live(g, changes, strict ? strtoul(strict, NULL, 10) : 0, true, e);
	} else if (b.len != live_len(k) || memcmp(b.data, live_text(k), b.len) != 0) {
		memcpy(k->live[!(before & GATEWAY_LIVE_SECOND)], b.data, b.len);
		/* the text is whole before it counts */
		__atomic_store_n(&k->live_len,
				 (uint32_t)b.len |
					 (before & GATEWAY_LIVE_SECOND ? 0 : GATEWAY_LIVE_SECOND),
				 __ATOMIC_RELEASE);
		r = rules_live(g, changes, strict ? strtoul(strict, NULL, 10) : 0, false, e);
		if (r < 0)
			__atomic_store_n(&k->live_len, before, __ATOMIC_RELEASE);
	}
	buf_done(&b);
	return r;
}

static void reply_policy(struct gateway *g, struct client *c)
{
	struct buf b = BUF_INIT(OUTPUT_MAX);
	struct json j = { .out = &b };

	json_open(&j, NULL, '{');
	json_bool(&j, "ok", true);
	net_policy_write(&g->policy, &j);
	json_close(&j, '}');
	reply(g, c, &b);
	buf_done(&b);
}

static void reply_status(struct gateway *g, struct client *c)
{
	struct buf b = BUF_INIT(4096);
	struct json j = { .out = &b };
	const struct conn *k;
	long long live = 0;

	for (k = g->live; k; k = k->next)
		live++;
	json_open(&j, NULL, '{');
	json_bool(&j, "ok", true);
	json_int(&j, "connections", live);
	json_int(&j, "accepted", (long long)g->counted[0]);
	json_int(&j, "turned-away", (long long)g->counted[1]);
	json_int(&j, "names", g->names.n);
	json_int(&j, "garbage", (long long)g->garbage);
	json_int(&j, "timed-out", (long long)g->timed_out);
	json_int(&j, "log-lines", (long long)g->audit.seq);
	json_int(&j, "log-dropped", (long long)g->audit.dropped);
	json_close(&j, '}');
	reply(g, c, &b);
	buf_done(&b);
}

static int answer_ask(struct gateway *g, const struct json_node *root, struct err *e)
{
	const char *id = json_text(root, "id"), *decision = json_text(root, "decision");
	unsigned long n = id ? strtoul(id, NULL, 10) : 0;
	const struct conn *c = conn_asked(g, (unsigned int)n);
	struct net_change o;
	bool never, always;
	char text[NET_HOST_MAX + 64], addr[NET_ADDR_TEXT];
	int r;

	never = decision && strcmp(decision, "never") == 0;
	always = decision && strcmp(decision, "always") == 0;
	if (!never && !always && (!decision || strcmp(decision, "once") != 0))
		return err_set(e, ERR_USAGE, -EINVAL, "decision: expected once, always or never");
	if (!n || !c)
		return err_set(e, ERR_USAGE, -ENOENT, "id: nothing waits for that answer");
	if (!never && !always) {
		conn_answer(g, (unsigned int)n, true, NULL);
		return 0;
	}
	net_addr_text(&c->addr, addr);
	if (*c->host)
		(void)snprintf(text, sizeof(text), "%s:%u", c->host, c->port);
	else
		(void)snprintf(text, sizeof(text),
			       net_addr_is_v4(&c->addr) ? "%s/32:%u" : "[%s/128]:%u", addr,
			       c->port);
	o = (struct net_change){ .op = always ? NET_CHANGE_ALLOW : NET_CHANGE_DENY,
				 .rule = text,
				 .cidr = !*c->host,
				 .risky = true,
				 .answered = true };
	r = change(g, &o, e);
	if (r < 0)
		return r;
	conn_answer(g, (unsigned int)n, always, "denied when asked");
	return 0;
}

static void obey(struct gateway *g, struct client *c, const char *line, size_t n)
{
	struct arena a = ARENA_INIT((size_t)8 * LINE_MAX_BYTES);
	const struct json_node *root = NULL;
	struct err e = ERR_INIT;
	struct net_change o;
	const char *op;
	int r = json_read("control", line, n, &a, &root, &e);

	if (r == 0 && root->type != JSON_OBJECT)
		r = err_set(&e, ERR_USAGE, -EINVAL, "expected an object");
	op = r == 0 ? json_text(root, "op") : NULL;
	if (r < 0) {
		reply_plain(g, c, e.msg);
	} else if (op && strcmp(op, "policy") == 0) {
		reply_policy(g, c);
	} else if (op && strcmp(op, "status") == 0) {
		reply_status(g, c);
	} else if (op && strcmp(op, "ask") == 0) {
		c->asks = true;
		reply_plain(g, c, NULL);
	} else if (op && strcmp(op, "answer") == 0) {
		reply_plain(g, c, answer_ask(g, root, &e) < 0 ? e.msg : NULL);
	} else if (op && strcmp(op, "live") == 0) {
		reply_plain(g, c, set_live(g, root, &e) < 0 ? e.msg : NULL);
	} else if (net_change_is(op)) {
		r = net_change_read(root, &o, &e);
		if (r == 0) {
			o.answered = false; /* that is for who was asked */
			r = change(g, &o, &e);
		}
		reply_plain(g, c, r < 0 ? e.msg : NULL);
	} else {
		reply_plain(
			g, c,
			"op: expected allow, deny, remove, bypass, mode, live, policy, status, ask or answer");
	}
	arena_done(&a);
}

static void on_client(struct gateway *g, struct watch *w, uint32_t events)
{
	struct client *c = CONTAINER_OF(w, struct client, watch);
	ssize_t n;
	char *nl;

	if (c->out.len > 0 && (!flush(g, c) || c->out.len > 0))
		return;
	if (events & EPOLLIN) {
		n = recv(w->fd, c->line + c->n, sizeof(c->line) - 1 - c->n, MSG_DONTWAIT);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n <= 0) {
			drop(g, c);
			return;
		}
		c->n += (size_t)n;
	}
	/* an order may end its client, and an answer may have to wait */
	while (c->watch.fd >= 0 && c->out.len == 0 && (nl = memchr(c->line, '\n', c->n))) {
		size_t len = (size_t)(nl - c->line);

		*nl = '\0';
		obey(g, c, c->line, len);
		c->n -= len + 1;
		memmove(c->line, nl + 1, c->n);
	}
	if (c->watch.fd >= 0 && c->out.len == 0 && c->n == sizeof(c->line) - 1)
		drop(g, c);
}

void control_accept(struct gateway *g)
{
	struct sockaddr_storage from;
	socklen_t from_size;
	struct ucred peer;
	socklen_t size = sizeof(peer);
	size_t i;
	int fd;

	for (i = 0; !begun && i < CLIENTS; i++)
		clients[i].watch.fd = -1;
	begun = true;
	from_size = sizeof(from);
	fd = accept4(g->control.fd, (struct sockaddr *)&from, &from_size,
		     SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd < 0) {
		if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)
			gw_pause(g);
		return;
	}
	for (i = 0; i < CLIENTS && clients[i].watch.fd >= 0; i++)
		;
	if (i == CLIENTS || getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0 ||
	    peer.uid != g->setup->owner) {
		(void)close(fd);
		return;
	}
	clients[i].watch = (struct watch){ .fd = fd, .on = on_client };
	clients[i].n = clients[i].sent = 0;
	clients[i].out = (struct buf)BUF_INIT(WAITING_MAX);
	clients[i].asks = false;
	if (gw_watch(g, &clients[i].watch, EPOLLIN) < 0)
		gw_close(&clients[i].watch);
}

/* Nobody is dropped here: that would answer the question while it is put. Return: whether it is on its way. */
static bool put_question(struct gateway *g, struct client *c, const struct buf *b)
{
	ssize_t n = 0;

	if (c->watch.fd < 0 || !c->asks || c->out.failed)
		return false;
	if (c->out.len == 0)
		n = send(c->watch.fd, b->data, b->len, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (n < 0 && errno != EAGAIN)
		return false; /* its end comes as an event */
	n = n < 0 ? 0 : n;
	if ((size_t)n < b->len) {
		buf_add(&c->out, b->data + n, b->len - (size_t)n);
		wait_for(g, c, EPOLLOUT);
	}
	return !c->out.failed;
}

bool control_ask(struct gateway *g, struct conn *c)
{
	struct buf b = BUF_INIT(4096);
	struct json j = { .out = &b };
	char addr[NET_ADDR_TEXT];
	bool asked = false;
	size_t i;

	net_addr_text(&c->addr, addr);
	json_open(&j, NULL, '{');
	json_str(&j, "event", "ask");
	json_int(&j, "id", c->ask);
	json_str(&j, "name", *c->host ? c->host : addr);
	json_int(&j, "port", c->port);
	json_str(&j, "protocol", "tcp");
	json_close(&j, '}');
	buf_puts(&b, "\n");
	for (i = 0; i < CLIENTS && begun && !b.failed; i++)
		asked |= put_question(g, &clients[i], &b);
	buf_done(&b);
	if (asked)
		c->deadline = g->now + ASK_MS;
	return asked;
}
