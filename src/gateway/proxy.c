/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Programs that know a proxy: CONNECT and plain requests with an absolute target at one port, SOCKS5 at another. What they ask for is judged as
 * a captured connection is, and what they then say, too (look.c). Requests are read where they lie and taken out of the socket when they are whole,
 * so bytes behind them stay for whoever comes next.
 *
 * A plain request has a connection to its server of its own ("Connection: close"): its answer ends with that connection, and the next request may go
 * to another server.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "answer.h"
#include "conn.h"
#include "inspect.h"
#include "socks.h"
#include "ssh.h"
#include "style.h"

static char scratch[HTTP_HEAD_MAX]; /* one process, one loop */

/* What waits, without taking it. Return: bytes; 0: not now, or the client has gone and the connection with it. */
static size_t peek(struct gateway *g, struct conn *c)
{
	ssize_t n;

	if (!c->client.readable)
		return 0;
	n = recv(c->client.watch.fd, scratch, sizeof(scratch), MSG_PEEK | MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
		c->client.readable = errno == EINTR;
		return 0;
	}
	if (n <= 0) {
		conn_close(g, c, true);
		return 0;
	}
	return (size_t)n;
}

/* Take @n bytes that were looked at. Return: whether they were there. */
static bool take(struct gateway *g, struct conn *c, size_t n)
{
	if (recv(c->client.watch.fd, scratch, n, MSG_DONTWAIT) == (ssize_t)n)
		return true;
	conn_close(g, c, true);
	return false;
}

/* What has come is not enough; when it was the last of it, it never will be. Return: false. */
static bool wait_for_more(struct gateway *g, struct conn *c)
{
	c->client.readable = false;
	if (c->client.ended)
		conn_close(g, c, true);
	return false;
}

/* In the words of a front. */
static void answer_in_style(struct gateway *g, struct conn *c, const char *why)
{
	struct buf b = BUF_INIT(4096);

	style_http(g, c, why, &b);
	if (b.failed)
		conn_close(g, c, true);
	else
		conn_say(g, c, b.data, b.len, true);
	buf_done(&b);
}

static void answer_text(struct gateway *g, struct conn *c, int status, const char *why)
{
	char text[1536], line[1100];
	int n, len = snprintf(line, sizeof(line), "bailey: %.1000s\n", why);

	if (status == 403 && g->setup->style) {
		answer_in_style(g, c, why);
		return;
	}
	n = snprintf(text, sizeof(text),
		     "HTTP/1.1 %d %s\r\nContent-Type: text/plain; charset=utf-8\r\n"
		     "Content-Length: %d\r\nConnection: close\r\n%s\r\n%s",
		     status, http_status_text(status), len,
		     status == 403 ? "X-Bailey: denied\r\n" : "", line);
	conn_say(g, c, text, (size_t)n, true);
}

/* "HOST[:PORT]" becomes the connection's target. Return: 0, or -EINVAL with @e. */
static int set_target(struct conn *c, const struct http_target *t, uint16_t port, struct err *e)
{
	c->port = t->port ? t->port : port;
	if (net_addr_parse(&c->addr, t->host.p, t->host.len))
		return 0;
	if (t->bracketed)
		return err_set(e, ERR_USAGE, -EINVAL, "no IPv6 address in the brackets");
	return net_host_canon(t->host.p, t->host.len, c->host, e) < 0 ? -EINVAL : 0;
}

/* The request as its server gets it. */
static bool rewrite(struct gateway *g, struct conn *c, const struct http_head *h,
		    const struct http_target *t)
{
	struct buf b = BUF_INIT(CHUNK), full = BUF_INIT(CHUNK);
	const struct net_request q = conn_request(c);
	struct http_slice path = t->path.len > 0 ? t->path : http_slice("/");
	char host[NET_HOST_MAX + 16], addr[NET_ADDR_TEXT];
	size_t i;
	bool fits;

	(void)snprintf(host, sizeof(host), t->port ? "%s%.*s%s:%u" : "%s%.*s%s",
		       t->bracketed ? "[" : "", (int)t->host.len, t->host.p,
		       t->bracketed ? "]" : "", t->port);
	if (conn_local(c)) /* as in look.c */
		(void)snprintf(host, sizeof(host), "localhost:%u", c->port);
	if (net_policy_handed(&g->policy, &q)) {
		/* for a proxy, and in our spelling: it must not read another name than we did */
		net_addr_text(&c->addr, addr);
		(void)snprintf(host, sizeof(host),
			       t->bracketed && t->port ? "[%s]:%u" :
			       t->bracketed            ? "[%s]" :
			       t->port                 ? "%s:%u" :
							 "%s",
			       *c->host ? c->host : addr, t->port);
		buf_puts(&full, "http://");
		buf_puts(&full, host);
		buf_add(&full, path.p, path.len);
		path = (struct http_slice){ full.data, full.len };
	}
	if (!full.failed)
		http_write_request(&b, h->method, path);
	http_write_field(&b, "Host", http_slice(host));
	for (i = 0; i < h->n; i++) {
		if (!http_hop_by_hop(h, i) && !http_is(h->fields[i].name, "host") &&
		    !http_is(h->fields[i].name, "content-length"))
			http_write_copy(&b, &h->fields[i]);
	}
	http_write_framing(&b, h);
	http_write_field(&b, "Connection", http_slice("close"));
	http_write_end(&b);
	fits = !b.failed && !full.failed && b.len <= CHUNK && conn_chunk(g, &c->in);
	if (fits) {
		memcpy(c->in->b, b.data, b.len);
		c->in->n = c->in->ok = b.len;
	}
	buf_done(&b);
	buf_done(&full);
	return fits;
}

/* Every method begins with one: who speaks TLS to a proxy need not wait until it is too late. */
static bool is_letter(char c)
{
	return (c | 0x20) >= 'a' && (c | 0x20) <= 'z';
}

static bool http_step(struct gateway *g, struct conn *c)
{
	struct http_target t;
	struct http_head h;
	struct err e = ERR_INIT;
	size_t n = peek(g, c);
	ssize_t len;
	bool connects;

	if (n == 0)
		return false;
	len = http_head_end(&c->scan, scratch, n, &e);
	if (len == -EAGAIN && is_letter(scratch[0]))
		return wait_for_more(g, c);
	if (len == -EAGAIN)
		(void)err_set(&e, ERR_USAGE, -EINVAL, "this is no request of HTTP/1");
	if (len < 0 || http_request_parse(&h, scratch, (size_t)len, &e) < 0 ||
	    http_target_parse(&t, h.method, h.target, &e) < 0) {
		conn_garbage(g, c, e.msg);
		answer_text(g, c, len == -E2BIG ? 431 : 400, e.msg);
		return true;
	}
	connects = t.form == HTTP_AUTHORITY;
	if (!connects && (t.form != HTTP_ABSOLUTE || strcmp(t.scheme, "http") != 0)) {
		const char *why =
			"this is a proxy: it takes CONNECT, and requests whose target begins with http://";

		conn_garbage(g, c, why);
		answer_text(g, c, 400, why);
		return true;
	}
	if (set_target(c, &t, 80, &e) < 0) {
		conn_garbage(g, c, e.msg);
		answer_text(g, c, 400, e.msg);
		return true;
	}
	conn_mean_host(g, c);
	c->scan = 0;
	if (connects) {
		c->via = VIA_CONNECT;
	} else {
		c->talk = TALK_HTTP;
		c->last = c->second = true;
		http_body_begin(&c->body, &h);
		c->in_body = h.framing != HTTP_BODY_NONE;
		if (!rewrite(g, c, &h, &t)) {
			conn_garbage(g, c, "the request's head is too large");
			answer_text(g, c, 431, "the request's head is too large");
			return true;
		}
	}
	if (take(g, c, h.len))
		conn_connect(g, c);
	return true;
}

static bool socks_step(struct gateway *g, struct conn *c)
{
	static const char none[] = { 5, 0 }, password[] = { 5, 2 }, nothing[] = { 5, (char)0xff },
			  welcome[] = { 1, 0 };
	const unsigned char *p = (const unsigned char *)scratch, *user, *word;
	struct socks_request q;
	struct err e = ERR_INIT;
	size_t n = peek(g, c), user_len, word_len;
	bool has_none, has_password;
	int r;

	if (n == 0)
		return false;
	if (c->stage == 0)
		r = socks_greeting(p, n, &has_none, &has_password);
	else if (c->stage == 1)
		r = socks_auth(p, n, &user, &user_len, &word, &word_len);
	else
		r = socks_request(&q, p, n, &e);
	if (r == -EAGAIN)
		return wait_for_more(g, c);
	if (r < 0) {
		c->refusal = r == -EOPNOTSUPP   ? SOCKS_NO_COMMAND :
			     r == -EAFNOSUPPORT ? SOCKS_NO_ADDRESS_TYPE :
						  SOCKS_FAILURE;
		conn_garbage(g, c, c->stage < 2 ? "this is no SOCKS 5" : e.msg);
		if (c->stage < 2 || !proxy_refused(g, c, 400, e.msg))
			conn_close(g, c, true);
		return true;
	}
	if (c->stage == 2) {
		memcpy(c->host, q.host, sizeof(c->host));
		c->addr = q.addr;
		c->port = q.port;
		conn_mean_host(g, c);
	}
	if (!take(g, c, (size_t)r))
		return true;
	if (c->stage == 2) {
		conn_connect(g, c);
	} else if (c->stage == 1) {
		/* who may use this sandbox's network is in this sandbox: any name will do */
		conn_say(g, c, welcome, sizeof(welcome), false);
		c->stage = 2;
	} else if (has_none || has_password) {
		c->password = has_password;
		conn_say(g, c, has_none ? none : password, sizeof(none), false);
		c->stage = has_none ? 2 : 1;
	} else {
		conn_garbage(g, c, "it offers no way to log in that is known here");
		conn_say(g, c, nothing, sizeof(nothing), true);
	}
	return true;
}

bool proxy_step(struct gateway *g, struct conn *c)
{
	if (c->via == VIA_HTTP)
		return http_step(g, c);
	if (c->via == VIA_SOCKS)
		return socks_step(g, c);
	return answer_step(g, c);
}

void proxy_opened(struct gateway *g, struct conn *c)
{
	static const char established[] = "HTTP/1.1 200 Connection established\r\n\r\n";
	unsigned char reply[SOCKS_REPLY];

	if (c->via == VIA_CONNECT)
		conn_say(g, c, established, sizeof(established) - 1, false);
	else if (c->via == VIA_SOCKS)
		conn_say(g, c, reply, socks_reply(SOCKS_OK, reply), false);
	else if (c->via == VIA_HTTP)
		c->down.open = true;
	else if (c->via == VIA_FORWARD)
		inspect_dialled(g, c, NULL);
}

/* SSH clients print what a server says when it hangs up; of a refusal by SOCKS, and of a reset, they know nothing to say. */
static bool refuse_by_ssh(struct gateway *g, struct conn *c, const char *why)
{
	unsigned char text[SSH_REFUSAL], reply[SOCKS_REPLY];
	struct buf reason = BUF_INIT(1024);

	if (!g->setup->style || !g->setup->style->ssh || c->port != 22 ||
	    c->refused != GATEWAY_BY_RULE ||
	    !(c->via == VIA_CAPTURED || (c->via == VIA_SOCKS && !c->password)))
		return false;
	style_reason(g, c, why, &reason);
	if (c->via == VIA_SOCKS)
		conn_say(g, c, reply, socks_reply(SOCKS_OK, reply), false);
	conn_say(g, c, text, ssh_refusal(reason.failed || !reason.data ? "" : reason.data, text),
		 true);
	buf_done(&reason);
	return true;
}

bool proxy_refused(struct gateway *g, struct conn *c, int status, const char *why)
{
	unsigned char reply[SOCKS_REPLY];
	enum socks_status s = status == 403 ? SOCKS_NOT_ALLOWED :
			      status == 504 ? SOCKS_HOST_UNREACHABLE :
			      c->refusal    ? (enum socks_status)c->refusal :
					      SOCKS_FAILURE;

	if (status == 403 && refuse_by_ssh(g, c, why))
		return true;
	if (c->via == VIA_SOCKS) {
		conn_say(g, c, reply, socks_reply(s, reply), true);
		return true;
	}
	if (c->via == VIA_FORWARD)
		inspect_dialled(g, c, why);
	if (c->via != VIA_CONNECT && c->via != VIA_HTTP)
		return false;
	conn_chunk_free(g, &c->in);
	answer_text(g, c, status, why);
	return true;
}
