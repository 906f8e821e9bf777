# SPDX-License-Identifier: Apache-2.0
"""Hosts whose TLS ends on the way (docs/adr/0021): real clients, real servers, rules about requests, and what happens when something is wrong."""
import json
import os
import pathlib
import shutil
import signal
import ssl
import subprocess
import time

import pytest

from conftest import PYTHON, skip, wait_for
from networks import Internet
from test_gateway import CLEAN
from test_gateway_clients import BOTH, FETCH, At, Servers, need

WEB = ["--allow-host", "web.test", "--inspect", "web.test"]
WHO = "https://web.test/who"


@pytest.fixture(scope="module")
def internet():
    if os.geteuid() != 0:
        skip("servers in namespaces of their own need root")
    need("nginx", "dnsmasq", "git", "openssl")
    servers = Servers()
    yield servers
    servers.end()


class Inside(At):
    """Its callers trust the authority of the servers; its clients are told of nothing."""

    def __init__(self, internet: Internet, user, ws: pathlib.Path) -> None:
        super().__init__(internet, user, ws)
        self.environ["SSL_CERT_FILE"] = str(ws / "ca.crt")


@pytest.fixture
def at(internet, user, ws, works):
    assert works(user) == ""
    user.write(ws / "ca.crt", (internet.dir / "ca.crt").read_text(), 0o600)
    return Inside(internet, user, ws)


def requests(at, r):
    return [(e["decision"], e["method"], e["target"]) for e in at.log(r) if e["event"] == "request"]


# --- clients ---

PLAIN = {name: [w for w in argv if w not in ("--cacert", "ca.crt", "--ca-certificate=ca.crt")] for name, argv in FETCH.items()}
PLAIN["urllib"] = [PYTHON, "-c", "import sys, urllib.request as u; print(u.urlopen(sys.argv[1]).read().decode(), end='')"]
PLAIN["fetch"] = FETCH["fetch"][2:]


@BOTH
@pytest.mark.parametrize("client", PLAIN)
def test_clients_trust_the_authority_of_the_run_and_every_request_is_logged(at, client, env):
    need(PLAIN[client][0])
    r = at([*env, *PLAIN[client], WHO], *WEB)
    assert r.rc == 0 and "https web.test HTTP/" in r.out, r
    assert requests(at, r) == [("allow", "GET", "/who")]
    # the same host without inspection: the server's own certificate, and no line about requests
    r = at([*env, *PLAIN[client], WHO], "--allow-host", "web.test", "--pass-env", "SSL_CERT_FILE")
    assert requests(at, r) == []


VARIABLES = ("SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "GIT_SSL_CAINFO", "AWS_CA_BUNDLE", "CARGO_HTTP_CAINFO", "PIP_CERT", "DENO_CERT",
             "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH")


@pytest.mark.parametrize("opts, inspected", [(WEB, True), (["--allow-host", "web.test"], False)], ids=["inspected", "control"])
def test_every_usual_name_leads_to_the_authority_of_the_run(at, opts, inspected):
    """Variables of those that look at one, and the files of those that look at none: each is enough for a connection, and has the host's roots, too."""
    places = [*(f"${v}" for v in VARIABLES), "/etc/ssl/certs/ca-certificates.crt"]
    look = f'for f in {" ".join(places)}; do grep -c BEGIN "$f"; curl -sS --cacert "$f" {WHO} >/dev/null 2>&1; echo $?; done'
    r = at(["sh", "-c", look.replace('"$f"', '"${f:-/nowhere}"')], *opts)
    said = r.out.split()
    if inspected:
        roots = pathlib.Path("/etc/ssl/certs/ca-certificates.crt").read_text().count("BEGIN")
        assert len(said) == 2 * len(places) and set(said[1::2]) == {"0"} and all(int(n) > roots for n in said[::2]), r
    else:
        assert len(said) == 4 and said[::3] == ["1", "60"], r  # the caller's own SSL_CERT_FILE, and the host's roots, which don't know the server


def test_the_certificate_is_of_this_run_alone(at):
    show = ["sh", "-c", "echo | openssl s_client -connect web.test:443 -servername web.test 2>/dev/null | openssl x509 -noout -issuer -subject -ext subjectAltName"]
    one, two, none = (at(show, *opts) for opts in (WEB, WEB, [*WEB, "--bypass", "web.test"]))
    assert "CN = bailey sandbox" in one.out and "subject=CN = web.test" in one.out and "DNS:web.test" in one.out, one
    assert one.out.splitlines()[0] != two.out.splitlines()[0]
    assert "issuer=CN = tests" in none.out, none


def test_a_bypass_that_does_not_count_is_said(at, user):
    """What the user's own file asks for stays; the twin, without the file, is in the test above."""
    config = user.home / ".config/bailey"
    policy = user.write(config / "policy.json", json.dumps({"network": {"inspect": ["web.test"]}}, indent=1))
    try:
        r = at(["sh", "-c", "echo | openssl s_client -connect web.test:443 -servername web.test 2>/dev/null | openssl x509 -noout -issuer"],
               "--allow-host", "web.test", "--bypass", "web.test", "--bypass", "one.test")
    finally:
        shutil.rmtree(config)
    assert "CN = bailey sandbox" in r.out, r
    assert [li for li in r.err.splitlines() if "has no effect" in li] == [f"bailey: notice: --bypass 'web.test' has no effect: inspect 'web.test' of {policy}:4 is final"], r


@pytest.mark.parametrize("flag, version", [("--http1.1", "HTTP/1.1"), ("--http2", "HTTP/2.0")])
def test_both_sides_speak_the_same_protocol(at, flag, version):
    r = at(["curl", "-sS", flag, WHO], *WEB)
    assert (r.rc, r.out.split()[-1]) == (0, version), r


def test_git_clones_and_may_not_push_where_a_rule_says_so(at, request):
    rule = {"host": "web.test", "requests": [{"method": "GET"}, {"method": "POST", "path": {"regex": "/git-upload-pack$"}}]}
    who = f"{request.node.callspec.id}-{os.getpid()}"
    work = ("git clone -q https://web.test/git/it.git {0} && cat {0}/file && cd {0} && git -c user.name=t -c user.email=t@t commit -q --allow-empty -m x && "
            "git push -q origin HEAD:refs/heads/{0}; echo pushed $?")
    for name, value, status in (("free", "web.test", "pushed 0"), ("held", json.dumps(rule), "pushed 1")):
        r = at(["sh", "-c", work.format(f"{name}-{who}")], "--allow-host", "web.test", "--inspect", value)
        assert status in r.out and (at.ws / f"{name}-{who}" / "file").exists(), r
        assert any(d == "deny" and t.endswith("/git-receive-pack") for d, _, t in requests(at, r)) == (name == "held")
    heads = at.outside(["env", "GIT_SSL_CAINFO=ca.crt", "git", "ls-remote", "https://web.test/git/it.git"]).out
    assert f"free-{who}" in heads and f"held-{who}" not in heads


# --- rules ---

def judge(at, rule, *curl):
    r = at(["curl", "-sS", "-o", "out", "-w", "%{http_code}", *curl], "--allow-host", "web.test", "--inspect", json.dumps({"host": "web.test", **rule}))
    return r.out


@pytest.mark.parametrize("rule, good, bad", [
    ([{"method": ["GET", "HEAD"]}], [WHO], ["-X", "POST", WHO]),
    ([{"path": "/who"}], [WHO], ["https://web.test/away"]),
    ([{"path": {"startsWith": "/w"}}], [WHO], ["--path-as-is", "https://web.test/w/../away"]),
    ([{"path": {"regex": "^/w[a-z]o$"}}], [WHO], ["https://web.test/whoo"]),
    ([{"query": {"a": "1"}}], [WHO + "?a=1"], [WHO + "?a=2"]),
    ([{"headers": {"x-key": {"exact": "v"}}}], ["-H", "X-Key: v", WHO], ["-H", "X-Key: w", WHO]),
    ([{"path": "/away", "action": "deny", "reason": "not today"}, {}], [WHO], ["https://web.test/away"]),
])  # fmt: skip
@pytest.mark.parametrize("flag", ["--http1.1", "--http2"])
def test_rules_about_requests(at, rule, good, bad, flag):
    assert judge(at, {"requests": rule}, flag, *good) == "200"
    assert judge(at, {"requests": rule}, flag, *bad) == "403"
    assert "bailey:" in (at.ws / "out").read_text()


def test_refused_requests_are_said(at):
    """At the end of the run and by learn, and in the log as text; never what is behind a question mark, or a header."""
    rules = [{"method": "GET", "path": "/who"}, {"method": "POST", "action": "deny", "reason": "not today"}]
    rule = json.dumps({"host": "web.test", "requests": rules})
    ask = f"curl -sS {WHO}; curl -sS -H 'X-Key: HIDDEN1' -d x '{WHO}?a=HIDDEN2'; curl -sS https://web.test/{'x' * 300}"
    words = ["web.test:443 POST /who denied: not today\n", f"web.test:443 GET /{'x' * 99}... denied: no entry of inspect 'web.test' allows this request\n"]
    r = at(ask, "--allow-host", "web.test", "--inspect", rule)
    for line in words:
        assert f"network: {line}" in r.err, r
    assert "HIDDEN" not in r.err and "GET /who" not in r.err, r
    got = {(e["method"], e["decision"]): e for e in at.log(r) if e["event"] == "request"}
    assert got["POST", "deny"]["rule"] == "web.test requests[1]" and "origin" not in got["POST", "deny"], got
    assert got["GET", "deny"]["rule"] == "web.test requests", got
    assert got["GET", "allow"]["rule"] == "web.test" and got["GET", "allow"]["reason"] == "web.test requests[0]", got
    text = at.network("log").out.splitlines()
    lines = [li.split("Z  ", 1)[1] for li in text if "  request" in li]
    assert any(li.startswith("request  allow web.test:443 (") and ")  GET /who  web.test  web.test requests[0]" in li for li in lines), text
    assert any(li.startswith("request  deny web.test:443 (") and ")  POST /who?a=HIDDEN2  answered 403  web.test requests[1]  not today" in li for li in lines), text
    r = at(ask, "--allow-host", "web.test", "--inspect", rule, verb="learn")
    for line in words:
        assert f"bailey: learn: not in the policy: network {line}" in r.err, r
    assert "HIDDEN" not in r.err, r
    # the twin: what no rule refuses is no refusal
    r = at(f"curl -sS {WHO}", *WEB)
    assert "network:" not in r.err, r


@pytest.mark.parametrize("flag", ["--http1.1", "--http2"])
def test_answers_and_fields_that_a_policy_file_says(at, flag):
    """A fixed answer never reaches the server; fields are set and removed on the way to it. What no entry names goes as it is."""
    rules = [{"headers": [{"name": "x-deep", "value": [{"exact": "no"}]}], "action": "deny"},  # as deep as the words of a rule go
             {"path": "/fixed", "action": {"response": {"status": 418, "headers": {"content-type": "text/x-tea", "x-pot": "1"}, "body": "tea\n"}}},
             {"path": {"startsWith": "/set"}, "action": {"headers": {"x-key": "of the rule", "authorization": None}}}, {}]
    policy = at.user.write(at.ws / "p.json", json.dumps({"network": {"allowedDomains": ["web.test"], "inspect": [{"host": "web.test", "requests": rules}]}}))
    (at.internet.dir / "www/fixed").write_text("of the server\n")
    ask = ["curl", "-sSi", flag, "-H", "X-Key: own", "-H", "Authorization: Bearer own", "-w", "%{http_code}\n"]
    log = at.internet.dir / "keys.log"

    def sent(path):
        assert wait_for(lambda: f" {path} " in log.read_text())
        return next(line for line in reversed(log.read_text().splitlines()) if f" {path} " in line).split(" ", 3)[3]

    mark = f"{at.ws.name}{flag}"
    r = at([*ask, "https://web.test/fixed"], "--policy", str(policy))
    fields = r.out.lower().replace("\r", "").split("\n")
    assert fields[-3:] == ["tea", "418", ""] and {"content-type: text/x-tea", "x-pot: 1"} <= set(fields), r
    [e] = [e for e in at.log(r) if e["event"] == "request"]
    assert (e["target"], e["status"]) == ("/fixed", 418), e
    r = at([*ask, "-X", "POST", f"https://web.test/set?{mark}"], "--policy", str(policy))
    assert sent(f"/set?{mark}") == '"-" "of the rule"', r
    r = at([*ask, f"https://web.test/echo?{mark}"], "--policy", str(policy))
    assert sent(f"/echo?{mark}") == '"Bearer own" "own"' and "key=own authorization=Bearer own" in r.out, r
    r = at([*ask, "-H", "X-Deep: no", "https://web.test/echo"], "--policy", str(policy))
    assert r.out.endswith("403\n"), r
    # the controls: without a rule the server answers, and gets what was sent
    r = at([*ask, "https://web.test/fixed", f"https://web.test/set?bare-{mark}"], *WEB)
    assert "of the server\n200" in r.out and sent(f"/set?bare-{mark}") == '"Bearer own" "own"', r


@pytest.mark.parametrize("path, status", [
    ("/@me", 403), ("/%40me", 403), ("/%2540me", 400), ("/%25%34%30me", 400), ("/@me;x", 400), ("/@me%3Bx", 400), ("/@me%3fx", 400),
    ("/a/%252e%252e/@me", 400), ("/who", 200), ("/%77ho", 200)])
@pytest.mark.parametrize("rule", ["/@me", "/%40me"])
def test_no_spelling_dodges_a_denial(at, path, status, rule):
    rules = [{"path": rule, "action": "deny"}, {}]
    assert judge(at, {"requests": rules}, "--path-as-is", "https://web.test" + path) == str(status)
    said = (at.ws / "out").read_text()
    assert status != 400 or said.startswith("bailey: the path has "), said


def test_what_is_too_long_for_the_log_is_marked(at):
    r = at(["curl", "-sS", WHO + "?" + "x" * 3000, WHO], *WEB)
    assert [(len(e["target"]), e.get("cut")) for e in at.log(r) if e["event"] == "request"] == [(1023, True), (4, None)], r


@pytest.mark.parametrize("value, words", [
    ('{"hst": "web.test"}', "host"),
    ('{"host": "web.test", "requests": [{"methods": "GET"}]}', "methods"),
    ('{"host": "web.test", "requests": {}}', "requests"),
    ('{"host": "web.test", "requests": [{"path": {"regex": "("}}]}', "regex"),
    ('{"host": "web.test", "requests": [{}, {"methd": "GET"}]}', "bailey: --inspect: requests[1].methd: unknown; expected method"),
    ('{"host": "web.test", "requests": [{"path": {"startsWith": "v1/keys"}, "action": "deny"}]}', "requests[0].path: it matches nothing: a path begins with '/'"),
    ('{"host": "web.test", "requests": [{"path": {"regex": "^admin"}, "action": "deny"}]}', "requests[0].path: it matches nothing"),
    ('{"host": "web.test", "requests": [{"method": "get", "action": "deny"}]}', "requests[0].method: methods are compared with their case: did you mean GET?"),
    ('{"host": "web.test", "requests": [{"headers": {"X Y": "1"}, "action": "deny"}]}', "no header is called like that"),
    ('{"host": "web..test"}', "web..test"),
    ('{"host": "web.test"', "JSON"),
    ("https://web.test", "https"),
    ("192.0.2.10", "is an address"),
    ('{"host": "[fd00::1]"}', "is an address"),
])  # fmt: skip
def test_bad_values_are_named_and_nothing_runs(at, value, words):
    r = at(["touch", "ran"], "--allow-host", "web.test", "--inspect", value)
    assert r.rc == 2 and words in r.err and not (at.ws / "ran").exists(), r


BAD_REQUESTS = """{
  "network": {
    "allowedDomains": ["web.test"],
    "inspect": ["one.test",
      {"host": "web.test", "requests": [
        {},
        {"path": {
          "beginsWith": "/"}}]}]
  }
}
"""


def test_what_is_wrong_with_a_rule_is_said_before_anything_starts(at):
    """In one text, by all that read it, with the file's line where it is from a file. The twin with the right word is good."""
    policy = at.user.write(at.ws / "p.json", BAD_REQUESTS)
    good = at.user.write(at.ws / "good.json", BAD_REQUESTS.replace("beginsWith", "startsWith"))
    line = f"bailey: {policy}:8:11: network.inspect[1].requests[1].path.beginsWith: unknown; expected exact, startsWith or regex\n"
    rule = ["--inspect", '{"host": "web.test", "requests": [{"methd": "GET"}]}']
    for verb, cmd, words in (("run", ["touch", "ran"], []), ("run", ["touch", "ran"], ["--explain"]), ("run", ["touch", "ran"], ["--dry-run"]), ("create", None, ["box"]),
                             ("network", None, ["web.test:443"])):
        def ask(options, verb=verb, cmd=cmd, words=words):
            return at(cmd, *(["check"] if verb == "network" else []), *options, *words, verb=verb)

        r = ask(["--policy", str(policy)])
        assert (r.rc, r.err, r.out) == (2, line, ""), r
        r = ask(["--allow-host", "web.test", *rule])
        assert (r.rc, r.out) == (2, "") and r.err.startswith("bailey: --inspect: requests[0].methd: unknown; expected method"), r
        assert not (at.ws / "ran").exists()
    r = at(None, "check", "--policy", str(good), "web.test:443", verb="network")
    assert r.rc == 0, r
    r = at(["touch", "ran"], "--policy", str(good))
    assert r.rc == 0 and (at.ws / "ran").exists(), r


def test_a_refusal_names_the_rule_that_lets_nothing_through(at):
    assert judge(at, {"requests": [{"method": "POST"}]}, WHO) == "403"
    assert (at.ws / "out").read_text() == "bailey: no entry of inspect 'web.test' allows this request\n"


@pytest.mark.parametrize("opts, good", [
    (["--inspect", "web.test", "--allow-host", "web.test:443/udp"], False),
    (["--inspect", "web.test", "--allow-host", "*.test:443/udp", "--i-know"], False),
    (["--inspect", "*.web.test", "--allow-host", "a.web.test:443/udp"], False),
    (["--inspect", "*.web.test", "--allow-host", "*.b.web.test:443/udp"], False),
    (["--inspect", "*.web.test", "--allow-host", "web.test:443/udp"], True),
    (["--inspect", "web.test", "--allow-host", "denied.test:443/udp"], True),
    (["--inspect", "web.test", "--allow-host", "web.test:443/udp", "--bypass", "web.test"], True),
    (["--inspect", "web.test", "--allow-host", "*.test:443/udp", "--i-know", "--deny-host", "web.test:443/udp"], True),
])  # fmt: skip
def test_udp_does_not_lead_past_it(at, opts, good):
    (at.ws / "ran").unlink(missing_ok=True)
    r = at(["touch", "ran"], *opts)
    assert (r.rc == 0, (at.ws / "ran").exists()) == (good, good), r
    assert good or (r.rc == 2 and "/udp'" in r.err and "UDP can't be looked into" in r.err), r


DATAGRAM = """
import os, socket, sys, time
def ask(host, family):
    s = socket.socket(family, socket.SOCK_DGRAM)
    s.settimeout(20)
    try:
        s.connect((host, 7))
        s.send(b"x")
        return s.recv(9).decode()
    except OSError as e:
        return type(e).__name__
open("up", "w").close()
while not os.path.exists("go"):
    time.sleep(0.02)
began = time.monotonic()
print(ask("one.test", socket.AF_INET), time.monotonic() - began < 10, ask("six.test", socket.AF_INET6), flush=True)
"""


@pytest.mark.parametrize("inspect", [["--inspect", "one.test"], ["--secret", "of-one"], []], ids=["rule", "secret", "control"])
def test_udp_that_is_allowed_later_does_not_lead_past_it(at, inspect):
    """The start refuses what would (above); a rule that comes while the run lives meets the gateway. TCP to the host, and UDP to another one, work."""
    state = at.user.mkdir(at.ws.parent / f"state-{at.ws.name}", 0o700)
    at.environ["XDG_STATE_HOME"] = str(state)
    at.environ["XDG_RUNTIME_DIR"] = ""
    set_one = at.argv(None, ["set", "of-one", "--host", "one.test", "--header", "X-Key", "--env", "KEY"], "secret")
    subprocess.run(set_one, input="value-of-one", text=True, check=True, capture_output=True, env=at.environ)
    at.user.write(at.ws / "udp.py", DATAGRAM)
    p = at.start(["sh", "-c", f"{PYTHON} udp.py; curl -sS http://one.test/tcp"], "--allow-host", "one.test", "--allow-host", "six.test:7/udp", *inspect)
    try:
        assert wait_for((at.ws / "up").exists)
        r = at.network("allow", at.run_id(), "one.test:7/udp")
        at.user.write(at.ws / "go", "")
        out, err = (b.decode() for b in p.communicate(timeout=60))
        denied = [(e["name"], e["port"], e["reason"]) for e in map(json.loads, at.network("log", at_run(at, err), "--json").out.splitlines()) if e["event"] == "deny"]
    finally:
        p.kill()
        p.wait()
        at.user.exec(["rm", "-rf", state])
    said, tcp = out.split("\n", 1)
    assert said == ("ConnectionRefusedError True X" if inspect else "X True X") and "GET /tcp" in tcp, (out, err, r)
    why = "the host is inspected, which UDP would lead past"
    assert denied == ([("one.test", 7, why)] if inspect else []) and (why in err) == bool(inspect), (denied, err)


# --- what is wrong ---

def test_another_name_inside_is_refused(at):
    for flag in ("--http1.1", "--http2"):
        r = at(["curl", "-sS", flag, "-w", "%{http_code}", "-o", "/dev/null", "-H", "Host: denied.test", WHO], *WEB)
        assert r.out == "421", r
        [request] = [e for e in at.log(r) if e["event"] == "request"]
        assert request["decision"] == "deny" and request["reason"].startswith("fronting: "), request
        r = at(["curl", "-sS", flag, "-w", "%{http_code}", "-o", "/dev/null", WHO], *WEB)
        assert r.out == "200", r


def test_tls_without_a_name_is_refused(at):
    """Before it is known whose certificate to make; the server itself would take it."""
    argv = ["openssl", "s_client", "-connect", "web.test:443"]
    assert "issuer=CN = tests" in at.outside([*argv, "-noservername"]).out
    r = at([*argv, "-noservername"], *WEB)
    assert "CERTIFICATE" not in r.out and "without a server name" in r.err and any("without a server name" in e.get("reason", "") for e in at.log(r)), (r, at.log(r))
    r = at([*argv, "-servername", "web.test"], *WEB)
    assert "issuer=CN = bailey sandbox" in r.out, r


def test_a_server_that_proves_nothing_is_not_reached(at):
    """Its authority is unknown to the host: outside curl says so, inside the answer says why."""
    at.environ["SSL_CERT_FILE"] = "/etc/ssl/certs/ca-certificates.crt"
    r = at(["curl", "-sS", "-k", WHO], *WEB)
    assert "https web.test" not in r.out and any("certificate" in e.get("reason", "") for e in at.log(r)), (r, at.log(r))
    assert at.outside(["curl", "-sS", WHO]).rc == 60
    assert at(["curl", "-sS", "-k", WHO], "--allow-host", "web.test").rc == 0


def test_what_is_neither_tls_nor_http_is_refused(at):
    talk = [PYTHON, "-c", "import socket; s = socket.create_connection(('web.test', 443)); s.sendall(b'\\x01\\x02\\x03\\x04 what?'); print(s.recv(100))"]
    r = at([*CLEAN, *talk], "--allow-host", "web.test:443", "--inspect", "web.test")
    assert r.rc != 0 and any("look into it" in e.get("reason", "") for e in at.log(r)), r


def test_a_denial_ends_a_transfer_that_is_looked_into(at):
    slowly = """import time, urllib.request as u
with u.urlopen("https://web.test/big") as f, open("out", "wb", 0) as out:
    while got := f.read(20000):
        out.write(got)
        time.sleep(0.02)
"""
    p = at.start(["sh", "-c", f"{PYTHON} -c '{slowly}' 2>/dev/null; echo $? > status"], *WEB)
    try:
        assert wait_for(lambda: (at.ws / "out").exists() and (at.ws / "out").stat().st_size > 0)
        began = time.monotonic()
        assert at.network("deny", at.run_id(), "web.test").rc == 0
        assert wait_for((at.ws / "status").exists) and time.monotonic() - began < 5
        assert 0 < (at.ws / "out").stat().st_size < 8 << 20  # urllib takes the end for an end
    finally:
        p.kill()
        p.wait()


def keys_of(run: subprocess.Popen) -> list[int]:
    """Processes named bailey-keys that descend from RUN's bailey."""
    table = {}
    for d in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            name, rest = (d / "stat").read_text().rsplit(")", 1)
            table[int(d.name)] = (name.split("(", 1)[1], int(rest.split()[1]))
        except OSError:
            continue

    def below(pid):
        while pid > 1 and pid in table:
            if pid == run.pid:
                return True
            pid = table[pid][1]
        return False

    return [pid for pid, (name, _) in table.items() if name.startswith("bailey-keys") and below(pid)]


def test_without_its_inspector_a_host_is_closed(at):
    p = at.start(["sh", "-c", f"curl -sS {WHO} > one; echo > go; while [ ! -e killed ]; do sleep 0.1; done; curl -sS {WHO} > two; curl -sS -k https://denied.test/who > three"],
                 *WEB, "--allow-host", "denied.test")
    try:
        assert wait_for((at.ws / "go").exists)
        for pid in keys_of(p):
            os.kill(pid, signal.SIGKILL)
        at.user.write(at.ws / "killed", "")
        err = p.communicate(timeout=30)[1].decode()
    finally:
        p.kill()
        p.wait()
    assert "HTTP/" in (at.ws / "one").read_text() and (at.ws / "two").read_text() == "", err
    assert "HTTP/" in (at.ws / "three").read_text() and "start the run again" in err, err


def test_the_process_with_the_key_can_do_nothing_else(at):
    p = at.start(["sh", "-c", f"curl -sS {WHO} > one; echo > go; exec sleep 60"], *WEB)
    try:
        assert wait_for((at.ws / "go").exists)
        [pid] = keys_of(p)[:1]
        status = dict(line.split(":\t", 1) for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines() if ":\t" in line)
        assert status["Seccomp"] == "2" and status["NoNewPrivs"] == "1" and int(status["CapEff"], 16) == 0, status
        if at.user.is_root:
            assert status["Uid"].split()[0] != "0"
        same = subprocess.run(["setpriv", f"--reuid={status['Uid'].split()[0]}", f"--regid={status['Gid'].split()[0]}", "--clear-groups", "cat", f"/proc/{pid}/environ"],
                              capture_output=True, text=True, check=False)
        assert "Permission denied" in same.stderr, same
    finally:
        p.kill()
        p.wait()


def test_the_authority_is_nowhere_outside(at):
    r = at(["sh", "-c", "cat $SSL_CERT_FILE"], *WEB)
    inside = set(r.out.split("-----BEGIN CERTIFICATE-----"))
    assert r.rc == 0 and len(inside) > 1, r
    host = set(pathlib.Path("/etc/ssl/certs/ca-certificates.crt").read_text().split("-----BEGIN CERTIFICATE-----")) | set((at.ws / "ca.crt").read_text().split("-----BEGIN CERTIFICATE-----"))
    new = {c.strip() for c in inside} - {c.strip() for c in host}
    assert len(new) == 1, len(new)
    text = ssl.PEM_cert_to_DER_cert("-----BEGIN CERTIFICATE-----" + new.pop())
    assert b"bailey sandbox" in text


def test_nothing_is_started_where_nothing_is_inspected(at):
    p = at.start(["sh", "-c", "curl -sS -k https://web.test/who > one; echo > go; exec sleep 60"], "--allow-host", "web.test")
    try:
        assert wait_for((at.ws / "go").exists)
        assert keys_of(p) == []
    finally:
        p.kill()
        p.wait()


JAVA = """import java.net.*; import java.io.*;
class Get { public static void main(String[] a) throws Exception { System.out.print(new String(new URL(a[0]).openStream().readAllBytes())); } }
"""


def test_java_trusts_it_by_its_own_store(at):
    need("java")
    if not pathlib.Path("/etc/ssl/certs/java/cacerts").exists():
        skip("Java has no trust store here (ca-certificates-java)")
    at.user.write(at.ws / "Get.java", JAVA)
    r = at(["java", "Get.java", WHO], *WEB)
    assert "https web.test HTTP/1.1" in r.out, r
    assert "bailey sandbox" in at(["sh", "-c", "keytool -list -v -cacerts -storepass changeit 2>&1 | grep bailey"], *WEB).out
    r = at(["java", "Get.java", WHO], "--allow-host", "web.test")  # the real one's authority is none of Java's
    assert "https web.test" not in r.out and "PKIX" in r.err, r


@pytest.mark.parametrize("how", [["--connect-to", "web.test:443:192.0.2.20:443", "https://web.test/who"], ["-H", "Host: web.test", "http://192.0.2.20/who"]], ids=["tls", "http"])
@BOTH
def test_its_address_is_no_way_round(at, how, env):
    twin = [w.replace("web.test", "denied.test").replace("192.0.2.20", "192.0.2.21") for w in how]
    opts = [*WEB, "--allow-cidr", "192.0.2.0/24"]
    r = at([*env, "curl", "-sSk", *how], *opts)
    assert "web.test HTTP/" not in r.out, r
    if how[0] == "-H" and not env:
        return  # a proxy's client says the host in the target, and the server hears that
    assert any("connect to it by its name" in e.get("reason", "") for e in at.log(r)), (r, at.log(r))
    r = at([*env, "curl", "-sSk", *twin], *opts)
    assert "denied.test HTTP/" in r.out, r


@pytest.mark.parametrize("how", [["-H", "Host: web.test", "https://192.0.2.20/who"], ["--http1.0", "-H", "Host:", "http://192.0.2.20/who"]], ids=["tls", "http"])
def test_who_says_no_name_is_no_way_round(at, how):
    port = 443 if "https" in how[-1] else 80
    argv = [*CLEAN, "curl", "-sSk", "-o", "/dev/null", "-w", "%{http_code}", *how]
    r = at(argv, *WEB, "--allow-cidr", "192.0.2.0/24")
    assert r.out in ("000", "421"), r
    assert any(f"connect to it by its name; --allow-cidr 192.0.2.20:{port}" in e.get("reason", "") for e in at.log(r)), (r, at.log(r))
    # whoever names that address alone means it, and so does who wants nobody to look there; and where nobody looks there is nothing to be got round
    for opts in ([*WEB, "--allow-cidr", f"192.0.2.20:{port}"], [*WEB, "--allow-cidr", "192.0.2.0/24", "--bypass", "192.0.2.20"],
                 ["--allow-host", "web.test", "--allow-cidr", "192.0.2.0/24"]):
        r = at(argv, *opts)
        assert r.rc == 0 and r.out not in ("000", "421"), (opts, r)


def test_http2_in_clear_to_an_address_is_no_way_round(at):
    """Its requests are not looked at, and each has a name of its own."""
    talk = [PYTHON, "-c", "import socket; s = socket.create_connection(('192.0.2.20', 80)); s.sendall(b'PRI * HTTP/2.0\\r\\n\\r\\nSM\\r\\n\\r\\n'); print(s.recv(9))"]
    r = at([*CLEAN, *talk], *WEB, "--network", "allow")
    assert r.rc != 0 and any("connect to it by its name; --allow-cidr 192.0.2.20:80" in e.get("reason", "") for e in at.log(r)), (r, at.log(r))
    r = at([*CLEAN, *talk], *WEB, "--network", "allow", "--allow-cidr", "192.0.2.20:80")
    assert r.rc == 0, r


HASTY = """
import os, socket, ssl, struct, time
raw = socket.create_connection(("web.test", 443))
tls = ssl.create_default_context().wrap_socket(raw, server_hostname="web.test")
open("connected", "w").close()
while not os.path.exists("go"):
    time.sleep(0.02)
tls.sendall(b"GET /who?hasty HTTP/1.1\\r\\nHost: web.test\\r\\n\\r\\n")
time.sleep(0.3)  # the gateway passes it on
tls.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
tls.close()
time.sleep(0.3)
open("gone", "w").close()
while not os.path.exists("end"):
    time.sleep(0.02)
"""


def test_no_request_goes_without_its_line(at):
    """Whoever hangs up before bailey-keys has read what he asked for has asked all the same."""
    log = at.internet.dir / "nginx.log"
    before = log.stat().st_size
    at.user.write(at.ws / "hasty.py", HASTY)
    p = at.start([*CLEAN, PYTHON, "hasty.py"], *WEB)
    try:
        assert wait_for((at.ws / "connected").exists)
        keys = keys_of(p)
        for pid in keys:
            os.kill(pid, signal.SIGSTOP)
        at.user.write(at.ws / "go", "")
        gone = wait_for((at.ws / "gone").exists)
        for pid in keys:
            os.kill(pid, signal.SIGCONT)
        assert keys and gone
        assert wait_for(lambda: b"hasty" in log.read_bytes()[before:]), "control: the server is asked"
        at.user.write(at.ws / "end", "")
        _, err = p.communicate(timeout=30)
    finally:
        p.kill()
        p.wait()
    got = [e for e in map(json.loads, at.network("log", at_run(at, err), "--json").out.splitlines()) if e["event"] == "request"]
    assert [(e["name"], e["target"]) for e in got] == [("web.test", "/who?hasty")], got


def at_run(at, err):
    """The run that has just ended."""
    listed = json.loads(at.network("ls", "--json").out)
    return next(g["id"] for g in listed if g["cwd"] == str(at.ws))
