/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. Rules are read into lists of matchers. A request is prepared once, only as far as the rules of its host ask for it: its path is brought into
 * its normal form when an entry has a path, its query is decoded when one has a query. What can't be prepared is refused, whatever entry comes first: else an
 * odd spelling would choose among the entries.
 *
 * A field of the query or a header can stand there several times, and servers take the first, the last or all. An entry that lets a request through wants that each of
 * them matches; one that does not is content with any.
 */
#include "rules.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy/policy.h"
#include "regex.h"

enum matcher_kind { MATCH_EXACT, MATCH_STARTS, MATCH_REGEX };

/* One of a list: any of them. */
struct matcher {
	struct matcher *next;
	enum matcher_kind kind;
	struct http_slice text;
	const struct regex *regex;
};

struct pair {
	struct pair *next;
	bool fold; /* names are compared in any case of letters */
	struct matcher *name, *value;
};

struct entry {
	struct entry *next;
	struct matcher *method, *path; /* NULL: any */
	struct pair *query, *headers;
	enum rules_action action;
	const char *reason;
	struct rules_field *fields;
	size_t n_fields;
	int status;
	struct http_slice body;
	const struct rules_forward *forward;
};

struct rule {
	struct rule *next;
	const char *host; /* canonical; of "*.NAME" the NAME; "" for every one */
	bool below;       /* subdomains only */
	const char *text;
	struct entry *entries;
	bool path, query, forward;
};

struct rules {
	struct rule *first;
	size_t n;
};

/* --- reading --- */

struct reader {
	struct arena *a;
	struct err *e;
};

__attribute__((format(printf, 3, 4))) static int bad(struct reader *r, const struct json_node *n,
						     const char *fmt, ...)
{
	char where[256], what[160];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(what, sizeof(what), fmt, ap); /* cut where it is long */
	va_end(ap);
	json_key_path(n, where, sizeof(where));
	return err_set(r->e, ERR_POLICY, -EINVAL, "%s: %s", where, what);
}

static int no_memory(struct reader *r)
{
	return err_set(r->e, ERR_SYSTEM, -ENOMEM, "inspection rules: out of memory");
}

static int want(struct reader *r, const struct json_node *n, enum json_type type)
{
	return n->type == type ? 0 :
				 bad(r, n, "expected %s, not %s", json_type_name(type),
				     json_type_name(n->type));
}

static int read_matcher(struct reader *r, const struct json_node *n, struct matcher **ret)
{
	const struct json_node *value = n;
	struct matcher *m;

	if (n->type == JSON_LIST) {
		if (!n->first)
			return bad(r, n, "an empty list matches nothing");
		for (n = n->first; n; n = n->next) {
			struct matcher *one = NULL;
			int error = n->type == JSON_LIST ? bad(r, n, "a list in a list") :
							   read_matcher(r, n, &one);

			if (error < 0 || !one)
				return error;
			*ret = one;
			ret = &one->next;
		}
		return 0;
	}
	m = arena_alloc(r->a, sizeof(*m));
	if (!m)
		return no_memory(r);
	if (n->type == JSON_OBJECT) {
		value = n->first;
		if (n->n != 1)
			return bad(r, n, "expected one of exact, startsWith, regex");
		if (strcmp(value->key, "startsWith") == 0)
			m->kind = MATCH_STARTS;
		else if (strcmp(value->key, "regex") == 0)
			m->kind = MATCH_REGEX;
		else if (strcmp(value->key, "exact") != 0)
			return bad(r, value, "unknown; expected exact, startsWith or regex");
	}
	if (value->type != JSON_STRING)
		return bad(r, value, "expected a string, or {exact | startsWith | regex}");
	m->text = http_slice(value->text);
	if (m->kind == MATCH_REGEX) {
		struct err e = ERR_INIT;

		if (regex_parse(&m->regex, value->text, r->a, &e) < 0)
			return bad(r, value, "%s", e.msg);
	}
	*ret = m;
	return 0;
}

/* Texts about paths in the form in which paths are compared; one that no path can have is an error, lest it denies nothing. */
static int read_path(struct reader *r, const struct json_node *n, struct matcher **ret)
{
	static char plain[RULES_PATH];
	struct err e = ERR_INIT;
	struct matcher *m;
	const char *percent;
	ssize_t len;
	int error = read_matcher(r, n, ret);

	for (m = *ret; m && error == 0; m = m->next) {
		if (m->kind == MATCH_REGEX) {
			for (percent = m->text.p; (percent = strchr(percent, '%')); percent++) {
				if (strncmp(percent, "%25", 3) != 0)
					return bad(
						r, n,
						"paths are compared without percent codes, but for %%25: write the character itself");
			}
			continue;
		}
		len = rules_path_plain(m->text, plain, &e);
		if (len < 0)
			return bad(r, n, "it matches nothing that is let through: %s", e.msg);
		m->text = http_slice(arena_strdup(r->a, plain));
		if (!m->text.p)
			return no_memory(r);
	}
	return error;
}

static bool is_token(const char *s)
{
	struct buf b = BUF_INIT(1 << 16);
	bool ok;

	http_write_field(&b, s, http_slice(""));
	ok = !b.failed;
	buf_done(&b);
	return ok;
}

static char *lower(struct reader *r, const char *s)
{
	char *copy = arena_strdup(r->a, s), *p;

	for (p = copy; p && *p; p++)
		*p = (char)(*p >= 'A' && *p <= 'Z' ? *p | 0x20 : *p);
	return copy;
}

/* {NAME: matcher …}, or [{"name": matcher, "value": matcher} …] */
static int read_pairs(struct reader *r, const struct json_node *n, bool fold, struct pair **ret)
{
	const struct json_node *k;
	int error = 0;

	if (n->type != JSON_OBJECT && n->type != JSON_LIST)
		return bad(r, n,
			   "expected an object of names and matchers, or a list of {name, value}");
	for (n = n->first; n && error == 0; n = n->next) {
		struct pair *p = arena_alloc(r->a, sizeof(*p));

		if (!p)
			return no_memory(r);
		p->fold = fold;
		*ret = p;
		ret = &p->next;
		if (n->key) {
			p->name = arena_alloc(r->a, sizeof(*p->name));
			if (!p->name)
				return no_memory(r);
			p->name->text = http_slice(n->key);
			error = read_matcher(r, n, &p->value);
			continue;
		}
		error = want(r, n, JSON_OBJECT);
		for (k = n->type == JSON_OBJECT ? n->first : NULL; k && error == 0; k = k->next) {
			if (strcmp(k->key, "name") == 0)
				error = read_matcher(r, k, &p->name);
			else if (strcmp(k->key, "value") == 0)
				error = read_matcher(r, k, &p->value);
			else
				error = bad(r, k, "unknown; expected name or value");
		}
		if (error == 0 && !p->name)
			error = bad(r, n, "name is missing");
	}
	return error;
}

/* What frames a message or says where it goes is not for rules. */
static bool may_set(const char *name)
{
	static const char *const barred[] = {
		"host",   "connection",       "content-length", "transfer-encoding",
		"te",     "trailer",          "upgrade",        "keep-alive",
		"expect", "proxy-connection", "http2-settings"
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(barred); i++) {
		if (strcmp(name, barred[i]) == 0)
			return false;
	}
	return true;
}

static int read_fields(struct reader *r, const struct json_node *n, bool remove, struct entry *y)
{
	int error = want(r, n, JSON_OBJECT);

	if (error < 0)
		return error;
	if (n->n > HEAD_FIELDS - HTTP_FIELDS - 8)
		return bad(r, n, "too many");
	y->fields = arena_alloc(r->a, (n->n + 1) * sizeof(*y->fields));
	if (!y->fields)
		return no_memory(r);
	for (n = n->first; n; n = n->next) {
		struct rules_field *f = &y->fields[y->n_fields];
		const char *name = lower(r, n->key);
		struct buf b = BUF_INIT(1 << 16);
		bool odd;

		if (!name)
			return no_memory(r);
		if (!is_token(name) || !may_set(name))
			return bad(r, n, "no field that can be set here");
		if (n->type != JSON_STRING && !(remove && n->type == JSON_NULL))
			return bad(r, n,
				   remove ? "expected a string, or null" : "expected a string");
		f->name = http_slice(name);
		if (n->type == JSON_STRING) {
			f->value = http_slice(n->text);
			http_write_field(&b, name, f->value);
			odd = b.failed;
			buf_done(&b);
			if (odd)
				return bad(r, n, "a byte that no field has");
		}
		y->n_fields++;
	}
	return 0;
}

static int read_answer(struct reader *r, const struct json_node *n, struct entry *y)
{
	int error = want(r, n, JSON_OBJECT);
	char *end = NULL;

	y->action = RULES_ANSWER;
	y->status = 200;
	for (n = n->type == JSON_OBJECT ? n->first : NULL; n && error == 0; n = n->next) {
		if (strcmp(n->key, "status") == 0) {
			y->status = n->type == JSON_NUMBER ? (int)strtol(n->text, &end, 10) : 0;
			if (y->status < 200 || y->status > 599 || y->status == 204 ||
			    y->status == 304 || !end || *end)
				error = bad(r, n,
					    "expected a status from 200 to 599 that has a body");
		} else if (strcmp(n->key, "headers") == 0) {
			error = read_fields(r, n, false, y);
		} else if (strcmp(n->key, "body") == 0) {
			error = want(r, n, JSON_STRING);
			y->body = http_slice(error ? "" : n->text);
		} else {
			error = bad(r, n, "unknown; expected status, headers or body");
		}
	}
	return error;
}

/* The prefix is one that can't be left again: the path behind it has no dot segments, since a rule that forwards has it compared. */
static int read_forward(struct reader *r, const struct json_node *n, struct rule *rule,
			struct entry *y)
{
	static char path[RULES_PATH];
	struct rules_forward *f = arena_alloc(r->a, sizeof(*f));
	struct err e = ERR_INIT;
	ssize_t len;

	if (want(r, n, JSON_STRING) < 0)
		return -EINVAL;
	if (!f)
		return no_memory(r);
	if (forward_parse(&f->to, n->text, &e) < 0)
		return bad(r, n, "%s", e.msg);
	if (f->to.n_path > 0) {
		len = rules_path_normal((struct http_slice){ f->to.path, f->to.n_path }, path, &e);
		if (len < 0)
			return bad(r, n, "%s", e.msg);
		while (len > 0 && path[len - 1] == '/')
			len--; /* of "/a/.." */
		f->to.path = arena_strdup(r->a, path);
		f->to.n_path = (size_t)len;
	}
	f->url = n->text;
	y->forward = f;
	rule->path = rule->forward = true;
	return f->to.path ? 0 : no_memory(r);
}

/* {"forward": URL, "headers": {…}}, either of them, or {"response": {…}} */
static int read_how(struct reader *r, const struct json_node *n, struct rule *rule, struct entry *y)
{
	const struct json_node *k;
	int error = 0;

	if (n->n == 1 && strcmp(n->first->key, "response") == 0)
		return read_answer(r, n->first, y);
	for (k = n->first; k && error == 0; k = k->next) {
		if (strcmp(k->key, "headers") == 0)
			error = read_fields(r, k, true, y);
		else if (strcmp(k->key, "forward") == 0)
			error = read_forward(r, k, rule, y);
		else if (strcmp(k->key, "response") == 0)
			error = bad(r, k, "an answer goes with nothing else");
		else
			error = bad(r, k, "unknown; expected forward, headers or response");
	}
	return error;
}

static int read_action(struct reader *r, const struct json_node *n, struct rule *rule,
		       struct entry *y)
{
	if (n->type == JSON_STRING && strcmp(n->text, "allow") == 0)
		return 0;
	if (n->type == JSON_STRING && strcmp(n->text, "deny") == 0) {
		y->action = RULES_DENY;
		return 0;
	}
	if (n->type != JSON_OBJECT || n->n == 0)
		return bad(r, n,
			   "expected \"allow\", \"deny\", {headers}, {forward} or {response}");
	return read_how(r, n, rule, y);
}

static int read_entry(struct reader *r, const struct json_node *n, struct rule *rule,
		      struct entry **ret)
{
	struct entry *y = arena_alloc(r->a, sizeof(*y));
	int error = want(r, n, JSON_OBJECT);

	if (!y)
		return no_memory(r);
	if (error < 0)
		return error;
	*ret = y;
	for (n = n->first; n && error == 0; n = n->next) {
		if (strcmp(n->key, "method") == 0) {
			error = read_matcher(r, n, &y->method);
		} else if (strcmp(n->key, "path") == 0) {
			error = read_path(r, n, &y->path);
			rule->path = true;
		} else if (strcmp(n->key, "query") == 0) {
			error = read_pairs(r, n, false, &y->query);
			rule->query = true;
		} else if (strcmp(n->key, "headers") == 0) {
			error = read_pairs(r, n, true, &y->headers);
		} else if (strcmp(n->key, "action") == 0) {
			error = read_action(r, n, rule, y);
		} else if (strcmp(n->key, "reason") == 0) {
			error = want(r, n, JSON_STRING);
			y->reason = n->text;
		} else {
			error = bad(
				r, n,
				"unknown; expected method, path, query, headers, action or reason");
		}
	}
	return error;
}

static int read_host(struct reader *r, const struct json_node *n, struct rule *rule)
{
	char host[NET_HOST_MAX + 1];
	struct err e = ERR_INIT;
	const char *s;

	if (want(r, n, JSON_STRING) < 0)
		return -EINVAL;
	s = rule->text = n->text;
	if (strcmp(s, "**") == 0) {
		rule->host = "";
		return 0;
	}
	rule->below = strncmp(s, "*.", 2) == 0;
	s += rule->below ? 2 : 0;
	if (net_host_canon(s, strlen(s), host, &e) < 0)
		return bad(r, n, "%s", e.msg);
	rule->host = arena_strdup(r->a, host);
	return rule->host ? 0 : no_memory(r);
}

static int read_rule(struct reader *r, const struct json_node *n, struct rule *rule)
{
	struct entry **end = &rule->entries;
	const struct json_node *k;
	int error = 0;

	if (n->type == JSON_STRING)
		return read_host(r, n, rule);
	if (n->type != JSON_OBJECT)
		return bad(r, n, "expected a host, or {host, requests}");
	for (n = n->first; n && error == 0; n = n->next) {
		if (strcmp(n->key, "host") == 0) {
			error = read_host(r, n, rule);
		} else if (strcmp(n->key, "requests") == 0) {
			error = want(r, n, JSON_LIST);
			if (error == 0 && (n->n == 0 || n->n > RULES_MAX))
				error = bad(r, n, "expected 1 to %u entries", RULES_MAX);
			for (k = error ? NULL : n->first; k && error == 0; k = k->next) {
				error = read_entry(r, k, rule, end);
				end = *end ? &(*end)->next : end;
			}
		} else {
			error = bad(r, n, "unknown; expected host or requests");
		}
	}
	return error;
}

int rules_parse(const struct rules **ret, const struct json_node *list, struct arena *a,
		struct err *e)
{
	struct reader r = { a, e };
	struct rules *rules = arena_alloc(a, sizeof(*rules));
	struct rule **end;
	const struct json_node *n;
	int error = want(&r, list, JSON_LIST);

	if (!rules)
		return no_memory(&r);
	if (error < 0)
		return error;
	if (list->n > RULES_MAX)
		return bad(&r, list, "more than %u rules", RULES_MAX);
	end = &rules->first;
	for (n = list->first; n; n = n->next) {
		struct rule *rule = arena_alloc(a, sizeof(*rule));

		if (!rule)
			return no_memory(&r);
		error = read_rule(&r, n, rule);
		if (error == 0 && !rule->host)
			error = bad(&r, n, "host is missing");
		if (error < 0)
			return error;
		*end = rule;
		end = &rule->next;
		rules->n++;
	}
	*ret = rules;
	return 0;
}

/* --- judging --- */

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
};

static void count(struct tally *t, const struct pair *p, struct http_slice name,
		  struct http_slice value)
{
	if (!match(p->name, name, p->fold))
		return;
	t->named++;
	t->matched += !p->value || match(p->value, value, false);
}

/* Whether all pairs match; @each: every field of that name must, else one is enough. */
static bool match_pairs(const struct view *v, const struct pair *p, bool headers, bool each)
{
	for (; p; p = p->next) {
		struct tally t = { 0, 0 };
		size_t i;

		for (i = 0; headers && i < v->h->n; i++)
			count(&t, p, lower_name(v->h->fields[i].name), v->h->fields[i].value);
		for (i = 0; !headers && i < v->n_query; i++)
			count(&t, p, v->query[i].name, v->query[i].value);
		if (t.matched == 0 || (each && t.matched < t.named))
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
			if (http_is(h->fields[i].name, names[k]))
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

/* Fields of several rules: all of them, in their order. Return: whether there is place. */
static bool add_fields(struct rules_verdict *ret, const struct entry *y)
{
	static struct rules_field all[RULES_FIELDS];

	if (ret->n + y->n_fields > RULES_FIELDS)
		return false;
	if (ret->n == 0) {
		ret->fields = y->fields; /* nearly always there are no others */
		ret->n = y->n_fields;
		return true;
	}
	memmove(all, ret->fields, ret->n * sizeof(*all));
	if (y->n_fields)
		memcpy(all + ret->n, y->fields, y->n_fields * sizeof(*all));
	ret->fields = all;
	ret->n += y->n_fields;
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
			ret->reason = "no entry of the host's rules allows this request";
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
