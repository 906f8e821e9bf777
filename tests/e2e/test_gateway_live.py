# SPDX-License-Identifier: Apache-2.0
"""What changes while a run is on, seen from inside: how soon a denial stops what flows, the log as it grows, and a human at a terminal."""
import json
import re
import subprocess
import time
import types

import pytest

from conftest import PYTHON, TIMEOUT, wait_for
from terminals import Pty
from test_gateway import CLEAN, CURL
from test_gateway_attacks import Running, control, cpu, gateway_of
from test_gateway_bad_input import memory

__all__ = ["internet", "net"]  # fixtures

# A transfer that never ends by itself: it says when its last bytes came, on the clock that all of the machine have.
FLOW = r"""
import os, socket, sys, time
way, last = sys.argv[1], os.open("last", os.O_RDWR | os.O_CREAT)
def flowing(n):
    os.pwrite(last, b"%20.6f" % time.monotonic(), 0)
    if n > 1 << 20: open("flowing", "w").close()
if way == "udp":
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(0.5); s.connect(("one.test", 7)); n = 0
    try:
        while True:
            s.send(b"x" * 1000); n += 20 * len(s.recv(2000)); flowing(n)
    except OSError: pass
else:
    s = socket.create_connection({"captured": ("one.test", 80), "connect": ("127.0.0.1", 3128), "socks": ("127.0.0.1", 1080)}[way], 5)
    if way == "connect": s.sendall(b"CONNECT one.test:80 HTTP/1.1\r\nHost: one.test:80\r\n\r\n"); assert b" 200 " in s.recv(999)
    if way == "socks": s.sendall(b"\5\1\0"); s.recv(2); s.sendall(b"\5\1\0\3\x08one.test\0\x50"); assert s.recv(99)[1] == 0
    s.sendall(b"GET /slow HTTP/1.1\r\nHost: one.test\r\n\r\n"); n = 0
    try:
        while part := s.recv(1 << 16): n += len(part); flowing(n)
    except OSError: pass
open("stopped", "w").close()
time.sleep(60)
"""


def stopped(net, way, denied):
    """Seconds from the order to the last byte that came; None when it flows on."""
    for name in ("flowing", "last", "stopped"):
        (net.ws / name).unlink(missing_ok=True)
    with Running(net, [*CLEAN, PYTHON, "-c", FLOW, way], "--allow-host", "one.test", "--allow-host", "one.test:7/udp") as run:
        assert wait_for((net.ws / "flowing").exists), run.proc.poll()
        ordered = time.monotonic()
        assert control(net, run.dir, {"op": "deny", "rule": denied}) == [{"ok": True}]
        answered = time.monotonic()
        if wait_for((net.ws / "stopped").exists, 1.5):
            last = float((net.ws / "last").read_text())
            assert last > ordered - 1, "it flowed when the order came"
            return last - answered
        assert float((net.ws / "last").read_text()) > answered + 0.5, "the control flows on"
        return None


@pytest.mark.parametrize("way", ["captured", "connect", "socks", "udp"])
def test_a_denial_stops_what_flows_within_100_ms(net, way):
    """A thousand million bytes in flight. The denial of another host changes nothing. A machine that others use may be late once or twice."""
    assert stopped(net, way, "two.test") is None
    seen: list[float] = []
    while len(seen) < 4 and not any(s < 0.1 for s in seen):
        late = stopped(net, way, "one.test")
        assert late is not None, "it flows on"
        seen.append(late)
    assert seen[-1] < 0.1, seen


# Fifty answers without an end that nobody reads; a line says that all have begun. Then each is read a little.
HOLD = r"""
import os, socket, sys, time
way, held = sys.argv[1], []
for i in range(50):
    s = socket.create_connection({"captured": ("one.test", 80), "connect": ("127.0.0.1", 3128), "http": ("127.0.0.1", 3128), "socks": ("127.0.0.1", 1080)}[way], 20)
    if way == "connect": s.sendall(b"CONNECT one.test:80 HTTP/1.1\r\nHost: one.test:80\r\n\r\n"); assert b" 200 " in s.recv(999)
    if way == "socks": s.sendall(b"\5\1\0"); s.recv(2); s.sendall(b"\5\1\0\3\x08one.test\0\x50"); assert s.recv(99)[1] == 0
    s.sendall(b"GET " + b"http://one.test" * (way == "http") + b"/slow HTTP/1.1\r\nHost: one.test\r\n\r\n"); assert s.recv(4) == b"HTTP"; s.settimeout(None); held.append(s)
print("held", flush=True)
while not os.path.exists("read"): time.sleep(0.05)
print(sum(len(s.recv(1 << 20, socket.MSG_WAITALL)) == 1 << 20 for s in held), flush=True)
"""


@pytest.mark.parametrize("way", ["captured", "connect", "http", "socks"])
def test_what_nobody_reads_is_not_held(net, way):
    """The server is not read from while the client reads nothing: no memory, no processor. What was held up goes on."""
    with Running(net, [*CLEAN, PYTHON, "-c", HOLD, way], "--allow-host", "one.test") as run:
        assert run.proc.stdout.readline() == b"held\n"
        pid = gateway_of(run)
        wait_for(lambda: False, 1.0)  # until all buffers on the way are full
        used, at = cpu(pid), time.monotonic()
        wait_for(lambda: False, 1.0)
        assert cpu(pid) - used < 0.2 * (time.monotonic() - at), "it stands still"
        assert memory(pid, "VmHWM") < 16384, "KiB for fifty connections"
        (net.ws / "read").touch()
        assert run.proc.stdout.readline() == b"50\n"


def test_the_log_as_it_grows(net):
    """--follow prints lines as they come and ends with the run; --denied and --limit choose of them."""
    script = f"{' '.join([*CLEAN, *CURL])} http://one.test/1; touch first; until [ -e go ]; do sleep 0.05; done; for i in 1 2 3; do {' '.join([*CLEAN, *CURL])} http://two.test/; done"
    with Running(net, script, "--allow-host", "one.test") as run:
        assert wait_for((net.ws / "first").exists)
        followers = [subprocess.Popen(net.argv(None, ("log", run.dir.name, "--json", "--follow", *more), "network"), stdout=subprocess.PIPE, env=net.environ) for more in ((), ("--denied",))]
        try:
            assert followers[0].stdout and json.loads(followers[0].stdout.readline())["name"] == "one.test", "what was there already"
            assert all(f.poll() is None for f in followers), "they wait"
            (net.ws / "go").touch()
            run.proc.communicate(timeout=TIMEOUT)
            all_of, denied = ([json.loads(li) for li in f.communicate(timeout=60)[0].splitlines()] for f in followers)
            assert [f.returncode for f in followers] == [0, 0]
        finally:
            for f in followers:
                f.kill()
                f.wait()
        refused = [e for e in all_of if e["event"] == "deny"]
        assert denied == refused and 1 <= len(refused) <= 6 and all(e["name"] == "two.test" for e in refused), (all_of, denied)
        whole = [json.loads(li) for li in net.network("log", run.dir.name, "--json").out.splitlines()]
        assert whole[-len(all_of):] == all_of and whole[0]["name"] == "one.test"
        for words, want in ((("--limit", "2"), whole[-2:]), (("--denied", "--limit", "1"), refused[-1:]), (("--limit", "1000"), whole)):
            r = net.network("log", run.dir.name, "--json", *words)
            assert (r.rc, [json.loads(li) for li in r.out.splitlines()]) == (0, want), words
        for bad in ("0", "-1", "x", "1x", ""):
            r = net.network("log", run.dir.name, f"--limit={bad}")
            assert r.rc == 2 and "--limit" in r.err, bad


@pytest.mark.parametrize("key, word, answers, questions", [("o", "once", 2, 2), ("a", "always", 2, 1), ("n", "never", 0, 1)])
def test_a_human_answers_on_the_terminal(net, key, word, answers, questions):
    """The connection waits for one key; what the program prints is not taken for an answer."""
    script = f"echo o; for i in 1 2; do {' '.join([*CLEAN, *CURL])} -m 20 http://one.test/$i; done; echo over"
    caller = types.SimpleNamespace(uid=0, environ=lambda extra: {**net.environ, **extra})  # nsenter needs root; setpriv behind it does not stay it
    t = Pty(caller, ["/usr/bin/" + net.enter[0], *net.argv(script, ["--ask"], "run")[1:]], net.ws)
    try:
        for i in range(questions):
            t.expect(r"the sandbox wants to connect to one\.test:80\. Allow it\? o = once, a = always in this run, n = never: ")
            time.sleep(0.8)
            assert b"host=one.test" not in t.out.split(b"Allow it?")[-1], "it waits"
            t.type(key)
            t.expect(word)
        t.expect("over")
    finally:
        t.done()
    out = t.out.decode()
    assert out.count("host=one.test") == answers and len(re.findall("Allow it", out)) == questions, out


def asked_run(net, script, *opts):
    caller = types.SimpleNamespace(uid=0, environ=lambda extra: {**net.environ, **extra})  # as above
    return Pty(caller, ["/usr/bin/" + net.enter[0], *net.argv(script, ["--ask", *opts], "run")[1:]], net.ws)


BOTH_AT_ONCE = f"for h in one two; do {' '.join([*CLEAN, *CURL])} -m 60 http://$h.test/ & done; wait; echo over"


def test_questions_have_their_turn(net):
    t = asked_run(net, BOTH_AT_ONCE)
    try:
        for _ in range(2):
            t.expect("n = never: ")
            time.sleep(0.8)
            t.type("o")
            t.expect("once")
        t.expect("over")
    finally:
        t.done()
    out = t.out.decode()
    assert out.count("host=one.test") == out.count("host=two.test") == 1 and out.count("Allow it") == 2, out


def test_a_run_ends_in_time_while_questions_stand(net):
    begin = time.monotonic()
    t = asked_run(net, BOTH_AT_ONCE, "--timeout", "4s")
    try:
        t.expect("n = never: ")
        t.expect("no answer")
        assert t.wait(30) == 124
    finally:
        t.done()
    assert time.monotonic() - begin < 40 and t.out.decode().count("Allow it") == 1, t.out


# Connects to the socket of a run as another user, who stands in its directory already, and says what comes back.
KNOCK = """
import os, socket, sys
os.chdir(sys.argv[1]); os.setgroups([]); os.setgid(int(sys.argv[2])); os.setuid(int(sys.argv[2]))
s = socket.socket(socket.AF_UNIX); s.settimeout(5)
try:
    s.connect("control"); s.send(b'{"op":"policy"}\\n')
    print("answered" if s.recv(1 << 16) else "closed")
except ConnectionError: print("closed")
except OSError as e: print(type(e).__name__)
"""


def test_another_user_is_not_heard(net):
    """Attack 68: neither through the modes, nor when they are open to all. The control is the caller."""
    def knock(who):
        argv = ["nsenter", f"--mount=/proc/{net.internet.pid}/ns/mnt", PYTHON, "-c", KNOCK, run.dir, str(who)]
        return subprocess.run(argv, capture_output=True, text=True, check=True, timeout=20).stdout.strip()

    with Running(net, ["sleep", "60"], "--allow-host", "one.test") as run:
        assert run.dir.stat().st_mode & 0o77 == 0 and (knock(65534), knock(net.user.uid)) == ("PermissionError", "answered")
        run.dir.chmod(0o755)
        (run.dir / "control").chmod(0o777)
        assert (knock(65534), knock(net.user.uid)) == ("closed", "answered"), "it is not the modes alone"
