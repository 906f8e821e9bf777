/* SPDX-License-Identifier: Apache-2.0 */
/* names.table: a row a test; then the texts of records. */
#define TAP_NO_MAIN
#include "tap.h"

#include "review/review.h"
#include "table.h"

struct row {
	char text[512];
	bool git;
	char type, path[256], want[128], prefix[256];
};

static void check_row(const void *arg)
{
	const struct row *r = arg;
	const mode_t type = r->type == 'd' ? S_IFDIR : r->type == 'l' ? S_IFLNK : S_IFREG;
	const struct policy_protected *row;
	char got[128] = "-", prefix[256] = "-";
	size_t git;

	row = review_names_protected(r->path, r->git, type, &git);
	if (row)
		snprintf(got, sizeof(got), "%s: %s", policy_class_name(row->class),
			 policy_protected_what(row));
	if (git)
		snprintf(prefix, sizeof(prefix), "%.*s", (int)git, r->git ? "." : r->path);
	CHECK_STR(got, r->want);
	CHECK_STR(prefix, r->prefix);
}

static void run_table(const char *path)
{
	struct table t;
	char *s;

	table_open(&t, path);
	while ((s = table_next(&t))) {
		struct row r = { .git = strncmp(s, "git ", 4) == 0 };

		snprintf(r.text, sizeof(r.text), "%s", s);
		if (sscanf(s + (r.git ? 4 : 0), "%c %255s | %127[^|] | %255s", &r.type, r.path,
			   r.want, r.prefix) != 4)
			table_die(&t, "expected TYPE PATH | CLASS: WHAT | PREFIX");
		while (r.want[0] && r.want[strlen(r.want) - 1] == ' ')
			r.want[strlen(r.want) - 1] = '\0';
		tap_run(check_row, &r, NULL, "%s:%d %s", t.name, t.line, r.text);
	}
}

/* Each row that a workspace can hold is found by its own name, so that none is forgotten. */
static void every_row(__attribute__((unused)) const void *arg)
{
	const struct policy_protected *rows;
	size_t n, i, git;
	char path[512];

	rows = policy_protected(&n);
	for (i = 0; i < n; i++) {
		const struct policy_protected *row;

		if (rows[i].place != POLICY_IN_ANY && rows[i].place != POLICY_IN_GIT &&
		    rows[i].place != POLICY_IN_WORKTREE)
			continue; /* others depend on more than the name */
		snprintf(path, sizeof(path), "sub/%s%s",
			 rows[i].place == POLICY_IN_GIT      ? ".git/" :
			 rows[i].place == POLICY_IN_WORKTREE ? ".git/worktrees/w/" :
							       "",
			 rows[i].name);
		row = review_names_protected(path, false, S_IFREG, &git);
		if (!row || row->class != rows[i].class)
			FAIL("%s is not %s", path, policy_class_name(rows[i].class));
	}
}

static const char *const argv[] = { "sh", "-c", "echo \"%\n\377\"", "", NULL };
static const struct review_tree trees[] = { { "/w", false }, { "/r/a b/.git", true } };

static void round_trip(__attribute__((unused)) const void *arg)
{
	struct review_record r = { .id = "0123456789",
				   .start = { .tv_sec = 1700000000, .tv_nsec = 5 },
				   .cwd = "/w/x",
				   .argv = argv,
				   .trees = trees,
				   .n_trees = 2 },
			     back;
	struct arena arena = ARENA_INIT(LIMIT_ARENA);
	struct buf b = BUF_INIT(LIMIT_REVIEW_RECORD);
	struct err e = ERR_INIT;
	size_t i;

	review_record_print(&b, &r);
	REQUIRE(review_record_parse(b.data, b.len, &arena, &back, &e) == 0);
	CHECK_STR(back.id, r.id);
	CHECK_STR(back.cwd, r.cwd);
	CHECK(back.start.tv_sec == r.start.tv_sec && back.start.tv_nsec == 5);
	for (i = 0; argv[i]; i++)
		CHECK_STR(back.argv[i], argv[i]);
	CHECK(!back.argv[i] && back.n_trees == 2 && back.trees[1].git && !back.trees[0].git);
	CHECK_STR(back.trees[1].path, "/r/a b/.git");
	/* every text that is one byte off is refused, or says something else */
	for (i = 0; i < b.len; i++) {
		struct review_record other;
		char was = b.data[i];
		struct buf again = BUF_INIT(LIMIT_REVIEW_RECORD);

		b.data[i] = (char)(was ^ 1);
		if (review_record_parse(b.data, b.len, &arena, &other, &e) == 0) {
			review_record_print(&again, &other);
			CHECK(again.len == b.len && memcmp(again.data, b.data, b.len) == 0);
		}
		buf_done(&again);
		b.data[i] = was;
		CHECK(review_record_parse(b.data, i, &arena, &other, &e) < 0);
	}
	buf_done(&b);
	arena_done(&arena);
}

static void ids(__attribute__((unused)) const void *arg)
{
	CHECK(review_is_id("0123") && review_is_id("0123456789") && review_is_id("abcdef"));
	CHECK(!review_is_id("") && !review_is_id("012") && !review_is_id("01234567890"));
	CHECK(!review_is_id("ABCD") && !review_is_id("012g") && !review_is_id("../0"));
}

static void visible(__attribute__((unused)) const void *arg)
{
	/* by its bytes: U+202E turns the direction of what follows, in an editor, too */
	static const char text[16] = { 'a',    '\033', '[',    '1',    'm',    '\t',
				       'b',    '\302', '\233', '\342', '\200', '\256',
				       '\377', '\303', '\244', '\303' };
	struct buf b = BUF_INIT(4096);

	review_visible(&b, text, sizeof(text));
	CHECK(!b.failed);
	CHECK_STR(b.data, "a^[[1m\tb<9B><U+202E><FF>\303\244<C3>");
	buf_done(&b);
}

static void names(__attribute__((unused)) const void *arg)
{
	int i, k;

	for (i = 0; i < REVIEW_KIND_NUM; i++) {
		for (k = 0; k < i; k++)
			CHECK(strcmp(review_kind_name((enum review_kind)i),
				     review_kind_name((enum review_kind)k)) != 0);
	}
	for (i = 0; i < REVIEW_FATE_NUM; i++) {
		for (k = 0; k < i; k++)
			CHECK(strcmp(review_fate_name((enum review_fate)i),
				     review_fate_name((enum review_fate)k)) != 0);
	}
	CHECK_STR(review_kind_name(REVIEW_KIND_NUM), "?");
	CHECK_STR(review_fate_name(REVIEW_FATE_NUM), "?");
}

int main(int argc, char **words)
{
	run_table(argc > 1 ? words[1] : NULL);
	tap_run(every_row, NULL, NULL, "every row of the table is found by its name");
	tap_run(round_trip, NULL, NULL, "what a record says is read back, and nothing else");
	tap_run(ids, NULL, NULL, "IDs");
	tap_run(visible, NULL, NULL, "control characters are made visible");
	tap_run(names, NULL, NULL, "kinds and fates have names of their own");
	return tap_done();
}
