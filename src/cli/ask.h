/* SPDX-License-Identifier: Apache-2.0 */
/* --ask: a connection that no rule speaks of waits while whoever sits at the terminal decides, by one key. */
#ifndef BAILEY_CLI_ASK_H
#define BAILEY_CLI_ASK_H

#include "cli.h"

struct ask;

/**
 * ask_begin() - be asked by the gateway of @run, whose directory is @dir, where there is a terminal.
 * Return: it, owned by the caller; NULL: there is no terminal, or it can't be done: then others may be asked over the control socket, or nobody.
 */
struct ask *ask_begin(struct run *run, int dir);

/** ask_until() - when a question of @run that came at @from (clock_ms()) has no answer: nobody waits longer, or the run ends. */
long ask_until(const struct run *run, long from);

/**
 * ask_key() - one key that is typed from now on, whatever mode the terminal is in.
 * @until: of clock_ms(); @meanwhile: is called now and then, or NULL
 * Return: it, or 0 when none came in time.
 */
char ask_key(int tty, long until, void (*meanwhile)(void *arg), void *arg);

/** ask_done() - free. */
void ask_done(struct ask *a);

#endif
