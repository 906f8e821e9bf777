/* SPDX-License-Identifier: Apache-2.0 */
#include "verify.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#define PROC_MAGIC 0x9fa0
#define OVERLAYFS_MAGIC 0x794c7630
#define NETNS_COOKIE 71 /* SO_NETNS_COOKIE; musl 1.2.3 lacks it */
#define PORT 40009      /* that needs no right */
#define ELSEWHERE \
	0xc0000201 /* 192.0.2.1, for documentation (RFC 5737): no network has it of its own */

static int broken(enum jail_layer l, const char *what, struct err *e)
{
	(void)snprintf(e->where, sizeof(e->where), "%s", jail_layer_info(l)->name);
	return err_set(e, ERR_LAYER, -EPERM, "layer '%s' does not hold: %s. Nothing was run",
		       jail_layer_info(l)->name, what);
}

/* In the profile `sandbox`: what sudo can lead to is what was meant, and PID 1 has no more than its part of it. */
static bool has_only_kept(void)
{
	struct __user_cap_header_struct h = { .version = _LINUX_CAPABILITY_VERSION_3 };
	const uint64_t own = jail_caps_own(), kept = jail_caps_kept();
	struct __user_cap_data_struct d[2];
	long cap;
	int r;

	if (syscall(SYS_capget, &h, d) < 0 || d[0].inheritable || d[1].inheritable ||
	    d[0].effective != (uint32_t)own || d[0].permitted != (uint32_t)own ||
	    d[1].effective != own >> 32 || d[1].permitted != own >> 32)
		return false;
	for (cap = 0; cap < 64; cap++) {
		r = prctl(PR_CAPBSET_READ, cap);
		if (r >= 0 && r != (int)(kept >> cap & 1))
			return false;
	}
	return true;
}

static bool capless(void)
{
	struct __user_cap_header_struct h = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct d[2];

	if (syscall(SYS_capget, &h, d) < 0)
		return false;
	return !(d[0].effective | d[0].permitted | d[0].inheritable | d[1].effective |
		 d[1].permitted | d[1].inheritable) &&
	       prctl(PR_CAPBSET_READ, 0) == 0 &&
	       prctl(PR_CAPBSET_READ, 21) == 0; /* CHOWN and SYS_ADMIN stand for all */
}

/* With a gateway every address is one of this namespace: a socket can have the name of elsewhere, and nobody there answers. */
static int verify_local(int fd, struct sockaddr_in *to, struct err *e)
{
	char c;

	to->sin_port = htons(PORT);
	if (bind(fd, (struct sockaddr *)to, sizeof(*to)) < 0)
		return broken(JAIL_LAYER_NETNS, "there is an address that is not local", e);
	if (connect(fd, (struct sockaddr *)to, sizeof(*to)) < 0 ||
	    send(fd, "x", 1, MSG_DONTWAIT | MSG_NOSIGNAL) != 1 ||
	    recv(fd, &c, 1, MSG_DONTWAIT) != 1)
		return broken(JAIL_LAYER_NETNS, "there is a route out", e);
	return 0;
}

/*
 * Nothing is sent: connect(2) of a datagram socket only looks for a route. A host without one must not be taken for the sandbox: @host is a
 * socket of its network, where the kernel can tell (Linux 5.14).
 */
static int verify_netns(int host, enum jail_network network, struct err *e)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(9) };
	_cleanup_close_ int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	uint64_t outside = 0, inside = 1;
	socklen_t n = sizeof(outside);

	if (fd < 0)
		return broken(JAIL_LAYER_NETNS, "a socket can't be made", e);
	if (getsockopt(host, SOL_SOCKET, NETNS_COOKIE, &outside, &n) == 0 &&
	    (getsockopt(fd, SOL_SOCKET, NETNS_COOKIE, &inside, &n) < 0 || inside == outside))
		return broken(JAIL_LAYER_NETNS, "the network is the host's", e);
	to.sin_addr.s_addr = htonl(ELSEWHERE);
	if (network == JAIL_NETWORK_GATEWAY)
		return verify_local(fd, &to, e);
	if (connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0 || errno != ENETUNREACH)
		return broken(JAIL_LAYER_NETNS, "there is a route out", e);
	return 0;
}

/* The fresh one: we are PID 1 in it. */
static int verify_proc(struct err *e)
{
	struct statfs sfs;
	char self[16];

	if (statfs("/proc", &sfs) < 0 || sfs.f_type != PROC_MAGIC)
		return broken(JAIL_LAYER_PROC, "/proc is not a proc file system", e);
	if (readlink("/proc/self", self, sizeof(self)) != 1 || self[0] != '1')
		return broken(JAIL_LAYER_PROC, "/proc shows other processes than the sandbox's", e);
	return 0;
}

/* The stage is writable, and ours: Landlock alone refuses it. */
static int verify_landlock(const struct jail_apply *a, struct err *e)
{
	if (mkdirat(a->stage.dir, "verify", 0700) == 0 || errno != EACCES)
		return broken(JAIL_LAYER_LANDLOCK, "a directory that is not granted can be written",
			      e);
	return 0;
}

/* What can't be reached, or is removed this moment (then its mount goes first, and no link to it is left), shows nothing. */
static bool behind_overlay(const char *path)
{
	struct statfs sfs;
	struct statx stx = { .stx_mask = 0 };
	int r;

	if (statfs(path, &sfs) < 0)
		return errno == EACCES || errno == ENOENT;
	r = sys_statx(AT_FDCWD, path, 0, &stx);
	/* by its type alone the directory of a host that is an overlayfs itself would do */
	if (r == 0 && sfs.f_type == OVERLAYFS_MAGIC && (stx.stx_attributes & STATX_ATTR_MOUNT_ROOT))
		return true;
	return r < 0 ? r == -ENOENT : stx.stx_nlink == 0;
}

/* Those that hide names, and one of the others: each costs 2 microseconds. */
static int verify_overlays(const struct jail_plan *p, struct err *e)
{
	bool any = false;
	size_t i;

	for (i = 0; i < p->n; i++) {
		const struct jail_op *op = &p->ops[i];

		if (op->type != JAIL_OP_OVERLAY || (any && !(op->flags & JAIL_OP_LOWERED)))
			continue;
		any = true;
		if (!behind_overlay(op->path))
			return broken(JAIL_LAYER_OVERLAY,
				      "a host directory is not behind its overlay", e);
	}
	return 0;
}

/* Never a direct workspace in the place of a copy. */
static int verify_copies(const struct jail_apply *a, struct err *e)
{
	const struct jail_plan *p = a->spec->plan;
	struct stat here, copy;
	struct statfs sfs;
	size_t i;

	for (i = 0; i < p->n; i++) {
		if (p->ops[i].type != JAIL_OP_COPY)
			continue;
		if (fstatfs(a->src[i], &sfs) < 0 || sfs.f_type != OVERLAYFS_MAGIC ||
		    fstat(a->src[i], &copy) < 0 || stat(p->ops[i].path, &here) < 0 ||
		    here.st_dev != copy.st_dev || here.st_ino != copy.st_ino)
			return broken(JAIL_LAYER_ROOTFS, "an overlay workspace is not its copy", e);
	}
	return 0;
}

/* Whether the filter answers, not the kernel: the arguments would be a fault, a wrong descriptor or number to that. */
static int verify_shut(struct err *e)
{
	static const struct {
		long nr;
		int answer;
		const char *what;
	} calls[] = {
		{ SYS_mount, EPERM, "mount(2) is not refused" },
		{ SYS_bpf, EPERM, "bpf(2) is not refused" },
		{ SYS_perf_event_open, EPERM, "perf_event_open(2) is not refused" },
		{ SYS_userfaultfd, EPERM, "userfaultfd(2) is not refused" },
		{ SYS_io_uring_setup, ENOSYS, "io_uring_setup(2) is not refused" },
		{ SYS_keyctl, ENOSYS, "keyctl(2) is not refused" },
		{ SYS_add_key, ENOSYS, "add_key(2) is not refused" },
		{ SYS_open_by_handle_at, EPERM, "open_by_handle_at(2) is not refused" },
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(calls); i++) {
		if (sys_call(calls[i].nr, -1, -1, -1, -1, -1) != -calls[i].answer)
			return broken(JAIL_LAYER_SECCOMP, calls[i].what, e);
	}
	return 0;
}

/* What only the filter refuses, or refuses in its own way. */
static int verify_filter(const struct jail_spec *spec, struct err *e)
{
	int fd;

	if (!spec->nested && (unshare(CLONE_NEWUSER) == 0 || errno != EPERM))
		return broken(JAIL_LAYER_SECCOMP, "a user namespace can be made", e);
	if (syscall(SYS_setns, -1, 0) == 0 || errno != EPERM)
		return broken(JAIL_LAYER_SECCOMP, "namespaces can be joined", e);
	fd = socket(AF_PACKET, SOCK_RAW, 0);
	if (fd >= 0 || errno != EAFNOSUPPORT)
		return broken(JAIL_LAYER_SECCOMP, "a packet socket is not refused", e);
	if (prctl(PR_GET_SECCOMP, 0, 0, 0, 0) != 2)
		return broken(JAIL_LAYER_SECCOMP, "no filter is in force", e);
	return jail_identity_rooted(spec->id) ? verify_shut(e) : 0;
}

/* Ends of the child of verify_nested(). */
enum {
	NESTED_HOLDS,
	NESTED_NO_NAMESPACE,
	NESTED_WRITABLE,
	NESTED_REMOUNT,
	NESTED_UNMOUNT,
	NESTED_MOUNT,
	NESTED_XATTR,
};

/*
 * In namespaces of its own, with every capability there: what the mounts stand on must hold all the same. Ids are not mapped here, which
 * capabilities over mounts do not need. A tmpfs of our own shows whether mounting works, so that the refusals before mean something.
 */
static int nested_child(const struct jail_spec *spec)
{
	const struct mount_attr rw = { .attr_clr = MOUNT_ATTR_RDONLY };
	bool mounts = spec->nested == JAIL_NESTED_SANDBOX;
	int r;

	if (mkdir("/.bailey-verify", 0700) == 0)
		return NESTED_WRITABLE;
	if (mount(NULL, "/", NULL, MS_REMOUNT | MS_BIND, NULL) == 0 || errno != EPERM ||
	    sys_mount_setattr(AT_FDCWD, "/", AT_RECURSIVE, &rw) != -EPERM)
		return NESTED_REMOUNT;
	r = umount2("/dev", MNT_DETACH) < 0 ? errno : 0;
	if (r != (mounts ? EINVAL : EPERM)) /* locked to what is below it */
		return NESTED_UNMOUNT;
	r = mount("bailey-verify", "/tmp", "tmpfs", MS_NOSUID | MS_NODEV, NULL) < 0 ? errno : 0;
	if (r != (mounts ? 0 : EPERM))
		return NESTED_MOUNT;
	/* without a name, which is a fault where it is not refused */
	if (spec->id->mode == JAIL_IDS_BLOCK &&
	    (syscall(SYS_setxattr, "/tmp", NULL, NULL, 0, 0) == 0 || errno != EOPNOTSUPP))
		return NESTED_XATTR;
	return NESTED_HOLDS;
}

static int verify_nested(const struct jail_spec *spec, struct err *e)
{
	static const struct {
		enum jail_layer layer;
		const char *what;
	} ends[] = {
		[NESTED_NO_NAMESPACE] = { JAIL_LAYER_USERNS,
					  "the kernel refuses a user namespace inside one "
					  "(sysctl user.max_user_namespaces, user.max_mnt_namespaces)" },
		[NESTED_WRITABLE] = { JAIL_LAYER_ROOTFS,
				      "the root directory is writable in a nested namespace" },
		[NESTED_REMOUNT] = { JAIL_LAYER_ROOTFS,
				     "a nested namespace can make the root writable" },
		[NESTED_UNMOUNT] = { JAIL_LAYER_ROOTFS,
				     "a nested namespace can take a mount away" },
		[NESTED_MOUNT] = { JAIL_LAYER_SECCOMP,
				   "mounting in a nested namespace is not as it was asked for" },
		[NESTED_XATTR] = { JAIL_LAYER_SECCOMP, "extended attributes can be set" },
	};
	/* the libc's unshare() would change this process, its fork() is no vfork: plain calls */
	long pid = sys_call(SYS_clone, CLONE_NEWUSER | CLONE_NEWNS | SIGCHLD, 0, 0, 0, 0);
	int status = 0;

	if (pid == 0)
		_exit(nested_child(spec));
	if (pid < 0)
		return broken(JAIL_LAYER_USERNS, ends[NESTED_NO_NAMESPACE].what, e);
	while (waitpid((pid_t)pid, &status, 0) < 0) {
		if (errno != EINTR)
			return err_sys(e, -errno, "wait for a check");
	}
	if (!WIFEXITED(status) || WEXITSTATUS(status) >= (int)ARRAY_SIZE(ends))
		return broken(JAIL_LAYER_USERNS, "a check in a nested namespace did not end", e);
	status = WEXITSTATUS(status);
	return status == NESTED_HOLDS ? 0 : broken(ends[status].layer, ends[status].what, e);
}

int jail_verify(const struct jail_apply *a, int host, struct err *e)
{
	const struct jail_spec *spec = a->spec;
	const unsigned int lost = a->lost;
	const bool rooted = jail_identity_rooted(spec->id);
	const bool filtered = !(lost & (1u << JAIL_LAYER_SECCOMP));
	struct statfs sfs;
	int r = 0;

	if (getpid() != 1)
		return broken(JAIL_LAYER_PIDNS, "this is not PID 1", e);
	if (!(rooted ? has_only_kept() : capless()))
		return broken(JAIL_LAYER_CAPS, "capabilities are left", e);
	if (!rooted && prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1)
		return broken(JAIL_LAYER_NNP, "no_new_privs is not set", e);
	if (geteuid() != (rooted ? 0 : spec->id->uid) || getegid() != (rooted ? 0 : spec->id->gid))
		return broken(JAIL_LAYER_IDS, "the ids are not the ones that were asked for", e);
	if (mkdir("/.bailey-verify", 0700) == 0) {
		(void)rmdir("/.bailey-verify");
		return broken(JAIL_LAYER_ROOTFS, "the root directory is writable", e);
	}
	if (statfs("/", &sfs) < 0 || !(sfs.f_flags & ST_RDONLY))
		return broken(JAIL_LAYER_ROOTFS, "the root file system is not read-only", e);
	if (!(lost & (1u << JAIL_LAYER_PROC)))
		r = verify_proc(e);
	if (r < 0)
		return r;
	/* of nested namespaces, too: not without a user namespace of one's own */
	if (unshare(CLONE_NEWNS) == 0 || (filtered && errno != EPERM))
		return broken(JAIL_LAYER_SECCOMP, "a mount namespace can be made", e);
	if (sys_call(SYS_fsopen, "tmpfs", 0, 0, 0, 0) >= 0)
		return broken(JAIL_LAYER_CAPS, "the mount API works", e);
	if (filtered)
		r = verify_filter(spec, e);
	if (r == 0 && spec->nested)
		r = verify_nested(spec, e);
	if (r == 0)
		r = spec->network == JAIL_NETWORK_HOST ? 0 : verify_netns(host, spec->network, e);
	if (r == 0 && !(lost & (1u << JAIL_LAYER_LANDLOCK)) && spec->nested != JAIL_NESTED_SANDBOX)
		r = verify_landlock(a, e);
	if (r == 0 && !(lost & (1u << JAIL_LAYER_OVERLAY)))
		r = verify_overlays(spec->plan, e);
	return r < 0 ? r : verify_copies(a, e);
}
