/* SPDX-License-Identifier: Apache-2.0 */
/* Help on the terminal: all verbs, one verb, one option. Everything comes from the rows of verbs and options. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"

struct help_options {
	bool json;
};

static void fill(struct help_options *o, struct opt *table)
{
	const struct opt rows[] = {
		OPT_FLAG("json", &o->json, NULL, "Print every verb and option as one JSON object",
			 "The manual pages and the completions of the shells are made of it."),
		OPT_END,
	};

	*o = (struct help_options){ .json = false };
	memcpy(table, rows, sizeof(rows));
}

static const struct opt *options(void)
{
	static struct help_options o;
	static struct opt table[2];

	fill(&o, table);
	return table;
}

const struct command_words help_words = {
	.about =
		"Without a VERB, lists the verbs. 'bailey VERB --help' prints the same as 'bailey help VERB'.",
	.options = options,
	.examples = { { "bailey help run", "what can be said to a run" },
		      { "bailey help run --hide", "one option in full" } },
	.statuses = { { "0", "always, but for wrong words" },
		      { "2", "there is no such verb or option" } },
};

/* Bold titles are for people at a terminal who did not say otherwise (no-color.org). */
static bool want_bold(void)
{
	const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");

	return isatty(1) && !(no_color && *no_color) && term && *term && strcmp(term, "dumb") != 0;
}

static void meanings(const struct meaning *m, const char *title, bool bold, struct buf *b)
{
	if (!m->what)
		return;
	buf_puts(b, "\n");
	text_title(b, title, bold);
	for (; m->what; m++) {
		buf_printf(b, "  %-10s ", m->what);
		text_wrap(b, m->means, 13, 13);
	}
}

static void examples(const struct meaning *m, bool bold, struct buf *b)
{
	if (!m->what)
		return;
	buf_puts(b, "\n");
	text_title(b, "Examples", bold);
	for (; m->what; m++) {
		buf_printf(b, "  %s\n      ", m->what);
		text_wrap(b, m->means, 6, 6);
	}
}

static int print(struct buf *b)
{
	int r = cli_print(b);

	buf_done(b);
	return r;
}

int help_verb(const struct command *c)
{
	struct buf b = BUF_INIT(65536);
	bool bold = want_bold();

	text_title(&b, c->usage, bold);
	if (c->words) {
		buf_puts(&b, "\n");
		text_wrap(&b, c->words->about, 0, 0);
		if (c->words->options)
			opt_help(c->words->options(), bold, &b);
		meanings(c->words->statuses, "Exit status", bold, &b);
		examples(c->words->examples, bold, &b);
	}
	return print(&b);
}

static int help_all(void)
{
	struct buf b = BUF_INIT(65536);
	const struct command *c;
	bool bold = want_bold();

	buf_puts(&b, "bailey runs programs in sandboxes.\n\n");
	text_title(&b, "Verbs", bold);
	for (c = commands; c->name; c++) {
		buf_printf(&b, "  %-22s ", c->name); /* the longest: import-claude-settings */
		text_wrap(&b, c->summary, 13, 13);
	}
	buf_puts(&b, "\n");
	text_title(&b, "Try", bold);
	buf_puts(&b, "  bailey run -- make test    run a command: it writes here and nowhere else\n"
		     "  bailey help run            what can be said to a run\n"
		     "  bailey help run --hide     one option in full\n"
		     "  man bailey                 everything\n");
	return print(&b);
}

static int help_option(const struct command *c, const char *word, struct err *e)
{
	const struct opt *table = c->words && c->words->options ? c->words->options() : NULL, *o;
	const char *name = word + strspn(word, "-");
	struct nearest near = NEAREST_INIT(name, strlen(name));
	struct buf b = BUF_INIT(65536);
	char left[80];

	o = table ? opt_find(table, name) : NULL;
	if (!o) {
		for (o = table; o && o->type != OPT_TYPE_END; o++) {
			if (o->type != OPT_TYPE_GROUP)
				nearest_offer(&near, o->name);
		}
		if (near.best)
			return err_set(e, ERR_USAGE, -ENOENT,
				       "'bailey %s' has no option '%.100s'; did you mean '--%s'?",
				       c->name, word, near.best);
		return err_set(e, ERR_USAGE, -ENOENT,
			       "'bailey %s' has no option '%.100s'; 'bailey help %s' lists them",
			       c->name, word, c->name);
	}
	opt_left(o, left, sizeof(left));
	text_title(&b, left, want_bold());
	buf_puts(&b, "  ");
	text_wrap(&b, o->help, 2, 2);
	if (o->man && *o->man) {
		buf_puts(&b, "\n  ");
		text_wrap(&b, o->man, 2, 2);
	}
	if (o->key)
		buf_printf(&b, "\n  In policy files: %s\n", o->key);
	return print(&b);
}

int help_main(char **argv)
{
	struct err e = ERR_INIT;
	const struct command *c;
	struct help_options o;
	struct buf b = BUF_INIT(LIMIT_OUTPUT);
	struct opt table[2];
	size_t rest = 0;
	bool dashes;
	int r;

	fill(&o, table);
	r = opt_parse(table, argv, &rest, &dashes, &e);
	argv += rest;
	if (r == 0 && o.json && argv[0])
		r = err_set(&e, ERR_USAGE, -E2BIG, "--json is about all verbs; leave '%.100s' out",
			    argv[0]);
	if (r == 0 && o.json) {
		words_json(&b);
		return print(&b);
	}
	if (r == 0 && !argv[0])
		return help_all();
	c = r == 0 ? command_find(argv[0], &e) : NULL;
	if (c && argv[1] && argv[2])
		r = err_set(&e, ERR_USAGE, -E2BIG,
			    "'%.100s' is one word too many: bailey help VERB --OPTION", argv[2]);
	else if (c)
		r = argv[1] ? help_option(c, argv[1], &e) : help_verb(c);
	else if (r == 0)
		r = -ENOENT;
	return r < 0 ? cli_fail(&e) : r;
}
