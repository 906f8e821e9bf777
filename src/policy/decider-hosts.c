/* SPDX-License-Identifier: Apache-2.0 */
/* The lists of hosts that a decider begins with: reading an entry, and what they say about a host and about an address. */
#include "decider.h"

#include <errno.h>
#include <string.h>

static bool parse_port(const char *s, uint16_t *ret)
{
	unsigned int port = 0;
	size_t i, n = strlen(s);

	if (n < 1 || n > 5 || *s == '0')
		return false;
	for (i = 0; i < n; i++) {
		if (s[i] < '0' || s[i] > '9')
			return false;
		port = port * 10 + (unsigned int)(s[i] - '0');
	}
	*ret = (uint16_t)port;
	return port <= UINT16_MAX;
}

/* A name as it is compared already: lower case, no underscore, and the last label begins with a letter. */
static bool is_name(const char *s, bool below)
{
	char canon[NET_HOST_MAX + 1];
	const char *last = strrchr(s, '.');

	if (net_host_canon(s, strlen(s), canon, NULL) < 0 || strcmp(canon, s) != 0 ||
	    strchr(s, '_'))
		return false;
	last = last ? last + 1 : s;
	return *last >= 'a' && *last <= 'z' && (!below || last != s);
}

static bool parse(struct decider_entry *x, char *s)
{
	char *end = s;

	if (net_addr_parse(&x->addr, s, strlen(s)))
		return true;
	if (*s == '[') {
		end = strchr(s, ']');
		if (!end || !net_addr_parse(&x->addr, s + 1, (size_t)(end - s) - 1) ||
		    !memchr(s, ':', (size_t)(end - s)))
			return false;
		return !end[1] || (end[1] == ':' && parse_port(end + 2, &x->port));
	}
	end = strrchr(s, ':');
	if (end && !parse_port(end + 1, &x->port))
		return false;
	if (end)
		*end = '\0';
	if (net_addr_parse(&x->addr, s, strlen(s)))
		return !strchr(s, ':');
	x->below = strncmp(s, "*.", 2) == 0;
	x->host = x->below ? s + 2 : s;
	return is_name(x->host, x->below);
}

int decider_entry_parse(struct decider_entry *ret, const char *text, struct arena *a, struct err *e)
{
	struct decider_entry x = { .text = arena_strdup(a, text) };
	char *s = arena_strdup(a, text), quoted[NET_QUOTE];

	if (!x.text || !s)
		return err_set(e, ERR_SYSTEM, -ENOMEM, "out of memory");
	if (!parse(&x, s))
		return err_set(e, ERR_USAGE, -EINVAL,
			       "'%s': expected NAME, *.NAME or an address, with :PORT or without",
			       net_quote(text, strlen(text), quoted));
	*ret = x;
	return 0;
}

bool decider_host(const char *text, size_t n, char *ret)
{
	struct net_addr a;

	if (net_addr_parse(&a, text, n)) {
		net_addr_text(&a, ret);
		return true;
	}
	return net_host_canon(text, n, ret, NULL) >= 0;
}

/* The address that @host is, if it is one. */
static const struct net_addr *as_address(const char *host, struct net_addr *to)
{
	return net_addr_parse(to, host, strlen(host)) ? to : NULL;
}

static bool covers(const struct decider_entry *x, const char *host, const struct net_addr *addr,
		   uint16_t port)
{
	size_t n, m;

	if (x->port && x->port != port)
		return false;
	if (!x->host)
		return addr && memcmp(addr, &x->addr, sizeof(*addr)) == 0;
	if (addr)
		return false;
	n = strlen(host);
	m = strlen(x->host);
	if (!x->below)
		return strcmp(host, x->host) == 0;
	return n > m + 1 && host[n - m - 1] == '.' && strcmp(host + n - m, x->host) == 0;
}

static bool listed(const struct decider_list *l, const char *host, const struct net_addr *addr,
		   uint16_t port)
{
	size_t i;

	for (i = 0; i < l->n; i++) {
		if (covers(&l->v[i], host, addr, port))
			return true;
	}
	return false;
}

bool decider_covers(const struct decider_hello *h, const char *host, uint16_t port)
{
	struct net_addr own;
	const struct net_addr *addr = as_address(host, &own);

	return !listed(&h->denied, host, addr, port) && listed(&h->allowed, host, addr, port);
}

/* localhost, and what is below it (RFC 6761). */
static bool is_loopback_name(const char *host)
{
	static const char name[] = "localhost";
	size_t n = strlen(host), m = sizeof(name) - 1;

	return n >= m && strcmp(host + n - m, name) == 0 && (n == m || host[n - m - 1] == '.');
}

/* Denials count for what the address carries, too (NAT64, 6to4 …). */
static bool is_denied(const struct decider_list *l, const struct net_addr *a, uint16_t port)
{
	struct net_addr inner[NET_EMBEDDED];
	size_t i, n = net_addr_embedded(a, inner);

	for (i = 0; i < n; i++) {
		if (listed(l, "", &inner[i], port))
			return true;
	}
	return listed(l, "", a, port);
}

const char *decider_address(const struct decider_hello *h, const char *host, uint16_t port,
			    const struct net_addr *a, bool own)
{
	static const char *const kinds[NET_CLASS_NUM] = {
		[NET_CLASS_PRIVATE] = "a private address",
		[NET_CLASS_LOOPBACK] = "a loopback address",
		[NET_CLASS_LINK_LOCAL] = "a link-local address",
		[NET_CLASS_METADATA] = "an address of cloud metadata",
		[NET_CLASS_MULTICAST] = "a multicast address",
		[NET_CLASS_UNSPECIFIED] = "an unspecified address",
		[NET_CLASS_RESERVED] = "a reserved address"
	};
	enum net_class cls = net_addr_class(a);
	struct net_addr literal;

	if (as_address(host, &literal))
		return memcmp(&literal, a, sizeof(*a)) == 0 ? NULL : "another address";
	if (is_denied(&h->denied, a, port))
		return "an address that is denied";
	if (listed(&h->allowed, "", a, port))
		return NULL;
	if (is_loopback_name(host))
		return cls == NET_CLASS_LOOPBACK ? NULL : "no loopback address";
	if (cls != NET_CLASS_PUBLIC)
		return kinds[cls];
	return own ? "an address of this host" : NULL;
}
