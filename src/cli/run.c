/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "keys.h"
#include "live.h"
#include "open-urls.h"
#include "report.h"
#include "run-sandbox.h"
#include "ssh.h"
#include "stay.h"

static const struct opt *options(void)
{
	static struct sandbox_options o;
	static struct opt table[SANDBOX_OPTIONS];

	sandbox_options(&o, table, ARRAY_SIZE(table));
	return table;
}

const struct command_words run_words = {
	.about =
		"Runs COMMAND so that it reads what it needs, writes only its workspace, and reaches nothing else. "
		"The workspace is the current directory, unless --workspace names others. "
		"Everything that the command started ends with it.\n\n"
		"Prints nothing of its own unless something must be said. When a part of the sandbox can't be had, nothing runs.\n\n"
		"With a word before '--', COMMAND runs in the sandbox of that name, which 'bailey create' has made with options of its own; it is started if it does not run. "
		"Without a COMMAND that is a shell.",
	.options = options,
	.examples = { { "bailey run -- make test",
			"the current directory is writable, everything else read-only" },
		      { "bailey run --allow-write ~/.cache --pass-env MY_TOKEN -- ./script",
			"one more writable path, and one variable that looks like a secret" },
		      { "bailey run --workspace . --workspace ../lib:ro -- make",
			"two workspaces, one of them read-only" },
		      { "bailey run --hide .env --timeout 5m -- ./agent",
			"one file is absent, and after five minutes all is over" },
		      { "bailey run --explain -- true",
			"what would be allowed, and why; runs nothing" },
		      { "bailey run box -- make test", "in the sandbox 'box', which stays" } },
	.statuses = { { "N", "the command's own" },
		      { "128+N", "signal N ended the command" },
		      { "124", "--timeout ended it" },
		      { "125",
			"there is no sandbox, and nothing ran; one line says which part is missing and how to get it" },
		      { "126", "the command can't be executed" },
		      { "127", "the command was not found" },
		      { "2", "wrong options or policy; nothing ran" } },
};

static int explain_only(const struct sandbox_options *o, char *const *argv, struct err *e)
{
	struct sandbox s = { .arena = ARENA_INIT(LIMIT_ARENA) };
	int r;

	if (*o->explain && strcmp(o->explain, "json") != 0 && strcmp(o->explain, "text") != 0)
		return err_set(e, ERR_USAGE, -EINVAL, "--explain=%.100s: expected text or json",
			       o->explain);
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

/* What a run learns only when it has begun, and then begins again. */
struct attempt {
	bool owner; /* of the workspace: a block of ids can't be had */
	bool files; /* regular files on 0-2 travel through pipes: a policy file allows nested sandboxes */
	bool again;
	struct run_reader reader;
	struct live *live;
};

/* bailey-keys has what a front knew of secrets, and this process needs it no more. */
static void forget(struct sandbox_front *f)
{
	if (!f || !f->secrets)
		return;
	f->masks = NULL;
	f->n_masks = 0;
	explicit_bzero(f->secrets, f->n_secrets);
}

static int run(const struct sandbox_options *o, char *const *argv, struct attempt *a, struct err *e)
{
	unsigned int relay = o->no_tty ? RELAY_TERMINALS : 0;
	struct sandbox *s;
	struct run run;
	bool no_block = false;
	int r;

	if (a->files || o->allow_nested_sandbox ||
	    (may_lose_landlock(o) && jail_landlock_abi() < 2))
		relay |= RELAY_FILES;
	r = supervise_begin(&run, a->live != NULL, relay, e);
	if (r < 0)
		return r;
	run.reader = a->reader;
	run.live = a->live;
	s = supervise_sandbox(&run);
	s->starts = true;
	s->stay = a->live ? live_stay(a->live, s) : NULL;
	r = sandbox_identify(s, o, a->owner, e);
	a->again = r == 0 && s->nested == JAIL_NESTED_SANDBOX && !(relay & RELAY_FILES);
	a->files = relay & RELAY_FILES || a->again;
	if (r == 0 && !a->again)
		r = supervise_identify(&run, &no_block, e);
	if (r == 0 && !a->again)
		r = keys_begin(&run, e);
	if (r == 0 && !a->again)
		r = ssh_begin(&run, e);
	if (r == 0 && !a->again)
		r = open_urls_begin(&run, e);
	if (r == 0 && !a->again)
		r = sandbox_frame(s, e);
	if (r == 0 && !a->again)
		r = audit_file_begin(&run, e);
	if (r == 0 && !a->again)
		r = supervise_early(&run, e);
	if (r == 0 && !a->again)
		r = keys_answer(&run, e);
	if (r == 0 && !a->again)
		r = ssh_answer(&run, e);
	if (r == 0 && !a->again)
		r = sandbox_plan(s, e);
	if (r == 0 && !a->again)
		r = overlay_begin(&run, argv, e);
	if (r == 0 && !a->again)
		r = supervise_build(&run, o->dry_run, &no_block, e);
	if (r == 0 && !a->again) /* PID 1 is busy now: the environment is not on its way */
		r = sandbox_env(s, e);
	if (no_block)
		a->owner = a->again = true;
	if (r == 0 && !a->again)
		forget(o->front);
	if (r == 0 && !a->again && s->stay)
		r = set_ids_begin(s, e);
	if (r < 0 || a->again)
		supervise_abort(&run);
	else
		r = supervise(&run, argv, e);
	if (s->stay && !a->again)
		(void)set_ids_end(s->stay->dir, &s->id,
				  &(struct err)ERR_INIT); /* else at the next start */
	sandbox_done(s);
	return r;
}

static int try(const struct sandbox_options *o, char *const *argv, struct attempt *a, struct err *e)
{
	int r = 0;

	do {
		*e = (struct err)ERR_INIT;
		a->again = false;
		r = run(o, argv, a, e);
	} while (a->again);
	return r;
}

int run_to_end(const struct sandbox_options *o, char *const *argv, const struct run_reader *reader,
	       struct err *e)
{
	struct attempt attempt = { .files = false };

	if (reader)
		attempt.reader = *reader;
	return try(o, argv, &attempt, e);
}

int run_live(const struct sandbox_options *o, struct live *live, struct err *e)
{
	static char none[] = "";
	char *const argv[] = { none, NULL };

	return try(o, argv, &(struct attempt){ .live = live }, e);
}

int run_main(char **argv)
{
	struct sandbox_options o;
	struct opt table[SANDBOX_OPTIONS];
	struct err e = ERR_INIT;
	bool dashes;
	size_t rest;
	int r;

	sandbox_options(&o, table, ARRAY_SIZE(table));
	r = opt_parse(table, argv, &rest, &dashes, &e);
	if (r == 0 && !argv[rest] && !o.explain && !o.dry_run)
		r = err_set(&e, ERR_USAGE, -EINVAL,
			    "there is no command; name it after '--': bailey run -- make test");
	if (r == 0 && argv[rest] && !dashes)
		r = run_sandbox(&o, argv + rest, &e);
	else if (r == 0 && o.explain)
		r = explain_only(&o, argv + rest, &e);
	else if (r == 0)
		r = run_to_end(&o, argv + rest, NULL, &e);
	sandbox_options_done(&o);
	return r < 0 ? cli_fail(&e) : r;
}
