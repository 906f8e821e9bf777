# SPDX-License-Identifier: Apache-2.0
"""Log-ins whose tokens stay outside (docs/adr/0029), in a run and in a sandbox that stays, with a server that knows what it was given."""
import json
import subprocess

import pytest

from conftest import PROJECT, PYTHON, kill, wait_for
from searches import SEARCH, forms
from test_inspect import internet  # noqa: F401 (a fixture)
from test_nowhere import living, look
from test_own_secrets import at, verb  # noqa: F401 (a fixture)

LOGIN = json.dumps({"name": "own", "token": ["https://proxy.test/v1/oauth/token"], "hosts": ["grpc.test"]})
OPTIONS = ["--allow-host", "proxy.test", "--allow-host", "grpc.test", "--login", LOGIN]

AGENT = """
import json, os, ssl, sys, time, urllib.request as u

def post(**what):
    r = u.Request("https://proxy.test/v1/oauth/token", json.dumps(what).encode(), {"Content-Type": "application/json"})
    with u.urlopen(r) as f:
        return json.load(f)

def me(token):
    try:
        with u.urlopen(u.Request("https://grpc.test/me", headers={"Authorization": "Bearer " + token})) as f:
            return f.status
    except u.HTTPError as e:
        return e.code

import urllib.error
u.HTTPError = urllib.error.HTTPError
kept = sys.argv[2]
if sys.argv[1] == "login":
    got = post(grant_type="authorization_code", code="the-code")
else:
    old = json.load(open(kept))
    if sys.argv[1] == "use":
        print("status", me(old["access_token"]))
        sys.exit()
    got = post(grant_type="refresh_token", refresh_token=old["refresh_token"])
json.dump(got, open(kept, "w"))
os.environ["KEPT"] = got["access_token"]
print("status", me(got["access_token"]), got["access_token"][:27])
if len(sys.argv) > 3:
    planted = bytes.fromhex(sys.argv[4]) if len(sys.argv) > 4 else b""
    open(sys.argv[3], "w").close()
    time.sleep(60)
"""


@pytest.fixture
def server(internet):
    enter = ["nsenter", f"--mount=/proc/{internet.pid}/ns/mnt", f"--net=/proc/{internet.far}/ns/net"]
    p = subprocess.Popen([*enter, PYTHON, PROJECT / "tests/e2e/login_server.py", internet.dir], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert p.stdin and p.stdout and p.stdout.readline() == b"ready\n"
    log = internet.dir / "logins"
    log.write_text("")

    class Server:
        def said(self, kind):
            return [li.split(" ", 1)[1] for li in log.read_text().splitlines() if li.startswith(kind + " ")]

    yield Server()
    p.stdin.close()
    p.wait(10)
    log.unlink()


@pytest.fixture
def agent(at):
    at.user.write(at.ws / "agent.py", AGENT)
    return at


def test_a_run_has_stand_ins_and_the_server_the_tokens(agent, server):
    r = agent(["sh", "-c", f"{PYTHON} agent.py login kept.json; {PYTHON} agent.py renew kept.json; {PYTHON} agent.py use kept.json; cat kept.json"], *OPTIONS)
    assert r.out.count("status 200") == 3 and "sk-ant-oat01-bailey-secret-" in r.out, r
    given = server.said("given")
    assert len(given) == 4 and server.said("brought") == [given[0], given[2], given[2]], (given, server.said("brought"))
    assert not [t for t in given if t in r.out + r.err + (agent.ws / "kept.json").read_text()]
    assert "log-in 'own': its tokens stay outside" in r.err, r
    assert not [t for t in given if t in agent.network("log", "--json").out]
    # gone with the run
    r = agent([PYTHON, "agent.py", "use", "kept.json"], *OPTIONS)
    assert r.out == "status 401\n", r
    # the control: without it the command has the tokens themselves
    r = agent(["sh", "-c", f"{PYTHON} agent.py login kept.json; cat kept.json"], *OPTIONS[:4], "--pass-env", "SSL_CERT_FILE")
    assert "status 200" in r.out and server.said("given")[-1] in r.out, r


def test_no_token_is_anywhere_inside(agent, server):
    """Memory, environment, descriptors and files of every process inside; the control plants one, and it is found."""
    for planted in (False, True):
        for f in ("ready", "found"):
            (agent.ws / f).unlink(missing_ok=True)
        word = "never-given-0123456789abcdef"
        extra = f" {word.encode().hex()}" if planted else ""
        p = agent.start(["sh", "-c", f"{PYTHON} agent.py login /tmp/kept ready{extra} & while [ ! -e go ]; do sleep 0.1; done; {PYTHON} search.py > found.new; mv found.new found; kill %1"],
                        *OPTIONS)
        try:
            assert wait_for((agent.ws / "ready").exists)
            what = server.said("given")[-2:] if not planted else [word]
            # what is searched for is nowhere in the clear but in the process that searches
            search = SEARCH.replace('sys.argv[1].split(",")', '[p for p in os.listdir("/proc") if p.isdigit() and p not in ("1", str(os.getpid()))]')
            search = search.replace("bytes.fromhex(w) for w in sys.argv[2:]", 'bytes(b ^ 0x55 for b in bytes.fromhex(w)) for w in open("targets").read().split()')
            agent.user.write(agent.ws / "search.py", search)
            agent.user.write(agent.ws / "targets", " ".join(bytes(b ^ 0x55 for b in f).hex() for w in what for f in forms(w)))
            agent.user.write(agent.ws / "go", "")
            assert wait_for((agent.ws / "found").exists, 40)
            found = (agent.ws / "found").read_text().strip()
            assert bool(found) == planted, found
        finally:
            p.kill()
            p.wait()
            (agent.ws / "go").unlink(missing_ok=True)


def test_a_sandbox_that_stays_keeps_them(agent, server):
    assert verb(agent, "create", *OPTIONS, "one").rc == 0
    assert verb(agent, "create", *OPTIONS, "two").rc == 0

    def inside(name, what):
        return agent([PYTHON, "agent.py", what, "kept.json"], name, verb="exec")

    assert "status 200" in inside("one", "login").out
    assert inside("one", "use").out == "status 200\n"
    assert verb(agent, "stop", "one").rc == 0
    assert inside("one", "use").out == "status 200\n", "after a stop"
    assert "status 200" in inside("one", "renew").out
    assert verb(agent, "stop", "one").rc == 0 and inside("one", "use").out == "status 200\n"
    given = server.said("given")
    assert not [t for t in given if t in (agent.ws / "kept.json").read_text()]
    assert not [p for p in agent.home.rglob("*") if p.is_file() and any(t.encode() in p.read_bytes() for t in given)]
    # nobody else's, in the same workspace
    assert inside("two", "use").out == "status 401\n" and agent([PYTHON, "agent.py", "use", "kept.json"], *OPTIONS).out == "status 401\n"
    kept = [p for p in agent.home.rglob("logins.kept")]
    assert len(kept) == 1
    assert verb(agent, "rm", "-f", "one").rc == 0 and not kept[0].exists()


@pytest.mark.parametrize("value, words", [("claud", "did you mean claude"), ('{"name": "x"}', "token is missing"), ('{"name": ', "JSON"), ('{"name": "x", "token": ["http://a.test/t"]}', "https://HOST/PATH")])
def test_bad_words_are_named_and_nothing_runs(agent, value, words):
    r = agent(["touch", "ran"], "--allow-host", "proxy.test", "--login", value)
    assert r.rc == 2 and words in r.err and not (agent.ws / "ran").exists(), r


def test_a_policy_file_says_it_in_the_same_words(agent, server):
    agent.user.write(agent.ws / "p.json", json.dumps({"network": {"allowedDomains": ["proxy.test", "grpc.test"]}, "credentials": {"logins": [json.loads(LOGIN), "claude"]}}))
    r = agent([PYTHON, "agent.py", "login", "kept.json"], "--policy", str(agent.ws / "p.json"))
    assert "status 200 sk-ant-oat01-bailey-secret-" in r.out, r


# --- from the first question to a token that is renewed ---

# A program that logs in as such programs do (RFC 8252, with PKCE), and keeps all that it has seen in the files `saw` and `kept.json`; then it renews its tokens as often as somebody says.
PROGRAM = """
import base64, hashlib, http.server, json, os, secrets, subprocess, time, urllib.parse, urllib.request as u

def post(**what):
    r = u.Request("https://proxy.test/v1/oauth/token", urllib.parse.urlencode(what).encode())
    with u.urlopen(r) as f:
        text = f.read()
    open("saw", "ab").write(text)
    open("kept.json", "wb").write(text)
    return json.loads(text)

def me(token):
    with u.urlopen(u.Request("https://grpc.test/me", headers={"Authorization": "Bearer " + token})) as f:
        return f.status

class Back(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.got = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(self.path).query))
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"you may close this window")

s = http.server.HTTPServer(("127.0.0.1", 0), Back)
verifier, state = secrets.token_urlsafe(40), secrets.token_urlsafe(9)
challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")
back = f"http://localhost:{s.server_port}/callback"
words = dict(response_type="code", client_id="x", redirect_uri=back, state=state, code_challenge=challenge, code_challenge_method="S256")
subprocess.run(["xdg-open", "https://proxy.test/authorize?" + urllib.parse.urlencode(words)], check=True)
s.handle_request()
assert s.got["state"] == state, s.got
got = post(grant_type="authorization_code", code=s.got["code"], redirect_uri=back, client_id="x", code_verifier=verifier)
used = [me(got["access_token"])]
for step, times in (("in", 1), ("over", 16)):
    for _ in range(times):
        got = post(grant_type="refresh_token", refresh_token=got["refresh_token"], client_id="x")
        used.append(me(got["access_token"]))
    open(step + ".new", "w").write(json.dumps(used))
    os.rename(step + ".new", step)
    while not os.path.exists("more"):
        time.sleep(0.05)
time.sleep(120)
"""

# On the host: what opens the page, and follows where it leads.
# Whom it trusts is no variable's: those of the caller that name files don't come to it.
BROWSER = """#!/usr/bin/python3
import os, ssl, sys, urllib.request
got = urllib.request.urlopen(sys.argv[1], timeout=60, context=ssl.create_default_context(cafile="AUTHORITY")).read().decode()
open(os.path.join(os.path.dirname(os.path.abspath(sys.argv[0])), "shown"), "w").write(got)
"""

# Who sits before it: says yes to one question.
HUMAN = """
import json, os, socket, sys
os.chdir(sys.argv[1])
s = socket.socket(socket.AF_UNIX)
s.connect("open-urls")
f = s.makefile("rw")

def say(**words):
    print(json.dumps(words), file=f, flush=True)
    return json.loads(f.readline())

assert say(op="ask")["ok"]
print("asks", flush=True)
q = json.loads(f.readline())
assert say(op="answer", id=q["id"], decision="once")["ok"]
print(json.dumps(q), flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("named", [False, True], ids=["run", "create"])
def test_a_whole_log_in_leaves_the_tokens_outside(at, server, outside, named):
    """A program asks for a page, a human says yes, the browser comes back with a code, the program changes that for tokens, uses and renews them: it has stand-ins, and in the whole run one process
    has the tokens. Of what was renewed long ago that has nothing any more, either."""
    at.user.write(at.ws / "program.py", "import time\nwhile not __import__('os').path.exists('go'):\n    time.sleep(0.05)\n" + PROGRAM)
    at.environ["BROWSER"] = str(at.user.write(outside / "browser", BROWSER.replace("AUTHORITY", at.environ["SSL_CERT_FILE"]), 0o755))
    with living(at, named, [PYTHON, "program.py"], *OPTIONS, "--open-urls") as top:
        where = wait_for(lambda: list((at.home / "network").glob("*/open-urls")))
        human = at.user.popen([PYTHON, "-c", HUMAN, where[0].parent], stdin=subprocess.PIPE)
        try:
            assert human.stdout.readline() == b"asks\n"
            at.user.write(at.ws / "go")
            question = json.loads(human.stdout.readline())
        finally:
            kill(human)
        assert question["host"] == "proxy.test" and "redirect_uri=http%3A%2F%2Flocalhost%3A" in question["url"], question
        assert wait_for((at.ws / "in").exists) and json.loads((at.ws / "in").read_text()) == [200, 200]
        assert (outside / "shown").read_text() == "you may close this window"
        first = server.said("given")
        assert len(first) == 4 and server.said("brought") == first[::2] and server.said("refused") == []
        found, holders = look(at, top, sorted({f for t in first for f in forms(t)}))
        assert found == [] and holders == ["bailey-keys"], (found, holders)
        assert (at.ws / "saw").read_text().count("-bailey-secret-") == 4
        at.user.write(at.ws / "more")
        assert wait_for((at.ws / "over").exists) and json.loads((at.ws / "over").read_text()) == [200] * 18
        last = server.said("given")[-2:]
        assert look(at, top, sorted({f for t in last for f in forms(t)})) == ([], ["bailey-keys"])
        assert look(at, top, sorted({f for t in first for f in forms(t)})) == ([], []), "of 36 the first four are forgotten"
