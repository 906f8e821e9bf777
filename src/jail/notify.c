/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. A call that the filter knows (SECCOMP_NOTIFY) stops its thread. We read its paths from the memory of the process, find out
 * where they lead in the process's own root, and let the call go on. Nothing is decided here (notify.h says why that is no hole), so nothing
 * is checked twice either: a process that is gone or has changed its mind makes the report untrue, no more.
 */
#include "notify.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "seccomp-table.h"

#ifndef SECCOMP_IOCTL_NOTIF_SET_FLAGS /* Linux 6.6 */
#define SECCOMP_IOCTL_NOTIF_SET_FLAGS SECCOMP_IOW(4, __u64)
#define SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP (1UL << 0)
#endif

#define PAGE 4096u
#define PROC_NAME 64

enum op {
	OPEN,
	CREATE,
	MKDIR,
	MKNOD,
	RENAME,
	REMOVE,
	LINK,
	SYMLINK,
	CHMOD,
	CHOWN,
	TRUNCATE,
	UTIME
};

static const struct {
	const char *word;
	bool makes, needs, names;
} ops[] = {
	[OPEN] = { "open", false, false, false },
	[CREATE] = { "create", false, false, false },
	[MKDIR] = { "mkdir", true, false, true },
	[MKNOD] = { "mknod", true, false, true },
	[RENAME] = { "rename", false, false, true },
	[REMOVE] = { "remove", false, true, true },
	[LINK] = { "link", true, false, true },
	[SYMLINK] = { "symlink", true, false, true },
	[CHMOD] = { "chmod", false, true, false },
	[CHOWN] = { "chown", false, true, false },
	[TRUNCATE] = { "truncate", false, true, false },
	[UTIME] = { "utime", false, true, false },
};

static const struct row {
	int nr;
	enum op op;
	int dir[2], path[2]; /* arguments; -1: none */
	int flags;
	bool follow;
} rows[] = {
#define X(name, nr, op, dir, path, dir2, path2, flags, follow) \
	{ nr, op, { dir, dir2 }, { path, path2 }, flags, follow },
	SECCOMP_NOTIFY(X)
#undef X
};

void jail_notify_init(struct jail_notify *n, int fd, pid_t init, bool roots)
{
	*n = (struct jail_notify){ .fd = fd, .init = init, .roots = roots, .root = -1 };
	/* both ends on one CPU: a call takes a twentieth of the time. Older kernels don't know it, and are slower */
	(void)ioctl(fd, SECCOMP_IOCTL_NOTIF_SET_FLAGS, SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP);
}

static const struct row *find(int nr)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		if (rows[i].nr == nr)
			return &rows[i];
	}
	return NULL;
}

/* A path of @pid. Return: 1; 0 when it is too long for any call; -EFAULT. */
static int read_string(pid_t pid, uint64_t addr, char out[LIMIT_PATH])
{
	/* the second page may not be there, and need not be: what is read comes in whole vectors */
	const size_t first = PAGE - (size_t)(addr % PAGE);
	const struct iovec to = { .iov_base = out, .iov_len = LIMIT_PATH };
	const struct iovec from[] = {
		{ .iov_base = (void *)(uintptr_t)addr, .iov_len = first },
		{ .iov_base = (void *)(uintptr_t)(addr + first), .iov_len = LIMIT_PATH - first },
	};
	ssize_t got = process_vm_readv(pid, &to, 1, from, first < LIMIT_PATH ? 2 : 1, 0);

	if (got > 0 && memchr(out, '\0', (size_t)got))
		return 1;
	return got == LIMIT_PATH ? 0 : -EFAULT;
}

/* Where a link of /proc leads, as a name of the sandbox. */
static bool read_link(const char *link, char *out, size_t size)
{
	ssize_t len = readlink(link, out, size);

	if (len <= 0 || (size_t)len >= size || out[0] != '/')
		return false;
	out[len] = '\0';
	return true;
}

/* @out: "BASE/RAW", absolute. The base is the directory that a relative path begins in, or the root that the process has. */
static bool make_absolute(const struct jail_notify *n, pid_t pid, int dir, const char *raw,
			  char out[LIMIT_PATH])
{
	char link[PROC_NAME];
	size_t len, add = strlen(raw);

	out[0] = '\0';
	if (raw[0] != '/' && dir == AT_FDCWD)
		(void)snprintf(link, sizeof(link), "/proc/%d/cwd", (int)pid);
	else if (raw[0] != '/')
		(void)snprintf(link, sizeof(link), "/proc/%d/fd/%d", (int)pid, dir);
	else
		(void)snprintf(link, sizeof(link), "/proc/%d/root", (int)pid);
	if ((raw[0] != '/' || n->roots) && !read_link(link, out, LIMIT_PATH))
		return false;
	len = strcmp(out, "/") == 0 ? 0 : strlen(out);
	if (len + 1 + add >= LIMIT_PATH)
		return false;
	out[len] = '/';
	memcpy(out + len + 1, raw, add + 1);
	return true;
}

/* The root of the sandbox: a chroot below it is part of the paths. */
static int open_root(struct jail_notify *n, pid_t pid)
{
	char link[PROC_NAME];

	if (n->root >= 0)
		return n->root;
	(void)snprintf(link, sizeof(link), "/proc/%d/root", (int)pid);
	n->root = open(link, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return n->root;
}

/*
 * The longest part of @path, cut at its slashes, that is there, with links resolved, and then the rest. @path is changed.
 * @ret_there: whether nothing is left
 */
static bool resolve(int root, char *path, bool follow, char out[LIMIT_PATH], bool *ret_there)
{
	char joined[LIMIT_PATH], link[PROC_NAME];
	size_t len = strlen(path), end = len, at;
	int tries, fd = -1;

	for (tries = 0; tries < LIMIT_LOOKS; tries++) {
		const char kept = path[end];

		path[end] = '\0';
		fd = sys_openat2(root, end ? path : "/",
				 O_PATH | (follow || end < len ? 0 : O_NOFOLLOW), RESOLVE_IN_ROOT);
		path[end] = kept;
		if (fd >= 0 || end == 0)
			break;
		while (end > 0 && path[end - 1] != '/')
			end--;
		while (end > 0 && path[end - 1] == '/')
			end--;
	}
	if (fd < 0)
		return false;
	(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	if (!read_link(link, joined, sizeof(joined))) {
		(void)close(fd);
		return false;
	}
	(void)close(fd);
	*ret_there = end == len;
	at = strcmp(joined, "/") == 0 ? 0 : strlen(joined);
	if (at + (len - end) + 1 > LIMIT_PATH)
		return false;
	memcpy(joined + at, path + end, len - end + 1);
	return path_normalize(*joined ? joined : "/", "/", NULL, out, NULL) == 0;
}

/* Return: whether @ret got one path more. */
static bool look_at(struct jail_notify *n, const struct seccomp_notif *call, int dir_arg,
		    int path_arg, bool follow, struct jail_access *ret)
{
	const uint64_t addr = call->data.args[path_arg];
	const pid_t pid = (pid_t)call->pid;
	char raw[LIMIT_PATH], path[LIMIT_PATH], *out = ret->at[ret->n].path;
	bool *there = &ret->at[ret->n].there;
	int root, r;

	if (addr == 0)
		return false;
	r = read_string(pid, addr, raw);
	n->unread += r < 0;
	if (r <= 0 ||
	    raw[0] == '\0' || /* the latter: the descriptor itself: it was opened before */
	    !make_absolute(n, pid, dir_arg < 0 ? AT_FDCWD : (int)call->data.args[dir_arg], raw,
			   path) ||
	    path_normalize(path, "/", NULL, out, NULL) < 0)
		return false;
	*there =
		true; /* those two are other directories inside, and full of links that mean another process here */
	if (!path_covers("/proc", out) && !path_covers("/dev", out)) {
		root = open_root(n, pid);
		*there = false;
		if (root >= 0 && !resolve(root, path, follow, out, there))
			return false;
	}
	ret->n++;
	return true;
}

/* What opening with @flags is. */
static void look_at_open(int flags, struct jail_access *ret)
{
	const bool makes = flags & O_CREAT || (flags & O_TMPFILE) == O_TMPFILE;

	ret->write = makes || flags & O_TRUNC || (flags & O_ACCMODE) != O_RDONLY;
	ret->makes = (flags & (O_CREAT | O_EXCL)) == (O_CREAT | O_EXCL);
	ret->needs = !makes;
	ret->op = makes ? "create" : ret->write ? "write" : "read";
}

static void look(struct jail_notify *n, const struct seccomp_notif *call, struct jail_access *ret)
{
	const struct row *row = find(call->data.nr);
	bool follow = row && row->follow;
	size_t i;

	if (!row || (pid_t)call->pid == n->init)
		return;
	ret->pid = (pid_t)call->pid;
	ret->op = ops[row->op].word;
	ret->write = true;
	ret->makes = ops[row->op].makes;
	ret->needs = ops[row->op].needs;
	ret->names = ops[row->op].names;
	if (row->op == OPEN) {
		const int flags = (int)call->data.args[row->flags];

		look_at_open(flags, ret);
		follow = !(flags & O_NOFOLLOW);
	}
	for (i = 0; i < 2 && row->path[i] >= 0; i++)
		(void)look_at(n, call, row->dir[i], row->path[i], follow, ret); /* or not */
	if ((row->op == OPEN || row->op == CREATE) && ret->n && ret->at[0].there && ret->write)
		ret->op = "write"; /* nothing is made */
}

int jail_notify_next(struct jail_notify *n, struct jail_access *ret)
{
	struct pollfd p = { .fd = n->fd, .events = POLLIN };
	struct seccomp_notif call = { .id = 0 };
	struct seccomp_notif_resp resp = { .flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE };

	if (poll(&p, 1, -1) < 0)
		return errno == EINTR ? -EAGAIN : -errno;
	if (!(p.revents & POLLIN))
		return p.revents & POLLHUP ? 0 : -EIO;
	if (ioctl(n->fd, SECCOMP_IOCTL_NOTIF_RECV, &call) < 0)
		return errno == ENOENT || errno == EINTR ? -EAGAIN : -errno;
	ret->n = 0;
	look(n, &call, ret);
	resp.id = call.id;
	if (ioctl(n->fd, SECCOMP_IOCTL_NOTIF_SEND, &resp) < 0 && errno != ENOENT)
		return -errno; /* ENOENT: it was killed meanwhile */
	return ret->n ? 1 : -EAGAIN;
}
