# SPDX-License-Identifier: Apache-2.0
"""What of the host's files a command can see and change."""
import os
import pathlib
import shutil
import stat
import tempfile

import pytest

from conftest import PYTHON, counter

READONLY = "Read-only file system"
CREDENTIALS = [
    ".ssh/id_ed25519",
    ".aws/credentials",
    ".gnupg/private-keys-v1.d/k.key",
    ".config/gcloud/credentials.db",
    ".kube/config",
    ".docker/config.json",
    ".netrc",
    ".npmrc",
    ".git-credentials",
    ".bash_history",
    ".mozilla/firefox/profiles.ini",
]


def tree(path):
    """Everything below PATH with type, mode and content: to see that nothing changed."""
    found = {}
    for p in sorted(pathlib.Path(path).rglob("*")):
        st = p.lstat()
        data = p.read_bytes() if stat.S_ISREG(st.st_mode) else None
        found[str(p.relative_to(path))] = (stat.filemode(st.st_mode), st.st_uid, st.st_gid, data)
    return found


def denied(r):
    """The shell's words for any refusal."""
    return any(w in r.err for w in (READONLY, "Permission denied", "not permitted", "No such file"))


# ---- workspaces ----


def test_workspace_is_writable_and_live(run, user, ws):
    user.write(ws / "old", "old\n")
    r = run("cat old; echo new > new; mkdir -p d/e; echo x > d/e/f; echo more >> old; mv old moved; ln -s d link; rm -r d/e; pwd")
    assert r.rc == 0, r
    assert r.out == f"old\n{ws}\n"
    assert (ws / "new").read_text() == "new\n"
    assert (ws / "moved").read_text() == "old\nmore\n"
    assert not (ws / "d" / "e").exists()


def test_new_files_belong_to_the_caller(run, user, ws):
    assert run("echo x > f; mkdir d; ln -s f l; chmod 640 f").rc == 0
    for name in ("f", "d", "l"):
        st = (ws / name).lstat()
        assert (st.st_uid, st.st_gid) == (user.uid, user.gid), name
    assert stat.S_IMODE((ws / "f").stat().st_mode) == 0o640


def test_ids_inside(run, user):
    r = run(["sh", "-c", "id -u; id -g; stat -c %u ."])
    assert r.out.split() == [str(user.uid), str(user.gid), str(user.uid)]


def test_read_only_workspace(run, user, ws):
    user.write(ws / "f", "keep\n")
    r = run("cat f; echo x > f; echo x > g; rm f; mkdir d; chmod 777 f; exit 5", "--workspace", f"{ws}:ro")
    assert r.rc == 5
    assert r.out == "keep\n"
    assert READONLY in r.err
    assert set(tree(ws)) == {"f"} and (ws / "f").read_text() == "keep\n"


def test_rw_is_spelled_out(run, ws):
    assert run("echo x > f", "--workspace", f"{ws}:rw").rc == 0
    assert (ws / "f").exists()


def test_several_workspaces(run, user, ws):
    a, b, c = (user.mkdir(user.base / f"multi{next(counter)}") for _ in range(3))
    user.write(b / "b", "b\n")
    r = run(f"pwd; echo x > f; cat {b}/b; echo x > {b}/f || echo ro; echo x > {c}/f", "--workspace", a, "--workspace", f"{b}:ro", "--workspace", f"{c}:rw")
    # The cwd is in none of them: the first one it is.
    assert r.out == f"{a}\nb\nro\n", r
    assert (a / "f").exists() and (c / "f").exists() and not (b / "f").exists()
    assert list(ws.iterdir()) == []
    for d in (a, b, c):
        shutil.rmtree(d)


def test_cwd_below_the_workspace(run, user, ws):
    deep = user.mkdir(ws / "a" / "b")
    r = run("pwd; echo x > f; echo y > ../g", "--workspace", ws, cwd=deep)
    assert r.out == f"{deep}\n", r
    assert (deep / "f").exists() and (ws / "a" / "g").exists()


def test_workspace_below_a_workspace(run, user, ws):
    inner = user.mkdir(ws / "inner")
    r = run("echo x > f; echo y > inner/f", "--workspace", ws, "--workspace", f"{inner}:ro")
    assert (ws / "f").exists() and not (inner / "f").exists(), r
    (ws / "f").unlink()
    r = run("echo x > f; echo y > inner/f", "--workspace", f"{ws}:ro", "--workspace", inner)
    assert not (ws / "f").exists() and (inner / "f").exists(), r


def test_workspace_in_home(run, user, outside):
    r = run("pwd; echo x > f; echo y > ../evil", cwd=outside)
    assert r.out == f"{outside}\n", r
    assert (outside / "f").exists() and not (outside.parent / "evil").exists()
    assert READONLY in r.err


def test_workspace_by_symlink(run, user, ws):
    real = user.mkdir(ws / "real")
    link = user.symlink(real, ws / "link")
    r = run("pwd -P; echo x > f", "--workspace", link)
    assert r.rc == 0, r
    assert r.out == f"{real}\n"
    assert (real / "f").exists()
    r = run("echo x > ../g", "--workspace", link, cwd=link)
    assert not (ws / "g").exists(), r


@pytest.mark.parametrize("how", ["cwd", "option"])
@pytest.mark.parametrize(
    "name", ["a b", "new\nline", "co:lon", "com,ma", "back\\slash", "tab\tquote'\"", "-dash", "ünï", "\udcfe raw", "x" * 200]
)
def test_odd_workspace_names(run, user, ws, name, how):
    d = user.mkdir(ws / name)
    user.write(d / "in", "in\n")
    r = run(["sh", "-c", "cat in; echo x > f; echo y > ../g"], cwd=d) if how == "cwd" else run(
        ["sh", "-c", 'cd "$1" && cat in; echo x > f; echo y > ../g', "sh", d], "--workspace", d
    )
    assert r.out == "in\n", r
    assert (d / "f").exists() and not (ws / "g").exists()


def test_name_that_ends_like_a_mode(run, user, ws):
    # A word that ends like a mode ends with one, whatever is on the disk. A directory `x:ro` is reachable by a mode of its own.
    d = user.mkdir(ws / "x:ro")
    r = run(["sh", "-c", 'cd "$1"; echo x > f', "sh", d], "--workspace", f"{d}:rw")
    assert (d / "f").exists(), r
    r = run("true", "--workspace", d)
    assert r.rc == 2 and f"'{ws}/x'" in r.err, r
    user.mkdir(ws / "x")
    assert run("echo x > x/f; echo x > x:ro/g", "--workspace", d, cwd=ws).rc != 0
    assert not (ws / "x" / "f").exists() and not (d / "g").exists()
    # without a word there is nothing to split
    assert run("echo x > here", cwd=d).rc == 0 and (d / "here").exists()


@pytest.mark.parametrize("mode", ["ro", "overlay"])
def test_a_planted_link_is_no_mode(run, user, ws, mode):
    name = f".:{mode}"
    assert run(f"ln -s . {name}").rc == 0
    r = run("echo x > f; ls", "--workspace", name)
    assert not (ws / "f").exists() and ("f\n" in r.out) == (mode == "overlay"), r


@pytest.mark.parametrize("what", ["/", "home", "/usr", "/proc", "/tmp"])
def test_wide_workspaces_work_or_refuse(run, user, ws, what):
    path = str(user.home) if what == "home" else what
    secret = user.write(user.home / ".ssh" / "id_ed25519", "canary-secret\n", 0o600)
    r = run(f"cat {secret} 2>/dev/null; exit 6", "--workspace", path, cwd=path)
    assert "canary-secret" not in r.out
    if r.rc != 6:
        assert r.rc in (2, 125) and r.bailey_err, r


def test_workspace_in_tmp(run, user):
    # /tmp is private, but a workspace in it was asked for.
    d = pathlib.Path(tempfile.mkdtemp(prefix="bailey-e2e-", dir="/tmp"))
    other = pathlib.Path(tempfile.mkdtemp(prefix="bailey-e2e-", dir="/tmp"))
    try:
        for p in (d, other):
            user.own(p)
        user.write(d / "in", "in\n")
        r = run(f"pwd; cat in; echo x > f; test -e {other} || echo private", cwd=d)
        assert r.out == f"{d}\nin\nprivate\n", r
        assert (d / "f").exists()
    finally:
        shutil.rmtree(d)
        shutil.rmtree(other)


def test_vanished_cwd(user, ws, bailey):
    from conftest import BAILEY

    r = user.exec(["sh", "-c", f"mkdir gone; cd gone; rmdir ../gone; exec '{BAILEY}' run -- true"], cwd=ws)
    assert r.rc in (2, 125) and r.bailey_err, r


# ---- the host ----


def test_host_is_readable(run):
    r = run("cat /etc/passwd > /dev/null && ls /usr/bin > /dev/null && cat /etc/os-release")
    assert r.rc == 0 and r.out


def test_host_is_read_only(run, user, outside):
    user.write(outside / "f", "keep\n")
    user.mkdir(outside / "d")
    before = tree(outside)
    o = outside
    for cmd in (
        f"echo x > {o}/f",
        f"echo x >> {o}/f",
        f"echo x > {o}/new",
        f"rm {o}/f",
        f"mv {o}/f {o}/g",
        f"mkdir {o}/e",
        f"rmdir {o}/d",
        f"ln -s f {o}/l",
        f"ln {o}/f {o}/hard",
        f"chmod 777 {o}/f",
        f"touch {o}/f",
        f"mkfifo {o}/p",
        f"ln -s {o}/f link && echo x > link",
        f"mv {o}/f ./stolen",
        f"{PYTHON} -c \"import os; os.setxattr('{o}/f', 'user.x', b'y')\"",
        f"{PYTHON} -c \"import os; os.truncate('{o}/f', 0)\"",
    ):
        r = run(cmd)
        assert r.rc != 0, cmd
        assert READONLY in r.err, (cmd, r.err)
    assert tree(outside) == before


def test_hard_link_into_the_workspace(run, user, outside):
    # Same file system: a hard link would be a writable name of a host file.
    f = user.write(outside / "f", "keep\n")
    r = run(f"ln {f} l; echo evil > l; true", cwd=user.mkdir(user.home / "work"))
    assert f.read_text() == "keep\n", r
    shutil.rmtree(user.home / "work", ignore_errors=True)


@pytest.mark.parametrize("path", ["/etc/new", "/usr/new", "/var/lib/new", "/home/new", "/new", "/sys/new", "/opt/new"])
def test_system_directories(run, path):
    r = run(f"echo x > {path}")
    assert r.rc != 0 and denied(r)
    assert not os.path.exists(path)


def test_kernel_settings_are_read_only(run):
    # Values that change nothing, should it ever work.
    r = run("h=$(cat /proc/sys/kernel/hostname); echo $h > /proc/sys/kernel/hostname || echo ro; echo h > /proc/sysrq-trigger || echo ro")
    assert r.out == "ro\nro\n", r


def test_own_processes_only(run):
    r = run("ls /proc")
    pids = [int(n) for n in r.out.split() if n.isdigit()]
    assert 1 in pids and len(pids) <= 4, r.out


@pytest.mark.parametrize("name", CREDENTIALS)
def test_credential_stores_are_hidden(run, user, name):
    path = user.write(user.home / name, "canary-secret\n", 0o600)
    r = run(f"cat {path}; ls -a {user.home}; ls -a {path.parent}; true")
    assert "canary-secret" not in r.out
    assert "No such file" in r.err
    top = pathlib.Path(name).parts[0]
    if top != ".config":
        assert top not in r.out.split()
    assert path.read_text() == "canary-secret\n"


def test_private_home_of_root_below_another_directory(user, ws, bailey):
    # sudo -E, or a service: HOME is 0700 and not directly below /.
    if not user.is_root:
        return  # the ordinary user's home is such a one already
    home = user.mkdir(user.base / "nested" / "home", 0o700)
    user.write(home / "f", "fine\n", 0o600)
    user.write(home / ".ssh" / "id", "canary\n", 0o600)
    # not below /var/tmp, which is private
    top = pathlib.Path(tempfile.mkdtemp(prefix="bailey-e2e-", dir="/srv"))
    try:
        shutil.move(home, top / "home")
        r = bailey(["run", "--", "sh", "-c", "cat ~/f; cat ~/.ssh/id; true"], cwd=ws, env={"HOME": str(top / "home")})
        assert r.out == "fine\n", r
    finally:
        shutil.rmtree(top)


def test_built_in_is_lifted_by_the_same_path(run, user):
    path = user.write(user.home / ".ssh" / "id_ed25519", "canary-secret\n", 0o600)
    r = run(f"cat {path}; echo x > {path}", "--allow-read", "~/.ssh")
    assert r.out == "canary-secret\n", r
    assert r.rc != 0 and path.read_text() == "canary-secret\n"


def test_tools_of_the_home_stay_readable(run, user):
    tool = user.write(user.home / ".cargo" / "bin" / "tool", "#!/bin/sh\necho tool\n", 0o755)
    assert run([str(tool)]).out == "tool\n"


def test_bailey_own_directories_are_hidden(run, user):
    path = user.write(user.home / ".local" / "state" / "bailey" / "runs" / "x", "canary-state\n")
    assert "canary-state" not in run(f"cat {path}; true").out


# ---- private places ----


@pytest.mark.parametrize("place", ["/tmp", "/var/tmp", "/run", "/dev/shm"])
def test_private_places(run, user, place):
    name = f"bailey-e2e-{os.getpid()}-{next(counter)}"
    mine = pathlib.Path(place) / name
    made = os.access(place, os.W_OK)
    if made:
        mine.write_text("host\n")
        mine.chmod(0o666)
    try:
        r = run(f"cat {mine}; echo x > {mine}.in && cat {mine}.in; ls -A {place}")
        assert "host" not in r.out
        assert r.out.startswith("x\n"), r
        assert not pathlib.Path(f"{mine}.in").exists()
        assert f"{name}.in" not in run(f"ls -A {place}").out, "gone after the run"
        if made:
            assert mine.read_text() == "host\n"
    finally:
        if made:
            mine.unlink()


def test_tmp_works_as_tmp(run):
    code = "import tempfile, mmap; f = tempfile.TemporaryFile(); f.write(b'x' * 5_000_000); f.flush(); mmap.mmap(f.fileno(), 0); print(tempfile.gettempdir())"
    assert run([PYTHON, "-c", code]).out == "/tmp\n"
    r = run("printf '#!/bin/sh\\necho ran\\n' > /tmp/s && chmod +x /tmp/s && /tmp/s; stat -c %a /tmp /var/tmp /dev/shm")
    assert r.out == "ran\n1777\n1777\n1777\n", r


def test_runtime_directory_is_private(run, user):
    # The agent's and the bus' sockets live there.
    d = user.mkdir(user.home / "xdg", 0o700)
    user.write(d / "bus", "canary\n")
    r = run('ls -A "$XDG_RUNTIME_DIR" && echo x > "$XDG_RUNTIME_DIR/f" && echo wrote', env={"XDG_RUNTIME_DIR": str(d)})
    assert r.out == "wrote\n", r
    # a run that takes long on a busy machine is watched, from a directory of bailey's own there (test_guard.py)
    assert {p for p in tree(d) if p.split("/")[0] != "bailey"} == {"bus"}


def test_dev_is_small_and_works(run):
    r = run("ls /dev; echo x > /dev/null && head -c 4 /dev/zero | wc -c && head -c 4 /dev/urandom | wc -c")
    names = set(r.out.split())
    # Without root a device can only be shown, not made: what the host lacks is lacking here.
    devices = {n for n in ("null", "zero", "full", "random", "urandom", "tty") if os.path.exists(f"/dev/{n}")}
    assert devices | {"fd", "stdin", "stdout", "stderr", "shm"} <= names, names
    assert not names & {"kvm", "mem", "kmem", "vda", "sda", "loop0", "fuse", "net", "kmsg"}
    assert r.out.endswith("4\n4\n"), r


def test_device_nodes_cannot_be_made(run, ws):
    assert run("mknod disk b 254 0").rc != 0
    assert not (ws / "disk").exists()


# ---- rules ----


def test_allow_write(run, user, outside):
    user.write(outside / "d" / "f", "old\n")
    user.write(outside / "file", "old\n")
    r = run(f"cd {outside}; echo new > d/f; echo x > d/g; echo new > file; echo x > other", "--allow-write", outside / "d", "--allow-write", outside / "file")
    assert (outside / "d" / "f").read_text() == "new\n", r
    assert (outside / "d" / "g").exists()
    assert (outside / "file").read_text() == "new\n"
    assert not (outside / "other").exists()


def test_allow_write_of_a_missing_path(run, outside):
    r = run(f"echo x > {outside}/new/f", "--allow-write", outside / "new")
    # Nothing is made on the host in its place.
    assert r.rc in (1, 2, 125), r
    assert list(outside.iterdir()) == []


def test_deny_write_inside_allow_write(run, user, outside):
    user.write(outside / "a" / "ro" / "f", "keep\n")
    user.write(outside / "a" / "file", "keep\n")
    o = outside
    opts = ["--allow-write", o / "a", "--deny-write", o / "a" / "ro", "--deny-write", o / "a" / "file"]
    r = run(f"cd {o}/a; echo x > ok; cat ro/f; echo x > ro/f; echo x > ro/new; echo x > file; rm file; rm -r ro; mv ro moved; true", *opts)
    assert r.out == "keep\n"
    assert READONLY in r.err
    assert (o / "a" / "ok").exists()
    assert set(tree(o / "a")) == {"ok", "file", "ro", "ro/f"}
    assert (o / "a" / "ro" / "f").read_text() == (o / "a" / "file").read_text() == "keep\n"


def test_deny_write_in_the_workspace(run, user, ws):
    user.write(ws / "cfg" / "f", "keep\n")
    r = run("echo x > cfg/f; mv cfg other; rm -rf cfg; echo x > ok", "--deny-write", "cfg")
    assert (ws / "cfg" / "f").read_text() == "keep\n", r
    assert (ws / "ok").exists()


def test_deny_write_wins_over_a_child_allow(run, user, outside):
    user.mkdir(outside / "a" / "b")
    run(f"echo x > {outside}/a/b/f", "--deny-write", outside / "a", "--allow-write", outside / "a" / "b")
    assert not (outside / "a" / "b" / "f").exists()


def test_denied_path_survives_a_renamed_parent(run, user, ws):
    # mv of a directory above a mount succeeds in Linux: the denied name must not be rebuilt behind it.
    f = user.write(ws / "sub" / "dir" / "cfg", "keep\n")
    run("mv sub away; mkdir -p sub/dir; echo evil > sub/dir/cfg; echo evil > away/dir/cfg", "--deny-write", "sub/dir/cfg")
    assert f.exists() and f.read_text() == "keep\n", "sub/dir/cfg was replaced by renaming its parent"


def test_deny_write_of_a_missing_path_in_the_workspace(run, ws):
    """It may be missing; what appears there is moved away (test_late.py has more)."""
    r = run("echo x > later; echo y > beside", "--deny-write", "later")
    assert not (ws / "later").exists() and (ws / "beside").read_text() == "y\n"
    assert r.rc == 0 and f"{ws}/later" in r.bailey_err, r


def test_deny_read_directory(run, user, outside):
    user.write(outside / "d" / "sub" / "f", "canary\n")
    for cmd in ("cat {}/d/sub/f", "ls {}/d", "cp -r {}/d copy", "cd {}/d && ls sub"):
        r = run(cmd.format(outside), "--deny-read", outside / "d")
        assert "canary" not in r.out and r.rc != 0
        assert "Permission denied" in r.err or "No such file" in r.err or "can't cd" in r.err, r
    assert "Permission denied" in run(f"ls {outside}/d", "--deny-read", outside / "d").err


def test_deny_read_file(run, user, outside):
    user.write(outside / "f", "canary\n")
    user.write(outside / "g", "fine\n")
    r = run(f"cat {outside}/g; cat {outside}/f", "--deny-read", outside / "f")
    assert r.out == "fine\n" and "Permission denied" in r.err


def test_deny_read_in_the_workspace(run, user, ws):
    f = user.write(ws / "secret" / "f", "canary\n")
    r = run("cat secret/f; chmod 755 secret; cat secret/f; mv secret s; cat s/f; echo x > ok; true", "--deny-read", "secret")
    assert "canary" not in r.out, r
    assert f.read_text() == "canary\n"
    assert (ws / "ok").exists()


def test_deny_read_denies_writing_too(run, user, ws):
    f = user.write(ws / "secret", "canary\n")
    run("echo x > secret; rm secret; true", "--deny-read", "secret")
    assert f.read_text() == "canary\n"


def test_allow_read_under_deny_read(run, user, outside):
    user.write(outside / "d" / "open" / "f", "fine\n")
    user.write(outside / "d" / "f", "canary\n")
    user.write(outside / "d" / "shut" / "f", "canary\n")
    o = outside
    for opts in (["--deny-read", o / "d", "--allow-read", o / "d" / "open"], ["--allow-read", o / "d" / "open", "--deny-read", o / "d"]):
        r = run(f"cat {o}/d/open/f; cat {o}/d/f; cat {o}/d/shut/f; echo x > {o}/d/open/new; true", *opts)
        assert r.out == "fine\n", r
        assert not (o / "d" / "open" / "new").exists()


def test_deny_read_under_allow_read(run, user, outside):
    user.write(outside / "d" / "shut" / "f", "canary\n")
    user.write(outside / "d" / "f", "fine\n")
    o = outside
    r = run(f"cat {o}/d/f; cat {o}/d/shut/f", "--allow-read", o / "d", "--deny-read", o / "d" / "shut")
    assert r.out == "fine\n", r


def test_allow_read_beats_deny_read_of_the_same_path(run, user, outside):
    f = user.write(outside / "f", "fine\n")
    assert run(f"cat {f}", "--deny-read", f, "--allow-read", f).out == "fine\n"


def test_allow_read_shows_a_piece_of_private_tmp(run, user):
    d = pathlib.Path(tempfile.mkdtemp(prefix="bailey-e2e-", dir="/tmp"))
    try:
        user.own(d)
        f = user.write(d / "f", "fine\n")
        r = run(f"cat {f}; echo x > {f}; true", "--allow-read", d)
        assert r.out == "fine\n", r
        assert f.read_text() == "fine\n"
        r = run(f"echo new > {f}", "--allow-write", d)
        assert f.read_text() == "new\n", r
    finally:
        shutil.rmtree(d)


def test_hide(run, user, outside):
    user.write(outside / "d" / "f", "canary\n")
    user.write(outside / "file", "canary\n")
    user.write(outside / "seen", "fine\n")
    o = outside
    r = run(f"ls -A {o}; cat {o}/seen; cat {o}/file; cat {o}/d/f; test -e {o}/d || echo absent", "--hide", o / "d", "--hide", o / "file")
    assert r.out == "seen\nfine\nabsent\n", r
    assert r.err.count("No such file") >= 2


def test_hide_covers_names_born_later(run, user, outside, start, ws):
    proc = start(f"echo ready > ready; while ! test -e go; do sleep 0.05; done; cat {outside}/later; ls {outside}", "--hide", outside / "later")
    from conftest import wait_for

    assert wait_for((ws / "ready").exists)
    user.write(outside / "later", "canary\n")
    user.write(ws / "go")
    out, err = proc.communicate(timeout=60)
    assert b"canary" not in out and b"later" not in out, (out, err)


def test_hide_beats_other_rules(run, user, outside):
    user.write(outside / "d" / "h" / "f", "canary\n")
    o = outside
    for opts in (
        ["--allow-read", o / "d", "--hide", o / "d" / "h"],
        ["--hide", o / "d", "--allow-read", o / "d" / "h"],
        ["--allow-write", o / "d", "--hide", o / "d" / "h"],
        ["--deny-read", o / "d", "--hide", o / "d" / "h"],
    ):
        r = run(f"cat {o}/d/h/f; echo x > {o}/d/h/f; true", *opts)
        assert "canary" not in r.out, (opts, r)
        assert (o / "d" / "h" / "f").read_text() == "canary\n", opts


def test_hide_is_lifted_by_exactly_the_same_path(run, user, outside):
    f = user.write(outside / "d" / "f", "fine\n")
    assert run(f"cat {f}", "--hide", outside / "d", "--allow-read", outside / "d").out == "fine\n"


def test_hide_in_the_workspace(run, user, ws):
    f = user.write(ws / ".env", "canary\n")
    user.write(ws / "keys" / "k", "canary\n")
    r = run("cat .env keys/k; mv .env e; cat e; mv keys k2; cat k2/k; rm -rf .env keys; true", "--hide", ".env", "--hide", "keys")
    assert "canary" not in r.out, r
    assert f.read_text() == "canary\n"
    assert (ws / "keys" / "k").read_text() == "canary\n"


def test_hide_of_a_missing_path_leaves_nothing(run, ws, outside):
    r = run("true", "--hide", ws / "none", "--hide", outside / "none", "--deny-read", outside / "none2")
    assert r.rc in (0, 2), r
    assert list(ws.iterdir()) == [] and list(outside.iterdir()) == []


def test_tilde(run, user, outside):
    user.write(outside / "f", "canary\n")
    name = outside.name
    assert "canary" not in run(f"cat {outside}/f; true", "--hide", f"~/{name}/f").out
    run(f"echo x > {outside}/new", "--allow-write", f"~/{name}")
    assert (outside / "new").exists()
    run(f"echo x > {outside}/new2", f"--allow-write=~/{name}")
    assert (outside / "new2").exists()


def test_relative_paths(run, user, ws):
    user.write(ws / "a" / "f", "canary\n")
    user.mkdir(ws / "b")
    for path in ("a", "./a", "a/", "b/../a", ".//a"):
        assert "canary" not in run("cat a/f; true", "--deny-read", path).out, path
    assert "canary" not in run("cat ../a/f; true", "--workspace", ws, "--deny-read", "../a", cwd=ws / "b").out


def test_symlink_in_a_rule(run, user, outside):
    # The rule is for the file, whatever name it was given by.
    user.write(outside / "real" / "f", "canary\n")
    user.symlink("real", outside / "link")
    for opt in ("--deny-read", "--hide"):
        r = run(f"cat {outside}/link/f; cat {outside}/real/f; true", opt, outside / "link")
        assert "canary" not in r.out, (opt, r)
    r = run(f"echo x > {outside}/link/new; echo y > {outside}/other", "--allow-write", outside / "link")
    assert (outside / "real" / "new").exists(), r
    assert not (outside / "other").exists()


def test_symlinked_credential_store(run, user, outside):
    # ~/.kube → elsewhere: hiding the link alone would leave the store readable.
    user.write(outside / "store" / "config", "canary\n")
    shutil.rmtree(user.home / ".kube", ignore_errors=True)
    user.symlink(outside / "store", user.home / ".kube")
    try:
        r = run(f"cat ~/.kube/config; cat {outside}/store/config; true")
        assert "canary" not in r.out, r
    finally:
        (user.home / ".kube").unlink()


def test_symlink_swapped_by_the_command(run, user, ws, outside):
    # A link made inside points into the read-only host: no way to write there, in this run or the next.
    run(f"ln -s {outside} out; echo x > out/f; true")
    run("echo x > out/f; true")
    assert list(outside.iterdir()) == []


@pytest.mark.parametrize("name", ["a b", "new\nline", "co:lon", "com,ma", "back\\slash", "star*", "~", "per%cent"])
def test_odd_names_in_rules(run, user, outside, name):
    d = user.mkdir(outside / name)
    user.write(d / "secret", "canary\n")
    user.mkdir(d / "w")
    script = 'cd "$1"; cat secret; echo x > w/f; echo x > evil; true'
    r = run(["sh", "-c", script, "sh", d], "--deny-read", d / "secret", "--allow-write", d / "w")
    assert "canary" not in r.out, r
    assert (d / "w" / "f").exists() and not (d / "evil").exists()
    r = run(["sh", "-c", 'cat "$1/secret"; true', "sh", d], "--hide", d)
    assert "canary" not in r.out, r


def test_many_rules(run, user, outside):
    opts = []
    for i in range(60):
        user.write(outside / f"d{i}" / "f", "canary\n")
        opts += [("--hide", "--deny-read")[i % 2], outside / f"d{i}"]
    user.write(outside / "seen", "fine\n")
    r = run(f"cat {outside}/*/f {outside}/seen", *opts)
    assert r.out == "fine\n", r


# ---- set-id and traces ----


def test_set_id_bits_are_refused(run, user, ws):
    user.write(ws / "f", "", 0o755)
    code = (
        "import os, ctypes\n"
        "libc = ctypes.CDLL(None, use_errno=True)\n"
        "fd = os.open('f', os.O_RDONLY)\n"
        "def t(name, f):\n"
        "    try: f(); print(name, 'done')\n"
        "    except OSError as e: print(name, e.errno)\n"
        "def raw(nr, *a):\n"
        "    if libc.syscall(nr, *a) < 0: raise OSError(ctypes.get_errno(), '')\n"
        "for bit in (0o4755, 0o2755, 0o6755):\n"
        "    t('chmod', lambda: os.chmod('f', bit))\n"
        "    t('fchmod', lambda: os.chmod(fd, bit))\n"
        "    t('fchmodat2', lambda: raw(452, -100, b'f', bit, 0))\n"
        "    t('open', lambda: os.close(os.open(f'n{bit}', os.O_CREAT | os.O_WRONLY, bit)))\n"
        "    t('mknod', lambda: os.mknod(f'm{bit}', bit))\n"
        "os.chmod('f', 0o700); print('plain ok')\n"
    )
    r = run([PYTHON, "-c", code])
    lines = r.out.splitlines()
    assert lines[-1:] == ["plain ok"], r
    assert {li.split()[1] for li in lines[:-1]} <= {"1", "38"}, r.out
    for p in ws.rglob("*"):
        assert not p.stat().st_mode & 0o6000, p


def test_set_gid_directory_is_inherited(run, user, ws):
    ws.chmod(0o2755)
    r = run("mkdir d && echo x > d/f && rm -r d && mkdir e")
    assert r.rc == 0, r
    assert (ws / "e").stat().st_mode & stat.S_ISGID


def test_no_gain_by_set_uid_programs(run):
    r = run("su -c id root < /dev/null; passwd -S; grep -E 'NoNewPrivs|CapEff|CapBnd' /proc/self/status")
    lines = dict(li.split(":\t") for li in r.out.splitlines() if ":\t" in li)
    assert lines["NoNewPrivs"] == "1"
    assert int(lines["CapEff"], 16) == int(lines["CapBnd"], 16) == 0


def test_nothing_is_left_on_the_host(run, user, ws, outside):
    user.write(outside / "f", "x\n")
    home = {p.name for p in user.home.iterdir()}
    tmp = {t: set(os.listdir(t)) for t in ("/tmp", "/var/tmp", "/dev/shm")}
    with open("/proc/self/mountinfo") as f:
        mounts = f.read()
    before = tree(outside)
    for _ in range(2):
        assert run("echo x > /tmp/x; true", "--hide", outside / "f", "--deny-read", "/srv", "--allow-write", outside).rc == 0
    assert list(ws.iterdir()) == []
    assert tree(outside) == before
    assert {p.name for p in user.home.iterdir()} == home
    with open("/proc/self/mountinfo") as f:
        assert f.read() == mounts
    for t, names in tmp.items():
        # Others use these places too: look for ours only.
        assert not [n for n in set(os.listdir(t)) - names if "bailey" in n and "e2e" not in n], t


def test_the_home_as_workspace_is_said(run, user, ws):
    said = "bailey: notice: the current directory is the home"
    assert said in run(["true"], cwd=user.home).err
    assert said not in run(["true"], "--workspace", user.home, cwd=user.home).err, "who names it means it"
    assert said not in run(["true"], "--workspace", ws, cwd=user.home).err and said not in run(["true"]).err
