/* SPDX-License-Identifier: Apache-2.0 */
/* The canonical request, and its signature. */
#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdlib.h>
#include <string.h>

#include "erase.h"
#include "sigv4-query.h"

#define ALGORITHM "AWS4-HMAC-SHA256"
#define CANONICAL_MAX ((size_t)8 * HTTP_HEAD_MAX)
#define SHA256_BYTES 32u

static int no_memory(struct err *e)
{
	return err_set(e, ERR_SYSTEM, -ENOMEM, "out of memory");
}

static void to_hex(const unsigned char *p, char ret[SIGV4_HEX + 1])
{
	size_t i;

	for (i = 0; i < SHA256_BYTES; i++) {
		ret[2 * i] = "0123456789abcdef"[p[i] >> 4];
		ret[2 * i + 1] = "0123456789abcdef"[p[i] & 15u];
	}
	ret[SIGV4_HEX] = '\0';
}

int sigv4_hash(const void *p, size_t n, char ret[SIGV4_HEX + 1])
{
	unsigned char digest[SHA256_BYTES];

	if (EVP_Digest(p, n, digest, NULL, EVP_sha256(), NULL) != 1)
		return -ENOMEM;
	to_hex(digest, ret);
	return 0;
}

static bool hmac(const unsigned char *key, size_t key_len, const char *p, size_t n,
		 unsigned char ret[SHA256_BYTES])
{
	unsigned int len = 0;

	return HMAC(EVP_sha256(), key, (int)key_len, (const unsigned char *)p, n, ret, &len) &&
	       len == SHA256_BYTES;
}

/* The part of @scope up to the next slash, and a step behind it. */
static struct http_slice step(struct http_slice *scope)
{
	const char *slash = memchr(scope->p, '/', scope->len);
	struct http_slice part = { scope->p, slash ? (size_t)(slash - scope->p) : scope->len };

	scope->p += part.len + (slash != NULL);
	scope->len -= part.len + (slash != NULL);
	return part;
}

int sigv4_string(char ret[SIGV4_HEX + 1], const char *algorithm, struct http_slice date,
		 struct http_slice scope, const char *rest, const struct sigv4_pair *pair,
		 struct err *e)
{
	unsigned char key[SHA256_BYTES] = { 0 };
	struct http_slice left = scope, part;
	struct buf b = BUF_INIT(0), start = BUF_INIT(0);
	bool good = erase_buf_init(&start, strlen(pair->secret) + 8) && erase_buf_init(&b, 4096);
	bool first = true;

	buf_puts(&start, "AWS4");
	buf_puts(&start, pair->secret);
	while (good && left.len > 0) {
		part = step(&left);
		good = hmac(first ? (const unsigned char *)start.data : key,
			    first ? start.len : sizeof(key), part.p, part.len, key);
		first = false;
	}
	buf_puts(&b, algorithm);
	buf_puts(&b, "\n");
	buf_add(&b, date.p, date.len);
	buf_puts(&b, "\n");
	buf_add(&b, scope.p, scope.len);
	buf_puts(&b, "\n");
	buf_puts(&b, rest);
	good = good && !b.failed && !start.failed && hmac(key, sizeof(key), b.data, b.len, key);
	if (good)
		to_hex(key, ret);
	OPENSSL_cleanse(key, sizeof(key));
	erase_buf_done(&start);
	erase_buf_done(&b);
	return good ? 0 : no_memory(e);
}

static bool unreserved(char c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
	       c == '-' || c == '.' || c == '_' || c == '~';
}

static void put_coded(struct buf *b, char c)
{
	unsigned char u = (unsigned char)c;
	char text[3] = { '%', "0123456789ABCDEF"[u >> 4], "0123456789ABCDEF"[u & 15u] };

	buf_add(b, unreserved(c) ? &c : text, unreserved(c) ? 1 : 3);
}

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Coded once, however it was before. @path: its slashes stay */
static void put_once(struct buf *b, struct http_slice s, bool path, unsigned int reading)
{
	size_t i;

	if (reading & SIGV4_VERBATIM) {
		buf_add(b, s.p, s.len);
		return;
	}
	for (i = 0; i < s.len; i++) {
		char c = s.p[i];

		if (c == '%' && i + 2 < s.len && hex_value(s.p[i + 1]) >= 0 &&
		    hex_value(s.p[i + 2]) >= 0) {
			c = (char)(hex_value(s.p[i + 1]) * 16 + hex_value(s.p[i + 2]));
			i += 2;
			if (path && c == '/' && (reading & SIGV4_SLASHES))
				buf_add(b, &c, 1);
			else
				put_coded(b, c);
		} else if (path && c == '/') {
			buf_add(b, &c, 1);
		} else {
			if (c == '+' && !path && !(reading & SIGV4_PLUS))
				c = ' ';
			put_coded(b, c);
		}
	}
}

/* Coded again, without "." and "..", and with single slashes. */
static void put_normal_path(struct buf *b, struct http_slice path)
{
	size_t start = b->len, i = 0, k, n;

	while (i < path.len && !b->failed) {
		for (; i < path.len && path.p[i] == '/'; i++)
			;
		for (n = 0; i + n < path.len && path.p[i + n] != '/'; n++)
			;
		if (n == 2 && path.p[i] == '.' && path.p[i + 1] == '.') {
			while (b->len > start && b->data[--b->len] != '/')
				;
			b->data[b->len] = '\0';
		} else if (n > 0 && !(n == 1 && path.p[i] == '.')) {
			buf_puts(b, "/");
			for (k = 0; k < n; k++)
				put_coded(b, path.p[i + k]);
		}
		i += n;
	}
	if (b->len == start || (path.len > 0 && path.p[path.len - 1] == '/'))
		buf_puts(b, "/");
}

struct coded {
	size_t name, name_len, value, value_len; /* in the buffer */
};

struct sorting {
	const char *text;
};

static int order(const void *x, const void *y, void *arg)
{
	const struct coded *a = x, *b = y;
	const char *text = ((const struct sorting *)arg)->text;
	size_t n = a->name_len < b->name_len ? a->name_len : b->name_len;
	int r = memcmp(text + a->name, text + b->name, n);

	if (r == 0 && a->name_len != b->name_len)
		return a->name_len < b->name_len ? -1 : 1;
	if (r != 0)
		return r;
	n = a->value_len < b->value_len ? a->value_len : b->value_len;
	r = memcmp(text + a->value, text + b->value, n);
	return r != 0 ? r : a->value_len < b->value_len ? -1 : a->value_len > b->value_len;
}

/* A name that is not part of the canonical query of a presigned URL. */
static bool is_signature(struct http_slice name)
{
	char text[32];

	return name.len < sizeof(text) && sigv4_decode(name, text, sizeof(text)) > 0 &&
	       strcmp(text, "X-Amz-Signature") == 0;
}

static int put_query(struct buf *b, const struct sigv4 *s, const struct sigv4_query *q,
		     struct err *e)
{
	struct coded coded[SIGV4_QUERY];
	struct buf text = BUF_INIT(0);
	struct sorting how;
	size_t i, n = 0;
	int r = 0;

	if (!erase_buf_init(&text, CANONICAL_MAX))
		return no_memory(e);
	for (i = 0; i < q->n; i++) {
		if (s->presigned && is_signature(q->v[i].name))
			continue;
		coded[n].name = text.len;
		put_once(&text, q->v[i].name, false, s->reading);
		coded[n].name_len = text.len - coded[n].name;
		coded[n].value = text.len;
		put_once(&text, q->v[i].value, false, s->reading);
		coded[n].value_len = text.len - coded[n].value;
		n++;
	}
	how.text = text.data;
	qsort_r(coded, n, sizeof(*coded), order, &how);
	for (i = 0; i < n; i++) {
		buf_puts(b, i ? "&" : "");
		buf_add(b, text.data + coded[i].name, coded[i].name_len);
		buf_puts(b, "=");
		buf_add(b, text.data + coded[i].value, coded[i].value_len);
	}
	if (text.failed)
		r = err_set(e, ERR_USAGE, -EBADMSG, "signature of AWS: the query is too long");
	erase_buf_done(&text);
	return r;
}

/* Without blanks at its ends, and with single ones inside. */
static void put_value(struct buf *b, struct http_slice v)
{
	size_t i;

	for (i = 0; i < v.len; i++) {
		if (v.p[i] == ' ' && (i == 0 || i + 1 == v.len || v.p[i - 1] == ' '))
			continue;
		buf_add(b, v.p + i, 1);
	}
}

static int put_headers(struct buf *b, const struct sigv4 *s, const struct sigv4_request *q,
		       struct err *e)
{
	size_t i, k;
	char name[128];

	for (i = 0; i < s->n_headers; i++) {
		size_t seen = 0;

		if (s->headers[i].len >= sizeof(name))
			return err_set(e, ERR_USAGE, -EBADMSG,
				       "signature of AWS: a header's name is too long");
		memcpy(name, s->headers[i].p, s->headers[i].len);
		name[s->headers[i].len] = '\0';
		buf_puts(b, name);
		buf_puts(b, ":");
		for (k = 0; k < q->n; k++) {
			if (!http_is(q->fields[k].name, name))
				continue;
			buf_puts(b, seen++ ? "," : "");
			put_value(b, q->fields[k].value);
		}
		if (!seen && strcmp(name, "host") == 0 && q->host.p)
			buf_add(b, q->host.p, q->host.len);
		else if (!seen)
			return err_set(e, ERR_USAGE, -EBADMSG,
				       "signature of AWS: the header %s is signed and not there",
				       name);
		buf_puts(b, "\n");
	}
	buf_puts(b, "\n");
	for (i = 0; i < s->n_headers; i++) {
		buf_puts(b, i ? ";" : "");
		buf_add(b, s->headers[i].p, s->headers[i].len);
	}
	buf_puts(b, "\n");
	return 0;
}

static int canonical(struct buf *b, const struct sigv4 *s, const struct sigv4_request *q,
		     const char *body_hash, struct err *e)
{
	struct sigv4_query query;
	int r;

	if (!sigv4_query_split(&query, q->target))
		return err_set(e, ERR_USAGE, -EBADMSG,
			       "signature of AWS: the query has too many fields");
	buf_add(b, q->method.p, q->method.len);
	buf_puts(b, "\n");
	if (s->s3)
		put_once(b, query.path, true, s->reading);
	else
		put_normal_path(b, query.path);
	buf_puts(b, "\n");
	r = put_query(b, s, &query, e);
	buf_puts(b, "\n");
	if (r == 0)
		r = put_headers(b, s, q, e);
	if (s->hash.p)
		buf_add(b, s->hash.p, s->hash.len);
	else
		buf_puts(b, body_hash ? body_hash : "");
	if (r == 0 && (b->failed || (!s->hash.p && !body_hash)))
		r = err_set(e, ERR_USAGE, -EBADMSG,
			    "signature of AWS: the request is too long, or its body is not known");
	return r;
}

int sigv4_compute(char ret[SIGV4_HEX + 1], const struct sigv4 *s, const struct sigv4_request *q,
		  const struct sigv4_pair *pair, const char *body_hash, struct err *e)
{
	struct buf b = BUF_INIT(0);
	char hash[SIGV4_HEX + 1];
	int r;

	if (!erase_buf_init(&b, CANONICAL_MAX))
		return no_memory(e);
	r = canonical(&b, s, q, body_hash, e);
	if (r == 0 && sigv4_hash(b.data, b.len, hash) < 0)
		r = no_memory(e);
	if (r == 0)
		r = sigv4_string(ret, ALGORITHM, s->date, s->scope, hash, pair, e);
	erase_buf_done(&b);
	return r;
}

int sigv4_verify(struct sigv4 *s, const struct sigv4_request *q, const struct sigv4_pair *pair,
		 const char *body_hash, struct err *e)
{
	char want[SIGV4_HEX + 1];
	int r = 0;

	if (s->id.len != strlen(pair->id) || CRYPTO_memcmp(s->id.p, pair->id, s->id.len) != 0)
		return err_set(e, ERR_POLICY, -EACCES,
			       "signature of AWS: it is of another access key");
	for (s->reading = 0; r == 0 && s->reading < SIGV4_READINGS; s->reading++) {
		r = sigv4_compute(want, s, q, pair, body_hash, e);
		if (r == 0 && CRYPTO_memcmp(want, s->signature.p, SIGV4_HEX) == 0)
			return 0;
	}
	s->reading = 0;
	return r < 0 ? r :
		       err_set(e, ERR_POLICY, -EACCES,
			       "signature of AWS: it is not what this request's would be");
}

void sigv4_authorization(struct buf *b, const struct sigv4 *s, const char *id,
			 const char *signature)
{
	size_t i;

	buf_puts(b, ALGORITHM " Credential=");
	buf_puts(b, id);
	buf_puts(b, "/");
	buf_add(b, s->scope.p, s->scope.len);
	buf_puts(b, ", SignedHeaders=");
	for (i = 0; i < s->n_headers; i++) {
		buf_puts(b, i ? ";" : "");
		buf_add(b, s->headers[i].p, s->headers[i].len);
	}
	buf_puts(b, ", Signature=");
	buf_puts(b, signature);
}

static void put_text(struct buf *b, const char *s)
{
	for (; *s; s++)
		put_coded(b, *s);
}

static bool named(struct http_slice name, const char *want)
{
	char text[32];

	return name.len < 3 * sizeof(text) && sigv4_decode(name, text, sizeof(text)) > 0 &&
	       strcmp(text, want) == 0;
}

/* The target with another credential and the token, without a signature. */
static void put_unsigned(struct buf *b, const struct sigv4 *s, const struct sigv4_query *query,
			 const struct sigv4_pair *pair)
{
	size_t i;
	char mark = '?';

	buf_add(b, query->path.p, query->path.len);
	for (i = 0; i < query->n; i++) {
		if (is_signature(query->v[i].name) ||
		    named(query->v[i].name, "X-Amz-Security-Token"))
			continue;
		buf_add(b, &mark, 1);
		mark = '&';
		buf_add(b, query->v[i].name.p, query->v[i].name.len);
		buf_puts(b, "=");
		if (named(query->v[i].name, "X-Amz-Credential")) {
			put_text(b, pair->id);
			buf_puts(b, "%2F");
			put_once(b, s->scope, false, 0);
		} else {
			buf_add(b, query->v[i].value.p, query->v[i].value.len);
		}
	}
	if (pair->token) {
		buf_puts(b, "&X-Amz-Security-Token=");
		put_text(b, pair->token);
	}
}

int sigv4_presign(struct buf *b, const struct sigv4 *s, const struct sigv4_request *q,
		  const struct sigv4_pair *pair, const char *body_hash, struct err *e)
{
	struct sigv4_request again = *q;
	struct sigv4_query query;
	char signature[SIGV4_HEX + 1];
	size_t start = b->len;
	int r;

	if (!sigv4_query_split(&query, q->target))
		return err_set(e, ERR_USAGE, -EBADMSG,
			       "signature of AWS: the query has too many fields");
	put_unsigned(b, s, &query, pair);
	if (b->failed)
		return err_set(e, ERR_USAGE, -EBADMSG, "signature of AWS: the URL is too long");
	again.target = (struct http_slice){ b->data + start, b->len - start };
	r = sigv4_compute(signature, s, &again, pair, body_hash, e);
	if (r < 0)
		return r;
	buf_puts(b, "&X-Amz-Signature=");
	buf_puts(b, signature);
	return b->failed ?
		       err_set(e, ERR_USAGE, -EBADMSG, "signature of AWS: the URL is too long") :
		       0;
}
