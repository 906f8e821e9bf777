/* SPDX-License-Identifier: Apache-2.0 */
/* Regular files on 0-2: they were opened through the launcher's mounts, and /proc gives each a name by which it could be opened again. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "landlock.h"
#include "plan-apply.h"

/* Return: 1 when the file stays on the launcher's mounts, 0, or negative errno with @e. */
static int reopen(int stream, struct err *e)
{
	struct stat old, new;
	_cleanup_close_ int fd = -1;
	char path[LIMIT_PATH], proc[32];
	off_t offset;
	ssize_t n;
	int flags;

	if (fstat(stream, &old) < 0 || !S_ISREG(old.st_mode))
		return 0;
	flags = fcntl(stream, F_GETFL);
	if (flags < 0 || (flags & O_ACCMODE) != O_RDONLY)
		return 0;
	(void)snprintf(proc, sizeof(proc), "/proc/self/fd/%d", stream);
	n = readlink(proc, path, sizeof(path) - 1);
	if (n <= 0)
		return 1; /* /proc is not there: Landlock alone covers it */
	path[n] = '\0';
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0 || fstat(fd, &new) < 0 || new.st_dev != old.st_dev || new.st_ino != old.st_ino)
		return 1; /* deleted, renamed or not openable by this id: Landlock alone covers it */
	offset = lseek(stream, 0, SEEK_CUR);
	if (offset < 0 || lseek(fd, offset, SEEK_SET) < 0 || fcntl(fd, F_SETFL, flags) < 0 ||
	    dup2(fd, stream) < 0)
		return err_sys(e, -errno, "fd %d", stream);
	return 0;
}

bool jail_streams_regular(void)
{
	struct stat st;
	int fd;

	for (fd = 0; fd <= 2; fd++) {
		if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
			return true;
	}
	return false;
}

int jail_streams_reopen(unsigned int *ret_foreign, struct err *e)
{
	int fd, r;

	*ret_foreign = 0;
	for (fd = 0; fd <= 2; fd++) {
		r = reopen(fd, e);
		if (r < 0)
			return r;
		*ret_foreign |= (unsigned int)r << fd;
	}
	return 0;
}

/* Whether the file on @fd could be changed by the name that /proc gives to the descriptor, as far as its own mode and mount say. */
static bool writable_by_name(int fd)
{
	char path[32];

	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return access(path, W_OK) == 0;
}

/*
 * Without Landlock a file that is open for writing on 0-2 could be opened again with more rights, through the launcher's mounts. Before
 * ABI 3 Landlock lets a file be truncated by that way that is open for reading, when it could not be opened anew (docs/landlock.md).
 */
int jail_streams_check(const struct jail_apply *a, struct err *e)
{
	const bool lost =
		a->lost & (1u << JAIL_LAYER_LANDLOCK) || a->spec->nested == JAIL_NESTED_SANDBOX;
	struct stat st;
	int fd, flags;

	if (!lost && (!a->foreign || jail_landlock_abi() >= 3))
		return 0;
	for (fd = 0; fd <= 2; fd++) {
		if (!lost && (a->foreign & (1u << fd)) && writable_by_name(fd))
			return err_set(
				e, ERR_LAYER, -EPERM,
				"fd %d is a regular file that can't be opened anew by its name, and only Landlock ABI 3 keeps such a file "
				"from being truncated (the kernel has ABI %d); use a pipe: cat FILE | bailey run ...",
				fd, jail_landlock_abi());
		flags = fcntl(fd, F_GETFL);
		if (lost && flags >= 0 && (flags & O_ACCMODE) != O_RDONLY && fstat(fd, &st) == 0 &&
		    S_ISREG(st.st_mode))
			return err_set(
				e, ERR_LAYER, -EPERM,
				"fd %d is a regular file, which only Landlock protects from being opened again; use a pipe: "
				"… | cat >FILE",
				fd);
	}
	return 0;
}
