/* SPDX-License-Identifier: Apache-2.0 */
/* From the path options to rules: workspaces, grants and denials, each judged by the place that its name leads to. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "sandbox.h"

/* Split ":ro" or ":rw" off, unless a directory has that very name. Return: whether it is read-only, or negative errno. */
static int split_mode(const char *value, char *path, struct err *e)
{
	const char *colon = strrchr(value, ':');
	size_t n = strlen(value);
	struct stat st;

	if (n >= LIMIT_PATH)
		return err_set(e, ERR_USAGE, -ENAMETOOLONG,
			       "--workspace: the path is longer than %d bytes", LIMIT_PATH - 1);
	memcpy(path, value, n + 1);
	if (!colon || lstat(value, &st) == 0)
		return 0;
	if (strcmp(colon, ":ro") == 0 || strcmp(colon, ":rw") == 0) {
		path[colon - value] = '\0';
		return colon[2] == 'o';
	}
	if (strcmp(colon, ":overlay") == 0)
		return err_set(
			e, ERR_USAGE, -EINVAL,
			"--workspace '%s': overlay workspaces are not in this release; use :ro",
			value);
	return 0;
}

static int add_workspace(struct sandbox *s, const char *value, const char *cwd, const char *origin,
			 struct err *e)
{
	char path[LIMIT_PATH], norm[LIMIT_PATH], real[LIMIT_PATH];
	struct stat st;
	int ro, r;

	ro = split_mode(value, path, e);
	if (ro < 0)
		return ro;
	r = sandbox_path(path, cwd, s->home, norm, e);
	if (r < 0)
		return err_wrap(e, r, "%s", origin);
	r = jail_host_resolve(norm, true, real);
	if (r < 0 || stat(real, &st) < 0)
		return err_set(e, ERR_USAGE, -ENOENT, "%s '%s': %s", origin, norm,
			       strerror(r < 0 ? -r : errno));
	if (!S_ISDIR(st.st_mode))
		return err_set(e, ERR_USAGE, -ENOTDIR, "%s '%s': not a directory", origin, norm);
	if (s->n_workspaces == LIMIT_WORKSPACES)
		return err_set(e, ERR_USAGE, -E2BIG, "--workspace is given more than %d times",
			       LIMIT_WORKSPACES);
	if (!s->workspaces)
		s->workspaces = arena_alloc(&s->arena, LIMIT_WORKSPACES * sizeof(*s->workspaces));
	if (!s->workspaces || !(s->workspaces[s->n_workspaces] = sandbox_keep(s, real)))
		return sandbox_oom(e);
	s->n_workspaces++;
	r = policy_add(&s->policy, POLICY_ALLOW_READ, POLICY_COMMAND, real, origin, e);
	if (r == 0 && !ro)
		r = policy_add(&s->policy, POLICY_ALLOW_WRITE, POLICY_COMMAND, real, origin, e);
	return r;
}

/*
 * A read-only workspace inside a writable one is a denial. One that is not, is none: a writable workspace may lie below it.
 */
static int protect_read_only(struct sandbox *s, struct err *e)
{
	size_t i, n = s->policy.n;
	int r = 0;

	for (i = 0; r == 0 && i < s->n_workspaces; i++) {
		bool below = false, writable = false;
		size_t k;

		for (k = 0; k < n; k++) {
			const struct policy_rule *rule = &s->policy.rules[k];

			if (rule->kind != POLICY_ALLOW_WRITE ||
			    !path_covers(rule->path, s->workspaces[i]))
				continue;
			if (strcmp(rule->path, s->workspaces[i]) == 0)
				writable = true;
			else
				below = true;
		}
		if (below && !writable)
			r = policy_add(&s->policy, POLICY_DENY_WRITE, POLICY_COMMAND,
				       s->workspaces[i], "--workspace …:ro", e);
	}
	return r;
}

/*
 * A grant whose name lies in a workspace, or in the current directory, must lead to a place in it: a link that an earlier run left there
 * must not turn the same words into another grant.
 */
static int check_grant(const char *dir, const char *norm, const char *real, const char *origin,
		       struct err *e)
{
	if (!path_covers(dir, norm) || path_covers(dir, real))
		return 0;
	return err_set(
		e, ERR_POLICY, -ELOOP,
		"%s '%s': a symlink leads out of '%s', to '%s'; if that is meant, name it itself",
		origin, norm, dir, real);
}

static int check_grants(const struct sandbox *s, const struct sandbox_options *o, const char *cwd,
			struct err *e)
{
	char path[LIMIT_PATH], norm[LIMIT_PATH], real[LIMIT_PATH];
	size_t i, k;
	int r = 0;

	for (i = 0; r == 0 && i < o->files.n; i++) {
		const char *name = o->files.v[i].opt->name, *value = o->files.v[i].value;

		if (strcmp(name, "workspace") == 0) {
			r = split_mode(value, path, e);
			value = path;
		} else if (strncmp(name, "allow-", 6) != 0) {
			continue;
		}
		if (r >= 0)
			r = sandbox_path(value, cwd, s->home, norm, e);
		if (r < 0 || jail_host_resolve(norm, true, real) < 0)
			continue; /* what can't be resolved was refused already */
		r = check_grant(cwd, norm, real, name, e);
		for (k = 0; r == 0 && k < s->n_workspaces; k++)
			r = check_grant(s->workspaces[k], norm, real, name, e);
	}
	return r;
}

static int kind_of_option(const char *name)
{
	int k;

	for (k = 0; k < POLICY_KIND_NUM; k++) {
		if (strcmp(policy_kind_name((enum policy_kind)k), name) == 0)
			return k;
	}
	return -ENOENT;
}

/* One path option. A rule names the place that the path leads to; a denial also the link that leads there. */
static int add_path(struct sandbox *s, const struct opt_value *v, const char *cwd, struct err *e)
{
	enum policy_kind kind = (enum policy_kind)kind_of_option(v->opt->name);
	bool deny = kind == POLICY_DENY_READ || kind == POLICY_DENY_WRITE || kind == POLICY_HIDE;
	char norm[LIMIT_PATH], real[LIMIT_PATH], link[LIMIT_PATH], origin[64];
	struct stat st;
	int r;

	(void)snprintf(origin, sizeof(origin), "--%s", v->opt->name);
	r = sandbox_path(v->value, cwd, s->home, norm, e);
	if (r < 0)
		return err_wrap(e, r, "%s", origin);
	r = jail_host_resolve(norm, true, real);
	if (r < 0)
		return err_set(e, ERR_USAGE, r, "%s '%s': %s", origin, norm, strerror(-r));
	if (kind == POLICY_ALLOW_READ && lstat(real, &st) < 0)
		return err_set(e, ERR_USAGE, -errno, "%s '%s': %s", origin, norm, strerror(errno));
	r = policy_add(&s->policy, kind, POLICY_COMMAND, real, origin, e);
	if (r == 0 && deny && jail_host_resolve(norm, false, link) == 0 && strcmp(link, real) != 0)
		r = policy_add(&s->policy, kind, POLICY_COMMAND, link, origin, e);
	return r;
}

int sandbox_files(struct sandbox *s, const struct sandbox_options *o, const char *cwd,
		  struct err *e)
{
	size_t i;
	int r = 0;

	for (i = 0; r == 0 && i < o->files.n; i++) {
		if (strcmp(o->files.v[i].opt->name, "workspace") == 0)
			r = add_workspace(s, o->files.v[i].value, cwd, "--workspace", e);
		else
			r = add_path(s, &o->files.v[i], cwd, e);
	}
	if (r == 0 && s->n_workspaces == 0)
		r = add_workspace(s, cwd, cwd, "workspace: the current directory", e);
	if (r == 0)
		r = check_grants(s, o, cwd, e);
	return r == 0 ? protect_read_only(s, e) : r;
}
