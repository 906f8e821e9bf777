/* SPDX-License-Identifier: Apache-2.0 */
/* Which stream a byte is of, against an array that knows it of each. */
#include "../../../src/cli/turns.h"
#include "tap.h"

#include "util/limits.h"

#define BYTES 40000
#define RING 30000

static unsigned char model[BYTES];

/* What @t says of each byte from @from on, and of the stretch that it stands in. */
static size_t count_wrong(const struct turns *t, uint64_t from, uint64_t total)
{
	uint64_t pos, until;
	size_t wrong = 0;

	for (pos = from; pos < total; pos++) {
		wrong += turns_at(t, pos, &until) != model[pos] || until <= pos;
		/* one that ends is followed by the other */
		wrong += until < total && model[until] == model[pos];
	}
	return wrong;
}

static uint64_t known_from(const struct turns *t, uint64_t oldest)
{
	return oldest > t->known ? oldest : t->known;
}

TEST(each_byte_has_its_stream)
{
	struct turns t;
	uint64_t total = 0, oldest = 0;
	unsigned int seed = 1, stream, n, i;

	REQUIRE(turns_begin(&t) == 0);
	while (total < BYTES - 64) {
		seed = seed * 1103515245u + 12345u;
		stream = seed >> 16 & 1;
		n = 1 + (seed >> 20) % (total < BYTES / 2 ? 60 : 3);
		oldest = total > RING ? total - RING : 0;
		turns_add(&t, total, stream, oldest);
		for (i = 0; i < n; i++)
			model[total++] = (unsigned char)stream;
		if (seed % 64 == 0)
			CHECK(count_wrong(&t, known_from(&t, oldest), total) == 0);
	}
	CHECK(turns_full(&t) && t.known > oldest); /* it came to the end of its places */
	CHECK(count_wrong(&t, known_from(&t, oldest), total) == 0);
	turns_done(&t);
}

TEST(as_many_as_there_are_places)
{
	struct turns t;
	uint64_t until, i;

	REQUIRE(turns_begin(&t) == 0);
	CHECK(turns_next(&t) == UINT64_MAX && turns_at(&t, 0, &until) == 0 && until == UINT64_MAX);
	turns_add(&t, 0, 0, 0); /* as it begins: no turn */
	CHECK(turns_next(&t) == UINT64_MAX);
	/* a byte each: 1 is of stream 1, 2 of 0, and so on */
	for (i = 1; i <= LIMIT_TURNS; i++)
		turns_add(&t, i, i & 1, 0);
	CHECK(turns_full(&t) && t.known == 0 && turns_next(&t) == 1);
	CHECK(turns_at(&t, 0, &until) == 0 && until == 1);
	CHECK(turns_at(&t, 1, &until) == 1 && until == 2);
	turns_add(&t, i, i & 1, 0);
	CHECK(turns_full(&t) && t.known == 1 && turns_next(&t) == 2);
	CHECK(turns_at(&t, 1, &until) == 1 && until == 2);
	i++;
	/* what the ring has lost frees places */
	turns_add(&t, i, i & 1, 100);
	CHECK(!turns_full(&t) && turns_next(&t) == 101);
	turns_done(&t);
}

TEST(one_stream)
{
	struct turns t = { .n = 0 };
	uint64_t until;

	turns_add(&t, 0, 1, 0);
	CHECK(turns_at(&t, 7, &until) == 0 && until == UINT64_MAX && !turns_full(&t));
	turns_done(&t);
}
