/* SPDX-License-Identifier: Apache-2.0 */
/* Files in and out of a sandbox that stays: what stands in the place of a command. */
#ifndef BAILEY_INIT_COPY_H
#define BAILEY_INIT_COPY_H

#include "init.h"

/**
 * copy_spawn() - start it, in a session of its own: as spawn(), but a copy of PID 1 does it, whatever programs the sandbox has.
 * @cmd: INIT_COPY_OUT or INIT_COPY_IN, a path, flags; its streams are the stream of files on one side, and words for the caller on 2
 * Return: 0 or negative errno with @e.
 */
int copy_spawn(const struct init_command *cmd, pid_t *ret_pid, struct err *e);

#endif
