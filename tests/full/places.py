# SPDX-License-Identifier: Apache-2.0
"""What the tests of places share: an ordinary user of their own, a small tree of files with bailey in it."""
import os
import pathlib
import pwd
import shutil
import signal
import subprocess
import time

import pytest

PROJECT = pathlib.Path(__file__).resolve().parents[2]
BAILEY = pathlib.Path(os.environ.get("BAILEY") or PROJECT / "build" / "bailey").absolute()
APPLETS = ["sh", "cat", "chmod", "cp", "cut", "echo", "env", "find", "grep", "id", "ls", "mkdir", "mount", "readlink", "rm", "stat", "touch", "true", "umount", "wc"]


def need(*programs):
    """A test that can't be tried is a skip with its reason, and a failure where everything must work."""
    lacking = [p for p in programs if not shutil.which(p)]
    if os.geteuid() != 0:
        lacking.append("root")
    if not lacking:
        return
    reason = f"needs {', '.join(lacking)}"
    if os.environ.get("MUST_WORK") == "1":
        pytest.fail(f"MUST_WORK=1, but: {reason}")
    pytest.skip(reason)


def processes_of(uid):
    for p in pathlib.Path("/proc").iterdir():
        try:
            if p.name.isdigit() and p.stat().st_uid == uid:
                yield int(p.name)
        except OSError:
            pass  # gone meanwhile


def end_all_of(uid):
    """The test's own user: whatever of it is left, podman's pause process for one, ends."""
    for _ in range(100):
        pids = list(processes_of(uid))
        if not pids:
            return
        for pid in pids:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass  # ended meanwhile
        time.sleep(0.05)


def new_user(name):
    """A user that is removed by the function that comes with it."""
    subprocess.run(["useradd", "-m", "-s", "/bin/sh", name], check=True, capture_output=True)
    me = pwd.getpwnam(name)

    def remove():
        end_all_of(me.pw_uid)
        subprocess.run(["userdel", "-r", "-f", name], check=False, capture_output=True)

    return me, remove


def small_tree(top):
    """busybox and bailey, and no library: what a minimal chroot or image has."""
    for d in ("bin", "dev", "etc", "proc", "sys", "tmp", "run", "mnt", "opt", "var/tmp", "root/.ssh", "root/out", "home/agent", "work"):
        (top / d).mkdir(parents=True)
    shutil.copy("/bin/busybox", top / "bin/busybox")
    shutil.copy(BAILEY, top / "bin/bailey")
    os.chmod(top / "bin/bailey", 0o755)
    for name in APPLETS:
        os.symlink("busybox", top / "bin" / name)
    for d in ("tmp", "var/tmp", "work", "opt"):
        os.chmod(top / d, 0o1777 if d != "work" else 0o777)
    (top / "etc/passwd").write_text("root:x:0:0::/root:/bin/sh\nagent:x:1000:1000::/home/agent:/bin/sh\n")
    (top / "etc/group").write_text("root:x:0:\nagent:x:1000:\n")
    (top / "root/.ssh/id").write_text("key\n")
    (top / "root/out/file").write_text("before\n")
    return top
