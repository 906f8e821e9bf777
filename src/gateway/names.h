/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Allowed names and their addresses inside. A name keeps its address for the sandbox's life, and no other name ever gets it.
 */
#ifndef BAILEY_GATEWAY_NAMES_H
#define BAILEY_GATEWAY_NAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "policy/policy.h"

#define NAMES_MAX 8192u /* of one sandbox; one more is refused */

/* What outlives a gateway that dies: memory that it shares with its supervisor. */
struct names_kept {
	uint32_t n;
	char host[NAMES_MAX][NET_HOST_MAX + 1]; /* only there where it is used */
};

struct names {
	char (*host)[NET_HOST_MAX + 1]; /* by number */
	struct names_kept *kept;        /* borrowed */
	uint16_t *slots;                /* a hash table of numbers + 1 */
	unsigned int n;
};

/**
 * names_init() - take over the names of a gateway before us.
 * @kept: zeroed at first; what stands there is believed only when it is what a gateway writes
 * Return: 0; -EBADMSG: it is not; -ENOMEM.
 */
int names_init(struct names *names, struct names_kept *kept);

/** names_done() - free. */
void names_done(struct names *names);

/** names_find() - the number of @host (canonical). Return: it, or -ENOENT. */
int names_find(const struct names *names, const char *host);

/** names_get() - the same; a new one for a new name. Return: it, or -ENOSPC. */
int names_get(struct names *names, const char *host);

/** names_addr() - the address of number @i, of either family. */
struct net_addr names_addr(unsigned int i, bool v6);

/** names_by_addr() - whose address it is. Return: the number; -ENOENT: nobody's; -ERANGE: no address for names at all. */
int names_by_addr(const struct names *names, const struct net_addr *a);

#endif
