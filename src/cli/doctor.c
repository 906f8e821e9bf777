/* SPDX-License-Identifier: Apache-2.0 */
/* `bailey doctor`: the facts of room probe, tried here and now, with the command that mends each. */
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "cli.h"

#include "probe/probe.h"

#define DOCTOR_OPTIONS 8
#define DETAIL_COLUMN 29 /* where the text of a fact begins */

struct doctor_options {
	bool json, quiet;
};

struct doctor {
	struct doctor_options o;
	struct probe probe;
	const struct probe_fact *facts;
	bool *chosen;
	bool colour;
	struct buf out;
};

static void fill(struct doctor_options *o, struct opt *table)
{
	const struct opt rows[] = {
		OPT_FLAG("json", &o->json, NULL, "Print an array of objects",
			 "One object for each fact, with the keys id, group, what, state, detail, errno, required, feature, layer, "
			 "needs, mend and advice."),
		OPT_FLAG("quiet", &o->quiet, NULL, "Print only what does not hold",
			 "Nothing is printed when everything holds; the exit status says the same."),
		OPT_END,
	};

	*o = (struct doctor_options){ .json = false };
	memcpy(table, rows, sizeof(rows));
}

static const struct opt *options(void)
{
	static struct doctor_options o;
	static struct opt table[DOCTOR_OPTIONS];

	fill(&o, table);
	return table;
}

const struct command_words doctor_words = {
	.about =
		"Says whether sandboxes work here: each thing that bailey needs of the kernel and the machine is a fact, found by trying it, as "
		"the caller. What does not hold is printed with the command that mends it. Changes nothing.\n\n"
		"A fact is ok; degraded: it works with less, which is named; missing; or unknown: it could not be tried. "
		"NAME is a fact, a group of facts, or a layer of the sandbox.",
	.options = options,
	.examples = { { "bailey doctor", "everything" },
		      { "bailey doctor landlock userns", "some facts" },
		      { "bailey doctor --quiet && bailey run -- make test", "in a script" } },
	.statuses = { { "0", "all that 'bailey run' needs is there" },
		      { "1", "some of it is missing or unknown" },
		      { "2", "wrong options" } },
};

static const char *text_or_null(const char *s)
{
	return s && *s ? s : NULL;
}

static bool holds(const struct probe_answer *a)
{
	return a->state == PROBE_OK || a->state == PROBE_DEGRADED;
}

/* A word names a fact, those below it ("userns" also means "userns.ids"), a group, or a layer. Return: whether it names any. */
static bool choose(struct doctor *d, const char *word)
{
	size_t i, n = strlen(word);
	bool any = false;

	for (i = 0; i < d->probe.n; i++) {
		const struct probe_fact *f = &d->facts[i];

		if ((strncmp(f->id, word, n) == 0 && (f->id[n] == '\0' || f->id[n] == '.')) ||
		    strcmp(f->group, word) == 0 || (f->layer && strcmp(f->layer, word) == 0))
			any = d->chosen[i] = true;
	}
	return any;
}

static int choose_all(struct doctor *d, char *const *words, struct err *e)
{
	size_t i;

	for (i = 0; !*words && i < d->probe.n; i++)
		d->chosen[i] = true;
	for (; *words; words++) {
		if (!choose(d, *words))
			return err_set(
				e, ERR_USAGE, -ENOENT,
				"there is no fact, group or layer '%.100s' (bailey doctor lists the facts)",
				*words);
	}
	return 0;
}

static void print_json(struct doctor *d)
{
	struct json j = { .out = &d->out };
	size_t i;

	json_open(&j, NULL, '[');
	for (i = 0; i < d->probe.n; i++) {
		const struct probe_fact *f = &d->facts[i];
		const struct probe_answer *a;

		if (!d->chosen[i])
			continue;
		a = probe_ask(&d->probe, i);
		if (d->o.quiet && a->state == PROBE_OK)
			continue;
		json_open(&j, NULL, '{');
		json_str(&j, "id", f->id);
		json_str(&j, "group", f->group);
		json_str(&j, "what", f->what);
		json_str(&j, "state", probe_state_name(a->state));
		json_str(&j, "detail", text_or_null(a->detail));
		json_int(&j, "errno", a->sys);
		json_bool(&j, "required", probe_required(f));
		json_str(&j, "feature", f->feature);
		json_str(&j, "layer", f->layer);
		json_str(&j, "needs", f->needs);
		json_str(&j, "mend", text_or_null(a->mend));
		json_str(&j, "advice", text_or_null(a->advice));
		json_close(&j, '}');
	}
	json_close(&j, ']');
	buf_puts(&d->out, "\n");
}

static void print_state(struct doctor *d, enum probe_state s)
{
	static const char *const colours[PROBE_STATE_NUM] = {
		[PROBE_OK] = "\033[32m",
		[PROBE_DEGRADED] = "\033[33m",
		[PROBE_MISSING] = "\033[31m",
		[PROBE_UNKNOWN] = "\033[35m",
	};

	buf_printf(&d->out, "%s%-8s%s", d->colour ? colours[s] : "", probe_state_name(s),
		   d->colour ? "\033[0m" : "");
}

/* What follows a fact that does not hold, below its text. */
static void print_more(struct doctor *d, const char *label, const char *text)
{
	if (!text || !*text)
		return;
	buf_printf(&d->out, "%*s%s", DETAIL_COLUMN, "", label);
	buf_quote(&d->out, text);
	buf_puts(&d->out, "\n");
}

static void print_fact(struct doctor *d, const struct probe_fact *f, const struct probe_answer *a)
{
	buf_printf(&d->out, "  %-17s ", f->id);
	print_state(d, a->state);
	buf_printf(&d->out, " %s", f->what);
	if (a->detail[0]) {
		buf_puts(&d->out, a->state == PROBE_OK ? " (" : ": ");
		buf_quote(&d->out, a->detail);
		buf_puts(&d->out, a->state == PROBE_OK ? ")" : "");
	}
	buf_puts(&d->out, "\n");
	if (a->state == PROBE_OK)
		return;
	if (f->feature && a->state != PROBE_UNKNOWN)
		print_more(d, "only for: ", f->feature);
	print_more(d, "mend: ", a->mend);
	print_more(d, a->mend[0] ? "or: " : "advice: ", a->advice);
}

static void print_facts(struct doctor *d)
{
	const char *group = "";
	size_t i;

	for (i = 0; i < d->probe.n; i++) {
		const struct probe_fact *f = &d->facts[i];
		const struct probe_answer *a;

		if (!d->chosen[i])
			continue;
		a = probe_ask(&d->probe, i);
		if (d->o.quiet && a->state == PROBE_OK)
			continue;
		if (!d->o.quiet && strcmp(group, f->group) != 0)
			buf_printf(&d->out, "%s%s\n", *group ? "\n" : "", f->group);
		group = f->group;
		print_fact(d, f, a);
	}
}

struct count {
	size_t required, broken, weak,
		absent; /* weak: required and degraded; absent: optional and not there */
	const struct probe_fact
		*first; /* of the broken that says what to do; NULL: none of those chosen */
	const struct probe_answer *answer;
};

static struct count count(struct doctor *d)
{
	struct count c = { .required = 0 };
	size_t i;

	for (i = 0; i < d->probe.n; i++) {
		const struct probe_answer *a;

		if (!d->chosen[i])
			continue;
		a = probe_ask(&d->probe, i);
		c.required += probe_required(&d->facts[i]);
		if (!probe_required(&d->facts[i])) {
			c.absent += a->state != PROBE_OK;
		} else if (!holds(a)) {
			c.broken++;
			if (!c.first && (a->mend[0] || a->advice[0])) {
				c.first = &d->facts[i];
				c.answer = a;
			}
		} else {
			c.weak += a->state == PROBE_DEGRADED;
		}
	}
	return c;
}

static void print_verdict(struct doctor *d, const struct count *c, bool all)
{
	const char *bold = d->colour ? "\033[1m" : "", *plain = d->colour ? "\033[0m" : "";

	if (c->broken) {
		buf_printf(
			&d->out,
			"\n%s%zu of %zu required facts do not hold%s; bailey run would refuse here (exit status 125).\n",
			bold, c->broken, c->required, plain);
		if (!c->first) {
			buf_puts(&d->out,
				 "next: bailey doctor: they need another fact that is missing\n");
			return;
		}
		buf_printf(&d->out, "next: %s: ", c->first->id);
		buf_quote(&d->out, c->answer->mend[0] ? c->answer->mend : c->answer->advice);
		buf_puts(&d->out, "\n");
		return;
	}
	if (c->required)
		buf_printf(&d->out, "\n%s%s%s: all %zu required facts hold%s.\n", bold,
			   all ? "bailey run works here" : "Good", plain, c->required,
			   c->weak ? ", some with less (degraded)" : "");
	else
		buf_puts(&d->out, "\n");
	if (c->absent)
		buf_printf(&d->out, "%zu optional %s not or not fully there; each says what for.\n",
			   c->absent, c->absent == 1 ? "fact is" : "facts are");
	buf_puts(&d->out, "next: bailey run -- make test\n");
}

/* Where a run of root would leave its chroot first, the tries do so, too. */
static int stand_as_a_run(struct err *e)
{
	int r = geteuid() == 0 && probe_namespace(CLONE_NEWUSER) == -EPERM ? jail_leave_chroot() :
									     0;

	/* whatever else kept it from leaving, the facts say what follows */
	return r == -ENOTRECOVERABLE ? err_sys(e, r, "leave the chroot") : 0;
}

static int doctor(struct doctor *d, char *const *words, struct err *e)
{
	struct count c;
	int r = stand_as_a_run(e);

	if (r == 0)
		r = probe_begin(&d->probe, e);
	if (r < 0)
		return r;
	d->chosen = calloc(d->probe.n, sizeof(*d->chosen));
	if (!d->chosen)
		return err_set(e, ERR_SYSTEM, -ENOMEM, "out of memory");
	d->facts = probe_facts(&d->probe.n);
	r = choose_all(d, words, e);
	if (r < 0)
		return r;
	if (d->o.json)
		print_json(d);
	else
		print_facts(d);
	c = count(d);
	if (!d->o.json && !d->o.quiet)
		print_verdict(d, &c, !*words);
	r = cli_print(&d->out);
	return r ? 125 : c.broken > 0;
}

int doctor_main(char **argv)
{
	struct doctor d = { .out = BUF_INIT(LIMIT_OUTPUT) };
	struct opt table[DOCTOR_OPTIONS];
	struct err e = ERR_INIT;
	const char *term = getenv("TERM");
	bool dashes;
	size_t rest;
	int r;

	fill(&d.o, table);
	d.colour = isatty(1) && !getenv("NO_COLOR") && term && strcmp(term, "dumb") != 0;
	r = opt_parse(table, argv, &rest, &dashes, &e);
	if (r == 0)
		r = doctor(&d, argv + rest, &e);
	probe_end(&d.probe);
	free(d.chosen);
	buf_done(&d.out);
	return r < 0 ? cli_fail(&e) : r;
}
