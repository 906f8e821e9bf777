/* SPDX-License-Identifier: Apache-2.0 */
/* What is in a directory, in the order of bytes: the same directory is the same list. */
#ifndef BAILEY_UTIL_ENTRIES_H
#define BAILEY_UTIL_ENTRIES_H

#include <stdbool.h>
#include <stddef.h>

struct entries {
	char **v; /* owned, with the names */
	size_t n, size;
};

/**
 * entries_read() - all names in the directory @dfd but "." and "..".
 * @dfd: opened for reading, borrowed; read from where it is
 * @max: how many at most
 * @ret: entries_done() in any case
 * Return: 0; -E2BIG: there are more; negative errno.
 */
int entries_read(int dfd, size_t max, struct entries *ret);

/** entries_have() - whether @name is among them. */
bool entries_have(const struct entries *l, const char *name);

void entries_done(struct entries *l);

#endif
