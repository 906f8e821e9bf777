/* SPDX-License-Identifier: Apache-2.0 */
#include "keys-program.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "keys/keys.h"
#include "libexec.h"

#define NAME "bailey-keys"
#define VERSION NAME " " BAILEY_VERSION "\n"
#define SECONDS 10

int keys_program_exec(int fd, char *const *argv, struct err *e)
{
	return libexec_exec(fd, NAME, argv, e);
}

/* In the child: it says what it is. */
static void ask(int fd, int out)
{
	char *argv[] = { (char *)(uintptr_t)NAME, (char *)(uintptr_t) "--version", NULL };
	struct err e = ERR_INIT;

	if (dup2(out, 1) >= 0)
		(void)keys_program_exec(fd, argv, &e);
	_exit(127);
}

static int check_version(int fd, const char *path, struct err *e)
{
	char said[64];
	size_t n = 0;
	ssize_t got = 1;
	int pipes[2], status = 0;
	pid_t pid;

	if (pipe2(pipes, O_CLOEXEC) < 0)
		return err_sys(e, -errno, "pipe");
	pid = fork();
	if (pid == 0)
		ask(fd, pipes[1]);
	(void)close(pipes[1]);
	while (pid > 0 && got > 0 && n < sizeof(said) - 1) {
		struct pollfd p = { .fd = pipes[0], .events = POLLIN };

		got = poll(&p, 1, SECONDS * 1000) > 0 ?
			      read(pipes[0], said + n, sizeof(said) - 1 - n) :
			      0;
		n += got > 0 ? (size_t)got : 0;
	}
	(void)close(pipes[0]);
	said[n] = '\0';
	if (pid < 0)
		return err_sys(e, -errno, "fork");
	(void)kill(pid, SIGKILL); /* it has said all that it has to say */
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (strcmp(said, VERSION) == 0)
		return 0;
	said[strcspn(said, "\n")] = '\0';
	return err_set(e, ERR_LAYER, -ENOEXEC,
		       "%s: it is '%s', and not of this release (" BAILEY_VERSION
		       "): install both together",
		       path, said);
}

int keys_program_open(bool speaks, struct err *e)
{
	char path[LIMIT_PATH] = NAME;
	_cleanup_close_ int fd = libexec_open(NAME, "keeps secrets and looks into TLS", path, e);
	int r = fd;

	if (r >= 0 && !speaks)
		r = check_version(fd, path, e);
	return r < 0 ? r : TAKE_FD(fd);
}

static bool variable(const char *name, char *out, size_t size)
{
	const char *v = getenv(name);

	return v && snprintf(out, size, "%s=%s", name, v) < (int)size;
}

/* Descriptors that a program finds at once. */
#define FDS_MAX 8u
#define FDS_FIRST 3

/* Away from their places first, so that none is closed by another. Return: whether all are there, and nothing else but 0-2 and *@program. */
static bool place(int *program, const int *fds, size_t n)
{
	int moved[FDS_MAX], keep[FDS_MAX + 1];
	size_t i, kept = 0;

	*program = fcntl(*program, F_DUPFD_CLOEXEC, FDS_FIRST + (int)FDS_MAX);
	if (*program < 0 || n > FDS_MAX)
		return false;
	for (i = 0; i < n; i++) {
		moved[i] = fds[i] < 0 ? -1 : fcntl(fds[i], F_DUPFD, FDS_FIRST + (int)FDS_MAX);
		if (fds[i] >= 0 && moved[i] < 0)
			return false;
	}
	for (i = 0; i < n; i++) {
		if (moved[i] < 0)
			continue;
		if (dup2(moved[i], FDS_FIRST + (int)i) < 0)
			return false;
		keep[kept++] = FDS_FIRST + (int)i;
	}
	keep[kept++] = *program;
	return fd_close_others(keep, kept) == 0;
}

static void __attribute__((noreturn))
become(int program, char *const *argv, const int *fds, size_t n)
{
	static char lang[] = "LC_ALL=C.UTF-8";
	static const char *const names[] = {
		"HOME",          "PATH",         "XDG_STATE_HOME",
		"SSL_CERT_FILE", "SSL_CERT_DIR", "NODE_EXTRA_CA_CERTS"
	};
	char text[ARRAY_SIZE(names)][LIMIT_PATH + 32];
	char *env[ARRAY_SIZE(names) + 2], **p = env;
	size_t i;
	sigset_t none;

	*p++ = lang;
	for (i = 0; i < ARRAY_SIZE(names); i++) {
		if (variable(names[i], text[i], sizeof(text[i])))
			*p++ = text[i];
	}
	*p = NULL;
	sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL); /* can't fail with these arguments */
	if (!place(&program, fds, n))
		_exit(127);
	(void)sys_call(SYS_execveat, program, "", argv, env, AT_EMPTY_PATH);
	_exit(127);
}

int keys_program_start(const char *word, int control, int other, pid_t *ret_pid, struct err *e)
{
	char *const words[] = { (char *)(uintptr_t)NAME, (char *)(uintptr_t)word, NULL };

	return keys_program_start_with(words, (const int[]){ control, other }, 2, ret_pid, e);
}

int keys_program_start_with(char *const *words, const int *fds, size_t n, pid_t *ret_pid,
			    struct err *e)
{
	_cleanup_close_ int program = keys_program_open(true, e);
	const pid_t parent = getpid();
	pid_t pid;

	if (program < 0)
		return program;
	pid = fork();
	if (pid < 0)
		return err_sys(e, -errno, NAME);
	if (pid == 0) {
		if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0 || getppid() != parent)
			_exit(127);
		become(program, words, fds, n);
	}
	*ret_pid = pid;
	return 0;
}
