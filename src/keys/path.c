/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one form of a path that is sent when it was compared (rules_path_normal()), and the plain one in which it is compared (rules_path_plain()). Both are of the same
 * path: what is refused is what servers read in several ways, so that the rest has one meaning for all of them.
 */
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

/* Bytes that are read in several ways, plain or coded. */
static int check_byte(unsigned char c, bool was_coded, struct err *e)
{
	if (c == ';')
		return REFUSE(e, "a semicolon, behind which some servers see parameters");
	if (c == '\\' || (c == '/' && was_coded))
		return was_coded ? REFUSE(e, "an encoded slash or backslash") :
				   REFUSE(e, "a backslash");
	if (c == '#' || c == '?')
		return REFUSE(e, "an encoded question mark, or a number sign");
	if (c < ' ' || c == 0x7f || (c == ' ' && !was_coded))
		return was_coded ? REFUSE(e, "an encoded control character") :
				   REFUSE(e, "a control character or blank");
	return 0;
}

/* A plain byte, or sequence of them: UTF-8, as what is coded. Return: bytes, or -EBADMSG. */
static int plain_character(struct http_slice in, struct err *e)
{
	unsigned char s[5] = { 0 };
	size_t n;
	int r = check_byte((unsigned char)*in.p, false, e);

	if (r < 0 || (unsigned char)*in.p < 0x80)
		return r < 0 ? r : 1;
	memcpy(s, in.p, in.len < 4 ? in.len : 4);
	n = buf_utf8_len(s);
	return n < 2 ? REFUSE(e, "bytes that are not UTF-8") : (int)n;
}

/* One character of a segment, plain or coded. @ret_dots: whether it is a dot that was encoded. Return: bytes read, or -EBADMSG. */
static int one(struct http_slice in, char *out, size_t *len, bool *ret_dots, struct err *e)
{
	static const char hex[] = "0123456789ABCDEF";
	int c, n = 1, r;
	size_t k;

	if (*in.p != '%') {
		n = plain_character(in, e);
		if (n > 0) {
			memcpy(out + *len, in.p, (size_t)n);
			*len += (size_t)n;
		}
		return n;
	}
	c = coded(in.p, in.len, e);
	r = c < 0 ? c : check_byte((unsigned char)c, true, e);
	if (r < 0)
		return r;
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

/* Of a normal form: whether decoding it once more would give something else. */
static bool coded_twice(const char *p, size_t n)
{
	size_t i;

	for (i = 0; i + 4 < n; i++) {
		if (memcmp(p + i, "%25", 3) == 0 &&
		    ((digit(p[i + 3]) >= 0 && digit(p[i + 4]) >= 0) || (p[i + 3] | 0x20) == 'u'))
			return true;
	}
	return false;
}

/* One character as it is compared: a percent sign stays coded, since plain it could be taken for the beginning of a code. */
static int add_plain(const char *piece, size_t n, char *out, size_t *len, struct err *e)
{
	size_t k;
	int c;

	for (k = 0; k < n; k++) {
		if (piece[k] != '%' || memcmp(piece + k, "%25", 3) == 0) {
			out[(*len)++] = piece[k];
			continue;
		}
		c = coded(piece + k, n - k, e);
		if (c < 0)
			return c;
		out[(*len)++] = (char)c;
		k += 2;
	}
	return 0;
}

ssize_t rules_path_plain(struct http_slice path, char *out, struct err *e)
{
	bool dots = false; /* these have no meaning here */
	size_t i, len = 0, n;
	char piece[16];
	int r, error;

	if (path.len >= RULES_PATH)
		return REFUSE(e, "too many bytes");
	for (i = 0; i < path.len; i += (size_t)r) {
		n = 0;
		r = one((struct http_slice){ path.p + i, path.len - i }, piece, &n, &dots, e);
		error = r < 0 ? r : add_plain(piece, n, out, &len, e);
		if (error < 0)
			return error;
	}
	out[len] = '\0';
	return (ssize_t)len;
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
	if (coded_twice(out, len))
		return REFUSE(e, "a percent code that is coded once more");
	out[len] = '\0';
	return (ssize_t)len;
}
