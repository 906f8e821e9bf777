/* SPDX-License-Identifier: Apache-2.0 */
/* The texts in a record: "run", the journal, and a path of an upper layer. What is read is what would be written. */
#include "fuzz.h"
#include "review/review.h"

static void journal(const char *text, size_t n)
{
	const char *dir, *name;
	size_t at = 0, used, tree;

	while ((used = review_journal_next(text + at, n - at, &tree, &dir, &name))) {
		FUZZ_REQUIRE(used <= n - at && tree < 1000 && dir > text && name > dir);
		FUZZ_REQUIRE(name + strlen(name) + 1 == text + at + used);
		FUZZ_REQUIRE(!strchr(name, '/') && strncmp(name, ".bailey-", 8) == 0);
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
	size_t i;

	if (size > 65536)
		return 0;
	if (review_record_parse((const char *)data, size, &arena, &r, &e) == 0) {
		review_record_print(&again, &r);
		FUZZ_REQUIRE(!again.failed && again.len == size &&
			     memcmp(again.data, data, size) == 0);
		FUZZ_REQUIRE(strlen(r.id) == REVIEW_ID && review_is_id(r.id));
		FUZZ_REQUIRE(r.n_trees > 0 && r.n_trees <= LIMIT_REVIEW_TREES);
		for (i = 0; i < r.n_trees; i++)
			FUZZ_REQUIRE(r.trees[i].path[0] == '/' &&
				     strlen(r.trees[i].path) < LIMIT_PATH);
	} else {
		FUZZ_REQUIRE(e.msg[0]);
	}
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
