/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http: HTTP/1.1 framing (RFC 9112), for the gateway now, for API and ingress later. Strict: what two parsers could read in two
 * ways is refused. Pure: no allocation, no I/O.
 *  1. http_head_end()                                    whether a whole head is there; cheap when bytes come one by one
 *  2. http_request_parse(), http_response_parse()        one head, as slices of the bytes it was read from
 *  3. http_body_begin(), http_body_step()                where its body ends
 *  4. http_target_parse(), http_authority_parse()        what a request names
 *  5. http_field_find(), http_hop_by_hop(), …            questions about a head
 *  6. http_write_request(), …, http_write_end()          write a head
 * Slices are borrowed: they point into the bytes that were parsed. A refusal has ERR_USAGE and a message that quotes at most a token, so it
 * may be shown to the peer.
 */
#ifndef BAILEY_HTTP_H
#define BAILEY_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "util/util.h"

#define HTTP_HEAD_MAX 32768u /* bytes of a head */
#define HTTP_FIELDS 128u     /* fields of a head */
#define HTTP_OPTIONS 32u     /* elements of all its Connection fields */

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
	struct http_slice host; /* value of the only Host field; p NULL without */
	bool expect_continue;
	/* of a response */
	int status;
	struct http_slice reason;
	/* of both */
	int minor;  /* HTTP/1.minor: 0 or 1 */
	size_t len; /* bytes, with the empty line */
	enum http_framing framing;
	uint64_t length; /* of HTTP_BODY_LENGTH */
	bool keep_alive; /* the sender will go on afterwards */
	bool upgrade;    /* Connection: upgrade with an Upgrade field */
	size_t n;
	struct http_field fields[HTTP_FIELDS]; /* the first @n are set */
};

/**
 * http_head_end() - look for the end of the head that begins at @p. Called again with more bytes it looks at the new ones only.
 * @scan: 0 for a new head, kept between the calls
 * Return: bytes of the head, with the empty line; -EAGAIN: more bytes are needed; -EBADMSG: a line ends without CR;
 * -E2BIG: no end within HTTP_HEAD_MAX.
 */
ssize_t http_head_end(size_t *scan, const char *p, size_t n, struct err *e);

/**
 * http_request_parse() - read a request's head.
 * Refused: line ends other than CR LF, empty lines before the request, folded fields, blanks before a colon, control characters, bytes above
 * 0x7e in names or targets; with HTTP/1.1 no Host, two Hosts, or one that http_authority_parse() refuses (an empty one is not refused);
 * Content-Length with Transfer-Encoding, several or odd Content-Lengths (signs, lists, leading zeros, above INT64_MAX), any
 * Transfer-Encoding but one "chunked", with HTTP/1.0 none at all; CONNECT with a body; Connection that names Host or Content-Length.
 * It looks for the end first, so a caller that gets bytes in pieces asks http_head_end() before.
 * Return: 0; -EAGAIN: more bytes are needed (never with HTTP_HEAD_MAX bytes); -EBADMSG: answer 400 and close; -E2BIG: 431.
 * *@ret means something after 0 only.
 */
int http_request_parse(struct http_head *ret, const char *p, size_t n, struct err *e);

/**
 * http_response_parse() - read a response's head.
 * @method: of the request, which decides whether there is a body
 * Refused: as above; also 101 without an upgrade, 1xx and 204 with a body.
 * Return: as above.
 */
int http_response_parse(struct http_head *ret, const char *p, size_t n, struct http_slice method,
			struct err *e);

/* Where in a body we are. */
struct http_body {
	enum http_framing framing;
	uint64_t left; /* of the length or the chunk */
	/* of body.c */
	unsigned int state;
	unsigned int digits;   /* of a chunk's size */
	unsigned int trailer;  /* bytes of all trailers */
	unsigned int trailers; /* how many */
	unsigned int at;       /* bytes of the name of this one */
	unsigned int barred;   /* names that it may still turn out to be */
};

/** http_body_begin() - of the body behind @h. */
void http_body_begin(struct http_body *b, const struct http_head *h);

/**
 * http_body_step() - how many of @n bytes belong to the body; they can be passed on as they are.
 * @ret_done: the body ends with them; asked with @n = 0, whether it has ended. Never with HTTP_BODY_CLOSE. When the connection ends
 * earlier, the body is cut.
 * Refused: chunk extensions; trailers beyond HTTP_FIELDS or HTTP_HEAD_MAX, or that name what frames, routes or authenticates; sizes with
 * blanks, signs, more than 16 digits or above INT64_MAX. What was refused once is refused for ever.
 * Return: bytes, 0 to @n; or -EBADMSG.
 */
ssize_t http_body_step(struct http_body *b, const char *p, size_t n, bool *ret_done, struct err *e);

/**
 * http_body_read() - as http_body_step(), but it stops behind the first run of bytes that are content.
 * @ret_content: these, without the framing; maybe none
 */
ssize_t http_body_read(struct http_body *b, const char *p, size_t n, struct http_slice *ret_content,
		       bool *ret_done, struct err *e);

/** http_field_find() - the value of the field @name (lower case); p NULL without. Several: the first. */
struct http_slice http_field_find(const struct http_head *h, const char *name);

/** http_is() - whether @s is @lower in any case of letters. */
bool http_is(struct http_slice s, const char *lower);

/**
 * http_list_next() - take the next element, without the blanks around it, from a comma-separated list; empty ones are passed over.
 * Return: whether there was one.
 */
bool http_list_next(struct http_slice *list, struct http_slice *ret);

/** http_token_in() - whether @token (lower case) is in a comma-separated list, in any case of letters. */
bool http_token_in(struct http_slice list, const char *token);

/**
 * http_hop_by_hop() - whether field @i of @h ends at this connection (RFC 9110 7.6.1): Connection, what Connection names, Keep-Alive, Proxy-*, TE,
 * Trailer, Transfer-Encoding, Upgrade.
 */
bool http_hop_by_hop(const struct http_head *h, size_t i);

enum http_form { HTTP_ORIGIN, HTTP_ABSOLUTE, HTTP_AUTHORITY, HTTP_ASTERISK };

struct http_target {
	enum http_form form;
	const char *scheme; /* of HTTP_ABSOLUTE: "http" or "https" */
	struct http_slice
		host; /* letters, digits, "-._"; of IPv6 hexadecimal digits, ":" and ".", without the brackets: still to be read as name or address */
	bool bracketed;
	uint16_t port; /* 0: none was named */
	struct http_slice
		path; /* with the query; of HTTP_ABSOLUTE it may be empty, else it begins with "/" */
};

/**
 * http_target_parse() - what a request's target is, by its method. CONNECT needs a port, "*" is of OPTIONS.
 * Refused: other schemes, a query right behind the host (some look for the "/" alone: http://a?@b/), fragments, and as http_authority_parse().
 * Return: 0 or -EBADMSG.
 */
int http_target_parse(struct http_target *ret, struct http_slice method, struct http_slice target,
		      struct err *e);

/**
 * http_authority_parse() - HOST[:PORT], as in Host and CONNECT. Fills host, bracketed and port.
 * Refused: userinfo, percent-coding, zones, ports with a leading zero, empty, or above 65535.
 * Return: as above.
 */
int http_authority_parse(struct http_target *ret, struct http_slice text, struct err *e);

/** http_write_request() - append "METHOD TARGET HTTP/1.1\r\n". These all fail the buffer when a part could be read as something else. */
void http_write_request(struct buf *b, struct http_slice method, struct http_slice target);

/** http_write_status() - append "HTTP/1.1 STATUS REASON\r\n". @reason: p NULL for the standard one */
void http_write_status(struct buf *b, int status, struct http_slice reason);

/** http_write_field() - append "NAME: VALUE\r\n"; refuses control characters. */
void http_write_field(struct buf *b, const char *name, struct http_slice value);

/** http_write_copy() - append a field as it was read. */
void http_write_copy(struct buf *b, const struct http_field *f);

/** http_write_framing() - append Content-Length or Transfer-Encoding as @h has it; a HTTP_BODY_CLOSE has neither. */
void http_write_framing(struct buf *b, const struct http_head *h);

/** http_write_end() - append the empty line. */
void http_write_end(struct buf *b);

/** http_status_text() - the standard reason phrase; "" for others. */
const char *http_status_text(int status);

/** http_slice() - @s as a slice. */
static inline struct http_slice http_slice(const char *s)
{
	return (struct http_slice){ s, __builtin_strlen(s) };
}

#endif
