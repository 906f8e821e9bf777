# SPDX-License-Identifier: Apache-2.0
"""Other words for a sandbox that stays: what they mend, what stays, what is refused (docs/adr/0027)."""
import contextlib
import json
import os
import shlex
import socket
import sqlite3

import pytest

from conftest import BAILEY, wait_for
from overlays import holds_layers
from test_named import boxes  # noqa: F401 (a fixture)

# pylint: disable=redefined-outer-name

OF_ITSELF = ("id", "name", "created", "isolation", "template", "agent", "services", "network", "ids")


def about(boxes, name="box"):
    (one,) = json.loads(boxes("inspect", name).out)
    return one


def words(boxes, name="box"):
    return [w for w in about(boxes, name)["options"] if not w.startswith("--host-env=")]


@contextlib.contextmanager
def taken():
    """A port that another program has."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        s.listen()
        yield s.getsockname()[1]


@contextlib.contextmanager
def agent(user, path):
    """A socket of the user's."""
    p = user.popen(["/usr/bin/python3", "-c", "import socket, sys, time; s = socket.socket(socket.AF_UNIX); s.bind(sys.argv[1]); s.listen(); print(flush=True); time.sleep(1000)", path])
    p.stdout.readline()
    yield path
    p.kill()
    p.wait()


def refused(boxes, *said):
    """It can't be started, and one line says the way on."""
    r = boxes.exec("true")
    assert r.rc in (2, 125) and r.err.count("\n") == 1 and "bailey create --replace box" in r.err, r
    assert all(s in r.err for s in said), r
    r = boxes("cp", "box:f", "-")
    assert r.rc != 0 and "bailey create --replace box" in r.err, "nothing of it can be had"


def mended(boxes, *options, cwd=None):
    """With these words it is what it was."""
    before = about(boxes)
    kw = {"cwd": cwd} if cwd else {}
    r = boxes("create", "--replace", *options[:-1], "box", *options[-1], **kw)
    assert (r.rc, r.out.strip()) == (0, before["id"]), r
    r = boxes.exec("cat ~/f", cwd="/")
    assert (r.rc, r.out) == (0, "kept\n"), r
    after = about(boxes)
    assert {k: after[k] for k in OF_ITSELF} == {k: before[k] for k in OF_ITSELF}
    assert boxes("stop", "box").rc == 0


def filled(boxes, *options, cwd=None):
    kw = {"cwd": cwd} if cwd else {}
    r = boxes("create", *options[:-1], "box", *options[-1], **kw)
    assert r.rc == 0, r
    r = boxes.exec("echo kept > ~/f", cwd="/")
    assert r.rc == 0, r
    assert boxes("stop", "box").rc == 0


# --- what it mends ---


def test_a_port_that_another_program_has(boxes):
    with taken() as free:
        pass
    filled(boxes, "-p", f"{free}:80", [])
    with socket.socket() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.bind(("127.0.0.1", free))
        s.listen()
        refused(boxes, "--publish", str(free))
        mended(boxes, "-p", "0:80", [])


def test_an_agent_of_another_login(boxes, user, outside):
    with agent(user, outside / "one"):
        filled(boxes, "--allow-socket", outside / "one", [])
    os.unlink(outside / "one")
    refused(boxes, "--allow-socket", str(outside / "one"))
    with agent(user, outside / "two"):
        mended(boxes, "--allow-socket", outside / "two", [])


@pytest.mark.parametrize("option", ["--workspace", "--allow-write"])
def test_a_directory_that_was_renamed(boxes, user, outside, option):
    old, new = user.mkdir(outside / "old"), outside / "new"
    filled(boxes, option, old, [] if option == "--workspace" else ["."])
    os.rename(old, new)
    refused(boxes, option, str(old))
    mended(boxes, option, new, [] if option == "--workspace" else ["."])
    assert boxes.exec(f"echo x > {new}/x", cwd="/").rc == 0 and (new / "x").exists()


def test_the_directory_of_create_is_gone(boxes, user, ws):
    """No word needs it: it starts, in the first workspace, and other verbs read its words, too. The twin: one that is there is where commands start."""
    here = user.mkdir(ws / "here")
    user.mkdir(ws / "deny")
    filled(boxes, "--deny-write", "../deny", "--allow-host", "one.test", [ws], cwd=here)
    assert words(boxes) == [f"--deny-write={ws}/deny", "--allow-host=one.test", f"--workspace={ws}"]
    assert boxes.exec("pwd").out == f"{here}\n" and boxes("stop", "box").rc == 0
    os.rmdir(here)
    r = boxes.exec("pwd; cat ~/f; ls -d here; echo x > new; echo x > deny/new")
    assert r.out == f"{ws}\nkept\n" and "deny/new" in r.err and (ws / "new").exists(), r
    assert boxes("stop", "box").rc == 0
    r = boxes("network", "check", "box", "one.test:443", "two.test:443")
    assert "one.test" in r.out and r.rc in (0, 1), r
    assert boxes("network", "allow", "box", "two.test").rc == 0
    user.mkdir(here)
    assert boxes.exec("pwd").out == f"{here}\n"


def test_the_workspace_of_create_is_gone(boxes, user, ws):
    here, other = user.mkdir(ws / "here"), user.mkdir(ws / "other")
    filled(boxes, [], cwd=here)
    assert words(boxes) == [f"--workspace={here}", "--preset=balanced"]
    os.rmdir(here)
    refused(boxes, str(here))
    mended(boxes, [], cwd=other)
    assert about(boxes)["cwd"] == str(other)


def old_words(boxes, cwd, options):
    """As an older release has kept them."""
    with contextlib.closing(sqlite3.connect(boxes.home / "state.db")) as db, db:
        db.execute("UPDATE sandboxes SET options = ?, cwd = ?", (json.dumps(options), str(cwd)))


def test_words_of_an_older_release(boxes, user, ws):
    """Relative ones, and none for the workspace: they mean what they meant, and where their directory is gone the message names what is missing."""
    here = user.mkdir(ws / "here")
    user.mkdir(here / "out")
    filled(boxes, [], cwd=here)
    old_words(boxes, here, ["--workspace", ".:ro", "--allow-write", "out"])
    r = boxes.exec("pwd; cat ~/f; echo x > out/x; echo x > y")
    assert r.out == f"{here}\nkept\n" and (here / "out/x").exists() and not (here / "y").exists(), r
    assert boxes("stop", "box").rc == 0
    line = boxes("inspect", "--command", "box").out
    assert shlex.split(line) == ["bailey", "create", "--replace", f"--workspace={here}:ro", f"--allow-write={here}/out", "box"]
    os.rename(here, ws / "there")
    refused(boxes, f"{here}")
    mended(boxes, "--allow-write", "out", [".:ro"], cwd=ws / "there")
    old_words(boxes, ws / "there", [])
    assert shlex.split(boxes("inspect", "--command", "box").out)[3:] == [f"--workspace={ws}/there", "box"]
    assert boxes.exec("pwd").out == f"{ws}/there\n"


# --- the words ---


def test_words_are_absolute(boxes, user, ws):
    """Whatever names a file. The twins: what is absolute, or begins at the home, or is no path, stays as it is."""
    for d in ("in/d", "in/e"):
        user.mkdir(ws / d)
    for f in ("p.json", "c.json"):
        user.write(ws / "in" / f, "{}")
    user.write(ws / "in/vars", "A=b\n")
    given = ["--policy", "p.json", "--import-claude-settings=./c.json", "--env-file", "../in/vars", "--allow-write", "d", "--deny-read=.//e/*.key", "--hide", "e/../d/x", "--deny-write", "~/x",
             "--env", "B=./c", "--allow-git-config", "-p0:80", "--unprotect", ".", "--allow-read", "/usr"]
    r = boxes("create", *given, "box", "..:ro", "d", cwd=ws / "in")
    assert r.rc == 0, r
    assert words(boxes) == [f"--policy={ws}/in/p.json", f"--import-claude-settings={ws}/in/c.json", f"--env-file={ws}/in/vars", f"--allow-write={ws}/in/d", f"--deny-read={ws}/in/e/*.key",
                            f"--hide={ws}/in/d/x", "--deny-write=~/x", "--env=B=./c", "--allow-git-config", "--publish=0:80", f"--unprotect={ws}/in", "--allow-read=/usr",
                            f"--workspace={ws}:ro", f"--workspace={ws}/in/d", "--preset=balanced"]
    r = boxes.exec('echo "$A $B"; echo x > in/d/x; echo x > in/x', cwd="/")
    assert r.out == "b ./c\n" and "in/x" in r.err, r


@pytest.mark.parametrize("name", ["d:ro", "d:overlay", "[a]", "a b'c\"d", "-d"])
def test_names_that_mean_something_else(boxes, user, ws, name):
    """A directory whose name looks like a mode or a pattern, or needs quotes: the words mean it, and so does the line."""
    here = user.mkdir(ws / name)
    user.write(here / "secret", "s3cret\n")
    r = boxes("create", "--deny-read", "secret", "box", cwd=here)
    assert r.rc == 0, r
    line = boxes("inspect", "--command", "box").out
    for _ in range(2):
        r = boxes.exec("pwd; echo x > new; cat secret", cwd="/")
        assert r.out == f"{here}\n" and "secret" in r.err and (here / "new").exists(), r
        os.unlink(here / "new")
        assert boxes("stop", "box").rc == 0
        old = words(boxes)
        r = user.exec(["sh", "-c", line.replace("bailey", shlex.quote(str(BAILEY)), 1)], cwd=here, env=boxes.env)
        assert r.rc == 0 and words(boxes) == old and boxes("inspect", "--command", "box").out == line, (r, line)


def test_the_line_can_be_repeated(boxes, user, ws):
    """From anywhere, as often as one likes; variables do not pile up, and one that is given wins."""
    r = boxes("create", "--env", "A=it's\na $line", "--host-env", "TZ=Mars", "-p", "0:80", "--timeout", "1h", "box", cwd=ws, env={"TZ": "UTC", "EDITOR": "vi"})
    assert r.rc == 0 and [w for w in about(boxes)["options"] if "=TZ=" in w] == ["--host-env=TZ=Mars"], r
    assert "--host-env=EDITOR=vi" in about(boxes)["options"]
    line = boxes("inspect", "--command", "box").out
    before = about(boxes)
    assert line.startswith("bailey create --replace --host-env=") and line.endswith(" box\n")
    for _ in range(3):
        r = user.exec(["bash", "-c", line.replace("bailey", shlex.quote(str(BAILEY)), 1)], cwd="/", env=boxes.env)
        assert r.rc == 0, r
    after = about(boxes)
    assert sorted(after["options"]) == sorted(before["options"]) and after["generation"] == before["generation"] + 3 and boxes("inspect", "--command", "box").out == line, after
    assert (after["timeout"], after["workspaces"]) == (3600000, [str(ws)])
    assert boxes("create", "other").rc == 0
    r = boxes("inspect", "--command", "box", "none", "other")
    assert r.rc == 3 and len(r.out.splitlines()) == 2, r


# --- what stays ---


def test_what_stays(boxes, ws):
    for name in ("deps", "more"):
        assert boxes("volume", "create", name).rc == 0
    filled(boxes, "--timeout", "1h", "--idle-stop", "2h", "--restart", "always", "--env", "A=b", "--volume", "deps:/tmp/deps", ["."])
    assert boxes.exec("echo data > /tmp/deps/f").rc == 0 and boxes("stop", "box").rc == 0
    assert boxes("service", "add", "box", "web", "--", "sleep", "1000").rc == 0
    assert boxes("network", "allow", "box", "one.test").rc == 0
    logs = sorted(p.name for p in (boxes.home / "sandboxes" / about(boxes)["id"]).iterdir())
    before = about(boxes)
    assert before["restart"] and before["volumes"] == [{"volume": "deps", "path": "/tmp/deps"}]
    mended(boxes, "--env", "A=c", "--volume", "deps:/tmp/d2", "--volume", "more:/tmp/more", [".:ro"])
    after = about(boxes)
    assert {k: after[k] for k in ("restart", "timeout", "freeze", "stop")} == {"restart": False, "timeout": None, "freeze": None, "stop": None}, "what is not said is no more"
    assert words(boxes) == ["--env=A=c", "--volume=deps:/tmp/d2", "--volume=more:/tmp/more", f"--workspace={ws}:ro"]
    assert [v["path"] for v in after["volumes"]] == ["/tmp/d2", "/tmp/more"] and boxes("volume", "rm", "more").rc == 4
    r = boxes.exec("cat /tmp/d2/f; echo $A; ls -d /tmp/deps; echo x > new")
    assert r.out == "data\nc\n" and "/tmp/deps" in r.err and not (ws / "new").exists(), r
    assert wait_for(lambda: '"web"' in boxes("service", "ls", "--json", "box").out) and "one.test" in boxes("network", "policy", "box").out
    assert set(logs) <= {p.name for p in (boxes.home / "sandboxes" / after["id"]).iterdir()}
    seen = [json.loads(li) for li in boxes("events", "--json", "box").out.splitlines()]
    (one,) = [e for e in seen if e["event"] == "replaced"]
    assert (one["id"], one["name"]) == (after["id"], "box")
    assert any(" replaced" in li for li in boxes("events", "box").out.splitlines())
    assert boxes("stop", "box").rc == 0
    assert boxes("create", "--replace", "box").rc == 0 and boxes("volume", "rm", "more").rc == 0 and about(boxes)["volumes"] == [], "nobody has it any more"
    assert boxes("create", "--replace", "--cache", "npm", "box").rc == 0 and "cache-npm" in boxes("volume", "ls").out


def test_rules_that_were_given_live(boxes):
    """They go with the new words, whose check knows them."""
    filled(boxes, "--allow-host", "one.test", [])
    assert boxes("network", "allow", "box", "two.test").rc == 0
    r = boxes("create", "--replace", "--network", "none", "box")
    assert r.rc == 0, r
    before = about(boxes)
    assert [c.get("rule") for c in before["network"]] == ["two.test"]
    r = boxes("network", "allow", "box", "three.test")
    assert r.rc == 2 and "bailey create --replace box" in r.err, r
    assert boxes("create", "--replace", "--allow-host", "three.test", "box").rc == 0
    policy = boxes("network", "policy", "box").out
    assert "two.test" in policy and "three.test" in policy and "one.test" not in policy


# --- what is refused ---


BAD: list[tuple[list[str], int, str]] = [
    (["--tiemout", "5s", "box"], 2, "did you mean '--timeout'?"),
    (["--timeout", "x", "box"], 2, "--timeout"),
    (["--tty", "box"], 2, "--tty"),
    (["--idle-freeze", "2h", "--idle-stop", "1h", "box"], 2, "--idle-stop"),
    (["--allow-write", "/nothing", "box"], 2, "--allow-write"),
    (["--allow-socket", "/nothing", "box"], 2, "--allow-socket"),
    (["--volume", "nothing:/tmp/x", "box"], 2, "nothing"),
    (["--home", "/etc", "box"], 2, "--home"),
    (["--allow-host", "*.co.uk", "box"], 2, "--allow-host"),
    (["box", "nothing"], 2, "--workspace"),
    (["--policy", "nothing.json", "box"], 2, "--policy"),
    (["none"], 3, "there is no sandbox 'none'"),
    ([], 2, "there is no name"),
]


@pytest.mark.parametrize("given,status,said", BAD, ids=[" ".join(g) or "no name" for g, *_ in BAD])
def test_bad_words_change_nothing(boxes, given, status, said):
    boxes.make("box", "--env", "A=b")
    before = about(boxes)
    r = boxes("create", "--replace", *given)
    assert r.rc in (status, 3 if "--volume" in given else status) and said in r.err and r.err.count("\n") == 1 and not r.out, r
    assert about(boxes) == before and list(boxes.ls()) == ["box"]


def test_one_that_runs_is_refused(boxes):
    boxes.make("box", "--env", "A=b")
    assert boxes.exec("true").rc == 0
    before = about(boxes)
    r = boxes("create", "--replace", "box")
    assert r.rc == 4 and "bailey stop box" in r.err and r.err.count("\n") == 1, r
    assert about(boxes) == before
    for verb in (["run", "--env", "A=c", "box"], ["network", "check", "--allow-host", "a.test", "box", "a.test:1"]):
        r = boxes(*verb)
        assert r.rc == 2 and "bailey create --replace box" in r.err and r.err.count("\n") == 1, r
    assert boxes("stop", "box").rc == 0 and boxes("create", "--replace", about(boxes)["id"][:6]).rc == 0 and "--env=A=b" not in words(boxes)


def test_changes_that_nobody_has_reviewed(boxes, user, ws):
    """They stay with words that have the same copies; others would lose them."""
    with holds_layers(user, boxes.home.parent):
        user.write(ws / "file", "host\n")
        user.mkdir(ws / "other")
        filled(boxes, [".:overlay"])
        assert boxes.exec("echo box > file").rc == 0 and boxes("stop", "box").rc == 0
        before = about(boxes)
        for given in (["box"], ["box", ".:ro"], ["box", "other:overlay"], ["box", "other:overlay", ".:ro"]):
            r = boxes("create", "--replace", *given)
            assert r.rc == 4 and all(f"bailey {v} box" in r.err for v in ("diff", "apply", "discard")) and r.err.count("\n") == 1, (given, r)
            assert about(boxes) == before
        mended(boxes, "--env", "A=b", [".:overlay"])
        assert boxes.exec("cat file; echo $A").out == "box\nb\n" and boxes("stop", "box").rc == 0
        assert boxes("apply", "box").rc == 0 and (ws / "file").read_text() == "box\n"
        mended(boxes, [".:ro"])
        assert boxes("rm", "-f", "box").rc == 0


@pytest.mark.parametrize("option", ["--strict-protect", "--allow-userns"])
def test_a_home_of_another_user(boxes, user, ws, option):
    """What would make its user another one of the host is refused; where it does not, the home can be read. Reset is the way on."""
    filled(boxes, [])
    place = boxes.home / "sandboxes" / about(boxes)["id"] / "home"
    before = about(boxes)
    r = boxes("create", "--replace", option, "box")
    if r.rc == 4:
        assert user.is_root and "bailey reset box" in r.err and r.err.count("\n") == 1 and about(boxes) == before, r
        assert boxes.exec("cat ~/f").out == "kept\n" and boxes("stop", "box").rc == 0
        assert boxes("reset", "-f", "box").rc == 0
        r = boxes("create", "--replace", option, "box")
    assert r.rc == 0, r
    # and such a home is there at each of its starts
    assert boxes.exec("echo more > ~/g").rc == 0 and boxes("stop", "box").rc == 0
    owner = place.stat().st_uid
    assert boxes.exec("cat ~/g; echo again > ~/g").out == "more\n" and place.stat().st_uid == owner
    assert boxes("stop", "box").rc == 0


def test_secrets_of_its_own(boxes):
    """Words that name one find it; those that do not leave it where it is."""
    boxes.make()
    assert boxes("secret", "set", "--sandbox", "box", "key", "--host", "api.example.org", "--header", "X-Key", stdin="s3cret-of-box").rc == 0
    r = boxes("create", "--replace", "--secret", "key", "--allow-host", "api.example.org", "box")
    assert r.rc == 0 and "key" not in r.err, ("the control is the next one", r)
    r = boxes("create", "--replace", "--secret", "other", "--allow-host", "api.example.org", "box")
    assert r.rc == 0 and "other" in r.err, r
    assert boxes("create", "--replace", "box").rc == 0 and "key" in boxes("secret", "ls", "--sandbox", "box").out


def test_two_at_a_time(boxes):
    """Each is done as a whole, or refused as one that came too late."""
    boxes.make()
    ps = [boxes.start("create", "--replace", "--env", f"A={n}", "--timeout", f"{n + 1}h", "box") for n in range(4)]
    statuses = [p.wait(timeout=120) for p in ps]
    assert 0 in statuses and set(statuses) <= {0, 4}, [(p.returncode, p.stderr.read()) for p in ps]
    one = about(boxes)
    (env,) = [w for w in one["options"] if w.startswith("--env=")]
    n = int(env[-1])
    assert one["timeout"] == (n + 1) * 3600000 and statuses[n] == 0 and one["generation"] == 1 + statuses.count(0)


@pytest.mark.parametrize("user", ["root"], indirect=True)  # an ordinary user is always himself
def test_a_workspace_of_another_owner(boxes, plain_user):
    """Where nothing is mapped, its user is the owner of its workspace: the home is that one's, too."""
    other = plain_user.mkdir(plain_user.base / "of-another")
    filled(boxes, [])
    before, place = about(boxes), boxes.home / "sandboxes" / about(boxes)["id"] / "home"
    r = boxes("create", "--replace", "box", other)
    if before["root"]:
        assert r.rc == 0, r
        assert boxes.exec("cat ~/f; echo x > new", cwd="/").out == "kept\n" and (other / "new").stat().st_uid == plain_user.uid, "the same id inside, mapped to another owner"
        assert boxes("stop", "box").rc == 0
        r = boxes("create", "--replace", "--allow-userns", "box", other)
    assert r.rc == 4 and f"uid {place.stat().st_uid}" in r.err and f"uid {plain_user.uid} of the host" in r.err, r
