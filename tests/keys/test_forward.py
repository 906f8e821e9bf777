# SPDX-License-Identifier: Apache-2.0
"""Requests that a rule sends elsewhere: another server gets them, what is judged is that one, and the connection goes on."""
import socket
import ssl
import struct
import subprocess
import threading

import h2.connection
import h2.events
import pytest

from harness import DIALLED, VERSION, program
from test_h1 import answer, ask, get, status

VALUE = "canary-0123456789abcdefghijkl"


def rule(url, *more, host="web.test", **match):
    """One entry that forwards, and what else there is."""
    return {"host": host, "requests": [{**match, "action": {"forward": url}}, *more]}


@pytest.fixture(scope="session")
def other(authority):
    """Certificate and key of other.test."""
    return authority.issue("other", "DNS:other.test,DNS:third.test")


@pytest.fixture
def two(door, plain, other):
    """A door to web.test, and other.test beside it; rules say what goes there."""

    def make(*rules, there=None, tls=True, **kw):
        here = plain(lambda head, s, f: s.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nhere"))
        elsewhere = plain(cert=other, tls=tls, **({"answer": there} if there else {}))
        d = door(here, rules=list(rules), **kw)
        d.keys.places[("other.test", 443 if tls else 80)] = elsewhere.address
        d.keys.places[("web.test", d.port)] = here.address
        d.here, d.elsewhere = here, elsewhere
        return d

    return make


def test_what_matches_goes_elsewhere_and_the_rest_stays(two):
    d = two(rule("https://other.test", {}, method="POST", path={"startsWith": "/a"}))
    with d.talk(d.trust) as s:
        assert ask(s, get(d))[1] == b"here"
        head, body = ask(s, get(d, b"/a/b?c=d", b"Content-Length: 3\r\nForwarded: host=lie\r\nX-A: 1\r\n", method=b"POST") + b"xyz")
        assert status(head) == 200
        assert body == (b"POST /a/b?c=d HTTP/1.1\r\nHost: other.test\r\nX-A: 1\r\nforwarded: host=\"web.test:%d\";proto=https\r\nContent-Length: 3\r\n\r\nxyz" % d.port), body
        assert b"/a/b" in ask(s, get(d, b"/a/c", method=b"POST", more=b"Content-Length: 0\r\n"))[1].replace(b"/a/c", b"/a/b")
        assert ask(s, get(d))[1] == b"here", "and back again"
    assert d.keys.dials == [("other.test", 443), ("web.test", d.port)]
    assert [h.split(b" ")[0] for h in d.here.heads] == [b"GET", b"GET"] and len(d.elsewhere.heads) == 2
    lines = d.keys.requests(4)
    assert [(e["method"], e["target"], e["denied"]) for e in lines] == [("GET", "/", 0), ("POST", "/a/b?c=d", 0), ("POST", "/a/c", 0), ("GET", "/", 0)]
    assert lines[1]["why"] == "web.test requests[0]: forwarded to https://other.test" and "forwarded" not in lines[3]["why"]
    assert d.keys.end_of(1) == ""


@pytest.mark.parametrize("url, asked, sent", [
    ("https://other.test/", b"/x", b"/x"),
    ("https://other.test/api/proxy", b"/x?q", b"/api/proxy/x?q"),
    ("https://other.test/api/proxy/", b"/", b"/api/proxy/"),
    ("https://other.test/p", b"/../../x", None),
    ("https://other.test/p", b"/a/../x", b"/p/x"),
    ("https://other.test/p", b"/%2e%2e/x", None),
    ("https://other.test/p", b"/a%2fb", None),
    ("https://other.test/%70", b"/x", b"/p/x"),
])  # fmt: skip
def test_a_path_is_put_before_and_can_not_be_left(two, url, asked, sent):
    d = two(rule(url))
    with d.talk(d.trust) as s:
        head, body = ask(s, get(d, asked))
    if sent is None:
        assert status(head) == 400 and d.elsewhere.heads == []
    else:
        assert status(head) == 200 and body.split(b" ")[1] == sent, body


def test_plain_http_both_ways(two):
    d = two(rule("http://other.test"), tls=False)
    with d.talk(d.trust) as s:
        assert b"Host: other.test\r\n" in ask(s, get(d))[1]
    d = two(rule("https://other.test"))
    d.tls = False
    d.server = d.here.address  # that is TLS, and nobody finds out
    with d.talk() as s:
        assert b'proto=http\r\n' in ask(s, get(d))[1]


def test_bodies_pass_whole_in_every_framing(two):
    def count(head, s, f):
        if b"chunked" in head.lower():
            body = b""
            while n := int(f.readline(), 16):
                body += f.read(n)
                f.readline()
            f.readline()
        else:
            body = f.read(int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0]))
        s.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(body), body))

    d = two(rule("https://other.test", {}, path="/up"), there=count)
    for more in ((), ("-H", "Expect: 100-continue"), ("-H", "Transfer-Encoding: chunked")):
        r = d.curl("--http1.1", "--data-binary", "@-", "-H", "Content-Type: x", *more, path="/up", ca=d.ca, input=b"abc" * 500000)
        assert r.stdout == b"abc" * 500000, (more, r.stderr)


def test_a_client_of_http2_is_given_http1_there_and_only_there(two):
    for rules, version in (([rule("https://other.test", {}, path="/p")], b"1.1"), (["web.test"], b"2")):
        d = two(*rules)
        # a server that takes what it is offered: what was offered to it is what the client may have
        d.here.context.set_alpn_protocols(["h2", "http/1.1"])
        r = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{d.port}", "-servername", "web.test", "-alpn", "h2,http/1.1"], input=b"", capture_output=True, check=False)
        assert (b"ALPN protocol: " + (b"h2" if version == b"2" else b"http/1.1")) in r.stdout, r.stdout
    d = two(rule("https://other.test"))
    r = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{d.port}", "-servername", "web.test", "-alpn", "h2"], input=b"", capture_output=True, check=False)
    assert b"no application protocol" in r.stderr.lower() and "HTTP/1.1" in d.keys.end_of(d.ids[-1])


def test_rules_that_come_later_send_clients_of_http2_away(two, nginx):
    d = two("web.test")
    d.server = nginx
    d.trust.set_alpn_protocols(["h2"])
    h = h2.connection.H2Connection()
    with d.talk(d.trust) as s:
        h.initiate_connection()

        def ask_for(number):
            h.send_headers(number, [(":method", "GET"), (":scheme", "https"), (":authority", f"web.test:{d.port}"), (":path", "/who")], end_stream=True)
            while True:
                s.sendall(h.data_to_send())
                for e in h.receive_data(s.recv(65536)):
                    if isinstance(e, h2.events.ResponseReceived):
                        return dict(e.headers)[b":status"]

        assert ask_for(1) == b"200"
        assert d.keys.say({"inspect": [rule("https://other.test")]}) == {"ok": True}
        assert ask_for(3) == b"421"
    r = d.curl("--http2", "-w", "%{http_version} %{http_code}", "-o", "/dev/null", path="/who", ca=d.ca)
    assert r.stdout == b"1.1 200", r


@pytest.mark.parametrize("why", ["no rule forwards requests there", "denied by somebody"])
def test_a_place_that_may_not_be_reached_is_a_502_with_the_reason(two, why):
    d = two(rule("https://other.test", {}, path="/p"))
    d.keys.places[("other.test", 443)] = why
    with d.talk(d.trust) as s:
        head, body = ask(s, get(d, b"/p"))
        assert status(head) == 502 and why.encode() in body
        assert ask(s, get(d))[1] == b"here", "the connection goes on"
        d.keys.places[("other.test", 443)] = d.elsewhere.address
        assert status(ask(s, get(d, b"/p"))[0]) == 200, "and it is tried again"
    assert [(e["status"], e["why"]) for e in d.keys.requests(5) if e["status"]] == [(502, why)]


def test_tls_there_is_verified(two, plain, web):
    d = two(rule("https://other.test"))
    wrong = plain(cert=web)
    d.keys.places[("other.test", 443)] = wrong.address
    with d.talk(d.trust) as s:
        head, body = ask(s, get(d, more=b"X-Private: yes\r\n"))
        assert status(head) == 502 and b"certificate" in body, body
        assert wrong.heads == []
        d.keys.places[("other.test", 443)] = d.elsewhere.address
        assert status(ask(s, get(d))[0]) == 200


def test_a_host_that_can_not_be_had_itself_is_no_matter(two, plain, other):
    d = two(rule("https://other.test", {}, path="/p"))
    d.server = plain(cert=other).address  # it proves another name
    with d.talk(d.trust) as s:
        assert status(ask(s, get(d, b"/p"))[0]) == 200
    with d.talk(d.trust) as s:
        head, body = ask(s, get(d))
        assert status(head) == 502 and b"certificate" in body


def test_the_rules_of_the_other_host_count_and_nothing_goes_in_circles(two):
    d = two(rule("https://other.test", {}, path={"startsWith": "/p"}), {"host": "other.test", "requests": [{"path": "/p/yes", "action": {"headers": {"x-set": "1"}}}]})
    with d.talk(d.trust) as s:
        assert b"x-set: 1\r\n" in ask(s, get(d, b"/p/yes"))[1]
        assert status(ask(s, get(d, b"/p/no"))[0]) == 403
    for back in ("https://web.test", "https://other.test", "https://third.test"):
        d = two(rule("https://other.test"), rule(back, host="other.test"))
        with d.talk(d.trust) as s:
            head, body = ask(s, get(d))
            assert status(head) == 508 and b"loop" in body and d.keys.dials == []
    d = two(rule("https://other.test"), rule("https://third.test"))
    with d.talk(d.trust) as s:
        head, body = ask(s, get(d))
        assert status(head) == 403 and b"different places" in body


def test_headers_go_with_it(two):
    d = two({"host": "web.test", "requests": [{"action": {"forward": "https://other.test", "headers": {"x-team": "blue", "x-gone": None, "forwarded": None}}}]})
    with d.talk(d.trust) as s:
        body = ask(s, get(d, more=b"X-Gone: 1\r\nX-Team: red\r\n"))[1]
    assert b"x-team: blue\r\n" in body and b"Gone" not in body and b"red" not in body and b"orwarded" not in body


def setting(name, url=None):
    """A rule of web.test for every request: it sets a field, and takes one away."""
    return {"host": "web.test", "requests": [{"action": {"headers": {f"x-{name}": name, f"x-no-{name}": None}, **({"forward": url} if url else {})}}]}


@pytest.mark.parametrize("order", [("before", "it", "after"), ("it", "after"), ("it", "also"), ("before", "after")])
def test_fields_of_other_rules_stay_at_their_host(two, order):
    """What they take away is gone there, too; the host that gets it has rules of its own."""
    url = "https://other.test"
    d = two(*(setting(n, url if n in ("it", "also") else None) for n in order), {"host": "other.test", "requests": [{"action": {"headers": {"x-own": "own"}}}]})
    d.here.answer = d.elsewhere.answer
    with d.talk(d.trust) as s:
        body = ask(s, get(d, b"/", b"X-Before: mine\r\nX-No-Before: 1\r\nX-No-After: 1\r\nX-No-It: 1\r\nX-No-No: 1\r\n"))[1].lower()
    forwarded = "it" in order
    assert (b"host: other.test\r\n" in body) == (b"x-own: own\r\n" in body) == forwarded and b"x-no-no: 1" in body, body
    for name in ("before", "it", "after", "also"):
        goes = name in order and (name in ("it", "also") or not forwarded)
        assert (f"x-{name}: {name}\r\n".encode() in body) == goes, (name, body)
        assert (f"x-no-{name}: 1\r\n".encode() in body) == (name not in order and name != "also"), (name, body)
    assert (b"x-before: mine" in body) == (forwarded or "before" not in order), body


def keep(state, name, host):
    r = subprocess.run([program(), "secret", str(state), "set", name, "--host", host, "--env", name.upper(), "--header", "Authorization"],
                       input=f"{VALUE}-{name}".encode(), capture_output=True, check=False)
    assert r.returncode == 0, r.stderr


def test_secrets_are_those_of_the_host_that_gets_it(two, tmp_path):
    state = tmp_path / "state"
    state.mkdir(mode=0o700)
    keep(state, "mine", "web.test")
    keep(state, "theirs", "other.test")
    d = two(rule("https://other.test", {}, path={"startsWith": "/p"}), store=str(state), secrets=["mine", "theirs"])
    mine, theirs = d.keys.hello["env"]["MINE"], d.keys.hello["env"]["THEIRS"]
    with d.talk(d.trust) as s:
        # the echo of the other host is scrubbed of that host's secret
        body = ask_chunked(s, get(d, b"/p", b"Authorization: Bearer %b\r\n" % theirs.encode()))
        assert VALUE.encode() not in body and theirs.encode() in body
        assert b"Bearer %b-theirs" % VALUE.encode() in d.elsewhere.heads[0]
        # the stand-in of the first host means nothing there: it is a foreign credential
        head, body = ask(s, get(d, b"/p", b"Authorization: Bearer %b\r\n" % mine.encode()))
        assert status(head) == 403 and b"foreign-credential" in body
        # the first host's own requests have its own
        assert ask_chunked(s, get(d, b"/", b"Authorization: Bearer %b\r\n" % mine.encode())) == b"here"
        assert b"%b-mine" % VALUE.encode() in d.here.heads[0] and b"-theirs" not in d.here.heads[0]
    assert len(d.elsewhere.heads) == 1 and b"-mine" not in d.elsewhere.heads[0]
    assert [e["secret"] for e in d.keys.requests(3)] == ["theirs", "", "mine"]


def test_no_secret_goes_there_without_tls(two, tmp_path):
    state = tmp_path / "state"
    state.mkdir(mode=0o700)
    keep(state, "theirs", "other.test")
    d = two(rule("http://other.test"), tls=False, store=str(state), secrets=["theirs"])
    with d.talk(d.trust) as s:
        head, _ = ask(s, get(d, more=b"Authorization: Bearer %b\r\n" % d.keys.hello["env"]["THEIRS"].encode()))
        assert status(head) == 403
    assert d.elsewhere.heads == []


def test_no_secret_of_a_target_is_in_the_log(two, tmp_path):
    """What fails behind the sending is logged as it was asked for: a request waits for its server here, so its head is kept."""
    state = tmp_path / "state"
    state.mkdir(mode=0o700)
    r = subprocess.run([program(), "secret", str(state), "set", "theirs", "--host", "other.test", "--env", "THEIRS", "--query", "key"], input=VALUE.encode(), capture_output=True, check=False)
    assert r.returncode == 0, r.stderr
    d = two(rule("https://other.test"), there=lambda head, s, f: False, store=str(state), secrets=["theirs"])
    target = b"/p?key=" + d.keys.hello["env"]["THEIRS"].encode()
    with d.talk(d.trust) as s:
        head, _ = ask(s, get(d, target))
        assert status(head) == 502
    assert VALUE.encode() in d.elsewhere.heads[0], "the control: it was put in"
    assert [(e["status"], e["target"]) for e in d.keys.requests(2)] == [(0, target.decode()), (502, target.decode())]
    assert VALUE not in str(d.keys.log)


def ask_chunked(s, data):
    """One answer in chunks, or with a length."""
    s.sendall(data)
    f = s.makefile("rb")
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += f.readline()
    assert status(head) == 200, head
    if b"chunked" not in head.lower():
        return f.read(int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0]))
    body = b""
    while n := int(f.readline(), 16):
        body += f.read(n)
        f.readline()
    f.readline()
    return body


def test_a_websocket_goes_there(two):
    def serve(head, s, f):
        s.sendall(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n")
        s.sendall(f.read(4)[::-1])
        return False

    d = two(rule("https://other.test"), there=serve)
    with d.talk(d.trust) as s:
        s.sendall(get(d, more=b"Upgrade: websocket\r\nConnection: Upgrade\r\n"))
        assert status(answer(s)[0]) == 101
        s.sendall(b"abcd")
        assert s.recv(4) == b"dcba"


def test_a_server_that_hangs_up_says_so_once(two):
    d = two(rule("https://other.test"), there=lambda head, s, f: False)
    with d.talk(d.trust) as s:
        head, body = ask(s, get(d))
        assert status(head) == 502 and b"without an answer" in body


def test_answers_of_a_gateway_that_make_no_sense_open_nothing(two):
    d = two(rule("https://other.test"))
    d.keys.places[("other.test", 443)] = None
    with d.talk(d.trust) as s:
        s.sendall(get(d))
        d.keys.wait(lambda e: e["kind"] == "request")
        with socket.create_connection(d.elsewhere.address) as there:
            d.keys.dialled(d.ids[-1], 77, there)  # of no question
            d.keys.dialled(99, 1, there)  # of no connection
            socket.send_fds(d.keys.gateway, [struct.pack("=HHII256s", DIALLED, VERSION, d.ids[-1], 1, b"x" * 256)], [there.fileno()])  # no end
            socket.send_fds(d.keys.gateway, [struct.pack("=HHII256s", DIALLED, VERSION, d.ids[-1], 1, b"")], [there.fileno(), there.fileno()])  # two
            s.settimeout(1)
            with pytest.raises(TimeoutError):
                s.recv(1)
            s.settimeout(20)
            d.keys.dialled(d.ids[-1], 1, there)
        assert status(answer(s)[0]) == 200
        d.keys.dialled(d.ids[-1], 1, None, "too late")
        assert status(ask(s, get(d))[0]) == 200


def test_a_client_that_goes_while_it_is_dialled(two):
    d = two(rule("https://other.test"))
    d.keys.places[("other.test", 443)] = None
    s = d.talk(d.trust)
    s.sendall(get(d))
    d.keys.wait(lambda e: e["kind"] == "request")
    s.close()
    with socket.create_connection(d.elsewhere.address) as there:
        d.keys.dialled(d.ids[-1], 1, there)
    assert d.keys.end_of(d.ids[-1]) is not None
    # what comes then is nobody's
    with socket.create_connection(d.elsewhere.address) as there:
        d.keys.dialled(d.ids[-1], 1, there)
        there.settimeout(10)
    d2 = d.talk(d.trust)
    d.keys.places[("other.test", 443)] = d.elsewhere.address
    assert status(ask(d2, get(d))[0]) == 200
    d2.close()


def test_many_at_once(two):
    d = two(rule("https://other.test", {}, path={"startsWith": "/p"}))
    failed: list[tuple] = []

    def one(i):
        try:
            with d.talk(d.trust) as s:
                for k in range(6):
                    body = ask(s, get(d, b"/p/%d" % (i * 10 + k)))[1] if (i + k) % 2 else ask(s, get(d))[1]
                    if body != b"here" and b"/p/%d " % (i * 10 + k) not in body:
                        failed.append((i, k, body))
        except (OSError, ssl.SSLError) as e:
            failed.append((i, e))

    threads = [threading.Thread(target=one, args=(i,)) for i in range(20)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert failed == []


@pytest.mark.parametrize("action, words", [
    ({"forward": "ftp://other.test"}, "https://"),
    ({"forward": "https://"}, "host"),
    ({"forward": "https://u@other.test"}, "user name"),
    ({"forward": "https://other.test?x=1"}, "query"),
    ({"forward": "https://other.test/#x"}, "fragment"),
    ({"forward": "https://other.test:0"}, "port"),
    ({"forward": "https://other.test/a//b"}, "empty"),
    ({"forward": "https://other.test/a b"}, "percent-encoded"),
    ({"forward": "https://other..test"}, "other..test"),
    ({"forward": "https://::1"}, "port"),
    ({"forward": 1}, "expected a string"),
    ({"forward": "https://other.test", "response": {}}, "nothing else"),
    ({"forwards": "https://other.test"}, "unknown"),
    ({}, "forward"),
])  # fmt: skip
def test_bad_rules_are_named_and_the_old_ones_stay(two, action, words):
    d = two("web.test")
    got = d.keys.say({"inspect": [{"host": "web.test", "requests": [{"action": action}]}]})
    assert words in got["error"] and "action" in got["error"], got
    with d.talk(d.trust) as s:
        assert ask(s, get(d))[1] == b"here"
