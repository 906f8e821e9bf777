/* SPDX-License-Identifier: Apache-2.0 */
/*
 * UDP by rule. Each (address, port) that a rule allows has a socket inside; the kernel refuses what is sent elsewhere. A flow is one program's
 * socket and the one that the gateway has for it outside.
 */
#ifndef BAILEY_GATEWAY_UDP_H
#define BAILEY_GATEWAY_UDP_H

#include "gw.h"

#define UDP_INSPECTED "the host is inspected, which UDP would lead past"

struct udp;

/** udp_init() - sockets for the addresses that rules name. Return: 0 or negative errno with @e. */
int udp_init(struct gateway *g, struct err *e);

/** udp_name() - the name number @i is known now: sockets for the ports that rules name for it. */
void udp_name(struct gateway *g, unsigned int i);

/** udp_taken() - whether there is a socket inside that has this address and port. */
bool udp_taken(const struct gateway *g, const struct net_addr *a, uint16_t port);

/** udp_takes() - whether there is any. */
bool udp_takes(const struct gateway *g);

/**
 * udp_inspected() - whether the host of @q is one that UDP would lead past the inspection of. The launcher has refused rules that ask for both; these may have come later,
 * by another way.
 */
bool udp_inspected(const struct gateway *g, const struct net_request *q);

/** udp_tick() - end flows that nobody uses. */
void udp_tick(struct gateway *g);

/** udp_rejudge() - rules have changed. */
void udp_rejudge(struct gateway *g);

/** udp_end() - log what is open. */
void udp_end(struct gateway *g);

#endif
