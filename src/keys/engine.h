/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the parts of bailey-keys share. Private to the room.
 *
 * A connection has two sides. The client's is one end of a pair whose other end the gateway copies from and to the sandbox; the server's is the socket that the gateway dialled.
 *
 *	state     what happens                                            next
 *	HELLO     the client's ClientHello comes; what it offers is noted CONNECT, or an alert and CLOSING
 *	CONNECT   TLS with the server, verified                           ACCEPT; a failure is kept for a 502, or becomes an alert
 *	ACCEPT    TLS with the client, with what the server took          OPEN
 *	OPEN      requests and answers (h1.c, h2.c)                       CLOSING, DEAD
 *	CLOSING   our last bytes are on their way, the client's are thrown away
 *	DEAD      freed at the end of the loop's turn
 *
 * Plain HTTP begins at OPEN. Every state has a time in which it must end.
 *
 * Memory of one connection, at most:
 *	both sides' bytes being read and written   2 * (CONN_IN + 2 * CONN_OUT)
 *	HTTP/2: bodies on the way, two windows     2 * 2 * H2_WINDOW
 *	HTTP/2: heads that are read, and that wait for the server   2 * sizeof(struct head) + H2_PENDING + streams
 *	HTTP/2: what is known of the requests to a bound host, and trailers that wait   CONN_EXCHANGES, and one more
 *	OpenSSL: a record of each direction of each side            4 * 17 KiB, while one is there
 * (a fifo may have twice its bytes.) That is 1.7 MiB for HTTP/1.1 and 4.6 MiB for HTTP/2, 8.6 MiB to a bound host, where chunks of AWS pass as large as they may be, and 1 MiB less elsewhere; together all connections' bodies hold KEYS_HELD before
 * those that hold much wait, and requests of HTTP/2 KEYS_EXCHANGES before more are refused. A body that must be known as a whole (INJECT_HOLD), or a chunk of one
 * (SIGV4_CHUNK_MAX), comes to that; past KEYS_HELD there is no place for it.
 */
#ifndef BAILEY_KEYS_ENGINE_H
#define BAILEY_KEYS_ENGINE_H

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/epoll.h>

#include "bound.h"
#include "ca.h"
#include "fifo.h"
#include "head.h"
#include "keys.h"
#include "login.h"
#include "mask.h"
#include "policy/policy.h"
#include "rules.h"
#include "sigv4.h"
#include "util/util.h"

#define CONN_IN (HTTP_HEAD_MAX + 1024u)
#define CONN_PIECE (16u << 10)
#define CONN_MORE \
	(320u     \
	 << 10) /* what one piece becomes, at most: a chunk that was held for its signature, and what of the piece stands behind it */
#define CONN_OUT_HIGH (64u << 10) /* from here on nothing more is made for this side */
#define CONN_OUT                     \
	(CONN_OUT_HIGH + CONN_MORE + \
	 4096u) /* what is begun below that, and its framing; or a head of HEAD_BYTES */
_Static_assert(CONN_MORE >= SIGV4_CHUNK_MAX + 3 * CONN_PIECE, "a chunk can't leave");
_Static_assert(CONN_OUT >= CONN_OUT_HIGH + HEAD_BYTES, "a head can't leave");
#define KEYS_HELD (128u << 20)
#define KEYS_HELD_EACH (64u << 10) /* a connection that holds less never waits for the others */
#define CONN_EXCHANGES \
	(4u            \
	 << 20) /* bytes that streams may have beside their bodies; past that new ones are refused */
#define KEYS_EXCHANGES (64u << 20) /* all connections' together */
#define KEYS_LOG \
	6400u /* messages to the gateway that wait: KEYS_LOG_HIGH, the requests of one piece of HTTP/2 and what their bodies bring, and of each connection of HTTP/1.1 a secret of its body, a refusal, its end, and where it is to lead */
#define KEYS_LOG_HIGH 256u /* from here on no client is read, and no server of HTTP/2 */

struct keys;
struct conn;
struct h1;
struct h2;
struct px;
struct desk;

struct watch {
	int fd; /* -1: none */
	void (*on)(struct keys *k, struct watch *w, uint32_t events);
};

struct side {
	struct watch watch;
	struct conn *c;
	SSL *ssl;                /* NULL: plain */
	bool readable, writable; /* as far as we know: edges */
	bool gone;               /* the peer has closed both directions */
	bool eof;                /* it sends nothing more */
	bool cut;                /* and did not say so, as TLS asks for */
	bool broken;
	bool deaf;      /* it takes nothing more, but may still say something */
	bool shut;      /* it was told that nothing more comes */
	uint64_t stuck; /* ms: since when it takes nothing of what is in out */
	struct fifo in, out;
};

enum conn_state { CONN_HELLO, CONN_CONNECT, CONN_ACCEPT, CONN_OPEN, CONN_CLOSING, CONN_DEAD };

/* Where the server's side leads, once requests are sent (reach.c). */
enum conn_reach {
	REACH_THERE,
	REACH_ASKED,  /* the gateway dials */
	REACH_SHAKES, /* TLS with it */
	REACH_MISSED, /* it can't be had, and that is to be told */
	REACH_NOWHERE /* and was */
};

enum conn_alpn { ALPN_NONE, ALPN_HTTP1, ALPN_H2 };

struct conn {
	struct keys *k;
	struct conn *next, *prev, *next_again;
	bool queued;
	enum conn_state state;
	uint32_t id;
	bool tls;
	uint16_t port;
	char host[NET_HOST_MAX + 1];
	bool cut; /* the client shall not take what it gets for complete */
	struct side client, server;
	struct forward_url
		to; /* where the server's side leads: the host, or what a rule forwards to; no path */
	enum conn_reach reach;
	uint32_t serial;           /* of the last KEYS_DIAL */
	uint64_t asked;            /* ms: since when it is not there */
	char missed[KEYS_WHY_MAX]; /* of REACH_MISSED: why */
	/* the handshakes */
	bool hello_go;             /* the ClientHello may be answered */
	int alert;                 /* with this alert; 0: with a certificate */
	bool alpn_sent;            /* the client has offered protocols */
	enum conn_alpn offers[2];  /* in its order; ALPN_NONE: no more */
	enum conn_alpn alpn;       /* that the server took */
	bool asks_certificate;     /* the server has */
	char failed[KEYS_WHY_MAX]; /* why the server can't be had: told by a 502; "" */
	char why[KEYS_WHY_MAX];    /* of its end */
	struct h1 *h1;
	struct h2 *h2;
	struct px *px;    /* of `srt proxy` (px.h); NULL: the gateway's */
	size_t held;      /* bytes of bodies, counted in k->held */
	size_t exchanges; /* of what is known of requests, counted in k->exchanges */
	uint64_t since;   /* ms: of the state */
	uint64_t moved;   /* ms: when a byte was read or written last */
};

/* A message to the gateway, or the dialer. */
struct note {
	size_t n;
	union {
		struct keys_request request;
		struct keys_end end;
		struct keys_dial dial;
		struct keys_call call;
	};
};

#define TLS_SESSIONS 256u

/* A server that can be gone on with. */
struct session {
	char host[NET_HOST_MAX + 1];
	uint16_t port;
	SSL_SESSION *session;
	uint64_t used;
};

struct keys {
	int epoll;
	uint64_t now; /* ms */
	struct watch control, gateway;
	struct fifo line, answers; /* of the supervisor, to it */
	struct ca *ca;
	SSL_CTX *to_client, *to_server;
	struct buf roots; /* of the host, until tls_roots() */
	struct session sessions[TLS_SESSIONS];
	uint64_t uses;
	struct arena arena[2]; /* of the rules: the ones in use, and the next ones */
	unsigned int arena_used;
	const struct rules *rules;
	struct arena own_arena;
	const char **own; /* hosts whose own credentials may be used, NULL-terminated; "**": all */
	const char **strip; /* fields that no answer has, NULL-terminated */
	struct masks masks;
	struct logins logins;
	bool keeps_logins; /* the helper writes them down */
	/* secrets (bound.h): the helper reads them */
	struct bound bound;
	struct inject_uploads uploads;
	const char **names; /* those that may be everybody's first */
	size_t n_names, n_shared;
	struct watch helper;
	struct fifo to_helper; /* what it has not taken yet; a message is in it as a whole */
	bool asked; /* it was, and the supervisor waits for the result; its next lines wait, too */
	struct buf
		secrets; /* what the helper says, as far as it has come; all of its memory at once, erased */
	uint32_t secrets_n;  /* bytes that are to come */
	size_t secrets_head; /* of that number itself */
	struct conn *live, *dead, *again;
	size_t n_conns;
	size_t held, exchanges;
	struct note *log; /* KEYS_LOG, a ring */
	size_t log_at, log_n;
	bool waiting;          /* clients wait until the log has room */
	struct desk *desk;     /* of `srt proxy` (px.h), which has no log; or NULL */
	uint64_t handshake_ms; /* in which either side must have done its own; 0: the usual time */
	bool over;
};

/* --- serve.c --- */

/** keys_watch() - wait for edges of @w. Return: 0 or negative errno. */
int keys_watch(struct keys *k, struct watch *w);

/** keys_unwatch() - close it. Whoever gave it to us may have it open still, so closing alone would not end its events. */
void keys_unwatch(struct keys *k, struct watch *w);

/** keys_log_room() - whether requests may be judged: their lines must not be lost. */
bool keys_log_room(struct keys *k);

/** keys_log() - a line about a request. @status: 0: it goes to the server */
void keys_log(struct conn *c, const struct head *h, int status, bool denied, const char *why,
	      const char *secret);

/** keys_log_rule() - the same; @rule: the entry that denied it, or "" */
void keys_log_rule(struct conn *c, const struct head *h, int status, bool denied, const char *why,
		   const char *secret, const char *rule);

/** keys_tell() - a message to the dialer. */
void keys_tell(struct keys *k, const struct keys_call *m);

/** keys_flush() - send what waits for the gateway, or the dialer. */
void keys_flush(struct keys *k);

/** keys_give_up() - what a process with secrets has no use for, before it reads anything. @keep: descriptors. Return: 0 or negative errno. */
int keys_give_up(const int *keep, size_t n);

/** keys_loop() - until k->over. */
void keys_loop(struct keys *k);

/** keys_log_end() - the connection is over. */
void keys_log_end(struct conn *c);

/** keys_dial() - have the gateway dial c->to; c->serial is the question's. */
void keys_dial(struct conn *c);

/** keys_say_result() - answer the supervisor's line. @notes: what people should know; "" */
void keys_say_result(struct keys *k, int r, const char *notes, const struct err *e);

/** keys_say_notice() - something that nobody has asked for. */
void keys_say_notice(struct keys *k, const char *text);

/** keys_lines() - take the supervisor's lines that wait for a result, and say what there is to say. */
void keys_lines(struct keys *k);

/* --- serve-secrets.c --- */

/** keys_secrets_begin() - fork the process that reads the stores, everybody's and the sandbox's own, either of which may be NULL; its first answer is waited for. Return: 0 or negative errno with @e. */
int keys_secrets_begin(struct keys *k, const char *store, const char *own, struct err *e);

/** keys_masks_begin() - what is bound when no store is read: the lists of the first line, each of which may be NULL. Return: 0 or negative errno with @e. */
int keys_masks_begin(struct keys *k, const struct json_node *masks, const struct json_node *pairs,
		     struct err *e);

/** keys_pairs() - other pairs of masks sign for AWS from now on. Return: 0 or negative errno with @e: nothing has changed. */
int keys_pairs(struct keys *k, const struct json_node *pairs, struct err *e);

#define KEYS_TO_HELPER \
	(LOGIN_KEPT + 64u) /* tokens, once, and questions, of which one is asked at a time */

/** keys_logins_keep() - what has changed of the tokens of log-ins: written down for a sandbox that stays, and people are told the first time. */
void keys_logins_keep(struct keys *k, struct login *login);

/** keys_secrets_say() - append "bound": whose hosts they are, so that it can be said which of them has none that is allowed. */
void keys_secrets_say(const struct keys *k, struct json *j);

/** keys_secrets_ask() - have them read again; the result is said later. Return: 0 or -EIO with @e. */
int keys_secrets_ask(struct keys *k, struct err *e);

/* --- conn.c --- */

/** conn_new() - take both descriptors; @server: -1: none yet. Return: 0 or negative errno; they are closed then. */
int conn_new(struct keys *k, const struct keys_offer *offer, int client, int server);

/** conn_serve() - take the server's descriptor. Return: 0 or negative errno; it is closed with the side. */
int conn_serve(struct conn *c, int server);

/** conn_tunnel() - what the client sends from here on is TLS. */
void conn_tunnel(struct conn *c);

/** conn_again() - another turn, soon. */
void conn_again(struct conn *c);

/** conn_step() - do what can be done now. */
void conn_step(struct conn *c);

/** conn_end() - it is over, at once; @why: "" or what is to be logged, unless something was before. */
void conn_end(struct conn *c, const char *why);

/** conn_finish() - send what is left to the client, then end; as above. */
void conn_finish(struct conn *c, const char *why);

/** conn_cut() - as conn_finish(), but the client is not told that this is all. */
void conn_cut(struct conn *c, const char *why);

/** conn_tick() - times. */
void conn_tick(struct keys *k);

/** side_begin() - @fd, which becomes the side's, stands for it. Return: 0 or negative errno; the descriptor is the side's all the same. */
int side_begin(struct conn *c, struct side *s, int fd);

/** conn_bury() - free the dead. */
void conn_bury(struct keys *k);

/** conn_hold() - @more (or fewer) bytes of bodies are held. */
void conn_hold(struct conn *c, ssize_t more);

/** conn_exchanges() - @more (or fewer) bytes of what is known of requests. */
void conn_exchanges(struct conn *c, ssize_t more);

/** conn_may_read() - whether bodies may come in, so that all connections together stay within bounds. */
bool conn_may_read(const struct conn *c);

/* --- reach.c --- */

/** conn_place() - where its client wants to go. */
struct forward_url conn_place(const struct conn *c);

/**
 * conn_reach() - have the server's side lead to @to; what was there before is closed. Nothing may be on its way there.
 * Return: 1: it does; 0: not yet, and conn_step() comes when that changes; -EIO: it can't be had, c->missed says why. Asked again it is tried again.
 */
int conn_reach(struct conn *c, const struct forward_url *to);

/** conn_dialled() - the gateway's answer to question @serial. @fd: taken; -1: none, because of @why */
void conn_dialled(struct conn *c, uint32_t serial, int fd, const char *why);

/* --- tls.c --- */

/** tls_begin() - contexts for both sides; reads the host's file of roots, and leaves it to tls_roots(). @roots: more of them, PEM, or NULL. Return: 0 or negative errno with @e. */
int tls_begin(struct keys *k, const char *const *roots, struct err *e);

/**
 * tls_roots() - trust what tls_begin() has read. It takes longer than all else (OpenSSL decodes every key), so it is done when the launcher has its answer, unless that
 * needs them. Should come before the first connection. Return: 0 or negative errno with @e: then nothing can be trusted.
 */
int tls_roots(struct keys *k, struct err *e);

/** tls_client(), tls_server() - begin with that side. Return: 0 or -ENOMEM. */
int tls_client(struct conn *c);
int tls_server(struct conn *c);

/** tls_handshake() - go on with @s. Return: 1: it is done; 0: bytes are awaited; -EAGAIN: it waits for c->hello_go; -EPROTO with @why. */
int tls_handshake(struct side *s, char *why, size_t size);

/** side_read() - up to @n bytes. Return: bytes; 0: the end; -EAGAIN; -EIO: s->broken, and the connection knows why. */
ssize_t side_read(struct side *s, void *p, size_t n);

/** side_fill() - read into s->in, as much as it takes. Return: whether something has come, or the end. */
bool side_fill(struct side *s);

/** side_flush() - write what is in s->out. Return: whether something went. */
bool side_flush(struct side *s);

/** side_add() - append to s->out; what does not fit breaks the side. */
void side_add(struct side *s, const void *p, size_t n);

/** side_close() - free; @clean: say that nothing follows. */
void side_close(struct side *s, bool clean);

#endif
