/* SPDX-License-Identifier: Apache-2.0 */
/* The directories that the watcher has an eye on. */
#ifndef BAILEY_GUARD_WATCH_H
#define BAILEY_GUARD_WATCH_H

#include "store.h"

struct watched {
	int wd;
	unsigned int depth; /* below what is writable */
	char *path;         /* owned */
};

struct trees {
	int fd;               /* inotify */
	struct watched *dirs; /* sorted by wd, which only grows */
	size_t n, size;
	bool again; /* what is watched is looked into, too */
	bool full;  /* the kernel has no more watches for this user */
};

/**
 * trees_add() - watch the writable @root, LIMIT_PROTECT_DEPTH deep, and git directories in it.
 * @again: look also into directories that are watched already: events were lost
 * Return: 0 or negative errno.
 */
int trees_add(struct trees *t, const char *root, bool again);

/**
 * trees_read() - what has happened.
 * @each: @name has come into @dir (@is_dir: with what is in it); @known: it, or one in it, may be a name of the table
 * Return: 0; 1 when events were lost; negative errno.
 */
int trees_read(struct trees *t,
	       void (*each)(void *arg, const char *dir, const char *name, bool is_dir, bool known),
	       void *arg);

/** trees_each() - call @each for every directory. */
void trees_each(const struct trees *t, void (*each)(void *arg, const char *dir), void *arg);

/** trees_keep() - forget the directories for which @wanted says no. */
void trees_keep(struct trees *t, bool (*wanted)(void *arg, const char *dir), void *arg);

/** trees_done() - free. */
void trees_done(struct trees *t);

#endif
