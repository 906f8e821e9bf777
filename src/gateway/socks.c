/* SPDX-License-Identifier: Apache-2.0 */
#include "socks.h"

#include <errno.h>
#include <string.h>

enum { SOCKS_VERSION = 5, AUTH_VERSION = 1 };
enum { METHOD_NONE = 0, METHOD_PASSWORD = 2 };
enum { COMMAND_CONNECT = 1 };
enum { TYPE_IPV4 = 1, TYPE_NAME = 3, TYPE_IPV6 = 4 };

#define REQUEST_HEADER 4u

int socks_greeting(const unsigned char *p, size_t n, bool *ret_none, bool *ret_password)
{
	if ((n > 0 && p[0] != SOCKS_VERSION) || (n > 1 && p[1] == 0))
		return -EBADMSG;
	if (n < 2 || n < 2u + p[1])
		return -EAGAIN;
	*ret_none = memchr(p + 2, METHOD_NONE, p[1]) != NULL;
	*ret_password = memchr(p + 2, METHOD_PASSWORD, p[1]) != NULL;
	return 2 + p[1];
}

int socks_auth(const unsigned char *p, size_t n, const unsigned char **ret_user,
	       size_t *ret_user_len, const unsigned char **ret_password, size_t *ret_password_len)
{
	size_t user, password;

	if (n > 0 && p[0] != AUTH_VERSION)
		return -EBADMSG;
	if (n < 2 || n < 3u + p[1])
		return -EAGAIN;
	user = p[1];
	password = p[2 + user];
	if (n < 3 + user + password)
		return -EAGAIN;
	*ret_user = p + 2;
	*ret_user_len = user;
	*ret_password = p + 3 + user;
	*ret_password_len = password;
	return (int)(3 + user + password);
}

/* Where a request asks to go: @len bytes of @type at @p. */
static int read_where(struct socks_request *r, int type, const unsigned char *p, size_t len,
		      struct err *e)
{
	static const struct net_addr v4 = { { [10] = 0xff, [11] = 0xff } };
	int n;

	switch (type) {
	case TYPE_IPV4:
		r->addr = v4;
		memcpy(r->addr.b + 12, p, len);
		return 0;
	case TYPE_IPV6:
		memcpy(r->addr.b, p, len);
		return 0;
	default:
		if (net_addr_parse(&r->addr, (const char *)p, len))
			return 0;
		n = net_host_canon((const char *)p, len, r->host, e);
		return n < 0 ? n : 0;
	}
}

int socks_request(struct socks_request *ret, const unsigned char *p, size_t n, struct err *e)
{
	struct socks_request q = { .port = 0 };
	size_t at = REQUEST_HEADER, len;
	int r;

	if (n > 0 && p[0] != SOCKS_VERSION)
		return -EBADMSG;
	if (n > 1 && p[1] != COMMAND_CONNECT)
		return -EOPNOTSUPP;
	if (n > 2 && p[2] != 0)
		return -EBADMSG;
	if (n > 3 && p[3] != TYPE_IPV4 && p[3] != TYPE_NAME && p[3] != TYPE_IPV6)
		return -EAFNOSUPPORT;
	if (n <= at)
		return -EAGAIN;
	if (p[3] == TYPE_NAME)
		len = p[at++];
	else
		len = p[3] == TYPE_IPV4 ? 4 : 16;
	if (n < at + len + 2)
		return -EAGAIN;
	q.port = (uint16_t)(p[at + len] << 8 | p[at + len + 1]);
	if (q.port == 0)
		return err_set(e, ERR_USAGE, -EINVAL, "port 0 is no port");
	r = read_where(&q, p[3], p + at, len, e);
	if (r < 0)
		return r;
	*ret = q;
	return (int)(at + len + 2);
}

size_t socks_reply(enum socks_status s, unsigned char out[SOCKS_REPLY])
{
	const unsigned char reply[SOCKS_REPLY] = { SOCKS_VERSION, (unsigned char)s, 0, TYPE_IPV4 };

	memcpy(out, reply, SOCKS_REPLY);
	return SOCKS_REPLY;
}
