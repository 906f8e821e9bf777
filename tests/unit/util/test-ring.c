/* SPDX-License-Identifier: Apache-2.0 */
#include "tap.h"
#include "util/util.h"

#include <stdlib.h>

static struct ring_budget budget;
static struct ring ring;

/* Byte of position @at in what the tests write. */
static char byte(uint64_t at)
{
	return (char)(at * 31 + at / 251);
}

static void add(size_t n)
{
	char *p = malloc(n + 1);
	size_t i;

	REQUIRE(p);
	for (i = 0; i < n; i++)
		p[i] = byte(ring.total + i);
	ring_add(&ring, p, n);
	free(p);
}

/* Everything that is kept is what was written, and ends with the last byte. */
static uint64_t check(void)
{
	uint64_t at = ring_oldest(&ring), wrong = 0;
	size_t len, i;

	while (at < ring.total) {
		const char *p = ring_at(&ring, at, &len);

		REQUIRE(len > 0 && len <= ring.total - at);
		for (i = 0; i < len; i++)
			wrong += p[i] != byte(at + i);
		at += len;
	}
	CHECK(wrong == 0);
	return ring.total - ring_oldest(&ring);
}

static void begin(size_t max, size_t all)
{
	budget = (struct ring_budget){ .max = all };
	ring_init(&ring, max, &budget);
}

TEST(nothing_costs_nothing)
{
	begin(1 << 20, 1 << 20);
	CHECK(ring.data == NULL && budget.used == 0 && check() == 0);
	ring_done(&ring);
	CHECK(budget.used == 0);
}

TEST(everything_is_kept_until_it_is_full)
{
	size_t n;

	begin(1 << 16, 1 << 20);
	for (n = 0; ring.total + n <= 1 << 16; n = n * 2 + 1) {
		add(n);
		CHECK(check() == ring.total);
	}
	add((1 << 16) - (size_t)ring.total);
	CHECK(check() == 1 << 16 && budget.used == 1 << 16);
	add(1);
	CHECK(check() == 1 << 16 && ring_oldest(&ring) == 1);
	ring_done(&ring);
	CHECK(budget.used == 0);
}

TEST(it_goes_round)
{
	static const size_t sizes[] = { 1, 7, 4096, 5000, 10000, 65536, 3 };
	size_t i;

	begin(10000, 1 << 20);
	for (i = 0; i < 200; i++) {
		add(sizes[i % ARRAY_SIZE(sizes)]);
		CHECK(check() == (ring.total < 10000 ? ring.total : 10000));
	}
	CHECK(budget.used == 10000);
	ring_done(&ring);
}

/* Each position once with the oldest byte at it, however the bytes come. */
TEST(the_oldest_line)
{
	static const char text[] = "one\ntwo\n\nthree";
	static const size_t sizes[] = { 1, 3, 4095, 4096, 4097, 9000 };
	uint64_t i, want;
	size_t s, n;

	for (s = 0; s < ARRAY_SIZE(sizes); s++) {
		begin(4096, 1 << 20);
		while (ring.total < 40000) {
			char part[9000];

			for (n = 0; n < sizes[s]; n++)
				part[n] = text[(ring.total + n) % (sizeof(text) - 1)];
			ring_add(&ring, part, n);
			i = ring_oldest(&ring);
			for (want = i; want && text[(want - 1) % (sizeof(text) - 1)] != '\n';
			     want++)
				;
			CHECK(ring_oldest_line(&ring) == want);
		}
		ring_done(&ring);
	}
	begin(4096, 1 << 20);
	add(0);
	CHECK(ring_oldest_line(&ring) == 0);
	for (i = 0; i < 5000; i++)
		ring_add(&ring, i == 3 ? "\n" : "x", 1);
	CHECK(ring_oldest_line(&ring) == ring_oldest(&ring) && ring_oldest(&ring) == 5000 - 4096);
	ring_done(&ring);
}

/* The first step is everybody's; what more there is is shared. */
TEST(a_budget_that_is_used_up)
{
	begin(1 << 20, 10000);
	budget.used = 9999;
	add(100000);
	CHECK(ring.size == 4096 && check() == 4096 && budget.used == 9999 + 4096);
	budget.used = 4096;
	add(100000);
	CHECK(ring.size == 4096); /* what has gone round does not grow any more */
	CHECK(check() == 4096);
	ring_done(&ring);
	CHECK(budget.used == 0);
}

TEST(what_can_be_kept_is_known_before)
{
	begin(1 << 16, 1 << 20);
	CHECK(ring_prepare(&ring, 1) == 4096 && ring_prepare(&ring, 4097) == 8192);
	CHECK(ring_prepare(&ring, 1 << 20) == 1 << 16);
	CHECK(ring.total == 0 && check() == 0);
	ring_done(&ring);
}
