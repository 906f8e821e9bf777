/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A database comes into being with its tables in it: written beside its place, synced, renamed. So whatever has its name and not our mark in its
 * head was never ours, and sqlite, which mends what it opens, need not be asked. The directory's lock is held meanwhile, and only then.
 */
#include "place.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define BESIDE "." STORE_FILE ".new"
#define WAIT_MS 10

/* A directory that was made is there after a crash, too. */
static int sync_parent(const char *path, size_t n, struct err *e)
{
	_cleanup_close_ int fd = -1;
	char dir[LIMIT_PATH];

	while (n > 1 && path[n - 1] != '/')
		n--;
	(void)snprintf(dir, sizeof(dir), "%.*s", (int)n, path); /* shorter than the path */
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	/* one that we may not read is nobody's that we could mend */
	if (fd < 0)
		return errno == EACCES ? 0 : err_sys(e, -errno, "%s", dir);
	return fsync(fd) < 0 && errno != EINVAL ? err_sys(e, -errno, "%s", dir) : 0;
}

static int make_dirs(const char *path, struct err *e)
{
	const char *slash = path;
	char dir[LIMIT_PATH];
	size_t n;
	int r;

	do {
		slash = strchr(slash + 1, '/');
		n = slash ? (size_t)(slash - path) : strlen(path);
		(void)snprintf(dir, sizeof(dir), "%.*s", (int)n,
			       path); /* no longer than the path */
		if (mkdir(dir, 0700) == 0) {
			r = sync_parent(path, n, e);
			if (r < 0)
				return r;
		} else if (errno != EEXIST && errno != EROFS && errno != EACCES) {
			return err_sys(e, -errno, "%s", dir);
		}
	} while (slash);
	return 0;
}

int place_open(const char *state_dir, bool make, struct err *e)
{
	_cleanup_close_ int fd = -1;
	struct stat st;
	int r;

	if (state_dir[0] != '/' || strlen(state_dir) >= LIMIT_PATH)
		return err_set(e, ERR_USAGE, -EINVAL,
			       "the state directory must be an absolute path");
	fd = open(state_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT && make) {
		r = make_dirs(state_dir, e);
		if (r < 0)
			return r;
		fd = open(state_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	}
	if (fd < 0)
		return errno == ENOENT && !make ? -ENOENT : err_sys(e, -errno, "%s", state_dir);
	if (fstat(fd, &st) < 0)
		return err_sys(e, -errno, "%s", state_dir);
	if (st.st_uid != geteuid() || (st.st_mode & 022))
		return err_set(e, ERR_POLICY, -EPERM,
			       "%s: it must be yours, and nobody else may write there (chmod 700)",
			       state_dir);
	return TAKE_FD(fd);
}

static int check_file(int dir, const char *name, const char *shown, const char *suffix,
		      struct err *e)
{
	struct stat st;

	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? -ENOENT : err_sys(e, -errno, "%s%s", shown, suffix);
	if (!S_ISREG(st.st_mode))
		return err_set(e, ERR_POLICY, -EPERM, "%s%s: it is no file", shown, suffix);
	if (st.st_uid != geteuid() || (st.st_mode & 077))
		return err_set(e, ERR_POLICY, -EPERM, "%s%s: it must be yours, with mode 600",
			       shown, suffix);
	return 0;
}

int place_head(int dir, const char *shown, unsigned char ret_head[PLACE_HEAD], struct err *e)
{
	static const char *const suffixes[] = { "-wal", "-shm", "-journal" };
	_cleanup_close_ int fd = -1;
	char name[sizeof(STORE_FILE) + 16];
	size_t i;
	ssize_t n;
	int r = check_file(dir, STORE_FILE, shown, "", e);

	if (r < 0)
		return r;
	for (i = 0; i < ARRAY_SIZE(suffixes); i++) {
		(void)snprintf(name, sizeof(name), STORE_FILE "%s", suffixes[i]); /* it fits */
		r = check_file(dir, name, shown, suffixes[i], e);
		if (r < 0 && r != -ENOENT)
			return r;
	}
	fd = openat(dir, STORE_FILE, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0)
		return err_sys(e, -errno, "%s", shown);
	n = pread(fd, ret_head, PLACE_HEAD, 0);
	if (n < 0)
		return err_sys(e, -errno, "%s", shown);
	return n == PLACE_HEAD ? 0 : -EBADMSG;
}

/* One process makes it. A lock that isn't had in time is another's that hangs. */
static int lock(int dir, const char *shown, struct err *e)
{
	const struct timespec pause = { .tv_nsec = WAIT_MS * 1000000L };
	int waited;

	for (waited = 0; waited < STORE_BUSY_MS; waited += WAIT_MS) {
		if (flock(dir, LOCK_EX | LOCK_NB) == 0)
			return 0;
		if (errno != EWOULDBLOCK && errno != EINTR)
			return err_sys(e, -errno, "%s: lock of its directory", shown);
		(void)nanosleep(&pause, NULL); /* a shorter one is as good */
	}
	return err_set(e, ERR_SYSTEM, -EBUSY,
		       "%s: another program has been making it for %d seconds", shown,
		       STORE_BUSY_MS / 1000);
}

/* What sqlite kept beside a database that was taken away would be read as part of the new one. */
static int remove_old(int dir, const char *shown, struct err *e)
{
	static const char *const names[] = { BESIDE, STORE_FILE "-wal", STORE_FILE "-shm",
					     STORE_FILE "-journal" };
	bool gone = false;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(names); i++) {
		if (unlinkat(dir, names[i], 0) == 0)
			gone = true;
		else if (errno != ENOENT)
			return err_sys(e, -errno, "%s: %s", shown, names[i]);
	}
	return gone && fsync(dir) < 0 ? err_sys(e, -errno, "%s", shown) : 0;
}

static int create(int dir, const char *shown, const void *bytes, size_t n, struct err *e)
{
	_cleanup_close_ int fd = -1;
	int r = remove_old(dir, shown, e);

	if (r < 0)
		return r;
	fd = openat(dir, BESIDE, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return err_sys(e, -errno, "%s", shown);
	r = fd_write_all(fd, bytes, n);
	if (r == 0 && (fsync(fd) < 0 || renameat(dir, BESIDE, dir, STORE_FILE) < 0))
		r = -errno;
	if (r < 0) {
		(void)unlinkat(dir, BESIDE, 0); /* or the next one does it */
		return err_sys(e, r, "%s: it can't be made", shown);
	}
	return fsync(dir) < 0 ? err_sys(e, -errno, "%s", shown) : 0;
}

int place_create(int dir, const char *shown, const void *bytes, size_t n, struct err *e)
{
	struct stat st;
	int r = lock(dir, shown, e);

	if (r < 0)
		return r;
	if (fstatat(dir, STORE_FILE, &st, AT_SYMLINK_NOFOLLOW) == 0)
		r = 0;
	else if (errno != ENOENT)
		r = err_sys(e, -errno, "%s", shown);
	else
		r = create(dir, shown, bytes, n, e);
	(void)flock(dir, LOCK_UN); /* can't fail for a lock that we hold */
	return r;
}
