# SPDX-License-Identifier: Apache-2.0
"""
Inside a chroot. The kernel makes no user namespace there: root's bailey makes the chroot a mount namespace's root first (../../src/jail/chroot.c), an
ordinary user's refuses with the way in that works. Each chroot lies in a mount namespace of the test's own, whose mounts are shared, so that
whatever leaked from a run would show.
"""
import os
import re
import shutil

import pytest

from conftest import BAILEY, PYTHON, command, counter, skip

# As the machine's root does it to leave a chroot; prints what lies outside.
ESCAPE = """
import os
os.makedirs('jail', exist_ok=True)
fd = os.open('/', os.O_RDONLY)
try:
    os.chroot('jail'); os.fchdir(fd)
    for _ in range(64): os.chdir('..')
    os.chroot('.')
except OSError as e: print('escape', e.errno)
try: print(open(SECRET).read())
except OSError as e: print('secret', e.errno)
"""

WAYS_OUT = """
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
def tried(name, f):
    try: print(name, f())
    except OSError as e: print(name, 'errno', e.errno)
def call(r):
    if r < 0: raise OSError(ctypes.get_errno(), '')
    return r
tried('proc-root', lambda: open('/proc/1/root' + SECRET).read())
tried('self-root', lambda: open('/proc/self/root' + SECRET).read())
tried('dots', lambda: open('/' + '../' * 40 + SECRET).read())
tried('setns', lambda: call(libc.setns(os.open('/proc/self/ns/mnt', os.O_RDONLY), 0x20000)))
tried('pidfd-setns', lambda: call(libc.setns(call(libc.syscall(434, os.getpid(), 0)), 0x20000)))
tried('umount', lambda: call(libc.umount2(b'/', 2)))
tried('pivot_root', lambda: call(libc.syscall(155, b'.', b'.')))
tried('unshare', lambda: call(libc.unshare(0x20000)))
"""


class Chroot:
    """A small tree with the host's programs, entered by chroot(8)."""

    def __init__(self, user, root, base):
        self.user, self.root, self.base = user, root, base
        self.tree = base / "tree"
        self.ws, self.home, self.out = "/home/u/ws", "/home/u", "/home/u/out"
        self.secret = base / "secret"
        for d in ("usr", "etc", "dev", "proc", "sys", "tmp", "mnt", "run", "var/tmp", "root", "opt", "bailey", self.ws[1:], self.out[1:], "home/u/.ssh"):
            (self.tree / d).mkdir(parents=True)
        for d in ("bin", "sbin", "lib", "lib64"):
            if os.path.islink("/" + d):
                os.symlink(os.readlink("/" + d), self.tree / d)
        self.secret.write_text("outside of the chroot\n")
        (self.tree / "home/u/.ssh/id").write_text("key\n")
        (self.tree / "home/u/out/file").write_text("before\n")
        (self.tree / "etc/passwd").write_text(f"root:x:0:0::/home/u:/bin/sh\nu:x:{user.uid}:{user.gid}::/home/u:/bin/sh\n")
        shutil.copy(BAILEY, self.tree / "bailey/bailey")
        for p in [self.tree / "home/u", *(self.tree / "home/u").rglob("*")]:
            os.chown(p, user.uid, user.gid)

    def script(self, script, prep="", proc=True):
        """SCRIPT by sh in the chroot, as the user. PREP: before, outside of it, in the same mount namespace."""
        uid, gid = self.user.uid, self.user.gid
        outer = f"""
set -e
tree='{self.tree}'
mount --make-rshared /
mount --rbind /usr "$tree/usr"
mount --bind /dev "$tree/dev"
{'mount -t proc proc "$tree/proc"' if proc else ''}
{prep}
before=$(sort </proc/self/mountinfo)
rc=0
chroot --userspec={uid}:{gid} --groups={gid} "$tree" /bin/sh -c "$SCRIPT" || rc=$?
[ "$before" = "$(sort </proc/self/mountinfo)" ] || {{ echo 'mounts have leaked' >&2; exit 99; }}
exit $rc
"""
        env = {"HOME": self.home, "SCRIPT": f"cd {self.ws} && {script}", "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
        return self.root.exec(["unshare", "-m", "bash", "-c", outer], cwd="/", env=env, timeout=60)

    def run(self, cmd, *opts, **kw):
        words = " ".join("'" + w.replace("'", "'\\''") + "'" for w in ["/bailey/bailey", "run", *opts, "--", *command(cmd)])
        return self.script(words, **kw)


@pytest.fixture
def chroot_of(root_user, session_dir):
    if os.geteuid() != 0:
        skip("to make a chroot needs root")
    base = session_dir / f"chroot{next(counter)}"
    base.mkdir()
    yield lambda caller: Chroot(caller, root_user, base)
    shutil.rmtree(base)


@pytest.fixture
def roots(chroot_of, root_user):
    """The chroot of root, who can run bailey in it."""
    return chroot_of(root_user)


@pytest.fixture
def place(chroot_of, user):
    """The chroot of each caller."""
    return chroot_of(user)


def attack(code, place):
    return [PYTHON, "-c", f"SECRET = {str(place.secret)!r}\n{code}"]


def test_root_runs_in_a_chroot(roots):
    r = roots.run("id -u; pwd; echo x > made; cat ../out/file; ls -A /tmp")
    assert (r.rc, r.out.split()) == (0, ["0", "/home/u/ws", "before"]), r
    assert r.bailey_err == r.command_err == "", "nothing needs to be said"
    made = roots.tree / "home/u/ws/made"
    assert made.read_text() == "x\n" and made.stat().st_uid == 0


def test_writes_stay_in_the_workspace(roots):
    script = 'for f in ../out/file ../out/new /new /etc/new /usr/new /opt/new; do sh -c "echo evil > $f" 2>/dev/null && echo "$f"; done; echo twin > twin; exit 0'
    r = roots.run(script)
    assert (r.rc, r.out) == (0, ""), r
    assert (roots.tree / "home/u/ws/twin").read_text() == "twin\n"
    assert (roots.tree / "home/u/out/file").read_text() == "before\n"
    assert not list(roots.tree.rglob("new"))
    control = roots.script(script.replace(" /usr/new", ""))
    assert control.out.split() == ["../out/file", "../out/new", "/new", "/etc/new", "/opt/new"], control


def test_the_way_out_of_a_chroot_is_shut(roots):
    control = roots.script(" ".join(["exec", PYTHON, "-c", '"$ATTACK"']), prep=f"export ATTACK=$(cat <<'EOF'\nSECRET = {str(roots.secret)!r}\n{ESCAPE}\nEOF\n)")
    assert control.out == "outside of the chroot\n\n", control
    r = roots.run(attack(ESCAPE, roots))
    assert r.out.split("\n")[:2] == ["escape 1", "secret 2"], r


def test_nothing_outside_can_be_named(roots):
    r = roots.run(attack(WAYS_OUT, roots))
    got = dict(li.split(" ", 1) for li in r.out.splitlines())
    assert got["proc-root"] == "errno 13" and got["self-root"] == got["dots"] == "errno 2", got  # PID 1 is not dumpable
    assert {got[n] for n in ("setns", "pidfd-setns", "umount", "pivot_root", "unshare")} == {"errno 1"}, got
    # every mount that is left is one of the chroot's or the run's own
    r = roots.run("cut -d' ' -f4,5 /proc/self/mountinfo; echo; cat /proc/self/mountinfo | wc -l")
    places = [li.split()[1] for li in r.out.split("\n\n")[0].splitlines()]
    assert places[0] == "/" and not any(str(roots.base) in p for p in places), r


def test_secrets_and_sockets_of_the_chroot(roots):
    listen = f"import os, socket, time; s = socket.socket(socket.AF_UNIX); os.chdir('{roots.tree}/home/u'); os.umask(0); s.bind('sock'); s.listen(); time.sleep(30)"
    prep = f'{PYTHON} -c "{listen}" & server=$!; trap "kill $server" EXIT; while ! [ -S "$tree/home/u/sock" ]; do sleep 0.02; done'
    code = "import socket; s = socket.socket(socket.AF_UNIX)\ntry: s.connect('/home/u/sock'); print('connected')\nexcept OSError as e: print(e.errno)"
    r = roots.run(["sh", "-c", f'cat ~/.ssh/id; {PYTHON} -c "{code}"'], prep=prep)
    assert r.out == "111\n" and "No such file" in r.err, r
    control = roots.script(f'cat ~/.ssh/id; {PYTHON} -c "{code}"', prep=f'rm -f "$tree/home/u/sock"; {prep}')
    assert control.out == "key\nconnected\n", control


def test_no_set_id_file_is_left(roots):
    script = "cp /usr/bin/true t; chmod 755 t; chmod 4755 t; chmod 2755 t; find . -perm /6000"
    r = roots.run(script)
    assert r.out == "" and r.err.count("Operation not permitted") == 2, r
    assert roots.script(script).out == "./t\n"


def test_explain_and_doctor_agree(roots):
    r = roots.script("/bailey/bailey doctor; /bailey/bailey run --explain -- true")
    assert r.rc == 0 and "bailey run works here" in r.out, r
    assert "  root      /  everything read-only" in r.out, r


def test_a_chroot_that_is_a_mount_point(roots):
    prep = f"mkdir '{roots.base}/m'; mount --rbind \"$tree\" '{roots.base}/m'; tree='{roots.base}/m'"
    r = roots.run(attack(ESCAPE, roots), prep=prep)
    assert r.rc == 0 and r.out.split("\n")[:2] == ["escape 1", "secret 2"], r


def test_a_chroot_in_a_chroot(roots):
    # What the outer chroot holds back stays so.
    prep = 'mkdir "$tree/inner"; mount --rbind "$tree" "$tree/inner"'
    words = "exec chroot /inner /bin/sh -c 'cd /home/u/ws && /bailey/bailey run -- sh -c \"echo x > deep; cat /inner/home/u/out/file; ls /\"'"
    r = roots.script(words, prep=prep)
    assert r.rc == 0 and (roots.tree / "home/u/ws/deep").exists(), r
    assert "secret" not in r.out


@pytest.mark.parametrize("rule", ["unshare=EPERM", "setns=EPERM", "pidfd_open=ENOSYS", "open_tree=EPERM", "mount_setattr=EPERM", "mount=EPERM",
                                  "move_mount=EPERM", "pivot_root=EPERM", "umount2=EPERM"])
def test_a_step_that_fails_is_a_refusal(roots, deny, rule):
    shutil.copy(deny, roots.tree / "bailey/deny")
    r = roots.script(f"/bailey/deny {rule} -- /bailey/bailey run -- touch witness")
    assert r.rc == 125 and "layer 'userns' is missing" in r.err and "chroot" in r.err, r
    assert not (roots.tree / "home/u/ws/witness").exists()
    # the doctor stands where it stood, and says the same
    r = roots.script(f"/bailey/deny {rule} -- /bailey/bailey doctor userns; pwd")
    assert "would refuse here" in r.out and r.out.endswith("/home/u/ws\n"), r


def test_root_without_the_right_to_mount_is_refused(roots):
    words = "exec setpriv --bounding-set=-sys_admin --inh-caps=-sys_admin /bailey/bailey run -- touch witness"
    r = roots.script(words)
    assert r.rc == 125 and "this is a chroot" in r.err and "pivot_root" in r.err, r
    assert not (roots.tree / "home/u/ws/witness").exists()


def mended(place, text, cmd):
    """The command that TEXT names, for this tree, and CMD in the place of its shell."""
    found = re.search(r"unshare --mount sh -c '([^']*)'", text)
    assert found, text
    steps = found.group(1).replace("DIR", str(place.tree)).replace("exec sh", cmd)
    return place.root.exec(["unshare", "--mount", "sh", "-c", steps], cwd="/", env={"HOME": place.home})


@pytest.mark.parametrize("user", ["user"], indirect=True)  # root is the tests above
def test_an_ordinary_user_is_refused(place, user):
    r = place.run("touch witness")
    assert r.rc == 125 and "layer 'userns' is missing" in r.err and "this is a chroot" in r.err, r
    assert len(r.err.splitlines()) == 1 and not (place.tree / "home/u/ws/witness").exists()
    doctor = place.script("/bailey/bailey doctor userns")
    assert doctor.rc == 1 and "this is a chroot" in doctor.out, doctor
    # and the way that it names works
    ids = f"setpriv --reuid {user.uid} --regid {user.gid} --clear-groups"
    cmd = f'cd {place.ws} && exec {ids} /bailey/bailey run -- touch witness'
    prepared = f"mount --rbind /usr {place.tree}/usr && "
    r = mended(place, r.err.replace("unshare --mount sh -c '", f"unshare --mount sh -c '{prepared}"), cmd)
    assert r.rc == 0 and (place.tree / "home/u/ws/witness").exists(), r


def test_without_proc(place):
    sudo = "" if place.user.is_root else "sudo "
    r = place.run("touch witness", proc=False)
    if place.user.is_root:
        assert r.rc == 125 and f"Mend: {sudo}mount -t proc proc /proc" in r.err, r
        doctor = place.script("/bailey/bailey doctor userns", proc=False)
        assert doctor.rc == 1 and "mend: mount -t proc proc /proc" in doctor.out, doctor
        r = place.script("mount -t proc proc /proc && /bailey/bailey run -- touch mended; rc=$?; umount /proc; exit $rc", proc=False)
        assert r.rc == 0 and (place.tree / "home/u/ws/mended").exists(), r
    else:
        assert r.rc == 125 and "this is a chroot" in r.err, r
    assert not (place.tree / "home/u/ws/witness").exists()
