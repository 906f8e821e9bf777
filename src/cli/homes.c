/* SPDX-License-Identifier: Apache-2.0 */
/* Home directories: which one is meant, and what the built-in rules hide in it. */
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sandbox.h"
#include "settings.h"

/* HOME, else the password file's; resolved, because rules compare resolved paths. */
int sandbox_find_home(struct sandbox *s, struct err *e)
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
	s->home = sandbox_keep(s, real);
	return s->home ? 0 : sandbox_oom(e);
}

/* The entries of a directory: most built-in names are not there, and one listing is cheaper than asking for each. */
struct listing {
	char dir[LIMIT_PATH], real[LIMIT_PATH]; /* as the rules name it, and where that leads */
	bool resolved;
	unsigned char names[8192]; /* a length, the name, a length … */
	size_t used;
	bool whole;
};

/* Return: false when not all names fit. */
static bool list_some(struct listing *l, const char *buf, long n)
{
	const struct sys_dirent *d;
	size_t len;
	long o = 0;

	while ((d = sys_dirent_next(buf, n, &o))) {
		len = strlen(d->name);
		if (len > 255 || l->used + len + 1 > sizeof(l->names))
			return false;
		l->names[l->used] = (unsigned char)len;
		memcpy(l->names + l->used + 1, d->name, len);
		l->used += len + 1;
	}
	return true;
}

/* @fd: taken; or a negative errno */
static void list(struct listing *l, int dfd)
{
	_cleanup_close_ int fd = dfd;
	SYS_DIRENT_ALIGN char buf[8192];
	long n = -1;

	l->used = 0;
	if (fd < 0) {
		l->whole = fd == -ENOENT || fd == -ENOTDIR; /* then nothing is in it */
		return;
	}
	l->whole = true;
	while (l->whole && (n = sys_getdents(fd, buf, sizeof(buf))) > 0)
		l->whole = list_some(l, buf, n);
	if (n < 0)
		l->whole = false;
}

/* The directory that is the first @n bytes of @path, unless it is listed already: the rules go by directories. */
static void list_parent(struct listing *l, const char *path, size_t n)
{
	int fd;

	if (strncmp(l->dir, path, n) == 0 && !l->dir[n])
		return;
	memcpy(l->dir, path, n);
	l->dir[n] = '\0';
	fd = sys_openat2(AT_FDCWD, l->dir, O_RDONLY | O_DIRECTORY, RESOLVE_NO_SYMLINKS);
	l->resolved = true;
	if (fd >= 0 || fd == -ENOENT || fd == -ENOTDIR) { /* no link is on the way */
		memcpy(l->real, l->dir, n + 1);
	} else {
		l->resolved = jail_host_resolve(l->dir, true, l->real) == 0;
		fd = l->resolved ? sys_openat2(AT_FDCWD, l->real, O_RDONLY | O_DIRECTORY, 0) :
				   -EACCES;
	}
	list(l, fd);
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
static int resolve_builtin(struct sandbox *s, const char *home, size_t index, struct listing *l,
			   struct err *e)
{
	struct policy_rule *rule = &s->policy.rules[index];
	const char *slash = strrchr(rule->path, '/');
	size_t len = (size_t)(slash - rule->path);
	char real[LIMIT_PATH];
	struct stat st;

	if (len > strlen(home)) {
		list_parent(l, rule->path, len);
		if (l->resolved && strcmp(l->dir, l->real) != 0) {
			rule->path = arena_printf(&s->arena, "%s%s", l->real, slash);
			if (!rule->path)
				return err_set(e, ERR_SYSTEM, -ENOMEM, "out of memory");
			rule->len = strlen(rule->path);
			slash = strrchr(rule->path, '/');
		}
		if (l->resolved && !listed(l, slash + 1))
			return 0;
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
	struct listing top, deeper;
	int r = 0;

	if (!home || !home[1])
		return 0;
	list(&top, sys_openat2(AT_FDCWD, home, O_RDONLY | O_DIRECTORY, 0));
	deeper.dir[0] = '\0'; /* none yet */
	deeper.resolved = deeper.whole = false;
	deeper.used = 0;
	for (i = 0; r == 0 && i < n; i++) {
		const struct policy_rule *rule = &s->policy.rules[i];

		if (rule->kind == POLICY_HIDE && rule->len > home_len &&
		    path_covers(home, rule->path) && listed(&top, rule->path + home_len + 1))
			r = resolve_builtin(s, home, i, &deeper, e);
	}
	return r;
}

static bool absolute(const char *variable)
{
	const char *value = getenv(variable);

	return value && value[0] == '/';
}

/*
 * Root's state is kept from other ids by its mode, but not where a grant shows it with mapped owners: who gives /var/lib to the command does not
 * mean to give it the next run's trust.
 */
static bool gives_state(const struct sandbox *s, const char *state)
{
	size_t i;

	for (i = 0; i < s->policy.n; i++) {
		const struct policy_rule *rule = &s->policy.rules[i];

		/* "/" can't be given (jail/plan.c) */
		if (rule->kind == POLICY_ALLOW_WRITE && rule->path[1] &&
		    path_covers(rule->path, state))
			return true;
	}
	return false;
}

int sandbox_builtins(struct sandbox *s, struct err *e)
{
	struct policy_caller c = { .home = s->home,
				   .host_root = s->id.host_uid == 0,
				   .own_only = s->options->front != NULL,
				   .own_proc = s->nested == JAIL_NESTED_SANDBOX };
	const char *dir = getenv("XDG_RUNTIME_DIR");
	char runtime_dir[LIMIT_PATH], state_dir[LIMIT_PATH], config_dir[LIMIT_PATH],
		norm[LIMIT_PATH], owner_home[LIMIT_PATH];
	const uid_t who = s->id.mode == JAIL_IDS_OWNER ? s->id.host_uid : geteuid();
	const struct passwd *pw;
	struct stat st;
	int r;

	if (dir && dir[0] == '/' && path_normalize(dir, "/", NULL, norm, e) == 0 &&
	    jail_host_resolve(norm, true, runtime_dir) == 0)
		c.runtime_dir = runtime_dir;
	/* what is below the home is in the table */
	if ((geteuid() == 0 || absolute("XDG_STATE_HOME")) &&
	    settings_state_dir(s->home, state_dir) == 0 &&
	    (c.host_root || absolute("XDG_STATE_HOME") || gives_state(s, state_dir)))
		c.state_dir = state_dir;
	if (absolute("XDG_CONFIG_HOME") && settings_config_dir(s->home, true, config_dir) == 0)
		c.config_dir = config_dir;
	r = policy_builtin(&s->policy, &c, e);
	if (r == 0)
		r = resolve_builtins(s, s->home, e);
	/* HOME may not be the home of the one the command acts as: root as the workspace's owner, or a HOME that is made up */
	if (r == 0 && (!s->home || stat(s->home, &st) < 0 || st.st_uid != who) &&
	    (pw = getpwuid(who)) && pw->pw_dir && pw->pw_dir[0] == '/' &&
	    path_normalize(pw->pw_dir, "/", NULL, norm, e) == 0 &&
	    jail_host_resolve(norm, true, owner_home) == 0 &&
	    (!s->home || strcmp(owner_home, s->home) != 0)) {
		r = policy_builtin(&s->policy,
				   &(struct policy_caller){ .home = owner_home,
							    .own_only = c.own_only,
							    .own_proc = c.own_proc },
				   e);
		if (r == 0)
			r = resolve_builtins(s, owner_home, e);
	}
	return r;
}
