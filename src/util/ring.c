/* SPDX-License-Identifier: Apache-2.0 */
#include "ring.h"

#include <stdlib.h>
#include <string.h>

#define FIRST_SIZE 4096u /* what each may have, whatever the budget says */

void ring_init(struct ring *r, size_t max, struct ring_budget *budget)
{
	*r = (struct ring){ .max = max, .budget = budget };
}

/* Twice as big. Until it is fixed a ring has never lost a byte, so what it has begins at its beginning. */
static void grow(struct ring *r)
{
	size_t size = r->size ? 2 * r->size : FIRST_SIZE;
	char *data = NULL;

	if (size > r->max)
		size = r->max;
	if (!r->size || r->budget->used + (size - r->size) <= r->budget->max)
		data = realloc(r->data, size);
	if (!data) {
		r->fixed = true;
		return;
	}
	r->budget->used += size - r->size;
	r->data = data;
	r->size = size;
	r->fixed = size == r->max;
}

size_t ring_prepare(struct ring *r, size_t n)
{
	size_t before;

	while (!r->fixed && r->total + n > r->size) {
		before = r->size;
		grow(r);
		if (r->size == before)
			break;
	}
	return r->size;
}

void ring_add(struct ring *r, const void *p, size_t n)
{
	const char *bytes = p;
	size_t size = ring_prepare(r, n), at, part;

	if (!size) {
		r->total += n;
		return;
	}
	if (n > size) {
		r->lost = bytes[n - size - 1];
		r->total += n - size;
		bytes += n - size;
		n = size;
	} else if (n && r->total + n > size) {
		r->lost = r->data[(r->total + n - 1) % size];
	}
	at = (size_t)(r->total % size);
	part = n < size - at ? n : size - at;
	memcpy(r->data + at, bytes, part);
	memcpy(r->data, bytes + part, n - part);
	r->total += n;
}

uint64_t ring_oldest(const struct ring *r)
{
	return r->total > r->size ? r->total - r->size : 0;
}

uint64_t ring_oldest_line(const struct ring *r)
{
	const uint64_t oldest = ring_oldest(r);
	uint64_t at = oldest;
	const char *p, *end;
	size_t len;

	if (!oldest || r->lost == '\n')
		return oldest;
	while (at < r->total) {
		p = ring_at(r, at, &len);
		end = memchr(p, '\n', len);
		at += end ? (uint64_t)(end - p) + 1 : len;
		if (end)
			return at;
	}
	return oldest;
}

const char *ring_at(const struct ring *r, uint64_t at, size_t *ret_len)
{
	size_t from = r->size ? (size_t)(at % r->size) : 0;
	uint64_t left = r->total - at;

	*ret_len = left < r->size - from ? (size_t)left : r->size - from;
	return r->data + from;
}

void ring_done(struct ring *r)
{
	r->budget->used -= r->size;
	free(r->data);
	*r = (struct ring){ .max = r->max, .budget = r->budget };
}
