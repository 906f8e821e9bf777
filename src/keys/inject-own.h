/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of inject share. */
#ifndef BAILEY_KEYS_INJECT_OWN_H
#define BAILEY_KEYS_INJECT_OWN_H

#include "erase.h"
#include "inject.h"

#define INJECT_TOKEN_MAX 65536u /* bytes of a body for an endpoint that gives tokens */

/** inject_own() - @n bytes of erased memory of the request, zeroed, with a NUL behind them. Return: NULL with @e. */
char *inject_own(struct inject *i, size_t n, struct err *e);

/** inject_refuse() - "foreign-credential: ", what carries it, and the way on; with --allow-own-credentials it passes. Return: 0 or -EACCES. */
__attribute__((format(printf, 3, 4))) int inject_refuse(struct inject *i, struct err *e,
							const char *fmt, ...);

/** inject_deny() - any other refusal. Return: -EACCES. */
int inject_deny(struct inject *i, struct err *e, const char *why);

/** inject_applies() - whether the secret is bound to @host. */
bool inject_applies(const struct inject_secret *s, const char *host);

/** inject_put() - @s is put in: note its name. Return: 0; -EACCES: the connection is not TLS. */
int inject_put(struct inject *i, const struct inject_secret *s, struct err *e);

/** carrier_header() - whether a header (any case) authenticates at a host with the secret @s. */
bool carrier_header(const struct inject_secret *s, struct http_slice name);

/** carrier_query() - the same of a field of the query (decoded, lower case). */
bool carrier_query(const struct inject_secret *s, const char *name);

/** carrier_upload() - whether a field of the query (the same) opens an upload that was begun before. */
bool carrier_upload(const struct inject_secret *s, const char *name);

/** inject_upload_begun() - whether that is of an upload which this sandbox has begun; @u: NULL: none was. */
bool inject_upload_begun(const struct inject_uploads *u, struct http_slice value);

/** carrier_body() - the same of a field of a body for an endpoint that gives tokens (lower case). */
bool carrier_body(const char *name);

/** carrier_cookie_harmless() - whether all cookies are of load balancers, which authenticate nobody; @sentinel: or hold that; or NULL. */
bool carrier_cookie_harmless(struct http_slice value, const char *sentinel);

/** carrier_protocol() - whether an element of Sec-WebSocket-Protocol could be a key. */
bool carrier_protocol(const struct inject_secret *s, struct http_slice item, bool behind_bearer);

#define CARRIER_PATH HTTP_HEAD_MAX

/** carrier_token_path() - whether a path (decoded, lower case) is of an endpoint that gives tokens. */
bool carrier_token_path(const char *path);

/** carrier_path_is() - whether a path (decoded, lower case) may be read as @want, whatever a server makes of dots, empty segments and parameters. */
bool carrier_path_is(const char *path, const char *want);

/** inject_judge_token() - a body for such an endpoint. Return: 0, -EACCES, -ENOMEM. */
int inject_judge_token(struct inject *i, const char *p, size_t n, struct err *e);

/** inject_batch() - refuse a body in which requests stand, which nobody reads, where the service takes such. Return: 0 or -EACCES. */
int inject_batch(struct inject *i, struct err *e);

/** inject_aws() - the signature of a head, when there is one. Return: 1: there was; 0; or negative. */
int inject_aws(struct inject *i, const struct inject_secret *s, struct err *e);

/** inject_aws_body() - the same, with its body. */
int inject_aws_body(struct inject *i, const char *p, size_t n, struct err *e);

/** aws_host_is_service() - whether only AWS's own programs answer at @host (canonical); names that it doesn't give to anybody are nobody else's, too. */
bool aws_host_is_service(const char *host);

/** aws_host_is_trusted() - the same, or @s is bound to this very name. */
bool aws_host_is_trusted(const struct inject_secret *s, const char *host);

/** inject_query() - judge and change the query. *@put: the secret that was put in stays or is set. Return: 0 or negative. */
int inject_query(struct inject *i, struct err *e);

/** inject_basic() - the pair of a Basic field, decoded into memory of the request; ret_pass p NULL: it is no pair. */
int inject_basic(struct inject *i, struct http_slice coded, char **ret_user, char **ret_pass,
		 struct err *e);

/** inject_basic_text() - "Basic …" of a pair, in memory of the request. Return: NULL with @e. */
char *inject_basic_text(struct inject *i, const char *user, const char *pass, struct err *e);

/** inject_decode() - percent-decode, lower-case letters; @out: @size bytes. Return: whether it fits and has no NUL. */
bool inject_decode(struct http_slice s, char *out, size_t size);

/**
 * inject_name() - the same of a field's name in a query or a form, without the blanks in front of it, which PHP leaves out.
 * @ret_nul: whether there is a NUL in it, behind which some servers read no further: then it can't be told what they read
 */
bool inject_name(struct http_slice s, char *out, size_t size, bool *ret_nul);

static inline bool slice_is(struct http_slice s, const char *text)
{
	return s.len == strlen(text) && memcmp(s.p, text, s.len) == 0;
}

static inline bool slice_begins(struct http_slice s, const char *lower)
{
	size_t n = strlen(lower);

	return s.len >= n && http_is((struct http_slice){ s.p, n }, lower);
}

#endif
