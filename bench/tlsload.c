/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Client and server of bench/inspection.py: HTTP/1.1 over TLS, without an interpreter.
 *
 *   tlsload server ADDRESS PORT CHAIN KEY   a thread for each connection
 *   tlsload client PORT                     reads a command a line, answers with a line: nanoseconds, or "error: ..."
 *
 *   connect WAY HOST COUNT MS     -> how long each new connection took, from nothing to the last byte of an answer of one byte; at most MS in all
 *   request WAY HOST COUNT MS     -> the same of requests on one connection
 *   stream WAY HOST down|up BYTES -> how long the body took, from its request to the last byte
 *
 * WAY: "addr" looks HOST up once, "name" each time, "http:PORT" asks a proxy at 127.0.0.1 for it (CONNECT). The client trusts what SSL_CERT_FILE says, checks the
 * name, and resumes no session. A request is GET /BYTES or POST /BYTES.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define BLOCK (64u << 10)
#define HEAD_MAX 4096u
#define TIMES 100000
#define ERROR_MAX 200

static char block[BLOCK];
static SSL_CTX *ctx;
static uint16_t port;
static char problem[ERROR_MAX];
static char said[60]; /* how an answer began that was none */

static void die(const char *what)
{
	fprintf(stderr, "tlsload: %s: %s\n", what, strerror(errno));
	ERR_print_errors_fp(stderr);
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

static bool read_all(SSL *ssl, long n)
{
	char own[BLOCK];

	while (n > 0) {
		int got = SSL_read(ssl, own, n < (long)sizeof(own) ? (int)n : (int)sizeof(own));

		if (got <= 0)
			return false;
		n -= got;
	}
	return true;
}

static bool write_all(SSL *ssl, long n)
{
	while (n > 0) {
		int put = SSL_write(ssl, block, n < (long)BLOCK ? (int)n : (int)BLOCK);

		if (put <= 0)
			return false;
		n -= put;
	}
	return true;
}

/* One head, byte after byte of what TLS has decrypted already. Return: its length, or -1. */
static int read_head(SSL *ssl, char *head)
{
	int n = 0;

	while (n < (int)HEAD_MAX - 1 && SSL_read(ssl, head + n, 1) == 1) {
		head[++n] = '\0';
		if (n >= 4 && memcmp(head + n - 4, "\r\n\r\n", 4) == 0)
			return n;
	}
	return -1;
}

static long length_of(const char *head)
{
	const char *field = strcasestr(head, "\r\ncontent-length:");

	return field ? strtol(field + 17, NULL, 10) : -1;
}

/* A line, without its end. Return: whether it came. */
static bool read_line(SSL *ssl, char *line, int size)
{
	int n = 0;

	while (n < size - 1 && SSL_read(ssl, line + n, 1) == 1) {
		line[++n] = '\0';
		if (n >= 2 && line[n - 2] == '\r' && line[n - 1] == '\n') {
			line[n - 2] = '\0';
			return true;
		}
	}
	return false;
}

/* What proxies make of a length. Return: the bytes of the content, or -1. */
static long read_chunks(SSL *ssl)
{
	char line[128];
	long total = 0, n;

	while (read_line(ssl, line, sizeof(line))) {
		n = strtol(line, NULL, 16);
		if (n < 0 || !read_all(ssl, n) || !read_line(ssl, line, sizeof(line)) || *line)
			return -1;
		if (n == 0)
			return total;
		total += n;
	}
	return -1;
}

/* --- server --- */

/* Return: whether the connection goes on. */
static bool serve_one(SSL *ssl)
{
	char head[HEAD_MAX], text[200];
	bool post, last;
	long n;
	int len = read_head(ssl, head);

	if (len < 0)
		return false;
	post = head[0] == 'P';
	last = strcasestr(head, "\r\nconnection: close") != NULL;
	n = strtol(strchr(head, '/') + 1, NULL, 10);
	if (post && !read_all(ssl, length_of(head)))
		return false;
	n = post ? 1 : n;
	len = snprintf(
		text, sizeof(text),
		"HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\n%sContent-Length: %ld\r\n\r\n%s",
		last ? "Connection: close\r\n" : "", n, n == 1 ? "x" : "");
	/* a short answer is one record, as servers do it */
	return SSL_write(ssl, text, len) == len && (n == 1 || write_all(ssl, n)) && !last;
}

static void *serve(void *arg)
{
	int fd = (int)(intptr_t)arg;
	SSL *ssl = SSL_new(ctx);

	if (ssl && SSL_set_fd(ssl, fd) == 1 && SSL_accept(ssl) == 1) {
		while (serve_one(ssl))
			;
		(void)SSL_shutdown(ssl); /* who has gone needs no word */
	}
	SSL_free(ssl);
	ERR_clear_error();
	(void)close(fd); /* its end is the answer */
	return NULL;
}

static void server(char *const *argv)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(port) };
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), fd;
	pthread_attr_t attr;
	pthread_t t;

	ctx = SSL_CTX_new(TLS_server_method());
	if (!ctx || SSL_CTX_use_certificate_chain_file(ctx, argv[2]) != 1 ||
	    SSL_CTX_use_PrivateKey_file(ctx, argv[3], SSL_FILETYPE_PEM) != 1)
		die(argv[2]);
	if (inet_pton(AF_INET, argv[0], &to.sin_addr) != 1 || listener < 0 ||
	    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &(int){ 1 }, sizeof(int)) < 0 ||
	    bind(listener, (struct sockaddr *)&to, sizeof(to)) < 0 || listen(listener, 4096) < 0)
		die(argv[0]);
	if (pthread_attr_init(&attr) || pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED))
		die("pthread_attr");
	printf("ready\n");
	if (fflush(stdout))
		die("stdout");
	for (;;) {
		fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
		if (fd < 0)
			continue;
		(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){ 1 }, sizeof(int));
		if (pthread_create(&t, &attr, serve, (void *)(intptr_t)fd))
			(void)close(fd); /* the client sees that */
	}
}

/* --- client --- */

static int64_t failed(const char *what)
{
	unsigned long tls = ERR_get_error();
	char text[120] = "";

	if (tls)
		ERR_error_string_n(tls, text, sizeof(text));
	(void)snprintf(problem, sizeof(problem), "error: %s: %s%s%s", what,
		       tls ? text : strerror(errno), *said ? ", " : "", said);
	ERR_clear_error();
	return -1;
}

static bool look_up(const char *host, struct sockaddr_in *ret)
{
	const struct addrinfo hints = { .ai_family = AF_INET, .ai_socktype = SOCK_STREAM };
	struct addrinfo *found = NULL;

	if (getaddrinfo(host, NULL, &hints, &found) || !found) {
		errno = EHOSTUNREACH;
		return false;
	}
	memcpy(ret, found->ai_addr, sizeof(*ret));
	ret->sin_port = htons(port);
	freeaddrinfo(found);
	return true;
}

static bool ask_http(int fd, const char *host)
{
	const char *auth =
		getenv("NETLOAD_AUTH"); /* NAME:PASSWORD in base64, for a proxy that wants it */
	char text[1024];
	int n = snprintf(text, sizeof(text), "CONNECT %s:%u HTTP/1.1\r\nHost: %s:%u\r\n%s%s%s\r\n",
			 host, port, host, port, auth ? "Proxy-Authorization: Basic " : "",
			 auth ? auth : "", auth ? "\r\n" : "");
	size_t have = 0;

	if (n >= (int)sizeof(text) || send(fd, text, (size_t)n, MSG_NOSIGNAL) != n)
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

/* A connection to @host that way. Return: its descriptor, or -1. */
static int reach(const char *way, const char *host)
{
	static struct sockaddr_in known;
	static char known_host[256];
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
	int fd;

	if (way[0] == 'h') {
		to.sin_port = htons((uint16_t)number(strchr(way, ':') + 1, 65535));
	} else if (way[0] == 'a' && strcmp(host, known_host) == 0) {
		to = known;
	} else {
		if (!look_up(host, &to))
			return -1;
		known = to;
		(void)snprintf(known_host, sizeof(known_host), "%s", host);
	}
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -1;
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){ 1 }, sizeof(int));
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &(struct timeval){ .tv_sec = 20 },
			 sizeof(struct timeval));
	if (connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0 ||
	    (way[0] == 'h' && !ask_http(fd, host))) {
		int why = errno;

		(void)close(fd); /* it is of no use */
		errno = why;
		return -1;
	}
	return fd;
}

static SSL *open_tls(const char *way, const char *host)
{
	int fd = reach(way, host);
	SSL *ssl = NULL;

	if (fd < 0) {
		(void)failed("connect");
		return NULL;
	}
	ssl = SSL_new(ctx);
	if (ssl && SSL_set_fd(ssl, fd) == 1 && SSL_set_tlsext_host_name(ssl, host) == 1 &&
	    SSL_set1_host(ssl, host) == 1 && SSL_connect(ssl) == 1)
		return ssl;
	(void)failed("TLS");
	SSL_free(ssl);
	(void)close(fd);
	return NULL;
}

static void close_tls(SSL *ssl)
{
	char byte;
	int fd = SSL_get_fd(ssl);

	/* what comes after it is the end, and whoever closes later has no TIME_WAIT */
	while (SSL_read(ssl, &byte, 1) > 0)
		;
	ERR_clear_error();
	SSL_free(ssl);
	(void)close(fd);
}

static bool ask(SSL *ssl, const char *host, bool up, long bytes, bool last)
{
	char head[HEAD_MAX];
	int n = snprintf(head, sizeof(head), "%s /%ld HTTP/1.1\r\nHost: %s:%u\r\n%s",
			 up ? "POST" : "GET", bytes, host, port,
			 last ? "Connection: close\r\n" : "");
	const long want = up ? 1 : bytes;

	n += snprintf(head + n, sizeof(head) - (size_t)n,
		      up ? "Content-Length: %ld\r\n\r\n" : "\r\n", bytes);
	if (SSL_write(ssl, head, n) != n || (up && !write_all(ssl, bytes)) ||
	    read_head(ssl, head) < 0)
		return false;
	errno = EPROTO;
	if (strncmp(head, "HTTP/1.1 200", 12) != 0) {
		(void)snprintf(said, sizeof(said), "%.*s", (int)strcspn(head, "\r\n"), head);
		return false;
	}
	if (strcasestr(head, "\r\ntransfer-encoding: chunked\r\n"))
		return read_chunks(ssl) == want;
	return length_of(head) == want && read_all(ssl, want);
}

static int64_t connect_once(const char *way, const char *host)
{
	const int64_t start = now();
	SSL *ssl = open_tls(way, host);
	int64_t end;
	bool ok;

	if (!ssl)
		return -1;
	ok = ask(ssl, host, false, 1, true);
	end = now();
	if (!ok)
		(void)failed("no answer");
	close_tls(ssl);
	return ok ? end - start : -1;
}

static int64_t stream(const char *way, const char *host, bool up, long bytes)
{
	SSL *ssl = open_tls(way, host);
	int64_t start = now();
	bool ok;

	if (!ssl)
		return -1;
	ok = ask(ssl, host, up, bytes, true);
	start = now() - start;
	if (!ok)
		(void)failed("stream");
	close_tls(ssl);
	return ok ? start : -1;
}

static void say(const int64_t *times, long n)
{
	for (long i = 0; i < n; i++)
		printf("%lld%c", (long long)times[i], i + 1 < n ? ' ' : '\n');
	if (n == 0)
		printf("%s\n", problem);
}

static void command(char *line)
{
	static int64_t times[TIMES];
	char *at = NULL, *what = strtok_r(line, " \n", &at);
	const char *way = strtok_r(NULL, " \n", &at), *host = strtok_r(NULL, " \n", &at),
		   *one = strtok_r(NULL, " \n", &at), *two = strtok_r(NULL, " \n", &at);
	SSL *kept = NULL;
	int64_t end, start;
	long n, count;

	if (!what || !way || !host || !one || !two) {
		errno = EINVAL;
		die("command");
	}
	if (strcmp(what, "stream") == 0) {
		times[0] = stream(way, host, strcmp(one, "up") == 0, number(two, INT32_MAX));
		say(times, times[0] >= 0);
		return;
	}
	count = number(one, TIMES);
	end = now() + number(two, 60000) * 1000000;
	if (strcmp(what, "request") == 0) {
		kept = open_tls(way, host);
		/* the first belongs to the connection */
		if (!kept || !ask(kept, host, false, 1, false)) {
			if (kept)
				(void)failed("no answer");
			count = 0;
		}
	}
	for (n = 0; n < count && now() < end; n++) {
		start = now();
		if (!kept) {
			times[n] = connect_once(way, host);
		} else {
			times[n] = ask(kept, host, false, 1, false) ? now() - start :
								      failed("no answer");
		}
		if (times[n] < 0) {
			n = 0;
			break;
		}
	}
	if (kept) {
		(void)SSL_shutdown(kept); /* the server ends, too */
		close_tls(kept);
	}
	say(times, n);
}

int main(int argc, char **argv)
{
	char line[512];

	if (argc < 3) {
		errno = EINVAL;
		die("usage: tlsload server ADDRESS PORT CHAIN KEY | client PORT");
	}
	(void)signal(SIGPIPE, SIG_IGN); /* can't fail for this one */
	if (strcmp(argv[1], "server") == 0 && argc == 6) {
		port = (uint16_t)number(argv[3], 65535);
		server((char *[]){ argv[2], argv[3], argv[4], argv[5] });
	}
	port = (uint16_t)number(argv[2], 65535);
	ctx = SSL_CTX_new(TLS_client_method());
	if (!ctx || SSL_CTX_set_default_verify_paths(ctx) != 1)
		die("SSL_CTX_new");
	SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
	(void)SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	while (fgets(line, sizeof(line), stdin)) {
		command(line);
		if (fflush(stdout))
			die("stdout");
	}
	return 0;
}
