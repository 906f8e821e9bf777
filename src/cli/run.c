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
	buf_puts(b, "bailey run [OPTIONS] -- COMMAND [ARG...]\n\n"
		    "Runs COMMAND so that it reads what it needs, writes only its workspace, and reaches nothing else.\n");
	opt_help(table, b);
	buf_puts(b, "\nExit status: the command's; 128+n when signal n ended it; 124 after --timeout; 125 when there is no sandbox;\n"
		    "126 and 127 when the command can't be executed or found; 2 for wrong options.\n\n"
		    "Examples:\n"
		    "  bailey run -- make test\n"
		    "  bailey run --allow-write ~/.npm --pass-env NPM_TOKEN -- npm ci\n"
		    "  bailey run --workspace . --workspace ../lib:ro -- cargo build --offline\n"
		    "  bailey run --explain -- true\n");
}

static int start(struct sandbox *s, const struct sandbox_options *o, char *const *argv, bool owner, struct err *e)
{
	int r = sandbox_make(s, o, owner, e);

	if (r < 0)
		return r;
	if (!o->explain)
		return supervise(s, argv, o->dry_run, e);
	if (*o->explain && strcmp(o->explain, "json") != 0 && strcmp(o->explain, "text") != 0)
		return err_set(e, ERR_USAGE, -EINVAL, "--explain=%s: there are only 'text' and 'json'", o->explain);
	return explain(s, argv, strcmp(o->explain, "json") == 0, e);
}

int run_main(char **argv)
{
	struct sandbox_options o;
	struct opt table[SANDBOX_OPTIONS];
	struct err e = ERR_INIT;
	struct sandbox s;
	bool dashes;
	size_t rest;
	int r;

	if (argv[0] && strcmp(argv[0], "--help") == 0)
		return help_main((char *[]){ (char *)(uintptr_t)"run", NULL });
	sandbox_options(&o, table, ARRAY_SIZE(table));
	r = opt_parse(table, argv, &rest, &dashes, &e);
	if (r == 0 && !argv[rest] && !o.explain && !o.dry_run)
		r = err_set(&e, ERR_USAGE, -EINVAL, "there is no command: bailey run [OPTIONS] -- COMMAND");
	if (r == 0 && argv[rest] && !dashes)
		r = err_set(&e, ERR_USAGE, -EINVAL, "put '--' before the command: bailey run [OPTIONS] -- %.200s", argv[rest]);
	if (r == 0) {
		r = start(&s, &o, argv + rest, false, &e);
		if (r == -EOPNOTSUPP) {
			sandbox_done(&s);
			e = (struct err)ERR_INIT;
			r = start(&s, &o, argv + rest, true, &e);
		}
		sandbox_done(&s);
	}
	sandbox_options_done(&o);
	return r < 0 ? cli_fail(&e) : r;
}
