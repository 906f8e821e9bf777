#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""How long `bailey run -- true` takes, against rivals and a floor measured in the same run.

Usage: bench/start.py [--rounds N] [--pause US] [--user NAME] [--dir DIR] [--rivals A,B] [--quick] [--check]

Each row is one pair in strict turns, bailey, rival, bailey, rival ...; bench/spawn.c does the timing. As root there are rows for
root and for an ordinary user. Prints a JSON line per row and then a table. BAILEY names the program (default build/bailey).
bench/README.md says what is compared and why.
"""

import argparse
import hashlib
import json
import os
import platform
import pwd
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
NAMESPACES = ("user", "mnt", "pid", "ipc", "uts", "cgroup", "net")
FILES = 50_000
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# Rival -> the ratio that is wanted. The floor's is 3 ms where fork+exec takes 0.7.
TARGET = {"bwrap": 0.5, "true": 3 / 0.7}
TARGET_ADDED_MS = 2.0
# What a home usually holds and bailey hides; an empty home would spare it that work.
SECRETS = (".ssh/id_ed25519", ".aws/credentials", ".gnupg/trustdb.gpg", ".config/gcloud/credentials.db", ".kube/config",
           ".docker/config.json", ".netrc", ".npmrc", ".git-credentials", ".bash_history")


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


def bailey_argv(bailey: str) -> list[str]:
    """What is measured. Exactly the defaults: compare_explain() proves it."""
    return [bailey, "run", "--", "true"]


def bwrap_argv(ws: str) -> list[str]:
    return [which("bwrap"), "--unshare-all", "--unshare-user", "--die-with-parent", "--ro-bind", "/", "/", "--dev", "/dev",
            "--proc", "/proc", "--tmpfs", "/tmp", "--tmpfs", "/run", "--bind", ws, ws, "--chdir", ws, "--", "true"]


def unshare_argv() -> list[str]:
    return [which("unshare"), "--user", "--map-current-user", "--mount", "--pid", "--fork", "--kill-child", "--ipc", "--uts", "--net",
            "--cgroup", "--mount-proc", "true"]


def firejail_argv(ws: str) -> list[str]:
    return [which("firejail"), "--quiet", "--noprofile", "--net=none", "--private-tmp", "--private-dev", "--caps.drop=all",
            "--nonewprivs", "--seccomp", "--read-only=/", f"--read-write={ws}", "--", "true"]


def crun_argv(ws: str, who: Who, bundle: str) -> list[str]:
    """A bundle that shows the host's programs read-only: what comes nearest in a runtime that must pivot."""
    prog = which("crun")
    rootfs = os.path.join(bundle, "rootfs")
    os.makedirs(rootfs, exist_ok=True)
    mounts = [{"destination": "/proc", "type": "proc", "source": "proc"},
              {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755"]},
              {"destination": "/tmp", "type": "tmpfs", "source": "tmpfs"}, {"destination": "/run", "type": "tmpfs", "source": "tmpfs"}]
    for top in ("usr", "etc", "bin", "sbin", "lib", "lib64"):
        if os.path.islink("/" + top):
            if not os.path.lexists(os.path.join(rootfs, top)):
                os.symlink(os.readlink("/" + top), os.path.join(rootfs, top))
        elif os.path.isdir("/" + top):
            mounts.append({"destination": "/" + top, "type": "none", "source": "/" + top, "options": ["rbind", "ro"]})
    mounts.append({"destination": ws, "type": "none", "source": ws, "options": ["rbind", "rw"]})
    config = {
        "ociVersion": "1.0.2", "root": {"path": "rootfs", "readonly": True}, "mounts": mounts,
        "process": {"args": ["true"], "cwd": ws, "env": ["PATH=" + PATH], "user": {"uid": who.uid, "gid": who.gid},
                    "noNewPrivileges": True, "capabilities": {}},
        "linux": {"namespaces": [{"type": t} for t in ("user", "mount", "pid", "ipc", "uts", "cgroup", "network")],
                  "uidMappings": [{"containerID": who.uid, "hostID": who.uid, "size": 1}],
                  "gidMappings": [{"containerID": who.gid, "hostID": who.gid, "size": 1}]},
    }
    with open(os.path.join(bundle, "config.json"), "w", encoding="utf-8") as f:
        json.dump(config, f)
    for path in (bundle, rootfs):
        os.chown(path, who.uid, who.gid)
    state = os.path.join(bundle, "state")
    os.makedirs(state, exist_ok=True)
    os.chown(state, who.uid, who.gid)
    return [prog, "--root", state, "--cgroup-manager=disabled", "run", "--bundle", bundle, "bailey-bench"]


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


def crun_view() -> list[str]:
    """crun refuses hybrid cgroups: there both commands of its pair see a plain cgroup2 instead."""
    if filesystem("/sys/fs/cgroup") == "cgroup2" or os.geteuid() != 0:
        return []
    return [which("unshare"), "--mount", "sh", "-ec", "umount -R -l /sys/fs/cgroup; mount -t cgroup2 none /sys/fs/cgroup; exec \"$@\"", "sh"]


def spawn(tool: str, who: Who, commands: list[tuple[str, list[str]]], rounds: int, pause: int,
          view: list[str] | None = None) -> list[list[float]]:
    """Milliseconds of each (directory, command), per round. VIEW is a command that starts the timing in another view of the host."""
    ids = [str(who.uid), str(who.gid)] if os.geteuid() == 0 else ["-1", "-1"]
    argv = [*(view or []), tool, str(rounds), str(max(2, rounds // 20)), str(pause), *ids]
    for cwd, command in commands:
        argv += [":::", cwd, *command]
    out = subprocess.run(argv, env=who.env, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if out.returncode:
        raise Failed(out.stderr.strip())
    return [[int(n) / 1e6 for n in line.split()] for line in out.stdout.splitlines()]


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


class Bench:
    def __init__(self, opt: argparse.Namespace, base: str, bailey: str) -> None:
        self.opt = opt
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

    def row(self, who: Who, kind: str, ws: str, rival: str, argv: list[str], facts: dict,
            view: list[str]) -> None:
        # The slow ones need fewer rounds for the same relative width.
        rounds = self.opt.rounds if rival in ("bwrap", "true", "unshare") else max(10, self.opt.rounds // 4)
        ours, theirs = spawn(self.tool, who, [(ws, bailey_argv(self.bailey)), (ws, argv)], rounds, self.opt.pause, view)
        ratio = statistics.median(ours) / statistics.median(theirs)
        low, high = interval(ours, theirs, lambda x, y: x / y)
        row = {"bench": "start", "who": who.label, "workspace": kind, "rival": rival, "rounds": rounds,
               "bailey_ms": spread(ours), "rival_ms": spread(theirs), "ratio": round(ratio, 3),
               "ratio_95": [round(low, 3), round(high, 3)], **facts}
        if view:
            row["view"] = "/sys/fs/cgroup is cgroup2 only"
        if rival in TARGET:
            row["target"] = round(TARGET[rival], 2)
            row["met"] = ratio <= TARGET[rival]
        self.emit(row)

    def added(self, who: Who, empty: str, full: str, facts: dict) -> None:
        argv = bailey_argv(self.bailey)
        big, small = spawn(self.tool, who, [(full, argv), (empty, argv)], self.opt.rounds, self.opt.pause)
        added = statistics.median(big) - statistics.median(small)
        low, high = interval(big, small, lambda x, y: x - y)
        self.emit({"bench": "start-files", "who": who.label, "workspace": f"{FILES} files", "rival": "bailey, empty workspace",
                   "rounds": self.opt.rounds, "bailey_ms": spread(big), "rival_ms": spread(small), "added_ms": round(added, 3),
                   "added_95": [round(low, 3), round(high, 3)], "target_ms": TARGET_ADDED_MS, "met": added <= TARGET_ADDED_MS, **facts})

    def rival_argv(self, name: str, who: Who, ws: str) -> list[str]:
        if name == "true":
            return [which("true")]
        if name == "bwrap":
            return bwrap_argv(ws)
        if name == "unshare":
            return unshare_argv()
        if name == "firejail":
            return firejail_argv(ws)
        if name == "crun":
            bundle = os.path.join(self.base, f"crun-{who.label}")
            os.makedirs(bundle, exist_ok=True)
            return crun_argv(ws, who, bundle)
        raise Failed(f"unknown rival {name}")

    def workspace(self, who: Who, kind: str, empty: str, full: str) -> None:
        ws = empty if kind == "empty" else full
        facts: dict = {"bailey_sha256": self.sha, "kernel": platform.release(), "cpus": len(os.sched_getaffinity(0)),
                       "filesystem": filesystem(ws), "explain_sha256": compare_explain(who, self.bailey, ws)}
        mine = isolation(who, bailey_argv(self.bailey), ws)
        facts["isolation"] = mine
        for rival in self.opt.rivals.split(","):
            if kind != "empty" and rival not in TARGET:
                continue
            try:
                argv = self.rival_argv(rival, who, ws)
                view = crun_view() if rival == "crun" else []
                if view:  # usable at all?
                    spawn(self.tool, who, [(ws, argv)], 1, 0, view)
                else:
                    who.output(argv, ws)
            except Failed as e:
                self.emit({"bench": "start", "who": who.label, "workspace": kind, "rival": rival, "skipped": str(e)})
                continue
            if rival == "bwrap":
                lacking = set(isolation(who, argv, ws)["namespaces"]) - set(mine["namespaces"])  # type: ignore[call-overload]
                if lacking:
                    raise Failed(f"not comparable: bwrap makes namespaces that bailey does not: {' '.join(sorted(lacking))}")
            self.row(who, kind, ws, rival, argv, facts, view)
        if kind != "empty":
            self.added(who, empty, full, facts)

    def run(self) -> None:
        people = [("user", os.getuid(), os.getgid())]
        if os.geteuid() == 0:
            people = [("root", 0, 0), ("user", *ordinary_user(self.opt.user))]
        for label, uid, gid in people:
            home = make_home(self.base, label, uid, gid)
            # A fixed environment: what the caller has set is not part of the figure.
            who = Who(label, uid, gid, home, {"PATH": PATH, "HOME": home, "LANG": "C.UTF-8", "TERM": "dumb"})
            empty = os.path.join(home, "empty")
            full = os.path.join(home, "full")
            os.mkdir(empty)
            os.mkdir(full)
            if not self.opt.quick:
                make_files(full, FILES)
            for d in (empty, full):
                chown_tree(d, uid, gid)
            self.workspace(who, "empty", empty, full)
            if not self.opt.quick:
                self.workspace(who, f"{FILES} files", empty, full)
            shutil.rmtree(home)

    def table(self) -> None:
        line = "{:5} {:12} {:24} {:>9} {:>9} {:>8} {:>16} {:>7}  {}"
        print()
        print(line.format("who", "workspace", "against", "bailey ms", "other ms", "ratio", "95 %", "target", ""))
        for r in self.rows:
            head = (r["who"], r["workspace"], r["rival"])
            if "skipped" in r:
                print(line.format(*head, "", "", "", "", "", "left out: " + r["skipped"]))
                continue
            met = {True: "met", False: "MISSED"}.get(r.get("met"), "")  # type: ignore[arg-type]
            if "ratio" in r:
                value, ci, target = f"{r['ratio']:.3f}", "{:.3f} - {:.3f}".format(*r["ratio_95"]), r.get("target", "")
            else:
                value, ci, target = f"{r['added_ms']:+.2f} ms", "{:+.2f} - {:+.2f}".format(*r["added_95"]), f"{r['target_ms']:g} ms"
            print(line.format(*head, f"{r['bailey_ms']['p50']:.3f}", f"{r['rival_ms']['p50']:.3f}", value, ci, str(target), met))


def filesystem(path: str) -> str:
    """Type of the file system that holds PATH; it decides whether root's workspace can be idmapped."""
    best = ("", "?")
    with open("/proc/self/mounts", encoding="utf-8", errors="replace") as f:
        for line in f:
            _, point, kind = line.split()[:3]
            if (path + "/").startswith(point.rstrip("/") + "/") and len(point) >= len(best[0]):
                best = (point, kind)
    return best[1]


def main() -> None:
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--rounds", type=int, default=300)
    ap.add_argument("--pause", type=int, default=0, help="microseconds between two commands (default 0)")
    ap.add_argument("--user", help="the ordinary user, when started by root")
    ap.add_argument("--dir", help="where homes and workspaces are made (default /home as root, else $HOME)")
    ap.add_argument("--rivals", default="bwrap,true,unshare,firejail,crun")
    ap.add_argument("--quick", action="store_true", help="only the empty workspace, 60 rounds")
    ap.add_argument("--check", action="store_true", help="exit 1 when a target is missed")
    opt = ap.parse_args()
    if opt.quick:
        opt.rounds = min(opt.rounds, 60)
    bailey = os.path.abspath(os.environ.get("BAILEY") or os.path.join(ROOT, "build", "bailey"))
    if not os.access(bailey, os.X_OK):
        sys.exit(f"bench: {bailey} is missing or not executable: run make first, or set BAILEY")
    # Not below /tmp or /var/tmp: those are private inside, and projects live in homes.
    top = opt.dir or ("/home" if os.geteuid() == 0 and os.path.isdir("/home") else os.path.expanduser("~"))
    base = tempfile.mkdtemp(prefix="bailey-bench.", dir=top)
    os.chmod(base, 0o755)
    try:
        bench = Bench(opt, base, bailey)
        bench.run()
        bench.table()
    except Failed as e:
        sys.exit(f"bench: {e}")
    finally:
        shutil.rmtree(base, ignore_errors=True)
    if opt.check and not all(r.get("met", True) for r in bench.rows):
        sys.exit(1)


main()
