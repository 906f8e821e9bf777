/* SPDX-License-Identifier: Apache-2.0 */
/* What `extract` finds (srt-match.table), what it costs at most, and tokens that look like one. */
#include <errno.h>
#include <fcntl.h>
#include <time.h>
#define TAP_NO_MAIN
#include "table.h"
#include "tap.h"

#define SPANS 64

struct row {
	char line[512];
};

/* The field behind "~~" at *@at, which moves on; "" when there is none. */
static char *field(char **at)
{
	char *start = *at + 2, *end = strncmp(*at, "~~", 2) == 0 ? strstr(start, "~~") : NULL;

	if (strncmp(*at, "~~", 2) != 0)
		return *at;
	*at = end ? end : start + strlen(start);
	return start;
}

static void check_row(const void *arg)
{
	const struct row *row = arg;
	struct srt_span spans[SPANS];
	char line[512], *at = line, *pattern, *text, *want, *p;
	struct buf got = BUF_INIT(4096);
	int n, i;

	snprintf(line, sizeof(line), "%s", row->line);
	pattern = field(&at);
	text = field(&at);
	want = field(&at);
	text[-2] = want[-2] = '\0';
	while ((p = strstr(text, "\\n"))) {
		*p = '\n';
		memmove(p + 1, p + 2, strlen(p + 2) + 1);
	}
	CHECK(!srt_check_regex(pattern));
	n = srt_extract(pattern, text, strlen(text), spans, SPANS);
	for (i = 0; i < n; i++) {
		buf_puts(&got, i ? "|" : "");
		buf_add(&got, text + spans[i].start, spans[i].end - spans[i].start);
	}
	if (n <= 0)
		buf_puts(&got, n == 0 ? "-" : "!");
	buf_puts(&got, "");
	REQUIRE(got.data);
	CHECK_STR(got.data, want);
	buf_done(&got);
}

/* Expressions that take others for ever, and ones that are too long. */
static void check_cost(const void *arg)
{
	static const char *const slow[] = { "(a+)+$", "(?:a|aa)+(b)$", "(.*.*.*.*.*)!",
					    "((a*)*)*b(c)" };
	static char text[60001], deep[1000];
	struct srt_span spans[SPANS];
	clock_t start = clock();
	size_t i;

	(void)arg;
	memset(text, 'a', sizeof(text) - 1);
	text[59999] = 'x';
	for (i = 0; i < ARRAY_SIZE(slow); i++)
		CHECK(srt_extract(slow[i], text, sizeof(text) - 1, spans, SPANS) <= 0);
	CHECK((clock() - start) / CLOCKS_PER_SEC < 10);
	CHECK(srt_extract("(a{2000}){2000}", text, 10, spans, SPANS) == -E2BIG);
	memset(deep, '(', 400);
	memset(deep + 400, ')', 400);
	CHECK(srt_extract(deep, text, 10, spans, SPANS) == -E2BIG);
	CHECK(srt_extract("(a)", text, sizeof(text) - 1, spans, SPANS) ==
	      -E2BIG); /* too many places */
	CHECK(srt_extract("(a)?b", "b", 1, spans, SPANS) == -ENODATA);
}

static void check_jwt(const void *arg)
{
	static const char good[] = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJtZSJ9.c2ln";
	static const char *const bad[] = { "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJtZSJ9",
					   "eyJhbGciOiJIUzI1NiJ9.x!.c2ln",
					   "eyJ0eXAiOiJKV1QifQ.eyJzdWIiOiJtZSJ9.c2ln", "a.b.c",
					   "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJtZSJ9.c2ln.x" };
	struct arena a = ARENA_INIT(1 << 20);
	struct buf b = BUF_INIT(1024);
	size_t i;

	(void)arg;
	CHECK(srt_is_jwt(good, strlen(good), &a));
	for (i = 0; i < ARRAY_SIZE(bad); i++)
		CHECK(!srt_is_jwt(bad[i], strlen(bad[i]), &a));
	srt_fake_jwt("bailey-secret-abc", &b);
	CHECK(srt_is_jwt(b.data, b.len, &a) && b.len < 200);
	buf_done(&b);
	arena_done(&a);
}

int main(int argc, char **argv)
{
	static struct row row;
	struct table t;
	char *s;

	if (argc < 2)
		return 1;
	table_open(&t, argv[1]);
	while ((s = table_next(&t))) {
		snprintf(row.line, sizeof(row.line), "%s", s);
		tap_run(check_row, &row, NULL, "srt-match.table:%d", t.line);
	}
	tap_run(check_cost, NULL, NULL, "the time is bounded");
	tap_run(check_jwt, NULL, NULL, "tokens");
	return tap_done();
}
