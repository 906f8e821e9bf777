# SPDX-License-Identifier: Apache-2.0
"""Who is inside a sandbox that stays: its user, its root, their files, what root can't do, what is left on the host (docs/adr/0031)."""
import fcntl
import json
import os
import pathlib
import shutil
import signal
import stat
import struct
import subprocess
import threading

import pytest

from conftest import BAILEY, PYTHON, file_system, skip, wait_for
from terminals import Pty
from test_named import boxes  # noqa: F401  the fixture

CALLS = pathlib.Path(__file__).with_name("calls_of_root.py")


@pytest.fixture
def box(boxes, user, ws):  # noqa: F811
    """A sandbox with a root inside; where there can be none the test has no meaning."""
    if not shutil.which("sudo"):
        skip("sudo is not installed")
    if user.is_root and file_system(ws) == "overlayfs":
        skip("no idmapped mounts here")
    boxes.make()
    (about,) = json.loads(boxes("inspect", "box").out)
    if not about["root"]:
        skip(f"no root inside: {about['rootless_because']}")
    return boxes


def sudo(box, cmd, **kw):
    return box.exec(["sudo", "-n", "sh", "-c", cmd], **kw)


# --- who is inside ---------------------------------------------------------------------------------------------------------------------


def test_user(box, user, ws):
    """Commands are the user 'agent', whose files in the workspace are the caller's; his home is his own, and no host's."""
    def homes():
        return sorted(n for n in os.listdir("/home") if not n.startswith("bailey-"))  # users of other tests come and go

    before = homes()
    r = box.exec("id -u; id -g; id -un; echo $HOME $USER $LOGNAME; cd; pwd; touch in-home; cd - >/dev/null; touch made; stat -c %U made ~/in-home")
    assert r.out == "1000\n1000\nagent\n/home/agent agent agent\n/home/agent\nagent\nagent\n", r
    st = (ws / "made").stat()
    assert (st.st_uid, st.st_gid) == (user.uid, user.gid)
    assert homes() == before, "nothing is made on the host"
    assert box("stop", "box").rc == 0 and box.exec("ls ~").out == "in-home\n", "the home stays"


@pytest.fixture
def beside_a_mount(boxes, user, ws):  # noqa: F811
    """Runs a script where another file system is mounted in /home, as a home of systemd-homed or sshfs is."""
    if os.geteuid() != 0:
        skip("needs root to mount a file system")
    there = user.mkdir(pathlib.Path(f"/home/bailey-m{os.getpid()}"), 0o755)
    ids = f"setpriv --reuid={user.uid} --regid={user.gid} --clear-groups"

    def run(script):
        env = {**user.environ(), **boxes.env, "BAILEY": str(BAILEY)}
        return subprocess.run(["unshare", "-m", "sh", "-c", f'mount -t tmpfs none {there} && exec {ids} sh -ec "$1"', "x", script], cwd=ws, env=env,
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    yield run
    shutil.rmtree(there)


def test_a_home_beside_a_mount(beside_a_mount, boxes):  # noqa: F811
    """No directory can appear in /home then: the home is found elsewhere, which is kept, told and shown; volumes and caches know it."""
    r = beside_a_mount("$BAILEY create --cache pip box; $BAILEY exec box -- sh -c 'cd; pwd; echo kept > f; getent passwd agent; ls -d .cache/pip'; "
                       "$BAILEY inspect box; $BAILEY stop box; $BAILEY exec box -- sh -c 'cat ~/f; sudo -n true 2>&1 || echo none'; $BAILEY stop box")
    assert r.returncode == 0 and "notice: its home is /run/agent" in r.stderr and "mkdir -p /home/agent" in r.stderr, r
    where, entry, cache, rest = r.stdout.partition("\n")[2].split("\n", 3)
    (about,), end = json.JSONDecoder().raw_decode(rest)
    assert (where, cache) == ("/run/agent", ".cache/pip") and entry.split(":")[5] == "/run/agent", r
    assert about["home"] == "/run/agent" and "--home=/run/agent" in about["options"], about
    assert rest[end:].split("\n")[1] == "kept", r
    r = boxes.exec("cat ~/f; pwd; ls -d /run/agent")
    assert r.out.startswith("kept\n") and r.out.endswith("/run/agent\n"), "without the mount it stays where it is"
    assert not os.path.exists("/home/agent"), "nothing is made on the host"


def test_a_home_that_is_named(boxes, user, beside_a_mount):  # noqa: F811
    boxes.make("box", "--home", "/home/dev.1")
    r = boxes.exec("cd; pwd; echo kept > f; ls -d /home/agent; sudo -n sh -c 'ls -d ~agent' 2>/dev/null; true")
    assert r.out.splitlines() == ["/home/dev.1", *(["/home/dev.1"] if json.loads(boxes("inspect", "box").out)[0]["root"] else [])] and "No such" in r.err, r
    assert json.loads(boxes("inspect", "box").out)[0]["home"] == "/home/dev.1"
    assert boxes("stop", "box").rc == 0 and boxes.exec("cat ~/f").out == "kept\n"
    r = beside_a_mount("$BAILEY create --home=/home/dev.1 other")
    assert r.returncode == 2 and "mkdir -p /home/dev.1" in r.stderr, "who names a place gets that or none"
    for bad in ("", "/", "/home", "/home/", "home/x", "/home/x/y", "/home/..", "/home/-x", "/etc/x", "/run/other", "/home/a b", "/home/x\ny", "/home/" + "x" * 64):
        r = boxes("create", f"--home={bad}", "no")
        assert r.rc == 2 and "--home" in r.err and r.err.count("\n") == 1 and "no" not in boxes.ls(), (bad, r)


@pytest.fixture
def in_home(user):
    """A directory where homes are, and a workspace outside."""
    home = user.mkdir(pathlib.Path(f"/home/bailey-o{os.getpid()}"), 0o700)
    work = user.mkdir(pathlib.Path(f"/var/tmp/bailey-o{os.getpid()}"), 0o700)
    yield home, work
    shutil.rmtree(work)
    shutil.rmtree(home)


def test_a_home_over_a_hosts(boxes, user, in_home):  # noqa: F811
    """By the same path as on the host, and nothing of the host's is in it."""
    home, work = in_home
    user.mkdir(home / ".ssh")
    secret = user.write(home / ".ssh/id_test", "s3cret\n")
    assert boxes("create", "--home", home, "box", work, cwd=work).rc == 0
    r = boxes.exec(f"cat {secret}; echo x > ~/.profile2; find ~ | sort", cwd=work)
    assert r.out == f"{home}\n{home}/.profile2\n" and "No such" in r.err, r
    assert not (home / ".profile2").exists() and user.exec(["cat", secret]).out == "s3cret\n"
    r = boxes("create", "--home", home, "other", user.mkdir(home / "project"))
    assert r.rc == 2 and "can hold no workspace" in r.err, r


def test_sudo(box, ws, user):
    """Real sudo, without a password, in both directions; root is root of the sandbox alone."""
    r = sudo(box, "id -u; id -un; sudo -n -u agent id -u; su agent -c 'id -u; sudo -n id -u'; echo $HOME")
    assert r.out == "0\nroot\n1000\n1000\n0\n/root\n", r
    assert box.exec("su -c id </dev/null").rc != 0, "su asks for a password that nobody has"
    assert box.exec("sudo -n true; echo $?", "-u", "nobody").out == "1\n", "only the sandbox's user may"
    r = sudo(box, "echo x > by-root && echo y > /root/kept; ls -la")
    assert "by-root" in r.out, r
    assert (ws / "by-root").stat().st_uid not in (0, user.uid), "what root makes is nobody's on the host"
    assert box("stop", "box").rc == 0
    assert sudo(box, "cat by-root").out == "x\n"
    # the shown home of a caller whose home it is has no place for another one
    assert user.home == pathlib.Path("/root") or sudo(box, "cat /root/kept").out == "y\n"


def test_the_host_replaces_its_users(box):
    """useradd and passwd write new files and rename them over the old ones, which takes away what is mounted on those, wherever it is."""
    if any(line.split()[4].startswith("/etc/") for line in open("/proc/self/mountinfo", encoding="utf-8")):
        skip("something is mounted in /etc here, so nothing can be laid over it (SECURITY.md)")
    assert box.exec("id -un").out == "agent\n"
    for name in ("passwd", "group", "shadow", "gshadow", "hosts"):
        path, new = pathlib.Path("/etc", name), pathlib.Path("/etc", f"{name}.{os.getpid()}")
        at = os.stat(path)
        shutil.copy2(path, new)
        os.chown(new, at.st_uid, at.st_gid)
        new.rename(path)
    r = box.exec("id -un; hostname; getent hosts box | tr -s ' '; sudo -n cat /etc/shadow | grep -c ^agent:")
    assert r.out == "agent\nbox\n127.0.1.1 box\n1\n", r
    assert sudo(box, "id -u; umount /etc/shadow; umount /etc; cat /etc/shadow | cut -d: -f2 | sort -u").out.splitlines() == ["0", "*"], "nor can root uncover the host's"


def test_identity_files(box, ws):
    """hostname, hosts, passwd, group, shadow: the sandbox's own; the host's people are not in it, and the host's files are as they were."""
    names = ["/etc/hostname", "/etc/hosts", "/etc/passwd", "/etc/group", "/etc/sudoers"]
    before = {n: (pathlib.Path(n).read_bytes(), os.stat(n).st_mtime_ns) for n in names if os.access(n, os.R_OK)}
    assert box.exec("hostname; cat /etc/hostname; getent hosts box | tr -s ' '").out == "box\nbox\n127.0.1.1 box\n"
    people = [li.split(":")[0] for li in open("/etc/passwd", encoding="utf-8") if 1000 <= int(li.split(":")[2]) < 65534]
    shown = box.exec("cut -d: -f1 /etc/passwd").out.split()
    assert "agent" in shown and "root" in shown and "daemon" in shown
    assert not set(people) - {"agent"} & set(shown)
    assert box.exec("cat /etc/shadow").rc != 0, "closed to its user"
    r = sudo(box, "cat /etc/shadow /etc/gshadow; stat -c '%U %a' /etc/shadow /etc/sudoers /run /tmp; visudo -c -q")
    assert r.rc == 0 and "root:*:" in r.out and "$" not in r.out, "no password of anybody"
    assert r.out.splitlines()[-4:] == ["root 600", "root 440", "root 755", "root 1777"], r
    assert before == {n: (pathlib.Path(n).read_bytes(), os.stat(n).st_mtime_ns) for n in before}
    if os.geteuid() == 0:
        assert "root:*:19000:" not in open("/etc/shadow", encoding="utf-8").read(), "the control: the host's says something else"


def test_locale_and_time(box):
    assert box.exec("date +%Z").out == subprocess.run(["date", "+%Z"], capture_output=True, text=True, check=True).stdout
    assert box.exec("echo $LANG").out == "C.UTF-8\n"
    assert box("create", "there", env={"LANG": "de_DE.UTF-8", "TZ": "Asia/Tokyo"}).rc == 0
    assert box.exec("echo $LANG; date +%Z", name="there").out == "de_DE.UTF-8\nJST\n"


def test_every_start_has_the_same_environment(boxes, user):  # noqa: F811
    """Who starts it, or enters it, brings nothing; what is kept is of create, without what looks like a secret; `run` is the twin, which has the caller's."""
    other = {"MINE": "two", "PATH": f"/other/bin:{os.environ['PATH']}", "NVM_DIR": "/two", "LC_TIME": "C", "GITHUB_TOKEN": "s3cret", "TERM": "dumb", "HTTP_PROXY": ""}
    r = boxes("create", "--env", "SET=1", "--pass-env", "GITHUB_TOKEN", "box",
              env={"MINE": "one", "NVM_DIR": "/one", "LC_TIME": "en_GB.UTF-8", "JAVA_HOME": "https://u:s3cret@example.org/", "GITHUB_TOKEN": "s3cret", "PAGER": "odd \udcff"})
    assert r.rc == 0
    (about,) = json.loads(boxes("inspect", "box").out)
    assert "s3cret" not in json.dumps(about) and "--host-env=NVM_DIR=/one" in about["options"] and not [o for o in about["options"] if "MINE" in o], about

    def seen(**kw):
        assert boxes("stop", "box").rc == 0
        r = boxes.exec(["env", "-0"], **kw)
        return dict(e.split("=", 1) for e in r.out.split("\0") if e)

    first = seen(env=other)
    assert first["NVM_DIR"] == "/one" and first["LC_TIME"] == "en_GB.UTF-8" and first["SET"] == "1" and first["GITHUB_TOKEN"] == "s3cret", first
    assert not {"MINE", "JAVA_HOME", "PAGER", "TERM"} & set(first) and "/other/bin" not in first["PATH"] and first["PATH"].endswith(user.environ()["PATH"]), first
    assert seen(env={"PATH": "/usr/bin:/bin"}) == {k: v for k, v in first.items() if k != "GITHUB_TOKEN"}, "what is passed by name is of who starts it"
    what = ["sh", "-c", "umask; ulimit -Sn; ulimit -Sc; ulimit -Ss; nice"]

    def limits(*before):
        assert boxes("stop", "box").rc == 0
        assert user.exec(["sh", "-c", f"{'; '.join(before)}; exec \"$0\" start box", BAILEY], cwd=boxes.home, env=boxes.env).rc == 0
        return boxes.exec(what).out.split()

    usual = limits("true")
    assert usual[:4] == ["0022", "1024", "0", "8192"], usual
    assert limits("umask 077", "ulimit -Sn 200", "ulimit -Ss 4096", "ulimit -Sc 0") == usual
    assert limits("umask 0", "ulimit -Sc unlimited", "ulimit -Sn 2000") == usual
    assert not user.is_root or limits("renice -n 5 $$ >/dev/null") == [*usual[:4], "0"]
    run = boxes("run", "--", "env", env=other).out
    assert "MINE=two\n" in run and "NVM_DIR=/two\n" in run


def test_a_terminal_is_its_callers(boxes, user, ws):  # noqa: F811
    boxes.make()
    assert boxes.exec("true", env={"TERM": "vt100"}).rc == 0
    for words in (["exec", "-t", "box", "--"], ["run", "box", "--"]):
        t = Pty(user, [BAILEY, *words, "sh", "-c", "echo [$TERM-$COLORTERM]"], ws, env={**boxes.env, "TERM": "screen", "COLORTERM": "truecolor"})
        assert t.expect(r"\[screen-truecolor\]")
        assert t.wait() == 0


def test_tools_write_below_the_home(boxes, user):  # noqa: F811
    """Where the caller's tools write is not where the sandbox's do; what they install is found."""
    assert boxes("create", "box", env={"CARGO_HOME": "/home/somebody/.cargo", "XDG_CACHE_HOME": "/nowhere"}).rc == 0
    r = boxes.exec("echo ${CARGO_HOME-none} ${XDG_CACHE_HOME-none} $NPM_CONFIG_PREFIX; mkdir -p ~/.local/bin; printf '#!/bin/sh\necho mine\n' > ~/.local/bin/tool; chmod +x ~/.local/bin/tool; tool",
                   env={"CARGO_HOME": "/home/somebody/.cargo", "XDG_CACHE_HOME": "/nowhere"})
    assert r.out == "none none /home/agent/.local\nmine\n", r


def test_apt_says_what_is_missing(box):
    for name in ("apt", "apt-get"):
        if shutil.which(name):
            r = sudo(box, f"{name} install hello")
            assert r.rc == 100 and "--template base" in r.err and "no such template yet" in r.err and r.err.count("\n") == 1, r


# --- exec -u, --env-file ---------------------------------------------------------------------------------------------------------------

USERS = [("root", "0 0 root"), ("0", "0 0 root"), ("agent", "1000 1000 agent"), ("1000", "1000 1000 agent"), ("daemon", "1 1 daemon"), ("1", "1 1 daemon"),
         ("4711", "4711 4711 "), ("4711:12", "4711 12 "), ("daemon:adm", "1 4 daemon"), ("root:1000", "0 1000 root")]


@pytest.mark.parametrize("word,want", USERS)
def test_exec_user(box, word, want):
    r = box.exec("echo $(id -u) $(id -g) $USER", "-u", word)
    assert r.out == want.strip() + "\n", r


def test_exec_user_has_groups_and_home(box):
    assert box.exec("id -G; echo $HOME", "--user=root").out == "0\n/root\n"
    r = box.exec("tty; stat -c '%U %a' $(tty); id -u", "-t", "-u", "nobody")
    assert r.out.replace("\r", "").splitlines()[1:] == ["nobody 600", "65534"] or r.out.replace("\r", "").splitlines()[1:] == ["nobody 620", "65534"], r


@pytest.mark.parametrize("word", ["nosuch", "", ":1", "root:nosuch", "70000", "4294967295", "-1", "a" * 600])
def test_exec_user_wrong(box, word):
    r = box.exec("echo ran", f"--user={word}")
    assert r.rc in (2, 126) and "ran" not in r.out and r.err.count("\n") == 1, r
    assert box.exec("echo still").out == "still\n"


def test_exec_users_files_are_no_commands(box):
    """A password file that its root has changed names ids of the sandbox at most; one that never ends, or is no file, is not waited for."""
    # /etc is the host's, read-only: what can't be changed needs no test; the user's own name is known without it
    assert sudo(box, "echo x > /etc/passwd").rc != 0 and sudo(box, "mv /etc/passwd /etc/x").rc != 0
    assert box.exec("id -u", "-u", "agent").out == "1000\n"


def test_env_file(boxes, user, ws):  # noqa: F811
    boxes.make()
    f = user.write(ws / "vars", "# comment\nA=one two\nB=first\nPASSED\n\nB=second\n")
    g = user.write(ws / "more", "A=other\n")
    r = boxes.exec("echo $A/$B/$PASSED/$C", "--env-file", f, "-e", "C=3", env={"PASSED": "here"})
    assert r.out == "one two/second/here/3\n", r
    assert boxes.exec("echo $A/$B", "--env-file", f, "--env-file", g, "-e", "B=x").out == "other/x\n"
    user.write(f, "no good=1\n")
    r = boxes.exec("echo ran", "--env-file", f)
    assert r.rc == 2 and "--env-file" in r.err and ":1:" in r.err and "ran" not in r.out, r
    assert boxes.exec("echo ran", "--env-file", ws / "nosuch").rc == 2


# --- what root inside can't do ---------------------------------------------------------------------------------------------------------


def calls(text: str) -> dict[str, str]:
    return dict(li.split() for li in text.splitlines())


def test_kernel_is_shut(box, user, ws):
    """What of the kernel root's capabilities could reach is refused, to the user and through sudo; the controls: the host's root is answered otherwise."""
    script = user.write(ws / "calls.py", CALLS.read_text(encoding="utf-8"))
    want = calls(subprocess.run([PYTHON, CALLS, "--expected"], capture_output=True, text=True, check=True).stdout)
    ways: list[list[str]] = [[], ["sudo", "-n"]]
    for how in ways:
        r = box.exec([*how, PYTHON, script])
        assert r.rc == 0 and calls(r.out) == want, (how, r.err, {k: v for k, v in calls(r.out).items() if want.get(k) != v})
    if os.geteuid() != 0:
        skip("the controls need root")
    outside = calls(subprocess.run(["unshare", "-fmpn", PYTHON, CALLS], capture_output=True, text=True, check=True).stdout)
    same = [k for k in want if outside[k] == want[k]]
    assert not set(same) - {"io_uring_setup", "vsock"}, f"as the host's root gets it: {same}; those two the kernel may lack"


def test_capabilities(box):
    """The bounding set is what privs.c says, and the user has none of it. The twins: what the kept ones are for works."""
    r = box.exec("grep -E 'Cap(Eff|Prm|Inh|Amb)' /proc/self/status | cut -f2 | sort -u; grep NoNewPrivs /proc/self/status | cut -f2")
    assert r.out == "0000000000000000\n0\n", r
    kept = sudo(box, "grep -E 'Cap(Eff|Prm|Bnd)' /proc/self/status | cut -f2 | sort -u").out.split()
    assert kept == ["00000000800424fb"], kept
    r = sudo(box, "cd /tmp && touch f && chown 33:33 f && chmod 4755 f && stat -c '%u %a' f && mkdir -m 700 d && chown 33 d && ls d; "
             f"sleep 100 & sudo -n -u nobody kill $! 2>/dev/null; kill $! && echo killed; chroot / true && echo rooted; {PYTHON} -c 'import socket; socket.socket().bind((\"127.0.0.1\", 80))' && echo bound")
    assert r.out == "33 4755\nkilled\nrooted\nbound\n", r


def test_pid_1(box):
    """PID 1 is root inside, too: nothing of it can be read, traced or ended, and it has the capabilities that it needs alone."""
    r = sudo(box, "cat /proc/1/environ /proc/1/maps; ls -l /proc/1/fd /proc/1/root /proc/1/cwd; kill -9 1; kill -STOP 1; echo $$")
    assert r.err.count("ermission denied") >= 4, r
    r = sudo(box, "grep CapEff /proc/1/status | cut -f2; grep CapBnd /proc/1/status | cut -f2")
    assert r.out == "00000000000000e1\n00000000800424fb\n", r
    assert box.exec("true").rc == 0
    # the twin: its own processes can be traced
    code = "import ctypes, os, time; p = os.fork() or os._exit(time.sleep(9) or 0); print(ctypes.CDLL(None).ptrace(0x4206, p, 0, 0)); os.kill(p, 9)"
    assert sudo(box, f"{PYTHON} -c '{code}'").out == "0\n"


def test_files_of_the_host(box, user, ws, outside):
    """Root inside reads and writes nothing that the caller could not; the controls: the host's root does, or the caller himself."""
    secret = user.write(user.home / ".ssh" / "id_test", "s3cret\n", 0o600)
    for cmd in (f"cat {secret}", f"echo x > {outside}/new", "echo x > /usr/new", "echo x > /etc/new", "chmod 777 /etc/passwd", "chown agent /usr/bin/env",
                "echo x > /proc/sys/kernel/core_pattern", "echo h > /proc/sysrq-trigger", "cat /proc/kcore", "echo x > /sys/kernel/uevent_helper",
                "mknod /tmp/m b 8 0", "rm /usr/bin/sudo", "echo x > /usr/bin/sudo", "rmdir /sys/fs/cgroup/x || mkdir /sys/fs/cgroup/x"):
        r = sudo(box, cmd)
        assert r.rc != 0 and "s3cret" not in r.out, (cmd, r)
    assert secret.read_text() == "s3cret\n" and not pathlib.Path("/usr/new").exists()
    if os.geteuid() == 0:
        closed = pathlib.Path("/var/lib/bailey-test-closed")
        closed.write_text("root's\n")
        closed.chmod(0o600)
        try:
            assert sudo(box, f"cat {closed}").rc != 0 and closed.read_text() == "root's\n"
        finally:
            closed.unlink()


def test_set_id_counts_for_the_sandboxs_programs_alone(box, ws):
    """A set-id program of root's in the workspace, the home, /tmp gives nothing: those are nosuid. The twin: sudo."""
    for place in (ws, "/home/agent", "/tmp"):
        r = sudo(box, f"cp /usr/bin/id {place}/id && chmod 6755 {place}/id")
        assert r.rc == 0, r
        assert box.exec([f"{place}/id", "-u"]).out == "1000\n", place
    assert box.exec("sudo -n id -u").out == "0\n"


# --- what is left on the host -----------------------------------------------------------------------------------------------------------


def set_ids(path) -> list[str]:
    return sorted(os.path.relpath(os.path.join(d, n), path) for d, dirs, names in os.walk(path) for n in names + dirs
                  if os.lstat(os.path.join(d, n)).st_mode & (stat.S_ISUID | stat.S_ISGID))


MAKE = ("cp /bin/true own; chmod 4755 own; mkdir -p a/b/c; cp own a/b/c/; chmod 6755 a/b/c/own; ln -s own link; sudo -n cp own a/roots; sudo -n chmod 4755 a/roots; "
        "sudo -n mkdir -m 700 closed; sudo -n cp own closed/; sudo -n chmod 2755 closed/own; mkdir group; chmod g+s group; cp /bin/true group/plain; chmod 755 group/plain")


def test_no_set_id_file_stays(box, user, ws):
    old = ws / "old"
    shutil.copy("/bin/true", old)
    os.chown(old, user.uid, user.gid)
    old.chmod(0o4755)
    shared = user.mkdir(ws / "shared", 0o2755)
    subprocess.run(["sleep", "3"], check=True)  # the margin of the file system's clock
    assert box.exec(MAKE + "; mkdir shared/inherits").rc == 0
    live = set_ids(ws)
    assert {"own", "a/b/c/own", "a/roots", "group"} <= set(live), "the control: while it runs they are there"
    assert box("stop", "box").rc == 0
    assert set_ids(ws) == ["old", "shared", "shared/inherits"], "what was there, and what a directory inherits"
    assert (ws / "own").stat().st_mode & 0o777 == 0o755 and shared.exists()
    assert any("it was taken away" in p.read_text() for p in (box.home / "sandboxes").glob("*/log"))
    sudo(box, f"rm -rf {ws}/closed {ws}/a")


@pytest.mark.parametrize("after", ["start", "rm"])
def test_set_id_after_a_kill(box, ws, after):
    assert box.exec(MAKE).rc == 0
    for pid in box.supervisors():
        os.kill(pid, signal.SIGKILL)
    assert wait_for(lambda: not box.supervisors()) and set_ids(ws)
    assert box(after, "box").rc == 0
    assert wait_for(lambda: not set_ids(ws)), set_ids(ws)
    if after == "rm":
        box.make()
    sudo(box, f"rm -rf {ws}/closed {ws}/a")


def test_set_id_files_of_others(box, user, ws):
    """What no id of the sandbox owns is not the sandbox's, and holds nothing up; its owner needs no power over the group. As root all are taken: they might be."""
    assert box.exec("true").rc == 0
    for name, uid, gid in (("mine", user.uid, user.gid), ("group", user.uid, 12345), ("theirs", 12345, user.gid), ("all-theirs", 12345, 12345)):
        shutil.copy("/bin/true", ws / name)
        os.chown(ws / name, uid, gid)
        (ws / name).chmod(0o4755)
    for pid in box.supervisors():
        os.kill(pid, signal.SIGKILL)
    assert wait_for(lambda: not box.supervisors())
    r = box("rm", "box")
    assert r.rc == 0 and "could not be searched" not in r.err, r
    assert set_ids(ws) == ([] if user.is_root else ["all-theirs", "theirs"])
    box.make()


def closed(ws, uid=12345, gid=12345):
    """What a container of docker leaves: nobody's here, and shut."""
    (ws / "pgdata" / "base").mkdir(parents=True)
    for p in (ws / "pgdata" / "base", ws / "pgdata"):
        os.chown(p, uid, gid)
        p.chmod(0o700)


@pytest.mark.parametrize("after", ["exec", "rm"])
def test_set_id_beside_what_is_closed(box, user, ws, after):
    """A directory that nobody inside can enter is passed over, and said once."""
    closed(ws)
    assert box.exec(MAKE).rc == 0
    for pid in box.supervisors():
        os.kill(pid, signal.SIGKILL)
    assert wait_for(lambda: not box.supervisors()) and set_ids(ws)
    r = box.exec("true") if after == "exec" else box("rm", "box")
    assert r.rc == 0, r
    assert box("stop", *(["box"] if after == "exec" else [])).rc == (0 if after == "exec" else 2)
    assert not set_ids(ws)
    said = r.err + "".join(p.read_text() for p in (box.home / "sandboxes").glob("*/log"))
    assert ("1 directory was not searched" in said) == (not user.is_root), said
    if after == "rm":
        box.make()
    sudo(box, f"rm -rf {ws}/closed {ws}/a")
    shutil.rmtree(ws / "pgdata")


@pytest.mark.parametrize("user", ["user"], indirect=True)  # root's sandbox has no id that is its owner
def test_set_id_in_a_directory_of_a_foreign_group(box, user, ws):
    """Its owner may enter it, and only as itself: no id inside has power over it."""
    closed(ws, user.uid)
    own = ws / "pgdata" / "base" / "own"
    assert box.exec(f"cp /bin/true {own} && chmod u+s {own}").rc == 0
    assert own.stat().st_mode & 0o4000
    assert box("stop", "box").rc == 0 and not own.stat().st_mode & 0o4000
    shutil.rmtree(ws / "pgdata")


@pytest.mark.parametrize("user", ["user"], indirect=True)  # root opens every directory
def test_rm_after_a_sweep_that_failed(box, user, ws):
    """What can't be searched holds rm up, and nothing is lost by that; --force goes on, and says so."""
    assert box.exec(f"{MAKE}; mkdir shut").rc == 0
    os.chown(ws / "shut", user.uid, 12345)
    (ws / "shut").chmod(0)
    for pid in box.supervisors():
        os.kill(pid, signal.SIGKILL)
    assert wait_for(lambda: not box.supervisors())
    r = box("rm", "box")
    assert r.rc == 125 and "could not be searched whole" in r.err and list(box.ls()) == ["box"], r
    r = box("rm", "-f", "box")
    assert r.rc == 0 and "removed all the same" in r.err and not box.ls(), r
    box.make()
    sudo(box, f"rm -rf {ws}/closed {ws}/a")
    (ws / "shut").rmdir()


def test_a_deep_tree_is_swept(box, user, ws):
    """Deeper than any path can name."""
    code = "import os, shutil; exec('for i in range(5000): os.mkdir(\"d\"); os.chdir(\"d\")'); shutil.copy('/bin/true', 's'); os.chmod('s', 0o4755)"
    assert box.exec([PYTHON, "-c", code]).rc == 0
    assert box("stop", "box").rc == 0
    code = "import os; exec('for i in range(5000): os.chdir(\"d\")'); print(oct(os.stat('s').st_mode))"
    assert user.exec([PYTHON, "-c", code], cwd=ws).out == "0o100755\n"
    subprocess.run(["rm", "-rf", ws / "d"], check=True)


def test_rm_removes_files_of_every_id(box):
    assert sudo(box, "mkdir -m 700 /home/agent/closed; touch /home/agent/closed/x; chown -R 33:33 /home/agent/closed").rc == 0
    assert box("rm", "-f", "box").rc == 0
    assert not list((box.home / "sandboxes").iterdir())


# --- ids ---------------------------------------------------------------------------------------------------------------------------------


def test_maps(box, user):
    """An ordinary user's own id is the sandbox's user's; root gives each sandbox a block of its own, for its life."""
    rows = [[int(x) for x in li.split()] for li in box.exec("cat /proc/self/uid_map").out.splitlines()]
    hosts = [(first, first + n) for _, first, n in rows]
    assert not any(a <= 0 < b for a, b in hosts), "never the host's root"
    if not user.is_root:
        assert [1000, user.uid, 1] in rows and len(rows) == 3
        return
    assert len(rows) == 1 and rows[0][0] == 0 and rows[0][2] == 65536
    box.make("other")
    other = int(box.exec("cat /proc/self/uid_map", name="other").out.split()[1])
    assert abs(other - rows[0][1]) >= 65536
    assert box("stop", "box").rc == 0 and int(box.exec("cat /proc/self/uid_map").out.split()[1]) == rows[0][1]
    boxes_ = {b["name"]: b["ids"] for b in json.loads(box("ls", "--json").out)}
    assert 0x70000000 + (boxes_["box"] - 1) * 65536 == rows[0][1]


@pytest.mark.parametrize("user", ["root"], indirect=True)  # blocks are root's
def test_block_of_another_state(box, user):
    """Two state directories may have given the same block: both can't run. Who is about to end is waited for."""
    ids = json.loads(box("inspect", "box").out)[0]["ids"]
    fd = os.open("/run/bailey.ids", os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.fcntl(fd, 37, struct.pack("hhqqi4x", fcntl.F_WRLCK, 0, ids - 1, 1, 0))  # F_OFD_SETLK
    r = box.exec("true")
    assert r.rc == 125 and "in use by a sandbox of another state directory" in r.err, r
    threading.Timer(0.5, os.close, [fd]).start()
    r = box.exec("true")
    assert r.rc == 0 and r.secs > 0.3, r


@pytest.fixture
def no_newuidmap():
    """What gives an ordinary user ids of its own can't be executed."""
    if os.geteuid() != 0:
        skip("to change the surroundings needs root")
    subprocess.run(["mount", "--bind", "/dev/null", "/usr/bin/newuidmap"], check=True)
    yield
    subprocess.run(["umount", "/usr/bin/newuidmap"], check=True)


@pytest.mark.usefixtures("no_newuidmap")
def test_without_a_root(boxes, user, ws):  # noqa: F811
    """Without ids: one user, no root, a run's rights; and everybody says so, with the command that mends it."""
    if user.is_root:
        r = boxes("create", "--allow-userns", "box")
        mend = "create it without"
    else:
        r = boxes("create", "box")
        mend = "sudo apt-get install -y --reinstall uidmap"
    if r.rc == 125 and "user namespaces inside are refused" in r.err:
        skip("no idmapped mounts here")
    assert r.rc == 0 and r.err.count("\n") == 1 and "no root inside" in r.err and mend in r.err, r
    (about,) = json.loads(boxes("inspect", "box").out)
    assert (about["root"], about["user"], about["home"]) == (False, "agent", "/home/agent") and mend in about["rootless_because"]
    r = boxes.exec(["/bin/sh", "-c", "/usr/bin/id -u; /usr/bin/grep NoNewPrivs /proc/self/status; /usr/bin/touch /home/agent/x made; /usr/bin/stat -c %u made; /bin/hostname"])
    assert r.out == "1000\nNoNewPrivs:\t1\n1000\nbox\n", r
    assert (ws / "made").stat().st_uid == user.uid
    r = boxes.exec(["/usr/bin/sudo", "-n", "/usr/bin/id"])
    assert r.rc != 0 and "uid=0" not in r.out
    r = boxes.exec(["/usr/bin/chmod", "4755", "made"])
    assert r.rc != 0 and not (ws / "made").stat().st_mode & stat.S_ISUID
    r = boxes.exec(["/usr/bin/id"], "-u", "root")
    assert r.rc == 125 and "no root" in r.err, r
    assert boxes.exec(["/usr/bin/id", "-u"], "-u", "agent").out == "1000\n"


def test_strict_protect_has_no_root(boxes, ws):  # noqa: F811
    r = boxes("create", "--strict-protect", "box")
    assert r.rc == 0 and "--strict-protect and a root inside don't go together" in r.err, r
    assert boxes.exec("id -u; touch x; echo y > .envrc; true").out == "1000\n" and (ws / "x").exists() and not (ws / ".envrc").exists()


def test_a_run_keeps_its_rights(run, user):
    """The control: nothing of this is in `bailey run`."""
    r = run("grep NoNewPrivs /proc/self/status; sudo -n id; grep CapBnd /proc/self/status; chmod 4755 . ")
    assert "NoNewPrivs:\t1" in r.out and "uid=0" not in r.out and "CapBnd:\t0000000000000000" in r.out and r.rc != 0, r


@pytest.mark.parametrize("user", ["root"], indirect=True)  # who may make /home/agent
def test_home_can_hold_no_workspace(boxes, user, ws):  # noqa: F811
    if pathlib.Path("/home/agent").exists():
        skip("there is a /home/agent")
    os.mkdir("/home/agent")
    try:
        os.mkdir("/home/agent/ws")
        r = boxes("create", "box", "/home/agent/ws")
        assert r.rc in (2, 125) and "/home/agent is the home of the sandbox's user" in r.err and boxes.ls() == {}, r
        boxes.make()
        assert boxes.exec("ls /home/agent").out == "", "its own, not the host's of that name"
    finally:
        shutil.rmtree("/home/agent")


