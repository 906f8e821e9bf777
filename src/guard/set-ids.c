/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. In a sandbox with a root inside, modes can be set that make a program run as its owner. In a workspace that owner is one of the
 * host's ids, so they are taken away when it ends. A change of mode can't be hidden: it is a time of change that nobody can set. The tree is as deep as
 * the sandbox liked: one directory is open at a time, the way back is ".." and must lead to where we came from. A directory that our own power does not
 * open is entered as its owner and group, who may be somebody inside; as long as it is the open one, files are looked at as them.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/stat.h>
#include <unistd.h>

#include "guard.h"

/* As whom files are looked at. */
struct who {
	uid_t uid;
	gid_t gid;
};

struct level {
	struct who who;
	dev_t dev;
	ino_t ino;
	off_t at; /* where the listing goes on */
	bool group;
};

struct walk {
	int64_t since;
	struct guard_set_ids *found;
	int dir; /* the one that is listed */
	struct who own, now;
	struct level *levels;
	size_t n, size;
	int error; /* the first */
};

static void note(struct walk *w, int error)
{
	if (!w->error)
		w->error = error;
}

/* Ids that nobody inside has change nothing. */
static void become(struct walk *w, struct who who)
{
	if (w->now.uid == who.uid && w->now.gid == who.gid)
		return;
	(void)setfsgid(who.gid);
	(void)setfsuid(who.uid);
	w->now = who;
}

/*
 * Power over a file needs both of its ids in our namespace; its owner needs none. Return: 1; 0: not even its owner's id lets us, so that who is inside could not
 * have set this mode either; negative errno.
 */
static int take(struct walk *w, const char *path, mode_t mode, uid_t owner)
{
	const struct who before = w->now;
	int r;

	become(w, w->own);
	r = chmod(path, mode) < 0 ? -errno : 1;
	if (r == -EPERM) {
		become(w, (struct who){ owner, w->own.gid });
		r = chmod(path, mode) == 0 ? 1 : errno == EPERM ? 0 : -errno;
	}
	become(w, before);
	return r;
}

/* @st of @name in the open directory: take what it must not have. */
static void judge(struct walk *w, const char *name, const struct stat *st)
{
	const bool group = w->n && w->levels[w->n - 1].group;
	struct statx born = { .stx_mask = 0 };
	mode_t bad = st->st_mode & (S_ISUID | S_ISGID);
	_cleanup_close_ int fd = -1;
	struct stat now;
	char proc[32];
	int r;

	/* a directory changes with every name in it, and its mode executes nothing: only a new one is known to be the sandbox's */
	if (S_ISDIR(st->st_mode) &&
	    (group || !bad || sys_statx(w->dir, name, AT_SYMLINK_NOFOLLOW, &born) < 0 ||
	     !(born.stx_mask & STATX_BTIME) || born.stx_btime.tv_sec < w->since))
		bad = 0;
	if (!bad || S_ISLNK(st->st_mode) || st->st_ctime < w->since)
		return;
	fd = openat(w->dir, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &now) < 0 || now.st_ino != st->st_ino || now.st_dev != st->st_dev)
		return; /* it has gone meanwhile */
	(void)snprintf(proc, sizeof(proc), "/proc/self/fd/%d", fd);
	r = take(w, proc, now.st_mode & 07777 & ~bad, now.st_uid);
	if (r < 0)
		note(w, r);
	else if (r > 0 && w->found->n++ == 0)
		(void)snprintf(w->found->first, sizeof(w->found->first), "%s", name);
}

/* The directory at @fd, which was only named until now; it becomes the open one, as whom is left in w->now. Return: fd or negative errno. */
static int open_named(struct walk *w, int fd, struct who who)
{
	int dir;

	become(w, who);
	dir = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return dir < 0 ? -errno : dir;
}

/* The same, as whoever is let in. Return: fd; -EACCES: nobody inside is; other negative errno. */
static int enter(struct walk *w, int named)
{
	struct stat st;
	char proc[32];
	int fd = open_named(w, named, w->own);

	if (fd != -EACCES || fstat(named, &st) < 0)
		return fd;
	fd = open_named(w, named, (struct who){ st.st_uid, st.st_gid });
	if (fd != -EACCES)
		return fd;
	(void)snprintf(proc, sizeof(proc), "/proc/self/fd/%d", named);
	/* whose it is could let itself in again */
	return take(w, proc, st.st_mode & 07777, st.st_uid) > 0 ? -EPERM : fd;
}

static int push(struct walk *w, int fd)
{
	struct level *levels;
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (w->n == w->size) {
		w->size = w->size ? 2 * w->size : 64;
		levels = realloc(w->levels, w->size * sizeof(*levels));
		if (!levels)
			return -ENOMEM;
		w->levels = levels;
	}
	w->levels[w->n++] = (struct level){
		.who = w->now, .dev = st.st_dev, .ino = st.st_ino, .group = st.st_mode & S_ISGID
	};
	w->dir = fd;
	return 0;
}

/* @name can't be entered: @error. */
static void pass(struct walk *w, const char *name, int error)
{
	if (error != -EACCES)
		note(w, error);
	else if (w->found->closed++ == 0)
		(void)snprintf(w->found->first_closed, sizeof(w->found->first_closed), "%s", name);
}

/* Into @name; what can't be opened is noted. Return: whether it was; negative errno. */
static int descend(struct walk *w, const char *name, off_t next)
{
	const struct who before = w->now;
	_cleanup_close_ int named =
		openat(w->dir, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	int fd, old = w->dir, r;

	if (named < 0) {
		if (errno != ENOENT && errno != ENOTDIR) /* it has gone meanwhile */
			note(w, -errno);
		return 0;
	}
	fd = enter(w, named);
	if (fd < 0) {
		become(w, before);
		pass(w, name, fd);
		return 0;
	}
	w->levels[w->n - 1].at = next;
	r = push(w, fd);
	if (r < 0)
		(void)close(fd);
	else
		(void)close(old);
	return r < 0 ? r : 1;
}

/* Back to the parent. */
static int ascend(struct walk *w)
{
	const struct level *to = w->levels ? &w->levels[w->n - 2] : NULL;
	_cleanup_close_ int named = openat(w->dir, "..", O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct stat st;
	int fd;

	if (named < 0 || !to)
		return named < 0 ? -errno : -ESTALE;
	fd = open_named(w, named, to->who);
	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0 || st.st_ino != to->ino || st.st_dev != to->dev ||
	    lseek(fd, to->at, SEEK_SET) < 0) {
		(void)close(fd);
		return -ESTALE; /* somebody moved it */
	}
	(void)close(w->dir);
	w->dir = fd;
	w->n--;
	return 0;
}

/* One look at the listing of the open directory. Return: 1: there may be more to see; 0: it is over; negative errno. */
static int step(struct walk *w)
{
	SYS_DIRENT_ALIGN char buf[16384];
	const struct sys_dirent *d;
	struct stat st;
	long n = sys_getdents(w->dir, buf, sizeof(buf)), o = 0;
	int r;

	if (n < 0)
		return (int)n;
	if (n == 0)
		return w->n == 1 ? 0 : (r = ascend(w)) < 0 ? r : 1;
	while ((d = sys_dirent_next(buf, n, &o))) {
		if (strcmp(d->name, ".") == 0 || strcmp(d->name, "..") == 0)
			continue;
		if (fstatat(w->dir, d->name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			continue; /* it has gone meanwhile */
		judge(w, d->name, &st);
		if (!S_ISDIR(st.st_mode))
			continue;
		r = descend(w, d->name, (off_t)d->off);
		if (r != 0)
			return r;
	}
	return 1;
}

int guard_set_ids(const char *dir, int64_t since, struct guard_set_ids *ret)
{
	/* an id that there is none of is not taken: what it is now is returned */
	const struct who own = { (uid_t)setfsuid((uid_t)-1), (gid_t)setfsgid((gid_t)-1) };
	struct walk w = { .since = since, .found = ret, .dir = AT_FDCWD, .own = own, .now = own };
	_cleanup_close_ int named = -1;
	struct stat st;
	bool in;
	int fd, r;

	if (lstat(dir, &st) < 0)
		return errno == ENOENT ? 0 : -errno;
	judge(&w, dir, &st);
	if (!S_ISDIR(st.st_mode))
		return w.error;
	named = open(dir, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	fd = named < 0 ? -errno : enter(&w, named);
	r = fd < 0 ? fd : push(&w, fd);
	in = r == 0;
	if (!in) {
		cleanup_close(&fd);
		pass(&w, dir, r);
	}
	while (r == 0 && (r = step(&w)) == 1)
		r = 0;
	become(&w, own);
	cleanup_close(&w.dir);
	free(w.levels);
	/* who was let in and can't go on has not seen all, whatever the reason */
	return in && r < 0 ? r : w.error;
}
