# SPDX-License-Identifier: Apache-2.0
"""Files of sandboxes that stay: overlay workspaces, and what `bailey run SANDBOX` means (docs/adr/0034)."""
import json
import os
import shutil
import signal
import time

import pytest

from conftest import BAILEY, wait_for
from terminals import Pty
from test_named import boxes  # noqa: F401 (a fixture)

# --- bailey run SANDBOX ---


def test_run_in_a_sandbox(boxes, ws):  # noqa: F811
    """The word before "--" is a sandbox, which is started; stdin, stdout and the status are the command's."""
    boxes.make()
    r = boxes("run", "box", "--", "sh", "-c", "cat; pwd; exit 7", stdin="text\n")
    assert (r.rc, r.out, r.err) == (7, f"text\n{ws}\n", ""), r
    assert boxes.ls()["box"]["state"] == "running"
    assert boxes("run", "--no-tty", "box", "--", "echo", "--", "x").out == "-- x\n"
    r = boxes("run", "box", stdin="echo in a shell $((1+1))\nexit 3\n")
    assert (r.rc, r.out) == (3, "in a shell 2\n"), r
    assert boxes("run", "--", "echo", "box").out == "box\n", "behind -- it is a command"


def test_run_in_a_sandbox_with_a_terminal(boxes, ws, user):  # noqa: F811
    boxes.make()
    t = Pty(user, [BAILEY, "run", "box", "--", "sh"], ws, (24, 80), env=boxes.env)
    t.type("tty; stty size; exit 5\n")
    t.expect("/dev/pts/")
    t.expect("24 80")
    assert t.wait() == 5


BAD_RUN = [
    (["run", "make", "test"], "there is no sandbox 'make'; to run a command, put '--' before it: bailey run -- make test"),
    (["run", "--hide", "x", "make"], "bailey run [OPTIONS] -- make"),
    (["run", "box", "true"], "bailey run box -- COMMAND"),
    (["run", "--hide", "x", "box", "--", "true"], "--hide"),
    (["run", "--allow-host", "a.test", "box"], "--allow-host"),
    (["run", "--tty", "--no-tty", "box"], "contradict"),
]


@pytest.mark.parametrize("words,said", BAD_RUN, ids=[" ".join(w) for w, _ in BAD_RUN])
def test_bad_words_of_run(boxes, words, said):  # noqa: F811
    boxes.make()
    r = boxes(*words)
    assert r.rc == 2 and said in r.err and r.err.count("\n") == 1 and r.err.startswith("bailey: "), r
    assert boxes.ls()["box"]["state"] == "stopped"


# --- overlay workspaces ---


@pytest.fixture
def copy(boxes, ws, user):  # noqa: F811
    """A sandbox whose workspace is a copy, with files of the host's below."""
    user.write(ws / "kept", "host\n")
    user.write(ws / "gone", "host\n")
    user.write(ws / "dir/deep", "host\n")
    r = boxes("create", "box", ".:overlay")
    assert r.rc == 0 and "EOVERFLOW" not in r.err, ("no notice of what is not so", r)
    return boxes


def host(ws):
    return {str(p.relative_to(ws)): p.read_text() for p in sorted(ws.rglob("*")) if p.is_file()}


BEFORE = {"kept": "host\n", "gone": "host\n", "dir/deep": "host\n"}
CHANGES = "echo box > kept; rm gone; echo new > dir/new; mkdir other; echo x > other/y"


def names(r):
    assert r.rc == 0, r
    return {(c["path"], c["change"]) for c in json.loads(r.out)}


CHANGED = {("kept", "modified"), ("gone", "deleted"), ("dir/new", "added"), ("other", "added"), ("other/y", "added")}


def test_a_copy_stays(copy, ws):
    """What commands write is in the sandbox after a stop, a kill and a start; the host has none of it, before it is applied."""
    assert copy.exec(CHANGES).rc == 0
    assert names(copy("diff", "--json", "box")) == CHANGED, "while it lives"
    assert copy("stop", "box").rc == 0
    assert host(ws) == BEFORE and names(copy("diff", "--json", "box")) == CHANGED
    assert copy.exec("cat kept dir/new; ls").out == "box\nnew\ndir\nkept\nother\n"
    pid = copy.supervisor()
    os.kill(pid, signal.SIGKILL)
    assert wait_for(lambda: copy.ls()["box"]["state"] == "stopped")
    assert copy.exec("echo more >> kept; cat kept other/y").out == "box\nmore\nx\n"
    assert copy("stop", "box").rc == 0 and host(ws) == BEFORE
    r = copy("apply", "box")
    assert r.rc == 0, r
    after = {"kept": "box\nmore\n", "dir/deep": "host\n", "dir/new": "new\n", "other/y": "x\n"}
    assert host(ws) == after
    assert names(copy("diff", "--json", "box")) == set()
    r = copy.exec("cat kept; echo again > again")
    assert r.out == "box\nmore\n" and copy("stop", "box").rc == 0 and host(ws) == after
    assert names(copy("diff", "--json", "box")) == {("again", "added")}


@pytest.mark.parametrize("lost", ["all of it", "what is new"])
def test_a_state_that_was_lost(copy, ws, user, lost):
    """Without state.db, and with an older copy of it, nothing is removed that nobody has asked for; with the right one all is as it was."""
    state, away = copy.home / "state.db", copy.home / "away"
    assert copy("volume", "create", "data").rc == 0
    user.write(copy.home / "volumes/data/file", "x\n")
    assert copy.exec(f"{CHANGES}; echo mine > ~/file").rc == 0 and copy("stop", "box").rc == 0
    user.mkdir(away)
    for f in copy.home.glob("state.db*"):
        os.rename(f, away / f.name)

    def kept():
        return {str(p) for d in ("volumes/data", "sandboxes", "runs") for p in (copy.home / d).rglob("*") if "/work" not in str(p) and p.name != "lock"}
    before = kept()

    def stays():
        return before == kept()

    if lost == "what is new":
        os.rename(copy.home / "volumes", away / "volumes")
        os.rename(copy.home / "sandboxes", away / "sandboxes")
        assert copy("volume", "create", "new").rc == 0
        os.rename(away / "volumes/data", copy.home / "volumes/data")
        os.rename(away / "sandboxes", copy.home / "sandboxes")
    for words in (["volume", "create", "x"], ["prune", "--older", "0"], ["discard", "--all"], ["prune", "--sandboxes", "--older", "0"], ["prune", "--volumes", "--older", "1h"]):
        r = copy(*words)
        assert stays(), (words, r)
        if lost == "all of it":
            assert r.rc == 125 and "state.db is gone" in r.err and not state.exists(), (words, r)
        elif words[-1] == "x":
            assert r.rc == 0 and "volumes/data is of no volume" in r.err and copy("volume", "rm", "x").rc == 0, r
            r = copy("volume", "create", "data")
            assert r.rc == 125 and "volumes/data is in the way" in r.err, r
        elif words[-1] == "0" and words[1] == "--older":
            assert r.rc == 0 and "of a sandbox that is not kept any more" in r.err, r
    for f in copy.home.glob("state.db*"):
        f.unlink()
    for f in away.glob("state.db*"):
        os.rename(f, copy.home / f.name)
    assert copy.exec("cat ~/file").out == "mine\n" and copy("stop", "box").rc == 0 and names(copy("diff", "--json", "box")) == CHANGED
    shutil.rmtree(copy.home / "volumes/new", ignore_errors=True)
    assert copy("volume", "rm", "data").rc == 0


def test_only_its_name_throws_it_away(copy, ws):
    """What is for runs takes nothing of a sandbox that stays, however old it is."""
    assert copy.exec(CHANGES).rc == 0 and copy("stop", "box").rc == 0
    run = copy("run", "--workspace", ".:overlay", "--", "sh", "-c", "echo run > kept")
    assert run.rc == 0, run
    time.sleep(2.1)
    r = copy("prune", "--older", "1s")
    assert r.rc == 0 and r.out.count("discarded") == 1, ("that of the run", r)
    assert copy("discard", "--all").rc == 0 and names(copy("diff", "--json", "box")) == CHANGED
    r = copy("discard")
    assert r.rc == 2 and "'bailey discard box'" in r.err and names(copy("diff", "--json", "box")) == CHANGED, r
    assert copy("discard", "box").rc == 0 and names(copy("diff", "--json", "box")) == set()


def test_reset_empties_the_copy(copy, ws):
    """As rm: what nobody has taken over goes only with --force."""
    assert copy.exec(CHANGES).rc == 0 and copy("stop", "box").rc == 0
    r = copy("reset", "box")
    assert r.rc == 4 and "bailey reset --force" in r.err and r.err.count("\n") == 1, r
    assert names(copy("diff", "--json", "box")) == CHANGED, "nothing is lost by a refusal"
    assert copy("reset", "-f", "box").rc == 0
    assert names(copy("diff", "--json", "box")) == set() and host(ws) == BEFORE
    assert copy.exec("cat kept gone").out == "host\nhost\n"


def test_a_part_is_applied(copy, ws):
    """The rest stays in the sandbox, and the sandbox goes on with both."""
    assert copy.exec(CHANGES).rc == 0 and copy("stop", "box").rc == 0
    r = copy("apply", "box", "kept")
    assert r.rc == 0 and host(ws) == {**BEFORE, "kept": "box\n"}, r
    assert names(copy("diff", "--json", "box")) == CHANGED - {("kept", "modified")}
    assert copy.exec("cat kept dir/new; test ! -e gone").out == "box\nnew\n"
    assert copy("stop", "box").rc == 0
    assert copy("apply", "box").rc == 0 and host(ws) == {"kept": "box\n", "dir/deep": "host\n", "dir/new": "new\n", "other/y": "x\n"}


def test_discarded(copy, ws):
    assert copy.exec(CHANGES).rc == 0 and copy("stop", "box").rc == 0
    assert copy("discard", "box").rc == 0
    r = copy("discard", "box")
    assert r.rc == 0 and "changed nothing" in r.out
    r = copy("apply", "box")
    assert r.rc == 0 and "changed nothing" in r.out
    assert copy("diff", "box").out == ""
    assert copy.exec("cat kept gone; ls").out == "host\nhost\ndir\ngone\nkept\n" and host(ws) == BEFORE


def test_what_a_root_inside_has_made_is_thrown_away(copy, ws, user):
    """Directories of other ids than the caller's, again and again; and what is applied is told."""
    for verb in ("discard", "discard", "apply", "discard"):
        assert copy.exec("sudo sh -c 'mkdir d && echo x > d/f && mkdir d/e && echo y > d/e/g'").rc == 0
        assert copy("stop", "box").rc == 0
        r = copy(verb, "box")
        assert r.rc == 0 and {"discard": "discarded", "apply": "applied 4 of 4"}[verb] in r.out, r
        assert names(copy("diff", "--json", "box")) == set()
        if verb == "apply":
            assert (ws / "d/e/g").read_text() == "y\n"
            shutil.rmtree(ws / "d")
    assert [p.name for p in (copy.home / "runs").iterdir() if p.name.startswith(".gone")] == []


def test_not_while_it_runs(copy, ws):
    """apply and discard say how; a dry run and diff are looks."""
    assert copy.exec(CHANGES).rc == 0
    for verb in ("apply", "discard"):
        r = copy(verb, "box")
        assert r.rc == 4 and "bailey stop box" in r.err and r.err.count("\n") == 1 and host(ws) == BEFORE, r
    assert copy("apply", "--dry-run", "box").rc == 0 and host(ws) == BEFORE
    r = copy("diff", "box")
    assert r.rc == 0 and "+box" in r.out and "sandbox box still lives" in r.err
    assert copy.exec("cat kept").out == "box\n"


def test_a_conflict(copy, ws, user):
    """What the host has changed meanwhile is not overwritten."""
    assert copy.exec(CHANGES).rc == 0 and copy("stop", "box").rc == 0
    user.write(ws / "kept", "host again\n")
    r = copy("apply", "box")
    assert r.rc == 1 and "conflict" in r.out and host(ws) == {**BEFORE, "kept": "host again\n"}, r
    assert copy.exec("cat kept").out == "box\n" and copy("stop", "box").rc == 0
    assert copy("apply", "--force", "kept", "box").rc == 0 and host(ws)["kept"] == "box\n"


def test_removed_with_what_is_not_taken_over(copy, ws):
    """rm does not throw work away without a word; --force does, and leaves nothing."""
    assert copy.exec(CHANGES).rc == 0 and copy("stop", "box").rc == 0
    r = copy("rm", "box")
    assert r.rc == 4 and "bailey diff box" in r.err and r.err.count("\n") == 1 and "box" in copy.ls(), r
    assert copy("rm", "--force", "box").rc == 0
    assert not list((copy.home / "runs").iterdir()) and host(ws) == BEFORE
    assert copy("create", "box", ".:overlay").rc == 0 and copy.exec("ls").out == "dir\ngone\nkept\n"
    assert copy("stop", "box").rc == 0 and copy("rm", "box").rc == 0, "it has changed nothing"


def test_two_workspaces_and_runs(copy, boxes, ws, user):  # noqa: F811
    """Each has its layer; one that is direct has none; and `bailey runs` lists the sandbox as one that can be entered."""
    other = user.mkdir(user.base / f"{ws.name}-other")
    direct = user.mkdir(user.base / f"{ws.name}-direct")
    try:
        r = boxes("create", "two", f"{ws}:overlay", f"{other}:overlay", direct)
        assert r.rc == 0, r
        assert boxes.exec(f"echo a > kept; echo b > {other}/b; echo c > {direct}/c", name="two").rc == 0
        assert boxes("stop", "two").rc == 0
        assert host(ws) == BEFORE and not list(other.iterdir()) and (direct / "c").read_text() == "c\n"
        (listed,) = json.loads(boxes("runs", "--json").out)
        assert listed["id"] == r.out.strip() and listed["command"] == ["bailey", "exec", listed["id"]] and listed["workspaces"] == [str(ws), str(other)]
        assert boxes(*listed["command"][1:], "--", "cat", f"{other}/b").out == "b\n"
        assert boxes("stop", "two").rc == 0 and boxes("apply", "two").rc == 0 and (other / "b").read_text() == "b\n"
        assert host(ws)["kept"] == "a\n"
    finally:
        boxes("rm", "-f", "two")
        user.exec(["rm", "-rf", other, direct])


def test_what_is_no_copy_says_so(boxes):  # noqa: F811
    boxes.make()
    for verb in ("diff", "apply", "discard"):
        r = boxes(verb, "box")
        assert r.rc == 2 and "no overlay workspace" in r.err and r.err.count("\n") == 1, r
    r = boxes("diff", "--rootfs", "box")
    assert r.rc == 2 and "--rootfs" in r.err and r.err.count("\n") == 1
    r = boxes("create", "bad", f"{boxes.home}:overlay")
    assert r.rc == 2 or r.rc == 125, r
    assert "bad" not in boxes.ls()
