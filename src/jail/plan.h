/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The mount plan: data between policy and kernel. plan.c computes it without touching anything, plan-apply.c executes it,
 * --explain prints it, unit tests compare it.
 */
#ifndef BAILEY_JAIL_PLAN_H
#define BAILEY_JAIL_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "policy/policy.h"

enum jail_type { JAIL_ABSENT, JAIL_FILE, JAIL_DIR, JAIL_SYMLINK, JAIL_UNREACHABLE };

/* What an overlay over a directory would stand on. */
enum jail_ground {
	JAIL_GROUND_LAYER,      /* overlayfs takes it as a layer, as far as is known */
	JAIL_GROUND_BARE,       /* it does not */
	JAIL_GROUND_NO_SOCKETS, /* nor can a socket be made in it */
	JAIL_GROUND_TRIGGER,    /* whoever opens it waits for a mount (autofs) */
};

/* What the planner asks about the host. host.c answers from the kernel, tests from a table. */
struct jail_host {
	void *ctx;
	bool own_files; /* files of ours are shown in /etc: an overlay keeps them there when the host replaces its own, as a rename over a mount point takes the mount away */
	bool live_sockets; /* the host's sockets may be connected to: no overlay is needed to keep them dead */
	bool block; /* the command has ids of its own, so it is "other" to every file that is not mapped */
	/* type of @path, symlinks not followed */
	enum jail_type (*type)(void *ctx, const char *path);
	/* permission bits of a directory, for the layer that hides names in it */
	mode_t (*mode)(void *ctx, const char *path);
	/* whether a mount stands strictly below @path */
	bool (*mounts_below)(void *ctx, const char *path);
	/* the file system of the directory @path; NULL: JAIL_GROUND_LAYER everywhere */
	enum jail_ground (*ground)(void *ctx, const char *path);
	/* whether the sandboxed id could go through the directory @path */
	bool (*searchable)(void *ctx, const char *path);
	/* whether the directory @path, which is not searchable, is so with mapped owners; NULL: all are */
	bool (*opens)(void *ctx, const char *path);
	/* whether the directory @path has no entries; false when in doubt */
	bool (*empty)(void *ctx, const char *path);
	/* directories in @path in a stable order, NULL-terminated, owned by ctx; NULL when it can't be read or has too many */
	const char *const *(*children)(void *ctx, const char *path);
};

enum jail_op_type {
	JAIL_OP_ROOT,    /* the whole tree read-only, nosuid, nodev, private, in place */
	JAIL_OP_OVERLAY, /* a host directory through a lower-only overlay: its sockets are dead */
	JAIL_OP_EMPTY, /* an empty host directory, shown as another empty one: cheaper than an overlay, as dead */
	JAIL_OP_UPPER, /* a directory on the way to a whiteout: merged with the host's of the same name */
	JAIL_OP_WHITEOUT, /* a name that is absent in the overlay `region` */
	JAIL_OP_HOST, /* a host directory that stays as it is, because no overlay can be made there */
	JAIL_OP_PROC,
	JAIL_OP_DEV,
	JAIL_OP_PRIVATE, /* an empty writable directory */
	JAIL_OP_BIND,    /* the host's own file or directory; writable or not */
	JAIL_OP_MASK,    /* an unreadable, empty file or directory */
	JAIL_OP_COPY, /* a writable copy of the host's directory: an overlay that keeps what is changed */
	JAIL_OP_TEXT,  /* a file of the host shows a text of ours */
	JAIL_OP_SHOWN, /* a file, a socket or a directory of the host at another place; files in a private directory, read-only */
	JAIL_OP_PROGRAM, /* a copy of the host's file, which belongs to the sandbox's root; a set-id mode of it counts */
	JAIL_OP_NUM
};

#define JAIL_OP_WRITABLE 1u
#define JAIL_OP_FILE 2u /* path is not a directory */
#define JAIL_OP_INSIDE \
	4u /* the mount point is not the host's: it is made in the staged directory `region` */
#define JAIL_OP_LOWERED 8u /* an overlay with whiteouts */
#define JAIL_OP_NAMED 16u  /* hidden, but the name stays visible (no overlay there) */
#define JAIL_OP_MAPPED \
	64u /* an overlay, or a whole tree (BIND), whose owners are mapped into the sandbox's block of ids */
#define JAIL_OP_SHALLOW \
	32u /* JAIL_OP_HOST: only the directory itself, its children have operations of their own */

#define JAIL_OP_PIN 128u /* mounted on itself, so that it can't be renamed */

#define JAIL_OP_SOCKET 256u /* BIND of a unix socket: this very inode, to connect to */

#define JAIL_OP_EARLY \
	512u /* no rule changes it, or shows the host's files below it: it can be mounted before the rules are planned */

#define JAIL_OP_VOLUME \
	1024u /* SHOWN: a volume; with MAPPED its owners are those of JAIL_VOLUME_IDS on the disk */

#define JAIL_STAGE \
	"/tmp" /* what is private is staged here, and this is covered last (plan-apply.c) */

/* The host's devices that JAIL_OP_DEV shows. */
#define JAIL_DEV_NODES "null", "zero", "full", "random", "urandom", "tty"

#define JAIL_NO_REGION ((size_t)-1)

struct jail_op {
	enum jail_op_type type;
	unsigned int flags;
	const char *path;
	size_t len;  /* of path */
	mode_t mode; /* PRIVATE, UPPER, OVERLAY: permission bits of the host's directory; TEXT, PROGRAM: of the file, 0: 0444 */
	size_t region; /* index of the operation that this one stands on, or JAIL_NO_REGION */
	const struct policy_rule *rule; /* why; NULL: the frame of every sandbox */
	dev_t dev;                      /* JAIL_OP_SOCKET: what was judged */
	ino_t ino;
	const char *text; /* JAIL_OP_TEXT: text_len bytes */
	size_t text_len;
	const char *from; /* JAIL_OP_SHOWN: where the file is on the host, resolved */
	const char *
		store; /* JAIL_OP_COPY: an absolute path; in it are "upper" and "work", owned by the command's id. Not the planner's work */
};

/* What stays as it is while the plan grows. */
struct jail_frame {
	const struct jail_op *ops;
	size_t n;
};

/* A name in a writable tree that a rule keeps the command from, and that is not there: nothing can be mounted on it. */
struct jail_absent {
	const char *path;
	const char *origin;
};

struct jail_plan {
	struct arena *arena; /* borrowed */
	struct jail_op *ops;
	size_t n, size;
	size_t overlays;
	bool live_sockets;              /* nobody looks for sockets to mask */
	const struct jail_frame *early; /* jail_plan_early(), or NULL */
	struct jail_absent *absent; /* of deny-write: what appears there is moved away (guard) */
	size_t n_absent, absent_size;
};

/**
 * jail_plan_make() - compute the operations.
 * @policy: sealed; must outlive the plan
 * Return: 0; -EINVAL with ERR_POLICY when a rule can't be enforced; -ENOMEM; -E2BIG.
 */
int jail_plan_make(struct jail_plan *plan, struct arena *arena, const struct policy *policy,
		   const struct jail_host *host, struct err *e);

/**
 * jail_plan_frame(), jail_plan_rules() - jail_plan_make() in two steps: first what every sandbox has, then what the rules change.
 * Return: as jail_plan_make().
 */
int jail_plan_frame(struct jail_plan *plan, struct arena *arena, const struct policy *policy,
		    const struct jail_host *host, struct err *e);
int jail_plan_rules(struct jail_plan *plan, const struct policy *policy,
		    const struct jail_host *host, struct err *e);

/**
 * jail_plan_text() - after jail_plan_rules(): show @text in the place of the file @path, where the sandbox could read it.
 * @text: @len bytes, borrowed, must outlive the plan
 * Return: as jail_plan_make(); 0 also when there is no such file, or it is hidden.
 */
int jail_plan_text(struct jail_plan *plan, const struct policy *policy,
		   const struct jail_host *host, const char *path, const void *text, size_t len,
		   struct err *e);

/**
 * jail_plan_shown() - after jail_plan_rules(): show the host's file @from at @path, which must lie in a private directory.
 * @from: resolved; borrowed, must outlive the plan. Its owner is not mapped: the command is "other" to it where it has ids of its own.
 * Return: as jail_plan_make(); -EINVAL when a rule shows the host's own directory there.
 */
int jail_plan_shown(struct jail_plan *plan, const struct policy *policy,
		    const struct jail_host *host, const char *path, const char *from,
		    struct err *e);

/**
 * jail_plan_place() - after jail_plan_rules(): show the host's directory @from, writable, at @path, whether there is one of that name or not.
 * @from: resolved; borrowed, must outlive the plan. Its owner is not mapped.
 * Return: as jail_plan_make(); -ENOENT when there is no such directory, and none can be made to appear.
 */
int jail_plan_place(struct jail_plan *plan, const struct policy *policy,
		    const struct jail_host *host, const char *path, const char *from,
		    struct err *e);

struct jail_volume {
	const char *name; /* for messages */
	const char *path; /* where it is shown: normalised, not "/" */
	const char *from; /* where it is on the host, resolved */
	bool read_only;
	bool mapped; /* its owners are those of JAIL_VOLUME_IDS on the disk */
};

/**
 * jail_plan_volume() - after everything else is planned: show a directory of bailey's own, @v->from, at @v->path. The mount point is the host's directory of that name, or
 * one that only the sandbox has. A place of the system, of the workspaces, or of anything else that was planned is refused.
 * @v: borrowed, must outlive the plan
 * Return: as jail_plan_make().
 */
int jail_plan_volume(struct jail_plan *plan, const struct policy *policy,
		     const struct jail_host *host, const struct jail_volume *v, struct err *e);

/**
 * jail_plan_program() - after jail_plan_rules(): the host's file @path, with mode @mode, as the sandbox's root's own.
 * Return: as jail_plan_make(); 0 also when there is no such file, or the sandbox could not read it.
 */
int jail_plan_program(struct jail_plan *plan, const struct policy *policy,
		      const struct jail_host *host, const char *path, mode_t mode, struct err *e);

/**
 * jail_plan_early() - between the two: mark what can be mounted already (JAIL_OP_EARLY), and keep it in plan->early. Nothing is, when something of
 * the host's is shown where the mounts are staged.
 */
void jail_plan_early(struct jail_plan *plan, const struct policy *policy);

/** jail_plan_socket() - whether the socket @path is given by @plan, and so must stay alive. */
bool jail_plan_socket(const struct jail_plan *plan, const char *path);
/**
 * jail_plan_find() - the operation that decides what stands at @path (normalised) when the plan is applied.
 * Return: it; never NULL for a plan that was made.
 */
const struct jail_op *jail_plan_find(const struct jail_plan *plan, const char *path);

/** jail_plan_absent() - the entry of plan->absent that names @path (normalised) or a parent of it. Return: it, or NULL. */
const struct jail_absent *jail_plan_absent(const struct jail_plan *plan, const char *path);

/** jail_op_type_name() - "overlay", "bind" … */
const char *jail_op_type_name(enum jail_op_type t);

/** jail_op_shows_host() - whether the host's live files are behind @op, so that its sockets must be looked for. */
bool jail_op_shows_host(const struct jail_op *op);

#endif
