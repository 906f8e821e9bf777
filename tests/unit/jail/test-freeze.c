/* SPDX-License-Identifier: Apache-2.0 */
/* A tree of processes that is stopped as a whole: by signals, and, where root has a cgroup hierarchy of version 2, by that. */
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "jail/jail.h"
#include "tap.h"

/* The first child stands for PID 1; it has two, which count as fast as they can. */
static volatile long *counters;

/* @own: in a process group of its own, before it has children: who kills the group must not miss one that was quick */
static pid_t start(bool own)
{
	pid_t pid = fork();
	int i;

	if (pid == 0) {
		if (own)
			(void)setpgid(0, 0);
		for (i = 0; i < 2; i++) {
			if (fork() == 0) {
				for (;;) {
					counters[i]++;
					(void)usleep(100);
				}
			}
		}
		for (;;)
			(void)pause();
	}
	return pid;
}

static bool counts(int i)
{
	long before = counters[i];
	int tries;

	for (tries = 0; tries < 200 && counters[i] == before; tries++)
		(void)usleep(1000);
	return counters[i] != before;
}

static bool stands(int i)
{
	long before = counters[i];

	(void)usleep(50000);
	return counters[i] == before;
}

static void check(pid_t pid, const struct jail_limits *limits, bool cgroup)
{
	static struct jail_frozen f;
	int round;

	for (round = 0; round < 3; round++) {
		CHECK(counts(0) && counts(1));
		CHECK(jail_freeze(&f, pid, limits) == 0);
		CHECK((f.cgroup >= 0) == cgroup);
		CHECK(cgroup ? f.n == 0 : f.n == 2);
		CHECK(stands(0) && stands(1));
		jail_thaw(&f);
	}
	CHECK(counts(0) && counts(1));
}

static void end(pid_t pid)
{
	(void)kill(-pid, SIGKILL);
	(void)kill(pid, SIGKILL); /* it may have no group of its own yet, and no children then */
	(void)waitpid(pid, NULL, 0);
}

static pid_t begin(void)
{
	pid_t pid;

	counters = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	REQUIRE(counters != MAP_FAILED);
	pid = start(true);
	REQUIRE(pid > 0);
	(void)setpgid(pid, pid); /* it may not have come to that yet */
	return pid;
}

TEST(signals)
{
	pid_t pid = begin();

	check(pid, NULL, false);
	end(pid);
}

/* One of the two is somebody whom we may not stop: then neither is. */
TEST(a_stranger)
{
	static struct jail_frozen f;
	const uid_t mine = 54321, others = 54322;
	pid_t pid, child;
	int i, status = -1;

	if (geteuid() != 0) {
		printf("# another user needs root: not tested\n");
		return;
	}
	counters = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	REQUIRE(counters != MAP_FAILED);
	pid = fork();
	if (pid == 0) {
		(void)setpgid(0, 0);
		for (i = 0; i < 2; i++) {
			if (fork() != 0)
				continue;
			if (setuid(i ? others : mine) < 0)
				_exit(1);
			for (;;) {
				counters[i]++;
				(void)usleep(100);
			}
		}
		for (;;)
			(void)pause();
	}
	REQUIRE(pid > 0 && counts(0) && counts(1));
	child = fork();
	if (child == 0)
		_exit(setuid(mine) < 0 || jail_freeze(&f, pid, NULL) != -EPERM || f.n != 0 ? 1 : 0);
	CHECK(waitpid(child, &status, 0) == child && status == 0);
	CHECK(counts(0) && counts(1));
	end(pid);
}

TEST(nobody)
{
	static struct jail_frozen f;

	CHECK(jail_freeze(&f, getpid(), NULL) == 0);
	CHECK(f.n == 0);
	jail_thaw(&f);
}

/* A cgroup that can't be frozen is no reason to leave the run alone. */
TEST(a_cgroup_without_a_freezer)
{
	struct jail_limits limits = { .n = 1, .cgroups = { { .v2 = true } } };
	pid_t pid = begin();

	limits.cgroups[0].dir = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	check(pid, &limits, false);
	end(pid);
}

static int make_cgroup(char *path, size_t size)
{
	static const char *const tops[] = { "/sys/fs/cgroup/unified", "/sys/fs/cgroup" };
	struct statfs sfs;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(tops); i++) {
		(void)snprintf(path, size, "%s/bailey-test-%d", tops[i], (int)getpid());
		if (statfs(tops[i], &sfs) == 0 && sfs.f_type == CGROUP2_SUPER_MAGIC &&
		    mkdir(path, 0700) == 0)
			return open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	}
	return -1;
}

TEST(cgroup)
{
	struct jail_limits limits = { .n = 1, .cgroups = { { .v2 = true } } };
	char path[128], text[16];
	pid_t pid;
	int tries;

	limits.cgroups[0].dir = make_cgroup(path, sizeof(path));
	if (limits.cgroups[0].dir < 0) {
		printf("# no cgroup of version 2 can be made here: not tested\n");
		return;
	}
	pid = begin();
	/* children follow when they are forked after that */
	end(pid);
	pid = fork();
	if (pid == 0) {
		(void)setpgid(0, 0);
		(void)snprintf(text, sizeof(text), "%d", (int)getpid());
		if (fd_write_file(limits.cgroups[0].dir, "cgroup.procs", text) < 0)
			_exit(1);
		(void)start(false);
		for (;;)
			(void)pause();
	}
	check(pid, &limits, true);
	end(pid);
	for (tries = 0; tries < 1000 && rmdir(path) < 0; tries++)
		(void)usleep(1000);
}
