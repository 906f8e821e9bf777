# SPDX-License-Identifier: Apache-2.0
"""A run ends as a whole, whatever ends it, and leaves no process behind."""
import os
import signal
import subprocess
import time

import pytest

import hijacked
from conftest import BAILEY, PYTHON, counter, processes_with, wait_for

# Waits for children that are not its own, as an init would see them.
# A second watcher (docs/adr/0017), which is nobody's child by intention, may find that there is one and go: it is in a session of its own, and in no sandbox.
SUBREAPER = """
import ctypes, os, subprocess, sys, time
ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER
rc = subprocess.Popen(sys.argv[1:]).wait()
left = []
end = time.monotonic() + 1
while time.monotonic() < end:
    try:
        one = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        break
    if one:
        status = open(f'/proc/{one.si_pid}/status').read()
        outside = len(status.partition('NSpid:')[2].partition(chr(10))[0].split()) == len(open('/proc/self/status').read().partition('NSpid:')[2].partition(chr(10))[0].split())
        if not (outside and os.getsid(one.si_pid) != os.getsid(0)):
            left.append(one.si_pid)
        os.waitpid(one.si_pid, 0)
    time.sleep(0.01)
print('rc', rc, 'left', len(left))
"""


@pytest.fixture
def marker():
    """An argument of sleep that no other process has."""
    return f"86400.{os.getpid()}{next(counter):04d}"


def gone(marker, seconds=60.0):
    return wait_for(lambda: not processes_with(marker), seconds)


def ready(ws, seconds=60.0):
    assert wait_for((ws / "ready").exists, seconds), "the command did not start"


@pytest.mark.parametrize(
    "daemon",
    [
        "sleep {} &",
        "setsid sleep {} < /dev/null > /dev/null 2>&1 &",
        "(setsid sh -c 'trap \"\" HUP TERM INT; sleep {}; sleep {}' &) &",
        "nohup sleep {} > /dev/null 2>&1 &",
    ],
    ids=["background", "setsid", "double-fork", "nohup"],
)
def test_background_processes_die_with_the_command(run, marker, daemon):
    r = run(daemon.format(marker, marker) + " sleep 0.2; exit 3", timeout=60)
    assert r.rc == 3
    assert gone(marker)


def test_fork_storm_dies(run, marker):
    r = run(f"for i in 1 2 3 4 5 6 7 8 9; do (setsid sh -c 'sleep {marker} & sleep {marker}' &) & done; sleep 0.3; exit 0")
    assert r.rc == 0
    assert gone(marker)


def test_kill_9_of_bailey_kills_all(start, ws, marker):
    proc = start(f"setsid sleep {marker} & (trap '' TERM HUP; sleep {marker}) & echo x > ready; sleep {marker}")
    ready(ws)
    assert wait_for(lambda: len(processes_with(marker)) >= 3)
    os.kill(proc.pid, signal.SIGKILL)
    assert proc.wait(5) == -signal.SIGKILL
    assert gone(marker)


def test_kill_9_at_any_moment(user, ws, bailey, marker):
    # Wherever in the start-up it hits, nothing stays.
    for delay in range(0, 12):
        proc = user.popen([BAILEY, "run", "--", "sleep", marker], cwd=ws, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(delay / 2000)
        os.kill(proc.pid, signal.SIGKILL)
        proc.wait()
    assert gone(marker)


@pytest.mark.parametrize("sig", ["TERM", "INT", "HUP", "QUIT", "USR1", "USR2"])
def test_signals_reach_the_command(start, ws, sig):
    number = getattr(signal, f"SIG{sig}")
    code = (
        "import signal, sys, time\n"
        f"signal.signal({int(number)}, lambda n, f: (print('got', n, flush=True), sys.exit(40)))\n"
        "open('ready', 'w').close()\n"
        "time.sleep(20)\n"
    )
    proc = start([PYTHON, "-c", code])
    ready(ws)
    os.kill(proc.pid, number)
    out, err = proc.communicate(timeout=60)
    assert (proc.returncode, out) == (40, f"got {int(number)}\n".encode()), err


@pytest.mark.parametrize("sig", ["TERM", "INT", "HUP"])
def test_unhandled_signal_ends_the_command(start, ws, sig, marker):
    number = getattr(signal, f"SIG{sig}")
    # exec by env(1): a background start must not have left INT ignored
    proc = start(f"echo x > ready; exec {PYTHON} -c 'import signal, time; signal.signal({int(number)}, 0); time.sleep(float(\"{marker}\"))'")
    ready(ws)
    assert wait_for(lambda: processes_with("time.sleep"))
    time.sleep(0.2)
    os.kill(proc.pid, number)
    assert proc.wait(5) == 128 + number
    assert gone(marker)


def test_ignored_signals_stay_ignored(user, ws, bailey):
    r = user.exec(["sh", "-c", f"trap '' HUP; exec '{BAILEY}' run -- sh -c 'kill -HUP $$; echo alive'"], cwd=ws)
    assert r.out == "alive\n", r


def test_signal_mask_is_the_callers(run, user, ws):
    script = "grep -E 'SigBlk|SigIgn' /proc/self/status"
    assert run(script).out == user.exec(["sh", "-c", script], cwd=ws).out


def test_command_that_ignores_term_can_be_killed(start, ws, marker):
    proc = start(f"trap '' TERM; echo x > ready; sleep {marker}; sleep {marker}")
    ready(ws)
    os.kill(proc.pid, signal.SIGTERM)
    time.sleep(0.3)
    assert proc.poll() is None
    os.kill(proc.pid, signal.SIGKILL)
    assert gone(marker)


@pytest.mark.parametrize("words", ["the first has ended", "empty", "no message", "ready again"])
def test_pid_1_that_lies(start, ws, marker, words):
    """77: what it says of the end is no reason to wait for it: everything is over. Other words are an error. The control: it lives until then."""
    p = start(["sh", "-c", f"echo > ready; exec sleep {marker}"])
    ready(ws)
    first = hijacked.first_of(p.pid)
    assert first and p.poll() is None
    assert subprocess.run([PYTHON, hijacked.__file__, str(first), words], check=False, timeout=60).returncode == 0
    assert p.wait(timeout=60) == (0 if words == "the first has ended" else 125)
    assert gone(marker)


def test_stop_of_the_command_is_no_end(start, ws):
    proc = start("echo x > ready; kill -STOP $$; exit 9")
    ready(ws)
    time.sleep(0.3)
    assert proc.poll() is None


@pytest.mark.parametrize(
    "given,low,high", [("300ms", 0.3, 9), ("1s", 1.0, 9)], ids=["ms", "s"]
)
def test_timeout(run, marker, given, low, high):
    r = run(f"setsid sleep {marker} & echo begun; sleep {marker}", "--timeout", given)
    assert r.rc == 124
    assert r.out == "begun\n"
    assert low <= r.secs < high
    assert gone(marker)


def test_timeout_gives_two_seconds(run):
    r = run("trap 'sleep 0.5; echo tidy; exit 0' TERM; sleep 60 & wait", "--timeout", "200ms")
    assert r.rc == 124
    assert r.out == "tidy\n"
    assert r.secs < 9


def test_timeout_kills_what_ignores_term(run, marker):
    r = run(f"trap '' TERM; setsid sleep {marker} & while :; do sleep 1; done", "--timeout", "200ms")
    assert r.rc == 124
    assert 2.0 <= r.secs < 9
    assert gone(marker)


@pytest.mark.parametrize("given", ["10s", "5m", "1h", "900000ms"])
def test_timeout_not_reached(run, given):
    r = run("exit 7", "--timeout", given)
    assert (r.rc, r.secs < 9) == (7, True)


@pytest.mark.parametrize("args", [["true"], ["sh", "-c", "sleep 60 & exit 4"], ["no-such-command"], ["sh", "-c", "kill -9 $$"]], ids=" ".join)
def test_no_processes_or_zombies_left(user, ws, bailey, args):
    r = user.exec([PYTHON, "-c", SUBREAPER, BAILEY, "run", "--", *args], cwd=ws)
    assert r.out.endswith("left 0\n"), r


def test_no_zombies_left_by_dry_run_and_timeout(user, ws, bailey):
    for opts in (["--dry-run"], ["--explain"], ["--timeout", "100ms"]):
        r = user.exec([PYTHON, "-c", SUBREAPER, BAILEY, "run", *opts, "--", "sleep", "9"], cwd=ws)
        assert r.out.endswith("left 0\n"), (opts, r)


def test_orphans_are_reaped_inside(run):
    script = (
        "for i in 1 2 3 4 5 6 7 8 9 10; do (sleep 0.05 &) ; done; sleep 0.5; grep -h '^State' /proc/[0-9]*/status | grep -c Z"
    )
    assert run(script).out == "0\n"


def test_pid_1_is_bailey_and_out_of_reach(run):
    r = run("echo $PPID; test $PPID = 1 || exit 3; kill -9 1; kill -STOP 1; sleep 0.1; echo alive")
    assert r.out == "1\nalive\n", r
    assert r.rc == 0


def test_twenty_at_once(start, user):
    procs = [start(f"echo {i} > f{i}; cat f{i}; exit {i + 1}") for i in range(20)]
    for i, proc in enumerate(procs):
        out, err = proc.communicate(timeout=20)
        assert (proc.returncode, out) == (i + 1, f"{i}\n".encode()), err


def test_no_fds_leak_into_the_command(user, ws, bailey):
    code = (
        "import os; me = os.open('/proc/self/fd', os.O_RDONLY)\n"
        "print(sorted(int(f) for f in os.listdir(me) if int(f) != me))"
    )
    user.write(ws / "extra", "")
    # 3, 7 and 9 are open, without close-on-exec, in the caller.
    script = f"exec '{BAILEY}' run -- {PYTHON} -c \"$1\" 3< extra 9> extra 7<> extra"
    r = user.exec(["sh", "-c", script, "sh", code], cwd=ws)
    # os.listdir works on a copy of the descriptor
    fds = [int(x) for x in r.out.strip().strip("[]").split(",")]
    assert fds[:3] == [0, 1, 2] and len(fds) <= 4, r
    assert not {7, 9} & set(fds)


def test_session_and_group(run):
    # Signals that the command sends to its own group must not hit bailey.
    r = run("trap 'echo caught; exit 5' TERM; kill -TERM 0; sleep 1")
    assert r.rc == 5, r
    assert r.out == "caught\n"


def test_limits_and_nice_are_inherited(user, ws, bailey):
    r = user.exec(["sh", "-c", f"ulimit -n 77; ulimit -c 0; exec nice -n 5 '{BAILEY}' run -- sh -c 'ulimit -n; nice; umask'"], cwd=ws)
    assert r.out.split() == ["77", str(os.nice(0) + 5), "0022"], r
