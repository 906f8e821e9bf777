/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. One call after the other, so that between the judgement of a name and its making no other name comes or goes by the run's
 * own doing. A path is taken apart here: the directory is opened (by the kernel, with our rights, which are the command's), its own path is what is
 * judged, and the last name is made in it by descriptor, never through a link. Links at the end of a path that open(2) follows are read and
 * followed by us, a step each. What exists is opened without O_CREAT.
 *
 * /proc/self, /dev/fd … and /dev/tty mean the caller, not us: they are replaced in the text. What leads to our own files in /proc all the same is
 * refused. A FIFO can wait for its other end: a process of its own opens it.
 */
#include "make.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#define PROC_MAGIC 0x9fa0
#define LINKS 40   /* as the kernel */
#define WAITING 64 /* processes that wait for the other end of a FIFO */

struct maker {
	int sock;
	const struct jail_strict *strict;
	int waiting;
};

/* Where a name is to be made. */
struct place {
	int dir; /* owned */
	char name[256];
	bool slash;            /* the path ends in one: only a directory is meant */
	char path[LIMIT_PATH]; /* of dir */
};

/* Put @with in the place of the first @n bytes of @path. */
static int replace(char path[LIMIT_PATH], size_t n, const char *with)
{
	const size_t len = strlen(with), rest = strlen(path + n);

	if (len + rest >= LIMIT_PATH)
		return -ENAMETOOLONG;
	memmove(path + len, path + n, rest + 1);
	memcpy(path, with, len);
	return 0;
}

static bool begins(const char *path, const char *word, size_t *ret_n)
{
	const size_t n = strlen(word);

	*ret_n = n;
	return strncmp(path, word, n) == 0 && (path[n] == '\0' || path[n] == '/');
}

/* Names that mean the caller. */
static int replace_self(const struct make_call *call, char path[LIMIT_PATH])
{
	static const char *const streams[] = { "/dev/stdin", "/dev/stdout", "/dev/stderr" };
	size_t i, n = strspn(path, "/");
	char with[64];

	if (n > 1)
		memmove(path, path + n - 1, strlen(path + n - 1) + 1);
	(void)snprintf(with, sizeof(with), "/proc/%d", call->pid);
	if (begins(path, "/proc/self", &n))
		return replace(path, n, with);
	(void)snprintf(with, sizeof(with), "/proc/%d/task/%d", call->pid, call->tid);
	if (begins(path, "/proc/thread-self", &n))
		return replace(path, n, with);
	(void)snprintf(with, sizeof(with), "/proc/%d/fd", call->pid);
	if (begins(path, "/dev/fd", &n))
		return replace(path, n, with);
	for (i = 0; i < ARRAY_SIZE(streams); i++) {
		(void)snprintf(with, sizeof(with), "/proc/%d/fd/%zu", call->pid, i);
		if (strcmp(path, streams[i]) == 0)
			return replace(path, strlen(path), with);
	}
	(void)snprintf(with, sizeof(with), "/dev/pts/%d", call->tty);
	if (strcmp(path, "/dev/tty") == 0)
		return call->tty < 0 ? -ENXIO : replace(path, strlen(path), with);
	return 0;
}

static bool is_proc(int fd)
{
	struct statfs sfs;

	return fstatfs(fd, &sfs) == 0 && sfs.f_type == PROC_MAGIC;
}

/* The path of a descriptor. */
static int path_of(int fd, char out[LIMIT_PATH])
{
	char link[32];
	ssize_t n;

	(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, out, LIMIT_PATH);
	if (n <= 0 || n >= LIMIT_PATH || out[0] != '/')
		return -ENOENT; /* removed, or beyond our root */
	out[n] = '\0';
	return 0;
}

static bool is_dots(const char *name)
{
	return !*name || strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

/* Take @path apart, which is changed. @base: of a relative one. Return: 0; 1: it ends in "." or "..", which no call makes; negative errno. */
static int find_place(const struct make_call *call, int base, char path[LIMIT_PATH],
		      struct place *ret)
{
	char own[32], *slash;
	size_t n, len;
	int r;

	if (!*path)
		return -ENOENT;
	r = replace_self(call, path);
	if (r < 0)
		return r;
	len = strlen(path);
	while (len > 1 && path[len - 1] == '/')
		path[--len] = '\0', ret->slash = true;
	slash = strrchr(path, '/');
	n = strlen(slash ? slash + 1 : path);
	if (n >= sizeof(ret->name))
		return -ENAMETOOLONG;
	memcpy(ret->name, slash ? slash + 1 : path, n + 1);
	if (slash)
		slash[slash == path] = '\0';
	cleanup_close(&ret->dir);
	ret->dir = openat(base, slash ? path : ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (ret->dir < 0)
		return -errno;
	if (path_of(ret->dir, ret->path) < 0)
		return -ENOENT;
	(void)snprintf(own, sizeof(own), "/proc/%d", (int)getpid());
	if (is_proc(ret->dir) && begins(ret->path, own, &n))
		return -EACCES; /* ours: a link that was meant to lead to the caller's */
	return is_dots(ret->name) ? 1 : 0;
}

static bool refused(const struct maker *m, const struct place *at, enum jail_make what, int from,
		    struct make_answer *a)
{
	const char *why =
		m->strict->refuses(m->strict->arg, at->dir, at->path, at->name, what, from);

	if (!why)
		return false;
	a->refused = true;
	a->error = -EROFS; /* as for what is there already */
	(void)snprintf(a->what, sizeof(a->what), "%s", why);
	if (snprintf(a->path, sizeof(a->path), "%s/%s", at->path[1] ? at->path : "", at->name) >=
	    (int)sizeof(a->path))
		a->path[0] = '\0';
	return true;
}

static void answer(const struct maker *m, const struct make_answer *a, int fd)
{
	(void)fd_send(m->sock, a, sizeof(*a), &fd, fd >= 0,
		      0); /* nobody is left to hear it: we end soon */
}

/* A FIFO, or what a link of /proc leads to: whatever waits, waits elsewhere. Return: 0; or negative errno: there is no answer yet. */
static int open_apart(struct maker *m, const struct place *at, int flags, struct make_answer *a)
{
	pid_t pid;
	int fd;

	while (m->waiting > 0 && waitpid(-1, NULL, WNOHANG) > 0)
		m->waiting--;
	if (m->waiting == WAITING)
		return -EAGAIN;
	pid = fork();
	if (pid < 0)
		return -errno;
	if (pid > 0) {
		m->waiting++;
		return 0;
	}
	fd = openat(at->dir, at->name, flags);
	a->error = fd < 0 ? -errno : 0;
	answer(m, a, fd);
	_exit(0);
}

/* Return: the file; -EINPROGRESS: it is answered elsewhere; negative errno. */
static int make_open(struct maker *m, struct make_call *call, int base, struct make_answer *a)
{
	const int flags = call->flags | O_CLOEXEC | O_NOCTTY; /* both are the caller's to have */
	const int plain = flags & ~(O_CREAT | O_EXCL);
	const bool only = (flags & O_EXCL) != 0;
	char *path = call->path[0], link[LIMIT_PATH];
	_cleanup_close_ int from = -1;
	struct place at = { .dir = -1 };
	struct stat st;
	int tries, r = -ELOOP;
	bool there;
	ssize_t n;

	for (tries = 0; r == -ELOOP && tries < LINKS; tries++) {
		at.slash = false;
		r = find_place(call, from >= 0 ? from : base, path, &at);
		if (r != 0 || at.slash) {
			r = r < 0 ? r : only && !at.slash ? -EEXIST : -EISDIR;
			break;
		}
		there = fstatat(at.dir, at.name, &st, AT_SYMLINK_NOFOLLOW) == 0;
		if (there && S_ISDIR(st.st_mode)) {
			r = only ? -EEXIST : -EISDIR;
			break;
		}
		if (there && S_ISLNK(st.st_mode) && !only && !(flags & O_NOFOLLOW)) {
			r = -ELOOP;
			if (is_proc(at.dir)) {
				r = open_apart(m, &at, plain, a);
				r = r < 0 ? r : -EINPROGRESS;
				break;
			}
			n = readlinkat(at.dir, at.name, link, sizeof(link));
			if (n <= 0 || n >= LIMIT_PATH)
				continue; /* it has changed meanwhile */
			memcpy(path, link, (size_t)n);
			path[n] = '\0';
			cleanup_close(&from);
			from = TAKE_FD(at.dir);
			continue;
		}
		if (there && S_ISFIFO(st.st_mode) && !only) {
			r = open_apart(m, &at, plain | O_NOFOLLOW, a);
			r = r < 0 ? r : -EINPROGRESS;
		} else if (there) {
			r = openat(at.dir, at.name, only ? flags | O_NOFOLLOW : plain | O_NOFOLLOW,
				   call->mode);
			r = r < 0 ? -errno : r;
			if (r == -ENOENT || (r == -ELOOP && !(flags & O_NOFOLLOW)))
				r = -ELOOP, memcpy(path, at.name, strlen(at.name) + 1),
				cleanup_close(&from), from = TAKE_FD(at.dir);
			else if (r == -ELOOP)
				break;
		} else if (refused(m, &at, JAIL_MAKE_FILE, -1, a)) {
			r = -EROFS;
		} else {
			/* O_EXCL: what comes from outside this moment was not looked at */
			r = openat(at.dir, at.name, flags | O_EXCL | O_NOFOLLOW, call->mode);
			r = r < 0 ? -errno : r;
			if (r == -EEXIST && !only)
				r = -ELOOP, memcpy(path, at.name, strlen(at.name) + 1),
				cleanup_close(&from), from = TAKE_FD(at.dir);
		}
	}
	cleanup_close(&at.dir);
	return r;
}

/*
 * What gets a second name is opened, so that nothing else gets it after the judgement: a way by another process's working directory leads elsewhere
 * at once. Return: O_PATH; or negative errno.
 */
static int open_old(struct make_call *call, int base, enum jail_make *ret_what)
{
	const bool follow = (call->flags & AT_SYMLINK_FOLLOW) != 0;
	_cleanup_close_ int fd = -1;
	struct stat st;
	int r = replace_self(call, call->path[0]);

	if (r < 0)
		return r;
	fd = openat(base, call->path[0], O_PATH | O_CLOEXEC | (follow ? 0 : O_NOFOLLOW));
	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	/* a second name of a symbolic link, which a descriptor can lead to as well */
	if (S_ISLNK(st.st_mode))
		*ret_what = JAIL_MAKE_LINK;
	return TAKE_FD(fd);
}

static int make_node(struct maker *m, struct make_call *call, const int base[2],
		     struct make_answer *a)
{
	const bool second = call->op == MAKE_SYMLINK || call->op == MAKE_LINK;
	enum jail_make what = call->op == MAKE_MKDIR   ? JAIL_MAKE_DIR :
			      call->op == MAKE_SYMLINK ? JAIL_MAKE_LINK :
							 JAIL_MAKE_FILE;
	_cleanup_close_ int old = -1;
	struct place at = { .dir = -1 };
	struct stat st;
	char by_fd[32];
	int r = find_place(call, base[second], call->path[second], &at);

	if (r == 1)
		r = -EEXIST;
	if (r == 0 && fstatat(at.dir, at.name, &st, AT_SYMLINK_NOFOLLOW) == 0)
		r = -EEXIST;
	if (r == 0 && at.slash && what != JAIL_MAKE_DIR)
		r = -ENOENT;
	if (r == 0 && call->op == MAKE_LINK) {
		old = open_old(call, base[0], &what);
		r = old < 0 ? old : 0;
	}
	if (r == 0 && refused(m, &at, what, -1, a))
		r = -EROFS;
	if (r == 0) {
		switch (call->op) {
		case MAKE_MKDIR:
			r = mkdirat(at.dir, at.name, call->mode);
			break;
		case MAKE_MKNOD:
			r = mknodat(at.dir, at.name, call->mode, (dev_t)call->dev);
			break;
		case MAKE_SYMLINK:
			r = symlinkat(call->path[0], at.dir, at.name);
			break;
		default:
			(void)snprintf(by_fd, sizeof(by_fd), "/proc/self/fd/%d", old);
			r = linkat(AT_FDCWD, by_fd, at.dir, at.name, AT_SYMLINK_FOLLOW);
			break;
		}
		r = r < 0 ? -errno : 0;
	}
	cleanup_close(&at.dir);
	return r;
}

/* What a name that is moved to another one becomes there. @ret_dir: owned */
static enum jail_make moved(const struct place *from, int *ret_dir)
{
	struct stat st;

	if (fstatat(from->dir, from->name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return JAIL_MAKE_FILE; /* the call fails */
	if (S_ISLNK(st.st_mode))
		return JAIL_MAKE_LINK;
	if (!S_ISDIR(st.st_mode))
		return JAIL_MAKE_FILE;
	*ret_dir = openat(from->dir, from->name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return JAIL_MAKE_TREE;
}

static int make_rename(struct maker *m, struct make_call *call, const int base[2],
		       struct make_answer *a)
{
	struct place at[2] = { { .dir = -1 }, { .dir = -1 } };
	enum jail_make what[2] = { JAIL_MAKE_FILE, JAIL_MAKE_FILE };
	int dir[2] = { -1, -1 }, i, r = 0;

	for (i = 0; r == 0 && i < 2; i++) {
		r = find_place(call, base[i], call->path[i], &at[i]);
		r = r == 1 ? -EBUSY : r;
		if (r == 0)
			what[i] = moved(&at[i], &dir[i]);
	}
	if (r == 0 && (at[0].slash || at[1].slash) && what[0] != JAIL_MAKE_TREE)
		r = -ENOTDIR;
	if (r == 0 && faccessat(at[0].dir, at[0].name, F_OK, AT_SYMLINK_NOFOLLOW) < 0)
		r = -errno; /* nothing is moved, so nothing is refused */
	if (r == 0 &&
	    (refused(m, &at[1], what[0], dir[0], a) ||
	     (call->flags & (int)RENAME_EXCHANGE && refused(m, &at[0], what[1], dir[1], a))))
		r = -EROFS;
	if (r == 0 &&
	    syscall(SYS_renameat2, at[0].dir, at[0].name, at[1].dir, at[1].name, call->flags) < 0)
		r = -errno;
	for (i = 0; i < 2; i++) {
		cleanup_close(&at[i].dir);
		cleanup_close(&dir[i]);
	}
	return r;
}

static void work(struct maker *m, struct make_call *call, const int base[2])
{
	static struct make_answer a;
	int r;

	a = (struct make_answer){ .id = call->id };
	(void)umask(call->umask & 0777);
	r = call->op == MAKE_OPEN   ? make_open(m, call, base[0], &a) :
	    call->op == MAKE_RENAME ? make_rename(m, call, base, &a) :
				      make_node(m, call, base, &a);
	if (r == -EINPROGRESS)
		return;
	a.error = r < 0 ? r : 0;
	answer(m, &a, call->op == MAKE_OPEN && r >= 0 ? r : -1);
	if (call->op == MAKE_OPEN && r >= 0)
		(void)close(r);
}

void make_main(int sock, const struct jail_strict *strict)
{
	static struct make_call call;
	struct maker m = { .sock = sock, .strict = strict };
	int fds[8], base[2], i, n;

	for (;;) {
		if (fd_recv(sock, &call, sizeof(call), fds, 0) != (ssize_t)sizeof(call))
			_exit(0);
		n = 0;
		for (i = 0; i < 2; i++)
			base[i] = call.based[i] ? fds[n++] : AT_FDCWD;
		work(&m, &call, base);
		for (i = 0; i < 8; i++)
			cleanup_close(&fds[i]);
	}
}
