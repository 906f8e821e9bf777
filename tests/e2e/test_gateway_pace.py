# SPDX-License-Identifier: Apache-2.0
"""What a sandbox can have its gateway do has a pace: whoever goes faster waits, loses nothing, and leaves the processors to others."""
import json
import pathlib

from conftest import PYTHON

# LIMIT_CONNS_BURST, LIMIT_CONNS_PER_MS, LIMIT_QUESTIONS_BURST, LIMIT_QUESTIONS_PER_MS (util/limits.h)
CONNS, CONNS_PER_S, QUESTIONS, QUESTIONS_PER_S = 2000, 2000, 2000, 4000

CONNECT = """
import json, socket, sys, threading, time
def ends(count, ret):
    for _ in range(count):
        s = socket.socket()
        s.settimeout(8)
        try:
            s.connect(("192.0.2.11", 80))
            ret.append("answer" if s.recv(1) else "end")
        except OSError as e:
            ret.append(type(e).__name__)
        s.close()
ret = []
threads = [threading.Thread(target=ends, args=(int(sys.argv[1]) // 4, ret)) for _ in range(4)]
begin = time.monotonic()
for t in threads: t.start()
for t in threads: t.join()
took = time.monotonic() - begin
s = socket.create_connection(("one.test", 22), 8)
s.sendall(b"SSH-2.0-test")
print(json.dumps({"took": took, "ends": sorted(set(ret)), "count": len(ret), "twin": s.recv(99).decode().strip()}))
"""

ASK = """
import json, socket, time
query = b"\\1\\1\\1\\0\\0\\1\\0\\0\\0\\0\\0\\0\\7refused\\4test\\0\\0\\1\\0\\1"
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.connect(("198.18.0.1", 53))
s.setblocking(False)
begin, answers = time.monotonic(), 0
while (took := time.monotonic() - begin) < 3:
    try:
        for _ in range(32): s.send(query)
    except OSError: pass
    try:
        while s.recv(512): answers += 1
    except OSError: pass
time.sleep(1)  # what still waits is read in that time
name = socket.gethostbyname("one.test")
print(json.dumps({"took": took, "answers": answers, "name": name}))
"""


def test_connections_beyond_the_pace_wait_and_none_is_lost(net):
    count = 3 * CONNS
    r = net([PYTHON, "-c", CONNECT, str(count)], "--allow-host", "one.test:22")
    assert r.rc == 0, r.err
    got = json.loads(r.out)
    assert (got["ends"], got["count"]) == (["ConnectionResetError"], count) and got["twin"].startswith("SSH-2.0-test"), got
    assert got["took"] >= (count - CONNS) / CONNS_PER_S * 0.95, got
    # as many as may be at once are not held back: a control for the figure above
    r = net([PYTHON, "-c", CONNECT, str(CONNS // 4)], "--allow-host", "one.test:22")
    assert json.loads(r.out)["count"] == CONNS // 4 and json.loads(r.out)["twin"].startswith("SSH-2.0-test"), (r.out, r.err)


def questions(net, script):
    """What it says; as many answers as the pace has, and not much fewer."""
    r = net([PYTHON, "-c", script], "--allow-host", "one.test")
    assert r.rc == 0, r.err
    got = json.loads(r.out)
    most = QUESTIONS + got["took"] * QUESTIONS_PER_S
    assert most / 4 < got["answers"] <= most * 1.05, got
    return got


def test_questions_beyond_the_pace_are_not_answered(net):
    got = questions(net, ASK)
    assert got["name"].startswith("198.18."), got


# The same over one TCP connection, as many questions at once as it takes.
ASK_TCP = """
import json, socket, threading, time
query = b"\\0\\x1e\\1\\1\\1\\0\\0\\1\\0\\0\\0\\0\\0\\0\\7refused\\4test\\0\\0\\1\\0\\1"
s = socket.create_connection(("198.18.0.1", 53))
s.settimeout(8)
def send():
    try:
        while True: s.sendall(query * 100)
    except OSError: pass
threading.Thread(target=send, daemon=True).start()
begin, n = time.monotonic(), 0
while (took := time.monotonic() - begin) < 3:
    n += len(s.recv(1 << 16))
print(json.dumps({"took": took, "answers": n // len(query)}))
"""


def test_questions_over_tcp_have_the_same_pace(net):
    questions(net, ASK_TCP)


def test_tcp_inside_does_not_pace(net):
    setting = "/proc/sys/net/ipv4/tcp_congestion_control"
    r = net(["cat", setting], "--allow-host", "one.test")
    assert (r.rc, r.out) == (0, "reno\n"), r.err
    # without a network nothing is set: as the host has it
    r = net(["cat", setting])
    assert (r.rc, r.out) == (0, pathlib.Path(setting).read_text()), r.err
