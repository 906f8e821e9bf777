/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. Processes that read what hostile programs and servers send (gateway, keys) give up, in this order:
 *  1 descriptors     they have those that they were given; 0-2, which may be the caller's terminal, lead nowhere
 *  2 memory          the caller's command line and environment
 *  3 ids             root's become the last id of the sandbox's block, which nothing else is; groups before ids, since only root can
 *  4 capabilities    of an ordinary user's there are none; of root's none are left after 3, and the set is emptied all the same
 *  5 dumpable        no process of that id can look into it, and it leaves no core
 *  6 no_new_privs    7 needs it
 *  7 seccomp         what is not in the plan ends the process
 */
#include "confine.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cleanup.h"
#include "err.h"
#include "sys.h"

#define FILTER_MAX 192u

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

#define LOAD(field) CONFINE_STEP(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))

static int filter(const struct confine_plan *plan)
{
	struct sock_filter p[FILTER_MAX];
	struct sock_fprog prog = { .filter = p };
	unsigned short n = 0;
	size_t i;

	if (2 * plan->n + plan->n_more + 16 > FILTER_MAX)
		return -E2BIG;
	p[n++] = LOAD(arch);
	p[n++] = CONFINE_JUMP(AUDIT_ARCH_X86_64, 1, 0);
	p[n++] = CONFINE_KILL;
	p[n++] = LOAD(nr); /* x32 numbers are in no list */
	for (i = 0; i < plan->n; i++) {
		p[n++] = CONFINE_JUMP(plan->calls[i], 0, 1);
		p[n++] = CONFINE_ALLOW;
	}
	for (i = 0; i < plan->n_more; i++)
		p[n++] = plan->more[i];
	/* mmap and mprotect (of malloc) without PROT_EXEC */
	p[n++] = CONFINE_JUMP(SYS_mmap, 1, 0);
	p[n++] = CONFINE_JUMP(SYS_mprotect, 0, 3);
	p[n++] = CONFINE_ARG(2);
	p[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, 4 /* PROT_EXEC */, 1, 0);
	p[n++] = CONFINE_ALLOW;
	p[n++] = CONFINE_KILL;
	prog.len = n;
	return (int)sys_call(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &prog, 0, 0);
}

int confine(const struct confine_plan *plan, struct err *e)
{
	const struct rlimit no_core = { 0, 0 };
	int r;

	(void)setrlimit(RLIMIT_CORE, &no_core); /* lowering can't fail */
	r = become(plan->uid, plan->gid);
	if (r < 0)
		return err_sys(e, r, "%s: become uid %u", plan->who, (unsigned int)plan->uid);
	r = drop_capabilities();
	if (r < 0)
		return err_sys(e, r, "%s: capabilities", plan->who);
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0,
		    0); /* new ids have cleared it; the owner's channel says the same */
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return err_sys(e, -errno, "%s: no new privileges", plan->who);
	r = filter(plan);
	return r < 0 ? err_sys(e, r, "%s: seccomp filter", plan->who) : 0;
}
