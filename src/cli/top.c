/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "usage.h"

struct top_options {
	bool json;
};

static void fill(struct top_options *o, struct opt *table)
{
	const struct opt rows[] = {
		OPT_FLAG(
			"json", &o->json, NULL, "Print an array of objects",
			"Keys: pid, parent (numbers that the sandbox knows), state (as in ps), threads, cpu_seconds (with children that have ended), memory (bytes), command."),
		OPT_END,
	};

	*o = (struct top_options){ .json = false };
	memcpy(table, rows, sizeof(rows));
}

#define ROWS 2

static const struct opt *options(void)
{
	static struct top_options o;
	static struct opt table[ROWS];

	fill(&o, table);
	return table;
}

const struct command_words top_words = {
	.about =
		"Lists the processes of a sandbox, with the numbers that they have inside. It is looked at from outside: nothing is run in it, and one that is paused stays so.",
	.options = options,
	.examples = { { "bailey top box", "what runs in it" } },
	.statuses = { { "0", "printed" },
		      { "3", "there is no such sandbox" },
		      { "4", "it does not run" },
		      { "2", "wrong options" } },
};

static void print(const struct usage_process *p, long n, bool as_json, struct buf *b)
{
	struct json j = { .out = b };
	char seconds[32];
	long i;

	if (as_json)
		json_open(&j, NULL, '[');
	else
		buf_printf(b, "%7s %7s S %7s %10s %10s COMMAND\n", "PID", "PARENT", "THREADS",
			   "CPU", "MEMORY");
	for (i = 0; i < n; i++, p++) {
		(void)snprintf(seconds, sizeof(seconds), "%.2f", (double)p->cpu_us / 1e6);
		if (!as_json) {
			buf_printf(b, "%7d %7d %c %7u %9ss %9lluK %s\n", (int)p->pid,
				   (int)p->parent, p->state, p->threads, seconds,
				   (unsigned long long)p->memory / 1024, p->command);
			continue;
		}
		json_open(&j, NULL, '{');
		json_int(&j, "pid", p->pid);
		json_int(&j, "parent", p->parent);
		json_str(&j, "state", (char[]){ p->state, '\0' });
		json_int(&j, "threads", p->threads);
		json_raw(&j, "cpu_seconds", seconds);
		json_int(&j, "memory", (long long)p->memory);
		json_str(&j, "command", p->command);
		json_close(&j, '}');
	}
	if (as_json) {
		json_close(&j, ']');
		buf_puts(b, "\n");
	}
}

int top_main(char **argv)
{
	const struct wire_msg ask = { .type = WIRE_ASK };
	struct top_options o;
	struct opt table[ROWS];
	struct err e = ERR_INIT;
	struct named n = { .state = -1, .runtime = -1 };
	struct usage_process *p;
	struct buf b = BUF_INIT(LIMIT_OUTPUT);
	struct named_box box;
	struct wire_msg m;
	long count;
	int r;

	fill(&o, table);
	r = opt_parse_all(table, argv, &e);
	if (r == 0 && (!argv[0] || argv[1]))
		r = err_set(&e, ERR_USAGE, -EINVAL, "name one sandbox: bailey top SANDBOX");
	if (r == 0)
		r = named_open(&n, &e);
	if (r == 0)
		r = named_get(&n, argv[0], &box, &e);
	if (r == 0)
		r = named_order(&n, &box, &ask, &m, &e);
	if (r == 0) {
		count = usage_processes((pid_t)m.state.pid, &n.arena, &p, &e);
		r = count < 0 ? (int)count : 0;
		if (r == 0) {
			print(p, count, o.json, &b);
			r = cli_print(&b);
		}
	}
	buf_done(&b);
	named_done(&n);
	return r == -EBUSY ? (cli_fail(&e), 4) : r < 0 ? cli_fail(&e) : r;
}
