/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. Of a request to a bound host each field, and each field of the query, is one of
 *	a way of a bound secret that holds the sentinel: the secret takes its place;
 *	something else that authenticates there: refused, because it could be somebody else's account, to which things can be carried off;
 *	anything else: left alone.
 * When nothing held a sentinel and a way may be left out, the secret is put there. What makes answers unreadable for scrub.c (compression, ranges)
 * isn't asked for.
 */
#include "inject.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "inject-own.h"
#include "policy/policy.h"
#include "scrub.h"
#include "sigv4.h"

#define WORD_MAX 24u /* a name in front of a sentinel, not somebody's token */

int inject_bind(struct inject_secret *ret, const struct secret *s, struct err *e)
{
	struct inject_secret made = { .secret = *s, .hosts = secret_hosts(s) };
	int r;

	if (!s->value)
		return err_set(e, ERR_USAGE, -EINVAL, "secret '%s' has no value", s->name);
	r = sentinel_make(&made.sentinel, s, e);
	if (r < 0)
		return r;
	made.service = s->service ? secret_service(s->service) : NULL;
	if (!made.service) {
		/* where the sandbox has no variable with a sentinel, nobody could say it */
		made.own = (struct secret_way){ s->carrier,          s->field, s->format, NULL,
						s->variables.n == 0, false };
		made.n_ways = 1;
	}
	*ret = made;
	ret->ways = made.service ? made.service->ways : &ret->own;
	ret->n_ways = made.service ? made.service->n_ways : 1;
	return 0;
}

size_t inject_variables(const struct inject_secret *s, struct inject_variable *out)
{
	struct secret_list l = secret_variables(&s->secret);
	size_t i;

	for (i = 0; i < l.n; i++)
		out[i] = (struct inject_variable){ l.v[i], s->sentinel.value };
	/* the pair belongs together */
	if (s->secret.carrier == SECRET_AWS)
		out[i++] = (struct inject_variable){ "AWS_ACCESS_KEY_ID", s->sentinel.id };
	return i;
}

static bool covers(const char *rule, const char *host)
{
	size_t n = strlen(host), k = strlen(rule);

	if (strncmp(rule, "*.", 2) != 0)
		return strcmp(rule, host) == 0;
	/* "*.a.b" is what stands below a.b */
	return n > k - 1 && strcmp(host + n - (k - 1), rule + 1) == 0;
}

bool inject_applies(const struct inject_secret *s, const char *host)
{
	size_t i;

	for (i = 0; i < s->hosts.n; i++) {
		if (covers(s->hosts.v[i], host))
			return true;
	}
	for (i = 0; i < s->n_more; i++) {
		if (covers(s->more[i], host))
			return true;
	}
	return false;
}

bool inject_bound(const struct inject_secret *secrets, size_t n, const char *host)
{
	size_t i;

	for (i = 0; i < n; i++) {
		if (inject_applies(&secrets[i], host))
			return true;
	}
	return false;
}

int inject_deny(struct inject *i, struct err *e, const char *why)
{
	(void)snprintf(i->why, sizeof(i->why), "%s", why);
	return err_set(e, ERR_POLICY, -EACCES, "%s", i->why);
}

int inject_refuse(struct inject *i, struct err *e, const char *fmt, ...)
{
	char what[100], *at;
	va_list ap;

	if (i->q.own)
		return 0;
	va_start(ap, fmt);
	(void)vsnprintf(what, sizeof(what), fmt, ap);
	va_end(ap);
	/* a name may have been sent coded, and this goes into an answer and a log */
	for (at = what; *at; at++) {
		if (*at < 0x20 || *at > 0x7e)
			*at = '?';
	}
	(void)snprintf(i->why, sizeof(i->why),
		       "foreign-credential: %s; --allow-own-credentials %.90s lets it through",
		       what, i->q.host); /* a long name is cut */
	return err_set(e, ERR_POLICY, -EACCES, "%s", i->why);
}

int inject_put(struct inject *i, const struct inject_secret *s, struct err *e)
{
	if (!i->q.tls)
		return inject_deny(i, e, "plaintext: a secret is put in over TLS only");
	i->secret = s->secret.name;
	return 0;
}

/* --- fields ----------------------------------------------------------------------------------------------------------------------- */

/* The text of @format with @value in it. */
static char *format_value(struct inject *i, const char *format, const char *value, struct err *e)
{
	const char *hole = strstr(format, "{}");
	size_t before = (size_t)(hole - format);
	char *p = inject_own(i, strlen(format) - 2 + strlen(value), e);

	if (p) {
		memcpy(p, format, before);
		memcpy(p + before, value, strlen(value));
		memcpy(p + before + strlen(value), hole + 2, strlen(hole + 2));
	}
	return p;
}

/* Whether @v is @format with @sentinel in it; letters of the format in any case. */
static bool has_format(struct http_slice v, const char *format, const char *sentinel)
{
	const char *hole = strstr(format, "{}");
	size_t before = (size_t)(hole - format), after = strlen(hole + 2), n = strlen(sentinel);

	return v.len == before + n + after && strncasecmp(v.p, format, before) == 0 &&
	       memcmp(v.p + before, sentinel, n) == 0 &&
	       strncasecmp(v.p + before + n, hole + 2, after) == 0;
}

static bool way_here(const struct secret_way *w, const char *host)
{
	return !w->host || strcmp(w->host, host) == 0;
}

/* The base64 of "Basic …"; p NULL: another scheme. */
static struct http_slice basic_of(struct http_slice v)
{
	size_t at = 5;

	if (!slice_begins(v, "basic "))
		return (struct http_slice){ NULL, 0 };
	while (at < v.len && v.p[at] == ' ')
		at++;
	return (struct http_slice){ v.p + at, v.len - at };
}

static int put_basic(struct inject *i, const struct inject_secret *s, const struct secret_way *w,
		     const char *user, const char *pass, struct http_slice *value, struct err *e)
{
	const char *sentinel = s->sentinel.value, *real = s->secret.value;
	char *text = NULL;

	if (strcmp(pass, sentinel) == 0 && (w->any_user || strcmp(user, w->field) == 0))
		text = inject_basic_text(i, user, real, e);
	else if (w->any_user && strcmp(user, sentinel) == 0 &&
		 (!*pass || strcmp(pass, "x-oauth-basic") == 0))
		text = inject_basic_text(i, real, pass, e);
	else
		return 0;
	if (!text)
		return -ENOMEM;
	*value = http_slice(text);
	return 1;
}

/* Does the field hold the sentinel of @s in one of its ways? Return: 1 and *@value; 0; negative. */
static int try_ways(struct inject *i, const struct inject_secret *s, struct http_slice name,
		    struct http_slice *value, struct err *e)
{
	struct http_slice coded = basic_of(*value);
	char *user = NULL, *pass = NULL, *text;
	size_t k;
	int r;

	if (coded.p && http_is(name, "authorization")) {
		r = inject_basic(i, coded, &user, &pass, e);
		if (r < 0)
			return r;
	}
	for (k = 0; k < s->n_ways; k++) {
		const struct secret_way *w = &s->ways[k];

		if (!way_here(w, i->q.host))
			continue;
		if (w->carrier == SECRET_BASIC && pass) {
			r = put_basic(i, s, w, user, pass, value, e);
			if (r != 0)
				return r;
		}
		if (w->carrier != SECRET_HEADER || !http_is(name, w->field) ||
		    !has_format(*value, w->format, s->sentinel.value))
			continue;
		text = format_value(i, w->format, s->secret.value, e);
		if (!text)
			return -ENOMEM;
		*value = http_slice(text);
		return 1;
	}
	return 0;
}

/* @text with each sentinel replaced. Return: 1 and *@value; 0: there is none; negative. */
static int replace_text(struct inject *i, const struct inject_secret *s, struct http_slice *value,
			struct err *e)
{
	const char *sentinel = s->sentinel.value, *at, *p = value->p, *end = value->p + value->len;
	size_t n = strlen(sentinel), count = 0, real = strlen(s->secret.value);
	char *text, *to;

	for (at = p; (at = memmem(at, (size_t)(end - at), sentinel, n)); at += n)
		count++;
	if (!count)
		return 0;
	text = to = inject_own(i, value->len + count * real, e);
	if (!text)
		return -ENOMEM;
	while ((at = memmem(p, (size_t)(end - p), sentinel, n))) {
		memcpy(to, p, (size_t)(at - p));
		to += at - p;
		memcpy(to, s->secret.value, real);
		to += real;
		p = at + n;
	}
	memcpy(to, p, (size_t)(end - p));
	*value = http_slice(text);
	return 1;
}

/* Letters, and what joins words of them. Return: how many @v begins with. */
static size_t word(struct http_slice v)
{
	size_t n = 0;

	while (n < v.len && ((v.p[n] >= 'A' && v.p[n] <= 'Z') || (v.p[n] >= 'a' && v.p[n] <= 'z') ||
			     v.p[n] == '-' || v.p[n] == '_'))
		n++;
	return n;
}

static struct http_slice behind(struct http_slice v, size_t n)
{
	return (struct http_slice){ v.p + n, v.len - n };
}

/*
 * Whether what authenticates is the sentinel and nothing else: "SENTINEL", "SCHEME SENTINEL", "SCHEME NAME="SENTINEL"", "NAME=SENTINEL", or one side of Basic. Beside it another
 * credential could stand, and servers take the first, or the last.
 */
static int holds_alone(struct inject *i, struct http_slice v, const char *sentinel, struct err *e)
{
	struct http_slice coded = basic_of(v);
	char *user = NULL, *pass = NULL;
	size_t n = word(v);
	int r = coded.p ? inject_basic(i, coded, &user, &pass, e) : 0;

	if (r < 0 || pass)
		return r < 0 ? r : strcmp(user, sentinel) == 0 || strcmp(pass, sentinel) == 0;
	if (slice_is(v, sentinel))
		return 1;
	if (n > 0 && n <= WORD_MAX && n < v.len && v.p[n] == ' ') {
		for (; n < v.len && v.p[n] == ' '; n++)
			;
		v = behind(v, n);
		if (slice_is(v, sentinel))
			return 1;
		n = word(v);
	}
	if (n == 0 || n > WORD_MAX || n == v.len || v.p[n] != '=')
		return 0;
	v = behind(v, n + 1);
	if (v.len > 1 && v.p[0] == '"' && v.p[v.len - 1] == '"')
		v = (struct http_slice){ v.p + 1, v.len - 2 };
	return slice_is(v, sentinel);
}

/* Of a secret that goes anywhere: also inside the pair of Basic. */
static int anywhere(struct inject *i, const struct inject_secret *s, struct http_slice *value,
		    struct err *e)
{
	struct http_slice coded = basic_of(*value), part[2];
	char *text[2] = { NULL, NULL };
	int r = replace_text(i, s, value, e), k, found = 0;

	if (r != 0 || !coded.p)
		return r;
	r = inject_basic(i, coded, &text[0], &text[1], e);
	for (k = 0; r == 0 && text[1] && k < 2; k++) {
		part[k] = http_slice(text[k]);
		r = replace_text(i, s, &part[k], e);
		if (r > 0) {
			text[k] = (char *)(uintptr_t)part[k].p;
			found = 1;
			r = 0;
		}
	}
	if (r < 0 || !found)
		return r;
	text[0] = inject_basic_text(i, text[0], text[1], e);
	if (!text[0])
		return -ENOMEM;
	*value = http_slice(text[0]);
	return 1;
}

/* Elements of Sec-WebSocket-Protocol: names, and what browsers send keys in. */
static int judge_protocols(struct inject *i, const struct inject_secret *s,
			   struct http_slice *value, struct err *e)
{
	struct http_slice list = *value, item, key;
	const char *begin = s->service ? s->service->subprotocol : NULL;
	bool bearer = false;
	int r;

	while (http_list_next(&list, &item)) {
		key = item;
		if (begin && slice_begins(item, begin)) {
			key.p += strlen(begin);
			key.len -= strlen(begin);
		}
		if (key.p != item.p && slice_is(key, s->sentinel.value)) {
			r = inject_put(i, s, e);
			if (r == 0)
				r = replace_text(i, s, value, e);
			if (r < 0)
				return r;
			bearer = false;
			continue;
		}
		/* "Bearer" is a name; what follows is the key */
		if (carrier_protocol(s, item, bearer) && !http_is(item, "bearer")) {
			r = inject_refuse(i, e, "WebSocket subprotocol");
			if (r < 0)
				return r;
		}
		bearer = http_is(item, "bearer");
	}
	return 0;
}

static bool is_aws(const struct inject_secret *s, struct http_slice name, struct http_slice value)
{
	return s->secret.carrier == SECRET_AWS && http_is(name, "authorization") &&
	       slice_begins(value, "aws4-hmac-sha256 ");
}

/* What a field is for one bound secret: 1: it was put in; 0: let it be, or what another says; negative. *@carrier: it authenticates. */
static int judge_field(struct inject *i, const struct inject_secret *s, struct http_slice name,
		       struct http_slice *value, bool *carrier, struct err *e)
{
	struct http_slice sent;
	int r;

	if (http_is(name, "sec-websocket-protocol"))
		return judge_protocols(i, s, value, e);
	/* a pair has no key of this kind, so nobody could sign it anew */
	if (s->secret.carrier == SECRET_AWS && http_is(name, "authorization") &&
	    slice_begins(*value, "aws4-ecdsa") &&
	    memmem(value->p, value->len, s->sentinel.id, strlen(s->sentinel.id)))
		return inject_deny(i, e, "sigv4a: a signature of this kind can't be made anew");
	/* beside a crumb that holds the sentinel no other may authenticate */
	if (http_is(name, "cookie") && s->secret.carrier == SECRET_ANYWHERE &&
	    memmem(value->p, value->len, s->sentinel.value, strlen(s->sentinel.value)) &&
	    !carrier_cookie_harmless(*value, s->sentinel.value)) {
		r = inject_refuse(i, e, "header cookie");
		if (r < 0)
			return r;
	}
	sent = *value;
	r = s->secret.carrier == SECRET_ANYWHERE ? anywhere(i, s, value, e) :
						   try_ways(i, s, name, value, e);
	if (r > 0) {
		r = inject_put(i, s, e);
		if (r < 0 || s->secret.carrier != SECRET_ANYWHERE || !carrier_header(s, name))
			return r < 0 ? r : 1;
		r = holds_alone(i, sent, s->sentinel.value, e);
		*carrier = *carrier || r == 0;
		return r;
	}
	if (r == 0 && http_is(name, "cookie"))
		*carrier = *carrier || !carrier_cookie_harmless(*value, NULL);
	else if (r == 0 && carrier_header(s, name))
		*carrier = *carrier || !is_aws(s, name, *value); /* inject-aws.c looks at it */
	return r;
}

/* The session's token of a mask: its sentinel is signed, and the real one is put in its place with the new signature (inject-aws.c). */
static bool is_mock_token(const struct inject *i, const struct http_field *f)
{
	size_t k;

	for (k = 0; k < i->n_secrets; k++) {
		const struct inject_secret *s = &i->secrets[k];

		if (s->token && inject_applies(s, i->q.host) &&
		    http_is(f->name, "x-amz-security-token") && slice_is(f->value, s->token))
			return true;
	}
	return false;
}

static int take_field(struct inject *i, const struct http_field *f, struct err *e)
{
	static const char *const left[] = { "accept-encoding", "range", "if-range" };
	struct http_field made = *f;
	bool carrier = false, put = false;
	size_t k;
	int r = 0;

	for (k = 0; k < ARRAY_SIZE(left); k++) {
		if (http_is(f->name, left[k]))
			return 0;
	}
	if (is_mock_token(i, f))
		return 0;
	for (k = 0; r >= 0 && k < i->n_secrets; k++) {
		if (inject_applies(&i->secrets[k], i->q.host))
			r = judge_field(i, &i->secrets[k], f->name, &made.value, &carrier, e);
		put = put || r > 0;
	}
	if (r >= 0 && carrier && !put)
		r = inject_refuse(i, e, "header %.*s", (int)(f->name.len < 64 ? f->name.len : 64),
				  f->name.p);
	if (r < 0)
		return r;
	i->fields[i->n++] = made;
	return 0;
}

/* --- what may be left out --------------------------------------------------------------------------------------------------------- */

static void add_field(struct inject *i, const char *name, const char *value)
{
	i->fields[i->n++] = (struct http_field){ http_slice(name), http_slice(value) };
}

static int put_absent_query(struct inject *i, const struct inject_secret *s,
			    const struct secret_way *w, struct err *e)
{
	bool mark = memchr(i->target.p, '?', i->target.len) != NULL;
	size_t n = i->target.len, k;
	char *p = inject_own(i, n + 2 + strlen(w->field) + 3 * strlen(s->secret.value), e), *to;
	const char *v;

	if (!p)
		return -ENOMEM;
	memcpy(p, i->target.p, n);
	to = p + n;
	*to++ = mark ? '&' : '?';
	memcpy(to, w->field, strlen(w->field));
	to += strlen(w->field);
	*to++ = '=';
	for (v = s->secret.value; *v; v++) {
		k = strchr("-._~", *v) || (*v >= '0' && *v <= '9') || (*v >= 'A' && *v <= 'Z') ||
				    (*v >= 'a' && *v <= 'z') ?
			    1 :
			    3;
		if (k == 1) {
			*to++ = *v;
			continue;
		}
		*to++ = '%';
		*to++ = "0123456789ABCDEF"[(unsigned char)*v >> 4];
		*to++ = "0123456789ABCDEF"[(unsigned char)*v & 15u];
	}
	i->target = http_slice(p);
	return 0;
}

static int put_absent(struct inject *i, const struct inject_secret *s, const struct secret_way *w,
		      struct err *e)
{
	char *text;
	int r = inject_put(i, s, e);

	if (r < 0)
		return r;
	if (w->carrier == SECRET_QUERY)
		return put_absent_query(i, s, w, e);
	text = w->carrier == SECRET_BASIC ? inject_basic_text(i, w->field, s->secret.value, e) :
					    format_value(i, w->format, s->secret.value, e);
	if (!text)
		return -ENOMEM;
	add_field(i, w->carrier == SECRET_BASIC ? "authorization" : w->field, text);
	return 0;
}

/* The first way that may be left out; none of a request that says who it is by itself. */
static int absent(struct inject *i, struct err *e)
{
	size_t k, w;

	if (i->secret || !i->q.tls || i->q.own)
		return 0;
	for (k = 0; k < i->n_secrets; k++) {
		const struct inject_secret *s = &i->secrets[k];

		if (!inject_applies(s, i->q.host))
			continue;
		for (w = 0; w < s->n_ways; w++) {
			if (s->ways[w].absent && way_here(&s->ways[w], i->q.host) &&
			    s->ways[w].carrier <= SECRET_BASIC)
				return put_absent(i, s, &s->ways[w], e);
		}
	}
	return 0;
}

/* --- the body --------------------------------------------------------------------------------------------------------------------- */

static void remove_field(struct inject *i, const char *name)
{
	size_t k, n = 0;

	for (k = 0; k < i->n; k++) {
		if (!http_is(i->fields[k].name, name))
			i->fields[n++] = i->fields[k];
	}
	i->n = n;
}

static int replace_body(struct inject *i, struct err *e)
{
	struct scrub_pair pairs[INJECT_SECRETS];
	size_t k, n = 0;
	int r;

	for (k = 0; k < i->n_secrets && n < ARRAY_SIZE(pairs); k++) {
		const struct inject_secret *s = &i->secrets[k];

		if (s->secret.carrier == SECRET_ANYWHERE && inject_applies(s, i->q.host))
			pairs[n++] = (struct scrub_pair){ s->sentinel.value, s->secret.value };
	}
	if (n == 0 || !i->q.tls)
		return 0;
	r = scrub_new(&i->replace, pairs, n, SCRUB_RAW, e);
	if (r < 0)
		return r;
	i->body = INJECT_STREAM;
	i->resized = true;
	remove_field(i, "content-length");
	return 0;
}

static int judge_body(struct inject *i, struct err *e)
{
	struct http_slice target = i->q.target;
	const char *mark = memchr(target.p, '?', target.len);
	char path[CARRIER_PATH];

	if (!i->q.body)
		return 0;
	target.len = mark ? (size_t)(mark - target.p) : target.len;
	/* what can't be read as a path may be any */
	if (!i->q.own && (!inject_decode(target, path, sizeof(path)) || carrier_token_path(path)))
		i->token = true;
	if (i->token)
		i->body = INJECT_HOLD;
	return replace_body(i, e);
}

/* Signatures of AWS. Return: 1: the request is signed, and done; 0; or negative. */
static int signatures(struct inject *i, struct err *e)
{
	size_t k;
	int r = 0;

	for (k = 0; r == 0 && k < i->n_secrets; k++) {
		if (i->secrets[k].secret.carrier == SECRET_AWS &&
		    inject_applies(&i->secrets[k], i->q.host))
			r = inject_aws(i, &i->secrets[k], e);
	}
	return r;
}

static int judge(struct inject *i, struct err *e)
{
	size_t k;
	int r = 0;

	if (http_is(i->q.method, "trace") || http_is(i->q.method, "track"))
		return inject_deny(i, e, "TRACE would show the secret to who asks");
	for (k = 0; r == 0 && k < i->q.n; k++)
		r = take_field(i, &i->q.fields[k], e);
	if (r == 0)
		r = inject_batch(i, e);
	/* before the query is changed: signatures are of what was sent */
	add_field(i, "accept-encoding", "identity");
	if (r == 0)
		r = signatures(i, e);
	i->fixed = r > 0;
	if (r != 0)
		return r < 0 ? r : 0;
	r = inject_query(i, e);
	if (r == 0)
		r = absent(i, e);
	return r == 0 ? judge_body(i, e) : r;
}

static bool all_meek(const struct inject_secret *secrets, size_t n, const char *host)
{
	size_t i;

	for (i = 0; i < n; i++) {
		if (inject_applies(&secrets[i], host) && !secrets[i].meek)
			return false;
	}
	return true;
}

int inject_request(struct inject *ret, const struct inject_secret *secrets, size_t n,
		   const struct inject_request *q, struct err *e)
{
	struct inject *i = ret;

	memset(i, 0, sizeof(*i));
	i->q = *q;
	i->target = q->target;
	i->secrets = secrets;
	i->n_secrets = n;
	i->held = (struct buf)BUF_INIT(INJECT_TOKEN_MAX + 1);
	if (q->n > HTTP_FIELDS)
		return err_set(e, ERR_USAGE, -EMSGSIZE, "the request has more than %u fields",
			       HTTP_FIELDS);
	if (inject_bound(secrets, n, q->host)) {
		i->q.own = q->own || all_meek(secrets, n, q->host);
		return judge(i, e);
	}
	if (q->n)
		memcpy(i->fields, q->fields, q->n * sizeof(*q->fields));
	i->n = q->n;
	return 0;
}

int inject_body(struct inject *i, const char *p, size_t n, struct err *e)
{
	int r = 0;

	if (i->token)
		r = inject_judge_token(i, p, n, e);
	if (r == 0 && i->aws)
		r = inject_aws_body(i, p, n, e);
	return r;
}

/* What is wrong with signed chunks is a refusal like others: who sent them, and the log, hear why. */
static int chunks_result(struct inject *i, int r, struct err *e)
{
	if (r != -EACCES && r != -EBADMSG)
		return r;
	(void)snprintf(i->why, sizeof(i->why), "%.*s", (int)sizeof(i->why) - 1, e->msg);
	return -EACCES;
}

/* Of a request whose head had none: the one that the body has brought. */
static void name_secret(struct inject *i)
{
	const char *sentinel = scrub_last(i->replace);
	size_t k;

	for (k = 0; !i->secret && sentinel && k < i->n_secrets; k++) {
		if (i->secrets[k].sentinel.value == sentinel)
			i->secret = i->secrets[k].secret.name;
	}
}

int inject_step(struct inject *i, const char *p, size_t n, struct buf *out, struct err *e)
{
	if (i->chunks)
		return chunks_result(i, sigv4_stream_step(i->chunks, p, n, out, e), e);
	if (i->token) {
		/* judged as a whole before any of it leaves */
		buf_add(&i->held, p, n);
		return i->held.failed ?
			       inject_deny(
				       i, e,
				       "the body is too long for an endpoint that gives tokens") :
			       0;
	}
	if (i->replace && scrub_step(i->replace, p, n, out) < 0)
		return err_set(e, ERR_SYSTEM, -EFBIG, "no room for the body");
	name_secret(i);
	return 0;
}

int inject_end(struct inject *i, struct buf *out, struct err *e)
{
	int r = 0;

	if (i->chunks)
		return chunks_result(i, sigv4_stream_end(i->chunks, e), e);
	if (i->token) {
		r = inject_judge_token(i, i->held.data ? i->held.data : "", i->held.len, e);
		if (r == 0 && i->held.len)
			r = scrub_step(i->replace, i->held.data, i->held.len, out);
	}
	if (r == 0 && i->replace && scrub_end(i->replace, out) < 0)
		r = err_set(e, ERR_SYSTEM, -EFBIG, "no room for the body");
	name_secret(i);
	return r;
}

int inject_trailers(struct inject *i, const struct http_field *fields, size_t n, struct err *e)
{
	size_t f, k;
	int r = 0;

	for (k = 0; r == 0 && k < i->n_secrets; k++) {
		if (!inject_applies(&i->secrets[k], i->q.host))
			continue;
		for (f = 0; r == 0 && f < n; f++) {
			if (carrier_header(&i->secrets[k], fields[f].name) ||
			    http_is(fields[f].name, "cookie"))
				r = inject_refuse(
					i, e, "trailer %.*s",
					(int)(fields[f].name.len < 64 ? fields[f].name.len : 64),
					fields[f].name.p);
		}
	}
	return r;
}

size_t inject_size(const struct inject *i)
{
	size_t size = sizeof(*i) + scrub_size(i->replace), k, n;

	for (k = 0; k < i->n_owned; k++) {
		memcpy(&n, i->owned[k], sizeof(n));
		size += sizeof(n) + n;
	}
	return size;
}

size_t inject_kept(const struct inject *i)
{
	return i->held.size + sigv4_stream_kept(i->chunks);
}

void inject_done(struct inject *i)
{
	while (i->n_owned > 0) {
		char *p = i->owned[--i->n_owned];
		size_t n;

		memcpy(&n, p, sizeof(n));
		explicit_bzero(p, sizeof(n) + n);
		free(p);
	}
	i->replace = scrub_free(i->replace);
	i->chunks = sigv4_stream_free(i->chunks);
	erase_buf_done(&i->held);
	i->n = 0;
}
