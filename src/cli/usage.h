/* SPDX-License-Identifier: Apache-2.0 */
/* What a sandbox that stays uses: its supervisor says who its PID 1 is, and /proc the rest. Nothing of it wakes one that is paused. */
#ifndef BAILEY_CLI_USAGE_H
#define BAILEY_CLI_USAGE_H

#include "named.h"

struct usage {
	bool lives;
	struct wire_msg state; /* WIRE_STATE, when it lives */
	uint64_t cpu_us;       /* processor time so far, with that of processes that have ended */
	uint64_t memory; /* bytes: private pages, and shared memory counted by each who has it */
	uint64_t pids;   /* processes and threads, without PID 1, which is bailey's */
	bool io;         /* the kernel says what follows: bytes of disks */
	uint64_t read, written;
};

/* A process as the sandbox sees it. */
struct usage_process {
	pid_t pid, parent; /* inside */
	char state;
	uint32_t threads;
	uint64_t cpu_us, memory;
	const char *command; /* its words, joined by spaces; or "[NAME]" */
};

/** usage_get() - Return: 0, also when it does not live; or negative errno with @e. */
int usage_get(const struct named *n, const struct named_box *box, struct usage *ret, struct err *e);

/** usage_processes() - who runs in the sandbox of @pid1, but that. @ret: of @a. Return: how many, or negative errno with @e. */
long usage_processes(pid_t pid1, struct arena *a, struct usage_process **ret, struct err *e);

#endif
