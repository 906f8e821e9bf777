/* SPDX-License-Identifier: Apache-2.0 */
/* The gateway's plan for confine() of util: no file is opened, nothing is executed, no process is made, no socket but of the internet. */
#include "confine.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/syscall.h>

/* What the loop needs, and why. */
static const unsigned short calls[] = {
	/* the loop */
	SYS_epoll_wait, SYS_epoll_pwait, SYS_epoll_ctl, SYS_close, SYS_clock_gettime,
	/* connections, both sides */
	SYS_accept4, SYS_connect, SYS_getsockname, SYS_getsockopt, SYS_setsockopt, SYS_shutdown,
	SYS_recvfrom, SYS_sendto, SYS_recvmsg, SYS_sendmsg, SYS_splice, SYS_pipe2,
	/* the log */
	SYS_write, SYS_pwrite64, SYS_ftruncate,
	/* control connections */
	SYS_read,
	/* memory; never executable, see below */
	SYS_brk, SYS_munmap, SYS_mremap, SYS_madvise,
	/* ids of questions */
	SYS_getrandom,
	/* the end, and what the kernel itself begins anew */
	SYS_exit_group, SYS_exit, SYS_rt_sigreturn, SYS_rt_sigprocmask, SYS_restart_syscall
};

int confine_gateway(uid_t uid, gid_t gid, struct err *e)
{
	const struct sock_filter more[] = {
		CONFINE_INET_SOCKET,
		/* a pair between the client and bailey-keys */
		CONFINE_JUMP(SYS_socketpair, 0, 4),
		CONFINE_ARG(0),
		CONFINE_JUMP(AF_UNIX, 0, 1),
		CONFINE_ALLOW,
		CONFINE_ERRNO(EAFNOSUPPORT),
		/* fcntl() of a pipe's size: F_SETOWN with F_SETSIG would send any signal to any process of our user */
		CONFINE_JUMP(SYS_fcntl, 0, 4),
		CONFINE_ARG(1),
		CONFINE_JUMP(F_SETPIPE_SZ, 0, 1),
		CONFINE_ALLOW,
		CONFINE_ERRNO(EPERM),
	};

	return confine(&(struct confine_plan){ .who = "gateway",
					       .uid = uid,
					       .gid = gid,
					       .calls = calls,
					       .n = ARRAY_SIZE(calls),
					       .more = more,
					       .n_more = ARRAY_SIZE(more) },
		       e);
}
