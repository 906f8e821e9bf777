/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BAILEY_GATEWAY_CONFINE_H
#define BAILEY_GATEWAY_CONFINE_H

#include <sys/types.h>

#include "util/util.h"

/** confine_gateway() - confine() with what the gateway needs. Return: as it. */
int confine_gateway(uid_t uid, gid_t gid, struct err *e);

#endif
