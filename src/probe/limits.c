/* SPDX-License-Identifier: Apache-2.0 */
/* What limits stand on: control groups, the process limit of a user namespace, room for the state. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include "tries.h"

#define LEAST_FREE (64ul << 20) /* below that nothing can be kept */
#define GOOD_FREE (1ul << 30)

/* What limits are held by, and what each is called. */
static const char *const controllers[] = { "memory", "pids", "cpu" };

#define ALL ((1u << ARRAY_SIZE(controllers)) - 1)

/* Whether the list @text has @word. */
static bool has_word(const char *text, const char *word)
{
	size_t n = strlen(word);

	for (; *text; text += strcspn(text, ", \n"), text += *text != '\0') {
		if (strncmp(text, word, n) == 0 && strchr(", \n", text[n]))
			return true;
	}
	return false;
}

/* A file of the group @dir; "" when there is none. */
static void read_file(const char *dir, const char *name, char *out, size_t size)
{
	char path[LIMIT_PATH + 32];
	_cleanup_close_ int fd = -1;
	ssize_t n;

	(void)snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? 0 : read(fd, out, size - 1);
	out[n > 0 ? n : 0] = '\0';
}

/* The controllers that a file names, as bits. */
static unsigned int read_controllers(const char *dir, const char *name)
{
	unsigned int have = 0;
	char text[512];
	size_t i;

	read_file(dir, name, text, sizeof(text));
	for (i = 0; i < ARRAY_SIZE(controllers); i++)
		have |= (unsigned int)has_word(text, controllers[i]) << i;
	return have;
}

/* The kernel lets go of a group that had processes a moment after they are reaped. */
static int remove_group(const char *dir)
{
	const struct timespec nap = { .tv_nsec = 1000000 };
	int tries;

	for (tries = 0; rmdir(dir) < 0; tries++) {
		if (errno != EBUSY || tries == 500)
			return -errno;
		(void)nanosleep(&nap, NULL); /* a signal only makes it shorter */
	}
	return 0;
}

/* Make a group in @parent, put a process in it, remove it. @ret_have: the controllers that it has in version 2. Return: 0 or negative errno. */
static int use_group(const char *parent, unsigned int *ret_have)
{
	char dir[LIMIT_PATH], path[LIMIT_PATH + 32], text[16];
	int r, removed;
	pid_t pid;

	if (snprintf(dir, sizeof(dir), "%s/bailey-doctor.%d", parent, getpid()) >= (int)sizeof(dir))
		return -ENAMETOOLONG;
	if (mkdir(dir, 0700) < 0)
		return -errno;
	pid = fork();
	if (pid == 0)
		for (;;)
			(void)pause();
	r = pid < 0 ? -errno : 0;
	(void)snprintf(path, sizeof(path), "%s/cgroup.procs", dir);
	(void)snprintf(text, sizeof(text), "%d\n", pid);
	if (r == 0)
		r = fd_write_file(AT_FDCWD, path, text);
	if (pid > 0) {
		(void)kill(pid, SIGKILL); /* our child, not reaped yet */
		(void)probe_wait(pid);
	}
	*ret_have = read_controllers(dir, "cgroup.controllers");
	removed = remove_group(dir);
	return r < 0 ? r : removed;
}

/* A group with processes can't pass its controllers on, but one that has only ours can be left for that (jail/cgroup.c). */
static bool may_pass_on(const char *dir)
{
	char path[LIMIT_PATH + 32], text[512], *p = text, *end;

	(void)snprintf(path, sizeof(path), "%s/cgroup.subtree_control", dir);
	if (access(path, W_OK) < 0)
		return false;
	read_file(dir, "cgroup.procs", text, sizeof(text));
	for (; *p; p = end) {
		long pid = strtol(p, &end, 10);

		if (end == p)
			break;
		if (pid != getpid() && pid != getppid())
			return false;
		end += *end == '\n';
	}
	return true;
}

struct groups {
	bool v2, mounted;
	unsigned int have; /* controllers */
	int r;             /* why a group could not be made, the last time */
};

/* Version 2: upwards from our own group, to the first that may have children with all. */
static void try_v2(const struct cgroup_place *place, struct groups *g)
{
	char path[LIMIT_PATH];
	unsigned int have = 0;

	memcpy(path, place->path, sizeof(path));
	for (;;) {
		int r = use_group(path, &have);

		if (r != -ENOENT)
			g->mounted = true;
		if (r < 0 && (g->r == 0 || g->r == -ENOENT))
			g->r = r;
		if (r == 0 && may_pass_on(path))
			have |= read_controllers(path, "cgroup.controllers");
		if (r == 0)
			g->have |= have;
		if (g->have == ALL || strlen(path) <= place->top)
			return;
		*strrchr(path, '/') = '\0';
	}
}

static void try_groups(const char *cgroups, const char *mounts, struct groups *g)
{
	struct cgroup_place place = { .v2 = true };
	unsigned int ignored;
	bool tried = false;
	size_t i;
	int r;

	for (i = 0; i < ARRAY_SIZE(controllers); i++) {
		r = cgroup_find(cgroups, mounts, controllers[i], &place);
		g->v2 = place.v2;
		if (r < 0) {
			g->r = r;
		} else if (!place.v2) {
			r = use_group(place.path, &ignored);
			g->have |= (unsigned int)(r == 0) << i;
			g->mounted = g->mounted || r != -ENOENT;
			g->r = r < 0 ? r : g->r;
		} else if (!tried) {
			tried = true;
			try_v2(&place, g);
		}
	}
}

static enum probe_state judge_groups(struct probe_answer *a, const struct groups *g)
{
	char list[32] = "";
	size_t i;

	for (i = 0; i < ARRAY_SIZE(controllers); i++) {
		if (g->have & (1u << i))
			(void)snprintf(list + strlen(list), sizeof(list) - strlen(list), " %s",
				       controllers[i]);
	}
	if (g->have == ALL)
		return probe_ok(a, "version %d:%s", g->v2 ? 2 : 1, list);
	if (geteuid() != 0)
		probe_advise(
			a,
			"start bailey in a group that systemd delegates: systemd-run --user --scope -p Delegate=yes bailey run ...");
	else if (!g->mounted && g->v2)
		probe_mend(a, "mount -t cgroup2 none /sys/fs/cgroup");
	else if (!g->mounted)
		probe_mend(
			a,
			"for c in memory pids cpu; do mkdir -p /sys/fs/cgroup/$c && mount -t cgroup -o $c none /sys/fs/cgroup/$c; done");
	else
		probe_advise(
			a,
			"let the outer system delegate: podman run --cgroupns=private; systemd: Delegate=yes");
	if (g->have)
		return probe_degraded(a, 0, "limits are soft but for%s", list);
	if (!g->mounted)
		return probe_missing(a, 0, "no hierarchy is mounted: limits are soft");
	return probe_missing(a, g->r, "no group of our own can be made: limits are soft");
}

static int read_proc(const char *path, struct buf *b)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	int r = fd < 0 ? -errno : fd_read_all(fd, b);

	return r == 0 && !b->data ? -ENOENT : r;
}

enum probe_state try_cgroup(struct probe_answer *a)
{
	struct buf cgroups = BUF_INIT(65536), mounts = BUF_INIT(LIMIT_MOUNTINFO);
	struct groups g = { .v2 = true };
	enum probe_state s;
	int r = read_proc("/proc/self/cgroup", &cgroups);

	if (r == 0)
		r = read_proc("/proc/self/mountinfo", &mounts);
	if (r == 0)
		try_groups(cgroups.data, mounts.data, &g);
	s = r < 0 ? probe_missing(a, r, "/proc/self/cgroup, mountinfo") : judge_groups(a, &g);
	buf_done(&cgroups);
	buf_done(&mounts);
	return s;
}

#define OUTSIDE \
	6 /* processes of the same id outside, so that a limit that counted them would be full */
#define INSIDE 4

static enum probe_state use_nproc(struct probe_answer *a)
{
	struct rlimit limit = { .rlim_cur = INSIDE, .rlim_max = INSIDE };
	int n = 1; /* ourselves */
	pid_t pid = 0;

	/* the host's root is not limited; an id of its own block is */
	if (geteuid() == 0 && setresuid(1, 1, 1) < 0)
		return probe_missing(a, -errno, "an id that is not root");
	if (setrlimit(RLIMIT_NPROC, &limit) < 0)
		return probe_missing(a, -errno, "RLIMIT_NPROC");
	for (; n <= INSIDE; n++) {
		pid = fork();
		if (pid == 0)
			for (;;)
				(void)pause();
		if (pid < 0)
			break;
	}
	if (pid > 0)
		return probe_missing(a, 0, "RLIMIT_NPROC of %d does not stop %d processes", INSIDE,
				     n);
	if (errno != EAGAIN)
		return probe_missing(a, -errno, "fork at the limit");
	return n == INSIDE ?
		       PROBE_OK :
		       probe_missing(a, 0, "processes outside count: %d instead of %d", n, INSIDE);
}

/* The kernel counts by user namespace, so the limit is the sandbox's own although the id is the caller's. */
enum probe_state try_nproc(struct probe_answer *a)
{
	int i;

	for (i = 0; i < OUTSIDE; i++) {
		pid_t pid = fork();

		if (pid == 0)
			for (;;)
				(void)pause();
		if (pid < 0)
			return probe_missing(a, -errno, "fork");
	}
	return probe_inside(a, CLONE_NEWPID, use_nproc);
}

/* design: root's is /var/lib/bailey, a user's below $XDG_STATE_HOME. Return: whether it has a place. */
static bool state_dir(char *out, size_t size)
{
	const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
	int n;

	if (state && state[0] == '/')
		n = snprintf(out, size, "%s/bailey", state);
	else if (geteuid() == 0)
		n = snprintf(out, size, "/var/lib/bailey");
	else
		n = snprintf(out, size, "%s/.local/state/bailey",
			     home && home[0] == '/' ? home : "");
	return n > 0 && (size_t)n < size && out[1] != '.';
}

enum probe_state try_disk(struct probe_answer *a)
{
	char dir[LIMIT_PATH], want[LIMIT_PATH], *slash;
	_cleanup_close_ int fd = -1;
	unsigned long long free_bytes;
	struct statvfs vfs;
	struct stat st;

	if (!state_dir(dir, sizeof(dir))) {
		probe_advise(a, "set HOME or XDG_STATE_HOME to an absolute path");
		return probe_missing(a, 0, "no place for the state directory");
	}
	memcpy(want, dir, sizeof(want));
	/* it is made when it is first needed: here, where it will be */
	while (stat(dir, &st) < 0 && errno == ENOENT && (slash = strrchr(dir, '/')))
		slash[slash == dir] = '\0';
	fd = open(dir, O_WRONLY | O_TMPFILE | O_CLOEXEC, 0600);
	if (fd < 0 && errno != EOPNOTSUPP && errno != EISDIR) {
		int r = -errno;

		if (r == -EACCES && !strchr(want, '\'') && strlen(want) < 160)
			probe_mend(a, "install -d -m 700 -o %u -g %u '%s'", (unsigned int)geteuid(),
				   (unsigned int)getegid(), want);
		return probe_missing(a, r, "%.120s can't be written", dir);
	}
	if (statvfs(dir, &vfs) < 0)
		return probe_missing(a, -errno, "%.120s", dir);
	free_bytes = (unsigned long long)vfs.f_bavail * vfs.f_frsize;
	if (free_bytes < LEAST_FREE)
		return probe_missing(a, 0, "%llu MiB free in %.120s", free_bytes >> 20, dir);
	if (free_bytes < GOOD_FREE)
		return probe_degraded(a, 0, "only %llu MiB free in %.120s", free_bytes >> 20, dir);
	return probe_ok(a, "%llu GiB free in %.120s", free_bytes >> 30, dir);
}
