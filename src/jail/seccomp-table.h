/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BAILEY_JAIL_SECCOMP_TABLE_H
#define BAILEY_JAIL_SECCOMP_TABLE_H

/*
 * What the seccomp programs answer: the plain one of the profile `run`, its variants for runs that may make user namespaces
 * (SECCOMP_USERNS) and set up sandboxes (SECCOMP_NESTED), docs/adr/0012; and that of the profile `sandbox` (SECCOMP_STAYS), docs/adr/0031.
 *
 * How to use it:
 * 1. Define a macro that takes one row, expand the list with it, undefine the macro.
 * 2. The users are tools/gen-seccomp.c (makes the program) and tests/unit/jail/test-seccomp.c.
 *    The includer brings <errno.h>, <linux/sched.h>, <linux/fcntl.h>, <asm/ioctls.h> as needed.
 *
 * The program is a deny list: every number up to SECCOMP_NR_MAX was looked at once, those that are
 * not in SECCOMP_DENY or in an argument list are allowed, and every number that nobody looked at
 * answers ENOSYS. The boundary of the sandbox is namespaces, no capabilities and Landlock; this
 * program keeps the paths closed that would reopen these, and makes less of the kernel reachable.
 *
 * EPERM is the answer where a program should learn that it may not, ENOSYS where it has a fall-back
 * for kernels that lack the call, EAFNOSUPPORT for sockets (EPERM breaks PAM).
 *
 * To add a number: read what the call does, put it into a list or decide that it is allowed, then
 * raise SECCOMP_NR_MAX. Rows have the number too, since libseccomp 2.5.4 ends at 450; the
 * generator refuses a row that libseccomp knows under another name or number.
 */

/*
 * Source: arch/x86/entry/syscalls/syscall_64.tbl of Linux 6.18, whose last entry is file_setattr.
 * Linux 6.19 adds listns (470), later ones rseq_slice_yield (471): nothing needs them yet.
 */
#define SECCOMP_NR_MAX 469

/* Numbers that the table leaves free: after uprobe, before pidfd_send_signal. */
#define SECCOMP_NR_GAP_FIRST 337
#define SECCOMP_NR_GAP_LAST 423

/* X(name, number, errno, reason): refused whatever the arguments are. */
#define SECCOMP_DENY(X)                                                                      \
	/* Namespaces. clone3 hides its flags behind a pointer; libcs fall back to clone. */ \
	X(setns, 308, EPERM, "joins another namespace")                                      \
	X(clone3, 435, ENOSYS, "flags behind a pointer, clone is filtered")                  \
	/* Mounts. Without them nothing undoes the read-only view. */                        \
	X(mount, 165, EPERM, "changes the file system view")                                 \
	X(umount2, 166, EPERM, "uncovers what a mount hides")                                \
	X(pivot_root, 155, EPERM, "changes the root")                                        \
	X(chroot, 161, EPERM, "changes the root")                                            \
	X(open_tree, 428, EPERM, "mount API")                                                \
	X(move_mount, 429, EPERM, "mount API")                                               \
	X(fsopen, 430, EPERM, "mount API")                                                   \
	X(fsconfig, 431, EPERM, "mount API")                                                 \
	X(fsmount, 432, EPERM, "mount API")                                                  \
	X(fspick, 433, EPERM, "mount API")                                                   \
	X(mount_setattr, 442, EPERM, "mount API")                                            \
	X(open_tree_attr, 467, EPERM, "mount API")                                           \
	/* Ways round the rules below or round path checks. */                               \
	X(openat2, 437, ENOSYS, "mode behind a pointer, openat is filtered")                 \
	X(io_uring_setup, 425, ENOSYS, "does system calls that no filter sees")              \
	X(io_uring_enter, 426, ENOSYS, "does system calls that no filter sees")              \
	X(io_uring_register, 427, ENOSYS, "does system calls that no filter sees")           \
	X(open_by_handle_at, 304, EPERM, "opens by inode, past every mount")                 \
	/* Large or often broken parts of the kernel. */                                     \
	X(bpf, 321, EPERM, "kernel attack surface")                                          \
	X(perf_event_open, 298, EPERM, "kernel attack surface, watches other processes")     \
	X(userfaultfd, 323, EPERM, "stops the kernel in the middle of a copy")               \
	X(fanotify_init, 300, EPERM, "watches and holds other processes' files")             \
	X(modify_ldt, 154, EPERM, "kernel attack surface, 16-bit code only")                 \
	X(lookup_dcookie, 212, EPERM, "obsolete")                                            \
	X(nfsservctl, 180, EPERM, "obsolete")                                                \
	/* Keyrings are shared with the host through the user id. */                         \
	X(add_key, 248, ENOSYS, "keyrings are not in a namespace")                           \
	X(request_key, 249, ENOSYS, "keyrings are not in a namespace")                       \
	X(keyctl, 250, ENOSYS, "keyrings are not in a namespace")                            \
	/* The machine as a whole. All need capabilities; refused a second time. */          \
	X(kexec_load, 246, EPERM, "replaces the kernel")                                     \
	X(kexec_file_load, 320, EPERM, "replaces the kernel")                                \
	X(create_module, 174, EPERM, "kernel modules")                                       \
	X(init_module, 175, EPERM, "kernel modules")                                         \
	X(finit_module, 313, EPERM, "kernel modules")                                        \
	X(delete_module, 176, EPERM, "kernel modules")                                       \
	X(query_module, 178, EPERM, "kernel modules")                                        \
	X(iopl, 172, EPERM, "I/O ports")                                                     \
	X(ioperm, 173, EPERM, "I/O ports")                                                   \
	X(swapon, 167, EPERM, "host administration")                                         \
	X(swapoff, 168, EPERM, "host administration")                                        \
	X(reboot, 169, EPERM, "host administration")                                         \
	X(acct, 163, EPERM, "host administration")                                           \
	X(quotactl, 179, EPERM, "host administration")                                       \
	X(quotactl_fd, 443, EPERM, "host administration")                                    \
	X(settimeofday, 164, EPERM, "the host's clock")                                      \
	X(clock_settime, 227, EPERM, "the host's clock")                                     \
	X(sethostname, 170, EPERM, "host administration")                                    \
	X(setdomainname, 171, EPERM, "host administration")                                  \
	X(vhangup, 153, EPERM, "hangs up the caller's terminal")                             \
	X(syslog, 103, EPERM, "the host's kernel log")

/*
 * X(name, number, arg, mask, errno, reason): refused when the argument has any bit of the mask.
 * Only the low 32 bits are looked at, since the kernel drops the others too (umode_t has 16, the
 * flags of clone go through lower_32_bits()).
 *
 * mkdir and mkdirat are not here: the kernel drops set-id bits from a new directory's mode.
 * CLONE_NEWTIME is not a flag of clone: its bit belongs to the exit signal there.
 */
#define SECCOMP_SETID 06000u

#define SECCOMP_CLONE_NEW                                                             \
	((unsigned int)(CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | \
			CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET))

#define SECCOMP_CLONE_NR 56
#define SECCOMP_UNSHARE_NR 272

#define SECCOMP_DENY_BITS(X)                                           \
	X(clone, 56, 0, SECCOMP_CLONE_NEW, EPERM, "makes a namespace") \
	X(chmod, 90, 1, SECCOMP_SETID, EPERM, "set-id mode")           \
	X(fchmod, 91, 1, SECCOMP_SETID, EPERM, "set-id mode")          \
	X(fchmodat, 268, 2, SECCOMP_SETID, EPERM, "set-id mode")       \
	X(fchmodat2, 452, 2, SECCOMP_SETID, EPERM, "set-id mode")      \
	X(creat, 85, 1, SECCOMP_SETID, EPERM, "set-id mode")           \
	X(mknod, 133, 1, SECCOMP_SETID, EPERM, "set-id mode")          \
	X(mknodat, 259, 2, SECCOMP_SETID, EPERM, "set-id mode")

/*
 * X(name, number, arg, allowed, errno, reason): refused when the argument has a bit that is not
 * allowed; all 64 bits count. unshare is the other way round than clone because new flags appear
 * that imply a namespace (UNSHARE_EMPTY_MNTNS re-uses the bit of CLONE_PARENT_SETTID).
 */
#define SECCOMP_UNSHARE_OK                                                                  \
	((unsigned int)(CLONE_FS | CLONE_FILES | CLONE_SYSVSEM | CLONE_VM | CLONE_SIGHAND | \
			CLONE_THREAD))

#define SECCOMP_DENY_OTHER_BITS(X) \
	X(unshare, 272, 0, SECCOMP_UNSHARE_OK, EPERM, "makes a namespace")

/*
 * Variants for nested namespaces: each allows what the one before it does. In both, clone is not looked at, unshare may have the flags of SECCOMP_CLONE_NEW
 * too (time namespaces stay refused), and what only a nested root reaches is refused besides. clone3, setns and openat2 stay refused:
 * whoever needs a namespace can make it, and has fall-backs.
 */
enum seccomp_variant {
	SECCOMP_PLAIN,
	SECCOMP_USERNS,
	SECCOMP_NESTED,
	SECCOMP_STAYS, /* the profile `sandbox`: PLAIN, but for set-id modes and SECCOMP_ALLOW_STAYS */
	SECCOMP_VARIANTS
};

/*
 * X(name): rows of SECCOMP_DENY that sandboxes with a root inside leave out. Set-id modes are what their packages are made of; what appears with
 * one in a workspace is taken back at the end (docs/adr/0031).
 */
#define SECCOMP_ALLOW_STAYS(X) \
	X(chroot) /* daemons close themselves in; needs the capability that root inside has */

/* X(name): rows of SECCOMP_DENY that a variant and those after it leave out. */
#define SECCOMP_ALLOW_USERNS(X) X(chroot) /* browsers give up their view of the files by it */

#define SECCOMP_ALLOW_NESTED(X)                                                              \
	X(mount)                                                                             \
	X(umount2)                                                                           \
	X(pivot_root)                                                                        \
	X(open_tree)                                                                         \
	X(move_mount)                                                                        \
	X(fsopen)                                                                            \
	X(fsconfig)                                                                          \
	X(fsmount)                                                                           \
	X(fspick)                                                                            \
	X(mount_setattr)                                                                     \
	X(open_tree_attr)                                                                    \
	X(sethostname) /* of a host name namespace of its own; the sandbox's needs rights */ \
	X(setdomainname)

/*
 * X(level, optname, reason): setsockopt (54) in the variants, whose network namespaces give rights over firewalls. iptables by
 * setsockopt works on every socket, and wrote past its buffers for 15 years (CVE-2021-22555). ENOPROTOOPT as kernels without it.
 */
#define SECCOMP_SETSOCKOPT_NR 54
#define SECCOMP_DENY_SETSOCKOPT(X)               \
	X(IPPROTO_IP, 64, "iptables: rules")     \
	X(IPPROTO_IP, 65, "iptables: counters")  \
	X(IPPROTO_IP, 96, "arptables: rules")    \
	X(IPPROTO_IP, 97, "arptables: counters") \
	X(IPPROTO_IP, 128, "ebtables: rules")    \
	X(IPPROTO_IP, 129, "ebtables: counters") \
	X(IPPROTO_IPV6, 64, "ip6tables: rules")  \
	X(IPPROTO_IPV6, 65, "ip6tables: counters")

/*
 * X(name, number, errno, reason): a program of its own, on top of a variant, where the command's id is root on the disk (a workspace
 * with mapped owners). A nested root may give its own files capabilities, which would then be the host root's. Names of attributes
 * are behind a pointer, so all of them are refused, as on a file system that has none.
 */
#define SECCOMP_DENY_XATTR(X)                                        \
	X(setxattr, 188, EOPNOTSUPP, "could set file capabilities")  \
	X(lsetxattr, 189, EOPNOTSUPP, "could set file capabilities") \
	X(fsetxattr, 190, EOPNOTSUPP, "could set file capabilities") \
	X(setxattrat, 463, EOPNOTSUPP, "could set file capabilities")

/*
 * X(name, number, arg of flags, arg of mode, errno, reason): refused when the flags create a file
 * and its mode has a set-id bit. Without O_CREAT and O_TMPFILE the mode is garbage.
 * Of O_TMPFILE only the bit of its own counts, as in the kernel: the rest is O_DIRECTORY.
 */
#define SECCOMP_CREATE_FLAGS ((unsigned int)(O_CREAT | (O_TMPFILE & ~O_DIRECTORY)))

#define SECCOMP_DENY_CREATE(X)                                    \
	X(openat, 257, 2, 3, EPERM, "creates with a set-id mode") \
	X(open, 2, 1, 2, EPERM, "creates with a set-id mode")

/*
 * X(value, errno, reason): ioctl commands (argument 1). The kernel looks at the low 32 bits, so a
 * comparison of 64 bits would let 0x1_0000_5412 through.
 *
 * A snapshot shows what is below the mounts that mask or protect, at a name that nobody judged, and
 * anybody may ask for one of a tree that is his own. The numbers are written out: <linux/btrfs.h>
 * has not all of them, and no header has bcachefs's.
 */
#define SECCOMP_IOCTL_NR 16
#define SECCOMP_DENY_IOCTL(X)                                                       \
	X(TIOCSTI, EPERM, "types into the caller's terminal")                       \
	X(TIOCLINUX, EPERM, "pastes into the console")                              \
	X(TIOCSETD, EPERM, "loads line disciplines, kernel attack surface")         \
	X(0x50009401u, EPERM, "BTRFS_IOC_SNAP_CREATE: copies what is masked")       \
	X(0x50009417u, EPERM, "BTRFS_IOC_SNAP_CREATE_V2")                           \
	X(0x5000940eu, EPERM, "BTRFS_IOC_SUBVOL_CREATE: a name that nobody judged") \
	X(0x50009418u, EPERM, "BTRFS_IOC_SUBVOL_CREATE_V2")                         \
	X(0x4020bc10u, EPERM, "BCH_IOCTL_SUBVOLUME_CREATE: both, on bcachefs")      \
	X(0x4030bc1du, EPERM, "BCH_IOCTL_SUBVOLUME_CREATE_v2")

/*
 * Sockets: socket (41) and socketpair (53), written out in tools/gen-seccomp.c.
 *
 *   AF_UNIX                allowed, or a notification in the variant with one
 *   AF_INET, AF_INET6      SOCK_STREAM and SOCK_DGRAM with the protocols below; other types
 *                          EAFNOSUPPORT (SOCK_RAW; SOCK_PACKET makes a packet socket of AF_INET),
 *                          other protocols EPROTONOSUPPORT, as a kernel without them answers
 *   AF_NETLINK             the protocols below, others EAFNOSUPPORT
 *   all others             EAFNOSUPPORT
 *   socketpair             AF_UNIX only. In the variant: a notification unless SOCK_STREAM or
 *                          SOCK_SEQPACKET, since every other pair can still send to any path
 *                          (AF_UNIX takes SOCK_RAW for SOCK_DGRAM)
 *
 * The kernel looks at the low 32 bits of each, and at the low four bits of the type.
 */
#define SECCOMP_SOCKET_NR 41
#define SECCOMP_SOCKETPAIR_NR 53
#define SECCOMP_SOCK_TYPE_MASK 0xfu

/* X(protocol, reason). SCTP, DCCP, L2TP and SMC would be loaded as modules by anyone's socket(). */
#define SECCOMP_ALLOW_INET(X)                        \
	X(0, "the default of the type")              \
	X(IPPROTO_TCP, "")                           \
	X(IPPROTO_UDP, "")                           \
	X(IPPROTO_ICMP, "ping without privileges")   \
	X(IPPROTO_ICMPV6, "ping without privileges") \
	X(IPPROTO_MPTCP, "what Go's listeners ask for first")

#define SECCOMP_ALLOW_NETLINK(X)                       \
	X(NETLINK_ROUTE, "getifaddrs, if_nametoindex") \
	X(NETLINK_SOCK_DIAG, "ss")

/*
 * X(name, number, reason): calls that other sandboxes refuse and this one allows on purpose. The
 * list makes no code; it records the decision, and the test checks that they are allowed.
 */
#define SECCOMP_ALLOW_ON_PURPOSE(X)                                                               \
	/* Debuggers. Who may trace whom is the kernel's check: same user namespace, dumpable; */ \
	/* PID 1 is not dumpable. Since Linux 4.8 the filter runs after the tracer, so that a */  \
	/* tracer can't turn an allowed call into a refused one. */                               \
	X(ptrace, 101, "debuggers on the sandbox's own processes")                                \
	X(process_vm_readv, 310, "the same check as ptrace; gdb, strace, MPI")                    \
	X(process_vm_writev, 311, "the same check as ptrace; gdb, MPI")                           \
	X(kcmp, 312, "the same check as ptrace; Mesa, CRIU")                                      \
	X(pidfd_open, 434, "no more than a pid; setns on it is refused")                          \
	X(pidfd_getfd, 438, "the same check as ptrace")                                           \
	X(process_madvise, 440, "the same check as ptrace")                                       \
	X(process_mrelease, 448, "only frees what is dying anyway")                               \
	X(personality, 135, "setarch and gdb switch off address randomisation")                   \
	X(uretprobe, 335, "called by the kernel's own trampoline only")                           \
	X(uprobe, 336, "called by the kernel's own trampoline only")                              \
	/* Memory. All of it the caller's own. */                                                 \
	X(memfd_create, 319, "counts as the caller's memory")                                     \
	X(memfd_secret, 447, "counts as locked memory, RLIMIT_MEMLOCK bounds it")                 \
	X(mbind, 237, "NUMA placement of own memory; databases, JVM")                             \
	X(set_mempolicy, 238, "NUMA placement of own memory")                                     \
	X(migrate_pages, 256, "the same check as ptrace")                                         \
	X(move_pages, 279, "the same check as ptrace")                                            \
	X(remap_file_pages, 216, "emulated by mmap since Linux 4.0")                              \
	X(vmsplice, 278, "pipes, no new rights")                                                  \
	X(mincore, 27, "tells only about files that the caller could write")                      \
	X(cachestat, 451, "tells only about files that the caller could write")                   \
	/* These only take rights away. A listener of the command can't win over a refusal: */    \
	/* an errno goes before a notification, and a second listener gets EBUSY. */              \
	X(seccomp, 317, "only adds filters; browsers, nested sandboxes")                          \
	X(landlock_create_ruleset, 444, "only takes rights away")                                 \
	X(landlock_add_rule, 445, "only takes rights away")                                       \
	X(landlock_restrict_self, 446, "only takes rights away")                                  \
	/* Files. */                                                                              \
	X(name_to_handle_at, 303, "a handle opens nothing while open_by_handle_at is refused")    \
	X(fanotify_mark, 301, "needs an fd that fanotify_init refuses to make")                   \
	X(statmount, 457, "what /proc/self/mountinfo says too")                                   \
	X(listmount, 458, "what /proc/self/mountinfo says too")                                   \
	X(setxattrat, 463, "setxattr by directory fd; security.* needs capabilities")             \
	X(file_setattr, 469, "FS_IOC_FSSETXATTR by name; immutable needs a capability")           \
	X(io_setup, 206, "old asynchronous I/O on open files only; databases")                    \
	X(mkdir, 83, "the kernel drops set-id bits")                                              \
	X(mkdirat, 258, "the kernel drops set-id bits")                                           \
	/* Reading is free, changing needs a capability that is gone. */                          \
	X(adjtimex, 159, "reads the clock's state; ntp_gettime")                                  \
	X(clock_adjtime, 305, "reads the clock's state")                                          \
	X(lsm_set_self_attr, 460, "what /proc/self/attr does too")                                \
	X(capset, 126, "no capability is left to raise")                                          \
	X(prctl, 157, "every libc and shell; can't lift no_new_privs or a filter")

/*
 * What a run with --report hears of. No row refuses anything: a listener only looks (notify.c), and what the lists above refuse is refused
 * without asking. The numbers are those of arguments; -1: there is none.
 * X(name, number, op, directory, path, second directory, second path, open flags, links are followed)
 */
#define SECCOMP_NOTIFY(X)                               \
	X(openat, 257, OPEN, 0, 1, -1, -1, 2, 1)        \
	X(open, 2, OPEN, -1, 0, -1, -1, 1, 1)           \
	X(creat, 85, CREATE, -1, 0, -1, -1, -1, 1)      \
	X(mkdir, 83, MKDIR, -1, 0, -1, -1, -1, 0)       \
	X(mkdirat, 258, MKDIR, 0, 1, -1, -1, -1, 0)     \
	X(mknod, 133, MKNOD, -1, 0, -1, -1, -1, 0)      \
	X(mknodat, 259, MKNOD, 0, 1, -1, -1, -1, 0)     \
	X(rename, 82, RENAME, -1, 0, -1, 1, -1, 0)      \
	X(renameat, 264, RENAME, 0, 1, 2, 3, -1, 0)     \
	X(renameat2, 316, RENAME, 0, 1, 2, 3, -1, 0)    \
	X(unlink, 87, REMOVE, -1, 0, -1, -1, -1, 0)     \
	X(unlinkat, 263, REMOVE, 0, 1, -1, -1, -1, 0)   \
	X(rmdir, 84, REMOVE, -1, 0, -1, -1, -1, 0)      \
	X(link, 86, LINK, -1, 1, -1, -1, -1, 0)         \
	X(linkat, 265, LINK, 2, 3, -1, -1, -1, 0)       \
	X(symlink, 88, SYMLINK, -1, 1, -1, -1, -1, 0)   \
	X(symlinkat, 266, SYMLINK, 1, 2, -1, -1, -1, 0) \
	X(chmod, 90, CHMOD, -1, 0, -1, -1, -1, 1)       \
	X(fchmodat, 268, CHMOD, 0, 1, -1, -1, -1, 1)    \
	X(fchmodat2, 452, CHMOD, 0, 1, -1, -1, -1, 1)   \
	X(chown, 92, CHOWN, -1, 0, -1, -1, -1, 1)       \
	X(lchown, 94, CHOWN, -1, 0, -1, -1, -1, 0)      \
	X(fchownat, 260, CHOWN, 0, 1, -1, -1, -1, 0)    \
	X(truncate, 76, TRUNCATE, -1, 0, -1, -1, -1, 1) \
	X(utimensat, 280, UTIME, 0, 1, -1, -1, -1, 1)   \
	X(utime, 132, UTIME, -1, 0, -1, -1, -1, 1)      \
	X(utimes, 235, UTIME, -1, 0, -1, -1, -1, 1)     \
	X(futimesat, 261, UTIME, 0, 1, -1, -1, -1, 1)

#endif
