# SPDX-License-Identifier: Apache-2.0
"""Volumes and shared package caches: they outlive sandboxes, several have one, nothing leads out of them or is covered by them (docs/adr/0036)."""
import json
import os
import pathlib
import shutil
import signal
import stat
import subprocess

import pytest

from conftest import BAILEY, PYTHON, file_system, skip, wait_for
from test_named import boxes  # noqa: F401  the fixture


@pytest.fixture
def vols(boxes):  # noqa: F811
    """The sandboxes of a caller, and a volume 'data'."""
    def volume(verb, *args):
        return boxes("volume", verb, *args)

    boxes.volume = volume
    boxes.dir = boxes.home / "volumes"
    r = volume("create", "data")
    assert (r.rc, r.out, r.err) == (0, "", ""), r
    yield boxes
    for name in boxes.ls():
        assert boxes("rm", "-f", name).rc == 0
    for name in volume("ls", "-q").out.split():
        assert volume("rm", name).rc == 0
    assert not list(boxes.dir.iterdir()), "nothing is left"


def rooted(vols, ws, user):
    if not shutil.which("sudo") or (user.is_root and file_system(ws) == "overlayfs"):
        skip("no root inside")
    (about,) = json.loads(vols("inspect", "box").out)
    if not about["root"]:
        skip(f"no root inside: {about['rootless_because']}")


def listed(vols):
    return {v["name"]: v["sandboxes"] for v in json.loads(vols.volume("ls", "--json").out)}


# --- what they are for -------------------------------------------------------------------------------------------------------------------


def test_it_outlives_the_sandbox(vols, ws):
    """Files stay over stop and start, and when the sandbox is removed; it is no workspace, so diff knows nothing of it."""
    vols.make("box", "--volume", "data:/srv/data")
    r = vols.exec("echo one > /srv/data/f && cat /srv/data/f; stat -c %U /srv/data/f")
    assert (r.rc, r.out) == (0, "one\nagent\n"), r
    assert stat.S_IMODE(vols.dir.stat().st_mode) == 0o700, "closed to others on the host"
    assert vols("stop", "box").rc == 0 and vols.exec("cat /srv/data/f").out == "one\n"
    assert vols("stop", "box").rc == 0 and vols("reset", "box").rc == 0
    assert vols.exec("cat /srv/data/f").out == "one\n", "what is the sandbox's own is reset, a volume is not"
    assert vols("rm", "-f", "box").rc == 0
    vols.make("box", "--volume", "data:/home/agent/deep/er")
    assert vols.exec("cat ~/deep/er/f; stat -c %U ~/deep; echo two > ~/deep/er/f; echo > ~/deep/mine").out == "one\nagent\n"
    assert not os.path.exists("/srv/data") and list(ws.iterdir()) == [], "nothing is made on the host"


def test_two_share_it(vols, ws, user):
    """What one writes the other reads, root's files, too; :ro can't write."""
    vols.make("box", "--volume", "data:/srv/data")
    vols.make("two", "--volume", "data:/tmp/some/where")
    vols.make("three", "--volume", "data:/srv/data:ro")
    assert vols.exec("echo one > /srv/data/f; mkdir /srv/data/d").rc == 0
    assert vols.exec("cat /tmp/some/where/f; echo two >> /tmp/some/where/f; echo > /tmp/some/where/d/x", name="two").out == "one\n"
    r = vols.exec("cat /srv/data/f; echo three > /srv/data/f; rm /srv/data/f; touch /srv/data/new", name="three")
    assert r.out == "one\ntwo\n" and r.err.count("Read-only file system") == 3, r
    assert vols.exec("cat /srv/data/f; rm -r /srv/data/d").out == "one\ntwo\n", "the twin: who may write does"
    assert listed(vols) == {"data": ["box", "three", "two"]}
    (about,) = json.loads(vols("inspect", "two").out)
    assert about["volumes"] == [{"volume": "data", "path": "/tmp/some/where"}]
    rooted(vols, ws, user)
    assert vols.exec(["sudo", "-n", "sh", "-c", "umask 077; echo root > /srv/data/r; chown 33:33 /srv/data/f"]).rc == 0
    r = vols.exec("stat -c '%u %g' /tmp/some/where/r /tmp/some/where/f; sudo -n cat /tmp/some/where/r; cat /tmp/some/where/r", name="two")
    assert r.out == "0 0\n33 33\nroot\n" and "Permission denied" in r.err, r
    owners = {(vols.dir / "data" / n).stat().st_uid for n in "rf"}
    assert not owners & {0, user.uid}, "on the host they are nobody's"


def test_with_a_runs_rights(vols):
    """A sandbox without a root inside shares with one that has it."""
    vols.make("box", "--volume", "data:/srv/data")
    vols.make("run", "--allow-userns", "--volume", "data:/srv/data")
    assert vols.exec("echo one > /srv/data/f").rc == 0
    assert vols.exec("cat /srv/data/f; echo two > /srv/data/f; echo > /srv/data/g; stat -c %u /srv/data/g", name="run").out == "one\n1000\n"
    assert vols.exec("cat /srv/data/f; rm /srv/data/g").out == "two\n"


@pytest.mark.parametrize("user", ["root"], indirect=True)  # an ordinary user's sandboxes have the same ids
def test_a_state_without_mapped_mounts(vols, user):
    """As root, where a volume can't be mapped: it is the one sandbox's that had it first, and another says why not. The twin: an empty one is for whom comes next."""
    upper, work = (user.mkdir(vols.home.parent / n, 0o700) for n in ("upper", "work"))
    subprocess.run(["mount", "-t", "overlay", "none", vols.dir, "-o", f"lowerdir={vols.dir},upperdir={upper},workdir={work}"], check=True)
    try:
        for name in ("box", "two"):
            vols.make(name, "--volume", "data:/srv/data")
            assert vols.exec("touch /srv/data/f && rm /srv/data/f", name=name).rc == 0
            assert vols("stop", name).rc == 0
        assert vols.exec("touch /srv/data/f", name="two").rc == 0
        r = vols.exec("true")
        assert r.rc == 125 and "volume 'data' has files of uid" in r.err and "idmapped" in r.err, r
        assert vols.exec("ls /srv/data", name="two").out == "f\n"
        for name in ("box", "two"):
            assert vols("rm", "-f", name).rc == 0
    finally:
        subprocess.run(["umount", vols.dir], check=True)


# --- the verb ----------------------------------------------------------------------------------------------------------------------------


def test_the_verb(vols):
    assert vols.volume("create", "data").rc == 4 and vols.volume("rm", "nosuch").rc == 3 and vols.volume("inspect", "nosuch").rc == 3
    r = vols("create", "--volume", "nosuch:/srv/x", "box")
    assert r.rc == 2 and "there is no volume 'nosuch'; make it: bailey volume create nosuch" in r.err and not vols.ls(), r
    vols.make("box", "--volume", "data:/srv/data")
    assert vols.exec("echo 1 > /srv/data/f").rc == 0
    r = vols.volume("rm", "data")
    assert r.rc == 4 and "'box'" in r.err and (vols.dir / "data" / "f").exists(), r
    (about,) = json.loads(vols.volume("inspect", "data").out)
    r = vols.volume("inspect", "nosuch", "data", "neither")
    assert r.rc == 3 and json.loads(r.out) == [about] and r.err.count("there is no volume") == 2, r
    assert about["sandboxes"] == ["box"] and pathlib.Path(about["path"]) == vols.dir / "data"
    assert vols.volume("ls", "-q").out == "data\n" and "box" in vols.volume("ls").out
    assert vols("rm", "-f", "box").rc == 0
    assert vols.volume("rm", "data").rc == 0 and listed(vols) == {} and not list(vols.dir.iterdir())
    assert vols.volume("create", "data").rc == 0 and not list((vols.dir / "data").iterdir()), "the old files don't come back"


def test_one_name_that_is_wrong_keeps_no_other_from_being_removed(vols):
    for name in ("two", "three"):
        assert vols.volume("create", name).rc == 0
    vols.make("box", "--volume", "three:/srv/x")
    r = vols.volume("rm", "two", "nosuch", "three", "data")
    assert r.rc == 3 and r.err.count("\n") == 2 and "nosuch" in r.err and "'box'" in r.err, r
    assert set(listed(vols)) == {"three"}
    assert vols("rm", "-f", "box").rc == 0 and vols.volume("rm", "three").rc == 0


def test_a_size_is_refused(vols):
    r = vols.volume("create", "--size", "1G", "big")
    assert r.rc == 2 and "nothing here could hold it to a size" in r.err and list(listed(vols)) == ["data"], r


def test_prune(vols):
    """Only when asked to, and never what a sandbox has."""
    vols.make("box", "--volume", "data:/srv/data")
    assert vols.volume("create", "free").rc == 0
    assert vols("prune", "--older", "1ms").rc == 0 and len(listed(vols)) == 2
    r = vols("prune", "--volumes", "--older", "1h", "--force")
    assert r.rc == 0 and len(listed(vols)) == 2, "too young"
    r = {}

    def pruned():  # ages are counted in seconds
        r["r"] = vols("prune", "--volumes", "--older", "1ms")
        return r["r"].rc == 2
    assert wait_for(pruned) and "1 volumes would be removed" in r["r"].err, "nobody can be asked"
    assert vols("prune", "--volumes", "--older", "1ms", "--force").out == "removed volume free\n"
    assert listed(vols) == {"data": ["box"]}


@pytest.mark.parametrize("name", ["..", ".", "", "a/b", "../data", ".data", "Data", "a" * 64, "0123456789", "a b", "a\nb", "ä"])
def test_names(vols, name):
    """What can't be a name is none, neither of the verb nor of create; the twin is 'data'."""
    before = sorted(vols.home.rglob("*"))
    r = vols.volume("create", name)
    assert r.rc == 2 and "can't be a name" in r.err, r
    r = vols("create", "--volume", f"{name}:/srv/x", "box")
    assert r.rc == 2, r
    assert sorted(p for p in vols.home.rglob("*") if p.name[:8] != "state.db") == [p for p in before if p.name[:8] != "state.db"]


@pytest.mark.parametrize("name", ["data\\u0000x", "da\\u0000ta"])
def test_no_name_has_a_nul(vols, user, name):
    """Words can't have one; what the store is told can't, either. The twin: without it the same is taken."""
    store = BAILEY.parent / "bailey-store"
    for volume, path in ((name, "/srv/x"), ("data", "/srv/x\\u0000/../etc")):
        text = f'{{"name": "nul", "cwd": "/", "volumes": [{{"volume": "{volume}", "path": "{path}"}}]}}'
        r = user.exec([store, vols.home, "add"], stdin=text)
        assert r.rc == 2 and "nul" not in vols.ls(), r
        r = user.exec([store, vols.home, "add"], stdin=text.replace("\\u0000/../etc", "").replace(name, "data"))
        assert r.rc == 0 and vols("rm", "nul").rc == 0, r


# --- places ------------------------------------------------------------------------------------------------------------------------------

SYSTEM = ["/etc", "/etc/x", "/usr/local/x", "/bin/x", "/proc/x", "/sys/x", "/dev/shm", "/lib/x", "/boot/x"]
NOT_ITS_OWN = ["/tmp", "/run", "/home", "/home/agent", "/var/tmp", "/var"]
WRITTEN = ["srv", "srv/x", "./x", "/", "//", "/srv//x", "/srv/../etc", "/srv/x/", "/srv/./x", "/srv/..", "/srv/x\ny", "/srv/x:", "/srv/x:rw", "/srv/x:ro:ro", ""]


@pytest.mark.parametrize("place", SYSTEM + NOT_ITS_OWN + WRITTEN)
def test_places_that_are_refused(vols, place):
    r = vols("create", "--volume", f"data:{place}", "box")
    assert r.rc == 2 and r.err.startswith("bailey: ") and r.err.count("\n") == 1 and not vols.ls(), r


@pytest.mark.parametrize("place", ["/srv/a", "/opt/a/b/c", "/tmp/a", "/tmp/a/b", "/var/tmp/x", "/run/x", "/home/agent/x", "/home/agent/.a/b"])
def test_places_that_are_allowed(vols, place):
    there = os.path.exists(place)
    vols.make("box", "--volume", f"data:{place}")
    r = vols.exec(f"echo x > {place}/f && cat {place}/f && grep ' {place} ' /proc/self/mountinfo")
    assert r.rc == 0 and (vols.dir / "data" / "f").read_text() == "x\n", r
    flags = r.out.splitlines()[1].split()[5].split(",")
    assert {"rw", "nosuid", "nodev"} <= set(flags), r
    assert os.path.exists(place) == there, "never on the host"


def test_places_of_rules(vols, ws, user):
    """Nothing that a rule denies, hides or protects is covered; in a workspace a directory that is there is taken, and none is made."""
    for name in ("dir", "secret/below", ".git/hooks", "locked"):
        user.mkdir(ws / name)
    user.write(ws / ".git/HEAD", "ref: refs/heads/main\n")
    user.mkdir(ws / ".git/objects")
    user.mkdir(ws / ".git/refs")
    user.mkdir(user.home / ".ssh", 0o700)
    rules = ["--deny-read", ws / "secret", "--deny-write", ws / "locked", "--deny-write", ws / "later"]
    for place in (ws, ws.parent, ws / "secret", ws / "secret/below", ws / ".git", ws / ".git/hooks", ws / "locked", ws / "later", user.home / ".ssh", user.home / ".ssh/x",
                  ws / "new", vols.home, vols.home / "volumes", vols.dir / "data"):
        r = vols("create", *rules, "--volume", f"data:{place}", "box")
        assert r.rc == 2 and f"can't be shown at '{place}'" in r.err and not vols.ls(), (place, r)
    assert not (ws / "new").exists()
    vols.make("box", *rules, "--volume", f"data:{ws}/dir")
    assert vols.exec(f"echo x > {ws}/dir/f; cat {ws}/secret/below; echo > {ws}/locked/x").rc != 0
    assert list((ws / "dir").iterdir()) == [] and (vols.dir / "data/f").exists() and list((ws / "locked").iterdir()) == []


@pytest.mark.parametrize("filled", [False, True])
def test_one_in_another(vols, filled, request):
    """Also where the host has something, so that the place is made to appear there first."""
    if filled:
        if os.geteuid() != 0:
            skip("needs root: makes a directory in /srv")
        host = pathlib.Path(f"/srv/bailey-volumes-{os.getpid()}")
        host.mkdir()
        request.addfinalizer(host.rmdir)
    for places in (("/srv/a", "/srv/a/b"), ("/srv/a/b", "/srv/a"), ("/srv/a", "/srv/a"), ("/home/agent/a", "/home/agent/a/b")):
        r = vols("create", *(x for p in places for x in ("--volume", f"data:{p}")), "box")
        assert r.rc == 2 and "another one is" in r.err and not vols.ls(), r
    vols.make("box", "--volume", "data:/srv/a", "--volume", "data:/srv/ab")
    assert vols.exec("echo x > /srv/a/f; cat /srv/ab/f").out == "x\n", "the twin: side by side, even the same one"


def test_links_on_the_way(vols, user, ws):
    """A link of the host is no way to a place, also when it leads to an allowed one."""
    target, link = user.mkdir(ws / "target"), user.symlink(ws / "target", ws / "link")
    for place in (link, ws / "link/x"):
        r = vols("create", "--volume", f"data:{place}", "box")
        assert r.rc == 2 and "is a link" in r.err, r
    vols.make("box", "--volume", f"data:{target}")
    assert vols.exec(f"touch {target}/f").rc == 0 and (vols.dir / "data/f").exists()


# --- attacks -----------------------------------------------------------------------------------------------------------------------------


def test_a_link_in_the_way_of_a_mount_point(vols, ws, user):
    """What a command puts in the way below the home: the next start mounts nothing elsewhere, and says what is wrong. Without it, it starts."""
    vols.make("box", "--volume", "data:/home/agent/.cache/pip")
    for way in (f"ln -s {ws} ~/.cache", "ln -s /srv ~/.cache", "touch ~/.cache"):
        r = vols.exec(f"mkdir -p {ws}/pip; mv ~/.cache ~/old && {way}")
        assert r.rc == 0, r
        assert vols("stop", "box").rc == 0
        r = vols.exec("grep -c pip /proc/self/mountinfo")
        assert r.rc == 125 and "mount point '/home/agent/.cache/pip'" in r.err and "has put a file or a link in its way" in r.err, r
        home = vols.home / "sandboxes" / vols.ls()["box"]["id"] / "home"
        (home / ".cache").unlink()
        shutil.rmtree(home / "old")
        assert vols.exec("touch ~/.cache/pip/f; rm ~/.cache/pip/f").rc == 0, "the twin"
    assert list((ws / "pip").iterdir()) == []


def test_links_that_one_plants_for_the_other(vols, user, outside):
    """A link in the volume leads to what its reader may see, and nowhere else; a way up leads to the reader's own."""
    secret = user.write(outside / "secret", "s3cret\n")
    vols.make("box", "--volume", "data:/srv/data")
    vols.make("two", "--volume", "data:/home/agent/v", "--deny-read", outside)
    r = vols.exec(f"ln -s {secret} /srv/data/s; ln -s / /srv/data/root; ln -s ../../../../../.. /srv/data/up; echo mine > ~/own; ln -s /home/agent/own /srv/data/own; cat /srv/data/s")
    assert r.out == "s3cret\n", "the control: who may read it can, by this link"
    r = vols.exec(f"cat ~/v/s; cat ~/v/root{secret}; cat ~/v/up{secret}; echo x > ~/v/s; echo x > ~/v/root/etc/new; cat ~/v/own; ls ~/v/..", name="two")
    assert r.out == "v\n" and "mine" not in r.out, r
    assert user.exec(["cat", secret]).out == "s3cret\n" and not os.path.exists("/etc/new")
    # and nothing goes out of it by a second name
    r = vols.exec("echo x > ~/v/f; ln ~/v/f ~/f; ln ~/own2 ~/v/g; mv ~/v/f ~/moved; ln ~/v/g2 ~/v/g3; ls ~/v", name="two")
    assert "Invalid cross-device link" in r.err, r
    assert vols.exec("echo > ~/v/a; ln ~/v/a ~/v/b", name="two").rc == 0, "the twin: inside it a file has two names"


def test_no_rights_from_a_program(vols, ws, user):
    """A set-user-ID program of root's gives nothing. The control: sudo does."""
    vols.make("box", "--volume", "data:/srv/data")
    rooted(vols, ws, user)
    r = vols.exec("sudo -n sh -c 'cp /usr/bin/id /srv/data/id; chmod 4755 /srv/data/id'; stat -c %a /srv/data/id; /srv/data/id -u; sudo -n id -u")
    assert r.out == "4755\n1000\n0\n", r


def test_no_device(vols, user):
    """No device is made or works in it; the twins: a FIFO is, and one of the sandbox's own works."""
    vols.make("box", "--volume", "data:/srv/data")
    r = vols.exec([PYTHON, "-c", "import os, stat; os.mknod('/srv/data/null', stat.S_IFCHR | 0o666, os.makedev(1, 3))"])
    assert r.rc != 0 and vols.exec("mkfifo /srv/data/fifo").rc == 0
    if user.is_root:  # a device that the host puts there
        subprocess.run(["mknod", "-m", "666", vols.dir / "data/zero", "c", "1", "5"], check=True)
        assert vols.exec("head -c 1 /srv/data/zero").rc != 0 and vols.exec("head -c 1 /dev/zero | wc -c").out == "1\n"


@pytest.mark.parametrize("end", ["stop", "kill start", "kill rm"])
def test_set_id_modes_are_taken_away(vols, ws, user, end):
    """As in a workspace: when the sandbox ends, in whatever way."""
    def set_ids():
        return sorted(p.name for p in (vols.dir / "data").rglob("*") if p.lstat().st_mode & 0o6000)

    vols.make("box", "--volume", "data:/srv/data", "--volume", "data:/srv/again:ro")
    rooted(vols, ws, user)
    r = vols.exec("sudo -n sh -c 'cd /srv/data; cp /usr/bin/id root; chmod 6755 root; mkdir -m 700 d; cp /usr/bin/id d/deep; chmod 4755 d/deep'; cp /usr/bin/id /srv/data/mine; chmod 4755 /srv/data/mine")
    assert r.rc == 0, r
    if user.is_root:
        assert set_ids() == ["deep", "mine", "root"], "the control: they are there while it lives"
    else:
        assert (vols.dir / "data/mine").stat().st_mode & 0o4000
    if end == "stop":
        assert vols("stop", "box").rc == 0
    else:
        for pid in vols.supervisors():
            os.kill(pid, signal.SIGKILL)
        assert wait_for(lambda: not vols.supervisors())
        assert vols(end.split()[1], "box").rc == 0
    vols.make("look", "--volume", "data:/srv/data")
    r = vols.exec(["sudo", "-n", "find", "/srv/data", "-perm", "/6000"], name="look")
    assert (r.rc, r.out) == (0, ""), r
    assert vols.exec("sudo -n rm -rf /srv/data/d", name="look").rc == 0


# --- caches ------------------------------------------------------------------------------------------------------------------------------


def test_caches(vols):
    """Made at need, at the places where the tools look, and shared by those that ask for them alone."""
    vols.make("box", "--cache", "npm,pip", "--cache", "cargo")
    vols.make("two", "--cache", "pip")
    vols.make("none")
    assert listed(vols) == {"cache-cargo": ["box"], "cache-npm": ["box"], "cache-pip": ["box", "two"], "data": []}
    r = vols.exec("for d in .npm/_cacache .cache/pip .cargo/registry; do echo $d > ~/$d/f && stat -c '%U %n' ~/$(dirname $d); done")
    assert (r.rc, r.out) == (0, "agent /home/agent/.npm\nagent /home/agent/.cache\nagent /home/agent/.cargo\n"), r
    assert vols.exec("cat ~/.cache/pip/f; ls -A ~", name="two").out == ".cache/pip\n.cache\n"
    assert vols.exec("ls -A ~", name="none").out == ""
    if vols.exec("command -v pip3").rc == 0:
        r = vols.exec("pip3 cache dir")
        assert r.out == "/home/agent/.cache/pip\n", r
    if vols.exec("command -v npm").rc == 0:
        r = vols.exec("npm config get cache")
        assert r.out == "/home/agent/.npm\n", r


def test_caches_that_are_none(vols):
    for word, say in (("apt", "apt can't install"), ("nosuch", "there are npm, pip and cargo"), ("", "no such cache"), ("npm,", "no such cache"), ("npm,../x", "no such cache"),
                      ("npm,npm", "another one is")):
        r = vols("create", "--cache", word, "box")
        assert r.rc == 2 and say in r.err and not vols.ls() and list(listed(vols)) == ["data"], r


def test_words_of_create_are_read_by_network(vols):
    """What asks for the rules of a sandbox reads all words that it was created with."""
    vols.make("box", "--idle-freeze", "10m", "--volume", "data:/srv/data", "--allow-host", "example.org")
    r = vols("network", "check", "--sandbox", "box", "example.org:443")
    if r.rc == 2:
        r = vols("network", "policy", "box")
    assert r.rc == 0 and "example.org" in r.out, r


# --- crashes -----------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("verb", ["create", "rm"])
def test_killed(vols, user, verb):
    """Before every call that changes something: then it is there or not, whole, and the next command leaves only what there is."""
    if not shutil.which("strace"):
        skip("strace is not installed")
    kills, seen = 0, set()
    # what changes something of ours, and between what the store does: it is started, and waited for
    for call in ("mkdir", "mkdirat", "unlinkat", "flock", "clone", "fork", "vfork", "wait4"):
        for n in range(1, 200):
            vols.volume("rm", "other")
            if verb == "rm":
                assert vols.volume("create", "other").rc == 0
                user.write(vols.dir / "other/old", "old\n")
            r = user.exec(["strace", "-qq", "-e", f"trace={call}", "-e", f"inject={call}:signal=KILL:when={n}", "-o", "/dev/null", BAILEY, "volume", verb, "other"], env=vols.env)
            if r.rc not in (-signal.SIGKILL, 128 + signal.SIGKILL):
                assert r.rc == 0, r
                break
            kills += 1
            assert vols.volume("rm", "nosuch").rc == 3  # the next command
            there = "other" in listed(vols)
            seen.add(there)
            assert sorted(p.name for p in vols.dir.iterdir()) == ["data"] + ["other"] * there, (call, n)
            if verb == "rm" and there:
                assert (vols.dir / "other/old").read_text() == "old\n", (call, n)
            if not there:
                assert vols.volume("create", "other").rc == 0 and not list((vols.dir / "other").iterdir()), (call, n)
    assert kills > 5 and seen == {True, False}, (kills, seen)


def test_what_is_no_volumes(vols, user):
    """What a file system of its own has in its root is nobody's, and in nobody's way."""
    (vols.dir / "lost+found").mkdir(mode=0o700)
    assert vols.volume("create", "other").rc == 0 and vols.volume("rm", "other").rc == 0 and vols("prune", "--volumes").rc == 0
    assert (vols.dir / "lost+found").exists()
    (vols.dir / "lost+found").rmdir()


def test_a_directory_that_is_missing_is_made(vols):
    """Who was killed between the store and the directory is no hindrance to a start."""
    vols.make("box", "--volume", "data:/srv/data")
    shutil.rmtree(vols.dir / "data")
    assert vols.exec("touch /srv/data/f").rc == 0 and (vols.dir / "data/f").exists()
