/* SPDX-License-Identifier: Apache-2.0 */
/* A URL that a sandbox wants to be opened by the host's browser (docs/adr/0025). What two programs could read in two ways is refused. */
#ifndef BAILEY_POLICY_URL_H
#define BAILEY_POLICY_URL_H

#include <stddef.h>
#include <stdint.h>

#include "net.h"

struct err;

#define URL_MAX 4096u /* bytes; log-ins with many scopes have 2,000 */

/* Where a log-in comes back to. */
enum url_back {
	URL_BACK_NONE, /* nowhere on this machine */
	URL_BACK_V4,   /* 127.0.0.1 */
	URL_BACK_V6,   /* [::1] */
	URL_BACK_NAME  /* localhost: either of them */
};

struct url {
	char host[NET_HOST_MAX + 3]; /* canonical; an IPv6 address in brackets */
	enum url_back back;          /* of its redirect_uri */
	uint16_t port;               /* the same, from 1024 on */
};

/**
 * url_parse() - read @text, @n bytes that may hold anything.
 * Accepted: http:// or https://, a host name or a public address, a port, then printable ASCII of RFC 3986; quotes, "$" and backslashes must be percent-encoded.
 * Refused: user names, hosts that are this machine or a private network, two redirect_uri, one on this machine without a port from 1024 on.
 * Return: 0; or -EINVAL with @e, which quotes no byte that a terminal obeys.
 */
int url_parse(struct url *ret, const char *text, size_t n, struct err *e);

#endif
