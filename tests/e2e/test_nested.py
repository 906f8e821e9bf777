# SPDX-License-Identifier: Apache-2.0
"""Namespaces and sandboxes of the command's own: --allow-userns, --allow-nested-sandbox, and how policy files treat them."""
import json
import os
import pathlib
import shutil
import subprocess

import pytest

from conftest import BAILEY, counter, file_system, skip, wait_for

BOTH = pytest.mark.parametrize("option", ["--allow-userns", "--allow-nested-sandbox"])
NOTICE = "Landlock judges no files"


@pytest.fixture
def ws(user):
    """A workspace and a home whose owners can be mapped: root's command has the host's id 0 elsewhere, and these options are refused."""
    path = user.mkdir(user.base / f"nested{next(counter)}")
    mounted = {p: mode for p, mode in ((path, "755"), (user.home, "700")) if user.is_root and file_system(p) == "overlayfs"}
    for p, mode in mounted.items():
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"mode={mode}", "tmpfs", p], check=True)
    yield path
    for p in mounted:
        subprocess.run(["umount", "-l", p], check=True)
    shutil.rmtree(path, ignore_errors=True)


def bwrap(ws, script, *options):
    return ["bwrap", "--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc", *options, "--chdir", str(ws), "sh", "-c", script]


def need(program):
    if not shutil.which(program):
        skip(f"not installed: {program}")


# ---- what works ----


@BOTH
def test_user_namespaces(run, option):
    assert run(["unshare", "-U", "true"]).rc != 0
    r = run(["unshare", "-Ur", "sh", "-c", "id -u; cat /proc/self/status | grep CapEff"], option)
    assert r.rc == 0, r
    assert r.out.startswith("0\n") and "CapEff:\t0000000000000000" not in r.out, r


def test_mounts_need_the_larger_option(run):
    mount = ["unshare", "-Urm", "--propagation", "unchanged", "sh", "-c", "mount -t tmpfs none /tmp && touch /tmp/x && echo mounted"]
    assert "mounted" not in run(mount).out
    assert "mounted" not in run(mount, "--allow-userns").out
    r = run(mount, "--allow-nested-sandbox")
    assert r.out == "mounted\n", r


@pytest.mark.parametrize("options", [(), ("--unshare-all",), ("--unshare-all", "--hostname", "inner", "--die-with-parent")])
def test_bwrap(run, user, ws, outside, options):
    need("bwrap")
    user.write(outside / "file", "host\n")
    script = f"cat '{outside}/file'; echo no > '{ws}/inner'; echo no > '{outside}/file'; hostname; touch ok-tmp"
    r = run(bwrap(ws, script, *options), "--allow-nested-sandbox")
    assert r.out.startswith("host\n"), r
    assert not (ws / "inner").exists()  # a read-only bind of its own
    assert (outside / "file").read_text() == "host\n"
    if "--hostname" in options:
        assert "inner" in r.out
    r = run(bwrap(ws, "echo yes > inner && cat inner", "--bind", str(ws), str(ws), *options), "--allow-nested-sandbox")
    assert (r.rc, r.out) == (0, "yes\n"), r
    assert (ws / "inner").read_text() == "yes\n" and (ws / "inner").stat().st_uid == user.uid
    for other in ((), ("--allow-userns",)):  # without the option it is refused
        r = run(bwrap(ws, "echo ran", *options), *other)
        assert r.rc != 0 and "ran" not in r.out, r


def test_own_proc(run):
    need("bwrap")
    r = run(["bwrap", "--ro-bind", "/", "/", "--unshare-all", "--proc", "/proc", "sh", "-c", "ls /proc | grep -c '^[0-9]'; echo x > /proc/sys/kernel/core_pattern"], "--allow-nested-sandbox")
    assert int(r.out) < 6 and r.rc != 0, r


# ---- what holds ----


@BOTH
def test_the_host_stays_read_only(run, user, ws, outside, option):
    user.write(outside / "file", "host\n")
    script = f"mount -o remount,rw,bind /; umount -l /tmp; umount /dev; echo no > '{outside}/file'; echo no > /etc/bailey-nested; echo no > /tmp/x && echo tmp"
    r = run(["unshare", "-Urm", "--propagation", "unchanged", "sh", "-c", script], option)
    assert r.out == "tmp\n", r
    assert (outside / "file").read_text() == "host\n"
    assert not os.path.exists("/etc/bailey-nested") and not os.path.exists("/tmp/x")


@BOTH
def test_no_rights_are_left_on_the_disk(run, user, ws, option):
    need("setcap")
    script = "cp /bin/true f; chmod 4755 f; chmod 755 f; setcap cap_net_raw+ep f && echo set"
    r = run(["unshare", "-Ur", "sh", "-c", script], option)
    assert (ws / "f").stat().st_mode & 0o7000 == 0, r
    try:
        caps = os.getxattr(ws / "f", "security.capability")
    except OSError:
        caps = b""
    if user.is_root:
        assert not caps and "set" not in r.out, r  # it would be the host root's
    else:
        assert int.from_bytes(caps[20:24], "little") == user.uid  # counts where the caller is root, and nowhere else


def test_root_has_another_id(run, user, ws):
    r = run(["sh", "-c", "id -u; touch new; stat -c %u new ."], "--allow-userns")
    if not user.is_root:
        assert r.out.split() == [str(user.uid)] * 3, r
        return
    assert r.out.split() == ["1000"] * 3, r
    assert (ws / "new").stat().st_uid == 0
    assert run(["sh", "-c", "echo $XDG_RUNTIME_DIR; touch $XDG_RUNTIME_DIR/x && stat -c %u $XDG_RUNTIME_DIR"], "--allow-userns", env={"XDG_RUNTIME_DIR": "/run/user/0"}).out.split() == ["/run/user/1000", "1000"]


@BOTH
def test_root_in_a_users_workspace(root_user, plain_user, works, option):
    """The command runs as the owner, who is an ordinary user."""
    assert not works(root_user)
    ws = plain_user.mkdir(plain_user.base / f"owned{next(counter)}")
    r = root_user.exec([BAILEY, "run", option, "--", "unshare", "-Ur", "sh", "-c", "id -u; echo x > made; chmod 4755 made"], cwd=ws)
    assert r.out == "0\n", r
    st = (ws / "made").stat()
    assert (st.st_uid, st.st_mode & 0o7000) == (plain_user.uid, 0)


@pytest.fixture
def overlay(root_user):
    base = root_user.mkdir(root_user.base / f"overlay{next(counter)}")
    if file_system(base) == "overlayfs":
        yield base
        return
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", base], check=True)
    for d in ("lower", "upper", "work", "ws"):
        (base / d).mkdir()
    subprocess.run(["mount", "-t", "overlay", "overlay", "-o", f"lowerdir={base}/lower,upperdir={base}/upper,workdir={base}/work", base / "ws"], check=True)
    yield base / "ws"
    subprocess.run(["umount", "-l", base / "ws"], check=True)
    subprocess.run(["umount", "-l", base], check=True)


@BOTH
def test_the_hosts_own_root_is_refused(root_user, works, overlay, option):
    assert not works(root_user)
    assert root_user.exec([BAILEY, "run", "--", "true"], cwd=overlay).rc == 0
    r = root_user.exec([BAILEY, "run", option, "--", "touch", "ran"], cwd=overlay)
    assert r.rc == 125 and "id 0 of the host" in r.err and "tmpfs" in r.err, r
    assert not (overlay / "ran").exists()


@BOTH
def test_a_home_that_cannot_be_mapped(user, ws, works, option):
    """A closed one must be shown with mapped owners; the twin: one that is not closed."""
    assert not works(user)
    if not user.is_root:
        return  # an ordinary user's ids are the caller's

    def call(mode, *words):
        script = (f"mount -t tmpfs none /mnt && cd /mnt && mkdir l u w m && chmod {mode} u && touch u/file && "
                  f'mount -t overlay none -o lowerdir=l,upperdir=u,workdir=w m && cd "$0" && export HOME=/mnt/m && exec "$@"')
        return user.exec(["unshare", "-m", "sh", "-c", script, ws, BAILEY, "run", *words])

    r = call(700, "--", "ls", "/mnt/m")
    assert r.out == "file\n" and "running as uid 0 of the host" in r.err, r
    r = call(700, option, "--", "touch", "ran")
    assert r.rc == 125 and "a workspace and a home directory on ext4" in r.err and not (ws / "ran").exists(), r
    r = call(711, option, "--", "touch", "ran")
    assert r.rc == 0 and (ws / "ran").exists() and "running as" not in r.err, r


@BOTH
def test_searches_end_before_the_start(run, user, ws, option):
    """What is protected by a later search in other runs would be missing in a mount namespace that is older than its mount."""
    for i in range(300):
        user.mkdir(ws / f"d{i:03}" / "x")
    user.write(ws / "d299" / "x" / ".envrc", "host\n")
    r = run(["unshare", "-Urm", "--propagation", "unchanged", "sh", "-c", "echo no > d299/x/.envrc"], option)
    assert r.rc != 0 and "Read-only" in r.err, r
    assert (ws / "d299" / "x" / ".envrc").read_text() == "host\n"


# ---- files on 0-2: Landlock does not judge them ----


def test_files_on_0_to_2_travel_through_pipes(run, user, ws, outside):
    log = user.write(outside / "log", "old\n")
    with open(log, "ab") as f:
        r = run("echo new; : > /proc/self/fd/1; readlink /proc/self/fd/1 >&2", "--allow-nested-sandbox", stdout=f)
    assert log.read_text() == "old\nnew\n", r
    assert "pipe:" in r.err, r


def test_files_on_0_to_2_when_a_policy_file_says_so(run, user, ws, outside):
    policy = user.write(outside / "p.json", '{ "process": { "allowNestedSandbox": true } }')
    log = user.write(outside / "log", "old\n")
    with open(log, "ab") as f:
        r = run("echo new; : > /proc/self/fd/1; readlink /proc/self/fd/1 >&2", "--policy", str(policy), stdout=f)
    assert log.read_text() == "old\nnew\n", r
    assert "pipe:" in r.err and NOTICE in r.bailey_err, r


# ---- what is said ----


def test_what_is_said(run):
    assert NOTICE in run("true", "--allow-nested-sandbox").bailey_err
    assert run("true", "--allow-userns").err == ""


@pytest.mark.parametrize("options, nested", [((), "none"), (("--allow-userns",), "userns"), (("--allow-nested-sandbox",), "sandbox"), (("--allow-userns", "--allow-nested-sandbox"), "sandbox")])
def test_explain(run, options, nested):
    r = run("true", "--explain=json", *options)
    e = json.loads(r.out)
    assert e["nested"] == nested
    assert ("judges no files" in e["layers"]["landlock"]["detail"]) == (nested == "sandbox")
    assert any(NOTICE in n for n in e["notices"]) == (nested == "sandbox")
    text = run("true", "--explain", *options).out
    line = [li for li in text.splitlines() if li.startswith("nested ")]
    assert len(line) == 1 and {"none": "none", "userns": "without mounts", "sandbox": "judges no files"}[nested] in line[0]


# ---- limits ----


@BOTH
def test_the_limit_on_processes_holds(run, option):
    """The kernel counts a nested namespace's processes in the outer ones, too."""
    script = "import os, time\nn = 0\ntry:\n    while n < 200:\n        if os.fork() == 0:\n            time.sleep(60)\n        n += 1\nexcept OSError:\n    pass\nprint(n)"
    r = run(["unshare", "-Ur", "/usr/bin/python3", "-c", script], option, "--pids", "30")
    assert r.rc == 0 and 5 < int(r.out) < 30, r


def cgroup2():
    """Where version 2 is mounted."""
    for line in open("/proc/mounts", encoding="utf-8"):
        if line.split()[2] == "cgroup2":
            return line.split()[1]
    return skip("no cgroup v2")


@pytest.mark.parametrize("limits", [(), ("--pids", "50")], ids=["", "limits"])
def test_the_callers_cgroup_is_out_of_reach(user, root_user, ws, works, limits):
    """Who owns a cgroup (a desktop's scopes) may kill all in it; a command that can mount would reach it."""
    if os.geteuid() != 0:
        skip("to give a cgroup away needs root")
    assert works(user) == ""
    group = f"{cgroup2()}/bailey-own{os.getpid()}"
    attack = 'mount -t cgroup2 none /mnt && cat /mnt/cgroup.procs | wc -l; mkdir /mnt/x; echo 1 > /mnt/cgroup.kill; echo outlived'
    words = {"inside": [BAILEY, "run", *limits, "--allow-nested-sandbox", "--"], "outside": []}

    def attempt(where):
        inner = " ".join(map(str, words[where])) + f" unshare -UrmC --propagation unchanged sh -c '{attack}'"
        script = (f"mkdir {group} && chown -R {user.uid}:{user.gid} {group} && echo $$ > {group}/cgroup.procs && "
                  f"exec setpriv --reuid={user.uid} --regid={user.gid} --clear-groups sh -c \"$0\"")
        r = root_user.exec(["bash", "-c", script, f"cd {ws}; {inner}; echo caller lives; ls -d {group}/bailey-*"], cwd=ws, env=user.environ())
        assert wait_for(lambda: not (pathlib.Path(group) / "cgroup.procs").read_text())
        if where == "outside":
            os.rmdir(f"{group}/x")  # there is nobody whom it would be left to
        os.rmdir(group)
        return r

    if not user.is_root:  # root's own mounts need no namespace, and root is not what comes out of one
        r = attempt("outside")
        assert "caller lives" not in r.out, ("control", r)
    r = attempt("inside")
    assert "caller lives\n" in r.out and "/bailey-" not in r.out.split("caller lives")[1], r
    assert int(r.out.split()[0]) > 0, "it has mounted one: its own"


def test_the_limit_on_private_files_is_soft(run):
    fill = ["unshare", "-Urm", "--propagation", "unchanged", "sh", "-c", "mount -t tmpfs none /tmp && head -c 3M /dev/zero > /tmp/x && echo more"]
    r = run(fill, "--disk", "1M", "--allow-nested-sandbox")
    assert r.out == "more\n" and "soft" in r.bailey_err and "--disk" in r.bailey_err, r
    e = json.loads(run("true", "--explain=json", "--disk", "1M", "--allow-nested-sandbox").out)
    assert e["limits"]["disk"]["soft"] is True
    # without mounts it holds, and nothing is said
    r = run("head -c 3M /dev/zero > /tmp/x", "--disk", "1M", "--allow-userns")
    assert r.rc != 0 and "soft" not in r.err, r


# ---- a kernel that lies, or lacks something ----

LIES = [
    ("--allow-nested-sandbox", "umount2=+0", "take a mount away"),
    ("--allow-nested-sandbox", "mount@3:0x1020=+0", "make the root writable"),  # a bind mount's flags
    ("--allow-nested-sandbox", "mount@3:6=EPERM", "not as it was asked for"),
    ("--allow-userns", "clone@0&0x10000000=ENOSPC", "max_user_namespaces"),
]


@pytest.mark.parametrize("option, rules, words", LIES)
def test_the_verification_looks_from_a_nested_namespace(bailey, deny, user, ws, option, rules, words):
    r = user.exec([deny, rules, "--", BAILEY, "run", option, "--", "touch", "ran"], cwd=ws)
    assert r.rc == 125 and words in r.err and not (ws / "ran").exists(), r
    assert bailey(["run", option, "--", "touch", "ran"], cwd=ws).rc == 0 and (ws / "ran").exists()


@BOTH
def test_the_filter_cannot_be_given_up(user, ws, works, deny, option):
    """It alone keeps a nested root from leaving rights on the disk."""
    assert not works(user)
    lost = [deny, "seccomp=ENOSYS", "--", BAILEY, "run", "--allow-degraded=seccomp"]
    assert user.exec([*lost, "--", "true"], cwd=ws).rc == 0
    r = user.exec([*lost, option, "--", "touch", "ran"], cwd=ws)
    assert r.rc == 125 and "'seccomp'" in r.err and "--allow-degraded" not in r.err and not (ws / "ran").exists(), r


def test_without_landlock(user, ws, works, deny):
    """A nested sandbox does without; what only needs user namespaces does not."""
    assert not works(user)
    lost = [deny, "landlock_create_ruleset=ENOSYS", "--", BAILEY, "run"]
    assert user.exec([*lost, "--allow-userns", "--", "true"], cwd=ws).rc == 125
    r = user.exec([*lost, "--allow-nested-sandbox", "--", "sh", "-c", "touch x && ! touch /etc/bailey-nested"], cwd=ws)
    assert r.rc == 0 and (ws / "x").exists(), r


# ---- policy files ----


def project(user, ws, **keys):
    user.write(ws / ".bailey.json", json.dumps({"process": keys}))


def nested(run, *options):
    r = run("true", "--explain=json", *options)
    return json.loads(r.out)["nested"] if r.rc == 0 else r


def test_a_project_that_nobody_trusts_may_not(run, bailey, user, ws):
    project(user, ws, allowNestedSandbox=True, allowNestedUserNamespaces=True)
    assert nested(run) == "none"
    r = run(["unshare", "-U", "true"])
    assert r.rc != 0 and "process.allowNestedSandbox" in r.err and "bailey trust" in r.err, r
    try:
        assert bailey(["trust", str(ws)], cwd=ws).rc == 0
        assert nested(run) == "sandbox"
        project(user, ws, allowNestedUserNamespaces=True)  # changed: not any more
        assert nested(run) == "none"
    finally:
        bailey(["trust", "--revoke", str(ws)], cwd=ws)


def test_a_project_may_forbid(run, user, ws):
    project(user, ws, allowNestedUserNamespaces=False)
    for option in ("--allow-userns", "--allow-nested-sandbox"):  # the second includes the first
        r = run("touch ran", option)
        assert r.rc == 2 and "allowNestedUserNamespaces" in r.err and "final" in r.err, r
    project(user, ws, allowNestedSandbox=False)
    assert nested(run, "--allow-userns") == "userns"
    r = run("touch ran", "--allow-nested-sandbox")
    assert r.rc == 2 and "allowNestedSandbox" in r.err, r
    assert not (ws / "ran").exists()


def test_a_lower_file_cannot_undo_what_forbids(run, user, ws, outside):
    policy = user.write(outside / "p.json", '{ "process": { "allowNestedSandbox": true } }')
    assert nested(run, "--policy", str(policy)) == "sandbox"
    project(user, ws, allowNestedSandbox=False)
    assert nested(run, "--policy", str(policy)) == "none"
    project(user, ws, allowNestedUserNamespaces=False)
    assert nested(run, "--policy", str(policy)) == "none"
