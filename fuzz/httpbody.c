/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The first byte says how the body is framed, the second how long it is, the third how it comes in pieces. Whole, in pieces, and read by a
 * reference that has all bytes at once, it ends at the same byte, has the same content, and is refused alike.
 */
#include <errno.h>
#include <strings.h>

#include "fuzz.h"
#include "http/http.h"

enum ref { REF_MORE, REF_DONE, REF_BAD };

struct text {
	const char *p;
	size_t n, i;
	bool cr; /* a CR is the last byte */
};

/* The next line without its CR LF, or what there is of it. */
static enum ref ref_line(struct text *t, char *out, size_t max)
{
	size_t n = 0;

	for (; t->i + n < t->n; n++) {
		if (t->p[t->i + n] == '\r') {
			t->cr = t->i + n + 1 == t->n;
			if (t->cr)
				break;
			if (t->p[t->i + n + 1] != '\n')
				return REF_BAD;
			memcpy(out, t->p + t->i, n);
			out[n] = '\0';
			t->i += n + 2;
			return REF_DONE;
		}
		if (strchr("\n\x7f", t->p[t->i + n]) || n + 1 >= max ||
		    ((unsigned char)t->p[t->i + n] < ' ' && t->p[t->i + n] != '\t'))
			return REF_BAD;
	}
	memcpy(out, t->p + t->i, n);
	out[n] = '\0';
	return REF_MORE;
}

/* Whether @s is a trailer, or with @part the beginning of one. */
static bool ref_trailer(const char *s, bool part)
{
	static const char *const names[] = { "authorization:",
					     "connection:",
					     "content-length:",
					     "cookie:",
					     "expect:",
					     "host:",
					     "keep-alive:",
					     "proxy-authorization:",
					     "proxy-connection:",
					     "set-cookie:",
					     "te:",
					     "trailer:",
					     "transfer-encoding:",
					     "upgrade:" };
	size_t n = strspn(
		       s,
		       "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"),
	       i;

	for (i = 0; i < ARRAY_SIZE(names); i++) {
		if (strncasecmp(s, names[i], strlen(names[i])) == 0)
			return false;
	}
	return (part && s[n] == '\0') || (n > 0 && s[n] == ':');
}

static enum ref ref_chunked(struct text *t, struct buf *content)
{
	char line[HTTP_HEAD_MAX + 16];
	size_t size, trailers = 0, start, n;
	enum ref r;

	for (;;) {
		r = ref_line(t, line, sizeof(line));
		n = strspn(line, "0123456789abcdefABCDEF");
		if (r == REF_BAD || line[n] || n > 16 || (n == 0 && r == REF_DONE))
			return REF_BAD;
		if (n == 16 && line[0] > '7')
			return REF_BAD;
		if (r == REF_MORE)
			return n > 0 || t->i == t->n ? REF_MORE : REF_BAD;
		size = strtoull(line, NULL, 16);
		if (size == 0)
			break;
		n = t->n - t->i < size ? t->n - t->i : size;
		buf_add(content, t->p + t->i, n);
		t->i += n;
		if (n < size || t->i == t->n)
			return REF_MORE;
		if (t->p[t->i] != '\r' || (t->i + 1 < t->n && t->p[t->i + 1] != '\n'))
			return REF_BAD;
		if (t->i + 1 == t->n)
			return REF_MORE;
		t->i += 2;
	}
	for (start = t->i;; trailers++) {
		r = ref_line(t, line, sizeof(line));
		if (r == REF_BAD || (*line && (trailers == HTTP_FIELDS ||
					       !ref_trailer(line, r == REF_MORE && !t->cr))))
			return REF_BAD;
		if ((r == REF_MORE ? t->n : t->i) - start > HTTP_HEAD_MAX)
			return REF_BAD;
		if (r == REF_MORE || !*line)
			return r;
	}
}

/* The same bytes in pieces of @most and less, each in memory of its own. Return: as http_body_step(). */
static ssize_t in_pieces(const struct http_head *h, const char *p, size_t n, size_t most,
			 bool *done)
{
	struct http_body b;
	size_t i = 0, k, turn = 0;
	char *piece;
	ssize_t r = 0;

	http_body_begin(&b, h);
	r = http_body_step(&b, NULL, 0, done, NULL);
	while (r >= 0 && !*done && i < n) {
		k = 1 + turn++ * 7 % most;
		k = k < n - i ? k : n - i;
		piece = malloc(k);
		FUZZ_REQUIRE(piece);
		memcpy(piece, p + i, k);
		r = http_body_step(&b, piece, k, done, NULL);
		free(piece);
		FUZZ_REQUIRE(r <= (ssize_t)k && (r < 0 || *done || r == (ssize_t)k));
		i += r < 0 ? 0 : (size_t)r;
	}
	return r < 0 ? r : (ssize_t)i;
}

static ssize_t by_content(const struct http_head *h, const char *p, size_t n, struct buf *content,
			  bool *done, struct err *e)
{
	struct http_slice part;
	struct http_body b;
	size_t i = 0;
	ssize_t r;

	http_body_begin(&b, h);
	do {
		r = http_body_read(&b, p + i, n - i, &part, done, e);
		if (r < 0)
			return r;
		FUZZ_REQUIRE(
			part.len <= (size_t)r &&
			(part.len == 0 || (part.p >= p + i && part.p + part.len <= p + i + r)));
		buf_add(content, part.p, part.len);
		i += (size_t)r;
	} while (!*done && i < n);
	return (ssize_t)i;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf got = BUF_INIT(1 << 20), want = BUF_INIT(1 << 20);
	struct http_head h = { .framing = HTTP_BODY_NONE };
	bool done = false, again = false;
	struct err e = ERR_INIT;
	struct text t = { NULL, 0, 0, false };
	enum ref ref;
	ssize_t r;

	if (size < 3 || size > (1 << 17))
		return 0;
	h.framing = (enum http_framing)(data[0] & 3);
	h.length = h.framing == HTTP_BODY_LENGTH ? data[1] : 0;
	t.p = (const char *)data + 3;
	t.n = size - 3;
	r = by_content(&h, t.p, t.n, &got, &done, &e);
	FUZZ_REQUIRE((r < 0) == (e.code != ERR_NONE) && (r >= 0 || r == -EBADMSG));
	FUZZ_REQUIRE(in_pieces(&h, t.p, t.n, 1u + data[2] % 64 + t.n / 256, &again) == r &&
		     (r < 0 || again == done));
	if (h.framing == HTTP_BODY_CHUNKED) {
		ref = ref_chunked(&t, &want);
		FUZZ_REQUIRE((ref == REF_BAD) == (r < 0));
		FUZZ_REQUIRE(r < 0 || (ref == REF_DONE) == done);
		FUZZ_REQUIRE(r < 0 || r == (ssize_t)(done ? t.i : t.n));
		FUZZ_REQUIRE(r < 0 ||
			     (got.len == want.len &&
			      (got.len == 0 || memcmp(got.data, want.data, got.len) == 0)));
	} else {
		t.i = h.framing == HTTP_BODY_CLOSE || t.n < h.length ? t.n : (size_t)h.length;
		FUZZ_REQUIRE(r == (ssize_t)t.i && got.len == t.i);
		FUZZ_REQUIRE(done == (h.framing != HTTP_BODY_CLOSE && t.i == h.length));
	}
	buf_done(&got);
	buf_done(&want);
	return 0;
}
