# SPDX-License-Identifier: Apache-2.0
"""How long sandboxes that stay live, and when nothing of them runs (docs/adr/0033)."""
import json
import os
import shutil
import signal
import socket
import subprocess
import time
from typing import Any

import pytest

from conftest import BAILEY, PYTHON, kill, skip, wait_for
from terminals import Pty
from test_named import boxes, by_signals  # noqa: F401 (fixtures)

# pylint: disable=redefined-outer-name

TICK = "(while :; do echo x >> ticks; sleep 0.02; done) >/dev/null 2>&1 & echo $!"


def state(boxes, name="box"):
    return boxes.ls()[name]["state"]


def ticks(ws):
    return (ws / "ticks").stat().st_size if (ws / "ticks").exists() else 0


def grows(ws, seconds=60.0):
    """Whether the ticking goes on."""
    before = ticks(ws)
    return bool(wait_for(lambda: ticks(ws) > before, seconds))


def stands_still(ws):
    before = ticks(ws)
    time.sleep(0.3)
    return ticks(ws) == before


@pytest.fixture(params=["default", "signals"])
def begin(request, boxes, by_signals, user):
    """begin(): starts the sandbox, with what pauses it here by itself, or with signals; begin.paused(): it is paused, and by that."""

    class Begin:
        def __call__(self):
            if request.param == "signals":
                by_signals()
            else:
                assert boxes("start", "box").rc == 0

        def paused(self):
            r = boxes("top", "--json", "box")
            states = {p["state"] for p in json.loads(r.out)} - {"Z"}
            assert state(boxes) == "paused" and states, r
            if request.param == "signals":
                assert states == {"T"}, r
            elif user.is_root and any("cgroup2" in li for li in open("/proc/mounts", encoding="utf-8")):
                assert "S" in states or "R" in states or "D" in states, r  # the freezer stops nobody by a signal
            return True

    return Begin()


def events(boxes, *words):
    r = boxes("events", "--json", *words)
    assert r.rc == 0, r
    return [json.loads(line) for line in r.out.splitlines()]


def supervisor(boxes):
    """Once those that only help it to start are gone."""
    return boxes.supervisor()


def switches(pid):
    """How often a process was on a processor."""
    with open(f"/proc/{pid}/status", encoding="ascii") as f:
        return sum(int(line.split()[1]) for line in f if "ctxt_switches" in line)


# --- pause ------------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("verb,was,now", [(("start",), "stopped", "running"), (("pause",), "running", "paused"), (("resume",), "paused", "running"),
                                          (("stop", "--time", "0"), "running", "stopped"), (("reset", "-f"), "stopped", None), (("rm",), "stopped", None)])
def test_one_name_that_is_wrong_keeps_no_other_from_it(boxes, verb, was, now):
    """As docker: the others are dealt with, each error is a line, and the status is that of the first. The twin: all names are right."""
    for name in ("a", "b", "c"):
        boxes.make(name)
    if was != "stopped":
        assert boxes("start", "a", "b", "c").rc == 0
    if was == "paused":
        assert boxes("pause", "a", "b", "c").rc == 0
    assert {s["state"] for s in boxes.ls().values()} == {was}
    r = boxes(*verb, "a", "nosuch", "b", "neither")
    assert r.rc == 3 and r.err.count("\n") == 2 and r.err.find("nosuch") < r.err.find("neither"), r
    left = boxes.ls()
    if verb[0] == "rm":
        assert set(left) == {"c"}
    elif now:
        assert {n: s["state"] for n, s in left.items()} == {"a": now, "b": now, "c": was}
    if verb[0] in ("pause", "rm"):
        # the first failure says the status
        assert boxes("stop", "c").rc == 0 and (verb[0] == "pause" or boxes("start", "c").rc == 0)
        assert boxes(*verb, "c", "nosuch").rc == 4 and boxes(*verb, "nosuch", "c").rc == 3
    else:
        assert boxes(*verb, "c").rc == 0


def test_pause_and_resume(boxes, ws, begin):
    """Nothing runs, all of it is still there, and who was stopped by somebody else stays so."""
    boxes.make()
    assert boxes("pause", "box").rc == 4 and state(boxes) == "stopped", "it does not run"
    begin()
    r = boxes.exec(f"{TICK}; (while :; do echo y >> other; sleep 0.02; done) >/dev/null 2>&1 & sleep 0.2; kill -STOP $!; echo $!")
    ticking, stopped = r.out.split()
    assert grows(ws)
    assert boxes("pause", "box").rc == 0 and begin.paused() and stands_still(ws)
    assert json.loads(boxes("inspect", "box").out)[0]["state"] == "paused"
    assert boxes("pause", "box").rc == 0 and state(boxes) == "paused", "twice is as good as once"
    assert boxes("resume", "box").rc == 0 and state(boxes) == "running" and grows(ws)
    assert boxes.exec(f"cut -d' ' -f3 /proc/{stopped}/stat; kill -0 {ticking} && echo there").out == "T\nthere\n"
    assert boxes("resume", "box").rc == 0 and state(boxes) == "running"


def test_pause_while_programs_are_started(boxes):
    """Between vfork and exec the parent can't stop before the child has gone on, and the child has been stopped."""
    boxes.make()
    spawn = "import subprocess, time\nfor _ in range(3000): subprocess.run(['/bin/true'])"
    for _ in range(3):
        assert boxes.exec([PYTHON, "-c", spawn], "-d").rc == 0
    time.sleep(0.3)
    for _ in range(25):
        r = boxes("pause", "box")
        assert r.rc == 0 and state(boxes) == "paused", r
        assert boxes("resume", "box").rc == 0


WAR = """
import os, signal, time
a = os.getpid()
b = os.fork()
other = b or a
if not b:
    for fd in 0, 1, 2:
        os.close(fd)
while True:
    os.kill(other, signal.SIGCONT)
    if not b:
        with open("ticks", "a") as f:
            f.write("x")
"""


@pytest.mark.parametrize("who", ["agent", "root"])
def test_who_wakes_others_is_paused_too(boxes, ws, begin, who):
    """80: two that send each other SIGCONT without a rest, also as root inside, and also where signals are all there is; beside them one that was stopped before."""
    (ws / "war.py").write_text(WAR)
    (ws / "ticks").touch()
    (ws / "ticks").chmod(0o666)
    boxes.make()
    begin()
    (about,) = json.loads(boxes("inspect", "box").out)
    if who == "root" and not about["root"]:
        skip(f"no root inside: {about['rootless_because']}")
    held = boxes.exec("sleep 1000 >/dev/null 2>&1 & kill -STOP $!; echo $!").out.strip()
    words = ["-u", "root"] if who == "root" else []
    assert boxes.exec([PYTHON, "war.py"], "-d", *words).rc == 0 and grows(ws)
    for _ in range(5):
        assert boxes("pause", "box").rc == 0 and begin.paused() and stands_still(ws)
        assert boxes("resume", "box").rc == 0 and grows(ws)
        assert boxes.exec(f"cut -d' ' -f3 /proc/{held}/stat").out == "T\n", "who was stopped before stays so"
    assert boxes.exec(f"kill -CONT {held}; cut -d' ' -f3 /proc/{held}/stat").out != "T\n", "the control"


def test_looking_wakes_nobody(boxes, ws):
    boxes.make()
    boxes.exec(TICK)
    assert boxes("pause", "box").rc == 0
    for words in (["ls"], ["inspect", "box"], ["stats", "--json", "box"], ["top", "box"], ["port", "box"], ["events"]):
        assert boxes(*words).rc == 0, words
        assert state(boxes) == "paused", words
    assert stands_still(ws) and boxes("resume", "box").rc == 0 and grows(ws)


@pytest.mark.parametrize("wake", ["any", "never"])
def test_start_of_what_is_paused(boxes, ws, begin, wake):
    """It goes on: whoever starts it wishes that it runs."""
    boxes.make("box", "--wake", wake)
    begin()
    boxes.exec(TICK)
    assert grows(ws) and boxes("pause", "box").rc == 0 and begin.paused() and stands_still(ws)
    assert boxes("start", "box").rc == 0 and state(boxes) == "running" and grows(ws)
    assert boxes("start", "box").rc == 0 and state(boxes) == "running" and grows(ws), "twice is as good as once"


# What a command of bailey does inside, and what it says then.
USES = {
    "exec": lambda boxes, ws: boxes.exec("cat f"),
    "cp": lambda boxes, ws: boxes("cp", f"box:{ws}/f", "-"),
    "fs": lambda boxes, ws: boxes("fs", "box", "stat", "f"),
}


@pytest.mark.parametrize("use", list(USES))
@pytest.mark.parametrize("wake", ["any", "exec", "never"])
def test_who_wakes_it(boxes, ws, user, begin, wake, use):
    """A command does, unless the sandbox says that none does; then the refusal says how."""
    user.write(ws / "f", "here\n")
    boxes.make("box", "--wake", wake)
    begin()
    boxes.exec(TICK)
    assert grows(ws) and boxes("pause", "box").rc == 0 and begin.paused() and stands_still(ws)
    r = USES[use](boxes, ws)
    if wake != "never":
        assert r.rc == 0 and r.out and state(boxes) == "running" and grows(ws), r
        return
    assert r.rc == (125 if use == "exec" else 4) and r.out == "" and "bailey resume box" in r.err and r.err.count("\n") == 1, r
    assert begin.paused() and stands_still(ws)
    assert boxes("resume", "box").rc == 0 and USES[use](boxes, ws).rc == 0 and grows(ws)


@pytest.mark.parametrize("use", list(USES))
@pytest.mark.parametrize("wake", ["any", "exec", "never"])
def test_who_starts_it(boxes, ws, user, wake, use):
    """--wake is about what is paused: one that is stopped is started by whoever needs it."""
    user.write(ws / "f", "here\n")
    boxes.make("box", "--wake", wake)
    for _ in range(2):
        assert state(boxes) == "stopped"
        r = USES[use](boxes, ws)
        assert r.rc == 0 and r.out and state(boxes) == "running", r
        assert boxes("stop", "box").rc == 0


def test_a_command_is_paused_with_its_terminal(boxes, ws, user):
    """What is typed meanwhile comes when it goes on; job control sees no stop."""
    boxes.make()
    t = Pty(user, [BAILEY, "exec", "-it", "box", "--", "sh"], ws, env=boxes.env)
    t.expect(r"\$ ")  # or the command would come after the pause, and wake it
    t.type("touch begun; sleep 3; echo on''ce\n")
    assert wait_for((ws / "begun").exists) and boxes("pause", "box").rc == 0
    t.type("echo tw''ice\n")
    time.sleep(3.5)
    t.read(0.1)
    assert b"once\r\n" not in t.out and b"twice\r\n" not in t.out
    assert boxes("resume", "box").rc == 0
    t.expect("once")
    t.expect("twice")
    t.type("exit 3\n")
    assert t.wait() == 3 and b"Stopped" not in t.out


@pytest.mark.parametrize("options", [(), ("--memory", "256M")])
def test_a_supervisor_of_what_is_paused_sleeps(boxes, ws, options):
    """Also one that watches the memory, and one that counts to its end."""
    boxes.make("box", *options, "--idle-stop", "1h", "--timeout", "1h")
    boxes.exec(TICK)
    assert boxes("pause", "box").rc == 0
    pid = supervisor(boxes)
    time.sleep(0.3)
    before = switches(pid)
    time.sleep(1.5)
    assert switches(pid) - before <= 1
    assert boxes("resume", "box").rc == 0 and grows(ws)


def test_ends_of_what_is_paused(boxes, ws):
    """stop asks first, as always; rm -f and kill -9 leave nothing."""
    boxes.make()
    r = boxes.exec("(trap 'echo asked > asked; exit' TERM; while :; do echo x >> ticks; sleep 0.02; done) >/dev/null 2>&1 & true")
    assert r.rc == 0 and grows(ws) and boxes("pause", "box").rc == 0
    r = boxes("stop", "box")
    assert r.rc == 0 and r.secs < 9.5 and (ws / "asked").exists() and not boxes.supervisors(), r
    boxes.exec(TICK)
    assert boxes("pause", "box").rc == 0
    pid = supervisor(boxes)
    os.kill(pid, signal.SIGKILL)
    assert wait_for(lambda: not boxes.supervisors()) and state(boxes) == "stopped"
    marker = f"1{os.getpid() % 100000}5"
    boxes.exec(f"sleep {marker} >/dev/null 2>&1 & true")
    assert boxes("pause", "box").rc == 0 and boxes("rm", "-f", "box").rc == 0
    assert wait_for(lambda: not [p for p in os.listdir("/proc") if p.isdigit() and marker.encode() in _cmdline(p)])


def _cmdline(pid):
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as f:
            return f.read()
    except OSError:
        return b""


# --- idle and time-outs ------------------------------------------------------------------------------------------------------------------


def happened(boxes, event):
    """How often. A state that is looked at may be over by then."""
    return [e["event"] for e in events(boxes)].count(event)


def test_idle_freeze(boxes, ws, begin):
    """What waits is paused; what works, and what somebody waits for, is not."""
    boxes.make("box", "--idle-freeze", "600ms")
    begin()
    boxes.exec("sleep 1000 >/dev/null 2>&1 & true")
    assert wait_for(lambda: state(boxes) == "paused") and begin.paused()
    assert boxes.exec("echo on").out == "on\n" and happened(boxes, "resumed") == 1
    waiting = boxes.start("exec", "box", "--", "sleep", "1000")
    time.sleep(1.5)
    assert state(boxes) == "running", "somebody waits for a command"
    kill(waiting)
    waiting.stdout.close()
    waiting.stderr.close()
    assert wait_for(lambda: state(boxes) == "paused")
    assert boxes.exec("(while :; do :; done) >/dev/null 2>&1 & echo $!").rc == 0
    time.sleep(2)
    assert state(boxes) == "running", "it works"
    boxes.exec("pkill -f 'while :'; true")
    assert wait_for(lambda: state(boxes) == "paused")
    assert happened(boxes, "paused") >= 3


def test_idle_stop(boxes, ws):
    """Counted from the last use, through the pause; the next command starts it again, and files are as they were: its own, the workspace's."""
    boxes.make("box", "--idle-freeze", "300ms", "--idle-stop", "1200ms")
    home = boxes.exec("echo mine > ~/kept; echo shared > kept; echo gone > /tmp/gone; sleep 1000 >/dev/null 2>&1 & cd; pwd").out.strip()
    assert wait_for(lambda: state(boxes) == "stopped") and happened(boxes, "paused") == 1 and wait_for(lambda: not boxes.supervisors())
    assert events(boxes)[-1] | {"time": 0, "id": ""} == {"time": 0, "event": "stopped", "id": "", "name": "box", "why": "idle"}
    r = boxes.exec(f"cat {home}/kept kept; pgrep sleep; ls /tmp/gone")
    assert r.out == "mine\nshared\n" and (ws / "kept").read_text() == "shared\n", "no process, and nothing in /tmp"


def test_without_the_options_it_stays(boxes, ws):
    """And nobody looks at it."""
    boxes.make()
    boxes.exec("sleep 1000 >/dev/null 2>&1 & true")
    pid = supervisor(boxes)
    time.sleep(0.5)
    before = switches(pid)
    time.sleep(1.5)
    assert switches(pid) - before <= 1 and state(boxes) == "running"


def test_timeout_and_extend(boxes):
    boxes.make("box", "--timeout", "3s")
    assert boxes("extend", "box", "10s").rc == 4, "it does not run"
    boxes.exec("true")
    left = json.loads(boxes("stats", "--json", "box").out)[0]["timeout_ms"]
    assert 0 < left <= 3000
    assert boxes("extend", "box", "6s").rc == 0 and boxes("extend", "box", "1ms").rc == 0, "it only ever has more"
    time.sleep(3.5)
    assert state(boxes) == "running"
    assert wait_for(lambda: state(boxes) == "stopped")
    assert events(boxes)[-1]["why"] == "timeout"
    boxes.make("other")
    boxes.exec("true", name="other")
    r = boxes("extend", "other", "3s")
    assert r.rc == 2 and "--timeout" in r.err
    assert json.loads(boxes("stats", "--json", "other").out)[0]["timeout_ms"] is None


@pytest.mark.parametrize("held", [False, True])
@pytest.mark.parametrize("options,words,says", [(("--timeout", "4s"), (), "--timeout is over"), ((), ("stop", "box"), "was stopped"), ((), ("rm", "-f", "box"), "was stopped")])
def test_who_waits_hears_why_it_ends(boxes, user, ws, options, words, says, held):
    """The status of a command is the same as if it had been ended alone, unless there was no time for that. The twin: it was, and nobody says anything."""
    status = 125 if "-f" in words else 143
    boxes.make("box", *options)
    r = boxes.exec("kill -TERM $$")
    assert r.rc == 143 and "sandbox 'box'" not in r.err
    if held:
        p: Any = Pty(user, [BAILEY, "exec", "-it", "box", "sh", "-c", "echo up; exec sleep 100"], ws, env=boxes.env)
        p.expect("up")
    else:
        p = boxes.start("exec", "box", "sh", "-c", "echo up; exec sleep 100")
        assert p.stdout.readline() == b"up\n"
    if words:
        assert boxes(*words).rc == 0
    if held:
        assert p.wait() == status
        said = p.out.decode()
    else:
        said = p.communicate(timeout=60)[1].decode()
        assert p.returncode == status
    assert said.count("sandbox 'box'") == 1 and says in said


SERVER = """
import socket
s = socket.create_server(("127.0.0.1", 8000))
print("up", flush=True)
while True:
    c, _ = s.accept()
    c.sendall(b"hello " + c.recv(100))
    if c.recv(100) == b"":
        c.close()
"""


def _ask(port, then=None):
    with socket.create_connection(("127.0.0.1", port), 10) as s:
        s.sendall(b"you")
        got = s.recv(100)
        if then:
            then()
        return got


def test_a_published_port(boxes, ws, begin):
    """It is named with the port that was chosen; a connection is use, and wakes; only with --wake any."""
    (ws / "server.py").write_text(SERVER)
    boxes.make("box", "--publish", "0:8000", "--idle-freeze", "600ms", "--pass-env", "HOME")
    begin()
    assert boxes.exec([PYTHON, "server.py"], "-d").rc == 0
    r = boxes("port", "box")
    assert r.rc == 0 and r.out.startswith("8000/tcp -> 127.0.0.1:"), r
    (one,) = json.loads(boxes("port", "--json", "box").out)
    port = one["port"]
    assert one == {"inside": 8000, "address": "127.0.0.1", "port": int(r.out.rsplit(":", 1)[1])}
    assert wait_for(lambda: _answers(port))

    def still():
        time.sleep(1.5)
        assert state(boxes) == "running", "a connection is open"
        (stats,) = json.loads(boxes("stats", "--json", "box").out)
        assert stats["network"]["connections"] == 1

    assert _ask(port, still) == b"hello you"
    assert wait_for(lambda: state(boxes) == "paused") and begin.paused()
    start, before = time.monotonic(), happened(boxes, "resumed")
    assert _ask(port) == b"hello you" and time.monotonic() - start < 20
    assert happened(boxes, "resumed") > before, "it may be paused again by now"
    (stats,) = json.loads(boxes("stats", "--json", "box").out)
    assert stats["network"]["received"] > 0 or wait_for(lambda: json.loads(boxes("stats", "--json", "box").out)[0]["network"]["received"] > 0)


def _answers(port):
    try:
        return _ask(port) == b"hello you"
    except OSError:
        return False


def test_a_published_port_of_what_only_exec_wakes(boxes, ws):
    (ws / "server.py").write_text(SERVER)
    boxes.make("box", "--publish", "0:8000", "--wake", "exec")
    assert boxes.exec([PYTHON, "server.py"], "-d").rc == 0
    (one,) = json.loads(boxes("port", "--json", "box").out)
    assert wait_for(lambda: _answers(one["port"]))
    assert boxes("pause", "box").rc == 0
    with socket.create_connection(("127.0.0.1", one["port"]), 10) as s:
        s.sendall(b"you")
        s.settimeout(1)
        with pytest.raises(TimeoutError):
            s.recv(100)
        assert state(boxes) == "paused"
        assert boxes.exec("true").rc == 0
        s.settimeout(10)
        assert s.recv(100) == b"hello you", "it has waited"


# --- looks -------------------------------------------------------------------------------------------------------------------------------


def test_stats(boxes):
    boxes.make()
    assert json.loads(boxes("stats", "--json").out) == [], "nothing runs"
    boxes.exec([PYTHON, "-c", "import os\nr, w = os.pipe()\nif os.fork(): os.read(r, 1); os._exit(0)\nx = bytearray(b'x' * (64 << 20))\nos.write(w, b'.')\nfor fd in 0, 1, 2: os.close(fd)\nwhile True: pass"])
    (s,) = json.loads(boxes("stats", "--json", "box").out)
    assert s["name"] == "box" and s["state"] == "running" and s["pids"] == 1 and 64 << 20 <= s["memory"] < 200 << 20, s
    assert s["cpu_percent"] > 5 and s["cpu_seconds"] > 0 and s["attached"] == 0, s
    assert boxes("stats").out.splitlines()[1].split()[:2] == ["box", "running"]
    boxes.make("other")
    r = boxes("stats", "other")
    assert (r.rc, r.out, r.err) == (4, "", "bailey: sandbox 'other' does not run\n"), r
    r = boxes("stats", "--json", "other", "box")
    assert r.rc == 4 and [s["name"] for s in json.loads(r.out)] == ["box"] and r.err.count("\n") == 1, r
    assert boxes("rm", "other").rc == 0
    proc = boxes.start("stats", "--follow", "--json")
    lines = [json.loads(proc.stdout.readline()) for _ in range(2)]
    assert [line["name"] for line in lines] == ["box", "box"] and lines[1]["cpu_seconds"] > lines[0]["cpu_seconds"]
    kill(proc)
    proc.stdout.close()
    proc.stderr.close()
    assert boxes("stats", "--follow", "--no-stream").rc == 2 and boxes("stats", "nobox").rc == 3


def test_top(boxes):
    """The numbers are those that the sandbox has; nothing of the host is among them."""
    boxes.make()
    pid = int(boxes.exec("sleep 12345 >/dev/null 2>&1 & echo $!").out)

    def listed():
        return json.loads(boxes("top", "--json", "box").out)
    assert wait_for(lambda: [p["state"] for p in listed() if p["command"] == "sleep 12345"] == ["S"])
    shown = listed()
    (one,) = [p for p in shown if "12345" in p["command"]]
    assert one["pid"] == pid and one["parent"] == 1 and one["state"] == "S" and one["command"] == "sleep 12345", shown
    assert len(shown) == 1
    host = {int(p) for p in os.listdir("/proc") if p.isdigit() and b"12345" in _cmdline(p)}
    assert host and pid not in host, "the control: outside it has another"
    boxes.exec("sh -c 'exec -a \"$(printf \"a\\033[31mb\")\" sleep 54321' >/dev/null 2>&1 & bash -c 'exec -a \"$(printf \"a\\033[31mb\")\" sleep 54321' >/dev/null 2>&1 & sleep 0.3")
    r = boxes("top", "box")
    assert r.rc == 0 and "54321" in r.out and "\033" not in r.out, r
    assert boxes("stop", "box").rc == 0 and boxes("top", "box").rc == 4


# --- events ------------------------------------------------------------------------------------------------------------------------------


def test_events(boxes):
    """Each has its line, in the order of what happened; what commands are is nobody's business."""
    boxes.make()
    boxes.exec("exit 7; echo s3cret")
    boxes.exec("kill -9 $$", "-d", "--name", "kept")
    assert wait_for(lambda: len(events(boxes)) == 6)
    (kept,) = json.loads(boxes("sessions", "--json", "box").out)
    for words in (["pause", "box"], ["resume", "box"], ["stop", "box"], ["rename", "box", "other"], ["reset", "other"]):
        assert boxes(*words).rc == 0
    seen = events(boxes)
    assert [(e["event"], e.get("status"), e.get("why")) for e in seen] == [
        ("created", None, None), ("started", None, None), ("exec-started", None, None), ("exec-ended", 7, None), ("exec-started", None, None), ("exec-ended", 137, None),
        ("paused", None, None), ("resumed", None, None), ("stopped", None, "asked"), ("renamed", None, None), ("reset", None, None)]
    assert len({e["id"] for e in seen}) == 1 and seen[-1]["name"] == "other" and [e["time"] for e in seen] == sorted(e["time"] for e in seen)
    assert seen[2]["session"] == seen[3]["session"] != seen[4]["session"] == kept["session"]
    log = boxes.home / "events.log"
    assert "s3cret" not in log.read_text() and log.stat().st_mode & 0o777 == 0o600
    assert seen[-2]["from"] == "box" and seen[-2]["name"] == "other"
    assert boxes("events").out.count("\n") == len(seen) and "renamed from box\n" in boxes("events").out
    assert events(boxes, "other") == events(boxes, seen[0]["id"]) == seen, "all of its history, under both names"
    assert events(boxes, "box") == seen[:-1], "nobody has that name now"
    r = boxes("events", "nobody")
    assert (r.rc, r.out) == (3, "") and "there is no sandbox 'nobody'" in r.err, r
    assert boxes("events", "other", "--since", "1ms").rc == 0
    assert boxes("rm", "other").rc == 0 and events(boxes)[-1]["event"] == "removed"
    assert [e["event"] for e in events(boxes, "other")] == ["renamed", "reset", "removed"] and len(events(boxes, seen[0]["id"])) == len(seen) + 1
    boxes.make("other")
    assert [e["event"] for e in events(boxes, "other")] == ["created"], "of the one that has the name now"


def test_events_of_what_stop_kills(boxes):
    """Each command that has begun has an end; the control: one that hears SIGTERM writes its own."""
    boxes.make()
    deaf = boxes.start("exec", "box", "--", "sh", "-c", "trap '' TERM; echo up; sleep 60")
    heard = boxes.start("exec", "box", "--", "sh", "-c", "trap 'exit 3' TERM; echo up; while :; do sleep 0.05; done")
    assert deaf.stdout.readline() == heard.stdout.readline() == b"up\n"
    assert boxes("stop", "-t", "2s", "box").rc == 0
    for p in (deaf, heard):
        p.communicate(timeout=60)
    seen = events(boxes)
    begun = [e["session"] for e in seen if e["event"] == "exec-started"]
    ended = {e["session"]: e["status"] for e in seen if e["event"] == "exec-ended"}
    assert len(begun) == 2 and set(ended) == set(begun) and sorted(ended.values()) == [3, 137] and seen[-1]["event"] == "stopped", seen


def test_events_that_nobody_could_write(boxes):
    boxes.make()
    boxes.exec("true")
    assert wait_for(lambda: len(events(boxes)) == 4)
    pid = supervisor(boxes)
    os.kill(pid, signal.SIGKILL)
    assert wait_for(lambda: state(boxes) == "stopped")
    boxes.exec("true")
    seen = [(e["event"], e.get("why")) for e in events(boxes)]
    assert seen[4:6] == [("stopped", "lost"), ("started", None)], seen


def test_events_follow(boxes):
    """Lines come when they are written, across the end of a file; both files are bounded."""
    boxes.make()
    log = boxes.home / "events.log"
    proc = boxes.start("events", "--follow", "--json")
    assert json.loads(proc.stdout.readline())["event"] == "created"
    assert boxes("start", "box").rc == 0
    assert json.loads(proc.stdout.readline())["event"] == "started"
    with open(log, "ab") as f:
        f.write(b"\n" * (1 << 20))
        f.write(b'{"time":1,"event":\n')
    boxes.exec("true")
    assert [json.loads(proc.stdout.readline())["event"] for _ in range(2)] == ["exec-started", "exec-ended"]
    assert (boxes.home / "events.log.1").exists() and log.stat().st_size < 1 << 20
    kill(proc)
    proc.stdout.close()
    proc.stderr.close()
    assert events(boxes)[-1]["event"] == "exec-ended" and events(boxes, "--since", "1h")[0]["event"] == "created"


# --- restart -----------------------------------------------------------------------------------------------------------------------------


def test_restart(boxes):
    """--boot starts those that say so, and no others."""
    for name, restart in (("no", "no"), ("failure", "on-failure"), ("always", "always")):
        boxes.make(name, "--restart", restart)
        boxes.exec("true", name=name)
    boxes.make("unsaid")
    assert {n: (b["restart_policy"], b["restart"]) for n, b in boxes.ls().items()} == {
        "no": ("no", False), "failure": ("on-failure", True), "always": ("always", True), "unsaid": ("no", False)}
    assert boxes("rm", "unsaid").rc == 0
    assert boxes("stop", "no", "failure", "always").rc == 0 and wait_for(lambda: not boxes.supervisors())
    assert boxes("start", "--boot").rc == 0
    assert {n: b["state"] for n, b in boxes.ls().items()} == {"no": "stopped", "failure": "stopped", "always": "running"}
    for name in ("no", "failure"):
        boxes.exec("true", name=name)
    for pid in boxes.supervisors():
        os.kill(pid, signal.SIGKILL)
    assert wait_for(lambda: {b["state"] for b in boxes.ls().values()} == {"stopped"})
    assert boxes("start", "--boot").rc == 0
    assert {n: b["state"] for n, b in boxes.ls().items()} == {"no": "stopped", "failure": "running", "always": "running"}
    for pid in boxes.supervisors():
        os.kill(pid, signal.SIGTERM)  # as when the machine goes down
    assert wait_for(lambda: not boxes.supervisors())
    assert boxes("start", "--boot").rc == 0 and state(boxes, "failure") == "running" and state(boxes, "no") == "stopped"


def test_boot_goes_on(boxes, user):
    """One that can't be started keeps no other from it, and is said."""
    where = user.mkdir(user.base / "gone2")
    assert boxes("create", "--restart", "always", "a", where).rc == 0
    boxes.make("b", "--restart", "always")
    os.rename(where, f"{where}-away")
    r = boxes("start", "--boot")
    assert r.rc == 125 and str(where) in r.err and r.err.count("\n") == 1 and state(boxes, "b") == "running", r
    os.rename(f"{where}-away", where)
    assert boxes("start", "--boot").rc == 0 and state(boxes, "a") == "running"
    boxes("rm", "-f", "a")
    user.exec(["rm", "-rf", where])


def test_service_unit(boxes, user):
    """Root's is printed; an ordinary user's would never run, unless he lingers, and that is said."""
    r = boxes("service-unit", env={"XDG_STATE_HOME": "/x%y $z"})
    if user.uid:
        assert r.rc == 125 and "loginctl enable-linger" in r.err and r.out == "", r
        return
    assert r.rc == 0 and 'Environment="XDG_STATE_HOME=/x%%y $z"' in r.out and " start --boot\n" in r.out and "WantedBy=multi-user.target" in r.out, r
    assert f'ExecStart="{BAILEY}"' in r.out


@pytest.mark.parametrize("user", ["root"], indirect=True)  # an ordinary user's is refused here: he does not linger
def test_systemd_takes_the_unit(boxes, user, ws):
    """The twin: a key that systemd does not know."""
    if not shutil.which("systemd-analyze"):
        skip("systemd-analyze is not installed")
    r = boxes("service-unit")
    for unit, good in ((r.out, True), (r.out.replace("Delegate=", "Delegat="), False)):
        user.write(ws / "bailey.service", unit)
        r = user.exec(["systemd-analyze", "verify", "--man=no", ws / "bailey.service"])
        assert (r.rc == 0 and not r.err) == good, r


BAD: list[tuple[list[Any], int, str]] = [
    (["create", "--wake", "maybe", "x"], 2, "--wake 'maybe': expected any, exec or never"),
    (["create", "--restart", "sometimes", "x"], 2, "--restart 'sometimes'"),
    (["create", "--idle-freeze", "soon", "x"], 2, "--idle-freeze"),
    (["create", "--idle-stop", "-1s", "x"], 2, "--idle-stop"),
    (["create", "--idle-freeze", "2s", "--idle-stop", "1s", "x"], 2, "--idle-stop 1s is not after"),
    (["create", "--timeout", "x", "x"], 2, "--timeout"),
    (["pause"], 2, "name the sandbox"),
    (["pause", "nobox"], 3, "nobox"),
    (["pause", "box"], 4, "does not run"),
    (["resume", "box"], 4, "does not run"),
    (["extend", "box"], 2, "a sandbox and a duration"),
    (["extend", "box", "long"], 2, "'long'"),
    (["extend", "box", "0"], 2, "'0': a duration of 0 can't be had here"),
    (["extend", "box", "30d"], 2, "at most 23d"),
    (["create", "--timeout", "36501d", "x"], 2, "at most 36500d"),
    (["create", "--idle-stop", "0s", "x"], 2, "'0s': a duration of 0"),
    (["top", "box"], 4, "does not run"),
    (["top"], 2, "name one sandbox"),
    (["port", "box"], 4, "does not run"),
    (["port", "box", "x"], 2, "name one sandbox"),
    (["stats", "nobox"], 3, "nobox"),
    (["events", "--since", "x"], 2, "--since"),
    (["reset"], 2, "name the sandbox"),
    (["reset", "nobox"], 3, "nobox"),
    (["start", "--boot", "box"], 2, "--boot"),
    (["start"], 2, "name the sandbox"),
    (["service-unit", "x"], 2, "takes no words"),
]


@pytest.mark.parametrize("words,status,said", BAD, ids=[" ".join(map(str, w)) for w, _, _ in BAD])
def test_bad_words(boxes, words, status, said):
    """One line, which names the word; and nothing has changed."""
    boxes.make()
    before = boxes.ls()
    r = boxes(*words)
    assert r.rc == status and said in r.err and r.err.count("\n") == 1 and r.err.startswith("bailey: "), r
    assert boxes.ls() == before and not boxes.supervisors()


def test_run_has_no_such_options(boxes):
    """They are of sandboxes that stay."""
    for option in ("--idle-freeze=1s", "--idle-stop=1s", "--wake=any", "--restart=no"):
        r = boxes("run", option, "--", "true")
        assert r.rc == 2 and "unknown option" in r.err, r
