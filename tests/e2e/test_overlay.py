# SPDX-License-Identifier: Apache-2.0
"""Overlay workspaces: the command writes a copy, the host sees nothing. What becomes of the copy is in test_apply.py."""
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import time

import pytest

from conftest import BAILEY, PYTHON, has_own_ids, kill, skip, wait_for
from overlays import changes, holds_layers, run_id, snapshot, state_dir, store, tidy_state

OVERLAY = ["--workspace", ".:overlay"]


@pytest.fixture(autouse=True)
def tidy(user, monkeypatch):
    yield from tidy_state(user, monkeypatch)


@pytest.fixture
def tree(user, ws):
    """Some of everything."""
    user.write(ws / "file", "one\n")
    user.write(ws / "script", "#!/bin/sh\n", 0o755)
    user.write(ws / "secret", "mine\n", 0o600)
    user.write(ws / "dir/sub/deep", "deep\n")
    user.write(ws / "dir/other", "other\n")
    user.symlink("file", ws / "link")
    return ws


SPOIL = """
echo two >> file; chmod 600 script; rm link secret; ln -s /etc link2; mkdir -p new/er; echo n > new/er/file
rm -r dir/sub; echo x > dir/sub; mv dir/other dir/moved; touch -d 2001-01-01 file; mkfifo fifo; : > empty
"""


def test_the_host_sees_nothing(run, tree):
    """Denied: nothing of the host's changes. Controls: inside all of it works; the same in a direct workspace changes the host."""
    before = snapshot(tree)
    r = run(SPOIL + "ls -A; cat file new/er/file; test ! -e secret -a -f dir/sub -a -p fifo", *OVERLAY)
    assert r.rc == 0 and "two\nn\n" in r.out, r
    assert snapshot(tree) == before
    r = run(SPOIL)
    assert r.rc == 0, r
    assert snapshot(tree) != before and not (tree / "secret").exists()


def test_nothing_is_seen_during_the_run_either(start, tree):
    before = snapshot(tree)
    p = start(SPOIL + "echo ready; sleep 60", *OVERLAY, stdin=subprocess.PIPE)
    assert p.stdout.readline() == b"ready\n"
    assert snapshot(tree) == before
    kill(p)
    assert snapshot(tree) == before


def test_the_mode_of_the_workspace_itself(run, bailey, tree):
    """Announced, kept, applied: the only change of a run, and no name in its layer."""
    r = run("chmod 700 .", *OVERLAY)
    run("true", *OVERLAY)
    assert "bailey apply" in r.bailey_err, r
    (one,) = [line.split()[0] for line in bailey(["runs"]).out.splitlines() if "changed" in line or str(tree) in line]
    assert bailey(["apply", one]).rc == 0 and (tree.stat().st_mode & 0o7777) == 0o700


def test_what_the_host_does_is_seen_before_it_is_changed(start, tree):
    """The layer below is the host's: what the command has not touched is not a snapshot."""
    p = start("read x; cat file", *OVERLAY, stdin=subprocess.PIPE)
    (tree / "file").write_text("host\n")
    out, _ = p.communicate(b"\n", 20)
    assert out == b"host\n"


def test_a_run_without_changes_leaves_no_record(run, user, tree):
    for script in ("true", "cat file; ls -R", "echo x > new; rm new", "chmod 700 script; chmod 755 script", "touch file", "mkdir d; rmdir d",
                   "cp file f2; mv f2 file; echo one > file", "exit 3"):
        r = run(script, *OVERLAY)
        assert r.rc == (3 if script == "exit 3" else 0) and r.bailey_err == "", (script, r)
        assert not store(user).exists() or not list(store(user).iterdir()), script


def test_the_line_at_the_end(run, bailey, user, tree):
    r = run("echo x >> file; echo y > new; rm secret", *OVERLAY)
    assert re.search(r"run [0-9a-f]{10} changed '.*' in its copy: 1 added, 1 modified, 1 deleted; bailey diff", r.err), r
    run_ = run_id(r)
    for verb in ("diff", "apply", "discard"):
        assert f"bailey {verb} {run_}" in r.err
    assert (store(user) / run_).is_dir() and (store(user).stat().st_mode & 0o777) == 0o700
    listed = json.loads(bailey(["runs", "--json"], cwd=tree).out)
    assert [(li["id"], li["state"], li["workspaces"]) for li in listed] == [(run_, "ended", [str(tree)])]
    assert listed[0]["command"][:2] == ["sh", "-c"] and re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", listed[0]["start"])


@pytest.mark.parametrize("user", ["root"], indirect=True)  # the place of everybody else is the one that all other cases use
def test_where_root_keeps_it(user, works, ws):
    """Without XDG_STATE_HOME in /var/lib/bailey; only this run's record is touched there."""
    assert not works(user)
    env = {"XDG_STATE_HOME": ""}
    with holds_layers(user, "/var/lib/bailey"):
        r = user.exec([BAILEY, "run", *OVERLAY, "--", "sh", "-c", "echo x > f"], cwd=ws, env=env)
        run = run_id(r)
        assert r.rc == 0 and run, r
        try:
            assert os.path.isdir(f"/var/lib/bailey/runs/{run}") and os.stat("/var/lib/bailey/runs").st_mode & 0o777 == 0o700
        finally:
            assert user.exec([BAILEY, "discard", run], cwd=ws, env=env).rc == 0
        assert not os.path.exists(f"/var/lib/bailey/runs/{run}")


def test_exit_status_and_failure_keep_the_record(run, bailey, tree):
    r = run("echo x > new; exit 7", *OVERLAY)
    assert r.rc == 7 and run_id(r)
    r = run("echo x > newer; kill -9 $$", *OVERLAY)
    assert r.rc == 137 and run_id(r)
    r = run("echo x > newest; sleep 60", *OVERLAY, "--timeout", "1s")
    assert r.rc == 124 and run_id(r)
    assert len(json.loads(bailey(["runs", "--json"], cwd=tree).out)) == 3


def test_a_killed_bailey_keeps_what_was_written(start, bailey, tree):
    p = start("echo x > new; echo ready; sleep 60", *OVERLAY)
    assert p.stdout.readline() == b"ready\n"
    os.kill(p.pid, signal.SIGKILL)
    p.wait()
    assert wait_for(lambda: json.loads(bailey(["runs", "--json"], cwd=tree).out)[0]["state"] == "ended")
    assert list(changes(bailey, tree)) == ["new"]


def test_nothing_that_never_ran_leaves_a_record(run, user, tree):
    for opts in (["--dry-run"], ["--explain"]):
        r = run(["true"], *OVERLAY, *opts)
        assert r.rc == 0
        assert not store(user).exists() or not list(store(user).iterdir()), opts
    r = run(["/nonexistent"], *OVERLAY)
    assert r.rc == 127
    assert not list(store(user).iterdir())


def test_explain_and_check_say_so(run, bailey, tree):
    plan = {op["path"]: op for op in json.loads(run(["true"], *OVERLAY, "--explain=json").out)["plan"]}
    assert plan[str(tree)]["op"] == "copy" and plan[str(tree)]["writable"] and "stays as it is" in plan[str(tree)]["note"]
    r = bailey(["check", *OVERLAY, "write", "file"], cwd=tree)
    assert r.rc == 0 and "copy" in r.out, r


def test_sockets_are_dead(run, user, tree):
    """Denied in the copy, also a socket that is made later; the control: it answers outside. The twin: a socket of the command's own works."""
    with socket.socket(socket.AF_UNIX) as s, socket.socket(socket.AF_UNIX) as c:
        s.bind(str(tree / "sock"))
        s.listen()
        os.chmod(tree / "sock", 0o777)
        c.connect(str(tree / "sock"))
        connect = "import socket; s=socket.socket(socket.AF_UNIX); print(s.connect_ex('sock'))"
        r = run([PYTHON, "-c", connect], *OVERLAY)
        assert r.out == "111\n", r
        r = run([PYTHON, "-c", "import socket; a=socket.socket(socket.AF_UNIX); a.bind('own'); a.listen(); " + connect.replace("'sock'", "'own'")], *OVERLAY)
        assert r.out == "0\n", r


MASKS = ["--hide", "a/b/.env", "--deny-read", "a/keys", "--deny-write", "a/c/fixed"]
ROUND = """
for d in a a/b a/c; do mv $d $d.gone 2>/dev/null && [ ! -e $d ] && echo moved $d; done
rm -rf a a/b a/c 2>/dev/null; rm -f a/b/.env a/c/fixed; rmdir a/keys 2>/dev/null
cat a/b/.env a/keys/k 2>/dev/null && echo read
echo x > a/c/fixed 2>/dev/null && echo written
mv a/b/.env away 2>/dev/null && echo away
mkdir n; mv a/b n/b 2>/dev/null; cat n/b/.env 2>/dev/null && echo round; true
"""


def test_masks_hold_without_pins(run, user, ws):
    """A directory of the host that the command has not replaced can't be renamed (EXDEV), so nothing leads round a mask. Control: without the rules."""
    def plant():
        for name in ("a/b/.env", "a/keys/k", "a/c/fixed"):
            user.write(ws / name, "SECRET\n")

    plant()
    r = run(ROUND, *OVERLAY, *MASKS)
    assert "SECRET" not in r.out and not set(r.out.split()) & {"read", "written", "away", "round"}, r
    assert (ws / "a/b/.env").read_text() == "SECRET\n"
    r = run([PYTHON, "-c", "import os\ntry: os.rename('a/b', 'x')\nexcept OSError as e: print(e.errno)"], *OVERLAY, *MASKS)
    assert r.out == "18\n"  # EXDEV
    r = run("cat a/b/.env; echo x > a/c/fixed && cat a/c/fixed; ls a/keys", *OVERLAY)
    assert "SECRET" in r.out and "x\n" in r.out and "k\n" in r.out, r


def test_protected_paths_are_writable_in_a_copy(run, bailey, user, ws):
    user.write(ws / ".envrc", "export A=1\n")
    user.write(ws / ".vscode/tasks.json", "{}\n")
    r = run("echo x >> .envrc; echo y > .vscode/tasks.json; cat .envrc", *OVERLAY)
    assert r.rc == 0 and "x\n" in r.out
    assert (ws / ".envrc").read_text() == "export A=1\n"
    assert {p: c["protect"] for p, c in changes(bailey, ws).items()} == {".envrc": "direnv", ".vscode/tasks.json": "editor tasks"}


@pytest.mark.parametrize("opts", [OVERLAY, ["--workspace", ".:rw", "--workspace", "sub:overlay"]], ids=["alone", "in a direct workspace"])
def test_what_the_host_makes_meanwhile_is_its_own(start, bailey, user, ws, opts):
    """A protected name that appears below a copy is not the run's, so nobody moves it to the quarantine. The control: in a direct workspace it is."""
    sub = user.mkdir(ws / "sub")
    p = start("echo x > sub/.envrc; echo ready; sleep 1; echo y > f", *opts)
    assert p.stdout.readline() == b"ready\n"
    user.write(sub / ".envrc", "host\n")
    assert p.communicate(timeout=20)[0] is not None and p.returncode == 0
    assert (sub / ".envrc").read_text() == "host\n"
    assert changes(bailey, sub)[".envrc" if "sub:overlay" in opts else "sub/.envrc"]["protect"] == "direnv"
    if opts == OVERLAY:
        p = start("echo ready; echo x > sub/direct; mkdir sub/n; echo x > sub/n/.envrc; sleep 0.5")
        p.communicate(timeout=20)
        assert not (sub / "n/.envrc").exists() and (sub / "direct").exists()


def test_what_a_rule_denies_and_the_host_makes_is_not_moved(start, user, ws):
    """--deny-write of an absent path in a copy that lies in a direct workspace: what appears there is the host's. The control: beside the copy it goes."""
    sub = user.mkdir(ws / "sub")
    p = start("echo ready; sleep 1; echo x > control", "--workspace", ".", "--workspace", "sub:overlay", "--deny-write", "sub/absent", "--deny-write",
              "control")
    assert p.stdout.readline() == b"ready\n"
    user.write(sub / "absent", "host\n")
    p.communicate(timeout=20)
    assert (sub / "absent").read_text() == "host\n" and not (ws / "control").exists()


def test_a_file_of_a_project_cannot_take_the_copy_away(run, user, ws):
    user.write(ws / ".bailey.json", json.dumps({"filesystem": {"allowWrite": [".", "sub"]}}))
    user.write(ws / "sub/f", "1\n")
    user.exec([BAILEY, "trust", "."], cwd=ws)
    try:
        r = run("echo x >> sub/f; echo y > g", *OVERLAY)
        assert r.rc == 0 and (ws / "sub/f").read_text() == "1\n" and not (ws / "g").exists()
        r = run("echo x >> sub/f")  # the control: without :overlay it is direct
        assert r.rc == 0 and (ws / "sub/f").read_text() == "1\nx\n"
    finally:
        user.exec([BAILEY, "trust", "--revoke", "."], cwd=ws)


def test_contradictions_are_refused(run, user, ws, outside):
    user.write(ws / "sub/f")
    r = run(["true"], *OVERLAY, "--workspace", "sub")
    assert r.rc == 2 and "overlay workspace" in r.err and "sub" in r.err
    r = run("echo x > sub/g 2>/dev/null || echo no", *OVERLAY, "--workspace", "sub:ro")
    assert r.rc == 0 and r.out == "no\n"
    r = run("echo x > sub/g; echo y > f; ls", "--workspace", ".", "--workspace", "sub:overlay")
    assert r.rc == 0 and (ws / "f").exists() and not (ws / "sub/g").exists(), r


def test_two_overlay_workspaces(run, bailey, user, ws, outside):
    user.write(outside / "lib.c", "int x;\n")
    r = run(f"echo x > f; echo y >> {outside}/lib.c", *OVERLAY, "--workspace", f"{outside}:overlay")
    assert r.rc == 0 and not (ws / "f").exists() and (outside / "lib.c").read_text() == "int x;\n"
    seen = json.loads(bailey(["diff", "--json"], cwd=outside).out)
    assert {(c["tree"], c["path"]) for c in seen} == {(str(ws), "f"), (str(outside), "lib.c")}
    r = bailey(["apply"], cwd=ws)
    assert r.rc == 0 and (ws / "f").exists() and (outside / "lib.c").read_text() == "int x;\ny\n"


def test_a_workspace_in_a_private_directory(bailey, user):
    ws = user.mkdir(f"/tmp/bailey-e2e-ws{os.getpid()}")
    try:
        user.write(ws / "f", "1\n")
        r = bailey(["run", *OVERLAY, "--", "sh", "-c", "echo 2 >> f; cat f; ls /tmp"], cwd=ws)
        assert r.rc == 0 and r.out.startswith("1\n2\n") and (ws / "f").read_text() == "1\n", r
        assert bailey(["apply"], cwd=ws).rc == 0 and (ws / "f").read_text() == "1\n2\n"
    finally:
        shutil.rmtree(ws)


def test_state_inside_the_workspace_is_refused(bailey, run, user, ws):
    env = {"XDG_STATE_HOME": str(ws / "state")}
    r = run(["true"], *OVERLAY, env=env)
    assert r.rc == 2 and "XDG_STATE_HOME" in r.err and "which it holds" in r.err, r
    assert not (ws / "state/bailey/runs").exists()
    with holds_layers(user, user.home / "elsewhere") as elsewhere:
        r = run("echo x > f", *OVERLAY, env={"XDG_STATE_HOME": str(elsewhere)})
        assert r.rc == 0 and not (ws / "f").exists(), r
    shutil.rmtree(elsewhere)


NO_LAYERS = {
    "ramfs": ("mount -t ramfs none /mnt/s", "without user attributes"),
    # a container's root
    "overlayfs": ("mkdir /mnt/l /mnt/u /mnt/w && mount -t overlay none -o lowerdir=/mnt/l,upperdir=/mnt/u,workdir=/mnt/w /mnt/s", "no overlay can be made over"),
}


@pytest.mark.parametrize("kind", NO_LAYERS)
def test_a_state_that_can_hold_no_layer_is_refused(user, works, ws, kind):
    """The control: the same place on a tmpfs."""
    if os.geteuid() != 0:
        skip("needs root to mount a file system")
    if works(user):
        pytest.fail(works(user))
    inner = f"cd {ws} && XDG_STATE_HOME=/mnt/s {BAILEY} run --workspace .:overlay -- sh -c 'echo x > f'; echo rc $?"
    as_user = f"setpriv --reuid {user.uid} --regid {user.gid} --clear-groups sh -c \"{inner.replace('$', chr(92) + '$')}\"" if not user.is_root else inner
    script = f"mount -t tmpfs none /mnt && mkdir /mnt/s && {{}} && chown {user.uid} /mnt/s && HOME={user.home} {as_user}"

    def on(place):
        return subprocess.run(["unshare", "-m", "sh", "-c", script.format(place)], capture_output=True, text=True, check=False)

    place, reason = NO_LAYERS[kind]
    r = on(place)
    assert "rc 125" in r.stdout and reason in r.stderr and "XDG_STATE_HOME" in r.stderr, r
    assert not (ws / "f").exists()
    r = on("true")
    assert "rc 0" in r.stdout and " changed " in r.stderr and not (ws / "f").exists(), r


def test_mounts_below_are_refused(user, works, ws):
    if os.geteuid() != 0:
        skip("needs root to mount a file system")
    if works(user):
        pytest.fail(works(user))
    user.mkdir(ws / "sub")
    inner = f"cd {ws} && {BAILEY} run --workspace .:overlay -- sh -c 'echo x > f'; echo rc $?"
    as_user = f"setpriv --reuid {user.uid} --regid {user.gid} --clear-groups sh -c \"{inner.replace('$', chr(92) + '$')}\"" if not user.is_root else inner
    r = subprocess.run(["unshare", "-m", "sh", "-c", f"mount -t tmpfs none {ws}/sub && HOME={user.home} {as_user}"], capture_output=True,
                       text=True, check=False)
    assert "rc 2" in r.stdout and "mounts below" in r.stderr and ":overlay" in r.stderr, r
    assert not (ws / "f").exists()


def test_files_of_another_group(run, user, ws):
    """EOVERFLOW for a command with one id, and a notice says so; the block of ids that root's has, where it has one, has no such limit."""
    if os.geteuid() != 0:
        skip("needs root to give a file away")
    user.write(ws / "f", "1\n")
    user.write(ws / "g", "1\n")
    os.chown(ws / "g", user.uid, 5)
    os.chown(ws, user.uid, 5)
    os.chmod(ws, 0o775)
    os.chmod(ws / "g", 0o664)
    r = run("echo 2 >> f; echo 2 >> g; cat g", *OVERLAY)
    if has_own_ids(user, ws):
        assert r.out == "1\n2\n" and "EOVERFLOW" not in r.err, r
    else:
        assert r.out == "1\n" and "EOVERFLOW" in r.bailey_err, r


def test_large_trees_start_like_empty_ones(bailey, user, ws):
    """Nothing is searched: no directory of the workspace is opened. The control: a direct workspace is searched."""
    log = ws.parent / "calls"

    def calls(opts):
        r = user.exec(["strace", "-f", "-qq", "-e", "trace=openat,openat2", "-o", log, BAILEY, "run", *opts, "--", "true"], cwd=ws)
        assert r.rc == 0, r
        return len(re.findall(r'"(?:[^"]*/)?d\d+"', log.read_text()))

    for i in range(40):
        user.mkdir(ws / f"d{i}")
        for k in range(50):
            (ws / f"d{i}/f{k}").touch()
    assert calls(OVERLAY) == 0
    assert calls([]) > 2


def test_worktree(run, bailey, user, ws):
    """The shared git directory of a worktree is a copy, too: a commit inside is not one outside, until it is applied."""
    git = ["git", "-c", "user.email=e2e@example.org", "-c", "user.name=e2e"]
    main = user.mkdir(ws / "main")
    for args in (["init", "-q", "-b", "main"], ["commit", "-q", "--allow-empty", "-m", "first"], ["worktree", "add", "-q", "../wt"]):
        assert user.exec([*git, *args], cwd=main).rc == 0
    wt = ws / "wt"
    before = snapshot(main)
    r = run("echo 1 > f && git add f && git -c user.email=e@example.org -c user.name=e commit -qm inside && git rev-list --count HEAD", *OVERLAY,
            cwd=wt)
    assert r.rc == 0 and r.out == "2\n", r
    assert snapshot(main) == before and not (wt / "f").exists()
    assert user.exec([*git, "rev-list", "--count", "HEAD"], cwd=wt).out == "1\n"
    trees = {c["tree"] for c in json.loads(bailey(["diff", "--json"], cwd=wt).out)}
    assert trees == {str(wt), str(main / ".git")}
    assert "git directory" in bailey(["diff", "--stat"], cwd=wt).out
    r = bailey(["apply"], cwd=wt)
    assert r.rc == 0, r
    assert user.exec([*git, "rev-list", "--count", "HEAD"], cwd=wt).out == "2\n"
    assert user.exec([*git, "status", "--porcelain"], cwd=wt).out == ""
    assert user.exec([*git, "fsck", "--strict"], cwd=main).rc == 0


def test_a_foreign_git_directory_is_not_copied(run, user, ws, outside):
    """Attack 71: a .git file that names somebody else's repository gives nothing."""
    assert user.exec(["git", "init", "-q", outside / "victim"], cwd=ws).rc == 0
    user.write(ws / ".git", f"gitdir: {outside}/victim/.git\n")
    r = run(f"echo x > {outside}/victim/.git/evil || echo no", *OVERLAY)
    assert "no\n" in r.out and "not given" in r.bailey_err, r


def test_git_inside(run, bailey, user, ws):
    git = ["git", "-c", "user.email=e2e@example.org", "-c", "user.name=e2e"]
    user.write(ws / "src/a.c", "int a;\n")
    for args in (["init", "-q", "-b", "main"], ["add", "."], ["commit", "-qm", "first"]):
        assert user.exec([*git, *args], cwd=ws).rc == 0
    r = run("export GIT_AUTHOR_NAME=e GIT_AUTHOR_EMAIL=e GIT_COMMITTER_NAME=e GIT_COMMITTER_EMAIL=e; "
            "mkdir lib && git mv src/a.c lib && git commit -qam moved && git gc -q && git switch -qc topic && echo x > lib/b.c && git add . && git commit -qm b && "
            "git stash list && git log --oneline | wc -l", *OVERLAY)
    assert r.rc == 0 and r.out == "3\n", r
    assert user.exec([*git, "rev-list", "--count", "--all"], cwd=ws).out == "1\n"
    assert bailey(["apply"], cwd=ws).rc == 0
    assert user.exec([*git, "rev-list", "--count", "HEAD"], cwd=ws).out == "3\n"
    assert user.exec([*git, "status", "--porcelain"], cwd=ws).out == ""
    assert user.exec([*git, "fsck", "--strict"], cwd=ws).rc == 0
    assert user.exec([*git, "branch", "--show-current"], cwd=ws).out == "topic\n"


def test_a_directory_of_the_host_cannot_be_renamed(run, user, ws):
    """EXDEV (LIMITATIONS): mv copies instead, git mv says so. The twin: a directory that the run has made, and one that it has made anew."""
    user.write(ws / "d/f", "1\n")
    assert user.exec(["git", "init", "-q", "."], cwd=ws).rc == 0
    assert user.exec(["git", "add", "."], cwd=ws).rc == 0
    assert "cross-device" in run("git mv d e", *OVERLAY).err.lower()
    r = run("mv d e && git add -A && git status --short; mkdir -p n/m && mv n k && mv k/m m; rm -r e; mkdir e; mv e f", *OVERLAY)
    assert r.rc == 0 and "e/f" in r.out, r


def pack(user, where, name, version, files):
    """A package as npm's cache has it: a tarball made by npm itself."""
    d = user.mkdir(where / f"src-{name}")
    user.write(d / "package.json", json.dumps({"name": name, "version": version}))
    for f, text in files.items():
        user.write(d / f, text)
    r = user.exec(["npm", "pack", "--silent", "--pack-destination", where], cwd=d, env={"npm_config_cache": str(where / "c")}, timeout=120)
    assert r.rc == 0, r
    return where / f"{name}-{version}.tgz"


def test_npm_ci(run, bailey, user, ws, outside):
    """npm ci from a cache of its own, without a network: renames of whole trees, links in .bin, and a second time over the first."""
    if not shutil.which("npm"):
        skip("npm is not installed")
    tarball = pack(user, outside, "left", "1.0.0", {"index.js": "module.exports = 1\n", **{f"lib/{i}.js": f"// {i}\n" for i in range(100)}})
    user.write(ws / "package.json", json.dumps({"name": "w", "version": "1.0.0", "dependencies": {"left": f"file:{tarball}"}}))
    env = {"npm_config_cache": str(ws / ".npm"), "npm_config_audit": "false", "npm_config_fund": "false", "npm_config_update_notifier": "false"}
    r = user.exec(["npm", "install", "--package-lock-only", "--offline", "--silent"], cwd=ws, env=env, timeout=120)
    assert r.rc == 0, r
    before = snapshot(ws)
    script = "npm ci --offline --silent && npm ci --offline --silent && node -e 'console.log(require(\"left\"))'"
    r = run(script, *OVERLAY, env=env, timeout=120)
    assert r.rc == 0 and r.out == "1\n", r
    assert snapshot(ws) == before
    r = bailey(["apply"], cwd=ws)
    assert r.rc == 0, r
    assert user.exec(["node", "-e", "console.log(require('left'))"], cwd=ws).out == "1\n"
    r = run("npm ci --offline --silent", *OVERLAY, env=env, timeout=120)
    assert r.rc == 0, r


def test_cargo_build(run, bailey, user, ws):
    """cargo as Debian has it, offline."""
    cargo = "/usr/bin/cargo"
    if not os.access(cargo, os.X_OK):
        skip("Debian's cargo is not installed (make deps-test)")
    user.write(ws / "Cargo.toml", '[package]\nname = "w"\nversion = "0.1.0"\nedition = "2021"\n')
    user.write(ws / "src/main.rs", 'fn main() { println!("built"); }\n')
    before = snapshot(ws)
    env = {"CARGO_HOME": str(ws / ".cargo-home"), "RUSTUP_TOOLCHAIN": "", "PATH": "/usr/bin:/bin"}
    r = run([cargo, "run", "--offline", "--quiet"], *OVERLAY, env=env, timeout=300)
    assert r.rc == 0 and r.out == "built\n", r
    assert snapshot(ws) == before
    assert bailey(["apply"], cwd=ws).rc == 0
    assert user.exec([ws / "target/debug/w"], cwd=ws).out == "built\n"


def test_hard_links_and_links_inside(run, bailey, user, ws):
    user.write(ws / "a", "1\n")
    os.link(ws / "a", ws / "b")
    r = run("echo 2 >> a; cat b; ln a c; rm b", *OVERLAY)
    assert r.rc == 0 and (ws / "a").read_text() == "1\n"
    assert bailey(["apply"], cwd=ws).rc == 0
    assert (ws / "a").read_text() == "1\n2\n" and (ws / "c").read_text() == "1\n2\n" and not (ws / "b").exists()


def test_concurrent_runs_have_copies_of_their_own(start, bailey, tree):
    procs = [start(f"echo {i} >> file; read x; cat file", *OVERLAY, stdin=subprocess.PIPE) for i in range(3)]
    time.sleep(0.3)
    outs = [p.communicate(b"\n", 20)[0] for p in procs]
    assert outs == [f"one\n{i}\n".encode() for i in range(3)]
    assert len(json.loads(bailey(["runs", "--json"], cwd=tree).out)) == 3


def test_own_state_is_hidden_inside(run, user, tree):
    """The layers can't be reached from inside, by the run or by the next one."""
    run("echo x > new", *OVERLAY)
    assert list(store(user).iterdir())
    for opts in ([], OVERLAY):
        r = run(f"ls {state_dir(user)}/runs 2>&1 || echo none", *opts)
        assert "none" in r.out, r


@pytest.mark.parametrize("user", ["user"], indirect=True)  # root's state is not in the home directory
def test_a_home_directory_as_overlay_workspace_is_refused_for_its_state(bailey, user, ws):
    # not the caller's own: its state may be a mount of its own (tidy_state), and mounts below are another reason
    home = user.mkdir(ws / "home")
    r = bailey(["run", "--workspace", f"{home}:overlay", "--", "true"], cwd=home, env={"HOME": str(home)})
    assert r.rc == 2 and "which it holds" in r.err and "XDG_STATE_HOME" in r.err, r


def test_a_large_workspace_is_not_searched(run, user, ws, outside):
    """A hundred thousand files are no more work than none, before the command and after it: as many directories are listed, as many files looked at."""
    if not shutil.which("strace"):
        skip("strace is not installed")

    def calls(name, *cmd):
        log = outside / name
        r = user.exec(["strace", "-f", "-q", "-o", log, "-e", "trace=getdents64,lstat,stat,statx,newfstatat,openat,openat2", BAILEY, "run", *OVERLAY, "--", *(cmd or ["true"])], cwd=ws)
        assert r.rc == 0, r
        return len(log.read_text(errors="replace").splitlines())

    user.write(ws / "f")
    small = [calls(f"small{i}") for i in range(3)]
    user.exec([PYTHON, "-c", "import os\nfor i in range(100):\n    os.mkdir(f'd{i}')\n    for k in range(1000): os.close(os.open(f'd{i}/f{k}', os.O_CREAT, 0o644))"], cwd=ws, timeout=120)
    assert len(list((ws / "d99").iterdir())) == 1000
    large = [calls(f"large{i}") for i in range(3)]
    assert min(large) <= max(small) + 20, (small, large)
    assert calls("find", "find", ".", "-name", "f1") > max(large) + 100, "control: a search is seen"
