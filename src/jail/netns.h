/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BAILEY_JAIL_NETNS_H
#define BAILEY_JAIL_NETNS_H

#include <stdint.h>

/* A network namespace in the making. Must stay where it is until netns_join() has returned. */
#include "cpus.h"
#include "util/util.h"

struct netns {
	_Alignas(16) unsigned char stack[16384];
	uint32_t running; /* cleared and woken by the kernel when the thread has ended */
	int fd;           /* the namespace, or negative errno */
	const char *step; /* NULL: not begun */
};

/**
 * netns_begin() - make a network namespace with loopback up, in a helper thread.
 * The only place where a thread exists in a process that clones: it is joined before. Return: 0 or negative errno with @e.
 */
int netns_begin(struct netns *n, const struct cpus *cpus, struct err *e);

/** netns_join() - wait, and enter the namespace. Return: 0 or negative errno; n->step names what failed. */
int netns_join(struct netns *n);

#endif
