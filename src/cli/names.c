/* SPDX-License-Identifier: Apache-2.0 */
/* Paths as people write them. */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "sandbox.h"

/* @word as the kernel would be given it. Return: 0 or -ENAMETOOLONG. */
static int absolute(const char *word, const char *cwd, const char *home, char *out)
{
	const char *base = word[0] == '/' ? "" : cwd;
	size_t n, len = strlen(word);

	if (word[0] == '~' && (word[1] == '/' || !word[1])) {
		base = home;
		word++;
		len--;
	}
	n = strlen(base);
	if (n + len + 2 > LIMIT_PATH)
		return -ENAMETOOLONG;
	memcpy(out, base, n);
	out[n] = '/';
	memcpy(out + n + 1, word, len + 1);
	return 0;
}

/*
 * Whether ".." behind @prefix leads to two places: the kernel goes up from where a symlink leads, the text goes up from where it stands.
 * @kernel, @text: LIMIT_PATH bytes, filled when it does.
 */
static bool ambiguous(const char *prefix, char *kernel, char *text)
{
	char real[PATH_MAX], up[LIMIT_PATH], norm[LIMIT_PATH];
	size_t n = strlen(prefix);
	char *slash;

	if (!realpath(prefix, real) || n + 4 > sizeof(up))
		return false; /* it leads nowhere, so there is no other place */
	slash = strrchr(real, '/');
	*(slash == real ? slash + 1 : slash) = '\0';
	memcpy(up, prefix, n);
	memcpy(up + n, "/..", 4);
	if (path_normalize(up, "/", NULL, norm, NULL) < 0 ||
	    jail_host_resolve(norm, true, text) < 0)
		return false;
	memcpy(kernel, real, strlen(real) + 1);
	return strcmp(kernel, text) != 0;
}

int sandbox_path(const char *word, const char *cwd, const char *home, char *out, struct err *e)
{
	char whole[LIMIT_PATH], kernel[LIMIT_PATH], text[LIMIT_PATH];
	int r = path_normalize(word, cwd, home, out, e);
	char *p;

	if (r < 0 || !strstr(word, "..") || absolute(word, cwd, home, whole) < 0)
		return r;
	for (p = whole; (p = strstr(p, "/..")); p++) {
		if (p[3] && p[3] != '/')
			continue;
		*p = '\0';
		if (ambiguous(whole, kernel, text))
			return err_set(
				e, ERR_USAGE, -EINVAL,
				"'%.100s': '..' behind a symlink is '%.100s' for programs and '%.100s' for a shell's cd; write the path without it",
				word, kernel, text);
		*p = '/';
	}
	return 0;
}
