/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. An index is a header, entries, extensions and a checksum. An entry is ten words, of which the seventh is the mode, an
 * object name, flags, and a path: NUL-terminated and padded in versions 2 and 3, in version 4 a number of bytes to drop from the end of
 * the last path, and what follows. Of entries only the length and the mode matter; the path is looked at when the mode says submodule.
 */
#include "git.h"

#include <errno.h>
#include <string.h>

#define MODE_AT 24
#define STAT_BYTES 40
#define MODE_TYPE 0170000u
#define MODE_SUBMODULE 0160000u
#define FLAG_EXTENDED 0x4000u
#define NAME_MASK 0x0fffu

static uint32_t be32(const unsigned char *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static unsigned int be16(const unsigned char *p)
{
	return (unsigned int)p[0] << 8 | p[1];
}

static size_t at_most(size_t n, size_t max)
{
	return n < max ? n : max;
}

int git_index_begin(struct git_index *g, const unsigned char *head, size_t hash)
{
	*g = (struct git_index){ .hash = hash, .version = be32(head + 4), .left = be32(head + 8) };
	if (memcmp(head, "DIRC", 4) != 0 || (hash != 20 && hash != 32))
		return -EBADMSG;
	return g->version >= 2 && g->version <= 4 ? 0 : -EOPNOTSUPP;
}

bool git_path_plain(const char *path, size_t n)
{
	size_t i, len;

	if (n == 0 || n >= LIMIT_PATH || memchr(path, '\0', n))
		return false;
	for (i = 0; i <= n; i += len + 1) {
		const char *slash = memchr(path + i, '/', n - i);

		len = (slash ? (size_t)(slash - path) : n) - i;
		if (len == 0 || (len <= 2 && memcmp(path + i, "..", len) == 0) ||
		    (len == 4 && memcmp(path + i, ".git", 4) == 0))
			return false;
	}
	return true;
}

/* The path of an entry of version 2 or 3, of @n bytes at most. Return: bytes of the padded entry, 0: more are needed, or -EBADMSG. */
static long plain_entry(struct git_index *g, const unsigned char *p, size_t n, size_t fixed,
			unsigned int flags, bool wanted)
{
	size_t len = flags & NAME_MASK, size;
	const unsigned char *end;

	if (len == NAME_MASK) { /* as long as that, or longer */
		end = n > fixed ? memchr(p + fixed, '\0', at_most(n - fixed, LIMIT_PATH)) : NULL;
		if (!end)
			return n >= fixed + LIMIT_PATH ? -EBADMSG : 0;
		len = (size_t)(end - p) - fixed;
		if (len < NAME_MASK)
			return -EBADMSG;
	}
	size = (fixed + len + 8) & ~(size_t)7;
	if (n < size)
		return 0;
	if (p[fixed + len] != '\0')
		return -EBADMSG;
	if (wanted) {
		if (len >= LIMIT_PATH)
			return -EBADMSG;
		memcpy(g->path, p + fixed, len);
		g->path[len] = '\0';
		g->len = len;
	}
	return (long)size;
}

/* The same for version 4. */
static long packed_entry(struct git_index *g, const unsigned char *p, size_t n, size_t fixed)
{
	const unsigned char *end;
	size_t at = fixed, drop = 0, len;

	/* a number in base 128, highest first, where each further byte also adds one (git's varint.c) */
	do {
		if (at == n)
			return 0;
		if (drop > LIMIT_PATH)
			return -EBADMSG;
		drop = (drop << 7) + (p[at] & 0x7f) + (at > fixed ? 128 : 0);
	} while (p[at++] & 0x80);
	if (drop > g->len)
		return -EBADMSG;
	end = n > at ? memchr(p + at, '\0', at_most(n - at, LIMIT_PATH)) : NULL;
	if (!end)
		return n >= at + LIMIT_PATH ? -EBADMSG : 0;
	len = (size_t)(end - p) - at;
	if (g->len - drop + len >= LIMIT_PATH)
		return -EBADMSG;
	memcpy(g->path + g->len - drop, p + at, len + 1);
	g->len += len - drop;
	return (long)(at + len + 1);
}

/* One entry at @p. Return: its bytes, 0: more are needed, or negative errno. */
static long entry(struct git_index *g, const unsigned char *p, size_t n, bool *ret_submodule)
{
	size_t fixed = STAT_BYTES + g->hash + 2;
	unsigned int flags;
	long size;

	if (n < fixed + 2)
		return 0;
	flags = be16(p + fixed - 2);
	/* git looks at the type alone */
	*ret_submodule = (be32(p + MODE_AT) & MODE_TYPE) == MODE_SUBMODULE;
	if (flags & FLAG_EXTENDED) {
		if (g->version < 3)
			return -EBADMSG;
		fixed += 2;
	}
	size = g->version == 4 ? packed_entry(g, p, n, fixed) :
				 plain_entry(g, p, n, fixed, flags, *ret_submodule);
	/* git goes on behind such a name, and so must we */
	if (size > 0 && *ret_submodule && !git_path_plain(g->path, g->len))
		*ret_submodule = false;
	return size;
}

/* After the entries. An extension whose name begins with a small letter must be understood: gitformat-index(5). */
static int extensions(struct git_index *g, const unsigned char *p, size_t n, size_t *used)
{
	size_t step;

	for (;;) {
		step = g->skip < n - *used ? (size_t)g->skip : n - *used;
		*used += step;
		g->skip -= step;
		if (n - *used < 8 + g->hash) /* the checksum ends the file */
			return GIT_INDEX_MORE;
		if (p[*used] >= 'a' && p[*used] <= 'z' && memcmp(p + *used, "sdir", 4) != 0)
			return -EOPNOTSUPP;
		g->skip = 8 + (uint64_t)be32(p + *used + 4);
	}
}

int git_index_next(struct git_index *g, const unsigned char *p, size_t n, size_t *ret_used)
{
	bool submodule = false;
	long size;

	*ret_used = 0;
	while (g->left > 0) {
		size = entry(g, p + *ret_used, n - *ret_used, &submodule);
		if (size <= 0)
			return size < 0 ? (int)size : GIT_INDEX_MORE;
		*ret_used += (size_t)size;
		g->left--;
		if (submodule)
			return GIT_INDEX_SUBMODULE;
	}
	return extensions(g, p, n, ret_used);
}
