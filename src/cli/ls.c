/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "client.h"
#include "life-options.h"

struct ls_options {
	bool json, quiet;
};

static void fill(struct ls_options *o, struct opt *table)
{
	const struct opt rows[] = {
		OPT_FLAG(
			"json", &o->json, NULL, "Print an array of objects",
			"Keys: id, name, state (running, paused, stopped), isolation, template, created (ns since 1970), workspaces (an array), sessions (an array: 'bailey sessions --json'), restart_policy (no, on-failure, always), and more."),
		OPT_FLAG("quiet", &o->quiet, NULL, "Print names alone", "One in each line.",
			 OPT_LETTER('q')),
		OPT_END,
	};

	*o = (struct ls_options){ .json = false };
	memcpy(table, rows, sizeof(rows));
}

#define ROWS 3

static const struct opt *options(void)
{
	static struct ls_options o;
	static struct opt table[ROWS];

	fill(&o, table);
	return table;
}

const struct command_words ls_words = {
	.about = "Lists the sandboxes that 'bailey create' has made, oldest first.",
	.options = options,
	.examples = { { "bailey ls", "all of them" }, { "bailey ls --json", "for scripts" } },
	.statuses = { { "0", "printed" }, { "2", "wrong options" } },
};

#define ANSWER_MS 1000 /* one that does not answer must not hold up the list of all */

/* The lock says whether it lives; what it does is asked of itself, which wakes nobody. @ret_silent: that had no answer */
static const char *state_of(const struct named *n, const struct json_node *v, bool *ret_silent)
{
	const struct wire_msg ask = { .type = WIRE_ASK };
	struct err e = ERR_INIT;
	struct named_box box;
	struct wire_msg m;
	int r;

	*ret_silent = false;
	if (!named_box(v, &box) || !named_lives(n, box.id))
		return "stopped";
	r = named_ask(n, &box, &ask, &m, &e);
	*ret_silent = r == -ETIMEDOUT;
	return r == 0 && m.state.state == WIRE_STATE_PAUSED ? "paused" : "running";
}

/* Of one that does not run, ends this moment, or does not answer (@silent), there are none. */
static void add_sessions(const struct named *n, const struct json_node *v, bool silent,
			 struct buf *b)
{
	struct buf list = BUF_INIT(LIMIT_OUTPUT);
	const char *name = json_text(v, "name"), *id = json_text(v, "id");
	_cleanup_close_ int sock =
		!silent && name && id && named_lives(n, id) ? named_connect(n, name) : -1;
	struct err e;

	if (sock < 0 || client_sessions(sock, name, &list, &e) < 0)
		list.len = 0;
	buf_puts(b, "\"sessions\":");
	if (list.len)
		buf_add(b, list.data, list.len);
	else
		buf_puts(b, "[]");
	buf_puts(b, ",");
	buf_done(&list);
}

void named_json(const struct named *n, const struct json_node *v, struct buf *b)
{
	struct buf one = BUF_INIT(LIMIT_SPAWN);
	struct named_box box;
	bool silent = false;

	json_write(v, &one);
	/* an object, with one more member */
	if (one.failed || one.len < 2)
		b->failed = true;
	else
		buf_printf(b, "{\"state\":\"%s\",", state_of(n, v, &silent));
	if (!b->failed)
		add_sessions(n, v, silent, b);
	if (named_box(v, &box))
		buf_printf(b, "\"restart_policy\":\"%s\",",
			   life_restart_word(life_restart(box.options)));
	if (!b->failed)
		buf_add(b, one.data + 1, one.len - 1);
	buf_done(&one);
}

static void list(const struct named *n, const struct json_node *all, const struct ls_options *o,
		 struct buf *b)
{
	const struct json_node *v, *w;
	bool silent;

	if (o->json)
		buf_puts(b, "[");
	else if (!o->quiet && all->first)
		buf_printf(b, "%-24s %-8s %s\n", "NAME", "STATE", "WORKSPACE");
	for (v = all->first; v; v = v->next) {
		const char *name = json_text(v, "name");

		if (o->json) {
			buf_puts(b, v == all->first ? "" : ",");
			named_json(n, v, b);
			continue;
		}
		if (o->quiet) {
			buf_printf(b, "%s\n", name ? name : "");
			continue;
		}
		buf_printf(b, "%-24s %-8s ", name ? name : "", state_of(n, v, &silent));
		w = json_member(v, "workspaces");
		for (w = w ? w->first : NULL; w; w = w->next) {
			buf_quote(b, w->text);
			buf_puts(b, w->next ? " " : "");
		}
		buf_puts(b, "\n");
	}
	if (o->json)
		buf_puts(b, "]\n");
}

int ls_main(char **argv)
{
	struct ls_options o;
	struct opt table[ROWS];
	struct err e = ERR_INIT;
	struct named n = { .state = -1, .runtime = -1 };
	const struct json_node *all;
	struct buf b = BUF_INIT((size_t)2 * LIMIT_KEPT);
	bool dashes;
	size_t i;
	int r;

	fill(&o, table);
	r = opt_parse(table, argv, &i, &dashes, &e);
	if (r == 0 && argv[i])
		r = err_set(&e, ERR_USAGE, -EINVAL,
			    "'%.100s': bailey ls takes no words; bailey inspect %.100s shows one",
			    argv[i], argv[i]);
	if (r == 0 && o.json && o.quiet)
		r = err_set(&e, ERR_USAGE, -EINVAL,
			    "--json and --quiet contradict each other: choose one");
	if (r == 0)
		r = named_open(&n, &e);
	if (r == 0)
		r = named_list(&n, &all, &e);
	n.answer_ms = ANSWER_MS;
	if (r == 0) {
		list(&n, all, &o, &b);
		r = cli_print(&b);
	}
	buf_done(&b);
	named_done(&n);
	return r < 0 ? cli_fail(&e) : r;
}
