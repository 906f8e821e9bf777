# SPDX-License-Identifier: Apache-2.0
"""git inside: everything works but what the host's git would execute later."""
import os
import shutil

import pytest

from conftest import skip

IDENTITY = ["-c", "user.email=e2e@example.org", "-c", "user.name=e2e"]
WHO = {f"GIT_{who}_{what}": "e2e" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
HINT = "--allow-git-config"


class Repo:
    """A repository of the caller, made and judged by the host's git."""

    def __init__(self, user, path, *args):
        self.user, self.path = user, path
        user.mkdir(path)
        self.git("init", "-q", "-b", "main", *args)
        self.git("config", "user.email", "e2e@example.org")
        self.git("config", "user.name", "e2e")
        if "--bare" not in args:
            user.write(path / "f", "1\n")
            self.git("add", "f")
            self.git("commit", "-qm", "first")

    def git(self, *args, rc=0, cwd=None):
        r = self.user.exec(["git", *IDENTITY, *args], cwd=cwd or self.path)
        assert rc is None or r.rc == rc, (args, r)
        return r.out


@pytest.fixture(autouse=True)
def needs_git():
    if not shutil.which("git"):
        skip("git is not installed")


@pytest.fixture
def repo(user, ws):
    return Repo(user, ws)


@pytest.fixture
def submodule(user, repo):
    """lib/sub of the repository, absorbed: its git directory is .git/modules/lib/sub."""
    other = Repo(user, user.base / "sub-source")
    repo.git("-c", "protocol.file.allow=always", "submodule", "add", "-q", other.path, "lib/sub")
    repo.git("commit", "-qm", "submodule")
    yield repo
    shutil.rmtree(other.path)


WORKS = {
    "commit": "echo 2 >> f; git commit -qam second; test $(git rev-list --count HEAD) = 2",
    "branch -D": "git branch x; git branch -D x; ! git rev-parse -q --verify x",
    "pack-refs": "git branch x; git pack-refs --all; grep -q refs/heads/x .git/packed-refs",
    "stash": "echo 2 >> f; git stash -q; test $(cat f) = 1; git stash pop -q; test $(tail -1 f) = 2",
    "rebase": "git checkout -qb x; echo a > a; git add a; git commit -qm a; git checkout -q main; echo b > b; git add b; "
    "git commit -qm b; git checkout -q x; git rebase -q main; test $(git rev-list --count HEAD) = 3",
    "merge": "git checkout -qb x; echo a > a; git add a; git commit -qm a; git checkout -q main; git merge -q --no-ff -m m x; test -e a",
    "gc": "git gc -q; ls .git/objects/pack/*.pack",
    "reflog expire": "git reflog expire --all --expire=now",
    "tag": "git tag -a -m x v1; git tag -d v1",
    "reset and clean": "echo x > y; git add y; git reset -q --hard; git clean -qfd; test ! -e y",
    "worktree add": "git worktree add -q w -b w; cd w; echo w > w; git add w; git commit -qm w; cd ..; git worktree remove w; git branch -D w",
    "worktree list and prune": "git worktree list; git worktree prune",
    "clone inside": "git clone -q . copy; cd copy; git config x.y z; echo c > .git/hooks/pre-commit; git commit -q --allow-empty -m c; git config --unset x.y",
    "init inside": "git init -q n; cd n; git config x.y z; git commit -q --allow-empty -m n; git config core.hooksPath h",
    "bare init inside": "git init -q --bare b.git; git -C b.git config x.y z; git push -q ./b.git main",
    "fetch from a path": "git clone -q . copy; cd copy; echo c > c; git add c; git commit -qm c; cd ..; git fetch -q ./copy; git merge -q FETCH_HEAD",
    "status and diff": "echo 2 >> f; git status -s; git diff --stat; git log --oneline; git show -s",
    "bisect": "git bisect start; git bisect bad; git bisect reset",
    "notes and update-ref": "git notes add -m n; git update-ref refs/x/y HEAD; git update-ref -d refs/x/y",
    "sparse index": "git update-index --force-write-index; git update-index --refresh",
    "info/exclude": "echo '*.o' >> .git/info/exclude",
}  # fmt: skip


@pytest.mark.parametrize("what", WORKS)
def test_works(repo, run, what):
    r = run("set -e; " + WORKS[what], env=WHO)
    assert r.rc == 0, r
    assert not repo.git("fsck", "--no-dangling"), "the repository is whole"
    assert HINT not in r.err


REFUSED = {
    "config": "git config x.y z",
    "config --unset": "git config --unset user.name",
    "config --global is another matter": "git config --file .git/config x.y z",
    "remote add": "git remote add o https://example.org/x",
    "edit": "echo '[x]' >> .git/config",
    "replace": "echo '[x]' > c; mv c .git/config",
    "remove": "rm -f .git/config",
    "hook": "echo x > .git/hooks/pre-commit",
    "hook's mode": "chmod +x .git/hooks/*.sample",
    "replace hooks": "mv .git/hooks .git/h",
    "replace .git": "mv .git g",
    "link": "ln .git/config c && echo '[x]' >> c",
}


@pytest.mark.parametrize("what", REFUSED)
def test_refused(repo, run, user, ws, what):
    config, hooks = (ws / ".git/config").read_text(), sorted((p.name, p.stat().st_mode) for p in (ws / ".git/hooks").iterdir())
    r = run(REFUSED[what])
    assert r.rc != 0, r
    assert (ws / ".git/config").read_text() == config
    assert sorted((p.name, p.stat().st_mode) for p in (ws / ".git/hooks").iterdir()) == hooks
    # the control: the same outside
    r = user.exec(["sh", "-c", REFUSED[what]], cwd=ws)
    assert r.rc == 0, r


def test_the_user_learns_why_and_how(repo, run, bailey, ws):
    r = run("git config x.y z")
    assert r.rc != 0 and HINT in r.bailey_err and str(ws / ".git/config") in r.bailey_err, r
    assert run("git config x.y z", HINT).rc == 0
    assert repo.git("config", "x.y") == "z\n"
    r = bailey(["check", "write", ".git/config"], cwd=ws)
    assert r.rc == 1 and "protected: git configuration" in r.out and HINT in r.out and "--unprotect" in r.out, r
    assert bailey(["check", HINT, "write", ".git/config"], cwd=ws).rc == 0
    assert bailey(["check", HINT, "write", ".git/hooks/x"], cwd=ws).rc == 1, "of the configuration only"


def test_no_hint_where_git_is_not_the_reason(repo, run):
    assert HINT not in run("exit 1").err
    assert HINT not in run("echo 2 >> f; git commit -qam x").err


def test_unprotect(repo, run, bailey, ws):
    hooks = ws / ".git/hooks"
    assert run("echo x > .git/hooks/a", "--unprotect", ".git/hooks").rc == 0 and (hooks / "a").exists()
    assert run("echo x > .git/hooks/a; git config x.y z", "--unprotect", ws / ".git").rc == 0
    assert run("echo y > .git/hooks/a; echo x > .git/hooks/b", "--unprotect", ".git/hooks/a").rc != 0
    assert (hooks / "a").read_text() == "y\n" and not (hooks / "b").exists()
    # it grants nothing that was not writable
    assert run("echo x > .git/hooks/c", "--workspace", f"{ws}:ro", "--unprotect", ws).rc != 0
    r = bailey(["check", "write", ".git/hooks"], cwd=ws)
    option = r.out.split("to allow it: ")[1].split()[:2]
    assert bailey(["check", *option, "write", ".git/hooks"], cwd=ws).rc == 0, "the option that is named does it"


def test_unprotect_by_a_planted_link(repo, run, ws):
    assert run("ln -s .git/hooks out; ln -s .git g").rc == 0
    for name in ("out", "g/hooks"):
        r = run("echo ran", "--unprotect", ws / name)
        assert r.rc == 2 and not r.out and "symlink" in r.err, r


def test_allow_write_of_the_exact_path_lifts_it_too(repo, run, ws):
    assert run("git config x.y z", "--allow-write", ws / ".git").rc != 0, "it did so far"
    assert run("echo '[x]' >> .git/config", "--allow-write", ws / ".git/config").rc == 0


def test_deny_write_stays_final(repo, run, ws):
    assert run("echo x > .git/hooks/a", "--unprotect", ".git", "--deny-write", ".git/hooks").rc != 0


def test_read_only_workspace_has_no_rules(repo, bailey, ws):
    r = bailey(["run", "--explain", "--workspace", f"{ws}:ro", "--", "true"], cwd=ws)
    assert r.rc == 0 and "protected: git" not in r.out


# ---- worktrees ----


@pytest.fixture
def linked(user, outside):
    """A worktree, made by the host's git, of a repository that lies elsewhere."""
    main = Repo(user, outside / "main")
    main.git("worktree", "add", "-q", outside / "linked", "-b", "topic")
    main.git("worktree", "add", "-q", outside / "third", "-b", "third")
    return main


@pytest.fixture
def in_linked(bailey, outside):
    def call(cmd, *opts):
        return bailey(["run", *opts, "--", "sh", "-c", cmd], cwd=outside / "linked")

    return call


def test_worktree(linked, in_linked, outside):
    script = (
        "set -e; echo 2 >> f; git commit -qam second; git branch x; git branch -D x; git pack-refs --all; git stash list; "
        "git gc -q; git worktree add -q inner -b inner; git -C inner commit -q --allow-empty -m inner; git worktree remove inner; git branch -D inner"
    )
    r = in_linked(script)
    assert r.rc == 0, r
    assert linked.git("log", "--format=%s", "topic") == "second\nfirst\n"
    assert linked.git("status", "--porcelain", cwd=outside / "linked") == ""
    assert linked.git("status", "--porcelain") == linked.git("status", "--porcelain", cwd=outside / "third") == ""
    assert not linked.git("fsck", "--no-dangling")


def test_worktree_denials(linked, in_linked, outside):
    git = outside / "main/.git"
    attacks = [
        "git config x.y z", f"echo x > {git}/hooks/x", f"echo '* filter=x' > {git}/info/attributes", "echo gitdir: /tmp > .git", "rm .git", "mv .git g",
        f"echo x > {git}/worktrees/third/gitdir", f"echo / > {git}/worktrees/linked/commondir", f"rm {git}/worktrees/third/commondir",
        f"mv {git}/worktrees {git}/w", f"mv {git}/worktrees/third {git}/worktrees/t", f"mv {git} {git}2", f"echo x > {outside}/main/f",
    ]  # fmt: skip
    for attack in attacks:
        r = in_linked(attack)
        assert r.rc != 0, attack
    assert linked.git("worktree", "list").count("\n") == 3
    assert not (git / "info/attributes").exists() and not (git / "hooks/x").exists()


def test_worktree_explained(linked, bailey, outside):
    r = bailey(["run", "--explain", "--", "true"], cwd=outside / "linked")
    line = [li for li in r.out.splitlines() if "allow-write" in li and str(outside / "main/.git") in li]
    assert line and str(outside / "linked/.git") in line[0] and "names" in line[0], r.out
    assert bailey(["check", "write", outside / "main/.git/HEAD"], cwd=outside / "linked").rc == 0
    assert bailey(["check", "write", outside / "main/f"], cwd=outside / "linked").rc == 1


def test_worktree_config_can_be_allowed(linked, in_linked):
    assert in_linked("git config x.y z").rc != 0
    assert in_linked("git config x.y z", HINT).rc == 0
    assert linked.git("config", "x.y") == "z\n"


def test_a_pruned_worktree_is_not_harmed(linked, in_linked, user, outside):
    """What the sandbox can't see looks pruned; its files in the shared directory must stay."""
    hidden = outside / "third"
    r = in_linked("git worktree prune -v; true", "--hide", hidden)
    assert r.rc == 0
    for name in ("HEAD", "index", "gitdir", "commondir"):
        assert (outside / "main/.git/worktrees/third" / name).exists(), (name, r)


def test_a_git_file_that_names_another_repository(user, bailey, outside):
    """Attack 71, and its twin."""
    victim = Repo(user, outside / "victim")
    victim.git("worktree", "add", "-q", outside / "theirs", "-b", "theirs")
    mine = user.mkdir(outside / "mine")
    targets = [outside / "victim/.git", outside / "victim/.git/worktrees/theirs"]
    for target in targets:
        user.write(mine / ".git", f"gitdir: {target}\n")
        # the control: outside, git follows it
        assert user.exec(["git", "update-ref", "refs/heads/control", "HEAD"], cwd=mine).rc == 0
        r = bailey(["run", "--", "sh", "-c", f"git update-ref refs/heads/taken HEAD; echo x > {target}/x"], cwd=mine)
        assert r.rc != 0 and "does not name this workspace" in r.bailey_err and str(target) in r.bailey_err, r
        assert not (target / "x").exists() and victim.git("for-each-ref", "refs/heads/taken") == ""
        assert bailey(["check", "write", target / "HEAD"], cwd=mine).rc == 1
    r = bailey(["run", "--", "git", "update-ref", "refs/heads/mine", "HEAD"], cwd=outside / "theirs")
    assert r.rc == 0 and victim.git("for-each-ref", "refs/heads/mine"), r


def test_a_git_file_that_names_what_is_hidden(user, bailey, outside):
    store = user.home / ".aws" / f"repo{os.getpid()}"
    Repo(user, store)
    try:
        mine = user.mkdir(outside / "mine")
        user.write(mine / ".git", f"gitdir: {store}/.git/worktrees/mine\n")
        user.write(store / ".git/worktrees/mine/gitdir", f"{mine}/.git\n")
        user.write(store / ".git/worktrees/mine/commondir", "../..\n")
        r = bailey(["run", "--", "cat", store / "f"], cwd=mine)
        assert r.rc != 0 and "hides" in r.bailey_err, r
    finally:
        shutil.rmtree(store)


def test_somebody_elses_git_directory(plain_user, root_user, works):
    """Whose directory names the workspace back, but is owned by somebody else."""
    if os.geteuid() != 0:
        skip("needs root: makes directories of two owners")
    from conftest import BAILEY

    top = plain_user.mkdir(plain_user.base / "owners")
    main = Repo(plain_user, top / "main")
    main.git("worktree", "add", "-q", top / "linked", "-b", "topic")
    assert plain_user.exec([BAILEY, "run", "--", "git", "update-ref", "refs/heads/a", "HEAD"], cwd=top / "linked").rc == 0
    os.chown(top / "main/.git", 0, 0)
    os.chmod(top / "main/.git", 0o777)
    r = plain_user.exec([BAILEY, "run", "--", "touch", top / "main/.git/x"], cwd=top / "linked")
    assert r.rc != 0 and "belongs to somebody else" in r.err, r
    shutil.rmtree(top)


# ---- submodules ----


def test_submodule(submodule, run, ws):
    r = run("set -e; cd lib/sub; echo 2 >> f; git -c user.email=a -c user.name=b commit -qam second; cd ../..; git add lib/sub; git commit -qm bump")
    assert r.rc == 0, r
    git = ws / ".git/modules/lib/sub"
    for attack in (
        "git -C lib/sub config x.y z", "echo x > .git/modules/lib/sub/hooks/x", "echo gitdir: /tmp > lib/sub/.git", "mv lib/sub lib/s",
        "mv .git/modules/lib .git/modules/l", "rm -f .git/modules/lib/sub/config",
    ):  # fmt: skip
        assert run(attack).rc != 0, attack
    assert (git / "config").exists() and (git / "hooks").is_dir() and not (git / "hooks/x").exists()
    assert run("git -C lib/sub config x.y z", "--unprotect", ".git/modules/lib/sub").rc == 0


def test_submodule_as_the_workspace(submodule, bailey, user, ws):
    sub = ws / "lib/sub"
    r = bailey(["run", "--", "sh", "-c", "echo 3 >> f; git -c user.email=a -c user.name=b commit -qam third"], cwd=sub)
    assert r.rc == 0, r
    assert bailey(["run", "--", "git", "config", "x.y", "z"], cwd=sub).rc != 0
    bailey(["run", "--", "touch", ws / ".git/x"], cwd=sub)
    assert not (ws / ".git/x").exists(), "the outer repository is not given"
    # one that names another submodule's
    user.write(user.mkdir(ws / "fake") / ".git", "gitdir: ../.git/modules/lib/sub\n")
    r = bailey(["run", "--", "touch", ws / ".git/modules/lib/sub/x"], cwd=ws / "fake")
    assert "core.worktree" in r.bailey_err and not (ws / ".git/modules/lib/sub/x").exists(), r


# ---- the host meanwhile ----


def test_a_host_that_replaces_the_configuration_is_told(repo, start, user, ws):
    """A mount follows the file: SECURITY.md states it. It must not go unnoticed."""
    p = start("touch ready; while [ ! -e go ]; do sleep 0.02; done; echo '[later]' >> .git/config")
    end = 0
    while not (ws / "ready").exists() and end < 500:
        end += 1
        user.exec(["sleep", "0.02"])
    repo.git("config", "x.y", "host")
    user.write(ws / "go")
    out, err = p.communicate(timeout=20)
    text = err.decode()
    assert "replaced or removed during the run" in text and str(ws / ".git/config") in text, (p.returncode, out, err)


def test_nothing_is_left_behind(repo, run, ws):
    """No placeholders, ever: neither while it runs nor after."""
    before = sorted(str(p) for p in ws.rglob("*"))
    r = run("ls -A; ls -A .git")
    assert sorted(str(p) for p in ws.rglob("*")) == before
    for name in (".envrc", ".vscode", ".mcp.json", "config.worktree", "commondir"):
        assert name not in r.out.split()


def test_checkout_over_a_protected_file(repo, run, user, ws):
    user.write(ws / ".vscode/tasks.json", "{}\n")
    repo.git("add", ".")
    repo.git("commit", "-qm", "tasks")
    repo.git("checkout", "-qb", "other")
    user.write(ws / ".vscode/tasks.json", '{"a": 1}\n')
    repo.git("commit", "-qam", "other")
    # git goes on, leaves the file as it is, and shows it as changed
    r = run("git checkout main; git status -s")
    assert "unable to unlink old '.vscode/tasks.json'" in r.err and " M .vscode/tasks.json" in r.out, r
    assert (ws / ".vscode/tasks.json").read_text() == '{"a": 1}\n'
    r = run("git checkout -f main", "--unprotect", ".vscode")
    assert r.rc == 0 and (ws / ".vscode/tasks.json").read_text() == "{}\n", r
    assert run("git worktree add -q w -b w && test -e w/.vscode/tasks.json").rc == 0, "new ones can be made"
