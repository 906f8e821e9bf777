/* SPDX-License-Identifier: Apache-2.0 */
#include "libexec.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static int find(const char *name, const char *what, char *path, struct err *e)
{
	static const char *const places[] = { "", "/../libexec/bailey" };
	char self[LIMIT_PATH], *slash;
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	size_t i;
	int fd;

	if (n < 0)
		return err_sys(e, -errno, "/proc/self/exe");
	self[n] = '\0';
	slash = strrchr(self, '/');
	if (slash)
		*slash = '\0';
	for (i = 0; i < ARRAY_SIZE(places); i++) {
		if (snprintf(path, LIMIT_PATH, "%s%s/%s", self, places[i], name) >= LIMIT_PATH)
			continue;
		fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
		if (fd >= 0)
			return fd;
		if (errno != ENOENT)
			return err_sys(e, -errno, "%s", path);
	}
	return err_set(e, ERR_LAYER, -ENOENT,
		       "%s is not installed, beside bailey or in ../libexec/bailey: it %s", name,
		       what);
}

int libexec_open(const char *name, const char *what, char *path, struct err *e)
{
	_cleanup_close_ int fd = find(name, what, path, e);
	struct stat st;

	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0)
		return err_sys(e, -errno, "%s", path);
	if (!S_ISREG(st.st_mode) || (st.st_uid != 0 && st.st_uid != geteuid()) ||
	    (st.st_mode & 022))
		return err_set(
			e, ERR_POLICY, -EPERM,
			"%s: it must be a file of yours or root's that nobody else may write: it %s",
			path, what);
	return TAKE_FD(fd);
}

int libexec_exec(int fd, const char *name, char *const *argv, struct err *e)
{
	(void)syscall(SYS_execveat, fd, "", argv, environ, AT_EMPTY_PATH);
	return err_sys(e, -errno, "%s", name);
}
