/* SPDX-License-Identifier: Apache-2.0 */
/* A cgroup of version 2 that a sandbox gets when it is paused for the first time (docs/adr/0033), so that nobody pays for it before. */
#ifndef BAILEY_JAIL_FREEZER_H
#define BAILEY_JAIL_FREEZER_H

#include "freeze.h"
#include "limit.h"

struct jail_freezer {
	struct jail_cgroup group; /* once it is there: made is true */
	bool made, useless;       /* useless: it can't be had here */
};

/**
 * jail_pause() - stop everything in the sandbox of @pid1, for long: by a cgroup of its limits, by one of its own, or as jail_freeze() does it.
 * Return: as jail_freeze(). jail_thaw() ends it.
 */
int jail_pause(struct jail_freezer *z, struct jail_frozen *f, pid_t pid1,
	       const struct jail_limits *limits);

/** jail_freezer_done() - nobody is left in it: remove it. */
void jail_freezer_done(struct jail_freezer *z);

#endif
