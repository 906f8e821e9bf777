/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BAILEY_JAIL_PLAN_APPLY_H
#define BAILEY_JAIL_PLAN_APPLY_H

#include "jail.h"
#include "stage.h"

/* State of one application of a plan; lives in PID 1 until the command exists. */
struct jail_apply {
	const struct jail_spec *spec;
	int *src;          /* per operation: a detached mount, or -1 */
	int *store;        /* JAIL_OP_COPY: the same, of where the copy is kept */
	unsigned int lost; /* layers, as bits */
	int root;          /* O_PATH of "/" */
	bool staged;       /* the stage is in its place */
	uint64_t early;    /* bits 1 << index: operations that are done already */
	struct stage stage;
	int sysctl; /* O_PATH of /proc/sys as it can be written, where there is a gateway; or -1 */
	unsigned int
		foreign; /* bits 1 << fd: regular files on 0-2 for reading that stay on the launcher's mounts */
};

/**
 * jail_layer_lost() - a layer can't be had.
 * Return: 0 when the user accepted that (then *lost has its bit), else -EPERM with @e turned into the refusal; the cause that @e held stays.
 */
int jail_layer_lost(enum jail_layer l, unsigned int allowed, unsigned int *lost, struct err *e);

/**
 * jail_plan_apply_early() - mount what @frame has of JAIL_OP_EARLY, before jail_plan_apply(). What can't be mounted is left to that, with its
 * errors. Should run when nothing on 0-2 has to be opened anew. Return: 0 or negative errno with @e.
 */
int jail_plan_apply_early(struct jail_apply *a, const struct jail_frame *frame, struct err *e);

/** jail_streams_regular() - whether one of 0-2 is a regular file, so that jail_streams_reopen() may have to find it by its name. */
bool jail_streams_regular(void);

/**
 * jail_plan_apply() - make the file system view of @a->spec->plan in this mount namespace.
 * Should run in a fresh mount namespace with capabilities over it. Mustn't run anywhere else: it changes "/" in place.
 * @a: spec and src filled by the caller
 * Return: 0 or negative errno with @e.
 */
int jail_plan_apply(struct jail_apply *a, struct err *e);

/**
 * jail_source() - detached copy of the host's tree at @op, with the attributes it will have inside.
 * @userns: owners are mapped by this namespace, or -1
 * Return: fd or negative errno with @e.
 */
int jail_source(const struct jail_op *op, int userns, struct err *e);

/** jail_resolve() - the inode at @path, no symlink followed on the way: the only way a path of the plan is looked up. Return: O_PATH, or negative errno. */
int jail_resolve(int root, const char *path);

/** mount_point_inside() - make that of @op, JAIL_OP_INSIDE, in the stage's directory of its region. @file: it is none. Return: 0 or negative errno with @e. */
int mount_point_inside(struct jail_apply *a, const struct jail_op *op, bool file, struct err *e);

/** mount_point_own() - make that of @op, with what is missing on the way, in the directory that its region shows: the sandbox's own. Return: the same. */
int mount_point_own(const struct jail_apply *a, const struct jail_op *op, struct err *e);

/** jail_store() - detached copy of the directory op->store of a JAIL_OP_COPY, writable; as jail_source(). */
int jail_store(const struct jail_op *op, int userns, struct err *e);

/**
 * jail_streams_reopen() - open regular files that are on 0-2 for reading only anew, through this (read-only) mount namespace, so that nothing
 * inside can change the file. @ret_foreign: bits 1 << fd of those that can't be. Return: 0 or negative errno with @e.
 */
int jail_streams_reopen(unsigned int *ret_foreign, struct err *e);

/** jail_streams_check() - refuse those that Landlock would have to keep, and can't. Return: 0 or -EPERM with @e. */
int jail_streams_check(const struct jail_apply *a, struct err *e);

#endif
