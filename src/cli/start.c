/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

#include "life-options.h"
#include "named.h"
#include "sandbox.h"

struct start_options {
	bool boot;
};

static void fill(struct start_options *o, struct opt *table)
{
	const struct opt rows[] = {
		OPT_FLAG(
			"boot", &o->boot, NULL, "Start those whose --restart says so",
			"As when the machine has started ('bailey service-unit'). One that can't be started does not keep others from it."),
		OPT_END,
	};

	*o = (struct start_options){ .boot = false };
	memcpy(table, rows, sizeof(rows));
}

#define ROWS 2

static const struct opt *options(void)
{
	static struct start_options o;
	static struct opt table[ROWS];

	fill(&o, table);
	return table;
}

const struct command_words start_words = {
	.about =
		"Starts sandboxes that do not run, and waits until each is ready. One that is paused goes on, as with 'bailey resume'. 'bailey exec' does it by itself. " NAMED_SEVERAL,
	.options = options,
	.examples = { { "bailey start box", "now, so that the first command need not wait" },
		      { "bailey start --boot", "those that were created with --restart" } },
	.statuses = { { "0", "each of them runs" },
		      { "3", "there is no such sandbox" },
		      { "4", "one is being stopped" },
		      { "125", "one can't be started; one line says why" },
		      { "2", "wrong options" } },
};

/* Whether the words that it was created with say that it is brought up. */
static bool is_due(const struct named *n, const struct named_box *box)
{
	const enum life_restart restart =
		life_restart(box->options); /* who can't be read isn't brought up */

	return !named_lives(n, box->id) &&
	       (restart == LIFE_RESTART_ALWAYS ||
		(restart == LIFE_RESTART_ON_FAILURE && named_marked(n, box->id)));
}

static int boot(struct named *n, struct err *e)
{
	const struct json_node *all, *v;
	struct named_box box, started;
	int ret = 0, r = named_list(n, &all, e);

	if (r != 0)
		return r;
	for (v = all->first; v; v = v->next) {
		struct err own = ERR_INIT;

		if (!named_box(v, &box) || !is_due(n, &box))
			continue;
		r = named_start(n, box.id, &started, &own);
		if (r < 0)
			(void)cli_fail(&own);
		ret = r != 0 ? 125 : ret;
	}
	return ret;
}

static int start(struct named *n, const char *word, const void *arg, struct err *e)
{
	const struct wire_msg m = { .type = WIRE_RESUME };
	struct wire_msg answer;
	struct named_box box;
	int i, r;

	(void)arg;
	/* one that runs may be at its end, and hang up: then it is started. One that we have started, and that was stopped meanwhile, has run */
	for (i = 0; i < 2; i++) {
		r = named_start(n, word, &box, e);
		if (r != 0)
			return r;
		/* one that was paused shall run, whatever its --wake says */
		r = named_ask(n, &box, &m, &answer, e);
		if (r != -ENOENT)
			return r;
	}
	return 0;
}

int start_main(char **argv)
{
	struct start_options o;
	struct opt table[ROWS];
	struct err e = ERR_INIT;
	struct named n = { .state = -1, .runtime = -1 };
	bool dashes;
	size_t i;
	int r;

	fill(&o, table);
	r = opt_parse(table, argv, &i, &dashes, &e);
	if (r == 0 && !argv[i] && !o.boot)
		r = err_set(&e, ERR_USAGE, -EINVAL, "name the sandbox: bailey start SANDBOX");
	if (r == 0 && argv[i] && o.boot)
		r = err_set(&e, ERR_USAGE, -EINVAL,
			    "'%.100s': --boot finds out itself which sandboxes are to be started",
			    argv[i]);
	if (r == 0)
		r = named_open(&n, &e);
	if (r == 0 && o.boot)
		r = boot(&n, &e);
	if (r < 0)
		r = cli_fail(&e);
	else if (r == 0)
		r = named_words(&n, argv + i, start, NULL);
	named_done(&n);
	return r;
}
