/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A host of a few entries, for the planner. What is not named is absent; the parents of what is named are directories.
 *
 *	struct fake_host f = { 0 };
 *	fake_add(&f, "/home/u/.ssh dir mode=700");	types: dir file symlink unreachable; flags: mode=N mount empty closed unlisted bare nosockets trigger
 *	fake_host(&f, &host);
 */
#ifndef TESTS_FAKE_HOST_H
#define TESTS_FAKE_HOST_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "jail/plan.h"

#define FAKE_MAX 128

struct fake_entry {
	char path[256];
	enum jail_type type;
	mode_t mode;
	bool mount, empty, closed, unlisted;
	enum jail_ground ground; /* of it alone, not of what is in it */
};

struct fake_host {
	struct fake_entry entries[FAKE_MAX];
	size_t n;
	const char *list[8][FAKE_MAX + 1]; /* answers of children() */
	size_t lists;
};

static inline struct fake_entry *fake_find(struct fake_host *f, const char *path)
{
	size_t i;

	for (i = 0; i < f->n; i++) {
		if (strcmp(f->entries[i].path, path) == 0)
			return &f->entries[i];
	}
	return NULL;
}

/* Return: the entry of @path, made as a directory when there is none; NULL when there is no room. */
static inline struct fake_entry *fake_put(struct fake_host *f, const char *path)
{
	struct fake_entry *en = fake_find(f, path);
	const char *slash = strrchr(path, '/');
	char parent[256];

	if (en)
		return en;
	if (path[1]) {
		snprintf(parent, sizeof(parent), "%.*s", slash == path ? 1 : (int)(slash - path),
			 path);
		en = fake_put(f, parent);
		if (!en)
			return NULL;
		/* what has something in it is a directory and not empty */
		en->type = JAIL_DIR;
		en->empty = false;
	}
	if (f->n == FAKE_MAX)
		return NULL;
	en = &f->entries[f->n++];
	*en = (struct fake_entry){ .type = JAIL_DIR, .mode = 0755 };
	snprintf(en->path, sizeof(en->path), "%s", path);
	return en;
}

/* Return: 0, or -1 when @text can't be understood. */
static inline int fake_add(struct fake_host *f, const char *text)
{
	static const char *const types[] = { "absent", "file", "dir", "symlink", "unreachable" };
	char word[256];
	struct fake_entry *en;
	int n, i;

	if (sscanf(text, "%255s%n", word, &n) != 1 || word[0] != '/' || !(en = fake_put(f, word)))
		return -1;
	for (text += n; sscanf(text, "%255s%n", word, &n) == 1; text += n) {
		for (i = 0; i < 5 && strcmp(types[i], word) != 0; i++)
			;
		if (i < 5)
			en->type = (enum jail_type)i;
		else if (strncmp(word, "mode=", 5) == 0)
			en->mode = (mode_t)strtoul(word + 5, NULL, 8);
		else if (strcmp(word, "mount") == 0)
			en->mount = true;
		else if (strcmp(word, "empty") == 0)
			en->empty = true;
		else if (strcmp(word, "closed") == 0)
			en->closed = true;
		else if (strcmp(word, "unlisted") == 0)
			en->unlisted = true;
		else if (strcmp(word, "bare") == 0)
			en->ground = JAIL_GROUND_BARE;
		else if (strcmp(word, "nosockets") == 0)
			en->ground = JAIL_GROUND_NO_SOCKETS;
		else if (strcmp(word, "trigger") == 0)
			en->ground = JAIL_GROUND_TRIGGER;
		else
			return -1;
	}
	return 0;
}

static inline enum jail_type fake_type(void *ctx, const char *path)
{
	struct fake_entry *en = fake_find(ctx, path);

	return en ? en->type : JAIL_ABSENT;
}

static inline mode_t fake_mode(void *ctx, const char *path)
{
	struct fake_entry *en = fake_find(ctx, path);

	return en ? en->mode : 0;
}

static inline bool fake_mounts_below(void *ctx, const char *path)
{
	struct fake_host *f = ctx;
	size_t i;

	for (i = 0; i < f->n; i++) {
		if (f->entries[i].mount && strcmp(path, f->entries[i].path) != 0 &&
		    path_covers(path, f->entries[i].path))
			return true;
	}
	return false;
}

static inline enum jail_ground fake_ground(void *ctx, const char *path)
{
	struct fake_entry *en = fake_find(ctx, path);

	return en ? en->ground : JAIL_GROUND_LAYER;
}

static inline bool fake_searchable(void *ctx, const char *path)
{
	struct fake_entry *en = fake_find(ctx, path);

	return en && !en->closed;
}

static inline bool fake_empty(void *ctx, const char *path)
{
	struct fake_entry *en = fake_find(ctx, path);

	return en && en->empty;
}

static int fake_order(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static inline const char *const *fake_children(void *ctx, const char *path)
{
	struct fake_host *f = ctx;
	struct fake_entry *dir = fake_find(f, path);
	size_t i, n = 0, len = path[1] ? strlen(path) : 0;
	const char **list;

	/* the planner holds a few lists at a time: it goes LIMIT_OVERLAY_DEPTH deep */
	list = f->list[f->lists++ % 8];
	if (!dir || dir->unlisted)
		return NULL;
	for (i = 0; i < f->n; i++) {
		const char *p = f->entries[i].path;

		if (strncmp(p, path, len) == 0 && p[len] == '/' && p[len + 1] &&
		    !strchr(p + len + 1, '/') && f->entries[i].type != JAIL_ABSENT &&
		    f->entries[i].type != JAIL_UNREACHABLE)
			list[n++] = p + len + 1;
	}
	qsort(list, n, sizeof(*list), fake_order);
	list[n] = NULL;
	return list;
}

static inline void fake_host(struct fake_host *f, struct jail_host *host)
{
	*host = (struct jail_host){ .ctx = f,
				    .type = fake_type,
				    .mode = fake_mode,
				    .mounts_below = fake_mounts_below,
				    .ground = fake_ground,
				    .searchable = fake_searchable,
				    .empty = fake_empty,
				    .children = fake_children };
}

#endif
