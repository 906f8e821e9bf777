# SPDX-License-Identifier: Apache-2.0
"""
The verification sees what is in force, not what a call answered: here the kernel lies. A call answers 0 and does nothing (../shim/deny), and
the run must be a refusal that names the layer, before anything of the command exists.
"""
import os
import re
import shutil
import tempfile
import threading

import pytest

from conftest import BAILEY, skip

# (what lies, layers of which one must be named; None: refused earlier, by something else)
LIES = [
    ("landlock_restrict_self=+0", {"landlock"}),
    ("mount=+0", {"overlay"}),
    ("setns=+0", {"netns"}),
    ("capset=+0", {"caps"}),
    ("prctl@0:38=+0", {"nnp", "landlock", "seccomp"}),
    ("prctl@0:24=+0", {"caps"}),
    ("seccomp@0:1=+0", {"seccomp"}),
    ("mount_setattr@2:0x8000=+0", {"rootfs"}),
    ("move_mount=+0", None),
]


@pytest.mark.parametrize("rules,layers", LIES)
def test_a_kernel_that_lies(bailey, user, ws, deny, rules, layers):
    if "prctl@0:38" in rules and not user.is_root:
        return  # the shim itself had to set no_new_privs for an ordinary user: that is no lie
    r = user.exec([deny, rules, "--", BAILEY, "run", "--", "touch", "witness"], cwd=ws)
    assert r.rc == 125 and not (ws / "witness").exists(), r
    if layers:
        assert any(f"layer '{layer}'" in r.err for layer in layers), r.err
    # the same run works when nothing lies
    assert bailey(["run", "--", "touch", "witness"], cwd=ws).rc == 0 and (ws / "witness").exists()


@pytest.mark.parametrize("layer,rules", [("landlock", "landlock_restrict_self=+0"), ("overlay", "mount=+0"), ("seccomp", "seccomp@0:1=+0")])
def test_a_lie_is_no_accepted_loss(user, ws, bailey, deny, layer, rules):
    # --allow-degraded accepts a layer that is known to be missing, so that what is left can be arranged for it; not one that pretends.
    r = user.exec([deny, rules, "--", BAILEY, "run", f"--allow-degraded={layer}", "--", "touch", "witness"], cwd=ws)
    assert r.rc == 125 and "does not hold" in r.err and not (ws / "witness").exists(), r


def test_a_host_without_routes_is_not_taken_for_the_sandbox(user, ws, bailey, deny):
    # The network namespace of the test has no route either; the verification must still see that it is not a new one.
    shim = [deny, "setns=+0", "--"]
    r = user.exec(["unshare", "-U", "-r", "-n", *shim, BAILEY, "run", "--", "touch", "witness"], cwd=ws)
    assert r.rc == 125 and "the network is the host's" in r.err and not (ws / "witness").exists(), r
    r = user.exec(["unshare", "-U", "-r", "-n", BAILEY, "run", "--", "true"], cwd=ws)
    assert r.rc == 0, r


def test_refusals_name_the_doctor(user, ws, bailey, deny):
    r = user.exec([deny, "landlock_create_ruleset=ENOSYS", "--", BAILEY, "run", "--", "true"], cwd=ws)
    assert r.rc == 125 and r.err.endswith(". See: bailey doctor landlock\n"), r
    # wrong options have nothing to do with the machine
    r = bailey(["run", "--no-such-option", "--", "true"], cwd=ws)
    assert r.rc == 2 and "doctor" not in r.err


def test_every_layer_has_facts(bailey, ws):
    text = bailey(["run", "--explain", "--", "true"], cwd=ws).out
    names = re.findall(r"^  (\w+) ", text[text.index("\nlayers"):], re.M)
    assert len(names) >= 16
    for name in names:
        r = bailey(["doctor", name], cwd=ws)
        assert r.rc == 0, (name, r)


def test_a_directory_that_goes_away_meanwhile(user, ws, bailey):
    # Planned, and removed by the host before it is shown: nothing is there to show, which is no reason to refuse.
    if os.geteuid() != 0:
        skip("to make directories in / needs root")
    stop = threading.Event()

    def come_and_go():
        while not stop.is_set():
            path = tempfile.mkdtemp(prefix="bailey-e2e-home-", dir="/")
            os.chmod(path, 0o755)  # what can't be searched is not planned
            os.mkdir(path + "/full")
            stop.wait(0.003)
            shutil.rmtree(path)

    thread = threading.Thread(target=come_and_go)
    thread.start()
    try:
        for _ in range(40):
            r = bailey(["run", "--", "true"], cwd=ws)
            assert (r.rc, r.command_err) == (0, ""), r
    finally:
        stop.set()
        thread.join()
