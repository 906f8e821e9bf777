/* SPDX-License-Identifier: Apache-2.0 */
#include "h2-stream.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LEG_MAX ((size_t)4 * H2_WINDOW) /* a window whose bytes became more on their way */
#define FIELDS (HEAD_FIELDS + 4u)
#define WASTE_MAX (16u << 20) /* of a body whose answer is on its way already */

struct stream *stream_new(struct conn *c, int32_t cid)
{
	struct stream *st = calloc(1, sizeof(*st));
	struct h2 *h = c->h2;

	if (!st)
		return NULL;
	st->c = c;
	st->cid = cid;
	st->up.data = st->down.data = (struct fifo)FIFO_INIT(LEG_MAX);
	st->next = h->streams;
	if (h->streams)
		h->streams->prev = st;
	h->streams = st;
	h->n++;
	return st;
}

static nghttp2_session *from(const struct stream *st, bool up)
{
	return up ? st->c->h2->c : st->c->h2->s;
}

static int32_t from_id(const struct stream *st, bool up)
{
	return up ? st->cid : st->sid;
}

/* Open the sender's window again. */
static void pay(struct stream *st, bool up, size_t n)
{
	struct leg *leg = up ? &st->up : &st->down;

	if (n > leg->owed)
		n = leg->owed;
	leg->owed -= n;
	if (n >
	    0) /* a stream that is gone still owes its connection's window; no memory ends the session by itself */
		(void)nghttp2_session_consume(from(st, up), from_id(st, up), n);
}

static void drop_trailers(struct stream *st, struct leg *leg)
{
	if (leg->trailers)
		conn_exchanges(st->c, -(ssize_t)leg->trailers->size);
	leg->trailers = head_fields_free(leg->trailers);
}

static void leg_done(struct stream *st, bool up)
{
	struct leg *leg = up ? &st->up : &st->down;

	conn_hold(st->c, -(ssize_t)leg->data.n);
	fifo_done(&leg->data);
	pay(st, up, leg->owed);
	drop_trailers(st, leg);
}

void stream_free(struct stream *st)
{
	struct h2 *h = st->c->h2;

	leg_done(st, true);
	leg_done(st, false);
	stream_sent(st);
	exchange_done(&st->x);
	if (st->prev)
		st->prev->next = st->next;
	else
		h->streams = st->next;
	if (st->next)
		st->next->prev = st->prev;
	h->n--;
	free(st);
}

void stream_sent(struct stream *st)
{
	st->c->h2->pending -= st->pending;
	st->pending = 0;
}

void stream_reset(struct stream *st, uint32_t code)
{
	struct h2 *h = st->c->h2;

	/* for want of memory a session ends by itself */
	if (!st->c_closed)
		(void)nghttp2_submit_rst_stream(h->c, NGHTTP2_FLAG_NONE, st->cid, code);
	if (!st->s_closed && st->sid > 0)
		(void)nghttp2_submit_rst_stream(h->s, NGHTTP2_FLAG_NONE, st->sid, code);
}

/* --- what is sent --- */

struct list {
	nghttp2_nv nv[FIELDS];
	size_t n, bytes;
};

/* One for all: nghttp2 copies what is submitted. */
static struct list list;

static void list_add(struct http_slice name, struct http_slice value, bool secret)
{
	nghttp2_nv *nv = &list.nv[list.n++];

	*nv = (nghttp2_nv){ .name = (uint8_t *)(uintptr_t)name.p,
			    .namelen = name.len,
			    .value = (uint8_t *)(uintptr_t)(value.p ? value.p : ""),
			    .valuelen = value.len,
			    .flags = secret ? NGHTTP2_NV_FLAG_NO_INDEX : NGHTTP2_NV_FLAG_NONE };
	list.bytes += name.len + value.len + 32;
}

/* What ends at a connection, or is said otherwise in HTTP/2. */
static bool passes(struct http_slice name, struct http_slice value)
{
	static const char *const barred[] = { "connection",       "host",
					      "keep-alive",       "upgrade",
					      "proxy-connection", "transfer-encoding",
					      "http2-settings" };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(barred); i++) {
		if (http_is(name, barred[i]))
			return false;
	}
	return !http_is(name, "te") || http_is(value, "trailers");
}

/* The fields of @h; their names in lower case. @secret: they are not to stay in tables. Return: whether they fit. */
static bool list_fields(struct head *h, bool secret)
{
	size_t i, k;

	for (i = 0; i < h->n; i++) {
		struct http_slice name = h->fields[i].name;
		char *p;

		if (!passes(name, h->fields[i].value))
			continue;
		for (k = 0; k < name.len && !(name.p[k] >= 'A' && name.p[k] <= 'Z'); k++)
			;
		if (k < name.len) {
			name = head_copy(h, name);
			if (!name.p)
				return false;
			p = (char *)(uintptr_t)name.p; /* ours */
			for (k = 0; k < name.len; k++)
				p[k] = (char)(p[k] >= 'A' && p[k] <= 'Z' ? p[k] | 0x20 : p[k]);
		}
		list_add(name, h->fields[i].value,
			 secret || http_is(name, "authorization") || http_is(name, "cookie"));
	}
	return true;
}

static void list_clear(void)
{
	memset(&list, 0, sizeof(list));
}

static bool send_trailers(nghttp2_session *session, int32_t id, const struct head_fields *f)
{
	static struct head behind;
	size_t i;
	bool ok;

	for (i = 0; i < f->n; i++)
		head_add(&behind, f->v[i].name, f->v[i].value);
	list_clear();
	ok = list_fields(&behind, false) &&
	     nghttp2_submit_trailer(session, id, list.nv, list.n) == 0;
	list_clear();
	head_clear(&behind);
	return ok;
}

static ssize_t on_read(nghttp2_session *session, int32_t id, uint8_t *to, size_t n, uint32_t *flags,
		       nghttp2_data_source *source, void *user)
{
	struct stream *st = source->ptr;
	struct conn *c = user;
	bool up = session == c->h2->s;
	struct leg *leg = up ? &st->up : &st->down;

	if (n > leg->data.n)
		n = leg->data.n;
	if (n == 0 && !leg->eof) {
		leg->deferred = true;
		return NGHTTP2_ERR_DEFERRED;
	}
	if (n > 0) {
		memcpy(to, fifo_head(&leg->data), n);
		fifo_take(&leg->data, n);
		conn_hold(c, -(ssize_t)n);
		leg->stuck = c->k->now;
		pay(st, up, leg->data.n > 0 ? n : leg->owed);
	}
	if (leg->data.n > 0 || !leg->eof)
		return (ssize_t)n;
	*flags |= NGHTTP2_DATA_FLAG_EOF;
	if (leg->trailers) {
		*flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
		if (!send_trailers(session, id, leg->trailers))
			return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
		drop_trailers(st, leg);
	}
	return (ssize_t)n;
}

static nghttp2_data_provider *provider(struct stream *st)
{
	static nghttp2_data_provider p;

	p = (nghttp2_data_provider){ .source = { .ptr = st }, .read_callback = on_read };
	return &p;
}

/* There is more for the session that sends this leg. */
static void wake(struct stream *st, bool up)
{
	struct leg *leg = up ? &st->up : &st->down;

	if (!leg->deferred)
		return;
	leg->deferred = false;
	/* a stream that has ended meanwhile needs nothing */
	(void)nghttp2_session_resume_data(from(st, !up), from_id(st, !up));
}

/* --- answers of ours --- */

static void answer(struct stream *st, const struct reply *r)
{
	struct buf body = BUF_INIT(RULES_BODY + KEYS_WHY_MAX + 64);
	char status[8], length[32];
	size_t i;

	st->answered = true;
	st->held = false;
	leg_done(st, true);
	leg_done(st, false);
	if (st->sid > 0 && !st->s_closed)
		(void)nghttp2_submit_rst_stream(st->c->h2->s, NGHTTP2_FLAG_NONE, st->sid,
						NGHTTP2_CANCEL);
	judge_reply_body(r, &body);
	(void)snprintf(status, sizeof(status), "%d", r->status);
	(void)snprintf(length, sizeof(length), "%zu", body.len);
	list_clear();
	list_add(http_slice(":status"), http_slice(status), false);
	if (!judge_reply_has(r, "content-type"))
		list_add(http_slice("content-type"), http_slice("text/plain; charset=utf-8"),
			 false);
	list_add(http_slice("content-length"), http_slice(length), false);
	if (r->denied)
		list_add(http_slice("x-bailey"), http_slice("denied"), false);
	for (i = 0; i < r->n; i++)
		list_add(r->fields[i].name, r->fields[i].value, false);
	if (!st->head && body.len > 0 && !body.failed &&
	    fifo_add(&st->down.data, body.data, body.len))
		conn_hold(st->c, (ssize_t)body.len);
	st->down.eof = true;
	st->down.stuck = st->c->k->now;
	if (nghttp2_submit_response(st->c->h2->c, st->cid, list.nv, list.n,
				    st->head ? NULL : provider(st)) != 0)
		stream_reset(st, NGHTTP2_INTERNAL_ERROR);
	st->began = true;
	buf_done(&body);
	exchange_done(&st->x); /* nothing of it is needed any more */
}

void stream_fail(struct stream *st, int status, const char *why)
{
	struct reply r = { .status = status, .denied = status < 500, .why = why };

	st->failed |= st->began;
	if (st->began)
		stream_reset(st, NGHTTP2_INTERNAL_ERROR);
	else
		answer(st, &r);
}

/* The same of a request that goes on already, or is waited for: that is a line of its own. */
static void refuse(struct stream *st, int status, const char *why)
{
	if (st->x.head)
		keys_log(st->c, st->x.head, status, status < 500, why, NULL);
	stream_fail(st, status, why);
}

/* --- requests --- */

static void send_request(struct stream *st, struct head *h, bool end)
{
	struct h2 *h2 = st->c->h2;
	int32_t id;

	if (!judge_fields(&st->x, h)) {
		refuse(st, 431, "the head has too many bytes");
		return;
	}
	list_clear();
	list_add(http_slice(":method"), h->method, false);
	list_add(http_slice(":scheme"), http_slice("https"), false);
	list_add(http_slice(":authority"), h->authority, false);
	list_add(http_slice(":path"), judge_target(&st->x, h),
		 st->x.inject && st->x.inject->secret);
	if (!list_fields(h, st->x.inject && st->x.inject->secret)) {
		refuse(st, 431, "the head has too many bytes");
		return;
	}
	id = nghttp2_submit_request(h2->s, NULL, list.nv, list.n, end ? NULL : provider(st), st);
	list_clear();
	if (id < 0) {
		stream_reset(
			st,
			NGHTTP2_REFUSED_STREAM); /* all ids are used: a new connection has more */
		return;
	}
	st->sid = id;
	st->pending = h->bytes;
	h2->pending += st->pending;
}

/* Whether the head says what HTTP/1.1's could. */
static bool check(struct stream *st, struct head *h, struct reply *r)
{
	struct http_target t;
	struct err e = ERR_INIT;

	*r = (struct reply){ .status = 431, .denied = true };
	if (h->failed) {
		r->why = "the head has too many bytes or fields";
		return false;
	}
	if (!h->target.p)
		h->target = http_slice("/"); /* of CONNECT, which is refused */
	if (!h->authority.p)
		h->authority = head_find(h, "host");
	st->head = judge_is_head(h->method);
	r->status = 400;
	if (http_target_parse(&t, h->method.len == 7 ? http_slice("OPTIONS") : h->method, h->target,
			      &e) < 0 ||
	    (t.form != HTTP_ORIGIN && t.form != HTTP_ASTERISK)) {
		(void)snprintf(r->text, sizeof(r->text), "%.200s",
			       e.msg[0] ? e.msg : "the path does not begin with a slash");
		r->why = r->text;
		return false;
	}
	return true;
}

void stream_request(struct stream *st, struct head *h, bool end)
{
	struct h2 *h2 = st->c->h2;
	struct reply r;

	if (!check(st, h, &r)) {
		keys_log(st->c, h, r.status, true, r.why, NULL);
		answer(st, &r);
		return;
	}
	if (h2->lost || h2->pending > H2_PENDING || st->c->exchanges > CONN_EXCHANGES ||
	    st->c->k->exchanges > KEYS_EXCHANGES) {
		stream_reset(st, NGHTTP2_REFUSED_STREAM);
		return;
	}
	if (!judge_request(st->c, h, !end, &st->x, &r)) {
		answer(st, &r);
		return;
	}
	if (!end && judge_holds(&st->x)) {
		st->up.data.max = INJECT_HOLD_MAX;
		st->held = true;
		return;
	}
	send_request(st, h, end);
}

/* --- bodies --- */

static void leg_add(struct stream *st, bool up, const void *p, size_t n)
{
	struct leg *leg = up ? &st->up : &st->down;

	if (n == 0)
		return;
	if (leg->data.n == 0)
		leg->stuck = st->c->k->now;
	if (up && st->held && st->c->k->held + n > KEYS_HELD) {
		refuse(st, 503, "too many bodies are held for signatures at a time");
		return;
	}
	if (!fifo_add(&leg->data, p, n)) {
		if (up && st->held)
			refuse(st, 413, "a body that must be known as a whole has too many bytes");
		else
			stream_reset(st, NGHTTP2_INTERNAL_ERROR);
		return;
	}
	conn_hold(st->c, (ssize_t)n);
}

/* The body that was waited for is there. */
static void release(struct stream *st)
{
	const char *p = st->up.data.n > 0 ? fifo_head(&st->up.data) : "";
	struct http_slice made;
	struct reply r;

	st->held = false;
	if (!judge_held(st->c, &st->x, p, st->up.data.n, &r)) {
		answer(st, &r);
		return;
	}
	made = judge_made(&st->x);
	if (made.p) {
		conn_hold(st->c, -(ssize_t)st->up.data.n);
		fifo_done(&st->up.data);
		leg_add(st, true, made.p, made.len);
	}
	send_request(st, st->x.head, false);
}

/* Through what changes it. @n = 0: its end */
static void change(struct stream *st, bool up, const char *p, size_t n)
{
	struct buf *b = judge_scratch();
	char why[KEYS_WHY_MAX];
	bool ok = up ? judge_up(&st->x, p, n, b, why) : judge_down(&st->x, p, n, b, why);

	if (ok)
		leg_add(st, up, b->data, b->len);
	judge_scratch_done();
	if (!ok)
		refuse(st, up ? 403 : 502, why);
}

static bool is_changed(const struct stream *st, bool up)
{
	return up ? judge_streams(&st->x) : judge_rewrites(&st->x);
}

void stream_data(struct stream *st, bool up, const void *p, size_t n)
{
	struct leg *leg = up ? &st->up : &st->down;
	char why[KEYS_WHY_MAX];

	leg->owed += n;
	if (st->answered || st->failed || (up ? st->s_closed : st->c_closed)) {
		pay(st, up, n);
		st->wasted += n;
		if (st->answered && st->wasted > WASTE_MAX)
			stream_reset(st, NGHTTP2_NO_ERROR);
		return;
	}
	if (!up && !judge_goes_on(&st->x, why))
		refuse(st, 502, why);
	else if (is_changed(st, up))
		change(st, up, p, n);
	else
		leg_add(st, up, p, n);
	if (leg->data.n == 0 || (up && st->held))
		pay(st, up, leg->owed); /* nothing will be taken that would */
	if (leg->data.n > 0)
		wake(st, up);
}

/* Of an answer they may have to be changed. Return: whether they may go on, else @why. */
static bool judge_behind(struct stream *st, bool up, struct head *h, char *why)
{
	if (h->failed || h->method.p || h->target.p || h->authority.p || h->scheme.p) {
		(void)snprintf(why, KEYS_WHY_MAX, "the trailers have too many bytes or fields");
		return false;
	}
	return up ? judge_trailers(&st->x, h, why) : judge_answer(&st->x, h, why);
}

void stream_trailers(struct stream *st, bool up, struct head *h)
{
	struct leg *leg = up ? &st->up : &st->down;
	char why[KEYS_WHY_MAX] = "trailers where none may be";

	if (st->answered || st->failed)
		return;
	if (!up && judge_rewrites(&st->x))
		change(st, false, NULL, 0); /* what was kept of the body comes before them */
	if (st->answered || st->failed)
		return;
	if (leg->trailers || leg->eof || !judge_behind(st, up, h, why)) {
		refuse(st, up ? 403 : 502, why);
		return;
	}
	leg->trailers = st->c->exchanges > CONN_EXCHANGES ? NULL : head_fields(h);
	if (leg->trailers)
		conn_exchanges(st->c, (ssize_t)leg->trailers->size);
	else
		stream_reset(st, NGHTTP2_ENHANCE_YOUR_CALM);
}

void stream_end(struct stream *st, bool up)
{
	struct leg *leg = up ? &st->up : &st->down;

	if (leg->eof)
		return;
	if (!st->answered && !st->failed && is_changed(st, up))
		change(st, up, NULL, 0);
	leg->eof = true;
	if (up && st->held)
		release(st);
	wake(st, up);
}

/* --- answers of the server --- */

void stream_answer(struct stream *st, struct head *h, bool end)
{
	char why[KEYS_WHY_MAX], status[8];
	nghttp2_session *to = st->c->h2->c;
	bool interim = h->status < 200;
	int r;

	if (st->answered || st->failed || st->c_closed)
		return;
	if (h->failed || h->status == 101) {
		refuse(st, 502, "the answer's head is too large, or none that HTTP/2 has");
		return;
	}
	if (!judge_answer(&st->x, h, why)) {
		refuse(st, 502, why);
		return;
	}
	list_clear();
	(void)snprintf(status, sizeof(status), "%d", h->status);
	list_add(http_slice(":status"), http_slice(status), false);
	if (judge_rewrites(&st->x))
		head_remove(h, http_slice("content-length"));
	if (!list_fields(h, false)) {
		refuse(st, 502, "the answer's head is too large");
		return;
	}
	if (interim)
		r = nghttp2_submit_headers(to, NGHTTP2_FLAG_NONE, st->cid, NULL, list.nv, list.n,
					   NULL);
	else
		r = nghttp2_submit_response(to, st->cid, list.nv, list.n,
					    end ? NULL : provider(st));
	list_clear();
	st->began |= !interim;
	if (r != 0)
		stream_reset(st, NGHTTP2_INTERNAL_ERROR);
}
