/* SPDX-License-Identifier: Apache-2.0 */
/* The value of user.overlay.origin: struct ovl_fb of the kernel's fs/overlayfs/overlayfs.h, which has not changed since Linux 4.20. */
#include "origin.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/xattr.h>

#include "review.h"

#define VERSION 0
#define MAGIC 0xfb
#define HEAD 21 /* version, magic, length, flags, type, uuid[16] */

size_t review_origin_handle(const unsigned char *value, size_t n, const unsigned char **ret,
			    int *ret_type)
{
	if (n <= HEAD || value[0] != VERSION || value[1] != MAGIC || value[2] != n)
		return 0;
	*ret = value + HEAD;
	*ret_type = value[4];
	return n - HEAD;
}

bool origin_has(int fd)
{
	char path[64];

	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return getxattr(path, "user.overlay.origin", NULL, 0) >= 0;
}

bool origin_opaque(int fd)
{
	char path[64], value[4];

	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return getxattr(path, "user.overlay.opaque", value, sizeof(value)) == 1 && value[0] == 'y';
}

bool origin_other(int upper, int host)
{
	union {
		struct file_handle fh;
		unsigned char room[sizeof(struct file_handle) + 128];
	} h = { .fh = { .handle_bytes = 128 } };
	unsigned char value[256];
	const unsigned char *fid = NULL;
	char path[64];
	ssize_t n;
	size_t len;
	int mount, type = 0;

	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", upper);
	n = getxattr(path, "user.overlay.origin", value, sizeof(value));
	len = n > 0 ? review_origin_handle(value, (size_t)n, &fid, &type) : 0;
	if (len == 0 || name_to_handle_at(host, "", &h.fh, &mount, AT_EMPTY_PATH) < 0)
		return false; /* one of the file systems gives no such answer */
	return h.fh.handle_type != type || h.fh.handle_bytes != len ||
	       memcmp(h.fh.f_handle, fid, len) != 0;
}
