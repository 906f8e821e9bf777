# SPDX-License-Identifier: Apache-2.0
"""bailey-keys as a process: what it has given up, what it makes of odd words of its neighbours, and peers that are slow."""
import json
import os
import pathlib
import resource
import socket
import struct
import subprocess
import threading
import time

import pytest

from harness import OFFER, TLS, VERSION, Keys
from test_h1 import ask, closed, get, status


def field(pid, name):
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(name + ":"):
            return line.split(":")[1].split()
    raise AssertionError(name)


def test_it_is_confined(keys):
    canary = "canary-in-the-environment"
    k = keys(env={"CANARY": canary})
    pid = k.process.pid
    if b"__asan_init" not in pathlib.Path(f"/proc/{pid}/exe").read_bytes():
        assert field(pid, "Seccomp") == ["2"] and field(pid, "NoNewPrivs") == ["1"] and set(field(pid, "CapEff")[0]) == {"0"}
        assert resource.prlimit(pid, resource.RLIMIT_CORE) == (0, 0)
    assert os.stat(f"/proc/{pid}/mem").st_uid == 0, "not dumpable: its files in /proc are root's"
    fds = os.listdir(f"/proc/{pid}/fd")
    links = {int(fd): os.readlink(f"/proc/{pid}/fd/{fd}") for fd in fds}
    assert links[0] == links[1] == links[2] == "/dev/null" and all(v.startswith("socket:") or "eventpoll" in v for fd, v in links.items() if fd > 2), links
    assert canary.encode() not in pathlib.Path(f"/proc/{pid}/environ").read_bytes()


def test_ids_are_given_up(keys, plain, door):
    if os.geteuid() != 0:
        pytest.skip("only root has others")
    d = door(plain(), uid=65534, gid=65533)
    pid = d.keys.process.pid
    if b"__asan_init" not in pathlib.Path(f"/proc/{pid}/exe").read_bytes():
        assert field(pid, "Uid") == ["65534"] * 4 and field(pid, "Gid") == ["65533"] * 4 and field(pid, "Groups") == []
    with d.talk(d.trust) as s:
        assert status(ask(s, get(d))[0]) == 200


def test_its_end_is_the_supervisors(keys, plain, door):
    d = door(plain())
    with d.talk(d.trust) as s:
        assert status(ask(s, get(d))[0]) == 200
        assert d.keys.close() == 0
        assert closed(s)
    d.keys.process.poll = lambda: None  # the fixture's own checks
    d.keys.close = lambda: 0


BAD = {
    "no object": "[]", "no JSON": "{", "no version": '{"id":"x"}', "another version": '{"version":1,"id":"x"}', "no id": '{"version":2}', "an unknown key": '{"version":2,"id":"x","x":1}',
    "rules that are none": '{"version":2,"id":"x","inspect":[{"host":"a.test","requests":[{"path":{"regex":"("}}]}]}', "roots that are none": '{"version":2,"id":"x","roots":["nothing"]}',
    "a store that is none": '{"version":2,"id":"x","store":7}', "secrets without a store": '{"version":2,"id":"x","secrets":["a"]}', "own that is no list": '{"version":2,"id":"x","own":"a"}',
    "an id that is no number": '{"version":2,"id":"x","uid":"root"}', "a key twice": '{"version":2,"version":2,"id":"x"}',
}


MASK: dict = {"name": "A", "value": "canary-0123456789", "sentinel": "bailey-secret-abcdefgh", "hosts": ["a.test", "*.b.test", "192.0.2.1"]}
LONG: dict = {**MASK, "sentinel": "bailey-secret-" + "a" * 60}
MORE: dict[str, dict] = {
    "no list": {"masks": {}}, "no object": {"masks": ["a"]}, "an unknown key": {"masks": [{**MASK, "x": 1}]}, "no value": {"masks": [{k: v for k, v in MASK.items() if k != "value"}]},
    "a value that ends a header": {"masks": [{**MASK, "value": "canary-01\r\nX: y"}]}, "a value that is short": {"masks": [{**MASK, "value": "canary"}]},
    "a long value": {"masks": [{**MASK, "value": "canary" * 3000}]}, "a sentinel that is short": {"masks": [{**MASK, "sentinel": "short"}]}, "no hosts": {"masks": [{**MASK, "hosts": None}]},
    "a host that is none": {"masks": [{**MASK, "hosts": ["a..test"]}]}, "a host in another form": {"masks": [{**MASK, "hosts": ["A.test"]}]}, "every host": {"masks": [{**MASK, "hosts": ["**"]}]},
    "too many": {"masks": [MASK] * 65}, "an id that is too long": {"masks": [LONG, MASK], "pairs": {"sign": [[0, 1]]}},
    "a time that is none": {"handshake": 0}, "a time that is too long": {"handshake": 600001}, "a time of another type": {"handshake": "400"},
    "fields that are no list": {"strip": "a"}, "an authority that is no object": {"ca": "a"}, "an authority without a key": {"ca": {"certificate": "/dev/null"}},
    "an authority that is no file": {"ca": {"certificate": "/dev/null", "key": "/dev/null"}}, "an authority of nothing": {"ca": {"certificate": "/proc/self/status", "key": "/nowhere"}},
}
BAD_PAIRS: dict[str, object] = {
    "no object": [], "an unknown key": {"x": True}, "no list": {"sign": {}}, "no lists": {"sign": [0]}, "one place": {"sign": [[0]]}, "four places": {"sign": [[0, 1, 2, 3]]},
    "a place that is none": {"sign": [[0, 4]]}, "a place below all": {"sign": [[0, -1]]}, "half a place": {"sign": [[0, 0.5]]}, "a text": {"sign": [[0, "1"]]},
    "a place twice": {"sign": [[0, 0]]}, "a place in two pairs": {"sign": [[0, 1], [2, 1]]}, "chunks that are no word": {"chunks": 1},
}
MORE |= {f"pairs: {name}": {"masks": [MASK] * 4, "pairs": pairs} for name, pairs in BAD_PAIRS.items()}
BAD |= {f"masks: {name}": json.dumps({"version": VERSION, "id": "x", **line}) for name, line in MORE.items()}


def test_masks_that_are_some():
    k = Keys(masks=[MASK] * 64, pairs={"sign": [[0, 1], [2, 3, 4]], "chunks": True, "urls": False})
    assert k.hello["env"] == {} and k.hello["hosts"] == [] and "CERTIFICATE" in k.hello["ca"]
    assert k.close() == 0


def test_other_pairs_that_are_none_change_nothing():
    k = Keys(masks=[MASK] * 4, pairs={"sign": [[0, 1]]})
    for name, pairs in BAD_PAIRS.items():
        answer = k.say({"pairs": pairs})
        assert list(answer) == ["error"] and "canary" not in answer["error"], (name, answer)
    assert k.say({"pairs": {"sign": [[3, 2, 1]]}}) == {"ok": True}
    assert k.close() == 0


@pytest.mark.parametrize("name", BAD)
def test_first_lines_that_are_none(name, monkeypatch):
    line = BAD[name]
    first = Keys.say
    monkeypatch.setattr(Keys, "say", lambda self, _: first(self, line))
    k = Keys()
    assert list(k.hello) == ["error"] and len(k.hello["error"]) > 5 and "canary" not in k.hello["error"], k.hello
    assert k.process.wait(10) == 1
    k.close()


def test_no_word_at_all(keys):
    k = keys()
    assert k.hello["ca"]
    ours, theirs = socket.socketpair()
    child = subprocess.Popen([*k.process.args], stdin=subprocess.DEVNULL, preexec_fn=lambda: (os.dup2(theirs.fileno(), 3), None)[1], close_fds=False)
    theirs.close()
    ours.close()
    assert child.wait(10) == 1


def test_a_line_too_long_ends_it():
    k = Keys(roots=[])
    try:
        k.control.sendall(b"x" * (1 << 21))
    except OSError:
        pass
    assert k.process.wait(10) == 0
    k.close()


def offer(keys, fds, kind=OFFER, version=VERSION, number=99, flags=TLS, port=443, host=b"web.test", size=None):
    m = struct.pack("=HHIIH254s", kind, version, number, flags, port, host)
    socket.send_fds(keys.gateway, [m if size is None else m[:size]], fds)


def test_offers_that_are_none(door, plain):
    d = door(plain())
    k = d.keys

    def pairs(n):
        made = [socket.socketpair() for _ in range(n)]
        return [a for a, _ in made], [b for _, b in made]

    odd: list[dict] = [dict(kind=2), dict(version=VERSION - 1), dict(port=0), dict(host=b""), dict(host=b"WEB.test"), dict(host=b"web.test."), dict(host=b"a" * 254), dict(host=b"a b"), dict(host=b"-")]
    for i, kw in enumerate(odd):
        ours, theirs = pairs(2)
        offer(k, [t.fileno() for t in theirs], number=1000 + i, **kw)
        for t in theirs:
            t.close()
        assert "none" in k.end_of(1000 + i)
        assert all(closed(o) for o in ours)
    for n in (0, 1, 3, 8):
        ours, theirs = pairs(n)
        offer(k, [t.fileno() for t in theirs], number=2000 + n)
        for t in theirs:
            t.close()
        assert "none" in k.end_of(2000 + n)
        assert all(closed(o) for o in ours)
    ours, theirs = pairs(2)
    offer(k, [t.fileno() for t in theirs], size=20)
    k.gateway.send(b"x")
    k.gateway.send(b"x" * 5000)
    # none of these has harmed it
    with d.talk(d.trust) as s:
        assert status(ask(s, get(d))[0]) == 200
    assert len(os.listdir(f"/proc/{k.process.pid}/fd")) < 12


def test_too_many_connections(door, plain):
    d = door(plain(tls=False), tls=False)
    held = []
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    try:
        for _ in range(1024):
            held.append(d.connect())
        d.keys.requests(0)
        one = d.connect()
        assert "too many" in d.keys.end_of(1025)
        assert closed(one)
        held.pop().close()
        d.keys.wait(lambda e: e["kind"] == "end" and e["id"] <= 1024)
        with d.talk() as s:
            assert status(ask(s, get(d))[0]) == 200
        assert d.keys.bounded(d.keys.rss(), 64 << 20)
    finally:
        for s in held:
            s.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_no_line_of_the_log_is_lost(door, nginx):
    """While the gateway takes none, no client is read; all of them come at last."""
    d = door(nginx)
    d.keys.paused.set()
    child = subprocess.Popen(["h2load", "-n", "6000", "-c", "4", "-m", "100", "--connect-to", f"127.0.0.1:{d.port}", d.url("/who")], stdout=subprocess.PIPE)
    time.sleep(3)
    assert child.poll() is None, "it waits"
    d.keys.paused.clear()
    out, _ = child.communicate(timeout=60)
    assert b"6000 succeeded" in out
    assert len(d.keys.requests(6000)) == 6000


def test_a_client_that_goes_ends_the_servers_side(door, plain):
    gone = threading.Event()

    def serve(head, s, f):
        s.settimeout(10)
        try:
            if s.recv(1) == b"":
                gone.set()
        except TimeoutError:
            return False
        except OSError:
            gone.set()
        return False

    d = door(plain(serve))
    s = d.talk(d.trust)
    s.sendall(get(d))
    d.keys.requests()
    s.close()
    assert gone.wait(10)
    assert d.keys.end_of(1) == ""


def test_slow_peers(door, plain):
    """A head that does not end; a client and a server that take nothing. Each has its time."""
    def serve(head, s, f):
        if b"/down" in head:
            s.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n")
            while True:
                s.sendall(bytes(1 << 16))
        time.sleep(100)

    d = door(plain(serve))
    begin = time.monotonic()
    head = d.talk(d.trust, timeout=100)
    head.sendall(b"GET / HTTP/1.1\r\nHost: ")
    down = d.talk(d.trust, timeout=100)
    down.sendall(get(d, b"/down"))
    up = d.talk(d.trust, timeout=100)
    up.sendall(get(d, b"/up", b"Content-Length: 100000000\r\n", method=b"POST"))

    def fill():
        try:
            while True:
                up.sendall(bytes(1 << 16))
        except OSError:
            pass

    threading.Thread(target=fill, daemon=True).start()
    got = head.recv(4096)
    assert got.startswith(b"HTTP/1.1 408") and 25 < time.monotonic() - begin < 45
    assert "takes nothing" in d.keys.end_of(2, 80) and 55 < time.monotonic() - begin < 80
    assert "takes nothing" in d.keys.end_of(3, 80) and 55 < time.monotonic() - begin < 90


def test_descriptors_that_others_have_too(door, plain):
    """What happens on a socket after its connection has ended is nobody's business."""
    d = door(plain(tls=False), tls=False)
    kept = []
    for _ in range(20):
        ours, theirs = socket.socketpair()
        far, near = socket.socketpair()
        d.keys.offer(theirs, near, d.host, d.port, tls=False)
        ours.sendall(b"nonsense\r\n\r\n")
        assert b"400" in ours.recv(4096)
        ours.close()
        kept.append((theirs, far, near))
    for n in range(1, 21):
        d.keys.end_of(n)
    for theirs, far, near in kept:
        far.sendall(b"late")
        theirs.close()
        far.close()
    time.sleep(0.5)
    for _, _, near in kept:
        near.close()
    with d.talk() as s:
        assert status(ask(s, get(d))[0]) == 200
