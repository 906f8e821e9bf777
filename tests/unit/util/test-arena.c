/* SPDX-License-Identifier: Apache-2.0 */
#include "tap.h"
#include "util/util.h"

#include <stdint.h>

TEST(memory_is_zeroed_aligned_and_separate)
{
	struct arena a = ARENA_INIT(LIMIT_ARENA);
	unsigned char *last = NULL;
	size_t n, i;

	for (n = 1; n < 300; n++) {
		unsigned char *p = arena_alloc(&a, n);

		REQUIRE(p);
		CHECK((uintptr_t)p % _Alignof(max_align_t) == 0);
		for (i = 0; i < n; i++) {
			if (p[i])
				FAIL("byte %zu of %zu is not zero", i, n);
		}
		memset(p, 0xff, n);
		CHECK(!last || p != last);
		last = p;
	}
	arena_done(&a);
	CHECK(!a.head && a.total == 0);
}

TEST(a_big_piece_gets_a_block_of_its_own)
{
	struct arena a = ARENA_INIT(LIMIT_ARENA);
	char *p = arena_alloc(&a, 1 << 20);

	REQUIRE(p);
	memset(p, 1, 1 << 20);
	CHECK(arena_alloc(&a, 16));
	arena_done(&a);
}

TEST(the_cap_holds_and_later_pieces_still_fit)
{
	struct arena a = ARENA_INIT(40000);
	size_t given = 0;

	CHECK(!arena_alloc(&a, 40001));
	CHECK(!arena_alloc(&a, SIZE_MAX));
	CHECK(a.total == 0);
	while (arena_alloc(&a, 1000))
		given += 1000;
	CHECK(given >= 30000 && given <= 40000);
	CHECK(a.total <= a.max);
	CHECK(arena_alloc(&a, 16)); /* what is left of a block is not lost */
	arena_done(&a);
	CHECK(arena_alloc(&a, 1000)); /* may be used again */
	arena_done(&a);
}

TEST(strings)
{
	struct arena a = ARENA_INIT(LIMIT_ARENA);
	char big[20001];

	CHECK_STR(arena_strdup(&a, ""), "");
	CHECK_STR(arena_strdup(&a, "x"), "x");
	CHECK_STR(arena_printf(&a, "%s/%d", "a", 7), "a/7");
	CHECK_STR(arena_printf(&a, "%s", ""), "");
	memset(big, 'b', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	CHECK_STR(arena_printf(&a, "%s", big), big);
	CHECK_STR(arena_strdup(&a, big), big);
	arena_done(&a);
	a.max = 100;
	CHECK(!arena_printf(&a, "%s", big));
	CHECK(!arena_strdup(&a, big));
	arena_done(&a);
}
