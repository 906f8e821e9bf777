/* SPDX-License-Identifier: Apache-2.0 */
#include "stage.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "plan.h"

const char *const stage_nodes[STAGE_NODES] = { JAIL_DEV_NODES };

int stage_mkfile(int dfd, const char *path, mode_t mode)
{
	int fd;

	if (mknodat(dfd, path, S_IFREG | mode, 0) == 0 || errno == EEXIST)
		return 0;
	if (errno != EPERM)
		return -errno;
	/* some filters refuse to make any node; this is one call more */
	fd = openat(dfd, path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);
	if (fd < 0)
		return errno == EEXIST ? 0 : -errno;
	(void)close(fd);
	return 0;
}

int stage_mkdir(int dfd, const char *path, mode_t mode)
{
	return mkdirat(dfd, path, mode) < 0 && errno != EEXIST ? -errno : 0;
}

/* The entries of the new /dev that are no mounts. */
static int stage_dev(int stage)
{
	static const char *const links[][2] = { { "/proc/self/fd", "dev/fd" },
						{ "/proc/self/fd/0", "dev/stdin" },
						{ "/proc/self/fd/1", "dev/stdout" },
						{ "/proc/self/fd/2", "dev/stderr" },
						{ "pts/ptmx", "dev/ptmx" } };
	char path[32];
	size_t i;
	int r;

	r = stage_mkdir(stage, "dev", 0755);
	if (r == 0)
		r = stage_mkdir(stage, "dev/shm", 0755);
	if (r == 0)
		r = stage_mkdir(stage, "dev/pts", 0755);
	if (r == 0)
		r = stage_mkdir(stage, "dev/mqueue", 0755);
	for (i = 0; r == 0 && i < STAGE_NODES; i++) {
		(void)snprintf(path, sizeof(path), "dev/%s", stage_nodes[i]);
		r = stage_mkfile(stage, path, 0644);
	}
	for (i = 0; r == 0 && i < ARRAY_SIZE(links); i++) {
		if (symlinkat(links[i][0], stage, links[i][1]) < 0)
			r = -errno;
	}
	return r;
}

/* A new mount of @type, nowhere attached. */
static int new_mount(const char *type, const char *key, const char *value, unsigned int attrs)
{
	_cleanup_close_ int fs = sys_fsopen(type);
	int r = fs;

	if (r >= 0 && key)
		r = sys_fsconfig(fs, FSCONFIG_SET_STRING, key, value);
	if (r >= 0)
		r = sys_fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL);
	return r < 0 ? r : sys_fsmount(fs, MOUNT_ATTR_NOSUID | attrs);
}

static const struct {
	const char *name;
	unsigned int major, minor;
} numbers[] = { { "null", 1, 3 },   { "zero", 1, 5 },    { "full", 1, 7 },
		{ "random", 1, 8 }, { "urandom", 1, 9 }, { "tty", 5, 0 } };

const char *stage_node_of(dev_t device)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(numbers); i++) {
		if (device == makedev(numbers[i].major, numbers[i].minor))
			return numbers[i].name;
	}
	return NULL;
}

/* In a container, /dev may have been written by somebody else (CVE-2025-31133). */
static bool is_node(int fd, const char *name)
{
	const char *found;
	struct stat st;

	if (fstat(fd, &st) < 0 || !S_ISCHR(st.st_mode))
		return false;
	found = stage_node_of(st.st_rdev);
	return found && strcmp(found, name) == 0;
}

/* The nodes are the host's: where the command's id owns them, it could change their mode. A device can be written through such a mount. */
static int freeze_node(int fd)
{
	struct mount_attr attr = { .attr_set = MOUNT_ATTR_RDONLY };

	return sys_mount_setattr(fd, "", AT_EMPTY_PATH, &attr);
}

static int open_nodes(struct stage *s, struct err *e)
{
	char path[32];
	size_t i;
	int r;

	for (i = 0; i < STAGE_NODES; i++) {
		(void)snprintf(path, sizeof(path), "/dev/%s", stage_nodes[i]);
		s->node[i] = sys_open_tree(AT_FDCWD, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
		if (s->node[i] < 0 && s->node[i] != -ENOENT)
			return err_sys(e, s->node[i], "%s", path);
		if (s->node[i] >= 0 && !is_node(s->node[i], stage_nodes[i]))
			return err_set(
				e, ERR_SYSTEM, -ENODEV,
				"%s is not the device of that name: something else was put in its place; mend the host's /dev",
				path);
		r = s->node[i] < 0 ? 0 : freeze_node(s->node[i]);
		if (r < 0)
			return err_sys(e, r, "%s", path);
	}
	return 0;
}

int stage_make(struct stage *s, struct err *e)
{
	int r;

	s->dir = new_mount("tmpfs", "mode", "0755", MOUNT_ATTR_NODEV);
	if (s->dir < 0)
		return err_sys(e, s->dir, "private tmpfs");
	r = stage_mkdir(s->dir, "e", 0755);
	if (r == 0)
		r = stage_mkdir(s->dir, "m", 0);
	if (r == 0)
		r = stage_mkfile(s->dir, "f", 0);
	if (r == 0)
		r = stage_mkdir(s->dir, "h", 0755);
	if (r == 0)
		r = stage_mkdir(s->dir, "shm", 01777);
	if (r == 0)
		r = stage_dev(s->dir);
	if (r < 0)
		return err_sys(e, r, "private tmpfs: fill");
	s->hide = new_mount("ramfs", "mode", "0755", MOUNT_ATTR_NODEV);
	if (s->hide < 0)
		return err_sys(e, s->hide, "ramfs for hidden names");
	/* refused by some filters, and only what hides a name needs it: that tries again (plan-apply.c) */
	if (mknodat(s->hide, "w", S_IFCHR, makedev(0, 0)) < 0 && errno != EPERM)
		return err_sys(e, -errno, "whiteout");
	s->pts = new_mount("devpts", "ptmxmode", "0666", MOUNT_ATTR_NOEXEC);
	if (s->pts < 0)
		return err_sys(e, s->pts, "/dev/pts: devpts");
	s->mqueue = new_mount("mqueue", NULL, NULL, MOUNT_ATTR_NOEXEC | MOUNT_ATTR_NODEV);
	if (s->mqueue < 0 && s->mqueue != -ENODEV) /* the kernel may be without message queues */
		return err_sys(e, s->mqueue, "/dev/mqueue: mqueue");
	s->proc = new_mount("proc", NULL, NULL, MOUNT_ATTR_NOEXEC | MOUNT_ATTR_NODEV);
	return open_nodes(s, e);
}
