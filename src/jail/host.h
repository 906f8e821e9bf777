/* SPDX-License-Identifier: Apache-2.0 */
/* The planner's questions, answered by the kernel; each answer is kept, so that one plan sees one host. */
#ifndef BAILEY_JAIL_HOST_H
#define BAILEY_JAIL_HOST_H

#include <sys/stat.h>
#include <sys/types.h>

#include "plan.h"

struct jail_host_ctx {
	struct arena *arena; /* borrowed */
	uid_t uid;           /* whom the command runs as, in host ids */
	char last[LIMIT_PATH]; /* the path that was looked at last, and what was seen: questions come in groups */
	struct stat st;
	int error;           /* errno of that lstat, 0: st is valid */
	const char **mounts; /* mount points; NULL: unknown */
	size_t n_mounts;
};

/**
 * jail_host_init() - fill @host with functions that ask the kernel; @ctx must outlive it.
 * Should come soon after jail_begin(): it reads the mounts, and PID 1, which changes some, would wait for that.
 */
void jail_host_init(struct jail_host *host, struct jail_host_ctx *ctx, struct arena *arena);

/** jail_host_for() - whom the command runs as, in host ids; before the first question. @block: see struct jail_host. */
void jail_host_for(struct jail_host *host, struct jail_host_ctx *ctx, uid_t uid, bool block);

/**
 * jail_host_resolve() - the place a given path names on the host.
 * @path: normalised
 * @follow: whether a symlink in the last component is followed
 * @out: LIMIT_PATH bytes; for a path that does not exist, the resolved part plus the rest
 * Return: 0 or a negative errno (ELOOP, ENAMETOOLONG, EACCES …).
 */
int jail_host_resolve(const char *path, bool follow, char *out);

#endif
