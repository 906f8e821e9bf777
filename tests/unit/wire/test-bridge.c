/* SPDX-License-Identifier: Apache-2.0 */
/* What goes through descriptors goes over a stream of bytes as it does without one. test-bridge-hostile.c has ends that don't follow the rules. */
#include "bridged.h"

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

/* All of it goes there and comes back, to a reader that comes late, whose pipe still waits as it did. */
static void echo(const unsigned char *bytes, size_t size)
{
	struct pipes p = make_pipes();
	const uint32_t s = ask("cat", p.give, NULL);
	char *got;
	size_t n;
	pid_t pid;

	give_away(&p);
	pid = fork();
	if (pid == 0)
		_exit(fd_write_all(p.own[0], bytes, size) < 0 ? 1 : 0);
	(void)close(p.own[0]);
	started(s, NULL);
	(void)usleep(300000);
	CHECK((fcntl(p.own[1], F_GETFL) & O_NONBLOCK) == 0);
	got = all_of(p.own[1], &n);
	CHECK(n == size && memcmp(got, bytes, size) == 0);
	CHECK(wait_for(pid) == 0 && ended(s) == 0);
	free(got);
}

/* 24 MiB each way. */
TEST(much)
{
	static unsigned char bytes[24u << 20];
	size_t i;

	for (i = 0; i < sizeof(bytes); i++)
		bytes[i] = (unsigned char)(i * 2654435761u >> 13);
	begin();
	echo(bytes, sizeof(bytes));
	end();
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

/* Who hears of the end has everything that was written before: the pipe is as large as what is asked. */
TEST(an_end_comes_last)
{
	struct wire_msg size = { .session = 0 };
	struct pipes p;
	int i, n, master;
	uint32_t s;

	begin();
	for (i = 0; i < 3; i++) {
		p = make_pipes();
		s = ask("sleep 0.3; head -c 60000 /dev/zero; echo err >&2", p.give, NULL);
		give_away(&p);
		started(s, NULL);
		/* all of it is there when the bridge looks again, and the end, too */
		CHECK(kill(bridges[0], SIGSTOP) == 0);
		(void)usleep(800000);
		CHECK(kill(bridges[0], SIGCONT) == 0);
		CHECK(ended(s) == 0);
		n = 0;
		CHECK(ioctl(p.own[1], FIONREAD, &n) == 0 && n == 60000);
		CHECK(ioctl(p.own[2], FIONREAD, &n) == 0 && n == 4);
		(void)close(p.own[1]);
		(void)close(p.own[2]);
		master = terminal("i=0; while [ $i -lt 100 ]; do echo line; i=$((i + 1)); done",
				  &size.session);
		CHECK(ended(size.session) == 0);
		n = 0;
		CHECK(fcntl(master, F_SETFL, O_NONBLOCK) == 0);
		{
			char bytes[4096];
			ssize_t got;

			while ((got = read(master, bytes, sizeof(bytes))) > 0)
				n += (int)got;
		}
		CHECK(n == 600);
		(void)close(master);
	}
	end();
}

/* Something that nothing stands for: that command fails, and no other. */
TEST(what_can_not_be_carried)
{
	int streams[3];
	struct wire_msg m;
	struct pipes p;
	uint32_t s;

	begin();
	p = make_pipes();
	memcpy(streams, p.give, sizeof(streams));
	streams[0] = eventfd(0, EFD_CLOEXEC);
	s = ask("echo no", streams, NULL);
	m = hear(NULL);
	CHECK(m.type == WIRE_FAILED && m.session == s);
	s = ask("echo yes", p.give, NULL);
	give_away(&p);
	started(s, NULL);
	check_output(p.own[1], "yes\n");
	CHECK(ended(s) == 0);
	(void)close(streams[0]);
	end();
}

static long ticks(pid_t pid)
{
	return proc_number(pid, "stat", 13) + proc_number(pid, "stat", 14); /* user, kernel */
}

/* It is the caller's, who goes on with it; and nobody spins for it, or reads what is meant for the next. */
TEST(a_socket_that_others_have_too)
{
	int streams[3], pair[2];
	long before;
	char c = 0;
	uint32_t s;

	begin();
	REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
	streams[0] = streams[1] = pair[1];
	streams[2] = open("/dev/null", O_RDWR | O_CLOEXEC);
	s = ask("echo 1", streams, NULL);
	started(s, NULL);
	CHECK(ended(s) == 0);
	CHECK(read(pair[0], &c, 1) == 1 && c == '1' && read(pair[0], &c, 1) == 1);
	(void)usleep(200000);
	before = ticks(bridges[0]) + ticks(bridges[1]);
	CHECK(write(pair[1], "2", 1) == 1 && read(pair[0], &c, 1) == 1 && c == '2');
	CHECK(write(pair[0], "3", 1) == 1);
	(void)usleep(500000);
	CHECK(recv(pair[1], &c, 1, MSG_DONTWAIT) == 1 && c == '3');
	CHECK(ticks(bridges[0]) + ticks(bridges[1]) - before < 20); /* hundredths of a second */
	end();
}

/* Pipes that somebody else has made can't be opened again. */
TEST(pipes_of_another_user)
{
	static unsigned char bytes[300000];
	size_t i;

	if (geteuid() != 0)
		SKIP("only root can make pipes of another user");
	for (i = 0; i < sizeof(bytes); i++)
		bytes[i] = (unsigned char)('a' + i % 23);
	other = 65534;
	begin();
	echo(bytes, sizeof(bytes));
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
