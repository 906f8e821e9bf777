/* SPDX-License-Identifier: Apache-2.0 */
/* Commands that give a secret, run on the host as their owner. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "erase.h"
#include "store.h"

#define SECONDS 60 /* that a command may take */
#define MILLISECONDS ((int64_t)SECONDS * 1000)
#define PATH_TEXT (128u << 10) /* what the kernel takes of one variable */
#define OUTPUT (2 * SECRET_VALUE_MAX + 4096)

/*
 * The caller's variables, but of PATH the entries that are absolute. Sandboxes write into directories in which people start them: neither from there, nor from what stands
 * there relative to it, a program may be taken on the host. @path: what PATH becomes. Return: owned; NULL without memory.
 */
static char **environment(struct buf *path)
{
	const char *p = getenv("PATH"), *end;
	size_t count = 0, n = 0, i;
	char **env;

	buf_puts(path, "PATH=");
	for (; p && *p; p = *end ? end + 1 : end) {
		end = strchrnul(p, ':');
		if (*p == '/')
			buf_printf(path, "%s%.*s", path->len > strlen("PATH=") ? ":" : "",
				   (int)(end - p), p);
	}
	while (environ[count])
		count++;
	env = path->failed ? NULL : calloc(count + 2, sizeof(*env));
	for (i = 0; env && i < count; i++) {
		if (strncmp(environ[i], "PATH=", strlen("PATH=")) != 0)
			env[n++] = environ[i];
	}
	if (env && path->len > strlen("PATH="))
		env[n] = path->data;
	return env;
}

/* A group of its own, so that all of it can be ended; stdin is empty, stderr is ours, and it stands in "/". */
static int start(const char *command, int out, pid_t *ret, struct err *e)
{
	char *argv[] = { (char *)(uintptr_t) "sh", (char *)(uintptr_t) "-c",
			 (char *)(uintptr_t)command, NULL };
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attr;
	struct buf path = BUF_INIT(PATH_TEXT);
	char **env = environment(&path);
	sigset_t none;
	int r;

	(void)sigemptyset(&none);
	r = env ? posix_spawn_file_actions_init(&files) : ENOMEM;
	if (r != 0) {
		free(env);
		buf_done(&path);
		return err_sys(e, -r, "command");
	}
	r = posix_spawnattr_init(&attr);
	if (r == 0) {
		r = posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
		if (r == 0)
			r = posix_spawn_file_actions_adddup2(&files, out, 1);
		if (r == 0)
			r = posix_spawn_file_actions_addchdir_np(&files, "/");
		if (r == 0)
			r = posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETPGROUP |
								    POSIX_SPAWN_SETSIGMASK);
		if (r == 0)
			r = posix_spawnattr_setpgroup(&attr, 0);
		if (r == 0)
			r = posix_spawnattr_setsigmask(&attr, &none);
		if (r == 0)
			r = posix_spawn(ret, "/bin/sh", &files, &attr, argv, env);
		(void)posix_spawnattr_destroy(&attr);
	}
	(void)posix_spawn_file_actions_destroy(&files);
	free(env);
	buf_done(&path);
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
