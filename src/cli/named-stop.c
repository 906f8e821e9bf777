/* SPDX-License-Identifier: Apache-2.0 */
/* The end of a sandbox that stays: its supervisor is asked, waited for, and what it says at its end is said again. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/sockios.h>

#include "events.h"
#include "jail/jail.h"
#include "named.h"

#define SAID_MAX (64u << 10)
#define DEAF_MS 10000 /* beyond the grace, for one that does nothing at all */
#define END_MS 60000  /* beyond the grace, for the rest of its end */
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

int named_log(const struct named *n, const char *id)
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

/* It does not understand us, but signals, as all versions do: one that asks, and one that ends all at once. @pidfd: of its supervisor */
static void tell_other_version(const struct named *n, const struct named_box *box, int pidfd,
			       unsigned int grace_ms)
{
	struct pollfd p = { .fd = pidfd, .events = POLLIN };

	if (pidfd < 0 || syscall(SYS_pidfd_send_signal, pidfd, SIGTERM, NULL, 0) < 0)
		return;
	if (poll(&p, 1, (int)grace_ms) == 0)
		(void)syscall(SYS_pidfd_send_signal, pidfd, SIGINT, NULL, 0); /* or it has ended */
	(void)named_mark(n->state, box->id, false); /* it is ended on purpose */
}

/* Processor time that @pid has used, with what it has waited for. */
static uint64_t ticks_of(pid_t pid)
{
	struct proc_stat st = { .ticks = 0 };

	return proc_stat(pid, &st) ? st.ticks : 0;
}

/*
 * Until the supervisor @pid hangs up. One that has not even read what we have said, nor used any time, when the grace and some seconds are over does not answer (it
 * was stopped by a signal, or hangs); one that works may only be slow, and has longer.
 * Return: whether it has hung up, or says something
 */
static bool wait_end(int fd, pid_t pid, unsigned int grace_ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	const uint64_t ticks = ticks_of(pid);
	int unread = 0;

	if (poll(&p, 1, (int)grace_ms + DEAF_MS) != 0)
		return true;
	if (ioctl(fd, SIOCOUTQ, &unread) == 0 && unread && ticks_of(pid) == ticks)
		return false;
	return poll(&p, 1, END_MS - DEAF_MS) != 0;
}

/* Everything inside dies with it. @pidfd: of its supervisor */
static bool end_deaf(const struct named_box *box, int pidfd)
{
	if (pidfd < 0 || syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0) < 0)
		return false;
	(void)dprintf(2, "bailey: sandbox '%s': its supervisor does not answer; it is ended\n",
		      box->name); /* nobody is left to tell */
	return true;
}

/* What a supervisor that was killed could not do: it was ended on purpose. */
static void write_end(const struct named *n, const struct named_box *box)
{
	if (named_mark(n->state, box->id, false))
		events_add(n->state, &(struct event){ .what = "stopped",
						      .id = box->id,
						      .name = box->name,
						      .why = "asked",
						      .status = -1 });
}

int named_stop(const struct named *n, const struct named_box *box, unsigned int grace_ms,
	       struct err *e)
{
	struct wire_msg m = { .type = WIRE_STOP, .stop = { .grace_ms = grace_ms } };
	_cleanup_close_ int fd = named_reach(n, box);
	struct wire_msg answer;
	bool killed = false;
	int fds[WIRE_FDS];
	_cleanup_close_ int log = named_log(n, box->id), pidfd = -1;
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
	if (!wait_end(fd, supervisor, grace_ms)) /* it hangs up when it ends */
		killed = end_deaf(box, pidfd);
	if (!killed && wire_recv(fd, WIRE_FROM_INIT, &answer, fds) == -EPROTONOSUPPORT)
		tell_other_version(n, box, pidfd, grace_ms);
	for (i = 0; i < 1000; i++) {
		if (!named_lives(n, box->id) || started_again(n, box, supervisor)) {
			if (killed)
				write_end(n, box);
			repeat_end(log, said);
			return 0;
		}
		(void)usleep(WAIT_MS * 1000);
	}
	return err_set(e, ERR_SYSTEM, -ETIMEDOUT, "sandbox '%s' does not end", box->name);
}
