/* SPDX-License-Identifier: Apache-2.0 */
#include "listening.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "util/util.h"

#define LISTEN 0x0a /* the kernel's TCP_LISTEN */
#define LINES_MAX \
	16384u /* of one table: whoever is inside can make it long; those that listen come first */

static bool is_same(const struct listener *a, const struct listener *b)
{
	return a->v6 == b->v6 && a->port == b->port && memcmp(a->at, b->at, sizeof(a->at)) == 0;
}

bool listening_has(const struct listeners *all, const struct listener *l)
{
	size_t i;

	for (i = 0; i < all->n && !is_same(&all->at[i], l); i++)
		;
	return i < all->n;
}

/* @n digits. Return: behind them, or NULL. */
static const char *hex(const char *p, size_t n, unsigned int *ret)
{
	static const char digits[] = "0123456789ABCDEF";
	size_t i;

	*ret = 0;
	for (i = 0; p && i < n; i++) {
		const char *d = p[i] ? strchr(digits, p[i]) : NULL;

		if (!d)
			return NULL;
		*ret = *ret << 4 | (unsigned int)(d - digits);
	}
	return p ? p + n : NULL;
}

/* "   0: 0100007F:1F90 00000000:0000 0A …": an address is words of this machine's order, each as eight digits. */
bool listening_line(const char *line, bool v6, struct listener *ret)
{
	const char *p = strchr(line, ':');
	unsigned int port = 0, state = 0, word;
	size_t i;

	*ret = (struct listener){ .v6 = v6 };
	if (!p)
		return false;
	p += strspn(p + 1, " ") + 1;
	for (i = 0; i < (v6 ? 4 : 1); i++) {
		p = hex(p, 8, &word);
		memcpy(ret->at + 4 * i, &word, sizeof(word));
	}
	p = p && *p == ':' ? hex(p + 1, 4, &port) : NULL;
	p = p && *p == ' ' ? strchr(p + 1, ' ') : NULL; /* behind the other end */
	if (!p || !hex(p + 1, 2, &state))
		return false;
	ret->port = (uint16_t)port;
	return state == LISTEN;
}

static int read_table(int proc, const char *path, bool v6, struct listeners *ret)
{
	const int fd = openat(proc, path, O_RDONLY | O_CLOEXEC);
	FILE *f = fd < 0 ? NULL : fdopen(fd, "r");
	struct listener l;
	char line[512];
	unsigned int n;
	int r;

	if (!f) {
		r = -errno;
		if (fd >= 0)
			(void)close(fd);
		return r;
	}
	for (n = 0; n < LINES_MAX && fgets(line, sizeof(line), f); n++) {
		if (listening_line(line, v6, &l) && ret->n < LISTENERS_MAX &&
		    !listening_has(ret, &l))
			ret->at[ret->n++] = l;
	}
	r = ferror(f) ? -EIO : 0;
	(void)fclose(f);
	return r;
}

int listening_read(int proc, struct listeners *ret)
{
	int r;

	ret->n = 0;
	r = read_table(proc, "net/tcp", false, ret);
	if (r == 0)
		r = read_table(proc, "net/tcp6", true, ret);
	if (r == -ENOENT && faccessat(proc, "net/tcp", F_OK, 0) == 0)
		return 0; /* a kernel without IPv6 */
	/* of one that has ended the kernel says one or the other */
	return r == -ENOENT || r == -EINVAL ? -ESRCH : r;
}

bool listening_on(pid_t pid, unsigned int port)
{
	static struct listeners all; /* too big for a stack */
	_cleanup_close_ int proc = -1;
	char path[32];
	size_t i;

	(void)snprintf(path, sizeof(path), "/proc/%d", (int)pid);
	proc = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (proc < 0 || listening_read(proc, &all) < 0)
		return false;
	for (i = 0; i < all.n && all.at[i].port != port; i++)
		;
	return i < all.n;
}
