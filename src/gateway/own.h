/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which addresses are the host's own, now: they come and go while a sandbox lives, so the kernel is asked each time. What listens there is often
 * meant for the host only, and a firewall does not stand between the host and itself.
 */
#ifndef BAILEY_GATEWAY_OWN_H
#define BAILEY_GATEWAY_OWN_H

#include <stdbool.h>

#include "policy/policy.h"

/** own_open() - before the filter of system calls stands. Return: a descriptor for own_has(), or negative errno. */
int own_open(void);

/** own_has() - whether a connection to @a would end on this host. No packet is sent. */
bool own_has(int fd, const struct net_addr *a);

/**
 * own_allowed() - whether rules let a sandbox reach an own address: one must name it alone, as the range of a network says nothing about the
 * host in it.
 */
bool own_allowed(const struct net_policy *p, const struct net_addr *a, uint16_t port,
		 enum net_proto proto);

#endif
