/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The text of a record: a line a fact, "key value", with everything but plain characters in values as %XX. Only what review_record_print() writes
 * is read: the reader prints what it has read and compares, so nothing can be said in two ways, left out or added.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "review.h"

#define HEAD "bailey-run 1"

static void put(struct buf *b, const char *key, const char *value)
{
	const unsigned char *s = (const unsigned char *)value;

	buf_printf(b, "%s ", key);
	for (; *s; s++) {
		if (*s > 0x20 && *s < 0x7f && *s != '%')
			buf_add(b, s, 1);
		else
			buf_printf(b, "%%%02x", *s);
	}
	buf_puts(b, "\n");
}

void review_record_print(struct buf *b, const struct review_record *r)
{
	const char *const *arg;
	size_t i;

	buf_puts(b, HEAD "\n");
	put(b, "id", r->id);
	buf_printf(b, "start %lld.%09ld\n", (long long)r->start.tv_sec, r->start.tv_nsec);
	put(b, "cwd", r->cwd);
	for (arg = r->argv; *arg; arg++)
		put(b, "arg", *arg);
	for (i = 0; i < r->n_trees; i++)
		put(b, r->trees[i].git ? "git" : "tree", r->trees[i].path);
	buf_puts(b, "end\n");
}

static int digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The value of @n bytes at @s, as a string. NULL: no memory, or not a value. */
static const char *value(struct arena *a, const char *s, size_t n)
{
	char *out = arena_alloc(a, n + 1);
	size_t i, k = 0;

	for (i = 0; out && i < n; i++) {
		if (s[i] == '\0')
			return NULL;
		if (s[i] != '%') {
			out[k++] = s[i];
			continue;
		}
		if (i + 2 >= n || digit(s[i + 1]) < 0 || digit(s[i + 2]) < 0)
			return NULL;
		out[k] = (char)(digit(s[i + 1]) * 16 + digit(s[i + 2]));
		if (!out[k++])
			return NULL;
		i += 2;
	}
	return out;
}

static bool is_path(const char *path)
{
	char norm[LIMIT_PATH];

	return path[0] == '/' && strlen(path) < LIMIT_PATH &&
	       path_normalize(path, "/", NULL, norm, NULL) == 0 && strcmp(norm, path) == 0;
}

static bool is_time(const char *s, struct timespec *ret)
{
	long long sec = 0;
	long nsec = 0;
	int i;

	for (i = 0; i < 12 && *s >= '0' && *s <= '9'; i++)
		sec = sec * 10 + (*s++ - '0');
	if (i == 0 || *s++ != '.')
		return false;
	for (i = 0; i < 9; i++, s++) {
		if (*s < '0' || *s > '9')
			return false;
		nsec = nsec * 10 + (*s - '0');
	}
	*ret = (struct timespec){ .tv_sec = sec, .tv_nsec = nsec };
	return !*s;
}

struct reader {
	struct arena *arena;
	struct review_record *r;
	const char **argv;
	struct review_tree *trees;
	size_t n_args, max_args;
};

/* One line; order and repetition are judged by printing. */
static bool take(struct reader *rd, const char *key, size_t key_len, const char *v)
{
	struct review_record *r = rd->r;

	if (key_len == 2 && memcmp(key, "id", 2) == 0) {
		(void)snprintf(r->id, sizeof(r->id), "%s", v);
		return strlen(v) == REVIEW_ID && review_is_id(v);
	}
	if (key_len == 5 && memcmp(key, "start", 5) == 0)
		return is_time(v, &r->start);
	if (key_len == 3 && memcmp(key, "cwd", 3) == 0) {
		r->cwd = v;
		return is_path(v);
	}
	if (key_len == 3 && memcmp(key, "arg", 3) == 0) {
		if (rd->n_args == rd->max_args)
			return false;
		rd->argv[rd->n_args++] = v;
		return true;
	}
	if ((key_len == 4 && memcmp(key, "tree", 4) == 0) ||
	    (key_len == 3 && memcmp(key, "git", 3) == 0)) {
		if (r->n_trees == LIMIT_REVIEW_TREES)
			return false;
		rd->trees[r->n_trees++] = (struct review_tree){ .path = v, .git = key_len == 3 };
		return is_path(v);
	}
	return false;
}

static bool read_lines(struct reader *rd, const char *text, size_t n)
{
	const char *end = text + n, *nl, *space, *v;

	for (; text < end; text = nl + 1) {
		nl = memchr(text, '\n', (size_t)(end - text));
		if (!nl)
			return false;
		if ((size_t)(nl - text) == strlen(HEAD) && memcmp(text, HEAD, strlen(HEAD)) == 0)
			continue;
		if (nl - text == 3 && memcmp(text, "end", 3) == 0)
			return nl + 1 == end;
		space = memchr(text, ' ', (size_t)(nl - text));
		v = space ? value(rd->arena, space + 1, (size_t)(nl - space - 1)) : NULL;
		if (!v || !take(rd, text, (size_t)(space - text), v))
			return false;
	}
	return false;
}

int review_record_parse(const char *text, size_t n, struct arena *arena, struct review_record *ret,
			struct err *e)
{
	struct review_record r = { .n_trees = 0 };
	struct reader rd = { .arena = arena, .r = &r };
	struct buf again = BUF_INIT(LIMIT_REVIEW_RECORD + 1);
	size_t i;
	bool good;

	if (n > LIMIT_REVIEW_RECORD)
		return err_set(e, ERR_SYSTEM, -EBADMSG, "longer than %d bytes",
			       LIMIT_REVIEW_RECORD);
	for (i = 0; i < n; i++)
		rd.max_args += text[i] == '\n';
	rd.argv = arena_alloc(arena, (rd.max_args + 1) * sizeof(*rd.argv));
	rd.trees = arena_alloc(arena, LIMIT_REVIEW_TREES * sizeof(*rd.trees));
	if (!rd.argv || !rd.trees)
		return err_set(e, ERR_SYSTEM, -ENOMEM, "out of memory for a record");
	good = read_lines(&rd, text, n) && r.cwd && r.id[0] && r.n_trees;
	r.argv = rd.argv;
	r.trees = rd.trees;
	if (good) {
		review_record_print(&again, &r);
		good = !again.failed && again.len == n && memcmp(again.data, text, n) == 0;
	}
	buf_done(&again);
	if (!good)
		return err_set(e, ERR_SYSTEM, -EBADMSG,
			       "it is not what this version of bailey writes");
	*ret = r;
	return 0;
}
