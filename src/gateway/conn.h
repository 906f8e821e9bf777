/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A connection of the sandbox, from its first byte to its end.
 *
 *	state      what happens                                        next
 *	GREET      a proxy's client says where it wants to go          RESOLVE, or an answer and CLOSING
 * *	ASK        a human is asked (control.c)                        RESOLVE, or refused
 *	RESOLVE    the name's addresses are looked up and judged       DIAL, or refused
 *	DIAL       one of them answers, or the next is tried           OPEN, or refused
 *	TUNNEL     the caller's own proxy dials                        OPEN, or refused
 *	OPEN       bytes go both ways, once the client's were looked at
 *	CLOSING    an answer of our own is on its way
 *
 * Captured connections begin at RESOLVE; what they say is looked at from the beginning (look.c), while we resolve and dial. Every state has a
 * time in which it must end.
 */
#ifndef BAILEY_GATEWAY_CONN_H
#define BAILEY_GATEWAY_CONN_H

#include "gw.h"
#include "http/http.h"

enum conn_state {
	CONN_FREE,
	CONN_GREET,
	CONN_ASK,
	CONN_RESOLVE,
	CONN_DIAL,
	CONN_TUNNEL,
	CONN_OPEN,
	CONN_CLOSING,
	CONN_DEAD
};

enum conn_via {
	VIA_CAPTURED,
	VIA_CONNECT,
	VIA_HTTP,
	VIA_SOCKS,
	VIA_DNS,
	VIA_PUBLISHED,
	VIA_EXTERNAL, /* what another proxy filters */
	VIA_FORWARD   /* bailey-keys wants it, for requests that a rule forwards */
};

/* What the client's bytes were found to be. */
enum conn_talk {
	TALK_UNKNOWN, /* more bytes are needed; none are passed on */
	TALK_OPAQUE,  /* passed on unseen, as is TLS behind its ClientHello */
	TALK_TLS,
	TALK_HTTP,    /* every request is judged */
	TALK_UPGRADE, /* one has asked for another protocol: nothing more until the server agrees */
};

/* What stands between a connection that was refused and its server. */
enum conn_lack {
	LACKS_MORE, /* more than one rule, or something that no rule gives */
	LACKS_RULE,
	LACKS_PORT, /* a rule that names the port */
};

/* One end. */
struct end {
	struct watch watch;
	bool readable, writable; /* as far as we know: edges */
	bool ended;              /* it sends nothing more; what it has sent may still wait */
};

/* Bytes on the way from one end to the other, in a pipe. */
struct flow {
	int pipe[2];             /* -1: none is needed now */
	size_t held;             /* bytes in it */
	bool full;               /* it took no more, although it is not empty of room by count */
	bool open;               /* bytes may pass */
	bool eof;                /* there will be no more */
	bool shut;               /* and the other end was told */
	uint64_t bytes, counted; /* of them are in gateway_use */
};

#define CHUNK (HTTP_HEAD_MAX + 1024u)

/* Bytes that are looked at, or written by us. */
struct chunk {
	size_t n;  /* bytes that are there */
	size_t ok; /* of them may be sent */
	size_t at; /* of them were sent */
	char b[CHUNK];
};

#define CONN_ADDRS 8u

struct conn {
	enum conn_state state;
	enum conn_via via;
	enum conn_talk talk;
	struct conn *next, *prev; /* of its list */
	struct conn *next_again, *next_slow;
	bool slow;   /* in g->slow */
	int quota;   /* that counts, or -1 */
	bool queued; /* for another turn */
	bool doomed; /* its next step closes it: whoever found out why may be in the midst of a list, or of another end */
	struct end client, server;
	struct flow up, down;        /* to the server, to the client */
	struct chunk *in;            /* of the client, being looked at */
	struct chunk *out;           /* of ours, to the client */
	char host[NET_HOST_MAX + 1]; /* "" when only an address is known */
	struct net_addr addr;        /* that the client asked for, or the one that was dialled */
	struct net_addr target;      /* that the client asked for */
	uint16_t port;
	struct net_verdict verdict;
	enum conn_lack lacks;
	struct net_addr addrs[CONN_ADDRS];
	size_t n_addrs, next_addr;
	struct gateway *g;
	uint64_t ticket;                    /* of the resolver, or 0 */
	void *question;                     /* of a name server's client (answer.c), or NULL */
	const struct upstream_proxy *proxy; /* that dials, or NULL */
	uint64_t line;                      /* of the question to the supervisor, or 0 */
	unsigned int ask; /* the number of the question to a human; one for all that want the same */
	bool granted;     /* that human said yes, once */
	uint32_t offer; /* bailey-keys has its server and calls it that; 0: nobody looks into it */
	struct {
		int fd; /* that bailey-keys is given when there is a server; -1 */
		uint32_t id, serial;
	} forward;                /* of VIA_FORWARD */
	uint64_t began, deadline; /* ms */
	/* HTTP, look.c and proxy.c */
	size_t scan;
	struct http_body body;
	bool in_look; /* a first message has begun */
	bool in_body;
	bool second;          /* the first request is over */
	bool last;            /* nothing may follow this request */
	bool opaque;          /* what it speaks was neither TLS nor HTTP */
	bool logged;          /* that it was opened */
	bool log_open;        /* and that line is still to be written */
	unsigned int stage;   /* of SOCKS: greeting, password, request */
	unsigned int refusal; /* enum socks_status */
	bool password;        /* a client of SOCKS that has one to offer */
	enum gateway_refusal refused;
};

/** conn_accept() - take connections of a listener until there are none. */
void conn_accept(struct gateway *g, int listener, enum conn_via via);

/**
 * conn_forwarded() - begin a connection that bailey-keys has asked for; @client becomes ours.
 * Return: it, which goes on by conn_connect() when its place is set; NULL: there is none.
 */
struct conn *conn_forwarded(struct gateway *g, int client);

/** conn_published() - take connections of the host for @port inside. */
void conn_published(struct gateway *g, int listener, uint16_t port);

/**
 * conn_mean_host() - where @c asks for loopback, and for a port of the host's that was asked for, it means NET_HOST_LOCAL. What is published is the
 * sandbox's own.
 */
void conn_mean_host(struct gateway *g, struct conn *c);

/** conn_local() - whether @c asks for the host itself. */
bool conn_local(const struct conn *c);

/** conn_judge() - decide about c->host or c->addr and c->port. Return: whether it may go on; else it was logged, and the caller refuses. */
bool conn_judge(struct gateway *g, struct conn *c);

/** conn_fail() - it is not denied, but can't be had; @status: of HTTP. */
void conn_fail(struct gateway *g, struct conn *c, int status, const char *why);

/** conn_fail_dial() - the same; a proxy that was to dial it, and can't be had, is named. */
void conn_fail_dial(struct gateway *g, struct conn *c, int status, const char *why);

/** conn_no_addr() - whether no address is there yet. */
bool conn_no_addr(const struct net_addr *a);

/** conn_refuse_by_rule() - log c->verdict in words, reset. */
void conn_refuse_by_rule(struct gateway *g, struct conn *c);

/** conn_dial() - dial the next of c->addrs. */
void conn_dial(struct gateway *g, struct conn *c);

/** conn_dialled() - it has answered, or has not. */
void conn_dialled(struct gateway *g, struct conn *c);

/** conn_on_server() - of the server's end: c->server.watch.on. */
void conn_on_server(struct gateway *g, struct watch *w, uint32_t events);

/** conn_queue() - there is more to do than this turn allows; conn_wait_a_little(): not before some milliseconds. */
void conn_queue(struct gateway *g, struct conn *c);
void conn_wait_a_little(struct gateway *g, struct conn *c);

/** conn_dialled_by() - the supervisor has connected @fd, which becomes ours. */
void conn_dialled_by(struct gateway *g, struct conn *c, int fd);

/** conn_trusted() - whether others decide about it: nothing of it is judged or looked at. */
bool conn_trusted(const struct conn *c);

/** conn_pipe_put() - the flow needs its pipe no more. */
void conn_pipe_put(struct gateway *g, struct flow *f);

/** conn_connect() - resolve, check, dial. Ends in conn_opened() or conn_failed(). */
void conn_connect(struct gateway *g, struct conn *c);

/** conn_close() - the end, with a log line if it was open. @reset: the client gets a reset. */
void conn_close(struct gateway *g, struct conn *c, bool reset);

/** conn_refuse() - log why, reset. */
void conn_refuse(struct gateway *g, struct conn *c, const char *why);

/**
 * conn_log_open() - write that @c was opened, if that is still to be done.
 *
 * conn_step() does so at its end, when the first bytes are on their way and both ends have something to do; any other line about @c comes after it.
 * Return: false when it could not be written; nothing of the kind is kept from @c then.
 */
bool conn_log_open(struct gateway *g, struct conn *c);

/** conn_log() - a line about @c. @decision, @why: or NULL */
void conn_log(struct gateway *g, struct conn *c, const char *event, const char *decision,
	      const char *why);

/** conn_garbage() - log, and count, that the client has said @why, which is nothing that its proxy knows. */
void conn_garbage(struct gateway *g, struct conn *c, const char *why);

/** conn_note() - log that it was denied, and why. */
void conn_note(struct gateway *g, struct conn *c, const char *why);

/** conn_say() - send @n bytes of ours to the client; @then_close: and nothing more. */
void conn_say(struct gateway *g, struct conn *c, const void *p, size_t n, bool then_close);

/** conn_step() - do all that can be done now. */
void conn_step(struct gateway *g, struct conn *c);

/** conn_tick() - once in a while: end what takes too long. */
void conn_tick(struct gateway *g);

/** conn_asked() - a connection that waits for the answer to question @n. Return: it, or NULL. */
const struct conn *conn_asked(const struct gateway *g, unsigned int n);

/** conn_answer() - the answer to question @n (0: to all): go on, or refuse because of @why. */
void conn_answer(struct gateway *g, unsigned int n, bool yes, const char *why);

/** conn_rejudge() - rules have changed: end what is denied now. */
void conn_rejudge(struct gateway *g);

/** conn_allowance() - of @max bytes, what the quota lets pass now. Return: bytes; 0: wait, or the connection was ended. */
size_t conn_allowance(struct gateway *g, struct conn *c, size_t max);

/** conn_chunk(), conn_chunk_free() - a buffer for @slot, when it has none. Return: whether it has one now. */
bool conn_chunk(struct gateway *g, struct chunk **slot);
void conn_chunk_free(struct gateway *g, struct chunk **slot);

/** conn_request() - what it is, as a question to the policy. */
struct net_request conn_request(const struct conn *c);

/** look_step() - look at the client's bytes; sets c->talk and opens flows, or ends the connection. Return: whether it made progress. */
bool look_step(struct gateway *g, struct conn *c);

/** proxy_step() - read what a proxy's client wants. Return: whether it made progress. */
bool proxy_step(struct gateway *g, struct conn *c);

/** tunnel_begin() - the caller's proxy is there: tell it what to dial. */
void tunnel_begin(struct gateway *g, struct conn *c);

/** tunnel_step() - read its answer. Return: whether it made progress. */
bool tunnel_step(struct gateway *g, struct conn *c);

/** conn_opened(), conn_failed() - how that ended. */
void conn_opened(struct gateway *g, struct conn *c);
void conn_failed(struct gateway *g, struct conn *c, const char *why);

/** proxy_opened() - the server is there: tell the client as its protocol does. */
void proxy_opened(struct gateway *g, struct conn *c);

/** proxy_refused() - it is not: tell the client why. @status: of HTTP. Return: false when its protocol has no words for that. */
bool proxy_refused(struct gateway *g, struct conn *c, int status, const char *why);

#endif
