/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. inotify tells of names that come into a watched directory; the directories of a run are those that its sweep would
 * search. A directory that comes is watched first and listed then, so that nothing which is made in it meanwhile is missed. Which name in it is
 * protected is the sweep's to say: here it is only asked whether a sweep could find something.
 */
#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "watch.h"

#define EVENTS (IN_CREATE | IN_MOVED_TO | IN_ONLYDIR | IN_DONT_FOLLOW | IN_EXCL_UNLINK)

/* As in jail/protect.c: large, generated. Below git directories: what git fills and never executes. */
static const char *const skipped[] = {
	"node_modules",  "target",  "venv",          ".venv",   ".tox",        "__pycache__",
	".cache",        ".next",   "site-packages", ".gradle", ".mypy_cache", ".ruff_cache",
	".pytest_cache", "objects", "logs",          "refs",
};

static bool is_skipped(const char *name)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(skipped); i++) {
		if (strcmp(skipped[i], name) == 0)
			return true;
	}
	return false;
}

/* Whether @name is a part of a name of the table. */
static bool is_known(const char *name)
{
	size_t n, i, len = strlen(name);
	const struct policy_protected *table = policy_protected(&n);

	for (i = 0; i < n; i++) {
		const char *at = table[i].name, *slash;

		if (table[i].class != POLICY_PROTECT || table[i].place == POLICY_IN_CONFIG)
			continue;
		for (; at; at = slash ? slash + 1 : NULL) {
			slash = strchr(at, '/');
			if ((slash ? (size_t)(slash - at) : strlen(at)) == len &&
			    strncasecmp(at, name, len) == 0)
				return true;
		}
	}
	return false;
}

static struct watched *find(const struct trees *t, int wd)
{
	size_t low = 0, high = t->n, mid;

	while (low < high) {
		mid = (low + high) / 2;
		if (t->dirs[mid].wd == wd)
			return &t->dirs[mid];
		if (t->dirs[mid].wd < wd)
			low = mid + 1;
		else
			high = mid;
	}
	return NULL;
}

/* Return: 1 when it is watched from now on, 0 when it was already, negative errno. */
static int add_one(struct trees *t, const char *path, unsigned int depth)
{
	int wd = inotify_add_watch(t->fd, path, EVENTS);
	struct watched *w, *dirs;
	char *kept;

	if (wd < 0) {
		t->full = t->full || errno == ENOSPC;
		return -errno;
	}
	w = find(t, wd);
	if (w && strcmp(w->path, path) == 0) {
		if (w->depth <= depth)
			return t->again;
		w->depth = depth; /* two runs, one in a directory of the other's */
		return 1;
	}
	kept = strdup(path);
	if (kept && !w && t->n == t->size) {
		dirs = realloc(t->dirs, (t->size * 2 + 64) * sizeof(*dirs));
		if (dirs) {
			t->dirs = dirs;
			t->size = t->size * 2 + 64;
		}
	}
	if (!kept || (!w && t->n == t->size)) {
		free(kept);
		return -ENOMEM;
	}
	if (w) { /* renamed */
		free(w->path);
		w->path = kept;
		w->depth = depth;
	} else {
		t->dirs[t->n++] = (struct watched){ .wd = wd, .depth = depth, .path = kept };
	}
	return 1;
}

static bool join(char *out, const char *dir, const char *name)
{
	size_t a = strlen(dir), b = strlen(name);

	if (a + b + 2 > LIMIT_PATH)
		return false;
	memcpy(out, dir, a);
	out[a] = '/';
	memcpy(out + a + 1, name, b + 1);
	return true;
}

/* A git directory's own are watched two levels deep (worktrees/NAME, modules/NAME), however deep it lies. */
static unsigned int depth_of(const char *name, unsigned int depth)
{
	if (strcasecmp(name, ".git") == 0)
		return LIMIT_PROTECT_DEPTH - 2;
	return depth + 1;
}

/* NOLINTNEXTLINE(misc-no-recursion): as deep as LIMIT_PROTECT_DEPTH */
static int add_tree(struct trees *t, const char *path, unsigned int depth, size_t *left,
		    bool *ret_known)
{
	_cleanup_close_ int fd = -1;
	SYS_DIRENT_ALIGN char buf[8192];
	const struct sys_dirent *d;
	char child[LIMIT_PATH];
	long n, o;
	int r;

	if (*left == 0)
		return 0;
	(*left)--;
	r = add_one(t, path, depth);
	if (r <= 0)
		return r == -ENOENT || r == -ENOTDIR || r == -EACCES ? 0 : r;
	fd = sys_openat2(AT_FDCWD, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW,
			 RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS);
	if (fd < 0)
		return 0;
	while ((n = sys_getdents(fd, buf, sizeof(buf))) > 0) {
		for (o = 0; (d = sys_dirent_next(buf, n, &o));) {
			if (strcmp(d->name, ".") == 0 || strcmp(d->name, "..") == 0)
				continue;
			*ret_known = *ret_known || is_known(d->name);
			if ((d->type != DT_DIR && d->type != DT_UNKNOWN) ||
			    depth_of(d->name, depth) > LIMIT_PROTECT_DEPTH || is_skipped(d->name) ||
			    !join(child, path, d->name))
				continue;
			r = add_tree(t, child, depth_of(d->name, depth), left, ret_known);
			if (r < 0)
				return r;
		}
	}
	return 0;
}

int trees_add(struct trees *t, const char *root, bool again)
{
	size_t left = LIMIT_PROTECT_DIRS;
	bool known = false;
	int r;

	t->again = again;
	r = add_tree(t, root, 0, &left, &known);
	t->again = false;
	return r;
}

static void on_event(struct trees *t, const struct inotify_event *ev,
		     void (*each)(void *arg, const char *dir, const char *name, bool is_dir,
				  bool known),
		     void *arg)
{
	const struct watched *w = find(t, ev->wd);
	size_t left = LIMIT_PROTECT_DIRS;
	bool known = is_known(ev->name);
	char path[LIMIT_PATH], dir[LIMIT_PATH];
	unsigned int depth;

	if (!w || strlen(w->path) >= sizeof(dir))
		return;
	memcpy(dir, w->path, strlen(w->path) + 1); /* the table may move */
	depth = depth_of(ev->name, w->depth);
	if ((ev->mask & IN_ISDIR) && depth <= LIMIT_PROTECT_DEPTH && !is_skipped(ev->name) &&
	    join(path, dir, ev->name))
		(void)add_tree(t, path, depth, &left,
			       &known); /* what can't be watched is found at the end */
	each(arg, dir, ev->name, ev->mask & IN_ISDIR, known);
}

int trees_read(struct trees *t,
	       void (*each)(void *arg, const char *dir, const char *name, bool is_dir, bool known),
	       void *arg)
{
	_Alignas(struct inotify_event) char buf[16384];
	bool lost = false;
	ssize_t n, o;

	while ((n = read(t->fd, buf, sizeof(buf))) > 0) {
		for (o = 0; o < n;) {
			const struct inotify_event *ev = (const void *)(buf + o);
			struct watched *w;

			o += (ssize_t)(sizeof(*ev) + ev->len);
			if (ev->mask & IN_Q_OVERFLOW) {
				lost = true;
			} else if (ev->mask & IN_IGNORED) {
				w = find(t, ev->wd);
				if (!w)
					continue;
				free(w->path);
				memmove(w, w + 1, (size_t)(t->dirs + t->n - (w + 1)) * sizeof(*w));
				t->n--;
			} else if (ev->len > 0) {
				on_event(t, ev, each, arg);
			}
		}
	}
	return n < 0 && errno != EAGAIN ? -errno : lost;
}

void trees_each(const struct trees *t, void (*each)(void *arg, const char *dir), void *arg)
{
	size_t i;

	for (i = 0; i < t->n; i++)
		each(arg, t->dirs[i].path);
}

void trees_keep(struct trees *t, bool (*wanted)(void *arg, const char *dir), void *arg)
{
	size_t i;

	/* the table is cleaned up by the events that this makes */
	for (i = 0; i < t->n; i++) {
		if (!wanted(arg, t->dirs[i].path))
			(void)inotify_rm_watch(t->fd, t->dirs[i].wd);
	}
}

void trees_done(struct trees *t)
{
	size_t i;

	for (i = 0; i < t->n; i++)
		free(t->dirs[i].path);
	free(t->dirs);
	cleanup_close(&t->fd);
	*t = (struct trees){ .fd = -1 };
}
