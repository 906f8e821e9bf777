# SPDX-License-Identifier: Apache-2.0
"""Rules about names that come after the start. Window: some milliseconds, where the watcher looks; else the end of the run."""
import json
import os

import pytest

from conftest import wait_for
from test_guard import quarantine, watchers


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
