/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BAILEY_JAIL_FILTER_H
#define BAILEY_JAIL_FILTER_H

#include <stdbool.h>

/**
 * seccomp_install() - put the profile `run` (seccomp-table.h) on this process for good; needs no_new_privs.
 * @notify: unix sockets raise a notification
 * Return: the listener when @notify, else 0; or negative errno.
 */
int seccomp_install(bool notify);

#endif
