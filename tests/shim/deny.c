/* SPDX-License-Identifier: Apache-2.0 */
/*
 * deny: run a command for which chosen system calls fail.
 *
 *   deny RULE[,RULE...] [--] COMMAND [ARG...]
 *
 *   RULE = NAME=ERRNO          every call fails
 *        | NAME@N:VALUE=ERRNO  only when argument N (0-5) equals VALUE
 *        | NAME@N&MASK=ERRNO   only when argument N has a bit of MASK
 *          +NUMBER in the place of ERRNO: the call does nothing and answers NUMBER (one answer for each NAME)
 *
 *   deny landlock_create_ruleset=ENOSYS,seccomp@1&8=EINVAL -- bailey run -- true
 *
 * It forces layers of the sandbox off, one at a time, without touching the host. Arguments are compared in their
 * low 32 bits. NAME may be a number. Exit 99: deny itself failed, so that no exit code of the command is mistaken for it.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#if defined(__x86_64__)
#define ARCH_HERE AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define ARCH_HERE AUDIT_ARCH_AARCH64
#else
#error "add the audit number of this machine"
#endif

#define INSNS_MAX 256
#define EXIT_DENY 99

struct name_value {
	const char *name;
	long value;
};

/* Newer calls by number: old libc headers lack them, and all machines share these numbers. */
static const struct name_value calls[] = {
	{ "landlock_create_ruleset", 444 },
	{ "landlock_add_rule", 445 },
	{ "landlock_restrict_self", 446 },
	{ "openat2", 437 },
	{ "clone3", 435 },
	{ "close_range", 436 },
	{ "open_tree", 428 },
	{ "move_mount", 429 },
	{ "fsopen", 430 },
	{ "fsconfig", 431 },
	{ "fsmount", 432 },
	{ "pidfd_open", 434 },
	{ "pidfd_getfd", 438 },
	{ "mount_setattr", 442 },
	{ "getdents64", SYS_getdents64 },
	{ "seccomp", SYS_seccomp },
	{ "mount", SYS_mount },
	{ "umount2", SYS_umount2 },
	{ "unshare", SYS_unshare },
	{ "setns", SYS_setns },
	{ "clone", SYS_clone },
	{ "prctl", SYS_prctl },
	{ "capset", SYS_capset },
	{ "pivot_root", SYS_pivot_root },
	{ "chroot", SYS_chroot },
	{ "mknodat", SYS_mknodat },
	{ "mkdirat", SYS_mkdirat },
	{ "socket", SYS_socket },
	{ "setgroups", SYS_setgroups },
	{ "setresuid", SYS_setresuid },
	{ "setresgid", SYS_setresgid },
	{ "getppid", SYS_getppid },
	{ "connect", SYS_connect },
	{ "accept4", SYS_accept4 },
	{ "bind", SYS_bind },
	{ "ioctl", SYS_ioctl },
	{ "fcntl", SYS_fcntl },
	{ "prlimit64", SYS_prlimit64 },
	{ "setsockopt", SYS_setsockopt },
	{ "getsockopt", SYS_getsockopt },
	{ "sendto", SYS_sendto },
	{ "memfd_create", SYS_memfd_create },
#ifdef SYS_access
	{ "access", SYS_access },
	{ "mkdir", SYS_mkdir },
#endif
#ifdef SYS_mknod
	{ "mknod", SYS_mknod },
#endif
	{ NULL, 0 },
};

static const struct name_value errnos[] = {
	{ "EPERM", EPERM },
	{ "ENOSYS", ENOSYS },
	{ "EINVAL", EINVAL },
	{ "EACCES", EACCES },
	{ "ENOMEM", ENOMEM },
	{ "ENOSPC", ENOSPC },
	{ "EOPNOTSUPP", EOPNOTSUPP },
	{ "EBUSY", EBUSY },
	{ "EMFILE", EMFILE },
	{ "EAGAIN", EAGAIN },
	{ "ENODEV", ENODEV },
	{ "EPROTONOSUPPORT", EPROTONOSUPPORT },
	{ NULL, 0 },
};

static struct sock_filter insns[INSNS_MAX];
static unsigned short n_insns;

/* The calls that are answered by this program, which stays as the parent of the command. */
static struct {
	int nr;
	long value;
} answers[16];
static size_t n_answers;

static void die(const char *what, const char *arg)
{
	fprintf(stderr, "deny: %s: %s\n", what, arg);
	exit(EXIT_DENY);
}

static void emit(unsigned short code, unsigned char jt, unsigned char jf, unsigned int k)
{
	if (n_insns == INSNS_MAX)
		die("too many rules", "");
	insns[n_insns++] = (struct sock_filter){ code, jt, jf, k };
}

/* Names are looked up, numbers taken as they are. */
static long lookup(const struct name_value *table, const char *what, const char *name)
{
	char *end;
	long v;

	for (; table->name; table++)
		if (strcmp(table->name, name) == 0)
			return table->value;
	v = strtol(name, &end, 0);
	if (end == name || *end || v < 0)
		die(what, name);
	return v;
}

static unsigned int number(const char *text)
{
	char *end;
	unsigned long v = strtoul(text, &end, 0);

	if (end == text || *end)
		die("not a number", text);
	return (unsigned int)v;
}

static void add_rule(char *rule)
{
	char *at, *op = NULL, *eq = strrchr(rule, '=');
	unsigned int nr, action, arg = 0, value = 0;
	char kind = 0;

	if (!eq)
		die("no '=' in rule", rule);
	*eq = '\0';
	action = eq[1] == '+' ?
			 SECCOMP_RET_USER_NOTIF :
			 SECCOMP_RET_ERRNO | (unsigned int)lookup(errnos, "unknown errno", eq + 1);

	at = strchr(rule, '@');
	if (at) {
		*at = '\0';
		op = strpbrk(at + 1, ":&");
		if (!op)
			die("no ':' or '&' after '@' in rule for", rule);
		kind = *op;
		*op = '\0';
		arg = number(at + 1);
		value = number(op + 1);
		if (arg > 5)
			die("no such argument", at + 1);
	}
	nr = (unsigned int)lookup(calls, "unknown call", rule);
	if (action == SECCOMP_RET_USER_NOTIF) {
		if (n_answers == sizeof(answers) / sizeof(answers[0]))
			die("too many answers", rule);
		answers[n_answers].nr = (int)nr;
		answers[n_answers++].value = number(eq + 2);
	}

	/* Each rule is self-contained: load nr, skip when it is another call. */
	emit(BPF_LD | BPF_W | BPF_ABS, 0, 0, offsetof(struct seccomp_data, nr));
	if (!kind) {
		emit(BPF_JMP | BPF_JEQ | BPF_K, 0, 1, nr);
	} else {
		emit(BPF_JMP | BPF_JEQ | BPF_K, 0, 3, nr);
		/* Little endian on both machines: the low half comes first. */
		emit(BPF_LD | BPF_W | BPF_ABS, 0, 0,
		     (unsigned int)(offsetof(struct seccomp_data, args) + 8 * arg));
		emit(BPF_JMP | (kind == ':' ? BPF_JEQ : BPF_JSET) | BPF_K, 0, 1, value);
	}
	emit(BPF_RET | BPF_K, 0, 0, action);
}

/* Return: the listener, when calls are to be answered. */
static int install(void)
{
	struct sock_fprog prog = { n_insns, insns };
	unsigned long flags = n_answers ? SECCOMP_FILTER_FLAG_NEW_LISTENER : 0;
	long fd;

	/* As root without no_new_privs: bailey itself must still have to set it. */
	fd = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &prog);
	if (fd >= 0)
		return (int)fd;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		die("no_new_privs", strerror(errno));
	fd = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &prog);
	if (fd < 0)
		die("seccomp", strerror(errno));
	return (int)fd;
}

static void answer(int listener)
{
	struct seccomp_notif call;
	struct seccomp_notif_resp back;
	size_t i;

	memset(&call, 0, sizeof(call));
	memset(&back, 0, sizeof(back));
	if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &call) < 0)
		return; /* the caller is gone */
	back.id = call.id;
	for (i = 0; i < n_answers; i++)
		if (answers[i].nr == call.data.nr)
			back.val = answers[i].value;
	(void)ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &back);
}

/* The command is our child and shares its descriptors with us until it executes, so its listener is ours, too. */
static int supervise(char **argv)
{
	struct pollfd p = { .fd = -1, .events = POLLIN };
	int pipes[2], status = 0;
	pid_t pid;

	if (pipe(pipes) < 0)
		die("pipe", strerror(errno));
	pid = (pid_t)syscall(SYS_clone, CLONE_FILES | SIGCHLD, 0, 0, 0, 0);
	if (pid == 0) {
		int fd = install();

		if (write(pipes[1], &fd, sizeof(fd)) != sizeof(fd))
			die("pipe", strerror(errno));
		(void)syscall(SYS_unshare, CLONE_FILES);
		(void)close(pipes[0]);
		(void)close(pipes[1]);
		execvp(argv[0], argv);
		die(argv[0], strerror(errno));
	}
	if (pid < 0 || read(pipes[0], &p.fd, sizeof(p.fd)) != sizeof(p.fd))
		die("child", strerror(errno));
	while (waitpid(pid, &status, WNOHANG) == 0)
		if (poll(&p, 1, 20) == 1 && (p.revents & POLLIN))
			answer(p.fd);
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

int main(int argc, char **argv)
{
	char *rule, *save = NULL;
	int i = 2;

	if (argc > 2 && strcmp(argv[2], "--") == 0)
		i = 3;
	if (i >= argc)
		die("usage", "deny RULE[,RULE...] [--] COMMAND [ARG...]");

	emit(BPF_LD | BPF_W | BPF_ABS, 0, 0, offsetof(struct seccomp_data, arch));
	emit(BPF_JMP | BPF_JEQ | BPF_K, 1, 0, ARCH_HERE);
	emit(BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW);
	for (rule = strtok_r(argv[1], ",", &save); rule; rule = strtok_r(NULL, ",", &save))
		add_rule(rule);
	emit(BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW);

	if (n_answers)
		return supervise(argv + i);
	(void)install();
	execvp(argv[i], argv + i);
	die(argv[i], strerror(errno));
}
