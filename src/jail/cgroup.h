/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BAILEY_JAIL_CGROUP_H
#define BAILEY_JAIL_CGROUP_H

#include "limit.h"

/**
 * cgroup_make() - make cgroups for the limits of @want (bits 1 << enum policy_limit) and set them.
 * @l: values; by is set for those that a cgroup holds now; for the others why says why not
 * @pid: PID 1 of the sandbox, or 0
 * Return: 0; or negative errno with @e when a cgroup that is this caller's to use did not work.
 */
int cgroup_make(struct jail_limits *l, unsigned int want, pid_t pid, struct err *e);

/**
 * cgroup_make_plain() - make one of version 2 that limits nothing, in the nearest place above the caller's where that is allowed.
 * Return: 0 with @ret, to be removed; or negative errno: -ENOENT: there is no version 2 here.
 */
int cgroup_make_plain(struct jail_cgroup *ret);

/** cgroup_remove() - remove one; waits for processes that are dying. */
void cgroup_remove(struct jail_cgroup *g);

/** cgroup_step_back() - undo what was done to the caller's own cgroup, when the run's is removed. */
void cgroup_step_back(struct jail_limits *l);

/** cgroup_event() - the number behind @word in a file of @g; 0 when it is not there. */
unsigned long long cgroup_event(const struct jail_cgroup *g, const char *file, const char *word);

#endif
