/* SPDX-License-Identifier: Apache-2.0 */
/* Where a signature stands, and what it says of itself. */
#include <errno.h>
#include <string.h>

#include "sigv4-query.h"

#define ALGORITHM "AWS4-HMAC-SHA256"
#define TERMINATOR "aws4_request"

static int bad(struct err *e, const char *what)
{
	return err_set(e, ERR_USAGE, -EBADMSG, "signature of AWS: %s", what);
}

static bool is(struct http_slice s, const char *text)
{
	return s.len == strlen(text) && memcmp(s.p, text, s.len) == 0;
}

bool sigv4_query_split(struct sigv4_query *ret, struct http_slice target)
{
	const char *mark = target.p ? memchr(target.p, '?', target.len) : NULL, *at, *end, *stop,
		   *equals;

	ret->n = 0;
	ret->path = (struct http_slice){ target.p, mark ? (size_t)(mark - target.p) : target.len };
	end = target.p + target.len;
	for (at = mark ? mark + 1 : end; at < end; at = stop + (stop < end)) {
		stop = memchr(at, '&', (size_t)(end - at));
		stop = stop ? stop : end;
		if (stop == at)
			continue;
		if (ret->n == SIGV4_QUERY)
			return false;
		equals = memchr(at, '=', (size_t)(stop - at));
		ret->v[ret->n].name =
			(struct http_slice){ at, (size_t)((equals ? equals : stop) - at) };
		ret->v[ret->n].value =
			(struct http_slice){ equals ? equals + 1 : stop,
					     equals ? (size_t)(stop - equals - 1) : 0 };
		ret->n++;
	}
	return true;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

size_t sigv4_decode(struct http_slice s, char *out, size_t size)
{
	size_t i, n = 0;

	for (i = 0; i < s.len; i++, n++) {
		char c = s.p[i];

		if (n + 1 >= size)
			return 0;
		if (c == '%' && i + 2 < s.len && hex_digit(s.p[i + 1]) >= 0 &&
		    hex_digit(s.p[i + 2]) >= 0) {
			c = (char)(hex_digit(s.p[i + 1]) * 16 + hex_digit(s.p[i + 2]));
			i += 2;
		}
		if (c < 0x20 || c > 0x7e)
			return 0;
		out[n] = c;
	}
	out[n] = '\0';
	return n;
}

/* What comes before @c; *@s begins behind it then. p NULL: there is no @c. */
static struct http_slice before(struct http_slice *s, char c)
{
	const char *at = s->len ? memchr(s->p, c, s->len) : NULL;
	struct http_slice got = { NULL, 0 };

	if (at) {
		got = (struct http_slice){ s->p, (size_t)(at - s->p) };
		s->p = at + 1;
		s->len -= got.len + 1;
	}
	return got;
}

static bool only(struct http_slice s, const char *chars)
{
	size_t i;

	for (i = 0; i < s.len; i++) {
		if (!s.p[i] || !strchr(chars, s.p[i]))
			return false;
	}
	return s.len > 0;
}

#define LOWER "abcdefghijklmnopqrstuvwxyz0123456789"

/* ID/DATE/REGION/SERVICE/aws4_request */
static int read_credential(struct sigv4 *s, struct http_slice c, struct err *e)
{
	s->id = before(&c, '/');
	s->scope = c;
	s->day = before(&c, '/');
	s->region = before(&c, '/');
	s->service = before(&c, '/');
	if (!s->service.p || !is(c, TERMINATOR) || s->id.len == 0 || s->id.len > 128 ||
	    s->day.len != 8 || !only(s->day, "0123456789") || !only(s->region, LOWER "-") ||
	    !only(s->service, LOWER "-_") || s->scope.len > 160)
		return bad(e, "its Credential is not ID/DATE/REGION/SERVICE/aws4_request");
	s->s3 = is(s->service, "s3") || is(s->service, "s3express") ||
		is(s->service, "s3-outposts") || is(s->service, "s3-object-lambda");
	return 0;
}

/* a;b;c, in order. */
static int read_headers(struct sigv4 *s, struct http_slice list, struct err *e)
{
	struct http_slice name, last = { "", 0 };
	bool host = false;
	int order;

	for (s->n_headers = 0; list.len > 0; last = name) {
		name = before(&list, ';');
		if (!name.p) {
			name = list;
			list.len = 0;
		} else if (list.len == 0) {
			return bad(e, "its SignedHeaders end with a semicolon");
		}
		if (s->n_headers == SIGV4_HEADERS || !only(name, LOWER "-_."))
			return bad(e, "its SignedHeaders can't be read");
		order = memcmp(last.p, name.p, last.len < name.len ? last.len : name.len);
		if (order > 0 || (order == 0 && last.len >= name.len))
			return bad(e, "its SignedHeaders are not in order");
		host = host || is(name, "host");
		s->headers[s->n_headers++] = name;
	}
	return host ? 0 : bad(e, "it doesn't sign the host");
}

static int read_signature(struct sigv4 *s, struct err *e)
{
	return s->signature.len == SIGV4_HEX && only(s->signature, "0123456789abcdef") ?
		       0 :
		       bad(e, "it is not 64 hexadecimal digits");
}

/* YYYYMMDDTHHMMSSZ, of the day of the scope. */
static int read_date(struct sigv4 *s, struct http_slice d, struct err *e)
{
	if (!s->day.p || d.len != 16 || d.p[8] != 'T' || d.p[15] != 'Z' ||
	    !only((struct http_slice){ d.p, 8 }, "0123456789") ||
	    !only((struct http_slice){ d.p + 9, 6 }, "0123456789") || memcmp(d.p, s->day.p, 8) != 0)
		return bad(e, "its date is missing, or not that of its scope");
	s->date = d;
	return 0;
}

static int read_payload(struct sigv4 *s, struct http_slice h, struct err *e)
{
	s->hash = h;
	s->payload = SIGV4_HASH;
	if (!h.p || (h.len == SIGV4_HEX && only(h, "0123456789abcdef")))
		return 0;
	if (is(h, "UNSIGNED-PAYLOAD"))
		s->payload = SIGV4_UNSIGNED;
	else if (is(h, "STREAMING-UNSIGNED-PAYLOAD-TRAILER"))
		s->payload = SIGV4_STREAMING_UNSIGNED;
	else if (is(h, "STREAMING-AWS4-HMAC-SHA256-PAYLOAD") ||
		 is(h, "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"))
		s->payload = SIGV4_STREAMING;
	else
		return bad(e, "its payload is signed in a way that is not known");
	s->trailer = s->payload == SIGV4_STREAMING &&
		     h.len > strlen("STREAMING-AWS4-HMAC-SHA256-PAYLOAD");
	return 0;
}

/* The only field @name (lower case); p NULL: none. Return: false: there are several. */
static bool one_field(const struct sigv4_request *q, const char *name, struct http_slice *ret)
{
	size_t i;

	*ret = (struct http_slice){ NULL, 0 };
	for (i = 0; i < q->n; i++) {
		if (!http_is(q->fields[i].name, name))
			continue;
		if (ret->p)
			return false;
		*ret = q->fields[i].value;
	}
	return true;
}

/* Credential=…, SignedHeaders=…, Signature=…: each once. */
static int read_authorization(struct sigv4 *s, struct http_slice v, struct err *e)
{
	struct http_slice part, credential = { NULL, 0 }, headers = { NULL, 0 }, *to;
	const char *equals;
	int r;

	s->signature.p = NULL;
	while (http_list_next(&v, &part)) {
		equals = memchr(part.p, '=', part.len);
		if (!equals)
			return bad(e, "a part of it has no value");
		if (is((struct http_slice){ part.p, (size_t)(equals - part.p) }, "Credential"))
			to = &credential;
		else if (is((struct http_slice){ part.p, (size_t)(equals - part.p) },
			    "SignedHeaders"))
			to = &headers;
		else if (is((struct http_slice){ part.p, (size_t)(equals - part.p) }, "Signature"))
			to = &s->signature;
		else
			return bad(e, "a part of it is not known");
		if (to->p)
			return bad(e, "a part of it stands there twice");
		*to = (struct http_slice){ equals + 1, part.len - (size_t)(equals + 1 - part.p) };
	}
	if (!credential.p || !headers.p || !s->signature.p)
		return bad(e, "it needs Credential, SignedHeaders and Signature");
	r = read_credential(s, credential, e);
	if (r == 0)
		r = read_headers(s, headers, e);
	return r == 0 ? read_signature(s, e) : r;
}

static int parse_header(struct sigv4 *s, const struct sigv4_request *q, struct http_slice auth,
			struct err *e)
{
	struct http_slice v;
	int r;

	auth.p += strlen(ALGORITHM);
	auth.len -= strlen(ALGORITHM);
	r = read_authorization(s, auth.len ? (struct http_slice){ auth.p + 1, auth.len - 1 } : auth,
			       e);
	if (r == 0)
		r = one_field(q, "x-amz-date", &v) && v.p ? read_date(s, v, e) :
							    bad(e, "there is not one X-Amz-Date");
	if (r == 0)
		r = one_field(q, "x-amz-content-sha256", &v) ?
			    read_payload(s, v, e) :
			    bad(e, "there are two X-Amz-Content-Sha256");
	return r < 0 ? r : 1;
}

/* What a presigned URL consists of; in the order of enum part. */
enum part { ALGORITHM_PART, CREDENTIAL, DATE, EXPIRES, HEADERS, SIGNATURE, SHA256, PARTS };

static const char *const part_names[PARTS] = { "X-Amz-Algorithm",     "X-Amz-Credential",
					       "X-Amz-Date",          "X-Amz-Expires",
					       "X-Amz-SignedHeaders", "X-Amz-Signature",
					       "X-Amz-Content-Sha256" };

static int read_parts(struct sigv4 *s, const struct sigv4_query *query,
		      struct http_slice part[PARTS], struct err *e)
{
	size_t i, k, used = 0, n;
	char name[32];

	memset(part, 0, PARTS * sizeof(*part));
	for (i = 0; i < query->n; i++) {
		if (query->v[i].name.len >= sizeof(name) ||
		    sigv4_decode(query->v[i].name, name, sizeof(name)) == 0)
			continue;
		for (k = 0; k < PARTS && strcmp(name, part_names[k]) != 0; k++)
			;
		if (k == PARTS)
			continue;
		if (part[k].p)
			return bad(e, "a part of the URL stands there twice");
		n = sigv4_decode(query->v[i].value, s->text + used, sizeof(s->text) - used);
		if (n == 0)
			return bad(e, "a part of the URL is empty or too long");
		part[k] = (struct http_slice){ s->text + used, n };
		used += n + 1;
	}
	return 0;
}

static int parse_query(struct sigv4 *s, const struct sigv4_request *q,
		       const struct sigv4_query *query, struct err *e)
{
	struct http_slice part[PARTS], hash;
	int r = read_parts(s, query, part, e), i;

	if (r < 0)
		return r;
	if (!part[SIGNATURE].p && !part[CREDENTIAL].p && !part[ALGORITHM_PART].p)
		return 0;
	for (i = 0; i < SHA256; i++) {
		if (!part[i].p)
			return bad(e, "the URL lacks a part of it");
	}
	if (!is(part[ALGORITHM_PART], ALGORITHM))
		return bad(e, "of another kind than " ALGORITHM);
	s->presigned = true;
	s->signature = part[SIGNATURE];
	s->expires = part[EXPIRES];
	if (s->expires.len > 7 || !only(s->expires, "0123456789"))
		return bad(e, "its X-Amz-Expires is no number");
	r = read_credential(s, part[CREDENTIAL], e);
	if (r == 0)
		r = read_headers(s, part[HEADERS], e);
	if (r == 0)
		r = read_signature(s, e);
	if (r == 0)
		r = read_date(s, part[DATE], e);
	if (r == 0 && !one_field(q, "x-amz-content-sha256", &hash))
		r = bad(e, "there are two X-Amz-Content-Sha256");
	if (r < 0)
		return r;
	if (!hash.p)
		hash = part[SHA256];
	if (!hash.p && s->s3)
		hash = http_slice("UNSIGNED-PAYLOAD");
	r = read_payload(s, hash, e);
	if (r == 0 && s->payload == SIGV4_STREAMING)
		r = bad(e, "the payload of a URL is not signed in chunks");
	return r < 0 ? r : 1;
}

int sigv4_parse(struct sigv4 *ret, const struct sigv4_request *q, struct err *e)
{
	struct sigv4_query query;
	struct http_slice auth;
	int r = 0, in_query;

	memset(ret, 0, sizeof(*ret));
	if (!one_field(q, "authorization", &auth))
		return bad(e, "there are two Authorization fields");
	if (!sigv4_query_split(&query, q->target))
		return bad(e, "the query has too many fields");
	if (auth.len >= 4 && http_is((struct http_slice){ auth.p, 4 }, "aws4")) {
		if (auth.len <= strlen(ALGORITHM) ||
		    memcmp(auth.p, ALGORITHM, strlen(ALGORITHM)) != 0 ||
		    (auth.p[strlen(ALGORITHM)] != ' '))
			return bad(e, "of another kind than " ALGORITHM);
		r = parse_header(ret, q, auth, e);
	} else if (auth.len >= 4 && http_is((struct http_slice){ auth.p, 4 }, "aws ")) {
		return bad(e, "of version 2");
	}
	if (r < 0)
		return r;
	if (r == 0)
		return parse_query(ret, q, &query, e);
	for (in_query = 0; in_query < (int)query.n; in_query++) {
		struct http_slice name = query.v[in_query].name;

		if (http_is(name, "x-amz-signature") || http_is(name, "x-amz-credential"))
			return bad(e, "one in a field and one in the URL");
	}
	return 1;
}
