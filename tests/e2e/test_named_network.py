# SPDX-License-Identifier: Apache-2.0
"""The network of a sandbox that stays: changed by its name, at once and for its next start (docs/adr/0034)."""
import concurrent.futures
import contextlib
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile
import time

import pytest

from conftest import BAILEY, PYTHON, skip, wait_for
from test_named import boxes  # noqa: F401 (a fixture)

CURL = ["curl", "-sSk", "-m", "8", "-o", "/dev/null", "-w", "%{http_code}"]


@pytest.fixture
def web(net, boxes, works, user):  # noqa: F811
    """Boxes where the servers are: web("exec", …)."""

    class Web:
        home = boxes.home

        def __call__(self, verb, *words):
            return net(None, *words, verb=verb, env=boxes.env)

        def make(self, *options):
            r = self("create", *options, "box")
            assert r.rc == 0, r
            return r.out.strip()

        def network(self, *words):
            return self("network", *words)

        def reaches(self, url):
            r = self("exec", "box", "--", *CURL, url)
            assert r.rc in (0, 6, 7, 22, 28, 35, 52, 56, 97), r  # of curl: bailey's own are failures
            return r.rc == 0 and r.out == "200"

        def start(self, *words):
            return subprocess.Popen(net.argv(None, words[1:], words[0]), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                    env={**net.environ, **boxes.env})

        def rules(self, word="box"):
            r = self.network("policy", "--json", word)
            assert r.rc == 0, r
            got = json.loads(r.out)
            return got["mode"], {(x["action"], x["rule"]) for x in got["rules"] if x["layer"] == "live"}

    yield Web()
    net(None, "-f", "box", verb="rm", env=boxes.env)


def test_kept_for_the_next_start(web):
    """Allowed while it is stopped; what is denied, and what was never allowed, is refused."""
    web.make()
    assert not web.reaches("http://one.test/")
    assert web.rules() == ("deny", set())
    assert web("stop", "box").rc == 0
    assert web.network("allow", "box", "one.test", "two.test").rc == 0
    assert web.rules() == ("deny", {("allow", "one.test"), ("allow", "two.test")}), "while it is stopped"
    for _ in range(2):
        assert web.reaches("http://one.test/") and web.reaches("http://two.test/")
        assert web.rules() == ("deny", {("allow", "one.test"), ("allow", "two.test")}), "while it runs"
        assert web("stop", "box").rc == 0
    assert web.network("remove", "box", "two.test").rc == 0
    assert web.reaches("http://one.test/") and not web.reaches("http://two.test/")


@pytest.mark.parametrize("words,policy,npm,word", [
    ((), None, True, True),
    (("-p", "0:80"), None, True, True),
    (("--deny-host", "registry.npmjs.org"), None, False, True),
    (("--network", "none"), None, False, False),
    (("--preset", "closed"), None, False, False),
    (("--allow-host", "one.test"), None, False, False),
    ((), {"network": {"mode": "none"}}, False, False),
    ((), {"network": {"preset": "closed"}}, False, False),
    ((), {"network": {"allowedDomains": ["one.test"]}}, False, False),
])  # fmt: skip
def test_without_a_word_about_the_network(web, user, words, policy, npm, word):
    """It has what package managers need; a word about it, wherever it stands, is meant."""
    if policy:
        user.write(user.mkdir(user.home / ".config/bailey") / "policy.json", json.dumps(policy))
    try:
        web.make(*words)
        assert ("--preset=balanced" in json.loads(web("inspect", "box").out)[0]["options"]) == word
        assert web.reaches("http://registry.npmjs.org/") == npm and not web.reaches("http://two.test/")
    finally:
        (user.home / ".config/bailey/policy.json").unlink(missing_ok=True)


def test_the_log_as_docker_prints_it(web):
    web.make("--allow-host", "one.test", "--inspect", "one.test")
    web("create", "--allow-host", "two.test", "other")
    assert web.network("log", "--format", "docker").out == "" and json.loads(web.network("log", "--format", "docker", "--json").out) == {"entries": []}
    try:
        assert web("exec", "box", "--", *CURL, "https://one.test/a%20b?c").rc == 0 and web("exec", "box", "--", *CURL, "http://one.test:8080/plain").rc == 0
        assert web("exec", "other", "--", *CURL, "https://two.test/").rc == 0 and not web.reaches("https://six.test/")
        lines = [line.split(" ", 1) for line in web.network("log", "--format", "docker").out.splitlines()]
        assert sorted(lines) == lines and all(re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:.]+Z", time) for time, _ in lines), lines
        said = [text for _, text in lines]
        assert any(s.startswith("sandbox=box request GET https://one.test/a%20b") and s.endswith(" allowed") for s in said), said
        assert "sandbox=box request GET http://one.test:8080/plain allowed" in said, said
        assert "sandbox=other request CONNECT two.test:443 allowed" in said and said[-1].startswith("sandbox=box request CONNECT six.test") and said[-1].endswith(" denied"), said
        one = web.network("log", "--format", "docker", "other").out
        assert one and "sandbox=box" not in one
        got = json.loads(web.network("log", "--format", "docker", "--json", "--limit", "1", "-q").out)["entries"]
        assert [(x["sandbox"], x["method"], x["allowed"]) for x in got] == [("box", "CONNECT", False)] and got[0]["url"].startswith("six.test") and got[0]["reason"], got
        for words in (("--format", "podman"), ("--format", "docker", "--follow"), ("--format", "docker", "none")):
            assert web.network("log", *words).rc in (2, 3), words
    finally:
        web("rm", "-f", "other")


def test_what_was_refused_is_said(web):
    """By exec when its command has ended, as by a run: of its own time only, each once; and how it is allowed."""
    web.make("--allow-host", "one.test")
    r = web("exec", "box", "--", *CURL, "http://one.test/")
    assert r.rc == 0 and r.err == "", r
    fetch = "; ".join(f"curl -s -m 8 http://{name}/" for name in ("two.test", "two.test", "one.test", "six.test"))
    r = web("exec", "box", "--", "sh", "-c", f"({fetch}) > /dev/null; exit 7")
    assert r.rc == 7 and r.err.splitlines() == [
        "bailey: network: two.test:80 denied: no rule allows it; bailey network allow box two.test",
        "bailey: network: six.test:80 denied: no rule allows it; bailey network allow box six.test",
        "bailey: network: all of it: bailey network log box"], r
    assert web("exec", "box", "--", "true").err == "", "that was another one's"
    assert web("exec", "-d", "--name", "job", "box", "--", "sh", "-c", f"sleep 1; {fetch}").err == ""
    r = web("attach", "box", "job")
    assert r.err.count("two.test:80 denied") == 1, r
    assert "network:" not in web("logs", "box", "job").err, "what it has written, and no more"
    assert web.network("allow", "box", "two.test").rc == 0
    assert web("exec", "box", "--", *CURL, "http://two.test/").err == ""


def test_who_has_no_network_hears_so(web):
    web.make("--network", "none")
    for want in (True, False):
        r = web("exec", "box", "--", "sh", "-c", "curl -s http://one.test/; exit 7" if want else "exit 7")
        assert r.rc == 7 and ("tried the network, and 'box' has none: 'bailey network allow box HOST' says how to give it one\n" in r.err) == want, r
    assert web("exec", "box", "--", "sh", "-c", "curl -s http://one.test/; true").err == "", "it has not failed"
    r = web.network("allow", "box", "one.test")
    assert r.rc == 2 and "bailey network proxy box --policy deny" in r.err, r
    assert web("stop", "box").rc == 0 and web.network("proxy", "box", "--policy", "deny", "--allow-host", "one.test").rc == 0 and web.reaches("http://one.test/"), "as is said"


def test_changed_while_it_runs(web):
    """At once, for what is open, too; and still so after a stop, and after the gateway was killed."""
    web.make("--allow-host", "one.test")
    assert web.reaches("http://one.test/") and not web.reaches("http://two.test/")
    assert web.network("allow", "box", "two.test").rc == 0 and web.reaches("http://two.test/")
    p = web.start("exec", "box", "--", "env", "-u", "http_proxy", "curl", "-sS", "-m", "60", "http://one.test/slow", "-o", "/dev/null")
    try:
        assert wait_for(lambda: any('"/slow"' in li or '"open"' in li for li in web.network("log", "box", "--json", "--limit", "1").out.splitlines()))
        time.sleep(0.3)
        assert p.poll() is None
        begun = time.monotonic()
        assert web.network("deny", "box", "one.test", "--reason", "enough").rc == 0
        p.communicate(timeout=60)
        assert time.monotonic() - begun < 20 and p.returncode in (18, 52, 56)
    finally:
        p.kill()
        p.communicate()
    assert not web.reaches("http://one.test/") and web.reaches("http://two.test/")
    assert web("stop", "box").rc == 0
    assert not web.reaches("http://one.test/") and web.reaches("http://two.test/")
    assert web.rules() == ("deny", {("deny", "one.test"), ("allow", "two.test")})
    assert web.network("remove", "box", "one.test").rc == 0 and web.reaches("http://one.test/")


def test_many_change_it_at_once(web):
    """Nobody's change is lost, stopped or running."""
    web.make("--allow-host", "one.test")
    for lives in (False, True):
        if lives:
            assert web.reaches("http://one.test/")
        names = [f"h{i}.{lives}.test".lower() for i in range(8)]
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            results = list(pool.map(lambda n: web.network("allow", "box", n), names))
        assert all(r.rc == 0 for r in results), results
        assert {n for _, n in web.rules()[1]} >= set(names)
    assert web("stop", "box").rc == 0
    assert len(web.rules()[1]) == 16


# The store is a child that is started, the gateway is spoken to by write.
KILLED = ("clone", "fork", "vfork", "connect", "write")
ASK = """
import socket
s = socket.socket(socket.AF_UNIX)
s.connect("control")
s.sendall(b'{"op":"policy"}\\n')
print(s.makefile().readline())
"""


class Both:
    """The rules of a sandbox that runs: those that its gateway has, asked without bailey, which would heal them, and those that are kept."""

    def __init__(self, web, net, ident):
        self.web, self.net, self.ident = web, net, ident

    def live(self):
        p = subprocess.run([*self.net.enter, "env", "-C", self.web.home / "network" / self.ident, PYTHON, "-c", ASK], capture_output=True, text=True, check=True, timeout=60)
        return {(r["action"], r["rule"]) for r in json.loads(p.stdout)["rules"] if r["layer"] == "live"}

    def kept(self):
        r = self.web("inspect", "box")
        assert r.rc == 0, r
        got = json.loads(r.out)
        return {(c["op"], c["rule"]) for c in (got[0] if isinstance(got, list) else got).get("network") or []}


@pytest.mark.thorough
@pytest.mark.parametrize("verb", ["allow", "remove"])
def test_killed(web, net, verb):
    """Two rules of one that runs, and kill -9 before each of its calls that somebody else notices: neither or both, for who is inside, too, and the next command makes what is kept hold."""
    if not shutil.which("strace"):
        skip("strace is not installed")
    both = Both(web, net, web.make("--allow-host", "one.test"))
    assert web.reaches("http://one.test/")
    two = {("allow", "a.test"), ("allow", "b.test")}
    kept: set[tuple[str, str]] = set()
    kills, seen, healed = 0, set(), 0
    begin, other = (set(), "remove") if verb == "allow" else (two, "allow")
    for call in KILLED:
        for n in range(1, 200):
            if kept != begin:
                assert web.network(other, "box", "a.test", "b.test").rc == 0 and both.live() == begin
            words = ["strace", "-qq", "-e", f"trace={call}", "-e", f"inject={call}:signal=KILL:when={n}", "-o", "/dev/null", BAILEY, "network", verb, "box", "a.test", "b.test"]
            rc = subprocess.run([*net.enter, "env", "-C", net.ws, *words], env={**net.environ, "XDG_STATE_HOME": str(web.home.parent), "XDG_RUNTIME_DIR": ""},
                                capture_output=True, check=False, timeout=60).returncode
            if rc not in (-signal.SIGKILL, 128 + signal.SIGKILL):
                assert rc == 0, (call, n, rc)
                kept = set() if begin else two
                break
            kills += 1
            live, kept = both.live(), both.kept()
            assert live in (set(), two) and kept in (set(), two), (call, n, live, kept)
            seen.add(frozenset(kept))
            if live != kept:
                healed += 1
                if healed % 2:
                    assert web.rules()[1] == kept, (call, n)
                else:  # another change does it, too
                    assert web.network("deny", "box", "c.test").rc == 0 and web.network("remove", "box", "c.test").rc == 0
                assert both.live() == kept, (call, n)
    assert kills > 5 and len(seen) == 2 and healed > 0, (kills, seen, healed)


@pytest.fixture
def disk(net, boxes):  # noqa: F811
    """The state on a disk of its own; disk(FREE) leaves so much of it, disk() makes room. Made before there is anything in it."""
    if os.geteuid() != 0:
        skip("only root can mount a small disk")
    state = pathlib.Path(tempfile.mkdtemp(prefix="bailey-disk-", dir="/var/tmp"))
    os.chown(state, net.user.uid, net.user.gid)
    boxes.env, boxes.home = {**boxes.env, "XDG_STATE_HOME": str(state)}, state / "bailey"
    there = ["nsenter", f"--mount=/proc/{net.internet.pid}/ns/mnt"]
    subprocess.run([*there, "mount", "-t", "tmpfs", "-o", f"size=8m,mode=700,uid={net.user.uid},gid={net.user.gid}", "none", state], check=True)
    where = pathlib.Path(f"/proc/{net.internet.pid}/root{state}")

    def fill(full):
        if not full:
            (where / "filler").unlink()
            return
        with open(where / "filler", "wb", buffering=0) as f, contextlib.suppress(OSError):
            while True:
                f.write(bytes(4096))

    yield fill
    subprocess.run([*there, "umount", "-l", state], check=True)
    del boxes.env, boxes.home
    shutil.rmtree(state)


def test_disk_is_full(disk, web, net):
    """Nothing is changed, neither of one that runs nor of what is kept, and one line says so; with room again it works."""
    both = Both(web, net, web.make("--allow-host", "one.test"))
    assert web.reaches("http://one.test/") and web.network("allow", "box", "old.test").rc == 0
    old = {("allow", "old.test")}
    disk(True)
    for words in (["allow", "box", "two.test", "b.test"], ["deny", "box", "one.test"], ["remove", "box", "old.test"], ["proxy", "box", "--block-host", "one.test"]):
        r = web.network(*words)
        assert r.rc == 125 and r.err.count("\n") == 1 and "disk full" in r.err, r
        assert both.live() == both.kept() == old, words
    assert web.reaches("http://one.test/") and not web.reaches("http://two.test/")
    disk(False)
    assert web.network("allow", "box", "two.test", "b.test").rc == 0
    assert both.live() == both.kept() == {*old, ("allow", "two.test"), ("allow", "b.test")} and web.reaches("http://two.test/")


def test_one_log_for_all_its_life(web):
    ident = web.make("--allow-host", "one.test")
    for _ in range(2):
        assert web.reaches("http://one.test/") and not web.reaches("http://two.test/")
        assert web("stop", "box").rc == 0
    r = web.network("log", "box", "--json")
    lines = [json.loads(li) for li in r.out.splitlines()]
    assert r.rc == 0 and [li["seq"] for li in lines] == list(range(1, len(lines) + 1))
    assert sum(li["event"] == "deny" for li in lines) >= 2 and sum(li.get("decision") == "allow" for li in lines) >= 2
    denied = web.network("log", "box", "--denied", "-q", "--limit", "1")
    assert denied.rc == 0 and denied.out.count("\n") == 1 and "two.test" in denied.out
    v = web.network("log", "box", "--verify")
    assert (v.rc, v.out) == (0, f"the log {ident} is whole\n"), v
    (listed,) = json.loads(web.network("ls", "box", "--json").out)
    assert (listed["id"], listed["sandbox"], listed["state"]) == (ident, "box", "ended")
    assert web("rename", "box", "other").rc == 0
    assert json.loads(web.network("ls", "other", "--json").out)[0]["sandbox"] == "other"
    assert web("rename", "other", "box").rc == 0
    assert web("rm", "box").rc == 0
    assert not list((web.home / "network").glob(f"**/{ident}")), "nothing of it is left"


def test_check_by_name(web):
    """With the sandbox's own options and changes."""
    web.make("--allow-host", "one.test")
    assert web.network("check", "box", "one.test:443").rc == 0 and web.network("check", "box", "two.test:443").rc == 1
    assert web.network("allow", "box", "two.test").rc == 0
    # what is proposed is what changes the rules of a sandbox that stays
    assert web.network("check", "box", "new.test:443").out == "new.test:443: denied: no rule allows it; bailey network allow box new.test\n"
    r = web.network("check", "box", "--json", "two.test:443")
    assert r.rc == 0 and json.loads(r.out)[0]["rule"]["origin"] == "live", r
    r = web.network("check", "--allow-host", "x.test", "box", "x.test:443")
    assert r.rc == 2 and "--allow-host" in r.err and r.err.count("\n") == 1


def test_proxy(web):
    """Docker's flags: the most specific rule counts, the mode changes at once, and all of it is kept."""
    web.make("--network", "deny")
    assert not web.reaches("http://one.test/")
    assert web.network("proxy", "box", "--policy", "allow").rc == 0 and web.reaches("http://one.test/")
    assert web.network("proxy", "box", "--policy", "deny", "--allow-host", "one.test", "--block-host", "*").rc == 0
    for _ in range(2):
        assert web.reaches("http://one.test/") and not web.reaches("http://two.test/")
        assert web.rules() == ("deny", {("allow", "one.test"), ("deny", "**")})
        assert web("stop", "box").rc == 0
    # the exact port is more specific than the host
    assert web.network("proxy", "box", "--block-host", "one.test:80").rc == 0
    assert not web.reaches("http://one.test/") and web.reaches("https://one.test/")
    assert web.network("proxy", "box", "--allow-host", "one.test:80").rc == 0 and web.reaches("http://one.test/"), "the same rule is replaced"
    # a name that is allowed may lead to an address that is not; another may not
    assert web.network("proxy", "box", "--policy", "allow", "--block-cidr", "192.0.2.0/24").rc == 0
    assert web.network("remove", "box", "**").rc == 0
    assert web.reaches("http://one.test/") and not web.reaches("http://two.test/")
    assert web.network("proxy", "box", "--allow-cidr", "192.0.2.0/24").rc == 0 and web.reaches("http://two.test/")


SEEN = """
import socket, ssl, sys
context = ssl.create_default_context()
context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
with context.wrap_socket(socket.create_connection((sys.argv[1], 443), 10), server_hostname=sys.argv[1]) as s:
    print(ssl.DER_cert_to_PEM_cert(s.getpeercert(True)))
"""


def test_proxy_bypass(web, net):
    """What is inspected is not any more, at once and after a stop: the server's own certificate is seen. And back."""
    own = (net.internet.dir / "one.test.crt").read_text().strip()
    web.make("--allow-host", "one.test", "--inspect", "one.test")

    def own_is_seen():
        r = web("exec", "box", "--", PYTHON, "-c", SEEN, "one.test")
        assert r.rc == 0 and r.out.startswith("-----BEGIN"), r
        return r.out.strip() == own

    assert not own_is_seen(), "the control: it is inspected"
    assert web.network("proxy", "box", "--bypass-host", "one.test").rc == 0
    assert own_is_seen(), "at once"
    assert web("stop", "box").rc == 0 and own_is_seen(), "at the next start"
    assert web.network("remove", "box", "one.test").rc == 0
    assert not own_is_seen(), "taken back"
    assert web("stop", "box").rc == 0 and not own_is_seen()


def test_public_suffixes(web):
    """--i-know is what the refusal says, and it is kept with the rule."""
    web.make("--allow-host", "one.test")
    for words in (["allow", "box", "*.co.uk"], ["proxy", "box", "--allow-host", "*.com"]):
        assert web.network(*words).rc == 2
        r = web.network(*words, "--i-know")
        assert r.rc == 0 and r.said == "", r
    live = {("allow", "*.co.uk"), ("allow", "*.com")}
    assert web.rules() == ("deny", live) and web.reaches("http://one.test/")
    assert web.rules() == ("deny", live) and web.network("check", "box", "a.co.uk:443").rc == 0
    assert web.network("remove", "box", "*.co.uk").rc == 0 and web.rules()[1] == {("allow", "*.com")}


def test_none_by_its_own_options(web):
    """No rule is kept that would never hold: refused at once, running or stopped. Another mode lifts it, and so the other way that the refusal names."""
    web.make("--network", "none")
    for _ in range(2):
        for words in (["allow", "box", "one.test"], ["proxy", "box", "--allow-host", "one.test"]):
            r = web.network(*words)
            assert r.rc == 2 and "was made with --network none" in r.err and "bailey network proxy box --policy deny" in r.err and r.err.count("\n") == 1, r
        assert web.rules() == ("none", set())
        assert web("exec", "box", "--", "true").rc == 0  # it runs now
    assert web("stop", "box").rc == 0
    assert web.network("deny", "box", "two.test").rc == 0 and web.network("remove", "box", "two.test").rc == 0
    assert web.network("proxy", "box", "--policy", "deny").rc == 0
    r = web.network("allow", "box", "one.test")
    assert r.rc == 0 and r.said == "", r
    assert web.rules() == ("deny", {("allow", "one.test")}) and web.reaches("http://one.test/")


def test_none_by_a_file(web, user):
    """A file can change: what it says now is no reason to refuse."""
    web.make()
    user.write(user.home / ".config/bailey/policy.json", json.dumps({"network": {"mode": "none"}}))
    try:
        r = web.network("allow", "box", "one.test")
        assert r.rc == 0 and "has no effect: network none" in r.said, r
    finally:
        user.exec(["rm", "-rf", user.home / ".config/bailey"])
    assert web.reaches("http://one.test/")


def test_policy_shows_inspection_and_precedence(web):
    """What is looked into, what is not, and which of two rules counts: the same of one that runs and of one that is stopped."""
    web.make("--allow-host", "one.test", "--allow-host", "two.test", "--inspect", "one.test", "--inspect", "two.test", "--network-precedence", "most-specific")
    assert web.network("proxy", "box", "--bypass-host", "two.test").rc == 0
    want = [("inspect", "one.test", "--inspect"), ("inspect", "two.test", "--inspect"), ("bypass", "two.test", "live bypass")]
    for state in ("stopped", "runs"):
        got = json.loads(web.network("policy", "--json", "box").out)
        assert [(x["action"], x["rule"], x["origin"]) for x in got["inspect"]] == want and got["most_specific"] == ["command", "live"], (state, got)
        text = web.network("policy", "box").out
        assert text.startswith("network deny; the most specific rule counts of: command, live\n"), text
        assert "\n  inspect one.test  [--inspect]\n" in text and text.endswith("\n  bypass  two.test  [live bypass]\n"), text
        assert web.reaches("http://one.test/")
    assert web.network("remove", "box", "two.test").rc == 0
    for _ in range(2):
        got = json.loads(web.network("policy", "--json", "box").out)
        assert [(x["action"], x["rule"], x["origin"]) for x in got["inspect"]] == want[:2], got
        assert web("stop", "box").rc == 0
    assert web("rm", "-f", "box").rc == 0
    web.make("--allow-host", "one.test")
    got = json.loads(web.network("policy", "--json", "box").out)
    assert got["inspect"] == [] and got["most_specific"] == [] and web.network("policy", "box").out.startswith("network deny\n"), got


def test_the_log_goes_with_the_sandbox(web):
    """--follow ends with 0, and says why; a rule that was changed is no denial."""
    web.make("--allow-host", "one.test")
    assert web.reaches("http://one.test/") and web.network("deny", "box", "one.test").rc == 0 and not web.reaches("http://one.test/")
    r = web.network("log", "box", "--denied", "--json")
    denied = [json.loads(li) for li in r.out.splitlines()]
    assert denied and {d["event"] for d in denied} == {"deny"}, r
    assert any((e["event"], e["decision"]) == ("change", "deny") for e in map(json.loads, web.network("log", "box", "--json").out.splitlines()) if "decision" in e)
    p = web.start("network", "log", "box", "--follow")
    assert p.stdout.readline() and web("rm", "-f", "box").rc == 0
    _, err = p.communicate(timeout=60)
    assert (p.returncode, err) in ((0, b"bailey: notice: box was removed, and its log with it\n"), (0, b"")), err


def test_the_log_is_removed_while_it_is_followed(web):
    """The same where its end is not seen first: the directory goes under the one who follows."""
    ident = web.make("--allow-host", "one.test")
    assert web.reaches("http://one.test/") and web("stop", "box").rc == 0
    control = web.home / "network" / ident / "control"
    control.write_text("")  # it seems to live
    p = web.start("network", "log", "box", "--follow")
    assert p.stdout.readline() and web("rm", "-f", "box").rc == 0
    _, err = p.communicate(timeout=60)
    assert (p.returncode, err) == (0, b"bailey: notice: box was removed, and its log with it\n")


def test_verify_as_json(web):
    ident = web.make("--allow-host", "one.test")
    assert web.reaches("http://one.test/") and web("stop", "box").rc == 0
    r = web.network("log", "box", "--verify", "--json")
    assert (r.rc, json.loads(r.out), r.err) == (0, {"id": ident, "whole": True, "why": None}, ""), r
    log = next(p for p in (web.home / "network" / ident).glob("log.*") if p.stat().st_size)
    log.write_bytes(log.read_bytes().replace(b"one.test", b"two.test", 1))
    r = web.network("log", "box", "--verify", "--json")
    assert r.rc == 1 and r.err == "" and {**json.loads(r.out), "why": ""} == {"id": ident, "whole": False, "line": 1, "why": ""}, r
    assert web.network("log", "box", "--verify").rc == 1


def test_listed_by_their_start(web):
    """The newest last, with the time; a sandbox that is started again is the newest."""
    ident = web.make("--allow-host", "one.test")
    for _ in range(2):
        before = time.time()
        assert web.reaches("http://one.test/") and web("stop", "box").rc == 0
        r = web("run", "--allow-host", "one.test", "--", *CURL, "http://one.test/")
        assert r.out == "200", r
        listed = json.loads(web.network("ls", "--json").out)
        times = [x["time"] for x in listed]
        assert times == sorted(times) and listed[-1]["sandbox"] is None and listed[-2]["id"] == ident, listed
        assert before - 1 <= times[-2] <= times[-1] <= time.time() + 1
    line = web.network("ls").out.splitlines()[-2]
    assert line.startswith(ident) and time.strftime("  %Y-%m-%dT%H:%M:%SZ  ", time.gmtime(times[-2])) in line, line


def test_policy_of_a_run_that_has_ended(web):
    """It has no rules, and what is left is named; it is no question of a change."""
    r = web("run", "--allow-host", "one.test", "--", *CURL, "http://one.test/")
    assert r.out == "200", r
    run = json.loads(web.network("ls", "--json").out)[-1]["id"]
    r = web.network("policy", run)
    assert r.rc == 2 and r.err == f"bailey: run {run} has ended, and has no rules any more; what it reached, and what was refused: bailey network log {run}\n", r
    r = web.network("deny", run, "one.test")
    assert r.rc == 2 and r.err == f"bailey: run {run} has ended; its rules can't change any more\n", r


BAD = [
    (["allow", "box"], 2, "the rules"),
    (["allow", "box", "*"], 2, "**"),
    (["allow", "box", "*.com"], 2, "say --i-know"),
    (["proxy", "box", "--allow-host", "*.com"], 2, "say --i-know"),
    (["deny", "box", "a..b"], 2, "a..b"),
    (["allow", "box", "ok.test", "no..good"], 2, "no..good"),
    (["remove", "box", "never.test"], 2, "there is no live rule 'never.test'"),
    (["allow", "nobox", "a.test"], 3, "nobox"),
    (["proxy", "nobox", "--policy", "deny"], 3, "nobox"),
    (["proxy", "box"], 2, "nothing is to be changed"),
    (["proxy", "box", "--policy", "maybe"], 2, "expected allow or deny"),
    (["proxy", "box", "--block-cidr", "300.0.0.0/8"], 2, "300.0.0.0/8"),
    (["proxy", "box", "--hide", "x"], 2, "--hide"),
    (["proxy", "box", "--publish", "1:1"], 2, "--publish"),
    (["log", "nobox"], 3, "nobox"),
    (["log", "box"], 2, "has not used a network"),
    (["ls", "nobox"], 3, "nobox"),
    (["check", "box"], 2, "HOST:PORT"),
]


@pytest.mark.parametrize("words,status,said", BAD, ids=[" ".join(w) for w, _, _ in BAD])
def test_bad_words(web, words, status, said):
    """One line, and nothing has changed: not the first of two rules either."""
    web.make("--allow-host", "one.test")
    r = web.network(*words)
    assert r.rc == status and said in r.err and r.err.count("\n") == 1 and r.err.startswith("bailey: "), r
    assert web.rules() == ("deny", set())


def test_files_have_the_last_word(web, user):
    """The mode that a user's policy file says is the most that a live change can make of it; a denial there is final."""
    web.make("--allow-host", "one.test")
    user.write(user.home / ".config/bailey/policy.json", json.dumps({"network": {"mode": "deny", "deniedDomains": ["two.test"]}}))
    try:
        assert web.network("allow", "box", "two.test").rc == 0
        r = web.network("policy", "box")
        assert r.rc == 0, r
        assert not web.reaches("http://two.test/") and web.reaches("http://one.test/")
        r = web.network("proxy", "box", "--policy", "allow")
        assert r.rc == 2 and "network deny is the most" in r.err, r
        assert web.rules()[0] == "deny"
    finally:
        user.exec(["rm", "-rf", user.home / ".config/bailey"])
