/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "client.h"

struct kill_options {
	const char *signal;
};

static void fill(struct kill_options *o, struct opt *table)
{
	const struct opt rows[] = {
		OPT_STRING("signal", &o->signal, NULL, "SIGNAL", "Send this one; default: TERM",
			   "A name, with or without SIG, or a number.", OPT_LETTER('s')),
		OPT_END,
	};

	*o = (struct kill_options){ .signal = NULL };
	memcpy(table, rows, sizeof(rows));
}

#define ROWS 2

static const struct opt *options(void)
{
	static struct kill_options o;
	static struct opt table[ROWS];

	fill(&o, table);
	return table;
}

const struct command_words kill_words = {
	.about =
		"Sends a signal to a session of a sandbox that stays: to the process group of its command. The sandbox, and its other sessions, go on. "
		"SESSION is a number or a name, as 'bailey sessions' shows them.",
	.options = options,
	.examples = { { "bailey kill box web", "ask the session 'web' to end" },
		      { "bailey kill --signal KILL box 3", "do not ask" } },
	.statuses = { { "0", "sent" },
		      { "3", "there is no such sandbox or session" },
		      { "4", "the sandbox does not run, or is paused, or the session has ended" },
		      { "2", "wrong options" } },
};

static const struct {
	const char *name;
	int number;
} names[] = {
	{ "HUP", SIGHUP },       { "INT", SIGINT },   { "QUIT", SIGQUIT },   { "ILL", SIGILL },
	{ "TRAP", SIGTRAP },     { "ABRT", SIGABRT }, { "BUS", SIGBUS },     { "FPE", SIGFPE },
	{ "KILL", SIGKILL },     { "USR1", SIGUSR1 }, { "SEGV", SIGSEGV },   { "USR2", SIGUSR2 },
	{ "PIPE", SIGPIPE },     { "ALRM", SIGALRM }, { "TERM", SIGTERM },   { "CHLD", SIGCHLD },
	{ "CONT", SIGCONT },     { "STOP", SIGSTOP }, { "TSTP", SIGTSTP },   { "TTIN", SIGTTIN },
	{ "TTOU", SIGTTOU },     { "URG", SIGURG },   { "XCPU", SIGXCPU },   { "XFSZ", SIGXFSZ },
	{ "VTALRM", SIGVTALRM }, { "PROF", SIGPROF }, { "WINCH", SIGWINCH }, { "IO", SIGIO },
	{ "PWR", SIGPWR },       { "SYS", SIGSYS },
};

static int signal_of(const char *text, int *ret, struct err *e)
{
	const char *name = strncasecmp(text, "SIG", 3) == 0 ? text + 3 : text;
	char *end;
	long n = strtol(text, &end, 10);
	size_t i;

	if (*text >= '0' && *text <= '9' && !*end && n > 0 && n < NSIG) {
		*ret = (int)n;
		return 0;
	}
	for (i = 0; i < ARRAY_SIZE(names); i++) {
		if (strcasecmp(names[i].name, name) == 0) {
			*ret = names[i].number;
			return 0;
		}
	}
	return err_set(e, ERR_USAGE, -EINVAL,
		       "--signal '%.100s': expected a signal's name or number", text);
}

int kill_main(char **argv)
{
	struct kill_options o;
	struct opt table[ROWS];
	struct err e = ERR_INIT;
	struct named n = { .state = -1, .runtime = -1 };
	struct wire_msg m = { .type = WIRE_KILL,
			      .session = WIRE_COMMAND,
			      .end = { .signal = SIGTERM } };
	bool dashes;
	size_t i;
	int r, sock = -1, fd;

	fill(&o, table);
	r = opt_parse(table, argv, &i, &dashes, &e);
	if (r == 0 && (!argv[i] || !argv[i + 1] || argv[i + 2]))
		r = err_set(&e, ERR_USAGE, -EINVAL,
			    "name the sandbox and the session: bailey kill SANDBOX SESSION");
	if (r == 0 && o.signal)
		r = signal_of(o.signal, &m.end.signal, &e);
	if (r == 0)
		r = client_word(argv[i + 1], m.end.word, &e);
	if (r == 0)
		r = named_open(&n, &e);
	if (r == 0)
		r = client_reach(&n, argv[i], &sock, &e);
	if (r == 0) {
		r = wire_send(sock, &m, NULL, 0, true);
		r = r < 0 ? err_sys(&e, r, "the sandbox") : client_hear(sock, &m, &fd, &e);
	}
	cleanup_close(&sock);
	named_done(&n);
	return r == -EBUSY ? (cli_fail(&e), 4) : r < 0 ? client_fail(&e) : r;
}
