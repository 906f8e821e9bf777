# SPDX-License-Identifier: Apache-2.0
"""bailey-keys as its neighbours know it: a supervisor's channel, a gateway's socket, and connections that are handed over."""
import contextlib
import fcntl
import json
import os
import pathlib
import re
import socket
import ssl
import struct
import subprocess
import threading
import time

PROJECT = pathlib.Path(__file__).resolve().parents[2]
VERSION = 2
OFFER, REQUEST, END, DIAL, DIALLED = 1, 2, 3, 4, 5
TLS = 1


def program() -> str:
    """The one that is tested; in a place where the build does not replace it while it runs."""
    return os.environ.get("BAILEY_KEYS") or str(PROJECT / "build" / "bailey-keys")


def text(raw: bytes) -> str:
    return raw.split(b"\0", 1)[0].decode("latin-1")


class Keys:
    """One process of it."""

    def __init__(self, rules=(), roots=(), env=None, argv=None, **more):
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        self.gateway, gateway = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        fds = [fcntl.fcntl(s.fileno(), fcntl.F_DUPFD_CLOEXEC, 20) for s in (theirs, gateway)]

        def place() -> None:
            os.dup2(fds[0], 3)
            os.dup2(fds[1], 4)

        self.process = subprocess.Popen(argv or [program(), "serve"], preexec_fn=place, close_fds=False, stdin=subprocess.DEVNULL,
                                        env={"PATH": "/usr/bin:/bin", **(env or {})})
        for fd in fds:
            os.close(fd)
        theirs.close()
        gateway.close()
        self.control = ours
        self.control.settimeout(20)
        self.lines = ours.makefile("rb")
        self.log: list[dict] = []
        self.cond = threading.Condition()
        self.next_id = 0
        self.paused = threading.Event()  # nothing is read of the log
        self.places: dict[tuple[str, int], tuple[str, int] | str | None] = {}  # where KEYS_DIAL leads, or why not; None: no answer
        self.dials: list[tuple[str, int]] = []
        self.hello = self.say({"version": VERSION, "id": "tests", "store": None, "secrets": [], "inspect": list(rules), "own": [], "roots": list(roots), **more})
        threading.Thread(target=self.read_log, daemon=True).start()

    def say(self, line):
        self.control.sendall((line if isinstance(line, str) else json.dumps(line)).encode() + b"\n")
        answer = self.lines.readline()
        return json.loads(answer) if answer else None

    def read_log(self):
        while True:
            while self.paused.is_set():
                time.sleep(0.05)
            try:
                m = self.gateway.recv(4096)
            except OSError:
                return
            if not m:
                return
            kind, version, number = struct.unpack_from("=HHI", m)
            assert version == VERSION
            if kind == REQUEST:
                status, flags = struct.unpack_from("=HH", m, 8)
                assert len(m) == 12 + 32 + 1024 + 256 + 64 + 96
                e = {"kind": "request", "id": number, "status": status, "denied": flags & 1, "cut": flags >> 1, "method": text(m[12:44]), "target": text(m[44:1068]),
                     "why": text(m[1068:1324]), "secret": text(m[1324:1388]), "rule": text(m[1388:])}
            elif kind == DIAL:
                self.dial(number, *struct.unpack("=IH254s", m[8:]))
                continue
            else:
                assert kind == END and len(m) == 8 + 256
                e = {"kind": "end", "id": number, "why": text(m[8:])}
            with self.cond:
                self.log.append(e)
                self.cond.notify_all()

    def dial(self, number: int, serial: int, port: int, host: bytes) -> None:
        """As the gateway, which would judge that place."""
        place = text(host), port
        self.dials.append(place)
        to = self.places.get(place, "no rule forwards requests there")
        if to is None:
            return
        if isinstance(to, str):
            self.dialled(number, serial, None, to)
            return
        with socket.create_connection(to) as s:
            self.dialled(number, serial, s)

    def dialled(self, number: int, serial: int, s: socket.socket | None, why: str = "") -> None:
        m = struct.pack("=HHII256s", DIALLED, VERSION, number, serial, why.encode())
        if s:
            socket.send_fds(self.gateway, [m], [s.fileno()])
        else:
            self.gateway.send(m)

    def wait(self, what, seconds=60):
        """The first line of the log that fits."""
        until = time.monotonic() + seconds
        with self.cond:
            while True:
                for e in self.log:
                    if what(e):
                        return e
                left = until - time.monotonic()
                assert left > 0, self.log[-20:]
                self.cond.wait(left)

    def requests(self, least=1):
        """The requests that were judged; waits for so many."""
        until = time.monotonic() + 60
        with self.cond:
            while True:
                found = [e for e in self.log if e["kind"] == "request"]
                if len(found) >= least or time.monotonic() > until:
                    return found
                self.cond.wait(1)

    def end_of(self, number, seconds=60):
        return self.wait(lambda e: e["kind"] == "end" and e["id"] == number, seconds)["why"]

    def offer(self, client: socket.socket, server: socket.socket, host: str, port: int, tls: bool = True) -> int:
        self.next_id += 1
        m = struct.pack("=HHIIH254s", OFFER, VERSION, self.next_id, TLS if tls else 0, port, host.encode())
        assert len(m) == 268
        socket.send_fds(self.gateway, [m], [client.fileno(), server.fileno()])
        return self.next_id

    def sanitized(self) -> bool:
        """A build with sanitizers has more memory of its own, and keeps what was freed."""
        return b"__asan_init" in pathlib.Path(f"/proc/{self.process.pid}/exe").read_bytes()

    def bounded(self, now: int, most: int) -> bool:
        """Whether it has less memory than that."""
        return now < most or self.sanitized()

    def holds(self, text: bytes, pid: int | None = None) -> bool:
        """Whether that stands in its memory, or in that of a process of its own."""
        found, pid = False, pid or self.process.pid
        with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb", 0) as mem:
            for line in maps:
                a, b = (int(x, 16) for x in line.split(" ")[0].split("-"))
                if line.split(" ")[1].startswith("rw") and b - a < 1 << 32:  # what is larger is a sanitizer's shadow
                    mem.seek(a)
                    found = found or text in mem.read(b - a)
        return found

    def rss(self) -> int:
        """Bytes of memory that it has now."""
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        found = re.search(r"VmRSS:\s+(\d+)", status)
        assert found
        return int(found[1]) * 1024

    def peak(self) -> int:
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        found = re.search(r"VmHWM:\s+(\d+)", status)
        assert found
        return int(found[1]) * 1024

    def close(self) -> int:
        self.control.close()
        self.lines.close()
        try:
            return self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise
        finally:
            self.gateway.close()


def pump(a: socket.socket, b: socket.socket) -> None:
    """As the gateway: bytes from one to the other, then its end."""
    try:
        while True:
            data = a.recv(1 << 18)
            if not data:
                break
            b.sendall(data)
        b.shutdown(socket.SHUT_WR)
    except OSError:
        with contextlib.suppress(OSError):
            b.shutdown(socket.SHUT_RDWR)


class Door:
    """A port of this host whose connections go through bailey-keys to @server, as those of a gateway would."""

    ca: pathlib.Path
    trust: ssl.SSLContext
    sentinel: str

    def __init__(self, keys: Keys, host: str, server: tuple[str, int], tls: bool = True):
        self.keys, self.host, self.server, self.tls = keys, host, server, tls
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=200)
        self.port = self.listener.getsockname()[1]
        self.ids: list[int] = []
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            end = self.connect()
            threading.Thread(target=pump, args=(client, end), daemon=True).start()
            threading.Thread(target=pump, args=(end, client), daemon=True).start()

    def connect(self) -> socket.socket:
        """The client's end of a connection that was handed over."""
        ours, theirs = socket.socketpair()
        with socket.create_connection(self.server) as server, theirs:
            self.ids.append(self.keys.offer(theirs, server, self.host, self.port, self.tls))
        return ours

    def talk(self, context: ssl.SSLContext | None = None, timeout: float = 20, **kw):
        """The same with TLS on it."""
        s = self.connect()
        s.settimeout(timeout)
        return context.wrap_socket(s, server_hostname=self.host, **kw) if context else s

    def url(self, path="/"):
        return f"{'https' if self.tls else 'http'}://{self.host}:{self.port}{path}"

    def curl(self, *argv, path="/", ca=None, **kw):
        ca = ["--cacert", ca] if ca else []
        r = subprocess.run(["curl", "-sS", "-q", "--max-time", "60", "--resolve", f"{self.host}:{self.port}:127.0.0.1", *ca, *map(str, argv), self.url(path)],
                           capture_output=True, check=False, **kw)
        return r

    def close(self):
        self.listener.close()


def openssl(*argv, **kw):
    return subprocess.run(["openssl", *map(str, argv)], check=True, capture_output=True, **kw)


class Authority:
    """An authority of the tests, and certificates of it."""

    def __init__(self, where: pathlib.Path, name: str = "root"):
        self.where, self.name = where, name
        self.key, self.crt = where / f"{name}.key", where / f"{name}.crt"
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", f"/CN={name}", "-keyout", self.key, "-out", self.crt)

    def issue(self, name: str, names: str, days: int = 2):
        """@names: "DNS:a.test,IP:…"."""
        key, csr, crt, ext = (self.where / f"{name}.{e}" for e in ("key", "csr", "crt", "ext"))
        openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", f"/CN={name}", "-keyout", key, "-out", csr)
        ext.write_text(f"subjectAltName={names}\n")
        when = ["-days", str(days)] if days > 0 else ["-not_before", "20200101000000Z", "-not_after", "20210101000000Z"]
        if days > 0:
            openssl("x509", "-req", "-in", csr, "-CA", self.crt, "-CAkey", self.key, "-CAcreateserial", *when, "-extfile", ext, "-out", crt)
        else:
            index = self.where / f"{name}.index"
            index.write_text("")
            conf = self.where / f"{name}.cnf"
            conf.write_text(f"[ca]\ndefault_ca=x\n[x]\ndatabase={index}\nnew_certs_dir={self.where}\ndefault_md=sha256\npolicy=p\nrand_serial=yes\n[p]\ncommonName=supplied\n")
            openssl("ca", "-batch", "-config", conf, "-in", csr, "-cert", self.crt, "-keyfile", self.key, "-startdate", "20200101000000Z", "-enddate", "20210101000000Z",
                    "-extfile", ext, "-out", crt, "-notext")
        return crt, key
