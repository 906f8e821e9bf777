#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Runs the escape suite: every row of manifest.txt outside (control) and inside `bailey run`, as several callers. Prints TAP.

Usage: run.py [--only-controls] [--caller NAME[,NAME...]] [--attack NUMBER[,NUMBER...]] [--match TEXT] [--cgroup DIR] [--verbose]
Environment: BAILEY (default build/bailey), PROBE (default: compiled here), MUST_WORK=1 (no sandbox is a failure, not a skip).
"""

import argparse
import contextlib
import dataclasses
import fcntl
import itertools
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import termios
import time
from collections.abc import Collection

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, HERE)
sys.dont_write_bytecode = True

import fixtures  # noqa: E402
import scenarios  # noqa: E402

LEAKED_FD = 9  # left open in every run: attack 15
OPEN_FLAGS = {"ro": os.O_RDONLY, "rw": os.O_RDWR, "gone": os.O_RDONLY, "opath": os.O_PATH}
CALLERS = ("user", "root", "ov")
LIMIT = 20.0  # seconds until a run counts as hung
# Attacks on what a kernel may not have at all: without a control that works, they are skipped. Those of every other number have one.
MAY_LACK = {"34": "io_uring", "36": "keyrings", "38": "system calls of other tables", "40": "cgroups of version 1"}


@dataclasses.dataclass
class Row:
    attack: str
    name: str
    probe: list[str]
    options: list[str]
    inside: list[str]
    controls: list[tuple[str, list[str], bool, list[str]]]  # who, wanted, may be lacking, probe
    twin: str
    reason: str
    label: str = ""

    def option(self, key: str) -> str | None:
        for o in self.options:
            if o.startswith(key + "="):
                return o[len(key) + 1 :]
        return None


@dataclasses.dataclass
class Outcome:
    verdict: str  # ok, an errno name, signal=…, exit=N, hung
    stderr: str = ""
    remark: str = ""

    def __str__(self) -> str:
        text = " ".join(x for x in (self.verdict, self.remark) if x)
        first = self.stderr.strip().split("\n")[0]
        return f"{text} [{first}]" if first else text


class Tap:
    def __init__(self) -> None:
        self.n = self.failed = 0
        self.failures: list[str] = []

    def scenario(self, problem: str, text: str, todo: str = "") -> None:
        """What scenarios.run() answered: nothing, what is wrong, or why it can't be tried here."""
        if not problem.startswith(scenarios.SKIP):
            self.result(not problem, text, problem, todo)
            return
        self.n += 1
        print(f"ok {self.n} - {text} # SKIP {problem.removeprefix(scenarios.SKIP)}", flush=True)

    def result(self, good: bool, text: str, detail: str = "", todo: str = "") -> None:
        self.n += 1
        text = text.replace("#", "\\#")
        print(f"{'ok' if good else 'not ok'} {self.n} - {text}{' # TODO ' + todo.replace('_', ' ') if todo else ''}", flush=True)
        if not good:
            if not todo:
                self.failed += 1
                self.failures.append(f"{text}: {detail}")
            for line in detail.split("\n"):
                print(f"# {line}")


def parse_control(text: str, probe: list[str]) -> list[tuple[str, list[str], bool, list[str]]]:
    text, _, via = text.partition(" via ")
    found: list[tuple[str, list[str], bool, list[str]]] = []
    for word in text.split():
        if word == "-":
            continue
        if word == "unreached":
            found.append(("unreached", [], True, probe))
            continue
        who, _, what = word.partition("=")
        if who not in ("root", "user", "self") or not what:
            raise ValueError(f"control '{word}'")
        lacking = "?" in what
        found.append((who, what.replace("?", "").split(","), lacking, via.split() if via else probe))
    return found


def expand(probe: str) -> list[tuple[str, str]]:
    """(probe, suffix) for each choice of the <a,b> lists; equal lists vary together."""
    groups = list(dict.fromkeys(re.findall(r"<([^<>]*)>", probe)))
    rows = []
    for values in itertools.product(*(g.split(",") for g in groups)):
        text = probe
        for group, value in zip(groups, values):
            text = text.replace(f"<{group}>", value)
        rows.append((text, "".join(f" {v}" for v in values)))
    return rows


def parse_manifest(path: str) -> list[Row]:
    rows: list[Row] = []
    with open(path, encoding="utf-8") as f:
        for number, line in enumerate(f, 1):
            if not line.strip() or line.startswith("#"):
                continue
            cells = [c.strip() for c in line.split("|")]
            if len(cells) != 8:
                raise ValueError(f"{path}:{number}: {len(cells)} columns, 8 wanted")
            for probe, suffix in expand(cells[2]):
                words = probe.split()
                rows.append(
                    Row(cells[0], cells[1], words, cells[3].split(), cells[4].split(","), parse_control(cells[5], words),
                        cells[6], cells[7], f"{cells[0]} {cells[1]}{suffix}"))  # fmt: skip
    names = {r.name: r for r in rows}
    for r in rows:
        if r.twin != "-" and (r.twin not in names or names[r.twin].inside != ["ok"]):
            raise ValueError(f"{path}: {r.name}: no twin is named '{r.twin}'")
    return rows


def of_attacks(rows: list[Row], attacks: Collection[str]) -> list[Row]:
    """The rows of these, and their twins."""
    twins = {r.twin for r in rows if r.attack in attacks}
    return [r for r in rows if r.attack in attacks or r.name in twins]


class Suite:
    def __init__(self, world: fixtures.World, args: argparse.Namespace) -> None:
        self.world, self.args, self.tap = world, args, Tap()
        self.unreached: dict[str, list[str]] = {}  # row -> what was answered outside
        self.controls: dict[str, bool] = {}  # attack -> whether a control of it worked
        self.twins: dict[tuple[str, str], bool] = {}
        self.forgiven: dict[str, int] = {}  # listener -> how often it was reached by an attack that may succeed (degraded.py)
        self.launcher: list[str] = []  # stands before bailey
        self.cgroup = ""  # where each caller has one of its own
        self.given_up: list[str] = []  # --allow-degraded=…
        self.leak = os.open("/", os.O_RDONLY | os.O_DIRECTORY)

    # -- starting programs

    def make_cgroups(self, directory: str) -> None:
        """As systemd delegates (cgroups(7)): a slice that is the caller's, and in it a scope where the caller's processes are."""
        self.cgroup = directory
        for c in self.world.callers:
            top = f"{directory}/{c.name}"
            os.mkdir(top)
            with open(f"{top}/cgroup.subtree_control", "w", encoding="ascii") as f:
                f.write("+memory +pids +cpu")
            os.mkdir(f"{top}/scope")
            for path in (top, f"{top}/scope"):
                for name in (".", "cgroup.procs", "cgroup.subtree_control", "cgroup.threads"):
                    os.chown(f"{path}/{name}", c.uid, c.gid)

    def fill(self, words: list[str], c: fixtures.Caller) -> list[str]:
        fresh = c.fresh()
        out = []
        for word in words:
            for key, value in {**c.vars, "new": fresh}.items():
                word = word.replace("{" + key + "}", value)
            out.append(word)
        return out

    def bailey(self, c: fixtures.Caller, options: list[str]) -> list[str]:
        if "--workspace" not in options:
            options = ["--workspace", c.ws, *options]
        return [*self.bailey_run(), *options, "--"]

    def bailey_run(self) -> list[str]:
        return [*self.launcher, self.world.bailey, "run", *self.given_up]

    def spawn(self, c: fixtures.Caller, argv: list[str], *, stdin: int | None = None, stdout: int = subprocess.PIPE, tty: bool = False, cwd: str = "",
              netns: bool = False, outside: bool = False, close: str = "") -> "subprocess.Popen[bytes]":  # fmt: skip
        def child() -> None:
            os.setsid()
            if self.cgroup:
                with open(f"{self.cgroup}/{c.name}/scope/cgroup.procs", "w", encoding="ascii") as f:
                    f.write("0")
            if tty:
                fcntl.ioctl(0, termios.TIOCSCTTY, 0)
            if netns:
                self.world.net.enter()
            os.dup2(self.leak, LEAKED_FD)
            for mine in (*([0] if tty else []), *([1] if stdout == subprocess.PIPE else [])):
                os.fchown(mine, c.uid, c.gid)  # as if the caller had made them
            os.setgroups([])
            os.setgid(c.gid)
            os.setuid(c.uid)
            os.chdir(cwd or c.ws)
            for digit in close:
                os.close(int(digit))

        env = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": c.home, "LANG": "C.UTF-8", "XDG_RUNTIME_DIR": c.vars["xdg"]}
        if outside:
            env["PROBE_OUTSIDE"] = "1"
        return subprocess.Popen(argv, stdin=subprocess.DEVNULL if stdin is None else stdin, stdout=stdout,
                                stderr=subprocess.PIPE, env=env, preexec_fn=child, pass_fds=(LEAKED_FD,))  # fmt: skip

    def finish(self, process: "subprocess.Popen[bytes]", file: str = "") -> Outcome:
        try:
            out, err = process.communicate(timeout=LIMIT)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            return Outcome("hung")
        text = (out or b"").decode(errors="replace")
        if file and os.path.exists(file):
            with open(file, encoding="utf-8") as f:
                text = f.read()
        for line in text.split("\n"):
            if line.startswith("PROBE "):
                verdict, _, remark = line[6:].partition(" ")
                return Outcome(verdict.removeprefix("errno="), err.decode(errors="replace"), remark)
        return Outcome(f"exit={process.returncode}", err.decode(errors="replace"))

    def run(self, c: fixtures.Caller, row: Row, words: list[str], *, outside: bool) -> Outcome:
        report = c.fresh() if row.option("stdout") else ""
        argv = [c.probe, *(["-o", report] if report else []), *self.fill(words, c)]
        if not outside:
            argv = self.bailey(c, self.fill([o for o in self.bailey_options(row)], c)) + argv
        if "with-key" in row.options:
            argv = [c.probe, "with-key", "bailey-probe-key", *argv]
        with contextlib.ExitStack() as stack:
            stdin, tty = self.stdin_of(row, c, stack)
            cwd, out = self.fill([row.option("cwd") or "", row.option("stdout") or ""], c)
            stdout = subprocess.PIPE
            if out:
                stdout = os.open(out, os.O_WRONLY | os.O_APPEND)
                stack.callback(os.close, stdout)
            process = self.spawn(c, argv, stdin=stdin, stdout=stdout, tty=tty, cwd=cwd, netns=row.option("netns") == "test",
                                 outside=outside)  # fmt: skip
            got = self.finish(process, report)
        return got

    def bailey_options(self, row: Row) -> list[str]:
        return [o for o in row.options if o != "with-key" and not re.match(r"(stdin|stdout|netns|cwd|only|todo|cgroup)=", o)]

    def stdin_of(self, row: Row, c: fixtures.Caller, stack: contextlib.ExitStack) -> tuple[int | None, bool]:
        text = row.option("stdin")
        if not text:
            return None, False
        kind, _, path = self.fill([text], c)[0].partition(":")
        if kind == "gone":
            fixtures.put(path)
            os.chown(path, c.uid, c.gid)
        if kind in OPEN_FLAGS:
            fd = os.open(path, OPEN_FLAGS[kind])
            stack.callback(os.close, fd)
            if kind == "gone":
                os.unlink(path)
            return fd, False
        if kind == "tty":
            master, slave = os.openpty()
            stack.callback(os.close, master)
            stack.callback(os.close, slave)
            return slave, True
        return stack.enter_context(self.stdin_socket(kind, path, stack)).fileno(), False

    def stdin_socket(self, kind: str, path: str, stack: contextlib.ExitStack) -> socket.socket:
        if kind == "rights":
            ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
            stack.enter_context(ours)
            place = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
            socket.send_fds(ours, [b"x"], [place])
            os.close(place)
            return theirs
        if kind == "unixpair":
            ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
            stack.enter_context(ours)
            return theirs
        family = socket.AF_UNIX if kind.startswith("unix") else socket.AF_INET
        sock = socket.socket(family, socket.SOCK_DGRAM if kind in ("unixdgram", "udpconn") else socket.SOCK_STREAM)
        if kind.endswith("conn"):
            server = socket.socket(socket.AF_INET, sock.type)
            stack.enter_context(server)
            server.bind(("127.0.0.1", 0))
            if kind == "tcpconn":
                server.listen(1)
            sock.connect(server.getsockname())
        return sock

    def note_unreached(self, row: Row, why: str) -> None:
        self.unreached.setdefault(f"{row.attack} {row.name}", []).append(why)

    # -- controls: the same attack outside

    def control(self, row: Row) -> None:
        for who, wanted, lacking, words in row.controls:
            if who == "unreached":
                self.note_unreached(row, "not tried")
                continue
            for c in self.world.callers:
                if c.name == "ov" or (who not in ("self", c.name)) or not self.wants(c):
                    continue
                self.control_as(row, c, wanted, lacking, words)

    def control_as(self, row: Row, c: fixtures.Caller, wanted: list[str], lacking: bool, words: list[str]) -> None:
        c.reset()
        text = f"control {c.name}: {row.label}"
        if words[0].startswith("@"):
            self.controls[row.attack] = True  # by its own result
            self.tap.scenario(scenarios.run(self, c, words, outside=True), text)
            return
        got = self.run(c, row, words, outside=True)
        if wanted == ["differs"]:
            good = got.verdict not in row.inside and not got.verdict.startswith(("exit=", "hung"))
        else:
            good = got.verdict in wanted
        c.clear_fresh()
        self.controls[row.attack] = good or self.controls.get(row.attack, False)
        if not good and lacking and not got.verdict.startswith(("exit=", "hung")):
            self.note_unreached(row, f"{c.name} {got.verdict}")
            good = True
        self.tap.result(good, f"{text}: {got.verdict}", f"outside: {got}; wanted {','.join(wanted)}")

    def every_attack_has_one(self) -> None:
        """Rows whose control may be lacking prove nothing where all of one number are."""
        for attack in sorted(a for a, worked in self.controls.items() if not worked):
            text = f"control: attack {attack} works outside"
            if attack in MAY_LACK:
                self.tap.scenario(f"{scenarios.SKIP}this kernel has no {MAY_LACK[attack]}", text)
            else:
                self.tap.result(False, text, "all its controls were unreached")

    # -- attacks: inside

    def attack(self, row: Row, c: fixtures.Caller) -> None:
        only = row.option("only")
        if only and c.name not in only.split(","):
            return
        text = f"{c.name}: {row.label}"
        todo = row.option("todo") or ""
        c.reset()
        if row.probe[0].startswith("@"):
            self.tap.scenario(scenarios.run(self, c, row.probe, outside=False), text, todo)
            return
        before = c.snapshot(c.out)
        got = self.run(c, row, row.probe, outside=False)
        good = got.verdict in row.inside
        self.tap.result(good, f"{text}: {got.verdict}", f"inside: {got}; wanted {','.join(row.inside)}; {row.reason}", todo)
        if row.twin == "-":
            key = (c.name, row.name)
            self.twins[key] = self.twins.get(key, True) and good
        self.look_at_host(row, c, before, todo)
        c.clear_fresh()

    def look_at_host(self, row: Row, c: fixtures.Caller, before: dict[str, object], todo: str) -> None:
        """Whatever was answered: nothing outside the workspace has changed, and no set-id file has appeared."""
        after = c.snapshot(c.out)
        if after != before and "--allow-write" not in row.options:
            changed = sorted(k for k in {*before, *after} if before.get(k) != after.get(k))
            self.tap.result(False, f"{c.name}: {row.label}: changed the host", "\n".join(changed[:5]), todo)
        for name in os.listdir(c.ws):
            if name.startswith("new-"):
                self.look_for_rights(row, c, f"{c.ws}/{name}")

    def look_for_rights(self, row: Row, c: fixtures.Caller, top: str) -> None:
        """Set-id bits, and file capabilities that count for more than the caller's own namespaces: in an overlay's copies, too."""
        below = () if os.path.islink(top) else os.walk(top)  # a link to the host's own files is none
        for path in [top, *(os.path.join(base, n) for base, dirs, files in below for n in dirs + files)]:
            mode = os.lstat(path).st_mode
            if mode & 0o6000:
                self.tap.result(False, f"{c.name}: {row.label}: left a set-id file on the host", f"{path} has mode {mode:o}")
            try:
                caps = os.getxattr(path, "security.capability", follow_symlinks=False)
            except OSError:
                continue
            owner = int.from_bytes(caps[20:24], "little") if len(caps) == 24 else 0
            if owner == 0 or owner != c.uid:
                self.tap.result(False, f"{c.name}: {row.label}: left file capabilities on the host", f"{path}: of the root with id {owner}")

    def wants(self, c: fixtures.Caller) -> bool:
        return not self.args.caller or c.name in self.args.caller.split(",")

    def inside_all(self, rows: list[Row]) -> None:
        for c in self.world.callers:
            if not self.wants(c):
                continue
            hits = self.world.listeners.total(ignore="late")
            for row in rows:
                self.attack(row, c)
            known = {k: hits.get(k, 0) + self.forgiven.get(k, 0) for k in {*hits, *self.forgiven}}
            reached = {k: v - known.get(k, 0) for k, v in self.world.listeners.total(ignore="late").items() if v != known.get(k, 0)}
            self.forgiven.clear()
            self.tap.result(not reached, f"{c.name}: no listener of the host was reached", f"reached: {reached}")
            alive = os.path.exists(f"/proc/{c.vars['hostpid']}/stat")
            self.tap.result(alive, f"{c.name}: the process outside still lives")
            leaked = [f"{d}/{n}" for d in ("/tmp", "/var/tmp", "/run", "/dev/shm") for n in os.listdir(d) if n.startswith(c.vars["tag"])]
            self.tap.result(not leaked, f"{c.name}: nothing of the private directories is on the host", " ".join(leaked))

    def twins_held(self, rows: list[Row]) -> None:
        """A denial counts only when its twin worked for the same caller."""
        for c in self.world.callers:
            lost = sorted({r.twin for r in rows if r.twin != "-" and not self.twins.get((c.name, r.twin), True)})
            if self.wants(c):
                self.tap.result(not lost, f"{c.name}: every denial has an allowed twin that works", f"twins that failed: {' '.join(lost)}")


def compile_probe(directory: str) -> str:
    path = f"{directory}/probe"
    compiler = next((c for c in ("musl-gcc", "gcc") if shutil.which(c)), None)
    if not compiler:
        raise OSError("no C compiler for the probes")
    sources = [f"{HERE}/{n}.c" for n in ("main", "fs", "fdops", "setid", "proc", "calls", "net", "limits", "nested")]
    subprocess.run([compiler, "-std=gnu17", "-static", "-O1", "-Wall", "-Wextra", "-pthread", "-o", path, *sources], check=True)
    return path


def give_up(reason: str) -> int:
    """No sandbox: a skip with its reason, or a failure where one must work."""
    must = os.environ.get("MUST_WORK") == "1"
    print(f"1..1\nnot ok 1 - sandbox available\n# {reason}" if must else f"1..0 # SKIP {reason}")
    return 1 if must else 0


def sandbox_problem(suite: Suite) -> str:
    for c in filter(suite.wants, suite.world.callers):
        try:
            got = suite.finish(suite.spawn(c, [*suite.bailey(c, []), c.probe, "gained", "cap"]))
        except OSError as e:
            return f"{suite.world.bailey}: {e.strerror}"
        if got.verdict != "EPERM":
            return f"bailey can't run as '{c.name}': {got}"
    return ""


def suite_main(args: argparse.Namespace, world: fixtures.World, rows: list[Row]) -> int:
    suite = Suite(world, args)
    for note in world.notes:
        print(f"# {note}")
    if args.attack:
        rows = of_attacks(rows, args.attack.split(","))
    if args.cgroup:
        rows = [r for r in rows if "cgroup=none" not in r.options]
        suite.make_cgroups(args.cgroup)
    chosen = [r for r in rows if not args.match or args.match in r.label]
    if not args.only_controls:
        problem = sandbox_problem(suite)
        if problem:
            return give_up(problem)
    for row in chosen if not args.no_controls else []:
        suite.control(row)
    if not args.match:
        suite.every_attack_has_one()
    if not args.only_controls:
        suite.inside_all(chosen)
        if not args.match:
            suite.twins_held(rows)
    print(f"1..{suite.tap.n}")
    count = sum(len(v) for v in suite.unreached.values())
    print(f"# unreached (no control shows that the attack works outside): {count} controls of {len(suite.unreached)} rows")
    for label, answers in suite.unreached.items():
        print(f"#   {label}: {', '.join(f'{answers.count(a)}x {a}' for a in dict.fromkeys(answers))}")
    print(f"# {len(chosen)} attacks and twins, {suite.tap.failed} of {suite.tap.n} checks failed")
    for failure in suite.tap.failures if args.verbose else []:
        print(f"# FAILED {failure}")
    return 1 if suite.tap.failed else 0


def main() -> int:
    parser = argparse.ArgumentParser(description="The escape suite")
    parser.add_argument("--only-controls", action="store_true", help="try the attacks outside only")
    parser.add_argument("--no-controls", action="store_true", help="try the attacks inside only: in a chroot or another root, where some controls lack what they need")
    parser.add_argument("--caller", metavar="NAME[,NAME...]", help="as these only: of " + ", ".join(CALLERS))
    parser.add_argument("--match", metavar="TEXT", help="only rows whose label has TEXT")
    parser.add_argument("--attack", metavar="NUMBER[,NUMBER...]", help="only rows of these attacks, and their twins")
    parser.add_argument("--cgroup", metavar="DIR", help="of version 2: each caller gets one of its own there, in which everything is started")
    parser.add_argument("--verbose", action="store_true", help="list the failures again at the end")
    args = parser.parse_args()
    if args.caller and not set(CALLERS).issuperset(args.caller.split(",")):
        parser.error("--caller: of " + ", ".join(CALLERS))
    rows = parse_manifest(f"{HERE}/manifest.txt")
    if os.getuid() != 0:
        return give_up("needs root: it makes an ordinary user and plants set-id files")
    bailey = os.path.join(ROOT, os.environ.get("BAILEY", "build/bailey"))
    if not args.only_controls and not os.access(bailey, os.X_OK):
        return give_up("bailey is not built (BAILEY names it)")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    os.umask(0o022)
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as directory:
        probe = os.environ.get("PROBE") or compile_probe(directory)
        world = fixtures.World(probe, None if args.only_controls else bailey)
        try:
            code = suite_main(args, world, rows)
        finally:
            world.close()
    print(f"# {time.monotonic() - started:.1f} s")
    return code


if __name__ == "__main__":
    sys.exit(main())
