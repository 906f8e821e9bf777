/* SPDX-License-Identifier: Apache-2.0 */
/* What is in a directory: all of it, in the order of bytes, and no more than was asked for. */
#include "tap.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "util/util.h"

static int make(char top[static 32])
{
	int fd;

	(void)snprintf(top, 32, "/tmp/bailey-entries-XXXXXX");
	REQUIRE(mkdtemp(top));
	fd = open(top, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	REQUIRE(fd >= 0);
	return fd;
}

TEST(nothing)
{
	char top[32];
	struct entries l;
	int fd = make(top);

	CHECK(entries_read(fd, 0, &l) == 0 && l.n == 0 && !entries_have(&l, "."));
	entries_done(&l);
	close(fd);
	CHECK(tree_remove(AT_FDCWD, top) == 0);
}

TEST(the_order_of_bytes_and_the_limit)
{
	static const char *const names[] = { "b", "B", "a b", "\xff", "..x", "a", "10", "9" };
	static const char *const sorted[] = { "..x", "10", "9", "B", "a", "a b", "b", "\xff" };
	char top[32];
	struct entries l;
	size_t i;
	int fd = make(top);

	for (i = 0; i < ARRAY_SIZE(names); i++)
		REQUIRE(mkdirat(fd, names[i], 0700) == 0);
	REQUIRE(entries_read(fd, ARRAY_SIZE(names), &l) == 0 && l.n == ARRAY_SIZE(names));
	for (i = 0; i < ARRAY_SIZE(sorted); i++)
		CHECK_STR(l.v[i], sorted[i]);
	CHECK(entries_have(&l, "a b") && !entries_have(&l, "c"));
	entries_done(&l);
	REQUIRE(lseek(fd, 0, SEEK_SET) == 0);
	CHECK(entries_read(fd, ARRAY_SIZE(names) - 1, &l) == -E2BIG);
	entries_done(&l);
	close(fd);
	CHECK(tree_remove(AT_FDCWD, top) == 0);
}

TEST(more_than_one_read_of_the_kernel)
{
	char top[32], name[32];
	struct entries l;
	size_t i;
	int fd = make(top);

	for (i = 0; i < 3000; i++) {
		(void)snprintf(name, sizeof(name), "%05zu", (i * 7919) % 3000);
		REQUIRE(mkdirat(fd, name, 0700) == 0);
	}
	REQUIRE(entries_read(fd, 100000, &l) == 0 && l.n == 3000);
	for (i = 1; i < l.n; i++) {
		if (strcmp(l.v[i - 1], l.v[i]) >= 0)
			FAIL("%s before %s", l.v[i - 1], l.v[i]);
	}
	entries_done(&l);
	close(fd);
	CHECK(tree_remove(AT_FDCWD, top) == 0);
}

TEST(no_directory)
{
	struct entries l;

	CHECK(entries_read(-1, 10, &l) == -EBADF && l.n == 0);
	entries_done(&l);
}
