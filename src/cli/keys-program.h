/* SPDX-License-Identifier: Apache-2.0 */
/* bailey-keys, the program of libexec that holds secrets. */
#ifndef BAILEY_CLI_KEYS_PROGRAM_H
#define BAILEY_CLI_KEYS_PROGRAM_H

#include "cli.h"

/**
 * keys_program_open() - find bailey-keys beside bailey, or in ../libexec/bailey of its directory; only one that nobody else could have made, of this release.
 * @speaks: the caller and it will say their versions to each other; else it is asked for it, which takes some milliseconds
 * Return: a descriptor to execute (close-on-exec), or negative errno with @e.
 */
int keys_program_open(bool speaks, struct err *e);

/**
 * keys_program_start() - start it with the one word @word, in an environment of a few variables. It finds @control and @other as 3 and 4, and nothing else but 0-2; it ends when
 * we do.
 * Return: 0 with @ret_pid, or negative errno with @e.
 */
int keys_program_start(const char *word, int control, int other, pid_t *ret_pid, struct err *e);

/**
 * keys_program_start_with() - as above, with @words (whose first is the program's own name) and @fds, which it finds from 3 on; -1: nothing there.
 */
int keys_program_start_with(char *const *words, const int *fds, size_t n, pid_t *ret_pid,
			    struct err *e);

/** keys_program_exec() - become it. Return: negative errno with @e. */
int keys_program_exec(int fd, char *const *argv, struct err *e);

#endif
