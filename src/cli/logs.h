/* SPDX-License-Identifier: Apache-2.0 */
/* What a session has written, for the verbs that print it. */
#ifndef BAILEY_CLI_LOGS_H
#define BAILEY_CLI_LOGS_H

#include <stdbool.h>

struct err;

struct logs_options {
	bool follow, json, supervisor;
	const char *tail;
};

/**
 * logs_show() - print what the session @word has written.
 * @sock: to the supervisor, which has heard of no session of this client's yet; borrowed
 * @tail: lines of what is kept; -1: all
 * @word: NULL: the newest
 * Return: 0, or the status of one that has ended; negative errno with @e.
 */
int logs_show(int sock, const struct logs_options *o, long tail, const char *word, struct err *e);

/** logs_tail() - the number of lines that @text is. Return: 0 or -EINVAL with @e. */
int logs_tail(const char *text, long *ret, struct err *e);

#endif
