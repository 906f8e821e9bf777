/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. What the sandbox uses = anonymous memory of its processes + shared memory, whether mapped or not. Shared memory has
 * four homes: files of the private tmpfs (statfs), memfds (their descriptors), System V segments (/proc/sysvipc/shm) and shared anonymous
 * mappings, which nothing but the mappings shows. The first look adds what /proc/PID/status says, which is cheap, and counts twice what processes
 * share. Only when that is above the limit, smaps answers exactly: it divides by the number of sharers (Pss).
 *
 * All of it is a look at processes that run, fork and end meanwhile: a bound against accidents, not against hostile code. Kernel memory (pipes,
 * sockets, page tables) is not counted.
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "limit.h"

#define MEMFDS 1024 /* inodes that are told apart; more are counted each time they are met */

struct look {
	uint64_t bytes;
	size_t n;
	ino_t memfds[MEMFDS];
};

/* Lines of a /proc file, which may be longer than memory should be. */
struct lines {
	int fd;
	size_t at, end;
	char buf[16384];
};

/* Return: the next line, cut to the buffer; NULL at the end. */
static char *next_line(struct lines *l)
{
	for (;;) {
		char *line = l->buf + l->at, *nl = memchr(line, '\n', l->end - l->at);
		ssize_t n;

		if (nl) {
			*nl = '\0';
			l->at = (size_t)(nl - l->buf) + 1;
			return line;
		}
		if (l->at == 0 && l->end == sizeof(l->buf)) {
			l->end = 0; /* no file of ours has such a line */
			continue;
		}
		memmove(l->buf, line, l->end - l->at);
		l->end -= l->at;
		l->at = 0;
		n = read(l->fd, l->buf + l->end, sizeof(l->buf) - l->end);
		if (n <= 0)
			return NULL;
		l->end += (size_t)n;
	}
}

/* "Name:   123 kB". Return: bytes, or 0 when the line has another name. */
static uint64_t kilobytes(const char *line, const char *name)
{
	size_t n = strlen(name);

	return strncmp(line, name, n) == 0 && line[n] == ':' ?
		       strtoull(line + n + 1, NULL, 10) * 1024 :
		       0;
}

static bool seen(struct look *k, ino_t ino)
{
	size_t i;

	for (i = 0; i < k->n; i++) {
		if (k->memfds[i] == ino)
			return true;
	}
	if (k->n < MEMFDS)
		k->memfds[k->n++] = ino;
	return false;
}

/* Descriptors that are memfds; the link says so without touching the file. */
static void look_at_fds(struct look *k, int process)
{
	int dir = openat(process, "fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = dir < 0 ? NULL : fdopendir(dir);
	struct dirent *de;
	char to[16];
	struct stat st;

	if (!d) {
		cleanup_close(&dir);
		return;
	}
	while ((de = readdir(d))) {
		ssize_t n = readlinkat(dirfd(d), de->d_name, to, sizeof(to));

		if (n >= 7 && memcmp(to, "/memfd:", 7) == 0 &&
		    fstatat(dirfd(d), de->d_name, &st, 0) == 0 && !seen(k, st.st_ino))
			k->bytes += (uint64_t)st.st_blocks * 512;
	}
	(void)closedir(d);
}

/* "55d0-55d1 rw-s 00000000 00:01 1234    /memfd:x (deleted)". Return: whether only mappings show this memory. */
static bool is_unseen(const struct look *k, const char *line)
{
	const char *name = strchr(line, '/');
	size_t i;
	ino_t ino;

	if (!name)
		return false;
	if (strcmp(name, "/dev/zero (deleted)") == 0)
		return true;
	if (strncmp(name, "/memfd:", 7) != 0)
		return false;
	/* range, rights, offset and device stand before the inode */
	for (i = 0; i < 4; i++) {
		line = strchr(line, ' ');
		if (!line)
			return false;
		line++;
	}
	ino = (ino_t)strtoull(line, NULL, 10);
	for (i = 0; i < k->n; i++) {
		if (k->memfds[i] == ino)
			return false;
	}
	return true; /* its descriptor was closed */
}

static void look_at_maps(struct look *k, int process)
{
	_cleanup_close_ int rollup = openat(process, "smaps_rollup", O_RDONLY | O_CLOEXEC);
	_cleanup_close_ int smaps = openat(process, "smaps", O_RDONLY | O_CLOEXEC);
	struct lines l = { .fd = rollup };
	bool unseen = false;
	char *line;

	while (rollup >= 0 && (line = next_line(&l)))
		k->bytes += kilobytes(line, "Pss_Anon") + kilobytes(line, "SwapPss");
	l = (struct lines){ .fd = smaps };
	while (smaps >= 0 && (line = next_line(&l))) {
		/* a line of a mapping begins with an address in lower case, one of its numbers with a capital */
		if (*line < 'A' || *line > 'Z')
			unseen = is_unseen(k, line);
		else if (unseen)
			k->bytes += kilobytes(line, "Pss");
	}
}

static void look_at_status(struct look *k, int process)
{
	_cleanup_close_ int fd = openat(process, "status", O_RDONLY | O_CLOEXEC);
	struct lines l = { .fd = fd };
	char *line;

	while (fd >= 0 && (line = next_line(&l)))
		k->bytes += kilobytes(line, "RssAnon") + kilobytes(line, "RssShmem") +
			    kilobytes(line, "VmSwap");
}

/* Twice: a memfd that one process has open and another has mapped must be known before the mappings are looked at. */
static int look_at_processes(struct look *k, int proc, void (*at)(struct look *, int))
{
	int fd = openat(proc, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *de;

	if (!d) {
		cleanup_close(&fd);
		return -errno;
	}
	while ((de = readdir(d))) {
		_cleanup_close_ int process = -1;

		/* PID 1 is a copy of ourselves */
		if (*de->d_name < '1' || *de->d_name > '9' || strcmp(de->d_name, "1") == 0)
			continue;
		process = openat(proc, de->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (process >= 0)
			at(k, process);
	}
	(void)closedir(d);
	return 0;
}

/* System V segments: the last two columns are bytes in memory and in swap. */
static int look_at_segments(struct look *k, int shm)
{
	struct lines l = { .fd = shm };
	char *line, *p;

	if (lseek(shm, 0, SEEK_SET) < 0)
		return -errno;
	(void)next_line(&l); /* the heading */
	while ((line = next_line(&l))) {
		p = line + strlen(line);
		while (p > line && p[-1] != ' ')
			p--;
		k->bytes += strtoull(p, NULL, 10);
		while (p > line && p[-1] == ' ')
			p--;
		while (p > line && p[-1] != ' ')
			p--;
		k->bytes += strtoull(p, NULL, 10);
	}
	return 0;
}

static int look(const int watch[JAIL_WATCH_NUM], struct look *k, bool exact)
{
	struct statfs sfs;
	int r;

	k->n = 0;
	k->bytes = 0;
	if (fstatfs(watch[JAIL_WATCH_TMPFS], &sfs) < 0)
		return -errno;
	k->bytes = (uint64_t)(sfs.f_blocks - sfs.f_bfree) * (uint64_t)sfs.f_bsize;
	r = look_at_segments(k, watch[JAIL_WATCH_SHM]);
	if (r == 0)
		r = look_at_processes(k, watch[JAIL_WATCH_PROC], look_at_fds);
	if (r == 0)
		r = look_at_processes(k, watch[JAIL_WATCH_PROC],
				      exact ? look_at_maps : look_at_status);
	return r;
}

int jail_watch_memory(const int watch[JAIL_WATCH_NUM], uint64_t limit, uint64_t *ret)
{
	struct look k = { .bytes = 0 };
	int r = look(watch, &k, false);

	if (r == 0 && k.bytes > limit)
		r = look(watch, &k, true);
	if (r == 0)
		*ret = k.bytes;
	return r;
}
