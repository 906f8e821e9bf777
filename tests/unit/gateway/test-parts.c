/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of the gateway that need no network: names, hashes, the log, the caller's proxies. */
#include "tap.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <sys/stat.h>

#include <netinet/in.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "../../../src/gateway/confine.h"
#include "../../../src/gateway/conn.h"
#include "../../../src/gateway/names.h"
#include "../../../src/gateway/ssh.h"
#include "gateway/gateway.h"

TEST(sha256_of_known_texts)
{
	static const struct {
		const char *text, *sum;
	} rows[] = {
		{ "", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" },
		{ "abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" },
		{ "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
		  "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1" },
		{ "abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmnoijklmnopjklmnopqklmnopqrlmnopqrsmnopqrstnopqrstu",
		  "cf5b16a778af8380036ce59e7b0492370b249b11e8f07a51afac45037afee9d1" },
	};
	static char million[1000000];
	char sum[2 * SHA256_SIZE + 1];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		sha256_hex(rows[i].text, strlen(rows[i].text), sum);
		CHECK_STR(sum, rows[i].sum);
	}
	memset(million, 'a', sizeof(million));
	sha256_hex(million, sizeof(million), sum);
	CHECK_STR(sum, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

static struct names_kept kept; /* each test is a process */

TEST(a_name_keeps_its_address_and_nobody_else_gets_it)
{
	struct names n;
	struct net_addr a, b;
	char host[32], text[NET_ADDR_TEXT];
	unsigned int i;

	REQUIRE(names_init(&n, &kept) == 0);
	CHECK(names_find(&n, "one.test") == -ENOENT);
	for (i = 0; i < NAMES_MAX; i++) {
		(void)snprintf(host, sizeof(host), "h%u.test", i);
		REQUIRE(names_get(&n, host) == (int)i);
	}
	CHECK(names_get(&n, "one-more.test") == -ENOSPC);
	CHECK(names_find(&n, "one-more.test") == -ENOENT);
	for (i = 0; i < NAMES_MAX; i++) {
		(void)snprintf(host, sizeof(host), "h%u.test", i);
		CHECK(names_get(&n, host) == (int)i && names_find(&n, host) == (int)i);
		CHECK_STR(n.host[i], host);
		a = names_addr(i, false);
		b = names_addr(i, true);
		CHECK(net_addr_is_v4(&a) && !net_addr_is_v4(&b));
		CHECK(names_by_addr(&n, &a) == (int)i && names_by_addr(&n, &b) == (int)i);
	}
	a = names_addr(0, false);
	net_addr_text(&a, text);
	CHECK_STR(text, "198.18.0.2");
	a = names_addr(NAMES_MAX - 1, false);
	net_addr_text(&a, text);
	CHECK_STR(text, "198.18.32.1");
	names_done(&n);
}

TEST(addresses_of_no_name)
{
	static const struct {
		const char *text;
		int want;
	} rows[] = {
		{ "198.18.0.2", 0 },
		{ "198.18.0.3", -ENOENT },
		{ "198.18.0.0", -ENOENT },
		{ "198.18.0.1", -ENOENT },
		{ "198.19.0.2", -ENOENT },
		{ "198.17.0.2", -ERANGE },
		{ "198.20.0.2", -ERANGE },
		{ "8.8.8.8", -ERANGE },
		{ "fd62:6169:6c65:7900::2", 0 },
		{ "fd62:6169:6c65:7900::3", -ENOENT },
		{ "fd62:6169:6c65:7900::1:2", -ENOENT },
		{ "fd62:6169:6c65:7900:1::2", -ENOENT },
		{ "fd62:6169:6c65:7901::2", -ERANGE },
		{ "::1", -ERANGE },
	};
	struct net_addr a;
	struct names n;
	size_t i;

	REQUIRE(names_init(&n, &kept) == 0 && names_get(&n, "one.test") == 0);
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		REQUIRE(net_addr_parse(&a, rows[i].text, strlen(rows[i].text)));
		if (names_by_addr(&n, &a) != rows[i].want)
			FAIL("%s: %d", rows[i].text, names_by_addr(&n, &a));
	}
	names_done(&n);
}

TEST(names_outlive_their_gateway_when_they_can_be_believed)
{
	static struct names_kept good;
	struct names n;
	unsigned int i;
	char *const bad[] = { kept.host[0], kept.host[1], kept.host[2] };

	REQUIRE(names_init(&n, &kept) == 0);
	CHECK(names_get(&n, "one.test") == 0 && names_get(&n, "two.test") == 1 &&
	      names_get(&n, "three.test") == 2);
	names_done(&n);
	REQUIRE(names_init(&n, &kept) == 0);
	CHECK(n.n == 3 && names_find(&n, "two.test") == 1 && names_get(&n, "four.test") == 3);
	names_done(&n);
	good = kept;
	for (i = 0; i < ARRAY_SIZE(bad);
	     i++) { /* no name, twice the same, no end, another spelling */
		kept = good;
		bad[i][0] = '\n';
		CHECK(names_init(&n, &kept) == -EBADMSG);
		kept = good;
		memcpy(bad[i], "four.test", sizeof("four.test"));
		CHECK(names_init(&n, &kept) == -EBADMSG);
		kept = good;
		memset(bad[i], 'a', sizeof(kept.host[0]));
		CHECK(names_init(&n, &kept) == -EBADMSG);
		kept = good;
		bad[i][0] = 'T';
		CHECK(names_init(&n, &kept) == -EBADMSG);
	}
	kept = good;
	kept.n = NAMES_MAX + 1;
	CHECK(names_init(&n, &kept) == -EBADMSG);
}

/* --- the log --- */

struct place {
	char path[64];
	int dir, heads, log[2], head;
};

static void open_place(struct place *p)
{
	struct err e = ERR_INIT;

	(void)snprintf(p->path, sizeof(p->path), "/var/tmp/bailey-unit-XXXXXX");
	REQUIRE(mkdtemp(p->path));
	p->dir = open(p->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	REQUIRE(p->dir >= 0 && mkdirat(p->dir, "heads", 0700) == 0);
	p->heads = openat(p->dir, "heads", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	REQUIRE(audit_open(p->dir, p->heads, "0123456789", p->log, &p->head, &e) == 0);
}

static void close_place(struct place *p)
{
	(void)unlinkat(p->dir, "log.0", 0);
	(void)unlinkat(p->dir, "log.1", 0);
	(void)unlinkat(p->heads, "0123456789", 0);
	(void)unlinkat(p->dir, "heads", AT_REMOVEDIR);
	CHECK(rmdir(p->path) == 0);
}

static int count_line(void *arg, const struct audit_line *line)
{
	(void)line;
	(*(unsigned int *)arg)++;
	return 0;
}

/* Lines that are there; @ret_why of what is wrong. */
static unsigned int read_place(const struct place *p, const char **ret_why)
{
	struct err e = ERR_INIT;
	unsigned int n = 0;
	uint64_t bad = 0;

	CHECK(audit_read(p->dir, p->heads, "0123456789", count_line, &n, &bad, ret_why, &e) == 0);
	CHECK(!*ret_why == !bad);
	return n;
}

static void write_lines(struct audit *a, unsigned int n)
{
	struct audit_event ev = { .event = "deny",
				  .via = "captured",
				  .host = "one.test",
				  .port = 443,
				  .proto = "tcp",
				  .decision = "deny",
				  .reason = "no \"rule\"\n\x1b[31m" };

	while (n-- > 0) {
		a->lines = 0; /* of this second */
		audit_write(a, &ev);
	}
}

TEST(a_log_is_followed_to_its_end)
{
	struct place p = { .dir = -1 };
	struct audit a;
	const char *why;

	open_place(&p);
	CHECK(read_place(&p, &why) == 0 && !why);
	REQUIRE(audit_begin(&a, p.log, p.head) == 0);
	write_lines(&a, 5);
	CHECK(read_place(&p, &why) == 5 && !why);
	/* another process goes on */
	REQUIRE(audit_begin(&a, p.log, p.head) == 0);
	CHECK(a.seq == 5);
	write_lines(&a, 5);
	CHECK(read_place(&p, &why) == 10 && !why);
	close_place(&p);
}

TEST(control_characters_are_escaped)
{
	char text[4096];
	struct place p = { .dir = -1 };
	struct audit a;
	ssize_t n, i;

	open_place(&p);
	REQUIRE(audit_begin(&a, p.log, p.head) == 0);
	write_lines(&a, 1);
	n = pread(p.log[0], text, sizeof(text), 0);
	REQUIRE(n > 0 && text[n - 1] == '\n');
	for (i = 0; i < n - 1; i++)
		CHECK(text[i] >= 0x20 && text[i] != 0x7f);
	close_place(&p);
}

TEST(a_kill_between_log_and_head_loses_nothing)
{
	char head[AUDIT_HEAD];
	struct place p = { .dir = -1 };
	struct audit a;
	const char *why;

	open_place(&p);
	REQUIRE(audit_begin(&a, p.log, p.head) == 0);
	write_lines(&a, 3);
	REQUIRE(pread(p.head, head, sizeof(head), 0) == (ssize_t)sizeof(head));
	write_lines(&a, 1);
	REQUIRE(pwrite(p.head, head, sizeof(head), 0) == (ssize_t)sizeof(head));
	CHECK(read_place(&p, &why) == 4 && !why);
	REQUIRE(audit_begin(&a, p.log, p.head) == 0);
	CHECK(a.seq == 4);
	write_lines(&a, 1);
	CHECK(read_place(&p, &why) == 5 && !why);
	close_place(&p);
}

TEST(what_was_tampered_with_is_found)
{
	static char good[8192], bad[8192];
	struct place p = { .dir = -1 };
	struct audit a;
	const char *why;
	ssize_t n, i;

	open_place(&p);
	REQUIRE(audit_begin(&a, p.log, p.head) == 0);
	write_lines(&a, 4);
	n = pread(p.log[0], good, sizeof(good), 0);
	REQUIRE(n > 0 && n < (ssize_t)sizeof(good));
	for (i = 0; i < n; i++) { /* any byte */
		memcpy(bad, good, (size_t)n);
		bad[i] ^= 1;
		REQUIRE(ftruncate(p.log[0], 0) == 0 && write(p.log[0], bad, (size_t)n) == n);
		(void)read_place(&p, &why);
		if (!why)
			FAIL("byte %zd was changed, and nobody saw it", i);
	}
	for (i = 0; i < n; i++) { /* cut off anywhere */
		REQUIRE(ftruncate(p.log[0], 0) == 0 && write(p.log[0], good, (size_t)i) == i);
		(void)read_place(&p, &why);
		if (!why)
			FAIL("cut off at %zd, and nobody saw it", i);
	}
	for (i = 1; i < n; i++) { /* the beginning is gone */
		REQUIRE(ftruncate(p.log[0], 0) == 0 &&
			write(p.log[0], good + i, (size_t)(n - i)) == n - i);
		(void)read_place(&p, &why);
		if (!why)
			FAIL("begins at %zd, and nobody saw it", i);
	}
	REQUIRE(ftruncate(p.log[0], 0) == 0 && write(p.log[0], good, (size_t)n) == n);
	CHECK(read_place(&p, &why) == 4 && !why);
	close_place(&p);
}

/* Change a line and make its own hash right again; the lines behind it, or the head, know the old one. */
TEST(a_line_that_was_forged_with_its_hash_is_found)
{
	static char good[8192], bad[8192];
	struct place p = { .dir = -1 };
	struct audit a;
	const char *why;
	ssize_t n;
	int forged;

	open_place(&p);
	REQUIRE(audit_begin(&a, p.log, p.head) == 0);
	write_lines(&a, 4);
	n = pread(p.log[0], good, sizeof(good), 0);
	REQUIRE(n > 0 && n < (ssize_t)sizeof(good));
	for (forged = 0; forged < 4; forged++) {
		char sum[2 * SHA256_SIZE + 1], *line = bad, *end, *hash;
		int i;

		memcpy(bad, good, (size_t)n);
		for (i = 0; i < forged; i++)
			line = strchr(line, '\n') + 1;
		end = strchr(line, '\n');
		hash = end - 2 - (ssize_t)sizeof(sum) + 1;
		memcpy(strstr(line, "one.test"), "two.test", strlen("two.test"));
		sha256_hex(line, (size_t)(hash - strlen(",\"hash\":\"") - line), sum);
		memcpy(hash, sum, sizeof(sum) - 1);
		REQUIRE(ftruncate(p.log[0], 0) == 0 && write(p.log[0], bad, (size_t)n) == n);
		CHECK(read_place(&p, &why) == 4); /* each is a line by itself */
		if (!why)
			FAIL("line %d was forged, and nobody saw it", forged + 1);
	}
	close_place(&p);
}

/* Another character in the first line of the log @name. */
static void flip(int dir, const char *name)
{
	const int fd = openat(dir, name, O_RDWR | O_CLOEXEC); /* the log's own can only append */
	char c;

	REQUIRE(fd >= 0 && pread(fd, &c, 1, 7) == 1);
	c ^= 1;
	REQUIRE(pwrite(fd, &c, 1, 7) == 1 && close(fd) == 0);
}

TEST(a_log_is_bounded_and_goes_on_in_the_other_file)
{
	struct place p = { .dir = -1 };
	struct audit a;
	const char *why;
	unsigned int n;

	open_place(&p);
	REQUIRE(audit_begin(&a, p.log, p.head) == 0);
	while (a.seq < 10 || a.at == 0) {
		a.size = a.at == 0 && a.seq == 9 ? LIMIT_AUDIT : a.size; /* full */
		write_lines(&a, 1);
	}
	CHECK(a.at == 1 && a.seq == 10);
	n = read_place(&p, &why);
	CHECK(n == 10 && !why);
	REQUIRE(audit_begin(&a, p.log, p.head) == 0); /* another process goes on */
	a.size = LIMIT_AUDIT;
	write_lines(&a, 1); /* the first file is emptied for it */
	CHECK(a.at == 0);
	n = read_place(&p, &why);
	CHECK(n == 2 && !why);
	for (n = 0; n < 2; n++) { /* the older file, and the one that goes on */
		flip(p.dir, n == 0 ? "log.1" : "log.0");
		(void)read_place(&p, &why);
		CHECK(why);
		flip(p.dir, n == 0 ? "log.1" : "log.0");
	}
	(void)read_place(&p, &why);
	CHECK(!why);
	REQUIRE(ftruncate(p.log[1], 0) == 0);
	(void)read_place(&p, &why);
	CHECK(why && strstr(why, "beginning"));
	close_place(&p);
}

/* A writer that is as fast as reading is slow: at the first line the log goes on in its other file, twice. */
struct fast {
	struct audit *a;
	unsigned int n;
};

static int write_meanwhile(void *arg, const struct audit_line *line)
{
	struct fast *f = arg;
	int i;

	(void)line;
	for (i = 0; f->n == 0 && i < 2; i++) {
		f->a->size = LIMIT_AUDIT; /* full */
		write_lines(f->a, 1);
	}
	f->n++;
	return 0;
}

TEST(a_log_that_goes_on_while_it_is_read_is_whole)
{
	struct place p = { .dir = -1 };
	struct err e = ERR_INIT;
	struct audit a;
	struct fast f = { .a = &a };
	const char *why;
	uint64_t bad = 0;

	open_place(&p);
	REQUIRE(audit_begin(&a, p.log, p.head) == 0);
	write_lines(&a, 3);
	a.size = LIMIT_AUDIT;
	write_lines(&a, 3);
	CHECK(audit_read(p.dir, p.heads, "0123456789", write_meanwhile, &f, &bad, &why, &e) == 0);
	CHECK(a.seq == 8 && f.n == 6 && !why);
	close_place(&p);
}

TEST(a_flood_is_counted)
{
	struct audit_event ev = { .event = "deny" };
	struct place p = { .dir = -1 };
	struct audit a;
	unsigned int i;
	uint64_t seq;

	open_place(&p);
	REQUIRE(audit_begin(&a, p.log, p.head) == 0);
	for (i = 0; i < 100000; i++)
		audit_write(&a, &ev);
	CHECK(a.seq < 20000 && a.seq + a.dropped >= 99000);
	/* those of the last second, too, which no other line follows */
	REQUIRE(a.dropped > 0);
	seq = a.seq;
	audit_end(&a);
	CHECK(a.dropped == 0 && a.seq == seq + 1);
	audit_end(&a);
	CHECK(a.seq == seq + 1);
	close_place(&p);
}

/* --- the caller's proxies --- */

TEST(proxies_as_people_write_them)
{
	static const struct {
		const char *text, *host, *auth;
		unsigned int port;
		int want;
	} rows[] = {
		{ "http://proxy.test:3128", "proxy.test", "", 3128, 0 },
		{ "http://proxy.test", "proxy.test", "", 80, 0 },
		{ "proxy.test:8080/", "proxy.test", "", 8080, 0 },
		{ "HTTP://Proxy.Test.", "proxy.test", "", 80, 0 },
		{ "http://127.0.0.1:9", "", "", 9, 0 },
		{ "http://[::1]:9", "", "", 9, 0 },
		{ "http://u:p@proxy.test:1", "proxy.test", "dTpw", 1, 0 },
		{ "http://u%40x:p%3a@proxy.test:1", "proxy.test", "dUB4OnA6", 1, 0 },
		{ "http://u@proxy.test:1", "proxy.test", "dTo=", 1, 0 },
		{ "", "", "", 0, 0 },
		{ NULL, "", "", 0, 0 },
		{ "https://proxy.test", "", "", 0, -EINVAL },
		{ "socks5://proxy.test", "", "", 0, -EINVAL },
		{ "http://proxy.test:0", "", "", 0, -EINVAL },
		{ "http://proxy.test:70000", "", "", 0, -EINVAL },
		{ "http://proxy.test:x", "", "", 0, -EINVAL },
		{ "http://proxy.test/path", "", "", 0, -EINVAL },
		{ "http://u:%0d%0a@proxy.test", "", "", 0, -EINVAL },
		{ "http://u:%4@proxy.test", "", "", 0, -EINVAL },
		{ "http://", "", "", 0, -EINVAL },
		{ "http://pro xy.test", "", "", 0, -EINVAL },
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		struct upstream u;
		struct err e = ERR_INIT;
		int r = upstream_parse(&u, rows[i].text, NULL, NULL, &e);

		if (r != rows[i].want || (r == 0 && u.http.port != rows[i].port))
			FAIL("%s: %d, port %u", rows[i].text, r, u.http.port);
		if (r == 0) {
			CHECK_STR(u.http.host, rows[i].host);
			CHECK_STR(u.http.auth, rows[i].auth);
		} else {
			CHECK(strstr(e.msg, "HTTP_PROXY") && !strstr(e.msg, "%0d"));
		}
	}
}

TEST(no_proxy_as_curl_reads_it)
{
	static const struct {
		const char *no, *host, *addr;
		unsigned int port;
		bool proxied;
	} rows[] = {
		{ "", "one.test", NULL, 443, true },
		{ "*", "one.test", NULL, 443, false },
		{ "one.test", "one.test", NULL, 443, false },
		{ "one.test", "a.one.test", NULL, 443, false },
		{ "one.test", "aone.test", NULL, 443, true },
		{ ".one.test", "a.one.test", NULL, 443, false },
		{ "*.one.test", "a.one.test", NULL, 443, false },
		{ "two.test, one.test", "one.test", NULL, 443, false },
		{ "one.test:8080", "one.test", NULL, 443, true },
		{ "one.test:443", "one.test", NULL, 443, false },
		{ "10.0.0.0/8", NULL, "10.1.2.3", 443, false },
		{ "10.0.0.0/8", NULL, "11.1.2.3", 443, true },
		{ "10.1.2.3", NULL, "10.1.2.3", 443, false },
		{ "2001:db8::1", NULL, "2001:db8::1", 443, false },
		{ "2001:db8::1", NULL, "2001:db8::2", 443, true },
		{ "[2001:db8::1]:80", NULL, "2001:db8::1", 443, true },
		{ "[2001:db8::1]:443", NULL, "2001:db8::1", 443, false },
		{ "2001:db8::/32", NULL, "2001:db8::2", 443, false },
		{ "", NULL, "127.1.2.3", 443, false }, /* it would be the proxy's own */
		{ "", NULL, "::1", 443, false },
		{ "garbage/,,/8,%", "one.test", NULL, 443, true },
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		struct net_addr a = { { 0 } };
		struct upstream u;
		struct err e = ERR_INIT;

		REQUIRE(upstream_parse(&u, NULL, "http://proxy.test:1", rows[i].no, &e) == 0);
		REQUIRE(!rows[i].addr || net_addr_parse(&a, rows[i].addr, strlen(rows[i].addr)));
		if (!upstream_for(&u, rows[i].host, &a, (uint16_t)rows[i].port, true) ==
		    rows[i].proxied)
			FAIL("'%s': %s", rows[i].no, rows[i].host ? rows[i].host : rows[i].addr);
	}
}

/* --- a gateway that was taken over --- */

/* The filter is loaded for real, and a sanitizer's own calls would be refused: the build without one has these. */
#ifndef __SANITIZE_ADDRESS__

static int pipes[2];
static pid_t self;

static int result(int r)
{
	return r < 0 ? errno : 0;
}

static int signal_by_descriptor(void)
{
	return result(fcntl(pipes[0], F_SETOWN, self));
}

static int set_signal(void)
{
	return result(fcntl(pipes[0], F_SETSIG, SIGKILL));
}

static int pipe_size(void)
{
	return result(fcntl(pipes[0], F_SETPIPE_SZ, 4096));
}

static int tcp_socket(void)
{
	return result(socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
}

static int udp_socket(void)
{
	return result(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
}

static int raw_socket(void)
{
	return result(socket(AF_INET, SOCK_RAW, IPPROTO_ICMP));
}

static int ping_socket(void)
{
	return result(socket(AF_INET, SOCK_DGRAM, IPPROTO_ICMP));
}

static int unix_socket(void)
{
	return result(socket(AF_UNIX, SOCK_STREAM, 0));
}

static int take_port(void)
{
	const struct sockaddr_in at = { .sin_family = AF_INET };

	return result(
		bind(socket(AF_INET, SOCK_STREAM, 0), (const struct sockaddr *)&at, sizeof(at)));
}

static int open_file(void)
{
	return result(open("/etc/passwd", O_RDONLY | O_CLOEXEC));
}

static int make_code(void)
{
	void *p = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		return errno;
	(void)munmap(p, 4096);
	return 0;
}

TEST(what_a_gateway_that_was_taken_over_can_do)
{
	static const struct {
		const char *name;
		int (*try)(void);
		int want; /* 0, an errno, or a signal below 0 */
	} rows[] = {
		{ "F_SETOWN", signal_by_descriptor, EPERM },
		{ "F_SETSIG", set_signal, EPERM },
		{ "F_SETPIPE_SZ", pipe_size, 0 },
		{ "TCP", tcp_socket, 0 },
		{ "UDP", udp_socket, 0 },
		{ "raw", raw_socket, EAFNOSUPPORT },
		{ "ping", ping_socket, EAFNOSUPPORT },
		{ "unix", unix_socket, EAFNOSUPPORT },
		{ "bind", take_port, -SIGSYS },
		{ "open", open_file, -SIGSYS },
		{ "code", make_code, -SIGSYS },
	};
	size_t i;

	self = getpid();
	REQUIRE(pipe2(pipes, O_CLOEXEC) == 0);
	CHECK(signal_by_descriptor() == 0 && unix_socket() == 0 && take_port() == 0 &&
	      open_file() == 0); /* without the filter */
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		int status = 0, got;
		pid_t pid = fork();

		REQUIRE(pid >= 0);
		if (pid == 0) {
			struct err e = ERR_INIT;

			_exit(confine_gateway((uid_t)-1, (gid_t)-1, &e) < 0 ? 255 : rows[i].try());
		}
		REQUIRE(waitpid(pid, &status, 0) == pid);
		got = WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
		if (got != rows[i].want)
			FAIL("%s: %d", rows[i].name, got);
	}
}

#endif

/* The text of a refusal, read as a client does. @out: SSH_REFUSAL bytes */
static void read_refusal(const unsigned char *p, size_t n, char *out)
{
	static const char hello[] = "SSH-2.0-policy_refusal\r\n";
	size_t h = sizeof(hello) - 1, size, padding, text;

	REQUIRE(n > h + 18 && memcmp(p, hello, h) == 0);
	p += h;
	n -= h;
	size = (size_t)p[0] << 24 | (size_t)p[1] << 16 | (size_t)p[2] << 8 | p[3];
	padding = p[4];
	REQUIRE(size + 4 == n && n % 8 == 0 && padding >= 4 && padding < size);
	CHECK(p[5] == 1 && p[6] == 0 && p[9] == 1); /* disconnect: not allowed to connect */
	text = (size_t)p[12] << 8 | p[13];
	REQUIRE(text + 4 + 1 + 4 + 4 + 1 + padding == size);
	memcpy(out, p + 14, text);
	out[text] = '\0';
}

TEST(a_refusal_in_the_words_of_ssh)
{
	unsigned char out[SSH_REFUSAL] = { 0 };
	char text[SSH_REFUSAL], given[2 * SSH_REFUSAL];
	size_t i;

	read_refusal(out, ssh_refusal("use https", out), text);
	CHECK_STR(text, "use https");
	read_refusal(out, ssh_refusal("a\r\nb\x1b[31m\x7f\xc2\x9b\xff\xc3\xbc", out), text);
	CHECK_STR(text, "a  b [31m   \xc3\xbc");
	for (i = 0; i < sizeof(given) - 1; i++) { /* every length, so every padding */
		given[i] = 'x';
		given[i + 1] = '\0';
		read_refusal(out, ssh_refusal(given, out), text);
		CHECK(strlen(text) == (i + 1 < SSH_REFUSAL_TEXT ? i + 1 : SSH_REFUSAL_TEXT));
	}
	memcpy(given + SSH_REFUSAL_TEXT - 1, "\xc3\xbc", 3);
	read_refusal(out, ssh_refusal(given, out), text);
	CHECK(strlen(text) == SSH_REFUSAL_TEXT - 1); /* no half of a character */
}
