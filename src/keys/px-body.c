/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. A body waits in the client's socket until somebody wants it. When the decider does, at most what it has asked for is held, in h1's hold; what stands behind
 * that waits again. After an allow the held part goes to the server, then the rest as it comes. A body that is held whole gets its length, whatever framing it came in.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "h1-own.h"
#include "px.h"

static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";

static void ask_client(struct conn *c)
{
	if (c->px->expect)
		side_add(&c->client, go_on, sizeof(go_on) - 1);
	c->px->expect = false;
}

void px_release(struct conn *c)
{
	c->k->desk->held -= c->px->held;
	c->px->held = 0;
}

static void show(struct conn *c, bool cut)
{
	struct fifo *hold = &c->h1->hold;

	c->px->step = PX_SHOWN;
	c->px->deadline = c->k->now + PX_VERDICT_MS;
	px_show(c, hold->n > 0 ? fifo_head(hold) : "", hold->n, cut);
}

const char *px_need_body(struct conn *c, uint32_t max)
{
	struct px *px = c->px;
	struct desk *d = c->k->desk;
	size_t want = max;

	px->step = PX_READING; /* from here on it may be denied, and nothing else */
	px->deadline = 0;
	if (px->ended) {
		show(c, false);
		return NULL;
	}
	if (c->h1->framing == HTTP_BODY_LENGTH && px->length < want)
		want = (size_t)px->length;
	if (px->bodyless)
		want = 0; /* it is to have none */
	if (d->held + want > PX_HELD) {
		px_undecided(c, "request decider: too many request bodies held for inspection");
		return NULL;
	}
	d->held += px->held = want;
	px->max = (uint32_t)want;
	ask_client(c);
	conn_again(c);
	return NULL;
}

/* A method that has no body, and one all the same: it was not to be shown, and must not pass unseen. */
static void refuse_body(struct conn *c)
{
	px_answer(c, 403, "bodyless_method_body",
		  "the decider asks for the body of a request that should have none, and has one",
		  true);
}

/*
 * A piece of the body. As long as there is room it is held; then only framing is passed over, and the first byte of content stays where it is.
 * Return: bytes dealt with, -EAGAIN: the body has more than was asked for, or another negative errno.
 */
static ssize_t take_piece(struct conn *c, bool *ret_done, struct err *e)
{
	struct h1 *h = c->h1;
	struct fifo *in = &c->client.in, *hold = &h->hold;
	size_t room = c->px->max - hold->n;
	struct http_body next = h->body_up;
	struct http_slice content = { NULL, 0 };
	size_t n = in->n;
	ssize_t r;

	if (n > (room > 0 ? room : 1))
		n = room > 0 ? room : 1;
	r = http_body_read(&next, n > 0 ? fifo_head(in) : "", n, &content, ret_done, e);
	if (r < 0)
		return r;
	if (content.len > 0 && room == 0) {
		*ret_done = false; /* it was looked at, not taken: it may be the last one */
		return -EAGAIN;
	}
	if (content.len > 0 && !fifo_add(hold, content.p, content.len))
		return -ENOMEM;
	conn_hold(c, (ssize_t)content.len);
	h->body_up = next;
	fifo_take(in, (size_t)r);
	return r;
}

bool px_collect(struct conn *c)
{
	struct err e = ERR_INIT;
	bool moved = side_fill(&c->client), done = false;
	ssize_t n;

	for (;;) {
		n = take_piece(c, &done, &e);
		if (n == -EAGAIN && c->px->bodyless) {
			refuse_body(c);
			return true;
		}
		if (n == -EAGAIN || done)
			break;
		if (n < 0) {
			if (n == -ENOMEM)
				px_undecided(c, "request decider: out of memory");
			else
				px_bad(c, e.msg);
			return true;
		}
		if (n == 0) {
			if (c->client.eof)
				conn_end(c, "");
			return moved;
		}
		moved = true;
	}
	c->px->ended = done;
	show(c, !done);
	return true;
}

/* --- to the server --- */

void px_send(struct conn *c)
{
	struct h1 *h = c->h1;
	struct px *px = c->px;
	uint64_t length = px->length;
	bool body = h->framing != HTTP_BODY_NONE;

	px->deadline = 0;
	h->frame_up = h->framing == HTTP_BODY_CHUNKED ? FRAME_CHUNKED : FRAME_VERBATIM;
	if (body && px->ended) {
		/* all of it is here, or it has none */
		h->framing = HTTP_BODY_LENGTH;
		h->frame_up = FRAME_BARE;
		length = h->hold.n;
	}
	h->x.strip = c->k->strip && *c->k->strip ? c->k->strip : NULL;
	if (!h1_send_request(c, px->head, length)) {
		px_bad(c, "the head has too many bytes");
		return;
	}
	px->head = head_free(px->head);
	ask_client(c);
	px->step = PX_SENDS;
	h->asked = true;
	conn_again(c);
}

bool px_send_held(struct conn *c)
{
	struct h1 *h = c->h1;
	bool moved = false;
	char size[24];
	size_t n;
	int len;

	while (h->hold.n > 0 && c->server.out.n < CONN_OUT_HIGH) {
		n = h->hold.n < CONN_PIECE ? h->hold.n : CONN_PIECE;
		len = snprintf(size, sizeof(size), "%zx\r\n", n);
		if (h->frame_up == FRAME_CHUNKED)
			side_add(&c->server, size, (size_t)len);
		side_add(&c->server, fifo_head(&h->hold), n);
		if (h->frame_up == FRAME_CHUNKED)
			side_add(&c->server, "\r\n", 2);
		fifo_take(&h->hold, n);
		conn_hold(c, -(ssize_t)n);
		moved = true;
	}
	if (h->hold.n > 0 && !c->server.deaf)
		return moved;
	c->px->step = PX_NONE;
	h->up = c->px->ended ? UP_WAIT : UP_BODY;
	if (h->up == UP_WAIT)
		h1_done(c);
	return true;
}
