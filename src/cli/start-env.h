/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The variables that the supervisor of a sandbox that stays reads itself (docs/adr/0031).
 *  `bailey create`  start_env_keep() makes words of them, as of others that are kept; start_env_say() says what is left out
 *  the supervisor   start_env_set() makes them its own, before anything reads one
 */
#ifndef BAILEY_CLI_START_ENV_H
#define BAILEY_CLI_START_ENV_H

#include "cli.h"

struct kept_words;

/** start_env_only() - whether @entry, NAME=VALUE of what is kept, is for the supervisor, and for no command. */
bool start_env_only(const char *entry);

/** start_env_keep() - add the words to @w. Return: 0 or -ENOMEM with @e. */
int start_env_keep(struct kept_words *w, struct err *e);

/** start_env_say() - which passwords of the caller's variables are not kept, on stderr. */
void start_env_say(void);

/**
 * start_env_set() - have what was kept in our own environment; what was not kept is not there then.
 * @kept: --host-env
 * Return: 0 or negative errno with @e.
 */
int start_env_set(const struct opt_list *kept, struct err *e);

#endif
