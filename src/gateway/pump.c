/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. conn_step() does what can be done, some rounds, then lets the others have their turn. Bytes go through pipes (splice), so the gateway holds
 * none of them; a pipe belongs to a flow while there are bytes in it. What is full stops being read: that is all the back-pressure there is.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "conn.h"
#include "quota.h"

#define ROUNDS 16        /* of one connection in one turn of the loop */
#define PIPE_SIZE 262144 /* asked for; a user has a budget for it, and gets less then */
#define SILENT_MS 300000 /* a client that has said all, while its server says nothing either */
#define HALF_MS 60000    /* the same when it is the server who has said all */
#define CLOSING_MS 5000

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
		conn_wait_a_little(g, c); /* no event says that there are descriptors again */
		return false;
	}
	(void)fcntl(f->pipe[0], F_SETPIPE_SZ, PIPE_SIZE); /* only faster */
	return true;
}

/* An empty pipe is for whoever needs one next. */
void conn_pipe_put(struct gateway *g, struct flow *f)
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

static void tell_eof(struct flow *f, struct end *to)
{
	if (f->eof && f->held == 0 && !f->shut && to->watch.fd >= 0) {
		(void)shutdown(to->watch.fd,
			       SHUT_WR); /* it may be gone, which the next read says */
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
		conn_note(g, c, quota_why(g, c->quota));
		*ret_broken = true;
	} else {
		conn_wait_a_little(g, c);
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
static bool pump(struct gateway *g, struct conn *c, struct flow *f, struct end *from,
		 struct end *to, bool count_in, bool *ret_broken)
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
		conn_pipe_put(g, f);
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
	conn_queue(g, c); /* whoever says it may be none of its own events */
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

	if (c->doomed) {
		conn_close(g, c, true);
		return;
	}
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
	(void)conn_log_open(g, c); /* the next line counts it */
	if (broken || (c->state == CONN_OPEN && c->down.shut && (c->up.shut || c->last))) {
		conn_close(g, c, broken);
		return;
	}
	/* one end has said all: it may be gone, and the other one silent for ever */
	if (c->state == CONN_OPEN && (c->down.shut || c->up.shut) && (any || !c->deadline))
		c->deadline = g->now + (c->down.shut ? HALF_MS : SILENT_MS);
	if (moved)
		conn_queue(g, c);
}
