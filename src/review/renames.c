/* SPDX-License-Identifier: Apache-2.0 */
/* What was removed in one place and is byte for byte in another was renamed. */
#include <errno.h>
#include <string.h>

#include "walk.h"

#define TRIES 32 /* files of one size that are compared with one that is new */

/* Order by tree, size and name. */
static int by_size(const void *va, const void *vb)
{
	const struct review_change *a = *(struct review_change *const *)va,
				   *b = *(struct review_change *const *)vb;

	if (a->tree != b->tree)
		return a->tree < b->tree ? -1 : 1;
	if (a->old_size != b->old_size)
		return a->old_size < b->old_size ? -1 : 1;
	return path_compare(a->path, b->path);
}

static const char *base(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

static bool equal(const struct walk_tree *t, const struct review_change *old,
		  const struct review_change *new)
{
	_cleanup_close_ int a = walk_file(t->host, old->path), b = walk_file(t->upper, new->path);

	return a >= 0 && b >= 0 && walk_same(a, b) == 1;
}

/* The first of @gone that may be what @new was. */
static size_t first(struct review_change *const *gone, size_t n, const struct review_change *new)
{
	size_t lo = 0, hi = n, mid;

	while (lo < hi) {
		mid = (lo + hi) / 2;
		if (gone[mid]->tree < new->tree ||
		    (gone[mid]->tree == new->tree &&gone[mid]->old_size < new->new_size))
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static void pair(const struct walk_tree *t, struct review_change **gone, size_t n,
		 struct review_change *new)
{
	size_t from = first(gone, n, new), i;
	int same_base;

	/* one that has kept its name, if there is such a one */
	for (same_base = 1; same_base >= 0; same_base--) {
		for (i = from; i < n && i < from + TRIES &&
			       gone[i]->tree == new->tree &&gone[i]->old_size == new->new_size;
		     i++) {
			if (gone[i]->moved ||
			    (strcmp(base(gone[i]->path), base(new->path)) == 0) != same_base ||
			    !equal(t, gone[i], new))
				continue;
			gone[i]->moved = true;
			new->from = gone[i];
			new->kind = REVIEW_RENAMED;
			return;
		}
	}
}

int review_renames(const struct review *r, struct review_changes *c, struct err *e)
{
	struct review_change **gone = malloc((c->n + 1) * sizeof(struct review_change *));
	struct walk_tree t = { .upper = -1, .host = -1 };
	size_t i, n = 0, tree = (size_t)-1;
	int ret = 0;

	if (!gone)
		return err_set(e, ERR_SYSTEM, -ENOMEM, "out of memory for the changes of a run");
	for (i = 0; i < c->n; i++) {
		if (c->v[i].kind == REVIEW_DELETED && S_ISREG(c->v[i].old_mode) &&
		    c->v[i].old_size > 0)
			gone[n++] = &c->v[i];
	}
	if (n > 1)
		qsort(gone, n, sizeof(struct review_change *), by_size);
	for (i = 0; ret == 0 && n && i < c->n; i++) {
		struct review_change *new = &c->v[i];

		if (new->kind != REVIEW_ADDED || !S_ISREG(new->new_mode) || new->new_size == 0 ||
		    new->refused)
			continue;
		if (new->tree != tree) {
			walk_close(&t);
			ret = walk_open(r, new->tree, &t, e);
			tree = new->tree;
		}
		if (ret == 0)
			pair(&t, gone, n, new);
	}
	walk_close(&t);
	free(gone);
	return ret;
}
