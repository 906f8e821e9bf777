/* SPDX-License-Identifier: Apache-2.0 */
#include "tool.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "cleanup.h"
#include "limits.h"

int tool_exec(const char *name, char *const argv[])
{
	/* the last one is NixOS's, where set-id programs are nowhere else */
	static const char *const dirs[] = { "/usr/local/sbin",  "/usr/local/bin", "/usr/sbin",
					    "/usr/bin",         "/sbin",          "/bin",
					    "/run/wrappers/bin" };
	static char path_var[] =
		"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/run/wrappers/bin";
	static char *const env[] = { path_var, NULL };
	char path[LIMIT_PATH];
	int r = -ENOENT;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(dirs); i++) {
		if (snprintf(path, sizeof(path), "%s/%s", dirs[i], name) >= (int)sizeof(path))
			return -ENAMETOOLONG;
		(void)execve(path, argv, env);
		if (errno != ENOENT && errno != ENOTDIR)
			r = -errno; /* it is there, and can't be executed: another may */
	}
	return r;
}
