/* SPDX-License-Identifier: Apache-2.0 */
/* Denied names and sockets that come while a run lives: covered in its sandbox. */
#ifndef BAILEY_GUARD_LATE_H
#define BAILEY_GUARD_LATE_H

#include "store.h"
#include "watch.h"

struct late {
	int ns[JAIL_NS_NUM]; /* of the sandbox; -1: nothing can be covered */
	const struct policy *policy;
	const struct guard_pattern *patterns;
	struct settled *settled; /* what needs nothing more */
	size_t n_settled, covered;
};

/** late_wants() - whether @path, which has come, should be looked at. */
bool late_wants(const struct late *l, const char *path);

/** late_look() - cover what has come in the directories of @t that are writable for the run. Return: false when something could not be covered. */
bool late_look(struct late *l, const struct trees *t);

/** late_done() - free, and close the descriptors. */
void late_done(struct late *l);

#endif
