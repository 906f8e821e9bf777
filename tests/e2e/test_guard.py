# SPDX-License-Identifier: Apache-2.0
"""What the host executes later and a run has made: moved to the quarantine, also after kill -9. test_protect.py has what exists before."""
import json
import os
import pathlib
import shutil
import signal
import stat
import time

import pytest

from conftest import processes_with, wait_for
from test_protect import rows

# The home directory keeps bailey's state, so that the quarantine of one test is seen by the next: each looks for its own paths.


def quarantine(bailey, ws):
    """Path in the workspace -> entry."""
    r = bailey(["quarantine", "ls", "--json"])
    assert r.rc == 0, r
    prefix = str(ws) + "/"
    return {q["path"][len(prefix):]: q for q in json.loads(r.out) if q["path"].startswith(prefix)}


def make(name):
    """A shell line that makes NAME."""
    inner = f"{name}inner" if name.endswith("/") else name
    return f"mkdir -p '{os.path.dirname(inner) or '.'}' && echo made > '{inner}'"


def host_runs(user, ws, marker="RAN"):
    """What git on the host executes, in every repository of the workspace: a prompt's `git status`, a person's add and commit."""
    found = ""
    for head in [*ws.rglob("HEAD")]:
        if (head.parent / "objects").is_dir() or (head.parent / "commondir").exists():
            where = head.parent.parent if head.parent.name == ".git" else head.parent
            g = ["git", "-c", "safe.directory=*", "-c", "user.name=a", "-c", "user.email=a@b", "-C", where]
            for words in (["status"], ["add", "-A"], ["commit", "-q", "--allow-empty", "-m", "host"]):
                r = user.exec([*g, *words])
                found += r.out + r.err
    return marker in found or (ws / marker).exists()


def test_every_row_absent(run, bailey, user, ws):
    """Every name of the table, made by a run, is gone after it; the twin beside it stays; the control: outside it stays."""
    names = rows()
    # what the watcher has moved meanwhile can't be filled any more
    script = "; ".join([*map(make, names), "echo kept > beside"])
    r = run(script)
    left = [n for n in names if (ws / n.rstrip("/")).exists()]
    assert not left, (left, r.err)
    assert (ws / "beside").read_text() == "kept\n"
    q = quarantine(bailey, ws)
    assert set(q) == {n.rstrip("/") for n in names}
    for n in names:
        assert f"{ws}/{n.rstrip('/')}" in r.bailey_err
    assert "bailey quarantine show|restore" in r.bailey_err and "--unprotect" in r.bailey_err
    user.exec(["sh", "-c", script], cwd=ws)
    assert all((ws / n.rstrip("/")).exists() for n in names), "control"


def test_no_placeholder_while_it_runs(start, ws):
    """The field's loudest complaint: names that are not there are not there for the host either, during the run and after."""
    proc = start("echo up; sleep 30", stdout=-1)
    assert proc.stdout.readline() == b"up\n"
    assert list(ws.iterdir()) == []
    os.kill(proc.pid, signal.SIGKILL)
    proc.wait()
    assert list(ws.iterdir()) == []


def test_unprotect_lets_it_stay(run, bailey, ws):
    r = run("echo made > .envrc; echo made > .mcp.json", "--unprotect", ".envrc")
    assert (ws / ".envrc").exists() and not (ws / ".mcp.json").exists(), r
    assert set(quarantine(bailey, ws)) == {".mcp.json"}


def test_verbs(run, bailey, user, ws):
    run("printf 'one\\ntwo\\033[31m\\n' > e; mkdir h; echo x > h/pre-commit; chmod 755 h/pre-commit; mv h .husky; mv e .envrc; ln -s /etc/passwd .mcp.json")
    q = quarantine(bailey, ws)
    assert {k: v["type"] for k, v in q.items()} == {".envrc": "f", ".husky": "d", ".mcp.json": "l"}
    ls = bailey(["quarantine", "ls"])
    assert q[".envrc"]["id"] in ls.out and "direnv" in ls.out
    assert bailey(["quarantine", "show", q[".envrc"]["id"][:6]]).out == "one\ntwo\033[31m\n"
    assert "pre-commit" in bailey(["quarantine", "show", q[".husky"]["id"]]).out
    assert "-> /etc/passwd" in bailey(["quarantine", "show", q[".mcp.json"]["id"]]).out
    r = bailey(["quarantine", "restore", q[".husky"]["id"], q[".mcp.json"]["id"]])
    assert r.rc == 0 and (ws / ".husky/pre-commit").stat().st_mode & 0o777 == 0o755, r
    assert os.readlink(ws / ".mcp.json") == "/etc/passwd"
    user.write(ws / ".envrc", "mine\n")
    r = bailey(["quarantine", "restore", q[".envrc"]["id"]])
    assert r.rc == 1 and "--to" in r.err and (ws / ".envrc").read_text() == "mine\n", r
    r = bailey(["quarantine", "restore", "--to", ws / "seen", q[".envrc"]["id"]])
    assert r.rc == 0 and (ws / "seen").read_text() == "one\ntwo\033[31m\n", r
    assert quarantine(bailey, ws) == {}
    run("echo made > .envrc.; rm -f .envrc; echo again > .envrc", "--unprotect", ws / "nothing")
    (ws / ".envrc").unlink()
    run("echo made > .envrc")
    (one,) = quarantine(bailey, ws).values()
    assert bailey(["quarantine", "rm", one["id"]]).rc == 0 and quarantine(bailey, ws) == {}


@pytest.mark.parametrize("args,word", [
    ([], "ls, show, restore or rm"), (["lz"], "ls, show, restore or rm"), (["show"], "ID"), (["show", "0123456789"], "0123456789"),
    (["rm", "abc"], "abc"), (["restore", "--to", "x"], "ID"), (["ls", "x"], "no ID"), (["rm", "--to", "x", "0123456789"], "--to"),
])
def test_bad_words(bailey, args, word):
    r = bailey(["quarantine", *args])
    assert r.rc == (3 if args and word == args[-1] and args[0] != "ls" else 2) and word in r.err and r.out == "", r


GIT = ("git init -q {d} && git -C {d} -c user.name=a -c user.email=a@b commit -q --allow-empty -m x && "
       "printf '#!/bin/sh\\ntouch {ws}/RAN\\n' > hook && chmod 755 hook")

EVIL = {
    "hooks": "cp hook {d}/.git/hooks/post-checkout; cp hook {d}/.git/hooks/pre-commit",
    "fsmonitor": "git -C {d} config core.fsmonitor {ws}/hook",
    "hookspath": "mkdir {d}/h; cp hook {d}/h/pre-commit; git -C {d} config core.hooksPath h",
    "include": "printf '[core]\\nfsmonitor={ws}/hook\\n' > inc; git -C {d} config include.path {ws}/inc",
    "alias": "git -C {d} config alias.st '!{ws}/hook'",
    "filter": "git -C {d} config filter.x.clean {ws}/hook; echo '* filter=x' > {d}/.gitattributes; echo y > {d}/f",
    "worktree": "git -C {d} config extensions.worktreeConfig true; printf '[core]\\nfsmonitor={ws}/hook\\n' > {d}/.git/config.worktree",
    "commondir": "cp -r {d}/.git common; git -C {d} config x.y z; git --git-dir=common config core.fsmonitor {ws}/hook; echo {ws}/common > {d}/.git/commondir",
}


@pytest.mark.parametrize("evil", sorted(EVIL))
def test_repository_born_in_the_run(run, user, ws, evil):
    """What git on the host would execute is gone; the control: made outside, it runs."""
    script = (GIT + "; " + EVIL[evil]).format(d="new", ws=ws)
    r = run(script)
    assert r.rc == 0, r
    quiet = not host_runs(user, ws)
    assert quiet, r.err
    assert "quarantine" in r.bailey_err
    for p in ws.iterdir():
        user.exec(["rm", "-rf", p])
    user.exec(["sh", "-c", script], cwd=ws)
    if evil != "alias":
        assert host_runs(user, ws), "control"


def test_repositories_that_stay(run, bailey, user, ws):
    """clone, init, bare, worktree add and submodules made inside are working repositories on the host, and nothing is moved."""
    g = "git -c user.name=a -c user.email=a@b -c protocol.file.allow=always"
    r = run(f"set -e; git init -q a; echo x > a/f; git -C a add f; {g} -C a commit -qm x; git clone -q a b; git clone -q --bare a c.git; "
            f"git -C a worktree add -q ../wt; git -C a remote add o ../c.git; {g} -C b submodule add -q ../a sub 2>/dev/null; git -C b config user.name me")
    assert r.rc == 0 and r.bailey_err == "", r
    assert quarantine(bailey, ws) == {}
    for d in ("a", "b", "wt", "b/sub"):
        s = user.exec(["git", "-C", ws / d, "status", "--short"])
        assert s.rc == 0, (d, s)
    assert user.exec(["git", "-C", ws / "c.git", "log", "--oneline"]).out.count("\n") == 1


def test_existing_repository(run, bailey, user, ws):
    """Names that were absent in the git directory of the workspace itself."""
    user.exec(["git", "init", "-q", ws])
    for name in ("hooks", "info"):
        user.exec(["rm", "-rf", ws / ".git" / name])
    r = run("mkdir -p .git/hooks .git/info; printf '#!/bin/sh\\ntouch RAN' > .git/hooks/post-checkout; chmod 755 .git/hooks/*; echo '* filter=x' > .git/info/attributes; "
            "echo .. > .git/commondir; echo '[x]y=z' > .git/config.worktree; git status --short >/dev/null; true")
    assert set(quarantine(bailey, ws)) == {".git/hooks", ".git/info/attributes", ".git/commondir", ".git/config.worktree"}, r
    assert not host_runs(user, ws)


def test_pointer_out(run, bailey, user, ws, outside):
    """A .git file that leads out of what is writable does not stay; one that leads inside does (a worktree: above)."""
    user.exec(["git", "init", "-q", outside])
    r = run(f"mkdir d; echo 'gitdir: {outside}/.git' > d/.git; mkdir e; ln -s {outside}/.git e/.git")
    assert set(quarantine(bailey, ws)) == {"d/.git", "e/.git"}, r


def test_links_do_not_move_what_they_lead_to(run, bailey, user, ws):
    user.write(ws / "keep", "kept\n")
    r = run("ln -s keep .envrc; mkdir dir; echo y > dir/f; ln -s dir .husky")
    assert set(quarantine(bailey, ws)) == {".envrc", ".husky"}, r
    assert (ws / "keep").read_text() == "kept\n" and (ws / "dir/f").read_text() == "y\n"


def test_names_with_escapes(run, bailey, user, ws):
    """Attack 26: what a run names things does not steer the terminal."""
    r = run("mkdir \"$(printf 'a\\033[31m\\nb')\" && echo x > \"$(printf 'a\\033[31m\\nb')/.envrc\"")
    assert "\033" not in r.bailey_err and "\\x1b" in r.bailey_err.lower(), r
    out = bailey(["quarantine", "ls"])
    assert "\033" not in out.out
    (one,) = quarantine(bailey, ws).values()
    assert one["path"].endswith("a\033[31m\nb/.envrc")
    assert bailey(["quarantine", "restore", one["id"]]).rc == 0


@pytest.mark.parametrize("by", ["run", "ls"])
def test_kill_9(start, run, bailey, user, ws, by):
    """A killed bailey leaves it to the next one, which sweeps before anything else of the caller's runs."""
    proc = start("echo made > .envrc; echo up; sleep 30", stdout=-1)
    assert proc.stdout.readline() == b"up\n"
    for p in watchers(user):  # that would be quicker
        os.kill(p, signal.SIGKILL)
    os.kill(proc.pid, signal.SIGKILL)
    proc.wait()
    if by == "run":
        r = run("test ! -e .envrc")
        assert r.rc == 0, r
    assert set(quarantine(bailey, ws)) == {".envrc"}
    assert not (ws / ".envrc").exists()


def test_a_living_run_is_left_alone(start, run, bailey, ws):
    """What another run has open is not healed: only its own end sweeps."""
    proc = start("echo up; read x; echo made > late; test -e .git || exit 3", stdin=-1, stdout=-1)
    assert proc.stdout.readline() == b"up\n"
    assert run("true").rc == 0
    proc.stdin.write(b"x\n")
    proc.stdin.close()
    assert proc.wait(20) == 3


def test_large_tree(run, bailey, user, ws):
    """Beyond what the start searches: births decide. What was there before stays, although it was not looked at."""
    for i in range(120):
        user.mkdir(ws / f"d{i:03}")
    user.write(ws / "d119/.envrc", "before\n")
    r = run("echo made > d118/.envrc; echo made > d000/.mcp.json; sleep 0.3")
    assert (ws / "d119/.envrc").exists(), r
    assert set(quarantine(bailey, ws)) == {"d118/.envrc", "d000/.mcp.json"}, r


def test_old_directories(run, bailey, user, ws):
    """The sweep passes over what has not changed since the start; no way of making a name leaves its directory unchanged."""
    user.exec(["sh", "-c", "mkdir -p large small/sub other still/sub; cd large && touch $(seq -f 'a-name-of-some-length-%g' 300)"], cwd=ws)
    time.sleep(3)
    script = ("echo x > large/.envrc; mv large/$(ls large | head -n 1) small/sub/.mcp.json; mkdir small/.husky; echo x > small/.husky/pre-commit; "
              "touch -r other t; echo x > other/.bailey.json; touch -r t other; mv still moved; ln t moved/sub/.envrc")  # fmt: skip
    names = ["large/.envrc", "small/sub/.mcp.json", "small/.husky", "other/.bailey.json", "moved/sub/.envrc"]
    assert run("ls large | wc -l").out == "300\n"
    r = run(script)
    assert not [n for n in names if (ws / n).exists()] and set(quarantine(bailey, ws)) == set(names), r
    user.exec(["sh", "-c", "mv moved still; " + script], cwd=ws)
    assert all((ws / n).exists() for n in names), "control"


@pytest.mark.parametrize("user", ["root"], indirect=True)  # mounts a small tmpfs
def test_full_quarantine_disk(run, user, ws, tmp_path_factory):
    """No room for the quarantine: the name stays, and that is said; nothing is lost."""
    import subprocess
    small = tmp_path_factory.mktemp("small")
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k,nr_inodes=12", "tmpfs", small], check=True)
    try:
        r = run("mkdir .husky; for i in 1 2 3 4 5 6 7 8 9 10 11 12; do echo $i > .husky/$i; done", env={"XDG_STATE_HOME": str(small)})
        assert len(list((ws / ".husky").iterdir())) == 12, r
        assert ".husky" in r.bailey_err and "still there" in r.bailey_err, r
    finally:
        assert wait_for(lambda: subprocess.run(["umount", small], check=False).returncode == 0)


def test_modes_survive(run, bailey, user, ws):
    run("mkdir -p h/deep; echo x > h/deep/f; chmod 000 h/deep; mv h .husky; chmod 555 .husky")
    (one,) = quarantine(bailey, ws).values()
    assert bailey(["quarantine", "restore", one["id"]]).rc == 0
    assert stat.S_IMODE((ws / ".husky").stat().st_mode) in (0o555, 0o755)  # where the watcher was quicker than chmod
    assert stat.S_IMODE((ws / ".husky/deep").stat().st_mode) == 0
    user.exec(["chmod", "-R", "u+rwX", ws / ".husky"])


def test_rm_of_what_has_no_permissions(run, bailey, ws):
    run("mkdir -p h/deep; echo x > h/deep/f; chmod 000 h/deep; mv h .husky")
    (one,) = quarantine(bailey, ws).values()
    assert bailey(["quarantine", "rm", one["id"]]).rc == 0
    assert quarantine(bailey, ws) == {}


def watchers(user):
    """Pids of the user's watcher processes, by the directory of their socket."""
    found = []
    for pid in processes_with("watch-runs\0003"):
        try:
            if os.readlink(f"/proc/{pid}/fd/3") in (f"{user.home}/.local/state/bailey/run", "/var/lib/bailey/run" if user.is_root else ""):
                found.append(pid)
        except OSError:
            pass  # gone meanwhile
    return found


GONE = "i=0; while [ -e {0} ] && [ $i -lt 300 ]; do sleep 0.01; i=$((i+1)); done; [ ! -e {0} ] && echo gone {0}"


def test_watched_while_it_runs(run, bailey, user, ws):
    """Within the stated window a new protected name is gone while the command still runs; at any of three levels, in git directories, by rename."""
    user.exec(["git", "init", "-q", ws])
    user.exec(["git", "-C", ws, "-c", "user.name=a", "-c", "user.email=a@b", "commit", "-q", "--allow-empty", "-m", "x"])
    r = user.exec(["git", "-C", ws, "worktree", "add", "-q", "x"])
    assert r.rc == 0, r
    names = [".envrc", "a/b/.mcp.json", ".vscode/tasks.json", ".git/commondir", ".git/worktrees/x/config.worktree", "moved/.husky"]
    script = "sleep 0.2; mkdir -p a/b moved/not; rm -rf .git/hooks;" + "".join(
        ("mv moved/not moved/.husky; " if n == "moved/.husky" else f"{make(n)}; ") + GONE.format(n) + "; " for n in names) + "true"
    r = run(script)
    assert [li for li in r.out.splitlines() if li.startswith("gone")] == [f"gone {n}" for n in names], r
    for n in names:
        assert f"{ws}/{n}" in r.bailey_err, r
    assert set(names) <= set(quarantine(bailey, ws))


def test_born_repository_is_left_alone_while_it_runs(run, bailey, ws):
    r = run("sleep 0.1; git init -q n; printf '#!/bin/sh\\n' > n/.git/hooks/pre-commit; git -C n config core.fsmonitor x; sleep 0.3; "
            "test -e n/.git/config && test -e n/.git/hooks/pre-commit && echo there")
    assert r.out == "there\n" and set(quarantine(bailey, ws)) == {"n/.git/config", "n/.git/hooks/pre-commit"}, r


def test_one_watcher_per_user(start, user):
    procs = [start("echo up; read x", stdin=-1, stdout=-1) for _ in range(3)]
    for p in procs:
        assert p.stdout.readline() == b"up\n"
    assert wait_for(lambda: watchers(user))
    wait_for(lambda: False, 0.3)
    assert len(watchers(user)) == 1
    # a start in a large workspace must be able to place each socket that the kernel lists, or it searches all of it
    bound = [pathlib.Path(line.split()[-1]) for line in pathlib.Path("/proc/net/unix").read_text().splitlines() if "/watch-" in line]
    assert [b for b in bound if b.is_socket() and b.stat().st_uid == user.uid], bound
    for p in procs:
        p.stdin.close()
        p.wait(20)
    assert wait_for(lambda: not watchers(user)), "it ends by itself"


def test_kill_9_is_healed_by_the_watcher(start, user, ws):
    """No other bailey is needed when the watcher knew the run."""
    proc = start("echo up; sleep 0.3; while :; do echo x > .envrc; done", stdout=-1)
    assert proc.stdout.readline() == b"up\n"
    assert wait_for(lambda: watchers(user))
    wait_for(lambda: False, 0.6)
    os.kill(proc.pid, signal.SIGKILL)
    proc.wait()
    assert wait_for(lambda: not (ws / ".envrc").exists())
    wait_for(lambda: False, 0.3)
    assert not (ws / ".envrc").exists()


def test_killed_watcher(start, run, user, bailey, ws):
    """The sweep at the end does not need it."""
    proc = start("echo up; read x; echo made > .envrc", stdin=-1, stdout=-1)
    assert proc.stdout.readline() == b"up\n"
    assert wait_for(lambda: watchers(user))
    for p in watchers(user):
        os.kill(p, signal.SIGKILL)
    proc.stdin.close()
    proc.wait(20)
    assert not (ws / ".envrc").exists() and set(quarantine(bailey, ws)) == {".envrc"}


def test_flood(run, bailey, user, ws):
    """A queue that overflows is made up for by a sweep, and names made in a loop end at the last sweep."""
    r = run("sleep 0.1; i=0; while [ $i -lt 20 ]; do mkdir d$i; (cd d$i; seq 1 1500 | sed 's/^/f/' | xargs touch) & i=$((i+1)); done; wait; "
            "for i in $(seq 1 200); do echo $i > .envrc; done; echo last > d3/.mcp.json", timeout=60)
    assert not (ws / ".envrc").exists() and not (ws / "d3/.mcp.json").exists(), r
    q = quarantine(bailey, ws)
    assert {".envrc", "d3/.mcp.json"} <= set(q), r
    assert not list(ws.rglob(".envrc"))


def test_closed_directories_are_said_and_stay(run, bailey, user, ws):
    """A directory that the run has closed may be the host's: it is not moved, but named."""
    user.write(ws / "src/file", "mine\n")
    r = run("mkdir new; echo x > new/.envrc; chmod 0311 new src")
    user.exec(["chmod", "755", ws / "src", ws / "new"])
    assert (ws / "src/file").read_text() == "mine\n"
    if user.is_root:
        return  # root looks into everything
    assert f"{ws}/new" in r.bailey_err and f"{ws}/src" in r.bailey_err, r


@pytest.mark.parametrize("mode", ["0311", "0"])
def test_a_closed_root_keeps_nothing_from_the_sweep(run, bailey, user, ws, mode):
    """One of several directories that are given is closed by the run: the others are swept, and so is that one; it stays as the run has left it."""
    other = user.mkdir(ws.parent / f"{ws.name}-other", 0o755)
    try:
        r = run(f"echo x > .envrc; echo x > '{other}/.envrc'; chmod {mode} '{other}'", "--allow-write", str(other))
        assert not (ws / ".envrc").exists() and not (other / ".envrc").exists(), r
        assert f"{ws}/.envrc" in r.bailey_err and f"{other}/.envrc" in r.bailey_err and stat.S_IMODE(other.stat().st_mode) == int(mode, 8), r
    finally:
        other.chmod(0o700)
        shutil.rmtree(other)


@pytest.mark.parametrize("where", ["the same", "another"])
def test_a_directory_that_lets_nothing_go(run, bailey, user, ws, where):
    """A name in a directory without the permission to write goes all the same, on one file system and to another; the mode stays."""
    other = user.mkdir(pathlib.Path("/dev/shm") / f"bailey-q{os.getpid()}-{user.name}", 0o700)
    env = {"XDG_STATE_HOME": str(other)} if where == "another" else {}
    try:
        r = run("mkdir d; echo x > d/.envrc; chmod 555 d", env=env)
        assert not (ws / "d/.envrc").exists() and "moved to the quarantine" in r.bailey_err and stat.S_IMODE((ws / "d").stat().st_mode) == 0o555, r
    finally:
        (ws / "d").chmod(0o755)
        shutil.rmtree(other)


def test_restored_from_another_file_system_beside_anything(run, bailey, user, ws):
    """What is copied on the way takes nobody's name, also when something is in the way."""
    other = user.mkdir(pathlib.Path("/dev/shm") / f"bailey-q{os.getpid()}-{user.name}", 0o700)
    env = {"XDG_STATE_HOME": str(other)}
    try:
        user.write(ws / "part/file", "mine\n")
        run("echo one > .envrc", env=env)
        (one,) = json.loads(bailey(["quarantine", "ls", "--json"], env=env).out)
        user.write(ws / ".envrc", "two\n")
        assert bailey(["quarantine", "restore", one["id"]], env=env).rc == 1
        (ws / ".envrc").unlink()
        assert bailey(["quarantine", "restore", one["id"]], env=env).rc == 0
        assert (ws / "part/file").read_text() == "mine\n" and (ws / ".envrc").read_text() == "one\n" and sorted(os.listdir(ws)) == [".envrc", "part"]
    finally:
        shutil.rmtree(other)


def test_one_record_that_is_damaged_keeps_no_other_from_the_sweep(start, run, bailey, user, ws):
    """Three of four runs that were killed have left nothing that could be read: what the fourth has made goes all the same."""
    open_runs = pathlib.Path("/var/lib/bailey/open" if user.is_root else f"{user.home}/.local/state/bailey/open")
    before, procs = set(open_runs.glob("*")), []
    for i in range(4):
        user.mkdir(ws / f"w{i}")
        procs.append(start("echo up; read x; echo made > .envrc; echo made; sleep 100", stdin=-1, stdout=-1, cwd=ws / f"w{i}"))
        assert procs[-1].stdout.readline() == b"up\n"
    assert wait_for(lambda: watchers(user))
    stopped = watchers(user)
    for p in stopped:  # one that ends is replaced, and sweeps
        os.kill(p, signal.SIGSTOP)
    for proc in procs:
        proc.stdin.write(b"x\n")
        proc.stdin.flush()
        assert proc.stdout.readline() == b"made\n"
    for proc in procs:
        os.kill(proc.pid, signal.SIGKILL)
        proc.wait()
    for p in stopped:
        os.kill(p, signal.SIGKILL)
    journals = sorted(set(open_runs.glob("*")) - before)
    assert len(journals) == 4 and all((ws / f"w{i}/.envrc").exists() for i in range(4))
    for j in journals[:3]:
        j.write_bytes(b"bailey")
    r = run("true")
    assert "damaged" in r.err and sum((ws / f"w{i}/.envrc").exists() for i in range(4)) == 3, r


def test_quarantine_on_another_file_system(run, bailey, user, ws):
    """Copied, then removed: contents, modes, owners, links; and back."""
    other = user.mkdir(pathlib.Path("/dev/shm") / f"bailey-q{os.getpid()}-{user.name}", 0o700)
    env = {"XDG_STATE_HOME": str(other)}
    try:
        r = run("mkdir -p h/d; echo x > h/pre-commit; chmod 750 h/pre-commit; ln -s pre-commit h/l; mv h .husky; echo one > .envrc", env=env)
        assert os.listdir(ws) == [], r
        q = {e["path"]: e for e in json.loads(bailey(["quarantine", "ls", "--json"], env=env).out)}
        assert set(q) == {f"{ws}/.husky", f"{ws}/.envrc"}
        assert bailey(["quarantine", "restore", *(e["id"] for e in q.values())], env=env).rc == 0
        st = (ws / ".husky/pre-commit").stat()
        assert (ws / ".husky/pre-commit").read_text() == "x\n" and stat.S_IMODE(st.st_mode) == 0o750 and st.st_uid == user.uid
        assert os.readlink(ws / ".husky/l") == "pre-commit" and (ws / ".envrc").read_text() == "one\n"
    finally:
        shutil.rmtree(other)


def test_no_state(run, ws):
    """Without a place to move it to, it is named, and the run works all the same."""
    r = run("echo made > .envrc", env={"XDG_STATE_HOME": "/proc/none"})
    assert r.rc == 0 and (ws / ".envrc").exists() and "state directory" in r.bailey_err, r


def test_copies_of_what_was_there(run, bailey, user, ws):
    """`git worktree add` in a project that has such files: what the host has already is no finding; what differs is."""
    user.write(ws / ".vscode/tasks.json", '{"a": 1}\n')
    r = run("sleep 0.1; mkdir -p w/.vscode x/.vscode; cp .vscode/tasks.json w/.vscode; sleep 0.2; test -e w/.vscode/tasks.json && echo there; "
            "cp .vscode/tasks.json x/.vscode; echo more >> x/.vscode/tasks.json; cp .vscode/tasks.json .envrc")
    assert r.out == "there\n" and (ws / "w/.vscode/tasks.json").read_text() == '{"a": 1}\n', r
    assert set(quarantine(bailey, ws)) == {"x/.vscode/tasks.json", ".envrc"}, r


HOOK = "printf '#!/bin/sh\\ntouch {ws}/RAN\\n' > hook; chmod 755 hook; "


@pytest.mark.parametrize("how", ["made", "moved"])
def test_a_link_in_the_place_of_a_directory(run, bailey, user, ws, how):
    """The host reads .vscode/tasks.json through it: the link goes, what it leads to stays where it is."""
    if how == "moved":
        user.write(ws / ".claude/keep", "kept\n")
        r = run("mv .claude c; echo made > c/settings.json; ln -s c .claude")
        gone = ".claude"
    else:
        r = run("mkdir z; echo made > z/tasks.json; ln -s z .vscode")
        gone = ".vscode"
    assert not (ws / gone).is_symlink() and gone in quarantine(bailey, ws), r
    assert not (ws / gone / "tasks.json").exists() and not (ws / gone / "settings.json").exists()


def test_a_link_on_the_way_of_a_configured_name(run, user, ws):
    user.exec(["git", "init", "-q", ws])
    user.exec(["git", "-C", ws, "config", "core.hooksPath", "ci/hooks"])
    script = HOOK.format(ws=ws) + "mkdir -p z/hooks; mv hook z/hooks/pre-commit; ln -s z ci"
    r = run(script)
    assert not host_runs(user, ws), r
    user.exec(["sh", "-c", "rm -rf z ci; " + script], cwd=ws)
    assert host_runs(user, ws), "control"


def test_a_pointer_is_followed_as_git_follows_it(run, user, ws):
    """'..' behind a symlink: by name it leads to a harmless repository, for git to an evil one."""
    script = (HOOK + "git init -q --bare d; mkdir -p d1/d2/d3/d4/x; git init -q --bare d1/d2/d3/d4/g; git init -q --bare g; "
              "git --git-dir=d1/d2/d3/d4/g config core.bare false; git --git-dir=d1/d2/d3/d4/g config core.fsmonitor {ws}/hook; "
              "ln -s d1/d2/d3/d4/x lnk; echo 'gitdir: lnk/../g' > .git").format(ws=ws)  # fmt: skip
    r = run(script)
    user.exec(["git", "-C", ws, "status"])
    assert not (ws / "RAN").exists(), r
    user.exec(["sh", "-c", "rm -rf .git lnk; " + script], cwd=ws)
    user.exec(["git", "-C", ws, "status"])
    assert (ws / "RAN").exists(), "control"


def test_more_names_than_a_report_holds(run, bailey, user, ws):
    """Whatever the number: all go, and the report says how many it leaves out."""
    r = run(HOOK.format(ws=ws) + "git init -q n; for i in $(seq 1 700); do echo x > n/.git/hooks/j$i; done; mv hook n/.git/hooks/pre-commit; "
            "mkdir -p $(seq -f 'd%g' 1 80); for i in $(seq 1 80); do for n in .envrc .mcp.json .bailey.json; do echo x > d$i/$n; done; done", timeout=60)
    assert not list((ws / "n/.git/hooks").glob("j*")) and not (ws / "n/.git/hooks/pre-commit").exists(), r.bailey_err[-500:]
    assert not [p for p in ws.rglob(".envrc")] and not [p for p in ws.rglob(".mcp.json")]
    assert "more; 'bailey quarantine ls'" in r.bailey_err
    assert bailey(["quarantine", "rm", "--all"]).rc == 0


@pytest.mark.parametrize("user", ["user"], indirect=True)  # nothing is there that root can't remove
def test_nothing_is_lost_between_file_systems(run, bailey, user, ws):
    """What can't be removed where it was is no reason to drop the copy."""
    other = user.mkdir(pathlib.Path("/dev/shm") / f"bailey-n{os.getpid()}", 0o700)
    user.write(ws / "build/a", "mine\n")
    root = ws / "build/roots"
    root.mkdir()  # by root, as containers leave them
    (root / "r").write_text("root's\n")
    try:
        r = run("mv build .husky", env={"XDG_STATE_HOME": str(other)})
        items = list(other.rglob("item"))
        assert len(items) == 1 and (items[0] / "a").read_text() == "mine\n", r
    finally:
        shutil.rmtree(other)


def test_what_the_host_saves_where_the_run_could_not_write(start, user, ws):
    user.mkdir(ws / "keep")
    proc = start("echo up; read x", "--deny-write", ws / "keep", stdin=-1, stdout=-1)
    assert proc.stdout.readline() == b"up\n"
    user.write(ws / "keep/.envrc", "mine\n")
    proc.stdin.close()
    proc.wait(20)
    assert (ws / "keep/.envrc").read_text() == "mine\n"


def test_a_repository_in_a_large_directory(run, user, ws):
    """A directory with many entries and no subdirectory is asked for names, not listed: also for those that make it a repository."""
    script = (HOOK + "mkdir sub o r; cd sub; echo ref: refs/heads/m > HEAD; ln -s ../o objects; ln -s ../r refs; "
              "printf '[core]\\nrepositoryformatversion=0\\nbare=false\\nworktree={ws}\\nfsmonitor={ws}/hook\\n' > config; "
              "touch $(seq -f 'a-name-that-is-long-enough-to-fill-blocks-%g' 1 400)").format(ws=ws)  # fmt: skip
    r = run(script)
    user.exec(["git", "status"], cwd=ws / "sub")
    assert not (ws / "RAN").exists(), r
    user.exec(["sh", "-c", "rm -rf sub o r; " + script], cwd=ws)
    user.exec(["git", "status"], cwd=ws / "sub")
    assert (ws / "RAN").exists(), "control"


def test_an_old_directory_under_a_new_name(run, user, ws):
    """In a tree too large to be searched to its end: what lies at its top is known all the same."""
    user.exec(["git", "init", "-q", ws])
    user.exec(["git", "-C", ws, "config", "core.hooksPath", ".husky/_"])
    user.mkdir(ws / "old/_")
    user.exec(["sh", "-c", "mkdir -p $(seq -f 'd%g/e' 1 600)"], cwd=ws)
    r = run(HOOK.format(ws=ws) + "mv old .husky; mv hook .husky/_/pre-commit")
    assert not host_runs(user, ws), r
    user.exec(["sh", "-c", HOOK.format(ws=ws) + "mkdir -p .husky/_; mv hook .husky/_/pre-commit"], cwd=ws)
    assert host_runs(user, ws), "control"
