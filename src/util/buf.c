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

void buf_quote(struct buf *b, const char *s)
{
	for (; *s; s++) {
		unsigned char c = (unsigned char)*s;

		/* Bytes from 0x80 stay: names in UTF-8 must stay readable, and C1 controls can't be told from them. */
		if (c < 0x20 || c == 0x7f || c == '\\')
			buf_printf(b, "\\x%02x", c);
		else
			buf_add(b, &c, 1);
	}
}

void buf_done(struct buf *b)
{
	free(b->data);
	b->data = NULL;
	b->len = b->size = 0;
}
