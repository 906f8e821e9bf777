#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What work costs inside, against the same work outside and in bwrap, in strict turns.

Usage: bench/work.py [--rounds N] [--user NAME] [--dir DIR] [--quick] [--check]

`compile` runs the C compiler over generated files, `git-status` asks git about 50,000 files, `npm-ci` installs generated packages from
archives beside them (no network is needed), `syscalls` does nothing but the calls that programs make most (no target: it shows the price of a call). Each runs long enough (seconds) that the start, which bench/start.py measures, is about half a percent. The target
is met when the 95 % interval of the ratio of the medians includes 1.02 or less; processor time is the tie-break, so it is in the row.
"""

import argparse
import io
import json
import os
import statistics
import subprocess
import sys
import tarfile
import time

from common import Failed, Place, Who, chown_tree, interval, options, place, which
from rivals import bwrap_argv

TARGET = 1.02
SYSCALLS = r"""
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
int main(void)
{
	struct stat st;
	char b = 0;
	int null = open("/dev/null", O_WRONLY), zero = open("/dev/zero", O_RDONLY), fd = -1;

	for (int i = 0; i < 150000; i++) {
		syscall(SYS_getppid);
		stat("file", &st);
		fd = open("file", O_RDONLY);
		fstat(fd, &st);
		close(fd);
		if (read(zero, &b, 1) != 1 || write(null, &b, 1) != 1)
			return 1;
	}
	return 0;
}
"""


def make_compile(ws: str, count: int) -> list[str]:
    for i in range(count):
        with open(os.path.join(ws, f"c{i}.c"), "w", encoding="ascii") as f:
            f.write("#include <stdio.h>\n#include <stdlib.h>\n#include <string.h>\n#include <sys/socket.h>\n#include <netdb.h>\n")
            f.writelines(f"int f{k}(int a, char **v) {{ for (int i = 0; i < a; i++) if (strlen(v[i]) > {k}) a += atoi(v[i]); return a; }}\n"
                         for k in range(60))
    return ["sh", "-ec", f"i=0; while [ $i -lt {count} ]; do cc -O1 -c -o c$i.o c$i.c; i=$((i + 1)); done"]


def make_git(ws: str, count: int, who: Who) -> list[str]:
    which("git")
    for i in range(count):
        if i % 500 == 0:
            sub = os.path.join(ws, f"d{i // 500}")
            os.mkdir(sub)
        with open(os.path.join(sub, f"f{i}"), "w", encoding="ascii") as f:
            f.write(f"{i}\n")
    chown_tree(ws, who.uid, who.gid)
    who.output(["sh", "-ec", "git init -q . && git add -A && git -c user.name=b -c user.email=b@localhost commit -qm files && git status -s"], ws)
    return ["sh", "-ec", "i=0; while [ $i -lt 20 ]; do git status --porcelain; i=$((i + 1)); done"]


def pack(path: str, files: dict[str, str]) -> None:
    """An npm package as its registry would give it."""
    with tarfile.open(path, "w:gz") as tar:
        for name, text in files.items():
            info = tarfile.TarInfo("package/" + name)
            info.size = len(text)
            tar.addfile(info, io.BytesIO(text.encode()))


def make_npm(ws: str, count: int, who: Who) -> list[str]:
    which("npm")
    os.mkdir(os.path.join(ws, "archives"))
    for i in range(count):
        files = {"package.json": json.dumps({"name": f"p{i}", "version": "1.0.0"})}
        files |= {f"lib/f{k}.js": f"module.exports = {k};\n" * 50 for k in range(40)}
        pack(os.path.join(ws, "archives", f"p{i}.tgz"), files)
    with open(os.path.join(ws, "package.json"), "w", encoding="ascii") as f:
        json.dump({"name": "work", "version": "1.0.0", "dependencies": {f"p{i}": f"file:archives/p{i}.tgz" for i in range(count)}}, f)
    chown_tree(ws, who.uid, who.gid)
    quiet = "--offline --ignore-scripts --no-audit --no-fund --no-update-notifier --cache .npm"
    who.output(["sh", "-ec", f"npm install --package-lock-only {quiet}"], ws)
    return ["sh", "-ec", f"rm -rf node_modules && npm ci {quiet}"]


def make_syscalls(ws: str) -> list[str]:
    source = os.path.join(ws, "syscalls.c")
    with open(source, "w", encoding="ascii") as f:
        f.write(SYSCALLS)
    with open(os.path.join(ws, "file"), "w", encoding="ascii") as f:
        f.write("x")
    subprocess.run(["cc", "-O2", "-o", os.path.join(ws, "syscalls"), source], check=True)
    return ["./syscalls"]


def once(who: Who, argv: list[str], ws: str) -> tuple[float, float]:
    """Wall and processor seconds."""
    ids = {"user": who.uid, "group": who.gid, "extra_groups": []} if os.geteuid() == 0 else {}
    start = time.monotonic()
    with subprocess.Popen(argv, cwd=ws, env=who.env, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,  # type: ignore[call-overload]
                          stderr=subprocess.PIPE, **ids) as p:
        said = p.stderr.read()
        _, status, use = os.wait4(p.pid, 0)
        p.returncode = os.waitstatus_to_exitcode(status)
    if p.returncode:
        raise Failed(f"{argv[0]}: exit {p.returncode}: {said.decode(errors='replace').strip()[-300:]}")
    return time.monotonic() - start, use.ru_utime + use.ru_stime


def measure(at: Place, who: Who, kind: str, ws: str, command: list[str], rounds: int) -> None:
    ways = {"outside": command, "bailey": [at.bailey, "run", "--", *command]}
    try:
        ways["bwrap"] = [*bwrap_argv(ws)[:-1], *command]
    except Failed as e:
        at.emit({"bench": "work", "who": who.label, "work": kind, "rival": "bwrap", "skipped": str(e)})
    wall: dict[str, list[float]] = {name: [] for name in ways}
    cpu: dict[str, list[float]] = {name: [] for name in ways}
    for r in range(-1, rounds):
        for name, argv in ways.items():
            w, c = once(who, argv, ws)
            if r >= 0:
                wall[name].append(w)
                cpu[name].append(c)
    for name in list(ways)[1:]:
        low, high = interval(wall[name], wall["outside"], lambda x, y: x / y)
        row = {"bench": "work", "who": who.label, "work": kind, "what": name, "against": "outside", "rounds": rounds,
               "seconds": round(statistics.median(wall[name]), 3), "outside_seconds": round(statistics.median(wall["outside"]), 3),
               "ratio": round(statistics.median(wall[name]) / statistics.median(wall["outside"]), 4),
               "ratio_95": [round(low, 4), round(high, 4)],
               "cpu_ratio": round(statistics.median(cpu[name]) / statistics.median(cpu["outside"]), 4)}
        if name == "bailey" and kind != "syscalls":
            row["target"] = TARGET
            row["met"] = low <= TARGET
        at.emit(row)


def run(at: Place, opt: argparse.Namespace) -> None:
    for who in at.people(opt.user):
        for kind in ("compile", "git-status", "npm-ci", "syscalls"):
            ws = os.path.join(who.home, kind)
            os.mkdir(ws)
            if kind == "compile":
                command = make_compile(ws, 5 if opt.quick else 20)
            elif kind == "git-status":
                os.chown(ws, who.uid, who.gid)
                command = make_git(ws, 5_000 if opt.quick else 50_000, who)
            elif kind == "npm-ci":
                os.chown(ws, who.uid, who.gid)
                command = make_npm(ws, 10 if opt.quick else 60, who)
            else:
                command = make_syscalls(ws)
            chown_tree(ws, who.uid, who.gid)
            measure(at, who, kind, ws, command, opt.rounds)


def table(rows: list[dict]) -> None:
    line = "{:5} {:12} {:8} {:>10} {:>10} {:>8} {:>18} {:>10} {:>7}  {}"
    print()
    print(line.format("who", "work", "in", "seconds", "outside", "ratio", "95 %", "cpu ratio", "target", ""))
    for r in rows:
        if "skipped" in r:
            print(line.format(r["who"], r["work"], r["rival"], "", "", "", "", "", "", "left out: " + r["skipped"]))
            continue
        met = {True: "met", False: "MISSED"}.get(r.get("met"), "")  # type: ignore[arg-type]
        print(line.format(r["who"], r["work"], r["what"], r["seconds"], r["outside_seconds"], f"{r['ratio']:.3f}",
                          "{:.3f} - {:.3f}".format(*r["ratio_95"]), f"{r['cpu_ratio']:.3f}", r.get("target", ""), met))


def main() -> None:
    ap = options(__doc__)
    ap.add_argument("--rounds", type=int, default=12)
    opt = ap.parse_args()
    if opt.quick:
        opt.rounds = min(opt.rounds, 3)
    with place(opt) as at:
        run(at, opt)
        table(at.rows)
    if opt.check and at.missed():
        sys.exit(1)


main()
