/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Questions and who waits for them. A question is (name, type, raw): who asks the same again waits for the same answer, or gets the one that is kept. Its
 * states are QUESTION_*: it waits for a free try, is asked, is answered; an answer stays until it expires or its place is needed, and never goes away
 * under somebody who waits.
 *
 * Callbacks run in one place, deliver(), at the end of resolver_event() and resolver_tick(): what they ask is only put down, and looked at the next time.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "resolve-try.h"

/* seconds that answers are kept, whatever their TTL is */
#define KEEP_LEAST 1u
#define KEEP_MOST 60u
#define KEEP_NOTHING_MOST 5u /* of "there is none" */
#define KEEP_FAILURE 1u

#define PATIENCE_MS 30000u  /* for one question, whatever resolv.conf says */
#define SLOW_FAMILY_MS 100u /* for the second family, when the first has addresses */

struct resolver *resolver_new(const struct resolve_conf *conf, const struct resolve_io *io,
			      struct err *e)
{
	struct resolver *r = calloc(1, sizeof(*r)); /* pages that are never used, are never there */
	size_t i;

	if (!r) {
		(void)err_sys(e, -ENOMEM, "resolver"); /* says it, and NULL, too */
		return NULL;
	}
	r->conf = conf;
	r->io = *io;
	for (i = 0; i < LIMIT_DNS_TRIES; i++) {
		r->tries[i].fd = -1;
		r->tries[i].buf = r->bufs[i];
	}
	return r;
}

struct resolver *resolver_free(struct resolver *r)
{
	size_t i;

	for (i = 0; r && i < LIMIT_DNS_TRIES; i++)
		try_close(r, &r->tries[i]);
	free(r);
	return NULL;
}

const struct resolve_stats *resolver_stats(const struct resolver *r)
{
	return &r->stats;
}

static bool has_addrs(const struct question *q)
{
	return q->state == QUESTION_ANSWERED && !q->error && q->rcode == DNS_NOERROR &&
	       q->reply->n > 0;
}

static bool is_answered(const struct question *q)
{
	return !q || q->state == QUESTION_ANSWERED;
}

/* When one family has addresses and the other is still asked for, the clock starts. */
static void look_at(struct waiter *w, uint64_t now)
{
	if (w->q[0] && w->q[1] && w->deadline == 0 && (has_addrs(w->q[0]) || has_addrs(w->q[1])))
		w->deadline = now + SLOW_FAMILY_MS;
}

static bool is_ready(const struct waiter *w, uint64_t now)
{
	return (is_answered(w->q[0]) && is_answered(w->q[1])) ||
	       (w->deadline && now >= w->deadline);
}

void question_set_state(struct resolver *r, struct question *q, enum question_state state)
{
	r->n_waits -= q->state == QUESTION_WAITS;
	r->n_waits += state == QUESTION_WAITS;
	q->state = state;
}

static void question_free(struct resolver *r, struct question *q)
{
	if (q->try)
		q->try->q = NULL; /* a raw one kept its message there */
	q->try = NULL;
	question_set_state(r, q, QUESTION_FREE);
}

void question_finish(struct resolver *r, struct question *q, uint64_t now)
{
	uint32_t keep = KEEP_FAILURE, most;
	size_t i;

	question_set_state(r, q, QUESTION_ANSWERED);
	if (!q->error && q->rcode == DNS_NOERROR) {
		most = q->reply->n > 0 ? KEEP_MOST : KEEP_NOTHING_MOST;
		keep = q->reply->ttl < KEEP_LEAST ? KEEP_LEAST : q->reply->ttl;
		keep = keep > most ? most : keep;
	}
	q->expires = now + keep * UINT64_C(1000);
	for (i = 0; i < LIMIT_DNS_WAITERS; i++) {
		struct waiter *w = &r->waiters[i];

		if (w->done && (w->q[0] == q || w->q[1] == q))
			look_at(w, now);
	}
	if (q->raw && q->waiters == 0)
		question_free(r, q);
}

/* One who waited does so no longer. An answer that nobody waits for is still worth keeping, a message is not. */
static void question_leave(struct resolver *r, struct question *q)
{
	if (!q || --q->waiters > 0 || (!q->raw && q->state != QUESTION_WAITS))
		return;
	if (q->state == QUESTION_IS_ASKED)
		try_close(r, q->try);
	question_free(r, q);
}

/* A place for another question: a free one, or that of the answer that was of no use for the longest time. NULL: all are asked. */
static struct question *find_place(struct resolver *r)
{
	struct question *q, *best = NULL;
	size_t i;

	for (i = 0; i < LIMIT_DNS_QUESTIONS; i++) {
		q = &r->questions[i];
		if (q->state == QUESTION_FREE)
			return q;
		if (q->state == QUESTION_ANSWERED && q->waiters == 0 &&
		    (!best || q->used < best->used))
			best = q;
	}
	return best;
}

/* The question @host, @type, asked now or before, with one more who waits. NULL: there is no place. */
static struct question *join(struct resolver *r, const char *host, uint16_t type, bool raw,
			     uint64_t now)
{
	struct question *q = NULL;
	size_t i;

	for (i = 0; i < LIMIT_DNS_QUESTIONS; i++) {
		q = &r->questions[i];
		if (q->state != QUESTION_FREE && q->type == type && q->raw == raw &&
		    strcmp(q->host, host) == 0 &&
		    (q->state != QUESTION_ANSWERED || q->waiters > 0 || now < q->expires))
			break;
	}
	if (i < LIMIT_DNS_QUESTIONS) {
		if (q->state == QUESTION_ANSWERED)
			r->stats.from_cache++;
		else
			r->stats.coalesced++;
	} else {
		q = find_place(r);
		if (!q)
			return NULL;
		*q = (struct question){ .raw = raw,
					.type = type,
					.give_up = now + PATIENCE_MS,
					.reply = &r->replies[q - r->questions] };
		question_set_state(r, q, QUESTION_WAITS);
		memcpy(q->host, host, strlen(host) + 1);
	}
	q->used = now;
	q->waiters++;
	return q;
}

static bool is_localhost(const char *host)
{
	static const char name[] = "localhost";
	size_t len = strlen(host), end = sizeof(name) - 1;

	return len >= end && strcmp(host + len - end, name) == 0 &&
	       (len == end || host[len - end - 1] == '.');
}

/* A free place for one who waits. */
static struct waiter *new_waiter(struct resolver *r, const char *host,
				 void (*done)(void *arg, const struct resolve_result *res),
				 void *arg)
{
	struct waiter *w;
	size_t i;

	r->stats.asked++;
	for (i = 0; i < LIMIT_DNS_WAITERS; i++) {
		w = &r->waiters[i];
		if (w->done)
			continue;
		*w = (struct waiter){ .done = done, .arg = arg, .ticket = ++r->tickets };
		memcpy(w->host, host, strlen(host) + 1);
		r->n_waiters++;
		return w;
	}
	r->stats.refused++;
	return NULL;
}

static void waiter_free(struct resolver *r, struct waiter *w)
{
	question_leave(r, w->q[0]);
	question_leave(r, w->q[1]);
	w->done = NULL;
	r->n_waiters--;
}

/* Starts what waits; a question that nobody is free for stays. */
static void start(struct resolver *r, struct waiter *w, uint64_t now)
{
	size_t i;

	for (i = 0; i < 2; i++) {
		if (w->q[i] && w->q[i]->state == QUESTION_WAITS)
			(void)try_start(r, w->q[i], now); /* else later, in pump() */
	}
	look_at(w, now);
}

static bool is_canonical(const char *host)
{
	char canon[NET_HOST_MAX + 1];

	return net_host_canon(host, strlen(host), canon, NULL) > 0 && strcmp(host, canon) == 0;
}

int resolver_ask(struct resolver *r, const char *host, unsigned int families, uint64_t now,
		 void (*done)(void *arg, const struct resolve_result *res), void *arg,
		 uint64_t *ret_ticket)
{
	const struct resolve_host *first;
	struct waiter *w;
	bool missing = false;

	if (!is_canonical(host) || !(families & (RESOLVE_V4 | RESOLVE_V6)))
		return -EINVAL;
	w = new_waiter(r, host, done, arg);
	if (!w)
		return -EAGAIN;
	w->families = families;
	if (is_localhost(host) || resolve_hosts_find(r->conf, host, &first) > 0) {
		r->stats.from_hosts++;
	} else {
		if (families & RESOLVE_V6) {
			w->q[0] = join(r, host, DNS_AAAA, false, now);
			missing = !w->q[0];
		}
		if (families & RESOLVE_V4) {
			w->q[1] = join(r, host, DNS_A, false, now);
			missing = missing || !w->q[1];
		}
		if (missing) {
			waiter_free(r, w);
			r->stats.refused++;
			return -EAGAIN;
		}
		start(r, w, now);
	}
	if (ret_ticket)
		*ret_ticket = w->ticket;
	return 0;
}

int resolver_ask_raw(struct resolver *r, const struct dns_query *q, size_t size, uint64_t now,
		     void (*done)(void *arg, const struct resolve_result *res), void *arg,
		     uint64_t *ret_ticket)
{
	struct waiter *w;

	if (!q->host[0] || (q->type != DNS_SRV && q->type != DNS_MX && q->type != DNS_TXT))
		return -EINVAL;
	w = new_waiter(r, q->host, done, arg);
	if (!w)
		return -EAGAIN;
	w->query = *q;
	w->size = size;
	w->q[0] = join(r, q->host, q->type, true, now);
	if (!w->q[0]) {
		waiter_free(r, w);
		r->stats.refused++;
		return -EAGAIN;
	}
	start(r, w, now);
	if (ret_ticket)
		*ret_ticket = w->ticket;
	return 0;
}

void resolver_cancel(struct resolver *r, uint64_t ticket)
{
	size_t i;

	for (i = 0; i < LIMIT_DNS_WAITERS; i++) {
		if (r->waiters[i].done && r->waiters[i].ticket == ticket)
			waiter_free(r, &r->waiters[i]);
	}
}

static void add_alias(struct resolve_result *res, const char *alias)
{
	size_t i;

	for (i = 0; i < res->n_aliases; i++) {
		if (strcmp(res->aliases[i], alias) == 0)
			return;
	}
	memcpy(res->aliases[res->n_aliases++], alias, NET_HOST_MAX + 1);
}

/* What one question adds to a result. A failure counts more than "there is none": a part of the answer is missing then. */
static void add_answer(struct resolve_result *res, const struct question *q, uint64_t now)
{
	uint64_t left = q->expires > now ? (q->expires - now + 999) / 1000 : 0;
	size_t i;

	if (left < res->ttl)
		res->ttl = (uint32_t)left;
	if (q->error || q->rcode != DNS_NOERROR) {
		res->error = q->error ? q->error : res->error;
		res->rcode = q->rcode != DNS_NOERROR ? q->rcode : res->rcode;
		return;
	}
	if (res->rcode == DNS_NOERROR)
		res->rcode = q->reply->rcode;
	for (i = 0; i < q->reply->n; i++)
		res->addrs[res->n++] = q->reply->addrs[i];
	for (i = 0; i < q->reply->n_aliases; i++)
		add_alias(res, q->reply->aliases[i]);
}

static void add_hosts(struct resolver *r, const struct waiter *w)
{
	struct resolve_result *res = &r->result;
	const struct resolve_host *first = NULL;
	size_t n = resolve_hosts_find(r->conf, w->host, &first), i, k;
	bool v4;

	res->from_hosts = n > 0;
	res->ttl = KEEP_MOST;
	if (n == 0)
		res->rcode = DNS_NXDOMAIN; /* localhost, of which no server is asked */
	for (k = 0; k < 2; k++) {
		v4 = k == 1;
		for (i = 0; i < n && res->n < ARRAY_SIZE(res->addrs); i++) {
			if (net_addr_is_v4(&first[i].addr) == v4 &&
			    (w->families & (v4 ? RESOLVE_V4 : RESOLVE_V6)))
				res->addrs[res->n++] = first[i].addr;
		}
	}
}

static void make_result(struct resolver *r, const struct waiter *w, uint64_t now)
{
	struct resolve_result *res = &r->result;
	const struct question *q = w->q[0];
	size_t i;

	res->error = 0;
	res->rcode = DNS_NOERROR;
	res->from_hosts = false;
	res->ttl = KEEP_MOST;
	res->n = res->n_aliases = res->len = 0;
	res->message = NULL;
	if (!w->q[0] && !w->q[1])
		add_hosts(r, w);
	for (i = 0; i < 2; i++) {
		if (w->q[i] && is_answered(w->q[i]))
			add_answer(res, w->q[i], now);
	}
	if (res->n > 0) {
		res->error = 0;
		res->rcode = DNS_NOERROR;
	}
	if (q && q->raw && q->try) {
		res->len = dns_relay(&w->query, q->try->buf + q->try->done,
				     q->try->n - q->try->done, r->relay,
				     w->size < sizeof(r->relay) ? w->size : sizeof(r->relay));
		res->message = res->len > 0 ? r->relay : NULL;
		res->error = res->len > 0 ? 0 : -EPROTO;
	}
}

static void deliver(struct resolver *r, uint64_t now)
{
	uint64_t last = r->tickets;
	size_t left = r->n_waiters, i;

	for (i = 0; i < LIMIT_DNS_WAITERS && left > 0; i++) {
		struct waiter *w = &r->waiters[i];
		void (*done)(void *arg, const struct resolve_result *res) = w->done;
		void *arg = w->arg;

		if (!done || w->ticket > last)
			continue;
		left--; /* fewer, when a callback cancels: then the rest is looked at in vain */
		if (!is_ready(w, now))
			continue;
		make_result(r, w, now);
		waiter_free(r, w); /* its place may be taken in the callback */
		done(arg, &r->result);
	}
}

/* Starts questions that wait, the oldest first, as long as there are tries. */
static void pump(struct resolver *r, uint64_t now)
{
	struct question *q, *oldest;
	size_t i;

	if (r->n_waits == 0)
		return;
	do {
		oldest = NULL;
		for (i = 0; i < LIMIT_DNS_QUESTIONS; i++) {
			q = &r->questions[i];
			if (q->state == QUESTION_WAITS && (!oldest || q->give_up < oldest->give_up))
				oldest = q;
		}
	} while (oldest && try_start(r, oldest, now));
}

void resolver_event(struct resolver *r, int fd, uint64_t now)
{
	size_t i;

	for (i = 0; i < LIMIT_DNS_TRIES; i++) {
		if (fd >= 0 && r->tries[i].fd == fd) {
			try_event(r, &r->tries[i], now);
			break;
		}
	}
	pump(r, now);
	deliver(r, now);
}

void resolver_tick(struct resolver *r, uint64_t now)
{
	size_t i;

	for (i = 0; i < LIMIT_DNS_TRIES && r->n_open > 0; i++) {
		struct try *t = &r->tries[i];
		bool give_up = t->q && now >= t->q->give_up;

		if (t->fd >= 0 && (give_up || now >= t->deadline))
			try_tick(r, t, give_up, now);
	}
	for (i = 0; i < LIMIT_DNS_QUESTIONS && r->n_waits > 0; i++) {
		struct question *q = &r->questions[i];

		if (q->state == QUESTION_WAITS && now >= q->give_up) {
			q->error = -ETIMEDOUT;
			question_finish(r, q, now);
		}
	}
	pump(r, now);
	deliver(r, now);
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

uint64_t resolver_next_deadline_ms(const struct resolver *r)
{
	uint64_t next = UINT64_MAX;
	size_t left = r->n_waiters, i;

	for (i = 0; i < LIMIT_DNS_WAITERS && left > 0; i++) {
		const struct waiter *w = &r->waiters[i];

		if (!w->done)
			continue;
		left--;
		if (is_ready(w, 0))
			return 0;
		if (w->deadline)
			next = earlier(next, w->deadline);
	}
	for (i = 0; i < LIMIT_DNS_TRIES && r->n_open > 0; i++) {
		const struct try *t = &r->tries[i];

		if (t->fd >= 0)
			next = earlier(next, earlier(t->deadline, t->q->give_up));
	}
	for (i = 0; i < LIMIT_DNS_QUESTIONS && r->n_waits > 0; i++) {
		if (r->questions[i].state == QUESTION_WAITS)
			next = earlier(next, r->questions[i].give_up);
	}
	return next;
}
