/* SPDX-License-Identifier: Apache-2.0 */
#include "tree.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cleanup.h"
#include "limits.h"
#include "sys.h"

static bool dots(const char *name)
{
	return name[0] == '.' && (!name[1] || (name[1] == '.' && !name[2]));
}

static int open_dir(int dfd, const char *name)
{
	int fd = openat(dfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0 && errno == EACCES) {
		/* ours, but without permissions: an O_PATH descriptor names exactly what is changed */
		_cleanup_close_ int at =
			openat(dfd, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		char path[32];

		if (at < 0)
			return -errno;
		(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", at);
		if (chmod(path, 0700) < 0)
			return -errno;
		fd = openat(dfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	}
	return fd < 0 ? -errno : fd;
}

/* A removal. What lies too deep is moved up into @top, the outermost directory, whose listing finds it again: so no tree is too deep for it. */
struct removal {
	int top;
	unsigned int moved;
};

static int remove_in(struct removal *m, int dfd, const char *name, unsigned int depth);

static int empty(struct removal *m, int fd, unsigned int depth)
{
	SYS_DIRENT_ALIGN char buf[8192];
	const struct sys_dirent *d;
	bool some = true;
	long n, o;
	int r = 0;

	/* a listing may miss entries when others are removed meanwhile: until one shows nothing */
	while (r == 0 && some) {
		some = false;
		if (lseek(fd, 0, SEEK_SET) < 0)
			return -errno;
		while (r == 0 && (n = sys_getdents(fd, buf, sizeof(buf))) != 0) {
			if (n < 0)
				return (int)n;
			for (o = 0; r == 0 && (d = sys_dirent_next(buf, n, &o));) {
				if (dots(d->name))
					continue;
				some = true;
				r = remove_in(m, fd, d->name, depth + 1);
			}
		}
	}
	return r;
}

/* @fd: the directory @name itself, which must be writable for it */
static int move_up(struct removal *m, int dfd, const char *name, int fd)
{
	char to[32];
	int r = fchmod(fd, 0700) < 0 ? -errno : -EEXIST;

	while (r == -EEXIST || r == -ENOTEMPTY || r == -ENOTDIR) {
		(void)snprintf(to, sizeof(to), ".deep-%u", m->moved++);
		r = renameat(dfd, name, m->top, to) < 0 ? -errno : 0;
	}
	return r == -ENOENT ? 0 : r;
}

/* NOLINTNEXTLINE(misc-no-recursion): as deep as LIMIT_TREE_DEPTH */
static int remove_in(struct removal *m, int dfd, const char *name, unsigned int depth)
{
	_cleanup_close_ int fd = -1;
	int r;

	if (unlinkat(dfd, name, 0) == 0 || errno == ENOENT)
		return 0;
	if (errno != EISDIR && errno != EPERM)
		return -errno;
	fd = open_dir(dfd, name);
	if (fd < 0)
		return fd == -ENOTDIR ? -EPERM : fd;
	if (unlinkat(dfd, name, AT_REMOVEDIR) == 0)
		return 0;
	if (depth == LIMIT_TREE_DEPTH)
		return move_up(m, dfd, name, fd);
	if (depth == 0)
		m->top = fd;
	r = fchmod(fd, 0700) < 0 ? -errno : empty(m, fd, depth);
	return r == 0 && unlinkat(dfd, name, AT_REMOVEDIR) < 0 && errno != ENOENT ? -errno : r;
}

int tree_remove(int dfd, const char *name)
{
	struct removal m = { .top = -1 };

	return remove_in(&m, dfd, name, 0);
}

/* What may still be copied. */
struct copy {
	unsigned int entries;
	uint64_t bytes;
};

/* Owners are root's to give; others own what they copy. */
static int copy_owner(int fd, const struct stat *st)
{
	return geteuid() == 0 && fchown(fd, st->st_uid, st->st_gid) < 0 ? -errno : 0;
}

static int copy_times(int fd, const struct stat *st)
{
	const struct timespec times[2] = { st->st_atim, st->st_mtim };

	return futimens(fd, times) < 0 ? -errno : 0;
}

static int copy_file(struct copy *c, int from, const char *name, int to, const char *to_name)
{
	_cleanup_close_ int in = openat(from, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	_cleanup_close_ int out = -1;
	struct stat st;
	ssize_t n;

	if (in < 0 || fstat(in, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -ESTALE;
	out = openat(to, to_name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (out < 0)
		return -errno;
	while ((n = sendfile(out, in, NULL, 1 << 20)) > 0) {
		if ((uint64_t)n > c->bytes)
			return -EFBIG;
		c->bytes -= (uint64_t)n;
	}
	if (n < 0 || copy_owner(out, &st) < 0 || fchmod(out, st.st_mode & 0777) < 0)
		return -errno;
	return copy_times(out, &st);
}

static int copy_link(int from, const char *name, int to, const char *to_name, const struct stat *st)
{
	char target[LIMIT_PATH];
	ssize_t n = readlinkat(from, name, target, sizeof(target) - 1);

	if (n < 0)
		return -errno;
	target[n] = '\0';
	if (symlinkat(target, to, to_name) < 0 ||
	    (geteuid() == 0 &&
	     fchownat(to, to_name, st->st_uid, st->st_gid, AT_SYMLINK_NOFOLLOW) < 0))
		return -errno;
	return 0;
}

static int copy_in(struct copy *c, int from, const char *name, int to, const char *to_name,
		   unsigned int depth);

/* NOLINTNEXTLINE(misc-no-recursion): as deep as LIMIT_TREE_DEPTH */
static int copy_dir(struct copy *c, int from, const char *name, int to, const char *to_name,
		    unsigned int depth)
{
	_cleanup_close_ int in =
		openat(from, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	_cleanup_close_ int out = -1;
	SYS_DIRENT_ALIGN char buf[8192];
	const struct sys_dirent *d;
	struct stat st;
	long n, o;
	int r = 0;

	if (in < 0 || fstat(in, &st) < 0)
		return -errno;
	if (depth == LIMIT_TREE_DEPTH)
		return -ELOOP;
	if (mkdirat(to, to_name, 0700) < 0)
		return -errno;
	out = openat(to, to_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (out < 0)
		return -errno;
	while (r == 0 && (n = sys_getdents(in, buf, sizeof(buf))) != 0) {
		if (n < 0)
			return (int)n;
		for (o = 0; r == 0 && (d = sys_dirent_next(buf, n, &o));) {
			if (!dots(d->name))
				r = copy_in(c, in, d->name, out, d->name, depth + 1);
		}
	}
	if (r == 0)
		r = copy_owner(out, &st);
	if (r == 0 && fchmod(out, st.st_mode & 0777) < 0)
		r = -errno;
	return r < 0 ? r : copy_times(out, &st);
}

/* NOLINTNEXTLINE(misc-no-recursion): as deep as LIMIT_TREE_DEPTH */
static int copy_in(struct copy *c, int from, const char *name, int to, const char *to_name,
		   unsigned int depth)
{
	struct stat st;

	if (c->entries-- == 0)
		return -EFBIG;
	if (fstatat(from, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	if (S_ISDIR(st.st_mode))
		return copy_dir(c, from, name, to, to_name, depth);
	if (S_ISREG(st.st_mode))
		return copy_file(c, from, name, to, to_name);
	if (S_ISLNK(st.st_mode))
		return copy_link(from, name, to, to_name, &st);
	if (S_ISFIFO(st.st_mode))
		return mkfifoat(to, to_name, st.st_mode & 0777) < 0 ? -errno : 0;
	return 0; /* a socket or a device has no contents to keep */
}

int tree_copy(int from, const char *name, int to, const char *to_name)
{
	struct copy c = { .entries = LIMIT_TREE_ENTRIES, .bytes = LIMIT_TREE_BYTES };

	return copy_in(&c, from, name, to, to_name, 0);
}
