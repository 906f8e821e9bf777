# SPDX-License-Identifier: Apache-2.0
"""A disk that is really full: a small tmpfs."""
import contextlib
import os
import subprocess

import pytest

from conftest import skip
from harness import Store
from test_crash import VERBS
from test_verbs import refused


@pytest.fixture
def small(caller):
    """A store on a disk of 512 KiB; fill(FREE) leaves so much of it."""
    if os.geteuid() != 0:
        skip("only root can mount a small disk")
    where = caller.base / "disk"
    where.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size=512k,mode=700,uid={caller.uid},gid={caller.uid}", "tmpfs", where], check=True)
    try:
        yield Store(caller, where / "state")
    finally:
        subprocess.run(["umount", "-l", where], check=True)
        where.rmdir()


def fill(store, free):
    """Leave so many bytes of the disk."""
    where = store.state.parent
    st = os.statvfs(where)
    with open(where / "filler", "wb", buffering=0) as f, contextlib.suppress(OSError):
        left = max(0, st.f_bavail * st.f_bsize - free)
        while left > 0 or free == 0:
            left -= f.write(bytes(4096))


def room(store):
    (store.state.parent / "filler").unlink()


def test_full(small):
    """Nothing can be changed but what takes away, and it says so; everything can be read; then there is room, and it goes on."""
    assert small("volume", "add", "used").rc == 0 and small("volume", "add", "free").rc == 0
    small.add("one")
    small.add("two", volumes=[{"volume": "used", "path": "/data"}])
    what, back = small.what(), small.keep()
    takes_away = [verb for verb in VERBS if verb.endswith("rm")]
    fill(small, 0)
    for verb, (words, text) in VERBS.items():
        if verb not in takes_away:
            assert refused(small(*words, text=text), 125, "no space"), verb
            assert small.what() == what, verb
    assert small("get", "one").rc == 0
    for verb in takes_away:
        words, text = VERBS[verb]
        assert small(*words, text=text).rc == 0 and small.what() != what, verb
        room(small)
        small.whole()
        back()
        fill(small, 0)
    room(small)
    for words, text in VERBS.values():
        assert small(*words, text=text).rc == 0
        small.whole()
        back()


def test_nearly_full(small):
    """More and more room: either it is there, or it isn't and the end says so."""
    small.add("one")
    results = []
    for free in range(0, 200 << 10, 8 << 10):
        fill(small, free)
        names = small.names()
        r = small("add", text={"name": f"n{free}", "cwd": "/", "options": ["x" * 20000]})
        assert small.names() == sorted(names + [f"n{free}"] * (r.rc == 0)), (free, r)
        assert r.rc == 0 or refused(r, 125, "no space"), r
        results.append(r.rc)
        room(small)
        if r.rc == 0:
            assert small("rm", f"n{free}").rc == 0
    assert results[0] == 125 and results[-1] == 0
    small.whole()


def test_full_at_first(small):
    """Nothing is begun that can't be finished."""
    for free in range(0, 40 << 10, 4 << 10):
        fill(small, free)
        r = small("add", text={"name": "one", "cwd": "/"})
        assert refused(r, 125), (free, r)
        assert "space" in r.err.lower(), r
        assert not small.state.exists() or small("ls").json == []
        room(small)
    small.add("one")
    small.whole()
