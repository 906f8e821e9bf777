# SPDX-License-Identifier: Apache-2.0
"""
One corpus for two programs: srt, and bailey in its place. A case is a world (files, variables, descriptors), settings and words; its result is
what a caller can see: exit status, stdout, and what is different on disk afterwards. Read by tests/e2e/test_srt.py (bailey against
recorded.json) and tests/full/test_srt_real.py (both, in the same run).

Keys of a case: name; settings (allowWrite … of filesystem; network, credentials; top: anything else) or raw (text of the file);
words, or script (-c); files, modes, socket, tmp, fd, env, stdin; user (root or user alone); quiet (stdout is not compared);
differs {ID: what is different in bailey's result}: the id is one of bailey-srt(1). {base}, {name}, {tmp}, {pid} are replaced.
"""
import json
import os
import pathlib
import shutil
import socket
import subprocess
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
RECORDED = HERE / "recorded.json"
TIMEOUT = 60
FD = 97


def load():
    cases = [case for path in sorted((HERE / "corpus").glob("*.json")) for case in json.loads(path.read_text())]
    names = [case["name"] for case in cases]
    assert len(set(names)) == len(names), "two cases of one name"
    return cases


def settings_text(case):
    given = dict(case["settings"])
    network: dict = {"allowedDomains": [], "deniedDomains": [], **given.pop("network", {})}
    top = given.pop("top", {})
    if "credentials" in given:
        top["credentials"] = given.pop("credentials")
    return json.dumps({"network": network, "filesystem": {"denyRead": [], "allowWrite": [], "denyWrite": [], **given}, **top})


class World:
    """Where a case runs: a directory with `work` and `home`, gone afterwards."""

    def __init__(self, case, uid, gid):
        self.case, self.uid, self.gid = case, uid, gid
        self.base = pathlib.Path(tempfile.mkdtemp(prefix="bailey-srt-", dir="/var/tmp"))
        self.base.chmod(0o755)
        self.tmp = pathlib.Path(f"/tmp/{self.base.name}")
        self.socket = None
        for name in ("work/", "home/"):
            self.make(name, None)
        for name, content in case.get("files", {}).items():
            self.make(name, content)
        if "settings" in case or "raw" in case:
            self.make("home/.srt-settings.json", self.fill(case["raw"] if "raw" in case else settings_text(case)))
        if "tmp" in case:
            self.tmp.write_text(case["tmp"])
        if "socket" in case:
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.bind(str(self.base / case["socket"]))
            self.socket.listen()
        for path in [self.base, *self.base.rglob("*")]:
            os.chown(path, uid, gid, follow_symlinks=False)
        for name, mode in case.get("modes", {}).items():
            (self.base / name).chmod(int(mode, 8))

    def make(self, name, content):
        path = self.base / name
        if name.endswith("/"):
            path.mkdir(parents=True, exist_ok=True)
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, dict) and "link" in content:
            path.symlink_to(content["link"])
        else:
            path.write_text(settings_text(content) if isinstance(content, dict) else content)

    def fill(self, text):
        for name, value in (("base", self.base), ("name", self.base.name), ("tmp", self.tmp), ("pid", os.getpid())):
            text = text.replace("{" + name + "}", str(value))
        return text

    def look(self):
        """What is on disk: a line for each name. bailey's own state and policy are a difference of their own (D14)."""
        found = {}
        for path in sorted(self.base.rglob("*")):
            if path.is_symlink():
                what = f"-> {os.readlink(path)}"
            elif path.is_dir():
                what = "dir"
            elif path.is_file():
                what = path.read_text(errors="replace")
            else:
                what = "special"
            found[str(path.relative_to(self.base))] = what
        own = ("home/.local/state/bailey", "home/.config/bailey")
        return {name: what for name, what in found.items() if not name.startswith(own) and not any(o.startswith(name + "/") for o in own)}

    def done(self):
        if self.socket:
            self.socket.close()
        self.tmp.unlink(missing_ok=True)
        shutil.rmtree(self.base, ignore_errors=True)


def run(argv, case, uid, gid):
    """Run ARGV, which stands for srt, in the world of the case. Return: (result, stderr)."""
    world = World(case, uid, gid)
    fds: tuple[int, ...] = ()
    try:
        before = world.look()
        words = case["words"] if "words" in case else ["-c", case["script"]]
        env = {"HOME": str(world.base / "home"), "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
               "LANG": "C.UTF-8", "TERM": "dumb", **{k: world.fill(v) for k, v in case.get("env", {}).items()}}
        ids = {"user": uid, "group": gid, "extra_groups": []} if os.geteuid() == 0 and uid else {}
        if case.get("fd"):
            read, write = os.pipe()
            os.dup2(read, FD)
            os.write(write, b"inherited\n")
            for fd in (read, write):
                os.close(fd)
            fds = (FD,)
        p = subprocess.run([*argv, *(world.fill(w) for w in words)], cwd=world.base / "work", env=env, capture_output=True, check=False,
                           timeout=TIMEOUT, input=world.fill(case.get("stdin", "")).encode(), umask=0o022, pass_fds=fds, **ids)
        after = world.look()
        for name, mode in case.get("modes", {}).items():
            (world.base / name).chmod(0o755)
        changes = {name: what for name, what in after.items() if before.get(name) != what}
        changes.update({name: None for name in before if name not in after})
        # a sandbox may leave the times of its mount points, never a name
        result = {"rc": p.returncode, "stdout": p.stdout.decode(errors="replace").replace(str(world.base), "{base}"), "files": changes}
        if case.get("quiet"):
            result["stdout"] = "any"
        if case.get("quiet-files"):
            result["files"] = "any"
        return result, p.stderr.decode(errors="replace")
    finally:
        if fds:
            os.close(FD)
        world.done()


def differences(case):
    """{ID: changes} here. Root's command has ids of its own, which is D15, only where mounts can be idmapped."""
    kind = subprocess.run(["stat", "-f", "-c", "%T", "/var/tmp"], check=True, capture_output=True, text=True).stdout.strip()
    return {name: changes for name, changes in case.get("differs", {}).items() if name != "D15" or kind != "overlayfs"}


def expected(case, real):
    """What bailey must do where srt did REAL."""
    want = dict(real)
    for changes in differences(case).values():
        want.update(changes)
    return want


def same(got, want):
    return all(want[k] == "any" or got[k] == want[k] for k in want)


def for_user(cases, name):
    return [case for case in cases if case.get("user", name) == name]
