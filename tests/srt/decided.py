# SPDX-License-Identifier: Apache-2.0
"""
`srt proxy` from outside: a decider, servers and raw clients, and one table of cases that both programs are asked (tests/e2e/test_srt_proxy.py asks ours, tests/full/test_srt_real.py
both). A decider is a function from a request's frame to what is said: dictionaries become frames, bytes go as they are, numbers are seconds to wait; None says nothing.
"""
import contextlib
import json
import os
import pathlib
import re
import select
import signal
import socket
import ssl
import stat
import struct
import subprocess
import tempfile
import threading
import time
from typing import Any, NamedTuple

TIMEOUT = 20


def frame(message) -> bytes:
    data = message if isinstance(message, bytes) else json.dumps(message).encode()
    return struct.pack(">I", len(data)) + data


def allow(request, **more):
    return {"t": "verdict", "id": request["id"], "action": "allow", **more}


def deny(request, status=403, **more):
    return {"t": "verdict", "id": request["id"], "action": "deny", "status": status, **more}


def need(request, most=1 << 20):
    return {"t": "verdict", "id": request["id"], "action": "need_body", "max": most}


def hello(allowed, denied=()):
    return {"t": "hello", "proto": 1, "allowedDomains": list(allowed), "deniedDomains": list(denied)}


class Decider(threading.Thread):
    """Its side of the link. @answer(frame) → a list of things to say."""

    def __init__(self, fd_in, fd_out, first, answer):
        super().__init__(daemon=True)
        self.fd_in, self.fd_out, self.first, self.answer = fd_in, fd_out, first, answer
        self.asked: list[dict] = []
        self.lock = threading.Lock()
        self.greeting: Any = None

    def say(self, things):
        for thing in things or ():
            if isinstance(thing, (int, float)):
                time.sleep(thing)
                continue
            data = thing if isinstance(thing, bytes) else frame(thing)
            with contextlib.suppress(OSError), self.lock:
                while data:
                    data = data[os.write(self.fd_out, data):]

    def read(self, n):
        data = bytearray()
        while len(data) < n:
            part = os.read(self.fd_in, min(n - len(data), 1 << 20))
            if not part:
                raise EOFError
            data += part
        return bytes(data)

    def run(self):
        try:
            while True:
                message = json.loads(self.read(struct.unpack(">I", self.read(4))[0]))
                if self.greeting is None:
                    self.greeting = message
                    self.say(self.first)
                    continue
                self.asked.append(message)
                things = self.answer(message)
                threading.Thread(target=self.say, args=(things,), daemon=True).start()
        except (EOFError, OSError, struct.error):
            pass

    def close(self):
        """The other end sees it at once, though the thread may be reading."""
        fds, self.fd_in, self.fd_out = {self.fd_in, self.fd_out} - {-1}, -1, -1
        for fd in fds:
            if stat.S_ISSOCK(os.fstat(fd).st_mode):
                with contextlib.suppress(OSError), socket.socket(fileno=os.dup(fd)) as s:
                    s.shutdown(socket.SHUT_RDWR)
            os.close(fd)


class Proxy:
    """PROGRAM proxy WORDS…, with a decider. The listener, the link and the lifeline are descriptors that it inherits."""

    def __init__(self, program, answer, first=None, hosts=(), words=(), ca=None, pipes=False, env=None, ids=None, listen=True, denied=()):
        self.listener = socket.create_server(("127.0.0.1", 0)) if listen else None
        self.port = self.listener.getsockname()[1] if self.listener else 0
        self.lifeline, theirs = os.pipe()[::-1]
        keep, closing = [theirs], [theirs]
        argv = [*map(str, program), "proxy", "--lifeline-fd", str(theirs)]
        if pipes:
            ours_in, out = os.pipe()
            its, ours_out = os.pipe()
            keep += [out, its]
            closing += [out, its]
            argv += ["--decider-in", str(its), "--decider-out", str(out)]
        else:
            a, b = socket.socketpair()
            ours_in = ours_out = a.detach()
            fd = b.detach()
            keep.append(fd)
            closing.append(fd)
            argv += ["--decider-fd", str(fd)]
        if self.listener:
            keep.append(self.listener.fileno())
            argv += ["--listen-fd", str(self.listener.fileno())]
        if ca:
            r, w = os.pipe()
            os.write(w, ca)
            os.close(w)
            keep.append(r)
            closing.append(r)
            argv += ["--ca-fd", str(r)]
        self.decider = Decider(ours_in, ours_out, [hello(hosts, denied)] if first is None else first, answer)
        self.decider.start()
        more = {} if ids is None else {"user": ids[0], "group": ids[1], "extra_groups": []}
        self.process = subprocess.Popen([*argv, *words], pass_fds=keep, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                        env={**os.environ, **(env or {})}, start_new_session=True, **more)
        for fd in closing:
            os.close(fd)
        self.err = ""

    def __enter__(self):
        self.until("serving")
        return self

    def until(self, text):
        """Read what it says until that comes."""
        end = time.monotonic() + TIMEOUT
        while text not in self.err:
            left = end - time.monotonic()
            assert self.process.stderr and left > 0 and select.select([self.process.stderr], [], [], left)[0], f"no '{text}': {self.err}"
            part = os.read(self.process.stderr.fileno(), 4096).decode()
            assert part, f"it has ended: {self.err}"
            self.err += part
        found = re.search(r"serving [^ ]*?:(\d+)\n", self.err)
        if found and not self.listener:
            self.port = int(found[1])

    def end(self):
        """Wait for it. Return: its status and all that it has said."""
        _, rest = self.process.communicate(timeout=TIMEOUT)
        self.err += rest
        return self.process.returncode, self.err

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            self.end()
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.end()
            raise
        finally:
            self.decider.close()
            os.close(self.lifeline)
            if self.listener:
                self.listener.close()

    def connect(self):
        s = socket.create_connection(("127.0.0.1", self.port), timeout=TIMEOUT)
        s.settimeout(TIMEOUT)
        return s


# --- clients ---


class Answer(NamedTuple):
    status: int | None  # None: the connection ended without an answer
    reason: str | None  # X-Deny-Reason
    fields: dict
    body: bytes


NONE = Answer(None, None, {}, b"")


def group(pgid) -> list[int]:
    """Processes of that group which have not ended; of those that nobody reaps there may be remains."""
    found = []
    for path in pathlib.Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            state, _, its = path.read_text().rpartition(")")[2].split()[:3]
            if int(its) == pgid and state != "Z":
                found.append(int(path.parent.name))
    return found


def read_answer(f, method="GET") -> Answer:
    """One answer, from a file of the connection."""
    try:
        line = f.readline()
        while line.startswith(b"HTTP/1.1 100"):
            f.readline()
            line = f.readline()
        if not line:
            return NONE
        status = int(line.split()[1])
        fields: dict = {}
        while (line := f.readline().rstrip(b"\r\n")):
            name, _, value = line.decode("latin-1").partition(":")
            fields.setdefault(name.lower(), []).append(value.strip())
        body = b""
        if method == "HEAD" or (method == "CONNECT" and status == 200):
            pass
        elif "chunked" in fields.get("transfer-encoding", [""])[0]:
            while (n := int(f.readline(), 16)):
                body += f.read(n)
                f.readline()
            f.readline()
        elif "content-length" in fields:
            body = f.read(int(fields["content-length"][0]))
        else:
            body = f.read()
        return Answer(status, fields.get("x-deny-reason", [None])[0], fields, body)
    except (ConnectionError, ValueError, IndexError, ssl.SSLError):
        return NONE


def say(s, data):
    """Send, to somebody who may have answered and gone."""
    with contextlib.suppress(ConnectionError, ssl.SSLError):
        s.sendall(data)


def ask(proxy, data, method="GET") -> Answer:
    with proxy.connect() as s, s.makefile("rb") as f:
        say(s, data)
        return read_answer(f, method)


def tunnel(proxy, target, trust, sni=None, alpn=("http/1.1",)):
    """CONNECT, then TLS. Return: the socket."""
    s = proxy.connect()
    say(s, f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n".encode())
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        part = s.recv(1)
        if not part:
            raise ConnectionError("no answer to CONNECT")
        head += part
    assert head.startswith(b"HTTP/1.1 200 "), head
    context = ssl.create_default_context(cafile=trust)
    context.check_hostname = False
    context.verify_flags &= ~getattr(ssl, "VERIFY_X509_STRICT", 0)
    if alpn:
        context.set_alpn_protocols(list(alpn))
    return context.wrap_socket(s, server_hostname=sni)


def ask_inside(proxy, target, trust, data, sni="localhost", method="GET") -> Answer:
    with tunnel(proxy, target, trust, sni) as s, s.makefile("rb") as f:
        say(s, data)
        return read_answer(f, method)


# --- servers ---


class Server(threading.Thread):
    """Answers every request of a connection with what it got, as JSON; /chunked, /until-end, /late, /strip, /cut and /nothing are told otherwise."""

    def __init__(self, context=None):
        super().__init__(daemon=True)
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.context = context
        self.got: list[dict] = []
        self.connections = 0
        self.start()

    def run(self):
        while True:
            try:
                s, _ = self.socket.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self.serve, args=(s,), daemon=True).start()

    def serve(self, s):
        with contextlib.suppress(OSError, ValueError, IndexError):
            if self.context:
                s = self.context.wrap_socket(s, server_side=True)
            with s, s.makefile("rb") as f:
                while self.one(s, f):
                    pass

    def one(self, s, f):
        line = f.readline()
        if not line:
            return False
        method, target, _ = line.decode("latin-1").split(" ", 2)
        fields: dict = {}
        while (row := f.readline().rstrip(b"\r\n")):
            name, _, value = row.decode("latin-1").partition(":")
            fields.setdefault(name.lower(), []).append(value.strip())
        body = b""
        if "chunked" in fields.get("transfer-encoding", [""])[0]:
            while (n := int(f.readline(), 16)):
                body += f.read(n)
                f.readline()
            f.readline()
        elif "content-length" in fields:
            body = f.read(int(fields["content-length"][0]))
        got = {"method": method, "target": target, "fields": fields, "body": len(body), "first": body[:64].decode("latin-1")}
        self.got.append(got)
        text = json.dumps(got).encode()
        if target.startswith("/chunked"):
            s.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-Trailer: 1\r\n\r\n")
        elif target.startswith("/until-end"):
            s.sendall(b"HTTP/1.1 200 OK\r\n\r\nto the end")
            return False
        elif target.startswith("/cut"):
            s.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this")
            return False
        elif target.startswith("/nothing"):
            return False
        elif target.startswith("/strip"):
            s.sendall(b"HTTP/1.1 200 OK\r\nX-Secret: 1\r\nX_Secret: 2\r\nX-Other: 3\r\nContent-Length: 2\r\n\r\nok")
        elif target.startswith("/late"):
            time.sleep(1.5)
            s.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nlate")
        else:
            s.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(text) if method != "HEAD" else 0, text if method != "HEAD" else b""))
        return True

    def close(self):
        self.socket.close()


class World:
    """Servers and authorities: two of TLS, of which one has a certificate for another name."""

    def __init__(self):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="bailey-srt-proxy-", dir="/var/tmp"))
        self.dir.chmod(0o755)
        self.make_ca("roots")
        self.make_ca("ends")
        self.make_leaf("good", "DNS:localhost,IP:127.0.0.1")
        self.make_leaf("bad", "DNS:other.test")
        self.ca = (self.dir / "ends.key").read_bytes() + (self.dir / "ends.crt").read_bytes()
        self.trust, self.roots = str(self.dir / "ends.crt"), str(self.dir / "roots.crt")
        self.plain, self.tls, self.wrong = Server(), Server(self.context("good")), Server(self.context("bad"))
        self.env = {"NODE_EXTRA_CA_CERTS": self.roots}
        with socket.create_server(("127.0.0.1", 0)) as s:
            self.closed = s.getsockname()[1]

    def call(self, *argv):
        subprocess.run(["openssl", *map(str, argv)], check=True, capture_output=True, timeout=60)

    def make_ca(self, name):
        d = self.dir
        self.call("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={name}", "-addext", "keyUsage=critical,keyCertSign,cRLSign",
                  "-keyout", d / f"{name}.key", "-out", d / f"{name}.crt")

    def make_leaf(self, name, names):
        d = self.dir
        self.call("req", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={name}", "-keyout", d / f"{name}.key", "-out", d / f"{name}.csr")
        (d / f"{name}.ext").write_text(f"subjectAltName={names}\n")
        self.call("x509", "-req", "-in", d / f"{name}.csr", "-CA", d / "roots.crt", "-CAkey", d / "roots.key", "-CAcreateserial", "-days", "2", "-extfile", d / f"{name}.ext",
                  "-out", d / f"{name}.crt")

    def context(self, name):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.dir / f"{name}.crt", self.dir / f"{name}.key")
        return context

    def close(self):
        for server in (self.plain, self.tls, self.wrong):
            server.close()
        for path in self.dir.iterdir():
            path.unlink()
        self.dir.rmdir()


# --- the table ---

BLANK = "GET {url}/echo HTTP/1.1\r\nHost: {host}\r\n\r\n"


class Case(NamedTuple):
    name: str
    data: str  # the request: {url}: of the server for a proxy, {host}: its Host
    status: int | None
    reason: str | None
    answer: Any = None  # of the decider; None: it allows
    inside: bool = False  # in a tunnel
    words: tuple = ()
    srt: tuple | None = None  # what srt answers where that is another thing: D34 of bailey-srt(1), or only less of a reason
    sni: str | None = "localhost"
    got: Any = None  # a check of what the server got: a function of its record
    ca: bool = True
    server: str = "plain"


def yes(request):
    return [allow(request)] if request["t"] == "req" else None


def body_then(verdict, most=1 << 20):
    """need_body, then that."""
    return lambda m: [need(m, most)] if m["t"] == "req" else [verdict(m)]


def post(body, more="", target="{url}/echo", method="POST"):
    return f"{method} {target} HTTP/1.1\r\nHost: {{host}}\r\nContent-Length: {len(body)}\r\n{more}\r\n{body}"


def chunks(*parts, method="POST", target="{url}/echo"):
    return f"{method} {target} HTTP/1.1\r\nHost: {{host}}\r\nTransfer-Encoding: chunked\r\n\r\n" + "".join(f"{len(p):x}\r\n{p}\r\n" for p in parts) + "0\r\n\r\n"


def fields(**wanted):
    """The server got exactly these values of a field; None: none."""
    names = {name.replace("__", "-"): value for name, value in wanted.items()}
    return lambda got: {n: got["fields"].get(n) for n in names} == names


SET = {"setHeaders": {"x-set": ["1"]}, "removeHeaders": ["x-gone"]}
BASIC = {"cred": "other", "credential": "tok"}

CASES = [
    # plain requests: what is asked for
    Case("plain", BLANK, 200, None, got=fields(host=["{host}"])),
    Case("plain-query", BLANK.replace("/echo", "/echo/%2e%2e/a?b=%41&c"), 200, None, got=lambda g: g["target"] == "/echo/%2e%2e/a?b=%41&c"),
    Case("plain-no-path", BLANK.replace("/echo", ""), 200, None, got=lambda g: g["target"] == "/"),
    Case("plain-dots", BLANK.replace("/echo", "/a/../b/./c"), 200, None, got=lambda g: g["target"] == "/a/../b/./c"),
    Case("plain-old", "GET {url}/echo HTTP/1.0\r\n\r\n", 200, None),
    Case("plain-head", "HEAD {url}/echo HTTP/1.1\r\nHost: {host}\r\n\r\n", 200, None),
    Case("plain-hop", BLANK.replace("\r\n\r\n", "\r\nConnection: x-a, close\r\nx-a: 1\r\nX_A: 2\r\nProxy-Authorization: b\r\nProxy_Authorization: c\r\nKeep.Alive: 1\r\nx-b: 3\r\n\r\n"), 200, None,
         got=fields(x__a=None, x_a=None, proxy__authorization=None, proxy_authorization=None, **{"keep.alive": None}, x__b=["3"])),
    Case("plain-upgrade", BLANK.replace("\r\n\r\n", "\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"), 200, None, got=fields(upgrade=None)),
    Case("plain-chunked-answer", BLANK.replace("/echo", "/chunked"), 200, None),
    Case("plain-until-end", BLANK.replace("/echo", "/until-end"), 200, None),
    Case("post", post("hello"), 200, None, got=lambda g: g["body"] == 5),
    Case("post-chunks", chunks("hello", "world"), 200, None, got=lambda g: g["body"] == 10),
    Case("get-with-a-body", post("hello", method="GET"), 200, None, got=lambda g: g["body"] == 5),
    # refused without asking
    Case("not-listed", "GET http://other.test/ HTTP/1.1\r\nHost: other.test\r\n\r\n", 403, "host_not_allowed"),
    Case("other-port", "GET http://127.0.0.1:1/ HTTP/1.1\r\nHost: 127.0.0.1:1\r\n\r\n", 403, "host_not_allowed"),
    Case("denied-host", "GET http://denied.test/ HTTP/1.1\r\nHost: denied.test\r\n\r\n", 403, "host_not_allowed"),
    Case("spelled-address", "GET http://0x7f.1:1/ HTTP/1.1\r\nHost: 0x7f.1:1\r\n\r\n", 403, "host_not_allowed"),
    Case("origin-form", "GET /echo HTTP/1.1\r\nHost: {host}\r\n\r\n", 400, "bad_request"),
    Case("other-scheme", "GET ftp://localhost/ HTTP/1.1\r\nHost: localhost\r\n\r\n", 400, "bad_request"),
    Case("user-info", "GET http://a@localhost/ HTTP/1.1\r\nHost: localhost\r\n\r\n", 400, "bad_request"),
    Case("underscore", "GET http://lo_cal/ HTTP/1.1\r\nHost: lo_cal\r\n\r\n", 400, "bad_request"),
    Case("two-slashes", BLANK.replace("/echo", "//echo"), 400, "bad_request"),
    Case("backslash", BLANK.replace("/echo", "/\\echo"), 400, "bad_request"),
    Case("fragment", BLANK.replace("/echo", "/echo#a"), 400, "bad_request"),
    Case("no-host", "GET {url}/echo HTTP/1.1\r\n\r\n", 400, "bad_request", srt=(400, None)),
    Case("empty-host", "GET {url}/echo HTTP/1.1\r\nHost:\r\n\r\n", 421, "misdirected"),
    Case("other-host", "GET {url}/echo HTTP/1.1\r\nHost: other.test\r\n\r\n", 421, "misdirected"),
    Case("host-without-port", "GET {url}/echo HTTP/1.1\r\nHost: localhost\r\n\r\n", 421, "misdirected"),
    Case("host-with-dot", BLANK.replace("Host: {host}", "Host: localhost.:{port}"), 421, "misdirected"),
    Case("two-hosts", BLANK.replace("\r\n\r\n", "\r\nHost: {host}\r\n\r\n"), 400, "bad_request", srt=(421, "misdirected")),
    Case("trace", BLANK.replace("GET", "TRACE"), 405, "method_refused"),
    Case("track", BLANK.replace("GET", "TRACK"), 405, "method_refused", srt=(400, "bad_request")),
    Case("many-fields", BLANK.replace("\r\n\r\n", "\r\n" + "a: b\r\n" * 191 + "\r\n"), 400, "bad_request"),
    Case("long-fields", BLANK.replace("\r\n\r\n", "\r\n" + f"a: {'b' * 30000}\r\n" * 3 + "\r\n"), 400, "bad_request"),
    Case("long-path", BLANK.replace("/echo", "/" + "a" * 8200), 400, "bad_request"),
    Case("control-in-a-field", BLANK.replace("\r\n\r\n", "\r\nx: a\x85b\r\n\r\n"), 400, "bad_request"),
    # smuggled
    Case("both-lengths", BLANK.replace("GET", "POST").replace("\r\n\r\n", "\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), 400, "bad_request"),
    Case("two-lengths", BLANK.replace("GET", "POST").replace("\r\n\r\n", "\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabc"), 400, "bad_request"),
    Case("odd-coding", BLANK.replace("GET", "POST").replace("\r\n\r\n", "\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n"), 400, "bad_request"),
    Case("blank-before-colon", BLANK.replace("\r\n\r\n", "\r\nX : 1\r\n\r\n"), 400, "bad_request"),
    Case("folded", BLANK.replace("\r\n\r\n", "\r\nX: 1\r\n 2\r\n\r\n"), 400, "bad_request"),
    Case("no-method", "\x16\x03\x01 / HTTP/1.1\r\n\r\n", 400, "bad_request"),
    # the decider's word
    Case("denied", BLANK, 451, "decider", lambda m: [deny(m, 451, reason="not today ☃")]),
    Case("denied-plainly", BLANK, 403, "decider", lambda m: [deny(m)]),
    Case("denied-body", post("x" * 100000), 403, "decider", lambda m: [deny(m)]),
    Case("set-on-plain", BLANK, 403, "plaintext_header_set", lambda m: [allow(m, **SET)]),
    Case("credential-on-plain", BLANK, 403, "plaintext_header_set", lambda m: [allow(m, **BASIC)]),
    Case("removed-on-plain", BLANK.replace("\r\n\r\n", "\r\nX_Gone: 1\r\nx.gone: 2\r\nx-kept: 3\r\n\r\n"), 200, None, lambda m: [allow(m, removeHeaders=["x-gone"])],
         got=fields(x_gone=None, **{"x.gone": None}, x__kept=["3"])),
    Case("set-on-plain-allowed", BLANK.replace("\r\n\r\n", "\r\nX_Set: 0\r\n\r\n"), 200, None, lambda m: [allow(m, **SET)], words=("--plaintext-header-set",), got=fields(x__set=["1"], x_set=None)),
    Case("value-beyond-latin", BLANK, 403, "denied", lambda m: [allow(m, setHeaders={"x-a": ["☃"]})], words=("--plaintext-header-set",)),
    # bodies
    Case("body-shown", post("hello"), 200, None, body_then(allow), got=lambda g: (g["body"], g["first"]) == (5, "hello")),
    Case("body-shown-chunks", chunks("hello", "world"), 200, None, body_then(allow), got=lambda g: (g["body"], g["first"]) == (10, "helloworld")),
    Case("body-cut", post("x" * 50000), 200, None, body_then(allow, 100), got=lambda g: g["body"] == 50000),
    Case("body-cut-chunks", chunks("x" * 300, "y" * 300), 200, None, body_then(allow, 350), got=lambda g: g["body"] == 600),
    Case("body-of-just-that", post("x" * 100), 200, None, body_then(allow, 100), got=lambda g: g["body"] == 100),
    Case("body-none", post(""), 200, None, body_then(allow)),
    Case("body-denied", post("hello"), 409, "decider", body_then(lambda m: deny(m, 409))),
    Case("body-denied-early", post("x" * 100).replace("x" * 100, "x"), 409, "decider", lambda m: [need(m), 0.3, deny(m, 409)]),
    Case("body-of-get", post("hello", method="GET"), 403, "bodyless_method_body", body_then(allow)),
    Case("body-of-get-chunks", chunks("hello", method="GET"), 403, "bodyless_method_body", body_then(allow)),
    Case("body-of-get-empty", chunks(method="GET"), 200, None, body_then(allow)),
    Case("body-waits-for-100", post("hello", "Expect: 100-continue\r\n"), 200, None, body_then(allow), got=lambda g: g["body"] == 5),
    # servers
    Case("nobody-there", BLANK, 502, None, server="closed"),
    Case("no-answer", BLANK.replace("/echo", "/nothing"), 502, None),
    Case("stripped", BLANK.replace("/echo", "/strip"), 200, None, words=("--strip-response-header", "x-secret")),
    # CONNECT
    Case("connect-not-listed", "CONNECT other.test:443 HTTP/1.1\r\nHost: other.test:443\r\n\r\n", 403, "host_not_allowed"),
    Case("connect-no-port", "CONNECT localhost HTTP/1.1\r\nHost: localhost\r\n\r\n", 400, "bad_request"),
    Case("connect-no-authority", "CONNECT localhost:443 HTTP/1.1\r\nHost: localhost:443\r\n\r\n", 403, "opaque_tunnel", ca=False),
    # inside
    Case("inside", "GET /echo HTTP/1.1\r\nHost: {host}\r\n\r\n", 200, None, inside=True, got=fields(host=["{host}"])),
    Case("inside-nameless", "GET /echo HTTP/1.1\r\nHost: {host}\r\n\r\n", 200, None, inside=True, sni=None),
    Case("inside-edited", "GET /echo HTTP/1.1\r\nHost: {host}\r\nX_Set: 0\r\nX.Gone: 1\r\nCookie: a=b\r\n\r\n", 200, None, lambda m: [allow(m, **SET)], inside=True,
         got=fields(x__set=["1"], x_set=None, **{"x.gone": None}, cookie=["a=b"])),
    Case("inside-several", "GET /echo HTTP/1.1\r\nHost: {host}\r\n\r\n", 200, None, lambda m: [allow(m, setHeaders={"x-set": ["1", "2"], "x-latin": ["é"]})], inside=True,
         got=lambda g: g["fields"].get("x-set") in (["1", "2"], ["1, 2"]) and g["fields"].get("x-latin") == ["\xe9"]),
    Case("inside-credential", "GET /echo HTTP/1.1\r\nHost: {host}\r\nAuthorization: mine\r\nCookie: a=b\r\nX_Api.Key: c\r\n\r\n", 200, None, lambda m: [allow(m, **BASIC)], inside=True,
         got=fields(authorization=["Bearer tok"], cookie=None, **{"x_api.key": None})),
    Case("inside-denied", "GET /echo HTTP/1.1\r\nHost: {host}\r\n\r\n", 418, "decider", lambda m: [deny(m, 418)], inside=True),
    Case("inside-post", post("hello", target="/echo"), 200, None, body_then(allow), inside=True, got=lambda g: g["body"] == 5),
    Case("inside-other-name", "GET /echo HTTP/1.1\r\nHost: {host}\r\n\r\n", 421, "misdirected", inside=True, sni="other.test"),
    Case("inside-other-host", "GET /echo HTTP/1.1\r\nHost: other.test\r\n\r\n", 421, "misdirected", inside=True),
    Case("inside-absolute", "GET https://{host}/echo HTTP/1.1\r\nHost: {host}\r\n\r\n", 400, "bad_request", inside=True),
    Case("inside-asterisk", "OPTIONS * HTTP/1.1\r\nHost: {host}\r\n\r\n", 400, "bad_request", inside=True),
    Case("inside-trace", "TRACE / HTTP/1.1\r\nHost: {host}\r\n\r\n", 405, "method_refused", inside=True),
    Case("inside-upgrade", "GET / HTTP/1.1\r\nHost: {host}\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n", None, None, inside=True),
    Case("inside-both-lengths", "POST / HTTP/1.1\r\nHost: {host}\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400, "bad_request", inside=True),
    Case("inside-wrong-certificate", "GET /echo HTTP/1.1\r\nHost: {host}\r\n\r\n", 502, None, inside=True, server="wrong"),
    Case("inside-nobody-there", "GET /echo HTTP/1.1\r\nHost: {host}\r\n\r\n", 502, None, inside=True, server="closed"),
    Case("https-from-outside", "GET https://localhost:{port}/echo HTTP/1.1\r\nHost: {host}\r\n\r\n", 200, None, server="tls", got=fields(host=["{host}"])),
]


def run(program, case, world, ids=None):
    """(what the client was told, what the server got, what the decider was asked)."""
    kind = case.server if not (case.inside and case.server == "plain") else "tls"
    server = None if kind == "closed" else getattr(world, kind)
    port = server.port if server else world.closed
    host = f"localhost:{port}"
    data = case.data.replace("{url}", f"http://{host}").replace("{host}", host).replace("{port}", str(port)).encode("latin-1", "replace")
    method = data.split(b" ", 1)[0].decode("latin-1")
    before = len(server.got) if server else 0
    with Proxy(program, case.answer or yes, hosts=["localhost", f"127.0.0.1:{port}", "denied.test"], denied=["denied.test"], words=case.words, ca=world.ca if case.ca else None, env=world.env,
               ids=ids) as proxy:
        if case.inside:
            try:
                told = ask_inside(proxy, host, world.trust, data, case.sni, method)
            except (ConnectionError, ssl.SSLError) as e:
                told = NONE._replace(body=str(e).encode())
        else:
            told = ask(proxy, data, method)
        asked = list(proxy.decider.asked)
    return told, server.got[before:] if server else [], asked, host


def check(case, got, host):
    """Whether the server got what it should; a case's {host} is known now."""
    return case.got is None or (len(got) == 1 and case.got(json.loads(json.dumps(got[0]).replace(host, "{host}"))))
