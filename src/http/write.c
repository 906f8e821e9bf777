/* SPDX-License-Identifier: Apache-2.0 */
/* Heads, written. What can't be read back as it was meant fails the buffer. */
#include <inttypes.h>
#include <string.h>

#include "chars.h"

static bool all(struct http_slice s, unsigned int kind)
{
	return char_span(s.p, s.len, kind) == s.len;
}

static void add(struct buf *b, struct http_slice s)
{
	if (s.len > 0)
		buf_add(b, s.p, s.len);
}

void http_write_request(struct buf *b, struct http_slice method, struct http_slice target)
{
	if (method.len == 0 || target.len == 0 || !all(method, CHAR_TOKEN) ||
	    !all(target, CHAR_TARGET)) {
		b->failed = true;
		return;
	}
	add(b, method);
	buf_add(b, " ", 1);
	add(b, target);
	buf_puts(b, " HTTP/1.1\r\n");
}

void http_write_status(struct buf *b, int status, struct http_slice reason)
{
	if (!reason.p)
		reason = http_slice(http_status_text(status));
	if (status < 100 || status > 999 || !all(reason, CHAR_VALUE)) {
		b->failed = true;
		return;
	}
	buf_printf(b, "HTTP/1.1 %d ", status);
	add(b, reason);
	buf_add(b, "\r\n", 2);
}

void http_write_copy(struct buf *b, const struct http_field *f)
{
	if (f->name.len == 0 || !all(f->name, CHAR_TOKEN) || !all(f->value, CHAR_VALUE)) {
		b->failed = true;
		return;
	}
	add(b, f->name);
	buf_add(b, ": ", 2);
	add(b, f->value);
	buf_add(b, "\r\n", 2);
}

void http_write_field(struct buf *b, const char *name, struct http_slice value)
{
	http_write_copy(b, &(struct http_field){ http_slice(name), value });
}

void http_write_framing(struct buf *b, const struct http_head *h)
{
	if (h->framing == HTTP_BODY_LENGTH)
		buf_printf(b, "Content-Length: %" PRIu64 "\r\n", h->length);
	else if (h->framing == HTTP_BODY_CHUNKED)
		buf_puts(b, "Transfer-Encoding: chunked\r\n");
}

void http_write_end(struct buf *b)
{
	buf_add(b, "\r\n", 2);
}

const char *http_status_text(int status)
{
	static const struct {
		int status;
		const char *text;
	} rows[] = {
		{ 100, "Continue" },
		{ 101, "Switching Protocols" },
		{ 102, "Processing" },
		{ 103, "Early Hints" },
		{ 200, "OK" },
		{ 201, "Created" },
		{ 202, "Accepted" },
		{ 203, "Non-Authoritative Information" },
		{ 204, "No Content" },
		{ 205, "Reset Content" },
		{ 206, "Partial Content" },
		{ 300, "Multiple Choices" },
		{ 301, "Moved Permanently" },
		{ 302, "Found" },
		{ 303, "See Other" },
		{ 304, "Not Modified" },
		{ 307, "Temporary Redirect" },
		{ 308, "Permanent Redirect" },
		{ 400, "Bad Request" },
		{ 401, "Unauthorized" },
		{ 402, "Payment Required" },
		{ 403, "Forbidden" },
		{ 404, "Not Found" },
		{ 405, "Method Not Allowed" },
		{ 406, "Not Acceptable" },
		{ 407, "Proxy Authentication Required" },
		{ 408, "Request Timeout" },
		{ 409, "Conflict" },
		{ 410, "Gone" },
		{ 411, "Length Required" },
		{ 412, "Precondition Failed" },
		{ 413, "Content Too Large" },
		{ 414, "URI Too Long" },
		{ 415, "Unsupported Media Type" },
		{ 416, "Range Not Satisfiable" },
		{ 417, "Expectation Failed" },
		{ 421, "Misdirected Request" },
		{ 422, "Unprocessable Content" },
		{ 425, "Too Early" },
		{ 426, "Upgrade Required" },
		{ 428, "Precondition Required" },
		{ 429, "Too Many Requests" },
		{ 431, "Request Header Fields Too Large" },
		{ 451, "Unavailable For Legal Reasons" },
		{ 500, "Internal Server Error" },
		{ 501, "Not Implemented" },
		{ 502, "Bad Gateway" },
		{ 503, "Service Unavailable" },
		{ 504, "Gateway Timeout" },
		{ 505, "HTTP Version Not Supported" },
		{ 511, "Network Authentication Required" },
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		if (rows[i].status == status)
			return rows[i].text;
	}
	return "";
}
