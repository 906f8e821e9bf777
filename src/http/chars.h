/* SPDX-License-Identifier: Apache-2.0 */
/* Which bytes may stand where. */
#ifndef BAILEY_HTTP_CHARS_H
#define BAILEY_HTTP_CHARS_H

#include <errno.h>

#include "http.h"

enum {
	CHAR_TOKEN = 1,  /* RFC 9110 5.6.2: methods and names */
	CHAR_VALUE = 2,  /* values and reasons: text, blanks, bytes above 0x7f */
	CHAR_TARGET = 4, /* visible, but "#": no fragment is sent */
	CHAR_HOST = 8,   /* of a name or an IPv4 address */
	CHAR_DIGIT = 16,
	CHAR_HEX = 32,
};

extern const unsigned char http_chars[256];

static inline bool char_is(char c, unsigned int kinds)
{
	return (http_chars[(unsigned char)c] & kinds) != 0;
}

/* How many of @n bytes at @p are of that kind. */
static inline size_t char_span(const char *p, size_t n, unsigned int kind)
{
	size_t i = 0;

	while (i < n && char_is(p[i], kind))
		i++;
	return i;
}

static inline bool char_is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static inline char char_lower(char c)
{
	if (c >= 'A' && c <= 'Z')
		return (char)(c | 0x20);
	return c;
}

#define REFUSE(e, ...) err_set(e, ERR_USAGE, -EBADMSG, __VA_ARGS__)

#endif
