/* SPDX-License-Identifier: Apache-2.0 */
/* PID 1's side of the listener: who hears of the calls of a run, and who makes names for a strict one. */
#include "listen.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "filter.h"
#include "make.h"

/* The maker of a strict run: what PID 1 is at this moment, and the filter. @ret: of its socket, for the launcher. */
static int start_maker(const struct jail_strict *strict, int *ret, struct err *e)
{
	int pair[2], r;
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return err_sys(e, -errno, "--strict-protect: socketpair");
	pid = fork();
	if (pid < 0) {
		r = err_sys(e, -errno, "--strict-protect: fork");
		(void)close(pair[0]);
		(void)close(pair[1]);
		return r;
	}
	if (pid == 0) {
		/* it holds no stream open, whose reader waits for the end */
		if (fd_close_others(&pair[1], 1) < 0 || chdir("/") < 0 ||
		    seccomp_install(JAIL_NESTED_NONE, false, false) < 0)
			_exit(1);
		(void)close(0);
		(void)close(1);
		(void)close(2);
		make_main(pair[1], strict);
	}
	(void)close(pair[1]);
	*ret = pair[0];
	return 0;
}

/* The listener goes out before the first call that waits for it; the socket's calls do not. */
int jail_listen(const struct jail_spec *spec, int sock, struct err *e)
{
	const struct jail_strict *strict = spec->strict;
	const struct wire_msg msg = { .type = WIRE_LISTENER };
	_cleanup_close_ int fd = -1, maker = -1;
	int fds[2], r = 0;

	if (spec->report == JAIL_REPORT_NONE && !strict)
		return 0;
	if (strict)
		r = start_maker(strict, &maker, e);
	if (r < 0)
		return r;
	fd = seccomp_listen(spec->report);
	if (fd < 0)
		return err_set(e, ERR_LAYER, fd,
			       "%s: no seccomp listener can be had here (%s)%s; "
			       "leave the option out",
			       strict ? "--strict-protect" : "--report", strerror(-fd),
			       fd == -EBUSY ? ": something outside has one already" : "");
	fds[0] = fd;
	fds[1] = maker;
	r = wire_send(sock, &msg, fds, strict ? 2 : 1, true);
	return r < 0 ? err_sys(e, r, "report to the launcher") : 0;
}
