# SPDX-License-Identifier: Apache-2.0
"""Callers and state directories."""
import itertools
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

import pytest

sys.dont_write_bytecode = True

from harness import STRACE, Caller, Store, next_program, program  # noqa: E402

ORDINARY = 54321  # nobody has it
counter = itertools.count()


def skip(reason):
    """A skip has a reason, and is a failure where everything must work."""
    if os.environ.get("MUST_WORK") == "1":
        pytest.fail(f"MUST_WORK=1, but: {reason}")
    pytest.skip(reason)


@pytest.fixture(scope="session")
def bin_dir():
    """The programs, where everybody may execute them and no build replaces them."""
    assert program().exists(), f"{program()} is not there: make"
    subprocess.run(["ninja", "-C", next_program().parents[2], "--quiet", "tests/store/bailey-store-next"], check=True)
    path = pathlib.Path(tempfile.mkdtemp(prefix="bailey-store-", dir="/var/tmp"))
    path.chmod(0o755)
    shutil.copy(program(), path / "bailey-store")
    shutil.copy(next_program(), path / "bailey-store-next")
    yield path
    shutil.rmtree(path)


def caller_of(uid, bin_dir):
    base = bin_dir / f"of{uid}"
    if not base.exists():
        base.mkdir()
        if os.geteuid() == 0:
            os.chown(base, uid, uid)
        base.chmod(0o755)
    return Caller(uid, base, bin_dir / "bailey-store")


@pytest.fixture
def one(bin_dir):
    """Whoever runs the tests."""
    return caller_of(os.geteuid(), bin_dir)


@pytest.fixture(params=["root", "user"])
def caller(request, bin_dir):
    if os.geteuid() == 0:
        return caller_of(0 if request.param == "root" else ORDINARY, bin_dir)
    if request.param == "root":
        skip("the root cases need pytest to run as root")
    return caller_of(os.geteuid(), bin_dir)


def new_store(caller):
    base = caller.base / f"s{next(counter)}"
    base.mkdir()
    caller.own(base)
    return Store(caller, base / "state")


@pytest.fixture
def store(caller):
    """A state directory that is not there yet, of root and of an ordinary user."""
    s = new_store(caller)
    yield s
    shutil.rmtree(s.state.parent)


@pytest.fixture
def mine(one):
    """The same of whoever runs the tests: where it doesn't matter whose it is."""
    s = new_store(one)
    yield s
    shutil.rmtree(s.state.parent)


@pytest.fixture
def filled(mine):
    """With sandboxes and volumes."""
    assert mine("volume", "add", "used", "1048576").rc == 0
    assert mine("volume", "add", "free").rc == 0
    mine.add("one", options=["--allow-host", "example.org"], timeout=60000)
    mine.add("two", volumes=[{"volume": "used", "path": "/data"}], network={"allow": ["a", "b"]}, services=[{"name": "web"}], restart=True)
    return mine


@pytest.fixture
def strace():
    if not STRACE:
        skip("strace is not installed")
