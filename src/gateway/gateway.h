/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gateway: the only way out of a sandbox's network (docs/adr/0013). One process per sandbox, one event loop, no threads.
 *  1. gateway_start()   fork it; it confines itself before it reads a byte (confine.c)
 *  2. conn.h            connections: captured, of the HTTP proxy, of the SOCKS proxy
 *  3. dns.h, hello.h, socks.h   the pure parsers of what hostile programs send
 *  4. names.h           the addresses that allowed names have inside
 *  5. audit.h           every decision, in a chain of lines
 *  6. struct gateway_message   what is said to it while it lives: new rules
 */
#ifndef BAILEY_GATEWAY_H
#define BAILEY_GATEWAY_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "audit.h"
#include "dialer.h"
#include "door.h"
#include "names.h"
#include "policy/policy.h"
#include "upstream.h"
#include "util/util.h"

#define GATEWAY_PUBLISHED 16u

/* A port of the sandbox that the host's programs may connect to. */
struct gateway_published {
	uint16_t port; /* inside, on loopback; 0: this place is free */
	int listener;  /* on the host */
};

#define GATEWAY_LIVE 262144u /* pages that nobody has written to cost nothing */
#define GATEWAY_LIVE_ONLY \
	"only\n" /* at the beginning of what is kept: nothing else was said live */
#define GATEWAY_LIVE_SECOND (1u << 31)

/* How much the sandbox uses the network, as the gateway counts it. */
struct gateway_use {
	uint32_t connections; /* that are open */
	uint64_t up, down;    /* bytes so far, as of the last tick */
	bool paused;          /* the supervisor says: nobody in the sandbox can answer */
};

/* What outlives a gateway that dies. It is shared with it, so what stands there is read as if anybody had written it. */
struct gateway_kept {
	struct names_kept names;
	struct gateway_use use;
	uint32_t live_len; /* of live: changes of the rules, a line of JSON each, as the control socket takes them; with GATEWAY_LIVE_SECOND, of the second one */
	char live[2][GATEWAY_LIVE]; /* what takes the place of all of one is written to the other */
};

/** gateway_kept_new() - Return: shared memory, zeroed; NULL. */
struct gateway_kept *gateway_kept_new(void);

/** gateway_kept_free() - Return: NULL. */
struct gateway_kept *gateway_kept_free(struct gateway_kept *k);

/* Why something is refused, as far as clients of the proxies are told. */
enum gateway_refusal {
	GATEWAY_OTHERWISE,   /* what was said, a budget … */
	GATEWAY_BY_RULE,     /* a rule denies it */
	GATEWAY_NO_RULE,     /* none allows it */
	GATEWAY_ADDRESS,     /* an address that an allowed name has */
	GATEWAY_OWN_ADDRESS, /* the same, of the host itself */
	GATEWAY_REFUSAL_NUM
};

/* In each, "{host}" and "{reason}" are replaced. */
struct gateway_words {
	const char *phrase; /* of the status line that answers CONNECT; NULL: "Forbidden" */
	const char *header; /* a whole line */
	const char *body;   /* NULL: the reason */
	const char *reason; /* where the rule gives none; NULL: our own words */
};

/* How refusals are worded: a front whose clients expect other words than ours has a table of them. */
struct gateway_style {
	struct gateway_words words[GATEWAY_REFUSAL_NUM];
	const char
		*classes[NET_CLASS_NUM]; /* the reason: what kind of address it is; each is given */
	const char *listed, *own; /* the same: an address that a rule denies; one of the host's */
	bool ssh; /* who connects to a port 22 that a rule denies is told by a message of SSH */
};

/* What supervisor and gateway say to each other over the line that shows either that the other lives. */
enum gateway_word {
	GATEWAY_RULES = 1, /* to the gateway, with a file of net_policy_pack(): these hold now */
	GATEWAY_DIAL,      /* to the supervisor: connect to the unix socket */
	GATEWAY_DIALLED,   /* to the gateway: the answer, with a socket, or an error */
	GATEWAY_UNLOGGED,  /* to the supervisor, once: the log can't be written */
	GATEWAY_WAKE, /* to the supervisor: the sandbox is paused, and somebody connects to a published port */
	GATEWAY_PUBLISH /* to the gateway: with the listener at the place .ticket for the port .port, or, without one, that place is free now */
};

struct gateway_message {
	uint32_t word;   /* enum gateway_word */
	int32_t error;   /* of GATEWAY_DIALLED: an errno, or 0 */
	uint64_t ticket; /* of GATEWAY_DIAL; its answer has the same */
	uint32_t port;   /* of GATEWAY_PUBLISH */
};

/* What a gateway is given. Descriptors stay the caller's; the gateway has its own copies after the fork. */
struct gateway_setup {
	int tcp; /* listeners inside (jail.h, enum jail_net) */
	int dns;
	int http;
	int socks;
	int door;    /* of gateway_door(), or -1 */
	int control; /* a listening socket of ours, or -1 */
	int keys;    /* of bailey-keys, or -1: what is to be inspected is refused */
	bool opaque; /* where a rule names the port, what is neither TLS nor HTTP passes although the host is inspected */
	size_t tunnels; /* of TLS that may be inspected at once; 0: as many as there can be */
	unsigned int
		handshake_ms; /* in which a client that is inspected must have said its first message; 0: the usual times */
	struct gateway_published published[GATEWAY_PUBLISHED];
	int log[2]; /* of audit_open() */
	int head;
	int alive; /* of struct gateway_message (SOCK_SEQPACKET, not blocking); hangs up when the supervisor has gone */
	bool v6;   /* the sandbox has IPv6 */
	bool ask;  /* what no rule speaks of is asked about, over the control socket */
	bool audit_required; /* nothing is opened whose line can't be written */
	uid_t owner;         /* who may control it */
	struct gateway_kept *kept;
	const struct upstream *upstream; /* the caller's own proxies, or NULL */
	/*
	 * Proxies on the loopback of the host that filter in our place, or 0: what comes to ours goes to them, as it is. With one for HTTP, what is captured and
	 * allowed here is dialled by it.
	 */
	uint16_t external_http, external_socks;
	const struct gateway_style *style; /* NULL: our own words; in memory that stays */
	const char *settings, *box;        /* as in struct net_policy; copied */
	const struct net_policy *policy;
	const char *id;
	uid_t uid; /* whom to become, or -1 */
	gid_t gid;
	void *forget; /* memory that the gateway must not have: mapped, and the policy may lie in it; or NULL */
	size_t n_forget;
};

/**
 * gateway_start() - fork a gateway, which ends with its caller.
 * Should be called by a process without threads. Return: 0 with its pid, to be reaped; or negative errno with @e.
 */
int gateway_start(const struct gateway_setup *s, pid_t *ret_pid, struct err *e);

struct sockaddr_storage;
/** gateway_address() - of a socket address. Return: whether it is one of the internet. */
bool gateway_address(const struct sockaddr_storage *ss, struct net_addr *ret, uint16_t *ret_port);

/** gateway_sockaddr() - the other way; IPv4 as AF_INET. Return: its size. */
unsigned int gateway_sockaddr(const struct net_addr *a, uint16_t port,
			      struct sockaddr_storage *ret);

#endif
