/* SPDX-License-Identifier: Apache-2.0 */
/* Frames, the hello and verdicts: read. */
#include "decider.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define ID_DIGITS 16u

ssize_t decider_frame(const void *p, size_t n)
{
	const unsigned char *b = p;
	uint32_t len;

	if (n < 4)
		return 0;
	len = (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
	if (len > DECIDER_FRAME)
		return -E2BIG;
	return n - 4 < len ? 0 : (ssize_t)(4 + len);
}

/* --- what all messages have in common --- */

static int refuse(struct err *e, const char *what)
{
	return err_set(e, ERR_USAGE, -EBADMSG, "decider: %s", what);
}

/* One object whose "t" is @type. */
static int read_message(const char *p, size_t n, const char *type, struct arena *a,
			const struct json_node **ret, struct err *e)
{
	const struct json_node *root = NULL, *t;
	char *text = arena_alloc(a, n + 1);
	int r;

	if (!text)
		return err_set(e, ERR_SYSTEM, -ENOMEM, "out of memory");
	if (n > 0)
		memcpy(text, p, n);
	r = json_read("decider", text, n, a, &root, e);
	if (r < 0)
		return r;
	if (root->type != JSON_OBJECT)
		return refuse(e, "a frame that is no object");
	t = json_member(root, "t");
	if (!t || t->type != JSON_STRING || strcmp(t->text, type) != 0)
		return refuse(e, "a message of another type than is awaited");
	*ret = root;
	return 0;
}

/* Whether every key of @o is one of @keys. */
static bool knows(const struct json_node *o, const char *const *keys)
{
	const struct json_node *n;
	size_t i;

	for (n = o ? o->first : NULL; n; n = n->next) {
		for (i = 0; keys[i] && strcmp(keys[i], n->key) != 0; i++)
			;
		if (!keys[i])
			return false;
	}
	return true;
}

static bool take_number(const struct json_node *n, uint64_t least, uint64_t most, uint64_t *ret)
{
	size_t len;

	if (!n || n->type != JSON_NUMBER)
		return false;
	len = strlen(n->text);
	if (len > ID_DIGITS || strspn(n->text, "0123456789") != len)
		return false;
	*ret = strtoull(n->text, NULL, 10);
	return *ret >= least && *ret <= most;
}

static bool is_token(const char *s)
{
	static const char others[] = "!#$%&'*+-.^_`|~0123456789";

	/* lower case, as all names of this protocol */
	for (; (*s >= 'a' && *s <= 'z') || (*s && strchr(others, *s)); s++)
		;
	return !*s;
}

/* A control character other than a tab; those above ASCII, too. */
static bool has_control(const char *s)
{
	const unsigned char *p;

	for (p = (const unsigned char *)s; *p; p++) {
		if ((*p < 0x20 && *p != '\t') || *p == 0x7f ||
		    (*p == 0xc2 && p[1] >= 0x80 && p[1] <= 0x9f))
			return true;
	}
	return false;
}

static bool has_twice(const struct json_node *list)
{
	const struct json_node *a, *b;

	for (a = list->first; a; a = a->next) {
		for (b = a->next; b; b = b->next) {
			if (strcmp(a->text, b->text) == 0)
				return true;
		}
	}
	return false;
}

/* --- the hello --- */

static int take_list(struct decider_list *l, const struct json_node *list, struct arena *a,
		     struct err *e)
{
	const struct json_node *n;
	int r;

	if (!list || list->type != JSON_LIST)
		return refuse(e, "a hello without both lists of hosts");
	l->v = arena_alloc(a, (list->n + 1) * sizeof(*l->v));
	if (!l->v)
		return err_set(e, ERR_SYSTEM, -ENOMEM, "out of memory");
	for (n = list->first; n; n = n->next) {
		if (n->type != JSON_STRING)
			return refuse(e, "a host that is no string");
		r = decider_entry_parse(&l->v[l->n], n->text, a, e);
		if (r < 0)
			return r;
		l->n++;
	}
	return has_twice(list) ? refuse(e, "a host that is listed twice") : 0;
}

int decider_hello_parse(struct decider_hello *ret, const char *p, size_t n, struct arena *a,
			struct err *e)
{
	static const char *const keys[] = { "t", "proto", "allowedDomains", "deniedDomains", NULL };
	struct decider_hello h = { .allowed = { .n = 0 } };
	const struct json_node *root = NULL;
	uint64_t proto;
	int r = read_message(p, n, "hello", a, &root, e);

	if (r < 0)
		return r;
	if (!knows(root, keys))
		return refuse(e, "a hello with a key that no hello has");
	if (!take_number(json_member(root, "proto"), 1, 1, &proto))
		return refuse(e, "a hello of another version than 1");
	r = take_list(&h.allowed, json_member(root, "allowedDomains"), a, e);
	if (r == 0)
		r = take_list(&h.denied, json_member(root, "deniedDomains"), a, e);
	if (r == 0)
		*ret = h;
	return r;
}

/* --- verdicts --- */

bool decider_folds(const char *a, size_t n, const char *b, size_t m)
{
	size_t i;

	if (n != m)
		return false;
	for (i = 0; i < n; i++) {
		char x = a[i], y = b[i];

		x = (char)(x >= 'A' && x <= 'Z' ? x | 0x20 : x == '_' || x == '.' ? '-' : x);
		y = (char)(y >= 'A' && y <= 'Z' ? y | 0x20 : y == '_' || y == '.' ? '-' : y);
		if (x != y)
			return false;
	}
	return true;
}

/* What frames a message, and what credentials travel in: a verdict touches neither, the latter but by "cred". */
static bool is_barred(const char *name, bool to_set)
{
	static const char *const names[] = { "host", "content-length", "transfer-encoding",
					     "connection", "upgrade", "te", "trailer", "keep-alive",
					     "proxy-connection",
					     /* to be set */
					     "authorization", "proxy-authorization", "cookie",
					     "x-api-key" };
	size_t i, n = ARRAY_SIZE(names) - (to_set ? 0 : 4);

	for (i = 0; i < n; i++) {
		if (decider_folds(name, strlen(name), names[i], strlen(names[i])))
			return true;
	}
	return false;
}

static int check_set(const struct json_node *set, struct err *e)
{
	const struct json_node *f, *v;
	size_t n = 0, bytes = 0;

	if (set->type != JSON_OBJECT || set->n == 0)
		return refuse(e, "setHeaders that sets nothing");
	for (f = set->first; f; f = f->next) {
		if (f->type != JSON_LIST || !*f->key || !is_token(f->key) ||
		    is_barred(f->key, true))
			return refuse(e, "a field that no verdict may set");
		n += f->n > 0 ? f->n : 1;
		bytes += strlen(f->key);
		for (v = f->first; v; v = v->next) {
			if (v->type != JSON_STRING || has_control(v->text))
				return refuse(e, "a value that no field may have");
			bytes += strlen(v->text);
		}
	}
	return n > DECIDER_FIELDS || bytes > DECIDER_BYTES ? refuse(e, "too many fields to set") :
							     0;
}

static int check_remove(const struct json_node *list, struct err *e)
{
	const struct json_node *v;
	size_t bytes = 0;

	if (list->type != JSON_LIST || list->n == 0)
		return refuse(e, "removeHeaders that removes nothing");
	for (v = list->first; v; v = v->next) {
		if (v->type != JSON_STRING || !*v->text || !is_token(v->text) ||
		    is_barred(v->text, false))
			return refuse(e, "a field that no verdict may remove");
		bytes += strlen(v->text);
	}
	if (list->n > DECIDER_NAMES || bytes > DECIDER_BYTES)
		return refuse(e, "too many fields to remove");
	return has_twice(list) ? refuse(e, "a field that is removed twice") : 0;
}

/* Printable ASCII without blanks: it is placed as it is. */
static bool is_credential(const char *s)
{
	size_t n = 0;

	for (; s[n] > ' ' && s[n] <= '~'; n++)
		;
	return !s[n] && n > 0 && n <= DECIDER_TARGET;
}

static int take_allow(struct decider_verdict *v, const struct json_node *root, struct err *e)
{
	static const char *const keys[] = {
		"t", "id", "action", "setHeaders", "removeHeaders", "cred", "credential", NULL
	};
	const struct json_node *class = json_member(root, "cred"),
			       *value = json_member(root, "credential");
	int r = knows(root, keys) ? 0 : refuse(e, "an allow with a key that none has");

	v->set = json_member(root, "setHeaders");
	v->remove = json_member(root, "removeHeaders");
	if (r == 0 && v->set)
		r = check_set(v->set, e);
	if (r == 0 && v->remove)
		r = check_remove(v->remove, e);
	if (r == 0 && !class != !value)
		r = refuse(e, "one of cred and credential alone");
	if (r < 0 || !class || !value)
		return r;
	if (class->type != JSON_STRING || !*class->text || value->type != JSON_STRING ||
	    !is_credential(value->text))
		return refuse(e, "a credential that can't be one");
	v->class = class->text;
	v->credential = value->text;
	return 0;
}

static int take_deny(struct decider_verdict *v, const struct json_node *root, struct err *e)
{
	static const char *const keys[] = { "t", "id", "action", "status", "reason", NULL };
	const struct json_node *reason = json_member(root, "reason");
	uint64_t status;

	if (!knows(root, keys))
		return refuse(e, "a deny with a key that none has");
	if (!take_number(json_member(root, "status"), 400, 599, &status))
		return refuse(e, "a deny without a status from 400 to 599");
	if (reason && (reason->type != JSON_STRING || !*reason->text ||
		       strlen(reason->text) > 1024 || has_control(reason->text)))
		return refuse(e, "a reason that can't be said");
	v->status = (int)status;
	v->reason = reason ? reason->text : NULL;
	return 0;
}

static int take_need(struct decider_verdict *v, const struct json_node *root, struct err *e)
{
	static const char *const keys[] = { "t", "id", "action", "max", NULL };
	uint64_t max;

	if (!knows(root, keys))
		return refuse(e, "a need_body with a key that none has");
	if (!take_number(json_member(root, "max"), 1, DECIDER_BODY, &max))
		return refuse(e, "a need_body for too many bytes, or none");
	v->max = (uint32_t)max;
	return 0;
}

int decider_verdict_parse(struct decider_verdict *ret, const char *p, size_t n, struct arena *a,
			  struct err *e)
{
	static const char *const actions[] = { "allow", "deny", "need_body" };
	static int (*const take[])(struct decider_verdict *, const struct json_node *,
				   struct err *) = { take_allow, take_deny, take_need };
	struct decider_verdict v = { .status = 0 };
	const struct json_node *root = NULL, *action;
	size_t i;
	int r = read_message(p, n, "verdict", a, &root, e);

	if (r < 0)
		return r;
	if (!take_number(json_member(root, "id"), 1, DECIDER_ID_MAX, &v.id))
		return refuse(e, "a verdict without an id");
	action = json_member(root, "action");
	for (i = 0; i < ARRAY_SIZE(actions); i++) {
		if (action && action->type == JSON_STRING && strcmp(action->text, actions[i]) == 0)
			break;
	}
	if (i == ARRAY_SIZE(actions))
		return refuse(e, "a verdict without an action that is known");
	v.action = (enum decider_action)i;
	r = take[i](&v, root, e);
	if (r == 0)
		*ret = v;
	return r;
}
