#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Sandboxes that stay: a command in one that lives, what an idle one holds in memory, how fast they are made.

Usage: bench/named.py [--rounds N] [--count N] [--user NAME] [--dir DIR] [--quick] [--check]

exec     `bailey exec box -- true`, the whole process, in turns with `true` (the floor: posix_spawn of a dynamic program) and, for root, `podman exec`
wake     `bailey resume` of a sandbox that is paused, in turns with `true`, and with `podman unpause` and `crun resume` where they are installed; and `bailey exec` of `true`
         in one that is paused, against the same in one that runs
memory   PSS of all processes of an idle sandbox: its supervisor, its PID 1, and its part of the watcher that all share
create   made and started, sandboxes per second: one after the other by one client, and by as many clients as there are processors; and `podman run --detach` by one

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


def exec_row(at: Place, who: Who, ws: str, rounds: int, other: str, argv: list[str]) -> None:
    times = spawn(at.tool, who, [(ws, [at.bailey, "exec", "box", "--", "true"]), (ws, argv)], rounds, 0)
    a, b = ([t[i] for t in times] for i in (0, 1))
    low, high = interval(a, b, lambda x, y: x / y)
    ratio = statistics.median(a) / statistics.median(b)
    row = {"bench": "exec", "who": who.label, "against": other, "bailey_ms": spread(a), "other_ms": spread(b), "ratio": round(ratio, 3),
           "low": round(low, 3), "high": round(high, 3), "rounds": rounds}
    if other == "true":
        row |= {"target": TARGET_EXEC, "met": ratio <= TARGET_EXEC}
    at.emit(row)


def podman_exec(at: Place, who: Who, ws: str, rounds: int) -> None:
    try:
        argv = podman_argv(ws, at.base)
    except Failed as e:
        at.emit({"bench": "exec", "who": who.label, "against": "podman exec", "skipped": str(e)})
        return
    at_run = argv.index("run")
    name = f"bailey-bench-{os.getpid()}"
    start = [*argv[:at_run], "run", "--detach", "--name", name, *[w for w in argv[at_run + 1:-1] if w != "--rm"], "sleep", "600"]
    try:
        who.output(start, ws)
        exec_row(at, who, ws, max(5, rounds // 10), "podman exec", [*argv[:at_run], "exec", name, "true"])
    except Failed as e:
        at.emit({"bench": "exec", "who": who.label, "against": "podman exec", "skipped": str(e)})
    finally:
        subprocess.run([*argv[:at_run], "rm", "-f", "-t", "0", name], capture_output=True, check=False, env=who.env)


def timed(who: Who, ws: str, argv: list[str]) -> float:
    """Milliseconds of one command; Python's own part is in every row."""
    begin = time.monotonic()
    who.output(argv, ws)
    return (time.monotonic() - begin) * 1000


def wake_row(at: Place, who: Who, ws: str, what: str, against: str, ours: tuple[list[str], list[str]], other: tuple[list[str], list[str]]) -> None:
    """Each is (before, timed); in turns."""
    a: list[float] = []
    b: list[float] = []
    for _ in range(WAKE_ROUNDS):
        for into, (before, command) in ((a, ours), (b, other)):
            if before:
                who.output(before, ws)
            into.append(timed(who, ws, command))
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
    for name, begin in (("podman unpause", podman_box), ("crun resume", crun_box)):
        try:
            with begin(at, who, ws) as (other_pause, other_resume):
                wake_row(at, who, ws, "resume", name, (pause, resume), (other_pause, other_resume))
        except Failed as e:
            at.emit({"bench": "wake", "who": who.label, "against": name, "skipped": str(e)})


@contextlib.contextmanager
def podman_box(at: Place, who: Who, ws: str) -> Iterator[tuple[list[str], list[str]]]:
    argv = podman_argv(ws, at.base)
    at_run = argv.index("run")
    podman, name = argv[:at_run], f"bailey-bench-{os.getpid()}"
    try:
        who.output([*podman, "run", "--detach", "--name", name, *[w for w in argv[at_run + 1:-1] if w != "--rm"], "sleep", "600"], ws)
        yield [*podman, "pause", name], [*podman, "unpause", name]
    finally:
        subprocess.run([*podman, "rm", "-f", "-t", "0", name], capture_output=True, check=False, env=who.env)


@contextlib.contextmanager
def crun_box(at: Place, who: Who, ws: str) -> Iterator[tuple[list[str], list[str]]]:
    if who.uid:
        raise Failed("an ordinary user has no cgroup to freeze")
    bundle = os.path.join(at.base, "crun-wake")
    crun = [*crun_view(), crun_argv(ws, who, bundle)[0]]
    config = os.path.join(bundle, "config.json")
    with open(config, encoding="utf-8") as f:
        text = f.read().replace('"args": ["true"]', '"args": ["sh", "-c", "exec sleep 600 </dev/null >/dev/null 2>&1"]')  # else it holds our pipes
    with open(config, "w", encoding="utf-8") as f:
        f.write(text)
    name = f"bailey-bench-{os.getpid()}"
    try:
        who.output([*crun, "run", "--detach", "--bundle", bundle, name], ws)
        yield [*crun, "pause", name], [*crun, "resume", name]
    finally:
        subprocess.run([*crun, "delete", "-f", name], capture_output=True, check=False, env=who.env)


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


def podman_create(at: Place, who: Who, ws: str, count: int) -> None:
    try:
        argv = podman_argv(ws, at.base)
    except Failed as e:
        at.emit({"bench": "create", "who": who.label, "against": "podman", "skipped": str(e)})
        return
    at_run = argv.index("run")
    podman, name = argv[:at_run], f"bailey-bench-{os.getpid()}-"
    words = [w for w in argv[at_run + 1:-1] if w != "--rm"]
    try:
        create_row(at, who, 1, count, lambda i: (who.output([*podman, "run", "--detach", "--name", f"{name}{i}", *words, "sleep", "600"], ws), None)[1], against="podman")
    except Failed as e:
        at.emit({"bench": "create", "who": who.label, "against": "podman", "skipped": str(e)})
    finally:
        for i in range(count):
            subprocess.run([*podman, "rm", "-f", "-t", "0", f"{name}{i}"], capture_output=True, check=False, env=who.env)


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
    podman_create(at, who, ws, max(3, count // 10))


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
            podman_exec(at, who, ws, opt.rounds)
            wakes(at, who, ws)
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
