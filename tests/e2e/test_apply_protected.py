# SPDX-License-Identifier: Apache-2.0
"""What apply leaves without a word, and what it says: the same names that a run is refused (docs/adr/0015, 0007)."""
import json
import os
import pathlib
import re

import pytest

from test_apply import apply, over, tidy  # noqa: F401 (fixtures)
from test_protect import rows


# What only git's configuration says is protected: (files of the host, the path that is changed, what it is changed to). The search of a run's start finds all of it.
NAMED = {
    "an included file": ({".git/config": "[include]\npath = ../extra\n", "extra": "[a]\nb=c\n"}, "extra"),
    "a file that an included one includes": ({".git/config": "[include]\npath = ../extra\n", "extra": "[include]\npath = more/x\n", "more/x": "[a]\nb=c\n"}, "more/x"),
    "a condition": ({".git/config": "[includeIf \"onbranch:x\"]\npath = ../extra\n", "extra": "[a]\nb=c\n"}, "extra"),
    "a filter with words": ({".git/config": "[filter \"x\"]\nclean = tools/clean --fast\n", "tools/clean": "#!/bin/sh\ncat\n"}, "tools/clean"),
    "a monitor": ({".git/config": "[core]\nfsmonitor = tools/mon\n", "tools/mon": "#!/bin/sh\n"}, "tools/mon"),
    "a monitor with its section in capitals": ({".git/config": "[CORE]\nFsMonitor = ./tools/mon\n", "tools/mon": "#!/bin/sh\n"}, "tools/mon"),
    "hooks of a repository below": ({"sub/.git/HEAD": "ref: refs/heads/main\n", "sub/.git/objects/x": "", "sub/.git/refs/x": "", "sub/.git/config": "[core]\nhooksPath = my\n", "sub/my/pre-commit": "x\n"},
                                    "sub/my/pre-commit"),
    "hooks of a submodule": ({".git/modules/m/HEAD": "ref: refs/heads/main\n", ".git/modules/m/objects/x": "", ".git/modules/m/refs/x": "", ".git/modules/m/config": "[core]\nworktree = ../../../m\nhooksPath = my\n",
                              "m/.git": "gitdir: ../.git/modules/m\n", "m/my/pre-commit": "x\n"}, "m/my/pre-commit"),
    "hooks through a link": ({".git/config": "[core]\nhooksPath = link\n", "real/pre-commit": "x\n", "link": "-> real"}, "real/pre-commit"),
    "configuration of a worktree": ({".git/config": "[extensions]\nworktreeConfig = true\n", ".git/config.worktree": "[core]\nhooksPath = my\n", "my/a": "x\n"}, "my/a"),
}


def plant_git(user, ws, files):
    for base in ("HEAD", "objects/x", "refs/x"):
        user.write(user.mkdir((ws / ".git" / base).parent) / pathlib.Path(base).name, "ref: refs/heads/main\n")
    for name, text in files.items():
        user.mkdir((ws / name).parent)
        if text.startswith("-> "):
            user.symlink(text[3:], ws / name)
        else:
            user.write(ws / name, text)


@pytest.mark.parametrize("what", NAMED)
def test_a_run_and_apply_agree_about_what_git_names(run, over, apply, user, ws, what):
    """The one refuses it in a direct workspace, the other leaves it without a word; the twin beside it is nobody's business."""
    files, path = NAMED[what]
    plant_git(user, ws, files)
    before = (ws / path).read_text()
    r = run(f"echo evil > {path}; echo evil > {path}.twin")
    assert (ws / path).read_text() == before and (ws / f"{path}.twin").exists() != ("my/" in path or path.startswith("real/")), (what, r)
    (ws / f"{path}.twin").unlink(missing_ok=True)
    over(f"echo evil > {path}; echo fine > beside; chmod +x {path}")
    r = apply(rc=1)
    assert (ws / path).read_text() == before and (ws / "beside").read_text() == "fine\n" and "--yes" in r.out + r.err, r
    apply("--yes", path)
    assert (ws / path).read_text() == "evil\n"


def test_apply_of_hooks_that_are_not_there_yet(over, apply, user, ws):
    plant_git(user, ws, {".git/config": "[core]\nhooksPath = tools/hooks\n"})
    over("mkdir -p tools/hooks; echo x > tools/hooks/pre-commit; echo x > tools/other")
    apply(rc=1)
    assert (ws / "tools/other").exists() and not (ws / "tools/hooks/pre-commit").exists()
    apply("--yes", "tools")
    assert (ws / "tools/hooks/pre-commit").exists()


def test_every_row_needs_a_word_and_flags_are_shown(over, bailey, apply, user, ws):
    """The table `protect` is left, each name of it; the table `flag` is applied, and said in diff and apply, as text and as JSON."""
    names = [n.rstrip("/") + ("/inner" if n.endswith("/") else "") for n in rows()]
    flags = ["CLAUDE.md", "AGENTS.md", ".github/workflows/ci.yml", "package.json", ".gitattributes", "sub/Jenkinsfile", ".npmrc"]
    over("; ".join(f"mkdir -p '{os.path.dirname(n) or '.'}'; echo x > '{n}'" for n in [*names, *flags, "plain"]))
    r = bailey(["diff", "--json"], cwd=ws)
    seen = {c["path"].removeprefix(f"{ws}/"): c for c in json.loads(r.out)}
    assert all(seen[n]["protect"] for n in names if n in seen) and len([n for n in names if n in seen]) == len(names), r.out[:2000]
    assert all(seen[n]["flag"] and not seen[n]["protect"] for n in flags), r.out[:2000]
    assert not seen["plain"]["flag"] and not seen["plain"]["protect"], seen["plain"]
    r = apply(rc=1)
    text = r.out + r.err
    for n in flags:
        assert (ws / n).exists() and re.search(rf"^(applied|added): {re.escape(str(ws / n))}: .*; look at it$", text, re.M), (n, text)
    assert f"{ws}/plain" not in text
    assert not [n for n in names if (ws / n).exists()] and (ws / "plain").exists()
    apply("--yes", names[0], rc=1)
    assert (ws / names[0]).exists() and not [n for n in names[1:] if (ws / n).exists()], "one word is for one path"


def test_words_behind_the_run_say_what_is_wrong(over, bailey, ws):
    """Options stand before RUN: whoever puts them behind it is told so, by every verb of a review."""
    run = over("echo x > new")
    for words, hint in ((["diff", run, "--stat"], "options come before it: bailey diff [OPTIONS] [RUN]"), (["apply", run, "--dry-run"], "options come before them"),
                        (["discard", run, "--all"], "options come before it"), (["runs", run], "bailey diff RUN"), (["prune", run], "bailey discard RUN")):
        r = bailey(words, cwd=ws)
        assert r.rc == 2 and hint in r.err, (words, r)
    assert bailey(["diff", "--stat", run], cwd=ws).rc == 0 and not (ws / "new").exists()
