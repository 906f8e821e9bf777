/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BAILEY_KEYS_CONFINE_H
#define BAILEY_KEYS_CONFINE_H

#include <sys/types.h>

#include "util/util.h"

/** confine_keys() - confine() with what this process needs. Return: as it. */
int confine_keys(uid_t uid, gid_t gid, struct err *e);

#endif
