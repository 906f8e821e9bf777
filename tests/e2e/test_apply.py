# SPDX-License-Identifier: Apache-2.0
"""What becomes of an overlay workspace's changes: diff, apply, discard, runs, prune."""
import ctypes
import json
import os
import pathlib
import pty
import random
import re
import select
import shutil
import socket
import stat
import subprocess
import threading
import time

import pytest

from conftest import BAILEY, PYTHON, THOROUGH, skip, wait_for
from overlays import changes, holds_layers, run_id, snapshot, state_dir, store, tidy_state
from test_protect import rows

OVERLAY = ["--workspace", ".:overlay"]


@pytest.fixture(autouse=True)
def tidy(user, monkeypatch):
    yield from tidy_state(user, monkeypatch)


@pytest.fixture
def over(run, ws):
    """over(SCRIPT) -> ID of a run with an overlay workspace that ran it."""
    def call(script, *opts, **kw):
        r = run(script, *OVERLAY, *opts, **kw)
        assert r.rc == 0 and run_id(r), (script, r)
        return run_id(r)

    return call


@pytest.fixture
def apply(bailey, ws):
    def call(*args, rc=0, **kw):
        r = bailey(["apply", *args], cwd=ws, **kw)
        assert r.rc == rc, (args, r)
        return r

    return call


@pytest.fixture
def records(bailey, ws):
    return lambda: json.loads(bailey(["runs", "--json"], cwd=ws).out)


def plant(user, ws):
    user.write(ws / "file", "one\ntwo\nthree\n")
    user.write(ws / "script", "#!/bin/sh\n", 0o755)
    user.write(ws / "secret", "mine\n", 0o600)
    user.write(ws / "dir/sub/deep", "deep\n")
    user.write(ws / "dir/other", "other\n")
    user.write(ws / "gone/a", "a\n")
    user.write(ws / "gone/b/c", "c\n")
    user.write(ws / "gone2/a", "another a\n")
    user.write(ws / "turn/into", "a file\n")
    user.write(ws / "flat", "a directory\n")
    user.symlink("file", ws / "link")
    user.write(ws / "again/old1", "1\n")
    user.write(ws / "again/keep", "2\n")


CHANGES = """
sed -i s/two/TWO/ file; chmod 600 script; rm link secret; ln -s dir link; mkdir -p new/er; echo n > new/er/file; chmod 750 new
rm -r gone; rm -r turn; echo x > turn; rm flat; mkdir flat; echo in > flat/in; mv dir/other dir/moved; : > empty; mkdir void
rm -r again; mkdir again; echo 3 > again/keep; echo 4 > again/new; touch -d 2001-02-03T04:05:06Z new/er/file; printf 'a\\0b' > binary; ln -s /nowhere 'odd
name'"""


@pytest.fixture
def twin(user, ws, run):
    """What the same commands make of the same tree when they work on it directly."""
    def make(script):
        path = user.mkdir(ws.parent / (ws.name + "-twin"))
        plant(user, path)
        r = user.exec(["sh", "-c", script], cwd=path)
        assert r.rc == 0, r
        return path

    yield make
    shutil.rmtree(ws.parent / (ws.name + "-twin"), ignore_errors=True)


def test_apply_makes_the_host_what_the_run_saw(over, apply, records, user, ws, twin):
    plant(user, ws)
    over(CHANGES)
    apply()
    assert snapshot(ws, times=False) == snapshot(twin(CHANGES), times=False)
    assert (ws / "new/er/file").stat().st_mtime == 981173106
    assert records() == [] and not list(store(user).iterdir())


def test_dry_run_and_discard_change_nothing(over, apply, bailey, records, user, ws):
    plant(user, ws)
    before = snapshot(ws)
    run = over(CHANGES)
    r = apply("--dry-run")
    assert "would apply" in r.out and "modified: " in r.out
    planned = {c["path"]: c["state"] for c in json.loads(apply("--dry-run", "--json").out)}
    assert set(planned.values()) == {"would apply"} and planned.keys() >= {"file", "new", "new/er/file", "gone/b/c", "turn", "turn/into"}
    assert snapshot(ws) == before and [r["id"] for r in records()] == [run]
    r = bailey(["discard"], cwd=ws)
    assert r.rc == 0 and run in r.out and records() == [] and snapshot(ws) == before


def test_forms(over, bailey, user, ws):
    plant(user, ws)
    user.write(ws / "AGENTS.md", "be good\n")
    user.write(ws / ".envrc", "x\n")
    over(CHANGES + "; echo evil >> AGENTS.md; echo y >> .envrc; mkfifo pipe")
    seen = changes(bailey, ws)
    assert set(seen["file"]) == {"path", "tree", "change", "from", "old_mode", "new_mode", "flag", "protect", "conflict", "refused", "git",
                                 "binary", "additions", "deletions"}
    kinds = {p: c["change"] for p, c in seen.items()}
    assert kinds["file"] == "modified" and kinds["script"] == "mode" and kinds["secret"] == "deleted" and kinds["turn"] == "type"
    assert kinds["flat"] == "type" and kinds["flat/in"] == "added" and kinds["gone/b/c"] == "deleted" and kinds["again/old1"] == "deleted"
    assert kinds["dir/moved"] == "renamed" and seen["dir/moved"]["from"] == "dir/other" and "dir/other" not in kinds
    assert (seen["file"]["additions"], seen["file"]["deletions"]) == (1, 1)
    assert (seen["script"]["old_mode"], seen["script"]["new_mode"]) == ("100755", "100600")
    assert seen["link"]["old_mode"] == seen["link"]["new_mode"] == seen["odd\nname"]["new_mode"] == "120000", "as the patch says it"
    assert seen["binary"]["binary"] and seen["pipe"]["refused"] == "a FIFO"
    assert seen["AGENTS.md"]["flag"] == "agent instructions" and seen[".envrc"]["protect"] == "direnv" and seen["file"]["flag"] is None
    for form in ("--all", "--stat"):
        lines = bailey(["diff", form], cwd=ws).out.splitlines()
        for name, mark in (("AGENTS.md", "flag: agent instructions"), (".envrc", "direnv"), ("pipe", "a FIFO")):
            assert any(name in li and mark in li for li in lines), (form, name, lines)
        assert any(r'"odd\nname"' in li or r'odd\nname' in li for li in lines), (form, lines)
    lines = bailey(["diff", "--name-only"], cwd=ws).out.splitlines()
    assert {"AGENTS.md", ".envrc", "pipe", r'"odd\nname"'} <= set(lines), ("names alone, for xargs", lines)
    stat_ = bailey(["diff", "--stat"], cwd=ws).out
    assert re.search(r"^modified file  \+1 -1$", stat_, re.M) and re.search(r"^renamed  dir/other => dir/moved$", stat_, re.M), stat_
    assert bailey(["diff", "--stat", "--json"], cwd=ws).rc == 2


def test_equal_is_no_difference(over, bailey, apply, records, user, ws):
    """Host and run came to the same: nothing to review; and what a part of was applied is not shown again."""
    plant(user, ws)
    over("echo new > file; echo other > secret")
    (ws / "file").write_text("new\n")
    assert list(changes(bailey, ws)) == ["secret"]
    apply("--dry-run", "secret")
    (ws / "secret").write_text("other\n")
    assert changes(bailey, ws) == {}


# --- conflicts -------------------------------------------------------------------------------------------------------------------------

# What the run does, what the host does meanwhile, and where they meet.
CONFLICTS = {
    "both changed it": ("echo run > file", "echo host > file", "file"),
    "the host replaced it": ("echo run > file", "echo host > f2; mv f2 file", "file"),
    "the host changed its mode": ("echo run > file", "chmod 640 file", "file"),
    "the host removed it": ("echo run > file", "rm file", "file"),
    "the host removed its directory": ("echo run > dir/sub/deep", "rm -r dir/sub", "dir/sub"),
    "both made it": ("echo run > fresh", "echo host > fresh", "fresh"),
    "removed and changed": ("rm file", "echo host > file", "file"),
    "a tree removed, something in it changed": ("rm -r gone", "echo host > gone/b/c", "gone/b/c"),
    "a tree removed, something added": ("rm -r gone", "echo host > gone/b/new", "gone/b/new"),
    "a directory made anew, something changed": ("rm -r again; mkdir again; echo r > again/x", "echo host > again/old1", "again/old1"),
    "another directory in its place": ("echo run > gone/a", "mv gone away; mv gone2 gone", "gone/a"),
    "another directory in the place of one that is removed": ("rm gone/a", "mv gone away; mv gone2 gone", "gone/a"),
    "a file where the run has a directory": ("mkdir fresh; echo x > fresh/x", "echo host > fresh", "fresh"),
    "a directory where the run has a file": ("echo run > file", "rm file; mkdir file; echo host > file/x", "file/x"),
    "a link changed": ("ln -sfn dir link", "ln -sfn secret link", "link"),
}


@pytest.mark.parametrize("name", CONFLICTS)
def test_conflicts(over, bailey, apply, records, user, ws, name):
    """Nothing at all is applied, the conflict is listed; the other change waits. --force takes the run's version. Control: without the host's change."""
    script, host, path = CONFLICTS[name]
    plant(user, ws)
    time.sleep(0.02)  # the clock of files ticks in 4 ms
    run = over(script + "; echo innocent > innocent")
    time.sleep(0.02)
    assert user.exec(["sh", "-c", host], cwd=ws).rc == 0
    before = snapshot(ws)
    seen = changes(bailey, ws)
    assert seen[path]["conflict"], seen
    r = apply(rc=1)
    assert "conflict: " in r.out and str(ws / path) in r.out and "nothing was applied" in r.out and "--force" in r.out
    assert snapshot(ws) == before and [r["id"] for r in records()] == [run]
    r = apply("--json", rc=1)
    said = {c["path"]: c["state"] for c in json.loads(r.out)}
    assert said[path] == "conflict" and said["innocent"] == "left" and "applied" not in said.values(), said
    r = apply("--json", "--dry-run", rc=1)
    assert "would apply" not in {c["state"] for c in json.loads(r.out)}, r
    apply("innocent")
    assert (ws / "innocent").read_text() == "innocent\n"
    apply("--force", ".")
    assert records() == [], bailey(["diff"], cwd=ws)


@pytest.mark.parametrize("script", sorted({c[0] for c in CONFLICTS.values()}))
def test_no_conflict_without_the_host(over, bailey, apply, records, user, ws, script):
    plant(user, ws)
    over(script + "; echo innocent > innocent")
    assert not [c for c in changes(bailey, ws).values() if c["conflict"]]
    apply()
    assert records() == []


MOVES = {
    "into another directory": "mv file dir/file",
    "over another": "mv file secret",
    "in a circle": "mv file t; mv secret file; mv t secret",
    "into a new directory": "mkdir n; mv file secret n; mv dir/sub/deep n",
    "edited before": "echo x >> file; mv file dir/sub/file",
    "a directory by copy": "mv dir dir2",
    "hard links": "ln file hard; mv secret hard2; rm file",
}
DOUBTFUL = ("edited before", "a directory by copy")


@pytest.mark.parametrize("how", MOVES)
def test_what_the_run_moved_is_no_conflict(over, bailey, apply, records, user, ws, twin, how):
    """Also when the host's directories were changed for another reason; but then not what was changed, too: that could be one that the host removed."""
    plant(user, ws)
    time.sleep(0.02)
    over(MOVES[how])
    time.sleep(0.02)
    for d in (".", "dir", "dir/sub"):
        user.write(ws / d / "unrelated", "host\n")
    seen = changes(bailey, ws)
    if how in DOUBTFUL:
        assert {p for p, c in seen.items() if c["conflict"]} >= {"dir/unrelated" if "copy" in how else "dir/sub/file"}
        return
    assert not [c for c in seen.values() if c["conflict"]], seen
    apply()
    other = twin(MOVES[how])
    for d in (".", "dir", "dir/sub"):
        user.write(other / d / "unrelated", "host\n")
    assert snapshot(ws, times=False) == snapshot(other, times=False)


def test_a_part_and_then_the_rest(over, apply, bailey, records, user, ws, twin):
    plant(user, ws)
    time.sleep(0.02)
    run = over(CHANGES)
    time.sleep(0.02)
    apply("new/er/file")  # with the directories that lead to it
    assert (ws / "new/er/file").read_text() == "n\n" and (ws / "new").stat().st_mode & 0o777 == 0o750
    assert (ws / "secret").exists() and [r["id"] for r in records()] == [run]
    apply("again/old1", "gone")
    assert not (ws / "gone").exists() and not (ws / "again/old1").exists() and (ws / "again/keep").read_text() == "2\n"
    assert not [c for c in changes(bailey, ws).values() if c["conflict"]]  # our own steps are none
    apply(run[:4], "./turn", "flat")
    apply(run)
    assert records() == [] and snapshot(ws, times=False) == snapshot(twin(CHANGES), times=False)


# --- what the host executes ---------------------------------------------------------------------------------------------------------------


def test_every_protected_name_needs_a_word(over, bailey, apply, records, user, ws):
    """Also new ones, removed ones, and links in the place of their directories. The twin: what is beside them is applied."""
    names = rows()
    for name in names[::2]:
        user.write(ws / (name + "inner" if name.endswith("/") else name), "{}\n" if name.endswith(".bailey.json") else "text\n")
    script = "".join(f"mkdir -p \"$(dirname '{n}')\"; " + (f"rm -rf '{n}'; " if i % 4 == 0 else
                     f"mkdir -p '{n}'; echo e >> '{n}inner'; " if n.endswith("/") else f"echo e >> '{n}'; ") for i, n in enumerate(names))
    before = snapshot(ws)
    over(script + "echo x > beside")
    seen = changes(bailey, ws)
    for name in names:
        at = name + "inner" if name.endswith("/") else name
        assert seen[at]["protect"], (name, seen[at])
    r = apply(rc=1)
    assert r.out.count("protected: ") >= len(names) and "--yes" in r.out
    after = snapshot(ws)
    assert (ws / "beside").exists() and {p: v for p, v in after.items() if p in before and p != "."} == {p: v for p, v in before.items() if p != "."}
    for name in names:
        if not (ws / name).exists():
            assert name not in after
    apply("--yes", names[1].rstrip("/"), rc=1)
    assert (ws / names[1]).exists()
    apply("--yes", ".")
    assert records() == []


def test_links_that_would_be_protected_names(over, bailey, apply, user, ws):
    over("mkdir evil; echo '{}' > evil/tasks.json; ln -s evil .vscode; ln -s evil .claude; ln -s evil sub; ln -s evil .git")
    seen = changes(bailey, ws)
    assert seen[".vscode"]["protect"] and seen[".claude"]["protect"] and seen[".git"]["protect"] and not seen["sub"]["protect"]
    apply(rc=1)
    assert not os.path.lexists(ws / ".vscode") and not os.path.lexists(ws / ".git") and os.path.lexists(ws / "sub")


LINKS = {
    "a directory": ("mkdir editor; ln -s editor .vscode", "echo '{}' > editor/tasks.json", "editor/tasks.json"),
    "a directory, by two links": ("mkdir -p a/editor; ln -s a/editor e; ln -s e .vscode", "echo '{}' > a/editor/tasks.json", "a/editor/tasks.json"),
    "a file": ("echo x > envrc.real; ln -s envrc.real .envrc", "echo e >> envrc.real", "envrc.real"),
    "git's hooks": ("git init -q .; mkdir tools; rm -r .git/hooks; ln -s ../tools .git/hooks", "echo e > tools/pre-commit", "tools/pre-commit"),
    "the home's": ("echo x > bashrc; ln -s \"$PWD/bashrc\" ~/.bashrc", "echo e >> bashrc", "bashrc"),
}


@pytest.mark.parametrize("how", LINKS)
def test_where_protected_links_lead(over, bailey, apply, user, ws, how):
    """A link of the host that has a protected name: what it leads to needs a word, under its own name. The twin: what is beside it."""
    before, script, path = LINKS[how]
    home_file = user.home / ".bashrc"
    kept = home_file.read_bytes() if home_file.exists() else None
    if how == "the home's" and kept is not None:
        home_file.unlink()
    try:
        assert user.exec(["sh", "-c", before], cwd=ws).rc == 0
        over(script + "; echo x > \"$(dirname " + path + ")/beside\"")
        seen = changes(bailey, ws)
        assert seen[path]["protect"], seen
        if how not in ("git's hooks",):
            assert not seen[os.path.join(os.path.dirname(path), "beside")]["protect"]
        apply(rc=1)
        apply("--yes", ".")
    finally:
        if how == "the home's":
            home_file.unlink(missing_ok=True)
            if kept is not None:
                home_file.write_bytes(kept)
                user.own(home_file)


@pytest.mark.parametrize("where", [".", "sub", "deep/er/sub"])
@pytest.mark.parametrize("how", ["config", "bare", "bare in two runs", "worktree config", "hooks path", "submodule"])
def test_attack_22_after_apply(over, bailey, apply, user, ws, outside, how, where):
    """git of the host executes nothing after an apply of everything that needs no word. The control: with --yes it does."""
    marker = outside / "executed"
    git = f"git -C {where}"
    fsmonitor = f"core.fsmonitor 'touch {marker}; false'"
    user.exec(["git", "init", "-q", "-b", "main", "."], cwd=ws)
    user.mkdir(ws / where)
    status = ["git", "-C", where, "status"]
    if how == "config":
        if where != ".":
            user.exec(["git", "init", "-q", where], cwd=ws)
        script = f"{git} config {fsmonitor}"
    elif how.startswith("bare"):
        script = f"cd {where} && mkdir -p b/objects b/refs && echo 'ref: refs/heads/main' > b/HEAD && printf '[core]\\nrepositoryformatversion=0\\n" \
                 f"bare=false\\nworktree=..\\nfsmonitor=\"touch {marker}; false\"\\n' > b/config; cp -f /dev/null b/index; rm b/index"
        status = ["git", "-C", f"{where}/b", "-c", "safe.bareRepository=all", "status"]
        if how == "bare in two runs":
            over(f"cd {where} && mkdir -p b && printf '[core]\\nrepositoryformatversion=0\\nbare=false\\nworktree=..\\nfsmonitor=\"touch {marker}; false\"\\n' > b/config")
            apply()
            script = f"cd {where} && mkdir -p b/objects b/refs && echo 'ref: refs/heads/main' > b/HEAD"
    elif how == "worktree config":
        script = f"mkdir -p {where}; git -C {where} config extensions.worktreeConfig true; git -C {where} config --worktree {fsmonitor}"
    elif how == "hooks path":
        user.exec(["git", "config", "core.hooksPath", "tools/h"], cwd=ws)
        user.mkdir(ws / "tools/h")
        script = f"printf '#!/bin/sh\\ntouch {marker}\\n' > tools/h/post-index-change; chmod +x tools/h/post-index-change"
        status = ["sh", "-c", f"cd {ws}; echo x > tracked; git add tracked"]
    else:
        script = f"git init -q {where}/m && git -C {where}/m config {fsmonitor}"
        status = ["git", "-C", f"{where}/m", "status"]
    over(script + "; echo x > beside")
    apply(rc=1)
    user.exec(status, cwd=ws)
    assert not marker.exists(), how
    apply("--yes", ".")
    user.exec(status, cwd=ws)
    assert wait_for(marker.exists), "the control: git would have executed it"
    marker.unlink()


def test_start_up_files_of_a_home(bailey, user, ws):
    """A workspace that is the home directory: its shell's files need a word."""
    home = user.mkdir(ws / "home")
    user.write(home / ".bashrc", "x\n")
    with holds_layers(user, ws / "state") as state:
        env = {"HOME": str(home), "XDG_STATE_HOME": str(state)}
        r = bailey(["run", "--workspace", f"{home}:overlay", "--", "sh", "-c",
                    "cd ~; echo e >> .bashrc; mkdir -p .config/autostart; echo > .config/autostart/a; echo n > note"], cwd=home, env=env)
        assert r.rc == 0, r
        seen = {c["path"]: c["protect"] for c in json.loads(bailey(["diff", "--json"], cwd=home, env=env).out)}
    assert seen[".bashrc"] == "shell start-up" and seen[".config/autostart/a"] == "session start-up" and seen["note"] is None


# --- hostile contents ------------------------------------------------------------------------------------------------------------------


def test_special_files_are_refused_by_name_and_never_waited_for(over, bailey, apply, user, ws):
    """Attack 25."""
    run = over("mkfifo fifo; echo x > fine; mkdir d; mkfifo d/deep")
    with socket.socket(socket.AF_UNIX) as s:
        s.bind(str(store(user) / run / "0/upper/sock"))
    if os.geteuid() == 0:
        os.mknod(store(user) / run / "0/upper/dev", 0o666 | stat.S_IFCHR, os.makedev(1, 3))
    for arg in ("--name-only", "--stat", "--json", "--all"):
        assert bailey(["diff", arg], cwd=ws, timeout=60).rc == 0
    r = apply(rc=1)
    for name, what in (("fifo", "a FIFO"), ("d/deep", "a FIFO"), ("sock", "a socket"), *([("dev", "a device")] if os.geteuid() == 0 else [])):
        assert f"refused: {ws}/{name}: {what}" in r.out, r
        assert not (ws / name).exists()
    assert (ws / "fine").exists() and (ws / "d").is_dir()


def test_special_files_of_the_host(over, bailey, apply, user, ws):
    plant(user, ws)
    over("echo run > file; rm secret; echo run > fresh")
    for name in ("file", "secret", "fresh"):
        (ws / name).unlink(missing_ok=True)
        os.mkfifo(ws / name)
        user.own(ws / name)
    for arg in ("--all", "--stat", "--json"):
        assert bailey(["diff", arg], cwd=ws, timeout=60).rc == 0
    apply(rc=1)
    apply("--force", ".")
    assert (ws / "file").read_text() == "run\n" and not (ws / "secret").exists()


def test_set_id_bits_never_reach_the_host(over, apply, user, ws):
    """They can't be made inside; planted into the layer, they are still not taken over."""
    run = over("echo x > f; mkdir d; chmod 1777 d; echo y > g")
    upper = store(user) / run / "0/upper"
    os.chmod(upper / "f", 0o6755)
    os.chmod(upper / "d", 0o7777)
    assert (upper / "f").stat().st_mode & 0o6000
    apply()
    assert (ws / "f").stat().st_mode & 0o7777 == 0o755 and (ws / "d").stat().st_mode & 0o7777 == 0o1777


def test_unreadable_files_are_named(over, bailey, apply, user, ws):
    over("echo x > f; chmod 0 f; mkdir d; echo y > d/g; chmod 0 d; echo z > fine")
    assert bailey(["diff"], cwd=ws).rc == 0
    if user.is_root:
        apply()
        assert (ws / "f").stat().st_mode & 0o777 == 0
        return
    r = apply(rc=1)
    assert f"refused: {ws}/f" in r.out and f"refused: {ws}/d" in r.out and (ws / "fine").exists()
    assert bailey(["discard"], cwd=ws).rc == 0 and not list(store(user).iterdir())


def test_a_file_larger_than_the_disk(over, bailey, apply, user, ws):
    """Attack 24: sparse files stay sparse, in bounded time."""
    over("truncate -s 1T big; printf end >> big")
    assert bailey(["diff", "--stat"], cwd=ws, timeout=20).rc == 0
    assert bailey(["diff"], cwd=ws, timeout=20).rc == 0
    apply()
    st = (ws / "big").stat()
    assert st.st_size == (1 << 40) + 3 and st.st_blocks < 100


def test_trees_deeper_than_any_path(over, bailey, apply, user, ws):
    over(f"echo x > fine; {PYTHON} -c \"import os\nfor i in range(3000):\n os.mkdir('d' * 100); os.chdir('d' * 100)\n\"")
    assert "too long" in bailey(["diff", "--stat"], cwd=ws).out
    r = apply(rc=1)
    assert "too long" in r.out and (ws / "fine").exists()
    r = user.exec(["sh", "-c", f"ulimit -n 256 && ulimit -s 1024 && {BAILEY} discard"], cwd=ws)
    assert r.rc == 0 and not list(store(user).iterdir()), r
    subprocess.run(["rm", "-rf", *ws.glob("ddd*")], check=True)


@pytest.mark.thorough
def test_many_changes(over, bailey, apply, records, ws):
    """20,000 files: bounded, and applied."""
    busy = {"timeout": 240}  # two seconds on a quiet machine
    dirs = 200 if THOROUGH else 40
    over(f"for d in $(seq {dirs}); do mkdir $d; (cd $d; seq 100 | xargs touch); done", **busy)
    assert len(changes(bailey, ws)) == 101 * dirs
    apply(**busy)
    assert records() == [] and len(list(ws.glob("*/*"))) == 100 * dirs


NASTY = "esc\\033[31mred\\033]0;title\\007 csi\\302\\233 bidi\\342\\200\\256 cr\\r tab\\t bell\\a raw\\377 umlaut\\303\\244"


def test_control_characters_on_a_terminal(over, bailey, user, ws):
    """Attack 26: visible on a terminal, raw in a pipe; names are quoted everywhere."""
    over(f"printf '{NASTY}\\n' > f; printf x > \"$(printf 'na\\033[2Jme')\"")
    raw = subprocess.run([BAILEY, "diff"], cwd=ws, env=user.environ(), capture_output=True, check=False,
                         **({"user": user.uid, "group": user.gid} if os.geteuid() == 0 else {})).stdout
    assert b"\033[31mred\033]0;title\a" in raw and b"\xff" in raw and b'"b/na\\033[2Jme"' in raw
    out = on_terminal(user, ws, ["diff"], {"TERM": "xterm"})
    text = re.sub(rb"\033\[(?:0|1|3[1236])m", b"", out)
    assert b"\033" not in text and b"\a" not in text and b"\xc2\x9b" not in text and b"\xe2\x80\xae" not in text, text
    assert b"esc^[[31mred^[]0;title^G csi<9B> bidi<U+202E> cr^M tab\t bell^G raw<FF> umlaut\xc3\xa4" in text, text
    assert out != text  # colour, for a terminal
    plain = on_terminal(user, ws, ["diff"], {"TERM": "xterm", "NO_COLOR": "1"})
    assert b"\033" not in plain
    for args in (["diff", "--stat"], ["diff", "--name-only"], ["runs"], ["apply", "--dry-run"]):
        assert b"\033[2J" not in on_terminal(user, ws, args, {"NO_COLOR": "1"}), args


def on_terminal(user, cwd, args, env):
    """Everything that bailey writes to a terminal."""
    master, slave = pty.openpty()
    p = user.popen([BAILEY, *args], cwd=cwd, env=env, stdout=slave, stderr=slave)
    os.close(slave)
    out = b""
    while select.select([master], [], [], 10)[0]:
        try:
            data = os.read(master, 65536)
        except OSError:
            break
        if not data:
            break
        out += data
    p.wait()
    os.close(master)
    return out


RENAME_EXCHANGE = 2


class Swapper(threading.Thread):
    """Exchanges two names as fast as it can, but while its lock is held."""

    def __init__(self, a, b):
        super().__init__()
        self.names = (os.fsencode(a), os.fsencode(b))
        self.stop, self.lock, self.swaps = threading.Event(), threading.Lock(), 0
        self.libc = ctypes.CDLL(None, use_errno=True)

    def run(self):
        while not self.stop.is_set():
            with self.lock:
                for _ in range(100):
                    self.swaps += self.libc.syscall(316, -100, self.names[0], -100, self.names[1], RENAME_EXCHANGE) == 0


@pytest.mark.thorough
def test_attack_4_directories_that_become_links(over, bailey, user, ws, outside):
    """A directory is exchanged with a link to another place, over and over, while changes are applied: nothing lands there."""
    d, link, keep = ws / "d", ws / "swap", ws / "keep"
    user.write(d / "e/f", "old\n")
    user.symlink(outside, link)
    for name in ("f", "gone", "mode", "flat"):
        user.write(outside / "e" / name, "victim\n")
    before = snapshot(outside)
    real = os.open(d, os.O_RDONLY | os.O_DIRECTORY)
    inside = pathlib.Path(f"/proc/self/fd/{real}/e")

    def reset():
        """Both names as they were, and what is in the directory, too."""
        for p in (d, link):
            if p.is_symlink():
                p.unlink()
            elif p.exists() and p.stat().st_ino == os.fstat(real).st_ino:
                p.rename(keep)
            elif p.exists():
                shutil.rmtree(p)
        assert keep.exists(), (sorted(os.listdir(ws)), os.readlink(f"/proc/self/fd/{real}"), os.fstat(real))
        keep.rename(d)
        shutil.rmtree(inside)
        for name in ("f", "gone", "mode", "flat"):
            user.write(inside / name, "old\n")
        user.own(inside)
        user.symlink(outside, link)

    reset()
    run = over("echo new > d/e/f; echo new > d/e/new; rm d/e/gone; chmod 700 d/e/mode; mkdir d/e/sub; echo x > d/e/sub/x; ln -s x d/e/link; "
               "rm d/e/flat; mkdir d/e/flat; chmod 711 d/e")
    saved = state_dir(user) / "saved"  # an overlayfs, where the workspace may lie, can hold no layers, nor copies of them
    subprocess.run(["cp", "-a", store(user) / run, saved], check=True)
    swapper = Swapper(d, link)
    swapper.start()
    rounds = changed = 0
    try:
        end = time.monotonic() + 300
        swaps, least = (100000, 100) if THOROUGH else (20000, 40)
        while (swapper.swaps < swaps or rounds < least) and time.monotonic() < end:
            r = bailey(["apply", "--force", ".", run], cwd=ws)
            assert r.rc in (0, 1, 2, 125), r
            rounds += 1
            changed += (inside / "f").read_text() == "new\n"
            with swapper.lock:
                assert snapshot(outside) == before, (rounds, r)
                reset()
            if not (store(user) / run).exists():
                subprocess.run(["cp", "-a", saved, store(user) / run], check=True)
    finally:
        swapper.stop.set()
        swapper.join()
        os.close(real)
        shutil.rmtree(saved)
    assert swapper.swaps >= swaps and rounds >= least and changed > 0, (swapper.swaps, rounds, changed)


@pytest.mark.parametrize("call, host", [("linkat", "echo host > file"), ("linkat", "rm file; mkfifo file"), ("linkat", "mv file f2; cp f2 file"),
                                        ("mkdirat", "echo host > fresh"), ("unlinkat", "echo host > secret")])
def test_what_the_host_changes_while_it_is_applied(over, user, ws, records, call, host):
    """Between the comparison and the step: looked at again, left alone, and said. The other changes are applied; the record stays."""
    if not shutil.which("strace"):
        skip("strace is not installed")
    plant(user, ws)
    scripts = {"linkat": "echo run > file", "mkdirat": "mkdir fresh", "unlinkat": "rm secret"}
    over(scripts[call] + "; chmod 700 script")
    p = user.popen(["strace", "-qq", "-e", f"trace={call}", "-e", f"inject={call}:delay_enter=1500000:when=1", "-o", "/dev/null", BAILEY, "apply"],
                   cwd=ws)
    time.sleep(0.5)
    assert user.exec(["sh", "-c", host], cwd=ws).rc == 0
    out, err = p.communicate(timeout=20)
    name = host.split()[-1] if call != "linkat" else "file"
    if call == "unlinkat":
        # the last look stands before the step, so this is the window that is left: the file goes
        assert p.returncode == 0, (out, err)
        return
    assert p.returncode == 1 and f"failed: {ws}/{name}" in out.decode(), (out, err)
    assert (ws / "script").stat().st_mode & 0o777 == 0o700 and len(records()) == 1
    assert not list(ws.glob(".bailey-*"))
    if "echo host" in host:
        assert (ws / name).read_text() == "host\n"


# --- records ---------------------------------------------------------------------------------------------------------------------------


def test_a_run_that_lives(start, bailey, records, user, ws):
    p = start("echo x > f; echo ready; read y; echo z > g", *OVERLAY, stdin=subprocess.PIPE)
    assert p.stdout.readline() == b"ready\n"
    assert records()[0]["state"] == "live"
    r = bailey(["diff"], cwd=ws)
    assert r.rc == 0 and "+x" in r.out and "still lives" in r.err
    for verb in ("apply", "discard"):
        r = bailey([verb], cwd=ws)
        assert r.rc == 4 and "still lives" in r.err, r
    assert bailey(["discard", "--all"], cwd=ws).rc == 0 and bailey(["prune", "--older", "1ms"], cwd=ws).rc == 0
    assert len(records()) == 1 and not (ws / "f").exists()
    p.communicate(b"\n", 20)
    assert bailey(["apply"], cwd=ws).rc == 0 and (ws / "g").exists()


def test_options_stand_before_operands(over, bailey, user, ws):
    """A word too late must not be taken for a path, and so change what it was to prevent."""
    run = over("echo 1 > f; echo 2 > ./--json")
    for args in ([run, "--dry-run"], ["f", "--dry-run"], [run, "f", "--json"]):
        r = bailey(["apply", *args], cwd=ws)
        assert r.rc == 2 and "before" in r.err and not (ws / "f").exists(), r
    assert bailey(["apply", run, "./--json"], cwd=ws).rc == 0 and (ws / "--json").exists() and not (ws / "f").exists()
    for verb in ("diff", "discard"):
        assert bailey([verb, run, "--json"], cwd=ws).rc == 2
    assert bailey(["discard", run], cwd=ws).rc == 0


def test_which_run(over, bailey, records, user, ws, outside):
    first, second = over("echo 1 > f"), over("echo 2 > f")
    assert "+2" in bailey(["diff"], cwd=ws).out and "+1" in bailey(["diff", first[:6]], cwd=ws).out
    assert bailey(["diff", first], cwd=outside).rc == 0
    for word, why in (("zzz", "no ID"), ("abc", "no ID"), ("0" * 11, "no ID"), ("ffffffffff", "no record"), ("../x", "no ID")):
        r = bailey(["diff", word], cwd=ws)
        assert r.rc == 3 and why in r.err, r
    r = bailey(["diff"], cwd=outside)
    assert r.rc == 3 and ":overlay" in r.err
    sub = user.mkdir(ws / "sub")
    assert "+2" in bailey(["diff"], cwd=sub).out
    r = bailey(["discard", first, second], cwd=ws)
    assert r.rc == 0 and records() == []


def test_what_the_host_removes_after_a_part(over, apply, ws, user):
    """What apply did in a directory does not hide what the host does there next. The twin: without that, the rest is applied."""
    for removed in (False, True):
        for name in ("a", "b"):
            user.write(ws / "both" / name, "host\n")
        time.sleep(0.1)
        run = over("echo box > both/a; echo box > both/b")
        apply(run, "both/a")
        time.sleep(0.1)
        if removed:
            (ws / "both/b").unlink()
            r = apply(run, rc=1)
            assert not (ws / "both/b").exists() and (ws / "both/a").read_text() == "box\n", r
        else:
            apply(run)
            assert (ws / "both/b").read_text() == "box\n"


def test_prune(over, bailey, records, user, ws):
    old, new = over("echo 1 > f"), over("echo 2 > f")
    run = store(user) / old / "run"
    text = run.read_text()
    run.write_text(re.sub(r"^start \d+", f"start {int(time.time()) - 3 * 86400}", text, flags=re.M))
    assert bailey(["prune"], cwd=ws).out == ""
    r = bailey(["prune", "--older", "48h"], cwd=ws)
    assert old in r.out and [r["id"] for r in records()] == [new]
    assert bailey(["prune", "--older", "soon"], cwd=ws).rc == 2
    for long in ("720h", "30d", "3653d"):
        r = bailey(["prune", "--older", long], cwd=ws)
        assert (r.rc, r.out, r.err) == (0, "", ""), (long, r)
    r = bailey(["prune", "--older", "36501d"], cwd=ws)
    assert r.rc == 2 and "at most 36500d" in r.err, r
    time.sleep(1.1)
    r = bailey(["prune", "--older", "0"], cwd=ws)
    assert r.rc == 0 and new in r.out and records() == [], r
    assert bailey(["discard", "--all"], cwd=ws).rc == 0 and records() == []


@pytest.mark.parametrize("text", ["", "bailey-run 1\n", "bailey-run 2\nid {id}\nend\n", "garbage\0\n", "X" * 5000000, None],
                         ids=["empty", "head", "version", "garbage", "long", "path"])
def test_a_record_that_cannot_be_read(over, bailey, records, user, ws, text):
    run = over("echo 1 > f")
    file = store(user) / run / "run"
    if text is None:
        file.write_text(file.read_text().replace(str(ws), str(ws) + "/../.."))
    else:
        file.write_text(text.replace("{id}", run))
    assert [(r["id"], r["state"]) for r in records()] == [(run, "broken")]
    for verb in ("diff", "apply"):
        r = bailey([verb, run], cwd=ws)
        assert r.rc == 2 and "can't be read" in r.err and "discard" in r.err, r
    assert bailey(["discard", run], cwd=ws).rc == 0 and records() == []


def test_a_store_that_others_could_write_is_not_believed(over, bailey, user, ws):
    over("echo 1 > f")
    os.chmod(store(user), 0o777)
    for args in (["diff"], ["apply"], ["runs"], ["discard", "--all"]):
        r = bailey(args, cwd=ws)
        assert r.rc == 2 and "must be yours" in r.err, r
    os.chmod(store(user), 0o700)
    assert bailey(["apply"], cwd=ws).rc == 0


def test_the_workspace_has_gone(over, bailey, user, ws):
    over("echo 1 > f")
    moved = ws.parent / (ws.name + "-moved")
    os.rename(ws, moved)
    try:
        r = bailey(["diff", "--stat", json.loads(bailey(["runs", "--json"], cwd=moved).out)[0]["id"]], cwd=moved)
        assert r.rc != 0 and str(ws) in r.err, r
        os.symlink(moved, ws)
        r = bailey(["apply"], cwd=ws)
        assert r.rc != 0 and not (moved / "f").exists(), r
        os.unlink(ws)
    finally:
        os.rename(moved, ws)
    assert bailey(["apply"], cwd=ws).rc == 0


# --- everything at random --------------------------------------------------------------------------------------------------------------

WALK = r"""
import os, random, shutil, sys
r = random.Random(int(sys.argv[1]))
def pick(dirs=False):
    found = [os.path.join(b, n) for b, d, f in os.walk('.') for n in (d if dirs else d + f)]
    return r.choice(sorted(found)) if found else '.'
for i in range(int(sys.argv[2])):
    p, d = pick(), pick(True) if r.random() < .8 else '.'
    n = os.path.join(d, r.choice('abcdefgh') + (r.choice(['', '\n', ' ', '\u00e4', '"']) if r.random() < .2 else ''))
    try:
        what = r.randrange(11)
        if what == 0: open(n, 'w').write(''.join(r.choice(['x\n', 'y\n', 'z']) for _ in range(r.randrange(20))))
        elif what == 1: open(p, 'a').write(r.choice(['more\n', '']))
        elif what == 2: os.mkdir(n)
        elif what == 3: os.unlink(p)
        elif what == 4: shutil.rmtree(p)
        elif what == 5: os.symlink(r.choice(['a', '/nowhere', '..']), n)
        elif what == 6: shutil.move(p, n)
        elif what == 7: os.chmod(p, r.choice([0o700, 0o755, 0o750]) if os.path.isdir(p) else r.choice([0o600, 0o644, 0o755])) if not os.path.islink(p) else 0
        elif what == 8: os.rename(p, n) if not os.path.isdir(p) else 0
        elif what == 9: os.link(p, n) if not os.path.islink(p) else 0
        else: os.truncate(p, r.randrange(10)) if os.path.isfile(p) and not os.path.islink(p) else 0
    except (OSError, shutil.Error): pass
import json, stat
seen = {}
for b, d, f in os.walk('.'):
    for n in d + f + ['']:
        p = os.path.normpath(os.path.join(b, n))
        s = os.lstat(p)
        seen[p] = [stat.S_IFMT(s.st_mode), stat.S_IMODE(s.st_mode), os.readlink(p) if stat.S_ISLNK(s.st_mode) else
                   open(p).read() if stat.S_ISREG(s.st_mode) else '']
print(json.dumps(seen))
"""


@pytest.mark.parametrize("seed", range(12))
def test_anything_can_be_applied(run, bailey, user, ws, seed):
    """Steps at random: after an apply the host is what the run saw at its end, none of it was a conflict, and a second run starts from there."""
    plant(user, ws)
    for turn in range(2):
        steps = random.Random(seed + turn).randrange(5, 120)
        r = run([PYTHON, "-c", WALK, str(seed * 2 + turn), str(steps)], *OVERLAY)
        assert r.rc == 0, r
        if run_id(r):
            seen = changes(bailey, ws)
            assert not [c for c in seen.values() if c["conflict"] or c["refused"]], seen
            a = bailey(["apply"], cwd=ws)
            assert a.rc == 0, a
        now = user.exec([PYTHON, "-c", WALK, "0", "0"], cwd=ws)
        assert json.loads(now.out) == json.loads(r.out)
