/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. Names that came after the start are mounted over in the sandbox that runs. A child process does it: it joins the sandbox's
 * user namespace, where it has capabilities, asks there which sockets are bound, makes what is mounted (an unreadable file for each name) in a
 * mount namespace of its own, joins the sandbox's, and mounts. It works on names that the sandbox can change: it follows no link, and covers a
 * file only when it is the one that was seen outside. What has been covered already is another file, and so is left alone.
 *
 * A socket is the sandbox's own when it is bound in its network namespace: sock_diag names the inode of its file. One that is bound nowhere
 * may be about to be: bind(2) makes the file first. It is asked for again for some milliseconds, then it is covered, too.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <linux/unix_diag.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include "jail.h"
#include "sockets.h"

#define ASK_AGAIN 4
#define ASK_AGAIN_US 4000
#define PATIENCE_S 2 /* a file system that does not answer */

/* Whether a socket's file is the one of @n. The kernel's own form of device numbers. */
static bool same_file(const struct unix_diag_vfs *vfs, const struct jail_late_name *n)
{
	return vfs->udiag_vfs_ino == (uint32_t)n->ino && vfs->udiag_vfs_dev >> 20 == major(n->fs) &&
	       (vfs->udiag_vfs_dev & 0xfffff) == minor(n->fs);
}

/*
 * One bound socket: mark the name that is its file. The kernel gives the server's end of a connection the server's file, but the client's
 * network namespace: only who was bound to the name counts, and that is no connected stream.
 */
static void look_at(const struct nlmsghdr *h, struct jail_late_name *names, size_t n, bool *marks)
{
	const struct unix_diag_msg *m = NLMSG_DATA(h);
	const char *p = (const char *)(m + 1), *end = (const char *)h + h->nlmsg_len;
	size_t i;

	if (m->udiag_state == TCP_ESTABLISHED && m->udiag_type != SOCK_DGRAM)
		return;
	while (end - p >= (long)sizeof(struct nlattr)) {
		const struct nlattr *a = (const void *)p;

		if (a->nla_len < sizeof(*a) || p + a->nla_len > end)
			return;
		if (a->nla_type == UNIX_DIAG_VFS &&
		    a->nla_len >= sizeof(*a) + sizeof(struct unix_diag_vfs)) {
			for (i = 0; i < n; i++)
				marks[i] =
					marks[i] || (names[i].socket &&
						     same_file((const void *)(a + 1), &names[i]));
		}
		p += NLA_ALIGN(a->nla_len);
	}
}

/* Mark the names that are bound in the network namespace of @sock. Return: 0 or negative errno, and then some may be missing. */
static int bound(int sock, struct jail_late_name *names, size_t n, bool *marks)
{
	struct {
		struct nlmsghdr h;
		struct unix_diag_req r;
	} req = {
		.h = { .nlmsg_len = sizeof(req),
		       .nlmsg_type = SOCK_DIAG_BY_FAMILY,
		       .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP },
		.r = { .sdiag_family = AF_UNIX, .udiag_states = ~0u, .udiag_show = UDIAG_SHOW_VFS }
	};
	_Alignas(struct nlmsghdr) char buf[32768];
	const struct nlmsghdr *h;
	ssize_t got;

	if (sock < 0 || send(sock, &req, sizeof(req), 0) < 0)
		return -EBADF;
	for (;;) {
		got = recv(sock, buf, sizeof(buf), 0);
		if (got < 0)
			return -errno;
		for (h = (const void *)buf; NLMSG_OK(h, got); h = NLMSG_NEXT(h, got)) {
			if (h->nlmsg_type == NLMSG_DONE)
				return 0;
			if (h->nlmsg_type != SOCK_DIAG_BY_FAMILY ||
			    h->nlmsg_len < NLMSG_LENGTH(sizeof(struct unix_diag_msg)))
				return -EBADMSG;
			look_at(h, names, n, marks);
		}
	}
}

static int diag(void)
{
	return socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
}

/* Say of each socket whether it is the sandbox's own. @outside, @inside: where to ask. */
static void tell_apart(int outside, int inside, struct jail_late_name *names, size_t n)
{
	bool host[JAIL_LATE_NAMES] = { false }, own[JAIL_LATE_NAMES] = { false }, doubt = true;
	size_t i;
	int tries;

	(void)bound(outside, names, n, host); /* one that is not found is asked for again */
	for (tries = 0; doubt && tries < ASK_AGAIN; tries++) {
		if (tries)
			(void)usleep(ASK_AGAIN_US);
		(void)bound(inside, names, n, own); /* what is not found is covered */
		doubt = false;
		for (i = 0; i < n; i++)
			doubt = doubt || (names[i].socket && !host[i] && !own[i]);
	}
	for (i = 0; i < n; i++)
		names[i].own = names[i].socket && own[i] && !host[i];
}

/* An id that the user namespace of this process has: of the first line of its map. Return: it, or negative errno. */
static long first_id(int proc_self, const char *map)
{
	_cleanup_close_ int fd = openat(proc_self, map, O_RDONLY | O_CLOEXEC);
	char text[64];
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

	if (n <= 0)
		return -EIO;
	text[n] = '\0';
	return strtol(text, NULL, 10);
}

/* A file that nobody can open, read-only, for each of @n. This process gets a mount namespace of its own. Return: 0 or negative errno. */
static int make_masks(int proc_self, int *masks, size_t n)
{
	struct mount_attr attr = { .attr_set = MOUNT_ATTR_RDONLY };
	long uid = first_id(proc_self, "uid_map"), gid = first_id(proc_self, "gid_map");
	_cleanup_close_ int fs = -1, mount = -1, file = -1;
	size_t i;
	int r = 0;

	if (uid < 0 || gid < 0)
		return -EIO;
	/* root outside is nobody here, and nobody can own a file */
	(void)setfsgid((gid_t)gid);
	(void)setfsuid((uid_t)uid);
	if (unshare(CLONE_NEWNS) < 0)
		return -errno;
	fs = sys_fsopen("tmpfs");
	if (fs < 0)
		return fs;
	r = sys_fsconfig(fs, FSCONFIG_SET_STRING, "mode", "0700");
	if (r == 0)
		r = sys_fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL);
	mount = r < 0 ? r :
			sys_fsmount(fs, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);
	if (mount < 0)
		return mount;
	file = openat(mount, "f", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0);
	if (file < 0)
		return -errno;
	/* only what is mounted somewhere can be cloned */
	r = sys_move_mount(mount, AT_FDCWD, "/");
	for (i = 0; r == 0 && i < n; i++) {
		masks[i] = sys_open_tree(mount, "f", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
		r = masks[i] < 0 ? masks[i] : sys_mount_setattr(masks[i], "", AT_EMPTY_PATH, &attr);
	}
	return r;
}

/* Return: 0, also when it is covered; 1 when it is not there (any more: it may come back); or negative errno. */
static int cover(int root, const struct jail_late_name *name, int mask)
{
	_cleanup_close_ int fd =
		sys_openat2(root, name->path + 1, O_PATH | O_NOFOLLOW,
			    RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_SYMLINKS);
	struct statx stx = { .stx_mask = 0 };
	struct stat st;

	if (fd < 0)
		return fd == -ENOENT || fd == -EACCES || fd == -ENOTDIR || fd == -ELOOP ? 1 : fd;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (st.st_dev != name->dev || st.st_ino != name->ino)
		return 1;
	/* what is given is a mount of the inode that was judged; it goes when the name is given to another one */
	if (name->given && sys_statx(fd, "", AT_EMPTY_PATH, &stx) == 0 &&
	    (stx.stx_attributes & STATX_ATTR_MOUNT_ROOT))
		return 0;
	if (S_ISSOCK(st.st_mode) || S_ISDIR(st.st_mode))
		return jail_socket_cover(root, name->path);
	return mask < 0 ? mask : sys_move_mount(mask, fd, "");
}

static int work(const int ns[JAIL_NS_NUM], struct jail_late_name *names, size_t n)
{
	int masks[JAIL_LATE_NAMES], root, outside = -1, r = 0;
	int self = open("/proc/self", O_PATH | O_DIRECTORY | O_CLOEXEC);
	bool sockets = false, files = false;
	size_t i;

	memset(masks, -1, sizeof(masks));
	for (i = 0; i < n; i++) {
		sockets = sockets || names[i].socket;
		files = files || !names[i].socket;
	}
	if (sockets)
		outside = diag();
	if (setns(ns[JAIL_NS_USER], CLONE_NEWUSER) < 0)
		return -errno;
	if (sockets) {
		/* not permitted: it is the host's own, where we are */
		if (setns(ns[JAIL_NS_NET], CLONE_NEWNET) < 0 && errno != EPERM)
			return -errno;
		tell_apart(outside, diag(), names, n);
	}
	if (files)
		r = make_masks(self, masks, n);
	if (r < 0 || setns(ns[JAIL_NS_MNT], CLONE_NEWNS) < 0)
		return r < 0 ? r : -errno;
	root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root < 0)
		return -errno;
	for (i = 0; i < n; i++) {
		r = names[i].own ? 0 : cover(root, &names[i], masks[i]);
		names[i].done = r >= 0;
		names[i].gone = r == 1;
	}
	return 0; /* the process ends here: nothing is closed */
}

int jail_late_cover(const int ns[JAIL_NS_NUM], struct jail_late_name *names, size_t n)
{
	struct jail_late_name *shared;
	int status = 1;
	pid_t pid;
	size_t i;

	if (n > JAIL_LATE_NAMES)
		return -E2BIG;
	shared = mmap(NULL, sizeof(*names) * JAIL_LATE_NAMES, PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED)
		return -errno;
	memcpy(shared, names, n * sizeof(*names));
	pid = fork();
	if (pid == 0) {
		(void)alarm(PATIENCE_S);
		_exit(work(ns, shared, n) < 0 ? 1 : 0);
	}
	while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	for (i = 0; pid > 0 && status == 0 && i < n; i++) {
		names[i].done = shared[i].done;
		names[i].own = shared[i].own;
		names[i].gone = shared[i].gone;
	}
	(void)munmap(shared, sizeof(*names) * JAIL_LATE_NAMES);
	return pid > 0 && status == 0 ? 0 : -EIO;
}
