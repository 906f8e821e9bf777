# SPDX-License-Identifier: Apache-2.0
"""Secrets on their way: put into requests to their host, taken out of answers, in both versions of HTTP."""
import base64
import datetime
import hashlib
import hmac
import http.client
import json
import os
import signal
import subprocess
import threading
import time

import pytest

import test_sigv4 as sigv4
from harness import Authority, Keys, program
from test_h1 import ask, closed, get, status

VALUE = "canary-0123456789abcdefghijkl"
VERSIONS = ["--http1.1", "--http2"]
EARLIER = 4  # BOUND_EARLIER of src/keys/bound.h


@pytest.fixture
def store(tmp_path):
    """Keeps secrets; returns what a process of its is told about them."""
    state = tmp_path / "state"
    state.mkdir(mode=0o700)

    def keep(*words, value=VALUE):
        if words[0] == "set" and not {"--header", "--query", "--anywhere", "--service"} & set(words):
            words = (*words, "--header", "Authorization")
        r = subprocess.run([program(), "secret", str(state), *words], input=value.encode(), capture_output=True, check=False)
        assert r.returncode == 0, r.stderr
        return {"store": str(state), "secrets": [words[1]]}

    return keep


@pytest.fixture
def bound(store, door, nginx, sink):
    """A door to nginx, behind it a server of ours that shows what it gets; the secret is a bearer token in MY_KEY."""

    def make(*words, value=VALUE, host="web.test", **kw):
        d = door(nginx, **store("set", "mine", "--host", host, "--env", "MY_KEY", *words, value=value), **kw)
        d.sentinel = d.keys.hello["env"]["MY_KEY"]
        return d

    return make


@pytest.fixture(autouse=True)
def shown(sink, monkeypatch):
    """What the server behind nginx got, whole, and what it says."""
    got: list[tuple[bytes, bytes]] = []
    plans: dict[str, object] = {}

    def answer(head, s, f):
        body, left = bytearray(), 0
        if b"transfer-encoding: chunked" in head.lower():
            while True:
                size = int(f.readline(), 16)
                body += f.read(size)
                f.readline()
                if size == 0:
                    break
        else:
            for line in head.lower().split(b"\r\n"):
                if line.startswith(b"content-length:"):
                    left = int(line.split(b":")[1])
            body += f.read(left)
        got.append((head, bytes(body)))
        if "say" in plans:
            plans["say"](head, bytes(body), s)  # type: ignore[operator]
        else:
            s.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))

    monkeypatch.setattr(sink, "answer", answer)
    return type("Shown", (), {"got": got, "plans": plans})


@pytest.mark.parametrize("http", VERSIONS)
def test_a_bearer_token(bound, shown, http):
    d = bound()
    assert VALUE not in str(d.keys.hello) and d.keys.hello["hosts"] == ["web.test"]
    assert [(b["login"], b["hosts"]) for b in d.keys.hello["bound"]] == [(False, ["web.test"])]
    r = d.curl(http, "-H", f"Authorization: Bearer {d.sentinel}", "-H", "Accept-Encoding: gzip", "-H", "Range: bytes=0-1", path="/back/x", ca=d.ca)
    assert r.returncode == 0, r
    head = shown.got[0][0].decode().lower()
    assert f"authorization: bearer {VALUE}" in head and "bailey-secret" not in head and "range:" not in head and "gzip" not in head, head
    log = d.keys.requests()[0]
    assert log["secret"] == "mine" and VALUE not in str(d.keys.log)


@pytest.mark.parametrize("http", VERSIONS)
@pytest.mark.parametrize("field", ["Authorization: Bearer other-key-other-key", "Authorization: Basic YTpi", "Cookie: session=abc", "X-Api-Key: other", "Proxy-Authorization: Basic YTpi"])
def test_other_credentials(bound, shown, http, field):
    d = bound()
    r = d.curl(http, "-i", "-H", field, path="/back/x", ca=d.ca)
    if field.startswith("Proxy-") and http == "--http1.1":
        assert b"403" in r.stdout or (shown.got and b"proxy-auth" not in shown.got[0][0].lower()), r
        return
    assert b"403" in r.stdout.split(b"\r\n")[0] and b"foreign-credential" in r.stdout, r
    assert not shown.got
    r = d.curl(http, "-H", f"Authorization: Bearer {d.sentinel}", path="/back/x", ca=d.ca)
    assert r.returncode == 0 and len(shown.got) == 1, "the control"
    assert d.keys.requests()[0]["denied"] == 1 and "foreign-credential" in d.keys.requests()[0]["why"]


@pytest.mark.parametrize("http", VERSIONS)
def test_own_credentials_are_allowed_for_a_host(bound, shown, http):
    d = bound(own=["web.test"])
    d.curl(http, "-H", "Authorization: Bearer other-key-other-key", path="/back/x", ca=d.ca)
    assert b"other-key-other-key" in shown.got[0][0]


def test_another_host_gets_the_sentinel(bound, shown):
    d = bound(host="other.test")
    d.curl("-H", f"Authorization: Bearer {d.sentinel}", path="/back/x", ca=d.ca)
    assert d.sentinel.encode() in shown.got[0][0] and VALUE.encode() not in shown.got[0][0]


def test_no_tls_no_secret(store, door, plain):
    server = plain(tls=False)
    d = door(server, tls=False, **store("set", "mine", "--host", "web.test", "--env", "MY_KEY"))
    with d.talk() as s:
        head, _ = ask(s, get(d, b"/", b"Authorization: Bearer %b\r\n" % d.keys.hello["env"]["MY_KEY"].encode()))
        assert status(head) == 403
    assert not server.heads


@pytest.mark.parametrize("wrong", ["expired", "name", "root", "itself", None])
def test_a_server_that_is_not_verified_gets_no_secret(store, door, plain, authority, tmp_path, wrong):
    other = Authority(tmp_path, "web.test")
    cert = {"expired": lambda: authority.issue("old", "DNS:web.test", days=-1), "name": lambda: authority.issue("not", "DNS:other.test"), "root": lambda: other.issue("web", "DNS:web.test"),
            "itself": lambda: (other.crt, other.key), None: lambda: authority.issue("good", "DNS:web.test")}[wrong]()
    server = plain(cert=cert)
    d = door(server, **store("set", "mine", "--host", "web.test", "--env", "MY_KEY"))
    with d.talk(d.trust) as s:
        head, body = ask(s, get(d, b"/", b"Authorization: Bearer %b\r\n" % d.keys.hello["env"]["MY_KEY"].encode()))
    assert status(head) == (502 if wrong else 200) and VALUE.encode() not in head + body
    assert [VALUE.encode() in h for h in server.heads] == ([] if wrong else [True]), "the last is the control"


@pytest.mark.parametrize("http", VERSIONS)
def test_answers_are_scrubbed(bound, shown, http):
    """Exactly, in fields and body, over the borders of chunks."""
    forms = [VALUE.encode(), base64.b64encode(VALUE.encode()), VALUE.encode().hex().encode()]

    def say(head, body, s):
        text = b"<".join(forms) + b">" + b"x" * 100000 + forms[0]
        s.sendall(b"HTTP/1.1 200 OK\r\nX-Echo: a%bb\r\nTransfer-Encoding: chunked\r\n\r\n" % forms[0])
        for i in range(0, len(text), 7):
            piece = text[i:i + 7]
            s.sendall(b"%x\r\n%b\r\n" % (len(piece), piece))
        s.sendall(b"0\r\n\r\n")

    shown.plans["say"] = say
    d = bound()
    r = d.curl(http, "-i", "-H", f"Authorization: Bearer {d.sentinel}", path="/back/x", ca=d.ca)
    assert r.returncode == 0
    for form in forms:
        assert form not in r.stdout
    assert f"a{d.sentinel}b".encode() in r.stdout and r.stdout.endswith(b"x" * 1000 + d.sentinel.encode()), r.stdout[-300:]


@pytest.mark.parametrize("http", VERSIONS)
def test_compressed_answers_are_refused(bound, shown, http):
    def say(head, body, s):
        s.sendall(b"HTTP/1.1 200 OK\r\nContent-Encoding: %b\r\nContent-Length: 2\r\n\r\nok" % (b"br" if b"/br" in head else b"identity"))

    shown.plans["say"] = say
    d = bound()
    r = d.curl(http, "-i", path="/back/br", ca=d.ca)
    assert b"502" in r.stdout.split(b"\r\n")[0] and b"compressed" in r.stdout
    r = d.curl(http, "-i", path="/back/plain", ca=d.ca)
    assert b"200" in r.stdout.split(b"\r\n")[0] and r.stdout.endswith(b"ok")


@pytest.mark.parametrize("http", VERSIONS)
@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunked"])
def test_anywhere(bound, shown, http, chunked):
    d = bound("--anywhere")
    body = b"a" * 40000 + d.sentinel.encode() + b"b" * 100000 + d.sentinel.encode()
    more = ["-H", "Transfer-Encoding: chunked"] if chunked and http == "--http1.1" else []
    shown.plans["say"] = lambda head, body, s: s.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    r = d.curl(http, *more, "--data-binary", "@-", "-H", f"X-Any: {d.sentinel}", path="/back/x", ca=d.ca, input=body)
    assert r.stdout == b"ok", r
    head, got = shown.got[0]
    assert got == body.replace(d.sentinel.encode(), VALUE.encode())
    assert VALUE.encode() in head and d.sentinel.encode() not in head
    assert d.curl(http, "-d", "", path="/back/x", ca=d.ca).stdout == b"ok", "an empty body"


@pytest.mark.parametrize("http", VERSIONS)
def test_100_megabytes_down_are_scrubbed_as_they_come(bound, shown, http, tmp_path):
    unit, size = 1 << 20, 100 << 20
    piece = VALUE.encode() + b"x" * (unit - len(VALUE))

    def say(head, body, s):
        s.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
        for _ in range(size // unit):
            s.sendall(piece)

    shown.plans["say"] = say
    d = bound()
    before = d.keys.peak()
    r = d.curl(http, "-o", tmp_path / "out", "-H", f"Authorization: Bearer {d.sentinel}", path="/back/x", ca=d.ca)
    assert r.returncode == 0, r
    data = (tmp_path / "out").read_bytes()
    assert VALUE.encode() not in data and data.count(d.sentinel.encode()) == size // unit and data.count(b"x" * 1000) >= size // unit * 1000
    assert len(data) == size // unit * (unit - len(VALUE) + len(d.sentinel))
    assert d.keys.bounded(d.keys.peak() - before, 16 << 20), d.keys.peak() - before


@pytest.mark.parametrize("http", VERSIONS)
def test_100_megabytes_up_are_changed_as_they_go(bound, shown, http, tmp_path):
    unit, size = 1 << 20, 100 << 20
    shown.plans["say"] = lambda head, body, s: s.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    d = bound("--anywhere")
    with open(tmp_path / "in", "wb") as f:
        for _ in range(size // unit):
            f.write(d.sentinel.encode() + b"y" * (unit - len(d.sentinel)))
    before = d.keys.peak()
    r = d.curl(http, "-T", tmp_path / "in", path="/back/x", ca=d.ca)
    assert r.stdout == b"ok", r
    got = shown.got.pop()[1]
    assert d.sentinel.encode() not in got and got.count(VALUE.encode()) == size // unit and len(got) == size // unit * (unit - len(d.sentinel) + len(VALUE))
    assert d.keys.bounded(d.keys.peak() - before, 16 << 20), d.keys.peak() - before


@pytest.mark.parametrize("http", VERSIONS)
def test_bodies_that_are_held(bound, shown, http):
    """An endpoint that gives tokens: its body is judged as a whole, before anything is sent."""
    d = bound("--header", "X-Other")
    good = b"grant_type=anything&scope=" + b"c" * 30000
    r = d.curl(http, "--data-binary", "@-", path="/back/oauth/token", ca=d.ca, input=good)
    assert r.stdout == good and shown.got[0][1] == good, r
    r = d.curl(http, "-i", "--data-binary", "@-", path="/back/oauth/token", ca=d.ca, input=b"grant_type=client_credentials&client_id=a&client_secret=another-secret")
    assert b"403" in r.stdout and b"foreign-credential" in r.stdout, r
    assert len(shown.got) == 1
    r = d.curl(http, "-i", "--data-binary", "@-", path="/back/oauth/token", ca=d.ca, input=bytes(17 << 20))
    assert b"413" in r.stdout or b"403" in r.stdout, r
    assert len(shown.got) == 1 and d.keys.bounded(d.keys.rss(), 60 << 20)


@pytest.mark.parametrize("http", VERSIONS)
def test_a_refusal_in_the_middle_is_in_the_log(bound, shown, http):
    """The head went to the server, and was logged so; what its body is refused for is a line of its own."""
    d = bound("--anywhere")
    shown.plans["say"] = lambda head, body, s: s.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    r = d.curl(http, "-i", "--data-binary", "grant_type=refresh_token&refresh_token=another-one", path="/back/oauth/token", ca=d.ca)
    assert b" 403" in r.stdout.split(b"\r\n")[0] and b"foreign-credential" in r.stdout, r
    said = [(e["status"], e["denied"], e["target"]) for e in d.keys.requests(2)]
    assert said == [(0, 0, "/back/oauth/token"), (403, 1, "/back/oauth/token")], d.keys.log
    assert "body field refresh_token" in d.keys.requests()[1]["why"]
    r = d.curl(http, "--data-binary", "grant_type=any", path="/back/oauth/token", ca=d.ca)
    assert r.stdout == b"ok" and len(d.keys.requests(3)) == 3, "the control has one"


@pytest.mark.parametrize("http", VERSIONS)
def test_no_secret_of_a_target_is_in_the_log(bound, shown, http):
    """The head was kept while the body was held; what the answer is refused for is logged with the target that was asked for."""
    d = bound("--query", "key")
    shown.plans["say"] = lambda head, body, s: s.sendall(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\nok")
    path = f"/back/oauth/token?key={d.sentinel}"
    r = d.curl(http, "-i", "--data-binary", "grant_type=any", path=path, ca=d.ca)
    assert b" 502" in r.stdout.split(b"\r\n")[0] and VALUE.encode() in shown.got[0][0], r
    assert [(e["status"], e["target"]) for e in d.keys.requests(2)] == [(0, path), (502, path)]
    assert VALUE not in str(d.keys.log)


@pytest.mark.parametrize("http", VERSIONS)
def test_a_body_that_is_too_long_to_be_known_is_in_the_log(bound, http):
    d = bound("--header", "X-Other")
    d.curl(http, "-H", "Expect:", "--data-binary", "@-", path="/back/oauth/token", ca=d.ca, input=bytes(17 << 20))
    time.sleep(0.3)
    assert [(e["status"], e["denied"], e["target"]) for e in d.keys.requests()] == [(413, 1, "/back/oauth/token")], d.keys.log


@pytest.mark.parametrize("http", VERSIONS)
def test_what_is_too_long_for_the_log_is_marked(bound, http):
    d = bound()
    for path, cut in (("/who?" + "x" * 1018, 0), ("/who?" + "y" * 1019, 1), ("/who", 0)):
        d.curl(http, path=path, ca=d.ca)
        e = d.keys.wait(lambda e: e["kind"] == "request" and e["target"] == path[:1023])
        assert e["cut"] == cut and len(e["target"]) == min(len(path), 1023)
    d.curl(http, "-X", "M" * 40, path="/other", ca=d.ca)
    e = d.keys.wait(lambda e: e["kind"] == "request" and e["target"] == "/other")
    assert e["cut"] == 1 and e["method"] == "M" * 31


def sign(key, identity, method, path, host, body, length=False, now=None):
    """SigV4 of a request without x-amz-content-sha256."""
    region, service = "us-east-1", "bedrock"
    now = now or datetime.datetime.utcnow().strftime("%Y%m%dT%H%M%SZ")
    scope = f"{now[:8]}/{region}/{service}/aws4_request"
    names, first = ("content-length;host;x-amz-date", f"content-length:{len(body)}\n") if length else ("host;x-amz-date", "")
    canonical = f"{method}\n{path}\n\n{first}host:{host}\nx-amz-date:{now}\n\n{names}\n{hashlib.sha256(body).hexdigest()}"
    text = f"AWS4-HMAC-SHA256\n{now}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    k = ("AWS4" + key).encode()
    for part in (now[:8], region, service, "aws4_request"):
        k = hmac.new(k, part.encode(), hashlib.sha256).digest()
    signature = hmac.new(k, text.encode(), hashlib.sha256).hexdigest()
    return now, f"AWS4-HMAC-SHA256 Credential={identity}/{scope}, SignedHeaders={names}, Signature={signature}"


@pytest.mark.parametrize("http", VERSIONS)
@pytest.mark.parametrize("length", [False, True], ids=["", "length"])
def test_aws_signs_what_it_must_know_as_a_whole(store, door, nginx, shown, http, length):
    real = ("AKIAREALREALREALREAL", "real-secret-real-secret-real-secret-real1")
    d = door(nginx, **store("set", "aws", "--service", "aws", "--host", "web.test", value=":".join(real)))
    env = d.keys.hello["env"]
    identity, key = env["AWS_ACCESS_KEY_ID"], env["AWS_SECRET_ACCESS_KEY"]
    host, body = f"web.test:{d.port}", b"prompt" * 20000
    now, auth = sign(key, identity, "POST", "/back/model", host, body, length)
    r = d.curl(http, "--data-binary", "@-", "-H", f"Authorization: {auth}", "-H", f"X-Amz-Date: {now}", path="/back/model", ca=d.ca, input=body)
    assert r.returncode == 0 and shown.got, r
    head = shown.got[0][0].decode()
    assert sign(real[1], real[0], "POST", "/back/model", host, body, length, now=now)[1] in head, head
    assert shown.got[0][1] == body
    # a body that was not signed
    r = d.curl(http, "-i", "--data-binary", "@-", "-H", f"Authorization: {auth}", "-H", f"X-Amz-Date: {now}", path="/back/model", ca=d.ca, input=b"other" + body)
    assert b"403" in r.stdout and len(shown.got) == 1, r


@pytest.mark.parametrize("http", VERSIONS)
@pytest.mark.parametrize("field", ["X-Goog-Upload-URL", "Location"])
def test_uploads_that_this_sandbox_has_begun(bound, shown, http, field):
    """They go on by what an answer to one with the secret has said; those of others don't, whatever an error, or an answer to one without it, says."""
    d = bound("--service", "google")
    key = ("-H", f"X-Goog-Api-Key: {d.sentinel}")
    url = f"https://web.test:{d.port}/back/upload?upload_protocol=resumable&upload_id=%b"

    def say(head, body, s):
        code, name = (404, b"lied") if b"/lie" in head else (200, b"known" if b"x-goog-api-key" in head.lower() else b"nobodys")
        more = b"%b: %b\r\n" % (field.encode(), url.encode() % name) if b"/begin" in head or b"/lie" in head else b""
        s.sendall(b"HTTP/1.1 %d X\r\n%bContent-Length: 2\r\n\r\nok" % (code, more))

    shown.plans["say"] = say
    go_on = lambda name: d.curl(http, "-i", "-X", "PUT", "-d", "x", path=f"/back/upload?upload_id={name}&upload_protocol=resumable", ca=d.ca).stdout  # noqa: E731
    assert b"foreign-credential: query upload_id" in go_on("known")
    for path, more in (("/back/begin", key), ("/back/begin", ()), ("/back/lie", key)):
        d.curl(http, *more, path=path, ca=d.ca)
    assert [b"ok" in go_on(name) for name in ("known", "nobodys", "lied", "knowN", "another")] == [True] + [False] * 4
    assert [h.split(b" ")[1] for h, _ in shown.got].count(b"/back/upload?upload_id=known&upload_protocol=resumable") == 1


def test_rotation(bound, shown, store):
    d = bound()
    d.curl("-H", f"Authorization: Bearer {d.sentinel}", path="/back/x", ca=d.ca)
    store("rotate", "mine", value="another-value-another-value")
    assert d.keys.say({"reload": True}) == {"ok": True}
    d.curl("-H", f"Authorization: Bearer {d.sentinel}", path="/back/x", ca=d.ca)
    assert VALUE.encode() in shown.got[0][0] and b"another-value-another-value" in shown.got[1][0]


def meanwhile(shown, first, then, change):
    """A server that sends FIRST, and what THEN gives once CHANGE() was done."""
    begun, done = threading.Event(), threading.Event()

    def say(head, body, s):
        s.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n" % (len(first), first))
        begun.set()
        done.wait(30)
        for i in range(0, len(then), 11):
            s.sendall(b"%x\r\n%b\r\n" % (len(then[i:i + 11]), then[i:i + 11]))
        s.sendall(b"0\r\n\r\n")

    def run():
        if begun.wait(30):
            time.sleep(0.5)  # until what was sent has been passed on
            change()
        done.set()

    shown.plans["say"] = say
    t = threading.Thread(target=run)
    t.start()
    return t


@pytest.mark.parametrize("http", VERSIONS)
@pytest.mark.parametrize("kind", ["rotated", "moved", "as it was"])
def test_an_answer_that_began_before_a_rotation(bound, shown, store, http, kind):
    """It is searched for what comes after, whatever was kept of it at that moment, and goes on being searched for what was before; also where the secret has other hosts then."""
    new = "another-value-another-value"
    d = bound()

    def change():
        if kind == "moved":
            store("set", "mine", "--replace", "--host", "other.test", "--env", "MY_KEY", value=new)
        elif kind == "rotated":
            for value in (*(f"value-in-between-{n}" for n in range(EARLIER + 1)), new):
                store("rotate", "mine", value=value)
                assert d.keys.say({"reload": True})["ok"]
        assert d.keys.say({"reload": True})["ok"]

    t = meanwhile(shown, b"<" + VALUE[:9].encode(), VALUE[9:].encode() + b"|" + VALUE.encode() + b"|" + new.encode() + b"|" + base64.b64encode(new.encode()) + b">", change)
    r = d.curl(http, "-N", "-H", f"Authorization: Bearer {d.sentinel}", path="/back/x", ca=d.ca)
    t.join()
    assert r.returncode == 0 and r.stdout.startswith(f"<{d.sentinel}|{d.sentinel}|".encode()) and r.stdout.endswith(b">"), r
    assert (new.encode() in r.stdout, base64.b64encode(new.encode())[:-4] in r.stdout) == ((kind != "rotated"),) * 2, r


@pytest.mark.parametrize("http", VERSIONS)
@pytest.mark.parametrize("began", [True, False], ids=["began", "control"])
def test_an_answer_that_began_before_its_host_was_bound(bound, shown, store, http, began):
    """Its beginning was in the server's own framing, and not searched: it ends."""
    d = bound(host="other.test")

    def change():
        store("set", "mine", "--replace", "--host", "web.test", "--env", "MY_KEY")
        assert d.keys.say({"reload": True})["ok"]

    if not began:
        change()
    t = meanwhile(shown, b"<begun", VALUE.encode() + b">", change)
    r = d.curl(http, "-N", path="/back/x", ca=d.ca)
    t.join()
    assert VALUE.encode() not in r.stdout and (r.returncode == 0) == (not began), r
    assert r.stdout == (b"<begun" if began else f"<begun{d.sentinel}>".encode()), r


def memories(d):
    """Of the process, and of the one that reads the store."""
    readers = [int(p) for p in subprocess.run(["pgrep", "-P", str(d.keys.process.pid)], capture_output=True, check=True, text=True).stdout.split()]
    assert len(readers) == 1
    return [d.keys.process.pid, *readers]


def holders(d, value):
    """Which of them have a part of VALUE: the allocator writes over the beginning of what was freed."""
    parts = {value[8:24].encode(), base64.b64encode(value.encode())[12:28], value.encode().hex()[16:48].encode()}
    return [n for n, pid in enumerate(memories(d)) if any(d.keys.holds(p, pid) for p in parts)]


@pytest.mark.parametrize("http", VERSIONS)
def test_answers_with_an_earlier_value_are_scrubbed(bound, shown, store, http):
    """What a server has stored through the sentinel, read back when the value is another one; in any form, and when it is another one again."""
    d = bound()
    values = [VALUE, "second-value-second-value", "third-value-third-value"]
    forms = " ".join(f"{v} {base64.b64encode(v.encode()).decode()}" for v in values).encode()
    shown.plans["say"] = lambda head, body, s: s.sendall(b"HTTP/1.1 200 OK\r\nX-Was: %b\r\nContent-Length: %d\r\n\r\n%b" % (VALUE.encode(), len(forms), forms))
    for n, value in enumerate(values):
        if n > 0:
            store("rotate", "mine", value=value)
            assert d.keys.say({"reload": True}) == {"ok": True}
        r = d.curl(http, "-i", "-H", f"Authorization: Bearer {d.sentinel}", path="/back/x", ca=d.ca)
        assert value.encode() in shown.got[-1][0], "the newest is put in"
        for old in values[:n + 1]:
            assert old.encode() not in r.stdout and base64.b64encode(old.encode())[:-4] not in r.stdout, (n, r)
        assert all(v.encode() in r.stdout for v in values[n + 1:]), "the control: what it never was is text"


@pytest.mark.parametrize("http", VERSIONS)
def test_the_oldest_value_is_in_no_memory(bound, shown, store, http):
    """The last few stay with who takes them out of answers, and with nobody else; what is older is nowhere, in no form that answers are searched for."""
    d = bound()
    if d.keys.sanitized():
        pytest.skip("what was freed is kept in a build with sanitizers")
    values = [VALUE, *(f"another-value-{n}876543210zyxwv{n}" for n in range(EARLIER + 1))]
    for n, value in enumerate(values):
        if n > 0:
            store("rotate", "mine", value=value)
            assert d.keys.say({"reload": True}) == {"ok": True}
        assert d.curl(http, "-H", f"Authorization: Bearer {d.sentinel}", path="/back/x", ca=d.ca).returncode == 0
        assert value.encode() in shown.got[-1][0]
        assert holders(d, value) == [0], "the control: it is where it is used, and not where it was read"
        assert holders(d, VALUE) == ([0] if n <= EARLIER else [])


@pytest.mark.parametrize("http", VERSIONS)
def test_one_that_is_removed(bound, shown, store, http):
    """Its value goes, and its hosts can't be reached with what is left; set again it is bound again."""
    d = bound()
    use = ("-i", http, "-H", f"Authorization: Bearer {d.sentinel}")
    d.curl(*use, path="/back/x", ca=d.ca)
    assert VALUE.encode() in shown.got[0][0]
    assert d.keys.sanitized() or d.keys.holds(VALUE.encode())
    store("rm", "mine")
    answer = d.keys.say({"reload": True})
    assert answer["ok"] and "'mine' was removed" in answer["notice"]
    for more in (use, ("-i", http)):
        r = d.curl(*more, path="/back/x", ca=d.ca)
        assert b"403" in r.stdout.split(b"\r\n")[0] and b"secret-removed: the secret 'mine'" in r.stdout, r
    assert len(shown.got) == 1 and d.keys.requests(3)[2]["denied"] == 1
    assert d.keys.sanitized() or not d.keys.holds(VALUE[:20].encode())
    assert d.keys.say({"reload": True}) == {"ok": True}, "said once"
    store("set", "mine", "--host", "web.test", "--env", "MY_KEY", value="another-value-another-value")
    assert d.keys.say({"reload": True}) == {"ok": True}
    d.curl(*use, path="/back/x", ca=d.ca)
    assert b"another-value-another-value" in shown.got[1][0]


@pytest.mark.parametrize("http", VERSIONS)
def test_a_host_that_it_is_bound_to_no_more(bound, shown, store, http):
    """There the sandbox's own credentials are foreign as before, and what the host has stored of the secret doesn't come back."""
    d = bound()
    use = ("-i", http, "-H", f"Authorization: Bearer {d.sentinel}")
    d.curl(*use, path="/back/x", ca=d.ca)
    assert VALUE.encode() in shown.got[0][0]
    shown.plans["say"] = lambda head, body, s: s.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(VALUE), VALUE.encode()))
    for host in ("other.test", "*.web.test"):
        store("set", "mine", "--replace", "--host", host, "--env", "MY_KEY", value="another-value-another-value")
        answer = d.keys.say({"reload": True})
        assert answer["ok"] and "is not bound to" in answer["notice"]
        for more in (use, ("-i", http), ("-i", http, "-H", "Authorization: Bearer other-key-other-key")):
            r = d.curl(*more, path="/back/x", ca=d.ca)
            assert b"403" in r.stdout.split(b"\r\n")[0] and b"secret-unbound: the secret 'mine'" in r.stdout and VALUE.encode() not in r.stdout, r
    assert len(shown.got) == 1
    store("set", "mine", "--replace", "--host", "web.test", "--env", "MY_KEY", value="third-value-third-value")
    assert d.keys.say({"reload": True})["ok"]
    r = d.curl(*use, path="/back/x", ca=d.ca)
    assert b"third-value-third-value" in shown.got[1][0] and VALUE.encode() not in r.stdout and b"200" in r.stdout.split(b"\r\n")[0]


def test_one_that_fails_does_not_hold_up_the_others(store, door, nginx, shown, tmp_path):
    """A command that hangs, one that fails, a file that is damaged: the other is changed at once."""
    gate = tmp_path / "gate"
    for name, then in (("slow", "sleep 50"), ("bad", "exit 3")):
        store("set", name, "--host", f"{name}.test", "--command", f"""[ -e {gate} ] && {then}; echo '{{"value":"12345678-{name}","expires_in":4}}'""")
    store("set", "torn", "--host", "torn.test")
    told = store("set", "mine", "--host", "web.test", "--env", "MY_KEY")
    d = door(nginx, **{**told, "secrets": ["slow", "bad", "torn", "mine"]})
    use = ("-H", f"Authorization: Bearer {d.keys.hello['env']['MY_KEY']}")
    gate.touch()
    time.sleep(4.5)  # both commands are due
    assert "'bad': the command has failed (exit status 3)" in line(d)["notice"]
    torn = tmp_path / "state/secrets/torn.secret"
    torn.write_bytes(torn.read_bytes()[:20])
    store("rotate", "mine", value="another-value-another-value")
    begun = time.monotonic()
    answer = d.keys.say({"reload": True})
    while "ok" not in answer:
        answer = line(d)
    assert "'torn'" in answer["notice"] and "stays as it was" in answer["notice"] and time.monotonic() - begun < 10
    d.curl(*use, path="/back/x", ca=d.ca)
    assert b"another-value-another-value" in shown.got[0][0]


def test_a_command_is_run_where_no_sandbox_writes(store, keys, tmp_path, monkeypatch):
    """When it is kept, and when a sandbox begins: in "/", and no entry of PATH is relative."""
    monkeypatch.chdir(tmp_path)
    told, path = tmp_path / "told", f".:{os.environ['PATH']}::bin"
    monkeypatch.setenv("PATH", path)
    (tmp_path / "planted").write_text("#!/bin/sh\necho planted-planted\n")
    (tmp_path / "planted").chmod(0o755)
    where = store("set", "mine", "--host", "web.test", "--command", f"echo $(pwd):$PATH >> {told}; ! planted && echo {VALUE}")
    k = keys(env={"PATH": path}, **where)
    assert k.hello.get("error") is None
    clean = ":".join(p for p in path.split(":") if p.startswith("/"))
    assert told.read_text() == f"/:{clean}\n" * 2


def line(d):
    return json.loads(d.keys.lines.readline())


@pytest.mark.parametrize("expires", [True, False], ids=["expires", "control"])
def test_a_command_is_run_before_its_value_expires(store, door, nginx, shown, tmp_path, expires):
    count = tmp_path / "count"
    says = f"""echo >> {count}; n=$(wc -l < {count}); echo '{{"value":"value-of-run-'$n'"{', "expires_in":12' if expires else ''}}}'"""
    d = door(nginx, **store("set", "mine", "--host", "web.test", "--env", "MY_KEY", "--command", says))
    use = ("-H", f"Authorization: Bearer {d.keys.hello['env']['MY_KEY']}")
    d.curl(*use, path="/back/x", ca=d.ca)
    began = len(count.read_text())
    time.sleep(8)
    d.curl(*use, path="/back/x", ca=d.ca)
    now = len(count.read_text())
    assert now == began + expires
    assert [b"value-of-run-%d\r" % n in head for n, (head, _) in zip((began, now), shown.got)] == [True, True], shown.got
    # a change of the store runs no command that is not due
    assert d.keys.say({"reload": True}) == {"ok": True} and len(count.read_text()) == now


PAIRS = """n=$(($(cat {0} 2>/dev/null || echo 0) + 1)); echo $n > {0}
printf '{{"Version":1,"AccessKeyId":"ASIAREALREALREAL%04d","SecretAccessKey":"real-secret-real-secret-real-secret-%05d","SessionToken":"token/of+run==%d","Expiration":"%s"}}' \
    $n $n $n $(date -u -d '+{1} seconds' +%Y-%m-%dT%H:%M:%SZ)"""


@pytest.mark.parametrize("secs", [12, 600], ids=["expires", "control"])
def test_a_command_gives_pairs_of_aws(store, door, plain, authority, tmp_path, secs):
    """As credential_process says it, with a session's token: the request after the change is signed by the new pair, what the sandbox has stays as it was."""
    host, kept, count = "bucket.s3.eu-west-1.amazonaws.com", [], tmp_path / "count"

    def serve(head, s, f):
        kept.append(head)
        s.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    server = plain(serve, cert=authority.issue(f"s3-process-{secs}", f"DNS:{host}"))
    d = door(server, host=host, **store("set", "aws", "--service", "aws", "--command", PAIRS.format(count, secs)))
    d.port = 443
    env = d.keys.hello["env"]
    client = sigv4.Client((env["AWS_ACCESS_KEY_ID"], env["AWS_SECRET_ACCESS_KEY"]))

    def by():
        """The run whose pair, and token, a server takes the request for."""
        kept.clear()
        with d.talk(d.trust) as s:
            assert status(ask(s, client.sign("GET", "/key").bytes())[0]) == 200
        servers = {n: sigv4.Server((f"ASIAREALREALREAL{n:04d}", f"real-secret-real-secret-real-secret-{n:05d}"), token=f"token/of+run=={n}") for n in range(1, 9)}
        return [n for n, s in servers.items() if s.check(sigv4.Message.parse(kept[0])) == ""]

    began = int(count.read_text())
    assert by() == [began]
    end = time.monotonic() + 30
    while secs == 12 and int(count.read_text()) == began and time.monotonic() < end:
        time.sleep(0.2)
    time.sleep(1 if secs == 12 else 8)
    now = int(count.read_text())
    assert (now > began) == (secs == 12) and by() == [now]
    assert d.keys.hello["env"] == env and d.keys.say({"reload": True}) == {"ok": True}


def test_the_reader_of_secrets_dies(bound, shown):
    d = bound()
    children = subprocess.run(["pgrep", "-P", str(d.keys.process.pid)], capture_output=True, check=True, text=True).stdout.split()
    assert len(children) == 1
    os.kill(int(children[0]), signal.SIGKILL)
    time.sleep(0.2)
    assert "is gone" in d.keys.say({"reload": True})["error"]
    d.curl("-H", f"Authorization: Bearer {d.sentinel}", path="/back/x", ca=d.ca)
    assert VALUE.encode() in shown.got[0][0]


def test_a_secret_that_is_not_there(store):
    told = store("set", "mine", "--host", "web.test")
    for secrets in (["other"], ["mine", "other"]):
        k = Keys(roots=[], **{**told, "secrets": secrets})
        assert "other" in k.hello["error"]
        assert k.process.wait(10) == 1
        k.close()


@pytest.mark.parametrize("how", ["bound", "own", "unbound"])
@pytest.mark.parametrize("name", [b"Authorization", b"Cookie", b"X-Api-Key", b"X-Sum"])
def test_trailers_that_authenticate_do_not_arrive(store, door, plain, name, how):
    """Of HTTP/1.1, behind a body in chunks; those of HTTP/2 are in test_h2.py. Some names no trailer has at any host; at a bound one none is sent on at all."""
    got = []

    def serve(head, s, f):
        text = b""
        while not text.endswith(b"\r\n\r\n"):
            line = f.readline()
            if not line:
                return False
            text += line
        got.append(head + text)
        s.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        return True

    d = door(plain(serve), own=["web.test"] if how == "own" else [], **store("set", "mine", "--host", "other.test" if how == "unbound" else "web.test", "--env", "MY_KEY"))
    with d.talk(d.trust) as s:
        head, _ = ask(s, get(d, b"/take", b"Transfer-Encoding: chunked\r\n", method=b"POST") + b"3\r\nabc\r\n0\r\n%b: another-key\r\n\r\n" % name)
    if name in (b"Authorization", b"Cookie"):
        assert status(head) == 400 and b"another-key" not in b"".join(got), (head, got)
    else:
        assert status(head) == 200 and len(got) == 1 and got[0].endswith(b"3\r\nabc\r\n0\r\n%b\r\n" % (b"%b: another-key\r\n" % name if how == "unbound" else b"")), (head, got)


@pytest.mark.parametrize("bound_to", ["web.test", "other.test"], ids=["bound", "control"])
def test_hints_and_trailers_of_answers_are_scrubbed(store, door, plain, bound_to):
    """Of HTTP/1.1; those of HTTP/2 are in test_h2.py."""
    def serve(head, s, f):
        s.sendall(b"HTTP/1.1 103 Early Hints\r\nLink: <%b>\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-Sum: <%b>\r\nX-Hex: %b\r\n\r\n" %
                  (VALUE.encode(), VALUE.encode(), VALUE.encode().hex().encode()))
        return False

    d = door(plain(serve), **store("set", "mine", "--host", bound_to, "--env", "MY_KEY"))
    with d.talk(d.trust) as s:
        s.sendall(get(d))
        got = b""
        while more := s.recv(4096):
            got += more
    hints, _, rest = got.partition(b"\r\n\r\n")
    assert hints.startswith(b"HTTP/1.1 103") and b"\r\n2\r\nok\r\n0\r\n" in rest, got
    if bound_to == "other.test":
        assert b"Link: <%b>" % VALUE.encode() in hints and b"X-Sum: <%b>" % VALUE.encode() in rest and VALUE.encode().hex().encode() in rest, got
    else:
        assert b"Link: <%b>" % d.keys.hello["env"]["MY_KEY"].encode() in hints and VALUE.encode() not in got and VALUE.encode().hex().encode() not in got, got
        assert rest.endswith(b"0\r\n\r\n"), "trailers of a bound host are left out"


@pytest.mark.parametrize("tls", [True])
def test_the_upgrade_carries_it_too(store, door, plain, tls):
    def serve(head, s, f):
        s.sendall(b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n")
        return False

    server = plain(serve)
    d = door(server, **store("set", "mine", "--host", "web.test", "--env", "MY_KEY"))
    with d.talk(d.trust) as s:
        head, _ = ask(s, get(d, b"/", b"Connection: upgrade\r\nUpgrade: websocket\r\nAuthorization: Bearer %b\r\n" % d.keys.hello["env"]["MY_KEY"].encode()))
        assert status(head) == 101 and closed(s)
    assert VALUE.encode() in server.heads[0]


HOST = "bucket.s3.eu-west-1.amazonaws.com"
PARTS = {"A_ID": "AKIAIOSFODNN7EXAMPLE", "A_KEY": "canary-key-of-the-first", "B_ID": "AKIAI44QH8DHBEXAMPLE", "B_KEY": "canary-key-of-the-second"}


@pytest.fixture
def signing(door, plain, authority):
    """masks of two pairs; ask(ID, KEY) signs with their sentinels: (status, what the answer says, who a server takes it for)."""
    kept = []

    def serve(head, s, f):
        kept.append(head)
        s.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        return True

    server = plain(serve, cert=authority.issue("s3-pairs", f"DNS:{HOST}"))
    fake = {name: (f"AKIABAILEYTEST{name.replace('_', 'X')}" if name.endswith("ID") else f"bailey-secret-{name.lower()}-sentinel") for name in PARTS}

    def make(**pairs):
        d = door(server, host=HOST, own=["**"], pairs=pairs, masks=[{"name": n, "value": v, "sentinel": fake[n], "hosts": [HOST]} for n, v in PARTS.items()])
        d.port = 443

        def sign(id_, key, s, how="head"):
            kept.clear()
            client = sigv4.Client((fake[id_], fake[key]))
            s.sendall((client.presign("GET", "/key") if how == "url" else client.sign("GET", "/key")).bytes())
            r = http.client.HTTPResponse(s)
            r.begin()
            body = r.read()
            who = [n for n in ("A", "B") for k in ("A_KEY", "B_KEY") if kept and sigv4.Server((PARTS[f"{n}_ID"], PARTS[k])).check(sigv4.Message.parse(kept[0])) == ""]
            return r.status, body.decode().strip(), who

        return d, sign

    return make


def test_pairs_change_while_requests_come(signing):
    d, sign = signing(sign=[[0, 1]])
    with d.talk(d.trust) as s:  # one connection all the time: it is the next request that counts
        assert sign("A_ID", "A_KEY", s) == (200, "", ["A"])
        assert sign("B_ID", "B_KEY", s)[2] == [], "control: it is no pair yet"
        assert d.keys.say({"pairs": {"sign": [[2, 3]]}}) == {"ok": True}
        assert sign("B_ID", "B_KEY", s) == (200, "", ["B"])
        got = sign("A_ID", "A_KEY", s)
    assert got[0] == 403 and "pair-removed" in got[1] and got[2] == []
    with d.talk(d.trust) as s:
        assert list(d.keys.say({"pairs": {"sign": [[0, 9]]}})) == ["error"]
        assert sign("B_ID", "B_KEY", s) == (200, "", ["B"]), "what was refused has changed nothing"
        assert d.keys.say({"pairs": {"sign": [[0, 1], [2, 3]]}}) == {"ok": True}
        assert sign("A_ID", "A_KEY", s) == (200, "", ["A"]) and sign("B_ID", "B_KEY", s) == (200, "", ["B"]), "two at one host"
        assert d.keys.say({"pairs": {"sign": [[0, 3]]}}) == {"ok": True}
        assert sign("A_ID", "B_KEY", s)[0] == 200, "other parts, another pair"


def test_ways_of_signing_change_while_requests_come(signing):
    d, sign = signing(sign=[[0, 1]], urls=False)
    for urls in (False, True, False):
        assert d.keys.say({"pairs": {"urls": urls}}) == {"ok": True}
        with d.talk(d.trust) as s:
            got = sign("A_ID", "A_KEY", s, "url")
        assert (got[0], got[2]) == ((200, ["A"]) if urls else (403, [])) and ("presigned" in got[1]) != urls, got
