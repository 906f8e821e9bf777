/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `srt proxy` (docs/adr/0035): what bailey-keys does when a program at the other end of a descriptor decides about every request. Connections are those of engine.h and h1.h;
 * here is what differs. Nothing of a request goes to a server, and no server is dialled, before an allow for it has come in time.
 *
 *	px.c         a request: checked, asked about, dialled for, sent
 *	px-body.c    its body, as far as the decider asks for it
 *	px-edit.c    what an allow changes in its fields
 *	px-link.c    the link to the decider: frames, ids, times
 *	px-look.c    what a request names, and whether all its names agree; pure
 *	px-tls.c     the client's TLS behind CONNECT
 *	px-serve.c   the beginning and the end
 */
#ifndef BAILEY_KEYS_PX_H
#define BAILEY_KEYS_PX_H

#include "engine.h"

#define PX_TUNNELS 256u
#define PX_VERDICT_MS 5000    /* that a verdict may take */
#define PX_HANDSHAKE_MS 10000 /* of the client's TLS */
#define PX_FIRST_MS 10000     /* behind it, for the first request */
#define PX_IDLE_MS 6000       /* for the next one */
#define PX_SILENT_MS 60000    /* for the first one of a client without a tunnel */
#define PX_GRACE_MS 1000      /* at the end, for answers that are on their way */
#define PX_HELD \
	((size_t)2 * DECIDER_BODY) /* bytes of bodies that are held for the decider at a time */
#define PX_QUEUED          \
	(PX_HELD / 3 * 4 + \
	 (32u << 20)) /* bytes that it has not taken: past that it does not read */
#define PX_LATE \
	4096u /* ids that are remembered, of requests that have been answered without their verdict */

enum px_step {
	PX_NONE,    /* no request is there */
	PX_ASKED,   /* about it */
	PX_READING, /* its body is collected for the decider */
	PX_SHOWN,   /* the body was sent to the decider */
	PX_DIALS,
	PX_CONNECTS, /* TLS with the server */
	PX_SENDS     /* what was held of the body goes to the server */
};

/* A connection's. */
struct px {
	bool tunnel;          /* it has begun with CONNECT */
	bool counted;         /* as a tunnel */
	struct fifo early;    /* what the client sent behind CONNECT before it was answered */
	bool looked;          /* its first bytes are a ClientHello's */
	bool named, misnamed; /* it names a server; and that is no name */
	char sni[NET_HOST_MAX + 1];
	bool plain_done; /* the server's side ends with this answer */
	/* the request */
	enum px_step step;
	uint64_t id;
	uint64_t deadline; /* ms; 0: none */
	struct head *head; /* owned: what will be sent */
	bool tls;          /* with the server */
	bool expect;       /* the client waits for 100 */
	bool bodyless;     /* the method has no body as a rule */
	bool ended;        /* the whole body is in h1's hold */
	uint64_t length;
	uint32_t max; /* bytes of the body that the decider wants */
	size_t held;  /* of desk.held */
	uint32_t dial;
};

enum px_late { PX_LATE_NONE, PX_LATE_FIRST, PX_LATE_SHOWN };

/* The process's. */
struct desk {
	struct watch in, out;      /* out has none where one descriptor is both */
	struct fifo frames, queue; /* that come, that go */
	bool greeted;              /* the decider's hello has come */
	char dead[KEYS_WHY_MAX];   /* why the link is no more; "" */
	struct decider_hello hello;
	struct arena arena; /* of that */
	uint64_t last;      /* id */
	struct {
		uint64_t id;
		enum px_late late;
	} late[PX_LATE]; /* at its id, modulo */
	size_t held, tunnels;
	uint32_t dials;
	bool set_plain; /* --plaintext-header-set */
	bool closing;
	uint64_t over_at; /* ms: the end, when closing */
};

/* --- px-serve.c --- */

/** keys_srt_proxy() - `bailey-keys srt-proxy LETTERS [NAME…]`: letters of keys.h; no answer has a field NAME. Return: exit status. */
int keys_srt_proxy(char **words);

/** px_close() - nothing more is taken or asked, and soon it is over. @why: for people, unless it was closed before */
void px_close(struct keys *k, const char *why);

/** px_tick() - whether it is over. */
void px_tick(struct keys *k);

/** px_greeted() - the decider has said which hosts may be asked for. */
void px_greeted(struct keys *k);

/* --- px.c --- */

/** px_begin() - a new connection. Return: 0 or -ENOMEM. */
int px_begin(struct conn *c);

/** px_opened() - the tunnel's TLS is there. */
void px_opened(struct conn *c);

/** px_free() - takes NULL. Return: NULL. The connection is over: what is still awaited for it comes to nobody. */
struct px *px_free(struct conn *c);

/** px_request() - a request's head: @w and @r say the same. */
void px_request(struct conn *c, struct head *w, const struct http_head *r);

/** px_bad() - what has come is no request that could be passed on. */
void px_bad(struct conn *c, const char *why);

/** px_idle() - whether no request is there. */
bool px_idle(const struct conn *c);

/** px_step() - do what can be done before the server has the request. Return: whether something moved. */
bool px_step(struct conn *c);

/** px_verdict() - here is one. Return: NULL, or how it breaks the protocol. */
const char *px_verdict(struct conn *c, const struct decider_verdict *v);

/** px_lost() - the decider is no more, or late. @why: what people are told */
void px_lost(struct conn *c, const char *why);

/** px_dialled() - the dialer's answer. @fd: taken, or -1 with the message's text */
void px_dialled(struct conn *c, const struct keys_call *m, int fd);

/** px_done() - the answer is complete. */
void px_done(struct conn *c);

/** px_times() - of the step that is waited in; the connection may have ended. */
void px_times(struct conn *c);

/** px_answer() - answer with @status. @mark: of X-Deny-Reason, NULL: none; @text: the body; @close: the connection ends with it */
void px_answer(struct conn *c, int status, const char *mark, const char *text, bool close);

/** px_undecided() - answer that there is no verdict. */
void px_undecided(struct conn *c, const char *why);

/* --- px-body.c --- */

/** px_need_body() - the decider asks for it. Return: as px_verdict(). */
const char *px_need_body(struct conn *c, uint32_t max);

/** px_collect() - go on collecting. Return: as px_step(). */
bool px_collect(struct conn *c);

/** px_send() - the server is there: send the head and what is held. */
void px_send(struct conn *c);

/** px_send_held() - go on with that. Return: as px_step(). */
bool px_send_held(struct conn *c);

/** px_release() - the body is held for the decider no more. */
void px_release(struct conn *c);

/* --- px-edit.c --- */

/**
 * px_edit() - apply an allow: what it removes and sets goes, in any spelling; then what it sets is added, and a credential where its class belongs.
 * @ret: a head of its own, owned
 * Return: NULL; or why it can't be applied, and nothing is forwarded.
 */
const char *px_edit(struct head **ret, const struct head *h, const struct decider_verdict *v,
		    const char *host);

/* --- px-link.c --- */

/** px_ask() - send the request. Return: NULL; or why it can't be asked about. */
const char *px_ask(struct conn *c, const struct head *w, const struct http_head *r);

/** px_show() - send the @n bytes of the body at @p. */
void px_show(struct conn *c, const char *p, size_t n, bool cut);

/** px_forget() - its verdict, if one comes, is for nobody. @late: what may still come */
void px_forget(struct keys *k, uint64_t id, enum px_late late);

/** px_link_begin() - say hello. Return: 0 or negative errno. */
int px_link_begin(struct keys *k);

/** px_link_end() - @why: what people are told. */
void px_link_end(struct keys *k, const char *why);

/* --- px-look.c --- */

struct px_target {
	char host[NET_HOST_MAX + 1]; /* of decider_host() */
	uint16_t port;
	bool tls;
	struct http_slice path; /* as the client spelled it */
};

/** px_look_connect() - Return: whether @target is HOST:PORT in ASCII. *@ret has "" as host where no name or address is meant. */
bool px_look_connect(struct px_target *ret, struct http_slice target);

/** px_look_absolute() - the same of http://HOST[:PORT]/PATH; the path is not looked at. */
bool px_look_absolute(struct px_target *ret, struct http_slice target);

/** px_look_path() - whether it can be passed on as it is spelled: "/" first and no second one or backslash behind it. */
bool px_look_path(struct http_slice path);

/** px_look_host() - whether the value of a Host field names @host at @port. @standard: the port that need not be said */
bool px_look_host(struct http_slice value, const char *host, uint16_t port, uint16_t standard);

/** px_look_hop() - whether the field @i of @r ends at this connection, however '-', '_' and '.' stand in its name. */
bool px_look_hop(const struct http_head *r, size_t i);

/* --- px-tls.c --- */

/** px_tls_client() - begin with the client's TLS. Return: 0 or -ENOMEM. */
int px_tls_client(struct conn *c);

/** px_tls_looks() - whether its first bytes are there and are a ClientHello's; if not, the connection may have ended. */
bool px_tls_looks(struct conn *c);

/** px_tls_name() - take note of the name in the ClientHello; NULL: none. */
void px_tls_name(struct conn *c, const char *sni);

/** px_tls_offer() - choose the protocol, or the alert. */
void px_tls_offer(struct conn *c);

#endif
