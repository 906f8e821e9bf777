# SPDX-License-Identifier: Apache-2.0
"""Secrets that a sandbox uses and never has (docs/adr/0022): `bailey secret` and `bailey run --secret` with real clients and servers."""
import json
import os
import subprocess
import time
from urllib.parse import quote, unquote

import pytest

from conftest import wait_for
from test_gateway_clients import BOTH
from test_inspect import Inside, internet  # noqa: F401 (a fixture)

VALUE = "k3y-Of/The+Owner=7d1f0a"
RUN = ["--allow-host", "web.test", "--secret", "own"]
ECHO = "https://web.test/echo"


@pytest.fixture
def at(internet, user, ws, works):
    assert works(user) == ""
    user.write(ws / "ca.crt", (internet.dir / "ca.crt").read_text(), 0o600)
    inside = Inside(internet, user, ws)
    secret(inside, "rm", "own", check=False)
    secret(inside, "set", "own", "--host", "web.test", "--header", "X-Key", "--env", "OWN_KEY", stdin=VALUE)
    yield inside
    secret(inside, "rm", "own")


def secret(at, *words, stdin="", check=True):
    argv = [os.fspath(w) for w in at.argv(None, words, "secret")]
    r = subprocess.run(argv, input=stdin, capture_output=True, text=True, env=at.environ, timeout=30, check=False)
    assert r.returncode == 0 or not check, r
    return r


def arrived(at):
    """What the server was sent since the last call: (scheme, host, path, Authorization, X-Key)."""
    log = at.internet.dir / "keys.log"
    wait_for(lambda: len(log.read_text().splitlines()) > getattr(at, "seen", 0), 0.3)  # a server may log when it has answered
    lines = [line.split(" ", 3) for line in log.read_text().splitlines()]
    at.seen, new = len(lines), lines[getattr(at, "seen", 0):]
    # by its address it asks itself
    return [(s, h, p, *rest.strip('"').split('" "')) for s, h, p, rest in new if h != "192.0.2.20"]


@BOTH
@pytest.mark.parametrize("flag", ["--http1.1", "--http2"])
def test_the_server_gets_the_secret_and_the_sandbox_a_stand_in(at, env, flag):
    arrived(at)
    r = at([*env, "sh", "-c", f'curl -sS {flag} -i -H "X-Key: $OWN_KEY" {ECHO}; echo "$OWN_KEY"'], *RUN)
    assert [a[-1] for a in arrived(at)] == [VALUE]
    assert VALUE not in r.out and "200" in r.out.splitlines()[0], r
    stand_in = r.out.splitlines()[-1]
    assert stand_in.startswith("bailey-secret-") and r.out.lower().count(stand_in) == 3, r  # header, body, variable
    [request] = [e for e in at.log(r) if e["event"] == "request"]
    assert (request["decision"], request["secret"], request["target"]) == ("allow", "own", "/echo")
    assert at(["sh", "-c", 'echo "$OWN_KEY"'], *RUN).out.strip() != stand_in  # of this run alone


# What an agent could bring a key of its own in, one of each: words of curl, and what the server answers where it may.
CARRIERS = {
    "own-header": (["-H", "X-Key: another", ECHO], "200"), "bearer": (["-H", "Authorization: Bearer another", ECHO], "200"), "basic": (["-u", "me:another", ECHO], "200"),
    "second-header": (["-H", "X-Api-Key: another", ECHO], "200"), "cookie": (["-b", "session=another", ECHO], "200"), "query": ([f"{ECHO}?access_token=another"], "200"),
    "url-of-aws": ([f"{ECHO}?X-Amz-Credential=AKIA&X-Amz-Signature=00"], "200"), "url-of-google": ([f"{ECHO}?X-Goog-Signature=00"], "200"), "url-of-azure": ([f"{ECHO}?sig=00&se=2030"], "200"),
    "websocket": (["--http1.1", "-H", "Connection: Upgrade", "-H", "Upgrade: websocket", "-H", "Sec-WebSocket-Version: 13", "-H", "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
                   "-H", "Sec-WebSocket-Protocol: Bearer, another", ECHO], "200"),
    "token-form": (["-d", "grant_type=refresh_token&refresh_token=another", "https://web.test/oauth/token"], "200"),
    "token-json": (["-H", "Content-Type: application/json", "-d", '{"client_secret": "another"}', "https://web.test/oauth/token"], "200"),
    "proxy": (["-H", "Proxy-Authorization: Basic YTpi", ECHO], ""),
}


@pytest.mark.parametrize("carrier", CARRIERS)
def test_other_credentials_are_refused_there(at, carrier):
    words, status = CARRIERS[carrier]
    arrived(at)
    curl = ["curl", "-sS", "-o", "out", "-w", "%{http_code}", *words]
    r = at(curl, *RUN)
    said = (at.ws / "out").read_text()
    assert r.out == "403" and said.startswith("bailey: foreign-credential: ") and said.endswith("; --allow-own-credentials web.test lets it through\n") and arrived(at) == [], r
    assert said.removeprefix("bailey: ").strip() in [e.get("reason") for e in at.log(r)], said
    if not status:
        return  # no request carries that through a proxy that reads it
    r = at(curl, *RUN, "--allow-own-credentials", "web.test")
    assert r.out == status and len(arrived(at)) == 1, r


# How a secret is carried: words of `secret set`, a configuration of curl where {} is the secret, then what arrives: path, X-Key, body; and another one's key in its place.
CARRIED = {
    "query": (["--query", "key"], 'url = "https://web.test/body?a=1&key={}&b=2"', "/body?a=1&key={}&b=2", "", "", [f"{ECHO}?key=another"]),
    "anywhere": (["--anywhere"], 'url = "https://web.test/body?of={}"\nheader = "X-Key: a {} b"\ndata = "one={}&two={}&one={}"',
                 "/body?of={}", "a {} b", "one={}&two={}&one={}", ["-H", "Authorization: Bearer another", ECHO]),
    "chunks": (["--anywhere"], 'url = "https://web.test/body"\nheader = "Transfer-Encoding: chunked"\ndata = "' + "x" * 70000 + '{}y"', "/body", "", "x" * 70000 + "{}y",
               [f"{ECHO}?access_token=another"]),
}


@pytest.mark.parametrize("flag", ["--http1.1", "--http2"])
@pytest.mark.parametrize("how", CARRIED)
def test_other_ways_to_carry_it(at, how, flag):
    """In a field of the query; anywhere in head and body, whose length changes by it. The twin: where it is not bound, the stand-in arrives as any text does."""
    words, config, path, field, body, foreign = CARRIED[how]
    log = at.internet.dir / "bodies.log"
    before = len(log.read_text().splitlines()) if log.exists() else 0

    def sent():
        nonlocal before
        assert wait_for(lambda: log.exists() and len(log.read_text().splitlines()) > before)
        [line] = log.read_text().splitlines()[before:]
        before += 1
        e = json.loads(line)
        return [unquote(e["uri"]), e["x-key"], e["body"]]

    secret(at, "set", "own", "--replace", "--host", "web.test", "--env", "OWN_KEY", *words, stdin=VALUE)
    at.user.write(at.ws / "ask", config.replace("{}", "@KEY@"))
    ask = ["sh", "-c", f'sed "s|@KEY@|$OWN_KEY|g" ask | curl -sS {flag} -K - -w "%{{http_code}}"; echo; echo "$OWN_KEY"']
    r = at(ask, *RUN)
    status, stand_in = r.out.splitlines()[-2:]
    assert status.endswith("200") and stand_in.startswith("bailey-secret-") and VALUE not in r.out + r.err, r
    assert sent() == [w.replace("{}", VALUE) for w in (path, field, body)]
    assert field == "" or f"key=a {stand_in} b" in r.out, "what the server repeats is the stand-in again"
    lines = [(e["decision"], e.get("secret")) for e in at.log(r) if e["event"] == "request"]
    assert lines == ([("allow", None)] if how == "chunks" else []) + [("allow", "own")], "one that only the body has is a line of its own: the head's has gone"
    inspected = ["--allow-host", "web.test", "--inspect", "web.test"]
    r = at(ask, *inspected, "--env", f"OWN_KEY={stand_in}")
    assert sent() == [w.replace("{}", stand_in) for w in (path, field, body)], r
    # another one's
    arrived(at)
    r = at(["curl", "-sS", flag, *foreign], *RUN)
    assert "foreign-credential" in r.out and arrived(at) == [], r
    r = at(["curl", "-sS", flag, *foreign], *inspected)
    assert "another" in r.out + str(arrived(at)), r


TOKEN = "the/Token+of=a.repository"  # of servers.py
WORK = ("git clone -q https://x-access-token:$GIT_TOKEN@web.test/private/it.git {0} && cat {0}/file && cd {0} && git -c user.name=t -c user.email=t@t commit -q --allow-empty -m x && "
        "git push -q origin HEAD:refs/heads/{0}; echo pushed $?")


def test_git_over_https_with_a_token_that_is_not_inside(at, request):
    """A server that asks for one: clone and push by the stand-in; another one's, and the stand-in where nothing is bound, get nothing."""
    secret(at, "rm", "git", check=False)
    secret(at, "set", "git", "--host", "web.test", "--basic", "x-access-token", "--env", "GIT_TOKEN", stdin=TOKEN)
    opts, who = ["--allow-host", "web.test", "--env", "GIT_TERMINAL_PROMPT=0", "--env", "GIT_CONFIG_GLOBAL=/dev/null"], f"secret-{request.node.callspec.id}-{os.getpid()}"
    listed = ["env", "GIT_SSL_CAINFO=ca.crt", "GIT_TERMINAL_PROMPT=0", "git", "ls-remote"]
    try:
        r = at(["sh", "-c", WORK.format(who) + f"; cat .git/config; cat /proc/self/environ | tr '\\0' '\\n'"], *opts, "--secret", "git")
        assert r.out.startswith("it is there\npushed 0\n") and r.out.count("bailey-secret-") >= 2 and TOKEN not in r.out + r.err, r
        assert f"refs/heads/{who}" in at.outside([*listed, "https://web.test/git/it.git"]).out
        kept = (at.ws / who / ".git/config").read_text()
        assert "bailey-secret-" in kept and TOKEN not in kept
        asked = [(e["target"].rsplit("/", 1)[-1], e.get("secret")) for e in at.log(r) if e["event"] == "request"]
        assert {("git-upload-pack", "git"), ("git-receive-pack", "git")} <= set(asked), asked
        # another token, at this host; and what stands in the configuration, in a run without the secret
        r = at(["sh", "-c", f"GIT_TOKEN=another; {WORK.format('other')}"], *opts, "--secret", "git")
        assert "it is there" not in r.out and any("foreign-credential" in e.get("reason", "") for e in at.log(r)), r
        r = at(["git", "-C", who, "fetch", "origin"], *opts, "--env", "GIT_SSL_CAINFO=../ca.crt")
        assert r.rc != 0 and "uthentication failed" in r.err, r
        assert at.outside([*listed, "https://web.test/private/it.git"]).rc != 0, "the server asks"
        assert at.outside([*listed, f"https://x-access-token:{quote(TOKEN, safe='')}@web.test/private/it.git"]).rc == 0
    finally:
        secret(at, "rm", "git")


def test_the_stand_in_means_nothing_elsewhere(at):
    arrived(at)
    at(["sh", "-c", f'curl -sSk -H "X-Key: $OWN_KEY" https://denied.test/echo; curl -sS -H "X-Key: $OWN_KEY" http://web.test/echo; curl -sS "{ECHO}?k=$OWN_KEY"'],
       *RUN, "--allow-host", "denied.test")
    got = arrived(at)
    assert len(got) >= 2 and VALUE not in str(got) and sum("bailey-secret-" in str(a) for a in got) >= 1, got


@pytest.mark.parametrize("flag", ["--http1.1", "--http2"])
def test_a_redirect_carries_the_stand_in_away(at, flag):
    """A client that goes where a bound host sends it takes along what it has."""
    arrived(at)
    r = at(["sh", "-c", f'curl -sSkL --location-trusted {flag} -H "X-Key: $OWN_KEY" https://web.test/away; echo "$OWN_KEY"'],
           *RUN, "--allow-host", "denied.test")
    stand_in = r.out.splitlines()[-1]
    assert stand_in.startswith("bailey-secret-") and [(h, p, key) for _, h, p, _, key in arrived(at)] == [("web.test", "/away", VALUE), ("denied.test", "/who", stand_in)], r


def test_a_secret_that_is_not_there_is_named(at):
    r = at(["touch", "ran"], "--allow-host", "web.test", "--secret", "nobody")
    assert r.rc == 2 and "nobody" in r.err and "bailey secret" in r.err and not (at.ws / "ran").exists(), r


def test_a_new_value_is_used_at_once(at):
    script = f'for i in 1 2; do curl -sS -H "X-Key: $OWN_KEY" {ECHO}; echo > did-$i; while [ $i = 1 ] && [ ! -e go ]; do sleep 0.05; done; done; echo'
    arrived(at)
    p = at.start(["sh", "-c", script], *RUN)
    try:
        assert wait_for((at.ws / "did-1").exists)
        secret(at, "rotate", "own", stdin="another-value-of-the-owner")
        time.sleep(0.5)
        at.user.write(at.ws / "go", "")
        out, err = p.communicate(timeout=30)
    finally:
        p.kill()
        p.wait()
    assert [a[-1] for a in arrived(at)] == [VALUE, "another-value-of-the-owner"], err
    assert b"another-value" not in out and VALUE.encode() not in out


def test_one_that_is_rotated_while_a_run_begins(at, outside):
    """Behind its reading, and before anybody looks for changes: another secret's command takes its time just then."""
    secret(at, "set", "slow", "--host", "denied.test", "--header", "X-Key", "--env", "SLOW_KEY", "--command", f"[ ! -e {outside}/wait ] || touch {outside}/asked; "
           f"while [ -e {outside}/wait ]; do sleep 0.05; done; echo 12345678-slow")
    arrived(at)
    at.user.write(outside / "wait", "")
    p = at.start(["sh", "-c", f'sleep 1; curl -sS -H "X-Key: $OWN_KEY" {ECHO}'], *RUN, "--secret", "slow", "--allow-host", "denied.test")
    try:
        assert wait_for((outside / "asked").exists)
        secret(at, "rotate", "own", stdin="another-value-of-the-owner")
        (outside / "wait").unlink()
        _, err = p.communicate(timeout=60)
    finally:
        p.kill()
        p.wait()
        secret(at, "rm", "slow")
    assert [a[-1] for a in arrived(at)] == ["another-value-of-the-owner"], err


def test_a_removed_one_is_refused_at_once(at):
    script = f'for i in 1 2; do curl -sS -H "X-Key: $OWN_KEY" {ECHO} > said-$i; touch did-$i; while [ $i = 1 ] && [ ! -e go ]; do sleep 0.05; done; done; curl -sSk https://denied.test/who'
    arrived(at)
    p = at.start(["sh", "-c", script], *RUN, "--allow-host", "denied.test")
    try:
        assert wait_for((at.ws / "did-1").exists)
        secret(at, "rm", "own")
        time.sleep(0.5)
        at.user.write(at.ws / "go", "")
        _, err = p.communicate(timeout=30)
    finally:
        p.kill()
        p.wait()
        secret(at, "set", "own", "--host", "web.test", "--header", "X-Key", "--env", "OWN_KEY", stdin=VALUE)
    assert [a[1:3] + a[-1:] for a in arrived(at)] == [("web.test", "/echo", VALUE), ("denied.test", "/who", "-")], err  # the last is the control
    assert "secret-removed: the secret 'own'" in (at.ws / "said-2").read_text() and b"notice: secret 'own' was removed" in err, err


def test_a_command_is_not_run_by_what_it_changes(at, outside):
    """One that doesn't say how long its value holds is run at the start, and by rotate: not by each change of the store, which is what it makes."""
    count = outside / "count"
    secret(at, "set", "own", "--replace", "--host", "web.test", "--header", "X-Key", "--env", "OWN_KEY", "--command", f"echo >> {count}; echo 12345678-{VALUE}")
    p = at.start(["sh", "-c", 'touch did-1; while [ ! -e go ]; do sleep 0.05; done; curl -sS -H "X-Key: $OWN_KEY" ' + ECHO], *RUN)
    try:
        assert wait_for((at.ws / "did-1").exists)
        before = len(count.read_text())
        assert before == 2
        secret(at, "rotate", "own")
        time.sleep(2)
        assert len(count.read_text()) == before + 1
        at.user.write(at.ws / "go", "")
        arrived(at)
        _, err = p.communicate(timeout=30)
    finally:
        p.kill()
        p.wait()
    assert [a[-1] for a in arrived(at)] == ["12345678-" + VALUE], err


def test_a_bypass_does_not_lead_past_a_secret(at):
    """It lifts what options ask to be inspected (the twin), not what a secret needs: neither for TLS nor for UDP."""
    look = "echo | openssl s_client -connect web.test:443 -servername web.test 2>/dev/null | openssl x509 -noout -issuer"
    bypass = ["--bypass", "web.test"]
    arrived(at)
    r = at(["sh", "-c", f'{look}; curl -sS -H "X-Key: $OWN_KEY" {ECHO}'], *RUN, *bypass)
    assert "bailey sandbox" in r.out and "bailey-secret-" in r.out and [a[-1] for a in arrived(at)] == [VALUE], r
    assert "notice: --bypass 'web.test' has no effect: a secret is bound to it" in r.err, r
    r = at(["touch", "ran"], *RUN, *bypass, "--allow-host", "web.test:443/udp")
    assert r.rc == 2 and "where no secret is bound to it, --bypass that" in r.err and not (at.ws / "ran").exists(), r
    r = at(["sh", "-c", look], "--allow-host", "web.test", "--inspect", "web.test", *bypass, "--allow-host", "web.test:443/udp")
    assert r.rc == 0 and "issuer=CN = tests" in r.out and "has no effect" not in r.err, r


def test_udp_does_not_lead_past_a_secret(at):
    for host, rc in (("web.test", 2), ("denied.test", 0)):
        r = at(["true"], *RUN, "--allow-host", f"{host}:443/udp")
        assert r.rc == rc and (rc == 0 or "UDP can't be looked into" in r.err), r
