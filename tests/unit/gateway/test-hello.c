/* SPDX-License-Identifier: Apache-2.0 */
/* ClientHellos: those of hello.table, made ones and those that programs sent. */
#include <errno.h>
#include <fcntl.h>
#define TAP_NO_MAIN
#include "bytes.h"
#include "gateway/hello.h"
#include "tap.h"

struct line {
	const char *want;
	struct buf bytes;
};

static void check_line(const void *arg)
{
	const struct line *l = arg;
	const unsigned char *p = (const unsigned char *)l->bytes.data;
	size_t n = l->bytes.len, i, least = n;
	struct hello h, part;
	char got[400];
	int r = hello_parse(&h, p, n);

	if (r == 0)
		snprintf(got, sizeof(got), "ok%s%s%s%s%s", h.sni[0] ? " sni=" : "", h.sni,
			 h.ech ? " ech" : "", h.alpn_h2 ? " h2" : "", h.alpn_http1 ? " http1" : "");
	else
		snprintf(got, sizeof(got), "%s",
			 r == -EAGAIN  ? "more" :
			 r == -EBADMSG ? "refused" :
					 "?");
	CHECK_STR(got, l->want);
	/* Bytes one by one: it asks for more until it is sure, and then it stays so. */
	for (i = n; i-- > 0 && hello_parse(&part, p, i) != -EAGAIN;)
		least = i;
	for (i = 0; i < n && i < least; i++)
		CHECK(hello_parse(&part, p, i) == -EAGAIN);
	for (i = least; i <= n; i++)
		CHECK(hello_parse(&part, p, i) == r);
	for (i = 1; i <= n && r == 0; i++)
		CHECK(hello_looks_like(p, i));
}

static void check_looks_like(const void *arg)
{
	(void)arg;
#define LOOKS(s) hello_looks_like((const unsigned char *)(s), sizeof(s) - 1)
	CHECK(LOOKS("\x16") && LOOKS("\x16\x03") && LOOKS("\x16\x03\x01\x00\x05\x01"));
	CHECK(!LOOKS("G") && !LOOKS("\x13\x03\x01") && !LOOKS("\x19\x03\x01") &&
	      !LOOKS("\x16\x10"));
	CHECK(!LOOKS("\x16\x03\x01\x00\x05\x02") && LOOKS("\x16\x03\x01\x40\x00\x01"));
	CHECK(!LOOKS("\x16\x03\x01\x40\x01\x01") && !LOOKS("\x16\x01\x00\x00\x00\x01"));
	/* what servers take, though nobody should send it */
	CHECK(LOOKS("\x16\x03\x05\x00\x05\x01") && LOOKS("\x16\x00\x00\x00\x05\x01"));
	CHECK(LOOKS("\x16\x03\x01\x00\x00\x16") && LOOKS("\x15\x03\x01\x00\x02\x02"));
	CHECK(LOOKS("\x15\x00\x00\x00\x02\x01") && !LOOKS("\x15\x00\x00\x00\x02\x02"));
	CHECK(LOOKS("\x80\x2e\x01\x03\x01") && !LOOKS("\x80\x2e\x02") &&
	      !LOOKS("\x80\x2e\x01\x00"));
}

/* The longest one that is read, and one byte more. */
static void check_longest(const void *arg)
{
	static unsigned char text[HELLO_MAX + 1] = { 0x16, 3, 1, 0x40, 0, 1, 0, 0x3f, 0xf7, 3, 3 };
	size_t exts = HELLO_MAX - 5 - 4 - 2 - 32 - 1 - 4 - 2 - 2;
	struct hello h;

	(void)arg;
	text[3] = (HELLO_MAX - 5) >> 8;
	text[4] = (HELLO_MAX - 5) & 255;
	text[45] = 2; /* suites */
	text[48] = 1; /* compressions */
	text[50] = (unsigned char)(exts >> 8);
	text[51] = (unsigned char)exts;
	text[53] = 21; /* padding */
	text[54] = (unsigned char)((exts - 4) >> 8);
	text[55] = (unsigned char)(exts - 4);
	CHECK(hello_parse(&h, text, HELLO_MAX - 1) == -EAGAIN);
	CHECK(hello_parse(&h, text, HELLO_MAX) == 0);
	CHECK(hello_parse(&h, text, HELLO_MAX + 1) == 0);
	text[8]++;
	CHECK(hello_parse(&h, text, 16) == -EBADMSG);
}

int main(int argc, char **argv)
{
	struct table t;
	char *s;

	if (argc < 3)
		return 1;
	table_open(&t, argv[1]);
	while ((s = table_next(&t))) {
		char *bar = strchr(s, '|'), *end, name[100], path[LIMIT_PATH];
		struct line l = { .want = s, .bytes = BUF_INIT(1 << 20) };
		int fd;

		snprintf(name, sizeof(name), "%s", s);
		if (!bar)
			table_die(&t, "expected WHAT IT IS | BYTES");
		for (end = bar++; end > s && end[-1] == ' '; end--)
			;
		*end = '\0';
		if (sscanf(bar, " file %90s", name) == 1) {
			snprintf(path, sizeof(path), "%s/%s", argv[2], name);
			fd = open(path, O_RDONLY | O_CLOEXEC);
			if (fd < 0 || fd_read_all(fd, &l.bytes) < 0)
				table_die(&t, path);
			close(fd);
		} else {
			bytes_read(&t, &l.bytes, bar, '\0');
		}
		if (!l.bytes.data)
			buf_puts(&l.bytes, "");
		tap_run(check_line, &l, NULL, "hello.table:%d: %.70s", t.line, name);
		buf_done(&l.bytes);
	}
	tap_run(check_looks_like, NULL, NULL, "what looks like one");
	tap_run(check_longest, NULL, NULL, "the longest one");
	return tap_done();
}
