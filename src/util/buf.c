/* SPDX-License-Identifier: Apache-2.0 */
#include "buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool buf_room(struct buf *b, size_t n)
{
	size_t size = b->size ? b->size : 512;
	char *p;

	if (b->failed)
		return false;
	if (n >= b->max || b->len + n + 1 > b->max) {
		b->failed = true;
		return false;
	}
	while (size < b->len + n + 1)
		size *= 2;
	if (size > b->size) {
		p = realloc(b->data, size);
		if (!p) {
			b->failed = true;
			return false;
		}
		b->data = p;
		b->size = size;
	}
	return true;
}

void buf_add(struct buf *b, const void *p, size_t n)
{
	if (!buf_room(b, n))
		return;
	if (n == 1) /* most pieces of JSON: less than a call of memcpy */
		b->data[b->len] = *(const char *)p;
	else
		memcpy(b->data + b->len, p, n);
	b->len += n;
	b->data[b->len] = '\0';
}

void buf_puts(struct buf *b, const char *s)
{
	buf_add(b, s, strlen(s));
}

void buf_printf(struct buf *b, const char *fmt, ...)
{
	char tmp[8192];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(tmp, sizeof(tmp), fmt, ap);
	va_end(ap);
	if (n < 0 || (size_t)n >= sizeof(tmp))
		b->failed = true;
	else
		buf_add(b, tmp, (size_t)n);
}

size_t buf_utf8_len(const unsigned char *s)
{
	unsigned char lo = 0x80, hi = 0xbf;
	size_t n, i;

	if (s[0] < 0x80)
		return 1;
	if (s[0] >= 0xc2 && s[0] <= 0xdf)
		n = 2;
	else if (s[0] >= 0xe0 && s[0] <= 0xef)
		n = 3;
	else if (s[0] >= 0xf0 && s[0] <= 0xf4)
		n = 4;
	else
		return 0;
	if (s[0] == 0xe0)
		lo = 0xa0;
	else if (s[0] == 0xed)
		hi = 0x9f;
	else if (s[0] == 0xf0)
		lo = 0x90;
	else if (s[0] == 0xf4)
		hi = 0x8f;
	if (s[1] < lo || s[1] > hi)
		return 0;
	for (i = 2; i < n; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	}
	return n;
}

/* Marks that turn the direction of what follows, or end its line: U+061C, U+200E, U+200F, U+2028 to U+202E, U+2066 to U+2069. */
static bool misleads(const unsigned char *s)
{
	if (s[0] == 0xd8)
		return s[1] == 0x9c;
	if (s[0] != 0xe2 || (s[1] != 0x80 && s[1] != 0x81))
		return false;
	if (s[1] == 0x81)
		return s[2] >= 0xa6 && s[2] <= 0xa9;
	return s[2] == 0x8e || s[2] == 0x8f || (s[2] >= 0xa8 && s[2] <= 0xae);
}

void buf_quote(struct buf *b, const char *str)
{
	const unsigned char *s = (const unsigned char *)str;
	size_t n, i;

	for (; *s; s += n) {
		n = buf_utf8_len(s);
		/* names in UTF-8 stay readable; C0, C1 and loose bytes could be commands of a terminal */
		if (n == 0 || *s < 0x20 || *s == 0x7f || *s == '\\' ||
		    (*s == 0xc2 && s[1] < 0xa0) || misleads(s)) {
			n = n ? n : 1;
			for (i = 0; i < n; i++)
				buf_printf(b, "\\x%02x", s[i]);
		} else {
			buf_add(b, s, n);
		}
	}
}

void buf_done(struct buf *b)
{
	free(b->data);
	b->data = NULL;
	b->len = b->size = 0;
}
