/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cpus: start PID 1 beside the launcher. The scheduler puts a child on its parent's CPU more often than not, where it waits until
 * the parent sleeps (0.6 ms were seen, with the other CPU idle). Both have work to do, so the child is moved to another CPU.
 *  1. cpus_read()     before the clone: what the caller may use
 *  2. cpus_push()     launcher, at once after the clone; PID 1 for its helper thread
 *  3. cpus_restore()  PID 1, after the launcher's first message and so after 2: the caller's whole set again
 */
#ifndef BAILEY_JAIL_CPUS_H
#define BAILEY_JAIL_CPUS_H

#include <stddef.h>
#include <sys/types.h>

struct cpus {
	unsigned long set[16]; /* 1,024 CPUs; a kernel with more is left alone */
	size_t size;           /* bytes of set in use; 0: nothing to do */
};

/** cpus_read() - note the CPUs of this process. Nothing depends on it: what fails is no error. */
void cpus_read(struct cpus *c);

/** cpus_push() - move the thread @pid away from our CPU, if the set has another one. */
void cpus_push(pid_t pid, const struct cpus *c);

/** cpus_restore() - let this process use the whole set again. */
void cpus_restore(const struct cpus *c);

#endif
