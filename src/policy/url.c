/* SPDX-License-Identifier: Apache-2.0 */
#include "url.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "util/util.h"

#define PORT_MIN 1024u
#define REDIRECT "redirect_uri"
#define REDIRECT_MAX 1024u

static int refuse(struct err *e, const char *why)
{
	return err_set(e, ERR_POLICY, -EINVAL, "%s", why);
}

/* Reserved and unreserved characters of RFC 3986, and "%", but for what shells and careless programs take for something else. */
bool url_is_plain(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	       (c && strchr("-._~:/?#[]@!&()*+,;=%", c));
}

static int hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Decimal, 1 to 65535, no leading zero. Return: it, or -1. */
static long port_of(const char *p, size_t n)
{
	long v = 0;
	size_t i;

	if (n == 0 || n > 5 || p[0] == '0')
		return -1;
	for (i = 0; i < n; i++) {
		if (p[i] < '0' || p[i] > '9')
			return -1;
		v = v * 10 + (p[i] - '0');
	}
	return v <= 65535 ? v : -1;
}

bool url_authority(const char *p, size_t n, const char **ret_host, size_t *ret_len, bool *ret_v6,
		   long *ret_port)
{
	const char *end = memchr(p, p[0] == '[' ? ']' : ':', n);

	*ret_v6 = n > 0 && p[0] == '[';
	*ret_port = -1;
	if (*ret_v6 && !end)
		return false;
	*ret_host = *ret_v6 ? p + 1 : p;
	*ret_len = end ? (size_t)(end - *ret_host) : n;
	if (*ret_v6)
		end++;
	if (!end || end == p + n)
		return *ret_len > 0;
	*ret_port = *end == ':' ? port_of(end + 1, (size_t)(p + n - end - 1)) : -1;
	return *ret_len > 0 && *ret_port > 0;
}

static bool is_local_name(const char *host)
{
	const char *end = strstr(host, "localhost");

	while (end && end[strlen("localhost")])
		end = strstr(end + 1, "localhost");
	return end && (end == host || end[-1] == '.');
}

static int read_host(struct url *u, const char *p, size_t n, struct err *e)
{
	const char *host;
	struct net_addr addr;
	bool v6;
	long port;
	size_t len;

	if (memchr(p, '@', n))
		return refuse(e, "a user name stands before the host");
	if (n == 0 || !url_authority(p, n, &host, &len, &v6, &port))
		return refuse(e, "its host and port make no sense");
	if (net_addr_parse(&addr, host, len)) {
		if (v6 == net_addr_is_v4(&addr) || net_addr_class(&addr) != NET_CLASS_PUBLIC)
			return refuse(e, "its address is no public one");
		(void)snprintf(u->host, sizeof(u->host), v6 ? "[%.*s]" : "%.*s", (int)len, host);
		return 0;
	}
	if (v6 || net_host_canon(host, len, u->host, NULL) < 0)
		return refuse(e, "its host is no name, and no address");
	if (is_local_name(u->host))
		return refuse(e, "its host is this machine, and not the sandbox");
	return 0;
}

/* The value of a parameter. Return: its length; -1: it is too long, or coded wrongly. */
static int decode(const char *p, size_t n, char *out, size_t size)
{
	size_t i, len = 0;

	for (i = 0; i < n; i++) {
		char c = p[i];

		if (c == '%') {
			if (n - i < 3 || hex(p[i + 1]) < 0 || hex(p[i + 2]) < 0)
				return -1;
			c = (char)(hex(p[i + 1]) * 16 + hex(p[i + 2]));
			i += 2;
		}
		if (len == size)
			return -1;
		out[len++] = c;
	}
	return (int)len;
}

static bool has_word(const char *p, size_t n, const char *word)
{
	size_t len = strlen(word);

	return n == len && memcmp(p, word, len) == 0;
}

static int read_redirect(struct url *u, const char *p, size_t n, struct err *e)
{
	static const char scheme[] = "http://";
	char text[REDIRECT_MAX];
	const char *at = text + sizeof(scheme) - 1, *host = NULL;
	int total = decode(p, n, text, sizeof(text));
	size_t len = 0, left, i;
	bool v6 = false, whole;
	long port = -1;

	if (total < 0)
		return refuse(e, "its redirect_uri is too long, or coded wrongly");
	if ((size_t)total < sizeof(scheme) || memcmp(text, scheme, sizeof(scheme) - 1) != 0)
		return 0; /* another scheme comes to nothing that listens here */
	left = (size_t)total - (sizeof(scheme) - 1);
	for (i = 0; i < left && !memchr("/?#", at[i], 3); i++)
		;
	whole = url_authority(at, i, &host, &len, &v6, &port);
	if (host && has_word(host, len, "localhost") && !v6)
		u->back = URL_BACK_NAME;
	else if (host && has_word(host, len, "127.0.0.1") && !v6)
		u->back = URL_BACK_V4;
	else if (host && has_word(host, len, "::1") && v6)
		u->back = URL_BACK_V6;
	else
		return 0;
	if (!whole || port < (long)PORT_MIN)
		return refuse(e, "its redirect_uri names no port from 1024 on");
	u->port = (uint16_t)port;
	return 0;
}

static int read_query(struct url *u, const char *p, size_t n, struct err *e)
{
	bool found = false;
	int r = 0;

	while (r == 0 && n > 0) {
		const char *end = memchr(p, '&', n), *eq;
		const size_t len = end ? (size_t)(end - p) : n;
		char name[sizeof(REDIRECT) - 1];

		eq = memchr(p, '=', len);
		if (eq && decode(p, (size_t)(eq - p), name, sizeof(name)) == (int)sizeof(name) &&
		    memcmp(name, REDIRECT, sizeof(name)) == 0) {
			r = found ? refuse(e, "it has two redirect_uri") :
				    read_redirect(u, eq + 1, (size_t)(p + len - eq - 1), e);
			found = true;
		}
		p += end ? len + 1 : len;
		n -= end ? len + 1 : len;
	}
	return r;
}

int url_parse(struct url *ret, const char *text, size_t n, struct err *e)
{
	struct url u = { .back = URL_BACK_NONE };
	size_t i, at, end, stop;
	int r;

	if (n > URL_MAX)
		return err_set(e, ERR_POLICY, -EINVAL, "it is longer than %u bytes", URL_MAX);
	for (i = 0; i < n; i++) {
		if (!url_is_plain(text[i]))
			return err_set(
				e, ERR_POLICY, -EINVAL,
				"byte %zu (0x%02x) can't stand in it: it must be percent-encoded",
				i + 1, (unsigned char)text[i]);
	}
	if (n > 8 && memcmp(text, "https://", 8) == 0)
		at = 8;
	else if (n > 7 && memcmp(text, "http://", 7) == 0)
		at = 7;
	else
		return refuse(e, "it does not begin with https:// or http://");
	for (end = at; end < n && !memchr("/?#", text[end], 3); end++)
		;
	r = read_host(&u, text + at, end - at, e);
	for (i = end; i < n && text[i] != '?' && text[i] != '#'; i++)
		;
	for (stop = i; stop < n && text[stop] != '#'; stop++)
		;
	if (r == 0 && i < stop)
		r = read_query(&u, text + i + 1, stop - i - 1, e);
	if (r == 0)
		*ret = u;
	return r;
}
