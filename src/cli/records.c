/* SPDX-License-Identifier: Apache-2.0 */
#include "records.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sandbox.h"
#include "settings.h"
#include "stay.h"
#include "store/store.h"

int records_path(const char *home, char *out, struct err *e)
{
	char dir[LIMIT_PATH];

	if (settings_state_dir(home, dir) < 0)
		return err_set(e, ERR_USAGE, -ENOENT, "HOME is not set to an absolute path");
	if (snprintf(out, LIMIT_PATH, "%s/runs", dir) >= LIMIT_PATH)
		return err_set(e, ERR_USAGE, -ENAMETOOLONG, "the path of the state is too long");
	return 0;
}

/* A root inside has left files of its own ids. */
static int remove_with_ids(int dir, const char *name)
{
	struct jail_identity id = { .lock = -1 };
	struct err e = ERR_INIT;
	int r = stay_look(0, &id, &e);

	return r < 0 ? r : stay_forget(dir, name, &id);
}

int records_open(struct records *rs, struct err *e)
{
	char path[LIMIT_PATH];
	int r;

	*rs = (struct records){ .s = { .arena = ARENA_INIT(LIMIT_ARENA), .id = { .lock = -1 } },
				.store = { .fd = -1, .remove = remove_with_ids } };
	if (!getcwd(rs->cwd, sizeof(rs->cwd)))
		return err_sys(e, -errno, "current directory");
	r = sandbox_find_home(&rs->s, e);
	if (r == 0)
		r = records_path(rs->s.home, path, e);
	return r < 0 ? r : review_store_open(&rs->store, path, e);
}

void records_done(struct records *rs)
{
	review_store_done(&rs->store);
	sandbox_done(&rs->s);
}

bool records_is(const char *word)
{
	struct named_ref box;

	return review_is_id(word) || named_ref(word, &box);
}

int records_id(struct records *rs, const char *word, char *id, struct err *e)
{
	rs->box.name[0] = '\0';
	if (word && named_ref(word, &rs->box)) {
		(void)snprintf(id, REVIEW_ID + 1, "%s", rs->box.id);
		return 0;
	}
	if (word && !review_is_id(word))
		return err_set(
			e, ERR_ABSENT, -ENOENT,
			"'%.100s' is no sandbox, and no ID of a run, which has %d to %d hexadecimal digits (bailey runs lists them)",
			word, REVIEW_ID_LEAST, REVIEW_ID);
	return review_find(&rs->store, word, rs->cwd, id, e);
}

int records_review(struct records *rs, struct review *r, const char *id, bool change, struct err *e)
{
	const char *name = rs->box.name;
	struct err own = ERR_INIT;
	int ret = review_open(r, &rs->store, id, change, *name ? &own : e);

	if (!*name || ret == 0)
		return ret;
	if (ret == -ENOENT && rs->box.copies)
		return 1;
	if (ret == -ENOENT)
		return err_set(
			e, ERR_USAGE, ret,
			"sandbox '%s' has no overlay workspace: what its commands change is the host's at once (bailey create NAME DIR:overlay makes one)",
			name);
	if (ret == -EBUSY)
		return err_set(
			e, ERR_USAGE, ret,
			"sandbox '%s' runs, and may write what is to be read (or another command works on it); first: bailey stop %s",
			name, name);
	return err_set(e, ERR_SYSTEM, ret, "sandbox '%s': %s", name, own.msg);
}

int records_fail(int r, const struct err *e)
{
	const int status = cli_fail(e);

	return r == -EBUSY && e->code == ERR_USAGE ? 4 : status;
}

int records_nothing(const struct records *rs, bool json)
{
	struct buf b = BUF_INIT(4096);
	int r;

	if (json)
		buf_puts(&b, "[]\n");
	else
		buf_printf(&b, "sandbox '%s' has changed nothing in its overlay workspaces\n",
			   rs->box.name);
	r = cli_print(&b);
	buf_done(&b);
	return r;
}

/* The sandboxes that stay. Return: 0; an exit status > 0, and the reason was said; negative errno with @e. @ret: NULL: there was never one */
static int boxes(struct named *n, bool quiet, const struct json_node **ret, struct err *e)
{
	int r = named_open(n, e);

	*ret = NULL;
	if (r < 0)
		return r;
	if (faccessat(n->state, STORE_FILE, F_OK, 0) < 0 && errno == ENOENT)
		return named_kept(n, e);
	n->quiet = quiet;
	return named_list(n, ret, e);
}

static bool has(const struct json_node *list, const char *id)
{
	const struct json_node *v = list ? list->first : NULL;

	while (v && !(json_text(v, "id") && strcmp(json_text(v, "id"), id) == 0))
		v = v->next;
	return v;
}

bool records_of_sandbox(const char *id)
{
	struct named n = { .state = -1, .runtime = -1 };
	struct err e = ERR_INIT;
	const struct json_node *list;
	bool ret = boxes(&n, true, &list, &e) != 0 || has(list, id);

	named_done(&n);
	return ret;
}

struct over {
	time_t before;
	struct buf ids, of_sandboxes; /* each with its NUL */
};

/* Whether it is of a sandbox that stays: no command of a run knows its ID (overlay.c). */
static bool is_sandboxs(const struct review_record *r)
{
	const char *const *v = r->argv;

	return v && v[0] && v[1] && v[2] && !v[3] && strcmp(v[0], "bailey") == 0 &&
	       strcmp(v[1], "exec") == 0 && strcmp(v[2], r->id) == 0;
}

static int is_over(void *arg, struct review *r, struct err *e)
{
	struct over *o = arg;

	const bool stays = is_sandboxs(&r->record);

	if (r->state == REVIEW_LIVE ||
	    (!stays && r->state == REVIEW_ENDED && r->record.start.tv_sec >= o->before))
		return 0;
	buf_add(stays ? &o->of_sandboxes : &o->ids, r->record.id, strlen(r->record.id) + 1);
	return o->ids.failed || o->of_sandboxes.failed ? err_sys(e, -ENOMEM, "list of runs") : 0;
}

/* Whoever removed it has told the store, and was killed before the end: its changes would have gone next. */
static bool is_being_removed(const struct named *n, const char *id)
{
	char path[64];

	(void)snprintf(path, sizeof(path), "sandboxes/" NAMED_AWAY "%s", id);
	return faccessat(n->state, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

int records_each_over(struct records *rs, time_t before,
		      int (*each)(void *arg, const char *id, struct err *e), void *arg,
		      struct err *e)
{
	struct over o = { .before = before,
			  .ids = BUF_INIT(LIMIT_OUTPUT),
			  .of_sandboxes = BUF_INIT(LIMIT_OUTPUT) };
	struct named n = { .state = -1, .runtime = -1 };
	const struct json_node *list = NULL;
	int r = review_list(&rs->store, is_over, &o, e);
	const char *id;

	/* a sandbox is kept before it has a record: whose record was seen is in a list that is read after that */
	if (r == 0 && (o.ids.len || o.of_sandboxes.len))
		r = boxes(&n, false, &list, e);
	for (id = o.ids.data; r == 0 && id && id < o.ids.data + o.ids.len; id += strlen(id) + 1) {
		if (!has(list, id))
			r = each(arg, id, e);
	}
	for (id = o.of_sandboxes.data;
	     r == 0 && id && id < o.of_sandboxes.data + o.of_sandboxes.len; id += strlen(id) + 1) {
		if (has(list, id))
			continue;
		if (is_being_removed(&n, id))
			r = each(arg, id, e);
		else
			(void)dprintf(
				2,
				"bailey: notice: the changes %s are of a sandbox that is not kept any more, and stay; 'bailey discard %s' throws them away\n",
				id, id);
	}
	named_done(&n);
	buf_done(&o.ids);
	buf_done(&o.of_sandboxes);
	return r;
}

/* What is done with a record that is ours alone. Return: 0, 1, or negative errno with @e. */
typedef int record_fn(struct review *r, const void *arg, struct err *e);

/* Its record, with its changes. Return: 0: it has none; what @fn returned; negative errno with @e. */
static int of_box(const struct named_box *box, record_fn *fn, const void *arg, struct err *e)
{
	struct records rs = { .store = { .fd = -1 } };
	struct err own = ERR_INIT;
	struct review r = REVIEW_INIT;
	int ret = records_open(&rs, e);

	if (ret == 0) {
		ret = review_open(&r, &rs.store, box->id, true, &own);
		if (ret == 0)
			ret = fn(&r, arg, e);
		else if (ret == -ENOENT)
			ret = 0;
		else
			ret = err_set(e, ERR_SYSTEM, ret, "sandbox '%s': %s", box->name, own.msg);
		review_done(&r);
	}
	records_done(&rs);
	return ret;
}

static int is_there(struct review *r, const void *arg, struct err *e)
{
	(void)r;
	(void)arg;
	(void)e;
	return 1;
}

static int remove_it(struct review *r, const void *arg, struct err *e)
{
	(void)arg;
	return review_remove(r, e);
}

static int is_other(struct review *r, const void *arg, struct err *e)
{
	(void)e;
	return r->state == REVIEW_BROKEN || !review_same_trees(&r->record, arg);
}

int records_keep(const struct named_box *box, const struct review_record *as, struct err *e)
{
	int r = of_box(box, is_other, as, e);

	if (r == 1)
		return err_set(
			e, ERR_USAGE, -EBUSY,
			"sandbox '%s' has changes in overlay workspaces, and these words have other ones: bailey diff %s shows them; first: bailey apply %s, or bailey discard %s",
			box->name, box->name, box->name, box->name);
	return r;
}

int records_may_go(const struct named_box *box, const char *verb, bool force, struct err *e)
{
	int r = of_box(box, is_there, NULL, e);

	if (r == 1 && !force)
		return err_set(
			e, ERR_USAGE, -EBUSY,
			"sandbox '%s' has changes in an overlay workspace that nobody has taken over: bailey diff %s shows them; bailey %s --force throws them away",
			box->name, box->name, verb);
	return r < 0 ? r : 0;
}

int records_forget(const struct named_box *box, struct err *e)
{
	return of_box(box, remove_it, NULL, e);
}

int records_host(struct records *rs, const struct review *r, struct review_host *ret, struct err *e)
{
	struct arena *arena = &rs->s.arena;
	struct jail_protect pr = { .home = rs->s.home, .owner = geteuid() };
	struct review_named *named;
	struct policy policy;
	size_t i, n = 0;
	int res = 0;

	policy_init(&policy, arena);
	for (i = 0; res == 0 && i < r->record.n_trees; i++)
		res = policy_add_static(&policy, POLICY_ALLOW_WRITE, POLICY_COMMAND,
					r->record.trees[i].path, "overlay", e);
	if (res == 0)
		res = jail_protect_find(&pr, &policy, e);
	if (res < 0)
		return res;
	named = arena_alloc(arena, (pr.n_found + pr.n_missing + 1) * sizeof(*named));
	if (!named)
		return sandbox_oom(e);
	/* a link on the way is no name that a change could take away unseen: what it leads to is found, too */
	for (i = 0; i < pr.n_found; i++)
		named[n++] = (struct review_named){ pr.found[i].path, pr.found[i].row };
	for (i = 0; i < pr.n_missing; i++)
		named[n++] = (struct review_named){ pr.missing[i].path, pr.missing[i].row };
	*ret = (struct review_host){ .home = rs->s.home, .named = named, .n_named = n };
	return 0;
}

void records_counts(const struct review_changes *c, char *out, size_t size)
{
	size_t count[REVIEW_KIND_NUM] = { 0 }, git = 0, dirs = 0, i, len = 0;

	for (i = 0; i < c->n; i++) {
		const struct review_change *v = &c->v[i];

		if (v->git)
			git++;
		else if (S_ISDIR(v->new_mode ? v->new_mode : v->old_mode))
			dirs++;
		else
			count[v->kind]++;
	}
	out[0] = '\0';
	for (i = 0; i < REVIEW_KIND_NUM; i++) {
		if (count[i])
			len += (size_t)snprintf(out + len, size - len, "%s%zu %s", len ? ", " : "",
						count[i], review_kind_name((enum review_kind)i));
	}
	if (dirs && !len)
		len += (size_t)snprintf(out + len, size - len, "%zu director%s", dirs,
					dirs == 1 ? "y" : "ies");
	if (git)
		(void)snprintf(out + len, size - len, "%s%zu in git directories", len ? ", " : "",
			       git);
}
