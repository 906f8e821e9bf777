/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of sigv4 share. */
#ifndef BAILEY_KEYS_SIGV4_QUERY_H
#define BAILEY_KEYS_SIGV4_QUERY_H

#include "sigv4.h"

struct sigv4_query {
	struct http_slice path;
	struct http_field v[SIGV4_QUERY]; /* as they were sent */
	size_t n;
};

/** sigv4_query_split() - Return: false: there are too many fields. */
bool sigv4_query_split(struct sigv4_query *ret, struct http_slice target);

/** sigv4_decode() - percent-decoded printable ASCII with a NUL. Return: its length; 0: empty, too long, or something else. */
size_t sigv4_decode(struct http_slice s, char *out, size_t size);

/** sigv4_string() - the signature of "ALGORITHM\nDATE\nSCOPE\nREST". Return: 0 or -ENOMEM. */
int sigv4_string(char ret[SIGV4_HEX + 1], const char *algorithm, struct http_slice date,
		 struct http_slice scope, const char *rest, const struct sigv4_pair *pair,
		 struct err *e);

#endif
