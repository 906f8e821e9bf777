# SPDX-License-Identifier: Apache-2.0
"""
The whole escape suite where "/" is not the machine's own: in a chroot, where root's bailey makes it a mount namespace's root first (the kernel makes
no user namespace there, so the controls of those rows can't be tried, and the suite as it usually runs tries them), and on a root that is an
overlayfs. And the smallest chroot: busybox and bailey.
"""
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from places import BAILEY, PROJECT, need, small_tree

SUITE = ["/usr/bin/python3", str(PROJECT / "tests/escape/run.py"), "--verbose", "--no-controls"]

CHROOT = """
mount --make-rprivate /
mount --rbind / "$1/root"
cd "$PWD"
exec chroot "$1/root" sh -c 'cd "$0" && exec "$@"' "$PWD" "${@:2}"
"""

OVERLAY = """
mount --make-rprivate /
mount -t tmpfs none "$1/layer"
mkdir "$1/layer/u" "$1/layer/w"
mount -t overlay none -o "lowerdir=/,upperdir=$1/layer/u,workdir=$1/layer/w" "$1/root"
there=$PWD
cd "$1/root"
for d in proc dev sys; do mount --rbind /$d $d; done
for d in tmp run; do mount -t tmpfs -o mode=1777 none $d; done
pivot_root . mnt
umount -l /mnt
cd "$there"
exec "${@:2}"
"""


@pytest.fixture
def base():
    need("busybox")
    path = Path(tempfile.mkdtemp(prefix="bailey-roots-", dir="/var/tmp"))
    path.chmod(0o755)
    for d in ("root", "layer"):
        (path / d).mkdir()
    yield path
    shutil.rmtree(path)


def suite(script, base, *options):
    argv = ["unshare", "-m", "bash", "-euc", script, "root", base, *SUITE, *options]
    r = subprocess.run(argv, cwd=PROJECT, env={**os.environ, "BAILEY": str(BAILEY)}, capture_output=True, text=True, timeout=1200)
    print("\n".join(li for li in r.stdout.splitlines() if li.startswith("#"))[-6000:], r.stderr[-2000:])
    tried = re.search(r"# (\d+) attacks and twins, 0 of (\d+) checks failed", r.stdout)
    assert r.returncode == 0 and tried and int(tried.group(2)) > 500
    return r


def test_escape_suite_in_a_chroot(base):
    suite(CHROOT, base, "--caller", "root")


def test_escape_suite_on_an_overlay(base):
    r = suite(OVERLAY, base)
    assert "root: every denial has an allowed twin that works" in r.stdout and "user: every denial has an allowed twin that works" in r.stdout


def in_chroot(tree, script):
    prep = 'mount -t proc proc "$0/proc" && exec chroot "$0" /bin/sh -c "$1"'
    env = {"HOME": "/root", "PATH": "/bin"}
    return subprocess.run(["unshare", "-m", "sh", "-c", prep, tree, script], cwd="/", env={**env, "PATH": os.environ["PATH"] + ":/bin"}, capture_output=True, text=True, timeout=60)


def test_the_smallest_chroot(base):
    # No library, no /usr, no device, no user database worth the name.
    tree = small_tree(base / "tree")
    attack = "for f in /root/out/file /root/new /new /opt/new /etc/new; do sh -c \"echo evil >$f\" 2>/dev/null && echo $f; done; cat /root/.ssh/id; echo twin >twin; cat twin"
    r = in_chroot(tree, f"cd /work && bailey run -- sh -c '{attack}; cat /proc/self/mountinfo | wc -l; id -u'")
    out = r.stdout.split()
    assert r.returncode == 0 and out[0] == "twin" and out[-1] == "0" and "No such file" in r.stderr and "bailey:" not in r.stderr, r
    assert not list(tree.rglob("new")) and (tree / "root/out/file").read_text() == "before\n"
    r = in_chroot(tree, "cd /work && bailey doctor")
    assert r.returncode == 0 and "bailey run works here" in r.stdout, r
    control = in_chroot(tree, f"cd /work && {attack}")
    assert control.stdout.split() == ["/root/out/file", "/root/new", "/new", "/opt/new", "/etc/new", "key", "twin"], control
