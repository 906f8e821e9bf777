/* SPDX-License-Identifier: Apache-2.0 */
/* clone: PID 1 in namespaces of its own, and what is said when the kernel refuses them: the same as the doctor says. */
#ifndef BAILEY_JAIL_CLONE_H
#define BAILEY_JAIL_CLONE_H

#include "util/util.h"

/**
 * clone_all() - a copy of this process in a user, a mount and a pid namespace of its own. Root in a chroot leaves it first, when it must
 * (docs/adr/0016).
 * Return: as fork(), with a negative errno.
 */
long clone_all(void);

/** clone_refused() - say why clone_all() gave @r, and the way on. Return: negative errno with @e. */
int clone_refused(int r, struct err *e);

/** clone_without_rights() - the same where the id maps could not be written: @e says what failed, @r why. Return: negative errno with @e. */
int clone_without_rights(int r, struct err *e);

#endif
