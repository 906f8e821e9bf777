/* SPDX-License-Identifier: Apache-2.0 */
/* The other end of the stream is written here, byte by byte. */
#include "bridged.h"

/* The supervisor's bridge, of which we have both ends: sock, and @ret_stream. Return: its pid. */
static pid_t alone(int *ret_stream)
{
	int ours[2], stream[2];
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
	*ret_stream = stream[0];
	return pid;
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
	int stream, fds[WIRE_FDS], r;
	struct wire_msg m;
	size_t i;
	pid_t pid;

	for (i = 0; i <= ARRAY_SIZE(bad); i++) {
		pid = alone(&stream);
		if (i == ARRAY_SIZE(bad)) {
			/* the twin: STARTED is heard, and the stream's end is no error */
			struct pollfd p = { .fd = sock, .events = POLLIN };

			CHECK(write(stream, good, sizeof(good)) == sizeof(good));
			CHECK(poll(&p, 1, TAP_SECONDS * 1000) == 1);
			r = wire_recv(sock, WIRE_FROM_INIT, &m, fds);
			CHECK(r == 1 && m.type == WIRE_STARTED && m.started.pid == 7);
			(void)close(stream);
			CHECK(wait_for(pid) == 0);
		} else {
			struct pollfd p = { .fd = sock, .events = POLLIN };

			CHECK(write(stream, bad[i].bytes, bad[i].n) == (ssize_t)bad[i].n);
			CHECK(poll(&p, 1, TAP_SECONDS * 1000) == 1);
			r = wire_recv(sock, WIRE_FROM_INIT, &m, fds);
			if (r != 0 || wait_for(pid) != 1)
				FAIL("%s was taken", bad[i].what);
			(void)close(stream);
		}
		(void)close(sock);
	}
}

static long resident(pid_t pid)
{
	return proc_number(pid, "statm", 1) * (sysconf(_SC_PAGESIZE) / 1024);
}

/* A machine that opens streams, fills them, and never reads: what is kept of that has an end. */
TEST(memory_has_a_bound)
{
	unsigned char open[8 + 4 + 8 + 20] = { 1, 0, 32, 0, 0, 0, 0, 0, 1, 0, 0, 0, 4,
					       0, 0, 0,  0, 0, 0, 0, 1, 0, 3, 0, 4, 0,
					       0, 0, 2,  0, 0, 0, 0, 0, 0, 0, 7 };
	unsigned char fill[8 + MUX_BODY] = { 3, 0, MUX_BODY & 0xff, MUX_BODY >> 8 };
	int stream, i, k, masters[50];
	struct timeval soon = { .tv_sec = 2 };
	long before, after;
	pid_t pid;

	pid = alone(&stream);
	(void)usleep(200000);
	before = resident(pid);
	for (i = 0; i < 50; i++) {
		open[16] = fill[4] = (unsigned char)(2 * i);
		CHECK(write(stream, open, sizeof(open)) == sizeof(open));
		(void)hear(&masters[i]);
		REQUIRE(masters[i] >= 0);
	}
	REQUIRE(setsockopt(stream, SOL_SOCKET, SO_SNDTIMEO, &soon, sizeof(soon)) == 0);
	/* their windows are full, and one byte more is no protocol any more */
	for (k = 0; k < 4; k++) {
		for (i = 0; i < 50; i++) {
			fill[4] = (unsigned char)(2 * i);
			CHECK(write(stream, fill, sizeof(fill)) == sizeof(fill));
		}
	}
	(void)usleep(500000);
	after = resident(pid);
	if (after - before > 50 * 64 + 1024)
		FAIL("%ld KiB more", after - before);
	for (i = 0; i < 50; i++) {
		fill[4] = (unsigned char)(2 * i);
		if (write(stream, fill, sizeof(fill)) < 0)
			break;
	}
	CHECK(wait_for(pid) == 1);
}
