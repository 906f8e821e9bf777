/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An archive that a sandbox sends. Every entry that is read stays below the top and within the bounds, its data is as long as was said, and what is written of it is read again as the
 * same.
 */
#include <errno.h>

#include "archive/archive.h"
#include "fuzz.h"

#define MOST (1u << 30)

struct memory {
	const unsigned char *p;
	size_t n;
};

static int from_memory(void *arg, void *p, size_t n)
{
	struct memory *m = arg;

	if (n > m->n)
		return m->n ? -EBADMSG : -ENODATA;
	if (n)
		memcpy(p, m->p, n);
	m->p += n;
	m->n -= n;
	return 0;
}

/* As a second reader sees it: no way up, nothing to be left out. */
static void check_path(const char *path)
{
	char text[LIMIT_PATH + 3];

	FUZZ_REQUIRE(strlen(path) < LIMIT_PATH);
	if (strcmp(path, ".") == 0)
		return;
	snprintf(text, sizeof(text), "/%s/", path);
	FUZZ_REQUIRE(!strstr(text, "//") && !strstr(text, "/./") && !strstr(text, "/../"));
}

static void check_again(const struct tar_entry *t)
{
	struct buf b = BUF_INIT(1u << 20);
	struct memory m;
	struct tar_in in = { .read = from_memory, .arg = &m };
	struct tar_entry u;
	struct err e = ERR_INIT;

	tar_header(t, &b);
	FUZZ_REQUIRE(!b.failed && b.len % TAR_BLOCK == 0);
	m = (struct memory){ (const unsigned char *)b.data, b.len };
	tar_entry_init(&u);
	FUZZ_REQUIRE(tar_next(&in, &u, &e) == 1);
	FUZZ_REQUIRE(u.type == t->type && u.mode == t->mode && u.uid == t->uid && u.gid == t->gid &&
		     u.size == t->size && strcmp(u.path, t->path) == 0);
	FUZZ_REQUIRE(t->type == TAR_FILE || t->type == TAR_DIR || strcmp(u.link, t->link) == 0);
	FUZZ_REQUIRE(t->mtime.tv_sec < 0 ||
		     (u.mtime.tv_sec == t->mtime.tv_sec && u.mtime.tv_nsec == t->mtime.tv_nsec));
	FUZZ_REQUIRE(u.xattrs.len == t->xattrs.len &&
		     (!u.xattrs.len || memcmp(u.xattrs.data, t->xattrs.data, u.xattrs.len) == 0));
	tar_entry_done(&u);
	buf_done(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct memory m = { data, size };
	struct tar_in in = { .read = from_memory, .arg = &m, .most = MOST };
	struct tar_entry t;
	struct err e = ERR_INIT;
	uint64_t total = 0, got;
	char part[777];
	ssize_t n;
	int r;

	tar_entry_init(&t);
	while ((r = tar_next(&in, &t, &e)) == 1) {
		check_path(t.path);
		if (t.type == TAR_HARDLINK)
			check_path(t.link);
		FUZZ_REQUIRE((t.mode & ~01777u) == 0 && (t.size == 0 || t.type == TAR_FILE));
		FUZZ_REQUIRE(t.mtime.tv_nsec >= 0 && t.mtime.tv_nsec < 1000000000);
		total += t.size;
		FUZZ_REQUIRE(total <= MOST);
		if (t.type != TAR_FIFO && t.type != TAR_DEVICE)
			check_again(&t); /* the others are never written */
		for (got = 0; data[0] % 2 && (n = tar_data(&in, part, sizeof(part), &e)) > 0;)
			got += (uint64_t)n;
		FUZZ_REQUIRE(got <= t.size);
	}
	FUZZ_REQUIRE(r == 0 || e.code != ERR_NONE);
	tar_entry_done(&t);
	return 0;
}
