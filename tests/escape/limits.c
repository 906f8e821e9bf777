/* SPDX-License-Identifier: Apache-2.0 */
/* Attacks on limits: memory in all its forms, processes, private storage, files. All of them end by themselves. */
#define _GNU_SOURCE
#include "probe.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define HOLD_MS 450 /* longer than a watchdog sleeps, on a busy machine, too */
#define FORKS_MAX 400

/* For the watchdog's eyes; outside there is none. */
static void hold(void)
{
	if (!getenv("PROBE_OUTSIDE"))
		nap(HOLD_MS);
}

static int fill_fd(int fd, size_t mib)
{
	static char block[1 << 16];
	size_t i;

	memset(block, 'x', sizeof(block));
	for (i = 0; i < mib * 16; i++) {
		ssize_t n = write(fd, block, sizeof(block));

		if (n < 0)
			return -errno;
		if (n != (ssize_t)sizeof(block))
			return -ENOSPC;
	}
	return 0;
}

static int eat_map(size_t mib, int flags)
{
	char *p = mmap(NULL, mib << 20, PROT_READ | PROT_WRITE, flags | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		return -errno;
	memset(p, 'x', mib << 20);
	hold();
	return 0;
}

/* Held by a descriptor alone, never mapped. */
static int eat_memfd(size_t mib)
{
	int fd = memfd_create("probe", MFD_CLOEXEC), r = fd < 0 ? -errno : fill_fd(fd, mib);

	if (r == 0)
		hold();
	if (fd >= 0)
		close(fd);
	return r;
}

/* Mapped; the descriptor is closed. */
static int eat_memfd_map(size_t mib)
{
	int fd = memfd_create("probe", MFD_CLOEXEC);
	char *p;

	if (fd < 0 || ftruncate(fd, (off_t)mib << 20) < 0)
		return -errno;
	p = mmap(NULL, mib << 20, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (p == MAP_FAILED)
		return -errno;
	memset(p, 'x', mib << 20);
	hold();
	return 0;
}

/* A System V segment that nobody has attached. */
static int eat_segment(size_t mib)
{
	int id = shmget(IPC_PRIVATE, mib << 20, IPC_CREAT | 0600);
	char *p = id < 0 ? NULL : shmat(id, NULL, 0);

	if (id < 0)
		return -errno;
	if (p == (char *)-1) {
		shmctl(id, IPC_RMID, NULL);
		return -errno;
	}
	memset(p, 'x', mib << 20);
	shmdt(p);
	hold();
	shmctl(id, IPC_RMID, NULL);
	return 0;
}

/* Many small processes instead of a large one. */
static int eat_forks(size_t mib)
{
	size_t i, n = mib / 8;
	pid_t pids[64];
	int r = 0;

	for (i = 0; i < n && i < 64; i++) {
		pids[i] = fork();
		if (pids[i] == 0) {
			(void)eat_map(8, MAP_PRIVATE);
			_exit(0);
		}
	}
	while (i-- > 0) {
		int st = 0;

		if (pids[i] > 0 && waitpid(pids[i], &st, 0) == pids[i] && WIFSIGNALED(st))
			r = -ENOMEM; /* the limit ends one of them, which is as good */
	}
	return r;
}

/* eat KIND MIB: use so much memory for a moment. */
static int p_eat(int argc, char **argv)
{
	size_t mib = num(argv[1]);

	(void)argc;
	if (strcmp(argv[0], "anon") == 0)
		return eat_map(mib, MAP_PRIVATE);
	if (strcmp(argv[0], "shared") == 0)
		return eat_map(mib, MAP_SHARED);
	if (strcmp(argv[0], "memfd") == 0)
		return eat_memfd(mib);
	if (strcmp(argv[0], "memfd-map") == 0)
		return eat_memfd_map(mib);
	if (strcmp(argv[0], "segment") == 0)
		return eat_segment(mib);
	if (strcmp(argv[0], "forks") == 0)
		return eat_forks(mib);
	fprintf(stderr, "probe: eat '%s'?\n", argv[0]);
	exit(2);
}

/* fill FILE MIB: a file, removed at the end. */
static int p_fill(int argc, char **argv)
{
	int fd = open(argv[0], O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600), r;

	(void)argc;
	if (fd < 0)
		return -errno;
	r = fill_fd(fd, num(argv[1]));
	if (r == 0)
		hold();
	close(fd);
	unlink(argv[0]);
	return r;
}

/* inodes DIR N: empty files. */
static int p_inodes(int argc, char **argv)
{
	unsigned long i, n = num(argv[1]);
	char path[4096];
	int fd, r = 0;

	(void)argc;
	if (mkdir(argv[0], 0700) < 0)
		return -errno;
	for (i = 0; r == 0 && i < n; i++) {
		snprintf(path, sizeof(path), "%s/%lu", argv[0], i);
		fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
		if (fd < 0)
			r = -errno;
		else
			close(fd);
	}
	while (i-- > 0) {
		snprintf(path, sizeof(path), "%s/%lu", argv[0], i);
		unlink(path);
	}
	rmdir(argv[0]);
	return r;
}

/* forks N: so many at once; nobody outlives the probe. */
static int p_forks(int argc, char **argv)
{
	unsigned long i, n = num(argv[0]);
	static pid_t pids[FORKS_MAX];
	int r = 0;

	(void)argc;
	for (i = 0; r == 0 && i < n && i < FORKS_MAX; i++) {
		pids[i] = fork();
		if (pids[i] == 0) {
			pause();
			_exit(0);
		}
		if (pids[i] < 0)
			r = -errno;
	}
	while (i-- > 0) {
		if (pids[i] <= 0)
			continue;
		kill(pids[i], SIGKILL);
		waitpid(pids[i], NULL, 0);
	}
	return r;
}

/* bomb SECONDS: every process forks until that fails, and again; for so long. */
static int p_bomb(int argc, char **argv)
{
	unsigned long ms = num(argv[0]) * 1000;
	pid_t leader = fork();
	int refused = 0;

	(void)argc;
	if (leader < 0)
		return -errno;
	if (leader == 0) {
		alarm((unsigned int)num(argv[0]) + 1);
		for (;;) {
			if (fork() < 0)
				sched_yield();
			alarm((unsigned int)num(argv[0]) + 1);
		}
	}
	/* we live beside it, and see whether a fork is refused */
	for (; ms > 0; ms -= 50) {
		pid_t pid = fork();

		if (pid == 0)
			_exit(0);
		if (pid > 0)
			waitpid(pid, NULL, 0);
		else
			refused = errno;
		nap(50);
	}
	return -refused;
}

/* large FILE MIB: a file of that size by its length alone. */
static int p_large(int argc, char **argv)
{
	int fd, r;

	(void)argc;
	signal(SIGXFSZ, SIG_IGN);
	fd = open(argv[0], O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	r = result(ftruncate(fd, (off_t)num(argv[1]) << 20));
	close(fd);
	unlink(argv[0]);
	return r;
}

/* files N: so many descriptors. */
static int p_files(int argc, char **argv)
{
	unsigned long i;
	int fds[1024], r = 0;

	(void)argc;
	for (i = 0; r == 0 && i < num(argv[0]) && i < 1024; i++) {
		fds[i] = dup(0);
		if (fds[i] < 0)
			r = -errno;
	}
	while (i-- > 0) {
		if (fds[i] >= 0)
			close(fds[i]);
	}
	return r;
}

/* rlimit RESOURCE VALUE: sets both values to that. */
static int p_rlimit(int argc, char **argv)
{
	struct rlimit lim = { .rlim_cur = num(argv[1]), .rlim_max = num(argv[1]) };

	(void)argc;
	return result(setrlimit((int)num(argv[0]), &lim));
}

const struct probe limit_probes[] = {
	{ "eat", 2, p_eat },     { "fill", 2, p_fill },     { "inodes", 2, p_inodes },
	{ "forks", 1, p_forks }, { "bomb", 1, p_bomb },     { "large", 2, p_large },
	{ "files", 1, p_files }, { "rlimit", 2, p_rlimit }, { NULL, 0, NULL },
};
