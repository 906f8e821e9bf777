# SPDX-License-Identifier: Apache-2.0
"""How the rivals are started."""

import json
import os
import re
import struct

from common import PATH, ROOT, Failed, Who, filesystem, which


def bwrap_argv(ws: str) -> list[str]:
    return [which("bwrap"), "--unshare-all", "--unshare-user", "--die-with-parent", "--ro-bind", "/", "/", "--dev", "/dev",
            "--proc", "/proc", "--tmpfs", "/tmp", "--tmpfs", "/run", "--bind", ws, ws, "--chdir", ws, "--", "true"]


def unshare_argv() -> list[str]:
    return [which("unshare"), "--user", "--map-current-user", "--mount", "--pid", "--fork", "--kill-child", "--ipc", "--uts", "--net",
            "--cgroup", "--mount-proc", "true"]


def firejail_argv(ws: str) -> list[str]:
    return [which("firejail"), "--quiet", "--noprofile", "--net=none", "--private-tmp", "--private-dev", "--caps.drop=all",
            "--nonewprivs", "--seccomp", "--read-only=/", f"--read-write={ws}", "--", "true"]


def crun_argv(ws: str, who: Who, bundle: str) -> list[str]:
    """A bundle that shows the host's programs read-only: what comes nearest in a runtime that must pivot."""
    prog = which("crun")
    rootfs = os.path.join(bundle, "rootfs")
    os.makedirs(rootfs, exist_ok=True)
    mounts = [{"destination": "/proc", "type": "proc", "source": "proc"},
              {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755"]},
              {"destination": "/tmp", "type": "tmpfs", "source": "tmpfs"}, {"destination": "/run", "type": "tmpfs", "source": "tmpfs"}]
    for top in ("usr", "etc", "bin", "sbin", "lib", "lib64"):
        if os.path.islink("/" + top):
            if not os.path.lexists(os.path.join(rootfs, top)):
                os.symlink(os.readlink("/" + top), os.path.join(rootfs, top))
        elif os.path.isdir("/" + top):
            mounts.append({"destination": "/" + top, "type": "none", "source": "/" + top, "options": ["rbind", "ro"]})
    mounts.append({"destination": ws, "type": "none", "source": ws, "options": ["rbind", "rw"]})
    config = {
        "ociVersion": "1.0.2", "root": {"path": "rootfs", "readonly": True}, "mounts": mounts,
        "process": {"args": ["true"], "cwd": ws, "env": ["PATH=" + PATH], "user": {"uid": who.uid, "gid": who.gid},
                    "noNewPrivileges": True, "capabilities": {}},
        "linux": {"namespaces": [{"type": t} for t in ("user", "mount", "pid", "ipc", "uts", "cgroup", "network")],
                  "uidMappings": [{"containerID": who.uid, "hostID": who.uid, "size": 1}],
                  "gidMappings": [{"containerID": who.gid, "hostID": who.gid, "size": 1}]},
    }
    with open(os.path.join(bundle, "config.json"), "w", encoding="utf-8") as f:
        json.dump(config, f)
    for path in (bundle, rootfs):
        os.chown(path, who.uid, who.gid)
    state = os.path.join(bundle, "state")
    os.makedirs(state, exist_ok=True)
    os.chown(state, who.uid, who.gid)
    return [prog, "--root", state, "--cgroup-manager=disabled", "run", "--bundle", bundle, "bailey-bench"]


def crun_view() -> list[str]:
    """crun refuses hybrid cgroups: there both commands of its pair see a plain cgroup2 instead."""
    if filesystem("/sys/fs/cgroup") == "cgroup2" or os.geteuid() != 0:
        return []
    return [which("unshare"), "--mount", "sh", "-ec", "umount -R -l /sys/fs/cgroup; mount -t cgroup2 none /sys/fs/cgroup; exec \"$@\"", "sh"]


def seccomp_program(path: str) -> str:
    """bailey's own filter as a file, for rivals that take one."""
    header = os.path.join(ROOT, "build", "musl", "src", "jail", "seccomp-prog.h")
    if not os.path.exists(header):
        raise Failed("the seccomp program is not built")
    with open(header, encoding="ascii") as f:
        rows = re.findall(r"\{\s*(0x[0-9a-f]+|\d+),\s*(\d+),\s*(\d+),\s*(0x[0-9a-f]+|\d+)\s*\}", f.read())
    with open(path, "wb") as out:
        for code, jt, jf, k in rows:
            out.write(struct.pack("=HBBI", int(code, 0), int(jt), int(jf), int(k, 0)))
    if len(rows) < 50:
        raise Failed("the seccomp program can't be read")
    return path


def bwrap_equal_argv(ws: str, who: Who, bailey: str, program: str) -> list[str]:
    """
    bwrap with as much of bailey's protection as it can give: the same seccomp program, and a mask over each hidden name that exists. It has
    no Landlock, no dead sockets, can't hide names that are absent, and verifies nothing.
    """
    plan = json.loads(who.output([bailey, "run", "--explain=json", "--", "true"], ws))
    masks: list[str] = []
    for op in plan["plan"]:
        if op["op"] not in ("whiteout", "mask") or op["path"].startswith("/proc") or not os.path.exists(op["path"]):
            continue
        masks += ["--tmpfs", op["path"]] if os.path.isdir(op["path"]) else ["--ro-bind", "/dev/null", op["path"]]
    argv = bwrap_argv(ws)
    at = argv.index("--bind")
    # "3<FILE" is spawn.c's word for a file that is open on fd 3
    return ["3<" + program, *argv[:at], *masks, "--seccomp", "3", "--new-session", *argv[at:]]


def podman_argv(ws: str, base: str) -> list[str]:
    """As root, without an image: a root file system that shows the host's programs. crun refuses hybrid cgroups, so runc runs it."""
    if os.geteuid() != 0:
        raise Failed("needs root here")
    rootfs = os.path.join(base, "podman-rootfs")
    for d in ("usr", "etc", "proc", "dev", "sys", "tmp", "run"):
        os.makedirs(os.path.join(rootfs, d), exist_ok=True)
    for top in ("bin", "sbin", "lib", "lib64"):
        if os.path.islink("/" + top) and not os.path.lexists(os.path.join(rootfs, top)):
            os.symlink(os.readlink("/" + top), os.path.join(rootfs, top))
    os.makedirs(rootfs + ws, exist_ok=True)
    return [which("podman"), "--root", os.path.join(base, "podman"), "--runroot", os.path.join(base, "podman-run"),
            "--cgroup-manager=cgroupfs", "run", "--rm", "--runtime", "runc" if filesystem("/sys/fs/cgroup") != "cgroup2fs" else "crun",
            "--network=none", "--ulimit", "nofile=1024:1024", "--ulimit", "nproc=4096:4096", "--volume", "/usr:/usr:ro",
            "--volume", f"{ws}:{ws}", "--workdir", ws, "--rootfs", rootfs, "true"]
