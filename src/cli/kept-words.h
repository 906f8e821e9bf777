/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The words that describe a sandbox that stays, in the form in which they are kept: one for each option, with its value behind "=", and with absolute paths, so
 * that they mean the same wherever they are read.
 *  1. struct kept_words w = { .arena = …, .cwd = … };
 *  2. opt_each(table, argv, kept_words_add, &w, …)    and kept_words_workspace() for each workspace that is a word
 *  3. w.v, NULL behind the last; kept_words_line()
 */
#ifndef BAILEY_CLI_KEPT_WORDS_H
#define BAILEY_CLI_KEPT_WORDS_H

#include "named.h"

struct kept_words {
	struct arena *arena; /* owns the words */
	const char *cwd;     /* where relative paths of what is added begin */
	char **v;
	size_t n, room;
	bool workspace; /* one is among them */
};

/** kept_words_add() - opt_each_fn: append the option @o. @arg: struct kept_words. Of a variable (--host-env) the last one is kept. Return: 0 or -ENOMEM with @e. */
int kept_words_add(void *arg, const struct opt *o, const char *value, struct err *e);

/** kept_words_workspace() - append --workspace=@value. Return: 0 or -ENOMEM with @e. */
int kept_words_workspace(struct kept_words *w, const char *value, struct err *e);

/** kept_words_of() - append the words of @box, a workspace among them; w->cwd is that of @box. Return: 0 or negative errno with @e. */
int kept_words_of(struct kept_words *w, const struct named_box *box, struct err *e);

/** kept_words_line() - append the command that makes the options of @box what they are, as a shell reads it. Return: 0 or negative errno with @e. */
int kept_words_line(struct arena *a, const struct named_box *box, struct buf *b, struct err *e);

#endif
