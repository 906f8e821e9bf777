/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a run may use, and by which mechanism it is held to that (docs/adr/0009).
 *  launcher  jail_limits_begin()   makes the cgroups, chooses a mechanism for each limit; jail_continue() calls it
 *  PID 1     jail_limits_apply()   enters them and sets the rest, before anything hostile exists
 *  launcher  jail_watch_memory()   only where there is no cgroup; jail_limits_end() removes what was made
 * Without a limit none of these is called.
 */
#ifndef BAILEY_JAIL_LIMIT_H
#define BAILEY_JAIL_LIMIT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "policy/policy.h"
#include "util/util.h"

enum jail_mechanism {
	JAIL_BY_NOTHING,
	JAIL_BY_CGROUP2,
	JAIL_BY_CGROUP1,
	JAIL_BY_RLIMIT,
	JAIL_BY_TMPFS,    /* size= of the private file system */
	JAIL_BY_AFFINITY, /* soft: the command can undo it */
	JAIL_BY_WATCHDOG, /* soft: looks every JAIL_WATCH_MS, then kills */
	JAIL_BY_NUM
};

#define JAIL_WATCH_MS 100
#define JAIL_CGROUPS 4 /* of each limit one, and one that only keeps the run from the caller's */

/* A cgroup of one run in one hierarchy. */
struct jail_cgroup {
	bool v2;
	char controllers[64]; /* v1: all of the hierarchy */
	int parent,
		dir; /* dir is locked while the run lives: whoever gets the lock may remove it */
	char name[40];
};

struct jail_limits {
	uint64_t value[POLICY_LIMIT_NUM]; /* 0: no limit */
	enum jail_mechanism by[POLICY_LIMIT_NUM];
	struct jail_cgroup cgroups[JAIL_CGROUPS];
	size_t n; /* of cgroups */
	struct jail_cgroup
		leaf; /* where the launcher went, so that its own cgroup may pass controllers on; or leaf.dir is -1 */
	unsigned int passed; /* limits whose controllers are passed on since then, as bits */
	unsigned int
		helpers; /* processes of jail_late() that will join the user namespace for a while, and count there */
	unsigned int seed; /* which CPUs, by affinity */
	char why[160];     /* there is no cgroup for a limit, because … */
	bool nested;       /* the command can mount: other file systems in memory */
	bool nested_owner; /* … and, as the owner of its cgroup, that */
	bool rooted; /* there is a root inside, who can become other ids: what counts per id is no bound */
};

/* What PID 1 opens for the watchdog, in this order. */
enum jail_watch { JAIL_WATCH_PROC, JAIL_WATCH_TMPFS, JAIL_WATCH_SHM, JAIL_WATCH_NUM };

/* How often the kernel had to hold the run to a limit. */
struct jail_limit_events {
	unsigned long long killed, refused; /* by memory; forks by pids */
};

struct jail_apply;
struct jail_identity;

/** jail_limits_any() - whether there is a limit at all. */
bool jail_limits_any(const struct jail_limits *l);

/** jail_limits_grouped() - whether a run has a cgroup of its own to get: it has limits, or its command could mount and write that of its caller. */
bool jail_limits_grouped(const struct jail_limits *l);

/** jail_mechanism_name() - "cgroup v2" … */
const char *jail_mechanism_name(enum jail_mechanism m);

/** jail_limit_soft() - whether hostile code can get past it. */
bool jail_limit_soft(const struct jail_limits *l, enum policy_limit which);

/**
 * jail_limits_begin() - choose a mechanism for each limit; make cgroups with their limits set, empty.
 * @pid: PID 1 of the sandbox as the caller sees it, or 0 when there is none
 * @allowed: layers that may be lost, as bits
 * Return: 0 or negative errno with @e; jail_limits_end() in both cases.
 */
int jail_limits_begin(struct jail_limits *l, pid_t pid, unsigned int allowed, unsigned int *lost,
		      struct err *e);

/** jail_limits_fds() - open what PID 1 enters its cgroups by. @fds: 8 places. Return: how many, or negative errno with @e. */
int jail_limits_fds(const struct jail_limits *l, int fds[8], struct err *e);

/**
 * jail_limits_apply() - in PID 1: enter the cgroups, show only them below /sys/fs/cgroup, set what holds by other means.
 * Should run when all threads but this are gone, with capabilities still there. Mustn't run twice.
 * @fds: from jail_limits_fds()
 * @watch: filled when the watchdog is needed; else untouched
 * Return: 0 or negative errno with @e.
 */
int jail_limits_apply(struct jail_apply *a, const int fds[8], int watch[JAIL_WATCH_NUM],
		      struct err *e);

/** jail_limits_files() - in PID 1, when it has closed what it built with: limit its descriptors. Return: 0 or negative errno with @e. */
int jail_limits_files(const struct jail_limits *l, struct err *e);

/** jail_limits_end() - remove the cgroups, when every process in them is dead. @ret: what happened in them. */
void jail_limits_end(struct jail_limits *l, struct jail_limit_events *ret);

/** jail_limits_killed() - how many processes the kernel has ended so far to hold the sandbox to its memory; 0 where no cgroup does that. */
unsigned long long jail_limits_killed(const struct jail_limits *l);

/**
 * jail_watch_memory() - how much memory the sandbox uses.
 * @watch: from PID 1
 * @limit: an answer that is not above it may be too large; one that is above is exact (but for what changed meanwhile)
 * Return: 0 or negative errno.
 */
int jail_watch_memory(const int watch[JAIL_WATCH_NUM], uint64_t limit, uint64_t *ret);

#endif
