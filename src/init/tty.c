/* SPDX-License-Identifier: Apache-2.0 */
#include "tty.h"

#include <errno.h>
#include <sys/ioctl.h>
#include <unistd.h>

static const char what[] = "a terminal for the command (--no-tty does without)";

int tty_pair(const struct init_tty *t, int *ret_slave, int *ret_master, struct err *e)
{
	_cleanup_close_ int master = -1, slave = -1;
	int r = pty_pair(&slave, &master);

	if (r == 0 &&
	    (tcsetattr(slave, TCSANOW, &t->termios) < 0 || ioctl(slave, TIOCSWINSZ, &t->size) < 0))
		r = -errno;
	if (r < 0)
		return err_sys(e, r, "%s", what);
	*ret_slave = TAKE_FD(slave);
	*ret_master = TAKE_FD(master);
	return 0;
}

int tty_open(const struct init_tty *t, int *ret_slave, int *ret_master, struct err *e)
{
	_cleanup_close_ int master = -1, slave = -1;
	int fd, r = tty_pair(t, &slave, &master, e);

	if (r < 0)
		return r;
	if (ioctl(slave, TIOCSCTTY, 0) < 0)
		return err_sys(e, -errno, "%s", what);
	for (fd = 0; fd <= 2; fd++) {
		if ((t->fds & (1u << fd)) && dup2(slave, fd) < 0)
			return err_sys(e, -errno, "%s", what);
	}
	*ret_slave = TAKE_FD(slave);
	*ret_master = TAKE_FD(master);
	return 0;
}

void tty_foreground(int tty, pid_t pgrp, bool foreground)
{
	pid_t ours = getpgrp();

	/* SIGTTOU is blocked, so that we may do this from the background; a terminal that was hung up has no foreground */
	if (!foreground)
		(void)tcsetpgrp(tty, ours);
	else if (tcgetpgrp(tty) == ours)
		(void)tcsetpgrp(tty, pgrp);
}
