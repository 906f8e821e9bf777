/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http: HTTP/1.1 framing (RFC 9112), for the gateway now, for API and ingress later. Strict: what two parsers could read in two ways is refused. Pure: no allocation, no I/O.
 *  1. http_request_parse(), http_response_parse()   one head, as slices of the bytes it was read from
 *  2. http_body_begin(), http_body_step()           where its body ends
 *  3. http_target_parse(), http_authority_parse()   what a request names
 *  4. http_head_begin(), …                          write a head
 */
#ifndef BAILEY_HTTP_H
#define BAILEY_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/util.h"

#define HTTP_HEAD_MAX 32768u  /* bytes of a head */
#define HTTP_FIELDS 128u      /* fields of a head */

struct http_slice {
	const char *p;
	size_t len;
};

struct http_field {
	struct http_slice name, value; /* value without the blanks around it */
};

enum http_framing {
	HTTP_BODY_NONE,
	HTTP_BODY_LENGTH,
	HTTP_BODY_CHUNKED,
	HTTP_BODY_CLOSE, /* of responses: until the connection ends */
};

struct http_head {
	/* of a request */
	struct http_slice method, target;
	/* of a response */
	int status;
	struct http_slice reason;
	/* of both */
	int minor;                      /* HTTP/1.minor: 0 or 1 */
	size_t n;
	struct http_field fields[HTTP_FIELDS];
	size_t len;                     /* bytes, with the empty line */
	enum http_framing framing;
	uint64_t length;                /* of HTTP_BODY_LENGTH */
	bool keep_alive;                /* the sender will go on afterwards */
	bool upgrade;                   /* Connection: upgrade with an Upgrade field */
	bool expect_continue;
	struct http_slice host;         /* of a request: the only Host field; p NULL without */
};

/**
 * http_request_parse() - read a request's head.
 * Refused: bare CR or LF line ends mixed in, obs-fold, blanks before a colon, control characters, bytes above 0x7e in names or targets, no or two Host fields with HTTP/1.1, Content-Length with
 * Transfer-Encoding, several or odd Content-Lengths, any Transfer-Encoding but one "chunked", with HTTP/1.0 none at all.
 * Return: 0; -EAGAIN: more bytes are needed (never with HTTP_HEAD_MAX bytes); -EBADMSG with @e: answer 400 (e->code…) and close; -E2BIG: 431.
 */
int http_request_parse(struct http_head *ret, const char *p, size_t n, struct err *e);

/**
 * http_response_parse() - read a response's head.
 * @method: of the request, which decides whether there is a body
 */
int http_response_parse(struct http_head *ret, const char *p, size_t n, struct http_slice method, struct err *e);

/* Where in a body we are. */
struct http_body {
	enum http_framing framing;
	uint64_t left;   /* of the length or the chunk */
	unsigned int state, digits, trailer; /* of http.c */
};

/** http_body_begin() - of the body behind @h. */
void http_body_begin(struct http_body *b, const struct http_head *h);

/**
 * http_body_step() - how many of @n bytes belong to the body; they can be passed on as they are.
 * @ret_done: the body ends with them
 * Chunk extensions, trailers beyond HTTP_FIELDS or HTTP_HEAD_MAX, sizes with blanks, signs or more than 16 digits: -EBADMSG.
 * @ret_data: or NULL: of chunked bodies, calls back with the bytes that are content
 * Return: bytes, 0 to @n; or -EBADMSG with @e.
 */
ssize_t http_body_step(struct http_body *b, const char *p, size_t n, bool *ret_done, struct err *e);

/** http_field_find() - the value of the field of that name; p NULL without. Several: the first. */
struct http_slice http_field_find(const struct http_head *h, const char *name);

/** http_token_in() - whether @token is in a comma-separated list, in any case of letters. */
bool http_token_in(struct http_slice list, const char *token);

enum http_form { HTTP_ORIGIN, HTTP_ABSOLUTE, HTTP_AUTHORITY, HTTP_ASTERISK };

struct http_target {
	enum http_form form;
	struct http_slice scheme;    /* "http" or "https", lower case as sent */
	struct http_slice host;      /* raw; of IPv6 without the brackets; userinfo is refused */
	bool bracketed;
	uint16_t port;               /* 0: none was named */
	struct http_slice path;      /* with the query; "/" is not put in */
};

/** http_target_parse() - what a request's target is, by its method. Return: 0 or -EBADMSG with @e. */
int http_target_parse(struct http_target *ret, struct http_slice method, struct http_slice target, struct err *e);

/** http_authority_parse() - HOST[:PORT], as in Host and CONNECT. Fills host, bracketed and port. Return: as above. */
int http_authority_parse(struct http_target *ret, struct http_slice text, struct err *e);

/**
 * http_hop_by_hop() - whether field @i of @h ends at this connection (RFC 9110 7.6.1): Connection, what Connection names, Keep-Alive, Proxy-*, TE, Trailer, Transfer-Encoding, Upgrade.
 */
bool http_hop_by_hop(const struct http_head *h, size_t i);

/** http_write_field() - append "NAME: VALUE\r\n"; refuses CR, LF and NUL by failing the buffer. */
void http_write_field(struct buf *b, const char *name, struct http_slice value);

/** http_status_text() - the standard reason phrase; "" for others. */
const char *http_status_text(int status);

#endif
