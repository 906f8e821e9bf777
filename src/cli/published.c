/* SPDX-License-Identifier: Apache-2.0 */
#include "published.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

bool published_port(const char *p, size_t n, uint16_t *ret)
{
	unsigned int v = 0;
	size_t i;

	for (i = 0; i < n && i < 6 && p[i] >= '0' && p[i] <= '9'; i++)
		v = v * 10 + (unsigned int)(p[i] - '0');
	*ret = (uint16_t)v;
	return n > 0 && i == n && p[0] != '0' && v > 0 && v <= 65535;
}

/* The last of @n bytes that stand behind a colon, or all. */
static const char *last_part(const char *text, size_t n)
{
	const char *colon = memrchr(text, ':', n);

	return colon ? colon + 1 : text;
}

static bool read_address(const char *text, size_t n, struct net_addr *ret)
{
	const bool brackets = n > 2 && text[0] == '[' && text[n - 1] == ']';

	return brackets ? net_addr_parse(ret, text + 1, n - 2) : net_addr_parse(ret, text, n);
}

enum published_words published_parse(const char *text, struct published *ret)
{
	static const char tcp[] = "/tcp";
	size_t n = strlen(text), len;
	const char *inside, *host;

	*ret = (struct published){ .at = { { [10] = 0xff, [11] = 0xff, [12] = 127, [15] = 1 } },
				   .fd = -1 };
	if (n > strlen(tcp) && strcmp(text + n - strlen(tcp), tcp) == 0)
		n -= strlen(tcp);
	inside = last_part(text, n);
	if (!published_port(inside, n - (size_t)(inside - text), &ret->inside))
		return PUBLISHED_WRONG;
	if (inside == text)
		return PUBLISHED_INSIDE;
	n = (size_t)(inside - 1 - text);
	host = last_part(text, n);
	len = n - (size_t)(host - text);
	if (!published_port(host, len, &ret->host) && !(len == 1 && *host == '0'))
		return PUBLISHED_WRONG;
	if (host == text)
		return PUBLISHED_HOST;
	return read_address(text, (size_t)(host - 1 - text), &ret->at) ? PUBLISHED_ADDRESS :
									 PUBLISHED_WRONG;
}

int published_listen(struct published *p, struct err *e)
{
	struct sockaddr_storage at;
	socklen_t n = gateway_sockaddr(&p->at, p->host, &at);
	_cleanup_close_ int fd =
		socket(at.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	const bool chosen = p->host == 0;
	char text[NET_ADDR_TEXT];
	struct net_addr addr;

	net_addr_text(&p->at, text);
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){ 1 }, sizeof(int)) < 0 ||
	    bind(fd, (struct sockaddr *)&at, n) < 0 || listen(fd, 128) < 0)
		return err_sys(e, -errno, "--publish: listen on %s port %u", text, p->host);
	n = sizeof(at);
	if (getsockname(fd, (struct sockaddr *)&at, &n) < 0 ||
	    !gateway_address(&at, &addr, &p->host))
		return err_sys(e, -errno, "--publish: %s", text);
	p->chosen = chosen;
	p->fd = TAKE_FD(fd);
	return 0;
}

void published_line(struct buf *b, const struct published *p)
{
	char text[NET_ADDR_TEXT];

	net_addr_text(&p->at, text);
	buf_printf(b, strchr(text, ':') ? "%u/tcp -> [%s]:%u\n" : "%u/tcp -> %s:%u\n", p->inside,
		   text, p->host);
}

void published_json(struct json *j, const struct published *p)
{
	char text[NET_ADDR_TEXT];

	net_addr_text(&p->at, text);
	json_open(j, NULL, '{');
	json_int(j, "inside", p->inside);
	json_str(j, "address", text);
	json_int(j, "port", p->host);
	json_close(j, '}');
}
