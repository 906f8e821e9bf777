/* SPDX-License-Identifier: Apache-2.0 */
/* The one form in which paths are compared, and sent when they were. */
#include <errno.h>
#include <string.h>

#include "rules.h"

#define REFUSE(e, what) err_set(e, ERR_USAGE, -EBADMSG, "the path has %s", what)

static int digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)(c | 0x20);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool unreserved(unsigned char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '-' || c == '_' || c == '~' || c == '.';
}

/* One "%XX" at @p, @n bytes are left. Return: the byte, or -EBADMSG. */
static int coded(const char *p, size_t n, struct err *e)
{
	int hi = n >= 3 ? digit(p[1]) : -1, lo = n >= 3 ? digit(p[2]) : -1;

	if (hi < 0 || lo < 0)
		return REFUSE(e, "a percent sign without two digits");
	return hi << 4 | lo;
}

/* Encoded bytes above 0x7f are UTF-8: else some server makes a slash of "%c0%af". Return: bytes of the sequence at @p, or -EBADMSG. */
static int coded_character(const char *p, size_t n, struct err *e)
{
	unsigned char s[5] = { 0 };
	size_t k, len;
	int c;

	for (k = 0; k < 4 && n > 3 * k && p[3 * k] == '%'; k++) {
		c = coded(p + 3 * k, n - 3 * k, e);
		if (c < 0)
			return c;
		s[k] = (unsigned char)c;
	}
	len = buf_utf8_len(s);
	return len < 2 || len > k ? REFUSE(e, "encoded bytes that are not UTF-8") : (int)len;
}

/* Take the segment that ends at @len away again if it is a dot segment. @ret_len: behind it. */
static int end_segment(char *out, size_t from, size_t *len, bool last, bool dots, struct err *e)
{
	const char *s = out + from;
	size_t n = *len - from, stem = 0;

	while (stem < n && s[stem] != ';')
		stem++;
	if (stem == 0 || stem > 2 || memcmp(s, "..", stem) != 0) {
		if (n == 0 && !last)
			return REFUSE(e, "an empty segment");
		return 0;
	}
	if (dots)
		return REFUSE(e, "a dot segment whose dots are encoded");
	if (stem < n)
		return REFUSE(e, "a dot segment with parameters");
	*len = from;
	if (stem == 2) {
		if (from == 1)
			return REFUSE(e, "\"..\" above the root");
		for (*len = from - 1; out[*len - 1] != '/'; (*len)--)
			;
	}
	return 0;
}

/* One byte or code of a segment. @ret_dots: whether it is a dot that was encoded. Return: bytes read, or -EBADMSG. */
static int one(struct http_slice in, char *out, size_t *len, bool *ret_dots, struct err *e)
{
	static const char hex[] = "0123456789ABCDEF";
	int c, n = 1;
	size_t k;

	if (*in.p == '\\')
		return REFUSE(e, "a backslash");
	if (*in.p != '%') {
		out[(*len)++] = *in.p;
		return 1;
	}
	c = coded(in.p, in.len, e);
	if (c < 0)
		return c;
	if (c == '/' || c == '\\')
		return REFUSE(e, "an encoded slash or backslash");
	if (c < ' ' || c == 0x7f)
		return REFUSE(e, "an encoded control character");
	if (unreserved((unsigned char)c)) {
		*ret_dots |= c == '.';
		out[(*len)++] = (char)c;
		return 3;
	}
	if (c >= 0x80)
		n = coded_character(in.p, in.len, e);
	for (k = 0; n > 0 && k < (size_t)n; k++) {
		c = coded(in.p + 3 * k, 3, e); /* was read before */
		out[(*len)++] = '%';
		out[(*len)++] = hex[c >> 4 & 15];
		out[(*len)++] = hex[c & 15];
	}
	return n < 0 ? n : 3 * n;
}

ssize_t rules_path_normal(struct http_slice path, char *out, struct err *e)
{
	size_t i = 1, len = 1, from = 1;
	bool dots = false;
	int r;

	if (path.len == 0 || path.p[0] != '/' || path.len >= RULES_PATH)
		return REFUSE(e, "no slash at its beginning, or too many bytes");
	out[0] = '/';
	while (i < path.len) {
		if (path.p[i] != '/') {
			r = one((struct http_slice){ path.p + i, path.len - i }, out, &len, &dots,
				e);
			if (r < 0)
				return r;
			i += (size_t)r;
			continue;
		}
		r = end_segment(out, from, &len, false, dots, e);
		if (r < 0)
			return r;
		if (out[len - 1] != '/')
			out[len++] = '/';
		from = len;
		dots = false;
		i++;
	}
	r = end_segment(out, from, &len, true, dots, e);
	if (r < 0)
		return r;
	out[len] = '\0';
	return (ssize_t)len;
}
