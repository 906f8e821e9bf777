/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>
#include <time.h>

#include "records.h"

struct runs_options {
	bool json;
};

static void fill(struct runs_options *o, struct opt *table)
{
	const struct opt rows[] = {
		OPT_FLAG(
			"json", &o->json, NULL, "Print an array of objects",
			"Keys: id, state (ended, live, broken), start (RFC 3339), command (an array), cwd, workspaces (an array)."),
		OPT_END,
	};

	*o = (struct runs_options){ .json = false };
	memcpy(table, rows, sizeof(rows));
}

static const struct opt *options(void)
{
	static struct runs_options o;
	static struct opt table[2];

	fill(&o, table);
	return table;
}

const struct command_words runs_words = {
	.about =
		"Lists the runs that have changes of an overlay workspace to be reviewed, oldest first: the ID, whether the run still lives, when it "
		"began, the workspace and the command. A run without changes leaves no record.",
	.options = options,
	.examples = { { "bailey runs", "what is still to be reviewed" },
		      { "bailey runs --json", "for scripts" } },
	.statuses = { { "0", "printed" } },
};

struct listing {
	struct buf out;
	struct json j;
	bool json;
};

static const char *state_name(enum review_state s)
{
	static const char *const names[] = {
		[REVIEW_ENDED] = "ended", [REVIEW_LIVE] = "live", [REVIEW_BROKEN] = "broken"
	};

	return names[s];
}

static void list_json(struct listing *l, const struct review_record *r, const char *state,
		      const char *start)
{
	const char *const *arg;
	size_t i;

	json_open(&l->j, NULL, '{');
	json_str(&l->j, "id", r->id);
	json_str(&l->j, "state", state);
	json_str(&l->j, "start", r->argv ? start : NULL);
	json_open(&l->j, "command", '[');
	for (arg = r->argv; arg && *arg; arg++)
		json_str(&l->j, NULL, *arg);
	json_close(&l->j, ']');
	json_str(&l->j, "cwd", r->cwd);
	json_open(&l->j, "workspaces", '[');
	for (i = 0; i < r->n_trees; i++) {
		if (!r->trees[i].git)
			json_str(&l->j, NULL, r->trees[i].path);
	}
	json_close(&l->j, ']');
	json_close(&l->j, '}');
}

static int list_one(void *arg, struct review *r, struct err *e)
{
	struct listing *l = arg;
	const char *state = state_name(r->state), *const * word;
	char start[40];
	struct tm tm;

	(void)e;
	if (!gmtime_r(&r->record.start.tv_sec, &tm))
		memset(&tm, 0, sizeof(tm));
	(void)strftime(start, sizeof(start), "%Y-%m-%dT%H:%M:%SZ", &tm);
	if (l->json) {
		list_json(l, &r->record, state, start);
		return 0;
	}
	buf_printf(&l->out, "%s  %-6s  %s  ", r->record.id, state,
		   r->record.argv ? start : "                    ");
	buf_quote(&l->out, r->record.n_trees ? r->record.trees[0].path : r->why);
	buf_puts(&l->out, " ");
	for (word = r->record.argv; word && *word; word++) {
		buf_puts(&l->out, " ");
		buf_quote(&l->out, *word);
	}
	buf_puts(&l->out, "\n");
	return 0;
}

int runs_main(char **argv)
{
	struct records rs = { .store = { .fd = -1 } };
	struct listing l = { .out = BUF_INIT(LIMIT_OUTPUT) };
	struct runs_options o;
	struct opt table[2];
	struct err e = ERR_INIT;
	size_t rest = 0;
	bool dashes;
	int r;

	fill(&o, table);
	l.j.out = &l.out;
	r = opt_parse(table, argv, &rest, &dashes, &e);
	if (r == 0 && argv[rest])
		r = err_set(
			&e, ERR_USAGE, -E2BIG,
			"'%.100s' is one word too many: bailey runs [OPTIONS]; to see one: bailey diff RUN",
			argv[rest]);
	l.json = o.json;
	if (r == 0) {
		if (o.json)
			json_open(&l.j, NULL, '[');
		r = records_open(&rs, &e);
		if (r == 0)
			r = review_list(&rs.store, list_one, &l, &e);
		records_done(&rs);
		if (o.json) {
			json_close(&l.j, ']');
			buf_puts(&l.out, "\n");
		}
	}
	if (r == 0 && l.out.len)
		r = cli_print(&l.out);
	buf_done(&l.out);
	return r < 0 ? cli_fail(&e) : r;
}
