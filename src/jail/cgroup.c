/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. A run gets one cgroup in each hierarchy that it needs, beside or below the caller's own, named "bailey-PID-N". Its
 * directory is held by flock(2): a launcher that was killed leaves an empty directory whose lock is free, and the next run that makes one
 * in the same place removes it. No pid is compared, so pid namespaces and reused pids do not matter; a cgroup with processes
 * can't be removed by anybody.
 *
 * Version 1: below the caller's cgroup of each hierarchy; only root may. Version 2: in the nearest ancestor in which the caller may make
 * directories and which passes the controllers on (cgroups(7), "delegation"). A cgroup with processes can't pass them on: when
 * these are only ourselves (a service or scope of our own), we step aside into a leaf first.
 */
#include "cgroup.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#include "proc-stat.h"

#define PREFIX "bailey-"
#define CPU_PERIOD_US 100000u
#define REMOVE_TRIES 2000 /* half a millisecond each */
#define MOVE_TRIES 8

/* Limits that cgroups can hold, and the controller of each. */
static const struct {
	enum policy_limit limit;
	const char *controller;
} table[] = { { POLICY_LIMIT_MEMORY, "memory" },
	      { POLICY_LIMIT_CPUS, "cpu" },
	      { POLICY_LIMIT_PIDS, "pids" } };

static int open_dir(int dfd, const char *path)
{
	int fd = openat(dfd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);

	return fd < 0 ? -errno : fd;
}

/* A small file of the kernel's. Return: 0 or negative errno; what does not fit is left out. */
static int read_file(int dfd, const char *name, char *out, size_t size)
{
	_cleanup_close_ int fd = openat(dfd, name, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, out, size - 1);

	if (n < 0)
		return -errno;
	out[n] = '\0';
	return 0;
}

static bool has_word(const char *list, const char *word)
{
	size_t n = strlen(word);
	const char *p;

	for (p = list; (p = strstr(p, word)); p += n) {
		if ((p == list || strchr(" ,", p[-1])) && strchr(" ,\n", p[n]))
			return true;
	}
	return false;
}

/* What a command has made in the cgroup of its run, whose processes have ended: deepest first. */
static void remove_below(int parent, int depth)
{
	int fd = open_dir(parent, ".");
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *de;

	if (!d)
		cleanup_close(&fd);
	while (d && (de = readdir(d))) {
		_cleanup_close_ int dir = -1;

		if (de->d_type != DT_DIR || strcmp(de->d_name, ".") == 0 ||
		    strcmp(de->d_name, "..") == 0)
			continue;
		dir = depth > 0 ? open_dir(parent, de->d_name) : -1;
		if (dir >= 0)
			remove_below(dir, depth - 1);
		(void)unlinkat(parent, de->d_name, AT_REMOVEDIR); /* busy: it is somebody's */
	}
	if (d)
		(void)closedir(d);
}

/* The cgroup @name, which is ours, and lies open as @dir. Return: 0 or negative errno. */
static int remove_one(int parent, const char *name, int dir)
{
	if (unlinkat(parent, name, AT_REMOVEDIR) == 0)
		return 0;
	if (errno != EBUSY)
		return -errno;
	remove_below(dir, LIMIT_SCAN_DEPTH);
	return unlinkat(parent, name, AT_REMOVEDIR) < 0 ? -errno : 0;
}

/* Remove what killed launchers left in @parent. */
static void sweep(int parent)
{
	int fd = open_dir(parent, ".");
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *de;

	if (!d) {
		cleanup_close(&fd);
		return; /* the next run may have more luck */
	}
	while ((de = readdir(d))) {
		_cleanup_close_ int dir = -1;

		if (strncmp(de->d_name, PREFIX, sizeof(PREFIX) - 1) != 0)
			continue;
		dir = open_dir(parent, de->d_name);
		if (dir >= 0 && flock(dir, LOCK_EX | LOCK_NB) == 0)
			(void)remove_one(parent, de->d_name, dir); /* busy: it is somebody's */
	}
	(void)closedir(d);
}

static bool is_same(int parent, const char *name, int dir)
{
	struct stat a, b;

	return fstatat(parent, name, &a, AT_SYMLINK_NOFOLLOW) == 0 && fstat(dir, &b) == 0 &&
	       a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

/* A new cgroup in @parent, which is taken on success. Nobody else may open it before the lock is ours. */
static int make_in(int parent, struct jail_cgroup *g)
{
	int i, dir;

	sweep(parent);
	for (i = 0; i < 64; i++) {
		(void)snprintf(g->name, sizeof(g->name), PREFIX "%d-%d", (int)getpid(), i);
		if (mkdirat(parent, g->name, 0700) < 0) {
			if (errno == EEXIST)
				continue;
			return -errno;
		}
		dir = open_dir(parent, g->name);
		/* between making and locking another launcher's sweep may have removed it */
		if (dir >= 0 && flock(dir, LOCK_EX | LOCK_NB) == 0 &&
		    is_same(parent, g->name, dir) && fchmod(dir, 0755) == 0) {
			g->dir = dir;
			g->parent = parent;
			return 0;
		}
		cleanup_close(&dir);
	}
	return -EBUSY;
}

void cgroup_remove(struct jail_cgroup *g)
{
	const struct timespec wait = { .tv_nsec = 500000 };
	int i;

	/* what else goes wrong is the next run's sweep's */
	for (i = 0; i < REMOVE_TRIES && remove_one(g->parent, g->name, g->dir) == -EBUSY; i++)
		(void)nanosleep(&wait, NULL);
	cleanup_close(&g->dir);
	cleanup_close(&g->parent);
	g->dir = g->parent = -1;
}

unsigned long long cgroup_event(const struct jail_cgroup *g, const char *file, const char *word)
{
	char text[1024] = "";
	size_t n = strlen(word);
	const char *p;

	if (read_file(g->dir, file, text, sizeof(text)) < 0)
		return 0;
	for (p = text; p; p = strchr(p, '\n')) {
		p += *p == '\n';
		if (strncmp(p, word, n) == 0 && p[n] == ' ')
			return strtoull(p + n + 1, NULL, 10);
	}
	return 0;
}

static int set(const struct jail_cgroup *g, const char *file, uint64_t v, struct err *e)
{
	char text[32];
	int r;

	(void)snprintf(text, sizeof(text), "%" PRIu64, v);
	r = fd_write_file(g->dir, file, text);
	return r < 0 ? err_sys(e, r, "%s = %s", file, text) : 0;
}

/* Swap would only make the limit larger; kernels without swap accounting have no such file. */
static int set_swap(const struct jail_cgroup *g, const char *file, uint64_t v, struct err *e)
{
	int r = set(g, file, v, e);

	return r == -ENOENT || r == -EACCES || r == -EOPNOTSUPP ? 0 : r;
}

static int set_limit(const struct jail_cgroup *g, enum policy_limit l, uint64_t v, struct err *e)
{
	char text[64];
	int r;

	switch (l) {
	case POLICY_LIMIT_MEMORY:
		r = set(g, g->v2 ? "memory.max" : "memory.limit_in_bytes", v, e);
		if (r < 0)
			return r;
		return g->v2 ? set_swap(g, "memory.swap.max", 0, e) :
			       set_swap(g, "memory.memsw.limit_in_bytes", v, e);
	case POLICY_LIMIT_CPUS:
		v = v * (CPU_PERIOD_US / 1000);
		if (!g->v2) {
			r = set(g, "cpu.cfs_period_us", CPU_PERIOD_US, e);
			return r < 0 ? r : set(g, "cpu.cfs_quota_us", v, e);
		}
		(void)snprintf(text, sizeof(text), "%" PRIu64 " %u", v, CPU_PERIOD_US);
		r = fd_write_file(g->dir, "cpu.max", text);
		return r < 0 ? err_sys(e, r, "cpu.max = %s", text) : 0;
	case POLICY_LIMIT_PIDS:
		return set(g, "pids.max", v + 1,
			   e); /* our own PID 1 is no process of the command */
	default:
		return err_set(e, ERR_SYSTEM, -EINVAL, "no cgroup holds this limit");
	}
}

/* Errors that say "not yours" or "not here", and so are no failure. */
static bool is_unavailable(int r)
{
	return r == -ENOENT || r == -EACCES || r == -EPERM || r == -EROFS || r == -EOPNOTSUPP;
}

static int open_place(const char *path, bool v2)
{
	_cleanup_close_ int fd = open_dir(AT_FDCWD, path);
	struct statfs sfs;

	if (fd < 0)
		return fd;
	/* another mount may lie over it */
	if (fstatfs(fd, &sfs) < 0 ||
	    sfs.f_type != (v2 ? (long)CGROUP2_SUPER_MAGIC : (long)CGROUP_SUPER_MAGIC))
		return -ENOENT;
	return TAKE_FD(fd);
}

static int make_v1(struct jail_limits *l, const struct cgroup_place *place)
{
	struct jail_cgroup *g = &l->cgroups[l->n];
	_cleanup_close_ int parent = -1;
	size_t i;
	int r;

	for (i = 0; i < l->n; i++) {
		if (!l->cgroups[i].v2 && strcmp(l->cgroups[i].controllers, place->controllers) == 0)
			return (int)i; /* several controllers may share a hierarchy */
	}
	parent = open_place(place->path, false);
	if (parent < 0)
		return parent;
	r = make_in(parent, g);
	if (r < 0)
		return r;
	(void)TAKE_FD(parent);
	g->v2 = false;
	memcpy(g->controllers, place->controllers, sizeof(g->controllers));
	return (int)l->n++;
}

static unsigned int parse_controllers(const char *list)
{
	unsigned int bits = 0;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(table); i++) {
		if (has_word(list, table[i].controller))
			bits |= 1u << table[i].limit;
	}
	return bits;
}

/* Whether only this process, its children, and @pid are in @dir. */
static bool is_alone(int dir, pid_t pid)
{
	char text[256] = "", *end = text;
	struct proc_stat st;
	long v;

	if (read_file(dir, "cgroup.procs", text, sizeof(text)) < 0)
		return false;
	while (*end) {
		v = strtol(end, &end, 10);
		if (*end != '\n')
			return false;
		if (v != getpid() && v != pid &&
		    !(proc_stat((pid_t)v, &st) && st.parent == getpid()))
			return false;
		end++;
	}
	return true;
}

/* All processes of @from into @to, again while they fork. */
static int move_all(int from, int to)
{
	char text[4096] = "", *p, *end;
	int tries, r = 0;

	for (tries = 0; tries < MOVE_TRIES; tries++) {
		r = read_file(from, "cgroup.procs", text, sizeof(text));
		if (r < 0 || !text[0])
			return r;
		for (p = text; (end = strchr(p, '\n')); p = end + 1) {
			*end = '\0';
			r = fd_write_file(to, "cgroup.procs", p);
			if (r < 0 && r != -ESRCH)
				return r;
		}
	}
	return -EBUSY;
}

/* Out of @dir, which is ours alone, into a leaf of it; cgroup_step_back() leads back. */
static int step_aside(struct jail_limits *l, int dir, pid_t pid)
{
	int parent, r;

	if (l->leaf.dir >= 0 || !is_alone(dir, pid))
		return -EBUSY;
	parent = open_dir(dir, ".");
	r = parent < 0 ? parent : make_in(parent, &l->leaf);
	if (r < 0) {
		cleanup_close(&parent);
		return r;
	}
	l->passed = 0;
	return move_all(dir, l->leaf.dir);
}

void cgroup_step_back(struct jail_limits *l)
{
	char text[32];
	size_t i;

	if (l->leaf.dir < 0)
		return;
	/* as it was found: whoever started us may have more to run there */
	for (i = 0; i < ARRAY_SIZE(table); i++) {
		(void)snprintf(text, sizeof(text), "-%s", table[i].controller);
		if (l->passed & (1u << table[i].limit))
			(void)fd_write_file(l->leaf.parent, "cgroup.subtree_control", text);
	}
	/* with what was started meanwhile and has more to do: a gateway, a watcher */
	(void)move_all(l->leaf.dir, l->leaf.parent);
	cgroup_remove(&l->leaf);
	l->passed = 0;
}

/*
 * Whether @dir may get children with controllers: it has no processes, or is the real root. The kernel would let some controllers be passed
 * on all the same (cgroups(7), "thread mode"), but no process could enter the children.
 */
static bool may_pass_on(int dir)
{
	char text[8];

	return faccessat(dir, "cgroup.type", F_OK, 0) < 0 ||
	       (read_file(dir, "cgroup.procs", text, sizeof(text)) == 0 && !text[0]);
}

/* Pass the controllers on to the children of @dir. @aside: it may be left for that. Return: those that are. */
static unsigned int pass_on(struct jail_limits *l, int dir, unsigned int want, bool aside,
			    pid_t pid)
{
	char text[512];
	unsigned int on = 0;
	size_t i;

	if (read_file(dir, "cgroup.subtree_control", text, sizeof(text)) == 0)
		on = parse_controllers(text);
	if (!(want & ~on))
		return want;
	if (!may_pass_on(dir) && (!aside || step_aside(l, dir, pid) < 0))
		return 0;
	for (i = 0; i < ARRAY_SIZE(table); i++) {
		if (!(want & ~on & (1u << table[i].limit)))
			continue;
		(void)snprintf(text, sizeof(text), "+%s", table[i].controller);
		if (fd_write_file(dir, "cgroup.subtree_control", text) < 0)
			continue;
		on |= 1u << table[i].limit;
		l->passed |= 1u << table[i].limit;
	}
	return on & want;
}

/* In @path, for all or some of @want. Return: the limits that can be set; 0: none, and *why says so. */
static unsigned int try_v2(struct jail_limits *l, const char *path, unsigned int want, bool all,
			   bool aside, pid_t pid, int *why)
{
	struct jail_cgroup *g = &l->cgroups[l->n];
	int parent = open_place(path, true), r;
	unsigned int have = 0;
	char text[512];

	r = parent < 0 ? parent : read_file(parent, "cgroup.controllers", text, sizeof(text));
	if (r == 0) {
		have = want & parse_controllers(text);
		r = !have || (all && have != want) ? -EOPNOTSUPP : make_in(parent, g);
	}
	if (r < 0) {
		cleanup_close(&parent);
		/* "may not" says more than "has not" */
		*why = *why == 0 || *why == -EOPNOTSUPP ? r : *why;
		return 0;
	}
	have = pass_on(l, parent, have, aside, pid);
	if (!have || (all && have != want)) {
		cgroup_remove(g);
		cgroup_step_back(l);
		*why = -EOPNOTSUPP;
		return 0;
	}
	g->v2 = true;
	g->controllers[0] = '\0';
	l->n++;
	return have;
}

/* Upwards from the caller's own cgroup, which is left only when no place above will do; first for everything at once. */
static unsigned int make_v2(struct jail_limits *l, const struct cgroup_place *place,
			    unsigned int want, pid_t pid, int *why)
{
	char path[LIMIT_PATH];
	unsigned int got;
	int all;

	for (all = 1; all >= 0; all--) {
		memcpy(path, place->path, sizeof(path));
		for (;;) {
			got = try_v2(l, path, want, all, /* aside: */ false, pid, why);
			if (got || strlen(path) <= place->top)
				break;
			*strrchr(path, '/') = '\0';
		}
		if (!got)
			got = try_v2(l, place->path, want, all, /* aside: */ true, pid, why);
		if (got)
			return got;
	}
	return 0;
}

static int set_all(struct jail_limits *l, const struct jail_cgroup *g, unsigned int limits,
		   struct err *e)
{
	size_t i;
	int r = 0;

	for (i = 0; r == 0 && i < ARRAY_SIZE(table); i++) {
		if (limits & (1u << table[i].limit))
			r = set_limit(g, table[i].limit, l->value[table[i].limit], e);
	}
	return r;
}

static int read_proc(const char *path, struct buf *b)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	int r = fd < 0 ? -errno : fd_read_all(fd, b);

	return r == 0 && !b->data ? -ENOENT : r;
}

/* Why a limit is not held by a cgroup; a failure that is none of the expected kind is one. */
static int note(struct jail_limits *l, int r, const char *controller, const char *path,
		struct err *e)
{
	if (!is_unavailable(r))
		return err_sys(e, r, "cgroup '%s'", path);
	if (l->why[0])
		return 0; /* the first reason is the one to say: the last limit has another way to hold */
	if (r == -ENOENT)
		(void)snprintf(l->why, sizeof(l->why),
			       "no cgroup hierarchy with '%s' is mounted here", controller);
	else if (r == -EOPNOTSUPP)
		(void)snprintf(l->why, sizeof(l->why), "'%s' is not delegated to this cgroup",
			       controller);
	else
		(void)snprintf(l->why, sizeof(l->why), "%.100s: %s", path, strerror(-r));
	return 0;
}

static int make_all(struct jail_limits *l, const char *cgroups, const char *mounts,
		    unsigned int want, pid_t pid, struct err *e)
{
	struct cgroup_place place = { .top = 0 };
	unsigned int late = 0, got; /* late: those of version 2, which share one cgroup */
	int r = 0, why = 0;
	size_t i;

	for (i = 0; r == 0 && i < ARRAY_SIZE(table); i++) {
		if (!(want & (1u << table[i].limit)))
			continue;
		place.path[0] = '\0';
		r = cgroup_find(cgroups, mounts, table[i].controller, &place);
		if (r == 0 && place.v2) {
			late |= 1u << table[i].limit;
			continue;
		}
		if (r == 0)
			r = make_v1(l, &place);
		if (r < 0) {
			r = note(l, r, table[i].controller, place.path, e);
			continue;
		}
		l->by[table[i].limit] = JAIL_BY_CGROUP1;
		r = set_all(l, &l->cgroups[r], 1u << table[i].limit, e);
	}
	if (r < 0 || !late)
		return r;
	for (i = 0; !(late & (1u << table[i].limit)); i++)
		;
	r = cgroup_find(cgroups, mounts, table[i].controller, &place);
	got = r < 0 ? 0 : make_v2(l, &place, late, pid, &why);
	if (got != late) {
		for (i = 0; !(late & ~got & (1u << table[i].limit)); i++)
			;
		r = note(l, why ? why : -EOPNOTSUPP, table[i].controller, place.path, e);
	}
	for (i = 0; i < ARRAY_SIZE(table); i++) {
		if (got & (1u << table[i].limit))
			l->by[table[i].limit] = JAIL_BY_CGROUP2;
	}
	return r == 0 && got ? set_all(l, &l->cgroups[l->n - 1], got, e) : r;
}

int cgroup_make(struct jail_limits *l, unsigned int want, pid_t pid, struct err *e)
{
	struct buf cgroups = BUF_INIT(LIMIT_MOUNTINFO), mounts = BUF_INIT(LIMIT_MOUNTINFO);
	int r = read_proc("/proc/self/cgroup", &cgroups);

	if (r == 0)
		r = read_proc("/proc/self/mountinfo", &mounts);
	if (r < 0) /* a kernel without cgroups has no such file */
		r = note(l, r, "memory", "/proc/self/cgroup", e);
	else
		r = make_all(l, cgroups.data, mounts.data, want, pid, e);
	buf_done(&cgroups);
	buf_done(&mounts);
	return r;
}

int cgroup_make_plain(struct jail_cgroup *ret)
{
	struct buf cgroups = BUF_INIT(LIMIT_MOUNTINFO), mounts = BUF_INIT(LIMIT_MOUNTINFO);
	struct cgroup_place place = { .top = 0 };
	int parent, r = read_proc("/proc/self/cgroup", &cgroups);

	if (r == 0)
		r = read_proc("/proc/self/mountinfo", &mounts);
	if (r == 0) /* the hierarchy without controllers of its own is that of version 2 */
		r = cgroup_find(cgroups.data, mounts.data, "", &place);
	buf_done(&cgroups);
	buf_done(&mounts);
	while (r == 0) {
		parent = open_place(place.path, true);
		r = parent < 0 ? parent : make_in(parent, ret);
		if (r == 0) {
			ret->v2 = true;
			return 0;
		}
		cleanup_close(&parent);
		if (!is_unavailable(r) || strlen(place.path) <= place.top)
			break;
		*strrchr(place.path, '/') = '\0';
		r = 0;
	}
	return r;
}
