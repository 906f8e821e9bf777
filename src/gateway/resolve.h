/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The resolver of the host's side: a stub that asks the host's servers, inside somebody else's event loop. It blocks nowhere and allocates nothing
 * after its start.
 *  1. resolve_conf_read()                before the process locks itself down
 *  2. resolver_new()                     with the callbacks that watch descriptors
 *  3. resolver_ask(), resolver_ask_raw() an answer comes by callback, never before they return
 *  4. resolver_event()                   when a watched descriptor is ready
 *  5. resolver_tick()                    at resolver_next_deadline_ms(), or earlier
 * Times are milliseconds of a clock that never goes back. System calls: socket, connect, sendto, recvfrom, close, getrandom.
 */
#ifndef BAILEY_GATEWAY_RESOLVE_H
#define BAILEY_GATEWAY_RESOLVE_H

#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dns.h"

#define RESOLVE_SERVERS 3u /* as other resolvers: what comes behind them is not read */

struct resolve_server {
	struct net_addr addr;
	char zone[IF_NAMESIZE]; /* of a link-local address, or "" */
	uint32_t scope;         /* its number */
};

struct resolve_host {
	const char *name; /* canonical */
	struct net_addr addr;
};

struct resolve_conf {
	struct resolve_server servers[RESOLVE_SERVERS];
	size_t n_servers; /* one at least, once it was parsed */
	unsigned int timeout_s, attempts;
	struct resolve_host *hosts; /* owned; sorted by name, of one name in the order of the file */
	size_t n_hosts;
	char *names; /* owned; the hosts' */
};

/**
 * resolve_conf_parse() - read the text of a resolv.conf: nameserver, options timeout and attempts. Everything else, and what is wrong, is passed
 * over, as by other resolvers; without a server it is 127.0.0.1. Pure.
 */
void resolve_conf_parse(struct resolve_conf *c, const char *text, size_t len);

/**
 * resolve_hosts_parse() - read the text of a hosts file into an empty c->hosts. Lines and names that are none are passed over. Only allocates.
 * Return: 0 or -ENOMEM.
 */
int resolve_hosts_parse(struct resolve_conf *c, const char *text, size_t len, struct err *e);

/** resolve_hosts_find() - the entries of @host, canonical. Return: how many; *@ret_first is the first of them. */
size_t resolve_hosts_find(const struct resolve_conf *c, const char *host,
			  const struct resolve_host **ret_first);

/**
 * resolve_conf_read() - read both files and the numbers of zones. A file that is not there is empty.
 * Return: 0; -EFBIG past LIMIT_RESOLV_CONF or LIMIT_HOSTS_FILE, or another negative errno, with @e; @c is to be freed in any case.
 */
int resolve_conf_read(struct resolve_conf *c, const char *resolv_conf, const char *hosts,
		      struct err *e);

/** resolve_conf_done() - free. */
void resolve_conf_done(struct resolve_conf *c);

#define RESOLVE_V4 1u
#define RESOLVE_V6 2u

/* An answer. It is good while the callback runs. */
struct resolve_result {
	int error; /* 0; negative errno: no server gave an answer (-ETIMEDOUT, -ECONNREFUSED, -EPROTO …) */
	enum dns_rcode rcode; /* when @error is 0. DNS_NOERROR without addresses: the name has none */
	bool from_hosts;      /* /etc/hosts said it */
	uint32_t ttl;         /* for how many seconds it will be said again */
	size_t n;
	struct net_addr addrs[2 * DNS_ADDRS]; /* IPv6 first */
	size_t n_aliases;
	char aliases[2 * DNS_ALIASES]
		    [NET_HOST_MAX + 1]; /* all names on the way, of both families: to be judged */
	const unsigned char *
		message; /* of resolver_ask_raw(): what to send to the client; NULL without an answer */
	size_t len;
};

struct resolve_io {
	/* watch @fd for EPOLLIN or EPOLLOUT (level-triggered), in the place of what it was watched for. Return: 0 or negative errno */
	int (*watch)(void *arg, int fd, uint32_t events);
	/* no longer; it will be closed */
	void (*unwatch)(void *arg, int fd);
	void *arg;
};

struct resolve_stats {
	uint64_t asked; /* by callers */
	uint64_t from_hosts, from_cache, coalesced;
	uint64_t refused;        /* no place for another one */
	uint64_t sent, sent_tcp; /* questions to servers */
	uint64_t unanswered;     /* of these */
	uint64_t wrong_id;       /* datagrams that did not answer what was asked: by their id, */
	uint64_t wrong_reply;    /* by their question or form */
};

struct resolver;

/**
 * resolver_new() - allocate all that will ever be needed.
 * @conf: borrowed, for the resolver's life
 * Return: owned; NULL with @e.
 */
struct resolver *resolver_new(const struct resolve_conf *conf, const struct resolve_io *io,
			      struct err *e);

/** resolver_free() - close everything; callbacks of questions are not called. Mustn't be called by one. Return: NULL. */
struct resolver *resolver_free(struct resolver *r);

/**
 * resolver_ask() - the addresses of @host (canonical).
 * @families: RESOLVE_V4, RESOLVE_V6 or both; one that is slow is waited for only shortly when the other has addresses
 * @done: called once, by resolver_event() or resolver_tick(); may ask and cancel
 * @ret_ticket: for resolver_cancel(); may be NULL
 * Return: 0; -EAGAIN: too much is asked already; -EINVAL: @host is no name.
 */
int resolver_ask(struct resolver *r, const char *host, unsigned int families, uint64_t now,
		 void (*done)(void *arg, const struct resolve_result *res), void *arg,
		 uint64_t *ret_ticket);

/**
 * resolver_ask_raw() - what servers answer to a client's question for SRV, MX or TXT.
 * @q: copied
 * @size: bytes that the client takes; a longer answer is sent as truncated
 * Return: as resolver_ask(); -EINVAL for other types, too.
 */
int resolver_ask_raw(struct resolver *r, const struct dns_query *q, size_t size, uint64_t now,
		     void (*done)(void *arg, const struct resolve_result *res), void *arg,
		     uint64_t *ret_ticket);

/** resolver_cancel() - the callback will not be called. Nothing happens when it was. */
void resolver_cancel(struct resolver *r, uint64_t ticket);

/** resolver_event() - a watched descriptor is ready, or has failed. Descriptors that are not watched are ignored. */
void resolver_event(struct resolver *r, int fd, uint64_t now);

/** resolver_tick() - do what is due. */
void resolver_tick(struct resolver *r, uint64_t now);

/** resolver_next_deadline_ms() - when resolver_tick() wants to be called. Return: the time; 0: at once; UINT64_MAX: no need. */
uint64_t resolver_next_deadline_ms(const struct resolver *r);

/** resolver_stats() - what happened so far; borrowed. */
const struct resolve_stats *resolver_stats(const struct resolver *r);

#endif
