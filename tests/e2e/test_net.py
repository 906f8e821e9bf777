# SPDX-License-Identifier: Apache-2.0
"""Loopback of its own, and no other way out: addresses, names, sockets of the host."""
import errno
import os
import socket
import threading

import pytest

from conftest import PYTHON, wait_for

PAIR = """
import os, socket, sys
family, address = (socket.AF_INET6, '::1') if sys.argv[1] == '6' else (socket.AF_INET, '127.0.0.1')
kind = socket.SOCK_DGRAM if sys.argv[2] == 'udp' else socket.SOCK_STREAM
server = socket.socket(family, kind)
server.bind((address, 0))
if kind == socket.SOCK_STREAM:
    server.listen()
if os.fork() == 0:
    client = socket.socket(family, kind)
    client.connect(server.getsockname()[:2])
    client.send(b'hello')
    os._exit(0 if client.recv(9) == b'HELLO' else 1)
server.settimeout(5)
if kind == socket.SOCK_STREAM:
    conn = server.accept()[0]
    conn.send(conn.recv(9).upper())
else:
    data, peer = server.recvfrom(9)
    server.sendto(data.upper(), peer)
print(os.waitstatus_to_exitcode(os.wait()[1]))
"""

CONNECT = """
import errno, socket, sys
family = {'4': socket.AF_INET, '6': socket.AF_INET6, 'u': socket.AF_UNIX}[sys.argv[1]]
s = socket.socket(family, socket.SOCK_STREAM)
s.settimeout(3)
where = ('\\0' + sys.argv[2][1:] if sys.argv[2][0] == '@' else sys.argv[2]) if family == socket.AF_UNIX else (sys.argv[2], int(sys.argv[3]))
try:
    s.connect(where)
    print('connected')
except socket.timeout:
    print('timeout')
except OSError as e:
    print(errno.errorcode[e.errno])
"""


@pytest.fixture
def echo_server():
    """Listeners of the host; a connection to one of them is an escape."""
    made, hits = [], []

    def serve(sock):
        while True:
            try:
                conn = sock.accept()[0]
            except OSError:
                return
            hits.append(1)
            conn.close()

    def listen(family, address):
        sock = socket.socket(family, socket.SOCK_STREAM)
        sock.bind(address)
        sock.listen()
        made.append(sock)
        threading.Thread(target=serve, args=(sock,), daemon=True).start()
        return sock.getsockname()

    yield listen, hits
    for sock in made:
        # close() alone does not wake accept()
        sock.shutdown(socket.SHUT_RDWR)
        sock.close()


@pytest.mark.parametrize("proto", ["tcp", "udp"])
@pytest.mark.parametrize("family", ["4", "6"])
def test_loopback_between_two_processes(run, family, proto):
    r = run([PYTHON, "-c", PAIR, family, proto])
    assert (r.rc, r.out) == (0, "0\n"), r


def test_only_loopback(run):
    r = run([PYTHON, "-c", "import socket; print([n for i, n in socket.if_nameindex()])"])
    assert r.out == "['lo']\n", r
    r = run("cat /proc/net/route | tail -n +2; cat /proc/net/dev | tail -n +3 | cut -d: -f1")
    assert r.out.split() == ["lo"]


@pytest.mark.parametrize(
    "family,address", [("4", "192.0.2.1"), ("4", "10.0.0.1"), ("4", "169.254.169.254"), ("4", "8.8.8.8"), ("6", "2001:db8::1"), ("6", "fe80::1")]
)
def test_no_way_out(run, family, address):
    r = run([PYTHON, "-c", CONNECT, family, address, "53"])
    assert r.out.strip() in ("ENETUNREACH", "EHOSTUNREACH", "EINVAL", "EADDRNOTAVAIL"), r
    assert r.secs < 20, "refused at once, not by time"


def test_names_do_not_resolve(run):
    code = "import socket\ntry: print(socket.getaddrinfo('example.com', 80))\nexcept OSError: print('no')"
    r = run([PYTHON, "-c", code])
    assert r.out == "no\n"
    assert r.secs < 5
    assert run([PYTHON, "-c", code.replace("example.com", "localhost")]).out != "no\n"


@pytest.mark.parametrize("family", ["4", "6"])
def test_host_loopback_is_unreachable(run, user, ws, echo_server, family):
    listen, hits = echo_server
    fam, address = (socket.AF_INET, "127.0.0.1") if family == "4" else (socket.AF_INET6, "::1")
    port = listen(fam, (address, 0))[1]
    # The control: outside it can be reached.
    assert user.exec([PYTHON, "-c", CONNECT, family, address, str(port)], cwd=ws).out == "connected\n"
    assert wait_for(lambda: len(hits) == 1)
    r = run([PYTHON, "-c", CONNECT, family, address, str(port)])
    assert r.out == "ECONNREFUSED\n", r
    assert len(hits) == 1


def test_host_abstract_socket_is_unreachable(run, user, ws, echo_server):
    listen, hits = echo_server
    name = f"bailey-e2e-{os.getpid()}-{user.name}"
    listen(socket.AF_UNIX, f"\0{name}")
    assert user.exec([PYTHON, "-c", CONNECT, "u", f"@{name}"], cwd=ws).out == "connected\n"
    r = run([PYTHON, "-c", CONNECT, "u", f"@{name}"])
    assert r.out.strip() in ("ECONNREFUSED", "EPERM"), r
    assert wait_for(lambda: len(hits) == 1) and len(hits) == 1


@pytest.mark.parametrize("where", ["outside", "ws"])
def test_host_path_socket_is_unreachable(run, user, ws, request, echo_server, where):
    listen, hits = echo_server
    path = request.getfixturevalue(where) / "sock"
    listen(socket.AF_UNIX, str(path))
    path.chmod(0o777)
    assert user.exec([PYTHON, "-c", CONNECT, "u", path], cwd=ws).out == "connected\n"
    for name in (str(path), "./" + os.path.relpath(path, ws)):
        r = run([PYTHON, "-c", CONNECT, "u", name])
        assert r.out.strip() in ("ECONNREFUSED", "EACCES", "ENOENT", "EPERM", "ENOTSOCK"), r
    # A second name for it makes no difference
    r = run(["sh", "-c", 'ln "$1" hard 2>/dev/null || cp -a "$1" hard 2>/dev/null; mv sock moved 2>/dev/null; for s in hard moved; do test -e $s && "$2" -c "$3" u ./$s; done; true', "sh", path, PYTHON, CONNECT])
    assert "connected" not in r.out, r
    assert wait_for(lambda: len(hits) == 1) and len(hits) == 1


@pytest.mark.parametrize("user", ["root"], indirect=True)  # /run can't be written by an ordinary user: the root case is the test
def test_host_socket_in_run_is_unreachable(run, user, ws, echo_server):
    listen, hits = echo_server
    path = f"/run/bailey-e2e-{os.getpid()}.sock"
    try:
        listen(socket.AF_UNIX, path)
        r = run([PYTHON, "-c", CONNECT, "u", path])
        assert r.out == "ENOENT\n", r
    finally:
        os.unlink(path)
    assert not hits


def test_own_unix_sockets_work(run):
    code = (
        "import os, socket, sys\n"
        "for name in ('./s', '/tmp/s', '\\0abstract'):\n"
        "    s = socket.socket(socket.AF_UNIX); s.bind(name); s.listen()\n"
        "    c = socket.socket(socket.AF_UNIX); c.connect(name); c.send(b'x')\n"
        "    assert s.accept()[0].recv(1) == b'x'\n"
        "for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_SEQPACKET):\n"
        "    a, b = socket.socketpair(socket.AF_UNIX, kind); a.send(b'y'); assert b.recv(1) == b'y'\n"
        "print('ok')\n"
    )
    r = run([PYTHON, "-c", code])
    assert r.out == "ok\n", r


def test_listener_inside_is_not_on_the_host(start, ws):
    code = (
        "import socket, time\n"
        "s = socket.socket(); s.bind(('0.0.0.0', 0)); s.listen()\n"
        "open('port.tmp', 'w').write(str(s.getsockname()[1]))\n"
        "import os; os.rename('port.tmp', 'port')\n"
        "s.settimeout(20); s.accept()[0].send(b'inside'); time.sleep(20)\n"
    )
    start([PYTHON, "-c", code])
    assert wait_for((ws / "port").exists)
    try:  # somebody of the host may have a port of that number by chance
        with socket.create_connection(("127.0.0.1", int((ws / "port").read_text())), timeout=2) as s:
            heard = s.recv(9)
    except OSError as e:
        assert e.errno == errno.ECONNREFUSED or isinstance(e, TimeoutError)
        heard = b""
    assert heard != b"inside"


@pytest.mark.parametrize(
    "args,expected",
    [
        ("socket.AF_PACKET, socket.SOCK_RAW, 0", errno.EAFNOSUPPORT),
        ("socket.AF_VSOCK, socket.SOCK_STREAM, 0", errno.EAFNOSUPPORT),
        ("38, socket.SOCK_SEQPACKET, 0", errno.EAFNOSUPPORT),  # AF_ALG
        ("socket.AF_NETLINK, socket.SOCK_RAW, 12", errno.EAFNOSUPPORT),  # netfilter
        ("socket.AF_INET, socket.SOCK_RAW, 1", None),
        ("socket.AF_INET6, socket.SOCK_RAW, 58", None),
    ],
)
def test_socket_families(run, args, expected):
    code = f"import socket\ntry: socket.socket({args}); print('made')\nexcept OSError as e: print(e.errno)"
    out = run([PYTHON, "-c", code]).out.strip()
    assert out == str(expected) if expected else out in (str(errno.EPERM), str(errno.EAFNOSUPPORT), str(errno.EACCES))


TRIED = "notice: the command tried the network, and this run has none"


@pytest.mark.parametrize("how", ["name", "address"])
def test_who_tried_the_network_hears_that_there_is_none(run, how):
    """A program says that a name was not found, or waits; nobody else would say why."""
    script = {"name": "import socket; socket.getaddrinfo('registry.example.org', 443)",
              "address": "import socket; socket.create_connection(('192.0.2.1', 443), 3)"}[how]  # fmt: skip
    r = run([PYTHON, "-c", script])
    assert r.rc == 1 and [line for line in r.err.splitlines() if TRIED in line and "(the default)" in line and "--allow-host HOST" in line], r
    r = run([PYTHON, "-c", script], "--network", "none")
    assert TRIED + " (--network)" in r.err, r
    assert TRIED not in run([PYTHON, "-c", f"try:\n    {script}\nexcept OSError: pass"]).err, "one that can do without"
    assert TRIED not in run([PYTHON, "-c", PAIR + "\nsys.exit(1)", "4", "tcp"]).err, "its own loopback"
    assert TRIED not in run(["false"]).err
    assert TRIED not in run([PYTHON, "-c", script], "--network", "deny").err


def test_a_denial_alone_gives_no_network(run):
    r = run(["true"], "--deny-host", "a.org")
    assert r.err == "bailey: notice: --deny-host 'a.org' has no effect: network none (the default); for all but what is denied: --network allow\n", r
    assert run(["true"], "--deny-host", "a.org", "--network", "allow").err == ""
