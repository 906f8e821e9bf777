/* SPDX-License-Identifier: Apache-2.0 */
/* Rules are read into lists of matchers. The launcher reads them with this, too, before it starts anything (keys_rules_check()). */
#include "rules-own.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "keys.h"
#include "policy/policy.h"

struct reader {
	const char *file; /* for messages, or NULL */
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
	if (r->file)
		return err_set(r->e, ERR_POLICY, -EINVAL, "%s:%u:%u: %s: %s",
			       json_file_name(r->file), n->key ? n->key_line : n->line,
			       n->key ? n->key_column : n->column, where, what);
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

/* A beginning of paths: what stands up to its last slash has the form of a path, and the rest can be part of a name. */
static ssize_t normal_beginning(struct http_slice text, char *out, struct err *e)
{
	const char *slash = memrchr(text.p, '/', text.len);
	size_t n = slash ? (size_t)(slash - text.p) + 1 : 0;
	ssize_t len = rules_path_normal((struct http_slice){ text.p, n }, out, e);

	if (len < 0 || (size_t)len + text.len - n >= RULES_PATH)
		return len < 0 ? len :
				 err_set(e, ERR_USAGE, -EBADMSG, "the path has too many bytes");
	memcpy(out + len, text.p + n, text.len - n + 1);
	return len + (ssize_t)(text.len - n);
}

static int read_path_text(struct reader *r, const struct json_node *n, struct matcher *m)
{
	static char normal[RULES_PATH], plain[RULES_PATH];
	struct err e = ERR_INIT;
	ssize_t len;

	if (m->text.len == 0 || *m->text.p != '/')
		return bad(r, n,
			   "it matches nothing: a path begins with '/'; leave it out for any path");
	len = m->kind == MATCH_EXACT ? rules_path_normal(m->text, normal, &e) :
				       normal_beginning(m->text, normal, &e);
	if (len > 0)
		len = rules_path_plain((struct http_slice){ normal, (size_t)len }, plain, &e);
	if (len < 0)
		return bad(r, n, "it matches nothing that is let through: %s", e.msg);
	m->text = http_slice(arena_strdup(r->a, plain));
	return m->text.p ? 0 : no_memory(r);
}

static int read_path_regex(struct reader *r, const struct json_node *n, const struct matcher *m)
{
	const char *percent;

	for (percent = m->text.p; (percent = strchr(percent, '%')); percent++) {
		if (strncmp(percent, "%25", 3) != 0)
			return bad(
				r, n,
				"paths are compared without percent codes, but for %%25: write the character itself");
	}
	return regex_begins(m->regex, '/') ?
		       0 :
		       bad(r, n, "it matches nothing: a path begins with '/', as in \"^/\"");
}

/* Texts about paths in the form in which paths are compared; one that no path can have is an error, lest it denies nothing. */
static int read_path(struct reader *r, const struct json_node *n, struct matcher **ret)
{
	int error = read_matcher(r, n, ret);
	struct matcher *m;

	for (m = *ret; m && error == 0; m = m->next)
		error = m->kind == MATCH_REGEX ? read_path_regex(r, n, m) : read_path_text(r, n, m);
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

/* Methods are compared with their case, and those that everybody uses are in capitals. */
static int read_method(struct reader *r, const struct json_node *n, struct matcher **ret)
{
	static const char *const usual[] = { "GET",    "HEAD",    "POST",  "PUT",    "PATCH",
					     "DELETE", "OPTIONS", "TRACE", "CONNECT" };
	int error = read_matcher(r, n, ret);
	const struct matcher *m;
	size_t i;

	for (m = *ret; m && error == 0; m = m->next) {
		if (m->kind == MATCH_REGEX)
			continue;
		if (!is_token(m->text.p))
			return bad(r, n, "it matches nothing: no method is written like that");
		for (i = 0; i < ARRAY_SIZE(usual); i++) {
			if (strcmp(m->text.p, usual[i]) != 0 &&
			    strcasecmp(m->text.p, usual[i]) == 0)
				return bad(r, n,
					   "methods are compared with their case: did you mean %s?",
					   usual[i]);
		}
	}
	return error;
}

/* Of header fields; those of the query may be any text. */
static int check_names(struct reader *r, const struct json_node *n, const struct pair *p)
{
	const struct matcher *m;

	for (m = p->fold ? p->name : NULL; m; m = m->next) {
		if (m->kind != MATCH_REGEX && !is_token(m->text.p))
			return bad(r, n, "it matches nothing: no header is called like that");
	}
	return 0;
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
			error = check_names(r, n, p);
			if (error == 0)
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
		if (error == 0)
			error = p->name ? check_names(r, n, p) : bad(r, n, "name is missing");
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
			error = read_method(r, n, &y->method);
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
	if (error < 0 || !rule->entries)
		return error;
	rule->none = arena_printf(r->a, "no entry of inspect '%.100s' allows this request",
				  rule->text ? rule->text : "");
	return rule->none ? 0 : no_memory(r);
}

int rules_parse(const struct rules **ret, const struct json_node *list, struct arena *a,
		struct err *e)
{
	struct reader r = { NULL, a, e };
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

int keys_rules_check(const char *file, const struct json_node *n, struct err *e)
{
	struct arena a = ARENA_INIT(LIMIT_ARENA);
	struct reader r = { file, &a, e };
	struct rule rule = { .host = NULL };
	int error = read_rule(&r, n, &rule);

	arena_done(&a);
	return error;
}
