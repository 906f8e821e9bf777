/* SPDX-License-Identifier: Apache-2.0 */
/* A URL that a sandbox wants to be opened by the host's browser (docs/adr/0025). What two programs could read in two ways is refused. */
#ifndef BAILEY_POLICY_URL_H
#define BAILEY_POLICY_URL_H

#include <stdbool.h>
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

/** url_is_plain() - whether that byte may stand in a URL here. */
bool url_is_plain(char c);

/**
 * url_authority() - take apart "host", "host:port", "[address]:port".
 * @ret_host, @ret_len: without brackets; @ret_v6: they were there; @ret_port: -1 without a port
 * Return: whether it is one; nothing is said about the host's bytes.
 */
bool url_authority(const char *p, size_t n, const char **ret_host, size_t *ret_len, bool *ret_v6,
		   long *ret_port);

#endif
