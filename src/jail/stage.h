/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stage: what every sandbox has and no plan changes, made while the launcher still plans: the private tmpfs, a ramfs for what hides
 * names, devices, devpts, mqueue and proc, all detached. plan-apply.c puts them in their places.
 */
#ifndef BAILEY_JAIL_STAGE_H
#define BAILEY_JAIL_STAGE_H

#include "util/util.h"

#define STAGE_NODES 6

extern const char *const stage_nodes[STAGE_NODES]; /* names in /dev */

/** stage_node_of() - the name of one of these devices by its number. Return: a string, or NULL. */
const char *stage_node_of(dev_t device);

struct stage {
	/*
	 * root of the tmpfs: "e" an empty directory, "m" and "f" an unreadable directory and file, "h" where hide is mounted, "shm",
	 * and "dev" with the names of the new /dev
	 */
	int dir;
	int hide; /* root of a ramfs, where a name costs a third less: "w" a whiteout; the layers that hide names are made in it */
	int pts, proc;         /* mounts; proc: or the errno of the kernel's refusal */
	int mqueue;            /* mount; < 0: the kernel has no POSIX message queues */
	int node[STAGE_NODES]; /* copies of the host's devices; < 0: the host has none of that name */
};

/** stage_make() - make all that. Should run when the ids of the sandbox are mapped: they own it. Return: 0 or negative errno with @e. */
int stage_make(struct stage *s, struct err *e);

/** stage_mkdir(), stage_mkfile() - make a directory or an empty file, unless it is there. Return: 0 or negative errno. */
int stage_mkdir(int dfd, const char *path, mode_t mode);
int stage_mkfile(int dfd, const char *path, mode_t mode);

#endif
