# SPDX-License-Identifier: Apache-2.0
"""
Attacks of docs/attacks.md on sandboxes that stay, by their user and by their root (sudo). Each has a control, which shows that the same thing works outside, and
an allowed twin inside. Who is attacked here is the caller's own bailey: what reads and writes for him (cp, diff), and the supervisor.
"""
import contextlib
import json
import os
import pathlib
import re
import shutil
import subprocess
import time

import pytest

import hijacked
from conftest import BAILEY, PYTHON, file_system, skip, wait_for
from test_named import boxes, by_signals  # noqa: F401 (fixtures)
from test_named_life import events, grows, stands_still, state, supervisor, ticks

# pylint: disable=redefined-outer-name

WAYS = {"agent": [], "root": ["sudo", "-n"]}
ROUNDS = 100000


@pytest.fixture(params=list(WAYS))
def way(request, user, ws):
    """Who attacks: what stands before the words."""
    if request.param == "root" and (not shutil.which("sudo") or (user.is_root and file_system(ws) == "overlayfs")):
        skip("no root inside: no sudo, or no idmapped mounts")
    return WAYS[request.param]


@pytest.fixture
def attack(boxes, way):
    """attack("sh text" or [words]) in the sandbox, by who it is that attacks."""

    def call(cmd, *options, name="box", **kw):
        return boxes.exec([*way, *(["sh", "-c", cmd] if isinstance(cmd, str) else cmd)], *options, name=name, **kw)

    return call


# --- 3, 4: links that are planted, or come and go --------------------------------------------------------------------------------------------


def test_planted_links_are_not_read_through(boxes, attack, ws, outside, user):
    """3: what reads for the caller has the sandbox's rights, or follows no link. The control: outside the link leads there."""
    user.write(outside / "secret", "s3cret\n")
    user.write(ws / "real", "real\n")
    boxes.make("box", "--deny-read", outside)
    assert attack(f"ln -s {outside} x; ln -s {outside}/secret y; ls -d x y").rc == 0
    assert user.exec(["cat", ws / "x/secret", ws / "y"]).out == "s3cret\ns3cret\n"
    for name in ("x/secret", "x/../secret", "x/."):
        r = boxes("cp", f"box:{ws}/{name}", "-")
        assert r.rc != 0 and "s3cret" not in r.out + r.err, (name, r)
    to = user.mkdir(user.base / "taken")
    try:
        r = boxes("cp", f"box:{ws}/.", to)
        assert r.rc == 0 and (to / "real").read_text() == "real\n" and (to / "y").is_symlink() and (to / "x").is_symlink(), r
    finally:
        shutil.rmtree(to)


def test_planted_links_in_a_copy(boxes, attack, ws, outside, user):
    """3: of a copy, too, which the host looks at while the sandbox lives."""
    user.write(outside / "secret", "s3cret\n")
    user.write(ws / "f", "old\n")
    user.write(ws / "g", "old\n")
    user.write(ws / "d/secret", "old\n")
    assert boxes("create", "--deny-read", outside, "box", ".:overlay").rc == 0
    r = attack(f"rm -r f d && ln -s {outside}/secret f && ln -s {outside} d && echo twin > g && ls -d f d")
    assert r.rc == 0, r
    r = boxes("diff", "box")
    assert r.rc in (0, 1) and "+twin" in r.out and "s3cret" not in r.out + r.err and f"{outside}/secret" in r.out, r
    assert user.exec(["diff", "-r", "--no-dereference", ws, ws]).rc == 0 and (ws / "f").read_text() == "old\n"


SWAP = """
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
n = 0
at = os.open("rounds", os.O_CREAT | os.O_RDWR, 0o666)
for fd in 0, 1, 2:
    os.close(fd)
while True:
    if libc.renameat2(-100, b"d", -100, b"l", 2):
        os._exit(ctypes.get_errno())
    n += 1
    if n % 100 == 0:
        os.pwrite(at, b"%012d" % n, 0)
"""


def swap(boxes, way, ws, outside):
    """d, a directory with f, and l, a link to OUTSIDE, change places as fast as they can, deeper than the watcher looks. Return: where; how often by now."""
    at = ws / "deeper/than/the/watcher"
    r = boxes.exec(f"mkdir -p {at}/d && cd {at} && echo mine > d/f && ln -s {outside} l")
    assert r.rc == 0, r
    assert boxes.exec([*way, PYTHON, "-c", SWAP], "-d", "-w", at, "--name", "swap").rc == 0

    def rounds():
        return int(boxes.exec(f"cat {at}/rounds 2>/dev/null || echo 0").out or 0)
    assert wait_for(lambda: rounds() > 0)
    return at, rounds


def until(rounds, once, enough):
    """Call ONCE until there were ROUNDS, and ENOUGH() holds; not for ever."""
    end = time.monotonic() + 50
    while time.monotonic() < end and (rounds() < ROUNDS or not enough()):
        once()
    assert rounds() >= ROUNDS


def test_exchanged_while_the_host_writes(boxes, way, ws, outside, user):
    """4: what cp writes for the caller, in and out, lands in the workspace or nowhere. The control: cp(1) of the host lands outside, too."""
    boxes.make("box", "--deny-read", outside)
    at, rounds = swap(boxes, way, ws, outside)
    boxes.exec("mkdir -p /tmp/t/d; echo evil > /tmp/t/d/evil; chmod -R a+rX /tmp/t")
    mine = user.write(user.base / "evil", "evil\n")
    done = [0, 0]

    def once():
        for i, r in enumerate((boxes("cp", mine, f"box:{at}/d/evil"), boxes("cp", "box:/tmp/t/.", at))):
            done[i] += r.rc == 0
            said.add(r.err)
        assert not list(outside.iterdir()), "nothing lands outside"
    said: set[str] = set()
    until(rounds, once, lambda: all(done))
    assert all(done), ("the twin: into the directory it is written", done, said)
    loop = f"for i in $(seq 2000); do cp {mine} d/control 2>/dev/null; [ -e {outside}/control ] && exit 7; done"
    assert user.exec(["sh", "-c", loop], cwd=at).rc == 7, "the control: it does lead outside"
    user.exec(["rm", "-f", mine, outside / "control"])


def test_exchanged_while_the_host_reads(boxes, way, ws, outside, user):
    """4: in a copy: diff never shows what lies outside. The control: cat(1) inside the same tree of the host does."""
    user.write(outside / "f", "s3cret\n")
    assert boxes("create", "--deny-read", outside, "box", ".:overlay").rc == 0
    _, rounds = swap(boxes, way, ws, outside)
    seen = []

    def once():
        r = boxes("diff", "box")
        assert "s3cret" not in r.out + r.err, r
        seen.append("+mine" in r.out)
    until(rounds, once, lambda: any(seen))
    assert any(seen), "the twin: what the copy has is shown"
    upper = [p for p in boxes.home.glob("runs/*/**/l") if p.is_symlink() or p.is_dir()]
    assert upper, "the copy lies here"
    loop = "for i in $(seq 3000); do grep -q s3cret d/f 2>/dev/null && exit 7; done"
    assert subprocess.run(["sh", "-c", loop], cwd=upper[0].parent, check=False).returncode == 7, "the control: it does lead outside"


# --- 23, 24, 25: what fills, what is large, what never answers ---------------------------------------------------------------------------------


def test_private_storage_is_bounded(boxes, attack, user):
    """23: blocks and inodes of what is private; the control: outside there is room. The home is no such place (SECURITY.md), but is the caller's disk alone."""
    fill = "head -c 64M /dev/zero > {0}/big; echo $? $(stat -c %s {0}/big); rm {0}/big"
    boxes.make("box", "--disk", "16M")
    for place in ("/tmp", "/var/tmp", "/dev/shm"):
        r = attack(fill.format(place))
        assert len(r.out.split()) == 2, (place, r)
        assert r.out.split()[0] == "1" and int(r.out.split()[1]) <= 16 << 20 and "No space left" in r.err, (place, r)
        assert attack(f"echo x > {place}/small && cat {place}/small").out == "x\n", "the twin: what fits"
    r = attack([PYTHON, "-c", "import os\nn = 0\ntry:\n  while n < 10**6:\n    os.mknod(f'/tmp/{n}'); n += 1\nexcept OSError as e:\n  print(e.errno == 28)"])
    assert r.out == "True\n", r
    assert attack("true").rc == 0 and boxes("stop", "box").rc == 0
    assert attack("echo x > /tmp/small && cat /tmp/small").out == "x\n", "it is empty after a stop"
    out = user.mkdir(user.base / "control")
    assert user.exec(["sh", "-c", fill.format(out)]).out.split() == ["0", str(64 << 20)]
    out.rmdir()


def test_a_sparse_file(boxes, attack, ws, user):
    """24: a TiB of nothing costs neither time nor disk: cp ends at its --max-size, diff looks at no hole. The control: it has that size outside."""
    boxes.make()
    assert attack("truncate -s 1T big; echo small > small").rc == 0 and (ws / "big").stat().st_size == 1 << 40
    r = boxes("cp", f"box:{ws}/big", user.base / "got")
    assert r.rc != 0 and "more than 68719476736 bytes" in r.err and r.secs < 30 and not (user.base / "got").exists(), r
    assert boxes("cp", f"box:{ws}/small", "-").rc == 0
    assert boxes("rm", "-f", "box").rc == 0 and boxes("create", "box", ".:overlay").rc == 0
    assert attack("truncate -s 1T new; echo changed > small2").rc == 0
    r = boxes("diff", "box")
    assert r.secs < 30 and "+changed" in r.out and "new" in r.out and len(r.out) < 1 << 20, r


def test_what_never_answers(boxes, attack, ws, user):
    """25: FIFOs and sockets where cp and diff read: no hang. The control: cat(1) waits for ever."""
    user.write(ws / "f", "old\n")
    plant = f"mkfifo -m 666 fifo; {PYTHON} -c 'import socket; socket.socket(socket.AF_UNIX).bind(\"sock\")'; echo twin > twin; ls fifo sock"
    boxes.make()
    r = attack(plant)
    assert r.rc == 0, r
    assert user.exec(["timeout", "0.5", "cat", ws / "fifo"]).rc == 124
    for name in ("fifo", "sock"):
        r = boxes("cp", f"box:{ws}/{name}", "-")
        assert r.rc != 0 and r.secs < 30 and name in r.err, r
        r = boxes("cp", ws / name, "box:/tmp")
        assert r.rc != 0 and r.secs < 30 and name in r.err, r
    assert boxes("cp", f"box:{ws}/twin", "-").rc == 0
    r = boxes("cp", ws / "fifo", f"box:{ws}/twin2")
    assert boxes("rm", "-f", "box").rc == 0 and boxes("create", "box", ".:overlay").rc == 0
    r = attack("rm -f f && mkfifo f && echo changed > new")
    assert r.rc == 0, r
    r = boxes("diff", "box")
    assert r.secs < 30 and "+changed" in r.out, r


# --- 59, 68: sockets ---------------------------------------------------------------------------------------------------------------------------

PROBE = """
import errno, os, socket, sys
def ask(kind, what):
    try:
        if kind == "list":
            os.listdir(what)
            return "ok"
        if kind == "kill":
            os.kill(int(what), 0)
            return "ok"
        family, type_, at = {"tcp": (socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", int(what) if kind == "tcp" else 0)),
                             "abstract": (socket.AF_UNIX, socket.SOCK_STREAM, "\\0" + what), "unix": (socket.AF_UNIX, socket.SOCK_SEQPACKET, what)}[kind]
        s = socket.socket(family, type_)
        s.settimeout(1.5)
        s.connect(at)
        return "closed" if kind == "unix" and s.recv(1) == b"" else "ok"
    except TimeoutError:
        return "ok"
    except OSError as e:
        return errno.errorcode[e.errno]
for word in sys.argv[1:]:
    print(ask(*word.split(":", 1)))
"""
SERVE = """
import os, socket, time
a = socket.create_server(("127.0.0.1", 8123))
b = socket.socket(socket.AF_UNIX); b.bind("\\0bailey-b-talk"); b.listen(9)
for fd in 0, 1, 2:
    os.close(fd)
time.sleep(1000)
"""


def test_one_sandbox_to_another(boxes, way, user, ws):
    """59: neither its loopback, its abstract sockets, its processes, its home, nor the supervisor of any."""
    ids = {n: boxes.make(n, "--pids", "50") for n in ("a", "b")}
    assert boxes.exec([PYTHON, "-c", SERVE], "-d", name="b").rc == 0 and boxes.exec("true", name="a").rc == 0
    inside_b = ["tcp:8123", "abstract:bailey-b-talk"]
    assert wait_for(lambda: boxes.exec([*way, PYTHON, "-c", PROBE, *inside_b], name="b").out == "ok\nok\n"), "the twin"
    (pid,) = [p for p in filter(str.isdigit, os.listdir("/proc")) if _is_server(p)]
    of_host = [f"kill:{pid}", f"unix:{boxes.home}/run/sandbox-a", f"unix:{boxes.home}/run/sandbox-b", f"list:{boxes.home}/run", f"list:{boxes.home}/sandboxes/{ids['b']}", f"list:{boxes.home}"]
    assert user.exec([PYTHON, "-c", PROBE, *of_host[1:]]).out == "ok\n" * (len(of_host) - 1), "the control: outside the caller may"
    assert subprocess.run(["kill", "-0", pid], check=False).returncode == 0
    r = boxes.exec([*way, PYTHON, "-c", PROBE, *inside_b, *of_host], name="a")
    got = r.out.split()
    assert len(got) == 8 and got[:2] == ["ECONNREFUSED"] * 2 and got[2] == "ESRCH" and set(got[3:]) <= {"ENOENT", "EACCES"}, r


def _is_server(pid):
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as f:
            return b"bailey-b-talk" in f.read() and os.readlink(f"/proc/{pid}/exe") and b"exec" not in open(f"/proc/{pid}/cmdline", "rb").read().split(b"\0")[:2]
    except OSError:
        return False


@contextlib.contextmanager
def opened(path):
    """Every directory on the way, and what is there, lets everybody through; then they are as they were."""
    old = [(p, p.stat().st_mode & 0o7777) for p in [path, *path.parents][:-1]]
    try:
        for p, mode in old:
            p.chmod(mode | (0o666 if p == path else 0o005))
        yield
    finally:
        for p, mode in old:
            p.chmod(mode)


def test_another_user_and_the_supervisor(boxes, user):
    """68: two walls, each alone: no way to the socket; and the supervisor looks who is there. The twin: the caller himself, by the same program."""
    if os.geteuid() != 0:
        skip("another user needs root")
    boxes.make()
    assert boxes.exec("true").rc == 0
    sock = boxes.home / "run/sandbox-box"

    def other(argv, **kw):
        return subprocess.run(argv, user=54321, group=54321, extra_groups=[], cwd="/", capture_output=True, text=True, check=False,
                              env={"PATH": os.environ["PATH"], "HOME": "/nonexistent", **boxes.env}, **kw)
    ask = [PYTHON, "-c", PROBE, f"unix:{sock}"]
    assert user.exec(ask).out == "ok\n"
    assert other(ask).stdout == "EACCES\n"
    with opened(sock):
        assert other(ask).stdout == "closed\n"
        for words in (["exec", "box", "--", "id"], ["stop", "box"], ["pause", "box"], ["ls"]):
            r = other([BAILEY, *words])
            assert r.returncode != 0 and "uid" not in r.stdout and "box" not in r.stdout, r
        assert user.exec(ask).out == "ok\n"
    assert state(boxes) == "running" and boxes.exec("echo up").out == "up\n"


# --- 64, 67: kills, and numbers of processes ---------------------------------------------------------------------------------------------------

# (64 is test_named_crash.py)
SIGNALS = re.compile(r"^(\d+) +(?:<\.\.\. )?(kill|tgkill|tkill|wait4|waitid)(?:\(| resumed>)(.*)$")


def signals(trace):
    """
    Of what strace -f wrote of processes that have the same numbers, whoever of them it was: (lines with a signal to who was reaped before, by whom and to whom signals
    went by a bare number, who was reaped by whom).
    """
    reaped: list[tuple[str, int]] = []
    sent: list[tuple[str, int]] = []
    wrong: list[str] = []
    half: dict[tuple[str, str], str] = {}
    for line in trace.split("\n"):
        m = SIGNALS.match(line)
        if not m:
            continue
        who, call, rest = m[1], m[2], m[3]
        if "resumed>" in line:
            rest = half.pop((who, call), "") + rest
        elif call.endswith("kill"):  # counts when it begins
            pid = abs(int(rest.split(",")[0]))
            if pid > 1:
                sent.append((who, pid))
            if pid in (n for _, n in reaped):
                wrong.append(line)
        if rest.endswith("<unfinished ...>"):
            half[who, call] = rest.removesuffix("<unfinished ...>")
            continue
        result = re.search(r"\) += (\d+)", rest)
        if call == "wait4" and result and int(result[1]) > 0 and "WIFSTOPPED" not in rest and "WIFCONTINUED" not in rest:
            reaped.append((who, int(result[1])))
        elif call == "waitid" and result and "WNOWAIT" not in rest and (child := re.search(r"si_pid=(\d+)", rest)):
            reaped.append((who, int(child[1])))
    return wrong, sent, reaped


def below(pid):
    """PID and what descends from it: those that have its numbers, and those that have others."""
    own: list[int] = []
    others: list[int] = []
    todo = [pid]
    while todo:
        p = todo.pop()
        try:
            (own if os.readlink(f"/proc/{p}/ns/pid") == os.readlink(f"/proc/{pid}/ns/pid") else others).append(p)
            todo += [int(n) for n in pathlib.Path(f"/proc/{p}/task/{p}/children").read_text().split()]
        except OSError:
            pass  # gone meanwhile
    return own, others


def is_traced(pid):
    try:
        return "TracerPid:\t0\n" not in pathlib.Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return True  # gone meanwhile


def test_no_signal_to_a_number_that_was_reaped(boxes, by_signals, tmp_path):
    """67: the supervisor and PID 1, while commands end, are killed, outlive their clients, are paused, and all of it is stopped. Signals go by a pidfd, or to a child that is not reaped."""
    if not shutil.which("strace") or os.geteuid() != 0:
        skip("needs strace, and root for it")
    boxes.make()
    by_signals()  # a pause is one to each process
    pid = supervisor(boxes)
    hosts, insiders = below(pid)
    pid1 = insiders[0]
    trace = [subprocess.Popen(["strace", "-qq", "-f", "-o", tmp_path / name, "-e", "trace=kill,tgkill,tkill,wait4,waitid,pidfd_send_signal", *[f"-p{p}" for p in of]], stderr=subprocess.DEVNULL)
             for name, of in (("outside", hosts), ("inside", insiders))]
    try:
        assert wait_for(lambda: all(map(is_traced, (*hosts, *insiders))))
        for i in range(5):
            assert boxes.exec(f"exit {i}").rc == i
        assert boxes.exec("sleep 1000", "-d", "--name", "s").rc == 0 and boxes("kill", "box", "s").rc == 0
        assert wait_for(lambda: boxes("kill", "box", "s").rc != 0), "it has ended: nobody is meant any more"
        assert boxes.exec("kill -9 $$").rc == 137
        assert boxes("service", "add", "--restart", "no", "box", "web", "--", "sh", "-c", "sleep 1000 & exit 3").rc == 0
        assert wait_for(lambda: json.loads(boxes("service", "ls", "--json", "box").out)[0]["state"] == "failed")
        assert boxes.exec("trap '' TERM; while :; do sleep 1; done", "-d").rc == 0
        assert boxes("pause", "box").rc == 0 and boxes("resume", "box").rc == 0
        assert boxes("stop", "--time", "0", "box").rc == 0 and wait_for(lambda: not boxes.supervisors())
    finally:
        for t in trace:
            t.terminate()  # what outlives the supervisor goes on
            t.wait(60)
    outside, inside = ((tmp_path / name).read_text() for name in ("outside", "inside"))
    for text in (outside, inside):
        assert not signals(text)[0]
    assert re.search(r"pidfd_send_signal\(.*\) += 0", outside), "the pause was seen"
    _, sent, reaped = signals(outside)
    assert (str(pid), pid1) in sent and (str(pid), pid1) in reaped, ("so was the end of PID 1", outside)
    assert {to for _, to in sent} == {pid1}, ("and of nobody else", sent)
    _, sent, reaped = signals(inside)
    sent = [(who, to) for who, to in sent if who == str(pid1)]
    assert len(set(sent)) >= 2 and set(sent) <= set(reaped), ("PID 1 signals children of its own, which it reaps then", sent, reaped)


def test_the_judge_of_signals(tmp_path):
    """The controls: a shell that signals what it has waited for; what another one has waited for, in two halves, too; the twin: what nobody has."""
    if not shutil.which("strace"):
        skip("needs strace")
    subprocess.run(["strace", "-qq", "-f", "-o", tmp_path / "t", "-e", "trace=kill,wait4", "dash", "-c", "true & p=$!; wait $p; kill -9 $p 2>/dev/null; true"], check=True)
    assert len(signals((tmp_path / "t").read_text())[0]) == 1
    waits = ["7 wait4(-1, [{WIFEXITED(s) && WEXITSTATUS(s) == 0}], 0, NULL) = 9", "7 wait4(-1,  <unfinished ...>\n8 wait4(-1, 0x1, WNOHANG, NULL) = 0\n7 <... wait4 resumed>[{WIFEXITED(s)}], 0, NULL) = 9",
             "7 waitid(P_ALL, 0, {si_signo=SIGCHLD, si_code=CLD_EXITED, si_pid=9, si_uid=0}, WEXITED, NULL) = 0"]
    for wait in waits:
        for kill in ("8 kill(9, SIGKILL) = -1 ESRCH (No such process)", "8 kill(-9, SIGKILL <unfinished ...>", "8  tgkill(9, 9, SIGTERM) = 0"):
            assert signals(f"{wait}\n{kill}") == ([kill], [("8", 9)], [("7", 9)]), (wait, kill)
            assert not signals(f"{kill}\n{wait}")[0] and not signals(f"{wait}\n{kill.replace('9', '10')}")[0]
            assert not signals(f"{waits[2].replace('WEXITED', 'WEXITED|WNOWAIT')}\n{kill}")[0]


# --- 77: a debugger ------------------------------------------------------------------------------------------------------------------------------

DEBUG = """
import ctypes, errno, os, sys
libc = ctypes.CDLL(None, use_errno=True)
class Iov(ctypes.Structure):
    _fields_ = [("base", ctypes.c_void_p), ("len", ctypes.c_size_t)]
word = ctypes.create_string_buffer(b"x" * 8)
def answer(r):
    return "ok" if r >= 0 else errno.errorcode[ctypes.get_errno()]
def opened(path, how):
    try:
        os.close(os.open(path, how))
        return "ok"
    except OSError as e:
        return errno.errorcode[e.errno]
pid = int(sys.argv[1]) or os.fork()
if not pid:
    import time
    time.sleep(100)
at = Iov(ctypes.addressof(word), 8)
print(answer(libc.process_vm_readv(pid, ctypes.byref(at), 1, ctypes.byref(at), 1, 0)), answer(libc.process_vm_writev(pid, ctypes.byref(at), 1, ctypes.byref(at), 1, 0)),
      opened(f"/proc/{pid}/mem", os.O_RDWR), opened(f"/proc/{pid}/maps", os.O_RDONLY), answer(libc.syscall(438, libc.syscall(434, pid, 0), 0, 0)),
      answer(libc.ptrace(0x4206, pid, 0, 0)))
if not int(sys.argv[1]):
    os.kill(pid, 9)
"""


def test_a_debugger_on_pid_1(boxes, attack):
    """77: by whoever it is. The twin: a child of one's own (pidfd_getfd is nobody's)."""
    boxes.make()
    r = attack([PYTHON, "-c", DEBUG, "1"])
    assert set(r.out.split()) <= {"EPERM", "EACCES"} and len(r.out.split()) == 6, r
    own = attack([PYTHON, "-c", DEBUG, "0"]).out.split()
    assert own[:4] == ["ok"] * 4 and own[5] == "ok", own


# --- 77: PID 1 itself is hostile -------------------------------------------------------------------------------------------------------------------


def size_of(pid):
    """KiB of memory and the number of descriptors; None: it is gone."""
    try:
        found = re.search(r"^VmRSS:\s+(\d+)", pathlib.Path(f"/proc/{pid}/status").read_text("ascii", "replace"), re.M)
        return (int(found[1]), len(os.listdir(f"/proc/{pid}/fd"))) if found else None
    except OSError:
        return None


@pytest.mark.parametrize("words", hijacked.WORDS)
def test_hostile_words_of_pid_1(boxes, words):
    """
    Whatever PID 1 says: the supervisor goes on, or ends the sandbox and says why to who waits; it neither stops, nor grows, nor keeps descriptors. Another sandbox notices
    nothing, and this one starts again. The twin: PID 1's own words, meanwhile, are heard where the supervisor goes on.
    """
    boxes.make()
    client = boxes.start("exec", "box", "--", "sh", "-c", "echo begun; exec sleep 1000", stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert client.stdout.readline() == "begun\n"
    supervisor_of = boxes.supervisor()
    first, before = hijacked.first_of(supervisor_of), size_of(supervisor_of)
    boxes.make("other")
    assert boxes.exec("true", name="other").rc == 0
    r = subprocess.run([PYTHON, hijacked.__file__, str(first), words], capture_output=True, text=True, timeout=120, check=False)
    assert r.returncode == 0, r
    assert boxes.exec("echo there", name="other").out == "there\n"
    if words in hijacked.GO_ON:
        assert boxes.exec("echo there").out == "there\n"
        assert wait_for(lambda: (size := size_of(supervisor_of)) and size[0] < before[0] + 8192 and size[1] <= before[1] + 2), (before, size_of(supervisor_of))
        client.kill()
        client.communicate()
    else:
        out, err = client.communicate(timeout=60)
        print(words, client.returncode, err, r.stdout)
        assert client.returncode == 125 and re.fullmatch(r"bailey: [^\n]+\n", err), (client.returncode, err)
        assert wait_for(lambda: size_of(supervisor_of) is None) and state(boxes) == "stopped"
    assert boxes.exec("echo again").out == "again\n"


# --- 80: a pause that has no cgroup ----------------------------------------------------------------------------------------------------------------


COUNT = "(while :; do echo x >> {0}; sleep 0.02; done) >/dev/null 2>&1 &"


@pytest.mark.parametrize("how", ["signals", "default"])
def test_a_pause_reaches_everybody(boxes, by_signals, ws, user, how):
    """80: an ordinary user's, too: root inside, others there, who have ids of their own on the host."""
    for name in ("ticks", "root", "nobody"):
        user.write(ws / name, "", 0o666)
    boxes.make()
    if how == "signals":
        by_signals()
    boxes.exec(COUNT.format("ticks"))
    if json.loads(boxes("inspect", "box").out)[0]["root"]:
        for name in ("root", "nobody"):
            assert boxes.exec(COUNT.format(name), "-u", name).rc == 0

    def sizes():
        return [(ws / n).stat().st_size for n in ("ticks", "root", "nobody")]
    assert wait_for(lambda: all(sizes())) or not json.loads(boxes("inspect", "box").out)[0]["root"]
    assert boxes("pause", "box").rc == 0 and state(boxes) == "paused"
    before = sizes()
    time.sleep(0.3)
    assert sizes() == before
    assert boxes("resume", "box").rc == 0 and grows(ws)
    assert wait_for(lambda: all(a > b for a, b in zip(sizes(), before) if b))


def test_a_pause_that_can_not_be(boxes, by_signals, deny, ws):
    """80: who may not be stopped: no pause, nothing of it stopped, and one line says why and what would do it; an idle sandbox says so in its events, once."""
    boxes.make("box", "--idle-freeze", "1200ms")
    by_signals(deny, "424@1:19=EPERM", "--")  # SIGSTOP by pidfd_send_signal
    boxes.exec(COUNT.format("ticks"))
    assert wait_for(lambda: ticks(ws) > 0)
    for _ in range(2):
        r = boxes("pause", "box")
        assert r.rc == 125 and "may not stop" in r.err and "Delegate=yes" in r.err and "nothing of it is stopped" in r.err and r.err.count("\n") == 1, r
        assert r.secs < 30 and state(boxes) == "running" and grows(ws)
    assert [(e["event"], e.get("why")) for e in events(boxes) if "pause" in e["event"]] == [("pause-failed", "it has a process that you may not stop")]
    assert boxes("stop", "box").rc == 0
    by_signals()  # the twin
    boxes.exec(COUNT.format("ticks"))
    assert boxes("pause", "box").rc == 0 and stands_still(ws)


def test_a_pause_that_can_not_be_is_no_use(boxes, by_signals, deny):
    """What can't be paused is idle all the same, and stopped when its time is over."""
    boxes.make("box", "--idle-freeze", "400ms", "--idle-stop", "1500ms")
    by_signals(deny, "424@1:19=EPERM", "--")  # SIGSTOP by pidfd_send_signal
    boxes.exec("sleep 1000 >/dev/null 2>&1 & true")
    assert wait_for(lambda: state(boxes) == "stopped", 30)
    seen = [(e["event"], e.get("why")) for e in events(boxes)]
    assert "pause-failed" in dict(seen) and seen[-1] == ("stopped", "idle"), seen


TIMER = """
import ctypes, os, signal, time
signal.signal(signal.SIGCONT, lambda *a: None)  # without a handler newer kernels send nothing
class Event(ctypes.Structure):
    _fields_ = [("value", ctypes.c_void_p), ("signo", ctypes.c_int), ("notify", ctypes.c_int), ("rest", ctypes.c_byte * 48)]
libc = ctypes.CDLL(None)
timer = ctypes.c_int()
assert libc.syscall(222, 1, ctypes.byref(Event(None, 18, 0)), ctypes.byref(timer)) == 0
assert libc.syscall(223, timer, 0, ctypes.byref((ctypes.c_long * 4)(0, 100 * 10**6, 0, 100 * 10**6)), None) == 0
for fd in 0, 1, 2:
    os.close(fd)
while True:
    with open("ticks", "a") as f:
        f.write("x")
    time.sleep(0.02)
"""


def test_a_pause_by_signals_is_soft(boxes, by_signals, ws, user):
    """80: as SECURITY.md says, a timer that sends SIGCONT wakes its program; a cgroup holds it. When the first is so no more, that sentence can go."""
    if os.uname().machine != "x86_64":
        skip("numbers of calls of x86-64")
    (ws / "timer.py").write_text(TIMER)
    boxes.make()
    by_signals()
    assert boxes.exec([PYTHON, "timer.py"], "-d").rc == 0 and wait_for(lambda: ticks(ws) > 0)
    assert boxes("pause", "box").rc == 0 and state(boxes) == "paused" and grows(ws)
    if user.is_root:  # who has a cgroup where there is version 2
        assert boxes("stop", "box").rc == 0
        assert boxes.exec([PYTHON, "timer.py"], "-d").rc == 0 and grows(ws)
        assert boxes("pause", "box").rc == 0
        assert stands_still(ws) or not any("cgroup2" in li for li in open("/proc/mounts", encoding="utf-8"))
