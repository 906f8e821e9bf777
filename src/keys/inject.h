/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What becomes of a request to a host with a bound secret (docs/adr/0022). Pure: no I/O; memory that held a secret is erased.
 *  1. inject_bind()                  a secret and its sentinel, for the life of a sandbox
 *  2. inject_bound()                 whether a host has one
 *  3. inject_request()               a request's head: the changed fields and target, or a refusal
 *  4. inject_body()                  where .body is INJECT_HOLD: the whole body; fields and target hold only after it
 *     inject_step(), inject_end()    where it is INJECT_STREAM: the body, piece by piece
 *  5. inject_trailers()              fields behind the body
 *  6. inject_done()
 * One struct inject is one request; it is not copied. What it points to is its own, or borrowed from the request and the bound secrets, which must stay until
 * inject_done().
 */
#ifndef BAILEY_KEYS_INJECT_H
#define BAILEY_KEYS_INJECT_H

#include "http/http.h"
#include "record.h"

#define INJECT_HOLD_MAX (16u << 20) /* bytes of a body that must be known before its head is sent */
#define INJECT_FIELDS (HTTP_FIELDS + 4u)
#define INJECT_OWNED 160u /* texts that one request needs */

#define INJECT_SECRETS 128u /* that can be bound together */

struct scrub;
struct sigv4_stream;

/* A secret that is bound to a sandbox. */
struct inject_secret {
	struct secret secret;            /* strings borrowed */
	struct secret_sentinel sentinel; /* of this run */
	struct secret_list hosts;
	const struct secret_service *service; /* or NULL */
	struct secret_way own;                /* without a service */
	const struct secret_way *ways;
	size_t n_ways;
	const char *const *earlier; /* what it was before (bound.h): not put in, but taken out */
	size_t n_earlier;
	/* of a mask (mask.h) */
	bool mask; /* the sandbox has its sentinel already, and its hosts are inspected by other rules */
	bool meek;               /* other credentials may be used beside it */
	const char *const *more; /* hosts beside @hosts */
	size_t n_more;
	const char *token; /* of AWS: the sentinel of the session's token, or NULL */
	bool retired; /* of AWS: a part of a pair that signs no more: a request with its id is refused */
	bool no_chunks,
		no_urls; /* of AWS: such requests are refused: signed chunk by chunk, or in the URL */
};

#define INJECT_UPLOADS 256u
#define INJECT_UPLOAD_HASH 32u

/* Uploads that this sandbox has begun: hashes, the last ones of @n. */
struct inject_uploads {
	unsigned char v[INJECT_UPLOADS][INJECT_UPLOAD_HASH];
	size_t n;
};

struct inject_request {
	const struct inject_uploads *uploads; /* or NULL */
	const char *host;                     /* canonical; judged */
	bool tls;                             /* and verified: secrets are put in */
	bool own;                         /* --allow-own-credentials: what is no sentinel passes */
	bool body;                        /* there is one, or may be */
	struct http_slice method, target; /* target in origin form */
	/* without those of HTTP/2 that begin with ":"; Host, if it is among them, is @host or @host:PORT */
	const struct http_field *fields;
	size_t n;
	struct http_slice authority; /* as the client wrote it: what SigV4 signs as host */
};

enum inject_kind {
	INJECT_PASS, /* the body goes on as it is */
	INJECT_HOLD, /* at most INJECT_HOLD_MAX are kept for inject_body(), which may refuse them, and passed on as they are */
	INJECT_STREAM, /* the body goes through inject_step() */
};

struct inject {
	struct http_field fields[INJECT_FIELDS];
	size_t n;
	struct http_slice target;
	enum inject_kind body;
	bool resized; /* of INJECT_STREAM: Content-Length is gone from the fields; the body must be framed anew */
	bool fixed; /* it is signed with the head: nothing of it may be changed but by inject_step() */
	const char *
		secret; /* name of the one that was put in, or NULL; inject_step() and inject_end() set it, too, where the head had none */
	char why[256];  /* of a refusal: "foreign-credential: header authorization; …" */
	/* private */
	char *owned[INJECT_OWNED];
	size_t n_owned;
	struct inject_request q;
	const struct inject_secret *secrets; /* all that are bound, to any host */
	size_t n_secrets;
	const struct inject_secret *aws; /* the body must be known to sign the head */
	struct scrub *replace;
	struct sigv4_stream *chunks;
	bool token;      /* the body is for an endpoint that gives tokens */
	struct buf held; /* of INJECT_STREAM with .token */
};

/** inject_bind() - make @ret of @s, which is borrowed and has a value, and a new sentinel. Return: 0 or negative errno with @e. */
int inject_bind(struct inject_secret *ret, const struct secret *s, struct err *e);

struct inject_variable {
	const char *name, *value;
};

/** inject_variables() - what the sandbox gets in its environment: sentinels; into SECRET_LIST_MAX + 1 places. Return: how many. */
size_t inject_variables(const struct inject_secret *s, struct inject_variable *out);

/** inject_bound() - whether one of the @n secrets is bound to @host (canonical). */
bool inject_bound(const struct inject_secret *secrets, size_t n, const char *host);

/**
 * inject_request() - judge and change a head. Of a host that no secret is bound to nothing is changed.
 * @ret: set in any case; inject_done() afterwards
 * Return: 0; -EACCES: refused with 403 and ret->why; -EMSGSIZE: 431; -ENOMEM.
 */
int inject_request(struct inject *ret, const struct inject_secret *secrets, size_t n,
		   const struct inject_request *q, struct err *e);

/** inject_body() - the whole body of INJECT_HOLD. Return: 0, fields and target can be sent now; -EACCES as above; -ENOMEM. */
int inject_body(struct inject *i, const char *p, size_t n, struct err *e);

/** inject_step() - take @n bytes of the body, append what can be sent. Return: 0; -EACCES: refused, the request must be cut; -ENOMEM, -EFBIG (@out's cap). */
int inject_step(struct inject *i, const char *p, size_t n, struct buf *out, struct err *e);

/** inject_end() - the body has ended: append what was kept. Return: as above. */
int inject_end(struct inject *i, struct buf *out, struct err *e);

/** inject_trailers() - judge fields behind the body; none is changed. Return: 0 or -EACCES with i->why. */
int inject_trailers(struct inject *i, const struct http_field *fields, size_t n, struct err *e);

/** inject_upload() - a field of the answer, 200, to the request: an upload may begin with it. */
void inject_upload(const struct inject *i, struct inject_uploads *u, struct http_slice name,
		   struct http_slice value);

/** inject_size() - bytes of memory that it has, without bodies. */
size_t inject_size(const struct inject *i);

/** inject_kept() - bytes of the body that it keeps until it knows more. */
size_t inject_kept(const struct inject *i);

/** inject_done() - erase and free. */
void inject_done(struct inject *i);

#endif
