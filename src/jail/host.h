/* SPDX-License-Identifier: Apache-2.0 */
/* The planner's questions, answered by the kernel; each answer is kept, so that one plan sees one host. */
#ifndef BAILEY_JAIL_HOST_H
#define BAILEY_JAIL_HOST_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "plan.h"

/* Of the host as it was at the clone, in whatever mount namespace it was read. */
struct jail_mountinfo {
	uint32_t ready; /* 1: text is complete */
	char text[16384];
};

/** jail_mountinfo_read() - fill @m, if all fits. Nothing depends on it: the planner reads for itself what is not there. */
void jail_mountinfo_read(struct jail_mountinfo *m);

struct jail_mount {
	const char *point;
	enum jail_ground ground;
};

struct jail_host_ctx {
	struct arena *arena; /* borrowed */
	uid_t uid;           /* whom the command runs as, in host ids */
	uid_t owner; /* whose files are the command's where owners are mapped; -1: everybody's are mapped */
	char last[LIMIT_PATH]; /* the path that was looked at last, and what was seen: questions come in groups */
	struct stat st;
	int error;                    /* errno of that lstat, 0: st is valid */
	struct jail_mountinfo *given; /* or NULL; changed */
	bool asked;                   /* mounts was filled */
	struct jail_mount *mounts;    /* NULL: unknown */
	size_t n_mounts;
};

/**
 * jail_host_init() - fill @host with functions that ask the kernel; @ctx must outlive it.
 * @given: what PID 1 has read, or is reading, of the mounts; or NULL
 */
void jail_host_init(struct jail_host *host, struct jail_host_ctx *ctx, struct arena *arena,
		    struct jail_mountinfo *given);

/**
 * jail_host_for() - whom the command runs as, in host ids; before the first question. @block: see struct jail_host.
 * @owner: struct jail_host_ctx
 */
void jail_host_for(struct jail_host *host, struct jail_host_ctx *ctx, uid_t uid, bool block,
		   uid_t owner);

/**
 * jail_host_resolve() - the place a given path names on the host.
 * @path: normalised
 * @follow: whether a symlink in the last component is followed
 * @out: LIMIT_PATH bytes; for a path that does not exist, the resolved part plus the rest
 * Return: 0 or a negative errno (ELOOP, ENAMETOOLONG, EACCES …).
 */
int jail_host_resolve(const char *path, bool follow, char *out);

/**
 * jail_host_physical() - where @text leads to from the directory @dir, as the kernel goes: ".." behind a symlink is the parent of what that leads to.
 * @out: LIMIT_PATH bytes
 * Return: 0; negative errno when it leads nowhere.
 */
int jail_host_physical(const char *dir, const char *text, char *out);

#endif
