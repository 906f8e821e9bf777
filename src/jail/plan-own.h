/* SPDX-License-Identifier: Apache-2.0 */
/* What plan.c and plan-extra.c share: operations are added by the one, also for the other. */
#ifndef BAILEY_JAIL_PLAN_OWN_H
#define BAILEY_JAIL_PLAN_OWN_H

#include "plan.h"

struct planner {
	struct jail_plan *plan;
	const struct policy *policy;
	const struct jail_host *host;
	struct err *e;
	/* rules are sorted, so what was asked last is often asked next, too: the last directory that is there, and the last that is not */
	char dir[LIMIT_PATH], gone[LIMIT_PATH];
	char around[LIMIT_PATH]; /* the same for the state of the surroundings */
	struct policy_verdict around_is;
};

/** plan_add() - one more operation. @region, @rule: struct jail_op. Return: 0 or negative errno with pl->e. */
int plan_add(struct planner *pl, enum jail_op_type type, const char *path, unsigned int flags,
	     size_t region, const struct policy_rule *rule);

/** plan_add_ruled() - an operation of a rule: its region is found, and whether its mount point must be made. Return: as plan_add(). */
int plan_add_ruled(struct planner *pl, enum jail_op_type type, const char *path, unsigned int flags,
		   const struct policy_rule *rule);

/** plan_region() - the deepest operation that covers @path; of equals the last. Return: its index, or JAIL_NO_REGION. */
size_t plan_region(const struct jail_plan *p, const char *path);

/** plan_uppers() - the directories between the overlay @region and @path, as the hiding layer needs them. Return: as plan_add(). */
int plan_uppers(struct planner *pl, size_t region, const char *path,
		const struct policy_rule *rule);

#endif
