# SPDX-License-Identifier: Apache-2.0
"""
A layer that is missing is a refusal that names it, or a named loss. Never a silent one.

Each case takes one mechanism away from outside bailey, by ../shim/deny or by the state of the surroundings.
"""
import os
import pathlib
import shutil

import pytest

from conftest import BAILEY, PYTHON, skip

# What a whole sandbox must show; prints the names of what does not hold.
WHOLE = """
import ctypes, errno, os, socket
libc = ctypes.CDLL(None, use_errno=True)
status = dict(l.rstrip('\\n').split(':\\t', 1) for l in open('/proc/self/status') if ':\\t' in l)
bad = []
def must(name, ok):
    if not ok: bad.append(name)
def fails(f):
    try: f()
    except OSError: return True
    return False
must('nnp', status['NoNewPrivs'] == '1')
must('seccomp', status['Seccomp'] == '2')
must('seccomp-unshare', libc.unshare(0x10000000) < 0)
must('caps', int(status['CapEff'], 16) == int(status['CapBnd'], 16) == int(status['CapPrm'], 16) == 0)
must('rootfs', fails(lambda: open(os.environ['HOME'] + '/evil', 'w')) and fails(lambda: open('/etc/evil', 'w')))
must('netns', [n for i, n in socket.if_nameindex()] == ['lo'])
must('pidns', len([p for p in os.listdir('/proc') if p.isdigit()]) < 5)
must('tmp', os.listdir('/tmp') == [])
must('mount', libc.mount(b'none', b'/tmp', b'tmpfs', 0, None) < 0)
must('workspace', not fails(lambda: open('ok', 'w')))
print('bad', *bad)
"""

# (layer, what is taken away). Each layer can be given up by name.
OPTIONAL = [
    ("landlock", "landlock_create_ruleset=ENOSYS"),
    ("landlock", "landlock_create_ruleset=EOPNOTSUPP"),
    ("seccomp", "seccomp=ENOSYS,prctl@0:22=EINVAL"),
    ("seccomp", "seccomp=EINVAL,prctl@0:22=EINVAL"),
    ("overlay", "mount=EINVAL"),
    ("overlay", "mount=ENODEV"),
]
# The boundary stands on these: bailey finds another way that is whole, or refuses.
NEEDED = [
    "landlock_restrict_self=EPERM",
    "openat2=ENOSYS",
    "clone3=EPERM",
    "clone3=ENOSYS",
    "unshare=EPERM,clone3=EPERM,clone@0&0x7e020000=EPERM",
    "unshare=ENOSPC,clone3=ENOSPC,clone@0&0x7e020000=ENOSPC",
    "unshare@0&0x40000000=EPERM,clone@0&0x40000000=EPERM,clone3=ENOSYS",
    "unshare@0&0x20000000=EPERM,clone@0&0x20000000=EPERM,clone3=ENOSYS",
    "mount_setattr=ENOSYS",
    "mount_setattr=EPERM",
    "open_tree=EPERM",
    "move_mount=EPERM",
    "fsopen=EPERM",
    "capset=EPERM",
    "prctl@0:38=EPERM",
    "prctl@0:24=EPERM",
    "prctl@0:4=EPERM",
    "close_range=ENOSYS",
    "socket=EMFILE",
    "mknodat=EPERM,mknod=EPERM",
]


def named(layer, text):
    words = {"userns": ("userns", "user namespace"), "proc": ("proc",), "ids": ("ids", "idmap")}
    return any(w in text.lower() for w in words.get(layer, (layer,)))


def refused(r, ws):
    """Exit 125, one line (after notices), and the command never existed."""
    assert r.rc == 125, r
    assert r.out == ""
    lines = [li for li in r.err.splitlines() if not li.startswith("bailey: notice:")]
    assert len(lines) == 1 and lines[0].startswith("bailey: "), r
    assert not (ws / "witness").exists()


@pytest.fixture
def denied(bailey, deny, user, ws):
    """bailey run, with RULES of the shim in force."""

    def call(rules, cmd, *opts):
        return user.exec([deny, rules, "--", BAILEY, "run", *opts, "--", *cmd], cwd=ws)

    return call


def test_the_shim_does_what_it_says(deny, user, ws):
    code = "import ctypes; l = ctypes.CDLL(None, use_errno=True); print(l.syscall(444, 0, 0, 1), ctypes.get_errno(), l.syscall(444, 0, 0, 0), ctypes.get_errno())"
    control = user.exec([PYTHON, "-c", code], cwd=ws).out.split()
    assert user.exec([deny, "landlock_create_ruleset=ENOSYS", PYTHON, "-c", code], cwd=ws).out.split() == ["-1", "38", "-1", "38"]
    part = user.exec([deny, "landlock_create_ruleset@2:1=EBUSY", "--", PYTHON, "-c", code], cwd=ws).out.split()
    assert part[:2] == ["-1", "16"] and part[2] == control[2]
    part = user.exec([deny, "444@2&1=EBUSY", "--", PYTHON, "-c", code], cwd=ws).out.split()
    assert part[:2] == ["-1", "16"] and part[2] == control[2]
    assert user.exec([deny, "no_such_call=EPERM", "true"], cwd=ws).rc == 99


def test_the_whole_check_is_clean_without_the_shim(run):
    r = run([PYTHON, "-c", WHOLE])
    assert r.out == "bad\n", r


def test_the_whole_check_sees_a_missing_sandbox(user, ws):
    r = user.exec([PYTHON, "-c", WHOLE], cwd=ws)
    words = set(r.out.split())
    for name in ("/etc/evil", user.home / "evil", ws / "ok"):
        if os.path.exists(name):
            os.unlink(name)
    # not pidns: the tests may run in a pid namespace themselves
    assert {"nnp", "seccomp", "netns"} <= words, r


@pytest.mark.parametrize("layer,rules", OPTIONAL)
def test_missing_layer_is_refused(denied, ws, layer, rules):
    r = denied(rules, ["touch", "witness"])
    refused(r, ws)
    assert named(layer, r.err), r.err
    assert f"--allow-degraded={layer}" in r.err, "the way on"


@pytest.mark.parametrize("layer,rules", OPTIONAL)
def test_missing_layer_can_be_given_up(denied, ws, layer, rules):
    r = denied(rules, [PYTHON, "-c", WHOLE], f"--allow-degraded={layer}")
    assert r.rc == 0, r
    assert named(layer, r.bailey_err), "the lost layer is named"
    # Only what the layer gives may be missing. With seccomp go the calls it refused, not the privileges.
    lost = set(r.out.split()[1:])
    assert lost <= ({"seccomp", "seccomp-unshare"} if layer == "seccomp" else set()), r


@pytest.mark.parametrize("layer,rules", OPTIONAL)
def test_giving_up_another_layer_does_not_help(denied, ws, layer, rules):
    other = "proc" if layer != "proc" else "ids"
    refused(denied(rules, ["touch", "witness"], f"--allow-degraded={other}"), ws)


def test_several_layers_can_be_given_up(denied):
    r = denied("landlock_create_ruleset=ENOSYS,mount=EINVAL", [PYTHON, "-c", WHOLE], "--allow-degraded=landlock", "--allow-degraded=overlay")
    assert r.out == "bad\n", r
    assert "landlock" in r.bailey_err and "overlay" in r.bailey_err


def test_an_allowed_loss_that_did_not_happen_is_not_reported(run):
    r = run(["true"], "--allow-degraded=landlock", "--allow-degraded=overlay")
    assert (r.rc, r.command_err) == (0, "")
    assert "landlock" not in r.err and "overlay" not in r.err


@pytest.mark.parametrize("rules", NEEDED)
def test_needed_mechanism_missing(denied, ws, rules):
    r = denied(rules, ["sh", "-c", 'echo x > witness; exec "$0" -c "$1"', PYTHON, WHOLE])
    if r.rc == 0:
        assert r.out == "bad\n", r
    else:
        refused(r, ws)


@pytest.mark.parametrize("layer", ["userns", "netns", "caps", "nnp", "rootfs", "all", ""])
def test_other_layers_cannot_be_given_up(bailey, ws, layer):
    r = bailey(["run", f"--allow-degraded={layer}", "--", "touch", "witness"], cwd=ws)
    assert r.rc == 2, r
    assert not (ws / "witness").exists()


def test_without_user_namespaces(user, ws, bailey):
    # A namespace of the test's own, in which no further one can be made.
    script = f"echo 0 > /proc/sys/user/max_user_namespaces && exec '{BAILEY}' run -- touch witness"
    control = user.exec(["unshare", "-U", "-r", "true"], cwd=ws)
    if control.rc:
        skip(f"no user namespaces to nest in: {control.err}")
    r = user.exec(["unshare", "-U", "-r", "sh", "-c", script], cwd=ws)
    refused(r, ws)
    # "root" of that namespace: the switch that the doctor names, and no other
    assert "layer 'userns' is missing" in r.err and " Mend: sysctl -w user.max_user_namespaces=10000. See: bailey doctor userns" in r.err, r.err
    assert "unprivileged_userns_clone" not in r.err


def test_without_network_namespaces(user, ws, bailey):
    script = f"echo 0 > /proc/sys/user/max_net_namespaces && exec '{BAILEY}' run -- touch witness"
    r = user.exec(["unshare", "-U", "-r", "sh", "-c", script], cwd=ws)
    refused(r, ws)
    assert "net" in r.err, r.err


def in_masked_proc(user, ws, *opts, cmd=("touch", "witness")):
    """Run where a mount covers a part of /proc: the kernel then refuses a fresh proc in a user namespace."""
    script = 'mount --bind /dev/null /proc/version && exec setpriv --reuid "$0" --regid "$1" --clear-groups "${@:2}"'
    # a whole one that stands anywhere else would do for the kernel
    others = "for at in $(awk '$3 == \"proc\" && $2 != \"/proc\" { print $2 }' /proc/mounts); do umount -l $at; done; "
    argv = ["unshare", "-m", "bash", "-c", others + script, str(user.uid), str(user.gid), str(BAILEY), "run", *opts, "--", *cmd]
    root = type(user)("root", 0, 0, user.home, user.base)
    root.environ = user.environ
    return root.exec(argv, cwd=ws)


@pytest.fixture
def masked(user, ws, bailey):
    if os.geteuid() != 0:
        skip("masking /proc needs root")
    return lambda *opts, **kw: in_masked_proc(user, ws, *opts, **kw)


def test_masked_proc_is_refused(masked, ws):
    r = masked()
    refused(r, ws)
    assert named("proc", r.err) and "--allow-degraded=proc" in r.err, r.err
    assert "podman: --security-opt unmask=ALL; docker: --security-opt systempaths=unconfined" in r.err, r.err


def test_masked_proc_can_be_given_up(masked):
    # No /proc at all, never the outer one.
    r = masked("--allow-degraded=proc", cmd=["sh", "-c", "ls -A /proc; echo x > ok; echo x > /etc/evil"])
    assert r.out == "", r
    assert named("proc", r.bailey_err)
    assert "Read-only" in r.err or "denied" in r.err


def test_overlay_lost_and_the_hosts_tmp(denied, user):
    """It is shown, not what is staged there, and what is hidden in it can't be read."""
    d = user.mkdir(pathlib.Path(f"/tmp/bailey-lost{os.getpid()}"))
    try:
        user.write(d / "plain", "plain\n")
        user.write(d / "secret", "secret\n")
        words = ["sh", "-c", f"cat {d}/plain {d}/secret; ls /tmp/h; touch {d}/new /tmp/new-{os.getpid()}; cat /tmp/../{d}/secret"]
        opts = ["--allow-read", "/tmp", "--hide", d / "secret"]
        for rules in ("mount=EINVAL", "mknod=EPERM,mknodat=EPERM"):
            r = denied(rules, words, "--allow-degraded=overlay", *opts)
            assert r.rc != 125 and r.out == "plain\n" and "overlay" in r.bailey_err, r
            assert sorted(p.name for p in d.iterdir()) == ["plain", "secret"], r
    finally:
        shutil.rmtree(d)


def test_landlock_without_scopes_judges_files_all_the_same(bailey, deny, user, ws, outside):
    """ABI 2 to 5, in the host's network: what is given up is that abstract sockets are kept out."""
    dst = user.write(outside / "out")
    words = [deny, "landlock_create_ruleset@2:1=+5", "--", BAILEY, "run", "--network", "host"]
    r = user.exec([*words, "--", "true"], cwd=ws)
    assert r.rc == 125 and "landlock" in r.err, r
    with open(dst, "ab") as f:
        r = user.exec([*words, "--allow-degraded=landlock", "--", "sh", "-c", "echo one; echo evil > /proc/self/fd/1; readlink /proc/self/fd/1"], cwd=ws, stdout=f)
    assert r.rc == 0 and "landlock" in r.bailey_err, r
    assert dst.read_text() == f"one\n{dst}\n", (dst.read_text(), r)


def test_landlock_lost_streams_travel_through_pipes(bailey, deny, user, ws, outside):
    # Re-opening a file of 0-2 through /proc is Landlock's to stop: without it the file must not be there.
    src = user.write(outside / "in", "precious\n")
    dst = user.write(outside / "out", "before\n")
    argv = [deny, "landlock_create_ruleset=ENOSYS", "--", BAILEY, "run", "--allow-degraded=landlock", "--"]
    cmd = ["sh", "-c", "cat; echo evil > /proc/self/fd/0; : > /proc/self/fd/1; readlink /proc/self/fd/0; exit 4"]
    with open(src, "r+b") as fin, open(dst, "ab") as fout:
        r = user.exec([*argv, *cmd], cwd=ws, stdin=fin, stdout=fout)
    assert r.rc == 4, r
    assert src.read_text() == "precious\n"
    got = dst.read_text()
    assert got.startswith("before\nprecious\n") and "pipe:" in got, got


@pytest.mark.parametrize("mode", ["rb", "r+b"])
def test_landlock_lost_and_a_file_as_stdin(bailey, deny, user, ws, outside, mode):
    # Either it runs and the file is out of reach, or it refuses.
    src = user.write(outside / "in", "precious\n")
    argv = [deny, "landlock_create_ruleset=ENOSYS", "--", BAILEY, "run", "--allow-degraded=landlock", "--"]
    with open(src, mode) as f:
        r = user.exec([*argv, "sh", "-c", "cat; echo evil > /proc/self/fd/0; rm /proc/self/fd/0; exit 4"], cwd=ws, stdin=f)
    assert src.read_text() == "precious\n", r
    assert (r.rc, r.out) == (4, "precious\n") or r.rc == 125, r


def test_landlock_lost_and_signals(bailey, deny, user, ws):
    # A process group crosses pid namespaces: kill(0) must not hit who started bailey.
    inner = f"'{deny}' landlock_create_ruleset=ENOSYS -- '{BAILEY}' run --allow-degraded=landlock -- sh -c 'kill -USR1 0; sleep 0.3'"
    r = user.exec(["sh", "-c", f"trap 'echo HIT' USR1; {inner}; echo end"], cwd=ws)
    assert r.out == "end\n", r


def test_root_on_overlayfs_runs_as_the_owner(user, ws, bailey):
    # An overlayfs can't be idmapped: then the workspace's owner is who runs, and it is said.
    if not user.is_root:
        return  # an ordinary user's ids do not depend on the workspace
    lower, upper, work, merged = (user.mkdir(ws / n) for n in ("lower", "upper", "work", "merged"))
    os.chown(upper, 4321, 4321)
    script = (
        f"mount -t tmpfs none '{work}' && mkdir '{work}/u' '{work}/w' && chown 4321:4321 '{work}/u' && "
        f"mount -t overlay overlay -o 'lowerdir={lower},upperdir={work}/u,workdir={work}/w' '{merged}' && cd '{merged}' && "
        f"exec '{BAILEY}' run -- sh -c 'id -u; echo x > f; stat -c %u f'"
    )
    r = user.exec(["unshare", "-m", "sh", "-c", script], cwd=ws)
    assert r.out.split() == ["4321", "4321"], r
    assert "4321" in r.err or "owner" in r.err, r


def test_root_in_a_user_namespace(user, ws, bailey):
    # Root of an outer namespace (a rootless container) has no block of ids to give: it works as one id.
    r = user.exec(["unshare", "-U", "-r", BAILEY, "run", "--", PYTHON, "-c", WHOLE], cwd=ws)
    assert (r.rc, r.out) == (0, "bad\n"), r
