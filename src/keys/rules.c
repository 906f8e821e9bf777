/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. Rules are read into lists of matchers. A request is prepared once, only as far as the rules of its host ask for it: its path is brought into
 * its normal form when an entry has a path, its query is decoded when one has a query. What can't be prepared is refused, whatever entry comes first: else an
 * odd spelling would choose among the entries. Names of headers that servers behind CGI take for one ("x_tenant") are one here, too, where an entry names it exactly; but
 * other servers know nothing of such a field, so it alone lets nothing through.
 *
 * A field of the query or a header can stand there several times, and servers take the first, the last or all. An entry that lets a request through wants that each of
 * them matches; one that does not is content with any.
 */
#include "rules-own.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define QUERY_PAIRS 512u

/* A request as its rules want to see it. */
struct view {
	const struct head *h;
	struct http_slice path;
	struct {
		struct http_slice name, value;
	} query[QUERY_PAIRS];
	size_t n_query;
	char decoded[HTTP_HEAD_MAX], plain[RULES_PATH];
};

/* There is one loop and no thread: one is enough. Erased after each use, since queries carry credentials. */
static struct view view;

static int hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)(c | 0x20);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static const char *decode_query(struct view *v, struct http_slice q)
{
	size_t i, n = 0;
	bool name = true;
	int hi, lo;

	for (i = 0; i < q.len && v->n_query < QUERY_PAIRS; i++) {
		char c = q.p[i];

		if (i == 0 || q.p[i - 1] == '&') {
			v->query[v->n_query].name = v->query[v->n_query].value =
				(struct http_slice){ v->decoded + n, 0 };
			v->n_query++;
			name = true;
		}
		if (c == '&')
			continue;
		if (c == ';')
			return "the query has a semicolon, which some servers take for a separator";
		if (c == '=' && name) {
			name = false;
			v->query[v->n_query - 1].value.p = v->decoded + n;
			continue;
		}
		if (c == '%') {
			hi = q.len - i > 2 ? hex(q.p[i + 1]) : -1;
			lo = q.len - i > 2 ? hex(q.p[i + 2]) : -1;
			if (hi < 0 || lo < 0 || (hi | lo) == 0)
				return "the query has a percent sign without two digits, or a NUL";
			c = (char)(hi << 4 | lo);
			i += 2;
		} else if (c == '+') {
			c = ' ';
		}
		v->decoded[n++] = c;
		if (name)
			v->query[v->n_query - 1].name.len++;
		else
			v->query[v->n_query - 1].value.len++;
	}
	return i < q.len ? "the query has too many fields" : NULL;
}

static bool match(const struct matcher *m, struct http_slice s, bool fold)
{
	for (; m; m = m->next) {
		if (m->kind == MATCH_REGEX ? regex_match(m->regex, s.p, s.len) :
		    s.len < m->text.len    ? false :
		    m->kind == MATCH_EXACT && s.len != m->text.len ? false :
		    fold ? strncasecmp(s.p, m->text.p, m->text.len) == 0 :
			   m->text.len == 0 || memcmp(s.p, m->text.p, m->text.len) == 0)
			return true;
	}
	return false;
}

/* Regular expressions of names, too, are for lower case: that is how HTTP/2 has them. */
static struct http_slice lower_name(struct http_slice s)
{
	static char name[HTTP_HEAD_MAX];
	size_t i;

	for (i = 0; i < s.len && i < sizeof(name); i++)
		name[i] = (char)(s.p[i] >= 'A' && s.p[i] <= 'Z' ? s.p[i] | 0x20 : s.p[i]);
	return (struct http_slice){ name, i };
}

struct tally {
	size_t named, matched;
	size_t own; /* of the matched ones: those with that very name */
};

/* Whether some server takes that header for one that @m names exactly. */
static bool folds(const struct matcher *m, struct http_slice name)
{
	for (; m; m = m->next) {
		if (m->kind == MATCH_EXACT && head_folds_to(name, m->text))
			return true;
	}
	return false;
}

static void count(struct tally *t, const struct pair *p, struct http_slice name,
		  struct http_slice value)
{
	bool own = match(p->name, name, p->fold);

	if (!own && !(p->fold && folds(p->name, name)))
		return;
	t->named++;
	if (p->value && !match(p->value, value, false))
		return;
	t->matched++;
	t->own += own;
}

/* Whether all pairs match; @each: every field of that name must, else one is enough. */
static bool match_pairs(const struct view *v, const struct pair *p, bool headers, bool each)
{
	for (; p; p = p->next) {
		struct tally t = { 0, 0, 0 };
		size_t i;

		for (i = 0; headers && i < v->h->n; i++)
			count(&t, p, lower_name(v->h->fields[i].name), v->h->fields[i].value);
		for (i = 0; !headers && i < v->n_query; i++)
			count(&t, p, v->query[i].name, v->query[i].value);
		if (t.matched == 0 || (each && (t.own == 0 || t.matched < t.named)))
			return false;
	}
	return true;
}

static bool match_entry(const struct view *v, const struct entry *y)
{
	bool each = y->action == RULES_ALLOW;

	return (!y->method || match(y->method, v->h->method, false)) &&
	       (!y->path || match(y->path, v->path, false)) &&
	       match_pairs(v, y->query, false, each) && match_pairs(v, y->headers, true, each);
}

static bool host_fits(const struct rule *r, const char *host)
{
	size_t n = strlen(host), m = strlen(r->host);

	if (m == 0)
		return true;
	if (!r->below)
		return strcmp(r->host, host) == 0;
	return n > m + 1 && host[n - m - 1] == '.' && strcmp(host + n - m, r->host) == 0;
}

/* What some servers take for the method or the path: a rule would judge something else than what is done. Return: why it is refused, or NULL. */
static const char *overridden(const struct head *h)
{
	static const char *const names[] = { "x-http-method-override", "x-http-method",
					     "x-method-override", "x-original-url",
					     "x-rewrite-url" };
	size_t i, k;

	for (i = 0; i < h->n; i++) {
		for (k = 0; k < ARRAY_SIZE(names); k++) {
			if (head_folds_to(h->fields[i].name, http_slice(names[k])))
				return "a field that names another method or path";
		}
	}
	return NULL;
}

/* Return: why it can't be prepared, or NULL. */
static const char *prepare(struct view *v, const struct rules *rules, const char *host,
			   struct rules_verdict *ret, char *path)
{
	static char why[200];
	struct http_slice target = v->h->target;
	const char *question = memchr(target.p, '?', target.len);
	const struct rule *r;
	bool query = false, entries = false;
	struct err e = ERR_INIT;
	ssize_t n;

	for (r = rules->first; r; r = r->next) {
		if (!host_fits(r, host))
			continue;
		entries |= r->entries != NULL;
		ret->path |= r->path;
		query |= r->query;
	}
	if (entries && overridden(v->h))
		return overridden(v->h);
	v->path = target;
	v->path.len = question ? (size_t)(question - target.p) : target.len;
	if (target.len == 1 && *target.p == '*')
		ret->path = false; /* of OPTIONS; it is its own form */
	if (ret->path) {
		n = rules_path_normal(v->path, path, &e);
		if (n > 0)
			n = rules_path_plain((struct http_slice){ path, (size_t)n }, v->plain, &e);
		if (n < 0) {
			(void)snprintf(why, sizeof(why), "%.190s", e.msg); /* short */
			return why;
		}
		v->path = (struct http_slice){ v->plain, (size_t)n };
	}
	if (query && question)
		return decode_query(
			v, (struct http_slice){ question + 1,
						(size_t)(target.p + target.len - question - 1) });
	return NULL;
}

/*
 * Fields of several rules: all of them, in their order; of a request that goes elsewhere those of the entries that say so. What another entry sets is for its own host: a
 * credential, perhaps. What it takes away is taken away all the same.
 */
static bool add_fields(struct rules_verdict *ret, const struct entry *y)
{
	static struct rules_field all[RULES_FIELDS];
	const bool turns = y->forward && !ret->forward, set = y->forward || !ret->forward;
	const size_t before = ret->n;
	size_t i;

	if (ret->n + y->n_fields > RULES_FIELDS)
		return false;
	if (ret->n == 0 && set) {
		ret->fields = y->fields; /* nearly always there are no others */
		ret->n = y->n_fields;
		return true;
	}
	ret->n = 0;
	for (i = 0; i < before; i++) {
		if (!turns || !ret->fields[i].value.p)
			all[ret->n++] = ret->fields[i];
	}
	for (i = 0; i < y->n_fields; i++) {
		if (set || !y->fields[i].value.p)
			all[ret->n++] = y->fields[i];
	}
	ret->fields = all;
	return true;
}

/* Two rules can't send one request to two places. Return: whether @y agrees with what is said already. */
static bool set_forward(struct rules_verdict *ret, const struct entry *y)
{
	if (y->forward && ret->forward && strcmp(y->forward->url, ret->forward->url) != 0)
		return false;
	if (y->forward)
		ret->forward = y->forward;
	return true;
}

static void decide(struct rules_verdict *ret, const struct rule *r, const struct entry *y, size_t i)
{
	ret->action = y->action;
	ret->reason = y->reason;
	if (y->action != RULES_ALLOW) {
		ret->fields = y->fields;
		ret->n = y->n_fields;
	} else if (!add_fields(ret, y)) {
		ret->action = RULES_DENY;
		ret->reason = "the rules set too many fields";
	} else if (!set_forward(ret, y)) {
		ret->action = RULES_DENY;
		ret->reason = "two rules forward this request to different places";
	}
	ret->status = y->status;
	ret->body = y->body;
	(void)snprintf(ret->rule, sizeof(ret->rule), "%.70s requests[%zu]", r->text,
		       i); /* a long name is cut */
}

void rules_judge(const struct rules *rules, const char *host, const struct head *h,
		 struct rules_verdict *ret, char *path)
{
	const struct rule *r;
	const struct entry *y;
	bool found;
	const char *why;
	size_t i;

	memset(ret, 0, sizeof(*ret));
	if (!rules)
		return;
	view.h = h;
	view.n_query = 0;
	why = prepare(&view, rules, host, ret, path);
	if (why) {
		ret->action = RULES_BAD;
		ret->reason = why;
	}
	/* each rule of the host must let it pass: they come from several hands, and nobody lifts what another has said */
	for (r = rules->first; r && ret->action == RULES_ALLOW; r = r->next) {
		if (!r->entries || !host_fits(r, host))
			continue;
		found = false;
		for (y = r->entries, i = 0; y && !found; y = y->next, i++) {
			found = match_entry(&view, y);
			if (found)
				decide(ret, r, y, i);
		}
		if (!found) {
			ret->action = RULES_DENY;
			ret->reason = r->none;
			(void)snprintf(ret->rule, sizeof(ret->rule), "%.70s requests",
				       r->text); /* as above */
		}
	}
	explicit_bzero(&view, sizeof(view));
}

bool rules_forward(const struct rules *rules, const char *host)
{
	const struct rule *r;

	for (r = rules ? rules->first : NULL; r; r = r->next) {
		if (r->forward && host_fits(r, host))
			return true;
	}
	return false;
}
