/* SPDX-License-Identifier: Apache-2.0 */
/* What walk.c, renames.c, patch.c and apply.c share. */
#ifndef BAILEY_REVIEW_WALK_H
#define BAILEY_REVIEW_WALK_H

#include "review.h"

#define WHITEOUT(st) (S_ISCHR((st)->st_mode) && (st)->st_rdev == 0)

/* One tree, opened: nothing of either side is reached but from here. */
struct walk_tree {
	int upper, host; /* directories, for reading */
};

/** walk_open() - open both sides of tree @i. Return: 0 or negative errno with @e. walk_close() after success. */
int walk_open(const struct review *r, size_t i, struct walk_tree *t, struct err *e);
void walk_close(struct walk_tree *t);

/**
 * walk_at() - open @path below the directory @root: no symlink, no mount point and no ".." on the way.
 * Return: fd or negative errno.
 */
int walk_at(int root, const char *path, int flags);

/** walk_parent() - the directory that @path is in, opened (O_PATH), and its last component. Return: fd or negative errno. */
int walk_parent(int root, const char *path, const char **ret_name);

/** walk_file() - open the regular file @path for reading, which never waits. Return: fd or negative errno. */
int walk_file(int root, const char *path);

/** walk_same() - whether two regular files have the same bytes. Return: 1, 0 or negative errno. */
int walk_same(int a, int b);

/** walk_cmp_time() - <0, 0, >0 */
int walk_cmp_time(const struct timespec *a, const struct timespec *b);

/* A directory of the host that an apply of this record has changed itself, and the time of its last change; 0: it may not have come so far. */
struct walk_touched {
	uint64_t dev, ino;
	int64_t sec, nsec;
};

/* All of them, of earlier, interrupted or partial ones; the last one of a directory counts. */
struct walk_exempt {
	struct walk_touched *v;
	size_t n;
};

#endif
