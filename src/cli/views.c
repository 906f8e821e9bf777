/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. A session's output goes into its ring, and each view has a position there: the ring is the queue of all of them, and no
 * view costs memory. When one is LIMIT_BEHIND behind, nothing more is read, so the command waits, as it would for a terminal; but a client
 * that does not take LIMIT_TTY_OUT bytes in LIMIT_STALL_MS is let go. Without views the ring simply goes round.
 *
 *	session: ENDED            by PID 1: its first process has ended, so what that wrote is in the pipe or terminal now
 *	         ended → over     everything of that was read; where a view ends is known now. What others go on writing is not waited for
 *	         over             a pipe is read on: what the command left running must neither wait nor be told that nobody reads
 *
 * What is typed is only looked at (MSG_PEEK) until the terminal, or the pipe in its place, has taken it, so there is no queue of that either. A client
 * that shuts its end down has typed all, and still reads; one that has closed it is gone.
 *
 * Two streams that are kept apart are in one ring, in the order in which they were read; turns.h knows which is which. A view with two sockets writes each byte
 * to its own, so it waits for both, and nothing can be read that would make the oldest turns unknown while a view still stands before them.
 *
 * Everything that comes is
 * of the sandbox, and is copied without being looked at. One event is taken from epoll at a time, because handling it may free what
 * the next one would be of.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "sessions.h"

#define TURNS 64 /* events between two looks at everything else */
#define READS 32 /* of one session in one go */

void watch_for(const struct sessions *s, struct watched *w, uint32_t events)
{
	struct epoll_event ev = { .events = events, .data = { .ptr = w } };
	int op = !events ? EPOLL_CTL_DEL : w->events ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;

	if (w->fd < 0 || events == w->events)
		return;
	/* with nothing to wait for it must go: a hang-up is told whether one asks or not, again and again */
	if (epoll_ctl(s->epoll, op, w->fd, &ev) == 0)
		w->events = events;
}

void watch_close(const struct sessions *s, struct watched *w)
{
	watch_for(s, w, 0);
	cleanup_close(&w->fd);
	w->fd = -1;
}

/* What must stay in the ring for @v. */
static uint64_t lag_of(const struct view *v)
{
	return v->at < v->until ? v->session->ring.total - v->at : 0;
}

/* How far a view may be behind. Where there is no memory for more, that is all that the ring has. */
static uint64_t most_behind(const struct session *one)
{
	const struct ring *r = &one->ring;

	return r->fixed && r->size && r->size < LIMIT_BEHIND ? r->size : LIMIT_BEHIND;
}

/* Whether nothing may be read now for @v's sake. */
static bool holds_up(const struct view *v)
{
	const struct turns *t = &v->session->turns;

	return lag_of(v) >= most_behind(v->session) ||
	       (lag_of(v) && turns_full(t) && v->at < turns_next(t));
}

static bool is_held_up(const struct sessions *s, const struct session *one)
{
	const struct view *v;

	for (v = s->views; v && !(v->session == one && holds_up(v)); v = v->next)
		;
	return v;
}

/* The most of all views of @one; 0 as well when there is none. */
static uint64_t behind(const struct sessions *s, const struct session *one)
{
	const struct view *v;
	uint64_t most = 0;

	for (v = s->views; v; v = v->next) {
		if (v->session == one && lag_of(v) > most)
			most = lag_of(v);
	}
	return most;
}

/* How much may be read of @one now, so that no view loses anything. */
static size_t room(const struct sessions *s, struct session *one)
{
	const uint64_t lag = behind(s, one);
	size_t size = ring_prepare(&one->ring, sizeof(s->buffer)), n = sizeof(s->buffer);

	if (is_held_up(s, one) || (size && lag >= size))
		return 0;
	if (n > most_behind(one) - lag)
		n = (size_t)(most_behind(one) - lag);
	return size && n > size - lag ? (size_t)(size - lag) : n;
}

/* Where the next byte of @v goes. @ret_until: position up to which that is so */
static struct watched *sink(struct view *v, uint64_t *ret_until)
{
	const unsigned int stream = turns_at(&v->session->turns, v->at, ret_until);

	if (v->errors.fd >= 0)
		return stream ? &v->errors : &v->stream;
	*ret_until = UINT64_MAX;
	return &v->stream;
}

static void settle_view(const struct sessions *s, struct view *v)
{
	const struct session *one = v->session;
	const bool pending = v->at < one->ring.total && v->at < v->until;
	uint64_t until;
	const struct watched *next = sink(v, &until);
	/* one that types no more is asked for nothing, but that it goes is told */
	uint32_t typed = v->silent ? EPOLLPRI : one->choked ? 0 : EPOLLIN;

	watch_for(s, &v->stream, typed | (pending && next == &v->stream ? EPOLLOUT : 0));
	watch_for(s, &v->errors, pending && next == &v->errors ? EPOLLOUT : 0);
}

void views_settle(struct sessions *s, struct session *one)
{
	const uint32_t reads = is_held_up(s, one) ? 0 : EPOLLIN;
	const uint32_t takes = one->choked ? EPOLLOUT : 0;
	struct view *v;

	watch_for(s, &one->output, reads | (one->terminal ? takes : 0));
	watch_for(s, &one->errors, reads);
	watch_for(s, &one->input, takes);
	for (v = s->views; v; v = v->next) {
		if (v->session == one)
			settle_view(s, v);
	}
}

/* Return: whether @v is still there. */
static bool push(struct sessions *s, struct view *v)
{
	struct session *one = v->session;
	const uint64_t oldest = sessions_oldest(one, false);
	ssize_t n = 1;

	if (v->at < oldest)
		v->at = oldest; /* only where there is no memory */
	while (v->at < one->ring.total && v->at < v->until) {
		size_t len;
		uint64_t until;
		const char *p = ring_at(&one->ring, v->at, &len);
		const struct watched *to = sink(v, &until);

		if (until > v->until)
			until = v->until;
		if (len > until - v->at)
			len = (size_t)(until - v->at);
		n = send(to->fd, p, len, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n <= 0)
			break;
		v->at += (uint64_t)n;
	}
	if (n <= 0 && errno != EAGAIN && errno != EINTR) {
		s->done(v->client, NULL, false); /* it has gone */
		return false;
	}
	if (v->at < v->until && !(one->over && !one->service && v->at >= one->ring.total))
		return true;
	s->done(v->client, one, false);
	return false;
}

static void push_all(struct sessions *s, const struct session *one)
{
	struct view *v, *next;

	for (v = s->views; v; v = next) {
		next = v->next;
		if (v->session == one)
			(void)push(s, v);
	}
}

static void become_over(struct sessions *s, struct session *one)
{
	struct view *v;

	one->over = true;
	for (v = s->views; v; v = v->next) {
		if (v->session == one && v->until > one->ring.total && !one->service)
			v->until = one->ring.total;
	}
	if (one->terminal)
		watch_close(
			s,
			&one->output); /* who still has it open is told, as by a line that hangs up */
	push_all(s, one);
}

void sessions_release(struct sessions *s, struct session *one)
{
	one->service = false;
	if (one->over)
		become_over(s, one);
}

/* Whether everything that it had written before its end was read. */
static bool is_read(const struct session *one)
{
	return (one->output.fd < 0 || !one->left[0]) && (one->errors.fd < 0 || !one->left[1]);
}

/* @which: 0: of its output, 1: of what it writes on 2, if that is apart. Return: whether there may be more. */
static bool read_some(struct sessions *s, struct session *one, unsigned int which)
{
	struct watched *w = which ? &one->errors : &one->output;
	size_t *left = &one->left[which];
	const size_t most = w->fd < 0 ? 0 : room(s, one);
	struct timespec ts;
	ssize_t n;

	if (!most)
		return false;
	n = read(w->fd, s->buffer, most);
	if (n > 0) {
		(void)clock_gettime(CLOCK_REALTIME, &ts);
		one->last = ts.tv_sec * 1000000000LL + ts.tv_nsec;
		turns_add(&one->turns, one->ring.total, which, ring_oldest(&one->ring));
		ring_add(&one->ring, s->buffer, (size_t)n);
		*left -= (size_t)n < *left ? (size_t)n : *left;
		push_all(s, one);
		if (one->ended && !one->over && is_read(one))
			become_over(s, one);
		return true;
	}
	if (n < 0 && errno == EINTR)
		return true;
	if (n == 0 || errno != EAGAIN)
		watch_close(s, w); /* EIO: the last program that had the terminal open is gone */
	*left = 0;
	if (one->ended && !one->over && is_read(one))
		become_over(s, one);
	return false;
}

void views_drain(struct sessions *s, struct session *one)
{
	bool more = true;
	int i;

	if (one->ended && !one->over && is_read(one))
		become_over(s, one);
	for (i = 0; i < READS && more; i++) {
		more = read_some(s, one, 0);
		more = read_some(s, one, 1) || more;
	}
	views_settle(s, one);
}

/* What a client has typed. @events: that it was noticed by */
static void type(struct sessions *s, struct view *v, uint32_t events)
{
	struct session *one = v->session;
	struct watched *to = one->terminal ? &one->output : &one->input;
	char *typed = s->buffer;
	ssize_t n = recv(v->stream.fd, typed, LIMIT_TTY_IN, MSG_PEEK | MSG_DONTWAIT), taken = n;

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n == 0 && !one->terminal && !(events & (EPOLLHUP | EPOLLERR))) {
		v->silent = true;
		if (!v->read_only)
			watch_close(s, &one->input);
		return;
	}
	if (n <= 0) {
		s->done(v->client, NULL, false);
		return;
	}
	if (!v->read_only && to->fd >= 0) {
		taken = write(to->fd, typed, (size_t)n);
		one->choked = taken < 0 && errno == EAGAIN;
		if (one->choked || (taken < 0 && errno == EINTR))
			return;
		if (taken < 0 && !one->terminal)
			watch_close(s, to); /* the command has closed its stdin */
	}
	(void)recv(v->stream.fd, typed, taken > 0 ? (size_t)taken : (size_t)n, MSG_DONTWAIT);
}

static void on_output(struct sessions *s, struct session *one, uint32_t events)
{
	if (events & ~(uint32_t)EPOLLIN) /* it takes more, or never will */
		one->choked = false;
	if (events & ~(uint32_t)EPOLLOUT)
		(void)read_some(s, one, 0);
	views_settle(s, one);
}

static void on_errors(struct sessions *s, struct session *one)
{
	(void)read_some(s, one, 1);
	views_settle(s, one);
}

static void on_input(struct sessions *s, struct session *one)
{
	one->choked = false; /* or nobody reads: the next byte will say so */
	views_settle(s, one);
}

static void on_view(struct sessions *s, struct view *v, uint32_t events, bool errors)
{
	struct session *one = v->session;

	/* of a socket that is only written to, anything else is its end, and writing says so */
	if ((events & EPOLLOUT || errors) && !push(s, v)) {
		views_settle(s, one);
		return;
	}
	if (events & ~(uint32_t)EPOLLOUT && !errors)
		type(s, v, events);
	views_settle(s, one);
}

static void on_drain(const struct sessions *s, struct watched *w, char *buffer, size_t size)
{
	ssize_t n = read(w->fd, buffer, size);

	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
		watch_close(s, w);
}

void sessions_copy(struct sessions *s)
{
	struct epoll_event ev;
	int turn;

	for (turn = 0; turn < TURNS && epoll_wait(s->epoll, &ev, 1, 0) == 1; turn++) {
		struct watched *w = ev.data.ptr;

		switch (w->kind) {
		case WATCHED_OUTPUT:
			on_output(s, CONTAINER_OF(w, struct session, output), ev.events);
			break;
		case WATCHED_ERRORS:
			on_errors(s, CONTAINER_OF(w, struct session, errors));
			break;
		case WATCHED_INPUT:
			on_input(s, CONTAINER_OF(w, struct session, input));
			break;
		case WATCHED_VIEW:
			on_view(s, CONTAINER_OF(w, struct view, stream), ev.events, false);
			break;
		case WATCHED_VIEW_ERRORS:
			on_view(s, CONTAINER_OF(w, struct view, errors), ev.events, true);
			break;
		case WATCHED_DRAIN:
			on_drain(s, w, s->buffer, sizeof(s->buffer));
			break;
		}
	}
}

struct view *view_open(struct sessions *s, struct session *one, int stream, int errors,
		       uint64_t from, bool follow, void *client)
{
	struct view *v = calloc(1, sizeof(*v));

	if (!v) {
		cleanup_close(&stream);
		cleanup_close(&errors);
		return NULL;
	}
	*v = (struct view){ .stream = { .kind = WATCHED_VIEW, .fd = stream },
			    .errors = { .kind = WATCHED_VIEW_ERRORS, .fd = errors },
			    .next = s->views,
			    .session = one,
			    .at = from,
			    .until = follow && (!one->over || one->service) ? UINT64_MAX :
									      one->ring.total,
			    .client = client };
	v->mark = v->at;
	s->views = v;
	return v;
}

void view_show(struct sessions *s, struct view *v)
{
	struct session *one = v->session;

	(void)push(s, v);
	views_settle(s, one);
}

/* The newest view with a terminal says how big that of @one is. */
static void apply_size(const struct sessions *s, const struct session *one)
{
	const struct view *v;
	struct winsize size = { .ws_row = 0 };

	for (v = s->views; v && (v->session != one || v->read_only || !v->rows || !v->cols);
	     v = v->next)
		;
	if (!v || !one->terminal || one->output.fd < 0)
		return;
	size.ws_row = (unsigned short)v->rows;
	size.ws_col = (unsigned short)v->cols;
	/* the kernel sends SIGWINCH inside when it is another one */
	(void)ioctl(one->output.fd, TIOCSWINSZ, &size); /* hung up: nobody looks */
}

void view_resize(const struct sessions *s, struct view *v, uint32_t rows, uint32_t cols)
{
	v->rows = rows;
	v->cols = cols;
	apply_size(s, v->session);
}

void view_close(struct sessions *s, struct view *v)
{
	struct session *one = v->session;
	struct view **p;

	for (p = &s->views; *p && *p != v; p = &(*p)->next)
		;
	if (*p)
		*p = v->next;
	watch_close(s, &v->stream);
	watch_close(s, &v->errors);
	free(v);
	apply_size(s, one);
	views_settle(s, one); /* it may have been what the command waited for */
}

void views_late(struct sessions *s, long now, long *wait)
{
	struct view *v, *next;

	for (v = s->views; v; v = next) {
		const long left = v->since + LIMIT_STALL_MS - now;

		next = v->next;
		if (!holds_up(v)) {
			v->since = 0;
		} else if (!v->since || v->at - v->mark >= LIMIT_TTY_OUT) {
			v->since = now;
			v->mark = v->at;
			if (*wait < 0 || *wait > LIMIT_STALL_MS)
				*wait = LIMIT_STALL_MS;
		} else if (left <= 0) {
			s->done(v->client, v->session, true);
		} else if (*wait < 0 || *wait > left) {
			*wait = left;
		}
	}
}

void sessions_drain(struct sessions *s, int fd)
{
	struct watched *w = s->drains;
	size_t i;

	for (i = 0; i < LIMIT_DRAINS && w->fd >= 0; i++)
		w++;
	if (i == LIMIT_DRAINS || fcntl(fd, F_SETFL, O_NONBLOCK) < 0) {
		cleanup_close(&fd);
		return;
	}
	w->fd = fd;
	on_drain(s, w, s->buffer, sizeof(s->buffer)); /* mostly that is the end of it */
	watch_for(s, w, EPOLLIN);
}
