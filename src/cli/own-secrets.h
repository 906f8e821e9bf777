/* SPDX-License-Identifier: Apache-2.0 */
/* The secrets of a sandbox that stays (docs/adr/0022): kept below its own directory, and bound without being named. */
#ifndef BAILEY_CLI_OWN_SECRETS_H
#define BAILEY_CLI_OWN_SECRETS_H

#include "cli.h"

/** own_secrets_find() - which there are that no --secret names: fills s->own_store, s->own_secrets. Nothing for a run. Return: 0 or negative errno with @e. */
int own_secrets_find(struct sandbox *s, struct err *e);

/** own_secrets_named() - whether a --secret names @name. */
bool own_secrets_named(const struct sandbox *s, const char *name);

/** own_secrets_say_missing() - a notice for each --secret that is not kept yet, where the sandbox @box is made, or given other words, and has none of its own either. */
void own_secrets_say_missing(struct sandbox *s, const char *box);

/** own_secrets_place() - the directory whose changes are to be heard of; made. @path: LIMIT_PATH bytes. Return: whether there is one. */
bool own_secrets_place(const struct sandbox *s, char *path);

#endif
