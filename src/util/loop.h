/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A poll loop over a small table. A source is a descriptor, the events that are wanted of it now, and a handler.
 *
 *	s = loop_add(&loop, fd, POLLIN, handle, arg);
 *	s->events = 0;			not now: the descriptor is not asked at all, so a hang-up does not spin
 *	do r = loop_wait(&loop, ms, &e); while (r == -EAGAIN);
 */
#ifndef BAILEY_UTIL_LOOP_H
#define BAILEY_UTIL_LOOP_H

#include <poll.h>
#include <stddef.h>

#include "limits.h"

struct err;

struct loop_source {
	int fd; /* borrowed */
	short events;
	/* Return: -EAGAIN: go on; anything else ends the loop with that result */
	int (*handle)(void *arg, short revents, struct err *e);
	void *arg;
};

struct loop {
	struct loop_source sources[LIMIT_SOURCES];
	size_t n;
};

/** loop_add() - a new source; it stays where it is. Return: it, or NULL when the table is full. */
struct loop_source *loop_add(struct loop *l, int fd, short events,
			     int (*handle)(void *, short, struct err *), void *arg);

/**
 * loop_wait() - wait once, at most @ms (-1: for ever), and call the handlers of what has come, in the order they were added.
 * Return: -EAGAIN: go on; else what a handler returned, or negative errno with @e.
 */
int loop_wait(struct loop *l, int ms, struct err *e);

#endif
