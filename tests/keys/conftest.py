# SPDX-License-Identifier: Apache-2.0
"""Servers for bailey-keys to talk to: real ones, each on a port of 127.0.0.1, with certificates of an authority of the tests."""
import contextlib
import pathlib
import shutil
import socket
import ssl
import subprocess
import sys
import threading
import time

import pytest

sys.dont_write_bytecode = True

from harness import Authority, Door, Keys, program  # noqa: E402

NGINX = """
daemon off; worker_processes 1; pid {where}/nginx.pid; error_log {where}/nginx-error.log; {user}
events {{ worker_connections 4096; }}
http {{
    access_log {where}/nginx.log;
    client_body_temp_path {where}/t1; proxy_temp_path {where}/t2; fastcgi_temp_path {where}/t3; uwsgi_temp_path {where}/t4; scgi_temp_path {where}/t5;
    client_max_body_size 0; http2_max_concurrent_streams 2000; keepalive_requests 100000;
    ssl_certificate {crt}; ssl_certificate_key {key};
    server {{
        listen 127.0.0.1:{port} ssl http2;
        root {where}/www;
        location = /who {{ default_type text/plain; return 200 "$request_method $host $request_uri $server_protocol $ssl_session_reused $http_x_a\\n"; }}
        location /back/ {{ proxy_pass http://127.0.0.1:{back}; proxy_http_version 1.1; proxy_request_buffering off; proxy_buffering off; }}
    }}
}}
"""


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as s:
        return s.getsockname()[1]


def wait_for(port: int) -> None:
    for _ in range(200):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)
    raise AssertionError(f"nobody listens on port {port}")


@pytest.fixture(scope="session")
def where(tmp_path_factory) -> pathlib.Path:
    return tmp_path_factory.mktemp("keys")


@pytest.fixture(scope="session")
def authority(where):
    return Authority(where)


@pytest.fixture(scope="session")
def web(authority):
    """Certificate and key of web.test."""
    return authority.issue("web", "DNS:web.test,DNS:*.wild.test,IP:192.0.2.7")


class Plain:
    """A server of HTTP/1.1 that answers as it is told: @answer gets the whole head, the socket, and the number of the request."""

    def __init__(self, answer, context: ssl.SSLContext | None = None):
        self.answer, self.context = answer, context
        self.heads: list[bytes] = []
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=100)
        self.address = self.listener.getsockname()
        self.errors: list[str] = []
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                s, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(s,), daemon=True).start()

    def serve(self, s):
        try:
            if self.context:
                s = self.context.wrap_socket(s, server_side=True)
            f = s.makefile("rb")
            while True:
                head = b""
                while not head.endswith(b"\r\n\r\n"):
                    line = f.readline()
                    if not line:
                        return
                    head += line
                self.heads.append(head)
                if self.answer(head, s, f) is False:
                    return
        except (OSError, ssl.SSLError) as e:
            self.errors.append(str(e))
        finally:
            with contextlib.suppress(OSError):
                s.close()

    def close(self):
        self.listener.close()


def length_of(head: bytes) -> int:
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return int(line.split(b":")[1])
    return 0


def echo(head, s, f):
    """What was asked, as the body; a body of the request is read first."""
    body = f.read(length_of(head))
    text = head + body
    s.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(text), b"" if head.startswith(b"HEAD ") else text))


def server_context(cert, alpn=(), **_):
    c = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    c.load_cert_chain(*cert)
    if alpn:
        c.set_alpn_protocols(list(alpn))
    return c


@pytest.fixture
def plain(web):
    """Makes servers; with TLS as web.test unless told otherwise."""
    made = []

    def make(answer=echo, tls=True, cert=web, **kw):
        made.append(Plain(answer, server_context(cert, **kw) if tls else None))
        return made[-1]

    yield make
    for s in made:
        s.close()


@pytest.fixture(scope="session")
def sink():
    """Behind nginx: counts what it gets, and says so."""

    def answer(head, s, f):
        n, chunked = 0, b"transfer-encoding: chunked" in head.lower()
        left = length_of(head)
        while chunked:
            size = int(f.readline(), 16)
            got = f.read(size)
            n += len(got)
            f.readline()
            if size == 0:
                break
        while not chunked and n < left:
            got = f.read(min(left - n, 1 << 20))
            if not got:
                return False
            n += len(got)
        text = b"%d\n" % n
        s.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(text), text))
        return True

    p = Plain(answer)
    yield p
    p.close()


@pytest.fixture(scope="session")
def nginx(where, web, sink):
    """HTTP/1.1 and HTTP/2 over TLS as web.test. Returns its address."""
    path = shutil.which("nginx", path="/usr/sbin:/usr/bin")
    assert path, "nginx is not installed: make deps-test"
    port = free_port()
    www = where / "www"
    www.mkdir()
    with open(www / "big", "wb") as f:
        f.truncate(100 << 20)
    (www / "small").write_text("small\n")
    where.chmod(0o755)
    conf = where / "nginx.conf"
    conf.write_text(NGINX.format(where=where, crt=web[0], key=web[1], port=port, back=sink.address[1], user="user root;"))
    child = subprocess.Popen([path, "-c", str(conf), "-p", str(where), "-e", str(where / "nginx-error.log")], stdin=subprocess.DEVNULL)
    wait_for(port)
    yield ("127.0.0.1", port)
    child.terminate()
    child.wait(10)


@pytest.fixture
def keys(authority):
    """Starts processes of it that trust the authority of the tests; each must end well."""
    made = []

    def make(rules=(), roots=None, **kw):
        k = Keys(rules, [authority.crt.read_text()] if roots is None else roots, **kw)
        made.append(k)
        return k

    yield make
    for k in made:
        assert k.process.poll() is None, "it has ended by itself"
        assert k.close() == 0


@pytest.fixture
def door(keys, tmp_path):
    """A port that leads to a server through bailey-keys; ca: a file with the sandbox's authority."""
    made: list[Door] = []

    def make(server, host="web.test", tls=True, **kw):
        d = Door(keys(**kw), host, getattr(server, "address", server), tls)
        d.ca = tmp_path / f"ca{len(made)}.pem"
        d.ca.write_text(d.keys.hello["ca"])
        d.trust = ssl.create_default_context(cadata=d.keys.hello["ca"])
        made.append(d)
        return d

    yield make
    for d in made:
        d.close()


@pytest.fixture
def command():
    """Starts a server that is a program; ends it."""
    children = []

    def start(*argv, port=None, **kw):
        children.append(subprocess.Popen([str(a) for a in argv], stdin=subprocess.PIPE, **kw))
        if port:
            wait_for(port)
        return children[-1]

    yield start
    for c in children:
        c.kill()
        c.communicate()


@pytest.fixture
def secret_store(tmp_path):
    """Keeps a secret of web.test, "mine"; returns what a process is told about it."""
    state = tmp_path / "bound"
    state.mkdir(mode=0o700)

    def keep(*words, value="canary-0123456789abcdefghijkl"):
        r = subprocess.run([program(), "secret", str(state), "set", "mine", "--host", "web.test", *words], input=value.encode(), capture_output=True, check=False)
        assert r.returncode == 0, r.stderr
        return {"store": str(state), "secrets": ["mine"]}

    return keep
