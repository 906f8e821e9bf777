/* SPDX-License-Identifier: Apache-2.0 */
#include "file.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "json.h"

struct mapper {
	const char *name;
	const struct opt *opts;
	struct arena *arena;
	struct policy_file *out;
	size_t size;
	struct err *e;
};

/* "FILE:LINE:COLUMN: key: what"; of the key itself when @at_key. */
__attribute__((format(printf, 4, 5))) static int
bad(const struct mapper *m, const struct json_node *v, bool at_key, const char *fmt, ...)
{
	char key[128], what[320];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(what, sizeof(what), fmt, ap);
	va_end(ap);
	json_key_path(v, key, sizeof(key));
	return err_set(m->e, ERR_POLICY, -EINVAL, "%s:%u:%u: %s%s%s", json_file_name(m->name),
		       at_key ? v->key_line : v->line, at_key ? v->key_column : v->column, key,
		       *key ? ": " : "", what);
}

static int type(const struct mapper *m, const struct json_node *v, enum json_type want)
{
	if (v->type == want)
		return 0;
	return bad(m, v, false, "expected %s, found %s", json_type_name(want),
		   json_type_name(v->type));
}

static struct opt_value *last(const struct mapper *m)
{
	return &m->out->values[m->out->n - 1];
}

static int put(struct mapper *m, const struct opt *o, const struct json_node *at, const char *value,
	       bool literal)
{
	struct policy_file *f = m->out;
	struct opt_value *values;

	if (f->n == m->size) {
		m->size = m->size ? m->size * 2 : 32;
		values = arena_alloc(m->arena, m->size * sizeof(*values));
		if (!values)
			return err_set(m->e, ERR_SYSTEM, -ENOMEM, "out of memory");
		if (f->n)
			memcpy(values, f->values, f->n * sizeof(*values));
		f->values = values;
	}
	f->values[f->n++] = (struct opt_value){
		.opt = o, .value = value, .line = at->line, .column = at->column, .literal = literal
	};
	return 0;
}

/* The name of a variable: what a shell could set, and no more than execve() can carry. */
static int variable(const struct mapper *m, const struct json_node *v, bool at_key,
		    const char *name)
{
	const char *p;

	for (p = name; *p && *p != '=' && (unsigned char)*p > ' ' && *p != 0x7f; p++)
		;
	if (p == name || *p || p - name > 255)
		return bad(m, v, at_key,
			   "expected the name of a variable (no '=', no spaces), found '%.60s'",
			   name);
	return 0;
}

/* {"path": "…", "literal": true}, as srt has it. */
static int path_object(const struct mapper *m, const struct json_node *v,
		       const struct json_node **ret_path, bool *ret_literal)
{
	const struct json_node *k;
	int r = 0;

	*ret_path = NULL;
	for (k = v->first; r == 0 && k; k = k->next) {
		if (strcmp(k->key, "path") == 0) {
			r = type(m, k, JSON_STRING);
			*ret_path = k;
		} else if (strcmp(k->key, "literal") == 0) {
			r = type(m, k, JSON_BOOL);
			*ret_literal = k->value;
		} else {
			r = bad(m, k, true, "unknown key; there are 'path' and 'literal'");
		}
	}
	if (r == 0 && !*ret_path)
		r = bad(m, v, false, "the key 'path' is missing");
	return r;
}

/* {"rule": "…", "reason": "…"} */
static int rule_object(struct mapper *m, const struct opt *o, const struct json_node *v)
{
	const struct json_node *k, *rule = NULL, *reason = NULL;
	int r = 0;

	for (k = v->first; r == 0 && k; k = k->next) {
		if (strcmp(k->key, "rule") == 0)
			rule = k;
		else if (strcmp(k->key, "reason") == 0)
			reason = k;
		else
			return bad(m, k, true, "unknown key; there are 'rule' and 'reason'");
		r = type(m, k, JSON_STRING);
	}
	if (r < 0)
		return r;
	if (!rule)
		return bad(m, v, false, "the key 'rule' is missing");
	r = put(m, o, rule, rule->text, false);
	if (r == 0 && reason)
		last(m)->reason = reason->text;
	return r;
}

/* {"host": "…", …}: what else it says is read where it is put to use. */
static int inspect_object(struct mapper *m, const struct opt *o, const struct json_node *v)
{
	struct buf b = BUF_INIT(LIMIT_INSPECT);
	struct json_node top = *v;
	const char *text;
	int r;

	top.key = NULL;
	json_write(&top, &b);
	if (b.failed) {
		buf_done(&b);
		return bad(m, v, false, "it is longer than %d bytes", LIMIT_INSPECT);
	}
	text = arena_strdup(m->arena, b.data);
	buf_done(&b);
	r = text ? 0 : err_set(m->e, ERR_SYSTEM, -ENOMEM, "out of memory");
	if (r == 0)
		r = put(m, o, v, text, false);
	if (r == 0)
		last(m)->node = v;
	return r;
}

static int item(struct mapper *m, const struct opt *o, const struct json_node *v)
{
	const struct json_node *path = v;
	bool literal = false;
	int r;

	if ((o->flags & OPT_RULES) && v->type == JSON_OBJECT)
		return rule_object(m, o, v);
	if ((o->flags & (OPT_INSPECT | OPT_LOGIN)) && v->type == JSON_OBJECT)
		return inspect_object(m, o, v);
	if ((o->flags & OPT_GLOBS) && v->type == JSON_OBJECT)
		r = path_object(m, v, &path, &literal);
	else
		r = type(m, v, JSON_STRING);
	if (r == 0 && (o->flags & OPT_NAMES))
		r = variable(m, v, false, v->text);
	if (r == 0 && (o->flags & OPT_PATHS) && !*path->text)
		r = bad(m, path, false, "the path is empty");
	if (r == 0 && (o->flags & OPT_PATHS) && strlen(path->text) >= LIMIT_PATH)
		r = bad(m, path, false, "the path is longer than %d bytes", LIMIT_PATH - 1);
	return r < 0 ? r : put(m, o, path, path->text, literal);
}

static int list(struct mapper *m, const struct opt *o, const struct json_node *v)
{
	const struct json_node *k;
	int r = type(m, v, JSON_LIST);

	for (k = v->first; r == 0 && k; k = k->next)
		r = item(m, o, k);
	return r;
}

static int map(struct mapper *m, const struct opt *o, const struct json_node *v)
{
	const struct json_node *k;
	const char *text;
	int r = type(m, v, JSON_OBJECT);

	for (k = v->first; r == 0 && k; k = k->next) {
		r = type(m, k, JSON_STRING);
		if (r == 0 && (o->flags & OPT_WORDS))
			r = !*k->key || strchr(k->key, '=') ?
				    bad(m, k, true, "expected a rule, found '%.60s'", k->key) :
				    0;
		else if (r == 0)
			r = variable(m, k, true, k->key);
		if (r < 0)
			break;
		text = arena_printf(m->arena, "%s=%s", k->key, k->text);
		r = text ? put(m, o, k, text, false) :
			   err_set(m->e, ERR_SYSTEM, -ENOMEM, "out of memory");
	}
	return r;
}

/* A limit: "5m", or a number; the row knows which of them are limits. */
static int number(struct mapper *m, const struct opt *o, const struct json_node *v)
{
	struct err why = ERR_INIT;
	const char *text = v->text;
	long n = 0;

	if (v->type != JSON_STRING && v->type != JSON_NUMBER)
		return bad(m, v, false, "expected a string or a number, found %s",
			   json_type_name(v->type));
	if (o->number(text, &n, &why) < 0)
		return bad(m, v, false, "%s", why.msg);
	return put(m, o, v, text, false);
}

static int value(struct mapper *m, const struct opt *o, const struct json_node *v)
{
	int r;

	switch (o->type) {
	case OPT_TYPE_FLAG:
		r = type(m, v, JSON_BOOL);
		return r < 0 ? r : put(m, o, v, v->value ? "true" : "false", false);
	case OPT_TYPE_STRING:
	case OPT_TYPE_OPTIONAL:
		if (o->number)
			return number(m, o, v);
		return item(m, o, v);
	case OPT_TYPE_LIST:
		return o->flags & OPT_MAP ? map(m, o, v) : list(m, o, v);
	case OPT_TYPE_END:
	case OPT_TYPE_GROUP:
		break;
	}
	return bad(m, v, true, "can't be set in a file");
}

/* The part of a row's key before or behind the '.'. */
static size_t group_of(const struct opt *o)
{
	return o->key ? strcspn(o->key, ".") : 0;
}

/*
 * "unknown key; did you mean 'x'?". @group: NULL for the groups themselves
 */
static int unknown(const struct mapper *m, const struct json_node *v, const struct json_node *group)
{
	struct nearest near = NEAREST_INIT(v->key, strlen(v->key));
	const char *what = group ? "key" : "group of keys";
	char name[64], guess[64] = "";
	const struct opt *o;

	for (o = m->opts; o->type != OPT_TYPE_END; o++) {
		size_t len = group_of(o);

		if (len == 0 ||
		    (group && (strlen(group->key) != len || strncmp(o->key, group->key, len) != 0)))
			continue;
		(void)snprintf(name, sizeof(name), "%.*s", group ? 63 : (int)len,
			       group ? o->key + len + 1 : o->key);
		near.best = NULL; /* the name changes, so what is best is kept here */
		nearest_offer(&near, name);
		if (near.best)
			memcpy(guess, name, sizeof(guess));
	}
	if (*guess)
		return bad(m, v, true, "unknown %s; did you mean '%s'?", what, guess);
	return bad(m, v, true, "unknown %s (bailey-policy(5) lists them)", what);
}

static int member(struct mapper *m, const struct json_node *group, const struct json_node *v)
{
	size_t len = strlen(group->key);
	const struct opt *o;

	for (o = m->opts; o->type != OPT_TYPE_END; o++) {
		if (group_of(o) == len && strncmp(o->key, group->key, len) == 0 &&
		    strcmp(o->key + len + 1, v->key) == 0)
			return value(m, o, v);
	}
	return unknown(m, v, group);
}

static int group(struct mapper *m, const struct json_node *g)
{
	const struct json_node *k;
	const struct opt *o;
	int r;

	if (strcmp(g->key, "$schema") == 0) /* says to editors what this file is */
		return type(m, g, JSON_STRING);
	for (o = m->opts; o->type != OPT_TYPE_END; o++) {
		if (group_of(o) && strncmp(o->key, g->key, group_of(o)) == 0 &&
		    !g->key[group_of(o)])
			break;
	}
	if (o->type == OPT_TYPE_END)
		return unknown(m, g, NULL);
	r = type(m, g, JSON_OBJECT);
	for (k = g->first; r == 0 && k; k = k->next)
		r = member(m, g, k);
	return r;
}

int policy_file_parse(struct policy_file *ret, const char *name, const char *text, size_t len,
		      const struct opt *opts, struct arena *a, struct err *e)
{
	struct policy_file f = { .n = 0 };
	struct mapper m = { .name = name, .opts = opts, .arena = a, .out = &f, .e = e };
	const struct json_node *root = NULL, *g;
	int r = json_read(name, text, len, a, &root, e);

	if (r == 0)
		r = type(&m, root, JSON_OBJECT);
	for (g = r == 0 ? root->first : NULL; r == 0 && g; g = g->next)
		r = group(&m, g);
	if (r == 0)
		*ret = f;
	return r;
}

bool policy_file_loosens(const struct opt_value *v)
{
	bool tightens = v->opt->flags & OPT_TIGHTENS;

	/* "false" says the opposite of what the option says */
	if (v->opt->type == OPT_TYPE_FLAG && strcmp(v->value, "false") == 0)
		return tightens;
	/* as a ceiling it may stand, but it may be more than there was */
	if (v->opt->flags & OPT_CEILING)
		return strncmp(v->value, v->opt->arg, strlen(v->value)) != 0 ||
		       v->opt->arg[strlen(v->value)] != '|';
	return !tightens;
}
