/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BAILEY_GATEWAY_RESOLVE_H
#define BAILEY_GATEWAY_RESOLVE_H
#include "policy/policy.h"
struct gateway;
struct dns_query;
struct resolver;
struct resolve_answer {
	struct gateway *gateway;
	int error;
	const char *why;
	const struct net_addr *addrs;
	size_t n;
	char (*aliases)[NET_HOST_MAX + 1];
	size_t n_aliases;
	const unsigned char *raw;
	size_t n_raw;
};
int resolver_new(struct resolver **ret, struct gateway *g, struct err *e);
void *resolver_ask(struct resolver *r, const char *host, void (*done)(void *, const struct resolve_answer *), void *arg);
void *resolver_relay(struct resolver *r, const struct dns_query *q, void (*done)(void *, const struct resolve_answer *), void *arg);
void resolver_cancel(struct resolver *r, void *q);
int resolver_wait_ms(struct resolver *r, uint64_t now);
void resolver_tick(struct resolver *r, uint64_t now);
#endif
