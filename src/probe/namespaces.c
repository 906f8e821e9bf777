/* SPDX-License-Identifier: Apache-2.0 */
/* Namespaces: can each be made, and does it have what a run relies on. */
#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tries.h"

#define ENDS_MS 1000 /* for a pid namespace to end; it takes about half a millisecond */

/* The kernel makes none for a process whose root is not that of its mount namespace. Only the usual kind shows: "/" is no mount. */
static bool in_chroot(void)
{
	struct statx stx = { .stx_mask = 0 };

	return sys_statx(AT_FDCWD, "/", 0, &stx) == 0 &&
	       !(stx.stx_attributes & STATX_ATTR_MOUNT_ROOT);
}

void probe_userns_why(struct probe_answer *a, int r)
{
	long max = probe_read_number("/proc/sys/user/max_user_namespaces");

	if (r == -ENOSPC && max >= 0 && max < 1000) {
		probe_mend(a, "sysctl -w user.max_user_namespaces=10000");
	} else if (r == -ENOSPC) {
		probe_advise(
			a,
			"the limit of an outer namespace is used up: raise user.max_user_namespaces there, or nest less deep");
	} else if (r == -EPERM && in_chroot()) {
		probe_advise(
			a,
			"this is a chroot, where the kernel makes no user namespace: enter it by systemd-nspawn -D DIR, or unshare --mount sh -c "
			"'mount --rbind DIR DIR && cd DIR && mount --bind /proc proc && pivot_root . mnt && umount -l mnt && exec sh' (but the "
			"machine's root can run bailey in it as it is)");
	} else if (r == -EPERM &&
		   probe_read_number("/proc/sys/kernel/unprivileged_userns_clone") == 0) {
		probe_mend(a, "sysctl -w kernel.unprivileged_userns_clone=1");
	} else if (r == -EPERM) {
		probe_advise(
			a,
			"a container's seccomp filter: start it with --security-opt seccomp=unconfined (docker, podman); or a chroot: enter it by "
			"systemd-nspawn -D DIR instead");
	} else {
		probe_advise(a, "boot a kernel with CONFIG_USER_NS");
	}
}

enum probe_state try_userns(struct probe_answer *a)
{
	int r = probe_namespace(CLONE_NEWUSER);

	if (r == 0)
		return PROBE_OK;
	probe_userns_why(a, r);
	return probe_missing(a, r, "clone with CLONE_NEWUSER");
}

/* kernel.apparmor_restrict_unprivileged_userns lets the namespace be made, and takes every right in it. */
void probe_userns_rights_why(struct probe_answer *a, int r)
{
	char self[128];
	ssize_t n;

	if (r == -EROFS)
		probe_mend(a, "mount -o remount,rw /proc");
	else if (r == -ENOENT)
		probe_mend(a, "mount -t proc proc /proc");
	if (probe_read_number("/proc/sys/kernel/apparmor_restrict_unprivileged_userns") != 1) {
		if (!a->mend[0])
			probe_advise(
				a,
				"a security module takes the rights in user namespaces away: give this program a profile that allows userns");
		return;
	}
	n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	self[n > 0 ? n : 0] = '\0';
	probe_mend(a, "sysctl -w kernel.apparmor_restrict_unprivileged_userns=0");
	probe_advise(
		a,
		"or for this program alone: write 'abi <abi/4.0>, profile bailey \"%s\" flags=(unconfined) { userns, }' to "
		"/etc/apparmor.d/bailey, then apparmor_parser -r /etc/apparmor.d/bailey",
		self);
}

static enum probe_state without_rights(struct probe_answer *a)
{
	probe_userns_rights_why(a, -a->sys);
	return PROBE_MISSING;
}

static enum probe_state nothing(struct probe_answer *a)
{
	(void)a;
	return PROBE_OK;
}

enum probe_state try_userns_ids(struct probe_answer *a)
{
	return probe_inside(a, 0, nothing) == PROBE_OK ? PROBE_OK : without_rights(a);
}

/* A namespace's maker has all capabilities in it, but where a security module takes them: these two stand for all. */
static enum probe_state use_rights(struct probe_answer *a)
{
	if (chroot("/") < 0)
		return probe_missing(a, -errno, "CAP_SYS_CHROOT in the user namespace");
	if (prctl(PR_CAPBSET_DROP, 0, 0, 0, 0) < 0)
		return probe_missing(a, -errno, "CAP_SETPCAP in the user namespace");
	return PROBE_OK;
}

enum probe_state try_userns_rights(struct probe_answer *a)
{
	return probe_inside(a, 0, use_rights) == PROBE_OK ? PROBE_OK : without_rights(a);
}

/* @flag beside a user namespace. @kind: as in /proc/sys/user/max_KIND_namespaces. */
static enum probe_state try_flag(struct probe_answer *a, unsigned int flag, const char *kind)
{
	int r = probe_namespace(CLONE_NEWUSER | flag);

	if (r == 0)
		return PROBE_OK;
	if (r == -ENOSPC)
		probe_mend(a, "sysctl -w user.max_%s_namespaces=10000", kind);
	else if (r == -EPERM)
		probe_advise(a, "start the container with --security-opt seccomp=unconfined");
	return probe_missing(a, r, "clone with a %s namespace", kind);
}

enum probe_state try_ns_mount(struct probe_answer *a)
{
	return try_flag(a, CLONE_NEWNS, "mnt");
}

/* Ends of a process in a nested namespace: what it could do. */
enum { NESTED_HOLDS, NESTED_UNCOVERS, NESTED_NO_MOUNT };

static __attribute__((noreturn)) void nested(void)
{
	if (umount2("/tmp", MNT_DETACH) == 0 || errno != EINVAL)
		_exit(NESTED_UNCOVERS);
	_exit(mount("bailey", "/tmp", "tmpfs", 0, NULL) < 0 ? NESTED_NO_MOUNT : NESTED_HOLDS);
}

static enum probe_state use_nested(struct probe_answer *a)
{
	const char *step;
	int status, r = probe_stage(&step);
	pid_t pid;

	if (r < 0)
		return probe_missing(a, r, "%s", step);
	pid = probe_clone(CLONE_NEWUSER | CLONE_NEWNS);
	if (pid == 0)
		nested();
	if (pid < 0)
		return probe_missing(a, pid, "clone with a user namespace inside one");
	status = probe_wait(pid);
	if (status < 0 || !WIFEXITED(status) || WEXITSTATUS(status) == NESTED_UNCOVERS)
		return probe_missing(a, 0, "a mount can be taken away in a nested namespace");
	return WEXITSTATUS(status) == NESTED_HOLDS ?
		       PROBE_OK :
		       probe_missing(a, 0, "nothing can be mounted in a nested namespace");
}

enum probe_state try_userns_nested(struct probe_answer *a)
{
	return probe_inside(a, CLONE_NEWNS, use_nested);
}

enum probe_state try_ns_pid(struct probe_answer *a)
{
	return try_flag(a, CLONE_NEWPID, "pid");
}

enum probe_state try_ns_ipc(struct probe_answer *a)
{
	return try_flag(a, CLONE_NEWIPC, "ipc");
}

enum probe_state try_ns_uts(struct probe_answer *a)
{
	return try_flag(a, CLONE_NEWUTS, "uts");
}

enum probe_state try_ns_cgroup(struct probe_answer *a)
{
	return try_flag(a, CLONE_NEWCGROUP, "cgroup");
}

/* PID 1 and a child of it, which outlives nothing: @end is open in both until they are dead. */
static __attribute__((noreturn)) void launcher(int end)
{
	pid_t pid = probe_clone(CLONE_NEWUSER | CLONE_NEWPID);

	if (pid == 0) {
		if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) == 0 && fork() >= 0 &&
		    write(end, "x", 1) == 1)
			for (;;)
				(void)pause();
		_exit(1);
	}
	(void)close(end);
	for (;;)
		(void)pause();
}

/* kill -9 of a launcher ends its PID 1 (the death signal), and the kernel ends everything in the namespace of a dead PID 1. */
enum probe_state try_ns_pid_end(struct probe_answer *a)
{
	struct pollfd p = { .events = POLLIN };
	int end[2], i, n;
	char c;
	pid_t pid;

	if (pipe2(end, O_CLOEXEC) < 0)
		return probe_missing(a, -errno, "pipe");
	pid = fork();
	if (pid == 0)
		launcher(end[1]);
	(void)close(end[1]);
	if (pid < 0)
		return probe_missing(a, -errno, "fork");
	p.fd = end[0];
	/* both are there */
	for (i = 0; i < 2; i++) {
		n = poll(&p, 1, ENDS_MS) == 1 ? (int)read(end[0], &c, 1) : -1;
		if (n != 1)
			return probe_missing(
				a, 0, "a process and its child in a pid namespace can't be made");
	}
	(void)kill(pid, SIGKILL); /* our child, not reaped yet */
	(void)probe_wait(pid);
	if (poll(&p, 1, ENDS_MS) != 1 || read(end[0], &c, 1) != 0)
		return probe_missing(a, 0, "processes outlive the launcher by more than %d ms",
				     ENDS_MS);
	return PROBE_OK;
}

static enum probe_state use_net(struct probe_answer *a)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(9) };
	struct ifreq ifr = { .ifr_name = "lo", .ifr_flags = IFF_UP };
	_cleanup_close_ int sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (sock < 0)
		return probe_missing(a, -errno, "socket");
	if (ioctl(sock, SIOCSIFFLAGS, &ifr) < 0)
		return probe_missing(a, -errno, "bring loopback up");
	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (connect(sock, (struct sockaddr *)&to, sizeof(to)) < 0)
		return probe_missing(a, -errno, "own loopback");
	to.sin_addr.s_addr = htonl(0xc0000201); /* 192.0.2.1, for documentation (RFC 5737) */
	if (connect(sock, (struct sockaddr *)&to, sizeof(to)) == 0)
		return probe_missing(a, 0, "a new network namespace has a route out");
	return PROBE_OK;
}

enum probe_state try_ns_net(struct probe_answer *a)
{
	enum probe_state s = try_flag(a, CLONE_NEWNET, "net");

	return s == PROBE_OK ? probe_inside(a, CLONE_NEWNET, use_net) : s;
}
