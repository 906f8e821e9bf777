/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BAILEY_JAIL_FILTER_H
#define BAILEY_JAIL_FILTER_H

#include "jail.h"

/**
 * seccomp_install() - put the profile `run` (seccomp-table.h) on this process for good; needs no_new_privs.
 * @nested: which variant; @disk_root: a nested root would be root on the disk, so extended attributes are refused
 * Return: 0 or negative errno.
 */
int seccomp_install(enum jail_nested nested, bool disk_root);

#endif
