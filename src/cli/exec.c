/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A command in a sandbox that stays. This process is the command's terminal and its signals; the command gets pipes in the place of terminals
 * (unless it has one of its own) and of regular files, whose names in /proc would lead round the sandbox's mounts.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "live.h"
#include "named.h"
#include "sandbox.h"
#include "settings.h"
#include "terminal.h"

struct exec_options {
	bool interactive, tty, detach;
	struct opt_list env;
	struct opt_list env_files;
	const char *cwd, *user;
};

static void fill(struct exec_options *o, struct opt *table)
{
	const struct opt rows[] = {
		OPT_FLAG("interactive", &o->interactive, NULL, "Give the command our stdin",
			 "Without it the command reads nothing.", OPT_LETTER('i')),
		OPT_FLAG("tty", &o->tty, NULL, "Give the command a terminal",
			 "Its size follows ours. Ctrl-C and Ctrl-Z are the command's.",
			 OPT_LETTER('t')),
		OPT_FLAG("detach", &o->detach, NULL, "Do not wait for the command",
			 "It has no stdin, and what it writes is thrown away.", OPT_LETTER('d')),
		OPT_LIST("env", &o->env, NULL, "NAME=VALUE", "Set a variable",
			 "NAME alone takes the value that it has here.", OPT_LETTER('e')),
		OPT_LIST(
			"env-file", &o->env_files, NULL, "FILE", "Set the variables of a file",
			"A line is NAME=VALUE, NAME alone as with --env, or # comment. --env wins."),
		OPT_STRING(
			"user", &o->user, NULL, "USER[:GROUP]",
			"Run as another user of the sandbox",
			"A name or a number; the default is its user, 'agent'. root where the sandbox has one ('bailey inspect').",
			OPT_LETTER('u')),
		OPT_STRING("workdir", &o->cwd, NULL, "DIR", "Start in DIR of the sandbox",
			   "The default is the sandbox's first workspace.", OPT_LETTER('w')),
		OPT_END,
	};

	*o = (struct exec_options){ .cwd = NULL };
	memcpy(table, rows, sizeof(rows));
}

#define ROWS 8

static const struct opt *options(void)
{
	static struct exec_options o;
	static struct opt table[ROWS];

	fill(&o, table);
	return table;
}

const struct command_words exec_words = {
	.about =
		"Runs COMMAND in a sandbox that was made by 'bailey create', and starts the sandbox if it does not run. "
		"What the command leaves running runs on when it has ended.",
	.options = options,
	.examples = { { "bailey exec box -- make test", "a command" },
		      { "bailey exec -it box -- bash", "a shell" },
		      { "bailey exec -d box -- ./server", "in the background" } },
	.statuses = { { "N", "the command's own" },
		      { "128+N", "signal N ended the command" },
		      { "3", "there is no such sandbox" },
		      { "125", "the sandbox can't be started, or has ended" },
		      { "126", "the command can't be executed" },
		      { "127", "the command was not found" },
		      { "2", "wrong options" } },
};

struct exec {
	struct loop loop;
	struct terminal *terminal;
	struct loop_source *reports;
	int sock, signals, status;
	bool detach, ended;
};

static int on_signal(void *arg, short revents, struct err *e)
{
	struct exec *x = arg;
	struct signalfd_siginfo si;
	struct wire_msg m = { .type = WIRE_SIGNAL, .session = WIRE_COMMAND };

	(void)revents;
	(void)e;
	if (read(x->signals, &si, sizeof(si)) != (ssize_t)sizeof(si))
		return -EAGAIN;
	if (si.ssi_signo == SIGWINCH) {
		if (x->terminal)
			terminal_resize(x->terminal);
		return -EAGAIN;
	}
	m.signal.signal = (int32_t)si.ssi_signo;
	m.signal.flags = si.ssi_code > 0 ?
				 WIRE_SIGNAL_GROUP :
				 0; /* Ctrl-C of a caller's terminal is meant for a whole group */
	(void)wire_send(x->sock, &m, NULL, 0, false);
	return -EAGAIN;
}

/* What the supervisor says of our command. */
static int on_report(void *arg, short revents, struct err *e)
{
	struct exec *x = arg;
	struct wire_msg m;
	int fds[WIRE_FDS], r = wire_recv(x->sock, WIRE_FROM_INIT, &m, fds);

	(void)revents;
	if (r == -EAGAIN)
		return r;
	if (r <= 0)
		return err_set(e, ERR_SYSTEM, -EPIPE, "the sandbox has ended");
	switch (m.type) {
	case WIRE_STARTED:
		if (x->detach) {
			cleanup_close(&fds[0]);
			return 0;
		}
		if (x->terminal)
			r = terminal_start(x->terminal, &x->loop, fds[0], e);
		else
			cleanup_close(&fds[0]);
		return r < 0 ? r : -EAGAIN;
	case WIRE_FAILED:
		*e = m.failed;
		return e->sys ? -e->sys : -EIO;
	case WIRE_ENDED:
		x->status = WIFSIGNALED(m.ended.status) ? 128 + WTERMSIG(m.ended.status) :
							  WEXITSTATUS(m.ended.status);
		x->ended = true;
		x->reports->events =
			0; /* it hangs up next, while the terminal's last output is on its way */
		x->reports->fd = -1;
		return -EAGAIN;
	default:
		return -EAGAIN;
	}
}

static int open_signals(void)
{
	static const int taken[] = { SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGWINCH };
	sigset_t set;
	size_t i;

	sigemptyset(&set);
	for (i = 0; i < ARRAY_SIZE(taken); i++)
		sigaddset(&set, taken[i]);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return -errno;
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

/* Ask for the command. @streams: for its 0-2 */
static int ask(const struct exec *x, const struct init_command *cmd, const int streams[3],
	       struct err *e)
{
	const struct wire_msg m = { .type = WIRE_SPAWN, .session = WIRE_COMMAND };
	_cleanup_close_ int packed = init_pack(cmd, e);
	const int fds[] = { packed, streams[0], streams[1], streams[2] };
	int r = packed < 0 ? packed : wire_send(x->sock, &m, fds, cmd->tty.fds ? 1 : 4, true);

	return r < 0 && e->code == ERR_NONE ? err_sys(e, r, "the sandbox") : r;
}

static int loop(struct exec *x, struct err *e)
{
	int r;

	do {
		if (x->ended && (!x->terminal || terminal_drained(x->terminal)))
			return x->status;
		r = loop_wait(&x->loop, -1, e);
	} while (r == -EAGAIN);
	return r;
}

/* In the sandbox @sock. Return: exit status or negative errno with @e. */
static int run(int sock, const struct exec_options *o, struct init_command *cmd, struct err *e)
{
	struct exec x = { .sock = sock, .signals = open_signals(), .detach = o->detach };
	struct relay relay = { .pid = { 0 } };
	_cleanup_close_ int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	int streams[3] = { o->interactive && !o->detach ? 0 : null, o->detach ? null : 1,
			   o->detach ? null : 2 },
	    r = 0;

	if (x.signals < 0 || null < 0)
		return err_sys(e, -errno, "signals");
	if (o->tty && !o->detach)
		r = terminal_find(true, &x.terminal, &cmd->tty, e);
	else if (!o->detach)
		r = relay_start(&relay, RELAY_FILES | RELAY_TERMINALS, e);
	if (r == 0)
		r = ask(&x, cmd, streams, e);
	/* a reader must see their end when the last user is gone */
	if (r == 0 && !x.terminal && !o->detach) {
		(void)close(0);
		(void)close(1);
	}
	x.reports = loop_add(&x.loop, sock, POLLIN, on_report, &x); /* the table is empty */
	(void)loop_add(&x.loop, x.signals, POLLIN, on_signal, &x);
	if (r == 0)
		r = loop(&x, e);
	terminal_finish(x.terminal);
	relay_finish(&relay, r < 0);
	cleanup_close(&x.signals);
	return r;
}

/* Append what @word, NAME=VALUE or NAME, says to *@env, of @n. Return: 0 or negative errno with @e. */
static int add_env(struct arena *a, char **env, size_t *n, const char *word, struct err *e)
{
	const char *here = strchr(word, '=') ? NULL : getenv(word);
	size_t i = 0;

	if (!*word || *word == '=')
		return err_set(e, ERR_USAGE, -EINVAL, "--env '%.100s': expected NAME=VALUE", word);
	if (!here && !strchr(word, '='))
		return 0;
	word = here ? arena_printf(a, "%s=%s", word, here) : arena_strdup(a, word);
	if (!word)
		return sandbox_oom(e);
	while (i < *n && strncmp(env[i], word, strcspn(word, "=") + 1) != 0)
		i++;
	env[i] = (char *)(uintptr_t)word;
	*n += i == *n;
	return 0;
}

/* The values of --env-file and --env as variables; of two with one name the last one is in force. */
static int make_env(const struct exec_options *o, struct arena *a, char ***ret, struct err *e)
{
	struct sandbox s = { .arena = ARENA_INIT(LIMIT_ARENA), .id = { .lock = -1 } };
	struct opt_list lines = { .n = 0 };
	char **env;
	size_t i, n = 0;
	int r = sandbox_find_home(&s, e);

	for (i = 0; r == 0 && i < o->env_files.n; i++)
		r = env_file(&s, &o->env_files.v[i], &lines, e);
	env = arena_alloc(a, (lines.n + o->env.n + 1) * sizeof(*env));
	if (r == 0 && !env)
		r = sandbox_oom(e);
	for (i = 0; r == 0 && i < lines.n; i++)
		r = add_env(a, env, &n, lines.v[i].value, e);
	for (i = 0; r == 0 && i < o->env.n; i++)
		r = add_env(a, env, &n, o->env.v[i].value, e);
	opt_list_done(&lines);
	sandbox_done(&s);
	*ret = env;
	return r;
}

/* To the sandbox @word, which is started if need be. Return: as named_get(). */
static int connect_to(struct named *n, const char *word, int *ret_sock, struct err *e)
{
	const char *name = word;
	struct named_box box;
	int r;

	for (;;) {
		*ret_sock = named_connect(n, name);
		if (*ret_sock >= 0)
			return 0;
		if (*ret_sock != -ENOENT && *ret_sock != -ECONNREFUSED)
			return err_sys(e, *ret_sock, "sandbox '%.100s'", name);
		r = named_start(n, word, &box, e);
		if (r != 0)
			return r;
		name = box.name;
	}
}

int exec_main(char **argv)
{
	struct exec_options o;
	struct opt table[ROWS];
	struct init_command cmd = { .argv = NULL };
	struct err e = ERR_INIT;
	struct named n;
	char **env = NULL;
	bool dashes;
	size_t rest;
	int r, sock = -1;

	fill(&o, table);
	r = opt_parse(table, argv, &rest, &dashes, &e);
	if (r == 0 && (!argv[rest] || dashes))
		r = err_set(&e, ERR_USAGE, -EINVAL,
			    "name the sandbox and the command: bailey exec SANDBOX -- COMMAND");
	if (r == 0)
		cmd.argv = argv + rest + 1 + (argv[rest + 1] && strcmp(argv[rest + 1], "--") == 0);
	if (r == 0 && !cmd.argv[0])
		r = err_set(&e, ERR_USAGE, -EINVAL,
			    "there is no command: bailey exec %.100s -- COMMAND", argv[rest]);
	if (r < 0) {
		opt_list_done(&o.env);
		opt_list_done(&o.env_files);
		return cli_fail(&e);
	}
	r = named_open(&n, &e);
	if (r == 0)
		r = make_env(&o, &n.arena, &env, &e);
	if (r == 0)
		r = connect_to(&n, argv[rest], &sock, &e);
	cmd.envp = env;
	cmd.cwd = o.cwd;
	cmd.user = o.user;
	if (r == 0)
		r = run(sock, &o, &cmd, &e);
	cleanup_close(&sock);
	named_done(&n);
	opt_list_done(&o.env);
	opt_list_done(&o.env_files);
	return r < 0 ? cli_fail(&e) : r;
}
