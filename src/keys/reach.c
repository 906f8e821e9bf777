/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. A connection comes with a server that the gateway has dialled. When a rule forwards one of its requests, the gateway is asked to dial that place: it judges the name and
 * its addresses as it does for the sandbox, and sends a socket. That takes the server's place, with TLS of its own for the name that is meant; a later request for the host itself has
 * that dialled anew. So the rest of the connection knows one server's side, whatever stands behind it.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "engine.h"

#define REACH_MS 60000 /* to look up, to dial, and TLS */

struct forward_url conn_place(const struct conn *c)
{
	struct forward_url f = { .port = c->port, .tls = c->tls, .path = "" };

	(void)snprintf(f.host, sizeof(f.host), "%s", c->host); /* of the same size */
	return f;
}

static bool same(const struct forward_url *a, const struct forward_url *b)
{
	return a->port == b->port && a->tls == b->tls && strcmp(a->host, b->host) == 0;
}

static void ask(struct conn *c, const struct forward_url *to)
{
	side_close(&c->server, true);
	c->to = *to;
	c->to.path = "";
	c->to.n_path = 0;
	c->reach = REACH_ASKED;
	c->asked = c->k->now;
	c->asks_certificate = false;
	*c->why = '\0'; /* of the one before */
	/* the client speaks what was agreed with the first one */
	c->offers[0] = ALPN_HTTP1;
	c->offers[1] = ALPN_NONE;
	c->serial++;
	keys_dial(c);
}

static void miss(struct conn *c, const char *why)
{
	(void)snprintf(c->missed, sizeof(c->missed), "%s", why); /* cut where it is long */
	side_close(&c->server, false);
	*c->why = '\0'; /* the connection goes on: whoever has asked is told */
	c->reach = REACH_MISSED;
}

static void shake(struct conn *c)
{
	char why[KEYS_WHY_MAX];
	int r = tls_handshake(&c->server, why, sizeof(why));

	if (r < 0)
		miss(c, why);
	else if (r == 1)
		c->reach = REACH_THERE;
}

int conn_reach(struct conn *c, const struct forward_url *to)
{
	if (c->reach == REACH_NOWHERE || (c->reach != REACH_MISSED && !same(&c->to, to)))
		ask(c, to);
	if (c->reach == REACH_SHAKES)
		shake(c);
	if ((c->reach == REACH_ASKED || c->reach == REACH_SHAKES) &&
	    c->k->now - c->asked > REACH_MS)
		miss(c, "the server does not answer in time");
	if (c->reach == REACH_MISSED) {
		c->reach = REACH_NOWHERE;
		return -EIO;
	}
	return c->reach == REACH_THERE;
}

void conn_dialled(struct conn *c, uint32_t serial, int fd, const char *why)
{
	if (c->state != CONN_OPEN || c->reach != REACH_ASKED || serial != c->serial) {
		cleanup_close(&fd); /* nobody waits for it any more */
		return;
	}
	if (fd < 0)
		miss(c, why);
	else if (side_begin(c, &c->server, fd) < 0 || (c->to.tls && tls_server(c) < 0))
		miss(c, "out of memory or descriptors");
	else
		c->reach = c->to.tls ? REACH_SHAKES : REACH_THERE;
	conn_step(c);
}
