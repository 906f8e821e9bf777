/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. All signals are blocked; the loop takes them one by one with sigwaitinfo, so nothing is asynchronous. The kernel
 * protects PID 1 from signals it has no handler for, but a blocked signal is queued, whoever sent it. Signals from
 * outside (the supervisor's) go on to the command, those from inside are dropped. The command has a session of its own: a signal to its process
 * group reaches nobody outside, nor us. When the command ends, everything else is killed and reaped before its status is told.
 */
#include "init.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define DEFAULT_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

/* Like execvpe(3) of libcs: a file that no loader knows is a shell script. Returns only on failure, with a negative errno. */
static int exec_file(const char *file, const struct init_command *cmd)
{
	char *argv[256];
	size_t n;

	(void)execve(file, cmd->argv, cmd->envp);
	if (errno != ENOEXEC)
		return -errno;
	for (n = 0; n < ARRAY_SIZE(argv) - 2 && cmd->argv[n]; n++)
		argv[n + 1] = cmd->argv[n];
	if (cmd->argv[n])
		return -ENOEXEC;
	argv[0] = (char *)(uintptr_t) "sh";
	argv[1] = (char *)(uintptr_t)file;
	argv[n + 1] = NULL;
	(void)execve("/bin/sh", argv, cmd->envp);
	return -ENOEXEC;
}

static int exec_search(const struct init_command *cmd)
{
	const char *dir = cmd->path ? cmd->path : DEFAULT_PATH, *name = cmd->argv[0];
	char file[LIMIT_PATH];
	int r, seen = -ENOENT;
	struct stat st;

	if (!*name)
		return -ENOENT;
	if (strchr(name, '/'))
		return exec_file(name, cmd);
	for (;;) {
		size_t n = strcspn(dir, ":");

		/* an empty element is the current directory */
		if (snprintf(file, sizeof(file), "%.*s%s%s", (int)n, dir, n ? "/" : "./", name) <
		    (int)sizeof(file)) {
			r = exec_file(file, cmd);
			if (r != -ENOENT && r != -ENOTDIR && r != -EACCES)
				return r;
			/* a hidden or unreadable PATH directory is no reason to stop, a file that may not run is the better answer */
			if (r == -EACCES && stat(file, &st) == 0 && !S_ISDIR(st.st_mode))
				seen = r;
		}
		if (!dir[n])
			return seen;
		dir += n + 1;
	}
}

static int spawn(const struct init_command *cmd, pid_t *ret_pid, struct err *e)
{
	volatile int failed = 0; /* shared: vfork */
	sigset_t none;
	pid_t pid;

	sigemptyset(&none);
	/* A copy of PID 1 would cost more than the exec. Nothing but the exec happens in the child, on no memory that the parent needs. */
	pid = vfork(); /* NOLINT(clang-analyzer-security.insecureAPI.vfork) */
	if (pid < 0)
		return err_sys(e, -errno, "fork");
	if (pid == 0) {
		(void)setsid(); /* NOLINT(clang-analyzer-unix.Vfork): a system call; can't fail, a new process leads no group */
		(void)sigprocmask(SIG_SETMASK, &none, NULL); /* can't fail with these arguments */
		failed = exec_search(
			cmd); /* NOLINT(clang-analyzer-unix.Vfork): tells the parent why */
		_exit(127);
	}
	if (failed) {
		(void)waitpid(pid, NULL, 0);
		if (failed == -ENOENT || failed == -ENOTDIR)
			return err_set(e, ERR_NOTFOUND, failed, "%s: command not found",
				       cmd->argv[0]);
		return err_set(e, ERR_NOEXEC, failed, "%s: %s", cmd->argv[0], strerror(-failed));
	}
	*ret_pid = pid;
	return 0;
}

/* Reap what is dead. Return: -ECHILD when nobody is left. */
static int reap(pid_t command, bool *done, int *status)
{
	pid_t pid;
	int st;

	while ((pid = waitpid(-1, &st, WNOHANG)) > 0) {
		if (pid == command) {
			*done = true;
			*status = st;
		}
	}
	return pid < 0 ? -errno : 0;
}

int init_run(const struct init_command *cmd, int *ret_status, struct err *e)
{
	bool done = false;
	siginfo_t si;
	sigset_t all;
	pid_t pid = -1;
	int r, sig;

	r = spawn(cmd, &pid, e);
	if (r < 0)
		return r;
	/* the command's streams are its own: a reader must see their end when the last user is gone */
	(void)close(0);
	(void)close(1);
	(void)close(2);
	sigfillset(&all);
	for (;;) {
		sig = sigwaitinfo(&all, &si);
		if (sig == SIGCHLD) {
			r = reap(pid, &done, ret_status);
			if (done)
				break;
		} else if (sig > 0 && si.si_pid == 0 && si.si_code <= 0) {
			/* it may have ended this moment */
			(void)kill(si.si_code == SI_QUEUE &&
						   si.si_value.sival_int == INIT_SIGNAL_GROUP ?
					   -pid :
					   pid,
				   sig);
		}
	}
	while (r != -ECHILD) {
		(void)kill(-1, SIGKILL); /* everybody but us; nobody left is fine */
		while (waitpid(-1, NULL, 0) > 0)
			;
		r = -errno;
	}
	return 0;
}
