# SPDX-License-Identifier: Apache-2.0
"""Requests that an inspection rule sends elsewhere, with the gateway between (docs/adr/0021): what may be reached so, and what may not."""
import json
import os

import pytest

from conftest import PYTHON, skip, wait_for
from test_gateway_clients import BOTH, Servers, need
from test_inspect import Inside, requests


@pytest.fixture(scope="module")
def internet():
    if os.geteuid() != 0:
        skip("servers in namespaces of their own need root")
    need("nginx", "dnsmasq", "git", "openssl")
    servers = Servers()
    yield servers
    servers.end()


@pytest.fixture
def at(internet, user, ws, works):
    assert works(user) == ""
    user.write(ws / "ca.crt", (internet.dir / "ca.crt").read_text(), 0o600)
    return Inside(internet, user, ws)


def rule(url, *more, **match):
    return json.dumps({"host": "web.test", "requests": [{**match, "action": {"forward": url}}, *more]})


def fetch(at, url, *opts, env=(), what=("https://web.test/who",), **match):
    return at([*env, "curl", "-sS", "-w", "%{http_code}\\n", *what], "--allow-host", "web.test", "--inspect", rule(url, {}, **match), *opts)


@BOTH
def test_it_goes_to_a_host_that_the_command_can_not_reach_itself(at, env):
    r = fetch(at, "https://denied.test", env=env)
    assert r.out == "192.0.2.21 https denied.test HTTP/1.1\n200\n", r
    log = at.log(r)
    [q] = [e for e in log if e["event"] == "request"]
    assert (q["name"], q["decision"]) == ("web.test", "allow") and "forwarded to https://denied.test" in q["reason"], q
    assert [(e["name"], e["decision"]) for e in log if e["event"] == "open" and e["via"] == "forward"] == [("denied.test", "allow")]
    [end] = [e for e in log if e["event"] == "close" and e["via"] == "forward"]
    assert end["sent"] > 100 and end["received"] > 100
    # what does not match stays
    r = fetch(at, "https://denied.test", env=env, path="/other")
    assert r.out.endswith(" https web.test HTTP/1.1\n200\n"), r
    # and the host itself is as closed as before
    r = at([*env, "curl", "-sS", "https://denied.test/who"], "--allow-host", "web.test", "--inspect", rule("https://denied.test"))
    assert r.rc != 0 and "denied.test" not in r.out, r
    assert at.outside(["curl", "-sS", "--cacert", "ca.crt", "https://denied.test/who"]).rc == 0


def test_a_policy_file_says_it_in_the_same_words(at):
    at.user.write(at.ws / "p.json", json.dumps({"network": {"allowedDomains": ["web.test"], "inspect": [
        {"host": "web.test", "requests": [{"method": "POST", "path": {"startsWith": "/v1/"}, "action": {"forward": "https://denied.test/who", "headers": {"x-key": "k"}}}, {}]}]}}))
    r = at(["curl", "-sS", "https://web.test/who"], "--policy", str(at.ws / "p.json"))
    assert "web.test" in r.out, r
    r = at(["curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}", "-X", "POST", "https://web.test/v1/x"], "--policy", str(at.ws / "p.json"))
    assert r.out in ("404", "405"), r
    assert "https denied.test /who/v1/x " in (at.internet.dir / "keys.log").read_text() and '"k"' in (at.internet.dir / "keys.log").read_text()
    r = at("true", "--policy", str(at.ws / "p.json"), "--explain=json")
    assert any(i["action"] == "forward" and i["rule"] == "denied.test:443" and "p.json" in i["origin"] for i in json.loads(r.out)["network"]["inspect"]), r.out


def test_a_project_that_is_not_trusted_forwards_nothing(at):
    at.user.write(at.ws / ".bailey.json", json.dumps({"network": {"inspect": [json.loads(rule("https://denied.test"))]}}))
    r = at(["curl", "-sS", "--cacert", "ca.crt", "https://web.test/who"], "--allow-host", "web.test")
    assert "web.test" in r.out and "denied.test" not in r.out, r


@pytest.mark.parametrize("url, why, opts", [
    ("http://private.test", "private", ["--allow-host", "private.test"]),
    ("http://private.test", "private", ["--allow-cidr", "10.1.2.3"]),
    ("http://10.1.2.3", "private", ["--allow-cidr", "10.1.2.3"]),
    ("http://loop.test", "loopback", ["--allow-cidr", "127.0.0.1"]),
    ("http://127.0.0.1", "loopback", ["--allow-cidr", "127.0.0.1"]),
    ("http://meta.test", "metadata", ["--allow-cidr", "169.254.169.254"]),
    ("http://own.test", "this host itself", ["--allow-cidr", "198.51.100.1"]),
    ("http://host.bailey.internal", "", ["--allow-host-port", "80"]),
])  # fmt: skip
def test_places_that_are_not_public_need_a_rule_of_their_own(at, url, why, opts):
    r = fetch(at, url, what=("https://web.test/",))
    assert r.out.endswith("502\n") and why in r.out, r
    assert any(e["event"] == "deny" and e["via"] == "forward" for e in at.log(r)), at.log(r)
    # control and twin: outside it is there, and with the rule inside, too
    if "bailey" not in url:
        assert at.outside(["curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}", url]).out == "200"
    r = fetch(at, url, *opts, what=("https://web.test/",))
    assert r.out.endswith("200\n"), r


@pytest.mark.parametrize("deny", [["--deny-host", "denied.test"], ["--deny-cidr", "192.0.2.21"]])
def test_a_denial_counts(at, deny):
    r = fetch(at, "https://denied.test", *deny)
    assert r.out.endswith("502\n") and "denied" in r.out, r


SLOWLY = """import time, urllib.request as u
with u.urlopen("https://web.test/big") as f, open("out", "wb", 0) as out:
    while got := f.read(20000):
        out.write(got)
        time.sleep(0.02)
"""


def test_a_live_denial_ends_it(at):
    """The place that is denied is the one that it was forwarded to."""
    at.user.write(at.ws / "slowly.py", SLOWLY)
    p = at.start(["sh", "-c", f"{PYTHON} slowly.py 2>/dev/null; echo $? > status"], "--allow-host", "web.test", "--inspect", rule("https://denied.test"))
    try:
        assert wait_for(lambda: (at.ws / "out").exists() and (at.ws / "out").stat().st_size > 0)
        assert at.network("deny", at.run_id(), "denied.test").rc == 0
        assert wait_for((at.ws / "status").exists)
        assert 0 < (at.ws / "out").stat().st_size < 8 << 20
    finally:
        p.kill()
        p.wait()


def test_its_certificate_is_verified(at):
    """one.test has one that nobody has signed."""
    r = fetch(at, "https://one.test", what=("https://web.test/secret",))
    assert r.out.endswith("502\n") and "certificate" in r.out, r
    assert "/secret" not in at.internet.log()
    assert at.outside(["curl", "-sSk", "-o", "/dev/null", "-w", "%{http_code}", "https://one.test/"]).out == "200"


def test_bytes_count_for_the_budget_of_the_place(at):
    r = at(["curl", "-sS", "-o", "out", "https://web.test/big"], "--allow-host", "web.test", "--inspect", rule("https://denied.test"), "--limit-bytes", "denied.test=1M")
    assert r.rc != 0 and (at.ws / "out").stat().st_size < 2 << 20, r
    r = at(["curl", "-sS", "-o", "out", "https://web.test/big"], "--allow-host", "web.test", "--inspect", rule("https://denied.test"), "--limit-bytes", "denied.test=20M")
    assert r.rc == 0 and (at.ws / "out").stat().st_size == 8 << 20, r


@pytest.mark.parametrize("url, words", [
    ("https://other.test?x", "query"), ("ftp://other.test", "https://"), ("https://u@other.test", "user name"), ("https://other.test:99999", "port"), ("https://o..test", "o..test"),
])  # fmt: skip
def test_bad_urls_are_named_and_nothing_runs(at, url, words):
    r = at(["touch", "ran"], "--allow-host", "web.test", "--inspect", rule(url))
    assert r.rc == 2 and words in r.err and "forward" in r.err and not (at.ws / "ran").exists(), r


def test_requests_are_logged_whole(at):
    r = fetch(at, "https://denied.test", what=("https://web.test/who?a=b", "https://web.test/who?c"))
    assert requests(at, r) == [("allow", "GET", "/who?a=b"), ("allow", "GET", "/who?c")]
