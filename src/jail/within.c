/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "jail.h"
#include "maps.h"

/* In the new namespace, with every capability there, as soon as the ids are mapped. */
static void __attribute__((noreturn)) work(int sock, int (*fn)(void *arg), void *arg)
{
	char c;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0); /* can't fail with these arguments */
	_exit(read(sock, &c, 1) == 1 ? -fn(arg) & 0xff : EPIPE);
}

int jail_within(const struct jail_identity *id, int (*fn)(void *arg), void *arg, struct err *e)
{
	int pair[2], status = 0, r;
	long pid;

	if (id->mode != JAIL_IDS_SUBIDS)
		return fn(arg);
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return err_sys(e, -errno, "socketpair");
	pid = sys_call(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0);
	if (pid == 0) {
		(void)close(pair[1]);
		work(pair[0], fn, arg);
	}
	(void)close(pair[0]);
	r = pid < 0 ? err_sys(e, (int)pid, "user namespace") :
		      maps_write((pid_t)pid, id, MAPS_PROCESS, e);
	if (r == 0 && send(pair[1], "", 1, MSG_NOSIGNAL) != 1)
		r = err_sys(e, -errno, "helper");
	(void)close(pair[1]);
	while (pid > 0 && waitpid((pid_t)pid, &status, 0) < 0 && errno == EINTR)
		;
	if (r == 0 && !WIFEXITED(status))
		r = err_set(e, ERR_SYSTEM, -EIO, "a helper was killed");
	return r < 0 ? r : -WEXITSTATUS(status);
}
