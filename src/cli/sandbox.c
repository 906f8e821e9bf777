/* SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli.h"

void sandbox_options(struct sandbox_options *o, struct opt *table, size_t size)
{
	const struct opt rows[] = {
		OPT_GROUP("Files"),
		OPT_LIST("workspace", &o->files, "DIR[:ro]",
			 "Give DIR, at the same path; default: the current directory"),
		OPT_LIST("allow-write", &o->files, "PATH", "Let the command write PATH"),
		OPT_LIST("deny-write", &o->files, "PATH",
			 "Keep PATH read-only in what is writable"),
		OPT_LIST("allow-read", &o->files, "PATH", "Show PATH although something hides it"),
		OPT_LIST("deny-read", &o->files, "PATH", "Make PATH unreadable"),
		OPT_LIST("hide", &o->files, "PATH", "Make PATH absent"),
		OPT_GROUP("Environment"),
		OPT_LIST("env", &o->env, "NAME=VALUE", "Set a variable"),
		OPT_LIST("pass-env", &o->env, "NAME", "Pass a variable that looks like a secret"),
		OPT_GROUP("Run"),
		OPT_STRING("timeout", &o->timeout, "DURATION",
			   "End the run after 500ms, 10s, 5m, 1h; exit status 124"),
		OPT_LIST("allow-degraded", &o->degraded, "LAYER",
			 "Run although LAYER is missing: overlay, proc, landlock, seccomp, sockets"),
		OPT_OPTIONAL("explain", &o->explain, "json",
			     "Print policy, mount plan and layers; run nothing"),
		OPT_FLAG("dry-run", &o->dry_run, "Build and verify the sandbox; run nothing"),
		OPT_END,
	};

	_Static_assert(ARRAY_SIZE(rows) <= SANDBOX_OPTIONS, "raise SANDBOX_OPTIONS");
	*o = (struct sandbox_options){ .dry_run = false };
	memcpy(table, rows, (ARRAY_SIZE(rows) < size ? ARRAY_SIZE(rows) : size) * sizeof(rows[0]));
}

void sandbox_options_done(struct sandbox_options *o)
{
	opt_list_done(&o->files);
	opt_list_done(&o->env);
	opt_list_done(&o->degraded);
}

/* "10s" … in milliseconds. A number without a unit is seconds. */
static int parse_duration(const char *s, long *ret_ms, struct err *e)
{
	static const struct {
		const char *unit;
		long ms;
	} units[] = { { "ms", 1 }, { "s", 1000 }, { "", 1000 }, { "m", 60000 }, { "h", 3600000 } };
	long v = 0;
	size_t i;
	const char *p;

	for (p = s; *p >= '0' && *p <= '9' && v < 100000000; p++)
		v = v * 10 + (*p - '0');
	for (i = 0; p > s && v > 0 && i < ARRAY_SIZE(units); i++) {
		if (strcmp(p, units[i].unit) == 0 && v <= 2000000000 / units[i].ms) {
			*ret_ms = v * units[i].ms;
			return 0;
		}
	}
	return err_set(
		e, ERR_USAGE, -EINVAL,
		"--timeout '%.100s': expected a duration such as 500ms, 10s, 5m, 1h (at most 555h)",
		s);
}

static int parse_degraded(const struct opt_list *l, unsigned int *ret, struct err *e)
{
	size_t i;
	int layer;

	for (i = 0; i < l->n; i++) {
		layer = jail_layer_parse(l->v[i].value);
		if (layer < 0)
			return err_set(
				e, ERR_USAGE, layer,
				"--allow-degraded '%.100s': there is no such layer (bailey run --explain lists them)",
				l->v[i].value);
		if (!jail_layer_info((enum jail_layer)layer)->lost)
			return err_set(
				e, ERR_USAGE, -EPERM,
				"--allow-degraded '%s': no sandbox is left without this layer",
				l->v[i].value);
		*ret |= 1u << layer;
	}
	return 0;
}

static char *keep(struct sandbox *s, const char *str)
{
	return arena_strdup(&s->arena, str);
}

static int oom(struct err *e)
{
	return err_set(e, ERR_SYSTEM, -ENOMEM, "out of memory");
}

/* HOME, else the password file's; resolved, because rules compare resolved paths. */
static int find_home(struct sandbox *s, struct err *e)
{
	const char *home = getenv("HOME");
	char norm[LIMIT_PATH], real[LIMIT_PATH];
	const struct passwd *pw;
	int r;

	if (!home || home[0] != '/') {
		pw = getpwuid(geteuid());
		home = pw && pw->pw_dir ? pw->pw_dir : NULL;
	}
	if (!home || home[0] != '/')
		return 0;
	r = path_normalize(home, "/", NULL, norm, e);
	if (r < 0)
		return err_wrap(e, r, "HOME");
	if (jail_host_resolve(norm, true, real) < 0)
		return 0; /* a home that can't be resolved holds nothing that must be hidden */
	s->home = keep(s, real);
	return s->home ? 0 : oom(e);
}

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
	r = path_normalize(path, cwd, s->home, norm, e);
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
	if (!s->workspaces || !(s->workspaces[s->n_workspaces] = keep(s, real)))
		return oom(e);
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
			r = path_normalize(value, cwd, s->home, norm, e);
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
	r = path_normalize(v->value, cwd, s->home, norm, e);
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

/* The entries of the home directory: most built-in names are not there, and one listing is cheaper than asking for each. */
struct listing {
	unsigned char names[32768]; /* a length, the name, a length … */
	size_t used;
	bool whole;
};

static void list_home(const char *home, struct listing *l)
{
	DIR *dir = opendir(home);
	struct dirent *d;

	l->used = 0;
	l->whole = dir != NULL;
	while (dir && (d = readdir(dir))) {
		size_t n = strlen(d->d_name);

		if (n > 255 || l->used + n + 1 > sizeof(l->names)) {
			l->whole = false;
			break;
		}
		l->names[l->used] = (unsigned char)n;
		memcpy(l->names + l->used + 1, d->d_name, n);
		l->used += n + 1;
	}
	if (dir)
		(void)closedir(dir);
}

/* Whether the first component of @rel is in the listing; true when in doubt. */
static bool listed(const struct listing *l, const char *rel)
{
	size_t n = strcspn(rel, "/"), i;

	for (i = 0; l->whole && i < l->used; i += l->names[i] + 1u) {
		if (l->names[i] == n && memcmp(l->names + i + 1, rel, n) == 0)
			return true;
	}
	return !l->whole;
}

/*
 * A built-in rule names a place below the home directory. Where that name, or a directory on the way, is a symlink, the place it leads to
 * is what must be hidden.
 */
static int resolve_builtin(struct sandbox *s, const char *home, size_t index, struct err *e)
{
	struct policy_rule *rule = &s->policy.rules[index];
	char parent[LIMIT_PATH], real[LIMIT_PATH];
	const char *slash = strrchr(rule->path, '/');
	size_t len = (size_t)(slash - rule->path);
	struct stat st;

	memcpy(parent, rule->path, len);
	parent[len] = '\0';
	if (len > strlen(home) && jail_host_resolve(parent, true, real) == 0 &&
	    strcmp(parent, real) != 0) {
		rule->path = arena_printf(&s->arena, "%s%s", real, slash);
		if (!rule->path)
			return err_set(e, ERR_SYSTEM, -ENOMEM, "out of memory");
		rule->len = strlen(rule->path);
	}
	if (lstat(rule->path, &st) < 0 || !S_ISLNK(st.st_mode))
		return 0;
	if (jail_host_resolve(rule->path, true, real) < 0 || path_covers(real, home))
		return 0; /* dangling; or a link to the home itself, which can't be hidden */
	return policy_add(&s->policy, POLICY_HIDE, POLICY_BUILTIN, real, rule->origin, e);
}

static int resolve_builtins(struct sandbox *s, const char *home, struct err *e)
{
	size_t i, n = s->policy.n, home_len = home ? strlen(home) : 0;
	struct listing l;
	int r = 0;

	if (!home || !home[1])
		return 0;
	list_home(home, &l);
	for (i = 0; r == 0 && i < n; i++) {
		const struct policy_rule *rule = &s->policy.rules[i];

		if (rule->kind == POLICY_HIDE && rule->len > home_len &&
		    path_covers(home, rule->path) && listed(&l, rule->path + home_len + 1))
			r = resolve_builtin(s, home, i, e);
	}
	return r;
}

static int make_builtin(struct sandbox *s, struct err *e)
{
	struct policy_caller c = { .home = s->home, .host_root = s->id.host_uid == 0 };
	const char *dir = getenv("XDG_RUNTIME_DIR"), *state = getenv("XDG_STATE_HOME");
	char runtime_dir[LIMIT_PATH], state_dir[LIMIT_PATH], norm[LIMIT_PATH],
		owner_home[LIMIT_PATH];
	const uid_t who = s->id.mode == JAIL_IDS_OWNER ? s->id.uid : geteuid();
	const struct passwd *pw;
	struct stat st;
	int r;

	if (dir && dir[0] == '/' && path_normalize(dir, "/", NULL, norm, e) == 0 &&
	    jail_host_resolve(norm, true, runtime_dir) == 0)
		c.runtime_dir = runtime_dir;
	if (c.host_root) /* of any other id its mode keeps it away */
		c.state_dir = "/var/lib/bailey";
	else if (state && state[0] == '/' && strlen(state) < LIMIT_PATH - 16 &&
		 path_normalize(state, "/", NULL, norm, e) == 0 &&
		 jail_host_resolve(norm, true, state_dir) == 0) {
		size_t n = strlen(state_dir);

		(void)snprintf(state_dir + n, sizeof(state_dir) - n, "/bailey");
		c.state_dir = state_dir;
	}
	r = policy_builtin(&s->policy, &c, e);
	if (r == 0)
		r = resolve_builtins(s, s->home, e);
	/* HOME may not be the home of the one the command acts as: root as the workspace's owner, or a HOME that is made up */
	if (r == 0 && (!s->home || stat(s->home, &st) < 0 || st.st_uid != who) &&
	    (pw = getpwuid(who)) && pw->pw_dir && pw->pw_dir[0] == '/' &&
	    path_normalize(pw->pw_dir, "/", NULL, norm, e) == 0 &&
	    jail_host_resolve(norm, true, owner_home) == 0 &&
	    (!s->home || strcmp(owner_home, s->home) != 0)) {
		r = policy_builtin(&s->policy, &(struct policy_caller){ .home = owner_home }, e);
		if (r == 0)
			r = resolve_builtins(s, owner_home, e);
	}
	return r;
}

/* The command starts where the caller is, when a workspace holds that; else in the first workspace. */
static int choose_cwd(struct sandbox *s, const char *cwd, struct err *e)
{
	const char *best = s->workspaces[0];
	size_t i;

	for (i = 0; i < s->n_workspaces; i++) {
		if (path_covers(s->workspaces[i], cwd))
			best = cwd;
	}
	s->cwd = keep(s, best);
	return s->cwd ? 0 : oom(e);
}

int sandbox_make(struct sandbox *s, const struct sandbox_options *o, bool owner, struct err *e)
{
	char cwd[LIMIT_PATH];
	size_t i;
	int r;

	s->id.lock = -1;
	policy_init(&s->policy, &s->arena);
	if (!getcwd(cwd, sizeof(cwd)) || cwd[0] != '/')
		return err_set(e, ERR_USAGE, -ENOENT,
			       "the current directory has no path (was it removed?)");
	r = o->timeout ? parse_duration(o->timeout, &s->timeout_ms, e) : 0;
	if (r == 0)
		r = parse_degraded(&o->degraded, &s->allow_degraded, e);
	if (r == 0)
		r = find_home(s, e);
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
	if (r == 0)
		r = protect_read_only(s, e);
	if (r == 0)
		r = owner ? jail_identity_owner(&s->id, s->workspaces[0], e) :
			    jail_identity_choose(&s->id, s->workspaces[0], e);
	if (r == 0)
		r = make_builtin(s, e);
	if (r == 0)
		r = choose_cwd(s, cwd, e);
	if (r == 0)
		r = sandbox_env(s, o, e);
	if (r < 0)
		return r;
	policy_seal(&s->policy);
	jail_host_init(&s->host, &s->host_ctx, &s->arena, s->id.host_uid,
		       s->id.mode == JAIL_IDS_BLOCK);
	return jail_plan_make(&s->plan, &s->arena, &s->policy, &s->host, e);
}

void sandbox_done(struct sandbox *s)
{
	jail_identity_done(&s->id);
	arena_done(&s->arena);
}
