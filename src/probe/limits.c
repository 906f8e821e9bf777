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
#include <unistd.h>

#include "tries.h"

#define LEAST_FREE (64ul << 20) /* below that nothing can be kept */
#define GOOD_FREE (1ul << 30)

/* A mounted control group hierarchy. */
struct hierarchy {
	const char *point; /* where */
	const char *root;  /* which of its groups is shown there */
	const char *type;  /* cgroup, cgroup2 */
	const char *super; /* options; of v1 they name the controllers */
};

static char *field(char **line)
{
	char *start = *line, *space = start ? strchr(start, ' ') : NULL;

	if (space)
		*space++ = '\0';
	*line = space;
	return start;
}

/* One line of mountinfo (proc_pid_mountinfo(5)), cut in place. Return: whether it is a hierarchy. */
static bool parse_hierarchy(char *line, struct hierarchy *h)
{
	char *dash = strstr(line, " - ");
	int i;

	if (!dash)
		return false;
	*dash = '\0';
	dash += 3;
	for (i = 0; i < 3; i++)
		(void)field(&line);
	h->root = field(&line);
	h->point = field(&line);
	h->type = field(&dash);
	(void)field(&dash); /* source */
	h->super = dash ? dash : "";
	return h->root && h->point &&
	       (strcmp(h->type, "cgroup") == 0 || strcmp(h->type, "cgroup2") == 0);
}

/* Whether the comma-separated @list has @word. */
static bool has_word(const char *list, const char *word)
{
	size_t n = strlen(word);

	for (; *list; list += strcspn(list, ", \n"), list += *list != '\0') {
		if (strncmp(list, word, n) == 0 && strchr(", \n", list[n]))
			return true;
	}
	return false;
}

/* Our group in the hierarchy of @controller (v2: ""), from /proc/self/cgroup. Return: whether there is one. */
static bool own_group(const char *controller, char *out, size_t size)
{
	struct buf b = BUF_INIT(65536);
	_cleanup_close_ int fd = open("/proc/self/cgroup", O_RDONLY | O_CLOEXEC);
	char *line, *next, *names, *path;
	bool found = false;

	if (fd >= 0 && fd_read_all(fd, &b) == 0 && b.data) {
		for (line = b.data; !found && line; line = next) {
			next = strchr(line, '\n');
			if (next)
				*next++ = '\0';
			names = strchr(line, ':');
			path = names ? strchr(names + 1, ':') : NULL;
			if (!path)
				continue;
			*path++ = '\0';
			found = *controller ? has_word(names + 1, controller) : names[1] == '\0';
			if (found)
				(void)snprintf(out, size, "%s", path);
		}
	}
	buf_done(&b);
	return found;
}

/* Make a group below ours, put a process in it, remove it. @ret_controllers: those of v2. Return: 0 or negative errno. */
static int use_group(const struct hierarchy *h, const char *group, char *controllers, size_t size)
{
	char dir[LIMIT_PATH], path[LIMIT_PATH + 32], text[16];
	size_t n = strcmp(h->root, "/") == 0 ? 0 : strlen(h->root);
	struct buf b = BUF_INIT(4096);
	int r, fd;
	pid_t pid;

	if (strncmp(group, h->root, n) != 0)
		return -ENOENT; /* the mount shows another part of the tree */
	if (snprintf(dir, sizeof(dir), "%s%s/bailey-doctor.%d", h->point,
		     strcmp(group + n, "/") == 0 ? "" : group + n, getpid()) >= (int)sizeof(dir))
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
	(void)snprintf(path, sizeof(path), "%s/cgroup.controllers", dir);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	controllers[0] = '\0';
	if (fd >= 0 && fd_read_all(fd, &b) == 0 && b.data)
		(void)snprintf(controllers, size, "%.*s", (int)strcspn(b.data, "\n"), b.data);
	cleanup_close(&fd);
	buf_done(&b);
	return rmdir(dir) < 0 && r == 0 ? -errno : r;
}

struct groups {
	int v2;                 /* 0, or why there is none */
	char controllers[96];   /* of v2 */
	bool memory, pids, cpu; /* of v1 */
	int v1;
};

static void try_hierarchy(const struct hierarchy *h, struct groups *g)
{
	struct {
		const char *name;
		bool *have;
	} v1[] = { { "memory", &g->memory }, { "pids", &g->pids }, { "cpu", &g->cpu } };
	char group[LIMIT_PATH], none[8];
	size_t i;
	int r;

	if (h->type[6] == '2') {
		if (own_group("", group, sizeof(group)) && g->v2 != 0)
			g->v2 = use_group(h, group, g->controllers, sizeof(g->controllers));
		return;
	}
	for (i = 0; i < ARRAY_SIZE(v1); i++) {
		if (*v1[i].have || !has_word(h->super, v1[i].name) ||
		    !own_group(v1[i].name, group, sizeof(group)))
			continue;
		r = use_group(h, group, none, sizeof(none));
		*v1[i].have = r == 0;
		if (r < 0)
			g->v1 = r;
	}
}

static enum probe_state judge_groups(struct probe_answer *a, const struct groups *g, bool any)
{
	const char *c = g->controllers;
	bool v2 = g->v2 == 0;

	if (v2 && has_word(c, "memory") && has_word(c, "pids") && has_word(c, "cpu"))
		return probe_ok(a, "version 2, delegated: %s", c);
	if (g->memory && g->pids && g->cpu)
		return probe_ok(a, "version 1: memory pids cpu");
	if (geteuid() != 0)
		probe_advise(
			a,
			"start bailey in a group that systemd delegates: systemd-run --user --scope -p Delegate=yes bailey run ...");
	else if (!any)
		probe_mend(a, "mount -t cgroup2 none /sys/fs/cgroup");
	else
		probe_advise(
			a,
			"let the outer system delegate: podman run --cgroupns=private; systemd: Delegate=yes");
	if (v2 || g->memory || g->pids || g->cpu)
		return probe_degraded(a, 0, "limits are soft but for: %s%s%s%s%s",
				      v2 ? "freezing " : "", c, g->memory ? " memory" : "",
				      g->pids ? " pids" : "", g->cpu ? " cpu" : "");
	if (!any)
		return probe_missing(a, 0, "no hierarchy is mounted: limits are soft");
	return probe_missing(a, g->v2 < 0 && g->v2 != -ENOENT ? g->v2 : g->v1,
			     "no group of our own can be made: limits are soft");
}

enum probe_state try_cgroup(struct probe_answer *a)
{
	struct groups g = { .v2 = -ENOENT };
	struct buf b = BUF_INIT(LIMIT_MOUNTINFO);
	_cleanup_close_ int fd = open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC);
	struct hierarchy h;
	char *line, *next;
	bool any = false;
	int r = fd < 0 ? -errno : fd_read_all(fd, &b);

	for (line = b.data; r == 0 && line; line = next) {
		struct stat st;

		next = strchr(line, '\n');
		if (next)
			*next++ = '\0';
		/* what another mount hides is not there */
		if (!parse_hierarchy(line, &h) || stat(h.point, &st) < 0)
			continue;
		any = true;
		try_hierarchy(&h, &g);
	}
	if (r == 0)
		r = judge_groups(a, &g, any);
	else
		r = (int)probe_missing(a, r, "/proc/self/mountinfo");
	buf_done(&b);
	return (enum probe_state)r;
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
