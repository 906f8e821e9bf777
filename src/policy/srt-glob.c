/* SPDX-License-Identifier: Apache-2.0 */
/*
 * srt's patterns in the words of glob.h. There, `\` is a character like others, `[!a]` and `[^a]` are sets of two, brackets that are no set are
 * text, and `**` crosses directories wherever it stands: "a**b" is "a*b", or "a*" + "/" + "**" + "/" + "*b".
 */
#include <errno.h>
#include <string.h>

#include "srt.h"

static size_t character(const char *s)
{
	size_t n = buf_utf8_len((const unsigned char *)s);

	return n ? n : 1;
}

/* Whether the set that begins behind the "[" before @p and ends at @close has its ranges in order. */
static bool is_set(const char *p, const char *close)
{
	if (p == close)
		return false;
	while (p < close) {
		size_t n = character(p), m;

		if (p + n < close && p[n] == '-' && p + n + 1 < close) {
			m = character(p + n + 1);
			/* UTF-8 sorts as code points do */
			if (strncmp(p, p + n + 1, n > m ? n : m) > 0)
				return false;
			n += 1 + m;
		}
		p += n;
	}
	return true;
}

/* Whether that set has the slash: there it matches one, here nothing does. */
static bool has_slash(const char *p, const char *close)
{
	while (p < close) {
		const char *from = p, *to = p;

		p += character(p);
		if (p < close && *p == '-' && p + 1 < close) {
			to = p + 1;
			p = to + character(to);
		}
		if ((unsigned char)*from <= '/' && (unsigned char)*to >= '/')
			return true;
	}
	return false;
}

/* A set in glob.h's words. */
static void put_set(struct buf *b, const char *p, const char *close)
{
	buf_puts(b, "[");
	while (p < close) {
		size_t n = character(p);

		if (strchr("!^[\\", *p))
			buf_puts(b, "\\");
		buf_add(b, p, n);
		if (p + n < close && p[n] == '-' && p + n + 1 < close) {
			p += n + 1;
			n = character(p);
			buf_puts(b, "-");
			if (strchr("!^[\\]", *p))
				buf_puts(b, "\\");
			buf_add(b, p, n);
		}
		p += n;
	}
	buf_puts(b, "]");
}

/*
 * "**" at @p, up to @end, beside other characters. @split: of two readings the one that crosses directories; the other one is that it stands for
 * nothing, or for characters of one name. "**" with a slash behind it may be nothing at all there: "a**" + "/b" is also "ab".
 * Return: bytes behind @end that are used.
 */
static size_t put_globstar(struct buf *b, const char *pattern, const char *p, const char *end,
			   bool split)
{
	bool first = p == pattern || p[-1] == '/';

	if (first && (!*end || *end == '/'))
		buf_puts(b, "**");
	else if (first)
		buf_puts(b, "**/*");
	else if (split)
		buf_puts(b, !*end || *end == '/' ? "*/**" : "*/**/*");
	else if (*end != '/')
		buf_puts(b, "*");
	return !first && !split && *end == '/';
}

/* Return: whether a "**" stands beside other characters, on both sides or behind them; negative errno. */
static int translate(const char *pattern, bool split, struct buf *b)
{
	const char *p, *close, *end;
	unsigned int beside = 0;
	bool both = false;
	size_t n;

	for (p = pattern; *p; p += n) {
		n = character(p);
		if (*p == '*' && p[1] == '*') {
			for (end = p; *end == '*'; end++)
				;
			n = (size_t)(end - p);
			if (p > pattern && p[-1] != '/') {
				/* three readings and more: nobody means that */
				beside += strncmp(end, "/**", 3) == 0 ? 2 : 1;
				both = true;
			} else if (*end && *end != '/') {
				beside++;
			}
			n += put_globstar(b, pattern, p, end, split);
			continue;
		}
		close = *p == '[' ? strchr(p + 1, ']') : NULL;
		if (close && is_set(p + 1, close)) {
			if (has_slash(p + 1, close))
				return -EINVAL;
			put_set(b, p + 1, close);
			n = (size_t)(close - p) + 1;
			continue;
		}
		if (*p == '[' || *p == '\\')
			buf_puts(b, "\\");
		buf_add(b, p, n);
	}
	if (b->failed)
		return -ENOMEM;
	return both && beside > 1 ? -EINVAL : both;
}

int srt_glob(const char *pattern, struct arena *a, const char *ret[SRT_GLOBS])
{
	int r = 0, i;

	for (i = 0; i < SRT_GLOBS && (i == 0 || r == 1); i++) {
		struct buf b = BUF_INIT(4ul * LIMIT_PATH);

		r = translate(pattern, i == 1, &b);
		if (r >= 0 && b.data && strlen(b.data) < LIMIT_PATH)
			ret[i] = arena_strdup(a, b.data);
		else if (r >= 0)
			r = -EINVAL;
		buf_done(&b);
		if (r < 0)
			return r;
		if (!ret[i])
			return -ENOMEM;
	}
	return i;
}
