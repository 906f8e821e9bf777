#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What inspection costs: TLS that is ended on the way, beside the same run without it, the direct way, and others who end TLS.

Usage: bench/inspection.py [--rounds N] [--turns N] [--user NAME] [--dir DIR] [--rows A,B] [--rivals A,B] [--quick] [--check]

Rows: start, cold, connect, request, stream. Needs root: all of it happens in network and mount namespaces of the benchmark's own, with one server behind some
names; commands run as an ordinary user, `start` as root, too. bench/tlsload.c is client and server. In each turn every way does the same once, in the same order;
a row is one way against another. bench/README.md says what is compared and why.
"""

import argparse
import contextlib
import glob
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator

from common import ROOT, Failed, Place, Who, interval, options, place, spawn, spread, which
from memory import family
from network import ADDRESS, INSIDE, SRT_AUTH, Client, prepare, server
from proxies import Proxy
from srt import real

# not called inspect.py: that is a module of python itself
HOST, PORT = "server.test", 9443
COLD = 40
COLD_NAMES = [f"c{i}.server.test" for i in range(COLD)]
TRUSTED = "/etc/ssl/certs/ca-certificates.crt"
RIVALS = ("mitmproxy", "srt")

TARGET_ADDED_MS = 1.0

PINGS, SLOW_PINGS = 40, 10
REQUESTS = 200
BYTES = 256 << 20
SLOW = {"mitmproxy": 8, "srt": 4}  # by how much less they are sent


def rules(inspects: bool) -> list[str]:
    words = [w for name in [*COLD_NAMES, HOST] for w in ("--allow-host", f"{name}:{PORT}")]
    return words + [w for name in [*COLD_NAMES, HOST] for w in ("--inspect", name) if inspects]


def one(inspects: bool) -> list[str]:
    """For the start: one rule, as the rival has one."""
    return ["--allow-host", f"{HOST}:{PORT}", *(["--inspect", HOST] if inspects else [])]


def processor_ms(pids: list[int]) -> float:
    """What these processes have had of a processor, whatever else the machine does."""
    total = 0
    for pid in pids:
        for path in glob.glob(f"/proc/{pid}/task/*/schedstat"):
            with contextlib.suppress(OSError), open(path, encoding="ascii") as f:
                total += int(f.read().split()[0])
    return total / 1e6


def authority(base: str) -> None:
    """A certificate of the server's names, by an authority that the namespaces trust beside their others."""
    def openssl(*words: str) -> None:
        subprocess.run(["openssl", *words], cwd=base, check=True, capture_output=True)

    new = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-noenc", "-days", "3"]
    openssl("req", "-x509", *new, "-subj", "/CN=bench authority", "-addext", "basicConstraints=critical,CA:TRUE", "-keyout", "ca.key", "-out", "ca.pem")
    openssl("req", *new, "-subj", f"/CN={HOST}", "-keyout", "server.key", "-out", "server.csr")
    with open(os.path.join(base, "ext"), "w", encoding="ascii") as f:
        f.write(f"subjectAltName=DNS:{HOST},DNS:*.{HOST}\nextendedKeyUsage=serverAuth\nbasicConstraints=CA:FALSE\n")
    openssl("x509", "-req", "-in", "server.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "3", "-extfile", "ext", "-out", "server.pem")
    own, bundle = os.path.join(base, "ca.pem"), os.path.join(base, "bundle.pem")
    with open(bundle, "wb") as out:
        for path in (TRUSTED, own):
            with open(path, "rb") as part:
                out.write(part.read())
    for path in (own, bundle):
        os.chmod(path, 0o644)
    subprocess.run(["mount", "--bind", bundle, TRUSTED], check=True)
    os.environ["UPSTREAM_CA"] = own


class Bench:
    """One run of the benchmark."""

    def __init__(self, opt: argparse.Namespace, at: Place) -> None:
        self.opt, self.at = opt, at
        self.rows = opt.rows.split(",")
        self.rivals = [r for r in opt.rivals.split(",") if r]
        self.tlsload = os.path.join(at.base, "tlsload")
        subprocess.run([os.environ.get("CC", "cc"), "-O2", "-pthread", "-o", self.tlsload, os.path.join(ROOT, "bench", "tlsload.c"), "-lssl", "-lcrypto"], check=True)
        keys = os.path.join(os.path.dirname(os.path.abspath(os.environ.get("BAILEY") or os.path.join(ROOT, "build", "bailey"))), "bailey-keys")
        shutil.copyfile(os.environ.get("BAILEY_KEYS") or keys, os.path.join(at.base, "bailey-keys"))
        os.chmod(os.path.join(at.base, "bailey-keys"), 0o755)
        self.facts = {"bailey_sha256": at.sha, "kernel": platform.release(), "cpus": len(os.sched_getaffinity(0)), "load": round(os.getloadavg()[0], 1)}
        self.real: list[str] | None = None
        self.real_missing = ""
        self.beside: dict[str, int] = {}  # proxies that are no children of their clients
        if "srt" in self.rivals:
            try:
                self.real = real(at)
            except (Failed, OSError) as e:
                self.real_missing = str(e)

    def skip(self, bench: str, who: Who | None, what: str, why: object) -> None:
        self.at.emit({"bench": bench, "who": who.label if who else "all", "what": what, "skipped": str(why)})

    def srt_argv(self, who: Who) -> list[str]:
        if not self.real:
            raise Failed(self.real_missing or "not asked for")
        settings = os.path.join(who.home, "srt.json")
        network = {"allowedDomains": [HOST, f"*.{HOST}"], "deniedDomains": [], "tlsTerminate": {"extraCaCertPaths": [os.environ["UPSTREAM_CA"]]}}
        with open(settings, "w", encoding="ascii") as f:
            json.dump({"network": network, "filesystem": {"denyRead": [], "allowWrite": ["."], "denyWrite": []}}, f)
        os.chmod(settings, 0o644)
        # extraCaCertPaths is for what runs inside; the proxy itself trusts what node trusts
        return [which("env"), f"NODE_EXTRA_CA_CERTS={os.environ['UPSTREAM_CA']}", *self.real, "--settings", settings]

    # --- start ---

    def start(self, who: Who, ws: str) -> None:
        ours = [self.at.bailey, "run", *one(True), "--", "true"]
        plain = [self.at.bailey, "run", *one(False), "--", "true"]
        pairs: list[tuple[str, Callable[[], list[str]], int]] = [("bailey, not inspected", lambda: plain, self.opt.rounds)]
        if "srt" in self.rivals:
            pairs.append(("srt, inspected", lambda: [*self.srt_argv(who), "true"], max(8, self.opt.rounds // 15)))
        for what, argv, rounds in pairs:
            try:
                theirs = argv()
                who.output(theirs, ws)
                a, b = spawn(self.at.tool, who, [(ws, ours), (ws, theirs)], rounds, 50000 if what.startswith("srt") else 0)
            except Failed as e:
                self.skip("inspect-start", who, what, e)
                continue
            low, high = interval(a, b, lambda x, y: x / y)
            less, more = interval(a, b, lambda x, y: x - y)
            self.at.emit({"bench": "inspect-start", "who": who.label, "what": "bailey, inspected", "against": what, "rounds": rounds, "this_ms": spread(a), "other_ms": spread(b),
                          "ratio": round(statistics.median(a) / statistics.median(b), 4), "ratio_95": [round(low, 4), round(high, 4)],
                          "added_ms": round(statistics.median(a) - statistics.median(b), 3), "added_95": [round(less, 3), round(more, 3)], **self.facts})

    # --- ways ---

    @contextlib.contextmanager
    def client(self, who: Who, argv: list[str], ws: str, trusted: str | None = None) -> Iterator[Client]:
        words = [self.tlsload, "client", str(PORT)]
        if argv and argv[-1] == "-c":
            words = [f"{SRT_AUTH} exec {' '.join(words)}"]
        c = Client(Who(who.label, who.uid, who.gid, who.home, {**who.env, **({"SSL_CERT_FILE": trusted} if trusted else {})}), [*argv, *words], ws)
        try:
            yield c
        finally:
            c.end()

    @contextlib.contextmanager
    def rival(self, who: Who, rival: str, ws: str) -> Iterator[tuple[Client, str]]:
        if rival == "srt":
            with self.client(who, [*self.srt_argv(who), "-c"], ws) as c:
                yield c, "http:3128"
            return
        if rival not in RIVALS:
            raise Failed("unknown")
        proxy = Proxy(self.at.base, rival, 3300, HOST, (ADDRESS, PORT), inspects=True)
        try:
            trusted = os.path.join(self.at.base, "mitm.pem")
            shutil.copyfile(os.path.join(proxy.at, "mitm", "mitmproxy-ca-cert.pem"), trusted)
            os.chmod(trusted, 0o644)
            with self.client(who, [], ws, trusted) as c:
                self.beside[rival] = proxy.proc.pid
                yield c, proxy.way
        finally:
            proxy.end()

    def compare(self, bench: str, who: Who, what: str, against: str, got: dict[str, list[float]], unit: str, more: dict) -> None:
        a, b = got[what], got[against]
        row: dict[str, object] = {"bench": bench, "who": who.label, "what": what, "against": against, "rounds": len(a), f"this_{unit}": spread(a), f"other_{unit}": spread(b)}
        if unit == "ms":
            added = statistics.median(a) - statistics.median(b)
            low, high = interval(a, b, lambda x, y: x - y)
            row.update(added_ms=round(added, 4), added_95=[round(low, 4), round(high, 4)])
            if bench == "inspect-connect" and what == "bailey, inspected" and against == "direct":
                row.update(target_ms=TARGET_ADDED_MS, met=added <= TARGET_ADDED_MS)
        else:
            low, high = interval(a, b, lambda x, y: x / y)
            row.update(ratio=round(statistics.median(a) / statistics.median(b), 4), ratio_95=[round(low, 4), round(high, 4)])
        self.at.emit({**row, **more, **self.facts})

    def report(self, bench: str, who: Who, got: dict[str, list[float]], unit: str, **more: object) -> None:
        """Each way against the direct one, and inspection against none."""
        for what in got:
            if what != "direct":
                self.compare(bench, who, what, "direct", got, unit, more)
        self.compare(bench, who, "bailey, inspected", "bailey, captured", got, unit, more)

    def turns(self, who: Who, ways: dict[str, tuple[Client, str]], turns: int, measure: Callable[[str, Client, str], float], bench: str) -> dict[str, list[float]]:
        """What each way took in each turn. One that fails is left out, and said."""
        got: dict[str, list[float]] = {what: [] for what in ways}
        for turn in range(turns + 1):
            for what, (client, way) in ways.items():
                if what not in got:
                    continue
                try:
                    value = measure(what, client, way)
                except Failed as e:
                    if what not in RIVALS:
                        raise
                    self.skip(bench, who, what, e)
                    del got[what]
                    continue
                if turn:  # the first is for caches
                    got[what].append(value)
        return got

    def ways(self, who: Who, ws: str) -> None:
        with contextlib.ExitStack() as stack:
            def run(inspects: bool) -> Client:
                return stack.enter_context(self.client(who, [self.at.bailey, "run", *rules(inspects), "--"], ws))

            ways = {"direct": (stack.enter_context(self.client(who, [], ws)), "addr"), "bailey, captured": (run(False), "addr"), "bailey, inspected": (run(True), "addr")}
            for rival in self.rivals:
                try:
                    ways[rival] = stack.enter_context(self.rival(who, rival, ws))
                except (Failed, OSError) as e:
                    self.skip("inspect", who, rival, e)
            if "cold" in self.rows:
                self.cold(who, ways)
            if "connect" in self.rows:
                self.connect(who, ways)
            if "request" in self.rows:
                got = self.turns(who, ways, self.opt.turns, lambda what, c, way: statistics.median(c.ask("request", way, HOST, REQUESTS, 4000)) / 1e6, "inspect-request")
                self.report("inspect-request", who, got, "ms", requests=REQUESTS)
            for where in ("down", "up") if "stream" in self.rows else ():
                size = BYTES // 4 if self.opt.quick else BYTES
                got = self.turns(who, ways, max(3, self.opt.turns // 2), lambda what, c, way, w=where, n=size: (  # type: ignore[misc]
                    n / SLOW.get(what, 1) / c.ask("stream", way, HOST, w, n // SLOW.get(what, 1))[0]), "inspect-stream")
                self.report("inspect-stream", who, got, "gb_per_s", direction=where, bytes=size)

    def connect(self, who: Who, ways: dict[str, tuple[Client, str]]) -> None:
        """By the clock, and what client, gateway, inspector or proxy have had of a processor. The server is not counted."""
        used: dict[str, list[float]] = {what: [] for what in ways}

        def measure(what: str, client: Client, way: str) -> float:
            pids = [q for p in (client.proc.pid, self.beside.get(what)) if p for q in family(p)]
            before = processor_ms(pids)
            times = client.ask("connect", way, HOST, SLOW_PINGS if what in SLOW else PINGS, 4000)
            used[what].append((processor_ms(pids) - before) / len(times))
            return statistics.median(times) / 1e6

        got = self.turns(who, ways, self.opt.turns * 2, measure, "inspect-connect")
        self.report("inspect-connect", who, got, "ms", connections=PINGS)
        self.report("inspect-cpu", who, {what: used[what][1:] for what in got}, "ms", connections=PINGS)

    def cold(self, who: Who, ways: dict[str, tuple[Client, str]]) -> None:
        """The first connection of a run to a name: its certificate is made then. Names are looked up; rivals are told them."""
        names = COLD_NAMES[:20] if self.opt.quick else COLD_NAMES
        left = {what: [HOST, *names] for what in ways}  # of the first nothing is counted: processes and caches are there

        def measure(what: str, client: Client, way: str) -> float:
            return client.ask("connect", "name" if way == "addr" else way, left[what].pop(0), 1, 4000)[0] / 1e6

        self.report("inspect-cold", who, self.turns(who, ways, len(names), measure, "inspect-cold"), "ms")

    # --- all of it ---

    def run(self) -> None:
        for who in self.at.people(self.opt.user):
            ws = os.path.join(who.home, "ws")
            os.mkdir(ws)
            os.chown(ws, who.uid, who.gid)
            if "start" in self.rows:
                self.start(who, ws)
            if who.label == "user":
                self.ways(who, ws)

    def table(self) -> None:
        line = "{:5} {:8} {:20} {:24} {:>14} {:>14} {:>11} {:>19} {:>7}  {}"
        print()
        print(line.format("who", "row", "what", "against", "this", "other", "", "95 %", "target", ""))
        for r in self.at.rows:
            kind = r["bench"].removeprefix("inspect-") + (f" {r['direction']}" if "direction" in r else "")
            if "skipped" in r:
                print(line.format(r["who"], kind, r["what"], "", "", "", "", "", "", "left out: " + r["skipped"]))
                continue
            met = {True: "met", False: "MISSED"}.get(r.get("met"), "")  # type: ignore[arg-type]
            if "this_ms" in r:
                this, other = f"{r['this_ms']['p50']:.3f} ms", f"{r['other_ms']['p50']:.3f} ms"
                value, ci = f"{r['added_ms']:+.3f} ms", "{:+.3f} - {:+.3f}".format(*r["added_95"])
            else:
                this, other = f"{r['this_gb_per_s']['p50']:.3f} GB/s", f"{r['other_gb_per_s']['p50']:.3f} GB/s"
                value, ci = f"{r['ratio']:.3f}", "{:.3f} - {:.3f}".format(*r["ratio_95"])
            print(line.format(r["who"], kind, r["what"], r["against"], this, other, value, ci, r.get("target_ms", ""), met))


def main() -> None:
    ap = options(__doc__)
    ap.add_argument("--rounds", type=int, default=150, help="of starts (default 150)")
    ap.add_argument("--turns", type=int, default=15, help="of transfers (default 15)")
    ap.add_argument("--rows", default="start,cold,connect,request,stream")
    ap.add_argument("--rivals", default=",".join(RIVALS))
    ap.add_argument(INSIDE, action="store_true", help=argparse.SUPPRESS, dest="inside")
    opt = ap.parse_args()
    if os.geteuid() == 0 and not opt.inside:
        os.execvp("unshare", ["unshare", "--mount", "--net", "--propagation", "private", sys.executable, os.path.abspath(__file__), INSIDE, *sys.argv[1:]])
    if opt.quick:
        opt.rounds, opt.turns = min(opt.rounds, 40), min(opt.turns, 5)
    with place(opt) as at:
        if not opt.inside:
            at.emit({"bench": "inspect", "who": "all", "what": opt.rows, "skipped": "a server in namespaces of its own needs root"})
            return
        prepare(at.base, " ".join([HOST, *COLD_NAMES]))
        authority(at.base)
        bench = Bench(opt, at)
        with server(f"{bench.tlsload} server {ADDRESS} {PORT} {at.base}/server.pem {at.base}/server.key"):
            bench.run()
        bench.table()
    if opt.check and at.missed():
        sys.exit(1)


if __name__ == "__main__":
    main()
