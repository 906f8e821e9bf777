/* SPDX-License-Identifier: Apache-2.0 */
#include "nearest.h"

#include <string.h>

#define LONGEST 64 /* longer words are no names of ours */

/* How many letters must be added, removed, changed or swapped with their neighbour to make @b of the @len bytes at @a. */
static size_t distance(const char *a, size_t len, const char *b)
{
	size_t rows[3][LONGEST], *before = rows[0], *last = rows[1], *row = rows[2], *spare;
	size_t i, j, n = strlen(b);

	for (j = 0; j <= n; j++)
		last[j] = j;
	for (i = 1; i <= len; i++) {
		row[0] = i;
		for (j = 1; j <= n; j++) {
			size_t cost = last[j - 1] + (a[i - 1] != b[j - 1]);

			if (last[j] + 1 < cost)
				cost = last[j] + 1;
			if (row[j - 1] + 1 < cost)
				cost = row[j - 1] + 1;
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
			    before[j - 2] + 1 < cost)
				cost = before[j - 2] + 1;
			row[j] = cost;
		}
		spare = before;
		before = last;
		last = row;
		row = spare;
	}
	return last[n];
}

void nearest_offer(struct nearest *n, const char *candidate)
{
	size_t d;

	if (n->len >= LONGEST || strlen(candidate) >= LONGEST)
		return;
	d = distance(n->word, n->len, candidate);
	if (d < n->limit) {
		n->limit = d;
		n->best = candidate;
	}
}
