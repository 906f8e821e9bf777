/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. A rule covers a path when it names the path or a parent of it. To judge a path, all rules that cover it are
 * collected; a deny-kind rule holds unless some covering allow-kind rule lifts it (lifts()). Of the denials that hold, the most
 * specific decides what the path looks like. There is no other order: not of options, not of files.
 */
#include "policy.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* A path has at most LIMIT_PATH / 2 components, but rules that nest deeper than this are a mistake: they are judged as denied. */
#define COVER_MAX 256

struct cover {
	const struct policy_rule *rule[COVER_MAX];
	size_t n;
	bool overflow;
};

void policy_init(struct policy *p, struct arena *arena)
{
	*p = (struct policy){ .arena = arena };
}

int policy_add_static(struct policy *p, enum policy_kind kind, enum policy_layer layer,
		      const char *path, const char *origin, struct err *e)
{
	struct policy_rule *rules;
	size_t size;

	/* here, too, whatever the caller has checked: no rule of an untrusted project can loosen anything */
	if (layer == POLICY_UNTRUSTED && policy_grants(kind))
		return err_set(e, ERR_POLICY, -EPERM,
			       "%s: a project that is not trusted can't give '%s'", origin, path);
	if (p->n == LIMIT_RULES)
		return err_set(e, ERR_POLICY, -E2BIG, "more than %d rules", LIMIT_RULES);
	if (p->n == p->size) {
		size = p->size ? p->size * 2 : 128;
		rules = arena_alloc(p->arena, size * sizeof(*rules));
		if (!rules)
			return err_set(e, ERR_SYSTEM, -ENOMEM, "out of memory for rules");
		if (p->n)
			memcpy(rules, p->rules, p->n * sizeof(*rules));
		p->rules = rules;
		p->size = size;
	}
	p->rules[p->n++] = (struct policy_rule){
		.kind = kind, .layer = layer, .path = path, .len = strlen(path), .origin = origin
	};
	return 0;
}

int policy_add(struct policy *p, enum policy_kind kind, enum policy_layer layer, const char *path,
	       const char *origin, struct err *e)
{
	char norm[LIMIT_PATH];
	int r;

	if (path[0] != '/')
		return err_set(e, ERR_POLICY, -EINVAL, "'%s' is not absolute", path);
	r = path_normalize(path, "/", NULL, norm, e);
	if (r < 0)
		return r;
	path = arena_strdup(p->arena, norm);
	origin = arena_strdup(p->arena, origin);
	if (!path || !origin)
		return err_set(e, ERR_SYSTEM, -ENOMEM, "out of memory for rules");
	return policy_add_static(p, kind, layer, path, origin, e);
}

int policy_add_copy(struct policy *p, enum policy_layer layer, const char *path, const char *origin,
		    struct err *e)
{
	int r = policy_add(p, POLICY_ALLOW_WRITE, layer, path, origin, e);

	if (r == 0)
		p->rules[p->n - 1].copy = true;
	return r;
}

const struct policy_rule *policy_copy(const struct policy *p, const char *path)
{
	const struct policy_rule *best = NULL;
	size_t i, len = strlen(path);

	for (i = 0; i < p->n; i++) {
		const struct policy_rule *r = &p->rules[i];

		if (r->copy && policy_rule_covers(r, path, len) && (!best || r->len > best->len))
			best = r;
	}
	return best;
}

static int rule_compare(const void *va, const void *vb)
{
	const struct policy_rule *a = va, *b = vb;
	int r = path_compare(a->path, b->path);

	if (r)
		return r;
	if (a->layer != b->layer)
		return a->layer < b->layer ? -1 : 1;
	if (a->kind != b->kind)
		return a->kind < b->kind ? -1 : 1;
	return strcmp(a->origin, b->origin);
}

void policy_seal(struct policy *p)
{
	if (p->n > 1)
		qsort(p->rules, p->n, sizeof(*p->rules), rule_compare);
}

/* Whether @allow wins over @deny for a path that both cover. */
static bool lifts(const struct policy_rule *allow, const struct policy_rule *deny)
{
	bool builtin = deny->layer == POLICY_BUILTIN;
	size_t la = allow->len, ld = deny->len;

	/* A later layer's deny tightens; an earlier layer's deny is final; only built-ins can be lifted from above. */
	if (!builtin && allow->layer != deny->layer)
		return false;
	/* what is shown as a matter of course, the home or the current directory, is not bailey's own */
	if (allow->layer == POLICY_BUILTIN && policy_rule_is_own(deny))
		return false;
	switch (deny->kind) {
	case POLICY_DENY_WRITE:
		if (!builtin || allow->layer == POLICY_BUILTIN)
			return false;
		return allow->kind == POLICY_UNPROTECT ||
		       (allow->kind == POLICY_ALLOW_WRITE && la >= ld);
	case POLICY_HIDE:
		if (allow->kind == POLICY_ALLOW_READ && !builtin)
			return la == ld;
		break;
	case POLICY_DENY_READ:
	case POLICY_PRIVATE:
		break;
	case POLICY_ALLOW_READ:
	case POLICY_ALLOW_WRITE:
	case POLICY_SOCKET:
	case POLICY_UNPROTECT:
	case POLICY_KIND_NUM:
		return false;
	}
	/* Asking to write below a built-in denial asks to read there, too; a denial that somebody wrote is not undone so. */
	if (allow->kind == POLICY_ALLOW_READ || (allow->kind == POLICY_ALLOW_WRITE && builtin))
		return la >= ld;
	return false;
}

static bool lifted(const struct cover *c, const struct policy_rule *deny)
{
	size_t i;

	for (i = 0; i < c->n; i++) {
		if (lifts(c->rule[i], deny))
			return true;
	}
	return false;
}

/* The most specific rule of @kind that holds (denials) or covers (allows). */
static const struct policy_rule *strongest(const struct cover *c, enum policy_kind kind)
{
	bool deny = kind != POLICY_ALLOW_READ && kind != POLICY_ALLOW_WRITE;
	const struct policy_rule *best = NULL;
	size_t i;

	for (i = 0; i < c->n; i++) {
		const struct policy_rule *r = c->rule[i];

		if (r->kind != kind || (deny && lifted(c, r)))
			continue;
		if (!best || r->len >= best->len)
			best = r;
	}
	return best;
}

static void collect(const struct policy *p, const char *path, struct cover *c)
{
	size_t i, len = strlen(path);

	c->n = 0;
	c->overflow = false;
	for (i = 0; i < p->n; i++) {
		if (!policy_rule_covers(&p->rules[i], path, len))
			continue;
		if (c->n == COVER_MAX) {
			c->overflow = true;
			return;
		}
		c->rule[c->n++] = &p->rules[i];
	}
}

struct policy_verdict policy_eval(const struct policy *p, const char *path)
{
	static const struct {
		enum policy_kind kind;
		enum policy_state state;
	} denials[] = { { POLICY_HIDE, POLICY_IS_HIDDEN },
			{ POLICY_DENY_READ, POLICY_IS_DENIED },
			{ POLICY_PRIVATE, POLICY_IS_PRIVATE } };
	struct policy_verdict v = { .state = POLICY_SHOW_RO };
	const struct policy_rule *r;
	struct cover c;
	size_t i;

	collect(p, path, &c);
	if (c.overflow) {
		v.state = POLICY_IS_DENIED;
		v.read_rule = v.write_rule = c.rule[COVER_MAX - 1];
		return v;
	}
	/* of equally specific denials the first of the table wins; nothing is left below what is hidden */
	for (i = 0; i < ARRAY_SIZE(denials) && v.state != POLICY_IS_HIDDEN; i++) {
		r = strongest(&c, denials[i].kind);
		if (r && (!v.read_rule || r->len > v.read_rule->len)) {
			v.read_rule = v.write_rule = r;
			v.state = denials[i].state;
		}
	}
	if (v.read_rule)
		return v;
	v.read_rule = strongest(&c, POLICY_ALLOW_READ);
	v.write_rule = strongest(&c, POLICY_DENY_WRITE);
	if (v.write_rule)
		return v;
	v.write_rule = strongest(&c, POLICY_ALLOW_WRITE);
	if (v.write_rule)
		v.state = POLICY_SHOW_RW;
	return v;
}

bool policy_grants(enum policy_kind kind)
{
	return kind == POLICY_ALLOW_READ || kind == POLICY_ALLOW_WRITE || kind == POLICY_SOCKET ||
	       kind == POLICY_UNPROTECT;
}

const struct policy_rule *policy_eval_socket(const struct policy *p, const struct policy_rule *rule)
{
	size_t i;

	for (i = 0; i < p->n; i++) {
		const struct policy_rule *deny = &p->rules[i];

		bool own = deny->layer == rule->layer || deny->layer == POLICY_BUILTIN;

		/* it names one file, so it lifts what built-ins and its own layer say about a directory above; that very path denied is denied */
		if (!policy_grants(deny->kind) && (!own || deny->len == rule->len) &&
		    policy_rule_covers(deny, rule->path, rule->len))
			return deny;
	}
	return NULL;
}

const char *policy_kind_name(enum policy_kind k)
{
	static const char *const names[POLICY_KIND_NUM] = { "allow-read",   "deny-read",
							    "allow-write",  "deny-write",
							    "hide",         "private",
							    "allow-socket", "unprotect" };

	return k < POLICY_KIND_NUM ? names[k] : "?";
}

const char *policy_layer_name(enum policy_layer l)
{
	static const char *const names[POLICY_LAYER_NUM] = { "built-in", "managed",   "user",
							     "project",  "untrusted", "command",
							     "live" };

	return l < POLICY_LAYER_NUM ? names[l] : "?";
}

const char *policy_state_name(enum policy_state s)
{
	static const char *const names[POLICY_STATE_NUM] = { "read-only", "writable", "denied",
							     "hidden", "private" };

	return s < POLICY_STATE_NUM ? names[s] : "?";
}
