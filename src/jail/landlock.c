/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Landlock is the second wall behind the read-only mounts: it also judges opens that come through /proc/self/fd, that is through a mount
 * of the launcher's world. It enforces write-class rights and the signal and abstract-socket scopes; reading is the mounts' business.
 */
#include "landlock.h"

#include <errno.h>
#include <linux/landlock.h>
#include <sys/stat.h>
#include <unistd.h>

/* linux-libc-dev 6.1 ends at ABI 2: the rest by value, from include/uapi/linux/landlock.h of 6.12 */
#define FS_TRUNCATE (1ULL << 14)               /* ABI 3 */
#define SCOPE_ABSTRACT_UNIX_SOCKET (1ULL << 0) /* ABI 6 */
#define SCOPE_SIGNAL (1ULL << 1)

struct ruleset_attr {
	uint64_t handled_access_fs;
	uint64_t handled_access_net; /* ABI 4 */
	uint64_t scoped;             /* ABI 6 */
};

#define FILE_RIGHTS (LANDLOCK_ACCESS_FS_WRITE_FILE | FS_TRUNCATE)
#define DIR_RIGHTS                                                                      \
	(FILE_RIGHTS | LANDLOCK_ACCESS_FS_REMOVE_DIR | LANDLOCK_ACCESS_FS_REMOVE_FILE | \
	 LANDLOCK_ACCESS_FS_MAKE_CHAR | LANDLOCK_ACCESS_FS_MAKE_DIR |                   \
	 LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_SOCK |                   \
	 LANDLOCK_ACCESS_FS_MAKE_FIFO | LANDLOCK_ACCESS_FS_MAKE_BLOCK |                 \
	 LANDLOCK_ACCESS_FS_MAKE_SYM | LANDLOCK_ACCESS_FS_REFER)

int jail_landlock_abi(void)
{
	long r = sys_call(SYS_landlock_create_ruleset, 0, 0, LANDLOCK_CREATE_RULESET_VERSION, 0, 0);

	return r > 0 ? (int)r : 0;
}

static int allow(int ruleset, const char *path, uint64_t rights)
{
	struct landlock_path_beneath_attr attr = { .allowed_access = rights };
	_cleanup_close_ int fd = open(path, O_PATH | O_CLOEXEC | O_NOFOLLOW);

	if (fd < 0)
		return -errno;
	attr.parent_fd = fd;
	return (int)sys_call(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &attr, 0,
			     0);
}

/*
 * A null device on 0-2 may be opened again, as /dev/stdout and /dev/stderr do; it is a device of the host's /dev. A terminal does not come in:
 * the command gets one of the sandbox's own.
 */
static int allow_streams(int ruleset, uint64_t rights)
{
	struct landlock_path_beneath_attr attr = { .allowed_access = rights };
	struct stat st;
	int fd, flags, r = 0;

	for (fd = 0; r == 0 && fd <= 2; fd++) {
		flags = fcntl(fd, F_GETFL);
		if (flags < 0 || (flags & O_ACCMODE) == O_RDONLY || fstat(fd, &st) < 0 ||
		    !S_ISCHR(st.st_mode) || fd_is_terminal(fd))
			continue;
		attr.parent_fd = fd;
		r = (int)sys_call(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &attr,
				  0, 0);
	}
	return r;
}

int landlock_scopes(struct err *e)
{
	struct ruleset_attr attr = { .scoped = SCOPE_ABSTRACT_UNIX_SOCKET | SCOPE_SIGNAL };
	int fd;

	if (jail_landlock_abi() < 6)
		return -ENODATA;
	fd = (int)sys_call(SYS_landlock_create_ruleset, &attr, sizeof(attr), 0, 0, 0);
	return fd < 0 ? err_sys(e, fd, "landlock_create_ruleset") : fd;
}

int landlock_prepare(const struct jail_plan *plan, struct err *e)
{
	struct ruleset_attr attr = { .handled_access_fs = DIR_RIGHTS };
	int abi = jail_landlock_abi();
	_cleanup_close_ int fd = -1;
	size_t i, size;
	int r;

	if (abi <
	    2) /* 1 has no REFER: it refuses every rename between directories, also in the workspace */
		return err_set(e, ERR_LAYER, -EOPNOTSUPP, "the kernel has %s",
			       abi ? "only Landlock ABI 1" : "no Landlock");
	if (abi < 3)
		attr.handled_access_fs &= ~FS_TRUNCATE;
	if (abi >= 6)
		attr.scoped = SCOPE_ABSTRACT_UNIX_SOCKET | SCOPE_SIGNAL;
	size = abi >= 6 ? sizeof(attr) : abi >= 4 ? 16 : 8;
	fd = (int)sys_call(SYS_landlock_create_ruleset, &attr, size, 0, 0, 0);
	if (fd < 0)
		return err_sys(e, fd, "landlock_create_ruleset");
	for (i = 0; i < plan->n; i++) {
		const struct jail_op *op = &plan->ops[i];
		uint64_t rights = op->flags & JAIL_OP_FILE ? FILE_RIGHTS : DIR_RIGHTS;

		if (op->type == JAIL_OP_PROC)
			rights =
				FILE_RIGHTS; /* /proc/self/oom_score_adj, comm …; the rest is a read-only mount */
		else if ((op->type != JAIL_OP_DEV && !(op->flags & JAIL_OP_WRITABLE)) ||
			 (op->flags & JAIL_OP_PIN)) /* what it pins is below what has a rule */
			continue;
		r = allow(fd, op->path, rights & attr.handled_access_fs);
		if (r < 0 && op->type != JAIL_OP_PROC)
			return err_sys(e, r, "landlock_add_rule '%s'", op->path);
		/* mq_open() walks the kernel's own mount of this root and never comes to /dev: without a rule of its own it is refused */
		if (op->type == JAIL_OP_DEV)
			r = allow(fd, "/dev/mqueue", DIR_RIGHTS & attr.handled_access_fs);
		if (r < 0 && r != -ENOENT && op->type == JAIL_OP_DEV)
			return err_sys(e, r, "landlock_add_rule '/dev/mqueue'");
	}
	r = allow_streams(fd, FILE_RIGHTS & attr.handled_access_fs);
	return r < 0 ? err_sys(e, r, "landlock_add_rule for 0-2") : TAKE_FD(fd);
}

int landlock_enforce(int ruleset)
{
	int r = (int)sys_call(SYS_landlock_restrict_self, ruleset, 0, 0, 0, 0);

	(void)sys_close(ruleset);
	return r;
}
