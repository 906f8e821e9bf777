/* SPDX-License-Identifier: Apache-2.0 */
/* The least that must be given so that what was denied would have been allowed. Pure: nothing here looks at a file. */
#ifndef BAILEY_CLI_MINIMAL_H
#define BAILEY_CLI_MINIMAL_H

#include "util/util.h"

#define MINIMAL_SIBLINGS 8 /* more than that are merged into their directory */

/**
 * minimal_paths() - make @paths the smallest set that covers what they cover, in order, parents first.
 * @paths: @n normalised paths, borrowed; changed
 * @a: holds the names of directories that were put in the place of what is in them
 * @may: whether a directory may be given as a whole, with all that is in it
 * Return: how many are left, or -ENOMEM.
 */
int minimal_paths(const char **paths, size_t n, struct arena *a,
		  bool (*may)(const void *arg, const char *dir), const void *arg);

#endif
