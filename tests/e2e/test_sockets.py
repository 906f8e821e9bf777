# SPDX-License-Identifier: Apache-2.0
"""--allow-socket gives exactly one unix socket of the host; its neighbours stay dead."""
import contextlib
import json
import os
import pathlib
import shutil
import socket
import subprocess
import tempfile
import threading

import pytest

from conftest import BAILEY, PYTHON

CONNECT = (
    "import socket, sys\n"
    "for p in sys.argv[1:]:\n"
    "    s = socket.socket(socket.AF_UNIX)\n"
    "    try: s.connect(p); print(s.recv(100).decode())\n"
    "    except OSError as e: print('no')\n"
)


@contextlib.contextmanager
def servers(user, *paths):
    """A server on each path, which says its name."""
    socks = []
    for path in paths:
        s = socket.socket(socket.AF_UNIX)
        s.bind(str(path))
        os.chmod(path, 0o600)
        user.own(path)
        s.listen(16)
        socks.append(s)

        def serve(s=s, path=path):
            with contextlib.suppress(OSError):
                while True:
                    c, _ = s.accept()
                    c.sendall(pathlib.Path(path).name.encode())
                    c.close()

        threading.Thread(target=serve, daemon=True).start()
    try:
        yield
    finally:
        for s, path in zip(socks, paths):
            s.shutdown(socket.SHUT_RDWR)
            s.close()
            pathlib.Path(path).unlink(missing_ok=True)


@pytest.fixture(params=["workspace", "home", "hidden", "tmp", "run", "var"])
def place(request, user, ws):
    """A directory of the caller in each kind of tree: live, an overlay, hidden, private."""
    top = {"tmp": "/tmp", "run": "/run", "var": "/var/lib"}.get(request.param)
    if request.param == "workspace":
        path = user.mkdir(ws / "s")
    elif top:
        path = pathlib.Path(tempfile.mkdtemp(prefix="bailey-e2e-", dir=top))
        user.own(path)
    else:
        path = user.mkdir(user.home / (".gnupg" if request.param == "hidden" else "s"), 0o700)
    yield path
    shutil.rmtree(path, ignore_errors=True)


def test_exactly_one(run, user, ws, place):
    a, b = place / "a.sock", place / "b.sock"
    with servers(user, a, b):
        assert user.exec([PYTHON, "-c", CONNECT, a, b], cwd=ws).out == "a.sock\nb.sock\n", "control: outside both live"
        assert run([PYTHON, "-c", CONNECT, a, b]).out == "no\nno\n", "without the option both are dead"
        r = run([PYTHON, "-c", CONNECT, a, b], "--allow-socket", a)
        assert r.out == "a.sock\nno\n", r


@pytest.fixture
def large(user, ws):
    """A workspace whose directories, all together, are larger than what a start waits for."""
    names = "$(seq -f '" + "n" * 200 + "%g' 100)"
    user.exec(["sh", "-c", f"for i in $(seq 60); do mkdir d$i && (cd d$i && touch {names}); done"], cwd=ws)
    assert sum(p.stat().st_size for p in ws.iterdir()) > 1 << 20
    return ws


def test_a_large_tree(run, user, large):
    """The kernel's list of sockets is exact: none is live when the command begins."""
    paths = [large / d / "a.sock" for d in ("d1", "d30", "d60")] + [large / "a.sock"]
    with servers(user, *paths):
        assert user.exec([PYTHON, "-c", CONNECT, *paths], cwd=large).out == "a.sock\n" * 4, "control: outside all live"
        assert run([PYTHON, "-c", CONNECT, *paths]).out == "no\n" * 4
        assert run([PYTHON, "-c", CONNECT, *paths], "--allow-socket", paths[1]).out == "no\na.sock\nno\nno\n"


def test_a_large_tree_with_a_socket_of_another_network(run, user, large):
    """SECURITY.md: the kernel's list of this network does not have it, so it is masked when the search beside the run finds it."""
    path = large / "d60/a.sock"
    code = "import socket, sys\ns = socket.socket(socket.AF_UNIX); s.bind(sys.argv[1]); s.listen(99); print(flush=True)\nwhile True: s.accept()[0].sendall(b'a.sock')"
    host = user.popen(["unshare", *([] if user.is_root else ["-r"]), "-n", PYTHON, "-c", code, path])
    try:
        assert host.stdout.readline() == b"\n"
        assert user.exec([PYTHON, "-c", CONNECT, path], cwd=large).out == "a.sock\n", "control: outside it is live"
        look = "import os, socket, sys, time\n" + "def live():\n    try: socket.socket(socket.AF_UNIX).connect(sys.argv[1]); return True\n    except OSError: return False\n"
        r = run([PYTHON, "-c", look + "end = time.monotonic() + 10\nwhile live() and time.monotonic() < end: time.sleep(0.01)\nprint(live())", path])
        assert r.out == "False\n", r
    finally:
        host.kill()
        host.wait()


def test_in_a_policy_file(run, bailey, user, ws, outside):
    a, b = outside / "a.sock", outside / "b.sock"
    f = user.write(outside / "p.json", json.dumps({"network": {"allowUnixSockets": [str(a)]}}))
    with servers(user, a, b):
        assert run([PYTHON, "-c", CONNECT, a, b], "--policy", f).out == "a.sock\nno\n"
        # a project that is not trusted gives none
        user.write(ws / ".bailey.json", f.read_text())
        r = run([PYTHON, "-c", CONNECT, a, b])
        assert r.out == "no\nno\n" and "network.allowUnixSockets" in r.err, r
        os.unlink(ws / ".bailey.json")
        doc = json.loads(bailey(["run", "--explain=json", "--policy", f, "--", "true"], cwd=ws).out)
        assert [(x["path"], x["origin"]) for x in doc["policy"] if x["rule"] == "allow-socket"] == [(str(a), f"{f}:1")]


def test_a_denial_of_a_file_is_final(run, user, outside):
    a = outside / "s" / "a.sock"
    user.mkdir(outside / "s")
    conf = user.home / ".config" / "bailey"
    user.write(conf / "policy.json", json.dumps({"filesystem": {"denyRead": [str(outside / "s")]}}))
    try:
        with servers(user, a):
            r = run([PYTHON, "-c", CONNECT, a], "--allow-socket", a)
            assert r.out == "no\n" and "has no effect" in r.err, r
    finally:
        shutil.rmtree(conf)


def test_a_socket_that_is_itself_denied(run, user, ws, outside):
    for place in (ws, outside):
        a = place / "a.sock"
        with servers(user, a):
            for option in ("--deny-read", "--hide"):
                r = run([PYTHON, "-c", CONNECT, a], "--allow-socket", a, option, a)
                assert r.out == "no\n" and "has no effect" in r.err, r
            r = run([PYTHON, "-c", CONNECT, a], "--allow-socket", a, "--deny-read", a.parent / "*.pem")
            assert r.out == "a.sock\n", r


def test_what_is_no_socket(run, user, ws, outside):
    user.write(outside / "file")
    for path, why in ((outside / "file", "no unix socket"), (outside, "no unix socket"), (outside / "none", "No such file")):
        r = run("touch witness", "--allow-socket", path)
        assert r.rc == 2 and why in r.err and "--allow-socket" in r.err, r
    assert not (ws / "witness").exists()


def test_a_planted_link(run, user, ws, outside):
    a = outside / "a.sock"
    with servers(user, a):
        user.symlink(a, ws / "mine.sock")
        r = run("touch witness", "--allow-socket", "mine.sock")
        assert r.rc == 2 and "symlink leads out" in r.err and not (ws / "witness").exists(), r


def test_another_ones_socket(run, user, plain_user, root_user, ws):
    """A name that anybody could make in /tmp is not believed; a service's own directory is."""
    if not user.is_root and os.geteuid() != 0:
        return
    other = 65533
    base = pathlib.Path(tempfile.mkdtemp(prefix="bailey-e2e-", dir="/tmp"))
    path = base / "a.sock"
    try:
        with servers(user, path):
            os.chown(path, other, other)
            path.chmod(0o666)
            base.chmod(0o1777)
            os.chown(base, 0, 0)
            r = run([PYTHON, "-c", CONNECT, path], "--allow-socket", path)
            assert r.rc == 2 and "65533" in r.err, r
            base.chmod(0o755)
            os.chown(base, other, other)
            assert run([PYTHON, "-c", CONNECT, path], "--allow-socket", path).out == "a.sock\n"
    finally:
        shutil.rmtree(base, ignore_errors=True)


def test_a_new_socket_of_that_name_is_another(start, user, ws, outside):
    """Staleness is stated: the socket that was there at the start is given, not the name."""
    a = outside / "a.sock"
    code = "import sys\n" + CONNECT.replace("for p in sys.argv[1:]:", "for p in [sys.argv[1]] * 2:\n    sys.stdin.readline()").replace("'no')", "'no', flush=True)").replace(".decode())", ".decode(), flush=True)")
    with servers(user, a):
        p = start([PYTHON, "-c", code, a], "--allow-socket", a, stdin=-1)
        p.stdin.write(b"\n")
        p.stdin.flush()
        assert p.stdout.readline() == b"a.sock\n"
    with servers(user, a):
        p.stdin.write(b"\n")
        p.stdin.flush()
        assert p.stdout.readline() == b"no\n"


def test_an_agent(run, user, outside):
    """The words of the manual: an ssh agent and its variable."""
    a = outside / "agent"
    with servers(user, a):
        code = "import os, socket; s = socket.socket(socket.AF_UNIX); s.connect(os.environ['SSH_AUTH_SOCK']); print(s.recv(9).decode())"
        env = {"SSH_AUTH_SOCK": str(a)}
        assert run([PYTHON, "-c", code], env=env).rc != 0
        assert run([PYTHON, "-c", code], "--allow-socket", a, "--pass-env", "SSH_AUTH_SOCK", env=env).out == "agent\n"


def test_in_a_directory_that_an_earlier_run_closed(plain_user, works):
    """Attack 49: what the search for sockets can't list, the command could open again, or it knows the name."""
    assert not works(plain_user)
    ws = plain_user.mkdir(plain_user.base / "closed-sockets")
    place = plain_user.mkdir(ws / "a/b/c/d/e/f/g")
    connect = "import os, socket\nif 'OPEN' in os.environ: os.chmod('a/b/c/d/e/f', 0o755)\nos.chdir('a/b/c/d/e/f/g')\n"
    connect += "s = socket.socket(socket.AF_UNIX); s.connect('s'); print('connected')"
    host = plain_user.popen([PYTHON, "-c", "import socket, time; s = socket.socket(socket.AF_UNIX); s.bind('s'); s.listen(8); print(flush=True); time.sleep(60)"], cwd=place)
    try:
        host.stdout.readline()
        for mode in ("0311", "0111", "0"):
            assert plain_user.exec([BAILEY, "run", "--", "chmod", mode, "a/b/c/d/e/f"], cwd=ws).rc == 0
            for opts in ((), ("--env", "OPEN=1")):
                r = plain_user.exec([BAILEY, "run", *opts, "--", PYTHON, "-c", connect], cwd=ws)
                assert r.rc == 1 and "connected" not in r.out, (mode, r)
            assert plain_user.exec([PYTHON, "-c", connect], cwd=ws, env={"OPEN": "1"}).out == "connected\n", "control"
        assert plain_user.exec([BAILEY, "run", "--", "sh", "-c", "echo x > a/b/c/d/e/f/twin && cat a/b/c/d/e/f/twin"], cwd=ws).out == "x\n"
    finally:
        host.kill()
        host.wait()
        shutil.rmtree(ws, ignore_errors=True)


def test_a_workspace_that_is_too_deep_to_be_searched(run, ws):
    """Where all of it must be searched before the start, a refusal names the limit and the place; the twin: one level less."""
    at = ws
    for _ in range(127):
        at = at / "d"
    at.mkdir(parents=True)
    assert run("echo ran", "--allow-nested-sandbox").out == "ran\n"
    (at / "d" / "d").mkdir(parents=True)
    r = run("echo ran", "--allow-nested-sandbox")
    assert (r.rc, r.out) == (125, "") and "more than 128 directories inside each other" in r.err and f"'{ws}/d"[:50] in r.err and "loop" not in r.err, r
    assert "--allow-degraded=sockets" in r.err and run("echo ran", "--allow-nested-sandbox", "--allow-degraded=sockets").out == "ran\n"


def test_directories_that_go_while_they_are_searched(run, user, ws):
    """What is gone has no sockets: it is no reason to refuse the run."""
    stop = ws / "stop"
    with subprocess.Popen(["sh", "-c", f"while ! [ -e {stop} ]; do mkdir -p {ws}/a/b/c/d; rm -rf {ws}/a; done"]) as loop:
        try:
            bad = [r for r in (run(["true"]) for _ in range(100)) if r.rc != 0]
        finally:
            stop.touch()
            loop.wait(10)
    assert bad == [], bad[0]
