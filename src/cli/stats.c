/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "sandbox.h"
#include "usage.h"

#define FIRST_MS 200 /* between the two looks that a share of a processor needs */
#define EACH_MS 1000
#define ANSWER_MS 1000 /* one of all that does not answer must not hold up the others */

struct stats_options {
	bool json, follow, once;
};

static void fill(struct stats_options *o, struct opt *table)
{
	const struct opt rows[] = {
		OPT_FLAG(
			"json", &o->json, NULL, "Print an array of objects",
			"With --follow one object a line. Keys: id, name, state (running, paused), cpu_percent (100 is one processor), cpu_seconds, memory (bytes), pids, network "
			"(connections that are open, sent and received bytes through the gateway), disk (read and written bytes; null where the kernel does not say), "
			"attached (who waits for a command), timeout_ms (until it times out, or null)."),
		OPT_FLAG("follow", &o->follow, NULL, "Print it again each second",
			 "Until it is interrupted.", OPT_LETTER('f')),
		OPT_FLAG("no-stream", &o->once, NULL, "Print it once; the default",
			 "For those who know it from Docker, where it is not the default."),
		OPT_END,
	};

	*o = (struct stats_options){ .json = false };
	memcpy(table, rows, sizeof(rows));
}

#define ROWS 4

static const struct opt *options(void)
{
	static struct stats_options o;
	static struct opt table[ROWS];

	fill(&o, table);
	return table;
}

const struct command_words stats_words = {
	.about =
		"Prints what sandboxes that run use, or what those that are named do: processor, memory, processes, network and disk. "
		"They are looked at from outside: one that is paused stays so. One that does not answer is left out, with a notice, unless it is named.",
	.options = options,
	.examples = { { "bailey stats", "all that run" },
		      { "bailey stats --json box", "of one, for scripts" } },
	.statuses = { { "0", "printed" },
		      { "3", "there is no such sandbox" },
		      { "4", "one that is named does not run; the others are printed" },
		      { "2", "wrong options" } },
};

struct row {
	struct named_box box;
	struct usage now;
	uint64_t at_us, cpu_us; /* of the look before */
	double percent;
	bool silent; /* it does not answer: it is not asked again */
};

struct stats {
	struct row *rows;
	size_t n;
	bool all; /* none was named */
};

/* Nobody has asked for this one. */
static void leave_out(struct row *row)
{
	row->silent = true;
	(void)dprintf(
		2,
		"bailey: notice: sandbox '%s' does not answer and is left out; 'bailey stats %s' gives it more time\n",
		row->box.name, row->box.name); /* who does not see it may do without */
}

static int look(const struct named *n, struct stats *s, struct err *e)
{
	size_t i;
	int r = 0;

	for (i = 0; i < s->n; i++) {
		struct row *row = &s->rows[i];
		const uint64_t before = row->at_us, cpu = row->now.cpu_us;
		struct err own = ERR_INIT;

		if (row->silent)
			continue;
		row->at_us = (uint64_t)clock_us();
		row->cpu_us = cpu;
		r = usage_get(n, &row->box, &row->now, &own);
		if (r == -ETIMEDOUT && s->all) {
			leave_out(row);
			continue;
		}
		if (r == -ENOENT) /* it ended while we looked */
			row->now.lives = false;
		else if (r < 0)
			*e = own;
		if (r < 0 && r != -ENOENT)
			return r;
		row->percent = before && row->at_us > before && row->now.cpu_us > cpu ?
				       (double)(row->now.cpu_us - cpu) * 100 /
					       (double)(row->at_us - before) :
				       0;
	}
	return 0;
}

static void print_json(const struct row *row, struct json *j)
{
	const struct usage *u = &row->now;
	char number[32];

	json_open(j, NULL, '{');
	json_str(j, "id", row->box.id);
	json_str(j, "name", row->box.name);
	json_str(j, "state", u->state.state.state == WIRE_STATE_PAUSED ? "paused" : "running");
	(void)snprintf(number, sizeof(number), "%.1f", row->percent);
	json_raw(j, "cpu_percent", number);
	(void)snprintf(number, sizeof(number), "%.3f", (double)u->cpu_us / 1e6);
	json_raw(j, "cpu_seconds", number);
	json_int(j, "memory", (long long)u->memory);
	json_int(j, "pids", (long long)u->pids);
	json_open(j, "network", '{');
	json_int(j, "connections", u->state.state.connections);
	json_int(j, "sent", (long long)u->state.state.up);
	json_int(j, "received", (long long)u->state.state.down);
	json_close(j, '}');
	if (u->io) {
		json_open(j, "disk", '{');
		json_int(j, "read", (long long)u->read);
		json_int(j, "written", (long long)u->written);
		json_close(j, '}');
	} else {
		json_raw(j, "disk", "null");
	}
	json_int(j, "attached", u->state.state.clients);
	if (u->state.state.left_ms < 0)
		json_raw(j, "timeout_ms", "null");
	else
		json_int(j, "timeout_ms", u->state.state.left_ms);
	json_close(j, '}');
}

static void print_text(const struct row *row, struct buf *b)
{
	const struct usage *u = &row->now;

	buf_printf(b, "%-24s %-8s %7.1f%% %9lluK %5llu %9lluK %9lluK %9lluK %9lluK\n",
		   row->box.name, u->state.state.state == WIRE_STATE_PAUSED ? "paused" : "running",
		   row->percent, (unsigned long long)u->memory / 1024, (unsigned long long)u->pids,
		   (unsigned long long)u->state.state.up / 1024,
		   (unsigned long long)u->state.state.down / 1024,
		   (unsigned long long)u->read / 1024, (unsigned long long)u->written / 1024);
}

static int print(const struct stats *s, const struct stats_options *o)
{
	struct buf b = BUF_INIT(LIMIT_OUTPUT);
	struct json j = { .out = &b };
	size_t i;
	int r;

	if (o->json && !o->follow)
		json_open(&j, NULL, '[');
	else if (!o->json)
		buf_printf(&b, "%-24s %-8s %8s %10s %5s %10s %10s %10s %10s\n", "NAME", "STATE",
			   "CPU", "MEMORY", "PIDS", "NET SENT", "NET RECV", "DISK READ", "WRITTEN");
	for (i = 0; i < s->n; i++) {
		if (!s->rows[i].now.lives)
			continue;
		if (!o->json) {
			print_text(&s->rows[i], &b);
			continue;
		}
		print_json(&s->rows[i], &j);
		if (o->follow) {
			buf_puts(&b, "\n");
			j.comma = false;
		}
	}
	if (o->json && !o->follow) {
		json_close(&j, ']');
		buf_puts(&b, "\n");
	}
	r = b.len ? cli_print(&b) : 0;
	buf_done(&b);
	return r;
}

/* Those that are named, or all. Return: as named_get(). */
static int find(struct named *n, char *const *names, struct stats *s, struct err *e)
{
	const struct json_node *all = NULL, *v;
	size_t i;
	int r;

	for (s->n = 0; names[s->n]; s->n++)
		;
	r = s->n ? 0 : named_list(n, &all, e);
	if (r == 0 && s->n == 0 && all)
		s->n = all->n;
	s->all = !*names;
	n->answer_ms = s->all ? ANSWER_MS : 0;
	s->rows = arena_alloc(&n->arena, (s->n + 1) * sizeof(*s->rows));
	if (r == 0 && !s->rows)
		return sandbox_oom(e);
	for (i = 0; r == 0 && names[i]; i++) {
		s->rows[i] = (struct row){ .percent = 0 };
		r = named_get(n, names[i], &s->rows[i].box, e);
	}
	if (r != 0 || *names || !all)
		return r;
	s->n = 0;
	for (v = all->first; v; v = v->next) {
		s->rows[s->n] = (struct row){ .percent = 0 };
		s->n += named_box(v, &s->rows[s->n].box);
	}
	return 0;
}

/* Those that were named, and do not run. Return: 4: there are some, and each is said; 0 */
static int say_stopped(const struct stats *s)
{
	size_t i;
	int ret = 0;

	for (i = 0; i < s->n && !s->all; i++) {
		struct err e = ERR_INIT;

		if (s->rows[i].now.lives)
			continue;
		(void)err_set(&e, ERR_SYSTEM, -EBUSY, "sandbox '%s' does not run",
			      s->rows[i].box.name);
		(void)cli_fail(&e);
		ret = 4;
	}
	return ret;
}

static bool any_lives(const struct stats *s)
{
	size_t i;

	for (i = 0; i < s->n && !s->rows[i].now.lives; i++)
		;
	return i < s->n;
}

int stats_main(char **argv)
{
	struct stats_options o;
	struct opt table[ROWS];
	struct err e = ERR_INIT;
	struct named n = { .state = -1, .runtime = -1 };
	struct stats s;
	int r, stopped = 0;

	fill(&o, table);
	r = opt_parse_all(table, argv, &e);
	if (r == 0 && o.follow && o.once)
		r = err_set(&e, ERR_USAGE, -EINVAL,
			    "--follow and --no-stream contradict each other: leave one out");
	if (r == 0)
		r = named_open(&n, &e);
	if (r == 0)
		r = find(&n, argv, &s, &e);
	if (r == 0)
		r = look(&n, &s, &e);
	if (r == 0)
		stopped = say_stopped(&s);
	if (stopped && !any_lives(&s))
		r = stopped;
	if (r == 0)
		(void)usleep(FIRST_MS * 1000);
	while (r == 0) {
		r = look(&n, &s, &e);
		if (r == 0)
			r = print(&s, &o);
		if (!o.follow || r != 0)
			break;
		(void)poll(NULL, 0, EACH_MS);
	}
	named_done(&n);
	return r < 0 ? cli_fail(&e) : r ? r : stopped;
}
