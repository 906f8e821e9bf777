# SPDX-License-Identifier: Apache-2.0
"""Sessions of sandboxes that stay: left and found again, seen by several, kept when they have ended (docs/adr/0032)."""
import json
import os
import re
import signal
import subprocess
import termios
import time

import pytest

from conftest import BAILEY, PYTHON, kill, wait_for
from terminals import Pty, Tmux, quote
from test_named import boxes  # pylint: disable=unused-import # noqa: F401: a fixture

KEPT = 1 << 20  # LIMIT_SCROLLBACK
LEAVE = "\x10\x11"  # Ctrl-P Ctrl-Q


def sessions(box, name="box"):
    r = box("sessions", "--json", name)
    assert r.rc == 0, r
    return json.loads(r.out)


def one(box, word):
    """The session of that name or number."""
    (found,) = [s for s in sessions(box) if word in (s["name"], s["session"])]
    return found


@pytest.fixture
def pty(boxes, user, ws):
    """pty(words…): bailey on a terminal of its own."""
    opened = []

    def start(*words, size=(24, 80)):
        opened.append(Pty(user, [BAILEY, *words], ws, size, env=boxes.env))
        return opened[-1]

    yield start
    for t in opened:
        t.done()


def test_a_client_that_is_killed(boxes, pty):
    """kill -9 of the client, then of its whole terminal: the shell runs on, and the next client sees what was written, byte by byte."""
    boxes.make()
    first = pty("exec", "-it", "--name", "work", "box", "--", "sh")
    first.expect(r"\S $")
    first.type("x=kept; stty size; echo re''ady\n")
    first.expect("24 80")
    first.expect(r"ready\r\n\S* $")
    os.kill(first.pid, signal.SIGKILL)
    first.wait()
    assert wait_for(lambda: one(boxes, "work")["clients"] == 0) and one(boxes, "work")["state"] == "running"
    second = pty("attach", "box", "work", size=(40, 120))
    second.expect(r"ready\r\n\S* $")
    second.type("echo $x; stty size; echo ag''ain\n")
    second.expect("kept")
    second.expect("40 120")
    second.expect(r"again\r\n\S* $")
    assert second.out.startswith(first.out), "what was kept is what the first has seen"
    second.close()
    assert wait_for(lambda: one(boxes, "work")["clients"] == 0)
    third = pty("attach", "box")
    third.expect(r"again\r\n\S* $")
    assert third.out.startswith(second.out)
    third.type("exit 7\n")
    assert third.wait() == 7
    r = boxes("attach", "box", "work")
    assert r.rc == 7 and r.out.encode().startswith(second.out), "after the end: the rest, and its status"
    assert one(boxes, "work")["status"] == 7


def test_a_recording(boxes, pty, user, ws):
    """All bytes, also those of no text: what a second client gets is what script(1) has recorded inside."""
    user.write(ws / "bytes.py", "import sys\nfor i in range(300): sys.stdout.buffer.write(bytes((i * j) % 256 for j in range(1000)))\n")
    boxes.make()
    t = pty("exec", "-t", "--name", "rec", "box", "--", "script", "-q", "-c", f"{PYTHON} bytes.py", "recording")
    assert t.wait() == 0
    recorded = (ws / "recording").read_bytes()
    recorded = recorded[recorded.index(b"\n") + 1 : recorded.rindex(b"\nScript done")]
    assert recorded.count(b"\0") > 1000 and len(recorded) > 300000
    r = user.popen([BAILEY, "attach", "box", "rec"], cwd=ws, env=boxes.env, stdin=subprocess.DEVNULL)
    out, err = r.communicate(timeout=20)
    assert (r.returncode, err) == (0, b"")
    assert out == recorded


@pytest.mark.parametrize("keys,typed,words", [("ctrl-p,ctrl-q", LEAVE, ()), ("ctrl-a,d", "\x01d", ("--detach-keys", "ctrl-a,d"))])
def test_detach_keys(boxes, pty, keys, typed, words):
    """They leave; alone each is typed on; the other client's are nothing special."""
    boxes.make()
    t = pty("exec", "-it", *words, "box", "--", "sh", "-c", "stty raw -echo; echo up; exec od -An -tx1 -w1 -v")
    t.expect("up")
    t.type(typed[0] + "x")
    t.expect(f"{ord(typed[0]):02x}\\s+78")
    t.type(typed)
    assert t.wait() == 0 and b"bailey attach box" in t.out, keys
    assert sessions(boxes)[-1]["state"] == "running" and sessions(boxes)[-1]["clients"] == 0
    t = pty("attach", "--detach-keys", "", "box")
    t.expect("78")
    t.type(LEAVE)
    t.expect("10\\s+11")
    assert boxes("kill", "--signal", "KILL", "box", str(sessions(boxes)[-1]["session"])).rc == 0
    assert t.wait() == 137


def test_two_clients(boxes, pty):
    """Both see everything, both may type, the size is that of the newest; when that has gone, of the other again."""
    boxes.make()
    a = pty("exec", "-it", "box", "--", "sh", size=(20, 70))
    a.type("echo fi''rst\n")
    a.expect("first")
    b = pty("attach", "box", size=(30, 90))
    b.expect("first")
    b.type("echo sec''ond; stty size\n")
    for t in (a, b):
        t.expect("second")
        t.expect("30 90")
    a.resize(21, 71)
    a.type("echo th''ird; stty size\n")
    for t in (a, b):
        t.expect("third\r\n30 90")
    assert sessions(boxes)[-1]["clients"] == 2
    b.type(LEAVE)
    assert b.wait() == 0
    a.type("echo fou''rth; stty size; exit\n")
    a.expect("fourth\r\n21 71")
    assert a.wait() == 0


def test_read_only(boxes, pty):
    """It sees, and what it types goes nowhere; the allowed twin beside it types. Its size is nothing to the command."""
    boxes.make()
    a = pty("exec", "-it", "box", "--", "sh")
    a.type("echo u''p\n")
    a.expect("up")
    b = pty("attach", "--read-only", "box", size=(50, 150))
    b.expect("up")
    b.type("echo no''body > made\n")
    a.type("ls made; stty size; echo do''ne\n")
    b.expect("done")
    assert b"No such file" in b.out and b"24 80" in b.out, b.out
    b.type("\x03")
    assert b.wait() == 0
    a.type("exit\n")
    assert a.wait() == 0


def test_a_client_that_does_not_read(boxes, pty, ws):
    """It holds the command up for a while, and is let go then; another one meanwhile sees everything."""
    boxes.make()
    assert boxes.exec("sleep 1; head -c 20000000 /dev/zero | tr '\\0' x; touch written; sleep 1000", "-dt", "--name", "flood").rc == 0
    slow = boxes.start("attach", "box", "flood", stdin=subprocess.DEVNULL)
    fast = boxes.start("attach", "box", "flood", stdin=subprocess.DEVNULL)
    got = 0
    start = time.monotonic()
    while got < 20000000:
        data = os.read(fast.stdout.fileno(), 1 << 20)
        assert data, fast.stderr.read()
        got += len(data)
    assert 5 < time.monotonic() - start < 40, "the slow one was waited for, and not for ever"
    assert wait_for((ws / "written").exists)
    _, err = slow.communicate(timeout=20)
    assert slow.returncode == 125 and b"has not read" in err
    kill(fast)
    fast.stdout.close()
    fast.stderr.close()
    assert one(boxes, "flood")["state"] == "running"


def test_a_stopped_client_does_not_stop_the_command(boxes, pty, ws):
    """SIGSTOP of the only client: the command goes on when it was let go."""
    boxes.make()
    t = pty("exec", "-t", "box", "--", "sh", "-c", "sleep 0.5; head -c 3000000 /dev/zero | tr '\\0' x; touch written; sleep 1000")
    assert wait_for(lambda: boxes.ls().get("box", {}).get("state") == "running" and sessions(boxes))
    os.kill(t.pid, signal.SIGSTOP)
    assert wait_for((ws / "written").exists, 30)
    os.kill(t.pid, signal.SIGCONT)
    assert t.wait(20) == 125 and b"has not read" in t.out


@pytest.mark.parametrize("client", ["exec -it box -- sh 2>err", "exec -it box -- sh | cat", "attach box work 2>err", "run box 2>err"])
def test_a_terminal_whose_outputs_lead_elsewhere(boxes, user, ws, client):
    """What is typed at the caller's terminal arrives, wherever 1 and 2 lead; and it is as it was afterwards."""
    boxes.make()
    assert boxes.exec(["sh"], "-d", "-t", "--name", "work").rc == 0
    t = Pty(user, ["/bin/sh", "-c", f"{BAILEY} {client}; echo b''ack"], ws, env=boxes.env)
    t.expect(r"[$#] $")
    t.type("echo re''ady\n")
    t.expect(r"ready\r")
    t.type("exit\n")
    t.expect("back")
    assert t.settings()[3] & termios.ICANON and t.settings()[3] & termios.ECHO


@pytest.mark.parametrize("shell", ["bash", "dash"])
def test_a_client_in_the_background(boxes, user, ws, shell):
    """It is stopped as whoever wants a terminal that is not its own, and can be typed at when it comes in front. The control: one that reads nothing runs on."""
    boxes.make()
    assert boxes.exec("true").rc == 0
    t = Pty(user, [f"/bin/{shell}", *(["--norc"] if shell == "bash" else []), "-i"], ws, env={**boxes.env, "PS1": "host> "})
    t.expect("host> $")
    t.type(f"{BAILEY} exec -t box -- touch twin &\n")
    assert wait_for((ws / "twin").exists)
    t.type(f"{BAILEY} exec -it box -- sh -c 'echo re\"\"ady; read x; echo got=$x' &\n")
    assert wait_for(lambda: [p for p in os.listdir("/proc") if p.isdigit() and is_stopped(p, "read x")])
    t.type("fg\n")
    t.expect("ready")
    t.type("this\n")
    t.expect("got=this")
    t.type("exit\n")


def is_stopped(pid, word):
    try:
        with open(f"/proc/{pid}/cmdline", encoding="utf-8", errors="replace") as f:
            named = word in f.read()
        with open(f"/proc/{pid}/stat", encoding="utf-8") as f:
            return named and f.read().rsplit(")", 1)[1].split()[0] == "T"
    except OSError:
        return False


def test_without_interactive_stdin_is_the_callers(boxes, user, ws):
    """A loop over a list keeps it; the twin with -i reads it."""
    boxes.make()
    user.write(ws / "list", "a\nb\nc\n")
    for words, want in (("-t", "[a]|[b]|[c]|"), ("-it", "[a]|")):
        r = user.exec(["sh", "-c", f"while read x; do {BAILEY} exec {words} box -- sh -c \"echo [$x]; while read y; do :; done\" | tr -d '\\r' | grep '^\\[' | tr '\\n' '|'; done < list"], cwd=ws, env=boxes.env)
        assert r.out == want, (words, r)


def test_more_clients_than_places(boxes, ws):
    """The 65th command with a client is refused; who asks and who ends it is heard as before, and what runs may end by itself."""
    boxes.make()
    assert boxes.exec("(trap 'echo asked > asked; exit' TERM; > ready; while :; do sleep 0.1; done) >/dev/null 2>&1 & while ! [ -e ready ]; do sleep 0.01; done").rc == 0
    waiting = [boxes.start("exec", "box", "--", "sleep", "1000", stdin=subprocess.DEVNULL) for _ in range(64)]
    assert wait_for(lambda: json.loads(boxes("stats", "--json", "box").out)[0]["attached"] == 64, 60)
    r = boxes.exec("echo more")
    assert (r.rc, r.out) == (125, "") and "64 clients" in r.err and r.err.count("\n") == 1, r
    assert boxes.exec("echo > detached", "-d").rc == 0 and wait_for((ws / "detached").exists), "as is said: it needs no client"
    r = boxes("attach", "box", str(sessions(boxes)[-1]["session"]))
    assert r.rc == 125 and "'exec -d'" in r.err, r
    assert boxes.ls()["box"]["state"] == "running" and len(sessions(boxes)) >= 64
    assert boxes("kill", "box", str(next(s["session"] for s in sessions(boxes) if s["state"] == "running"))).rc == 0
    assert wait_for(lambda: json.loads(boxes("stats", "--json", "box").out)[0]["attached"] == 63, 60)
    assert boxes.exec("echo more").out == "more\n", "one has gone"
    r = boxes("stop", "-t", "20s", "box")
    assert r.rc == 0 and r.err == "" and boxes.exec("cat asked").out == "asked\n", r
    for p in waiting:
        p.communicate(timeout=60)


def test_attach_without_a_terminal(boxes, pty):
    """The caller's terminal stays as it is, so Ctrl-C is a signal: it leaves, and the session goes on. The twin with a terminal: raw, and it goes inside."""
    boxes.make()
    assert boxes.exec("echo o''ne; echo t''wo; exec sleep 1000", "-d", "--name", "plain").rc == 0
    r = boxes("attach", "box")
    assert r.rc == 3 and "no session with a terminal" in r.err and "bailey sessions" in r.err and r.err.count("\n") == 1, r
    for words in ((), ("--read-only",)):
        t = pty("attach", *words, "box", "plain")
        before = t.settings()
        t.expect("has no terminal: Ctrl-C leaves it")
        t.expect("one\r\ntwo\r\n")
        assert t.settings() == before, words
        t.type("\x03")
        assert t.wait() == 130 and b"bailey attach box" in t.out, words
        assert one(boxes, "plain")["state"] == "running"
    assert boxes.exec("echo u''p; exec sleep 1000", "-dt", "--name", "term").rc == 0
    assert boxes.exec("sleep 1000", "-d", "--name", "newer").rc == 0
    t = pty("attach", "box")
    t.expect("up\r\n")
    assert t.settings() != before and b"Ctrl-C" not in t.out
    t.type("\x03")
    assert t.wait() == 130 and one(boxes, "term")["state"] == "ended"
    r = boxes("attach", "box", "term")
    assert r.rc == 130 and r.out.startswith("up\r\n"), "after the end"
    assert boxes("kill", "box", "plain").rc == 0
    t = pty("attach", "box", "plain")
    assert t.wait() == 143 and b"one\r\ntwo\r\n" in t.out, "of one that has ended: what is kept, and its status"


def attached(boxes, *words, typed=None, keep_open=False):
    """attach without a terminal, as a program has it that starts one: TYPED goes to its stdin, which is closed unless it is to stay open."""
    p = boxes.start("attach", *words, stdin=subprocess.PIPE)
    if typed:
        p.stdin.write(typed)
        p.stdin.flush()
    if keep_open:
        return p
    out, err = p.communicate(timeout=60)
    return out.decode(), err.decode(), p.returncode


ECHO = 'while read -r line; do echo "got $line"; echo "saw $line" >&2; done; echo end; exit 7'


def test_two_streams_and_a_stdin(boxes, ws):
    """What runs in the background takes lines from whoever attaches, and what it writes on 1 and 2 comes on 1 and 2; a client that goes is no end of its stdin."""
    boxes.make()
    assert boxes.exec(ECHO, "-d", "-i", "--split", "--name", "job").rc == 0
    job = one(boxes, "job")
    assert (job["tty"], job["kept"], job["input"], job["split"]) == (False, True, True, True)
    first = attached(boxes, "-i", "box", "job", typed=b"a\n", keep_open=True)
    assert first.stdout.readline() == b"got a\n" and first.stderr.readline() == b"saw a\n"
    kill(first)
    assert wait_for(lambda: one(boxes, "job")["clients"] == 0) and one(boxes, "job")["input"], "it was not the end"
    looks = boxes.start("attach", "box", "job")
    assert looks.stdout.readline() == b"got a\n", "nothing is typed, and its stdin that ends says nothing"
    assert attached(boxes, "-i", "box", "job", typed=b"b\n") == ("got a\ngot b\nend\n", "saw a\nsaw b\n", 7), "with what was kept"
    out, err = looks.communicate(timeout=60)
    assert (out, err, looks.returncode) == (b"got b\nend\n", b"saw a\nsaw b\n", 7)
    r = boxes("attach", "box", "job")
    assert (r.rc, r.out, r.err) == (7, "got a\ngot b\nend\n", "saw a\nsaw b\n"), "also when it has ended"
    r = boxes("logs", "box", "job")
    assert r.rc == 7 and sorted(r.out.splitlines()) == sorted("got a|saw a|got b|saw b|end".split("|")), "one stream"
    assert not one(boxes, "job")["input"]
    # into files and through pipes, and much of it
    size = 300_000
    assert boxes.exec(f"cat; head -c {size} /dev/zero | tr '\\0' e >&2", "-d", "-i", "--split", "--name", "much").rc == 0
    (ws / "typed").write_text("t" * size)
    with open(ws / "typed", "rb") as f, open(ws / "out", "wb") as out:
        p = boxes.start("attach", "-i", "box", "much", stdin=f, stdout=out)
        err = p.communicate(timeout=60)[1]
    assert p.returncode == 0 and (ws / "out").read_text() == "t" * size and err == b"e" * size


def test_without_split(boxes):
    """Both are one, in the order in which they were written."""
    boxes.make()
    assert boxes.exec("for i in 1 2 3 4 5; do echo o$i; echo e$i >&2; done", "-d", "--name", "job").rc == 0
    assert wait_for(lambda: one(boxes, "job")["state"] == "ended")
    want = "".join(f"o{i}\ne{i}\n" for i in range(1, 6))
    r = boxes("attach", "box", "job")
    assert (r.rc, r.out, r.err) == (0, want, "") and boxes("logs", "box", "job").out == want
    assert not one(boxes, "job")["split"]


def test_attached_and_nobody_takes_it(boxes):
    """attach | head: it ends as others do whose reader has gone, and the session runs on."""
    boxes.make()
    assert boxes.exec("while :; do echo y; done", "-d", "--split", "--name", "yes").rc == 0
    p = boxes.start("attach", "box", "yes")
    assert p.stdout.readline() == b"y\n"
    p.stdout.close()
    assert p.wait(timeout=60) == 141 and one(boxes, "yes")["state"] == "running"


def test_the_first_line_of_logs(boxes):
    """When the oldest is not kept any more, logs begin with a whole line; the control: all is kept, and so is the first."""
    boxes.make()
    line = "{:06}" + "." * 30
    for name, n in (("few", 100), ("many", KEPT // 37 + 1000)):
        r = boxes.exec([PYTHON, "-c", f"for i in range({n}): print({line!r}.format(i))"], "-d", "--name", name)
        assert r.rc == 0 and wait_for(lambda name=name: one(boxes, name)["state"] == "ended"), r
        want = [line.format(i) for i in range(n - min(n, KEPT // 37), n)]
        assert boxes("logs", "box", name).out.splitlines() == want, name
        r = boxes("logs", "--json", "-n", "400000", "box", name)
        assert [json.loads(text)["line"] for text in r.out.splitlines()] == want, name
    r = boxes.exec([PYTHON, "-c", f"print('x' * {KEPT + 5}, end='')"], "-d", "--name", "one")
    assert r.rc == 0 and wait_for(lambda: one(boxes, "one")["state"] == "ended"), r
    assert boxes("logs", "box", "one").out == "x" * KEPT, "there is no other line"


def memory_of(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as f:
        return int(re.findall(r"RssAnon:\s+(\d+)", f.read())[0])


def test_much_output_stays_bounded(boxes):
    """64 MiB into a session that nobody sees: the last of it is kept, the supervisor does not grow, and an idle session costs nothing."""
    boxes.make()
    assert boxes.exec("true").rc == 0
    pid = boxes.supervisor()
    before = memory_of(pid)
    for i in range(8):
        assert boxes.exec(["sleep", "1000"], "-d", "--name", f"idle{i}").rc == 0
    assert memory_of(pid) - before < 200, "KiB, of eight"
    r = boxes.exec([PYTHON, "-c", "import sys\nfor i in range(4 << 20): sys.stdout.write(f'{i:015}\\n')"], "-d", "--name", "much")
    assert r.rc == 0
    assert wait_for(lambda: one(boxes, "much")["state"] == "ended", 60)
    s = one(boxes, "much")
    assert (s["written"], s["scrollback"]) == (64 << 20, KEPT)
    assert memory_of(pid) - before < 2500, "KiB"
    r = boxes("logs", "box", "much")
    assert r.rc == 0 and r.out == "".join(f"{i:015}\n" for i in range((4 << 20) - KEPT // 16, 4 << 20))
    assert boxes("logs", "--tail", "2", "box", "much").out == f"{(4 << 20) - 2:015}\n{(4 << 20) - 1:015}\n"


def test_logs(boxes):
    """stdout and stderr in their order; --tail, --json, and the status of the command."""
    boxes.make()
    assert boxes.exec("for i in 1 2 3; do echo out $i; echo err $i >&2; done; printf 'a\\0b\\377c'; exit 5", "-d", "--name", "log").rc == 0
    assert wait_for(lambda: one(boxes, "log")["state"] == "ended")
    assert boxes("logs", "--tail", "0", "box").out == ""
    r = boxes("logs", "--tail", "3", "--json", "box", "log")
    assert r.rc == 5 and [json.loads(line)["line"] for line in r.out.splitlines()] == ["out 3", "err 3", "a�b�c"], r
    assert {json.loads(line)["session"] for line in r.out.splitlines()} == {one(boxes, "log")["session"]}
    assert boxes("logs", "box", "log", "--tail", "1").out == "a\0b\udcffc", "options may stand behind the names"
    r = boxes("logs", "--tail", "7", "box", "log")
    assert r.rc == 5 and r.out == "out 1\nerr 1\nout 2\nerr 2\nout 3\nerr 3\na\0b\udcffc", r


def test_logs_follow(boxes):
    """What there is, then what comes, at once; it ends with the command, and with its status."""
    boxes.make()
    assert boxes.exec("echo one; while [ ! -e go ]; do sleep 0.05; done; echo two; while [ ! -e end ]; do sleep 0.05; done; kill -TERM $$", "-d", "--name", "slow").rc == 0
    assert wait_for(lambda: boxes("logs", "box", "slow").out == "one\n"), "it runs, and this ends"
    p = boxes.start("logs", "-f", "box", "slow")
    assert p.stdout.readline() == b"one\n"
    assert boxes.exec("touch go").rc == 0
    assert p.stdout.readline() == b"two\n" and p.poll() is None
    assert boxes.exec("touch end").rc == 0
    out, err = p.communicate(timeout=60)
    assert (p.returncode, out, err) == (143, b"", b"")
    assert boxes("logs", "--follow", "box", "slow").rc == 143


def written(path):
    """The lines of a file that somebody writes, or nothing: it may be there before they are."""
    return path.exists() and path.read_text().endswith("\n") and path.read_text()


def test_what_a_command_leaves_running(boxes, ws):
    """exec ends with its command, whatever else has its streams; that is neither ended by SIGPIPE nor held up by a full pipe."""
    boxes.make()
    left = "trap 'echo broken > broken' PIPE; i=0; while [ ! -e stop ]; do i=$((i+1)); echo $i 0123456789012345678901234567890123456789012345678901234567890123456789 || echo failed > broken; done; echo $i > count"
    r = boxes.exec(f"({left}) & sleep 0.2; echo the last; exit 3")
    assert r.rc == 3 and "the last\n" in r.out and r.secs < 30, r
    time.sleep(1)
    assert boxes.exec("touch stop").rc == 0 and int(wait_for(lambda: written(ws / "count"))) > 3000
    assert not (ws / "broken").exists()
    with open(ws / "file", "wb") as f:  # a regular file on stdout
        assert boxes.exec("sleep 1000 & echo there; echo and >&2", stdout=f, stderr=f).rc == 0
    assert (ws / "file").read_text() == "there\nand\n"


def test_nothing_is_lost_at_the_end(boxes):
    """8 MiB through a pipe of 64 KiB to a reader that begins late, from a command that leaves something running."""
    boxes.make()
    p = boxes.start("exec", "box", "--", "sh", "-c", "sleep 1000 & head -c 8388608 /dev/zero; echo last")
    time.sleep(0.5)
    out, _ = p.communicate(timeout=20)
    assert p.returncode == 0 and len(out) == (8 << 20) + 5 and out.endswith(b"last\n")


def test_who_does_not_read_ends_the_writer(boxes, user, ws):
    """A reader that goes: SIGPIPE, as on the host; the control: with the reader it goes on."""
    boxes.make()
    for reader, status in (("head -c 10", "141"), ("tail -c 1", "0")):
        command = quote(BAILEY, "exec", "box", "--", "sh", "-c", "head -c 3000000 /dev/zero; echo $? > status") + f" | {reader}"
        r = user.exec(["sh", "-c", command], cwd=ws, env=boxes.env)
        assert r.rc == 0, r
        assert wait_for(lambda: written(ws / "status")) == status + "\n"
        os.unlink(ws / "status")


def test_kill_9_of_a_plain_exec(boxes, ws):
    """Its command may go on writing."""
    boxes.make()
    p = boxes.start("exec", "box", "--", "sh", "-c", "echo up; i=0; while [ $i -lt 30000 ]; do i=$((i+1)); echo $i; done; touch whole")
    assert p.stdout.readline() == b"up\n"
    kill(p)
    assert wait_for((ws / "whole").exists)
    p.stdout.close()
    p.stderr.close()


def test_order_of_stdout_and_stderr(boxes, ws):
    """2>&1 is one pipe inside, too."""
    boxes.make()
    p = boxes.start("exec", "box", "--", "sh", "-c", "for i in 1 2 3 4 5 6 7 8 9; do echo o$i; echo e$i >&2; done", stderr=subprocess.STDOUT)
    assert p.communicate(timeout=60)[0].decode().split() == [f"{c}{i}" for i in range(1, 10) for c in "oe"]


def test_a_server_outlives_its_exec(boxes):
    """Started in one exec, asked in the next, and gone when it is killed."""
    boxes.make()
    server = "import socket\ns = socket.socket(socket.AF_UNIX); s.bind('s'); s.listen()\nprint('up', flush=True)\nwhile True:\n c, _ = s.accept(); print('asked', flush=True); c.send(b'answer'); c.close()"
    assert boxes.exec([PYTHON, "-c", server], "-d", "--name", "server").rc == 0
    assert wait_for(lambda: "up" in boxes("logs", "box", "server").out)
    ask = [PYTHON, "-c", "import socket; s = socket.socket(socket.AF_UNIX); s.connect('s'); print(s.recv(99).decode())"]
    assert boxes.exec(ask).out == "answer\n" and boxes.exec(ask).out == "answer\n"
    assert boxes("logs", "box", "server").out == "up\nasked\nasked\n"
    assert boxes("kill", "box", "server").rc == 0 and wait_for(lambda: one(boxes, "server")["state"] == "ended")
    assert boxes.exec(ask).rc != 0 and boxes("logs", "box", "server").rc == 143


TCP = """
import os, socket, sys
s = socket.create_server(("127.0.0.1", 8000))
print(os.getpid(), flush=True)
while True:
    c, _ = s.accept()
    with c:
        c.sendall(b"answer %d" % os.getpid())
"""
ASK_TCP = "import socket; s = socket.create_connection(('127.0.0.1', 8000), 20); print(s.makefile().read())"


def test_a_server_in_the_background_outlives_its_exec(boxes, user, ws):
    """`server &` of a plain exec, no session of its own: asked by the next exec, and still there when the client of a third was killed. The control: nobody answers before, nor after its own kill."""
    user.write(ws / "server.py", TCP)
    boxes.make()
    ask = [PYTHON, "-c", ASK_TCP]
    assert boxes.exec(ask).rc == 1
    r = boxes.exec(f"{PYTHON} server.py > said 2>&1 &")
    assert r.rc == 0, r
    pid = int(wait_for(lambda: written(ws / "said")))
    assert boxes.exec(ask).out == f"answer {pid}\n"
    third = boxes.start("exec", "box", "--", "sh", "-c", f"{quote(*ask)}; exec sleep 1000")
    assert third.stdout.readline() == f"answer {pid}\n".encode()
    kill(third)
    third.stdout.close()
    third.stderr.close()
    for _ in range(5):
        assert boxes.exec(ask).out == f"answer {pid}\n"
    assert boxes.exec(f"kill -9 {pid}").rc == 0 and wait_for(lambda: boxes.exec(ask).rc == 1)


def test_who_has_ended_is_reaped(boxes, ws):
    """PID 1 of a sandbox that stays waits for orphans and for sessions, so nobody is a zombie at the next command. The control: a parent that waits for nobody has one, and it is seen."""
    boxes.make()
    zombies = "grep -l '^State:.Z' /proc/[0-9]*/status | wc -l"
    r = boxes.exec([PYTHON, "-c", "import os\nfor i in range(50):\n    if os.fork() == 0:\n        if os.fork() == 0: os._exit(os.getppid() > 1)\n        os._exit(0)\nfor i in range(50): os.wait()"])
    assert r.rc == 0, r
    # orphans that end after their command
    assert boxes.exec("for i in 1 2 3 4 5 6 7 8 9; do (sleep 0.2; : > done$i) >/dev/null 2>&1 & done").rc == 0
    assert wait_for(lambda: all((ws / f"done{i}").exists() for i in range(1, 10)))
    assert wait_for(lambda: boxes.exec("pgrep -c sleep").out == "0\n")
    assert boxes.exec(zombies).out == "0\n"
    assert boxes.exec([PYTHON, "-c", "import os, time\nif os.fork() == 0: os._exit(0)\ntime.sleep(1000)"], "-d", "--name", "bad").rc == 0
    assert wait_for(lambda: boxes.exec(zombies).out == "1\n"), "the control"
    assert boxes("kill", "--signal", "KILL", "box", "bad").rc == 0 and wait_for(lambda: one(boxes, "bad")["state"] == "ended")
    assert boxes.exec(zombies).out == "0\n", "its child, too"


def test_what_was_killed_is_no_pid_any_more(boxes):
    """`bailey kill`, then kill -0 fails inside, as soon as the session is said to have ended. The twin: before, and another one beside it."""
    boxes.make()
    for name in ("a", "b"):
        assert boxes.exec(["sleep", "1000"], "-d", "--name", name).rc == 0
    for tries in range(10):
        pid, other = one(boxes, "a")["pid"], one(boxes, "b")["pid"]
        assert boxes.exec(f"kill -0 {pid} && kill -0 {other}").rc == 0
        assert boxes("kill", "--signal", "KILL", "box", "a").rc == 0 and wait_for(lambda: one(boxes, "a")["state"] == "ended")
        r = boxes.exec(f"kill -0 {other} && echo there; kill -0 {pid}")
        assert r.rc == 1 and r.out == "there\n" and "No such process" in r.err, (tries, r)
        assert boxes.exec(["sleep", "1000"], "-d", "--name", "a").rc == 0


def test_listings(boxes):
    """sessions, inspect and ls say the same; plain commands are there while they run."""
    boxes.make()
    assert boxes("sessions", "box").rc == 4 and boxes.ls()["box"]["sessions"] == []
    p = boxes.start("exec", "--name", "plain", "box", "--", "sleep", "1000")
    assert wait_for(lambda: boxes.ls()["box"]["sessions"])
    assert boxes.exec("cat", "-dt", "--name", "term").rc == 0
    plain, term = sessions(boxes)
    assert (plain["name"], plain["command"], plain["kept"], plain["tty"], plain["clients"]) == ("plain", ["sleep", "1000"], False, False, 1)
    assert (term["name"], term["command"], term["kept"], term["tty"], term["clients"]) == ("term", ["sh", "-c", "cat"], True, True, 0)
    assert term["session"] > plain["session"] > 0 and boxes.exec(f"kill -0 {term['pid']} {plain['pid']}").rc == 0
    assert json.loads(boxes("inspect", "box").out)[0]["sessions"] == sessions(boxes) == boxes.ls()["box"]["sessions"]
    r = boxes("sessions", "box")
    assert len(r.out.splitlines()) == 3 and "sleep 1000" in r.out and "term" in r.out
    p.send_signal(signal.SIGTERM)
    p.communicate(timeout=60)
    assert p.returncode == 143 and one(boxes, "plain")["status"] == 143, "it has a name, so it is remembered"
    assert boxes("stop", "box").rc == 0 and boxes.ls()["box"]["sessions"] == []


def test_many_that_have_ended(boxes):
    """The last 64 are remembered, and no more."""
    boxes.make()
    for i in range(80):
        assert boxes.exec(f"echo {i}", "-d", "--name", f"s{i}").rc == 0
    assert wait_for(lambda: all(s["state"] == "ended" for s in sessions(boxes)))
    assert boxes.exec("true", "-d").rc == 0
    names = [s["name"] for s in sessions(boxes)]
    assert 64 <= len(names) <= 66 and "s79" in names and "s0" not in names
    assert boxes("logs", "box", "s79").out == "79\n" and boxes("logs", "box", "s0").rc == 3


def test_max_run_after_disconnect(boxes, pty):
    """The command ends when nobody has been there for so long; the control without the option runs on."""
    boxes.make()
    for name, words in (("short", ("--max-run-after-disconnect", "1s")), ("long", ())):
        t = pty("exec", "-it", *words, "--name", name, "box", "--", "sh", "-c", "echo up; exec sleep 1000")
        t.expect("up")
        time.sleep(1.5)
        assert one(boxes, name)["state"] == "running", "somebody is there"
        t.done()
    assert wait_for(lambda: one(boxes, "short")["state"] == "ended") and one(boxes, "short")["status"] == 143
    assert one(boxes, "long")["state"] == "running"


def test_max_run_after_disconnect_and_a_pause(boxes):
    """Time in which nothing runs does not count, before SIGTERM and after."""
    boxes.make()
    client = boxes.start("exec", "--max-run-after-disconnect", "2s", "--name", "short", "box", "--", "sh", "-c", "trap 'echo x >> asked' TERM; echo up; while :; do sleep 0.05; done")
    assert client.stdout.readline() == b"up\n"
    kill(client)
    assert wait_for(lambda: one(boxes, "short")["clients"] == 0)
    assert boxes("pause", "box").rc == 0
    time.sleep(2.5)
    assert boxes("resume", "box").rc == 0
    assert boxes.exec("[ -e asked ]").rc == 1 and one(boxes, "short")["state"] == "running"
    assert wait_for(lambda: boxes.exec("[ -e asked ]").rc == 0)
    assert boxes("pause", "box").rc == 0
    time.sleep(11)
    assert boxes("resume", "box").rc == 0 and one(boxes, "short")["state"] == "running"
    assert wait_for(lambda: one(boxes, "short")["state"] == "ended", 30) and one(boxes, "short")["status"] == 137
    client.communicate()


def test_max_run_after_disconnect_of_a_plain_command(boxes):
    """Without a terminal, too: its client is killed, and it ends; the control without the option runs on, and so does one whose client is there."""
    boxes.make()
    clients = {}
    for name, words in (("short", ("--max-run-after-disconnect", "1s")), ("there", ("--max-run-after-disconnect", "1s")), ("long", ())):
        clients[name] = boxes.start("exec", *words, "--name", name, "box", "--", "sh", "-c", "echo up; exec sleep 1000")
        assert clients[name].stdout.readline() == b"up\n"
    time.sleep(1.5)
    assert one(boxes, "short")["state"] == "running", "somebody is there"
    for name in ("short", "long"):
        kill(clients[name])
    assert wait_for(lambda: one(boxes, "short")["state"] == "ended") and one(boxes, "short")["status"] == 143
    assert one(boxes, "long")["state"] == one(boxes, "there")["state"] == "running"
    for p in clients.values():
        kill(p)
        p.stdout.close()
        p.stderr.close()


BAD = [
    (["exec", "--name", "1a", "box", "--", "true"], 2, "--name: '1a'"),
    (["exec", "--name", "a/b", "box", "--", "true"], 2, "--name"),
    (["exec", "--name", "x" * 64, "box", "--", "true"], 2, "--name"),
    (["exec", "--detach-keys", "ctrl-1", "box", "--", "true"], 2, "--detach-keys"),
    (["exec", "--max-run-after-disconnect", "soon", "box", "--", "true"], 2, "--max-run-after-disconnect"),
    (["exec", "-d", "--name", "there", "box", "--", "true"], 125, "'there'"),
    (["exec", "--split", "box", "--", "true"], 2, "only with --detach"),
    (["exec", "-dt", "--split", "box", "--", "true"], 2, "1 and 2 are one"),
    (["attach", "-i", "--read-only", "box", "there"], 2, "--interactive"),
    (["attach", "-i", "box", "there"], 4, "reads nothing"),
    (["attach"], 2, "name the sandbox"),
    (["attach", "box", "a", "b"], 2, "at most one session"),
    (["attach", "nobox"], 3, "nobox"),
    (["attach", "box", "nosuch"], 3, "'nosuch'"),
    (["attach", "box", "999"], 3, "'999'"),
    (["attach", "box", "a b"], 2, "'a b'"),
    (["logs", "--tail", "-1", "box"], 2, "--tail '-1'"),
    (["logs", "--tail", "x", "box"], 2, "--tail 'x'"),
    (["logs", "box", "plain"], 4, "nothing of it is kept"),
    (["logs", "box", "nosuch"], 3, "'nosuch'"),
    (["kill", "box"], 2, "name the sandbox and the session"),
    (["kill", "box", "nosuch"], 3, "'nosuch'"),
    (["kill", "--signal", "FOO", "box", "there"], 2, "--signal 'FOO'"),
    (["kill", "--signal", "0", "box", "there"], 2, "--signal '0'"),
    (["kill", "box", "over"], 4, "has ended"),
    (["sessions"], 2, "name one sandbox"),
    (["sessions", "nobox"], 3, "nobox"),
]


def test_bad_words(boxes):
    """One line, which names the word; and nothing has changed."""
    boxes.make()
    assert boxes.exec("sleep 1000", "-d", "--name", "there").rc == 0
    assert boxes.exec("true", "-d", "--name", "over").rc == 0
    plain = boxes.start("exec", "--name", "plain", "box", "--", "sleep", "1000")
    assert wait_for(lambda: len(sessions(boxes)) == 3 and one(boxes, "over")["state"] == "ended")
    before = sessions(boxes)
    for words, status, said in BAD:
        r = boxes(*words)
        assert r.rc == status and said in r.err and r.err.count("\n") == 1 and r.err.startswith("bailey: "), (words, r)
        assert sessions(boxes) == before, words
    kill(plain)


def test_vim_and_htop(boxes, user, ws):
    """Full-screen programs in tmux: the client is killed, another tmux window of another size comes back to the same vim; what was typed before is there."""
    boxes.make()
    env = " ".join(f"{k}={quote(v)}" for k, v in boxes.env.items())
    a, b = Tmux(user, ws, (24, 80)), Tmux(user, ws, (35, 110))
    try:
        a.line(f"{env} {quote(BAILEY)} exec -it --name vim -e TERM=screen box -- vim -u NONE -n text")
        a.see(r"^~")
        a.keys("i")
        a.line("typed before")
        a.see("typed before")
        assert wait_for(lambda: one(boxes, "vim")["clients"] == 1)
        out = user.exec(["pkill", "-9", "-f", "exec -it --name vim"])
        assert out.rc == 0
        assert wait_for(lambda: one(boxes, "vim")["clients"] == 0)
        b.line(f"{env} {quote(BAILEY)} attach box vim")
        b.see("typed before")
        assert wait_for(lambda: len([li for li in b.screen().splitlines() if li.startswith("~")]) > 25), "it fills the bigger window"
        b.line("typed after")
        b.keys("Escape")
        b.line(":wq")
        b.see(r"ready> $")
        assert (ws / "text").read_text() == "typed before\ntyped after\n\n"
        b.line(f"{env} {quote(BAILEY)} exec -it --name top -e TERM=screen box -- htop")
        b.see("F10")
        b.keys("C-p")
        b.keys("C-q")
        b.see("bailey attach box")
        a.line("reset")
        a.line(f"{env} {quote(BAILEY)} attach box top")
        a.see("F10")
        a.keys("q")
        assert wait_for(lambda: one(boxes, "top")["state"] == "ended") and one(boxes, "top")["status"] == 0
    finally:
        a.done()
        b.done()


def test_what_is_asked_while_it_starts(boxes):
    """A sandbox that is being started is waited for: it is said to run already."""
    for verb in (("sessions",), ("pause",), ("stop",)) * 5:
        boxes.make()
        p = boxes.start("exec", "box", "--", "true")
        answers = []
        while p.poll() is None:
            answers.append(boxes(*verb, "box"))
            if verb == ("pause",) and answers[-1].rc == 0:  # it may have come before the command's end: nobody else lets that go on
                answers.append(boxes("resume", "box"))
        p.stdout.close()
        p.stderr.close()
        assert all(r.rc in (0, 4) and "No such file" not in r.err for r in answers), answers
        assert boxes("rm", "-f", "box").rc == 0
