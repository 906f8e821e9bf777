/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What was written last to something that goes on. Bytes have positions, counted from the first that ever was; the ring keeps as many of the
 * last ones as it may have. It takes memory only when bytes come, in steps, and several share a budget; when that is used up a ring stays as
 * small as it is.
 */
#ifndef BAILEY_UTIL_RING_H
#define BAILEY_UTIL_RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ring_budget {
	size_t used, max; /* bytes */
};

struct ring {
	char *data; /* owned */
	size_t size, max;
	uint64_t total; /* position of the next byte */
	bool fixed;     /* it can't become bigger any more */
	char lost;      /* the byte before the oldest that is kept, when there was one */
	struct ring_budget *budget;
};

/** ring_init() - an empty one, which has at most @max bytes. @budget: borrowed */
void ring_init(struct ring *r, size_t max, struct ring_budget *budget);

/** ring_prepare() - take the memory that @n more bytes would need, as far as that may be. Return: bytes that can be kept; 0: no memory at all. */
size_t ring_prepare(struct ring *r, size_t n);

/** ring_add() - @n more bytes; the oldest go when there is no room. */
void ring_add(struct ring *r, const void *p, size_t n);

/** ring_oldest() - position of the oldest byte that is kept. */
uint64_t ring_oldest(const struct ring *r);

/**
 * ring_oldest_line() - position of the oldest byte that begins a line: who reads lines has none whose beginning has gone.
 * Return: it; ring_oldest() when none begins in what is kept.
 */
uint64_t ring_oldest_line(const struct ring *r);

/** ring_at() - the bytes from position @at on, which must be kept. @ret_len: how many stand together. Return: the first of them. */
const char *ring_at(const struct ring *r, uint64_t at, size_t *ret_len);

/** ring_done() - give the memory back; the ring is empty then. */
void ring_done(struct ring *r);

#endif
