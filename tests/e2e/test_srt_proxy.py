# SPDX-License-Identifier: Apache-2.0
"""`srt proxy`: real deciders over sockets and pipes, real servers, real clients. tests/srt/decided.py has them, and the table that tests/full asks the original, too."""
import errno
import base64
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time

import pytest
from conftest import BAILEY, PROJECT, skip

sys.path.insert(0, str(PROJECT / "tests" / "srt"))
import decided  # noqa: E402
from decided import NONE, Proxy, allow, ask, ask_inside, deny, frame, hello, need, read_answer, say, tunnel, yes  # noqa: E402

PROGRAM = [BAILEY, "srt"]


@pytest.fixture(scope="module")
def world():
    w = decided.World()
    yield w
    w.close()


@pytest.fixture
def start(user, world):
    """A proxy as this caller, with the servers' hosts allowed."""

    def begin(answer=yes, **more):
        return Proxy(PROGRAM, answer, **{"hosts": ["localhost", "127.0.0.1"], "ca": world.ca, "env": {**world.env, "HOME": str(user.home)}, "ids": (user.uid, user.gid), **more})

    return begin


def get(server, path="/echo", more=""):
    return f"GET http://localhost:{server.port}{path} HTTP/1.1\r\nHost: localhost:{server.port}\r\n{more}\r\n".encode()


def inner(server, path="/echo", more=""):
    return f"GET {path} HTTP/1.1\r\nHost: localhost:{server.port}\r\n{more}\r\n".encode()


@pytest.mark.parametrize("case", decided.CASES, ids=lambda c: c.name)
def test_table(case, user, world):
    told, got, asked, host = decided.run(PROGRAM, case, world, (user.uid, user.gid))
    assert (told.status, told.reason) == (case.status, case.reason), told
    assert decided.check(case, got, host), got
    decides = case.status == 200 or case.answer or (case.status == 502)
    assert bool(asked) == bool(decides), asked
    if case.status != 200 and case.name != "no-answer":
        assert not got


# --- what the decider is asked ---


def test_a_request_is_told_whole(start, world):
    with start() as p:
        port = world.tls.port
        data = f"POST /a%20b?q=1&r HTTP/1.1\r\nHost: LOCALHOST:{port}\r\nContent-Length: 2\r\nX-A: 1\r\nx-a: 2\r\nX-Latin: \xe9\r\n\r\nhi".encode("latin-1")
        assert ask_inside(p, f"LocalHost:{port}", world.trust, data).status == 200
        assert ask(p, get(world.plain)).status == 200
        first, second = p.decider.asked
    assert p.decider.greeting == {"t": "hello", "proto": 1}
    assert first == {"t": "req", "id": 1, "method": "POST", "host": "localhost", "port": port, "hostHeader": f"LOCALHOST:{port}", "sni": "localhost", "path": "/a%20b", "query": "q=1&r",
                     "headers": {"content-length": ["2"], "x-a": ["1", "2"], "x-latin": ["\xe9"]}}
    assert second == {"t": "req", "id": 2, "method": "GET", "host": "localhost", "port": world.plain.port, "hostHeader": f"localhost:{world.plain.port}", "path": "/echo"}


@pytest.mark.parametrize("size, most, cut", [(5, 100, False), (100, 100, False), (101, 100, True), (3 << 20, 2 << 20, True), (3 << 20, 32 << 20, False), (0, 1, False)])
def test_a_body_is_shown_up_to_what_is_asked_for(start, world, size, most, cut):
    body = os.urandom(size)
    with start(decided.body_then(allow, most)) as p:
        url = f"http://localhost:{world.plain.port}/echo"
        told = ask(p, f"POST {url} HTTP/1.1\r\nHost: localhost:{world.plain.port}\r\nContent-Length: {size}\r\n\r\n".encode() + body)
        _, shown = p.decider.asked
    assert told.status == 200 and json.loads(told.body)["body"] == size
    assert shown.pop("cut", False) is cut
    assert base64.b64decode(shown["data"]) == body[:most] and set(shown) == {"t", "id", "data"}


def test_nothing_is_dialled_before_an_allow(start, world):
    before = world.plain.connections
    with start(lambda m: [0.5, deny(m)]) as p:
        assert ask(p, get(world.plain)).reason == "decider"
        assert ask_inside(p, f"localhost:{world.tls.port}", world.trust, inner(world.tls)).reason == "decider"
    assert world.plain.connections == before
    with start() as p:  # the twin
        assert ask(p, get(world.plain)).status == 200
    assert world.plain.connections == before + 1


def test_reasons_are_the_answers(start, world):
    with start(lambda m: [deny(m, 451, reason="not today ☃")]) as p:
        told = ask(p, get(world.plain))
    assert told.body == "not today ☃\n".encode() and told.fields["content-type"][0].startswith("text/plain")


def test_a_token_of_github_is_for_its_git(start):
    """As far as it can be seen from here: the host is not dialled, its class alone makes no difference elsewhere."""
    with start(lambda m: [allow(m, cred="github", credential="tok")], hosts=["localhost"]) as p:
        assert p.process.poll() is None


# --- connections ---


def test_connections_are_kept(start, world):
    before = world.tls.connections
    with start() as p, tunnel(p, f"localhost:{world.tls.port}", world.trust, "localhost") as s, s.makefile("rb") as f:
        for _ in range(3):
            say(s, inner(world.tls))
            assert read_answer(f).status == 200
    assert world.tls.connections == before + 1
    with start() as p, p.connect() as s, s.makefile("rb") as f:
        for server in (world.plain, world.plain):
            say(s, get(server))
            assert read_answer(f).status == 200
        say(s, get(world.plain, "/until-end"))
        assert read_answer(f).body == b"to the end"
        say(s, b"GET http://other.test/ HTTP/1.1\r\nHost: other.test\r\n\r\n")
        assert read_answer(f).reason == "host_not_allowed"
        say(s, get(world.plain))
        assert read_answer(f).status == 200


def test_each_of_many_requests_is_asked_about(start, world):
    """Pipelined: the second is not decided with the first."""
    with start(lambda m: [allow(m) if m["id"] == 1 else deny(m)]) as p, p.connect() as s, s.makefile("rb") as f:
        say(s, get(world.plain) + get(world.plain, "/second"))
        assert read_answer(f).status == 200
        assert read_answer(f).reason == "decider"
        assert [m["path"] for m in p.decider.asked] == ["/echo", "/second"]


def test_a_body_that_goes_on_is_no_request(start, world):
    """What stands behind the length is the next request, judged as such."""
    hidden = b"GET http://other.test/ HTTP/1.1\r\nHost: other.test\r\n\r\n"
    with start() as p, p.connect() as s, s.makefile("rb") as f:
        say(s, f"POST http://localhost:{world.plain.port}/echo HTTP/1.1\r\nHost: localhost:{world.plain.port}\r\nContent-Length: 2\r\n\r\nhi".encode() + hidden)
        assert json.loads(read_answer(f).body)["body"] == 2
        assert read_answer(f).reason == "host_not_allowed"


def test_a_client_that_sends_its_hello_with_connect(start, world):
    with start() as p:
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        context = ssl.create_default_context(cafile=world.trust)
        tls = context.wrap_bio(incoming, outgoing, server_hostname="localhost")
        with pytest.raises(ssl.SSLWantReadError):
            tls.do_handshake()
        with p.connect() as s:
            target = f"localhost:{world.tls.port}"
            say(s, f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n".encode() + outgoing.read())
            head = b""
            while not head.endswith(b"\r\n\r\n"):
                head += s.recv(1)
            while True:
                try:
                    tls.do_handshake()
                    break
                except ssl.SSLWantReadError:
                    s.sendall(outgoing.read())
                    incoming.write(s.recv(65536))
            tls.write(inner(world.tls))
            s.sendall(outgoing.read())
            got = b""
            while b'"target"' not in got:
                incoming.write(s.recv(65536))
                try:
                    got += tls.read(65536)
                except ssl.SSLWantReadError:
                    pass
            assert got.startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("first", [b"SSH-2.0-x\r\n", b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x09", b"\x16", b""])
def test_what_is_no_tls_ends(start, world, first):
    with start() as p, p.connect() as s:
        target = f"localhost:{world.tls.port}"
        say(s, f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n".encode())
        assert s.recv(100).startswith(b"HTTP/1.1 200 ")
        say(s, first)
        try:
            s.shutdown(socket.SHUT_WR)
            assert s.recv(100) == b""
        except OSError as e:
            assert e.errno in (errno.ECONNRESET, errno.ENOTCONN), e  # it has ended first
        assert not p.decider.asked


def test_the_protocol_is_http_1(start, world):
    target = f"localhost:{world.tls.port}"
    with start() as p:
        with tunnel(p, target, world.trust, "localhost", ("h2", "http/1.1")) as s:
            assert s.selected_alpn_protocol() == "http/1.1"
        with tunnel(p, target, world.trust, "localhost", ()) as s, s.makefile("rb") as f:
            say(s, inner(world.tls))
            assert read_answer(f).status == 200
        with pytest.raises(ssl.SSLError):
            tunnel(p, target, world.trust, "localhost", ("h2",))


def test_the_certificate_is_the_targets(start, world):
    """Whatever name is asked for."""
    with start() as p, tunnel(p, f"localhost:{world.tls.port}", world.trust, "other.test") as s:
        assert ("DNS", "localhost") in s.getpeercert()["subjectAltName"]
    with start() as p, tunnel(p, f"127.0.0.1:{world.tls.port}", world.trust) as s:
        assert ("IP Address", "127.0.0.1") in s.getpeercert()["subjectAltName"]


def test_a_server_that_is_not_trusted(start, world):
    target = f"localhost:{world.tls.port}"
    with start(env={"NODE_EXTRA_CA_CERTS": ""}) as p:
        assert ask_inside(p, target, world.trust, inner(world.tls)).status == 502
    with start() as p:
        assert ask_inside(p, target, world.trust, inner(world.tls)).status == 200


def test_answers_that_end_too_early_are_cut(start, world):
    with start() as p, p.connect() as s, s.makefile("rb") as f:
        say(s, get(world.plain, "/cut"))
        assert f.readline().startswith(b"HTTP/1.1 200 ")
        assert b"only this" in f.read()


def test_fields_of_answers_are_stripped(start, world):
    with start(words=("--strip-response-header", "x-secret", "--plaintext-header-set")) as p:
        for told in (ask(p, get(world.plain, "/strip")), ask_inside(p, f"localhost:{world.tls.port}", world.trust, inner(world.tls, "/strip"))):
            assert told.body == b"ok" and "x-other" in told.fields and not {"x-secret", "x_secret"} & set(told.fields)
    with start() as p:
        assert "x-secret" in ask(p, get(world.plain, "/strip")).fields


def test_who_asks_for_nothing_goes(start, world):
    """Six seconds behind an answer, ten behind the client's TLS."""
    with start() as p:
        began = time.monotonic()
        with tunnel(p, f"localhost:{world.tls.port}", world.trust, "localhost") as idle, tunnel(p, f"localhost:{world.tls.port}", world.trust, "localhost") as asked, p.connect() as mute:
            target = f"localhost:{world.tls.port}"
            say(mute, f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n".encode())
            assert mute.recv(100).startswith(b"HTTP/1.1 200 ")
            with asked.makefile("rb") as f:
                say(asked, inner(world.tls))
                assert read_answer(f).status == 200
                assert f.read() == b"" and 5 < time.monotonic() - began < 30
            assert idle.recv(10) == b"" and 9 < time.monotonic() - began < 30
            assert mute.recv(10) == b""  # its handshake had ten, too


# --- addresses ---


def other_name():
    """A name of /etc/hosts that is this machine's, and not localhost."""
    for line in pathlib.Path("/etc/hosts").read_text().splitlines():
        words = line.split("#")[0].split()
        for name in words[1:]:
            if words[0].startswith(("127.", "10.", "172.", "192.168.", "::1")) and re.fullmatch(r"[a-z][a-z0-9-]*", name) and name != "localhost":
                return name, words[0]
    skip("no other name of this machine is in /etc/hosts")


def test_names_lead_to_no_private_address(start, world):
    name, address = other_name()
    with start(hosts=[name]) as p:
        data = f"GET http://{name}:{world.plain.port}/ HTTP/1.1\r\nHost: {name}:{world.plain.port}\r\n\r\n".encode()
        told = ask(p, data)
        assert (told.status, told.reason) == (403, "address_not_allowed") and address not in told.body.decode()
    with start(hosts=[name, f"[{address}]" if ":" in address else address]) as p:  # the twin
        assert ask(p, data).reason is None


def test_an_address_is_denied_by_name_too(start, world):
    with start(hosts=["localhost"], denied=["127.0.0.1", "[::1]"]) as p:
        assert ask(p, get(world.plain)).reason == "address_not_allowed"


# --- deciders that are slow, wrong, or gone ---


def test_a_verdict_that_is_late(start, world):
    """Five seconds; then the client has its answer, and the verdict is nobody's."""
    with start(lambda m: [6, allow(m)] if m["id"] == 1 else [allow(m)]) as p:
        began = time.monotonic()
        told = ask(p, get(world.plain))
        assert told.reason == "decider_unavailable" and told.status == 503 and 4.5 < time.monotonic() - began < 30
        assert b"timed out" in told.body
        time.sleep(1.5)
        assert ask(p, get(world.plain)).status == 200  # the link has not suffered


def test_a_client_that_does_not_wait(start, world):
    with start(lambda m: [0.5, allow(m)]) as p:
        with p.connect() as s:
            say(s, get(world.plain, "/gone"))
            time.sleep(0.2)
        time.sleep(0.6)
        assert ask(p, get(world.plain)).status == 200
        assert not [g for g in world.plain.got if g["target"] == "/gone"]


LIES = {
    "no JSON": lambda m: [frame(b"{")],
    "a list": lambda m: [[allow(m)]],
    "nothing": lambda m: [frame(b"")],
    "too long": lambda m: [b"\0\x10\0\1"],
    "null": lambda m: [allow(m, cred=None)],
    "twice": lambda m: [frame(json.dumps(allow(m))[:-1].encode() + b',"id":%d}' % m["id"])],
    "not UTF-8": lambda m: [frame(json.dumps(deny(m, reason="x")).encode().replace(b'"x"', b'"\xff"'))],
    "unknown key": lambda m: [allow(m, more=1)],
    "unknown action": lambda m: [{"t": "verdict", "id": m["id"], "action": "perhaps"}],
    "hello again": lambda m: [hello([])],
    "empty object": lambda m: [allow(m, setHeaders={})],
    "empty list": lambda m: [allow(m, removeHeaders=[])],
    "upper case": lambda m: [allow(m, setHeaders={"X-A": ["1"]})],
    "framing": lambda m: [allow(m, setHeaders={"content_length": ["1"]})],
    "authorization": lambda m: [allow(m, setHeaders={"authorization": ["x"]})],
    "line break": lambda m: [allow(m, setHeaders={"x-a": ["1\r\nx-b: 2"]})],
    "host removed": lambda m: [allow(m, removeHeaders=["host"])],
    "credential alone": lambda m: [allow(m, credential="x")],
    "credential with a blank": lambda m: [allow(m, cred="c", credential="a b")],
    "many fields": lambda m: [allow(m, setHeaders={"x": ["1"] * 191})],
    "status": lambda m: [deny(m, 200)],
    "reason": lambda m: [deny(m, reason="a\nb")],
    "other id": lambda m: [{**allow(m), "id": m["id"] + 1}],
    "id of text": lambda m: [{**allow(m), "id": str(m["id"])}],
    "too much body": lambda m: [need(m, (32 << 20) + 1)],
    "body twice": lambda m: [need(m)],
    "allow while the body is read": None,
    "twice decided": None,
}


@pytest.mark.parametrize("lie", LIES)
def test_a_decider_that_is_not_understood_is_the_end(start, world, lie):
    """Nothing is forwarded, the client is told, the process ends."""
    before = len(world.plain.got)
    data = get(world.plain)
    answer = LIES[lie]
    if lie == "allow while the body is read":
        answer = lambda m: [need(m), 0.3, allow(m)]  # noqa: E731
        data = data.replace(b"GET", b"POST").replace(b"\r\n\r\n", b"\r\nContent-Length: 100\r\n\r\nx")
    elif lie == "twice decided":
        answer = lambda m: [deny(m), allow(m)]  # noqa: E731
    elif lie == "body twice":
        data = data.replace(b"GET", b"POST").replace(b"\r\n\r\n", b"\r\nContent-Length: 1\r\n\r\nx")
    with start(answer) as p:
        told = ask(p, data)
        assert told.reason == ("decider" if lie == "twice decided" else "decider_unavailable"), told
        rc, err = p.end()
    assert rc == 0 and "stopped (decider: " in err, err
    assert len(world.plain.got) == before


def test_a_decider_that_goes(start, world):
    """Requests that wait are refused, answers on their way arrive, no client is taken any more."""
    with start(lambda m: [allow(m)] if m["path"] == "/late" else None) as p:
        with p.connect() as s, s.makefile("rb") as f:
            say(s, get(world.plain))
            time.sleep(0.3)
            p.decider.close()
            told = read_answer(f)
        rc, err = p.end()
    assert told.reason == "decider_unavailable" and told.status == 503
    assert rc == 0 and "stopped (decider: decider closed the stream)" in err


def test_hellos_that_are_none(start):
    good = hello(["a.test"])
    for first in ([], [{**good, "proto": 2}], [{**good, "more": 1}], [hello(["A.test"])], [hello(["a.test", "a.test"])], [hello(["*.test"])], [hello(["http://a.test"])], [frame(b"null")],
                  [{"t": "hello", "proto": 1, "allowedDomains": []}], [hello(["a.test:0"])]):
        p = start(first=first)
        try:
            if not first:
                time.sleep(0.3)
                assert p.process.poll() is None
                p.decider.close()
            rc, err = p.end()
            assert rc == 2 and "decider unavailable: " in err and "serving" not in err, (first, err)
        finally:
            p.decider.close()
            os.close(p.lifeline)
            p.listener.close()


def test_nobody_is_served_before_the_hello(start, world):
    p = start(first=[1, hello(["localhost"])])
    with p.connect() as s, s.makefile("rb") as f:
        began = time.monotonic()
        say(s, get(world.plain))
        assert read_answer(f).status == 200 and time.monotonic() - began > 0.5
    p.until("serving")
    p.__exit__()


def test_bodies_that_are_held_have_a_bound(start, world):
    """Two of the largest; the third is refused, and has a place when one of them is gone."""
    size = 32 << 20
    with start(lambda m: [need(m, size)] if m["t"] == "req" else [allow(m)]) as p:
        data = f"POST http://localhost:{world.plain.port}/echo HTTP/1.1\r\nHost: localhost:{world.plain.port}\r\nContent-Length: {size}\r\n\r\n".encode()
        with p.connect() as a, p.connect() as b:
            say(a, data)
            say(b, data)
            time.sleep(0.5)
            told = ask(p, data)
            assert told.reason == "decider_unavailable" and b"too many request bodies" in told.body
        time.sleep(0.5)
        assert ask(p, data.replace(b": %d" % size, b": 5") + b"hello").status == 200


def test_a_whole_large_body(start, world):
    size = 8 << 20  # a decider in Python must have read it in five seconds, also where the machine is busy
    with start(decided.body_then(allow, size)) as p:
        data = f"POST http://localhost:{world.plain.port}/echo HTTP/1.1\r\nHost: localhost:{world.plain.port}\r\nContent-Length: {size}\r\n\r\n".encode()
        told = ask(p, data + b"x" * size)
    assert json.loads(told.body)["body"] == size


def test_tunnels_have_a_bound(start, world):
    target = f"localhost:{world.tls.port}"
    head = f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n".encode()
    with start() as p:
        kept = []
        for _ in range(256):
            s = p.connect()
            say(s, head)
            kept.append(s)
        assert all(s.recv(100).startswith(b"HTTP/1.1 200 ") for s in kept)
        assert ask(p, head, "CONNECT")[:2] == (503, "too_many_tunnels")
        kept.pop().close()
        time.sleep(0.3)
        assert ask(p, head, "CONNECT").status == 200
        for s in kept:
            s.close()


def test_many_at_a_time(start, world):
    with start(lambda m: [0.02, allow(m) if m["id"] % 3 else deny(m)]) as p:
        said = []

        def one(i):
            said.append(ask(p, get(world.plain)) if i % 2 else ask_inside(p, f"localhost:{world.tls.port}", world.trust, inner(world.tls)))

        threads = [threading.Thread(target=one, args=(i,)) for i in range(60)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        assert sorted((a.status, a.reason) for a in said) == [(200, None)] * 40 + [(403, "decider")] * 20
        assert sorted(m["id"] for m in p.decider.asked) == list(range(1, 61))


# --- beginning and end ---


def test_pipes_and_a_port_of_its_own(start, world):
    with start(pipes=True, listen=False, words=("--listen", "127.0.0.1:0")) as p:
        assert p.port and ask(p, get(world.plain)).status == 200


def test_a_socket_of_unix(start, world, user):
    path = str(world.dir / "socket")
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    try:
        a, b = socket.socketpair()
        fd = a.detach()
        d = decided.Decider(fd, fd, [hello(["localhost"])], yes)
        d.start()
        process = subprocess.Popen([*map(str, PROGRAM), "proxy", "--listen-fd", str(listener.fileno()), "--decider-fd", str(b.fileno())], pass_fds=[listener.fileno(), b.fileno()],
                                   stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        b.close()
        assert process.stderr and "serving fd" in process.stderr.readline()
        with socket.socket(socket.AF_UNIX) as s:
            s.connect(path)
            with s.makefile("rb") as f:
                say(s, get(world.plain))
                assert read_answer(f).status == 200
        d.close()
        assert process.wait(10) == 0
        process.stderr.close()
    finally:
        listener.close()
        os.unlink(path)


@pytest.mark.parametrize("how", ["SIGTERM", "lifeline closed"])
def test_an_orderly_end(start, world, how):
    """The undecided is refused, what is decided has a moment."""
    with start(lambda m: None if m["path"] == "/waits" else [allow(m)]) as p:
        with p.connect() as a, a.makefile("rb") as f:
            say(a, get(world.plain, "/waits"))
            time.sleep(0.3)
            if how == "SIGTERM":
                p.process.send_signal(signal.SIGTERM)
            else:
                os.close(p.lifeline)
                p.lifeline = os.open("/dev/null", os.O_RDONLY)
            assert read_answer(f).reason == "decider_unavailable"
        rc, err = p.end()
    assert rc == 0 and f"stopped ({how})" in err
    assert not decided.group(p.process.pid)


def test_nobody_is_left_when_it_is_killed(start, world):
    with start() as p:
        assert ask(p, get(world.plain)).status == 200
        assert len(decided.group(p.process.pid)) == 3
        p.process.kill()
        p.end()
        end = time.monotonic() + 5
        while decided.group(p.process.pid) and time.monotonic() < end:
            time.sleep(0.05)
        assert not decided.group(p.process.pid)


@pytest.mark.parametrize("pem", [b"", b"nothing", b"-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n"])
def test_an_authority_that_is_none(start, pem):
    p = start(ca=pem or b"\n")
    try:
        rc, err = p.end()
        assert rc == 2 and "serving" not in err and "CA PEM needs a private key and a certificate" in err
    finally:
        p.decider.close()
        os.close(p.lifeline)
        p.listener.close()


@pytest.mark.parametrize("words, said", [
    ([], "a decider is required"), (["--decider-fd", "99", "--listen", "127.0.0.1:0"], "--decider-fd 99: no such descriptor is open"),
    (["--decider-fd", "0", "--listen-fd", "99"], "--listen-fd 99: no such descriptor is open"), (["--decider-fd", "0", "--listen", "no.test:0", "--listen-any-interface"], "is no address"),
    (["--decider-fd", "0", "--listen", "127.0.0.1:0", "--ca-fd", "99"], "--ca-fd 99: no such"), (["--decider-fd", "0", "--listen-fd", "0"], "srt proxy: "),
])  # fmt: skip
def test_bad_words(user, ws, words, said):
    r = user.exec([BAILEY, "srt", "proxy", *words], cwd=ws)
    assert r.rc == 2 and said in r.err and "serving" not in r.err, r


def test_what_is_stricter(start, world):
    """D34."""
    with start() as p:
        for more in ("x: y\r\n" * 128, "a: " + "b" * 33000 + "\r\n", f"Host: localhost:{world.plain.port}\r\n"):
            assert ask(p, get(world.plain, more=more))[:2] == (400, "bad_request")
        assert ask(p, get(world.plain, more="x: y\r\n" * 127)).status == 200
        assert ask(p, get(world.plain, "?x"))[:2] == (400, "bad_request")
        assert ask(p, b"GET /srt.crl HTTP/1.1\r\nHost: x\r\n\r\n")[:2] == (400, "bad_request")
    with start(hosts=[f"h{n}.test" for n in range(4095)] + ["localhost"]) as p:
        assert ask(p, get(world.plain)).status == 200


# --- as who, and with what ---


def test_who_reads_can_reach_nothing(start, world):
    """The process that holds the authority's key makes no connection; the one that does holds no key, and none of them opens a file."""
    with start() as p:
        assert ask(p, get(world.plain)).status == 200
        children = [int(c) for c in pathlib.Path(f"/proc/{p.process.pid}/task/{p.process.pid}/children").read_text().split()]
        names = {pathlib.Path(f"/proc/{c}/comm").read_text().strip() for c in children}
        assert names == {"bailey-dialer", "bailey-keys"}
        for c in children:
            status = pathlib.Path(f"/proc/{c}/status").read_text()
            assert "Seccomp:\t2" in status and "NoNewPrivs:\t1" in status and "CapEff:\t0000000000000000" in status


# --- real clients ---


@pytest.mark.parametrize("words", [["--http1.1"], ["--http2"], ["-d", "@/etc/hosts"]], ids=lambda w: w[0])
def test_curl(start, world, user, words):
    if not shutil.which("curl"):
        skip("curl is not installed")
    size = os.path.getsize("/etc/hosts")
    with start(lambda m: [allow(m, setHeaders={"x-set": ["1"]})] if m["path"] != "/no" else [deny(m, 403)]) as p:
        common = ["curl", "-sS", "--proxy", f"http://127.0.0.1:{p.port}", "--cacert", world.trust, *words]
        r = user.exec([*common, f"https://localhost:{world.tls.port}/echo"])
        got = json.loads(r.out)
        assert got["fields"]["x-set"] == ["1"] and (got["body"] > size / 2) == ("-d" in words)
        r = user.exec([*common, "-o", "-", "-w", "%{http_code}", f"https://localhost:{world.tls.port}/no"])
        assert r.out.endswith("403")
        r = user.exec([*common, f"https://other.test:{world.tls.port}/"])
        assert r.rc != 0 and "403" in r.err


def test_nothing_is_answered_twice(start, world):
    """A client that goes on sending behind a refusal gets that one answer."""
    with start(lambda m: [deny(m)]) as p, p.connect() as s, s.makefile("rb") as f:
        say(s, get(world.plain).replace(b"GET", b"POST").replace(b"\r\n\r\n", b"\r\nContent-Length: 1000000\r\n\r\n"))
        assert read_answer(f).reason == "decider"
        say(s, b"x" * 1000)
        assert read_answer(f) == NONE
