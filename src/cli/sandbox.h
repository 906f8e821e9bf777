/* SPDX-License-Identifier: Apache-2.0 */
/* What sandbox_make() is made of. A step each; they fill struct sandbox in this order. */
#ifndef BAILEY_CLI_SANDBOX_H
#define BAILEY_CLI_SANDBOX_H

#include "cli.h"

/** sandbox_keep() - a copy of @str that lives as long as the sandbox. Return: it, or NULL. */
char *sandbox_keep(struct sandbox *s, const char *str);

/**
 * sandbox_path() - path_normalize() for a word that a person wrote. A ".." that would mean two places is refused: a rule must not hit another
 * file than the one that the same word names to ls.
 */
int sandbox_path(const char *word, const char *cwd, const char *home, char *out, struct err *e);

/** sandbox_oom() - "out of memory" in @e. Return: -ENOMEM. */
int sandbox_oom(struct err *e);

/** sandbox_duration() - "10s" in milliseconds; a number without a unit is seconds. Return: 0 or -EINVAL with @e. */
int sandbox_duration(const char *s, long *ret_ms, struct err *e);

/** sandbox_degraded() - the layers of --allow-degraded, as bits. Return: 0 or negative errno with @e. */
int sandbox_degraded(const struct opt_list *l, unsigned int *ret, struct err *e);

/** sandbox_find_home() - s->home: HOME, else the password file's; resolved, because rules compare resolved paths. */
int sandbox_find_home(struct sandbox *s, struct err *e);

/** sandbox_files() - workspaces and the rules of the path options; @cwd is absolute. Return: 0 or negative errno with @e. */
int sandbox_files(struct sandbox *s, const struct sandbox_options *o, const char *cwd,
		  struct err *e);

/** sandbox_builtins() - the built-in rules, for every home that counts. Return: 0 or negative errno with @e. */
int sandbox_builtins(struct sandbox *s, struct err *e);

#endif
