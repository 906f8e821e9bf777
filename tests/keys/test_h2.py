# SPDX-License-Identifier: Apache-2.0
"""HTTP/2 through bailey-keys: real servers and clients, streams by the thousand, flow control, and clients and servers that break its rules."""
import concurrent.futures
import contextlib
import socket
import ssl
import struct
import subprocess
import threading
import time

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.settings
import pytest

from conftest import server_context


def trust(d, *alpn):
    context = ssl.create_default_context(cadata=d.keys.hello["ca"])
    context.set_alpn_protocols(list(alpn or ("h2",)))
    return context


class Client:
    """One connection of python-h2, that can be made to say anything."""

    def __init__(self, d, settings=None):
        self.sock = d.talk(trust(d))
        assert self.sock.selected_alpn_protocol() == "h2"
        self.d = d
        self.h2 = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True, header_encoding="utf-8", validate_outbound_headers=False,
                                                                       normalize_outbound_headers=False))
        self.h2.initiate_connection()
        self.flush()
        self.events: list = []

    def flush(self):
        self.sock.sendall(self.h2.data_to_send())

    def fields(self, path="/", method="GET", authority=None, *more):
        return [(":method", method), (":scheme", "https"), (":authority", authority or f"web.test:{self.d.port}"), (":path", path), *more]

    def ask(self, fields, end=True):
        sid = self.h2.get_next_available_stream_id()
        self.h2.send_headers(sid, fields, end_stream=end)
        self.flush()
        return sid

    def read(self, until, seconds=60):
        """Events up to the first that fits; data is taken at once."""
        self.sock.settimeout(seconds)
        while True:
            for i, e in enumerate(self.events):
                if until(e):
                    del self.events[:i + 1]
                    return e
            self.events = [e for e in self.events if not isinstance(e, h2.events.DataReceived)]
            data = self.sock.recv(1 << 16)
            assert data, "the connection is closed"
            for e in self.h2.receive_data(self.without_goaway(data)):
                if isinstance(e, h2.events.DataReceived):
                    self.body[e.stream_id] = self.body.get(e.stream_id, b"") + e.data
                    if e.flow_controlled_length:
                        self.h2.acknowledge_received_data(e.flow_controlled_length, e.stream_id)
                self.events.append(e)
            self.flush()

    def without_goaway(self, data: bytes) -> bytes:
        """python-h2 takes no frame behind a GOAWAY, though streams go on."""
        self.rest += data
        good = b""
        while len(self.rest) >= 9 and len(self.rest) >= 9 + int.from_bytes(self.rest[:3], "big"):
            n = 9 + int.from_bytes(self.rest[:3], "big")
            if self.rest[3] == 7:
                self.goaway = struct.unpack(">II", self.rest[9:17])
            else:
                good += self.rest[:n]
            self.rest = self.rest[n:]
        return good

    rest = b""
    goaway: tuple | None = None
    body: dict[int, bytes] = {}

    def get(self, fields, end=True):
        """Status, fields and body of one request."""
        sid = self.ask(fields, end)
        return self.answer(sid)

    def answer(self, sid):
        self.body.pop(sid, None)
        head = self.read(lambda e: isinstance(e, (h2.events.ResponseReceived, h2.events.StreamReset)) and e.stream_id == sid)
        if isinstance(head, h2.events.StreamReset):
            return head.error_code, {}, b""
        if not any(isinstance(e, h2.events.StreamEnded) and e.stream_id == sid for e in self.events):
            self.read(lambda e: isinstance(e, (h2.events.StreamEnded, h2.events.StreamReset)) and e.stream_id == sid)
        fields = {(k if isinstance(k, str) else k.decode()): (v if isinstance(v, str) else v.decode()) for k, v in head.headers}
        return int(fields[":status"]), fields, self.body.pop(sid, b"")

    def close(self):
        self.sock.close()


class Hand:
    def __init__(self, conn, sock):
        self.conn, self.sock = conn, sock

    def __call__(self):
        self.sock.sendall(self.conn.data_to_send())


class Server:
    """One of python-h2 for every connection; @on(conn, event, flush) says what happens."""

    def __init__(self, web, on, settings=None):
        self.on, self.settings = on, settings
        self.context = server_context(web, alpn=("h2",))
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = self.listener.getsockname()
        self.requests: list = []
        self.socks: list = []
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                s, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(s,), daemon=True).start()

    def serve(self, s):
        with contextlib.suppress(OSError, ssl.SSLError):
            s = self.context.wrap_socket(s, server_side=True)
            self.socks.append(s)
            conn = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False, header_encoding="utf-8", validate_outbound_headers=False))
            if self.settings:
                conn.local_settings = h2.settings.Settings(client=False, initial_values={**dict(conn.local_settings), **self.settings})
            conn.initiate_connection()
            s.sendall(conn.data_to_send())
            while s.fileno() >= 0:
                data = s.recv(1 << 16)
                if not data:
                    return
                for e in conn.receive_data(data):
                    if isinstance(e, h2.events.RequestReceived):
                        self.requests.append(dict(e.headers))
                    self.on(conn, e, Hand(conn, s))
                s.sendall(conn.data_to_send())

    def close(self):
        self.listener.close()
        for s in self.socks:
            with contextlib.suppress(OSError):
                s.close()


@pytest.fixture
def server(web):
    made = []

    def make(on=None, **kw):
        made.append(Server(web, on or hello, **kw))
        return made[-1]

    yield make
    for s in made:
        s.close()


def hello(conn, e, flush):
    if isinstance(e, h2.events.RequestReceived):
        conn.send_headers(e.stream_id, [(":status", "200")])
        conn.send_data(e.stream_id, b"hello", end_stream=True)


def test_curl_and_nginx(door, nginx):
    d = door(nginx)
    r = d.curl("--http2", "-w", "%{http_version}", path="/who?x=1", ca=d.ca)
    assert r.stdout.decode() == "GET web.test /who?x=1 HTTP/2.0 . \n2", r
    r = d.curl("--http1.1", "-w", "%{http_version}", path="/who", ca=d.ca)
    assert r.stdout.decode() == "GET web.test /who HTTP/1.1 r \n1.1", r
    r = d.curl("--http2", "-I", path="/small", ca=d.ca)
    assert b"HTTP/2 200" in r.stdout and b"content-length: 6" in r.stdout, r
    assert [e["target"] for e in d.keys.requests(3)] == ["/who?x=1", "/who", "/small"]


def test_rules_are_the_same(door, nginx):
    d = door(nginx, rules=[{"host": "web.test", "requests": [
        {"path": "/fixed", "action": {"response": {"status": 201, "headers": {"X-A": "b"}, "body": "fixed\n"}}},
        {"path": "/who", "action": {"headers": {"X-A": "set", "User-Agent": None}}}, {"path": {"startsWith": "/back/"}}]}])
    r = d.curl("--http2", path="/who", ca=d.ca)
    assert r.stdout == b"GET web.test /who HTTP/2.0 . set\n", r
    r = d.curl("--http2", "-i", path="/small", ca=d.ca)
    assert b"HTTP/2 403" in r.stdout and b"x-bailey: denied" in r.stdout and b"bailey: no entry" in r.stdout, r
    r = d.curl("--http2", "-i", path="/fixed", ca=d.ca)
    assert b"HTTP/2 201" in r.stdout and b"x-a: b" in r.stdout and r.stdout.endswith(b"fixed\n"), r
    # a body that nobody wants
    r = d.curl("--http2", "--data-binary", "@-", path="/no", ca=d.ca, input=bytes(3000000))
    assert b"bailey: no entry" in r.stdout, r
    r = d.curl("--http2", "--data-binary", "@-", path="/back/x", ca=d.ca, input=bytes(3000000))
    assert r.stdout == b"3000000\n", r


@pytest.mark.parametrize("http", ["--http1.1", "--http2"])
def test_100_megabytes_each_way(door, nginx, tmp_path, http):
    d = door(nginx)
    d.curl(http, path="/small", ca=d.ca)
    before = d.keys.peak()
    r = d.curl(http, "-o", "/dev/null", "-w", "%{size_download}", path="/big", ca=d.ca)
    assert r.stdout == b"%d" % (100 << 20), r
    big = tmp_path / "big"
    with open(big, "wb") as f:
        f.truncate(100 << 20)
    r = d.curl(http, "-T", big, path="/back/put", ca=d.ca)
    assert r.stdout == b"%d\n" % (100 << 20), r
    assert d.keys.bounded(d.keys.peak() - before, 6 << 20), "a window of each direction is all that is held"


@pytest.mark.parametrize("http", ["--http1.1", "--http2"])
def test_a_client_that_reads_nothing_is_not_read_for(door, nginx, http):
    """What a slow reader has not taken stays with the server."""
    d = door(nginx)
    d.curl(http, path="/small", ca=d.ca)
    before = d.keys.rss()
    curls = [subprocess.Popen(["curl", "-sS", "-q", http, "--limit-rate", "20k", "--max-time", "5", "-o", "/dev/null", "--resolve", f"web.test:{d.port}:127.0.0.1", "--cacert", str(d.ca),
                               d.url("/big")], stderr=subprocess.DEVNULL) for _ in range(10)]
    time.sleep(3)
    each = (d.keys.peak() - before) / 10
    for c in curls:
        c.wait()
    assert d.keys.bounded(int(each), 3 << 20), each


def test_a_thousand_streams(door, nginx):
    d = door(nginx)
    r = subprocess.run(["h2load", "-n", "5000", "-c", "1", "-m", "1000", "--connect-to", f"127.0.0.1:{d.port}", d.url("/who")], capture_output=True, check=True, timeout=120)
    out = r.stdout.decode()
    assert "5000 succeeded, 0 failed" in out and "Application protocol: h2" in out, out
    assert len(d.keys.requests(5000)) == 5000


def test_a_thousand_streams_at_once(door, server):
    """All of them open at the same time: the server answers when the last one is there."""
    waiting = []

    def on(conn, e, flush):
        if isinstance(e, h2.events.RequestReceived):
            waiting.append(e.stream_id)
            if len(waiting) == 1000:
                for sid in waiting:
                    conn.send_headers(sid, [(":status", "204")], end_stream=True)

    d = door(server(on, settings={h2.settings.SettingCodes.MAX_CONCURRENT_STREAMS: 1000}))
    r = subprocess.run(["h2load", "-n", "1000", "-c", "1", "-m", "1000", "--connect-to", f"127.0.0.1:{d.port}", d.url("/")], capture_output=True, check=True, timeout=120)
    assert "1000 succeeded, 0 failed" in r.stdout.decode(), r.stdout
    assert len(waiting) == 1000
    assert d.keys.bounded(d.keys.rss(), 64 << 20)


def test_many_connections(door, nginx):
    d = door(nginx)
    r = subprocess.run(["h2load", "-n", "3000", "-c", "30", "-m", "20", "--connect-to", f"127.0.0.1:{d.port}", d.url("/small")], capture_output=True, check=True, timeout=120)
    assert "3000 succeeded, 0 failed" in r.stdout.decode(), r.stdout


def test_the_servers_number_of_streams_is_the_clients(door, server):
    d = door(server(settings={h2.settings.SettingCodes.MAX_CONCURRENT_STREAMS: 7}))
    c = Client(d)
    c.read(lambda e: isinstance(e, h2.events.RemoteSettingsChanged))
    assert c.h2.remote_settings.max_concurrent_streams == 7
    assert c.get(c.fields())[0] == 200
    c.close()
    d = door(server())
    c = Client(d)
    c.read(lambda e: isinstance(e, h2.events.RemoteSettingsChanged))
    assert c.h2.remote_settings.max_concurrent_streams <= 1024
    c.close()


def test_another_authority_is_421(door, server):
    s = server()
    d = door(s)
    c = Client(d)
    assert c.get(c.fields())[0] == 200, "the control"
    for authority in ("other.test", f"other.test:{d.port}", "web.test:1", "web.test", f"sub.web.test:{d.port}"):
        status, fields, body = c.get(c.fields(authority=authority))
        assert status == 421 and b"fronting" in body and fields["x-bailey"] == "denied", authority
    for authority in (f"user@web.test:{d.port}", "web.test:0x1bb", "[web.test]"):
        assert c.get(c.fields(authority=authority))[0] == 400, authority
    assert c.get([*c.fields(), ("host", "other.test")])[0] == 421
    assert c.get([*c.fields(), ("host", f"web.test:{d.port}")])[0] == 200
    assert c.get([(":method", "GET"), (":scheme", "http"), (":authority", f"web.test:{d.port}"), (":path", "/")])[0] == 421
    assert c.get([(":method", "GET"), (":scheme", "https"), (":path", "/"), ("host", f"web.test:{d.port}")])[0] == 200
    assert len(s.requests) == 3 and all("host" not in r for r in s.requests)
    c.close()


@pytest.mark.parametrize("method", ["TRACE", "TRACK"])
def test_trace_is_405(door, server, method):
    s = server()
    d = door(s)
    c = Client(d)
    assert c.get(c.fields(method=method))[0] == 405
    assert c.get(c.fields(method="PATCH"))[0] == 200, "the control"
    assert c.get([(":method", "CONNECT"), (":authority", f"web.test:{d.port}")])[0] == 405
    assert len(s.requests) == 1
    c.close()


BAD = {
    "two paths": lambda f: [*f, (":path", "/other")],
    "a pseudo field behind others": lambda f: [*f[:3], ("a", "b"), f[3]],
    "an unknown pseudo field": lambda f: [*f, (":other", "x")],
    "a status in a request": lambda f: [*f, (":status", "200")],
    "no path": lambda f: f[:3],
    "an empty path": lambda f: [*f[:3], (":path", "")],
    "no method": lambda f: f[1:],
    "capitals in a name": lambda f: [*f, ("X-Upper", "x")],
    "a line break in a value": lambda f: [*f, ("x-a", "b\r\nHost: other.test")],
    "a NUL in a value": lambda f: [*f, ("x-a", "b\0c")],
    "connection": lambda f: [*f, ("connection", "close")],
    "transfer-encoding": lambda f: [*f, ("transfer-encoding", "chunked")],
    "upgrade": lambda f: [*f, ("upgrade", "h2c")],
    "te other than trailers": lambda f: [*f, ("te", "gzip")],
    "a blank in the path": lambda f: [*f[:3], (":path", "/a b")],
    "a path that is a URL": lambda f: [*f[:3], (":path", "https://other.test/")],
    "a path without a slash": lambda f: [*f[:3], (":path", "a")],
    "a fragment": lambda f: [*f[:3], (":path", "/a#b")],
}


@pytest.mark.parametrize("name", BAD)
def test_malformed_requests(door, server, name):
    s = server()
    d = door(s)
    c = Client(d)
    assert c.get(c.fields())[0] == 200, "the control"
    got = c.get(BAD[name](c.fields()))[0]
    assert got in (400, h2.errors.ErrorCodes.PROTOCOL_ERROR, h2.errors.ErrorCodes.INTERNAL_ERROR), got
    assert c.get(c.fields("/after"))[0] == 200, "other streams live on"
    assert len(s.requests) == 2
    d.keys.wait(lambda e: e["kind"] == "request" and e["denied"] and e["status"] == 400)
    c.close()


def test_too_many_bytes(door, server):
    s = server()
    d = door(s)
    c = Client(d)
    assert c.get([*c.fields(), ("x-a", "b" * 30000)])[0] == 200, "the control"
    assert c.get([*c.fields(), ("x-a", "b" * 40000)])[0] == 431
    assert c.get([*c.fields(), *[(f"x-{i}", "b") for i in range(200)]])[0] == 431
    assert c.get(c.fields())[0] == 200
    assert len(s.requests) == 2
    c.close()


def test_no_preface_and_other_garbage(door, server):
    d = door(server())
    s = d.talk(trust(d))
    s.sendall(b"GET / HTTP/1.1\r\nHost: web.test\r\n\r\n")
    with contextlib.suppress(OSError, ssl.SSLError):
        while s.recv(1000):
            pass
    assert "HTTP/2" in d.keys.end_of(1)
    c = Client(d)
    c.sock.sendall(b"\xff" * 4000)
    with contextlib.suppress(OSError, ssl.SSLError, h2.exceptions.ProtocolError):
        while c.sock.recv(1000):
            pass
    assert "HTTP/2" in d.keys.end_of(2)


def test_bodies_and_trailers_both_ways(door, server):
    got: dict = {}

    def on(conn, e, flush):
        if isinstance(e, h2.events.RequestReceived):
            got["body"] = b""
        elif isinstance(e, h2.events.DataReceived):
            got["body"] += e.data
            conn.acknowledge_received_data(e.flow_controlled_length, e.stream_id)
        elif isinstance(e, h2.events.TrailersReceived):
            got["trailers"] = list(e.headers)
        elif isinstance(e, h2.events.StreamEnded):
            conn.send_headers(e.stream_id, [(":status", "103"), ("link", "x")])
            conn.send_headers(e.stream_id, [(":status", "200")])
            conn.send_data(e.stream_id, b"answer")
            conn.send_headers(e.stream_id, [("x-checked", "1")], end_stream=True)

    d = door(server(on))
    c = Client(d)
    sid = c.ask(c.fields("/", "POST"), end=False)
    c.h2.send_data(sid, b"question")
    c.h2.send_headers(sid, [("x-sum", "42")], end_stream=True)
    c.flush()
    interim = c.read(lambda e: isinstance(e, h2.events.InformationalResponseReceived))
    assert ("link", "x") in interim.headers
    assert c.read(lambda e: isinstance(e, h2.events.ResponseReceived))
    trailers = c.read(lambda e: isinstance(e, h2.events.TrailersReceived))
    assert list(trailers.headers) == [("x-checked", "1")] and c.body[sid] == b"answer"
    assert got == {"body": b"question", "trailers": [("x-sum", "42")]}
    c.close()


@pytest.mark.parametrize("own", [False, True], ids=["refused", "allowed"])
@pytest.mark.parametrize("name", ["authorization", "x-key", "x-api-key", "cookie"])
def test_trailers_that_authenticate_do_not_arrive(door, server, secret_store, name, own):
    got: list[str] = []

    def on(conn, e, flush):
        if isinstance(e, h2.events.TrailersReceived):
            got.extend(k for k, _ in e.headers)
            conn.send_headers(e.stream_id, [(":status", "200")], end_stream=True)

    d = door(server(on), own=["web.test"] if own else [], **secret_store("--header", "X-Key", "--env", "MY_KEY"))
    c = Client(d)
    for field, status in (("x-sum", 200), (name, 200 if own else 403)):
        sid = c.ask(c.fields("/take", "POST"), end=False)
        c.h2.send_data(sid, b"x")
        c.h2.send_headers(sid, [(field, "another")], end_stream=True)
        c.flush()
        assert c.answer(sid)[0] == status
    assert got == (["x-sum", name] if own else ["x-sum"])
    c.close()


VALUE = "canary-0123456789abcdefghijkl"  # of secret_store


@pytest.mark.parametrize("is_bound", [True, False], ids=["bound", "control"])
def test_hints_and_trailers_of_answers_are_scrubbed(door, server, secret_store, is_bound):
    def on(conn, e, flush):
        if isinstance(e, h2.events.RequestReceived):
            for fields in ([(":status", "103"), ("link", f"<{VALUE}>")], [(":status", "200")]):
                conn.send_headers(e.stream_id, fields)
            conn.send_headers(e.stream_id, [("grpc-message", f"no {VALUE}"), ("x-hex", VALUE.encode().hex())], end_stream=True)

    d = door(server(on), **(secret_store("--header", "X-Key", "--env", "MY_KEY") if is_bound else {}))
    shown = d.keys.hello["env"]["MY_KEY"] if is_bound else VALUE
    c = Client(d)
    c.ask(c.fields())
    hints = c.read(lambda e: isinstance(e, h2.events.InformationalResponseReceived))
    assert ("link", f"<{shown}>") in hints.headers
    trailers = dict(c.read(lambda e: isinstance(e, h2.events.TrailersReceived)).headers)
    assert trailers["grpc-message"] == f"no {shown}" and (trailers["x-hex"] == VALUE.encode().hex()) != is_bound
    c.close()


def test_trailers_that_are_refused_are_in_the_log(door, server, secret_store):
    d = door(server(lambda *_: None), **secret_store("--header", "X-Key", "--env", "MY_KEY"))
    c = Client(d)
    for name, lines in (("x-sum", 1), ("authorization", 3)):
        sid = c.ask(c.fields("/take", "POST"), end=False)
        c.h2.send_data(sid, b"x")
        c.h2.send_headers(sid, [(name, "Basic YTpi")], end_stream=True)
        c.flush()
        assert len(d.keys.requests(lines)) == lines
    assert c.answer(sid)[0] == 403
    assert [(e["status"], e["denied"], e["target"]) for e in d.keys.requests()] == [(0, 0, "/take"), (0, 0, "/take"), (403, 1, "/take")]
    assert "trailer authorization" in d.keys.requests()[2]["why"]
    c.close()


def test_resets_pass(door, server):
    events = []

    def on(conn, e, flush):
        events.append(e)
        if isinstance(e, h2.events.RequestReceived) and dict(e.headers)[":path"] == "/refuse":
            conn.reset_stream(e.stream_id, h2.errors.ErrorCodes.REFUSED_STREAM)
        elif isinstance(e, h2.events.RequestReceived) and dict(e.headers)[":path"] == "/begin":
            conn.send_headers(e.stream_id, [(":status", "200")])
            conn.send_data(e.stream_id, b"half")
            conn.reset_stream(e.stream_id, h2.errors.ErrorCodes.ENHANCE_YOUR_CALM)
        elif isinstance(e, h2.events.RequestReceived) and dict(e.headers)[":path"] == "/":
            hello(conn, e, flush)

    s = server(on)
    d = door(s)
    c = Client(d)
    assert c.get(c.fields("/refuse"))[0] == h2.errors.ErrorCodes.REFUSED_STREAM
    sid = c.ask(c.fields("/begin"))
    assert c.read(lambda e: isinstance(e, h2.events.StreamReset) and e.stream_id == sid).error_code == h2.errors.ErrorCodes.ENHANCE_YOUR_CALM
    sid = c.ask(c.fields("/wait", "POST"), end=False)
    while len(s.requests) < 3:
        time.sleep(0.05)
    c.h2.reset_stream(sid, h2.errors.ErrorCodes.CANCEL)
    c.flush()
    assert c.get(c.fields())[0] == 200
    resets = [e for e in events if isinstance(e, h2.events.StreamReset)]
    assert [e.error_code for e in resets] == [h2.errors.ErrorCodes.CANCEL]
    c.close()


def test_goaway_passes(door, server):
    def on(conn, e, flush):
        if isinstance(e, h2.events.RequestReceived):
            hello(conn, e, flush)
            if dict(e.headers)[":path"] == "/last":
                conn.close_connection()

    d = door(server(on))
    c = Client(d)
    assert c.get(c.fields())[0] == 200
    sid = c.ask(c.fields("/last"))
    assert c.answer(sid)[2] == b"hello"
    assert c.goaway == (sid, 0)
    assert d.keys.end_of(1) == ""


def test_a_server_that_goes(door, server):
    def on(conn, e, flush):
        if isinstance(e, h2.events.RequestReceived):
            path = dict(e.headers)[":path"]
            if path == "/begun":
                conn.send_headers(e.stream_id, [(":status", "200")])
                conn.send_data(e.stream_id, b"half")
                flush()
            if path == "/end":
                flush()
                flush.sock.close()
                raise OSError

    d = door(server(on))
    c = Client(d)
    begun, asked = c.ask(c.fields("/begun")), c.ask(c.fields("/asked"))
    c.read(lambda e: isinstance(e, h2.events.ResponseReceived) and e.stream_id == begun)
    c.ask(c.fields("/end"))
    kinds: dict = {}
    while len(kinds) < 2:
        e = c.read(lambda e: isinstance(e, (h2.events.ResponseReceived, h2.events.StreamReset)))
        if e.stream_id in (begun, asked):
            kinds[e.stream_id] = e
    assert isinstance(kinds[begun], h2.events.StreamReset)
    assert dict(kinds[asked].headers)[":status"] == "502"


@pytest.mark.parametrize("code", [0, 8], ids=["no-error", "cancel"])
@pytest.mark.parametrize("answered", [True, False], ids=["answered", "unanswered"])
def test_a_reset_that_comes_later_passes(door, server, code, answered):
    """Of the server, when its answer is with the client already, or never comes; and of the client."""
    conns: list = []
    events = []

    def on(conn, e, flush):
        events.append(e)
        if isinstance(e, h2.events.RequestReceived):
            conns.append((conn, e.stream_id, flush))
            if answered:
                conn.send_headers(e.stream_id, [(":status", "413")], end_stream=True)

    d = door(server(on))
    c = Client(d)
    sid = c.ask(c.fields("/", "POST"), end=False)
    if answered:
        assert c.answer(sid)[0] == 413
    else:
        assert wait(lambda: conns)
    time.sleep(0.3)
    conn, theirs, flush = conns[0]
    conn.reset_stream(theirs, code)
    flush()
    assert c.read(lambda e: isinstance(e, h2.events.StreamReset) and e.stream_id == sid).error_code == code
    sid = c.ask(c.fields("/", "POST"), end=False)
    assert wait(lambda: len(conns) == 2)
    c.h2.reset_stream(sid, code)
    c.flush()
    assert wait(lambda: any(isinstance(e, h2.events.StreamReset) for e in events))
    assert [e.error_code for e in events if isinstance(e, h2.events.StreamReset)] == [code]
    c.close()


def wait(what, seconds=60):
    until = time.monotonic() + seconds
    while not what() and time.monotonic() < until:
        time.sleep(0.05)
    return what()


def test_many_streams_to_a_bound_host(door, server, secret_store):
    """What is known of each is kept until it is over: so they are fewer, and within a bound."""
    def on(conn, e, flush):
        if isinstance(e, h2.events.RequestReceived) and dict(e.headers)[":path"] == "/now":
            hello(conn, e, flush)

    free, bound = door(server(on, settings={h2.settings.SettingCodes.MAX_CONCURRENT_STREAMS: 1000})), \
        door(server(on, settings={h2.settings.SettingCodes.MAX_CONCURRENT_STREAMS: 1000}), **secret_store("--header", "X-Key", "--env", "MY_KEY"))
    for d, most in ((free, 1000), (bound, 100)):
        c = Client(d)
        c.read(lambda e: isinstance(e, h2.events.RemoteSettingsChanged))
        assert c.h2.remote_settings.max_concurrent_streams == most
        before = d.keys.rss()
        key = ("x-key", d.keys.hello["env"]["MY_KEY"]) if d is bound else ("x-a", "b")
        open_ = [c.ask(c.fields("/", "POST", None, key, *[(f"x-{i}-{k}", "v" * 3000) for k in range(9)]), end=False) for i in range(98)]
        if d is bound:
            assert c.read(lambda e: isinstance(e, h2.events.StreamReset)).error_code == h2.errors.ErrorCodes.REFUSED_STREAM
        assert d.keys.bounded(d.keys.rss() - before, (10 if d is bound else 4) << 20), d.keys.rss() - before
        c.h2.reset_stream(open_[0], h2.errors.ErrorCodes.CANCEL)
        c.flush()
        assert wait(lambda: c.get(c.fields("/now"))[0] == 200), "the others are there"
        c.close()


def test_trailers_that_wait_are_no_more_than_their_bytes(door, server):
    d = door(server(lambda *_: None, settings={h2.settings.SettingCodes.MAX_CONCURRENT_STREAMS: 1000, h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: 0}))
    c = Client(d)
    c.read(lambda e: isinstance(e, h2.events.RemoteSettingsChanged))
    before = d.keys.rss()
    for _ in range(600):
        sid = c.ask(c.fields("/", "POST"), end=False)
        c.h2.send_data(sid, b"x")
        c.h2.send_headers(sid, [("x-sum", "1")], end_stream=True)
        c.flush()
    assert len(d.keys.requests(600)) == 600
    assert d.keys.bounded(d.keys.rss() - before, 16 << 20), d.keys.rss() - before
    c.close()


def test_an_early_answer_ends_the_upload(door, server):
    def on(conn, e, flush):
        if isinstance(e, h2.events.RequestReceived):
            conn.send_headers(e.stream_id, [(":status", "413")], end_stream=True)
            if dict(e.headers)[":method"] == "POST":
                conn.reset_stream(e.stream_id, h2.errors.ErrorCodes.NO_ERROR)

    d = door(server(on))
    c = Client(d)
    sid = c.ask(c.fields("/", "POST"), end=False)
    assert c.answer(sid)[0] == 413
    e = c.read(lambda e: isinstance(e, h2.events.StreamReset))
    assert e.error_code == h2.errors.ErrorCodes.NO_ERROR
    assert c.get(c.fields())[0] == 413, "the connection lives on"
    c.close()


def test_windows_are_opened_when_bytes_were_passed_on(door, server):
    """A server that takes nothing: the client can send a window and no more; when it takes, all comes."""
    state = {"held": 0, "got": 0, "take": False}

    def on(conn, e, flush):
        if isinstance(e, h2.events.DataReceived):
            state["got"] += len(e.data)
            if state["take"]:
                conn.acknowledge_received_data(e.flow_controlled_length, e.stream_id)
            else:
                state["held"] += e.flow_controlled_length
        elif isinstance(e, h2.events.PingReceived) or (isinstance(e, h2.events.RequestReceived) and dict(e.headers)[":path"] == "/take"):
            state["take"] = True
            conn.acknowledge_received_data(state["held"], 1)
            state["held"] = 0
        if isinstance(e, h2.events.StreamEnded):
            conn.send_headers(e.stream_id, [(":status", "204")], end_stream=True)

    d = door(server(on))
    c = Client(d)
    c.read(lambda e: isinstance(e, h2.events.RemoteSettingsChanged))
    sid = c.ask(c.fields("/", "POST"), end=False)
    assert sid == 1
    sent = 0

    def fill():
        nonlocal sent
        while c.h2.local_flow_control_window(sid) > 0 and sent < 4 << 20:
            n = min(c.h2.local_flow_control_window(sid), c.h2.max_outbound_frame_size, (4 << 20) - sent)
            c.h2.send_data(sid, bytes(n))
            sent += n
        c.flush()

    for _ in range(20):
        fill()
        c.sock.settimeout(0.2)
        with contextlib.suppress(TimeoutError):
            c.h2.receive_data(c.sock.recv(1 << 16))
    assert 500000 < sent < 700000, sent
    assert d.keys.bounded(d.keys.rss(), 20 << 20)
    c.ask(c.fields("/take"))
    while sent < 4 << 20:
        fill()
        c.sock.settimeout(10)
        c.h2.receive_data(c.sock.recv(1 << 16))
        c.flush()
    c.h2.end_stream(sid)
    c.flush()
    assert c.answer(sid)[0] == 204
    assert state["got"] == 4 << 20
    c.close()


def test_rapid_resets_are_bounded(door, server):
    d = door(server())
    c = Client(d)
    c.read(lambda e: isinstance(e, h2.events.RemoteSettingsChanged))
    with contextlib.suppress(OSError, ssl.SSLError):
        for _ in range(5000):
            sid = c.h2.get_next_available_stream_id()
            c.h2.send_headers(sid, c.fields(), end_stream=True)
            c.h2.reset_stream(sid, h2.errors.ErrorCodes.CANCEL)
            c.flush()
    assert d.keys.bounded(d.keys.rss(), 40 << 20)
    c.close()
    other = Client(d)
    assert other.get(other.fields())[0] == 200
    other.close()


def test_grpc(door, web):
    grpc = pytest.importorskip("grpc")
    pool = concurrent.futures.ThreadPoolExecutor(8)
    server = grpc.server(pool, options=(("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)))

    def both(requests, context):
        for r in requests:
            yield r * 2
        context.set_trailing_metadata((("x-end", "1"),))

    def fail(_, context):
        context.abort(grpc.StatusCode.NOT_FOUND, "no such thing")

    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("t.T", {
        "One": grpc.unary_unary_rpc_method_handler(lambda r, _: r[::-1]),
        "Down": grpc.unary_stream_rpc_method_handler(lambda r, _: (b"%d" % i for i in range(int(r)))),
        "Up": grpc.stream_unary_rpc_method_handler(lambda rs, _: b"%d" % sum(len(r) for r in rs)),
        "Both": grpc.stream_stream_rpc_method_handler(both),
        "Fail": grpc.unary_unary_rpc_method_handler(fail)}),))
    port = server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials([(web[1].read_bytes(), web[0].read_bytes())]))
    server.start()
    d = door(("127.0.0.1", port), rules=[{"host": "web.test", "requests": [{"method": "POST", "path": {"regex": "^/t\\.T/(One|Down|Up|Both|Fail)$"}}]}])
    options = (("grpc.ssl_target_name_override", "web.test"), ("grpc.default_authority", f"web.test:{d.port}"), ("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1))
    with grpc.secure_channel(f"127.0.0.1:{d.port}", grpc.ssl_channel_credentials(d.keys.hello["ca"].encode()), options) as channel:
        assert channel.unary_unary("/t.T/One")(b"abc", timeout=200) == b"cba"
        assert channel.unary_unary("/t.T/One")(bytes(5000000), timeout=200) == bytes(5000000)
        assert list(channel.unary_stream("/t.T/Down")(b"500", timeout=200)) == [b"%d" % i for i in range(500)]
        assert channel.stream_unary("/t.T/Up")(iter([bytes(10000)] * 300), timeout=200) == b"3000000"
        # each answer comes before the next question
        turn = threading.Semaphore(1)

        def questions():
            for i in range(20):
                assert turn.acquire(timeout=200)
                yield b"%d" % i

        call = channel.stream_stream("/t.T/Both")(questions(), timeout=200)
        got = []
        for r in call:
            got.append(r)
            turn.release()
        assert got == [b"%d%d" % (i, i) for i in range(20)]
        assert ("x-end", "1") in [(m.key, m.value) for m in call.trailing_metadata()]
        with pytest.raises(grpc.RpcError) as e:
            channel.unary_unary("/t.T/Fail")(b"", timeout=200)
        assert e.value.code() == grpc.StatusCode.NOT_FOUND and e.value.details() == "no such thing"
        with pytest.raises(grpc.RpcError) as e:
            channel.unary_unary("/t.T/Other")(b"", timeout=200)
        assert e.value.code() == grpc.StatusCode.PERMISSION_DENIED, "a 403"
    server.stop(None)


@pytest.mark.parametrize("is_bound", [True, False], ids=["bound", "control"])
def test_grpc_with_a_secret(door, web, secret_store, is_bound):
    grpc = pytest.importorskip("grpc")
    server, got = grpc.server(concurrent.futures.ThreadPoolExecutor(2)), []

    def one(request, context):
        got.append(dict(context.invocation_metadata()).get("x-key"))
        context.set_trailing_metadata((("x-end", f"<{VALUE}>"),))
        context.abort(grpc.StatusCode.NOT_FOUND, f"no {VALUE} here")

    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("t.T", {"One": grpc.unary_unary_rpc_method_handler(one)}),))
    port = server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials([(web[1].read_bytes(), web[0].read_bytes())]))
    server.start()
    d = door(("127.0.0.1", port), **(secret_store("--header", "X-Key", "--env", "MY_KEY") if is_bound else {}))
    key = d.keys.hello["env"]["MY_KEY"] if is_bound else VALUE
    options = (("grpc.ssl_target_name_override", "web.test"), ("grpc.default_authority", f"web.test:{d.port}"))
    with grpc.secure_channel(f"127.0.0.1:{d.port}", grpc.ssl_channel_credentials(d.keys.hello["ca"].encode()), options) as channel, pytest.raises(grpc.RpcError) as e:
        channel.unary_unary("/t.T/One")(b"abc", timeout=200, metadata=(("x-key", key),))
    assert e.value.code() == grpc.StatusCode.NOT_FOUND and e.value.details() == f"no {key} here" and got == [VALUE]
    assert ("x-end", f"<{key}>") in [(m.key, m.value) for m in e.value.trailing_metadata()]
    server.stop(None)


def test_hpack_of_the_server(door, web):
    """A table that grows and shrinks in the middle does not matter to the other side."""
    def on(conn, e, flush):
        if isinstance(e, h2.events.RequestReceived):
            conn.send_headers(e.stream_id, [(":status", "200"), ("x-n", "v" * 3000), (f"x-{e.stream_id}", "y")], end_stream=True)

    s = Server(web, on)
    d = door(s)
    c = Client(d)
    for _ in range(50):
        status, fields, _ = c.get(c.fields())
        assert status == 200 and fields["x-n"] == "v" * 3000
    c.close()
    s.close()
