/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. What is executed here is executed outside of every sandbox, so nothing that a sandbox could write decides it: neither the program, nor a
 * directory of the PATH in which the program (xdg-open is a script) looks for others, nor another place that a variable names: many of these say where code is loaded
 * from (LD_LIBRARY_PATH, PYTHONPATH, PERL5LIB …), and a caller's may well lie in the workspace. So it gets the variables that are listed here, and no others. The URL is one word of an argument vector; no shell sees it here.
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
	char program[LIMIT_PATH]; /* resolved */
	char name[LIMIT_PATH];    /* as it was found: some programs look at it */
	char *path;               /* "PATH=…": of env */
	char **env;               /* owned, as its strings */
	size_t n_env;
};

enum kind {
	KIND_TEXT,  /* no path: nothing with a slash */
	KIND_PATH,  /* one, absolute */
	KIND_PATHS, /* several, with colons between them */
	KIND_BUS,   /* an address of D-Bus: of a socket */
	KIND_AS_IS, /* a home, what lies in which is SECURITY.md's; a proxy, which is no file */
};

/* Who the caller is, in which language, where the screen is, which programs open what, and the way out. */
static const struct {
	const char *name; /* with a "*" at its end: every one that begins so */
	enum kind kind;
} passed[] = {
	{ "HOME", KIND_AS_IS },
	{ "USER", KIND_TEXT },
	{ "LOGNAME", KIND_TEXT },
	{ "LANG", KIND_TEXT },
	{ "LANGUAGE", KIND_TEXT },
	{ "LC_*", KIND_TEXT },
	{ "TERM", KIND_TEXT },
	{ "DISPLAY", KIND_TEXT },
	{ "WAYLAND_DISPLAY", KIND_TEXT },
	{ "XAUTHORITY", KIND_PATH },
	{ "DESKTOP_SESSION", KIND_TEXT },
	{ "DBUS_SESSION_BUS_ADDRESS", KIND_BUS },
	{ "XDG_RUNTIME_DIR", KIND_PATH },
	{ "XDG_SESSION_*", KIND_TEXT },
	{ "XDG_CURRENT_DESKTOP", KIND_TEXT },
	{ "XDG_CONFIG_HOME", KIND_PATH },
	{ "XDG_DATA_HOME", KIND_PATH },
	{ "XDG_CONFIG_DIRS", KIND_PATHS },
	{ "XDG_DATA_DIRS", KIND_PATHS },
	{ "http_proxy", KIND_AS_IS },
	{ "HTTP_PROXY", KIND_AS_IS },
	{ "https_proxy", KIND_AS_IS },
	{ "HTTPS_PROXY", KIND_AS_IS },
	{ "all_proxy", KIND_AS_IS },
	{ "ALL_PROXY", KIND_AS_IS },
	{ "no_proxy", KIND_AS_IS },
	{ "NO_PROXY", KIND_AS_IS },
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

/* The path in which nothing is a link, when it is there and safe; @real: LIMIT_PATH bytes. An entry that is relative is the workspace's, sooner or later. */
static bool resolve(const struct sandbox *s, const char *p, size_t n, char *real)
{
	char dir[LIMIT_PATH], norm[LIMIT_PATH];

	if (*p != '/' || n >= LIMIT_PATH)
		return false;
	(void)snprintf(dir, sizeof(dir), "%.*s", (int)n, p);
	return path_normalize(dir, NULL, NULL, norm, NULL) == 0 &&
	       jail_host_resolve(norm, true, real) == 0 && is_safe(s, real) && !strchr(real, ':');
}

/* The safe ones of a list. */
static void add_paths(struct buf *b, const struct sandbox *s, const char *p)
{
	const size_t start = b->len;
	char real[LIMIT_PATH];
	const char *end;

	for (; *p; p = *end ? end + 1 : end) {
		end = strchrnul(p, ':');
		if (resolve(s, p, (size_t)(end - p), real))
			buf_printf(b, "%s%s", b->len > start ? ":" : "", real);
	}
}

/* Of the kinds of addresses the one that names a socket, alone: others name programs to start. */
static void add_bus(struct buf *b, const struct sandbox *s, const char *value)
{
	static const char lead[] = "unix:path=";
	const size_t n = strcspn(value, ",");
	char real[LIMIT_PATH];

	if (strncmp(value, lead, strlen(lead)) == 0 && !strpbrk(value, ";%") &&
	    resolve(s, value + strlen(lead), n - strlen(lead), real))
		buf_printf(b, "%s%s", lead, real);
}

static void add_value(struct buf *b, const struct sandbox *s, enum kind kind, const char *value)
{
	char real[LIMIT_PATH];

	switch (kind) {
	case KIND_PATHS:
		add_paths(b, s, value);
		break;
	case KIND_BUS:
		add_bus(b, s, value);
		break;
	case KIND_PATH:
		if (resolve(s, value, strlen(value), real))
			buf_puts(b, real);
		break;
	case KIND_TEXT:
		if (!strchr(value, '/'))
			buf_puts(b, value);
		break;
	case KIND_AS_IS:
		buf_puts(b, value);
		break;
	}
}

/* "NAME=…", unless nothing of the value may be passed. Return: it, the browser's, or NULL. */
static char *add_var(struct browser *b, const struct sandbox *s, enum kind kind, const char *name,
		     size_t n, const char *value)
{
	struct buf text = BUF_INIT((size_t)4 * LIMIT_PATH);
	size_t before;
	char *kept = NULL;

	buf_add(&text, name, n);
	buf_puts(&text, "=");
	before = text.len;
	add_value(&text, s, kind, value);
	if (!text.failed && text.len > before)
		kept = strdup(text.data);
	buf_done(&text);
	if (kept)
		b->env[b->n_env++] = kept;
	return kept;
}

static bool is_named(const char *name, size_t n, const char *want)
{
	const size_t k = strlen(want);

	if (want[k - 1] == '*')
		return n >= k && strncmp(name, want, k - 1) == 0;
	return n == k && strncmp(name, want, n) == 0;
}

/* Return: whether there was memory, and a PATH. */
static bool clean_environment(struct browser *b, const struct sandbox *s)
{
	const char *path = getenv("PATH");
	size_t count = 0, i, k, n;

	for (; environ[count]; count++)
		;
	b->env = calloc(count + 2, sizeof(*b->env));
	if (!b->env)
		return false;
	b->path = add_var(b, s, KIND_PATHS, "PATH", strlen("PATH"), path ? path : SAFE_PATH);
	for (i = 0; i < count; i++) {
		n = strcspn(environ[i], "=");
		for (k = 0; environ[i][n] && k < ARRAY_SIZE(passed); k++) {
			if (is_named(environ[i], n, passed[k].name))
				(void)add_var(b, s, passed[k].kind, environ[i], n,
					      environ[i] + n + 1); /* else it is left out */
		}
	}
	return true;
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
	const char *p = b->path ? b->path + strlen("PATH=") : "", *end;
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
	if (!clean_environment(b, s)) {
		browser_free(b);
		return NULL;
	}
	/* a list of commands with places for the URL is for a shell, and is not followed */
	if (own && *own && !strpbrk(own, ":% \t\n") && find(b, s, own))
		return b;
	if (find(b, s, "xdg-open"))
		return b;
	browser_free(b);
	return NULL;
}

const char *browser_name(const struct browser *b)
{
	return b->program;
}

static void __attribute__((noreturn)) execute(struct browser *b, const char *url, int report)
{
	char *const argv[] = { b->name, (char *)(uintptr_t)url, NULL };
	int why = ENOMEM;
	sigset_t none;

	sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL); /* can't fail with these arguments */
	if (confine_streams() == 0 && chdir("/") == 0 && fd_close_others(&report, 1) == 0) {
		(void)execve(b->program, argv, b->env);
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
	while (b && b->n_env > 0)
		free(b->env[--b->n_env]);
	if (b)
		free(b->env);
	free(b);
}
