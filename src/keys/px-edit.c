/* SPDX-License-Identifier: Apache-2.0 */
/* What an allow changes in the fields of a request. */
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "px.h"

static const char *const credentials[] = { "authorization", "proxy-authorization", "cookie",
					   "x-api-key" };

/* The value of a credential of @class: as git's transport of github.com takes a token, or as a bearer. In the head's own memory. */
static struct http_slice place(struct head *h, const struct decider_verdict *v, const char *host)
{
	static const char user[] = "x-access-token:";
	static char plain[sizeof(user) + DECIDER_TARGET + 1];
	static char text[sizeof("Basic ") + (sizeof(plain) + 2) / 3 * 4 + 1];
	struct http_slice value;
	int n;

	if (strcmp(v->class, "github") == 0 && strcmp(host, "github.com") == 0) {
		n = snprintf(plain, sizeof(plain), "%s%s", user, v->credential); /* fits */
		memcpy(text, "Basic ", 6);
		(void)EVP_EncodeBlock((unsigned char *)text + 6, (unsigned char *)plain, n);
	} else {
		(void)snprintf(text, sizeof(text), "Bearer %s", v->credential); /* fits */
	}
	value = head_copy(h, http_slice(text));
	explicit_bzero(plain, sizeof(plain));
	explicit_bzero(text, sizeof(text));
	return value;
}

static bool is_named(struct http_slice name, const struct json_node *list, bool keys)
{
	const struct json_node *n;

	for (n = list ? list->first : NULL; n; n = n->next) {
		const char *text = keys ? n->key : n->text;

		if (decider_folds(name.p, name.len, text, strlen(text)))
			return true;
	}
	return false;
}

static bool goes(struct http_slice name, const struct decider_verdict *v)
{
	size_t i;

	if (is_named(name, v->set, true) || is_named(name, v->remove, false))
		return true;
	for (i = 0; v->credential && i < ARRAY_SIZE(credentials); i++) {
		if (decider_folds(name.p, name.len, credentials[i], strlen(credentials[i])))
			return true;
	}
	return false;
}

/* One byte for each character, as fields have them; those that are none in ISO 8859-1 can't be said. Return: whether it can. */
static bool narrow(struct head *h, const char *utf8, struct http_slice *ret)
{
	static char text[DECIDER_BYTES];
	const unsigned char *p = (const unsigned char *)utf8;
	size_t n = 0;

	for (; *p && n < sizeof(text); p++) {
		if (*p < 0x80) {
			text[n++] = (char)*p;
			continue;
		}
		if ((*p & 0xfe) != 0xc2)
			return false;
		text[n++] = (char)((p[0] << 6 & 0xc0) | (p[1] & 0x3f));
		p++;
	}
	*ret = head_copy(h, (struct http_slice){ text, n });
	return true;
}

/* The spelling under which a name was set first. */
static const char *spelling(const struct json_node *set, const char *name)
{
	const struct json_node *n;

	for (n = set->first; !decider_folds(n->key, strlen(n->key), name, strlen(name));
	     n = n->next)
		;
	return n->key;
}

static bool add_set(struct head *h, const struct json_node *set)
{
	const struct json_node *f, *v;
	struct http_slice value;

	for (f = set ? set->first : NULL; f; f = f->next) {
		for (v = f->first; v; v = v->next) {
			if (!narrow(h, v->text, &value))
				return false;
			head_add(h, head_copy(h, http_slice(spelling(set, f->key))), value);
		}
	}
	return true;
}

const char *px_edit(struct head **ret, const struct head *h, const struct decider_verdict *v,
		    const char *host)
{
	struct head *d = calloc(1, sizeof(*d));
	const char *why = NULL;
	size_t i;

	if (!d)
		return "out of memory";
	d->method = head_copy(d, h->method);
	d->target = head_copy(d, h->target);
	d->authority = head_copy(d, h->authority);
	for (i = 0; i < h->n; i++) {
		if (!goes(h->fields[i].name, v))
			head_add(d, head_copy(d, h->fields[i].name),
				 head_copy(d, h->fields[i].value));
	}
	if (!add_set(d, v->set))
		why = "a value that the verdict sets has characters that no field can have";
	if (v->credential)
		head_add(d, http_slice("authorization"), place(d, v, host));
	if (!why && d->failed)
		why = "the verdict makes the request's head too large";
	if (why)
		(void)head_free(d);
	else
		*ret = d;
	return why;
}
