/* SPDX-License-Identifier: Apache-2.0 */
/* The plan of bailey-keys for confine() of util: no file is opened, nothing is executed, no process and no socket is made. Connections come with their descriptors. */
#include "confine.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/syscall.h>

/* What the loop needs, and why. */
static const unsigned short calls[] = {
	/* the loop */
	SYS_epoll_wait, SYS_epoll_pwait, SYS_epoll_ctl, SYS_close, SYS_clock_gettime,
	/* connections, the gateway and the supervisor; OpenSSL reads and writes */
	SYS_recvfrom, SYS_sendto, SYS_recvmsg, SYS_sendmsg, SYS_shutdown, SYS_read, SYS_write,
	/* memory; never executable */
	SYS_brk, SYS_munmap, SYS_mremap, SYS_madvise, SYS_mlock,
	/* OpenSSL: random bytes, dates, locks (nobody waits for one), how much memory there is (qsort of glibc) */
	SYS_getrandom, SYS_getpid, SYS_gettimeofday, SYS_time, SYS_futex, SYS_sysinfo,
	/* the end, and what the kernel itself begins anew */
	SYS_exit_group, SYS_exit, SYS_rt_sigreturn, SYS_rt_sigprocmask, SYS_restart_syscall
};

int confine_keys(uid_t uid, gid_t gid, struct err *e)
{
#ifdef __SANITIZE_ADDRESS__
	/* the sanitizer's own calls would end it; such a build is for tests of all but this */
	(void)uid;
	(void)gid;
	(void)e;
	(void)calls;
	return 0;
#else
	const struct sock_filter more[] = {
		/* fcntl() of a descriptor's flags: F_SETOWN with F_SETSIG would send any signal to any process of our user */
		CONFINE_JUMP(SYS_fcntl, 0, 5), CONFINE_ARG(1), CONFINE_JUMP(F_GETFL, 1, 0),
		CONFINE_JUMP(F_SETFL, 0, 1),   CONFINE_ALLOW,  CONFINE_ERRNO(EPERM),
	};

	return confine(&(struct confine_plan){ .who = "keys",
					       .uid = uid,
					       .gid = gid,
					       .calls = calls,
					       .n = ARRAY_SIZE(calls),
					       .more = more,
					       .n_more = ARRAY_SIZE(more) },
		       e);
#endif
}
