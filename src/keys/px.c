/* SPDX-License-Identifier: Apache-2.0 */
#include "px.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "h1-own.h"

#define MARK "X-Deny-Reason"

int px_begin(struct conn *c)
{
	c->px = calloc(1, sizeof(*c->px));
	if (!c->px)
		return -ENOMEM;
	c->px->early = (struct fifo)FIFO_INIT(CONN_IN);
	px_opened(c);
	return 0;
}

void px_opened(struct conn *c)
{
	c->h1->hold.max = DECIDER_BODY;
}

/* The request is over, or never was. */
static void forget(struct conn *c)
{
	struct px *px = c->px;

	/* a client that has gone takes nothing from the decider: its verdict comes all the same */
	if (px->step == PX_ASKED)
		px_forget(c->k, px->id, PX_LATE_FIRST);
	else if (px->step == PX_READING || px->step == PX_SHOWN)
		px_forget(c->k, px->id, PX_LATE_SHOWN);
	px_release(c);
	px->head = head_free(px->head);
	px->step = PX_NONE;
	px->deadline = 0;
	px->id = 0;
}

struct px *px_free(struct conn *c)
{
	if (!c->px)
		return NULL;
	forget(c);
	if (c->px->counted)
		c->k->desk->tunnels--;
	fifo_done(&c->px->early);
	free(c->px);
	return NULL;
}

/* --- answers of ours --- */

void px_answer(struct conn *c, int status, const char *mark, const char *text, bool close)
{
	struct rules_field field = { http_slice(MARK), http_slice(mark ? mark : "") };
	struct buf body = BUF_INIT(2048 + 2);
	struct reply r = { .status = status, .fields = &field, .n = mark != NULL };

	forget(c);
	buf_printf(&body, "%s\n", text);
	r.body = (struct http_slice){ body.failed ? "" : body.data, body.failed ? 0 : body.len };
	h1_answer(c, &r, close);
	buf_done(&body);
}

void px_undecided(struct conn *c, const char *why)
{
	px_answer(c, 503, "decider_unavailable", why, true);
}

void px_bad(struct conn *c, const char *why)
{
	px_answer(c, 400, "bad_request", why, true);
}

/* --- what is asked for --- */

static bool has_body(const struct http_head *r)
{
	return r->framing == HTTP_BODY_CHUNKED || (r->framing == HTTP_BODY_LENGTH && r->length > 0);
}

static void connect_to(struct conn *c, const struct http_head *r)
{
	static const char go[] = "HTTP/1.1 200 Connection Established\r\n\r\n";
	struct desk *d = c->k->desk;
	struct px *px = c->px;
	struct px_target to;

	if (!px_look_connect(&to, r->target)) {
		px_bad(c, "CONNECT asks for HOST:PORT");
	} else if (!decider_covers(&d->hello, to.host, to.port)) {
		px_answer(c, 403, "host_not_allowed", "this host is not on the decider's lists",
			  true);
	} else if (!c->k->ca) {
		px_answer(c, 403, "opaque_tunnel", "nothing is tunnelled that can't be looked into",
			  true);
	} else if (d->tunnels >= PX_TUNNELS) {
		px_answer(c, 503, "too_many_tunnels", "too many tunnels at a time", true);
	} else {
		px->tunnel = px->counted = true;
		d->tunnels++;
		(void)snprintf(c->host, sizeof(c->host), "%s", to.host); /* of the same size */
		c->port = to.port;
		fifo_take(&c->client.in, r->len);
		side_add(&c->client, go, sizeof(go) - 1);
		(void)side_flush(&c->client);
		if (c->client.out.n > 0)
			conn_end(c, ""); /* a client that reads none of its answers */
		else
			conn_tunnel(c);
	}
}

/* Where a request of a tunnel goes is settled; its names must all say that. Return: whether they do, else it was answered. */
static bool look_in_tunnel(struct conn *c, struct head *w, const struct http_head *r)
{
	struct px *px = c->px;
	const char *why = NULL;

	if (!px_look_path(r->target)) {
		px_bad(c, "malformed request-target");
		return false;
	}
	if (px->misnamed)
		why = "the TLS server name is no name";
	else if (px->named && strcmp(px->sni, c->host) != 0)
		why = "the TLS server name is not the tunnel's host";
	else if (r->host.p && !px_look_host(r->host, c->host, c->port, 443))
		why = "Host is not the tunnel's host";
	if (why)
		px_answer(c, 421, "misdirected", why, true);
	w->target = r->target;
	px->tls = true;
	return !why;
}

/* The same of a request for a proxy, each of which says where it goes. */
static bool look_at_target(struct conn *c, struct head *w, const struct http_head *r)
{
	struct px_target to;

	if (!px_look_absolute(&to, r->target)) {
		px_bad(c, "the target is no URL of a host in plain ASCII");
		return false;
	}
	if (!decider_covers(&c->k->desk->hello, to.host, to.port)) {
		px_answer(c, 403, "host_not_allowed", "this host is not on the decider's lists",
			  has_body(r));
		return false;
	}
	if (!px_look_path(to.path)) {
		px_bad(c, "malformed request-target");
		return false;
	}
	if (r->host.p && !px_look_host(r->host, to.host, to.port, to.tls ? 443 : 80)) {
		px_answer(c, 421, "misdirected", "Host is not the target's host", has_body(r));
		return false;
	}
	(void)snprintf(c->host, sizeof(c->host), "%s", to.host); /* of the same size */
	c->port = to.port;
	c->px->tls = to.tls;
	c->offers[0] = ALPN_HTTP1;
	w->target = to.path;
	return true;
}

/* Host as it is written from the target. */
static struct http_slice authority(const struct conn *c, struct head *w)
{
	bool v6 = strchr(c->host, ':') != NULL;
	char text[NET_HOST_MAX + 16], port[8] = "";

	if (c->port != (c->px->tls ? 443 : 80))
		(void)snprintf(port, sizeof(port), ":%u", c->port);                /* fits */
	(void)snprintf(text, sizeof(text), v6 ? "[%s]%s" : "%s%s", c->host, port); /* fits */
	return head_copy(w, http_slice(text));
}

static void note(struct conn *c, struct head *w, const struct http_head *r)
{
	struct px *px = c->px;
	size_t i;

	w->n = 0;
	for (i = 0; i < r->n; i++) {
		if (!px_look_hop(r, i) && !http_is(r->fields[i].name, "host") &&
		    !http_is(r->fields[i].name, "content-length"))
			head_add(w, r->fields[i].name, r->fields[i].value);
	}
	w->authority = authority(c, w);
	px->expect = r->expect_continue && has_body(r);
	px->length = r->length;
	px->bodyless = http_is(r->method, "get") || http_is(r->method, "head") ||
		       http_is(r->method, "options");
	px->ended = !has_body(r);
	px->plain_done = !px->tunnel;
	c->h1->upgrade = false;
}

void px_request(struct conn *c, struct head *w, const struct http_head *r)
{
	struct px *px = c->px;
	const char *why;

	if (c->k->desk->dead[0]) {
		px_undecided(c, "request decider unavailable");
		return;
	}
	if (!px->tunnel && http_is(r->method, "connect")) {
		connect_to(c, r);
		return;
	}
	if (px->tunnel && r->upgrade) {
		conn_end(c, ""); /* other protocols are not looked into */
		return;
	}
	if (px->tunnel ? !look_in_tunnel(c, w, r) : !look_at_target(c, w, r))
		return;
	if (http_is(r->method, "trace") || http_is(r->method, "track") ||
	    http_is(r->method, "connect")) {
		px_answer(c, 405, "method_refused", "this method is not forwarded", true);
		return;
	}
	note(c, w, r);
	px->head = w->failed ? NULL : head_dup(w);
	if (!px->head) {
		px_bad(c, "the head has too many bytes");
		return;
	}
	why = px_ask(c, w, r);
	if (why) {
		px_bad(c, why);
		return;
	}
	px->step = PX_ASKED;
	px->deadline = c->k->now + PX_VERDICT_MS;
	c->h1->up = UP_ASK;
	if (c->k->desk->dead[0])
		px_lost(c, c->k->desk->dead); /* it has broken while it was asked */
}

/* --- verdicts --- */

static void dial(struct conn *c)
{
	struct keys_call m = { .kind = CALL_DIAL, .version = KEYS_VERSION, .port = c->port };
	struct px *px = c->px;

	px_release(c);
	px->deadline = 0; /* the dialer has its own times */
	if (c->server.watch.fd >= 0) {
		px_send(c); /* in a tunnel the connection is kept */
		return;
	}
	px->step = PX_DIALS;
	px->dial = m.id = ++c->k->desk->dials;
	(void)snprintf(m.text, sizeof(m.text), "%s", c->host); /* fits */
	keys_tell(c->k, &m);
}

static void allow(struct conn *c, const struct decider_verdict *v)
{
	struct px *px = c->px;
	struct head *edited;
	const char *why;

	px->step = PX_NONE; /* that was its verdict */
	if (!px->tls && (v->set || v->credential) && !c->k->desk->set_plain) {
		px_answer(c, 403, "plaintext_header_set",
			  "the verdict sets fields, which are not set on requests without TLS",
			  true);
		return;
	}
	why = px_edit(&edited, px->head, v, c->host);
	if (why) {
		px_answer(c, 403, "denied", why, true);
		return;
	}
	(void)head_free(px->head);
	px->head = edited;
	dial(c);
}

const char *px_verdict(struct conn *c, const struct decider_verdict *v)
{
	struct px *px = c->px;

	if (v->action == DECIDER_DENY) {
		px->step = PX_NONE;
		px_answer(c, v->status, "decider",
			  v->reason ? v->reason : "denied by sandbox policy", true);
		return NULL;
	}
	if (px->step == PX_READING)
		return "a verdict other than deny while the body is read";
	if (v->action == DECIDER_NEED_BODY)
		return px->step == PX_ASKED ? px_need_body(c, v->max) : "a second need_body";
	allow(c, v);
	return NULL;
}

void px_lost(struct conn *c, const char *why)
{
	char text[KEYS_WHY_MAX + 32];
	enum px_step step = c->px->step;

	if (step != PX_ASKED && step != PX_READING && step != PX_SHOWN)
		return;
	(void)snprintf(text, sizeof(text), "request decider: %s", why);
	px_undecided(c, text);
}

/* --- the server --- */

static void bad_gateway(struct conn *c, const char *why)
{
	/* what was dialled, and how it failed, is nothing for the client */
	(void)why;
	px_answer(c, 502, NULL, "Bad Gateway", true);
}

void px_dialled(struct conn *c, const struct keys_call *m, int fd)
{
	struct px *px = c->px;

	if (fd < 0) {
		if (m->denied)
			px_answer(c, 403, "address_not_allowed", m->text, true);
		else
			bad_gateway(c, m->text);
		return;
	}
	(void)snprintf(c->to.host, sizeof(c->to.host), "%s", c->host); /* of the same size */
	c->to.port = c->port;
	if (conn_serve(c, fd) < 0 || (px->tls && tls_server(c) < 0)) {
		bad_gateway(c, "out of memory");
		return;
	}
	c->h1->first = true;
	c->why[0] = '\0';
	px->deadline = c->k->now + PX_HANDSHAKE_MS;
	px->step = PX_CONNECTS;
	conn_again(c);
}

/* Who has closed its end waits for nothing more: nothing is done in its name. Return: whether something moved. */
static bool client_stays(struct conn *c)
{
	bool moved = side_fill(&c->client);

	if (!c->client.eof)
		return moved;
	conn_end(c, "");
	return false;
}

static bool connects(struct conn *c)
{
	char why[KEYS_WHY_MAX] = "";
	int r = c->px->tls ? tls_handshake(&c->server, why, sizeof(why)) : 1;

	if (r == 0)
		return client_stays(c);
	if (r == 1) {
		px_send(c);
		return true;
	}
	side_close(&c->server, false);
	bad_gateway(c, why);
	return true;
}

bool px_idle(const struct conn *c)
{
	return c->px && c->px->step == PX_NONE && c->h1 && c->h1->up == UP_HEAD &&
	       c->h1->down == DOWN_NONE;
}

bool px_step(struct conn *c)
{
	switch (c->px->step) {
	case PX_READING:
		return px_collect(c);
	case PX_CONNECTS:
		return connects(c);
	case PX_SENDS:
		return px_send_held(c);
	default:
		return client_stays(c);
	}
}

void px_done(struct conn *c)
{
	struct px *px = c->px;

	if (px->plain_done)
		side_close(&c->server, true);
	forget(c);
}

/* --- times --- */

/* How long a client may ask for nothing. */
static uint64_t patience(const struct conn *c)
{
	return c->h1->asked ? PX_IDLE_MS : c->px->tunnel ? PX_FIRST_MS : PX_SILENT_MS;
}

void px_times(struct conn *c)
{
	struct px *px = c->px;
	uint64_t now = c->k->now;

	if (c->state == CONN_OPEN && px->deadline && now >= px->deadline) {
		if (px->step == PX_CONNECTS) {
			side_close(&c->server, false);
			bad_gateway(c, "the handshake takes too long");
		} else {
			px_lost(c, "decider timed out");
		}
	} else if (c->state == CONN_OPEN && px_idle(c) &&
		   now - (c->moved > c->since ? c->moved : c->since) > patience(c)) {
		conn_finish(c, "");
	} else if (c->state < CONN_OPEN && now - c->since > PX_HANDSHAKE_MS) {
		conn_end(c, "");
	}
}
