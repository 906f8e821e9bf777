/* SPDX-License-Identifier: Apache-2.0 */
#include "store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

static int make_dirs(const char *path)
{
	char dir[LIMIT_PATH];
	size_t n = strlen(path), i;

	if (n >= sizeof(dir))
		return -ENAMETOOLONG;
	memcpy(dir, path, n + 1);
	for (i = 1; i <= n; i++) {
		if (dir[i] && dir[i] != '/')
			continue;
		dir[i] = '\0';
		if (mkdir(dir, 0700) < 0 && errno != EEXIST && errno != EROFS && errno != EACCES)
			return -errno;
		dir[i] = path[i];
	}
	return 0;
}

/* What lies in the state is believed: it must be the caller's (or root's), and nobody else's to write. */
static int open_ours(int dfd, const char *path)
{
	int fd =
		openat(dfd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | (dfd >= 0 ? O_NOFOLLOW : 0));
	struct stat st;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0 || (st.st_uid != geteuid() && st.st_uid != 0) ||
	    (st.st_mode & 022)) {
		(void)close(fd);
		return -EPERM;
	}
	return fd;
}

int store_open(const char *state_dir, const char *name, bool make)
{
	_cleanup_close_ int state = open_ours(AT_FDCWD, state_dir);

	if (state == -ENOENT && make) {
		int r = make_dirs(state_dir);

		if (r < 0)
			return r;
		state = open_ours(AT_FDCWD, state_dir);
	}
	if (state < 0)
		return state;
	if (!name)
		return TAKE_FD(state);
	if (make && mkdirat(state, name, 0700) < 0 && errno != EEXIST)
		return -errno;
	return open_ours(state, name);
}

int guard_sockets(int state)
{
	int fd;

	if (mkdirat(state, "run", 0700) < 0 && errno != EEXIST)
		return -errno;
	fd = openat(state, "run", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

int guard_runtime(int state)
{
	const char *dir = getenv("XDG_RUNTIME_DIR");
	struct stat st;
	int fd = -ENOENT;

	/* only one that is what the word means: the user's, and nobody else's */
	if (dir && dir[0] == '/' && strlen(dir) + sizeof("/bailey") < LIMIT_PATH &&
	    stat(dir, &st) == 0 && st.st_uid == geteuid() && !(st.st_mode & 077)) {
		char path[LIMIT_PATH];

		(void)snprintf(path, sizeof(path), "%s/bailey", dir);
		if (mkdir(path, 0700) == 0 || errno == EEXIST)
			fd = store_open(path, NULL, false);
	}
	return fd >= 0 ? fd : guard_sockets(state);
}

int store_id(char out[GUARD_ID + 1])
{
	static const char digits[] = "0123456789abcdef";
	unsigned char bytes[GUARD_ID];
	size_t i;

	if (getrandom(bytes, sizeof(bytes), 0) != (ssize_t)sizeof(bytes))
		return -EIO;
	for (i = 0; i < GUARD_ID; i++)
		out[i] = digits[bytes[i] & 15];
	out[GUARD_ID] = '\0';
	return 0;
}

bool store_id_ok(const char *s)
{
	return strlen(s) == GUARD_ID && strspn(s, "0123456789abcdef") == GUARD_ID;
}

const char *fields_next(struct fields *f)
{
	const char *s = f->at, *nul = s < f->end ? memchr(s, '\0', (size_t)(f->end - s)) : NULL;

	if (!nul)
		return NULL;
	f->at = nul + 1;
	return s;
}

int64_t fields_int(struct fields *f)
{
	const char *s = fields_next(f);
	int64_t v = 0;

	if (!s || !*s)
		return -1;
	for (; *s; s++) {
		if (*s < '0' || *s > '9' || v > (INT64_MAX - 9) / 10)
			return -1;
		v = v * 10 + (*s - '0');
	}
	return v;
}
