# SPDX-License-Identifier: Apache-2.0
"""What removes sandboxes that stay, and what is kept of them: prune, reset, rm (docs/adr/0027, 0033)."""
import json
import os
import signal
import subprocess
import time

from conftest import BAILEY, PYTHON, wait_for
from terminals import Pty
from test_named import boxes  # noqa: F401 (a fixture)
from test_named_life import state, supervisor


def test_prune(boxes, ws, user):
    """Stopped ones that were not used for long, after a question; what nobody owns in any case; one that runs never."""
    for name in ("old", "new", "runs"):
        boxes.make(name)
        boxes.exec("true", name=name)
    boxes("stop", "old", "new")
    ids = {n: b["id"] for n, b in boxes.ls().items()}
    for name in ("old", "runs"):
        os.utime(boxes.home / "sandboxes" / ids[name], (1, 1))
    user.mkdir(boxes.home / "sandboxes" / ".0123456789")
    user.mkdir(boxes.home / "sandboxes" / "0123456789")
    r = boxes("prune")
    assert r.rc == 0 and set(boxes.ls()) == {"old", "new", "runs"}, "not without the option"
    r = boxes("prune", "--sandboxes")
    assert r.rc == 2 and "--force" in r.err and set(boxes.ls()) == {"old", "new", "runs"}, r
    assert (boxes.home / "sandboxes" / "0123456789").exists() and not (boxes.home / "sandboxes" / ".0123456789").exists()
    t = Pty(user, [BAILEY, "prune", "--sandboxes"], ws, env=boxes.env)
    t.expect("Remove 2?")
    t.type("n\n")
    assert t.wait() == 1 and set(boxes.ls()) == {"old", "new", "runs"}
    t = Pty(user, [BAILEY, "prune", "--sandboxes"], ws, env=boxes.env)
    t.expect("  old")
    t.expect("  sandboxes/0123456789, a directory that no sandbox has")
    t.expect("Remove 2?")
    t.type("y\n")
    assert t.wait() == 0 and set(boxes.ls()) == {"new", "runs"} and not (boxes.home / "sandboxes" / "0123456789").exists()
    r = boxes("prune", "--sandboxes", "--force", "--older", "1ms")
    time.sleep(1)
    r = boxes("prune", "--sandboxes", "--force", "--older", "1ms")
    assert r.rc == 0 and set(boxes.ls()) == {"runs"} and state(boxes, "runs") == "running", r


def test_two_prunes(boxes, user, ws):
    """Each removes what the other has left: what is gone is no error."""
    for i in range(20):
        boxes.make(f"b{i}")
    time.sleep(2)  # ages are counted in seconds
    words = [BAILEY, "prune", "--sandboxes", "--force", "--older", "1ms"]
    both = [user.popen(words, cwd=ws, env=boxes.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(2)]
    said = [p.communicate(timeout=120) for p in both]
    assert [p.returncode for p in both] == [0, 0], said
    assert not boxes.ls() and not list((boxes.home / "sandboxes").iterdir()), said


def test_prune_goes_on(boxes):
    """One that can't be removed keeps no other from it."""
    ids = [boxes.make(name) for name in ("a", "b", "c")]
    time.sleep(2)
    (boxes.home / "sandboxes" / f"~{ids[1]}").mkdir()
    (boxes.home / "sandboxes" / f"~{ids[1]}" / "x").mkdir()
    r = boxes("prune", "--sandboxes", "--force", "--older", "1ms")
    assert r.rc == 125 and list(boxes.ls()) == ["b"] and "'b'" in r.err, r
    (boxes.home / "sandboxes" / f"~{ids[1]}" / "x").rmdir()
    time.sleep(2)
    assert boxes("prune", "--sandboxes", "--force", "--older", "1ms").rc == 0 and not boxes.ls()


def test_sockets_go_with_their_names(boxes):
    """Of one that was killed: its name is free for another."""
    for verb in (["rename", "box", "other"], ["rm", "other"]):
        if verb[0] == "rename":
            boxes.make()
        boxes.exec("true", name=verb[1])
        os.kill(supervisor(boxes), signal.SIGKILL)
        assert wait_for(lambda: not boxes.supervisors()) and (boxes.home / f"run/sandbox-{verb[1]}").exists()
        assert boxes(*verb).rc == 0 and not (boxes.home / f"run/sandbox-{verb[1]}").exists()


def test_prune_sockets(boxes):
    """What a supervisor that was killed leaves."""
    boxes.make()
    boxes.exec("true")
    pid = supervisor(boxes)
    os.kill(pid, signal.SIGKILL)
    assert wait_for(lambda: state(boxes) == "stopped")
    assert (boxes.home / "run/sandbox-box").exists()
    r = boxes("prune", "--sandboxes")
    assert r.rc == 0 and "sandbox-box" in r.out and not (boxes.home / "run/sandbox-box").exists(), r
    assert boxes.exec("echo again").out == "again\n"
    r = boxes("prune", "--sandboxes")
    assert r.rc == 0 and (boxes.home / "run/sandbox-box").exists(), "it lives"


def test_reset(boxes, ws, user):
    """All of its own goes, but what it is; the workspace is the host's."""
    first = boxes.make("box", "--env", "A=b")
    boxes.exec("echo x > made; echo $A")
    assert boxes("reset", "box").rc == 4
    user.write(boxes.home / "sandboxes" / first / "kept", "x")
    r = boxes("reset", "--force", "box")
    assert r.rc == 0 and not list((boxes.home / "sandboxes" / first).iterdir()), r
    assert state(boxes) == "stopped" and (ws / "made").exists()
    assert boxes.exec("echo $A").out == "b\n" and boxes.ls()["box"]["id"] == first


def test_a_tree_of_any_depth_goes(boxes):
    """What a command has made in its home, deeper than any path can name, is no reason for reset or rm to leave it there."""
    deep = "import os\nos.chdir(os.environ['HOME'])\nfor i in range(2000):\n    os.mkdir('d'); os.chdir('d')"
    for verb in (["reset", "-f"], ["rm", "-f"]):
        if "box" not in boxes.ls():
            boxes.make()
        assert boxes.exec([PYTHON, "-c", deep]).rc == 0 and boxes.exec("ls ~").out.split() == ["d"]
        r = boxes(*verb, "box")
        assert (r.rc, r.err) == (0, ""), r
        left = list((boxes.home / "sandboxes").glob("*/*")) + list((boxes.home / "sandboxes").glob("[.~]*"))
        assert [p.name for p in left] == [], left


def test_reset_takes_secrets_away(boxes):
    """Those of the sandbox's own, and says so; another's stay, and a sandbox that has none is told of none."""
    def listed(name):
        return [s["name"] for s in json.loads(boxes("secret", "ls", "--json", "--sandbox", name).out)]
    for name in ("box", "other"):
        boxes.make(name)
        r = boxes("secret", "set", "--sandbox", name, "key", "--host", "api.example.org", "--header", "X-Key", stdin="s3cret-of-" + name)
        assert r.rc == 0 and listed(name) == ["key"], r
    r = boxes("reset", "box")
    assert (r.rc, r.err) == (0, "bailey: notice: the secrets of sandbox 'box' are gone, too\n"), r
    assert listed("box") == [] and listed("other") == ["key"]
    assert not [p for p in boxes.home.rglob("*.secret") if "other" not in boxes.ls() or boxes.ls()["other"]["id"] not in str(p)]
    r = boxes("reset", "box")
    assert (r.rc, r.err) == (0, ""), r


def test_prune_of_sockets(boxes, user):
    """Of who is not there, or does not live; the beginning of an id is no name. The control: one that lives keeps its own."""
    ids = {name: boxes.make(name) for name in ("box", "runs")}
    assert boxes.exec("true", name="runs").rc == 0
    left = [boxes.home / "run" / f"sandbox-{name}" for name in ("box", "gone", ids["runs"][:4])]
    for path in left:
        assert user.exec([PYTHON, "-c", f"import os, socket; os.chdir({str(path.parent)!r}); socket.socket(socket.AF_UNIX).bind({path.name!r})"]).rc == 0
    r = boxes("prune", "--sandboxes", "--older", "1h")
    assert r.rc == 0 and sorted(r.out.splitlines()) == sorted(f"removed socket {p.name}" for p in left), r
    assert not any(p.exists() for p in left) and (boxes.home / "run" / "sandbox-runs").exists() and boxes.exec("echo up", name="runs").out == "up\n"
