# SPDX-License-Identifier: Apache-2.0
"""
Homes and workspaces on mounts of their own, and mounts below the home: an overlay can't cover a directory with mounts below it, so such a
tree is shown in pieces (ADR 3). Whatever the pieces: hidden names stay hidden or unreadable, sockets of the host dead or masked, writes in the
workspace. All mounts are made by the tests, in a mount namespace that ends with them.
"""
import json
import os
import pathlib
import shutil

import pytest

from conftest import BAILEY, PYTHON, command, counter, has_own_ids, skip

SECRETS = [".ssh/id_places", ".config/gcloud/credentials.db", ".aws/credentials"]

# As the caller: files, a server on each socket, then the command.
SERVE = """
import os, socket, subprocess, sys
home, socks = sys.argv[1], sys.argv[2].split()
keep = []
for path in socks:
    d, name = os.path.split(os.path.join(home, path))
    os.chdir(d)
    if os.path.exists(name): os.unlink(name)
    s = socket.socket(socket.AF_UNIX); s.bind(name); os.chmod(name, 0o777); s.listen(8)
    keep.append(s)
os.chdir(os.path.join(home, 'ws'))
sys.exit(subprocess.call(sys.argv[3:]))
"""

# What must not be: prints what is.
TRY = """
import os, socket, sys
home, socks, secrets = sys.argv[1], sys.argv[2].split(), sys.argv[3].split()
for p in secrets:
    try: open(os.path.join(home, p)).read(); print('read', p)
    except OSError as e: assert e.errno in (2, 13), e
for p in socks:
    d, name = os.path.split(os.path.join(home, p))
    s = socket.socket(socket.AF_UNIX)
    try: os.chdir(d); s.connect(name); print('connected', p)
    except OSError as e: assert e.errno in (2, 13, 111), e
os.chdir(home)
for p in sys.argv[4].split():
    try: open(p, 'a').write('evil'); print('wrote', p)
    except OSError as e: assert e.errno in (2, 13, 30), e
open('ws/twin', 'w').write('x')
print('twin', open('ws/twin').read())
"""

# kind -> (mounts made on $H, sockets, targets of writes)
KINDS = {
    "home": ('mount -t tmpfs none "$H"', "", "out/sock sock ws/sock", "out/new new"),
    "homes": ('p="$(dirname "$H")"; mount -t tmpfs -o mode=755 none "$p"; mkdir -m 700 "$H"', "", "out/sock sock ws/sock", "out/new new"),
    "workspace": ("", 'mount -t tmpfs none "$H/ws"', "out/sock ws/sock ws/deep/sock", "out/new new"),
    "below": ("", 'for d in vol .config/sub; do mount -t tmpfs none "$H/$d"; done; mount --bind "$H/out" "$H/bound"',
              "sock out/sock vol/sock vol/deep/sock bound/sock2 .config/sock .config/sub/sock ws/sock", "out/new new vol/new vol/deep/new bound/new .config/new .config/sub/new"),
    "deep": ("", 'mount -t tmpfs none "$H/a/b/c/d/e/f"', "a/sock a/b/c/d/sock a/b/c/d/e/sock a/b/c/d/e/f/sock ws/sock", "a/new a/b/c/d/e/new a/b/c/d/e/f/new"),
    "secrets": ("", 'mount --bind "$H/.ssh" "$H/.ssh"; mount -t tmpfs none "$H/.aws/sub"; mount --bind "$H/ws" "$H/ws"', "out/sock .ssh/sock ws/sock", "out/new .ssh/new .aws/sub/new"),
}  # fmt: skip
DIRS = ["ws/deep", "out", "vol/deep", "bound", ".config/sub", ".config/gcloud", ".ssh", ".aws/sub", "a/b/c/d/e/f"]


class Home:
    def __init__(self, user, root, home, kind, loop="", last=""):
        self.user, self.root, self.home = user, root, home
        first, then, self.socks, self.writes = KINDS[kind]
        fill = f'cd "$H"; mkdir -p {" ".join(DIRS)}; for f in {" ".join(SECRETS)}; do echo key > "$f"; done; chown -R {user.uid}:{user.gid} .'
        again = f'mkdir -p {" ".join(DIRS)}; chown -R {user.uid}:{user.gid} .'
        self.prep = f"set -e; H='{home}'; {first or ':'}; {fill}; {then or ':'}; {loop or ':'}; {again}; {last or ':'}; cd /"

    def exec(self, *argv):
        ids = f"setpriv --reuid={self.user.uid} --regid={self.user.gid} --clear-groups"
        script = f'{self.prep}; exec {ids} {PYTHON} -c "$SERVE" "$H" "$SOCKS" "$@"'
        env = {**self.user.environ(), "HOME": str(self.home), "SERVE": SERVE, "SOCKS": self.socks}
        return self.root.exec(["unshare", "-m", "bash", "-c", script, "home", *argv], cwd="/", env=env, timeout=60)

    def attack(self):
        return [PYTHON, "-c", TRY, self.home, self.socks, " ".join(SECRETS), self.writes]


@pytest.fixture
def home(user, root_user):
    """A home where homes are: an ordinary user's in /home, root's a 0700 directory in /."""
    if os.geteuid() != 0:
        skip("to mount needs root")
    path = pathlib.Path("/" if user.is_root else "/home", f"bailey-m{os.getpid()}-{next(counter)}")
    user.mkdir(path, 0o700)
    # of "homes" that is mounted: /home, or, since root's parent is /, a directory of its own
    yield lambda kind, **kw: Home(user, root_user, path / "home" if kind == "homes" and user.is_root else path, kind, **kw)
    shutil.rmtree(path)


@pytest.fixture(params=sorted(KINDS))
def place(request, home):
    return home(request.param)


def test_nothing_is_given_away(place):
    r = place.exec(BAILEY, "run", "--", *place.attack())
    assert (r.rc, r.out) == (0, "twin x\n"), r


def test_outside_all_of_it_is_there(place):
    r = place.exec(*place.attack())
    want = [*(f"read {s}" for s in SECRETS), *(f"connected {s}" for s in place.socks.split()), *(f"wrote {w}" for w in place.writes.split()), "twin x"]
    assert r.out.splitlines() == want, r


def explained(place):
    r = place.exec(BAILEY, "run", "--explain=json", "--", "true")
    assert r.rc == 0, r
    home = f"{place.home}/"
    return {op["path"].removeprefix(home): op for op in json.loads(r.out)["plan"] if op["path"].startswith(home) or op["path"] == str(place.home)}


def test_explain_says_how_each_tree_is_shown(home, user):
    place = home("below")
    ops = explained(place)
    assert ops["ws"]["op"] == "bind" and ops["ws"]["note"] == "writable", ops
    if has_own_ids(user, place.home):
        # the run's own id would not get through a directory that is root's alone: it is given as a whole
        top = ops[str(place.home)]
        assert top["op"] == "bind" and top["note"] == "a read-only bind (mounts below) with mapped owners; sockets found in it are masked", ops
        assert {op["op"] for p, op in ops.items() if p not in (str(place.home), "ws")} == {"mask"}, ops
        return
    # the home and .config have mounts below: their children are shown one by one
    for path in (str(place.home), ".config"):
        assert ops[path]["op"] == "host" and "has mounts below: its children are shown one by one" in ops[path]["note"], ops
    for path in ("out", "vol", "bound", ".config/sub"):
        assert ops[path]["op"] in ("overlay", "empty"), (path, ops)
    # no overlay is there, so the name stays, unreadable
    for path in (".ssh", ".config/gcloud"):
        assert ops[path]["op"] == "mask" and "its name stays visible" in ops[path]["note"], ops


def test_explain_says_what_is_too_deep(home, user):
    place = home("deep")
    ops = explained(place)
    held = [p for p, op in ops.items() if op["op"] == "host" and op["note"].startswith("stays a read-only bind (mounts below,")]
    # four from /, where root's home lies one nearer to it; with ids of its own root's is given as a whole
    assert held == ([] if has_own_ids(user, place.home) else ["a/b/c"] if user.is_root else ["a/b"]), ops


def test_a_workspace_on_a_disk_of_its_own(home, session_dir):
    # A file system of another kind than the home's, with a superblock of its own.
    if not os.path.exists("/dev/loop-control") or not shutil.which("mkfs.ext4"):
        skip("no loop devices, or no mkfs.ext4")
    image = session_dir / f"disk{next(counter)}"
    place = home("workspace", loop=f"truncate -s 16M '{image}'; mkfs.ext4 -q -F '{image}'; umount \"$H/ws\"; mount -o loop '{image}' \"$H/ws\"")
    r = place.exec(BAILEY, "run", "--", *place.attack())
    assert (r.rc, r.out) == (0, "twin x\n"), r
    r = place.exec(BAILEY, "doctor")
    assert r.rc == 0, r
    image.unlink()


def test_a_file_system_that_overlays_refuse(home, user):
    """As FAT, exFAT and ISO 9660 do, of which not every kernel has one: a second /proc."""
    control = 'if mount -t overlay none -o "lowerdir=$H/sysinfo:$H/out" "$H/sysinfo" 2>/dev/null; then echo taken; exit 1; fi'
    place = home("below", last=f'mkdir -p "$H/sysinfo"; mount -t proc proc "$H/sysinfo"; {control}')
    r = place.exec(BAILEY, "run", "--", *place.attack())
    assert (r.rc, r.out) == (0, "twin x\n"), r
    r = place.exec(BAILEY, "run", "--", "sh", "-c", f"cat {place.home}/sysinfo/version; echo x > {place.home}/sysinfo/sys/kernel/hostname")
    assert "Linux version" in r.out and r.rc != 0, r
    r = place.exec(BAILEY, "doctor")
    assert r.rc == 0 and "bailey run works here" in r.out, r


def test_home_as_the_workspace_with_mounts_below(home):
    # What is mounted below comes with it, and is writable as the rest; what is hidden stays so.
    place = home("below")
    r = place.exec(BAILEY, "run", "--workspace", place.home, "--", *place.attack())
    assert r.rc == 0 and "connected" not in r.out and "read " not in r.out, r
    assert [li.split()[1] for li in r.out.splitlines() if li.startswith("wrote")] == place.writes.split(), r


def test_doctor_says_the_same(place):
    r = place.exec(BAILEY, "doctor")
    assert r.rc == 0 and "bailey run works here" in r.out, r
