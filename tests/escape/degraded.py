#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""One layer of the sandbox forced off: bailey refuses by name; and where the layer may be given up, the whole escape suite runs without it. TAP.

Usage: degraded.py [--match TEXT] [--refusals] MECHANISM | --list
Environment: as run.py.

What the loss costs stands in degraded.txt. An attack that is not in that table must fail, one that is must succeed: so the table stays true.
"""

import argparse
import ctypes
import dataclasses
import fnmatch
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, HERE)
sys.dont_write_bytecode = True

import fixtures  # noqa: E402
import run  # noqa: E402
import scenarios  # noqa: E402

CLONE_NEWNS = 0x20000
KINDS = ("lost", "untried", "moot", "other", "refused", "twin")


@dataclasses.dataclass
class Force:
    """How a mechanism is forced off, from outside bailey."""

    layer: str  # the name in bailey's message
    rules: list[str] = dataclasses.field(default_factory=list)  # of ../shim/deny: each is refused; the first is the suite's
    whole: str = ""  # a rule under which bailey has another way that loses nothing
    mounts: list[list[str]] = dataclasses.field(default_factory=list)  # or arguments of mount(8), in a mount namespace of the runner's own
    optional: bool = True  # --allow-degraded=LAYER exists
    options: list[str] = dataclasses.field(default_factory=list)  # what a run asks for, where the layer is for that alone
    attacks: tuple[str, ...] = ()  # not the whole suite: only the rows of these, and their twins
    callers: tuple[str, ...] = ("user", "root")
    doctor: int = 1  # the exit status of `bailey doctor LAYER`


FORCES = {
    "openat2": Force("rootfs", ["openat2=ENOSYS", "openat2=EPERM"], optional=False),
    # An engine's filter that answers ENOSYS loses nothing: clone(2) makes the same namespaces. Then every attack must fail.
    "clone3": Force("userns", ["clone3=EPERM", "clone3=ENOSYS,clone@0&0x10000000=EPERM"], whole="clone3=ENOSYS", optional=False),
    "userns": Force("userns", [f"unshare@0&0x10000000={e},clone3={e},clone@0&0x10000000={e}" for e in ("EPERM", "ENOSPC", "EINVAL")], optional=False),
    "landlock": Force("landlock", ["landlock_create_ruleset=EOPNOTSUPP", "landlock_create_ruleset=ENOSYS"]),
    "seccomp": Force("seccomp", ["seccomp=ENOSYS,prctl@0:22=EINVAL", "seccomp=EINVAL,prctl@0:22=EINVAL"]),
    "overlay": Force("overlay", ["mount=ENODEV", "mount=EINVAL"]),
    # Only the search for sockets and two that can do without read so much at once; what it meets is no fact of the machine.
    "sockets": Force("sockets", ["getdents64@2:8192=EACCES"], doctor=0),
    # NETLINK_NETFILTER: no nftables. Only a run with a network has the layer, so every row has one, in which nothing can be reached. It is rules of that network
    # namespace and no more: what can differ are the host's network, what reaches it, and the families of sockets.
    "capture": Force("capture", ["socket@2:12=EPERM", "socket@2:12=EPROTONOSUPPORT"], options=["--allow-host=name.invalid"], attacks=("46", "47", "48"), doctor=0),
    # A mount over a part of /proc: the kernel then gives no new one to a user namespace.
    "proc": Force("proc", mounts=[["--bind", "/dev/null", "/proc/version"]]),
    # The exception (docs/adr/0005, 0009): without limits no cgroup is used, and with limits there are other mechanisms, which are named. A
    # refusal is left where there is none: --pids for the host's uid 0, which is what the caller 'ov' runs as.
    "cgroup": Force("cgroup", mounts=[["-t", "tmpfs", "none", "/sys/fs/cgroup"]], callers=("user", "root", "ov"), doctor=0),
}


@dataclasses.dataclass
class Entry:
    """One line of degraded.txt."""

    line: int
    kind: str
    callers: list[str]
    attack: str
    rows: str
    why: str


def parse_table(path: str, layer: str, rows: list[run.Row]) -> dict[tuple[str, str], Entry]:
    """(caller, label) -> what the table says of it."""
    table: dict[tuple[str, str], Entry] = {}
    with open(path, encoding="utf-8") as f:
        for number, line in enumerate(f, 1):
            if not line.strip() or line.startswith("#"):
                continue
            cells = [c.strip() for c in line.split("|")]
            if len(cells) != 6 or cells[0] not in FORCES or cells[2] not in KINDS:
                raise ValueError(f"{path}:{number}: layer | callers | kind | attack | rows | why")
            if cells[0] != layer:
                continue
            entry = Entry(number, cells[2], cells[1].split(","), *cells[3:])
            for text in entry.rows.split(";"):
                for pattern, _ in run.expand(f"{entry.attack} {text.strip()}"):
                    labels = [r.label for r in rows if fnmatch.fnmatchcase(r.label, pattern)]
                    if not labels:
                        raise ValueError(f"{path}:{number}: no row is '{pattern}'")
                    for label in labels:
                        for caller in entry.callers:
                            if (caller, label) in table:
                                raise ValueError(f"{path}:{number}: {caller}: '{label}' a second time")
                            table[(caller, label)] = entry
    return table


def promised(layer: str) -> set[str]:
    """The numbers of attacks that SECURITY.md gives to the loss of a layer."""
    with open(f"{ROOT}/SECURITY.md", encoding="utf-8") as f:
        for line in f:
            cells = [c.strip() for c in line.split("|")]
            if len(cells) == 5 and cells[1] == f"`{layer}`":
                return set() if cells[3] == "none" else set(re.findall(r"\b(?:\d+\w?|[A-Z][A-Z0-9])\b", cells[3]))
    return {"(no such row)"}


class Degraded(run.Suite):
    """The escape suite in one configuration, judged by manifest.txt and by the table of what is lost."""

    def __init__(self, world: fixtures.World, args: argparse.Namespace, force: Force, table: dict[tuple[str, str], Entry], plain: fixtures.Caller) -> None:
        super().__init__(world, args)
        self.force, self.table = force, table
        self.plain = plain  # has no privilege that a layer could have taken
        self.differed: set[int] = set()  # lines of the table of which a row was answered otherwise
        self.alike: set[int] = set()  # lines of which a row is answered by this kernel as by the layer
        self.seen: dict[str, dict[str, int]] = {}  # kind -> "attack name" -> how many rows
        self.kernel: list[str] = []  # rows of the table that this kernel does not even let through outside

    def shim(self, rules: str) -> list[str]:
        return [f"{self.world.base}/bin/deny", rules, "--"] if rules else []

    def attack(self, row: run.Row, c: fixtures.Caller) -> None:
        entry = self.table.get((c.name, row.label))
        if c.name == "ov" and row.twin != "-" and not {"--memory", "--cpus", "--pids"} & set(row.options):
            return  # 'ov' is here for the limits: what else its sandbox does is that of 'root' but for the ids, and escape's to try
        if not entry:
            super().attack(row, c)
            return
        if entry.kind == "untried":
            self.count(entry, row)
            return
        c.reset()
        hits = dict(self.world.listeners.hits)
        before = c.snapshot(c.out)
        if row.probe[0].startswith("@"):
            problem = scenarios.run(self, c, row.probe, outside=False)
            answer, holds = problem or "it holds", bool(problem)
        else:
            got = self.run(c, row, row.probe, outside=False)
        if entry.kind != "lost":  # before anything is tried outside
            self.look_at_host(row, c, before, "")
        if not row.probe[0].startswith("@"):
            answer, holds = str(got), self.holds(entry, row, got.verdict)
            if entry.kind == "lost" and got.verdict.startswith("E") and self.outside(row) == got.verdict:
                self.kernel.append(f"{c.name} {row.label}: {got.verdict}")
                holds = True
            if got.verdict not in row.inside:
                self.differed.add(entry.line)
            elif entry.kind == "other" and self.outside(row) == got.verdict:
                self.kernel.append(f"{c.name} {row.label}: {got.verdict}")
                self.alike.add(entry.line)
        text = f"{c.name}: {row.label}: {entry.kind}"
        self.tap.result(holds, f"{text}: {answer}", f"no longer true: {entry.why}; take the row out of degraded.txt")
        if holds:
            self.count(entry, row)
        if entry.kind == "lost":
            for key, n in self.world.listeners.total().items():
                if n != hits.get(key, 0):
                    self.forgiven[key] = self.forgiven.get(key, 0) + n - hits.get(key, 0)
        c.clear_fresh()

    def count(self, entry: Entry, row: run.Row) -> None:
        names = self.seen.setdefault(entry.kind, {})
        names[f"{row.attack} {row.name}"] = names.get(f"{row.attack} {row.name}", 0) + 1

    def holds(self, entry: Entry, row: run.Row, verdict: str) -> bool:
        return {"lost": verdict == "ok" and "ok" not in row.inside, "moot": verdict not in row.inside, "other": verdict.startswith("E"),
                "refused": verdict == "exit=125", "twin": row.inside == ["ok"] and verdict != "ok"}[entry.kind]  # fmt: skip

    def outside(self, row: run.Row) -> str:
        """What the kernel answers to the same attack without any sandbox, and without privilege."""
        self.plain.reset()
        got = self.run(self.plain, row, row.probe, outside=True)
        self.plain.clear_fresh()
        return got.verdict

    def summary(self, layer: str) -> None:
        names = {"lost": "attacks that succeed", "untried": "attacks that would harm the machine, and are not tried", "moot": "attacks that succeed on something of the sandbox's own, the host unchanged",
                 "other": "refused with another answer", "refused": "bailey refuses to start", "twin": "what is allowed does not work either"}  # fmt: skip
        for kind in KINDS:
            rows = self.seen.get(kind, {})
            print(f"# without {layer}: {names[kind]}: {sum(rows.values())}")
            for name, n in rows.items():
                print(f"#   {name}: {n}")
        if self.kernel:
            print(f"# {len(self.kernel)} rows of the table that this kernel refuses outside as well: {'; '.join(self.kernel)}")

    # -- without --allow-degraded: nothing runs

    def call(self, c: fixtures.Caller, argv: list[str]) -> tuple[int, str, str]:
        process = self.spawn(c, argv)
        try:
            out, err = process.communicate(timeout=run.LIMIT)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            return -1, "", "hung"
        return process.returncode, out.decode(errors="replace"), err.decode(errors="replace")

    def witness(self, c: fixtures.Caller, launcher: list[str], options: list[str]) -> tuple[int, str, str, bool]:
        """(status, stdout, stderr, whether the command existed)"""
        mark = c.fresh()
        got = self.call(c, [*launcher, self.world.bailey, "run", "--workspace", c.ws, *self.force.options, *options, "--", "sh", "-c", f"echo x >{mark}; echo ran"])
        existed = os.path.exists(mark)
        c.clear_fresh()
        return *got, existed

    def refusal(self, c: fixtures.Caller, text: str, launcher: list[str], options: list[str]) -> None:
        """Exit 125, one line that names the layer and the way on, and no process of the command has existed."""
        layer, optional = self.force.layer, self.force.optional
        status, out, err, existed = self.witness(c, launcher, options)
        lines = [line for line in err.splitlines() if not line.startswith("bailey: notice:")]
        good = status == 125 and not out and not existed and len(lines) == 1 and lines[0].startswith(f"bailey: layer '{layer}' is missing: ")
        good = good and "Mend: " in err and f"bailey doctor {layer}" in err and optional == (f"--allow-degraded={layer}" in err)
        self.tap.result(good, f"{c.name}: {text}: refused", f"exit {status}, {'the command ran, ' if existed else ''}stdout {out!r}, stderr {err!r}")

    def works(self, c: fixtures.Caller) -> None:
        """Nothing is forced off yet: the command runs."""
        status, _, err, existed = self.witness(c, [], [])
        self.tap.result(status == 0 and existed and "layer" not in err, f"{c.name}: control: nothing forced off, the command runs", f"exit {status}: {err}")

    def refusals(self, c: fixtures.Caller) -> None:
        layer = self.force.layer
        for rules in self.force.rules or [""]:
            shim, what = self.shim(rules), rules or "surroundings"
            self.refusal(c, what, shim, [])
            self.refusal(c, f"{what}, nothing to run", shim, ["--dry-run"])
            self.refusal(c, f"{what}, another layer given up", shim, [f"--allow-degraded={'landlock' if layer != 'landlock' else 'proc'}"])
            status, out, err, existed = self.witness(c, shim, [f"--allow-degraded={layer}"])
            if self.force.optional:
                good = status == 0 and existed and f"bailey: running without the layer '{layer}': " in err
                self.tap.result(good, f"{c.name}: {what}: given up, the command runs and the loss is named", f"exit {status}: {err}")
            else:
                # PID 1 is cloned before the options are judged: either may be what is said
                good = not existed and not out and (status == 2 and "no sandbox is left without this layer" in err or status == 125 and "is missing" in err)
                self.tap.result(good, f"{c.name}: {what}: can't be given up", f"exit {status}: {err}")

    def stays(self, c: fixtures.Caller) -> None:
        """Two sandboxes that stay, made before anything is forced off; the control: they start."""
        given_up = [f"--allow-degraded={self.force.layer}"] if self.force.optional else []
        boxes: dict[str, list[str]] = {"whole": [], "degraded": given_up}
        for name, options in boxes.items():
            made = self.call(c, [self.world.bailey, "create", *self.force.options, *options, name])
            status, out, err = self.call(c, [self.world.bailey, "exec", name, "--", "echo", "ran"])
            stopped = self.call(c, [self.world.bailey, "stop", name])
            good = (made[0], status, out, stopped[0]) == (0, 0, "ran\n", 0)
            self.tap.result(good, f"{c.name}: control: nothing forced off, a sandbox that stays starts", f"{made}, exit {status}: {out}{err}, {stopped}")

    def stays_refused(self, c: fixtures.Caller) -> None:
        """A sandbox that stays is refused as a run is, by whatever verb it is started, unless it was made with that layer given up."""
        layer = self.force.layer
        for rules in self.force.rules or [""]:
            what = rules or "surroundings"
            for words in (["start", "whole"], ["exec", "whole", "--", "echo", "ran"]):
                status, out, err = self.call(c, [*self.shim(rules), self.world.bailey, *words])
                good = status == 125 and not out and f"layer '{layer}' is missing: " in err and "Mend: " in err
                self.tap.result(good, f"{c.name}: {what}: {words[0]} of a sandbox that stays: refused", f"exit {status}: {out}{err}")
            if self.force.optional:
                status, out, err = self.call(c, [*self.shim(rules), self.world.bailey, "exec", "degraded", "--", "echo", "ran"])
                stopped = self.call(c, [self.world.bailey, "stop", "degraded"])
                self.tap.result((status, out, stopped[0]) == (0, "ran\n", 0), f"{c.name}: {what}: one that has given the layer up starts", f"exit {status}: {out}{err}, {stopped}")
        for name in ("whole", "degraded"):
            status, out, err = self.call(c, [self.world.bailey, "rm", "--force", name])
            self.tap.result(status == 0, f"{c.name}: {name} is removed", f"exit {status}: {out}{err}")

    def verbs(self, c: fixtures.Caller) -> None:
        """What needs no sandbox says the same as ever; doctor finds the cause."""
        layer = self.force.layer
        cases = {"run": ["run", "--explain", "--", "touch", f"{c.ws}/new-touched"], "check": ["check", "write", f"{c.ws}/file", f"{c.out}/file"],
                 "doctor": ["doctor", layer], "trust": ["trust", "--list"], "help": ["help", "run"], "version": ["version"],
                 "quarantine": ["quarantine"], "runs": ["runs"], "diff": ["diff", "0000000000"], "apply": ["apply", "0000000000"],
                 "discard": ["discard", "0000000000"], "prune": ["prune", "--older", "500h"], "learn": ["learn"], "srt": ["srt", "--version"],
                 "import-claude-settings": ["import-claude-settings", "/nonexistent"], "network": ["network", "log", "0000000000"],
                 "secret": ["secret", "rm", "nobody"]}  # fmt: skip
        found = set(re.findall(r"^  ([a-z-]+) +\S", self.call(c, [self.world.bailey, "help"])[1].split("Try\n")[0], re.M))
        self.tap.result(found > set(cases), f"{c.name}: every verb is tried", f"{sorted(found)}, not {sorted(cases)}")
        # the others are about a sandbox that stays: stays_refused() starts one
        cases |= {verb: [verb, "nobody"] for verb in found - set(cases) - {"create"}}
        for rules in self.force.rules or [""]:
            for verb, words in cases.items():
                plain = self.call(c, [self.world.bailey, *words])
                status, out, err = self.call(c, [*self.shim(rules), self.world.bailey, *words])
                good = plain == (status, out, err)
                if verb == "doctor":
                    good = status == self.force.doctor and (status == 0 or " missing " in out) and not err
                elif verb == "run":  # the plan may be another, and be shown so
                    good = status == 0 and "is missing" not in err and not os.path.exists(f"{c.ws}/new-touched")
                self.tap.result(good, f"{c.name}: {rules or 'surroundings'}: bailey {verb}: exit {status}", f"exit {status}: {out[-800:]}\n{err}\n{plain}")

    def without_cgroups(self, c: fixtures.Caller) -> None:
        """docs/adr/0009: no limit, no cgroup. A limit that is held another way is named; one that nothing holds is refused."""
        status, _, err, existed = self.witness(c, [], [])
        self.tap.result(status == 0 and existed and "cgroup" not in err, f"{c.name}: without limits nothing is missing", f"exit {status}: {err}")
        status, _, err, existed = self.witness(c, [], ["--memory", "64M", "--cpus", "1"])
        good = status == 0 and existed and all(w in err for w in ("soft", "memory", "cpus", "no cgroup hierarchy", "Delegate=yes"))
        self.tap.result(good, f"{c.name}: soft limits say so, and how to get others", f"exit {status}: {err}")
        status, _, err, existed = self.witness(c, [], ["--pids", "40"])
        if c.name != "ov":
            self.tap.result(status == 0 and existed and "soft" not in err, f"{c.name}: --pids holds by other means", f"exit {status}: {err}")
            return
        self.refusal(c, "--pids", [], ["--pids", "40"])
        status, _, err, existed = self.witness(c, [], ["--pids", "40", "--allow-degraded=cgroup"])
        good = status == 0 and existed and "running without the layer 'cgroup'" in err
        self.tap.result(good, f"{c.name}: --pids given up: the command runs and the loss is named", f"exit {status}: {err}")


def own_mounts() -> None:
    """A mount namespace of the runner's own, so that the machine keeps what it has."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNS) != 0:
        raise OSError(ctypes.get_errno(), "unshare")
    subprocess.run(["mount", "--make-rprivate", "/"], check=True)


def force_mounts(force: Force) -> None:
    if force.layer == "proc":  # one that is whole, wherever it stands, and the kernel gives new ones
        with open("/proc/self/mounts", encoding="utf-8") as f:
            others = [m[1] for m in map(str.split, f) if m[2] == "proc" and m[1] != "/proc"]
        for path in reversed(others):
            subprocess.run(["umount", "-l", path], check=True)
    for words in force.mounts:
        subprocess.run(["mount", *words], check=True)


def compile_shim(path: str) -> None:
    subprocess.run(["gcc", "-std=gnu17", "-static", "-O1", "-Wall", "-Wextra", "-Werror", "-o", path, f"{ROOT}/tests/shim/deny.c"], check=True)


def suite_main(args: argparse.Namespace, world: fixtures.World, rows: list[run.Row]) -> int:
    force = FORCES[args.mechanism]
    # namespaces of the command's own are another configuration, which gives up layers itself (docs/adr/0012): not tried together
    nested = [r for r in rows if {"--allow-userns", "--allow-nested-sandbox"} & set(r.options)]
    print(f"# left out: {len(nested)} rows under --allow-userns and --allow-nested-sandbox")
    rows = [r for r in rows if r not in nested]
    if force.attacks:
        rows = run.of_attacks(rows, force.attacks)
    table = parse_table(f"{HERE}/degraded.txt", args.mechanism, rows)
    plain = next(c for c in world.callers if c.name == "user")
    world.callers = [c for c in world.callers if c.name in force.callers and (not args.caller or c.name == args.caller)]
    s = Degraded(world, args, force, table, plain)
    for note in world.notes:
        print(f"# {note}")
    for c in world.callers:
        s.works(c)
        if args.mechanism != "cgroup":
            s.stays(c)
    force_mounts(force)
    for c in world.callers:
        if args.mechanism == "cgroup":
            s.without_cgroups(c)
        else:
            s.refusals(c)
            s.stays_refused(c)
        s.verbs(c)
    s.launcher = s.shim(force.whole or (force.rules or [""])[0])
    s.given_up = [*force.options, *([f"--allow-degraded={force.layer}"] if force.optional else [])]
    if not args.refusals and (force.optional or force.whole):
        whole(s, args, rows)
    print(f"1..{s.tap.n}")
    print(f"# {s.tap.failed} of {s.tap.n} checks failed")
    return 1 if s.tap.failed else 0


def whole(s: Degraded, args: argparse.Namespace, rows: list[run.Row]) -> None:
    """The whole suite in this configuration."""
    chosen = [r for r in rows if not args.match or args.match in r.label]
    s.inside_all(chosen)
    if args.match:
        return
    gone = {r.name for r in rows for c in s.world.callers if r.twin == "-" and (c.name, r.label) in s.table}
    s.twins_held(rows)
    s.summary(args.mechanism)
    print(f"# twins that are lost with it, so that their denials prove less: {' '.join(sorted(gone)) or 'none'}")
    idle = sorted({e.line for (c, _), e in s.table.items() if e.kind == "other" and not s.args.caller and e.line not in s.differed | s.alike})
    s.tap.result(not idle, "no line of degraded.txt says 'other' of rows that are all answered as ever", f"lines {idle}")
    lost = {name.split()[0] for name in s.seen.get("lost", {})}
    if s.force.optional:
        stated = promised(s.force.layer)
        s.tap.result(lost == stated, f"SECURITY.md says which attacks are lost: {' '.join(sorted(lost)) or 'none'}", f"it says {' '.join(sorted(stated))}")


def main() -> int:
    parser = argparse.ArgumentParser(description="The escape suite without one layer")
    parser.add_argument("--list", action="store_true", help="list what can be forced off")
    parser.add_argument("--refusals", action="store_true", help="only what is refused, not the suite")
    parser.add_argument("--caller", choices=("user", "root", "ov"))
    parser.add_argument("--match", metavar="TEXT", help="only rows whose label has TEXT")
    parser.add_argument("mechanism", nargs="?", choices=list(FORCES))
    args = parser.parse_args()
    if args.list:
        print("\n".join(FORCES))
        return 0
    if not args.mechanism:
        parser.error("which one? --list")
    rows = run.parse_manifest(f"{HERE}/manifest.txt")
    if os.getuid() != 0:
        return run.give_up("needs root: it makes an ordinary user and plants set-id files")
    bailey = os.path.join(ROOT, os.environ.get("BAILEY", "build/bailey"))
    if not os.access(bailey, os.X_OK) or not shutil.which("gcc"):
        return run.give_up("bailey is not built (BAILEY names it), or there is no gcc for the shim")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    os.umask(0o022)
    started = time.monotonic()
    if FORCES[args.mechanism].mounts:
        own_mounts()
    with tempfile.TemporaryDirectory() as directory:
        world = fixtures.World(os.environ.get("PROBE") or run.compile_probe(directory), bailey)
        try:
            compile_shim(f"{world.base}/bin/deny")
            code = suite_main(args, world, rows)
        finally:
            world.close()
    print(f"# {time.monotonic() - started:.1f} s")
    return code


if __name__ == "__main__":
    sys.exit(main())
