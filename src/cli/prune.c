/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>
#include <time.h>

#include "prune-sandboxes.h"
#include "records.h"
#include "sandbox.h"
#include "volumes.h"

#define OLD "168h"

struct prune_options {
	const char *older;
	bool sandboxes, volumes, force;
};

static void fill(struct prune_options *o, struct opt *table)
{
	const struct opt rows[] = {
		OPT_STRING(
			"older", &o->older, NULL, "DURATION",
			"Throw away what is older than DURATION: 30m, 48h, 30d; default: " OLD,
			"With 0 all of it. The age of a run is counted from its start, that of a sandbox from its last start or stop."),
		OPT_FLAG(
			"sandboxes", &o->sandboxes, NULL,
			"Remove sandboxes that are stopped, too, and what is left of others",
			"As 'bailey rm' does it, after a question. Also what a removal that was cut off has left, and sockets of sandboxes that do not run; after the question, too, directories that no sandbox has."),
		OPT_FLAG(
			"volumes", &o->volumes, NULL,
			"Remove volumes that no sandbox has, too, with their files",
			"After a question, and after --sandboxes. The age of a volume is counted from its creation."),
		OPT_FLAG("force", &o->force, NULL, "Do not ask",
			 "Without it, and without a terminal, no sandbox and no volume is removed.",
			 OPT_LETTER('f')),
		OPT_END,
	};

	*o = (struct prune_options){ .older = NULL };
	memcpy(table, rows, sizeof(rows));
}

#define ROWS 5

static const struct opt *options(void)
{
	static struct prune_options o;
	static struct opt table[ROWS];

	fill(&o, table);
	return table;
}

const struct command_words prune_words = {
	.about =
		"Removes the records of runs that are over and began a while ago, with what they changed in their overlay workspaces and nobody applied; not those of sandboxes that stay. "
		"Also removes records that can't be read; and, when asked to, sandboxes that stay, and volumes.",
	.options = options,
	.examples = { { "bailey prune --older 48h", "what is older than two days" },
		      { "bailey prune --sandboxes --force --older 720h",
			"and sandboxes that were not used for a month" } },
	.statuses = { { "0", "done" },
		      { "1", "the answer was no; runs were pruned" },
		      { "2", "wrong options, or nobody can be asked" } },
};

struct pruning {
	struct records *rs;
	struct timespec before;
	struct buf *out;
};

static int prune_one(void *arg, const char *id, struct err *e)
{
	struct pruning *p = arg;
	struct err busy = ERR_INIT;
	struct review r = REVIEW_INIT;
	int ret = 0;

	if (review_open(&r, &p->rs->store, id, true, &busy) == 0) {
		ret = review_remove(&r, e);
		if (ret == 0)
			buf_printf(p->out, "discarded %s\n", id);
	}
	review_done(&r);
	return ret;
}

int prune_main(char **argv)
{
	struct records rs = { .store = { .fd = -1 } };
	struct buf out = BUF_INIT(LIMIT_OUTPUT);
	struct pruning p = { .rs = &rs, .out = &out };
	struct prune_options o;
	struct opt table[ROWS];
	struct err e = ERR_INIT;
	size_t rest = 0;
	bool dashes;
	long ms = 0;
	int r;

	fill(&o, table);
	r = opt_parse(table, argv, &rest, &dashes, &e);
	if (r == 0 && argv[rest])
		r = err_set(&e, ERR_USAGE, -E2BIG,
			    "'%.100s' is one word too many; to remove one run: bailey discard RUN",
			    argv[rest]);
	if (r == 0) {
		r = sandbox_duration_or_zero(o.older ? o.older : OLD, &ms, &e);
		if (r < 0)
			r = err_wrap(&e, r, "--older");
	}
	if (r == 0) {
		(void)clock_gettime(CLOCK_REALTIME, &p.before); /* can't fail for this clock */
		p.before.tv_sec -= ms / 1000;
		r = records_open(&rs, &e);
		if (r == 0)
			r = records_each_over(&rs, p.before.tv_sec, prune_one, &p, &e);
		records_done(&rs);
	}
	if (out.len && cli_print(&out) != 0 && r == 0)
		r = 125;
	if (r == 0 && o.sandboxes)
		r = prune_sandboxes(p.before.tv_sec, o.force, &e);
	if (r == 0 && o.volumes)
		r = volume_prune(p.before.tv_sec, o.force, &e);
	buf_done(&out);
	return r < 0 ? cli_fail(&e) : r;
}
