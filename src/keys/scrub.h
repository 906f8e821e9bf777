/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Texts replaced in a stream, wherever a piece of it ends. Pure; memory is bounded by the longest text, and erased.
 *
 *	struct scrub *s = NULL;
 *	scrub_new(&s, pairs, n, SCRUB_ALL, e);	secrets in answers become sentinels
 *	scrub_step(s, p, n, &out); …		pieces as they come
 *	scrub_end(s, &out);			what was kept because it could have been the beginning of one
 *	scrub_free(s);
 */
#ifndef BAILEY_KEYS_SCRUB_H
#define BAILEY_KEYS_SCRUB_H

#include <stdbool.h>
#include <stddef.h>

#include "util/util.h"

struct scrub;

struct scrub_pair {
	const char *from, *to; /* borrowed until scrub_free() */
};

enum scrub_forms {
	SCRUB_RAW, /* exactly the bytes */
	SCRUB_ALL, /* also each byte as %XX or, in JSON, \/ and \u00XX; hexadecimal; base64 at each of its three positions, of either alphabet */
};

/** scrub_new() - Return: 0, -EINVAL for an empty text, -ENOMEM. */
int scrub_new(struct scrub **ret, const struct scrub_pair *pairs, size_t n, enum scrub_forms forms,
	      struct err *e);

/**
 * scrub_renew() - other pairs from here on, between two pieces: what was kept because it could have been the beginning of a text is looked at anew, what was passed on is not.
 * The old pairs are borrowed no more. Return: as above; then nothing has changed.
 */
int scrub_renew(struct scrub *s, const struct scrub_pair *pairs, size_t n, struct err *e);

/** scrub_step() - take @n bytes, append what is decided to @out. Return: 0 or -EFBIG (@out's cap, or no memory). */
int scrub_step(struct scrub *s, const char *p, size_t n, struct buf *out);

/** scrub_end() - the stream has ended: append the rest. @s is as new. Return: as above. */
int scrub_end(struct scrub *s, struct buf *out);

/** scrub_count() - how many were replaced so far. */
size_t scrub_count(const struct scrub *s);

/** scrub_last() - the .from of the pair that was replaced last, itself; NULL: none of these pairs was, or @s is NULL. */
const char *scrub_last(const struct scrub *s);

/** scrub_size() - bytes of memory that it has now; takes NULL. */
size_t scrub_size(const struct scrub *s);

/** scrub_free() - erase and free; takes NULL. */
struct scrub *scrub_free(struct scrub *s);

#endif
