/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A ClientHello is vectors in vectors, each behind its length. First the records are taken away, then each vector is cut from the one around
 * it, and must fill it: what is left over, or claims more than there is, is no ClientHello.
 */
#include "hello.h"

#include <errno.h>
#include <string.h>

#define RECORD_FIRST 20
#define RECORD_ALERT 21
#define RECORD_HANDSHAKE 22
#define RECORD_LAST 24
#define RECORD_HEADER 5u
#define RECORD_MAX 16384u
#define MESSAGE_HEADER 4u
#define CLIENT_HELLO 1
#define RANDOM 32u

enum {
	EXT_SERVER_NAME = 0,
	EXT_ALPN = 16,
	EXT_ECH = 0xfe0d,
	EXT_ESNI = 0xffce, /* what drafts of ECH had */
};

/* Bytes that are still to be read. */
struct bytes {
	const unsigned char *p;
	size_t n;
};

static bool take(struct bytes *b, size_t n, struct bytes *ret)
{
	if (n > b->n)
		return false;
	*ret = (struct bytes){ b->p, n };
	b->p += n;
	b->n -= n;
	return true;
}

static bool take_number(struct bytes *b, size_t width, size_t *ret)
{
	struct bytes s;
	size_t v = 0, i;

	if (!take(b, width, &s))
		return false;
	for (i = 0; i < width; i++)
		v = v << 8 | s.p[i];
	*ret = v;
	return true;
}

/* A vector behind a length of @width bytes. */
static bool take_vector(struct bytes *b, size_t width, struct bytes *ret)
{
	size_t n;

	return take_number(b, width, &n) && take(b, n, ret);
}

/* Whether @n ≥ 0 bytes can be the header of a record. */
static bool is_record(const unsigned char *p, size_t n)
{
	size_t len = n < RECORD_HEADER ? 1 : (size_t)(p[3] << 8 | p[4]);

	return (n < 1 || p[0] == RECORD_HANDSHAKE) && (n < 2 || p[1] == 3) &&
	       (n < 3 || p[2] <= 4) && (n < 4 || p[3] <= RECORD_MAX >> 8) && len >= 1 &&
	       len <= RECORD_MAX;
}

/*
 * Wider than what is read: servers take records of versions that never were, records without a byte, alerts before the hello, and the hello of
 * SSL 2. Whatever may be one of these is TLS, and refused when it is no plain ClientHello.
 */
bool hello_looks_like(const unsigned char *p, size_t n)
{
	size_t len = n < RECORD_HEADER ? 0 : (size_t)(p[3] << 8 | p[4]);

	if (p[0] & 0x80) /* two bytes of length, the type, the version */
		return (n < 3 || p[2] == CLIENT_HELLO) && (n < 4 || p[3] == 3);
	if (p[0] < RECORD_FIRST || p[0] > RECORD_LAST || (n > 1 && p[1] >= 0x10))
		return false;
	if (n <= RECORD_HEADER || (p[1] == 3 && (p[0] != RECORD_HANDSHAKE || len == 0)))
		return true;
	return (p[0] == RECORD_HANDSHAKE || p[0] == RECORD_ALERT) && len > 0 && len <= RECORD_MAX &&
	       p[RECORD_HEADER] == CLIENT_HELLO; /* of an alert: "warning" */
}

/*
 * Copies the message out of its records, or what there is of it.
 * @msg: HELLO_MAX bytes
 * Return: 0 and its length; -EAGAIN, -EBADMSG.
 */
static int take_message(const unsigned char *p, size_t n, unsigned char *msg, size_t *ret)
{
	size_t at = 0, have = 0, want = MESSAGE_HEADER, record, there;

	while (have < want) {
		if (!is_record(p + at, n - at))
			return -EBADMSG;
		if (n - at <= RECORD_HEADER)
			return -EAGAIN;
		record = (size_t)(p[at + 3] << 8 | p[at + 4]);
		at += RECORD_HEADER;
		there = record < n - at ? record : n - at;
		memcpy(msg + have, p + at, there);
		have += there;
		at += there;
		if (msg[0] != CLIENT_HELLO)
			return -EBADMSG;
		if (have >= MESSAGE_HEADER)
			want = MESSAGE_HEADER + (size_t)(msg[1] << 16 | msg[2] << 8 | msg[3]);
		if (want > HELLO_MAX - RECORD_HEADER || have > want)
			return -EBADMSG;
		if (there < record)
			return -EAGAIN;
	}
	*ret = have;
	return 0;
}

/* One name of type host_name: more types than this one were never defined. */
static bool read_server_name(struct hello *h, struct bytes ext)
{
	struct bytes list, name;
	size_t type;

	return h->sni[0] == '\0' && take_vector(&ext, 2, &list) && ext.n == 0 &&
	       take_number(&list, 1, &type) && type == 0 && take_vector(&list, 2, &name) &&
	       list.n == 0 && net_host_canon((const char *)name.p, name.n, h->sni, NULL) > 0;
}

static bool read_alpn(struct hello *h, struct bytes ext)
{
	struct bytes list, name;

	if (!take_vector(&ext, 2, &list) || ext.n > 0 || list.n == 0)
		return false;
	while (list.n > 0) {
		if (!take_vector(&list, 1, &name) || name.n == 0)
			return false;
		if (name.n == 2 && memcmp(name.p, "h2", 2) == 0)
			h->alpn_h2 = true;
		if (name.n == 8 && memcmp(name.p, "http/1.1", 8) == 0)
			h->alpn_http1 = true;
	}
	return true;
}

static bool read_extensions(struct hello *h, struct bytes exts)
{
	bool alpn = false;
	struct bytes ext;
	size_t type;

	while (exts.n > 0) {
		if (!take_number(&exts, 2, &type) || !take_vector(&exts, 2, &ext))
			return false;
		switch (type) {
		case EXT_SERVER_NAME:
			if (!read_server_name(h, ext))
				return false;
			break;
		case EXT_ALPN:
			if (alpn || !read_alpn(h, ext))
				return false;
			alpn = true;
			break;
		case EXT_ECH:
		case EXT_ESNI:
			if (h->ech)
				return false;
			h->ech = true;
			break;
		default:
			break;
		}
	}
	return true;
}

static bool read_hello(struct hello *h, struct bytes b)
{
	struct bytes random, session, suites, compressions, exts;
	size_t version;

	if (!take_number(&b, 2, &version) || version >> 8 != 3 || !take(&b, RANDOM, &random) ||
	    !take_vector(&b, 1, &session) || session.n > 32 || !take_vector(&b, 2, &suites) ||
	    suites.n < 2 || suites.n % 2 || !take_vector(&b, 1, &compressions) ||
	    compressions.n == 0)
		return false;
	if (b.n == 0) /* before TLS 1.2 there need be no extensions */
		return true;
	return take_vector(&b, 2, &exts) && b.n == 0 && read_extensions(h, exts);
}

int hello_parse(struct hello *ret, const unsigned char *p, size_t n)
{
	unsigned char msg[HELLO_MAX];
	struct hello h = { .ech = false };
	size_t len;
	int r;

	if (n > HELLO_MAX)
		n = HELLO_MAX;
	r = take_message(p, n, msg, &len);
	if (r == -EAGAIN && n == HELLO_MAX)
		return -EBADMSG;
	if (r < 0)
		return r;
	if (!read_hello(&h, (struct bytes){ msg + MESSAGE_HEADER, len - MESSAGE_HEADER }))
		return -EBADMSG;
	*ret = h;
	return 0;
}
