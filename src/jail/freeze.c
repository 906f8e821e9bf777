/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. A cgroup of version 2 has a file for it, and the kernel says when all are frozen. Without one, /proc is read: whatever
 * descends from PID 1 is stopped, and then /proc is read again until nobody new is found. A process that has forked meanwhile is seen then, and once
 * everybody is stopped nobody is left who could undo it. Orphans are children of PID 1, so nobody is missed.
 */
#include "jail.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proc-stat.h"

/* How long it may take: who is told to stop does so when it runs next, and on a busy machine that is not at once. */
#define FREEZE_MS 2000

struct seen {
	struct proc_stat stat;
	bool inside;
};

static bool is_over(char state)
{
	return strchr("TtZXx", state);
}

/* Whether any thread runs. The first one may have ended, and is a zombie as long as others live. */
static bool runs(const struct seen *s)
{
	char path[300];
	struct dirent *de;
	struct proc_stat thread;
	bool yes = false;
	DIR *d;

	if (s->stat.state != 'Z')
		return !is_over(s->stat.state);
	(void)snprintf(path, sizeof(path), "/proc/%d/task", (int)s->stat.pid);
	d = opendir(path);
	while (!yes && d && (de = readdir(d))) {
		(void)snprintf(path, sizeof(path), "/proc/%d/task/%.20s/stat", (int)s->stat.pid,
			       de->d_name);
		yes = de->d_name[0] != '.' && proc_stat_at(path, s->stat.pid, &thread) &&
		      !is_over(thread.state);
	}
	if (d)
		(void)closedir(d);
	return yes;
}

/* All processes. Return: how many, or negative errno. */
static long list(struct seen **ret)
{
	DIR *d = opendir("/proc");
	struct seen *all = NULL;
	size_t n = 0, size = 0;
	struct dirent *de;

	while (d && (de = readdir(d))) {
		if (de->d_name[0] < '1' || de->d_name[0] > '9')
			continue;
		if (n == size) {
			struct seen *more = realloc(all, (size + 1024) * sizeof(*all));

			if (!more)
				break;
			all = more;
			size += 1024;
		}
		all[n].inside = false;
		n += proc_stat((pid_t)strtol(de->d_name, NULL, 10), &all[n].stat);
	}
	if (d)
		(void)closedir(d);
	*ret = all;
	return d ? (long)n : -errno;
}

static int by_pid(const void *a, const void *b)
{
	const struct seen *x = a, *y = b;

	return x->stat.pid < y->stat.pid ? -1 : x->stat.pid > y->stat.pid;
}

static const struct seen *find(const struct seen *all, size_t n, pid_t pid)
{
	const struct seen key = { .stat.pid = pid };

	return bsearch(&key, all, n, sizeof(*all), by_pid);
}

/* Pids wrap round, so a child may stand before its parent. */
static void mark(struct seen *all, size_t n, pid_t pid1)
{
	bool more = true;
	size_t i;

	qsort(all, n, sizeof(*all), by_pid);
	while (more) {
		more = false;
		for (i = 0; i < n; i++) {
			const struct seen *parent;

			if (all[i].inside)
				continue;
			parent = find(all, n, all[i].stat.parent);
			all[i].inside = all[i].stat.parent == pid1 || (parent && parent->inside);
			more = more || all[i].inside;
		}
	}
}

/* Send @sig to the process that was seen, and to no other one of that number. Return: 0 or negative errno. */
static int send_to(pid_t pid, unsigned long long start, int sig)
{
	_cleanup_close_ int fd = (int)sys_call(SYS_pidfd_open, pid, 0, 0, 0, 0);
	struct proc_stat now;

	if (fd < 0)
		return fd;
	if (!proc_stat(pid, &now) || now.start != start)
		return -ESRCH;
	return (int)sys_call(SYS_pidfd_send_signal, fd, sig, 0, 0, 0);
}

static bool is_known(const struct jail_frozen *f, const struct seen *s)
{
	size_t i;

	for (i = 0; i < f->n; i++) {
		if (f->stopped[i].pid == s->stat.pid && f->stopped[i].start == s->stat.start)
			return true;
	}
	return false;
}

/* Whether it was told to stop, and waits in the kernel: maybe in vfork(2), for a child that must go on first. */
static bool waits(const struct jail_frozen *f, const struct seen *s)
{
	return s && s->inside && s->stat.state == 'D' && is_known(f, s);
}

/* Children for which a parent may wait, and that we have stopped, go on until it has stopped. */
static void let_go(const struct jail_frozen *f, const struct seen *all, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++) {
		if (all[i].inside && all[i].stat.state == 'T' && is_known(f, &all[i]) &&
		    waits(f, find(all, n, all[i].stat.parent)))
			(void)send_to(all[i].stat.pid, all[i].stat.start, SIGCONT);
	}
}

/* Stop @s for the first time. Return: 0; -E2BIG; or negative errno of send_to(). */
static int stop_new(struct jail_frozen *f, const struct seen *s)
{
	int r;

	if (f->n == LIMIT_FROZEN)
		return -E2BIG;
	r = send_to(s->stat.pid, s->stat.start, SIGSTOP);
	if (r == 0) {
		f->stopped[f->n].pid = s->stat.pid;
		f->stopped[f->n++].start = s->stat.start;
	}
	return r;
}

/* Stop whoever is new. Return: how many, or negative errno. */
static long stop_all(struct jail_frozen *f, pid_t pid1)
{
	struct seen *all;
	long n = list(&all), found = 0, i;
	int r;

	if (n > 0 && all)
		mark(all, (size_t)n, pid1);
	for (i = 0; all && found >= 0 && i < n; i++) {
		if (!all[i].inside || !runs(&all[i]))
			continue;
		found++; /* also one that was told, and is on its way */
		if (waits(f, find(all, (size_t)n, all[i].stat.parent)))
			continue;
		r = is_known(f, &all[i]) ?
			    /* another may have woken it */
			    send_to(all[i].stat.pid, all[i].stat.start, SIGSTOP) :
			    stop_new(f, &all[i]);
		if (r == -EPERM || r == -E2BIG) /* else it has ended */
			found = r;
	}
	if (all && found > 0)
		let_go(f, all, (size_t)n);
	free(all);
	return n < 0 ? n : found;
}

static bool says_frozen(int dir)
{
	_cleanup_close_ int fd = openat(dir, "cgroup.events", O_RDONLY | O_CLOEXEC);
	char text[128];
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

	if (n <= 0)
		return false;
	text[n] = '\0';
	return strstr(text, "frozen 1");
}

int freeze_cgroup(int dir)
{
	int ms, r = fd_write_file(dir, "cgroup.freeze", "1");

	for (ms = 0; r == 0 && ms < FREEZE_MS; ms++) {
		if (says_frozen(dir))
			return 0;
		(void)usleep(1000);
	}
	if (r == 0) {
		(void)fd_write_file(dir, "cgroup.freeze", "0");
		r = -EAGAIN;
	}
	return r;
}

int jail_freeze(struct jail_frozen *f, pid_t pid1, const struct jail_limits *limits)
{
	const long until = clock_ms() + FREEZE_MS;
	long r = 0;
	size_t i;

	f->cgroup = -1;
	f->n = 0;
	for (i = 0; limits && i < limits->n; i++) {
		if (limits->cgroups[i].v2 && freeze_cgroup(limits->cgroups[i].dir) == 0) {
			f->cgroup = limits->cgroups[i].dir;
			return 0;
		}
	}
	for (i = 0;; i++) {
		r = stop_all(f, pid1);
		if (r <= 0 || clock_ms() >= until)
			break;
		if (i > 2) /* in the kernel, and stopped when it comes back */
			(void)usleep(i < 50 ? 200 : 2000);
	}
	if (r > 0)
		r = -EAGAIN;
	if (r < 0)
		jail_thaw(f);
	return (int)r;
}

void jail_thaw(struct jail_frozen *f)
{
	size_t i;

	if (f->cgroup >= 0)
		(void)fd_write_file(f->cgroup, "cgroup.freeze", "0"); /* it goes with the run */
	/* the last one first: a parent that runs again sees no child that is stopped */
	for (i = f->n; i > 0; i--)
		(void)send_to(f->stopped[i - 1].pid, f->stopped[i - 1].start,
			      SIGCONT); /* or it was killed */
	f->cgroup = -1;
	f->n = 0;
}
