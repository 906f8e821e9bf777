/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Client and server of bench/network.py, so that no interpreter is in its figures.
 *
 *   netload server ADDRESS PORT      one process, one loop: what a request says is sent or taken
 *   netload client HOST PORT         reads a command a line, answers with a line: nanoseconds, or a count, or "error: ..."
 *   netload idle HOST PORT WAY       one request, then nothing until it is killed
 *
 *   stream WAY down|up BYTES         -> how long one stream took, from its request to its last byte
 *   connect WAY COUNT MS             -> how long each new connection took, from nothing to the first byte of an answer; at most MS in all
 *   rate WAY THREADS MS              -> connections per second
 *   flood WAY MS                     -> how many are held without a word; when it is over a second line, connections per second: as many as can be, and questions for names
 *
 * WAY: "name" looks HOST up each time, "addr" once; "http:PORT" and "socks:PORT" ask a proxy at 127.0.0.1 for it, "tcp:PORT" a relay there.
 * A request is a byte (D: send N bytes, U: take N, P: one byte back), and N in 8 bytes. Neither HTTP nor TLS, so nobody looks into it.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define BLOCK (256u << 10)
#define FDS 16384
#define REQUEST 9
#define TIMES 100000
#define THREADS_MAX 64
#define HELD 900 /* connections of a flood that say nothing; a gateway takes 1,024 */
#define ERROR_MAX 160

static char block[BLOCK];

static void die(const char *what)
{
	fprintf(stderr, "netload: %s: %s\n", what, strerror(errno));
	exit(1);
}

static int64_t now(void)
{
	struct timespec t;

	if (clock_gettime(CLOCK_MONOTONIC, &t) < 0)
		die("clock_gettime");
	return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

static long number(const char *s, long max)
{
	char *end = NULL;
	long n = 0;

	errno = 0;
	n = s ? strtol(s, &end, 10) : -1;
	if (errno || n < 0 || n > max || end == s || *end) {
		errno = EINVAL;
		die(s ? s : "a number is missing");
	}
	return n;
}

static void many_files(void)
{
	struct rlimit r;

	if (getrlimit(RLIMIT_NOFILE, &r) < 0)
		die("getrlimit");
	r.rlim_cur = r.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &r); /* up to the hard limit can't fail */
}

/* --- server --- */

struct talk {
	unsigned char head[REQUEST];
	size_t have;
	uint64_t left;
};

static struct talk talks[FDS];

/* Return: whether it goes on. */
static bool talk_step(int fd, struct talk *t)
{
	ssize_t n;

	while (t->have < REQUEST) {
		n = recv(fd, t->head + t->have, REQUEST - t->have, 0);
		if (n <= 0)
			return n < 0 && errno == EAGAIN;
		t->have += (size_t)n;
		if (t->have == REQUEST) {
			memcpy(&t->left, t->head + 1, sizeof(t->left));
			if (t->head[0] == 'P')
				t->left = 1;
		}
	}
	while (t->left > 0) {
		size_t most = t->left < BLOCK ? t->left : BLOCK;

		n = t->head[0] == 'U' ? recv(fd, block, most, 0) :
					send(fd, block, most, MSG_NOSIGNAL);
		if (n <= 0)
			return n < 0 && errno == EAGAIN;
		t->left -= (uint64_t)n;
	}
	if (t->head[0] == 'U')
		(void)send(fd, block, 1, MSG_NOSIGNAL); /* a client that has gone needs none */
	return false; /* the server ends first, so no client runs out of ports */
}

static void server(const char *address, long port)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
	struct epoll_event ev[64] = { { .events = EPOLLIN } };
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int loop = epoll_create1(EPOLL_CLOEXEC);

	if (inet_pton(AF_INET, address, &to.sin_addr) != 1 || listener < 0 || loop < 0 ||
	    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &(int){ 1 }, sizeof(int)) < 0 ||
	    bind(listener, (struct sockaddr *)&to, sizeof(to)) < 0 || listen(listener, 4096) < 0)
		die(address);
	ev[0].data.fd = listener;
	if (epoll_ctl(loop, EPOLL_CTL_ADD, listener, ev) < 0)
		die("epoll");
	printf("ready\n");
	if (fflush(stdout))
		die("stdout");
	for (;;) {
		int n = epoll_wait(loop, ev, 64, -1);

		for (int i = 0; i < n; i++) {
			int fd = ev[i].data.fd;

			if (fd != listener) {
				if (!talk_step(fd, &talks[fd]))
					(void)close(fd); /* its end is the answer */
				continue;
			}
			fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
			if (fd < 0)
				continue;
			if (fd >= FDS) {
				(void)close(fd); /* more than any load needs */
				continue;
			}
			(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){ 1 }, sizeof(int));
			talks[fd] = (struct talk){ .have = 0 };
			if (epoll_ctl(loop, EPOLL_CTL_ADD, fd,
				      &(struct epoll_event){ .events = EPOLLIN | EPOLLOUT | EPOLLET,
							     .data.fd = fd }) < 0)
				(void)close(fd); /* the client sees that */
		}
	}
}

/* --- client --- */

static const char *host;
static uint16_t port;
static struct sockaddr_in known; /* of HOST, for "addr" */
static _Thread_local char problem[ERROR_MAX];

static int64_t failed(const char *what)
{
	(void)snprintf(problem, sizeof(problem), "error: %s: %s", what, strerror(errno));
	return -1;
}

static bool look_up(struct sockaddr_in *ret)
{
	const struct addrinfo hints = { .ai_socktype = SOCK_STREAM };
	struct addrinfo *found = NULL, *a;
	int r = getaddrinfo(host, NULL, &hints, &found);

	for (a = found; a && a->ai_family != AF_INET; a = a->ai_next)
		;
	if (a) {
		memcpy(ret, a->ai_addr, sizeof(*ret));
		ret->sin_port = htons(port);
	}
	freeaddrinfo(found);
	errno = r == EAI_SYSTEM ? errno : EHOSTUNREACH;
	return a;
}

static bool all(int fd, void *p, size_t n, bool out)
{
	char *at = p;

	while (n > 0) {
		ssize_t r = out ? send(fd, at, n, MSG_NOSIGNAL) : recv(fd, at, n, 0);

		if (r == 0)
			errno = ECONNRESET;
		if (r <= 0)
			return false;
		at += r;
		n -= (size_t)r;
	}
	return true;
}

static bool ask_http(int fd)
{
	const char *auth =
		getenv("NETLOAD_AUTH"); /* NAME:PASSWORD in base64, for a proxy that wants it */
	char text[1024];
	int n = snprintf(text, sizeof(text), "CONNECT %s:%u HTTP/1.1\r\nHost: %s:%u\r\n%s%s%s\r\n",
			 host, port, host, port, auth ? "Proxy-Authorization: Basic " : "",
			 auth ? auth : "", auth ? "\r\n" : "");
	size_t have = 0;

	if (n >= (int)sizeof(text) || !all(fd, text, (size_t)n, true))
		return false;
	while (have < sizeof(text) - 1) {
		ssize_t r = recv(fd, text + have, sizeof(text) - 1 - have, 0);

		if (r <= 0)
			break;
		have += (size_t)r;
		text[have] = '\0';
		/* the server says nothing before it is asked, so nothing follows */
		if (strstr(text, "\r\n\r\n")) {
			errno = EPROTO;
			return strncmp(text, "HTTP/1.", 7) == 0 &&
			       strncmp(text + 8, " 200", 4) == 0;
		}
	}
	errno = EPROTO;
	return false;
}

static bool ask_socks(int fd)
{
	unsigned char text[300] = { 5, 1, 0 };
	size_t n = strlen(host);

	if (!all(fd, text, 3, true) || !all(fd, text, 2, false) || text[0] != 5 || text[1] != 0)
		return false;
	memcpy(text, (unsigned char[]){ 5, 1, 0, 3, (unsigned char)n }, 5);
	memcpy(text + 5, host, n);
	text[5 + n] = (unsigned char)(port >> 8);
	text[6 + n] = (unsigned char)port;
	return all(fd, text, 7 + n, true) && all(fd, text, 10, false) && text[1] == 0;
}

/* A connection to HOST that way. Return: its descriptor, or -1. */
static int reach(const char *way)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
	const char *colon = strchr(way, ':');
	int fd;

	if (strcmp(way, "addr") == 0)
		to = known;
	else if (colon)
		to.sin_port = htons((uint16_t)number(colon + 1, 65535));
	else if (!look_up(&to))
		return -1;
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -1;
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){ 1 }, sizeof(int));
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &(struct timeval){ .tv_sec = 10 },
			 sizeof(struct timeval));
	if (connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0 ||
	    (way[0] == 'h' && !ask_http(fd)) || (way[0] == 's' && !ask_socks(fd))) {
		int why = errno;

		(void)close(fd); /* it is of no use */
		errno = why;
		return -1;
	}
	return fd;
}

static bool request(int fd, char op, uint64_t n)
{
	char text[REQUEST] = { op };

	memcpy(text + 1, &n, sizeof(n));
	return all(fd, text, sizeof(text), true);
}

/* One new connection and one byte back. Return: nanoseconds, or -1. */
static int64_t ping(const char *way)
{
	int64_t start = now();
	int fd = reach(way);
	char byte;
	bool ok;

	if (fd < 0)
		return failed("connect");
	ok = request(fd, 'P', 0) && all(fd, &byte, 1, false);
	start = now() - start;
	if (!ok)
		(void)failed("no answer");
	/* what comes after it is the end, and whoever closes later has no TIME_WAIT */
	while (ok && recv(fd, &byte, 1, 0) > 0)
		;
	(void)close(fd);
	return ok ? start : -1;
}

static int64_t stream(const char *way, bool up, uint64_t bytes)
{
	int fd = reach(way);
	uint64_t left = bytes;
	int64_t start = now();
	ssize_t n = 0;
	char byte;

	if (fd < 0)
		return failed("connect");
	if (!request(fd, up ? 'U' : 'D', bytes))
		goto broken;
	while (left > 0) {
		size_t most = left < BLOCK ? left : BLOCK;

		n = up ? send(fd, block, most, MSG_NOSIGNAL) : recv(fd, block, most, 0);
		if (n <= 0)
			goto broken;
		left -= (uint64_t)n;
	}
	if (up && !all(fd, &byte, 1, false))
		goto broken;
	start = now() - start;
	(void)close(fd);
	return start;
broken:
	(void)failed("stream");
	(void)close(fd);
	return -1;
}

/* --- loads of several threads --- */

static struct load {
	const char *way;
	int64_t end;
	_Atomic long made;
	_Atomic bool broken;
	char problem[ERROR_MAX];
} load;

static void *rate_thread(void *arg)
{
	(void)arg;
	while (now() < load.end && !load.broken) {
		if (ping(load.way) >= 0) {
			load.made++;
		} else {
			memcpy(load.problem, problem, sizeof(problem));
			load.broken = true;
		}
	}
	return NULL;
}

/* As many as can be, whatever becomes of them. */
static void *flood_thread(void *arg)
{
	(void)arg;
	while (now() < load.end) {
		if (ping(load.way) >= 0)
			load.made++;
	}
	return NULL;
}

/* Names, some of them refused. */
static void *names_thread(void *arg)
{
	static const unsigned char query[] = "\1\1\1\0\0\1\0\0\0\0\0\0\7refused\4test\0\0\1\0\1";
	struct sockaddr_in to = { .sin_family = AF_INET,
				  .sin_port = htons(53),
				  .sin_addr = { htonl(0xc6120001) } };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	char reply[512];

	(void)arg;
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &(struct timeval){ .tv_usec = 10000 },
			 sizeof(struct timeval));
	while (fd >= 0 && now() < load.end) {
		int i;

		for (i = 0; i < 32; i++)
			(void)sendto(fd, query, sizeof(query) - 1, MSG_DONTWAIT,
				     (struct sockaddr *)&to, sizeof(to));
		for (i = 0; i < 32 && recv(fd, reply, sizeof(reply), 0) > 0; i++)
			;
		if (i == 0)
			(void)usleep(1000); /* nobody answers here */
	}
	(void)close(fd);
	return NULL;
}

static long run_threads(const char *way, long threads, long ms, void *(*body)(void *), bool names)
{
	pthread_t t[THREADS_MAX + 1];
	long n = 0;
	int64_t start = now();

	load.way = way;
	load.end = start + ms * 1000000;
	load.made = 0;
	load.broken = false;
	for (; n < threads; n++) {
		if (pthread_create(&t[n], NULL, body, NULL))
			die("pthread_create");
	}
	if (names && pthread_create(&t[n++], NULL, names_thread, NULL))
		die("pthread_create");
	while (n > 0)
		(void)pthread_join(t[--n], NULL); /* can't fail for a thread that is ours */
	if (load.broken) {
		memcpy(problem, load.problem, sizeof(problem));
		return -1;
	}
	return (long)((double)load.made * 1e9 / (double)(now() - start));
}

static void answer(const char *text, int64_t n)
{
	if (n < 0)
		printf("%s\n", problem);
	else
		printf("%s%lld\n", text, (long long)n);
}

static long flood(const char *way, long ms)
{
	int held[HELD], n = 0;
	long made;

	while (n < HELD && (held[n] = reach(way)) >= 0)
		n++;
	answer("", n);
	(void)fflush(stdout); /* the next line would fail, too */
	made = run_threads(way, 4, ms, flood_thread, true);
	while (n > 0)
		(void)close(held[--n]); /* nothing was said on it */
	return made;
}

static void command(char *line)
{
	static int64_t times[TIMES];
	char *at = NULL, *what = strtok_r(line, " \n", &at);
	const char *way = strtok_r(NULL, " \n", &at), *one = strtok_r(NULL, " \n", &at),
		   *two = strtok_r(NULL, " \n", &at);
	int64_t end;
	long n, count;

	if (!way || !one) {
		errno = EINVAL;
		die("command");
	}
	if (strcmp(way, "addr") == 0 && !known.sin_port && !look_up(&known)) {
		answer("", failed("no such name"));
	} else if (strcmp(what, "stream") == 0) {
		answer("", stream(way, strcmp(one, "up") == 0, (uint64_t)number(two, INT32_MAX)));
	} else if (strcmp(what, "rate") == 0) {
		answer("", run_threads(way, number(one, THREADS_MAX), number(two, 60000),
				       rate_thread, false));
	} else if (strcmp(what, "flood") == 0) {
		answer("", flood(way, number(one, 60000)));
	} else if (strcmp(what, "connect") == 0) {
		count = number(one, TIMES);
		end = now() + number(two, 60000) * 1000000;
		for (n = 0; n < count && now() < end; n++) {
			times[n] = ping(way);
			if (times[n] < 0) {
				answer("", -1);
				return;
			}
		}
		for (long i = 0; i < n; i++)
			printf("%lld%c", (long long)times[i], i + 1 < n ? ' ' : '\n');
	} else {
		errno = EINVAL;
		die(what);
	}
}

int main(int argc, char **argv)
{
	char line[256];

	if (argc < 4) {
		errno = EINVAL;
		die("usage: netload server ADDRESS PORT | client HOST PORT | idle HOST PORT WAY");
	}
	(void)signal(SIGPIPE, SIG_IGN); /* can't fail for this one */
	many_files();
	host = argv[2];
	port = (uint16_t)number(argv[3], 65535);
	if (strcmp(argv[1], "server") == 0)
		server(argv[2], port);
	if (strcmp(argv[1], "idle") == 0 && argc > 4) {
		if (ping(argv[4]) < 0)
			die(problem);
		printf("idle\n");
		if (fflush(stdout))
			die("stdout");
		for (;;)
			(void)pause(); /* until a signal ends it */
	}
	while (fgets(line, sizeof(line), stdin)) {
		command(line);
		if (fflush(stdout))
			die("stdout");
	}
	return 0;
}
