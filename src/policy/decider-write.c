/* SPDX-License-Identifier: Apache-2.0 */
/* The frames that are sent to a decider. */
#include "decider.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static void put_length(char *at, size_t n)
{
	unsigned int i;

	for (i = 0; i < 4; i++)
		at[i] = (char)(unsigned char)(n >> (24 - 8 * i));
}

/* Begin a frame; its length is known later. Return: where it begins. */
static size_t begin(struct buf *b)
{
	buf_add(b, "\0\0\0\0", 4);
	return b->len;
}

static void end(struct buf *b, size_t at)
{
	if (!b->failed)
		put_length(b->data + at - 4, b->len - at);
}

void decider_hello_write(struct buf *b)
{
	size_t at = begin(b);

	buf_puts(b, "{\"t\":\"hello\",\"proto\":1}");
	end(b, at);
}

/* A byte above ASCII is a character of ISO 8859-1, as every reader of header fields takes it. */
static void put_text(struct buf *b, struct decider_bytes s)
{
	size_t i;

	buf_puts(b, "\"");
	for (i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];

		if (c == '"' || c == '\\')
			buf_add(b, (char[]){ '\\', (char)c }, 2);
		else if (c < 0x20)
			buf_printf(b, "\\u%04x", c);
		else if (c < 0x80)
			buf_add(b, &s.p[i], 1);
		else
			buf_add(b, (char[]){ (char)(0xc0 | c >> 6), (char)(0x80 | (c & 0x3f)) }, 2);
	}
	buf_puts(b, "\"");
}

static void put_member(struct buf *b, const char *key, struct decider_bytes s)
{
	buf_printf(b, ",\"%s\":", key);
	put_text(b, s);
}

static size_t utf8_bytes(struct decider_bytes s)
{
	size_t i, n = s.n;

	for (i = 0; i < s.n; i++)
		n += (unsigned char)s.p[i] >= 0x80;
	return n;
}

static bool same(struct decider_bytes a, struct decider_bytes b)
{
	return a.n == b.n && (a.n == 0 || strncasecmp(a.p, b.p, a.n) == 0);
}

/* Whether a field of that name stands before @i. */
static bool before(const struct decider_request *q, size_t i)
{
	size_t k;

	for (k = 0; k < i && !same(q->fields[k].name, q->fields[i].name); k++)
		;
	return k < i;
}

static bool is_plain(struct decider_bytes s)
{
	size_t i;

	for (i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];

		if ((c < 0x20 && c != '\t') || (c >= 0x7f && c <= 0x9f))
			return false;
	}
	return true;
}

static const char *check(const struct decider_request *q, size_t path)
{
	const size_t parts[] = { utf8_bytes(q->host), utf8_bytes(q->host_field), utf8_bytes(q->sni),
				 path };
	size_t i, bytes = 0;

	if (!is_plain(q->host_field))
		return "request header the decider cannot be asked about";
	for (i = 0; i < q->n; i++) {
		if (!is_plain(q->fields[i].value))
			return "request header the decider cannot be asked about";
		bytes += before(q, i) ? 0 : q->fields[i].name.n;
		bytes += utf8_bytes(q->fields[i].value);
	}
	if (q->n > DECIDER_FIELDS || bytes > DECIDER_BYTES)
		return "request headers too large";
	for (i = 0; i < ARRAY_SIZE(parts); i++) {
		if (parts[i] > DECIDER_TARGET)
			return "request target too large";
	}
	return NULL;
}

static void put_name(struct buf *b, struct decider_bytes name)
{
	size_t i;

	buf_puts(b, "\"");
	for (i = 0; i < name.n; i++) {
		char c = name.p[i];

		if (c >= 'A' && c <= 'Z')
			c = (char)(c | 0x20);
		buf_add(b, &c, 1);
	}
	buf_puts(b, "\":[");
}

/* Values of one name stand together, in their order. */
static void put_fields(struct buf *b, const struct decider_request *q)
{
	size_t i, k;

	if (q->n == 0)
		return;
	buf_puts(b, ",\"headers\":{");
	for (i = 0; i < q->n; i++) {
		if (before(q, i))
			continue;
		if (i > 0)
			buf_puts(b, ",");
		put_name(b, q->fields[i].name);
		put_text(b, q->fields[i].value);
		for (k = i + 1; k < q->n; k++) {
			if (!same(q->fields[k].name, q->fields[i].name))
				continue;
			buf_puts(b, ",");
			put_text(b, q->fields[k].value);
		}
		buf_puts(b, "]");
	}
	buf_puts(b, "}");
}

static void put_request(struct buf *b, uint64_t id, const struct decider_request *q, size_t path)
{
	buf_printf(b, "{\"t\":\"req\",\"id\":%" PRIu64, id);
	put_member(b, "method", q->method);
	put_member(b, "host", q->host);
	buf_printf(b, ",\"port\":%u", q->port);
	if (q->host_field.p)
		put_member(b, "hostHeader", q->host_field);
	if (q->sni.n > 0)
		put_member(b, "sni", q->sni);
	put_member(b, "path", (struct decider_bytes){ q->target.p, path });
	if (q->target.n > path + 1)
		put_member(b, "query",
			   (struct decider_bytes){ q->target.p + path + 1,
						   q->target.n - path - 1 });
	put_fields(b, q);
	buf_puts(b, "}");
}

const char *decider_request_write(struct buf *b, uint64_t id, const struct decider_request *q)
{
	const char *question = q->target.n ? memchr(q->target.p, '?', q->target.n) : NULL, *why;
	size_t path = question ? (size_t)(question - q->target.p) : q->target.n, from = b->len, at;

	why = check(q, path);
	if (why)
		return why;
	at = begin(b);
	put_request(b, id, q, path);
	if (!b->failed && b->len - at > DECIDER_FRAME) {
		b->len = from;
		return "request too large for the decider";
	}
	end(b, at);
	return NULL;
}

size_t decider_body_tail(char *out, bool cut)
{
	int n = snprintf(out, DECIDER_BODY_HEAD, "%s", cut ? "\",\"cut\":true}" : "\"}");

	return (size_t)n;
}

size_t decider_body_head(char *out, uint64_t id, size_t n, bool cut)
{
	char tail[DECIDER_BODY_HEAD];
	int len = snprintf(out + 4, DECIDER_BODY_HEAD - 4,
			   "{\"t\":\"body\",\"id\":%" PRIu64 ",\"data\":\"", id);

	put_length(out, (size_t)len + (n + 2) / 3 * 4 + decider_body_tail(tail, cut));
	return (size_t)len + 4;
}
