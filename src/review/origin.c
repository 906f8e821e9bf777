/* SPDX-License-Identifier: Apache-2.0 */
#include "origin.h"

#include <stdio.h>
#include <sys/xattr.h>

/* An O_PATH descriptor has no attributes but by its name in /proc. */
static long get(int fd, const char *name, char *value, size_t size)
{
	char path[64];

	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return getxattr(path, name, value, size);
}

bool origin_has(int fd)
{
	return get(fd, "user.overlay.origin", NULL, 0) >= 0;
}

bool origin_opaque(int fd)
{
	char value[4];

	return get(fd, "user.overlay.opaque", value, sizeof(value)) == 1 && value[0] == 'y';
}
