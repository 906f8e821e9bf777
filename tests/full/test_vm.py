# SPDX-License-Identifier: Apache-2.0
"""
Another kernel: Debian's own, with cgroup version 2, which this machine's may not offer, and without Landlock, as WSL2's. Heavy: a virtual machine
without hardware virtualization runs programs about 12 times slower.
"""
import os
import pathlib
import subprocess

import pytest

PROJECT = pathlib.Path(__file__).resolve().parents[2]
BAILEY = os.environ.get("BAILEY") or str(PROJECT / "build" / "bailey")


PYTEST = ["/usr/bin/python3", "-m", "pytest", "-q", "--tb=short", "--color=no", "-p", "no:cacheprovider"]


def in_vm(*command, timeout, append="", options=()):
    argv = [PROJECT / "tools" / "vm-run", "--timeout", str(timeout), "--append", append, *options, "--env", "BAILEY", "--env", "MUST_WORK", "--", *command]
    return subprocess.run(argv, cwd=PROJECT, env={**os.environ, "BAILEY": BAILEY}, capture_output=True, text=True, timeout=timeout + 60)


@pytest.mark.skipif(os.geteuid() != 0, reason="vm-run needs root: virtiofsd shares the whole tree")
@pytest.mark.parametrize("tests", ["tests/e2e/vm_cgroup2.py", "tests/e2e/test_limits.py"])
def test_limits_with_cgroup_2(tests):
    r = in_vm(*PYTEST, tests, timeout=900)
    print(r.stdout[-20000:], r.stderr[-4000:])
    assert r.returncode == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="vm-run needs root: virtiofsd shares the whole tree")
def test_without_landlock():
    r = in_vm(*PYTEST, "tests/e2e/vm_no_landlock.py", timeout=600, append="lsm=capability,yama,apparmor")
    print(r.stdout[-20000:], r.stderr[-4000:])
    assert r.returncode == 0


DISK = """
set -e
mkdir -p /srv/disk && mount -t ext4 /dev/vda /srv/disk
mkdir -p /srv/disk/ws && cd /srv/disk/ws
export XDG_STATE_HOME=/srv/disk/state
"""
# Everything is cut off in the middle of a command: nothing is synced, nobody is told.
CUT_OFF = DISK + """
$BAILEY create --restart on-failure failure >/dev/null
$BAILEY create --restart always always >/dev/null
$BAILEY create no >/dev/null
for n in failure always no; do $BAILEY exec $n -- true; done
$BAILEY stop always
$BAILEY exec failure -- sh -c 'echo begun > begun; exec sleep 1000' &
until [ -s begun ]; do sleep 0.2; done
echo "begun: $($BAILEY ls -q | tr '\n' ' ')"
sleep 1
echo b > /proc/sysrq-trigger
sleep 60
"""
AGAIN = DISK + """
$BAILEY ls
$BAILEY start --boot
$BAILEY ls
$BAILEY exec no -- echo answer
$BAILEY events failure
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="vm-run needs root: virtiofsd shares the whole tree")
def test_a_machine_that_is_cut_off(tmp_path):
    """Sandboxes are there after that, stopped, without anybody mending them; those that are to be brought up are."""
    disk = tmp_path / "disk"
    with open(disk, "wb") as f:
        f.truncate(256 << 20)
    subprocess.run(["mkfs.ext4", "-q", disk], check=True)
    r = in_vm("sh", "-c", CUT_OFF, timeout=600, options=["--disk", disk])
    print(r.stdout[-20000:], r.stderr[-4000:])
    assert r.returncode == 125 and "begun: always failure no" in r.stdout
    r = in_vm("sh", "-c", AGAIN, timeout=600, options=["--disk", disk])
    print(r.stdout[-20000:], r.stderr[-4000:])
    states = [line.split()[:2] for line in r.stdout.splitlines() if line.split()[:1] and line.split()[0] in ("failure", "always", "no")]
    assert r.returncode == 0 and "answer" in r.stdout
    assert states == [["always", "stopped"], ["failure", "stopped"], ["no", "stopped"], ["always", "running"], ["failure", "running"], ["no", "stopped"]]
    assert "stopped: lost" in r.stdout
