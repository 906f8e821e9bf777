/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What gateway, dialer and keys can still ask of the kernel when they read hostile bytes: each call in a process of its own, before and behind confine(). What is
 * refused behind it works, or fails otherwise, before it.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define TAP_NO_MAIN
#include "../tap.h"
#include "gateway/confine.h"
#include "gateway/dialer-confine.h"
#include "keys/confine.h"
#include "util/util.h"

#define KILLED 1000

enum who { GATEWAY, DIALER, KEYS, WHO_NUM };

struct
try {
	const char *name;
	long nr, a, b, c, d, f;
	int want[WHO_NUM]; /* KILLED, an errno, 0: it works */
};

static char path[] = "/etc/passwd", shell[] = "/bin/true";
static char *const argv[] = { shell, NULL };
static int two[2];
static char room[256];

#define ALL(x)                \
	{                     \
		(x), (x), (x) \
	}
static const struct try tries[] = {
	{ "open", SYS_open, (long)path, O_RDONLY, 0, 0, 0, ALL(KILLED) },
	{ "openat", SYS_openat, AT_FDCWD, (long)path, O_RDONLY, 0, 0, ALL(KILLED) },
	{ "openat2", SYS_openat2, AT_FDCWD, (long)path, (long)room, 24, 0, ALL(KILLED) },
	{ "creat", SYS_creat, (long)"/dev/null", 0600, 0, 0, 0, ALL(KILLED) },
	{ "stat", SYS_stat, (long)path, (long)room, 0, 0, 0, ALL(KILLED) },
	{ "readlink", SYS_readlink, (long)"/proc/self/exe", (long)room, 100, 0, 0, ALL(KILLED) },
	{ "chdir", SYS_chdir, (long)"/", 0, 0, 0, 0, ALL(KILLED) },
	{ "unlink", SYS_unlink, (long)"/nowhere", 0, 0, 0, 0, ALL(KILLED) },
	{ "rename", SYS_rename, (long)"/nowhere", (long)"/nothing", 0, 0, 0, ALL(KILLED) },
	{ "mkdir", SYS_mkdir, (long)"/", 0700, 0, 0, 0, ALL(KILLED) },
	{ "mount", SYS_mount, 0, (long)"/nowhere", 0, 0, 0, ALL(KILLED) },
	{ "execve", SYS_execve, (long)"/nowhere", (long)argv, 0, 0, 0, ALL(KILLED) },
	{ "execveat", SYS_execveat, AT_FDCWD, (long)"/nowhere", (long)argv, 0, 0, ALL(KILLED) },
	{ "fork", SYS_fork, 0, 0, 0, 0, 0, ALL(KILLED) },
	{ "clone", SYS_clone, SIGCHLD, 0, 0, 0, 0, ALL(KILLED) },
	{ "clone3", SYS_clone3, (long)room, 64, 0, 0, 0, ALL(KILLED) },
	{ "unshare", SYS_unshare, CLONE_FS, 0, 0, 0, 0, ALL(KILLED) },
	{ "setns", SYS_setns, -1, 0, 0, 0, 0, ALL(KILLED) },
	{ "kill", SYS_kill, 1, 0, 0, 0, 0, ALL(KILLED) },
	{ "pidfd_open", SYS_pidfd_open, 1, 0, 0, 0, 0, ALL(KILLED) },
	{ "ptrace", SYS_ptrace, PTRACE_TRACEME, 0, 0, 0, 0, ALL(KILLED) },
	{ "process_vm_readv", SYS_process_vm_readv, 1, 0, 0, 0, 0, ALL(KILLED) },
	{ "memfd_create", SYS_memfd_create, (long)"x", 0, 0, 0, 0, ALL(KILLED) },
	{ "userfaultfd", SYS_userfaultfd, 1, 0, 0, 0, 0, ALL(KILLED) },
	{ "bpf", SYS_bpf, 0, 0, 0, 0, 0, ALL(KILLED) },
	{ "io_uring_setup", SYS_io_uring_setup, 1, (long)room, 0, 0, 0, ALL(KILLED) },
	{ "keyctl", SYS_keyctl, 0, -3, 0, 0, 0, ALL(KILLED) },
	{ "prctl", SYS_prctl, 3, 0, 0, 0, 0, ALL(KILLED) },
	{ "setuid", SYS_setuid, 0, 0, 0, 0, 0, ALL(KILLED) },
	{ "ioctl", SYS_ioctl, 0, 0x5413 /* TIOCGWINSZ */, (long)room, 0, 0, ALL(KILLED) },
	{ "dup2", SYS_dup2, 0, 1, 0, 0, 0, ALL(KILLED) },
	{ "mmap, executable", SYS_mmap, 0, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS,
	  -1, ALL(KILLED) },
	{ "mprotect, executable", SYS_mprotect, 0, 0, PROT_EXEC, 0, 0, ALL(KILLED) },
	{ "a number of x32", 0x40000000 + SYS_getpid, 0, 0, 0, 0, 0, ALL(KILLED) },
	{ "socket, unix",
	  SYS_socket,
	  AF_UNIX,
	  SOCK_STREAM,
	  0,
	  0,
	  0,
	  { EAFNOSUPPORT, EAFNOSUPPORT, KILLED } },
	{ "socket, netlink",
	  SYS_socket,
	  AF_NETLINK,
	  SOCK_RAW,
	  0,
	  0,
	  0,
	  { EAFNOSUPPORT, EAFNOSUPPORT, KILLED } },
	{ "socket, raw",
	  SYS_socket,
	  AF_INET,
	  SOCK_RAW,
	  255,
	  0,
	  0,
	  { EAFNOSUPPORT, EAFNOSUPPORT, KILLED } },
	{ "socket, tcp", SYS_socket, AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0, 0, 0, { 0, 0, KILLED } },
	{ "socket, udp of IPv6", SYS_socket, AF_INET6, SOCK_DGRAM, 0, 0, 0, { 0, 0, KILLED } },
	{ "socketpair, unix",
	  SYS_socketpair,
	  AF_UNIX,
	  SOCK_STREAM,
	  0,
	  (long)two,
	  0,
	  { 0, KILLED, KILLED } },
	{ "socketpair, internet",
	  SYS_socketpair,
	  AF_INET,
	  SOCK_STREAM,
	  0,
	  (long)two,
	  0,
	  { EAFNOSUPPORT, KILLED, KILLED } },
	{ "bind", SYS_bind, -1, 0, 0, 0, 0, ALL(KILLED) },
	{ "fcntl, F_SETOWN", SYS_fcntl, 0, F_SETOWN, 1, 0, 0, { EPERM, KILLED, EPERM } },
	{ "fcntl, F_DUPFD", SYS_fcntl, 0, F_DUPFD, 0, 0, 0, { EPERM, KILLED, EPERM } },
	{ "fcntl, F_GETFL", SYS_fcntl, 0, F_GETFL, 0, 0, 0, { EPERM, KILLED, 0 } },
	{ "mmap", SYS_mmap, 0, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
	  ALL(0) },
	{ "getrandom", SYS_getrandom, (long)room, 8, 0, 0, 0, ALL(0) },
	{ "write", SYS_write, 2, (long)room, 0, 0, 0, ALL(0) },
};

static int give_up(enum who who)
{
	struct err e = ERR_INIT;
	int r = who == GATEWAY ? confine_gateway((uid_t)-1, (gid_t)-1, &e) :
		who == DIALER  ? confine_dialer(&e) :
				 confine_keys((uid_t)-1, (gid_t)-1, &e);

	if (r < 0)
		FAIL("confine: %s", e.msg);
	return r;
}

/* Return: KILLED; the errno of the call, or 0. */
static int outcome(const struct try *t, enum who who, bool confined)
{
	const pid_t pid = fork();
	int status = 0;
	long r;

	if (pid == 0) {
		if (confined && give_up(who) < 0)
			_exit(255);
		r = sys_call6(t->nr, t->a, t->b, t->c, t->d, t->f, 0);
		/* a child of its own ends here, too */
		(void)sys_call(SYS_exit_group, r < 0 ? -r : 0, 0, 0, 0, 0);
	}
	REQUIRE(pid > 0 && waitpid(pid, &status, 0) == pid);
	return WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS ? KILLED :
	       WIFEXITED(status)                                 ? WEXITSTATUS(status) :
								   -1;
}

static void check(const void *arg)
{
	const struct try *t = arg;
	enum who who;
	int before = outcome(t, GATEWAY, false), got;

	if (before == KILLED || before < 0)
		FAIL("the control ends so, too: %d", before);
	for (who = GATEWAY; who < WHO_NUM; who++) {
#ifdef __SANITIZE_ADDRESS__
		if (who != GATEWAY)
			continue; /* these don't confine themselves then */
#endif
		got = outcome(t, who, true);
		if (got != t->want[who])
			FAIL("%s: %d, not %d",
			     who == GATEWAY ? "gateway" :
			     who == DIALER  ? "dialer" :
					      "keys",
			     got, t->want[who]);
		if (t->want[who] > 0 && t->want[who] != KILLED && before == t->want[who])
			FAIL("the control fails in the same way: %d", before);
	}
}

int main(void)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(tries); i++)
		tap_run(check, &tries[i], NULL, "%s", tries[i].name);
	return tap_done();
}
