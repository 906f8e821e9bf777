/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The word of a list that a mistyped word resembles, for "did you mean".
 *
 *	struct nearest n = NEAREST_INIT(word, strlen(word));
 *	for (c = commands; c->name; c++)
 *		nearest_offer(&n, c->name);
 *	if (n.best) …
 */
#ifndef BAILEY_UTIL_NEAREST_H
#define BAILEY_UTIL_NEAREST_H

#include <stddef.h>

struct nearest {
	const char *word; /* borrowed; need not end with a NUL */
	size_t len;
	size_t limit;     /* fewer edits than this are a resemblance */
	const char *best; /* borrowed; NULL: none resembles it */
};

/* At most half of the letters differ, and at most three. */
#define NEAREST_INIT(w, n)                                                                        \
	{                                                                                         \
		.word = (w), .len = (n), .limit = (n) / 2 + 1 < 4 ? (n) / 2 + 1 : 4, .best = NULL \
	}

/** nearest_offer() - take @candidate if it is nearer than what was offered before. It must outlive @n. */
void nearest_offer(struct nearest *n, const char *candidate);

#endif
