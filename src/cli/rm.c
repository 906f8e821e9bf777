/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

#include "named.h"

struct rm_options {
	bool force;
};

static void fill(struct rm_options *o, struct opt *table)
{
	const struct opt rows[] = {
		OPT_FLAG("force", &o->force, NULL, "Stop it, if it runs",
			 "Its processes are killed.", OPT_LETTER('f')),
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
		"Removes sandboxes that do not run, with everything of theirs but their workspaces.",
	.options = options,
	.examples = { { "bailey rm box", "it does not run" },
		      { "bailey rm -f box", "whether it runs or not" } },
	.statuses = { { "0", "removed" },
		      { "3", "there is no such sandbox" },
		      { "4", "one runs" },
		      { "2", "wrong options" } },
};

static int rm(struct named *n, char *word, bool force, struct err *e)
{
	struct named_box box;
	char *words[] = { (char *)(uintptr_t) "rm", NULL, NULL };
	int lock, r = named_get(n, word, &box, e);

	if (r == 0 && force)
		r = named_stop(n, &box, 0, e);
	if (r != 0)
		return r;
	lock = named_lock_stopped(n, &box, e);
	if (lock < 0)
		return lock;
	words[1] = (char *)(uintptr_t)box.id; /* the word may have been the beginning of it */
	r = named_store(n, words, NULL, NULL, e);
	if (r == 0)
		named_forget(n, &box);
	(void)close(lock);
	return r;
}

int rm_main(char **argv)
{
	struct rm_options o;
	struct opt table[ROWS];
	struct err e = ERR_INIT;
	struct named n = { .state = -1, .runtime = -1 };
	bool dashes;
	size_t i;
	int r;

	fill(&o, table);
	r = opt_parse(table, argv, &i, &dashes, &e);
	if (r == 0 && !argv[i])
		r = err_set(&e, ERR_USAGE, -EINVAL, "name the sandbox: bailey rm SANDBOX");
	if (r == 0)
		r = named_open(&n, &e);
	for (; r == 0 && argv[i]; i++)
		r = rm(&n, argv[i], o.force, &e);
	named_done(&n);
	return r == -EBUSY ? (cli_fail(&e), 4) : r < 0 ? cli_fail(&e) : r;
}
