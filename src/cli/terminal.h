/* SPDX-License-Identifier: Apache-2.0 */
/* The caller's end of the command's terminal. See terminal.c for how the two hang together. */
#ifndef BAILEY_CLI_TERMINAL_H
#define BAILEY_CLI_TERMINAL_H

#include "detach-keys.h"
#include "init/init.h"
#include "util/util.h"

struct terminal;

/**
 * terminal_find() - whether the command gets a terminal, and what it is like.
 * @force: it gets one on 0-2, whatever stands there; else in the place of each terminal on 0-2
 * @ret: NULL when it gets none; else to be given to terminal_finish()
 * @ret_tty: filled when it gets one
 * Return: 0 or negative errno with @e.
 */
int terminal_find(bool force, struct terminal **ret, struct init_tty *ret_tty, struct err *e);

/**
 * terminal_start() - begin to copy.
 * @master: taken in any case; comes from PID 1 and is checked
 * Return: 0 or negative errno with @e.
 */
int terminal_start(struct terminal *t, struct loop *loop, int master, struct err *e);

/** terminal_default() - one as the kernel makes them, on all of 0-2, for a command whose caller has none, or not now. */
void terminal_default(struct init_tty *ret_tty);

/* A terminal of a sandbox that stays: its supervisor has the master, and a stream leads there. */
struct terminal_session {
	void (*resize)(void *arg, const struct winsize *size); /* it shall have this size */
	void *arg;
	bool read_only; /* nothing is typed */
	bool attached;  /* it is not ours: the end of our input is no end of its input */
};

/** terminal_start_session() - as terminal_start(). @stream: a socket, taken in any case */
int terminal_start_session(struct terminal *t, struct loop *loop, int stream,
			   const struct terminal_session *s, struct err *e);

/** terminal_detach_by() - which keys leave it. */
void terminal_detach_by(struct terminal *t, const struct detach_keys *keys);

/** terminal_left() - whether they were typed. */
bool terminal_left(const struct terminal *t);

/** terminal_resize() - the caller's terminal may have another size now. */
void terminal_resize(struct terminal *t);

/** terminal_in_foreground() - whether we may use the caller's terminal now. */
bool terminal_in_foreground(const struct terminal *t);

/** terminal_give() - the command has the caller's terminal from now on, whenever we are in the foreground there. */
void terminal_give(struct terminal *t);

/** terminal_take() - give the caller's terminal back as it was; what the command has written is written before, if there is room. */
void terminal_take(struct terminal *t);

/**
 * terminal_again() - we may have been stopped, and the caller's terminal been changed meanwhile.
 * Return: whether the command is in the foreground now.
 */
bool terminal_again(struct terminal *t);

/** terminal_hang_up() - the command's terminal is gone: SIGHUP to who is in the foreground there, EIO to all. */
void terminal_hang_up(struct terminal *t);

/** terminal_drained() - Should be called when nobody writes any more. Return: whether everything that was written has been copied. */
bool terminal_drained(struct terminal *t);

/** terminal_finish() - give everything back; NULL is fine. */
void terminal_finish(struct terminal *t);

#endif
