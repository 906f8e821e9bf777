/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BAILEY_JAIL_LISTEN_H
#define BAILEY_JAIL_LISTEN_H

#include "jail.h"

/**
 * jail_listen() - start the maker, where names are judged; get the listener, where one is asked for; send both to the launcher by @sock.
 * Should run when PID 1 has no privilege any more, right before its filter. Return: 0 or negative errno with @e.
 */
int jail_listen(const struct jail_spec *spec, int sock, struct err *e);

#endif
