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
