# SPDX-License-Identifier: Apache-2.0
"""Sandboxes that stay: made, entered, stopped, started again, removed (docs/adr/0027)."""
import concurrent.futures
import contextlib
import ctypes
import json
import os
import signal
import socket
import sqlite3
import struct
import time
from typing import Any

import pytest

from conftest import BAILEY, PYTHON, kill, wait_for
from searches import supervisors
from terminals import Pty, stopped


@pytest.fixture
def boxes(bailey, user, ws, request):
    """A caller's sandboxes in a state of their own; box("name", *options) makes one."""
    state = user.mkdir(user.base / f"named-{abs(hash(request.node.name)) % 10**8}", 0o700)

    class Boxes:
        env = {"XDG_STATE_HOME": str(state), "XDG_RUNTIME_DIR": ""}
        home = state / "bailey"

        def __call__(self, *args, **kw):
            kw.setdefault("cwd", ws)
            return bailey([*args], env={**self.env, **kw.pop("env", {})}, **kw)

        def make(self, name="box", *options):
            r = self("create", *options, name)
            assert r.rc == 0 and len(r.out.strip()) == 10, r
            return r.out.strip()

        def exec(self, cmd, *options, name="box", **kw):
            return self("exec", *options, name, "--", *(["sh", "-c", cmd] if isinstance(cmd, str) else cmd), **kw)

        def start(self, *args, **kw):
            return user.popen([BAILEY, *args], cwd=ws, env=self.env, **kw)

        def ls(self):
            r = self("ls", "--json")
            assert r.rc == 0, r
            return {b["name"]: b for b in json.loads(r.out)}

        def supervisor(self):
            """The only one, when what was started beside it has gone: what is read of /proc is not of one moment."""
            seen: list[int] = []

            def stays():
                before, seen[:] = list(seen), self.supervisors()
                return len(seen) == 1 and seen == before

            assert wait_for(stays), seen
            return seen[0]

        def supervisors(self):
            return supervisors(self.home)

    b = Boxes()
    yield b
    for name in b.ls():
        assert b("rm", "-f", name).rc == 0
    assert not b.supervisors(), "nothing is left"
    user.exec(["rm", "-rf", state])


@pytest.fixture
def by_signals(boxes, user):
    """Starts a sandbox whose supervisor has no cgroup of version 2 for it, for an ordinary user as for root; by_signals(*prefix)."""

    def start(*prefix):
        hide = ["unshare", "-m", "sh", "-c", 'umount -l -a -t cgroup2; exec "$@"', "x"] if user.is_root else []
        r = user.exec([*hide, *prefix, BAILEY, "start", "box"], env=boxes.env)
        assert r.rc == 0, r
    return start


def test_a_life(boxes, ws):
    """Made, entered twice, stopped, entered again: files stay, processes of a stop do not, processes of an exec do."""
    boxes.make()
    assert boxes.ls()["box"]["state"] == "stopped"
    r = boxes.exec("echo hello > made; sleep 1000 >/dev/null 2>&1 & echo $!; pwd")
    assert r.rc == 0 and r.out.splitlines()[1] == str(ws), r
    pid = r.out.split()[0]
    assert boxes.ls()["box"]["state"] == "running" and (ws / "made").read_text() == "hello\n"
    assert boxes.exec(f"kill -0 {pid}").rc == 0, "what a command leaves running runs on"
    assert boxes("stop", "box").rc == 0 and boxes.ls()["box"]["state"] == "stopped" and not boxes.supervisors()
    r = boxes.exec(f"kill -0 {pid} 2>&1; cat made; ls /proc | grep -c '^[0-9]'")
    assert "hello" in r.out and boxes.ls()["box"]["state"] == "running", r
    assert boxes("rm", "box").rc == 4, "it runs"
    r = boxes("rm", "--force", "box")
    assert (r.rc, boxes.ls(), boxes.supervisors()) == (0, {}, []), r
    assert not list((boxes.home / "sandboxes").iterdir()) and not [n for n in (boxes.home / "run").iterdir() if n.name.startswith("sandbox-")]
    assert (ws / "made").exists(), "the workspace is the host's"


def test_it_is_a_sandbox(boxes, user, outside, ws):
    """The walls of `bailey run` stand, for every command; the controls: outside, the same is done."""
    secret = user.write(outside / "secret", "s3cret\n")
    boxes.make("box", "--deny-read", outside, "--network", "none")
    for cmd in (f"cat {secret}", f"echo x > {user.home}/new", "echo x > /usr/new", "unshare -U true", "mount -t tmpfs none /mnt"):
        r = boxes.exec(cmd)
        assert r.rc != 0 and "s3cret" not in r.out, (cmd, r)
        assert boxes.exec("echo x > new && cat new").out == "x\n"
    assert not (user.home / "new").exists() and user.exec(["cat", secret]).out == "s3cret\n"
    r = boxes.exec([PYTHON, "-c", "import socket; socket.create_connection(('192.0.2.1', 80), 2)"])
    assert r.rc != 0
    r = boxes.exec("ls /proc; cat /proc/1/environ /proc/1/maps 2>&1; kill -9 1; ls -l /proc/1/fd 2>&1; true")
    assert "Permission denied" in r.out, r
    assert boxes.exec("true").rc == 0, "PID 1 can't be killed"


STATUSES = [("exit 7", 7), ("kill -TERM $$", 143), ("true", 0)]


SYS_RT_SIGACTION = 13


def test_signals_are_as_they_should_be(boxes, user):
    """Whatever who started the sandbox ignores: no command of it does. The control: outside, the same is inherited."""
    boxes.make()
    ask = ["grep", "SigIgn", "/proc/self/status"]

    def ignore():
        for s in (signal.SIGINT, signal.SIGHUP, signal.SIGPIPE):
            signal.signal(s, signal.SIG_IGN)
        # those that a libc keeps for itself, too
        action = (ctypes.c_ulong * 4)(signal.SIG_IGN)
        for own in (32, 33, 34):
            assert ctypes.CDLL(None).syscall(SYS_RT_SIGACTION, own, action, None, 8) == 0

    assert int(user.exec(ask, preexec_fn=ignore).out.split()[1], 16) & 0x380001003 == 0x380001003
    assert boxes.exec(ask, preexec_fn=ignore).out.split()[1] == "0" * 16
    assert boxes.exec("yes | head -1").err == ""


@pytest.mark.parametrize("cmd,status", STATUSES)
def test_statuses(boxes, cmd, status):
    boxes.make()
    assert boxes.exec(cmd).rc == status


def test_words_of_exec(boxes, ws):
    boxes.make("box", "--env", "BASE=one")
    r = boxes.exec("echo $A $BASE $FROM; pwd", "-e", "A=b", "--env=BASE=two", "-eFROM", "-w", "/usr", env={"FROM": "here"})
    assert r.out == "b two here\n/usr\n", r
    assert boxes.exec("echo $BASE").out == "one\n"
    assert boxes("exec", "box", "echo", "without", "dashes").out == "without dashes\n"
    r = boxes.exec(["nosuch"])
    assert r.rc == 127 and "nosuch: command not found" in r.err
    r = boxes.exec(["/etc/passwd"])
    assert r.rc == 126, r
    r = boxes.exec("true", "-w", "/nowhere")
    assert r.rc == 126 and "/nowhere" in r.err, r


def test_streams(boxes, ws):
    """-i gives stdin, whole, with its end; without it there is none. stdout and stderr are two."""
    boxes.make()
    assert boxes.exec("cat", stdin="text").out == "" and boxes.exec("cat", "-i", stdin="text").out == "text"
    r = boxes.exec("echo out; echo err >&2")
    assert (r.out, r.err) == ("out\n", "err\n")
    big = "x" * (8 << 20)
    assert boxes.exec("wc -c", "-i", stdin=big).out.strip() == str(len(big))
    assert len(boxes.exec("head -c 8388608 /dev/zero | tr '\\0' x").out) == 8 << 20
    with open(ws / "in", "w+") as f, open(ws / "out", "w+") as g:
        f.write("from a file\n")
        f.flush()
        f.seek(0)
        assert boxes.exec("cat; ls -l /proc/self/fd", "-i", stdin=f, stdout=g).rc == 0
        g.seek(0)
        text = g.read()
    assert text.startswith("from a file\n") and str(ws) not in text, "a file on 0-2 has no name inside"


def test_detached(boxes, ws):
    boxes.make()
    r = boxes.exec("while ! [ -e go ]; do sleep 0.02; done; echo late > late", "-d")
    assert (r.rc, r.out) == (0, "")
    (ws / "go").touch()
    assert wait_for((ws / "late").exists)
    assert boxes.exec("nosuch-thing", "--detach").rc == 0, "a shell has been started"
    assert boxes.exec(["nosuch-thing"], "-d").rc == 127


def test_signals_go_to_the_command(boxes):
    """SIGTERM of exec ends the command, not the sandbox; kill -9 of exec ends neither."""
    boxes.make()
    proc = boxes.start("exec", "box", "--", "sh", "-c", "trap 'echo caught; exit 5' TERM; echo up; while :; do sleep 0.05; done")
    assert proc.stdout.readline() == b"up\n"
    proc.send_signal(signal.SIGTERM)
    out, _ = proc.communicate(timeout=60)
    assert (proc.returncode, out) == (5, b"caught\n")
    proc = boxes.start("exec", "box", "--", "sh", "-c", "echo up; exec sleep 1000")
    assert proc.stdout.readline() == b"up\n"
    kill(proc)
    assert boxes.exec("ps ax | grep -c '[s]leep 1000'").out == "1\n"
    proc.stdout.close()
    proc.stderr.close()


def test_kill_9_of_the_supervisor(boxes, user):
    """Everything inside dies with it; the next command starts the sandbox again."""
    boxes.make()
    marker = f"1{os.getpid() % 100000}7"
    assert boxes.exec(f"sleep {marker} >/dev/null 2>&1 & true").rc == 0
    waiting = boxes.start("exec", "box", "--", "sleep", marker)
    assert wait_for(lambda: len([p for p in os.listdir("/proc") if p.isdigit() and _argv(p) == ["sleep", marker]]) == 2)
    pid = boxes.supervisor()
    os.kill(pid, signal.SIGKILL)
    _, err = waiting.communicate(timeout=60)
    assert waiting.returncode == 125 and b"the sandbox has ended" in err
    assert wait_for(lambda: not [p for p in os.listdir("/proc") if p.isdigit() and _argv(p) == ["sleep", marker]])
    assert boxes.ls()["box"]["state"] == "stopped"
    assert boxes.exec("echo again").out == "again\n"


def _argv(pid):
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as f:
            return f.read().decode(errors="replace").split("\0")[:-1]
    except OSError:
        return []


def test_options_may_stand_behind_the_name(boxes, ws):
    """But where a command may follow. What create keeps are the options and the workspaces, wherever they stood."""
    boxes.make()
    assert json.loads(boxes("inspect", "box", "--").out)[0]["name"] == "box"
    assert [json.loads(li)["event"] for li in boxes("events", "box", "--json").out.splitlines()] == ["created"]
    r = boxes("rename", "box", "other", "--nothing")
    assert r.rc == 2 and "unknown option '--nothing'" in r.err and boxes.ls()["box"], r
    r = boxes("create", "--env", "A=b", "new", "--timeout", "50s", ".", "--env=C=d", "--", f"{ws}:ro")
    new = boxes.ls()["new"]
    assert r.rc == 0 and new["timeout"] == 50000, (r, new)
    words = [w for w in new["options"] if not w.startswith("--host-env=")]
    assert words == ["--env=A=b", "--timeout=50s", "--env=C=d", f"--workspace={ws}", f"--workspace={ws}:ro", "--preset=balanced"], new
    r = boxes("create", "other", "--", "--timeout")
    assert r.rc == 2 and "other" not in boxes.ls(), ("a workspace of that name", r)
    r = boxes("create", "other", "--tiemout", "5s")
    assert r.rc == 2 and "did you mean '--timeout'?" in r.err and "other" not in boxes.ls(), r


def test_stop_says_what_was_moved_away(boxes, ws):
    """What appeared at the end where the host would execute it goes to the quarantine: whoever stops the sandbox is told, and where it is."""
    boxes.make()
    assert boxes.exec("true").rc == 0
    r = boxes("stop", "box")
    assert (r.rc, r.err) == (0, ""), r
    assert boxes.exec("trap 'echo text > .envrc; exit' TERM; echo up; while :; do sleep 0.05; done", "-d", "--name", "late").rc == 0
    assert wait_for(lambda: boxes("logs", "box", "late").out == "up\n")
    r = boxes("stop", "box")
    assert r.rc == 0 and ".envrc" in r.err and "bailey quarantine" in r.err and r.err.startswith("bailey: "), r
    assert not (ws / ".envrc").exists()


# Listens in the place of a supervisor and says a number of a version that there is not yet; a signal goes on to the supervisor.
NEWER = """
import os, signal, socket, struct, sys
path, supervisor = sys.argv[1], int(sys.argv[2])
os.rename(path, path + ".own")
s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
s.bind(path)
s.listen()
signal.signal(signal.SIGTERM, lambda *_: (os.kill(supervisor, signal.SIGTERM), os._exit(0)))
print("up", flush=True)
while True:
    c, _ = s.accept()
    c.recv(4096)
    c.send(struct.pack("<HHIII", 2, 2, 0, 0, 0))
    c.close()
"""


def test_another_version(boxes, user):
    """An end of another version of bailey is told, and tells what can be done. `stop` works all the same; the twin: all else, with ours."""
    boxes.make()
    assert boxes.exec("true").rc == 0
    supervisor = boxes.supervisor()
    path = str(boxes.home / "run/sandbox-box")
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as s:
        s.connect(path)
        s.send(struct.pack("<HHIII", 2, 45, 0, 0, 0))
        answer = s.recv(4096)
        assert struct.unpack_from("<HH", answer) == (1, 2) and b"another version" in answer and s.recv(4096) == b"", "refused, and let go"
    assert boxes.exec("echo in").out == "in\n" and wait_for(lambda: boxes.supervisors() == [supervisor])
    p = user.popen([PYTHON, "-c", NEWER, path, str(supervisor)])
    assert p.stdout.readline() == b"up\n"
    for words in (["exec", "box", "--", "true"], ["pause", "box"], ["sessions", "box"], ["fs", "box", "stat", "/tmp"]):
        r = boxes(*words)
        assert r.rc == (1 if words[0] == "fs" else 125) and "another version of bailey" in r.err and "'bailey stop'" in r.err and r.err.count("\n") == 1, (words, r)
    r = boxes("stop", "box")
    assert (r.rc, p.wait(timeout=60)) == (0, 0) and not boxes.supervisors(), r
    assert boxes.exec("echo in").out == "in\n"


@pytest.mark.parametrize("how", ["start", "exec"])
def test_what_the_host_would_execute_goes_while_it_runs(boxes, ws, how):
    """However the sandbox was started, it has the watcher of its user: what appears is moved away at once, not at the end. The twin beside it stays."""
    boxes.make()
    assert (boxes("start", "box") if how == "start" else boxes.exec("true")).rc == 0
    time.sleep(1)  # it asks for the watcher when it has run for a moment, and is idle then
    assert boxes.exec("echo text > twin; echo text > .envrc").rc == 0
    assert wait_for(lambda: not (ws / ".envrc").exists(), 20) and boxes.ls()["box"]["state"] == "running"
    assert (ws / "twin").exists() and ".envrc" in boxes("quarantine", "ls").out


@pytest.fixture
def stuck(boxes):
    """stuck(pid): the supervisor does nothing until the test is over."""
    pids = []

    def stop(pid):
        pids.append(pid)
        os.kill(pid, signal.SIGSTOP)

    yield stop
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):  # bailey has ended it
            os.kill(pid, signal.SIGCONT)


ENDS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT]


def test_signals_when_the_supervisor_is_stuck(boxes, stuck, ws):
    """They end exec, before its command has begun and after; the control: with a supervisor that listens the command gets them, and may go on."""
    boxes.make()
    assert boxes.exec("true").rc == 0
    pid = boxes.supervisor()
    caught = "for s in INT TERM HUP QUIT; do trap \"echo $s\" $s; done; echo up; while [ ! -e go ]; do sleep 0.05; done; exit 7"
    running = []
    for _ in ENDS:
        running.append(boxes.start("exec", "box", "--", "bash", "-c", caught))
        assert running[-1].stdout.readline() == b"up\n"
    twin = boxes.start("exec", "box", "--", "bash", "-c", caught)
    assert twin.stdout.readline() == b"up\n"
    for sig in ENDS:
        twin.send_signal(sig)
        assert twin.stdout.readline().decode().strip() == sig.name[3:]
    stuck(pid)
    waiting = [boxes.start("exec", *words, "box", "--", "true") for words in ((), (), ("-d",), ("-t",))]
    for p in waiting:
        assert wait_for(lambda p=p: "signalfd" in "".join(os.readlink(f"/proc/{p.pid}/fd/{n}") for n in os.listdir(f"/proc/{p.pid}/fd")))
    for procs in (waiting, running):
        for p, sig in zip(procs, ENDS):
            p.send_signal(sig)
        for p, sig in zip(procs, ENDS):
            _, err = p.communicate(timeout=60)
            # with a terminal SIGHUP only leaves
            assert p.returncode == 128 + sig and (sig == signal.SIGHUP or b"does not answer" in err), (sig, err)
    os.kill(pid, signal.SIGCONT)
    time.sleep(3)
    assert twin.poll() is None, "what was taken is no reason to end later"
    (ws / "go").touch()
    assert twin.communicate(timeout=60)[1] == b"" and twin.returncode == 7


def test_who_waits_for_a_stuck_supervisor_is_told(boxes, stuck, ws):
    """Once, and after a while; when it goes on, so does what waited. The twin: who has had an answer is told nothing."""
    boxes.make()
    assert boxes.exec("echo text > f; sleep 1000 &", "-d").rc == 0
    pid = boxes.supervisor()
    words = [("exec", "box", "--", "true"), ("exec", "-d", "box", "--", "true"), ("cp", f"box:{ws}/f", "-"), ("fs", "box", "stat", "f")]
    twin = boxes.start("exec", "box", "--", "sh", "-c", "echo up; sleep 1000")
    assert twin.stdout.readline() == b"up\n"
    stuck(pid)
    waiting = [boxes.start(*w) for w in words]
    for p, w in zip(waiting, words):
        assert p.stderr.readline() == b"bailey: notice: the supervisor of 'box' does not answer; bailey stop box ends it\n", w
        assert p.poll() is None, "it goes on waiting"
    os.kill(pid, signal.SIGCONT)
    for p, w in zip(waiting, words):
        assert p.communicate(timeout=60)[1] == b"" and p.returncode == 0, w
    assert boxes("stop", "--time", "0", "box").rc == 0
    assert b"does not answer" not in twin.communicate(timeout=60)[1]


@pytest.mark.parametrize("verb", [("stop", "-t", "1s"), ("rm", "-f")])
def test_stop_of_a_stuck_supervisor(boxes, stuck, verb):
    """It is ended when the grace and some seconds are over, and all inside with it; what is left is as after any stop."""
    boxes.make("box", "--restart", "on-failure")
    marker = f"1{os.getpid() % 100000}8"
    assert boxes.exec(f"sleep {marker} >/dev/null 2>&1 & true").rc == 0
    stuck(boxes.supervisor())
    r = boxes(*verb, "box")
    assert (r.rc, r.err) == (0, "bailey: sandbox 'box': its supervisor does not answer; it is ended\n") and 10 <= r.secs < 50, r
    assert not boxes.supervisors() and wait_for(lambda: not [p for p in os.listdir("/proc") if p.isdigit() and _argv(p) == ["sleep", marker]])
    if verb[0] == "rm":
        assert not boxes.ls()
        return
    assert boxes.ls()["box"]["state"] == "stopped" and boxes("start", "--boot").rc == 0 and not boxes.supervisors(), "it was ended on purpose"
    assert boxes.exec("echo again").out == "again\n"
    seen = [json.loads(li) for li in boxes("events", "--json").out.splitlines()]
    assert [e["why"] for e in seen if e["event"] == "stopped"] == ["asked"]


def test_listings_with_a_stuck_supervisor(boxes, stuck):
    """ls waits a second for it, stats leaves it out, and says so; by its name it is an error."""
    for name in ("box", "other"):
        boxes.make(name)
        assert boxes.exec("true", name=name).rc == 0
        if name == "box":
            pid = boxes.supervisor()
    stuck(pid)
    for words in (("ls",), ("ls", "--json")):
        r = boxes(*words)
        assert r.rc == 0 and r.secs < 4 and "box" in r.out and "other" in r.out, r
    assert {n: b["state"] for n, b in boxes.ls().items()} == {"box": "running", "other": "running"}
    r = boxes("stats", "--json")
    assert r.rc == 0 and [s["name"] for s in json.loads(r.out)] == ["other"], r
    assert r.err.count("\n") == 1 and "sandbox 'box' does not answer" in r.err, r
    r = boxes("stats", "box")
    assert r.rc == 125 and "does not answer" in r.err, r


def test_stop_asks_first(boxes, ws):
    """SIGTERM, then SIGKILL after --time."""
    boxes.make()
    waits = "> ready; while :; do sleep 0.05; done) >/dev/null 2>&1 & while ! [ -e ready ]; do sleep 0.01; done; rm ready"
    assert boxes.exec(f"(trap 'echo asked > asked; exit' TERM; {waits}").rc == 0
    r = boxes("stop", "box")
    assert r.rc == 0 and r.secs < 9.5 and (ws / "asked").exists(), r
    assert boxes.exec(f"(trap '' TERM; {waits}").rc == 0
    r = boxes("stop", "--time", "300ms", "box")
    assert r.rc == 0 and r.secs < 9.5 and not boxes.supervisors(), r
    assert boxes("stop", "box").rc == 0, "it does not run: that is what was wanted"


def test_stop_hangs_terminals_up(boxes, ws):
    """An interactive shell ignores SIGTERM, and goes with its terminal; a command without one gets no SIGHUP."""
    boxes.make()
    for shell in (["bash", "--norc", "-i"], ["sh", "-c", "bash --norc -i; true"]):
        assert boxes.exec(shell, "-d", "-t", "--name", "shell").rc == 0
        assert wait_for(lambda: boxes("logs", "box", "shell").out.endswith(("$ ", "# ")))
        assert boxes.exec("trap 'echo hung-up > hung-up' HUP; trap 'sleep 0.5; exit' TERM; echo up; while :; do sleep 0.05; done", "-d", "--name", "plain").rc == 0
        assert wait_for(lambda: boxes("logs", "box", "plain").out == "up\n")
        r = boxes("stop", "--time", "60s", "box")
        assert r.rc == 0 and r.secs < 30 and not (ws / "hung-up").exists(), (shell, r)


def test_names(boxes):
    first = boxes.make("one")
    boxes.make("two.2_b-c")
    assert list(boxes.ls()) == ["one", "two.2_b-c"] or set(boxes.ls()) == {"one", "two.2_b-c"}
    assert json.loads(boxes("inspect", first).out)[0]["name"] == "one"
    r = boxes("inspect", "nobox", first, "neither", "two.2_b-c")
    assert r.rc == 3 and [s["name"] for s in json.loads(r.out)] == ["one", "two.2_b-c"] and r.err.count("\n") == 2, "what is there is printed"
    assert boxes("rename", "one", "three").rc == 0 and set(boxes.ls()) == {"three", "two.2_b-c"}
    assert boxes.exec("echo in", name="three").out == "in\n"
    r = boxes("rename", "three", "four")
    assert r.rc == 4 and "bailey stop three" in r.err
    assert boxes("ls", "-q").out.split() == ["three", "two.2_b-c"] == list(boxes.ls())
    boxes.make("a")
    assert boxes("ls", "-q").out.split() == ["three", "two.2_b-c", "a"], "the oldest first"
    assert boxes.exec("echo by-id", name=first).out == "by-id\n"


def test_long_texts(boxes):
    """What was kept can be read, however long it is, and is in nobody's way: a variable and the words of a service of 40,000 bytes each."""
    long = "x" * 40000
    boxes.make("box", "--env", f"A={long}")
    boxes.make("other")
    assert boxes("ls", "-q").out.split() == ["box", "other"]
    assert boxes.exec("echo ${#A}").out == "40000\n"
    for name, lives in (("now", True), ("later", False)):
        if not lives:
            assert boxes("stop", "box").rc == 0
        r = boxes("service", "add", "box", name, "--", "sh", "-c", f": {long}; exec sleep 1000")
        assert (r.rc, r.err) == (0, ""), r
    assert boxes.exec("true").rc == 0 and boxes("inspect", "box").rc == 0
    assert wait_for(lambda: {s["state"] for s in json.loads(boxes("service", "ls", "--json", "box").out)} == {"running"})
    r = boxes("service", "add", "box", "three", "--", "sh", "-c", *["x" * 70000] * 2)
    assert r.rc == 2 and "131072 bytes" in r.err
    assert boxes("rm", "-f", "box").rc == 0 and list(boxes.ls()) == ["other"]


def test_many_are_listed(boxes, user):
    """As many as the store takes."""
    boxes.make("box")
    sql = "import sqlite3, sys; db = sqlite3.connect(sys.argv[1]); db.execute(sys.argv[2]); db.commit()"
    with contextlib.closing(sqlite3.connect(f"file:{boxes.home}/state.db?mode=ro", uri=True)) as db:
        others = [c[1] for c in db.execute("PRAGMA table_info(sandboxes)") if c[1] not in ("id", "name", "ids")]
    more = f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 4095) INSERT INTO sandboxes (id, name, {', '.join(others)}) " \
           f"SELECT printf('%010x', i), 'n' || i, {', '.join(others)} FROM sandboxes, n"
    assert user.exec([PYTHON, "-c", sql, boxes.home / "state.db", more]).rc == 0
    r = boxes("ls", "-q")
    assert r.rc == 0 and len(r.out.split()) == 4096, r
    r = boxes("create", "more")
    assert r.rc == 2 and "4096 sandboxes" in r.err, r
    assert boxes("rm", "n7").rc == 0 and boxes("create", "more").rc == 0
    assert user.exec([PYTHON, "-c", sql, boxes.home / "state.db", "DELETE FROM sandboxes WHERE name LIKE 'n%'"]).rc == 0


def test_another_session_finds_it(boxes, user):
    """One has a runtime directory of its own (a login), the other has none (cron): they mean the same sandbox; and the beginning of its id is enough."""
    runtime = user.mkdir(user.base / "runtime", 0o700)
    first = boxes.make()
    r = boxes.exec("echo up", env={"XDG_RUNTIME_DIR": str(runtime)})
    assert r.out == "up\n", r
    r = boxes.exec("echo there")
    assert r.out == "there\n" and r.secs < 30 and wait_for(lambda: len(boxes.supervisors()) == 1), r
    assert boxes("rm", "-f", first[:3]).rc == 3 and boxes("rm", "-f", first[:4]).rc == 0 and boxes.ls() == {}
    user.exec(["rm", "-rf", runtime])


BAD: list[tuple[list[Any], int, str]] = [
    (["create"], 2, "there is no name"),
    (["create", "--name", "x", "."], 2, "the name is a word: bailey create [OPTIONS] NAME"),
    (["create", "Big"], 2, "1 to 63 lower-case letters"),
    (["create", "a/b"], 2, "1 to 63 lower-case letters"),
    (["create", "--no-such", "x"], 2, "--no-such"),
    (["create", "--explain", "x"], 2, "--explain is for one command"),
    (["create", "--hide", "", "x"], 2, "--hide"),
    (["create", "x", "/nowhere/at/all"], 2, "/nowhere/at/all"),
    (["create", "--env", b"A=\xff", "x"], 2, "is not UTF-8"),
    (["create", "box"], 4, "box"),
    (["exec", "box"], 2, "no command"),
    (["exec"], 2, "name the sandbox"),
    (["exec", "nobox", "--", "true"], 3, "nobox"),
    (["exec", "../box", "--", "true"], 3, "box"),
    (["exec", "-x", "box", "--", "true"], 2, "-x"),
    (["exec", "-e", "=b", "box", "--", "true"], 2, "NAME=VALUE"),
    (["stop"], 2, "name the sandbox"),
    (["stop", "nobox"], 3, "nobox"),
    (["stop", "--time", "1h", "box"], 2, "--time"),
    (["start", "nobox"], 3, "nobox"),
    (["inspect", "nobox"], 3, "nobox"),
    (["rm", "nobox"], 3, "nobox"),
    (["rename", "box"], 2, "two names"),
    (["rename", "box", "No"], 2, "No"),
    (["ls", "box"], 2, "bailey inspect box"),
    (["ls", "--json", "-q"], 2, "--json and --quiet contradict"),
    (["delete", "box"], 2, "there is no verb 'delete': bailey rm\n"),
    (["destroy", "box"], 2, "there is no verb 'destroy': bailey rm\n"),
    (["restart", "box"], 2, "bailey stop SANDBOX && bailey start SANDBOX"),
    (["shell", "box"], 2, "bailey exec -it SANDBOX"),
    (["renme", "box"], 2, "did you mean 'rename'?"),
]


@pytest.mark.parametrize("words,status,said", BAD, ids=[" ".join(map(str, w)) for w, _, _ in BAD])
def test_bad_words(boxes, words, status, said):
    """One line, which names the word; and nothing has changed."""
    boxes.make()
    before = boxes.ls()
    r = boxes(*words)
    assert r.rc == status and said in r.err and r.err.count("\n") == 1 and r.err.startswith("bailey: "), r
    assert boxes.ls() == before and not boxes.supervisors()


def test_what_can_not_be_started_says_why(boxes, user, ws):
    """A workspace that has gone; then it is there again."""
    where = user.mkdir(user.base / "gone")
    assert boxes("create", "box", where).rc == 0
    os.rename(where, f"{where}-away")
    r = boxes.exec("true")
    assert r.rc == 125 and str(where) in r.err and r.err.count("\n") == 1, r
    assert boxes.ls()["box"]["state"] == "stopped"
    os.rename(f"{where}-away", where)
    assert boxes.exec("pwd").out == f"{where}\n"
    boxes("rm", "-f", "box")
    user.exec(["rm", "-rf", where])


def test_many_at_once(boxes):
    """Twenty commands at the same time, the first of which starts the sandbox: one supervisor, and each has its own answer."""
    boxes.make()
    with concurrent.futures.ThreadPoolExecutor(20) as pool:
        results = list(pool.map(lambda i: boxes.exec(f"echo {i}; exit {i}"), range(20)))
    assert [(r.rc, r.out) for r in results] == [(i, f"{i}\n") for i in range(20)]
    assert len(boxes.supervisors()) == 1


def test_a_terminal(boxes, ws, user):
    """-it: a shell, the size of the caller's terminal before and after a change, Ctrl-C for what runs in it."""
    boxes.make()
    t = Pty(user, [BAILEY, "exec", "-it", "box", "--", "sh"], ws, (24, 80), env=boxes.env)
    t.type("stty size; echo re''ady\n")
    t.expect("24 80")
    t.expect("ready")
    t.resize(30, 100)
    t.type("sleep 0.3; stty size; echo si''ze\n")
    t.expect("30 100")
    t.type("sleep 1000\n")
    time.sleep(0.5)
    t.type("\x03")
    t.type("echo st''ill\n")
    t.expect("still")
    t.type("tty; exit 3\n")
    t.expect("/dev/pts/")
    assert t.wait() == 3


def test_job_control(boxes, ws, user):
    """-it: Ctrl-Z stops what runs in front, and the shell is there; jobs, bg and fg know it; Ctrl-C ends it. The client on the host is not stopped."""
    boxes.make()
    t = Pty(user, [BAILEY, "exec", "-it", "box", "--", "bash", "--norc"], ws, env=boxes.env)
    loop = "while :; do echo x >> ticks; sleep 0.02; done"

    def size():
        return (ws / "ticks").stat().st_size if (ws / "ticks").exists() else 0

    def grows():
        before = size()
        return wait_for(lambda: size() > before)

    t.expect(r"[$#] $")
    t.type(f"bash -c '{loop}'\n")
    assert grows()
    t.type("\x1a")
    t.expect("Stopped")
    seen = len(t.out)
    t.type("jobs; echo li''sted\n")
    t.expect("listed")
    t.expect(r"\[1\]\+ +Stopped +bash -c", start=seen)
    assert not stopped(t.pid), "the client"
    before = size()
    time.sleep(0.3)
    assert size() == before
    t.type("bg; echo b''g\n")
    t.expect("bg\r\n")
    assert grows(), "it runs behind the shell"
    seen = len(t.out)
    t.type("jobs; echo ru''ns\n")
    t.expect("runs", start=seen)
    t.expect(r"\[1\]\+ +Running", start=seen)
    seen = len(t.out)
    t.type("fg\n")
    t.expect("bash -c 'while", start=seen)  # the words were read: a key that is a signal throws away what was not

    def stops():
        t.type("\x1a")  # before the loop is in front the shell gets it, to which it is nothing
        t.read(0.1)
        return b"Stopped" in t.out[seen:]
    assert wait_for(stops), "it is in front again"
    t.type("fg\n")
    assert grows()
    t.type("\x03")
    t.type("echo st''ill $(jobs | wc -l)\n")
    t.expect("still 0")
    t.type("exit 3\n")
    assert t.wait() == 3


@pytest.mark.parametrize("mode", ["ro", "rw"])
def test_a_workspace_that_is_read_only(boxes, user, outside, mode):
    """create DIR:ro: every way to write is refused, and the host is as it was, also after a stop; the twin: the same with :rw is done."""
    user.write(outside / "f", "old\n")
    user.write(outside / "d/g", "old\n")
    before = user.exec(["find", outside, "-printf", "%p %i %m %s %T@ %C@\n"]).out
    assert boxes("create", "box", f"{outside}:{mode}").rc == 0
    r = boxes.exec("pwd; cat f")
    assert r.out == f"{outside}\nold\n", r
    for _ in range(2):
        for cmd in ("echo new > f", "echo new > made", "mkdir dir", "chmod 600 f", "touch f", "mv f f2 && mv f2 f", "ln f l", "ln -s f s", "rm d/g", "truncate -s 0 f"):
            r = boxes.exec(cmd)
            assert (r.rc == 0) == (mode == "rw") and (mode == "rw" or "Read-only" in r.err or "denied" in r.err), (cmd, r)
        if mode == "rw":
            break
        assert user.exec(["find", outside, "-printf", "%p %i %m %s %T@ %C@\n"]).out == before
        r = boxes("cp", outside / "f", f"box:{outside}/made")
        assert r.rc != 0 and not (outside / "made").exists(), r
        assert boxes("stop", "box").rc == 0 and user.exec(["cat", outside / "f"]).out == "old\n"
    if mode == "rw":
        assert (outside / "made").read_text() == "new\n" and (outside / "f").read_text() == "" and not (outside / "d/g").exists()


def test_a_terminal_that_hangs_up(boxes, ws, user):
    """The command in it is not told: it runs on, for who attaches (test_named_sessions.py); the stop of the sandbox ends it."""
    boxes.make()
    t = Pty(user, [BAILEY, "exec", "-it", "box", "--", "sh", "-c", "trap 'echo hung > hung; exit' HUP; echo up; while :; do sleep 0.05; date > alive; done"], ws, env=boxes.env)
    t.expect("up")
    t.close()
    assert wait_for(lambda: not boxes.ls()["box"]["sessions"][0]["clients"])
    (ws / "alive").unlink(missing_ok=True)
    assert wait_for((ws / "alive").exists) and not (ws / "hung").exists()
    assert boxes.exec("echo lives").out == "lives\n"


def test_without_a_terminal_there_is_none(boxes, ws, user):
    """Commands that have not asked for one get pipes, also when the caller has a terminal: it is never inside."""
    boxes.make()
    t = Pty(user, [BAILEY, "exec", "-i", "box", "--", "sh", "-c", "test -t 0 || test -t 1 || test -t 2 || echo no''ne; tty < /dev/tty || echo nor''there"], ws, env=boxes.env)
    t.expect("none")
    t.expect("northere")
    t.wait()


def test_the_network_of_a_sandbox(net, boxes):
    """The options of create hold for every exec: an allowed name answers, another is refused; --network none is none."""
    def there(verb, *words):
        return net(None, *words, verb=verb, env=boxes.env)

    assert there("create", "--allow-host", "one.test", "web").rc == 0 and there("create", "--network", "none", "closed").rc == 0
    for _ in range(2):
        r = there("exec", "web", "--", "curl", "-sS", "-m", "8", "http://one.test/")
        assert r.rc == 0 and "host=one.test" in r.out, r
        assert there("exec", "web", "--", "curl", "-sfS", "-m", "8", "http://two.test/").rc != 0
    assert there("exec", "closed", "--", "curl", "-sS", "-m", "8", "http://one.test/").rc != 0
    assert there("rm", "-f", "web", "closed").rc == 0


def test_only_pid_1_stays(boxes, ws, user):
    """A large workspace is searched by a process of its own; when it is done nothing is left of it, for months."""
    for i in range(1000):  # more than is listed before the start
        user.write(ws / f"d{i}" / "file")
    boxes.make()
    assert boxes.exec("true").rc == 0
    supervisor = boxes.supervisor()

    def children():
        with open(f"/proc/{supervisor}/task/{supervisor}/children", encoding="ascii") as f:
            return len(f.read().split())
    time.sleep(0.1)  # the search starts soon after the sandbox
    assert wait_for(lambda: children() == 1)
