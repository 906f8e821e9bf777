/* SPDX-License-Identifier: Apache-2.0 */
/*
 * AWS Signature Version 4: signatures of one pair are checked, and made anew with another. Pure.
 *  1. sigv4_parse()         the signature in a head, or in the query of a presigned URL
 *  2. sigv4_verify()        whether it is of the pair
 *  3. sigv4_sign()          the signature of a (changed) head by a pair
 *  4. sigv4_stream_*()      the chunks of a payload that is signed piece by piece
 */
#ifndef BAILEY_KEYS_SIGV4_H
#define BAILEY_KEYS_SIGV4_H

#include "http/http.h"

#define SIGV4_HEADERS 64u /* that are signed */
#define SIGV4_QUERY 128u  /* fields of a query */
#define SIGV4_CHUNK_MAX \
	(256u           \
	 << 10) /* bytes of a signed chunk: it is held until its signature is known, and leaves as one piece (JUDGE_MORE, CONN_OUT). SDKs make them of 64 to 128 KiB */
#define SIGV4_HEX 64u

struct sigv4_pair {
	const char *id, *secret, *token; /* token: NULL without */
};

enum sigv4_payload {
	SIGV4_HASH,      /* of the body; it stands in a field, or the body must be read first */
	SIGV4_UNSIGNED,  /* nothing of the body is signed */
	SIGV4_STREAMING, /* each chunk is signed */
	SIGV4_STREAMING_UNSIGNED, /* chunks that are not signed */
};

/* Where signers differ, so that servers must, too; what was signed in one way is signed anew in the same. */
enum sigv4_reading {
	SIGV4_SLASHES = 1,  /* %2F in a path is "/" */
	SIGV4_PLUS = 2,     /* "+" in a query is no blank */
	SIGV4_VERBATIM = 4, /* what is coded stays coded as it is */
	SIGV4_READINGS = 8
};

/* A signature as it was sent. Slices are borrowed, or point into .text: it is not to be copied. */
struct sigv4 {
	bool presigned;              /* in the query */
	struct http_slice id, scope; /* scope: DATE/REGION/SERVICE/aws4_request */
	struct http_slice day, region, service, date;
	struct http_slice headers[SIGV4_HEADERS]; /* names, in the order that they must have */
	size_t n_headers;
	struct http_slice signature;
	struct http_slice expires; /* of a presigned one, decoded: digits */
	enum sigv4_payload payload;
	bool trailer; /* of SIGV4_STREAMING: a signed trailer follows */
	struct http_slice
		hash; /* what stands in the canonical request; p NULL: SHA-256 of the body */
	bool s3;      /* paths are coded once and not normalised */
	unsigned int
		reading; /* enum sigv4_reading: how its signer reads a target, once sigv4_verify() has found out */
	char text[512];
};

/* A request as far as it is signed. */
struct sigv4_request {
	struct http_slice method, target, host; /* target in origin form; host as it is sent */
	const struct http_field *fields;
	size_t n;
};

/**
 * sigv4_parse() - find and read the signature. *@ret means something after 1 only.
 * Return: 1; 0: there is none; -EBADMSG: there is one, and it can't be read, or it is of another kind (version 2, 4A, two of them), with @e saying what.
 */
int sigv4_parse(struct sigv4 *ret, const struct sigv4_request *q, struct err *e);

/**
 * sigv4_compute() - the signature of a request.
 * @s: what is signed and how; the id is not looked at
 * @body_hash: SHA-256 of the body as 64 hexadecimal digits, where s->hash has none; else NULL
 * Return: 0, -EBADMSG (a header is not there, or the query has too many fields) with @e, -ENOMEM.
 */
int sigv4_compute(char ret[SIGV4_HEX + 1], const struct sigv4 *s, const struct sigv4_request *q,
		  const struct sigv4_pair *pair, const char *body_hash, struct err *e);

/** sigv4_verify() - whether the signature is of @pair, in one of the readings. Return: 0 and s->reading, -EACCES with @e, or as above. */
int sigv4_verify(struct sigv4 *s, const struct sigv4_request *q, const struct sigv4_pair *pair,
		 const char *body_hash, struct err *e);

/** sigv4_authorization() - append the value of an Authorization field. */
void sigv4_authorization(struct buf *b, const struct sigv4 *s, const char *id,
			 const char *signature);

/**
 * sigv4_presign() - append the target anew: with another id, with @pair's token, and its signature.
 * Return: 0 or as sigv4_compute().
 */
int sigv4_presign(struct buf *b, const struct sigv4 *s, const struct sigv4_request *q,
		  const struct sigv4_pair *pair, const char *body_hash, struct err *e);

/** sigv4_hash() - SHA-256 as hexadecimal digits. Return: 0 or -ENOMEM. */
int sigv4_hash(const void *p, size_t n, char ret[SIGV4_HEX + 1]);

struct sigv4_stream;

/**
 * sigv4_stream_new() - begin a payload of signed chunks.
 * @s: of its head; strings are copied, but those of the pairs, which are borrowed
 * @seed_mock, @seed_real: the signatures of the head, by either pair
 */
int sigv4_stream_new(struct sigv4_stream **ret, const struct sigv4 *s,
		     const struct sigv4_pair *mock, const struct sigv4_pair *real,
		     const char *seed_mock, const char *seed_real, struct err *e);

/** sigv4_stream_step() - take @n bytes of the body (aws-chunked), append those that are signed anew; as many as came in in the end. Return: 0; -EACCES: a signature is not of the pair; -EBADMSG; -EFBIG; -ENOMEM. */
int sigv4_stream_step(struct sigv4_stream *t, const char *p, size_t n, struct buf *out,
		      struct err *e);

/** sigv4_stream_kept() - bytes of memory that wait for a signature; takes NULL. */
size_t sigv4_stream_kept(const struct sigv4_stream *t);

/** sigv4_stream_end() - the body has ended. Return: 0, or -EBADMSG when something is missing. */
int sigv4_stream_end(const struct sigv4_stream *t, struct err *e);

struct sigv4_stream *sigv4_stream_free(struct sigv4_stream *t);

#endif
