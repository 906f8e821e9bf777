/* SPDX-License-Identifier: Apache-2.0 */
#include "forward.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "url.h"
#include "util/util.h"

static int refuse(struct err *e, const char *why)
{
	return err_set(e, ERR_POLICY, -EINVAL, "%s", why);
}

static int read_host(struct forward_url *f, const char *p, size_t n, struct err *e)
{
	const char *host;
	struct net_addr addr;
	size_t len;
	bool v6;
	long port;

	if (memchr(p, '@', n))
		return refuse(e, "a user name stands before the host");
	if (n == 0 || !url_authority(p, n, &host, &len, &v6, &port))
		return refuse(e, "its host and port make no sense");
	f->port = port > 0 ? (uint16_t)port : f->tls ? 443 : 80;
	if (net_addr_parse(&addr, host, len)) {
		if (v6 == net_addr_is_v4(&addr))
			return refuse(e, "its address stands in brackets when it is of IPv6");
		net_addr_text(&addr, f->host);
		return 0;
	}
	if (v6)
		return refuse(e, "what stands in brackets is no address");
	return net_host_canon(host, len, f->host, e) < 0 ? -EINVAL : 0;
}

int forward_parse(struct forward_url *ret, const char *text, struct err *e)
{
	struct forward_url f = { .port = 0 };
	size_t n = strlen(text), at, i;
	int r;

	if (n > FORWARD_MAX)
		return err_set(e, ERR_POLICY, -EINVAL, "it is longer than %u bytes", FORWARD_MAX);
	for (i = 0; i < n; i++) {
		if (text[i] == '?' || text[i] == '#')
			return refuse(e, "a query or a fragment: the query is that of the request");
		if (!url_is_plain(text[i]))
			return err_set(e, ERR_POLICY, -EINVAL,
				       "byte %zu (0x%02x) must be percent-encoded", i + 1,
				       (unsigned char)text[i]);
	}
	f.tls = strncmp(text, "https://", 8) == 0;
	if (!f.tls && strncmp(text, "http://", 7) != 0)
		return refuse(e, "it does not begin with https:// or http://");
	at = f.tls ? 8 : 7;
	i = strcspn(text + at, "/");
	r = read_host(&f, text + at, i, e);
	if (r < 0)
		return r;
	f.path = text + at + i;
	f.n_path = n - at - i;
	while (f.n_path > 0 && f.path[f.n_path - 1] == '/')
		f.n_path--; /* the request's own path begins with one */
	*ret = f;
	return 0;
}

void forward_authority(const struct forward_url *f, char *out)
{
	const bool v6 = strchr(f->host, ':');
	const bool own = f->port == (f->tls ? 443 : 80);
	char port[8] = "";

	if (!own)
		(void)snprintf(port, sizeof(port), ":%u", f->port);                    /* fits */
	(void)snprintf(out, FORWARD_AUTHORITY, v6 ? "[%s]%s" : "%s%s", f->host, port); /* fits */
}
