/* SPDX-License-Identifier: Apache-2.0 */
/* The query of a target: fields that authenticate, and those that hold the sentinel. */
#include <errno.h>
#include <string.h>

#include "inject-own.h"

#define NAME 64u /* longer names are none that we know */

struct making {
	char *text; /* of the request; NULL until something is changed */
	size_t len, size;
};

static void put_char(struct making *m, char c)
{
	if (m->len < m->size)
		m->text[m->len++] = c;
}

static void put(struct making *m, struct http_slice s)
{
	size_t i;

	for (i = 0; i < s.len; i++)
		put_char(m, s.p[i]);
}

static void put_coded(struct making *m, const char *s)
{
	for (; *s; s++) {
		if (strchr("-._~", *s) || (*s >= '0' && *s <= '9') || (*s >= 'A' && *s <= 'Z') ||
		    (*s >= 'a' && *s <= 'z')) {
			put_char(m, *s);
			continue;
		}
		put_char(m, '%');
		put_char(m, "0123456789ABCDEF"[(unsigned char)*s >> 4]);
		put_char(m, "0123456789ABCDEF"[(unsigned char)*s & 15u]);
	}
}

static bool is_sentinel(struct http_slice value, const struct inject_secret *s)
{
	/* sentinels have only characters that nobody must code */
	return slice_is(value, s->sentinel.value);
}

/* Is NAME=VALUE a way of a bound secret that holds its sentinel? */
static const struct inject_secret *holder(const struct inject *i, const char *name,
					  struct http_slice value)
{
	size_t k, w;

	for (k = 0; k < i->n_secrets; k++) {
		const struct inject_secret *s = &i->secrets[k];

		for (w = 0; inject_applies(s, i->q.host) && w < s->n_ways; w++) {
			if (s->ways[w].carrier == SECRET_QUERY &&
			    strcasecmp(s->ways[w].field, name) == 0 && is_sentinel(value, s))
				return s;
		}
	}
	return NULL;
}

static bool authenticates(const struct inject *i, const char *name)
{
	size_t k;

	for (k = 0; k < i->n_secrets; k++) {
		if (inject_applies(&i->secrets[k], i->q.host) &&
		    carrier_query(&i->secrets[k], name))
			return true;
	}
	return false;
}

/* Whether it opens an upload that somebody else may have begun. */
static bool opens_upload(const struct inject *i, const char *name, struct http_slice value)
{
	size_t k;

	for (k = 0; k < i->n_secrets; k++) {
		if (inject_applies(&i->secrets[k], i->q.host) &&
		    carrier_upload(&i->secrets[k], name))
			return !inject_upload_begun(i->q.uploads, value);
	}
	return false;
}

/* With each sentinel of a secret that goes anywhere replaced by it, coded. */
static int put_anywhere(struct inject *i, struct making *m, struct http_slice s, bool *found,
			struct err *e)
{
	size_t k, n;
	int r;

	while (s.len > 0) {
		for (k = 0; k < i->n_secrets; k++) {
			const struct inject_secret *secret = &i->secrets[k];

			n = strlen(secret->sentinel.value);
			if (secret->secret.carrier == SECRET_ANYWHERE && s.len >= n &&
			    inject_applies(secret, i->q.host) &&
			    memcmp(s.p, secret->sentinel.value, n) == 0)
				break;
		}
		if (k == i->n_secrets) {
			put_char(m, *s.p);
			s.p++;
			s.len--;
			continue;
		}
		r = inject_put(i, &i->secrets[k], e);
		if (r < 0)
			return r;
		*found = true;
		put_coded(m, i->secrets[k].secret.value);
		s.p += strlen(i->secrets[k].sentinel.value);
		s.len -= strlen(i->secrets[k].sentinel.value);
	}
	return 0;
}

static int take_pair(struct inject *i, struct making *m, struct http_slice pair, struct err *e)
{
	const char *equals = memchr(pair.p, '=', pair.len);
	struct http_slice name = { pair.p, equals ? (size_t)(equals - pair.p) : pair.len },
			  value = { equals ? equals + 1 : pair.p + pair.len,
				    equals ? (size_t)(pair.p + pair.len - equals - 1) : 0 };
	const struct inject_secret *s;
	bool found = false, nul, known;
	char plain[NAME];
	int r;

	known = inject_name(name, plain, sizeof(plain), &nul);
	s = known ? holder(i, plain, value) : NULL;
	if (s) {
		put(m, (struct http_slice){ pair.p, name.len + 1 });
		put_coded(m, s->secret.value);
		return inject_put(i, s, e);
	}
	r = put_anywhere(i, m, pair, &found, e);
	if (r < 0 || found || value.len == 0)
		return r;
	if (nul)
		r = inject_refuse(i, e, "query field with a NUL in its name");
	else if (known && authenticates(i, plain))
		r = inject_refuse(i, e, "query %s", plain);
	else if (known && opens_upload(i, plain, value))
		r = inject_refuse(i, e, "query %s of an upload begun elsewhere", plain);
	return r;
}

/* Room for every sentinel that could be there, each replaced by its value with all bytes coded. */
static size_t room(const struct inject *i)
{
	size_t k, most = 1;

	for (k = 0; k < i->n_secrets; k++) {
		size_t n = strlen(i->secrets[k].sentinel.value),
		       grown = 3 * strlen(i->secrets[k].secret.value) / n + 1;

		if (inject_applies(&i->secrets[k], i->q.host) && grown > most)
			most = grown;
	}
	return i->q.target.len * most + 16;
}

int inject_query(struct inject *i, struct err *e)
{
	struct http_slice t = i->q.target, part;
	const char *at, *end = t.p + t.len, *mark = memchr(t.p, '?', t.len);
	struct making m = { .size = room(i) };
	bool found = false;
	int r;

	m.text = inject_own(i, m.size, e);
	if (!m.text)
		return -ENOMEM;
	part = (struct http_slice){ t.p, mark ? (size_t)(mark - t.p) : t.len };
	r = put_anywhere(i, &m, part, &found, e);
	if (mark)
		put_char(&m, '?');
	for (at = mark ? mark + 1 : end; r == 0 && at < end; at += part.len) {
		if (*at == '&' || *at == ';') {
			put_char(&m, *at++);
			part.len = 0;
			continue;
		}
		for (part = (struct http_slice){ at, 0 };
		     at + part.len < end && at[part.len] != '&' && at[part.len] != ';'; part.len++)
			;
		r = take_pair(i, &m, part, e);
	}
	if (r < 0)
		return r;
	if (m.len != t.len || memcmp(m.text, t.p, t.len) != 0)
		i->target = (struct http_slice){ m.text, m.len };
	return 0;
}
