/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. A request's head is read whole, judged, and written anew: nothing of the client's framing or its connection gets to the server, so both read
 * the same. The next request is looked at when the answer to the one before is complete; until then its bytes wait in the client's buffer. Bodies pass in pieces,
 * each when the other side has room:
 *
 *	VERBATIM  with the framing they have, which was checked (http_body_step())
 *	CHUNKED   content in chunks of ours: its length changes, or its trailers may not pass
 *	BARE      content alone: of an unchanged length, or until the end of the connection for a client of HTTP/1.0
 *
 *	up     HEAD → (HOLD →) (REACH →) BODY → WAIT → HEAD      or RAW, after an upgrade to WebSocket; of `srt proxy` ASK behind HEAD (px.h)
 *	down   NONE → HEAD → BODY → NONE               or RAW
 *
 * Whenever the two could disagree about where something ends, the connection ends.
 */
#include "h1-own.h"
#include "px.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define HEAD_MS 30000 /* for a head that has begun */

/* One for all: a head is dealt with at once. Erased after each use. */
static struct head work;

int h1_begin(struct conn *c)
{
	struct h1 *h = calloc(1, sizeof(*h));

	if (!h)
		return -ENOMEM;
	h->first = true;
	h->hold = (struct fifo)FIFO_INIT(INJECT_HOLD_MAX);
	c->h1 = h;
	return 0;
}

struct h1 *h1_free(struct h1 *h)
{
	if (!h)
		return NULL;
	exchange_done(&h->x);
	fifo_done(&h->hold);
	free(h);
	return NULL;
}

/* --- answers of ours --- */

void h1_answer(struct conn *c, const struct reply *r, bool close)
{
	struct h1 *h = c->h1;
	struct buf *b = judge_scratch();
	struct buf body = BUF_INIT(RULES_BODY + KEYS_WHY_MAX + 64);
	struct http_slice none = { NULL, 0 };
	char length[32];
	size_t i;

	close = close || h->old || h->last;
	judge_reply_body(r, &body);
	http_write_status(b, r->status, none);
	if (!judge_reply_has(r, "content-type"))
		http_write_field(b, "Content-Type", http_slice("text/plain; charset=utf-8"));
	(void)snprintf(length, sizeof(length), "%zu", body.len); /* fits */
	http_write_field(b, "Content-Length", http_slice(length));
	if (r->denied)
		http_write_field(b, "X-Bailey", http_slice("denied"));
	for (i = 0; i < r->n; i++)
		http_write_copy(b, &(struct http_field){ r->fields[i].name, r->fields[i].value });
	if (close)
		http_write_field(b, "Connection", http_slice("close"));
	http_write_end(b);
	if (!h->head && body.len > 0)
		buf_add(b, body.data, body.len);
	if (b->failed || body.failed)
		conn_end(c, "an answer of ours does not fit");
	else
		side_add(&c->client, b->data, b->len);
	judge_scratch_done();
	buf_done(&body);
	if (c->state != CONN_OPEN)
		return;
	exchange_done(&h->x);
	conn_hold(c, -(ssize_t)h->hold.n);
	fifo_done(&h->hold);
	h->up = UP_HEAD;
	h->down = DOWN_NONE;
	if (close)
		conn_finish(c, "");
}

/* Something is wrong with what a peer has sent: say so if nothing was said yet. */
void h1_fail(struct conn *c, int status, const char *why)
{
	struct reply r = { .status = status, .denied = status < 500, .why = why };

	if (c->px && !c->h1->began) {
		if (status < 500)
			px_bad(c, why);
		else
			px_answer(c, status, NULL, "Bad Gateway", true);
		return;
	}
	/* a request that goes on already, or is waited for: what becomes of it now is a line of its own */
	if (c->h1->x.head)
		keys_log(c, c->h1->x.head, status, status < 500, why, NULL);
	if (c->h1->began) {
		conn_cut(c, why);
		return;
	}
	if (!*c->why)
		(void)snprintf(c->why, sizeof(c->why), "%s", why); /* cut where it is long */
	h1_answer(c, &r, true);
}

/* --- requests --- */

/* Whether the field @i of @r may not be copied, since it is about this connection or written anew. */
bool h1_ours(const struct http_head *r, size_t i, bool length)
{
	return http_hop_by_hop(r, i) || http_is(r->fields[i].name, "host") ||
	       (length && http_is(r->fields[i].name, "content-length"));
}

static bool wants_websocket(const struct http_head *r)
{
	size_t i;

	if (!r->upgrade || r->framing != HTTP_BODY_NONE || !http_is(r->method, "get"))
		return false;
	for (i = 0; i < r->n; i++) {
		if (http_is(r->fields[i].name, "upgrade") &&
		    http_token_in(r->fields[i].value, "websocket"))
			return true;
	}
	return false;
}

/*
 * As a struct head. @length: with Content-Length, as it was sent: signatures are over it. It is looked at, and never passed on: h1_send_request() writes the framing by what
 * the parser took for it.
 * Return: 0 or -EBADMSG with @e.
 */
static int take_request(struct head *w, const struct http_head *r, bool length, struct err *e)
{
	struct http_target t;
	size_t i;
	int error = http_target_parse(&t, r->method, r->target, e);

	if (error < 0)
		return error;
	w->method = r->method;
	w->target = r->target;
	w->authority = r->host;
	if (t.form == HTTP_ABSOLUTE) {
		/* "scheme://authority/path": the authority and Host are both compared */
		const char *at = r->target.p + strlen(t.scheme) + 3;

		w->scheme = http_slice(t.scheme);
		w->authority = (struct http_slice){ at, (size_t)(r->target.p + r->target.len - at) -
								t.path.len };
		if (r->host.p)
			head_add(w, http_slice("Host"), r->host);
		w->target = t.path.len > 0                ? t.path :
			    http_is(r->method, "options") ? http_slice("*") :
							    http_slice("/");
	}
	for (i = 0; i < r->n; i++) {
		if (!h1_ours(r, i, !length))
			head_add(w, r->fields[i].name, r->fields[i].value);
	}
	return 0;
}

bool h1_send_request(struct conn *c, struct head *w, uint64_t length)
{
	struct h1 *h = c->h1;
	struct buf *b = judge_scratch();
	struct http_head framing = { .framing = h->framing, .length = length };
	bool ok = judge_fields(&h->x, w);
	size_t i;

	/*
	 * We say "100 Continue" ourselves: a server that answers such a request at once takes its body as never sent, and the bytes that follow all the
	 * same for a request of their own, which nobody has judged.
	 */
	head_remove(w, http_slice("expect"));
	http_write_request(b, w->method, judge_target(&h->x, w));
	http_write_field(b, "Host", w->authority);
	for (i = 0; i < w->n; i++) {
		if (!http_is(w->fields[i].name, "host") &&
		    !http_is(w->fields[i].name, "content-length"))
			http_write_copy(b, &w->fields[i]);
	}
	if (h->frame_up == FRAME_CHUNKED)
		framing.framing = HTTP_BODY_CHUNKED;
	http_write_framing(b, &framing);
	if (h->upgrade) {
		http_write_field(b, "Connection", http_slice("Upgrade"));
		http_write_field(b, "Upgrade", http_slice("websocket"));
	} else if (h->last) {
		http_write_field(b, "Connection", http_slice("close"));
	}
	http_write_end(b);
	ok = ok && !b->failed;
	if (ok)
		side_add(&c->server, b->data, b->len);
	judge_scratch_done();
	h->down = DOWN_HEAD;
	h->scan_down = 0;
	h->began = false;
	return ok;
}

static void ask_for_body(struct conn *c)
{
	static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";

	if (c->h1->expect && c->h1->framing != HTTP_BODY_NONE)
		side_add(&c->client, go_on, sizeof(go_on) - 1);
	c->h1->expect = false;
}

/* The server that the request is for can't be had. */
static void no_server(struct conn *c, const struct head *w, const char *why)
{
	struct reply r = { .status = 502, .why = why };

	keys_log(c, w, 502, false, why, NULL);
	h1_answer(c, &r, c->h1->framing != HTTP_BODY_NONE);
}

/* Send what was judged, once there is its server; @w, which may be one for all, is kept until then. */
static void send_there(struct conn *c, struct head *w)
{
	struct h1 *h = c->h1;
	const bool held = h->up == UP_HOLD || (h->up == UP_REACH && h->held);
	int there;

	if (!h->x.forwarded && *c->failed && c->reach == REACH_THERE) {
		no_server(c, w, c->failed);
		return;
	}
	there = conn_reach(c, &h->x.to);
	h->first |= c->reach != REACH_THERE;
	h->held = held;
	if (there < 0) {
		no_server(c, w, c->missed);
	} else if (there == 0) {
		h->up = UP_REACH;
		if (!h->x.head)
			h->x.head = head_dup(w);
		if (!h->x.head)
			h1_fail(c, 503, "out of memory");
	} else if (!h1_send_request(c, w, held ? h->hold.n : h->length)) {
		h1_fail(c, 431, "the head has too many bytes");
	} else {
		ask_for_body(c);
		h->up = held || h->framing != HTTP_BODY_NONE ? UP_BODY : UP_WAIT;
		if (held)
			h->body_up = (struct http_body){ .framing = HTTP_BODY_NONE };
	}
}

static void judge(struct conn *c, const struct http_head *r)
{
	struct h1 *h = c->h1;
	bool body = r->framing != HTTP_BODY_NONE;
	struct reply reply;

	if (!judge_request(c, &work, body, &h->x, &reply)) {
		h1_answer(c, &reply, body);
		return;
	}
	h->frame_up = FRAME_VERBATIM;
	if (judge_streams(&h->x))
		h->frame_up = h->x.inject->resized ? FRAME_CHUNKED : FRAME_BARE;
	/* trailers of a chunked body could carry a credential: they do not pass */
	if (h->x.inject && h->framing == HTTP_BODY_CHUNKED)
		h->frame_up = FRAME_CHUNKED;
	h->length = r->length;
	h->expect = r->expect_continue;
	if (body && judge_holds(&h->x)) {
		ask_for_body(c);
		h->up = UP_HOLD; /* it is needed before the head can be sent */
	} else {
		send_there(c, &work);
	}
}

/* Return: whether a request was dealt with. */
static bool step_head(struct conn *c)
{
	static struct http_head r;
	struct h1 *h = c->h1;
	struct side *s = &c->client;
	struct err e = ERR_INIT;
	bool moved = side_fill(s);
	ssize_t n;
	int error;

	if (s->in.n == 0 || h->down != DOWN_NONE) {
		if (s->eof && h->down == DOWN_NONE)
			conn_finish(c, "");
		return moved;
	}
	if (!keys_log_room(c->k))
		return false;
	/* it would be taken for the answer to this request; of `srt proxy` such a server is closed (step_down_none()) */
	if (!c->px && c->reach == REACH_THERE && c->server.in.n > 0) {
		conn_finish(c, H1_UNASKED);
		return true;
	}
	if (h->scan_up == 0)
		h->since = c->k->now;
	h->began = h->head = h->old = h->last = false;
	n = http_head_end(&h->scan_up, fifo_head(&s->in), s->in.n, &e);
	if (n == -EAGAIN) {
		if (s->eof)
			conn_finish(c, "");
		return moved;
	}
	error = n < 0 ? (int)n : http_request_parse(&r, fifo_head(&s->in), (size_t)n, &e);
	if (error == 0)
		error = take_request(&work, &r, /* length= */ !c->px, &e);
	if (error < 0) {
		head_clear(&work);
		keys_log(c, NULL, error == -E2BIG ? 431 : 400, true, e.msg, NULL);
		h1_fail(c, error == -E2BIG ? 431 : 400, e.msg);
		return true;
	}
	h->scan_up = 0;
	h->old = r.minor == 0;
	h->head = judge_is_head(r.method);
	h->last = h->old || !r.keep_alive;
	h->upgrade = wants_websocket(&r);
	h->framing = r.framing;
	http_body_begin(&h->body_up, &r);
	if (c->px) {
		px_request(c, &work, &r);
	} else if (*c->failed && !rules_forward(c->k->rules, c->host)) {
		struct reply reply = { .status = 502, .why = c->failed };

		keys_log(c, &work, 502, false, c->failed, NULL);
		h1_answer(c, &reply, true);
	} else {
		judge(c, &r);
	}
	head_clear(&work);
	if (c->state == CONN_OPEN)
		fifo_take(&s->in, r.len);
	return true;
}

/* The request has been sent; with the answer the exchange is over. */
void h1_done(struct conn *c)
{
	struct h1 *h = c->h1;

	if (h->up != UP_WAIT || h->down != DOWN_NONE)
		return;
	exchange_done(&h->x);
	h->first = false;
	h->up = UP_HEAD;
	if (c->px)
		px_done(c);
	if (h->last)
		conn_finish(c, "");
}

/* --- bodies --- */

static bool step_up_body(struct conn *c)
{
	struct h1 *h = c->h1;
	struct side *s = &c->client;
	char why[KEYS_WHY_MAX];
	bool moved = side_fill(s), failed = false, done = h1_pass_empty(c, true, why, &failed);
	ssize_t n;

	if (failed) {
		h1_fail(c, 403, why);
		return true;
	}
	while (s->in.n > 0 && c->server.out.n < CONN_OUT_HIGH && !done) {
		n = h1_pass_piece(c, true, s->in.n < CONN_PIECE ? s->in.n : CONN_PIECE, &done, why);
		if (n < 0) {
			h1_fail(c, n == -EACCES ? 403 : 400, why);
			return true;
		}
		moved = true;
	}
	if (done) {
		h->up = UP_WAIT;
		h1_done(c);
		return true;
	}
	if (s->in.n == 0 && s->eof) {
		conn_end(c, "the client has not sent all of a request");
		return true;
	}
	return moved;
}

/* The whole body is there. */
static void release(struct conn *c)
{
	struct h1 *h = c->h1;
	const char *p = h->hold.n > 0 ? fifo_head(&h->hold) : "";
	struct http_slice made;
	struct reply r;

	if (!judge_held(c, &h->x, p, h->hold.n, &r)) {
		h1_answer(c, &r, true);
		return;
	}
	made = judge_made(&h->x);
	if (made.p) {
		conn_hold(c, (ssize_t)made.len - (ssize_t)h->hold.n);
		fifo_done(&h->hold);
		if (!fifo_add(&h->hold, made.p, made.len)) {
			conn_end(c, "out of memory");
			return;
		}
	}
	h->framing = HTTP_BODY_LENGTH;
	h->frame_up = FRAME_BARE;
	send_there(c, h->x.head);
}

/* Return: whether there is room; else the request is answered. */
static bool keep_content(struct conn *c, struct http_slice s)
{
	if (s.len == 0)
		return true;
	if (c->k->held + s.len > KEYS_HELD)
		h1_fail(c, 503, "too many bodies are held for signatures at a time");
	else if (!fifo_add(&c->h1->hold, s.p, s.len))
		h1_fail(c, 413, "a body that must be known as a whole has too many bytes");
	else
		conn_hold(c, (ssize_t)s.len);
	return c->state == CONN_OPEN;
}

/* The body is collected. */
static bool step_hold(struct conn *c)
{
	struct h1 *h = c->h1;
	struct side *s = &c->client;
	struct http_slice content;
	struct err e = ERR_INIT;
	bool moved = side_fill(s), done = false;
	ssize_t n;

	while (!done) {
		n = http_body_read(&h->body_up, s->in.n > 0 ? fifo_head(&s->in) : "", s->in.n,
				   &content, &done, &e);
		if (n < 0) {
			h1_fail(c, 400, e.msg);
			return true;
		}
		if (!keep_content(c, content))
			return true;
		if (n == 0 && !done) {
			if (s->eof)
				conn_end(c, "the client has not sent all of a request");
			return moved;
		}
		fifo_take(&s->in, (size_t)n);
		moved = true;
	}
	release(c);
	return true;
}

/* What was held is sent. */
static bool step_held_body(struct conn *c)
{
	struct h1 *h = c->h1;
	size_t n;
	bool moved = false;

	while (h->hold.n > 0 && c->server.out.n < CONN_OUT_HIGH) {
		n = h->hold.n < CONN_PIECE ? h->hold.n : CONN_PIECE;
		side_add(&c->server, fifo_head(&h->hold), n);
		fifo_take(&h->hold, n);
		conn_hold(c, -(ssize_t)n);
		moved = true;
	}
	if (h->hold.n == 0) {
		h->up = UP_WAIT;
		h1_done(c);
		return true;
	}
	return moved;
}

/* --- */

static bool step_up(struct conn *c)
{
	switch (c->h1->up) {
	case UP_HEAD:
		return step_head(c);
	case UP_HOLD:
		return step_hold(c);
	case UP_REACH:
		send_there(c, c->h1->x.head);
		return c->state != CONN_OPEN || c->h1->up != UP_REACH;
	case UP_BODY:
		return c->h1->body_up.framing == HTTP_BODY_NONE ? step_held_body(c) :
								  step_up_body(c);
	case UP_WAIT:
		return side_fill(&c->client); /* to notice its end */
	case UP_RAW:
		return h1_raw(c, &c->client, &c->server, &c->h1->shut_up);
	case UP_ASK:
		return px_step(c);
	}
	return false;
}

bool h1_step(struct conn *c)
{
	bool moved = step_up(c);

	if (c->state == CONN_OPEN)
		moved |= h1_down(c);
	if (c->state == CONN_OPEN) {
		moved |= side_flush(&c->client);
		moved |= side_flush(&c->server);
	}
	return moved;
}

bool h1_tick(struct conn *c)
{
	struct h1 *h = c->h1;

	if (h->up == UP_HEAD && h->down == DOWN_NONE && c->client.in.n > 0 && keys_log_room(c->k) &&
	    c->k->now - h->since > HEAD_MS) {
		h1_fail(c, 408, "the request's head does not end");
		return false;
	}
	if (h->up == UP_REACH)
		conn_again(c); /* it may have taken too long */
	return h->up != UP_HEAD || h->down != DOWN_NONE;
}
