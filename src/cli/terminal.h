/* SPDX-License-Identifier: Apache-2.0 */
/* The caller's end of the command's terminal. See terminal.c for how the two hang together. */
#ifndef BAILEY_CLI_TERMINAL_H
#define BAILEY_CLI_TERMINAL_H

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
