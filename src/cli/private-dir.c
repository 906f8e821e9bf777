/* SPDX-License-Identifier: Apache-2.0 */
#include "private-dir.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "jail/jail.h"
#include "util/util.h"

#define NAME_MAX_BYTES 16 /* in front, and of what is in it */

/* A directory of the caller alone, which others can't take the place of; its name is short. */
static const char *runtime_dir(void)
{
	const char *v = geteuid() == 0 ? "/run" : getenv("XDG_RUNTIME_DIR");
	struct stat st;

	if (v && *v == '/' && strlen(v) < PRIVATE_DIR_MAX - 32 && lstat(v, &st) == 0 &&
	    S_ISDIR(st.st_mode) && st.st_uid == geteuid() && !(st.st_mode & (S_IWGRP | S_IWOTH)) &&
	    access(v, W_OK) == 0)
		return v;
	return "/tmp";
}

int private_dir_make(const char *name, char *ret, struct err *e)
{
	char path[PRIVATE_DIR_MAX + 32], real[LIMIT_PATH];
	int r;

	ret[0] = '\0';
	(void)snprintf(path, sizeof(path), "%s/%.*s-XXXXXX", runtime_dir(), NAME_MAX_BYTES,
		       name); /* fits */
	if (!mkdtemp(path))   /* 0700 */
		return err_sys(e, -errno, "%s", path);
	r = jail_host_resolve(path, true, real);
	if (r == 0 && strlen(real) >= PRIVATE_DIR_MAX)
		r = -ENAMETOOLONG; /* a runtime directory that is a link */
	if (r < 0) {
		(void)rmdir(path);
		return err_sys(e, r, "%s", path);
	}
	memcpy(ret, real, strlen(real) + 1);
	return 0;
}

int private_dir_socket(const char *dir, const char *name, struct err *e)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	(void)snprintf(at.sun_path, sizeof(at.sun_path), "%s/%.*s", dir, NAME_MAX_BYTES,
		       name); /* PRIVATE_DIR_MAX is less */
	/* the command may have another id than we; the directory keeps everybody else away */
	if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0 ||
	    chmod(at.sun_path, 0666) < 0 || listen(fd, 16) < 0)
		return err_sys(e, -errno, "%s", at.sun_path);
	return TAKE_FD(fd);
}

void private_dir_gone(char *dir, const char *const *names)
{
	char path[PRIVATE_DIR_MAX + 32];

	if (!*dir)
		return;
	for (; *names; names++) {
		(void)snprintf(path, sizeof(path), "%s/%.*s", dir, NAME_MAX_BYTES,
			       *names); /* fits */
		(void)unlink(
			path); /* what can't be removed is empty, or reaches nobody when we have ended */
	}
	(void)rmdir(dir);
	dir[0] = '\0';
}
