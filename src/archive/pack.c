/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A tree to a stream. The one who writes the tree may be at work in it: a file is what was opened, of the size that it had then, and no name below the top is followed
 * when it is a link.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "archive.h"

#define FLUSH 65536u /* bytes that are written at a time */

struct packing {
	const struct archive_pack *p;
	int out;
	struct buf b; /* on its way out */
	struct tar_entry entry;
	unsigned int depth;
};

static int flush(struct packing *k, struct err *e)
{
	int r = k->b.failed ? -ENOMEM : fd_write_all(k->out, k->b.data, k->b.len);

	k->b.len = 0;
	return r < 0 ? err_sys(e, r, "the archive") : 0;
}

static int room(struct packing *k, struct err *e)
{
	return k->b.len < FLUSH ? 0 : flush(k, e);
}

static void leave_out(struct packing *k, const char *path, const char *why)
{
	if (k->p->left_out)
		k->p->left_out(k->p->arg, path, why);
}

/* Attributes of the user; a file system without any has none. */
static int take_xattrs(struct packing *k, int fd, struct err *e)
{
	char names[LIMIT_ARCHIVE_XATTRS], *name;
	char *value;
	ssize_t n = flistxattr(fd, names, sizeof(names)), len;
	int r = 0;

	if (n < 0 && errno == ERANGE)
		return err_set(e, ERR_SYSTEM, -E2BIG, "'%.150s': it has too many attributes",
			       k->entry.path);
	value = n > 0 ? malloc(LIMIT_ARCHIVE_XATTRS) : NULL;
	for (name = names; r == 0 && value && name < names + n; name += strlen(name) + 1) {
		if (!tar_xattr_ok(name))
			continue;
		len = fgetxattr(fd, name, value, LIMIT_ARCHIVE_XATTRS);
		if (len >= 0 && tar_xattr_add(&k->entry, name, value, (size_t)len) < 0)
			r = err_set(e, ERR_SYSTEM, -E2BIG,
				    "'%.150s': it has more than %u bytes of attributes",
				    k->entry.path, LIMIT_ARCHIVE_XATTRS);
	}
	free(value);
	return r;
}

static int begin(struct packing *k, const char *path, const struct stat *st, enum tar_type type,
		 struct err *e)
{
	tar_entry_done(&k->entry);
	tar_entry_init(&k->entry);
	if (strlen(path) >= LIMIT_PATH)
		return err_set(e, ERR_SYSTEM, -ENAMETOOLONG, "'%.150s…': the name is too long",
			       path);
	memcpy(k->entry.path, path, strlen(path) + 1);
	k->entry.type = type;
	k->entry.mode = st->st_mode & 01777;
	k->entry.uid = k->p->ids.given && st->st_uid == geteuid() ? k->p->ids.uid : st->st_uid;
	k->entry.gid = k->p->ids.given && st->st_gid == getegid() ? k->p->ids.gid : st->st_gid;
	k->entry.mtime = st->st_mtim;
	k->entry.size = type == TAR_FILE ? (uint64_t)st->st_size : 0;
	return 0;
}

static int put_data(struct packing *k, int fd, uint64_t size, struct err *e)
{
	static const char zeros[TAR_BLOCK];
	static char part[FLUSH]; /* one process, one thread */
	uint64_t left = size;
	ssize_t n;
	int r = flush(k, e);

	while (r == 0 && left > 0) {
		n = read(fd, part, left < sizeof(part) ? (size_t)left : sizeof(part));
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(e, -errno, "'%.150s'", k->entry.path);
		if (n == 0) { /* it was cut meanwhile; its length was said */
			memset(part, 0, sizeof(part));
			n = (ssize_t)(left < sizeof(part) ? left : sizeof(part));
		}
		r = fd_write_all(k->out, part, (size_t)n);
		if (r < 0)
			return err_sys(e, r, "the archive");
		left -= (uint64_t)n;
	}
	buf_add(&k->b, zeros, -size & (TAR_BLOCK - 1));
	return r;
}

static int pack_link(struct packing *k, int dir, const char *name, const char *path,
		     const struct stat *st, struct err *e)
{
	int r = begin(k, path, st, TAR_SYMLINK, e);
	ssize_t n;

	if (r < 0)
		return r;
	n = readlinkat(dir, name, k->entry.link, LIMIT_PATH - 1);
	if (n <= 0)
		return err_sys(e, n ? -errno : -EINVAL, "'%.150s'", path);
	k->entry.link[n] = '\0';
	tar_header(&k->entry, &k->b);
	return room(k, e);
}

static int pack_one(struct packing *k, int dir, const char *name, const char *path, bool follow,
		    struct err *e);

/* @fd: taken */
static int pack_names(struct packing *k, int fd, const char *path, struct err *e)
{
	char below[LIMIT_PATH];
	struct entries names;
	size_t i;
	int r = entries_read(fd, LIMIT_ARCHIVE_ENTRIES, &names);

	if (r < 0)
		r = err_sys(e, r, "'%.150s'", path);
	if (r == 0 && k->depth == LIMIT_TREE_DEPTH)
		r = err_set(e, ERR_SYSTEM, -ELOOP,
			    "'%.150s': more than %d directories inside each other", path,
			    LIMIT_TREE_DEPTH);
	k->depth++;
	for (i = 0; r == 0 && i < names.n; i++) {
		if (snprintf(below, sizeof(below), "%s/%s", path, names.v[i]) >= (int)sizeof(below))
			r = err_set(e, ERR_SYSTEM, -ENAMETOOLONG, "'%.150s…': the name is too long",
				    path);
		else
			r = pack_one(k, fd, names.v[i], below, false, e);
	}
	k->depth--;
	entries_done(&names);
	(void)close(fd);
	return r;
}

static int pack_open(struct packing *k, int fd, const char *path, const struct stat *st,
		     struct err *e)
{
	const bool dir = S_ISDIR(st->st_mode);
	int r = begin(k, path, st, dir ? TAR_DIR : TAR_FILE, e);

	if (r == 0)
		r = take_xattrs(k, fd, e);
	if (r < 0) {
		(void)close(fd);
		return r;
	}
	tar_header(&k->entry, &k->b);
	r = room(k, e);
	if (r == 0 && dir)
		return pack_names(k, fd, path, e);
	if (r == 0)
		r = put_data(k, fd, k->entry.size, e);
	(void)close(fd);
	return r;
}

static int pack_one(struct packing *k, int dir, const char *name, const char *path, bool follow,
		    struct err *e)
{
	struct stat st;
	int fd;

	if (fstatat(dir, name, &st, follow ? 0 : AT_SYMLINK_NOFOLLOW) < 0)
		/* what has gone since it was listed is no part of the tree */
		return errno == ENOENT && k->depth ? 0 : err_sys(e, -errno, "'%.150s'", path);
	if (S_ISLNK(st.st_mode))
		return pack_link(k, dir, name, path, &st, e);
	if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode)) {
		const char *what = S_ISSOCK(st.st_mode) ? "a socket" :
				   S_ISFIFO(st.st_mode) ? "a FIFO" :
							  "a device";

		if (!k->depth)
			return err_set(e, ERR_USAGE, -EOPNOTSUPP, "'%.150s': %s can't be copied",
				       path, what);
		leave_out(k, path, what);
		return 0;
	}
	/* it may be something else by now: then nothing waits, and nothing is followed */
	fd = openat(dir, name,
		    O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC | (follow ? 0 : O_NOFOLLOW));
	if (fd < 0)
		return errno == ENOENT && k->depth ? 0 : err_sys(e, -errno, "'%.150s'", path);
	if (fstat(fd, &st) < 0 || (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode))) {
		(void)close(fd);
		leave_out(k, path, "it was replaced meanwhile");
		return 0;
	}
	return pack_open(k, fd, path, &st, e);
}

/* "a/b" is the name "b"; what ends in "." or ".." is the directory itself, as the top. @name: LIMIT_PATH bytes */
static const char *top_of(const char *path, char *name)
{
	size_t n = strlen(path), from;

	while (n > 1 && path[n - 1] == '/')
		n--;
	for (from = n; from > 0 && path[from - 1] != '/'; from--)
		;
	(void)snprintf(name, LIMIT_PATH, "%.*s", (int)(n - from), path + from);
	return !*name || strcmp(name, ".") == 0 || strcmp(name, "..") == 0 ? "." : name;
}

int archive_pack(const struct archive_pack *p, int out, struct err *e)
{
	static const char end[2 * TAR_BLOCK];
	struct packing k = { .p = p, .out = out, .b = BUF_INIT(4u << 20) };
	char name[LIMIT_PATH];
	const size_t n = strlen(p->path);
	int r;

	if (n == 0 || n >= LIMIT_PATH)
		return err_set(e, ERR_USAGE, n ? -ENAMETOOLONG : -EINVAL, "'%.100s': no such path",
			       p->path);
	tar_entry_init(&k.entry);
	/* a slash at the end means what the link leads to, as everywhere */
	r = pack_one(&k, AT_FDCWD, p->path, top_of(p->path, name), p->follow, e);
	if (r == 0)
		buf_add(&k.b, end, sizeof(end));
	if (r == 0)
		r = flush(&k, e);
	tar_entry_done(&k.entry);
	buf_done(&k.b);
	return r;
}
