/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BAILEY_JAIL_VERIFY_H
#define BAILEY_JAIL_VERIFY_H

#include "jail.h"

/**
 * jail_verify() - retry what must now fail.
 * Should be the last thing before the command is made. Mustn't be skipped: a layer is in force because this saw it, not because a
 * call returned 0. @lost: layers that were given up.
 * Return: 0, or -EPERM with @e naming the layer that does not hold.
 */
int jail_verify(const struct jail_spec *spec, unsigned int lost, struct err *e);

#endif
