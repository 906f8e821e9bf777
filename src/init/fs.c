/* SPDX-License-Identifier: Apache-2.0 */
#include "fs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#define NAMES_MAX (1u << 20) /* of one directory */
#define ATTRIBUTES 65536     /* bytes of their names together, and of one value */

static const char *type_of(mode_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFREG:
		return "file";
	case S_IFDIR:
		return "directory";
	case S_IFLNK:
		return "symlink";
	case S_IFIFO:
		return "fifo";
	case S_IFSOCK:
		return "socket";
	case S_IFCHR:
		return "char";
	default:
		return "block";
	}
}

/* @path without the slashes at its end, made absolute. */
static int absolute(const char *path, char *out, struct err *e)
{
	size_t n = strlen(path), at = 0;

	while (n > 1 && path[n - 1] == '/')
		n--;
	if (path[0] != '/') {
		if (!getcwd(out, LIMIT_PATH))
			return err_sys(e, -errno, "the current directory");
		at = strlen(out);
		if (n == 1 && path[0] == '.')
			return 0;
		if (n > 2 && path[0] == '.' && path[1] == '/')
			path += 2, n -= 2;
		if (at > 1)
			out[at++] = '/';
	}
	if (!n || at + n >= LIMIT_PATH)
		return err_sys(e, n ? -ENAMETOOLONG : -ENOENT, "%.200s", path);
	memcpy(out + at, path, n);
	out[at + n] = '\0';
	return 0;
}

int fs_say(struct buf *line, struct err *e)
{
	int r;

	buf_puts(line, "\n");
	r = line->failed ? -ENOMEM : fd_write_all(1, line->data, line->len);
	buf_done(line);
	return r < 0 ? err_sys(e, r, "writing") : 0;
}

/* Those of the user, whose values are text; what is too much is left out. */
static void add_attributes(struct json *j, int fd)
{
	static char names[ATTRIBUTES], value[ATTRIBUTES + 1];
	ssize_t n = flistxattr(fd, names, sizeof(names)), len;
	const char *p;

	json_open(j, "attributes", '{');
	for (p = names; n > 0 && p < names + n; p += strlen(p) + 1) {
		if (strncmp(p, "user.", 5) != 0 || j->out->len > ATTRIBUTES)
			continue;
		len = fgetxattr(fd, p, value, ATTRIBUTES);
		if (len < 0 || memchr(value, '\0', (size_t)len))
			continue;
		value[len] = '\0';
		json_str(j, p, value);
	}
	json_close(j, '}');
}

/* Say what @name in @dfd is; @path is shown. @whole: with its attributes */
static int say_entry(int dfd, const char *name, const char *path, bool whole, struct err *e)
{
	struct buf b = BUF_INIT(8ul * ATTRIBUTES);
	struct json j = { .out = &b };
	char mode[8], target[LIMIT_PATH];
	_cleanup_close_ int fd = -1;
	struct stat st;
	ssize_t n;

	if (fstatat(dfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return err_sys(e, -errno, "%.200s", path);
	(void)snprintf(mode, sizeof(mode), "%04o", (unsigned int)st.st_mode & 07777);
	json_open(&j, NULL, '{');
	json_str(&j, "path", path);
	json_str(&j, "name", path[1] ? strrchr(path, '/') + 1 : "/");
	json_str(&j, "type", type_of(st.st_mode));
	json_int(&j, "size", st.st_size);
	json_str(&j, "mode", mode);
	json_int(&j, "uid", st.st_uid);
	json_int(&j, "gid", st.st_gid);
	json_int(&j, "modified", st.st_mtim.tv_sec * 1000000000LL + st.st_mtim.tv_nsec);
	n = S_ISLNK(st.st_mode) ? readlinkat(dfd, name, target, sizeof(target) - 1) : -1;
	if (n >= 0) {
		target[n] = '\0';
		json_str(&j, "target", target);
	}
	if (whole && (S_ISREG(st.st_mode) || S_ISDIR(st.st_mode))) {
		fd = openat(dfd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
		if (fd >= 0)
			add_attributes(&j, fd);
	}
	json_close(&j, '}');
	return fs_say(&b, e);
}

int fs_stat(char *const *argv, struct err *e)
{
	char path[LIMIT_PATH];
	int r = absolute(argv[1], path, e);

	return r < 0 ? r : say_entry(AT_FDCWD, path, path, true, e);
}

/* --- lists --- */

/* Say all in @dfd, @depth levels of it, each directory before what is in it. @path: LIMIT_PATH bytes, its name; as it was at the end. */
/* NOLINTNEXTLINE(misc-no-recursion): as deep as LIMIT_SCAN_DEPTH */
static int say_list(int dfd, char *path, unsigned int depth, struct err *e)
{
	const size_t len = path[1] ? strlen(path) : 0; /* "/" needs no other slash */
	struct entries l;
	int r = entries_read(dfd, NAMES_MAX, &l), fd;
	size_t i;

	if (r < 0)
		(void)err_sys(e, r, "%.200s", path);
	for (i = 0; r == 0 && i < l.n; i++) {
		if ((size_t)snprintf(path + len, LIMIT_PATH - len, "/%s", l.v[i]) >=
		    LIMIT_PATH - len)
			r = err_sys(e, -ENAMETOOLONG, "%.200s", path);
		if (r == 0)
			r = say_entry(dfd, l.v[i], path, false, e);
		if (r == -ENOENT)
			r = 0; /* it has gone meanwhile */
		else if (r == 0 && depth > 1) {
			fd = openat(dfd, l.v[i], O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
			if (fd >= 0) {
				r = say_list(fd, path, depth - 1, e);
				(void)close(fd);
			}
		}
		path[len ? len : 1] = '\0';
	}
	entries_done(&l);
	return r;
}

int fs_open(const char *path, char *out, struct err *e)
{
	int r = absolute(path, out, e), fd;

	if (r < 0)
		return r;
	fd = open(out, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? err_sys(e, -errno, "%.200s", path) : fd;
}

/* argv: list PATH DEPTH */
int fs_list(char *const *argv, struct err *e)
{
	_cleanup_close_ int fd = -1;
	char path[LIMIT_PATH];
	const unsigned long depth = argv[2] ? strtoul(argv[2], NULL, 10) : 0;

	if (depth < 1 || depth > LIMIT_SCAN_DEPTH)
		return err_set(e, ERR_SYSTEM, -EINVAL, "the depth is not from 1 to %d",
			       LIMIT_SCAN_DEPTH);
	fd = fs_open(argv[1], path, e);
	return fd < 0 ? fd : say_list(fd, path, (unsigned int)depth, e);
}

/* --- changes --- */

/* argv: make PATH; the directories that lead there, too */
int fs_make(char *const *argv, struct err *e)
{
	char path[LIMIT_PATH], *p;
	struct stat st;
	int r = absolute(argv[1], path, e);

	if (r < 0)
		return r;
	for (p = path + 1; (p = strchr(p, '/')); p++) {
		*p = '\0';
		r = mkdir(path, 0777) < 0 && errno != EEXIST ? err_sys(e, -errno, "%.200s", path) :
							       0;
		*p = '/';
		if (r < 0)
			return r;
	}
	if (mkdir(path, 0777) < 0) {
		r = -errno;
		if (r == -EEXIST && stat(path, &st) == 0 && !S_ISDIR(st.st_mode))
			r = -ENOTDIR;
		return err_sys(e, r, "%.200s", argv[1]);
	}
	return say_entry(AT_FDCWD, path, path, true, e);
}

/* argv: move FROM TO */
int fs_move(char *const *argv, struct err *e)
{
	char to[LIMIT_PATH];

	if (!argv[2])
		return err_set(e, ERR_SYSTEM, -EINVAL, "the other name is missing");
	if (absolute(argv[2], to, e) < 0)
		return -EINVAL;
	if (rename(argv[1], to) < 0)
		return errno == EXDEV ?
			       err_set(e, ERR_SYSTEM, -EXDEV,
				       "'%.150s' and '%.150s' are on different mounts; copy and remove it",
				       argv[1], argv[2]) :
			       err_sys(e, -errno, "%.150s to %.150s", argv[1], argv[2]);
	return say_entry(AT_FDCWD, to, to, true, e);
}

/* argv: remove PATH [all] */
int fs_remove(char *const *argv, struct err *e)
{
	char path[LIMIT_PATH];
	struct stat st;
	int r = absolute(argv[1], path, e);

	if (r < 0)
		return r;
	if (lstat(path, &st) < 0)
		return err_sys(e, -errno, "%.200s", argv[1]);
	if (argv[2])
		r = tree_remove(AT_FDCWD, path);
	else
		r = unlinkat(AT_FDCWD, path, S_ISDIR(st.st_mode) ? AT_REMOVEDIR : 0) < 0 ? -errno :
											   0;
	return r < 0 ? err_sys(e, r, "%.200s", argv[1]) : 0;
}
