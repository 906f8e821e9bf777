# SPDX-License-Identifier: Apache-2.0
"""
As if the command had taken PID 1 of its sandbox over: its socket to the supervisor is taken out of it, by the host's root, and these words are said there.

Usage: hijacked.py PID WORDS
"""
import contextlib
import ctypes
import os
import pathlib
import socket
import struct
import sys

READY, FAILED, STARTED, STOPPED, ENDED, LISTENER, NETWORK = range(1, 8)  # src/wire/wire.h
PIDFD_OPEN, PIDFD_GETFD = 434, 438


def message(kind, payload=b"", session=0, version=1, zero=0):
    return struct.pack("<HHIII", version, kind, len(payload), session, zero) + payload


def ended(session, status=0, **more):
    return message(ENDED, struct.pack("<iq", status, -1), session, **more)


def stopped(session, signal=19):
    return message(STOPPED, struct.pack("<i", signal), session)


# What is said, each a message with so many descriptors. 1 is the first command, which a sandbox that stays has not; the exec that the test has begun is 2.
WORDS = {
    "no message": [(bytes(range(256)), 0)], "empty": [(b"", 0)], "cut": [(ended(2)[:20], 0)], "long": [(ended(2) + bytes(4000), 0)],
    "another version": [(ended(2, version=2), 0)], "not zero": [(ended(2, zero=1), 0)], "what the supervisor says": [(message(36, bytes(4)), 0)], "what a client says": [(message(45), 0)],
    "what a supervisor answers": [(message(16, bytes(40)), 0)],
    "ready again": [(message(READY, bytes(4)), 0)], "network late": [(message(NETWORK), 4)], "listener late": [(message(LISTENER), 1)],
    "failed": [(message(FAILED, bytes(8) + b"x" * 1000), 0)], "failed as it is": [(message(FAILED, b""), 0)],
    "started": [(message(STARTED, struct.pack("<I", 1), 1), 0)], "started twice": [(message(STARTED, struct.pack("<I", 1), 2), 0)], "started with a terminal that is none": [(message(STARTED, struct.pack("<I", 1), 2), 1)],
    "stopped": [(stopped(n), 0) for n in (0, 1, 2)], "stopped by no signal": [(stopped(2, 4000), 0)],
    "the first has ended": [(ended(1), 0)], "the sandbox has ended": [(ended(0), 0)], "somebody has ended": [(ended(n), 0) for n in range(3, 4000)], "ended as nothing ends": [(ended(2, 0x7F), 0)],
    "descriptors": [(stopped(2), 3)] * 2000, "flood": [(stopped(3), 0)] * 200000,
}  # fmt: skip
# What the supervisor goes on after: nobody is meant, or it is known already.
GO_ON = ("started twice", "started with a terminal that is none", "somebody has ended", "flood")


def first_of(launcher):
    """PID 1 of the sandbox of a launcher or supervisor, as the host has it."""
    for p in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            status = dict(line.split(":\t", 1) for line in pathlib.Path(f"/proc/{p}/status").read_text("ascii", "replace").splitlines())
            if int(status["PPid"]) == launcher and status["NSpid"].split()[1:] == ["1"]:
                return int(p)
    return 0


def socket_of(pid):
    """Of PID 1: the one to the supervisor."""
    libc = ctypes.CDLL(None, use_errno=True)
    pidfd = libc.syscall(PIDFD_OPEN, pid, 0)
    found = []
    for n in os.listdir(f"/proc/{pid}/fd"):
        if os.readlink(f"/proc/{pid}/fd/{n}").startswith("socket:"):
            s = socket.socket(fileno=libc.syscall(PIDFD_GETFD, pidfd, int(n), 0))
            if s.type & 0xF == socket.SOCK_SEQPACKET:
                found.append(s)
    (s,) = found
    return s


def main():
    s = socket_of(int(sys.argv[1]))
    null = os.open("/dev/null", os.O_RDWR)
    try:
        for data, n in WORDS[sys.argv[2]]:
            if n:
                socket.send_fds(s, [data], [null] * n)
            else:
                s.send(data)
    except OSError as e:
        print(e)  # it has hung up


if __name__ == "__main__":
    main()
