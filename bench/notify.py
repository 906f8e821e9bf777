#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What an open costs in a run with --report, with --report=reads, and without.

Usage: bench/notify.py [--rounds N] [--user NAME] [--dir DIR] [--quick]

One program, inside, opens and closes a file of its workspace many times, for reading and for writing; the options take turns. A row is the
median over the rounds of microseconds for an open and its close.
"""

import os
import statistics

from common import options, place

LOOP = """
import os, time
def us(flags):
    n = 3000
    start = time.perf_counter()
    for _ in range(n):
        os.close(os.open("file", flags))
    return (time.perf_counter() - start) / n * 1e6
os.close(os.open("file", os.O_WRONLY | os.O_CREAT))
print(us(os.O_RDONLY), us(os.O_WRONLY))
"""
WAYS: dict[str, list[str]] = {"plain": [], "--report": ["--report"], "--report=reads": ["--report=reads"]}


def main() -> None:
    ap = options(__doc__)
    ap.add_argument("--rounds", type=int, default=15)
    opt = ap.parse_args()
    rounds = min(opt.rounds, 3) if opt.quick else opt.rounds
    with place(opt) as at:
        for who in at.people(opt.user):
            ws = os.path.join(who.home, "ws")
            os.mkdir(ws)
            os.chown(ws, who.uid, who.gid)
            took: dict[str, list[tuple[float, float]]] = {way: [] for way in WAYS}
            for _ in range(rounds):
                for way, words in WAYS.items():
                    read, write = who.output([at.bailey, "run", *words, "--", "/usr/bin/python3", "-c", LOOP], ws).split()
                    took[way].append((float(read), float(write)))
            for way, times in took.items():
                at.emit({"bench": "notify", "who": who.label, "what": way, "rounds": rounds,
                         "open_read_us": round(statistics.median(t[0] for t in times), 2),
                         "open_write_us": round(statistics.median(t[1] for t in times), 2)})


main()
