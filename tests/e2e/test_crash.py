# SPDX-License-Identifier: Apache-2.0
"""kill -9 before every system call that changes a file: what is left is the old or the new, and the next command leaves nothing of ours."""
import json
import os
import re
import shutil
import signal
import subprocess

import pytest

from conftest import BAILEY, THOROUGH, skip
from overlays import snapshot, store, tidy_state

OVERLAY = ["--workspace", ".:overlay"]

# What changes files or directories. Those that only may are in here, too: a kill in them is a kill between others.
CALLS = ("openat", "write", "pwrite64", "ftruncate", "linkat", "renameat", "renameat2", "rename", "unlinkat", "mkdir", "mkdirat", "symlinkat", "fchmod",
         "chmod", "fchmodat", "fchown", "chown", "fchownat", "utimensat", "fsetxattr", "fremovexattr", "fsync", "syncfs")

SCRIPT = """
echo new > replaced; echo new > dir/replaced; rm gone dir/gone; rm -r tree; echo new > fresh; mkdir made; echo new > made/fresh; chmod 700 mode
ln -sfn new link; ln -s new freshlink; rm flat; mkdir flat; echo new > flat/x; rm -r hill; echo new > hill; chmod 711 dir
"""


@pytest.fixture(autouse=True)
def tidy(user, monkeypatch):
    yield from tidy_state(user, monkeypatch)


@pytest.fixture
def scene(user, ws):
    """A tree; afterwards scene() brings it, and the store, back to what they were."""
    def plant():
        for name in ("replaced", "dir/replaced", "gone", "dir/gone", "tree/a", "tree/b/c", "mode", "flat", "hill/x", "hill/y/z", "untouched"):
            user.write(ws / name, "old\n")
        user.symlink("old", ws / "link")

    plant()
    saved = ws.parent / (ws.name + "-saved")
    state = store(user).parent / (ws.name + "-state")  # beside it: not every file system can hold its layers

    def reset():
        # rsync is not needed: cp -a keeps owners, times, attributes and whiteouts
        for there, kept in ((ws, saved), (store(user), state)):
            subprocess.run(["rm", "-rf", *there.iterdir()] if there.exists() and any(there.iterdir()) else ["true"], check=True)
            if kept.exists():
                subprocess.run(["cp", "-a", f"{kept}/.", there], check=True)
        # the copies are younger than the run: let it begin now, by the clock that it uses
        probe = ws.parent / "now"
        probe.write_text("")
        ns = probe.stat().st_ctime_ns
        for run in store(user).glob("*/run"):
            run.write_text(re.sub(r"^start .*$", f"start {ns // 10**9}.{ns % 10**9:09}", run.read_text(), flags=re.M))

    def keep():
        for there, kept in ((ws, saved), (store(user), state)):
            if there.exists():
                subprocess.run(["cp", "-a", there, kept], check=True)
        return reset

    yield keep
    shutil.rmtree(saved, ignore_errors=True)
    subprocess.run(["rm", "-rf", state], check=True)


def killed_runs(user, ws, reset, args, before=()):
    """Run bailey with ARGS again and again, each time killed before one more system call; yields after each kill."""
    if not shutil.which("strace"):
        skip("strace is not installed")
    count = 0
    for call in CALLS:
        for n in range(1, 500):
            reset()
            r = user.exec([*before, "strace", "-qq", "-e", f"trace={call}", "-e", f"inject={call}:signal=KILL:when={n}", "-o", "/dev/null", BAILEY, *args], cwd=ws)
            if r.rc != -signal.SIGKILL and r.rc != 128 + signal.SIGKILL:
                break  # it makes no more of them
            count += 1
            yield f"{call} {n}"
        else:
            pytest.fail(f"{call}: more than 500")
    print(f"killed {count} times: {args}")
    assert count > 20, count


def contents(ws):
    """Relative names, each with what can be half of something."""
    return {str(p.relative_to(ws)): ("link " + os.readlink(p)) if p.is_symlink() else "dir" if p.is_dir() else p.read_text() for p in ws.rglob("*")}


# A file system without unnamed files, exchanges and renames that must not replace.
POOR = "257@2&4194304=EOPNOTSUPP,316=EINVAL"  # openat(O_TMPFILE), renameat2


@pytest.mark.thorough
@pytest.mark.parametrize("poor", [False, *([True] if THOROUGH else [])], ids=lambda poor: "poor file system" if poor else "as it is")
def test_apply(bailey, run, user, ws, scene, deny, poor):
    before = [deny, POOR, "--"] if poor else []
    old = contents(ws)
    r = run(SCRIPT, *OVERLAY)
    assert r.rc == 0, r
    reset = scene()
    assert user.exec([*before, BAILEY, "apply"], cwd=ws).rc == 0
    new, final = contents(ws), snapshot(ws, times=False)
    assert set(old.values()) == {"old\n", "dir", "link old"} and set(new.values()) == {"old\n", "new\n", "dir", "link old", "link new"} - {"link old"}
    for at in killed_runs(user, ws, reset, ["apply"], before):
        # a name of ours may stand there until the next command
        now = {p: v for p, v in contents(ws).items() if ".bailey-" not in p}
        for path, value in now.items():
            assert value in (old.get(path), new.get(path)), (at, path, value)
        for path in old.keys() & new.keys():
            # without exchanges a directory can't take a file's place, nor a file a directory's, in one step
            assert path in now or (poor and (old[path] == "dir") != (new[path] == "dir")), (at, path, "is gone")
        listed = json.loads(bailey(["runs", "--json"], cwd=ws).out)
        left = [p for p in contents(ws) if ".bailey-" in p]
        assert not left, (at, left)
        assert {n.name for n in store(user).iterdir()} == {li["id"] for li in listed}, at
        if listed:
            r = bailey(["apply"], cwd=ws)
            assert r.rc == 0, (at, r)
        assert snapshot(ws, times=False) == final, at
        assert not list(store(user).iterdir()), at


def test_discard(bailey, run, user, ws, scene):
    run(SCRIPT, *OVERLAY)
    reset = scene()
    host = snapshot(ws)
    want = json.loads(bailey(["diff", "--json"], cwd=ws).out)
    for at in killed_runs(user, ws, reset, ["discard"]):
        listed = json.loads(bailey(["runs", "--json"], cwd=ws).out)
        assert {n.name for n in store(user).iterdir()} == {li["id"] for li in listed}, at
        if listed:
            assert json.loads(bailey(["diff", "--json"], cwd=ws).out) == want, at
        assert snapshot(ws) == host, at


@pytest.mark.parametrize("script", ["true", "echo new > fresh; echo new > replaced; rm gone"])
def test_run(bailey, user, ws, scene, works, script):
    """The launcher is killed: PID 1 and the command go with it. The host's tree never changes; a record is whole, or is not there."""
    assert not works(user)
    user.mkdir(store(user), 0o700)
    reset = scene()
    host = snapshot(ws)
    final = {"fresh", "replaced", "gone"} if "new" in script else set()
    for at in killed_runs(user, ws, reset, ["run", *OVERLAY, "--", "sh", "-c", script]):
        assert snapshot(ws) == host, at
        listed = json.loads(bailey(["runs", "--json"], cwd=ws).out)
        names = {n.name for n in store(user).iterdir()}
        assert names == {li["id"] for li in listed} and all(re.fullmatch("[0-9a-f]{10}", n) for n in names), (at, names)
        for li in listed:
            if li["state"] == "live":
                continue  # PID 1 dies this moment
            assert li["state"] == "ended", (at, li)
            assert {c["path"] for c in json.loads(bailey(["diff", "--json"], cwd=ws).out)} <= final, at
