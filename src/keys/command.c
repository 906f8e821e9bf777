/* SPDX-License-Identifier: Apache-2.0 */
/* Commands that give a secret, run on the host as their owner. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "erase.h"
#include "store.h"

#define SECONDS 60 /* that a command may take */
#define MILLISECONDS ((int64_t)SECONDS * 1000)
#define OUTPUT (2 * SECRET_VALUE_MAX + 4096)

/* A group of its own, so that all of it can be ended; stdin is empty, stderr is ours. */
static int start(const char *command, int out, pid_t *ret, struct err *e)
{
	char *argv[] = { (char *)(uintptr_t) "sh", (char *)(uintptr_t) "-c",
			 (char *)(uintptr_t)command, NULL };
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attr;
	sigset_t none;
	int r;

	(void)sigemptyset(&none);
	r = posix_spawn_file_actions_init(&files);
	if (r != 0)
		return err_sys(e, -r, "command");
	r = posix_spawnattr_init(&attr);
	if (r == 0) {
		r = posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
		if (r == 0)
			r = posix_spawn_file_actions_adddup2(&files, out, 1);
		if (r == 0)
			r = posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETPGROUP |
								    POSIX_SPAWN_SETSIGMASK);
		if (r == 0)
			r = posix_spawnattr_setpgroup(&attr, 0);
		if (r == 0)
			r = posix_spawnattr_setsigmask(&attr, &none);
		if (r == 0)
			r = posix_spawn(ret, "/bin/sh", &files, &attr, argv, environ);
		(void)posix_spawnattr_destroy(&attr);
	}
	(void)posix_spawn_file_actions_destroy(&files);
	return r == 0 ? 0 : err_sys(e, -r, "/bin/sh");
}

/* Everything that it says, until it has closed its end or time is up. */
static int collect(int fd, struct buf *b, struct err *e)
{
	int64_t end = clock_ms() + MILLISECONDS, left;
	char part[4096];
	ssize_t n = 1;
	int r = 0;

	while (r == 0 && n > 0) {
		struct pollfd p = { .fd = fd, .events = POLLIN };

		left = end - clock_ms();
		if (left <= 0 || poll(&p, 1, (int)left) == 0) {
			r = err_set(e, ERR_POLICY, -ETIMEDOUT,
				    "the command has not ended after %d s", SECONDS);
			break;
		}
		n = read(fd, part, sizeof(part));
		if (n < 0 && errno == EINTR)
			n = 1;
		else if (n < 0)
			r = err_sys(e, -errno, "the command's output");
		else
			buf_add(b, part, (size_t)n);
		if (b->failed)
			r = err_set(e, ERR_POLICY, -EFBIG,
				    "the command's output is longer than %u bytes", OUTPUT - 1);
	}
	explicit_bzero(part, sizeof(part));
	return r;
}

/* Who has closed its output and goes on is ended. */
static void reap(pid_t pid, int *status)
{
	int64_t end = clock_ms() + MILLISECONDS;
	pid_t r;

	while ((r = waitpid(pid, status, WNOHANG)) == 0 && clock_ms() < end)
		(void)poll(NULL, 0, 10);
	if (r == 0) {
		(void)kill(-pid, SIGKILL);
		while (waitpid(pid, status, 0) < 0 && errno == EINTR)
			;
	}
}

static int run(const char *command, struct buf *b, struct err *e)
{
	_cleanup_close_ int in = -1, out = -1;
	int fds[2], status = 0, r;
	pid_t pid = -1;

	if (pipe2(fds, O_CLOEXEC) < 0)
		return err_sys(e, -errno, "pipe");
	in = fds[0];
	out = fds[1];
	r = start(command, out, &pid, e);
	if (r < 0)
		return r;
	(void)close(TAKE_FD(out));
	r = collect(in, b, e);
	if (r < 0)
		(void)kill(-pid, SIGKILL); /* it may have ended meanwhile */
	reap(pid, &status);
	if (r == 0 && status != 0)
		r = err_set(e, ERR_POLICY, -ECHILD, "the command has failed (%s %d)",
			    WIFSIGNALED(status) ? "signal" : "exit status",
			    WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
	return r;
}

int store_command(struct secret *secret, struct arena *a, struct err *e)
{
	struct buf b = BUF_INIT(0);
	int r;

	if (!secret->command)
		return err_set(e, ERR_USAGE, -EINVAL, "secret '%s' has no command", secret->name);
	if (!erase_buf_init(&b, OUTPUT))
		return err_set(e, ERR_SYSTEM, -ENOMEM, "out of memory");
	r = run(secret->command, &b, e);
	if (r == 0)
		r = secret_set_value(secret, b.data, b.len, true, (int64_t)time(NULL), a, e);
	if (r == 0)
		secret->changed = (int64_t)time(NULL);
	erase_buf_done(&b);
	return r < 0 ? err_wrap(e, r, "secret '%s'", secret->name) : 0;
}
