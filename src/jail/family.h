/* SPDX-License-Identifier: Apache-2.0 */
/* The processes of a sandbox, looked at from outside: PID 1 and all below it. Orphans are children of PID 1, so nobody is missed. */
#ifndef BAILEY_JAIL_FAMILY_H
#define BAILEY_JAIL_FAMILY_H

#include "proc-stat.h"

/**
 * jail_family() - who is in the sandbox of @pid1, itself first.
 * It reads what they say of their children (/proc/PID/task/TID/children): no other process of the machine is looked at. Who forks or ends meanwhile may be
 * missed: it is for counting, not for stopping (freeze.h).
 * @ret: an array, to be freed, also when it is empty
 * Return: how many; or negative errno: -ENOENT: the kernel does not say who is whose child, or @pid1 is gone.
 */
long jail_family(pid_t pid1, struct proc_stat **ret);

/** jail_family_ticks() - the processor time that they have used together, in ticks (sysconf(_SC_CLK_TCK)). Return: it, or negative errno. */
long long jail_family_ticks(pid_t pid1);

#endif
