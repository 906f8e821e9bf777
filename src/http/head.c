/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Heads. First the end of the head is found, by its line feeds alone; then one pass reads the lines, each up to its CR LF, and collects
 * what they say about the body and the connection; then that is judged as a whole, because the fields come in any order.
 *
 * Nothing here is decided by the first or the last of two fields that contradict each other: that is what request smuggling lives on.
 */
#include <string.h>

#include "chars.h"

/* What the fields said. */
struct said {
	unsigned int hosts, lengths, codings, options;
	bool close, keep_alive, upgrade_option, upgrade;
	uint64_t length;
};

ssize_t http_head_end(size_t *scan, const char *p, size_t n, struct err *e)
{
	size_t most = n < HTTP_HEAD_MAX ? n : HTTP_HEAD_MAX, i = *scan;
	const char *lf;

	while (i < most && (lf = memchr(p + i, '\n', most - i))) {
		i = (size_t)(lf - p);
		if (i == 0 || p[i - 1] != '\r')
			return REFUSE(e, "a line ends without CR");
		if (i == 1 || (i >= 3 && p[i - 2] == '\n'))
			return (ssize_t)(i + 1);
		i++;
	}
	*scan = most;
	if (most == HTTP_HEAD_MAX)
		return err_set(e, ERR_USAGE, -E2BIG, "the head has more than %u bytes",
			       HTTP_HEAD_MAX);
	return -EAGAIN;
}

static int parse_length(struct http_slice v, struct said *s, struct err *e)
{
	uint64_t n = 0;
	size_t i;

	if (s->lengths++ > 0)
		return REFUSE(e, "several Content-Length fields");
	if (v.len == 0 || char_span(v.p, v.len, CHAR_DIGIT) != v.len)
		return REFUSE(e, "Content-Length is no number");
	if (v.p[0] == '0' && v.len > 1)
		return REFUSE(e, "Content-Length has a leading zero");
	for (i = 0; i < v.len; i++) {
		uint64_t digit = (uint64_t)(v.p[i] - '0');

		if (n > ((uint64_t)INT64_MAX - digit) / 10)
			return REFUSE(e, "Content-Length is too large");
		n = n * 10 + digit;
	}
	s->length = n;
	return 0;
}

static int parse_connection(struct http_slice v, struct said *s, struct err *e)
{
	struct http_slice option;

	while (http_list_next(&v, &option)) {
		if (++s->options > HTTP_OPTIONS)
			return REFUSE(e, "Connection names more than %u things", HTTP_OPTIONS);
		if (http_is(option, "close"))
			s->close = true;
		else if (http_is(option, "keep-alive"))
			s->keep_alive = true;
		else if (http_is(option, "upgrade"))
			s->upgrade_option = true;
		else if (http_is(option, "host") || http_is(option, "content-length"))
			return REFUSE(e, "Connection names %.*s", (int)option.len, option.p);
	}
	return 0;
}

/* Takes note of a field that says something about the body or the connection. */
static int note_field(struct http_head *h, const struct http_field *f, struct said *s,
		      struct err *e)
{
	switch (f->name.len) {
	case 4:
		if (!http_is(f->name, "host"))
			break;
		s->hosts++;
		h->host = f->value;
		break;
	case 6:
		if (http_is(f->name, "expect") && http_is(f->value, "100-continue"))
			h->expect_continue = true;
		break;
	case 7:
		if (http_is(f->name, "upgrade") && f->value.len > 0)
			s->upgrade = true;
		break;
	case 10:
		if (http_is(f->name, "connection"))
			return parse_connection(f->value, s, e);
		break;
	case 14:
		if (http_is(f->name, "content-length"))
			return parse_length(f->value, s, e);
		break;
	case 17:
		if (!http_is(f->name, "transfer-encoding"))
			break;
		if (s->codings++ > 0 || !http_is(f->value, "chunked"))
			return REFUSE(e, "Transfer-Encoding is not one \"chunked\"");
		break;
	default:
		break;
	}
	return 0;
}

/* Reads the lines from @p to the empty one, which ends at @end. */
static int parse_fields(struct http_head *h, const char *p, const char *end, struct said *s,
			struct err *e)
{
	struct http_field *f;
	int r;

	for (end -= 2; p < end; p += 2) {
		if (h->n == HTTP_FIELDS)
			return err_set(e, ERR_USAGE, -E2BIG, "the head has more than %u fields",
				       HTTP_FIELDS);
		f = &h->fields[h->n++];
		f->name = (struct http_slice){ p, char_span(p, (size_t)(end - p), CHAR_TOKEN) };
		p += f->name.len;
		if (f->name.len == 0)
			return REFUSE(e,
				      char_is_blank(*p) ? "field %zu is folded" :
							  "field %zu has no name",
				      h->n);
		if (*p++ != ':')
			return REFUSE(e, "field %zu: byte 0x%02x in the name", h->n,
				      (unsigned char)p[-1]);
		while (char_is_blank(*p))
			p++;
		f->value = (struct http_slice){ p, char_span(p, (size_t)(end - p), CHAR_VALUE) };
		p += f->value.len;
		if (p[0] != '\r' || p[1] != '\n')
			return REFUSE(e, "field %zu: byte 0x%02x in the value", h->n,
				      (unsigned char)*p);
		while (f->value.len > 0 && char_is_blank(f->value.p[f->value.len - 1]))
			f->value.len--;
		r = note_field(h, f, s, e);
		if (r < 0)
			return r;
	}
	return 0;
}

static int judge(struct http_head *h, const struct said *s, struct err *e)
{
	if (s->codings > 0 && s->lengths > 0)
		return REFUSE(e, "both Content-Length and Transfer-Encoding");
	if (s->codings > 0 && h->minor == 0)
		return REFUSE(e, "Transfer-Encoding with HTTP/1.0");
	if (s->codings > 0) {
		h->framing = HTTP_BODY_CHUNKED;
	} else if (s->lengths > 0) {
		h->framing = HTTP_BODY_LENGTH;
		h->length = s->length;
	}
	h->keep_alive = !s->close && (h->minor == 1 || s->keep_alive);
	h->upgrade = h->minor == 1 && s->upgrade_option && s->upgrade;
	h->expect_continue = h->expect_continue && h->minor == 1;
	return 0;
}

/* Reads "HTTP/1.x" at @p. Return: 0, or -EBADMSG. */
static int parse_version(struct http_head *h, const char *p, size_t n, struct err *e)
{
	if (n != 8 || memcmp(p, "HTTP/1.", 7) != 0 || (p[7] != '0' && p[7] != '1'))
		return REFUSE(e, "the version is not HTTP/1.0 or HTTP/1.1");
	h->minor = p[7] - '0';
	return 0;
}

/* All but the fields, which is most of it. */
static void clear(struct http_head *h, size_t len)
{
	memset(h, 0, offsetof(struct http_head, fields));
	h->len = len;
}

/* The line at @p up to its CR LF, which http_head_end() has seen. */
static size_t line_length(const char *p, size_t len)
{
	return (size_t)((const char *)memchr(p, '\n', len) - p) - 1;
}

static int parse_request_line(struct http_head *h, const char *p, size_t n, struct err *e)
{
	size_t k;

	h->method = (struct http_slice){ p, char_span(p, n, CHAR_TOKEN) };
	k = h->method.len;
	if (k == 0 || k == n || p[k] != ' ')
		return REFUSE(e, "the request does not begin with a method and a blank");
	k++;
	h->target = (struct http_slice){ p + k, char_span(p + k, n - k, CHAR_TARGET) };
	k += h->target.len;
	if (h->target.len == 0 || k == n || p[k] != ' ')
		return REFUSE(e, "the method is not followed by a target and a blank");
	k++;
	return parse_version(h, p + k, n - k, e);
}

/* What requests and responses have in common; @first reads the first line. */
static int parse_head(struct http_head *ret, const char *p, size_t n,
		      int (*first)(struct http_head *, const char *, size_t, struct err *),
		      struct said *s, struct err *e)
{
	size_t scan = 0, line;
	ssize_t len = http_head_end(&scan, p, n, e);
	int r;

	if (len < 0)
		return (int)len;
	clear(ret, (size_t)len);
	line = line_length(p, ret->len);
	r = first(ret, p, line, e);
	if (r == 0)
		r = parse_fields(ret, p + line + 2, p + len, s, e);
	return r == 0 ? judge(ret, s, e) : r;
}

int http_request_parse(struct http_head *ret, const char *p, size_t n, struct err *e)
{
	struct said s = { .hosts = 0 };
	struct http_target t;
	int r = parse_head(ret, p, n, parse_request_line, &s, e);

	if (r < 0)
		return r;
	if (s.hosts == 0 && ret->minor == 1)
		return REFUSE(e, "no Host field");
	if (s.hosts > 1)
		return REFUSE(e, "several Host fields");
	if (ret->host.len > 0) {
		r = http_authority_parse(&t, ret->host, e);
		if (r < 0)
			return err_wrap(e, r, "Host");
	}
	if (ret->framing != HTTP_BODY_NONE && ret->method.len == 7 &&
	    memcmp(ret->method.p, "CONNECT", 7) == 0)
		return REFUSE(e, "CONNECT with a body");
	return 0;
}

static int parse_status_line(struct http_head *h, const char *p, size_t n, struct err *e)
{
	if (n < 12 || p[8] != ' ')
		return REFUSE(e,
			      "the response does not begin with a version, a blank and a status");
	if (p[9] < '1' || char_span(p + 9, 3, CHAR_DIGIT) != 3)
		return REFUSE(e, "the status is not a number from 100 to 999");
	h->status = (p[9] - '0') * 100 + (p[10] - '0') * 10 + (p[11] - '0');
	/* The blank before an empty reason is often forgotten; nothing else can be meant. */
	if (n > 12) {
		h->reason = (struct http_slice){ p + 13, char_span(p + 13, n - 13, CHAR_VALUE) };
		if (p[12] != ' ' || h->reason.len != n - 13)
			return REFUSE(e, "the status is not followed by a blank and text");
	}
	return parse_version(h, p, 8, e);
}

/* RFC 9112 6.3: what has no body whatever its fields say, and whose fields lie. */
static int judge_response(struct http_head *h, struct http_slice method, struct err *e)
{
	bool informs = h->status < 200 || h->status == 204;
	bool tunnel =
		method.len == 7 && memcmp(method.p, "CONNECT", 7) == 0 && h->status / 100 == 2;
	bool head = method.len == 4 && memcmp(method.p, "HEAD", 4) == 0;

	if (informs && (h->framing == HTTP_BODY_CHUNKED || h->length > 0))
		return REFUSE(e, "status %d with a body", h->status);
	if (h->status == 101 && !h->upgrade)
		return REFUSE(e, "status 101 without an upgrade");
	if (informs || tunnel || head || h->status == 304) {
		h->framing = HTTP_BODY_NONE;
		h->length = 0;
	} else if (h->framing == HTTP_BODY_NONE) {
		h->framing = HTTP_BODY_CLOSE;
		h->keep_alive = false;
	}
	h->host = (struct http_slice){ NULL, 0 };
	h->expect_continue = false;
	return 0;
}

int http_response_parse(struct http_head *ret, const char *p, size_t n, struct http_slice method,
			struct err *e)
{
	struct said s = { .hosts = 0 };
	int r = parse_head(ret, p, n, parse_status_line, &s, e);

	return r < 0 ? r : judge_response(ret, method, e);
}
