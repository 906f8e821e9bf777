/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "records.h"

struct diff_options {
	bool stat, names, json, all, rootfs;
};

#define DIFF_OPTIONS 7

static void fill(struct diff_options *o, struct opt *table)
{
	const struct opt rows[] = {
		OPT_FLAG("stat", &o->stat, NULL,
			 "Print a line and the number of lines for each file",
			 "What kind of change it is, and marks: [flag], [protected], [conflict]."),
		OPT_FLAG(
			"name-only", &o->names, NULL, "Print the names of what was changed",
			"Names with special characters are quoted as git does. Marks are what --stat has."),
		OPT_FLAG(
			"json", &o->json, NULL, "Print an array of objects",
			"Keys: path, tree, change (added, modified, deleted, renamed, mode, type), from, old_mode, new_mode, flag, protect, conflict, "
			"refused, git, binary, additions, deletions. What does not apply is null."),
		OPT_FLAG(
			"all", &o->all, NULL, "Print what is inside of git directories, too",
			"Without it the inside of each .git is one line, but for what the host executes of it."),
		OPT_FLAG(
			"rootfs", &o->rootfs, NULL,
			"Show what a sandbox changed in a root file system of its own",
			"There is none yet: outside of its workspaces a sandbox sees the host's files, read-only, and private directories that end with it. So this is an error."),
		OPT_END,
	};

	*o = (struct diff_options){ .json = false };
	memcpy(table, rows, sizeof(rows));
}

static const struct opt *options(void)
{
	static struct diff_options o;
	static struct opt table[DIFF_OPTIONS];

	fill(&o, table);
	return table;
}

const struct command_words diff_words = {
	.about =
		"Shows how the run's version of its overlay workspace differs from what the host has now, as a patch that 'git apply' takes. "
		"RUN is an ID as 'bailey runs' lists them, or its beginning, or the name of a sandbox that stays; without it, the last run whose workspace holds the current directory.\n\n"
		"Lines that begin with # say what a patch can't: directories, conflicts with what the host changed since the run began, "
		"files that the host executes or obeys later, binary files, and what is inside of a .git, which git apply never writes. Where there is nothing else, git apply wants --allow-empty. On a terminal control characters are made visible.",
	.options = options,
	.examples = { { "bailey diff --stat", "what the last run here changed, a line a file" },
		      { "bailey diff --json", "for scripts" } },
	.statuses = { { "0", "printed, also when there is no difference" },
		      { "2", "wrong options" },
		      { "3", "there is no such run or sandbox" },
		      { "4", "the sandbox runs" } },
};

static int put(struct buf *b)
{
	int r = cli_print(b);

	b->len = 0;
	return r;
}

static bool want_colour(void)
{
	const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");

	return isatty(1) && !(no_color && *no_color) && term && *term && strcmp(term, "dumb") != 0;
}

static int diff(struct records *rs, const struct diff_options *o, const char *word, struct err *e)
{
	struct review_changes c = REVIEW_CHANGES_INIT;
	struct review_host host = { .home = NULL };
	struct review r = REVIEW_INIT;
	struct review_print p = { .form = o->json  ? REVIEW_JSON :
					  o->stat  ? REVIEW_STAT :
					  o->names ? REVIEW_NAMES :
						     REVIEW_PATCH,
				  .all = o->all,
				  .terminal = isatty(1),
				  .colour = want_colour(),
				  .put = put };
	char id[REVIEW_ID + 1];
	int ret = records_id(rs, word, id, e);

	if (ret == 0)
		ret = records_review(rs, &r, id, false, e);
	if (ret == 1) {
		review_done(&r);
		return o->json ? records_nothing(rs, true) : 0;
	}
	if (ret == 0 && r.state == REVIEW_LIVE)
		(void)fprintf(
			stderr,
			"bailey: notice: %s %s still lives; this is what it has changed so far\n",
			*rs->box.name ? "sandbox" : "run", *rs->box.name ? rs->box.name : id);
	if (ret == 0)
		ret = records_host(rs, &r, &host, e);
	if (ret == 0)
		ret = review_walk(&r, &host, &c, e);
	if (ret == 0)
		ret = review_renames(&r, &c, e);
	if (ret == 0)
		ret = review_diff(&r, &c, &p, e);
	review_changes_done(&c);
	review_done(&r);
	return ret;
}

int diff_main(char **argv)
{
	struct records rs = { .store = { .fd = -1 } };
	struct diff_options o;
	struct opt table[DIFF_OPTIONS];
	struct err e = ERR_INIT;
	size_t rest = 0;
	bool dashes;
	int r;

	fill(&o, table);
	r = opt_parse(table, argv, &rest, &dashes, &e);
	argv += rest;
	if (r == 0 && argv[0] && argv[1])
		r = err_set(
			&e, ERR_USAGE, -E2BIG,
			argv[1][0] == '-' ?
				"'%.100s' stands after RUN; options come before it: bailey diff [OPTIONS] [RUN]" :
				"'%.100s' is one word too many: bailey diff [OPTIONS] [RUN]",
			argv[1]);
	if (r == 0 && o.rootfs)
		r = err_set(
			&e, ERR_USAGE, -EOPNOTSUPP,
			"--rootfs: no sandbox has a root file system of its own yet: outside of its workspaces all is the host's, read-only, or private and gone when it stops");
	if (r == 0 && o.stat + o.names + o.json > 1)
		r = err_set(&e, ERR_USAGE, -EINVAL,
			    "--stat, --name-only and --json contradict each other: choose one");
	if (r == 0) {
		r = records_open(&rs, &e);
		if (r == 0)
			r = diff(&rs, &o, argv[0], &e);
		records_done(&rs);
	}
	return r < 0 ? records_fail(r, &e) : r;
}
