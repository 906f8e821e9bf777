/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Datagrams that no rule allows: the kernel refuses them inside ("port unreachable"), as fast as it can. A raw socket of each family shows the first bytes of some of them, for the log:
 * a few lines in a second, and how many have none. Without such sockets (the door could not make them) there are no lines.
 */
#ifndef BAILEY_GATEWAY_UDP_REFUSED_H
#define BAILEY_GATEWAY_UDP_REFUSED_H

#include "gw.h"

/** udp_refused_init() - begin to look. */
void udp_refused_init(struct gateway *g);

/** udp_refused_tick() - look again, after a rest. */
void udp_refused_tick(struct gateway *g);

/** udp_refused_end() - log what has come, and how much more. */
void udp_refused_end(struct gateway *g);

#endif
