/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bytes of binary protocols in a table: hexadecimal digits with blanks between them, "text", {N ...} a vector behind its length in N bytes,
 * and @N*...@ N times.
 */
#ifndef TESTS_BYTES_H
#define TESTS_BYTES_H

#include <ctype.h>

#include "table.h"

/* Appends what stands at @s up to @close. Return: behind @close. */
static inline const char *bytes_read(const struct table *t, struct buf *b, const char *s,
				     char close)
{
	const char *from, *end;
	unsigned char byte;
	size_t at, width;
	char *past;
	long n;

	for (s += strspn(s, " "); *s && *s != close; s += strspn(s, " ")) {
		if (*s == '"') {
			from = s + 1;
			end = from + strcspn(from, "\"");
			buf_add(b, from, (size_t)(end - from));
			s = end + (*end == '"');
		} else if (*s == '{') {
			width = (size_t)(s[1] - '0');
			at = b->len;
			buf_add(b, "\0\0\0\0", width);
			s = bytes_read(t, b, s + 2, '}');
			for (n = (long)(b->len - at - width); width > 0; n >>= 8)
				b->data[at + --width] = (char)n;
		} else if (*s == '@') {
			n = strtol(s + 1, &past, 10);
			for (from = past + 1; n-- > 0;)
				s = bytes_read(t, b, from, '@');
		} else if (isxdigit((unsigned char)s[0]) && isxdigit((unsigned char)s[1])) {
			char hex[3] = { s[0], s[1], '\0' };

			byte = (unsigned char)strtoul(hex, NULL, 16);
			buf_add(b, &byte, 1);
			s += 2;
		} else {
			table_die(t, s);
		}
	}
	if (*s != close)
		table_die(t, "something is not closed");
	return s + (close != '\0');
}

#endif
