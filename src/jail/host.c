/* SPDX-License-Identifier: Apache-2.0 */
#include "host.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MOUNTINFO "/proc/self/mountinfo"
#define CHILDREN_MAX \
	256 /* more children than this are not taken apart; --explain shows that the directory stays as it is */

/* NULL: errno says why. */
static const struct stat *look(struct jail_host_ctx *ctx, const char *path)
{
	if (strcmp(ctx->last, path) != 0) {
		memcpy(ctx->last, path, strlen(path) + 1);
		ctx->error = lstat(path, &ctx->st) < 0 ? errno : 0;
	}
	errno = ctx->error;
	return ctx->error ? NULL : &ctx->st;
}

static enum jail_type host_type(void *ctx, const char *path)
{
	const struct stat *st = look(ctx, path);

	if (!st)
		return errno == ENOENT || errno == ENOTDIR ? JAIL_ABSENT : JAIL_UNREACHABLE;
	if (S_ISDIR(st->st_mode))
		return JAIL_DIR;
	return S_ISLNK(st->st_mode) ? JAIL_SYMLINK : JAIL_FILE;
}

static mode_t host_mode(void *ctx, const char *path)
{
	const struct stat *st = look(ctx, path);

	return st ? st->st_mode & 07777 : 0;
}

/*
 * Judged by the id that the command will have, not by the launcher's. Group and other bits are both looked at (supplementary groups), so that
 * the answer errs towards "searchable", which costs one overlay.
 */
static bool host_searchable(void *vctx, const char *path)
{
	struct jail_host_ctx *ctx = vctx;
	const struct stat *st = look(ctx, path);

	if (!st)
		return false;
	return st->st_uid == ctx->uid || (st->st_mode & (S_IXGRP | S_IXOTH));
}

/* Undo the octal escapes of mountinfo, in place. */
static void unescape(char *s)
{
	char *out = s;

	while (*s) {
		if (s[0] == '\\' && s[1] >= '0' && s[1] <= '3' && s[2] >= '0' && s[2] <= '7' &&
		    s[3] >= '0' && s[3] <= '7') {
			*out++ = (char)((s[1] - '0') * 64 + (s[2] - '0') * 8 + (s[3] - '0'));
			s += 4;
		} else {
			*out++ = *s++;
		}
	}
	*out = '\0';
}

/*
 * File systems whose names are not compared byte by byte, or that are not to be stacked upon: overlayfs answers EINVAL. Of those that are on no
 * list here an overlay is tried.
 */
static enum jail_ground ground_of(const char *type)
{
	static const struct {
		const char *type;
		enum jail_ground ground;
	} known[] = {
		{ "autofs", JAIL_GROUND_TRIGGER },         { "proc", JAIL_GROUND_NO_SOCKETS },
		{ "binfmt_misc", JAIL_GROUND_NO_SOCKETS }, { "efivarfs", JAIL_GROUND_NO_SOCKETS },
		{ "vfat", JAIL_GROUND_NO_SOCKETS },        { "msdos", JAIL_GROUND_NO_SOCKETS },
		{ "exfat", JAIL_GROUND_NO_SOCKETS },       { "iso9660", JAIL_GROUND_NO_SOCKETS },
		{ "hfs", JAIL_GROUND_NO_SOCKETS },         { "hfsplus", JAIL_GROUND_BARE },
		{ "ntfs", JAIL_GROUND_NO_SOCKETS },        { "ntfs3", JAIL_GROUND_BARE }
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(known); i++) {
		if (strcmp(known[i].type, type) == 0)
			return known[i].ground;
	}
	return JAIL_GROUND_LAYER;
}

/* Of a line of mountinfo, the mount point, field 5, and the type, behind the hyphen (proc_pid_mountinfo(5)); cuts the line. False: a line of another form. */
static bool parse_mount(char *line, struct jail_mount *ret)
{
	char *field = line, *end, *type;
	int i;

	for (i = 0; i < 4; i++) {
		field = strchr(field, ' ');
		if (!field)
			return false;
		field++;
	}
	end = strchr(field, ' ');
	type = end ? strstr(end, " - ") : NULL;
	if (!type)
		return false;
	*end = '\0';
	type += strlen(" - ");
	type[strcspn(type, " ")] = '\0';
	unescape(field);
	*ret = (struct jail_mount){ .point = field, .ground = ground_of(type) };
	return true;
}

void jail_mountinfo_read(struct jail_mountinfo *m)
{
	_cleanup_close_ int fd = openat(AT_FDCWD, MOUNTINFO, O_RDONLY | O_CLOEXEC);
	size_t len = 0;
	ssize_t n = -1;

	while (fd >= 0 && len < sizeof(m->text) - 1 &&
	       (n = read(fd, m->text + len, sizeof(m->text) - 1 - len)) > 0)
		len += (size_t)n;
	if (n == 0)
		__atomic_store_n(&m->ready, 1, __ATOMIC_RELEASE); /* after the text */
}

/* All of mountinfo, where it stays. NULL when it can't be read. */
static char *read_mountinfo(struct arena *arena)
{
	_cleanup_close_ int fd = openat(AT_FDCWD, MOUNTINFO, O_RDONLY | O_CLOEXEC);
	size_t size = 16384, len = 0;
	char *text = fd < 0 ? NULL : arena_alloc(arena, size), *more;
	ssize_t n;

	while (text && (n = read(fd, text + len, size - 1 - len)) != 0) {
		if (n < 0)
			return NULL;
		len += (size_t)n;
		if (len < size - 1)
			continue;
		more = size < LIMIT_MOUNTINFO ? arena_alloc(arena, size * 2) : NULL;
		if (more)
			memcpy(more, text, len);
		text = more;
		size *= 2;
	}
	if (text)
		text[len] = '\0';
	return text;
}

/* Leaves ctx->mounts NULL when the mounts can't be known. */
static void read_mounts(struct jail_host_ctx *ctx)
{
	const bool given = ctx->given && __atomic_load_n(&ctx->given->ready, __ATOMIC_ACQUIRE);
	char *text = given ? ctx->given->text : read_mountinfo(ctx->arena), *line, *next;
	struct jail_mount *mounts = NULL;
	size_t n = 0;

	ctx->asked = true;
	for (line = text; line && (line = strchr(line, '\n')); line++)
		n++;
	if (text && n <= LIMIT_MOUNTS)
		mounts = arena_alloc(ctx->arena, (n + 1) * sizeof(*mounts));
	if (!mounts)
		return;
	n = 0;
	for (line = text; (next = strchr(line, '\n')); line = next + 1) {
		*next = '\0';
		if (parse_mount(line, &mounts[n]))
			n++;
	}
	ctx->mounts = mounts;
	ctx->n_mounts = n;
}

static bool host_mounts_below(void *vctx, const char *path)
{
	struct jail_host_ctx *ctx = vctx;
	size_t i, n = strlen(path);

	if (!ctx->asked)
		read_mounts(ctx);
	if (!ctx->mounts)
		return true; /* unknown: the overlay would fail, or must not be relied on */
	for (i = 0; i < ctx->n_mounts; i++) {
		if (path_covers(path, ctx->mounts[i].point) && ctx->mounts[i].point[n])
			return true;
	}
	return false;
}

/* Of the deepest mount that @path is on; of equals, which are stacked, the last. */
static enum jail_ground host_ground(void *vctx, const char *path)
{
	struct jail_host_ctx *ctx = vctx;
	enum jail_ground ground = JAIL_GROUND_LAYER;
	size_t i, n, best = 0;

	if (!ctx->asked)
		read_mounts(ctx);
	for (i = 0; ctx->mounts && i < ctx->n_mounts; i++) {
		n = strlen(ctx->mounts[i].point);
		if (n < best || !path_covers(ctx->mounts[i].point, path))
			continue;
		best = n;
		ground = ctx->mounts[i].ground;
	}
	return ground;
}

static bool host_empty(void *ctx, const char *path)
{
	/* "." and ".." come in 48 bytes */
	SYS_DIRENT_ALIGN char room[512];
	const struct stat *st = look(ctx, path);
	_cleanup_close_ int fd = -1;
	long n;

	if (!st || st->st_nlink > 2)
		return false; /* a directory has a link from each of its subdirectories, where it has such links at all */
	fd = openat(AT_FDCWD, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return false;
	n = sys_getdents(fd, room, sizeof(room));
	return n == 48 && sys_getdents(fd, room, sizeof(room)) == 0;
}

static int name_compare(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Add the directories among the @n bytes of entries in @buf. Return: false when there are too many. */
static bool add_children(struct jail_host_ctx *ctx, int fd, const char *buf, long n,
			 const char **names, size_t *count)
{
	const struct sys_dirent *d;
	struct stat st;
	long o = 0;

	while ((d = sys_dirent_next(buf, n, &o))) {
		if (d->type != DT_DIR && d->type != DT_UNKNOWN)
			continue;
		if (strcmp(d->name, ".") == 0 || strcmp(d->name, "..") == 0)
			continue;
		if (d->type == DT_UNKNOWN &&
		    (fstatat(fd, d->name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISDIR(st.st_mode)))
			continue;
		if (*count == CHILDREN_MAX || !(names[*count] = arena_strdup(ctx->arena, d->name)))
			return false;
		(*count)++;
	}
	return true;
}

static const char *const *host_children(void *vctx, const char *path)
{
	struct jail_host_ctx *ctx = vctx;
	_cleanup_close_ int fd = openat(AT_FDCWD, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	const char *found[CHILDREN_MAX], **names;
	SYS_DIRENT_ALIGN char buf[4096];
	size_t count = 0;
	long n;

	if (fd < 0)
		return NULL;
	while ((n = sys_getdents(fd, buf, sizeof(buf))) > 0) {
		if (!add_children(ctx, fd, buf, n, found, &count))
			return NULL;
	}
	names = n < 0 ? NULL : arena_alloc(ctx->arena, (count + 1) * sizeof(*names));
	if (!names)
		return NULL;
	if (count > 0)
		memcpy(names, found, count * sizeof(*names));
	qsort(names, count, sizeof(*names), name_compare);
	names[count] = NULL;
	return names;
}

void jail_host_init(struct jail_host *host, struct jail_host_ctx *ctx, struct arena *arena,
		    struct jail_mountinfo *given)
{
	*ctx = (struct jail_host_ctx){ .arena = arena, .given = given };
	*host = (struct jail_host){ .ctx = ctx,
				    .type = host_type,
				    .mode = host_mode,
				    .mounts_below = host_mounts_below,
				    .ground = host_ground,
				    .searchable = host_searchable,
				    .empty = host_empty,
				    .children = host_children };
}

static bool host_opens(void *vctx, const char *path)
{
	struct jail_host_ctx *ctx = vctx;
	const struct stat *st = look(ctx, path);

	return ctx->owner == (uid_t)-1 || (st && st->st_uid == ctx->owner);
}

void jail_host_for(struct jail_host *host, struct jail_host_ctx *ctx, uid_t uid, bool block,
		   uid_t owner)
{
	ctx->owner = owner;
	host->opens = host_opens;
	ctx->uid = uid;
	host->block = block;
}

int jail_host_physical(const char *dir, const char *text, char *out)
{
	char path[2 * LIMIT_PATH + 32], real[PATH_MAX];

	if (snprintf(path, sizeof(path), "%s%s%s", text[0] == '/' ? "" : dir,
		     text[0] == '/' ? "" : "/", text) >= (int)sizeof(path))
		return -ENAMETOOLONG;
	if (!realpath(path, real))
		return -errno;
	memcpy(out, real, strlen(real) + 1);
	return 0;
}

int jail_host_resolve(const char *path, bool follow, char *out)
{
	char head[LIMIT_PATH], real[PATH_MAX], tail[LIMIT_PATH];
	char *slash;
	size_t n;

	n = strlen(path);
	memcpy(head, path, n + 1);
	tail[0] = '\0';
	/* Resolve the longest part that exists, and put what does not back behind it. */
	if (!follow && n > 1) {
		slash = strrchr(head, '/');
		memcpy(tail, slash, strlen(slash) + 1);
		*(slash == head ? slash + 1 : slash) = '\0';
	}
	while (!realpath(head, real)) {
		struct stat st;
		char more[LIMIT_PATH];

		if (errno != ENOENT && errno != ENOTDIR)
			return -errno;
		if (!head[1])
			return -errno;
		/* a dangling symlink names a place that can't be judged */
		if (errno == ENOENT && lstat(head, &st) == 0 && S_ISLNK(st.st_mode))
			return -ELOOP;
		slash = strrchr(head, '/');
		if (strlen(slash) + strlen(tail) >= sizeof(more))
			return -ENAMETOOLONG;
		memcpy(more, slash, strlen(slash));
		memcpy(more + strlen(slash), tail, strlen(tail) + 1);
		memcpy(tail, more, strlen(more) + 1);
		*(slash == head ? slash + 1 : slash) = '\0';
	}
	if (!real[1])
		real[0] = '\0';
	if (strlen(real) + strlen(tail) + 1 > LIMIT_PATH)
		return -ENAMETOOLONG;
	memcpy(out, real, strlen(real));
	memcpy(out + strlen(real), tail, strlen(tail) + 1);
	if (!out[0])
		memcpy(out, "/", 2);
	return 0;
}
