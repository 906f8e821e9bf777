/* SPDX-License-Identifier: Apache-2.0 */
#include "turns.h"

#include <errno.h>
#include <stdlib.h>

#include "util/util.h"

int turns_begin(struct turns *t)
{
	*t = (struct turns){ .at = malloc(LIMIT_TURNS * sizeof(*t->at)) };
	return t->at ? 0 : -ENOMEM;
}

static uint64_t get(const struct turns *t, size_t i)
{
	return t->at[(t->first + i) % LIMIT_TURNS];
}

static void forget(struct turns *t)
{
	t->before ^= 1u;
	t->first = (t->first + 1) % LIMIT_TURNS;
	t->n--;
}

bool turns_full(const struct turns *t)
{
	return t->n == LIMIT_TURNS;
}

uint64_t turns_next(const struct turns *t)
{
	return t->n ? get(t, 0) : UINT64_MAX;
}

void turns_add(struct turns *t, uint64_t pos, unsigned int stream, uint64_t oldest)
{
	if (!t->at)
		return;
	while (t->n && get(t, 0) <= oldest)
		forget(t);
	if (stream == t->last)
		return;
	if (turns_full(t)) {
		t->known = get(t, 0);
		forget(t);
	}
	t->at[(t->first + t->n++) % LIMIT_TURNS] = pos;
	t->last = stream;
}

unsigned int turns_at(const struct turns *t, uint64_t pos, uint64_t *ret_until)
{
	size_t from = 0, to = t->n; /* at[i] <= pos for i < from, at[i] > pos for i >= to */

	while (from < to) {
		const size_t i = from + (to - from) / 2;

		if (get(t, i) <= pos)
			from = i + 1;
		else
			to = i;
	}
	*ret_until = from < t->n ? get(t, from) : UINT64_MAX;
	return t->before ^ (from & 1u);
}

void turns_done(struct turns *t)
{
	free(t->at);
	*t = (struct turns){ .n = 0 };
}
