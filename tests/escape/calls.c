/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls that the filter refuses. The arguments are chosen so that even root outside only gets an argument error:
 * BAD is no address, -1 no descriptor. `sys NUMBER ARG...` tries any other.
 */
#define _GNU_SOURCE
#include "probe.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/personality.h>
#include <sys/syscall.h>
#include <sys/timex.h>
#include <unistd.h>

#define BAD 8L /* an address that no process has */
#define NOFD (-1L)

/* By number: libc's headers are older than some. */
static const struct call {
	const char *name;
	long nr;
	long a[6];
} calls[] = {
	{ "mount", 165, { BAD, BAD, BAD, 0, 0 } },
	{ "umount2", 166, { BAD, 0 } },
	{ "pivot_root", 155, { BAD, BAD } },
	{ "chroot", 161, { BAD } },
	{ "open_tree", 428, { AT_FDCWD, BAD, 0 } },
	{ "move_mount", 429, { NOFD, BAD, NOFD, BAD, 0 } },
	{ "fsopen", 430, { BAD, 0 } },
	{ "fsconfig", 431, { NOFD, 0, BAD, 0, 0 } },
	{ "fsmount", 432, { NOFD, 0, 0 } },
	{ "fspick", 433, { NOFD, BAD, 0 } },
	{ "mount_setattr", 442, { NOFD, BAD, 0, BAD, 32 } },
	{ "open_tree_attr", 467, { AT_FDCWD, BAD, 0, 0, 0 } },
	{ "setns", 308, { NOFD, 0 } },
	{ "io_uring_setup", 425, { 1, BAD } },
	{ "io_uring_enter", 426, { NOFD, 0, 0, 0, 0, 0 } },
	{ "io_uring_register", 427, { NOFD, 0, 0, 0 } },
	{ "bpf", 321, { 0, BAD, 16 } },
	{ "perf_event_open", 298, { BAD, 0, NOFD, NOFD, 0 } },
	{ "userfaultfd", 323, { 0x7fff0000 } },
	{ "add_key", 248, { BAD, BAD, 0, 0, -2 } },
	{ "request_key", 249, { BAD, BAD, 0, -2 } },
	{ "keyctl", 250, { 9999, 0, 0, 0, 0 } },
	{ "modify_ldt", 154, { 0, BAD, 0 } },
	{ "kexec_load", 246, { 0, 0, 0, 0x7fff } },
	{ "kexec_file_load", 320, { NOFD, NOFD, 0, 0, 0x7fff } },
	{ "init_module", 175, { BAD, 0, BAD } },
	{ "finit_module", 313, { NOFD, BAD, 0 } },
	{ "delete_module", 176, { BAD, 0 } },
	{ "iopl", 172, { 9 } },
	{ "ioperm", 173, { 0x7fffffff, 1, 1 } },
	{ "swapon", 167, { BAD, 0 } },
	{ "swapoff", 168, { BAD } },
	{ "reboot", 169, { 0, 0, 0, 0 } },
	{ "acct", 163, { BAD } },
	{ "quotactl", 179, { 0x7fffff00, BAD, 0, 0 } },
	{ "quotactl_fd", 443, { NOFD, 0x7fffff00, 0, 0 } },
	{ "settimeofday", 164, { BAD, 0 } },
	{ "clock_settime", 227, { 9999, BAD } },
	{ "clock_adjtime", 305, { 9999, BAD } },
	{ "sethostname", 170, { BAD, 1 } },
	{ "setdomainname", 171, { BAD, 1 } },
	{ "open_by_handle_at", 304, { NOFD, BAD, 0 } },
	{ "fanotify_init", 300, { 0x7fff0000, 0 } },
	{ "syslog", 103, { 9999, 0, 0 } },
	{ "nfsservctl", 180, { 0, 0, 0 } },
	{ "lookup_dcookie", 212, { 0, BAD, 1 } },
	{ "openat2", 437, { AT_FDCWD, BAD, BAD, 24 } },
};

static int p_call(int argc, char **argv)
{
	(void)argc;
	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		const struct call *c = &calls[i];

		if (strcmp(c->name, argv[0]) == 0)
			return result(syscall(c->nr, c->a[0], c->a[1], c->a[2], c->a[3], c->a[4],
					      c->a[5]));
	}
	fprintf(stderr, "probe: no call is named '%s'\n", argv[0]);
	exit(2);
}

/* sys NUMBER [ARG...] */
static int p_sys(int argc, char **argv)
{
	unsigned long a[7] = { 0 };

	for (int i = 0; i < argc && i < 7; i++)
		a[i] = num(argv[i]);
	return result(syscall((long)a[0], a[1], a[2], a[3], a[4], a[5], a[6]));
}

static sigjmp_buf no_int80;

static void on_no_int80(int sig)
{
	siglongjmp(no_int80, sig);
}

/* int80 NUMBER [ARG ARG ARG]: the 32-bit table, which numbers calls differently. A kernel without it answers by SIGSEGV. */
static int p_int80(int argc, char **argv)
{
	long ret;
	long nr = (long)num(argv[0]);
	long b = argc > 1 ? (long)num(argv[1]) : 0;
	long c = argc > 2 ? (long)num(argv[2]) : 0;
	long d = argc > 3 ? (long)num(argv[3]) : 0;

	signal(SIGSEGV, on_no_int80);
	if (sigsetjmp(no_int80, 1))
		return -ENOSYS;
	__asm__ volatile("int $0x80"
			 : "=a"(ret)
			 : "a"(nr), "b"(b), "c"(c), "d"(d)
			 : "memory", "r8", "r9", "r10", "r11");
	ret = (int)ret;
	return ret < 0 && ret > -4096 ? (int)ret : 0;
}

/* Calls that really work where they are allowed, each without a lasting effect. */
static int p_mount_tmpfs(int argc, char **argv)
{
	(void)argc;
	if (mount("bailey-probe", argv[0], "tmpfs", 0, NULL) < 0)
		return -errno;
	return result(umount2(argv[0], MNT_DETACH));
}

/* mount-overlay DIR LOWER: read-only, of two lower directories, with the attributes that any owner can set. */
static int p_mount_overlay(int argc, char **argv)
{
	char options[1200];

	(void)argc;
	snprintf(options, sizeof(options), "lowerdir=%s:%s,userxattr", argv[1], argv[0]);
	if (mount("bailey-probe", argv[0], "overlay", MS_RDONLY, options) < 0)
		return -errno;
	return result(umount2(argv[0], MNT_DETACH));
}

/* The machine's own name, once more. */
static int p_hostname_same(int argc, char **argv)
{
	char name[128];

	(void)argc;
	(void)argv;
	if (gethostname(name, sizeof(name)) < 0)
		return -errno;
	return result(sethostname(name, strlen(name)));
}

/* The clock's frequency, once more. */
static int p_clock_same(int argc, char **argv)
{
	struct timex t = { .modes = 0 };

	(void)argc;
	(void)argv;
	if (adjtimex(&t) < 0)
		return -errno;
	t.modes = ADJ_FREQUENCY;
	return adjtimex(&t) < 0 ? -errno : 0;
}

/* mmap-low ADDRESS: memory where a null pointer of the kernel would lead. */
static int p_mmap_low(int argc, char **argv)
{
	void *p = mmap((void *)num(argv[0]), 4096, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);

	(void)argc;
	return p == MAP_FAILED ? -errno : 0;
}

/* personality VALUE COMMAND...: what is executed then has it. */
static int p_personality(int argc, char **argv)
{
	(void)argc;
	if (personality(num(argv[0])) < 0)
		return -errno;
	(void)execv(argv[1], argv + 1);
	return -errno;
}

static int p_umount(int argc, char **argv)
{
	(void)argc;
	if (getenv("PROBE_OUTSIDE"))
		return -EINVAL; /* it would work */
	return result(umount2(argv[0], MNT_DETACH));
}

static int p_remount_rw(int argc, char **argv)
{
	(void)argc;
	if (getenv("PROBE_OUTSIDE"))
		return -EINVAL; /* it would work */
	return result(mount(NULL, argv[0], NULL, MS_REMOUNT | MS_BIND, NULL));
}

static int do_chroot(void *arg)
{
	return result(chroot(arg));
}

static int p_chroot(int argc, char **argv)
{
	(void)argc;
	return in_child(do_chroot, argv[0]);
}

static int opened(long fd)
{
	if (fd < 0)
		return -errno;
	close((int)fd);
	return 0;
}

static int p_open_tree(int argc, char **argv)
{
	(void)argc;
	return opened(syscall(428, AT_FDCWD, argv[0], (long)num(argv[1])));
}

static int p_fsopen(int argc, char **argv)
{
	(void)argc;
	return opened(syscall(430, argv[0], 0L));
}

static int p_io_uring(int argc, char **argv)
{
	static char params[120];

	(void)argc;
	(void)argv;
	return opened(syscall(425, 1L, params));
}

/* The smallest map: an array of one. */
static int p_bpf_map(int argc, char **argv)
{
	static uint32_t attr[32] = { 2, 4, 4, 1 };

	(void)argc;
	(void)argv;
	return opened(syscall(321, 0L, attr, sizeof(attr)));
}

/* A software counter of this process alone, without the kernel's share. */
static int p_perf(int argc, char **argv)
{
	static uint64_t attr[16];

	(void)argc;
	(void)argv;
	attr[0] = 1 | (uint64_t)sizeof(attr) << 32; /* type software, size */
	attr[1] = 1;                                /* task clock */
	attr[5] = 1 | 1 << 5 | 1 << 6;              /* disabled, exclude kernel and hypervisor */
	return opened(syscall(298, attr, 0L, -1L, -1L, 0L));
}

static int p_userfault(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	return opened(syscall(323, 1L)); /* user mode only */
}

static int p_fanotify(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	return opened(syscall(300, 0x200L, 0L)); /* report by file id: allowed to users */
}

/* A key in this process's own keyring, which dies with it. */
static int p_add_key(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	return result(syscall(248, "user", "bailey-probe", "x", 1L, -2L));
}

static int p_keyctl(int argc, char **argv)
{
	(void)argc;
	return result(syscall(250, 0L, (long)num(argv[0]), 0L, 0L,
			      0L)); /* id of keyring -N given as unsigned */
}

/* with-key NAME COMMAND...: a new session keyring with one key, kept through exec. */
static int p_with_key(int argc, char **argv)
{
	(void)argc;
	if (syscall(250, 1L, 0L) < 0 || syscall(248, "user", argv[0], "secret", 6L, -3L) < 0)
		return -errno;
	(void)execv(argv[1], argv + 1);
	return -errno;
}

/* key NAME: looks for it in the inherited session keyring. */
static int p_key(int argc, char **argv)
{
	(void)argc;
	return result(syscall(250, 10L, -3L, "user", argv[0], 0L));
}

static int p_ldt(int argc, char **argv)
{
	static char buf[64];

	(void)argc;
	(void)argv;
	return result(syscall(154, 0L, buf, sizeof(buf)));
}

/* handle PATH: a file by its handle, which needs no path and no mount's permission. */
static int p_handle(int argc, char **argv)
{
	struct {
		unsigned int bytes;
		int type;
		unsigned char data[128];
	} h = { .bytes = sizeof(h.data) };
	int mount_id;
	int at;
	int r;

	(void)argc;
	if (syscall(303, AT_FDCWD, argv[0], &h, &mount_id, 0L) < 0)
		return -errno;
	at = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	r = opened(syscall(304, (long)at, &h, 0L));
	close(at);
	return r;
}

const struct probe call_probes[] = {
	{ "call", 1, p_call },
	{ "sys", 1, p_sys },
	{ "int80", 1, p_int80 },
	{ "mount-tmpfs", 1, p_mount_tmpfs },
	{ "mount-overlay", 2, p_mount_overlay },
	{ "hostname-same", 0, p_hostname_same },
	{ "clock-same", 0, p_clock_same },
	{ "mmap-low", 1, p_mmap_low },
	{ "personality", 2, p_personality },
	{ "umount", 1, p_umount },
	{ "remount-rw", 1, p_remount_rw },
	{ "chroot", 1, p_chroot },
	{ "open-tree", 2, p_open_tree },
	{ "fsopen", 1, p_fsopen },
	{ "io-uring", 0, p_io_uring },
	{ "bpf-map", 0, p_bpf_map },
	{ "perf", 0, p_perf },
	{ "userfault", 0, p_userfault },
	{ "fanotify", 0, p_fanotify },
	{ "add-key", 0, p_add_key },
	{ "keyctl", 1, p_keyctl },
	{ "with-key", 2, p_with_key },
	{ "key", 1, p_key },
	{ "ldt", 0, p_ldt },
	{ "handle", 1, p_handle },
	{ NULL, 0, NULL },
};
