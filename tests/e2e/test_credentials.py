# SPDX-License-Identifier: Apache-2.0
"""Secrets that a sandbox uses and never has (docs/adr/0022): `bailey secret` and `bailey run --secret` with real clients and servers."""
import base64
import os
import pathlib
import subprocess
import time
import urllib.parse

import pytest

from conftest import PYTHON, wait_for
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
    return [(s, h, p, *rest.strip('"').split('" "')) for s, h, p, rest in new]


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


@pytest.mark.parametrize("extra", [["-H", "X-Key: another"], ["-H", "Authorization: Bearer another"], ["-u", "me:another"], ["-b", "session=another"], ["-H", "Proxy-Authorization: Basic YTpi"]],
                         ids=["own-header", "bearer", "basic", "cookie", "proxy"])
def test_other_credentials_are_refused_there(at, extra):
    arrived(at)
    status = ["-o", "out", "-w", "%{http_code}"]
    r = at(["curl", "-sS", *status, *extra, ECHO], *RUN)
    assert r.out == "403" and "foreign-credential" in (at.ws / "out").read_text() and arrived(at) == [], r
    assert any("foreign-credential" in e.get("reason", "") for e in at.log(r))
    if extra[0] == "-H" and extra[1].startswith("Proxy"):
        return  # no request carries that through a proxy that reads it
    r = at(["curl", "-sS", *status, *extra, ECHO], *RUN, "--allow-own-credentials", "web.test")
    assert r.out == "200" and len(arrived(at)) == 1, r


def test_the_stand_in_means_nothing_elsewhere(at):
    arrived(at)
    at(["sh", "-c", f'curl -sSk -H "X-Key: $OWN_KEY" https://denied.test/echo; curl -sS -H "X-Key: $OWN_KEY" http://web.test/echo; curl -sS "{ECHO}?k=$OWN_KEY"'],
       *RUN, "--allow-host", "denied.test")
    got = arrived(at)
    assert len(got) >= 2 and VALUE not in str(got) and sum("bailey-secret-" in str(a) for a in got) >= 1, got


def test_a_secret_that_is_not_there_is_named(at):
    r = at(["touch", "ran"], "--allow-host", "web.test", "--secret", "nobody")
    assert r.rc == 2 and "nobody" in r.err and "bailey secret" in r.err and not (at.ws / "ran").exists(), r


def forms(value):
    raw = value.encode()
    out = {raw, raw.hex().encode(), raw.hex().upper().encode(), urllib.parse.quote(value, safe="").encode(), raw[::-1]}
    for i in range(3):  # each position in a group of base64, without what depends on neighbours
        for alphabet in (b"+/", b"-_"):
            out.add(base64.b64encode(b"\0" * i + raw, alphabet).rstrip(b"=")[-(-i * 4 // 3) + (1 if i else 0):-2])
    return out


SEARCH = """
import os, re, sys
forms = [bytes.fromhex(w) for w in sys.argv[2:]]
found = []
def look(name, data):
    if any(f in data for f in forms):
        found.append(name)
for pid in sys.argv[1].split(","):
    for part in ("environ", "cmdline"):
        look(f"{pid}/{part}", open(f"/proc/{pid}/{part}", "rb").read())
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb", 0) as mem:
        for line in maps:
            m = re.match(r"([0-9a-f]+)-([0-9a-f]+) r", line)
            if not m or "[v" in line:
                continue
            a, b = (int(x, 16) for x in m.groups())
            try:
                mem.seek(a)
                look(f"{pid}/mem {line.strip()}", mem.read(b - a))
            except (OSError, ValueError, OverflowError):
                pass
    for fd in os.listdir(f"/proc/{pid}/fd"):
        try:
            path = f"/proc/{pid}/fd/{fd}"
            if os.path.isfile(path):
                look(path, open(path, "rb").read())
        except OSError:
            pass
    root = f"/proc/{pid}/root"
    for top in ("/tmp", "/run", "/dev/shm"):
        for d, _, files in os.walk(root + top):
            for f in files:
                try:
                    look(f"{d}/{f}", open(f"{d}/{f}", "rb").read())
                except OSError:
                    pass
print("\\n".join(found))
"""

SESSION = """
import http.client, os, ssl, sys, time
key = os.environ["OWN_KEY"]
open("ready", "w").close()
while not os.path.exists("go"):
    time.sleep(0.05)
c = http.client.HTTPSConnection("web.test", context=ssl.create_default_context())
for i in range(1000):
    c.request("GET", "/echo", headers={"X-Key": key})
    r = c.getresponse()
    body = r.read()
    assert r.status == 200 and key.encode() in body, (r.status, body)
open("/tmp/kept", "wb").write(body)
planted = bytes.fromhex(sys.argv[1]) if len(sys.argv) > 1 else b""
open("done", "w").close()
time.sleep(120)
"""


# All that passes the loopback of a network namespace, until stdin ends.
CAPTURE = """
import os, select, socket, sys
s = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(3))
s.bind(("lo", 0))
s.setsockopt(socket.SOL_SOCKET, 33, 64 << 20)
got = []
os.write(1, b"ready\\n")
while True:
    ready = select.select([s, 0], [], [])[0]
    if s in ready:
        got.append(s.recv(70000))
    elif 0 in ready:
        break
os.set_blocking(1, True)
sys.stdout.buffer.write(b"".join(got))
"""


def inside_of(run):
    """The processes of the sandbox of RUN: those in the pid namespace of its PID 1."""
    pids = [int(d.name) for d in pathlib.Path("/proc").glob("[0-9]*")]
    parents = {}
    for pid in pids:
        try:
            parents[pid] = int(pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1])
        except OSError:
            pass
    ours = os.readlink("/proc/self/ns/pid")
    out = []
    for pid in parents:
        above, p = pid, pid
        while p > 1 and p in parents:
            p = parents[p]
            if p == run.pid:
                above = p
                break
        try:
            if above == run.pid and os.readlink(f"/proc/{pid}/ns/pid") != ours:
                out.append(pid)
        except OSError:
            pass
    return out


@pytest.mark.parametrize("planted", [False, True], ids=["session", "control"])
def test_after_a_thousand_requests_it_is_nowhere_inside(at, planted):
    at.user.write(at.ws / "session.py", SESSION)
    arrived(at)
    words = [PYTHON, "session.py", *([VALUE.encode().hex()] if planted else [])]
    capture = None
    p = at.start(words, *RUN)
    try:
        assert wait_for((at.ws / "ready").exists), p.poll()
        capture = subprocess.Popen(["nsenter", f"--net=/proc/{max(inside_of(p))}/ns/net", PYTHON, "-c", CAPTURE], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert capture.stdout and capture.stdout.read(6) == b"ready\n"
        at.user.write(at.ws / "go", "")
        assert wait_for((at.ws / "done").exists, 60), p.poll()
        pids = inside_of(p)
        assert len(pids) >= 2, pids
        search = subprocess.run([PYTHON, "-c", SEARCH, ",".join(map(str, pids)), *(f.hex() for f in forms(VALUE))], capture_output=True, text=True, check=False, timeout=100)
        assert search.returncode == 0, search
        found = search.stdout.split("\n")[:-1]
        sent = capture.communicate(timeout=60)[0]
    finally:
        p.kill()
        p.wait()
        if capture:
            capture.kill()
            capture.wait()
    assert len(sent) > 100_000 and not any(f in sent for f in forms(VALUE))
    assert [a[-1] for a in arrived(at)] == [VALUE] * 1000
    if planted:
        assert any("/mem" in f for f in found), found
    else:
        assert [f for f in found if f] == []


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


def test_udp_does_not_lead_past_a_secret(at):
    for host, rc in (("web.test", 2), ("denied.test", 0)):
        r = at(["true"], *RUN, "--allow-host", f"{host}:443/udp")
        assert r.rc == rc and (rc == 0 or "UDP can't be looked into" in r.err), r
