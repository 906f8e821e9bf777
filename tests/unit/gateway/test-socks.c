/* SPDX-License-Identifier: Apache-2.0 */
/* What SOCKS clients say, by socks.table, and what they are answered. */
#include <errno.h>
#include <fcntl.h>
#define TAP_NO_MAIN
#include "bytes.h"
#include "gateway/socks.h"
#include "tap.h"

struct line {
	char kind;
	struct buf want, bytes;
};

static int read_request(const unsigned char *p, size_t n, char *out, size_t size)
{
	struct socks_request q = { .host = "untouched" };
	char addr[NET_ADDR_TEXT];
	struct err e = ERR_INIT;
	int r = socks_request(&q, p, n, &e);

	CHECK((r == -EINVAL) == (e.code != ERR_NONE));
	if (r < 0) {
		CHECK_STR(q.host, "untouched");
		return r;
	}
	net_addr_text(&q.addr, addr);
	if (q.host[0])
		snprintf(out, size, " %s:%u", q.host, q.port);
	else
		snprintf(out, size, " [%s]:%u", addr, q.port);
	return r;
}

static int read_any(char kind, const unsigned char *p, size_t n, char *out, size_t size)
{
	const unsigned char *user = NULL, *password = NULL;
	size_t user_len = 0, password_len = 0;
	bool none = false, pw = false;
	int r;

	*out = '\0';
	switch (kind) {
	case 'g':
		r = socks_greeting(p, n, &none, &pw);
		snprintf(out, size, "%s%s", none ? " none" : "", pw ? " password" : "");
		return r;
	case 'a':
		r = socks_auth(p, n, &user, &user_len, &password, &password_len);
		if (r >= 0)
			snprintf(out, size, " '%.*s' '%.*s'", (int)user_len, (const char *)user,
				 (int)password_len, (const char *)password);
		return r;
	default:
		return read_request(p, n, out, size);
	}
}

static void check_line(const void *arg)
{
	const struct line *l = arg;
	const unsigned char *p = (const unsigned char *)l->bytes.data;
	char what[600], got[700];
	size_t n = l->bytes.len, i;
	int r = read_any(l->kind, p, n, what, sizeof(what)), part;

	if (r >= 0)
		snprintf(got, sizeof(got), "%d%s", r, what);
	else
		snprintf(got, sizeof(got), "%s%s", r == -EAGAIN ? "more" : strerrorname_np(-r),
			 what);
	CHECK_STR(got, l->want.data);
	for (i = 0; i <= n; i++) {
		part = read_any(l->kind, p, i, what, sizeof(what));
		CHECK(part == r || (part == -EAGAIN && (r < 0 || i < (size_t)r)));
	}
}

static void check_reply(const void *arg)
{
	unsigned char out[SOCKS_REPLY];

	(void)arg;
	CHECK(socks_reply(SOCKS_OK, out) == 10 && memcmp(out, "\5\0\0\1\0\0\0\0\0\0", 10) == 0);
	CHECK(socks_reply(SOCKS_NO_ADDRESS_TYPE, out) == 10 &&
	      memcmp(out, "\5\x8\0\1\0\0\0\0\0\0", 10) == 0);
}

int main(int argc, char **argv)
{
	struct table t;
	char *s;

	if (argc < 2)
		return 1;
	table_open(&t, argv[1]);
	while ((s = table_next(&t))) {
		char *want = strchr(s, '|'), *bytes = want ? strchr(want + 1, '|') : NULL, *end;
		struct line l = { *s, BUF_INIT(1 << 16), BUF_INIT(1 << 16) };

		if (!bytes || !strchr("gar", *s))
			table_die(&t, "expected KIND | WHAT IT IS | BYTES");
		for (end = bytes++, want += 2; end > want && end[-1] == ' '; end--)
			;
		buf_add(&l.want, want, (size_t)(end - want));
		bytes_read(&t, &l.bytes, bytes, '\0');
		if (!l.bytes.data)
			buf_puts(&l.bytes, "");
		tap_run(check_line, &l, NULL, "socks.table:%d: %.70s", t.line, s);
		buf_done(&l.want);
		buf_done(&l.bytes);
	}
	tap_run(check_reply, NULL, NULL, "replies");
	return tap_done();
}
