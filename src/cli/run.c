/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cli.h"

void run_help(struct buf *b)
{
	struct sandbox_options o;
	struct opt table[SANDBOX_OPTIONS];

	sandbox_options(&o, table, ARRAY_SIZE(table));
	buf_puts(
		b,
		"bailey run [OPTIONS] -- COMMAND [ARG...]\n\n"
		"Runs COMMAND so that it reads what it needs, writes only its workspace, and reaches nothing else.\n");
	opt_help(table, b);
	buf_puts(
		b,
		"\nExit status: the command's; 128+n when signal n ended it; 124 after --timeout; 125 when there is no sandbox;\n"
		"126 and 127 when the command can't be executed or found; 2 for wrong options.\n\n"
		"Examples:\n"
		"  bailey run -- make test\n"
		"  bailey run --allow-write ~/.cache --pass-env MY_TOKEN -- ./script\n"
		"  bailey run --workspace . --workspace ../lib:ro -- cargo build --offline\n"
		"  bailey run --explain -- true\n");
}

static int explain_only(const struct sandbox_options *o, char *const *argv, struct err *e)
{
	struct sandbox s = { .arena = ARENA_INIT(LIMIT_ARENA) };
	int r;

	if (*o->explain && strcmp(o->explain, "json") != 0 && strcmp(o->explain, "text") != 0)
		return err_set(e, ERR_USAGE, -EINVAL,
			       "--explain=%s: there are only 'text' and 'json'", o->explain);
	r = sandbox_make(&s, o, e);
	if (r == 0 && jail_limits_any(&s.limits)) /* found by trying, as in a run */
		r = jail_limits_begin(&s.limits, 0, s.allow_degraded, &(unsigned int){ 0 }, e);
	if (r == 0)
		r = explain(&s, argv, strcmp(o->explain, "json") == 0, e);
	jail_limits_end(&s.limits, NULL);
	sandbox_done(&s);
	return r;
}

static bool may_lose_landlock(const struct sandbox_options *o)
{
	size_t i;

	for (i = 0; i < o->degraded.n; i++) {
		if (strcmp(o->degraded.v[i].value, jail_layer_info(JAIL_LAYER_LANDLOCK)->name) == 0)
			return true;
	}
	return false;
}

static int run(const struct sandbox_options *o, char *const *argv, bool owner, bool *ret_no_block,
	       struct err *e)
{
	unsigned int relay = o->no_tty ? RELAY_TERMINALS : 0;
	struct sandbox *s;
	struct run run;
	int r;

	if (may_lose_landlock(o) && jail_landlock_abi() < 2)
		relay |= RELAY_FILES;
	r = supervise_begin(&run, relay, e);
	if (r < 0)
		return r;
	s = supervise_sandbox(&run);
	s->starts = true;
	r = sandbox_identify(s, o, owner, e);
	if (r == 0)
		r = supervise_identify(&run, ret_no_block, e);
	if (r == 0)
		r = sandbox_plan(s, e);
	if (r == 0)
		r = supervise_build(&run, o->dry_run, ret_no_block, e);
	if (r == 0) /* PID 1 is busy now: the environment is not on its way */
		r = sandbox_env(s, e);
	if (r < 0)
		supervise_abort(&run);
	else
		r = supervise(&run, argv, e);
	sandbox_done(s);
	return r;
}

int run_main(char **argv)
{
	struct sandbox_options o;
	struct opt table[SANDBOX_OPTIONS];
	struct err e = ERR_INIT;
	bool dashes, no_block = false;
	size_t rest;
	int r;

	if (argv[0] && strcmp(argv[0], "--help") == 0)
		return help_main((char *[]){ (char *)(uintptr_t) "run", NULL });
	sandbox_options(&o, table, ARRAY_SIZE(table));
	r = opt_parse(table, argv, &rest, &dashes, &e);
	if (r == 0 && !argv[rest] && !o.explain && !o.dry_run)
		r = err_set(&e, ERR_USAGE, -EINVAL,
			    "there is no command: bailey run [OPTIONS] -- COMMAND");
	if (r == 0 && argv[rest] && !dashes)
		r = err_set(&e, ERR_USAGE, -EINVAL,
			    "put '--' before the command: bailey run [OPTIONS] -- %.200s",
			    argv[rest]);
	if (r == 0 && o.explain) {
		r = explain_only(&o, argv + rest, &e);
	} else if (r == 0) {
		r = run(&o, argv + rest, false, &no_block, &e);
		if (no_block) {
			e = (struct err)ERR_INIT;
			r = run(&o, argv + rest, true, &no_block, &e);
		}
	}
	sandbox_options_done(&o);
	return r < 0 ? cli_fail(&e) : r;
}
