/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "engine.h"
#include "h1.h"
#include "h2.h"
#include "px.h"

#define ROUNDS 16          /* of one connection in one turn of the loop */
#define HANDSHAKE_MS 15000 /* of either side, unless the supervisor has said so */
#define STUCK_MS 60000     /* a peer that takes nothing */
#define IDLE_MS 300000     /* nothing is asked for */
#define BUSY_MS 3600000    /* something is, and nothing moves: models think, streams are silent */
#define CLOSING_MS 3000

static void set_state(struct conn *c, enum conn_state state)
{
	c->state = state;
	c->since = c->k->now;
}

static void on_side(struct keys *k, struct watch *w, uint32_t events)
{
	struct side *s = CONTAINER_OF(w, struct side, watch);

	(void)k;
	if (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR))
		s->readable = true;
	if (events & (EPOLLOUT | EPOLLHUP | EPOLLERR))
		s->writable = true;
	if (events & (EPOLLHUP | EPOLLERR))
		s->gone = true;
	conn_step(s->c);
}

int side_begin(struct conn *c, struct side *s, int fd)
{
	int flags = fcntl(fd, F_GETFL);

	*s = (struct side){ .watch = { .fd = fd, .on = on_side },
			    .c = c,
			    .readable = true,
			    .writable = true,
			    .in = FIFO_INIT(CONN_IN),
			    .out = FIFO_INIT(CONN_OUT) };
	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
		return -errno;
	return keys_watch(c->k, &s->watch);
}

int conn_new(struct keys *k, const struct keys_offer *offer, int client, int server)
{
	struct conn *c = k->n_conns < LIMIT_CONNS ? calloc(1, sizeof(*c)) : NULL;
	int r = -ENOMEM;

	if (!c) {
		(void)close(client);
		cleanup_close(&server);
		return r;
	}
	c->k = k;
	c->id = offer->id;
	c->tls = (offer->flags & KEYS_OFFER_TLS) != 0;
	c->port = offer->port;
	(void)snprintf(c->host, sizeof(c->host), "%s", offer->host); /* of the same size */
	c->to = conn_place(c);
	c->moved = k->now;
	k->n_conns++;
	c->next = k->live;
	if (k->live)
		k->live->prev = c;
	k->live = c;
	c->client.watch.fd = client;
	c->server.watch.fd = server;
	set_state(c, c->tls ? CONN_HELLO : CONN_OPEN);
	r = server < 0 ? 0 : side_begin(c, &c->server, server);
	if (side_begin(c, &c->client, client) < 0 || r < 0 || (c->tls && tls_client(c) < 0) ||
	    (!c->tls && h1_begin(c) < 0) || (k->desk && px_begin(c) < 0)) {
		conn_end(c, "out of memory or descriptors");
		return 0;
	}
	conn_again(c);
	return 0;
}

int conn_serve(struct conn *c, int server)
{
	return side_begin(c, &c->server, server);
}

void conn_tunnel(struct conn *c)
{
	c->h1 = h1_free(c->h1);
	c->tls = true;
	if (px_tls_client(c) < 0) {
		conn_end(c, "out of memory");
		return;
	}
	set_state(c, CONN_HELLO);
	conn_again(c);
}

void conn_again(struct conn *c)
{
	if (c->queued || c->state == CONN_DEAD)
		return;
	c->queued = true;
	c->next_again = c->k->again;
	c->k->again = c;
}

static void say_why(struct conn *c, const char *why)
{
	if (!*c->why)
		(void)snprintf(c->why, sizeof(c->why), "%s", why); /* cut where it is long */
}

void conn_hold(struct conn *c, ssize_t more)
{
	c->held += (size_t)more;
	c->k->held += (size_t)more;
}

void conn_exchanges(struct conn *c, ssize_t more)
{
	c->exchanges += (size_t)more;
	c->k->exchanges += (size_t)more;
}

bool conn_may_read(const struct conn *c)
{
	return c->k->held < KEYS_HELD || c->held < KEYS_HELD_EACH;
}

/* What was spoken is over; the server's side with it. */
static void drop_protocols(struct conn *c)
{
	c->px = px_free(c);
	c->h1 = h1_free(c->h1);
	c->h2 = h2_free(c->h2);
	conn_hold(c, -(ssize_t)c->held);
}

void conn_end(struct conn *c, const char *why)
{
	if (c->state == CONN_DEAD)
		return;
	say_why(c, why);
	drop_protocols(c);
	side_close(&c->server, !c->client.cut);
	side_close(&c->client, !c->cut);
	set_state(c, CONN_DEAD);
	keys_log_end(c);
	if (c->prev)
		c->prev->next = c->next;
	else
		c->k->live = c->next;
	if (c->next)
		c->next->prev = c->prev;
	c->next = c->k->dead;
	c->k->dead = c;
	c->k->n_conns--;
}

void conn_finish(struct conn *c, const char *why)
{
	if (c->state == CONN_CLOSING || c->state == CONN_DEAD)
		return;
	say_why(c, why);
	(void)side_flush(&c->server); /* a last word: GOAWAY, the end of a body */
	drop_protocols(c);
	side_close(&c->server, true);
	set_state(c, CONN_CLOSING);
	conn_again(c);
}

void conn_cut(struct conn *c, const char *why)
{
	c->cut = true;
	conn_finish(c, why);
}

void conn_bury(struct keys *k)
{
	struct conn **at = &k->dead, *c;

	while ((c = *at)) {
		if (c->queued) {
			at = &c->next; /* in the other list; next time */
			continue;
		}
		*at = c->next;
		free(c);
	}
}

/* --- states --- */

/* The server can't be had. A client of HTTP/1.1 gets a 502 that says why, others an alert. */
static void server_failed(struct conn *c, const char *why)
{
	size_t i;

	say_why(c, why);
	(void)snprintf(c->failed, sizeof(c->failed), "%s", why); /* of the same size */
	side_close(&c->server, false);
	c->alpn = ALPN_NONE;
	for (i = 0; i < ARRAY_SIZE(c->offers); i++) {
		if (c->offers[i] == ALPN_HTTP1)
			c->alpn = ALPN_HTTP1;
	}
	if (c->alpn_sent && c->alpn == ALPN_NONE)
		c->alert = SSL_AD_HANDSHAKE_FAILURE;
}

static void answer_hello(struct conn *c)
{
	struct err e = ERR_INIT;

	c->hello_go = true;
	if (!c->alert && ca_leaf(c->k->ca, c->client.ssl, c->host, &e) < 0) {
		conn_end(c, e.msg);
		return;
	}
	set_state(c, CONN_ACCEPT);
}

/* Return: whether there is more to do now. */
static bool step_hello(struct conn *c)
{
	char why[KEYS_WHY_MAX];
	int r;

	if (c->px && !px_tls_looks(c))
		return false;
	r = tls_handshake(&c->client, why, sizeof(why));
	if (r == 0)
		return false;
	if (r != -EAGAIN) {
		conn_end(c, r < 0 ? why : "no ClientHello");
		return false;
	}
	if (c->px) {
		px_tls_offer(c); /* the server is for later */
		answer_hello(c);
	} else if (c->alpn_sent && c->offers[0] == ALPN_NONE) {
		say_why(c,
			rules_forward(c->k->rules, c->host) ?
				"requests to this host are forwarded, which needs HTTP/1.1, and the client does not offer that" :
				"the client offers neither HTTP/1.1 nor HTTP/2: the host needs bypass");
		c->alert = SSL_AD_NO_APPLICATION_PROTOCOL;
		answer_hello(c);
	} else if (tls_server(c) < 0) {
		conn_end(c, "out of memory");
	} else {
		set_state(c, CONN_CONNECT);
	}
	return true;
}

static bool step_connect(struct conn *c)
{
	char why[KEYS_WHY_MAX];
	const unsigned char *p;
	unsigned int n;
	int r = tls_handshake(&c->server, why, sizeof(why));

	if (r == 0)
		return false;
	if (r == 1) {
		SSL_get0_alpn_selected(c->server.ssl, &p, &n);
		c->alpn = n == 2 ? ALPN_H2 : n > 0 ? ALPN_HTTP1 : ALPN_NONE;
	} else {
		server_failed(c, why);
	}
	answer_hello(c);
	return true;
}

static bool step_accept(struct conn *c)
{
	char why[KEYS_WHY_MAX];
	int r = tls_handshake(&c->client, why, sizeof(why));

	if (r == 0)
		return false;
	if (r < 0) {
		/* an alert was sent, or has come; it is not to be lost in a reset */
		SSL_free(c->client.ssl);
		c->client.ssl = NULL;
		c->client.broken = false;
		conn_finish(c, why);
		return true;
	}
	set_state(c, CONN_OPEN);
	r = c->alpn == ALPN_H2 ? h2_begin(c) : h1_begin(c);
	if (r == 0 && c->px)
		px_opened(c);
	if (r < 0)
		conn_end(c, "out of memory");
	return r == 0;
}

static bool step_open(struct conn *c)
{
	bool moved = side_flush(&c->client);

	moved |= side_flush(&c->server);
	moved |= c->h2 ? h2_step(c) : h1_step(c);
	if (c->state == CONN_OPEN &&
	    (c->client.broken || (c->client.gone && c->client.eof && c->server.out.n == 0))) {
		conn_end(c, "");
		return false;
	}
	return moved;
}

static bool step_closing(struct conn *c)
{
	struct side *s = &c->client;
	static char waste[CONN_PIECE];
	bool moved = side_flush(s);

	if (s->broken) {
		conn_end(c, "");
		return false;
	}
	if (s->out.n > 0)
		return moved;
	if (s->ssl && !c->cut && !(SSL_get_shutdown(s->ssl) & SSL_SENT_SHUTDOWN))
		(void)SSL_shutdown(s->ssl); /* the peer's own is not waited for */
	/* once: the kernel tells us of our own shutdown as of a change, so doing it again at each change would never end */
	if (!s->shut)
		(void)shutdown(s->watch.fd, SHUT_WR); /* it may be gone */
	s->shut = true;
	/* what it is still sending would make a reset of our end, and the answer would be lost */
	while (s->readable) {
		ssize_t n = recv(s->watch.fd, waste, sizeof(waste), MSG_DONTWAIT);

		if (n < 0 && errno == EAGAIN)
			return false;
		if (n <= 0 && errno != EINTR) {
			conn_end(c, "");
			return false;
		}
	}
	return false;
}

static bool step(struct conn *c)
{
	switch (c->state) {
	case CONN_HELLO:
		return step_hello(c);
	case CONN_CONNECT:
		return step_connect(c);
	case CONN_ACCEPT:
		return step_accept(c);
	case CONN_OPEN:
		return step_open(c);
	case CONN_CLOSING:
		return step_closing(c);
	case CONN_DEAD:
		break;
	}
	return false;
}

void conn_step(struct conn *c)
{
	int i;

	/* what it has said before it went is still to be read: an alert says why */
	if (c->client.gone && c->state < CONN_OPEN &&
	    !(c->state == CONN_ACCEPT && c->client.readable)) {
		conn_end(c, "");
		return;
	}
	for (i = 0; i < ROUNDS; i++) {
		if (!step(c))
			return;
	}
	conn_again(c);
}

/* --- times --- */

static void check_times(struct conn *c)
{
	uint64_t now = c->k->now, idle = now - c->moved;
	uint64_t shake = c->k->handshake_ms ? c->k->handshake_ms : HANDSHAKE_MS;

	if (c->px)
		px_times(c);
	if (c->state == CONN_DEAD)
		return;
	if (c->state == CONN_OPEN) {
		bool busy = c->h2 ? h2_tick(c) : h1_tick(c);

		if (c->state != CONN_OPEN)
			return;
		if (c->client.out.n > 0 && now - c->client.stuck > STUCK_MS)
			conn_end(c, "the client takes nothing");
		else if (c->server.out.n > 0 && now - c->server.stuck > STUCK_MS)
			conn_end(c, "the server takes nothing");
		else if (idle > (busy ? BUSY_MS : IDLE_MS))
			conn_end(c, busy ? "nothing has moved for an hour" : "");
	} else if (c->state == CONN_CLOSING) {
		if (now - c->since > CLOSING_MS && (c->client.out.n == 0 || idle > CLOSING_MS))
			conn_end(c, "");
	} else if (now - c->since > shake && c->state == CONN_CONNECT) {
		server_failed(c, "the server does not finish the handshake");
		answer_hello(c);
		conn_again(c);
	} else if (now - c->since > shake) {
		conn_end(c, "the client does not finish the handshake");
	}
}

void conn_tick(struct keys *k)
{
	struct conn *c, *next;

	for (c = k->live; c; c = next) {
		next = c->next;
		check_times(c);
		if (c->held >= KEYS_HELD_EACH)
			conn_again(c); /* it may have waited for the others */
	}
}
