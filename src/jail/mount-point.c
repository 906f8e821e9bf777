/* SPDX-License-Identifier: Apache-2.0 */
/* Where something is mounted that the host has no place for: in the stage, or in what the sandbox keeps of its own. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "plan-apply.h"

/* Make the parents of @rel below the stage's directory @base; @rel has no leading slash. */
static int make_parents(int stage, const char *base, const char *rel, mode_t mode)
{
	char path[LIMIT_PATH];
	const char *slash = rel;
	int r;

	for (; (slash = strchr(slash, '/')); slash++) {
		if (snprintf(path, sizeof(path), "%s/%.*s", base, (int)(slash - rel), rel) >=
		    (int)sizeof(path))
			return -ENAMETOOLONG;
		r = stage_mkdir(stage, path, mode);
		if (r < 0)
			return r;
	}
	return 0;
}

int mount_point_inside(struct jail_apply *a, const struct jail_op *op, bool file, struct err *e)
{
	const struct jail_op *in = &a->spec->plan->ops[op->region];
	const char *rel = op->path + strlen(in->path) + 1;
	char base[32], path[LIMIT_PATH];
	int r;

	(void)snprintf(base, sizeof(base), "p%zu", op->region);
	r = make_parents(a->stage.dir, base, rel, in->type == JAIL_OP_MASK ? 0111 : 0755);
	if (r == 0 && snprintf(path, sizeof(path), "%s/%s", base, rel) >= (int)sizeof(path))
		r = -ENAMETOOLONG;
	if (r == 0)
		r = file ? stage_mkfile(a->stage.dir, path, 0) :
			   stage_mkdir(a->stage.dir, path, 0755);
	return r < 0 ? err_sys(e, r, "mount point '%s'", op->path) : 0;
}

/* The directory @name in @dir, made when it is not there, with the owner of @top. Return: O_PATH, or negative errno. */
static int enter(int dir, const char *name, const struct stat *top)
{
	const unsigned long how = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
	int fd = sys_openat2(dir, name, O_PATH | O_DIRECTORY, how);

	if (fd != -ENOENT)
		return fd;
	if (mkdirat(dir, name, 0755) < 0)
		return -errno;
	fd = sys_openat2(dir, name, O_PATH | O_DIRECTORY, how);
	/* whose the directory above is: where there is a root inside, that is who makes it */
	if (fd >= 0 && geteuid() != top->st_uid &&
	    fchownat(fd, "", top->st_uid, top->st_gid, AT_EMPTY_PATH) < 0) {
		const int r = -errno;

		cleanup_close(&fd);
		return r;
	}
	return fd;
}

int mount_point_own(const struct jail_apply *a, const struct jail_op *op, struct err *e)
{
	const struct jail_op *in = &a->spec->plan->ops[op->region];
	const char *at = op->path + in->len;
	_cleanup_close_ int dir = jail_resolve(a->root, in->path);
	char name[LIMIT_PATH];
	struct stat top;
	size_t n;
	int next, r = dir < 0 ? dir : fstat(dir, &top) < 0 ? -errno : 0;

	while (r == 0 && *at == '/') {
		n = strcspn(++at, "/");
		memcpy(name, at, n);
		name[n] = '\0';
		at += n;
		next = enter(dir, name, &top);
		r = next < 0 ? next : 0;
		cleanup_close(&dir);
		dir = next;
	}
	if (r == -ELOOP || r == -ENOTDIR)
		return err_set(
			e, ERR_POLICY, r,
			"mount point '%s': something in the sandbox has put a file or a link in its way; remove that, or: bailey reset",
			op->path);
	return r < 0 ? err_sys(e, r, "mount point '%s'", op->path) : 0;
}
