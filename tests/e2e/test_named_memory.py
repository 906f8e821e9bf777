# SPDX-License-Identifier: Apache-2.0
"""--memory of a sandbox that stays: who waits for a command hears that it was the reason (docs/adr/0009)."""
import json
import os

import pytest

from conftest import BAILEY, PYTHON, User, skip, wait_for
from test_named import boxes  # noqa: F401 (a fixture)
from test_named_life import events, state

# pylint: disable=redefined-outer-name

HOG = "import time\nx = bytearray({} << 20)\ntime.sleep({})"


@pytest.fixture
def watched(boxes, user, ws):
    """watched(WORDS) -> Result of bailey as the caller, where no cgroup is mounted: memory is watched there."""
    if os.geteuid() != 0:
        skip("hiding /sys/fs/cgroup needs root")
    root = User("root", 0, 0, user.home, user.base)
    script = 'mount -t tmpfs none /sys/fs/cgroup && exec setpriv --reuid "$0" --regid "$1" --clear-groups "${@:2}"'

    def call(*words):
        return root.exec([str(w) for w in ["unshare", "-m", "bash", "-c", script, user.uid, user.gid, BAILEY, *words]], cwd=ws, env=boxes.env)

    return call


def is_grouped(boxes):
    """Does a cgroup hold the memory of the caller's sandboxes here?"""
    r = boxes("run", "--memory", "64M", "--explain=json", "--", "true")
    return json.loads(r.out)["limits"]["memory"]["mechanism"].startswith("cgroup")


def test_the_watchdog_ends_all_of_it(boxes, watched):
    boxes.make("box", "--memory", "64M", "--restart", "on-failure")
    assert watched("start", "box").rc == 0
    assert boxes.exec([PYTHON, "-c", HOG.format(8, 0.5)]).rc == 0, "the control: less than that"
    other = boxes.start("exec", "box", "--", "sh", "-c", "echo up; exec sleep 1000")
    assert other.stdout.readline() == b"up\n"
    r = boxes.exec([PYTHON, "-c", HOG.format(200, 10)])
    assert r.rc == 125 and "sandbox 'box' was ended: it had used more than its --memory 64M" in r.err and r.err.count("\n") == 1, r
    _, err = other.communicate(timeout=20)
    assert other.returncode == 125 and b"more than its --memory 64M" in err, err
    assert wait_for(lambda: state(boxes) == "stopped")
    assert [e["why"] for e in events(boxes) if e["event"] == "stopped"] == ["memory"]
    assert "memory limit 64M (watchdog)" in boxes("logs", "--supervisor", "box").out
    assert watched("start", "--boot").rc == 0 and state(boxes) == "running", "that was a failure"
    assert boxes("stop", "box").rc == 0 and events(boxes)[-1]["why"] == "asked", "the control"
    assert watched("start", "--boot").rc == 0 and state(boxes) == "stopped"


def test_who_a_cgroup_ends(boxes):
    if not is_grouped(boxes):
        return  # the watchdog's is the test above
    boxes.make("box", "--memory", "64M")
    said = "'box' had used more than its --memory 64M"
    r = boxes.exec([PYTHON, "-c", HOG.format(200, 10)])
    assert r.rc == 137 and f"the command was ended: {said}" in r.err and r.err.count("\n") == 1, r
    r = boxes.exec(f"{PYTHON} -c '{HOG.format(200, 10)}'; exit 3")
    assert r.rc == 3 and f"processes were ended while the command ran: {said}" in r.err, r
    assert boxes.exec([PYTHON, "-c", HOG.format(200, 10)], "-d", "--name", "held").rc == 0
    r = boxes("attach", "box", "held")
    assert r.rc == 137 and said in r.err, r
    for cmd, rc in (("kill -9 $$", 137), (f"{PYTHON} -c '{HOG.format(8, 0.2)}'", 0), ("exit 3", 3)):
        r = boxes.exec(cmd)
        assert (r.rc, r.err) == (rc, ""), "the controls: it was not the limit"
    assert state(boxes) == "running" and not [e for e in events(boxes) if e["event"] == "stopped"]


def test_create_says_what_is_soft(boxes, watched):
    soft = "soft, no boundary against hostile code: --memory (watchdog)"
    r = watched("create", "--memory", "64M", "soft")
    assert r.rc == 0 and soft in r.err and r.err.count("soft") == 1, r
    r = watched("create", "plain")
    assert r.rc == 0 and "soft" not in r.err, r
    r = boxes("create", "--memory", "64M", "here")
    assert r.rc == 0 and ("soft" in r.err) != is_grouped(boxes), r


def test_what_a_supervisor_has_said(boxes, watched):
    boxes.make("box", "--memory", "64M")
    assert (boxes("logs", "--supervisor", "box").rc, boxes("logs", "--supervisor", "box").out) == (0, ""), "it was never started"
    assert watched("start", "box").rc == 0
    r = boxes("logs", "--supervisor", "box")
    assert r.rc == 0 and "--memory (watchdog)" in r.out, r
    lines = r.out.splitlines()
    assert boxes("stop", "box").rc == 0
    assert boxes("logs", "--supervisor", "box").out.splitlines()[:len(lines)] == lines, "also of one that does not run"
    assert boxes("logs", "--supervisor", "--tail", "1", "box").out.splitlines() == boxes("logs", "--supervisor", "box").out.splitlines()[-1:]
    for words in (("-f", "box"), ("--json", "box"), ("box", "1")):
        r = boxes("logs", "--supervisor", *words)
        assert r.rc == 2 and "--supervisor" in r.err, r
    assert boxes("logs", "--supervisor", "none").rc == 3
