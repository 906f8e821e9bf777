/* SPDX-License-Identifier: Apache-2.0 */
#include "cpus.h"

#include "util/util.h"

#define BITS (8 * sizeof(unsigned long))

void cpus_read(struct cpus *c)
{
	long n = sys_call(SYS_sched_getaffinity, 0, sizeof(c->set), (long)c->set, 0, 0);
	size_t i, others = 0;

	c->size = 0;
	if (n <= 0)
		return;
	for (i = 0; i < (size_t)n / sizeof(long); i++)
		others += (size_t)__builtin_popcountl(c->set[i]);
	if (others > 1)
		c->size = (size_t)n;
}

void cpus_push(pid_t pid, const struct cpus *c)
{
	unsigned long set[ARRAY_SIZE(c->set)];
	unsigned int here = 0;
	size_t i;

	if (c->size == 0 || sys_call(SYS_getcpu, (long)&here, 0, 0, 0, 0) < 0 ||
	    here / BITS >= ARRAY_SIZE(set))
		return;
	for (i = 0; i < ARRAY_SIZE(set); i++)
		set[i] = c->set[i];
	if (!(set[here / BITS] & (1ul << (here % BITS))))
		return;
	set[here / BITS] &= ~(1ul << (here % BITS));
	(void)sys_call(SYS_sched_setaffinity, pid, (long)c->size, (long)set, 0, 0); /* only speed */
}

void cpus_restore(const struct cpus *c)
{
	/* a set that has changed meanwhile is the kernel's business: it keeps the cpuset's limits in every case */
	if (c->size)
		(void)sys_call(SYS_sched_setaffinity, 0, (long)c->size, (long)c->set, 0, 0);
}
