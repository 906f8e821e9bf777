/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BAILEY_GATEWAY_CONFINE_H
#define BAILEY_GATEWAY_CONFINE_H

#include <stddef.h>
#include <sys/types.h>

#include "util/util.h"

/** confine_streams() - 0-2 lead nowhere from here on: one of them may be a terminal, which can be read. Return: 0 or negative errno. */
int confine_streams(void);

/** confine_memory() - forget the caller's words and environment, which may hold secrets. */
void confine_memory(void);

/**
 * confine() - become nobody who matters: ids, no capabilities, not dumpable, and a filter of system calls. The steps and their order stand in confine.c.
 * Should be the last before hostile bytes are read. Mustn't be followed by anything that opens a file.
 * @uid: (uid_t)-1: the caller's
 * Return: 0 or negative errno with @e; then the process must end.
 */
int confine(uid_t uid, gid_t gid, struct err *e);

#endif
