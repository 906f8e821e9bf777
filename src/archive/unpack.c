/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A stream to files. Names are walked from one open directory, one by one, and none is followed: a link that the stream has made, or that somebody makes meanwhile, is an
 * error and never a way. A file is whole before it has its name. What a directory's mode and times shall be is done at the end: before, it must be written.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "archive.h"

#define PART 65536u

/* A directory whose mode and times come last. */
struct late {
	char *path;
	mode_t mode;
	uint32_t uid, gid;
	struct timespec mtime;
};

struct unpacking {
	const struct archive_unpack *u;
	struct tar_in in;
	int base;
	bool begun, made;       /* made: the base is ours */
	bool strip;             /* the first name of each path is the base itself */
	char top[256], as[256]; /* the first name of all; "": any. What it becomes; "": it stays */
	struct late *late;
	size_t n_late, size_late, bytes_late;
};

static int read_exact(void *arg, void *p, size_t n)
{
	const int fd = *(const int *)arg;
	size_t got = 0;
	ssize_t r;

	while (got < n) {
		r = read(fd, (char *)p + got, n - got);
		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0)
			return -errno;
		if (r == 0)
			return got ? -EBADMSG : -ENODATA;
		got += (size_t)r;
	}
	return 0;
}

static int fail(struct err *e, int r, const char *path)
{
	if (r == -ELOOP || r == -ENOTDIR)
		return err_set(e, ERR_SYSTEM, r,
			       "'%.150s': a directory on the way is a link or a file there", path);
	return err_sys(e, r, "'%.150s'", path);
}

/* The directory that holds @path, made if need be; @ret_name: the last name. Return: fd or negative errno. */
static int open_parent(int base, const char *path, const char **ret_name)
{
	char part[256];
	int fd = openat(base, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), next;
	size_t n;

	if (fd < 0)
		return -errno;
	for (; strchr(path, '/'); path += n + 1) {
		n = strcspn(path, "/");
		if (n >= sizeof(part)) {
			(void)close(fd);
			return -ENAMETOOLONG;
		}
		memcpy(part, path, n);
		part[n] = '\0';
		if (mkdirat(fd, part, 0777) < 0 && errno != EEXIST)
			next = -errno;
		else
			next = openat(fd, part, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (next == -1)
			next = -errno;
		(void)close(fd);
		if (next < 0)
			return next;
		fd = next;
	}
	*ret_name = path;
	return fd;
}

/* Give what @fd is, or @name there, to @uid and @gid, if that is wanted. Return: 0 or negative errno. */
static int set_owner(const struct unpacking *k, int fd, const char *name, uint32_t uid,
		     uint32_t gid)
{
	const struct archive_ids *ids = &k->u->ids;

	if (!k->u->owner)
		return 0;
	uid = ids->given && uid == ids->uid ? geteuid() : uid;
	gid = ids->given && gid == ids->gid ? getegid() : gid;
	return fchownat(fd, name, uid, gid, AT_SYMLINK_NOFOLLOW | (*name ? 0 : AT_EMPTY_PATH)) < 0 ?
		       -errno :
		       0;
}

static void set_xattrs(int fd, const struct tar_entry *t)
{
	const char *name;
	const void *value;
	size_t at = 0, n;

	/* a file system that has none keeps none, as with every copy */
	while (tar_xattr_next(t, &at, &name, &value, &n))
		(void)fsetxattr(fd, name, value, n, 0);
}

static int set_times(int fd, const struct timespec *mtime)
{
	const struct timespec times[2] = { { .tv_nsec = UTIME_NOW }, *mtime };

	return futimens(fd, times) < 0 ? -errno : 0;
}

static int temporary(char out[40])
{
	unsigned char raw[8];
	size_t i;

	if (getrandom(raw, sizeof(raw), 0) != (ssize_t)sizeof(raw))
		return -EIO;
	(void)snprintf(out, 40, ".bailey-cp-");
	for (i = 0; i < sizeof(raw); i++)
		(void)snprintf(out + strlen(out), 40 - strlen(out), "%02x", raw[i]);
	return 0;
}

static bool is_zero(const char *p, size_t n)
{
	return p[0] == 0 && memcmp(p, p + 1, n - 1) == 0;
}

/* What is nothing but zeros stays a hole. */
static int put_data(struct unpacking *k, int fd, const struct tar_entry *t, struct err *e)
{
	static char part[PART]; /* one process, one thread */
	ssize_t n;
	int r = 0;

	while (r == 0 && (n = tar_data(&k->in, part, sizeof(part), e)) != 0) {
		if (n < 0)
			return (int)n;
		if (is_zero(part, (size_t)n))
			r = lseek(fd, n, SEEK_CUR) < 0 ? -errno : 0;
		else
			r = fd_write_all(fd, part, (size_t)n);
	}
	if (r == 0 && ftruncate(fd, (off_t)t->size) < 0)
		r = -errno;
	return r < 0 ? err_sys(e, r, "'%.150s'", t->path) : 0;
}

/* Give what is whole its name. */
static int put_name(int dir, const char *temp, const char *name, const char *path, struct err *e)
{
	if (renameat(dir, temp, dir, name) == 0)
		return 0;
	return errno == EISDIR || errno == ENOTEMPTY || errno == EEXIST ?
		       err_set(e, ERR_SYSTEM, -EISDIR, "'%.150s': a directory stands there", path) :
		       err_sys(e, -errno, "'%.150s'", path);
}

static int make_file(struct unpacking *k, int dir, const char *temp, const struct tar_entry *t,
		     struct err *e)
{
	_cleanup_close_ int fd =
		openat(dir, temp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	int r = fd < 0 ? -errno : 0;

	if (r < 0)
		return err_sys(e, r, "'%.150s'", t->path);
	r = put_data(k, fd, t, e);
	if (r < 0)
		return r;
	r = set_owner(k, fd, "", t->uid, t->gid);
	set_xattrs(fd, t);
	if (r == 0 && fchmod(fd, t->mode & 0777) < 0)
		r = -errno;
	if (r == 0)
		r = set_times(fd, &t->mtime);
	return r < 0 ? err_sys(e, r, "'%.150s'", t->path) : 0;
}

static int make_symlink(struct unpacking *k, int dir, const char *temp, const struct tar_entry *t,
			struct err *e)
{
	const struct timespec times[2] = { { .tv_nsec = UTIME_NOW }, t->mtime };

	int r = symlinkat(t->link, dir, temp) < 0 ? -errno :
						    set_owner(k, dir, temp, t->uid, t->gid);

	if (r < 0)
		return err_sys(e, r, "'%.150s'", t->path);
	(void)utimensat(dir, temp, times, AT_SYMLINK_NOFOLLOW); /* some file systems can't */
	return 0;
}

static int make_hardlink(struct unpacking *k, int dir, const char *temp, const struct tar_entry *t,
			 struct err *e)
{
	_cleanup_close_ int from = -1;
	const char *name = t->link;

	if (!k->u->hard)
		return err_set(e, ERR_USAGE, -EOPNOTSUPP,
			       "'%.150s': a hard link, which no sandbox sends", t->path);
	from = open_parent(k->base, t->link, &name);
	if (from < 0)
		return fail(e, from, t->link);
	return linkat(from, name, dir, temp, 0) < 0 ? err_sys(e, -errno, "'%.150s'", t->path) : 0;
}

static int keep_late(struct unpacking *k, const char *path, const struct tar_entry *t,
		     struct err *e)
{
	struct late *v;

	if (k->n_late == k->size_late) {
		k->size_late = k->size_late ? 2 * k->size_late : 64;
		v = realloc(k->late, k->size_late * sizeof(*v));
		if (!v)
			return err_set(e, ERR_SYSTEM, -ENOMEM, "out of memory");
		k->late = v;
	}
	v = &k->late[k->n_late];
	*v = (struct late){ .path = strdup(path),
			    .mode = t->mode,
			    .uid = t->uid,
			    .gid = t->gid,
			    .mtime = t->mtime };
	k->bytes_late += strlen(path) + sizeof(*v);
	if (!v->path || k->bytes_late > LIMIT_ARCHIVE_DIRS) {
		free(v->path);
		return err_set(e, ERR_USAGE, -E2BIG, "too many directories come");
	}
	k->n_late++;
	return 0;
}

static int make_dir(struct unpacking *k, const char *path, const struct tar_entry *t, struct err *e)
{
	const bool base = strcmp(path, ".") == 0;
	const char *name = path;
	_cleanup_close_ int dir = base ? dup(k->base) : open_parent(k->base, path, &name), fd = -1;

	if (dir < 0)
		return fail(e, base ? -errno : dir, path);
	if (base && !k->made)
		return 0; /* what was there stays what it is */
	if (!base && mkdirat(dir, name, 0700) < 0 && errno != EEXIST)
		return fail(e, -errno, path);
	fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return fail(e, -errno, path);
	set_xattrs(fd, t);
	return keep_late(k, path, t, e);
}

static int make_other(struct unpacking *k, const char *path, const struct tar_entry *t,
		      struct err *e)
{
	const char *name = path;
	_cleanup_close_ int dir = open_parent(k->base, path, &name);
	char temp[40];
	int r;

	if (dir < 0)
		return fail(e, dir, path);
	r = temporary(temp);
	if (r < 0)
		return err_sys(e, r, "random numbers");
	r = t->type == TAR_FILE    ? make_file(k, dir, temp, t, e) :
	    t->type == TAR_SYMLINK ? make_symlink(k, dir, temp, t, e) :
				     make_hardlink(k, dir, temp, t, e);
	if (r == 0)
		r = put_name(dir, temp, name, path, e);
	/* also when it has its name: of two links to one file both would stay */
	(void)unlinkat(dir, temp, 0);
	return r;
}

/* --- where to --- */

/* The directory that shall hold the new name of all, which goes to k->as. Return: fd or negative errno with @e. */
static int open_holder(struct unpacking *k, struct err *e)
{
	const char *path = k->u->path;
	size_t n = strlen(path), from;
	char dir[LIMIT_PATH];
	int fd;

	while (k->made && n > 1 && path[n - 1] == '/')
		n--; /* as mkdir */
	for (from = n; from > 0 && path[from - 1] != '/'; from--)
		;
	(void)snprintf(dir, sizeof(dir), "%.*s", (int)(n - from), path + from);
	if (!*dir || strcmp(dir, ".") == 0 || strcmp(dir, "..") == 0)
		return err_set(e, ERR_SYSTEM, -ENOTDIR, "'%.150s': no such directory", path);
	if (strlen(dir) >= sizeof(k->as))
		return err_sys(e, -ENAMETOOLONG, "'%.150s'", path);
	memcpy(k->as, dir, strlen(dir) + 1);
	(void)snprintf(dir, sizeof(dir), "%.*s", from ? (int)from : 1, from ? path : ".");
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return err_sys(e, -errno, "'%.150s'", path);
	if (k->u->named && archive_named(fd, k->as, path, true, e) < 0) {
		(void)close(fd);
		return -EOPNOTSUPP;
	}
	return fd;
}

/* A new directory. It is opened where it was made: what has come in its place meanwhile is not followed. */
static int place_dir(struct unpacking *k, struct err *e)
{
	_cleanup_close_ int dir = -1;

	k->made = true;
	dir = open_holder(k, e);
	if (dir < 0)
		return dir;
	if (mkdirat(dir, k->as, 0700) < 0)
		return errno == EEXIST ?
			       err_set(e, ERR_SYSTEM, -ENOTDIR,
				       "'%.150s': a directory can't take the place of a file",
				       k->u->path) :
			       err_sys(e, -errno, "'%.150s'", k->u->path);
	k->base = openat(dir, k->as, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	k->as[0] = '\0';
	k->strip = k->top[0];
	return k->base < 0 ? err_sys(e, -errno, "'%.150s'", k->u->path) : 0;
}

/* As cp: by what comes first, and what is there. */
static int place(struct unpacking *k, const struct tar_entry *t, struct err *e)
{
	const char *path = k->u->path;

	k->base = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (k->base < 0 && (k->u->into || (errno != ENOENT && errno != ENOTDIR)))
		return err_sys(e, -errno, "'%.150s'", path);
	if (k->base >= 0) {
		if (!k->u->into && strcmp(t->path, ".") != 0)
			(void)snprintf(k->top, sizeof(k->top), "%.255s", t->path);
		return 0;
	}
	(void)snprintf(k->top, sizeof(k->top), "%.255s", strcmp(t->path, ".") ? t->path : "");
	if (t->type == TAR_DIR)
		return place_dir(k, e);
	k->base = open_holder(k, e);
	return k->base < 0 ? k->base : 0;
}

/* Where @path goes below the base. @out: LIMIT_PATH bytes. Return: 0 or negative errno with @e. */
static int target(const struct unpacking *k, const char *path, char *out, struct err *e)
{
	const size_t n = strcspn(path, "/");

	if (k->top[0] && (strlen(k->top) != n || memcmp(k->top, path, n) != 0))
		return err_set(e, ERR_USAGE, -EBADMSG, "'%.150s': it does not belong to '%.50s'",
			       path, k->top);
	if (k->as[0] && path[n])
		return err_set(e, ERR_USAGE, -EBADMSG, "'%.150s': it lies in what is a file", path);
	if (k->as[0])
		(void)snprintf(out, LIMIT_PATH, "%s", k->as);
	else if (k->strip)
		(void)snprintf(out, LIMIT_PATH, "%s", path[n] ? path + n + 1 : ".");
	else
		(void)snprintf(out, LIMIT_PATH, "%s", path);
	return 0;
}

/* What is never made. A stream of a sandbox has none: what sends one is not what we have sent there. */
static int leave_out(const struct unpacking *k, const struct tar_entry *t, struct err *e)
{
	const char *what = t->type == TAR_FIFO ? "a FIFO" : "a device";

	if (!k->u->left_out)
		return err_set(e, ERR_USAGE, -EOPNOTSUPP, "'%.100s': %s can't be copied", t->path,
			       what);
	k->u->left_out(k->u->arg, t->path, what);
	return 0;
}

static int take(struct unpacking *k, const struct tar_entry *t, struct err *e)
{
	char path[LIMIT_PATH];
	const bool special = t->type == TAR_FIFO || t->type == TAR_DEVICE;
	int r = 0;

	if (special && !k->u->left_out)
		return leave_out(k, t, e);
	if (!k->begun)
		r = place(k, t, e);
	k->begun = true;
	if (r == 0)
		r = target(k, t->path, path, e);
	if (r == 0 && special)
		return leave_out(k, t, e);
	if (r == 0 && t->type == TAR_DIR)
		return make_dir(k, path, t, e);
	if (r == 0 && strcmp(path, ".") == 0)
		return err_set(e, ERR_USAGE, -EBADMSG, "the directory itself comes as a file");
	return r < 0 ? r : make_other(k, path, t, e);
}

/* Inner ones first, and each where it still is. */
static int finish(struct unpacking *k, struct err *e)
{
	int r = 0;

	while (k->n_late > 0) {
		struct late *v = &k->late[--k->n_late];
		const char *name = ".";
		const bool base = strcmp(v->path, ".") == 0;
		int dir = base ? dup(k->base) : open_parent(k->base, v->path, &name);
		int fd = dir < 0 ?
				 -1 :
				 openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		int set = fd < 0 ? (dir < 0 ? dir : -errno) : set_owner(k, fd, "", v->uid, v->gid);

		if (set == 0 && fchmod(fd, v->mode & 01777) < 0)
			set = -errno;
		if (set == 0)
			set = set_times(fd, &v->mtime);
		if (r == 0 && set < 0)
			r = err_sys(e, set, "'%.150s'", v->path);
		if (fd >= 0)
			(void)close(fd);
		if (dir >= 0)
			(void)close(dir);
		free(v->path);
	}
	free(k->late);
	return r;
}

int archive_unpack(const struct archive_unpack *u, int in, struct err *e)
{
	struct unpacking k = { .u = u,
			       .base = -1,
			       .in = { .read = read_exact, .arg = &in, .most = u->bytes } };
	struct tar_entry t;
	struct err own = ERR_INIT;
	int r, last;

	if (!*u->path || strlen(u->path) >= LIMIT_PATH)
		return err_set(e, ERR_USAGE, -EINVAL, "'%.100s': no such path", u->path);
	tar_entry_init(&t);
	while ((r = tar_next(&k.in, &t, e)) == 1) {
		r = take(&k, &t, e);
		if (r < 0)
			break;
	}
	last = finish(&k, r < 0 ? &own : e);
	cleanup_close(&k.base);
	tar_entry_done(&t);
	return r < 0 ? r : last;
}
