# SPDX-License-Identifier: Apache-2.0
"""A workspace on a file system that takes names in any case: here ntfs, by FUSE, where the kernel does not know it (docs/adr/0007)."""
import os
import subprocess

import pytest

from conftest import skip
from test_guard import quarantine

NOTICE = "names are the same here in any case"


@pytest.fixture
def folding(user, ws, tmp_path_factory):
    """A directory of @user's in the workspace, on such a file system; with a settings file of direnv."""
    if not os.path.exists("/dev/fuse"):
        skip("no /dev/fuse: no file system that folds names can be mounted")
    image = tmp_path_factory.mktemp("fold") / "image"
    with open(image, "wb") as f:
        f.truncate(16 << 20)
    subprocess.run(["mkntfs", "-q", "-Q", "-F", image], check=True, capture_output=True)
    path = user.mkdir(ws / "folding")
    subprocess.run(["lowntfs-3g", "-o", f"ignore_case,uid={user.uid},gid={user.gid},umask=022", image, path], check=True, capture_output=True)
    try:
        (path / ".envrc").write_text("echo before\n")
        yield path
    finally:
        subprocess.run(["umount", "-l", path], check=True)


def test_what_is_made_is_found_in_any_case(bailey, user, folding):
    made = 'echo x > .MCP.JSON; mkdir .Vscode; echo x > .Vscode/Tasks.json; echo fine > Other'
    r = bailey(["run", "--", "sh", "-c", made], cwd=folding)
    assert r.rc == 0 and NOTICE in r.err and f"'{folding}'" in r.err, r
    assert set(quarantine(bailey, folding)) == {".mcp.json", ".vscode/tasks.json"}, "by the names that the host uses"
    assert (folding / "other").read_text() == "fine\n" and not (folding / ".mcp.json").exists()
    control = user.mkdir(folding / "control")
    user.exec(["sh", "-c", made], cwd=control)
    assert (control / ".mcp.json").exists() and (control / ".vscode/tasks.json").exists(), "control: one file of all spellings"


def test_what_is_refused_is_refused_in_any_case(bailey, folding):
    r = bailey(["run", "--strict-protect", "--", "sh", "-c", "echo x > .MCP.json; mkdir .Husky; mkdir .GIT .git2; mkdir .GIT/Hooks; echo fine > .mcp.txt"], cwd=folding)
    assert r.command_err.count("Read-only file system") == 3, r
    assert sorted(os.listdir(folding)) == [".envrc", ".git", ".git2", ".mcp.txt"]


def test_what_is_there_is_said(bailey, user, ws, folding):
    """A mount holds for the name that it was made for, and the kernel knows no other. So it is said; the twin has nothing to say."""
    r = bailey(["run", "--", "sh", "-c", "echo y > .envrc"], cwd=folding)
    assert r.rc != 0 and "Read-only file system" in r.err and NOTICE in r.err, r
    assert NOTICE in bailey(["run", "--explain", "--", "true"], cwd=folding).out
    assert NOTICE not in bailey(["run", "--", "true"], cwd=user.mkdir(ws / "plain")).err


def test_an_overlay_is_as_it_says(bailey, folding):
    r = bailey(["run", "--workspace", ".:overlay", "--", "sh", "-c", "echo y > .ENVRC; echo y > .Mcp.json; echo y > other"], cwd=folding)
    assert r.rc == 0 and NOTICE not in r.err, r
    r = bailey(["apply"], cwd=folding)
    assert (folding / ".envrc").read_text() == "echo before\n" and not (folding / ".mcp.json").exists() and (folding / "other").read_text() == "y\n", r
