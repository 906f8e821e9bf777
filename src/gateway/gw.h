/* SPDX-License-Identifier: Apache-2.0 */
/* What the parts of one gateway share. Private to the room. */
#ifndef BAILEY_GATEWAY_GW_H
#define BAILEY_GATEWAY_GW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/epoll.h>

#include "audit.h"
#include "gateway.h"
#include "names.h"
#include "pace.h"
#include "policy/policy.h"
#include "resolve.h"
#include "util/util.h"

struct gateway;

/* A descriptor in the event loop; a part of whoever owns it. */
struct watch {
	int fd; /* -1: none */
	void (*on)(struct gateway *g, struct watch *w, uint32_t events);
};

/* What the sandbox's programs may have us do, each at its own pace. */
enum gw_act {
	GW_CONNS,     /* new connections of theirs, to whatever listener */
	GW_QUESTIONS, /* to the name server */
	GW_ACTS
};

#define PIPES_IDLE 32

/* A pipe without bytes in it, between two uses. */
struct pipes {
	int fd[PIPES_IDLE][2];
	size_t n;
};

struct gateway {
	int epoll;
	const struct gateway_setup *setup;
	struct net_policy policy; /* ours: rules come and go while it lives */
	struct arena arena;       /* of those rules */
	uint64_t now;             /* ms, at the beginning of this turn of the loop */
	struct watch tcp, dns, http, socks, control, alive, keys;
	struct published {
		struct watch watch;
		uint16_t port; /* inside; 0: this place is free */
	} published[GATEWAY_PUBLISHED];
	struct pace pace[GW_ACTS];
	struct resolve_conf conf;
	struct resolver *resolver;
	struct watch asking[LIMIT_QUESTIONS]; /* the resolver's sockets */
	struct upstream upstream;             /* a copy */
	struct upstream_proxy external,
		handed;              /* the host's own HTTP proxy; whoever is at the unix socket */
	char settings[256], box[64]; /* copies, of those of policy */
	uint64_t lines;              /* questions to the supervisor so far */
	int own;                     /* of own.h */
	struct names names;
	struct audit audit;
	struct quotas *quotas;
	struct udp *udp;
	struct {
		struct watch watch[2]; /* of each family */
		uint32_t lost;         /* by the kernel, of IPv4 */
		uint64_t second, more;
		unsigned int lines;
		bool rests;
	} refused;                       /* of udp-refused.h */
	struct conn *conns;              /* places; memory is only there for those that were used */
	size_t n_conns, n_used;          /* all of them, and how many were ever used */
	struct conn *free, *live, *dead; /* dead ones are free when this turn of the loop is over */
	struct conn *slow;               /* wait for their rate */
	struct conn *again;              /* have more to do than one turn allows */
	struct pipes pipes;
	void *buffers[64]; /* idle, of struct chunk */
	size_t n_buffers;
	uint64_t counted[2]; /* connections accepted; refused because there were too many */
	unsigned int asks;   /* questions to a human so far */
	struct offer *
		offered; /* connections that bailey-keys has, LIMIT_CONNS places (inspect.c); NULL: none yet */
	uint32_t offers;        /* given to it so far */
	uint64_t garbage;       /* messages that were none */
	uint64_t timed_out;     /* clients that have not said in time what they want */
	unsigned int new_names; /* allowance for names under wildcards, in tenths */
	uint64_t new_names_at;
	bool unlogged; /* it was said that the log can't be written */
	bool paused;   /* gw_pause() */
	bool over;
};

/** gw_watch() - begin to wait for events of @w->fd, edge-triggered when EPOLLET is in @events. Return: 0 or negative errno. */
int gw_watch(struct gateway *g, struct watch *w, uint32_t events);

/** gw_close() - close and forget. */
void gw_close(struct watch *w);

/** gw_pause() - no descriptor is free, or no memory: accept nothing until the next tick, else the listeners would be ready for ever. */
void gw_pause(struct gateway *g);

/** gw_publish() - have @fd, which is the gateway's then, at the @place of published ports, or, with -1, nothing any more. Return: 0 or negative errno: nothing is there. */
int gw_publish(struct gateway *g, size_t place, int fd, uint16_t port);

/** gw_may() - whether one more @act may be done now; else nothing tells of any for some milliseconds. */
bool gw_may(struct gateway *g, enum gw_act act);

/** gw_addr_of() - as net_addr; *ret_port in host order. Return: whether it is an address of the internet. */
struct sockaddr_storage;
bool gw_addr_of(const struct sockaddr_storage *ss, struct net_addr *ret, uint16_t *ret_port);

/** gw_sockaddr() - the other way; IPv4 as AF_INET, unless @v6. Return: its size. */
unsigned int gw_sockaddr(const struct net_addr *a, uint16_t port, bool v6,
			 struct sockaddr_storage *ret);

/** gw_ask() - have a name looked up; as resolver_ask(), for both families. Return: a ticket; 0: it can't be done now. */
uint64_t gw_ask(struct gateway *g, const char *host,
		void (*done)(void *arg, const struct resolve_result *res), void *arg);

/** gw_own() - whether @a is the host's own address, and no rule names it. */
bool gw_own(const struct gateway *g, const struct net_addr *a, uint16_t port, enum net_proto proto);

/** gw_own_why() - why it is refused then, and which option names it. Return: in memory that holds it until the next call. */
const char *gw_own_why(const struct gateway *g, const struct net_addr *a, uint16_t port,
		       enum net_proto proto);

/** gw_no_answer() - why a look-up gave nothing to dial; NULL: it did. */
const char *gw_no_answer(const struct resolve_result *res);

/* why it is refused with setup->audit_required */
#define GW_UNLOGGED "the log of the network can't be written, and --audit-required is given"

/** gw_event() - an audit event about @q and what was decided. */
struct audit_event gw_event(const char *event, const char *via, const struct net_request *q,
			    const struct net_verdict *v);

#endif
