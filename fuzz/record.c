/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The texts in a record: "run", the journal, and a path of an upper layer. What is read is what would be written, and what a second reader
 * says is one.
 */
#include "fuzz.h"
#include "review/review.h"

/* Absolute, and neither empty names nor "." nor "..". */
static bool is_path(const char *path)
{
	char text[2 * LIMIT_PATH];

	if (path[0] != '/' || strlen(path) >= LIMIT_PATH)
		return false;
	snprintf(text, sizeof(text), "%s/", path);
	return !path[1] || (!strstr(text, "//") && !strstr(text, "/./") && !strstr(text, "/../"));
}

/* "KEY VALUE" at *@s, of a text that ends in NUL. A byte is itself or %XX, as it must be. */
static bool field(const char **s, const char *key, char *value)
{
	const char *at = *s;
	unsigned int c;
	char again[16];

	if (strncmp(at, key, strlen(key)) != 0 || at[strlen(key)] != ' ')
		return false;
	for (at += strlen(key) + 1; *at != '\n'; value++) {
		if (*at == '%') {
			snprintf(again, sizeof(again), "%.2s", at + 1);
			c = (unsigned int)strtoul(again, NULL, 16);
			snprintf(again, sizeof(again), "%%%02x", c);
			if (!c || strncmp(at, again, 3) != 0 || (c > 0x20 && c < 0x7f && c != '%'))
				return false;
			*value = (char)c;
			at += 3;
		} else {
			if (*at <= 0x20 || *at >= 0x7f)
				return false;
			*value = *at++;
		}
	}
	*value = '\0';
	*s = at + 1;
	return true;
}

/* A number as it is printed, of so many digits. */
static bool digits(const char **s, int least, int most)
{
	int n = (int)strspn(*s, "0123456789");

	*s += n;
	return n >= least && n <= most;
}

/* The record as a second reader sees it, line by line in the only order. Return: how many trees; 0: it is none. */
static size_t record(const char *text, size_t n)
{
	char *value = malloc(n + 1);
	const char *s = text, *digit;
	size_t trees = 0;
	bool good;

	FUZZ_REQUIRE(value);
	good = n <= LIMIT_REVIEW_RECORD && strlen(text) == n && n > 0 && text[n - 1] == '\n' &&
	       strncmp(s, "bailey-run 1\n", 13) == 0;
	s += good ? 13 : 0;
	good = good && field(&s, "id", value) && strlen(value) == 10 &&
	       strspn(value, "0123456789abcdef") == 10;
	good = good && strncmp(s, "start ", 6) == 0;
	s += good ? 6 : 0;
	digit = s;
	good = good && digits(&s, 1, 12) && (digit[0] != '0' || s == digit + 1) && *s++ == '.' &&
	       digits(&s, 9, 9) && *s++ == '\n';
	good = good && field(&s, "cwd", value) && is_path(value);
	while (good && field(&s, "arg", value))
		;
	while (good && (field(&s, "tree", value) || field(&s, "git", value))) {
		good = is_path(value);
		trees++;
	}
	free(value);
	return good && trees <= LIMIT_REVIEW_TREES && strcmp(s, "end\n") == 0 ? trees : 0;
}

/* One entry: three strings, the number of a tree, a directory, a name of ours. Return: its bytes, or 0. */
static size_t entry(const char *text, size_t n)
{
	const char *part[3];
	size_t i, at = 0;

	for (i = 0; i < 3; i++) {
		part[i] = text + at;
		at += strnlen(part[i], n - at) + 1;
		if (at > n)
			return 0;
	}
	i = strlen(part[0]);
	if (i < 1 || i > 3 || strspn(part[0], "0123456789") != i || !*part[1] ||
	    strchr(part[2], '/') || strstr(part[2], ".bailey-") != part[2])
		return 0;
	return at;
}

static void journal(const char *text, size_t n)
{
	const char *dir, *name;
	size_t at = 0, used, tree;

	for (;;) {
		used = review_journal_next(text + at, n - at, &tree, &dir, &name);
		FUZZ_REQUIRE(used == entry(text + at, n - at));
		if (!used)
			break;
		FUZZ_REQUIRE(tree == strtoul(text + at, NULL, 10));
		FUZZ_REQUIRE(dir == text + at + strlen(text + at) + 1);
		FUZZ_REQUIRE(name == dir + strlen(dir) + 1);
		at += used;
	}
}

static void name(const char *path)
{
	static const mode_t types[] = { S_IFREG, S_IFDIR, S_IFLNK };
	const struct policy_protected *row;
	size_t i, git, tree;

	for (i = 0; i < 6; i++) {
		row = review_names_protected(path, i & 1, types[i / 2], &git);
		FUZZ_REQUIRE(git <= strlen(path) || (i & 1));
		FUZZ_REQUIRE((i & 1) || !git || memcmp(path + git - 4, ".git", 4) == 0);
		/* what is below a protected name is protected */
		if (row && row->class == POLICY_PROTECT && types[i / 2] == S_IFDIR &&
		    strlen(path) + 3 < LIMIT_PATH) {
			char below[LIMIT_PATH];

			snprintf(below, sizeof(below), "%s/x", path);
			row = review_names_protected(below, i & 1, S_IFREG, &tree);
			FUZZ_REQUIRE(row && row->class == POLICY_PROTECT);
		}
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf again = BUF_INIT(LIMIT_REVIEW_RECORD), seen = BUF_INIT(1 << 20);
	struct arena arena = ARENA_INIT(LIMIT_ARENA);
	struct review_record r;
	char path[LIMIT_PATH];
	struct err e = ERR_INIT;
	size_t i, n;
	char *text;

	if (size > 65536)
		return 0;
	text = malloc(size + 1);
	FUZZ_REQUIRE(text);
	memcpy(text, data, size);
	text[size] = '\0';
	n = record(text, size);
	if (review_record_parse(text, size, &arena, &r, &e) == 0) {
		review_record_print(&again, &r);
		FUZZ_REQUIRE(!again.failed && again.len == size &&
			     memcmp(again.data, data, size) == 0);
		FUZZ_REQUIRE(n > 0 && r.n_trees == n);
	} else {
		FUZZ_REQUIRE(n == 0 && e.msg[0]);
	}
	free(text);
	arena_done(&arena);
	journal((const char *)data, size);
	review_visible(&seen, (const char *)data, size);
	for (i = 0; i < seen.len; i++)
		FUZZ_REQUIRE((unsigned char)seen.data[i] >= 0x20 || seen.data[i] == '\n' ||
			     seen.data[i] == '\t');
	snprintf(path, sizeof(path), "%.*s", (int)(size < LIMIT_PATH - 1 ? size : LIMIT_PATH - 1),
		 (const char *)data);
	if (path[0] && path[0] != '/')
		name(path);
	buf_done(&again);
	buf_done(&seen);
	return 0;
}
