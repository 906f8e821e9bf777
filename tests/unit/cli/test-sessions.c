/* SPDX-License-Identifier: Apache-2.0 */
/* The supervisor's table of sessions and its copying, on pipes and sockets of our own. */
#include "../../../src/cli/sessions.h"
#include "tap.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/socket.h>

static struct sessions all;
static struct err e;
static char *words[] = { (char *)(uintptr_t) "cat", NULL };

/* A client as live.c has them. */
static struct client {
	struct view *view;
	struct session *session;
	int fd, errors; /* its ends of the streams; errors: -1: there is one */
	bool gone, slow;
	int status; /* -1: it has not heard of the end */
} clients[4];

static void on_done(void *arg, const struct session *one, bool slow)
{
	struct client *c = arg;

	c->gone = true;
	c->slow = slow;
	c->status = one && !slow && one->over ? one->status : -1;
	view_close(&all, c->view);
	sessions_leave(c->session);
	c->view = NULL;
}

static void begin(void)
{
	REQUIRE(sessions_begin(&all) == 0);
	all.done = on_done;
	(void)signal(SIGPIPE, SIG_IGN);
}

static struct session *open_one(const char *name, bool held, bool terminal)
{
	struct wire_msg m = { .type = WIRE_OPEN, .open = { .flags = held } };
	struct init_command cmd = { .argv = words, .tty = { .fds = terminal ? 7 : 0 } };
	struct session *one = NULL;

	(void)snprintf(m.open.name, sizeof(m.open.name), "%s", name);
	return sessions_open(&all, &m, &cmd, &one, &e) == 0 ? one : NULL;
}

/* A session in the background. Return: where it writes. */
static int open_pipe(struct session **ret)
{
	int p[2];

	*ret = open_one("", true, false);
	REQUIRE(*ret && pipe2(p, O_CLOEXEC | O_NONBLOCK) == 0);
	(*ret)->output.fd = p[0];
	CHECK(sessions_started(&all, *ret, 2, -1) == 0);
	return p[1];
}

/* Return: the other end of *@ret. */
static int make_stream(int *ret)
{
	int p[2], size = 4096;

	REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, p) == 0);
	CHECK(setsockopt(p[1], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)) == 0);
	*ret = p[0];
	return p[1];
}

static void show_apart(struct client *c, struct session *one, bool apart, bool follow)
{
	int stream, errors = -1;

	*c = (struct client){ .session = one, .errors = -1, .status = -1 };
	stream = make_stream(&c->fd);
	if (apart)
		errors = make_stream(&c->errors);
	c->view = view_open(&all, one, stream, errors, sessions_oldest(one, false), follow, c);
	REQUIRE(c->view);
	sessions_enter(one);
	view_show(&all, c->view);
}

static void show(struct client *c, struct session *one, bool follow)
{
	show_apart(c, one, false, follow);
}

static void no_signal(void *arg, const struct session *one, int sig)
{
	(void)one;
	*(int *)arg = sig;
}

static long turn(void)
{
	long wait = -1;
	int sig = 0;

	sessions_copy(&all);
	sessions_step(&all, false, &wait, no_signal, &sig);
	CHECK(sig == 0);
	return wait;
}

/* Everything that @c can read now. Return: bytes; @wrong: of them are not @want */
static size_t take(struct client *c, char want)
{
	char part[4096];
	size_t n = 0, wrong = 0;
	ssize_t got, i;

	while ((got = recv(c->fd, part, sizeof(part), MSG_DONTWAIT)) > 0) {
		for (i = 0; i < got; i++)
			wrong += part[i] != want;
		n += (size_t)got;
		turn();
	}
	CHECK(wrong == 0);
	return n;
}

static size_t flood(int fd, size_t n)
{
	static char part[4096];
	size_t done = 0;
	ssize_t got;
	int i;

	memset(part, 'x', sizeof(part));
	while (done < n) {
		for (i = 0; i < 100; i++)
			turn();
		got = write(fd, part, n - done < sizeof(part) ? n - done : sizeof(part));
		if (got < 0)
			break;
		done += (size_t)got;
	}
	return done;
}

TEST(nobody_sees_it)
{
	struct session *one;
	int fd;

	begin();
	fd = open_pipe(&one);
	CHECK(flood(fd, 3 << 20) == 3 << 20);
	turn();
	CHECK(one->ring.total == 3 << 20 && all.budget.used == LIMIT_SCROLLBACK);
	show(&clients[0], one, false);
	CHECK(take(&clients[0], 'x') == LIMIT_SCROLLBACK && clients[0].gone &&
	      clients[0].status == -1);
	close(fd);
}

/* It waits for who is behind, and a client that reads gets everything; the end comes when it has. */
TEST(who_reads_gets_everything)
{
	struct session *one;
	size_t sent, got = 0;
	int fd;

	begin();
	fd = open_pipe(&one);
	show(&clients[0], one, true);
	sent = flood(fd, 1 << 20);
	CHECK(sent < 1 << 20 && sent >= LIMIT_BEHIND);
	CHECK(one->ring.total <= LIMIT_BEHIND + LIMIT_TTY_OUT);
	sessions_ended(&all, one, 5 << 8);
	CHECK(!one->over && !clients[0].gone);
	while (!clients[0].gone && got < sent + 1) {
		got += take(&clients[0], 'x');
		turn();
	}
	got += take(&clients[0], 'x');
	CHECK(got == sent && clients[0].status == 5 << 8 && one->over);
	/* what was left running writes on, and nobody waits */
	CHECK(flood(fd, 2 << 20) == 2 << 20);
	close(fd);
}

TEST(who_does_not_read_is_let_go)
{
	struct session *one;
	long wait;
	int fd;

	begin();
	fd = open_pipe(&one);
	show(&clients[0], one, true);
	CHECK(flood(fd, 1 << 20) < 1 << 20);
	wait = turn();
	CHECK(wait > 0 && wait <= LIMIT_STALL_MS && !clients[0].gone);
	clients[0].view->since -= LIMIT_STALL_MS;
	turn();
	CHECK(clients[0].gone && clients[0].slow);
	CHECK(flood(fd, 1 << 20) == 1 << 20);
	close(fd);
}

/* Others have all the memory: who does not read a ring that stays small holds the command up as long as any, and asks for no turn after the other. */
TEST(who_does_not_read_where_there_is_no_memory)
{
	struct epoll_event ev;
	struct session *one;
	long wait;
	int fd;

	begin();
	all.budget.used = all.budget.max;
	fd = open_pipe(&one);
	show(&clients[0], one, true);
	CHECK(flood(fd, 1 << 20) < 1 << 20);
	CHECK(one->ring.size < LIMIT_BEHIND);
	wait = turn();
	CHECK(wait > 0 && wait <= LIMIT_STALL_MS && !clients[0].gone);
	CHECK(epoll_wait(all.epoll, &ev, 1, 0) == 0);
	clients[0].view->since -= LIMIT_STALL_MS;
	turn();
	CHECK(clients[0].gone && clients[0].slow);
	close(fd);
}

/* Two of which one has gone: its stream is closed, the other sees everything, and the end at once. */
TEST(who_goes_holds_up_nobody)
{
	struct session *one;
	size_t sent;
	int fd;

	begin();
	fd = open_pipe(&one);
	show(&clients[0], one, true);
	show(&clients[1], one, true);
	CHECK(one->clients == 2);
	sent = flood(fd, 1 << 20);
	close(clients[0].fd);
	turn();
	CHECK(clients[0].gone && !clients[0].slow && one->clients == 1);
	sent += flood(fd, 100);
	sessions_ended(&all, one, 0);
	CHECK(take(&clients[1], 'x') == sent || !clients[1].gone);
	close(fd);
}

TEST(pid_1_is_not_believed)
{
	struct session *one;
	int null;

	begin();
	one = open_one("t", true, true);
	REQUIRE(one);
	show(&clients[0], one, true);
	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	CHECK(sessions_started(&all, one, 2, null) == -EBADMSG && fcntl(null, F_GETFD) < 0);
	sessions_drop(&all, one);
	CHECK(clients[0].gone && clients[0].status == -1 && !all.first);
	one = open_one("t", true, true);
	REQUIRE(one);
	CHECK(sessions_started(&all, one, 2, -1) == -EBADMSG);
	sessions_ended(&all, one, 1);
	sessions_ended(&all, one, 2);
	CHECK(one->status == 1 && one->over);
	CHECK(!sessions_by_wire(&all, 0) && !sessions_by_wire(&all, WIRE_COMMAND) &&
	      !sessions_by_wire(&all, UINT32_MAX));
	CHECK(sessions_by_wire(&all, sessions_wire(one)) == one);
}

TEST(names)
{
	struct session *a, *b;
	char number[16];

	begin();
	a = open_one("web", true, false);
	REQUIRE(a);
	CHECK(!open_one("web", true, false) && strstr(e.msg, "'web'"));
	CHECK(!sessions_find(&all, "", true) && sessions_find(&all, "", false) == a);
	sessions_ended(&all, a, 0);
	b = open_one("web", true, true);
	REQUIRE(b && b != a);
	CHECK(sessions_find(&all, "web", false) == b);
	(void)snprintf(number, sizeof(number), "%u", a->number);
	CHECK(sessions_find(&all, number, true) == a);
	CHECK(sessions_find(&all, "", true) == b && sessions_find(&all, "", false) == a);
	CHECK(!sessions_find(&all, "we", false) && !sessions_find(&all, "0", false));
}

TEST(so_many_and_no_more)
{
	struct session *one = NULL;
	size_t n = 0, i;

	begin();
	for (i = 0; i < LIMIT_HELD; i++)
		REQUIRE(open_one("", true, false));
	CHECK(!open_one("", true, false));
	for (; i < LIMIT_SERVED; i++)
		REQUIRE(open_one("", false, false));
	CHECK(!open_one("", false, false));
	for (one = all.first; one; one = one->next)
		sessions_ended(&all, one, 0);
	REQUIRE(open_one("last", true, false));
	for (one = all.first; one; one = one->next)
		n++;
	CHECK(n == LIMIT_ENDED + 1);
}

/* A session with 1 and 2 apart, and a stdin that is kept open, as PID 1 gets it. @fds: 0-2 of the command */
static struct session *open_split(unsigned int flags, int fds[3])
{
	struct wire_msg m = { .type = WIRE_OPEN, .open = { .flags = WIRE_OPEN_HELD | flags } };
	struct init_command cmd = { .argv = words };
	struct session *one = NULL;
	int give[4], own[3] = { -1, -1, -1 }, null = 0;
	size_t n;

	REQUIRE(sessions_open(&all, &m, &cmd, &one, &e) == 0);
	REQUIRE(sessions_streams(one, &null, give, &n, own) == 0 && n == 4);
	memcpy(fds, own, sizeof(own));
	CHECK(give[1] == own[0] && give[2] == own[1] &&
	      give[3] == (flags & WIRE_OPEN_SPLIT ? own[2] : own[1]));
	CHECK(sessions_started(&all, one, 2, -1) == 0);
	return one;
}

static size_t all_of(int fd, char *out, size_t size)
{
	ssize_t n = recv(fd, out, size - 1, MSG_DONTWAIT);

	out[n > 0 ? n : 0] = '\0';
	return n > 0 ? (size_t)n : 0;
}

/* What @c can read now, of both its streams. */
static void hears(const struct client *c, const char *want, const char *want_errors)
{
	char text[64];

	all_of(c->fd, text, sizeof(text));
	CHECK_STR(text, want);
	if (c->errors < 0)
		return;
	all_of(c->errors, text, sizeof(text));
	CHECK_STR(text, want_errors);
}

static void put(int fd, const char *text)
{
	REQUIRE(write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	turn();
}

TEST(two_streams_are_kept_apart)
{
	struct session *one;
	int fds[3];

	begin();
	one = open_split(WIRE_OPEN_SPLIT, fds);
	put(fds[2], "bad ");
	put(fds[1], "good ");
	show_apart(&clients[0], one, true, true); /* what was there, and what comes */
	show(&clients[1], one, true);             /* both in one, in their order */
	put(fds[1], "better ");
	put(fds[2], "worse");
	sessions_ended(&all, one, 0);
	turn();
	hears(&clients[0], "good better ", "bad worse");
	hears(&clients[1], "bad good better worse", "");
	CHECK(clients[0].gone && clients[0].status == 0 && clients[1].gone);
	sessions_drop(&all, one);
}

/* The end is that of both: what is in either pipe then is read, and no more. */
TEST(the_end_of_both)
{
	struct session *one;
	int fds[3];

	begin();
	one = open_split(WIRE_OPEN_SPLIT, fds);
	show_apart(&clients[0], one, true, true);
	REQUIRE(write(fds[2], "last words", 10) == 10 && write(fds[1], "result", 6) == 6);
	sessions_ended(&all, one, 0);
	hears(&clients[0], "result", "last words");
	CHECK(one->over && clients[0].gone && clients[0].status == 0);
	/* of what the command has left running, one stream ends and the other is read on */
	close(fds[1]);
	turn();
	CHECK(one->output.fd < 0 && sessions_read_ends(one) == 1);
	CHECK(flood(fds[2], 1 << 20) == 1 << 20);
	close(fds[2]);
	turn();
	CHECK(sessions_read_ends(one) == 0);
}

/* So many turns that no more are kept: the command waits for who is before them, and nobody is told a byte of the wrong stream. */
TEST(more_turns_than_places)
{
	char part[4096], errors[4096];
	size_t got = 0, got_errors = 0, written = 0, i, wrong = 0;
	struct session *one;
	int fds[3], idle;

	begin();
	one = open_split(WIRE_OPEN_SPLIT, fds);
	show_apart(&clients[0], one, true, true);
	for (idle = 0; idle < 3 && written < (size_t)3 * LIMIT_TURNS; written += 2) {
		REQUIRE(write(fds[1], "o", 1) == 1);
		turn();
		REQUIRE(write(fds[2], "e", 1) == 1);
		turn();
		idle = one->ring.total > written ? 0 : idle + 1;
	}
	CHECK(one->ring.total < written);
	CHECK(turns_full(&one->turns));
	CHECK(one->turns.known <= clients[0].view->at);
	for (idle = 0; idle < 100;) {
		const size_t n = all_of(clients[0].fd, part, sizeof(part)),
			     m = all_of(clients[0].errors, errors, sizeof(errors));

		for (i = 0; i < n; i++)
			wrong += part[i] != 'o';
		for (i = 0; i < m; i++)
			wrong += errors[i] != 'e';
		got += n;
		got_errors += m;
		idle = n || m ? 0 : idle + 1;
		turn();
	}
	CHECK(wrong == 0 && got == written / 2 && got_errors == written / 2);
	/* who comes now sees from the oldest turn that is known */
	for (i = 0; i < LIMIT_TURNS; i++) {
		put(fds[i & 1 ? 2 : 1], i & 1 ? "e" : "o");
		all_of(clients[0].fd, part, sizeof(part));
		all_of(clients[0].errors, errors, sizeof(errors));
	}
	CHECK(one->turns.known > 0 && sessions_oldest(one, false) == one->turns.known &&
	      sessions_oldest(one, true) == one->turns.known);
	sessions_drop(&all, one);
}

TEST(typed_into_a_pipe)
{
	char in[64];
	struct session *one;
	int fds[3];
	ssize_t n;

	begin();
	one = open_split(WIRE_OPEN_INPUT, fds);
	REQUIRE(fcntl(fds[0], F_SETFL, O_NONBLOCK) == 0);
	show(&clients[0], one, true);
	show(&clients[1], one, true);
	clients[1].view->read_only = true;
	REQUIRE(write(clients[0].fd, "a line\n", 7) == 7 && write(clients[1].fd, "not", 3) == 3);
	turn();
	n = read(fds[0], in, sizeof(in));
	CHECK(n == 7 && memcmp(in, "a line\n", 7) == 0);
	/* one that goes is no end of the input, whatever it had typed; one that may not type does not end it either */
	show(&clients[2], one, true);
	REQUIRE(write(clients[2].fd, "more", 4) == 4);
	close(clients[2].fd);
	turn();
	CHECK(clients[2].gone && read(fds[0], in, sizeof(in)) == 4);
	CHECK(shutdown(clients[1].fd, SHUT_WR) == 0);
	turn();
	CHECK(!clients[1].gone && read(fds[0], in, sizeof(in)) < 0 && errno == EAGAIN);
	/* one that has typed all is an end, and sees what comes */
	CHECK(shutdown(clients[0].fd, SHUT_WR) == 0);
	turn();
	CHECK(!clients[0].gone && read(fds[0], in, sizeof(in)) == 0 && one->input.fd < 0);
	put(fds[1], "x");
	CHECK(take(&clients[0], 'x') == 1 && take(&clients[1], 'x') == 1);
	close(clients[0].fd);
	turn();
	CHECK(clients[0].gone && !clients[1].gone && one->clients == 1);
	sessions_drop(&all, one);
}

/* A command that does not read: nothing that is typed is lost, and nobody turns in circles. */
TEST(typed_into_a_full_pipe)
{
	static char part[4096];
	struct session *one;
	struct epoll_event ev;
	size_t sent = 0, got = 0;
	int fds[3], idle = 0;
	ssize_t n;

	begin();
	one = open_split(WIRE_OPEN_INPUT, fds);
	REQUIRE(fcntl(fds[0], F_SETFL, O_NONBLOCK) == 0);
	show(&clients[0], one, true);
	memset(part, 'y', sizeof(part));
	while (idle < 100) {
		n = send(clients[0].fd, part, sizeof(part), MSG_DONTWAIT);
		sent += n > 0 ? (size_t)n : 0;
		idle = n > 0 ? 0 : idle + 1;
		turn();
	}
	CHECK(one->choked && sent > 65536 && epoll_wait(all.epoll, &ev, 1, 0) == 0);
	for (idle = 0; idle < 100;) {
		n = read(fds[0], part, sizeof(part));
		got += n > 0 ? (size_t)n : 0;
		idle = n > 0 ? 0 : idle + 1;
		turn();
	}
	CHECK(got == sent && !one->choked);
	/* and one that has closed its stdin */
	close(fds[0]);
	REQUIRE(send(clients[0].fd, "z", 1, MSG_DONTWAIT) == 1);
	turn();
	CHECK(one->input.fd < 0 && !clients[0].gone && epoll_wait(all.epoll, &ev, 1, 0) == 0);
	sessions_drop(&all, one);
}
