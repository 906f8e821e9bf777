/* SPDX-License-Identifier: Apache-2.0 */
#include "judge.h"

#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "erase.h"

static char path[RULES_PATH];

/* Bytes that were in it may have been a secret: they are erased, and the memory never moves. */
static char scratch_memory[JUDGE_MORE];
static struct buf scratch;

struct buf *judge_scratch(void)
{
	scratch = (struct buf){ .data = scratch_memory, .size = JUDGE_MORE, .max = JUDGE_MORE };
	return &scratch;
}

void judge_scratch_done(void)
{
	explicit_bzero(scratch_memory, scratch.len);
	scratch.len = 0;
}

static bool refuse(struct reply *r, int status, const char *why)
{
	*r = (struct reply){ .status = status, .denied = true };
	(void)snprintf(r->text, sizeof(r->text), "%.255s", why); /* cut where it is long */
	r->why = r->text;
	return false;
}

/* Whether "HOST[:PORT]" is where the connection goes. */
static bool authority_fits(const struct conn *c, struct http_slice text, struct err *e)
{
	char host[NET_HOST_MAX + 1];
	struct http_target t;
	struct net_addr a, own;

	if (http_authority_parse(&t, text, e) < 0)
		return false;
	if (t.port && t.port != c->port)
		return false;
	if (!t.port && c->port != (c->tls ? 443 : 80))
		return false;
	if (net_addr_parse(&a, t.host.p, t.host.len))
		return net_addr_parse(&own, c->host, strlen(c->host)) &&
		       memcmp(&a, &own, sizeof(a)) == 0;
	return !t.bracketed && net_host_canon(t.host.p, t.host.len, host, NULL) >= 0 &&
	       strcmp(host, c->host) == 0;
}

/* What it has now is counted; @all: and what it needs for itself, which changes little once it was judged. */
static void count(struct exchange *x, bool all)
{
	size_t size = x->size, kept = x->inject ? inject_kept(x->inject) : 0;

	kept += x->made.size + x->answer.size;
	if (all) {
		size = x->head ? malloc_usable_size(x->head) : 0;
		size += x->fields ? malloc_usable_size(x->fields) : 0;
		size += x->inject ? inject_size(x->inject) : 0;
		size += scrub_size(x->scrub);
		conn_exchanges(x->c, (ssize_t)size - (ssize_t)x->size);
	}
	conn_hold(x->c, (ssize_t)kept - (ssize_t)x->kept);
	x->size = size;
	x->kept = kept;
}

/* What holds for every inspected host. Return: whether it may go on. */
static bool check(const struct conn *c, const struct head *h, struct reply *r)
{
	struct http_slice hosts[2] = { h->authority, head_find(h, "host") };
	struct err e = ERR_INIT;
	bool named = false;
	size_t i;

	if (http_is(h->method, "connect") || http_is(h->method, "trace") ||
	    http_is(h->method, "track"))
		return refuse(r, 405, "CONNECT, TRACE and TRACK are refused on inspected hosts");
	if (h->scheme.p && !http_is(h->scheme, c->tls ? "https" : "http"))
		return refuse(r, 421, "the scheme is not that of the connection");
	for (i = 0; i < ARRAY_SIZE(hosts); i++) {
		if (!hosts[i].p)
			continue;
		named = true;
		if (!authority_fits(c, hosts[i], &e))
			return refuse(
				r, e.msg[0] ? 400 : 421,
				e.msg[0] ?
					e.msg :
					"fronting: Host is not the name that the connection is for");
	}
	return named || refuse(r, 400, "the request names no host");
}

/* Copies: a request can wait for its body while the rules are replaced. They are set after those that there are. */
static bool keep_fields(struct exchange *x, const struct rules_field *more, size_t n)
{
	size_t size = (x->n_fields + n) * sizeof(*more), i;
	const struct rules_field *from;
	struct rules_field *all;
	char *p;

	for (i = 0; i < x->n_fields + n; i++) {
		from = i < x->n_fields ? &x->fields[i] : &more[i - x->n_fields];
		size += from->name.len + from->value.len;
	}
	if (n == 0)
		return true;
	all = malloc(size);
	if (!all)
		return false;
	p = (char *)(all + x->n_fields + n);
	for (i = 0; i < x->n_fields + n; i++) {
		from = i < x->n_fields ? &x->fields[i] : &more[i - x->n_fields];
		all[i] = *from;
		all[i].name.p = memcpy(p, from->name.p, from->name.len);
		p += from->name.len;
		if (!from->value.p)
			continue;
		all[i].value.p = memcpy(p, from->value.p, from->value.len);
		p += from->value.len;
	}
	free(x->fields);
	x->fields = all;
	x->n_fields += n;
	return true;
}

/* What was judged is what is sent: the path in its normal form, behind @prefix; the query as it was. */
static void set_path(struct head *h, struct http_slice prefix, struct http_slice plain)
{
	const char *question = memchr(h->target.p, '?', h->target.len);
	struct http_slice query = { NULL, 0 }, target;

	if (question)
		query = (struct http_slice){ question,
					     (size_t)(h->target.p + h->target.len - question) };
	if (h->target.len == 1 && *h->target.p == '*')
		return; /* of OPTIONS: it is about the server */
	target = head_copy(h, prefix);
	/* they stand right behind one another */
	target.len += head_copy(h, plain).len;
	target.len += head_copy(h, query).len;
	h->target = target;
}

/* From here on it is a request to another host. */
static bool go_elsewhere(struct conn *c, const struct rules_forward *f, struct head *h,
			 struct exchange *x, struct reply *r)
{
	char authority[FORWARD_AUTHORITY], text[FORWARD_AUTHORITY + 32];
	const struct forward_url own = conn_place(c);
	const char *question = memchr(h->target.p, '?', h->target.len);
	size_t n = question ? (size_t)(question - h->target.p) : h->target.len;

	if (c->h2)
		return refuse(
			r, 421,
			"requests to this host are forwarded, which needs HTTP/1.1: connect again");
	set_path(h, (struct http_slice){ f->to.path, f->to.n_path },
		 (struct http_slice){ h->target.p, n });
	x->to = f->to;
	x->to.path = "";
	x->to.n_path = 0;
	x->forwarded = true;
	/* RFC 7239: who gets it knows what was asked for; what the client says of that is its own */
	forward_authority(&own, authority);
	(void)snprintf(text, sizeof(text), "host=\"%s\";proto=%s", authority,
		       own.tls ? "https" : "http"); /* fits */
	head_remove(h, http_slice("forwarded"));
	head_add(h, http_slice("forwarded"), head_copy(h, http_slice(text)));
	forward_authority(&x->to, authority);
	h->authority = head_copy(h, http_slice(authority));
	return !h->failed || refuse(r, 431, "the head has too many bytes");
}

/* What the rules of @host say. */
static bool follow_rules_of(struct conn *c, const char *host, struct head *h, struct exchange *x,
			    struct reply *r, struct rules_verdict *v)
{
	rules_judge(c->k->rules, host, h, v, path);
	switch (v->action) {
	case RULES_DENY:
		return refuse(r, 403, v->reason ? v->reason : "a rule denies this request");
	case RULES_BAD:
		return refuse(r, 400, v->reason);
	case RULES_ANSWER:
		*r = (struct reply){
			.status = v->status, .fields = v->fields, .n = v->n, .body = v->body
		};
		if (!r->body.p)
			r->body = http_slice("");
		(void)snprintf(r->text, sizeof(r->text), "%s", v->rule); /* fits */
		r->why = r->text;
		return false;
	case RULES_ALLOW:
		break;
	}
	if (!keep_fields(x, v->fields, v->n))
		return refuse(r, 503, "out of memory");
	if (v->path)
		set_path(h, (struct http_slice){ "", 0 }, http_slice(path));
	return !h->failed || refuse(r, 431, "the head has too many bytes");
}

/* A request that goes elsewhere must suit the rules of that host, too, and goes no further. */
static bool follow_rules(struct conn *c, struct head *h, struct exchange *x, struct reply *r,
			 struct rules_verdict *v)
{
	struct rules_verdict there;

	if (!follow_rules_of(c, c->host, h, x, r, v))
		return false;
	if (!v->forward)
		return true;
	if (!go_elsewhere(c, v->forward, h, x, r) ||
	    !follow_rules_of(c, x->to.host, h, x, r, &there))
		return false;
	return !there.forward ||
	       refuse(r, 508, "a loop: what was forwarded would be forwarded once more");
}

static bool listed(const char *const *hosts, const char *host)
{
	for (; hosts && *hosts; hosts++) {
		if (strcmp(*hosts, host) == 0 || strcmp(*hosts, "**") == 0)
			return true;
	}
	return false;
}

/* What is asked of an endpoint that gives tokens, so that its answer can be read. */
static bool ask_plainly(struct exchange *x)
{
	static const struct rules_field fields[] = {
		{ .name = { "accept-encoding", 15 }, .value = { "identity", 8 } },
		{ .name = { "range", 5 } },
		{ .name = { "if-range", 8 } },
		{ .name = { "accept", 6 }, .value = { "application/json", 16 } },
	};

	return x->kind == LOGIN_NOT ||
	       keep_fields(x, fields, ARRAY_SIZE(fields) - (x->kind != LOGIN_ENDPOINT));
}

/* Those that are bound now, and the tokens of log-ins. Return: whether there was memory; drop_secrets() in any case. */
static bool find_secrets(const struct exchange *x, struct judge_secrets *s)
{
	struct keys *k = x->c->k;
	const struct bound_set *set = s->set = bound_hold(&k->bound);

	s->v = set ? set->v : NULL;
	s->n = set ? set->n : 0;
	if (!k->logins.tokens)
		return true;
	s->tokens = calloc(LOGIN_TOKENS, sizeof(struct login_token *));
	s->all = calloc(s->n + LOGIN_TOKENS, sizeof(*s->all));
	if (!s->tokens || !s->all)
		return false;
	s->n_tokens = login_bind(&k->logins, x->to.host, s->tokens, s->all);
	if (s->n_tokens == 0)
		return true;
	if (s->n > 0 && s->v)
		memcpy(s->all + s->n_tokens, s->v, s->n * sizeof(*s->all));
	s->v = s->all;
	s->n += s->n_tokens;
	return true;
}

static void drop_secrets(struct judge_secrets *s)
{
	bound_release(s->set);
	login_release(s->tokens, s->n_tokens);
	free(s->tokens);
	free(s->all);
	*s = (struct judge_secrets){ .n = 0 };
}

/* Changes with what find_secrets() would find. */
static uint64_t serial_now(const struct keys *k)
{
	return k->bound.serial + k->logins.serial;
}

/* The secret that was here. Return: whether there was none; else @r. */
static bool none_removed(const struct exchange *x, struct reply *r)
{
	char why[KEYS_WHY_MAX];
	bool left;
	const char *removed = bound_removed(x->first.set, x->to.host, &left);

	if (!removed)
		return true;
	(void)snprintf(
		why, sizeof(why),
		left ? "secret-unbound: the secret '%s' is not bound to this host any more; bind it again (bailey secret set --replace), or start the sandbox anew" :
		       "secret-removed: the secret '%s' of this host is no more",
		removed); /* fits */
	return refuse(r, 403, why);
}

static bool inject(struct conn *c, struct head *h, bool body, struct exchange *x, struct reply *r)
{
	struct inject_request q = { .uploads = &c->k->uploads,
				    .host = x->to.host,
				    .tls = x->to.tls,
				    .own = listed(c->k->own, x->to.host),
				    .body = body };
	struct err e = ERR_INIT;
	const struct judge_secrets *s = &x->first;
	int error;

	x->serial = serial_now(c->k);
	if (!find_secrets(x, &x->first))
		return refuse(r, 503, "out of memory");
	if (!none_removed(x, r))
		return false;
	x->kind = login_of(&c->k->logins, x->to.host, h->target, &x->login);
	if (!ask_plainly(x))
		return refuse(r, 503, "out of memory");
	if (!inject_bound(s->v, s->n, x->to.host))
		return true;
	x->head = head_dup(h);
	x->inject = calloc(1, sizeof(*x->inject));
	if (!x->head || !x->inject ||
	    bound_scrub_of(&(struct bound_list){ s->v, s->n }, 1, x->to.host, &x->scrub, &e) < 0)
		return refuse(r, 503, "out of memory");
	q.method = x->head->method;
	q.target = x->head->target;
	q.fields = x->head->fields;
	q.n = x->head->n;
	q.authority = x->head->authority;
	error = inject_request(x->inject, s->v, s->n, &q, &e);
	x->body = body && s->n_tokens > 0 && x->to.tls && !x->inject->fixed &&
		  login_takes(&c->k->logins, x->to.host, h->target);
	if (error == 0 && x->body && x->inject->body == INJECT_STREAM)
		return refuse(
			r, 403,
			"login: a secret that goes anywhere is bound to the endpoint that gives tokens");
	if (error == 0)
		return true;
	if (error == -EACCES)
		return refuse(r, 403, x->inject->why);
	return refuse(r, error == -EMSGSIZE ? 431 : 503,
		      error == -EMSGSIZE ? "the head has too many bytes" : "out of memory");
}

/* The rule that lets it through, and where to. */
static const char *say_rule(const struct exchange *x, const char *rule, char *out)
{
	char where[FORWARD_AUTHORITY];

	forward_authority(&x->to, where);
	(void)snprintf(out, KEYS_WHY_MAX,
		       !x->forwarded ? "%s" :
		       *rule         ? "%s: forwarded to %s://%.140s" :
				       "%sforwarded to %s://%.140s",
		       rule, x->to.tls ? "https" : "http", where); /* cut where it is long */
	return out;
}

bool judge_request(struct conn *c, struct head *h, bool body, struct exchange *x, struct reply *r)
{
	struct rules_verdict v = { .rule = "" };
	char why[KEYS_WHY_MAX];
	bool ok;

	memset(x, 0, sizeof(*x));
	x->c = c;
	x->to = conn_place(c);
	x->strip = c->k->strip && *c->k->strip ? c->k->strip : NULL;
	ok = check(c, h, r) && follow_rules(c, h, x, r, &v) && inject(c, h, body, x, r);
	if (!ok)
		keys_log_rule(c, h, r->status, r->denied, r->why, NULL,
			      v.action == RULES_DENY ? v.rule : "");
	else if (!judge_holds(x))
		keys_log(c, h, 0, false, say_rule(x, v.rule, why),
			 x->inject ? x->inject->secret : NULL);
	explicit_bzero(path, strlen(path));
	count(x, true);
	return ok;
}

bool judge_is_head(struct http_slice method)
{
	return method.len == 4 && memcmp(method.p, "HEAD", 4) == 0;
}

bool judge_holds(const struct exchange *x)
{
	return x->inject && (x->inject->body == INJECT_HOLD || x->body);
}

struct http_slice judge_made(const struct exchange *x)
{
	return (struct http_slice){ x->made.len > 0 ? x->made.data : NULL, x->made.len };
}

/* The body of a request to an endpoint. Return: 0 or -ENOMEM. */
static int put_tokens(struct exchange *x, const char *p, size_t n, struct err *e)
{
	if (!x->body)
		return 0;
	if (!erase_buf_init(&x->made, 4 * LOGIN_BODY))
		return -ENOMEM;
	return login_body(x->first.tokens, x->first.n_tokens, head_find(x->head, "content-type"), p,
			  n, &x->made, e);
}

bool judge_held(struct conn *c, struct exchange *x, const char *p, size_t n, struct reply *r)
{
	struct err e = ERR_INIT;
	int error = x->inject->body == INJECT_HOLD ? inject_body(x->inject, p, n, &e) : 0;
	char why[KEYS_WHY_MAX];

	if (error == 0)
		error = put_tokens(x, p, n, &e);
	if (x->made.len > 0 && !x->inject->secret)
		x->inject->secret = x->login->name;
	count(x, true);
	if (error == 0) {
		keys_log(c, x->head, 0, false, say_rule(x, "", why), x->inject->secret);
		return true;
	}
	(void)refuse(r, error == -EACCES ? 403 : 503,
		     error == -EACCES ? x->inject->why : "out of memory");
	keys_log(c, x->head, r->status, r->denied, r->why, NULL);
	return false;
}

bool judge_fields(struct exchange *x, struct head *h)
{
	size_t i;

	if (x->inject) {
		h->n = 0;
		for (i = 0; i < x->inject->n; i++)
			head_add(h, x->inject->fields[i].name, x->inject->fields[i].value);
		/* as accept-encoding, which says nothing about gRPC's messages */
		head_remove(h, http_slice("grpc-accept-encoding"));
		if (x->made.len > 0 && head_find(h, "content-length").p) { /* of another body */
			head_remove(h, http_slice("content-length"));
			(void)snprintf(x->length, sizeof(x->length), "%zu", x->made.len); /* fits */
			head_add(h, http_slice("content-length"), http_slice(x->length));
		}
	}
	for (i = 0; i < x->n_fields; i++) {
		head_remove(h, x->fields[i].name);
		if (x->fields[i].value.p)
			head_add(h, x->fields[i].name, x->fields[i].value);
	}
	return !h->failed;
}

struct http_slice judge_target(const struct exchange *x, const struct head *h)
{
	return x->inject ? x->inject->target : h->target;
}

bool judge_streams(const struct exchange *x)
{
	return x->inject && x->inject->body == INJECT_STREAM;
}

static bool say(char *why, const char *text)
{
	(void)snprintf(why, KEYS_WHY_MAX, "%.255s", text); /* cut where it is long */
	return false;
}

bool judge_up(struct exchange *x, const char *p, size_t n, struct buf *out, char *why)
{
	const char *of_head = x->inject->secret;
	struct err e = ERR_INIT;
	int error = n > 0 ? inject_step(x->inject, p, n, out, &e) : inject_end(x->inject, out, &e);

	count(x, false);
	if (x->inject->secret != of_head) /* the head was logged when it went on */
		keys_log(x->c, x->head, 0, false, "put into its body", x->inject->secret);
	if (x->kept > 0 && x->c->k->held > KEYS_HELD)
		return say(why, "too many bodies are held for signatures at a time");
	if (error == 0 && !out->failed)
		return true;
	return say(why, error == -EACCES               ? x->inject->why :
			out->failed || error == -EFBIG ? "a piece of the body becomes too large" :
							 "out of memory");
}

bool judge_trailers(struct exchange *x, const struct head *h, char *why)
{
	struct err e = ERR_INIT;

	if (!x->inject || inject_trailers(x->inject, h->fields, h->n, &e) == 0)
		return true;
	return say(why, x->inject->why);
}

/* The same text without secrets, in the head's own memory if it changes. Return: whether that fits. */
static bool scrub_text(struct exchange *x, struct head *h, struct http_slice *s)
{
	struct buf *b = judge_scratch();
	bool ok = s->len == 0 ||
		  (scrub_step(x->scrub, s->p, s->len, b) == 0 && scrub_end(x->scrub, b) == 0);

	if (ok && s->len > 0 && (b->len != s->len || memcmp(b->data, s->p, s->len) != 0)) {
		*s = head_copy(h, (struct http_slice){ b->data, b->len });
		ok = !h->failed;
	}
	judge_scratch_done();
	return ok;
}

static void strip(const struct exchange *x, struct head *h)
{
	const char *const *s;
	size_t i, n = 0;

	for (i = 0; i < h->n; i++) {
		for (s = x->strip; *s && !head_folds_to(h->fields[i].name, http_slice(*s)); s++)
			;
		if (!*s)
			h->fields[n++] = h->fields[i];
	}
	h->n = n;
}

static bool is_json(struct http_slice type)
{
	const char *end = type.p ? memchr(type.p, ';', type.len) : NULL;
	size_t n = end ? (size_t)(end - type.p) : type.len;

	while (type.p && n > 0 && (type.p[n - 1] == ' ' || type.p[n - 1] == '\t'))
		n--;
	type.len = n;
	return http_is(type, "application/json") || http_is(type, "text/json") ||
	       (n > 5 && http_is((struct http_slice){ type.p + n - 5, 5 }, "+json"));
}

/* The head of what may have tokens in it. Return: whether it may go on. */
static bool expect_tokens(struct exchange *x, const struct head *h, char *why)
{
	const bool good = h->status / 100 == 2 && h->status != 204 && h->status != 205;
	struct http_slice coding = head_find(h, "content-encoding");

	if (h->status && h->status < 200)
		return true;
	if (coding.p && !http_is(coding, "identity"))
		return say(
			why,
			"login: the answer is compressed though that was not asked for: a token could be in it");
	x->gathers = is_json(head_find(h, "content-type"));
	if (x->kind == LOGIN_ENDPOINT && good && !x->gathers)
		return say(why, "login: the endpoint's answer is no JSON: a token could be in it");
	if (x->gathers && !x->answer.data && !erase_buf_init(&x->answer, LOGIN_BODY))
		return say(why, "out of memory");
	count(x, false);
	return true;
}

bool judge_rewrites(const struct exchange *x)
{
	return x->scrub || x->gathers;
}

/*
 * @begun: some of the answer has gone on, in its own framing if it is not rewritten.
 * What there was in between is forgotten by then: as the values of a secret are, but for the last few, which the newest set has.
 */
static bool renew(struct exchange *x, bool begun, char *why)
{
	struct judge_secrets later = { .n = 0 };
	struct bound_list lists[BOUND_LISTS] = { { x->first.v, x->first.n } };
	struct err e = ERR_INIT;
	bool found;

	/* `srt proxy` has neither */
	if (!x->c || x->serial == serial_now(x->c->k))
		return true;
	found = find_secrets(x, &later);
	lists[1] = (struct bound_list){ later.v, later.n };
	if (found && begun && !judge_rewrites(x) && inject_bound(later.v, later.n, x->to.host)) {
		drop_secrets(&later);
		return say(
			why,
			"since this answer began a secret is bound to the host, for which it was not searched: ask again");
	}
	found = found && bound_scrub_of(lists, BOUND_LISTS, x->to.host, &x->scrub, &e) == 0;
	if (!found) {
		drop_secrets(&later);
		return say(why, "out of memory");
	}
	drop_secrets(&x->later);
	x->later = later;
	x->serial = serial_now(x->c->k);
	count(x, true);
	return true;
}

bool judge_goes_on(struct exchange *x, char *why)
{
	return renew(x, /* begun= */ true, why);
}

bool judge_answer(struct exchange *x, struct head *h, char *why)
{
	size_t i;

	if (!renew(x, /* begun= */ !h->status, why))
		return false;
	if (x->strip)
		strip(x, h);
	if (x->kind != LOGIN_NOT && h->status && !expect_tokens(x, h, why))
		return false;
	for (i = 0; x->inject && h->status == 200 && i < h->n; i++)
		inject_upload(x->inject, &x->c->k->uploads, h->fields[i].name, h->fields[i].value);
	if (!x->scrub)
		return true;
	for (i = 0; i < h->n; i++) {
		if ((http_is(h->fields[i].name, "content-encoding") ||
		     http_is(h->fields[i].name, "grpc-encoding")) &&
		    !http_is(h->fields[i].value, "identity"))
			return say(why, "the answer is compressed though that was not asked for: a "
					"secret could be in it");
		if (!scrub_text(x, h, &h->fields[i].name) || !scrub_text(x, h, &h->fields[i].value))
			return say(why, "the answer's head has too many bytes");
	}
	return scrub_text(x, h, &h->reason) || say(why, "the answer's head has too many bytes");
}

/* All of it, then what the sandbox gets of it. */
static bool gather(struct exchange *x, const char *p, size_t n, struct buf *out, char *why)
{
	struct keys *k = x->c->k;
	struct buf made = BUF_INIT(0);
	struct err e = ERR_INIT;
	int found;

	if (n > 0) {
		buf_add(&x->answer, p, n);
		return !x->answer.failed ||
		       say(why, "login: an answer that may have tokens in it is too long");
	}
	if (x->answer.len == 0)
		return true;
	if (!erase_buf_init(&made, 4 * LOGIN_BODY))
		return say(why, "out of memory");
	found = login_answer(&k->logins, x->login, x->answer.data, x->answer.len, &made, &e);
	if (found > 0 || k->logins.changed)
		keys_logins_keep(k, x->login);
	x->answer.len = 0;
	if (found >= 0 && x->scrub &&
	    (scrub_step(x->scrub, made.data, made.len, out) < 0 || scrub_end(x->scrub, out) < 0))
		found = -ENOMEM;
	else if (found >= 0 && !x->scrub)
		buf_add(out, made.data, made.len);
	erase_buf_done(&made);
	return (found >= 0 && !out->failed) || say(why, *e.msg ? e.msg : "out of memory");
}

bool judge_down(struct exchange *x, const char *p, size_t n, struct buf *out, char *why)
{
	int error;

	if (x->gathers)
		return gather(x, p, n, out, why);
	error = n > 0 ? scrub_step(x->scrub, p, n, out) : scrub_end(x->scrub, out);
	return error == 0 || say(why, "a piece of the answer becomes too large");
}

bool judge_reply_has(const struct reply *r, const char *name)
{
	size_t i;

	for (i = 0; i < r->n; i++) {
		if (http_is(r->fields[i].name, name))
			return true;
	}
	return false;
}

void judge_reply_body(const struct reply *r, struct buf *b)
{
	if (r->body.p)
		buf_add(b, r->body.p, r->body.len);
	else
		buf_printf(b, "bailey: %s\n", r->why);
}

void exchange_done(struct exchange *x)
{
	if (x->c) {
		conn_exchanges(x->c, -(ssize_t)x->size);
		conn_hold(x->c, -(ssize_t)x->kept);
	}
	if (x->inject) {
		inject_done(x->inject);
		explicit_bzero(x->inject, sizeof(*x->inject));
		free(x->inject);
	}
	scrub_free(x->scrub);
	drop_secrets(&x->first);
	drop_secrets(&x->later);
	erase_buf_done(&x->made);
	erase_buf_done(&x->answer);
	head_free(x->head);
	free(x->fields);
	memset(x, 0, sizeof(*x));
}
