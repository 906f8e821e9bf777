/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bodies, which come in pieces of any size. A chunked one is
 *
 *	SIZE hex digits, CR LF, DATA that many bytes, CR LF, again and again; of size 0: trailers, each NAME ":" VALUE CR LF; CR LF
 *
 * and each state below is what the next byte must be. A piece of content is passed over at once, the rest byte by byte.
 */
#include "chars.h"

enum {
	BODY_SIZE,
	BODY_SIZE_LF,
	BODY_DATA,
	BODY_DATA_CR,
	BODY_DATA_LF,
	BODY_TRAILER, /* its first byte, or the end */
	BODY_TRAILER_NAME,
	BODY_TRAILER_VALUE,
	BODY_TRAILER_LF,
	BODY_END_LF,
	BODY_DONE,
	BODY_BAD,
};

#define SIZE_DIGITS 16u

/* RFC 9110 6.5.1: what a receiver may not take from a trailer, and some do. */
static const char *const barred[] = {
	"authorization",
	"connection",
	"content-length",
	"cookie",
	"expect",
	"host",
	"keep-alive",
	"proxy-authorization",
	"proxy-connection",
	"set-cookie",
	"te",
	"trailer",
	"transfer-encoding",
	"upgrade",
};

_Static_assert(ARRAY_SIZE(barred) < 32, "one bit of struct http_body each");

void http_body_begin(struct http_body *b, const struct http_head *h)
{
	*b = (struct http_body){ .framing = h->framing, .state = BODY_SIZE };
	if (b->framing == HTTP_BODY_LENGTH) {
		b->left = h->length;
		b->state = b->left > 0 ? BODY_DATA : BODY_DONE;
	} else if (b->framing == HTTP_BODY_CLOSE) {
		b->state = BODY_DATA;
	} else if (b->framing == HTTP_BODY_NONE) {
		b->state = BODY_DONE;
	}
}

static int bad(struct http_body *b, struct err *e, const char *what)
{
	b->state = BODY_BAD;
	return REFUSE(e, "%s", what);
}

static unsigned int hex(char c)
{
	return (unsigned int)(c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
}

static int step_size(struct http_body *b, char c, struct err *e)
{
	if (c == '\r' && b->digits > 0) {
		b->state = BODY_SIZE_LF;
		return 0;
	}
	if (!char_is(c, CHAR_HEX))
		return bad(b, e,
			   b->digits > 0 ? "the size of a chunk is followed by more" :
					   "the size of a chunk is no number");
	if (++b->digits > SIZE_DIGITS || b->left > (uint64_t)INT64_MAX >> 4)
		return bad(b, e, "the size of a chunk is too large");
	b->left = b->left << 4 | hex(c);
	return 0;
}

/* One more byte of a trailer's name, @c: which of the barred names it can still be. */
static void step_barred(struct http_body *b, char c)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(barred); i++) {
		/* A name that was longer has lost its bit at its end. */
		if ((b->barred & 1u << i) && barred[i][b->at] != char_lower(c))
			b->barred &= ~(1u << i);
	}
	b->at++;
}

static bool is_barred(const struct http_body *b)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(barred); i++) {
		if ((b->barred & 1u << i) && !barred[i][b->at])
			return true;
	}
	return false;
}

static int step_trailer(struct http_body *b, char c, struct err *e)
{
	if (++b->trailer > HTTP_HEAD_MAX)
		return bad(b, e, "the trailers have too many bytes");
	switch (b->state) {
	case BODY_TRAILER:
		if (c == '\r') {
			b->state = BODY_END_LF;
			return 0;
		}
		if (++b->trailers > HTTP_FIELDS)
			return bad(b, e, "too many trailers");
		b->at = 0;
		b->barred = (1u << ARRAY_SIZE(barred)) - 1;
		b->state = BODY_TRAILER_NAME;
		__attribute__((fallthrough));
	case BODY_TRAILER_NAME:
		if (char_is(c, CHAR_TOKEN))
			step_barred(b, c);
		else if (c != ':' || b->at == 0)
			return bad(b, e, "a trailer's name has a byte that no name has");
		else if (is_barred(b))
			return bad(b, e, "a trailer has a name that no trailer may have");
		else
			b->state = BODY_TRAILER_VALUE;
		return 0;
	case BODY_TRAILER_VALUE:
		if (c == '\r')
			b->state = BODY_TRAILER_LF;
		else if (!char_is(c, CHAR_VALUE))
			return bad(b, e, "a trailer's value has a byte that no value has");
		return 0;
	default:
		if (c != '\n')
			return bad(b, e, "a line of the trailers has a CR without LF");
		b->state = b->state == BODY_END_LF ? BODY_DONE : BODY_TRAILER;
		return 0;
	}
}

/* One byte that is no content. */
static int step_chunked(struct http_body *b, char c, struct err *e)
{
	switch (b->state) {
	case BODY_SIZE:
		return step_size(b, c, e);
	case BODY_SIZE_LF:
		if (c != '\n')
			return bad(b, e, "the size of a chunk ends without LF");
		b->state = b->left > 0 ? BODY_DATA : BODY_TRAILER;
		return 0;
	case BODY_DATA_CR:
		if (c != '\r')
			return bad(b, e, "a chunk is longer than its size");
		b->state = BODY_DATA_LF;
		return 0;
	case BODY_DATA_LF:
		if (c != '\n')
			return bad(b, e, "a chunk ends without LF");
		b->state = BODY_SIZE;
		b->digits = 0;
		return 0;
	default:
		return step_trailer(b, c, e);
	}
}

/* Content at @p. Return: bytes. */
static size_t step_content(struct http_body *b, size_t n)
{
	if (b->framing == HTTP_BODY_CLOSE)
		return n;
	if (n > b->left)
		n = (size_t)b->left;
	b->left -= n;
	if (b->left == 0)
		b->state = b->framing == HTTP_BODY_CHUNKED ? BODY_DATA_CR : BODY_DONE;
	return n;
}

ssize_t http_body_read(struct http_body *b, const char *p, size_t n, struct http_slice *ret_content,
		       bool *ret_done, struct err *e)
{
	struct http_slice content = { p, 0 };
	size_t i = 0;
	int r;

	if (b->state == BODY_BAD)
		return REFUSE(e, "the body was refused before");
	while (i < n && b->state != BODY_DONE && content.len == 0) {
		if (b->state == BODY_DATA) {
			content.p = p + i;
			content.len = step_content(b, n - i);
			i += content.len;
			continue;
		}
		r = step_chunked(b, p[i++], e);
		if (r < 0)
			return r;
	}
	*ret_content = content;
	*ret_done = b->state == BODY_DONE;
	return (ssize_t)i;
}

ssize_t http_body_step(struct http_body *b, const char *p, size_t n, bool *ret_done, struct err *e)
{
	struct http_slice content;
	ssize_t r = http_body_read(b, p, n, &content, ret_done, e);
	size_t i = (size_t)r;

	while (r >= 0 && i < n && !*ret_done) {
		r = http_body_read(b, p + i, n - i, &content, ret_done, e);
		i += (size_t)r;
	}
	return r < 0 ? r : (ssize_t)i;
}
