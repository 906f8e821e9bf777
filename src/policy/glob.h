/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Path patterns. `*` any characters of one name (also a leading dot), `?` one character, `[a-z]` `[!a-z]` one of a set, `**` alone between
 * slashes any number of directories, `\` takes the next character as it is. "DIR/" followed by `**` is DIR with everything below.
 *  1. policy_glob_parse()                             from a word to a base directory and the parts below it
 *  2. policy_glob_start(), _step(), _accepts()        match while directories are read: a step for each name
 * The set of parts that may come next is a set of bits, so that no pattern costs more than its length for each character of a name.
 */
#ifndef BAILEY_POLICY_GLOB_H
#define BAILEY_POLICY_GLOB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/util.h"

struct policy_glob {
	const char *
		base; /* normalised: what comes before the first special character; owned by the arena, as parts are */
	const char *part[LIMIT_GLOB_PARTS]; /* names below base; "**": any number of directories */
	size_t n;                           /* 0: the path is base alone */
};

/** policy_glob_special() - whether @path has characters that mean something in a pattern. */
bool policy_glob_special(const char *path);

/** policy_glob_escape() - append @path so that a pattern matches just that. */
void policy_glob_escape(struct buf *b, const char *path);

/**
 * policy_glob_parse() - make @path absolute and take it apart.
 * @cwd, @home: as in path_normalize(); nothing in them is special
 * Return: 0; -EINVAL, -ENAMETOOLONG, -E2BIG or -ENOMEM with @e.
 */
int policy_glob_parse(struct policy_glob *g, const char *path, const char *cwd, const char *home,
		      struct arena *a, struct err *e);

/** policy_glob_start() - the parts that a name in base may match. */
uint64_t policy_glob_start(const struct policy_glob *g);

/**
 * policy_glob_step() - go from a directory to the entry @name of it.
 * @at: of the directory
 * @link: the entry is a symlink; `**` does not go through one
 * Return: the parts that a name in it may match; 0: nothing below can match.
 */
uint64_t policy_glob_step(const struct policy_glob *g, uint64_t at, const char *name, bool link);

/** policy_glob_accepts() - whether a place reached by steps is one that the pattern names. */
bool policy_glob_accepts(const struct policy_glob *g, uint64_t at);

#endif
