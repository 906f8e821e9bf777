/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BAILEY_JAIL_NETNS_H
#define BAILEY_JAIL_NETNS_H

#include <stdint.h>

#include "capture.h"
#include "cpus.h"
#include "util/util.h"

/* What the thread waits for. */
enum netns_gate {
	NETNS_CLOSED,
	NETNS_BEGIN,   /* begin with a namespace; which of the next is wanted is said later */
	NETNS_OPEN,    /* a namespace with loopback up */
	NETNS_CAPTURE, /* and capture.h */
	NETNS_NONE,    /* no namespace at all */
};

/* A network namespace in the making. Must stay where it is until netns_join() has returned. */
struct netns {
	uint32_t running;           /* cleared and woken by the kernel when the thread has ended */
	const uint32_t *gate;       /* enum netns_gate; not 0: the thread may begin */
	const uint16_t *host_ports; /* of jail_shared: there before the gate opens */
	struct capture capture;
	pid_t tid;
	int fd;           /* the namespace, or negative errno */
	const char *step; /* NULL: not begun */
};

/**
 * netns_begin() - start a helper thread that will make a network namespace with loopback up. One at a time.
 * @gate: in memory that is shared with the one who opens it, by netns_open(); 0
 * @host_ports: of capture_make(); in the same memory
 * The only place where a thread exists in a process that clones: it is joined before. Return: 0 or negative errno with @e.
 */
int netns_begin(struct netns *n, const uint32_t *gate, const uint16_t *host_ports, struct err *e);

/** netns_open() - let the thread that waits at @gate, in whatever process, make the namespace. After NETNS_BEGIN, another call must follow. */
void netns_open(uint32_t *gate, enum netns_gate how);

/** netns_join() - after netns_open(): wait, and enter the namespace. *ret_fd: of it, also on failure; unchanged where none was to be made. Return: 0 or negative errno; n->step names what failed. */
int netns_join(struct netns *n, int *ret_fd);

/** netns_gone() - after netns_join(): wait until the kernel counts the thread no more. It says that the thread ends a moment before that. */
void netns_gone(const struct netns *n);

#endif
