/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A byte that chooses the hash and the size of the pieces, then an index. In whatever pieces it comes, the submodules are those that a second
 * reader finds, who has it as a whole.
 */
#include "git-reference.h"
#include "policy/policy.h"

#define ROOM (16ul * GIT_INDEX_PIECE)

/* What is there ends where the memory ends, so that the sanitizer sees each byte too many. Return: 0, REF_CUT, or negative errno. */
static int walk(const uint8_t *data, size_t size, size_t hash, size_t piece, struct buf *found)
{
	unsigned char *room = malloc(ROOM);
	struct git_index g;
	size_t have = 0, used, n;
	int step;

	FUZZ_REQUIRE(room);
	step = size < GIT_INDEX_HEAD ? REF_CUT : git_index_begin(&g, data, hash);
	if (!step) {
		data += GIT_INDEX_HEAD;
		size -= GIT_INDEX_HEAD;
	}
	while (!step) {
		n = size < piece ? size : piece;
		if (n > ROOM - have)
			n = ROOM - have;
		if (n == 0) {
			FUZZ_REQUIRE(size == 0); /* a full buffer holds every piece */
			step = git_index_whole(&g) ? 0 : REF_CUT;
			break;
		}
		memmove(room + ROOM - have - n, room + ROOM - have, have);
		memcpy(room + ROOM - n, data, n);
		have += n;
		data += n;
		size -= n;
		while ((step = git_index_next(&g, room + ROOM - have, have, &used)) ==
		       GIT_INDEX_SUBMODULE) {
			FUZZ_REQUIRE(used > 0 && used <= have);
			FUZZ_REQUIRE(g.len < LIMIT_PATH && strlen(g.path) == g.len);
			buf_add(found, g.path, g.len + 1);
			have -= used;
		}
		FUZZ_REQUIRE(used <= have);
		have -= used;
	}
	free(room);
	return step;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf want = BUF_INIT(1 << 20), found = BUF_INIT(1 << 20);
	size_t hash, pieces[2] = { SIZE_MAX }, i;
	int verdict;

	if (size < 1 || size > 8UL * GIT_INDEX_PIECE)
		return 0;
	hash = data[0] & 1 ? 32 : 20;
	pieces[1] = (size_t)(data[0] >> 1) * 3 + 1;
	verdict = ref_index(data + 1, size - 1, hash, &want);
	FUZZ_REQUIRE(!want.failed);
	for (i = 0; i < ARRAY_SIZE(pieces); i++) {
		found.len = 0;
		FUZZ_REQUIRE(walk(data + 1, size - 1, hash, pieces[i], &found) == verdict);
		FUZZ_REQUIRE(found.len == want.len);
		FUZZ_REQUIRE(!found.len || memcmp(found.data, want.data, want.len) == 0);
	}
	buf_done(&want);
	buf_done(&found);
	return 0;
}
