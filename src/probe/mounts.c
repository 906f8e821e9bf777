/* SPDX-License-Identifier: Apache-2.0 */
/* The calls by which jail/plan-apply.c mounts, and the file systems that it makes; each tried as it uses them. */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tries.h"

#define PROC_MAGIC 0x9fa0

enum probe_state try_openat2(struct probe_answer *a)
{
	_cleanup_close_ int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC), fd = -1;

	if (root < 0)
		return probe_missing(a, -errno, "/");
	fd = sys_openat2(root, "proc/self", O_PATH | O_NOFOLLOW,
			 RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_SYMLINKS);
	if (fd != -ELOOP && fd != -ENOENT && fd < 0)
		return probe_missing(a, fd, "openat2");
	return PROBE_OK;
}

static enum probe_state use_fsopen(struct probe_answer *a)
{
	_cleanup_close_ int fs = sys_fsopen("tmpfs"), mnt = -1;
	int r;

	if (fs < 0)
		return probe_missing(a, fs, "fsopen");
	r = sys_fsconfig(fs, FSCONFIG_SET_STRING, "mode", "0755");
	if (r == 0)
		r = sys_fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL);
	if (r < 0)
		return probe_missing(a, r, "fsconfig");
	mnt = sys_fsmount(fs, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV);
	return mnt < 0 ? probe_missing(a, mnt, "fsmount") : PROBE_OK;
}

enum probe_state try_fsopen(struct probe_answer *a)
{
	return probe_inside(a, CLONE_NEWNS, use_fsopen);
}

static enum probe_state use_open_tree(struct probe_answer *a)
{
	_cleanup_close_ int tree =
		sys_open_tree(AT_FDCWD, "/", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);

	return tree < 0 ? probe_missing(a, tree, "open_tree") : PROBE_OK;
}

enum probe_state try_open_tree(struct probe_answer *a)
{
	return probe_inside(a, CLONE_NEWNS, use_open_tree);
}

static enum probe_state use_mount_setattr(struct probe_answer *a)
{
	struct mount_attr attr = { .attr_set = MOUNT_ATTR_RDONLY, .propagation = MS_PRIVATE };
	_cleanup_close_ int tree =
		sys_open_tree(AT_FDCWD, "/", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);
	int r;

	if (tree < 0)
		return probe_missing(a, tree, "open_tree");
	r = sys_mount_setattr(tree, "", AT_EMPTY_PATH | AT_RECURSIVE, &attr);
	return r < 0 ? probe_missing(a, r, "mount_setattr") : PROBE_OK;
}

enum probe_state try_mount_setattr(struct probe_answer *a)
{
	return probe_inside(a, CLONE_NEWNS, use_mount_setattr);
}

static enum probe_state use_stage(struct probe_answer *a)
{
	const char *step;
	int r = probe_stage(&step);

	return r < 0 ? probe_missing(a, r, "%s", step) : PROBE_OK;
}

enum probe_state try_move_mount(struct probe_answer *a)
{
	return probe_inside(a, CLONE_NEWNS, use_stage);
}

static int root_read_only(void)
{
	struct mount_attr attr = { .attr_set =
					   MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV,
				   .propagation = MS_PRIVATE };

	return sys_mount_setattr(AT_FDCWD, "/", AT_RECURSIVE, &attr);
}

static enum probe_state use_root_mount(struct probe_answer *a)
{
	int r = root_read_only();

	if (r == -EINVAL)
		return probe_missing(a, r, "'/' is not a mount point");
	return r < 0 ? probe_missing(a, r, "mount_setattr '/'") : PROBE_OK;
}

enum probe_state try_root_mount(struct probe_answer *a)
{
	return probe_inside(a, CLONE_NEWNS, use_root_mount);
}

/* A tree that a less privileged namespace got from a more privileged one has its flags locked (mount_namespaces(7)). */
static enum probe_state use_locked(struct probe_answer *a)
{
	struct mount_attr attr = { .attr_clr = MOUNT_ATTR_RDONLY };
	int r = sys_mount_setattr(AT_FDCWD, "/", 0, &attr);

	if (r == 0)
		return probe_missing(a, 0, "a namespace inside can make '/' writable again");
	return r == -EPERM ? PROBE_OK : probe_missing(a, r, "undo in a namespace inside");
}

static enum probe_state use_in_place(struct probe_answer *a)
{
	int r = root_read_only();
	pid_t pid;

	if (r < 0)
		return probe_missing(a, r, "mount_setattr '/'");
	if (mkdir("/.bailey-doctor", 0700) == 0) {
		(void)rmdir("/.bailey-doctor");
		return probe_missing(a, 0, "'/' is still writable");
	}
	if (errno != EROFS)
		return probe_missing(a, -errno, "write to a read-only '/'");
	pid = probe_clone(CLONE_NEWUSER |
			  CLONE_NEWNS); /* it has all rights there, also without ids */
	if (pid == 0)
		_exit((int)use_locked(a));
	if (pid < 0)
		return probe_missing(a, pid, "a namespace inside");
	r = probe_wait(pid);
	return r >= 0 && WIFEXITED(r) ? (enum probe_state)WEXITSTATUS(r) : PROBE_MISSING;
}

enum probe_state try_in_place(struct probe_answer *a)
{
	return probe_inside(a, CLONE_NEWNS, use_in_place);
}

static enum probe_state use_tmpfs(struct probe_answer *a)
{
	struct mount_attr ro = { .attr_set = MOUNT_ATTR_RDONLY };
	_cleanup_close_ int fd = -1, tree = -1;
	const char *step;
	int r = probe_stage(&step);

	if (r < 0)
		return probe_missing(a, r, "%s", step);
	fd = open("file", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0 || mkdir("copy", 0700) < 0)
		return probe_missing(a, -errno, "write to a tmpfs");
	/* one superblock serves all places: a read-only copy beside a writable one */
	tree = sys_open_tree(AT_FDCWD, "/tmp", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	r = tree < 0 ? tree : sys_mount_setattr(tree, "", AT_EMPTY_PATH, &ro);
	if (r == 0)
		r = sys_move_mount(tree, AT_FDCWD, "/tmp/copy");
	if (r < 0)
		return probe_missing(a, r, "a second, read-only mount of a tmpfs");
	if (unlink("copy/file") == 0 || errno != EROFS)
		return probe_missing(a, 0, "a read-only copy of a tmpfs is writable");
	return unlink("file") < 0 ? probe_missing(a, -errno, "the writable mount of a tmpfs") :
				    PROBE_OK;
}

enum probe_state try_tmpfs(struct probe_answer *a)
{
	return probe_inside(a, CLONE_NEWNS, use_tmpfs);
}

/* Mount a new @type on /tmp/@dir. */
static int mount_new(const char *type, const char *dir)
{
	_cleanup_close_ int fs = sys_fsopen(type), mnt = -1;
	int r = fs;

	if (r >= 0)
		r = sys_fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL);
	if (r >= 0)
		r = mnt = sys_fsmount(fs, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC);
	if (r >= 0)
		r = mkdir(dir, 0755) < 0 ? -errno : sys_move_mount(mnt, AT_FDCWD, dir);
	return r;
}

static enum probe_state use_devpts(struct probe_answer *a)
{
	_cleanup_close_ int master = -1, slave = -1;
	const char *step;
	int r = probe_stage(&step), unlock = 0, number = -1;
	char path[32];

	if (r < 0)
		return probe_missing(a, r, "%s", step);
	r = mount_new("devpts", "/tmp/pts");
	if (r < 0)
		return probe_missing(a, r, "devpts");
	master = open("pts/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (master < 0 || ioctl(master, TIOCSPTLCK, &unlock) < 0 ||
	    ioctl(master, TIOCGPTN, &number) < 0)
		return probe_missing(a, -errno, "a pty of a new devpts");
	(void)snprintf(path, sizeof(path), "pts/%d", number);
	slave = open(path, O_RDWR | O_NOCTTY | O_CLOEXEC);
	return slave < 0 ? probe_missing(a, -errno, "a terminal of a new devpts") : PROBE_OK;
}

enum probe_state try_devpts(struct probe_answer *a)
{
	return probe_inside(a, CLONE_NEWNS, use_devpts);
}

static bool can_mount; /* of the try's own process, outside of the namespaces */

static enum probe_state use_proc(struct probe_answer *a)
{
	struct statfs sfs;
	struct stat st;
	const char *step;
	int r = probe_stage(&step);

	if (r < 0)
		return probe_missing(a, r, "%s", step);
	r = mount_new("proc", "/tmp/proc");
	if (r == -EPERM) {
		probe_advise(
			a,
			"in a container: podman run --security-opt unmask=ALL, docker run --security-opt systempaths=unconfined");
		if (can_mount)
			probe_mend(a, "umount -R /proc && mount -t proc proc /proc");
		return probe_missing(a, r, "a fresh proc (mounts hide parts of the outer /proc)");
	}
	if (r < 0)
		return probe_missing(a, r, "a fresh proc");
	if (statfs("/tmp/proc", &sfs) < 0 || sfs.f_type != PROC_MAGIC ||
	    stat("/tmp/proc/1", &st) < 0)
		return probe_missing(a, 0, "a fresh proc does not show PID 1");
	return PROBE_OK;
}

enum probe_state try_proc(struct probe_answer *a)
{
	/* here no root can mount anything, as in most containers: only who starts the container can mend it */
	can_mount = prctl(PR_CAPBSET_READ, CAP_SYS_ADMIN, 0, 0, 0) == 1;
	return probe_inside(a, CLONE_NEWNS | CLONE_NEWPID, use_proc);
}
