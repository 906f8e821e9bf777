/* SPDX-License-Identifier: Apache-2.0 */
/* Through the caller's own proxy: CONNECT, with its user and password, and the answer to that. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "conn.h"

#define TUNNEL_MS 30000

static char scratch[HTTP_HEAD_MAX]; /* one process, one loop */

void tunnel_begin(struct gateway *g, struct conn *c)
{
	char text[NET_HOST_MAX * 2 + UPSTREAM_AUTH + 128], host[NET_HOST_MAX + 16],
		addr[NET_ADDR_TEXT];
	int n;

	net_addr_text(&c->target, addr);
	if (*c->host)
		(void)snprintf(host, sizeof(host), "%s:%u", c->host, c->port);
	else
		(void)snprintf(host, sizeof(host), net_addr_is_v4(&c->target) ? "%s:%u" : "[%s]:%u",
			       addr, c->port);
	n = snprintf(text, sizeof(text), "CONNECT %s HTTP/1.1\r\nHost: %s\r\n%s%s%s\r\n", host,
		     host, *c->proxy->auth ? "Proxy-Authorization: Basic " : "", c->proxy->auth,
		     *c->proxy->auth ? "\r\n" : "");
	c->state = CONN_TUNNEL;
	c->deadline = g->now + TUNNEL_MS;
	/* it is the first that this socket is given, and fits into it */
	if (send(c->server.watch.fd, text, (size_t)n, MSG_NOSIGNAL | MSG_DONTWAIT) != n)
		conn_failed(g, c, "the upstream proxy takes no request");
	explicit_bzero(text, sizeof(text));
}

bool tunnel_step(struct gateway *g, struct conn *c)
{
	const struct http_slice method = http_slice("CONNECT");
	struct http_head h;
	struct err e = ERR_INIT;
	char why[200];
	ssize_t n;
	int r;

	if (!c->server.readable)
		return false;
	n = recv(c->server.watch.fd, scratch, sizeof(scratch), MSG_PEEK | MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
		c->server.readable = errno == EINTR;
		return false;
	}
	r = n > 0 ? http_response_parse(&h, scratch, (size_t)n, method, &e) : -ECONNRESET;
	if (r == -EAGAIN) {
		c->server.readable = false;
		return false;
	}
	if (r < 0) {
		conn_failed(g, c, "the upstream proxy gives no answer that can be read");
	} else if (h.status / 100 != 2) {
		(void)snprintf(
			why, sizeof(why), "the upstream proxy answers %d%s", h.status,
			h.status == 407 ?
				": it wants a user and a password (HTTPS_PROXY=http://USER:PASSWORD@…)" :
				"");
		conn_failed(g, c, why);
	} else if (recv(c->server.watch.fd, scratch, h.len, MSG_DONTWAIT) != (ssize_t)h.len) {
		conn_failed(g, c, "the upstream proxy has gone");
	} else {
		conn_opened(g, c);
	}
	return true;
}
