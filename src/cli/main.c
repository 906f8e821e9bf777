/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "live.h"
#include "open-urls.h"
#include "srt.h"

const struct command commands[] = {
	{ "run", run_main, "bailey run [OPTIONS] -- COMMAND [ARG...]",
	  "run a command in a sandbox of its own", &run_words },
	{ "create", create_main, "bailey create [OPTIONS] NAME [WORKSPACE...]",
	  "make a sandbox that stays, or change one", &create_words },
	{ "exec", exec_main, "bailey exec [OPTIONS] SANDBOX -- COMMAND [ARG...]",
	  "run a command in a sandbox that stays", &exec_words },
	{ "cp", cp_main, "bailey cp [OPTIONS] PATH PATH",
	  "copy files out of a sandbox that stays, or into it", &cp_words },
	{ "fs", fs_main, "bailey fs [OPTIONS] SANDBOX stat|ls|mkdir|mv|rm|watch PATH [TO]",
	  "look at, change and watch names inside a sandbox", &fs_words },
	{ "attach", attach_main, "bailey attach [OPTIONS] SANDBOX [SESSION]",
	  "come back to a session of a sandbox", &attach_words },
	{ "logs", logs_main, "bailey logs [OPTIONS] SANDBOX [SESSION]",
	  "print what a session has written", &logs_words },
	{ "sessions", sessions_main, "bailey sessions [OPTIONS] SANDBOX",
	  "list the commands of a sandbox", &sessions_words },
	{ "kill", kill_main, "bailey kill [OPTIONS] SANDBOX SESSION",
	  "send a signal to a session of a sandbox", &kill_words },
	{ "service", service_main,
	  "bailey service [OPTIONS] add|ls|start|stop|restart|logs|rm SANDBOX [ARG...]",
	  "what runs in a sandbox by itself", &service_words },
	{ "ls", ls_main, "bailey ls [OPTIONS]", "list the sandboxes that stay", &ls_words },
	{ "inspect", inspect_main, "bailey inspect [OPTIONS] SANDBOX...", "print what a sandbox is",
	  &inspect_words },
	{ "start", start_main, "bailey start [OPTIONS] [SANDBOX...]", "start a sandbox that stays",
	  &start_words },
	{ "stop", stop_main, "bailey stop [OPTIONS] SANDBOX...", "end all that runs in a sandbox",
	  &stop_words },
	{ "pause", pause_main, "bailey pause [OPTIONS] SANDBOX...", "let nothing run in a sandbox",
	  &pause_words },
	{ "resume", resume_main, "bailey resume [OPTIONS] SANDBOX...",
	  "let a sandbox that is paused go on", &resume_words },
	{ "extend", extend_main, "bailey extend [OPTIONS] SANDBOX DURATION",
	  "put off the time-out of a sandbox", &extend_words },
	{ "stats", stats_main, "bailey stats [OPTIONS] [SANDBOX...]", "print what sandboxes use",
	  &stats_words },
	{ "top", top_main, "bailey top [OPTIONS] SANDBOX", "list the processes of a sandbox",
	  &top_words },
	{ "port", port_main, "bailey port [OPTIONS] SANDBOX",
	  "list the published ports of a sandbox", &port_words },
	{ "events", events_main, "bailey events [OPTIONS] [SANDBOX...]",
	  "print what happened to sandboxes", &events_words },
	{ "rename", rename_main, "bailey rename [OPTIONS] SANDBOX NAME",
	  "give a sandbox another name", &rename_words },
	{ "rm", rm_main, "bailey rm [OPTIONS] SANDBOX...", "remove a sandbox", &rm_words },
	{ "reset", reset_main, "bailey reset [OPTIONS] SANDBOX...",
	  "make of a sandbox what it was when it was created", &reset_words },
	{ "volume", volume_main, "bailey volume [OPTIONS] create|ls|inspect|rm [NAME...]",
	  "keep files that outlive sandboxes", &volume_words },
	{ "service-unit", service_unit_main, "bailey service-unit [OPTIONS]",
	  "print what starts sandboxes when the machine does", &service_unit_words },
	{ "learn", learn_main, "bailey learn [OPTIONS] -- COMMAND [ARG...]",
	  "run a command, and print the policy that it would need", &learn_words },
	{ "diff", diff_main, "bailey diff [OPTIONS] [RUN]",
	  "show what a run changed in its overlay workspace", &diff_words },
	{ "apply", apply_main, "bailey apply [OPTIONS] [RUN] [PATH...]",
	  "take over what a run changed in its overlay workspace", &apply_words },
	{ "discard", discard_main, "bailey discard [OPTIONS] [RUN...]",
	  "throw away what a run changed", &discard_words },
	{ "runs", runs_main, "bailey runs [OPTIONS]",
	  "list the runs whose changes are still to be reviewed", &runs_words },
	{ "prune", prune_main, "bailey prune [OPTIONS]",
	  "throw away what old runs changed, and old sandboxes", &prune_words },
	{ "check", check_main, "bailey check [OPTIONS] read|write PATH...",
	  "say whether a sandbox could read or write PATH, and why", &check_words },
	{ "network", network_main,
	  "bailey network [OPTIONS] check|ls|log|policy|allow|deny|remove|proxy [ARG...]",
	  "what a sandbox can reach, or has reached", &network_verb_words },
	{ "secret", secret_main, "bailey secret [OPTIONS] set|ls|rm|rotate [NAME...]",
	  "keep keys that sandboxes use and never have", &secret_words_of },
	{ "doctor", doctor_main, "bailey doctor [OPTIONS] [NAME...]",
	  "say what is missing here, and how to mend it", &doctor_words },
	{ "trust", trust_main, "bailey trust [OPTIONS] [DIR...]",
	  "let a project's policy file give as well as take", &trust_words },
	{ "quarantine", quarantine_main, "bailey quarantine [OPTIONS] ls|show|restore|rm [ID...]",
	  "what runs made that the host would have executed", &quarantine_words },
	{ "srt", srt_main, "bailey srt [OPTIONS] [COMMAND [ARG...]]",
	  "run a command as srt would, by srt's settings", &srt_verb_words },
	{ "import-claude-settings", claude_main, "bailey import-claude-settings [OPTIONS] FILE...",
	  "print settings of Claude Code as a policy file", &claude_words },
	{ "help", help_main, "bailey help [OPTIONS] [VERB [--OPTION]]",
	  "explain bailey, a verb or an option", &help_words },
	{ "version", version_main, "bailey version [OPTIONS]", "show the version", &version_words },
	{ NULL, NULL, NULL, NULL, NULL },
};

static const struct command *current; /* the verb that runs */

/* Words of other tools, and what does that here: by its letters alone 'delete' would be 'reset'. */
static const char *const others[][2] = {
	{ "delete", "bailey rm" },
	{ "destroy", "bailey rm" },
	{ "remove", "bailey rm" },
	{ "unpause", "bailey resume" },
	{ "ps", "bailey ls" },
	{ "restart", "bailey stop SANDBOX && bailey start SANDBOX" },
	{ "shell", "bailey exec -it SANDBOX" },
};

const struct command *command_find(const char *name, struct err *e)
{
	struct nearest near = NEAREST_INIT(name, strlen(name));
	const struct command *c;
	size_t i;

	for (c = commands; c->name; c++) {
		if (strcmp(c->name, name) == 0)
			return c;
		nearest_offer(&near, c->name);
	}
	for (i = 0; i < ARRAY_SIZE(others) && strcmp(others[i][0], name) != 0; i++)
		;
	if (i < ARRAY_SIZE(others))
		(void)err_set(e, ERR_USAGE, -ENOENT, "there is no verb '%.100s': %s", name,
			      others[i][1]);
	else if (near.best)
		(void)err_set(e, ERR_USAGE, -ENOENT,
			      "there is no verb '%.100s'; did you mean '%s'?", name, near.best);
	else
		(void)err_set(e, ERR_USAGE, -ENOENT,
			      "there is no verb '%.100s'; 'bailey help' lists them", name);
	return NULL;
}

int cli_fail(const struct err *e)
{
	struct buf b = BUF_INIT(4096);

	if (e->code == ERR_HELP)
		return help_verb(current);
	buf_puts(&b, "bailey: ");
	buf_quote(&b, e->msg);
	if (e->code == ERR_LAYER && e->where[0]) {
		buf_puts(&b, ". See: bailey doctor ");
		buf_quote(&b, e->where);
	}
	buf_puts(&b, "\n");
	(void)fd_write_all(2, b.data, b.len); /* nobody is left to tell */
	buf_done(&b);
	return err_exit_code(e);
}

int cli_print(const struct buf *b)
{
	struct err e = ERR_INIT;
	int r;

	if (b->failed) {
		(void)err_set(&e, ERR_SYSTEM, -ENOMEM, "the output does not fit");
		return cli_fail(&e);
	}
	r = fd_write_all(1, b->data, b->len);
	if (r < 0) {
		(void)err_sys(&e, r, "stdout");
		return cli_fail(&e);
	}
	return 0;
}

/*
 * What stands on 0-2 goes into the sandbox. A directory is a way round every mount (openat, /proc/self/fd/0/..), and a socket that can be
 * connected anew is a way into the host's network: both are refused.
 */
static int check_stream(int fd, const struct stat *st, struct err *e)
{
	int flags = fcntl(fd, F_GETFL), domain = 0, type = 0;
	socklen_t n = sizeof(int), peer_len = sizeof(struct sockaddr_storage);
	struct sockaddr_storage peer;

	if (S_ISDIR(st->st_mode))
		return err_set(
			e, ERR_LAYER, -EISDIR,
			"fd %d is a directory, through which the sandbox could be left; use </dev/null",
			fd);
	if (flags < 0 || (flags & O_PATH))
		return err_set(e, ERR_LAYER, -EBADF,
			       "fd %d is open by path only (O_PATH); use </dev/null", fd);
	if (S_ISBLK(st->st_mode))
		return err_set(e, ERR_LAYER, -EPERM,
			       "fd %d is a block device; use a pipe: cat DEVICE | bailey run …",
			       fd);
	if (!S_ISSOCK(st->st_mode))
		return 0;
	if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &n) < 0 ||
	    getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &n) < 0)
		return err_sys(e, -errno, "fd %d", fd);
	if (domain != AF_UNIX || (type != SOCK_STREAM && type != SOCK_SEQPACKET) ||
	    (getpeername(fd, (struct sockaddr *)&peer, &peer_len) < 0 && errno == ENOTCONN))
		return err_set(
			e, ERR_LAYER, -EPERM,
			"fd %d is a socket that could be connected to something else; use a pipe, or a connected unix stream socket",
			fd);
	return 0;
}

/* 0-2 must be files: the first file that is opened must not become somebody's stderr. */
static int open_streams(struct err *e)
{
	struct stat st;
	int fd, r;

	for (fd = 0; fd <= 2; fd++) {
		/* a terminal that was hung up is as good as closed, but its name may be another terminal's by now: opened anew, it would be that */
		if (fstat(fd, &st) == 0 && S_ISCHR(st.st_mode) && fd_is_terminal(fd) && !isatty(fd))
			(void)close(fd);
		if (fstat(fd, &st) < 0) {
			int null = open("/dev/null", fd ? O_WRONLY : O_RDONLY);

			if (null != fd)
				return err_sys(e, -errno, "/dev/null");
			continue;
		}
		r = check_stream(fd, &st, e);
		if (r < 0)
			return r;
	}
	return 0;
}

int cli_close_inherited(int keep, struct err *e)
{
	int r = keep > 3 ? sys_close_range(3, (unsigned int)keep - 1) : 0;

	if (r == 0)
		r = sys_close_range(keep < 0 ? 3 : (unsigned int)keep + 1, ~0u);
	return r < 0 ? err_sys(e, r,
			       "inherited files can't be closed (close_range; Linux 5.12 or newer is needed)") :
		       0;
}

static bool is_named(char *const *argv, const char *name)
{
	const char *slash = strrchr(argv[0], '/');

	return strcmp(slash ? slash + 1 : argv[0], name) == 0;
}

/* Called as srt: by that name, or by that verb. */
static bool is_srt(char *const *argv)
{
	return is_named(argv, "srt");
}

/* The first word is no verb. */
static int no_verb(char *const *argv, struct err *e)
{
	const char *word = argv[1];

	if (word[0] == '-' && word[1])
		return err_set(
			e, ERR_USAGE, -EINVAL,
			"'%.100s' stands before the verb; options follow it: bailey VERB [OPTIONS]",
			word);
	if (command_find(word, e))
		return 0;
	if (strstr(e->msg, "did you mean") || strstr(e->msg, "': bailey "))
		return -ENOENT;
	return err_set(
		e, ERR_USAGE, -ENOENT,
		"there is no verb '%.100s' ('bailey help' lists them); to run a command: bailey run -- %.100s%s",
		word, word, argv[2] ? " ..." : "");
}

int main(int argc, char **argv)
{
	struct err e = ERR_INIT;
	int r;

	if (argc < 1)
		return 125;
	/* inside, where bailey is shown by that name */
	if (is_named(argv, "xdg-open"))
		return xdg_open_main(argv + 1);
	/* not for people: guard/watch.c starts it, with the directory of its socket */
	if (argc == 3 && !is_srt(argv) && strcmp(argv[1], GUARD_WATCH_WORD) == 0 &&
	    strcmp(argv[2], "3") == 0)
		return guard_watch_main(3);
	if (argc == 2 && strcmp(argv[1], LIVE_WORD) == 0) /* nor this: named.c starts it */
		return live_main();
	r = open_streams(&e);
	/* srt's words may name a file above 2 that must stay; it closes the others */
	if (is_srt(argv) || (argc > 1 && strcmp(argv[1], "srt") == 0)) {
		if (r < 0)
			return srt_fail(&e);
		return is_srt(argv) ? srt_named_main(argv + 1) : srt_main(argv + 2);
	}
	/* nothing above 2 comes in */
	if (r == 0)
		r = cli_close_inherited(-1, &e);
	/* the doctor starts nothing, and must say what is missing, also when it is close_range */
	if (r < 0 && (argc == 1 || strcmp(argv[1], "doctor") != 0))
		return cli_fail(&e);
	if (argc == 1)
		return help_main(argv + 1);
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)
		argv[1] = (char *)(uintptr_t) "help";
	else if (strcmp(argv[1], "--version") == 0)
		argv[1] = (char *)(uintptr_t) "version";
	for (current = commands; current->name; current++) {
		if (strcmp(current->name, argv[1]) == 0)
			return current->run(argv + 2);
	}
	(void)no_verb(argv, &e); /* the failure is in e */
	return cli_fail(&e);
}
