#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Sandboxes that stay: a command in one that lives, what an idle one holds in memory, how fast they are made.

Usage: bench/named.py [--rounds N] [--count N] [--user NAME] [--dir DIR] [--quick] [--check]

exec     `bailey exec box -- true`, the whole process, in turns with `true` (the floor: posix_spawn of a dynamic program) and, for root, `podman exec` and `crun exec`
wake     `bailey resume` of a sandbox that is paused, in turns with `true`, and with `podman unpause` and `crun resume` where they are installed; and `bailey exec` of `true`
         in one that is paused, against the same in one that runs
memory   PSS of all processes of an idle sandbox: its supervisor, its PID 1, and its part of the watcher that all share
create   made and started, sandboxes per second: one after the other by one client, and by as many clients as there are processors; and, by one,
         `podman run --detach` and `crun run --detach`, which keeps no record, no layers and no supervisor

--check fails when a row is worse than what is accepted (docs/adr/0033), which is less than the target where the target is missed.
"""

import argparse
import concurrent.futures
import contextlib
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

from common import ROOT, Failed, Place, Who, interval, options, place, spawn, spread
from memory import pss_kib
from rivals import crun_argv, crun_view, podman_argv

TARGET_EXEC, TARGET_KIB, TARGET_RATE, TARGET_WAKE_MS = 2.0, 1024.0, 100.0, 10.0
# What --check fails at where the target is not reached everywhere: a machine that is busy, or whose disk syncs slowly, is no regression.
ACCEPTED_RATE = 60.0
WAKE_ROUNDS = 40


def bailey(at: Place, who: Who, ws: str, *words: str) -> str:
    return who.output([at.bailey, *words], ws)


def exec_row(at: Place, who: Who, ws: str, rounds: int, other: str, argv: list[str], view: list[str] | None = None) -> None:
    a, b = spawn(at.tool, who, [(ws, [at.bailey, "exec", "box", "--", "true"]), (ws, argv)], rounds, 0, view)
    low, high = interval(a, b, lambda x, y: x / y)
    ratio = statistics.median(a) / statistics.median(b)
    row = {"bench": "exec", "who": who.label, "against": other, "bailey_ms": spread(a), "other_ms": spread(b), "ratio": round(ratio, 3),
           "low": round(low, 3), "high": round(high, 3), "rounds": rounds}
    if other == "true":
        row |= {"target": TARGET_EXEC, "met": ratio <= TARGET_EXEC}
    at.emit(row)


# A rival's sandboxes: what a process must be put behind to use it, its command, and how it begins one of a name that stays.
Rival = tuple[list[str], list[str], Callable[[str], list[str]]]


def podman(at: Place, _who: Who, ws: str) -> Rival:
    argv = podman_argv(ws, at.base)
    at_run = argv.index("run")
    words = [w for w in argv[at_run + 1:-1] if w != "--rm"]
    return [], argv[:at_run], lambda name: ["run", "--detach", "--name", name, *words, "sleep", "600"]


def crun(at: Place, who: Who, ws: str) -> Rival:
    if who.uid:
        raise Failed("an ordinary user has no cgroup to freeze")
    bundle = os.path.join(at.base, "crun-stay")
    argv = crun_argv(ws, who, bundle)
    config = os.path.join(bundle, "config.json")
    with open(config, encoding="utf-8") as f:
        text = f.read().replace('"args": ["true"]', '"args": ["sh", "-c", "exec sleep 600 </dev/null >/dev/null 2>&1"]')  # else it holds our pipes
    with open(config, "w", encoding="utf-8") as f:
        f.write(text)
    return crun_view(), argv[:argv.index("run")], lambda name: ["run", "--detach", "--bundle", bundle, name]


# its name, how it is made ready, the words that end a sandbox by force, those that wake one
RIVALS = (("podman", podman, ["rm", "-f", "-t", "0"], "unpause"), ("crun", crun, ["delete", "-f"], "resume"))


def beside_rivals(at: Place, who: Who, ws: str, rounds: int) -> None:
    """The rows of one sandbox that stays, beside one of theirs."""
    name = f"bailey-bench-{os.getpid()}"
    for rival, ready, end, wake in RIVALS:
        try:
            view, argv, begin = ready(at, who, ws)
        except Failed as e:
            at.emit({"bench": "exec", "who": who.label, "against": rival, "skipped": str(e)})
            continue
        try:
            who.output([*view, *argv, *begin(name)], ws)
            exec_row(at, who, ws, max(5, rounds // 10), f"{rival} exec", [*argv, "exec", name, "true"], view)
            wake_row(at, who, ws, "resume", f"{rival} {wake}", ([at.bailey, "pause", "box"], [at.bailey, "resume", "box"]),
                     ([*view, *argv, "pause", name], [*view, *argv, wake, name]), view)
        except Failed as e:
            at.emit({"bench": "exec", "who": who.label, "against": rival, "skipped": str(e)})
        finally:
            subprocess.run([*view, *argv, *end, name], capture_output=True, check=False, env=who.env)


def timed(who: Who, ws: str, argv: list[str]) -> float:
    """Milliseconds of one command; Python's own part is in every row."""
    begin = time.monotonic()
    who.output(argv, ws)
    return (time.monotonic() - begin) * 1000


def wake_row(at: Place, who: Who, ws: str, what: str, against: str, ours: tuple[list[str], list[str]], other: tuple[list[str], list[str]],
             view: list[str] | None = None) -> None:
    """Each is (before, timed); in turns. @view: what their command is put behind, and so ours."""
    a: list[float] = []
    b: list[float] = []
    for _ in range(WAKE_ROUNDS):
        for into, (before, command) in ((a, ours), (b, other)):
            if before:
                who.output(before, ws)
            into.append(timed(who, ws, [*view, *command] if view and into is a else command))
    added = statistics.median(a) - statistics.median(b)
    low, high = interval(a, b, lambda x, y: x - y)
    row = {"bench": "wake", "who": who.label, "what": what, "against": against, "bailey_ms": spread(a), "other_ms": spread(b), "added_ms": round(added, 3),
           "low": round(low, 3), "high": round(high, 3), "rounds": WAKE_ROUNDS}
    if what == "exec":
        row |= {"target": TARGET_WAKE_MS, "met": added <= TARGET_WAKE_MS}
    at.emit(row)


def wakes(at: Place, who: Who, ws: str) -> None:
    pause, resume = [at.bailey, "pause", "box"], [at.bailey, "resume", "box"]
    execute = [at.bailey, "exec", "box", "--", "true"]
    wake_row(at, who, ws, "exec", "running", (pause, execute), ([], execute))
    wake_row(at, who, ws, "resume", "true", (pause, resume), ([], ["/bin/true"]))


def processes(state: str) -> list[int]:
    """Those that hold the lock of a sandbox, and their children; and the watcher, which all sandboxes of a user share and which holds the lock of its socket."""
    found = []
    for p in os.listdir("/proc"):
        try:
            if not p.isdigit():
                continue
            names = [os.readlink(f"/proc/{p}/fd/{n}") for n in os.listdir(f"/proc/{p}/fd")]
            if any(n.startswith(state + "/run/watch-") and n.endswith(".lock") for n in names):
                found.append(int(p))
            if any(n.startswith(state + "/sandboxes/") for n in names):
                found.append(int(p))
                with open(f"/proc/{p}/task/{p}/children", encoding="ascii") as f:
                    found += [int(c) for c in f.read().split()]
        except OSError:
            continue
    return found


def alive(pid: int) -> float:
    """PSS; nothing of one that only helped a start, and has gone since it was listed."""
    try:
        return pss_kib(pid)
    except ProcessLookupError:
        return 0


def create_row(at: Place, who: Who, clients: int, count: int, make: Callable[[int], None], **row: Any) -> None:
    """@make: a sandbox of that number, to its first command."""
    with concurrent.futures.ThreadPoolExecutor(clients) as pool:
        begin = time.monotonic()
        list(pool.map(make, range(count)))
        rate = count / (time.monotonic() - begin)
    at.emit({"bench": "create", "who": who.label, "clients": clients, "sandboxes": count, "per_s": round(rate, 1), **row,
             **({"target": TARGET_RATE, "met": rate >= TARGET_RATE, "accepted": rate >= ACCEPTED_RATE} if clients > 1 else {})})


def rival_create(at: Place, who: Who, ws: str, count: int) -> None:
    for rival, ready, end, _ in RIVALS:
        name = f"bailey-bench-{os.getpid()}-"
        try:
            view, argv, begin = ready(at, who, ws)
        except Failed as e:
            at.emit({"bench": "create", "who": who.label, "against": rival, "skipped": str(e)})
            continue
        commands = [[*view, *argv, *begin(f"{name}{i}")] for i in range(count)]

        def make(i: int, commands: list[list[str]] = commands) -> None:
            who.output(commands[i], ws)

        try:
            create_row(at, who, 1, count, make, against=rival)
        except Failed as e:
            at.emit({"bench": "create", "who": who.label, "against": rival, "skipped": str(e)})
        finally:
            for i in range(count):
                subprocess.run([*view, *argv, *end, f"{name}{i}"], capture_output=True, check=False, env=who.env)


def many(at: Place, who: Who, ws: str, state: str, count: int) -> None:
    def make(n: str) -> None:
        bailey(at, who, ws, "create", n)
        bailey(at, who, ws, "start", n)

    names = [f"many{i}" for i in range(count)]
    create_row(at, who, 1, count, lambda i: make(names[i]))
    time.sleep(1)
    own = processes(state)
    kib = sum(alive(p) for p in own) / count
    at.emit({"bench": "memory", "who": who.label, "sandboxes": count, "processes": len(own) / count, "pss_kib": round(kib, 1), "target": TARGET_KIB, "met": kib <= TARGET_KIB})
    names += [f"more{i}" for i in range(count)]
    create_row(at, who, len(os.sched_getaffinity(0)), count, lambda i: make(f"more{i}"))
    for n in names:
        bailey(at, who, ws, "rm", "-f", n)
    rival_create(at, who, ws, max(3, count // 10))


def run(at: Place, opt: argparse.Namespace) -> None:
    store = os.path.join(at.base, "bailey-store")
    subprocess.run(["install", "-m", "755", os.path.join(ROOT, "build", "bailey-store"), store], check=True)
    for who in at.people(opt.user):
        ws, base = os.path.join(who.home, "ws"), os.path.join(who.home, "state")
        for d in (ws, base):
            os.mkdir(d, 0o700)
            os.chown(d, who.uid, who.gid)
        who.env |= {"XDG_STATE_HOME": base}
        bailey(at, who, ws, "create", "box")
        bailey(at, who, ws, "start", "box")
        try:
            exec_row(at, who, ws, opt.rounds, "true", ["/bin/true"])
            wakes(at, who, ws)
            beside_rivals(at, who, ws, opt.rounds)
        finally:
            bailey(at, who, ws, "rm", "-f", "box")
        many(at, who, ws, os.path.join(base, "bailey"), opt.count)


def main() -> None:
    ap = options(__doc__)
    ap.add_argument("--rounds", type=int, default=300)
    ap.add_argument("--count", type=int, default=50)
    opt = ap.parse_args()
    if opt.quick:
        opt.rounds, opt.count = min(opt.rounds, 60), min(opt.count, 10)
    with place(opt) as at:
        run(at, opt)
        print()
        for r in at.rows:
            met = {True: "met", False: "MISSED"}.get(r.get("met"), "")  # type: ignore[arg-type]
            if "skipped" in r:
                print(f"{r['who']:5} {r['bench']:7} left out: {r['skipped']}")
            elif r["bench"] == "exec":
                print(f"{r['who']:5} exec    {r['against']:12} {r['bailey_ms']['p50']:8.3f} {r['other_ms']['p50']:8.3f} ms  {r['ratio']:.2f} ({r['low']:.2f}-{r['high']:.2f})  {met}")
            elif r["bench"] == "wake":
                print(f"{r['who']:5} wake    {r['what']:6} {r['against']:14} {r['bailey_ms']['p50']:8.3f} {r['other_ms']['p50']:8.3f} ms  {r['added_ms']:+.2f} "
                      f"({r['low']:+.2f}-{r['high']:+.2f})  {met}")
            elif r["bench"] == "create":
                print(f"{r['who']:5} create  {r.get('against', 'bailey'):12} {r['per_s']:8.1f} per second, clients: {r['clients']}  {met}")
            else:
                print(f"{r['who']:5} memory  {r['pss_kib']:8.1f} KiB PSS, {r['processes']:.0f} processes  {met}")
    if opt.check and at.missed():
        sys.exit(1)


if __name__ == "__main__":
    main()
