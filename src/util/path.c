/* SPDX-License-Identifier: Apache-2.0 */
#include "path.h"

#include <errno.h>
#include <string.h>

#include "err.h"
#include "limits.h"

/* Appends the components of @s to the normalised path in @out (length *len, without a trailing slash; "" is the root). */
static int append(char *out, size_t *len, const char *s)
{
	while (*s) {
		size_t n = strcspn(s, "/");

		if (n == 2 && s[0] == '.' && s[1] == '.') {
			while (*len > 0 && out[--*len] != '/')
				;
		} else if (n > 0 && !(n == 1 && s[0] == '.')) {
			if (*len + n + 2 > LIMIT_PATH)
				return -ENAMETOOLONG;
			out[(*len)++] = '/';
			memcpy(out + *len, s, n);
			*len += n;
		}
		s += n;
		while (*s == '/')
			s++;
	}
	return 0;
}

int path_normalize(const char *path, const char *cwd, const char *home, char *out, struct err *e)
{
	size_t len = 0;
	int r = 0;

	if (!path[0])
		return err_set(e, ERR_USAGE, -EINVAL, "the path is empty");
	if (path[0] == '~' && (path[1] == '/' || !path[1])) {
		if (!home || home[0] != '/')
			return err_set(e, ERR_USAGE, -EINVAL,
				       "'%s': HOME is not set to an absolute path", path);
		r = append(out, &len, home);
		path++;
	} else if (path[0] != '/') {
		r = append(out, &len, cwd);
	}
	if (r == 0)
		r = append(out, &len, path);
	if (r < 0)
		return err_set(e, ERR_USAGE, r, "the path is longer than %d bytes", LIMIT_PATH - 1);
	if (len == 0)
		out[len++] = '/';
	out[len] = '\0';
	return 0;
}

bool path_covers(const char *dir, const char *path)
{
	size_t n = strlen(dir);

	if (strcmp(dir, "/") == 0)
		return true;
	return strncmp(dir, path, n) == 0 && (path[n] == '/' || !path[n]);
}

size_t path_depth(const char *path)
{
	size_t n = 0;

	if (!path[1])
		return 0;
	for (; *path; path++)
		n += *path == '/';
	return n;
}

int path_compare(const char *a, const char *b)
{
	while (*a && *a == *b) {
		a++;
		b++;
	}
	/* '/' sorts before every other byte, so that "/a/b" stands right after "/a" and before "/a-b". */
	if (*a == '/' && *b)
		return -1;
	if (*b == '/' && *a)
		return 1;
	return (int)(unsigned char)*a - (int)(unsigned char)*b;
}
