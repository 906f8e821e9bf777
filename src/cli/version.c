/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

#include "cli.h"

static void fill(bool *json, struct opt *table)
{
	const struct opt rows[] = {
		OPT_FLAG("json", json, NULL, "Print it as a JSON object",
			 "The object has the keys \"name\" and \"version\"."),
		OPT_END,
	};

	*json = false;
	memcpy(table, rows, sizeof(rows));
}

static const struct opt *options(void)
{
	static struct opt table[2];
	static bool json;

	fill(&json, table);
	return table;
}

const struct command_words version_words = {
	.about = "Prints the name of the program and its version.",
	.options = options,
	.examples = { { "bailey version --json", "for scripts" } },
	.statuses = { { "0", "always, but for wrong options" } },
};

int version_main(char **argv)
{
	struct buf b = BUF_INIT(256);
	struct err e = ERR_INIT;
	struct opt table[2];
	bool json, dashes;
	size_t rest = 0;
	int r;

	fill(&json, table);
	r = opt_parse(table, argv, &rest, &dashes, &e);
	if (r == 0 && argv[rest])
		r = err_set(&e, ERR_USAGE, -E2BIG, "'%.100s': 'bailey version' takes no words",
			    argv[rest]);
	if (r < 0)
		return cli_fail(&e);
	buf_puts(&b, json ? "{\"name\":\"bailey\",\"version\":\"" BAILEY_VERSION "\"}\n" :
			    "bailey " BAILEY_VERSION "\n");
	r = cli_print(&b);
	buf_done(&b);
	return r;
}
