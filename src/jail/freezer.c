/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. PID 1 is moved first: whom it forks from then on is in the cgroup, and so are the children of everybody who was moved. Who is not
 * there yet is found by looking again, until a look finds nobody; the last looks are made when all who are there are frozen, so that none of them can fork
 * behind our back, and who comes in then is frozen by that. Processes stay in the cgroup when they are thawed: the next pause moves nobody.
 */
#include "freezer.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "cgroup.h"
#include "family.h"

#define PASSES 50

static int by_number(const void *a, const void *b)
{
	const long x = *(const long *)a, y = *(const long *)b;

	return x < y ? -1 : x > y;
}

/* Who is in the cgroup, sorted. Return: how many, or negative errno. @ret: to be freed */
static long list(int dir, long **ret)
{
	_cleanup_close_ int fd = openat(dir, "cgroup.procs", O_RDONLY | O_CLOEXEC);
	struct buf b = BUF_INIT(1u << 20);
	long *pids = NULL, n = 0;
	char *at, *end;
	int r = fd < 0 ? -errno : fd_read_all(fd, &b);

	*ret = NULL;
	if (r == 0) {
		pids = calloc(b.len / 2 + 1, sizeof(*pids));
		r = pids ? 0 : -ENOMEM;
	}
	for (at = b.data; r == 0 && at && *at; at = end + (*end != '\0')) {
		pids[n] = strtol(at, &end, 10);
		if (end == at)
			break;
		n++;
	}
	buf_done(&b);
	if (n > 1)
		qsort(pids, (size_t)n, sizeof(*pids), by_number);
	*ret = pids;
	return r < 0 ? r : n;
}

/* Move whoever is not there. Return: how many, or negative errno. */
static long move(int dir, pid_t pid1)
{
	struct proc_stat *members = NULL;
	long *there = NULL, n_there = list(dir, &there), n, i, moved = 0;
	char text[32];
	int r;

	n = n_there < 0 ? n_there : jail_family(pid1, &members);
	for (i = 0; i < n && moved >= 0; i++) {
		const long pid = members[i].pid;

		if (members[i].state == 'Z' || members[i].state == 'X' ||
		    (there && bsearch(&pid, there, (size_t)n_there, sizeof(*there), by_number)))
			continue;
		(void)snprintf(text, sizeof(text), "%ld", pid);
		r = fd_write_file(dir, "cgroup.procs", text);
		if (r == 0)
			moved++;
		else if (r != -ESRCH) /* it has ended */
			moved = r;
	}
	free(members);
	free(there);
	return n < 0 ? n : moved;
}

static int move_all(int dir, pid_t pid1)
{
	long r = 1;
	int i;

	for (i = 0; i < PASSES && r > 0; i++)
		r = move(dir, pid1);
	return r > 0 ? -EAGAIN : (int)r;
}

static int hold(struct jail_freezer *z, pid_t pid1)
{
	int r;

	if (!z->made) {
		r = cgroup_make_plain(&z->group);
		if (r < 0)
			return r;
		z->made = true;
	}
	r = move_all(z->group.dir, pid1);
	if (r == 0)
		r = freeze_cgroup(z->group.dir);
	if (r == 0) {
		r = move_all(z->group.dir, pid1);
		if (r < 0)
			(void)fd_write_file(z->group.dir, "cgroup.freeze", "0");
	}
	return r;
}

static bool has_freezer(const struct jail_limits *limits)
{
	size_t i;

	for (i = 0; limits && i < limits->n; i++) {
		if (limits->cgroups[i].v2)
			return true;
	}
	return false;
}

int jail_pause(struct jail_freezer *z, struct jail_frozen *f, pid_t pid1,
	       const struct jail_limits *limits)
{
	if (!z->useless && !has_freezer(limits)) {
		if (hold(z, pid1) == 0) {
			f->cgroup = z->group.dir;
			f->n = 0;
			return 0;
		}
		z->useless = true; /* not asked again: what it can't do now it can't later */
	}
	return jail_freeze(f, pid1, limits);
}

void jail_freezer_done(struct jail_freezer *z)
{
	if (z->made)
		cgroup_remove(&z->group);
	z->made = false;
}
