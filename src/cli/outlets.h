/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stdout and stderr of a command in a sandbox that stays, whose caller wants to see their end when the command has ended, whatever it has left
 * running. What stands there gets a pipe in its place, and we carry on what comes: pages of pipes without a copy. Sockets and devices go in.
 * Of a session that somebody else has started, the two come as streams.
 */
#ifndef BAILEY_CLI_OUTLETS_H
#define BAILEY_CLI_OUTLETS_H

#include "util/util.h"

struct outlet {
	struct outlets *all;
	int in, out; /* in: our end of the pipe or stream, -1: at its end; out: borrowed */
	struct loop_source *from_in, *to_out;
	enum { OUTLET_PIPE, OUTLET_FILE, OUTLET_TERMINAL } kind;
	size_t left; /* bytes that were in the pipe when the command had ended */
	char *data;  /* on the way to what is no pipe; owned, LIMIT_TTY_OUT bytes */
	size_t from, to;
};

struct outlets {
	struct outlet of[2];
	size_t n;
	int give[2]; /* what the command gets in the place of 1 and 2; owned where it is a pipe of ours */
	bool ended;
	void (*broken)(void *arg, size_t which); /* nobody takes what comes out of of[which] */
	void *arg;
};

/** outlets_begin() - @o->broken and @o->arg are set. Return: 0 or negative errno with @e; outlets_done() in any case. */
int outlets_begin(struct outlets *o, struct err *e);

/** outlets_given() - the command has its ends: close ours, and begin to copy. Return: 0 or negative errno with @e. */
int outlets_given(struct outlets *o, struct loop *loop, struct err *e);

/** outlets_carry() - the same of what comes from the streams @in and @errors (sockets; taken in any case) for 1 and 2. Return: 0 or negative errno with @e; outlets_done() in any case. */
int outlets_carry(struct outlets *o, int in, int errors, struct loop *loop, struct err *e);

/** outlets_end() - the command has ended: what is in the pipes now is the last that is copied. */
void outlets_end(struct outlets *o);

/** outlets_empty() - whether that was copied. */
bool outlets_empty(const struct outlets *o);

void outlets_done(struct outlets *o);

#endif
