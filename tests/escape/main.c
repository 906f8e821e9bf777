/* SPDX-License-Identifier: Apache-2.0 */
/* probe [-o FILE] NAME [ARG...]: runs one probe and prints `PROBE ok`, `PROBE errno=NAME` or `PROBE signal=NAME`. */
#define _GNU_SOURCE
#include "probe.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static const char *remark_text;
static int out_fd = 1;

#define E(name)             \
	{                   \
		name, #name \
	}

static const struct {
	int value;
	const char *name;
} errnos[] = {
	E(EPERM),           E(ENOENT),       E(ESRCH),        E(EINTR),         E(EIO),
	E(ENXIO),           E(E2BIG),        E(ENOEXEC),      E(EBADF),         E(ECHILD),
	E(EAGAIN),          E(ENOMEM),       E(EACCES),       E(EFAULT),        E(ENOTBLK),
	E(EBUSY),           E(EEXIST),       E(EXDEV),        E(ENODEV),        E(ENOTDIR),
	E(EISDIR),          E(EINVAL),       E(ENFILE),       E(EMFILE),        E(ENOTTY),
	E(ETXTBSY),         E(EFBIG),        E(ENOSPC),       E(ESPIPE),        E(EROFS),
	E(EMLINK),          E(EPIPE),        E(ENAMETOOLONG), E(ENOSYS),        E(ENOTEMPTY),
	E(ELOOP),           E(ENODATA),      E(EPROTO),       E(ENOTSOCK),      E(EDESTADDRREQ),
	E(EMSGSIZE),        E(EPROTOTYPE),   E(EOPNOTSUPP),   E(ENOPROTOOPT),   E(EPROTONOSUPPORT),
	E(ESOCKTNOSUPPORT), E(EAFNOSUPPORT), E(EADDRINUSE),   E(EADDRNOTAVAIL), E(ENETUNREACH),
	E(ECONNRESET),      E(EISCONN),      E(ENOTCONN),     E(ETIMEDOUT),     E(ECONNREFUSED),
	E(EOVERFLOW),       E(EHOSTUNREACH), E(EINPROGRESS),  E(ESTALE),        E(EDQUOT),
	E(ENOKEY),
};

static const struct probe *const tables[] = {
	fs_probes,   fdops_probes, setid_probes, proc_probes,
	call_probes, net_probes,   limit_probes, nested_probes
};

unsigned long num(const char *s)
{
	char *end;
	unsigned long v;

	errno = 0;
	v = strtoul(s, &end, 0);
	if (errno || end == s || *end) {
		fprintf(stderr, "probe: '%s' is no number\n", s);
		exit(2);
	}
	return v;
}

int result(long ret)
{
	return ret == -1 ? -errno : 0;
}

void remark(const char *text)
{
	remark_text = text;
}

void nap(unsigned int ms)
{
	struct timespec t = { .tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000 };

	while (nanosleep(&t, &t) < 0 && errno == EINTR)
		;
}

int in_child(int (*fn)(void *arg), void *arg)
{
	int status;
	pid_t pid = fork();

	if (pid < 0)
		return -errno;
	if (pid == 0)
		_exit(-fn(arg));
	if (waitpid(pid, &status, 0) != pid)
		return -errno;
	return WIFEXITED(status) ? -WEXITSTATUS(status) : -EINTR;
}

/* The filter may kill instead of answering: that is a verdict too. */
static void on_signal(int sig)
{
	const char *text = sig == SIGSYS ? "PROBE signal=SYS\n" : "PROBE signal=SEGV\n";

	(void)!write(out_fd, text, strlen(text));
	_exit(0);
}

static void print_verdict(int r)
{
	char number[16];
	char line[512];
	const char *name = number;
	int n;

	snprintf(number, sizeof(number), "%d", -r);
	for (size_t i = 0; i < sizeof(errnos) / sizeof(errnos[0]); i++) {
		if (errnos[i].value == -r)
			name = errnos[i].name;
	}
	n = snprintf(line, sizeof(line), "PROBE %s%s%s%s\n", r ? "errno=" : "ok", r ? name : "",
		     remark_text ? " " : "", remark_text ? remark_text : "");
	if (n > (int)sizeof(line) - 1)
		n = (int)sizeof(line) - 1;
	if (write(out_fd, line, (size_t)n) != n)
		_exit(3);
}

int probe_run(int argc, char **argv)
{
	for (size_t t = 0; t < sizeof(tables) / sizeof(tables[0]); t++) {
		for (const struct probe *p = tables[t]; p->name; p++) {
			if (strcmp(p->name, argv[0]) != 0)
				continue;
			if (argc - 1 < p->args) {
				fprintf(stderr, "probe: %s needs %d arguments\n", p->name, p->args);
				exit(2);
			}
			return p->run(argc - 1, argv + 1);
		}
	}
	fprintf(stderr, "probe: no probe is named '%s'\n", argv[0]);
	exit(2);
}

int main(int argc, char **argv)
{
	argc--;
	argv++;
	if (argc >= 2 && strcmp(argv[0], "-o") == 0) {
		/* For runs without a usable stdout; never 0-2, so that these can be looked at. */
		int fd = open(argv[1], O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);

		out_fd = fcntl(fd, F_DUPFD_CLOEXEC, 100);
		close(fd);
		if (out_fd < 0)
			return 3;
		argc -= 2;
		argv += 2;
	}
	if (argc < 1) {
		fprintf(stderr, "usage: probe [-o FILE] NAME [ARG...]\n");
		return 2;
	}
	signal(SIGSYS, on_signal);
	signal(SIGSEGV, on_signal);
	print_verdict(probe_run(argc, argv));
	return 0;
}
