/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. The directory of a change is opened by walk_parent(): whatever is renamed or linked meanwhile, the descriptor stays the directory, and
 * below it only single names are used, never followed. What is new is complete before it has a name: an unnamed file (O_TMPFILE), where the
 * file system has such, is linked to its name; what takes the place of something is linked to a name of ours beside it (journal.c) and renamed over it.
 * Where a directory is on one side, the two are exchanged, so that the name always is there.
 */
#include "apply-file.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#ifndef RENAME_NOREPLACE
#define RENAME_NOREPLACE 1
#define RENAME_EXCHANGE 2
#endif

/* Set-id bits never come from a run; a directory keeps the one that makes files inherit its group. */
static mode_t final_mode(mode_t want, mode_t now)
{
	return (want & 01777) | (S_ISDIR(now) ? now & S_ISGID : 0);
}

static int rename_how(int dir, const char *from, const char *to, unsigned int flags)
{
	return (int)sys_call(SYS_renameat2, dir, from, dir, to, flags);
}

/* Whether the name in @dir still is what was compared. */
static int check(int dir, const char *name, const struct review_change *c, bool force)
{
	struct stat st;

	if (force)
		return 0;
	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT && !c->old_mode ? 0 : -ESTALE;
	if (!c->old_mode || st.st_dev != c->seen.dev || st.st_ino != c->seen.ino ||
	    (st.st_mode & S_IFMT) != (c->old_mode & S_IFMT))
		return -ESTALE;
	/* not the ctime: the other name of a hard link may have been removed just now; and not of a directory, in which names have come and gone */
	if (!S_ISDIR(st.st_mode) &&
	    (st.st_size != c->old_size || walk_cmp_time(&st.st_mtim, &c->seen.mtime) != 0))
		return -ESTALE;
	return 0;
}

/* Only what holds data: a file can be said to be much larger than any disk. */
static int copy_data(int from, int to, off_t size)
{
	char buf[65536];
	off_t at = 0, end;
	ssize_t n;
	int r;

	while (at < size) {
		at = lseek(from, at, SEEK_DATA);
		if (at < 0 && errno == ENXIO)
			break;
		if (at < 0)
			return -errno;
		end = lseek(from, at, SEEK_HOLE);
		if (end < 0 || end > size)
			end = size;
		if (lseek(to, at, SEEK_SET) < 0)
			return -errno;
		while (at < end) {
			n = pread(from, buf,
				  end - at < (off_t)sizeof(buf) ? (size_t)(end - at) : sizeof(buf),
				  at);
			if (n < 0 && errno == EINTR)
				continue;
			if (n <= 0)
				return n < 0 ? -errno : -EIO;
			r = fd_write_all(to, buf, (size_t)n);
			if (r < 0)
				return r;
			at += n;
		}
	}
	return ftruncate(to, size) < 0 ? -errno : 0;
}

static int set_owner(const struct applier *a, int fd, const struct stat *up, int dir,
		     const char *name)
{
	struct stat st;

	if (a->root)
		return fchown(fd, up->st_uid, up->st_gid) < 0 ? -errno : 0;
	/* the group of what it replaces, if that is the caller's to give */
	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(st.st_mode) ||
	    fchown(fd, (uid_t)-1, st.st_gid) < 0)
		return 0;
	return 0;
}

/* A new regular file with everything that it will have, but its name; *ret_named: it has the temporary one. Return: fd or negative errno. */
static int new_file(struct applier *a, const struct review_change *c, int dir, const char *name,
		    const char *in, char *temp, bool *ret_named)
{
	_cleanup_close_ int from = walk_file(a->t->upper, c->path), to = -1;
	struct timespec times[2];
	struct stat st;
	int r;

	*ret_named = false;
	if (from < 0)
		return from;
	if (fstat(from, &st) < 0)
		return -errno;
	to = openat(dir, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (to < 0 && (errno == EOPNOTSUPP || errno == EISDIR || errno == EINVAL)) {
		r = journal_temp(&a->journal, c->tree, in, temp);
		if (r < 0)
			return r;
		to = openat(dir, temp, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
		*ret_named = to >= 0;
	}
	if (to < 0)
		return -errno;
	r = copy_data(from, to, st.st_size);
	if (r == 0)
		r = set_owner(a, to, &st, dir, name);
	if (r == 0 && fchmod(to, final_mode(st.st_mode, 0)) < 0)
		r = -errno;
	times[0] = st.st_atim;
	times[1] = st.st_mtim;
	if (r == 0 && futimens(to, times) < 0)
		r = -errno;
	if (r < 0 && *ret_named)
		(void)unlinkat(dir, temp, 0);
	return r < 0 ? r : TAKE_FD(to);
}

static int link_fd(int fd, int dir, const char *name)
{
	char proc[32];

	(void)snprintf(proc, sizeof(proc), "/proc/self/fd/%d", fd);
	return linkat(AT_FDCWD, proc, dir, name, AT_SYMLINK_FOLLOW) < 0 ? -errno : 0;
}

static bool same_file(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

/*
 * Exchange two names, one of them a directory's; then what was there goes. When it is not what was there a moment ago, or not empty, all goes back: also when
 * somebody goes on renaming, because what must end under our name is ours, and nothing else. Return: 0, -ESTALE, -EUCLEAN when it does not end there, or
 * other negative errno.
 */
static int exchange(int dir, const char *temp, const char *name, const struct stat *was)
{
	struct stat own, got;
	int r, tries;

	if (fstatat(dir, temp, &own, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	r = rename_how(dir, temp, name, RENAME_EXCHANGE);
	if (r < 0)
		return r;
	if (fstatat(dir, temp, &got, AT_SYMLINK_NOFOLLOW) == 0 && same_file(&got, was) &&
	    unlinkat(dir, temp, S_ISDIR(got.st_mode) ? AT_REMOVEDIR : 0) == 0)
		return 0;
	for (tries = 0; tries < 1000; tries++) {
		if (rename_how(dir, temp, name, RENAME_EXCHANGE) == 0 &&
		    fstatat(dir, temp, &got, AT_SYMLINK_NOFOLLOW) == 0 && same_file(&got, &own))
			return -ESTALE;
	}
	return -EUCLEAN;
}

/* What has the temporary name takes the place of what has @name. */
static int replace(int dir, const char *temp, const char *name, const struct review_change *c,
		   bool force)
{
	int r = check(dir, name, c, force);
	bool there;
	struct stat st;

	if (r < 0)
		return r;
	there = fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
	if (!there || (!S_ISDIR(st.st_mode) && !S_ISDIR(c->new_mode)))
		return renameat(dir, temp, dir, name) < 0 ? -errno : 0;
	r = exchange(dir, temp, name, &st);
	if (r != -EINVAL)
		return r;
	/* this file system can't exchange */
	if (unlinkat(dir, name, S_ISDIR(st.st_mode) ? AT_REMOVEDIR : 0) < 0)
		return errno == ENOTEMPTY ? -ESTALE : -errno;
	return renameat(dir, temp, dir, name) < 0 ? -errno : 0;
}

/* Give what has the temporary name another one, that nobody has. */
static int rename_new(int dir, const char *temp, const char *name)
{
	int r = rename_how(dir, temp, name, RENAME_NOREPLACE);

	if (r != -EINVAL)
		return r;
	/* this file system does not know how */
	if (linkat(dir, temp, dir, name, 0) < 0)
		return -errno;
	return unlinkat(dir, temp, 0) < 0 ? -errno : 0;
}

static int put_file(struct applier *a, const struct review_change *c, int dir, const char *name,
		    const char *in, bool force)
{
	_cleanup_close_ int fd = -1;
	char temp[32];
	bool named;
	int r;

	r = fd = new_file(a, c, dir, name, in, temp, &named);
	if (fd < 0)
		return r;
	if (!c->old_mode && !force) {
		r = named ? rename_new(dir, temp, name) : link_fd(fd, dir, name);
		if (r < 0 && named)
			(void)unlinkat(dir, temp, 0);
		return r == -EEXIST ? -ESTALE : r;
	}
	r = named ? 0 : journal_temp(&a->journal, c->tree, in, temp);
	if (r == 0 && !named)
		r = link_fd(fd, dir, temp);
	if (r == 0) {
		r = replace(dir, temp, name, c, force);
		if (r < 0 && r != -EUCLEAN)
			(void)unlinkat(dir, temp, 0);
	}
	return r;
}

static int put_link(struct applier *a, const struct review_change *c, int dir, const char *name,
		    const char *in, bool force)
{
	_cleanup_close_ int up = walk_at(a->t->upper, c->path, O_PATH | O_NOFOLLOW);
	char target[LIMIT_PATH + 1], temp[32];
	const char *at = name;
	bool new = !c->old_mode && !force;
	struct timespec times[2];
	struct stat st;
	ssize_t n;
	int r = 0;

	if (up < 0)
		return up;
	n = readlinkat(up, "", target, sizeof(target) - 1);
	if (n < 0 || fstat(up, &st) < 0)
		return -errno;
	target[n] = '\0';
	if (!new) {
		at = temp;
		r = journal_temp(&a->journal, c->tree, in, temp);
		if (r < 0)
			return r;
	}
	if (symlinkat(target, dir, at) < 0)
		return errno == EEXIST ? -ESTALE : -errno;
	times[0] = st.st_atim;
	times[1] = st.st_mtim;
	if (a->root && fchownat(dir, at, st.st_uid, st.st_gid, AT_SYMLINK_NOFOLLOW) < 0)
		r = -errno;
	(void)utimensat(dir, at, times, AT_SYMLINK_NOFOLLOW); /* only a time */
	if (r == 0 && !new)
		r = replace(dir, temp, name, c, force);
	if (r < 0 && r != -EUCLEAN && !new)
		(void)unlinkat(dir, temp, 0);
	return r;
}

/* Nobody else can look into it until all is there; apply_mode() opens it. */
static int put_dir(struct applier *a, const struct review_change *c, int dir, const char *name,
		   const char *in, bool force)
{
	_cleanup_close_ int new = -1;
	char temp[32];
	struct stat st;
	int r;

	if (force && fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode))
		return 0;
	if (!c->old_mode && !(force && faccessat(dir, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0))
		return mkdirat(dir, name, 0700) == 0 ? 0 : errno == EEXIST ? -ESTALE : -errno;
	r = journal_temp(&a->journal, c->tree, in, temp);
	if (r < 0)
		return r;
	if (mkdirat(dir, temp, 0700) < 0)
		return -errno;
	/* its new name will be a change of it, and ours */
	new = openat(dir, temp, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	r = new < 0 ? -errno : journal_touch(&a->journal, new);
	if (r == 0)
		r = replace(dir, temp, name, c, force);
	if (r == 0)
		journal_touched(&a->journal, new);
	if (r < 0 && r != -EUCLEAN)
		(void)unlinkat(dir, temp, AT_REMOVEDIR);
	return r;
}

/* The directory of @c on the host, and its path. @in: LIMIT_PATH bytes. Return: fd or negative errno. */
static int open_parent(struct applier *a, const struct review_change *c, const char **ret_name,
		       char *in)
{
	int fd = walk_parent(a->t->host, c->path, ret_name);
	size_t n = (size_t)(*ret_name - c->path);
	int r;

	if (n > 1) {
		memcpy(in, c->path, n - 1);
		in[n - 1] = '\0';
	} else {
		memcpy(in, ".", 2);
	}
	if (fd < 0)
		return fd;
	r = journal_touch(&a->journal, fd);
	if (r < 0) {
		(void)close(fd);
		return r;
	}
	return fd;
}

int apply_put(struct applier *a, const struct review_change *c, bool force)
{
	const char *name;
	char in[LIMIT_PATH];
	_cleanup_close_ int dir = open_parent(a, c, &name, in);

	int r = -EINVAL;

	if (dir < 0)
		return dir;
	if (S_ISDIR(c->new_mode))
		r = put_dir(a, c, dir, name, in, force);
	else if (S_ISLNK(c->new_mode))
		r = put_link(a, c, dir, name, in, force);
	else if (S_ISREG(c->new_mode))
		r = put_file(a, c, dir, name, in, force);
	journal_touched(&a->journal, dir);
	return r;
}

int apply_mode(struct applier *a, const struct review_change *c, bool force)
{
	_cleanup_close_ int fd = walk_at(a->t->host, c->path, O_PATH | O_NOFOLLOW),
			    up = walk_at(a->t->upper, c->path, O_PATH | O_NOFOLLOW);
	struct timespec times[2];
	struct stat st, of_up;
	char proc[32];

	if (fd < 0 || up < 0)
		return fd < 0 ? fd : up;
	if (fstat(fd, &st) < 0 || fstat(up, &of_up) < 0)
		return -errno;
	if ((st.st_mode & S_IFMT) != (c->new_mode & S_IFMT) || S_ISLNK(st.st_mode) ||
	    (c->kind == REVIEW_MODE && !force &&
	     (st.st_dev != c->seen.dev || st.st_ino != c->seen.ino)))
		return -ESTALE;
	if (S_ISDIR(st.st_mode)) {
		int r = journal_touch(&a->journal, fd);

		if (r < 0)
			return r;
	}
	/* by the descriptor: the name could be another file's by now */
	(void)snprintf(proc, sizeof(proc), "/proc/self/fd/%d", fd);
	if (c->kind != REVIEW_MODE && a->root && chown(proc, of_up.st_uid, of_up.st_gid) < 0)
		return -errno;
	if (chmod(proc, final_mode(c->new_mode, st.st_mode)) < 0)
		return -errno;
	times[0] = of_up.st_atim;
	times[1] = of_up.st_mtim;
	if (c->kind != REVIEW_MODE)
		(void)utimensat(AT_FDCWD, proc, times, 0); /* only a time */
	if (S_ISDIR(st.st_mode))
		journal_touched(&a->journal, fd);
	return 0;
}

int apply_delete(struct applier *a, const struct review_change *c, bool force)
{
	const char *name;
	char in[LIMIT_PATH];
	_cleanup_close_ int dir = open_parent(a, c, &name, in);
	struct stat st;
	int r;

	if (dir < 0)
		return dir == -ENOENT ? 0 : dir;
	r = check(dir, name, c, force);
	if (r < 0)
		r = fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0 && errno == ENOENT ? 0 : r;
	else if (unlinkat(dir, name, S_ISDIR(c->old_mode) ? AT_REMOVEDIR : 0) < 0 &&
		 errno != ENOENT)
		r = errno == ENOTEMPTY || errno == EISDIR || errno == ENOTDIR ? -ESTALE : -errno;
	journal_touched(&a->journal, dir);
	return r;
}
