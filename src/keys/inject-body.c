/* SPDX-License-Identifier: Apache-2.0 */
/* Bodies for endpoints that give tokens: log-ins with somebody else's secret are refused there, too. And those in which whole requests stand. */
#include <errno.h>
#include <string.h>

#include "inject-own.h"
#include "policy/policy.h"

/* Without parameters; empty when there are two, or the body is coded: it can't be told what it is. */
static struct http_slice content_type(const struct inject *i)
{
	struct http_slice v = { "", 0 };
	const char *semicolon;
	size_t k, types = 0;

	for (k = 0; k < i->q.n; k++) {
		if (http_is(i->q.fields[k].name, "content-type")) {
			v = i->q.fields[k].value;
			types++;
		} else if (http_is(i->q.fields[k].name, "content-encoding") &&
			   !http_is(i->q.fields[k].value, "identity")) {
			types = 2;
			break;
		}
	}
	if (types > 1)
		v.len = 0;
	semicolon = v.len ? memchr(v.p, ';', v.len) : NULL;
	v.len = semicolon ? (size_t)(semicolon - v.p) : v.len;
	while (v.len > 0 && (v.p[v.len - 1] == ' ' || v.p[v.len - 1] == '\t'))
		v.len--;
	return v;
}

static bool is_sentinel(const struct inject *i, const char *p, size_t n)
{
	size_t k;

	for (k = 0; k < i->n_secrets; k++) {
		if (strlen(i->secrets[k].sentinel.value) == n &&
		    memcmp(i->secrets[k].sentinel.value, p, n) == 0)
			return true;
	}
	return false;
}

static int judge_form(struct inject *i, const char *p, size_t n, struct err *e)
{
	const char *end = p + n, *stop, *equals;
	char name[64];
	bool nul, known;
	int r = 0;

	for (; r == 0 && p < end; p = stop + (stop < end)) {
		for (stop = p; stop < end && *stop != '&' && *stop != ';'; stop++)
			;
		equals = memchr(p, '=', (size_t)(stop - p));
		if (!equals || equals + 1 == stop ||
		    is_sentinel(i, equals + 1, (size_t)(stop - equals - 1)))
			continue;
		known = inject_name((struct http_slice){ p, (size_t)(equals - p) }, name,
				    sizeof(name), &nul);
		if (nul)
			r = inject_refuse(i, e, "body field with a NUL in its name");
		else if (known && carrier_body(name))
			r = inject_refuse(i, e, "body field %s", name);
	}
	return r;
}

/* Each value of the tree, in the order of the text. */
static const struct json_node *next_node(const struct json_node *n)
{
	if (n->first)
		return n->first;
	while (n && !n->next)
		n = n->parent;
	return n ? n->next : NULL;
}

static int judge_json(struct inject *i, const char *p, size_t n, struct err *e)
{
	struct arena a = ARENA_INIT(8u << 20);
	const struct json_node *node = NULL;
	struct err ignored = ERR_INIT;
	struct buf text = BUF_INIT(INJECT_TOKEN_MAX + 1);
	char name[64];
	int r = 0;

	buf_add(&text, p, n);
	if (text.failed || json_read("body", text.data, text.len, &a, &node, &ignored) < 0)
		r = inject_refuse(i, e, "body that can't be read");
	for (; r == 0 && node; node = next_node(node)) {
		if (!node->key || !inject_decode(http_slice(node->key), name, sizeof(name)) ||
		    !carrier_body(name) || node->type == JSON_NULL ||
		    (node->type == JSON_STRING &&
		     (!*node->text || is_sentinel(i, node->text, strlen(node->text)))))
			continue;
		r = inject_refuse(i, e, "body field %s", name);
	}
	buf_done(&text);
	arena_done(&a);
	return r;
}

int inject_judge_token(struct inject *i, const char *p, size_t n, struct err *e)
{
	struct http_slice type = content_type(i);

	if (n == 0)
		return 0;
	if (n > INJECT_TOKEN_MAX)
		return inject_refuse(i, e, "body that is too long");
	if (http_is(type, "application/x-www-form-urlencoded"))
		return judge_form(i, p, n, e);
	if (http_is(type, "application/json") || http_is(type, "text/json") ||
	    (type.len > 5 && http_is((struct http_slice){ type.p + type.len - 5, 5 }, "+json")))
		return judge_json(i, p, n, e);
	return inject_refuse(i, e, "body of a type that can't be read");
}

int inject_batch(struct inject *i, struct err *e)
{
	const char *mark = memchr(i->q.target.p, '?', i->q.target.len);
	struct http_slice target = i->q.target;
	char path[CARRIER_PATH];
	bool batches = false, parts = false;
	size_t k;

	for (k = 0; k < i->n_secrets; k++)
		batches |= i->secrets[k].service && i->secrets[k].service->batches &&
			   inject_applies(&i->secrets[k], i->q.host);
	for (k = 0; k < i->q.n; k++)
		parts |= http_is(i->q.fields[k].name, "content-type") &&
			 slice_begins(i->q.fields[k].value, "multipart/");
	if (!batches || !parts || !i->q.body)
		return 0;
	target.len = mark ? (size_t)(mark - target.p) : target.len;
	/* what can't be read as a path may be any */
	if (inject_decode(target, path, sizeof(path)) && !strstr(path, "/batch"))
		return 0;
	return inject_refuse(i, e, "multipart body for /batch, whose parts have headers");
}
