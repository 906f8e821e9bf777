# SPDX-License-Identifier: Apache-2.0
"""kill -9 at every system call by which bailey and its watcher change files of the host: what a run made is in the workspace or in the quarantine,
never in both, never in neither; the next command leaves nothing half done. The points are found by strace, and counted."""
import json
import os
import re
import select
import shutil
import signal
import subprocess
import time

import pytest

from conftest import BAILEY, kill, wait_for

# What changes a file system. Opens count when they create; writes, when they go to a file of the state.
CALLS = ("mkdir", "mkdirat", "openat", "openat2", "write", "rename", "renameat", "renameat2", "unlink", "unlinkat", "rmdir", "symlinkat", "linkat",
         "chmod", "fchmod", "fchmodat", "utimensat", "ftruncate", "sendfile", "mknodat", "flock", "bind")
MADE = {".envrc": "one\n", ".husky/pre-commit": "two\n", "sub/.mcp.json": "three\n"}
SCRIPT = "mkdir sub h; echo keep > keep; echo two > h/pre-commit; mv h .husky; echo one > .envrc; echo three > sub/.mcp.json; echo done > done"


def calls_of(log):
    """(name, which of that name) of the calls of a strace log that change something, in their order."""
    seen: dict[str, int] = {}
    points = []
    for line in log.splitlines():
        m = re.match(r"(?:\d+ +)?(\w+)\((.*)", line)
        if not m or m[1] not in CALLS:
            continue
        seen[m[1]] = seen.get(m[1], 0) + 1
        if m[1] in ("openat", "openat2") and "O_CREAT" not in m[2]:
            continue
        if m[1] == "write" and re.match(r"[12],|\d+, \"(deny|\d+ \d+ 1)", m[2]):
            continue  # messages, id maps
        points.append((m[1], seen[m[1]]))
    return points


class Place:
    """A fresh workspace, with a state of its own."""

    def __init__(self, user, base):
        self.user, self.base = user, base
        self.ws, self.state, self.log = user.mkdir(base / "ws"), user.mkdir(base / "state", 0o700), base / "log"
        self.runtime = user.mkdir(self.state / "bailey", 0o700) and user.mkdir(self.state / "bailey/run", 0o700)
        self.env = {"XDG_STATE_HOME": str(self.state), "XDG_RUNTIME_DIR": ""}

    def strace(self, inject):
        argv = ["strace", "-qq", "-o", self.log, "-e", "trace=" + ",".join(CALLS), "-e", "signal=none"]
        return argv + (["-e", f"inject={inject[0]}:signal=KILL:when={inject[1]}"] if inject else [])

    def bailey(self, *words):
        return self.user.exec([BAILEY, *words], cwd=self.ws, env=self.env)

    def entries(self):
        r = self.bailey("quarantine", "ls", "--json")
        assert r.rc == 0, r
        return {q["path"].removeprefix(str(self.ws) + "/"): q for q in json.loads(r.out)}

    def check(self):
        """After the kill, by one command that heals first."""
        q = self.entries()
        left = {str(p.relative_to(self.ws)) for p in self.ws.rglob("*") if p.is_file()}
        whole = "done" in left  # else the command was killed half-way, with its bailey
        assert left - {"h/pre-commit"} <= {"keep", "done"} if not whole else left == {"keep", "done"}, (left, q)
        assert "keep" not in left or not whole or (self.ws / "keep").read_text() == "keep\n"
        names = {".husky" if n.startswith(".husky") else n for n in MADE}
        assert set(q) == names if whole else set(q) <= names
        for name, text in MADE.items():
            entry = q.get(".husky" if name.startswith(".husky") else name)
            if entry:
                item = self.state / "bailey/quarantine" / entry["id"] / "item"
                assert (item / "pre-commit" if item.is_dir() else item).read_text() in ((text,) if whole else (text, ""))
        bailey_dir = self.state / "bailey"
        assert not (bailey_dir / "open").exists() or not list((bailey_dir / "open").iterdir())
        kept = bailey_dir / "quarantine"
        assert {p.name for p in (kept.iterdir() if kept.exists() else ()) if (p / "item").exists()} == {e["id"] for e in q.values()}


@pytest.fixture
def places(user):
    made: list = []

    def make():
        base = user.mkdir(user.base / f"crash{len(made)}")
        made.append(base)
        return Place(user, base)

    yield make
    for base in made:
        shutil.rmtree(base, ignore_errors=True)


def traced(user, works):
    problem = works(user)
    if problem:
        pytest.fail(problem)


def test_launcher(places, user, works):
    traced(user, works)
    first = places()
    r = user.exec([*first.strace(None), BAILEY, "run", "--", "sh", "-c", SCRIPT], cwd=first.ws, env=first.env)
    assert r.rc == 0, r
    first.check()
    points = calls_of(first.log.read_text(errors="replace"))
    assert len(points) >= 6, points
    killed = 0
    for point in points:
        place = places()
        r = user.exec([*place.strace(point), BAILEY, "run", "--", "sh", "-c", SCRIPT], cwd=place.ws, env=place.env)
        if r.rc == 0:
            continue  # one call less than in the first run
        assert r.rc == -signal.SIGKILL or r.rc == 137, r
        killed += 1
        assert wait_for(lambda: not subprocess.run(["pgrep", "-f", str(place.base)], capture_output=True).stdout)
        place.check()
    print(f"{user.name}: kill -9 at {killed} points of the launcher")
    assert killed >= len(points) // 2  # a shorter run starts no watcher


def sockets_of(place):
    return [p for p in place.runtime.glob("watch-*") if p.suffix != ".lock"]


def start_watcher(place, inject):
    """The watcher as bailey starts it, under strace."""
    proc = place.user.popen(["sh", "-c", 'exec 3<"$0"; exec "$@"', place.runtime, *place.strace(inject), BAILEY, "watch-runs", "3"], cwd="/", env=place.env)
    assert wait_for(lambda: sockets_of(place) or proc.poll() is not None)
    return proc


def run_watched(place):
    r = place.user.exec([BAILEY, "run", "--", "sh", "-c", f"sleep 0.3; {SCRIPT}; sleep 0.3"], cwd=place.ws, env=place.env)
    assert r.rc == 0, r


def test_watcher(places, user, works):
    traced(user, works)
    first = places()
    proc = start_watcher(first, None)
    try:
        run_watched(first)
        first.check()
        assert proc.wait(10) == 0, "it ends by itself"
    finally:
        kill(proc)
    points = calls_of(first.log.read_text(errors="replace"))
    assert len(points) >= 8, points
    killed = 0
    for point in points:
        place = places()
        proc = start_watcher(place, point)
        try:
            run_watched(place)
            place.check()
            killed += wait_for(lambda: proc.poll() is not None) and proc.returncode in (-signal.SIGKILL, 137)
        finally:
            kill(proc)
            for pid in (int(p) for p in subprocess.run(["pgrep", "-f", "watch-runs"], capture_output=True, text=True).stdout.split()):
                if os.path.exists(f"/proc/{pid}") and os.stat(f"/proc/{pid}").st_uid == user.uid and not user.is_root:
                    os.kill(pid, signal.SIGKILL)
    print(f"{user.name}: kill -9 at {killed} points of the watcher")
    assert killed >= len(points) - 6


# ---- late masks: the watcher and the child that mounts over what has come ----

MASKS = ("unshare", "setns", "fsopen", "fsconfig", "fsmount", "open_tree", "mount_setattr", "move_mount", "clone", "fork", "vfork", "kill", "sendto", "sendmsg")
LATE = ("echo up; until [ -e secret ] && [ -d secrets ] && [ -e pub ]; do sleep 0.02; done; i=0; "
        "while cat secret >/dev/null 2>&1 || ls secrets >/dev/null 2>&1; do i=$((i + 1)); [ $i -gt 300 ] && exit 9; sleep 0.02; done; cat pub; read x; "
        "cat secret 2>/dev/null; ls secrets 2>/dev/null; cat pub")


def mask_points(log):
    """(name, which of that name in its process): strace counts for each process of its own."""
    seen: dict[tuple, int] = {}
    points: dict[tuple, None] = {}
    for line in log.splitlines():
        m = re.match(r"(\d+) +(\w+)\((.*)", line)
        if not m or m[2] not in CALLS + MASKS:
            continue
        seen[m[1], m[2]] = seen.get((m[1], m[2]), 0) + 1
        if m[2] in ("openat", "openat2") and "O_CREAT" not in m[3]:
            continue
        points[m[2], seen[m[1], m[2]]] = None
    return list(points)


def killed_in(log):
    """A call that never came back."""
    return bool(re.search(r"= \?$", log.read_text(errors="replace"), re.M))


def run_late(place, inject):
    """A run into whose workspace the host writes what is denied to it; its watcher, and what that forks, under strace."""
    argv = ["strace", "-f", "-q", "-o", place.log, "-e", "trace=" + ",".join(CALLS + MASKS), "-e", "signal=none"]
    argv += ["-e", f"inject={inject[0]}:signal=KILL:when={inject[1]}"] if inject else []
    watcher = place.user.popen(["sh", "-c", 'exec 3<"$0"; exec "$@"', place.runtime, *argv, BAILEY, "watch-runs", "3"], cwd="/", env=place.env)
    proc = None
    try:
        assert wait_for(lambda: sockets_of(place) or watcher.poll() is not None)
        proc = place.user.popen([BAILEY, "run", "--deny-read", "secret", "--hide", "secrets", "--", "sh", "-c", LATE], cwd=place.ws, env=place.env, stdin=-1, stdout=-1, stderr=-1)
        assert proc.stdout.readline() == b"up\n"
        time.sleep(0.1)
        for name in ("secret", "pub"):
            place.user.write(place.ws / name, f"{name}\n", 0o640)
        place.user.mkdir(place.ws / "secrets")
        place.user.write(place.ws / "secrets" / "inner", "inner\n")
        # strace counts anew in each process, so every child would be killed: strace goes after the first one
        while inject and not select.select([proc.stdout], [], [], 0.01)[0]:
            if watcher.poll() is None and killed_in(place.log):
                watcher.kill()
        first = proc.stdout.readline()
        assert first == b"pub\n", (inject, first, proc.stderr.read() if proc.poll() is not None else b"")
        out, err = proc.communicate(b"\n", timeout=20)
        assert proc.returncode == 0 and out == b"pub\n" and b"secret" not in out, (inject, out, err)
        left = {str(p.relative_to(place.ws)): p.lstat().st_mode for p in place.ws.rglob("*")}
        assert set(left) == {"secret", "secrets", "secrets/inner", "pub"} and left["secret"] & 0o777 == 0o640, (inject, left)
        assert (place.ws / "secret").read_text() == "secret\n" and (place.ws / "secrets/inner").read_text() == "inner\n"
        assert not list((place.state / "bailey/open").iterdir()) and place.entries() == {}
        return watcher.wait(15)
    finally:
        kill(watcher)
        if proc:
            kill(proc)


def test_late_masks(places, user, works):
    """Whatever dies while a mask is put in: what came is masked soon, by whoever comes next, and the host's files are as they were."""
    traced(user, works)
    first = places()
    assert run_late(first, None) == 0, "it ends by itself"
    points = mask_points(first.log.read_text(errors="replace"))
    assert {p[0] for p in points} >= {"setns", "move_mount", "unshare", "openat"}, points
    killed = 0
    for point in points:
        place = places()
        run_late(place, point)
        killed += killed_in(place.log)
    print(f"{user.name}: kill -9 at {killed} points of late masks")
    assert killed >= len(points) * 3 // 4 and killed > 8, (killed, points)
