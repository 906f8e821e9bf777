/* SPDX-License-Identifier: Apache-2.0 */
#include "minimal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int compare(const void *a, const void *b)
{
	return path_compare(*(const char *const *)a, *(const char *const *)b);
}

/* Sort, and leave out what another covers. */
static size_t tidy(const char **paths, size_t n)
{
	size_t i, kept = 0;

	qsort(paths, n, sizeof(*paths), compare);
	for (i = 0; i < n; i++) {
		/* parents come first, and what they cover follows them */
		if (kept == 0 || !path_covers(paths[kept - 1], paths[i]))
			paths[kept++] = paths[i];
	}
	return kept;
}

/* Length of the directory that @path is in; 0: that is "/". */
static size_t parent_len(const char *path)
{
	return (size_t)(strrchr(path, '/') - path);
}

static size_t siblings(const char *const *paths, size_t n, const char *path)
{
	const size_t len = parent_len(path);
	size_t i, found = 0;

	for (i = 0; i < n; i++)
		found += parent_len(paths[i]) == len && memcmp(paths[i], path, len) == 0;
	return found;
}

int minimal_paths(const char **paths, size_t n, struct arena *a,
		  bool (*may)(const void *arg, const char *dir), const void *arg)
{
	char *dir;
	size_t i = 0;

	n = tidy(paths, n);
	while (i < n) {
		const size_t len = parent_len(paths[i]);

		if (len == 0 || siblings(paths, n, paths[i]) <= MINIMAL_SIBLINGS) {
			i++;
			continue;
		}
		dir = arena_alloc(a, len + 1);
		if (!dir)
			return -ENOMEM;
		memcpy(dir, paths[i], len);
		if (!may(arg, dir)) {
			i++;
			continue;
		}
		paths[i] = dir;
		n = tidy(paths, n);
		i = 0; /* what is merged may be one of many itself; each round there are fewer */
	}
	return (int)n;
}
