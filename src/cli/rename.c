/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "events.h"
#include "named.h"

static const struct opt none[] = { OPT_END };

static const struct opt *options(void)
{
	return none;
}

const struct command_words rename_words = {
	.about = "Gives a sandbox that does not run another name.",
	.options = options,
	.examples = { { "bailey rename box old-box", "the ID stays" } },
	.statuses = { { "0", "done" },
		      { "3", "there is no such sandbox" },
		      { "4", "it runs, or there is one of the new name" },
		      { "2", "wrong options or name" } },
};

int rename_main(char **argv)
{
	struct err e = ERR_INIT;
	struct named n = { .state = -1, .runtime = -1 };
	struct named_box box;
	int r = opt_parse_all(none, argv, &e), lock = -1;

	if (r == 0 && (!argv[0] || !argv[1] || argv[2]))
		r = err_set(&e, ERR_USAGE, -EINVAL,
			    "two names are needed: bailey rename SANDBOX NAME");
	if (r == 0)
		r = named_open(&n, &e);
	if (r == 0)
		r = named_get(&n, argv[0], &box, &e);
	if (r == 0) {
		/* its socket has its name */
		r = lock = named_lock_stopped(&n, &box, &e);
	}
	if (r >= 0 && lock >= 0) {
		char *const words[] = { (char *)(uintptr_t) "rename", (char *)(uintptr_t)box.id,
					argv[1], NULL };

		named_forget_socket(&n, &box);
		r = named_store(&n, words, NULL, NULL, &e);
		named_changed(&n, box.id);
		if (r == 0)
			events_add(n.state, &(struct event){ .what = "renamed",
							     .id = box.id,
							     .name = argv[1],
							     .from = box.name,
							     .status = -1 });
	}
	cleanup_close(&lock);
	named_done(&n);
	return r == -EBUSY ? (cli_fail(&e), 4) : r < 0 ? cli_fail(&e) : r;
}
