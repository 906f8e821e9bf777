# SPDX-License-Identifier: Apache-2.0
"""
Inside a container of podman, rootless and of root, without an image from anywhere: a directory (--rootfs), or an image made of a tar file, whose
containers have an overlayfs as their root. runc runs them (crun refuses hybrid control groups), and the ulimits are given because podman's own
are above what a sandboxed machine may have.
"""
import json
import os
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path
from typing import NamedTuple

import pytest

from places import need, new_user, small_tree

UNMASK = ["--security-opt", "unmask=ALL"]
# Writes that must fail inside, each printed when it does not; then the twin. /opt and /tmp may be written by everybody in the container.
ATTACK = 'for f in /root/out/file /root/new /new /opt/new /etc/new; do sh -c "echo evil >$f" 2>/dev/null && echo "$f"; done; echo twin >twin && cat twin'

# As docker's default profile: no user namespace without CAP_SYS_ADMIN.
NO_USERNS = {
    "defaultAction": "SCMP_ACT_ALLOW",
    "syscalls": [
        {"names": ["clone", "unshare"], "action": "SCMP_ACT_ERRNO", "errnoRet": 1,
         "args": [{"index": 0, "value": 0x10000000, "valueTwo": 0x10000000, "op": "SCMP_CMP_MASKED_EQ"}]},
        {"names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": 38},
    ],
}  # fmt: skip


class Result(NamedTuple):
    rc: int
    out: str
    err: str


class Podman:
    def __init__(self, base, entry, name):
        self.base, self.entry, self.name = base, entry, name
        self.tree = small_tree(base / "tree")
        self.image: list[str] = []
        (base / "profile.json").write_text(json.dumps(NO_USERNS))
        (base / "run").mkdir(0o700)
        if entry:
            subprocess.run(["chown", "-R", f"{entry.pw_uid}:{entry.pw_gid}", base], check=True)

    def exec(self, argv):
        ids = {"user": self.entry.pw_uid, "group": self.entry.pw_gid, "extra_groups": []} if self.entry else {}
        env = {"PATH": os.environ["PATH"], "HOME": self.entry.pw_dir if self.entry else str(self.base), "XDG_RUNTIME_DIR": str(self.base / "run"), "LANG": "C.UTF-8"}
        r = subprocess.run(argv, cwd="/", env=env, capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL, **ids)
        # podman says on each start that the machine's root is no shared mount
        err = "".join(li for li in r.stderr.splitlines(True) if not li.startswith("time="))
        return Result(r.returncode, r.stdout, err)

    def podman(self, *words):
        top = ["--root", self.base / "storage", "--runroot", self.base / "runroot", "--runtime", "runc", "--cgroup-manager", "cgroupfs", "--events-backend", "none",
               "--storage-driver", "overlay"]  # fmt: skip
        return self.exec(["podman", *map(str, top), *words])

    def use_image(self):
        """The tree as an image: containers get an overlayfs over it."""
        with tarfile.open(self.base / "image.tar", "w") as tar:
            tar.add(self.tree, arcname=".")
        os.chmod(self.base / "image.tar", 0o644)
        r = self.podman("import", str(self.base / "image.tar"), "bailey-places")
        assert r.rc == 0, r
        self.image = ["bailey-places"]

    def run(self, script, *options, inside=0):
        words = ["run", "--rm", "--network", "none", "--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1000:1000", "--workdir", "/work", "--user", f"{inside}:{inside}"]
        return self.podman(*words, *options, *(self.image or ["--rootfs", str(self.tree)]), "/bin/sh", "-c", script)


@pytest.fixture(scope="module", params=["rootless", "root"])
def engine(request):
    need("podman", "runc", "busybox", "newuidmap")
    entry, remove = None, lambda: None
    name = f"bailey-p{os.getpid()}"
    if request.param == "rootless":
        entry, remove = new_user(name)
    base = Path(tempfile.mkdtemp(prefix="bailey-podman-", dir="/var/tmp"))
    base.chmod(0o755)
    try:
        yield Podman(base, entry, name)
    finally:
        remove()
        subprocess.run(f"for m in $(cut -d' ' -f5 /proc/self/mountinfo | grep '^{base}/'); do umount -l $m; done", shell=True, check=False)
        shutil.rmtree(base, ignore_errors=True)


@pytest.fixture(scope="module", params=["rootfs", "image"])
def box(engine, request):
    engine.image = []
    if request.param == "image":
        engine.use_image()
        root = engine.run("grep ' / / .* - overlay ' /proc/self/mountinfo")
        assert root.rc == 0, root
    return engine


@pytest.fixture(params=[0, 1000], ids=["as-root", "as-user"])
def inside(request):
    return request.param


def test_works_with_an_unmasked_proc(box, inside):
    r = box.run(f"bailey run -- sh -c '{ATTACK}; ls /proc | grep -c \"^[0-9]\"; id -u'; echo rc $?; rm -f twin", *UNMASK, inside=inside)
    out = r.out.split()
    assert r.rc == 0 and out[0] == "twin" and int(out[1]) <= 5 and out[-2:] == ["rc", "0"], r
    notices = [li for li in r.err.splitlines() if li.startswith("bailey: ")]
    assert len(notices) == (1 if inside == 0 else 0) and all("notice: running as uid " in li for li in notices), r
    assert inside or ("of the container" in r.err) == (box.entry is not None), r


def test_what_is_denied_works_outside_of_the_run(box, inside):
    # The control: the same writes, in the same container, without bailey.
    r = box.run(f"{ATTACK}; rm -f twin /new /opt/new /root/new /etc/new; echo before 2>/dev/null >/root/out/file", *UNMASK, inside=inside)
    want = ["/root/out/file", "/root/new", "/new", "/opt/new", "/etc/new"] if inside == 0 else ["/opt/new"]
    assert r.out.split() == [*want, "twin"], r


def test_the_doctor_says_the_same(box, inside):
    r = box.run("bailey doctor", *UNMASK, inside=inside)
    assert r.rc == 0 and "bailey run works here" in r.out, r
    r = box.run("bailey doctor", inside=inside)
    assert r.rc == 1 and "bailey run would refuse here" in r.out, r
    # no root of the container could unmount what masks /proc, so no command is offered
    assert r.out.splitlines()[-1] == "next: proc: in a container: podman run --security-opt unmask=ALL, docker run --security-opt systempaths=unconfined"


def test_a_masked_proc_is_refused(box, inside):
    r = box.run("bailey run -- sh -c 'echo x >/work/witness'; echo rc $?; ls -A /work", inside=inside)
    assert r.out == "rc 125\n", r
    lines = [li for li in r.err.splitlines() if "notice:" not in li]
    assert len(lines) == 1 and lines[0].startswith("bailey: layer 'proc' is missing"), r
    assert "podman: --security-opt unmask=ALL; docker: --security-opt systempaths=unconfined" in lines[0], r


def test_a_masked_proc_can_be_given_up(box, inside):
    r = box.run(f"bailey run --allow-degraded=proc -- sh -c 'ls -A /proc; {ATTACK}'; echo rc $?; rm -f twin", inside=inside)
    assert r.out.split() == ["twin", "rc", "0"], r
    assert "degraded" in r.err or "proc" in r.err, r


def test_no_set_id_file_is_left(box, inside):
    script = "cp /bin/busybox t && chmod 755 t && chmod 4755 t; chmod 2755 t; find . -perm /6000"
    r = box.run(f"bailey run -- sh -c '{script}'; rm -f t", *UNMASK, inside=inside)
    assert r.out == "" and r.err.count("Operation not permitted") == 2, r
    control = box.run(f"{script}; rm -f t", *UNMASK, inside=inside)
    assert control.out == "./t\n", control


def test_a_filter_without_user_namespaces(box, inside):
    # As docker's default profile; podman's own refuses nothing that a run needs (above).
    filtered = [*UNMASK, "--security-opt", f"seccomp={box.base}/profile.json"]
    r = box.run("bailey run -- touch witness; echo rc $?; ls -A; bailey doctor", *filtered, inside=inside)
    assert r.out.startswith("rc 125\nnamespaces\n"), r
    assert "layer 'userns' is missing" in r.err and "--security-opt seccomp=unconfined" in r.err, r
    assert "--security-opt seccomp=unconfined" in r.out.splitlines()[-1] and "would refuse here" in r.out, r
    r = box.run("bailey run -- touch witness; echo rc $?; rm witness", *UNMASK, "--security-opt", "seccomp=unconfined", inside=inside)
    assert r.out == "rc 0\n", r
