/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BAILEY_JAIL_SOCKETS_H
#define BAILEY_JAIL_SOCKETS_H

#include "jail.h"

/* The search runs beside the building of the sandbox, which takes about 1.5 ms; a start may become this much longer, not more. */
#define JAIL_SEARCH_BUDGET_US 1500
/* A tree that is known to be too large for that is not searched to its end anyway: this is what the launcher has to spare. */
#define JAIL_SEARCH_LARGE_US 200

struct jail_sockets {
	char **paths; /* owned */
	size_t n;
};

/**
 * jail_sockets_find() - the host's sockets in the trees that show live files.
 * @large: the trees are known to be too large for the budget
 * @ret_whole: whether everything was searched; if not, jail_late() should follow
 * Return: 0 or negative errno with @e. jail_sockets_done() in both cases.
 */
int jail_sockets_find(const struct jail_plan *plan, bool large, struct jail_sockets *found,
		      bool *ret_whole, struct err *e);

/** jail_sockets_find_all() - the same without a budget of time. Return: 0 or negative errno with @e; jail_sockets_done() in both cases. */
int jail_sockets_find_all(const struct jail_plan *plan, struct jail_sockets *found, struct err *e);

/** jail_sockets_done() - free. */
void jail_sockets_done(struct jail_sockets *f);

/**
 * jail_socket_cover() - mount an inert file over the socket @path, or an empty directory over a closed one, below @root (O_PATH of "/" of the sandbox).
 * Return: 0, also when there is no socket any more; or negative errno.
 */
int jail_socket_cover(int root, const char *path);

#endif
