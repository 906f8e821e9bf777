/* SPDX-License-Identifier: Apache-2.0 */
#include "loop.h"

#include <errno.h>

#include "err.h"

struct loop_source *loop_add(struct loop *l, int fd, short events,
			     int (*handle)(void *, short, struct err *), void *arg)
{
	if (l->n == LIMIT_SOURCES)
		return NULL;
	l->sources[l->n] =
		(struct loop_source){ .fd = fd, .events = events, .handle = handle, .arg = arg };
	return &l->sources[l->n++];
}

int loop_wait(struct loop *l, int ms, struct err *e)
{
	struct pollfd p[LIMIT_SOURCES];
	size_t i, n = l->n; /* a handler may add sources */
	int r;

	for (i = 0; i < n; i++) {
		const struct loop_source *s = &l->sources[i];

		/* poll(2) tells of hang-ups, asked or not */
		p[i] = (struct pollfd){ .fd = s->events ? s->fd : -1, .events = s->events };
	}
	if (poll(p, n, ms) < 0)
		return errno == EINTR ? -EAGAIN : err_sys(e, -errno, "poll");
	for (i = 0; i < n; i++) {
		struct loop_source *s = &l->sources[i];

		/* an earlier handler may have closed the descriptor */
		if (!p[i].revents || s->fd != p[i].fd || !s->events)
			continue;
		r = s->handle(s->arg, p[i].revents, e);
		if (r != -EAGAIN)
			return r;
	}
	return -EAGAIN;
}
