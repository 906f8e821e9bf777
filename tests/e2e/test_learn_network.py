# SPDX-License-Identifier: Apache-2.0
"""bailey learn, and the network: what a command asks for becomes rules, and with these rules it works and nothing more does."""
import json
import subprocess

import pytest

from conftest import BAILEY, PYTHON, TIMEOUT, Result
from test_gateway import CLEAN, CURL, WAYS

__all__ = ["internet", "net"]  # fixtures

FETCH = "curl -sS -m 8 "


@pytest.fixture
def learn(net):
    """learn(COMMAND, *OPTIONS) -> (the policy, Result)"""

    def call(cmd, *opts):
        r = net(cmd, *opts, verb="learn")
        return json.loads(r.out), r

    return call


@pytest.fixture
def again(net):
    """again(COMMAND, POLICY...): a run with what was learnt."""

    def call(cmd, *policies, verb="run"):
        opts = []
        for i, policy in enumerate(policies):
            path = net.user.write(net.ws / f"learnt-{i}.json", json.dumps(policy))
            opts += ["--policy", str(path)]
        return net(cmd, *opts, verb=verb)

    return call


def refused(net, r, what="two.test"):
    """The twin: another host of the same kind is still out of reach."""
    return r.rc != 0 and f"{what} denied" in r.err.replace(":80", "").replace(":443", "")


def notes(r: Result) -> list[str]:
    return [li.removeprefix("bailey: learn: ") for li in r.err.splitlines() if li.startswith("bailey: learn: ")]


@pytest.mark.parametrize("env", [CLEAN, []], ids=["captured", "proxy"])
@pytest.mark.parametrize("url", ["http://one.test/", "https://one.test/"])
def test_what_was_refused_is_learnt_and_is_enough(net, learn, again, env, url):
    before = net.internet.log()
    policy, r = learn([*env, *CURL, "-fk", url])
    assert policy == {"filesystem": {}, "network": {"allowedDomains": ["one.test"]}}, r
    assert r.rc != 0 and net.internet.log() == before, "learning lets nothing through"
    assert any("--network allow" in n for n in notes(r)), r.err
    r = again([*env, *CURL, "-k", url], policy)
    assert (r.rc, r.said) == (0, "") and "host=one.test" in r.out, r
    r = again([*env, *CURL, "-fk", url.replace("one", "two")], policy)
    assert refused(net, r), r


def test_all_hosts_come_in_one_run_when_they_are_let_through(net, learn, again):
    cmd = f"{FETCH} http://two.test/ && {FETCH} -k https://one.test/ && {FETCH} http://one.test:8080/ && {FETCH} http://192.0.2.12/ && {FETCH} 'http://[2001:db8::20]/'"
    policy, r = learn(cmd, "--network", "allow")
    assert r.rc == 0 and notes(r) == [], r
    assert policy["network"] == {"allowedDomains": ["one.test", "two.test"], "allowedAddresses": ["192.0.2.12", "2001:db8::20"]}, "a name's rule is for HTTP on every port"
    r = again(cmd, policy)
    assert (r.rc, r.bailey_err) == (0, ""), r
    for other in ("http://six.test/", "http://192.0.2.11/"):
        assert again([*CURL, "-f", other], policy).rc != 0
    # a port alone is a rule with that port, and not more
    policy, r = learn(f"{FETCH} http://one.test:8080/", "--network", "allow")
    assert policy["network"] == {"allowedDomains": ["one.test:8080"]}, r
    assert again(f"{FETCH} -f http://one.test:8080/", policy).rc == 0
    assert again([*CURL, "-f", "http://one.test/"], policy).rc != 0


BANNER = [PYTHON, "-c", "import socket; s = socket.create_connection(('one.test', 22), 5); s.settimeout(4); print(s.recv(99)); s.send(b'hi'); print(s.recv(99))"]
BINARY = [PYTHON, "-c", "import socket, sys; s = socket.create_connection(('one.test', 7), 5); s.settimeout(4); s.sendall(b'\\0\\0\\0\\x08\\4\\xd2\\x16\\x2f'); print(s.recv(99))"]


def test_other_protocols_are_learnt_with_their_port(net, learn, again):
    for cmd, rule in ((BANNER, "one.test:22"), (BINARY, "one.test:7")):
        policy, r = learn(cmd, "--network", "allow")
        assert policy["network"] == {"allowedDomains": [rule]}, r
        r = again(cmd, policy)
        assert r.rc == 0, r
        assert again([*CURL, "-f", "http://one.test/"], policy).rc != 0
    # where everything is refused it takes two runs: first the name, then what it is for
    first, r = learn(BINARY)
    assert first["network"] == {"allowedDomains": ["one.test"]}, r
    second = again(BINARY, first, verb="learn")
    assert json.loads(second.out)["network"] == {"allowedDomains": ["one.test:7"]}, second
    assert again(BINARY, first, json.loads(second.out)).rc == 0


def test_what_is_allowed_already_is_not_learnt_again(net, learn):
    policy, r = learn(f"{FETCH} http://one.test/; {FETCH} http://two.test/", "--allow-host", "one.test")
    assert policy["network"] == {"allowedDomains": ["two.test"]}, r
    policy, r = learn(f"{FETCH} http://one.test/", "--allow-host", "one.test")
    assert r.rc == 0 and policy == {"filesystem": {}}, r


@pytest.mark.parametrize("mode", [[], ["--network", "allow"]], ids=["deny", "allow"])
def test_never_by_itself(net, learn, mode):
    """Private and metadata addresses, the host and its ports: named, never given."""
    always = {"http://10.1.2.3/", "http://169.254.169.254/latest/", "http://198.51.100.1/", "http://host.bailey.internal:8080/"}
    for url in (*always, "http://metadata.google.internal/", "http://printer/", "http://127.0.0.2/"):
        what = url.split("/")[2].split(":")[0]
        for env in WAYS:
            policy, r = learn([*env, *CURL, url], *mode)
            assert policy == {"filesystem": {}}, (url, r)
            if url in always or not mode and "127" not in url:  # where hosts are let through there is no such name
                assert any(n.startswith("not in the policy") and what in n for n in notes(r)), (url, r.err)
    _, r = learn([*CURL, "http://host.bailey.internal:8080/"], *mode)
    assert any("--allow-host-port 8080" in n for n in notes(r)), r.err


def test_names_that_lead_to_what_is_not_public_are_not_learnt_when_they_are_let_through(net, learn):
    for name in ("private.test", "meta.test", "loop.test", "own.test"):
        policy, r = learn([*CURL, f"http://{name}/"], "--network", "allow")
        assert policy == {"filesystem": {}} and any(n.startswith(f"not in the policy: network {name}:80 denied") for n in notes(r)), r
    policy, r = learn([*CURL, "http://one.test/"], "--network", "allow")
    assert policy["network"] == {"allowedDomains": ["one.test"]}, r


def test_denials_of_rules_are_final_and_named(net, learn):
    policy, r = learn(f"{FETCH} http://one.test/; {FETCH} http://two.test/", "--network", "allow", "--deny-host", "one.test")
    assert policy["network"] == {"allowedDomains": ["two.test"]}, r
    assert any("one.test" in n and "--deny-host" in n for n in notes(r)), r.err


def test_no_network_stays_no_network(net, learn):
    policy, r = learn([*CURL, "http://one.test/"], "--network", "none")
    assert policy == {"filesystem": {}} and notes(r) == [], r
    net.user.write(net.ws / ".bailey.json", json.dumps({"network": {"mode": "none"}}))
    before = net.internet.log()
    policy, r = learn([*CURL, "http://one.test/"], "--network", "allow")
    assert r.rc != 0 and policy == {"filesystem": {}} and net.internet.log() == before, r


def test_the_hosts_own_network_is_not_learnt(net, learn):
    policy, r = learn([*CURL, "http://one.test/"], "--network", "host")
    assert r.rc == 0 and policy == {"filesystem": {}} and [n for n in notes(r) if "has no log" in n], r


def test_many_names_below_one_are_no_wildcard(net, learn):
    cmd = "import socket\nfor i in range(12):\n    s = socket.create_connection(('127.0.0.1', 3128)); s.sendall(b'CONNECT n%d.wild.test:443 HTTP/1.1\\r\\nHost: n\\r\\n\\r\\n' % i); s.recv(999)"
    policy, r = learn([PYTHON, "-c", cmd])
    assert policy["network"] == {"allowedDomains": sorted(f"n{i}.wild.test" for i in range(12))}, r
    assert sum("'*.wild.test' would be one rule" in n for n in notes(r)) == 1, r.err
    policy, r = learn([PYTHON, "-c", cmd.replace("wild.test", "github.io")])
    assert len(policy["network"]["allowedDomains"]) == 12 and "*.github.io" not in r.err, "anybody can have a name there"


def test_a_flood_is_bounded(net, learn):
    cmd = "import socket\nfor i in range(700):\n    s = socket.create_connection(('127.0.0.1', 3128)); s.sendall(b'CONNECT n%d.wild.test:443 HTTP/1.1\\r\\nHost: n\\r\\n\\r\\n' % i); s.recv(999)"
    policy, r = learn([PYTHON, "-c", cmd])
    assert len(policy["network"]["allowedDomains"]) == 512 and "and 188 more hosts" in r.err, r.err


def test_what_a_program_says_is_no_json_of_its_own(net, learn):
    for name in (b'a"b.test', b"one.test\\n", b"x\r\ny"):
        cmd = f"import socket; s = socket.create_connection(('127.0.0.1', 1080)); s.sendall(b'\\5\\1\\0'); s.recv(2); n = {name!r}; s.sendall(b'\\5\\1\\0\\3' + bytes([len(n)]) + n + b'\\0\\x50'); print(s.recv(99))"
        policy, r = learn([PYTHON, "-c", cmd])
        assert policy == {"filesystem": {}}, r


def test_files_and_hosts_come_together(net, learn, again, outside):
    target = outside
    cmd = f"{FETCH} http://one.test/ >{target}/got || echo x >{target}/got"
    policy, r = learn(cmd, "--network", "allow")
    assert policy == {"filesystem": {"allowWrite": [str(target)]}}, r
    second = again(cmd, policy, verb="learn")
    assert json.loads(second.out)["network"] == {"allowedDomains": ["one.test"]}, second
    assert again(cmd, policy, json.loads(second.out)).rc == 0
    assert "host=one.test" in (target / "got").read_text()


def test_where_connections_cannot_be_captured(net, deny):
    """Everything is refused there, too; who knows a proxy says what it wants. A run that is given a network is refused."""

    def call(verb, *opts):
        argv = [*net.enter, "env", "-C", net.ws, deny, "socket@2:12=ENOSYS", "--", BAILEY, verb, *opts, "--", *CURL, "-fk", "https://one.test/"]
        return subprocess.run([str(a) for a in argv], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=TIMEOUT, check=False, env=net.environ)

    before = net.internet.log()
    r = call("learn")
    assert r.returncode != 0 and json.loads(r.stdout)["network"] == {"allowedDomains": ["one.test"]}, r
    for opts in (["run", "--network", "deny"], ["learn", "--network", "allow"]):
        r = call(*opts)
        assert r.returncode == 125 and r.stdout == "" and "capture" in r.stderr, r
    assert net.internet.log() == before
    r = call("run", "--allow-host", "one.test", "--allow-degraded", "capture")
    assert r.returncode == 0 and "host=one.test" in r.stdout, ("the twin", r)
