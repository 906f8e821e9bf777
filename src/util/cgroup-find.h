/* SPDX-License-Identifier: Apache-2.0 */
/* Where the caller's own cgroup is mounted. Pure: texts of /proc in, a place out (cgroups(7), proc_pid_mountinfo(5)). */
#ifndef BAILEY_UTIL_CGROUP_FIND_H
#define BAILEY_UTIL_CGROUP_FIND_H

#include <stdbool.h>
#include <stddef.h>

#include "limits.h"

struct cgroup_place {
	bool v2;
	char controllers[64];  /* v1: all of the hierarchy, as in /proc/self/cgroup; v2: "" */
	char path[LIMIT_PATH]; /* the directory of the caller's cgroup */
	size_t top;            /* bytes of it that are the mount point */
};

/**
 * cgroup_find() - the hierarchy that has, or in version 2 could have, @controller.
 * @cgroups: text of /proc/self/cgroup
 * @mountinfo: text of /proc/self/mountinfo
 * Return: 0, -ENOENT when it is not mounted here, -ENAMETOOLONG.
 */
int cgroup_find(const char *cgroups, const char *mountinfo, const char *controller,
		struct cgroup_place *ret);

#endif
