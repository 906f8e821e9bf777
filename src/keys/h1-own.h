/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of h1.h share: h1.c has requests, h1-down.c answers, h1-pass.c the bodies of both. */
#ifndef BAILEY_KEYS_H1_OWN_H
#define BAILEY_KEYS_H1_OWN_H

#include "h1.h"
#include "judge.h"

#define H1_UNASKED "the server has sent what was not asked for"

enum up { UP_HEAD, UP_HOLD, UP_REACH, UP_BODY, UP_WAIT, UP_RAW, UP_ASK };
enum down { DOWN_NONE, DOWN_HEAD, DOWN_BODY, DOWN_RAW };
enum frame { FRAME_VERBATIM, FRAME_CHUNKED, FRAME_BARE };

struct h1 {
	enum up up;
	enum down down;
	enum frame frame_up, frame_down;
	size_t scan_up, scan_down;
	struct http_body body_up, body_down;
	enum http_framing framing; /* of the request */
	uint64_t length;           /* of its body, as it came */
	bool expect;               /* its client waits for "100 Continue" */
	bool first;                /* no request was sent to this server before this one */
	bool old;                  /* the client speaks HTTP/1.0 */
	bool head;                 /* the method is HEAD */
	bool last;                 /* nothing may follow this answer */
	bool upgrade;              /* to WebSocket is asked for */
	bool asked;                /* `srt proxy`: some request was sent to a server */
	bool began;                /* an answer of the server's is on its way to the client */
	bool shut_up, shut_down;   /* RAW: the end was passed on */
	uint64_t since;            /* ms: of the head */
	struct exchange x;
	struct fifo hold; /* a body that must be known before its head is sent */
	bool held;        /* the request's is there */
};

/** h1_answer() - answer the request; then comes the next one, or the end. @close: what the client sends after this is not to be understood */
void h1_answer(struct conn *c, const struct reply *r, bool close);

/** h1_send_request() - write the head that was judged. @length: of the body, where h->framing says that it has one. Return: whether it could be. */
bool h1_send_request(struct conn *c, struct head *w, uint64_t length);

/** h1_fail() - something is wrong with what a peer has sent: say so if nothing was said yet, and end. @status: of the answer */
void h1_fail(struct conn *c, int status, const char *why);

/** h1_done() - a request was sent, or an answer: if both were, the exchange is over. The connection may have ended. */
void h1_done(struct conn *c);

/** h1_ours() - whether the field @i of @r may not be copied, since it is about this connection or written anew. @length: Content-Length, too */
bool h1_ours(const struct http_head *r, size_t i, bool length);

/** h1_down() - do what can be done for answers. Return: whether something moved. The connection may have ended. */
bool h1_down(struct conn *c);

/** h1_raw() - bytes from @from to @to, after an upgrade. Return: as above. */
bool h1_raw(struct conn *c, struct side *from, struct side *to, bool *ret_shut);

/**
 * h1_pass_piece() - pass on at most @most bytes of the body that stands in the buffer of its side.
 * @up: of the request
 * @ret_done: the body has ended
 * Return: bytes dealt with; -EBADMSG (framing) or -EACCES (content) with @why, KEYS_WHY_MAX bytes.
 */
ssize_t h1_pass_piece(struct conn *c, bool up, size_t most, bool *ret_done, char *why);

/** h1_pass_end() - a body ends without a last piece: what was kept of it is passed on. Return: whether it may, else @why. */
bool h1_pass_end(struct conn *c, bool up, char *why);

/** h1_pass_empty() - whether a body has ended before any of its bytes came: one of length 0. @ret_failed: with @why */
bool h1_pass_empty(struct conn *c, bool up, char *why, bool *ret_failed);

#endif
