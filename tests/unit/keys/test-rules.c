/* SPDX-License-Identifier: Apache-2.0 */
/* Rules, regular expressions and paths, from rules.table. */
#define TAP_NO_MAIN
#include "../tap.h"

#include <errno.h>

#include "../../../src/keys/regex.h"
#include "../../../src/keys/rules.h"
#include "../table.h"

#define CELLS 8

struct row {
	char *cell[CELLS];
	size_t n;
	const char *rules; /* that are in force */
};

static char *trim(char *s)
{
	char *end;

	s += strspn(s, " \t");
	for (end = s + strlen(s); end > s && (end[-1] == ' ' || end[-1] == '\t');)
		*--end = '\0';
	return s;
}

/* Cells between " | " or "|" at an end: expressions have bars of their own without blanks. */
static void split(struct row *r, char *line)
{
	char *bar;

	for (r->n = 0; r->n < CELLS; line = bar) {
		for (bar = strchr(line, '|'); bar; bar = strchr(bar + 1, '|')) {
			if ((bar[1] == ' ' || !bar[1]) && bar > line && bar[-1] == ' ')
				break;
		}
		if (bar)
			*bar++ = '\0';
		r->cell[r->n++] = trim(line);
		if (!bar)
			return;
	}
}

static size_t unescape(char *s)
{
	char *to = s, *from = s, hex[3] = "";

	while (*from) {
		if (from[0] == '\\' && from[1] == 'x' && from[2] && from[3]) {
			memcpy(hex, from + 2, 2);
			*to++ = (char)strtoul(hex, NULL, 16);
			from += 4;
		} else {
			*to++ = *from++;
		}
	}
	*to = '\0';
	return (size_t)(to - s);
}

static bool is_refusal(const char *want, const char **ret_part)
{
	*ret_part = want + strlen("refused: ");
	return strncmp(want, "refused: ", strlen("refused: ")) == 0;
}

static void run_path(const void *arg)
{
	const struct row *r = arg;
	static char out[RULES_PATH];
	struct err e = ERR_INIT;
	const char *part;
	size_t n = unescape(r->cell[1]);
	char *exact = malloc(n + 1); /* of that length, for the sanitizer */
	ssize_t got;

	REQUIRE(exact);
	memcpy(exact, r->cell[1], n);
	got = rules_path_normal((struct http_slice){ exact, n }, out, &e);
	(void)unescape(r->cell[2]);
	if (is_refusal(r->cell[2], &part)) {
		CHECK(got == -EBADMSG);
		CHECK(strstr(e.msg, part));
	} else {
		CHECK(got == (ssize_t)strlen(r->cell[2]));
		CHECK_STR(out, r->cell[2]);
		/* it is its own normal form */
		CHECK(got < 0 || (rules_path_normal(http_slice(r->cell[2]), out, &e) == got &&
				  strcmp(out, r->cell[2]) == 0));
	}
	free(exact);
}

static void run_regex(const void *arg)
{
	const struct row *r = arg;
	struct arena a = ARENA_INIT(1 << 20);
	const struct regex *re = NULL;
	struct err e = ERR_INIT;
	const char *part;
	int error = regex_parse(&re, r->cell[1], &a, &e);

	if (r->n == 3) {
		REQUIRE(is_refusal(r->cell[2], &part));
		CHECK(error < 0 && !re);
		CHECK(strstr(e.msg, part));
	} else {
		REQUIRE(error == 0 && re);
		CHECK(regex_match(re, r->cell[2], strlen(r->cell[2])) ==
		      (strcmp(r->cell[3], "yes") == 0));
	}
	arena_done(&a);
}

static int parse(const char *text, struct arena *a, const struct rules **ret, struct err *e)
{
	const struct json_node *root;

	REQUIRE(json_read("table", text, strlen(text), a, &root, e) == 0);
	return rules_parse(ret, root, a, e);
}

static void run_bad(const void *arg)
{
	const struct row *r = arg;
	struct arena a = ARENA_INIT(1 << 20);
	const struct rules *rules = NULL;
	struct err e = ERR_INIT;

	CHECK(parse(r->cell[1], &a, &rules, &e) == -EINVAL && !rules);
	if (!strstr(e.msg, r->cell[2]))
		FAIL("\"%s\" has no \"%s\"", e.msg, r->cell[2]);
	arena_done(&a);
}

static void take_request(struct head *h, char *text)
{
	char *field = strstr(text, " ;"), *next, *colon;

	if (field)
		*field = '\0';
	h->method = (struct http_slice){ text, strcspn(text, " ") };
	h->target = http_slice(trim(text + h->method.len));
	for (field = field ? field + 2 : NULL; field; field = next) {
		next = strstr(field, " ;");
		if (next) {
			*next = '\0';
			next += 2;
		}
		field = trim(field);
		colon = strchr(field, ':');
		REQUIRE(colon);
		*colon = '\0';
		head_add(h, http_slice(field), http_slice(trim(colon + 1)));
	}
}

static void describe(const struct rules_verdict *v, const char *path, char *out, size_t size)
{
	static const char *const words[] = { "allow", "deny", "bad", "answer" };
	char rule[128] = "", fields[32] = "", status[32] = "", forward[160] = "", where[64] = "";
	const char *at = strstr(v->rule, "requests[");

	if (at && v->action != RULES_DENY)
		snprintf(rule, sizeof(rule), " %s", at);
	if (v->action == RULES_ANSWER)
		snprintf(status, sizeof(status), " %d", v->status);
	if (v->n)
		snprintf(fields, sizeof(fields), " fields %zu", v->n);
	if (v->forward)
		snprintf(where, sizeof(where), "%.*s", (int)(v->forward->to.n_path % sizeof(where)),
			 v->forward->to.path);
	if (v->forward)
		snprintf(forward, sizeof(forward), " to %.60s:%u%s%.60s", v->forward->to.host,
			 v->forward->to.port, v->forward->to.tls ? "" : " plain", where);
	snprintf(out, size, "%s%s%s%s%s%s%.100s%s%.100s", words[v->action], status, rule, fields,
		 forward, v->reason ? " " : "", v->reason ? v->reason : "",
		 v->path && v->action != RULES_DENY && v->action != RULES_BAD ? " -> " : "",
		 v->path && v->action != RULES_DENY && v->action != RULES_BAD ? path : "");
}

static void run_ask(const void *arg)
{
	const struct row *r = arg;
	static struct head h;
	static char path[RULES_PATH];
	char got[512];
	struct arena a = ARENA_INIT(1 << 20);
	const struct rules *rules = NULL;
	struct rules_verdict v;
	struct err e = ERR_INIT;

	REQUIRE(parse(r->rules, &a, &rules, &e) == 0);
	take_request(&h, r->cell[2]);
	rules_judge(rules, r->cell[1], &h, &v, path);
	describe(&v, path, got, sizeof(got));
	if (v.action == RULES_DENY || v.action == RULES_BAD) {
		/* the first word, and a part of the reason */
		size_t word = strcspn(r->cell[3], " ");

		if (strncmp(got, r->cell[3], word) != 0 || !strstr(got, r->cell[3] + word + 1))
			FAIL("\"%s\" is not \"%s\"", got, r->cell[3]);
	} else {
		CHECK_STR(got, r->cell[3]);
	}
	arena_done(&a);
}

/* A body of our own memory in each list, so that a fifo's edges are met. */
static void run_head(const void *arg)
{
	struct head *h = calloc(1, sizeof(*h));
	char text[64];
	size_t i;

	(void)arg;
	REQUIRE(h);
	for (i = 0; i < HEAD_FIELDS; i++) {
		snprintf(text, sizeof(text), "x-%zu", i % 7);
		head_add(h, head_copy(h, http_slice(text)), http_slice("v"));
	}
	CHECK(!h->failed && h->n == HEAD_FIELDS);
	head_add(h, http_slice("one"), http_slice("more"));
	CHECK(h->failed);
	head_remove(h, http_slice("X-3"));
	CHECK(!head_find(h, "x-3").p && head_find(h, "x-4").p);
	head_clear(h);
	CHECK(h->n == 0 && !h->failed && h->used == 0);
	for (i = 0; i < HEAD_BYTES; i++)
		CHECK(h->memory[i] == '\0');
	while (!h->failed)
		(void)head_copy(h, http_slice("0123456789"));
	CHECK(h->used <= HEAD_BYTES && h->used > HEAD_BYTES - 10);
	CHECK(!head_copy(h, http_slice("0123456789")).p);
	CHECK(!head_free(h));
}

int main(int argc, char **argv)
{
	static const struct {
		const char *word;
		void (*run)(const void *);
		size_t least;
	} kinds[] = { { "path", run_path, 3 },
		      { "regex", run_regex, 3 },
		      { "bad", run_bad, 3 },
		      { "ask", run_ask, 4 } };
	static char rules[16384];
	struct table t;
	struct row r = { .rules = rules };
	char *line;
	size_t i;

	table_open(&t, argc > 1 ? argv[1] : NULL);
	while ((line = table_next(&t))) {
		char name[160];

		snprintf(name, sizeof(name), "%.150s", line);
		split(&r, line);
		if (strcmp(r.cell[0], "rules") == 0 && r.n == 2) {
			snprintf(rules, sizeof(rules), "%s", r.cell[1]);
			continue;
		}
		for (i = 0; i < ARRAY_SIZE(kinds) && strcmp(r.cell[0], kinds[i].word) != 0; i++)
			;
		if (i == ARRAY_SIZE(kinds) || r.n < kinds[i].least)
			table_die(&t, "expected path, regex, rules, bad or ask");
		tap_run(kinds[i].run, &r, NULL, "%s:%d: %s", t.name, t.line, name);
	}
	tap_run(run_head, NULL, NULL, "head: fields and memory have a cap, and are erased");
	return tap_done();
}
