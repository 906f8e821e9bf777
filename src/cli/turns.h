/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which of two streams, 0 and 1, the bytes of a ring (util/ring.h) came from: the positions where the other one begins. As many of the last ones are
 * kept as there are places; of what was written before these nothing is known, so nobody is shown it.
 */
#ifndef BAILEY_CLI_TURNS_H
#define BAILEY_CLI_TURNS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct turns {
	uint64_t *at; /* owned; NULL: there is one stream */
	size_t first, n;
	uint64_t known;            /* of older bytes nothing is known */
	unsigned int before, last; /* the stream before at[first]; of the newest byte */
};

/** turns_begin() - of two streams. Return: 0 or -ENOMEM. turns_done() in any case. A struct of zeros is that of one. */
int turns_begin(struct turns *t);

/**
 * turns_add() - the bytes from @pos on, the newest, are of @stream.
 * @oldest: those before are not kept by the ring
 */
void turns_add(struct turns *t, uint64_t pos, unsigned int stream, uint64_t oldest);

/** turns_full() - whether one more turn makes the oldest one unknown. */
bool turns_full(const struct turns *t);

/** turns_next() - the oldest turn that is kept; UINT64_MAX: there is none. */
uint64_t turns_next(const struct turns *t);

/** turns_at() - the stream of the byte at @pos, which is known. @ret_until: up to where that goes; UINT64_MAX: to the newest. */
unsigned int turns_at(const struct turns *t, uint64_t pos, uint64_t *ret_until);

void turns_done(struct turns *t);

#endif
