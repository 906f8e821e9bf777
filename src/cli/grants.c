/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. What a run may write, it may fill with links for the next one: a link that lies in the current directory, a workspace or
 * another writable tree must not turn the words of a grant into a grant of something else. So the name of each grant is walked as the kernel does,
 * part by part, and each link on the way is noted with the place where it lies, by whatever names that was reached. They are judged when all rules
 * are known, because the order of options says nothing.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "sandbox.h"

#define FOLLOWED 40 /* links of one name, as in the kernel */

struct sandbox_link {
	const char *at;   /* where it lies */
	const char *name; /* of the grant */
	const char *real; /* the place that the name leads to */
	const char *where;
	bool unprotects; /* within one tree, too, it must not lead to what is protected */
	struct sandbox_link *next;
};

static int note(struct sandbox *s, const struct sandbox_link *found, struct err *e)
{
	struct sandbox_link *l = arena_alloc(&s->arena, sizeof(*l));

	if (!l)
		return sandbox_oom(e);
	*l = (struct sandbox_link){ .at = sandbox_keep(s, found->at),
				    .name = sandbox_keep(s, found->name),
				    .real = sandbox_keep(s, found->real),
				    .where = sandbox_keep(s, found->where),
				    .unprotects = found->unprotects,
				    .next = s->links };
	if (!l->at || !l->name || !l->real || !l->where)
		return sandbox_oom(e);
	s->links = l;
	return 0;
}

/* @text, then @rest, as what is left to walk. */
static int go_on(char *left, const char *text, const char *rest)
{
	char all[2 * LIMIT_PATH];
	const int n = snprintf(all, sizeof(all), "%s/%s", text, rest);

	if (n >= LIMIT_PATH)
		return -ENAMETOOLONG;
	memcpy(left, all, (size_t)n + 1);
	return 0;
}

/* Walk @found's name; @at: LIMIT_PATH bytes, where it has led. Return: 0 or negative errno; of note() with @e. */
static int walk(struct sandbox *s, struct sandbox_link *found, char *at, struct err *e)
{
	char left[LIMIT_PATH], text[LIMIT_PATH], *part, *rest;
	size_t len = 0, n, links = 0;
	ssize_t got;
	int r = 0;

	memcpy(left, found->name, strlen(found->name) + 1);
	while (r == 0 && *(part = left + strspn(left, "/"))) {
		n = strcspn(part, "/");
		rest = part + n;
		*text = '\0';
		if (n == 2 && memcmp(part, "..", 2) == 0) {
			while (len > 0 && at[--len] != '/')
				;
		} else if (n > 1 || *part != '.') {
			if (len + n + 2 > LIMIT_PATH)
				return -ENAMETOOLONG;
			at[len] = '/';
			memcpy(at + len + 1, part, n);
			at[len + 1 + n] = '\0';
			got = readlink(at, text, sizeof(text) - 1);
			if (got > 0) {
				text[got] = '\0';
				found->at = at;
				r = ++links > FOLLOWED ? -ELOOP : note(s, found, e);
			}
			if (got <= 0)
				len += n + 1;
			else if (*text == '/')
				len = 0;
		}
		at[len] = '\0';
		if (r == 0)
			r = go_on(left, text, rest);
	}
	if (len == 0)
		memcpy(at, "/", 2);
	return r;
}

int sandbox_note_links(struct sandbox *s, const char *norm, const char *real, const char *where,
		       bool unprotects, struct err *e)
{
	struct sandbox_link found = {
		.name = norm, .real = real, .where = where, .unprotects = unprotects
	};
	char at[LIMIT_PATH] = "";
	int r;

	if (strcmp(norm, real) == 0)
		return 0; /* no link was followed */
	r = walk(s, &found, at, e);
	if (r == -ENOMEM)
		return r;
	if (r < 0 || strcmp(at, real) != 0)
		return err_set(e, ERR_POLICY, r < 0 ? r : -EAGAIN,
			       "%s '%s': what it leads to changes while it is looked at", where,
			       norm);
	return 0;
}

static int judge_link(const char *tree, const struct sandbox_link *l, struct err *e)
{
	if (!path_covers(tree, l->at))
		return 0;
	if (!path_covers(tree, l->real))
		return err_set(
			e, ERR_POLICY, -ELOOP,
			"%s '%s': a symlink leads out of '%s', to '%s'; if that is meant, name it itself",
			l->where, l->name, tree, l->real);
	return l->unprotects ?
		       err_set(e, ERR_POLICY, -ELOOP,
			       "%s '%s': a symlink leads to '%s'; if that is meant, name it itself",
			       l->where, l->name, l->real) :
		       0;
}

int sandbox_judge_links(const struct sandbox *s, const char *cwd, struct err *e)
{
	const struct sandbox_link *l;
	size_t i;
	int r = 0;

	for (l = s->links; r == 0 && l; l = l->next) {
		r = judge_link(cwd, l, e);
		for (i = 0; r == 0 && i < s->n_workspaces; i++)
			r = judge_link(s->workspaces[i], l, e);
		for (i = 0; r == 0 && i < s->policy.n; i++) {
			if (s->policy.rules[i].kind == POLICY_ALLOW_WRITE)
				r = judge_link(s->policy.rules[i].path, l, e);
		}
	}
	return r;
}
