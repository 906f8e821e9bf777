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


def in_vm(*command, timeout, append=""):
    argv = [PROJECT / "tools" / "vm-run", "--timeout", str(timeout), "--append", append, "--env", "BAILEY", "--env", "MUST_WORK", "--", *command]
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
