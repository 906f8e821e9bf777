# SPDX-License-Identifier: Apache-2.0
"""Callers, workspaces and the way bailey is started. See README.md."""
import itertools
import os
import pathlib
import pwd
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from typing import NamedTuple

import pytest

sys.dont_write_bytecode = True

PROJECT = pathlib.Path(__file__).resolve().parents[2]
BAILEY = pathlib.Path(os.environ.get("BAILEY") or PROJECT / "build" / "bailey")
if not BAILEY.is_absolute():
    BAILEY = PROJECT / BAILEY
PYTHON = "/usr/bin/python3"
TIMEOUT = 30  # seconds; far above what any run needs, so that a hang ends

# In a mount namespace: a copy of /etc in its place, to be changed, without the locks of who changes users on the machine at this moment.
OWN_ETC = "mount -t tmpfs none /mnt; cp -a /etc /mnt 2>/dev/null; rm -f /mnt/etc/*.lock; mount --bind /mnt/etc /etc; umount -l /mnt"

counter = itertools.count()


def pytest_configure():
    # The end of a time limit around pytest must still remove users and directories.
    signal.signal(signal.SIGTERM, lambda *_: pytest.exit("SIGTERM", returncode=143))
    # a background job ignores it, and what it starts would, too
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # the same of nohup


def skip(reason):
    """A skip has a reason, and is a failure where everything must work."""
    if os.environ.get("MUST_WORK") == "1":
        pytest.fail(f"MUST_WORK=1, but: {reason}")
    pytest.skip(reason)


# What a machine may be without where everything must work, too: the only skips that MUST_WORK=1 lets through, each with its reason.
MAY_LACK = {
    "/dev/kvm": "a virtual machine has no hardware virtualization to give; only --isolation vm at full speed needs it, no promise of a run",
    "a group for /dev/kvm": "where all may open it, or only root, nobody has to join one",
    "a root that is no overlay": "on a machine whose root is one, every other test is this one",
}


def lacks(what):
    pytest.skip(f"this machine lacks {what}: {MAY_LACK[what]}")


class Result(NamedTuple):
    rc: int
    out: str
    err: str
    secs: float

    @property
    def command_err(self):
        """stderr without bailey's own lines."""
        return "".join(li for li in self.err.splitlines(True) if not li.startswith("bailey:"))

    @property
    def said(self):
        """stderr, but for the line that says as whom bailey runs where there are no idmapped mounts: r.err has it."""
        return "".join(li for li in self.err.splitlines(True) if not li.startswith("bailey: notice: running as uid "))

    @property
    def bailey_err(self):
        """bailey's own lines of that."""
        return "".join(li for li in self.said.splitlines(True) if li.startswith("bailey:"))


class User:
    """One caller: its ids, a home of its own, and a base for workspaces."""

    def __init__(self, name, uid, gid, home, base):
        self.name, self.uid, self.gid = name, uid, gid
        self.home, self.base = pathlib.Path(home), pathlib.Path(base)

    @property
    def is_root(self):
        return self.uid == 0

    def environ(self, extra=None):
        env = {
            "HOME": str(self.home),
            "PATH": os.environ["PATH"],
            "USER": self.name,
            "LOGNAME": self.name,
            "LANG": "C.UTF-8",
            "SHELL": "/bin/sh",
        }
        env.update(extra or {})
        return env

    def own(self, path):
        if os.geteuid() == 0:
            os.chown(path, self.uid, self.gid, follow_symlinks=False)
        return path

    def mkdir(self, path, mode=0o755):
        path = pathlib.Path(path)
        for p in reversed([path, *path.parents]):
            if not p.exists():
                p.mkdir()
                self.own(p)
        path.chmod(mode)
        return path

    def write(self, path, text="", mode=0o644):
        path = pathlib.Path(path)
        if not path.parent.exists():
            self.mkdir(path.parent)
        path.write_text(text)
        path.chmod(mode)
        return self.own(path)

    def symlink(self, target, path):
        os.symlink(target, path)
        return self.own(pathlib.Path(path))

    def popen(self, argv, cwd=None, env=None, **kw):
        """Start ARGV as this caller, in a process group of its own."""
        ids = {}
        if os.geteuid() == 0 and not self.is_root:
            ids = {"user": self.uid, "group": self.gid, "extra_groups": []}
        kw.setdefault("stdin", subprocess.DEVNULL)
        kw.setdefault("stdout", subprocess.PIPE)
        kw.setdefault("stderr", subprocess.PIPE)
        kw.setdefault("umask", 0o022)
        return subprocess.Popen(
            [os.fspath(a) for a in argv],
            cwd=cwd or self.home,
            env=self.environ(env),
            start_new_session=True,
            **ids,
            **kw,
        )

    def exec(self, argv, stdin=None, timeout=TIMEOUT, **kw):
        """Run ARGV as this caller to its end. STDIN: text for a pipe, or a file."""
        data = None
        if isinstance(stdin, str):
            data, stdin = stdin.encode(), subprocess.PIPE
        if stdin is not None:
            kw["stdin"] = stdin
        start = time.monotonic()
        proc = self.popen(argv, **kw)
        try:
            out, err = proc.communicate(data, timeout)
        except subprocess.TimeoutExpired:
            kill(proc)
            try:
                out, err = proc.communicate(timeout=3)
            except subprocess.TimeoutExpired as e:
                # Something that left the group holds the pipe; it has the marker of its test, or the user's id.
                out, err = e.stdout, e.stderr
            pytest.fail(f"still running after {timeout} s: {argv}\nout: {out!r}\nerr: {err!r}")
        return Result(
            proc.returncode,
            (out or b"").decode(errors="surrogateescape"),
            (err or b"").decode(errors="surrogateescape"),
            time.monotonic() - start,
        )


def kill(proc):
    """kill -9 of one of our own processes and of its group."""
    if proc.returncode is None:  # not reaped: the number is still ours, also of a group that outlived its leader
        os.killpg(proc.pid, signal.SIGKILL)
        proc.wait()


def command(cmd):
    """A string is a shell script, a list is an argv."""
    return ["sh", "-c", cmd] if isinstance(cmd, str) else list(cmd)


def file_system(path):
    """The type of the one that PATH lies on."""
    return subprocess.run(["stat", "-f", "-c", "%T", path], check=True, capture_output=True, text=True).stdout.strip()


def has_own_ids(user, path):
    """Does a run of USER in PATH get ids of its own? Root's does, where mounts can be idmapped; test_overlay_root.py shows that it is so."""
    return user.is_root and file_system(path) != "overlayfs"


def processes_of(uid):
    for p in pathlib.Path("/proc").iterdir():
        try:
            if p.name.isdigit() and p.stat().st_uid == uid:
                yield int(p.name)
        except OSError:
            pass  # gone meanwhile


def processes_with(marker):
    """Host pids that have MARKER in their command line; zombies have none."""
    found = []
    for p in pathlib.Path("/proc").iterdir():
        try:
            if p.name.isdigit() and int(p.name) != os.getpid() and marker.encode() in (p / "cmdline").read_bytes():
                found.append(int(p.name))
        except OSError:
            pass
    return found


THOROUGH = bool(os.environ.get("THOROUGH"))  # make test-full: the same, more of it


def wait_for(what, seconds=60.0):
    """Poll until WHAT() is true. Return: its last value. The time is against a hang, with room for a busy machine; say it only where nothing shall come."""
    end = time.monotonic() + seconds
    while True:
        value = what()
        if value or time.monotonic() > end:
            return value
        time.sleep(0.02)


@pytest.fixture(scope="session")
def session_dir():
    """For built helpers: every caller can read it."""
    path = pathlib.Path(tempfile.mkdtemp(prefix="bailey-e2e-", dir="/var/tmp"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture(scope="session")
def root_user(session_dir):
    # A home like root's: 0700 and directly below /. The real one is left alone.
    home = pathlib.Path(tempfile.mkdtemp(prefix="bailey-e2e-home-", dir="/"))
    base = session_dir / "root"
    base.mkdir()
    yield User("root", 0, 0, home, base)
    shutil.rmtree(home, ignore_errors=True)


@pytest.fixture(scope="session")
def plain_user(session_dir):
    if os.geteuid() != 0:
        me = pwd.getpwuid(os.geteuid())
        home = pathlib.Path(tempfile.mkdtemp(prefix="bailey-e", dir=me.pw_dir))
        yield User(me.pw_name, me.pw_uid, me.pw_gid, home, home / "work")
        shutil.rmtree(home, ignore_errors=True)
        return
    name = f"bailey-e{secrets.token_hex(4)}"  # pids repeat in namespaces
    # suites side by side do not see each other's accounts; a number of its own is one that the kernel counts by itself
    add = ["useradd", "-K", f"UID_MIN={20000 + secrets.randbelow(40000)}", "-K", "UID_MAX=65000", "-m", "-s", "/bin/sh", name]
    # somebody else may hold the lock of /etc/passwd
    if not wait_for(lambda: subprocess.run(add, capture_output=True).returncode == 0):
        subprocess.run(add, check=True)
    try:
        me = pwd.getpwnam(name)
        yield User(name, me.pw_uid, me.pw_gid, me.pw_dir, pathlib.Path(me.pw_dir) / "work")
        for pid in processes_of(me.pw_uid):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        wait_for(lambda: not list(processes_of(me.pw_uid)))
    finally:
        remove = ["userdel", "-r", "-f", name]
        # the same lock; 6: it has gone, 12: all but its home
        wait_for(lambda: subprocess.run(remove, check=False, capture_output=True).returncode in (0, 6, 12))


@pytest.fixture(params=["root", "user"])
def user(request):
    if request.param == "user":
        return request.getfixturevalue("plain_user")
    if os.geteuid() != 0:
        skip("the root cases need pytest to run as root")
    return request.getfixturevalue("root_user")


@pytest.fixture(scope="session")
def works():
    """Per caller: does a plain run work? Asked once."""
    answers = {}

    def ask(caller):
        if caller.name not in answers:
            if not os.access(BAILEY, os.X_OK):
                answers[caller.name] = f"{BAILEY} is not there"
            else:
                where = caller.mkdir(caller.base / "works")
                r = caller.exec([BAILEY, "run", "--", "true"], cwd=where)
                answers[caller.name] = "" if r.rc == 0 else f"bailey can't sandbox here: exit {r.rc}: {r.err}"
        return answers[caller.name]

    return ask


@pytest.fixture
def ws(user):
    """An empty workspace of the caller."""
    path = user.mkdir(user.base / f"ws{next(counter)}")
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def outside(user):
    """A directory of the caller's home, in no workspace."""
    path = user.mkdir(user.home / f"outside{next(counter)}")
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def bailey(user, works):
    """bailey(ARGS, cwd=, env=, stdin=, timeout=) -> Result, as the caller."""
    problem = works(user)
    if problem:
        pytest.fail(problem)  # never a skip: "no sandbox here" is the failure to catch

    def call(args, **kw):
        return user.exec([BAILEY, *args], **kw)

    return call


@pytest.fixture
def run(bailey, ws):
    """run(COMMAND, *OPTIONS, ...) -> Result of `bailey run`, in the workspace."""

    def call(cmd, *opts, **kw):
        kw.setdefault("cwd", ws)
        return bailey(["run", *opts, "--", *command(cmd)], **kw)

    return call


@pytest.fixture
def start(bailey, user, ws):
    """Like run, but returns the running process; it is killed at the end."""
    procs = []

    def call(cmd, *opts, **kw):
        kw.setdefault("cwd", ws)
        procs.append(user.popen([BAILEY, "run", *opts, "--", *command(cmd)], **kw))
        return procs[-1]

    yield call
    for proc in procs:
        kill(proc)
        for f in (proc.stdin, proc.stdout, proc.stderr):
            if f:
                f.close()


@pytest.fixture(scope="session")
def deny(session_dir):
    """Path of the shim that makes system calls fail."""
    source = PROJECT / "tests" / "shim" / "deny.c"
    target = session_dir / "deny"
    flags = ["-static", "-O2", "-Wall", "-Wextra", "-Werror", "-o", target, source]
    multi = subprocess.run(["gcc", "-print-multiarch"], capture_output=True, text=True).stdout.strip()
    # musl-gcc hides the kernel's headers
    musl = ["musl-gcc", "-idirafter", "/usr/include", "-idirafter", f"/usr/include/{multi}"]
    log = ""
    for cc in (["gcc"], musl):
        if shutil.which(cc[0]):
            r = subprocess.run([*cc, *flags], capture_output=True, text=True)
            if r.returncode == 0:
                return target
            log += r.stderr
    pytest.fail(f"can't build {source}: {log or 'no compiler'}")


@pytest.fixture(scope="session")
def internet():
    """Servers in namespaces of their own (networks.py)."""
    if os.geteuid() != 0:
        skip("servers in namespaces of their own need root")
    from networks import Internet  # which needs what stands here

    net = Internet()
    yield net
    net.end()


@pytest.fixture
def net(internet, user, ws, works):
    from networks import Net

    problem = works(user)
    if problem:
        pytest.fail(problem)
    return Net(internet, user, ws)
