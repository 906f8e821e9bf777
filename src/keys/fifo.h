/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes on their way, with a cap. What it held is erased before its memory is given back: it may have been a secret. */
#ifndef BAILEY_KEYS_FIFO_H
#define BAILEY_KEYS_FIFO_H

#include <stdbool.h>
#include <stddef.h>

/* Its memory is at most twice the cap: bytes are not moved for every few that come. */
struct fifo {
	char *p;      /* owned; NULL while nothing is in it */
	size_t at, n; /* the @n bytes from @at on are in it */
	size_t size, max;
};

#define FIFO_INIT(limit)                                              \
	{                                                             \
		.p = NULL, .at = 0, .n = 0, .size = 0, .max = (limit) \
	}

/** fifo_add() - append @n bytes. Return: whether they fit and there was memory; else nothing was added. */
bool fifo_add(struct fifo *f, const void *p, size_t n);

/** fifo_space() - a place of at least @n bytes behind what is there; fifo_added() says how many of them were filled. Return: it, or NULL. */
char *fifo_space(struct fifo *f, size_t n);

/** fifo_added() - @n bytes were written to the place that fifo_space() gave. */
static inline void fifo_added(struct fifo *f, size_t n)
{
	f->n += n;
}

/** fifo_head() - the first of the f->n bytes. */
static inline const char *fifo_head(const struct fifo *f)
{
	return f->p + f->at;
}

/** fifo_room() - how many more bytes it can take. */
static inline size_t fifo_room(const struct fifo *f)
{
	return f->max - f->n;
}

/** fifo_take() - the first @n bytes are dealt with. When it gets empty its memory is given back. */
void fifo_take(struct fifo *f, size_t n);

/** fifo_done() - erase and free. */
void fifo_done(struct fifo *f);

#endif
