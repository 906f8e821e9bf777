/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BAILEY_JAIL_LANDLOCK_H
#define BAILEY_JAIL_LANDLOCK_H

#include "jail.h"

/**
 * landlock_prepare() - a ruleset that grants write-class rights below the plan's writable places and nowhere else.
 * Needs no privilege; do it when the mounts stand. Rights that the kernel's ABI lacks are left out.
 * Return: the ruleset's fd, or negative errno with @e (-EOPNOTSUPP: no Landlock).
 */
int landlock_prepare(const struct jail_plan *plan, struct err *e);

/** landlock_scopes() - a ruleset that judges signals and abstract sockets alone. Return: its fd; -ENODATA where the kernel has no such; negative errno with @e. */
int landlock_scopes(struct err *e);

/** landlock_enforce() - restrict this process for good; needs no_new_privs. Takes @ruleset. Return: 0 or negative errno. */
int landlock_enforce(int ruleset);

#endif
