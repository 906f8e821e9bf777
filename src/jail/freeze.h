/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Stop everything in a sandbox for a moment, PID 1 left alone where there is no cgroup (docs/adr/0017).
 *  1. jail_freeze()   until nothing of the run runs
 *  2. jail_thaw()     what was stopped before stays stopped
 */
#ifndef BAILEY_JAIL_FREEZE_H
#define BAILEY_JAIL_FREEZE_H

#include <stddef.h>
#include <sys/types.h>

#include "util/util.h"

struct jail_limits;

/* By a cgroup of version 2 that the run has; else by SIGSTOP. */
struct jail_frozen {
	int cgroup; /* its directory, borrowed; -1: by signals */
	size_t n;
	struct jail_stopped {
		pid_t pid;
		unsigned long long start; /* tells a pid that is used again */
	} stopped[LIMIT_FROZEN];
};

/**
 * jail_freeze() - stop every process below @pid1.
 * @limits: of the run, or NULL
 * Return: 0; or negative errno, and nothing is stopped: -EAGAIN: it forks faster than that; -E2BIG: more than LIMIT_FROZEN; -EPERM: one is a user whom
 * we may not stop.
 */
int jail_freeze(struct jail_frozen *f, pid_t pid1, const struct jail_limits *limits);

/** freeze_cgroup() - freeze all in the cgroup of version 2 @dir, and wait until they are. Return: 0; or negative errno, and it is thawed. */
int freeze_cgroup(int dir);

/** jail_thaw() - let go on what jail_freeze() has stopped. */
void jail_thaw(struct jail_frozen *f);

#endif
