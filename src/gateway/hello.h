/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The first bytes of a TLS client (RFC 8446, 5246, 6066), which are read, never changed. Pure.
 */
#ifndef BAILEY_GATEWAY_HELLO_H
#define BAILEY_GATEWAY_HELLO_H

#include <stdbool.h>
#include <stddef.h>

#include "policy/policy.h"

#define HELLO_MAX 16384u /* bytes in which a ClientHello must end, whatever the records */

struct hello {
	char sni[NET_HOST_MAX + 1]; /* canonical; "" when there is none */
	/* An encrypted ClientHello lies beside: what SNI says is not what is meant. GREASE (as browsers send) can't be told from it. */
	bool ech;
	bool alpn_h2, alpn_http1; /* what it offers; both false: no ALPN, or other protocols only */
};

/* Of fewer bytes nobody can say what they are. */
#define HELLO_LEAST 6u

/** hello_looks_like() - whether @n ≥ 1 bytes can be the beginning of a TLS client. */
bool hello_looks_like(const unsigned char *p, size_t n);

/**
 * hello_parse() - read a ClientHello, which may lie in several records, each a handshake record of 1-16384 bytes; the last one ends with it.
 * Refused: also names that are addresses or no names, several names, a server name, ALPN or ECH twice, lengths that do not fit.
 * Return: 0; -EAGAIN: more bytes are needed (never with HELLO_MAX bytes); -EBADMSG: it is none, or one of those.
 */
int hello_parse(struct hello *ret, const unsigned char *p, size_t n);

#endif
