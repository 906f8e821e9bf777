/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. A call that the filter knows (SECCOMP_NOTIFY) stops its thread. We read its paths from the memory of the process, find out
 * where they lead in the process's own root, and let the call go on. Nothing is decided here (notify.h says why that is no hole), so nothing
 * is checked twice either: a process that is gone or has changed its mind makes the report untrue, no more. What goes to the maker is different:
 * the paths are read once, the process must still be there after that, and the maker's answer is the call's. A maker that was killed answers nothing: then
 * no name is made any more.
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
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <unistd.h>

#include "make.h"
#include "seccomp-table.h"

#ifndef SECCOMP_IOCTL_NOTIF_SET_FLAGS /* Linux 6.6 */
#define SECCOMP_IOCTL_NOTIF_SET_FLAGS SECCOMP_IOW(4, __u64)
#define SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP (1UL << 0)
#endif

#ifndef SECCOMP_ADDFD_FLAG_SEND /* Linux 5.14 */
#define SECCOMP_ADDFD_FLAG_SEND (1UL << 1)
#endif

#define PAGE 4096u
#define PROC_NAME 64
#define PTS_MAJOR 136u

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

void jail_notify_init(struct jail_notify *n, int fd, pid_t init, bool roots, int maker, bool silent)
{
	*n = (struct jail_notify){ .fd = fd,
				   .init = init,
				   .roots = roots,
				   .root = -1,
				   .silent = silent,
				   .strict = maker >= 0,
				   .maker = maker };
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

/* A line of /proc/TID/status: the last number of it, which is that of the innermost namespace. Return: -1: there is none. */
static long last_number(const char *status, const char *word, int base)
{
	const char *line = strstr(status, word), *end, *at;

	if (!line)
		return -1;
	end = line + 1 + strcspn(line + 1, "\n"); /* it begins with the end of the one before */
	for (at = end; at > line && at[-1] != '\t' && at[-1] != ' ';)
		at--;
	return strtol(at, NULL, base);
}

/* Number of the terminal below the sandbox's /dev/pts. Return: -1: none. */
static int terminal_of(pid_t tid)
{
	char path[PROC_NAME], text[512], *at;
	_cleanup_close_ int fd = -1;
	unsigned long dev;
	ssize_t n;
	int i;

	(void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)tid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	if (n <= 0)
		return -1;
	text[n] = '\0';
	at = strrchr(text, ')'); /* the name may be anything */
	for (i = 0; at && i < 5; i++)
		at = strchr(at + 1, ' ');
	dev = at ? strtoul(at, NULL, 10) : 0;
	return major(dev) == PTS_MAJOR ? (int)minor(dev) : -1;
}

/* Who calls. */
static int read_caller(pid_t tid, struct make_call *call)
{
	char path[PROC_NAME], text[4096];
	_cleanup_close_ int fd = -1;
	long mask, pid, own;
	ssize_t n;

	(void)snprintf(path, sizeof(path), "/proc/%d/status", (int)tid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	if (n <= 0)
		return -ESRCH;
	text[n] = '\0';
	mask = last_number(text, "\nUmask:", 8);
	pid = last_number(text, "\nNStgid:", 10);
	own = last_number(text, "\nNSpid:", 10);
	if (mask < 0 || pid <= 0 || own <= 0)
		return -ESRCH;
	call->umask = (mode_t)mask;
	call->pid = (int)pid;
	call->tid = (int)own;
	call->tty = terminal_of(tid);
	return 0;
}

/* The directory that a relative path begins in. Return: fd or negative errno. */
static int open_base(pid_t tid, int dir)
{
	char link[PROC_NAME];
	int fd;

	if (dir == AT_FDCWD)
		(void)snprintf(link, sizeof(link), "/proc/%d/cwd", (int)tid);
	else
		(void)snprintf(link, sizeof(link), "/proc/%d/fd/%d", (int)tid, dir);
	fd = open(link, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return fd >= 0 ? fd : errno == ENOENT ? -EBADF : -errno;
}

static int read_path(const struct seccomp_notif *call, const struct row *row, int i,
		     struct make_call *out, int *base)
{
	const int dir = row->dir[i] < 0 ? AT_FDCWD : (int)call->data.args[row->dir[i]];
	int r = read_string((pid_t)call->pid, call->data.args[row->path[i]], out->path[i]);

	if (r <= 0)
		return r < 0 ? r : -ENAMETOOLONG;
	if (out->path[i][0] == '/')
		return 0;
	*base = open_base((pid_t)call->pid, dir);
	out->based[i] = *base >= 0;
	return *base < 0 ? *base : 0;
}

/* The old name of a link; the text of a symlink. */
static int read_old(const struct seccomp_notif *call, struct make_call *out, int *base)
{
	static const struct row old = { .dir = { 0, -1 }, .path = { 1, -1 } },
				plain = { .dir = { -1, -1 }, .path = { 0, -1 } };
	const bool at = call->data.nr == SYS_linkat;
	int r;

	if (at && (int)call->data.args[4] & AT_EMPTY_PATH) {
		r = read_string((pid_t)call->pid, call->data.args[1], out->path[0]);
		if (r == 1 && out->path[0][0] == '\0') {
			(void)snprintf(out->path[0], LIMIT_PATH, "/proc/self/fd/%d",
				       (int)call->data.args[0]);
			out->flags |= AT_SYMLINK_FOLLOW;
			return 0;
		}
	}
	if (out->op == MAKE_SYMLINK) {
		r = read_string((pid_t)call->pid, call->data.args[0], out->path[0]);
		return r == 1 ? 0 : r < 0 ? r : -ENAMETOOLONG;
	}
	return read_path(call, at ? &old : &plain, 0, out, base);
}

/* Return: what the maker has to do; -1: it is none of its calls. */
static int op_of(const struct seccomp_notif *call, const struct row *row, struct make_call *out)
{
	const __u64 *args = call->data.args;
	const int at = row->dir[0] < 0 ? 0 : 1; /* a directory comes first, and moves the rest */

	switch (row->op) {
	case OPEN:
		out->flags = (int)args[row->flags];
		out->mode = (mode_t)args[row->flags + 1] & 07777;
		return out->flags & O_CREAT ? MAKE_OPEN : -1;
	case CREATE:
		out->flags = O_CREAT | O_WRONLY | O_TRUNC;
		out->mode = (mode_t)args[1] & 07777;
		return MAKE_OPEN;
	case MKDIR:
		out->mode = (mode_t)args[at + 1] & 07777;
		return MAKE_MKDIR;
	case MKNOD:
		out->mode = (mode_t)args[at + 1] & (S_IFMT | 07777);
		out->dev = args[at + 2];
		return MAKE_MKNOD;
	case RENAME:
		out->flags = call->data.nr == SYS_renameat2 ? (int)args[4] : 0;
		return MAKE_RENAME;
	case LINK:
		out->flags = call->data.nr == SYS_linkat ? (int)args[4] & ~AT_EMPTY_PATH : 0;
		return out->flags & ~AT_SYMLINK_FOLLOW ? -EINVAL : MAKE_LINK;
	case SYMLINK:
		return MAKE_SYMLINK;
	default:
		return -1;
	}
}

static int respond(const struct jail_notify *n, uint64_t id, int error, bool go_on)
{
	struct seccomp_notif_resp resp = { .id = id,
					   .error = error,
					   .flags = go_on ? SECCOMP_USER_NOTIF_FLAG_CONTINUE : 0 };

	/* ENOENT: it was killed meanwhile */
	return ioctl(n->fd, SECCOMP_IOCTL_NOTIF_SEND, &resp) < 0 && errno != ENOENT ? -errno : 0;
}

/* A place among what the maker has. Return: its number, or -1. */
static int place_of(const struct jail_notify *n, uint64_t id)
{
	int i;

	for (i = 0; i < JAIL_NOTIFY_WITH; i++) {
		if (n->with[i].id == id)
			return i;
	}
	return -1;
}

static int read_call(const struct seccomp_notif *call, const struct row *row, struct make_call *out,
		     int base[2])
{
	int i, r = read_caller((pid_t)call->pid, out);

	if (r < 0)
		return r;
	if (out->op == MAKE_LINK || out->op == MAKE_SYMLINK) {
		const struct row new = { .dir = { -1, row->dir[0] }, .path = { -1, row->path[0] } };

		r = read_old(call, out, &base[0]);
		return r < 0 ? r : read_path(call, &new, 1, out, &base[1]);
	}
	for (i = 0; r == 0 && i < 2 && row->path[i] >= 0; i++)
		r = read_path(call, row, i, out, &base[i]);
	return r;
}

/* Send a call to the maker. Return: 0: it will be answered; or negative errno, the answer. */
static int send_call(struct jail_notify *n, const struct seccomp_notif *call,
		     const struct make_call *out, const int base[2])
{
	const int place = place_of(n, 0);
	int fds[2], n_fds = 0, i;

	/* it was that process all the time, and no other one of its number */
	if (ioctl(n->fd, SECCOMP_IOCTL_NOTIF_ID_VALID, &call->id) < 0)
		return -ESRCH;
	if (place < 0)
		return -EAGAIN;
	for (i = 0; i < 2; i++) {
		if (base[i] >= 0)
			fds[n_fds++] = base[i];
	}
	if (fd_send(n->maker, out, sizeof(*out), fds, (size_t)n_fds, 0) < 0)
		return -EROFS;
	n->with[place].id = call->id;
	n->with[place].cloexec = out->op == MAKE_OPEN && out->flags & O_CLOEXEC;
	return 0;
}

/* Return: whether the call is the maker's; *ret_error: 0, or the answer. */
static bool hand_over(struct jail_notify *n, const struct seccomp_notif *call, int *ret_error)
{
	static struct make_call out;
	const struct row *row = find(call->data.nr);
	int base[2] = { -1, -1 }, op;

	*ret_error = 0;
	if (!n->strict || !row || (pid_t)call->pid == n->init)
		return false;
	out = (struct make_call){ .id = call->id, .tty = -1 };
	op = op_of(call, row, &out);
	if (op == -1)
		return false;
	if (n->maker < 0) {
		n->unmade++;
		*ret_error = -EROFS;
		return true;
	}
	out.op = op < 0 ? MAKE_OP_NUM : (enum make_op)op;
	*ret_error = op < 0 ? op : read_call(call, row, &out, base);
	if (*ret_error == 0)
		*ret_error = send_call(n, call, &out, base);
	cleanup_close(&base[0]);
	cleanup_close(&base[1]);
	return true;
}

/* The maker has gone, perhaps with the run. */
static void lose_maker(struct jail_notify *n)
{
	int i;

	cleanup_close(&n->maker);
	n->maker = -1;
	for (i = 0; i < JAIL_NOTIFY_WITH; i++) {
		if (n->with[i].id)
			(void)respond(n, n->with[i].id, -EROFS,
				      false); /* or the process has gone, too */
		n->with[i].id = 0;
	}
}

/* What the maker has done. Return: 1: a refusal, in @ret; -EAGAIN; other negative errno. */
static int take_answer(struct jail_notify *n, struct jail_access *ret)
{
	static struct make_answer a;
	struct seccomp_notif_addfd add = { .flags = SECCOMP_ADDFD_FLAG_SEND };
	int fds[8], i, place, r = 0;
	ssize_t got = fd_recv(n->maker, &a, sizeof(a), fds, 0);

	if (got != (ssize_t)sizeof(a)) {
		lose_maker(n);
		return -EAGAIN;
	}
	place = a.id ? place_of(n, a.id) : -1;
	if (place >= 0 && fds[0] >= 0 && a.error == 0) {
		add.id = a.id;
		add.srcfd = (__u32)fds[0];
		add.newfd_flags = n->with[place].cloexec ? O_CLOEXEC : 0;
		if (ioctl(n->fd, SECCOMP_IOCTL_NOTIF_ADDFD, &add) < 0 && errno != ENOENT)
			r = respond(n, a.id, -errno, false);
	} else if (place >= 0) {
		r = respond(n, a.id, a.error <= 0 && a.error >= -4095 ? a.error : -EROFS, false);
	}
	if (place >= 0)
		n->with[place].id = 0;
	for (i = 0; i < 8; i++)
		cleanup_close(&fds[i]);
	if (r < 0 || place < 0 || !a.refused)
		return r < 0 ? r : -EAGAIN;
	a.path[sizeof(a.path) - 1] = a.what[sizeof(a.what) - 1] = '\0';
	ret->refused = true;
	memcpy(ret->what, a.what, sizeof(ret->what));
	memcpy(ret->name, a.path, sizeof(ret->name));
	return 1;
}

int jail_notify_next(struct jail_notify *n, struct jail_access *ret)
{
	struct pollfd p[] = { { .fd = n->fd, .events = POLLIN },
			      { .fd = n->maker, .events = POLLIN } };
	struct seccomp_notif call = { .id = 0 };
	int error, r;

	if (poll(p, 2, -1) < 0)
		return errno == EINTR ? -EAGAIN : -errno;
	ret->n = 0;
	ret->refused = false;
	if (p[1].revents)
		return take_answer(n, ret);
	if (!(p[0].revents & POLLIN))
		return p[0].revents & POLLHUP ? 0 : -EIO;
	if (ioctl(n->fd, SECCOMP_IOCTL_NOTIF_RECV, &call) < 0)
		return errno == ENOENT || errno == EINTR ? -EAGAIN : -errno;
	if (!n->silent)
		look(n, &call, ret);
	if (!hand_over(n, &call, &error))
		r = respond(n, call.id, 0, true);
	else
		r = error ? respond(n, call.id, error, false) : 0;
	if (r < 0)
		return r;
	return ret->n ? 1 : -EAGAIN;
}
