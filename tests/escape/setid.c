/* SPDX-License-Identifier: Apache-2.0 */
/* Set-id modes through every call that takes a mode, and programs that would gain by one. All calls are raw: 64-bit arguments. */
#define _GNU_SOURCE
#include "probe.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef SYS_fchmodat2
#define SYS_fchmodat2 452
#endif
#ifndef SYS_openat2
#define SYS_openat2 437
#endif

/* A plain file to change; -errno when even that can't be made. */
static int make_file(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);

	if (fd < 0)
		return -errno;
	return fd;
}

static int p_chmod(int argc, char **argv)
{
	int fd = make_file(argv[0]);

	(void)argc;
	if (fd < 0)
		return fd;
	close(fd);
	return result(syscall(SYS_chmod, argv[0], num(argv[1])));
}

/* Without creating: for files outside the workspace. */
static int p_chmod_only(int argc, char **argv)
{
	(void)argc;
	return result(syscall(SYS_chmod, argv[0], num(argv[1])));
}

static int p_fchmod(int argc, char **argv)
{
	int r;
	int fd = make_file(argv[0]);

	(void)argc;
	if (fd < 0)
		return fd;
	r = result(syscall(SYS_fchmod, fd, num(argv[1])));
	close(fd);
	return r;
}

static int p_fchmodat(int argc, char **argv)
{
	int fd = make_file(argv[0]);

	(void)argc;
	if (fd < 0)
		return fd;
	close(fd);
	return result(syscall(SYS_fchmodat, AT_FDCWD, argv[0], num(argv[1])));
}

static int p_fchmodat2(int argc, char **argv)
{
	int fd = make_file(argv[0]);

	(void)argc;
	if (fd < 0)
		return fd;
	close(fd);
	return result(syscall(SYS_fchmodat2, AT_FDCWD, argv[0], num(argv[1]), 0));
}

static int p_fchmodat2_empty(int argc, char **argv)
{
	int r;
	int fd = make_file(argv[0]);

	(void)argc;
	if (fd < 0)
		return fd;
	r = result(syscall(SYS_fchmodat2, fd, "", num(argv[1]), AT_EMPTY_PATH));
	close(fd);
	return r;
}

static int opened(long fd)
{
	if (fd < 0)
		return -errno;
	close((int)fd);
	return 0;
}

static int p_creat(int argc, char **argv)
{
	(void)argc;
	return opened(syscall(SYS_creat, argv[0], num(argv[1])));
}

/* open-mode PATH MODE [EXTRA-FLAGS] */
static int p_open_mode(int argc, char **argv)
{
	unsigned long flags = O_WRONLY | O_CREAT | (argc > 2 ? num(argv[2]) : 0);

	return opened(syscall(SYS_open, argv[0], flags, num(argv[1])));
}

static int p_openat_mode(int argc, char **argv)
{
	unsigned long flags = O_WRONLY | O_CREAT | (argc > 2 ? num(argv[2]) : 0);

	return opened(syscall(SYS_openat, AT_FDCWD, argv[0], flags, num(argv[1])));
}

/* An unnamed file that gets a name afterwards. */
static int p_tmpfile_mode(int argc, char **argv)
{
	long fd = syscall(SYS_open, argv[0], (long)(O_WRONLY | O_TMPFILE), num(argv[1]));

	(void)argc;
	return opened(fd);
}

static int p_tmpfileat_mode(int argc, char **argv)
{
	long fd =
		syscall(SYS_openat, AT_FDCWD, argv[0], (long)(O_WRONLY | O_TMPFILE), num(argv[1]));

	(void)argc;
	return opened(fd);
}

static int p_openat2_mode(int argc, char **argv)
{
	struct {
		uint64_t flags, mode, resolve;
	} how = { .flags = O_WRONLY | O_CREAT, .mode = num(argv[1]) };

	(void)argc;
	return opened(syscall(SYS_openat2, AT_FDCWD, argv[0], &how, sizeof(how)));
}

static int p_mknod_mode(int argc, char **argv)
{
	(void)argc;
	return result(syscall(SYS_mknod, argv[0], S_IFREG | num(argv[1]), 0L));
}

static int p_mknodat_mode(int argc, char **argv)
{
	(void)argc;
	return result(syscall(SYS_mknodat, AT_FDCWD, argv[0], S_IFREG | num(argv[1]), 0L));
}

/* Success only when the bit is really there afterwards. */
static int p_mkdir_mode(int argc, char **argv)
{
	struct stat st;

	(void)argc;
	if (syscall(SYS_mkdir, argv[0], num(argv[1])) < 0)
		return -errno;
	if (stat(argv[0], &st) < 0)
		return -errno;
	return (st.st_mode & 06777) == num(argv[1]) ? 0 : -EPERM;
}

/* An ordinary mode, so that the file can be told from the set-id ones. */
static int p_plain_dir_mode(int argc, char **argv)
{
	(void)argc;
	if (mkdir(argv[0], 0755) < 0)
		return -errno;
	return result(syscall(SYS_chmod, argv[0], num(argv[1])));
}

/* gained: ids differ, or there are capabilities beside none. `gained cap` leaves the ids alone. */
static int p_gained(int argc, char **argv)
{
	uint32_t head[2] = { 0x20080522, 0 };
	uint32_t data[6] = { 0 };

	(void)argv;
	if (syscall(SYS_capget, head, data) < 0)
		return -errno;
	if (data[0] || data[3]) {
		remark("effective capabilities");
		if (argc || getuid())
			return 0;
		remark(NULL);
	}
	if (argc)
		return -EPERM;
	if (geteuid() != getuid()) {
		remark("uid");
		return 0;
	}
	if (getegid() != getgid()) {
		remark("gid");
		return 0;
	}
	return -EPERM;
}

/* exec FILE ARG...: runs a planted program in place of the probe. */
static int p_exec(int argc, char **argv)
{
	(void)argc;
	(void)execv(argv[0], argv);
	return -errno;
}

/* setuid N: with no capability left even uid 0 can't change. */
static int p_setuid(int argc, char **argv)
{
	(void)argc;
	return result(syscall(SYS_setresuid, num(argv[0]), num(argv[0]), num(argv[0])));
}

const struct probe setid_probes[] = {
	{ "chmod", 2, p_chmod },
	{ "chmod-only", 2, p_chmod_only },
	{ "fchmod", 2, p_fchmod },
	{ "fchmodat", 2, p_fchmodat },
	{ "fchmodat2", 2, p_fchmodat2 },
	{ "fchmodat2-empty", 2, p_fchmodat2_empty },
	{ "creat", 2, p_creat },
	{ "open-mode", 2, p_open_mode },
	{ "openat-mode", 2, p_openat_mode },
	{ "tmpfile-mode", 2, p_tmpfile_mode },
	{ "tmpfileat-mode", 2, p_tmpfileat_mode },
	{ "openat2-mode", 2, p_openat2_mode },
	{ "mknod-mode", 2, p_mknod_mode },
	{ "mknodat-mode", 2, p_mknodat_mode },
	{ "mkdir-mode", 2, p_mkdir_mode },
	{ "chmod-dir", 2, p_plain_dir_mode },
	{ "gained", 0, p_gained },
	{ "exec", 1, p_exec },
	{ "setuid", 1, p_setuid },
	{ NULL, 0, NULL },
};
