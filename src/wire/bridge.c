/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. One loop, in which nothing waits but the poll. What comes by the stream is read as frames; bytes go to the descriptor at once, and what that does not
 * take is kept, at most a window of them, since the other end sends no more before it is credited. What goes out is put into one buffer. While that holds more than
 * BRIDGE_SOFT nothing is read here, neither messages nor streams; only what answers the other end is added, which is bounded by what that sends: beyond OUT_HARD it does
 * not read, and that is the end. A message is given to its receiver only when the socket has room.
 */
#include "bridge.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bridge-parts.h"

#define OUT_HARD 2097152u
#define LINGER_MS 2000 /* for what is under way when one side has gone */
#define EVENTS 64

void bridge_say(struct bridge *b, const struct mux_frame *f)
{
	unsigned char head[MUX_HEADER + 4];

	if (f->kind >= MUX_BYTES && mux_saying(&b->mux, f) < 0) {
		b->queue.failed = true;
		return;
	}
	if (b->out < 0)
		return; /* nobody hears it */
	buf_add(&b->queue, head, mux_frame_put(f, head));
	if (f->kind != MUX_CREDIT && f->n > 0)
		buf_add(&b->queue, f->body, f->n);
}

/* --- messages ------------------------------------------------------------------------------------------------------------------------- */

static void resize(const struct bridge *b, const struct wire_msg *m)
{
	const struct winsize size = { .ws_row = (unsigned short)m->resize.rows,
				      .ws_col = (unsigned short)m->resize.cols };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(b->streams); i++) {
		if (b->streams[i] && b->streams[i]->terminal &&
		    b->streams[i]->session == m->session)
			(void)ioctl(b->streams[i]->fd, TIOCSWINSZ, &size);
	}
}

static void begin_end(struct bridge *b)
{
	if (!b->gone)
		b->until = clock_ms() + LINGER_MS;
	b->gone = true;
}

static void tell_end(struct bridge *b, enum mux_kind kind, const struct mux_flow *d, uint32_t n)
{
	if (d->open && !(kind == MUX_END ? d->ended : d->gone))
		bridge_say(b, &(struct mux_frame){ .kind = kind, .channel = n });
}

/* Channels without anything behind them: what comes there is dropped, and each is over as soon as the other end has heard of that. Return: 0 or -EPROTO. */
static int decline(struct bridge *b, const struct mux_said *said)
{
	struct mux_channel *c;
	uint32_t n;
	size_t i;

	for (i = 0; i < said->n; i++) {
		n = said->channels[i];
		if (said->ways[i] == MUX_WHOLE)
			continue;
		if (!mux_channel(&b->mux, n) && mux_opened(&b->mux, said->ways[i], n) < 0)
			return -EPROTO;
		if (b->streams[n])
			stream_drop(b, b->streams[n]);
		c = &b->mux.channels[n];
		tell_end(b, MUX_END, &c->out, n);
		tell_end(b, MUX_GONE, &c->in, n);
	}
	shut(&b->file);
	return 0;
}

/* A message in the place of who did not get, or give, what was asked. */
static struct wire_msg failure(uint32_t session, int r)
{
	struct wire_msg m = { .type = WIRE_FAILED, .session = session, .failed = ERR_INIT };

	(void)err_sys(&m.failed, r, "the command's streams");
	m.failed.sys = m.failed.sys < 0 ? -m.failed.sys : m.failed.sys;
	return m;
}

static void say_without(struct bridge *b, const struct wire_msg *m)
{
	const struct mux_said said = { .msg = *m };
	unsigned char bytes[MUX_SAID];

	bridge_say(b, &(struct mux_frame){ .kind = MUX_MESSAGE,
					   .body = bytes,
					   .n = mux_said_put(&said, bytes) });
}

/* The end of a session stands behind what the session has written. Return: 0 or -ENOMEM. */
static int park(struct bridge *b, const struct wire_msg *m)
{
	struct parked *p = malloc(sizeof(*p)), **last = &b->parked;

	if (!p)
		return -ENOMEM;
	*p = (struct parked){ .msg = *m };
	while (*last)
		last = &(*last)->next;
	*last = p;
	return 0;
}

/* Whether everything of the session of @m has gone before it: from here to the stream; or what came by it to who has the descriptors. */
static bool is_paid(struct bridge *b, const struct wire_msg *m)
{
	bool paid = true;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(b->streams); i++) {
		if (!b->streams[i] || b->streams[i]->session != m->session)
			continue;
		if (b->us == WIRE_FROM_INIT)
			paid = stream_pay(b, b->streams[i]) && paid;
		else
			paid = b->streams[i]->n == 0 && paid;
	}
	return paid;
}

/* Return: 0, also when it waits; negative errno. */
static int unpark(struct bridge *b)
{
	struct parked *p, **at = &b->parked;
	int r = 0;

	b->crowded = false;
	while (r == 0 && (p = *at)) {
		if (!is_paid(b, &p->msg)) {
			at = &p->next;
			continue;
		}
		if (b->us == WIRE_FROM_INIT)
			say_without(b, &p->msg);
		else if (b->sock >= 0 && !b->deaf)
			r = wire_send(b->sock, &p->msg, NULL, 0, false);
		if (r == -EAGAIN) {
			b->crowded = true;
			return 0;
		}
		*at = p->next;
		free(p);
	}
	return r == -EPIPE || r == -ECONNRESET ? 0 : r;
}

/* @said can be given to who is here. Return: 0, or negative errno. */
static int hand_over(struct bridge *b, const struct mux_said *said)
{
	int fds[WIRE_FDS], r = 0;
	size_t i, n = 0;

	for (i = 0; i < WIRE_FDS; i++)
		fds[i] = -1;
	for (; r == 0 && n < said->n; n++)
		r = ends_get(b, said, n, fds);
	b->file_n = 0;
	if (r == 0)
		r = wire_send(b->sock, &said->msg, fds, said->n, false);
	if (r == -EPIPE || r == -ECONNRESET) {
		b->deaf = true;
		begin_end(b);
		r = 0;
	}
	for (i = 0; i < n; i++) {
		shut(&fds[i]);
		if (r == 0 && said->ways[i] != MUX_WHOLE && b->streams[said->channels[i]])
			stream_settle(b, b->streams[said->channels[i]]);
	}
	return r;
}

/* A message of the other end, for who is here. Return: 0; -EAGAIN: there is no room; other negative errno. */
static int deliver(struct bridge *b, const struct mux_frame *f)
{
	struct pollfd room = { .fd = b->sock, .events = POLLOUT };
	struct mux_said said;
	struct wire_msg m;
	int r;

	r = mux_said_get(f, b->them, &said);
	if (r < 0)
		return r;
	/* a file that this message does not have would be that of the next */
	if (b->file >= 0 && !(said.n > 0 && said.ways[0] == MUX_WHOLE))
		return -EPROTO;
	if (b->sock < 0 || b->deaf)
		return decline(b, &said);
	if (said.msg.type == WIRE_RESIZE) {
		resize(b, &said.msg);
		return 0;
	}
	if (said.msg.type == WIRE_ENDED) {
		r = park(b, &said.msg);
		return r < 0 ? r : unpark(b);
	}
	/* one with descriptors would wait for room */
	if (said.n > 0 && poll(&room, 1, 0) <= 0)
		return -EAGAIN;
	r = hand_over(b, &said);
	if (b->us != WIRE_FROM_INIT || (r != -EMFILE && r != -ENFILE && r != -ENOMEM))
		return r;
	m = failure(said.msg.session, r);
	r = decline(b, &said);
	say_without(b, &m);
	return r;
}

static int add_file(struct bridge *b, const struct mux_frame *f)
{
	if (f->n == 0) {
		shut(&b->file);
		b->file_n = 0;
		return 0;
	}
	if (b->file < 0)
		b->file = memfd_create("bailey-words", MFD_CLOEXEC);
	if (b->file < 0)
		return -errno;
	b->file_n += f->n;
	/* one byte more than may be: who reads it says so */
	return b->file_n > LIMIT_SPAWN + 1 ? -EPROTO : fd_write_all(b->file, f->body, f->n);
}

/* Return: 0; -EAGAIN: not now; other negative errno. */
static int on_frame(struct bridge *b, const struct mux_frame *f)
{
	struct stream *s;
	int r;

	if (f->kind == MUX_MESSAGE)
		return deliver(b, f);
	if (f->kind == MUX_FILE)
		return add_file(b, f);
	s = mux_channel(&b->mux, f->channel) ? b->streams[f->channel] : NULL;
	r = mux_heard(&b->mux, f);
	if (r < 0 || !s)
		return r;
	return stream_heard(b, s, f);
}

static int on_frames(struct bridge *b)
{
	struct mux_frame f;
	size_t at = 0, used;
	int r = 0;

	b->stopped = false;
	while (r == 0) {
		r = mux_frame_get(b->bytes + at, b->heard - at, &f, &used);
		if (r == -EAGAIN)
			break;
		if (r == 0)
			r = on_frame(b, &f);
		b->stopped = r == -EAGAIN;
		if (r == 0)
			at += used;
	}
	memmove(b->bytes, b->bytes + at, b->heard - at);
	b->heard -= at;
	return r == -EAGAIN ? 0 : r;
}

/* Nothing more comes by the stream: what has come is still written. */
static void end_stream(struct bridge *b)
{
	struct stream *s;
	size_t i;

	begin_end(b);
	b->in = b->out = -1;
	b->queued_at = b->queue.len = 0;
	for (i = 0; i < ARRAY_SIZE(b->streams); i++) {
		s = b->streams[i];
		if (!s)
			continue;
		b->mux.channels[i] = (struct mux_channel){ .in = { .open = false } };
		s->last = true;
		stream_settle(b, s);
	}
}

static int on_in(struct bridge *b)
{
	ssize_t n = read(b->in, b->bytes + b->heard, sizeof(b->bytes) - b->heard);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n <= 0) {
		end_stream(b);
		return 0;
	}
	b->heard += (size_t)n;
	return on_frames(b);
}

static void on_out(struct bridge *b)
{
	ssize_t n = write(b->out, b->queue.data + b->queued_at, bridge_queued(b));

	if (n < 0 && errno != EAGAIN && errno != EINTR) {
		b->queued_at = b->queue.len = 0; /* what still comes is heard */
		b->out = -1;
		begin_end(b);
		return;
	}
	b->queued_at += n > 0 ? (size_t)n : 0;
	if (bridge_queued(b) > 0 && b->queued_at < BRIDGE_SOFT)
		return;
	memmove(b->queue.data, b->queue.data + b->queued_at, bridge_queued(b));
	b->queue.len -= b->queued_at;
	b->queued_at = 0;
}

/* What was asked here can't be carried; who asked is told in the place of PID 1. Return: 0, or @r where that can't be. */
static int refuse(struct bridge *b, int r)
{
	const struct wire_msg m = failure(b->sending.msg.session, r);

	if (b->us != WIRE_FROM_SUPERVISOR)
		return r;
	if (b->sending.at > 0) /* its words have gone before it */
		bridge_say(b, &(struct mux_frame){ .kind = MUX_FILE });
	return wire_send(b->sock, &m, NULL, 0, true) < 0 ? r : 0;
}

static int say_message(struct bridge *b)
{
	struct mux_said said = { .msg = b->sending.msg };
	unsigned char bytes[MUX_SAID];
	struct stat st[WIRE_FDS];
	struct stream *s;
	size_t i;
	int r = 0;

	while (r == 0 && said.n < WIRE_FDS && b->sending.fds[said.n] >= 0) {
		r = ends_give(b, said.n, &said, st);
		said.n += r == 0;
	}
	if (r == 0)
		bridge_say(b, &(struct mux_frame){ .kind = MUX_MESSAGE,
						   .body = bytes,
						   .n = mux_said_put(&said, bytes) });
	for (i = 0; i < said.n; i++) {
		s = said.ways[i] == MUX_WHOLE ? NULL : b->streams[said.channels[i]];
		if (!s)
			continue;
		if (r == 0) {
			stream_settle(b, s);
		} else { /* the other end never hears of it */
			*channel_of(b, s) = (struct mux_channel){ .in = { .open = false } };
			stream_drop(b, s);
		}
	}
	for (i = 0; i < WIRE_FDS; i++)
		shut(&b->sending.fds[i]);
	b->sending.active = false;
	return r < 0 ? refuse(b, r) : 0;
}

/* As much of the message that is sent as there is room for. */
static int go_on_sending(struct bridge *b)
{
	unsigned char bytes[MUX_BODY];
	struct stat st;
	ssize_t n;

	while (b->sending.active && !bridge_is_full(b) && !b->queue.failed) {
		n = 0;
		if (b->sending.fds[0] >= 0 && fstat(b->sending.fds[0], &st) == 0 &&
		    S_ISREG(st.st_mode) && b->sending.at <= (off_t)LIMIT_SPAWN) {
			size_t left = (size_t)LIMIT_SPAWN + 1 - (size_t)b->sending.at;

			n = pread(b->sending.fds[0], bytes,
				  left < sizeof(bytes) ? left : sizeof(bytes), b->sending.at);
		}
		if (n <= 0)
			return say_message(b);
		b->sending.at += n;
		bridge_say(b,
			   &(struct mux_frame){ .kind = MUX_FILE, .body = bytes, .n = (size_t)n });
	}
	return 0;
}

static int on_sock(struct bridge *b)
{
	int r = wire_recv(b->sock, b->us, &b->sending.msg, b->sending.fds);

	if (r == -EAGAIN)
		return 0;
	if (r < 0)
		return r;
	if (r == 0) {
		shut(&b->sock);
		begin_end(b);
		return 0;
	}
	if (b->sending.msg.type == WIRE_ENDED) {
		stream_owe(b, b->sending.msg.session);
		r = park(b, &b->sending.msg);
		return r < 0 ? r : unpark(b);
	}
	b->sending.active = true;
	b->sending.at = 0;
	return go_on_sending(b);
}

/* --- the loop ------------------------------------------------------------------------------------------------------------------------- */

static void on_streams(struct bridge *b)
{
	struct epoll_event ev[EVENTS];
	int n = epoll_wait(b->epoll, ev, EVENTS, 0), i;

	for (i = 0; i < n; i++) {
		/* an earlier one may have made it go */
		if (b->streams[ev[i].data.u32])
			stream_ready(b, b->streams[ev[i].data.u32], ev[i].events);
	}
}

/* Those that are always ready. Return: whether one has more. */
static bool on_steady(struct bridge *b)
{
	bool more = false;
	size_t i;

	for (i = 0; b->n_steady > 0 && i < ARRAY_SIZE(b->streams); i++) {
		if (!b->streams[i] || !b->streams[i]->steady)
			continue;
		stream_ready(b, b->streams[i], EPOLLIN | (b->streams[i]->n > 0 ? EPOLLOUT : 0u));
		more = more || (b->streams[i] &&
				(b->streams[i]->n > 0 ||
				 (stream_may_read(b, b->streams[i]) && !bridge_is_full(b))));
	}
	return more;
}

/* Where one side has gone: what can be read is sent, what was sent is written. */
static bool is_over(struct bridge *b)
{
	size_t i;
	bool pending = b->parked;

	if (!b->gone)
		return false;
	for (i = 0; i < ARRAY_SIZE(b->streams); i++) {
		if (b->streams[i] && b->sock < 0)
			stream_ready(b, b->streams[i],
				     EPOLLIN | (b->streams[i]->n > 0 ? EPOLLOUT : 0u));
		pending = pending || (b->streams[i] && b->streams[i]->n > 0);
	}
	return clock_ms() >= b->until || (!pending && (b->out < 0 || bridge_queued(b) == 0) &&
					  (b->in < 0 || b->n_streams == 0));
}

/* Of the socket. */
static short wanted(const struct bridge *b)
{
	short events = 0;

	if (!b->sending.active && !bridge_is_full(b) && b->out >= 0)
		events |= POLLIN;
	if ((b->stopped && !b->deaf) || b->crowded)
		events |= POLLOUT;
	return events;
}

static int turn(struct bridge *b, struct err *e)
{
	const bool more = on_steady(b);
	struct pollfd p[4] = {
		{ .fd = b->sock, .events = wanted(b) },
		{ .fd = b->stopped && b->sock >= 0 && !b->deaf ? -1 : b->in, .events = POLLIN },
		{ .fd = bridge_queued(b) > 0 ? b->out : -1, .events = POLLOUT },
		{ .fd = bridge_is_full(b) ? -1 : b->epoll, .events = POLLIN },
	};
	int r = 0;

	if (!p[0].events)
		p[0].fd = -1; /* its hang-up would not let us sleep */
	if (poll(p, 4, more ? 0 : b->gone ? 10 : -1) < 0 && errno != EINTR)
		return err_sys(e, -errno, "poll");
	if (p[2].revents)
		on_out(b);
	if (p[0].revents & POLLOUT)
		r = on_frames(b);
	if (r == 0 && b->sock >= 0 && p[0].revents & (POLLIN | POLLHUP | POLLERR) &&
	    !b->sending.active)
		r = on_sock(b);
	if (r == 0 && p[1].revents)
		r = on_in(b);
	if (r == 0 && p[3].revents)
		on_streams(b);
	if (r == 0)
		r = go_on_sending(b);
	if (r == 0 && b->parked)
		r = unpark(b);
	if (r == 0 && b->queue.failed)
		r = -ENOBUFS;
	return r < 0 && e->code == ERR_NONE ? err_sys(e, r, "the stream of the sandbox") : r;
}

static int start(struct bridge *b, struct err *e)
{
	/* three of each command */
	(void)fd_raise_limit(); /* fewer commands, then */
	b->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (b->epoll < 0 || pipe2(b->tube, O_CLOEXEC | O_NONBLOCK) < 0 ||
	    fcntl(b->in, F_SETFL, O_NONBLOCK) < 0 || fcntl(b->out, F_SETFL, O_NONBLOCK) < 0)
		return err_sys(e, -errno, "the stream of the sandbox");
	return 0;
}

int wire_bridge(int sock, int in, int out, enum wire_side us, struct err *e)
{
	struct bridge *b = calloc(1, sizeof(*b));
	struct parked *next;
	size_t i;
	int r;

	if (b) {
		b->sock = sock;
		b->in = in;
		b->out = out;
		b->epoll = b->file = b->tube[0] = b->tube[1] = -1;
		b->us = b->mux.us = us;
		b->them = us == WIRE_FROM_INIT ? WIRE_FROM_SUPERVISOR : WIRE_FROM_INIT;
		b->queue = (struct buf)BUF_INIT(OUT_HARD);
		for (i = 0; i < WIRE_FDS; i++)
			b->sending.fds[i] = -1;
		r = start(b, e);
		while (r == 0 && !is_over(b))
			r = turn(b, e);
		for (i = 0; i < ARRAY_SIZE(b->streams); i++) {
			if (b->streams[i])
				stream_drop(b, b->streams[i]);
		}
		for (i = 0; i < WIRE_FDS; i++)
			cleanup_close(&b->sending.fds[i]);
		for (; b->parked; b->parked = next) {
			next = b->parked->next;
			free(b->parked);
		}
		cleanup_close(&b->tube[0]);
		cleanup_close(&b->tube[1]);
		cleanup_close(&b->epoll);
		cleanup_close(&b->file);
		cleanup_close(&b->sock);
		buf_done(&b->queue);
		free(b);
	} else {
		r = err_set(e, ERR_SYSTEM, -ENOMEM, "out of memory");
		cleanup_close(&sock);
	}
	if (out != in)
		cleanup_close(&out);
	cleanup_close(&in);
	return r;
}
