/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

#include "client.h"

struct sessions_options {
	bool json;
};

static void fill(struct sessions_options *o, struct opt *table)
{
	const struct opt rows[] = {
		OPT_FLAG(
			"json", &o->json, NULL, "Print an array of objects",
			"Keys: session (its number), name, command, state (running, ended), status (of one that has ended), tty, kept (its output is), input (something can be typed), split (1 and 2 are kept apart), clients, pid (inside), "
			"created and last_output (ns since 1970), written and scrollback (bytes)."),
		OPT_END,
	};

	*o = (struct sessions_options){ .json = false };
	memcpy(table, rows, sizeof(rows));
}

#define ROWS 2

static const struct opt *options(void)
{
	static struct sessions_options o;
	static struct opt table[ROWS];

	fill(&o, table);
	return table;
}

const struct command_words sessions_words = {
	.about =
		"Lists the commands that 'bailey exec' has started in a sandbox, oldest first: those that run, and those that have ended and whose output is kept.",
	.options = options,
	.examples = { { "bailey sessions box", "all of them" } },
	.statuses = { { "0", "printed" },
		      { "3", "there is no such sandbox" },
		      { "4", "the sandbox does not run" },
		      { "2", "wrong options" } },
};

static void print_one(const struct json_node *v, struct buf *b)
{
	const struct json_node *tty = json_member(v, "tty"), *word = json_member(v, "command");
	const char *name = json_text(v, "name"), *status = json_text(v, "status");

	buf_printf(b, "%-8s %-16s %-8s %-6s %-4s ", json_text(v, "session"), name ? name : "-",
		   json_text(v, "state"), status ? status : "-", tty && tty->value ? "yes" : "-");
	for (word = word ? word->first : NULL; word; word = word->next) {
		buf_quote(b, word->text);
		buf_puts(b, word->next ? " " : "");
	}
	buf_puts(b, "\n");
}

/* The sessions of the sandbox @word, as JSON. */
static int get(struct named *n, const char *word, struct buf *b, struct err *e)
{
	_cleanup_close_ int sock = -1;
	struct named_box box;
	int r = named_get(n, word, &box, e);

	if (r != 0)
		return r;
	sock = named_reach(n, &box);
	if (sock == -ENOENT)
		return err_set(e, ERR_SYSTEM, -ESRCH,
			       "sandbox '%s' does not run, so it has no sessions", box.name);
	return client_sessions(sock, box.name, b, e);
}

int sessions_main(char **argv)
{
	struct sessions_options o;
	struct opt table[ROWS];
	struct err e = ERR_INIT;
	struct named n = { .state = -1, .runtime = -1 };
	struct buf json = BUF_INIT(LIMIT_OUTPUT), b = BUF_INIT(LIMIT_OUTPUT);
	const struct json_node *all, *v;
	bool dashes;
	size_t i;
	int r;

	fill(&o, table);
	r = opt_parse(table, argv, &i, &dashes, &e);
	if (r == 0 && (!argv[i] || argv[i + 1]))
		r = err_set(&e, ERR_USAGE, -EINVAL, "name one sandbox: bailey sessions SANDBOX");
	if (r == 0)
		r = named_open(&n, &e);
	if (r == 0)
		r = get(&n, argv[i], &json, &e);
	if (r == 0 && o.json) {
		buf_puts(&json, "\n");
		r = cli_print(&json);
	} else if (r == 0) {
		r = json_read("sessions", json.data, json.len, &n.arena, &all, &e);
		if (r == 0) {
			buf_printf(&b, "%-8s %-16s %-8s %-6s %-4s %s\n", "SESSION", "NAME", "STATE",
				   "STATUS", "TTY", "COMMAND");
			for (v = all->first; v; v = v->next)
				print_one(v, &b);
			r = cli_print(&b);
		}
	}
	buf_done(&json);
	buf_done(&b);
	named_done(&n);
	return r < 0 ? client_fail(&e) : r;
}
