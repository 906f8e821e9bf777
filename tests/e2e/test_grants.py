# SPDX-License-Identifier: Apache-2.0
"""Who gets what: links planted by earlier runs, homes that are not HOME, sockets in odd places, callers with odd signals."""

import os
import socket
import subprocess

from conftest import BAILEY


def test_a_planted_link_makes_no_grant(run, user, ws):
    user.write(user.home / "keys" / "id", "PLANTED-KEY\n")
    assert run("ln -s ../../keys cache; ln -s ../../keys/id data").rc == 0
    for option, name in (("--allow-write", "cache"), ("--allow-read", "data"), ("--workspace", "cache")):
        target = user.home / "keys"
        os.unlink(ws / name)
        os.symlink(target if name == "cache" else target / "id", ws / name)
        r = run("echo ran", option, ws / name)
        assert r.rc == 2 and "symlink leads out" in r.err and not r.out, r
    # named itself, it is a grant
    assert run("echo x > new", "--workspace", ws, "--allow-write", user.home / "keys").rc == 0


def test_a_planted_link_makes_no_grant_by_another_name(run, user, ws, outside):
    keys = user.mkdir(user.home / "keys")
    user.write(keys / "id", "PLANTED-KEY\n")
    os.symlink(ws, outside / "alias")
    os.symlink(keys, ws / "cache")
    for option in ("--allow-write", "--allow-read", "--workspace", "--unprotect"):
        r = run("echo ran", "--workspace", ws, option, outside / "alias" / "cache")
        assert r.rc == 2 and f"symlink leads out of '{ws}'" in r.err and not r.out, r
    # the alias itself is the caller's
    user.mkdir(ws / "sub")
    assert run("echo x > sub/f", "--workspace", outside / "alias", "--allow-write", outside / "alias" / "sub").rc == 0


def test_a_link_planted_in_any_writable_tree_makes_no_grant(run, user, ws, outside):
    keys = user.mkdir(user.home / "keys")
    a = user.mkdir(outside / "a")
    assert run(f"ln -s {keys} {a}/b; ln -s . {a}/here", "--allow-write", a).rc == 0
    for options in (("--allow-write", a, "--allow-write", a / "b"), ("--allow-write", a / "b", "--allow-write", a),
                    ("--allow-read", a / "here" / "b", "--allow-write", a)):  # fmt: skip
        r = run("echo ran", *options)
        assert r.rc == 2 and f"symlink leads out of '{a}'" in r.err and not r.out, r
    # a link that stays inside is fine, and one in a tree that is not writable is the caller's
    user.mkdir(a / "c")
    assert run(f"echo x > {a}/c/f", "--allow-write", a, "--allow-write", a / "here" / "c").rc == 0
    assert run(f"echo x > {keys}/f", "--allow-write", a / "b").rc == 0


def test_a_planted_link_gives_no_socket(run, user, ws, outside):
    path = str(outside / "real.sock")
    with socket.socket(socket.AF_UNIX) as s:
        s.bind(path)
        s.listen(8)
        os.chmod(path, 0o777)
        user.own(outside / "real.sock")
        os.symlink(ws, outside / "alias")
        os.symlink(path, ws / "s")
        r = run("echo ran", "--allow-socket", outside / "alias" / "s")
        assert r.rc == 2 and f"symlink leads out of '{ws}'" in r.err and not r.out, r


def test_a_link_that_stays_inside_is_fine(run, user, ws):
    user.mkdir(ws / "real")
    os.symlink("real", ws / "link")
    assert run("echo x > f", "--workspace", ws / "link").rc == 0, "as the directory it leads to"


def test_root_in_a_users_workspace_hides_that_users_secrets(plain_user):
    ws = plain_user.mkdir(plain_user.home / "grants")
    plain_user.write(plain_user.home / ".ssh" / "id_owner", "OWNERS-KEY\n")
    for home in ("/srv", "/root", "/nonexistent"):
        r = subprocess.run([BAILEY, "run", "--", "sh", "-c", f"id -u; cat {plain_user.home}/.ssh/id_owner"], cwd=ws,
                           env={**os.environ, "HOME": home}, capture_output=True, text=True, check=False)  # fmt: skip
        assert "OWNERS-KEY" not in r.stdout and r.stdout.startswith(str(plain_user.uid)), (home, r)


def test_a_home_that_lies_hides_the_real_one(plain_user):
    ws = plain_user.mkdir(plain_user.home / "grants")
    secret = plain_user.write(plain_user.home / ".aws" / "credentials", "REAL-SECRET\n")
    r = plain_user.exec(["env", "HOME=/nonexistent", BAILEY, "run", "--", "cat", secret], cwd=ws)
    assert r.rc != 0 and "REAL-SECRET" not in r.out, r


def test_ignored_sigchld_is_no_hang(user, ws):
    script = "import signal, os, sys; signal.signal(signal.SIGCHLD, signal.SIG_IGN); os.execv(sys.argv[1], sys.argv[1:])"
    r = user.exec(["timeout", "10", "/usr/bin/python3", "-c", script, BAILEY, "run", "--", "sh", "-c", "exit 7"], cwd=ws)
    assert r.rc == 7, r


def test_tmp_can_be_shown(run):
    name = f"/tmp/bailey-e2e-shown-{os.getpid()}"
    with open(name, "w", encoding="ascii") as f:
        f.write("shown\n")
    try:
        os.chmod(name, 0o644)
        r = run(f"cat {name}; echo x > {name}", "--allow-read", "/tmp")
        assert r.out == "shown\n" and "Read-only" in r.err, r
        assert not run(f"cat {name}").out
    finally:
        os.unlink(name)


def test_a_socket_in_the_root_directory_is_dead(run, user, ws):
    path = f"/bailey-e2e-{os.getpid()}.sock"
    with socket.socket(socket.AF_UNIX) as s:
        s.bind(path)
        s.listen(8)
        os.chmod(path, 0o777)
        try:
            code = f"import socket; s = socket.socket(socket.AF_UNIX); s.connect('{path}'); print('connected')"
            assert user.exec(["/usr/bin/python3", "-c", code], cwd=ws).out == "connected\n", "control"
            assert "connected" not in run(["/usr/bin/python3", "-c", code]).out
        finally:
            os.unlink(path)


def test_streams_given_for_reading_only_stay_as_they_are(user, ws, outside):
    f = user.write(outside / "given", "given\n")
    os.chmod(f, 0o640)
    for fd in (0, 1, 2):
        with open(f, encoding="ascii") as given:
            streams = {0: {"stdin": given}, 1: {"stdout": given}, 2: {"stderr": given}}[fd]
            user.exec([BAILEY, "run", "--", "chmod", "777", f"/proc/self/fd/{fd}"], cwd=ws, **streams)
        assert os.stat(f).st_mode & 0o777 == 0o640, fd


def test_a_stopped_reader_of_notices_does_not_stop_the_time_out(user, ws):
    r, w = os.pipe()
    os.set_blocking(w, False)
    try:
        while True:
            os.write(w, b"x" * 4096)
    except BlockingIOError:
        pass
    os.set_blocking(w, True)
    p = user.popen([BAILEY, "run", "--timeout", "1", "--", "sleep", "60"], cwd=ws, stdout=subprocess.DEVNULL, stderr=w)
    try:
        assert p.wait(10) == 124
    finally:
        if p.poll() is None:
            p.kill()
        os.close(r)
        os.close(w)
