/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. What is executed here is executed outside of every sandbox, so nothing that a sandbox could write decides it: neither the program, nor a
 * directory of the PATH in which the program (xdg-open is a script) looks for others. The URL is one word of an argument vector; no shell sees it here.
 */
#include "browser.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define SAFE_PATH "/usr/local/bin:/usr/bin:/bin"

struct browser {
	char program[LIMIT_PATH];  /* resolved */
	char name[LIMIT_PATH];     /* as it was found: some programs look at it */
	char path[2 * LIMIT_PATH]; /* "PATH=…" */
};

/* Whether neither @real (resolved) nor a directory above it is something that the sandbox may write. */
static bool is_safe(const struct sandbox *s, const char *real)
{
	char path[LIMIT_PATH];
	char *slash;

	(void)snprintf(path, sizeof(path), "%s", real);
	while (path[0]) {
		if (policy_eval(&s->policy, path).state == POLICY_SHOW_RW)
			return false;
		slash = strrchr(path, '/');
		if (!slash)
			return false;
		*slash = '\0';
	}
	return policy_eval(&s->policy, "/").state != POLICY_SHOW_RW;
}

/* The safe directories of the caller's PATH. */
static void clean_path(struct browser *b, const struct sandbox *s)
{
	const char *p = getenv("PATH"), *end;
	char dir[LIMIT_PATH], real[LIMIT_PATH];
	size_t n;

	n = (size_t)snprintf(b->path, sizeof(b->path), "PATH=");
	for (p = p ? p : SAFE_PATH; *p; p = *end ? end + 1 : end) {
		end = strchrnul(p, ':');
		/* an entry that is relative is the workspace's, sooner or later */
		if (*p != '/' || end - p >= LIMIT_PATH)
			continue;
		(void)snprintf(dir, sizeof(dir), "%.*s", (int)(end - p), p);
		if (path_normalize(dir, NULL, NULL, real, NULL) < 0 ||
		    jail_host_resolve(real, true, dir) < 0 || !is_safe(s, dir) || strchr(dir, ':'))
			continue;
		if (n + strlen(dir) + 2 > sizeof(b->path))
			break;
		n += (size_t)snprintf(b->path + n, sizeof(b->path) - n, "%s%s",
				      b->path[n - 1] == '=' ? "" : ":", dir);
	}
}

/* Return: whether @path is a program that may be used; then it is the one. */
static bool take(struct browser *b, const struct sandbox *s, const char *path)
{
	char norm[LIMIT_PATH];
	struct stat st;

	if (path_normalize(path, NULL, NULL, norm, NULL) < 0 ||
	    jail_host_resolve(norm, true, b->program) < 0 || stat(b->program, &st) < 0 ||
	    !S_ISREG(st.st_mode) || access(b->program, X_OK) < 0 || !is_safe(s, b->program))
		return false;
	(void)snprintf(b->name, sizeof(b->name), "%s", norm);
	return true;
}

static bool find(struct browser *b, const struct sandbox *s, const char *name)
{
	const char *p = b->path + strlen("PATH="), *end;
	char path[LIMIT_PATH];

	if (strchr(name, '/'))
		return *name == '/' && take(b, s, name);
	for (; *p; p = *end ? end + 1 : end) {
		end = strchrnul(p, ':');
		if (snprintf(path, sizeof(path), "%.*s/%s", (int)(end - p), p, name) <
			    (int)sizeof(path) &&
		    take(b, s, path))
			return true;
	}
	return false;
}

struct browser *browser_find(const struct sandbox *s)
{
	struct browser *b = calloc(1, sizeof(*b));
	const char *own = getenv("BROWSER");

	if (!b)
		return NULL;
	clean_path(b, s);
	/* a list of commands with places for the URL is for a shell, and is not followed */
	if (own && *own && !strpbrk(own, ":% \t\n") && find(b, s, own))
		return b;
	if (find(b, s, "xdg-open"))
		return b;
	free(b);
	return NULL;
}

const char *browser_name(const struct browser *b)
{
	return b->program;
}

static bool is_var(const char *entry, const char *name)
{
	const size_t n = strlen(name);

	return strncmp(entry, name, n) == 0 && entry[n] == '=';
}

/* The caller's variables; PATH and BROWSER are ours. */
static char **environment(struct browser *b)
{
	size_t count = 0, n = 0, i;
	char **env;

	for (; environ[count]; count++)
		;
	env = calloc(count + 2, sizeof(*env));
	for (i = 0; env && i < count; i++) {
		if (!is_var(environ[i], "PATH") && !is_var(environ[i], "BROWSER"))
			env[n++] = environ[i];
	}
	if (env)
		env[n] = b->path;
	return env;
}

static void __attribute__((noreturn)) execute(struct browser *b, const char *url, int report)
{
	char *const argv[] = { b->name, (char *)(uintptr_t)url, NULL };
	char **env = environment(b);
	int why = ENOMEM;
	sigset_t none;

	sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL); /* can't fail with these arguments */
	if (env && confine_streams() == 0 && chdir("/") == 0 && fd_close_others(&report, 1) == 0) {
		(void)execve(b->program, argv, env);
		why = errno;
	}
	(void)fd_write_all(report, &why, sizeof(why)); /* without it the end of the pipe says yes */
	_exit(127);
}

int browser_open(const struct browser *b, const char *url, struct err *e)
{
	struct browser own = *b;
	int pipes[2], why = 0, status = 0;
	ssize_t n;
	pid_t pid;

	if (pipe2(pipes, O_CLOEXEC) < 0)
		return err_sys(e, -errno, "pipe");
	pid = fork();
	if (pid == 0) {
		/* in a session of its own, and nobody's child: it may outlive the run */
		(void)setsid();
		pid = fork();
		if (pid == 0)
			execute(&own, url, pipes[1]);
		_exit(pid < 0 ? 1 : 0);
	}
	(void)close(pipes[1]);
	while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	n = pid > 0 && status == 0 ? read(pipes[0], &why, sizeof(why)) : -1;
	(void)close(pipes[0]);
	if (n == 0)
		return 0;
	return err_sys(e, n == (ssize_t)sizeof(why) && why > 0 ? -why : -EAGAIN, "%s", b->name);
}

void browser_free(struct browser *b)
{
	free(b);
}
