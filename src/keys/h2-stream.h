/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A request and its answer in HTTP/2. Each is a stream of the client's session and, once it was judged, one of the server's. A leg is the way of a body from one to the other:
 * what came waits in it until the other session sends it, and only then the window of its sender is opened again. So a leg holds at most a window.
 */
#ifndef BAILEY_KEYS_H2_STREAM_H
#define BAILEY_KEYS_H2_STREAM_H

#include <nghttp2/nghttp2.h>

#include "h2.h"
#include "judge.h"

struct leg {
	struct fifo data;
	size_t owed;                  /* bytes for which the sender's window was not opened yet */
	bool eof;                     /* nothing follows but trailers */
	bool deferred;                /* the session that sends it waits for more */
	struct head_fields *trailers; /* owned, or NULL; counted in c->exchanges */
	uint64_t stuck;               /* ms: since when nothing was taken */
};

struct stream {
	struct stream *next, *prev;
	struct conn *c;
	int32_t cid, sid; /* in the client's session, the server's; 0: none */
	struct leg up, down;
	bool c_closed, s_closed;
	bool c_reset, s_reset; /* by the peer */
	bool answered; /* by us: the request's body is thrown away, some of it: clients that are reset while they send lose the answer (curl 7.88) */
	size_t wasted; /* bytes of it */
	bool began;    /* an answer is on its way to the client */
	bool failed;   /* it was reset by us, and what still comes of it is nothing */
	bool head;     /* the method is HEAD */
	struct exchange x;
	bool held;      /* it waits until its body is known */
	size_t pending; /* bytes of a head that the server's session has not sent yet */
};

struct h2 {
	nghttp2_session *c, *s;       /* with the client, with the server */
	struct head *from_c, *from_s; /* that are being read */
	struct stream *streams;
	size_t n;
	size_t pending;
	bool settled; /* the server's SETTINGS have come, and the client has got ours */
	bool goaway;  /* the client was told to open no more streams */
	bool lost;    /* the server is gone */
};

/** stream_new() - for the client's stream @cid. Return: it, or NULL. */
struct stream *stream_new(struct conn *c, int32_t cid);

/** stream_free() - forget it; what it held of windows is given back. */
void stream_free(struct stream *st);

/** stream_request() - the client's head @h is there. @end: it has no body */
void stream_request(struct stream *st, struct head *h, bool end);

/** stream_answer() - the server's head @h is there, final or interim. */
void stream_answer(struct stream *st, struct head *h, bool end);

/** stream_data() - bytes of a body. @up: the client's */
void stream_data(struct stream *st, bool up, const void *p, size_t n);

/** stream_trailers() - fields behind a body; @h may be changed. */
void stream_trailers(struct stream *st, bool up, struct head *h);

/** stream_end() - a body has ended. */
void stream_end(struct stream *st, bool up);

/** stream_reset() - give it up on both sides. */
void stream_reset(struct stream *st, uint32_t code);

/** stream_fail() - as stream_reset(), with an answer of ours if none was begun. */
void stream_fail(struct stream *st, int status, const char *why);

/** stream_sent() - the server's session has sent the request's head, or never will. */
void stream_sent(struct stream *st);

#endif
