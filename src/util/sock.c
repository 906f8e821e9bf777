/* SPDX-License-Identifier: Apache-2.0 */
#include "sock.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

socklen_t sock_address(int dir, const char *name, struct sockaddr_un *a)
{
	*a = (struct sockaddr_un){ .sun_family = AF_UNIX };
	(void)snprintf(a->sun_path, sizeof(a->sun_path), "/proc/self/fd/%d/%s", dir, name);
	return sizeof(*a);
}

socklen_t sock_own_address(int dir, const char *name, struct sockaddr_un *a)
{
	char link[32], path[sizeof(a->sun_path)];
	struct stat named, is;
	ssize_t n;

	(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", dir);
	n = readlink(link, path, sizeof(path));
	if (n <= 0 || n == sizeof(path))
		return sock_address(dir, name, a);
	path[n] = '\0';
	if (lstat(path, &named) < 0 || fstat(dir, &is) < 0 || named.st_dev != is.st_dev ||
	    named.st_ino != is.st_ino)
		return sock_address(dir, name, a);
	*a = (struct sockaddr_un){ .sun_family = AF_UNIX };
	if (snprintf(a->sun_path, sizeof(a->sun_path), "%s/%s", path, name) >=
	    (int)sizeof(a->sun_path))
		return sock_address(dir, name, a);
	return sizeof(*a);
}
