/* SPDX-License-Identifier: Apache-2.0 */
#include "spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "user.h"

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

/*
 * With a terminal the command is in our session, not in one of its own: a process group that has no parent in its session is orphaned, and
 * the kernel takes Ctrl-Z from those.
 */
static void join_session(const struct init_command *cmd, int tty)
{
	/* none can fail in a new process; SIGTTOU is blocked, so that the background may speak for itself */
	if (tty < 0) {
		(void)setsid();
		return;
	}
	(void)setpgid(0, 0);
	if (cmd->tty.foreground)
		(void)tcsetpgrp(tty, getpid());
}

/*
 * A command of a sandbox that stays: a session of its own, with a terminal of its own. Return: 0 or negative errno. The terminal's other
 * streams are closed by that; PID 1 keeps none of them.
 */
static int take_streams(const struct init_command *cmd, int tty)
{
	int fd;

	(void)setsid(); /* can't fail in a new process */
	if (tty >= 0 && ioctl(tty, TIOCSCTTY, 0) < 0)
		return -errno;
	for (fd = 0; fd <= 2; fd++) {
		if (dup2(cmd->streams[fd], fd) < 0)
			return -errno;
	}
	return 0;
}

/*
 * By system calls: the libc's would change every thread of what it takes for this process. The capabilities go with the last one, but for root's, whose
 * exec gives what the bounding set has. This memory is PID 1's, or a copy of it, and must stay closed whatever fs.suid_dumpable says.
 */
int spawn_take_ids(const struct init_ids *ids)
{
	int r = (int)sys_call(SYS_setgroups, ids->n_groups, ids->groups, 0, 0, 0);

	if (r == 0)
		r = (int)sys_call(SYS_setresgid, ids->gid, ids->gid, ids->gid, 0, 0);
	if (r == 0)
		r = (int)sys_call(SYS_setresuid, ids->uid, ids->uid, ids->uid, 0, 0);
	(void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0); /* can't fail with these arguments */
	return r;
}

/* In the child, maybe on the parent's memory: system calls alone. Returns only on failure, with a negative errno; @ret_nowhere: it was the directory. */
static int become(const struct init_command *cmd, int tty, volatile bool *ret_nowhere)
{
	sigset_t none;
	int r = 0;

	sigemptyset(&none);
	if (cmd->streams)
		r = take_streams(cmd, tty);
	else
		join_session(cmd, tty);
	if (r == 0 && cmd->ids)
		r = spawn_take_ids(cmd->ids);
	if (r == 0 && cmd->cwd && chdir(cmd->cwd) < 0) {
		*ret_nowhere = true;
		r = -errno;
	}
	(void)sigprocmask(SIG_SETMASK, &none, NULL); /* can't fail with these arguments */
	return r < 0 ? r : exec_search(cmd);
}

/* Why it does not run. */
static int explain(const struct init_command *cmd, int failed, bool nowhere, struct err *e)
{
	if (nowhere)
		return err_set(e, ERR_NOEXEC, failed, "the directory %s: %s", cmd->cwd,
			       strerror(-failed));
	if (failed == -ENOENT || failed == -ENOTDIR)
		return err_set(e, ERR_NOTFOUND, failed, "%s: command not found", cmd->argv[0]);
	return err_set(e, ERR_NOEXEC, failed, "%s: %s", cmd->argv[0], strerror(-failed));
}

int spawn_begin(const struct init_command *cmd, int tty, pid_t *ret_pid, int *ret_said,
		struct err *e)
{
	volatile bool nowhere = false;
	int said[2], failed;
	pid_t pid;

	if (pipe2(said, O_CLOEXEC) < 0)
		return err_sys(e, -errno, "pipe");
	/* no vfork(2): it would hold us as long as somebody holds the child */
	pid = fork();
	if (pid == 0) {
		failed = become(cmd, tty, &nowhere);
		(void)explain(cmd, failed, nowhere, e);
		(void)fd_write_all(said[1], e, sizeof(*e)); /* there is room; or nobody who reads */
		_exit(127);
	}
	(void)close(said[1]);
	if (pid < 0) {
		(void)close(said[0]);
		return err_sys(e, -errno, "fork");
	}
	*ret_pid = pid;
	*ret_said = said[0];
	return 0;
}

int spawn_end(int said, struct err *e)
{
	_cleanup_close_ int fd = said;
	struct err why;
	ssize_t n;

	do {
		n = read(fd, &why, sizeof(why));
	} while (n < 0 && errno == EINTR);
	if (n == 0)
		return 0; /* the exec has closed it, or its end has */
	if (n != (ssize_t)sizeof(why))
		return err_sys(e, n < 0 ? -errno : -EBADMSG, "the command's start");
	*e = why;
	return e->sys ? -e->sys : -EIO;
}

int spawn(const struct init_command *cmd, int tty, pid_t *ret_pid, struct err *e)
{
	volatile int failed = 0; /* shared: vfork */
	volatile bool nowhere = false;
	pid_t pid;

	/*
	 * A copy of PID 1 would cost more than the exec. Nobody inside can hold the child, and us with it: it is the first process there. Who holds it
	 * from outside holds a caller that waits for it anyway. Nothing but the exec happens in it, on no memory that we need.
	 */
	pid = vfork(); /* NOLINT(clang-analyzer-security.insecureAPI.vfork) */
	if (pid < 0)
		return err_sys(e, -errno, "fork");
	if (pid == 0) {
		/* NOLINTNEXTLINE(clang-analyzer-unix.Vfork): it tells the parent why */
		failed = become(cmd, tty, &nowhere);
		_exit(127);
	}
	if (failed) {
		(void)waitpid(pid, NULL, 0);
		return explain(cmd, failed, nowhere, e);
	}
	*ret_pid = pid;
	return 0;
}
