# SPDX-License-Identifier: Apache-2.0
"""Many sandboxes that stay at once: a thousand idle ones that all answer, and two hundred with twenty commands each."""
import concurrent.futures
import json
import os
import pathlib

import pytest

from callers import BAILEY, Result, wait_for

IDLE, BUSY, EXECS = 1000, 200, 20
CALLERS = 4  # commands that are started at once
PSS_KIB = 1024  # of one idle sandbox, all its processes on the host
INOTIFY = 128  # instances of one user, the kernel's default


class Many:
    """Sandboxes of one caller, all with the same workspace."""

    def __init__(self, user, ws, state):
        self.user, self.ws, self.state = user, ws, state
        self.pool = concurrent.futures.ThreadPoolExecutor(CALLERS)

    def __call__(self, *args, timeout=120) -> Result:
        return self.user.exec([BAILEY, *args], cwd=self.ws, env={"XDG_STATE_HOME": str(self.state), "XDG_RUNTIME_DIR": ""}, timeout=timeout)

    def all(self, calls) -> list[Result]:
        return list(self.pool.map(lambda words: self(*words), calls))

    def listed(self):
        return json.loads(self("ls", "--json").out)

    def family(self) -> list[int]:
        """The supervisors, which hold the locks, and their children."""
        found = []
        for p in filter(str.isdigit, os.listdir("/proc")):
            try:
                names = [os.readlink(f"/proc/{p}/fd/{n}") for n in os.listdir(f"/proc/{p}/fd")]
                if any(n.startswith(f"{self.state}/bailey/sandboxes/") for n in names):
                    found += [int(p), *map(int, pathlib.Path(f"/proc/{p}/task/{p}/children").read_text().split())]
            except OSError:  # it has ended meanwhile
                continue
        return found

    def watchers(self) -> list[int]:
        """The watcher that all of them share (docs/adr/0017): it holds the lock of its socket."""
        found = []
        for p in filter(str.isdigit, os.listdir("/proc")):
            try:
                names = [os.readlink(f"/proc/{p}/fd/{n}") for n in os.listdir(f"/proc/{p}/fd")]
                if any(n.startswith(f"{self.state}/bailey/run/watch-") and n.endswith(".lock") for n in names):
                    found.append(int(p))
            except OSError:
                continue
        return found


@pytest.fixture
def many(user, ws, works):
    works(user)
    state = user.mkdir(user.base / "many", 0o700)
    m = Many(user, ws, state)
    yield m
    removed = m.all([("rm", "--force", box["name"]) for box in m.listed()])
    assert all(r.rc == 0 for r in removed), [r for r in removed if r.rc][:3]
    assert not m.family(), "nothing is left"
    m.pool.shutdown()
    user.exec(["rm", "-rf", state])


def pss_kib(pid: int) -> int:
    lines = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(li.split()[1]) for li in lines if li.startswith("Pss:"))


def inotify_instances(uid: int) -> int:
    count = 0
    for p in filter(str.isdigit, os.listdir("/proc")):
        try:
            if os.stat(f"/proc/{p}").st_uid == uid:
                count += sum(os.readlink(f"/proc/{p}/fd/{n}") == "anon_inode:inotify" for n in os.listdir(f"/proc/{p}/fd"))
        except OSError:
            continue
    return count


def test_a_thousand_idle(many):
    """Each has a supervisor, a PID 1 and a row; each answers; and all together stay small, with the watcher that they share."""
    names = [f"idle{i}" for i in range(IDLE)]
    for verb in ("create", "start"):
        results = many.all([(verb, n) for n in names])
        assert all(r.rc == 0 for r in results), [r for r in results if r.rc][:3]
    rows = many.listed()
    assert {r["name"] for r in rows} == set(names) and {r["state"] for r in rows} == {"running"}
    assert wait_for(lambda: len(many.family()) == 2 * IDLE, 30), "a supervisor and a PID 1 for each"
    assert wait_for(lambda: len(many.watchers()) == 1, 30), "one for all"
    family = [*many.family(), *many.watchers()]
    assert len(set(family)) == 2 * IDLE + 1
    pss = sum(map(pss_kib, family)) / IDLE
    watching = inotify_instances(many.user.uid)
    print(f"{IDLE} idle sandboxes of {many.user.name}: {pss:.0f} KiB each, {watching} inotify instances")
    assert pss <= PSS_KIB and watching < INOTIFY
    answers = many.all([("exec", n, "--", "sh", "-c", f"echo {n}") for n in names])
    assert [r.out for r in answers] == [f"{n}\n" for n in names], [r for r in answers if r.rc][:3]


def test_two_hundred_with_twenty(many):
    """What runs side by side in them stays apart: each command writes its own line into a private file of its own sandbox. At one moment all of them live, with all of their sessions."""
    names = [f"busy{i}" for i in range(BUSY)]
    results = many.all([("create", n) for n in names])
    assert all(r.rc == 0 for r in results), [r for r in results if r.rc][:3]
    calls = [("exec", n, "--", "sh", "-c", f"echo {n}-{k} >> /tmp/said; echo {n}-{k}") for k in range(EXECS) for n in names]
    answers = many.all(calls)
    assert [r.out for r in answers] == [f"{n}-{k}\n" for k in range(EXECS) for n in names], [r for r in answers if r.rc][:3]
    said = many.all([("exec", n, "--", "sort", "-V", "/tmp/said") for n in names])
    assert [r.out.split() for r in said] == [[f"{n}-{k}" for k in range(EXECS)] for n in names]
    started = many.all([("exec", "-d", "--name", f"s{k}", n, "--", "sleep", "1000") for k in range(EXECS) for n in names])
    assert all(r.rc == 0 for r in started), [r for r in started if r.rc][:3]
    # one listing asks every supervisor; whoever is in it twice with the same sessions has lived in between, so all have at the moment between the two
    first, second = many.listed(), many.listed()
    for rows in (first, second):
        assert {r["name"] for r in rows} == set(names) and {r["state"] for r in rows} == {"running"}
        alive = {r["name"]: {s["name"]: s["pid"] for s in r["sessions"] if s["state"] == "running"} for r in rows}
        assert all(set(a) == {f"s{k}" for k in range(EXECS)} for a in alive.values()), {n: len(a) for n, a in alive.items() if len(a) != EXECS}
    assert [[(s["session"], s["pid"]) for s in r["sessions"]] for r in first] == [[(s["session"], s["pid"]) for s in r["sessions"]] for r in second]
    counted = many.all([("exec", n, "--", "pgrep", "-c", "-x", "sleep") for n in names])
    assert [r.out for r in counted] == [f"{EXECS}\n"] * BUSY, "and inside they are there, as many"
