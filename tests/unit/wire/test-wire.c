/* SPDX-License-Identifier: Apache-2.0 */
#include "tap.h"
#include "wire/wire.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>

static const struct wire_msg from_init[] = {
	{ .type = WIRE_READY, .ready = { .lost = 0x80000001u } },
	{ .type = WIRE_FAILED,
	  .failed = { .sys = ENOENT, .code = ERR_NOTFOUND, .where = "exec", .msg = "not found" } },
	{ .type = WIRE_STARTED, .session = 1, .started = { .pid = 2 } },
	{ .type = WIRE_STOPPED, .session = 1, .stopped = { .signal = SIGTSTP } },
	{ .type = WIRE_ENDED, .session = 1, .ended = { .status = 3 << 8, .offset = -1 } },
	{ .type = WIRE_ENDED,
	  .session = 0xffffffffu,
	  .ended = { .status = SIGSEGV | 0x80, .offset = INT64_MAX } },
	{ .type = WIRE_LISTENER },
	{ .type = WIRE_NETWORK },
	{ .type = WIRE_STATE,
	  .state = { .state = WIRE_STATE_PAUSED,
		     .pid = INT32_MAX,
		     .clients = 1,
		     .connections = 2,
		     .up = UINT64_MAX,
		     .down = 3,
		     .left_ms = -1 } },
	{ .type = WIRE_PORT,
	  .port = { .total = 2,
		    .place = { .host = 65535, .inside = 1, .at = { 1, [15] = 255 } },
		    .chosen = 1 } },
	{ .type = WIRE_SESSION,
	  .session = 1,
	  .which = { .number = 7,
		     .flags = WIRE_SESSION_ENDED | WIRE_SESSION_INPUT,
		     .history = INT64_MAX } },
	{ .type = WIRE_SESSIONS },
	{ .type = WIRE_SERVICES },
	{ .type = WIRE_LEAVING, .leaving = { .why = WIRE_WHY_MEMORY } },
	{ .type = WIRE_LOGGED,
	  .session = 1,
	  .logged = { .since = UINT64_MAX, .id = "0123456789abcde" } },
	{ .type = WIRE_NO_NETWORK, .session = 1 },
	{ .type = WIRE_MEMORY, .session = 1, .memory = { .limit = UINT64_MAX } },
};

static const struct wire_msg from_supervisor[] = {
	{ .type = WIRE_SIGNAL,
	  .session = 1,
	  .signal = { .signal = SIGINT, .flags = WIRE_SIGNAL_GROUP } },
	{ .type = WIRE_SIGNAL, .session = 1, .signal = { .signal = 64 } },
	{ .type = WIRE_CONTINUE, .session = 7, .cont = { .flags = WIRE_CONTINUE_FOREGROUND } },
	{ .type = WIRE_SPAWN, .session = 2 },
	{ .type = WIRE_COPY, .session = 2 },
	{ .type = WIRE_STOP, .stop = { .grace_ms = WIRE_GRACE_MAX } },
	{ .type = WIRE_ASK },
	{ .type = WIRE_PAUSE },
	{ .type = WIRE_RESUME },
	{ .type = WIRE_EXTEND, .extend = { .ms = WIRE_EXTEND_MAX } },
	{ .type = WIRE_PORT_ASK, .port_ask = { .number = UINT32_MAX } },
	{ .type = WIRE_PUBLISH,
	  .publish = { .remove = 1,
		       .place = { .host = 65535, .inside = 1, .at = { [0] = 0x20, [15] = 1 } } } },
	{ .type = WIRE_OPEN,
	  .session = 1,
	  .open = { .flags = WIRE_OPEN_HELD | WIRE_OPEN_INPUT | WIRE_OPEN_SPLIT,
		    .alone_ms = INT32_MAX,
		    .name = "server" } },
	{ .type = WIRE_ATTACH,
	  .session = 1,
	  .attach = { .flags = 7, .rows = 65535, .cols = 80, .word = "12" } },
	{ .type = WIRE_RESIZE, .session = 1, .resize = { .rows = 24, .cols = 65535 } },
	{ .type = WIRE_LIST },
	{ .type = WIRE_KILL, .session = 1, .end = { .signal = SIGKILL, .word = "server" } },
	{ .type = WIRE_BROKEN, .session = 1, .broken = { .which = 1 } },
	{ .type = WIRE_SERVICE, .session = 2 },
	{ .type = WIRE_SERVICES_ASK },
	{ .type = WIRE_SERVICES_SET },
	{ .type = WIRE_SERVICE_ORDER,
	  .service = { .order = WIRE_ORDER_RESTART, .grace_ms = WIRE_GRACE_MAX, .word = "web" } },
};

static const struct wire_msg fine = { .type = WIRE_STOPPED,
				      .session = 1,
				      .stopped = { .signal = 2 } };

static void check_round(const struct wire_msg *m, enum wire_side from)
{
	enum wire_side other = from == WIRE_FROM_INIT ? WIRE_FROM_SUPERVISOR : WIRE_FROM_INIT;
	unsigned char bytes[WIRE_MAX + 1] = { 0 }, again[WIRE_MAX] = { 0 };
	size_t n = wire_encode(m, bytes), used = 0, i;
	struct wire_msg got;

	REQUIRE(n >= WIRE_HEADER && n <= WIRE_MAX);
	CHECK(wire_decode(bytes, n + 1, from, &got, &used) ==
	      0); /* what follows is not looked at */
	CHECK(used == n);
	CHECK(got.type == m->type && got.session == m->session);
	CHECK(wire_encode(&got, again) == n && memcmp(bytes, again, n) == 0);
	CHECK(wire_decode(bytes, n, other, &got, &used) == -EBADMSG);
	for (i = 0; i < n; i++)
		CHECK(wire_decode(bytes, i, from, &got, &used) == -EAGAIN);
}

TEST(every_message_comes_back)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(from_init); i++)
		check_round(&from_init[i], WIRE_FROM_INIT);
	for (i = 0; i < ARRAY_SIZE(from_supervisor); i++)
		check_round(&from_supervisor[i], WIRE_FROM_SUPERVISOR);
}

TEST(values_arrive)
{
	unsigned char bytes[WIRE_MAX];
	struct wire_msg got;
	size_t n, used;

	n = wire_encode(&from_init[1], bytes);
	REQUIRE(wire_decode(bytes, n, WIRE_FROM_INIT, &got, &used) == 0);
	CHECK(got.failed.sys == ENOENT && got.failed.code == ERR_NOTFOUND);
	CHECK_STR(got.failed.where, "exec");
	CHECK_STR(got.failed.msg, "not found");
	n = wire_encode(&from_init[5], bytes);
	REQUIRE(wire_decode(bytes, n, WIRE_FROM_INIT, &got, &used) == 0);
	CHECK(WIFSIGNALED(got.ended.status) && WTERMSIG(got.ended.status) == SIGSEGV);
	CHECK(got.ended.offset == INT64_MAX && got.session == 0xffffffffu);
	n = wire_encode(&from_supervisor[0], bytes);
	REQUIRE(wire_decode(bytes, n, WIRE_FROM_SUPERVISOR, &got, &used) == 0);
	CHECK(got.signal.signal == SIGINT && got.signal.flags == WIRE_SIGNAL_GROUP);
}

/* The layout is a promise to other versions. */
TEST(bytes_are_fixed)
{
	static const unsigned char want[] = { 1, 0, 33, 0, 8, 0, 0, 0, 1, 0, 0, 0,
					      0, 0, 0,  0, 2, 0, 0, 0, 1, 0, 0, 0 };
	unsigned char bytes[WIRE_MAX];

	CHECK(wire_encode(&from_supervisor[0], bytes) == sizeof(want));
	CHECK(memcmp(bytes, want, sizeof(want)) == 0);
}

/* One byte of a good message changed. Return: what decode says. */
static int changed(size_t at, unsigned char value)
{
	unsigned char bytes[WIRE_MAX];
	size_t n = wire_encode(&fine, bytes), used;
	struct wire_msg got;

	bytes[at] = value;
	return wire_decode(bytes, n, WIRE_FROM_INIT, &got, &used);
}

TEST(headers_are_checked)
{
	CHECK(changed(0, 1) == 0);
	CHECK(changed(0, 2) == -EPROTONOSUPPORT);
	CHECK(changed(1, 1) == -EPROTONOSUPPORT);
	CHECK(changed(2, 0) == -EBADMSG);
	CHECK(changed(2, 6) == -EBADMSG);
	CHECK(changed(3, 1) == -EBADMSG);
	CHECK(changed(4, 3) == -EBADMSG);
	CHECK(changed(4, 5) == -EBADMSG);
	CHECK(changed(7, 0x80) == -EBADMSG); /* a length near 2^31 */
	CHECK(changed(8, 0) == -EBADMSG);    /* STOPPED belongs to a command */
	CHECK(changed(12, 1) == -EBADMSG);
	CHECK(changed(15, 1) == -EBADMSG);
}

static bool is_message(struct wire_msg m)
{
	unsigned char bytes[WIRE_MAX];

	return wire_encode(&m, bytes) > 0;
}

TEST(values_are_checked)
{
	struct wire_msg m = { .type = WIRE_ENDED, .session = 1 };

	CHECK(is_message(m));
	m.ended.status = 0x7f | SIGSTOP << 8; /* stopped is no end */
	CHECK(!is_message(m));
	m.ended.status = 0xffff; /* nor is continued */
	CHECK(!is_message(m));
	m.ended.status = 0x10000;
	CHECK(!is_message(m));
	m = (struct wire_msg){ .type = WIRE_ENDED, .session = 1, .ended = { .offset = -2 } };
	CHECK(!is_message(m));
	m = from_supervisor[1];
	m.signal.signal = 0;
	CHECK(!is_message(m));
	m.signal.signal = 65;
	CHECK(!is_message(m));
	m.signal.signal = -9;
	CHECK(!is_message(m));
	m.signal.signal = 9;
	CHECK(is_message(m));
	m.signal.flags = 2;
	CHECK(!is_message(m));
	m = (struct wire_msg){ .type = WIRE_STARTED, .session = 1, .started = { .pid = 0 } };
	CHECK(!is_message(m));
	m.started.pid = 0x80000000u;
	CHECK(!is_message(m));
	m = (struct wire_msg){ .type = WIRE_READY, .session = 1 };
	CHECK(!is_message(m));
	m = (struct wire_msg){ .type = WIRE_FAILED, .failed = { .code = ERR_NONE } };
	CHECK(!is_message(m));
	m.failed.code = ERR_NUM;
	CHECK(!is_message(m));
	m.failed.code = ERR_HELP; /* would exit with 0 */
	CHECK(!is_message(m));
	m = (struct wire_msg){ .session = 1 };
	CHECK(!is_message(m));
}

TEST(texts_end_and_hide_nothing)
{
	struct wire_msg m = { .type = WIRE_FAILED, .failed = { .code = ERR_SYSTEM } }, got;
	unsigned char bytes[WIRE_MAX];
	size_t n, used;

	/* what stood behind the text, and a text that does not end, stay with the sender */
	memset(m.failed.msg, 'x', sizeof(m.failed.msg));
	memcpy(m.failed.where, "a\0secret", 9);
	n = wire_encode(&m, bytes);
	REQUIRE(n == WIRE_MAX);
	CHECK(!memmem(bytes, n, "secret", 6));
	CHECK(wire_decode(bytes, n, WIRE_FROM_INIT, &got, &used) == 0);
	CHECK(strlen(got.failed.msg) == sizeof(got.failed.msg) - 1);
	bytes[n - 1] = 'x';
	CHECK(wire_decode(bytes, n, WIRE_FROM_INIT, &got, &used) == -EBADMSG);
	bytes[n - 1] = 0;
	bytes[WIRE_HEADER + 8 + 2] = 's';
	CHECK(wire_decode(bytes, n, WIRE_FROM_INIT, &got, &used) == -EBADMSG);
}

TEST(order_of_a_sandbox_that_stays)
{
	static const enum wire_type fine_there[] = { WIRE_STARTED, WIRE_STOPPED, WIRE_ENDED,
						     WIRE_FAILED };
	static const enum wire_type never[] = { WIRE_READY, WIRE_LISTENER, WIRE_NETWORK,
						WIRE_SPAWN, WIRE_STOP,     WIRE_STATE,
						WIRE_ASK,   WIRE_SESSION,  WIRE_SESSIONS,
						WIRE_COPY,  WIRE_SERVICES, WIRE_SERVICE };
	enum wire_order order = WIRE_SERVING;
	size_t i;

	for (i = 0; i < 2 * ARRAY_SIZE(fine_there); i++)
		CHECK(wire_order_step(&order, fine_there[i % ARRAY_SIZE(fine_there)]) == 0 &&
		      order == WIRE_SERVING);
	for (i = 0; i < ARRAY_SIZE(never); i++)
		CHECK(wire_order_step(&order, never[i]) == -EPROTO && order == WIRE_SERVING);
}

TEST(values_of_a_sandbox_that_stays)
{
	static const struct wire_msg bad[] = {
		{ .type = WIRE_SPAWN, .session = WIRE_SANDBOX },
		{ .type = WIRE_COPY, .session = WIRE_SANDBOX },
		{ .type = WIRE_STOP, .session = 1 },
		{ .type = WIRE_STOP, .stop = { .grace_ms = WIRE_GRACE_MAX + 1 } },
		{ .type = WIRE_ASK, .session = 1 },
		{ .type = WIRE_PAUSE, .session = 1 },
		{ .type = WIRE_RESUME, .session = 1 },
		{ .type = WIRE_EXTEND, .extend = { .ms = 0 } },
		{ .type = WIRE_EXTEND, .extend = { .ms = WIRE_EXTEND_MAX + 1 } },
		{ .type = WIRE_PORT_ASK, .session = 1 },
		{ .type = WIRE_PUBLISH, .session = 1, .publish = { .place = { .inside = 1 } } },
		{ .type = WIRE_PUBLISH, .publish = { .place = { .host = 1 } } },
		{ .type = WIRE_PUBLISH, .publish = { .remove = 1, .place = { .inside = 1 } } },
		{ .type = WIRE_PUBLISH,
		  .publish = { .remove = 2, .place = { .host = 1, .inside = 1 } } },
		{ .type = WIRE_PORT, .session = 1 },
		{ .type = WIRE_PORT, .port = { .chosen = 1 } },
		{ .type = WIRE_PORT, .port = { .place = { .host = 1 }, .chosen = 2 } },
		{ .type = WIRE_LEAVING, .session = 1, .leaving = { .why = WIRE_WHY_ASKED } },
		{ .type = WIRE_LEAVING, .leaving = { .why = 0 } },
		{ .type = WIRE_NO_NETWORK },
		{ .type = WIRE_LOGGED, .logged = { .id = "01" } },
		{ .type = WIRE_LOGGED, .session = 1 },
		{ .type = WIRE_LOGGED, .session = 1, .logged = { .id = "../heads" } },
		{ .type = WIRE_LOGGED, .session = 1, .logged = { .id = "0123456789abcdef" } },
		{ .type = WIRE_LOGGED, .session = 1, .logged = { .id = { '0', '\0', '1' } } },
		{ .type = WIRE_LEAVING, .leaving = { .why = WIRE_WHY_MEMORY + 1 } },
		{ .type = WIRE_MEMORY, .memory = { .limit = 1 } },
		{ .type = WIRE_STATE, .state = { .state = 0, .pid = 1 } },
		{ .type = WIRE_STATE, .state = { .state = 3, .pid = 1 } },
		{ .type = WIRE_STATE, .state = { .state = 1, .pid = 0 } },
		{ .type = WIRE_STATE, .state = { .state = 1, .pid = 1, .left_ms = -2 } },
		{ .type = WIRE_STATE, .session = 1, .state = { .state = 1, .pid = 1 } },
		{ .type = WIRE_SESSION, .session = 1 },
		{ .type = WIRE_SESSION, .session = 1, .which = { .number = 1, .flags = 8 } },
		{ .type = WIRE_SESSION, .session = 1, .which = { .number = 1, .history = -1ull } },
		{ .type = WIRE_SESSIONS, .session = 1 },
		{ .type = WIRE_OPEN },
		{ .type = WIRE_OPEN, .session = 1, .open = { .flags = 2 } },
		{ .type = WIRE_OPEN, .session = 1, .open = { .alone_ms = 1u << 31 } },
		{ .type = WIRE_OPEN, .session = 1, .open = { .name = "a\0b" } },
		{ .type = WIRE_OPEN, .session = 1, .open = { .flags = WIRE_OPEN_INPUT } },
		{ .type = WIRE_OPEN, .session = 1, .open = { .flags = WIRE_OPEN_SPLIT } },
		{ .type = WIRE_ATTACH, .session = 1, .attach = { .flags = 8 } },
		{ .type = WIRE_ATTACH, .session = 1, .attach = { .rows = 65536 } },
		{ .type = WIRE_ATTACH, .session = 1, .attach = { .word = "a\0b" } },
		{ .type = WIRE_RESIZE, .session = 1, .resize = { .cols = 65536 } },
		{ .type = WIRE_RESIZE },
		{ .type = WIRE_LIST, .session = 1 },
		{ .type = WIRE_KILL, .session = 1, .end = { .signal = 65 } },
		{ .type = WIRE_KILL, .session = 1, .end = { .signal = 1, .word = "\0x" } },
		{ .type = WIRE_BROKEN },
		{ .type = WIRE_BROKEN, .session = 1, .broken = { .which = 2 } },
		{ .type = WIRE_SERVICE },
		{ .type = WIRE_SERVICES, .session = 1 },
		{ .type = WIRE_SERVICES_ASK, .session = 1 },
		{ .type = WIRE_SERVICES_SET, .session = 1 },
		{ .type = WIRE_SERVICE_ORDER, .session = 1, .service = { .order = 1 } },
		{ .type = WIRE_SERVICE_ORDER, .service = { .order = 0 } },
		{ .type = WIRE_SERVICE_ORDER, .service = { .order = 4 } },
		{ .type = WIRE_SERVICE_ORDER,
		  .service = { .order = 1, .grace_ms = WIRE_GRACE_MAX + 1 } },
		{ .type = WIRE_SERVICE_ORDER, .service = { .order = 1, .word = "a\0b" } },
	};
	unsigned char bytes[WIRE_MAX];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(bad); i++)
		CHECK(wire_encode(&bad[i], bytes) == 0);
}

TEST(descriptors_of_a_sandbox_that_stays)
{
	size_t i;

	for (i = 0; i <= WIRE_FDS; i++) {
		CHECK(wire_fds_ok(WIRE_PUBLISH, i) == (i == 0));
		CHECK(wire_fds_ok(WIRE_SPAWN, i) == (i == 1 || i == 4));
		CHECK(wire_fds_ok(WIRE_COPY, i) == (i == 4));
		CHECK(wire_fds_ok(WIRE_STARTED, i) == (i <= 1));
		CHECK(wire_fds_ok(WIRE_STOP, i) == (i == 0));
		CHECK(wire_fds_ok(WIRE_OPEN, i) == (i != 0 && i != 3));
		CHECK(wire_fds_ok(WIRE_ATTACH, i) == (i == 1 || i == 2));
		CHECK(wire_fds_ok(WIRE_SESSIONS, i) == (i == 1));
		CHECK(wire_fds_ok(WIRE_SERVICE, i) == (i == 4));
		CHECK(wire_fds_ok(WIRE_SERVICES, i) == (i == 1));
		CHECK(wire_fds_ok(WIRE_SERVICES_SET, i) == (i == 1));
	}
}

TEST(order)
{
	static const struct {
		enum wire_type said[5];
		int last; /* result of the last */
	} cases[] = {
		{ { WIRE_READY }, 0 },
		{ { WIRE_LISTENER, WIRE_READY, WIRE_STARTED, WIRE_ENDED }, 0 },
		{ { WIRE_NETWORK, WIRE_READY, WIRE_STARTED, WIRE_ENDED }, 0 },
		{ { WIRE_NETWORK, WIRE_LISTENER, WIRE_READY }, 0 },
		{ { WIRE_NETWORK, WIRE_FAILED }, 0 },
		{ { WIRE_NETWORK, WIRE_NETWORK }, -EPROTO },
		{ { WIRE_LISTENER, WIRE_NETWORK }, -EPROTO },
		{ { WIRE_READY, WIRE_NETWORK }, -EPROTO },
		{ { WIRE_LISTENER, WIRE_FAILED }, 0 },
		{ { WIRE_LISTENER, WIRE_LISTENER }, -EPROTO },
		{ { WIRE_LISTENER, WIRE_ENDED }, -EPROTO },
		{ { WIRE_READY, WIRE_LISTENER }, -EPROTO },
		{ { WIRE_READY, WIRE_STARTED, WIRE_LISTENER }, -EPROTO },
		{ { WIRE_FAILED }, 0 },
		{ { WIRE_STARTED }, -EPROTO },
		{ { WIRE_ENDED }, -EPROTO },
		{ { WIRE_READY, WIRE_READY }, -EPROTO },
		{ { WIRE_READY, WIRE_ENDED }, 0 },
		{ { WIRE_READY, WIRE_FAILED }, 0 },
		{ { WIRE_READY, WIRE_STOPPED }, -EPROTO },
		{ { WIRE_READY, WIRE_STARTED, WIRE_STARTED }, -EPROTO },
		{ { WIRE_READY, WIRE_STARTED, WIRE_FAILED }, -EPROTO },
		{ { WIRE_READY, WIRE_STARTED, WIRE_READY }, -EPROTO },
		{ { WIRE_READY, WIRE_STARTED, WIRE_STOPPED, WIRE_STOPPED, WIRE_ENDED }, 0 },
		{ { WIRE_READY, WIRE_STARTED, WIRE_ENDED, WIRE_ENDED }, -EPROTO },
		{ { WIRE_FAILED, WIRE_READY }, -EPROTO },
		{ { WIRE_SIGNAL }, -EPROTO },
	};
	size_t i, k;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		enum wire_order order = WIRE_BUILDING, before = order;
		int r = 0;

		for (k = 0; k < 5 && cases[i].said[k]; k++) {
			if (r)
				FAIL("case %zu: refused at %zu", i, k);
			before = order;
			r = wire_order_step(&order, cases[i].said[k]);
		}
		if (r != cases[i].last)
			FAIL("case %zu: %d", i, r);
		if (r < 0)
			CHECK(order == before);
	}
}

static int pair[2];

static void open_pair(void)
{
	REQUIRE(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == 0);
}

static int receive(struct wire_msg *m, int fds[WIRE_FDS])
{
	return wire_recv(pair[1], WIRE_FROM_INIT, m, fds);
}

static bool is_open(int fd)
{
	return fcntl(fd, F_GETFD) >= 0;
}

TEST(over_a_socket)
{
	int fds[WIRE_FDS], null = open("/dev/null", O_RDWR | O_CLOEXEC);
	struct wire_msg m;

	open_pair();
	CHECK(receive(&m, fds) == -EAGAIN);
	CHECK(wire_send(pair[0], &from_init[0], (int[]){ null, null, null }, 3, true) == 0);
	CHECK(wire_send(pair[0], &fine, NULL, 0, false) == 0);
	CHECK(wire_send(pair[0], &from_init[2], &null, 1, true) == 0);
	CHECK(receive(&m, fds) == 1 && m.type == WIRE_READY);
	CHECK(is_open(fds[0]) && is_open(fds[1]) && fcntl(fds[0], F_GETFD) == FD_CLOEXEC);
	CHECK(receive(&m, fds) == 1 && m.type == WIRE_STOPPED && fds[0] == -1 && fds[1] == -1);
	CHECK(receive(&m, fds) == 1 && is_open(fds[0]) && fds[1] == -1);
	CHECK(wire_send(pair[0], &from_init[0], (int[]){ null, null, null, null, null, null }, 6,
			true) == 0);
	CHECK(receive(&m, fds) == 1 && is_open(fds[0]) && is_open(fds[5]));
	close(pair[0]);
	CHECK(receive(&m, fds) == 0);
	CHECK(wire_send(pair[1], &fine, NULL, 0, true) == -EPIPE);
}

TEST(descriptors_are_counted_and_closed)
{
	int fds[WIRE_FDS], null = open("/dev/null", O_RDWR | O_CLOEXEC), next;
	unsigned char bytes[WIRE_MAX];
	struct wire_msg m;
	size_t n;

	open_pair();
	CHECK(wire_send(pair[0], &from_init[7], (int[]){ null, null }, 2, true) == -EINVAL);
	CHECK(wire_send(pair[0], &from_init[7], NULL, 0, true) == -EINVAL);
	CHECK(wire_send(pair[0], &from_init[3], &null, 1, true) == -EINVAL);
	next = dup(null);
	close(next);
	/* what wire_send() would not do, a hostile PID 1 does */
	n = wire_encode(&from_init[3], bytes);
	CHECK(fd_send(pair[0], bytes, n, &null, 1, 0) == 0);
	CHECK(receive(&m, fds) == -EBADMSG && fds[0] == -1);
	n = wire_encode(&from_init[7], bytes);
	CHECK(fd_send(pair[0], bytes, n, (int[]){ null, null, null }, 3, 0) == 0);
	CHECK(receive(&m, fds) == -EBADMSG);
	CHECK(fd_send(pair[0], bytes, n, NULL, 0, 0) == 0);
	CHECK(receive(&m, fds) == -EBADMSG);
	n = wire_encode(&from_init[0], bytes);
	CHECK(fd_send(pair[0], bytes, n, &null, 1, 0) == 0); /* one of three */
	CHECK(receive(&m, fds) == -EBADMSG);
	CHECK(fd_send(pair[0], bytes, n, (int[]){ null, null, null, null }, 4, 0) ==
	      0); /* four of six */
	CHECK(receive(&m, fds) == -EBADMSG);
	CHECK(fd_send(pair[0], bytes, n, (int[]){ null, null, null, null, null, null, null }, 7,
		      0) == 0);
	CHECK(receive(&m, fds) == -EBADMSG);
	CHECK(!is_open(next)); /* nothing is left open */
}

TEST(datagrams_are_whole)
{
	unsigned char bytes[2 * WIRE_MAX] = { 0 };
	int fds[WIRE_FDS];
	struct wire_msg m;
	size_t n = wire_encode(&fine, bytes);

	open_pair();
	CHECK(send(pair[0], bytes, n - 1, 0) == (ssize_t)n - 1);
	CHECK(receive(&m, fds) == -EBADMSG);
	CHECK(send(pair[0], bytes, n + 1, 0) == (ssize_t)n + 1);
	CHECK(receive(&m, fds) == -EBADMSG);
	CHECK(send(pair[0], bytes, 1, 0) == 1);
	CHECK(receive(&m, fds) == -EBADMSG);
	CHECK(send(pair[0], bytes, sizeof(bytes), 0) == sizeof(bytes));
	CHECK(receive(&m, fds) == -EBADMSG);
	CHECK(send(pair[0], bytes, n, 0) == (ssize_t)n);
	CHECK(receive(&m, fds) == 1); /* and the next is read as if nothing had been */
}

TEST(who_does_not_read_holds_up_nobody)
{
	int n = 0, r;

	open_pair();
	do {
		r = wire_send(pair[0], &fine, NULL, 0, false);
	} while (r == 0 && ++n < 100000);
	CHECK(r == -EAGAIN && n > 0);
}
