# SPDX-License-Identifier: Apache-2.0
"""What the benchmarks share: callers, homes, timing in turns, intervals."""

import argparse
import contextlib
import hashlib
import json
import os
import pwd
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
NAMESPACES = ("user", "mnt", "pid", "ipc", "uts", "cgroup", "net")
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# What a home usually holds and bailey hides; an empty home would spare it that work.
SECRETS = (".ssh/id_ed25519", ".aws/credentials", ".gnupg/trustdb.gpg", ".config/gcloud/credentials.db", ".kube/config",
           ".docker/config.json", ".netrc", ".npmrc", ".git-credentials", ".bash_history")


# Rows that nobody misses: bench/README.md says why. Any other rival that is left out is one that the machine should have.
REASONED = ("measured as root only", "needs root here", "a server in namespaces of its own needs root", "an ordinary user has no cgroup to freeze")


class Failed(Exception):
    pass


@dataclass
class Who:
    """Whom the commands run as."""
    label: str
    uid: int
    gid: int
    home: str
    env: dict[str, str]

    def output(self, argv: list[str], cwd: str) -> str:
        ids = {"user": self.uid, "group": self.gid, "extra_groups": []} if os.geteuid() == 0 else {}
        out = subprocess.run(argv, cwd=cwd, env=self.env, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                             check=False, timeout=60, **ids)  # type: ignore[call-overload]
        if out.returncode:
            said = (out.stderr.strip() or out.stdout.strip()).splitlines()
            raise Failed(f"{os.path.basename(argv[0])}: exit {out.returncode}: {said[-1] if said else ''}")
        return str(out.stdout)


def which(name: str) -> str:
    found = shutil.which(name, path=PATH)
    if not found:
        raise Failed(f"{name} is not installed")
    return found


def bailey_argv(bailey: str, *options: str) -> list[str]:
    """What is measured. Without options exactly the defaults: compare_explain() proves it."""
    return [bailey, "run", *options, "--", "true"]


def ordinary_user(name: str | None) -> tuple[int, int]:
    """The named user, who called sudo, the first one with a home, else nobody."""
    name = name or os.environ.get("SUDO_USER")
    if name:
        entry = pwd.getpwnam(name)
        return entry.pw_uid, entry.pw_gid
    for entry in sorted(pwd.getpwall(), key=lambda e: e.pw_uid):
        if 1000 <= entry.pw_uid < 60000:
            return entry.pw_uid, entry.pw_gid
    return 65534, 65534


def make_home(base: str, label: str, uid: int, gid: int) -> str:
    home = os.path.join(base, label)
    for secret in SECRETS:
        path = os.path.join(home, secret)
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        with open(path, "w", encoding="ascii") as f:
            f.write("planted by the benchmark\n")
    chown_tree(home, uid, gid)
    return home


def chown_tree(top: str, uid: int, gid: int) -> None:
    os.chown(top, uid, gid)
    for path, dirs, names in os.walk(top):
        for n in dirs + names:
            os.chown(os.path.join(path, n), uid, gid, follow_symlinks=False)


def make_files(top: str, count: int) -> None:
    for i in range(count):
        if i % 500 == 0:
            sub = os.path.join(top, f"d{i // 500}")
            os.mkdir(sub)
        os.close(os.open(os.path.join(sub, f"f{i}"), os.O_CREAT | os.O_WRONLY, 0o644))


def explain_hash(who: Who, argv: list[str], cwd: str) -> str:
    """Of the sandbox that ARGV (bailey run ... -- true) would build."""
    at = argv.index("run") + 1
    return hashlib.sha256(who.output([*argv[:at], "--explain=json", *argv[at:]], cwd).encode()).hexdigest()


def compare_explain(who: Who, bailey: str, cwd: str) -> str:
    """The measured sandbox must be the one that users get: no option, no variable that only a benchmark sets."""
    default = hashlib.sha256(who.output([bailey, "run", "--explain=json", "--", "true"], cwd).encode()).hexdigest()
    measured = explain_hash(who, bailey_argv(bailey), cwd)
    if default != measured:
        raise Failed("the measured sandbox is not the default one: --explain=json differs")
    if any(k.startswith("BAILEY") for k in who.env):
        raise Failed("a BAILEY variable is set for the measured command")
    return default


def isolation(who: Who, argv: list[str], cwd: str) -> dict[str, object]:
    """Which namespaces of a command are its own, and what else holds it. ARGV ends in the command `true`."""
    script = "readlink " + " ".join(f"/proc/self/ns/{n}" for n in NAMESPACES) + "; grep -E '^(NoNewPrivs|Seccomp|CapBnd):' /proc/self/status"
    inside = who.output([*argv[:-1], "sh", "-c", script], cwd).split("\n")
    outside = [os.readlink(f"/proc/self/ns/{n}") for n in NAMESPACES]
    status = dict(line.split(":\t") for line in inside if ":\t" in line)
    return {"namespaces": [n for n, a, b in zip(NAMESPACES, inside, outside) if a != b],
            "seccomp": int(status.get("Seccomp", "0").strip()), "no_new_privs": int(status.get("NoNewPrivs", "0").strip()),
            "bounding_set": status.get("CapBnd", "").strip()}


def spawn(tool: str, who: Who, commands: list[tuple[str, list[str]]], rounds: int, pause: int,
          view: list[str] | None = None) -> list[list[float]]:
    """A list for each (directory, command): its milliseconds in each round. VIEW is a command that starts the timing in another view of the host."""
    ids = [str(who.uid), str(who.gid)] if os.geteuid() == 0 else ["-1", "-1"]
    argv = [*(view or []), tool, str(rounds), str(max(2, rounds // 20)), str(pause), *ids]
    for cwd, command in commands:
        argv += [":::", cwd, *command]
    out = subprocess.run(argv, env=who.env, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if out.returncode:
        raise Failed(out.stderr.strip())
    times = [[int(n) / 1e6 for n in line.split()] for line in out.stdout.splitlines()]
    if [len(t) for t in times] != [rounds] * len(commands):
        raise Failed(f"spawn has said {[len(t) for t in times]} times of {rounds}")
    return times


def interval(a: list[float], b: list[float], value, times: int = 1000) -> tuple[float, float]:
    """95 % bootstrap interval of VALUE(medians); pairs stay together, so that shared noise cancels."""
    rng = random.Random(1)
    n = len(a)
    found = []
    for _ in range(times):
        pick = rng.choices(range(n), k=n)
        found.append(value(statistics.median([a[i] for i in pick]), statistics.median([b[i] for i in pick])))
    found.sort()
    return found[int(times * 0.025)], found[int(times * 0.975)]


def spread(ms: list[float]) -> dict[str, float]:
    cuts = statistics.quantiles(ms, n=20) if len(ms) > 1 else ms * 20
    return {"p50": round(statistics.median(ms), 3), "p5": round(cuts[0], 3), "p95": round(cuts[-1], 3)}


def filesystem(path: str) -> str:
    """Type of the file system that holds PATH; it decides whether root's workspace can be idmapped."""
    best = ("", "?")
    with open("/proc/self/mounts", encoding="utf-8", errors="replace") as f:
        for line in f:
            _, point, kind = line.split()[:3]
            if (path + "/").startswith(point.rstrip("/") + "/") and len(point) >= len(best[0]):
                best = (point, kind)
    return best[1]


def options(doc: str | None) -> argparse.ArgumentParser:
    """The options of every benchmark."""
    ap = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--user", help="the ordinary user, when started by root")
    ap.add_argument("--dir", help="where homes and workspaces are made (default /home as root, else $HOME)")
    ap.add_argument("--quick", action="store_true", help="a look: fewer rounds, less work")
    ap.add_argument("--check", action="store_true", help="exit 1 when a target is missed")
    return ap


class Place:
    """A directory of the benchmark's own with the program that is measured and the tool that times."""

    def __init__(self, base: str, bailey: str) -> None:
        self.base = base
        self.tool = os.path.join(base, "spawn")
        subprocess.run([os.environ.get("CC", "cc"), "-O2", "-o", self.tool, os.path.join(ROOT, "bench", "spawn.c")], check=True)
        # The ordinary user may not be able to reach the build directory.
        self.bailey = os.path.join(base, "bailey")
        shutil.copyfile(bailey, self.bailey)
        os.chmod(self.bailey, 0o755)
        with open(bailey, "rb") as f:
            self.sha = hashlib.sha256(f.read()).hexdigest()
        self.rows: list[dict] = []

    def emit(self, row: dict) -> None:
        self.rows.append(row)
        print(json.dumps(row), flush=True)

    def people(self, user: str | None) -> Iterator[Who]:
        """Each caller, with a home that is there as long as the loop is at it."""
        people = [("user", os.getuid(), os.getgid())]
        if os.geteuid() == 0:
            people = [("root", 0, 0), ("user", *ordinary_user(user))]
        for label, uid, gid in people:
            home = make_home(self.base, label, uid, gid)
            # A fixed environment: what the caller has set is not part of the figure.
            yield Who(label, uid, gid, home, {"PATH": PATH, "HOME": home, "LANG": "C.UTF-8", "TERM": "dumb"})
            shutil.rmtree(home)

    def missed(self) -> bool:
        """Whether a row is worse than what is accepted, or a rival that can be measured here was not."""
        return not all(r["skipped"].startswith(REASONED) if "skipped" in r else r.get("accepted", r.get("met", True)) for r in self.rows)


@contextlib.contextmanager
def place(opt: argparse.Namespace) -> Iterator[Place]:
    bailey = os.path.abspath(os.environ.get("BAILEY") or os.path.join(ROOT, "build", "bailey"))
    if not os.access(bailey, os.X_OK):
        sys.exit(f"bench: {bailey} is missing or not executable: run make first, or set BAILEY")
    # Not below /tmp or /var/tmp: those are private inside, and projects live in homes.
    top = opt.dir or ("/home" if os.geteuid() == 0 and os.path.isdir("/home") else os.path.expanduser("~"))
    base = tempfile.mkdtemp(prefix="bailey-bench.", dir=top)
    os.chmod(base, 0o755)
    try:
        yield Place(base, bailey)
    except Failed as e:
        sys.exit(f"bench: {e}")
    finally:
        shutil.rmtree(base, ignore_errors=True)
