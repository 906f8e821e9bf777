# SPDX-License-Identifier: Apache-2.0
"""
Attack 22, proven by its end: after the run the host's git is asked for the status (a commit, its files) of every repository, and whatever the command
has left there touches a witness when git executes it. The control is the same script without the sandbox: there the witness appears.
"""
import os
import shutil

import pytest

from conftest import skip
from test_git import IDENTITY, Repo

EVIL = "printf '[core]\\n\\tfsmonitor = \"touch %s; false\"\\n' \"$W\""
HOOK = 'printf "#!/bin/sh\\ntouch %s\\n" "$W"'


def plain(user, ws):
    Repo(user, ws)
    return [ws]


def hooked(user, ws):
    repo = Repo(user, ws)
    user.write(user.mkdir(ws / "own") / "post-index-change", "#!/bin/sh\n", 0o755)
    repo.git("config", "core.hooksPath", "own")
    return [ws]


def including(user, ws):
    repo = Repo(user, ws)
    user.write(ws / "conf/a", "[include]\n\tpath = b\n")
    user.write(ws / "conf/b", "[x]\n\ty = z\n")
    repo.git("config", "include.path", "../conf/a")
    repo.git("config", 'includeIf.gitdir:**.path', "../conf/b")
    return [ws]


def attributes(user, ws):
    """The filter is the host's own; which files go through it is said by a file that is there."""
    repo = Repo(user, ws)
    repo.git("config", "filter.host.clean", 'touch "$W"; cat')
    user.write(ws / ".git/info/attributes", "*.none filter=host\n")
    return [ws]


def worktree_config(user, ws):
    repo = Repo(user, ws)
    repo.git("config", "extensions.worktreeConfig", "true")
    repo.git("config", "--worktree", "x.y", "z")
    return [ws]


def worktrees(user, ws):
    main = Repo(user, ws / "main")
    main.git("worktree", "add", "-q", ws / "linked", "-b", "linked")
    main.git("worktree", "add", "-q", ws / "a/b/c/d/deep", "-b", "deep")
    return [ws / "main", ws / "linked", ws / "a/b/c/d/deep"]


def configured_worktree(user, ws):
    """Each working tree has settings of its own; this one none yet."""
    main = Repo(user, ws / "main")
    main.git("config", "extensions.worktreeConfig", "true")
    main.git("worktree", "add", "-q", ws / "linked", "-b", "linked")
    return [ws / "main", ws / "linked"]


def nested(user, ws):
    Repo(user, ws)
    Repo(user, ws / "a/n")
    Repo(user, ws / "a/b/m")
    return [ws, ws / "a/n", ws / "a/b/m"]


def bare(user, ws):
    Repo(user, ws / "store", "--bare")
    return [ws / "store"]


def hooked_worktree(user, ws):
    """core.hooksPath is relative to each working tree; the hooks are tracked, so that each has its own."""
    main = Repo(user, ws / "main")
    user.write(user.mkdir(ws / "main/own") / "post-index-change", "#!/bin/sh\n", 0o755)
    main.git("add", "own")
    main.git("commit", "-qm", "hooks")
    main.git("config", "core.hooksPath", "own")
    main.git("worktree", "add", "-q", ws / "a/linked", "-b", "linked")
    return [ws / "main", ws / "a/linked"]


def programs(user, ws):
    """Programs of the project that its configuration names."""
    repo = Repo(user, ws)
    for name in ("monitor", "clean"):
        user.write(ws / "tools" / name, "#!/bin/sh\n[ $0 = tools/monitor ] && exit 1\nexec cat\n", 0o755)
    user.write(ws / ".gitattributes", "* filter=project\n")
    repo.git("config", "core.fsmonitor", "tools/monitor")
    repo.git("config", "filter.project.clean", "tools/clean %f")
    return [ws]


def filtering(user, ws):
    """What comes out of the repository goes through a program of the project, and what goes in through another, which stays."""
    repo = Repo(user, ws)
    for name in ("smudge", "process"):
        user.write(ws / "tools" / name, "#!/bin/sh\n[ $0 = tools/process ] && exit 1\nexec cat\n", 0o755)
    user.write(ws / ".gitattributes", "f filter=out\ng filter=both\n")
    user.write(ws / "g", "1\n")
    repo.git("add", "g")
    repo.git("commit", "-qm", "filtered")
    repo.git("config", "filter.out.smudge", "tools/smudge")
    repo.git("config", "filter.both.process", "tools/process")
    return [ws]


def linked_git(user, ws):
    Repo(user, ws / "w")
    os.rename(ws / "w/.git", ws / "real")
    user.symlink("../real", ws / "w/.git")
    return [ws / "w"]


def submodule(user, ws, where="lib/sub"):
    other = Repo(user, user.base / "witness-source")
    repo = Repo(user, ws)
    repo.git("-c", "protocol.file.allow=always", "submodule", "add", "-q", other.path, where)
    repo.git("commit", "-qm", "submodule")
    shutil.rmtree(other.path)
    return [ws, ws / where]


def deep_submodule(user, ws):
    return submodule(user, ws, "a/b/c/d/e/sub")


FAKE = f"rm -rf fake; git init -q fake; {EVIL} >> fake/.git/config"
SWAP = "python3 -c 'import ctypes, sys; ctypes.CDLL(None).renameat2(-100, sys.argv[1].encode(), -100, sys.argv[2].encode(), 2)'"

# layout, and the script of each run
CASES: dict[str, tuple] = {
    "config": (plain, [f"{EVIL} >> .git/config"]),
    "config replaced": (plain, [f"cp .git/config c; {EVIL} >> c; mv -f c .git/config"]),
    "config by git": (plain, ['git config core.fsmonitor "touch $W; false"']),
    "config by a second name": (plain, [f"ln .git/config c; {EVIL} >> c"]),
    "config by its descriptor": (plain, [f"exec 3< .git/config; {EVIL} >> /proc/self/fd/3"]),
    "config by another root": (plain, [f"{EVIL} >> /proc/self/root$PWD/.git/config", f"cd .git/objects && {EVIL} >> ../config"]),
    "config exchanged": (plain, [f"cp .git/config c; {EVIL} >> c; {SWAP} c .git/config"]),
    ".git renamed": (plain, [f"mv .git g; cp -r g .git; {EVIL} >> .git/config"]),
    ".git exchanged": (plain, [f"cp -r .git g; {EVIL} >> g/config; {SWAP} g .git"]),
    ".git made anew": (plain, [f"rm -rf .git; git init -q; {EVIL} >> .git/config"]),
    ".git becomes a file": (plain, [f"{FAKE}; rm -rf .git; mv .git g; echo 'gitdir: fake/.git' > .git"]),
    ".git becomes a link": (plain, [f"{FAKE}; rm -rf .git; mv .git g; ln -s fake/.git .git"]),
    ".git closed, then opened": (plain, ["chmod 0 .git", f"chmod 755 .git; {EVIL} >> .git/config"]),
    "hook": (plain, [f"{HOOK} > .git/hooks/post-index-change; chmod +x .git/hooks/post-index-change; touch f"]),
    "hooks renamed": (plain, [f"mv .git/hooks h; mkdir .git/hooks; {HOOK} > .git/hooks/pre-commit; chmod +x .git/hooks/pre-commit"]),
    "hook by its sample": (plain, [f"cd .git/hooks; {HOOK} > pre-commit.sample; mv pre-commit.sample pre-commit"]),
    "core.hooksPath": (hooked, [f"{HOOK} > own/post-index-change; touch f"]),
    "core.hooksPath renamed": (hooked, [f"mv own o; mkdir own; {HOOK} > own/post-index-change; chmod +x own/post-index-change; touch f"]),
    "include": (including, [f"{EVIL} >> conf/b"]),
    "include renamed": (including, [f"mv conf c; cp -r c conf; {EVIL} >> conf/a"]),
    "core.hooksPath of a worktree": (hooked_worktree, [f"{HOOK} > a/linked/own/post-index-change; touch a/linked/f"]),
    "core.fsmonitor's program": (programs, [f"{HOOK} > tools/monitor"]),
    "a filter's program": (programs, [f"{HOOK} > tools/clean; echo 2 > f"]),
    "a filter's program renamed": (programs, [f"mv tools t; cp -r t tools; {HOOK} > tools/clean; echo 2 > f"]),
    "a filter's program on the way out": (filtering, [f"{HOOK} > tools/smudge; echo 2 > f"]),
    "a filter's program that stays": (filtering, [f"{HOOK} > tools/process; echo 2 > g"]),
    "info/attributes": (attributes, ["echo '* filter=host' > .git/info/attributes; echo 2 > f"]),
    "info renamed": (attributes, ["mv .git/info i; mkdir .git/info; echo '* filter=host' > .git/info/attributes; echo 2 > f"]),
    "config.worktree": (worktree_config, [f"{EVIL} >> .git/config.worktree"]),
    "config.worktree of a worktree": (configured_worktree, [f"{EVIL} >> main/.git/worktrees/linked/config.worktree"]),
    "commondir": (plain, [f"{FAKE}; echo $PWD/fake/.git > .git/commondir"]),
    "worktree's pointer": (worktrees, [f"{FAKE}; echo \"gitdir: $PWD/fake/.git\" > linked/.git"]),
    "deep worktree's pointer": (worktrees, [f"{FAKE}; echo \"gitdir: $PWD/fake/.git\" > a/b/c/d/deep/.git"]),
    "worktree's commondir": (worktrees, [f"{FAKE}; echo $PWD/fake/.git > main/.git/worktrees/linked/commondir"]),
    "worktree's directory renamed": (
        worktrees,
        [f"{FAKE}; cd main/.git/worktrees; mv linked l; cp -r l linked; echo $OLDPWD/fake/.git > linked/commondir"],
    ),
    "worktree's main": (worktrees, [f"{EVIL} >> main/.git/config"]),
    "nested": (nested, [f"{EVIL} >> a/n/.git/config; {EVIL} >> a/b/m/.git/config"]),
    "nested, ancestor renamed": (nested, [f"mv a x; cp -r x a; {EVIL} >> a/n/.git/config"]),
    "nested, middle renamed": (nested, [f"mv a/b x; cp -r x a/b; {EVIL} >> a/b/m/.git/config"]),
    "nested, moved in a copy": (nested, [f"cp -r a/b/m m2; {EVIL} >> m2/.git/config; rm -rf a/b/m; mv a/b/m z; mv m2 a/b/m"]),
    "nested, ancestor closed": (nested, ["chmod 0311 a/b", f"chmod 755 a/b; {EVIL} >> a/b/m/.git/config"]),
    "nested, .git closed": (nested, ["chmod 0 a/n/.git", f"chmod 755 a/n/.git; {EVIL} >> a/n/.git/config"]),
    "all closed": (nested, ["chmod 0311 .", f"chmod 755 .; {EVIL} >> a/n/.git/config"]),
    "bare": (bare, [f"{EVIL} >> store/config; printf '\\tbare = false\\n\\tworktree = ..\\n' >> store/config"]),
    "bare renamed": (bare, [f"mv store s; cp -r s store; {EVIL} >> store/config; printf '\\tbare = false\\n\\tworktree = ..\\n' >> store/config"]),
    ".git is a link": (linked_git, [f"{EVIL} >> real/config"]),
    ".git is a link, replaced": (linked_git, [f"{FAKE}; ln -sfn ../fake/.git w/.git"]),
    ".git is a link, its directory renamed": (linked_git, [f"mv real r; cp -r r real; {EVIL} >> real/config"]),
    "submodule's configuration": (submodule, [f"{EVIL} >> .git/modules/lib/sub/config"]),
    "submodule's pointer": (submodule, [f"{FAKE}; echo \"gitdir: $PWD/fake/.git\" > lib/sub/.git"]),
    "modules renamed": (submodule, [f"mv .git/modules m; cp -r m .git/modules; {EVIL} >> .git/modules/lib/sub/config"]),
    "behind a flood of worktrees": (
        submodule,
        [
            "cp .git/index i; rm -f .git/index .gitmodules; mkdir -p .git/worktrees; for i in $(seq 300); do mkdir .git/worktrees/$i; touch .git/worktrees/$i/gitdir; done",
            f"mv i .git/index; {EVIL} >> .git/modules/lib/sub/config",
        ],
    ),
    "deep submodule's pointer": (deep_submodule, [f"{FAKE}; echo \"gitdir: $PWD/fake/.git\" > a/b/c/d/e/sub/.git"]),
    "deep submodule that was taken out of the index": (
        deep_submodule,
        ["cp .git/index i; rm -f .git/index .gitmodules", f"mv i .git/index; {FAKE}; echo \"gitdir: $PWD/fake/.git\" > a/b/c/d/e/sub/.git"],
    ),
}  # fmt: skip


@pytest.fixture(autouse=True)
def needs_git():
    if not shutil.which("git"):
        skip("git is not installed")


@pytest.fixture
def witness(user, outside):
    """Where the command can't write, inside or by a script of its own."""
    return outside / "witness"


def ask_git(user, repos, witness):
    """The host's git, as the caller. Return: whether something of the command's was executed."""
    env = {"W": str(witness)}
    for path in repos:
        for words in (["status", "--short"], ["commit", "--allow-empty", "-qm", "host"], ["checkout", "-q", "--", "."]):
            user.exec(["git", *IDENTITY, *words], cwd=path, env=env)
    return witness.exists()


@pytest.mark.parametrize("case", CASES)
def test_witness(bailey, user, ws, outside, witness, case):
    layout, scripts = CASES[case]
    env = {"W": str(witness)}
    repos = layout(user, ws)
    assert not ask_git(user, repos, witness), "nothing was planted yet"
    for script in scripts:
        bailey(["run", "--env", f"W={witness}", "--", "sh", "-c", script], cwd=ws, env=env)
    assert not ask_git(user, repos, witness), f"git on the host executed what '{case}' left"
    # the twin: what is no configuration can be written, in the same place
    os.chmod(ws, 0o755)
    r = bailey(["run", "--", "sh", "-c", "echo x > twin && mkdir -p d && mv d d2 && cat twin"], cwd=ws)
    assert r.out == "x\n", r
    # the control: without the sandbox it works
    control = user.mkdir(outside / "control")
    repos = layout(user, control)
    for script in scripts:
        user.exec(["sh", "-c", script], cwd=control, env=env)
    assert ask_git(user, repos, witness), "control: the attack does not even work without the sandbox"


def test_the_shared_directory_of_a_worktree(bailey, user, outside, witness):
    """The workspace is a worktree; its repository lies elsewhere and is given."""
    env = {"W": str(witness)}
    main = Repo(user, outside / "main")
    main.git("worktree", "add", "-q", outside / "linked", "-b", "topic")
    git, repos = outside / "main/.git", [outside / "main", outside / "linked"]
    attacks = [
        f"{EVIL} >> {git}/config",
        f"mkdir -p {git}/hooks; {HOOK} > {git}/hooks/pre-commit; chmod +x {git}/hooks/pre-commit",
        f"mv {git}/worktrees/linked {git}/worktrees/l; cp -r {git}/worktrees/l {git}/worktrees/linked; {FAKE}; "
        f"echo $PWD/fake/.git > {git}/worktrees/linked/commondir",
        f"{FAKE}; echo $PWD/fake/.git > {git}/worktrees/linked/commondir",
        f"{FAKE}; echo gitdir: $PWD/fake/.git > .git",
    ]  # fmt: skip
    for script in attacks:
        bailey(["run", "--env", f"W={witness}", "--", "sh", "-c", script], cwd=outside / "linked", env=env)
        assert not ask_git(user, repos, witness), script
    r = bailey(["run", "--", "git", *IDENTITY, "commit", "--allow-empty", "-qm", "twin"], cwd=outside / "linked")
    assert r.rc == 0 and "twin" in main.git("log", "--format=%s", "topic"), r
    user.exec(["sh", "-c", attacks[-1]], cwd=outside / "linked", env=env)
    assert ask_git(user, repos, witness), "control"
