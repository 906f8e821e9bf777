/* SPDX-License-Identifier: Apache-2.0 */
/* Single system calls on processes and descriptors. */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tries.h"

#ifndef SYS_pidfd_send_signal
#define SYS_pidfd_send_signal 424
#endif
#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif
#ifndef P_PIDFD
#define P_PIDFD 3
#endif

enum probe_state try_close_range(struct probe_answer *a)
{
	int fd = dup(0), r;

	if (fd < 0)
		fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	r = sys_close_range(fd < 0 ? ~0u : (unsigned int)fd, ~0u);
	if (r < 0)
		return probe_missing(a, r, "close_range");
	if (fcntl(fd, F_GETFD) >= 0)
		return probe_missing(a, 0, "close_range closes nothing");
	return PROBE_OK;
}

enum probe_state try_clone3(struct probe_answer *a)
{
	struct clone_args args = { .exit_signal = SIGCHLD };
	long pid = sys_clone3(&args);

	if (pid == 0)
		_exit(0);
	if (pid < 0)
		return probe_missing(a, (int)pid, "clone3");
	(void)probe_wait((pid_t)pid); /* it does nothing that could fail */
	return PROBE_OK;
}

enum probe_state try_pidfd(struct probe_answer *a)
{
	_cleanup_close_ int fd = -1;
	siginfo_t si = { .si_pid = 0 };
	pid_t pid = fork();
	int r;

	if (pid == 0)
		for (;;)
			(void)pause();
	if (pid < 0)
		return probe_missing(a, -errno, "fork");
	fd = (int)sys_call(SYS_pidfd_open, pid, 0, 0, 0, 0);
	if (fd < 0)
		return probe_missing(a, fd, "pidfd_open");
	r = (int)sys_call(SYS_pidfd_send_signal, fd, SIGKILL, 0, 0, 0);
	if (r < 0)
		return probe_missing(a, r, "pidfd_send_signal");
	if (waitid((idtype_t)P_PIDFD, (id_t)fd, &si, WEXITED) < 0 || si.si_pid != pid)
		return probe_missing(a, -errno, "waitid with P_PIDFD");
	return PROBE_OK;
}
