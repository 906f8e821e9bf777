/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BAILEY_JAIL_FILTER_H
#define BAILEY_JAIL_FILTER_H

/** seccomp_install() - put the profile `run` (seccomp-table.h) on this process for good; needs no_new_privs. Return: 0 or negative errno. */
int seccomp_install(void);

#endif
