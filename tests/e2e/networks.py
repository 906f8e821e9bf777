# SPDX-License-Identifier: Apache-2.0
"""bailey beside servers that are in network and mount namespaces of their own (internet.py)."""
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence

from conftest import BAILEY, PROJECT, TIMEOUT, Result, User, command

Argv = Sequence[os.PathLike | str]


class Internet:
    """The servers. Made by root."""

    def __init__(self) -> None:
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="bailey-net-", dir="/var/tmp"))
        self.dir.chmod(0o755)
        argv: list[str | os.PathLike] = ["unshare", "-mn", "--propagation", "private", sys.executable, PROJECT / "tests/e2e/internet.py", self.dir]
        self.proc = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self.proc.stdout
        words = self.proc.stdout.readline().split()
        assert words and words[0] == b"ready", "the servers did not start"
        self.pid, self.far = int(words[1]), int(words[2])  # where bailey runs; where the servers are

    def enter(self, user: User) -> list[str]:
        """What goes before a command that runs as USER where the servers are."""
        ids = [] if user.is_root else ["setpriv", f"--reuid={user.uid}", f"--regid={user.gid}", "--clear-groups"]
        return ["nsenter", f"--mount=/proc/{self.pid}/ns/mnt", f"--net=/proc/{self.pid}/ns/net", *ids]

    def log(self) -> str:
        """What has arrived; that a client went away comes when it comes."""
        return "".join(li for li in (self.dir / "log").read_text().splitlines(True) if not li.startswith(("cut", "echoed")))

    def end(self) -> None:
        assert self.proc.stdin
        self.proc.stdin.close()
        self.proc.wait(10)
        shutil.rmtree(self.dir, ignore_errors=True)


class Net:
    """net(COMMAND, *OPTIONS) -> Result of `bailey run`, as one user in one workspace, where the servers are."""

    def __init__(self, internet: Internet, user: User, ws: pathlib.Path) -> None:
        self.internet, self.user, self.ws = internet, user, ws
        self.enter = internet.enter(user)
        self.environ = {"HOME": str(user.home), "PATH": os.environ["PATH"], "USER": user.name, "LANG": "C.UTF-8"}

    def argv(self, cmd: str | Argv | None, opts: Argv, verb: str) -> list[str]:
        words = [*self.enter, "env", "-C", self.ws, BAILEY, verb, *opts, *(["--", *command(cmd)] if cmd is not None else [])]
        return [os.fspath(w) for w in words]

    def __call__(self, cmd: str | Argv | None, *opts: str, verb: str = "run", timeout: float = TIMEOUT, env: dict[str, str] | None = None) -> Result:
        start = time.monotonic()
        r = subprocess.run(self.argv(cmd, opts, verb), stdin=subprocess.DEVNULL, capture_output=True, timeout=timeout, check=False, env={**self.environ, **(env or {})})
        return Result(r.returncode, r.stdout.decode(errors="replace"), r.stderr.decode(errors="replace"), time.monotonic() - start)

    def start(self, cmd: str | Argv, *opts: str, env: dict[str, str] | None = None) -> subprocess.Popen:
        """The same, but running; its pid is bailey's."""
        return subprocess.Popen(self.argv(cmd, opts, "run"), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                start_new_session=True, env={**self.environ, **(env or {})})

    def network(self, *words: str) -> Result:
        """`bailey network WORDS`"""
        return self(None, *words, verb="network")

    def log(self, r: Result) -> list[dict]:
        """The lines of the log that the end of a run names, else of the newest in this workspace."""
        run = re.search(r"bailey network log ([0-9a-f]{10})", r.err)
        got = self.network("log", *(run.groups() if run else ()), "--json")
        assert got.rc == 0, got.err
        return [json.loads(line) for line in got.out.splitlines()]

    def run_id(self) -> str | None:
        """Of the one run of this workspace that lives."""
        live = [g["id"] for g in json.loads(self.network("ls", "--json").out) if g["state"] == "live" and g["cwd"] == str(self.ws)]
        return live[0] if len(live) == 1 else None
