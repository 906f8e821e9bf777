/* SPDX-License-Identifier: Apache-2.0 */
#include "fifo.h"

#include <stdlib.h>
#include <string.h>

#define FIRST 4096u

void fifo_done(struct fifo *f)
{
	if (f->p)
		explicit_bzero(f->p, f->size);
	free(f->p);
	f->p = NULL;
	f->at = f->n = f->size = 0;
}

/* Make the bytes begin at the beginning, in memory of @size bytes. No realloc(): what it leaves behind is not erased. */
static bool move(struct fifo *f, size_t size)
{
	char *p;

	if (f->p && size <= f->size) {
		memmove(f->p, f->p + f->at, f->n);
		f->at = 0;
		return true;
	}
	p = malloc(size);
	if (!p)
		return false;
	if (f->p && f->n > 0)
		memcpy(p, f->p + f->at, f->n);
	if (f->p)
		explicit_bzero(f->p, f->size);
	free(f->p);
	f->p = p;
	f->at = 0;
	f->size = size;
	return true;
}

char *fifo_space(struct fifo *f, size_t n)
{
	size_t size = f->size ? f->size : FIRST;

	if (n > fifo_room(f))
		return NULL;
	if (f->p && f->size - f->at - f->n >= n)
		return f->p + f->at + f->n;
	while (size < f->n + n)
		size *= 2;
	/* moving few bytes a long way is cheap, many a short way is not: then it grows */
	if (size == f->size && f->at < f->n && size <= f->max)
		size *= 2;
	return move(f, size) ? f->p + f->n : NULL;
}

bool fifo_add(struct fifo *f, const void *p, size_t n)
{
	char *to;

	if (n == 0)
		return true;
	to = fifo_space(f, n);
	if (!to)
		return false;
	memcpy(to, p, n);
	f->n += n;
	return true;
}

void fifo_take(struct fifo *f, size_t n)
{
	f->at += n;
	f->n -= n;
	if (f->n == 0)
		fifo_done(f);
}
