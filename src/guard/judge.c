/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A repository that was born during the run is the command's own work: a clone must stay a repository. What of it would be executed by the
 * host's git is judged here, when nothing can change it any more.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store.h"

/* Return: bytes, or negative errno. @b: with a cap, a NUL follows. */
static int read_small(const char *path, struct buf *b)
{
	_cleanup_close_ int fd = sys_openat2(AT_FDCWD, path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK,
					     RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS);
	struct stat st;
	int r;

	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return -EINVAL;
	r = fd_read_all(fd, b);
	if (r == 0 && !b->data)
		buf_puts(b, "");
	return r < 0 ? r : b->data ? 0 : -ENOMEM;
}

bool judge_config(const char *path, char out[512])
{
	struct buf b = BUF_INIT(LIMIT_GIT_FILE);
	const char *name = NULL;
	struct git_config c;
	int r = read_small(path, &b), found = 0;

	if (r == 0) {
		git_config_begin(&c, b.data, b.len);
		while (!name && (found = git_config_next(&c)) > 0)
			name = git_config_executes(&c);
	}
	if (r < 0 || found < 0)
		(void)snprintf(out, 512, "%s", "not understood");
	else if (name)
		(void)snprintf(out, 512, "%s", name);
	buf_done(&b);
	return r < 0 || found < 0 || name;
}

bool judge_worktree(const char *in, const char *name)
{
	struct buf b = BUF_INIT(LIMIT_PATH + 16);
	char path[2 * LIMIT_PATH];
	bool fine = false;

	(void)snprintf(path, sizeof(path), "%s/%s", in, name);
	if (read_small(path, &b) == 0) {
		while (b.len > 0 && b.data[b.len - 1] == '\n')
			b.data[--b.len] = '\0';
		/* where the worktree is, is text that git only prints and prunes by */
		fine = strcmp(name, "commondir") == 0 ? strcmp(b.data, "../..") == 0 :
							strlen(b.data) == b.len && b.len > 0;
	}
	buf_done(&b);
	return fine;
}

bool judge_pointer(const struct policy *policy, const char *path)
{
	struct buf b = BUF_INIT(LIMIT_PATH + 64);
	char dir[LIMIT_PATH], norm[LIMIT_PATH], real[LIMIT_PATH];
	struct stat st;
	char *target;
	bool fine = false;
	int r;

	if (lstat(path, &st) < 0)
		return true;
	if (S_ISLNK(st.st_mode)) {
		r = jail_host_resolve(path, true, real);
	} else {
		r = read_small(path, &b);
		target = r == 0 ? git_pointer(b.data, b.len) : NULL;
		memcpy(dir, path, strlen(path) + 1);
		*strrchr(dir, '/') = '\0';
		if (!target || target[0] == '~' ||
		    path_normalize(target, dir, NULL, norm, NULL) < 0)
			r = -EINVAL;
		else
			r = jail_host_physical(dir, target, real);
	}
	fine = r == 0 && policy_eval(policy, real).state == POLICY_SHOW_RW;
	buf_done(&b);
	return fine;
}
