/* SPDX-License-Identifier: Apache-2.0 */
/*
 * System calls that musl 1.2.3 and glibc 2.36 lack, or that must not touch errno because a helper thread shares it (jail/netns.c).
 * Every wrapper returns the kernel's value: non-negative, or a negative errno. x86_64 only; meson refuses other machines.
 */
#ifndef BAILEY_UTIL_SYS_H
#define BAILEY_UTIL_SYS_H

#include <fcntl.h>
#include <linux/mount.h>
#include <linux/openat2.h>
#include <linux/sched.h>
#include <linux/stat.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>

/* Numbers are the same on every architecture since 5.2; older libcs don't have them. */
#ifndef SYS_open_tree
#define SYS_open_tree 428
#define SYS_move_mount 429
#define SYS_fsopen 430
#define SYS_fsconfig 431
#define SYS_fsmount 432
#define SYS_fspick 433
#endif
#ifndef SYS_clone3
#define SYS_clone3 435
#endif
#ifndef SYS_close_range
#define SYS_close_range 436
#endif
#ifndef SYS_openat2
#define SYS_openat2 437
#endif
#ifndef SYS_mount_setattr
#define SYS_mount_setattr 442
#endif
#ifndef SYS_landlock_create_ruleset
#define SYS_landlock_create_ruleset 444
#define SYS_landlock_add_rule 445
#define SYS_landlock_restrict_self 446
#endif

static inline long sys_call6(long nr, long a, long b, long c, long d, long f, long g)
{
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = f;
	register long r9 __asm__("r9") = g;
	long ret;

	__asm__ volatile("syscall"
			 : "=a"(ret)
			 : "a"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
	return ret;
}

#define sys_call(nr, a, b, c, d, f) \
	sys_call6((nr), (long)(a), (long)(b), (long)(c), (long)(d), (long)(f), 0)

static inline int sys_open_tree(int dfd, const char *path, unsigned int flags)
{
	return (int)sys_call(SYS_open_tree, dfd, path, flags, 0, 0);
}

static inline int sys_move_mount(int from, int to_dfd, const char *to)
{
	/* both ends by fd (or dirfd + path): MOVE_MOUNT_F_EMPTY_PATH, and T_EMPTY_PATH when there is no name */
	unsigned int flags = MOVE_MOUNT_F_EMPTY_PATH | (*to ? 0 : MOVE_MOUNT_T_EMPTY_PATH);

	return (int)sys_call(SYS_move_mount, from, "", to_dfd, to, flags);
}

static inline int sys_fsopen(const char *type)
{
	return (int)sys_call(SYS_fsopen, type, FSOPEN_CLOEXEC, 0, 0, 0);
}

static inline int sys_fsconfig(int fs, unsigned int cmd, const char *key, const void *value)
{
	return (int)sys_call(SYS_fsconfig, fs, cmd, key, value, 0);
}

static inline int sys_fspick(int mnt)
{
	return (int)sys_call(SYS_fspick, mnt, "", FSPICK_CLOEXEC | FSPICK_EMPTY_PATH, 0, 0);
}

static inline int sys_fsmount(int fs, unsigned int attrs)
{
	return (int)sys_call(SYS_fsmount, fs, FSMOUNT_CLOEXEC, attrs, 0, 0);
}

static inline int sys_mount_setattr(int dfd, const char *path, unsigned int flags,
				    const struct mount_attr *attr)
{
	return (int)sys_call(SYS_mount_setattr, dfd, path, flags, attr, sizeof(*attr));
}

static inline int sys_openat2(int dfd, const char *path, uint64_t flags, uint64_t resolve)
{
	struct open_how how = { .flags = flags | O_CLOEXEC, .resolve = resolve };

	return (int)sys_call(SYS_openat2, dfd, path, &how, sizeof(how), 0);
}

/* As the kernel writes directory entries: getdents64(2). */
struct sys_dirent {
	uint64_t ino;
	int64_t off;
	uint16_t len;
	unsigned char type;
	char name[];
};

#define SYS_DIRENT_ALIGN _Alignas(struct sys_dirent)

static inline long sys_getdents(int fd, void *buf, size_t size)
{
	return sys_call(SYS_getdents64, fd, (long)buf, (long)size, 0, 0);
}

/* The next of the @n bytes of entries in @buf; *@o starts at 0. Return: the entry, or NULL at the end. */
static inline const struct sys_dirent *sys_dirent_next(const char *buf, long n, long *o)
{
	const struct sys_dirent *d = (const struct sys_dirent *)(const void *)(buf + *o);

	if (*o >= n)
		return NULL;
	*o += d->len; /* NOLINT(clang-analyzer-core.uninitialized.Assign): by the kernel */
	return d;
}

/* all of the basic facts, and the time of birth where the file system has it */
static inline int sys_statx(int dfd, const char *path, unsigned int flags, struct statx *stx)
{
	return (int)sys_call(SYS_statx, dfd, path, flags, STATX_BASIC_STATS | STATX_BTIME, stx);
}

/* fails with EEXIST when @to is there (RENAME_NOREPLACE) */
static inline int sys_rename_new(int dfd, const char *from, const char *to)
{
	return (int)sys_call(SYS_renameat2, dfd, from, dfd, to, 1);
}

static inline long sys_clone3(const struct clone_args *args)
{
	return sys_call(SYS_clone3, args, sizeof(*args), 0, 0, 0);
}

static inline int sys_close_range(unsigned int from, unsigned int to)
{
	return (int)sys_call(SYS_close_range, from, to, 0, 0, 0);
}

static inline int sys_close(int fd)
{
	return (int)sys_call(SYS_close, fd, 0, 0, 0, 0);
}

#endif
