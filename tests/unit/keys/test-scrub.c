/* SPDX-License-Identifier: Apache-2.0 */
/* Every form of a text, in every position, cut in every place; and what is left alone. */
#include "../../../src/keys/scrub.h"
#include "tap.h"
#include <errno.h>
#include <stdint.h>

#define SECRET "sk-ant-api03-Zx9/Qw+7~Lm=K_"
#define SENTINEL "bailey-secret-abcdefghijklmnopqrstuvwxyz234567"

static const struct scrub_pair pair[] = { { SECRET, SENTINEL } };

static char *encode64(const char *s, size_t n, bool url, bool pad)
{
	const char *digits =
		url ? "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_" :
		      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	char *out = calloc(1, n * 2 + 8);
	size_t i, o = 0;

	REQUIRE(out);
	for (i = 0; i < n; i += 3) {
		unsigned int v = (unsigned int)(unsigned char)s[i] << 16 |
				 (i + 1 < n ? (unsigned int)(unsigned char)s[i + 1] << 8 : 0) |
				 (i + 2 < n ? (unsigned char)s[i + 2] : 0u);

		out[o++] = digits[v >> 18];
		out[o++] = digits[v >> 12 & 63];
		if (i + 1 < n)
			out[o++] = digits[v >> 6 & 63];
		else if (pad)
			out[o++] = '=';
		if (i + 2 < n)
			out[o++] = digits[v & 63];
		else if (pad)
			out[o++] = '=';
	}
	return out;
}

static int digit64(char c)
{
	const char *d = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

	c = (char)(c == '-' ? '+' : c == '_' ? '/' : c);
	return c && strchr(d, c) ? (int)(strchr(d, c) - d) : -1;
}

static char *decode64(const char *s)
{
	char *out = calloc(1, strlen(s) + 1);
	unsigned int bits = 0, n = 0;
	size_t o = 0;

	REQUIRE(out);
	for (; digit64(*s) >= 0; s++) {
		bits = bits << 6 | (unsigned int)digit64(*s);
		n += 6;
		if (n >= 8) {
			n -= 8;
			out[o++] = (char)(bits >> n & 255u);
		}
	}
	return out;
}

/* @in with @pairs, in one piece. The caller frees. */
static char *whole(const struct scrub_pair *pairs, size_t n, enum scrub_forms forms, const char *in,
		   size_t *count)
{
	struct buf out = BUF_INIT(1 << 24);
	struct scrub *s = NULL;
	struct err e = ERR_INIT;

	REQUIRE(scrub_new(&s, pairs, n, forms, &e) == 0);
	REQUIRE(scrub_step(s, in, strlen(in), &out) == 0);
	REQUIRE(scrub_end(s, &out) == 0);
	if (count)
		*count = scrub_count(s);
	scrub_free(s);
	if (!out.data)
		buf_puts(&out, "");
	REQUIRE(out.data);
	return out.data;
}

/* The same in every pair of pieces, and byte by byte. */
static void check_splits(const struct scrub_pair *pairs, size_t n, enum scrub_forms forms,
			 const char *in, const char *want)
{
	size_t len = strlen(in), cut, i;
	struct scrub *s = NULL;
	struct err e = ERR_INIT;

	REQUIRE(scrub_new(&s, pairs, n, forms, &e) == 0);
	for (cut = 0; cut <= len + 1; cut++) {
		struct buf out = BUF_INIT(1 << 24);

		if (cut <= len) {
			REQUIRE(scrub_step(s, in, cut, &out) == 0);
			REQUIRE(scrub_step(s, in + cut, len - cut, &out) == 0);
		} else {
			for (i = 0; i < len; i++)
				REQUIRE(scrub_step(s, in + i, 1, &out) == 0);
		}
		REQUIRE(scrub_end(s, &out) == 0);
		buf_puts(&out, "");
		if (strcmp(out.data, want) != 0) {
			FAIL("cut at %zu: \"%s\", not \"%s\"", cut, out.data, want);
			cut = len + 1;
		}
		buf_done(&out);
	}
	scrub_free(s);
}

static void check(const char *in, const char *want)
{
	check_splits(pair, 1, SCRUB_ALL, in, want);
}

TEST(raw)
{
	check(SECRET, SENTINEL);
	check("x" SECRET "y" SECRET SECRET "sk-ant-", "x" SENTINEL "y" SENTINEL SENTINEL "sk-ant-");
	/* a beginning that is none, with the secret inside */
	check("sk-ant-sk-ant-api03-Zx9/Qsk-" SECRET, "sk-ant-sk-ant-api03-Zx9/Qsk-" SENTINEL);
	check("", "");
}

TEST(url_and_json)
{
	check("a=sk-ant-api03-Zx9%2FQw%2B7~Lm%3DK_&b", "a=" SENTINEL "&b");
	check("a=sk-ant-api03-Zx9%2fQw%2b7%7eLm%3dK_", "a=" SENTINEL);
	check("%73%6b%2d%61%6e%74%2d%61%70%69%30%33%2d%5a%78%39%2f%51%77%2b%37%7e%4c%6d%3d%4b%5f.",
	      SENTINEL ".");
	check("{\"a\":\"sk-ant-api03-Zx9\\/Qw+7~Lm=K_\"}", "{\"a\":\"" SENTINEL "\"}");
	check("\\u0073k-ant-api03-Zx9\\u002fQw\\u002B7~Lm=K\\u005f", SENTINEL);
	/* not quite */
	check("sk-ant-api03-Zx9%2GQw", "sk-ant-api03-Zx9%2GQw");
	check("sk-ant-api03-Zx9\\u012fQw+7~Lm=K_", "sk-ant-api03-Zx9\\u012fQw+7~Lm=K_");
}

TEST(percent_in_the_value)
{
	static const struct scrub_pair odd[] = { { "abc%25\\d\"ef gh", "S" } };

	check_splits(odd, 1, SCRUB_ALL, "abc%25\\d\"ef gh", "S");
	check_splits(odd, 1, SCRUB_ALL, "abc%2525%5cd%22ef+gh", "S");
	check_splits(odd, 1, SCRUB_ALL, "abc%2525%5Cd%22ef%20gh", "S");
	check_splits(odd, 1, SCRUB_ALL, "abc%25\\\\d\\\"ef gh", "S");
}

TEST(hex)
{
	char in[200] = "<", want[300] = "<", *at;
	int upper;
	const char *s;

	for (upper = 0; upper < 2; upper++) {
		for (at = in + 1, s = SECRET; *s; s++, at += 2)
			snprintf(at, 3, upper ? "%02X" : "%02x", (unsigned char)*s);
		snprintf(at, 2, ">");
		for (at = want + 1, s = SENTINEL; *s; s++, at += 2)
			snprintf(at, 3, upper ? "%02X" : "%02x", (unsigned char)*s);
		snprintf(at, 2, ">");
		check(in, want);
		in[20] = 'g'; /* not quite */
		check(in, in);
	}
}

/* The whole value, coded by itself, becomes the whole sentinel, coded by itself. */
TEST(base64_alone)
{
	static const char *const values[] = { "123456789", "1234567890", "12345678901", SECRET };
	size_t i;
	int url, pad;

	for (i = 0; i < 4; i++) {
		const struct scrub_pair p[] = { { values[i], SENTINEL } };

		for (url = 0; url < 2; url++) {
			for (pad = 0; pad < 2; pad++) {
				char *in = encode64(values[i], strlen(values[i]), url, pad), *got,
				     *plain;

				got = whole(p, 1, SCRUB_ALL, in, NULL);
				plain = decode64(got);
				CHECK_STR(plain, SENTINEL);
				if (pad)
					CHECK(strlen(got) % 4 == 0 || strlen(in) % 4 != 0 || url);
				check_splits(p, 1, SCRUB_ALL, in, got);
				free(in);
				free(got);
				free(plain);
			}
		}
	}
}

/* Inside something else: no run of the value's bytes is left, what stands around it is readable. */
TEST(base64_inside)
{
	size_t before, after;
	int url;

	for (before = 0; before < 7; before++) {
		for (after = 0; after < 7; after++) {
			for (url = 0; url < 2; url++) {
				char plain[200], *in, *out, *got;
				size_t count = 0;

				snprintf(plain, sizeof(plain), "%.*s" SECRET "%.*s", (int)before,
					 "{\"k\":\"", (int)after, "\",\"z\":");
				in = encode64(plain, strlen(plain), url, true);
				out = whole(pair, 1, SCRUB_ALL, in, &count);
				got = decode64(out);
				if (count != 1 || strstr(got, "api03-Zx9") ||
				    !strstr(got, "ecret-"))
					FAIL("%zu before, %zu behind: %s", before, after, got);
				CHECK(strncmp(got, plain, before) == 0);
				if (after && strlen(got) > after &&
				    strcmp(got + strlen(got) - after + 1,
					   plain + strlen(plain) - after + 1) != 0)
					FAIL("%zu before, %zu behind: the end is lost: %s", before,
					     after, got);
				CHECK(strlen(in) % 4 == strlen(out) % 4);
				check_splits(pair, 1, SCRUB_ALL, in, out);
				free(in);
				free(out);
				free(got);
			}
		}
	}
}

TEST(several)
{
	static const struct scrub_pair p[] = { { "password1", "A" },
					       { "password12345", "B" },
					       { "word1234", "C" } };

	/* the longest that is there */
	check_splits(p, 3, SCRUB_ALL, "password1234 password12345 password1 word1234",
		     "A234 B A C");
}

TEST(raw_only)
{
	check_splits(pair, 1, SCRUB_RAW, SECRET " sk-ant-api03-Zx9%2FQw%2B7~Lm%3DK_",
		     SENTINEL " sk-ant-api03-Zx9%2FQw%2B7~Lm%3DK_");
}

/* Random bytes are passed on as they are, and memory stays bounded. */
TEST(other_bytes)
{
	unsigned int seed = 1;
	char *in = malloc(300000);
	struct buf out = BUF_INIT(1 << 20);
	struct scrub *s = NULL;
	struct err e = ERR_INIT;
	size_t i, n;

	REQUIRE(in);
	for (i = 0; i < 300000; i++) {
		seed = seed * 1103515245u + 12345u;
		in[i] = (char)(seed >> 16);
	}
	REQUIRE(scrub_new(&s, pair, 1, SCRUB_ALL, &e) == 0);
	for (i = 0; i < 300000; i += n) {
		n = 1 + i % 40000;
		n = n < 300000 - i ? n : 300000 - i;
		REQUIRE(scrub_step(s, in + i, n, &out) == 0);
		CHECK(out.len + 200 > i + n);
	}
	REQUIRE(scrub_end(s, &out) == 0);
	CHECK(out.len == 300000 && memcmp(out.data, in, 300000) == 0 && scrub_count(s) == 0);
	buf_done(&out);
	free(in);
	scrub_free(s);
}

/* Other pairs between two pieces: at each place of the text, for what was begun with the old ones and for what comes. */
TEST(renewed_on_its_way)
{
	static const struct scrub_pair both[] = { { "secret/one-secret", "[A]" },
						  { "Another Value", "[B]" } };
	/* the first piece ends within it, and has the second text once, which nobody knows yet */
	static const char in[] = "Another Value secret/one-secret",
			  next[] = " c2VjcmV0L29uZS1zZWNyZXQ= Another Value another";
	struct err e = ERR_INIT;
	size_t cut, len = strlen(in);

	for (cut = 13; cut <= len; cut++) {
		struct buf out = BUF_INIT(1 << 16);
		struct scrub *s = NULL;

		REQUIRE(scrub_new(&s, both, 1, SCRUB_ALL, &e) == 0);
		REQUIRE(scrub_step(s, in, cut, &out) == 0);
		REQUIRE(scrub_renew(s, both, 2, &e) == 0);
		REQUIRE(scrub_step(s, in + cut, len - cut, &out) == 0);
		REQUIRE(scrub_step(s, next, strlen(next), &out) == 0 && scrub_end(s, &out) == 0);
		buf_puts(&out, "");
		CHECK_STR(out.data, "Another Value [A] W0Fd [B] another");
		CHECK(scrub_count(s) == 3);
		scrub_free(s);
		buf_done(&out);
	}
}

/* What was kept for a long text must fit when only a short one is looked for. */
TEST(renewed_with_less)
{
	static char text[40001];
	const struct scrub_pair old = { text, "[A]" };
	struct buf out = BUF_INIT(1 << 20);
	struct scrub *s = NULL;
	struct err e = ERR_INIT;

	memset(text, 'a', sizeof(text) - 1);
	REQUIRE(scrub_new(&s, &old, 1, SCRUB_ALL, &e) == 0);
	REQUIRE(scrub_step(s, text, sizeof(text) - 2, &out) == 0 && out.len == 0);
	REQUIRE(scrub_renew(s, pair, 1, &e) == 0);
	REQUIRE(scrub_step(s, text, sizeof(text) - 1, &out) == 0 && scrub_end(s, &out) == 0);
	CHECK(out.len == 2 * sizeof(text) - 3);
	scrub_free(s);
	buf_done(&out);
}

TEST(refusals)
{
	static const struct scrub_pair none[] = { { "", "x" } };
	struct scrub *s = NULL;
	struct err e = ERR_INIT;
	struct buf small = BUF_INIT(8);

	CHECK(scrub_new(&s, none, 1, SCRUB_ALL, &e) == -EINVAL && !s);
	REQUIRE(scrub_new(&s, pair, 1, SCRUB_ALL, &e) == 0);
	CHECK(scrub_renew(s, none, 1, &e) == -EINVAL);
	CHECK(scrub_step(s, "more than eight bytes", 21, &small) == -EFBIG);
	buf_done(&small);
	CHECK(scrub_free(scrub_free(s)) == NULL);
}
