/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "named.h"
#include "sandbox.h"

static const struct opt none[] = { OPT_END };

static const struct opt *options(void)
{
	return none;
}

const struct command_words extend_words = {
	.about =
		"Gives a sandbox that has a --timeout and runs DURATION from now on. One that has more than that keeps it.",
	.options = options,
	.examples = { { "bailey extend box 30m", "it is not stopped within the next half hour" } },
	.statuses = { { "0", "done" },
		      { "3", "there is no such sandbox" },
		      { "4", "it does not run" },
		      { "2", "wrong options, or the sandbox has no --timeout" } },
};

int extend_main(char **argv)
{
	struct err e = ERR_INIT;
	struct named n = { .state = -1, .runtime = -1 };
	struct named_box box;
	struct wire_msg m;
	long ms = 0;
	int r = opt_parse_all(none, argv, &e);

	if (r == 0 && (!argv[0] || !argv[1] || argv[2]))
		r = err_set(&e, ERR_USAGE, -EINVAL,
			    "a sandbox and a duration are needed: bailey extend SANDBOX 30m");
	if (r == 0)
		r = sandbox_duration(argv[1], &ms, &e);
	if (r == 0 && ms > (long)WIRE_EXTEND_MAX)
		r = err_set(&e, ERR_USAGE, -ERANGE, "'%.100s': at most 23d at a time", argv[1]);
	if (r == 0)
		r = named_open(&n, &e);
	if (r == 0)
		r = named_get(&n, argv[0], &box, &e);
	if (r == 0)
		r = named_order(&n, &box,
				&(struct wire_msg){ .type = WIRE_EXTEND,
						    .extend = { .ms = (uint32_t)ms } },
				&m, &e);
	named_done(&n);
	return r == -EBUSY ? (cli_fail(&e), 4) : r < 0 ? cli_fail(&e) : r;
}
