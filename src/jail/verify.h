/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BAILEY_JAIL_VERIFY_H
#define BAILEY_JAIL_VERIFY_H

#include "plan-apply.h"

/**
 * jail_verify() - retry what must now fail.
 * Should be the last thing before the command is made. Mustn't be skipped: a layer is in force because this saw it, not because a
 * call returned 0.
 * @a: what was applied; its stage is still open, its lost layers are not asked
 * @host: any socket that was made outside
 * Return: 0, or -EPERM with @e naming the layer that does not hold.
 */
int jail_verify(const struct jail_apply *a, int host, struct err *e);

#endif
