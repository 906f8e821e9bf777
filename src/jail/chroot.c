/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. In a chroot the kernel makes no user namespace (EPERM), and "/" is seldom a mount point: no run can start there. A chroot
 * holds nobody who is root: setns(2) of one's own mount namespace already leads out. So root's launcher, and only it, turns the chroot into
 * what it stands for: a mount namespace whose whole tree it is.
 *
 *   1  unshare the mount namespace     everything below changes this copy alone
 *   2  copy the tree, private          what "/" names now, with the mounts below it; a shared copy would hand our mounts to the host
 *   3  setns to the same namespace     "/" is its root now: that of whoever made the chroot
 *   4  all of it private               before anything is mounted or unmounted: the host must see nothing of it
 *   5  mount the copy on "/", pivot    now it is the root of the namespace
 *   6  unmount what was outside        no name leads there any more, not for the launcher and not for PID 1, whose namespace is a copy
 *   7  the working directory           by its name, and it must be the same directory
 *
 * Mustn't: be tried before a clone was refused (it costs, and changes the launcher's view), or go on after a step that failed.
 */
#include <errno.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "jail.h"

#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif

static int private_copy(int tree)
{
	struct mount_attr attr = { .propagation = MS_PRIVATE };

	return sys_mount_setattr(tree, "", AT_EMPTY_PATH | AT_RECURSIVE, &attr);
}

/* 3. Return: 1 when the root is another now, 0 when it was the namespace's own already, or negative errno. */
static int climb_out(void)
{
	struct statx before = { .stx_mask = 0 }, after = { .stx_mask = 0 };
	_cleanup_close_ int self = (int)sys_call(SYS_pidfd_open, getpid(), 0, 0, 0, 0);
	int r = self < 0 ? self : sys_statx(AT_FDCWD, "/", 0, &before);

	if (r == 0 && setns(self, CLONE_NEWNS) < 0)
		r = -errno;
	if (r == 0)
		r = sys_statx(AT_FDCWD, "/", 0, &after);
	if (r < 0)
		return r;
	return before.stx_mnt_id != after.stx_mnt_id ||
	       !(before.stx_attributes & STATX_ATTR_MOUNT_ROOT);
}

/* 4-6 */
static int pivot(int tree)
{
	int r;

	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return -errno;
	r = sys_move_mount(tree, AT_FDCWD, "/");
	if (r < 0)
		return r;
	/* the old root ends on top of the new one, and is taken away */
	if (fchdir(tree) < 0 || syscall(SYS_pivot_root, ".", ".") < 0 ||
	    umount2(".", MNT_DETACH) < 0)
		return -errno;
	return chdir("/") < 0 ? -errno : 0;
}

static int same_directory(const char *cwd, const struct stat *st)
{
	struct stat now;

	if (chdir(cwd) < 0 || stat(".", &now) < 0)
		return -errno;
	return now.st_dev == st->st_dev && now.st_ino == st->st_ino ? 0 : -ESTALE;
}

/* A failed step must not leave this process outside of its chroot: a refusal still prints, the doctor still tries. */
static int climb_back(int root, int r)
{
	return fchdir(root) < 0 || chroot(".") < 0 ? -ENOTRECOVERABLE : r;
}

int jail_leave_chroot(void)
{
	_cleanup_close_ int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC), tree = -1;
	char cwd[LIMIT_PATH];
	struct stat st;
	int r, back;

	if (geteuid() != 0)
		return -EPERM;
	if (root < 0 || !getcwd(cwd, sizeof(cwd)) || stat(".", &st) < 0)
		return -errno;
	if (unshare(CLONE_NEWNS) < 0)
		return -errno;
	tree = sys_open_tree(AT_FDCWD, "/", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);
	r = tree < 0 ? tree : private_copy(tree);
	if (r == 0)
		r = climb_out();
	if (r > 0) {
		r = pivot(tree);
		r = r < 0 ? climb_back(root, r) : 0;
	} else if (r == 0) {
		r = -EEXIST;
	}
	back = r == -ENOTRECOVERABLE ? 0 : same_directory(cwd, &st);
	return r < 0 ? r : back;
}
