/* SPDX-License-Identifier: Apache-2.0 */
/* Work inside a sandbox that stays, done by a copy of its PID 1 (init/copy.h, WIRE_COPY): this end of it. What comes from there is hostile. */
#ifndef BAILEY_CLI_INSIDE_H
#define BAILEY_CLI_INSIDE_H

#include "cli.h"
#include "named.h"

struct inside {
	int sock;  /* to the supervisor */
	int data;  /* what it reads, or what it says on 1 */
	int said;  /* what it says on 2 */
	bool busy; /* it was never begun: the sandbox is paused and not to be woken, or ends */
};

#define INSIDE_INIT                                \
	{                                          \
		.sock = -1, .data = -1, .said = -1 \
	}

enum inside_way { INSIDE_READS, INSIDE_WRITES };

/**
 * inside_begin() - @w->sock is there: let @argv (init.h, INIT_COPY_OUT …) be done.
 * @user: as whom, USER[:GROUP]; NULL: the sandbox's user
 * @way: what @w->data is: the end of its stdin, or of its stdout
 * @ret_held: with INSIDE_WRITES what its stdin ends with, when that is closed; NULL: it has none
 * Return: 0 or negative errno with @e; inside_done() in any case.
 */
int inside_begin(struct inside *w, char *const *argv, const char *user, enum inside_way way,
		 int *ret_held, const char *box, struct err *e);

/**
 * inside_end() - wait until it has ended, and show its notices.
 * @said: what it says of a failure, or ""
 * Return: its exit status, 128 when it was killed; or negative errno with @e: it was never begun.
 */
int inside_end(struct inside *w, char *said, size_t size, struct err *e);

/**
 * inside_lines() - all that it says on 1, JSON objects a line, and its end. What comes is checked; @show appends what is printed of each.
 * Return: 0, or negative errno with @e: that of what failed inside.
 */
int inside_lines(struct inside *w,
		 void (*show)(void *arg, const struct json_node *v, struct buf *out), void *arg,
		 const char *box, struct err *e);

void inside_done(struct inside *w);

#endif
