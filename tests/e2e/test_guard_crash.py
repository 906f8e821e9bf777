# SPDX-License-Identifier: Apache-2.0
"""kill -9 at every system call by which bailey and its watcher change files of the host: what a run made is in the workspace or in the quarantine,
never in both, never in neither; the next command leaves nothing half done. The points are found by strace, and counted."""
import json
import os
import re
import shutil
import signal
import subprocess

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
        assert wait_for(lambda: not subprocess.run(["pgrep", "-f", str(place.base)], capture_output=True).stdout, 10)
        place.check()
    print(f"{user.name}: kill -9 at {killed} points of the launcher")
    assert killed >= len(points) // 2  # a shorter run starts no watcher


def start_watcher(place, inject):
    """The watcher as bailey starts it, under strace."""
    proc = place.user.popen(["sh", "-c", 'exec 3<"$0"; exec "$@"', place.runtime, *place.strace(inject), BAILEY, "watch-runs", "3"], cwd="/", env=place.env)
    assert wait_for(lambda: list(place.runtime.glob("watch*[0-9h]")) or proc.poll() is not None)
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
            killed += wait_for(lambda: proc.poll() is not None, 10) and proc.returncode in (-signal.SIGKILL, 137)
        finally:
            kill(proc)
            for pid in (int(p) for p in subprocess.run(["pgrep", "-f", "watch-runs"], capture_output=True, text=True).stdout.split()):
                if os.path.exists(f"/proc/{pid}") and os.stat(f"/proc/{pid}").st_uid == user.uid and not user.is_root:
                    os.kill(pid, signal.SIGKILL)
    print(f"{user.name}: kill -9 at {killed} points of the watcher")
    assert killed >= len(points) - 6
