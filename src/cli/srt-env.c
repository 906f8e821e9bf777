/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The command's environment under srt: the caller's, whole, but for credentials that settings name and for the caller's own proxies, which the
 * command can't reach and whose addresses may hold passwords (srt puts its own in their place).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "egress.h"
#include "srt.h"

#define SAFE_DIRECTORIES 8 /* more of them are "*" */

static const char *const proxies[] = {
	"HTTP_PROXY",
	"HTTPS_PROXY",
	"http_proxy",
	"https_proxy",
	"ALL_PROXY",
	"all_proxy",
	"GRPC_PROXY",
	"grpc_proxy",
	"FTP_PROXY",
	"ftp_proxy",
	"RSYNC_PROXY",
	"DOCKER_HTTP_PROXY",
	"DOCKER_HTTPS_PROXY",
	"CLOUDSDK_PROXY_TYPE",
	"CLOUDSDK_PROXY_ADDRESS",
	"CLOUDSDK_PROXY_PORT",
	"CLOUDSDK_PROXY_USERNAME",
	"CLOUDSDK_PROXY_PASSWORD",
	"SRT_ALLOW_NESTED_USERNS",
};

/* As srt, beside those of every run. */
static const char *const more_proxies[] = {
	"FTP_PROXY=socks5h://127.0.0.1:1080",
	"ftp_proxy=socks5h://127.0.0.1:1080",
	"GRPC_PROXY=http://127.0.0.1:3128",
	"grpc_proxy=http://127.0.0.1:3128",
	"RSYNC_PROXY=127.0.0.1:3128",
	"DOCKER_HTTP_PROXY=http://127.0.0.1:3128",
	"DOCKER_HTTPS_PROXY=http://127.0.0.1:3128",
};

static bool named(const char *entry, const char *name)
{
	size_t n = strlen(name);

	return strncmp(entry, name, n) == 0 && entry[n] == '=';
}

static bool withheld(const struct srt *s, const char *entry)
{
	const struct json_node *k = s->settings.credential_vars;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(proxies); i++) {
		if (named(entry, proxies[i]))
			return true;
	}
	for (k = k ? k->first : NULL; k; k = k->next) {
		if (named(entry, srt_node(k, "name")->text))
			return true;
	}
	return false;
}

/* Set or replace. */
static void put(char **env, size_t *n, char *entry, bool *failed)
{
	size_t len, i;

	if (!entry) {
		*failed = true;
		return;
	}
	len = strcspn(entry, "=") + 1;
	for (i = 0; i < *n && strncmp(env[i], entry, len) != 0; i++)
		;
	env[i] = entry;
	*n += i == *n;
}

static const char *value_of(char *const *env, size_t n, const char *name)
{
	size_t i;

	for (i = 0; i < n; i++) {
		if (named(env[i], name))
			return env[i] + strlen(name) + 1;
	}
	return NULL;
}

static void put_git(const struct srt *s, char **env, size_t *n, unsigned long *count,
		    const char *value, bool *failed)
{
	put(env, n, arena_printf(s->arena, "GIT_CONFIG_KEY_%lu=safe.directory", *count), failed);
	put(env, n, arena_printf(s->arena, "GIT_CONFIG_VALUE_%lu=%s", (*count)++, value), failed);
}

/* Without the slashes at its end, "/" stays. */
static const char *trimmed(const struct srt *s, const char *dir)
{
	char *copy = arena_strdup(s->arena, dir), *p;
	size_t n = copy ? strlen(copy) : 0;

	for (p = copy; p && *p; p++)
		*p = (char)(*p == '\\' ? '/' : *p);
	while (n > 1 && copy[n - 1] == '/')
		copy[--n] = '\0';
	return copy;
}

/* git.safeDirectories, behind what the caller has in GIT_CONFIG_COUNT; 0 there means: none at all. */
static void git_directories(const struct srt *s, char **env, size_t *n, bool *failed)
{
	const char *now = value_of(env, *n, "GIT_CONFIG_COUNT"), *dirs[SAFE_DIRECTORIES];
	const struct json_node *k = s->settings.safe_directories;
	unsigned long count = now ? strtoul(now, NULL, 10) : 0, start = count;
	size_t n_dirs = 0, i;
	bool all = false;

	if (!k || (now && strcmp(now, "0") == 0))
		return;
	for (k = k->first; k && !all; k = k->next) {
		const char *dir = trimmed(s, k->text);

		*failed = *failed || !dir;
		for (i = 0; dir && i < n_dirs && strcmp(dirs[i], dir) != 0; i++)
			;
		if (!dir || !*dir || i < n_dirs)
			continue;
		all = n_dirs == SAFE_DIRECTORIES;
		if (!all)
			dirs[n_dirs++] = dir;
	}
	if (all)
		put_git(s, env, n, &count, "*", failed);
	for (i = 0; !all && i < n_dirs; i++) {
		char *below = arena_printf(s->arena, "%s/*", dirs[i][1] ? dirs[i] : "");

		*failed = *failed || !below;
		put_git(s, env, n, &count, dirs[i], failed);
		if (below)
			put_git(s, env, n, &count, below, failed);
	}
	if (count != start)
		put(env, n, arena_printf(s->arena, "GIT_CONFIG_COUNT=%lu", count), failed);
}

static const char *temporary(void)
{
	static const char *const variables[] = { "CLAUDE_CODE_TMPDIR", "CLAUDE_TMPDIR" };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(variables); i++) {
		const char *v = getenv(variables[i]);

		if (v && *v)
			return v;
	}
	return "/tmp/claude";
}

char **srt_env(const struct srt *s)
{
	size_t count = 0, n = 0, i;
	bool failed = false;
	char **env;

	for (; environ[count]; count++)
		;
	if (count > LIMIT_ENV)
		return NULL;
	env = arena_alloc(s->arena, (count + s->masks.n_vars + 32 + 4ul * (SAFE_DIRECTORIES + 1)) *
					    sizeof(*env));
	for (i = 0; env && i < count; i++) {
		if (strchr(environ[i], '=') && !withheld(s, environ[i]))
			env[n++] = environ[i];
	}
	if (!env)
		return NULL;
	for (i = 0; i < s->masks.n_vars; i++)
		put(env, &n, arena_strdup(s->arena, s->masks.vars[i]), &failed);
	git_directories(s, env, &n, &failed);
	put(env, &n, arena_strdup(s->arena, "SANDBOX_RUNTIME=1"), &failed);
	if (!s->settings.fs_disabled)
		put(env, &n, arena_printf(s->arena, "TMPDIR=%s", temporary()), &failed);
	for (i = 0; srt_has_network(s) && egress_env[i]; i++)
		put(env, &n, arena_strdup(s->arena, egress_env[i]), &failed);
	for (i = 0; srt_has_network(s) && i < ARRAY_SIZE(more_proxies); i++)
		put(env, &n, arena_strdup(s->arena, more_proxies[i]), &failed);
	env[n] = NULL;
	return failed ? NULL : env;
}
