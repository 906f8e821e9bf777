/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. First every change gets its fate; one conflict, and nothing at all is changed. Then, in this order: what is new or different, directories
 * before what they hold; what git's names stand on (objects) before the names; what is removed, from the leaves; what takes a directory's place; the modes of
 * directories, which may shut us out. Whoever is interrupted begins again: what is equal by then is no change any more, so the rest is applied.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "apply-file.h"
#include "journal.h"
#include "walk.h"

static bool covered(const char *const *paths, const char *path)
{
	for (; paths && *paths; paths++) {
		if (path_covers(*paths, path))
			return true;
	}
	return false;
}

/* Whether one of the paths lies in the directory @path, which must be there then. */
static bool leads(const char *const *paths, const char *path)
{
	for (; paths && *paths; paths++) {
		if (path_covers(path, *paths))
			return true;
	}
	return false;
}

static bool forced(const struct review *r, const struct review_apply *a,
		   const struct review_change *c)
{
	char path[LIMIT_PATH];

	return a->force && review_path(r, c, path) == 0 && covered(a->force, path);
}

static enum review_fate fate_of(const struct review *r, const struct review_apply *a,
				const struct review_change *c)
{
	char path[LIMIT_PATH];
	bool dir = S_ISDIR(c->new_mode) && c->kind != REVIEW_MODE;

	if (review_path(r, c, path) < 0)
		return REVIEW_REFUSED;
	if (a->paths && !covered(a->paths, path) && !(dir && leads(a->paths, path)))
		return REVIEW_LEFT;
	if (c->refused)
		return REVIEW_REFUSED;
	if (c->conflict && !covered(a->force, path))
		return REVIEW_CONFLICT;
	if (c->row && c->row->class == POLICY_PROTECT && !covered(a->yes, path))
		return REVIEW_PROTECTED;
	return REVIEW_DONE;
}

static size_t find(const struct review_changes *c, size_t tree, const char *path)
{
	size_t lo = 0, hi = c->n, mid;
	int r;

	while (lo < hi) {
		mid = (lo + hi) / 2;
		r = c->v[mid].tree != tree ? (c->v[mid].tree < tree ? -1 : 1) :
					     path_compare(c->v[mid].path, path);
		if (r == 0)
			return mid;
		if (r < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return c->n;
}

/* A directory can't go while something in it stays, and nothing can be put where its directory is not. */
static void bind_dirs(const struct review_changes *c, enum review_fate *fate)
{
	char path[LIMIT_PATH], *slash;
	size_t i, k;

	for (i = c->n; i-- > 0;) {
		if (fate[i] == REVIEW_DONE || c->v[i].kind != REVIEW_DELETED)
			continue;
		memcpy(path, c->v[i].path, strlen(c->v[i].path) + 1);
		while ((slash = strrchr(path, '/'))) {
			*slash = '\0';
			k = find(c, c->v[i].tree, path);
			if (k == c->n || !S_ISDIR(c->v[k].old_mode))
				break;
			if (fate[k] == REVIEW_DONE && c->v[k].kind != REVIEW_MODE)
				fate[k] = fate[i];
		}
	}
	for (i = 0; i < c->n; i++) {
		memcpy(path, c->v[i].path, strlen(c->v[i].path) + 1);
		slash = strrchr(path, '/');
		if (fate[i] != REVIEW_DONE || c->v[i].kind == REVIEW_DELETED || !slash)
			continue;
		*slash = '\0';
		k = find(c, c->v[i].tree, path);
		if (k < c->n && fate[k] != REVIEW_DONE &&
		    (c->v[k].kind == REVIEW_ADDED || c->v[k].kind == REVIEW_TYPE))
			fate[i] = fate[k];
	}
}

enum step { STEP_PUT, STEP_PUT_GIT, STEP_DELETE, STEP_REPLACE, STEP_CLOSE, STEP_NUM };

/* Names of a git repository: what they say must be there before they say it. */
static bool git_name(const struct review_change *c, bool git_tree)
{
	const char *rest = git_tree ? c->path : c->git ? c->path + c->git : "";

	if (!c->git || S_ISDIR(c->new_mode))
		return false;
	rest += *rest == '/';
	return strncmp(rest, "objects/", 8) != 0;
}

/* Whether something is to be done with @c in @step. */
static bool due(const struct review *r, const struct review_change *c, enum step step)
{
	bool to_dir = S_ISDIR(c->new_mode), from_dir = S_ISDIR(c->old_mode);
	bool put = c->kind != REVIEW_DELETED && !(from_dir && !to_dir) &&
		   !(c->kind == REVIEW_MODE && to_dir);

	switch (step) {
	case STEP_PUT:
		return put && !git_name(c, r->record.trees[c->tree].git);
	case STEP_PUT_GIT:
		return put && git_name(c, r->record.trees[c->tree].git);
	case STEP_DELETE:
		return c->kind == REVIEW_DELETED;
	case STEP_REPLACE:
		return c->kind != REVIEW_DELETED && from_dir && !to_dir;
	case STEP_CLOSE:
		return c->kind != REVIEW_DELETED && to_dir;
	case STEP_NUM:
		break;
	}
	return false;
}

static int one(struct applier *ap, const struct review *r, const struct review_apply *a,
	       const struct review_change *c, enum step step)
{
	bool force = forced(r, a, c);

	if (step == STEP_DELETE)
		return apply_delete(ap, c, force);
	if (step == STEP_CLOSE || c->kind == REVIEW_MODE)
		return apply_mode(ap, c, force);
	return apply_put(ap, c, force);
}

static void failed(const struct review *r, struct review_apply *a, const struct review_change *c,
		   size_t i, int err)
{
	char path[LIMIT_PATH];

	a->fate[i] = REVIEW_FAILED;
	if (a->why[0])
		return;
	if (review_path(r, c, path) < 0)
		path[0] = '\0';
	if (err == -EUCLEAN)
		(void)snprintf(a->why, sizeof(a->why),
			       "'%.120s': renamed without end; what was there may be '" JOURNAL_TEMP
			       "%s' beside it",
			       path, r->record.id);
	else
		(void)snprintf(a->why, sizeof(a->why), "'%.120s': %s", path,
			       err == -ESTALE ? "the host changed it this moment" : strerror(-err));
}

static int apply_tree(const struct review *r, const struct review_changes *c,
		      struct review_apply *a, struct applier *ap, size_t tree)
{
	size_t k, i;
	int step, err;

	for (step = 0; step < STEP_NUM; step++) {
		bool backwards = step == STEP_DELETE || step == STEP_CLOSE;

		for (k = 0; k < c->n; k++) {
			i = backwards ? c->n - 1 - k : k;
			if (c->v[i].tree != tree || a->fate[i] != REVIEW_DONE ||
			    !due(r, &c->v[i], (enum step)step))
				continue;
			err = one(ap, r, a, &c->v[i], (enum step)step);
			if (err == -ENOSPC || err == -EDQUOT || err == -EIO || err == -EROFS) {
				failed(r, a, &c->v[i], i, err);
				return err; /* the rest would fail as well */
			}
			if (err < 0)
				failed(r, a, &c->v[i], i, err);
		}
	}
	/* the record may be removed after this, so it must be on the disk */
	return syncfs(ap->t->host) < 0 ? -errno : 0;
}

static int apply_all(struct review *r, const struct review_changes *c, struct review_apply *a,
		     struct err *e)
{
	struct applier ap = { .root = geteuid() == 0 };
	struct walk_tree t;
	size_t i;
	int err = journal_begin(&ap.journal, r->dir, r->record.id);

	if (err < 0) {
		journal_end(&ap.journal, false);
		return err_sys(e, err, "record of run %s", r->record.id);
	}
	for (i = 0; err == 0 && i < r->record.n_trees; i++) {
		err = walk_open(r, i, &t, e);
		if (err < 0)
			break;
		ap.t = &t;
		err = apply_tree(r, c, a, &ap, i);
		walk_close(&t);
		if (err < 0)
			err = err_set(e, ERR_SYSTEM, err,
				      "applied in part, and can be applied again: %s",
				      a->why[0] ? a->why : strerror(-err));
	}
	journal_end(&ap.journal, true);
	return err;
}

int review_apply(struct review *r, const struct review_changes *c, struct review_apply *a,
		 struct err *e)
{
	size_t i;
	int err = 0;

	a->fate = calloc(c->n + 1, sizeof(*a->fate));
	if (!a->fate)
		return err_set(e, ERR_SYSTEM, -ENOMEM, "out of memory for the changes of a run");
	memset(a->count, 0, sizeof(a->count));
	a->why[0] = '\0';
	for (i = 0; i < c->n; i++)
		a->fate[i] = fate_of(r, a, &c->v[i]);
	bind_dirs(c, a->fate);
	for (i = 0; i < c->n; i++)
		a->count[a->fate[i]]++;
	if (a->count[REVIEW_CONFLICT] || a->dry_run || !a->count[REVIEW_DONE])
		return 0;
	err = apply_all(r, c, a, e);
	memset(a->count, 0, sizeof(a->count));
	for (i = 0; i < c->n; i++)
		a->count[a->fate[i]]++;
	return err;
}

const char *review_fate_name(enum review_fate f)
{
	static const char *const names[REVIEW_FATE_NUM] = { "left",      "applied", "conflict",
							    "protected", "refused", "failed" };

	return f < REVIEW_FATE_NUM ? names[f] : "?";
}
