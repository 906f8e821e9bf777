/* SPDX-License-Identifier: Apache-2.0 */
/* Attacks on processes: those of the host, PID 1 of the sandbox, and ways to outlive the run. */
#define _GNU_SOURCE
#include "probe.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif
#ifndef SYS_pidfd_getfd
#define SYS_pidfd_getfd 438
#endif
#ifndef SYS_clone3
#define SYS_clone3 435
#endif
#ifndef PTRACE_SEIZE
#define PTRACE_SEIZE 0x4206
#endif

static int p_kill(int argc, char **argv)
{
	(void)argc;
	return result(kill((pid_t)num(argv[0]), (int)num(argv[1])));
}

static int p_tgkill(int argc, char **argv)
{
	(void)argc;
	return result(syscall(SYS_tgkill, num(argv[0]), num(argv[0]), 0L));
}

static int p_sigqueue(int argc, char **argv)
{
	(void)argc;
	return result(sigqueue((pid_t)num(argv[0]), 0, (union sigval){ .sival_int = 0 }));
}

static int p_pidfd(int argc, char **argv)
{
	long fd = syscall(SYS_pidfd_open, num(argv[0]), 0L);

	(void)argc;
	if (fd < 0)
		return -errno;
	close((int)fd);
	return 0;
}

static int p_getfd(int argc, char **argv)
{
	long fd;
	int r;
	long pidfd = syscall(SYS_pidfd_open, num(argv[0]), 0L);

	(void)argc;
	if (pidfd < 0)
		return -errno;
	fd = syscall(SYS_pidfd_getfd, pidfd, 0L, 0L);
	r = fd < 0 ? -errno : 0;
	if (fd >= 0)
		close((int)fd);
	close((int)pidfd);
	return r;
}

static int seize(pid_t pid)
{
	if (ptrace(PTRACE_SEIZE, pid, 0, 0) < 0)
		return -errno;
	/* A seized process runs on; it is let go when the probe ends. */
	return 0;
}

static int p_ptrace(int argc, char **argv)
{
	(void)argc;
	return seize((pid_t)num(argv[0]));
}

/* Any byte that both sides have: the bottom of the program's text at the address of this build. */
static char shared_byte = 'x';

static int peek(pid_t pid, int writing)
{
	char c = 'x';
	struct iovec here = { &c, 1 };
	struct iovec there = { &shared_byte, 1 };

	if (writing)
		return result(process_vm_writev(pid, &here, 1, &there, 1, 0));
	return result(process_vm_readv(pid, &here, 1, &there, 1, 0));
}

/* EFAULT means that the caller may, and only the address is wrong: that is a success of the attack. */
static int p_vmread(int argc, char **argv)
{
	int r = peek((pid_t)num(argv[0]), 0);

	(void)argc;
	return r == -EFAULT ? 0 : r;
}

static int p_vmwrite(int argc, char **argv)
{
	int r = peek((pid_t)num(argv[0]), 1);

	(void)argc;
	return r == -EFAULT ? 0 : r;
}

static int p_prlimit(int argc, char **argv)
{
	struct rlimit lim;

	(void)argc;
	return result(prlimit((pid_t)num(argv[0]), RLIMIT_NOFILE, NULL, &lim));
}

static int p_setpriority(int argc, char **argv)
{
	int now;
	id_t pid = (id_t)num(argv[0]);

	(void)argc;
	errno = 0;
	now = getpriority(PRIO_PROCESS, pid);
	if (now == -1 && errno)
		return -errno;
	return result(setpriority(PRIO_PROCESS, pid, now));
}

static int p_affinity(int argc, char **argv)
{
	cpu_set_t set;
	pid_t pid = (pid_t)num(argv[0]);

	(void)argc;
	if (sched_getaffinity(pid, sizeof(set), &set) < 0)
		return -errno;
	return result(sched_setaffinity(pid, sizeof(set), &set));
}

static int p_kcmp(int argc, char **argv)
{
	(void)argc;
	return result(syscall(SYS_kcmp, (long)getpid(), num(argv[0]), 1L, 0L, 0L));
}

static int p_kill_all(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	if (getenv("PROBE_OUTSIDE"))
		return -EINVAL; /* it would work */
	return result(kill(-1, SIGKILL));
}

/* child-X: the same calls on a process of one's own: debuggers must work inside. */
static int on_child(int (*fn)(pid_t pid))
{
	int r;
	pid_t pid = fork();

	if (pid < 0)
		return -errno;
	if (pid == 0) {
		for (;;)
			pause();
	}
	r = fn(pid);
	(void)kill(pid, SIGKILL);
	(void)waitpid(pid, NULL, 0);
	return r;
}

static int peek_child(pid_t pid)
{
	return peek(pid, 0);
}

static int kill_child(pid_t pid)
{
	return result(kill(pid, SIGTERM));
}

static int child_environ(pid_t pid)
{
	char name[40];
	int fd;

	snprintf(name, sizeof(name), "/proc/%d/environ", pid);
	fd = open(name, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	close(fd);
	return 0;
}

static int p_child_kill(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	return on_child(kill_child);
}

static int p_child_ptrace(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	return on_child(seize);
}

static int p_child_vmread(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	return on_child(peek_child);
}

static int p_child_environ(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	return on_child(child_environ);
}

/*
 * daemon MARK READY [stay]: double fork, own session, deaf to polite signals. MARK is only there to be found in
 * /proc/PID/cmdline. READY is created when the daemon lives. With `stay` the first process waits too.
 */
static int p_daemon(int argc, char **argv)
{
	int fd;
	pid_t pid = fork();

	if (pid < 0)
		return -errno;
	if (pid == 0) {
		(void)setsid();
		if (fork() != 0)
			_exit(0);
		(void)prctl(PR_SET_PDEATHSIG, 0);
		signal(SIGTERM, SIG_IGN);
		signal(SIGHUP, SIG_IGN);
		signal(SIGINT, SIG_IGN);
		fd = open("/dev/null", O_RDWR);
		for (int i = 0; i < 3; i++)
			(void)dup2(fd, i);
		fd = open(argv[1], O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
		if (fd >= 0)
			close(fd);
		for (int i = 0; i < 300; i++)
			nap(200);
		_exit(0);
	}
	(void)waitpid(pid, NULL, 0);
	for (int i = 0; i < 200 && access(argv[1], F_OK) < 0; i++)
		nap(10);
	if (argc > 2) {
		signal(SIGTERM, SIG_IGN);
		for (int i = 0; i < 300; i++)
			nap(200);
	}
	return result(access(argv[1], F_OK));
}

/* sleep MS MARK READY: stays alive to be looked at from the host. */
static int p_sleep(int argc, char **argv)
{
	int fd = open(argv[2], O_WRONLY | O_CREAT | O_CLOEXEC, 0666);

	(void)argc;
	if (fd >= 0)
		close(fd);
	nap((unsigned int)num(argv[0]));
	return 0;
}

static int do_unshare(void *arg)
{
	return result(syscall(SYS_unshare, num(arg)));
}

static int p_unshare(int argc, char **argv)
{
	(void)argc;
	return in_child(do_unshare, argv[0]);
}

/* clone FLAGS: raw, all 64 bits of the flags; the child ends at once. */
static int p_clone(int argc, char **argv)
{
	long pid = syscall(SYS_clone, num(argv[0]) | SIGCHLD, 0L, 0L, 0L, 0L);

	(void)argc;
	if (pid < 0)
		return -errno;
	if (pid == 0)
		_exit(0);
	(void)waitpid((pid_t)pid, NULL, 0);
	return 0;
}

static int p_clone3(int argc, char **argv)
{
	struct {
		uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls;
	} args = { .flags = num(argv[0]), .exit_signal = SIGCHLD };
	long pid = syscall(SYS_clone3, &args, sizeof(args));

	(void)argc;
	if (pid < 0)
		return -errno;
	if (pid == 0)
		_exit(0);
	(void)waitpid((pid_t)pid, NULL, 0);
	return 0;
}

static void *thread_main(void *arg)
{
	return arg;
}

static int p_thread(int argc, char **argv)
{
	pthread_t t;
	int r = pthread_create(&t, NULL, thread_main, NULL);

	(void)argc;
	(void)argv;
	if (r)
		return -r;
	pthread_join(t, NULL);
	return 0;
}

static int do_setns(void *arg)
{
	char **argv = arg;
	int fd = open(argv[0], O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	return result(setns(fd, (int)num(argv[1])));
}

/* setns PATH TYPE */
static int p_setns(int argc, char **argv)
{
	(void)argc;
	return in_child(do_setns, argv);
}

static int do_setns_fd(void *arg)
{
	char **argv = arg;

	return result(setns((int)num(argv[0]), (int)num(argv[1])));
}

static int p_setns_fd(int argc, char **argv)
{
	(void)argc;
	return in_child(do_setns_fd, argv);
}

static int do_setns_pidfd(void *arg)
{
	char **argv = arg;
	long fd = syscall(SYS_pidfd_open, num(argv[0]), 0L);

	if (fd < 0)
		return -errno;
	return result(setns((int)fd, (int)num(argv[1])));
}

static int p_setns_pidfd(int argc, char **argv)
{
	(void)argc;
	return in_child(do_setns_pidfd, argv);
}

/* The same as below, asked of the kernel: where there is no /proc. */
static int unconfined_by_calls(void)
{
	/* linux/capability.h, which musl-gcc does not find: version 3, this process; effective, permitted, inheritable, twice */
	unsigned int head[2] = { 0x20080522, 0 }, sets[6] = { 1 };
	int cap;

	if (syscall(SYS_capget, head, sets) < 0)
		return 0;
	for (cap = 0; cap < 6; cap++)
		if (sets[cap])
			return 0;
	for (cap = 0; cap < 64; cap++)
		if (prctl(PR_CAPBSET_READ, cap, 0, 0, 0) == 1 ||
		    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, cap, 0, 0) == 1)
			return 0;
	return prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1 ||
			       prctl(PR_GET_SECCOMP, 0, 0, 0, 0) != 2 ?
		       0 :
		       -EPERM;
}

/* Success when any of these still holds: some capability in any set, no no_new_privs, no filter. */
static int p_unconfined(int argc, char **argv)
{
	static char why[80];
	char buf[4096];
	ssize_t n;
	int fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
	static const char *const want[] = {
		"\nCapInh:\t0000000000000000\n",
		"\nCapPrm:\t0000000000000000\n",
		"\nCapEff:\t0000000000000000\n",
		"\nCapBnd:\t0000000000000000\n",
		"\nCapAmb:\t0000000000000000\n",
		"\nNoNewPrivs:\t1\n",
		"\nSeccomp:\t2\n",
	};

	(void)argc;
	(void)argv;
	if (fd < 0)
		return errno == ENOENT ? unconfined_by_calls() : 0;
	n = read(fd, buf, sizeof(buf) - 1);
	close(fd);
	buf[n > 0 ? n : 0] = '\0';
	for (size_t i = 0; i < sizeof(want) / sizeof(want[0]); i++) {
		if (strstr(buf, want[i]))
			continue;
		snprintf(why, sizeof(why), "%.*s", (int)strcspn(want[i] + 1, "\t"), want[i] + 1);
		remark(why);
		return 0;
	}
	return -EPERM;
}

const struct probe proc_probes[] = {
	{ "kill", 2, p_kill },
	{ "tgkill", 1, p_tgkill },
	{ "sigqueue", 1, p_sigqueue },
	{ "pidfd", 1, p_pidfd },
	{ "getfd", 1, p_getfd },
	{ "ptrace", 1, p_ptrace },
	{ "vmread", 1, p_vmread },
	{ "vmwrite", 1, p_vmwrite },
	{ "prlimit", 1, p_prlimit },
	{ "setpriority", 1, p_setpriority },
	{ "affinity", 1, p_affinity },
	{ "kcmp", 1, p_kcmp },
	{ "kill-all", 0, p_kill_all },
	{ "child-kill", 0, p_child_kill },
	{ "child-ptrace", 0, p_child_ptrace },
	{ "child-vmread", 0, p_child_vmread },
	{ "child-environ", 0, p_child_environ },
	{ "daemon", 2, p_daemon },
	{ "sleep", 3, p_sleep },
	{ "unshare", 1, p_unshare },
	{ "clone", 1, p_clone },
	{ "clone3", 1, p_clone3 },
	{ "thread", 0, p_thread },
	{ "setns", 2, p_setns },
	{ "setns-fd", 2, p_setns_fd },
	{ "setns-pidfd", 2, p_setns_pidfd },
	{ "unconfined", 0, p_unconfined },
	{ NULL, 0, NULL },
};
