/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. Events are edges: an end is taken for readable and writable until a call says EAGAIN, and the next edge says otherwise.
 * conn_step() does what can be done, some rounds, then lets the others have their turn. Bytes go through pipes (splice), so the gateway holds
 * none of them; a pipe belongs to a flow while there are bytes in it. What is full stops being read: that is all the back-pressure there is.
 */
#include "conn.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "answer.h"
#include "control.h"
#include "door.h"
#include "quota.h"

#define ROUNDS 16        /* of one connection in one turn of the loop */
#define PIPE_SIZE 262144 /* asked for; a user has a budget for it, and gets less then */
#define GREET_MS 10000   /* in which a proxy's client must have said what it wants */
#define RESOLVE_MS 20000
#define DIAL_MS 30000    /* one address; less where there are more */
#define DIAL_NEXT_MS 1000
#define SILENT_MS 300000 /* a client that says nothing, or has said all, while its server says nothing either */
#define HALF_MS 60000    /* the same when it is the server who has said all */
#define CLOSING_MS 5000
#define ASKS 16          /* connections that wait for answers of a human; more would be no questions, but noise */
#define ACCEPTS 64       /* of one listener in one turn; it is no edge */

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

	if (!c)
		return NULL;
	unlink_conn(&g->free, c);
	*c = (struct conn){ .state = CONN_GREET,
			    .client.watch.fd = -1,
			    .server.watch.fd = -1,
			    .up.pipe = { -1, -1 },
			    .down.pipe = { -1, -1 },
			    .g = g,
			    .quota = -1,
			    .began = g->now };
	link_conn(&g->live, c);
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
static void queue(struct gateway *g, struct conn *c)
{
	if (c->queued)
		return;
	c->queued = true;
	c->next_again = g->again;
	g->again = c;
}

/* Look at it again in a little while. */
static void wait_a_little(struct gateway *g, struct conn *c)
{
	if (c->slow)
		return;
	c->slow = true;
	c->next_slow = g->slow;
	g->slow = c;
}

static bool pipe_get(struct gateway *g, struct conn *c, struct flow *f)
{
	if (f->pipe[0] >= 0)
		return true;
	if (g->pipes.n > 0) {
		g->pipes.n--;
		memcpy(f->pipe, g->pipes.fd[g->pipes.n], sizeof(f->pipe));
		return true;
	}
	if (pipe2(f->pipe, O_NONBLOCK | O_CLOEXEC) < 0) {
		f->pipe[0] = f->pipe[1] = -1;
		wait_a_little(g, c); /* no event says that there are descriptors again */
		return false;
	}
	(void)fcntl(f->pipe[0], F_SETPIPE_SZ, PIPE_SIZE); /* only faster */
	return true;
}

/* An empty pipe is for whoever needs one next. */
static void pipe_put(struct gateway *g, struct flow *f)
{
	if (f->pipe[0] < 0)
		return;
	if (f->held == 0 && g->pipes.n < ARRAY_SIZE(g->pipes.fd)) {
		memcpy(g->pipes.fd[g->pipes.n++], f->pipe, sizeof(f->pipe));
	} else {
		(void)close(f->pipe[0]);
		(void)close(f->pipe[1]);
	}
	f->pipe[0] = f->pipe[1] = -1;
}

/* --- what is logged --- */

static const char *via_name(enum conn_via via)
{
	static const char *const names[] = { "captured", "connect", "http", "socks", "dns", "published" };

	return names[via];
}

struct net_request conn_request(const struct conn *c)
{
	/* through a proxy of the caller's, nobody here knows the address of a name */
	return (struct net_request){ .host = *c->host ? c->host : NULL,
				     .addr = c->proxy ? *c->host ? NULL : &c->target : &c->addr,
				     .port = c->port,
				     .proto = NET_TCP };
}

static void log_conn(struct gateway *g, struct conn *c, const char *event, const char *decision,
		     const char *why)
{
	const struct net_request q = conn_request(c);
	struct audit_event ev = gw_event(event, via_name(c->via), &q, &c->verdict);

	ev.decision = decision;
	if (why)
		ev.reason = why;
	if (c->logged) {
		ev.counts = true;
		ev.sent = c->up.bytes;
		ev.received = c->down.bytes;
		ev.ms = g->now - c->began;
	}
	audit_write(&g->audit, &ev);
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

void conn_close(struct gateway *g, struct conn *c, bool reset)
{
	if (c->state == CONN_DEAD)
		return;
	if (c->logged)
		log_conn(g, c, "close", NULL, NULL);
	if (c->question)
		answer_forget(g, c);
	forget_look_up(g, c);
	if (reset) {
		reset_on_close(c->client.watch.fd);
		reset_on_close(c->server.watch.fd);
	}
	gw_close(&c->client.watch);
	gw_close(&c->server.watch);
	pipe_put(g, &c->up);
	pipe_put(g, &c->down);
	conn_chunk_free(g, &c->in);
	conn_chunk_free(g, &c->out);
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

void conn_note(struct gateway *g, struct conn *c, const char *why)
{
	log_conn(g, c, "deny", "deny", why);
}

void conn_refuse(struct gateway *g, struct conn *c, const char *why)
{
	conn_note(g, c, why);
	refuse(g, c, 403, why);
}

/* Not denied, but it can't be had. */
static void fail(struct gateway *g, struct conn *c, int status, const char *why)
{
	log_conn(g, c, "fail", NULL, why);
	refuse(g, c, status, why);
}

bool conn_local(const struct conn *c)
{
	return strcmp(c->host, NET_HOST_LOCAL) == 0;
}

/* No other rule than one for that port of the host will do, whatever it covers. */
static bool judge_local(struct gateway *g, struct conn *c)
{
	size_t i;

	c->verdict.allowed = false;
	for (i = 0; i < g->policy.n && !c->verdict.allowed; i++) {
		const struct net_rule *r = &g->policy.rules[i];

		if (!r->local || !r->allow || r->port != c->port)
			continue;
		c->verdict.rule = r;
		c->verdict.allowed = c->verdict.names_port = true;
	}
	if (!c->verdict.allowed)
		c->verdict.rule = NULL;
	return c->verdict.allowed;
}

bool conn_judge(struct gateway *g, struct conn *c)
{
	const struct net_request q = conn_request(c);

	if (c->via == VIA_PUBLISHED)
		return c->verdict.allowed = true; /* whoever published it has decided */
	c->verdict = net_policy_judge(&g->policy, &q);
	if (conn_local(c)) /* no mode, and no yes of a human, opens the host itself */
		return c->verdict.allowed && judge_local(g, c);
	/* a yes stands in for the rule that is not there; what rules deny it does not lift */
	if (c->granted && !c->verdict.rule)
		c->verdict.allowed = c->verdict.names_port = true;
	return c->verdict.allowed;
}

/* Refuse by the verdict, with its words. */
static void refuse_by_rule(struct gateway *g, struct conn *c)
{
	const struct net_request q = conn_request(c);
	struct buf b = BUF_INIT(1024);

	net_verdict_text(&g->policy, &q, &c->verdict, &b);
	conn_refuse(g, c, b.failed || !b.data ? "denied" : b.data);
	buf_done(&b);
}

/* --- dialling --- */

static void on_server(struct gateway *g, struct watch *w, uint32_t events);

void conn_opened(struct gateway *g, struct conn *c)
{
	c->state = CONN_OPEN;
	c->deadline = g->now + SILENT_MS;
	c->server.writable = true;
	c->server.readable = true;
	c->logged = true;
	log_conn(g, c, "open", "allow", NULL);
	proxy_opened(g, c);
	if (c->via == VIA_PUBLISHED) {
		c->talk = TALK_OPAQUE;
		c->up.open = c->down.open = true;
		c->deadline = 0;
	}
	if (c->verdict.names_port)
		c->down.open = true; /* servers that speak first */
}

void conn_failed(struct gateway *g, struct conn *c, const char *why)
{
	fail(g, c, 502, why);
}

/* Somebody has answered: the server itself, or the proxy that is to dial it. */
static void opened(struct gateway *g, struct conn *c)
{
	c->server.writable = c->server.readable = true;
	if (c->proxy)
		tunnel_begin(g, c);
	else
		conn_opened(g, c);
}

static void dial(struct gateway *g, struct conn *c)
{
	struct sockaddr_storage to;
	unsigned int size;
	int fd, r = -ENETUNREACH;

	for (; c->next_addr < c->n_addrs; c->next_addr++) {
		c->addr = c->addrs[c->next_addr];
		size = gw_sockaddr(&c->addr, c->proxy ? c->proxy->port : c->port, false, &to);
		fd = c->via == VIA_PUBLISHED ?
			     door_socket(g->setup->door, SOCK_STREAM, to.ss_family == AF_INET6, NULL, 0) :
			     socket(to.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		if (fd < 0) {
			r = c->via == VIA_PUBLISHED ? fd : -errno;
			continue;
		}
		(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){ 1 }, sizeof(int));
		(void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &(int){ 1 }, sizeof(int));
		r = connect(fd, (struct sockaddr *)&to, size) < 0 ? -errno : 0;
		c->server.watch = (struct watch){ .fd = fd, .on = on_server };
		if ((r == 0 || r == -EINPROGRESS) &&
		    gw_watch(g, &c->server.watch, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET) == 0) {
			c->next_addr++;
			c->state = CONN_DIAL;
			c->deadline = g->now + (c->next_addr < c->n_addrs ? DIAL_NEXT_MS : DIAL_MS);
			if (r == 0)
				opened(g, c);
			return;
		}
		gw_close(&c->server.watch);
	}
	fail(g, c, 502, strerror(-r));
}

static void dialled(struct gateway *g, struct conn *c)
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
		dial(g, c);
	else
		fail(g, c, 502, strerror(error));
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
		dial(g, c);
		return;
	}
	if (why) {
		fail(g, c, a->error == -ETIMEDOUT ? 504 : 502, why);
		return;
	}
	for (i = 0; i < a->n_aliases; i++) {
		struct net_request alias = { .host = a->aliases[i], .port = c->port, .proto = NET_TCP };

		v = net_policy_judge(&g->policy, &alias);
		if (!v.allowed && v.rule) {
			c->verdict = v;
			refuse_by_rule(g, c);
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
		dial(g, c);
		return;
	}
	if (own) {
		conn_refuse(g, c, GW_OWN);
		return;
	}
	c->verdict = worst;
	refuse_by_rule(g, c);
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

void conn_connect(struct gateway *g, struct conn *c)
{
	const struct net_request q = conn_request(c);

	if (!conn_judge(g, c)) {
		if (!ask(g, c))
			refuse_by_rule(g, c);
		return;
	}
	if (c->verdict.rule)
		(void)snprintf(c->rule, sizeof(c->rule), "%s", c->verdict.rule->text);
	c->quota = net_policy_quota(&g->policy, &q);
	c->state = CONN_RESOLVE;
	c->deadline = g->now + RESOLVE_MS;
	if (conn_local(c)) {
		c->addrs[0] = (struct net_addr){ { [10] = 0xff, [11] = 0xff, [12] = 127, [15] = 1 } };
		c->addrs[1] = (struct net_addr){ { [15] = 1 } };
		c->n_addrs = 2;
		dial(g, c);
		return;
	}
	if (*c->host && !answer_may_look_up(g, c->host, c->granted || (c->verdict.rule && c->verdict.rule->what == NET_RULE_HOST))) {
		conn_refuse(g, c, "new names under a wildcard come too fast, or are too long");
		return;
	}
	c->proxy = upstream_for(&g->upstream, *c->host ? c->host : NULL, &c->addr, c->port, c->port != 80);
	if (!c->proxy && !*c->host && gw_own(g, &c->addr, c->port, NET_TCP)) {
		conn_refuse(g, c, GW_OWN);
		return;
	}
	if (c->proxy ? !*c->proxy->host : !*c->host) {
		c->target = c->addr;
		c->addrs[0] = c->proxy ? c->proxy->addr : c->addr;
		c->n_addrs = 1;
		dial(g, c);
		return;
	}
	c->target = c->addr;
	c->ticket = gw_ask(g, c->proxy ? c->proxy->host : c->host, on_resolved, c);
	if (!c->ticket)
		fail(g, c, 503, "too many questions at once");
}

/* --- bytes --- */

static void tell_eof(struct flow *f, struct end *to)
{
	if (f->eof && f->held == 0 && !f->shut && to->watch.fd >= 0) {
		(void)shutdown(to->watch.fd, SHUT_WR); /* it may be gone, which the next read says */
		f->shut = true;
	}
}

/* What the quota lets pass now. Return: bytes; 0: it waits for its rate, or is at the end of its budget (*ret_broken). */
static size_t allowance(struct gateway *g, struct conn *c, size_t max, bool *ret_broken)
{
	ssize_t n = quota_left(g, c->quota, max);

	if (n > 0)
		return (size_t)n;
	if (n < 0) {
		conn_note(g, c, "the budget of bytes is used up");
		*ret_broken = true;
	} else {
		wait_a_little(g, c);
	}
	return 0;
}

size_t conn_allowance(struct gateway *g, struct conn *c, size_t max)
{
	bool broken = false;
	size_t n = allowance(g, c, max, &broken);

	if (broken)
		conn_close(g, c, true);
	return n;
}

/* Return: whether something moved; *ret_broken: an end is gone. */
static bool pump(struct gateway *g, struct conn *c, struct flow *f, struct end *from, struct end *to,
		 bool count_in, bool *ret_broken)
{
	bool moved = false;
	size_t max;
	ssize_t n;

	if (f->open && from->readable && !f->eof && !f->full && pipe_get(g, c, f) &&
	    (max = allowance(g, c, PIPE_SIZE, ret_broken)) > 0) {
		n = splice(from->watch.fd, NULL, f->pipe[1], NULL, max,
			   SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
		if (n > 0) {
			quota_take(g, c->quota, (size_t)n);
			f->held += (size_t)n;
			if (count_in)
				f->bytes += (uint64_t)n;
			moved = true;
		} else if (n == 0) {
			f->eof = true;
			moved = true;
		} else if (errno == EAGAIN) {
			/* the source is empty, or the pipe has no place left */
			if (f->held > 0)
				f->full = true;
			else
				from->readable = false;
		} else if (errno != EINTR) {
			*ret_broken = true;
			return false;
		}
	}
	if (f->held > 0 && to->writable) {
		n = splice(f->pipe[0], NULL, to->watch.fd, NULL, f->held,
			   SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
		if (n > 0) {
			f->held -= (size_t)n;
			f->full = false;
			if (!count_in)
				f->bytes += (uint64_t)n;
			moved = true;
		} else if (n < 0 && errno == EAGAIN) {
			to->writable = false;
		} else if (n == 0 || errno != EINTR) {
			*ret_broken = true;
			return false;
		}
	}
	if (f->held == 0)
		pipe_put(g, f);
	tell_eof(f, to);
	return moved;
}

/* Bytes of ours, or that were looked at. Return: whether something moved. */
static bool send_chunk(struct gateway *g, struct chunk **slot, struct end *to, uint64_t *count,
		       bool *ret_broken)
{
	struct chunk *k = *slot;
	ssize_t n;

	if (!k || k->at == k->ok || !to->writable || to->watch.fd < 0)
		return false;
	n = send(to->watch.fd, k->b + k->at, k->ok - k->at, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (n < 0 && errno == EAGAIN)
		to->writable = false;
	else if (n < 0 && errno != EINTR)
		*ret_broken = true;
	if (n <= 0)
		return false;
	k->at += (size_t)n;
	if (count)
		*count += (uint64_t)n;
	if (k->at == k->n)
		conn_chunk_free(g, slot); /* what is not looked at yet stays */
	return true;
}

void conn_say(struct gateway *g, struct conn *c, const void *p, size_t n, bool then_close)
{
	if (!conn_chunk(g, &c->out) || c->out->n + n > sizeof(c->out->b)) {
		conn_close(g, c, true);
		return;
	}
	memcpy(c->out->b + c->out->n, p, n);
	c->out->n += n;
	c->out->ok = c->out->n;
	queue(g, c); /* whoever says it may be none of its own events */
	if (then_close) {
		c->state = CONN_CLOSING;
		c->deadline = g->now + CLOSING_MS;
	}
}

/* An answer of ours is out: take what the client still sends, so that it is not reset away before it was read. */
static bool close_step(struct gateway *g, struct conn *c)
{
	char drop[4096];
	ssize_t n;

	if (c->out)
		return false;
	if (!c->down.shut) {
		(void)shutdown(c->client.watch.fd, SHUT_WR);
		c->down.shut = true;
	}
	if (!c->client.readable)
		return false;
	n = recv(c->client.watch.fd, drop, sizeof(drop), MSG_DONTWAIT);
	if (n < 0 && errno == EAGAIN) {
		c->client.readable = false;
		return false;
	}
	if (n <= 0)
		conn_close(g, c, false);
	return n > 0;
}

static bool open_step(struct gateway *g, struct conn *c, bool *ret_broken)
{
	bool moved = look_step(g, c);

	if (c->state != CONN_OPEN)
		return true; /* an answer of ours may be on its way now */
	moved |= send_chunk(g, &c->in, &c->server, &c->up.bytes, ret_broken);
	if (!*ret_broken && !c->in)
		moved |= pump(g, c, &c->up, &c->client, &c->server, false, ret_broken);
	if (!*ret_broken && !c->out)
		moved |= pump(g, c, &c->down, &c->server, &c->client, true, ret_broken);
	return moved;
}

void conn_step(struct gateway *g, struct conn *c)
{
	bool moved = true, any = false, broken = false;
	int i;

	for (i = 0; i < ROUNDS && moved && !broken && c->state != CONN_DEAD; i++) {
		moved = send_chunk(g, &c->out, &c->client, NULL, &broken);
		if (broken)
			break;
		if (c->state == CONN_GREET)
			moved |= proxy_step(g, c);
		else if (c->state == CONN_TUNNEL)
			moved |= tunnel_step(g, c);
		else if (c->state == CONN_OPEN)
			moved |= open_step(g, c, &broken);
		else if (c->state == CONN_CLOSING)
			moved |= close_step(g, c);
		any |= moved;
	}
	if (c->state == CONN_DEAD)
		return;
	if (broken || (c->state == CONN_OPEN && c->down.shut && (c->up.shut || c->last))) {
		conn_close(g, c, broken);
		return;
	}
	/* one end has said all: it may be gone, and the other one silent for ever */
	if (c->state == CONN_OPEN && (c->down.shut || c->up.shut) && (any || !c->deadline))
		c->deadline = g->now + (c->down.shut ? HALF_MS : SILENT_MS);
	if (moved)
		queue(g, c);
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

static void on_server(struct gateway *g, struct watch *w, uint32_t events)
{
	struct conn *c = CONTAINER_OF(w, struct conn, server.watch);

	if (c->state == CONN_DEAD)
		return;
	if (c->state == CONN_DIAL) {
		if (!(events & (EPOLLOUT | EPOLLERR | EPOLLHUP)))
			return;
		dialled(g, c);
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
	i = names_by_addr(&g->names, &c->addr);
	if (i == -ENOENT) {
		conn_refuse(g, c, "no name has this address");
		return;
	}
	if (i >= 0)
		memcpy(c->host, g->names.host[i], sizeof(c->host));
	conn_connect(g, c);
}

/* One more connection of a listener. Return: it; NULL: there is none now, or it could not be kept (*ret_more). */
static struct conn *take(struct gateway *g, int listener, enum conn_via via, bool *ret_more)
{
	struct conn *c;
	int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	*ret_more = fd >= 0;
	if (fd < 0) {
		if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)
			gw_pause(g);
		return NULL;
	}
	g->counted[0]++;
	c = conn_new(g);
	if (!c) {
		g->counted[1]++;
		reset_on_close(fd);
		(void)close(fd);
		return NULL;
	}
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){ 1 }, sizeof(int));
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

void conn_published(struct gateway *g, int listener, uint16_t port)
{
	bool more = true;
	int i;

	for (i = 0; i < ACCEPTS && more; i++) {
		struct conn *c = take(g, listener, VIA_PUBLISHED, &more);

		if (!c)
			continue;
		c->port = port;
		c->addrs[0] = (struct net_addr){ { [10] = 0xff, [11] = 0xff, [12] = 127, [15] = 1 } };
		c->addrs[1] = (struct net_addr){ { [15] = 1 } };
		c->n_addrs = 2;
		dial(g, c);
	}
}

void conn_accept(struct gateway *g, int listener, enum conn_via via)
{
	bool more = true;
	int i;

	for (i = 0; i < ACCEPTS && more; i++) {
		struct conn *c = take(g, listener, via, &more);

		if (c && via == VIA_CAPTURED)
			captured(g, c);
		if (c && c->state != CONN_DEAD)
			conn_step(g, c);
	}
}

void conn_tick(struct gateway *g)
{
	struct conn *c, *next;

	for (c = g->live; c; c = next) {
		next = c->next;
		if (!c->deadline || g->now < c->deadline)
			continue;
		if (c->state == CONN_ASK) {
			conn_refuse(g, c, "nobody has answered");
		} else if (c->state == CONN_DIAL && c->next_addr < c->n_addrs) {
			gw_close(&c->server.watch);
			dial(g, c);
		} else if (c->state == CONN_DIAL || c->state == CONN_RESOLVE ||
			   c->state == CONN_TUNNEL) {
			fail(g, c, 504, "timed out");
		} else {
			conn_close(g, c, true);
		}
	}
}

/* The name, and the address that was dialled for it. */
static bool still_allowed(struct gateway *g, struct conn *c)
{
	const struct net_request q = conn_request(c);
	struct net_verdict v;

	if (!conn_judge(g, c))
		return false;
	if (!*c->host || c->state == CONN_RESOLVE || c->proxy || conn_local(c) ||
	    c->via == VIA_PUBLISHED)
		return true;
	v = net_policy_judge_answer(&g->policy, &q, &c->verdict, &c->addr);
	if (!v.allowed)
		c->verdict = v;
	return v.allowed;
}

void conn_rejudge(struct gateway *g)
{
	struct conn *c, *next;

	for (c = g->live; c; c = next) {
		next = c->next;
		if (c->state < CONN_RESOLVE || c->state > CONN_OPEN)
			continue;
		if (!still_allowed(g, c))
			refuse_by_rule(g, c);
		else if (c->verdict.rule)
			(void)snprintf(c->rule, sizeof(c->rule), "%s", c->verdict.rule->text);
	}
}
