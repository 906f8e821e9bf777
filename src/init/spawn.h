/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BAILEY_INIT_SPAWN_H
#define BAILEY_INIT_SPAWN_H

#include <sys/types.h>

#include "init.h"

/**
 * spawn() - start the command: as leader of a session, or, with a terminal, of a process group in ours. It holds us until it is executed, so nobody may run who could
 * hold it.
 * @tty: the controlling terminal of our session, or -1
 * Return: 0; -ENOENT with ERR_NOTFOUND, other errno with ERR_NOEXEC when it can't be executed; negative errno with @e.
 */
int spawn(const struct init_command *cmd, int tty, pid_t *ret_pid, struct err *e);

/**
 * spawn_begin() - the same, without waiting for it: whoever may signal the command may stop it before it is executed.
 * @ret_said: can be read when that is decided: spawn_end()
 * Return: 0 or negative errno with @e.
 */
int spawn_begin(const struct init_command *cmd, int tty, pid_t *ret_pid, int *ret_said,
		struct err *e);

/** spawn_end() - @said: of spawn_begin(), taken. Return: as spawn(); when it can't be executed, it ends by itself, and is to be reaped. */
int spawn_end(int said, struct err *e);

/** spawn_take_ids() - in a new process: become @ids for good, and not dumpable. Return: 0 or negative errno. */
int spawn_take_ids(const struct init_ids *ids);

#endif
