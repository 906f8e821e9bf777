/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finds what the table of policy/protect.h names, below what is writable, and makes rules of it. docs/adr/0007.
 */
#ifndef BAILEY_JAIL_PROTECT_H
#define BAILEY_JAIL_PROTECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "policy/policy.h"

/* Which file a name led to. A name that is mounted on can be given to another file only from outside of the sandbox. */
struct jail_file_id {
	uint64_t dev, ino;
	int64_t born; /* ns; 0 where the file system does not say */
};

struct jail_protected {
	const char *path;
	const struct policy_protected *row;
	struct jail_file_id id;
	const char *
		in; /* the git directory, or its worktrees/NAME, that the name belongs to; or NULL */
	bool led;   /* not the name itself: a symlink on the way, or what it leads to */
};

/* A place that was not looked at, or a git directory that is not given. */
struct jail_protect_note {
	const char *path, *why;
	bool refused; /* the command will miss it: said before every run */
};

/* What a git configuration names and is not there. */
struct jail_missing {
	const char *path;
	const struct policy_protected *row;
};

/* Of a workspace's own repository. */
struct jail_git_config {
	const char *path; /* of the configuration */
	const char *dir;
	int64_t changed; /* ns: the directory's time of change */
};

/* A directory that was searched. As long as its time of change is this one, it has no name of the table, and these directories. */
struct jail_searched {
	const char *path;
	uint64_t dev, ino;
	int64_t changed; /* ns; 0: it has such names, or its times tell nothing */
	unsigned int below,
		n; /* its directories that are searched: the first of them, and how many */
};

struct jail_protect {
	/* by the caller */
	const char *const *
		workspaces; /* their own .git may name a git directory outside, which is given then */
	size_t n_workspaces;
	const char *home;      /* or NULL */
	uid_t owner;           /* of every git directory that is given */
	bool allow_git_config; /* leave the configuration of the workspaces' own repositories alone */
	bool after;     /* the run is there: what is closed now is a note, and the search goes on */
	bool git_only;  /* what git executes, and no other name; nothing outside is given */
	bool later;     /* a large tree may be searched to the end by jail_late() */
	uint32_t *gate; /* with @later: of jail_shared, opened when the search takes long; or NULL */
	/* with @later, an answer; without, what an earlier search of the same trees has answered */
	struct jail_searched *searched;
	size_t n_searched;
	/* the answer; all of it the policy's memory */
	struct jail_protected *found;
	size_t n_found;
	struct jail_protect_note *notes;
	size_t n_notes, n_more;       /* n_more: notes that had no room */
	struct jail_missing *missing; /* of POLICY_IN_CONFIG */
	size_t n_missing;
	struct jail_git_config *configs;
	size_t n_configs;
	bool whole; /* the search is at its end */
	bool large; /* to list all of the directories would take longer than a start can wait */
};

/**
 * jail_protect_find() - look for what must be protected below every allow-write rule of @policy, and add rules for it.
 * Should be called after the last allow-write rule was added, before policy_seal(). Git directories outside, which .git files of workspaces
 * name and which name them, become writable.
 * Return: 0 or negative errno with @e. What can't be looked at is a note, no failure.
 */
int jail_protect_find(struct jail_protect *pr, struct policy *policy, struct err *e);

/** jail_protect_cover() - the mounts for @path, below the writable @root_path, in a sandbox that runs (@root: O_PATH of its "/"). */
int jail_protect_cover(int root, const char *root_path, const char *path);

/** jail_protected_replaced() - whether the name of @p leads to another file than at the start, or to none. */
bool jail_protected_replaced(const struct jail_protected *p);

/** jail_git_dir_changed() - whether names in the directory of @c have come or gone since the start. */
bool jail_git_dir_changed(const struct jail_git_config *c);

#endif
