/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. A payload of signed chunks ("aws-chunked") is
 *	SIZE;chunk-signature=SIGNATURE CRLF DATA CRLF … 0;chunk-signature=SIGNATURE CRLF [TRAILERS] CRLF
 * with sizes in hexadecimal digits, and each signature made of the one before and of the chunk's data. The signature stands before the
 * data, so a chunk is held until it is whole, checked, and sent with its new signature. As many bytes leave as came.
 */
#include <errno.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

#include "erase.h"
#include "sigv4-query.h"

#define EMPTY_HASH "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define LINE 4096u /* bytes of a chunk's line, or of a trailer */
#define TRAILERS 16384u
#define MARK ";chunk-signature="
#define TRAILER_MARK "x-amz-trailer-signature:"

enum state { AT_LINE, AT_DATA, AT_DATA_CR, AT_DATA_LF, AT_TRAILER, AT_END };

struct sigv4_stream {
	struct sigv4_pair mock, real;
	bool trailer;
	char date[20], scope[192];
	char before_mock[SIGV4_HEX + 1], before_real[SIGV4_HEX + 1];
	enum state state;
	struct buf line, data, trailers; /* trailers: as they are signed */
	struct buf sent;                 /* trailers as they came */
	char sent_signature[SIGV4_HEX + 1];
	size_t left;
	bool failed;
};

static int bad(struct err *e, const char *what)
{
	return err_set(e, ERR_USAGE, -EBADMSG, "chunks of AWS: %s", what);
}

int sigv4_stream_new(struct sigv4_stream **ret, const struct sigv4 *s,
		     const struct sigv4_pair *mock, const struct sigv4_pair *real,
		     const char *seed_mock, const char *seed_real, struct err *e)
{
	struct sigv4_stream *t = calloc(1, sizeof(*t));

	if (!t)
		return err_set(e, ERR_SYSTEM, -ENOMEM, "out of memory");
	t->mock = *mock;
	t->real = *real;
	t->trailer = s->trailer;
	/* sigv4_parse() has checked the lengths */
	memcpy(t->date, s->date.p, s->date.len < sizeof(t->date) ? s->date.len : 0);
	memcpy(t->scope, s->scope.p, s->scope.len < sizeof(t->scope) ? s->scope.len : 0);
	memcpy(t->before_mock, seed_mock, SIGV4_HEX);
	memcpy(t->before_real, seed_real, SIGV4_HEX);
	t->line = (struct buf)BUF_INIT(LINE);
	t->data = (struct buf)BUF_INIT(SIGV4_CHUNK_MAX + 1);
	t->trailers = (struct buf)BUF_INIT(TRAILERS);
	t->sent = (struct buf)BUF_INIT(TRAILERS);
	*ret = t;
	return 0;
}

struct sigv4_stream *sigv4_stream_free(struct sigv4_stream *t)
{
	if (!t)
		return NULL;
	erase_buf_done(&t->line);
	erase_buf_done(&t->data);
	erase_buf_done(&t->trailers);
	erase_buf_done(&t->sent);
	free(t);
	return NULL;
}

/*
 * Check the signature of a piece, make the new one. @empty: of chunks, a line that stands for headers which there are none of.
 * @ret: the new one
 */
static int turn(struct sigv4_stream *t, const char *algorithm, bool empty, const struct buf *piece,
		const char *signature, char ret[SIGV4_HEX + 1], struct err *e)
{
	char hash[SIGV4_HEX + 1], rest[3 * (SIGV4_HEX + 1) + 1], want[SIGV4_HEX + 1];
	char *before[] = { t->before_mock, t->before_real };
	const struct sigv4_pair *pairs[] = { &t->mock, &t->real };
	int i, r;

	if (sigv4_hash(piece->data ? piece->data : "", piece->len, hash) < 0)
		return err_set(e, ERR_SYSTEM, -ENOMEM, "out of memory");
	for (i = 0; i < 2; i++) {
		struct buf b = BUF_INIT(sizeof(rest));

		buf_printf(&b, "%s\n%s%s", before[i], empty ? EMPTY_HASH "\n" : "", hash);
		if (b.failed) {
			buf_done(&b);
			return err_set(e, ERR_SYSTEM, -ENOMEM, "out of memory");
		}
		r = sigv4_string(want, algorithm, http_slice(t->date), http_slice(t->scope), b.data,
				 pairs[i], e);
		buf_done(&b);
		if (r < 0)
			return r;
		if (i == 0 && CRYPTO_memcmp(want, signature, SIGV4_HEX) != 0)
			return err_set(e, ERR_POLICY, -EACCES,
				       "chunks of AWS: a signature is not of the pair");
		memcpy(before[i], want, SIGV4_HEX);
	}
	memcpy(ret, want, SIGV4_HEX + 1);
	return 0;
}

static bool is_signature(const char *s, size_t n)
{
	return n == SIGV4_HEX && strspn(s, "0123456789abcdef") >= SIGV4_HEX;
}

/* "SIZE;chunk-signature=…": where the signature begins, or NULL. */
static char *read_line(struct sigv4_stream *t)
{
	size_t digits = strspn(t->line.data, "0123456789abcdefABCDEF");
	char *mark = t->line.data + digits;

	if (digits < 1 || digits > 8 || strncmp(mark, MARK, strlen(MARK)) != 0 ||
	    !is_signature(mark + strlen(MARK), strlen(mark + strlen(MARK))))
		return NULL;
	t->left = strtoul(t->line.data, NULL, 16);
	return mark + strlen(MARK);
}

static int send_chunk(struct sigv4_stream *t, struct buf *out, struct err *e)
{
	char *signature = t->line.data + t->line.len - SIGV4_HEX, made[SIGV4_HEX + 1];
	int r = turn(t, "AWS4-HMAC-SHA256-PAYLOAD", true, &t->data, signature, made, e);

	if (r < 0)
		return r;
	memcpy(signature, made, SIGV4_HEX);
	buf_add(out, t->line.data, t->line.len);
	buf_puts(out, "\r\n");
	if (t->data.len > 0) {
		buf_add(out, t->data.data, t->data.len);
		buf_puts(out, "\r\n");
	}
	t->line.len = t->data.len = 0;
	return 0;
}

/* A line is whole: of a chunk. */
static int chunk_line(struct sigv4_stream *t, struct buf *out, struct err *e)
{
	if (!read_line(t))
		return bad(e, "expected SIZE;chunk-signature=…");
	if (t->left > SIGV4_CHUNK_MAX)
		return bad(e, "a chunk is too long");
	if (t->left > 0) {
		t->state = AT_DATA;
		return 0;
	}
	t->state = AT_TRAILER;
	return send_chunk(t, out, e);
}

/* The end: of the trailers, signed as one piece, when there must be some. */
static int trailer_end(struct sigv4_stream *t, struct buf *out, struct err *e)
{
	char made[SIGV4_HEX + 1];
	int r;

	t->state = AT_END;
	if (!t->trailer) {
		buf_puts(out, "\r\n");
		return 0;
	}
	if (!t->sent_signature[0])
		return bad(e, "the trailer is not signed");
	r = turn(t, "AWS4-HMAC-SHA256-TRAILER", false, &t->trailers, t->sent_signature, made, e);
	if (r < 0)
		return r;
	buf_add(out, t->sent.data ? t->sent.data : "", t->sent.len);
	buf_puts(out, TRAILER_MARK);
	buf_puts(out, made);
	buf_puts(out, "\r\n\r\n");
	return 0;
}

/* NAME:VALUE, or the signature behind them all. */
static int trailer_line(struct sigv4_stream *t, struct buf *out, struct err *e)
{
	char *s = t->line.data, *colon;
	size_t n, i;

	if (t->line.len == 0)
		return trailer_end(t, out, e);
	if (!t->trailer || t->sent_signature[0])
		return bad(e, "a trailer that was not announced");
	if (strncmp(s, TRAILER_MARK, strlen(TRAILER_MARK)) == 0) {
		s += strlen(TRAILER_MARK);
		if (!is_signature(s, strlen(s)))
			return bad(e, "the trailer's signature can't be read");
		memcpy(t->sent_signature, s, SIGV4_HEX);
		t->line.len = 0;
		return 0;
	}
	colon = strchr(s, ':');
	n = strlen("x-amz-checksum-");
	if (!colon || strncmp(s, "x-amz-checksum-", n) != 0)
		return bad(e, "a trailer that is no checksum");
	buf_puts(&t->sent, s);
	buf_puts(&t->sent, "\r\n");
	for (i = (size_t)(colon + 1 - s); s[i] == ' '; i++)
		;
	for (n = strlen(s); n > i && s[n - 1] == ' '; n--)
		;
	buf_add(&t->trailers, s, (size_t)(colon + 1 - s));
	buf_add(&t->trailers, s + i, n - i);
	buf_puts(&t->trailers, "\n");
	t->line.len = 0;
	return t->sent.failed || t->trailers.failed ? bad(e, "the trailers are too long") : 0;
}

/* Take what there is of a line. */
static int take_line(struct sigv4_stream *t, const char **p, size_t *n, struct buf *out,
		     struct err *e)
{
	const char *end = memchr(*p, '\n', *n);
	size_t some = end ? (size_t)(end + 1 - *p) : *n;

	buf_add(&t->line, *p, some);
	*p += some;
	*n -= some;
	if (t->line.failed || memchr(t->line.data, '\0', t->line.len))
		return bad(e, "a line is too long, or has a NUL");
	if (!end)
		return 0;
	if (t->line.len < 2 || t->line.data[t->line.len - 2] != '\r')
		return bad(e, "a line ends without CR");
	t->line.len -= 2;
	t->line.data[t->line.len] = '\0';
	return t->state == AT_LINE ? chunk_line(t, out, e) : trailer_line(t, out, e);
}

static int take(struct sigv4_stream *t, const char **p, size_t *n, struct buf *out, struct err *e)
{
	size_t some;

	switch (t->state) {
	case AT_LINE:
	case AT_TRAILER:
		return take_line(t, p, n, out, e);
	case AT_DATA:
		some = *n < t->left ? *n : t->left;
		buf_add(&t->data, *p, some);
		if (t->data.failed)
			return err_set(e, ERR_SYSTEM, -ENOMEM, "out of memory");
		*p += some;
		*n -= some;
		t->left -= some;
		t->state = t->left == 0 ? AT_DATA_CR : AT_DATA;
		return 0;
	case AT_DATA_CR:
	case AT_DATA_LF:
		if (**p != (t->state == AT_DATA_CR ? '\r' : '\n'))
			return bad(e, "no line break behind a chunk");
		(*p)++;
		(*n)--;
		if (t->state == AT_DATA_CR) {
			t->state = AT_DATA_LF;
			return 0;
		}
		t->state = AT_LINE;
		return send_chunk(t, out, e);
	case AT_END:
		break;
	}
	return bad(e, "bytes behind the last chunk");
}

int sigv4_stream_step(struct sigv4_stream *t, const char *p, size_t n, struct buf *out,
		      struct err *e)
{
	int r = t->failed ? bad(e, "it has failed before") : 0;

	while (r == 0 && n > 0)
		r = take(t, &p, &n, out, e);
	if (r == 0 && out->failed)
		r = err_set(e, ERR_SYSTEM, -EFBIG, "chunks of AWS: no room for them");
	t->failed = r < 0;
	return r;
}

size_t sigv4_stream_kept(const struct sigv4_stream *t)
{
	return t ? t->line.size + t->data.size + t->trailers.size + t->sent.size : 0;
}

int sigv4_stream_end(const struct sigv4_stream *t, struct err *e)
{
	return !t->failed && t->state == AT_END ? 0 : bad(e, "the last one is missing");
}
