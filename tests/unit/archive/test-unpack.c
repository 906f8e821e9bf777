/* SPDX-License-Identifier: Apache-2.0 */
/* Streams of a sandbox, honest and not, unpacked here. */
#include "tap.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>

#include "archive/archive.h"

/* A directory of its own, which we stand in. */
static char home[] = "/tmp/bailey-unpack-XXXXXX";

static void enter(void)
{
	REQUIRE(mkdtemp(home) && chdir(home) == 0);
}

static void leave(void)
{
	const char *argv[] = { "rm", "-rf", home, NULL };
	pid_t pid = fork();

	if (pid == 0) {
		(void)execvp("rm", (char *const *)(uintptr_t)argv);
		_exit(127);
	}
	(void)waitpid(pid, NULL, 0);
}

static void put(struct buf *b, enum tar_type type, const char *path, const char *more)
{
	struct tar_entry t;
	char zeros[TAR_BLOCK] = "";

	tar_entry_init(&t);
	t.type = type;
	t.mode = type == TAR_DIR ? 0755 : 0644;
	t.mtime.tv_sec = 1000000000;
	snprintf(t.path, sizeof(t.path), "%s", path);
	if (type == TAR_FILE)
		t.size = strlen(more);
	else
		snprintf(t.link, sizeof(t.link), "%s", more);
	t.uid = geteuid();
	t.gid = getegid();
	tar_header(&t, b);
	if (type == TAR_FILE) {
		buf_add(b, more, strlen(more));
		buf_add(b, zeros, -strlen(more) & (TAR_BLOCK - 1));
	}
	tar_entry_done(&t);
}

/* What we never write: a header of the kind @type. */
static void put_special(struct buf *b, char type, const char *path)
{
	const size_t at = b->len;
	unsigned int sum = 0;
	size_t i;

	put(b, TAR_FILE, path, "");
	REQUIRE(b->len == at + TAR_BLOCK);
	b->data[at + 156] = type;
	memset(b->data + at + 148, ' ', 8);
	for (i = 0; i < TAR_BLOCK; i++)
		sum += (unsigned char)b->data[at + i];
	snprintf(b->data + at + 148, 8, "%06o", sum);
}

/* Return: of archive_unpack(). */
static int unpack(struct buf *b, const struct archive_unpack *u, struct err *e)
{
	char zeros[2 * TAR_BLOCK] = "";
	int pipes[2], r;
	pid_t pid;

	buf_add(b, zeros, sizeof(zeros));
	REQUIRE(!b->failed && pipe(pipes) == 0);
	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		(void)close(pipes[0]);
		(void)signal(SIGPIPE, SIG_IGN);
		_exit(fd_write_all(pipes[1], b->data, b->len) ? 1 : 0);
	}
	(void)close(pipes[1]);
	r = archive_unpack(u, pipes[0], e);
	(void)close(pipes[0]);
	(void)waitpid(pid, NULL, 0);
	buf_done(b);
	*b = (struct buf)BUF_INIT(1u << 24);
	return r;
}

static bool is(const char *path, const char *text)
{
	struct buf b = BUF_INIT(65536);
	int fd = open(path, O_RDONLY | O_NOFOLLOW);
	bool yes = fd >= 0 && fd_read_all(fd, &b) == 0 && b.len == strlen(text) &&
		   memcmp(b.data, text, b.len) == 0;

	if (fd >= 0)
		(void)close(fd);
	buf_done(&b);
	return yes;
}

static bool absent(const char *path)
{
	struct stat st;

	return lstat(path, &st) < 0 && errno == ENOENT;
}

TEST(honest)
{
	const struct archive_unpack new = { .path = "new" }, as = { .path = "name" },
				    there = { .path = "there" };
	struct buf b = BUF_INIT(1u << 24);
	struct err e = ERR_INIT;
	struct stat st;

	enter();
	put(&b, TAR_DIR, "d", "");
	put(&b, TAR_FILE, "d/f", "text");
	put(&b, TAR_SYMLINK, "d/l", "/etc/passwd");
	CHECK(unpack(&b, &new, &e) == 0);
	CHECK(is("new/f", "text") && lstat("new/l", &st) == 0 && S_ISLNK(st.st_mode));
	CHECK(stat("new", &st) == 0 && st.st_mtime == 1000000000 && (st.st_mode & 0777) == 0755);
	put(&b, TAR_FILE, "f", "two");
	CHECK(unpack(&b, &as, &e) == 0 && is("name", "two"));
	put(&b, TAR_FILE, "f", "longer than before");
	CHECK(unpack(&b, &as, &e) == 0 && is("name", "longer than before"));
	CHECK(mkdir("there", 0700) == 0);
	put(&b, TAR_DIR, "d", "");
	put(&b, TAR_FILE, "d/f", "three");
	CHECK(unpack(&b, &there, &e) == 0 && is("there/d/f", "three"));
	put(&b, TAR_DIR, ".", "");
	put(&b, TAR_FILE, "g", "four");
	CHECK(unpack(&b, &there, &e) == 0 && is("there/g", "four"));
	CHECK(stat("there", &st) == 0 && (st.st_mode & 0777) == 0700); /* it stays what it was */
	leave();
}

TEST(what_begins_as_a_file_is_one)
{
	const struct archive_unpack as = { .path = "name" };
	struct buf b = BUF_INIT(1u << 24);
	struct err e = ERR_INIT;

	enter();
	put(&b, TAR_FILE, "f", "x");
	put(&b, TAR_FILE, "other", "y");
	CHECK(unpack(&b, &as, &e) == -EBADMSG);
	put(&b, TAR_FILE, "f", "x");
	put(&b, TAR_FILE, "f/g", "y");
	CHECK(unpack(&b, &as, &e) == -EBADMSG && absent("other") && absent("g"));
	put(&b, TAR_DIR, "d", "");
	put(&b, TAR_FILE, "e/f", "y");
	CHECK(unpack(&b, &(struct archive_unpack){ .path = "dir" }, &e) == -EBADMSG &&
	      absent("e") && absent("dir/e"));
	leave();
}

TEST(links_are_no_ways)
{
	const struct archive_unpack in = { .path = "in" }, into = { .path = "in", .into = true };
	struct buf b = BUF_INIT(1u << 24);
	struct err e = ERR_INIT;

	enter();
	CHECK(mkdir("out", 0755) == 0 && mkdir("in", 0755) == 0);
	put(&b, TAR_DIR, "d", "");
	put(&b, TAR_SYMLINK, "d/l", "../../out");
	put(&b, TAR_FILE, "d/l/f", "x");
	CHECK(unpack(&b, &in, &e) < 0 && absent("out/f"));
	put(&b, TAR_DIR, "e", "");
	put(&b, TAR_SYMLINK, "e/l", "../../out");
	put(&b, TAR_DIR, "e/l", ""); /* as a directory it would be given a mode */
	CHECK(unpack(&b, &in, &e) < 0 && strstr(e.msg, "is a link"));
	/* the name that a link has is replaced */
	CHECK(symlink("../out/victim", "in/f") == 0);
	put(&b, TAR_FILE, "f", "y");
	CHECK(unpack(&b, &in, &e) == 0 && is("in/f", "y") && absent("out/victim"));
	/* a hard link: never from a sandbox; of a stream of ours not through a link */
	put(&b, TAR_HARDLINK, "h", "f");
	CHECK(unpack(&b, &in, &e) == -EOPNOTSUPP && absent("in/h"));
	CHECK(symlink("../out", "in/way") == 0 &&
	      close(open("out/s", O_CREAT | O_WRONLY, 0600)) == 0);
	put(&b, TAR_HARDLINK, "h", "way/s");
	CHECK(unpack(&b, &(struct archive_unpack){ .path = "in", .into = true, .hard = true }, &e) <
		      0 &&
	      absent("in/h"));
	put(&b, TAR_HARDLINK, "h", "f");
	CHECK(unpack(&b, &(struct archive_unpack){ .path = "in", .into = true, .hard = true },
		     &e) == 0 &&
	      is("in/h", "y"));
	put(&b, TAR_FILE, "f", "z");
	CHECK(unpack(&b, &into, &e) == 0 && is("in/f", "z") &&
	      is("in/h", "y")); /* not written through */
	leave();
}

static void count(void *arg, const char *path, const char *why)
{
	(void)path;
	*(unsigned int *)arg += strcmp(why, "a FIFO") == 0 ? 1 : 100;
}

TEST(special)
{
	static const char types[] = "346";
	unsigned int said = 0;
	const struct archive_unpack theirs = { .path = "in", .into = true }, ours = {
		.path = "in", .into = true, .left_out = count, .arg = &said
	};
	struct buf b = BUF_INIT(1u << 24);
	struct err e = ERR_INIT;
	const char *type;

	enter();
	REQUIRE(mkdir("in", 0700) == 0);
	for (type = types; *type; type++) {
		put_special(&b, *type, "s");
		put(&b, TAR_FILE, "f", "x");
		CHECK(unpack(&b, &theirs, &e) == -EOPNOTSUPP && absent("in/s") && absent("in/f"));
	}
	for (type = types; *type; type++)
		put_special(&b, *type, "s");
	put(&b, TAR_FILE, "f", "x");
	CHECK(unpack(&b, &ours, &e) == 0 && absent("in/s") && is("in/f", "x") && said == 201);
	leave();
}

TEST(bounds)
{
	struct buf b = BUF_INIT(1u << 24);
	struct err e = ERR_INIT;

	enter();
	put(&b, TAR_FILE, "f", "0123456789");
	CHECK(unpack(&b, &(struct archive_unpack){ .path = "f", .bytes = 9 }, &e) == -EFBIG &&
	      absent("f"));
	put(&b, TAR_FILE, "f", "0123456789");
	CHECK(unpack(&b, &(struct archive_unpack){ .path = "f", .bytes = 10 }, &e) == 0);
	put(&b, TAR_DIR, "d", "");
	put(&b, TAR_FILE, "d/f", "01234");
	put(&b, TAR_FILE, "d/g", "56789");
	CHECK(unpack(&b, &(struct archive_unpack){ .path = "d", .bytes = 9 }, &e) == -EFBIG &&
	      absent("d/g"));
	CHECK(unpack(&b, &(struct archive_unpack){ .path = "nowhere/f" }, &e) ==
	      0); /* nothing came */
	put(&b, TAR_FILE, "f", "x");
	CHECK(unpack(&b, &(struct archive_unpack){ .path = "nowhere/f" }, &e) == -ENOENT);
	put(&b, TAR_FILE, "f", "x");
	CHECK(unpack(&b, &(struct archive_unpack){ .path = "f/" }, &e) < 0 &&
	      is("f", "0123456789"));
	leave();
}

TEST(packed_and_unpacked)
{
	const struct archive_pack p = { .path = "src" };
	const struct archive_unpack u = { .path = "dst" };
	struct err e = ERR_INIT;
	struct stat st;
	char deep[400] = "src";
	int pipes[2], fd, i;
	pid_t pid;

	enter();
	for (i = 0; i < 60; i++) {
		REQUIRE(mkdir(deep, 0755) == 0);
		snprintf(deep + strlen(deep), sizeof(deep) - strlen(deep), "/dirs");
	}
	REQUIRE(mkfifo("src/fifo", 0644) == 0 && symlink("x", "src/link") == 0);
	fd = open("src/hole", O_CREAT | O_RDWR, 0640);
	REQUIRE(fd >= 0 && ftruncate(fd, 1 << 24) == 0 && pwrite(fd, "end", 3, (1 << 24) - 3) == 3);
	(void)close(fd);
	REQUIRE(pipe(pipes) == 0);
	fflush(stdout);
	pid = fork();
	if (pid == 0)
		_exit(archive_pack(&p, pipes[1], &e) ? 1 : 0);
	(void)close(pipes[1]);
	CHECK(archive_unpack(&u, pipes[0], &e) == 0);
	REQUIRE(waitpid(pid, &i, 0) == pid && i == 0);
	deep[strrchr(deep, '/') - deep] = '\0';
	memcpy(deep, "dst", 3);
	CHECK(stat(deep, &st) == 0 && absent("dst/fifo"));
	CHECK(stat("dst/hole", &st) == 0 && st.st_size == 1 << 24 && st.st_blocks < 1000 &&
	      (st.st_mode & 0777) == 0640);
	(void)close(pipes[0]);
	leave();
}
