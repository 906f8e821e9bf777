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

static void __attribute__((noreturn)) become(int program, const char *word, int control, int other)
{
	static char lang[] = "LC_ALL=C.UTF-8";
	static const char *const names[] = { "HOME", "PATH", "XDG_STATE_HOME", "SSL_CERT_FILE",
					     "SSL_CERT_DIR" };
	char text[ARRAY_SIZE(names)][LIMIT_PATH + 32];
	char *const argv[] = { (char *)(uintptr_t)NAME, (char *)(uintptr_t)word, NULL };
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
	/* away from 3 and 4 first, so that neither is closed by the other */
	program = fcntl(program, F_DUPFD_CLOEXEC, 10);
	control = fcntl(control, F_DUPFD, 10);
	other = fcntl(other, F_DUPFD, 10);
	if (program < 0 || control < 0 || other < 0 || dup2(control, KEYS_FD_CONTROL) < 0 ||
	    dup2(other, KEYS_FD_GATEWAY) < 0 ||
	    fd_close_others((const int[]){ program, KEYS_FD_CONTROL, KEYS_FD_GATEWAY }, 3) < 0)
		_exit(127);
	(void)sys_call(SYS_execveat, program, "", argv, env, AT_EMPTY_PATH);
	_exit(127);
}

int keys_program_start(const char *word, int control, int other, pid_t *ret_pid, struct err *e)
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
		become(program, word, control, other);
	}
	*ret_pid = pid;
	return 0;
}
