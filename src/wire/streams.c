/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
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

void stream_drop(struct bridge *b, struct stream *s)
{
	b->n_steady -= s->steady;
	b->n_streams--;
	b->streams[s->number] = NULL;
	shut(&s->fd);
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
	if (s->socket)
		(void)shutdown(s->fd, SHUT_RD);
}

/* Nothing more is written. */
static void end_writing(struct bridge *b, struct stream *s)
{
	const struct mux_flow *in = &channel_of(b, s)->in;

	forget_pending(s);
	if (in->open && !in->gone)
		say_of(b, MUX_GONE, s->number);
	if (s->socket)
		(void)shutdown(s->fd, SHUT_WR);
	if (s->terminal) { /* without one end there is none: who has the other is told now */
		end_reading(b, s);
		shut(&s->fd);
	}
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
	n = s->socket ? recv(s->fd, bytes, most, MSG_DONTWAIT) : read(s->fd, bytes, most);
	if (n < 0 && (errno == EAGAIN || errno == EINTR) && !b->gone)
		return;
	if (n > 0) {
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

static ssize_t write_now(const struct stream *s, const unsigned char *p, size_t n)
{
	ssize_t r = s->socket ? send(s->fd, p, n, MSG_DONTWAIT | MSG_NOSIGNAL) : write(s->fd, p, n);

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
	ssize_t n = s->n > 0 ? write_now(s, s->pending + s->at, s->n) : 0;

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
		done = write_now(s, p, n);
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
	if ((events & EPOLLERR) && !channel_of(b, s)->out.open)
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
	if (epoll_ctl(b->epoll, EPOLL_CTL_ADD, fd, &ev) < 0)
		s->steady = true;
	else
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
