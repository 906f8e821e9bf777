/* SPDX-License-Identifier: Apache-2.0 */
/* The dialer's plan for confine() of util: no file is opened, nothing is executed, no process is made, no socket but of the internet. */
#include "dialer-confine.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "util/util.h"

/* What the loop needs, and why. */
static const unsigned short calls[] = {
	/* the loop */
	SYS_epoll_wait, SYS_epoll_pwait, SYS_epoll_ctl, SYS_close, SYS_clock_gettime,
	/* clients are taken, servers are dialled, both are handed on; the kernel is asked whose an address is */
	SYS_listen, SYS_accept4, SYS_connect, SYS_getsockopt, SYS_setsockopt, SYS_recvfrom,
	SYS_sendto, SYS_recvmsg, SYS_sendmsg, SYS_write,
	/* memory; never executable */
	SYS_brk, SYS_munmap, SYS_mremap, SYS_madvise,
	/* ids of questions */
	SYS_getrandom,
	/* the end, and what the kernel itself begins anew */
	SYS_exit_group, SYS_exit, SYS_rt_sigreturn, SYS_rt_sigprocmask, SYS_restart_syscall
};

int confine_dialer(struct err *e)
{
#ifdef __SANITIZE_ADDRESS__
	/* the sanitizer's own calls would end it; such a build is for tests of all but this */
	(void)e;
	(void)calls;
	return 0;
#else
	const struct sock_filter more[] = {
		CONFINE_INET_SOCKET,
	};

	return confine(&(struct confine_plan){ .who = "dialer",
					       .uid = (uid_t)-1,
					       .gid = (gid_t)-1,
					       .calls = calls,
					       .n = ARRAY_SIZE(calls),
					       .more = more,
					       .n_more = ARRAY_SIZE(more) },
		       e);
#endif
}
