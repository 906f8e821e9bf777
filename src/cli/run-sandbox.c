/* SPDX-License-Identifier: Apache-2.0 */
#include "run-sandbox.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "exec.h"

/* The words could be meant either way, so nothing is guessed; but what is probably meant can be copied. Options may hold secrets. */
static int no_sandbox(char *const *argv, bool options, struct err *e)
{
	struct buf b = BUF_INIT(512);
	size_t i;
	int r;

	for (i = 0; argv[i] && strcmp(argv[i], "--") != 0 && b.len < 120; i++) {
		buf_puts(&b, " ");
		text_shell(&b, argv[i]);
	}
	r = err_set(
		e, ERR_USAGE, -EINVAL,
		"there is no sandbox '%.60s'; to run a command, put '--' before it: bailey run%s --%s",
		argv[0], options ? " [OPTIONS]" : "",
		b.failed || b.len >= 120 ? " COMMAND" : b.data);
	buf_done(&b);
	return r;
}

/* The shell that the sandbox's environment names. */
static char *const shell[] = { (char *)(uintptr_t) "/bin/sh", (char *)(uintptr_t) "-c",
			       (char *)(uintptr_t) "exec \"${SHELL:-/bin/sh}\" -l", NULL };

static bool want_tty(const struct sandbox_options *o)
{
	return o->tty || (!o->no_tty && isatty(0) && isatty(1));
}

/* What of @o a sandbox that is there already can't take. Return: 0 or -EINVAL with @e. */
static int check_options(struct sandbox_options *o, const char *name, struct err *e)
{
	const bool tty = o->tty, no_tty = o->no_tty;
	const struct opt *given;

	o->tty = o->no_tty = false;
	given = sandbox_options_given(o);
	o->tty = tty;
	o->no_tty = no_tty;
	if (given)
		return err_set(
			e, ERR_USAGE, -EINVAL,
			"--%s: sandbox '%s' has the options that it was made with; leave it out, or give it others: bailey create --replace %s (bailey inspect --command %s prints what it has)",
			given->name, name, name, name);
	return tty && no_tty ? err_set(e, ERR_USAGE, -EINVAL,
				       "--tty and --no-tty contradict each other: leave one out") :
			       0;
}

int run_sandbox(struct sandbox_options *o, char *const *argv, struct err *e)
{
	struct named n = { .state = -1, .runtime = -1 };
	struct named_box box;
	struct err own = ERR_INIT;
	int r;

	if (named_open(&n, &own) < 0 || !named_find(&n, argv[0], &box)) {
		r = no_sandbox(argv, sandbox_options_given(o) != NULL, e);
	} else if (argv[1] && strcmp(argv[1], "--") != 0) {
		r = err_set(e, ERR_USAGE, -EINVAL,
			    "'%.100s': put '--' before the command: bailey run %s -- COMMAND",
			    argv[1], box.name);
	} else {
		r = check_options(o, box.name, e);
		if (r == 0)
			r = exec_in(&n, box.name, argv[1] && argv[2] ? argv + 2 : shell,
				    want_tty(o), e);
	}
	named_done(&n);
	return r;
}
