/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <limits.h>
#include <string.h>

#include "records.h"

struct discard_options {
	bool all;
};

static void fill(struct discard_options *o, struct opt *table)
{
	const struct opt rows[] = {
		OPT_FLAG(
			"all", &o->all, NULL, "Throw away the changes of all runs",
			"Runs that still live are left, and what sandboxes that stay have: name these."),
		OPT_END,
	};

	*o = (struct discard_options){ .all = false };
	memcpy(table, rows, sizeof(rows));
}

static const struct opt *options(void)
{
	static struct discard_options o;
	static struct opt table[2];

	fill(&o, table);
	return table;
}

const struct command_words discard_words = {
	.about =
		"Removes the record of a run, with everything that the run changed in its overlay workspace and that was not applied. "
		"RUN is an ID as 'bailey runs' lists them, or its beginning, or the name of a sandbox that stays and is stopped; without it, the last run whose workspace holds the current directory. "
		"The host's directory stays as it is.",
	.options = options,
	.examples = { { "bailey discard --all", "nothing is left to review" } },
	.statuses = { { "0", "done" },
		      { "2", "wrong options" },
		      { "3", "there is no such run or sandbox" },
		      { "4", "one still lives" } },
};

static int discard(struct records *rs, const char *word, struct buf *out, struct err *e)
{
	struct review r = REVIEW_INIT;
	char id[REVIEW_ID + 1];
	struct named_ref box;
	int ret = records_id(rs, word, id, e);

	if (ret == 0 && !word && records_of_sandbox(id))
		return err_set(
			e, ERR_USAGE, -EINVAL,
			"what was changed here last is in a sandbox that stays: 'bailey discard %s' throws it away",
			named_ref(id, &box) ? box.name : id);
	if (ret == 0)
		ret = records_review(rs, &r, id, true, e);
	if (ret == 1) {
		review_done(&r);
		return records_nothing(rs, false);
	}
	if (ret == 0)
		ret = review_remove(&r, e);
	if (ret == 0)
		buf_printf(out, "discarded %s\n", id);
	review_done(&r);
	return ret;
}

static int discard_one(void *arg, const char *id, struct err *e)
{
	return discard(((void **)arg)[0], id, ((void **)arg)[1], e);
}

int discard_main(char **argv)
{
	struct records rs = { .store = { .fd = -1 } };
	struct discard_options o;
	struct buf out = BUF_INIT(LIMIT_OUTPUT);
	struct opt table[2];
	struct err e = ERR_INIT;
	size_t rest = 0;
	bool dashes;
	int r;

	fill(&o, table);
	r = opt_parse(table, argv, &rest, &dashes, &e);
	argv += rest;
	if (r == 0 && o.all && argv[0])
		r = err_set(&e, ERR_USAGE, -EINVAL, "--all is about all runs; leave '%.100s' out",
			    argv[0]);
	/* before the first is removed */
	for (rest = 0; r == 0 && argv[rest]; rest++) {
		if (!records_is(argv[rest]))
			r = err_set(
				&e, argv[rest][0] == '-' ? ERR_USAGE : ERR_ABSENT, -ENOENT,
				"'%.100s' is no sandbox, and no ID of a run (bailey runs lists them); options come before it",
				argv[rest]);
	}
	if (r == 0) {
		r = records_open(&rs, &e);
		if (r == 0 && o.all)
			r = records_each_over(&rs, LONG_MAX, discard_one, (void *[]){ &rs, &out },
					      &e);
		else if (r == 0)
			do
				r = discard(&rs, *argv, &out, &e);
			while (r == 0 && *argv && *++argv);
		records_done(&rs);
	}
	if (out.len && cli_print(&out) != 0 && r == 0)
		r = 125;
	buf_done(&out);
	return r < 0 ? records_fail(r, &e) : r;
}
