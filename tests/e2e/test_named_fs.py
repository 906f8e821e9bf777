# SPDX-License-Identifier: Apache-2.0
"""bailey fs, bailey port --listening: names and listeners inside a sandbox that stays, without any program of it (docs/adr/0038)."""
import json
import os
import select
import signal
import socket
import subprocess
import time

import pytest

from conftest import PYTHON, kill, wait_for
from test_named import boxes  # noqa: F401 (a fixture)


@pytest.fixture
def box(boxes, ws, user):  # noqa: F811
    """A sandbox with something in its workspace, and a way to follow what a verb says."""
    boxes.make()
    boxes.exec("mkdir -p a/b; printf hi > a/b/f; ln -s a l; mkfifo p; chmod 640 a/b/f; touch -d @1000000000.5 a/b/f")
    started = []

    def follow(*args):
        p = boxes.start(*args, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        started.append(p)
        p.got = b""

        def until(done, secs=60):
            end = time.monotonic() + secs
            while not done(lines(p.got)) and time.monotonic() < end:
                if select.select([p.stdout], [], [], 0.1)[0]:
                    p.got += os.read(p.stdout.fileno(), 65536)
            return lines(p.got)

        p.until = until
        return p

    boxes.follow = follow
    yield boxes
    for p in started:
        kill(p)


def lines(raw):
    return [json.loads(x) for x in raw.decode().splitlines(keepends=True) if x.endswith("\n")]  # half a line is none yet


def of(r):
    assert r.rc == 0 and r.err == "", r
    return lines(r.out.encode())


def test_stat(box, ws):
    (f,) = of(box("fs", "--json", "box", "stat", "a/b/f"))
    assert f == {"path": f"{ws}/a/b/f", "name": "f", "type": "file", "size": 2, "mode": "0640", "uid": 1000, "gid": 1000, "modified": 1000000000500000000, "attributes": {}}
    (link,) = of(box("fs", "--json", "box", "stat", f"{ws}/l/"))
    assert (link["type"], link["target"], link["path"]) == ("symlink", "a", f"{ws}/l")
    assert of(box("fs", "--json", "box", "stat", "/"))[0]["name"] == "/"
    assert box("fs", "box", "stat", "a/b/f").out.startswith("-rw-r----- 1000:1000 2 2001-09-0")


def test_attributes(box, ws):
    try:
        os.setxattr(ws / "a/b/f", "user.e2b.key", b"va\"lue\x1b")
        os.setxattr(ws / "a/b/f", "user.bytes", b"\xff\x00")
    except OSError as e:
        pytest.fail(f"the workspace's file system has no attributes: {e}")
    (f,) = of(box("fs", "--json", "box", "stat", "a/b/f"))
    assert f["attributes"] == {"user.e2b.key": 'va"lue\x1b'}


def test_list(box, ws):
    assert [(x["name"], x["type"]) for x in of(box("fs", "--json", "box", "ls", "."))] == [("a", "directory"), ("l", "symlink"), ("p", "fifo")]
    deep = of(box("fs", "--json", "--depth", "3", "box", "ls", f"{ws}/l"))
    assert [x["path"] for x in deep] == [f"{ws}/l/b", f"{ws}/l/b/f"], "a link is followed that is the path, under the name that was asked for"
    assert "a/b" in box("fs", "--depth", "9", "box", "ls", ".").out
    names = {x["path"] for x in of(box("fs", "--json", "box", "ls", "/"))}
    assert "/etc" in names and "//etc" not in names


def test_bytes_of_names(box, ws):
    """What would change a terminal is escaped; JSON is JSON."""
    os.mkdir(ws / "odd")
    name = b"x\x1b[31m\n\xff"
    open(os.path.join(os.fsencode(ws / "odd"), name), "wb").close()
    assert of(box("fs", "--json", "box", "ls", "odd"))[0]["name"] == "x\x1b[31m\n�"
    out = box("fs", "box", "ls", "odd").out
    assert "\x1b" not in out and out.count("\n") == 1, out


def test_make_move_remove(box, ws):
    (made,) = of(box("fs", "--json", "box", "mkdir", "x/y/z"))
    assert made["path"] == f"{ws}/x/y/z" and (ws / "x/y/z").is_dir()
    r = box("fs", "box", "mkdir", "x/y/z")
    assert r.rc == 1 and "File exists" in r.err, r
    assert box("fs", "box", "mkdir", "a/b/f").rc == 1
    (moved,) = of(box("fs", "--json", "box", "mv", "x", "q"))
    assert moved["path"] == f"{ws}/q" and not (ws / "x").exists()
    r = box("fs", "box", "rm", "q")
    assert r.rc == 1 and "not empty" in r.err and (ws / "q/y/z").is_dir(), r
    assert box("fs", "-r", "box", "rm", "q").rc == 0 and not (ws / "q").exists()
    assert box("fs", "box", "rm", "l").rc == 0 and (ws / "a/b/f").exists(), "a link, not what it leads to"
    os.symlink("../a", ws / "a/b/up")
    os.symlink("/etc", ws / "a/etc")
    assert box("fs", "-r", "box", "rm", "a").rc == 0 and os.path.exists("/etc/passwd")
    r = box("fs", "box", "stat", "a")
    assert r.rc == 1 and r.err == f"bailey: sandbox 'box': {ws}/a: No such file or directory\n", r


def test_rights_are_the_sandboxs(box, user):
    """What the sandbox can't do isn't done: the copy of PID 1 stands behind the same walls, and is its user."""
    home = user.mkdir(user.home / "kept", 0o700)
    (home / "file").write_text("x")
    os.chown(home / "file", user.uid, user.gid)
    assert (home / "file").exists(), "the control: it is there"
    for words in (["rm", home / "file"], ["mv", home / "file", "stolen"], ["mkdir", "/usr/new"], ["mkdir", "/etc/new"], ["mv", "/etc/passwd", "stolen"]):
        r = box("fs", "box", *words)
        assert r.rc == 1 and r.err, (words, r)
    assert (home / "file").exists()
    assert box("fs", "box", "mkdir", "/tmp/new").rc == 0, "the allowed twin"
    r = box("fs", "-u", "nobody", "box", "mkdir", "by-nobody")
    assert r.rc in (1, 125) and "by-nobody" not in [x["name"] for x in of(box("fs", "--json", "box", "ls", "."))], r


@pytest.mark.parametrize(
    "words, said",
    [
        ([], "name a sandbox"),
        (["box"], "name a sandbox"),
        (["box", "chmod", "a"], "'chmod' is none of"),
        (["box", "stat"], "name one path"),
        (["box", "stat", "a", "b"], "name one path"),
        (["box", "mv", "a"], "name two paths"),
        (["box", "stat", ""], "empty"),
        (["box", "ls", "a" * 5000], "longer than 4095"),
        (["--depth", "0", "box", "ls", "a"], "--depth: '0'"),
        (["--depth", "129", "box", "ls", "a"], "--depth: '129'"),
        (["--depth", "-1", "box", "ls", "a"], "--depth"),
        (["--depth", "2", "box", "stat", "a"], "--depth is for ls"),
        (["-r", "box", "ls", "a"], "--recursive is for rm and watch"),
    ],
)
def test_bad_words(box, words, said):
    r = box("fs", *words)
    assert r.rc == 2 and said in r.err and r.err.count("\n") == 1, r


def test_no_such(box):
    assert box("fs", "nobody", "ls", ".").rc == 3
    for words in (["ls", "nothing"], ["watch", "nothing"], ["ls", "a/b/f"], ["watch", "a/b/f"], ["stat", "nothing"]):
        r = box("fs", "box", *words)
        assert r.rc == 1 and ("No such file" in r.err or "Not a directory" in r.err), r


def test_watch(box, ws):
    p = box.follow("fs", "--json", "-r", "box", "watch", ".")
    assert p.until(lambda got: got) == [{"event": "start"}]
    box.exec("mkdir -p n/m; echo 1 > n/m/file")  # what is moved sooner than it is seen is told under the new name
    made = {"event": "create", "path": f"{ws}/n/m/file"}
    assert made in p.until(lambda got: made in got)
    box.exec("mv n k")
    moved = {"event": "create", "path": f"{ws}/k/m/file"}
    assert moved in p.until(lambda got: moved in got)
    box.exec("rm -r k; chmod 600 a/b/f; echo end > end")
    got = p.until(lambda got: {"event": "write", "path": f"{ws}/end"} in got)
    seen = [(x["event"], x["path"][len(str(ws)) + 1:]) for x in got[1:]]
    for event in (("create", "n"), ("create", "n/m"), ("create", "n/m/file"), ("rename", "n"), ("create", "k"), ("create", "k/m/file"),
                  ("remove", "k/m/file"), ("remove", "k"), ("attributes", "a/b/f"), ("create", "end")):
        assert event in seen, (event, seen)
    last = seen.index(("create", "k"))
    assert not [x for x in seen[last:] if x[1].startswith("n/")], "under the old name nothing is told any more"


def test_watch_forgets_what_leaves(box, ws):
    """A directory that is moved away is nobody's business any more, nor is what is below it."""
    p = box.follow("fs", "--json", "-r", "box", "watch", "a")
    p.until(lambda got: got)
    box.exec("echo 1 > a/b/before; mv a/b gone")
    left = {"event": "rename", "path": f"{ws}/a/b"}
    assert left in p.until(lambda got: left in got)
    box.exec("echo 2 > gone/after; echo end > a/end")
    end = {"event": "write", "path": f"{ws}/a/end"}
    seen = [x.get("path") for x in p.until(lambda got: end in got)]
    assert f"{ws}/a/b/before" in seen and f"{ws}/a/end" in seen and not [x for x in seen if x and x.endswith("after")], seen


def test_watch_goes_on_after_an_overflow(box, ws):
    """The watcher is stopped until the kernel's queue is full: what was made meanwhile has a watch afterwards."""
    with open("/proc/sys/fs/inotify/max_queued_events", encoding="ascii") as f:
        most = int(f.read())
    p = box.follow("fs", "--json", "-r", "box", "watch", "a")
    p.until(lambda got: got)
    (watcher,) = [pid for pid in os.listdir("/proc") if pid.isdigit() and is_watching(pid)]
    os.kill(int(watcher), signal.SIGSTOP)
    box.exec([PYTHON, "-c", f"import os\nfor i in range({most // 2 + 1000}): os.close(os.open('a/f', os.O_CREAT)); os.unlink('a/f')"])
    box.exec("mkdir -p a/new/below")
    os.kill(int(watcher), signal.SIGCONT)
    made = {"event": "create", "path": f"{ws}/a/new/below"}
    got = p.until(lambda got: made in got)
    assert {"event": "overflow"} in got and made in got
    box.exec("echo 1 > a/new/below/file")
    late = {"event": "write", "path": f"{ws}/a/new/below/file"}
    assert late in p.until(lambda got: late in got)
    box.exec("rm -r a")
    assert p.wait(20) == 1


def is_watching(pid):
    """Whether it is the one of this sandbox: no other test runs beside it in this pid namespace."""
    try:
        fds = [os.readlink(f"/proc/{pid}/fd/{n}") for n in os.listdir(f"/proc/{pid}/fd")]
        with open(f"/proc/{pid}/status", encoding="utf-8") as f:
            return "anon_inode:inotify" in fds and "\nNSpid:" in (text := f.read()) and len(text.split("NSpid:")[1].split("\n")[0].split()) > 1
    except OSError:
        return False


def test_watch_one_directory(box, ws):
    p = box.follow("fs", "--json", "box", "watch", "a")
    p.until(lambda got: got)
    box.exec("echo 1 > a/b/f; echo 1 > a/near")
    seen = [x.get("path") for x in p.until(lambda got: {"event": "write", "path": f"{ws}/a/near"} in got)]
    assert f"{ws}/a/near" in seen and f"{ws}/a/b/f" not in seen


def test_watch_ends(box, ws):
    """With who asked, and with what is watched."""
    p = box.follow("fs", "--json", "box", "watch", "a")
    assert p.until(lambda got: got)
    assert box.exec("ls /proc/[0-9]*/fd 2>/dev/null; true").rc == 0
    watchers = "for f in /proc/[0-9]*/comm; do cat $f; done 2>/dev/null | wc -l"
    with_it = int(box.exec(watchers).out)
    kill(p)
    assert wait_for(lambda: int(box.exec(watchers).out) < with_it), "it stays when nobody listens"
    p = box.follow("fs", "box", "watch", "a")
    time.sleep(0.3)
    box.exec("rm -r a")
    assert p.wait(20) == 1 and b"was removed" in p.stderr.read()


def test_listening(box, user):
    assert box("port", "--listening", "--json", "box").out == "[]\n"
    p = box.follow("port", "--listening", "--follow", "--json", "box")
    serve = "import socket,time\ns=socket.create_server(('127.0.0.1', 8123))\nt=socket.create_server(('::1', 8124), family=socket.AF_INET6)\nopen('up','w').close()\nwhile open('up').read() == '': time.sleep(0.05)\ns.close(); time.sleep(60)"
    assert box.exec([PYTHON, "-c", serve], "-d").rc == 0
    first, second = {"event": "open", "address": "127.0.0.1", "port": 8123}, {"event": "open", "address": "::1", "port": 8124}
    got = p.until(lambda got: first in got and second in got)
    assert first in got and second in got, got
    assert "open 127.0.0.1 8123\n" in box("port", "--listening", "box").out
    r = box("port", "--listening", "--json", "box")
    at = sorted(json.loads(r.out), key=lambda one: one["port"])
    assert at == [{"address": "127.0.0.1", "port": 8123}, {"address": "::1", "port": 8124}] and r.out.count("\n") == 1, r
    box.exec("echo x > up")
    gone = {"event": "closed", "address": "127.0.0.1", "port": 8123}
    assert gone in p.until(lambda got: gone in got)
    assert box("pause", "box").rc == 0
    assert "open ::1 8124\n" in box("port", "--listening", "box").out
    assert json.loads(box("ls", "--json").out)[0]["state"] == "paused", "a look wakes nobody"
    with socket.socket() as s:
        assert s.connect_ex(("127.0.0.1", 8124)) != 0, "the host's loopback is another one"
    assert box("stop", "box").rc == 0 and p.wait(20) == 0, "who follows ends with the sandbox"


def test_listening_leaves_out_what_is_baileys(boxes, user, ws):  # noqa: F811
    boxes.make("box", "--allow-host", "a.example")
    assert boxes.exec("cat /proc/net/tcp").out.count(" 0A ") >= 2, "the control: there are listeners"
    r = boxes("port", "--listening", "box")
    assert (r.rc, r.out, r.err) == (0, "", ""), r


def test_listening_needs_one_that_runs(boxes):  # noqa: F811
    boxes.make()
    r = boxes("port", "--listening", "box")
    assert r.rc == 4 and "does not run" in r.err, r
    r = boxes("port", "--follow", "box")
    assert r.rc == 2 and "--follow is for --listening" in r.err, r
