# SPDX-License-Identifier: Apache-2.0
"""Calls that a root inside could reach the kernel by, one line "NAME ERRNO" each; run inside, and outside as the control.

Arguments are such that the kernel itself would find a fault in them (or do no harm), so that EPERM and ENOSYS are a filter's answer.
"""
import ctypes
import errno
import os
import sys

BAD = ctypes.c_void_p(-1)
CLONE = {"newuser": 0x10000000, "newns": 0x20000, "newnet": 0x40000000, "newpid": 0x20000000, "newuts": 0x4000000, "newipc": 0x8000000, "newcgroup": 0x2000000}

# name: number, arguments, what must be answered
CALLS: dict[str, tuple[int, tuple, int]] = {
    "mount": (165, (BAD, BAD, BAD, 0, 0), errno.EPERM),
    "umount2": (166, (BAD, 0), errno.EPERM),
    "pivot_root": (155, (BAD, BAD), errno.EPERM),
    "fsopen": (430, (BAD, 0), errno.EPERM),
    "fsconfig": (431, (-1, 99, 0, 0, 0), errno.EPERM),
    "fsmount": (432, (-1, 0, 0), errno.EPERM),
    "fspick": (433, (-1, BAD, 0), errno.EPERM),
    "open_tree": (428, (-1, BAD, 0), errno.EPERM),
    "move_mount": (429, (-1, BAD, -1, BAD, 0), errno.EPERM),
    "mount_setattr": (442, (-1, BAD, 0, BAD, 32), errno.EPERM),
    "setns": (308, (-1, 0), errno.EPERM),
    "clone3": (435, (0, 0), errno.ENOSYS),
    "openat2": (437, (-1, BAD, BAD, 24), errno.ENOSYS),
    "bpf": (321, (99, BAD, 8), errno.EPERM),
    "perf_event_open": (298, (BAD, 0, -1, -1, 0), errno.EPERM),
    "userfaultfd": (323, (0x40000000,), errno.EPERM),
    "io_uring_setup": (425, (1, BAD), errno.ENOSYS),
    "keyctl": (250, (9999, 0, 0, 0, 0), errno.ENOSYS),
    "add_key": (248, (BAD, BAD, 0, 0, 0), errno.ENOSYS),
    "request_key": (249, (BAD, BAD, 0, 0), errno.ENOSYS),
    "open_by_handle_at": (304, (-1, BAD, 0), errno.EPERM),
    "fanotify_init": (300, (0xffffffff, 0), errno.EPERM),
    "init_module": (175, (BAD, 1, BAD), errno.EPERM),
    "finit_module": (313, (-1, BAD, 0), errno.EPERM),
    "delete_module": (176, (BAD, 0), errno.EPERM),
    "kexec_load": (246, (0, 99, 0, 0xffff), errno.EPERM),
    "iopl": (172, (99,), errno.EPERM),
    "swapon": (167, (BAD, 0), errno.EPERM),
    "acct": (163, (BAD,), errno.EPERM),
    "reboot": (169, (1, 2, 3, 0), errno.EPERM),
    "sethostname": (170, (BAD, 1), errno.EPERM),
    "clock_settime": (227, (0, BAD), errno.EPERM),
    "settimeofday": (164, (BAD, 0), errno.EPERM),
    "syslog": (103, (99, 0, 0), errno.EPERM),
    "raw": (41, (2, 3, 1), errno.EAFNOSUPPORT),
    "packet": (41, (17, 3, 0), errno.EAFNOSUPPORT),
    "vsock": (41, (40, 1, 0), errno.EAFNOSUPPORT),
    "netfilter": (41, (16, 3, 12), errno.EAFNOSUPPORT),
    "audit": (41, (16, 3, 9), errno.EAFNOSUPPORT),
    "mknod_device": (133, (b"/tmp/calls-of-root", 0o20600, 0x103), errno.EPERM),
    "ptrace_1": (101, (0x4206, 1, 0, 0), errno.EPERM),  # PTRACE_SEIZE stops nobody
}
CALLS |= {f"unshare_{k}": (272, (v,), errno.EPERM) for k, v in CLONE.items()}
CALLS |= {f"clone_{k}": (56, (v | 17, 0, 0, 0, 0), errno.EPERM) for k, v in CLONE.items()}


def answer(number, args):
    """In a process of its own: some of them would change the caller."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        libc = ctypes.CDLL(None, use_errno=True)
        r = libc.syscall(ctypes.c_long(number), *(ctypes.c_long(a) if isinstance(a, int) else a for a in args))
        if number == 56 and r == 0:
            os._exit(0)
        os.write(write, str(ctypes.get_errno() if r < 0 else 0).encode())
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as f:
        text = f.read()
    os.waitpid(pid, 0)
    return text


def main():
    for name, (number, args, want) in CALLS.items():
        print(name, want if sys.argv[1:] else answer(number, args))
    if os.path.lexists("/tmp/calls-of-root"):
        os.unlink("/tmp/calls-of-root")


main()
