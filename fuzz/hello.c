/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as a ClientHello. A reference that knows offsets instead of slices agrees; no part of one is one; the same message in other
 * records is the same; a new hello made of what was read says it again.
 */
#include "gateway/hello.h"

#include <errno.h>

#include "fuzz.h"

/* A position that has gone too far stays so, and reads zeros. */
struct ref {
	const unsigned char *p;
	size_t at, end;
	bool bad;
};

static size_t ref_number(struct ref *r, size_t width)
{
	size_t v = 0;

	for (; width > 0; width--, r->at++) {
		r->bad = r->bad || r->at >= r->end;
		v = v * 256 + (r->bad ? 0 : r->p[r->at]);
	}
	return v;
}

/* Where the vector that begins here ends. */
static size_t ref_vector(struct ref *r, size_t width)
{
	size_t n = ref_number(r, width);

	r->bad = r->bad || r->at + n > r->end;
	return r->bad ? r->end : r->at + n;
}

static void ref_extension(struct ref *r, size_t type, size_t end, struct hello *h,
			  unsigned int seen[3])
{
	size_t stop;

	if (type == 0) {
		stop = ref_vector(r, 2);
		r->bad |= seen[0]++ > 0 || stop != end || ref_number(r, 1) != 0;
		stop = ref_vector(r, 2);
		r->bad |= stop != end;
		if (!r->bad)
			r->bad = net_host_canon((const char *)r->p + r->at, end - r->at, h->sni,
						NULL) < 1;
	} else if (type == 16) {
		stop = ref_vector(r, 2);
		r->bad |= seen[1]++ > 0 || stop != end || r->at == end;
		while (!r->bad && r->at < end) {
			stop = ref_vector(r, 1);
			r->bad |= stop == r->at || stop > end;
			if (!r->bad && stop - r->at == 2 && memcmp(r->p + r->at, "h2", 2) == 0)
				h->alpn_h2 = true;
			if (!r->bad && stop - r->at == 8 &&
			    memcmp(r->p + r->at, "http/1.1", 8) == 0)
				h->alpn_http1 = true;
			r->at = stop;
		}
	} else if (type == 0xfe0d || type == 0xffce) {
		r->bad |= seen[2]++ > 0;
		h->ech = true;
	}
}

/* The message at @p without its header. */
static bool ref_hello(const unsigned char *p, size_t n, struct hello *h)
{
	struct ref r = { p, 0, n, false };
	unsigned int seen[3] = { 0 };
	size_t end, stop, type;

	r.bad = ref_number(&r, 2) / 256 != 3;
	r.at += 32;
	stop = ref_vector(&r, 1);
	r.bad |= stop > r.at + 32;
	r.at = stop;
	stop = ref_vector(&r, 2);
	r.bad |= stop < r.at + 2 || (stop - r.at) % 2;
	r.at = stop;
	stop = ref_vector(&r, 1);
	r.bad |= stop == r.at;
	r.at = stop;
	if (r.bad || r.at == n)
		return !r.bad;
	end = ref_vector(&r, 2);
	r.bad |= end != n;
	while (!r.bad && r.at < end) {
		type = ref_number(&r, 2);
		stop = ref_vector(&r, 2);
		if (!r.bad)
			ref_extension(&r, type, stop, h, seen);
		r.at = stop;
	}
	return !r.bad;
}

/* Joins the records. Return: 0 when a message ends with one of them, -EAGAIN, -EBADMSG. */
static int ref_message(const unsigned char *p, size_t n, struct buf *b)
{
	size_t at = 0, len, k;
	const unsigned char *m;

	for (;;) {
		m = (const unsigned char *)b->data;
		if (b->len > 0 && m[0] != 1)
			return -EBADMSG;
		len = b->len < 4 ? 4 : 4 + (size_t)(m[1] * 65536 + m[2] * 256 + m[3]);
		if (len > HELLO_MAX - 5 || b->len > len)
			return -EBADMSG;
		if (b->len == len && (at == n || b->len >= 4))
			return 0;
		for (k = 0; k < 5 && at + k < n; k++) {
			static const unsigned char least[] = { 22, 3, 0, 0, 0 },
						   most[] = { 22, 3, 4, 64, 255 };

			if (p[at + k] < least[k] || p[at + k] > most[k])
				return -EBADMSG;
		}
		len = n - at < 5 ? 1 : (size_t)(p[at + 3] * 256 + p[at + 4]);
		if (len == 0 || len > 16384)
			return -EBADMSG;
		if (n - at < 5)
			return -EAGAIN;
		at += 5;
		k = n - at < len ? n - at : len;
		if (k > 0)
			buf_add(b, p + at, k);
		at += k;
		if (k < len) {
			/* What is there of this record must not be too much already. */
			m = (const unsigned char *)b->data;
			if (b->len > 0 && m[0] != 1)
				return -EBADMSG;
			if (b->len < 4)
				return -EAGAIN;
			len = 4 + (size_t)(m[1] * 65536 + m[2] * 256 + m[3]);
			return len > HELLO_MAX - 5 || b->len > len ? -EBADMSG : -EAGAIN;
		}
	}
}

static bool same(const struct hello *a, const struct hello *b)
{
	return strcmp(a->sni, b->sni) == 0 && a->ech == b->ech && a->alpn_h2 == b->alpn_h2 &&
	       a->alpn_http1 == b->alpn_http1;
}

/* The same message in records of @size bytes. */
static void check_records(const struct hello *h, const struct buf *msg, size_t size)
{
	struct buf b = BUF_INIT(1 << 20);
	struct hello again;
	size_t i, n;

	for (i = 0; i < msg->len; i += n) {
		n = msg->len - i < size ? msg->len - i : size;
		buf_add(&b, ((char[]){ 22, 3, 1, (char)(n >> 8), (char)n }), 5);
		buf_add(&b, msg->data + i, n);
	}
	if (b.len <= HELLO_MAX)
		FUZZ_REQUIRE(hello_parse(&again, (const unsigned char *)b.data, b.len) == 0 &&
			     same(h, &again));
	else
		FUZZ_REQUIRE(hello_parse(&again, (const unsigned char *)b.data, b.len) == -EBADMSG);
	buf_done(&b);
}

static void put(struct buf *b, unsigned int v)
{
	buf_add(b, ((char[]){ (char)(v >> 8), (char)v }), 2);
}

/* A hello of our own that says the same. */
static void check_again(const struct hello *h)
{
	struct buf exts = BUF_INIT(4096), b = BUF_INIT(8192);
	unsigned int n = (unsigned int)strlen(h->sni), alpn;
	static const char zeros[32];
	struct hello again;

	if (h->ech) {
		put(&exts, 0xfe0d);
		put(&exts, 0);
	}
	alpn = (h->alpn_h2 ? 3u : 0) + (h->alpn_http1 ? 9u : 0);
	if (alpn > 0) {
		put(&exts, 16);
		put(&exts, alpn + 2);
		put(&exts, alpn);
		buf_puts(&exts, h->alpn_http1 ? "\x08http/1.1" : "");
		buf_puts(&exts, h->alpn_h2 ? "\x02h2" : "");
	}
	if (n > 0) {
		put(&exts, 0);
		put(&exts, n + 5);
		put(&exts, n + 3);
		buf_add(&exts, "", 1);
		put(&exts, n);
		buf_puts(&exts, h->sni);
	}
	buf_add(&b, "\x16\x03\x03", 3);
	put(&b, (unsigned int)(4 + 2 + 32 + 1 + 4 + 2 + 2 + exts.len));
	buf_add(&b, "\1\0", 2);
	put(&b, (unsigned int)(2 + 32 + 1 + 4 + 2 + 2 + exts.len));
	buf_add(&b, "\3\3", 2);
	buf_add(&b, zeros, 32);
	buf_add(&b, "\0\0\2\x13\x01\1\0", 7);
	put(&b, (unsigned int)exts.len);
	if (exts.len > 0)
		buf_add(&b, exts.data, exts.len);
	FUZZ_REQUIRE(hello_parse(&again, (const unsigned char *)b.data, b.len) == 0 &&
		     same(h, &again));
	buf_done(&exts);
	buf_done(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf msg = BUF_INIT(1 << 20);
	struct hello h = { .ech = false }, ref = { .ech = false }, part;
	size_t n = size < HELLO_MAX ? size : HELLO_MAX, i, least = size;
	int r = hello_parse(&h, data, size), want;

	want = ref_message(data, n, &msg);
	if (want == 0)
		want = ref_hello((const unsigned char *)msg.data + 4, msg.len - 4, &ref) ? 0 :
											   -EBADMSG;
	if (want == -EAGAIN && n == HELLO_MAX)
		want = -EBADMSG;
	FUZZ_REQUIRE(r == want);
	for (i = size > 40 ? size - 40 : 0; i < size; i++) {
		int p = hello_parse(&part, data, i);

		FUZZ_REQUIRE(p == -EAGAIN || p == r);
		if (p != -EAGAIN && least == size)
			least = i;
		FUZZ_REQUIRE(p != -EAGAIN || least == size);
	}
	if (r == 0) {
		FUZZ_REQUIRE(same(&h, &ref) && hello_looks_like(data, size));
		check_records(&h, &msg, 1 + data[size - 1] % 64);
		check_records(&h, &msg, 16384);
		check_again(&h);
	}
	FUZZ_REQUIRE(r == -EBADMSG || size == 0 || hello_looks_like(data, size));
	buf_done(&msg);
	return 0;
}
