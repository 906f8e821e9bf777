/* SPDX-License-Identifier: Apache-2.0 */
/* What the two halves of the resolver share: resolve.c keeps questions and answers, resolve-try.c asks servers. */
#ifndef BAILEY_GATEWAY_RESOLVE_TRY_H
#define BAILEY_GATEWAY_RESOLVE_TRY_H

#include "resolve.h"

enum question_state {
	QUESTION_FREE,
	QUESTION_WAITS,    /* for a free try */
	QUESTION_IS_ASKED, /* by a try */
	QUESTION_ANSWERED
};

struct question {
	enum question_state state;
	bool raw; /* the answer is a message, which the try keeps until it was handed out */
	uint16_t type;
	char host[NET_HOST_MAX + 1];
	unsigned int waiters;
	uint64_t give_up; /* until it is answered */
	uint64_t expires, used;
	int error; /* of the answer, or of the last try */
	enum dns_rcode rcode;
	struct dns_reply *reply; /* its own place in resolver.replies */
	struct try *try;
};

#define TRY_BUF (2 + LIMIT_DNS_MESSAGE)

/* A question on its way: one socket at a time, to one server after the other, all of them as often as resolv.conf says. */
struct
try {
	struct question *q; /* NULL: free */
	int fd;
	bool tcp, edns, sending; /* sending: over TCP, the question is not all sent yet */
	uint16_t id;
	unsigned int first, round; /* the server is first + round */
	unsigned int garbage;      /* datagrams that were no answers */
	uint64_t deadline;
	size_t n, done; /* of buf: bytes to be sent or received, bytes that were */
	unsigned char *
		buf; /* TRY_BUF bytes of its own in resolver.bufs; of TCP with the length in front */
};

struct waiter {
	void (*done)(void *arg, const struct resolve_result *res); /* NULL: free */
	void *arg;
	uint64_t ticket, deadline; /* deadline: for the slower family; 0: none yet */
	struct question *q[2];     /* IPv6 and IPv4, or a raw one; none: of /etc/hosts */
	char host[NET_HOST_MAX + 1];
	unsigned int families;
	struct dns_query query; /* of a raw one */
	size_t size;
};

struct resolver {
	const struct resolve_conf *conf;
	struct resolve_io io;
	struct resolve_stats stats;
	unsigned int preferred; /* the server that answered last, or is next after one that did not */
	bool no_edns[RESOLVE_SERVERS];
	uint64_t tickets;
	/* counted, so that who has nothing to do looks at none of them: this runs at each turn of the gateway's loop */
	size_t n_waits;   /* questions in QUESTION_WAITS, for each of which somebody waits */
	size_t n_open;    /* tries with a socket */
	size_t n_waiters; /* that are not free */
	struct question questions[LIMIT_DNS_QUESTIONS];
	struct dns_reply replies[LIMIT_DNS_QUESTIONS];
	struct try tries[LIMIT_DNS_TRIES];
	unsigned char bufs[LIMIT_DNS_TRIES][TRY_BUF];
	struct waiter waiters[LIMIT_DNS_WAITERS];
	struct resolve_result result; /* of the callback that runs */
	struct dns_reply reply;       /* that is being read */
	unsigned char relay[LIMIT_DNS_MESSAGE + DNS_ANSWER_MAX];
};

/** question_set_state() - and keep the count of those that wait. */
void question_set_state(struct resolver *r, struct question *q, enum question_state state);

/** question_finish() - @q is answered: q->error, or q->rcode and q->reply. Its try is free, but for a message's. */
void question_finish(struct resolver *r, struct question *q, uint64_t now);

/** try_start() - ask for @q, which waits. Return: whether there was a free try. */
bool try_start(struct resolver *r, struct question *q, uint64_t now);

/** try_event() - something came. */
void try_event(struct resolver *r, struct try *t, uint64_t now);

/** try_tick() - the deadline is over. @give_up: that of the question, too. */
void try_tick(struct resolver *r, struct try *t, bool give_up, uint64_t now);

/** try_close() - close its socket. */
void try_close(struct resolver *r, struct try *t);

#endif
