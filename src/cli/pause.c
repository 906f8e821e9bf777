/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "named.h"

static const struct opt none[] = { OPT_END };

static const struct opt *options(void)
{
	return none;
}

const struct command_words pause_words = {
	.about =
		"Lets nothing run in a sandbox: every process stands still where it is, and keeps what it has in memory. "
		"What it has open to other machines may time out there. 'bailey resume' lets it go on; so does, unless 'bailey create --wake' says otherwise, whoever needs it. " NAMED_SEVERAL,
	.options = options,
	.examples = { { "bailey pause box", "it uses no processor from now on" } },
	.statuses = { { "0", "each of them is paused" },
		      { "3", "there is no such sandbox" },
		      { "4", "one does not run" },
		      { "125", "one could not be paused, and runs" },
		      { "2", "wrong options" } },
};

int pause_main(char **argv)
{
	return named_each(argv, none, "pause", named_order_one,
			  &(struct wire_msg){ .type = WIRE_PAUSE });
}
