/* SPDX-License-Identifier: Apache-2.0 */
/* Questions about the fields of a head. */
#include <string.h>

#include "chars.h"

bool http_is(struct http_slice s, const char *lower)
{
	size_t i;

	for (i = 0; i < s.len; i++) {
		if (!lower[i] || char_lower(s.p[i]) != lower[i])
			return false;
	}
	return !lower[i];
}

struct http_slice http_field_find(const struct http_head *h, const char *name)
{
	size_t i;

	for (i = 0; i < h->n; i++) {
		if (http_is(h->fields[i].name, name))
			return h->fields[i].value;
	}
	return (struct http_slice){ NULL, 0 };
}

bool http_list_next(struct http_slice *list, struct http_slice *ret)
{
	const char *comma;
	struct http_slice s;

	while (list->len > 0) {
		comma = memchr(list->p, ',', list->len);
		s = (struct http_slice){ list->p, comma ? (size_t)(comma - list->p) : list->len };
		list->p += s.len + (comma != NULL);
		list->len -= s.len + (comma != NULL);
		for (; s.len > 0 && char_is_blank(s.p[0]); s.len--)
			s.p++;
		while (s.len > 0 && char_is_blank(s.p[s.len - 1]))
			s.len--;
		if (s.len > 0) {
			*ret = s;
			return true;
		}
	}
	return false;
}

bool http_token_in(struct http_slice list, const char *token)
{
	struct http_slice item;

	while (http_list_next(&list, &item)) {
		if (http_is(item, token))
			return true;
	}
	return false;
}

/* Both are tokens, or the second is a part of a list. */
static bool same(struct http_slice a, struct http_slice b)
{
	size_t i;

	if (a.len != b.len)
		return false;
	for (i = 0; i < a.len; i++) {
		if (char_lower(a.p[i]) != char_lower(b.p[i]))
			return false;
	}
	return true;
}

bool http_hop_by_hop(const struct http_head *h, size_t i)
{
	static const char *const names[] = { "connection", "keep-alive",        "te",
					     "trailer",    "transfer-encoding", "upgrade" };
	struct http_slice name = h->fields[i].name, list, item;
	size_t k;

	for (k = 0; k < ARRAY_SIZE(names); k++) {
		if (http_is(name, names[k]))
			return true;
	}
	if (name.len > 6 && http_is((struct http_slice){ name.p, 6 }, "proxy-"))
		return true;
	for (k = 0; k < h->n; k++) {
		if (!http_is(h->fields[k].name, "connection"))
			continue;
		list = h->fields[k].value;
		while (http_list_next(&list, &item)) {
			if (same(name, item))
				return true;
		}
	}
	return false;
}
