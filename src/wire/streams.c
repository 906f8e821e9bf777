/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "bridge-parts.h"

static void say_of(struct bridge *b, enum mux_kind kind, uint32_t number)
{
	bridge_say(b, &(struct mux_frame){ .kind = kind, .channel = number });
}

bool stream_may_read(struct bridge *b, const struct stream *s)
{
	const struct mux_flow *out = &channel_of(b, s)->out;

	return s->fd >= 0 && out->open && !out->ended && out->room > 0;
}

/* Somebody may have the description, too: then it stays in epoll's table. */
static void close_end(struct bridge *b, struct stream *s)
{
	if (s->watched)
		(void)epoll_ctl(b->epoll, EPOLL_CTL_DEL, s->fd, NULL);
	s->watched = false;
	shut(&s->fd);
}

void stream_drop(struct bridge *b, struct stream *s)
{
	b->n_steady -= s->steady;
	b->n_streams--;
	b->streams[s->number] = NULL;
	close_end(b, s);
	free(s->pending);
	free(s);
}

static void forget_pending(struct stream *s)
{
	free(s->pending);
	s->pending = NULL;
	s->at = s->n = 0;
}

/* Wait for what concerns it now, and let it go when nothing does any more. */
void stream_settle(struct bridge *b, struct stream *s)
{
	const struct mux_channel *c = channel_of(b, s);
	struct epoll_event ev = { .data.u32 = s->number };
	bool watch;

	if (!c->in.open && !c->out.open && s->n == 0) {
		stream_drop(b, s);
		return;
	}
	if (s->steady || s->fd < 0)
		return;
	ev.events = (stream_may_read(b, s) ? EPOLLIN : 0u) | (s->n > 0 ? EPOLLOUT : 0u);
	/* a hang-up is told whether it is asked for or not, and would not let the loop sleep; of one where we only write it says that nobody reads */
	watch = ev.events || (!c->out.open && !c->in.gone);
	if (watch && (!s->watched || ev.events != s->events))
		(void)epoll_ctl(b->epoll, s->watched ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, s->fd, &ev);
	else if (!watch && s->watched)
		(void)epoll_ctl(b->epoll, EPOLL_CTL_DEL, s->fd, NULL);
	s->watched = watch;
	s->events = ev.events;
}

/* We send nothing more. */
static void end_reading(struct bridge *b, struct stream *s)
{
	const struct mux_flow *out = &channel_of(b, s)->out;

	if (out->open && !out->ended)
		say_of(b, MUX_END, s->number);
	if (s->socket && s->ours)
		(void)shutdown(s->fd, SHUT_RD);
}

/* Nothing more is written. */
static void end_writing(struct bridge *b, struct stream *s)
{
	const struct mux_flow *in = &channel_of(b, s)->in;

	forget_pending(s);
	if (in->open && !in->gone)
		say_of(b, MUX_GONE, s->number);
	if (s->socket && s->ours)
		(void)shutdown(s->fd, SHUT_WR);
	if (s->terminal) { /* without one end there is none: who has the other is told now */
		end_reading(b, s);
		close_end(b, s);
	}
}

/* As read(2), never waiting. */
static ssize_t read_now(const struct bridge *b, const struct stream *s, unsigned char *p, size_t n)
{
	ssize_t r;

	if (s->socket)
		return recv(s->fd, p, n, MSG_DONTWAIT);
	if (!s->foreign)
		return read(s->fd, p, n);
	r = splice(s->fd, NULL, b->tube[1], NULL, n, SPLICE_F_NONBLOCK);
	return r > 0 ? read(b->tube[0], p, (size_t)r) : r;
}

static void read_some(struct bridge *b, struct stream *s)
{
	unsigned char bytes[MUX_BODY];
	size_t most;
	ssize_t n;

	if (!stream_may_read(b, s) || bridge_is_full(b))
		return;
	most = channel_of(b, s)->out.room;
	most = most < sizeof(bytes) ? most : sizeof(bytes);
	n = read_now(b, s, bytes, most);
	if (n < 0 && errno == EAGAIN)
		s->owed = 0;
	if (n < 0 && (errno == EAGAIN || errno == EINTR) && !b->gone)
		return;
	if (n > 0) {
		if (s->owed != BRIDGE_OWED_ALL)
			s->owed -= (size_t)n < s->owed ? (size_t)n : s->owed;
		bridge_say(b, &(struct mux_frame){ .kind = MUX_BYTES,
						   .channel = s->number,
						   .body = bytes,
						   .n = (size_t)n });
		return;
	}
	/* also of a terminal that was hung up (EIO), and when nobody is left to write more */
	end_reading(b, s);
	if (s->terminal)
		end_writing(b, s);
}

void stream_owe(struct bridge *b, uint32_t session)
{
	struct stream *s;
	size_t i;
	int n;

	for (i = 0; i < ARRAY_SIZE(b->streams); i++) {
		s = b->streams[i];
		if (!s || s->session != session)
			continue;
		/* of a terminal the kernel has more than it tells of, until it is hung up */
		s->owed = s->terminal                              ? BRIDGE_OWED_ALL :
			  ioctl(s->fd, FIONREAD, &n) == 0 && n > 0 ? (size_t)n :
								     0;
	}
}

bool stream_pay(struct bridge *b, struct stream *s)
{
	size_t before = 0;
	bool paid;

	while (s->owed > 0 && s->owed != before && stream_may_read(b, s) && !bridge_is_full(b)) {
		before = s->owed == BRIDGE_OWED_ALL ? 0 : s->owed;
		read_some(b, s);
	}
	/* what was ended owes nothing */
	paid = s->owed == 0 || !channel_of(b, s)->out.open || channel_of(b, s)->out.ended;
	stream_settle(b, s);
	return paid;
}

/* As write(2), never waiting: 0 when nothing is taken now. */
static ssize_t write_now(const struct bridge *b, const struct stream *s, const unsigned char *p,
			 size_t n)
{
	unsigned char rest[PIPE_BUF];
	ssize_t r, put;

	if (s->socket) {
		r = send(s->fd, p, n, MSG_DONTWAIT | MSG_NOSIGNAL);
	} else if (!s->foreign) {
		r = write(s->fd, p, n);
	} else {
		put = write(b->tube[1], p, n < sizeof(rest) ? n : sizeof(rest));
		r = put <= 0 ?
			    put :
			    splice(b->tube[0], NULL, s->fd, NULL, (size_t)put, SPLICE_F_NONBLOCK);
		if (put > 0 && r < put && read(b->tube[0], rest, sizeof(rest)) < 0)
			return -1; /* it is never left with something */
	}
	return r < 0 && (errno == EAGAIN || errno == EINTR) ? 0 : r;
}

static void count_taken(struct bridge *b, struct stream *s, size_t n)
{
	const struct mux_flow *in = &channel_of(b, s)->in;

	s->taken += (uint32_t)n;
	if (!in->open || in->gone || in->ended || s->taken < MUX_WINDOW / 4)
		return;
	bridge_say(b, &(struct mux_frame){
			      .kind = MUX_CREDIT, .channel = s->number, .credit = s->taken });
	s->taken = 0;
}

/* Whether everything that came was written, and nothing more will come. */
static bool is_done(const struct stream *s)
{
	return s->last && s->n == 0;
}

static void write_pending(struct bridge *b, struct stream *s)
{
	ssize_t n = s->n > 0 ? write_now(b, s, s->pending + s->at, s->n) : 0;

	if (n < 0) {
		end_writing(b, s);
		return;
	}
	s->at += (size_t)n;
	s->n -= (size_t)n;
	if (s->n == 0)
		forget_pending(s);
	count_taken(b, s, (size_t)n);
	if (is_done(s))
		end_writing(b, s);
}

/* Return: 0 or -ENOMEM. */
static int write_bytes(struct bridge *b, struct stream *s, const unsigned char *p, size_t n)
{
	ssize_t done = 0;

	if (channel_of(b, s)->in.gone)
		return 0; /* was under way when that was said */
	if (s->n == 0) {
		done = write_now(b, s, p, n);
		if (done < 0) {
			end_writing(b, s);
			return 0;
		}
		count_taken(b, s, (size_t)done);
	}
	p += done;
	n -= (size_t)done;
	if (n == 0)
		return 0;
	if (!s->pending)
		s->pending = malloc(MUX_WINDOW);
	if (!s->pending)
		return -ENOMEM;
	/* no more than a window is uncredited, and so no more than that is here */
	if (s->at + s->n + n > MUX_WINDOW) {
		memmove(s->pending, s->pending + s->at, s->n);
		s->at = 0;
	}
	memcpy(s->pending + s->at + s->n, p, n);
	s->n += n;
	return 0;
}

void stream_ready(struct bridge *b, struct stream *s, uint32_t events)
{
	if (events & EPOLLOUT)
		write_pending(b, s);
	/* of a pipe's end that we write, and of a socket in any case: nobody reads */
	if (((events & EPOLLERR) && !channel_of(b, s)->out.open) ||
	    (s->socket && (events & EPOLLHUP)))
		end_writing(b, s);
	if (events & (EPOLLIN | EPOLLHUP | EPOLLERR))
		read_some(b, s);
	stream_settle(b, s);
}

struct stream *stream_add(struct bridge *b, int fd, enum mux_way way, uint32_t number, mode_t mode)
{
	struct epoll_event ev = { .events = 0 };
	struct stream *s = calloc(1, sizeof(*s));

	if (!s) {
		shut(&fd);
		return NULL;
	}
	*s = (struct stream){ .fd = fd,
			      .number = number,
			      .socket = S_ISSOCK(mode),
			      .terminal = way == MUX_TERMINAL };
	s->steady = epoll_ctl(b->epoll, EPOLL_CTL_ADD, fd, &ev) < 0;
	if (s->steady &&
	    errno != EPERM) { /* what epoll knows nothing of is always ready; the rest is trouble */
		shut(&s->fd);
		free(s);
		return NULL;
	}
	if (!s->steady)
		(void)epoll_ctl(b->epoll, EPOLL_CTL_DEL, fd, NULL);
	b->n_steady += s->steady;
	b->n_streams++;
	b->streams[number] = s;
	return s;
}

int stream_heard(struct bridge *b, struct stream *s, const struct mux_frame *f)
{
	int r = 0;

	if (f->kind == MUX_BYTES) {
		r = write_bytes(b, s, f->body, f->n);
	} else if (f->kind == MUX_END) {
		s->last = true;
		if (is_done(s))
			end_writing(b, s);
	} else if (f->kind == MUX_GONE) {
		end_reading(b, s);
		if (s->terminal)
			end_writing(b, s);
	}
	stream_settle(b, s);
	return r;
}
