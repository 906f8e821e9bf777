/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. nghttp2 has both sessions: frames, HPACK, flow control, and what makes a message well-formed (its own checks of pseudo fields, lengths and
 * names stay on). What it reads is judged and submitted to the other session (h2-stream.c). nghttp2 never calls back from a submission, only from
 * nghttp2_session_mem_recv() and nghttp2_session_mem_send(), so no callback is entered twice.
 *
 * Nothing of the client is read before the server has sent its SETTINGS: the client gets what it says about the number of streams. Windows are ours: they are opened
 * when bytes were passed on. What a session has to send is only taken from it while its side has room, and while it has none, nothing is read that could make more.
 */
#include "h2.h"

#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "h2-stream.h"

#define SETTLE_MS 15000
#define STUCK_MS 120000 /* of a stream whose reader does not open its window */
#define WASTE_MS 10000  /* for the rest of a body that was answered */
#define READS 8         /* pieces in one step */

/* --- memory that is erased --- */

static void mem_free(void *p, void *user)
{
	(void)user;
	if (p)
		explicit_bzero(p, malloc_usable_size(p));
	free(p);
}

static void *mem_malloc(size_t n, void *user)
{
	(void)user;
	return malloc(n);
}

static void *mem_calloc(size_t n, size_t size, void *user)
{
	(void)user;
	return calloc(n, size);
}

static void *mem_realloc(void *p, size_t n, void *user)
{
	size_t old = p ? malloc_usable_size(p) : 0;
	void *to;

	if (p && old >= n)
		return p;
	to = malloc(n);
	if (to && old > 0)
		memcpy(to, p, old < n ? old : n);
	if (to)
		mem_free(p, user);
	return to;
}

static nghttp2_mem memory = { NULL, mem_malloc, mem_free, mem_calloc, mem_realloc };

/* --- callbacks --- */

static struct stream *stream_of(nghttp2_session *session, int32_t id)
{
	return nghttp2_session_get_stream_user_data(session, id);
}

static int on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
	struct conn *c = user;
	bool up = session == c->h2->c;
	struct head **h = up ? &c->h2->from_c : &c->h2->from_s;
	struct stream *st;

	if (frame->hd.type != NGHTTP2_HEADERS)
		return 0;
	if (*h)
		head_clear(*h);
	else
		*h = calloc(1, sizeof(**h));
	if (!*h)
		return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
	if (!up || frame->headers.cat != NGHTTP2_HCAT_REQUEST)
		return 0;
	st = stream_new(c, frame->hd.stream_id);
	if (!st)
		return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
	return nghttp2_session_set_stream_user_data(session, st->cid, st);
}

/* A field whose name begins with ":". nghttp2 knows which may be there, and that each is there once. */
static void take_pseudo(struct head *h, struct http_slice name, struct http_slice value)
{
	size_t i;

	if (http_is(name, ":method")) {
		h->method = value;
	} else if (http_is(name, ":path")) {
		h->target = value;
	} else if (http_is(name, ":authority")) {
		h->authority = value;
	} else if (http_is(name, ":scheme")) {
		h->scheme = value;
	} else if (http_is(name, ":status")) {
		for (i = 0; i < value.len && i < 3; i++)
			h->status = h->status * 10 + (value.p[i] - '0');
	} else {
		h->failed = true;
	}
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
		     size_t n_name, const uint8_t *value, size_t n_value, uint8_t flags, void *user)
{
	struct conn *c = user;
	struct head *h = session == c->h2->c ? c->h2->from_c : c->h2->from_s;
	struct http_slice k, v;

	(void)flags;
	if (frame->hd.type != NGHTTP2_HEADERS || !h)
		return 0;
	h->bytes += n_name + n_value + 32;
	if (h->n == HTTP_FIELDS || h->bytes > HTTP_HEAD_MAX)
		h->failed = true;
	if (h->failed)
		return 0; /* it is read to its end all the same: HPACK has a state */
	k = head_copy(h, (struct http_slice){ (const char *)name, n_name });
	v = head_copy(h, (struct http_slice){ (const char *)value, n_value });
	if (h->failed)
		return 0;
	if (n_name > 0 && *name == ':')
		take_pseudo(h, k, v);
	else
		head_add(h, k, v);
	return 0;
}

/* nghttp2 would only leave the field out. */
static int on_invalid_header(nghttp2_session *session, const nghttp2_frame *frame,
			     const uint8_t *name, size_t n_name, const uint8_t *value,
			     size_t n_value, uint8_t flags, void *user)
{
	(void)session;
	(void)frame;
	(void)name;
	(void)n_name;
	(void)value;
	(void)n_value;
	(void)flags;
	(void)user;
	return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
}

static int on_invalid_frame(nghttp2_session *session, const nghttp2_frame *frame, int error,
			    void *user)
{
	struct conn *c = user;
	char why[KEYS_WHY_MAX];

	if (session == c->h2->c && frame->hd.type == NGHTTP2_HEADERS) {
		(void)snprintf(why, sizeof(why), "malformed HTTP/2: %s", nghttp2_strerror(error));
		keys_log(c, NULL, 400, true, why, NULL);
	}
	return 0;
}

static void take_headers(struct conn *c, const nghttp2_frame *frame, bool up, bool end)
{
	struct head **h = up ? &c->h2->from_c : &c->h2->from_s;
	struct stream *st = stream_of(up ? c->h2->c : c->h2->s, frame->hd.stream_id);

	if (!st || !*h)
		return;
	if (up && frame->headers.cat == NGHTTP2_HCAT_REQUEST) {
		stream_request(st, *h, end);
	} else if (!up && (*h)->status) {
		stream_answer(st, *h, end);
	} else {
		stream_trailers(st, up, *h);
	}
	*h = head_free(*h);
}

static void settle(struct conn *c)
{
	uint32_t streams = nghttp2_session_get_remote_settings(
		c->h2->s, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS);
	const struct bound_set *set = c->k->bound.now;
	uint32_t most =
		set && inject_bound(set->v, set->n, c->host) ? H2_BOUND_STREAMS : H2_STREAMS;
	nghttp2_settings_entry ours[] = {
		{ NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, streams < most ? streams : most },
		{ NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, H2_WINDOW },
		{ NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, HTTP_HEAD_MAX },
	};

	if (c->h2->settled)
		return;
	c->h2->settled = true;
	/* can only fail for want of memory; then nothing is sent, and the time for it passes */
	(void)nghttp2_submit_settings(c->h2->c, NGHTTP2_FLAG_NONE, ours, ARRAY_SIZE(ours));
	(void)nghttp2_session_set_local_window_size(c->h2->c, NGHTTP2_FLAG_NONE, 0, H2_WINDOW);
}

/* The server opens no more streams, so the client shall not either: it goes on with a new connection. */
static void pass_goaway(struct conn *c)
{
	if (c->h2->goaway)
		return;
	c->h2->goaway = true;
	(void)nghttp2_submit_goaway(c->h2->c, NGHTTP2_FLAG_NONE,
				    nghttp2_session_get_last_proc_stream_id(c->h2->c),
				    NGHTTP2_NO_ERROR, NULL,
				    0); /* no memory: it ends all the same */
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
	struct conn *c = user;
	bool up = session == c->h2->c, end = (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
	struct stream *st;

	switch (frame->hd.type) {
	case NGHTTP2_HEADERS:
		take_headers(c, frame, up, end);
		break;
	case NGHTTP2_DATA:
		break;
	case NGHTTP2_SETTINGS:
		if (!up && !(frame->hd.flags & NGHTTP2_FLAG_ACK))
			settle(c);
		return 0;
	case NGHTTP2_GOAWAY:
		if (!up)
			pass_goaway(c);
		return 0;
	case NGHTTP2_RST_STREAM:
		/* of any code, before the stream is closed: NO_ERROR is no end like another */
		st = stream_of(session, frame->hd.stream_id);
		if (st)
			*(up ? &st->c_reset : &st->s_reset) = true;
		return 0;
	default:
		return 0;
	}
	st = stream_of(session, frame->hd.stream_id);
	if (st && end)
		stream_end(st, up);
	return 0;
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *p, size_t n,
		   void *user)
{
	struct conn *c = user;
	struct stream *st = stream_of(session, id);

	(void)flags;
	if (st)
		stream_data(st, session == c->h2->c, p, n);
	else
		return nghttp2_session_consume(session, id, n);
	return 0;
}

/* The client's stream is over. */
static void close_client(struct h2 *h, struct stream *st, uint32_t code)
{
	st->c_closed = true;
	if (st->sid == 0)
		st->s_closed = true;
	else if (!st->s_closed && (code != NGHTTP2_NO_ERROR || st->c_reset))
		(void)nghttp2_submit_rst_stream(h->s, NGHTTP2_FLAG_NONE, st->sid, code);
}

/* The server's: what it has sent, and that it wants no more, is the client's to know. */
static void close_server(struct h2 *h, struct stream *st, uint32_t code)
{
	bool sent = nghttp2_session_get_stream_local_close(h->c, st->cid) == 1;

	st->s_closed = true;
	stream_sent(st);
	if (st->c_closed || st->answered)
		return;
	if (code != NGHTTP2_NO_ERROR || !st->down.eof)
		(void)nghttp2_submit_rst_stream(h->c, NGHTTP2_FLAG_NONE, st->cid,
						code || st->s_reset ? code :
								      NGHTTP2_INTERNAL_ERROR);
	else if (sent && !st->up.eof) /* else with the last byte of the answer: on_sent() */
		(void)nghttp2_submit_rst_stream(h->c, NGHTTP2_FLAG_NONE, st->cid, NGHTTP2_NO_ERROR);
}

static int on_close(nghttp2_session *session, int32_t id, uint32_t code, void *user)
{
	struct conn *c = user;
	struct h2 *h = c->h2;
	struct stream *st = stream_of(session, id);

	if (!st)
		return 0;
	if (session == h->c)
		close_client(h, st, code);
	else
		close_server(h, st, code);
	if (st->c_closed && st->s_closed)
		stream_free(st);
	return 0;
}

static int on_sent(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
	struct conn *c = user;
	struct stream *st;

	if (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA)
		return 0;
	st = stream_of(session, frame->hd.stream_id);
	if (!st)
		return 0;
	if (session == c->h2->s) {
		stream_sent(st);
		return 0;
	}
	/* the answer is complete, and nobody wants the rest of the request (RFC 9113 8.1) */
	if ((frame->hd.flags & NGHTTP2_FLAG_END_STREAM) && !st->up.eof && st->s_closed &&
	    !st->answered)
		(void)nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, st->cid,
						NGHTTP2_NO_ERROR);
	return 0;
}

/* The server's session can't send a request: it takes no more streams. */
static int on_not_sent(nghttp2_session *session, const nghttp2_frame *frame, int error, void *user)
{
	struct conn *c = user;
	struct stream *st;

	(void)error;
	if (session != c->h2->s || frame->hd.type != NGHTTP2_HEADERS)
		return 0;
	for (st = c->h2->streams; st && st->sid != frame->hd.stream_id; st = st->next)
		;
	if (!st || st->s_closed)
		return 0;
	st->s_closed = true;
	stream_sent(st);
	(void)nghttp2_session_set_stream_user_data(session, st->sid,
						   NULL); /* it may not be there */
	if (st->c_closed)
		stream_free(st);
	else
		(void)nghttp2_submit_rst_stream(c->h2->c, NGHTTP2_FLAG_NONE, st->cid,
						NGHTTP2_REFUSED_STREAM);
	return 0;
}

/* --- sessions --- */

static nghttp2_session_callbacks *make_callbacks(void)
{
	nghttp2_session_callbacks *cb;

	if (nghttp2_session_callbacks_new(&cb) != 0)
		return NULL;
	nghttp2_session_callbacks_set_on_begin_headers_callback(cb, on_begin_headers);
	nghttp2_session_callbacks_set_on_header_callback(cb, on_header);
	nghttp2_session_callbacks_set_on_invalid_header_callback(cb, on_invalid_header);
	nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(cb, on_invalid_frame);
	nghttp2_session_callbacks_set_on_frame_recv_callback(cb, on_frame);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(cb, on_data);
	nghttp2_session_callbacks_set_on_stream_close_callback(cb, on_close);
	nghttp2_session_callbacks_set_on_frame_send_callback(cb, on_sent);
	nghttp2_session_callbacks_set_on_frame_not_send_callback(cb, on_not_sent);
	return cb;
}

static bool greet_server(struct h2 *h)
{
	static const nghttp2_settings_entry ours[] = {
		{ NGHTTP2_SETTINGS_ENABLE_PUSH, 0 },
		{ NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, H2_WINDOW },
		{ NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, HTTP_HEAD_MAX },
	};

	return nghttp2_submit_settings(h->s, NGHTTP2_FLAG_NONE, ours, ARRAY_SIZE(ours)) == 0 &&
	       nghttp2_session_set_local_window_size(h->s, NGHTTP2_FLAG_NONE, 0, H2_WINDOW) == 0;
}

int h2_begin(struct conn *c)
{
	nghttp2_session_callbacks *cb = make_callbacks();
	nghttp2_option *option = NULL;
	struct h2 *h = calloc(1, sizeof(*h));
	bool ok = cb && h && nghttp2_option_new(&option) == 0;

	if (ok) {
		nghttp2_option_set_no_auto_window_update(option, 1);
		nghttp2_option_set_no_closed_streams(option, 1);
		ok = nghttp2_session_server_new3(&h->c, cb, c, option, &memory) == 0 &&
		     nghttp2_session_client_new3(&h->s, cb, c, option, &memory) == 0 &&
		     greet_server(h);
	}
	nghttp2_option_del(option);
	nghttp2_session_callbacks_del(cb);
	c->h2 = h;
	if (!ok)
		c->h2 = h2_free(h);
	return ok ? 0 : -ENOMEM;
}

struct h2 *h2_free(struct h2 *h)
{
	if (!h)
		return NULL;
	while (h->streams)
		stream_free(h->streams);
	nghttp2_session_del(h->c);
	nghttp2_session_del(h->s);
	h->from_c = head_free(h->from_c);
	h->from_s = head_free(h->from_s);
	free(h);
	return NULL;
}

/* Take from a session what it has to send, while there is room. Return: whether there was something. */
static bool take_frames(struct side *s, nghttp2_session *session)
{
	const uint8_t *p;
	bool moved = false;
	ssize_t n;

	while (s->out.n < CONN_OUT_HIGH && !s->broken) {
		n = nghttp2_session_mem_send(session, &p);
		if (n < 0)
			s->broken = true;
		if (n <= 0)
			break;
		side_add(s, p, (size_t)n);
		moved = true;
	}
	return moved;
}

/* Give a session what has come. Return: whether something has. */
static bool give_frames(struct side *s, nghttp2_session *session)
{
	static uint8_t piece[CONN_PIECE];
	bool moved = false;
	ssize_t n, used;
	int i;

	for (i = 0; i < READS; i++) {
		n = side_read(s, piece, sizeof(piece));
		if (n <= 0)
			break;
		moved = true;
		used = nghttp2_session_mem_recv(session, piece, (size_t)n);
		explicit_bzero(piece, (size_t)n);
		if (used < 0) {
			if (!*s->c->why)
				(void)snprintf(s->c->why, sizeof(s->c->why),
					       "HTTP/2 with the %s: %s",
					       s == &s->c->client ? "client" : "server",
					       nghttp2_strerror((int)used));
			s->broken = true;
			break;
		}
		if (s->c->client.out.n >= CONN_OUT_HIGH || s->c->server.out.n >= CONN_OUT_HIGH)
			break;
	}
	return moved;
}

/* The server is gone: what it has not answered gets a 502. */
static void lose_server(struct conn *c)
{
	struct stream *st, *next;
	const char *why = *c->why ? c->why : "the server has closed the connection";

	c->h2->lost = true;
	for (st = c->h2->streams; st; st = next) {
		next = st->next;
		if (st->s_closed)
			continue;
		st->s_closed = true;
		stream_sent(st);
		if (st->c_closed)
			stream_free(st);
		else if (!st->answered && !st->down.eof)
			stream_fail(st, 502, why);
	}
	pass_goaway(c);
}

static bool may_read(struct conn *c)
{
	return c->server.out.n < CONN_OUT_HIGH && c->client.out.n < CONN_OUT_HIGH &&
	       conn_may_read(c);
}

bool h2_step(struct conn *c)
{
	struct h2 *h = c->h2;
	bool moved = false;

	if (!h->lost && c->server.out.n < CONN_OUT_HIGH && conn_may_read(c) && keys_log_room(c->k))
		moved |= give_frames(&c->server, h->s);
	if (h->settled && may_read(c) && keys_log_room(c->k))
		moved |= give_frames(&c->client, h->c);
	if (!h->lost && (c->server.eof || c->server.broken ||
			 (!nghttp2_session_want_read(h->s) && !nghttp2_session_want_write(h->s))))
		lose_server(c);
	if (h->settled)
		moved |= take_frames(&c->client, h->c);
	if (!h->lost)
		moved |= take_frames(&c->server, h->s);
	moved |= side_flush(&c->client);
	moved |= side_flush(&c->server);
	if (c->client.broken || c->client.eof) {
		conn_end(c, "");
		return false;
	}
	if ((h->lost || h->goaway) && h->n == 0 && c->client.out.n == 0 &&
	    !nghttp2_session_want_write(h->c)) {
		conn_finish(c, "");
		return true;
	}
	if (!nghttp2_session_want_read(h->c) && !nghttp2_session_want_write(h->c)) {
		conn_finish(c, "the client breaks the rules of HTTP/2");
		return true;
	}
	return moved;
}

static bool is_stuck(const struct conn *c, const struct leg *leg)
{
	return leg->data.n > 0 && c->k->now - leg->stuck > STUCK_MS;
}

bool h2_tick(struct conn *c)
{
	struct stream *st, *next;

	if (!c->h2->settled && c->k->now - c->since > SETTLE_MS) {
		conn_end(c, "the server has sent no SETTINGS");
		return false;
	}
	for (st = c->h2->streams; st; st = next) {
		next = st->next;
		if (is_stuck(c, &st->up) || is_stuck(c, &st->down))
			stream_reset(st, NGHTTP2_CANCEL);
		else if (st->answered && st->down.data.n == 0 &&
			 c->k->now - st->down.stuck > WASTE_MS)
			stream_reset(st, NGHTTP2_NO_ERROR);
		else
			continue;
		conn_again(c);
	}
	return c->h2->n > 0;
}
