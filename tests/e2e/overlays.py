# SPDX-License-Identifier: Apache-2.0
"""What the tests of overlay workspaces share."""
import contextlib
import hashlib
import json
import os
import pathlib
import re
import stat
import subprocess

from conftest import file_system

ID = re.compile(r"run ([0-9a-f]{10}) changed ")


def state_dir(user):
    return user.home / ".local/state/bailey"


def tidy_state(user, monkeypatch):
    """A fixture's body: root's state is in its home, too, not the machine's; and what runs have left there goes with each test."""
    if user.is_root:
        environ = user.environ
        monkeypatch.setattr(user, "environ", lambda extra=None: environ({"XDG_STATE_HOME": str(user.home / ".local/state"), **(extra or {})}))
    with holds_layers(user, user.home / ".local/state"):
        yield
        subprocess.run(["rm", "-rf", "--", store(user)], check=False)


@contextlib.contextmanager
def holds_layers(user, path):
    """Makes PATH a directory that can hold the layers of copies: on an overlayfs, a container's root, nothing can, so that it becomes a tmpfs."""
    path = pathlib.Path(path)
    mounted = file_system(next(p for p in (path, *path.parents) if p.exists())) == "overlayfs" and os.geteuid() == 0
    if mounted:
        user.mkdir(path, 0o700)
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"mode=700,uid={user.uid},gid={user.gid}", "tmpfs", path], check=True)
    try:
        yield path
    finally:
        if mounted:
            subprocess.run(["umount", "-l", path], check=True)


def store(user):
    return state_dir(user) / "runs"


def snapshot(top, times=True):
    """Everything that can be seen of a tree, by relative name."""
    top = pathlib.Path(top)
    seen = {}
    for p in sorted([top, *top.rglob("*")]):
        st = p.lstat()
        what = [stat.S_IFMT(st.st_mode), stat.S_IMODE(st.st_mode), st.st_uid, st.st_gid]
        if stat.S_ISREG(st.st_mode):
            what += [st.st_size, hashlib.sha256(p.read_bytes()).hexdigest() if st.st_size < 1 << 24 else ""]
        elif stat.S_ISLNK(st.st_mode):
            what += [os.readlink(p)]
        if times and not stat.S_ISDIR(st.st_mode):
            what += [st.st_mtime_ns]
        seen[str(p.relative_to(top))] = tuple(what)
    return seen


def run_id(result):
    """The ID that a run prints at its end, or None."""
    found = ID.search(result.err)
    return found[1] if found else None


def changes(bailey, ws, run=None):
    """{path: object} of `bailey diff --json`."""
    r = bailey(["diff", "--json", *([run] if run else [])], cwd=ws)
    assert r.rc == 0, r
    return {c["path"]: c for c in json.loads(r.out)}


def mounts_of(text):
    return [li for li in text.splitlines() if " overlay " in li]
