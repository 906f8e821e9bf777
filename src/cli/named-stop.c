/* SPDX-License-Identifier: Apache-2.0 */
/* The end of a sandbox that stays: its supervisor is asked, waited for, and what it says at its end is said again. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "named.h"

#define SAID_MAX (64u << 10)
#define END_MS 60000 /* beyond the grace, for the rest of its end */
#define WAIT_MS 5

/* Who listens at the other end of @fd; 0: nobody of this pid namespace. */
static pid_t listener_of(int fd)
{
	struct ucred peer = { .pid = 0 };
	socklen_t len = sizeof(peer);

	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0 ? 0 : peer.pid;
}

/* Whether another supervisor than @was, which has ended, runs it: somebody has started it again. Only told apart, never signalled, by number. */
static bool started_again(const struct named *n, const struct named_box *box, pid_t was)
{
	_cleanup_close_ int fd = named_connect(n, box->name);
	const pid_t now = fd < 0 ? 0 : listener_of(fd);

	return was && now && now != was;
}

static int open_log(const struct named *n, const char *id)
{
	char path[64];

	(void)snprintf(path, sizeof(path), "sandboxes/%s/log", id);
	return openat(n->state, path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
}

/* Lines of bailey's in the log @fd behind @from, which nobody would see there: what a run says at its end, files that were moved away above all. */
static void repeat_end(int fd, off_t from)
{
	static const char own[] = "bailey: ";
	struct buf b = BUF_INIT(SAID_MAX), out = BUF_INIT(SAID_MAX);
	const char *line, *end;

	if (fd >= 0 && lseek(fd, from, SEEK_SET) == from)
		(void)fd_read_all(fd, &b); /* the end of very much is left out */
	for (line = b.data; line && *line; line = *end ? end + 1 : end) {
		end = line + strcspn(line, "\n");
		if (strncmp(line, own, strlen(own)) == 0 && *end)
			buf_add(&out, line, (size_t)(end + 1 - line));
	}
	if (out.len)
		(void)fd_write_all(2, out.data, out.len); /* nobody is left to tell */
	buf_done(&out);
	buf_done(&b);
}

/* It does not understand us, but a signal: the only one that all versions do. @pidfd: of its supervisor */
static void tell_other_version(const struct named *n, const struct named_box *box, int pidfd)
{
	if (pidfd < 0 || syscall(SYS_pidfd_send_signal, pidfd, SIGTERM, NULL, 0) < 0)
		return;
	(void)named_mark(n->state, box->id, false); /* it is ended on purpose */
}

int named_stop(const struct named *n, const struct named_box *box, unsigned int grace_ms,
	       struct err *e)
{
	struct wire_msg m = { .type = WIRE_STOP, .stop = { .grace_ms = grace_ms } };
	_cleanup_close_ int fd = named_reach(n, box);
	struct pollfd p = { .fd = fd, .events = POLLIN };
	struct wire_msg answer;
	int fds[WIRE_FDS];
	_cleanup_close_ int log = open_log(n, box->id), pidfd = -1;
	const off_t said = log < 0 ? 0 : lseek(log, 0, SEEK_END);
	pid_t supervisor;
	int i, r;

	if (fd == -ENOENT)
		return 0;
	supervisor = fd < 0 ? 0 : listener_of(fd);
	/* whoever listens has not hung up yet, so that the number is its own */
	pidfd = supervisor ? (int)syscall(SYS_pidfd_open, supervisor, 0) : -1;
	if (pidfd >= 0 && poll(&(struct pollfd){ .fd = fd, .events = POLLIN }, 1, 0) != 0)
		(void)close(TAKE_FD(pidfd));
	r = fd < 0 ? fd : wire_send(fd, &m, NULL, 0, true);
	if (r < 0)
		return err_sys(e, r, "sandbox '%s'", box->name);
	(void)poll(&p, 1, (int)grace_ms + END_MS); /* it hangs up when it ends */
	if (wire_recv(fd, WIRE_FROM_INIT, &answer, fds) == -EPROTONOSUPPORT)
		tell_other_version(n, box, pidfd);
	for (i = 0; i < 1000; i++) {
		if (!named_lives(n, box->id) || started_again(n, box, supervisor)) {
			repeat_end(log, said);
			return 0;
		}
		(void)usleep(WAIT_MS * 1000);
	}
	return err_set(e, ERR_SYSTEM, -ETIMEDOUT, "sandbox '%s' does not end", box->name);
}
