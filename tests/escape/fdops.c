/* SPDX-License-Identifier: Apache-2.0 */
/* Attacks through descriptors that the sandbox inherits: a descriptor belongs to the host's mount, not to the sandbox's. */
#define _GNU_SOURCE
#include "probe.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#define FS_IOC_GETFLAGS 0x80086601UL
#define FS_IOC_SETFLAGS 0x40086602UL
#define FLAG_NODUMP 0x40L

static const char *fd_name(const char *n)
{
	static char name[40];

	snprintf(name, sizeof(name), "/proc/self/fd/%lu", num(n));
	return name;
}

/* Any open descriptor above 2 is a leak; -o's own one sits at 100. */
static int p_leaked_fd(int argc, char **argv)
{
	static char found[64];

	(void)argc;
	(void)argv;
	for (int fd = 3; fd < 100; fd++) {
		if (fcntl(fd, F_GETFD) < 0)
			continue;
		snprintf(found, sizeof(found), "fd %d", fd);
		remark(found);
		return 0;
	}
	return -EBADF;
}

/* fd-file N PATH: a file by a relative name from an inherited directory. */
static int p_fd_file(int argc, char **argv)
{
	int fd = openat((int)num(argv[0]), argv[1], O_RDONLY | O_CLOEXEC);

	(void)argc;
	if (fd < 0)
		return -errno;
	close(fd);
	return 0;
}

static int p_fd_reopen(int argc, char **argv)
{
	int fd = open(fd_name(argv[0]), O_WRONLY | O_CLOEXEC | O_NONBLOCK);

	(void)argc;
	if (fd < 0)
		return -errno;
	close(fd);
	return 0;
}

static int p_fd_reopen_trunc(int argc, char **argv)
{
	int fd = open(fd_name(argv[0]), O_RDWR | O_TRUNC | O_CLOEXEC);

	(void)argc;
	if (fd < 0)
		return -errno;
	close(fd);
	return 0;
}

static int p_fd_truncate(int argc, char **argv)
{
	(void)argc;
	return result(truncate(fd_name(argv[0]), 0));
}

static int p_fd_ftruncate(int argc, char **argv)
{
	(void)argc;
	return result(ftruncate((int)num(argv[0]), 0));
}

/* The metadata calls need no access mode, only ownership. */
static int p_fd_fchmod(int argc, char **argv)
{
	(void)argc;
	return result(fchmod((int)num(argv[0]), (mode_t)num(argv[1])));
}

static int p_fd_chmod(int argc, char **argv)
{
	(void)argc;
	return result(chmod(fd_name(argv[0]), (mode_t)num(argv[1])));
}

static int p_fd_fchown(int argc, char **argv)
{
	(void)argc;
	return result(fchown((int)num(argv[0]), getuid(), (gid_t)-1));
}

static int p_fd_utimes(int argc, char **argv)
{
	struct timespec t[2] = { { .tv_sec = 1 }, { .tv_sec = 1 } };

	(void)argc;
	return result(futimens((int)num(argv[0]), t));
}

static int p_fd_setxattr(int argc, char **argv)
{
	(void)argc;
	return result(fsetxattr((int)num(argv[0]), "user.bailey", "1", 1, 0));
}

static int p_fd_setflags(int argc, char **argv)
{
	long flags = 0;
	int fd = (int)num(argv[0]);

	(void)argc;
	if (ioctl(fd, FS_IOC_GETFLAGS, &flags) < 0)
		return -errno;
	flags |= FLAG_NODUMP;
	return result(ioctl(fd, FS_IOC_SETFLAGS, &flags));
}

static int p_fd_link(int argc, char **argv)
{
	(void)argc;
	return result(linkat(AT_FDCWD, fd_name(argv[0]), AT_FDCWD, argv[1], AT_SYMLINK_FOLLOW));
}

/* fd-above N: .. of an inherited directory. */
static int p_fd_above(int argc, char **argv)
{
	int fd = openat((int)num(argv[0]), "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	(void)argc;
	if (fd < 0)
		return -errno;
	close(fd);
	return 0;
}

/* fd-odd N: descriptor N is something that bailey itself opened: a directory, socket, anonymous inode or regular file. */
static int p_fd_odd(int argc, char **argv)
{
	static char text[64];
	struct stat st;

	(void)argc;
	if (fstat((int)num(argv[0]), &st) < 0)
		return -errno;
	if (S_ISCHR(st.st_mode) || S_ISFIFO(st.st_mode))
		return -EACCES;
	snprintf(text, sizeof(text), "mode %o", (unsigned int)st.st_mode);
	remark(text);
	return 0;
}

static int p_fd_read(int argc, char **argv)
{
	char c;
	ssize_t n = read((int)num(argv[0]), &c, 1);

	(void)argc;
	if (n < 0)
		return -errno;
	return n ? 0 : -ENODATA;
}

/* fd-write N TEXT */
static int p_fd_write(int argc, char **argv)
{
	(void)argc;
	return result(write((int)num(argv[0]), argv[1], strlen(argv[1])));
}

/* fd-rights N NAME: a directory comes through the socket N; creates NAME in it. */
static int p_fd_rights(int argc, char **argv)
{
	char byte, control[CMSG_SPACE(sizeof(int))];
	struct iovec iov = { .iov_base = &byte, .iov_len = 1 };
	struct msghdr m = { .msg_iov = &iov,
			    .msg_iovlen = 1,
			    .msg_control = control,
			    .msg_controllen = sizeof(control) };
	struct cmsghdr *c;
	int dir, fd;

	(void)argc;
	if (recvmsg((int)num(argv[0]), &m, 0) < 0)
		return -errno;
	c = CMSG_FIRSTHDR(&m);
	if (!c || c->cmsg_type != SCM_RIGHTS)
		return -ENODATA;
	memcpy(&dir, CMSG_DATA(c), sizeof(dir));
	fd = openat(dir, argv[1], O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	if (fd < 0)
		return -errno;
	close(fd);
	return 0;
}

/* fd-ioctl N REQUEST: one byte or a small structure as the argument; the request is passed in all its 64 bits. */
static int p_fd_ioctl(int argc, char **argv)
{
	extern long syscall(long nr, ...);
	char arg[64] = "\n";

	(void)argc;
	return result(syscall(16, (long)num(argv[0]), num(argv[1]), arg));
}

/* tty-ioctl REQUEST: the same on the controlling terminal, opened by its own name. */
static int p_tty_ioctl(int argc, char **argv)
{
	char arg[64] = "\n";
	int r;
	int fd = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);

	(void)argc;
	if (fd < 0)
		return -errno;
	r = result(ioctl(fd, (int)num(argv[0]), arg));
	close(fd);
	return r;
}

const struct probe fdops_probes[] = {
	{ "leaked-fd", 0, p_leaked_fd },
	{ "fd-file", 2, p_fd_file },
	{ "fd-reopen", 1, p_fd_reopen },
	{ "fd-reopen-trunc", 1, p_fd_reopen_trunc },
	{ "fd-truncate", 1, p_fd_truncate },
	{ "fd-ftruncate", 1, p_fd_ftruncate },
	{ "fd-fchmod", 2, p_fd_fchmod },
	{ "fd-chmod", 2, p_fd_chmod },
	{ "fd-fchown", 1, p_fd_fchown },
	{ "fd-utimes", 1, p_fd_utimes },
	{ "fd-setxattr", 1, p_fd_setxattr },
	{ "fd-setflags", 1, p_fd_setflags },
	{ "fd-link", 2, p_fd_link },
	{ "fd-above", 1, p_fd_above },
	{ "fd-odd", 1, p_fd_odd },
	{ "fd-read", 1, p_fd_read },
	{ "fd-write", 2, p_fd_write },
	{ "fd-ioctl", 2, p_fd_ioctl },
	{ "tty-ioctl", 1, p_tty_ioctl },
	{ "fd-rights", 2, p_fd_rights },
	{ NULL, 0, NULL },
};
