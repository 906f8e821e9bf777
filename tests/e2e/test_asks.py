# SPDX-License-Identifier: Apache-2.0
"""What users of other sandboxes ask for and complain about, where it concerns files: each complaint, and the tests that answer it, by name."""
import contextlib
import os
import pathlib
import re

import pytest

from conftest import PYTHON

HERE = pathlib.Path(__file__).parent

# complaint -> tests (file::name, of this directory; without a file: below)
ASKS = {
    "ghost files of protected names in the repository": ["test_guard::test_no_placeholder_while_it_runs", "test_files::test_nothing_is_left_on_the_host", "test_protect::test_absent_names_leave_no_trace",
                                                         "test_srt::test_absent_denials_leave_nothing_on_the_host_meanwhile"],
    "every command fails when a denied path is absent, a link, or an unexpected .git": ["test_a_denial_of_a_link_that_leads_nowhere", "test_odd_places_of_denied_names", "test_protect::test_link_loops_and_odd_things",
                                                                                       "test_files::test_hide_of_a_missing_path_leaves_nothing"],
    "one hidden file in an allowed directory": ["test_files::test_hide_in_the_workspace", "test_files::test_deny_read_in_the_workspace"],
    "patterns below ~ and / without effect": ["test_patterns::test_below_the_home", "test_patterns::test_root_patterns"],
    "the real ~/.bashrc of a writable home": ["test_protect::test_writable_home", "test_protect::test_dotfiles_repository"],
    "denying .. moves the working directory": ["test_denying_what_is_above_moves_nothing"],
    "commits in worktrees": ["test_git::test_worktree", "test_git::test_worktree_denials", "test_git_witness::test_the_shared_directory_of_a_worktree"],
    "denials that break checkout and worktree add, without an override": ["test_git::test_checkout_over_a_protected_file", "test_guard::test_copies_of_what_was_there", "test_guard::test_unprotect_lets_it_stay"],
    "writes that look successful and vanish": ["test_denied_writes_fail_and_never_vanish"],
    "unix sockets by path": ["test_sockets::test_exactly_one", "test_late::test_a_socket_of_the_host_that_comes"],
    "no word about what was denied": ["test_report::test_attack_1_is_named_with_rule_and_option", "test_report::test_rules_of_files_and_of_the_command_line_are_named",
                                      "test_report::test_audit_logs_every_look", "test_report::test_json_report"],
    "settings that are absent at the start can be made": ["test_guard::test_every_row_absent", "test_strict::test_every_row_absent", "test_strict::test_ways_to_make_a_name"],
    "files that come late on the host": ["test_late::test_a_denied_file_that_comes", "test_late::test_a_denied_directory_that_comes", "test_late::test_a_replaced_denied_file_is_covered_again"],
    "a link of the sandbox that a writer outside follows": ["test_links_of_a_copy_lead_no_apply_out", "test_guard::test_links_do_not_move_what_they_lead_to", "test_srt::test_no_link_leads_the_sweep_out"],
    "a fixed path in /tmp": ["test_srt::test_tmp_claude_of_somebody_else"],
    "project settings that switch the sandbox off": ["test_policy_files::test_an_untrusted_project_only_tightens"],
    "renamed parents defeat denials": ["test_files::test_denied_path_survives_a_renamed_parent", "test_late::test_deny_write_parent_that_is_swapped", "test_protect::test_deep_and_renamed_ancestors"],
    "docker.sock": ["test_sockets::test_exactly_one"],
    "an open of /proc/self by the supervisor leaks its own": ["test_strict::test_the_command_can_not_reach_the_maker"],
}


def test_every_test_that_is_named_exists():
    missing = []
    for ask, names in ASKS.items():
        assert names, ask
        for name in names:
            file, _, test = name.rpartition("::")
            text = (HERE / f"{file or 'test_asks'}.py").read_text(encoding="utf-8")
            if not re.search(rf"^def {test}\(", text, re.M):
                missing.append(name)
    assert missing == []


def shape(user, path, how, elsewhere):
    """Make PATH what nobody expects."""
    user.mkdir(path.parent)
    if how == "file":
        user.write(path, "no git\n")
    elif how == "empty file":
        user.write(path, "")
    elif how == "directory":
        user.mkdir(path)
    elif how == "closed directory":
        user.mkdir(path, 0o000)
    elif how == "link":
        user.symlink(elsewhere, path)
    elif how == "dangling link":
        user.symlink("/nowhere/x", path)
    elif how == "loop":
        user.symlink(path.name, path)
    elif how == "fifo":
        os.mkfifo(path)
        user.own(path)
    elif how == "pointer to nothing":
        user.write(path, "gitdir: /nowhere/.git/worktrees/x\n")


@pytest.mark.parametrize("how", ["absent", "file", "empty file", "directory", "link", "dangling link", "loop", "fifo", "pointer to nothing"])
@pytest.mark.parametrize("name", [".git", ".claude", ".vscode/tasks.json", ".bashrc", "a/b/.git"])
def test_odd_places_of_denied_names(run, user, ws, outside, name, how):
    """Whatever stands at a protected or denied name: commands run, write beside it, and the tree is as it was, but for what they wrote."""
    shape(user, ws / name, how, outside)

    def look():
        return {str(p.relative_to(ws)): (p.lstat().st_mode, p.lstat().st_size if not p.is_dir() else 0) for p in ws.rglob("*")}

    before = look()
    r = run("echo x > beside && cat beside", "--deny-write", name, "--deny-read", "nothing/here", "--hide", "neither")
    assert r.rc == 0 and r.out == "x\n", r
    after = look()
    assert after.pop("beside") and after == before, (before, after)


@pytest.mark.parametrize("kind", ["--deny-write", "--deny-read", "--hide"])
def test_a_denial_of_a_link_that_leads_nowhere(run, user, ws, kind):
    """The name stays what it is, and what it leads to is denied, too, when the command makes it."""
    user.symlink("second", ws / "first")
    user.symlink("target", ws / "second")
    user.symlink("loop", ws / "loop")
    script = "(rm -f first second loop) 2>/dev/null; (echo made > first) 2>/dev/null; (echo made > target) 2>/dev/null; (echo made > loop) 2>/dev/null; echo fine > beside; mv beside beside2; true"
    r = run(script, kind, "first", kind, "loop")
    assert r.rc == 0 and (ws / "beside2").exists(), r
    assert os.readlink(ws / "first") == "second" and os.readlink(ws / "loop") == "loop", (kind, r)
    if kind == "--deny-write":
        assert os.readlink(ws / "second") == "target" and not (ws / "target").exists(), r
    user.exec(["sh", "-c", script], cwd=ws)
    assert (ws / "target").exists() and not (ws / "second").is_symlink(), "control"


def test_denying_what_is_above_moves_nothing(run, user, ws):
    user.write(ws / "f", "x\n")
    for option in (("--deny-read", ".."), ("--deny-read", "../*", "--allow-read", ".")):
        r = run("pwd; cat f; echo y > g; ls .. >/dev/null 2>&1 && echo listed; true", *option)
        if r.rc == 0:
            assert r.out.splitlines()[0] == str(ws), "not the home directory"
            assert r.out.splitlines()[1:2] == ["x"] and (ws / "g").exists(), r
        else:
            assert r.rc in (2, 125) and r.bailey_err.count("\n") >= 1 and not (ws / "g").exists(), r
        (ws / "g").unlink(missing_ok=True)


def test_denied_writes_fail_and_never_vanish(run, user, ws, outside):
    """A write is on the host, in a directory that is said to be private, or an error: nothing that was denied succeeds into a hidden file system."""
    user.mkdir(user.home / ".ssh", 0o700)
    user.mkdir(ws / "no")
    user.write(ws / "ro", "x")
    places = [f"{outside}/f", f"{user.home}/f", f"{user.home}/.ssh/f", "/etc/f", "/usr/f", "/f", "/var/f", "/opt/f", "/home/f", f"{ws}/no/f", f"{ws}/ro", "/sys/f", "/proc/f", "/dev/f"]
    script = """
import sys
for p in sys.argv[1:]:
    try:
        with open(p, "w") as f: f.write("y")
    except OSError as e: print("no", p)
    else: print("yes", p)
"""
    r = run([PYTHON, "-c", script, *places], "--deny-read", "no", "--deny-write", "ro")
    assert r.out.splitlines() == [f"no {p}" for p in places], r
    assert (ws / "ro").read_text() == "x" and not list((ws / "no").iterdir())
    assert user.exec([PYTHON, "-c", script, f"{outside}/f", f"{ws}/no/f", f"{ws}/ro"]).out.count("yes") == 3, "control: outside they can be written"


def test_links_of_a_copy_lead_no_apply_out(run, bailey, user, ws, outside, monkeypatch):
    """A link that the command made in its copy, then a file through it: what is applied is the link, and nothing is written where it leads to."""
    from overlays import tidy_state

    user.write(outside / "victim", "host\n")
    with contextlib.contextmanager(tidy_state)(user, monkeypatch):
        r = run(f"ln -s {outside} out; ln -s {outside}/victim v; (echo evil > v) 2>/dev/null; (echo evil > out/new) 2>/dev/null; mkdir d; echo x > d/f; true", "--workspace", f"{ws}:overlay")
        assert r.rc == 0, r
        user.symlink(outside, ws / "d")  # the host's, since then, in the place of a directory that comes
        bailey(["apply"], cwd=ws)
        assert (outside / "victim").read_text() == "host\n" and {p.name for p in outside.iterdir()} == {"victim"}
        bailey(["discard", "--all"], cwd=ws)
