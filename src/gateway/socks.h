/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SOCKS5 (RFC 1928, 1929), the server's side. Pure.
 *  1. socks_greeting()   answer 5 and the method: 0, 2, or 255 for none of them
 *  2. socks_auth()       after method 2; answer 1 and 0 for yes
 *  3. socks_request()    answer socks_reply()
 * Each reads one message of the client and says how long it was; nothing of the next one is looked at.
 */
#ifndef BAILEY_GATEWAY_SOCKS_H
#define BAILEY_GATEWAY_SOCKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "policy/policy.h"

/* Bytes of the longest message of each kind, and of the answer to a request. */
#define SOCKS_GREETING_MAX 257u
#define SOCKS_AUTH_MAX 513u
#define SOCKS_REQUEST_MAX 262u
#define SOCKS_REPLY 10u

enum socks_status {
	SOCKS_OK = 0,
	SOCKS_FAILURE = 1,
	SOCKS_NOT_ALLOWED = 2,
	SOCKS_NET_UNREACHABLE = 3,
	SOCKS_HOST_UNREACHABLE = 4,
	SOCKS_REFUSED = 5,
	SOCKS_NO_COMMAND = 7,
	SOCKS_NO_ADDRESS_TYPE = 8
};

struct socks_request {
	char host[NET_HOST_MAX + 1]; /* canonical; "" when an address was asked for */
	struct net_addr addr;
	uint16_t port; /* not 0 */
};

/**
 * socks_greeting() - read the client's methods.
 * @ret_none, @ret_password: whether it offers "no authentication" and "user and password"
 * Return: bytes used; -EAGAIN: more bytes are needed; -EBADMSG: it is no greeting, or has no method.
 */
int socks_greeting(const unsigned char *p, size_t n, bool *ret_none, bool *ret_password);

/** socks_auth() - read user and password, which may be empty; slices of @p. Return: as socks_greeting(). */
int socks_auth(const unsigned char *p, size_t n, const unsigned char **ret_user,
	       size_t *ret_user_len, const unsigned char **ret_password, size_t *ret_password_len);

/**
 * socks_request() - read a request. A name that is written as an address counts as the address.
 * Return: bytes used; -EAGAIN; -EBADMSG; -EOPNOTSUPP: another command than CONNECT; -EAFNOSUPPORT: another type of address;
 * -EINVAL: no name, or port 0, with @e.
 */
int socks_request(struct socks_request *ret, const unsigned char *p, size_t n, struct err *e);

/** socks_reply() - the answer to a request. Return: SOCKS_REPLY. */
size_t socks_reply(enum socks_status s, unsigned char out[SOCKS_REPLY]);

#endif
