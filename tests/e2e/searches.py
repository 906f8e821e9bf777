# SPDX-License-Identifier: Apache-2.0
"""Searching for a secret: the forms that it may have, the processes of a run, and all that can be read of them."""
import base64
import ctypes
import os
import pathlib
import subprocess
import urllib.parse
from collections.abc import Iterable

from conftest import PYTHON


def forms(value: str | bytes) -> set[bytes]:
    """What VALUE looks like to who searches: as it is, URL-encoded, hexadecimal, base64 at each position and of either alphabet, turned round."""
    raw = value.encode() if isinstance(value, str) else value
    coded = urllib.parse.quote(value, safe="").encode()
    found = {raw, coded, coded.lower(), raw.hex().encode(), raw.hex().upper().encode(), raw[::-1]}
    for shift in range(3):
        text = base64.b64encode(b"\0" * shift + raw)
        inner = text[(0, 2, 3)[shift]:len(text) - 4]  # without what depends on neighbours
        found |= {inner, inner.translate(bytes.maketrans(b"+/", b"-_"))}
    return found


def descendants(top: int) -> dict[int, str]:
    """TOP and the processes below it, and their names."""
    above, names = {}, {}
    for d in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            name, rest = (d / "stat").read_text().rsplit(")", 1)
        except OSError:
            continue
        above[int(d.name)], names[int(d.name)] = int(rest.split()[1]), name.split("(", 1)[1]

    def below(pid):
        while pid in above and pid != top:
            pid = above[pid]
        return pid == top

    return {pid: names[pid] for pid in above if below(pid)}


def inside_of(top: int) -> list[int]:
    """The processes of the sandbox of the run, or the supervisor, TOP: those that are in another pid namespace."""
    ours, out = os.readlink("/proc/self/ns/pid"), []
    for pid in descendants(top):
        try:
            if os.readlink(f"/proc/{pid}/ns/pid") != ours:
                out.append(pid)
        except OSError:
            pass
    return out


def supervisors(home: pathlib.Path) -> list[int]:
    """Pids that hold a lock of the sandboxes that are kept in HOME, and descend from none that does: what a supervisor starts has it for a moment, too."""
    parents, holders = {}, set()
    for p in map(int, filter(str.isdigit, os.listdir("/proc"))):
        try:
            with open(f"/proc/{p}/stat", encoding="ascii", errors="replace") as f:
                parents[p] = int(f.read().rpartition(")")[2].split()[1])
            if any(os.readlink(f"/proc/{p}/fd/{n}").startswith(f"{home}/sandboxes/") for n in os.listdir(f"/proc/{p}/fd")):
                holders.add(p)
        except OSError:
            continue

    def above(p):
        while p := parents.get(p, 0):
            yield p
    return [p for p in holders if not holders & set(above(p))]


def private_key(pid: int, point: bytes) -> bytes | None:
    """The scalar of P-256 that belongs to POINT, from the memory of PID, where OpenSSL has it: a number of 64-bit limbs, the low one first."""
    c = ctypes.CDLL("libcrypto.so.3")
    for f in ("EC_GROUP_new_by_curve_name", "EC_POINT_new", "BN_new", "BN_CTX_new", "BN_lebin2bn"):
        getattr(c, f).restype = ctypes.c_void_p
    group = ctypes.c_void_p(c.EC_GROUP_new_by_curve_name(415))  # NID_X9_62_prime256v1
    wanted, got, number, ctx = (ctypes.c_void_p(p) for p in (c.EC_POINT_new(group), c.EC_POINT_new(group), c.BN_new(), c.BN_CTX_new()))
    assert c.EC_POINT_oct2point(group, wanted, point, ctypes.c_size_t(len(point)), ctx) == 1
    seen = set()
    with open(f"/proc/{pid}/maps", encoding="ascii", errors="replace") as maps, open(f"/proc/{pid}/mem", "rb", 0) as mem:
        for line in maps:
            where, rights = line.split()[:2]
            if not rights.startswith("rw"):
                continue
            a, b = (int(x, 16) for x in where.split("-"))
            mem.seek(a)
            data = mem.read(b - a)
            for at in range(0, len(data) - 31, 8):
                word = data[at:at + 32]
                if word in seen or len(set(word)) < 20:  # no pointers, no text: of random bytes one in 10^12 has so few
                    continue
                seen.add(word)
                c.BN_lebin2bn(word, 32, number)
                if c.EC_POINT_mul(group, got, number, None, None, ctx) == 1 and c.EC_POINT_cmp(group, got, wanted, ctx) == 0:
                    return word[::-1]
    return None


# PIDS FORM…, hexadecimal: a line for each place and form that is found. What waits in pipes and sockets stays there.
SEARCH = """
import ctypes, fcntl, os, re, socket, stat, sys
forms = [bytes.fromhex(w) for w in sys.argv[2:]]
libc = ctypes.CDLL(None, use_errno=True)
files = set()
def look(name, data):
    for i, f in enumerate(forms):
        if f in data:
            print(f"{name} form {i}")
def waiting(pid, fd):
    path = f"/proc/{pid}/fd/{fd}"
    mode = os.stat(path).st_mode
    if stat.S_ISREG(mode):
        with open(path, "rb") as f:
            return f.read()
    if stat.S_ISFIFO(mode):
        there, (r, w) = os.open(path, os.O_RDONLY | os.O_NONBLOCK), os.pipe()
        fcntl.fcntl(w, 1031, 1 << 20)  # F_SETPIPE_SZ
        n = libc.tee(there, w, 1 << 20, 2)  # SPLICE_F_NONBLOCK
        data = os.read(r, n) if n > 0 else b""
        for x in (there, r, w):
            os.close(x)
        return data
    if stat.S_ISSOCK(mode):
        pidfd = os.pidfd_open(int(pid))
        ours = libc.syscall(438, pidfd, int(fd), 0)  # pidfd_getfd
        os.close(pidfd)
        if ours >= 0:
            with socket.socket(fileno=ours) as s:
                return s.recv(1 << 20, socket.MSG_PEEK | socket.MSG_DONTWAIT)
    return b""
def gone(pid):
    try:
        return open(f"/proc/{pid}/stat").read().rpartition(")")[2].split()[0] in "ZX"
    except OSError:
        return True
def device(path):
    try:
        return os.lstat(path).st_dev
    except OSError:
        return None  # gone meanwhile
def look_at(pid):
    for part in ("environ", "cmdline"):
        look(f"{pid}/{part}", open(f"/proc/{pid}/{part}", "rb").read())
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb", 0) as mem:
        for line in maps:
            m = re.match(r"([0-9a-f]+)-([0-9a-f]+) r", line)
            if not m or "[v" in line:
                continue
            a, b = (int(x, 16) for x in m.groups())
            try:
                mem.seek(a)
                look(f"{pid}/mem {line.strip()}", mem.read(b - a))
            except (OSError, ValueError, OverflowError):
                pass
    for fd in os.listdir(f"/proc/{pid}/fd"):
        try:
            look(f"{pid}/fd/{fd} {os.readlink(f'/proc/{pid}/fd/{fd}')}", waiting(pid, fd))
        except OSError:
            pass
    root = f"/proc/{pid}/root"
    for line in open(f"/proc/{pid}/mountinfo"):
        words = line.split()
        if words[words.index("-") + 1] != "tmpfs":
            continue
        top = root + words[4].encode().decode("unicode_escape")
        for d, below, names in os.walk(top):
            below[:] = [x for x in below if device(f"{d}/{x}") == os.stat(top).st_dev]  # what is mounted there has a line of its own
            for name in names:
                try:
                    s = os.stat(f"{d}/{name}", follow_symlinks=False)
                    if stat.S_ISREG(s.st_mode) and (s.st_dev, s.st_ino) not in files:
                        files.add((s.st_dev, s.st_ino))
                        look(f"{pid}/tmpfs {d[len(root):]}/{name}", open(f"{d}/{name}", "rb").read())
                except OSError:
                    pass
for pid in sys.argv[1].split(","):
    try:
        look_at(pid)
    except OSError:
        if not gone(pid):
            raise
"""


def search(pids: Iterable[int], wanted: Iterable[bytes]) -> list[str]:
    """Where those processes have what is WANTED; by root."""
    argv = [PYTHON, "-c", SEARCH, ",".join(map(str, pids)), *(f.hex() for f in wanted)]
    return subprocess.run(argv, capture_output=True, text=True, check=True, timeout=100).stdout.splitlines()


# All that passes the interfaces of a network namespace, until stdin ends.
CAPTURE = """
import os, select, socket, sys
s = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(3))
s.setsockopt(socket.SOL_SOCKET, 33, 64 << 20)
got = []
os.write(1, b"ready\\n")
while True:
    ready = select.select([s, 0], [], [])[0]
    if s in ready:
        got.append(s.recv(70000))
    elif 0 in ready:
        break
os.set_blocking(1, True)
sys.stdout.buffer.write(b"\\n".join(got))
"""


def capture(pid: int) -> subprocess.Popen:
    """Of the network namespace of PID; communicate() gives what was sent."""
    p = subprocess.Popen(["nsenter", f"--net=/proc/{pid}/ns/net", PYTHON, "-c", CAPTURE], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert p.stdout and p.stdout.read(6) == b"ready\n"
    return p
