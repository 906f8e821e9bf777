/* SPDX-License-Identifier: Apache-2.0 */
#include "json.h"

#include <string.h>

/* How many bytes of @s stand for themselves. */
static size_t plain_len(const unsigned char *s)
{
	size_t len = 0, n;

	while (s[len] >= 0x20 && s[len] != 0x7f && s[len] != '"' && s[len] != '\\' &&
	       (n = buf_utf8_len(s + len)) > 0)
		len += n;
	return len;
}

static void put_string(struct buf *b, const char *str)
{
	const unsigned char *s = (const unsigned char *)str;
	size_t n;

	buf_puts(b, "\"");
	for (;;) {
		n = plain_len(s);
		buf_add(b, s, n);
		s += n;
		if (!*s)
			break;
		if (*s == '"' || *s == '\\')
			buf_printf(b, "\\%c", *s);
		else if (*s < 0x20 || *s == 0x7f)
			buf_printf(b, "\\u%04x", *s);
		else
			buf_puts(b, "\\ufffd");
		s++;
	}
	buf_puts(b, "\"");
}

static void put_key(struct json *j, const char *key)
{
	if (j->comma)
		buf_puts(j->out, ",");
	j->comma = true;
	if (key) {
		put_string(j->out, key);
		buf_puts(j->out, ":");
	}
}

void json_open(struct json *j, const char *key, char bracket)
{
	put_key(j, key);
	buf_add(j->out, &bracket, 1);
	j->comma = false;
}

void json_close(struct json *j, char bracket)
{
	buf_add(j->out, &bracket, 1);
	j->comma = true;
}

void json_str(struct json *j, const char *key, const char *s)
{
	put_key(j, key);
	if (s)
		put_string(j->out, s);
	else
		buf_puts(j->out, "null");
}

void json_int(struct json *j, const char *key, long long v)
{
	put_key(j, key);
	buf_printf(j->out, "%lld", v);
}

void json_raw(struct json *j, const char *key, const char *text)
{
	put_key(j, key);
	buf_puts(j->out, text);
}

void json_bool(struct json *j, const char *key, bool v)
{
	put_key(j, key);
	buf_puts(j->out, v ? "true" : "false");
}
