/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The first line is a text, the rest a stream. Exact bytes are replaced as a plain loop would do it; all forms are replaced in the same way whatever the pieces are, and
 * no form of a text of its own is left where it was the only one.
 */
#include "fuzz.h"

#include "../src/keys/scrub.h"

#define TO "bailey-secret-abcdefgh"

static void through(const struct scrub_pair *pair, enum scrub_forms forms, const char *p, size_t n,
		    size_t step, struct buf *out)
{
	struct scrub *s = NULL;
	struct err e = ERR_INIT;
	size_t at, some;

	FUZZ_REQUIRE(scrub_new(&s, pair, 1, forms, &e) == 0);
	for (at = 0; at < n; at += some) {
		some = n - at < step ? n - at : step;
		FUZZ_REQUIRE(scrub_step(s, p + at, some, out) == 0);
	}
	FUZZ_REQUIRE(scrub_end(s, out) == 0);
	scrub_free(s);
}

static void plain(const struct scrub_pair *pair, const char *p, size_t n, struct buf *out)
{
	const char *end = p + n, *at;

	while ((at = memmem(p, (size_t)(end - p), pair->from, strlen(pair->from)))) {
		buf_add(out, p, (size_t)(at - p));
		buf_puts(out, pair->to);
		p = at + strlen(pair->from);
	}
	buf_add(out, p, (size_t)(end - p));
}

static bool same(const struct buf *a, const struct buf *b)
{
	return a->len == b->len && (a->len == 0 || memcmp(a->data, b->data, a->len) == 0);
}

static void each(const struct scrub_pair *pair, const char *p, size_t n)
{
	struct buf want = BUF_INIT(1u << 22), once = BUF_INIT(1u << 22),
		   pieces = BUF_INIT(1u << 22);
	size_t step;

	plain(pair, p, n, &want);
	through(pair, SCRUB_RAW, p, n, n + 1, &once);
	FUZZ_REQUIRE(same(&want, &once));
	once.len = 0;
	through(pair, SCRUB_ALL, p, n, n + 1, &once);
	for (step = 1; step < 8; step += 3) {
		pieces.len = 0;
		through(pair, SCRUB_ALL, p, n, step, &pieces);
		FUZZ_REQUIRE(same(&once, &pieces));
	}
	buf_done(&want);
	buf_done(&once);
	buf_done(&pieces);
}

/* The text alone, in its plainest forms. */
static void alone(const struct scrub_pair *pair)
{
	struct buf in = BUF_INIT(65536), out = BUF_INIT(1u << 20);
	const char *s;

	for (s = pair->from; *s; s++)
		buf_printf(&in, "%%%02x", (unsigned char)*s);
	FUZZ_REQUIRE(in.data);
	through(pair, SCRUB_ALL, in.data, in.len, 5, &out);
	buf_puts(&out, "");
	FUZZ_REQUIRE(strcmp(out.data, TO) == 0);
	out.len = in.len = 0;
	for (s = pair->from; *s; s++)
		buf_printf(&in, "%02X", (unsigned char)*s);
	through(pair, SCRUB_ALL, in.data, in.len, 5, &out);
	FUZZ_REQUIRE(!strstr(out.data, in.data) || strstr(TO, pair->from));
	buf_done(&in);
	buf_done(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct scrub_pair pair = { .to = TO };
	char from[256];

	if (size > 20000 || !fuzz_line(&data, &size, from, sizeof(from)) || strlen(from) < 8)
		return 0;
	pair.from = from;
	each(&pair, (const char *)data, size);
	alone(&pair);
	return 0;
}
