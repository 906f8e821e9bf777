/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. quarantine/ID/ holds `meta`, which says what it was, and `item`, the thing itself. `meta` is written first, then the
 * name is renamed to `item`: one step, before or after which everything is in one place. From another file system it is copied to a name of its own,
 * renamed to `item`, and only then removed where it was. An ID without `item` is what a kill left before that: nothing is lost by removing it.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "store.h"

#define DIR_NAME "quarantine"
#define VERSION "bailey-quarantine 1"

#ifndef RENAME_NOREPLACE
#define RENAME_NOREPLACE 1
#endif

static int rename_new(int from, const char *name, int to, const char *to_name)
{
	return (int)sys_call(SYS_renameat2, from, name, to, to_name, RENAME_NOREPLACE);
}

/* The directory of @path, no link followed. *ret_name: the last component. */
static int open_parent(const char *path, const char **ret_name)
{
	const char *slash = strrchr(path, '/');
	char dir[LIMIT_PATH];
	size_t n = (size_t)(slash - path);

	memcpy(dir, path, n);
	dir[n] = '\0';
	*ret_name = slash + 1;
	return sys_openat2(AT_FDCWD, n ? dir : "/", O_RDONLY | O_DIRECTORY,
			   RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS);
}

/* A directory changes its parent only with the permission to write it. Return: its mode, which is to be put back; or negative errno. */
static int make_movable(int dfd, const char *name)
{
	_cleanup_close_ int fd = openat(dfd, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;
	char path[32];

	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return chmod(path, (st.st_mode & 07777) | 0700) < 0 ? -errno : (int)(st.st_mode & 07777);
}

/* Only on a directory: a run that lives may have put a file in its place, which must not get the set-id bits of one. */
static void put_mode(int dfd, const char *name, int mode)
{
	_cleanup_close_ int fd = openat(dfd, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	char path[32];

	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (fd >= 0)
		(void)chmod(path, (mode_t)mode); /* it stays as it can be moved back */
}

/* A name leaves its directory only with the permission to write that. Return: the mode to be put back, or -1: there is nothing to do, or nothing that helps. */
static int let_write(int dir)
{
	struct stat st;

	if (fstat(dir, &st) < 0 || st.st_uid != geteuid() || (st.st_mode & 0700) == 0700 ||
	    fchmod(dir, (st.st_mode & 07777) | 0700) < 0)
		return -1;
	return (int)(st.st_mode & 07777);
}

/*
 * From another file system only when nobody writes any more (@lives: the run does): what is made between copy and removal would be lost.
 * Return: 0; 1 when something stayed that can't be removed; or negative errno, and the original is whole.
 */
static int move_now(int from, const char *name, int to, const char *to_name, bool lives)
{
	char id[GUARD_ID + 1], part[32 + GUARD_ID];
	int mode, r = rename_new(from, name, to, to_name);

	if (r == -EACCES && (mode = make_movable(from, name)) >= 0) {
		r = rename_new(from, name, to, to_name);
		if (r != -EXDEV)
			put_mode(r == 0 ? to : from, r == 0 ? to_name : name, mode);
	}
	if (r != -EXDEV || lives)
		return r;
	/* where it is restored to, a name that nobody has */
	r = store_id(id);
	if (r < 0)
		return r;
	(void)snprintf(part, sizeof(part), ".bailey-part-%s", id);
	r = tree_copy(from, name, to, part);
	if (r == -EEXIST)
		return r;
	if (r == 0)
		r = rename_new(to, part, to, to_name);
	if (r < 0) {
		(void)tree_remove(to, part); /* the original is whole */
		return r;
	}
	/* from here on the copy is the one that counts: what can't be removed stays beside it */
	return tree_remove(from, name) < 0;
}

static int move(int from, const char *name, int to, const char *to_name, bool lives)
{
	const int mode = lives ? -1 : let_write(from);
	const int r = move_now(from, name, to, to_name, lives);

	if (mode >= 0)
		(void)fchmod(from, (mode_t)mode); /* it stays as its owner can write it */
	return r;
}

static int write_meta(int dir, const char *run, const char *path, const char *what)
{
	_cleanup_close_ int fd = openat(dir, "meta", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	struct buf b = BUF_INIT(LIMIT_PATH + 512);
	int r;

	if (fd < 0)
		return -errno;
	buf_printf(&b, VERSION "%c%lld%c%s%c%s%c", 0, (long long)time(NULL), 0, run, 0, what, 0);
	buf_add(&b, path, strlen(path) + 1);
	r = b.failed ? -ENOMEM : fd_write_all(fd, b.data, b.len);
	buf_done(&b);
	return r;
}

int quarantine_put(int state, const char *run, const char *path, const char *what, bool lives,
		   char ret_id[GUARD_ID + 1])
{
	_cleanup_close_ int store = -1, dir = -1, parent = -1;
	const char *name;
	int r;

	parent = open_parent(path, &name);
	if (parent < 0)
		return parent == -ENOTDIR || parent == -ELOOP ? -ENOENT : parent;
	if (mkdirat(state, DIR_NAME, 0700) < 0 && errno != EEXIST)
		return -errno;
	store = openat(state, DIR_NAME, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (store < 0)
		return -errno;
	r = store_id(ret_id);
	if (r < 0)
		return r;
	if (mkdirat(store, ret_id, 0700) < 0)
		return -errno;
	dir = openat(store, ret_id, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	r = dir < 0 ? -errno : write_meta(dir, run, path, what);
	if (r == 0)
		r = move(parent, name, dir, "item", lives);
	if (r < 0)
		(void)tree_remove(store,
				  ret_id); /* there is nothing in it that is not where it was */
	return r;
}

/* Return: 1; 0 when it is what a kill left, or no record; negative errno. */
static int read_one(int store, const char *id, struct arena *arena, struct quarantined *q)
{
	_cleanup_close_ int dir =
		openat(store, id, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	_cleanup_close_ int fd =
		dir < 0 ? -1 : openat(dir, "meta", O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	struct buf b = BUF_INIT(LIMIT_PATH + 512);
	const char *version, *run, *what, *path;
	struct stat st;
	struct fields f;
	int r = 0;

	if (fd < 0 || fstatat(dir, "item", &st, AT_SYMLINK_NOFOLLOW) < 0 ||
	    fd_read_all(fd, &b) < 0 || !b.data) {
		buf_done(&b);
		return 0;
	}
	f = (struct fields){ .at = b.data, .end = b.data + b.len };
	version = fields_next(&f);
	q->when = fields_int(&f);
	run = fields_next(&f);
	what = fields_next(&f);
	path = fields_next(&f);
	if (path && strcmp(version, VERSION) == 0 && store_id_ok(run) && path[0] == '/') {
		memcpy(q->id, id, sizeof(q->id));
		memcpy(q->run, run, sizeof(q->run));
		q->path = arena_strdup(arena, path);
		q->what = arena_strdup(arena, what);
		q->type = S_ISREG(st.st_mode) ? 'f' :
			  S_ISDIR(st.st_mode) ? 'd' :
			  S_ISLNK(st.st_mode) ? 'l' :
						'?';
		q->size = S_ISREG(st.st_mode) ? (uint64_t)st.st_size : 0;
		r = q->path && q->what ? 1 : -ENOMEM;
	}
	buf_done(&b);
	return r;
}

/* The newest first. */
static int compare(const void *a, const void *b)
{
	const struct quarantined *x = a, *y = b;

	if (x->when != y->when)
		return x->when < y->when ? 1 : -1;
	return strcmp(x->path, y->path);
}

static int read_all(int store, struct arena *arena, struct quarantined *all, size_t *n)
{
	SYS_DIRENT_ALIGN char buf[8192];
	const struct sys_dirent *d;
	long got = 0, o;
	int r = 0;

	while (r >= 0 && (got = sys_getdents(store, buf, sizeof(buf))) > 0) {
		for (o = 0; r >= 0 && (d = sys_dirent_next(buf, got, &o));) {
			if (*n < LIMIT_QUARANTINED && store_id_ok(d->name))
				r = read_one(store, d->name, arena, &all[*n]);
			else
				r = 0;
			*n += r == 1;
		}
	}
	if (got < 0)
		return (int)got;
	return r < 0 ? r : 0;
}

static int list(int store, struct arena *arena, struct quarantined **ret, size_t *ret_n)
{
	int r;

	*ret = arena_alloc(arena, LIMIT_QUARANTINED * sizeof(**ret));
	r = *ret ? read_all(store, arena, *ret, ret_n) : -ENOMEM;
	if (r == 0)
		qsort(*ret, *ret_n, sizeof(**ret), compare);
	return r;
}

int quarantine_list(const char *state_dir, struct arena *arena, struct quarantined **ret,
		    size_t *ret_n, struct err *e)
{
	_cleanup_close_ int store = store_open(state_dir, DIR_NAME, false);
	int r;

	*ret = NULL;
	*ret_n = 0;
	if (store == -ENOENT)
		return 0;
	r = store < 0 ? store : list(store, arena, ret, ret_n);
	return r < 0 ? err_sys(e, r, "%s/" DIR_NAME, state_dir) : 0;
}

static bool reported(const struct guard_report *rep, const char *id)
{
	size_t i;

	for (i = 0; i < rep->n; i++) {
		if (rep->moved[i].id && strcmp(rep->moved[i].id, id) == 0)
			return true;
	}
	return false;
}

void quarantine_add_to(int state, const char *run, int64_t start, struct guard_report *rep)
{
	_cleanup_close_ int store =
		openat(state, DIR_NAME, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct quarantined *all = NULL;
	struct stat st;
	size_t n = 0, i;

	/* most runs make nothing that must be moved */
	if (store < 0 || fstat(store, &st) < 0 ||
	    st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec < start ||
	    list(store, rep->arena, &all, &n) < 0)
		return;
	if (!rep->moved)
		rep->moved = arena_alloc(rep->arena, LIMIT_PROTECTED * sizeof(*rep->moved));
	for (i = n; rep->moved && i-- > 0;) { /* the oldest first */
		if (strcmp(all[i].run, run) == 0 && !reported(rep, all[i].id) &&
		    rep->n < LIMIT_PROTECTED)
			rep->moved[rep->n++] = (struct guard_moved){ .path = all[i].path,
								     .what = all[i].what,
								     .id = all[i].id };
	}
}

static int open_one(const char *state_dir, const char *id, struct err *e)
{
	_cleanup_close_ int store = store_open(state_dir, DIR_NAME, false);
	int fd = store < 0 ? store :
			     openat(store, id, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0)
		return err_sys(e, store < 0 ? store : -errno, "quarantine '%s'", id);
	return fd;
}

int quarantine_open(const char *state_dir, const char *id, struct err *e)
{
	_cleanup_close_ int dir = open_one(state_dir, id, e);
	struct stat st;
	int fd;

	if (dir < 0)
		return dir;
	if (fstatat(dir, "item", &st, AT_SYMLINK_NOFOLLOW) < 0)
		return err_sys(e, -errno, "quarantine '%s'", id);
	fd = openat(dir, "item",
		    O_CLOEXEC | O_NOFOLLOW |
			    (S_ISREG(st.st_mode) || S_ISDIR(st.st_mode) ? O_RDONLY | O_NONBLOCK :
									  O_PATH));
	return fd < 0 ? err_sys(e, -errno, "quarantine '%s'", id) : fd;
}

int quarantine_restore(const char *state_dir, const struct quarantined *q, const char *to,
		       struct err *e)
{
	const char *path = to ? to : q->path, *name;
	_cleanup_close_ int dir = open_one(state_dir, q->id, e), parent = -1;
	int r;

	if (dir < 0)
		return dir;
	parent = open_parent(path, &name);
	if (parent < 0)
		return err_sys(e, parent, "the directory of '%s'", path);
	r = move(dir, "item", parent, name, false);
	if (r == -EEXIST)
		return err_set(e, ERR_USAGE, r,
			       "'%s': there is something of that name; move it away, or use --to",
			       path);
	if (r < 0)
		return err_sys(e, r, "'%s'", path);
	return quarantine_remove(state_dir, q->id, e);
}

int quarantine_remove(const char *state_dir, const char *id, struct err *e)
{
	_cleanup_close_ int store = store_open(state_dir, DIR_NAME, false);
	int r = store < 0 ? store : tree_remove(store, id);

	return r < 0 ? err_sys(e, r, "quarantine '%s'", id) : 0;
}
