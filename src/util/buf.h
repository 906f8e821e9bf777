/* SPDX-License-Identifier: Apache-2.0 */
/* A growing byte buffer with a cap. The first failure sticks: write many times, check once. */
#ifndef BAILEY_UTIL_BUF_H
#define BAILEY_UTIL_BUF_H

#include <stdbool.h>
#include <stddef.h>

struct buf {
	char *data; /* owned; NUL-terminated whenever it is not NULL */
	size_t len, size, max;
	bool failed;
};

#define BUF_INIT(limit)                                                            \
	{                                                                          \
		.data = NULL, .len = 0, .size = 0, .max = (limit), .failed = false \
	}

/** buf_add() - append @n bytes. */
void buf_add(struct buf *b, const void *p, size_t n);

/** buf_puts() - append a string. */
void buf_puts(struct buf *b, const char *s);

/** buf_printf() - append formatted text (at most 8 KiB a call). */
__attribute__((format(printf, 2, 3))) void buf_printf(struct buf *b, const char *fmt, ...);

/** buf_utf8_len() - length of the valid UTF-8 sequence at @s (RFC 3629). Return: 1-4, or 0 when there is none. */
size_t buf_utf8_len(const unsigned char *s);

/** buf_quote() - append @s with backslashes, control characters and bytes that are not UTF-8 escaped, for terminals and logs. */
void buf_quote(struct buf *b, const char *s);

/** buf_done() - free. */
void buf_done(struct buf *b);

#endif
