/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Through the caller's own proxy: CONNECT, with its user and password, and the answer to that. Plain HTTP goes the same way, although some
 * proxies take CONNECT for port 443 alone: a request that the proxy reads itself carries the password beside words of the sandbox, and TRACE,
 * or a page about an error, can repeat all of it.
 */
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

static void refusal(const struct conn *c, int status, char *out, size_t size)
{
	const char *more = "";
	char port[48];

	(void)snprintf(port, sizeof(port), ": it refuses CONNECT to port %u", c->port);
	if (status == 407)
		more = ": it wants a user and a password (HTTPS_PROXY=http://USER:PASSWORD@…)";
	else if (status == 403)
		more = port;
	(void)snprintf(out, size, "the upstream proxy answers %d%s", status, more);
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
		refusal(c, h.status, why, sizeof(why));
		conn_failed(g, c, why);
	} else if (recv(c->server.watch.fd, scratch, h.len, MSG_DONTWAIT) != (ssize_t)h.len) {
		conn_failed(g, c, "the upstream proxy has gone");
	} else {
		conn_opened(g, c);
	}
	return true;
}
