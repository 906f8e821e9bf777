# SPDX-License-Identifier: Apache-2.0
"""The watcher loses events: the run is frozen, looked at, thawed. The watcher is killed: another one takes its place (docs/adr/0017)."""
import contextlib
import json
import os
import select
import shutil
import signal
import socket
import time

import pytest

from conftest import BAILEY, PYTHON, kill, wait_for

SOCKET = f"watch-3-{os.stat('/proc/self/ns/mnt').st_ino:x}-{os.stat('/').st_ino:x}"


class Place:
    """A workspace with a state, and so a watcher, of its own."""

    def __init__(self, user, base):
        self.user, self.base = user, base
        self.ws, self.state = user.mkdir(base / "ws"), user.mkdir(base / "state", 0o700)
        self.runtime = user.mkdir(self.state / "bailey", 0o700) and user.mkdir(self.state / "bailey/run", 0o700)
        self.env = {"XDG_STATE_HOME": str(self.state), "XDG_RUNTIME_DIR": ""}

    def start(self, cmd, *opts, prefix=(), **kw):
        return self.user.popen([*prefix, BAILEY, "run", *opts, "--", *cmd], cwd=self.ws, env=self.env, stdin=-1, stdout=-1, stderr=-1, **kw)

    def watchers(self):
        """Of this place: those that hold its lock file."""
        found = []
        for p in os.listdir("/proc"):
            try:
                if p.isdigit() and any(os.readlink(f"/proc/{p}/fd/{n}") == str(self.runtime / f"{SOCKET}.lock") for n in os.listdir(f"/proc/{p}/fd")):
                    found.append(int(p))
            except OSError:
                continue
        return found

    def moved(self):
        r = self.user.exec([BAILEY, "quarantine", "ls", "--json"], cwd=self.ws, env=self.env)
        return {q["path"].removeprefix(f"{self.ws}/") for q in json.loads(r.out)}


@pytest.fixture
def place(user, request):
    base = user.mkdir(user.base / f"watch-{abs(hash(request.node.name)) % 10**8}")
    yield Place(user, base)
    shutil.rmtree(base, ignore_errors=True)


def state_of(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as f:
        return f.read().rsplit(")", 1)[1].split()[0]


def children(pid):
    try:
        with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as f:
            return [int(c) for c in f.read().split()]
    except (FileNotFoundError, ProcessLookupError):
        return []  # it has ended meanwhile


def inside(proc):
    """Everything below PID 1."""
    found: list[int] = []
    todo = [c for p in children(proc.pid) for c in children(p)]
    while todo:
        found.append(todo[0])
        todo = todo[1:] + children(todo[0])
    return found


# A parent that sees what happens to its child: stopped and continued, or not. "held" was stopped before.
TELLER = r"""
import os, signal, sys, time
held = os.fork()
if held == 0:
    os.kill(os.getpid(), signal.SIGSTOP); print("HELD WENT ON", flush=True); os._exit(0)
os.waitpid(held, os.WUNTRACED)
child = os.fork()
if child == 0:
    while True: time.sleep(0.01)
print("up", flush=True)
sys.stdin.readline()
for i in range(12000):
    os.rename("a", "b"); os.rename("b", "a")
os.makedirs("late/one"); open(".envrc", "w").write("x")
print("flood", flush=True)
end = time.monotonic() + 10
seen = set()
while time.monotonic() < end and "continued" not in seen:
    pid, st = os.waitpid(child, os.WNOHANG | os.WUNTRACED | os.WCONTINUED)
    if pid: seen.add("continued" if os.WIFCONTINUED(st) else "stopped" if os.WIFSTOPPED(st) else "ended")
    time.sleep(0.001)
print("child", *sorted(seen), flush=True)
sys.stdin.readline()
open("late/one/.envrc", "w").write("x")
print("written", flush=True)
sys.stdin.readline()
"""


def test_lost_events(place):
    """More renames than the kernel's queue holds, while the watcher sleeps: the run is stopped, what came is moved, new directories are watched."""
    place.user.write(place.ws / "a", "x")
    proc = place.start([PYTHON, "-c", TELLER])
    try:
        assert proc.stdout.readline() == b"up\n"
        assert wait_for(lambda: place.watchers() and (place.runtime / SOCKET).exists())
        time.sleep(0.3)
        (watcher,) = place.watchers()
        os.kill(watcher, signal.SIGSTOP)
        proc.stdin.write(b"\n")
        proc.stdin.flush()
        assert proc.stdout.readline() == b"flood\n" and (place.ws / ".envrc").exists()
        os.kill(watcher, signal.SIGCONT)
        assert proc.stdout.readline() in (b"child continued\n", b"child continued stopped\n")
        assert wait_for(lambda: not (place.ws / ".envrc").exists())
        assert states(proc).count("T") == 1, "what was stopped before stays so"
        proc.stdin.write(b"\n")
        proc.stdin.flush()
        assert proc.stdout.readline() == b"written\n"
        assert wait_for(lambda: not (place.ws / "late/one/.envrc").exists()), "a directory whose event was lost is watched"
        assert proc.poll() is None
        out, err = proc.communicate(b"\n", timeout=20)
        assert b"HELD" not in out and b"could not be stopped" not in err, (out, err)
    finally:
        kill(proc)
    assert place.moved() == {".envrc", "late/one/.envrc"}


def listen(place):
    """A watcher that we are."""
    s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    s.bind(str(place.runtime / SOCKET))
    place.user.own(place.runtime / SOCKET)
    s.listen(4)
    s.settimeout(10)
    return s


def accept(s):
    c, _ = s.accept()
    c.settimeout(10)
    data, fds, _, _ = socket.recv_fds(c, 100, 8)
    for fd in fds:
        os.close(fd)
    assert len(data) == 4 + 11 + 1 and len(fds) == 4, (data, fds)
    return c


SLEEPERS = "sleep 100 & sleep 100 & sh -c 'sleep 100; true' & (sleep 0.01; exec sleep 100) & sleep 0.1; kill -STOP $!; echo up; while :; do sleep 0.01; done"


def states(proc):
    """Of those that live while it is asked."""
    found = []
    for p in inside(proc):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            found.append(state_of(p))
    return found


def all_stopped(proc):
    try:
        return all(state_of(p) in "TZ" for p in inside(proc))
    except OSError:
        return False


@pytest.mark.parametrize("how", ["thaw", "gone", "forgotten"])
def test_freeze(place, how):
    """Everything below PID 1 is stopped when the run says so; it goes on when it is thawed, when the watcher dies, and when that forgets it."""
    s = listen(place)
    proc = place.start(["sh", "-c", SLEEPERS])
    try:
        assert proc.stdout.readline() == b"up\n"
        c = accept(s)
        time.sleep(0.2)
        before = states(proc)
        assert before.count("T") == 1 and len(before) >= 6, before
        c.send(b"F")
        assert c.recv(1) == b"f"
        frozen = inside(proc)
        assert all_stopped(proc), [state_of(p) for p in frozen]
        time.sleep(0.3)
        assert inside(proc) == frozen and all_stopped(proc), "nobody runs, so nobody forks"
        if how == "thaw":
            c.send(b"T")
        elif how == "gone":
            c.close()
            c = accept(s)  # and another one is asked for
        assert wait_for(lambda: not all_stopped(proc), 2 if how != "forgotten" else 8)
        time.sleep(0.2)
        assert states(proc).count("T") == 1, "the one that was stopped before"
        if how == "thaw":
            c.send(b"F")
            assert c.recv(1) == b"f" and all_stopped(proc), "again"
            proc.send_signal(signal.SIGTERM)  # a frozen run can be ended
            time.sleep(0.1)
            c.send(b"T")
        else:
            proc.send_signal(signal.SIGTERM)
        proc.wait(10)
    finally:
        kill(proc)
        s.close()


def test_frozen_with_a_terminal(place):
    """A stop of our own is no Ctrl-Z: bailey goes on, and its command has its terminal afterwards."""
    s = listen(place)
    proc = place.start(["sh", "-c", "stty -echo; echo up; read x; echo got $x; read y"], "--tty")
    try:
        line = proc.stdout.readline()
        assert line.strip() == b"up"
        c = accept(s)
        c.send(b"F")
        assert c.recv(1) == b"f"
        time.sleep(0.3)
        assert state_of(proc.pid) != "T"
        c.send(b"T")
        proc.stdin.write(b"word\n")
        proc.stdin.flush()
        assert select.select([proc.stdout], [], [], 10)[0] and proc.stdout.readline().strip() == b"got word"
        assert state_of(proc.pid) != "T"
        proc.communicate(b"\n", timeout=60)
    finally:
        kill(proc)
        s.close()


def test_what_can_not_be_frozen_is_said(place, deny):
    """Where processes can't be stopped the run says so at its end, and nothing of it stays stopped."""
    s = listen(place)
    proc = place.start(["sh", "-c", "echo up; read x; echo went on"], prefix=[deny, "424=EPERM", "--"])  # pidfd_send_signal
    try:
        assert proc.stdout.readline() == b"up\n"
        c = accept(s)
        c.send(b"F")
        assert c.recv(1) == b"n"
        out, err = proc.communicate(b"\n", timeout=60)
        assert out == b"went on\n" and b"could not be stopped meanwhile" in err, (out, err)
    finally:
        kill(proc)
        s.close()


def test_many_processes_and_threads(place):
    """Forks in a row, and a process whose first thread has ended: none is missed."""
    script = r"""
import os, threading, time, sys, ctypes
def spin():
    while True: time.sleep(0.001)
if os.fork() == 0:
    threading.Thread(target=spin).start()
    ctypes.CDLL(None).syscall(60, 0)  # the first thread alone
for _ in range(40):
    if os.fork() == 0:
        while True:
            if os.fork() == 0: os._exit(0)
            os.wait()
print("up", flush=True)
sys.stdin.readline()
"""
    s = listen(place)
    proc = place.start([PYTHON, "-c", script])
    try:
        assert proc.stdout.readline() == b"up\n"
        c = accept(s)
        time.sleep(0.2)
        c.send(b"F")
        answer = c.recv(1)
        assert answer == b"f"
        ticks = lambda: {p: open(f"/proc/{p}/stat", encoding="ascii", errors="replace").read().rsplit(")", 1)[1].split()[11:13] for p in inside(proc)}  # noqa: E731
        before = ticks()
        time.sleep(0.5)
        assert ticks() == before and len(before) >= 40
        c.send(b"T")
        assert wait_for(lambda: not all_stopped(proc))
    finally:
        kill(proc)
        s.close()


def test_kill_9_of_the_watcher(place):
    """The run notices, starts another one, and that does what the first did. Three times."""
    proc = place.start(["sh", "-c", "echo up; while read x; do echo made > $x; echo $x; done"])
    gone: set[int] = set()
    try:
        assert proc.stdout.readline() == b"up\n"
        for i in range(3):
            assert wait_for(lambda: set(place.watchers()) - gone), "another one"
            (watcher,) = set(place.watchers()) - gone
            time.sleep(0.2)
            os.mkdir(place.ws / f"d{i}")
            place.user.own(place.ws / f"d{i}")
            proc.stdin.write(f"d{i}/.envrc\n".encode())
            proc.stdin.flush()
            assert proc.stdout.readline() == f"d{i}/.envrc\n".encode()
            assert wait_for(lambda: not (place.ws / f"d{i}/.envrc").exists()), f"watcher {i} is at work"
            gone.add(watcher)
            os.kill(watcher, signal.SIGKILL)
        assert wait_for(lambda: set(place.watchers()) - gone)
        # between two: the new one sweeps when it begins
        (watcher,) = set(place.watchers()) - gone
        os.kill(watcher, signal.SIGSTOP)
        proc.stdin.write(b".mcp.json\n")
        proc.stdin.flush()
        assert proc.stdout.readline() == b".mcp.json\n" and (place.ws / ".mcp.json").exists()
        os.kill(watcher, signal.SIGKILL)
        assert wait_for(lambda: not (place.ws / ".mcp.json").exists())
        out, err = proc.communicate(timeout=20)
        assert proc.returncode == 0 and b"again and again" not in err, err
    finally:
        kill(proc)
    assert place.moved() == {"d0/.envrc", "d1/.envrc", "d2/.envrc", ".mcp.json"}


def test_a_watcher_that_never_lives(place):
    """It is asked for some times, then no more, and that is said; the end of the run sweeps."""
    s = listen(place)
    proc = place.start(["sh", "-c", "echo up; read x; echo made > .envrc"])
    try:
        assert proc.stdout.readline() == b"up\n"
        n = 0
        s.settimeout(2)
        while n < 40:
            try:
                accept(s).close()
            except TimeoutError:
                break
            n += 1
        assert 4 < n < 40, n
        out, err = proc.communicate(b"\n", timeout=20)
        assert b"again and again" in err and not (place.ws / ".envrc").exists(), err
    finally:
        kill(proc)
        s.close()


def test_a_run_in_another_mount_namespace(place):
    """Paths mean something else there, and a name can't be moved between two mounts of one file system: it has a watcher of its own."""
    first = place.start(["sh", "-c", "echo up; read x"])
    other = None
    ws = place.user.mkdir(place.base / "other")
    try:
        assert first.stdout.readline() == b"up\n" and wait_for(place.watchers)
        ours = set(place.watchers())
        other = place.start(["sh", "-c", "echo up; read x; echo made > .envrc; read x"],
                            prefix=["unshare", *([] if place.user.is_root else ["-Ur"]), "-m", "env", "-C", ws])
        assert other.stdout.readline() == b"up\n", other.stderr.read()
        assert wait_for(lambda: len(list(place.runtime.glob("watch-*.lock"))) == 2), list(place.runtime.iterdir())
        time.sleep(0.2)
        other.stdin.write(b"\n")
        other.stdin.flush()
        assert wait_for(lambda: place.moved() == {f"{ws}/.envrc"}), "moved while the run lives"
        assert other.poll() is None and not (ws / ".envrc").exists() and ours <= set(place.watchers()) == ours
        _, err = other.communicate(b"\n", timeout=60)
        assert other.returncode == 0 and b".envrc" in err, err
        assert wait_for(lambda: len(list(place.runtime.glob("watch-*.lock"))) == 1), "it ends by itself, and leaves no name"
    finally:
        kill(first)
        if other:
            kill(other)


def test_what_killed_watchers_leave(place):
    """Names of namespaces that have ended are removed by the next watcher; one that lives keeps its own."""
    other = place.start(["sh", "-c", "echo up; read x"], prefix=["unshare", *([] if place.user.is_root else ["-Ur"]), "-m"])
    first = None
    try:
        assert other.stdout.readline() == b"up\n" and wait_for(lambda: list(place.runtime.glob("watch-*.lock")))
        (lock,) = place.runtime.glob("watch-*.lock")
        place.user.write(place.runtime / "watch-3-1-2.lock", "")
        place.user.write(place.runtime / "watch-3-1-2", "")
        place.user.write(place.runtime / "beside", "")
        first = place.start(["sh", "-c", "echo up; read x"])
        assert first.stdout.readline() == b"up\n"
        assert wait_for(lambda: not (place.runtime / "watch-3-1-2").exists() and not (place.runtime / "watch-3-1-2.lock").exists())
        assert lock.exists() and (place.runtime / "beside").exists() and wait_for((place.runtime / SOCKET).exists)
    finally:
        kill(other)
        if first:
            kill(first)
