/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "client.h"

struct attach_options {
	bool read_only, interactive;
	const char *detach_keys;
};

static void fill(struct attach_options *o, struct opt *table)
{
	const struct opt rows[] = {
		OPT_FLAG("read-only", &o->read_only, NULL, "Only look",
			 "Nothing is typed, and the window keeps its size. Ctrl-C leaves, too."),
		OPT_FLAG(
			"interactive", &o->interactive, NULL,
			"Type our stdin into a session without a terminal",
			"It must have been started by 'bailey exec -d -i'. The end of our stdin is the end of its. With a terminal one always types.",
			OPT_LETTER('i')),
		OPT_STRING("detach-keys", &o->detach_keys, NULL, "KEYS",
			   "Leave by these keys; default: ctrl-p,ctrl-q", "As for 'bailey exec'."),
		OPT_END,
	};

	*o = (struct attach_options){ .read_only = false };
	memcpy(table, rows, sizeof(rows));
}

#define ROWS 4

static const struct opt *options(void)
{
	static struct attach_options o;
	static struct opt table[ROWS];

	fill(&o, table);
	return table;
}

const struct command_words attach_words = {
	.about =
		"Comes back to a session that 'bailey exec -it' or 'bailey exec -d' has started: first what it has written, as much as is kept, then what it writes now. "
		"Several may be there at a time; the window has the size of the one that came last. Without SESSION (a number or a name) the newest with a terminal is meant. "
		"One without a terminal is only looked at, unless it is --interactive, and Ctrl-C leaves it; what it writes on 1 and 2 comes on 1 and 2 if it was started with --split, else on 1.",
	.options = options,
	.examples = { { "bailey attach box", "the newest session" },
		      { "bailey attach --read-only box 3", "watch session 3" },
		      { "echo quit | bailey attach -i box job",
			"one line, and the end, for the stdin of the session 'job'" } },
	.statuses = { { "N", "the command's own, when it has ended" },
		      { "0", "it was left, and runs on" },
		      { "128+N", "signal N ended the command, or this client" },
		      { "3", "there is no such sandbox or session" },
		      { "4",
			"the sandbox does not run, nothing of the session is kept, or it reads nothing (--interactive)" },
		      { "125", "the sandbox has ended, or this client did not read" },
		      { "2", "wrong options" } },
};

static int ask(struct client *c, const struct attach_options *o, const char *word, struct err *e)
{
	struct wire_msg m = { .type = WIRE_ATTACH,
			      .session = WIRE_COMMAND,
			      .attach = { .flags = WIRE_ATTACH_FOLLOW | WIRE_ATTACH_TERMINAL |
						   (o->read_only ? WIRE_ATTACH_READ_ONLY : 0) } };
	_cleanup_close_ int theirs = -1, errors = -1;
	int r = word ? client_word(word, m.attach.word, e) : 0;

	if (r < 0)
		return r;
	theirs = client_stream(&c->stream, e);
	errors = theirs < 0 ? -1 : client_stream(&c->errors, e);
	if (errors < 0)
		return theirs < 0 ? theirs : errors;
	r = wire_send(c->sock, &m, (const int[2]){ theirs, errors }, 2, true);
	return r < 0 ? err_sys(e, r, "the sandbox") : 0;
}

static int run(const struct named *n, int sock, const char *name, const struct attach_options *o,
	       const struct detach_keys *keys, const char *word, struct err *e)
{
	struct init_tty unused;
	struct client c;
	int r = client_begin(&c, sock, name, e);

	c.state = n->state;
	c.attached = true;
	c.read_only = o->read_only;
	c.input = o->interactive;
	c.types = !o->read_only;
	if (r == 0)
		r = terminal_find(true, &c.terminal, &unused, e);
	if (r == 0) {
		terminal_detach_by(c.terminal, keys);
		r = ask(&c, o, word, e);
	}
	if (r == 0)
		r = client_wait(&c, e);
	client_done(&c);
	return r;
}

int attach_main(char **argv)
{
	struct attach_options o;
	struct opt table[ROWS];
	struct detach_keys keys;
	struct err e = ERR_INIT;
	struct named n = { .state = -1, .runtime = -1 };
	bool dashes;
	size_t i;
	int r, sock = -1;

	fill(&o, table);
	r = opt_parse(table, argv, &i, &dashes, &e);
	if (r == 0 && (!argv[i] || (argv[i + 1] && argv[i + 2])))
		r = err_set(
			&e, ERR_USAGE, -EINVAL,
			"name the sandbox, and at most one session: bailey attach SANDBOX [SESSION]");
	if (r == 0 && o.interactive && o.read_only)
		r = err_set(&e, ERR_USAGE, -EINVAL,
			    "--interactive types, and --read-only does not: give one of them");
	if (r == 0)
		r = detach_keys_parse(o.detach_keys ? o.detach_keys : DETACH_KEYS_DEFAULT, &keys,
				      &e);
	if (r == 0)
		r = named_open(&n, &e);
	if (r == 0)
		r = client_reach(&n, argv[i], &sock, &e);
	if (r == 0)
		r = run(&n, sock, argv[i], &o, &keys, argv[i + 1], &e);
	cleanup_close(&sock);
	named_done(&n);
	return r < 0 ? client_fail(&e) : r;
}
