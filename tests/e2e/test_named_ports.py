# SPDX-License-Identifier: Apache-2.0
"""Ports of a sandbox that stays are published, and not any more, while it runs; and kept (docs/adr/0041)."""
import contextlib
import json
import os
import pathlib
import signal
import socket
import sqlite3

import pytest

from conftest import PYTHON, wait_for
from test_named import boxes, by_signals  # noqa: F401 (fixtures)

# pylint: disable=redefined-outer-name

SERVER = """
import socket, sys, threading
def serve(port):
    s = socket.create_server(("127.0.0.1", port))
    while True:
        threading.Thread(target=talk, args=(s.accept()[0], port)).start()
def talk(c, port):
    while said := c.recv(100):
        c.sendall(b"%d hears " % port + said)
for p in sys.argv[1:]:
    threading.Thread(target=serve, args=(int(p),)).start()
"""


def free(host="127.0.0.1"):
    with socket.create_server((host, 0)) as s:
        return s.getsockname()[1]


def ask(port, host="127.0.0.1"):
    """What a program of the host hears there; "": nobody listens."""
    try:
        with socket.create_connection((host, port), 20) as s:
            s.settimeout(20)
            s.sendall(b"me")
            return s.recv(100).decode()
    except OSError:
        return ""


def ports(boxes):
    r = boxes("port", "--json", "box")
    assert r.rc == 0, r
    return {(p["inside"], p["address"], p["port"]) for p in json.loads(r.out)}


def words(boxes):
    (one,) = json.loads(boxes("inspect", "box").out)
    return [w.removeprefix("--publish=") for w in one["options"] if w.startswith("--publish")]


def serve(boxes, ws, *at):
    (ws / "server.py").write_text(SERVER)
    assert boxes.exec([PYTHON, "server.py", *map(str, at)], "-d").rc == 0
    for port in at:
        assert wait_for(lambda p=port: boxes.exec([PYTHON, "-c", f"import socket; socket.create_connection(('127.0.0.1', {p}))"]).rc == 0)


def gateways(boxes):
    """Of the supervisor."""
    pid = boxes.supervisor()
    found = []
    for child in (pathlib.Path(f"/proc/{pid}/task/{pid}/children")).read_text().split():
        if pathlib.Path(f"/proc/{child}/comm").read_text().strip() == "bailey-gateway":
            found.append(int(child))
    return found


def test_while_it_runs(boxes, ws):
    """It holds at once, with and without a gateway that lives, and after a stop; what is taken away is gone, but for connections that are open."""
    boxes.make()
    serve(boxes, ws, 8000, 8001)
    one, two = free(), free()
    assert ask(one) == "" and ports(boxes) == set()
    r = boxes("port", "box", "-p", f"{one}:8000")
    assert (r.rc, r.out) == (0, f"8000/tcp -> 127.0.0.1:{one}\n"), r
    assert not gateways(boxes), "nobody has used the network"
    assert ask(one) == "8000 hears me" and gateways(boxes)
    r = boxes("port", "--json", "box", "--publish", f"[::1]:{two}:8001/tcp")
    assert r.rc == 0 and json.loads(r.out) == [{"inside": 8001, "address": "::1", "port": two}], r
    assert ask(two, "::1") == "8001 hears me" and ask(two) == ""
    assert ports(boxes) == {(8000, "127.0.0.1", one), (8001, "::1", two)}
    with socket.create_connection(("127.0.0.1", one), 20) as s:
        s.settimeout(20)
        s.sendall(b"a")
        assert s.recv(100) == b"8000 hears a"
        assert boxes("port", "box", "--unpublish", f"{one}:8000").rc == 0
        assert ask(one) == "" and ports(boxes) == {(8001, "::1", two)}
        s.sendall(b"b")
        assert s.recv(100) == b"8000 hears b", "it was open"
    # the next gateway, too
    for pid in gateways(boxes):
        os.kill(pid, signal.SIGKILL)
    assert wait_for(lambda: not gateways(boxes)) and wait_for(lambda: ask(two, "::1") == "8001 hears me") and ask(one) == ""
    # the place that is free is taken again
    assert boxes("port", "box", "-p", f"{one}:8001").rc == 0 and ask(one) == "8001 hears me"
    assert boxes("stop", "box").rc == 0 and ask(one) == ""
    serve(boxes, ws, 8000, 8001)
    assert ports(boxes) == {(8001, "::1", two), (8001, "127.0.0.1", one)} and ask(one) == "8001 hears me"


def test_a_port_that_is_chosen(boxes, ws):
    """It is printed, and any form takes it away: as it is now, or as it was asked for."""
    boxes.make()
    serve(boxes, ws, 8000)
    for spec in ("8000", "0:8000", "127.0.0.2:0:8000"):
        r = boxes("port", "box", "-p", spec)
        ((inside, address, port),) = ports(boxes)
        assert (r.rc, r.out) == (0, f"8000/tcp -> {address}:{port}\n") and inside == 8000 and ask(port, address) == "8000 hears me", r
        assert words(boxes) == [spec]
        for other in (f"{port + 1}:8000", "8001", f"127.0.0.3:{port}:8000"):
            r = boxes("port", "box", "--unpublish", other)
            assert r.rc == 2 and "publishes no such port" in r.err, r
        r = boxes("port", "box", "--unpublish", spec)
        assert r.rc == 0 and ports(boxes) == set() and words(boxes) == [] and ask(port, address) == "", "as it was asked for"
        assert boxes("port", "box", "-p", spec).rc == 0
        ((_, _, port),) = ports(boxes)
        r = boxes("port", "box", "--unpublish", f"{port}:8000")
        assert r.rc == 0 and ports(boxes) == set() and words(boxes) == [] and ask(port, address) == "", r
    # of several like it one is as it is now
    assert boxes("port", "box", "-p", "8000", "-p", "127.0.0.2:0:8000", "-p", "8000").rc == 0
    (port, _) = [p for _, a, p in ports(boxes) if a == "127.0.0.1"]
    assert boxes("port", "box", "--unpublish", f"{port}:8000").rc == 0
    assert sorted(words(boxes)) == ["127.0.0.2:0:8000", "8000"] and len(ports(boxes)) == 2 and port not in {p for *_, p in ports(boxes)}
    assert boxes("port", "box", "--unpublish", "0:8000").rc == 0 and ports(boxes) == set() and words(boxes) == [], "all that were chosen"
    # the twin: what is like it, and is not meant, stays
    one = free()
    assert boxes("port", "box", "-p", "8000", "-p", f"{one}:8000").rc == 0 and len(ports(boxes)) == 2
    assert boxes("port", "box", "--unpublish", f"{one}:8000").rc == 0
    assert words(boxes) == ["8000"] and len(ports(boxes)) == 1 and (8000, "127.0.0.1", one) not in ports(boxes)
    assert boxes("port", "box", "-p", f"{one}:8000", "-p", "8001").rc == 0
    assert boxes("port", "box", "--unpublish", "8000").rc == 0, "each way to it"
    assert words(boxes) == ["8001"] and {p[0] for p in ports(boxes)} == {8001}


def test_what_cannot_be_changes_nothing(boxes, ws):
    boxes.make("box", "--allow-host-port", "7000")
    serve(boxes, ws, 8000)
    one = free()
    with socket.create_server(("127.0.0.1", 0)) as s:
        taken = s.getsockname()[1]
        for bad, rc, says in [((f"{taken}:8000",), 125, f"listen on 127.0.0.1 port {taken}: Address"), ((f"{one}:8000", f"{taken}:8001"), 125, "in use"),
                              ((f"{one}:8000", f"{one}:8001"), 2, "is published already"), ((f"0.0.0.0:{one}:8000", f"{one}:8001"), 2, "is published already"), ((f"{one}:7000",), 2, "--allow-host-port 7000"), (("x:80",), 2, "expected [[IP:]HOST:]PORT"),
                              (("80/udp",), 2, "expected [[IP:]HOST:]PORT"), (("1.2.3.4.5:1:2",), 2, "expected"), (("80:0",), 2, "expected"), (("",), 2, "expected"),
                              (("192.0.2.1:0:80",), 125, "listen on 192.0.2.1 port 0"), (["0:8000"] * 17, 2, "more than 16")]:
            r = boxes("port", "box", *(f"--publish={b}" for b in bad))
            assert r.rc == rc and says in r.err and r.err.count("\n") == 1, r
            assert words(boxes) == [] and ports(boxes) == set() and ask(one) == "", bad
    r = boxes("port", "box", "--publish", f"{one}:8000", "--unpublish", "9")
    assert r.rc == 2 and "publishes no such port" in r.err and ports(boxes) == set(), r
    assert boxes("port", "box", "--publish", f"{one}:8000").rc == 0 and ask(one) == "8000 hears me", "the twin"
    r = boxes("port", "box", "--unpublish", f"{one}:8000", "-p", f"{one}:8001")
    assert r.rc == 2 and "say that alone first" in r.err and ask(one) == "8000 hears me", r
    assert boxes("port", "box", "--unpublish", f"{one}:8000").rc == 0 and boxes("port", "box", "-p", f"{one}:8001").rc == 0, "at once"
    assert boxes("port", "nobox", "-p", "80").rc == 3
    r = boxes("port", "box", "--listening", "-p", "80")
    assert r.rc == 2 and "changes nothing" in r.err


def test_what_cannot_be_kept_is_taken_back(boxes, ws):
    boxes.make()
    serve(boxes, ws, 8000)
    one = free()
    with contextlib.closing(sqlite3.connect(boxes.home / "state.db")) as db:
        db.execute("CREATE TRIGGER no BEFORE UPDATE ON sandboxes BEGIN SELECT RAISE(ABORT, 'no'); END")
        r = boxes("port", "box", "-p", f"{one}:8000")
        assert r.rc not in (0, 2) and r.err.count("\n") == 1 and ports(boxes) == set() and ask(one) == "", r
        db.execute("DROP TRIGGER no")
    assert boxes("port", "box", "-p", f"{one}:8000").rc == 0 and ask(one) == "8000 hears me"


def test_of_one_that_is_stopped(boxes, ws):
    """It is kept, and nothing is started; what no start would take is refused."""
    boxes.make("box", "-p", "0:8000")
    one = free()
    r = boxes("port", "box", "-p", f"{one}:8001")
    assert (r.rc, r.out, words(boxes), boxes.ls()["box"]["state"]) == (0, "", ["0:8000", f"{one}:8001"], "stopped"), r
    r = boxes("port", "box", "-p", f"{one}:8002")
    assert r.rc == 2 and "is published already" in r.err, r
    r = boxes("port", "box", *["--publish=0:8002"] * 15)
    assert r.rc == 2 and "more than 16" in r.err and len(words(boxes)) == 2, r
    assert boxes("port", "box", "--unpublish", "8000").rc == 0 and words(boxes) == [f"{one}:8001"]
    assert boxes("port", "box", "--unpublish", "8000").rc == 2
    assert boxes("port", "box").rc == 4, "a list is of what runs"
    serve(boxes, ws, 8001)
    assert ask(one) == "8001 hears me" and ports(boxes) == {(8001, "127.0.0.1", one)}


def test_without_a_network(boxes, ws):
    """Nothing leads in: refused while it runs, and said before."""
    boxes.make("box", "--network", "none")
    assert boxes.exec("true").rc == 0
    r = boxes("port", "box", "-p", "80")
    assert r.rc == 2 and "started without a network" in r.err and words(boxes) == [], r
    assert boxes("stop", "box").rc == 0
    r = boxes("port", "box", "-p", "80")
    assert r.rc == 0 and "has no effect: network none" in r.err, r


def test_it_wakes(boxes, ws, by_signals):
    """As one that was published at the beginning does."""
    boxes.make("box", "--idle-freeze", "600ms")
    by_signals()
    serve(boxes, ws, 8000)
    one = free()
    assert boxes("port", "box", "-p", f"{one}:8000").rc == 0
    assert wait_for(lambda: boxes.ls()["box"]["state"] == "paused")
    assert ask(one) == "8000 hears me"


def test_a_gateway_that_is_busy(boxes, ws):
    """What is taken away is away when the command says so, whether the gateway has heard of it or not."""
    boxes.make()
    serve(boxes, ws, 8000)
    one = free()
    assert boxes("port", "box", "-p", f"{one}:8000").rc == 0 and ask(one) == "8000 hears me"
    (gateway,) = gateways(boxes)
    os.kill(gateway, signal.SIGSTOP)
    try:
        assert boxes("port", "box", "--unpublish", f"{one}:8000").rc == 0
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", one), 20)
    finally:
        os.kill(gateway, signal.SIGCONT)
    assert boxes("port", "box", "-p", f"{one}:8000").rc == 0 and ask(one) == "8000 hears me" and gateways(boxes) == [gateway]


def test_who_is_killed(boxes, ws):
    """It listens, and is not kept: the same command finishes."""
    boxes.make()
    serve(boxes, ws, 8000)
    one = free()
    with contextlib.closing(sqlite3.connect(boxes.home / "state.db")) as db:
        db.execute("BEGIN IMMEDIATE")  # nobody can write
        p = boxes.start("port", "box", "-p", f"{one}:8000")
        children = pathlib.Path(f"/proc/{p.pid}/task/{p.pid}/children")
        assert wait_for(lambda: ask(one) == "8000 hears me") and wait_for(lambda: children.read_text())
        store = int(children.read_text())
        p.kill()
        os.kill(store, signal.SIGKILL)
        p.wait()
        db.rollback()
    assert words(boxes) == [] and ports(boxes) == {(8000, "127.0.0.1", one)}
    r = boxes("port", "box", "-p", f"{one}:8000")
    assert r.rc == 0 and words(boxes) == [f"{one}:8000"] and ask(one) == "8000 hears me", r


def test_several_at_once(boxes, ws):
    """Nobody loses what somebody else has kept meanwhile."""
    boxes.make()
    serve(boxes, ws, 8000)
    at = [free() for _ in range(8)]
    started = [boxes.start("port", "box", "-p", f"{p}:8000") for p in set(at)]
    done = [p.communicate(timeout=120) + (p.returncode,) for p in started]
    assert all(rc == 0 for *_, rc in done), done
    assert sorted(words(boxes)) == sorted(f"{p}:8000" for p in set(at)) and {p[2] for p in ports(boxes)} == set(at)
