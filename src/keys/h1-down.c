/* SPDX-License-Identifier: Apache-2.0 */
/* Answers of HTTP/1.1, and what follows when one was 101. */
#include "h1-own.h"
#include "px.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

/* One for all: a head is dealt with at once. Erased after each use. */
static struct head work;

/* --- after an upgrade --- */

static void shut(struct side *s)
{
	if (s->ssl)
		(void)SSL_shutdown(s->ssl); /* the peer's own comes when it comes */
	else
		(void)shutdown(s->watch.fd, SHUT_WR); /* it may be gone */
}

bool h1_raw(struct conn *c, struct side *from, struct side *to, bool *ret_shut)
{
	bool moved = side_fill(from);
	size_t n;

	while (from->in.n > 0 && to->out.n < CONN_OUT_HIGH) {
		n = from->in.n < CONN_PIECE ? from->in.n : CONN_PIECE;
		side_add(to, fifo_head(&from->in), n);
		fifo_take(&from->in, n);
		moved = true;
	}
	if (from->eof && from->in.n == 0 && to->out.n == 0 && !*ret_shut) {
		*ret_shut = true;
		if (from->cut) {
			c->cut = true;
			conn_end(c, "");
			return true;
		}
		shut(to);
		moved = true;
	}
	if (c->h1->shut_up && c->h1->shut_down)
		conn_end(c, "");
	return moved;
}

/* --- answers of the server --- */

static struct http_slice method(const struct h1 *h)
{
	return http_slice(h->head ? "HEAD" : "GET");
}

static bool agrees_to_websocket(const struct h1 *h, const struct http_head *r)
{
	return h->upgrade && r->upgrade && http_is(http_field_find(r, "upgrade"), "websocket");
}

/* Whether an answer's body gets chunks of ours: it changes, its trailers may not pass, or its end is that of the server's connection and the client's goes on. */
static bool is_rechunked(const struct conn *c, const struct http_head *r)
{
	const struct exchange *x = &c->h1->x;

	return judge_rewrites(x) || (x->strip && r->framing == HTTP_BODY_CHUNKED) ||
	       (c->px && !c->h1->old && r->framing == HTTP_BODY_CLOSE);
}

/* How the answer's body is framed for the client. */
static void choose_frame(struct conn *c, const struct http_head *r)
{
	struct h1 *h = c->h1;

	h->frame_down = FRAME_VERBATIM;
	if (r->framing == HTTP_BODY_NONE)
		return;
	if (h->old && (judge_rewrites(&h->x) || r->framing == HTTP_BODY_CHUNKED))
		h->frame_down = FRAME_BARE;
	else if (is_rechunked(c, r))
		h->frame_down = FRAME_CHUNKED;
	if (h->frame_down == FRAME_BARE ||
	    (r->framing == HTTP_BODY_CLOSE && !(c->px && h->frame_down == FRAME_CHUNKED)))
		h->last = true;
}

static bool write_answer(struct conn *c, const struct http_head *r, struct head *w)
{
	struct h1 *h = c->h1;
	struct http_head framing = { .framing = r->framing };
	struct buf *b = judge_scratch();
	bool length = h->frame_down == FRAME_VERBATIM && !judge_rewrites(&h->x), ok;
	size_t i;

	http_write_status(b, w->status, w->reason);
	for (i = 0; i < w->n; i++) {
		if (length || !http_is(w->fields[i].name, "content-length"))
			http_write_copy(b, &w->fields[i]);
	}
	if (h->frame_down == FRAME_CHUNKED)
		framing.framing = HTTP_BODY_CHUNKED;
	if (framing.framing == HTTP_BODY_CHUNKED && h->frame_down != FRAME_BARE)
		http_write_framing(b, &framing);
	if (h->down == DOWN_RAW) {
		http_write_field(b, "Connection", http_slice("Upgrade"));
		http_write_field(b, "Upgrade", http_slice("websocket"));
	} else if (h->last && w->status >= 200) {
		http_write_field(b, "Connection", http_slice("close"));
	}
	http_write_end(b);
	ok = !b->failed;
	if (ok)
		side_add(&c->client, b->data, b->len);
	judge_scratch_done();
	return ok;
}

/* Return: why it can't be passed on, or NULL. */
static const char *take_answer(struct conn *c, const struct http_head *r, char *why)
{
	struct h1 *h = c->h1;
	bool interim = r->status < 200 && r->status != 101;
	size_t i;

	if (r->status == 101 && !agrees_to_websocket(h, r))
		return "the server changes to a protocol that was not asked for";
	work.status = r->status;
	work.reason = r->reason.p ? r->reason : http_slice("");
	for (i = 0; i < r->n; i++) {
		if (!h1_ours(r, i, false))
			head_add(&work, r->fields[i].name, r->fields[i].value);
	}
	if (!judge_answer(&h->x, &work, why))
		return why;
	if (interim)
		h->frame_down = FRAME_VERBATIM;
	else
		choose_frame(c, r);
	if (r->status == 101) {
		h->up = UP_RAW;
		h->down = DOWN_RAW;
	} else if (!interim) {
		if (c->px)
			c->px->plain_done |= !r->keep_alive;
		else
			h->last |= !r->keep_alive;
		http_body_begin(&h->body_down, r);
		h->down = DOWN_BODY;
	}
	if (interim && h->old)
		return NULL;
	if (!write_answer(c, r, &work))
		return "the answer's head does not fit";
	h->began |= !interim;
	return NULL;
}

static void no_answer(struct conn *c)
{
	struct h1 *h = c->h1;

	/* one that was kept may be closed by the server just now: clients ask again on a new one */
	if (!h->first && c->server.in.n == 0 && !*c->why)
		conn_finish(c, "");
	else
		h1_fail(c, 502,
			*c->why ? c->why :
				  "the server has closed the connection without an answer");
}

static bool step_down_head(struct conn *c)
{
	static struct http_head r;
	struct h1 *h = c->h1;
	struct side *s = &c->server;
	char text[KEYS_WHY_MAX];
	struct err e = ERR_INIT;
	bool moved = side_fill(s);
	const char *why = NULL;
	ssize_t n;

	n = http_head_end(&h->scan_down, s->in.n > 0 ? fifo_head(&s->in) : "", s->in.n, &e);
	if (n == -EAGAIN) {
		if (s->eof || s->broken)
			no_answer(c);
		return moved;
	}
	if (n < 0 || http_response_parse(&r, fifo_head(&s->in), (size_t)n, method(h), &e) < 0) {
		(void)snprintf(text, sizeof(text), "the server's answer: %.200s", e.msg);
		h1_fail(c, 502, text);
		return true;
	}
	why = take_answer(c, &r, text);
	head_clear(&work);
	if (why) {
		h1_fail(c, 502, why);
		return true;
	}
	h->scan_down = 0;
	fifo_take(&s->in, r.len);
	return true;
}

static bool end_answer(struct conn *c)
{
	struct h1 *h = c->h1;

	h->down = DOWN_NONE;
	h1_done(c);
	return true;
}

static bool step_down_body(struct conn *c)
{
	struct h1 *h = c->h1;
	struct side *s = &c->server;
	char why[KEYS_WHY_MAX];
	bool moved = side_fill(s), failed = false, done = h1_pass_empty(c, false, why, &failed);
	ssize_t n;

	if (failed) {
		conn_cut(c, why);
		return true;
	}
	while (s->in.n > 0 && c->client.out.n < CONN_OUT_HIGH && !done) {
		n = h1_pass_piece(c, false, s->in.n < CONN_PIECE ? s->in.n : CONN_PIECE, &done,
				  why);
		if (n < 0) {
			conn_cut(c, why);
			return true;
		}
		moved = true;
	}
	if (done)
		return end_answer(c);
	if (s->in.n > 0 || !(s->eof || s->broken))
		return moved;
	if (h->body_down.framing != HTTP_BODY_CLOSE || s->cut || s->broken) {
		conn_cut(c, "the server has not sent all of an answer");
		return true;
	}
	if (h->frame_down != FRAME_VERBATIM && !h1_pass_end(c, false, why)) {
		conn_cut(c, why);
		return true;
	}
	return end_answer(c);
}

/* Nothing is awaited of the server. */
static bool step_down_none(struct conn *c)
{
	struct side *s = &c->server;
	bool moved;

	if (s->watch.fd < 0 || c->reach != REACH_THERE)
		return false;
	if (c->px && c->px->step == PX_CONNECTS)
		return false;
	moved = side_fill(s);
	if (c->px && (s->in.n > 0 || s->eof || s->broken)) {
		side_close(s, false); /* another one is dialled when it is needed */
	} else if (s->in.n > 0 && c->h1->up == UP_HEAD) {
		conn_end(c, H1_UNASKED);
	} else if ((s->eof || s->broken) && c->h1->first && *c->why) {
		/* an alert behind the handshake: the first request is told of it */
		(void)snprintf(c->failed, sizeof(c->failed), "%s", c->why); /* of the same size */
		side_close(s, false);
		return true;
	} else if (s->eof || s->broken) {
		conn_finish(c, "");
	}
	return moved;
}

bool h1_down(struct conn *c)
{
	switch (c->h1->down) {
	case DOWN_NONE:
		return step_down_none(c);
	case DOWN_HEAD:
		return step_down_head(c);
	case DOWN_BODY:
		return step_down_body(c);
	case DOWN_RAW:
		return h1_raw(c, &c->server, &c->client, &c->h1->shut_down);
	}
	return false;
}
