/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli.h"

#ifndef BAILEY_VERSION
#define BAILEY_VERSION "0"
#endif

const struct command commands[] = {
	{ "run", run_main, "bailey run [OPTIONS] -- COMMAND [ARG...]",
	  "run a command in a sandbox of its own" },
	{ "check", check_main, "bailey check [OPTIONS of run] read|write PATH...",
	  "say whether a sandbox could read or write PATH, and why" },
	{ "doctor", doctor_main, "bailey doctor [OPTIONS] [FACT|LAYER|GROUP...]",
	  "say what is missing here, and how to mend it" },
	{ "trust", trust_main, "bailey trust [--list] [--revoke] [--json] [DIR...]",
	  "let a project's policy file give as well as take" },
	{ "help", help_main, "bailey help [VERB]", "show help" },
	{ "version", version_main, "bailey version", "show the version" },
	{ NULL, NULL, NULL, NULL },
};

int cli_fail(const struct err *e)
{
	struct buf b = BUF_INIT(4096);

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

int help_main(char **argv)
{
	struct buf b = BUF_INIT(65536);
	const struct command *c;
	int r;

	if (argv[0] && strcmp(argv[0], "run") == 0) {
		run_help(&b);
	} else if (argv[0] && strcmp(argv[0], "check") == 0) {
		check_help(&b);
	} else if (argv[0] && strcmp(argv[0], "doctor") == 0) {
		doctor_help(&b);
	} else if (argv[0] && strcmp(argv[0], "trust") == 0) {
		trust_help(&b);
	} else {
		buf_puts(&b, "bailey: run programs in sandboxes\n\n");
		for (c = commands; c->name; c++)
			buf_printf(&b, "  %-10s %s\n", c->name, c->summary);
		buf_puts(&b, "\nTry: bailey run -- make test\n     bailey help run\n");
	}
	r = cli_print(&b);
	buf_done(&b);
	return r;
}

int version_main(char **argv)
{
	struct buf b = BUF_INIT(256);
	int r;

	(void)argv;
	buf_puts(&b, "bailey " BAILEY_VERSION "\n");
	r = cli_print(&b);
	buf_done(&b);
	return r;
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

/* 0-2 must be files: the first file that is opened must not become somebody's stderr. Nothing above 2 comes in. */
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
	r = sys_close_range(3, ~0u);
	return r < 0 ? err_sys(e, r,
			       "inherited files can't be closed (close_range; Linux 5.12 or newer is needed)") :
		       0;
}

int main(int argc, char **argv)
{
	struct err e = ERR_INIT;
	const struct command *c;
	const char *verb;

	if (argc < 1)
		return 125;
	verb = argc > 1 ? argv[1] : "help";
	/* the doctor starts nothing, and must say what is missing, also when it is close_range */
	if (open_streams(&e) < 0 && strcmp(verb, "doctor") != 0)
		return cli_fail(&e);
	if (strcmp(verb, "--help") == 0 || strcmp(verb, "-h") == 0)
		verb = "help";
	if (strcmp(verb, "--version") == 0)
		verb = "version";
	for (c = commands; c->name; c++) {
		if (strcmp(c->name, verb) == 0)
			return c->run(argc > 1 ? argv + 2 : argv + argc);
	}
	(void)err_set(&e, ERR_USAGE, -EINVAL,
		      "there is no verb '%.100s'; try: bailey run -- COMMAND, or bailey help",
		      verb);
	return cli_fail(&e);
}
