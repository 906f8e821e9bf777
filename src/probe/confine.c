/* SPDX-License-Identifier: Apache-2.0 */
/* What takes rights away: capabilities, no_new_privs, Landlock, seccomp. Each is put in force and then tested by what it must refuse. */
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/landlock.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tries.h"

#define FS_TRUNCATE (1ULL << 14) /* Landlock ABI 3 */
#define LANDLOCK_LEAST 2         /* as jail/landlock.c */
#define LANDLOCK_ALL 6

#define ANSWER 4242 /* what a notified call answers */

static enum probe_state use_caps(struct probe_answer *a)
{
	struct __user_cap_header_struct h = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct d[2];
	long cap;

	for (cap = 0; cap < 64; cap++) {
		if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0) {
			if (errno == EINVAL)
				break; /* past the last capability of this kernel */
			return probe_missing(a, -errno, "bounding set");
		}
	}
	/* SECBIT_NOROOT, NO_SETUID_FIXUP, NO_CAP_AMBIENT_RAISE and their locks */
	if (prctl(PR_SET_SECUREBITS, 0xcfUL, 0, 0, 0) < 0)
		return probe_missing(a, -errno, "securebits");
	memset(d, 0, sizeof(d));
	if (syscall(SYS_capset, &h, d) < 0)
		return probe_missing(a, -errno, "capset");
	d[0].permitted = 1;
	if (syscall(SYS_capset, &h, d) == 0)
		return probe_missing(a, 0, "a dropped capability can be taken back");
	return PROBE_OK;
}

enum probe_state try_caps(struct probe_answer *a)
{
	return probe_inside(a, 0, use_caps);
}

enum probe_state try_nnp(struct probe_answer *a)
{
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return probe_missing(a, -errno, "PR_SET_NO_NEW_PRIVS");
	if (prctl(PR_SET_NO_NEW_PRIVS, 0, 0, 0, 0) == 0 ||
	    prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1)
		return probe_missing(a, 0, "no_new_privs can be taken back");
	return PROBE_OK;
}

enum probe_state try_undumpable(struct probe_answer *a)
{
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return probe_missing(a, -errno, "PR_SET_DUMPABLE");
	return prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 0 ?
		       PROBE_OK :
		       probe_missing(a, 0, "the process is still dumpable");
}

static int landlock_abi(void)
{
	return (int)sys_call(SYS_landlock_create_ruleset, 0, 0, LANDLOCK_CREATE_RULESET_VERSION, 0,
			     0);
}

static bool may_write(const char *path)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd >= 0)
		(void)close(fd);
	return fd >= 0 || errno != EACCES;
}

/* From here on this process writes nothing by name. Return: 0 or negative errno. */
static int landlock_lock(uint64_t rights)
{
	_cleanup_close_ int fd =
		(int)sys_call(SYS_landlock_create_ruleset, &rights, sizeof(rights), 0, 0, 0);

	if (fd < 0)
		return fd;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -errno;
	return (int)sys_call(SYS_landlock_restrict_self, fd, 0, 0, 0, 0);
}

/* A file that every caller may write, also where there is no /dev, as in a small chroot. */
#define OWN_FILE "/proc/self/comm"

enum probe_state try_landlock(struct probe_answer *a)
{
	int abi = landlock_abi(), r;
	_cleanup_close_ int fd = open(OWN_FILE, O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return probe_missing(a, -errno, OWN_FILE);
	if (abi == -EOPNOTSUPP)
		probe_advise(
			a,
			"Landlock is built in but off: boot with lsm=landlock,... (on Debian: add it to GRUB_CMDLINE_LINUX in "
			"/etc/default/grub, run update-grub, reboot)");
	if (abi <= 0)
		return probe_missing(a, abi, "landlock_create_ruleset");
	if (abi < LANDLOCK_LEAST)
		return probe_missing(
			a, 0,
			"ABI %d has no right for renames between directories; ABI %d is needed",
			abi, LANDLOCK_LEAST);
	r = landlock_lock(LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REFER);
	if (r < 0)
		return probe_missing(a, r, "landlock_restrict_self");
	if (may_write(OWN_FILE))
		return probe_missing(a, 0, "a ruleset in force refuses nothing");
	if (abi < 3)
		return probe_degraded(
			a, 0,
			"ABI %d: no rule for truncation (ABI 3), no scopes for signals and abstract sockets (ABI 6)",
			abi);
	if (abi < LANDLOCK_ALL)
		return probe_degraded(
			a, 0, "ABI %d: no scopes for signals and abstract sockets (ABI 6)", abi);
	return probe_ok(a, "ABI %d", abi);
}

/* A file on 0-2 must not be opened again with more rights, by the name that /proc gives to the descriptor. */
static enum probe_state use_streams(struct probe_answer *a)
{
	uint64_t rights = LANDLOCK_ACCESS_FS_WRITE_FILE | (landlock_abi() >= 3 ? FS_TRUNCATE : 0);
	_cleanup_close_ int fd = -1, again = -1;
	const char *step;
	char path[32];
	int r = probe_stage(&step);

	if (r < 0)
		return probe_missing(a, r, "%s", step);
	fd = open("/tmp/file", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	again = fd < 0 ? -1 : open(path, O_WRONLY | O_CLOEXEC);
	if (again < 0)
		return probe_missing(a, -errno, "a file opened again, without Landlock");
	r = landlock_lock(rights);
	if (r < 0)
		return probe_missing(a, r, "landlock_restrict_self");
	if (write(fd, "x", 1) != 1)
		return probe_missing(a, -errno, "write to a file that was open before");
	if (may_write(path))
		return probe_missing(a, 0, "a file on 0-2 can be opened again for writing");
	if (rights & FS_TRUNCATE && (truncate(path, 0) == 0 || errno != EACCES))
		return probe_missing(a, 0, "a file on 0-2 can be truncated by name");
	return PROBE_OK;
}

enum probe_state try_landlock_streams(struct probe_answer *a)
{
	return probe_inside(a, CLONE_NEWNS, use_streams);
}

/* A filter that answers getppid by @action; its architecture and number checks are those of a real one. Return: as seccomp(2). */
static int filter_getppid(unsigned int flags, unsigned int action)
{
	struct sock_filter insns[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getppid, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, action),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog prog = { .len = ARRAY_SIZE(insns), .filter = insns };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -errno;
	return (int)sys_call(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &prog, 0, 0);
}

enum probe_state try_seccomp(struct probe_answer *a)
{
	int r = filter_getppid(0, SECCOMP_RET_ERRNO | EUCLEAN);

	if (r < 0)
		return probe_missing(a, r, "seccomp");
	if (sys_call(SYS_getppid, 0, 0, 0, 0, 0) != -EUCLEAN)
		return probe_missing(a, 0, "a filter in force refuses nothing");
	if (prctl(PR_GET_SECCOMP, 0, 0, 0, 0) != SECCOMP_MODE_FILTER)
		return probe_missing(a, 0, "the kernel does not say that a filter is in force");
	return PROBE_OK;
}

enum probe_state try_seccomp_notify(struct probe_answer *a)
{
	int fd = filter_getppid(SECCOMP_FILTER_FLAG_NEW_LISTENER, SECCOMP_RET_USER_NOTIF), r;
	struct seccomp_notif_resp answer = { .val = ANSWER };
	struct seccomp_notif call = { .id = 0 };
	pid_t pid;

	if (fd < 0)
		return probe_missing(a, fd, "seccomp with a listener");
	pid = fork();
	if (pid == 0)
		_exit(sys_call(SYS_getppid, 0, 0, 0, 0, 0) == ANSWER ? 0 : 1);
	if (pid < 0)
		return probe_missing(a, -errno, "fork");
	if (ioctl(fd, SECCOMP_IOCTL_NOTIF_RECV, &call) < 0)
		return probe_missing(a, -errno, "SECCOMP_IOCTL_NOTIF_RECV");
	answer.id = call.id;
	if (ioctl(fd, SECCOMP_IOCTL_NOTIF_SEND, &answer) < 0)
		return probe_missing(a, -errno, "SECCOMP_IOCTL_NOTIF_SEND");
	r = probe_wait(pid);
	return r == 0 ? PROBE_OK : probe_missing(a, 0, "a notified call does not get its answer");
}

enum probe_state try_seccomp_one(struct probe_answer *a)
{
	int r = filter_getppid(SECCOMP_FILTER_FLAG_NEW_LISTENER, SECCOMP_RET_USER_NOTIF);

	if (r < 0)
		return probe_missing(a, r, "seccomp with a listener");
	r = filter_getppid(SECCOMP_FILTER_FLAG_NEW_LISTENER, SECCOMP_RET_USER_NOTIF);
	if (r >= 0)
		return probe_missing(a, 0, "a process can have two listeners");
	return r == -EBUSY ? probe_ok(a, "EBUSY") : probe_missing(a, r, "a second listener");
}
