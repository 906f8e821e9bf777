/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A supervisor's end here, the PID 1 of sandboxes that stay in a pid namespace there, and between them nothing but a stream of bytes, by two bridges.
 */
#include "init/init.h"
#include "tap.h"
#include "wire/bridge.h"
#include "wire/mux.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>

static int sock = -1;           /* ours */
static pid_t there, bridges[2]; /* PID 1, and what stands beside it and beside us */
static uint32_t sessions = 1;

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

TEST(a_command)
{
	struct pipes p;
	uint32_t s;

	begin();
	p = make_pipes();
	s = ask("cat; echo err >&2; exit 7", p.give, NULL);
	give_away(&p);
	CHECK(write(p.own[0], "hello", 5) == 5);
	(void)close(p.own[0]);
	started(s, NULL);
	check_output(p.own[1], "hello");
	check_output(p.own[2], "err\n");
	CHECK(ended(s) == 7 << 8);
	end();
}

TEST(what_can_not_start_and_signals)
{
	const struct wire_msg kill = { .type = WIRE_SIGNAL,
				       .session = sessions + 2,
				       .signal = { .signal = SIGTERM } };
	const char *const none[] = { "/there/is/no/such", NULL };
	const struct init_command cmd = { .argv = (char *const *)(uintptr_t)none };
	struct wire_msg m = { .type = WIRE_SPAWN, .session = ++sessions };
	struct err e = ERR_INIT;
	struct pipes p;
	int fds[4];
	uint32_t s;

	begin();
	p = make_pipes();
	fds[0] = init_pack(&cmd, &e);
	memcpy(fds + 1, p.give, sizeof(p.give));
	CHECK(wire_send(sock, &m, fds, 4, true) == 0);
	m = hear(NULL);
	CHECK(m.type == WIRE_FAILED && m.failed.code == ERR_NOTFOUND);
	s = ask("exec sleep 100", p.give, NULL);
	started(s, NULL);
	CHECK(wire_send(sock, &kill, NULL, 0, true) == 0);
	CHECK(ended(s) == SIGTERM);
	end();
}

/* 24 MiB each way, and a reader that comes late. */
TEST(much)
{
	static unsigned char bytes[24u << 20];
	const size_t size = sizeof(bytes);
	struct pipes p;
	size_t i, n;
	uint32_t s;
	char *got;
	pid_t pid;

	for (i = 0; i < size; i++)
		bytes[i] = (unsigned char)(i * 2654435761u >> 13);
	begin();
	p = make_pipes();
	s = ask("cat", p.give, NULL);
	give_away(&p);
	pid = fork();
	if (pid == 0)
		_exit(fd_write_all(p.own[0], bytes, size) < 0);
	(void)close(p.own[0]);
	started(s, NULL);
	(void)usleep(300000);
	got = all_of(p.own[1], &n);
	CHECK(n == size && memcmp(got, bytes, size) == 0);
	CHECK(wait_for(pid) == 0);
	CHECK(ended(s) == 0);
	free(got);
	end();
}

/* Nobody reads one; that holds up no other. */
TEST(one_that_is_not_read)
{
	struct pipes p, q;
	uint32_t s, t;

	begin();
	p = make_pipes();
	s = ask("cat /dev/zero", p.give, NULL);
	give_away(&p);
	started(s, NULL);
	(void)usleep(300000);
	q = make_pipes();
	t = ask("echo here", q.give, NULL);
	give_away(&q);
	started(t, NULL);
	check_output(q.own[1], "here\n");
	CHECK(ended(t) == 0);
	/* and when its reader goes it hears of that */
	(void)close(p.own[1]);
	s = (uint32_t)ended(s);
	CHECK(s == SIGPIPE || s == (128 + SIGPIPE) << 8); /* as its shell says it */
	end();
}

/* Who reads goes while nothing is written. */
TEST(a_reader_that_goes)
{
	struct pipes p;
	uint32_t s;

	begin();
	p = make_pipes();
	s = ask("trap 'echo no >&2' PIPE; sleep 0.5; while echo x; do :; done 2>&-; exit 3", p.give,
		NULL);
	give_away(&p);
	started(s, NULL);
	(void)close(p.own[1]);
	CHECK(ended(s) == 3 << 8);
	end();
}

TEST(a_command_that_reads_no_more)
{
	struct pipes p;
	uint32_t s;
	int i, r = 0;

	begin();
	p = make_pipes();
	s = ask("exec 0<&-; sleep 100", p.give, NULL);
	give_away(&p);
	started(s, NULL);
	for (i = 0; i < 200 && r >= 0; i++, usleep(10000))
		r = (int)write(p.own[0], "x", 1);
	CHECK(r < 0 && errno == EPIPE);
	end();
}

/* One pipe for 1 and 2 is one there, too. */
TEST(order)
{
	struct buf want = BUF_INIT(65536);
	struct pipes p;
	uint32_t s;
	int i;

	begin();
	p = make_pipes();
	(void)close(p.give[2]);
	p.give[2] = p.give[1];
	s = ask("i=0; while [ $i -lt 300 ]; do echo out $i; echo err $i >&2; i=$((i + 1)); done",
		p.give, NULL);
	p.give[2] = -1;
	give_away(&p);
	started(s, NULL);
	for (i = 0; i < 300; i++)
		buf_printf(&want, "out %d\nerr %d\n", i, i);
	check_output(p.own[1], want.data);
	CHECK(ended(s) == 0);
	buf_done(&want);
	end();
}

TEST(devices_and_sockets)
{
	int streams[3], pair[2];
	struct pipes p;
	uint32_t s;

	begin();
	p = make_pipes();
	memcpy(streams, p.give, sizeof(streams));
	streams[0] = open("/dev/zero", O_RDWR | O_CLOEXEC);
	streams[2] = open("/dev/null", O_RDWR | O_CLOEXEC);
	s = ask("head -c 1000000 | wc -c; echo lost >&2", streams, NULL);
	give_away(&p);
	started(s, NULL);
	check_output(p.own[1], "1000000\n");
	CHECK(ended(s) == 0);
	(void)close(streams[0]);

	REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
	streams[0] = streams[1] = pair[1];
	s = ask("while read x; do echo got $x; done; echo end", streams, NULL);
	(void)close(pair[1]);
	started(s, NULL);
	CHECK(write(pair[0], "a\nb\n", 4) == 4);
	(void)shutdown(pair[0], SHUT_WR);
	check_output(pair[0], "got a\ngot b\nend\n");
	CHECK(ended(s) == 0);
	end();
}

static void check_line(int fd, const char *want)
{
	char line[256];
	size_t n = 0;

	while (n < sizeof(line) - 1 && read(fd, line + n, 1) == 1 && line[n] != '\n')
		n += line[n] != '\r';
	line[n] = '\0';
	CHECK_STR(line, want);
}

static int terminal(const char *script, uint32_t *ret_session)
{
	struct init_tty tty = { .fds = 7,
				.foreground = true,
				.size = { .ws_row = 30, .ws_col = 90 } };
	int master = -1;

	tty.termios.c_iflag = ICRNL;
	tty.termios.c_oflag = OPOST | ONLCR;
	tty.termios.c_cflag = CREAD | CS8 | B38400;
	tty.termios.c_lflag = ISIG | ICANON;
	tty.termios.c_cc[VINTR] = 3;
	tty.termios.c_cc[VEOF] = 4;
	tty.termios.c_cc[VEOL] = 0;
	*ret_session = ask(script, NULL, &tty);
	started(*ret_session, &master);
	REQUIRE(master >= 0 && isatty(master));
	return master;
}

TEST(a_terminal)
{
	struct wire_msg size = { .type = WIRE_RESIZE, .resize = { .rows = 41, .cols = 103 } };
	int master;
	char c;

	begin();
	master = terminal(
		"stty size; read x; stty size; read y; echo got $x $y; trap 'exit 9' INT; echo ready; while :; do sleep 0.1; done",
		&size.session);
	check_line(master, "30 90");
	CHECK(wire_send(sock, &size, NULL, 0, true) == 0);
	(void)usleep(200000); /* bytes and messages are two things */
	CHECK(write(master, "one\n", 4) == 4);
	check_line(master, "41 103");
	CHECK(write(master, "two\n", 4) == 4);
	check_line(master, "got one two");
	check_line(master, "ready");
	CHECK(write(master, "\3", 1) == 1); /* Ctrl-C is the terminal's there, not ours here */
	CHECK(ended(size.session) == 9 << 8);
	CHECK(read(master, &c, 1) < 0 && errno == EIO); /* as a terminal that was hung up */
	(void)close(master);

	/* and the other way: who has it here closes it */
	master = terminal("trap 'exit 5' HUP; echo ready; while :; do sleep 0.1; done",
			  &size.session);
	check_line(master, "ready");
	(void)close(master);
	CHECK(ended(size.session) == 5 << 8);
	end();
}

TEST(words_that_are_too_long)
{
	struct wire_msg m = { .type = WIRE_SPAWN, .session = ++sessions };
	struct pipes p;
	uint32_t s;
	int fds[4];

	begin();
	p = make_pipes();
	fds[0] = memfd_create("words", MFD_CLOEXEC);
	memcpy(fds + 1, p.give, sizeof(p.give));
	REQUIRE(fds[0] >= 0 && ftruncate(fds[0], 64 << 20) == 0);
	CHECK(wire_send(sock, &m, fds, 4, true) == 0);
	m = hear(NULL);
	CHECK(m.type == WIRE_FAILED && m.failed.sys == E2BIG);
	s = ask("echo well", p.give, NULL);
	give_away(&p);
	started(s, NULL);
	check_output(p.own[1], "well\n");
	CHECK(ended(s) == 0);
	end();
}

/* All at once, each with its own streams; and all channels are free again: three times. */
TEST(many)
{
	enum { MANY = 60 }; /* what is said of them has room: nobody hears it before the end */
	struct pipes p[MANY];
	int i, round, left;
	struct wire_msg m;
	char want[32];

	begin();
	for (round = 0; round < 3; round++) {
		for (i = 0; i < MANY; i++) {
			p[i] = make_pipes();
			(void)ask("read x; echo $x", p[i].give, NULL);
			give_away(&p[i]);
		}
		for (i = 0; i < MANY; i++) {
			(void)dprintf(p[i].own[0], "number %d\n", i);
			(void)close(p[i].own[0]);
		}
		for (i = 0; i < MANY; i++) {
			(void)snprintf(want, sizeof(want), "number %d\n", i);
			check_output(p[i].own[1], want);
			(void)close(p[i].own[1]);
			(void)close(p[i].own[2]);
		}
		for (left = 2 * MANY; left > 0; left--) {
			m = hear(NULL);
			CHECK(m.type == WIRE_STARTED ||
			      (m.type == WIRE_ENDED && m.ended.status == 0));
		}
	}
	end();
}

/* The sandbox is killed: what it wrote before comes out whole, then the supervisor hears the end. */
TEST(what_was_written_before_the_end)
{
	const struct wire_msg stop = { .type = WIRE_STOP, .stop = { .grace_ms = 0 } };
	struct pipes p;
	uint32_t s;
	size_t n;
	char *got;

	begin();
	p = make_pipes();
	s = ask("head -c 60000 /dev/zero; exec sleep 100", p.give, NULL);
	give_away(&p);
	started(s, NULL);
	(void)usleep(300000);
	CHECK(wire_send(sock, &stop, NULL, 0, true) == 0);
	got = all_of(p.own[1], &n);
	CHECK(n == 60000);
	free(got);
	while (hear(NULL).session != UINT32_MAX)
		;
	(void)close(sock);
	CHECK(wait_for(there) == 0 && wait_for(bridges[0]) == 0 && wait_for(bridges[1]) == 0);
}

/* Of a machine that is hostile: its end of the stream is written here. The supervisor's end says nothing that it has not checked, and ends. */
TEST(hostile)
{
	static const struct {
		const char *what;
		size_t n;
		unsigned char bytes[64];
	} bad[] = {
		{ "no frame", 8, { 9 } },
		{ "bytes of no channel", 9, { 3, 0, 1, 0, 1, 0, 0, 0, 'x' } },
		{ "an end of no channel", 8, { 4, 0, 0, 0, 1, 0, 0, 0 } },
		{ "a channel that is far away", 8, { 5, 0, 0, 0, 0xff, 0xff, 0xff, 0xff } },
		{ "credit of no channel", 12, { 6, 0, 4, 0, 1, 0, 0, 0, 1 } },
		{ "a message that is none", 12, { 1, 0, 4, 0, 0, 0, 0, 0, 0 } },
		{ "a message of the supervisor",
		  8 + 4 + 16 + 4,
		  { 1, 0, 24, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 36, 0, 4 } },
		{ "a terminal on a channel of ours",
		  8 + 4 + 8 + 20,
		  { 1, 0, 32, 0, 0, 0, 0, 0, 1, 0, 0, 0, 4, 0, 0, 0, 1, 0, 0,
		    0, 1, 0,  3, 0, 4, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 7 } },
		{ "a file, where none may be",
		  9 + 8 + 4 + 16 + 4,
		  { 2, 0, 1, 0, 0, 0, 0, 0, 'x', 1, 0, 24, 0, 0, 0, 0, 0, 0, 0,
		    0, 0, 1, 0, 3, 0, 4, 0, 0,   0, 2, 0,  0, 0, 0, 0, 0, 0, 7 } },
	};
	static const unsigned char good[] = { 1, 0, 24, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 3, 0,
					      4, 0, 0,  0, 2, 0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0 };
	int ours[2], stream[2], fds[WIRE_FDS], r;
	struct wire_msg m;
	size_t i;
	pid_t pid;

	(void)signal(SIGPIPE, SIG_IGN);
	for (i = 0; i <= ARRAY_SIZE(bad); i++) {
		REQUIRE(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ours) == 0);
		REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, stream) == 0);
		pid = fork();
		REQUIRE(pid >= 0);
		if (pid == 0) {
			(void)close(ours[0]);
			(void)close(stream[0]);
			bridge(ours[1], stream[1], WIRE_FROM_SUPERVISOR);
		}
		(void)close(ours[1]);
		(void)close(stream[1]);
		if (i == ARRAY_SIZE(bad)) {
			/* the twin: STARTED is heard, and the stream's end is no error */
			struct pollfd p = { .fd = ours[0], .events = POLLIN };

			CHECK(write(stream[0], good, sizeof(good)) == sizeof(good));
			CHECK(poll(&p, 1, TAP_SECONDS * 1000) == 1);
			r = wire_recv(ours[0], WIRE_FROM_INIT, &m, fds);
			CHECK(r == 1 && m.type == WIRE_STARTED && m.started.pid == 7);
			(void)close(stream[0]);
			CHECK(wait_for(pid) == 0);
		} else {
			struct pollfd p = { .fd = ours[0], .events = POLLIN };

			CHECK(write(stream[0], bad[i].bytes, bad[i].n) == (ssize_t)bad[i].n);
			CHECK(poll(&p, 1, TAP_SECONDS * 1000) == 1);
			r = wire_recv(ours[0], WIRE_FROM_INIT, &m, fds);
			if (r != 0 || wait_for(pid) != 1)
				FAIL("%s was taken", bad[i].what);
			(void)close(stream[0]);
		}
		(void)close(ours[0]);
	}
}

static long resident(pid_t pid)
{
	char path[64];
	long pages = 0;
	FILE *f;

	(void)snprintf(path, sizeof(path), "/proc/%d/statm", (int)pid);
	f = fopen(path, "re");
	REQUIRE(f && fscanf(f, "%*d %ld", &pages) == 1);
	(void)fclose(f);
	return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

/* A machine that opens streams, fills them, and never reads: what is kept of that has an end. */
TEST(memory_has_a_bound)
{
	unsigned char open[8 + 4 + 8 + 20] = { 1, 0, 32, 0, 0, 0, 0, 0, 1, 0, 0, 0, 4,
					       0, 0, 0,  0, 0, 0, 0, 1, 0, 3, 0, 4, 0,
					       0, 0, 2,  0, 0, 0, 0, 0, 0, 0, 7 };
	unsigned char fill[8 + MUX_BODY] = { 3, 0, MUX_BODY & 0xff, MUX_BODY >> 8 };
	int ours[2], stream[2], i, k, masters[50];
	struct timeval soon = { .tv_sec = 2 };
	long before, after;
	pid_t pid;

	(void)signal(SIGPIPE, SIG_IGN);
	REQUIRE(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ours) == 0);
	REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, stream) == 0);
	pid = fork();
	REQUIRE(pid >= 0);
	if (pid == 0) {
		(void)close(ours[0]);
		(void)close(stream[0]);
		bridge(ours[1], stream[1], WIRE_FROM_SUPERVISOR);
	}
	(void)close(ours[1]);
	(void)close(stream[1]);
	sock = ours[0];
	(void)usleep(200000);
	before = resident(pid);
	for (i = 0; i < 50; i++) {
		open[16] = fill[4] = (unsigned char)(2 * i);
		CHECK(write(stream[0], open, sizeof(open)) == sizeof(open));
		(void)hear(&masters[i]);
		REQUIRE(masters[i] >= 0);
	}
	REQUIRE(setsockopt(stream[0], SOL_SOCKET, SO_SNDTIMEO, &soon, sizeof(soon)) == 0);
	/* their windows are full, and one byte more is no protocol any more */
	for (k = 0; k < 4; k++) {
		for (i = 0; i < 50; i++) {
			fill[4] = (unsigned char)(2 * i);
			CHECK(write(stream[0], fill, sizeof(fill)) == sizeof(fill));
		}
	}
	(void)usleep(500000);
	after = resident(pid);
	if (after - before > 50 * 64 + 1024)
		FAIL("%ld KiB more", after - before);
	for (i = 0; i < 50; i++) {
		fill[4] = (unsigned char)(2 * i);
		if (write(stream[0], fill, sizeof(fill)) < 0)
			break;
	}
	CHECK(wait_for(pid) == 1);
}
