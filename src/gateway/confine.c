/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. The gateway is a fork of the supervisor, and reads what hostile programs send. Before that it gives up, in this order:
 *  1 descriptors     it has those that it was given; 0-2, which may be the caller's terminal, lead nowhere
 *  2 memory          the caller's command line and environment
 *  3 ids             root's gateway becomes the last id of the sandbox's block, which nothing else is; groups before ids, since only root can
 *  4 capabilities    of an ordinary user's there are none; of root's none are left after 3, and the set is emptied all the same
 *  5 dumpable        no process of that id can look into it
 *  6 no_new_privs    7 needs it
 *  7 seccomp         what is not in the list ends the process: no file is opened, nothing is executed, no process is made, no socket but of the internet
 */
#include "confine.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#define SOCK_TYPES 0xf /* without flags */

int confine_streams(void)
{
	_cleanup_close_ int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	int fd;

	for (fd = 0; fd <= 2 && null >= 0; fd++) {
		if (dup2(null, fd) < 0)
			return -errno;
	}
	if (null < 0)
		return -errno;
	if (null <= 2)
		(void)TAKE_FD(null); /* it is one of them, and stays */
	return 0;
}

void confine_memory(void)
{
	/* the kernel puts words and variables behind each other, in that order */
	char *from = program_invocation_name, *to = NULL;
	char **v;

	for (v = environ; v && *v; v++)
		to = *v + strlen(*v);
	if (from && to && to > from && to - from < 8 << 20)
		explicit_bzero(from, (size_t)(to - from));
	environ = NULL;
}

static int become(uid_t uid, gid_t gid)
{
	uid_t r, e, s;

	if (uid == (uid_t)-1)
		return 0;
	if (setgroups(0, NULL) < 0 || setresgid(gid, gid, gid) < 0 || setresuid(uid, uid, uid) < 0)
		return -errno;
	if (getresuid(&r, &e, &s) < 0 || r != uid || e != uid || s != uid || setuid(0) == 0)
		return -EPERM;
	return 0;
}

static int drop_capabilities(void)
{
	struct __user_cap_header_struct h = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct none[2];

	memset(none, 0, sizeof(none));
	return syscall(SYS_capset, &h, none) < 0 ? -errno : 0;
}

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

#define STEP(code, k) (struct sock_filter) BPF_STMT((code), (k))
#define JUMP(k, t, f) (struct sock_filter) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (k), (t), (f))
#define LOAD(field) STEP(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define ARG_LOW(n) \
	STEP(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args) + sizeof(uint64_t) * (n))
#define ALLOW STEP(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)
#define KILL STEP(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS)

static int filter(void)
{
	struct sock_filter p[32 + 2 * ARRAY_SIZE(calls)];
	struct sock_fprog prog = { .filter = p };
	unsigned short n = 0;
	size_t i;

	p[n++] = LOAD(arch);
	p[n++] = JUMP(AUDIT_ARCH_X86_64, 1, 0);
	p[n++] = KILL;
	p[n++] = LOAD(nr); /* x32 numbers are in no list */
	for (i = 0; i < ARRAY_SIZE(calls); i++) {
		p[n++] = JUMP(calls[i], 0, 1);
		p[n++] = ALLOW;
	}
	/* socket(AF_INET or AF_INET6, SOCK_STREAM or SOCK_DGRAM, 0); others fail, as on a kernel without them */
	p[n++] = JUMP(SYS_socket, 0, 11);
	p[n++] = ARG_LOW(0);
	p[n++] = JUMP(AF_INET, 1, 0);
	p[n++] = JUMP(AF_INET6, 0, 7);
	p[n++] = ARG_LOW(1);
	p[n++] = STEP(BPF_ALU | BPF_AND | BPF_K, SOCK_TYPES);
	p[n++] = JUMP(SOCK_STREAM, 1, 0);
	p[n++] = JUMP(SOCK_DGRAM, 0, 3);
	p[n++] = ARG_LOW(2);
	p[n++] = JUMP(0, 0, 1);
	p[n++] = ALLOW;
	p[n++] = STEP(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EAFNOSUPPORT);
	/* fcntl() of a pipe's size: F_SETOWN with F_SETSIG would send any signal to any process of our user */
	p[n++] = JUMP(SYS_fcntl, 0, 4);
	p[n++] = ARG_LOW(1);
	p[n++] = JUMP(F_SETPIPE_SZ, 0, 1);
	p[n++] = ALLOW;
	p[n++] = STEP(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM);
	/* mmap and mprotect (of malloc) without PROT_EXEC */
	p[n++] = JUMP(SYS_mmap, 1, 0);
	p[n++] = JUMP(SYS_mprotect, 0, 3);
	p[n++] = ARG_LOW(2);
	p[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, 4 /* PROT_EXEC */, 1, 0);
	p[n++] = ALLOW;
	p[n++] = KILL;
	prog.len = n;
	return (int)sys_call(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &prog, 0, 0);
}

int confine(uid_t uid, gid_t gid, struct err *e)
{
	const struct rlimit no_core = { 0, 0 };
	int r;

	(void)setrlimit(RLIMIT_CORE, &no_core); /* lowering can't fail */
	r = become(uid, gid);
	if (r < 0)
		return err_sys(e, r, "gateway: become uid %u", (unsigned int)uid);
	r = drop_capabilities();
	if (r < 0)
		return err_sys(e, r, "gateway: capabilities");
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0,
		    0); /* new ids have cleared it; `alive` says the same */
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return err_sys(e, -errno, "gateway: no new privileges");
	r = filter();
	return r < 0 ? err_sys(e, r, "gateway: seccomp filter") : 0;
}
