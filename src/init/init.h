/* SPDX-License-Identifier: Apache-2.0 */
/*
 * init: PID 1 of a sandbox. init_run() starts one command, forwards signals to it, reaps, and returns when every process but itself
 * is dead. It runs without privileges, inside all walls.
 */
#ifndef BAILEY_INIT_H
#define BAILEY_INIT_H

#include "util/util.h"

struct init_command {
	char *const *argv; /* NULL-terminated, at least one word */
	char *const *envp;
	const char *path; /* PATH for the search of argv[0]; NULL: the default */
};

/* Value of a queued signal (sigqueue) that is meant for the command's whole process group, as a terminal's are. */
#define INIT_SIGNAL_GROUP 1

/**
 * init_run() - run the command to its end. All signals must be blocked; the command gets none blocked,
 * and a session of its own.
 * @ret_status: wait status
 * Return: 0; -ENOENT with ERR_NOTFOUND, other errno with ERR_NOEXEC when it can't be executed; negative errno with @e.
 */
int init_run(const struct init_command *cmd, int *ret_status, struct err *e);

#endif
