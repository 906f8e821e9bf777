/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Removes trees that a command made as it liked: directories without any mode, and deeper than any path. A directory below LIMIT_REVIEW_DEPTH levels is
 * first moved up to the top, so that neither descriptors nor the stack run out.
 */
#include "remove.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "review.h"

struct remover {
	int top; /* deep directories are moved here */
	unsigned int moved;
	bool again; /* some were */
};

/* Open the directory @name, which may have lost its modes; no link is followed. */
static int open_dir(int dir, const char *name)
{
	const int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
	_cleanup_close_ int path = openat(dir, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	char proc[32];
	int fd;

	if (path < 0)
		return -errno;
	(void)snprintf(proc, sizeof(proc), "/proc/self/fd/%d", path);
	fd = openat(dir, name, flags);
	/* to empty it, it must be writable, too */
	if (chmod(proc, 0700) < 0 && fd < 0)
		return -errno;
	if (fd < 0)
		fd = openat(dir, name, flags);
	return fd < 0 ? -errno : fd;
}

static int remove_one(struct remover *r, int dir, const char *name, unsigned int depth);

/* Empty the directory @fd (taken). */
static int empty(struct remover *r, int fd, unsigned int depth)
{
	DIR *d = fdopendir(fd);
	const struct dirent *en;
	int ret = 0;

	if (!d) {
		ret = -errno;
		(void)close(fd);
		return ret;
	}
	while (ret == 0 && (en = readdir(d))) {
		if (strcmp(en->d_name, ".") != 0 && strcmp(en->d_name, "..") != 0)
			ret = remove_one(r, dirfd(d), en->d_name, depth + 1);
	}
	(void)closedir(d);
	return ret;
}

static int remove_one(struct remover *r, int dir, const char *name, unsigned int depth)
{
	char up[32];
	int fd, ret;

	if (unlinkat(dir, name, 0) == 0 || errno == ENOENT)
		return 0;
	if (errno != EISDIR && errno != EPERM)
		return -errno;
	if (depth > LIMIT_REVIEW_DEPTH) {
		(void)snprintf(up, sizeof(up), ".deep%u", r->moved++);
		r->again = true;
		return renameat(dir, name, r->top, up) < 0 ? -errno : 0;
	}
	fd = open_dir(dir, name);
	if (fd < 0)
		return fd;
	ret = empty(r, fd, depth);
	if (ret == 0 && unlinkat(dir, name, AT_REMOVEDIR) < 0)
		ret = -errno;
	return ret;
}

int remove_tree(int dir, const char *name)
{
	struct remover r = { .top = -1 };
	_cleanup_close_ int top = -1;
	int ret, fd;

	if (unlinkat(dir, name, 0) == 0 || errno == ENOENT)
		return 0;
	top = open_dir(dir, name);
	if (top < 0)
		return top;
	r.top = top;
	do {
		r.again = false;
		fd = openat(top, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		ret = fd < 0 ? -errno : empty(&r, fd, 0);
	} while (ret == 0 && r.again);
	if (ret == 0 && unlinkat(dir, name, AT_REMOVEDIR) < 0)
		ret = -errno;
	return ret;
}
