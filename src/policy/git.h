/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Readers of git's own files, as far as needed to know where its directories are. The bytes come from whoever can write the workspace: the
 * readers are pure, bounded, and refuse what they don't understand. gitformat-index(5), git-config(1).
 */
#ifndef BAILEY_POLICY_GIT_H
#define BAILEY_POLICY_GIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/util.h"

/* An index, in pieces: entries that are no submodules are passed over. */
struct git_index {
	unsigned int version; /* 2, 3, 4 */
	size_t hash;          /* bytes of an object name: 20 or 32 */
	uint32_t left;        /* entries to come */
	uint64_t skip;        /* bytes of an extension to pass over */
	size_t len;           /* of path */
	char path[LIMIT_PATH]; /* version 4: of the last entry; else of the submodule that was found */
};

#define GIT_INDEX_HEAD 12

enum git_index_step {
	GIT_INDEX_MORE,     /* needs more bytes, beginning with those that were not used */
	GIT_INDEX_SUBMODULE /* path is one */
};

/**
 * git_index_begin() - read the header, GIT_INDEX_HEAD bytes.
 * @hash: bytes of an object name; the index does not say it
 * Return: 0, -EBADMSG, or -EOPNOTSUPP for a version that is not known.
 */
int git_index_begin(struct git_index *g, const unsigned char *head, size_t hash);

/**
 * git_index_next() - go on to the next submodule.
 * @ret_used: how many bytes were used, also when more are needed
 * Return: enum git_index_step; -EBADMSG; -EOPNOTSUPP for an extension without which entries may be missing (a split index).
 */
int git_index_next(struct git_index *g, const unsigned char *p, size_t n, size_t *ret_used);

/** git_index_whole() - whether the file may end here. */
static inline bool git_index_whole(const struct git_index *g)
{
	return g->left == 0 && g->skip == 0;
}

/* The largest piece that may be needed at once: fixed part, path, padding. */
#define GIT_INDEX_PIECE (LIMIT_PATH + 128)

/* A configuration, variable by variable. */
struct git_config {
	const char *at, *end; /* borrowed */
	char section[256];    /* "core", "submodule.NAME" */
	char name[512]; /* "core.hookspath", "submodule.NAME.path"; section and variable in lower case */
	char value[LIMIT_PATH]; /* "" when there is none */
};

/** git_config_begin() - @data is borrowed until the end. */
void git_config_begin(struct git_config *c, const char *data, size_t n);

/** git_config_next() - the next variable. Return: 1; 0 at the end; -EBADMSG for what git would refuse, too, or what is over-long. */
int git_config_next(struct git_config *c);

/** git_config_is() - whether the variable is @pattern: "core.hookspath", or "includeif.*.path" for any subsection. */
bool git_config_is(const struct git_config *c, const char *pattern);

/**
 * git_config_executes() - whether the variable makes git run a program, or read more configuration.
 * Return: its name, or NULL. What is not known to is not.
 */
const char *git_config_executes(const struct git_config *c);

/** git_path_plain() - whether @path is relative and has no "", ".", ".." or ".git" as a component: what git accepts in an index. */
bool git_path_plain(const char *path, size_t n);

/** git_pointer() - the path in a .git file, "gitdir: PATH". @text: NUL-terminated; its end is cut. Return: the path, or NULL. */
char *git_pointer(char *text, size_t n);

#endif
