# SPDX-License-Identifier: Apache-2.0
"""Rules about names that come after the start. Window: some milliseconds, where the watcher looks; else the end of the run."""
import contextlib
import json
import os
import shutil
import time

import pytest

from conftest import PYTHON, wait_for
from test_guard import quarantine, watchers
from test_sockets import CONNECT, servers


@pytest.mark.parametrize("script,moved", [
    ("echo x > later", "later"),
    ("mkdir later; echo x > later/f", "later"),
    ("ln -s /etc/passwd later", "later"),
    ("echo x > other; mv other later", "later"),
    ("echo x > other; ln other later", "later"),
    ("mkfifo later", "later"),
])
def test_deny_write_of_an_absent_name(run, bailey, user, ws, script, moved):
    """Made by a run, it is gone after it, and its contents are kept; the controls: without the rule, and outside, it stays."""
    r = run(script + "; echo y > beside", "--deny-write", "later")
    assert r.rc == 0 and not os.path.lexists(ws / "later"), r
    assert (ws / "beside").read_text() == "y\n"
    assert f"{ws}/{moved}" in r.bailey_err and "denied by --deny-write" in r.bailey_err and "--unprotect" not in r.bailey_err, r
    q = quarantine(bailey, ws)
    assert list(q) == [moved] and q[moved]["what"] == "denied by --deny-write", q
    assert run(script).rc == 0 and os.path.lexists(ws / "later"), "control: without the rule"
    user.exec(["rm", "-rf", ws / "later", ws / "other"])
    user.exec(["sh", "-c", script], cwd=ws)
    assert os.path.lexists(ws / "later"), "control: outside"


@pytest.mark.parametrize("script", [
    "mkdir -p a/b; echo x > a/b/c",
    "mkdir -p z/b; echo x > z/b/c; mv z a",
    "mkdir -p a z; echo x > z/c; ln -s ../z a/b",
    "mkdir -p z/b; echo x > z/b/c; ln -s z a",
])
def test_deny_write_with_absent_parents(run, user, ws, script):
    """Whatever way the parents come to be, the path leads to nothing afterwards."""
    r = run(script + "; echo y > beside", "--deny-write", "a/b/c")
    assert r.rc == 0 and not (ws / "a/b/c").exists(), r
    assert (ws / "beside").exists() and "denied by --deny-write" in r.bailey_err, r
    user.exec(["sh", "-c", "rm -rf *"], cwd=ws)
    run(script)
    assert (ws / "a/b/c").exists(), "control: without the rule"


def test_deny_write_parent_that_is_swapped(run, user, ws):
    """The parent exists; the command puts another directory, or a link, in its place."""
    for i, swap in enumerate(("mkdir new; echo x > new/f; mv d{0} old; mv new d{0}", "mkdir n{0}; echo x > n{0}/f; rmdir d{0}; ln -s n{0} d{0}")):
        user.mkdir(ws / f"d{i}")
        r = run(swap.format(i), "--deny-write", f"d{i}/f")
        assert r.rc == 0 and not (ws / f"d{i}" / "f").exists(), r


def test_deny_write_of_an_absent_name_while_the_run_lives(start, bailey, user, ws):
    proc = start("mkdir sub; echo up; read x; echo x > sub/later; read x", "--deny-write", "sub/later", stdin=-1, stdout=-1)
    assert proc.stdout.readline() == b"up\n" and wait_for(lambda: watchers(user))
    proc.stdin.write(b"\n")
    proc.stdin.flush()
    assert wait_for(lambda: list(quarantine(bailey, ws)) == ["sub/later"]), "moved while the run lives"
    assert proc.poll() is None and (ws / "sub").is_dir() and not (ws / "sub/later").exists()
    _, err = proc.communicate(b"\n")
    assert proc.returncode == 0 and err.decode().count("sub/later") == 1, err


def test_an_absent_name_is_said(bailey, user, ws):
    options = ["--deny-write", "later", "--deny-write", "none/below"]
    doc = json.loads(bailey(["run", "--explain=json", *options, "--", "true"], cwd=ws).out)
    assert doc["absent"] == [{"path": f"{ws}/later", "origin": "--deny-write"}, {"path": f"{ws}/none/below", "origin": "--deny-write"}]
    assert f"absent    {ws}/later  what appears there is moved away" in bailey(["run", "--explain", *options, "--", "true"], cwd=ws).out
    r = bailey(["check", *options, "write", ws / "later"], cwd=ws)
    assert r.rc == 1 and "denied, absent" in r.out and "what appears there is moved away" in r.out, r
    assert bailey(["check", *options, "write", ws / "beside"], cwd=ws).rc == 0
    assert not list(ws.iterdir()), "nothing is made on the host"


def test_in_a_policy_file(run, user, ws, outside):
    f = user.write(outside / "p.json", json.dumps({"filesystem": {"denyWrite": [f"{ws}/later"]}}))
    r = run("echo x > later", "--policy", f)
    assert r.rc == 0 and not (ws / "later").exists() and f"denied by {f}:1" in r.bailey_err, r


class Live:
    """A run whose shell does what it is told, line by line, and says what came of it."""

    def __init__(self, start, user, *options):
        self.proc = start("while read -r line; do eval \"$line\" 2>&1; echo; echo ==$?; done", *options, stdin=-1, stdout=-1)
        self("true")
        assert wait_for(lambda: watchers(user)), "the run has a watcher"
        time.sleep(0.05)  # and it knows of the run; every test below waits for an effect, too

    def __call__(self, line):
        self.proc.stdin.write(line.encode() + b"\n")
        self.proc.stdin.flush()
        out = b""
        while not (got := self.proc.stdout.readline()).startswith(b"=="):
            assert got, out
            out += got
        return out.decode().strip()


DENIALS = [
    (["--deny-read", "secret"], "secret"), (["--hide", "secret"], "secret"), (["--deny-read", "**/.env"], ".env"), (["--deny-read", "**/.env"], "sub/.env"),
    (["--hide", "**/*.pem"], "sub/a.pem"), (["--deny-read", "sub/secret"], "sub/secret"), (["--deny-read", "*.key"], "x.key"),
]


@pytest.mark.parametrize("maker", ["host", "renamed", "command"])
@pytest.mark.parametrize("options,name", DENIALS)
def test_a_denied_file_that_comes(start, user, ws, options, name, maker):
    """Unreadable soon after it came, whoever made it; the controls: the same run without the rule, outside, and a name beside it."""
    user.mkdir(ws / "sub")
    live, free = Live(start, user, *options), Live(start, user)
    if maker == "host":
        user.write(ws / name, "canary\n")
    elif maker == "renamed":  # as editors save
        user.write(ws / name, "first\n")
        assert wait_for(lambda: "first" not in live(f"cat {name}"))
        user.write(ws / "new", "canary\n").rename(ws / name)
    else:
        live(f"echo canary > {name}")
    user.write(ws / "sub" / "beside", "beside\n")
    assert wait_for(lambda: "Permission denied" in live(f"cat {name}")), live(f"cat {name}")
    for way in (f"cat < {name}", f"cp {name} copy; cat copy", f"chmod 644 {name}; cat {name}", f"ln {name} other; cat other", f"mv {name} other; cat other",
                f"rm -f {name}; cat {name}", f"echo x >> {name}; cat {name}", f"mv sub bus; cat bus/{name[4:]}; mv bus sub"):
        assert "canary" not in live(way), way
    assert live("cat sub/beside") == "beside" and "canary" in free(f"cat {name}")
    assert (ws / name).read_text() == "canary\n", "the host's file is as it was"
    assert live("echo mine > own; cat own") == "mine"


def test_a_denied_directory_that_comes(start, user, ws):
    live, free = Live(start, user, "--deny-read", "secrets", "--hide", "**/.ssh"), Live(start, user)
    for d in ("secrets", "a/.ssh"):
        user.write(ws / d / "key", "canary\n")
        assert wait_for(lambda d=d: "Permission denied" in live(f"cat {d}/key")), live(f"ls -la {d}")
        assert "key" not in live(f"chmod 755 {d}; ls {d}")
        assert free(f"cat {d}/key") == "canary"


def test_a_tree_that_is_moved_in(start, user, ws, outside):
    """One event for all of it."""
    user.write(outside / "t" / "a" / ".env", "canary\n")
    user.write(outside / "t" / "a" / "beside", "beside\n")
    live = Live(start, user, "--deny-read", "**/.env")
    if (outside / "t").stat().st_dev != ws.stat().st_dev:
        shutil.copytree(outside / "t", ws / "t")
        for p in (ws / "t", *(ws / "t").rglob("*")):
            user.own(p)
    else:
        (outside / "t").rename(ws / "t")
    assert wait_for(lambda: "Permission denied" in live("cat t/a/.env")), live("ls -laR t")
    assert live("cat t/a/beside") == "beside"


def test_an_exception_holds_for_what_comes(start, user, ws):
    """A later pattern is as good as one of the start, no better: what it would not have denied stays readable."""
    live = Live(start, user, "--deny-read", "**/.env", "--allow-read", ws)
    user.write(ws / ".env", "canary\n")
    assert wait_for(lambda: "Permission denied" in live("cat .env"))
    user.write(ws / ".env.example", "example\n")
    time.sleep(0.1)
    assert live("cat .env.example") == "example"


def test_a_replaced_denied_file_is_covered_again(start, user, ws):
    """Of the start, and saved anew by an editor."""
    user.write(ws / "secret", "canary\n")
    live = Live(start, user, "--deny-read", "secret")
    assert "Permission denied" in live("cat secret")
    user.write(ws / "new", "canary two\n").rename(ws / "secret")
    assert wait_for(lambda: "Permission denied" in live("cat secret"))


def connects(live, path):
    return live(f"{PYTHON} try.py {path}") == path.name


@pytest.mark.parametrize("where", [".", "sub"])
def test_a_socket_of_the_host_that_comes(start, user, ws, where):
    """Attack 49, the window: dead soon after it came. The control: outside it answers all the time."""
    user.mkdir(ws / "sub")
    user.write(ws / "try.py", CONNECT)
    live = Live(start, user)
    path = ws / where / "late.sock"
    with servers(user, path):
        assert wait_for(lambda: not connects(live, path)), "reached"
        assert user.exec([PYTHON, ws / "try.py", path], cwd=ws).out == "late.sock\n", "control"
        assert not connects(live, path)
    with servers(user, path):  # another one of that name
        assert wait_for(lambda: not connects(live, path)), "reached"
        assert user.exec([PYTHON, ws / "try.py", path], cwd=ws).out == "late.sock\n", "control"


CATCH = (
    "import os, socket, stat, sys, time\n"
    "print('waits', flush=True)\n"
    "def reach():\n"
    "    s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); s.recv(100); return s\n"
    "end, first = time.monotonic() + 5, None\n"
    "while not first and time.monotonic() < end:\n"
    "    try: first = reach()\n"
    "    except FileNotFoundError: pass\n"
    "    except ConnectionRefusedError:\n"
    "        if not stat.S_ISSOCK(os.lstat(sys.argv[1]).st_mode): break\n"
    "    except OSError: break\n"
    "while True:\n"
    "    time.sleep(0.01)\n"
    "    try: reach().close()\n"
    "    except OSError: break\n"
    "    if time.monotonic() > end: print('reached', flush=True); sys.exit()\n"
    "print('dead, first', bool(first), flush=True)\n"
)


def test_who_connects_in_the_window_owns_nothing(start, user, ws):
    """The kernel puts the server's end of a connection into the client's namespace, with the server's file."""
    user.write(ws / "catch.py", CATCH)
    for i in range(10):
        proc = start([PYTHON, "catch.py", ws / f"s{i}"], stdin=-1, stdout=-1)
        assert proc.stdout.readline() == b"waits\n"
        time.sleep(0.1)
        with servers(user, ws / f"s{i}"):
            out = proc.stdout.readline()
        assert out.startswith(b"dead"), (i, out)


SERVE = (
    "import os, socket, sys, threading\n"
    "for p in sys.argv[1:]:\n"
    "    s = socket.socket(socket.AF_UNIX); s.bind(p); s.listen(8)\n"
    "    def serve(s=s, p=p):\n"
    "        while True: c, _ = s.accept(); c.sendall(os.path.basename(p).encode()); c.close()\n"
    "    threading.Thread(target=serve).start()\n"
)


def test_the_own_sockets_keep_working(start, user, ws):
    """Bound inside by an absolute and a relative name, while host sockets come beside them, and bound again."""
    user.mkdir(ws / "sub")
    user.write(ws / "try.py", CONNECT)
    user.write(ws / "serve.py", SERVE)
    live = Live(start, user)
    live(f"{PYTHON} serve.py {ws}/abs.sock sub/rel.sock > /dev/null & pid=$!")
    assert wait_for(lambda: connects(live, ws / "abs.sock") and connects(live, ws / "sub" / "rel.sock"))
    with servers(user, ws / "late.sock"):
        assert wait_for(lambda: not connects(live, ws / "late.sock")), "reached"
        for _ in range(20):
            assert connects(live, ws / "abs.sock") and connects(live, ws / "sub" / "rel.sock")
            time.sleep(0.01)
    live("kill $pid; wait $pid; rm abs.sock sub/rel.sock")
    for i in range(30):
        live(f"{PYTHON} serve.py {ws}/a{i}.sock > /dev/null & pid=$!")
        assert wait_for(lambda i=i: connects(live, ws / f"a{i}.sock")), i
        time.sleep(0.03)
        assert connects(live, ws / f"a{i}.sock"), i
        assert live(f"kill $pid; wait $pid; rm a{i}.sock && echo gone").endswith("gone"), i


def test_a_socket_that_is_given_stays(start, user, ws):
    user.write(ws / "try.py", CONNECT)
    with servers(user, ws / "given.sock"):
        live = Live(start, user, "--allow-socket", ws / "given.sock")
        with servers(user, ws / "late.sock"):
            assert wait_for(lambda: not connects(live, ws / "late.sock")), "reached"
            assert connects(live, ws / "given.sock")
            user.write(ws / "file")  # looked at again
            time.sleep(0.1)
            assert connects(live, ws / "given.sock")
    with servers(user, ws / "given.sock"):  # as --allow-socket says: another one is not given
        assert wait_for(lambda: not connects(live, ws / "given.sock")), "reached"
        assert user.exec([PYTHON, ws / "try.py", ws / "given.sock"], cwd=ws).out == "given.sock\n", "control"


def test_an_inode_number_is_not_enough(start, user, ws):
    """Sockets of the sandbox on its private /tmp can't vouch for one of the host, whatever their numbers are."""
    user.write(ws / "try.py", CONNECT)
    user.write(ws / "many.py", SERVE)
    live = Live(start, user)
    live(f"{PYTHON} many.py $(seq -f /tmp/s%g 1 200) > /dev/null & pid=$!")
    assert wait_for(lambda: live("ls /tmp/s200") == "/tmp/s200")
    with contextlib.ExitStack() as stack:
        stack.enter_context(servers(user, ws / "late.sock"))
        assert wait_for(lambda: not connects(live, ws / "late.sock")), "reached"
    live("kill $pid")
