/* SPDX-License-Identifier: Apache-2.0 */
/* What the launcher (give.c) says to PID 1 while that is built (privs.c). Both are one program, before anything of the command is there. */
#ifndef BAILEY_JAIL_HAND_OVER_H
#define BAILEY_JAIL_HAND_OVER_H

#include "jail.h"

/*
 * From the launcher, in this order. To root, its ids, with the lock on the block of them, when the maps are written. What of the plan is certain,
 * or nothing. The spec. To root, a detached mount for each of some operations `op`, and GO. Then, to everybody, the path of each socket to be masked, and GO.
 */
struct hand_over {
	union {
		uint64_t op;
		const struct jail_identity *id;
		const struct jail_frame *frame;
		const struct jail_spec *spec;
	};
	char path[LIMIT_PATH]; /* sent as long as it is */
};

#define HAND_OVER_GO ((uint64_t)-1)
#define HAND_OVER_SOCKET ((uint64_t)-2)

/** jail_gives_mounts() - whether the launcher mounts for these ids what PID 1 can't. */
bool jail_gives_mounts(const struct jail_identity *id);

/** jail_rootfs_lost() - the view of the host can't be made: @r with @e becomes the loss of that layer. Return: negative errno with @e. */
int jail_rootfs_lost(unsigned int *lost, int r, struct err *e);

#endif
