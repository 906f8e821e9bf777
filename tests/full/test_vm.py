# SPDX-License-Identifier: Apache-2.0
"""
Another kernel: Debian's own, with cgroup version 2, which this machine's may not offer, and without Landlock, as WSL2's. Heavy: a virtual machine
without hardware virtualization runs programs about 12 times slower.
"""
import json
import os
import pathlib
import subprocess

import pytest

from places import need

PROJECT = pathlib.Path(__file__).resolve().parents[2]
BAILEY = os.environ.get("BAILEY") or str(PROJECT / "build" / "bailey")


PYTEST = ["/usr/bin/python3", "-m", "pytest", "-q", "--tb=short", "--color=no", "-p", "no:cacheprovider"]


@pytest.fixture(autouse=True)
def machine():
    """Root, too: virtiofsd shares the whole tree."""
    need("qemu-system-x86_64", "busybox", "cpio", "modprobe")


def in_vm(*command, timeout, append="", options=(), env=()):
    env = {**dict(env), "BAILEY": BAILEY, "MUST_WORK": os.environ.get("MUST_WORK", "")}
    argv = [PROJECT / "tools" / "vm-run", "--timeout", str(timeout), "--append", append, *options, *(f"--env={name}" for name in env), "--", *command]
    return subprocess.run(argv, cwd=PROJECT, env={**os.environ, **env}, capture_output=True, text=True, timeout=timeout + 60)


def make_disk(path):
    with open(path, "wb") as f:
        f.truncate(256 << 20)
    subprocess.run(["mkfs.ext4", "-q", path], check=True)
    return path


@pytest.mark.parametrize("tests", ["tests/e2e/vm_cgroup2.py", "tests/e2e/test_limits.py"])
def test_limits_with_cgroup_2(tests):
    r = in_vm(*PYTEST, tests, timeout=900)
    print(r.stdout[-20000:], r.stderr[-4000:])
    assert r.returncode == 0


# Callers on a disk, since root is given ids of its own only where mounts can be mapped, and the guest's root is an overlay.
CGROUP_2 = """
mount -t ext4 /dev/vda /srv && mkdir /sys/fs/cgroup/callers && echo '+memory +pids +cpu' > /sys/fs/cgroup/callers/cgroup.subtree_control &&
exec /usr/bin/python3 tests/escape/run.py --cgroup /sys/fs/cgroup/callers --attack 28,29,29b,29c,30,40,41
"""


def test_attacks_on_limits_with_cgroup_2(tmp_path):
    disk = make_disk(tmp_path / "disk")
    r = in_vm("sh", "-c", CGROUP_2, timeout=1800, options=["--disk", disk])
    print(r.stdout[-20000:], r.stderr[-4000:])
    assert r.returncode == 0
    for caller in ("user", "root", "ov"):  # what made it is not watched over by other mechanisms
        assert f"{caller}: 29 anon anon: exit=137" in r.stdout, caller


def test_without_landlock():
    r = in_vm(*PYTEST, "tests/e2e/vm_no_landlock.py", timeout=600, append="lsm=capability,yama,apparmor")
    print(r.stdout[-20000:], r.stderr[-4000:])
    assert r.returncode == 0


# fact -> the mends that follow one another, and what a run says of the layer before the first; tap devices are no run's
MENDS = {
    "overlay": (["modprobe overlay"], "bailey: layer 'overlay' is missing: "),
    "net.capture": (["modprobe -a nf_tables nft_tproxy nft_reject_ipv4 nft_reject_ipv6"], "bailey: layer 'capture' is missing: "),
    "net.tap": (["chmod 0666 /dev/net/tun", "modprobe tun"], ""),
}


def test_mends_that_load_modules():
    """Each fact is missing before, and a run that needs it is refused; after the commands that doctor prints it is ok, and the run works."""
    r = in_vm("/usr/bin/python3", "tests/full/vm_mends.py", timeout=600, options=["--no-overlay"])
    print(r.stdout[-20000:], r.stderr[-4000:])
    assert r.returncode == 0
    seen = [json.loads(line.removeprefix("mends ")) for line in r.stdout.splitlines() if line.startswith("mends ")]
    assert [(uid, fact) for uid, fact, _ in seen] == [(uid, fact) for uid in (65534, 0) for fact in MENDS]
    for uid, fact, steps in seen:
        commands, refusal = MENDS[fact]
        assert [s[1] for s in steps] == [*(f"{'sudo ' if uid else ''}{c}" for c in commands), None], (uid, fact)
        assert [s[0] for s in steps] == ["missing"] * len(commands) + ["ok"], (uid, fact)
        before, after = steps[0], steps[-1]
        assert after[2] == 0, (uid, fact, after)
        assert (before[2], refusal in before[3]) == (125 if refusal else 0, True), (uid, fact, before)


# Two callers with a state on the disk: root, and a user. as NAME WORDS… runs bailey; unit NAME runs what its unit would, as systemd reads that.
DISK = """
set -e
mkdir -p /srv/disk && mount -t ext4 /dev/vda /srv/disk
echo cut:x:4711:4711::/srv/disk/cut:/bin/sh >> /etc/passwd
echo cut:x:4711: >> /etc/group
for f in subuid subgid; do echo cut:700000:65536 >> /etc/$f; done
for n in root cut; do
    mkdir -p /srv/disk/$n/ws && chown -R $n: /srv/disk/$n
done
as() {
    who=$1; shift
    (cd /srv/disk/$who/ws && exec /usr/bin/setpriv --reuid=$who --regid=$who --init-groups env HOME=/srv/disk/$who XDG_STATE_HOME=/srv/disk/$who/state $BAILEY "$@")
}
states() { as $1 ls | sed "s/^/$1 /"; }
"""
# Everything is cut off in the middle of a command: nothing is synced, nobody is told.
CUT_OFF = DISK + """
for who in root cut; do
    as $who create --restart on-failure failure >/dev/null
    as $who create --restart always always >/dev/null
    as $who create no >/dev/null
    for n in failure always no; do as $who exec $n -- true; done
    as $who stop always
    as $who exec failure -- sh -c 'echo begun > begun; exec sleep 1000' &
    until [ -s /srv/disk/$who/ws/begun ]; do sleep 0.2; done
    echo "begun: $who $(as $who ls -q | tr '\n' ' ')"
done
sleep 1
echo b > /proc/sysrq-trigger
sleep 60
"""
AGAIN = DISK + """
states root; states cut
as cut service-unit || echo "refused: $?"
mkdir -p /var/lib/systemd/linger && : > /var/lib/systemd/linger/cut
for who in root cut; do
    as $who service-unit > /run/bailey-$who.service
    grep -E '^(Environment|ExecStart|WantedBy)' /run/bailey-$who.service | sed "s/^/$who unit /"
    eval "/usr/bin/setpriv --reuid=$who --regid=$who --init-groups env -i HOME=/srv/disk/$who $(sed -n 's/^Environment=//p' /run/bailey-$who.service) \
        $(sed -n 's/^ExecStart=//p' /run/bailey-$who.service)"
    states $who
    as $who exec no -- echo "answer $who"
    as $who events failure | sed "s/^/$who event /"
done
"""
BEFORE = [["always", "stopped"], ["failure", "stopped"], ["no", "stopped"]]
AFTER = [["always", "running"], ["failure", "running"], ["no", "stopped"]]


def test_a_machine_that_is_cut_off(tmp_path):
    """
    Sandboxes are there after that, stopped, without anybody mending them; the command of the unit that bailey prints brings up those that are to be:
    root's, and an ordinary user's, who is told first that systemd runs nothing of his unless he lingers.
    """
    disk = make_disk(tmp_path / "disk")
    r = in_vm("sh", "-c", CUT_OFF, timeout=600, options=["--disk", disk])
    print(r.stdout[-20000:], r.stderr[-4000:])
    assert r.returncode == 125 and "begun: root always failure no" in r.stdout and "begun: cut always failure no" in r.stdout
    r = in_vm("sh", "-c", AGAIN, timeout=600, options=["--disk", disk])
    print(r.stdout[-20000:], r.stderr[-4000:])
    assert r.returncode == 0
    lines = [line.split() for line in r.stdout.splitlines()]
    for who, target in (("root", "multi-user.target"), ("cut", "default.target")):
        states = [w[1:3] for w in lines if w[:1] == [who] and w[1:2] in (["failure"], ["always"], ["no"])]
        assert states == BEFORE + AFTER, who
        assert f"answer {who}" in r.stdout and f"{who} unit WantedBy={target}" in r.stdout
        assert any(w[:2] == [who, "event"] and w[-2:] == ["stopped:", "lost"] for w in lines) or f"{who} event" in r.stdout and "stopped: lost" in r.stdout
    assert "loginctl enable-linger cut" in r.stdout and "refused: 125" in r.stdout
