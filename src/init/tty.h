/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BAILEY_INIT_TTY_H
#define BAILEY_INIT_TTY_H

#include "init.h"

/**
 * tty_open() - make a terminal of the sandbox's own devpts, our session's controlling terminal, and put it in the place of t->fds.
 * We must lead a session that has none. What stood on those fds is closed by that: it is the caller's terminal, which nothing inside may reach.
 * @ret_slave, @ret_master: the two ends; owned by the caller
 * Return: 0 or negative errno with @e.
 */
int tty_open(const struct init_tty *t, int *ret_slave, int *ret_master, struct err *e);

/** tty_pair() - a terminal of the sandbox's own devpts, as @t says; nobody's controlling terminal yet. Return: as tty_open(). */
int tty_pair(const struct init_tty *t, int *ret_slave, int *ret_master, struct err *e);

/** tty_foreground() - give the terminal @tty back to a program of it, @pgrp when none had it; or take it from all. */
void tty_foreground(int tty, pid_t pgrp, bool foreground);

#endif
