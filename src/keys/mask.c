/* SPDX-License-Identifier: Apache-2.0 */
#include "mask.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "erase.h"

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
	const char *text = json_string(n, key);

	return text ? text : "";
}

static bool is_true(const struct json_node *n, const char *key)
{
	const struct json_node *k = json_member(n, key);

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

static int take_one(struct masks *m, const struct json_node *n, struct err *e)
{
	static const char *const known[] = { "name", "value", "sentinel", "hosts" };
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
	r = take_hosts(m, s, json_member(n, "hosts"), e);
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
	size_t size = 4096 + 2 * sizeof(struct inject_secret);

	for (n = list->first; n; n = n->next) {
		size += 2 * sizeof(struct inject_secret) + 64; /* as it came, and as it is bound */
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
		ret->bound = arena_alloc(&ret->arena, (list->n + 1) * sizeof(*ret->bound));
		r = ret->v && ret->bound ? 0 : no_memory(e);
	}
	for (n = r == 0 ? list->first : NULL; r == 0 && n; n = n->next)
		r = take_one(ret, n, e);
	erase(list);
	return r;
}

/* --- pairs of AWS --- */

static int bad_pairs(const char *what, struct err *e)
{
	return err_set(e, ERR_USAGE, -EINVAL, "control: pairs: %s", what);
}

/* One pair; @used: what is a part of one already. */
static int read_pair(const struct masks *m, const struct json_node *n, bool *used,
		     struct masks_pair *ret, struct err *e)
{
	size_t places[3] = { 0, 0, MASKS_NONE }, i = 0;
	const struct json_node *k;

	if (n->type != JSON_LIST || n->n < 2 || n->n > ARRAY_SIZE(places))
		return bad_pairs("expected lists of two or three places", e);
	for (k = n->first; k; k = k->next) {
		char *end = NULL;
		unsigned long place =
			k->type == JSON_NUMBER ? strtoul(k->text, &end, 10) : MASKS_NONE;

		if (!end || *end || place >= m->n || used[place])
			return bad_pairs("a place that is none, or taken", e);
		used[place] = true;
		places[i++] = place;
	}
	if (strlen(m->v[places[0]].sentinel.value) >= sizeof(m->v->sentinel.id))
		return bad_pairs("a sentinel is too long for an id", e);
	*ret = (struct masks_pair){ places[0], places[1], places[2] };
	return 0;
}

static int read_pairs(const struct masks *m, const struct json_node *list, struct masks_pair *ret,
		      size_t *ret_n, struct err *e)
{
	bool used[MASKS_MAX] = { false };
	const struct json_node *k;
	int r = 0;

	if (list->type != JSON_LIST)
		return bad_pairs("sign: expected a list", e);
	/* each takes two places at least, so they are no more than there are masks */
	for (k = list->first, *ret_n = 0; r == 0 && k; k = k->next) {
		r = read_pair(m, k, used, &ret[*ret_n], e);
		*ret_n += r == 0;
	}
	return r;
}

/* One that has no place there was never an id. */
static void take_id(struct secret_sentinel *to, const char *value)
{
	size_t n = strlen(value);

	n = n < sizeof(to->id) ? n : 0;
	memcpy(to->id, value, n);
	to->id[n] = '\0';
}

/* The entry that signs; of its value, whose name the log has. */
static struct inject_secret signer(const struct masks *m, const struct masks_pair *p, bool chunks,
				   bool urls)
{
	const struct inject_secret *id = &m->v[p->id];
	struct inject_secret s = m->v[p->value];

	s.secret.carrier = s.own.carrier = SECRET_AWS;
	s.secret.id = id->secret.value;
	take_id(&s.sentinel, id->sentinel.value);
	s.more = id->more;
	s.n_more = id->n_more;
	if (p->token != MASKS_NONE) {
		s.secret.token = m->v[p->token].secret.value;
		s.token = m->v[p->token].sentinel.value;
	}
	s.no_chunks = !chunks;
	s.no_urls = !urls;
	return s;
}

/* What is put in nowhere: answers are still searched for it, and a request that is signed with it is refused. */
static struct inject_secret retired(const struct inject_secret *mask)
{
	struct inject_secret s = *mask;

	s.secret.carrier = s.own.carrier = SECRET_AWS;
	s.retired = true;
	take_id(&s.sentinel, mask->sentinel.value);
	return s;
}

static void settle(struct masks *m, bool chunks, bool urls)
{
	bool now[MASKS_MAX] = { false };
	size_t i;

	m->n_bound = 0;
	for (i = 0; i < m->n_pairs; i++) {
		const struct masks_pair *p = &m->pairs[i];

		now[p->id] = now[p->value] = true;
		if (p->token != MASKS_NONE)
			now[p->token] = true;
		m->bound[m->n_bound++] = signer(m, p, chunks, urls);
	}
	for (i = 0; i < m->n; i++) {
		m->was[i] |= now[i];
		if (!now[i])
			m->bound[m->n_bound++] = m->was[i] ? retired(&m->v[i]) : m->v[i];
	}
}

int masks_pairs(struct masks *m, const struct json_node *list, struct err *e)
{
	static const char *const known[] = { "sign", "chunks", "urls" };
	struct masks_pair pairs[MASKS_MAX];
	const struct json_node *sign = NULL, *k;
	size_t i, n = 0;
	int r = 0;

	if (list && list->type != JSON_OBJECT)
		return bad_pairs("expected an object", e);
	for (k = list ? list->first : NULL; k; k = k->next) {
		for (i = 0; i < ARRAY_SIZE(known) && strcmp(known[i], k->key) != 0; i++)
			;
		if (i == ARRAY_SIZE(known) || (i > 0 && k->type != JSON_BOOL))
			return bad_pairs("an unknown key, or one of another type", e);
	}
	sign = list ? json_member(list, "sign") : NULL;
	if (sign)
		r = read_pairs(m, sign, pairs, &n, e);
	if (r < 0)
		return r;
	if (sign) {
		memcpy(m->pairs, pairs, n * sizeof(*pairs));
		m->n_pairs = n;
	}
	if (m->n > 0)
		settle(m, list && is_true(list, "chunks"), list && is_true(list, "urls"));
	return 0;
}

void masks_done(struct masks *m)
{
	erase_arena_done(&m->arena);
	*m = (struct masks){ .arena = ARENA_INIT(0) };
}
