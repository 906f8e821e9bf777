/* SPDX-License-Identifier: Apache-2.0 */
/* From the path options to rules: workspaces, grants and denials, each judged by the place that its name leads to. */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "sandbox.h"

enum workspace_mode { WORKSPACE_RW, WORKSPACE_RO, WORKSPACE_OVERLAY };

static const char *const modes[] = {
	[WORKSPACE_RW] = ":rw", [WORKSPACE_RO] = ":ro", [WORKSPACE_OVERLAY] = ":overlay"
};

size_t sandbox_workspace_path(const char *value)
{
	const char *colon = strrchr(value, ':');
	size_t i;

	for (i = 0; colon && i < ARRAY_SIZE(modes); i++) {
		if (strcmp(colon, modes[i]) == 0)
			return (size_t)(colon - value);
	}
	return strlen(value);
}

/*
 * Split ":ro", ":rw" or ":overlay" off. What is on the disk has no say in it: a link named ".:overlay", which an earlier run left, would make the
 * copy that was asked for a direct workspace.
 * Return: enum workspace_mode, or negative errno.
 */
static int split_mode(const char *value, char *path, struct err *e)
{
	const size_t n = sandbox_workspace_path(value);
	size_t i;

	if (strlen(value) >= LIMIT_PATH)
		return err_set(e, ERR_USAGE, -ENAMETOOLONG,
			       "--workspace: the path is longer than %d bytes", LIMIT_PATH - 1);
	memcpy(path, value, n);
	path[n] = '\0';
	for (i = 0; i < ARRAY_SIZE(modes); i++) {
		if (strcmp(value + n, modes[i]) == 0)
			return (int)i;
	}
	return WORKSPACE_RW;
}

/*
 * A link of /proc into another mount namespace (/proc/PID/root) reads as a name there, and that name is another directory here, when it is any.
 * Only where a link was followed: then @norm is not @real.
 */
static bool another_place(const char *norm, const char *real, const struct stat *there)
{
	struct stat st;

	if (strcmp(norm, real) == 0)
		return false;
	return stat(norm, &st) < 0 || st.st_dev != there->st_dev || st.st_ino != there->st_ino;
}

static int add_workspace(struct sandbox *s, const char *path, enum workspace_mode mode,
			 const char *cwd, const char *origin, struct err *e)
{
	char norm[LIMIT_PATH], real[LIMIT_PATH];
	struct stat st;
	int r;

	r = sandbox_path(path, cwd, s->home, norm, e);
	if (r < 0)
		return err_wrap(e, r, "%s", origin);
	r = jail_host_resolve(norm, true, real);
	if (r < 0 || stat(real, &st) < 0)
		return err_set(e, ERR_USAGE, -ENOENT, "%s '%s': %s", origin, norm,
			       strerror(r < 0 ? -r : errno));
	if (!S_ISDIR(st.st_mode))
		return err_set(e, ERR_USAGE, -ENOTDIR, "%s '%s': not a directory", origin, norm);
	if (another_place(norm, real, &st))
		return err_set(
			e, ERR_USAGE, -EXDEV,
			"%s '%s': it leads into another mount namespace; name a directory by its path here",
			origin, norm);
	if (s->n_workspaces == LIMIT_WORKSPACES)
		return err_set(e, ERR_USAGE, -E2BIG, "--workspace is given more than %d times",
			       LIMIT_WORKSPACES);
	if (!s->workspaces)
		s->workspaces = arena_alloc(&s->arena, LIMIT_WORKSPACES * sizeof(*s->workspaces));
	if (!s->workspaces || !(s->workspaces[s->n_workspaces] = sandbox_keep(s, real)))
		return sandbox_oom(e);
	s->n_workspaces++;
	r = sandbox_note_links(s, norm, real, "workspace", /* unprotects= */ false, e);
	if (r == 0)
		r = policy_add(&s->policy, POLICY_ALLOW_READ, POLICY_COMMAND, real, origin, e);
	if (r == 0 && mode == WORKSPACE_OVERLAY)
		return policy_add_copy(&s->policy, POLICY_COMMAND, real, origin, e);
	if (r == 0 && mode == WORKSPACE_RW)
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

/* Judged when all are known. */
static int check_copies(const struct sandbox *s, const struct sandbox_options *o, const char *cwd,
			struct err *e)
{
	char path[LIMIT_PATH], norm[LIMIT_PATH], real[LIMIT_PATH];
	size_t i;
	int r = 0;

	for (i = 0; r == 0 && i < o->files.n; i++) {
		const struct policy_rule *copy;
		int mode;

		if (strcmp(o->files.v[i].opt->name, "workspace") != 0)
			continue;
		r = mode = split_mode(o->files.v[i].value, path, e);
		if (r >= 0)
			r = sandbox_path(path, cwd, s->home, norm, e);
		if (r < 0 || jail_host_resolve(norm, true, real) < 0)
			continue;
		r = 0;
		copy = mode == WORKSPACE_RW ? policy_copy(&s->policy, real) : NULL;
		if (copy)
			r = err_set(
				e, ERR_USAGE, -EINVAL,
				"--workspace '%s': it lies in the overlay workspace '%s', where nothing of the host's is "
				"changed; leave one of them out",
				real, copy->path);
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

#define DANGLING 8 /* links in a row that lead nowhere; a loop is one of those */

/*
 * A denial of a link that leads nowhere: of its name, which is a mount then, and of the name that it leads to, which the command could make.
 * @path: of the link, resolved but for the last part; changed
 */
static int deny_dangling(struct sandbox *s, const struct sandbox_path *p, char path[LIMIT_PATH],
			 struct err *e)
{
	char text[LIMIT_PATH], dir[LIMIT_PATH], norm[LIMIT_PATH];
	int i, r = 0, found = -ELOOP;
	ssize_t n;

	for (i = 0; r == 0 && found == -ELOOP && i < DANGLING; i++) {
		r = policy_add(&s->policy, p->kind, p->layer, path, p->origin, e);
		n = readlink(path, text, sizeof(text) - 1);
		if (r < 0 || n <= 0)
			return r;
		text[n] = '\0';
		memcpy(dir, path, strlen(path) + 1);
		dir[strrchr(dir, '/') == dir ? 1 : strrchr(dir, '/') - dir] = '\0';
		if (text[0] == '~' || path_normalize(text, dir, NULL, norm, NULL) < 0)
			return r;
		found = jail_host_resolve(norm, true, path);
		if (found == -ELOOP && jail_host_resolve(norm, false, path) < 0)
			return r;
	}
	return r == 0 && found == 0 ?
		       policy_add(&s->policy, p->kind, p->layer, path, p->origin, e) :
		       r;
}

int sandbox_place(struct sandbox *s, const struct sandbox_path *p, const char *norm, struct err *e)
{
	char real[LIMIT_PATH], link[LIMIT_PATH], where[LIMIT_WHERE];
	bool grant = policy_grants(p->kind);
	struct stat st;
	int r;

	(void)sandbox_where(p->value, where);
	r = jail_host_resolve(norm, true, real);
	if (r == -ELOOP && !grant && jail_host_resolve(norm, false, real) == 0) {
		r = deny_dangling(s, p, real, e);
		return r < 0 ? err_wrap(e, r, "%s '%s'", where, p->value->value) : 0;
	}
	if (r < 0)
		return err_set(e, ERR_USAGE, r, "%s '%s': %s", where, norm, strerror(-r));
	if (grant)
		r = sandbox_note_links(s, norm, real, where, p->kind == POLICY_UNPROTECT, e);
	if (r < 0)
		return r;
	if (grant && (p->kind == POLICY_ALLOW_READ || !p->required) && lstat(real, &st) < 0) {
		if (!p->required && errno == ENOENT)
			return sandbox_ignore(s, p->value, "there is nothing of that name", e);
		return err_set(e, ERR_USAGE, -errno, "%s '%s': %s", where, norm, strerror(errno));
	}
	r = policy_add(&s->policy, p->kind, p->layer, real, p->origin, e);
	if (r == 0 && !grant && jail_host_resolve(norm, false, link) == 0 &&
	    strcmp(link, real) != 0)
		r = policy_add(&s->policy, p->kind, p->layer, link, p->origin, e);
	return r < 0 ? err_wrap(e, r, "%s '%s'", where, p->value->value) : 0;
}

/* One path option, or one path of a file. */
static int add_path(struct sandbox *s, const struct opt_value *v, const char *cwd, struct err *e)
{
	struct sandbox_path p = { .value = v,
				  .kind = (enum policy_kind)kind_of_option(v->opt->name),
				  .layer = v->source ? v->source->layer : POLICY_COMMAND,
				  .base = v->source ? v->source->base : cwd,
				  .origin = sandbox_origin(s, v),
				  .required = !v->source };
	char norm[LIMIT_PATH], where[LIMIT_WHERE];
	int r;

	if (!p.origin)
		return sandbox_oom(e);
	if (p.kind == POLICY_SOCKET)
		return sandbox_socket(s, &p, e);
	if (!v->literal && policy_glob_special(v->value))
		return sandbox_pattern(s, &p, e);
	r = sandbox_path(v->value, p.base, s->home, norm, e);
	if (r < 0)
		return err_wrap(e, r, "%s", sandbox_where(v, where));
	return sandbox_place(s, &p, norm, e);
}

/* A front gives no workspace: the command starts where the caller is, and may do there what the rules say. */
static int start_here(struct sandbox *s, const char *cwd, struct err *e)
{
	s->workspaces = arena_alloc(&s->arena, sizeof(*s->workspaces));
	if (!s->workspaces || !(s->workspaces[0] = sandbox_keep(s, cwd)))
		return sandbox_oom(e);
	s->n_workspaces = 1;
	/* of the lowest layer, so that it lifts nothing: it only leads the way there for a command with ids of its own */
	return policy_add(&s->policy, POLICY_ALLOW_READ, POLICY_BUILTIN, cwd,
			  "built-in: the current directory", e);
}

int sandbox_workspaces(struct sandbox *s, const struct sandbox_options *o, const char *cwd,
		       struct err *e)
{
	char path[LIMIT_PATH];
	size_t i;
	int mode, r = 0;

	if (o->front)
		return start_here(s, cwd, e);

	for (i = 0; r == 0 && i < o->files.n; i++) {
		if (strcmp(o->files.v[i].opt->name, "workspace") != 0)
			continue;
		r = mode = split_mode(o->files.v[i].value, path, e);
		if (r >= 0)
			r = add_workspace(s, path, (enum workspace_mode)mode, cwd, "--workspace",
					  e);
	}
	if (r == 0 && s->n_workspaces == 0) {
		r = add_workspace(s, cwd, WORKSPACE_RW, cwd, "workspace: the current directory", e);
		if (r == 0 && s->home && strcmp(s->workspaces[0], s->home) == 0)
			sandbox_notice(
				s,
				"the current directory is the home, so the command may change all of it but what is protected; cd to a project, or say --workspace DIR");
	}
	/* now, too: files of a project are read from there */
	if (r == 0)
		r = sandbox_judge_links(s, cwd, e);
	return r == 0 ? check_copies(s, o, cwd, e) : r;
}

int sandbox_paths(struct sandbox *s, const struct sandbox_options *o, const char *cwd,
		  struct err *e)
{
	size_t i;
	int r = 0;

	for (i = 0; r == 0 && i < o->files.n; i++) {
		if (strcmp(o->files.v[i].opt->name, "workspace") != 0)
			r = add_path(s, &o->files.v[i], cwd, e);
	}
	if (r == 0)
		r = sandbox_judge_links(s, cwd, e);
	return r == 0 && !o->front ? protect_read_only(s, e) : r;
}
