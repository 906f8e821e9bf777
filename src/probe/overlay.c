/* SPDX-License-Identifier: Apache-2.0 */
/* What is relied on in overlayfs, in a user namespace (docs/adr/0003). Every layer lies on a tmpfs of the try, but for one look at /usr. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "tries.h"

#define OVERLAYFS_MAGIC 0x794c7630
#define OVERLAY_STACK                                                                                         \
	"the kernel stacks two overlays, and this root is one already that lies on another: use a container " \
	"engine's storage on ext4, xfs or btrfs (a volume), or accept the loss: --allow-degraded=overlay"

/* On the stage, in /tmp: @dirs, separated by blanks. */
static int stage(struct probe_answer *a, const char *dirs)
{
	const char *step;
	int r = probe_stage(&step);
	char name[16];
	size_t n;

	if (r < 0) {
		(void)probe_missing(a, r, "%s", step);
		return r;
	}
	for (; *dirs; dirs += n + (dirs[n] == ' ')) {
		n = strcspn(dirs, " ");
		(void)snprintf(name, sizeof(name), "%.*s", (int)n, dirs);
		if (mkdir(name, 0755) < 0) {
			r = -errno;
			(void)probe_missing(a, r, "directory on a tmpfs");
			return r;
		}
	}
	return 0;
}

static int make_file(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);

	if (fd < 0)
		return -errno;
	(void)close(fd);
	return 0;
}

/* Return: 0 or negative errno. */
static int overlay(const char *at, const char *options, unsigned long flags)
{
	struct statfs sfs;

	if (mount("overlay", at, "overlay", flags | MS_NOSUID | MS_NODEV, options) < 0)
		return -errno;
	return statfs(at, &sfs) == 0 && sfs.f_type == OVERLAYFS_MAGIC ? 0 : -ESTALE;
}

/* Overlays can't cover a directory with mounts below it, and a small chroot may have no /usr. */
static bool usr_can_be_covered(void)
{
	struct buf b = BUF_INIT(LIMIT_MOUNTINFO);
	_cleanup_close_ int fd = open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC);
	bool no = access("/usr", F_OK) < 0 || fd < 0 || fd_read_all(fd, &b) < 0 || !b.data ||
		  strstr(b.data, " /usr/");

	buf_done(&b);
	return !no;
}

static enum probe_state use_overlay(struct probe_answer *a)
{
	int r = stage(a, "l e o");

	if (r < 0)
		return PROBE_MISSING;
	r = make_file("l/file");
	if (r == 0)
		r = overlay("/tmp/o", "lowerdir=/tmp/l:/tmp/e", MS_RDONLY);
	if (r == -ENODEV)
		probe_mend(a, "modprobe overlay");
	if (r < 0)
		return probe_missing(a, r, "overlay with lower directories only");
	if (access("o/file", R_OK) < 0)
		return probe_missing(a, -errno, "a file seen through an overlay");
	r = usr_can_be_covered() ? overlay("/usr", "lowerdir=/usr:/tmp/e", MS_RDONLY) : 0;
	if (r == -EINVAL)
		probe_advise(a, OVERLAY_STACK);
	return r < 0 ? probe_missing(a, r, "overlay over /usr") : PROBE_OK;
}

enum probe_state try_overlay(struct probe_answer *a)
{
	return probe_inside(a, CLONE_NEWNS, use_overlay);
}

static enum probe_state use_whiteout(struct probe_answer *a)
{
	int r = stage(a, "l h o");

	if (r < 0)
		return PROBE_MISSING;
	r = make_file("l/hidden");
	if (r == 0)
		r = make_file("l/shown");
	if (r < 0)
		return probe_missing(a, r, "file on a tmpfs");
	if (mknod("h/hidden", S_IFCHR, makedev(0, 0)) < 0)
		return probe_missing(a, -errno, "mknod of a whiteout");
	r = overlay("/tmp/o", "lowerdir=/tmp/h:/tmp/l", MS_RDONLY);
	if (r < 0)
		return probe_missing(a, r, "overlay");
	if (access("o/shown", F_OK) < 0)
		return probe_missing(a, -errno, "a name that is not hidden");
	if (access("o/hidden", F_OK) == 0 || errno != ENOENT)
		return probe_missing(a, 0, "a name below a whiteout is not absent");
	return PROBE_OK;
}

enum probe_state try_overlay_whiteout(struct probe_answer *a)
{
	return probe_inside(a, CLONE_NEWNS, use_whiteout);
}

/* Return: 0 or negative errno of connect(2). */
static int connect_to(const char *path)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)snprintf(to.sun_path, sizeof(to.sun_path), "%s", path);
	return fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0 ? -errno : 0;
}

/* A read-only bind stops no connect(2): the reason for showing host trees through overlays, where the inode is another one. */
static enum probe_state use_sockets(struct probe_answer *a)
{
	struct mount_attr ro = { .attr_set = MOUNT_ATTR_RDONLY };
	struct sockaddr_un at = { .sun_family = AF_UNIX, .sun_path = "/tmp/l/s" };
	_cleanup_close_ int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), tree = -1;
	int r = stage(a, "l e o b");

	if (r < 0)
		return PROBE_MISSING;
	if (listener < 0 || bind(listener, (struct sockaddr *)&at, sizeof(at)) < 0 ||
	    listen(listener, 8) < 0)
		return probe_missing(a, -errno, "unix socket");
	r = overlay("/tmp/o", "lowerdir=/tmp/l:/tmp/e", MS_RDONLY);
	if (r < 0)
		return probe_missing(a, r, "overlay");
	tree = sys_open_tree(AT_FDCWD, "/tmp/l", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	r = tree < 0 ? tree : sys_mount_setattr(tree, "", AT_EMPTY_PATH, &ro);
	if (r == 0)
		r = sys_move_mount(tree, AT_FDCWD, "/tmp/b");
	if (r < 0)
		return probe_missing(a, r, "read-only bind");
	r = connect_to("/tmp/l/s");
	if (r < 0)
		return probe_missing(a, r, "connect to a live socket");
	r = connect_to("/tmp/o/s");
	if (r != -ECONNREFUSED)
		return probe_missing(a, r, "a socket can be reached through an overlay");
	r = connect_to("/tmp/b/s");
	return probe_ok(a, r == 0 ? "ECONNREFUSED; a read-only bind does not stop it" :
				    "ECONNREFUSED; by a read-only bind, too");
}

enum probe_state try_overlay_sockets(struct probe_answer *a)
{
	return probe_inside(a, CLONE_NEWNS, use_sockets);
}

/* A copy on write: files and directories of the lower layer can be changed, removed and made anew, and the lower one stays. */
static enum probe_state use_upper(struct probe_answer *a)
{
	int r = stage(a, "l l/dir u w o"), fd;

	if (r < 0)
		return PROBE_MISSING;
	r = make_file("l/dir/old");
	if (r == 0)
		r = make_file("l/gone");
	if (r == 0)
		r = make_file("l/changed");
	if (r == 0)
		r = overlay("/tmp/o", "lowerdir=/tmp/l,upperdir=/tmp/u,workdir=/tmp/w,userxattr",
			    0);
	if (r < 0)
		return probe_missing(a, r, "overlay with userxattr");
	fd = open("o/changed", O_WRONLY | O_APPEND | O_CLOEXEC);
	if (fd < 0 || write(fd, "x", 1) != 1)
		return probe_missing(a, -errno, "copy up");
	(void)close(fd);
	if (unlink("o/gone") < 0 || access("o/gone", F_OK) == 0 || access("l/gone", F_OK) < 0)
		return probe_missing(a, -errno, "remove a file of the lower layer");
	if (unlink("o/dir/old") < 0 || rmdir("o/dir") < 0 || mkdir("o/dir", 0755) < 0)
		return probe_missing(a, -errno, "replace a directory of the lower layer");
	if (access("o/dir/old", F_OK) == 0 || access("l/dir/old", F_OK) < 0)
		return probe_missing(a, 0, "a new directory shows the old one's files");
	return PROBE_OK;
}

enum probe_state try_overlay_upper(struct probe_answer *a)
{
	return probe_inside(a, CLONE_NEWNS, use_upper);
}

static enum probe_state use_remount(struct probe_answer *a)
{
	int r = stage(a, "a b u w o");

	if (r < 0)
		return PROBE_MISSING;
	r = make_file("a/old");
	if (r == 0)
		r = make_file("b/new");
	if (r == 0)
		r = overlay("/tmp/o", "lowerdir=/tmp/a,upperdir=/tmp/u,workdir=/tmp/w,userxattr",
			    0);
	if (r < 0)
		return probe_missing(a, r, "overlay");
	r = mount("overlay", "/tmp/o", "overlay", MS_REMOUNT | MS_NOSUID | MS_NODEV,
		  "lowerdir=/tmp/b:/tmp/a,upperdir=/tmp/u,workdir=/tmp/w,userxattr") < 0 ?
		    -errno :
		    0;
	if (access("o/old", F_OK) < 0 || access("o/new", F_OK) == 0)
		return probe_missing(a, 0, "a remount changes the layers of a live overlay");
	return r < 0 ? probe_ok(a, "a remount is refused: %s", strerror(-r)) :
		       probe_ok(a, "a remount answers 0");
}

enum probe_state try_overlay_remount(struct probe_answer *a)
{
	return probe_inside(a, CLONE_NEWNS, use_remount);
}
