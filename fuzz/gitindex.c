/* SPDX-License-Identifier: Apache-2.0 */
/* A byte that chooses the hash and the size of the pieces, then an index. In whatever pieces it comes, the submodules are the same. */
#include "fuzz.h"
#include "policy/policy.h"

struct outcome {
	int bad;
	uint64_t submodules; /* a digest of their paths, in order */
	size_t n;
};

static void add(struct outcome *o, const struct git_index *g)
{
	const char *s;

	FUZZ_REQUIRE(g->len < LIMIT_PATH && strlen(g->path) == g->len);
	FUZZ_REQUIRE(git_path_plain(g->path, g->len) && g->path[0] != '/');
	FUZZ_REQUIRE(!strstr(g->path, "/../") && !strstr(g->path, "/.git/"));
	for (s = g->path; *s; s++)
		o->submodules = o->submodules * 1099511628211u + (unsigned char)*s;
	o->submodules = o->submodules * 31 + 7;
	o->n++;
}

static struct outcome walk(const uint8_t *data, size_t size, size_t hash, size_t piece)
{
	static unsigned char buf[GIT_INDEX_PIECE * 16];
	struct outcome o = { 0 };
	struct git_index g;
	size_t have = 0, used, n;
	int step;

	o.bad = size < GIT_INDEX_HEAD ? -1 : git_index_begin(&g, data, hash);
	if (o.bad)
		return o;
	data += GIT_INDEX_HEAD;
	size -= GIT_INDEX_HEAD;
	for (;;) {
		n = size < piece ? size : piece;
		if (n > sizeof(buf) - have)
			n = sizeof(buf) - have;
		if (n == 0) {
			FUZZ_REQUIRE(size == 0); /* a full buffer holds every piece */
			o.bad = !git_index_whole(&g);
			return o;
		}
		memcpy(buf + have, data, n);
		have += n;
		data += n;
		size -= n;
		do {
			step = git_index_next(&g, buf, have, &used);
			FUZZ_REQUIRE(used <= have);
			have -= used;
			memmove(buf, buf + used, have);
			if (step == GIT_INDEX_SUBMODULE)
				add(&o, &g);
		} while (step == GIT_INDEX_SUBMODULE);
		if (step < 0) {
			o.bad = step;
			return o;
		}
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct outcome whole, pieces;
	size_t hash, piece;

	if (size < 1 || size > 8UL * GIT_INDEX_PIECE)
		return 0;
	hash = data[0] & 1 ? 32 : 20;
	piece = (size_t)(data[0] >> 1) * 3 + 1;
	whole = walk(data + 1, size - 1, hash, SIZE_MAX);
	pieces = walk(data + 1, size - 1, hash, piece);
	FUZZ_REQUIRE(whole.bad == pieces.bad && whole.n == pieces.n &&
		     whole.submodules == pieces.submodules);
	return 0;
}
