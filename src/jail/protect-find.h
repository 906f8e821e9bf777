/* SPDX-License-Identifier: Apache-2.0 */
/* What protect.c (names, links), protect-search.c and protect-git.c (git's own directories) share. */
#ifndef BAILEY_JAIL_PROTECT_FIND_H
#define BAILEY_JAIL_PROTECT_FIND_H

#include <sys/stat.h>

#include "protect.h"

struct finder {
	struct jail_protect *pr;
	struct policy *policy;
	struct err *e;
	struct arena scratch; /* of the search itself */
	const char **roots;   /* what is writable */
	size_t n_roots, max_roots;
	const char *queue[LIMIT_PROTECT_DIRS]; /* directories to search, by depth */
	unsigned char depth[LIMIT_PROTECT_DIRS];
	size_t n_queue, max_queue;
	const char *full;   /* the first directory that had no place in the queue */
	const char *deeper; /* the first one that is too deep */
	const char *git_dirs[LIMIT_GIT_DIRS]; /* looked at already */
	size_t n_git_dirs;
	bool reached[LIMIT_GIT_DIRS]; /* its index was looked at */
	bool late;                    /* something is left for jail_late() */
	unsigned int nested;          /* submodules in submodules */
	const char *in;    /* the git directory that is looked at, kept by the policy's memory */
	const char *named; /* what protect_follow() follows */
	uint64_t index_budget; /* bytes of indexes that may still be read */
	uint64_t bytes;        /* of the directories that were searched, as they say */
	dev_t timed;           /* a file system whose times tell; 0: none yet */
	bool unlisted;         /* the last listing has failed */
};

#define PROTECT_REACH 1u     /* also what the index and .gitmodules lead to */
#define PROTECT_WORKSPACE 2u /* the directory is a workspace: what its .git names may be given */
#define PROTECT_SHARED 4u    /* a git directory outside of the workspace */

/** protect_oom() - Return: -ENOMEM with @e. */
int protect_oom(struct finder *f);

/** protect_inside() - whether @path is or lies below something writable. */
bool protect_inside(const struct finder *f, const char *path);

/** protect_add_root() - @path is writable, too. Return: 0 or -ENOMEM with @e. */
int protect_add_root(struct finder *f, const char *path);

/** protect_note() - remember that @path was not looked at. Return: 0 or -ENOMEM with @e. */
int protect_note(struct finder *f, const char *path, const char *why, bool refused);

/** protect_name() - protect row->name below the directory @dfd, which is @dir, if it is there. Return: 0 or negative errno with @e. */
int protect_name(struct finder *f, int dfd, const char *dir, const struct policy_protected *row);

/** protect_follow() - protect @path, every symlink on the way, and what it leads to. Return: 0 or negative errno with @e. */
int protect_follow(struct finder *f, const char *path, const struct policy_protected *row);

/** protect_add() - protect @path, which @stx describes. Return: 0 or negative errno with @e. */
int protect_add(struct finder *f, const char *path, const struct policy_protected *row,
		const struct statx *stx);

/**
 * protect_closed() - @path could not be looked at, for @why: the directory on the way to it that lets nobody in is protected as a whole.
 * Return: 0, or negative errno with @e: also when that directory is or holds what is given to be written.
 */
int protect_closed(struct finder *f, const char *path, int why);

/** protect_open() - O_PATH of @path without following any symlink, with what it is. Return: fd or negative errno. */
int protect_open(int dfd, const char *path, struct statx *ret);

/**
 * protect_list() - call @each for every entry of the directory @fd, which is @dir, but "." and "..".
 * @each: @type is a DT_… other than DT_UNKNOWN; Return: 0 to go on
 * Return: 0, or what @each returned. A listing that fails is a note.
 */
int protect_list(struct finder *f, int fd, const char *dir,
		 int (*each)(struct finder *f, const char *name, unsigned char type, void *arg),
		 void *arg);

/** protect_join() - @dir/@name. @out: LIMIT_PATH bytes. Return: whether it fits. */
bool protect_join(char *out, const char *dir, const char *name);

/** protect_enqueue() - @path, which stays, is to be searched; there is room. */
void protect_enqueue(struct finder *f, const char *path, unsigned int depth);

/** protect_search() - all names of the table in the directories of the queue, and below them. Return: 0 or negative errno with @e. */
int protect_search(struct finder *f);

/** protect_git_entry() - the .git of @dir, whatever it is. @how: PROTECT_REACH, PROTECT_WORKSPACE. Return: 0 or negative errno with @e. */
int protect_git_entry(struct finder *f, const char *dir, unsigned int how);

/** protect_git_copy() - a copy needs no protection, but the git directory outside that its .git names. Return: 0 or negative errno with @e. */
int protect_git_copy(struct finder *f, const char *dir);

/**
 * protect_git_dir() - a git directory.
 * @worktree: whose, or NULL
 * @index_dir: where the worktree's own files are, when not in @path
 * @how: PROTECT_…
 * Return: 0 or negative errno with @e.
 */
int protect_git_dir(struct finder *f, const char *path, const char *worktree, const char *index_dir,
		    unsigned int how);

#endif
