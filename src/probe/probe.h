/* SPDX-License-Identifier: Apache-2.0 */
/*
 * probe: what this kernel and this machine can do, found by trying. A fact is a row of one table (facts.c) with a stable id.
 *  1. probe_facts()               the rows: what each is for, which layer of the jail stands on it, how to get it
 *  2. probe_begin(), probe_ask()  try a fact, and first the one it needs; each try is a process of its own, bounded in time,
 *                                 unprivileged, and gone without a trace
 */
#ifndef BAILEY_PROBE_H
#define BAILEY_PROBE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "util/util.h"

enum probe_state {
	PROBE_OK,
	PROBE_DEGRADED, /* it works with less than all of it; the detail says what is lost */
	PROBE_MISSING,
	PROBE_UNKNOWN, /* not tried, because something it needs is missing; or no answer in time */
	PROBE_STATE_NUM
};

/* What a try found. Written by the process that tries, in shared memory. */
struct probe_answer {
	enum probe_state state;
	int sys;          /* errno, positive; 0 when none applies */
	char detail[192]; /* what was seen: the step that failed, or parameters */
	char mend[256];   /* the command that mends it, when the row can't know it */
	char advice[448]; /* what to do where no command can */
};

struct probe_fact {
	const char *id; /* stable: scripts and documents use it */
	const char *group;
	const char *what; /* what holds, in words */
	const char
		*feature; /* what does without, when it is missing; NULL: `bailey run` is refused */
	const char *layer; /* of the jail (jail_layer_info()), or NULL */
	const char *needs; /* id of the fact that must hold for this one to be tried, or NULL */
	const char *mend;  /* shell command, to be run by root; NULL: see advice */
	const char *advice;
	enum probe_state (*try)(struct probe_answer *a);
};

struct probe {
	struct probe_answer *answers; /* one for each fact, shared with the processes that try */
	bool *asked;
	size_t n;
};

/** probe_facts() - the table. @ret_n: number of rows. Facts stand behind those they need. */
const struct probe_fact *probe_facts(size_t *ret_n);

/** probe_required() - whether `bailey run` needs @f. */
bool probe_required(const struct probe_fact *f);

/** probe_state_name() - "ok", "degraded", "missing", "unknown". */
const char *probe_state_name(enum probe_state s);

/** probe_begin() - prepare. The caller must have no threads and no children of its own. Return: 0 or negative errno with @e. */
int probe_begin(struct probe *p, struct err *e);

/** probe_ask() - the answer to fact @i; tried once. Its mend is a command for this caller ("sudo …" when not root). */
const struct probe_answer *probe_ask(struct probe *p, size_t i);

/** probe_end() - free. */
void probe_end(struct probe *p);

/**
 * probe_namespace() - whether a process can be made in the namespaces @flags (CLONE_NEW…). Return: 0 or negative errno.
 * For the error path of a clone that wanted several: asks for one.
 */
int probe_namespace(unsigned int flags);

/**
 * probe_userns_why() - why a user namespace was refused with @r, a negative errno: fills the mend (without "sudo") or the advice of @a.
 * For a refusal, which must say the same as the doctor.
 */
void probe_userns_why(struct probe_answer *a, int r);

/** probe_userns_rights_why() - the same where a namespace was made, and then writing its id maps failed with @r. */
void probe_userns_rights_why(struct probe_answer *a, int r);

/* An ordinary user's ranges of /etc/subuid and /etc/subgid: the first of PROBE_SUBIDS ids each. */
struct probe_subids {
	uid_t uid;
	gid_t gid;
};

#define PROBE_SUBIDS 65535u

/** probe_subids() - whether this user has such ranges, and newuidmap and newgidmap give them; tried. @a: its mend is without "sudo" */
enum probe_state probe_subids(struct probe_answer *a, struct probe_subids *ret);

/** probe_idmap() - whether root can show @path with mapped owners; tried. */
enum probe_state probe_idmap(struct probe_answer *a, const char *path);

#endif
