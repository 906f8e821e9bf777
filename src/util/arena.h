/* SPDX-License-Identifier: Apache-2.0 */
/* Memory of one value that lives and dies as a whole (a policy, a plan). Capped; zeroed. */
#ifndef BAILEY_UTIL_ARENA_H
#define BAILEY_UTIL_ARENA_H

#include <stddef.h>

struct arena_block;

struct arena {
	struct arena_block *head;
	size_t total, max;
	unsigned char *
		fixed; /* when not NULL: memory comes from here, max bytes, zeroed, aligned, borrowed */
};

#define ARENA_INIT(limit)                                               \
	{                                                               \
		.head = NULL, .total = 0, .max = (limit), .fixed = NULL \
	}

/** arena_alloc() - @n zeroed bytes, aligned for any type; owned by @a. Return: NULL when the cap or memory is exhausted. */
void *arena_alloc(struct arena *a, size_t n);

/** arena_strdup() - copy of @s, owned by @a. Return: NULL as arena_alloc(). */
char *arena_strdup(struct arena *a, const char *s);

/** arena_printf() - formatted string, owned by @a. Return: NULL as arena_alloc(). */
__attribute__((format(printf, 2, 3))) char *arena_printf(struct arena *a, const char *fmt, ...);

/** arena_done() - free everything; @a may be used again. */
void arena_done(struct arena *a);

#endif
