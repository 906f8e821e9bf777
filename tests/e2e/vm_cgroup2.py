# SPDX-License-Identifier: Apache-2.0
"""
cgroup version 2 with controllers, which the machine that runs the tests may not have: ../full/test_vm.py boots one that has, and runs this
beside test_limits.py. Root there; all cgroups are the test's own, and the whole machine ends with it.
"""
import json
import os
import pathlib
import time

import pytest

from conftest import BAILEY, PYTHON

TOP = pathlib.Path("/sys/fs/cgroup")
HOG = "import time\nx = bytearray(200 << 20)\ntime.sleep(3)"
LIMITS = ["--memory=64M", "--pids=20", "--cpus=1"]


def remove(group):
    for sub in group.iterdir():
        if sub.is_dir():
            remove(sub)
    for _ in range(200):
        try:
            group.rmdir()
            return
        except OSError:
            time.sleep(0.02)


@pytest.fixture
def group(user):
    """group(NAME, CONTROLLERS, OWNED) -> a new cgroup with children that have the controllers; OWNED: given to the caller."""
    made = []

    def make(name, controllers="", owned=True, parent=TOP):
        path = parent / f"t-{name}"
        path.mkdir()
        if parent == TOP:
            made.append(path)
        for c in controllers.split():
            (path / "cgroup.subtree_control").write_text(f"+{c}")
        if owned:  # as systemd delegates (cgroups(7))
            for p in (path, path / "cgroup.procs", path / "cgroup.subtree_control", path / "cgroup.threads"):
                os.chown(p, user.uid, user.gid)
        return path

    yield make
    for path in made:
        remove(path)


@pytest.fixture
def run_in(user, ws, bailey):
    """run_in(GROUP, COMMAND, *OPTIONS, prefix=) -> Result, started in the cgroup, as the caller."""

    def call(group, cmd, *opts, prefix="exec"):
        def enter():
            (group / "cgroup.procs").write_text("0")

        script = f'{prefix} setpriv --reuid {user.uid} --regid {user.gid} --clear-groups "$@"'
        argv = ["sh", "-c", script, "sh", str(BAILEY), "run", *opts, "--", *cmd]
        root = type(user)("root", 0, 0, user.home, user.base)
        root.environ = user.environ
        return root.exec(argv, cwd=ws, preexec_fn=enter, timeout=120)

    return call


def mechanisms(run_in, where, **kw):
    r = run_in(where, ["true"], *LIMITS, "--explain=json", **kw)
    assert r.rc == 0, r
    return {k: v["mechanism"] for k, v in json.loads(r.out)["limits"].items()}


def leftovers(group):
    return [p for p in group.rglob("bailey-*")]


def test_this_is_version_2():
    assert {"memory", "pids", "cpu"} <= set((TOP / "cgroup.controllers").read_text().split())


def test_delegated_parent(user, group, run_in):
    # A scope in a slice that the caller owns: the run's cgroup is made beside the scope.
    top = group("slice", "memory pids cpu")
    scope = group("scope", owned=True, parent=top)
    assert mechanisms(run_in, scope) == dict.fromkeys(["memory", "cpus", "pids"], "cgroup v2")
    r = run_in(scope, ["sh", "-c", "cat /proc/self/cgroup /sys/fs/cgroup/memory.max /sys/fs/cgroup/pids.max /sys/fs/cgroup/cpu.max"], *LIMITS)
    assert r.rc == 0 and r.out.split() == ["0::/", str(64 << 20), "21", "100000", "100000"], r
    assert "soft" not in r.err
    assert leftovers(top) == []


def test_memory(group, run_in):
    top = group("slice", "memory pids cpu")
    scope = group("scope", parent=top)
    r = run_in(scope, [PYTHON, "-c", HOG], *LIMITS, "--timeout", "60s")
    assert r.rc == 137 and "bailey: the run was ended: memory limit 64M (cgroup v2)" in r.err, r
    r = run_in(scope, ["sh", "-c", "head -c 200M /dev/zero > /tmp/x"], *LIMITS, "--timeout", "60s")
    assert r.rc != 0, r
    assert leftovers(top) == []


def test_pids(group, run_in):
    top = group("slice", "memory pids cpu")
    scope = group("scope", parent=top)
    r = run_in(scope, ["sh", "-c", "for i in $(seq 30); do sleep 1 & done; echo all"], *LIMITS)
    assert r.rc != 0 and "all" not in r.out and "pids limit 20 (cgroup v2)" in r.err, r


def test_alone_in_a_delegated_cgroup(group, run_in):
    # A service of one's own (Delegate=yes): only bailey is in it, and steps aside.
    service = group("service")
    (TOP / "cgroup.subtree_control").write_text("+memory +pids +cpu")
    r = run_in(service, ["sh", "-c", "cat /sys/fs/cgroup/memory.max"], *LIMITS)
    assert r.rc == 0 and r.out == f"{64 << 20}\n" and "soft" not in r.err, r
    again = run_in(service, ["true"], *LIMITS)
    assert again.rc == 0, again


def test_not_alone_in_a_delegated_cgroup(user, group, run_in):
    # Others are in it, whom nobody may move: root goes up, a user has only the fall-backs.
    service = group("service")
    got = mechanisms(run_in, service, prefix="")  # the shell waits
    want = dict.fromkeys(["memory", "cpus", "pids"], "cgroup v2") if user.is_root else {"memory": "watchdog", "cpus": "affinity", "pids": "rlimit"}
    assert got == want
    assert leftovers(service) == []


def test_not_delegated(user, group, run_in):
    # A login by ssh: the scope is root's.
    top = group("slice", "memory pids cpu", owned=False)
    scope = group("scope", owned=False, parent=top)
    r = run_in(scope, [PYTHON, "-c", HOG], "--memory=64M", "--timeout", "60s")
    assert r.rc == 137, r
    assert ("soft" in r.err) == (not user.is_root), r


def test_only_some_controllers_are_delegated(user, group, run_in):
    # systemd gives a user memory and pids, and cpu only when asked to.
    top = group("slice", "memory pids", parent=group("outer", "memory pids", owned=False))
    scope = group("scope", parent=top)
    got = mechanisms(run_in, scope)
    assert got["memory"] == got["pids"] == "cgroup v2", got
    assert got["cpus"] == ("cgroup v2" if user.is_root else "affinity"), got
    assert leftovers(top) == []


def test_the_command_can_not_reach_its_cgroup(group, run_in):
    # It belongs to the same user: only that it is read-only and out of sight keeps the limit.
    top = group("slice", "memory pids cpu")
    scope = group("scope", parent=top)
    script = "for f in memory.max cgroup.procs cgroup.subtree_control; do echo 1 > /sys/fs/cgroup/$f; done; mkdir /sys/fs/cgroup/x; ls -d /sys/fs/cgroup/../cgroup/t-*"
    r = run_in(scope, ["sh", "-c", script], *LIMITS)
    assert r.err.count("Read-only file system") == 4, r
    assert r.out == "", r


def test_killed_launchers_leave_what_the_next_run_sweeps(group, run_in):
    top = group("slice", "memory pids cpu")
    scope = group("scope", parent=top)
    r = run_in(scope, ["sh", "-c", "sleep 30"], *LIMITS, prefix="timeout -s KILL 3")
    assert r.rc == 137, r
    assert leftovers(top)
    end = time.monotonic() + 5
    while any((p / "cgroup.procs").read_text() for p in leftovers(top)) and time.monotonic() < end:
        time.sleep(0.05)
    assert run_in(scope, ["true"], *LIMITS).rc == 0
    assert leftovers(top) == []
