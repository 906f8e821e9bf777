/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BAILEY_JAIL_FILTER_H
#define BAILEY_JAIL_FILTER_H

#include "jail.h"

/**
 * seccomp_install() - put a profile of seccomp-table.h on this process for good; needs no_new_privs or CAP_SYS_ADMIN.
 * @nested: which variant; @disk_root: a nested root would be root on the disk, so extended attributes are refused
 * @rooted: the profile `sandbox`, which is not nested
 * Return: 0 or negative errno.
 */
int seccomp_install(enum jail_nested nested, bool disk_root, bool rooted);

/**
 * seccomp_listen() - put a filter on this process that stops the calls of SECCOMP_NOTIFY (seccomp-table.h) until the listener has answered.
 * @what: JAIL_REPORT_NONE: only those that make a name
 * Must come before seccomp_install(); what that refuses is refused without asking.
 * Return: the listener, or negative errno.
 */
int seccomp_listen(enum jail_report what);

#endif
