/* SPDX-License-Identifier: Apache-2.0 */
#include "glob.h"

#include <errno.h>
#include <string.h>

_Static_assert(LIMIT_GLOB_PARTS < 64, "a set of parts, and the end, are the bits of a word");

/* The character at @s: its code point, or, where that is no UTF-8, a value that no pattern can name. */
static size_t character(const char *s, uint32_t *ret)
{
	const unsigned char *u = (const unsigned char *)s;
	size_t n = buf_utf8_len(u), i;

	if (n == 0) {
		*ret = 0x110000u + u[0];
		return 1;
	}
	*ret = n == 1 ? u[0] : u[0] & (0x7fu >> n);
	for (i = 1; i < n; i++)
		*ret = *ret << 6 | (u[i] & 0x3fu);
	return n;
}

/* One character of a set or a name, "\" taken away. Return: bytes; 0 when nothing is left. */
static size_t plain(const char *p, uint32_t *ret)
{
	size_t skip = *p == '\\';

	return p[skip] ? skip + character(p + skip, ret) : 0;
}

/*
 * The set that begins behind the "[" before @p. @ret_in: whether it has @c. Return: bytes up to and with "]"; 0 when it is no set.
 */
static size_t set(const char *p, uint32_t c, bool *ret_in)
{
	bool negated = *p == '!' || *p == '^', in = false, first = true;
	const char *s = p + negated;
	uint32_t lo = 0, hi = 0;
	size_t n;

	for (; first || *s != ']'; first = false) {
		/* classes such as [:alpha:] depend on a locale */
		if (*s == '[' && s[1] && strchr(":.=", s[1]))
			return 0;
		n = plain(s, &lo);
		if (n == 0)
			return 0;
		s += n;
		hi = lo;
		if (*s == '-' && s[1] != ']') {
			n = plain(s + 1, &hi);
			if (n == 0 || hi < lo)
				return 0;
			s += n + 1;
		}
		in = in || (c >= lo && c <= hi);
	}
	*ret_in = in != negated;
	return (size_t)(s + 1 - p);
}

/* One element of a pattern that is no "*", against one character. Return: bytes of the element, 0: no match. */
static size_t element(const char *p, uint32_t c)
{
	uint32_t want = 0;
	bool in = false;
	size_t n;

	if (*p == '?')
		return 1;
	if (*p == '[') {
		n = set(p + 1, c, &in);
		return n && in ? n + 1 : 0;
	}
	n = plain(p, &want);
	return n && want == c ? n : 0;
}

/* One name against one part. Only the last "*" is ever taken up again: what the ones before it matched can stay as it is. */
static bool name_matches(const char *p, const char *s)
{
	const char *star = NULL, *mark = s;
	uint32_t c = 0;
	size_t n, m;

	while (*s) {
		if (*p == '*') {
			star = ++p;
			mark = s;
			continue;
		}
		n = character(s, &c);
		m = *p ? element(p, c) : 0;
		if (m) {
			p += m;
			s += n;
			continue;
		}
		if (!star)
			return false;
		mark += character(mark, &c);
		s = mark;
		p = star;
	}
	return !p[strspn(p, "*")];
}

bool policy_glob_special(const char *path)
{
	return path[strcspn(path, "*?[\\")] != '\0';
}

void policy_glob_escape(struct buf *b, const char *path)
{
	for (; *path; path++) {
		if (strchr("*?[]\\", *path))
			buf_puts(b, "\\");
		buf_add(b, path, 1);
	}
}

/* Whether a part can be understood; "**" is a matter of the caller. */
static int check_part(const char *p, struct err *e)
{
	uint32_t c = 0;
	bool in = false;
	size_t n;

	for (; *p; p += n) {
		if (p[0] == '*' && p[1] == '*')
			return err_set(e, ERR_USAGE, -EINVAL,
				       "'**' must stand alone between slashes");
		n = 1;
		if (*p == '[') {
			n = set(p + 1, 0, &in);
			if (n == 0)
				return err_set(e, ERR_USAGE, -EINVAL,
					       "a '[' begins no set such as [abc] or [!a-z]; "
					       "write '\\[' for the character itself");
			n++;
		} else if (*p == '\\') {
			n = plain(p, &c);
			if (n == 0)
				return err_set(e, ERR_USAGE, -EINVAL,
					       "a '\\' has no character behind it; write '\\\\' "
					       "for the character itself");
		}
	}
	return 0;
}

/* Whether a part names just one name. */
static bool is_literal(const char *p)
{
	for (; *p; p++) {
		if (*p == '\\' && p[1])
			p++;
		else if (strchr("*?[", *p))
			return false;
	}
	return true;
}

/* Take the "\" out of a part that has no other special character, in place. */
static void unescape(char *s)
{
	char *out = s;

	for (; *s; s++) {
		if (*s == '\\')
			s++;
		*out++ = *s;
	}
	*out = '\0';
}

/* Append a name to the base: @base has LIMIT_PATH bytes, "/" is the root. */
static int append(char *base, const char *name, struct err *e)
{
	size_t len = strlen(base), n = strlen(name);

	if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return err_set(e, ERR_USAGE, -EINVAL, "'\\' before '%s' means nothing", name);
	if (len + n + 2 > LIMIT_PATH)
		return err_set(e, ERR_USAGE, -ENAMETOOLONG, "the path is longer than %d bytes",
			       LIMIT_PATH - 1);
	len -= len == 1;
	base[len] = '/';
	memcpy(base + len + 1, name, n + 1);
	return 0;
}

static int add_part(struct policy_glob *g, char *base, char *part, struct err *e)
{
	bool any = strcmp(part, "**") == 0;
	int r = any ? 0 : check_part(part, e);

	if (r < 0)
		return r;
	if (strcmp(part, "..") == 0) {
		if (g->n)
			return err_set(e, ERR_USAGE, -EINVAL,
				       "'..' behind a pattern: its place is not known");
		*(strrchr(base, '/') + (strrchr(base, '/') == base)) = '\0';
		return 0;
	}
	if (strcmp(part, ".") == 0 || (any && g->n && strcmp(g->part[g->n - 1], "**") == 0))
		return 0; /* nothing new */
	if (g->n == 0 && is_literal(part)) {
		unescape(part);
		return append(base, part, e);
	}
	if (g->n == LIMIT_GLOB_PARTS)
		return err_set(e, ERR_USAGE, -E2BIG, "the pattern has more than %d parts",
			       LIMIT_GLOB_PARTS);
	g->part[g->n++] = part;
	return 0;
}

int policy_glob_parse(struct policy_glob *g, const char *path, const char *cwd, const char *home,
		      struct arena *a, struct err *e)
{
	const char *from = path[0] == '/'                                 ? "/" :
			   path[0] == '~' && (!path[1] || path[1] == '/') ? "~" :
									    ".";
	char base[LIMIT_PATH], *part, *next;
	int r;

	*g = (struct policy_glob){ .n = 0 };
	r = path[0] ? path_normalize(from, cwd, home, base, e) :
		      path_normalize("", cwd, home, base, e);
	if (r < 0)
		return r;
	part = arena_strdup(a, path + (*from == '~'));
	if (!part)
		return err_set(e, ERR_SYSTEM, -ENOMEM, "out of memory");
	for (; r == 0 && part; part = next) {
		next = strchr(part, '/');
		if (next)
			*next++ = '\0';
		if (*part)
			r = add_part(g, base, part, e);
	}
	if (r < 0)
		return r;
	if (g->n && strcmp(g->part[g->n - 1], "**") == 0)
		g->n--; /* the directory with everything below: what a rule means anyway */
	if (g->n == 0 && !base[1] && policy_glob_special(path))
		g->part[g->n++] = "*"; /* but the root directory itself must stay */
	g->base = arena_strdup(a, base);
	return g->base ? 0 : err_set(e, ERR_SYSTEM, -ENOMEM, "out of memory");
}

static bool any_depth(const struct policy_glob *g, size_t i)
{
	return strcmp(g->part[i], "**") == 0;
}

/* "**" may stand for no directory at all. */
static uint64_t skip_empty(const struct policy_glob *g, uint64_t at)
{
	size_t i;

	for (i = 0; i < g->n; i++) {
		if ((at & 1ull << i) && any_depth(g, i))
			at |= 1ull << (i + 1);
	}
	return at;
}

uint64_t policy_glob_start(const struct policy_glob *g)
{
	return skip_empty(g, 1);
}

uint64_t policy_glob_step(const struct policy_glob *g, uint64_t at, const char *name, bool link)
{
	uint64_t next = 0;
	size_t i;

	for (i = 0; i < g->n; i++) {
		if (!(at & 1ull << i))
			continue;
		if (any_depth(g, i))
			next |= link ? 0 : 1ull << i;
		else if (name_matches(g->part[i], name))
			next |= 1ull << (i + 1);
	}
	return skip_empty(g, next);
}

bool policy_glob_accepts(const struct policy_glob *g, uint64_t at)
{
	return at & 1ull << g->n;
}
