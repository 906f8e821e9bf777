/* SPDX-License-Identifier: Apache-2.0 */
/* What `bailey exec` does, for other verbs. */
#ifndef BAILEY_CLI_EXEC_H
#define BAILEY_CLI_EXEC_H

#include "named.h"

/**
 * exec_in() - run @argv in the sandbox @word, which is started if need be, with our stdin.
 * @tty: it gets a terminal; our 0 and 1 must be one
 * Return: its exit status; that of bailey-store, which has said why; or negative errno with @e.
 */
int exec_in(struct named *n, const char *word, char *const *argv, bool tty, struct err *e);

#endif
