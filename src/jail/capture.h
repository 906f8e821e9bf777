/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sandbox's end of its network (docs/adr/0013): every address is local, and what is sent anywhere arrives at sockets that the gateway is given.
 */
#ifndef BAILEY_JAIL_CAPTURE_H
#define BAILEY_JAIL_CAPTURE_H

#include "jail.h"

struct capture {
	int sock[JAIL_NET_NUM]; /* or -1 */
	int lost;               /* why connections can't be captured: negative errno, or 0 */
	const char *step;
};

/**
 * capture_make() - in a new network namespace with loopback up: addresses, routes, rules, sockets.
 * @host_ports: in network order, ended by 0: what is sent there on loopback arrives at the gateway, too
 * Should run where CAP_NET_ADMIN is had in the namespace. Mustn't touch errno: a bare thread calls it.
 * Return: 0, also when only connections can't be captured (c->lost); negative errno: c->step names what failed.
 */
int capture_make(struct capture *c, const uint16_t *host_ports);

/**
 * capture_settings() - what stands in /proc/sys: the groups @first to @last may ping without CAP_NET_RAW (what answers is decided by the rules above), and TCP does not pace.
 * Should run in a process, not in the bare thread.
 */
void capture_settings(int sysctl, gid_t first, gid_t last);

#endif
