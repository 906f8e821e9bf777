/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The caller's own proxy: HTTP_PROXY, HTTPS_PROXY, NO_PROXY as curl reads them. Where one stands, the gateway judges the name and has the proxy resolve and
 * dial it: which address that is, nobody here can check.
 */
#ifndef BAILEY_GATEWAY_UPSTREAM_H
#define BAILEY_GATEWAY_UPSTREAM_H

#include "policy/policy.h"
#include "util/util.h"

#define UPSTREAM_AUTH 512u
#define UPSTREAM_NO 64u /* entries of NO_PROXY */

struct upstream_proxy {
	char host[NET_HOST_MAX + 1]; /* "": an address, or there is none (port 0) */
	struct net_addr addr;
	uint16_t port;            /* 0: there is no proxy */
	char auth[UPSTREAM_AUTH]; /* Base64 of USER:PASSWORD, or "" */
};

struct upstream {
	struct upstream_proxy http, https;
	bool never; /* NO_PROXY=* */
	size_t n;
	struct {
		char host[NET_HOST_MAX + 1]; /* itself and what is below */
		struct net_addr addr;
		unsigned int prefix; /* of an address; 0: a name */
		uint16_t port;       /* 0: any */
	} no[UPSTREAM_NO];
};

/**
 * upstream_parse() - read the variables; NULL or "": not set.
 * Return: 0, or -EINVAL with @e naming the variable; a value is never quoted, it may hold a password.
 */
int upstream_parse(struct upstream *ret, const char *http, const char *https, const char *no,
		   struct err *e);

/**
 * upstream_proxy_parse() - one proxy, [http://][USER[:PASSWORD]@]HOST[:PORT][/].
 * @name: what it is called in messages
 * @text: NULL or "": @ret stays as it is
 * Return: 0, or -EINVAL with @e.
 */
int upstream_proxy_parse(struct upstream_proxy *ret, const char *name, const char *text,
			 struct err *e);

/** upstream_no_parse() - add the entries of a NO_PROXY. */
void upstream_no_parse(struct upstream *u, const char *text);

/**
 * upstream_for() - the proxy for a connection.
 * @host: canonical, or NULL: only @addr is known
 * @tls: as far as is known beforehand: port 443, and all that is no plain HTTP
 * Return: it, or NULL: none.
 */
const struct upstream_proxy *upstream_for(const struct upstream *u, const char *host,
					  const struct net_addr *addr, uint16_t port, bool tls);

#endif
