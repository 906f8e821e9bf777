/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. A name that is not there can't be mounted over, and nothing is put on the host to hold its place. So the command can make
 * it; when the run is over, and nothing of it is left, what is there then is moved aside: renamed in its directory, so that nothing on the host
 * obeys or executes it by its name, and nothing is lost. The command may have put links on the way: no link is followed, and one that
 * stands where none was is what is moved.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "srt.h"

#define TRIES 100

/* Rename @name in @dfd. @ret: LIMIT_PATH bytes, the new name. Return: 0 or negative errno. */
static int move_aside(int dfd, const char *name, char *ret)
{
	unsigned int i;
	int r;

	for (i = 0; i < TRIES; i++) {
		if (snprintf(ret, 256, "%.200s.denied-%u", name, i) >= 256)
			return -ENAMETOOLONG;
		r = sys_rename_new(dfd, name, ret);
		if (r != -EEXIST)
			return r;
	}
	return -EEXIST;
}

static void report(const char *path, const char *name, int r, void (*say)(const char *line))
{
	struct buf b = BUF_INIT(3ul * LIMIT_PATH);

	buf_puts(&b, "'");
	buf_quote(&b, path);
	buf_puts(&b, "' was not there, is write-denied, and was made during the run: ");
	if (r < 0) {
		buf_printf(&b, "it can't be moved aside (%s); look at it before the host uses it",
			   strerror(-r));
	} else {
		buf_puts(&b, "it is '");
		buf_quote(&b, name);
		buf_puts(&b, "' now");
	}
	if (!b.failed)
		say(b.data);
	buf_done(&b);
}

/* What is at @path, below the directory @root, if something is. */
static void sweep_one(const char *root, const char *path, void (*say)(const char *line))
{
	_cleanup_close_ int dfd = open(root, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	const char *p = path + strlen(root), *end;
	char name[256], moved[256], shown[LIMIT_PATH];
	struct stat st;
	int fd, r;

	for (; dfd >= 0; p = end) {
		p += strspn(p, "/");
		end = p + strcspn(p, "/");
		if (p == end || end - p >= (long)sizeof(name))
			return;
		memcpy(name, p, (size_t)(end - p));
		name[end - p] = '\0';
		if (fstatat(dfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			return;
		if (!*end || !S_ISDIR(st.st_mode))
			break;
		fd = openat(dfd, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		cleanup_close(&dfd);
		dfd = fd;
	}
	/* a file on the way keeps the rest from being there */
	if (dfd < 0 || (*end && !S_ISLNK(st.st_mode)))
		return;
	r = move_aside(dfd, name, moved);
	(void)snprintf(shown, sizeof(shown), "%.*s", (int)(end - path), path);
	report(shown, moved, r, say);
}

void absent_sweep(const struct opt_list *l, const char *const *roots, size_t n_roots,
		  void (*say)(const char *line))
{
	size_t i, k;

	for (i = 0; i < l->n; i++) {
		const char *best = NULL;

		/* the innermost root: on the way to that no name could be changed */
		for (k = 0; k < n_roots; k++) {
			if (path_covers(roots[k], l->v[i].value) &&
			    (!best || strlen(roots[k]) > strlen(best)))
				best = roots[k];
		}
		if (best)
			sweep_one(best, l->v[i].value, say);
	}
}
