/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. A name is judged before it is made, by its path alone and by what the directory holds that would get it (docs/adr/0023). The
 * table speaks of names below a place: each directory on the way to the name may be such a place. A directory may be made, also one whose name only begins a
 * name of the table (".vscode"); a link of that name may not, and a directory that is moved there may not when it brings the rest.
 *
 * A directory becomes a git directory when HEAD, objects and refs are in it. So these are refused where a name waits that git would obey then;
 * and such names where the three are.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store.h"

struct made {
	const struct guard_names *g;
	const char *path; /* of the name */
	enum jail_make what;
	int dir, from;
};

/* Whether @dir holds @path, or a link on the way there, that may lead anywhere. Name by name: openat2 is refused to the maker. */
static bool holds(int dir, const char *path)
{
	_cleanup_close_ int at = fcntl(dir, F_DUPFD_CLOEXEC, 3);
	char name[256];
	struct stat st;
	size_t n;
	int next;

	for (;;) {
		n = strcspn(path, "/");
		if (at < 0 || n >= sizeof(name))
			return true;
		memcpy(name, path, n);
		name[n] = '\0';
		if (fstatat(at, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			return errno != ENOENT && errno != ENOTDIR;
		if (!path[n] || S_ISLNK(st.st_mode))
			return true;
		next = openat(at, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		cleanup_close(&at);
		at = next;
		path += n + 1;
	}
}

/* Whether the thing, whose name is @done in some place, is or brings @name of that place. */
static bool is_or_brings(const struct made *m, const char *done, const char *name)
{
	const size_t n = strlen(name), len = strlen(done);

	if (strncasecmp(done, name, n) == 0 && (done[n] == '\0' || done[n] == '/'))
		return true;
	if (strncasecmp(done, name, len) != 0 || name[len] != '/')
		return false;
	return m->what == JAIL_MAKE_LINK ||
	       (m->what == JAIL_MAKE_TREE && (m->from < 0 || holds(m->from, name + len + 1)));
}

/* Whether the directory, the first @len bytes of the path, is a git directory, or becomes one as its submodules' do. */
static bool is_git_dir(const struct made *m, size_t len)
{
	static const char *const parts[] = { "HEAD", "objects", "refs" };
	char path[LIMIT_PATH + 16];
	struct stat st;
	size_t i;

	memcpy(path, m->path, len);
	path[len] = '\0';
	if (len > 5 && strncasecmp(m->path + len - 5, "/.git", 5) == 0)
		return true;
	if (strcasestr(path, "/.git/modules/"))
		return true;
	for (i = 0; i < ARRAY_SIZE(parts); i++) {
		(void)snprintf(path + len, sizeof(path) - len, "/%s", parts[i]);
		if (lstat(path, &st) < 0)
			return false;
	}
	return true;
}

/* worktrees/NAME/ROW of a git directory; @done begins in that. */
static const struct policy_protected *in_worktree(const struct made *m, const char *done)
{
	static const char word[] = "worktrees";
	const struct policy_protected *row = NULL;
	const char *rest;

	if (strncasecmp(done, word, sizeof(word) - 1) != 0)
		return NULL;
	done += sizeof(word) - 1;
	/* whoever moves these, or puts a link there, moves what is in them: nothing of git's does that */
	if (!*done || (*done == '/' && !strchr(done + 1, '/')))
		return m->what == JAIL_MAKE_LINK || m->what == JAIL_MAKE_TREE ?
			       policy_protected_next(POLICY_IN_WORKTREE, NULL) :
			       NULL;
	rest = *done == '/' ? strchr(done + 1, '/') : NULL;
	while (rest && (row = policy_protected_next(POLICY_IN_WORKTREE, row))) {
		if (is_or_brings(m, rest + 1, row->name))
			return row;
	}
	return NULL;
}

static const struct policy_protected *in_place(const struct made *m, enum policy_place place,
					       const char *done)
{
	const struct policy_protected *row = NULL;

	while ((row = policy_protected_next(place, row))) {
		if (is_or_brings(m, done, row->name))
			return row;
	}
	return NULL;
}

/* What git would obey in the directory @dir, were it a git directory. */
static const struct policy_protected *waits(int dir)
{
	const struct policy_protected *row = NULL;

	while ((row = policy_protected_next(POLICY_IN_GIT, row))) {
		if (holds(dir, row->name))
			return row;
	}
	return holds(dir, "worktrees") ? policy_protected_next(POLICY_IN_WORKTREE, NULL) : NULL;
}

/* Names of any directory, but not what is in a .git, which has rows of its own. */
static const struct policy_protected *in_any(const struct made *m, const char *done)
{
	const struct policy_protected *row = NULL;

	while ((row = policy_protected_next(POLICY_IN_ANY, row))) {
		if (strcmp(row->name, ".git") != 0) {
			if (is_or_brings(m, done, row->name))
				return row;
		} else if (strcasecmp(done, ".git") == 0) {
			if (m->what == JAIL_MAKE_FILE || m->what == JAIL_MAKE_LINK)
				return row;
			if (m->what == JAIL_MAKE_TREE)
				return m->from < 0 ? row : waits(m->from);
		}
	}
	return NULL;
}

/* The last of the three that make a git directory. */
static const struct policy_protected *completes(const struct made *m, const char *name)
{
	static const char *const parts[] = { "HEAD", "objects", "refs" };
	struct stat st;
	size_t i;
	bool one = false;

	for (i = 0; i < ARRAY_SIZE(parts); i++)
		one = one || strcasecmp(name, parts[i]) == 0;
	if (!one || fstatat(m->dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0)
		return NULL; /* it was there before */
	for (i = 0; i < ARRAY_SIZE(parts); i++) {
		if (strcasecmp(name, parts[i]) != 0 &&
		    fstatat(m->dir, parts[i], &st, AT_SYMLINK_NOFOLLOW) < 0)
			return NULL;
	}
	return waits(m->dir);
}

/* The rows that speak of a name below the first @len bytes of the path. */
static const struct policy_protected *below(const struct made *m, size_t len, bool root)
{
	const char *done = m->path + len + 1;
	const struct policy_protected *row = in_any(m, done), *git;
	const char *home = m->g->protect->home;

	if (row)
		return row;
	if (home && strlen(home) == len && strncmp(home, m->path, len) == 0) {
		row = in_place(m, POLICY_IN_HOME, done);
		if (!row)
			row = in_place(m, POLICY_IN_DOTFILES, done);
		if (row)
			return row;
	}
	git = in_place(m, POLICY_IN_GIT, done);
	if (!git)
		git = in_worktree(m, done);
	if (!git && root)
		git = in_place(m, POLICY_IN_SHARED, done);
	return git && is_git_dir(m, len) ? git : NULL;
}

/* Of what is writable and stays: how long its path is. Return: 0: @path is in nothing of that kind. */
static size_t root_of(const struct policy *policy, const char *path, size_t n)
{
	size_t i, len = 0;

	for (i = 0; i < policy->n; i++) {
		const struct policy_rule *rule = &policy->rules[i];

		if (rule->kind == POLICY_ALLOW_WRITE && rule->path[1] && rule->len < n &&
		    policy_rule_covers(rule, path, n) && (!len || rule->len < len))
			len = rule->len;
	}
	return policy_copy(policy, path) ? 0 : len;
}

/* What --unprotect lifts may be made. */
static bool in_force(const struct policy *policy, const struct made *m,
		     const struct policy_protected *row)
{
	struct arena arena = ARENA_INIT(LIMIT_ARENA);
	struct err e = ERR_INIT;
	struct policy_verdict v;
	struct policy with;
	bool yes = true;
	size_t i;
	int r = 0;

	policy_init(&with, &arena);
	for (i = 0; r == 0 && i < policy->n; i++)
		r = policy_add_static(&with, policy->rules[i].kind, policy->rules[i].layer,
				      policy->rules[i].path, policy->rules[i].origin, &e);
	if (r == 0)
		r = policy_add_static(&with, POLICY_DENY_WRITE, POLICY_BUILTIN, m->path,
				      row->origin, &e);
	policy_seal(&with);
	if (r == 0) {
		v = policy_eval(&with, m->path);
		yes = v.state != POLICY_SHOW_RW;
	}
	arena_done(&arena);
	return yes;
}

/* A denial of what was not there at the start. */
static const char *absent(const struct made *m)
{
	const struct jail_protect *pr = m->g->protect;
	const struct jail_plan *plan = m->g->plan;
	size_t i;

	for (i = 0; i < plan->n_absent; i++) {
		if (is_or_brings(m, m->path, plan->absent[i].path))
			return plan->absent[i].origin;
	}
	for (i = 0; i < pr->n_missing; i++) {
		if (is_or_brings(m, m->path, pr->missing[i].path) &&
		    in_force(m->g->policy, m, pr->missing[i].row))
			return policy_protected_what(pr->missing[i].row);
	}
	return NULL;
}

const char *guard_refuses(const void *arg, int dir, const char *path, const char *name,
			  enum jail_make what, int from)
{
	const struct guard_names *g = arg;
	const struct policy_protected *row = NULL;
	char full[LIMIT_PATH];
	const struct made m = { .g = g, .path = full, .what = what, .dir = dir, .from = from };
	const int n = snprintf(full, sizeof(full), "%s/%s", path[1] ? path : "", name);
	size_t root, len;
	const char *why;

	if (n >= LIMIT_PATH)
		return "a path that is too long"; /* no rule can speak of it */
	root = root_of(g->policy, full, (size_t)n);
	if (!root)
		return NULL;
	why = absent(&m);
	if (why)
		return why;
	for (len = root; !row && len < (size_t)n; len += 1 + strcspn(full + len + 1, "/"))
		row = below(&m, len, len == root);
	if (!row)
		row = completes(&m, name);
	return row && in_force(g->policy, &m, row) ? policy_protected_what(row) : NULL;
}
