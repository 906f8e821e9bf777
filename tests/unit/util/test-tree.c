/* SPDX-License-Identifier: Apache-2.0 */
/* Trees that are copied and removed: everything of them, and nothing beside them. */
#include "tap.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "util/util.h"

static char top[] = "/tmp/bailey-tree-XXXXXX";
static int dfd = -1;

static void begin(void)
{
	REQUIRE(mkdtemp(top));
	dfd = open(top, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	REQUIRE(dfd >= 0);
}

static void end(void)
{
	close(dfd);
	CHECK(tree_remove(AT_FDCWD, top) == 0);
	CHECK(access(top, F_OK) < 0);
}

static void put(const char *path, const char *text, mode_t mode)
{
	int fd = openat(dfd, path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	REQUIRE(fd >= 0 && fd_write_all(fd, text, strlen(text)) == 0 && fchmod(fd, mode) == 0);
	close(fd);
}

static mode_t mode_of(const char *path)
{
	struct stat st;

	return fstatat(dfd, path, &st, AT_SYMLINK_NOFOLLOW) < 0 ? 0 : st.st_mode;
}

static const char *text_of(const char *path)
{
	static char out[64];
	int fd = openat(dfd, path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, out, sizeof(out) - 1);

	if (fd >= 0)
		close(fd);
	out[n < 0 ? 0 : n] = '\0';
	return n < 0 ? "(none)" : out;
}

TEST(copy_of_everything)
{
	char link[16] = "";

	begin();
	REQUIRE(mkdirat(dfd, "a", 0755) == 0 && mkdirat(dfd, "a/b", 0700) == 0);
	put("a/f", "one", 0640);
	put("a/b/run", "two", 0755);
	REQUIRE(symlinkat("/etc/passwd", dfd, "a/link") == 0 && mkfifoat(dfd, "a/fifo", 0600) == 0);
	REQUIRE(fchmodat(dfd, "a/b/run", 04755, 0) == 0 && fchmodat(dfd, "a/b", 0555, 0) == 0);
	CHECK(tree_copy(dfd, "a", dfd, "c") == 0);
	CHECK_STR(text_of("c/f"), "one");
	CHECK_STR(text_of("c/b/run"), "two");
	CHECK(mode_of("c/f") == (S_IFREG | 0640));
	CHECK(mode_of("c/b/run") == (S_IFREG | 0755)); /* no set-id bit */
	CHECK(mode_of("c/b") == (S_IFDIR | 0555));
	CHECK(readlinkat(dfd, "c/link", link, sizeof(link) - 1) == 11 &&
	      strcmp(link, "/etc/passwd") == 0);
	CHECK(S_ISFIFO(mode_of("c/fifo")));
	CHECK(tree_copy(dfd, "a", dfd, "c") == -EEXIST);
	CHECK(tree_copy(dfd, "none", dfd, "d") == -ENOENT);
	end();
}

TEST(remove_follows_nothing)
{
	begin();
	REQUIRE(mkdirat(dfd, "keep", 0755) == 0 && mkdirat(dfd, "a", 0755) == 0 &&
		mkdirat(dfd, "a/shut", 0755) == 0);
	put("keep/f", "kept", 0644);
	put("a/shut/f", "x", 0);
	REQUIRE(symlinkat("../keep", dfd, "a/link") == 0 && symlinkat("keep", dfd, "link") == 0);
	REQUIRE(fchmodat(dfd, "a/shut", 0, 0) == 0 && fchmodat(dfd, "a", 0500, 0) == 0);
	CHECK(tree_remove(dfd, "a") == 0);
	CHECK(mode_of("a") == 0);
	CHECK(tree_remove(dfd, "link") == 0);
	CHECK_STR(text_of("keep/f"), "kept");
	CHECK(tree_remove(dfd, "none") == 0);
	end();
}

TEST(many_and_deep)
{
	char path[LIMIT_PATH] = "d", name[32];
	int i;

	begin();
	REQUIRE(mkdirat(dfd, "m", 0755) == 0);
	for (i = 0; i < 3000; i++) {
		(void)snprintf(name, sizeof(name), "m/%d", i);
		put(name, "", 0600);
	}
	CHECK(tree_copy(dfd, "m", dfd, "n") == 0 && mode_of("n/2999"));
	CHECK(tree_remove(dfd, "m") == 0 && mode_of("m") == 0);
	for (i = 0; i < LIMIT_TREE_DEPTH + 10; i++) {
		REQUIRE(mkdirat(dfd, path, 0755) == 0);
		memcpy(path + strlen(path), "/d", 3);
	}
	CHECK(tree_copy(dfd, "d", dfd, "e") == -ELOOP);
	CHECK(tree_remove(dfd, "d") == 0 && mode_of("d") == 0);
	CHECK(tree_remove(dfd, "e") == 0);
	end();
}

/* What hostile code has made in a place of ours must go: deeper than any path, closed at any depth, with names that stand in the way of ours. */
TEST(deeper_than_any_path)
{
	int at, next, i;

	begin();
	REQUIRE(mkdirat(dfd, "d", 0755) == 0);
	REQUIRE(mkdirat(dfd, "d/.deep-0", 0) == 0);
	put("d/.deep-1", "", 0);
	REQUIRE(mkdirat(dfd, "d/.deep-2", 0700) == 0);
	put("d/.deep-2/f", "", 0600);
	at = openat(dfd, "d", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	REQUIRE(at >= 0);
	for (i = 0; i < 3000; i++) {
		REQUIRE(mkdirat(at, "d", 0755) == 0 && mkdirat(at, "e", 0755) == 0);
		next = openat(at, "d", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		REQUIRE(next >= 0);
		if (i % LIMIT_TREE_DEPTH == 0)
			REQUIRE(fchmod(at, 0) == 0);
		(void)close(at);
		at = next;
	}
	(void)close(at);
	CHECK(tree_remove(dfd, "d") == 0 && mode_of("d") == 0);
	end();
}
