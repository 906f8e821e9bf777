/* SPDX-License-Identifier: Apache-2.0 */
#include "family.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "util/util.h"

struct family {
	struct proc_stat *members; /* owned */
	size_t n, size;
};

static int add(struct family *f, pid_t pid)
{
	if (f->n == f->size) {
		struct proc_stat *more = realloc(f->members, (f->size * 2 + 64) * sizeof(*more));

		if (!more)
			return -ENOMEM;
		f->members = more;
		f->size = f->size * 2 + 64;
	}
	f->n += proc_stat(pid, &f->members[f->n]);
	return 0;
}

/* The children that the thread @task has forked. Return: 0 or negative errno; one that has ended has none. */
static int add_children(struct family *f, int tasks, const char *task)
{
	char path[64], *at, *end;
	struct buf b = BUF_INIT(1u << 20);
	_cleanup_close_ int fd = -1;
	int r = 0;

	(void)snprintf(path, sizeof(path), "%.20s/children", task);
	fd = openat(tasks, path, O_RDONLY | O_CLOEXEC);
	if (fd < 0) /* of ours, which lives as long as we look: then no kernel file says it */
		return f->n == 1 ? -errno : 0;
	if (fd_read_all(fd, &b) == 0 && b.data) {
		for (at = b.data; r == 0; at = end) {
			const long pid = strtol(at, &end, 10);

			if (end == at)
				break;
			r = add(f, (pid_t)pid);
		}
	}
	buf_done(&b);
	return r;
}

static int look_below(struct family *f, pid_t pid)
{
	char path[32];
	struct dirent *de;
	int r = 0;
	DIR *d;

	(void)snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
	d = opendir(path);
	while (r == 0 && d && (de = readdir(d))) {
		if (de->d_name[0] != '.')
			r = add_children(f, dirfd(d), de->d_name);
	}
	if (d)
		(void)closedir(d);
	return r;
}

long jail_family(pid_t pid1, struct proc_stat **ret)
{
	struct family f = { .members = NULL };
	size_t i;
	int r = add(&f, pid1);

	if (r == 0 && f.n == 0)
		r = -ENOENT;
	/* who is found is looked at in turn */
	for (i = 0; r == 0 && i < f.n; i++)
		r = look_below(&f, f.members[i].pid);
	*ret = f.members;
	return r < 0 ? r : (long)f.n;
}

long long jail_family_ticks(pid_t pid1)
{
	struct proc_stat *members;
	long n = jail_family(pid1, &members), i;
	long long ticks = n < 0 ? n : 0;

	for (i = 0; members && i < n; i++)
		ticks += (long long)members[i].ticks;
	free(members);
	return ticks;
}
