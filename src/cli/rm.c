/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

#include "named.h"
#include "records.h"

struct rm_options {
	bool force;
};

static void fill(struct rm_options *o, struct opt *table)
{
	const struct opt rows[] = {
		OPT_FLAG(
			"force", &o->force, NULL,
			"Stop it, if it runs, and throw away what nobody has taken over",
			"Its processes are killed. Without it a sandbox with changes in an overlay workspace stays.",
			OPT_LETTER('f')),
		OPT_END,
	};

	*o = (struct rm_options){ .force = false };
	memcpy(table, rows, sizeof(rows));
}

#define ROWS 2

static const struct opt *options(void)
{
	static struct rm_options o;
	static struct opt table[ROWS];

	fill(&o, table);
	return table;
}

const struct command_words rm_words = {
	.about =
		"Removes sandboxes that do not run, with everything of theirs but their workspaces. " NAMED_SEVERAL,
	.options = options,
	.examples = { { "bailey rm box", "it does not run" },
		      { "bailey rm -f box", "whether it runs or not" } },
	.statuses = { { "0", "removed" },
		      { "3", "there is no such sandbox" },
		      { "4", "one runs, or has changes to be reviewed" },
		      { "2", "wrong options" } },
};

static int rm(struct named *n, const struct named_box *box, const void *arg, struct err *e)
{
	const struct rm_options *o = arg;
	int r = o->force ? named_stop(n, box, 0, e) : 0;

	return r == 0 ? named_remove(n, box, o->force, e) : r;
}

int rm_main(char **argv)
{
	struct rm_options o;
	struct opt table[ROWS];

	fill(&o, table);
	return named_each(argv, table, "rm", rm, &o);
}
