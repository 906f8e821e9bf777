# SPDX-License-Identifier: Apache-2.0
"""
bailey doctor: each fact is forced wrong, and the answer and the exit status follow; the mend that it prints is executed, and they flip back.

Facts are forced by ../shim/deny, or in throw-away namespaces: never on the machine itself.
"""
import grp
import json
import os
import pathlib
import pty
import re
import select
import shlex
import stat
import subprocess

import pytest

from conftest import BAILEY, OWN_ETC, PYTHON, has_own_ids, lacks, skip
from test_degraded import NEEDED, OPTIONAL

CLONE = "clone3=ENOSYS,clone@0&{0:#x}=EPERM,unshare@0&{0:#x}=EPERM"
# fact -> what is taken away
FORCED = {
    "userns": CLONE.format(0x10000000),
    "userns.rights": "chroot=EPERM",
    "userns.nested": "umount2=+0",
    "ns.mount": CLONE.format(0x20000),
    "ns.pid": CLONE.format(0x20000000),
    "ns.pid.end": "prctl@0:1=+0",  # the death signal is never set
    "ns.ipc": CLONE.format(0x8000000),
    "ns.uts": CLONE.format(0x4000000),
    "ns.cgroup": CLONE.format(0x2000000),
    "ns.net": CLONE.format(0x40000000),
    "ids.locks": "fcntl@1:37=EINVAL",  # F_OFD_SETLK
    "openat2": "openat2=ENOSYS",
    "fsopen": "fsopen=EPERM",
    "open-tree": "open_tree=EPERM",
    "mount-setattr": "mount_setattr=ENOSYS",
    "move-mount": "move_mount=EPERM",
    "root-mount": "mount_setattr@2:0x8000=EINVAL",  # AT_RECURSIVE alone: only "/" is changed so
    "in-place": "mount_setattr@2:0=+0",
    "tmpfs": "mount_setattr@2:0x1000=EINVAL",
    "devpts": "ioctl@1:0x40045431=EINVAL",  # TIOCSPTLCK
    "overlay": "mount=ENODEV",
    "overlay.sockets": "connect=+0",
    "overlay.whiteout": "mknodat=EPERM,mknod=EPERM",
    "overlay.upper": "87=EINVAL",  # unlink
    "overlay.remount": "access@1:0=ENODEV",
    "caps": "capset=EPERM",
    "nnp": "prctl@0:38=EPERM",
    "undumpable": "prctl@0:4=EPERM",
    "landlock": "landlock_create_ruleset=ENOSYS",
    "landlock.streams": "76=+0",  # truncate
    "seccomp": "seccomp@0:1=EINVAL",
    "seccomp.notify": "seccomp@1&8=EINVAL",  # SECCOMP_FILTER_FLAG_NEW_LISTENER
    "close-range": "close_range=ENOSYS",
    "sock-diag": "socket@2:4=EPERM",
    "net.anyip": "socket@0:16=EPERM",
    "net.capture": "socket@2:12=EPERM",
    "net.tap": "ioctl@1:0x400454ca=EPERM",  # TUNSETIFF
    "nproc": "prlimit64@1:6=+0",
    "clone3": "clone3=ENOSYS",
    "pidfd": "pidfd_open=ENOSYS",
}
# Forced below, by surroundings.
SURROUNDINGS = {"userns.ids", "ids.block", "ids.ranges", "idmap.root", "idmap.cwd", "idmap.home", "proc", "cgroup", "state-dir", "kvm"}
# Nothing can make a kernel give a second listener: tests/kernel alone pins it.
PINNED = {"seccomp.one"}
# Optional, or what the shim takes is used by the try alone: a run is as good as before.
RUN_WORKS = {"overlay.upper", "seccomp.notify", "sock-diag", "net.anyip", "net.capture", "net.tap", "nproc", "clone3", "pidfd", "devpts", "in-place", "landlock.streams", "ns.pid.end", "ids.locks", "overlay.remount", "userns.rights", "userns.nested"}
KEYS = {"id", "group", "what", "state", "detail", "errno", "required", "feature", "layer", "needs", "mend", "advice"}


def parse(text):
    facts = json.loads(text)
    assert all(set(f) == KEYS for f in facts)
    return {f["id"]: f for f in facts}


@pytest.fixture
def doctor(user, ws):
    """doctor(*WORDS, shim=) -> (exit status, facts by id)."""

    def call(*words, shim=(), **kw):
        kw.setdefault("cwd", ws)
        r = user.exec([*shim, BAILEY, "doctor", "--json", *words], **kw)
        assert r.err == "", r
        return r.rc, parse(r.out)

    return call


def broken(facts):
    return {i for i, f in facts.items() if f["required"] and f["state"] in ("missing", "unknown")}


def test_everything_a_run_needs_is_here(doctor):
    rc, facts = doctor()
    assert rc == 0
    assert not broken(facts)
    assert set(FORCED) | SURROUNDINGS | PINNED == set(facts), "each fact can be forced wrong"


def test_text(user, ws, doctor):
    r = user.exec([BAILEY, "doctor"], cwd=ws)
    assert (r.rc, r.err) == (0, "")
    assert "\033" not in r.out
    for i, f in doctor()[1].items():
        line = next(li for li in r.out.splitlines() if li.startswith(f"  {i} "))
        assert line[20:29].strip() == f["state"] and line[29:].startswith(f["what"]), line
    lines = r.out.splitlines()
    assert any(re.match(r"bailey run works here: all \d+ required facts hold", li) for li in lines[-3:]), lines[-3:]
    assert lines[-1] == "next: bailey run -- make test"


def test_text_of_what_is_missing(user, ws, deny):
    r = user.exec([deny, "mount=ENODEV", "--", BAILEY, "doctor"], cwd=ws)
    assert r.rc == 1, r
    sudo = "" if user.is_root else "sudo "
    lines = r.out.splitlines()
    at = next(n for n, li in enumerate(lines) if li.startswith("  overlay "))
    assert "missing" in lines[at] and "No such device" in lines[at]
    assert lines[at + 1].strip() == f"mend: {sudo}modprobe overlay"
    assert "required facts do not hold" in lines[-2] and lines[-1] == f"next: overlay: {sudo}modprobe overlay"


def test_quiet_prints_only_what_does_not_hold(user, ws, deny):
    r = user.exec([BAILEY, "doctor", "--quiet", "mounts", "seccomp"], cwd=ws)
    assert (r.rc, r.out, r.err) == (0, "", ""), r
    r = user.exec([deny, "mount=ENODEV", "--", BAILEY, "doctor", "--quiet", "overlay"], cwd=ws)
    assert r.rc == 1
    assert r.out.startswith("  overlay ") and "overlay.sockets" in r.out and " ok " not in r.out, r.out
    r = user.exec([BAILEY, "doctor", "--quiet", "--json", "seccomp"], cwd=ws)
    assert (r.rc, json.loads(r.out)) == (0, [])


def on_a_terminal(user, argv, **env):
    master, slave = pty.openpty()
    proc = user.popen(argv, stdin=slave, stdout=slave, stderr=slave, env=env)
    os.close(slave)
    out = b""
    while select.select([master], [], [], 20)[0]:
        try:
            data = os.read(master, 65536)
        except OSError:
            break
        if not data:
            break
        out += data
    os.close(master)
    proc.wait(20)
    return out.decode()


def test_colour_only_on_terminals(user):
    argv = [BAILEY, "doctor", "seccomp"]
    assert "\033[32mok" in on_a_terminal(user, argv, TERM="xterm")
    assert "\033" not in on_a_terminal(user, argv, TERM="dumb")
    assert "\033" not in on_a_terminal(user, argv, TERM="xterm", NO_COLOR="1")


@pytest.mark.parametrize("word,some,others", [
    ("userns", {"userns", "userns.ids", "userns.rights", "userns.nested"}, {"ns.net"}),
    ("netns", {"ns.net"}, {"userns"}),
    ("network", {"net.capture", "sock-diag"}, {"userns"}),
    ("proc", {"proc"}, {"nproc"}),
])
def test_words_choose(doctor, word, some, others):
    _, facts = doctor(word)
    assert some <= set(facts) and not others & set(facts)


@pytest.mark.parametrize("words", [["no-such-fact"], ["--no-such-option"], ["--json=1"], ["user"], [""]])
def test_wrong_words(user, ws, words):
    r = user.exec([BAILEY, "doctor", *words], cwd=ws)
    assert (r.rc, r.out) == (2, "") and len(r.err.splitlines()) == 1, r


def test_help(user, ws):
    r = user.exec([BAILEY, "doctor", "--help"], cwd=ws)
    assert r.rc == 0 and "--json" in r.out and "--quiet" in r.out and "Exit status" in r.out
    assert user.exec([BAILEY, "help", "doctor"], cwd=ws).out == r.out
    assert "doctor" in user.exec([BAILEY, "help"], cwd=ws).out


def test_leaves_nothing_behind(user, ws, doctor):
    def look():
        groups = subprocess.run(["find", "/sys/fs/cgroup", "-name", "bailey-doctor*"], capture_output=True, text=True).stdout
        mounts = pathlib.Path("/proc/self/mountinfo").read_text()
        here = sorted(os.listdir(ws)), sorted(os.listdir(user.home)), sorted(p for p in os.listdir("/") if "bailey-doctor" in p)
        left = [p for p in pathlib.Path("/proc").glob("[0-9]*/cmdline") if os.fsencode(BAILEY) + b"\0doctor" in read(p)]
        return groups, mounts, here, left

    before = look()
    assert doctor()[0] == 0
    after = look()
    assert after[0] == "" and after[2:] == before[2:]


def read(path):
    try:
        return path.read_bytes()
    except OSError:
        return b""  # gone meanwhile


def test_a_try_that_hangs_is_unknown(user, ws, deny):
    # waitid answers 0 at once and says nothing has ended: nothing ever does
    r = user.exec([deny, "247=+0", "--", BAILEY, "doctor", "--json", "nnp"], cwd=ws)
    fact = parse(r.out)["nnp"]
    assert (r.rc, fact["state"], fact["detail"]) == (1, "unknown", "no answer in 3 seconds")
    assert r.secs < 15


@pytest.fixture
def tun():
    """/dev/net/tun as udev makes it; where nothing but the kernel has made it, only root can open it."""
    mode = stat.S_IMODE(os.stat("/dev/net/tun").st_mode)
    if os.geteuid() == 0 and mode != 0o666:
        os.chmod("/dev/net/tun", 0o666)
    yield mode
    if os.geteuid() == 0:
        os.chmod("/dev/net/tun", mode)


def test_a_tap_device_that_only_root_can_open(doctor, tun):
    """The mend command is said, and flips the answer; tests run as root, who can."""
    if os.geteuid() != 0:
        skip("changes the mode of /dev/net/tun: root only")
    os.chmod("/dev/net/tun", 0o600)
    _, facts = doctor("net.tap")
    mend = facts["net.tap"]["mend"].removeprefix("sudo ")
    assert (facts["net.tap"]["state"], mend) == ("missing", "chmod 0666 /dev/net/tun"), facts["net.tap"]
    subprocess.run(mend.split(), check=True)
    _, facts = doctor("net.tap")
    assert facts["net.tap"]["state"] == "ok", facts["net.tap"]


NO_TUN = """
set -e
mount -t tmpfs none /dev
ask() { setpriv --reuid $2 --regid $3 --clear-groups "$1" doctor --json net.tap || true; }
ask "$@"
eval "$4"
ask "$@"
"""


def test_a_tap_device_that_is_not_there(user, ws):
    """In a mount namespace of the test's own."""
    if os.geteuid() != 0:
        skip("takes /dev away: root only")
    mend = "sh -c 'mkdir -p /dev/net && mknod -m 0666 /dev/net/tun c 10 200'"
    argv = ["unshare", "-m", "sh", "-c", NO_TUN, "sh", str(BAILEY), str(user.uid), str(user.gid), mend]
    r = subprocess.run(argv, cwd=ws, env=user.environ(), capture_output=True, text=True, timeout=60)
    answers = [parse(part)["net.tap"] for part in r.stdout.replace("]\n[", "]\0[").split("\0")]
    assert r.returncode == 0 and len(answers) == 2, r
    assert (answers[0]["state"], answers[0]["mend"].removeprefix("sudo ")) == ("missing", mend), answers
    assert answers[1]["state"] == "ok", answers


@pytest.mark.parametrize("fact", sorted(FORCED))
def test_forced_wrong(doctor, deny, fact, request):
    if fact == "net.tap":
        request.getfixturevalue("tun")
    rc, facts = doctor(fact, shim=[deny, FORCED[fact], "--"])
    f = facts[fact]
    assert f["state"] == "missing", f
    assert rc == (1 if f["required"] else 0)
    assert f["mend"] or f["advice"], "what to do"
    # and the same words without the shim
    rc, facts = doctor(fact)
    assert (rc, facts[fact]["state"]) == (0, "ok"), facts[fact]
    assert facts[fact]["mend"] is None and facts[fact]["advice"] is None


def test_what_needs_a_missing_fact_is_unknown(doctor, deny):
    rc, facts = doctor(shim=[deny, FORCED["userns"], "--"])
    assert rc == 1
    for f in facts.values():
        if f["needs"] and facts[f["needs"]]["state"] in ("missing", "unknown"):
            assert f["state"] == "unknown" and f["needs"] in f["detail"], f
    assert facts["proc"]["state"] == "unknown" and facts["nnp"]["state"] == "ok"


RULES = sorted({*NEEDED, *(rules for _, rules in OPTIONAL), *(FORCED[f] for f in FORCED if f not in RUN_WORKS)})


@pytest.mark.parametrize("rules", RULES)
def test_a_refusal_is_explained(user, ws, bailey, doctor, deny, rules):
    # What a run refuses for, the doctor finds; and what the doctor finds missing, a run refuses for.
    run = user.exec([deny, rules, "--", BAILEY, "run", "--", "touch", "witness"], cwd=ws)
    rc, facts = doctor(shim=[deny, rules, "--"])
    if run.rc == 0 and broken(facts) == {"overlay.whiteout"}:
        return  # this caller has nothing to hide
    assert (run.rc, rc) in ((0, 0), (125, 1)), (run, broken(facts))
    if run.rc == 0:
        return
    assert not (ws / "witness").exists()
    named = re.search(r"See: bailey doctor (\S+)$", run.err.strip())
    if named:
        rc, facts = doctor(named.group(1), shim=[deny, rules, "--"])
        assert rc == 1, (run.err, facts)


@pytest.mark.parametrize("abi,state,lost", [(1, "missing", "renames"), (2, "degraded", "truncation"), (3, "degraded", "scopes"), (6, "ok", None)])
def test_landlock_abi(doctor, deny, user, ws, bailey, abi, state, lost):
    shim = [deny, f"landlock_create_ruleset@2:1=+{abi}", "--"]
    rc, facts = doctor("landlock", shim=shim)
    f = facts["landlock"]
    assert f["state"] == state and f"ABI {abi}" in f["detail"] and (lost or "") in f["detail"], f
    assert rc == (1 if state == "missing" else 0)
    r = user.exec([*shim, BAILEY, "run", "--", "true"], cwd=ws)
    assert r.rc == (125 if state == "missing" else 0), r


def test_landlock_without_a_rule_for_truncation(deny, user, ws, outside, bailey):
    # An unlinked file has no name to open it anew by: below ABI 3 nothing keeps its owner from truncating it by /proc.
    def run(abi, *cmd):
        path = user.write(outside / "gone", "precious\n")
        with open(path, "rb") as f:
            path.unlink()
            shim = [deny, f"landlock_create_ruleset@2:1=+{abi}", "--"]
            r = user.exec([*shim, BAILEY, "run", "--", *cmd], cwd=ws, stdin=f)
            return r, os.fstat(f.fileno()).st_size

    attack = [PYTHON, "-c", "import os\ntry: os.truncate('/proc/self/fd/0', 0)\nexcept OSError as e: print(e.errno)"]
    if has_own_ids(user, ws):
        r, size = run(2, *attack)  # an id of its own has no right to the file, by its mode
        assert (r.rc, r.out, size) == (0, "13\n", 9), r
        return
    r, size = run(2, "touch", "witness")
    assert r.rc == 125 and "use a pipe" in r.err and "ABI 2" in r.err and not (ws / "witness").exists(), r
    r, size = run(3, *attack)
    assert (r.rc, r.out, size) == (0, "13\n", 9), r
    r, _ = run(3, "cat")
    assert r.out == "precious\n", "reading it is allowed"
    with open(user.write(outside / "named", "precious\n"), "rb") as f:
        r = user.exec([deny, "landlock_create_ruleset@2:1=+2", "--", BAILEY, "run", "--", *attack], cwd=ws, stdin=f)
        assert (r.rc, r.out, os.fstat(f.fileno()).st_size) == (0, "30\n", 9), "opened anew on a read-only mount"


# -- Surroundings, and the mend executed in them

MEND = "import json, sys; f = [f for f in json.load(open(sys.argv[1])) if f['id'] == sys.argv[2]][0]; print(f['mend'] or '')"
SCRIPT = """
set -e
fact=$1 out=$2; shift 2
exec 9>&1 >&2
{prep}
rc=0; "$@" {env} '{bailey}' doctor --json "$fact" > "$out/before" || rc=$?
echo $rc >&9
mend=$('{python}' -c "$MEND" "$out/before" "$fact")
[ -n "$mend" ]
sh -c "${{mend#sudo }}" </dev/null
rc=0; "$@" {env} '{bailey}' doctor --json "$fact" > "$out/after" || rc=$?
echo $rc >&9
"""


@pytest.fixture
def mended(user, ws, root_user):
    """mended(FACT, PREP, ...) -> [(exit status, fact)] before and after its mend, in namespaces of root's own (or of the caller's)."""

    def call(fact, prep, own=False, env="", cwd=None):
        script = SCRIPT.format(prep=prep, bailey=BAILEY, python=PYTHON, env=env)
        argv = ["bash", "-c", script, "mend", fact, str(ws)]
        if own:
            argv = ["unshare", "-U", "-r", "-m", *argv, "env"]
            r = user.exec(argv, cwd=cwd or ws, env={"MEND": MEND})
        else:
            if os.geteuid() != 0:
                skip("to change the surroundings needs root")
            argv = ["unshare", "-m", *argv, "setpriv", f"--reuid={user.uid}", f"--regid={user.gid}", "--init-groups", "env"]
            r = root_user.exec(argv, cwd=cwd or ws, env={"MEND": MEND, **user.environ()})
        assert r.rc == 0, r
        before, after = (parse((ws / name).read_text())[fact] for name in ("before", "after"))
        first, second = (int(n) for n in r.out.split())
        assert before["mend"].startswith("sudo ") == (not own and not user.is_root)
        return [(first, before), (second, after)]

    return call


@pytest.mark.parametrize("kind,fact", [("user", "userns"), ("mnt", "ns.mount"), ("pid", "ns.pid"), ("ipc", "ns.ipc"), ("uts", "ns.uts"),
                                       ("cgroup", "ns.cgroup"), ("net", "ns.net")])
def test_limits_of_namespaces(mended, kind, fact):
    (rc, before), (rc2, after) = mended(fact, f"echo 0 > /proc/sys/user/max_{kind}_namespaces", own=True)
    assert (rc, before["state"]) == (1, "missing") and f"sysctl -w user.max_{kind}_namespaces=" in before["mend"], before
    assert (rc2, after["state"]) == (0, "ok"), after


def test_masked_proc(mended):
    (rc, before), (rc2, after) = mended("proc", "mount --bind /dev/null /proc/version")
    assert (rc, before["state"]) == (1, "missing") and "unmask=ALL" in before["advice"], before
    assert (rc2, after["state"]) == (0, "ok"), after


@pytest.mark.parametrize("user", ["user"], indirect=True)  # who is root writes the maps from outside, by the /proc of a container that may do so
def test_read_only_proc(mended, user):
    (rc, before), (rc2, after) = mended("userns.ids", "mount -o remount,bind,ro /proc")
    assert (rc, before["state"]) == (1, "missing") and "Read-only" in before["detail"], before
    assert (rc2, after["state"]) == (0, "ok"), after


@pytest.mark.parametrize("user", ["root"], indirect=True)  # what a user can have, systemd must give
def test_cgroups_come_back(mended, user):
    (_, before), (_, after) = mended("cgroup", "mount -t tmpfs none /sys/fs/cgroup")
    assert before["state"] == "missing" and "no hierarchy is mounted" in before["detail"], before
    assert after["state"] == "ok", after


@pytest.mark.parametrize("rules", ["", "mkdir=EACCES,mkdirat=EACCES"])
def test_hard_limits_are_where_the_doctor_finds_groups(doctor, user, ws, bailey, deny, rules):
    shim = [deny, rules, "--"] if rules else []
    _, facts = doctor("cgroup", shim=shim)
    r = user.exec([BAILEY, "run", "--memory", "256m", "--pids", "100", "--cpus", "1", "--", "true"], cwd=ws)
    if rules:
        assert facts["cgroup"]["state"] == "missing" and facts["cgroup"]["advice"], facts
    else:
        assert ("soft" in r.bailey_err) == (facts["cgroup"]["state"] != "ok"), (r, facts)


@pytest.mark.parametrize("user", ["user"], indirect=True)  # root needs none
def test_ranges_of_ids(mended, user):
    if not os.path.exists("/usr/bin/newuidmap"):
        skip("uidmap is not installed")
    prep = f"{OWN_ETC}; sed -i '/^{user.name}:/d' /etc/subuid /etc/subgid; echo other:300000:65536 >> /etc/subgid"
    (rc, before), (rc2, after) = mended("ids.ranges", prep)
    assert (rc, before["state"]) == (0, "missing") and "--add-subuids" in before["mend"], before
    firsts = [int(n) for n in re.findall(r"--add-sub.ids (\d+)-", before["mend"])]
    assert len(firsts) == 2 and min(firsts) >= 365536, "nobody else's range"
    assert (rc2, after["state"]) == (0, "ok"), after


@pytest.mark.parametrize("user", ["user"], indirect=True)  # root needs none
def test_newuidmap_is_not_installed(user, root_user, ws):
    if os.geteuid() != 0:
        skip("to change the surroundings needs root")
    prep = "mount -t tmpfs none /mnt; mknod /mnt/newuidmap c 0 0; mount -t overlay none -o lowerdir=/mnt:/usr/bin /usr/bin"
    ids = f"setpriv --reuid={user.uid} --regid={user.gid} --init-groups"
    r = root_user.exec(["unshare", "-m", "bash", "-ec", f"{prep}; exec {ids} '{BAILEY}' doctor --json ids.ranges"], cwd=ws, env=user.environ())
    fact = parse(r.out)["ids.ranges"]
    assert r.rc == 0 and fact["state"] == "missing" and fact["mend"] == "sudo apt-get install -y uidmap", r


@pytest.mark.parametrize("user", ["user"], indirect=True)  # root needs none
def test_a_planted_newuidmap_is_not_run(doctor, user, ws, outside):
    """A PATH that leads through a workspace (.venv/bin): what is executed there would be outside."""
    for name in ("newuidmap", "newgidmap"):
        user.write(ws / name, f"#!/bin/sh\necho $0 > {outside}/ran\nexec /usr/bin/{name} \"$@\"\n").chmod(0o755)
    control = user.exec(["sh", "-c", "newuidmap 2>&1"], cwd=ws, env={"PATH": f"{ws}:/usr/bin:/bin"})
    assert (outside / "ran").exists(), control
    (outside / "ran").unlink()
    _, facts = doctor("ids.ranges", env={"PATH": f"{ws}:/usr/bin:/bin"})
    assert facts["ids.ranges"]["state"] == "ok" and not (outside / "ran").exists(), facts


@pytest.mark.parametrize("user", ["user"], indirect=True)  # root can write everywhere that is writable
def test_state_directory(mended, user, ws, outside):
    prep = f"mkdir -m 755 {shlex.quote(str(outside))}/st; chown 0:0 {shlex.quote(str(outside))}/st"
    (rc, before), (rc2, after) = mended("state-dir", prep, env=f"XDG_STATE_HOME={shlex.quote(str(outside))}/st")
    assert (rc, before["state"]) == (0, "missing") and "Permission denied" in before["detail"], before
    assert after["state"] in ("ok", "degraded") and rc2 == 0, after


@pytest.mark.parametrize("size,state", [("8m", "missing"), ("200m", "degraded")])
def test_little_room(user, ws, size, state):
    script = f"mount -t tmpfs -o size={size} none '{ws}' && XDG_STATE_HOME='{ws}' exec '{BAILEY}' doctor --json state-dir"
    r = user.exec(["unshare", "-U", "-r", "-m", "sh", "-c", script], cwd=ws)
    assert r.rc == 0 and parse(r.out)["state-dir"]["state"] == state, r


@pytest.mark.parametrize("user", ["user"], indirect=True)  # root opens every device
@pytest.mark.parametrize("group", ["named", "nameless"])
def test_kvm_needs_the_group(mended, user, group):
    """The device's own group, whatever its name; one without a name, as in a container, gets one."""
    if not os.path.exists("/dev/kvm"):
        lacks("/dev/kvm")
    st = os.stat("/dev/kvm")
    gid = st.st_gid
    if gid == 0 or st.st_mode & 0o066 != 0o060:
        lacks("a group for /dev/kvm")
    prep, mend = {
        "named": (f"grep -q :{gid}: /etc/group || echo bailey-kvm:x:{gid}: >> /etc/group", f"usermod -a -G {{}} {user.name}"),
        "nameless": (f"sed -i /:{gid}:/d /etc/group", f"sh -c 'groupadd -g {gid} kvm-{gid} && usermod -a -G kvm-{gid} {user.name}'"),
    }[group]
    try:
        name = grp.getgrgid(gid).gr_name
    except KeyError:
        name = "bailey-kvm"
    (_, before), (_, after) = mended("kvm", f"{OWN_ETC}; {prep}")
    assert before["state"] == "missing" and before["mend"] == "sudo " + mend.format(name), before
    assert after["state"] in ("ok", "degraded"), after


def test_root_of_a_container(user, ws):
    # It has no ids to give away: runs work as one id, and the fact says so.
    r = user.exec(["unshare", "-U", "-r", BAILEY, "doctor", "--json"], cwd=ws)
    facts = parse(r.out)
    assert r.rc == 0, broken(facts)
    assert {facts[i]["state"] for i in ("ids.block", "idmap.root", "idmap.cwd", *(["idmap.home"] if user.is_root else []))} == {"degraded"}
    assert "owner" in facts["ids.block"]["detail"]


@pytest.mark.parametrize("user", ["root"], indirect=True)  # an ordinary user's runs don't need any
def test_idmapped_mounts(user, ws):
    script = (
        f"mount -t tmpfs none '{ws}' && cd '{ws}' && mkdir l u w m && "
        f"mount -t overlay none -o lowerdir=l,upperdir=u,workdir=w m && cd m && exec '{BAILEY}' doctor --json ids"
    )
    facts = parse(user.exec(["unshare", "-m", "sh", "-c", script], cwd=ws).out)
    assert facts["idmap.cwd"]["state"] == "degraded" and "ext4" in facts["idmap.cwd"]["advice"], facts
    for mode, state in (("700", "degraded"), ("711", "ok")):
        closed = parse(user.exec(["unshare", "-m", "sh", "-c", script.replace("exec ", f"chmod {mode} . && cd .. && HOME='{ws}/m' exec ")], cwd=ws).out)
        assert closed["idmap.home"]["state"] == state and closed["idmap.cwd"]["state"] == "ok", closed
    assert facts["idmap.root"]["state"] == parse(user.exec([BAILEY, "doctor", "--json", "ids"], cwd=ws).out)["idmap.root"]["state"]


@pytest.mark.parametrize("user", ["root"], indirect=True)  # an ordinary user's runs don't need any
def test_idmapped_root(doctor, deny, user):
    _, facts = doctor("idmap", shim=[deny, "mount_setattr@2:0x1000=EINVAL", "--"])
    assert facts["idmap.root"]["state"] == "degraded"


def settings(**values):
    """Settings that this kernel does not have: files over /proc/sys/kernel."""
    files = "; ".join(f"echo {v} > /proc/sys/kernel/{k}" for k, v in values.items())
    return f"mount -t tmpfs none /proc/sys/kernel; {files}"


@pytest.mark.parametrize("name,value,rules,fact", [
    ("unprivileged_userns_clone", 0, FORCED["userns"], "userns"),
    ("apparmor_restrict_unprivileged_userns", 1, FORCED["userns.rights"], "userns.rights"),
])
def test_settings_of_other_kernels(user, ws, root_user, deny, name, value, rules, fact):
    # Debian's old patch and Ubuntu's AppArmor are not in this kernel: what is printed is what can be tested.
    if os.geteuid() != 0:
        skip("to mount over /proc/sys needs root")
    script = f"{settings(**{name: value})}; exec setpriv --reuid={user.uid} --regid={user.gid} --clear-groups '{deny}' '{rules}' -- '{BAILEY}' doctor --json"
    r = root_user.exec(["unshare", "-m", "bash", "-c", script], cwd=ws)
    f = parse(r.out)[fact]
    assert (r.rc, f["state"]) == (1, "missing"), f
    sudo = "" if user.is_root else "sudo "
    assert f["mend"] == f"{sudo}sysctl -w kernel.{name}={1 - value}", f
    if value:
        assert str(BAILEY) in f["advice"] and "apparmor_parser -r" in f["advice"] and "userns," in f["advice"]


@pytest.mark.parametrize("name,value,rules,fact", [
    ("unprivileged_userns_clone", 0, FORCED["userns"], "userns"),
    # the namespace is made, and then its id map can't be opened for writing (by glibc or musl): as AppArmor does it
    ("apparmor_restrict_unprivileged_userns", 1, "257@2:0x80001=EPERM,257@2:0x88001=EPERM", "userns.ids"),
])
def test_a_refusal_names_the_setting_that_the_doctor_names(user, ws, root_user, deny, name, value, rules, fact):
    if os.geteuid() != 0:
        skip("to mount over /proc/sys needs root")
    if user.is_root and value:
        return  # AppArmor's switch is for unprivileged callers
    script = f"""
{settings(**{name: value})}
as="setpriv --reuid={user.uid} --regid={user.gid} --clear-groups {deny} {rules} -- {BAILEY}"
$as run -- touch witness 2> err; echo $? > rc
$as doctor --json {fact}
"""
    r = root_user.exec(["unshare", "-m", "bash", "-c", script], cwd=ws, env=user.environ())
    f = parse(r.out)[fact]
    err = (ws / "err").read_text()
    assert (ws / "rc").read_text() == "125\n" and not (ws / "witness").exists(), err
    assert f"kernel.{name}=" in f["mend"] and "layer 'userns' is missing" in err and f" Mend: {f['mend']}. See: bailey doctor userns" in err, (err, f)


def test_a_proc_that_no_root_here_can_unmask(user, ws, root_user):
    # As in a container: without CAP_SYS_ADMIN for anybody there is no command, only the way to start it.
    if os.geteuid() != 0:
        skip("masking /proc needs root")
    ids = f"setpriv --reuid={user.uid} --regid={user.gid} --clear-groups"
    for bounding, mend in (("", True), ("--bounding-set=-sys_admin --inh-caps=-sys_admin", False)):
        script = f"mount --bind /dev/null /proc/version && exec {ids} {bounding} '{BAILEY}' doctor --json proc"
        f = parse(root_user.exec(["unshare", "-m", "bash", "-c", script], cwd=ws).out)["proc"]
        assert f["state"] == "missing" and bool(f["mend"]) == mend, f
        assert "podman run --security-opt unmask=ALL, docker run --security-opt systempaths=unconfined" in f["advice"], f
