/* SPDX-License-Identifier: Apache-2.0 */
/* What a request names: RFC 9112 3.2, RFC 3986 3.2, less than they allow. */
#include <string.h>

#include "chars.h"

/* ":PORT" or nothing. */
static int parse_port(uint16_t *ret, struct http_slice s, struct err *e)
{
	unsigned int n = 0;
	size_t i;

	*ret = 0;
	if (s.len == 0)
		return 0;
	if (s.p[0] != ':')
		return REFUSE(e, "the host is followed by byte 0x%02x", (unsigned char)s.p[0]);
	if (s.len < 2 || s.len > 6 || s.p[1] == '0' ||
	    char_span(s.p + 1, s.len - 1, CHAR_DIGIT) != s.len - 1)
		return REFUSE(e, "the port is not a number from 1 to 65535");
	for (i = 1; i < s.len; i++)
		n = n * 10 + (unsigned int)(s.p[i] - '0');
	if (n > UINT16_MAX)
		return REFUSE(e, "the port is not a number from 1 to 65535");
	*ret = (uint16_t)n;
	return 0;
}

/* Between brackets; whether it is an address is for net_addr_parse() to say. */
static int parse_bracketed(struct http_target *t, struct http_slice s, struct err *e)
{
	const char *end = memchr(s.p, ']', s.len);
	size_t i;

	if (!end)
		return REFUSE(e, "a bracket of the host is not closed");
	t->bracketed = true;
	t->host = (struct http_slice){ s.p + 1, (size_t)(end - s.p) - 1 };
	if (t->host.len < 2)
		return REFUSE(e, "no address between the brackets");
	for (i = 0; i < t->host.len; i++) {
		if (!char_is(t->host.p[i], CHAR_HEX) && t->host.p[i] != ':' && t->host.p[i] != '.')
			return REFUSE(e, "byte 0x%02x between the brackets",
				      (unsigned char)t->host.p[i]);
	}
	return 0;
}

int http_authority_parse(struct http_target *ret, struct http_slice text, struct err *e)
{
	struct http_target t = { .form = HTTP_AUTHORITY };
	size_t used;
	int r;

	if (text.len > 0 && text.p[0] == '[') {
		r = parse_bracketed(&t, text, e);
		if (r < 0)
			return r;
		used = t.host.len + 2;
	} else {
		if (text.len > 0 && memchr(text.p, '@', text.len))
			return REFUSE(e, "user information before the host");
		used = char_span(text.p, text.len, CHAR_HOST);
		if (used == 0)
			return REFUSE(e, "no host");
		t.host = (struct http_slice){ text.p, used };
	}
	r = parse_port(&t.port, (struct http_slice){ text.p + used, text.len - used }, e);
	if (r < 0)
		return r;
	*ret = t;
	return 0;
}

/* "http://" or "https://", whose letters may be of any case. Return: the scheme, NULL for others. */
static const char *parse_scheme(struct http_slice *s)
{
	static const char *const schemes[] = { "http", "https" };
	size_t i, n;

	for (i = 0; i < ARRAY_SIZE(schemes); i++) {
		n = strlen(schemes[i]);
		if (s->len >= n + 3 && memcmp(s->p + n, "://", 3) == 0 &&
		    http_is((struct http_slice){ s->p, n }, schemes[i])) {
			s->p += n + 3;
			s->len -= n + 3;
			return schemes[i];
		}
	}
	return NULL;
}

static int parse_absolute(struct http_target *ret, struct http_slice s, struct err *e)
{
	const char *scheme = parse_scheme(&s);
	size_t n = 0;
	int r;

	if (!scheme)
		return REFUSE(e, "the target is no path and no URL of http or https");
	while (n < s.len && s.p[n] != '/')
		n++;
	r = http_authority_parse(ret, (struct http_slice){ s.p, n }, e);
	if (r < 0)
		return r;
	ret->form = HTTP_ABSOLUTE;
	ret->scheme = scheme;
	ret->path = (struct http_slice){ s.p + n, s.len - n };
	return 0;
}

int http_target_parse(struct http_target *ret, struct http_slice method, struct http_slice target,
		      struct err *e)
{
	struct http_target t = { .form = HTTP_AUTHORITY };
	int r;

	if (target.len == 0 || char_span(target.p, target.len, CHAR_TARGET) != target.len)
		return REFUSE(e, "the target has bytes that no target has");
	if (method.len == 7 && memcmp(method.p, "CONNECT", 7) == 0) {
		r = http_authority_parse(&t, target, e);
		if (r < 0)
			return r;
		if (t.port == 0)
			return REFUSE(e, "CONNECT without a port");
		*ret = t;
		return 0;
	}
	if (target.p[0] == '/') {
		*ret = (struct http_target){ .form = HTTP_ORIGIN, .path = target };
		return 0;
	}
	if (target.len == 1 && target.p[0] == '*') {
		if (method.len != 7 || memcmp(method.p, "OPTIONS", 7) != 0)
			return REFUSE(e, "the target \"*\" is for OPTIONS only");
		*ret = (struct http_target){ .form = HTTP_ASTERISK };
		return 0;
	}
	return parse_absolute(ret, target, e);
}
