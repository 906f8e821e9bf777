/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "named.h"

static const struct opt none[] = { OPT_END };

static const struct opt *options(void)
{
	return none;
}

const struct command_words start_words = {
	.about =
		"Starts sandboxes that do not run, and waits until each is ready. 'bailey exec' does it by itself.",
	.options = options,
	.examples = { { "bailey start box", "now, so that the first command need not wait" } },
	.statuses = { { "0", "each of them runs" },
		      { "3", "there is no such sandbox" },
		      { "125", "one can't be started; one line says why" },
		      { "2", "wrong options" } },
};

int start_main(char **argv)
{
	struct err e = ERR_INIT;
	struct named_box box;
	struct named n = { .state = -1, .runtime = -1 };
	bool dashes;
	size_t i;
	int r = opt_parse(none, argv, &i, &dashes, &e);

	if (r == 0 && !argv[i])
		r = err_set(&e, ERR_USAGE, -EINVAL, "name the sandbox: bailey start SANDBOX");
	if (r == 0)
		r = named_open(&n, &e);
	for (; r == 0 && argv[i]; i++)
		r = named_start(&n, argv[i], &box, &e);
	named_done(&n);
	return r < 0 ? cli_fail(&e) : r;
}
