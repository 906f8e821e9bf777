/* SPDX-License-Identifier: Apache-2.0 */
/* Overlay workspaces: where a run keeps what it changes, and what is said of it at its end. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "live.h"
#include "records.h"
#include "sandbox.h"
#include "settings.h"

/* Whether files of the id @of on the disk have one in the sandbox: what jail/maps.c gives a mount. */
static bool has_id(const struct jail_identity *id, unsigned int of, bool gid)
{
	const unsigned int base = gid ? id->base_gid : id->base;

	if (id->mode == JAIL_IDS_BLOCK)
		return of < JAIL_BLOCK_SIZE;
	if (jail_identity_rooted(id) && of >= base && of - base < JAIL_BLOCK_SIZE - 1)
		return true;
	if (id->mode == JAIL_IDS_KEPT)
		return of == (gid ? id->disk_gid : id->disk_uid);
	return of == (gid ? id->host_gid : id->host_uid);
}

/* Files of other ids can't be copied for the command (EOVERFLOW). */
static void warn_of_ids(struct sandbox *s, const char *path)
{
	struct stat st;

	if (stat(path, &st) < 0 ||
	    (has_id(&s->id, st.st_uid, false) && has_id(&s->id, st.st_gid, true)))
		return;
	sandbox_notice(
		s,
		"'%s' belongs to another user or group: such files can't be changed in an overlay workspace (EOVERFLOW)",
		path);
}

/* The copies of the plan, workspaces first. Return: how many. */
static size_t find_trees(struct sandbox *s, struct review_tree *trees)
{
	size_t i, n = 0;
	int git;

	for (git = 0; git < 2; git++) {
		for (i = 0; i < s->plan.n && n < LIMIT_REVIEW_TREES; i++) {
			struct jail_op *op = &s->plan.ops[i];

			if (op->type != JAIL_OP_COPY ||
			    (op->rule->layer == POLICY_BUILTIN) != (git == 1))
				continue;
			trees[n++] = (struct review_tree){ .path = op->path, .git = git };
			warn_of_ids(s, op->path);
		}
	}
	return n;
}

/* Tell the plan where the layers of each copy are. */
static int fill_plan(struct run *run, struct sandbox *s, struct err *e)
{
	const struct review_record *r = &run->record.record;
	char path[LIMIT_PATH];
	size_t i, k;

	for (i = 0; i < s->plan.n; i++) {
		struct jail_op *op = &s->plan.ops[i];

		if (op->type != JAIL_OP_COPY)
			continue;
		for (k = 0; k < r->n_trees && strcmp(r->trees[k].path, op->path) != 0; k++)
			;
		if (k == r->n_trees)
			return err_set(e, ERR_USAGE, -E2BIG, "more than %d overlay workspaces",
				       LIMIT_REVIEW_TREES);
		if (review_layer(&run->store, &run->record, k, path) < 0)
			return err_set(e, ERR_USAGE, -ENAMETOOLONG,
				       "the path of the state is too long");
		op->store = sandbox_keep(s, path);
		if (!op->store)
			return sandbox_oom(e);
	}
	return 0;
}

/* A copy of what holds its own layers would be a copy of itself; the kernel calls that undefined. */
static int check_overlap(const struct review_tree *trees, size_t n, const char *store,
			 struct err *e)
{
	size_t i;

	for (i = 0; i < n; i++) {
		if (path_covers(trees[i].path, store) || path_covers(store, trees[i].path))
			return err_set(
				e, ERR_POLICY, -EINVAL,
				"'%s' can't be an overlay workspace: its changes would be kept in '%s', which it holds; set "
				"XDG_STATE_HOME to a directory elsewhere",
				trees[i].path, store);
	}
	return 0;
}

/* @store: LIMIT_PATH bytes, for where it is kept. Return: how many copies there are, or negative errno with @e. */
static int find(struct sandbox *s, struct review_tree **trees, char *store, struct err *e)
{
	size_t n;
	int r;

	*trees = arena_alloc(&s->arena, LIMIT_REVIEW_TREES * sizeof(**trees));
	if (!*trees)
		return sandbox_oom(e);
	n = find_trees(s, *trees);
	r = n ? records_path(s->home, store, e) : 0;
	if (n && r == 0)
		r = check_overlap(*trees, n, store, e);
	return r < 0 ? r : (int)n;
}

int overlay_check(struct sandbox *s, struct err *e)
{
	struct review_tree *trees;
	char path[LIMIT_PATH];
	int n = find(s, &trees, path, e);

	return n < 0 ? n : 0;
}

int overlay_keeps(struct sandbox *s, const struct named_box *box, struct err *e)
{
	struct review_record as = { .n_trees = 0 };
	struct review_tree *trees;
	char path[LIMIT_PATH];
	int n = find(s, &trees, path, e);

	if (n < 0)
		return n;
	as.trees = trees;
	as.n_trees = (size_t)n;
	return records_keep(box, &as, e);
}

/* What the record of a sandbox that stays says of its command: it has many. Return: words, or NULL. */
static char *const *words_of(struct sandbox *s, const char *id)
{
	char **v = arena_alloc(&s->arena, 4 * sizeof(*v));

	if (!v)
		return NULL;
	v[0] = sandbox_keep(s, "bailey");
	v[1] = sandbox_keep(s, "exec");
	v[2] = sandbox_keep(s, id);
	return v[0] && v[1] && v[2] ? v : NULL;
}

int overlay_begin(struct run *run, char *const *argv, struct err *e)
{
	struct sandbox *s = supervise_sandbox(run);
	const bool owner = s->id.mode == JAIL_IDS_OWNER;
	const uid_t uid = owner ? s->id.host_uid : (uid_t)-1;
	const char *id = live_id(run);
	struct review_tree *trees;
	char path[LIMIT_PATH];
	int n = find(s, &trees, path, e), r = 0;

	if (n <= 0 || !trees)
		return n;
	if (id && !(argv = words_of(s, id)))
		return sandbox_oom(e);
	if (settings_make_dirs(path) < 0)
		r = err_sys(
			e, -errno,
			"'%s', where the changes of an overlay workspace are kept (XDG_STATE_HOME can name another place)",
			path);
	if (r == 0)
		r = review_store_open(&run->store, path, e);
	if (r < 0)
		return r;
	run->record.record = (struct review_record){ .cwd = s->cwd,
						     .argv = (const char *const *)argv,
						     .trees = trees,
						     .n_trees = (size_t)n };
	r = id ? review_resume(&run->store, &run->record, id, uid, s->id.host_gid, e) :
		 review_begin(&run->store, &run->record, uid, s->id.host_gid, e);
	return r < 0 ? r : fill_plan(run, s, e);
}

static void say_changes(struct run *run, const struct review_changes *c,
			void (*say)(const char *line))
{
	const struct review_record *r = &run->record.record;
	struct buf b = BUF_INIT(2ul * LIMIT_PATH);
	char counts[256];

	records_counts(c, counts, sizeof(counts));
	buf_printf(&b, "run %s changed '", r->id);
	buf_quote(&b, r->trees[0].path);
	buf_printf(&b, "' in its copy: %s; bailey diff %s, bailey apply %s or bailey discard %s",
		   counts, r->id, r->id, r->id);
	if (!b.failed)
		say(b.data);
	buf_done(&b);
}

void overlay_end(struct run *run, void (*say)(const char *line))
{
	const struct sandbox *s = supervise_sandbox(run);
	struct review_changes c = REVIEW_CHANGES_INIT;
	struct review r = REVIEW_INIT;
	struct err e = ERR_INIT;
	char line[640];
	int ret;

	if (run->record.begun) {
		/* the lock stays ours until the record is kept or gone */
		r.store = &run->store;
		r.record = run->record.record;
		r.dir = run->record.lock;
		ret = review_walk(&r, &(struct review_host){ .home = s->home }, &c, &e);
		if (ret == 0 && c.n == 0) {
			review_drop(&run->store, &run->record);
		} else {
			if (ret == 0)
				say_changes(run, &c, say);
			(void)snprintf(line, sizeof(line), "run %s: %s", r.record.id, e.msg);
			if (ret < 0)
				say(line);
			review_keep(&run->store, &run->record);
		}
		review_changes_done(&c);
	}
	review_store_done(&run->store);
}
