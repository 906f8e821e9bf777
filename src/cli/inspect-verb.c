/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "named.h"

static const struct opt none[] = { OPT_END };

static const struct opt *options(void)
{
	return none;
}

const struct command_words inspect_words = {
	.about =
		"Prints what sandboxes are, as an array of JSON objects: the keys of 'bailey ls --json', with the options that they were made with.",
	.options = options,
	.examples = { { "bailey inspect box", "everything that is kept of it" } },
	.statuses = { { "0", "printed" },
		      { "3", "there is no such sandbox" },
		      { "2", "wrong options" } },
};

int inspect_main(char **argv)
{
	struct err e = ERR_INIT;
	struct named n = { .state = -1, .runtime = -1 };
	const struct json_node *v;
	struct buf b = BUF_INIT(LIMIT_OUTPUT);
	bool dashes;
	size_t i, first;
	int r = opt_parse(none, argv, &first, &dashes, &e);

	if (r == 0 && !argv[first])
		r = err_set(&e, ERR_USAGE, -EINVAL, "name the sandbox: bailey inspect SANDBOX");
	if (r == 0)
		r = named_open(&n, &e);
	for (i = first; r == 0 && argv[i]; i++) {
		r = named_object(&n, argv[i], &v, &e);
		if (r == 0) {
			buf_puts(&b, i == first ? "[" : ",");
			named_json(&n, v, &b);
		}
	}
	if (r == 0) {
		buf_puts(&b, "]\n");
		r = cli_print(&b);
	}
	buf_done(&b);
	named_done(&n);
	return r < 0 ? cli_fail(&e) : r;
}
