/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "records.h"

struct apply_options {
	struct opt_list yes, force;
	bool dry_run, json;
};

#define APPLY_OPTIONS 6

static void fill(struct apply_options *o, struct opt *table)
{
	const struct opt rows[] = {
		OPT_LIST("yes", &o->yes, NULL, "PATH",
			 "Apply PATH although the host executes or obeys it later",
			 "Git hooks and configuration, editor tasks, agents' settings and the like are left out unless PATH, which may be a "
			 "directory, names them. May be given several times."),
		OPT_LIST(
			"force", &o->force, NULL, "PATH",
			"Take the run's version of PATH although the host has changed it",
			"What the host has at PATH is lost. PATH may be a directory. May be given several times."),
		OPT_FLAG("dry-run", &o->dry_run, NULL, "Say what would be done; change nothing",
			 "The exit status is what it would be."),
		OPT_FLAG(
			"json", &o->json, NULL, "Print an array of objects",
			"Keys: path, tree, change, state (applied, conflict, protected, refused, failed, left), why."),
		OPT_END,
	};

	*o = (struct apply_options){ .json = false };
	memcpy(table, rows, sizeof(rows));
}

static const struct opt *options(void)
{
	static struct apply_options o;
	static struct opt table[APPLY_OPTIONS];

	fill(&o, table);
	return table;
}

const struct command_words apply_words = {
	.about =
		"Takes over to the host what a run changed in its overlay workspace: all of it, or what lies at each PATH. "
		"RUN is an ID as 'bailey runs' lists them, or its beginning; without it, the last run whose workspace holds the current directory. "
		"In the place of RUN may stand the name of a sandbox that stays, which must be stopped. A first word that could be a RUN, or names a sandbox, is one; write ./WORD for a PATH.\n\n"
		"When the host has changed one of these files since the run began, nothing at all is applied. "
		"Each file is replaced in one step, so that an interrupted apply leaves the old or the new one, and can be repeated. "
		"When everything is applied, the record of the run is removed.",
	.options = options,
	.examples = { { "bailey apply --dry-run", "what would be done" },
		      { "bailey apply --dry-run src --force src/main.c",
			"a part, and of one file the run's version in any case" } },
	.statuses = { { "0", "all that was asked for is applied" },
		      { "1",
			"something was left: it is in conflict, needs --yes, or can't be applied" },
		      { "2", "wrong options" },
		      { "3", "there is no such run or sandbox" },
		      { "4", "it still lives" } },
};

/* Words that are paths, normalised and resolved as the trees are. @n of them. Return: a NULL-terminated array, or NULL with @e. */
static const char **paths(struct records *rs, const char *const *words, size_t n, struct err *e)
{
	const char **v = arena_alloc(&rs->s.arena, (n + 1) * sizeof(*v));
	char norm[LIMIT_PATH], real[LIMIT_PATH];
	size_t i;

	if (!v)
		(void)err_set(e, ERR_SYSTEM, -ENOMEM, "out of memory");
	for (i = 0; v && i < n; i++) {
		if (path_normalize(words[i], rs->cwd, rs->s.home, norm, e) < 0)
			return NULL;
		if (jail_host_resolve(norm, false, real) < 0)
			memcpy(real, norm, strlen(norm) + 1);
		v[i] = arena_strdup(&rs->s.arena, real);
		if (!v[i]) {
			(void)err_set(e, ERR_SYSTEM, -ENOMEM, "out of memory");
			return NULL;
		}
	}
	return v;
}

static const char **listed(struct records *rs, const struct opt_list *l, struct err *e)
{
	const char **words = arena_alloc(&rs->s.arena, (l->n + 1) * sizeof(*words));
	size_t i;

	for (i = 0; words && i < l->n; i++)
		words[i] = l->v[i].value;
	return words ? paths(rs, words, l->n, e) : NULL;
}

static const char *why(const struct review_change *c, enum review_fate fate)
{
	switch (fate) {
	case REVIEW_CONFLICT:
		return c->conflict ? c->conflict : "something in it is in conflict";
	case REVIEW_REFUSED:
		return c->refused ? c->refused : "something in it can't be applied";
	case REVIEW_PROTECTED:
		return c->row ? policy_protected_what(c->row) : "something in it is protected";
	case REVIEW_FAILED:
		return "the host changed it this moment, or it could not be written";
	default:
		return NULL;
	}
}

/* What people and agents read or run on request: applied without a word, and said. */
static const char *flagged(const struct review_change *c)
{
	return c->row && c->row->class == POLICY_FLAG ? policy_protected_what(c->row) : NULL;
}

/* One conflict holds up all the others (review_apply()). */
static const char *state_name(const struct review_apply *a, enum review_fate fate)
{
	if (fate != REVIEW_DONE)
		return review_fate_name(fate);
	return a->count[REVIEW_CONFLICT] ? review_fate_name(REVIEW_LEFT) :
	       a->dry_run                ? "would apply" :
					   review_fate_name(fate);
}

static void print_json(const struct review *r, const struct review_changes *c,
		       const struct review_apply *a, struct buf *b)
{
	struct json j = { .out = b };
	size_t i;

	json_open(&j, NULL, '[');
	for (i = 0; i < c->n; i++) {
		json_open(&j, NULL, '{');
		json_str(&j, "path", c->v[i].path);
		json_str(&j, "tree", r->record.trees[c->v[i].tree].path);
		json_str(&j, "change", review_kind_name(c->v[i].kind));
		json_str(&j, "state", state_name(a, a->fate[i]));
		json_str(&j, "why",
			 a->fate[i] == REVIEW_DONE && a->count[REVIEW_CONFLICT] ?
				 "others are in conflict" :
				 why(&c->v[i], a->fate[i]));
		json_str(&j, "flag", flagged(&c->v[i]));
		json_close(&j, '}');
	}
	json_close(&j, ']');
	buf_puts(b, "\n");
}

/* What was left, a line each with the way on, and what is flagged; in a dry run, also what would be applied. */
static void print_text(const struct review *r, const struct review_changes *c,
		       const struct review_apply *a, struct buf *b)
{
	static const char *const ways[REVIEW_FATE_NUM] = {
		[REVIEW_CONFLICT] = "to take the run's version: bailey apply --force ",
		[REVIEW_PROTECTED] = "to apply it: bailey apply --yes ",
	};
	char path[LIMIT_PATH];
	size_t i;

	for (i = 0; i < c->n; i++) {
		enum review_fate fate = a->fate[i];

		if (fate == REVIEW_LEFT ||
		    (fate == REVIEW_DONE && !a->dry_run && !flagged(&c->v[i])) ||
		    review_path(r, &c->v[i], path) < 0)
			continue;
		buf_printf(b, "%s: ",
			   fate == REVIEW_DONE ? review_kind_name(c->v[i].kind) :
						 review_fate_name(fate));
		buf_quote(b, path);
		if (why(&c->v[i], fate))
			buf_printf(b, ": %s", why(&c->v[i], fate));
		if (fate == REVIEW_DONE && flagged(&c->v[i]))
			buf_printf(b, ": %s; look at it", flagged(&c->v[i]));
		if (ways[fate]) {
			buf_printf(b, "; %s", ways[fate]);
			text_shell(b, path);
			buf_printf(b, " %s ", r->record.id);
			text_shell(
				b,
				path); /* that alone: else all that is left would be applied, too */
		}
		buf_puts(b, "\n");
	}
	if (a->why[0]) {
		buf_puts(b, "the first that failed: ");
		buf_quote(b, a->why);
		buf_puts(b, "\n");
	}
	if (a->count[REVIEW_CONFLICT])
		buf_printf(b, "nothing was applied: %zu of %zu changes of run %s are in conflict\n",
			   a->count[REVIEW_CONFLICT], c->n, r->record.id);
	else
		buf_printf(b, "%s %zu of %zu changes of run %s\n",
			   a->dry_run ? "would apply" : "applied", a->count[REVIEW_DONE], c->n,
			   r->record.id);
}

static int report(struct review *r, const struct review_changes *c, const struct review_apply *a,
		  bool json, struct err *e)
{
	struct buf b = BUF_INIT(LIMIT_REVIEW_ARENA);
	int ret = 0;

	if (!a->dry_run && a->count[REVIEW_DONE] == c->n)
		ret = review_remove(r, e);
	if (json)
		print_json(r, c, a, &b);
	else
		print_text(r, c, a, &b);
	if (ret == 0)
		ret = cli_print(&b);
	buf_done(&b);
	if (ret == 0 && (a->count[REVIEW_CONFLICT] || a->count[REVIEW_PROTECTED] ||
			 a->count[REVIEW_REFUSED] || a->count[REVIEW_FAILED]))
		ret = 1;
	return ret;
}

/* A path at which nothing was changed is a slip of the hand. */
static int check_paths(const struct review *r, const struct review_changes *c,
		       const char *const *paths, struct err *e)
{
	char path[LIMIT_PATH];
	size_t i;

	for (; paths && *paths; paths++) {
		for (i = 0; i < c->n; i++) {
			if (review_path(r, &c->v[i], path) == 0 &&
			    (path_covers(*paths, path) || path_covers(path, *paths)))
				break;
		}
		if (i == c->n)
			return err_set(
				e, ERR_USAGE, -ENOENT,
				"run %s changed nothing at '%s'; 'bailey diff --name-only' lists what it changed",
				r->record.id, *paths);
	}
	return 0;
}

static int apply(struct records *rs, const struct apply_options *o, const char *word,
		 char *const *rest, struct err *e)
{
	struct review_changes c = REVIEW_CHANGES_INIT;
	struct review_host host = { .home = NULL };
	struct review r = REVIEW_INIT;
	struct review_apply a = { .dry_run = o->dry_run };
	char id[REVIEW_ID + 1];
	size_t n = 0;
	int ret = records_id(rs, word, id, e);

	while (rest[n])
		n++;
	if (ret == 0 && n && !(a.paths = paths(rs, (const char *const *)rest, n, e)))
		ret = -EINVAL;
	if (ret == 0 &&
	    (!(a.yes = listed(rs, &o->yes, e)) || !(a.force = listed(rs, &o->force, e))))
		ret = -EINVAL;
	if (ret == 0)
		ret = records_review(rs, &r, id, !o->dry_run, e);
	if (ret == 1) {
		review_done(&r);
		return records_nothing(rs, o->json);
	}
	if (ret == 0)
		ret = records_host(rs, &r, &host, e);
	if (ret == 0)
		ret = review_walk(&r, &host, &c, e);
	if (ret == 0)
		ret = check_paths(&r, &c, a.paths, e);
	if (ret == 0)
		ret = review_apply(&r, &c, &a, e);
	if (ret == 0)
		ret = report(&r, &c, &a, o->json, e);
	free(a.fate);
	review_changes_done(&c);
	review_done(&r);
	return ret;
}

int apply_main(char **argv)
{
	struct records rs = { .store = { .fd = -1 } };
	struct apply_options o;
	struct opt table[APPLY_OPTIONS];
	struct err e = ERR_INIT;
	const char *word = NULL;
	size_t rest = 0;
	bool dashes;
	int r;

	fill(&o, table);
	r = opt_parse(table, argv, &rest, &dashes, &e);
	argv += rest;
	for (rest = 0; r == 0 && !dashes && argv[rest]; rest++) {
		if (argv[rest][0] == '-' && argv[rest][1])
			r = err_set(
				&e, ERR_USAGE, -EINVAL,
				"'%.100s' stands after RUN or PATH; options come before them, and a file of that name is './%.100s'",
				argv[rest], argv[rest]);
	}
	if (r == 0 && argv[0] && records_is(argv[0]))
		word = *argv++;
	if (r == 0) {
		r = records_open(&rs, &e);
		if (r == 0)
			r = apply(&rs, &o, word, argv, &e);
		records_done(&rs);
	}
	opt_list_done(&o.yes);
	opt_list_done(&o.force);
	return r < 0 ? records_fail(r, &e) : r;
}
