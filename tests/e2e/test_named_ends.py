# SPDX-License-Identifier: Apache-2.0
"""How sandboxes that stay end, and signals for what is paused (docs/adr/0027, 0033)."""
import contextlib
import json
import os
import pathlib
import shutil
import signal
import subprocess
import time

import pytest

from conftest import BAILEY, PYTHON, skip, wait_for
from test_named import boxes  # noqa: F401 (a fixture)
from test_named_life import events, state, supervisor


def pid_1_of(supervisor_):
    """As the host counts."""
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError), open(f"/proc/{pid}/status", encoding="utf-8", errors="replace") as f:
            status = dict(line.split(":", 1) for line in f)
            if int(status["PPid"]) == supervisor_ and status["NSpid"].split()[-1] == "1":
                return int(pid)
    raise AssertionError(supervisor_)


@pytest.mark.parametrize("sig", [signal.SIGINT, signal.SIGTERM])
def test_signals_to_a_client_of_what_is_paused(boxes, sig):  # noqa: F811
    """The client ends, and the command hears of it when it runs again. The control: a signal that ends nothing is handed on, and the client stays."""
    boxes.make()
    p = boxes.start("exec", "box", "--", "sh", "-c", "trap 'echo x > one' USR1; trap 'echo x > two' INT TERM; echo up; while :; do sleep 0.05; done")
    assert p.stdout.readline() == b"up\n" and boxes("pause", "box").rc == 0
    p.send_signal(signal.SIGUSR1)
    time.sleep(0.5)
    assert p.poll() is None
    p.send_signal(sig)
    _, err = p.communicate(timeout=20)
    assert p.returncode == 128 + sig and b"is paused" in err and b"bailey resume box" in err and err.count(b"\n") == 1, err
    assert state(boxes) == "paused" and boxes("resume", "box").rc == 0
    assert wait_for(lambda: boxes.exec("[ -e one ] && [ -e two ]").rc == 0)


def test_kill_of_what_is_paused(boxes):  # noqa: F811
    boxes.make()
    assert boxes.exec(["sleep", "1000"], "-d", "--name", "one").rc == 0 and boxes("pause", "box").rc == 0
    r = boxes("kill", "box", "one")
    assert r.rc == 4 and "is paused" in r.err and r.err.count("\n") == 1 and state(boxes) == "paused", r
    assert boxes("resume", "box").rc == 0
    assert wait_for(lambda: [s["status"] for s in json.loads(boxes("sessions", "--json", "box").out) if s["state"] == "ended"] == [143])


def test_the_end_of_pid_1_is_written_once(boxes):  # noqa: F811
    boxes.make()
    boxes.exec("true")
    os.kill(pid_1_of(supervisor(boxes)), signal.SIGKILL)
    assert wait_for(lambda: not boxes.supervisors())
    boxes.exec("true")
    assert [(e["event"], e.get("why")) for e in events(boxes) if e["event"] in ("started", "stopped")] == [("started", None), ("stopped", "ended"), ("started", None)]
    os.kill(supervisor(boxes), signal.SIGKILL)
    assert wait_for(lambda: state(boxes) == "stopped")
    boxes.exec("true")
    assert [e.get("why") for e in events(boxes) if e["event"] == "stopped"] == ["ended", "lost"], "the control: this one nobody could write"


@pytest.mark.parametrize("words", [("start", "box"), ("exec", "box", "--", "true")])
def test_start_of_what_ends(boxes, words):  # noqa: F811
    """Nothing runs any more, but a large workspace is still swept: it is waited for, and started again."""
    id_ = boxes.make()
    (about,) = json.loads(boxes("inspect", "box").out)
    if not about["root"]:
        skip(f"without a root inside nothing is swept: {about['rootless_because']}")
    assert boxes.exec([PYTHON, "-c", "import os\nfor i in range(200):\n os.mkdir(f'd{i}')\n for k in range(150): open(f'd{i}/{k}', 'w').close()"]).rc == 0
    first = supervisor(boxes)
    inside = pid_1_of(first)
    stop = boxes.start("stop", "box")
    while os.path.exists(f"/proc/{inside}"):
        time.sleep(0.001)
    os.kill(first, signal.SIGSTOP)  # in the middle
    try:
        assert (boxes.home / "sandboxes" / id_ / "live").exists(), "what is to be swept stands there until it was"
        again = boxes.start(*words)
        with pytest.raises(subprocess.TimeoutExpired):
            again.wait(timeout=1)
    finally:
        os.kill(first, signal.SIGCONT)
    assert again.wait(timeout=60) == 0
    assert supervisor(boxes) != first and state(boxes) == "running"
    stop.communicate(timeout=60)


def test_start_without_the_store(boxes, user):  # noqa: F811
    """What can't be started is no success. The control: with it it is."""
    boxes.make()
    d = user.mkdir(user.base / "alone")
    shutil.copy(BAILEY, d / "bailey")
    r = user.exec([d / "bailey", "start", "box"], env=boxes.env)
    assert r.rc == 125 and "bailey-store is not installed" in r.err and r.err.count("\n") == 1 and state(boxes) == "stopped", r
    shutil.copy(BAILEY.parent / "bailey-store", d)
    r = user.exec([d / "bailey", "start", "box"], env=boxes.env)
    assert r.rc == 0 and state(boxes) == "running", r
    assert boxes("stop", "box").rc == 0
    shutil.rmtree(d)


def test_commands_that_are_held_before_they_begin(boxes, user):  # noqa: F811
    """Each has copies of what PID 1 has of the others: that one has begun must not be heard again and again until the last one has."""
    if os.geteuid() != 0 or not shutil.which("strace"):
        skip("to hold them needs root, and strace")
    boxes.make()
    assert boxes.exec("true").rc == 0
    inside = pid_1_of(supervisor(boxes))
    log = user.base / "calls"
    trace = subprocess.Popen(["strace", "-qq", "-f", "-o", log, "-e", "signal=none", "-e", "trace=execve,epoll_wait,epoll_pwait,poll,ppoll", "-e", "inject=execve:delay_enter=1500000", "-p", str(inside)])
    try:
        assert wait_for(lambda: "TracerPid:\t0\n" not in pathlib.Path(f"/proc/{inside}/status").read_text())
        held = []
        for _ in range(4):
            held.append(boxes.start("exec", "box", "--", "true"))
            time.sleep(0.4)
        assert [p.wait(timeout=60) for p in held] == [0] * 4
    finally:
        trace.send_signal(signal.SIGINT)
        trace.wait(timeout=20)
    calls = log.read_text()
    log.unlink()
    assert calls.count("execve(") >= 4, calls
    assert calls.count("poll") < 200, calls[-2000:]


@pytest.mark.parametrize("sig,asked,lasts", [(signal.SIGTERM, True, False), (signal.SIGHUP, True, False), (signal.SIGQUIT, False, False), (signal.SIGTERM, True, True)])
def test_a_supervisor_that_is_told_to_end(boxes, ws, sig, asked, lasts):  # noqa: F811
    """As when the machine goes down: services and commands are asked first, and brought up again. A second signal does not ask, nor do SIGINT and SIGQUIT."""
    boxes.make("box", "--restart", "on-failure")
    service = "trap 'echo >> asked; " + ("" if lasts else "exit") + "' TERM; > up; while :; do sleep 0.05; done"
    assert boxes("service", "add", "box", "one", "--", "sh", "-c", service).rc == 0 and boxes("start", "box").rc == 0
    assert boxes.exec("(trap 'echo >> command; exit' TERM; > up2; while :; do sleep 0.05; done) >/dev/null 2>&1 & true").rc == 0
    assert wait_for(lambda: (ws / "up").exists() and (ws / "up2").exists())
    pid = supervisor(boxes)
    os.kill(pid, sig)
    if lasts:
        assert wait_for((ws / "asked").exists) and boxes.supervisors()
        os.kill(pid, sig)
    assert wait_for(lambda: not boxes.supervisors(), 8)
    assert (ws / "asked").exists() == asked and (ws / "command").exists() == (asked and not lasts)
    assert events(boxes)[-1]["why"] == "signal"
    assert boxes("start", "--boot").rc == 0 and state(boxes) == "running"
    assert [e["event"] for e in events(boxes)].count("stopped") == 1, "it is written once"
