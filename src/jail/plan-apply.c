/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. Everything that comes from the host is opened first, as detached mounts, while the tree is still the host's. Then
 * the whole tree turns read-only in place. One tmpfs, the stage, is mounted over /tmp: it holds every private directory, mask, device
 * directory; they are cloned from it to their places, so one superblock pays for all. Whiteout layers are made in a ramfs below it. The operations are
 * attached in the order of the plan; the last one covers /tmp itself, and with it the stage. What no rule touches is attached before the
 * rules are planned; then the stage is there before the tree turns read-only, and is made writable again.
 *
 * Every mount point is resolved by openat2 from "/" without following any symlink, and mounted on by that fd. Overlays alone are mounted by name,
 * because their layers are given by name; these names are top-level directories, or below them directories with mounts.
 */
#include "plan-apply.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define STAGE JAIL_STAGE
#define HIDE STAGE "/h"

int jail_layer_lost(enum jail_layer l, unsigned int allowed, unsigned int *lost, struct err *e)
{
	const struct jail_layer_info *info = jail_layer_info(l);
	char cause[sizeof(e->msg)];

	if (allowed & (1u << l)) {
		*lost |= 1u << l;
		*e = (struct err)ERR_INIT;
		return 0;
	}
	memcpy(cause, e->msg, sizeof(cause));
	(void)snprintf(e->where, sizeof(e->where), "%s", info->name);
	if (info->lost)
		return err_set(
			e, ERR_LAYER, -EPERM,
			"layer '%s' is missing: %.160s. Mend: %s. Or accept the loss (%s): --allow-degraded=%s",
			info->name, cause, info->mend, info->lost, info->name);
	return err_set(e, ERR_LAYER, -EPERM, "layer '%s' is missing: %.200s. %s%s", info->name,
		       cause, *info->mend ? "Mend: " : "", info->mend);
}

static int set_attr(int fd, uint64_t set, uint64_t clear, unsigned int flags)
{
	struct mount_attr attr = { .attr_set = set, .attr_clr = clear };

	return sys_mount_setattr(fd, "", AT_EMPTY_PATH | flags, &attr);
}

int jail_resolve(int root, const char *path)
{
	return sys_openat2(root, path[1] ? path + 1 : ".", O_PATH | O_NOFOLLOW,
			   RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_SYMLINKS);
}

/* Detached copy of the tree at @fd, which is @name. */
static int detach(int fd, const char *name, int userns, bool writable, unsigned int flags,
		  struct err *e)
{
	struct mount_attr attr = { .attr_set = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV,
				   .propagation = MS_PRIVATE };
	_cleanup_close_ int tree =
		sys_open_tree(fd, "", AT_EMPTY_PATH | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | flags);
	int r;

	if (tree < 0)
		return err_sys(e, tree, "'%s': copy of the mount", name);
	if (!writable)
		attr.attr_set |= MOUNT_ATTR_RDONLY;
	if (userns >= 0) {
		attr.attr_set |= MOUNT_ATTR_IDMAP;
		attr.userns_fd = (uint64_t)userns;
	}
	r = sys_mount_setattr(tree, "", AT_EMPTY_PATH | flags, &attr);
	if (r < 0)
		return err_sys(e, r, "'%s': %s", name,
			       userns >= 0 ? "idmapped mount" : "mount attributes");
	return TAKE_FD(tree);
}

int jail_source(const struct jail_op *op, int userns, struct err *e)
{
	_cleanup_close_ int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC), fd = -1;
	bool copy = op->type == JAIL_OP_COPY;
	struct stat st;

	if (root < 0)
		return err_sys(e, -errno, "/");
	fd = jail_resolve(root, op->from ? op->from : op->path);
	if (fd < 0)
		return err_sys(e, fd, "'%s'", op->from ? op->from : op->path);
	if ((op->flags & JAIL_OP_SOCKET) && (fstat(fd, &st) < 0 || !S_ISSOCK(st.st_mode) ||
					     st.st_dev != op->dev || st.st_ino != op->ino))
		return err_set(e, ERR_POLICY, -ESTALE,
			       "%s '%s': it is not the socket any more that was there a moment ago",
			       op->rule->origin, op->path);
	/* what is below a copy is never written, and no overlay takes mounts below its layers */
	return detach(fd, op->path, userns, !copy && (op->flags & JAIL_OP_WRITABLE),
		      copy ? 0 : AT_RECURSIVE, e);
}

int jail_store(const struct jail_op *op, int userns, struct err *e)
{
	_cleanup_close_ int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC), fd = -1;

	fd = root < 0 ? -errno : jail_resolve(root, op->store);
	return fd < 0 ? err_sys(e, fd, "'%s'", op->store) :
			detach(fd, op->store, userns, true, 0, e);
}

static int attach_fd(struct jail_apply *a, int fd, const char *path, struct err *e)
{
	_cleanup_close_ int target = jail_resolve(a->root, path);
	int r;

	if (target < 0)
		return err_sys(e, target, "'%s'", path);
	r = sys_move_mount(fd, target, "");
	return r < 0 ? err_sys(e, r, "mount on '%s'", path) : 0;
}

static int open_sources(struct jail_apply *a, struct err *e)
{
	const struct jail_plan *p = a->spec->plan;
	size_t i;

	for (i = 0; i < p->n; i++) {
		const bool copy = p->ops[i].type == JAIL_OP_COPY;
		/* the host's /tmp is out of reach once the stage is there, so its overlay takes a copy of the mount */
		const bool stage =
			p->ops[i].type == JAIL_OP_OVERLAY && strcmp(p->ops[i].path, STAGE) == 0;

		if ((p->ops[i].type != JAIL_OP_BIND && p->ops[i].type != JAIL_OP_SHOWN && !copy &&
		     !stage) ||
		    a->src[i] >= 0)
			continue;
		a->src[i] = jail_source(&p->ops[i], -1, e);
		if (a->src[i] < 0)
			return a->src[i];
		a->store[i] = copy ? jail_store(&p->ops[i], -1, e) : -1;
		if (copy && a->store[i] < 0)
			return a->store[i];
	}
	return 0;
}

static int root_in_place(struct err *e)
{
	struct mount_attr attr = { .attr_set =
					   MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV,
				   .propagation = MS_PRIVATE };
	int r = sys_mount_setattr(AT_FDCWD, "/", AT_RECURSIVE, &attr);

	if (r == -EINVAL)
		return err_set(e, ERR_LAYER, r, "'/' is not a mount point (a chroot?)");
	if (r < 0)
		return err_sys(e, r, "mount_setattr '/'");
	return 0;
}

/* Clone the stage's @rel to @path. */
static int attach_stage(struct jail_apply *a, const char *rel, const char *path, bool writable,
			struct err *e)
{
	_cleanup_close_ int tree = -1, target = -1;
	int r;

	tree = sys_open_tree(a->stage.dir, rel, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	if (tree < 0)
		return err_sys(e, tree, "'%s': copy of the stage", path);
	r = writable ? 0 : set_attr(tree, MOUNT_ATTR_RDONLY, 0, 0);
	if (r < 0)
		return err_sys(e, r, "'%s': read-only", path);
	target = jail_resolve(a->root, path);
	if (target < 0)
		return err_sys(e, target, "'%s'", path);
	r = sys_move_mount(tree, target, "");
	return r < 0 ? err_sys(e, r, "mount on '%s'", path) : 0;
}

static int apply_dev(struct jail_apply *a, const char *path, struct err *e)
{
	char sub[LIMIT_PATH];
	size_t i;
	int r;

	r = attach_stage(a, "dev", path, false, e);
	for (i = 0; r == 0 && i < STAGE_NODES; i++) {
		if (a->stage.node[i] < 0)
			continue;
		(void)snprintf(sub, sizeof(sub), "/dev/%s", stage_nodes[i]);
		r = attach_fd(a, a->stage.node[i], sub, e);
	}
	if (r == 0)
		r = attach_stage(a, "shm", "/dev/shm", true, e);
	if (r == 0)
		r = attach_fd(a, a->stage.pts, "/dev/pts", e);
	if (r == 0 && a->stage.mqueue >= 0)
		r = attach_fd(a, a->stage.mqueue, "/dev/mqueue", e);
	return r;
}

static int apply_proc(struct jail_apply *a, struct err *e)
{
	/* what changes the machine, not a process */
	static const char *const fixed[] = { "sys", "sysrq-trigger", "irq", "bus", "fs" };
	size_t i, n = a->spec->id->host_uid ? 1 : ARRAY_SIZE(fixed);
	char path[32];
	int r;

	r = a->stage.proc;
	if (r == -EPERM) {
		/* the outer /proc has mounts over parts of it: the kernel shows no fresh one to a user namespace */
		(void)err_set(e, ERR_LAYER, r,
			      "the kernel refuses a fresh /proc, because the outer one is masked");
		r = jail_layer_lost(JAIL_LAYER_PROC, a->spec->allow_degraded, &a->lost, e);
		return r < 0 ? r : attach_stage(a, "e", "/proc", false, e);
	}
	/* before a read-only mount is on it */
	if (r >= 0 && a->spec->network == JAIL_NETWORK_GATEWAY)
		a->sysctl = openat(r, "sys", O_PATH | O_DIRECTORY | O_CLOEXEC);
	r = r < 0 ? err_sys(e, r, "/proc") : attach_fd(a, a->stage.proc, "/proc", e);
	/*
	 * all but /proc/sys belong to the host's root alone, whom only a host-root sandbox can be taken for; so does what counts in
	 * /proc/sys. A mount there would make the kernel refuse a nested sandbox its own /proc
	 */
	if (a->spec->nested == JAIL_NESTED_SANDBOX)
		n = 0;
	for (i = 0; r == 0 && i < n; i++) {
		_cleanup_close_ int tree = -1;

		(void)snprintf(path, sizeof(path), "/proc/%s", fixed[i]);
		tree = sys_open_tree(AT_FDCWD, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
		if (tree == -ENOENT)
			continue;
		r = tree < 0 ? tree : set_attr(tree, MOUNT_ATTR_RDONLY, 0, 0);
		if (r < 0)
			return err_sys(e, r, "%s: read-only", path);
		r = attach_fd(a, tree, path, e);
	}
	return r;
}

/* In a lowerdir list ':' separates, ',' ends the option, '\\' escapes. */
static int escape_lower(char *out, size_t size, const char *path)
{
	size_t n = 0;

	for (; *path; path++) {
		if (n + 3 > size)
			return -ENAMETOOLONG;
		if (*path == ':' || *path == ',' || *path == '\\')
			out[n++] = '\\';
		out[n++] = *path;
	}
	out[n] = '\0';
	return 0;
}

/* The directory @dir of the hiding layers, and in it the @n bytes at @rel. Return: O_PATH, or negative errno. */
static int open_hiding(const struct jail_apply *a, const char *dir, const char *rel, size_t n)
{
	char path[LIMIT_PATH];
	size_t len = strlen(dir);
	int fd;

	if (len + n >= sizeof(path))
		return -ENAMETOOLONG;
	memcpy(path, dir, len);
	memcpy(path + len, rel, n);
	path[len + n] = '\0';
	fd = openat(a->stage.hide, path, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/*
 * The layer that hides names: directories on the way with the modes of the real ones, and whiteouts. There are some dozens of names, most of them
 * in one directory.
 */
static int fill_hiding_layer(struct jail_apply *a, size_t index, const char *dir, struct err *e)
{
	const struct jail_plan *p = a->spec->plan;
	const struct jail_op *over = &p->ops[index];
	_cleanup_close_ int fd = -1; /* of the parent of the last name, the first n bytes of last */
	const char *last = NULL, *name;
	size_t i, n = 0;
	int r;

	r = stage_mkdir(a->stage.hide, dir, over->mode);
	if (r == 0 && mknodat(a->stage.hide, "w", S_IFCHR, makedev(0, 0)) < 0 && errno != EEXIST)
		r = -errno;
	for (i = index + 1; r == 0 && i < p->n; i++) {
		const struct jail_op *op = &p->ops[i];

		if ((op->type != JAIL_OP_WHITEOUT && op->type != JAIL_OP_UPPER) ||
		    op->region != index)
			continue;
		name = strrchr(op->path, '/') + 1;
		if (!last || n != (size_t)(name - op->path) || memcmp(last, op->path, n) != 0) {
			last = op->path;
			n = (size_t)(name - last);
			cleanup_close(&fd);
			fd = open_hiding(a, dir, last + over->len, n - over->len);
			r = fd < 0 ? fd : 0;
		}
		if (r == 0 && op->type == JAIL_OP_UPPER)
			r = stage_mkdir(fd, name, op->mode);
		else if (r == 0 && linkat(a->stage.hide, "w", fd, name, 0) < 0)
			r = -errno; /* a link costs half of a new node */
	}
	return r < 0 ? err_sys(e, r, "names hidden in '%s'", over->path) : 0;
}

/* A host directory that the host has removed since the plan was made: there is nothing to show, and nothing to hide. */
static bool gone(const struct jail_apply *a, const char *path)
{
	_cleanup_close_ int fd = jail_resolve(a->root, path);

	return fd == -ENOENT;
}

static int mount_overlay(const char *path, const char *opts, struct err *e)
{
	if (mount("overlay", path, "overlay", MS_RDONLY | MS_NOSUID | MS_NODEV, opts) < 0)
		return err_sys(e, -errno, "overlay over '%s'", path);
	return 0;
}

/* A lower-only overlay needs two layers; the host's first, so that its owner and mode show. @lower: escaped */
static int mount_layer(const char *path, const char *lower, struct err *e)
{
	char opts[3 * LIMIT_PATH];

	(void)snprintf(opts, sizeof(opts), "lowerdir=%s:" STAGE "/e", lower);
	return mount_overlay(path, opts, e);
}

static int mount_lower(const char *path, struct err *e)
{
	char lower[2 * LIMIT_PATH];
	int r = escape_lower(lower, sizeof(lower), path);

	return r < 0 ? err_sys(e, r, "'%s'", path) : mount_layer(path, lower, e);
}

/* Where the loss is accepted the host's directory stays as it is, but where the stage hides that. */
static int overlay_lost(struct jail_apply *a, size_t index, struct err *e)
{
	const char *path = a->spec->plan->ops[index].path;
	int r = jail_layer_lost(JAIL_LAYER_OVERLAY, a->spec->allow_degraded, &a->lost, e);

	return r == 0 && strcmp(path, STAGE) == 0 ? attach_fd(a, a->src[index], path, e) : r;
}

static int apply_overlay(struct jail_apply *a, size_t index, struct err *e)
{
	const struct jail_op *op = &a->spec->plan->ops[index];
	char opts[3 * LIMIT_PATH], lower[2 * LIMIT_PATH], dir[32];
	int r;

	(void)snprintf(dir, sizeof(dir), "h%zu", index);
	r = escape_lower(lower, sizeof(lower), op->path);
	if (r < 0)
		return err_sys(e, r, "'%s'", op->path);
	if (a->src[index] >= 0) {
		/* a tree with mapped owners: it needs a place of its own to be a layer */
		(void)snprintf(lower, sizeof(lower), STAGE "/i%zu", index);
		r = stage_mkdir(a->stage.dir, lower + sizeof(STAGE), 0700);
		if (r < 0)
			return err_sys(e, r, "'%s': mapped", op->path);
		r = attach_fd(a, a->src[index], lower, e);
		if (r < 0)
			return r;
	}
	if (op->flags & JAIL_OP_LOWERED) {
		r = fill_hiding_layer(a, index, dir, e);
		if (r ==
		    -EPERM) /* mknod: a whiteout is a device, which some filters refuse to make */
			return overlay_lost(a, index, e);
		if (r < 0)
			return r;
		(void)snprintf(opts, sizeof(opts), "lowerdir=" HIDE "/%s:%s", dir, lower);
		r = mount_overlay(op->path, opts, e);
	} else {
		r = mount_layer(op->path, lower, e);
	}
	return r == 0 || gone(a, op->path) ? 0 : overlay_lost(a, index, e);
}

/* The directory of the stage that a layer is attached to, which gives it a name. */
static int attach_layer(struct jail_apply *a, int fd, char kind, size_t index, char *path,
			struct err *e)
{
	int r;

	(void)snprintf(path, 64, STAGE "/%c%zu", kind, index);
	r = stage_mkdir(a->stage.dir, path + sizeof(STAGE), 0700);
	return r < 0 ? err_sys(e, r, "'%s'", path) : attach_fd(a, fd, path, e);
}

static int fs_option(int fs, const char *key, const char *value)
{
	return sys_fsconfig(fs, value ? FSCONFIG_SET_STRING : FSCONFIG_SET_FLAG, key, value);
}

/*
 * The overlay of a copy, detached, in the place of its lower layer. A directory that is in both layers can't be renamed (EXDEV), so what is mounted in
 * it stays where it is; nothing but user.overlay.* is written about the layers, which the host's owner may.
 */
static int make_copy(struct jail_apply *a, size_t index, struct err *e)
{
	char lower[64], store[64], upper[80], work[80];
	_cleanup_close_ int fs = -1;
	int r, fd;

	r = attach_layer(a, a->src[index], 'l', index, lower, e);
	if (r == 0)
		r = attach_layer(a, a->store[index], 's', index, store, e);
	if (r < 0)
		return r;
	(void)snprintf(upper, sizeof(upper), "%s/upper", store);
	(void)snprintf(work, sizeof(work), "%s/work", store);
	r = fs = sys_fsopen("overlay");
	if (r >= 0)
		r = fs_option(fs, "source", "overlay");
	if (r == 0)
		r = fs_option(fs, "userxattr", NULL);
	if (r == 0)
		r = fs_option(fs, "redirect_dir", "nofollow");
	if (r == 0)
		r = fs_option(fs, "metacopy", "off");
	if (r == 0)
		r = fs_option(fs, "lowerdir", lower);
	if (r == 0)
		r = fs_option(fs, "upperdir", upper);
	if (r == 0)
		r = fs_option(fs, "workdir", work);
	if (r == 0)
		r = sys_fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL);
	if (r < 0)
		return err_set(
			e, ERR_LAYER, r,
			"no overlay can be made over '%s' (%s): its changes would be kept in '%s'. Mend: set XDG_STATE_HOME "
			"to a directory of an ordinary local file system, outside of '%s'; or use :ro, or no ':overlay'",
			a->spec->plan->ops[index].path, strerror(-r),
			a->spec->plan->ops[index].store, a->spec->plan->ops[index].path);
	fd = sys_fsmount(fs, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV);
	if (fd < 0)
		return err_sys(e, fd, "overlay over '%s'", a->spec->plan->ops[index].path);
	cleanup_close(&a->src[index]);
	a->src[index] = fd;
	return 0;
}

/* While the stage still has its name. */
static int make_copies(struct jail_apply *a, struct err *e)
{
	const struct jail_plan *p = a->spec->plan;
	size_t i;
	int r = 0;

	for (i = 0; r == 0 && i < p->n; i++) {
		if (p->ops[i].type == JAIL_OP_COPY)
			r = make_copy(a, i, e);
	}
	return r;
}

static bool has_inside(const struct jail_plan *p, size_t index)
{
	size_t i;

	for (i = index + 1; i < p->n; i++) {
		if (p->ops[i].region == index && (p->ops[i].flags & JAIL_OP_INSIDE))
			return true;
	}
	return false;
}

/* Of its own, when something is shown in it: whose mount point is made there. */
static int apply_empty(struct jail_apply *a, const struct jail_op *op, size_t index, struct err *e)
{
	char dir[32] = "e";
	int r = 0;

	if (has_inside(a->spec->plan, index)) {
		(void)snprintf(dir, sizeof(dir), "p%zu", index);
		r = stage_mkdir(a->stage.dir, dir, 0755);
	}
	if (r < 0)
		return err_sys(e, r, "'%s'", op->path);
	r = attach_stage(a, dir, op->path, false, e);
	return r == -ENOENT && gone(a, op->path) ? 0 : r;
}

/* In the sandbox's own tmpfs: what belongs to its root, where it has one. Else everything is the command's. */
static int give_root(const struct jail_apply *a, const char *rel)
{
	if (!jail_identity_rooted(a->spec->id))
		return 0;
	return fchownat(a->stage.dir, rel, 0, 0, AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH) < 0 ? -errno :
											    0;
}

static int apply_private(struct jail_apply *a, size_t index, struct err *e)
{
	const struct jail_op *op = &a->spec->plan->ops[index];
	char dir[32], sub[64];
	int r;

	(void)snprintf(dir, sizeof(dir), "p%zu", index);
	r = stage_mkdir(a->stage.dir, dir, op->mode);
	if (r == 0 && strcmp(op->path, "/run") == 0) {
		/* /var/lock is a link to /run/lock, $XDG_RUNTIME_DIR is /run/user/UID */
		(void)snprintf(sub, sizeof(sub), "%s/lock", dir);
		r = stage_mkdir(a->stage.dir, sub, 01777);
		(void)snprintf(sub, sizeof(sub), "%s/user", dir);
		if (r == 0)
			r = stage_mkdir(a->stage.dir, sub, 0755);
		(void)snprintf(sub, sizeof(sub), "%s/user/%u", dir, (unsigned int)a->spec->id->uid);
		if (r == 0)
			r = stage_mkdir(a->stage.dir, sub, 0700);
	}
	/* services' files, and what everybody may write; what is left is the user's own */
	if (r == 0 && (strcmp(op->path, "/run") == 0 || (op->mode & S_IWOTH)))
		r = give_root(a, dir);
	if (r < 0)
		return err_sys(e, r, "'%s'", op->path);
	return attach_stage(a, dir, op->path, true, e);
}

static int apply_mask(struct jail_apply *a, size_t index, struct err *e)
{
	const struct jail_op *op = &a->spec->plan->ops[index];
	char dir[32];
	int r;

	if ((a->lost & (1u << JAIL_LAYER_PROC)) && path_covers("/proc", op->path))
		return 0; /* there is nothing to mask */
	if (op->flags & JAIL_OP_FILE)
		return attach_stage(a, "f", op->path, false, e);
	if (!has_inside(a->spec->plan, index))
		return attach_stage(a, "m", op->path, false, e);
	/* something below is shown again: its own directory, which can be gone through but not listed */
	(void)snprintf(dir, sizeof(dir), "p%zu", index);
	r = stage_mkdir(a->stage.dir, dir, 0111);
	if (r < 0)
		return err_sys(e, r, "'%s'", op->path);
	return attach_stage(a, dir, op->path, false, e);
}

static int apply_text(struct jail_apply *a, size_t index, struct err *e)
{
	const struct jail_op *op = &a->spec->plan->ops[index];
	_cleanup_close_ int fd = -1;
	char name[32];
	int r;

	(void)snprintf(name, sizeof(name), "t%zu", index);
	fd = openat(a->stage.dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0444);
	r = fd < 0 ? -errno : fd_write_all(fd, op->text, op->text_len);
	if (r == 0)
		r = give_root(a, name);
	if (r == 0 && op->mode && fchmod(fd, op->mode) < 0)
		r = -errno;
	return r < 0 ? err_sys(e, r, "'%s'", op->path) : attach_stage(a, name, op->path, false, e);
}

/*
 * The host's file belongs to an id that is none of the sandbox's, so a set-id mode of it counts for nothing, and sudo does not believe in its own
 * parts. The copy stands on a mount that is not nosuid, alone, and read-only.
 */
static int apply_program(struct jail_apply *a, size_t index, struct err *e)
{
	const struct jail_op *op = &a->spec->plan->ops[index];
	_cleanup_close_ int from = -1, at = jail_resolve(a->root, op->path), fd = -1, tree = -1;
	char name[32], proc[32];
	int r;

	(void)snprintf(proc, sizeof(proc), "/proc/self/fd/%d", at);
	from = at < 0 ? -1 : open(proc, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (from < 0)
		return 0; /* closed to this id, or removed since: then it is what it is */
	(void)snprintf(name, sizeof(name), "x%zu", index);
	fd = openat(a->stage.dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	r = fd < 0 ? -errno : fd_copy(from, fd);
	if (r == 0)
		r = give_root(a, name);
	if (r == 0 && fchmod(fd, op->mode) < 0)
		r = -errno;
	if (r == 0)
		r = tree = sys_open_tree(a->stage.dir, name, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	if (r >= 0)
		r = set_attr(tree, MOUNT_ATTR_RDONLY,
			     op->mode & (S_ISUID | S_ISGID) ? MOUNT_ATTR_NOSUID : 0, 0);
	if (r == 0)
		r = sys_move_mount(tree, at, "");
	return r < 0 ? err_sys(e, r, "'%s' as a program of the sandbox's", op->path) : 0;
}

/* A volume below the sandbox's own home has a mount point there, which its commands may have removed. */
static int apply_shown(struct jail_apply *a, size_t index, struct err *e)
{
	const struct jail_op *op = &a->spec->plan->ops[index];
	int r;

	if ((op->flags & JAIL_OP_VOLUME) && op->region != JAIL_NO_REGION &&
	    a->spec->plan->ops[op->region].type == JAIL_OP_SHOWN) {
		r = mount_point_own(a, op, e);
		if (r < 0)
			return r;
	}
	return attach_fd(a, a->src[index], op->path, e);
}

/* There is no overlay to hide the name in: it is made unreadable, when it is there. */
static int mask_instead(struct jail_apply *a, const struct jail_op *op, struct err *e)
{
	struct stat st;

	if (lstat(op->path, &st) < 0)
		return 0;
	return attach_stage(a, S_ISDIR(st.st_mode) ? "m" : "f", op->path, false, e);
}

static int apply_op(struct jail_apply *a, size_t i, struct err *e)
{
	const struct jail_op *op = &a->spec->plan->ops[i];
	int r = 0;

	if (op->flags & JAIL_OP_INSIDE) {
		r = mount_point_inside(a, op, op->flags & JAIL_OP_FILE, e);
		if (r < 0)
			return r;
	}
	switch (op->type) {
	case JAIL_OP_ROOT:
		return root_in_place(e);
	case JAIL_OP_OVERLAY:
		return apply_overlay(a, i, e);
	case JAIL_OP_EMPTY:
		return apply_empty(a, op, i, e);
	case JAIL_OP_PROC:
		return apply_proc(a, e);
	case JAIL_OP_DEV:
		return apply_dev(a, op->path, e);
	case JAIL_OP_PRIVATE:
		return apply_private(a, i, e);
	case JAIL_OP_BIND:
	case JAIL_OP_COPY:
		return attach_fd(a, a->src[i], op->path, e);
	case JAIL_OP_SHOWN:
		return apply_shown(a, i, e);
	case JAIL_OP_MASK:
		return apply_mask(a, i, e);
	case JAIL_OP_TEXT:
		return apply_text(a, i, e);
	case JAIL_OP_PROGRAM:
		return apply_program(a, i, e);
	case JAIL_OP_WHITEOUT: /* made with the overlay */
		return a->lost & (1u << JAIL_LAYER_OVERLAY) ? mask_instead(a, op, e) : 0;
	case JAIL_OP_UPPER: /* made with the overlay */
	case JAIL_OP_HOST:  /* stays as it is */
	case JAIL_OP_NUM:
		break;
	}
	return 0;
}

/* "/a/b" or what lies at it is mounted over only once everything that needs the stage is done. */
static bool covers_stage(const struct jail_op *op)
{
	return path_covers(STAGE, op->path);
}

static int open_root(struct jail_apply *a, struct err *e)
{
	if (a->root < 0)
		a->root = openat(AT_FDCWD, "/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	return a->root < 0 ? err_sys(e, -errno, "/") : 0;
}

static int attach_stages(struct jail_apply *a, struct err *e)
{
	int r = attach_fd(a, a->stage.dir, STAGE, e);

	if (r == 0)
		r = attach_fd(a, a->stage.hide, HIDE, e);
	a->staged = r == 0;
	return r;
}

int jail_plan_apply_early(struct jail_apply *a, const struct jail_frame *frame, struct err *e)
{
	struct err ignored = ERR_INIT;
	size_t i;
	int r = open_root(a, e);

	if (r == 0)
		r = attach_stages(a, e);
	for (i = 0; r == 0 && i < frame->n && i < 64; i++) {
		const struct jail_op *op = &frame->ops[i];

		if ((op->flags & JAIL_OP_EARLY) &&
		    (op->type == JAIL_OP_EMPTY ? attach_stage(a, "e", op->path, false, &ignored) :
						 mount_lower(op->path, &ignored)) == 0)
			a->early |= UINT64_C(1) << i;
	}
	return r;
}

/* The whole tree is read-only now, and with it the stage, when that is there already. */
static int free_stages(struct jail_apply *a, struct err *e)
{
	int r = set_attr(a->stage.dir, 0, MOUNT_ATTR_RDONLY, AT_RECURSIVE);

	return r < 0 ? err_sys(e, r, "private tmpfs") : 0;
}

static bool is_done(const struct jail_apply *a, size_t i)
{
	return i < 64 && (a->early & UINT64_C(1) << i);
}

/*
 * A device of no state that stands on 0-2, as that of the new /dev: on the launcher's mount the owner could change its mode by the
 * descriptor. Return: 0 or negative errno with @e.
 */
static int reopen_device(int stream, struct err *e)
{
	_cleanup_close_ int fd = -1;
	struct stat old, st;
	const char *name;
	char path[32];
	int flags;

	if (fstat(stream, &old) < 0 || !S_ISCHR(old.st_mode) || major(old.st_rdev) != 1)
		return 0;
	name = stage_node_of(old.st_rdev);
	flags = fcntl(stream, F_GETFL);
	if (!name || flags < 0)
		return 0;
	(void)snprintf(path, sizeof(path), "/dev/%s", name);
	fd = open(path, (flags & O_ACCMODE) | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY);
	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISCHR(st.st_mode) || st.st_rdev != old.st_rdev)
		return 0; /* the host has no such name, or not for this id */
	if (fcntl(fd, F_SETFL, flags) < 0 || dup2(fd, stream) < 0)
		return err_sys(e, -errno, "fd %d", stream);
	return 0;
}

int jail_plan_apply(struct jail_apply *a, struct err *e)
{
	const struct jail_plan *p = a->spec->plan;
	bool covered = false;
	int stream, r = open_root(a, e);
	size_t i;

	if (r == 0)
		r = open_sources(a, e);
	if (r == 0)
		r = apply_op(a, 0, e); /* JAIL_OP_ROOT is always the first */
	if (r == 0)
		r = jail_streams_reopen(&a->foreign, e);
	if (r == 0)
		r = a->staged ? free_stages(a, e) : attach_stages(a, e);
	if (r == 0 && (give_root(a, "") < 0 || give_root(a, "shm") < 0))
		r = err_sys(e, -errno, "private tmpfs: owner");
	if (r == 0)
		r = make_copies(a, e);
	for (i = 1; r == 0 && i < p->n; i++) {
		if (!is_done(a, i) && !covers_stage(&p->ops[i]))
			r = apply_op(a, i, e);
	}
	for (i = 1; r == 0 && i < p->n; i++) {
		if (!covers_stage(&p->ops[i]))
			continue;
		covered = covered || strcmp(p->ops[i].path, STAGE) == 0;
		r = apply_op(a, i, e);
	}
	if (r == 0 && !covered)
		r = err_set(e, ERR_POLICY, -EINVAL,
			    STAGE " must be private, or given with --allow-read or --allow-write");
	for (stream = 0; r == 0 && stream <= 2; stream++)
		r = reopen_device(stream, e);
	return r;
}
