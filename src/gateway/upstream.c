/* SPDX-License-Identifier: Apache-2.0 */
#include "upstream.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

static int hex(char c)
{
	static const char digits[] = "0123456789abcdefABCDEF";
	const char *d = c ? strchr(digits, c) : NULL;
	long v = d ? d - digits : -1;

	return (int)(v > 15 ? v - 6 : v);
}

/* Percent codes of a user or password. Return: bytes, or -EINVAL. */
static int decode(const char *p, size_t n, char *out, size_t size)
{
	size_t len = 0, i;

	for (i = 0; i < n; i++) {
		int v = (unsigned char)p[i];

		if (p[i] == '%') {
			if (i + 2 >= n || hex(p[i + 1]) < 0 || hex(p[i + 2]) < 0)
				return -EINVAL;
			v = hex(p[i + 1]) * 16 + hex(p[i + 2]);
			i += 2;
		}
		if (len == size || v < 0x20 || v == 0x7f)
			return -EINVAL;
		out[len++] = (char)v;
	}
	return (int)len;
}

static void base64(const unsigned char *p, size_t n, char *out)
{
	static const char set[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	size_t i;

	for (i = 0; i < n; i += 3) {
		unsigned int v = (unsigned int)p[i] << 16 |
				 (i + 1 < n ? (unsigned int)p[i + 1] << 8 : 0) |
				 (i + 2 < n ? p[i + 2] : 0);

		out[0] = set[v >> 18];
		out[1] = set[v >> 12 & 63];
		out[2] = '=';
		if (i + 1 < n)
			out[2] = set[v >> 6 & 63];
		out[3] = '=';
		if (i + 2 < n)
			out[3] = set[v & 63];
		out += 4;
	}
	*out = '\0';
}

/* HOST[:PORT], [ADDRESS][:PORT]. */
static bool parse_authority(const char *p, size_t n, uint16_t port, struct upstream_proxy *ret)
{
	const char *end = p + n, *colon = memrchr(p, ':', n), *close = memchr(p, ']', n);
	size_t len = n;
	unsigned long v = 0;

	if (colon && (!close || colon > close)) {
		for (len = (size_t)(colon - p), colon++; colon < end; colon++) {
			if (*colon < '0' || *colon > '9' || v > 65535)
				return false;
			v = v * 10 + (unsigned long)(*colon - '0');
		}
		if (v == 0 || v > 65535)
			return false;
		port = (uint16_t)v;
	}
	ret->port = port;
	if (len > 2 && p[0] == '[' && p[len - 1] == ']')
		return net_addr_parse(&ret->addr, p + 1, len - 2);
	return net_addr_parse(&ret->addr, p, len) || net_host_canon(p, len, ret->host, NULL) >= 0;
}

/* [http://][USER[:PASSWORD]@]HOST[:PORT][/] */
int upstream_proxy_parse(struct upstream_proxy *ret, const char *name, const char *text,
			 struct err *e)
{
	struct upstream_proxy p = { .port = 0 };
	char user[256];
	const char *at;
	size_t n;
	int r;

	if (!text || !*text)
		return 0;
	if (strncasecmp(text, "http://", 7) == 0)
		text += 7;
	else if (strstr(text, "://"))
		return err_set(e, ERR_USAGE, -EINVAL, "%s: only proxies of http:// can be used",
			       name);
	n = strcspn(text, "/");
	if (text[n] && text[n + 1])
		return err_set(e, ERR_USAGE, -EINVAL, "%s: expected nothing behind HOST:PORT/",
			       name);
	at = memrchr(text, '@', n);
	if (at) {
		const char *colon = memchr(text, ':', (size_t)(at - text));
		size_t user_len = colon ? (size_t)(colon - text) : (size_t)(at - text);
		int m = decode(text, user_len, user, 120);

		if (m >= 0) {
			user[m] = ':';
			r = colon ? decode(colon + 1, (size_t)(at - colon - 1), user + m + 1, 120) :
				    0;
			m = r < 0 ? r : m + 1 + r;
		}
		if (m < 0)
			return err_set(e, ERR_USAGE, -EINVAL,
				       "%s: the user or the password can't be read", name);
		base64((const unsigned char *)user, (size_t)m, p.auth);
		explicit_bzero(user, sizeof(user));
		n -= (size_t)(at + 1 - text);
		text = at + 1;
	}
	if (!parse_authority(text, n, 80, &p))
		return err_set(e, ERR_USAGE, -EINVAL, "%s: expected http://HOST:PORT", name);
	*ret = p;
	return 0;
}

/* What can't be read is no reason to go without a proxy: it is passed over, as curl does. */
void upstream_no_parse(struct upstream *u, const char *text)
{
	while (text && *text && u->n < UPSTREAM_NO) {
		size_t n = strcspn(text, ", \t"), name;
		const char *p = text, *slash;
		struct upstream_proxy one = { .port = 0 };
		unsigned int bits = 128;

		text += n + (text[n] ? 1 : 0);
		if (n == 1 && *p == '*')
			u->never = true;
		for (; n > 0 && (*p == '.' || (*p == '*' && n > 1 && p[1] == '.')); p++, n--)
			;
		slash = memchr(p, '/', n);
		name = slash ? (size_t)(slash - p) : n;
		/* an address of IPv6 has colons of its own */
		if (n == 0 ||
		    (!net_addr_parse(&one.addr, p, name) && !parse_authority(p, name, 0, &one)))
			continue;
		if (slash && *one.host)
			continue;
		if (slash) {
			const char *d;

			for (bits = 0, d = slash + 1;
			     d < p + n && *d >= '0' && *d <= '9' && bits < 1000; d++)
				bits = bits * 10 + (unsigned int)(*d - '0');
			bits += net_addr_is_v4(&one.addr) ? 96 : 0;
			if (d != p + n || bits > 128 || bits == 0)
				continue;
		}
		memcpy(u->no[u->n].host, one.host, sizeof(one.host));
		u->no[u->n].addr = one.addr;
		u->no[u->n].prefix = *one.host ? 0 : bits;
		u->no[u->n++].port = one.port;
	}
}

int upstream_parse(struct upstream *ret, const char *http, const char *https, const char *no,
		   struct err *e)
{
	int r;

	*ret = (struct upstream){ .never = false };
	r = upstream_proxy_parse(&ret->http, "HTTP_PROXY", http, e);
	if (r == 0)
		r = upstream_proxy_parse(&ret->https, "HTTPS_PROXY", https, e);
	if (r == 0)
		upstream_no_parse(ret, no);
	return r;
}

static bool is_below(const char *host, const char *suffix)
{
	size_t n = strlen(host), m = strlen(suffix);

	return n >= m && strcmp(host + n - m, suffix) == 0 && (n == m || host[n - m - 1] == '.');
}

const struct upstream_proxy *upstream_for(const struct upstream *u, const char *host,
					  const struct net_addr *addr, uint16_t port, bool tls)
{
	const struct upstream_proxy *p = tls ? &u->https : &u->http;
	size_t i;

	if (u->never || !p->port)
		return NULL;
	if (!host && net_addr_class(addr) == NET_CLASS_LOOPBACK)
		return NULL; /* to a proxy elsewhere it would be another machine */
	for (i = 0; i < u->n; i++) {
		if (u->no[i].port && u->no[i].port != port)
			continue;
		if (u->no[i].prefix ?
			    !host && net_addr_covers(&u->no[i].addr, u->no[i].prefix, addr) :
			    host && is_below(host, u->no[i].host))
			return NULL;
	}
	return p;
}
