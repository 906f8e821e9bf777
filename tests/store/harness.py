# SPDX-License-Identifier: Apache-2.0
"""bailey-store as its callers know it, and what is looked at behind its back."""
import contextlib
import json
import os
import pathlib
import re
import shutil
import sqlite3
import subprocess
import tempfile
from typing import Any, NamedTuple

PROJECT = pathlib.Path(__file__).resolve().parents[2]
STRACE = shutil.which("strace")
# What changes files or directories; of openat what may create, of write all.
CALLS = ("openat", "pwrite64", "write", "ftruncate", "fsync", "fdatasync", "unlink", "unlinkat", "rename", "renameat", "renameat2", "link", "linkat", "mkdir",
         "mkdirat", "fallocate", "fchmod", "fchown")


def program() -> pathlib.Path:
    """The one that is tested."""
    return pathlib.Path(os.environ.get("BAILEY_STORE") or PROJECT / "build" / "bailey-store").resolve()


def next_program() -> pathlib.Path:
    """The same of a release to come; made by the same build where there is one."""
    build = program().parents[2] if (program().parents[2] / "build.ninja").exists() else PROJECT / "build/glibc"
    return build / "tests/store/bailey-store-next"


class Result(NamedTuple):
    rc: int
    out: str
    err: str

    @property
    def json(self):
        assert self.rc == 0 and self.err == "", self
        return json.loads(self.out)


class Caller(NamedTuple):
    """Who calls, and which program."""
    uid: int
    base: pathlib.Path  # his directory
    path: pathlib.Path
    env: dict = {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "ASAN_OPTIONS": "detect_leaks=1"}

    @property
    def ids(self) -> dict[str, Any]:
        return {} if os.geteuid() == self.uid else {"user": self.uid, "group": self.uid, "extra_groups": []}

    def exec(self, argv, text="") -> Result:
        env = dict(self.env)
        if argv[0] == STRACE:
            env["ASAN_OPTIONS"] = "detect_leaks=0"  # it can't look for leaks while it is traced
        r = subprocess.run([str(a) for a in argv], input=text.encode() if isinstance(text, str) else text, capture_output=True, check=False, timeout=120,
                           cwd=self.base, env=env, umask=0o022, **self.ids)
        return Result(r.returncode, r.stdout.decode(), r.stderr.decode())

    def start(self, argv):
        return subprocess.Popen([str(a) for a in argv], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=self.base, env=self.env, **self.ids)

    def own(self, path):
        """Give him what the tests have made."""
        if os.geteuid() == 0:
            for p in (path, *path.rglob("*")) if path.is_dir() and not path.is_symlink() else (path,):
                os.chown(p, self.uid, self.uid, follow_symlinks=False)
        return path


class Store:
    """One state directory."""

    def __init__(self, caller, state):
        self.caller, self.state = caller, state

    @property
    def db(self):
        return self.state / "state.db"

    def __call__(self, *words, text="", path=None):
        if not isinstance(text, (str, bytes)):
            text = json.dumps(text)
        return self.caller.exec([path or self.caller.path, self.state, *words], text)

    def add(self, name, **more):
        r = self("add", text={"name": name, "cwd": "/srv", **more})
        assert r.rc == 0 and r.err == "" and re.fullmatch(r"[0-9a-f]{10}\n", r.out), r
        return r.out.strip()

    def names(self):
        return sorted(o["name"] for o in self("ls").json)

    def what(self):
        """All that is kept, without what differs from run to run."""
        boxes, volumes = self("ls").json, self("volume", "ls").json
        # a block of ids goes by the id: here it only counts that there is one
        return [{k: bool(v) if k == "ids" else v for k, v in o.items() if k not in ("id", "created", "changed")} for o in boxes + volumes]

    def whole(self):
        """sqlite's own opinion, of a copy; nothing but its own files is left beside the file."""
        names = {p.name for p in self.state.iterdir()}
        assert "state.db" in names <= {"state.db", "state.db-wal", "state.db-shm"}
        with tempfile.TemporaryDirectory() as copy:
            for name in names - {"state.db-shm"}:
                shutil.copy(self.state / name, copy)
            with contextlib.closing(sqlite3.connect(f"{copy}/state.db")) as c:
                assert c.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
                assert c.execute("PRAGMA foreign_key_check").fetchall() == []

    def sql(self, *statements):
        """Behind its back."""
        with contextlib.closing(sqlite3.connect(self.db)) as c:
            for s in statements:
                c.execute(s)
            c.commit()
        self.caller.own(self.state)

    def settle(self):
        """The WAL is written back: one file is left."""
        self.sql("SELECT 1 FROM sandboxes")
        assert sorted(p.name for p in self.state.iterdir()) == ["state.db"]

    def keep(self):
        """Returns a function that brings back what is there now."""
        saved = self.state.parent / (self.state.name + ".saved")
        shutil.rmtree(saved, ignore_errors=True)
        there = self.state.exists()
        if there:
            subprocess.run(["cp", "-a", self.state, saved], check=True)

        def back():
            shutil.rmtree(self.state, ignore_errors=True)
            if there:
                subprocess.run(["cp", "-a", saved, self.state], check=True)

        return back


class Call(NamedTuple):
    name: str
    number: int  # of this name, from 1
    text: str


def traced(store, words, text, path=None, options=()):
    """What a verb does, call by call: (result, calls that change something, the raw lines)."""
    log = store.state.parent / "trace"
    log.write_text("")
    store.caller.own(log)
    argv = [STRACE, "-qq", "-o", log, "-e", "trace=" + ",".join((*CALLS, "close")), *options, path or store.caller.path, store.state, *words]
    r = store.caller.exec(argv, json.dumps(text) if not isinstance(text, str) else text)
    lines = log.read_text().splitlines()
    counts: dict[str, int] = {}
    calls = []
    for line in lines:
        name = line.split("(", 1)[0]
        counts[name] = counts.get(name, 0) + 1
        if name in CALLS and (name != "openat" or "O_CREAT" in line):
            calls.append(Call(name, counts[name], line))
    return r, calls, lines


def injected(store, call, what, words, text, path=None):
    """The verb, with @what happening to one of its calls."""
    argv = [STRACE, "-qq", "-o", "/dev/null", "-e", f"trace={call.name}", "-e", f"inject={call.name}:{what}:when={call.number}", path or store.caller.path,
            store.state, *words]
    return store.caller.exec(argv, json.dumps(text) if not isinstance(text, str) else text)
