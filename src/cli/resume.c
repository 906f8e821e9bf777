/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "named.h"

static const struct opt none[] = { OPT_END };

static const struct opt *options(void)
{
	return none;
}

const struct command_words resume_words = {
	.about =
		"Lets the processes of a sandbox that is paused go on. One that runs stays as it is. " NAMED_SEVERAL,
	.options = options,
	.examples = { { "bailey resume box", "after 'bailey pause', or --idle-freeze" } },
	.statuses = { { "0", "each of them runs" },
		      { "3", "there is no such sandbox" },
		      { "4", "one is stopped: 'bailey start' starts it" },
		      { "2", "wrong options" } },
};

int resume_main(char **argv)
{
	return named_each(argv, none, "resume", named_order_one,
			  &(struct wire_msg){ .type = WIRE_RESUME });
}
