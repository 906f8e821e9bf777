/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A command that must see no terminal gets pipes in the place of the caller's. And without Landlock, a regular file on 0-2 could be opened again inside, through /proc/self/fd and the launcher's own mounts, with more rights
 * than it was given with. So the sandbox gets pipes, and processes outside copy.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli.h"

static void __attribute__((noreturn)) copy(int from, int to)
{
	char buf[65536];
	ssize_t n;

	for (;;) {
		n = read(from, buf, sizeof(buf));
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0 || fd_write_all(to, buf, (size_t)n) < 0)
			_exit(n == 0 ? 0 : 1);
	}
}

/* One stream: fd 0 is read by the sandbox, 1 and 2 are written by it. */
static int start_one(struct relay *relay, int fd, struct err *e)
{
	int p[2], inside = fd == 0 ? 0 : 1, r = 0;
	pid_t launcher = getpid(), pid;

	if (pipe2(p, O_CLOEXEC) < 0)
		return err_sys(e, -errno, "pipe");
	pid = fork();
	if (pid < 0)
		return err_sys(e, -errno, "fork");
	if (pid == 0) {
		(void)signal(SIGPIPE, SIG_DFL);
		(void)close(p[inside]);
		/* a reader of the sandbox's input ends with the launcher; a writer of its output must first drain the pipe */
		if (fd == 0 && (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != launcher))
			_exit(1);
		copy(fd == 0 ? 0 : p[0], fd == 0 ? p[1] : fd);
	}
	relay->pid[fd] = pid;
	relay->file[fd] = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	if (relay->file[fd] < 0 || dup2(p[inside], fd) < 0)
		r = err_sys(e, -errno, "fd %d", fd);
	/* also on failure: the copier waits for the end of the pipe */
	(void)close(p[0]);
	(void)close(p[1]);
	return r;
}

int relay_start(struct relay *relay, unsigned int what, struct err *e)
{
	struct stat st;
	int fd, r;

	for (fd = 0; fd <= (what & RELAY_INPUT ? 0 : 2); fd++) {
		if (fstat(fd, &st) < 0)
			continue;
		if (!((what & RELAY_FILES) && S_ISREG(st.st_mode)) &&
		    !((what & RELAY_TERMINALS) && fd_is_terminal(fd)))
			continue;
		r = start_one(relay, fd, e);
		if (r < 0)
			return r;
	}
	return 0;
}

void relay_finish(struct relay *relay, bool abandon)
{
	int fd;

	/* with the files back in their places our own ends of the pipes are closed: what the copiers still wait for */
	for (fd = 0; fd <= 2; fd++) {
		if (relay->pid[fd] > 0 && relay->file[fd] >= 0) {
			(void)dup2(relay->file[fd], fd); /* can't fail on open descriptors */
			(void)close(relay->file[fd]);
		}
	}
	for (fd = 0; fd <= 2; fd++) {
		/* nobody reads the sandbox's input any more; it is our child, not reaped yet */
		if (relay->pid[fd] > 0 && (fd == 0 || abandon))
			(void)kill(relay->pid[fd], SIGKILL);
		if (relay->pid[fd] > 0)
			while (waitpid(relay->pid[fd], NULL, 0) < 0 && errno == EINTR)
				;
		relay->pid[fd] = 0;
	}
}
