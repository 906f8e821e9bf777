/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BAILEY_INIT_SPAWN_H
#define BAILEY_INIT_SPAWN_H

#include <sys/types.h>

#include "init.h"

/**
 * spawn() - start the command: as leader of a session, or, with a terminal, of a process group in ours.
 * @tty: the controlling terminal of our session, or -1
 * Return: 0; -ENOENT with ERR_NOTFOUND, other errno with ERR_NOEXEC when it can't be executed; negative errno with @e.
 */
int spawn(const struct init_command *cmd, int tty, pid_t *ret_pid, struct err *e);

/** spawn_take_ids() - in a new process: become @ids for good, and not dumpable. Return: 0 or negative errno. */
int spawn_take_ids(const struct init_ids *ids);

#endif
