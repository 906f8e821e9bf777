/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Attacks by a nested root: `nested FLAGS PROBE ARG...` runs any other probe as id 0, with every capability, in namespaces of its own. The
 * other probes here need to mount, and so run behind it.
 */
#define _GNU_SOURCE
#include "probe.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static const struct {
	char letter;
	int flag;
} kinds[] = { { 'u', CLONE_NEWUSER },  { 'm', CLONE_NEWNS },  { 'p', CLONE_NEWPID },
	      { 'n', CLONE_NEWNET },   { 'i', CLONE_NEWIPC }, { 't', CLONE_NEWUTS },
	      { 'c', CLONE_NEWCGROUP } };

struct words {
	int argc;
	char **argv;
};

static int run_words(void *arg)
{
	const struct words *w = arg;

	return probe_run(w->argc, w->argv);
}

static int put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	int r;

	if (fd < 0)
		return -errno;
	r = write(fd, text, strlen(text)) < 0 ? -errno : 0;
	close(fd);
	return r;
}

/* Id 0 inside is the caller's own. */
static int map_own(unsigned int uid, unsigned int gid)
{
	char map[32];
	int r;

	snprintf(map, sizeof(map), "0 %u 1", uid);
	r = put("/proc/self/uid_map", map);
	if (r == 0)
		r = put("/proc/self/setgroups", "deny");
	snprintf(map, sizeof(map), "0 %u 1", gid);
	return r == 0 ? put("/proc/self/gid_map", map) : r;
}

static int in_own_tree; /* a mount here is no mount of the caller's */

/* nested FLAGS PROBE ARG... */
static int p_nested(int argc, char **argv)
{
	struct words w = { argc - 1, argv + 1 };
	unsigned int uid = geteuid();
	unsigned int gid = getegid();
	int flags = 0;
	int r;

	for (const char *f = argv[0]; *f; f++) {
		for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
			flags |= *f == kinds[i].letter ? kinds[i].flag : 0;
	}
	if (unshare(flags) < 0)
		return -errno;
	in_own_tree = flags & CLONE_NEWNS;
	r = map_own(uid, gid);
	if (r < 0)
		return r;
	/* a pid namespace begins with the first child */
	return flags & CLONE_NEWPID ? in_child(run_words, &w) : run_words(&w);
}

/* Nothing: that the namespaces can be had. */
static int p_nothing(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	return geteuid() == 0 ? 0 : -EPERM;
}

/* own-mount DIR: a read-only tmpfs of one's own, made writable, written, taken away. */
static int p_own_mount(int argc, char **argv)
{
	char path[4096];
	int r = 0;

	(void)argc;
	if (getenv("PROBE_OUTSIDE") && !in_own_tree)
		return -EINVAL; /* it would stay */
	if (mount("bailey-probe", argv[0], "tmpfs", MS_RDONLY, NULL) < 0)
		return -errno;
	snprintf(path, sizeof(path), "%s/x", argv[0]);
	if (mount(NULL, argv[0], NULL, MS_REMOUNT, NULL) < 0 || mkdir(path, 0700) < 0)
		r = -errno;
	if (umount2(argv[0], 0) < 0 && r == 0)
		r = -errno;
	return r;
}

/* setattr-rw PATH: the whole tree writable, by the newer call. */
static int p_setattr_rw(int argc, char **argv)
{
	unsigned long long attr[4] = { 0, 1 /* MOUNT_ATTR_RDONLY */, 0, 0 };

	(void)argc;
	if (getenv("PROBE_OUTSIDE"))
		return -EINVAL; /* it would work */
	return result(
		syscall(442, AT_FDCWD, argv[0], 0x8000L /* AT_RECURSIVE */, attr, sizeof(attr)));
}

/* bind-read DIR NAME: what lies below the mounts in DIR, through a copy of its one mount. */
static int p_bind_read(int argc, char **argv)
{
	char path[4096];
	char *words[] = { path };

	(void)argc;
	if (getenv("PROBE_OUTSIDE") && !in_own_tree)
		return -EINVAL; /* it would stay */
	if (mount(argv[0], "/dev/shm", NULL, MS_BIND, NULL) < 0)
		return -errno;
	snprintf(path, sizeof(path), "/dev/shm/%s", argv[1]);
	return probe_run(2, (char *[]){ "read", words[0] });
}

/* clone-read DIR NAME: the same by open_tree. */
static int p_clone_read(int argc, char **argv)
{
	char path[4096];
	long fd = syscall(428, AT_FDCWD, argv[0], 1L /* OPEN_TREE_CLONE */);

	(void)argc;
	if (fd < 0)
		return -errno;
	snprintf(path, sizeof(path), "/proc/self/fd/%ld/%s", fd, argv[1]);
	return probe_run(2, (char *[]){ "read", path });
}

/* move-away PATH: a mount to another place, which would show what it covered. */
static int p_move_away(int argc, char **argv)
{
	(void)argc;
	if (getenv("PROBE_OUTSIDE"))
		return -EINVAL; /* it would work */
	return result(mount(argv[0], "/dev/shm", NULL, MS_MOVE, NULL));
}

/* Leaves the whole tree of mounts, as sandboxes do: a root of its own, the old one detached. */
static int leave_tree(void)
{
	if (getenv("PROBE_OUTSIDE") && !in_own_tree)
		return -EINVAL; /* it would stay */
	if (mount("bailey-probe", "/dev/shm", "tmpfs", 0, NULL) < 0 ||
	    mkdir("/dev/shm/old", 0700) < 0 ||
	    syscall(SYS_pivot_root, "/dev/shm", "/dev/shm/old") < 0 || chdir("/") < 0 ||
	    umount2("/old", MNT_DETACH) < 0)
		return -errno;
	return 0;
}

/* detached-read DIR NAME: by a descriptor of a tree that was detached with all its mounts. */
static int p_detached_read(int argc, char **argv)
{
	int dir = open(argv[0], O_PATH | O_DIRECTORY | O_CLOEXEC);
	char data[64];
	ssize_t n = -1;
	int fd;
	int r;

	(void)argc;
	if (dir < 0)
		return -errno;
	r = leave_tree();
	if (r < 0)
		return r;
	fd = openat(dir, argv[1], O_RDONLY | O_CLOEXEC);
	if (fd >= 0)
		n = read(fd, data, sizeof(data));
	return n > 0 ? 0 : n == 0 ? -ENODATA : -errno;
}

/* detached-rename DIR OLD NEW: mounts on a name keep nobody from renaming it who has no such mount in his tree. */
static int p_detached_rename(int argc, char **argv)
{
	int dir = open(argv[0], O_PATH | O_DIRECTORY | O_CLOEXEC);
	int r;

	(void)argc;
	if (dir < 0)
		return -errno;
	r = leave_tree();
	return r < 0 ? r : result(renameat(dir, argv[1], dir, argv[2]));
}

/* detached-write FILE: writes a file by a descriptor of its directory in a detached tree. */
static int p_detached_write(int argc, char **argv)
{
	char *slash = strrchr(argv[0], '/');
	int dir;
	int fd;
	int r;

	(void)argc;
	*slash = '\0';
	dir = open(argv[0], O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return -errno;
	r = leave_tree();
	if (r < 0)
		return r;
	fd = openat(dir, slash + 1, O_WRONLY | O_APPEND | O_CLOEXEC);
	return fd < 0 ? -errno : result(write(fd, "x", 1) == 1 ? 0 : -1);
}

/* overlay-copy LOWER NAME NEW: LOWER/NAME is copied into the directory NEW as it is, modes and all, when it is renamed in an overlay. */
static int p_overlay_copy(int argc, char **argv)
{
	char options[3 * 4096];
	char from[4096];
	char up[4096];
	char work[4096];

	(void)argc;
	if (getenv("PROBE_OUTSIDE") && !in_own_tree)
		return -EINVAL; /* it would stay */
	snprintf(up, sizeof(up), "%s/up", argv[2]);
	snprintf(work, sizeof(work), "%s/work", argv[2]);
	if (mkdir(argv[2], 0700) < 0 || mkdir(up, 0700) < 0 || mkdir(work, 0700) < 0)
		return -errno;
	snprintf(options, sizeof(options), "lowerdir=%s,upperdir=%s,workdir=%s,userxattr", argv[0],
		 up, work);
	if (mount("overlay", "/dev/shm", "overlay", 0, options) < 0)
		return -errno;
	snprintf(from, sizeof(from), "/dev/shm/%s", argv[1]);
	return result(rename(from, "/dev/shm/copied"));
}

/* own-fs TYPE FILE: mounts TYPE, opens FILE in it for writing; "." only mounts. */
static int p_own_fs(int argc, char **argv)
{
	char path[4096];
	int fd;

	(void)argc;
	if (getenv("PROBE_OUTSIDE") && !in_own_tree)
		return -EINVAL; /* it would stay */
	if (mount("bailey-probe", "/dev/shm", argv[0], MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) < 0)
		return -errno;
	snprintf(path, sizeof(path), "/dev/shm/%s", argv[1]);
	fd = open(path, strcmp(argv[1], ".") == 0 ? O_RDONLY : O_WRONLY);
	return result(fd < 0 ? -1 : close(fd));
}

/* own-proc-has NAME: in a /proc of one's own. */
static int p_own_proc_has(int argc, char **argv)
{
	char path[4096];

	(void)argc;
	if (getenv("PROBE_OUTSIDE") && !in_own_tree)
		return -EINVAL; /* it would stay */
	if (mount("proc", "/dev/shm", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) < 0)
		return -errno;
	snprintf(path, sizeof(path), "/dev/shm/%s", argv[0]);
	return result(access(path, F_OK));
}

/* sockopt LEVEL NAME: with a value that is too short for anything. */
static int p_sockopt(int argc, char **argv)
{
	int level = (int)num(argv[0]);
	int fd = socket(level == IPPROTO_IPV6 ? AF_INET6 : AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int value = 0;

	(void)argc;
	if (fd < 0)
		return -errno;
	return result(setsockopt(fd, level, (int)num(argv[1]), &value, sizeof(value)));
}

const struct probe nested_probes[] = {
	{ "nested", 2, p_nested },
	{ "nothing", 0, p_nothing },
	{ "own-mount", 1, p_own_mount },
	{ "setattr-rw", 1, p_setattr_rw },
	{ "bind-read", 2, p_bind_read },
	{ "clone-read", 2, p_clone_read },
	{ "move-away", 1, p_move_away },
	{ "detached-read", 2, p_detached_read },
	{ "detached-rename", 3, p_detached_rename },
	{ "detached-write", 1, p_detached_write },
	{ "overlay-copy", 3, p_overlay_copy },
	{ "own-fs", 2, p_own_fs },
	{ "own-proc-has", 1, p_own_proc_has },
	{ "sockopt", 2, p_sockopt },
	{ NULL, 0, NULL },
};
