/* SPDX-License-Identifier: Apache-2.0 */
/* What somebody has named by hand, as against what comes in a stream: it must be what it seems. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "archive.h"

static const char *special(mode_t mode)
{
	return S_ISFIFO(mode)                 ? "a FIFO" :
	       S_ISSOCK(mode)                 ? "a socket" :
	       S_ISCHR(mode) || S_ISBLK(mode) ? "a device" :
						NULL;
}

int archive_named(int dir, const char *name, const char *path, bool target, struct err *e)
{
	_cleanup_close_ int fd = openat(dir, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	struct stat st, to, stream;
	const char *what;
	char text[256];
	ssize_t n;
	bool there;

	if (fd < 0 || fstat(fd, &st) < 0)
		return 0; /* who needs it says what is wrong */
	what = special(st.st_mode);
	if (what)
		return err_set(e, ERR_USAGE, -EOPNOTSUPP,
			       "'%.150s' is %s; for standard %s say '-', which is an archive", path,
			       what, target ? "output" : "input");
	if (!S_ISLNK(st.st_mode))
		return 0;
	n = readlinkat(fd, "", text, sizeof(text) - 1);
	text[n < 0 ? 0 : n] = '\0';
	/* the rest only words what is said, and whether a source is a link to a device */
	there = fstatat(dir, name, &to, 0) == 0;
	what = there ? special(to.st_mode) : NULL;
	/* /dev/stdout leads to whatever stdout is, by names that lead nowhere for others */
	if (!what && there && fstat(target ? 1 : 0, &stream) == 0 && S_ISREG(to.st_mode) &&
	    stream.st_dev == to.st_dev && stream.st_ino == to.st_ino)
		what = target ? "what is standard output" : "what is standard input";
	if (what)
		return err_set(
			e, ERR_USAGE, -EOPNOTSUPP,
			"'%.150s' is a link to %s; for standard %s say '-', which is an archive",
			path, what, target ? "output" : "input");
	if (!target || (there && S_ISDIR(to.st_mode)))
		return 0;
	return err_set(e, ERR_USAGE, -ELOOP, "'%.150s' is a link to '%.150s': name that", path,
		       text);
}
