# SPDX-License-Identifier: Apache-2.0
"""Standard streams travel through unharmed, and nothing else does."""
import os
import subprocess
import threading

import pytest

from conftest import BAILEY, PYTHON

FDS = (
    "import os; me = os.open('/proc/self/fd', os.O_RDONLY)\n"
    "for fd in sorted(int(f) for f in os.listdir(me)):\n"
    "    if fd != me:\n"
    "        try: print(fd, os.readlink(f'/proc/self/fd/{fd}'))\n"
    "        except OSError: pass\n"
)


def test_pipes(run):
    r = run("cat; echo err >&2", stdin="in\n")
    assert (r.rc, r.out, r.command_err) == (0, "in\n", "err\n")


def test_stderr_is_separate(run):
    r = run("echo out; echo err >&2; exit 3")
    assert (r.rc, r.out, r.command_err) == (3, "out\n", "err\n")


def test_one_gibibyte(start):
    total = 1 << 30
    # An odd block size: a lost, doubled or swapped piece can't stay in step.
    block = os.urandom((1 << 20) - 7)
    twice = block * 2
    proc = start(["cat"], stdin=subprocess.PIPE, pipesize=1 << 20)

    def feed():
        left = total
        try:
            while left:
                left -= os.write(proc.stdin.fileno(), block[total_sent(left) :][:left])
        except BrokenPipeError:
            pass
        proc.stdin.close()

    def total_sent(left):
        return (total - left) % len(block)

    feeder = threading.Thread(target=feed)
    feeder.start()
    got, same = 0, True
    while same:
        piece = os.read(proc.stdout.fileno(), 1 << 20)
        if not piece:
            break
        at = got % len(block)
        same = piece == twice[at : at + len(piece)] if at + len(piece) <= len(twice) else False
        got += len(piece)
    if not same:
        proc.kill()
    feeder.join(30)
    assert same, f"bytes differ near {got}"
    assert got == total
    assert proc.wait(10) == 0


def test_early_reader_exit_does_not_hang(user, ws, bailey):
    script = f"'{BAILEY}' run -- yes | head -c 100000 | wc -c"
    r = user.exec(["sh", "-c", script], cwd=ws, timeout=60)
    assert r.out.strip() == "100000"


def test_stdin_at_end(run):
    assert run("cat; echo done").out == "done\n"


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_streams(user, ws, bailey, closed):
    # What the command sees on 0-2 is nothing or /dev/null, never a file of bailey's.
    script = f"exec '{BAILEY}' run -- {PYTHON} fds.py {closed}"
    user.write(ws / "fds.py", "import sys\nsys.stdout = open('seen', 'w')\n" + FDS)
    r = user.exec(["sh", "-c", script], cwd=ws)
    assert r.rc == 0, r
    seen = dict(line.split(" ", 1) for line in (ws / "seen").read_text().splitlines())
    seen = {fd: name for fd, name in seen.items() if not name.endswith(("/seen", "/fds.py"))}
    assert set(seen) <= {"0", "1", "2"}, seen
    for name in seen.values():
        assert name.startswith("pipe:") or name.endswith("/null"), seen


def test_stdin_regular_file(run, user, outside):
    src = user.write(outside / "in.txt", "line one\nline two\n")
    with open(src, "rb") as f:
        r = run("read first; echo got $first; cat", stdin=f)
    assert r.out == "got line one\nline two\n"


def test_stdin_file_is_seekable(run, user, ws):
    src = user.write(ws / "in.txt", "abc")
    with open(src, "rb") as f:
        r = run([PYTHON, "-c", "import os; print(os.lseek(0, 0, os.SEEK_END))"], stdin=f)
    assert r.out == "3\n"


@pytest.mark.parametrize("where", ["ws", "outside"])
def test_stdout_appends_to_a_file(run, user, request, where):
    target = user.write(request.getfixturevalue(where) / "log", "before\n")
    with open(target, "ab") as f:
        r = run("echo one; echo two", stdout=f)
        f.write(b"after\n")
    assert r.rc == 0, r
    assert target.read_text() == "before\none\ntwo\nafter\n"


def test_stdout_new_file_and_stderr_to_the_same(run, user, outside):
    target = user.write(outside / "log")
    with open(target, "wb") as f:
        assert run("echo one; echo two >&2; echo three", stdout=f, stderr=subprocess.STDOUT).rc == 0
    assert [li for li in target.read_text().splitlines() if not li.startswith("bailey:")] == ["one", "two", "three"]


@pytest.mark.parametrize("degraded", [(), ("--allow-degraded=landlock",)], ids=["", "degraded-option"])
def test_read_only_stdin_stays_read_only(run, user, outside, degraded):
    # Re-opening through /proc must not give more than the open file had.
    src = user.write(outside / "in.txt", "precious\n")
    with open(src, "rb") as f:
        r = run("cat; : > /proc/self/fd/0 && echo TRUNCATED; echo evil >> /proc/self/fd/0 && echo WRITTEN", *degraded, stdin=f)
    assert r.out == "precious\n"
    assert src.read_text() == "precious\n"


def test_append_only_stdout_stays_append_only(run, user, outside):
    target = user.write(outside / "log", "precious\n")
    with open(target, "ab") as f:
        run("echo line; : > /proc/self/fd/1", stdout=f)
    assert target.read_text() == "precious\nline\n"


@pytest.mark.parametrize("fd", [0, 1, 2])
@pytest.mark.parametrize("flags", [os.O_DIRECTORY, os.O_PATH], ids=["directory", "o_path"])
def test_directory_as_a_stream_is_refused(user, ws, outside, bailey, flags, fd):
    # A directory of the host is a way past every mount: /proc/self/fd/0/../.ssh
    user.write(user.home / ".ssh" / "id_ed25519", "canary\n", 0o600)
    code = f"import os, sys; os.dup2(os.open(sys.argv[1], {flags}), {fd}); os.execv(sys.argv[2], sys.argv[2:])"
    script = f"echo x > witness; cat /proc/self/fd/{fd}/../.ssh/id_ed25519 > got"
    r = user.exec([PYTHON, "-c", code, outside, BAILEY, "run", "--", "sh", "-c", script], cwd=ws)
    assert not (ws / "got").exists() or (ws / "got").read_text() == ""
    assert r.rc in (2, 125), r
    assert fd == 2 or r.bailey_err, r
    assert not (ws / "witness").exists()


def test_directory_as_an_extra_fd_is_no_way_out(user, ws, outside, bailey):
    script = f"exec '{BAILEY}' run -- sh -c 'echo x > /proc/self/fd/7/evil' 7< '{outside}'"
    user.exec(["sh", "-c", script], cwd=ws)
    assert not (outside / "evil").exists()


def test_big_environment(run):
    env = {f"BIG_{i}": "x" * 1000 for i in range(900)}
    env["LONG"] = "y" * 100_000
    code = "import os; print(sum(k.startswith('BIG_') and len(v) == 1000 for k, v in os.environ.items()), len(os.environ['LONG']))"
    r = run([PYTHON, "-c", code], env=env)
    assert (r.rc, r.out) == (0, "900 100000\n"), r.err


def test_many_arguments(run):
    args = ["z" * 100] * 5000
    r = run([PYTHON, "-c", "import sys; print(len(sys.argv))", *args])
    assert (r.rc, r.out) == (0, "5001\n"), r.err


def test_terminal(user, ws, bailey):
    # script(1) is not everywhere; Python's pty is.
    code = (
        "import os, pty, sys\n"
        "out = b''\n"
        "def read(fd):\n    global out\n    data = os.read(fd, 1024)\n    out += data\n    return data\n"
        "status = pty.spawn(sys.argv[1:], read, lambda fd: b'')\n"
        "sys.exit(os.waitstatus_to_exitcode(status))\n"
    )
    r = user.exec([PYTHON, "-c", code, BAILEY, "run", "--", "sh", "-c", "test -t 0 && test -t 1 && echo tty; exit 7"], cwd=ws)
    assert r.rc == 7, r
    assert "tty" in r.out
