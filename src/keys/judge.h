/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What becomes of a request, whichever version of HTTP it came in: the checks, the rules, the secrets; and what of the answer has to be replaced.
 *  1. judge_request()             pass it on, or answer it
 *  2. judge_fields()              what the request looks like that is sent
 *  3. judge_up(), judge_up_end()  its body, where it is not passed on as it is
 *  4. judge_answer()              the answer's head
 *  5. judge_goes_on(), judge_down() …  its body
 */
#ifndef BAILEY_KEYS_JUDGE_H
#define BAILEY_KEYS_JUDGE_H

#include "engine.h"
#include "inject.h"
#include "scrub.h"

#define JUDGE_MORE CONN_MORE /* what one piece of a body may become */

/* The secrets that count for a host, at one moment; held. */
struct judge_secrets {
	struct bound_set *set;
	struct login_token **tokens; /* owned, LOGIN_TOKENS places; NULL: none */
	size_t n_tokens;
	struct inject_secret *all;     /* owned: these and those of @set; NULL: @set's alone */
	const struct inject_secret *v; /* of one of the two */
	size_t n;
};

/* One request and its answer. */
struct exchange {
	struct conn *c;
	struct forward_url to;      /* where the request goes */
	bool forwarded;             /* a rule says so, and it is not the connection's own host */
	struct inject *inject;      /* owned; NULL: no secret is bound to the host */
	struct scrub *scrub;        /* owned; NULL: the answer is passed on as it is */
	struct judge_secrets first; /* of the request, and of its answer … */
	struct judge_secrets later; /* … with these, once there were others (judge_goes_on()) */
	uint64_t serial;            /* of those that count for the answer */
	struct head *
		head; /* owned: the request's, while there is an inject, or while it waits for its server */
	const char *const *strip;   /* fields that the answer must not have; NULL: none */
	struct rules_field *fields; /* owned, with its texts: of a rule, to be set */
	size_t n_fields;
	/* of log-ins */
	enum login_kind kind; /* of the request; LOGIN_NOT: it gives no tokens */
	struct login *login;  /* that it is of */
	bool body;            /* the request has one, which may hold sentinels of tokens */
	struct buf made;      /* that one, with tokens; erased */
	char length[24];      /* of it, in digits */
	bool gathers;         /* the answer is gathered, for its tokens */
	struct buf answer;    /* so far; erased */
	size_t size, kept;    /* bytes that are counted in c->exchanges, in c->held */
};

/* An answer of ours. */
struct reply {
	int status;
	bool denied;
	const char *why; /* for people and the log; the body where @body is none */
	char text[KEYS_WHY_MAX];
	const struct rules_field *fields; /* of a fixed one */
	size_t n;
	struct http_slice body; /* p NULL: "bailey: WHY\n" */
};

/**
 * judge_request() - decide, and log it.
 * @h: of the request; its target may be changed
 * @body: there is one, or may be
 * @x: set in any case; exchange_done() afterwards
 * Return: true: it goes to the server; false: @r is to be answered.
 */
bool judge_request(struct conn *c, struct head *h, bool body, struct exchange *x, struct reply *r);

/** judge_is_head() - whether answers to that method have no body. A method's letters count as they are: "Head" is one that a server may answer with a body. */
bool judge_is_head(struct http_slice method);

/** judge_holds() - whether the body is needed before the head can be sent; that is x->head then. */
bool judge_holds(const struct exchange *x);

/** judge_held() - here it is. Return: as above. */
bool judge_held(struct conn *c, struct exchange *x, const char *p, size_t n, struct reply *r);

/** judge_made() - after judge_held(): what is sent in the place of that body; p NULL: it is as it was. */
struct http_slice judge_made(const struct exchange *x);

/**
 * judge_fields() - change the fields of @h into what is sent: after judge_request(), and judge_held() where that is needed. Its target stays as it was asked for, since that is
 * logged. Return: whether it fits.
 */
bool judge_fields(struct exchange *x, struct head *h);

/** judge_target() - the target that is sent for @h, with what was put into it: not to be logged. Holds until exchange_done(). */
struct http_slice judge_target(const struct exchange *x, const struct head *h);

/** judge_streams() - whether the body goes through judge_up(). */
bool judge_streams(const struct exchange *x);

/** judge_up() - a piece of the body; @n = 0: its end. Appends to @out. Return: whether it may go on; else @why, KEYS_WHY_MAX bytes. */
bool judge_up(struct exchange *x, const char *p, size_t n, struct buf *out, char *why);

/** judge_trailers() - fields behind a request's body. Return: as above. */
bool judge_trailers(struct exchange *x, const struct head *h, char *why);

/** judge_rewrites() - after judge_answer(): whether the answer's body goes through judge_down(), and changes its length. */
bool judge_rewrites(const struct exchange *x);

/** judge_answer() - an answer's head, or trailers. Return: as above; a refusal becomes a 502. */
bool judge_answer(struct exchange *x, struct head *h, char *why);

/**
 * judge_goes_on() - before each piece of the answer's body that has come: secrets that are bound, and tokens that were given, since the request began are looked for from here on, since
 * what is put into another request may come back in this answer. Return: as above; false where its beginning went on without being searched.
 */
bool judge_goes_on(struct exchange *x, char *why);

/** judge_down() - a piece of the answer's body; @n = 0: its end. Return: as above. */
bool judge_down(struct exchange *x, const char *p, size_t n, struct buf *out, char *why);

/** judge_reply_has() - whether @r sets the field @name (lower case). */
bool judge_reply_has(const struct reply *r, const char *name);

/** judge_reply_body() - append the body of @r to @b. */
void judge_reply_body(const struct reply *r, struct buf *b);

/** exchange_done() - erase and free. */
void exchange_done(struct exchange *x);

/** judge_scratch() - memory for pieces of bodies, empty, of JUDGE_MORE bytes; one for all, erased by judge_scratch_done(). */
struct buf *judge_scratch(void);
void judge_scratch_done(void);

#endif
