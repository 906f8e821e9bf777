/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. inotify(7) tells of one directory; a tree has a watch for each. Who makes a directory and at once something in it may be faster than our watch, so
 * a new directory is listed when it has one: what is in it was made. So a name may be told as made twice, and none is missed. When the queue was full, the whole tree is new. A directory that is moved away takes its
 * watches with it in the kernel; they are taken off, for their names are wrong. What a link leads to is not watched.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fs.h"

#define WATCHES_MAX 65536
#define EVENTS (IN_CREATE | IN_MODIFY | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_ATTRIB)
#define BELOW (IN_DONT_FOLLOW | IN_EXCL_UNLINK)

struct watched {
	int wd;
	char *path; /* owned */
};

struct watch {
	int fd, root;          /* root: the watch of the path that was asked for */
	char path[LIMIT_PATH]; /* that */
	bool whole;            /* what is below, too */
	struct watched *all;
	size_t n, size;
};

static int say(const char *event, const char *dir, const char *name, struct err *e)
{
	struct buf b = BUF_INIT(65536);
	struct json j = { .out = &b };
	char path[LIMIT_PATH];

	(void)snprintf(path, sizeof(path), name ? "%s/%s" : "%s", dir && dir[1] ? dir : "", name);
	json_open(&j, NULL, '{');
	json_str(&j, "event", event);
	if (dir)
		json_str(&j, "path", path);
	json_close(&j, '}');
	return fs_say(&b, e);
}

static const char *path_of(const struct watch *w, int wd)
{
	size_t i;

	for (i = 0; i < w->n; i++) {
		if (w->all[i].wd == wd)
			return w->all[i].path;
	}
	return NULL;
}

static void forget(struct watch *w, size_t i)
{
	free(w->all[i].path);
	w->all[i] = w->all[--w->n];
}

/* @path and what was below it has another name now, or none. */
static void drop(struct watch *w, const char *path)
{
	const size_t len = strlen(path);
	size_t i = w->n;

	while (i-- > 0) {
		if (strncmp(w->all[i].path, path, len) != 0 ||
		    (w->all[i].path[len] && w->all[i].path[len] != '/'))
			continue;
		(void)inotify_rm_watch(w->fd, w->all[i].wd); /* it may have gone */
		forget(w, i);
	}
}

static int keep(struct watch *w, int wd, const char *path, struct err *e)
{
	size_t i;
	char *own;

	for (i = 0; i < w->n && w->all[i].wd != wd; i++)
		;
	if (i == w->n && w->n == w->size) {
		const size_t size = w->size * 2 + 64;
		struct watched *more =
			size > 2ul * WATCHES_MAX ? NULL : realloc(w->all, size * sizeof(*more));

		if (!more)
			return err_set(e, ERR_SYSTEM, -E2BIG,
				       "more than %d directories are to be watched", WATCHES_MAX);
		w->all = more;
		w->size = size;
	}
	own = strdup(path);
	if (!own)
		return err_set(e, ERR_SYSTEM, -ENOMEM, "out of memory");
	if (i < w->n)
		free(w->all[i].path);
	else
		w->n++;
	w->all[i] = (struct watched){ .wd = wd, .path = own };
	return 0;
}

static int add(struct watch *w, const char *path, bool is_new, unsigned int depth, struct err *e);

/* NOLINTBEGIN(misc-no-recursion): as deep as LIMIT_SCAN_DEPTH */

/* What is in the directory @path, which has a watch. @is_new: it is told. */
static int add_below(struct watch *w, const char *path, bool is_new, unsigned int depth,
		     struct err *e)
{
	DIR *d = opendir(path);
	char below[LIMIT_PATH];
	struct dirent *de;
	struct stat st;
	int r = 0;

	if (!d)
		return 0; /* not ours to read, or gone */
	while (r == 0 && (de = readdir(d))) {
		if (strcmp(de->d_name, ".") == 0 || strcmp(de->d_name, "..") == 0)
			continue;
		if (is_new)
			r = say("create", path, de->d_name, e);
		if (r == 0 &&
		    (size_t)snprintf(below, sizeof(below), "%s/%s", path[1] ? path : "",
				     de->d_name) < sizeof(below) &&
		    lstat(below, &st) == 0 && S_ISDIR(st.st_mode))
			r = add(w, below, is_new, depth + 1, e);
	}
	(void)closedir(d);
	return r;
}

static int add(struct watch *w, const char *path, bool is_new, unsigned int depth, struct err *e)
{
	/* the first one may be reached by a link */
	int wd = inotify_add_watch(w->fd, path, EVENTS | IN_ONLYDIR | (depth ? BELOW : 0)), r;

	if (wd < 0 && (errno == ENOENT || errno == ENOTDIR || errno == EACCES) && depth)
		return 0; /* gone meanwhile; or nobody here may look into it */
	if (wd < 0 && errno == ENOSPC)
		return err_set(
			e, ERR_SYSTEM, -ENOSPC,
			"the kernel gives no more watches (fs.inotify.max_user_watches); watch fewer directories");
	if (wd < 0)
		return err_sys(e, -errno, "%.200s", path);
	if (depth > LIMIT_SCAN_DEPTH)
		return err_set(e, ERR_SYSTEM, -ELOOP, "%.200s: deeper than %d directories", path,
			       LIMIT_SCAN_DEPTH);
	r = keep(w, wd, path, e);
	return r < 0 || !w->whole ? r : add_below(w, path, is_new, depth, e);
}

/* NOLINTEND(misc-no-recursion) */

/* Events were lost: whoever hears of that looks himself, but directories that were made meanwhile must have a watch. */
static int begin_again(struct watch *w, struct err *e)
{
	int r = say("overflow", NULL, NULL, e);

	if (r < 0 || !w->whole)
		return r;
	while (w->n) {
		(void)inotify_rm_watch(w->fd, w->all[w->n - 1].wd); /* it may have gone */
		forget(w, w->n - 1);
	}
	r = add(w, w->path, true, 0, e);
	w->root = w->n ? w->all[0].wd : -1;
	return r;
}

static int on_event(struct watch *w, const struct inotify_event *ev, struct err *e)
{
	const char *dir = path_of(w, ev->wd), *name = ev->len ? ev->name : NULL;
	const bool is_dir = ev->mask & IN_ISDIR;
	char path[LIMIT_PATH];
	int r = 0;

	if (ev->mask & IN_Q_OVERFLOW)
		return begin_again(w, e);
	if (!dir || (!name && !(ev->mask & IN_ATTRIB)))
		return 0; /* of a watch that was taken off; or its end, of which the directory above tells */
	(void)snprintf(path, sizeof(path), name ? "%s/%s" : "%s", dir[1] ? dir : "", name);
	if (ev->mask & IN_ATTRIB)
		/* of a directory below, the one above has told it */
		return name || ev->wd == w->root ? say("attributes", dir, name, e) : 0;
	if (ev->mask & IN_MODIFY)
		return say("write", dir, name, e);
	if (ev->mask & IN_DELETE)
		r = say("remove", dir, name, e);
	if (ev->mask & IN_MOVED_FROM)
		r = say("rename", dir, name, e);
	if (ev->mask & (IN_CREATE | IN_MOVED_TO))
		r = say("create", dir, name, e);
	if (r < 0 || !is_dir || !w->whole)
		return r;
	if (ev->mask & (IN_DELETE | IN_MOVED_FROM))
		drop(w, path);
	else
		r = add(w, path, true, 1, e);
	return r;
}

static int read_events(struct watch *w, struct err *e)
{
	_Alignas(struct inotify_event) char buf[16384];
	const struct inotify_event *ev;
	ssize_t n = read(w->fd, buf, sizeof(buf));
	const char *p;
	int r = 0;

	if (n < 0)
		return errno == EINTR || errno == EAGAIN ? 0 : err_sys(e, -errno, "inotify");
	for (p = buf; r == 0 && p < buf + n; p += sizeof(*ev) + ev->len) {
		ev = (const struct inotify_event *)(const void *)p;
		if (ev->wd == w->root && (ev->mask & IN_IGNORED))
			return err_set(e, ERR_SYSTEM, -ENOENT,
				       "%.200s is watched no more: it was removed", w->path);
		r = on_event(w, ev, e);
	}
	return r;
}

/* argv: watch PATH [all] */
int fs_watch(char *const *argv, struct err *e)
{
	static struct watch w; /* it goes with the process */
	struct pollfd p[] = { { .events = POLLIN }, { .fd = 0, .events = POLLIN } };
	int fd, r;

	w.whole = argv[2];
	w.fd = p[0].fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (w.fd < 0)
		return err_sys(e, -errno, "inotify");
	fd = fs_open(argv[1], w.path, e); /* a link that leads to it is followed */
	if (fd < 0)
		return fd;
	(void)close(fd); /* or the directory would not be gone when it is removed */
	r = add(&w, w.path, false, 0, e);
	w.root = w.n ? w.all[0].wd : -1;
	if (r == 0)
		r = say("start", NULL, NULL, e);
	while (r == 0) {
		if (poll(p, 2, -1) < 0 && errno != EINTR)
			r = err_sys(e, -errno, "poll");
		else if (p[1].revents)
			return 0; /* nobody is there any more; memory goes with us */
		else if (p[0].revents)
			r = read_events(&w, e);
	}
	return r;
}
