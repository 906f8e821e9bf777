/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Paths mean something else in each mount namespace and below each root directory, and a name can't be moved between two mounts, not even of one
 * file system. So there is one watcher for each pair of them that a user has runs in, and its socket says which. An inode number of a
 * namespace is not used again while somebody lives in it, and a socket without a watcher is taken over by the next one.
 */
#include "watch-place.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store.h"

#define PREFIX "watch-3-" /* the version: two baileys of one user may differ */
#define LOCK_SUFFIX ".lock"
#define NAME_SIZE 56 /* PREFIX, two numbers of 16 digits, LOCK_SUFFIX */

struct names {
	char sock[NAME_SIZE], lock[NAME_SIZE];
};

static int names_of_here(struct names *n)
{
	struct stat ns, root;

	if (stat("/proc/self/ns/mnt", &ns) < 0 || stat("/", &root) < 0)
		return -errno;
	(void)snprintf(n->sock, sizeof(n->sock), PREFIX "%llx-%llx", (unsigned long long)ns.st_ino,
		       (unsigned long long)root.st_ino);
	(void)snprintf(n->lock, sizeof(n->lock), PREFIX "%llx-%llx" LOCK_SUFFIX,
		       (unsigned long long)ns.st_ino, (unsigned long long)root.st_ino);
	return 0;
}

int watch_place_address(int dir, struct sockaddr_un *a)
{
	struct names names;
	int r = names_of_here(&names);

	return r < 0 ? r : (int)sock_address(dir, names.sock, a);
}

/* The lock file @name, locked, and the one that others will find. Return: fd; -EALREADY when somebody holds it; negative errno. */
static int take_lock(int dir, const char *name, int flags)
{
	for (;;) {
		_cleanup_close_ int fd =
			openat(dir, name, O_RDWR | O_NOFOLLOW | O_CLOEXEC | flags, 0600);
		struct stat held, named;

		if (fd < 0)
			return -errno;
		if (flock(fd, LOCK_EX | LOCK_NB) < 0)
			return errno == EWOULDBLOCK ? -EALREADY : -errno;
		if (fstat(fd, &held) < 0)
			return -errno;
		if (fstatat(dir, name, &named, AT_SYMLINK_NOFOLLOW) == 0 &&
		    named.st_dev == held.st_dev && named.st_ino == held.st_ino)
			return TAKE_FD(fd);
		if (!(flags & O_CREAT))
			return -ENOENT; /* its watcher has left meanwhile */
	}
}

/* The socket first: who holds the lock is the only one that binds and removes. */
static void remove_names(int dir, const char *sock, const char *lock)
{
	(void)unlinkat(dir, sock, 0);
	(void)unlinkat(dir, lock, 0);
}

/* Watchers of other mount namespaces that were killed. */
static void tidy(int dir)
{
	int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *entry;

	if (!d) {
		cleanup_close(&fd);
		return;
	}
	while ((entry = readdir(d))) {
		struct names n = { .sock = "" };
		size_t len = strlen(entry->d_name), end = sizeof(LOCK_SUFFIX) - 1;
		int lock;

		if (len <= end || len >= sizeof(n.lock) ||
		    strncmp(entry->d_name, PREFIX, sizeof(PREFIX) - 1) != 0 ||
		    strcmp(entry->d_name + len - end, LOCK_SUFFIX) != 0)
			continue;
		memcpy(n.lock, entry->d_name, len + 1);
		memcpy(n.sock, entry->d_name, len - end);
		lock = take_lock(dir, n.lock, 0);
		if (lock < 0)
			continue;
		remove_names(dir, n.sock, n.lock);
		(void)close(lock);
	}
	(void)closedir(d);
}

int watch_place_take(int dir, int *ret_sock, int *ret_lock)
{
	_cleanup_close_ int sock = -1, lock = -1;
	struct sockaddr_un a;
	struct names names;
	int r = names_of_here(&names);
	socklen_t len;

	if (r < 0)
		return r;
	lock = take_lock(dir, names.lock, O_CREAT);
	if (lock < 0)
		return lock;
	tidy(dir);
	len = sock_own_address(dir, names.sock, &a);
	sock = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	(void)unlinkat(dir, names.sock, 0); /* ours, of one that was killed */
	if (sock < 0 || bind(sock, (struct sockaddr *)&a, len) < 0 || listen(sock, 64) < 0)
		return -errno;
	*ret_sock = TAKE_FD(sock);
	*ret_lock = TAKE_FD(lock);
	return 0;
}

void watch_place_leave(int dir)
{
	struct names names;

	if (names_of_here(&names) == 0)
		remove_names(dir, names.sock, names.lock);
}
