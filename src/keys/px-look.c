/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "px.h"

/* Letters, digits and hyphens between single dots, one more at the end; or an address. */
static bool take_host(struct px_target *to, const struct http_target *t)
{
	size_t n = t->host.len, i;

	to->host[0] = '\0';
	if (t->bracketed)
		return memchr(t->host.p, ':', n) && decider_host(t->host.p, n, to->host);
	if (n > 1 && t->host.p[n - 1] == '.')
		n--;
	for (i = 0; i < n; i++) {
		if (t->host.p[i] == '_' ||
		    (t->host.p[i] == '.' && (i == 0 || t->host.p[i - 1] == '.')))
			return false;
	}
	if (n == 0 || t->host.p[n - 1] == '.')
		return false;
	/* other spellings of addresses, and what is no name: no list has them */
	if (!decider_host(t->host.p, n, to->host))
		to->host[0] = '\0';
	return true;
}

bool px_look_connect(struct px_target *ret, struct http_slice target)
{
	struct px_target to = { .tls = true };
	struct http_target t;
	struct err e = ERR_INIT;

	if (http_authority_parse(&t, target, &e) < 0 || !t.port || !take_host(&to, &t))
		return false;
	to.port = t.port;
	*ret = to;
	return true;
}

bool px_look_absolute(struct px_target *ret, struct http_slice target)
{
	struct px_target to = { .port = 0 };
	struct http_target t;
	struct err e = ERR_INIT;

	if (http_target_parse(&t, http_slice("GET"), target, &e) < 0 || t.form != HTTP_ABSOLUTE ||
	    !take_host(&to, &t))
		return false;
	to.tls = strcmp(t.scheme, "https") == 0;
	to.port = t.port ? t.port : to.tls ? 443 : 80;
	to.path = t.path.len > 0 ? t.path : http_slice("/");
	*ret = to;
	return true;
}

bool px_look_path(struct http_slice path)
{
	if (path.len == 0 || path.p[0] != '/')
		return false;
	return path.len == 1 || (path.p[1] != '/' && path.p[1] != '\\');
}

bool px_look_host(struct http_slice value, const char *host, uint16_t port, uint16_t standard)
{
	struct http_target t;
	struct net_addr a, b;
	struct err e = ERR_INIT;

	if (http_authority_parse(&t, value, &e) < 0 || (t.port ? t.port : standard) != port)
		return false;
	if (net_addr_parse(&b, host, strlen(host)))
		return t.bracketed == (strchr(host, ':') != NULL) &&
		       net_addr_parse(&a, t.host.p, t.host.len) && memcmp(&a, &b, sizeof(a)) == 0;
	return !t.bracketed && http_is(t.host, host);
}

bool px_look_hop(const struct http_head *r, size_t i)
{
	static const char *const names[] = { "connection",
					     "keep-alive",
					     "proxy-authenticate",
					     "proxy-authorization",
					     "proxy-connection",
					     "te",
					     "trailer",
					     "transfer-encoding",
					     "upgrade" };
	struct http_slice name = r->fields[i].name, list, item;
	size_t k;

	if (http_hop_by_hop(r, i))
		return true;
	for (k = 0; k < ARRAY_SIZE(names); k++) {
		if (decider_folds(name.p, name.len, names[k], strlen(names[k])))
			return true;
	}
	for (k = 0; k < r->n; k++) {
		if (!http_is(r->fields[k].name, "connection"))
			continue;
		list = r->fields[k].value;
		while (http_list_next(&list, &item)) {
			if (decider_folds(name.p, name.len, item.p, item.len))
				return true;
		}
	}
	return false;
}
