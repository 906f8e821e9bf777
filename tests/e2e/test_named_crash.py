# SPDX-License-Identifier: Apache-2.0
"""
64: kill -9 of a verb about sandboxes that stay, before each of its system calls that changes something or is heard by somebody else: there is the old or the new,
the same command then does it, and nothing is left over. The points are those of a run that nobody killed, each by its call and its number among those: strace counts
for each call and process, so a number over several calls would miss most. What bailey-store does inside is tests/store/test_crash.py's.
"""
import json
import os
import re
import shutil
import signal
import subprocess
import time
from typing import NamedTuple

import pytest

from conftest import BAILEY, THOROUGH, processes_with, skip, wait_for
from overlays import holds_layers
from test_named import boxes  # noqa: F401 (a fixture)

# pylint: disable=redefined-outer-name

# Opens count when they may create, writes when they go to neither of the standard streams. Those of reading are in here where somebody else goes on meanwhile.
CALLS = ("mkdir", "mkdirat", "open", "openat", "openat2", "creat", "write", "writev", "pwrite64", "pwritev", "sendfile", "copy_file_range", "ftruncate", "truncate", "fallocate",
         "rename", "renameat", "renameat2", "unlink", "unlinkat", "rmdir", "link", "linkat", "symlink", "symlinkat", "mknodat", "chmod", "fchmod", "fchmodat", "chown", "fchown",
         "fchownat", "utimensat", "fsetxattr", "fremovexattr", "fsync", "fdatasync", "syncfs", "flock", "fork", "vfork", "clone", "clone3", "execve", "wait4", "waitid",
         "connect", "sendmsg", "sendto", "memfd_create", "kill", "pidfd_send_signal", "exit_group")
BEFORE = {"kept": "host\n", "gone": "host\n", "dir/deep": "host\n"}
AFTER = {"kept": "box\n", "dir/deep": "host\n", "dir/new": "new\n"}
CHANGES = "echo box > kept; rm gone; echo new > dir/new"
HOME = "for d in a b c; do mkdir ~/$d && echo x > ~/$d/f; done"
EACH = 13  # of the points, where not all are tried: root's are half-way between the user's
KEPT = ("name", "cwd", "isolation", "template", "agent", "options", "workspaces", "volumes", "restart", "timeout", "freeze", "stop", "network", "services")
SERVICE = ["--", "sleep", "1000"]

# verb: options of the sandbox 'box'; what is done with it first; whether it runs then; what is killed
VERBS: dict[str, tuple[list[str], list[list[str]], bool, list[str]]] = {
    "create": ([], [], False, ["create", "new"]),
    "create with volumes": ([], [], False, ["create", "--cache", "npm", "--volume", "data:/tmp/data", "new"]),
    "replace": (["--timeout", "1h", "--env", "A=b"], [["exec", "box", "--", "sh", "-c", HOME]], False, ["create", "--replace", "--env", "A=c", "--idle-stop", "2h", "box", ".:ro"]),
    "replace with volumes": (["--volume", "data:/tmp/other"], [], False, ["create", "--replace", "--cache", "npm", "--volume", "data:/tmp/data", "box"]),
    "replace of a copy": (["--workspace", ".:overlay"], [["exec", "box", "--", "sh", "-c", CHANGES]], False, ["create", "--replace", "--env", "A=c", "box", ".:overlay"]),
    "rename": ([], [], False, ["rename", "box", "other"]),
    "reset": ([], [["exec", "box", "--", "sh", "-c", HOME]], False, ["reset", "box"]),
    "reset of one that runs": ([], [["exec", "box", "--", "sh", "-c", HOME]], True, ["reset", "-f", "box"]),
    "reset of a copy": (["--workspace", ".:overlay"], [["exec", "box", "--", "sh", "-c", CHANGES]], False, ["reset", "-f", "box"]),
    "rm": ([], [["exec", "box", "--", "sh", "-c", HOME]], False, ["rm", "box"]),
    "rm of one that runs": ([], [], True, ["rm", "-f", "box"]),
    "rm of a copy": (["--workspace", ".:overlay"], [["exec", "box", "--", "sh", "-c", CHANGES]], False, ["rm", "-f", "box"]),
    "start": ([], [], False, ["start", "box"]),
    "stop": ([], [], True, ["stop", "box"]),
    "service add": ([], [], False, ["service", "add", "box", "web", *SERVICE]),
    "service add to one that runs": ([], [], True, ["service", "add", "box", "web", *SERVICE]),
    "service rm": ([], [["service", "add", "box", "web", *SERVICE]], False, ["service", "rm", "box", "web"]),
    "service rm of one that runs": ([], [["service", "add", "box", "web", *SERVICE]], True, ["service", "rm", "box", "web"]),
    "prune": ([], [], False, ["prune", "--sandboxes", "--force", "--older", "1ms"]),
    "apply": (["--workspace", ".:overlay"], [["exec", "box", "--", "sh", "-c", CHANGES]], False, ["apply", "box"]),
    "discard": (["--workspace", ".:overlay"], [["exec", "box", "--", "sh", "-c", CHANGES]], False, ["discard", "box"]),
    "volume rm": ([], [["volume", "create", "other"]], False, ["volume", "rm", "other"]),
    "network allow": ([], [], False, ["network", "allow", "box", "one.test"]),
    "network deny": (["--allow-host", "one.test"], [], False, ["network", "deny", "box", "one.test"]),
}


class Seen(NamedTuple):
    """Of a scene."""
    kept: str  # by the store
    home: list[str]  # names in the homes of sandboxes
    running: set[str]
    host: dict[str, str]  # the workspace
    tree: set[str]  # names in the state


class Scene:
    """A state with its sandboxes, and the workspace; back() makes them what they were."""

    def __init__(self, boxes, user, ws, verb):
        self.boxes, self.user, self.ws = boxes, user, ws
        options, first, self.runs, self.words = VERBS[verb]
        self.saved = user.mkdir(boxes.home.parent / "saved", 0o700)  # not every file system can hold layers of copies
        for name, text in BEFORE.items():
            user.write(ws / name, text)
        assert boxes("volume", "create", "data").rc == 0
        r = boxes("create", *options, "box")
        assert r.rc == 0, r
        for words in first:
            r = boxes(*words)
            assert r.rc == 0, (words, r)
        assert boxes("stop", "box").rc == 0
        for n, place in enumerate((boxes.home, ws)):
            subprocess.run(["cp", "-a", place, self.saved / str(n)], check=True)

    def back(self):
        for pid in self.boxes.supervisors():
            os.kill(pid, signal.SIGKILL)
        assert wait_for(lambda: not self.busy() and not self.boxes.supervisors())
        for n, place in enumerate((self.boxes.home, self.ws)):
            subprocess.run(["find", place, "-mindepth", "1", "-delete"], check=True)
            subprocess.run(["cp", "-a", f"{self.saved / str(n)}/.", place], check=True)
        # the copies are younger than the run: let it begin now, by the clock that it uses
        ns = self.user.write(self.boxes.home.parent / "now").stat().st_ctime_ns
        for run in self.boxes.home.glob("runs/*/run"):
            run.write_text(re.sub(r"^start .*$", f"start {ns // 10**9}.{ns % 10**9:09}", run.read_text(), flags=re.M))
        if self.runs:
            r = self.boxes("start", "box")
            assert r.rc == 0, r

    def busy(self):
        """What a verb has started, and has not ended yet."""
        return processes_with(f"bailey-store\0{self.boxes.home}\0")

    def look(self):
        """What can be seen of it all: ls is the next command."""
        sandboxes = self.boxes.ls()
        # not whether it runs, which takes its time
        kept = [{k: b[k] for k in KEPT if k in b} for _, b in sorted(sandboxes.items())]
        volumes: list[tuple[str, list[str]]] = []
        tree = self.tree(sandboxes)
        if {"volume", "--volume"} & set(self.words):
            r = self.boxes("volume", "ls", "--json")
            assert r.rc == 0, r
            # a cache is there for who comes next
            there = json.loads(r.out)
            volumes = [(v["name"], v["sandboxes"]) for v in there if v["sandboxes"] or not v["name"].startswith("cache-")]
            tree |= {f"volumes/{v['name']}" for v in there}  # test_volumes.py has the start that makes it
        # of those that are kept: what nobody keeps any more goes piece by piece
        homes = [self.boxes.home / "sandboxes" / f"{away}{b['id']}" / "home" for b in sandboxes.values() for away in ("", "~")]
        home = sorted(str(p.relative_to(h)) for h in homes for p in h.rglob("*"))
        running = {n for n, b in sandboxes.items() if b["state"] != "stopped"}
        host = {str(p.relative_to(self.ws)): p.read_text() for p in self.ws.rglob("*") if p.is_file()}
        return Seen(json.dumps([kept, volumes], sort_keys=True), home, running, host, tree)

    def tree(self, sandboxes):
        """Names in the state, with those of sandboxes in the place of ids; what is made at need, and may be missing, is there. A watcher goes when it sees that nobody is left."""
        found = {re.sub("^open/[0-9a-f]{10}", "open/<run>", str(p.relative_to(self.boxes.home))) for p in self.boxes.home.rglob("*") if not p.name.startswith(("state.db", "watch-"))}
        for name, b in sandboxes.items():
            found = {f.replace(b["id"], f"<{name}>") for f in found} | {f"sandboxes/<{name}>", f"sandboxes/<{name}>/lock"}
        return found

    def verb(self, *inject):
        """Do it; with INJECT under strace."""
        if self.words[0] == "prune":
            time.sleep(1.1)  # it counts ages in seconds
        trace = ["strace", "-qq", "-e", "signal=none", *inject] if inject else []
        return self.user.exec([*trace, BAILEY, *self.words], cwd=self.ws, env=self.boxes.env)

    def points(self):
        log = self.saved / "log"
        r = self.verb("-o", log, "-e", "trace=" + ",".join(f"?{c}" for c in CALLS))
        assert r.rc == 0, r
        return points_of(log.read_text())


def points_of(log):
    """(call, which of its kind) of the calls of a log that count, in their order."""
    seen: dict[str, int] = {}
    points = []
    for line in log.splitlines():
        m = re.match(r"(\w+)\((.*)", line)
        if not m:
            continue
        seen[m[1]] = seen.get(m[1], 0) + 1
        if (m[1].startswith("open") and not re.search("O_CREAT|O_TMPFILE", m[2])) or (m[1] == "write" and re.match("[12],", m[2])) or (m[1] == "execve" and seen[m[1]] == 1):
            continue
        points.append((m[1], seen[m[1]]))
    return points


@pytest.fixture
def scene(boxes, user, ws, request):
    if not shutil.which("strace"):
        skip("strace is not installed")
    with holds_layers(user, boxes.home.parent):
        s = Scene(boxes, user, ws, request.param)
        yield s
        if s.boxes.home.exists():
            for name in boxes.ls():
                assert boxes("rm", "-f", name).rc == 0
        shutil.rmtree(s.saved)


@pytest.mark.thorough
@pytest.mark.parametrize("scene", VERBS, indirect=True)
def test_killed_before_each_call(scene):
    s = scene
    s.back()
    old = s.look()
    points = s.points()
    assert wait_for(lambda: not s.busy())
    new = s.look()
    missed, seen = [], []
    tried = points if THOROUGH else points[EACH // 2 * s.user.is_root :: EACH]
    for call, n in tried:
        at = f"{call} {n}"
        s.back()
        r = s.verb("-o", "/dev/null", "-e", f"trace={call}", "-e", f"inject={call}:signal=KILL:when={n}")
        if r.rc not in (-signal.SIGKILL, 128 + signal.SIGKILL):
            assert r.rc == 0, (at, r)
            missed.append(at)  # one call less than the first time
            continue
        assert wait_for(lambda: not s.busy())
        now = s.look()
        assert now.kept in (old.kept, new.kept), at
        assert now.home in (old.home, new.home), (at, "half of what it kept")
        # without the names of ours that may stand there until the next command
        assert all(text in (old.host.get(p), new.host.get(p)) for p, text in now.host.items() if ".bailey-" not in p) and set(now.host) >= set(old.host) & set(new.host), at
        assert now.running <= old.running | new.running, at
        seen.append(now.kept == new.kept)
        # the same again; when all was done it may say that
        r = s.verb()
        assert r.rc in ((0, 3, 4) if seen[-1] else (0,)), (at, r)
        then = s.look()
        if then.tree != new.tree:  # what was only put out of the way
            assert s.boxes("prune", "--sandboxes", "--force").rc == 0
            then = s.look()
        assert then == new, (at, r, then.tree ^ new.tree)
        assert wait_for(lambda: len(s.boxes.supervisors()) == len(new.running)), at
    print(f"killed at {len(tried) - len(missed)} of {len(points)} points; missed: {missed}; {seen.count(True)} times the store had the new")
    assert len(missed) <= max(1, len(tried) // 10) and len(tried) - len(missed) > (9 if THOROUGH else 0), (missed, points)
    if THOROUGH and old.kept != new.kept:
        assert set(seen) == {False, True}, "the control: some were killed before, some after"
    s.back()
    for name in s.boxes.ls():
        assert s.boxes.exec("echo up", name=name).out == "up\n"


def test_rm_that_was_killed_gives_the_home_back(boxes, user, ws):
    """Between taking the directory out of the way and telling the store: who uses the sandbox next has its files. The twin: rm again, and nothing is there."""
    if not shutil.which("strace"):
        skip("strace is not installed")
    boxes.make()
    assert boxes.exec(["sh", "-c", "echo mine > ~/file"]).rc == 0 and boxes("stop", "box").rc == 0

    def killed():
        r = user.exec(["strace", "-qq", "-o", "/dev/null", "-e", "trace=vfork,fork,clone,renameat", "-e", "inject=renameat:retval=0:signal=KILL:when=1", BAILEY, "rm", "box"], cwd=ws, env=boxes.env)
        return r.rc
    before = {p.name for p in (boxes.home / "sandboxes").iterdir()}
    assert killed() in (-signal.SIGKILL, 128 + signal.SIGKILL)
    (name,) = before
    os.rename(boxes.home / "sandboxes" / name, boxes.home / "sandboxes" / f"~{name}")  # what the call was to do before it was killed
    assert boxes("prune", "--sandboxes", "--force").rc == 0, "is not somebody's whom nobody has"
    assert boxes.exec(["sh", "-c", "cat ~/file"]).out == "mine\n" and {p.name for p in (boxes.home / "sandboxes").iterdir()} == before
    assert boxes("stop", "box").rc == 0
    os.rename(boxes.home / "sandboxes" / name, boxes.home / "sandboxes" / f"~{name}")
    assert boxes("secret", "set", "--sandbox", "box", "key", "--host", "api.example.org", "--header", "X-Key", stdin="s3cret-of-box").rc == 0, "the directory that it makes is the one that was"
    assert boxes.exec(["sh", "-c", "cat ~/file"]).out == "mine\n" and {p.name for p in (boxes.home / "sandboxes").iterdir()} == before
    assert boxes("rm", "-f", "box").rc == 0 and not list((boxes.home / "sandboxes").iterdir())
