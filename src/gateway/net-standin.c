/* SPDX-License-Identifier: Apache-2.0 */
/* FIXME: drop when policy/net.c is there. The least of it that names and addresses of DNS need. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "policy/policy.h"

#include "policy/net.h"

bool net_addr_is_v4(const struct net_addr *a)
{
	static const unsigned char mapped[12] = { [10] = 0xff, [11] = 0xff };

	return memcmp(a->b, mapped, sizeof(mapped)) == 0;
}

bool net_addr_parse(struct net_addr *ret, const char *text, size_t len)
{
	struct net_addr a = { { [10] = 0xff, [11] = 0xff } };
	char s[NET_ADDR_TEXT];

	if (len >= sizeof(s) || memchr(text, '\0', len))
		return false;
	memcpy(s, text, len);
	s[len] = '\0';
	if (inet_pton(AF_INET, s, a.b + 12) != 1 && inet_pton(AF_INET6, s, a.b) != 1)
		return false;
	*ret = a;
	return true;
}

void net_addr_text(const struct net_addr *a, char *out)
{
	if (net_addr_is_v4(a))
		(void)inet_ntop(AF_INET, a->b + 12, out, NET_ADDR_TEXT); /* fits */
	else
		(void)inet_ntop(AF_INET6, a->b, out, NET_ADDR_TEXT);
}

int net_host_canon(const char *text, size_t len, char *ret, struct err *e)
{
	bool digits = true;
	size_t i, label = 0;
	char c;

	if (len > 0 && text[len - 1] == '.')
		len--;
	if (len == 0 || len > NET_HOST_MAX)
		return err_set(e, ERR_POLICY, -EINVAL, "no host name");
	for (i = 0; i <= len; i++) {
		c = '.';
		if (i < len)
			c = text[i];
		if (c >= 'A' && c <= 'Z')
			c = (char)(c + ('a' - 'A'));
		if (c == '.') {
			if (label == 0 || label > 63 || text[i - 1] == '-' || (i == len && digits))
				return err_set(e, ERR_POLICY, -EINVAL, "no host name");
			label = 0;
			digits = true;
		} else if ((c >= 'a' && c <= 'z') || c == '_' || (c == '-' && label > 0)) {
			digits = false;
			label++;
		} else if (c >= '0' && c <= '9') {
			label++;
		} else {
			return err_set(e, ERR_POLICY, -EINVAL, "no host name");
		}
		ret[i] = c;
	}
	ret[len] = '\0';
	return (int)len;
}
