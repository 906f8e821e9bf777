/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How servers are asked. Each question to a server has a socket of its own, connected, so that the kernel chooses a random port and drops what comes from
 * elsewhere, and a random id. A datagram that is not the answer is counted and waited over; too many, and the next server is asked, with
 * another port and id. The order:
 *
 *	UDP ── no answer, refused, SERVFAIL … ──> the next server
 *	 ├──── truncated ──> TCP to the same one ── anything but an answer ──> the next server
 *	 └──── "what is EDNS?" ──> the same one without
 */
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/socket.h>

#include "dns-wire.h"
#include "resolve-try.h"

#define FIRST_ROUND_MS 2000u /* for one server at first, when there are others */
#define GARBAGE_MOST 64u
#define DATAGRAMS_MOST 32u /* of one socket at a time */

static void ask_servers(struct resolver *r, struct try *t, uint64_t now);

static unsigned int server_of(const struct resolver *r, const struct try *t)
{
	return (t->first + t->round) % (unsigned int)r->conf->n_servers;
}

void try_close(struct resolver *r, struct try *t)
{
	if (t->fd < 0)
		return;
	r->io.unwatch(r->io.arg, t->fd);
	(void)close(t->fd); /* a socket */
	t->fd = -1;
	r->n_open--;
}

static void try_finish(struct resolver *r, struct try *t, uint64_t now)
{
	struct question *q = t->q;

	try_close(r, t);
	if (!q->raw || q->error || q->rcode) {
		q->try = NULL;
		t->q = NULL;
	}
	question_finish(r, q, now);
}

static int connect_to(const struct resolve_server *s, int type)
{
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6,
				    .sin6_port = htons(53),
				    .sin6_scope_id = s->scope };
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons(53) };
	bool v4 = net_addr_is_v4(&s->addr);
	_cleanup_close_ int fd =
		socket(v4 ? AF_INET : AF_INET6, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int r;

	if (fd < 0)
		return -errno;
	memcpy(&in.sin_addr, s->addr.b + 12, 4);
	memcpy(&in6.sin6_addr, s->addr.b, 16);
	r = v4 ? connect(fd, (const struct sockaddr *)&in, sizeof(in)) :
		 connect(fd, (const struct sockaddr *)&in6, sizeof(in6));
	if (r < 0 && errno != EINPROGRESS)
		return -errno;
	return TAKE_FD(fd);
}

/* A socket and a question to the server whose turn it is; over UDP it is sent, too. Return: 0 or negative errno. */
static int ask_one(struct resolver *r, struct try *t, bool tcp, uint64_t now)
{
	unsigned int server = server_of(r, t);
	uint64_t wait = (uint64_t)r->conf->timeout_s * 1000;
	size_t skip = tcp ? 2 : 0;
	int e;

	try_close(r, t);
	if (getrandom(&t->id, sizeof(t->id), GRND_NONBLOCK) != sizeof(t->id))
		return -EAGAIN; /* the machine has just started; nothing guessable is sent */
	t->tcp = t->sending = tcp;
	t->edns = !r->no_edns[server];
	t->garbage = 0;
	t->done = 0;
	t->n = skip + dns_query_make(t->id, t->q->host, t->q->type, t->edns, t->buf + skip,
				     TRY_BUF - skip);
	if (tcp)
		dns_put16(t->buf, (unsigned int)(t->n - skip));
	if (r->conf->n_servers > 1 && t->round < r->conf->n_servers && wait > FIRST_ROUND_MS)
		wait = FIRST_ROUND_MS;
	t->deadline = now + wait;
	t->fd = connect_to(&r->conf->servers[server], tcp ? SOCK_STREAM : SOCK_DGRAM);
	if (t->fd < 0)
		return t->fd;
	r->n_open++;
	e = r->io.watch(r->io.arg, t->fd, tcp ? EPOLLOUT : EPOLLIN);
	if (e == 0 && !tcp && send(t->fd, t->buf, t->n, MSG_NOSIGNAL) < 0)
		e = -errno;
	if (e < 0) {
		try_close(r, t);
		return e;
	}
	r->stats.sent += !tcp;
	r->stats.sent_tcp += tcp;
	return 0;
}

/* Asks the server whose turn it is, or one of those behind it. */
static void ask_servers(struct resolver *r, struct try *t, uint64_t now)
{
	size_t rounds = r->conf->n_servers * r->conf->attempts;
	int e;

	for (; t->round < rounds; t->round++) {
		e = ask_one(r, t, false, now);
		if (e == 0)
			return;
		t->q->error = e;
	}
	/* what a server said, counts more than that others said nothing */
	if (t->q->rcode != DNS_NOERROR)
		t->q->error = 0;
	try_finish(r, t, now);
}

/* The server whose turn it is has failed: @error or, when that is 0, an answer that is an error. */
static void next_server(struct resolver *r, struct try *t, int error, uint64_t now)
{
	unsigned int server = server_of(r, t);

	if (error)
		t->q->error = error;
	if (r->preferred == server)
		r->preferred = (server + 1) % (unsigned int)r->conf->n_servers;
	t->round++;
	ask_servers(r, t, now);
}

bool try_start(struct resolver *r, struct question *q, uint64_t now)
{
	size_t i;

	for (i = 0; i < LIMIT_DNS_TRIES; i++) {
		struct try *t = &r->tries[i];

		if (t->q)
			continue;
		t->q = q;
		t->first = r->preferred;
		t->round = 0;
		q->try = t;
		question_set_state(r, q, QUESTION_IS_ASKED);
		q->error = -ETIMEDOUT;
		q->rcode = DNS_NOERROR;
		ask_servers(r, t, now);
		return true;
	}
	return false;
}

/* Whether the @n bytes at @p answer the question; r->reply is what they say then. */
static bool is_answer(struct resolver *r, const struct try *t, const unsigned char *p, size_t n)
{
	const struct question *q = t->q;
	unsigned char made[DNS_ANSWER_MAX];
	struct dns_query query;
	size_t len;

	if (n < 2 || dns_get16(p) != t->id) {
		r->stats.wrong_id++;
		return false;
	}
	if (dns_reply_parse(&r->reply, p, n, q->host, q->type) < 0 ||
	    (t->tcp && r->reply.truncated)) {
		r->stats.wrong_reply++;
		return false;
	}
	if (!q->raw || r->reply.truncated ||
	    (r->reply.rcode != DNS_NOERROR && r->reply.rcode != DNS_NXDOMAIN))
		return true;
	len = dns_query_make(t->id, q->host, q->type, false, made, sizeof(made));
	if (dns_query_parse(&query, made, len) == 0 && dns_relay_check(&query, p, n) == 0)
		return true;
	r->stats.wrong_reply++;
	return false;
}

/* The answer is r->reply, of @n bytes from t->buf + @skip on. */
static void take_answer(struct resolver *r, struct try *t, size_t skip, size_t n, uint64_t now)
{
	unsigned int server = server_of(r, t);
	struct question *q = t->q;
	int e;

	if (r->reply.truncated) {
		e = ask_one(r, t, true, now);
		if (e < 0)
			next_server(r, t, e, now);
		return;
	}
	switch (r->reply.rcode) {
	case DNS_NOERROR:
	case DNS_NXDOMAIN:
		r->preferred = server;
		q->error = 0;
		q->rcode = DNS_NOERROR;
		*q->reply = r->reply;
		t->done = skip;
		t->n = skip + n;
		try_finish(r, t, now);
		return;
	case DNS_FORMERR:
	case DNS_NOTIMP:
	case DNS_BADVERS:
		if (t->edns) {
			r->no_edns[server] = true;
			ask_servers(r, t, now);
			return;
		}
		break;
	default:
		break;
	}
	q->rcode = r->reply.rcode;
	next_server(r, t, 0, now);
}

static void udp_event(struct resolver *r, struct try *t, uint64_t now)
{
	unsigned int i;
	ssize_t n;

	for (i = 0; i < DATAGRAMS_MOST; i++) {
		n = recv(t->fd, t->buf, TRY_BUF, MSG_TRUNC);
		if (n < 0) {
			if (errno == EAGAIN || errno == EINTR)
				return;
			next_server(r, t, -errno, now); /* nobody listens there */
			return;
		}
		/* longer than anybody may answer: no answer */
		if ((size_t)n <= TRY_BUF && is_answer(r, t, t->buf, (size_t)n)) {
			take_answer(r, t, 0, (size_t)n, now);
			return;
		}
		if (++t->garbage == GARBAGE_MOST) {
			next_server(r, t, -EPROTO, now);
			return;
		}
	}
}

/* Over TCP the question goes out, then come 2 bytes, and as many as they say. Return: -EAGAIN until that is so; 0; or another negative errno. */
static int tcp_step(struct resolver *r, struct try *t)
{
	ssize_t n;
	int e;

	for (;;) {
		if (t->sending)
			n = send(t->fd, t->buf + t->done, t->n - t->done, MSG_NOSIGNAL);
		else
			n = recv(t->fd, t->buf + t->done, t->n - t->done, 0);
		if (n < 0)
			return errno == EINTR ? -EAGAIN : -errno;
		if (n == 0)
			return -EPROTO;
		t->done += (size_t)n;
		if (t->done < t->n)
			continue;
		if (t->sending) {
			t->sending = false;
			t->done = 0;
			t->n = 2;
			e = r->io.watch(r->io.arg, t->fd, EPOLLIN);
			if (e < 0)
				return e;
		} else if (t->n == 2) {
			t->n += dns_get16(t->buf);
			if (t->n < 2 + DNS_HEADER || t->n > TRY_BUF)
				return -EPROTO;
		} else {
			return 0;
		}
	}
}

static void tcp_event(struct resolver *r, struct try *t, uint64_t now)
{
	int e = tcp_step(r, t);

	if (e == -EAGAIN)
		return;
	if (e == 0 && is_answer(r, t, t->buf + 2, t->n - 2))
		take_answer(r, t, 2, t->n - 2, now);
	else
		next_server(r, t, e ? e : -EPROTO, now);
}

void try_event(struct resolver *r, struct try *t, uint64_t now)
{
	if (t->tcp)
		tcp_event(r, t, now);
	else
		udp_event(r, t, now);
}

void try_tick(struct resolver *r, struct try *t, bool give_up, uint64_t now)
{
	r->stats.unanswered++;
	if (give_up)
		t->round = UINT16_MAX; /* no server is left */
	next_server(r, t, -ETIMEDOUT, now);
}
