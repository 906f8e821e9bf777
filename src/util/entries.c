/* SPDX-License-Identifier: Apache-2.0 */
#include "entries.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sys.h"

static int compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static int add(struct entries *l, const char *name, size_t max)
{
	if (l->n == max)
		return -E2BIG;
	if (l->n == l->size) {
		char **more = realloc(l->v, (l->size * 2 + 64) * sizeof(*more));

		if (!more)
			return -ENOMEM;
		l->v = more;
		l->size = l->size * 2 + 64;
	}
	l->v[l->n] = strdup(name);
	if (!l->v[l->n])
		return -ENOMEM;
	l->n++;
	return 0;
}

int entries_read(int dfd, size_t max, struct entries *ret)
{
	SYS_DIRENT_ALIGN char buf[16384];
	const struct sys_dirent *d;
	long n, o;
	int r = 0;

	*ret = (struct entries){ .v = NULL };
	while (r == 0 && (n = sys_getdents(dfd, buf, sizeof(buf))) != 0) {
		if (n < 0)
			return (int)n;
		for (o = 0; r == 0 && (d = sys_dirent_next(buf, n, &o));) {
			if (strcmp(d->name, ".") != 0 && strcmp(d->name, "..") != 0)
				r = add(ret, d->name, max);
		}
	}
	if (ret->n > 1)
		qsort(ret->v, ret->n, sizeof(*ret->v), compare);
	return r;
}

bool entries_have(const struct entries *l, const char *name)
{
	return l->n && bsearch(&name, l->v, l->n, sizeof(*l->v), compare);
}

void entries_done(struct entries *l)
{
	size_t i;

	for (i = 0; i < l->n; i++)
		free(l->v[i]);
	free(l->v);
	*l = (struct entries){ .v = NULL };
}
