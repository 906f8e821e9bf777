/* SPDX-License-Identifier: Apache-2.0 */
#include "../../../src/cli/minimal.h"

#include "tap.h"

#include <stdio.h>
#include <string.h>

#define MAX 256

/* "/" and what is above /home/u, and itself, never; and nothing with a secret in it. */
static bool may(const void *arg, const char *dir)
{
	const char *secret = arg;

	return strcmp(dir, "/") != 0 && !path_covers(dir, "/home/u") &&
	       !(secret && path_covers(dir, secret));
}

/* Both lists end with NULL. */
static void becomes(const char *const *in, const char *const *want, const char *secret)
{
	struct arena a = ARENA_INIT(1u << 20);
	const char *paths[MAX];
	size_t n = 0;
	int left, i;

	while (in[n]) {
		paths[n] = in[n];
		n++;
	}
	left = minimal_paths(paths, n, &a, may, secret);
	for (i = 0; i < left && want[i]; i++) {
		if (strcmp(paths[i], want[i]) != 0)
			FAIL("place %d is '%s', not '%s'", i, paths[i], want[i]);
	}
	if (left < 0 || i != left || want[i])
		FAIL("%d are left", left);
	arena_done(&a);
}

#define LIST(...) ((const char *const[]){ __VA_ARGS__, NULL })
#define NONE ((const char *const[]){ NULL })

/* @dir with "/0", "/1" … @n of them. */
static const char *const *many(const char *dir, size_t n, const char *rest)
{
	static char names[MAX][64];
	static const char *list[MAX];
	size_t i;

	for (i = 0; i < n; i++) {
		(void)snprintf(names[i], sizeof(names[i]), "%s/%zu%s", dir, i, rest);
		list[i] = names[i];
	}
	list[n] = NULL;
	return list;
}

TEST(what_another_covers_is_left_out)
{
	becomes(NONE, NONE, NULL);
	becomes(LIST("/a"), LIST("/a"), NULL);
	becomes(LIST("/a/b", "/a", "/a/b/c", "/ab", "/a"), LIST("/a", "/ab"), NULL);
	becomes(LIST("/a/b", "/a/b.c", "/a/b/c"), LIST("/a/b", "/a/b.c"), NULL);
}

TEST(many_siblings_are_merged)
{
	struct arena a = ARENA_INIT(1u << 20);
	const char *paths[MAX];
	const char *const *eight = many("/d", 8, "");
	size_t i;

	for (i = 0; i < 8; i++)
		paths[i] = eight[i];
	CHECK(minimal_paths(paths, 8, &a, may, NULL) == 8);
	arena_done(&a);
	becomes(many("/d", 9, ""), LIST("/d"), NULL);
	becomes(many("/d/e", 9, ""), LIST("/d/e"), NULL);
	/* nine directories with one each are no siblings */
	for (i = 0; i < 9; i++)
		paths[i] = many("/d", 9, "/x")[i];
	CHECK(minimal_paths(paths, 9, &a, may, NULL) == 9);
	arena_done(&a);
}

TEST(merged_directories_are_merged)
{
	static char names[81][32];
	const char *paths[81];
	struct arena a = ARENA_INIT(1u << 20);
	size_t i;

	for (i = 0; i < 81; i++) {
		(void)snprintf(names[i], sizeof(names[i]), "/t/%zu/%zu", i / 9, i % 9);
		paths[i] = names[i];
	}
	CHECK(minimal_paths(paths, 81, &a, may, NULL) == 1 && strcmp(paths[0], "/t") == 0);
	arena_done(&a);
}

TEST(never_a_home_or_the_root)
{
	const char *paths[MAX];
	struct arena a = ARENA_INIT(1u << 20);
	static const char *const dirs[] = { "", "/home", "/home/u" };
	size_t d, i;

	for (d = 0; d < 3; d++) {
		for (i = 0; i < 20; i++)
			paths[i] = many(dirs[d], 20, "")[i];
		CHECK(minimal_paths(paths, 20, &a, may, NULL) == 20);
	}
	arena_done(&a);
	becomes(many("/home/u/p", 20, ""), LIST("/home/u/p"), NULL);
}

TEST(never_what_is_kept_secret)
{
	const char *paths[MAX];
	struct arena a = ARENA_INIT(1u << 20);
	size_t i;

	for (i = 0; i < 20; i++)
		paths[i] = many("/home/u/c", 20, "")[i];
	CHECK(minimal_paths(paths, 20, &a, may, "/home/u/c/token") == 20);
	arena_done(&a);
}
