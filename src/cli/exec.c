/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A command in a sandbox that stays. This process is the command's terminal and its signals; the command gets pipes in the place of terminals
 * (unless it has one of its own) and of regular files, whose names in /proc would lead round the sandbox's mounts.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "client.h"
#include "exec.h"
#include "sandbox.h"
#include "settings.h"

struct exec_options {
	bool interactive, tty, detach, split;
	struct opt_list env;
	struct opt_list env_files;
	const char *cwd, *user, *name, *detach_keys, *alone;
	struct detach_keys keys;
	long alone_ms;
};

static void fill(struct exec_options *o, struct opt *table)
{
	const struct opt rows[] = {
		OPT_FLAG(
			"interactive", &o->interactive, NULL, "Give the command our stdin",
			"Without it the command reads nothing but what is typed at the terminal of --tty. With --detach its stdin stays open, and 'bailey attach -i' types there.",
			OPT_LETTER('i')),
		OPT_FLAG("tty", &o->tty, NULL, "Give the command a terminal",
			 "Its size follows ours. Ctrl-C and Ctrl-Z are the command's.",
			 OPT_LETTER('t')),
		OPT_FLAG(
			"detach", &o->detach, NULL, "Do not wait for the command",
			"It has no stdin, unless it has a terminal or is --interactive. What it writes is kept for 'bailey logs' and 'bailey attach'.",
			OPT_LETTER('d')),
		OPT_FLAG(
			"split", &o->split, NULL,
			"With --detach: keep what it writes on 1 and 2 apart",
			"With it, 'bailey attach' has them on its own 1 and 2. Without it both are one, so that the order of what was written stays."),
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
		OPT_STRING(
			"name", &o->name, NULL, "NAME", "Give the session a name",
			"For 'attach', 'logs' and 'kill', beside its number. 1 to 63 letters, digits and _ . -, no digit first; no two that run have the same."),
		OPT_STRING(
			"detach-keys", &o->detach_keys, NULL, "KEYS",
			"Leave the terminal by these keys; default: ctrl-p,ctrl-q",
			"The session runs on. Keys are characters or ctrl- with one of a-z [ \\ ] ^ _, divided by commas; '' is for none."),
		OPT_STRING(
			"max-run-after-disconnect", &o->alone, NULL, "DURATION",
			"End the command when it has run so long without a client",
			"By SIGTERM, and ten seconds later SIGKILL. The default, 0, is for ever."),
		OPT_END,
	};

	*o = (struct exec_options){ .cwd = NULL };
	memcpy(table, rows, sizeof(rows));
}

#define ROWS 12

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
		"What the command leaves running runs on when it has ended. With a terminal, or in the background, the command is a session that outlives its client: "
		"'bailey attach' comes back to it, 'bailey logs' shows what it has written.",
	.options = options,
	.examples = { { "bailey exec box -- make test", "a command" },
		      { "bailey exec -it box -- bash", "a shell" },
		      { "bailey exec -d --name web box -- ./server",
			"in the background; then: bailey logs box web" },
		      { "bailey exec -d -i --split --name job box -- ./repl",
			"with stdin; then: bailey attach -i box job" } },
	.statuses = { { "N", "the command's own" },
		      { "128+N",
			"signal N ended the command, or this client, when the sandbox did not answer" },
		      { "3", "there is no such sandbox" },
		      { "125", "the sandbox can't be started, or has ended" },
		      { "126", "the command can't be executed" },
		      { "127", "the command was not found" },
		      { "2", "wrong options" } },
};

/* Ask for the command. @fds: behind its words; -1: no more */
static int ask(const struct client *c, const struct exec_options *o, const struct init_command *cmd,
	       const int fds[5], struct err *e)
{
	struct wire_msg m = {
		.type = WIRE_OPEN,
		.session = WIRE_COMMAND,
		.open = { .flags = (o->tty || o->detach ? WIRE_OPEN_HELD : 0) |
				   (o->detach && !o->tty && o->interactive ? WIRE_OPEN_INPUT : 0) |
				   (o->split ? WIRE_OPEN_SPLIT : 0),
			  .alone_ms = (uint32_t)o->alone_ms }
	};
	_cleanup_close_ int packed = init_pack(cmd, e);
	const int all[] = { packed, fds[0], fds[1], fds[2], fds[3], fds[4] };
	size_t n = 1;
	int r = packed;

	while (n < ARRAY_SIZE(all) && all[n] >= 0)
		n++;
	if (o->name)
		(void)snprintf(m.open.name, sizeof(m.open.name), "%s", o->name); /* was checked */
	if (r >= 0)
		r = wire_send(c->sock, &m, all, n, true);
	return r < 0 && e->code == ERR_NONE ? err_sys(e, r, "the sandbox") : r;
}

/* With a terminal, or in the background: the supervisor keeps what it writes. @null: for a command that reads nothing */
static int ask_held(struct client *c, const struct exec_options *o, struct init_command *cmd,
		    int null, struct err *e)
{
	_cleanup_close_ int theirs = -1;
	int r = 0;

	c->types = o->interactive;
	if (o->tty && o->detach) {
		terminal_default(&cmd->tty);
	} else if (o->tty && !o->interactive && !fd_is_terminal(0) && dup2(null, 0) < 0) {
		r = err_sys(e, -errno, "stdin"); /* which is whose that has started us */
	} else if (o->tty) {
		r = terminal_find(true, &c->terminal, &cmd->tty, e);
		if (r == 0)
			r = theirs = client_stream(&c->stream, e);
		if (r >= 0)
			terminal_detach_by(c->terminal, &o->keys);
	}
	return r < 0 ? r : ask(c, o, cmd, (const int[5]){ theirs, -1, -1, -1, -1 }, e);
}

/* With pipes. @null: for a command that reads nothing */
static int ask_plain(struct client *c, const struct exec_options *o, const struct init_command *cmd,
		     int null, struct err *e)
{
	struct outlets *out = &c->outlets;
	int fds[5] = { o->interactive ? 0 : null, -1, -1, -1, -1 };
	size_t i;
	int r = outlets_begin(out, e);

	if (r < 0)
		return r;
	fds[1] = out->give[0];
	fds[2] = out->give[1];
	for (i = 0; i < out->n; i++)
		fds[3 + i] = out->of[i].in;
	r = ask(c, o, cmd, fds, e);
	/* a reader must see their end when the last user is gone */
	(void)close(0);
	if (fds[1] == 1)
		(void)close(1);
	return r < 0 ? r : outlets_given(out, &c->loop, e);
}

/* In the sandbox @sock. Return: exit status or negative errno with @e. */
static int run(const struct named *n, int sock, const char *name, const struct exec_options *o,
	       struct init_command *cmd, struct err *e)
{
	struct client c;
	struct relay relay = { .pid = { 0 } };
	_cleanup_close_ int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	int r = client_begin(&c, sock, name, e);

	if (r == 0 && null < 0)
		r = err_sys(e, -errno, "/dev/null");
	c.state = n->state;
	c.detach = o->detach;
	if (r == 0 && (o->tty || o->detach)) {
		r = ask_held(&c, o, cmd, null, e);
	} else if (r == 0) {
		if (o->interactive)
			r = relay_start(&relay, RELAY_FILES | RELAY_TERMINALS | RELAY_INPUT, e);
		if (r == 0)
			r = ask_plain(&c, o, cmd, null, e);
	}
	if (r == 0)
		r = client_wait(&c, e);
	client_done(&c);
	relay_finish(&relay, r < 0);
	return r;
}

/* Append what @word, NAME=VALUE or NAME, says to *@env, of @n. Return: 0 or negative errno with @e. */
static int add_env(struct arena *a, char **env, size_t *n, const char *word, struct err *e)
{
	const char *here = strchr(word, '=') ? NULL : getenv(word);

	if (!*word || *word == '=')
		return err_set(e, ERR_USAGE, -EINVAL, "--env '%.100s': expected NAME=VALUE", word);
	if (!here && !strchr(word, '='))
		return 0;
	word = here ? arena_printf(a, "%s=%s", word, here) : arena_strdup(a, word);
	if (!word)
		return sandbox_oom(e);
	env_put(env, n, word);
	return 0;
}

/* What is said of the terminal is the caller's: others have others. @env: has TERM_VARS places more */
#define TERM_VARS 2
static int add_terminal(struct arena *a, char **env, size_t *n, struct err *e)
{
	const int r = add_env(a, env, n, "TERM", e);

	return r < 0 ? r : add_env(a, env, n, "COLORTERM", e);
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
	env = arena_alloc(a, (TERM_VARS + lines.n + o->env.n + 1) * sizeof(*env));
	if (r == 0 && !env)
		r = sandbox_oom(e);
	if (r == 0 && o->tty)
		r = add_terminal(a, env, &n, e);
	for (i = 0; r == 0 && env && i < lines.n; i++)
		r = add_env(a, env, &n, lines.v[i].value, e);
	for (i = 0; r == 0 && env && i < o->env.n; i++)
		r = add_env(a, env, &n, o->env.v[i].value, e);
	opt_list_done(&lines);
	sandbox_done(&s);
	*ret = env;
	return r;
}

/* Options that are more than words. */
static int check(struct exec_options *o, struct err *e)
{
	char word[WIRE_WORD];
	int r = 0;

	if (o->split && (!o->detach || o->tty))
		return err_set(e, ERR_USAGE, -EINVAL, "--split: %s",
			       o->tty ? "with a terminal 1 and 2 are one" :
					"only with --detach; else 1 and 2 are the caller's own");
	if (o->name && (o->name[0] >= '0' && o->name[0] <= '9'))
		r = err_set(e, ERR_USAGE, -EINVAL,
			    "'%.100s': it begins with a digit, as numbers of sessions do", o->name);
	else if (o->name)
		r = client_word(o->name, word, e);
	if (r < 0)
		return err_wrap(e, r, "--name");
	if (o->alone) {
		r = sandbox_duration_or_zero(o->alone, &o->alone_ms, e);
		if (r == 0 && o->alone_ms > INT32_MAX)
			r = err_set(e, ERR_USAGE, -ERANGE, "'%.100s': at most 24 days", o->alone);
		if (r < 0)
			return err_wrap(e, r, "--max-run-after-disconnect");
	}
	return detach_keys_parse(o->detach_keys ? o->detach_keys : DETACH_KEYS_DEFAULT, &o->keys,
				 e);
}

int exec_in(struct named *n, const char *word, char *const *argv, bool tty, struct err *e)
{
	struct exec_options o = { .interactive = true, .tty = tty };
	char *env[TERM_VARS + 1] = { NULL };
	struct init_command cmd = { .argv = argv, .envp = env };
	_cleanup_close_ int sock = -1;
	size_t vars = 0;
	int r = check(&o, e);

	if (r == 0 && tty)
		r = add_terminal(&n->arena, env, &vars, e);
	if (r == 0)
		r = client_connect(n, word, &sock, e);
	return r == 0 ? run(n, sock, word, &o, &cmd, e) : r;
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
	if (r == 0)
		r = check(&o, &e);
	if (r < 0) {
		opt_list_done(&o.env);
		opt_list_done(&o.env_files);
		return cli_fail(&e);
	}
	r = named_open(&n, &e);
	if (r == 0)
		r = make_env(&o, &n.arena, &env, &e);
	if (r == 0)
		r = client_connect(&n, argv[rest], &sock, &e);
	cmd.envp = env;
	cmd.cwd = o.cwd;
	cmd.user = o.user;
	if (r == 0)
		r = run(&n, sock, argv[rest], &o, &cmd, &e);
	cleanup_close(&sock);
	named_done(&n);
	opt_list_done(&o.env);
	opt_list_done(&o.env_files);
	return r < 0 ? cli_fail(&e) : r;
}
