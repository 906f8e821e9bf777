/* SPDX-License-Identifier: Apache-2.0 */
/* Memory that holds secrets for a while: it never moves, so nothing of it is left behind, and it is erased. */
#ifndef BAILEY_KEYS_ERASE_H
#define BAILEY_KEYS_ERASE_H

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "util/util.h"

/** erase_buf_init() - a buffer that has all of its memory at once. Return: whether there was enough. */
static inline bool erase_buf_init(struct buf *b, size_t max)
{
	*b = (struct buf)BUF_INIT(max);
	b->data = malloc(max + 1);
	if (!b->data)
		return false;
	b->size = max + 1;
	b->data[0] = '\0';
	/* not to swap, where the limit allows it */
	(void)mlock(b->data, b->size);
	return true;
}

/** erase_buf_done() - erase and free. */
static inline void erase_buf_done(struct buf *b)
{
	if (b->data)
		explicit_bzero(b->data, b->size);
	buf_done(b);
}

/** erase_free() - erase a string and free it; takes NULL. */
static inline void erase_free(char *s)
{
	if (s)
		explicit_bzero(s, strlen(s));
	free(s);
}

/** erase_arena_init() - an arena of fixed memory. Return: whether there was enough. */
static inline bool erase_arena_init(struct arena *a, size_t max)
{
	*a = (struct arena)ARENA_INIT(max);
	a->fixed = aligned_alloc(64, (max + 63) / 64 * 64);
	if (!a->fixed)
		return false;
	memset(a->fixed, 0, max);
	(void)mlock(a->fixed, max); /* as above */
	return true;
}

/** erase_arena_done() - erase and free. */
static inline void erase_arena_done(struct arena *a)
{
	if (a->fixed)
		explicit_bzero(a->fixed, a->max);
	free(a->fixed);
	*a = (struct arena)ARENA_INIT(0);
}

/** erase_stack() - what functions that have returned left on the stack. */
__attribute__((noinline, unused)) static void erase_stack(void)
{
	char below[65536];

	explicit_bzero(below, sizeof(below));
}

#endif
