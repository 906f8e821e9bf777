/* SPDX-License-Identifier: Apache-2.0 */
/* The command's environment: the caller's, minus secrets, minus pointers to what is private inside, plus what was asked for. */
#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "egress.h"
#include "keys.h"
#include "open-urls.h"
#include "sandbox.h"
#include "settings.h"
#include "ssh.h"
#include "start-env.h"
#include "stay.h"

static bool is_var(const char *entry, const char *name)
{
	size_t n = strlen(name);

	return strncmp(entry, name, n) == 0 && entry[n] == '=';
}

/* Set or replace; @entry is "NAME=VALUE" and outlives the sandbox. */
static void put(struct sandbox *s, size_t *n, const char *entry)
{
	size_t len = strcspn(entry, "="), i;

	for (i = 0; i < *n; i++) {
		if (strncmp(s->env[i], entry, len + 1) == 0)
			break;
	}
	s->env[i] = (char *)(uintptr_t)entry;
	if (i == *n)
		(*n)++;
}

static bool is_option(const struct opt_value *v, const char *name)
{
	return strcmp(v->opt->name, name) == 0;
}

/* Whether a variable that may look like a secret was named: by --pass-env, or alone in a line of --env-file. */
static bool passed(const struct opt_list *l, const char *name)
{
	size_t i;

	for (i = 0; i < l->n; i++) {
		if (!is_option(&l->v[i], "env") && strcmp(l->v[i].value, name) == 0)
			return true;
	}
	return false;
}

/* Those of a sandbox that stays: what was kept when it was made, and what is passed by name. Who happens to start it has no say. */
static int copy_kept(struct sandbox *s, const struct opt_list *vars, size_t *n, struct err *e)
{
	const struct opt_list *kept = s->stay->host_env;
	size_t i;

	for (i = 0; kept && i < kept->n; i++) {
		if (!strchr(kept->v[i].value, '=') || kept->v[i].value[0] == '=')
			return err_set(e, ERR_USAGE, -EINVAL, "--host-env: expected NAME=VALUE");
		if (!start_env_only(kept->v[i].value))
			put(s, n, kept->v[i].value);
	}
	for (i = 0; environ[i]; i++) {
		char name[4096];
		const size_t len = strcspn(environ[i], "=");

		if (!len || len >= sizeof(name) || !environ[i][len])
			continue;
		memcpy(name, environ[i], len);
		name[len] = '\0';
		if (passed(vars, name))
			put(s, n, environ[i]);
	}
	return 0;
}

/* Copy the caller's variables; note what stays outside. */
static int copy(struct sandbox *s, const struct opt_list *vars, size_t *n, struct err *e)
{
	size_t i;

	for (i = 0; environ[i]; i++) {
		const char *eq = strchr(environ[i], '='), *why;
		char name[4096];
		size_t len;

		if (!eq || eq == environ[i])
			continue;
		len = (size_t)(eq - environ[i]);
		if (len >= sizeof(name))
			continue;
		memcpy(name, environ[i], len);
		name[len] = '\0';
		why = passed(vars, name) ? NULL : policy_env_secret(name, eq + 1);
		if (why) {
			s->removed[s->n_removed].name = arena_strdup(&s->arena, name);
			s->removed[s->n_removed].why = why;
			if (!s->removed[s->n_removed++].name)
				return err_set(e, ERR_SYSTEM, -ENOMEM, "out of memory");
			continue;
		}
		s->env[(*n)++] = environ[i];
	}
	return 0;
}

static int put_fmt(struct sandbox *s, size_t *n, struct err *e, const char *name, const char *value)
{
	const char *entry = arena_printf(&s->arena, "%s=%s", name, value);

	if (!entry)
		return err_set(e, ERR_SYSTEM, -ENOMEM, "out of memory");
	put(s, n, entry);
	return 0;
}

/* Who looks where for certificates. SSL_CERT_FILE: OpenSSL, Go, Python, Ruby, curl of OpenSSL; the others their own. */
static const char *const trust[] = { "SSL_CERT_FILE",      "NODE_EXTRA_CA_CERTS",
				     "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE",
				     "GIT_SSL_CAINFO",     "AWS_CA_BUNDLE",
				     "CARGO_HTTP_CAINFO",  "PIP_CERT",
				     "DENO_CERT",          "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH" };

/* What opens a URL comes first, by its name and by the variable. */
static int put_browser(struct sandbox *s, size_t *n, struct err *e)
{
	const char *path = "/usr/local/bin:/usr/bin:/bin", *entry;
	size_t i;

	for (i = 0; i < *n; i++) {
		if (is_var(s->env[i], "PATH"))
			path = s->env[i] + strlen("PATH=");
	}
	entry = arena_printf(&s->arena, "PATH=" OPEN_URLS_DIR ":%s", path);
	if (!entry)
		return sandbox_oom(e);
	put(s, n, entry);
	put(s, n, "BROWSER=" OPEN_URLS_PROGRAM);
	return 0;
}

/*
 * What tools keep below the home. Where that can't be written, npm takes a package that it can't keep for a broken one, and go does nothing at all. A
 * place in the private /tmp is lost with the run, so it is only for where a caller says nothing of his own.
 */
static const struct cache {
	const char *name, *other; /* the variable, and another one that says the same; or NULL */
	const char *base, *below; /* where it is else: below the value of base, or of the home */
	const char *dir;          /* of base; below: of the home */
	const char *inside;
	bool network; /* what is there already can be read: only who fetches more must write */
} caches[] = {
	{ "npm_config_cache", "NPM_CONFIG_CACHE", NULL, ".npm", NULL, "/tmp/.npm", true },
	{ "GOCACHE", NULL, "XDG_CACHE_HOME", ".cache/go-build", "go-build", "/tmp/.go-build",
	  false },
};

static const char *value_of(const struct sandbox *s, size_t n, const char *name)
{
	size_t i;

	for (i = 0; name && i < n; i++) {
		if (is_var(s->env[i], name))
			return s->env[i] + strlen(name) + 1;
	}
	return NULL;
}

/* @path: as a tool would name it */
static bool is_writable(const struct sandbox *s, const char *path)
{
	char norm[LIMIT_PATH], real[LIMIT_PATH];
	enum policy_state state;

	if (path_normalize(path, s->cwd, s->home, norm, &(struct err)ERR_INIT) < 0 ||
	    jail_host_resolve(norm, true, real) < 0)
		return false;
	state = policy_eval(&s->policy, real).state;
	return state == POLICY_SHOW_RW || state == POLICY_IS_PRIVATE;
}

static int put_caches(struct sandbox *s, size_t *n, struct err *e)
{
	const char *home = value_of(s, *n, "HOME");
	size_t i;
	int r = 0;

	for (i = 0; r == 0 && home && i < ARRAY_SIZE(caches); i++) {
		const struct cache *c = &caches[i];
		const char *base = value_of(s, *n, c->base), *path;

		/* where /tmp is the host's, others could have put there what this one would trust */
		if (value_of(s, *n, c->name) || value_of(s, *n, c->other) ||
		    (c->network && s->net.mode == NET_MODE_NONE) ||
		    policy_eval(&s->policy, c->inside).state != POLICY_IS_PRIVATE)
			continue;
		path = arena_printf(&s->arena, "%s/%s", base ? base : home,
				    base ? c->dir : c->below);
		if (!path)
			return sandbox_oom(e);
		if (!is_writable(s, path))
			r = put_fmt(s, n, e, c->name, c->inside);
	}
	return r;
}

/* What a sandbox that stays says of its user; tools install below the home, since the system's directories are read-only. */
static int put_user(struct sandbox *s, size_t *n, struct err *e)
{
	const struct init_agent *a = &s->stay->agent;
	const char *path = "/usr/local/bin:/usr/bin:/bin", *local, *entry;
	bool lang = false;
	size_t i;
	int r;

	for (i = 0; i < *n; i++) {
		lang |= is_var(s->env[i], "LANG") || is_var(s->env[i], "LC_ALL");
		if (is_var(s->env[i], "PATH"))
			path = s->env[i] + strlen("PATH=");
	}
	local = arena_printf(&s->arena, "%s/.local", a->home);
	entry = local ? arena_printf(&s->arena, "PATH=%s/bin:%s", local, path) : NULL;
	if (!entry)
		return sandbox_oom(e);
	put(s, n, entry);
	r = put_fmt(s, n, e, "HOME", a->home);
	if (r == 0)
		r = put_fmt(s, n, e, "USER", a->name);
	if (r == 0)
		r = put_fmt(s, n, e, "LOGNAME", a->name);
	if (r == 0)
		r = put_fmt(s, n, e, "NPM_CONFIG_PREFIX", local);
	return r == 0 && !lang ? put_fmt(s, n, e, "LANG", "C.UTF-8") : r;
}

/* Variables whose old value would be wrong inside. */
static int adjust(struct sandbox *s, size_t *n, struct err *e)
{
	const struct passwd *pw;
	char runtime_dir[64];
	size_t i;
	int r = put_fmt(s, n, e, "PWD", s->cwd);

	(void)snprintf(runtime_dir, sizeof(runtime_dir), "/run/user/%u", (unsigned int)s->id.uid);
	for (i = 0; r == 0 && i < *n; i++) {
		if (is_var(s->env[i], "XDG_RUNTIME_DIR"))
			r = put_fmt(s, n, e, "XDG_RUNTIME_DIR", runtime_dir);
		else if (is_var(s->env[i], "TMPDIR") || is_var(s->env[i], "TMP") ||
			 is_var(s->env[i], "TEMP")) {
			char name[8];

			/* wherever it was, only /tmp is surely writable */
			(void)snprintf(name, sizeof(name), "%.*s", (int)strcspn(s->env[i], "="),
				       s->env[i]);
			r = put_fmt(s, n, e, name, "/tmp");
		}
	}
	if (r == 0 && s->stay) {
		r = put_user(s, n, e);
	} else if (r == 0 && s->id.mode == JAIL_IDS_OWNER && s->id.uid != geteuid()) {
		pw = getpwuid(s->id.uid);
		if (pw && pw->pw_dir && pw->pw_dir[0] == '/') {
			r = put_fmt(s, n, e, "HOME", pw->pw_dir);
			if (r == 0)
				r = put_fmt(s, n, e, "USER", pw->pw_name);
			if (r == 0)
				r = put_fmt(s, n, e, "LOGNAME", pw->pw_name);
		}
	}
	if (r == 0 && !s->stay)
		r = put_caches(s, n, e);
	for (i = 0; r == 0 && egress_wanted(s) && egress_env[i]; i++)
		put(s, n, egress_env[i]);
	for (i = 0; r == 0 && keys_bundle(s) && i < ARRAY_SIZE(trust); i++)
		r = put_fmt(s, n, e, trust[i], keys_bundle(s));
	for (i = 0; r == 0 && i < s->n_stand_ins; i++)
		put(s, n, s->stand_ins[i]);
	if (r == 0 && s->ssh_dir) {
		const char *entry = ssh_variable(s);

		if (!entry)
			return sandbox_oom(e);
		put(s, n, entry);
	}
	if (r == 0 && s->open_urls)
		r = put_browser(s, n, e);
	return r < 0 ? r : put_fmt(s, n, e, "BAILEY_SANDBOX", s->stay ? s->stay->name : "run");
}

/* A value that follows a name may be a secret: errors go to logs, so it is not repeated. */
static int check_option(const struct opt_value *v, struct err *e)
{
	char where[LIMIT_WHERE];
	const char *eq = strchr(v->value, '=');
	int n = (int)strcspn(v->value, "=");

	if (strcmp(v->opt->name, "pass-env") != 0) {
		if (!n)
			return err_set(e, ERR_USAGE, -EINVAL, "%s: the name is missing: --env %s",
				       sandbox_where(v, where), v->opt->arg);
		if (!eq)
			return err_set(
				e, ERR_USAGE, -EINVAL,
				"--env '%.100s': the value is missing: --env %.100s=VALUE (to pass the caller's: --pass-env %.100s)",
				v->value, v->value, v->value);
		return 0;
	}
	if (!n)
		return err_set(e, ERR_USAGE, -EINVAL, "%s: the name is missing: --pass-env VAR",
			       sandbox_where(v, where));
	if (eq)
		return err_set(
			e, ERR_USAGE, -EINVAL,
			"%s '%.*s=...' takes a name alone: --pass-env %.*s (to set a value: --env %.*s=VALUE)",
			sandbox_where(v, where), n < 100 ? n : 100, v->value, n < 100 ? n : 100,
			v->value, n < 100 ? n : 100, v->value);
	return 0;
}

/* The variables that options and files name: those of files of variables first, since --env wins over them. */
static int collect(struct sandbox *s, const struct sandbox_options *o, struct opt_list *vars,
		   struct err *e)
{
	int r = 0, late;
	size_t i;

	for (late = 0; late < 2; late++) {
		for (i = 0; r == 0 && i < o->env.n; i++) {
			const struct opt_value *v = &o->env.v[i];

			/* a setting of a policy file comes before any word of the command line */
			if (late != (!v->source && !is_option(v, "env-file")))
				continue;
			if (is_option(v, "env-file"))
				r = env_file(s, v, vars, e);
			else
				r = check_option(v, e);
			if (r == 0 && !is_option(v, "env-file") && opt_list_add(vars, v) < 0)
				r = sandbox_oom(e);
		}
	}
	return r;
}

/* A front says all of it, but for where the certificates are. */
static int front_env(struct sandbox *s, char **env, struct err *e)
{
	size_t n = 0, i;
	int r = 0;

	for (; env[n]; n++)
		;
	s->env = arena_alloc(&s->arena, (n + ARRAY_SIZE(trust) + 1) * sizeof(*env));
	if (!s->env)
		return sandbox_oom(e);
	memcpy(s->env, env, n * sizeof(*env));
	for (i = 0; r == 0 && keys_bundle(s) && i < ARRAY_SIZE(trust); i++)
		r = put_fmt(s, &n, e, trust[i], keys_bundle(s));
	s->env[n] = NULL;
	return r;
}

int sandbox_env(struct sandbox *s, struct err *e)
{
	struct opt_list vars = { .n = 0 };
	const size_t kept = s->stay && s->stay->host_env ? s->stay->host_env->n : 0;
	size_t n = 0, count = 0, i;
	int r;

	if (s->options->front)
		return front_env(s, s->options->front->env, e);
	r = collect(s, s->options, &vars, e);

	for (; environ[count]; count++)
		;
	count += kept;
	if (r == 0 && count + vars.n > LIMIT_ENV)
		r = err_set(e, ERR_USAGE, -E2BIG, "more than %d environment variables", LIMIT_ENV);
	if (r == 0) {
		s->env = arena_alloc(&s->arena,
				     (count + vars.n + s->n_stand_ins + 48) * sizeof(*s->env));
		s->removed = arena_alloc(&s->arena, (count + 1) * sizeof(*s->removed));
		if (!s->env || !s->removed)
			r = sandbox_oom(e);
		else
			r = s->stay ? copy_kept(s, &vars, &n, e) : copy(s, &vars, &n, e);
	}
	if (r == 0)
		r = adjust(s, &n, e);
	for (i = 0; r == 0 && i < vars.n; i++) {
		if (!is_option(&vars.v[i], "pass-env") && strchr(vars.v[i].value, '='))
			put(s, &n, vars.v[i].value);
	}
	if (r == 0)
		s->env[n] = NULL;
	opt_list_done(&vars);
	return r;
}
