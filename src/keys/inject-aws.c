/* SPDX-License-Identifier: Apache-2.0 */
/* Requests that the sandbox has signed with its pair are signed anew with the real one. */
#include <errno.h>
#include <string.h>

#include "inject-own.h"
#include "sigv4-query.h"

#define TOKEN_FIELD "x-amz-security-token"

static struct sigv4_request as_sent(const struct inject *i)
{
	return (struct sigv4_request){ .method = i->q.method,
				       .target = i->q.target,
				       .host = i->q.authority.p ? i->q.authority :
								  http_slice(i->q.host),
				       .fields = i->q.fields,
				       .n = i->q.n };
}

static struct sigv4_pair real_pair(const struct inject_secret *s)
{
	return (struct sigv4_pair){ s->secret.id, s->secret.value, s->secret.token };
}

static struct sigv4_pair mock_pair(const struct inject_secret *s)
{
	return (struct sigv4_pair){ s->sentinel.id, s->sentinel.value, NULL };
}

static bool in_list(struct http_slice v, const struct secret_list *l)
{
	size_t k;

	for (k = 0; k < l->n; k++) {
		if (slice_is(v, l->v[k]))
			return true;
	}
	return l->n == 0;
}

static bool has_field(const struct inject *i, struct http_slice name)
{
	size_t k;

	for (k = 0; k < i->n; k++) {
		if (i->fields[k].name.len == name.len &&
		    strncasecmp(i->fields[k].name.p, name.p, name.len) == 0)
			return true;
	}
	return slice_is(name, "host");
}

/* What is signed from now on: what is still there, and the token. */
static int choose_headers(const struct inject *i, struct sigv4 *sig, bool token, struct err *e)
{
	struct http_slice add = http_slice(TOKEN_FIELD);
	size_t k, n = 0;

	for (k = 0; k < sig->n_headers; k++) {
		if (has_field(i, sig->headers[k]))
			sig->headers[n++] = sig->headers[k];
	}
	sig->n_headers = n;
	if (!token)
		return 0;
	if (n == SIGV4_HEADERS)
		return err_set(e, ERR_USAGE, -EMSGSIZE, "too many headers are signed");
	for (; n > 0; n--) {
		const struct http_slice *before = &sig->headers[n - 1];
		size_t least = before->len < add.len ? before->len : add.len;
		int order = memcmp(before->p, add.p, least);

		if (order < 0 || (order == 0 && before->len < add.len))
			break;
		sig->headers[n] = sig->headers[n - 1];
	}
	sig->headers[n] = add;
	sig->n_headers++;
	return 0;
}

static int own_buf(struct inject *i, const struct buf *b, struct http_slice *ret, struct err *e)
{
	char *p = b->failed ? NULL : inject_own(i, b->len, e);

	if (!p)
		return b->failed ? err_set(e, ERR_USAGE, -EMSGSIZE, "the signature is too long") :
				   -ENOMEM;
	memcpy(p, b->data, b->len);
	*ret = (struct http_slice){ p, b->len };
	return 0;
}

static int sign_url(struct inject *i, const struct sigv4 *sig, const struct sigv4_pair *real,
		    const char *hash, struct err *e)
{
	struct sigv4_request q = as_sent(i);
	struct buf b = BUF_INIT(0);
	int r;

	q.fields = i->fields;
	q.n = i->n;
	if (!erase_buf_init(&b, (size_t)4 * HTTP_HEAD_MAX))
		return err_set(e, ERR_SYSTEM, -ENOMEM, "out of memory");
	r = sigv4_presign(&b, sig, &q, real, hash, e);
	if (r == 0)
		r = own_buf(i, &b, &i->target, e);
	erase_buf_done(&b);
	return r;
}

static int sign_head(struct inject *i, const struct inject_secret *s, const struct sigv4 *sig,
		     const char *hash, struct err *e)
{
	struct sigv4_pair mock = mock_pair(s), real = real_pair(s);
	struct sigv4_request q = as_sent(i);
	char signature[SIGV4_HEX + 1], seed[SIGV4_HEX + 1];
	struct buf b = BUF_INIT(0);
	size_t k;
	int r;

	if (real.token)
		i->fields[i->n++] =
			(struct http_field){ http_slice(TOKEN_FIELD), http_slice(real.token) };
	q.fields = i->fields;
	q.n = i->n;
	r = sigv4_compute(signature, sig, &q, &real, hash, e);
	if (r < 0)
		return r;
	if (!erase_buf_init(&b, HTTP_HEAD_MAX))
		return err_set(e, ERR_SYSTEM, -ENOMEM, "out of memory");
	sigv4_authorization(&b, sig, real.id, signature);
	for (k = 0; r == 0 && k < i->n; k++) {
		if (http_is(i->fields[k].name, "authorization"))
			r = own_buf(i, &b, &i->fields[k].value, e);
	}
	erase_buf_done(&b);
	if (r < 0 || sig->payload != SIGV4_STREAMING)
		return r;
	memcpy(seed, sig->signature.p, SIGV4_HEX);
	seed[SIGV4_HEX] = '\0';
	r = sigv4_stream_new(&i->chunks, sig, &mock, &real, seed, signature, e);
	if (r == 0)
		i->body = INJECT_STREAM;
	return r;
}

/* Check it and sign. */
static int finish(struct inject *i, const struct inject_secret *s, struct sigv4 *sig,
		  const char *hash, struct err *e)
{
	struct sigv4_pair mock = mock_pair(s), real = real_pair(s);
	struct sigv4_request q = as_sent(i);
	int r = sigv4_verify(sig, &q, &mock, hash, e);

	if (r == -EACCES || r == -EBADMSG)
		return inject_deny(
			i, e,
			"foreign-credential: signature of AWS, not by the pair of this sandbox");
	/* who gets a token has a third of what signs anything */
	if (r == 0 && real.token && !aws_host_is_trusted(s, i->q.host))
		return inject_deny(
			i, e,
			"session-token: others' programs may answer at this name; bind the secret to it by name (bailey secret set --host)");
	if (r == 0)
		r = inject_put(i, s, e);
	if (r == 0)
		r = choose_headers(i, sig, real.token && !sig->presigned, e);
	if (r == 0)
		r = sig->presigned ? sign_url(i, sig, &real, hash, e) :
				     sign_head(i, s, sig, hash, e);
	if (r == -EBADMSG || r == -EMSGSIZE)
		r = inject_deny(i, e, "the request can't be signed anew");
	return r;
}

/* Requests that say who they are in their bodies. */
static int unsigned_request(struct inject *i, const struct inject_secret *s, struct err *e)
{
	size_t k;

	for (k = 0; k < i->q.n; k++) {
		if (!http_is(i->q.fields[k].name, "content-type"))
			continue;
		if (s->service && s->service->forms &&
		    slice_begins(i->q.fields[k].value, "multipart/form-data"))
			return inject_refuse(i, e, "form that is posted");
		i->token = i->token || (i->q.body && !i->q.own &&
					slice_begins(i->q.fields[k].value,
						     "application/x-www-form-urlencoded"));
	}
	return 0;
}

/* Other names may be what the request is about: who it is from is what its signature says. */
static bool about_signing(const char *name)
{
	return strncmp(name, "x-amz-", 6) == 0 || strcmp(name, "awsaccesskeyid") == 0 ||
	       strcmp(name, "signature") == 0 || strcmp(name, "webidentitytoken") == 0 ||
	       strcmp(name, "samlassertion") == 0;
}

/* The sandbox's pair has no token, and a signed request needs nothing beside its signature. */
static int judge_query(struct inject *i, const struct inject_secret *s, bool presigned,
		       struct err *e)
{
	static const char *const parts[] = { "x-amz-credential", "x-amz-signature" };
	struct sigv4_query query;
	char name[64];
	size_t k, n;
	int r = 0;

	if (!sigv4_query_split(&query, i->q.target))
		return inject_deny(i, e, "the query has too many fields");
	for (k = 0; r == 0 && k < query.n; k++) {
		if (!inject_decode(query.v[k].name, name, sizeof(name)) ||
		    query.v[k].value.len == 0 || !carrier_query(s, name) || !about_signing(name))
			continue;
		for (n = 0; n < ARRAY_SIZE(parts) && strcmp(parts[n], name) != 0; n++)
			;
		if (n == ARRAY_SIZE(parts) || !presigned)
			r = inject_refuse(i, e, "query %s", name);
	}
	return r;
}

/* Whether that id is of another pair that is bound to this host: it will be asked, too. */
static bool another(const struct inject *i, const struct inject_secret *s, struct http_slice id)
{
	size_t k;

	for (k = 0; k < i->n_secrets; k++) {
		const struct inject_secret *o = &i->secrets[k];

		if (o != s && o->secret.carrier == SECRET_AWS && slice_is(id, o->sentinel.id) &&
		    inject_applies(o, i->q.host))
			return true;
	}
	return false;
}

int inject_aws(struct inject *i, const struct inject_secret *s, struct err *e)
{
	struct sigv4_request q = as_sent(i);
	struct err why = ERR_INIT;
	struct sigv4 sig;
	char hash[SIGV4_HEX + 1];
	int r = sigv4_parse(&sig, &q, &why);

	if (r < 0)
		return inject_refuse(i, e, "%s", why.msg);
	if (r == 0)
		return unsigned_request(i, s, e);
	if (!slice_is(sig.id, s->sentinel.id)) {
		if (another(i, s, sig.id))
			return 0;
		r = inject_refuse(i, e, "%s of another access key",
				  sig.presigned ? "URL signed" : "signature");
		return r < 0 ? r : 1;
	}
	if (s->retired)
		return inject_deny(i, e, "pair-removed: what this was signed with signs no more");
	if (sig.presigned && s->no_urls)
		return inject_deny(i, e, "presigned: a signature in the URL");
	if ((sig.payload == SIGV4_STREAMING || sig.payload == SIGV4_STREAMING_UNSIGNED) &&
	    s->no_chunks)
		return inject_deny(i, e, "streaming: a body in signed chunks");
	r = judge_query(i, s, sig.presigned, e);
	if (r < 0)
		return r;
	if (!in_list(sig.region, &s->secret.regions))
		return inject_deny(i, e, "the secret is not bound to this region of AWS");
	if (!in_list(sig.service, &s->secret.aws))
		return inject_deny(i, e, "the secret is not bound to this service of AWS");
	/* before the body is known, and whatever becomes of it */
	if (!sig.hash.p && i->q.body) {
		i->aws = s;
		i->body = INJECT_HOLD;
		return 1;
	}
	if (!sig.hash.p && sigv4_hash("", 0, hash) < 0)
		return err_set(e, ERR_SYSTEM, -ENOMEM, "out of memory");
	r = finish(i, s, &sig, sig.hash.p ? NULL : hash, e);
	return r < 0 ? r : 1;
}

int inject_aws_body(struct inject *i, const char *p, size_t n, struct err *e)
{
	struct sigv4_request q = as_sent(i);
	const struct inject_secret *s = i->aws;
	char hash[SIGV4_HEX + 1];
	struct sigv4 sig;
	int r = sigv4_parse(&sig, &q, e);

	i->aws = NULL;
	if (r <= 0)
		return r < 0 ? r : err_set(e, ERR_SYSTEM, -EBADMSG, "the signature has gone");
	r = sigv4_hash(p, n, hash);
	return r < 0 ? err_set(e, ERR_SYSTEM, r, "out of memory") : finish(i, s, &sig, hash, e);
}
