# SPDX-License-Identifier: Apache-2.0
"""What the attacks aim at: callers with their homes and workspaces, planted secrets, sockets and listeners."""

import contextlib
import ctypes
import fcntl
import os
import pwd
import secrets
import selectors
import shutil
import signal
import socket
import struct
import subprocess
import threading
import time

LIBC = ctypes.CDLL(None, use_errno=True)
CLONE_NEWNET = 0x40000000
TEST_ADDRESS = "198.51.100.1"  # TEST-NET-2: never routed

STORES = [
    ".ssh/id_rsa", ".aws/credentials", ".gnupg/private", ".config/gcloud/credentials.db", ".kube/config", ".docker/config.json",
    ".netrc", ".npmrc", ".git-credentials", ".bash_history", ".mozilla/firefox/p/logins.json", ".config/google-chrome/Default/Cookies",
]  # fmt: skip


def put(path: str, data: bytes = b"host data\n", mode: int = 0o644) -> None:
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as f:
        f.write(data)
    os.chmod(path, mode)


def own(top: str, uid: int, gid: int) -> None:
    os.lchown(top, uid, gid)
    for base, dirs, files in os.walk(top):
        for name in dirs + files:
            os.lchown(os.path.join(base, name), uid, gid)


def filesystem(path: str) -> str:
    return subprocess.run(["stat", "-f", "-c", "%T", path], check=True, capture_output=True, text=True).stdout.strip()


class Caller:
    """One identity that runs bailey, with a home and a workspace of its own."""

    def __init__(self, name: str, uid: int, gid: int, home: str, other: int, probe: str) -> None:
        self.name, self.uid, self.gid, self.home, self.other = name, uid, gid, home, other
        self.ws, self.out = f"{home}/ws", f"{home}/out"
        self.probe = f"{self.ws}/bin/probe"
        self.count = 0
        self.vars: dict[str, str] = {}
        for store in STORES:
            put(f"{home}/{store}", b"secret\n", 0o600)
        put(f"{home}/plain.txt")
        put(f"{home}/extra/secret")
        os.makedirs(f"{self.ws}/bin")
        shutil.copy(probe, self.probe)
        shutil.copy(probe, f"{home}/sleeper")
        os.makedirs(self.out)
        own(home, uid, gid)
        self.reset()
        for place in (self.ws, self.out):
            self.plant_programs(place, probe)

    def plant_programs(self, place: str, probe: str) -> None:
        """Set-id and capability programs, and a device node that anyone may open."""
        for name, mode in (("suid", 0o4755), ("sgid", 0o2755), ("capped", 0o755)):
            path = f"{place}/{name}"
            shutil.copy(probe, path)
            os.chown(path, self.other if name == "suid" else self.uid, self.other if name == "sgid" else self.gid)
            os.chmod(path, mode)
        os.chown(f"{place}/capped", 0, 0)
        os.setxattr(f"{place}/capped", "security.capability", struct.pack("<5I", 0x02000001, 0x81, 0, 0, 0))  # CHOWN, SETUID
        os.mknod(f"{place}/node-zero", 0o20666, os.makedev(1, 5))
        os.chmod(f"{place}/node-zero", 0o666)

    def reset(self) -> None:
        """Makes what an attack or a control may have changed anew."""
        def make(path: str, directory: bool = False) -> None:
            if directory:
                os.makedirs(path, exist_ok=True)
            else:
                put(path)
            os.chown(path, self.uid, self.gid)

        shutil.rmtree(f"{self.ws}/anc", ignore_errors=True)
        for name in ("ws/dir", "ws/dir2", "ws/prot", "ws/anc", "ws/anc/prot", "out/empty"):
            make(f"{self.home}/{name}", directory=True)
        for name in ("ws/file", "ws/dir/a", "ws/dir/b", "ws/dir/c", "ws/prot/file", "ws/anc/prot/file", "out/file", "out/log"):
            make(f"{self.home}/{name}")
        for name in ("out/n", "out/b", "out/file2", "ws/dir2/a"):
            path = f"{self.home}/{name}"
            if os.path.isdir(path) and not os.path.islink(path):
                os.rmdir(path)
            elif os.path.lexists(path):
                os.unlink(path)
        for target, name in ((self.out, "to-out"), (self.home, "to-home")):
            if not os.path.lexists(f"{self.ws}/{name}"):
                os.symlink(target, f"{self.ws}/{name}")
        for path in (f"{self.out}/file", f"{self.out}/log"):
            for attribute in [n for n in os.listxattr(path) if n.startswith("user.")]:
                os.removexattr(path, attribute)

    def fresh(self) -> str:
        self.count += 1
        return f"{self.ws}/new-{self.count}"

    def clear_fresh(self) -> None:
        for name in os.listdir(self.ws):
            if name.startswith("new-"):
                path = f"{self.ws}/{name}"
                if os.path.isdir(path) and not os.path.islink(path):
                    shutil.rmtree(path)
                else:
                    os.unlink(path)

    def snapshot(self, place: str) -> dict[str, object]:
        """All that a write would change; access times aside."""
        found: dict[str, object] = {}
        for base, dirs, files in os.walk(place):
            for name in [*dirs, *files, "."]:
                path = os.path.normpath(os.path.join(base, name))
                st = os.lstat(path)
                data = b""
                if os.path.isfile(path) and not os.path.islink(path) and st.st_size < 4096:
                    with open(path, "rb") as f:
                        data = f.read()
                attributes = [] if os.path.islink(path) else os.listxattr(path)
                found[path] = (st.st_mode, st.st_uid, st.st_gid, st.st_size, st.st_mtime_ns, st.st_nlink, data, tuple(attributes))
        return found


class Listeners:
    """Every socket that must not be reached, served by one thread; `hits` counts who reached it."""

    def __init__(self) -> None:
        self.hits: dict[str, int] = {}
        self.paths: list[str] = []
        self.select = selectors.DefaultSelector()
        self.wake_r, self.wake_w = os.pipe()
        self.select.register(self.wake_r, selectors.EVENT_READ, None)
        self.lock = threading.Lock()
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def serve(self) -> None:
        while True:
            for key, _ in self.select.select():
                if key.data is None:
                    os.read(self.wake_r, 64)
                    continue
                try:
                    self.answer(key.fileobj, key.data)  # type: ignore[arg-type]
                except OSError:
                    pass  # the peer is gone already

    def answer(self, sock: socket.socket, label: str) -> None:
        with self.lock:
            self.hits[label] = self.hits.get(label, 0) + 1
        if sock.type == socket.SOCK_DGRAM:
            _, peer = sock.recvfrom(64)
            if peer and sock.family != socket.AF_UNIX:
                sock.sendto(b"hi", peer)
            return
        conn, _ = sock.accept()
        conn.send(b"hi")
        conn.close()

    def add(self, sock: socket.socket, label: str) -> None:
        sock.setblocking(False)
        self.select.register(sock, selectors.EVENT_READ, label)
        os.write(self.wake_w, b"x")

    def total(self, ignore: str = "\0") -> dict[str, int]:
        time.sleep(0.05)
        with self.lock:
            return {k: v for k, v in self.hits.items() if ignore not in k}

    def plant(self, path: str, kind: int, how: str = "abs") -> None:
        """Binds a socket: `abs` by its full name, `rel` by a relative one, `net` from another network namespace."""
        sock = made_in_child(lambda: bound(path, kind, how))
        self.paths.append(path)
        self.add(sock, path)


def bound(path: str, kind: int, how: str) -> socket.socket:
    if how == "net" and LIBC.unshare(CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "unshare")
    sock = socket.socket(socket.AF_UNIX, kind)
    if how == "rel" or len(path) > 100:
        os.chdir(os.path.dirname(path))
        sock.bind(os.path.basename(path))
    else:
        sock.bind(path)
    os.chmod(path, 0o777)
    if kind != socket.SOCK_DGRAM:
        sock.listen(64)
    return sock


def made_in_child(make) -> socket.socket:  # type: ignore[no-untyped-def]
    """Calls `make` in a child, whose directory and namespaces may change, and takes the socket over."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            sock = make()
            socket.send_fds(theirs, [b"x"], [sock.fileno()])
            code = 0
        finally:
            os._exit(code)
    theirs.close()
    data, fds, _, _ = socket.recv_fds(ours, 1, 1)
    ours.close()
    os.waitpid(pid, 0)
    if not data or not fds:
        raise OSError("a socket could not be made in a child")
    return socket.socket(fileno=fds[0])


class TestNet:
    """A network namespace with TEST_ADDRESS on its loopback, and listeners there. The runner starts bailey inside it."""

    def __init__(self, listeners: Listeners) -> None:
        ready_r, ready_w = os.pipe()
        hold_r, hold_w = os.pipe()
        pid = os.fork()
        if pid == 0:
            try:
                os.close(hold_w)
                if LIBC.unshare(CLONE_NEWNET) == 0:
                    loopback_address(TEST_ADDRESS)
                    os.write(ready_w, b"x")
                    os.read(hold_r, 1)
            finally:
                os._exit(0)
        os.close(ready_w)
        os.close(hold_r)
        if os.read(ready_r, 1) != b"x":
            raise OSError("the test network could not be made")
        self.fd = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY)
        tcp = made_in_child(lambda: self.listener(socket.SOCK_STREAM, 0))
        self.port = tcp.getsockname()[1]
        udp = made_in_child(lambda: self.listener(socket.SOCK_DGRAM, self.port))
        listeners.add(tcp, "test-tcp")
        listeners.add(udp, "test-udp")
        os.close(hold_w)
        os.close(ready_r)
        os.waitpid(pid, 0)

    def listener(self, kind: int, port: int) -> socket.socket:
        self.enter()
        sock = socket.socket(socket.AF_INET, kind)
        sock.bind(("0.0.0.0", port))
        if kind == socket.SOCK_STREAM:
            sock.listen(64)
        return sock

    def enter(self) -> None:
        if LIBC.setns(self.fd, CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), "setns")


def loopback_address(address: str) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        for name, addr in (("lo", "127.0.0.1"), ("lo:1", address)):
            family = struct.pack("<HH4s8x", socket.AF_INET, 0, socket.inet_aton(addr))
            fcntl.ioctl(s, 0x8916, struct.pack("16s16s8x", name.encode(), family))  # SIOCSIFADDR
            fcntl.ioctl(s, 0x8914, struct.pack("16sH22x", name.encode(), 0x41))  # SIOCSIFFLAGS: up, running


class World:
    """All fixtures of one run of the suite; `close` takes every one of them away again."""

    def __init__(self, probe: str, bailey: str | None) -> None:
        self.name = f"bailey-t{secrets.token_hex(3)}"  # pids repeat in namespaces
        self.undo = contextlib.ExitStack()
        self.children: list[subprocess.Popen[bytes]] = []
        self.listeners = Listeners()
        self.notes: list[str] = []
        try:
            self.build(probe, bailey)
        except BaseException:
            self.close()
            raise

    def build(self, probe: str, bailey: str | None) -> None:
        self.base = self.directory(f"/srv/{self.name}")
        self.bailey = f"{self.base}/bin/bailey"
        os.makedirs(f"{self.base}/bin")
        # A copy, because the build directory may lie where the ordinary user can't go.
        shutil.copy(bailey or probe, self.bailey)
        os.chmod(self.bailey, 0o755)
        if bailey:  # the program that keeps what sandboxes are lies beside it
            shutil.copy(f"{bailey}-store", f"{self.bailey}-store")
            os.chmod(f"{self.bailey}-store", 0o755)
        self.places = {k: self.directory(f"{v}/{self.name}") for k, v in
                       {"var": "/var/lib", "opt": "/opt", "run": "/run", "tmp": "/tmp"}.items()}  # fmt: skip
        put(f"{self.places['tmp']}/file")
        numbers = ["-K", f"UID_MIN={20000 + secrets.randbelow(40000)}", "-K", "UID_MAX=65000"]  # as in tests/e2e/conftest.py
        subprocess.run(["useradd", *numbers, "-m", "-s", "/bin/sh", self.name], check=True, capture_output=True)
        self.undo.callback(self.remove_user)
        entry = pwd.getpwnam(self.name)
        uid, gid, home = entry.pw_uid, entry.pw_gid, entry.pw_dir
        self.callers = [
            Caller("user", uid, gid, home, 0, probe),
            Caller("root", 0, 0, self.make_home(self.mappable(f"{self.base}/root")), uid, probe),
        ]
        overlay = self.overlay()
        if overlay:
            self.callers.append(Caller("ov", 0, 0, self.make_home(f"{overlay}/home"), uid, probe))
        self.inet()
        for caller in self.callers:
            self.equip(caller)
        for place in self.places.values():
            self.sockets(f"{place}/s", 0, 0)

    def mappable(self, path: str) -> str:
        """Root gets ids of its own only where mounts can be idmapped: not on overlayfs, where this suite may run."""
        os.makedirs(path)
        if filesystem(path) == "overlayfs":
            subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", path], check=True)
            self.undo.callback(lambda: subprocess.run(["umount", "-l", path], capture_output=True, check=False))
        return f"{path}/home"

    def make_home(self, path: str) -> str:
        os.makedirs(path, 0o755)
        return path

    def directory(self, path: str) -> str:
        os.makedirs(path, 0o755)
        os.chmod(path, 0o755)
        self.undo.callback(shutil.rmtree, path, ignore_errors=True)
        return path

    def overlay(self) -> str | None:
        """overlayfs can't be idmapped: there root runs with the single-id map of the workspace's owner."""
        lower, upper, work, top = (f"{self.base}/{n}" for n in ("lower", "upper", "work", "ov"))
        for d in (lower, upper, work, top):
            os.mkdir(d)
        options = f"lowerdir={lower},upperdir={upper},workdir={work}"
        if subprocess.run(["mount", "-t", "overlay", "overlay", "-o", options, top], capture_output=True, check=False).returncode:
            if filesystem(top) == "overlayfs":
                return top  # the machine's root is one already, and can't be stacked on
            self.notes.append("no overlayfs here: caller 'ov' is left out")
            return None
        self.undo.callback(lambda: subprocess.run(["umount", "-l", top], capture_output=True, check=False))
        return top

    def inet(self) -> None:
        tcp = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = tcp.getsockname()[1]
        udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        udp.bind(("127.0.0.1", self.port))
        self.listeners.add(tcp, "tcp")
        self.listeners.add(udp, "udp")
        self.port6 = 9
        with contextlib.suppress(OSError):
            tcp6 = socket.create_server(("::1", 0), family=socket.AF_INET6, backlog=64)
            self.port6 = tcp6.getsockname()[1]
            self.listeners.add(tcp6, "tcp6")
        self.abstract = self.name
        for name, kind in (("stream", socket.SOCK_STREAM), ("dgram", socket.SOCK_DGRAM), ("seqpacket", socket.SOCK_SEQPACKET)):
            sock = socket.socket(socket.AF_UNIX, kind)
            sock.bind(f"\0{self.abstract}-{name}")
            if kind != socket.SOCK_DGRAM:
                sock.listen(64)
            self.listeners.add(sock, f"@{name}")
        self.net = TestNet(self.listeners)

    def sockets(self, place: str, uid: int, gid: int, full: bool = True) -> None:
        os.makedirs(place, exist_ok=True)
        os.chown(place, uid, gid)
        for how in ("abs", "rel", "net") if full else ("abs",):
            for name, kind in (("stream", socket.SOCK_STREAM), ("dgram", socket.SOCK_DGRAM)):
                self.listeners.plant(f"{place}/{how}-{name}", kind, how)
                os.chown(f"{place}/{how}-{name}", uid, gid)
        if full:
            self.listeners.plant(f"{place}/abs-seqpacket", socket.SOCK_SEQPACKET)
            os.chown(f"{place}/abs-seqpacket", uid, gid)

    def equip(self, c: Caller) -> None:
        xdg = self.directory(f"/run/{self.name}-{c.name}")
        put(f"{xdg}/file")
        own(xdg, c.uid, c.gid)
        os.chmod(xdg, 0o700)
        for place in (c.home, c.ws, c.out, xdg):
            self.sockets(f"{place}/s", c.uid, c.gid)
        for place in ("s/d/d/d/d/d/d/d/d/d/d", ".git/x", "node_modules/x", ".cache/x", "target/x"):
            path = c.ws
            for part in place.split("/"):
                path = f"{path}/{part}"
                os.makedirs(path, exist_ok=True)
                os.chown(path, c.uid, c.gid)
            self.sockets(path, c.uid, c.gid, full=False)
        sleeper = self.spawn_sleeper(c)
        c.vars = {
            "ws": c.ws, "home": c.home, "out": c.out, "xdg": xdg, "bailey": self.bailey, "probe": c.probe, "hostpid": str(sleeper),
            "tag": f"{self.name}-private-{c.name}",
            "port": str(self.port), "port6": str(self.port6), "testport": str(self.net.port), "abstract": self.abstract, **self.places,
        }  # fmt: skip

    def spawn_sleeper(self, c: Caller) -> int:
        ready = f"{c.home}/sleeper-ready"
        child = subprocess.Popen(
            [f"{c.home}/sleeper", "sleep", "1800000", f"{self.name}-sleeper", ready],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            user=c.uid, group=c.gid, extra_groups=[], env={"HOME": c.home}, start_new_session=True, cwd=c.home)  # fmt: skip
        self.children.append(child)
        for _ in range(300):
            if os.path.exists(ready):
                break
            time.sleep(0.01)
        return child.pid

    def remove_user(self) -> None:
        for _ in range(20):
            if subprocess.run(["userdel", "-r", self.name], capture_output=True, check=False).returncode in (0, 6, 12):
                return
            time.sleep(0.1)
        subprocess.run(["userdel", "-rf", self.name], capture_output=True, check=False)

    def close(self) -> None:
        for child in self.children:
            with contextlib.suppress(ProcessLookupError):
                child.send_signal(signal.SIGKILL)
            child.wait()
        for path in self.listeners.paths:
            with contextlib.suppress(OSError):
                os.unlink(path)
        self.undo.close()
