# SPDX-License-Identifier: Apache-2.0
"""The command's terminal, byte by byte; without a shell in between."""
import hashlib
import os
import pty
import signal
import termios
import time

import pytest

from conftest import BAILEY, PYTHON, command, processes_with, wait_for
from terminals import Pty, children, quote, stopped

# Which of 0-2 is a terminal, and which one is behind /dev/tty.
WHICH = (
    "import array, fcntl, os\n"
    "def name(fd):\n"
    "    try: return os.ttyname(fd)\n"
    "    except OSError: return '-'\n"
    "dev = array.array('I', [0])\n"
    "try: fcntl.ioctl(os.open('/dev/tty', os.O_RDWR), 0x80045432, dev, True); ctl = f'/dev/pts/{dev[0] & 255}'\n"  # TIOCGDEV
    "except OSError as e: ctl = e.strerror\n"
    "open('which', 'w').write(' '.join(map(name, range(3))) + ' ' + ctl)\n"
)


@pytest.fixture
def term(user, ws, bailey):
    """term(COMMAND, *OPTIONS): `bailey run` on a terminal."""
    all_of_them = []

    def call(cmd, *opts, argv=None, **kw):
        all_of_them.append(Pty(user, argv or [BAILEY, "run", *opts, "--", *command(cmd)], ws, **kw))
        return all_of_them[-1]

    yield call
    for t in all_of_them:
        t.done()


@pytest.fixture
def shell(term):
    """A command line of sh on a terminal, with {run} for `bailey run --`."""
    return lambda line, **kw: term(None, argv=["/bin/sh", "-c", line.format(run=f"{BAILEY} run --", bailey=f"{BAILEY} run")], **kw)


def test_size_settings_and_variables(term):
    t = term("stty size; stty -a | tr ';' '\\n'; echo term=$TERM; tty", size=(17, 63), env={"TERM": "screen-256color"})
    assert t.wait() == 0
    text = t.said.decode().replace("\r", "")
    assert text.startswith("17 63\n")
    assert "term=screen-256color\n/dev/pts/0\n" in text
    assert "intr = ^C" in text and " icanon" in text and " echo " in text


def test_settings_of_the_caller_are_copied(shell):
    t = shell("stty intr ^G -echoe cols 99; {run} stty -a")
    assert t.wait() == 0
    assert b"intr = ^G" in t.out and b"-echoe" in t.out and b"columns 99" in t.out


def test_one_mebibyte_out_is_intact(term, user, ws):
    data = os.urandom(1 << 20)
    (ws / "data").write_bytes(data)
    user.own(ws / "data")
    t = term("stty raw; cat data")
    assert t.wait(60) == 0
    assert hashlib.sha256(t.said).digest() == hashlib.sha256(data).digest()


def test_one_mebibyte_in_is_intact(term, ws):
    data = os.urandom(1 << 20)
    t = term(f"stty raw -echo; echo ready; head -c {1 << 20} > got; echo over")
    t.expect("ready")
    os.set_blocking(t.fd, False)
    left = memoryview(data)
    end = time.monotonic() + 60
    while left and time.monotonic() < end:
        try:
            left = left[os.write(t.fd, left[:4096]):]
        except BlockingIOError:
            t.read(0.01)
    t.expect("over", 30)
    assert t.wait() == 0
    assert (ws / "got").read_bytes() == data


def test_the_last_bytes_arrive(term):
    for n in range(10):
        t = term("seq 1 3000; printf END")
        assert t.wait() == 0
        assert t.said.replace(b"\r\n", b"\n") == b"".join(b"%d\n" % i for i in range(1, 3001)) + b"END"
        t.done()


def test_the_last_bytes_wait_for_a_slow_reader(term):
    t = term("seq 1 20000; printf END")
    time.sleep(1.5)  # far longer than the command needs
    assert t.poll() is None or t.read(1), "it ended with output left"
    assert t.poll() is None, t.out
    assert t.wait() == 0
    assert t.out.endswith(b"20000\r\nEND")
    assert len(t.said) == sum(len(str(i)) + 2 for i in range(1, 20001)) + 3


def rss(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as f:
        return next(int(li.split()[1]) for li in f if li.startswith("VmRSS"))


def test_a_flood_that_nobody_reads_grows_nothing_and_holds_up_nothing(term):
    t = term("yes", "--timeout", "2s")
    t.expect("y\r\n")
    time.sleep(0.5)
    before = rss(t.pid)
    time.sleep(0.8)
    assert rss(t.pid) <= before + 64
    t0 = time.monotonic()
    assert wait_for(lambda: t.poll() is not None), "the time-out waits for a reader"
    assert t.status == 124
    assert time.monotonic() - t0 < 5


def test_a_signal_ends_a_flood_that_nobody_reads(term):
    t = term("yes")
    t.expect("y\r\n")
    time.sleep(0.3)
    os.kill(t.pid, signal.SIGTERM)  # ends the command
    time.sleep(0.5)
    assert t.poll() is None  # output is left
    os.kill(t.pid, signal.SIGTERM)  # ends the waiting for a reader
    assert wait_for(lambda: t.poll() is not None)
    assert t.status == 128 + signal.SIGTERM


def test_ctrl_c_goes_to_the_foreground_group(term):
    child = "import os, signal, time; signal.signal(signal.SIGINT, lambda *a: os._exit(os.write(1, b'child got it') - 12)); os.write(1, b'up'); time.sleep(30)"
    t = term([PYTHON, "-c", f"import signal, subprocess, sys; signal.signal(signal.SIGINT, signal.SIG_IGN); sys.exit(9 + subprocess.call([{PYTHON!r}, '-c', {child!r}]))"])
    t.expect("up")
    t.type("\x03")
    assert t.wait() == 9
    assert b"child got it" in t.out


# redirections | 0, 1, 2 and /dev/tty inside
MIX = [
    ("", "/dev/pts/0 /dev/pts/0 /dev/pts/0 /dev/pts/0"),
    ("| cat", "/dev/pts/0 - /dev/pts/0 /dev/pts/0"),
    ("2>/dev/null", "/dev/pts/0 /dev/pts/0 - /dev/pts/0"),
    ("2>errors", "/dev/pts/0 /dev/pts/0 - /dev/pts/0"),
    ("</dev/null", "- /dev/pts/0 /dev/pts/0 /dev/pts/0"),
    (">out 2>&1", "/dev/pts/0 - - /dev/pts/0"),
    ("</dev/null | cat", "- - /dev/pts/0 /dev/pts/0"),
    ("</dev/tty >/dev/tty", "/dev/pts/0 /dev/pts/0 /dev/pts/0 /dev/pts/0"),
    ("</dev/null >out 2>&1", "- - - No such device or address"),
    ("</dev/null 2>&1 | cat", "- - - No such device or address"),
]


@pytest.mark.parametrize("streams,want", MIX, ids=[m[0] or "none" for m in MIX])
def test_only_terminals_are_replaced(shell, user, ws, streams, want):
    user.write(ws / "which.py", WHICH)
    t = shell(f"{{run}} {PYTHON} which.py {streams}; echo over")
    t.expect("over")
    assert t.wait() == 0
    assert (ws / "which").exists(), t.out
    assert (ws / "which").read_text() == want, t.out


def test_streams_stay_apart(shell, ws):
    t = shell("{run} sh -c 'echo out; echo err >&2' 2>errors | tr a-z A-Z")
    assert t.wait() == 0
    assert b"OUT" in t.out and b"err" not in t.out
    assert "err\n" in (ws / "errors").read_text()


def test_no_terminal_none_inside(run, user, ws):
    user.write(ws / "which.py", WHICH)
    r = run([PYTHON, "which.py"], stdin="")
    assert r.rc == 0
    assert (ws / "which").read_text() == "- - - No such device or address"


def test_the_callers_terminal_is_not_inside(term, user, ws):
    # By device: the host's slave has the same name in another devpts.
    code = (
        "import os, stat, sys\n"
        "seen = set()\n"
        "for pid in [p for p in os.listdir('/proc') if p.isdigit()]:\n"
        "    try: fds = os.listdir(f'/proc/{pid}/fd')\n"
        "    except OSError as e: print('pid', pid, e.strerror); continue\n"
        "    errors = []\n"
        "    for fd in fds:\n"
        "        try: st = os.stat(f'/proc/{pid}/fd/{fd}')\n"
        "        except OSError as e: errors.append(e.strerror); continue\n"
        "        if stat.S_ISCHR(st.st_mode): seen.add((st.st_dev, st.st_ino, st.st_rdev))\n"
        # who has the host's id 0 can list the numbers, and look at none
        "    if fds and len(errors) == len(fds): print('pid', pid, *set(errors))\n"
        "mine = os.stat('/dev/pts/0')\n"
        "print('only mine', seen == {(mine.st_dev, mine.st_ino, mine.st_rdev)})\n"
        "print('owner', mine.st_uid == os.getuid(), 'write', os.access('/dev/pts/0', os.W_OK))\n"
        "print('pts', sorted(os.listdir('/dev/pts')))\n"
        "tty = os.open('/dev/tty', os.O_RDWR); print('group', os.tcgetpgrp(tty) == os.getpgrp())\n"
    )
    user.write(ws / "look.py", code)
    t = term([PYTHON, "look.py"])
    assert t.wait() == 0
    text = t.out.decode()
    assert "pid 1 Permission denied" in text
    for line in ("only mine True", "owner True write True", "pts ['0', 'ptmx']", "group True"):
        assert line in text, text


def test_dev_pts_and_console_stay_what_they_are(term):
    # Attack 19
    t = term(
        "for c in 'mv /dev/pts /dev/x' 'rm /dev/ptmx' 'ln -s /etc/passwd /dev/console' 'mknod /dev/console c 5 1' 'mkdir /dev/y' 'rm /dev/tty' "
        "'mv /dev/pts/0 /dev/pts/1' 'ln -s /etc /dev/pts/z'; do $c 2>/dev/null && echo DID $c; done; touch /dev/shm/twin && echo twin; ls /dev/console /dev/pts/ptmx"
    )
    t.wait()
    assert b"twin" in t.out and b"DID" not in t.out, t.out


def test_a_pseudo_terminal_can_be_made_inside(term):
    t = term([PYTHON, "-c", "import os, pty; m, s = pty.openpty(); print(os.ttyname(s)); os.write(s, b'x'); print(os.read(m, 9))"])
    assert t.wait() == 0
    assert b"/dev/pts/1\r\nb'x'" in t.out


def test_a_terminal_that_is_gone_is_not_inside(user, ws, bailey):
    # Its name may be the next terminal's: opened anew through /proc/self/fd, it would be that one.
    master, slave = pty.openpty()
    os.close(master)
    try:
        r = bailey(["run", "--", "sh", "-c", "readlink /proc/self/fd/0; cat"], cwd=ws, stdin=slave)
    finally:
        os.close(slave)
    assert (r.rc, r.out) == (0, "/dev/null\n"), r


@pytest.mark.parametrize("then", ["exit 0", "exec sleep 1000"])
def test_hang_up(term, ws, then):
    t = term(f"trap 'echo hup > hup; {then}' HUP; echo begun; while :; do sleep 0.05; done", "--timeout", "20s")
    t.expect("begun")
    t.close()
    assert wait_for((ws / "hup").exists)
    if then == "exit 0":
        assert wait_for(lambda: t.poll() is not None)
        assert t.status in (0, 129)


def test_unhandled_hang_up_ends_the_run(term):
    t = term("echo begun; exec sleep 1000")
    t.expect("begun")
    t.close()
    assert wait_for(lambda: t.poll() is not None)
    assert t.status == 129


def test_own_stop_is_carried_out_and_back(term):
    # A session of our own that is no orphan: there is a parent in it, so stops are real.
    t = term(None, argv=[PYTHON, "-c", (
        "import os, signal, sys\n"
        "signal.signal(signal.SIGTTOU, signal.SIG_IGN)\n"
        "pid = os.fork()\n"
        "if pid == 0:\n"
        "    os.setpgid(0, 0); os.tcsetpgrp(0, os.getpid()); signal.signal(signal.SIGTTOU, signal.SIG_DFL)\n"
        f"    os.execv({os.fspath(BAILEY)!r}, [{os.fspath(BAILEY)!r}, 'run', '--', 'sh', '-c', 'stty raw -echo; kill -STOP $$; exec echo went on'])\n"
        "_, status = os.waitpid(pid, os.WUNTRACED)\n"
        "os.tcsetpgrp(0, os.getpgrp())\n"
        "print('stopped', os.WIFSTOPPED(status) and os.WSTOPSIG(status) == signal.SIGTSTP, flush=True)\n"
        "import termios; print('echo', bool(termios.tcgetattr(0)[3] & termios.ECHO), flush=True)\n"
        "os.tcsetpgrp(0, pid); os.kill(pid, signal.SIGCONT)\n"
        "_, status = os.waitpid(pid, 0)\n"
        "os.tcsetpgrp(0, os.getpgrp())\n"
        "sys.exit(os.waitstatus_to_exitcode(status))\n")])
    assert t.wait() == 0
    assert b"stopped True\r\necho True\r\n" in t.out and b"went on" in t.out, t.out


def test_kill_9_of_bailey_ends_all(term):
    marker = f"86400.{os.getpid()}81"
    t = term(f"echo begun; sleep {marker}")
    t.expect("begun")
    os.kill(t.pid, signal.SIGKILL)
    assert wait_for(lambda: not processes_with(marker))


def test_end_of_file_after_half_a_line(term):
    t = term("echo begun; cat > got; cat got")
    t.expect("begun")
    t.type("half a line\x04\x04")
    assert t.wait() == 0
    assert t.out.count(b"half a line") == 2  # echo, and what cat prints


def test_tty_forced_without_one(bailey, ws, user):
    user.write(ws / "which.py", WHICH)
    r = bailey(["run", "--tty", "--", "sh", "-c", f"{PYTHON} which.py; stty size; cat"], cwd=ws, stdin="line\nrest")
    assert r.rc == 0, r
    assert (ws / "which").read_text() == "/dev/pts/0 " * 3 + "/dev/pts/0"
    assert "24 80\r\n" in r.out and r.out.endswith("line\r\nrest"), r
    # a file is read from where it stands, one that is appended to is appended to
    user.write(ws / "in", "skipped\nread\n")
    user.write(ws / "out", "before\n")
    r = user.exec(["sh", "-c", f"exec <in >>out; read x; {BAILEY} run --tty -- sh -c 'stty -echo; cat'"], cwd=ws)
    assert r.rc == 0 and (ws / "out").read_bytes() in (b"before\nread\r\n", b"before\nread\r\nread\r\n"), r


def test_tty_refused(term, user, ws):
    user.write(ws / "which.py", WHICH)
    t = term(f"{PYTHON} which.py; cat; echo err >&2", "--no-tty")
    t.type("hello\n\x04")
    assert t.wait() == 0
    assert (ws / "which").read_text() == "- - - No such device or address"
    # each stream has a pipe of its own, so their order is open
    assert t.out.count(b"hello\r\n") == 2 and b"err" in t.out


def test_tty_refused_with_a_reader_that_stands_still(term):
    t = term("yes", "--no-tty", "--timeout", "1s")
    t.expect("y\r\n")
    assert wait_for(lambda: t.poll() is not None), "the time-out waits for a reader"
    assert t.status == 124


def test_contradiction(bailey, ws):
    r = bailey(["run", "--tty", "--no-tty", "--", "true"], cwd=ws)
    assert r.rc == 2 and "--no-tty" in r.err


def test_two_terminals_are_refused(shell, ws):
    master, slave = pty.openpty()
    try:
        os.chmod(os.ttyname(slave), 0o666)
        t = shell(f"{{run}} touch ran 2>{quote(os.ttyname(slave))}; echo rc=$?")
        t.expect("rc=2")
        t.wait()
        assert b"two terminals" in os.read(master, 1000)
        assert not (ws / "ran").exists()
    finally:
        os.close(slave)
        os.close(master)


def test_settings_after_the_end(term):
    t = term(None, argv=["/bin/sh", "-c", f"{BAILEY} run -- sh -c 'stty raw -echo; sleep 0.5'; sleep 30"])
    want = t.settings()
    raw = wait_for(lambda: not t.settings()[3] & termios.ICANON)
    assert raw
    assert wait_for(lambda: t.settings() == want)


def test_stop_from_outside_keeps_the_bytes(term):
    # kill -STOP can't be seen coming; what is typed meanwhile waits.
    t = term("stty -echo; echo begun; cat")
    t.expect("begun")
    os.kill(t.pid, signal.SIGSTOP)
    assert wait_for(lambda: stopped(t.pid))
    t.type("meanwhile\n")
    time.sleep(0.2)
    os.kill(t.pid, signal.SIGCONT)
    t.expect("meanwhile")
    t.type("\x04")
    assert t.wait() == 0


def test_init_ignores_signals_from_inside(term):
    # PID 1 obeys its socket, not signals: none of these ends, stops or continues anything.
    t = term("for s in HUP INT TERM USR1 CONT TSTP CHLD WINCH 34 64; do kill -$s 1; done; sleep 0.2; echo alive")
    assert t.wait() == 0
    assert b"alive" in t.out
    assert children(os.getpid()) is not None
