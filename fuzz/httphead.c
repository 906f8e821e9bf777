/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The first byte says whose head it is. The reference agrees about what is refused, what is not all there yet and what it means; no part of a head
 * is a head, and its end is found in pieces, too; what is written again, and what a gateway would pass on of it, mean the same.
 */
#include <ctype.h>

#include "http-reference.h"

static const char *const methods[] = { NULL, "GET", "HEAD", "CONNECT" };

static int parse(struct http_head *h, const char *method, const char *p, size_t n, struct err *e)
{
	return method ? http_response_parse(h, p, n, http_slice(method), e) :
			http_request_parse(h, p, n, e);
}

static bool same(struct http_slice a, struct http_slice b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.p, b.p, a.len) == 0);
}

static bool inside(struct http_slice s, const char *p, size_t n)
{
	return s.len == 0 || (s.p >= p && s.p + s.len <= p + n);
}

static void add_first_line(struct buf *b, const struct http_head *h, const char *method)
{
	if (method)
		http_write_status(b, h->status, h->reason.p ? h->reason : http_slice(""));
	else
		http_write_request(b, h->method, h->target);
}

static void check_parts(const struct http_head *h, const char *method, const char *p, size_t n)
{
	size_t cut, scan = 0;
	struct http_head part;
	ssize_t end = -EAGAIN;

	for (cut = 0; cut <= h->len; cut++) {
		FUZZ_REQUIRE(end == -EAGAIN);
		end = http_head_end(&scan, p, cut, NULL);
	}
	FUZZ_REQUIRE(end == (ssize_t)h->len);
	for (cut = h->len > 200 ? h->len - 200 : 0; cut < h->len; cut++)
		FUZZ_REQUIRE(parse(&part, method, p, cut, NULL) == -EAGAIN);
	FUZZ_REQUIRE(parse(&part, method, p, h->len, NULL) == 0 && part.len == h->len);
	FUZZ_REQUIRE(n >= h->len);
}

/* All of it written again; it is HTTP/1.1 then, which only matters for the connection. */
static void check_again(const struct http_head *h, const char *method)
{
	struct buf b = BUF_INIT(1 << 20);
	struct http_head again;
	size_t i;
	int r;

	add_first_line(&b, h, method);
	for (i = 0; i < h->n; i++)
		http_write_copy(&b, &h->fields[i]);
	http_write_end(&b);
	FUZZ_REQUIRE(!b.failed);
	r = parse(&again, method, b.data, b.len, NULL);
	FUZZ_REQUIRE(r == 0 || b.len > HTTP_HEAD_MAX || (h->minor == 0 && !h->host.p));
	if (r == 0) {
		FUZZ_REQUIRE(again.n == h->n && again.framing == h->framing &&
			     again.length == h->length && again.status == h->status);
		FUZZ_REQUIRE(same(again.method, h->method) && same(again.target, h->target) &&
			     same(again.host, h->host) && same(again.reason, h->reason));
		FUZZ_REQUIRE(h->minor == 0 ||
			     (again.keep_alive == h->keep_alive && again.upgrade == h->upgrade &&
			      again.expect_continue == h->expect_continue));
		for (i = 0; i < h->n; i++)
			FUZZ_REQUIRE(same(again.fields[i].name, h->fields[i].name) &&
				     same(again.fields[i].value, h->fields[i].value));
	}
	buf_done(&b);
}

/* Without what is for this connection only, with the framing written anew. */
static void check_passed_on(const struct http_head *h, const char *method)
{
	struct buf b = BUF_INIT(1 << 20);
	struct http_head again;
	size_t i;
	int r;

	if (h->status == 101)
		return;
	add_first_line(&b, h, method);
	for (i = 0; i < h->n; i++) {
		if (!http_hop_by_hop(h, i) && !http_is(h->fields[i].name, "content-length"))
			http_write_copy(&b, &h->fields[i]);
	}
	http_write_framing(&b, h);
	http_write_end(&b);
	r = parse(&again, method, b.data, b.len, NULL);
	FUZZ_REQUIRE(r == 0 || b.len > HTTP_HEAD_MAX || (h->minor == 0 && !h->host.p) ||
		     (r == -E2BIG && h->n == HTTP_FIELDS));
	FUZZ_REQUIRE(r < 0 || (again.framing == h->framing && again.length == h->length &&
			       same(again.host, h->host) && !again.upgrade));
	for (i = 0; r == 0 && i < again.n; i++)
		FUZZ_REQUIRE(!http_hop_by_hop(&again, i) ||
			     http_is(again.fields[i].name, "transfer-encoding"));
	buf_done(&b);
}

/* The answers about fields, by looking at the lines again. */
static void check_fields(const struct http_head *h, const struct ref_head *ref)
{
	static const char *const own[] = { "connection", "keep-alive",        "te",
					   "trailer",    "transfer-encoding", "upgrade" };
	char name[HTTP_HEAD_MAX], value[HTTP_HEAD_MAX], *p;
	struct http_slice found;
	size_t i, k, first;
	bool hop;

	for (i = 0; i < h->n; i++) {
		snprintf(name, sizeof(name), "%.*s", (int)h->fields[i].name.len,
			 h->fields[i].name.p);
		hop = ref_options(ref, name) > 0 ||
		      (strncasecmp(name, "proxy-", 6) == 0 && name[6]);
		for (k = 0; k < ARRAY_SIZE(own); k++)
			hop = hop || strcasecmp(name, own[k]) == 0;
		FUZZ_REQUIRE(http_hop_by_hop(h, i) == hop);
		for (p = name; *p; p++)
			*p = (char)tolower(*p);
		for (first = 1; !ref_value(ref, first, name, value);)
			first++;
		found = http_field_find(h, name);
		FUZZ_REQUIRE(same(found, http_slice(value)) && first <= i + 1);
		if (http_is(h->fields[i].name, "connection") && ref_count(ref, name, value) == 1)
			FUZZ_REQUIRE(http_token_in(h->fields[i].value, "close") ==
				     (ref_options(ref, "close") > 0));
	}
	FUZZ_REQUIRE(!http_field_find(h, "no such field").p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ref_head ref = { .all = NULL };
	struct err e = ERR_INIT;
	struct http_head h;
	const char *method;
	const char *p = (const char *)data + 1;
	size_t i;
	int r, want;

	if (size < 1)
		return 0;
	size--;
	method = methods[data[0] & 3];
	r = parse(&h, method, p, size, &e);
	want = method ? ref_response(&ref, p, size, method) : ref_request(&ref, p, size);
	FUZZ_REQUIRE((r == -E2BIG ? -EBADMSG : r) == want);
	FUZZ_REQUIRE((r == 0 || r == -EAGAIN) == (e.code == ERR_NONE));
	FUZZ_REQUIRE(r != -EAGAIN || size < HTTP_HEAD_MAX);
	if (r == 0) {
		FUZZ_REQUIRE(h.len == ref.len && h.n == ref.n - 1 && h.framing == ref.framing);
		FUZZ_REQUIRE(h.framing != HTTP_BODY_LENGTH || h.length == ref.length);
		FUZZ_REQUIRE(h.keep_alive == ref.keep_alive && h.upgrade == ref.upgrade &&
			     h.expect_continue == ref.expect_continue);
		for (i = 0; i < h.n; i++)
			FUZZ_REQUIRE(inside(h.fields[i].name, p, h.len) &&
				     inside(h.fields[i].value, p, h.len));
		check_fields(&h, &ref);
		check_parts(&h, method, p, size);
		check_again(&h, method);
		check_passed_on(&h, method);
	}
	ref_done(&ref);
	return 0;
}
