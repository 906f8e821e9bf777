/* SPDX-License-Identifier: Apache-2.0 */
/* Bodies of HTTP/1.1 on their way: in pieces, with the framing they have or another (h1.c says when). */
#include "h1-own.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* One chunk of ours; @n = 0: the last one. */
static void add_chunk(struct side *to, const char *p, size_t n)
{
	char size[24];
	int len = snprintf(size, sizeof(size), "%zx\r\n", n);

	side_add(to, size, (size_t)len);
	if (n > 0)
		side_add(to, p, n);
	side_add(to, "\r\n", 2);
}

static void add_content(struct side *to, enum frame frame, const char *p, size_t n, bool done)
{
	if (frame == FRAME_CHUNKED) {
		if (n > 0)
			add_chunk(to, p, n);
		if (done)
			add_chunk(to, NULL, 0);
	} else if (n > 0) {
		side_add(to, p, n);
	}
}

/* A piece of content, which may be changed on its way; @done: nothing follows. Return: whether it may go on, else @why. */
static bool pass_content(struct conn *c, bool up, struct http_slice s, bool done, char *why)
{
	struct h1 *h = c->h1;
	struct side *to = up ? &c->server : &c->client;
	enum frame frame = up ? h->frame_up : h->frame_down;
	bool (*change)(struct exchange *, const char *, size_t, struct buf *, char *) =
		up ? judge_up : judge_down;
	struct buf *b;
	bool ok = true;

	if (up ? !judge_streams(&h->x) : !judge_rewrites(&h->x)) {
		add_content(to, frame, s.p, s.len, done);
		return true;
	}
	b = judge_scratch();
	if (s.len > 0)
		ok = change(&h->x, s.p, s.len, b, why);
	if (ok && done)
		ok = change(&h->x, NULL, 0, b, why);
	if (ok)
		add_content(to, frame, b->data, b->len, done);
	judge_scratch_done();
	return ok;
}

/*
 * A piece of the body that stands in from->in. @ret_done: the body has ended.
 * Return: bytes dealt with, or negative with @why.
 */
ssize_t h1_pass_piece(struct conn *c, bool up, size_t most, bool *ret_done, char *why)
{
	struct h1 *h = c->h1;
	struct side *from = up ? &c->client : &c->server, *to = up ? &c->server : &c->client;
	struct http_body *body = up ? &h->body_up : &h->body_down;
	enum frame frame = up ? h->frame_up : h->frame_down;
	struct http_slice content = { NULL, 0 };
	struct err e = ERR_INIT;
	ssize_t n;

	if (!up && !judge_goes_on(&h->x, why))
		return -EACCES;
	if (frame == FRAME_VERBATIM)
		n = http_body_step(body, fifo_head(&from->in), most, ret_done, &e);
	else
		n = http_body_read(body, fifo_head(&from->in), most, &content, ret_done, &e);
	if (n < 0) {
		(void)snprintf(why, KEYS_WHY_MAX, "%.200s", e.msg); /* cut where it is long */
		return n;
	}
	if (frame == FRAME_VERBATIM)
		side_add(to, fifo_head(&from->in), (size_t)n);
	else if (!pass_content(c, up, content, *ret_done, why))
		return -EACCES;
	fifo_take(&from->in, (size_t)n);
	return n;
}

/* Whether a body has ended before any of its bytes came: one of length 0. What has to be said at its end is said. */
bool h1_pass_empty(struct conn *c, bool up, char *why, bool *ret_failed)
{
	struct http_body *body = up ? &c->h1->body_up : &c->h1->body_down;
	enum frame frame = up ? c->h1->frame_up : c->h1->frame_down;
	struct err e = ERR_INIT;
	bool done = false;

	(void)http_body_step(body, "", 0, &done,
			     &e); /* no bytes: can't fail but where it failed before */
	if (done && frame != FRAME_VERBATIM)
		*ret_failed = !pass_content(c, up, (struct http_slice){ NULL, 0 }, true, why);
	return done;
}

bool h1_pass_end(struct conn *c, bool up, char *why)
{
	return pass_content(c, up, (struct http_slice){ NULL, 0 }, true, why);
}
