# SPDX-License-Identifier: Apache-2.0
"""What diff prints is a patch that git applies, whatever the run changed (docs/adr/0015)."""
import os
import shutil
import stat
import subprocess

import pytest

from overlays import snapshot
from test_apply import CHANGES, over, plant, tidy, twin  # noqa: F401 (fixtures)


def git_apply(at, patch, *hows):
    """The real one takes PATCH in the directory AT, which is in no repository."""
    (at / ".patch").write_text(patch)
    for how in hows:
        r = subprocess.run(["git", "apply", "--whitespace=nowarn", how, ".patch"], cwd=at, capture_output=True, text=True, check=False,
                           env={"PATH": os.environ["PATH"], "GIT_CEILING_DIRECTORIES": str(at.parent)})
        assert r.returncode == 0, (how, r.stderr, patch)
    (at / ".patch").unlink()


def test_the_patch_is_one_that_git_applies(over, bailey, user, ws, twin):
    plant(user, ws)
    shutil.copytree(ws, ws.parent / (ws.name + "-git"), symlinks=True)
    copy = ws.parent / (ws.name + "-git")
    try:
        script = CHANGES.replace("printf 'a\\0b' > binary;", "printf 'no newline' > nonl; printf 'x\\n' >> script; chmod 755 script;")
        over(script)
        patch = bailey(["diff"], cwd=ws).out
        git_apply(copy, patch, "--check", "--verbose")
        made = {p: (v[0], *(v[4:] if v[0] != stat.S_IFDIR else ())) for p, v in snapshot(copy, times=False).items()}
        want = {p: (v[0], *(v[4:] if v[0] != stat.S_IFDIR else ())) for p, v in snapshot(twin(script), times=False).items()}
        for only_dir in ("void", "gone/b", "gone"):  # git knows no empty directories
            made.pop(only_dir, None)
            want.pop(only_dir, None)
        assert made == want
        assert (copy / "script").stat().st_mode & 0o111
    finally:
        shutil.rmtree(copy)


# What is there, what the run does, and the lines of the patch that say so. Besides, each run changes "file" and makes "fresh", and that is all that git shall do.
COMMENTS = {
    "a hook": ("", "mkdir -p .git/hooks; printf '#!/bin/sh\\nevil\\n' > .git/hooks/pre-commit", ["# not in the patch: .git/hooks/pre-commit", "# +evil"]),
    "a hook that is changed": ("mkdir -p .git/hooks; printf 'no\\nend' > .git/hooks/h", "echo x >> .git/hooks/h; chmod 755 .git/hooks/h",
                               ["# not in the patch: .git/hooks/h", "# old mode 100644", "# \\ No newline at end of file"]),
    "another case": ("", "mkdir -p d/.GiT; echo x > d/.GiT/x", ["# not in the patch: d/.GiT/x"]),
    "its names on other systems": ("", "mkdir 'git~1' '.git. '; echo x > 'git~1/x'; echo x > '.git. /x'; echo x > '.git:y'; echo x > 'a\\.git'",
                                   ["# not in the patch: git~1/x", "# not in the patch: .git. /x", "# not in the patch: .git:y", r'# not in the patch: "a\\.git"']),
    "a link to the list of submodules": ("", "ln -s file .gitmodules", ["# not in the patch: .gitmodules"]),
    "moved there": ("echo other > other", "mkdir -p .git/hooks; mv other .git/hooks/x", ["# rename from other", "# rename to .git/hooks/x"]),
    "binary, changed": ("printf 'a\\0b' > b", "printf 'a\\0c' > b", ["# binary file changed: b"]),
    "binary, with a mode": ("printf 'a\\0b' > b", "printf 'a\\0c' > b; chmod 755 b", ["# binary file changed, mode 755, was 644: b"]),
    "binary, new": ("", "printf 'a\\0c' > b", ["# new binary file: b"]),
    "binary, removed": ("printf 'a\\0b' > b", "rm b", ["# binary file removed: b"]),
    "binary, now a link": ("printf 'a\\0b' > b", "rm b; ln -s file b", ["# binary file removed: b", "# not in the patch: b", "# new file mode 120000"]),
    "binary, now a directory": ("printf 'a\\0b' > b", "rm b; mkdir b; echo x > b/in", ["# binary file removed: b", "# not in the patch: b/in"]),
    "binary in a directory, now a file": ("mkdir b; printf 'a\\0b' > b/in", "rm -r b; echo x > b", ["# not in the patch: b", "# binary file removed: b/in"]),
    "a repository, now a file": ("mkdir -p b/.git; echo head > b/.git/x", "rm -r b; echo x > b", ["# not in the patch: b"]),
    "a FIFO, now a file": ("mkfifo b", "rm b; echo x > b", ["# not in the patch: b"]),
    "a FIFO, removed": ("mkfifo b", "rm b", ["# special file removed: b"]),
    "a file, now a FIFO": ("echo x > b", "rm b; mkfifo b", ["# can't be applied: a FIFO: b"]),
}


@pytest.mark.parametrize("what", COMMENTS)
def test_what_a_patch_cannot_say_stands_in_comments(over, bailey, user, ws, what):
    """git takes the rest of the patch, and passes over these lines, wherever they stand. The twin: what such names do not forbid, and what they look like."""
    before, script, lines = COMMENTS[what]
    user.write(ws / "file", "one\n")
    user.write(ws / "removed", "gone\n")
    assert user.exec(["sh", "-c", before], cwd=ws).rc == 0
    copy = user.mkdir(ws.parent / (ws.name + "-git"))
    try:
        assert user.exec(["cp", "-a", f"{ws}/.", copy]).rc == 0
        was = snapshot(copy, times=False)
        over(script + "; echo two >> file; echo n > fresh; rm removed; mkdir .gitx x.git; echo x > .gitx/x; echo x > x.git/x; echo x > .gitmodules.txt")
        git_apply(copy, bailey(["diff"], cwd=ws).out, "--check")
        patch = bailey(["diff", "--all"], cwd=ws).out
        for line in lines:
            assert line in patch.splitlines(), (line, patch)
        git_apply(copy, patch, "--check", "--verbose")
        now = snapshot(copy, times=False)
        made = {"fresh", ".gitx", ".gitx/x", "x.git", "x.git/x", ".gitmodules.txt"}
        assert {p for p in now if now[p] != was.get(p)} - {"."} == {"file", *made} and was.keys() - now.keys() == {"removed"}, (patch, now)
        assert (copy / "file").read_text() == "one\ntwo\n"
    finally:
        shutil.rmtree(copy)


def test_an_empty_directory_of_one_letter(over, bailey, ws):
    over("mkdir e; echo x > f")
    assert "# new empty directory: e" in bailey(["diff"], cwd=ws).out.splitlines()
