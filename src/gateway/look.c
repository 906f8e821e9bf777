/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a client says on a connection that a rule allows must be meant for the name that the rule allows: a server has many names, and some
 * serve whatever name they are asked for (fronting). TLS is judged by its ClientHello, which is looked at where it lies and never taken out
 * of the socket. Plain HTTP is judged request by request. What is neither is opaque, and passes only where a rule names the port.
 */
#include "conn.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "hello.h"
#include "inspect.h"
#include "quota.h"

#define UPGRADE_MS \
	60000 /* in which a server answers to an upgrade: until then nobody sees that the client has gone */
#define LOOK_MS 15000 /* in which a first message that has begun must be whole */

static char scratch[HTTP_HEAD_MAX]; /* one process, one loop */

/* The bytes that wait at @e, without taking them. Return: how many; 0: none now, or no more ever (*ret_eof). */
static size_t peek(struct end *e, bool *ret_eof)
{
	ssize_t n = recv(e->watch.fd, scratch, sizeof(scratch), MSG_PEEK | MSG_DONTWAIT);

	*ret_eof = n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR);
	if (n <= 0)
		e->readable = *ret_eof;
	return n > 0 ? (size_t)n : 0;
}

static void pass(struct conn *c, enum conn_talk talk)
{
	c->talk = talk;
	c->up.open = c->down.open = true;
	c->deadline = 0;
}

/* More bytes must come: until then there is nothing to do. */
static bool wait_for_more(struct gateway *g, struct conn *c)
{
	c->client.readable = false;
	if (c->client.ended) {
		conn_close(g, c, true);
	} else if (!c->in_look) {
		c->in_look = true;
		if (!inspect_first_ms(g, c)) /* else it has begun with the connection */
			c->deadline = g->now + LOOK_MS;
	}
	return false;
}

static void front(struct gateway *g, struct conn *c, const char *what, const char *name)
{
	char why[NET_HOST_MAX + 160];

	(void)snprintf(why, sizeof(why), "fronting: %s '%.*s' is not the name that was asked for",
		       what, (int)NET_HOST_MAX, name);
	conn_refuse(g, c, why);
}

/* Whether a connection to c->host may speak of @name. Of an address any name is right that is not denied. */
static bool name_fits(struct gateway *g, const struct conn *c, const char *name)
{
	const struct net_request q = { .host = name, .port = c->port, .proto = NET_TCP };
	struct net_verdict v;

	if (*c->host)
		return strcmp(c->host, name) == 0 ||
		       (conn_local(c) && strcmp(name, "localhost") == 0);
	v = net_policy_judge(&g->policy, &q);
	return v.allowed || !v.rule;
}

/*
 * Whether @c goes to an address alone, and means a host that is looked into: there nobody would look. A secret's host takes no other credentials, whatever way leads to it.
 */
static bool evades(const struct gateway *g, const struct conn *c, const char *name)
{
	const struct net_request q = { .host = name, .port = c->port, .proto = NET_TCP };

	return !*c->host && net_policy_inspects(&g->policy, &q);
}

#define EVADES "requests to this host are looked into: connect to it by its name"

/* The same of who says no name at all: nobody here can tell whose server has the address. */
static bool may_evade(const struct gateway *g, const struct conn *c)
{
	const struct net_request q = conn_request(c);

	return !*c->host && !inspect_wanted(g, c) &&
	       net_policy_may_hide(&g->policy, &q, c->verdict.rule);
}

/* @why, and the rule that helps, for which the port is named. @b: empty. Return: text that is there until buf_done() */
static const char *with_way(const struct gateway *g, const struct conn *c, const char *why,
			    struct buf *b)
{
	const struct net_request q = conn_request(c);

	buf_puts(b, why);
	buf_puts(b, "; ");
	net_request_way(&g->policy, &q, true, b);
	return b->failed ? why : b->data;
}

/* What may be one of those hosts has no name. @what: TLS, or a request */
#define NAMELESS(what) what " may be for a host that is looked into: connect to it by its name"

static void refuse_nameless(struct gateway *g, struct conn *c, const char *why)
{
	struct buf b = BUF_INIT(1024);

	conn_refuse(g, c, with_way(g, c, why, &b));
	buf_done(&b);
}

static bool look_at_tls(struct gateway *g, struct conn *c, size_t n)
{
	struct hello h;
	int r = hello_parse(&h, (const unsigned char *)scratch, n);

	if (n < HELLO_LEAST || (r == -EAGAIN && n < HELLO_MAX))
		return wait_for_more(g, c);
	if (r < 0)
		conn_refuse(g, c, "no valid ClientHello");
	else if (!*h.sni && *c->host && !conn_local(c)) /* a port, by a rule of its own */
		conn_refuse(g, c, "TLS without a server name can't be judged");
	else if (!*h.sni && may_evade(g, c))
		refuse_nameless(g, c, NAMELESS("TLS without a server name"));
	else if (*h.sni && evades(g, c, h.sni))
		conn_refuse(g, c, EVADES);
	else if (*h.sni && !name_fits(g, c, h.sni))
		front(g, c, "the server name", h.sni);
	else if (!inspect_wanted(g, c) || inspect_begin(g, c, true))
		pass(c, TALK_TLS);
	return true;
}

enum guess { GUESS_MORE, GUESS_HTTP, GUESS_OPAQUE };

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\v' || c == '\f';
}

/* What a method may be made of (RFC 9110): servers take methods that nobody has heard of, and look at Host all the same. */
static bool is_token(char c)
{
	return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') ||
	       (c && strchr("!#$%&'*+-.^_`|~", c));
}

#define H2_LEN (sizeof(h2) - 1)
static const char h2[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/*
 * HTTP/1 in any spelling that some server might accept: its parser then refuses all but one. That is a word, a blank, and a first line with
 * "HTTP/" in it, however long. Only what begins exactly as HTTP/2 does is something else.
 */
static enum guess guess_http(const char *p, size_t n)
{
	size_t at = 0, word, end;

	if (memcmp(p, h2, n < H2_LEN ? n : H2_LEN) == 0)
		return n < H2_LEN ? GUESS_MORE : GUESS_OPAQUE;
	while (at < n && (p[at] == '\r' || p[at] == '\n'))
		at++;
	for (word = at; word < n && is_token(p[word]); word++)
		;
	if (word < n && (word == at || !is_blank(p[word])))
		return GUESS_OPAQUE;
	for (end = word; end < n && p[end] != '\n' && p[end] != '\r'; end++) {
		if (n - end > 5 && strncasecmp(p + end, "HTTP/", 5) == 0)
			return GUESS_HTTP;
		if ((unsigned char)p[end] < ' ' && !is_blank(p[end]))
			return GUESS_OPAQUE; /* of no text */
	}
	if (end < n)
		return GUESS_OPAQUE;
	return n < sizeof(scratch) ? GUESS_MORE : GUESS_HTTP;
}

static void refuse_opaque(struct gateway *g, struct conn *c)
{
	static const char why[] =
		"neither TLS nor HTTP: such a protocol needs a rule that names the port";
	struct buf b = BUF_INIT(1024);

	c->lacks = LACKS_PORT;
	conn_refuse(g, c, with_way(g, c, why, &b));
	buf_done(&b);
}

/* Whether the server speaks while the client waits for that: nobody has to, and who says nothing would wait for minutes. */
static bool server_speaks_first(struct conn *c)
{
	char byte;
	ssize_t n;

	/* web servers say good-bye to a client that has opened a connection in advance */
	if (c->verdict.names_port || c->client.readable || !c->server.readable || c->in_look ||
	    c->port == 443 || c->port == 80)
		return false;
	n = recv(c->server.watch.fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
	if (n < 0 && errno == EAGAIN)
		c->server.readable = false;
	return n > 0;
}

static bool look_first(struct gateway *g, struct conn *c)
{
	enum guess guess;
	bool eof = false;
	size_t n;

	if (c->down.bytes >
	    0) { /* a server that speaks first speaks neither TLS nor HTTP; it could because the rule names the port */
		c->opaque = true;
		pass(c, TALK_OPAQUE);
		return true;
	}
	n = c->client.readable ? peek(&c->client, &eof) : 0;
	if (n == 0 && !eof) {
		if (!server_speaks_first(c))
			return false;
		if (inspect_wanted(g, c))
			conn_refuse(g, c, "neither TLS nor HTTP, so nobody can look into it");
		else
			refuse_opaque(g, c);
		return true;
	}
	if (n > 0 && hello_looks_like((const unsigned char *)scratch, n))
		return look_at_tls(g, c, n);
	guess = n > 0 ? guess_http(scratch, n) : GUESS_OPAQUE;
	if (guess == GUESS_MORE)
		return wait_for_more(g, c);
	if (guess == GUESS_HTTP && inspect_plain(g, c)) {
		if (inspect_begin(g, c, false))
			pass(c, TALK_OPAQUE);
		return true;
	}
	if (n > 0 && guess == GUESS_OPAQUE && inspect_wanted(g, c) &&
	    !(g->setup->opaque && c->verdict.names_port)) {
		conn_refuse(g, c, "neither TLS nor HTTP, so nobody can look into it");
		return true;
	}
	if (guess == GUESS_HTTP) {
		c->talk = TALK_HTTP;
		c->down.open = true;
		c->deadline = g->now + LOOK_MS;
		return true;
	}
	if (n >= H2_LEN && memcmp(scratch, h2, H2_LEN) == 0 && may_evade(g, c)) {
		refuse_nameless(g, c, NAMELESS("HTTP/2 to an address"));
	} else if (c->verdict.names_port) {
		c->opaque = true;
		pass(c, TALK_OPAQUE);
	} else if (n > 0) {
		refuse_opaque(g, c);
	} else {
		conn_close(g, c, true);
	}
	return true;
}

/* --- plain HTTP --- */

/* An answer of ours can only stand where no answer of the server was begun. */
static void refuse_request(struct gateway *g, struct conn *c, int status, const char *why)
{
	char text[1024];
	int n;

	conn_note(g, c, why);
	if (c->second || c->down.bytes > 0 || c->up.bytes > 0) {
		conn_close(g, c, true);
		return;
	}
	n = snprintf(text, sizeof(text),
		     "HTTP/1.1 %d %s\r\nContent-Type: text/plain\r\nConnection: close\r\n"
		     "X-Bailey: denied\r\n\r\nbailey: %.700s\n",
		     status, http_status_text(status), why);
	gw_close(&c->server.watch);
	conn_chunk_free(g, &c->in);
	conn_say(g, c, text, (size_t)n, true);
}

/* Whether "HOST[:PORT]" is where the connection goes. */
static bool authority_fits(struct gateway *g, const struct conn *c, const struct http_target *t)
{
	char host[NET_HOST_MAX + 1];
	struct net_addr a;

	if (t->port && t->port != c->port)
		return false;
	if (net_addr_parse(&a, t->host.p, t->host.len))
		return conn_local(c) ? net_addr_class(&a) == NET_CLASS_LOOPBACK :
				       !*c->host && memcmp(&a, &c->addr, sizeof(a)) == 0;
	return !t->bracketed && net_host_canon(t->host.p, t->host.len, host, NULL) >= 0 &&
	       name_fits(g, c, host);
}

static bool host_evades(const struct gateway *g, const struct conn *c, const struct http_target *t)
{
	char host[NET_HOST_MAX + 1];

	return !t->bracketed && net_host_canon(t->host.p, t->host.len, host, NULL) >= 0 &&
	       evades(g, c, host);
}

/* Judge one request; its head is approved. Return: whether it may go on. */
static bool judge_request(struct gateway *g, struct conn *c, const struct http_head *h)
{
	struct http_target t, host;
	struct err e = ERR_INIT;

	if (http_is(h->method, "connect")) {
		refuse_request(g, c, 405, "CONNECT is for the proxy at 127.0.0.1:3128");
		return false;
	}
	if (http_target_parse(&t, h->method, h->target, &e) < 0 ||
	    (h->host.p && http_authority_parse(&host, h->host, &e) < 0)) {
		refuse_request(g, c, 400, e.msg);
		return false;
	}
	if ((h->host.p && host_evades(g, c, &host)) ||
	    (t.form == HTTP_ABSOLUTE && host_evades(g, c, &t))) {
		refuse_request(g, c, 421, EVADES);
		return false;
	}
	if (!h->host.p && t.form != HTTP_ABSOLUTE && may_evade(g, c)) {
		struct buf b = BUF_INIT(1024);

		refuse_request(g, c, 421, with_way(g, c, NAMELESS("a request without Host"), &b));
		buf_done(&b);
		return false;
	}
	if ((!h->host.p && *c->host) || (h->host.p && !authority_fits(g, c, &host)) ||
	    (t.form == HTTP_ABSOLUTE && !authority_fits(g, c, &t))) {
		refuse_request(g, c, 421, "fronting: Host is not the name that was asked for");
		return false;
	}
	if (h->upgrade && (c->second || h->framing != HTTP_BODY_NONE)) {
		refuse_request(g, c, 400, "an upgrade must be the first request, without a body");
		return false;
	}
	return true;
}

/*
 * What is spoken after an upgrade is not looked at any more, so it must be nothing in which requests for other names can be: HTTP/2, or TLS, in
 * which HTTP is. Clients that offer these (Java does, always) go on without.
 */
static bool may_become(const struct conn *c, struct http_slice protocol)
{
	const struct http_slice tls = { protocol.p, 4 };

	if (http_is(protocol, "websocket"))
		return true;
	return c->verdict.names_port && !http_is(protocol, "h2c") && !http_is(protocol, "h2") &&
	       (protocol.len < 4 || !http_is(tls, "tls/"));
}

/* Make of the others names that no server knows: as long, so nothing moves. */
static void mask_upgrades(const struct conn *c, struct chunk *k, struct http_head *h)
{
	struct http_slice list, one;
	size_t i;

	h->upgrade = false;
	for (i = 0; i < h->n; i++) {
		if (!http_is(h->fields[i].name, "upgrade"))
			continue;
		for (list = h->fields[i].value; http_list_next(&list, &one);) {
			if (may_become(c, one))
				h->upgrade = true;
			else
				memset(k->b + (one.p - k->b), 'x', one.len);
		}
	}
}

/* Servers of developers answer to "localhost" only. Return: the new length of the head. */
static size_t rename_host(struct chunk *k, const struct http_head *h, uint16_t port)
{
	char name[32];
	size_t n = (size_t)snprintf(name, sizeof(name), "localhost:%u", port);
	char *at, *end;

	if (!h->host.p || n > h->host.len) /* "host.bailey.internal" is longer, whatever the port */
		return h->len;
	at = k->b + (h->host.p - k->b);
	end = at + h->host.len;
	memcpy(at, name, n);
	memmove(at + n, end, (size_t)(k->b + k->n - end));
	k->n -= h->host.len - n;
	return h->len - (h->host.len - n);
}

/* As many of the bytes in c->in as can be are approved. Return: whether the connection still lives and all is well. */
static bool approve(struct gateway *g, struct conn *c)
{
	struct chunk *k = c->in;
	struct http_head h;
	struct err e = ERR_INIT;
	ssize_t n;
	bool done = false;

	while (k->ok < k->n && c->talk == TALK_HTTP) {
		if (c->in_body) {
			n = http_body_step(&c->body, k->b + k->ok, k->n - k->ok, &done, &e);
			if (n < 0) {
				refuse_request(g, c, 400, e.msg);
				return false;
			}
			k->ok += (size_t)n;
			c->in_body = !done;
			continue;
		}
		n = http_head_end(&c->scan, k->b + k->ok, k->n - k->ok, &e);
		if (n == -EAGAIN) {
			c->deadline = c->deadline ? c->deadline : g->now + LOOK_MS;
			return true;
		}
		if (n < 0 || http_request_parse(&h, k->b + k->ok, (size_t)n, &e) < 0) {
			refuse_request(g, c, n == -E2BIG ? 431 : 400, e.msg);
			return false;
		}
		if (h.upgrade)
			mask_upgrades(c, k, &h);
		if (!judge_request(g, c, &h))
			return false;
		k->ok += conn_local(c) ? rename_host(k, &h, c->port) : h.len;
		c->scan = 0;
		c->second = true;
		c->deadline = 0;
		http_body_begin(&c->body, &h);
		c->in_body = h.framing != HTTP_BODY_NONE;
		if (h.upgrade) {
			c->talk = TALK_UPGRADE;
			c->down.open = false; /* until it was read */
			c->deadline = g->now + UPGRADE_MS;
		}
	}
	return true;
}

/* Room for more: what was sent makes place. Return: bytes free. */
static size_t room(struct chunk *k)
{
	if (k->at > 0 && (k->at == k->n || k->n == sizeof(k->b))) {
		memmove(k->b, k->b + k->at, k->n - k->at);
		k->n -= k->at;
		k->ok -= k->at;
		k->at = 0;
	}
	return sizeof(k->b) - k->n;
}

static bool look_at_http(struct gateway *g, struct conn *c)
{
	size_t free_bytes;
	ssize_t n;

	if (!c->client.readable || c->up.eof || (c->last && !c->in_body))
		return false;
	if (!conn_chunk(g, &c->in)) {
		conn_close(g, c, true);
		return false;
	}
	free_bytes = room(c->in);
	if (free_bytes == 0)
		return false; /* the server is slow */
	free_bytes = conn_allowance(g, c, free_bytes);
	if (free_bytes == 0)
		return false; /* it waits for its rate, or has ended */
	n = recv(c->client.watch.fd, c->in->b + c->in->n, free_bytes, MSG_DONTWAIT);
	if (n < 0 && errno == EAGAIN) {
		c->client.readable = false;
	} else if (n < 0 && errno != EINTR) {
		conn_close(g, c, true);
	} else if (n == 0) {
		c->up.eof = true; /* told when all was sent: an unfinished head never is */
		c->in->n = c->in->ok;
	} else if (n > 0) {
		quota_take(g, c->quota, (size_t)n);
		c->in->n += (size_t)n;
		return approve(g, c);
	}
	if (c->state == CONN_OPEN && c->in && c->in->n == c->in->at)
		conn_chunk_free(g, &c->in);
	return n == 0;
}

static bool is_websocket(const struct http_head *h)
{
	size_t i;

	for (i = 0; i < h->n; i++) {
		if (http_is(h->fields[i].name, "upgrade"))
			return http_is(h->fields[i].value, "websocket");
	}
	return false;
}

/* The server's answer to an upgrade says what the client's next bytes are. */
static bool look_at_answer(struct gateway *g, struct conn *c)
{
	const struct http_slice get = http_slice("GET");
	struct http_head h;
	struct err e = ERR_INIT;
	bool eof = false;
	size_t n;
	int r;

	if (!c->server.readable)
		return false;
	n = peek(&c->server, &eof);
	r = n > 0 ? http_response_parse(&h, scratch, n, get, &e) : -EAGAIN;
	if (r == -EAGAIN && !eof) {
		c->server.readable = false;
		return false;
	}
	if (r < 0) {
		conn_note(g, c, "no valid answer to an upgrade");
		conn_close(g, c, true);
		return false;
	}
	if (h.status >= 100 && h.status < 200 && h.status != 101) {
		/* it passes, and another follows */
		if (recv(c->server.watch.fd, scratch, h.len, MSG_DONTWAIT) != (ssize_t)h.len) {
			conn_close(g, c, true);
			return false;
		}
		conn_say(g, c, scratch, h.len, false);
		return c->state == CONN_OPEN;
	}
	c->down.open = true;
	if (h.status != 101) {
		c->talk = TALK_HTTP;
		c->deadline = 0;
		return !c->in || approve(g, c);
	}
	if (c->in)
		c->in->ok = c->in->n;
	c->opaque = !is_websocket(&h);
	pass(c, TALK_OPAQUE);
	return true;
}

bool look_step(struct gateway *g, struct conn *c)
{
	switch (c->talk) {
	case TALK_UNKNOWN:
		return look_first(g, c);
	case TALK_HTTP:
		return look_at_http(g, c);
	case TALK_UPGRADE:
		return look_at_answer(g, c);
	case TALK_OPAQUE:
	case TALK_TLS:
		break;
	}
	return false;
}
