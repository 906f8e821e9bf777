# SPDX-License-Identifier: Apache-2.0
"""
A disk that is full under verbs about sandboxes that stay: it is done, or one line says what is missing and nothing has changed; with room again the
same command does it. The store alone: tests/store/test_full.py; rules of the network: test_named_network.py.
"""
import contextlib
import os
import pathlib
import re
import shutil
import sqlite3
import subprocess
import tempfile
import time

import pytest

from conftest import skip, wait_for
from test_named import boxes  # noqa: F401 (a fixture)
from test_named_crash import VERBS, Scene

# pylint: disable=redefined-outer-name

FULL = re.compile(r"(disk full|no space|No space left)")


class Disk:
    """The state's own, small. full() leaves no room of it, by a file that has no name; free() makes room."""

    def __init__(self, home):
        self.home, self.filler = home, -1

    def full(self):
        self.filler = os.open(self.home / "filler", os.O_CREAT | os.O_WRONLY)
        os.unlink(self.home / "filler")
        for size in (1 << 20, 4096):
            with contextlib.suppress(OSError):
                while True:
                    os.write(self.filler, bytes(size))
        assert os.statvfs(self.home).f_bavail == 0

    def free(self):
        if self.filler >= 0:
            os.close(self.filler)
        self.filler = -1


@pytest.fixture
def disk(boxes, user):
    if os.geteuid() != 0:
        skip("only root can mount a small disk")
    # not below /home, where a mount would be in the way of its overlay
    state = pathlib.Path(tempfile.mkdtemp(prefix="bailey-disk-", dir="/var/tmp"))
    os.chown(state, user.uid, user.gid)
    boxes.env, boxes.home = {**boxes.env, "XDG_STATE_HOME": str(state)}, user.mkdir(state / "bailey", 0o700)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size=16m,mode=700,uid={user.uid},gid={user.gid}", "none", boxes.home], check=True)
    d = Disk(boxes.home)
    yield d
    d.free()
    for name in boxes.ls():
        assert boxes("rm", "-f", name).rc == 0
    subprocess.run(["umount", "-l", boxes.home], check=True)
    del boxes.env, boxes.home
    shutil.rmtree(state)


@pytest.mark.parametrize("verb", VERBS)
def test_full(disk, boxes, user, ws, verb):
    s = Scene(boxes, user, ws, verb)
    s.back()
    old = s.look()
    assert s.verb().rc == 0 and wait_for(lambda: not s.busy())
    new = s.look()
    s.back()
    disk.full()
    r = s.verb()
    assert wait_for(lambda: not s.busy())
    now = s.look()
    assert r.rc == 0 or not verb.startswith(("rm", "prune", "volume rm")), "what takes away makes room first"
    if r.rc == 0:
        assert now == new, (r, now.tree ^ new.tree)
    else:
        assert r.rc == 125 and FULL.search(r.err) and r.err.count("\n") == 1 and r.out == "", r
        assert (now.kept, now.home, now.host) == (old.kept, old.home, old.host), r
    disk.free()
    r = s.verb()
    assert r.rc in ((0, 3, 4) if now.kept == new.kept != old.kept else (0,)), r
    then = s.look()
    assert then == new, (r, then.tree ^ new.tree)


def test_prune_of_a_volume(disk, boxes):
    """The same of a verb that tries several."""
    assert boxes("volume", "create", "data").rc == 0
    time.sleep(1.1)  # it counts ages in seconds
    words = ("prune", "--volumes", "--force", "--older", "1ms")
    with contextlib.closing(sqlite3.connect(boxes.home / "state.db")) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    disk.full()
    r = boxes(*words)
    assert r.rc == 125 and FULL.search(r.err) and "bailey volume rm data" in r.err and r.err.count("\n") == 1, r
    assert (boxes.home / "volumes" / "data").exists(), "there is nothing that it could make room of"
    disk.free()
    assert boxes("volume", "create", "more").rc == 0 and boxes("volume", "rm", "more").rc == 0
    disk.full()
    r = boxes(*words)
    assert r.rc == 0 and r.out == "removed volume data\n" and not (boxes.home / "volumes" / "data").exists(), r
