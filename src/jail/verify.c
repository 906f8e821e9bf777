/* SPDX-License-Identifier: Apache-2.0 */
#include "verify.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>
#include <unistd.h>

#define PROC_MAGIC 0x9fa0

static int broken(enum jail_layer l, const char *what, struct err *e)
{
	(void)snprintf(e->where, sizeof(e->where), "%s", jail_layer_info(l)->name);
	return err_set(e, ERR_LAYER, -EPERM, "layer '%s' does not hold: %s. Nothing was run",
		       jail_layer_info(l)->name, what);
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

int jail_verify(const struct jail_spec *spec, unsigned int lost, struct err *e)
{
	const bool filtered = !(lost & (1u << JAIL_LAYER_SECCOMP));
	struct statfs sfs;
	int fd;

	if (getpid() != 1)
		return broken(JAIL_LAYER_PIDNS, "this is not PID 1", e);
	if (!capless())
		return broken(JAIL_LAYER_CAPS, "capabilities are left", e);
	if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1)
		return broken(JAIL_LAYER_NNP, "no_new_privs is not set", e);
	if (geteuid() != spec->id->uid || getegid() != spec->id->gid)
		return broken(JAIL_LAYER_IDS, "the ids are not the ones that were asked for", e);
	if (mkdir("/.bailey-verify", 0700) == 0) {
		(void)rmdir("/.bailey-verify");
		return broken(JAIL_LAYER_ROOTFS, "the root directory is writable", e);
	}
	if (statfs("/", &sfs) < 0 || !(sfs.f_flags & ST_RDONLY))
		return broken(JAIL_LAYER_ROOTFS, "the root file system is not read-only", e);
	if (!(lost & (1u << JAIL_LAYER_PROC)) &&
	    (statfs("/proc", &sfs) < 0 || sfs.f_type != PROC_MAGIC))
		return broken(JAIL_LAYER_PROC, "/proc is not a proc file system", e);
	if (unshare(CLONE_NEWNS) == 0 || (filtered && errno != EPERM))
		return broken(JAIL_LAYER_SECCOMP, "a mount namespace can be made", e);
	if (filtered) {
		if (unshare(CLONE_NEWUSER) == 0 || errno != EPERM)
			return broken(JAIL_LAYER_SECCOMP, "a user namespace can be made", e);
		fd = socket(AF_PACKET, SOCK_RAW, 0);
		if (fd >= 0 || errno != EAFNOSUPPORT)
			return broken(JAIL_LAYER_SECCOMP, "a packet socket is not refused", e);
		if (prctl(PR_GET_SECCOMP, 0, 0, 0, 0) != 2)
			return broken(JAIL_LAYER_SECCOMP, "no filter is in force", e);
	}
	if (sys_call(SYS_fsopen, "tmpfs", 0, 0, 0, 0) >= 0)
		return broken(JAIL_LAYER_CAPS, "the mount API works", e);
	return 0;
}
