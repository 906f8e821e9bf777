#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What an idle sandbox holds in memory: the proportional set size (PSS) of every process of the sandbox system itself.

Usage: bench/memory.py [--count N] [--user NAME] [--dir DIR] [--quick] [--check]

Starts N sandboxes that run `sleep`, and adds up the PSS (smaps_rollup) of what was started but the sleeps themselves; a row is that, per
sandbox. Kernel memory (namespaces, mounts, tmpfs) is measured as well, as what the machine's available memory fell by in all.
"""

import argparse
import os
import subprocess
import sys
import time

from common import Failed, Place, Who, options, place
from rivals import bwrap_argv, firejail_argv

TARGET_KIB = 1024.0


def children(pid: int) -> list[int]:
    try:
        with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as f:
            return [int(c) for c in f.read().split()]
    except FileNotFoundError:
        return []


def family(pid: int) -> list[int]:
    found = [pid]
    for child in children(pid):
        found += family(child)
    return found


def name(pid: int) -> str:
    with open(f"/proc/{pid}/comm", encoding="ascii") as f:
        return f.read().strip()


def pss_kib(pid: int) -> int:
    with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as f:
        for line in f:
            if line.startswith("Pss:"):
                return int(line.split()[1])
    raise Failed(f"no PSS of {pid}")


def available_kib() -> int:
    with open("/proc/meminfo", encoding="ascii") as f:
        return next(int(line.split()[1]) for line in f if line.startswith("MemAvailable:"))


def ready(started: list[subprocess.Popen]) -> list[list[int]]:
    """The processes of each sandbox, once its sleep runs."""
    end = time.monotonic() + 30
    while time.monotonic() < end:
        families = [family(p.pid) for p in started]
        try:
            if all(any(name(p) == "sleep" for p in f) for f in families):
                return families
        except FileNotFoundError:
            pass
        time.sleep(0.05)
    raise Failed("the sandboxes did not start")


def measure(at: Place, who: Who, what: str, argv: list[str], ws: str, count: int) -> None:
    ids = {"user": who.uid, "group": who.gid, "extra_groups": []} if os.geteuid() == 0 else {}
    before = available_kib()
    started: list[subprocess.Popen] = []
    try:
        for _ in range(count):
            started.append(subprocess.Popen(argv, cwd=ws, env=who.env, stdin=subprocess.DEVNULL,  # type: ignore[call-overload]
                                            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **ids))
        families = ready(started)
        time.sleep(0.5)
        own = [[p for p in f if name(p) != "sleep"] for f in families]
        total = sum(pss_kib(p) for f in own for p in f)
        row = {"bench": "memory", "who": who.label, "what": what, "sandboxes": count, "processes": len(own[0]),
               "pss_kib": round(total / count, 1), "machine_kib": round((before - available_kib()) / count, 1)}
        if what == "bailey":
            row["target_kib"] = TARGET_KIB
            row["met"] = row["pss_kib"] <= TARGET_KIB  # type: ignore[operator]
        at.emit(row)
    finally:
        for p in started:
            p.terminate()
        for p in started:
            p.wait(timeout=30)


def run(at: Place, opt: argparse.Namespace) -> None:
    for who in at.people(opt.user):
        ws = os.path.join(who.home, "ws")
        os.mkdir(ws)
        os.chown(ws, who.uid, who.gid)
        sleep = ["sleep", "300"]
        ways = {"bailey": lambda: [at.bailey, "run", "--", *sleep], "bwrap": lambda: [*bwrap_argv(ws)[:-1], *sleep],
                "firejail": lambda: [*firejail_argv(ws)[:-1], *sleep]}
        for what, argv in ways.items():
            try:
                measure(at, who, what, argv(), ws, opt.count)
            except Failed as e:
                at.emit({"bench": "memory", "who": who.label, "what": what, "skipped": str(e)})


def main() -> None:
    ap = options(__doc__)
    ap.add_argument("--count", type=int, default=50)
    opt = ap.parse_args()
    if opt.quick:
        opt.count = min(opt.count, 10)
    with place(opt) as at:
        run(at, opt)
        line = "{:5} {:9} {:>10} {:>10} {:>14} {:>12}  {}"
        print()
        print(line.format("who", "what", "sandboxes", "processes", "PSS KiB each", "machine KiB", ""))
        for r in at.rows:
            if "skipped" in r:
                print(line.format(r["who"], r["what"], "", "", "", "", "left out: " + r["skipped"]))
                continue
            met = {True: "met", False: "MISSED"}.get(r.get("met"), "")  # type: ignore[arg-type]
            print(line.format(r["who"], r["what"], r["sandboxes"], r["processes"], r["pss_kib"], r["machine_kib"], met))
    if opt.check and at.missed():
        sys.exit(1)


if __name__ == "__main__":
    main()
