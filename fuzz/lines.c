/* SPDX-License-Identifier: Apache-2.0 */
/* Two texts, divided by the first NUL: the difference, done to the one, makes the other; of small ones it is the smallest. */
#include "fuzz.h"
#include "review/review.h"

#define SMALL 64

/* The text of line @i, and its length. */
static const char *line(const struct review_text *t, size_t i, size_t *ret_n)
{
	*ret_n = (size_t)(t->line[i + 1] - t->line[i]);
	return t->line[i];
}

/* How many lines two small texts have in common, in order: by the table of all their beginnings. */
static size_t common(const struct review_text *a, const struct review_text *b)
{
	static size_t best[SMALL + 1][SMALL + 1];
	size_t i, k, n, m;

	for (i = 1; i <= a->n; i++) {
		for (k = 1; k <= b->n; k++) {
			const char *one = line(a, i - 1, &n), *two = line(b, k - 1, &m);

			best[i][k] =
				best[i - 1][k] > best[i][k - 1] ? best[i - 1][k] : best[i][k - 1];
			if (n == m && memcmp(one, two, n) == 0)
				best[i][k] = best[i - 1][k - 1] + 1;
		}
	}
	return best[a->n][b->n];
}

/* Lines end with a newline, but for the last. */
static void check_split(const struct review_text *t, const char *data, size_t size)
{
	size_t i, n, lines = 0;

	for (i = 0; i < size; i++)
		lines += data[i] == '\n' || i + 1 == size;
	FUZZ_REQUIRE(t->n == lines && t->line[0] == data && t->line[t->n] == data + size);
	for (i = 0; i < t->n; i++) {
		const char *s = line(t, i, &n), *nl = n ? memchr(s, '\n', n) : NULL;

		FUZZ_REQUIRE(n > 0 && (nl == s + n - 1 || (!nl && i + 1 == t->n)));
	}
}

static void add(struct buf *b, const struct review_text *t, size_t from, size_t n)
{
	FUZZ_REQUIRE(from + n <= t->n);
	buf_add(b, t->line[from], (size_t)(t->line[from + n] - t->line[from]));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *nul = memchr(data, 0, size);
	size_t n = nul ? (size_t)(nul - data) : size, old = 0, new = 0, same = 0, k;
	struct buf a = BUF_INIT(1 << 22), b = BUF_INIT(1 << 22);
	struct review_edit *edits = NULL;
	struct review_text one, two;
	long count, i;

	if (size > 65536)
		return 0;
	FUZZ_REQUIRE(review_text_split(&one, (const char *)data, n) == 0);
	FUZZ_REQUIRE(review_text_split(&two, nul ? (const char *)nul + 1 : "",
				       nul ? size - n - 1 : 0) == 0);
	check_split(&one, (const char *)data, n);
	check_split(&two, two.data, nul ? size - n - 1 : 0);
	count = review_lines(&one, &two, &edits);
	FUZZ_REQUIRE(count >= 0);
	for (i = 0; i < count; i++) {
		const struct review_edit *e = &edits[i];

		FUZZ_REQUIRE(e->n > 0 && e->old == old && e->new == new);
		FUZZ_REQUIRE(i == 0 || e->op != edits[i - 1].op);
		if (e->op != '+')
			add(&a, &one, old, e->n);
		if (e->op != '-')
			add(&b, &two, new, e->n);
		for (k = 0; e->op == ' ' && k < e->n; k++) {
			size_t len = (size_t)(one.line[old + k + 1] - one.line[old + k]);

			FUZZ_REQUIRE(len == (size_t)(two.line[new + k + 1] - two.line[new + k]) &&
				     memcmp(one.line[old + k], two.line[new + k], len) == 0);
		}
		same += e->op == ' ' ? e->n : 0;
		old += e->op == '+' ? 0 : e->n;
		new += e->op == '-' ? 0 : e->n;
	}
	FUZZ_REQUIRE(old == one.n && new == two.n &&a.len == one.size &&b.len == two.size);
	FUZZ_REQUIRE(one.n > SMALL || two.n > SMALL || same == common(&one, &two));
	FUZZ_REQUIRE(!a.len || memcmp(a.data, one.data, a.len) == 0);
	FUZZ_REQUIRE(!b.len || memcmp(b.data, two.data, b.len) == 0);
	free(edits);
	review_text_done(&one);
	review_text_done(&two);
	buf_done(&a);
	buf_done(&b);
	return 0;
}
