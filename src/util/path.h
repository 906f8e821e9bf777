/* SPDX-License-Identifier: Apache-2.0 */
/* Lexical work on absolute paths; nothing here looks at a file system. */
#ifndef BAILEY_UTIL_PATH_H
#define BAILEY_UTIL_PATH_H

#include <stdbool.h>
#include <stddef.h>

struct err;

/**
 * path_normalize() - make @path absolute and plain: no empty, "." or ".." components, no trailing slash.
 * @path: absolute, relative to @cwd, or starting with "~" or "~/" (@home); not empty
 * @cwd: absolute
 * @home: absolute, or NULL: then "~" is an error
 * @out: LIMIT_PATH bytes
 * ".." is taken away lexically: for rules that is what the writer meant; files are resolved by the kernel, not by this.
 * Return: 0, or -EINVAL, -ENAMETOOLONG with @e.
 */
int path_normalize(const char *path, const char *cwd, const char *home, char *out, struct err *e);

/** path_covers() - whether @path is @dir or lies below it. Both normalised, and absolute or below the same directory. */
bool path_covers(const char *dir, const char *path);

/** path_depth() - number of components; 0 for "/". */
size_t path_depth(const char *path);

/** path_compare() - order in which parents come before children and siblings stay together (qsort). */
int path_compare(const char *a, const char *b);

#endif
