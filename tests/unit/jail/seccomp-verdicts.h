/* SPDX-License-Identifier: Apache-2.0 */
/* What the seccomp programs must answer; read by test-seccomp.c. */
#ifndef SECCOMP_VERDICTS_H
#define SECCOMP_VERDICTS_H

/*
 * One line: call, arguments (C numbers; `|` and other arguments), `=`, answer of the plain program,
 * and after each `/` the answer of the next variant for nested namespaces, if it is another than the one before; after `;` that of the
 * profile `sandbox`, if it is another than the plain one's. The call may be a number, after `i386:` if of that ABI.
 */
static const char *const verdicts[] = {
	/* ordinary life */
	"read 0 0 100 = allow",
	"execve 0 0 0 = allow",
	"fork = allow",
	"ptrace 0 = allow",
	"memfd_secret 0 = allow",

	/* ABI and range: 0xffffffff is a call that a tracer skipped */
	"469 = allow",
	"470 = ENOSYS",
	"0x3fffffff = ENOSYS",
	"0x40000000 = ENOSYS",
	"0x80000000 = ENOSYS",
	"0xfffffffe = ENOSYS",
	"0xffffffff = allow",
	"336 = allow",
	"337 = ENOSYS",
	"423 = ENOSYS",
	"424 = allow",
	"i386:20 = ENOSYS",
	"i386:0xffffffff = ENOSYS",
	"i386:102 1 0 = ENOSYS",

	/* namespaces */
	"clone 0x01200011 0 0 0 0 | 0x003d0f00 0 0 0 0 | 0x4111 | 0x80000011 = allow",
	"clone 0xffffffff80000011 | 0x100000011 | 0x1000000000000011 | 0x11 0x10000000 = allow",
	"clone 0x00020011 | 0x02000011 | 0x04000011 | 0x08000011 | 0x10000011 = EPERM/allow",
	"clone 0x20000011 | 0x40000011 | 0x7e020011 | 0x110000011 = EPERM/allow",
	"clone 0xffffffff10000011 = EPERM/allow",
	"clone3 0 88 = ENOSYS",
	"unshare 0 | 0x600 | 0x50f00 = allow",
	"unshare 0x10000000 | 0x10000200 | 0x00020000 | 0x02000000 | 0x40000000 = EPERM/allow",
	"unshare 0x7e020000 | 0x7e070f00 = EPERM/allow",
	"unshare 0x80 | 1 | 0x80000000 | 0x00100000 | 0x100000000 | 0x110000000 = EPERM",
	"unshare 0x10000080 | 0x8000000010000000 = EPERM",
	"setns 3 0 = EPERM",

	/* mounts */
	"mount 0 0 0 4096 0 = EPERM/EPERM/allow",
	"umount2 0 2 = EPERM/EPERM/allow",
	"pivot_root 0 0 = EPERM/EPERM/allow",
	"open_tree -100 0 1 = EPERM/EPERM/allow",
	"open_tree_attr = EPERM/EPERM/allow",
	"mount_setattr = EPERM/EPERM/allow",
	"fsopen = EPERM/EPERM/allow",
	"fsconfig = EPERM/EPERM/allow",
	"fsmount = EPERM/EPERM/allow",
	"fspick = EPERM/EPERM/allow",
	"move_mount = EPERM/EPERM/allow",
	"sethostname 0 1 = EPERM/EPERM/allow",
	"chroot 0 = EPERM/allow; allow",
	"statmount = allow",

	/* set-id modes */
	"chmod 0 0755 | 0 01777 | 04755 0755 | 0 0x1000001ed | 0 0xfffffffff00001ed = allow",
	"chmod 0 04755 | 0 02755 | 0 06755 | 0 04000 | 0 0x1000009ed = EPERM; allow",
	"chmod 0 0xffffffffffff09ed = EPERM; allow",
	"fchmod 3 04755 = EPERM; allow",
	"fchmod 3 0644 | 06000 0644 = allow",
	"fchmodat -100 0 02755 = EPERM; allow",
	"fchmodat -100 0 0755 | -100 06000 0755 06000 = allow",
	"fchmodat2 -100 0 04755 0x100 | 3 0 04000 0x1000 = EPERM; allow",
	"fchmodat2 -100 0 0755 0x100 | -100 0 0755 06000 = allow",
	"creat 0 04755 = EPERM; allow",
	"creat 0 0644 = allow",
	"mknod 0 0104755 0 | 0 0102755 0 = EPERM; allow",
	"mknod 0 0100644 0 | 0 0010644 06000 = allow",
	"mknodat -100 0 0104755 0 = EPERM; allow",
	"mknodat -100 0 0100644 06000 = allow",
	"mkdir 0 06755 = allow",
	"open 0 0 | 0 0 06000 | 0 0x1 0xffffffffffffffff | 0 0x241 0644 = allow",
	"open 0 0x100000001 04755 | 0 0x4000000000 04755 = allow",
	"open 0 0x241 04644 | 0 0x41 02644 | 0 0x100000041 04755 | 0 0x40 0x100000800 = EPERM; allow",
	"openat -100 0 0 04755 | -100 0 0x80000 0xffffffffffffffff | -100 0 0x241 0644 = allow",
	"openat -100 0 0x410002 0600 | -100 0 0x10000 04755 | -100 06000 0x41 0644 06000 = allow",
	"openat -100 0 0x241 04755 | -100 0 0x41 02755 | -100 0 0xc1 06755 = EPERM; allow",
	"openat -100 0 0x410002 04600 | -100 0 0x400002 04600 | -100 0 0x41 0x100000fff = EPERM; allow",
	"openat2 -100 0 0 24 = ENOSYS",

	/* only the bits of the masks count */
	"openat -100 0 0x3f 04755 | -100 0 0xffbfffbf 04755 | -100 0 0x40 0xfffff3ff = allow",
	"openat -100 0 0x40 04000 | -100 0 0x400000 02000 = EPERM; allow",
	"open 0 0xffbfffbf 04755 | 0 0x40 0xfffff3ff = allow",
	"open 0 0x40 02000 = EPERM; allow",
	"chmod 0 0xfffff3ff = allow",
	"fchmod 3 0xfffff3ff = allow",
	"fchmodat -100 0 0xfffff3ff = allow",
	"fchmodat2 -100 0 0xfffff3ff = allow",
	"creat 0 0xfffff3ff = allow",
	"mknod 0 0xfffff3ff = allow",
	"mknodat -100 0 0xfffff3ff = allow",
	"clone 0x81fdffff = allow",

	/* ioctl */
	"ioctl 0 0x5412 0 | 0 0x541c 0 | 0 0x5423 0 | 0 0x100005412 0 = EPERM",
	"ioctl 0 0xffffffff00005412 0 | 0 0x800000000000541c 0 = EPERM",
	"ioctl 0 0x5413 0 | 0 0x5401 0 | 0 0x15412 0 | 0x5412 0x5401 0x5412 = allow",

	/* sockets: families */
	"socket 0 1 0 | 3 2 0 | 9 1 0 | 11 1 0 | 15 3 2 | 17 3 0 | 17 2 0x300 = EAFNOSUPPORT",
	"socket 21 5 0 | 29 3 1 | 30 5 0 | 31 3 1 | 38 5 0 | 40 1 0 | 43 1 0 = EAFNOSUPPORT",
	"socket 44 3 0 | 45 1 0 | 46 1 0 | 0xffffffff 1 0 | -1 1 0 = EAFNOSUPPORT",
	"socket 0x100000011 3 0 | 0x100000000 1 0 = EAFNOSUPPORT",
	"socket 1 1 0 | 1 2 0 | 1 0x80005 0 | 1 3 0 | 0x100000001 1 0 = allow",
	"socket 0x1100000001 3 0 = allow",
	"socket 2 1 0 | 2 0x80801 6 | 2 2 17 | 2 2 1 | 2 1 262 | 10 1 0 | 10 2 58 = allow",

	/* sockets: types and protocols. 10 is SOCK_PACKET */
	"socket 2 3 1 | 2 3 255 | 2 0x80003 255 | 2 0x803 1 | 2 0x100000003 1 = EAFNOSUPPORT",
	"socket 0x100000002 3 1 | 10 3 58 | 10 0xffffffff00080003 58 | 2 10 0x300 = EAFNOSUPPORT",
	"socket 2 0x8000a 0 | 2 4 0 | 2 5 132 | 2 6 33 | 2 0 0 | 2 15 0 = EAFNOSUPPORT",
	"socket 2 0x300000001 0 | 2 1 0x100000006 = allow",
	"socket 2 1 132 | 2 2 115 | 2 1 256 | 10 1 256 | 2 1 0x100000084 = EPROTONOSUPPORT",
	"socket 2 1 -1 = EPROTONOSUPPORT",

	/* netlink: route and sock_diag */
	"socket 16 3 0 | 16 0x80003 0 | 16 2 4 | 16 3 0x100000000 = allow",
	"socket 16 3 1 | 16 3 5 | 16 3 6 | 16 3 9 | 16 3 12 | 16 3 15 | 16 3 16 = EAFNOSUPPORT",
	"socket 16 3 21 | 16 3 0x10000000c | 0x100000010 3 12 = EAFNOSUPPORT",

	/* pairs: stream and seqpacket can't send anywhere else */
	"socketpair 1 1 0 | 1 0x80801 0 | 1 5 0 | 1 0x80005 0 | 1 0x200000001 0 = allow",
	"socketpair 1 2 0 | 1 0x80802 0 | 1 3 0 | 1 0x100000002 0 = allow",
	"socketpair 0x100000001 2 0 | 1 0xf 0 = allow",
	"socketpair 2 1 0 | 30 5 0 | 0x10000001e 5 0 = EAFNOSUPPORT",

	/* firewalls of a nested root; the low 32 bits count */
	"setsockopt 3 0 64 | 3 0 65 | 3 0 96 | 3 0 97 | 3 0 128 | 3 0 129 = allow/ENOPROTOOPT; ENOPROTOOPT",
	"setsockopt 3 41 64 | 3 41 65 | 3 0x100000000 64 = allow/ENOPROTOOPT; ENOPROTOOPT",
	"setsockopt 3 0 0x100000040 | 3 0xffffffff00000029 65 = allow/ENOPROTOOPT; ENOPROTOOPT",
	"setsockopt 3 0 1 | 3 1 64 | 3 6 65 | 3 41 66 | 3 41 67 | 3 0 52 | 3 41 96 = allow",

	/* the rest */
	"io_uring_setup 8 0 = ENOSYS",
	"keyctl 0 = ENOSYS",
	"bpf 0 = EPERM",
	"perf_event_open = EPERM",
	"userfaultfd = EPERM",
	"open_by_handle_at = EPERM",
	"name_to_handle_at = allow",
	"syslog 3 = EPERM",
};

#endif
