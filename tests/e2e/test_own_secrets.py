# SPDX-License-Identifier: Apache-2.0
"""Secrets of one sandbox that stays: it has them, nobody else does, and they go with it (docs/adr/0022)."""
import itertools
import json
import pathlib

import pytest

from conftest import PYTHON, wait_for
from test_credentials import arrived, secret
from test_gateway import CLEAN
from test_inspect import Inside, internet  # noqa: F401 (a fixture)

GLOBAL, OWN, NEXT = "everybody-Of/The+Owner=7d1f0a", "of-box-alone-Of/It=55aa01", "of-box-later-Of/It=99cc02"
ECHO = "https://web.test/echo"
NET = ["--allow-host", "web.test"]
HOW = ["--host", "web.test", "--header", "X-Key", "--env", "OWN_KEY"]
ASK = ["sh", "-c", f'curl -sS -o /dev/null -w "%{{http_code}}" -H "X-Key: ${{OWN_KEY-none}}" {ECHO}']


class Caller(Inside):
    home: pathlib.Path  # what bailey keeps


@pytest.fixture
def at(internet, user, ws, works):
    """With a state of its own, so that no other test's secrets are in it."""
    assert works(user) == ""
    user.write(ws / "ca.crt", (internet.dir / "ca.crt").read_text(), 0o600)
    inside = Caller(internet, user, ws)
    state = user.mkdir(ws.parent / f"state-{ws.name}", 0o700)
    inside.environ["XDG_STATE_HOME"] = str(state)
    inside.environ["XDG_RUNTIME_DIR"] = ""
    inside.home = state / "bailey"
    yield inside
    for box in json.loads(verb(inside, "ls", "--json").out):
        assert verb(inside, "rm", "-f", box["name"]).rc == 0
    user.exec(["rm", "-rf", state])


def verb(at, name, *words):
    return at(None, *words, verb=name)


def make(at, name, *options):
    r = verb(at, "create", *options, name)
    assert r.rc == 0, r
    return r.out.strip()


def inside(at, name, cmd):
    return at(cmd, name, verb="exec")


def listing(at, *words):
    return {s["name"]: s for s in json.loads(secret(at, "ls", "--json", *words).stdout)}


def test_a_secret_that_is_not_there_yet_is_said(at):
    """It may be set later, for that sandbox alone, too. The twin, once it is kept, and one without a network, say nothing."""
    words = ["create", *NET, "--secret", "key"]
    r = verb(at, *words, "one")
    assert r.rc == 0 and [li for li in r.err.splitlines() if "secret" in li] == [
        "bailey: notice: there is no secret 'key' yet, and without it nothing starts: bailey secret set key, or for this sandbox alone: bailey secret set --sandbox one key"], r
    secret(at, "set", "--sandbox", "one", "key", *HOW, stdin=OWN)
    assert inside(at, "one", ["true"]).rc == 0
    secret(at, "set", "key", *HOW, stdin=GLOBAL)
    r = verb(at, *words, "two")
    assert r.rc == 0 and "secret" not in r.err, r
    r = verb(at, "create", "--network", "none", "--secret", "other", "three")
    assert r.rc == 0 and "there is no secret" not in r.err, r


def test_only_that_sandbox_has_it(at):
    make(at, "one", *NET)
    make(at, "two", *NET)
    arrived(at)
    r = secret(at, "set", "--sandbox", "one", "mine", *HOW, stdin=OWN)
    assert r.stdout.startswith("kept mine of sandbox one, for web.test"), r
    # the sandbox: a stand-in inside, the value on the wire
    r = inside(at, "one", [*ASK[:2], ASK[2] + '; echo; echo "$OWN_KEY"'])
    assert r.out.startswith("200\nbailey-secret-") and OWN not in r.out, r
    assert [a[-1] for a in arrived(at)] == [OWN]
    # another one, and a run, which even names it: nothing, and a run does not begin
    r = inside(at, "two", [*ASK[:2], ASK[2] + '; echo; echo "${OWN_KEY-none}"'])
    assert r.out == "000\nnone\n" or "none" in r.out, r
    assert OWN not in str(arrived(at)) and OWN not in r.out
    r = at(ASK, *NET)
    assert OWN not in str(arrived(at)) and OWN not in r.out
    r = at(["touch", "ran"], *NET, "--secret", "mine")
    assert r.rc == 2 and "no secret 'mine'" in r.err and not (at.ws / "ran").exists(), r
    r = verb(at, "create", *NET, "--secret", "mine", "three")
    assert r.rc == 0 and r.err.count("there is no secret 'mine' yet") == 1 and "bailey secret set --sandbox three mine" in r.err, r
    assert inside(at, "three", ["true"]).rc != 0, "a word of create is no grant of another's"
    # it is in its own list alone
    assert listing(at) == {} and listing(at, "--sandbox", "two") == {}
    assert listing(at, "--sandbox", "one")["mine"]["sandbox"] == "one"


def test_a_new_one_of_one_that_runs_is_for_its_next_start(at):
    """Which is said; not where the value is there at once, nor of one that is stopped."""
    note = "sandbox one runs: it has it from its next start on: bailey stop one\n"
    make(at, "one", *NET, "--secret", "key")
    secret(at, "set", "key", *HOW, stdin=GLOBAL)
    assert note not in secret(at, "set", "--sandbox", "one", "early", "--host", "web.test", "--header", "X-Early", stdin=OWN).stdout
    assert inside(at, "one", ["true"]).rc == 0
    r = secret(at, "set", "--sandbox", "one", "mine", "--host", "web.test", "--header", "X-Other", stdin=NEXT)
    assert r.stdout.startswith("kept mine of sandbox one") and r.stdout.endswith(note) and r.stdout.count("\n") == 2, r
    for words in (["set", "--sandbox", "one", "key", *HOW], ["set", "--replace", "--sandbox", "one", "mine", "--host", "web.test", "--header", "X-Other"], ["rotate", "--sandbox", "one", "mine"]):
        r = secret(at, *words, stdin=OWN)
        assert note not in r.stdout, r
    r = secret(at, "set", "--sandbox", "one", "mine", "--host", "web.test", "--header", "X-Other", stdin=NEXT, check=False)
    assert r.returncode == 2 and r.stdout == "", "nothing was kept"


def test_secrets_that_no_rule_lets_out(at):
    """--secret, and the sandbox's own: a notice names the host and the option; none where one of the hosts is allowed, or somebody is asked."""
    secret(at, "set", "key", *HOW, "--host", "*.one.test", stdin=GLOBAL)

    def said(*words):
        return at(["true"], *words).said

    want = "bailey: notice: {} has no effect: no rule allows web.test: --allow-host web.test\n"
    assert said("--secret", "key", "--network", "deny") == want.format("--secret 'key'")
    assert said("--secret", "key", "--allow-host", "other.test") == want.format("--secret 'key'")
    for words in (NET, ["--network", "allow"], ["--allow-host", "x.one.test"], ["--allow-host", "**"], ["--ask"]):
        assert said("--secret", "key", *words) == "", words
    box = make(at, "one", "--network", "deny")
    secret(at, "set", "--sandbox", "one", "mine", *HOW, stdin=OWN)
    assert verb(at, "start", "one").rc == 0
    assert want.format("the sandbox's own secret 'mine'") in (at.home / "sandboxes" / box / "log").read_text(), "where a start says what it has to say"


def test_its_own_goes_before_everybodys_and_comes_and_goes_while_it_runs(at):
    make(at, "one", *NET, "--secret", "key")
    make(at, "two", *NET, "--secret", "key")
    secret(at, "set", "key", *HOW, stdin=GLOBAL)

    def sends(name):
        arrived(at)
        r = inside(at, name, ASK)
        return [a[-1] for a in arrived(at)] or r.out

    assert sends("one") == sends("two") == [GLOBAL]
    secret(at, "set", "--sandbox", "one", "key", *HOW, stdin=OWN)
    assert wait_for(lambda: sends("one") == [OWN]), "at once"
    assert sends("two") == [GLOBAL]
    secret(at, "rotate", "--sandbox", "one", "key", stdin=NEXT)
    assert wait_for(lambda: sends("one") == [NEXT]) and sends("two") == [GLOBAL]
    assert "GLOBAL" not in str(listing(at)) and listing(at)["key"]["sandbox"] is None
    secret(at, "rm", "--sandbox", "one", "key")
    assert wait_for(lambda: sends("one") == [GLOBAL]), "the one that create names is there again"
    secret(at, "rm", "key")
    assert wait_for(lambda: sends("one") == "403") and sends("two") == "403"


def test_one_that_no_option_names_is_never_replaced_by_everybodys(at):
    """Its own is removed while it runs, and there is one of everybody's with that name: it was not given that."""
    make(at, "one", *NET)
    secret(at, "set", "key", *HOW, stdin=GLOBAL)
    secret(at, "set", "--sandbox", "one", "key", *HOW, stdin=OWN)
    arrived(at)
    assert inside(at, "one", ASK).out == "200" and [a[-1] for a in arrived(at)] == [OWN]
    secret(at, "rm", "--sandbox", "one", "key")
    assert wait_for(lambda: inside(at, "one", ASK).out == "403")
    assert GLOBAL not in str(arrived(at))
    assert verb(at, "stop", "one").rc == 0
    inside(at, "one", ASK)
    assert GLOBAL not in str(arrived(at))


def files(at):
    return [p for p in at.home.rglob("*") if p.is_file()]


def test_it_is_kept_encrypted_stays_when_renamed_and_goes_with_it(at):
    box = make(at, "one", *NET)
    secret(at, "set", "--sandbox", "one", "mine", *HOW, stdin=OWN)
    kept = at.home / "sandboxes" / box / "secrets"
    assert {p.name for p in kept.iterdir()} == {"key", "mine.secret"} and kept.stat().st_mode & 0o77 == 0
    assert all(OWN.encode() not in p.read_bytes() and p.stat().st_mode & 0o77 == 0 for p in kept.iterdir())
    assert verb(at, "rename", "one", "other").rc == 0
    arrived(at)
    assert inside(at, "other", ASK).out == "200" and [a[-1] for a in arrived(at)] == [OWN]
    assert list(listing(at, "--sandbox", "other")) == ["mine"] and list(listing(at, "--sandbox", box)) == ["mine"]
    # nothing of it can be read inside
    assert inside(at, "other", ["cat", str(kept / "mine.secret")]).rc != 0
    assert verb(at, "stop", "other").rc == 0 and verb(at, "rm", "other").rc == 0
    assert not kept.exists() and not [p for p in files(at) if p.name.endswith(".secret")]
    # one of the same name later has nothing of it
    make(at, "other", *NET)
    assert listing(at, "--sandbox", "other") == {}
    assert inside(at, "other", ASK).out != "200" or OWN not in str(arrived(at))


def test_bad_words_change_nothing(at):
    make(at, "one", *NET)
    for words, status, said in (
        (["set", "--sandbox", "nobody", "mine", *HOW], 3, "nobody"),
        (["ls", "--sandbox", "nobody"], 3, "nobody"),
        (["rm", "--sandbox", "one", "mine"], 3, "sandbox 'one' has no secret 'mine'"),
        (["rotate", "--sandbox", "one", "mine"], 3, "sandbox 'one' has no secret 'mine'"),
        (["set", "--sandbox", "one", "MINE", *HOW], 2, "MINE"),
        (["set", "--sandbox", "../one", "mine", *HOW], 3, "../one"),
        (["set", "--sandbox", "", "mine", *HOW], 3, ""),
        (["set", "--sandbox"], 2, "--sandbox"),
    ):
        r = secret(at, *words, stdin=OWN, check=False)
        assert r.returncode == status and said in r.stderr and r.stdout in ("", "[]\n"), (words, r)
    secret(at, "set", "key", *HOW, stdin=GLOBAL)
    r = secret(at, "rm", "--sandbox", "one", "key", check=False)
    assert r.returncode == 3 and list(listing(at)) == ["key"], "another's is not touched"
    assert not [p for p in files(at) if p.name == "mine.secret"]
    secret(at, "set", "--sandbox", "one", "mine", *HOW, stdin=OWN)
    r = secret(at, "set", "--sandbox", "one", "mine", *HOW, stdin=NEXT, check=False)
    assert r.returncode == 2 and "already" in r.stderr, r


def test_its_file_at_another_sandboxs_place_is_none(at):
    """Each has a key of its own, so a copy tells nothing."""
    a, b = make(at, "one", *NET), make(at, "two", *NET)
    secret(at, "set", "--sandbox", "one", "mine", *HOW, stdin=OWN)
    secret(at, "set", "--sandbox", "two", "other", *HOW, stdin=NEXT)
    of = {x: at.home / "sandboxes" / x / "secrets" for x in (a, b)}
    at.user.exec(["cp", of[a] / "mine.secret", of[b] / "mine.secret"])
    assert listing(at, "--sandbox", "two")["mine"]["state"] == "unreadable"
    r = inside(at, "two", ["true"])
    assert r.rc != 0 and "mine" in r.err and OWN not in r.err, r
    pathlib.Path(of[b] / "mine.secret").unlink()
    assert inside(at, "two", ["true"]).rc == 0


UDP = """
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(20)
try:
    s.connect(("one.test", 7)); s.send(b"x"); print(s.recv(9))
except OSError as e:
    print(type(e).__name__)
"""


def test_a_rule_for_udp_that_is_kept_leads_past_none(at):
    """It comes while the sandbox runs, and holds at its next start, too, which begins all the same; a host that is inspected is as one with a secret. The control has neither."""
    what = ["sh", "-c", f"{PYTHON} udp.py; curl -sS http://one.test/tcp"]
    why = "the host is inspected, which UDP would lead past"
    at.user.write(at.ws / "udp.py", UDP)
    for name, more in (("one", ""), ("two", ""), ("three", "--inspect one.test")):
        make(at, name, "--allow-host", "one.test", *more.split())
    secret(at, "set", "--sandbox", "one", "mine", "--host", "one.test", "--header", "X-Key", "--env", "OWN_KEY", stdin=OWN)
    for name, said in (("one", "ConnectionRefusedError\n"), ("two", "b'X'\n"), ("three", "ConnectionRefusedError\n")):
        assert inside(at, name, ["true"]).rc == 0
        assert at.network("allow", name, "one.test:7/udp").rc == 0
        for _ in ("as it came", "after a start"):
            r = inside(at, name, what)
            assert r.out.startswith(said) and "GET /tcp" in r.out, r
            assert verb(at, "stop", name).rc == 0
        denied = [e["reason"] for e in map(json.loads, at.network("log", name, "--json").out.splitlines()) if e["event"] == "deny"]
        assert denied == ([] if name == "two" else [why] * 2), denied
    for name, rc, words in (("two", 0, "allowed"), ("three", 1, f"denied: {why}")):
        r = at.network("check", name, "one.test:7/udp")
        assert r.rc == rc and words in r.out, r


# Each: the host that the server is asked for in that way, where it may be reached at all.
PAST = {
    "bound": f"curl -sS {ECHO}", "plain": "curl -sS http://web.test/echo", "alias": "curl -sSk https://alias.test/echo", "another host": "curl -sSk https://denied.test/echo",
    "its address": "curl -sSk https://192.0.2.20/echo -H 'Host: web.test'", "its address with its name": f"curl -sSk --connect-to web.test:443:192.0.2.20:443 {ECHO}",
    "plain, its address": "curl -sS -H 'Host: web.test' http://192.0.2.20/echo", "another host's name": "curl -sSk --connect-to denied.test:443:web.test:443 https://denied.test/echo",
}
ISSUER = "echo | openssl s_client -connect {0}:443 -servername {0} 2>/dev/null | openssl x509 -noout -issuer 2>/dev/null"
DATAGRAM = f"{PYTHON} -c \"import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.sendto(b'$OWN_KEY', ('{{}}.test', 7))\""


def test_no_change_while_it_runs_leads_past_inspection(at):
    """What lifts the inspection that the sandbox's own words ask for does not lift that of a bound host, and what is let through beside it gets the stand-in: the value is in requests over verified
    TLS to that host alone, also after a stop, when the changes are made again."""
    make(at, "one", *NET, "--allow-host", "denied.test", "--inspect", "denied.test", "--secret", "key")
    secret(at, "set", "key", *HOW, "--host", "one.test", stdin=GLOBAL)
    log = at.internet.dir / "keys.log"
    ends = itertools.count()

    def sends():
        """What the server has of all ways, with the proxy and without: those that brought the value, those that brought a stand-in."""
        before, end = len(log.read_text()), f"/who?{at.ws.name}-{next(ends)}"
        said = inside(at, "one", ["sh", "-c", "".join(f'{clean} {curl} -H "X-Key: $OWN_KEY"; ' for curl in PAST.values() for clean in ("", " ".join(CLEAN))) + f"curl -sS https://web.test{end}"])
        assert GLOBAL not in said.out + said.err
        assert wait_for(lambda: end in log.read_text()), said
        lines = log.read_text()[before:].splitlines()
        return {tuple(li.split()[:3]) for li in lines if GLOBAL in li and end not in li}, {tuple(li.split()[:2]) for li in lines if "bailey-secret-" in li}

    def issuers():
        return ["bailey sandbox" in inside(at, "one", ["sh", "-c", ISSUER.format(h)]).out for h in ("web.test", "denied.test")]

    bound, others = {("https", "web.test", "/echo")}, {("https", "denied.test")}
    assert sends() == (bound, others) and issuers() == [True, True]
    steps: list[tuple[list[str], set[tuple[str, str]], bool]] = [
        (["proxy", "one", "--bypass-host", "web.test"], set(), True),
        (["proxy", "one", "--bypass-host", "denied.test"], set(), False),  # the control: it is what lifts inspection
        (["allow", "one", "web.test"], set(), False),
        (["allow", "one", "alias.test", "192.0.2.20"], {("https", "alias.test"), ("https", "web.test"), ("http", "192.0.2.20")}, False),
        (["proxy", "one", "--policy", "allow"], set(), False),
    ]
    for words, more, inspected in steps:
        assert verb(at, "network", *words).rc == 0
        others |= more
        assert sends() == (bound, others) and issuers() == [True, inspected], words
    assert verb(at, "stop", "one").rc == 0
    assert sends() == (bound, others) and issuers() == [True, False]
    # a denial, and that it is taken back
    assert verb(at, "network", "deny", "one", "web.test").rc == 0
    arrived(at)
    assert inside(at, "one", ASK).out == "000" and arrived(at) == []
    assert verb(at, "network", "remove", "one", "web.test").rc == 0
    assert inside(at, "one", ASK).out == "200" and [a[-1] for a in arrived(at)] == [GLOBAL]


def test_no_change_while_it_runs_lets_datagrams_to_a_bound_host(at):
    """QUIC can't be looked into: neither a rule that comes live opens it, nor that it is lifted; the twin is a host that nothing is bound to."""
    make(at, "one", *NET, "--allow-host", "two.test", "--secret", "key")
    secret(at, "set", "key", *HOW, "--host", "one.test", stdin=GLOBAL)
    assert inside(at, "one", ["true"]).rc == 0
    before = at.internet.log()
    for words in (["allow", "one", "one.test", "one.test:7/udp", "two.test:7/udp"], ["proxy", "one", "--bypass-host", "one.test"], ["proxy", "one", "--policy", "allow"]):
        assert verb(at, "network", *words).rc == 0
        for host in ("one", "two"):
            assert inside(at, "one", ["sh", "-c", DATAGRAM.format(host)]).rc == 0
    assert wait_for(lambda: at.internet.log()[len(before):].count("udp 192.0.2.11 7 ") == 3) and "udp 192.0.2.10 7 " not in at.internet.log()[len(before):]

    def refused():
        return [json.loads(li)["reason"] for li in verb(at, "network", "log", "one", "--denied", "--json").out.splitlines()]

    assert wait_for(lambda: refused() == ["the host is inspected, which UDP would lead past"] * 3), refused()


@pytest.mark.parametrize("named", [False, True], ids=["run", "create"])
def test_a_projects_file_binds_secrets_when_it_is_trusted(at, named):
    """Who writes a repository must not choose what its reader's keys are used for: the line says how to allow it."""
    secret(at, "set", "key", *HOW, stdin=GLOBAL)
    doc = {"network": {"allowedDomains": ["web.test"]}, "credentials": {"secrets": ["key"], "logins": ["claude"], "allowOwnCredentials": ["web.test"]}}
    at.user.write(at.ws / ".bailey.json", json.dumps(doc))

    def asks(*options):
        """What is said, and what arrives: of a run, or of a sandbox that is made and started."""
        arrived(at)
        if not named:
            r = at(ASK, *options)
            return r, r.err
        made = verb(at, "create", *options, "one")
        assert made.rc == 0, made
        r = inside(at, "one", ASK)
        assert verb(at, "rm", "-f", "one").rc == 0
        return r, made.err + r.err

    ignored = "network.allowedDomains (line 1), credentials.secrets (line 1), credentials.logins (line 1), credentials.allowOwnCredentials (line 1)"
    for text, why in ((json.dumps(doc), "not trusted"), (json.dumps(doc) + " ", "changed since it was trusted")):
        at.user.write(at.ws / ".bailey.json", text)
        r, said = asks(*NET)
        assert f".bailey.json: {why}; ignored: {ignored}. To allow what it says now: bailey trust {at.ws}\n" in said, said
        assert r.out == "200" and [a[-1] for a in arrived(at)] == ["none"], "it has neither the value nor a stand-in"
        # the twins: the same file, trusted; and the same words on the command line
        r = verb(at, "trust", str(at.ws))
        assert r.rc == 0 and "credentials.secrets: key" in r.out, r
        r, said = asks(*NET)
        assert r.out == "200" and [a[-1] for a in arrived(at)] == [GLOBAL] and "trusted" not in said, said
    assert verb(at, "trust", "--revoke", str(at.ws)).rc == 0
    r, said = asks(*NET, "--secret", "key")
    assert r.out == "200" and [a[-1] for a in arrived(at)] == [GLOBAL] and "not trusted" in said, said
