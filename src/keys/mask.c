/* SPDX-License-Identifier: Apache-2.0 */
#include "mask.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "erase.h"

static const struct json_node *member(const struct json_node *root, const char *key)
{
	const struct json_node *n;

	for (n = root->first; n && strcmp(n->key, key) != 0; n = n->next)
		;
	return n;
}

static int bad(const char *what, struct err *e)
{
	return err_set(e, ERR_USAGE, -EINVAL, "control: masks: %s", what);
}

static int no_memory(struct err *e)
{
	return err_set(e, ERR_SYSTEM, -ENOMEM, "control: masks: out of memory");
}

/* The text of a member; "" when it is none, or absent. */
static const char *text_of(const struct json_node *n, const char *key)
{
	const struct json_node *k = member(n, key);

	return k && k->type == JSON_STRING ? k->text : "";
}

static bool is_true(const struct json_node *n, const char *key)
{
	const struct json_node *k = member(n, key);

	return k && k->type == JSON_BOOL && k->value;
}

/* As of a secret that is kept: it can be told from other text, and ends no header. */
static bool is_value(const char *s, size_t least)
{
	size_t n = strlen(s), i;

	for (i = 0; i < n && s[i] >= 0x20 && s[i] <= 0x7e; i++)
		;
	return i == n && n >= least && n <= SECRET_VALUE_MAX;
}

static bool is_sentinel(const char *s, size_t size)
{
	return is_value(s, 16) && strlen(s) < size;
}

static int take_hosts(struct masks *m, struct inject_secret *s, const struct json_node *list,
		      struct err *e)
{
	const struct json_node *k;
	char host[NET_HOST_MAX + 1];
	struct net_addr addr;
	const char **v;

	if (!list || list->type != JSON_LIST)
		return bad("hosts: expected a list", e);
	v = arena_alloc(&m->arena, (list->n + 1) * sizeof(*v));
	s->more = v;
	for (k = list->first; v && k; k = k->next) {
		const char *name = k->type == JSON_STRING ? k->text : "";
		size_t skip = strncmp(name, "*.", 2) == 0 ? 2 : 0;

		if (!net_addr_parse(&addr, name, strlen(name)) &&
		    (net_host_canon(name + skip, strlen(name + skip), host, NULL) < 0 ||
		     strcmp(name + skip, host) != 0))
			return bad("hosts: a name that is none, or not in its normal form", e);
		v[s->n_more] = arena_strdup(&m->arena, name);
		if (!v[s->n_more++])
			v = NULL;
	}
	return v ? 0 : no_memory(e);
}

static int take_pair(struct masks *m, struct inject_secret *s, const struct json_node *n,
		     struct err *e)
{
	const char *id = text_of(n, "id"), *sentinel = text_of(n, "id_sentinel"),
		   *token = text_of(n, "token"), *mock = text_of(n, "token_sentinel");

	if (!is_value(id, SECRET_VALUE_MIN) || !is_sentinel(sentinel, sizeof(s->sentinel.id)))
		return bad("id: no access key, or no sentinel of one", e);
	if (*token &&
	    (!is_value(token, SECRET_VALUE_MIN) || !is_sentinel(mock, SECRET_SENTINEL_MAX)))
		return bad("token: no token, or no sentinel of one", e);
	s->secret.carrier = SECRET_AWS;
	s->secret.id = arena_strdup(&m->arena, id);
	(void)snprintf(s->sentinel.id, sizeof(s->sentinel.id), "%s", sentinel); /* fits */
	if (*token) {
		s->secret.token = arena_strdup(&m->arena, token);
		s->token = arena_strdup(&m->arena, mock);
	}
	s->no_chunks = !is_true(n, "chunks");
	s->no_urls = !is_true(n, "urls");
	return s->secret.id && (!*token || (s->secret.token && s->token)) ? 0 : no_memory(e);
}

static int take_one(struct masks *m, const struct json_node *n, struct err *e)
{
	static const char *const known[] = { "name",   "value",       "sentinel", "hosts",
					     "id",     "id_sentinel", "token",    "token_sentinel",
					     "chunks", "urls" };
	struct inject_secret *s = &m->v[m->n];
	const struct json_node *k;
	size_t i;
	int r;

	if (n->type != JSON_OBJECT)
		return bad("expected objects", e);
	for (k = n->first; k; k = k->next) {
		for (i = 0; i < ARRAY_SIZE(known) && strcmp(known[i], k->key) != 0; i++)
			;
		if (i == ARRAY_SIZE(known))
			return bad("an unknown key", e);
	}
	if (!is_value(text_of(n, "value"), SECRET_VALUE_MIN) ||
	    !is_sentinel(text_of(n, "sentinel"), SECRET_SENTINEL_MAX))
		return bad("value: no value, or no sentinel of one", e);
	*s = (struct inject_secret){ .mask = true };
	s->secret.name = arena_strdup(&m->arena, text_of(n, "name"));
	s->secret.value = arena_strdup(&m->arena, text_of(n, "value"));
	s->secret.carrier = SECRET_ANYWHERE;
	(void)snprintf(s->sentinel.value, sizeof(s->sentinel.value), "%s",
		       text_of(n, "sentinel")); /* fits */
	if (!s->secret.name || !s->secret.value)
		return no_memory(e);
	r = take_hosts(m, s, member(n, "hosts"), e);
	if (r == 0 && member(n, "id"))
		r = take_pair(m, s, n, e);
	s->own = (struct secret_way){ .carrier = s->secret.carrier };
	s->n_ways = 1;
	m->n++;
	return r;
}

/* The reader's copies. */
static void erase(const struct json_node *list)
{
	const struct json_node *n, *k;

	for (n = list->type == JSON_LIST ? list->first : NULL; n; n = n->next) {
		for (k = n->type == JSON_OBJECT ? n->first : NULL; k; k = k->next) {
			if (k->type == JSON_STRING)
				explicit_bzero((char *)(uintptr_t)k->text, strlen(k->text));
		}
	}
}

/* Bytes that the texts need, and the places for them. */
static size_t room(const struct json_node *list)
{
	const struct json_node *n, *k, *h;
	size_t size = 4096 + sizeof(struct inject_secret);

	for (n = list->first; n; n = n->next) {
		size += sizeof(struct inject_secret) + 64;
		for (k = n->type == JSON_OBJECT ? n->first : NULL; k; k = k->next) {
			size += k->type == JSON_STRING ? strlen(k->text) + 32 : 32;
			for (h = k->type == JSON_LIST ? k->first : NULL; h; h = h->next)
				size += (h->type == JSON_STRING ? strlen(h->text) : 0) + 64;
		}
	}
	return size;
}

int masks_take(struct masks *ret, const struct json_node *list, struct err *e)
{
	const struct json_node *n;
	int r = 0;

	*ret = (struct masks){ .arena = ARENA_INIT(0) };
	if (!list)
		return 0;
	if (list->type != JSON_LIST)
		r = bad("expected a list", e);
	else if (list->n > MASKS_MAX)
		r = err_set(e, ERR_USAGE, -E2BIG, "control: masks: more than %u", MASKS_MAX);
	else if (!erase_arena_init(&ret->arena, room(list)))
		r = no_memory(e);
	if (r == 0) {
		ret->v = arena_alloc(&ret->arena, (list->n + 1) * sizeof(*ret->v));
		r = ret->v ? 0 : no_memory(e);
	}
	for (n = r == 0 ? list->first : NULL; r == 0 && n; n = n->next)
		r = take_one(ret, n, e);
	erase(list);
	return r;
}

void masks_done(struct masks *m)
{
	erase_arena_done(&m->arena);
	*m = (struct masks){ .arena = ARENA_INIT(0) };
}
