# SPDX-License-Identifier: Apache-2.0
"""Log-ins whose tokens stay outside: an authorization server and an API that know what they were given, and a client that has only stand-ins."""
import base64
import json
import os
import secrets
import signal
import ssl
import subprocess
import threading
import time
import urllib.parse

import pytest

from harness import Door, Keys
from test_h1 import status

TOKEN, API = "auth.test", "api.test"
LOGIN: dict = {"name": "own", "token": [f"https://{TOKEN}/oauth/token"], "hosts": [API]}
VERSIONS = ["--http1.1", "--http2"]
LOGIN_TOKENS = 32  # of src/keys/login.h


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def jwt(claims: dict) -> str:
    return ".".join([b64(b'{"alg":"ES256","typ":"JWT"}'), b64(json.dumps(claims).encode()), b64(secrets.token_bytes(64))])


class Service:
    """Both servers, in one: it gives tokens for a code and for a refresh token, and answers who brings one that is in force."""

    def __init__(self, form="opaque"):
        self.form = form
        self.access = self.refresh = ""
        self.given: list[str] = []
        self.seen: list[tuple[bytes, bytes]] = []
        self.plan = None

    def make(self) -> dict:
        self.access = jwt({"sub": "me", "exp": 1 << 33}) if self.form == "jwt" else "sk-ant-oat01-" + secrets.token_urlsafe(60)
        self.refresh = "1//0" + secrets.token_urlsafe(40) + "/+="  # such as a form has to encode
        got: dict = {"access_token": self.access, "refresh_token": self.refresh, "id_token": jwt({"email": "me@example.org"}), "token_type": "Bearer", "expires_in": 3600,
               "account": {"uuid": "1"}}
        self.given += [got["access_token"], got["refresh_token"], got["id_token"]]
        return got

    def token(self, head, body) -> tuple[int, dict]:
        if b"content-type: application/json" in head.lower():
            asked = json.loads(body)
        else:
            asked = dict(urllib.parse.parse_qsl(body.decode(), keep_blank_values=True))
        if asked.get("grant_type") == "authorization_code" and asked.get("code") == "the-code":
            return 200, self.make()
        if asked.get("grant_type") == "refresh_token" and asked.get("refresh_token") == self.refresh:
            return 200, self.make()
        return 400, {"error": "invalid_grant"}

    def __call__(self, head, s, f):
        n = 0
        for line in head.lower().split(b"\r\n"):
            if line.startswith(b"content-length:"):
                n = int(line.split(b":")[1])
        body = f.read(n)
        self.seen.append((head, body))
        kind, extra = b"application/json", b""
        if self.plan:
            code, kind, extra, text = self.plan
        elif b" /oauth/token " in head.split(b"\r\n")[0] or b"/oauth" in head.split(b"\r\n")[0]:
            code, answer = self.token(head, body)
            text = json.dumps(answer).encode()
        else:
            bearer = next((line.split(b" ", 1)[1] for line in head.split(b"\r\n") if line.lower().startswith(b"authorization:")), b"")
            good = bearer == b"Bearer " + self.access.encode()
            code, text = (200, b'{"you":"are in","echo":"%b"}' % bearer) if good else (401, b'{"error":"who are you"}')
        s.sendall(b"HTTP/1.1 %d X\r\nContent-Type: %b\r\n%bContent-Length: %d\r\n\r\n%b" % (code, kind, extra, len(text), text))


@pytest.fixture(scope="session")
def cert(authority):
    return authority.issue("login", f"DNS:{TOKEN},DNS:{API},DNS:else.test")


@pytest.fixture
def world(keys, plain, cert, tmp_path):
    """One process of it, with a door to each of the two hosts."""

    def make(form="opaque", logins=(LOGIN,), **kw):
        service = Service(form)
        server = plain(service, cert=cert)
        k = keys(logins=list(logins), inspect=[TOKEN, API, "else.test"], **kw)
        doors = {}
        for host in (TOKEN, API, "else.test"):
            d = doors[host] = Door(k, host, server.address)
            d.port = 443


            d.trust = ssl.create_default_context(cadata=k.hello["ca"])
        return type("World", (), {"service": service, "server": server, "keys": k, "doors": doors})

    return make


def request(d, method, path, body=b"", **fields):
    fields = {k.replace("_", "-"): v for k, v in fields.items()}
    if body:
        fields["Content-Length"] = str(len(body))
    lines = "".join(f"{k}: {v}\r\n" for k, v in fields.items())
    return f"{method} {path} HTTP/1.1\r\nHost: {d.host}\r\n{lines}\r\n".encode() + body


def exchange(s, data):
    """Status and body, in whatever framing."""
    s.sendall(data)
    f = s.makefile("rb")
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        line = f.readline()
        if not line:
            return 0, head
        head += line
    body = b""
    if b"chunked" in head.lower():
        while True:
            line = f.readline()
            if not line:
                return -1, body
            if not (n := int(line, 16)):
                break
            body += f.read(n)
            f.readline()
        f.readline()
    else:
        body = f.read(int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0]))
    return status(head), body


def log_in(w, kind="form"):
    d = w.doors[TOKEN]
    asked = {"grant_type": "authorization_code", "code": "the-code", "code_verifier": "x" * 43}
    with d.talk(d.trust) as s:
        if kind == "form":
            code, body = exchange(s, request(d, "POST", "/oauth/token", urllib.parse.urlencode(asked).encode(), Content_Type="application/x-www-form-urlencoded"))
        else:
            code, body = exchange(s, request(d, "POST", "/oauth/token", json.dumps(asked).encode(), Content_Type="application/json; charset=utf-8", Accept_Encoding="gzip"))
    assert code == 200, body
    assert not [t for t in w.service.given if t.encode() in body]
    return json.loads(body)


def call(w, token, host=API, scheme="Bearer "):
    d = w.doors[host]
    with d.talk(d.trust) as s:
        return exchange(s, request(d, "GET", "/v1/me", Authorization=scheme + token))


def refresh(w, token, kind):
    d = w.doors[TOKEN]
    asked = {"grant_type": "refresh_token", "refresh_token": token, "client_id": "x"}
    data = json.dumps(asked) if kind == "json" else urllib.parse.urlencode(asked)
    with d.talk(d.trust) as s:
        return exchange(s, request(d, "POST", "/oauth/token", data.encode(), Content_Type="application/json" if kind == "json" else "application/x-www-form-urlencoded"))


@pytest.mark.parametrize("form", ["opaque", "jwt"])
@pytest.mark.parametrize("kind", ["form", "json"])
def test_a_log_in_its_use_and_its_renewal(world, form, kind):
    w = world(form)
    assert set(w.keys.hello["hosts"]) == {TOKEN, API}
    got = log_in(w, kind)
    head = w.service.seen[0][0].lower()
    assert b"accept-encoding: identity" in head and b"gzip" not in head and b"accept: application/json" in head
    assert {k: v for k, v in got.items() if "token" not in k or k == "token_type"} == {"token_type": "Bearer", "expires_in": 3600, "account": {"uuid": "1"}}
    # of the same form: a JWT with the same claims, a token with the same beginning and length
    if form == "jwt":
        assert got["access_token"].split(".")[:2] == w.service.access.split(".")[:2] and got["access_token"] != w.service.access
    else:
        assert got["access_token"].startswith("sk-ant-oat01-bailey-secret-")
    assert len(got["access_token"]) == len(w.service.access) and got["refresh_token"].startswith("1//")
    assert got["id_token"].split(".")[1] == w.service.given[2].split(".")[1]
    # the API gets the real one, and what it shows of it is the stand-in
    code, body = call(w, got["access_token"])
    assert code == 200 and json.loads(body)["echo"] == "Bearer " + got["access_token"], body
    assert ("Bearer " + w.service.access).encode() in w.service.seen[-1][0]
    old = got
    for again in ("form", "json"):
        code, body = refresh(w, got["refresh_token"], again)
        assert code == 200, body
        got = json.loads(body)
        assert got["access_token"] != old["access_token"] and not [t for t in w.service.given if t.encode() in body]
        assert call(w, got["access_token"])[0] == 200
    assert call(w, old["access_token"])[0] == 401, "an old one is what it is"
    lines = w.keys.requests(6)
    assert [e["secret"] for e in lines][:3] == ["", "own", "own"], lines
    # control: without it the same server gives the same client the tokens themselves
    w2 = world(form, logins=())
    d = w2.doors[TOKEN]
    with d.talk(d.trust) as s:
        _, body = exchange(s, request(d, "POST", "/oauth/token", b"grant_type=authorization_code&code=the-code", Content_Type="application/x-www-form-urlencoded"))
    assert json.loads(body)["access_token"] == w2.service.access


def test_the_stand_in_means_nothing_elsewhere(world):
    w = world()
    got = log_in(w)
    assert call(w, got["access_token"], host="else.test")[0] == 401
    assert w.service.access.encode() not in w.service.seen[-1][0] and got["access_token"].encode() in w.service.seen[-1][0]
    # nor in the body of another request of the API, in its query, or in a field that is none of its ways
    d = w.doors[API]
    with d.talk(d.trust) as s:
        exchange(s, request(d, "POST", "/v1/notes?t=" + got["access_token"], json.dumps({"text": got["access_token"]}).encode(), Content_Type="application/json", X_Note=got["access_token"]))
    assert not [t for t in w.service.given if t.encode() in b"".join(w.service.seen[-1])]


@pytest.mark.parametrize("scheme", ["Bearer ", "bearer ", "token ", "Basic"])
def test_the_ways_in_which_it_is_sent(world, scheme):
    w = world()
    got = log_in(w)
    if scheme == "Basic":
        call(w, base64.b64encode(b"me:" + got["access_token"].encode()).decode(), scheme="Basic ")
        sent = w.service.seen[-1][0].split(b"Basic ")[1].split(b"\r\n")[0]
        assert base64.b64decode(sent) == b"me:" + w.service.access.encode()
    else:
        call(w, got["access_token"], scheme=scheme)
        assert w.service.access.encode() in w.service.seen[-1][0]


def test_other_credentials_are_not_its_business(world):
    w = world()
    log_in(w)
    code, _ = call(w, "another-token-of-somebody")
    assert code == 401 and b"another-token-of-somebody" in w.service.seen[-1][0]


@pytest.mark.parametrize("path", ["/oauth/token", "//oauth/./token", "/oauth/%74oken", "/OAuth/Token", "/x/../oauth/token", "/oauth/token/", "/oauth/token;a", "/api/oauth/other"])
def test_no_spelling_of_the_path_gives_a_token_away(world, path):
    w = world()
    d = w.doors[TOKEN]
    with d.talk(d.trust) as s:
        code, body = exchange(s, request(d, "POST", path, b"grant_type=authorization_code&code=the-code", Content_Type="application/x-www-form-urlencoded"))
    assert w.service.given == [] or not [t for t in w.service.given if t.encode() in body], (path, body)
    assert code != 200 or b"bailey-secret-" in body


@pytest.mark.parametrize("path, good", [
    ("/oauth/token", True), ("/oauth/token?x=/../y", True),
    ("//oauth/token", False), ("/./oauth/token", False), ("/x/../oauth/token", False), ("/oauth/%74oken", False), ("/oauth/token/", False), ("/oauth/token;a", False),
    ("/OAuth/Token", False), ("/oauth/token.json", False), ("/x%2f..%2foauth/token", False), ("/oauth/token%3fx", False),
])  # fmt: skip
def test_a_token_is_put_only_where_it_belongs(world, path, good):
    """What comes is caught however the path is written; what goes out asks for the path as the log-in has it."""
    w = world()
    d, token, real = w.doors[TOKEN], log_in(w)["refresh_token"], w.service.refresh
    for kind, data in (("application/json", json.dumps({"refresh_token": token})), ("application/x-www-form-urlencoded", f"refresh_token={urllib.parse.quote(token)}")):
        with d.talk(d.trust) as s:
            exchange(s, request(d, "POST", path, data.encode(), Content_Type=kind))
        head, body = w.service.seen[-1]
        assert head.split(b" ")[1] == path.encode()
        assert (real.encode() in body or urllib.parse.quote(real, safe="").encode() in body) == good and (b"bailey-secret-" in body) == (not good), body


def test_a_path_with_a_slash_at_its_end(world):
    w = world(logins=({"name": "own", "token": [f"https://{TOKEN}/oauth/token/"]},))
    d, token = w.doors[TOKEN], log_in(w)["refresh_token"]
    for path in ("/oauth/token/", "/oauth/token"):
        with d.talk(d.trust) as s:
            exchange(s, request(d, "POST", path, json.dumps({"refresh_token": token}).encode(), Content_Type="application/json"))
        assert (b"bailey-secret-" in w.service.seen[-1][1]) == (path == "/oauth/token")


PLANS = {
    "text": (200, b"text/plain", b"", b"access_token=gho_16C7e42F292c6912E7710c838347Ae178B4a&scope=repo"),
    "no-type": (200, b"", b"", b'{"access_token": "gho_16C7e42F292c6912E7710c838347Ae178B4a"}'),
    "gzip": (200, b"application/json", b"Content-Encoding: gzip\r\n", b"\x1f\x8b\x08\x00"),
    "broken": (200, b"application/json", b"", b'{"access_token": "gho_16C7e42F292c6912E7710c838347Ae178B4a"'),
    "twice": (200, b"application/json", b"", b'{"access_token": "a", "access_token": "gho_16C7e42F292c6912E7710c838347Ae178B4a"}'),
    "short": (200, b"application/json", b"", b'{"access_token": "gho_16"}'),
    "number": (200, b"application/json", b"", b'{"access_token": 123456789012}'),
    "odd": (200, b"application/json", b"", b'{"access_token": "gho_16C7e42F292c\\"6912E7710c838347Ae178B4a"}'),
    "long": (200, b"application/json", b"", b'{"access_token": "gho_16C7e42F292c6912E7710c838347Ae178B4a", "x": "' + b"x" * 70000 + b'"}'),
}


@pytest.mark.parametrize("what", PLANS)
def test_what_is_not_understood_is_not_passed_on(world, what):
    w = world()
    w.service.plan = PLANS[what]
    d = w.doors[TOKEN]
    with d.talk(d.trust) as s:
        code, body = exchange(s, request(d, "POST", "/oauth/token", b"grant_type=x", Content_Type="application/x-www-form-urlencoded"))
    assert code != 200 and b"gho_16" not in body, (code, body)
    e = w.keys.wait(lambda e: "login" in e["why"])
    assert "gho_" not in e["why"]
    # the twin: the same place, an answer that is understood
    w.service.plan = (200, b"application/json", b"", b'{"error":"authorization_pending"}')
    with d.talk(d.trust) as s:
        code, body = exchange(s, request(d, "POST", "/oauth/token", b"grant_type=x", Content_Type="application/x-www-form-urlencoded"))
    assert (code, json.loads(body)) == (200, {"error": "authorization_pending"})


def test_an_error_that_is_no_json_passes(world):
    w = world()
    w.service.plan = (503, b"text/html", b"", b"<h1>come back later</h1>")
    d = w.doors[TOKEN]
    with d.talk(d.trust) as s:
        assert exchange(s, request(d, "POST", "/oauth/token", b"a=b", Content_Type="application/x-www-form-urlencoded")) == (503, b"<h1>come back later</h1>")


@pytest.mark.parametrize("http", VERSIONS)
def test_both_versions_of_http(keys, nginx, web, sink, monkeypatch, tmp_path, http):
    """Behind nginx, which speaks both."""
    service = Service()
    monkeypatch.setattr(sink, "answer", service)
    k = keys(logins=[{"name": "own", "token": ["https://web.test/back/oauth/token"]}], inspect=["web.test"])
    d = Door(k, "web.test", nginx)
    ca = tmp_path / "ca.pem"
    ca.write_text(k.hello["ca"])
    try:
        r = d.curl(http, "-d", "grant_type=authorization_code&code=the-code", path="/back/oauth/token", ca=ca)
        got = json.loads(r.stdout)
        assert "bailey-secret-" in got["access_token"] and not [t for t in service.given if t.encode() in r.stdout]
        r = d.curl(http, "-H", f"Authorization: Bearer {got['access_token']}", path="/back/me", ca=ca)
        assert b"are in" in r.stdout, r
        r = d.curl(http, "--data-urlencode", f"refresh_token={got['refresh_token']}", "-d", "grant_type=refresh_token", path="/back/oauth/token", ca=ca)
        assert "bailey-secret-" in json.loads(r.stdout)["access_token"], r
    finally:
        d.close()


def test_what_a_sandbox_that_stays_keeps(world, tmp_path):
    own = tmp_path / "box"
    own.mkdir(mode=0o700)
    w = world(own_store=str(own), own_secrets=[])
    got = log_in(w)
    kept = own / "secrets" / "logins.kept"
    for _ in range(100):
        if kept.exists():
            break
        time.sleep(0.05)
    assert kept.stat().st_mode & 0o77 == 0 and not [t for t in w.service.given if t.encode() in kept.read_bytes()]
    # another process of it, later: what the sandbox has still means the same
    w2 = world(own_store=str(own), own_secrets=[])
    w2.service.access, w2.service.refresh, w2.service.given = w.service.access, w.service.refresh, list(w.service.given)
    assert call(w2, got["access_token"])[0] == 200
    code, body = refresh(w2, got["refresh_token"], "json")
    assert code == 200 and not [t for t in w2.service.given if t.encode() in body]
    # not where that log-in is not asked for, and never without the sandbox's own store
    w3 = world(own_store=str(own), own_secrets=[], logins=[{**LOGIN, "name": "another"}])
    w3.service.access = w.service.access
    assert call(w3, got["access_token"])[0] == 401
    # one that was changed is no start
    data = bytearray(kept.read_bytes())
    data[-1] ^= 1
    kept.write_bytes(data)

    k = Keys(logins=[LOGIN], own_store=str(own), own_secrets=[], inspect=[])
    assert "logins" in k.hello["error"] or "changed" in k.hello["error"], k.hello
    k.process.wait(10)
    k.close()


def test_who_keeps_them_is_slow(world, tmp_path):
    """More than its socket takes: what comes later is read as what it is, and the newest tokens are kept."""
    own = tmp_path / "box"
    own.mkdir(mode=0o700)
    w = world(own_store=str(own), own_secrets=[])
    log_in(w)
    kept = own / "secrets" / "logins.kept"
    while not kept.exists():
        time.sleep(0.05)
    reader = int(subprocess.run(["pgrep", "-P", str(w.keys.process.pid)], capture_output=True, check=True, text=True).stdout)
    os.kill(reader, signal.SIGSTOP)
    d = w.doors[TOKEN]
    for _ in range(8):  # each time all of them are sent: 96 KiB in the end
        given = ["gho_" + secrets.token_urlsafe(2800) for _ in range(8)]
        w.service.plan = (200, b"application/json", b"", json.dumps([{"access_token": t} for t in given]).encode())
        with d.talk(d.trust) as s:
            code, body = exchange(s, request(d, "POST", "/oauth/token", b"a=b", Content_Type="application/x-www-form-urlencoded"))
        assert code == 200
    w.service.plan = None
    w.keys.control.sendall(b'{"reload":true}\n')
    os.kill(reader, signal.SIGCONT)
    lines = [json.loads(w.keys.lines.readline())]
    while "ok" not in lines[-1]:
        lines.append(json.loads(w.keys.lines.readline()))
    assert lines[-1] == {"ok": True} and not [x for x in lines if "can't be kept" in x.get("notice", "")], lines
    assert w.keys.say({"reload": True}) == {"ok": True}, "what waited behind that is written, too"
    w2 = world(own_store=str(own), own_secrets=[])
    w2.service.access = given[-1]
    assert call(w2, json.loads(body)[-1]["access_token"])[0] == 200


def test_a_run_leaves_nothing(world, tmp_path):
    w = world()
    log_in(w)
    assert list(tmp_path.iterdir()) == []
    assert w.keys.holds(w.service.access.encode()), "the control: it is in this process"


def test_people_are_told_once(world):
    w = world()
    log_in(w)
    log_in(w)
    line = json.loads(w.keys.lines.readline())
    assert line == {"notice": "log-in 'own': its tokens stay outside, the command has stand-ins"}
    assert w.keys.say({"reload": True}) == {"ok": True}, "and no other line is before that"


def test_many_tokens_are_bounded(world):
    w = world()
    first = log_in(w)
    last = first
    for _ in range(15):
        last = log_in(w)
    assert call(w, last["access_token"])[0] == 200
    w.service.access = w.service.given[0]
    assert call(w, first["access_token"])[0] == 401, "the oldest was forgotten"


def test_many_tokens_in_one_answer(world):
    """As many as are kept are stood in for, each; an answer with more is refused, and what it has does not get inside."""
    w = world()
    d = w.doors[TOKEN]

    def answer(n):
        given = ["gho_" + secrets.token_urlsafe(60) for _ in range(n)]
        w.service.plan = (200, b"application/json", b"", json.dumps([{"access_token": t} for t in given]).encode())
        with d.talk(d.trust) as s:
            code, body = exchange(s, request(d, "POST", "/oauth/token", b"a=b", Content_Type="application/x-www-form-urlencoded"))
        w.service.plan = None
        assert not [t for t in given if t.encode() in body]
        return code, body, given

    for _ in range(2):
        code, body, given = answer(LOGIN_TOKENS)
        got = [e["access_token"] for e in json.loads(body)]
        assert code == 200 and len(set(got)) == LOGIN_TOKENS and all("bailey-secret-" in t for t in got), body
        for k in (0, -1):
            w.service.access = given[k]
            assert call(w, got[k])[0] == 200
    code, body, _ = answer(LOGIN_TOKENS + 1)
    assert code != 200 and b"bailey-secret" not in body, (code, body)
    assert "more than 32 tokens" in w.keys.wait(lambda e: "tokens" in e["why"])["why"]
    assert call(w, log_in(w)["access_token"])[0] == 200


def test_one_that_is_given_again_is_not_the_oldest(world):
    """A refresh token that stays the same while access tokens come and go."""
    w = world()
    same = "1//0" + secrets.token_urlsafe(60)
    d = w.doors[TOKEN]
    for _ in range(LOGIN_TOKENS):
        fresh = "gho_" + secrets.token_urlsafe(60)
        w.service.plan = (200, b"application/json", b"", json.dumps({"refresh_token": same, "access_token": fresh}).encode())
        with d.talk(d.trust) as s:
            code, body = exchange(s, request(d, "POST", "/oauth/token", b"a=b", Content_Type="application/x-www-form-urlencoded"))
        assert code == 200 and same.encode() not in body
    w.service.plan, w.service.refresh = None, same
    assert refresh(w, json.loads(body)["refresh_token"], "form")[0] == 200


def test_one_that_was_forgotten_is_in_no_memory(world):
    """Neither its access token, nor the one that it is renewed by; the newest are the control."""
    w = world()
    if w.keys.sanitized():
        pytest.skip("what was freed is kept in a build with sanitizers")
    # what stands behind the beginning, which is the same in all, or is written over when memory is freed
    parts = lambda: [t[len(t) // 3:len(t) // 3 + 24].encode() for t in (w.service.access, w.service.refresh)]  # noqa: E731
    log_in(w)
    oldest = parts()
    assert all(w.keys.holds(p) for p in oldest), "the control: they are kept"
    for _ in range(LOGIN_TOKENS // 2):
        log_in(w)
    # buffers of connections are the next ones'
    assert not [p for p in oldest if w.keys.holds(p)] and all(w.keys.holds(p) for p in parts())


@pytest.mark.parametrize("login, words", [
    ("claud", "did you mean claude"), ("nobody", "none that is known"), (1, "expected a name"),
    ({"token": ["https://a.test/t"]}, "name is missing"), ({"name": "x"}, "token is missing"), ({"name": "X", "token": ["https://a.test/t"]}, "'X'"),
    ({"name": "x", "token": "https://a.test/t"}, "token: expected a list"), ({"name": "x", "token": ["http://a.test/t"]}, "https://HOST/PATH"),
    ({"name": "x", "token": ["https://a.test"]}, "https://HOST/PATH"), ({"name": "x", "token": ["https://10.0.0.1/t"]}, "no name"),
    ({"name": "x", "token": ["https://a.test/t"], "hosts": ["*.co.uk"]}, "anybody can have a name"), ({"name": "x", "token": ["https://a.test/t"], "hosts": ["a..b"]}, "hosts"),
    ({"name": "x", "token": ["https://a.test/t"], "host": []}, "'host' is unknown"),
])  # fmt: skip
def test_bad_ones_are_named(login, words):

    k = Keys(logins=[login])
    assert words in k.hello["error"], k.hello
    k.process.wait(10)
    k.close()


def test_the_table(keys):
    k = keys(logins=["claude", "codex", "gemini", "github"])
    assert {"api.anthropic.com", "platform.claude.com", "auth.openai.com", "chatgpt.com", "oauth2.googleapis.com", "cloudcode-pa.googleapis.com", "github.com", "api.github.com"} <= set(k.hello["hosts"])


@pytest.mark.parametrize("first", [True, False], ids=["first", "another"])
def test_an_answer_that_began_before_a_token_came(world, first):
    """It is searched for that, too. The first token of all finds answers that were not searched at all: they end."""
    w = world()
    d, begun, done = w.doors[API], threading.Event(), threading.Event()
    usual = w.server.answer

    def answer(head, s, f):
        if b" /stream " not in head.split(b"\r\n")[0]:
            return usual(head, s, f)
        s.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nbegun\r\n")
        begun.set()
        done.wait(30)
        text = w.service.access.encode()
        s.sendall(b"%x\r\n%b\r\n0\r\n\r\n" % (len(text), text))
        return True

    w.server.answer = answer
    if not first:
        log_in(w)
    with d.talk(d.trust) as s:
        s.sendall(request(d, "GET", "/stream"))
        assert begun.wait(20)
        while b"begun" not in s.recv(4096):
            pass
        got = log_in(w)
        done.set()
        rest = b""
        while not rest.endswith(b"0\r\n\r\n"):
            try:
                more = s.recv(4096)
            except ssl.SSLError:
                break
            if not more:
                break
            rest += more
    assert w.service.access.encode() not in rest and (got["access_token"].encode() in rest) == (not first), rest
    assert call(w, got["access_token"])[0] == 200


def test_at_the_same_time(world):
    w = world()
    failed = []

    def one():
        got = log_in(w)
        if not got["access_token"].startswith("sk-ant-oat01-bailey-secret-"):
            failed.append(got)

    threads = [threading.Thread(target=one) for _ in range(10)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert failed == []
