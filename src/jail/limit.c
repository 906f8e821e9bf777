/* SPDX-License-Identifier: Apache-2.0 */
#include "limit.h"

#include <errno.h>
#include <inttypes.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cgroup.h"
#include "plan-apply.h"

#define CGROUP_DIR "sys/fs/cgroup" /* below the root */
#define VIEW "cgroup"              /* of the stage: what stands in the place of CGROUP_DIR */

static const struct {
	const char *name;
	bool soft;
} mechanisms[JAIL_BY_NUM] = {
	[JAIL_BY_NOTHING] = { "nothing", true },    [JAIL_BY_CGROUP2] = { "cgroup v2", false },
	[JAIL_BY_CGROUP1] = { "cgroup v1", false }, [JAIL_BY_RLIMIT] = { "rlimit", false },
	[JAIL_BY_TMPFS] = { "tmpfs size", false },  [JAIL_BY_AFFINITY] = { "affinity", true },
	[JAIL_BY_WATCHDOG] = { "watchdog", true },
};

/* What takes a cgroup's place. */
static const enum jail_mechanism otherwise[POLICY_LIMIT_NUM] = {
	[POLICY_LIMIT_MEMORY] = JAIL_BY_WATCHDOG, [POLICY_LIMIT_CPUS] = JAIL_BY_AFFINITY,
	[POLICY_LIMIT_PIDS] = JAIL_BY_RLIMIT,     [POLICY_LIMIT_FSIZE] = JAIL_BY_RLIMIT,
	[POLICY_LIMIT_NOFILE] = JAIL_BY_RLIMIT,   [POLICY_LIMIT_DISK] = JAIL_BY_TMPFS,
};

#define GROUPED \
	((1u << POLICY_LIMIT_MEMORY) | (1u << POLICY_LIMIT_CPUS) | (1u << POLICY_LIMIT_PIDS))

bool jail_limits_any(const struct jail_limits *l)
{
	size_t i;

	for (i = 0; i < POLICY_LIMIT_NUM; i++) {
		if (l->value[i])
			return true;
	}
	return false;
}

bool jail_limits_grouped(const struct jail_limits *l)
{
	return l->nested || jail_limits_any(l);
}

const char *jail_mechanism_name(enum jail_mechanism m)
{
	return mechanisms[m].name;
}

bool jail_limit_soft(const struct jail_limits *l, enum policy_limit which)
{
	const enum jail_mechanism by = l->by[which];

	return mechanisms[by].soft || (by == JAIL_BY_TMPFS && l->nested) ||
	       (by == JAIL_BY_CGROUP2 && l->nested_owner) ||
	       (by == JAIL_BY_RLIMIT && which == POLICY_LIMIT_PIDS && l->rooted);
}

static bool has_v2(const struct jail_limits *l)
{
	size_t i;

	for (i = 0; i < l->n; i++) {
		if (l->cgroups[i].v2)
			return true;
	}
	return false;
}

/*
 * A command that can mount shows itself the cgroup that its namespace begins at, and who owns that may kill or freeze it: so it is one of the
 * run's own, not its caller's. Where none can be made, the caller's is rarely writable (SECURITY.md).
 */
static void make_apart(struct jail_limits *l)
{
	struct jail_cgroup *g = &l->cgroups[l->n];

	if (!l->nested || has_v2(l) || cgroup_make_plain(g) < 0)
		return;
	g->controllers[0] = '\0';
	l->n++;
}

int jail_limits_begin(struct jail_limits *l, pid_t pid, unsigned int allowed, unsigned int *lost,
		      struct err *e)
{
	unsigned int want = 0, i;
	int r = 0;

	l->n = 0;
	l->leaf.dir = -1;
	l->passed = 0;
	l->why[0] = '\0';
	l->seed = (unsigned int)getpid();
	for (i = 0; i < POLICY_LIMIT_NUM; i++) {
		l->by[i] = JAIL_BY_NOTHING;
		want |= l->value[i] ? 1u << i : 0;
	}
	if (want & GROUPED)
		r = cgroup_make(l, want & GROUPED, pid, e);
	if (r < 0) {
		(void)snprintf(l->why, sizeof(l->why), "%.150s", e->msg);
		jail_limits_end(l, NULL);
		for (i = 0; i < POLICY_LIMIT_NUM; i++)
			l->by[i] = JAIL_BY_NOTHING;
		r = jail_layer_lost(JAIL_LAYER_CGROUP, allowed, lost, e);
	}
	for (i = 0; i < POLICY_LIMIT_NUM; i++) {
		if ((want & (1u << i)) && l->by[i] == JAIL_BY_NOTHING)
			l->by[i] = otherwise[i];
	}
	if (r == 0)
		make_apart(l);
	return r;
}

int jail_limits_fds(const struct jail_limits *l, int fds[8], struct err *e)
{
	size_t i;

	for (i = 0; i < l->n; i++) {
		/*
		 * Moving a whole process waits for an RCU grace period (7-14 ms); one thread that moves itself does not, which only version 1
		 * offers. The rights are those of whoever opened the file.
		 */
		const char *file = l->cgroups[i].v2 ? "cgroup.procs" : "tasks";

		fds[i] = openat(l->cgroups[i].dir, file, O_WRONLY | O_CLOEXEC);
		if (fds[i] < 0) {
			int r = err_sys(e, -errno, "cgroup: %s", file);

			while (i-- > 0)
				(void)close(fds[i]);
			return r;
		}
	}
	return (int)l->n;
}

unsigned long long jail_limits_killed(const struct jail_limits *l)
{
	unsigned long long killed = 0;
	size_t i;

	for (i = 0; l->by[POLICY_LIMIT_MEMORY] && i < l->n; i++) {
		const struct jail_cgroup *g = &l->cgroups[i];

		killed +=
			cgroup_event(g, g->v2 ? "memory.events" : "memory.oom_control", "oom_kill");
	}
	return killed;
}

void jail_limits_end(struct jail_limits *l, struct jail_limit_events *ret)
{
	size_t i;

	if (ret)
		ret->killed += jail_limits_killed(l);
	for (i = 0; i < l->n; i++) {
		struct jail_cgroup *g = &l->cgroups[i];

		if (ret && l->by[POLICY_LIMIT_PIDS])
			ret->refused += cgroup_event(g, "pids.events", "max");
		cgroup_remove(g);
	}
	if (l->n > 0)
		cgroup_step_back(l);
	l->n = 0;
}

/* A mount of the cgroup file system, whose root is the root of this cgroup namespace, on @target. */
static int show_group(const struct jail_cgroup *g, int target)
{
	_cleanup_close_ int fs = sys_fsopen(g->v2 ? "cgroup2" : "cgroup"), mnt = -1;
	char word[sizeof(g->controllers)], *next = word, *w;
	int r = fs;

	memcpy(word, g->controllers, sizeof(word));
	/* a hierarchy can only be mounted with all its controllers */
	while (r >= 0 && (w = strsep(&next, ",")) && *w)
		r = sys_fsconfig(fs, FSCONFIG_SET_FLAG, w, NULL);
	if (r >= 0)
		r = sys_fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL);
	if (r >= 0)
		r = mnt = sys_fsmount(fs, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV |
						  MOUNT_ATTR_NOEXEC);
	return r < 0 ? r : sys_move_mount(mnt, target, "");
}

static int resolve(int root, const char *path)
{
	return sys_openat2(root, path, O_PATH | O_DIRECTORY | O_NOFOLLOW,
			   RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_SYMLINKS);
}

/*
 * Below /sys/fs/cgroup stands the run's own part, read-only: runtimes (node, the JVM) find their limit there, and nothing else is there to be
 * written to. A part that can't be mounted is an empty directory.
 */
static int show(struct jail_apply *a, const struct jail_limits *l)
{
	_cleanup_close_ int target = resolve(a->root, CGROUP_DIR), tree = -1;
	char path[sizeof(VIEW) + sizeof(l->cgroups[0].controllers)];
	size_t i;
	int r;

	if (target < 0) /* hidden, or not there */
		return target == -ENOENT || target == -EACCES ? 0 : target;
	if (mkdirat(a->stage.dir, VIEW, 0755) < 0)
		return -errno;
	for (i = 0; i < l->n; i++) {
		(void)snprintf(path, sizeof(path), VIEW "/%s", l->cgroups[i].controllers);
		if (!l->cgroups[i].v2 && mkdirat(a->stage.dir, path, 0755) < 0)
			return -errno;
	}
	tree = sys_open_tree(a->stage.dir, VIEW, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	if (tree < 0)
		return tree;
	r = sys_mount_setattr(tree, "", AT_EMPTY_PATH,
			      &(struct mount_attr){ .attr_set = MOUNT_ATTR_RDONLY });
	if (r == 0)
		r = sys_move_mount(tree, target, "");
	for (i = 0; r == 0 && i < l->n; i++) {
		_cleanup_close_ int dir = -1;

		if (l->cgroups[i].v2 && l->n > 1)
			continue; /* it would cover the others */
		(void)snprintf(path, sizeof(path), "%s%s%s", CGROUP_DIR,
			       l->cgroups[i].v2 ? "" : "/", l->cgroups[i].controllers);
		dir = resolve(a->root, path);
		if (dir < 0)
			return dir;
		(void)show_group(&l->cgroups[i], dir); /* else the directory stays empty */
	}
	return r;
}

static int enter(struct jail_apply *a, const struct jail_limits *l, const int fds[8], struct err *e)
{
	size_t i;
	int r;

	for (i = 0; i < l->n; i++) {
		if (write(fds[i], "0", 1) != 1)
			return err_sys(e, -errno, "enter cgroup '%s'", l->cgroups[i].controllers);
	}
	if (l->n == 0)
		return 0;
	/* the run's own cgroups become the root of what is visible */
	if (unshare(CLONE_NEWCGROUP) < 0)
		return err_sys(e, -errno, "cgroup namespace");
	r = show(a, l);
	return r < 0 ? err_sys(e, r, "/" CGROUP_DIR) : 0;
}

static int set_rlimit(const struct jail_limits *l, enum policy_limit which, int resource,
		      uint64_t more, struct err *e)
{
	const rlim_t v = l->value[which] + more;

	if (l->by[which] == JAIL_BY_RLIMIT &&
	    setrlimit(resource, &(struct rlimit){ .rlim_cur = v, .rlim_max = v }) < 0)
		return err_sys(e, -errno, "--%s", policy_limit_name(which));
	return 0;
}

/* The kernel counts per user namespace and id, but holds no host root to it: try, instead of knowing who is meant. */
static int try_pids(struct err *e)
{
	struct rlimit old;
	pid_t pid;

	if (getrlimit(RLIMIT_NPROC, &old) < 0 ||
	    setrlimit(RLIMIT_NPROC, &(struct rlimit){ .rlim_cur = 1, .rlim_max = old.rlim_max }) <
		    0)
		return err_sys(e, -errno, "RLIMIT_NPROC");
	pid = vfork(); /* NOLINT(clang-analyzer-security.insecureAPI.vfork): it does nothing but end */
	if (pid == 0)
		_exit(0);
	if (pid > 0) {
		(void)waitpid(pid, NULL, 0);
		return err_set(
			e, ERR_LAYER, -EPERM,
			"--pids: the kernel holds this id to no RLIMIT_NPROC, and there is no cgroup");
	}
	return setrlimit(RLIMIT_NPROC, &old) < 0 ? err_sys(e, -errno, "RLIMIT_NPROC") : 0;
}

static int set_rlimits(struct jail_apply *a, const struct jail_limits *l, struct err *e)
{
	int r = set_rlimit(l, POLICY_LIMIT_FSIZE, RLIMIT_FSIZE, 0, e);

	if (r < 0 || l->by[POLICY_LIMIT_PIDS] != JAIL_BY_RLIMIT)
		return r;
	r = try_pids(e);
	if (r < 0)
		return e->code == ERR_LAYER ?
			       jail_layer_lost(JAIL_LAYER_CGROUP, a->spec->allow_degraded, &a->lost,
					       e) :
			       r;
	/* ourselves beside the command's processes, and jail_late() */
	return set_rlimit(l, POLICY_LIMIT_PIDS, RLIMIT_NPROC, 1 + l->helpers, e);
}

/* Some of the CPUs that we may use, not the same for every run. */
static int set_affinity(const struct jail_limits *l, struct err *e)
{
	size_t want = (l->value[POLICY_LIMIT_CPUS] + 999) / 1000;
	cpu_set_t may, set;
	size_t i, n;

	if (sched_getaffinity(0, sizeof(may), &may) < 0)
		return err_sys(e, -errno, "affinity");
	n = (size_t)CPU_COUNT(&may);
	if (want >= n)
		return 0;
	CPU_ZERO(&set);
	for (i = l->seed % CPU_SETSIZE; want > 0; i = (i + 1) % CPU_SETSIZE) {
		if (CPU_ISSET(i, &may)) {
			CPU_SET(i, &set);
			want--;
		}
	}
	return sched_setaffinity(0, sizeof(set), &set) < 0 ? err_sys(e, -errno, "affinity") : 0;
}

static int open_watch(struct jail_apply *a, int watch[JAIL_WATCH_NUM], struct err *e)
{
	size_t i;

	watch[JAIL_WATCH_PROC] = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	watch[JAIL_WATCH_TMPFS] = openat(a->stage.dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	/* segments that nobody has attached; the file shows the namespace of whoever opened it */
	watch[JAIL_WATCH_SHM] = open("/proc/sysvipc/shm", O_RDONLY | O_CLOEXEC);
	for (i = 0; i < JAIL_WATCH_NUM; i++) {
		if (watch[i] < 0)
			return err_set(
				e, ERR_LAYER, -errno,
				"--memory can't be watched without /proc, and there is no cgroup: %s",
				a->spec->limits->why);
	}
	return 0;
}

/*
 * How much the private file system may hold: by default half of the machine's memory, and as many inodes as pages would fit there. Memory
 * that a limit allows for everything is no more for this part of it. The file system was made before the limits were known (stage.c).
 */
static int set_size(struct jail_apply *a, const struct jail_limits *l, struct err *e)
{
	uint64_t size = l->value[POLICY_LIMIT_DISK], memory = l->value[POLICY_LIMIT_MEMORY];
	_cleanup_close_ int fs = -1;
	char text[32];
	int r;

	if (!size || (memory && memory < size))
		size = memory;
	if (!size)
		return 0;
	r = fs = sys_fspick(a->stage.dir);
	(void)snprintf(text, sizeof(text), "%" PRIu64, size);
	if (r >= 0)
		r = sys_fsconfig(fs, FSCONFIG_SET_STRING, "size", text);
	/* an inode is about 1 KiB of the kernel's memory; the plan itself needs some */
	(void)snprintf(text, sizeof(text), "%" PRIu64, size / 2048 + LIMIT_OPS);
	if (r >= 0)
		r = sys_fsconfig(fs, FSCONFIG_SET_STRING, "nr_inodes", text);
	if (r >= 0)
		r = sys_fsconfig(fs, FSCONFIG_CMD_RECONFIGURE, NULL, NULL);
	return r < 0 ? err_sys(e, r, "size of the private file system") : 0;
}

int jail_limits_files(const struct jail_limits *l, struct err *e)
{
	return set_rlimit(l, POLICY_LIMIT_NOFILE, RLIMIT_NOFILE, 0, e);
}

int jail_limits_apply(struct jail_apply *a, const int fds[8], int watch[JAIL_WATCH_NUM],
		      struct err *e)
{
	const struct jail_limits *l = a->spec->limits;
	size_t i;
	int r;

	for (i = 0; i < l->n; i++) {
		if (fds[i] < 0)
			return err_set(e, ERR_SYSTEM, -EBADMSG, "cgroups: hand-over");
	}
	r = enter(a, l, fds, e);
	for (i = 0; i < l->n; i++)
		(void)close(fds[i]);
	if (r == 0)
		r = set_size(a, l, e);
	if (r == 0)
		r = set_rlimits(a, l, e);
	if (r == 0 && l->by[POLICY_LIMIT_CPUS] == JAIL_BY_AFFINITY)
		r = set_affinity(l, e);
	if (r == 0 && l->by[POLICY_LIMIT_MEMORY] == JAIL_BY_WATCHDOG)
		r = open_watch(a, watch, e);
	return r;
}
