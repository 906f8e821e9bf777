/* SPDX-License-Identifier: Apache-2.0 */
/* A supervisor's end here, the PID 1 of sandboxes that stay in a pid namespace there, and between them nothing but a stream of bytes, by two bridges. */
#ifndef TESTS_WIRE_BRIDGED_H
#define TESTS_WIRE_BRIDGED_H

#pragma GCC diagnostic ignored "-Wunused-function" /* one test needs this, the other that */

#include "init/init.h"
#include "tap.h"
#include "wire/bridge.h"
#include "wire/mux.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>

static int sock = -1;           /* ours */
static pid_t there, bridges[2]; /* PID 1, and what stands beside it and beside us */
static uint32_t sessions = 1;
static uid_t other; /* whom the bridge beside us becomes, or 0 */

/* Number @n, from 0, of the words of /proc/@pid/@file. */
static long proc_number(pid_t pid, const char *file, int n)
{
	char path[64], text[1024] = "", *p = text;
	FILE *f;

	(void)snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, file);
	f = fopen(path, "re");
	REQUIRE(f && fgets(text, sizeof(text), f));
	(void)fclose(f);
	for (; n > 0; n--) {
		p = strchr(p, ' ');
		REQUIRE(p);
		p++;
	}
	return strtol(p, NULL, 10);
}

static pid_t in_child(void (*fn)(int, int, int), int a, int b, int c)
{
	pid_t pid = fork();

	REQUIRE(pid >= 0);
	if (pid == 0) {
		alarm(TAP_SECONDS);
		fn(a, b, c);
		_exit(99);
	}
	return pid;
}

static void serve(int s, int unused, int unused2)
{
	static char *const env[] = { (char *)"PATH=/usr/bin:/bin", NULL };
	const struct init_agent agent = {
		.uid = geteuid(), .gid = getegid(), .name = "agent", .home = "/"
	};
	struct err e = ERR_INIT;
	int status = 0, r;
	sigset_t all;
	pid_t pid;

	(void)unused;
	(void)unused2;
	if (geteuid() != 0 && unshare(CLONE_NEWUSER) < 0)
		_exit(97);
	if (unshare(CLONE_NEWPID) < 0)
		_exit(98);
	pid = fork();
	if (pid == 0) {
		sigfillset(&all);
		(void)sigprocmask(SIG_SETMASK, &all, NULL);
		(void)setsid();
		r = init_serve(env, &agent, s, &status, &e);
		_exit(r < 0 ? 1 : 0);
	}
	(void)close(s);
	_exit(pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) ?
		      WEXITSTATUS(status) :
		      96);
}

static void bridge(int s, int stream, int us)
{
	struct err e = ERR_INIT;
	int r;

	(void)signal(SIGPIPE, SIG_IGN);
	r = wire_bridge(s, stream, stream, (enum wire_side)us, &e);
	if (r < 0 && getenv("SAY"))
		fprintf(stderr, "bridge %d: %s\n", us, e.msg);
	_exit(r < 0 ? 1 : 0);
}

/* Everything that this test needs, each in a process that has nothing of the others. */
static void begin(void)
{
	int ours[2], theirs[2], stream[2];

	(void)signal(SIGPIPE, SIG_IGN);
	REQUIRE(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, theirs) == 0);
	there = in_child(serve, theirs[1], -1, -1);
	(void)close(theirs[1]);
	REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, stream) == 0);
	bridges[0] = fork();
	REQUIRE(bridges[0] >= 0);
	if (bridges[0] == 0) {
		(void)close(stream[0]);
		bridge(theirs[0], stream[1], WIRE_FROM_INIT);
	}
	(void)close(theirs[0]);
	(void)close(stream[1]);
	REQUIRE(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ours) == 0);
	bridges[1] = fork();
	REQUIRE(bridges[1] >= 0);
	if (bridges[1] == 0) {
		(void)close(ours[0]);
		if (other && (setresuid(other, other, other) < 0 || prctl(PR_SET_DUMPABLE, 1) < 0))
			_exit(98);
		bridge(ours[1], stream[0], WIRE_FROM_SUPERVISOR);
	}
	(void)close(ours[1]);
	(void)close(stream[0]);
	sock = ours[0];
}

static int wait_for(pid_t pid)
{
	int status = -1;

	return waitpid(pid, &status, 0) == pid && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static struct wire_msg hear(int *ret_fd)
{
	struct pollfd p = { .fd = sock, .events = POLLIN };
	int fds[WIRE_FDS], r, i;
	struct wire_msg m;

	REQUIRE(poll(&p, 1, TAP_SECONDS * 1000) == 1);
	r = wire_recv(sock, WIRE_FROM_INIT, &m, fds);
	REQUIRE(r >= 0);
	if (r == 0)
		m = (struct wire_msg){ .session = UINT32_MAX };
	for (i = 0; i < (int)WIRE_FDS; i++) {
		if (i == 0 && ret_fd)
			*ret_fd = fds[0];
		else
			cleanup_close(&fds[i]);
	}
	return m;
}

/* PID 1 is told to stop, and everything goes, one after the other, without an error. */
static void end(void)
{
	const struct wire_msg stop = { .type = WIRE_STOP, .stop = { .grace_ms = 1000 } };

	CHECK(wire_send(sock, &stop, NULL, 0, true) == 0);
	while (hear(NULL).session != UINT32_MAX)
		;
	(void)close(sock);
	CHECK(wait_for(there) == 0);
	CHECK(wait_for(bridges[0]) == 0);
	CHECK(wait_for(bridges[1]) == 0);
}

static uint32_t ask(const char *script, const int streams[3], const struct init_tty *tty)
{
	const char *const argv[] = { "sh", "-c", script, NULL };
	const struct init_command cmd = { .argv = (char *const *)(uintptr_t)argv,
					  .tty = tty ? *tty : (struct init_tty){ .fds = 0 } };
	struct wire_msg m = { .type = WIRE_SPAWN, .session = ++sessions };
	struct err e = ERR_INIT;
	int fds[4] = { init_pack(&cmd, &e) };

	REQUIRE(fds[0] >= 0);
	if (streams)
		memcpy(fds + 1, streams, 3 * sizeof(int));
	CHECK(wire_send(sock, &m, fds, streams ? 4 : 1, true) == 0);
	(void)close(fds[0]);
	return m.session;
}

static void started(uint32_t session, int *ret_fd)
{
	const struct wire_msg m = hear(ret_fd);

	if (m.type == WIRE_FAILED)
		FAIL("%s", m.failed.msg);
	REQUIRE(m.type == WIRE_STARTED && m.session == session);
}

static int ended(uint32_t session)
{
	const struct wire_msg m = hear(NULL);

	REQUIRE(m.type == WIRE_ENDED && m.session == session);
	return m.ended.status;
}

/* The ends that a command gets, and ours. */
struct pipes {
	int give[3], own[3];
};

static struct pipes make_pipes(void)
{
	struct pipes p;
	int fds[2], i;

	for (i = 0; i < 3; i++) {
		REQUIRE(pipe2(fds, O_CLOEXEC) == 0);
		p.give[i] = fds[i != 0];
		p.own[i] = fds[i == 0];
	}
	return p;
}

static void give_away(struct pipes *p)
{
	int i;

	for (i = 0; i < 3; i++)
		cleanup_close(&p->give[i]);
}

static char *all_of(int fd, size_t *ret_n)
{
	struct buf b = BUF_INIT(64u << 20);

	(void)fd_read_all(fd, &b);
	REQUIRE(!b.failed);
	buf_add(&b, "", 1);
	*ret_n = b.len - 1;
	return b.data;
}

static void check_output(int fd, const char *want)
{
	size_t n;
	char *got = all_of(fd, &n);

	CHECK_STR(got, want);
	free(got);
}

#endif
