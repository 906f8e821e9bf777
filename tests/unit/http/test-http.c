/* SPDX-License-Identifier: Apache-2.0 */
/* The table of heads, bodies and targets, and what it can't say: questions about fields, writing, bytes one by one. */
#include <errno.h>
#include <inttypes.h>
#define TAP_NO_MAIN
#include "http/http.h"
#include "table.h"
#include "tap.h"

struct line {
	char kind[16], arg[32];
	unsigned long long length;
	struct buf want, bytes;
};

/* The bytes that the notation of the table stands for. */
static void unescape(const struct table *t, struct buf *b, const char *s, const char *end)
{
	static const char from[] = "rnts0\\", to[] = "\r\n\t \0\\";
	const char *found, *close;
	char *at, hex[3];
	long n;

	while (s < end) {
		n = *s == '@' ? strtol(s + 1, &at, 10) : 0;
		if (*s == '^') {
			buf_puts(b, "\r\n");
			s++;
		} else if (n > 0 && *at == '*') {
			close = memchr(at, '@', (size_t)(end - at));
			if (!close)
				table_die(t, "expected @N*X@");
			while (close && n-- > 0)
				unescape(t, b, at + 1, close);
			s = close ? close + 1 : end;
		} else if (*s == '\\' && s[1] == 'x') {
			snprintf(hex, sizeof(hex), "%.2s", s + 2);
			buf_add(b, &(char){ (char)strtol(hex, &at, 16) }, 1);
			if (at != hex + 2)
				table_die(t, "expected \\xNN");
			s += 4;
		} else if (*s == '\\') {
			found = strchr(from, s[1]);
			if (!found)
				table_die(t, "unknown escape");
			buf_add(b, found ? &to[found - from] : "", 1);
			s += 2;
		} else {
			buf_add(b, s++, 1);
		}
	}
}

static void parse_line(struct line *l, const struct table *t, char *s)
{
	char *want = strchr(s, '|'), *bytes = want ? strchr(want + 1, '|') : NULL, *end;
	char length[32] = "";

	*l = (struct line){ .want = BUF_INIT(1 << 20), .bytes = BUF_INIT(1 << 20) };
	if (!bytes || sscanf(s, "%15s %31[^ |] %31[^ |]", l->kind, l->arg, length) < 1) {
		table_die(t, "expected KIND ARGUMENT | WHAT IT IS | BYTES");
		return;
	}
	l->length = strtoull(length, NULL, 10);
	for (end = bytes, want += 2; end > want && end[-1] == ' '; end--)
		;
	unescape(t, &l->want, want, end);
	bytes += bytes[1] == ' ' ? 2 : 1;
	unescape(t, &l->bytes, bytes, bytes + strlen(bytes));
	if (!l->bytes.data)
		buf_puts(&l->bytes, "");
}

static void add_slice(struct buf *b, const char *before, struct http_slice s)
{
	buf_puts(b, before);
	buf_add(b, s.p, s.len);
}

static void describe_head(struct buf *b, const struct http_head *h)
{
	static const char *const framings[] = { "none", "length", "chunked", "until-close" };

	if (h->status)
		buf_printf(b, "%d ", h->status);
	buf_puts(b, framings[h->framing]);
	if (h->framing == HTTP_BODY_LENGTH)
		buf_printf(b, " %" PRIu64, h->length);
	else
		CHECK(h->length == 0);
	buf_puts(b, h->keep_alive ? " keep" : " close");
	buf_puts(b, h->upgrade ? " upgrade" : "");
	buf_puts(b, h->expect_continue ? " continue" : "");
	buf_printf(b, " fields=%zu", h->n);
	if (h->host.p)
		add_slice(b, " host=", h->host);
}

static void describe_refusal(struct buf *b, int r, const struct err *e)
{
	if (r == -EAGAIN) {
		CHECK(e->code == ERR_NONE);
		buf_puts(b, "more");
		return;
	}
	CHECK(e->code == ERR_USAGE && e->sys == -r && strlen(e->msg) > 5);
	buf_printf(b, "%s %s", r == -EBADMSG ? "400" : r == -E2BIG ? "431" : "?", e->msg);
}

static int parse_head(const struct line *l, struct http_head *h, size_t n, struct err *e)
{
	*e = (struct err)ERR_INIT;
	if (strcmp(l->kind, "request") == 0)
		return http_request_parse(h, l->bytes.data, n, e);
	return http_response_parse(h, l->bytes.data, n, http_slice(l->arg), e);
}

static void do_head(const struct line *l, struct buf *got)
{
	struct http_head h;
	struct err e;
	size_t scan = 0, n;
	ssize_t end = -EAGAIN;
	int r = parse_head(l, &h, l->bytes.len, &e);

	if (r < 0)
		describe_refusal(got, r, &e);
	else
		describe_head(got, &h);
	if (r == 0)
		CHECK(h.len <= l->bytes.len &&
		      memcmp(l->bytes.data + h.len - 4, "\r\n\r\n", 4) == 0);
	/* One byte after the other. */
	for (n = 0; n <= l->bytes.len && end == -EAGAIN; n++)
		end = http_head_end(&scan, l->bytes.data, n, &e);
	CHECK(r != 0 || end == (ssize_t)h.len);
	CHECK((r == -EAGAIN) == (end == -EAGAIN));
	if (r == 0) {
		for (n = h.len < 300 ? 0 : h.len - 300; n < h.len; n++)
			CHECK(parse_head(l, &h, n, &e) == -EAGAIN);
	}
}

static void do_body(const struct line *l, struct buf *got)
{
	struct http_head h = { .framing = HTTP_BODY_NONE, .length = l->length };
	struct buf content = BUF_INIT(1 << 20);
	struct http_slice part;
	struct err e = ERR_INIT;
	struct http_body b;
	bool done = false;
	size_t i = 0;
	ssize_t r = 0;

	if (strcmp(l->arg, "length") == 0)
		h.framing = HTTP_BODY_LENGTH;
	else if (strcmp(l->arg, "chunked") == 0)
		h.framing = HTTP_BODY_CHUNKED;
	else if (strcmp(l->arg, "close") == 0)
		h.framing = HTTP_BODY_CLOSE;
	http_body_begin(&b, &h);
	do {
		r = http_body_read(&b, l->bytes.data + i, l->bytes.len - i, &part, &done, &e);
		if (r < 0)
			break;
		i += (size_t)r;
		buf_add(&content, part.p, part.len);
	} while (!done && i < l->bytes.len);
	if (r < 0) {
		describe_refusal(got, (int)r, &e);
		CHECK(http_body_step(&b, "", 0, &done, &e) == -EBADMSG);
	} else {
		buf_printf(got, "%zu %s \"", i, done ? "done" : "more");
		buf_add(got, content.data, content.len);
		buf_puts(got, "\"");
	}
	http_body_begin(&b, &h);
	CHECK(http_body_step(&b, l->bytes.data, l->bytes.len, &done, &e) ==
	      (r < 0 ? r : (ssize_t)i));
	buf_done(&content);
}

static void do_target(const struct line *l, struct buf *got)
{
	static const char *const forms[] = { "origin", "absolute", "authority", "asterisk" };
	struct http_slice text = { l->bytes.data, l->bytes.len };
	bool whole = strcmp(l->kind, "target") == 0;
	struct http_target t;
	struct err e = ERR_INIT;
	int r = whole ? http_target_parse(&t, http_slice(l->arg), text, &e) :
			http_authority_parse(&t, text, &e);

	if (r < 0) {
		describe_refusal(got, r, &e);
		return;
	}
	if (whole)
		buf_puts(got, forms[t.form]);
	if (t.scheme)
		buf_printf(got, " %s", t.scheme);
	if (t.host.len > 0) {
		add_slice(got, t.bracketed ? " [" : whole ? " " : "", t.host);
		buf_puts(got, t.bracketed ? "]" : "");
	}
	if (t.port > 0)
		buf_printf(got, ":%u", t.port);
	if (t.path.len > 0)
		add_slice(got, " ", t.path);
}

/* Whether the reason of a refusal is in @text. By itself, because compilers can't know how long the texts of a table are. */
static bool __attribute__((noinline)) says(const char *text, const char *want)
{
	return strlen(text) > 4 && strlen(want) > 4 && strstr(text + 4, want + 4);
}

static void check_line(const void *arg)
{
	const struct line *l = arg;
	struct buf got = BUF_INIT(1 << 20);
	const char *want = l->want.data, *text;
	bool refusal = strncmp(want, "400 ", 4) == 0 || strncmp(want, "431 ", 4) == 0;

	if (strcmp(l->kind, "request") == 0 || strcmp(l->kind, "response") == 0)
		do_head(l, &got);
	else if (strcmp(l->kind, "body") == 0)
		do_body(l, &got);
	else if (strcmp(l->kind, "target") == 0 || strcmp(l->kind, "authority") == 0)
		do_target(l, &got);
	else
		FAIL("unknown kind %s", l->kind);
	text = got.data ? got.data : "";
	if (*text == ' ')
		text++;
	if (refusal && strncmp(text, want, 4) == 0)
		text = says(text, want) ? want : text;
	CHECK_STR(text, want);
	buf_done(&got);
}

static void run_table(const char *path)
{
	struct table t;
	struct line l;
	char *s;

	table_open(&t, path);
	while ((s = table_next(&t))) {
		char name[100];

		snprintf(name, sizeof(name), "%.60s", s);
		parse_line(&l, &t, s);
		tap_run(check_line, &l, NULL, "http.table:%d: %s", t.line, name);
		buf_done(&l.want);
		buf_done(&l.bytes);
	}
}

static void check_fields(const void *arg)
{
	static const char text[] =
		"GET / HTTP/1.1\r\nHost: a\r\nConnection: x-one, close\r\nX-One: 1\r\nX-Two: 2\r\n"
		"Connection: ,X-TWO,\r\nx-two: 3\r\nProxy-Anything: 4\r\nProxy-: 5\r\nTE: 6\r\n"
		"Trailer: 7\r\nTransfer-Encoding: chunked\r\nUpgrade: 8\r\nKeep-Alive: 9\r\n"
		"X-On: 10\r\nTEA: 11\r\nProxy: 12\r\n\r\n";
	static const bool hop[] = { false, true, true, true, true, true,  true,  false,
				    true,  true, true, true, true, false, false, false };
	struct err e = ERR_INIT;
	struct http_head h;
	size_t i;

	(void)arg;
	REQUIRE(http_request_parse(&h, text, strlen(text), &e) == 0 && h.n == ARRAY_SIZE(hop));
	for (i = 0; i < h.n; i++) {
		if (http_hop_by_hop(&h, i) != hop[i])
			FAIL("field %zu", i);
	}
	CHECK(http_is(http_field_find(&h, "x-two"), "2"));
	CHECK(http_field_find(&h, "x-three").p == NULL && http_field_find(&h, "").p == NULL);
	CHECK(http_token_in(http_slice("a, B ,c"), "b") && http_token_in(http_slice("b"), "b"));
	CHECK(!http_token_in(http_slice("a b, bb, b;q=1, \"b\""), "b"));
	CHECK(!http_token_in(http_slice(""), "b") && !http_token_in(http_slice(" ,, "), ""));
	CHECK(http_is(http_slice("AZ@[`{"), "az@[`{") && !http_is(http_slice("a"), "ab"));
	CHECK(!http_is(http_slice("@"), "`") && !http_is(http_slice("\r"), "-"));
}

static void check_write(const void *arg)
{
	struct http_head h = { .framing = HTTP_BODY_LENGTH, .length = UINT64_MAX };
	struct buf b = BUF_INIT(4096);

	(void)arg;
	http_write_request(&b, http_slice("GET"), http_slice("/x?y"));
	http_write_field(&b, "Host", http_slice("a"));
	http_write_framing(&b, &h);
	h.framing = HTTP_BODY_CHUNKED;
	http_write_framing(&b, &h);
	h.framing = HTTP_BODY_NONE;
	http_write_framing(&b, &h);
	h.framing = HTTP_BODY_CLOSE;
	http_write_framing(&b, &h);
	http_write_end(&b);
	http_write_status(&b, 431, (struct http_slice){ NULL, 0 });
	http_write_status(&b, 299, (struct http_slice){ NULL, 0 });
	http_write_status(&b, 200, http_slice("Fine \xe4"));
	CHECK(!b.failed);
	CHECK_STR(
		b.data,
		"GET /x?y HTTP/1.1\r\nHost: a\r\nContent-Length: 18446744073709551615\r\n"
		"Transfer-Encoding: chunked\r\n\r\n"
		"HTTP/1.1 431 Request Header Fields Too Large\r\nHTTP/1.1 299 \r\nHTTP/1.1 200 Fine \xe4\r\n");
	buf_done(&b);
	CHECK_STR(http_status_text(502), "Bad Gateway");
	CHECK_STR(http_status_text(0), "");
}

static void check_write_refused(const void *arg)
{
	static const struct http_slice values[] = {
		{ "a\r\nX: y", 7 }, { "\n", 1 }, { "a\0", 2 }, { "\x7f", 1 }
	};
	static const char *const names[] = { "", "X Y", "X:", "X\r\nY", "X\xe4" };
	static const char *const targets[] = { "", "/ HTTP/1.1\r\nX:", "/\xe4", "/#" };
	size_t i;

	(void)arg;
#define REFUSED(call)                          \
	do {                                   \
		struct buf b = BUF_INIT(4096); \
		call;                          \
		CHECK(b.failed &&b.len == 0);  \
		buf_done(&b);                  \
	} while (0)
	for (i = 0; i < ARRAY_SIZE(values); i++)
		REFUSED(http_write_field(&b, "X", values[i]));
	for (i = 0; i < ARRAY_SIZE(names); i++)
		REFUSED(http_write_field(&b, names[i], http_slice("y")));
	for (i = 0; i < ARRAY_SIZE(targets); i++)
		REFUSED(http_write_request(&b, http_slice("GET"), http_slice(targets[i])));
	REFUSED(http_write_request(&b, http_slice(""), http_slice("/")));
	REFUSED(http_write_request(&b, http_slice("G T"), http_slice("/")));
	REFUSED(http_write_status(&b, 99, http_slice("x")));
	REFUSED(http_write_status(&b, 1000, http_slice("x")));
	REFUSED(http_write_status(&b, 200, http_slice("x\r\n")));
}

/* Bytes of the worst head come one by one, and each is looked at once: with a search from the start each time this takes minutes. */
static void check_dribble(const void *arg)
{
	static char text[HTTP_HEAD_MAX];
	struct err e = ERR_INIT;
	size_t scan, n, i;
	ssize_t r = -EAGAIN;

	(void)arg;
	for (i = 0; i + 2 < sizeof(text); i += 3)
		memcpy(text + i, "a\r\n", 3);
	for (i = 0; i < 50; i++) {
		for (scan = n = 0; n < sizeof(text) - 2; n++) {
			r = http_head_end(&scan, text, n, &e);
			CHECK(r == -EAGAIN && scan == n);
		}
	}
	CHECK(http_head_end(&scan, text, sizeof(text), &e) == -E2BIG);
}

int main(int argc, char **argv)
{
	if (argc < 2)
		return 1;
	run_table(argv[1]);
	tap_run(check_fields, NULL, NULL, "questions about fields");
	tap_run(check_write, NULL, NULL, "heads are written");
	tap_run(check_write_refused, NULL, NULL,
		"what would be read as something else is not written");
	tap_run(check_dribble, NULL, NULL, "bytes one by one");
	return tap_done();
}
