/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which changes are of what the host executes or obeys later: the table of policy/protect.h, by names. Inside of a run nothing of it is protected, because the
 * host sees nothing; here it is. A link that stands where a directory of such a name is expected counts as that name: it would lead to files that
 * have other names.
 */
#include "names.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Whether @rest is the name of @row (in any case: the host's file system may fold), lies in it, or is a link in the place of a directory on the way to it. */
static bool is_name(const char *name, const char *rest, bool dir)
{
	size_t n = strlen(name), m = strlen(rest);

	if (strncasecmp(rest, name, n) == 0 && (!rest[n] || rest[n] == '/'))
		return true;
	return !dir && m < n && name[m] == '/' && strncasecmp(name, rest, m) == 0;
}

/* The row of @place that @rest is about; `protect` before `flag`. */
static const struct policy_protected *match(enum policy_place place, const char *rest, bool dir)
{
	const struct policy_protected *rows, *flag = NULL;
	size_t n, i;

	rows = policy_protected(&n);
	for (i = 0; i < n; i++) {
		if (rows[i].place != place || !is_name(rows[i].name, rest, dir))
			continue;
		if (rows[i].class == POLICY_PROTECT)
			return &rows[i];
		if (!flag)
			flag = &rows[i];
	}
	return flag;
}

static const struct policy_protected *stronger(const struct policy_protected *a,
					       const struct policy_protected *b)
{
	if (!a || !b)
		return a ? a : b;
	return b->class == POLICY_PROTECT && a->class != POLICY_PROTECT ? b : a;
}

/* The component after the one at @s, or NULL. */
static const char *next(const char *s)
{
	s = strchr(s, '/');
	return s ? s + 1 : NULL;
}

/* @rest is in a git directory. */
static const struct policy_protected *in_git(const char *rest, bool shared, mode_t type)
{
	const struct policy_protected *row = NULL;
	const bool dir = S_ISDIR(type);
	const char *s, *after;

	/* git makes none there: it could lead anywhere */
	if (S_ISLNK(type))
		return policy_protected_next(POLICY_IN_ANY, NULL);
	if (strncasecmp(rest, "worktrees/", 10) == 0) {
		s = next(rest + 10);
		return s ? match(POLICY_IN_WORKTREE, s, dir) : NULL;
	}
	if (shared)
		row = match(POLICY_IN_SHARED, rest, dir);
	if (strncasecmp(rest, "modules/", 8) != 0)
		return stronger(row, match(POLICY_IN_GIT, rest, dir));
	/* git directories, whose names have any number of slashes */
	for (s = next(rest); s; s = next(s)) {
		row = stronger(row, match(POLICY_IN_GIT, s, dir));
		after = strncasecmp(s, "worktrees/", 10) == 0 ? next(s + 10) : NULL;
		if (after)
			row = stronger(row, match(POLICY_IN_WORKTREE, after, dir));
	}
	return row;
}

const struct policy_protected *review_names_protected(const char *path, bool git_tree, mode_t type,
						      size_t *ret_git)
{
	const struct policy_protected *row = NULL;
	const char *s, *after;
	bool dir = S_ISDIR(type);

	*ret_git = 0;
	if (git_tree) {
		*ret_git = 1;
		return in_git(path, true, type);
	}
	for (s = path; s; s = after) {
		after = next(s);
		if (strncasecmp(s, ".git", 4) == 0 && (!s[4] || s[4] == '/')) {
			*ret_git = (size_t)(s - path) + 4;
			if (after)
				return stronger(row, in_git(after, false, type));
			if (dir)
				return row;
		}
		row = stronger(row, match(POLICY_IN_ANY, s, dir));
	}
	return row;
}

/* Whether the run's version, or what the host would have after some of it was taken over, has @dir/@name. */
static bool there(const struct walk_tree *t, const char *dir, const char *name)
{
	char path[LIMIT_PATH];
	struct stat st;
	size_t n = strlen(dir);
	int fd;
	bool found;

	if (n + strlen(name) + 2 > sizeof(path))
		return true;
	memcpy(path, dir, n);
	if (n)
		path[n++] = '/';
	memcpy(path + n, name, strlen(name) + 1);
	fd = walk_at(t->upper, path, O_PATH | O_NOFOLLOW);
	found = fd >= 0 && fstat(fd, &st) == 0 && !WHITEOUT(&st);
	cleanup_close(&fd);
	if (found)
		return true;
	fd = walk_at(t->host, path, O_PATH | O_NOFOLLOW);
	cleanup_close(&fd);
	return fd >= 0;
}

/* A directory of any name that git would take for a repository: its configuration names programs. */
static const struct policy_protected *in_bare(const struct walk_tree *t, const char *path, bool dir)
{
	static const char *const parts[] = { "HEAD", "objects", "refs" };
	const struct policy_protected *row;
	const char *s;
	char at[LIMIT_PATH];
	size_t n, i;

	for (s = path; s; s = next(s)) {
		row = match(POLICY_IN_GIT, s, dir);
		if (row && row->class != POLICY_PROTECT)
			row = NULL;
		for (i = 0; !row && i < ARRAY_SIZE(parts); i++) {
			if (strcasecmp(parts[i], s) == 0) /* with it the rest comes to life */
				row = match(POLICY_IN_GIT, "config", false);
		}
		if (!row)
			continue;
		n = s == path ? 0 : (size_t)(s - path) - 1;
		memcpy(at, path, n);
		at[n] = '\0';
		if (there(t, at, "HEAD") && ((there(t, at, "objects") && there(t, at, "refs")) ||
					     there(t, at, "commondir")))
			return row;
	}
	return NULL;
}

#define NAMED_MAX 256

/*
 * Paths that have no protected name themselves: a link that has such a name leads to them. What a git configuration names, and what is
 * there, the caller has found by the search that a run begins with, so that both agree.
 */
struct named {
	struct {
		char *path; /* relative to the tree */
		const struct policy_protected *row;
	} v[NAMED_MAX];
	size_t n;
};

static void named_add(struct named *l, const char *tree, const char *base, const char *value,
		      const char *home, const struct policy_protected *row)
{
	char norm[LIMIT_PATH];
	size_t n = strlen(tree);

	if (l->n == NAMED_MAX || !value[0] || path_normalize(value, base, home, norm, NULL) < 0 ||
	    !path_covers(tree, norm) || !norm[n])
		return;
	l->v[l->n].path = strdup(norm + n + (tree[1] ? 1 : 0));
	l->v[l->n].row = row;
	if (l->v[l->n].path)
		l->n++;
}

/* Where @name in @dir leads to, when links are on the way; what is not there yet, too. */
static void named_follow(struct named *l, const char *tree, const char *dir, const char *name,
			 const struct policy_protected *row)
{
	char path[LIMIT_PATH], head[LIMIT_PATH], real[PATH_MAX], whole[LIMIT_PATH];
	size_t n = strlen(dir), m;
	char *slash;

	if (n == 1)
		n = 0;
	if (n + strlen(name) + 2 > sizeof(path))
		return;
	memcpy(path, dir, n);
	path[n] = '/';
	memcpy(path + n + 1, name, strlen(name) + 1);
	memcpy(head, path, strlen(path) + 1);
	while (!realpath(head, real)) {
		slash = strrchr(head, '/');
		if (slash <= head + n)
			return;
		*slash = '\0';
	}
	if (strcmp(real, head) == 0)
		return;
	m = strlen(head);
	if (snprintf(whole, sizeof(whole), "%s%s", real, path + m) < (int)sizeof(whole))
		named_add(l, tree, "/", whole, NULL, row);
}

static void named_links(struct named *l, const struct review_tree *tree, const char *home)
{
	const struct policy_protected *row;
	char git[LIMIT_PATH];
	bool has_git = strlen(tree->path) + 6 <= sizeof(git);

	if (has_git) {
		memcpy(git, tree->path, strlen(tree->path) + 1);
		if (!tree->git)
			memcpy(git + strlen(git), "/.git", 6);
	}
	for (row = NULL; has_git && (row = policy_protected_next(POLICY_IN_GIT, row));)
		named_follow(l, tree->path, git, row->name, row);
	for (row = NULL; !tree->git && (row = policy_protected_next(POLICY_IN_ANY, row));)
		named_follow(l, tree->path, tree->path, row->name, row);
	for (row = NULL; home && (row = policy_protected_next(POLICY_IN_HOME, row));)
		named_follow(l, tree->path, home, row->name, row);
	for (row = NULL; home && (row = policy_protected_next(POLICY_IN_DOTFILES, row));)
		named_follow(l, tree->path, home, row->name, row);
}

static const struct policy_protected *in_named(const struct named *l, const char *path, bool dir)
{
	size_t i;

	for (i = 0; i < l->n; i++) {
		if (is_name(l->v[i].path, path, dir))
			return l->v[i].row;
	}
	return NULL;
}

/* What the search on the host has found, or what a configuration names and is not there yet. */
static const struct policy_protected *in_host(const struct review_host *host, const char *tree,
					      const char *path, bool dir)
{
	const struct policy_protected *row = NULL;
	const size_t n = tree[1] ? strlen(tree) : 0;
	size_t i;

	for (i = 0; i < host->n_named; i++) {
		const char *named = host->named[i].path;

		if (path_covers(tree, named) && named[n] == '/' &&
		    is_name(named + n + 1, path, dir))
			row = stronger(row, host->named[i].row);
	}
	return row;
}

/* A start-up file of the home directory, when that is in the tree. */
static const struct policy_protected *in_home(const char *tree, const char *path, const char *home,
					      bool dir)
{
	char abs[2 * LIMIT_PATH];
	size_t n = strlen(tree), h = home ? strlen(home) : 0;
	const char *rest;

	if (!h || h == 1)
		return NULL;
	if (n == 1)
		n = 0;
	memcpy(abs, tree, n);
	abs[n] = '/';
	memcpy(abs + n + 1, path, strlen(path) + 1);
	if (!path_covers(home, abs) || !abs[h])
		return NULL;
	rest = abs + h + 1;
	return stronger(match(POLICY_IN_HOME, rest, dir), match(POLICY_IN_DOTFILES, rest, dir));
}

void names_classify(const struct review *r, size_t i, const struct walk_tree *t,
		    const struct review_host *host, struct review_changes *c)
{
	const char *home = host->home;
	const struct review_tree *tree = &r->record.trees[i];
	struct named named = { .n = 0 };
	size_t k;

	named_links(&named, tree, home);
	for (k = 0; k < c->n; k++) {
		struct review_change *v = &c->v[k];
		mode_t type = v->new_mode ? v->new_mode : v->old_mode;
		bool dir = S_ISDIR(type);

		if (v->tree != i)
			continue;
		if (strcmp(v->path, ".") == 0) {
			v->git = tree->git;
			continue;
		}
		v->row = review_names_protected(v->path, tree->git, type, &v->git);
		if (!v->git && (!v->row || v->row->class != POLICY_PROTECT))
			v->row = stronger(v->row, in_bare(t, v->path, dir));
		v->row = stronger(v->row, in_home(tree->path, v->path, home, dir));
		v->row = stronger(v->row, in_named(&named, v->path, dir));
		v->row = stronger(v->row, in_host(host, tree->path, v->path, dir));
	}
	for (k = 0; k < named.n; k++)
		free(named.v[k].path);
}
