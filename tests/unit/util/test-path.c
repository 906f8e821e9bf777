/* SPDX-License-Identifier: Apache-2.0 */
#include "tap.h"
#include "util/util.h"

#include <errno.h>

static void becomes(const char *in, const char *want)
{
	char out[LIMIT_PATH];
	struct err e = ERR_INIT;

	if (path_normalize(in, "/some/dir", "/home/u", out, &e) < 0)
		FAIL("'%s': %s", in, e.msg);
	else if (strcmp(out, want) != 0)
		FAIL("'%s' became '%s', not '%s'", in, out, want);
}

static void refused(const char *in, const char *home, int r)
{
	char out[LIMIT_PATH];
	struct err e = ERR_INIT;

	if (path_normalize(in, "/some/dir", home, out, &e) != r || !e.msg[0] || e.code != ERR_USAGE)
		FAIL("'%.40s' is not refused as it should: %s", in, e.msg);
}

TEST(absolute)
{
	becomes("/", "/");
	becomes("//", "/");
	becomes("/.", "/");
	becomes("/a/b", "/a/b");
	becomes("/a//b///", "/a/b");
	becomes("/./a/./b/.", "/a/b");
	becomes("/a/.b/..c/...", "/a/.b/..c/...");
	becomes("/a b/\n", "/a b/\n");
}

TEST(parents)
{
	becomes("/..", "/");
	becomes("/../..", "/");
	becomes("/a/..", "/");
	becomes("/a/../b", "/b");
	becomes("/a/b/../../../c", "/c");
	becomes("/a/b/..", "/a");
}

TEST(relative)
{
	becomes("x", "/some/dir/x");
	becomes(".", "/some/dir");
	becomes("./", "/some/dir");
	becomes("..", "/some");
	becomes("../../..", "/");
	becomes("../x/./y/", "/some/x/y");
}

TEST(home)
{
	becomes("~", "/home/u");
	becomes("~/", "/home/u");
	becomes("~/.ssh", "/home/u/.ssh");
	becomes("~/..", "/home");
	becomes("~x", "/some/dir/~x");
	becomes("a/~", "/some/dir/a/~");
	becomes("/~", "/~");
}

TEST(home_of_root_directory)
{
	char out[LIMIT_PATH];

	CHECK(path_normalize("~", "/w", "/", out, NULL) == 0);
	CHECK_STR(out, "/");
	CHECK(path_normalize("~/a", "/", "/", out, NULL) == 0);
	CHECK_STR(out, "/a");
	CHECK(path_normalize("a", "/", NULL, out, NULL) == 0);
	CHECK_STR(out, "/a");
}

TEST(refusals)
{
	refused("", "/home/u", -EINVAL);
	refused("~", NULL, -EINVAL);
	refused("~/x", NULL, -EINVAL);
	refused("~/x", "", -EINVAL);
	refused("~/x", "home", -EINVAL);
	CHECK(path_normalize("", "/", NULL, (char[LIMIT_PATH]){ 0 }, NULL) == -EINVAL);
}

TEST(the_longest_path_fits_exactly)
{
	char in[LIMIT_PATH + 8], out[LIMIT_PATH];
	struct err e = ERR_INIT;

	memset(in, 'a', sizeof(in));
	in[0] = '/';
	in[LIMIT_PATH - 1] = '\0';
	CHECK(path_normalize(in, "/", NULL, out, &e) == 0);
	CHECK_STR(out, in);
	in[LIMIT_PATH - 1] = 'a';
	in[LIMIT_PATH] = '\0';
	refused(in, NULL, -ENAMETOOLONG);
	/* what is short in the end may be long on the way, but not beyond the cap */
	memcpy(in + LIMIT_PATH - 9, "/../b", 6);
	CHECK(path_normalize(in, "/", NULL, out, &e) == 0);
	CHECK_STR(out, "/b");
}

TEST(covers)
{
	CHECK(path_covers("/", "/"));
	CHECK(path_covers("/", "/a/b"));
	CHECK(path_covers("/a", "/a"));
	CHECK(path_covers("/a", "/a/b"));
	CHECK(!path_covers("/a", "/ab"));
	CHECK(!path_covers("/a", "/"));
	CHECK(!path_covers("/a/b", "/a"));
	CHECK(!path_covers("/a/b", "/a/c"));
	CHECK(!path_covers("/a/b", "/a/bc/d"));
	CHECK(path_covers("a", "a/b"));
	CHECK(!path_covers("a", "b"));
}

TEST(depth)
{
	CHECK(path_depth("/") == 0);
	CHECK(path_depth("/a") == 1);
	CHECK(path_depth("/a/b/c") == 3);
}

static int compare_strings(const void *a, const void *b)
{
	return path_compare(*(const char *const *)a, *(const char *const *)b);
}

TEST(order_puts_parents_first_and_keeps_families_together)
{
	static const char *const want[] = { "/",      "/a",   "/a/b", "/a/b/c",  "/a/b!",
					    "/a/b-c", "/a/c", "/a!",  "/a-b",    "/a-b/x",
					    "/a.b",   "/ab",  "/b",   "/b/\xff", "/\xff" };
	const char *got[ARRAY_SIZE(want)];
	size_t i, k;

	for (i = 0; i < ARRAY_SIZE(want); i++)
		got[i] = want[(i * 7) % ARRAY_SIZE(want)];
	qsort(got, ARRAY_SIZE(got), sizeof(got[0]), compare_strings);
	for (i = 0; i < ARRAY_SIZE(want); i++)
		CHECK_STR(got[i], want[i]);
	for (i = 0; i < ARRAY_SIZE(want); i++) {
		for (k = 0; k < ARRAY_SIZE(want); k++) {
			int r = path_compare(want[i], want[k]);

			if ((r > 0) - (r < 0) != (i > k) - (i < k))
				FAIL("'%s' against '%s': %d", want[i], want[k], r);
		}
	}
}
