/* SPDX-License-Identifier: Apache-2.0 */
#include "head.h"

#include <stdlib.h>
#include <string.h>

void head_clear(struct head *h)
{
	explicit_bzero(h->memory, h->used);
	explicit_bzero(h, offsetof(struct head, small));
	h->bytes = h->used = 0;
}

struct head *head_free(struct head *h)
{
	if (h)
		head_clear(h);
	free(h);
	return NULL;
}

struct http_slice head_copy(struct head *h, struct http_slice s)
{
	char *p = h->memory + h->used;

	if (s.len > (h->small ? h->small : sizeof(h->memory)) - h->used) {
		h->failed = true;
		return (struct http_slice){ NULL, 0 };
	}
	if (s.len > 0)
		memcpy(p, s.p, s.len);
	h->used += s.len;
	return (struct http_slice){ p, s.len };
}

struct head *head_dup(const struct head *h)
{
	size_t size = h->method.len + h->target.len + h->authority.len + 1, i;
	struct head *d;

	for (i = 0; i < h->n; i++)
		size += h->fields[i].name.len + h->fields[i].value.len;
	d = calloc(1, offsetof(struct head, memory) + size);
	if (!d)
		return NULL;
	d->small = size;
	d->bytes = h->bytes;
	d->method = head_copy(d, h->method);
	d->target = head_copy(d, h->target);
	d->authority = head_copy(d, h->authority);
	for (i = 0; i < h->n; i++)
		head_add(d, head_copy(d, h->fields[i].name), head_copy(d, h->fields[i].value));
	return d->failed ? head_free(d) : d;
}

struct head_fields *head_fields(const struct head *h)
{
	size_t size = sizeof(struct head_fields) + h->n * sizeof(struct http_field), i;
	struct head_fields *f;
	char *p;

	for (i = 0; i < h->n; i++)
		size += h->fields[i].name.len + h->fields[i].value.len;
	f = calloc(1, size);
	if (!f)
		return NULL;
	p = (char *)(f->v + h->n);
	f->n = h->n;
	f->size = size;
	for (i = 0; i < h->n; i++) {
		const struct http_field *from = &h->fields[i];

		f->v[i] = (struct http_field){ { p, from->name.len },
					       { p + from->name.len, from->value.len } };
		if (from->name.len > 0)
			memcpy(p, from->name.p, from->name.len);
		p += from->name.len;
		if (from->value.len > 0)
			memcpy(p, from->value.p, from->value.len);
		p += from->value.len;
	}
	return f;
}

struct head_fields *head_fields_free(struct head_fields *f)
{
	if (f)
		explicit_bzero(f, f->size);
	free(f);
	return NULL;
}

void head_add(struct head *h, struct http_slice name, struct http_slice value)
{
	if (h->n == HEAD_FIELDS)
		h->failed = true;
	else
		h->fields[h->n++] = (struct http_field){ name, value };
}

bool head_same(struct http_slice a, struct http_slice b)
{
	return a.len == b.len && (a.len == 0 || strncasecmp(a.p, b.p, a.len) == 0);
}

static char fold(char c)
{
	return (char)(c >= 'A' && c <= 'Z' ? c | 0x20 : c == '_' || c == '.' ? '-' : c);
}

bool head_folds_to(struct http_slice a, struct http_slice b)
{
	size_t i;

	for (i = 0; i < a.len && i < b.len && fold(a.p[i]) == fold(b.p[i]); i++)
		;
	return i == a.len && i == b.len;
}

void head_remove(struct head *h, struct http_slice name)
{
	size_t i, n = 0;

	for (i = 0; i < h->n; i++) {
		if (!head_same(h->fields[i].name, name))
			h->fields[n++] = h->fields[i];
	}
	h->n = n;
}

struct http_slice head_find(const struct head *h, const char *name)
{
	size_t i;

	for (i = 0; i < h->n; i++) {
		if (http_is(h->fields[i].name, name))
			return h->fields[i].value;
	}
	return (struct http_slice){ NULL, 0 };
}
