/* SPDX-License-Identifier: Apache-2.0 */
/* Attacks by path: reads of hidden files, writes outside the workspace, links, device nodes. */
#define _GNU_SOURCE
#include "probe.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/time.h>
#include <sys/xattr.h>
#include <unistd.h>

#ifndef RENAME_EXCHANGE
#define RENAME_EXCHANGE (1 << 1)
#endif

static int open_close(const char *path, int flags, mode_t mode)
{
	int fd = open(path, flags | O_CLOEXEC | O_NONBLOCK, mode);

	if (fd < 0)
		return -errno;
	close(fd);
	return 0;
}

/* Reads a word (some files of the kernel give no less); a file that opens and then refuses to be read is refused. */
static int p_read(int argc, char **argv)
{
	char word[8];
	ssize_t n;
	int r = 0;
	int fd = open(argv[0], O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	(void)argc;
	if (fd < 0)
		return -errno;
	n = read(fd, word, sizeof(word));
	if (n < 0)
		r = -errno;
	else if (n == 0)
		r = -ENODATA;
	close(fd);
	return r;
}

static int p_ls(int argc, char **argv)
{
	DIR *d = opendir(argv[0]);
	int r = -ENODATA;

	(void)argc;
	if (!d)
		return -errno;
	errno = 0;
	for (struct dirent *e = readdir(d); e; e = readdir(d)) {
		if (e->d_name[0] != '.')
			r = 0;
	}
	if (r && errno)
		r = -errno;
	closedir(d);
	return r;
}

/* Looks for a name in a directory listing: hidden names must not be shown either. */
static int p_listed(int argc, char **argv)
{
	DIR *d = opendir(argv[0]);
	int r = -ENOENT;

	(void)argc;
	if (!d)
		return -errno;
	for (struct dirent *e = readdir(d); e; e = readdir(d)) {
		if (strcmp(e->d_name, argv[1]) == 0)
			r = 0;
	}
	closedir(d);
	return r;
}

static int p_stat(int argc, char **argv)
{
	struct stat st;

	(void)argc;
	return result(lstat(argv[0], &st));
}

static int p_readlink(int argc, char **argv)
{
	char buf[256];

	(void)argc;
	return result(readlink(argv[0], buf, sizeof(buf)));
}

/* Looks for a text in a file of at most 256 KiB. */
static int p_grep(int argc, char **argv)
{
	static char buf[256 * 1024];
	size_t have = 0;
	int fd = open(argv[0], O_RDONLY | O_CLOEXEC);

	(void)argc;
	if (fd < 0)
		return -errno;
	for (;;) {
		ssize_t n = read(fd, buf + have, sizeof(buf) - have);

		if (n <= 0)
			break;
		have += (size_t)n;
	}
	close(fd);
	return memmem(buf, have, argv[1], strlen(argv[1])) ? 0 : -ENODATA;
}

/* Opens for writing and writes nothing: the outside control must not change the machine. */
static int p_openw(int argc, char **argv)
{
	(void)argc;
	return open_close(argv[0], O_WRONLY, 0);
}

static int p_opentrunc(int argc, char **argv)
{
	(void)argc;
	return open_close(argv[0], O_WRONLY | O_TRUNC, 0);
}

static int p_open(int argc, char **argv)
{
	(void)argc;
	return open_close(argv[0], O_RDWR, 0);
}

static int p_write(int argc, char **argv)
{
	int r;
	int fd = open(argv[0], O_WRONLY | O_APPEND | O_CLOEXEC);

	(void)argc;
	if (fd < 0)
		return -errno;
	r = result(write(fd, "x", 1));
	close(fd);
	return r;
}

static int p_mmapw(int argc, char **argv)
{
	int r = 0;
	void *p;
	int fd = open(argv[0], O_RDWR | O_CLOEXEC);

	(void)argc;
	if (fd < 0)
		return -errno;
	p = mmap(NULL, 1, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED)
		r = -errno;
	close(fd);
	return r;
}

static int p_truncate(int argc, char **argv)
{
	(void)argc;
	return result(truncate(argv[0], 0));
}

/* Creates and takes it away again when it worked. */
static int p_create(int argc, char **argv)
{
	int r = open_close(argv[0], O_WRONLY | O_CREAT | O_EXCL, 0644);

	(void)argc;
	if (r == 0)
		(void)unlink(argv[0]);
	return r;
}

/* Creates and leaves it, for the runner to look for on the host. */
static int p_leave(int argc, char **argv)
{
	(void)argc;
	return open_close(argv[0], O_WRONLY | O_CREAT, 0644);
}

static int p_tmpfile(int argc, char **argv)
{
	(void)argc;
	return open_close(argv[0], O_WRONLY | O_TMPFILE, 0644);
}

static int p_mkdir(int argc, char **argv)
{
	(void)argc;
	return result(mkdir(argv[0], 0755));
}

static int p_unlink(int argc, char **argv)
{
	(void)argc;
	return result(unlink(argv[0]));
}

static int p_rmdir(int argc, char **argv)
{
	(void)argc;
	return result(rmdir(argv[0]));
}

static int p_rename(int argc, char **argv)
{
	(void)argc;
	return result(rename(argv[0], argv[1]));
}

static int p_exchange(int argc, char **argv)
{
	(void)argc;
	return result(
		syscall(SYS_renameat2, AT_FDCWD, argv[0], AT_FDCWD, argv[1], RENAME_EXCHANGE));
}

static int p_symlink(int argc, char **argv)
{
	(void)argc;
	return result(symlink(argv[0], argv[1]));
}

static int p_link(int argc, char **argv)
{
	(void)argc;
	return result(link(argv[0], argv[1]));
}

/* A link through a descriptor: linkat follows /proc/self/fd without looking at the mount's path. */
static int p_linkfd(int argc, char **argv)
{
	char name[40];
	int r;
	int fd = open(argv[0], O_PATH | O_CLOEXEC);

	(void)argc;
	if (fd < 0)
		return -errno;
	snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
	r = result(linkat(AT_FDCWD, name, AT_FDCWD, argv[1], AT_SYMLINK_FOLLOW));
	close(fd);
	return r;
}

static int p_linkempty(int argc, char **argv)
{
	int r;
	int fd = open(argv[0], O_RDONLY | O_CLOEXEC);

	(void)argc;
	if (fd < 0)
		return -errno;
	r = result(linkat(fd, "", AT_FDCWD, argv[1], AT_EMPTY_PATH));
	close(fd);
	return r;
}

static int p_mkfifo(int argc, char **argv)
{
	(void)argc;
	return result(mkfifo(argv[0], 0644));
}

/* mknod PATH c|b MAJOR MINOR */
static int p_mknod(int argc, char **argv)
{
	mode_t type = argv[1][0] == 'b' ? S_IFBLK : S_IFCHR;
	dev_t dev = makedev((unsigned int)num(argv[2]), (unsigned int)num(argv[3]));

	(void)argc;
	return result(mknod(argv[0], type | 0666, dev));
}

/* Gives the file to its own owner: refused only by the mount, never for lack of rights. */
static int p_chown(int argc, char **argv)
{
	(void)argc;
	return result(chown(argv[0], getuid(), (gid_t)-1));
}

static int p_chownto(int argc, char **argv)
{
	(void)argc;
	return result(lchown(argv[0], (uid_t)num(argv[1]), (gid_t)num(argv[1])));
}

static int p_utimes(int argc, char **argv)
{
	(void)argc;
	return result(utimensat(AT_FDCWD, argv[0], NULL, 0));
}

static int p_setxattr(int argc, char **argv)
{
	(void)argc;
	return result(setxattr(argv[0], argv[1], "1", 1, 0));
}

/* File capabilities: revision 2, all permitted, effective. */
static int p_setcap(int argc, char **argv)
{
	static const uint32_t data[5] = { 0x02000001, 0xffffffff, 0, 0x1ff, 0 };
	int fd = open(argv[0], O_WRONLY | O_CREAT | O_CLOEXEC, 0755);

	(void)argc;
	if (fd < 0)
		return -errno;
	close(fd);
	return result(setxattr(argv[0], "security.capability", data, sizeof(data), 0));
}

/* Writes through a second name for the same file: O_PATH first, then /proc/self/fd. */
static int p_reopenw(int argc, char **argv)
{
	char name[40];
	int r;
	int fd = open(argv[0], O_PATH | O_CLOEXEC);

	(void)argc;
	if (fd < 0)
		return -errno;
	snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
	r = open_close(name, O_WRONLY, 0);
	close(fd);
	return r;
}

/* moved-create OLD NEW FILE: renames an ancestor away, makes it anew, and creates the denied name in it. */
static int p_moved_create(int argc, char **argv)
{
	(void)argc;
	if (rename(argv[0], argv[1]) < 0)
		return -errno;
	if (mkdir(argv[0], 0755) < 0)
		return -errno;
	return open_close(argv[2], O_WRONLY | O_CREAT, 0644);
}

/* moved-read OLD NEW FILE: renames an ancestor of a hidden name and reads the name at its new place. */
static int p_moved_read(int argc, char **argv)
{
	(void)argc;
	if (rename(argv[0], argv[1]) < 0)
		return -errno;
	return p_read(1, argv + 2);
}

/* Success only when the current directory is somewhere that no workspace holds. */
static int p_cwd_outside(int argc, char **argv)
{
	char buf[4096];

	if (!getcwd(buf, sizeof(buf)))
		return -errno;
	if (buf[0] != '/')
		return 0;
	for (int i = 0; i < argc; i++) {
		size_t n = strlen(argv[i]);

		if (strncmp(buf, argv[i], n) == 0 && (buf[n] == '/' || !buf[n]))
			return -EACCES;
	}
	return 0;
}

/* Climbs with .. from the current directory and creates a file there. */
static int p_climb(int argc, char **argv)
{
	char path[4200];

	(void)argc;
	snprintf(path, sizeof(path), "../../../../../../../../../../../..%s", argv[0]);
	return p_create(1, (char *[]){ path, NULL });
}

const struct probe fs_probes[] = {
	{ "read", 1, p_read },
	{ "ls", 1, p_ls },
	{ "listed", 2, p_listed },
	{ "stat", 1, p_stat },
	{ "readlink", 1, p_readlink },
	{ "grep", 2, p_grep },
	{ "open", 1, p_open },
	{ "openw", 1, p_openw },
	{ "opentrunc", 1, p_opentrunc },
	{ "write", 1, p_write },
	{ "mmapw", 1, p_mmapw },
	{ "truncate", 1, p_truncate },
	{ "create", 1, p_create },
	{ "leave", 1, p_leave },
	{ "tmpfile", 1, p_tmpfile },
	{ "mkdir", 1, p_mkdir },
	{ "unlink", 1, p_unlink },
	{ "rmdir", 1, p_rmdir },
	{ "rename", 2, p_rename },
	{ "exchange", 2, p_exchange },
	{ "symlink", 2, p_symlink },
	{ "link", 2, p_link },
	{ "linkfd", 2, p_linkfd },
	{ "linkempty", 2, p_linkempty },
	{ "mkfifo", 1, p_mkfifo },
	{ "mknod", 4, p_mknod },
	{ "chown", 1, p_chown },
	{ "chownto", 2, p_chownto },
	{ "utimes", 1, p_utimes },
	{ "setxattr", 2, p_setxattr },
	{ "setcap", 1, p_setcap },
	{ "reopenw", 1, p_reopenw },
	{ "moved-create", 3, p_moved_create },
	{ "moved-read", 3, p_moved_read },
	{ "cwd-outside", 0, p_cwd_outside },
	{ "climb", 1, p_climb },
	{ NULL, 0, NULL },
};
