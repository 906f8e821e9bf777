/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who makes names for a run with --strict-protect (docs/adr/0023): the maker, a process in the sandbox that can do no more than the command. A call that
 * would make a name is stopped; the observer (notify.c) reads its arguments once and sends them here; what the maker did is the answer. So what was
 * judged is what is done, and no two names of a run are made at the same time.
 */
#ifndef BAILEY_JAIL_MAKE_H
#define BAILEY_JAIL_MAKE_H

#include "jail.h"

enum make_op {
	MAKE_OPEN,
	MAKE_MKDIR,
	MAKE_MKNOD,
	MAKE_RENAME,
	MAKE_LINK,
	MAKE_SYMLINK,
	MAKE_OP_NUM
};

/* With it come the directories that relative paths begin in (O_PATH), for the first path, then for the second. */
struct make_call {
	uint64_t id; /* of the notification */
	enum make_op op;
	int flags; /* of open(2), renameat2(2), linkat(2) */
	mode_t mode, umask;
	uint64_t dev;
	int pid, tid; /* as the sandbox sees them: what /proc/self means to the caller */
	int tty;      /* number of the caller's terminal below /dev/pts; -1: none */
	bool based[2];
	char path[2][LIMIT_PATH]; /* the second one is the new name; of an open the first */
};

/* With it comes the file that was opened. */
struct make_answer {
	uint64_t id;
	int error; /* negative errno, or 0 */
	bool refused;
	char what[64]; /* why, then */
	char path[LIMIT_PATH];
};

/**
 * make_main() - be the maker, until @sock hangs up.
 * Should run without privileges, behind every wall of the command. Mustn't have descriptors but 0-2 and @sock.
 */
void make_main(int sock, const struct jail_strict *strict) __attribute__((noreturn));

#endif
