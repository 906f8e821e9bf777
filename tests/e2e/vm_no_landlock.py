# SPDX-License-Identifier: Apache-2.0
"""
A kernel without Landlock (WSL2's, or one whose lsm= leaves it out), and Debian's switch for user namespaces: ../full/test_vm.py boots such a machine
and runs this in it. Root there; the settings are the machine's own, and it ends with the tests.
"""
import json
import os
import pathlib
import re
import subprocess

import pytest

from conftest import BAILEY, PYTHON
from test_degraded import WHOLE, refused

LSM = pathlib.Path("/sys/kernel/security/lsm")
DEGRADED = "--allow-degraded=landlock"


@pytest.fixture
def doctor(user, ws):
    def call(*words):
        r = user.exec([BAILEY, "doctor", "--json", *words], cwd=ws, timeout=120)
        return r.rc, {f["id"]: f for f in json.loads(r.out)}

    return call


@pytest.fixture
def run(user, ws):
    # not conftest's, which wants a whole sandbox first
    def call(cmd, *opts, **kw):
        return user.exec([BAILEY, "run", *opts, "--", *(["sh", "-c", cmd] if isinstance(cmd, str) else cmd)], cwd=ws, timeout=120, **kw)

    return call


def test_this_kernel_has_no_landlock():
    if not LSM.exists():
        subprocess.run(["mount", "-t", "securityfs", "none", "/sys/kernel/security"], check=True)
    assert "landlock" not in LSM.read_text()


def test_refused_with_advice(run, ws, doctor):
    r = run(["touch", "witness"])
    refused(r, ws)
    assert "layer 'landlock' is missing" in r.err and "lsm=" in r.err and DEGRADED in r.err, r
    rc, facts = doctor("landlock")
    assert rc == 1 and facts["landlock"]["state"] == "missing" and "boot with lsm=landlock" in facts["landlock"]["advice"], facts


def test_can_be_given_up(run):
    r = run([PYTHON, "-c", WHOLE], DEGRADED)
    assert (r.rc, r.out) == (0, "bad\n"), r
    assert "bailey: running without the layer 'landlock'" in r.err, r


def test_attack_2_writes_outside(run, user, ws, outside):
    target = user.write(outside / "file", "before\n")
    places = [target, outside / "new", user.home / "new", *([pathlib.Path("/etc/new"), pathlib.Path("/new")] if user.is_root else [])]
    script = f"for f in {' '.join(map(str, places))}; do sh -c \"echo evil > $f\" 2>/dev/null && echo $f; done; mv {target} moved 2>/dev/null && echo moved; echo twin > twin; cat twin"
    r = run(script, DEGRADED)
    assert (r.rc, r.out) == (0, "twin\n"), r
    assert target.read_text() == "before\n" and not any(p.exists() for p in places[1:])
    control = user.exec(["sh", "-c", script], cwd=ws)
    assert control.out.split() == [*map(str, places), "moved", "twin"], control
    for p in places[1:]:
        p.unlink()


@pytest.mark.parametrize("mode", ["rb", "r+b"])
def test_attack_79_files_on_0_2_opened_again(run, user, ws, outside, mode):
    src = user.write(outside / "in", "precious\n")
    dst = user.write(outside / "out", "before\n")
    script = "cat; echo evil > /proc/self/fd/0; : > /proc/self/fd/1; echo evil 1<> /proc/self/fd/1; exit 4"
    with open(src, mode) as fin, open(dst, "ab") as fout:
        r = run(script, DEGRADED, stdin=fin, stdout=fout)
    assert src.read_text() == "precious\n" and dst.read_text().startswith("before\n"), r
    if r.rc == 125:
        assert "use a pipe" in r.err, r
    else:
        assert r.rc == 4 and "precious\n" in dst.read_text(), r
    with open(src, mode) as fin, open(dst, "ab") as fout:
        control = user.exec(["sh", "-c", script], cwd=ws, stdin=fin, stdout=fout)
    assert src.read_text() == "evil\n" and not dst.read_text().startswith("before\n"), control


def test_attack_79_a_directory_on_0(run, user, ws, outside):
    user.write(outside / "secret", "x")
    fd = os.open(outside, os.O_RDONLY | os.O_DIRECTORY)
    try:
        r = run("touch witness; cat /proc/self/fd/0/secret", DEGRADED, stdin=fd)
    finally:
        os.close(fd)
    refused(r, ws)


# -- Settings that refuse user namespaces

class Setting:
    def __init__(self, name):
        self.path = pathlib.Path("/proc/sys") / name.replace(".", "/")
        self.name, self.before = name, self.path.read_text()

    def __enter__(self):
        self.path.write_text("0")
        return self

    def __exit__(self, *_):
        self.path.write_text(self.before)


@pytest.mark.parametrize("name,mend", [("kernel.unprivileged_userns_clone", 1), ("user.max_user_namespaces", 10000)])
def test_user_namespaces_switched_off(run, user, ws, doctor, root_user, name, mend):
    command = f"{'' if user.is_root else 'sudo '}sysctl -w {name}={mend}"
    with Setting(name):
        if user.is_root and name.startswith("kernel."):
            assert run(["true"], DEGRADED).rc == 0, "root is not meant"
            return
        r = run(["touch", "witness"], DEGRADED)
        refused(r, ws)
        assert "layer 'userns' is missing: clone into new namespaces: " in r.err and f" Mend: {command}. See" in r.err, r
        rc, facts = doctor("userns")
        assert rc == 1 and facts["userns"]["mend"] == command, facts
        # as it stands, by root
        found = re.search(r"Mend: (?:sudo )?(.*?)\. See", r.err)
        assert found and root_user.exec(["sh", "-c", found.group(1)]).rc == 0
        assert run(["touch", "mended"], DEGRADED).rc == 0 and (ws / "mended").exists()
        assert doctor("userns")[0] == 0
