/* SPDX-License-Identifier: Apache-2.0 */
#include "text.h"

#include <string.h>

#include "buf.h"

/* Columns of @n bytes of UTF-8; our own words have no wide characters. */
static size_t columns(const char *s, size_t n)
{
	size_t i, count = 0;

	for (i = 0; i < n; i++)
		count += ((unsigned char)s[i] & 0xc0) != 0x80;
	return count;
}

void text_wrap(struct buf *b, const char *s, size_t column, size_t indent)
{
	bool first = true; /* of its line */

	while (*s) {
		size_t n = strcspn(s, " \n"), width = columns(s, n);

		if (!first && column + 1 + width > TEXT_WIDTH) {
			buf_printf(b, "\n%*s", (int)indent, "");
			column = indent;
		} else if (!first) {
			buf_puts(b, " ");
			column++;
		}
		buf_add(b, s, n);
		column += width;
		first = false;
		s += n;
		if (*s == '\n') {
			buf_printf(b, "\n%*s", s[1] == '\n' || !s[1] ? 0 : (int)indent, "");
			column = indent;
			first = true;
		}
		if (*s)
			s++;
	}
	buf_puts(b, "\n");
}

void text_title(struct buf *b, const char *s, bool bold)
{
	buf_printf(b, bold ? "\033[1m%s\033[0m\n" : "%s\n", s);
}

/* Bytes of the sequence at @s that are no text, but could be commands of a terminal; 0: none. */
static size_t unsafe(const unsigned char *s)
{
	size_t n = buf_utf8_len(s);

	if (n == 0)
		return 1;
	return *s < 0x20 || *s == 0x7f || (*s == 0xc2 && s[1] < 0xa0) ? n : 0;
}

/* In the form that knows escapes. Octal: a digit that follows is not taken for a part of it. */
static void shell_escaped(struct buf *b, const unsigned char *s)
{
	size_t n, i;

	buf_puts(b, "$'");
	for (; *s; s += n) {
		n = unsafe(s);
		for (i = 0; i < n; i++)
			buf_printf(b, "\\%03o", s[i]);
		if (n > 0)
			continue;
		n = buf_utf8_len(s);
		if (*s == '\'' || *s == '\\')
			buf_puts(b, "\\");
		buf_add(b, s, n);
	}
	buf_puts(b, "'");
}

void text_shell(struct buf *b, const char *s)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
				    "@%+=:,./-_^";
	const unsigned char *at;

	if (*s && s[strspn(s, plain)] == '\0') {
		buf_puts(b, s);
		return;
	}
	for (at = (const unsigned char *)s; *at; at += buf_utf8_len(at)) {
		if (unsafe(at)) {
			shell_escaped(b, (const unsigned char *)s);
			return;
		}
	}
	buf_puts(b, "'");
	for (; *s; s++) {
		if (*s == '\'')
			buf_puts(b, "'\"'\"'"); /* no backslash: messages escape those */
		else
			buf_add(b, s, 1);
	}
	buf_puts(b, "'");
}
