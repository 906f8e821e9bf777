/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

#include "kept-words.h"
#include "named.h"
#include "stay.h"

#define ROWS 2

static void fill(bool *command, struct opt *table)
{
	const struct opt rows[] = {
		OPT_FLAG(
			"command", command, NULL,
			"Print the command that gives it the options that it has",
			"A line for a shell, for each: with other words in it, it gives the sandbox other options ('bailey create --replace'). Its paths are absolute, so it can be typed anywhere. Variables of where it is typed that it does not name are kept, too (--host-env)."),
		OPT_END,
	};

	_Static_assert(ARRAY_SIZE(rows) == ROWS, "ROWS is how many there are");
	*command = false;
	memcpy(table, rows, sizeof(rows));
}

static const struct opt *options(void)
{
	static bool command;
	static struct opt table[ROWS];

	fill(&command, table);
	return table;
}

const struct command_words inspect_words = {
	.about =
		"Prints what sandboxes are, as an array of JSON objects: the keys of 'bailey ls --json', with the options that they were made with, and who is in it: user, home, whether there is a root, and else rootless_because, with the command that mends it.",
	.options = options,
	.examples = { { "bailey inspect box", "everything that is kept of it" },
		      { "bailey inspect --command box", "what to type to change its options" } },
	.statuses = { { "0", "printed" },
		      { "3", "there is no such sandbox" },
		      { "2", "wrong options" } },
};

/* The object, with who is inside, as it would be at a start of now: a range of ids may have come or gone since the last one. */
static int add_user(struct named *n, const struct json_node *v, struct buf *b, struct err *e)
{
	struct stay stay;
	struct buf one = BUF_INIT(LIMIT_SPAWN), user = BUF_INIT(4096);
	struct json j = { .out = &user };
	int r = stay_describe(v, &stay, e);

	named_json(n, v, &one);
	json_open(&j, NULL, '{');
	json_str(&j, "user", stay.agent.name);
	json_str(&j, "home", stay.agent.home);
	json_bool(&j, "root", stay.agent.rooted);
	if (*stay.why)
		json_str(&j, "rootless_because", stay.why);
	json_close(&j, '}');
	if (one.failed || user.failed || one.len < 2)
		b->failed = true;
	if (r == 0 && !b->failed) { /* one object of two */
		buf_add(b, one.data, one.len - 1);
		buf_puts(b, ",");
		buf_add(b, user.data + 1, user.len - 1);
	}
	buf_done(&one);
	buf_done(&user);
	return r;
}

/* One of them, into @b: as the next element of the array, or as a line. */
static int add_one(struct named *n, const struct json_node *v, bool command, struct buf *b,
		   struct err *e)
{
	struct named_box box;

	if (!command) {
		if (b->len > 1)
			buf_puts(b, ",");
		return add_user(n, v, b, e);
	}
	return named_box(v, &box) ? kept_words_line(&n->arena, &box, b, e) :
				    err_set(e, ERR_SYSTEM, -EBADMSG,
					    "what is kept of the sandbox is not understood");
}

int inspect_main(char **argv)
{
	bool command;
	struct opt table[ROWS];
	struct err e = ERR_INIT;
	struct named n = { .state = -1, .runtime = -1 };
	const struct json_node *v;
	struct buf b = BUF_INIT(LIMIT_OUTPUT);
	size_t i;
	int status = 0, r;

	fill(&command, table);
	r = opt_parse_all(table, argv, &e);
	if (r == 0 && !argv[0])
		r = err_set(&e, ERR_USAGE, -EINVAL, "name the sandbox: bailey inspect SANDBOX");
	if (r == 0)
		r = named_open(&n, &e);
	buf_puts(&b, command ? "" : "[");
	for (i = 0; r == 0 && argv[i]; i++) {
		r = named_object(&n, argv[i], &v, &e);
		if (r > 0) { /* that was said; and now the others, as named_words() */
			status = status ? status : r;
			r = 0;
		} else if (r == 0) {
			r = add_one(&n, v, command, &b, &e);
		}
	}
	buf_puts(&b, command ? "" : "]\n");
	if (r == 0)
		r = cli_print(&b);
	if (r == 0)
		r = status;
	buf_done(&b);
	named_done(&n);
	return r < 0 ? cli_fail(&e) : r;
}
