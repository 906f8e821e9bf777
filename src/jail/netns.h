/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BAILEY_JAIL_NETNS_H
#define BAILEY_JAIL_NETNS_H

#include <stdint.h>

#include "cpus.h"
#include "util/util.h"

/* A network namespace in the making. Must stay where it is until netns_join() has returned. */
struct netns {
	uint32_t running; /* cleared and woken by the kernel when the thread has ended */
	uint32_t gate;    /* 1: the thread may begin */
	pid_t tid;
	int fd;           /* the namespace, or negative errno */
	const char *step; /* NULL: not begun */
};

/**
 * netns_begin() - start a helper thread that will make a network namespace with loopback up. One at a time.
 * The only place where a thread exists in a process that clones: it is joined before. Return: 0 or negative errno with @e.
 */
int netns_begin(struct netns *n, struct err *e);

/** netns_go() - let the thread work, on another CPU when there is one. */
void netns_go(struct netns *n, const struct cpus *cpus);

/** netns_join() - after netns_go(): wait, and enter the namespace. Return: 0 or negative errno; n->step names what failed. */
int netns_join(struct netns *n);

#endif
