/* SPDX-License-Identifier: Apache-2.0 */
/* Runs inside, with the rights of the command, which could say the same to the socket by itself: nothing is decided here. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "open-urls.h"

#define FAILED 4 /* as xdg-open(1): the action failed */
#define SYNTAX 1

static int say(int status, const char *what, const char *why)
{
	struct buf b = BUF_INIT(8192);

	buf_puts(&b, "bailey: xdg-open: ");
	buf_puts(&b, what);
	buf_quote(&b, why);
	buf_puts(&b, "\n");
	if (!b.failed)
		(void)fd_write_all(2, b.data, b.len); /* nobody is left to tell */
	buf_done(&b);
	return status;
}

static int ask(const char *url)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX, .sun_path = OPEN_URLS_SOCKET };
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct buf b = BUF_INIT(1024);
	int r;

	(void)signal(SIGPIPE, SIG_IGN);
	if (fd < 0 || connect(fd, (struct sockaddr *)&at, sizeof(at)) < 0)
		return say(FAILED, "there is no bailey that would open it: ", strerror(errno));
	/* who is refused in the middle of his words is told why */
	if (fd_write_all(fd, url, strlen(url)) == 0)
		(void)fd_write_all(fd, "\n", 1);
	(void)fd_read_all(fd, &b);
	if (b.len > 0 && b.data[b.len - 1] == '\n')
		b.data[--b.len] = '\0';
	if (b.len == 0)
		r = say(FAILED, "not opened: ", "the run has ended, or waits for another answer");
	else if (strcmp(b.data, "opened") != 0)
		r = say(FAILED, "not opened: ", b.data);
	else
		r = 0;
	buf_done(&b);
	return r;
}

int xdg_open_main(char **argv)
{
	if (argv[0] && !argv[1] && strcmp(argv[0], "--version") == 0) {
		(void)fd_write_all(1, "xdg-open of bailey " BAILEY_VERSION "\n",
				   sizeof("xdg-open of bailey " BAILEY_VERSION "\n") - 1);
		return 0;
	}
	if (!argv[0] || argv[1] || argv[0][0] == '-')
		return say(SYNTAX, "expected one URL", "");
	if (strlen(argv[0]) > URL_MAX || strchr(argv[0], '\n'))
		return say(FAILED, "not opened: ", "it is too long, or has several lines");
	return ask(argv[0]);
}
