/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation (docs/adr/0003). The seccomp program notifies before a process of the sandbox makes its first unix socket. Until the
 * launcher answers, no process of the sandbox has one, so none can have connected. The launcher searches every tree that shows the host's
 * live files, and a helper process enters the sandbox's user and mount namespaces and mounts an inert file over each socket found. Then the
 * call goes on (CONTINUE: the decision used no memory of the caller's, so nothing can be swapped). All later calls are answered at once.
 * What fails on the way refuses the call: EACCES.
 */
#include <dirent.h>
#include <errno.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "jail.h"

struct found {
	char **paths; /* owned */
	size_t n;
};

static int remember(struct found *f, const char *path)
{
	if (f->n == LIMIT_SCAN_SOCKETS)
		return -E2BIG;
	if (!f->paths)
		f->paths = calloc(LIMIT_SCAN_SOCKETS, sizeof(*f->paths));
	if (!f->paths)
		return -ENOMEM;
	f->paths[f->n] = strdup(path);
	return f->paths[f->n++] ? 0 : -ENOMEM;
}

/* Search the directory @dfd (taken) named @path (LIMIT_PATH bytes, changed and restored). */
static int search(int dfd, char *path, int depth, bool deep, struct found *f)
{
	size_t len = strlen(path);
	struct dirent *d;
	int r = 0;
	DIR *dir;

	dir = fdopendir(dfd);
	if (!dir) {
		(void)close(dfd);
		return -errno;
	}
	while (r == 0 && (d = readdir(dir))) {
		unsigned char type = d->d_type;
		struct stat st;
		int fd;

		if (strcmp(d->d_name, ".") == 0 || strcmp(d->d_name, "..") == 0)
			continue;
		if (type == DT_UNKNOWN && fstatat(dirfd(dir), d->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0)
			type = (unsigned char)IFTODT(st.st_mode);
		if (type != DT_SOCK && !(type == DT_DIR && deep))
			continue;
		if (len + strlen(d->d_name) + 2 > LIMIT_PATH) {
			r = -ENAMETOOLONG;
			break;
		}
		path[len] = '/';
		memcpy(path + len + 1, d->d_name, strlen(d->d_name) + 1);
		if (type == DT_SOCK) {
			r = remember(f, path);
		} else if (depth == LIMIT_SCAN_DEPTH) {
			r = -ELOOP;
		} else {
			fd = openat(dirfd(dir), d->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
			/* what the launcher's user can't read, the same user inside can't list either; gone is gone */
			if (fd >= 0)
				r = search(fd, path, depth + 1, true, f);
		}
		path[len] = '\0';
	}
	(void)closedir(dir);
	return r;
}

static int search_plan(const struct jail_plan *plan, struct found *f)
{
	char path[LIMIT_PATH];
	struct stat st;
	size_t i;
	int r = 0, fd;

	for (i = 0; r == 0 && i < plan->n; i++) {
		const struct jail_op *op = &plan->ops[i];

		if (!jail_op_shows_host(op) || lstat(op->path, &st) < 0)
			continue;
		if (S_ISSOCK(st.st_mode))
			r = remember(f, op->path);
		if (!S_ISDIR(st.st_mode))
			continue;
		fd = open(op->path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (fd < 0)
			continue;
		memcpy(path, op->path, strlen(op->path) + 1);
		r = search(fd, path, 0, !(op->flags & JAIL_OP_SHALLOW), f);
	}
	return r;
}

/*
 * In the helper: cover one socket by the sandbox's own /dev/null, which nothing can connect to. A name that is gone or is no socket any
 * more needs no cover.
 */
static int cover(int root, const char *path)
{
	_cleanup_close_ int fd = sys_openat2(root, path + 1, O_PATH | O_NOFOLLOW,
					     RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_SYMLINKS);
	_cleanup_close_ int tree = -1;
	struct stat st;

	if (fd < 0)
		return fd == -ENOENT || fd == -EACCES ? 0 : fd;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISSOCK(st.st_mode))
		return 0;
	tree = sys_open_tree(root, "dev/null", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	return tree < 0 ? tree : sys_move_mount(tree, fd, "");
}

/* The helper: has capabilities in the sandbox's user namespace, works on names that the sandbox can change; follows no link. */
static int helper(const struct jail *jail, const struct found *f)
{
	int root, r = 0;
	size_t i;

	if (setns(jail->userns, CLONE_NEWUSER) < 0 || setns(jail->mntns, CLONE_NEWNS) < 0)
		return -errno;
	root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root < 0)
		return -errno;
	for (i = 0; r == 0 && i < f->n; i++)
		r = cover(root, f->paths[i]);
	return r;
}

static int cover_all(const struct jail *jail, const struct found *f)
{
	int status;
	pid_t pid;

	if (f->n == 0)
		return 0;
	pid = fork();
	if (pid < 0)
		return -errno;
	if (pid == 0)
		_exit(helper(jail, f) < 0 ? 1 : 0);
	while (waitpid(pid, &status, 0) < 0) {
		if (errno != EINTR)
			return -errno;
	}
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -EIO;
}

int jail_sockets_serve(struct jail *jail, const struct jail_plan *plan, struct err *e)
{
	/* the kernel's structures may be longer than the ones we were built with (SECCOMP_GET_NOTIF_SIZES) */
	union {
		struct seccomp_notif n;
		char room[1024];
	} req;
	union {
		struct seccomp_notif_resp r;
		char room[1024];
	} resp;
	struct found f = { .paths = NULL, .n = 0 };
	int r = 0;
	size_t i;

	memset(&req, 0, sizeof(req));
	memset(&resp, 0, sizeof(resp));
	if (ioctl(jail->notify, SECCOMP_IOCTL_NOTIF_RECV, &req) < 0)
		return errno == ENOENT || errno == EINTR || errno == EAGAIN ? 0 : err_sys(e, -errno, "seccomp notification");
	if (!jail->searched) {
		r = search_plan(plan, &f);
		if (r == 0)
			r = cover_all(jail, &f);
		jail->searched = r == 0;
		for (i = 0; i < f.n; i++)
			free(f.paths[i]);
		free(f.paths);
	}
	resp.r.id = req.n.id;
	if (r < 0)
		resp.r.error = -EACCES;
	else
		resp.r.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
	if (ioctl(jail->notify, SECCOMP_IOCTL_NOTIF_SEND, &resp) < 0 && errno != ENOENT)
		return err_sys(e, -errno, "seccomp notification");
	return r < 0 ? err_sys(e, r, "the host's sockets in the workspace could not be masked, so unix sockets are refused") : 0;
}
