/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

#include "named.h"
#include "sandbox.h"

#define GRACE_MS 10000

struct stop_options {
	const char *time;
};

static void fill(struct stop_options *o, struct opt *table)
{
	const struct opt rows[] = {
		OPT_STRING("time", &o->time, NULL, "DURATION",
			   "Wait so long between SIGTERM and SIGKILL; default: 10s",
			   "0 kills at once; at most ten minutes.", OPT_LETTER('t')),
		OPT_END,
	};

	*o = (struct stop_options){ .time = NULL };
	memcpy(table, rows, sizeof(rows));
}

#define ROWS 2

static const struct opt *options(void)
{
	static struct stop_options o;
	static struct opt table[ROWS];

	fill(&o, table);
	return table;
}

const struct command_words stop_words = {
	.about =
		"Ends every process of a sandbox: SIGTERM, then SIGKILL to what is left. Sessions with a terminal get SIGHUP, too, as when it is closed. "
		"Its files stay, and it can be started again. " NAMED_SEVERAL,
	.options = options,
	.examples = { { "bailey stop box", "what runs in it has ten seconds to end" } },
	.statuses = { { "0", "none of them runs" },
		      { "3", "there is no such sandbox" },
		      { "125", "one could not be stopped" },
		      { "2", "wrong options" } },
};

static int stop(struct named *n, const struct named_box *box, const void *arg, struct err *e)
{
	return named_stop(n, box, *(const unsigned int *)arg, e);
}

int stop_main(char **argv)
{
	struct stop_options o;
	struct opt table[ROWS];
	struct err e = ERR_INIT;
	struct named n = { .state = -1, .runtime = -1 };
	unsigned int grace_ms;
	long ms = GRACE_MS;
	int r;

	fill(&o, table);
	r = opt_parse_all(table, argv, &e);
	if (r == 0 && o.time) {
		r = sandbox_duration_or_zero(o.time, &ms, &e);
		if (r == 0 && ms > (long)WIRE_GRACE_MAX)
			r = err_set(&e, ERR_USAGE, -ERANGE, "'%.100s': at most 10m", o.time);
		if (r < 0)
			r = err_wrap(&e, r, "--time");
	}
	if (r == 0 && !argv[0])
		r = err_set(&e, ERR_USAGE, -EINVAL, "name the sandbox: bailey stop SANDBOX");
	if (r == 0)
		r = named_open(&n, &e);
	grace_ms = (unsigned int)ms;
	r = r < 0 ? cli_fail(&e) : named_boxes(&n, argv, stop, &grace_ms);
	named_done(&n);
	return r;
}
