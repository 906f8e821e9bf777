# SPDX-License-Identifier: Apache-2.0
"""
Limits: what is asked for holds, by the mechanism that --explain names, and nothing of it is left behind.

The mechanisms differ by caller and machine (cgroup v2, v1 as root, fall-backs). A test asks which one it meets; where one is forced
away, it says so. Bombs are bounded by a time-out, always. ../escape has the attacks (23, 28-29c, 40, 41, 45).
"""
import glob
import json
import os
import pathlib
import resource
import shutil
import signal
import subprocess
import time

import pytest

from conftest import BAILEY, PYTHON, User, kill, skip, wait_for

SOFT = {"watchdog", "affinity", "nothing"}
HOG = "import time\nx = bytearray({} << 20)\ntime.sleep(3)"
MEMORY = ["--memory", "64M", "--timeout", "20s"]


@pytest.fixture
def mechanism(run):
    """mechanism(LIMIT, VALUE) -> how that would be held here."""

    def ask(limit, value):
        r = run(["true"], f"--{limit}={value}", "--explain=json")
        assert r.rc == 0, r
        return json.loads(r.out)["limits"][limit]["mechanism"]

    return ask


def groups_of(pid):
    """The cgroups that the launcher with that pid has made."""
    return glob.glob(f"/sys/fs/cgroup/**/bailey-{pid}-*", recursive=True)


@pytest.mark.parametrize(
    "option,value",
    [
        ("memory", ""), ("memory", "-64M"), ("memory", "0"), ("memory", "64X"), ("memory", "64 M"), ("memory", "1K"), ("memory", "99999999999999999999G"),
        ("memory", "max"), ("cpus", "0"), ("cpus", "-1"), ("cpus", "two"), ("cpus", "0.001"), ("pids", "0"), ("pids", "1.5"), ("pids", "-1"), ("pids", "5000000"),
        ("fsize", "0"), ("fsize", "-1"), ("nofile", "3"), ("nofile", "many"), ("disk", "1"), ("disk", "0"), ("disk", "1.5.5G"),
    ],
)  # fmt: skip
def test_bad_values(run, ws, option, value):
    r = run(["touch", "witness"], f"--{option}={value}")
    assert r.rc == 2, r
    assert len(r.err.splitlines()) == 1 and f"--{option}: '{value}'" in r.err, r
    assert not (ws / "witness").exists()


def test_a_hard_limit_of_the_caller_cannot_be_raised(run, ws):
    def lower():
        resource.setrlimit(resource.RLIMIT_NOFILE, (200, 200))

    r = run(["touch", "witness"], "--nofile", "400", preexec_fn=lower)
    assert r.rc == 2 and "--nofile 400" in r.err and "200" in r.err, r
    assert not (ws / "witness").exists()
    assert run(["true"], "--nofile", "200", preexec_fn=lower).rc == 0


def test_explain(run):
    opts = ["--memory=64M", "--cpus=0.5", "--pids=20", "--fsize=1G", "--nofile=256", "--disk=10M"]
    r = run(["true"], *opts, "--explain=json")
    limits = json.loads(r.out)["limits"]
    assert list(limits) == ["memory", "cpus", "pids", "fsize", "nofile", "disk"]
    assert limits["memory"]["value"] == 64 << 20 and limits["cpus"]["thousandths"] == 500 and limits["pids"]["value"] == 20
    for name, limit in limits.items():
        assert limit["soft"] == (limit["mechanism"] in SOFT), name
    text = run(["true"], *opts, "--explain").out
    for name, limit in limits.items():
        line = next(li for li in text.splitlines() if li.startswith(f"  {name} "))
        assert limit["mechanism"] in line and ("soft" in line) == limit["soft"], line
    assert json.loads(run(["true"], "--explain=json").out)["limits"] == {}
    assert "cgroup" in json.loads(r.out)["layers"]


def hierarchies():
    """controller -> the versions that this machine has it in."""
    found: dict[str, set[str]] = {}
    for line in open("/proc/mounts", encoding="utf-8"):
        _, where, kind, options = line.split()[:4]
        controllers = options.split(",") if kind == "cgroup" else pathlib.Path(where, "cgroup.controllers").read_text().split() if kind == "cgroup2" else []
        for c in controllers:
            found.setdefault(c, set()).add("cgroup v1" if kind == "cgroup" else "cgroup v2")
    return found


def test_which_mechanisms_are_met_here(run, user, capsys):
    """The others of this file test what there is: another machine may have less. tools/run-tests shows the line."""
    limits = json.loads(run(["true"], "--memory=64M", "--cpus=1", "--pids=20", "--explain=json").out)["limits"]
    met = {name: limit["mechanism"] for name, limit in limits.items()}
    with capsys.disabled():
        print(f"\n# here: limits of {user.name if user.is_root else 'user'}: " + ", ".join(f"{name}: {by}" for name, by in met.items()))
    have = hierarchies()
    for name, controller, fall_back in (("memory", "memory", "watchdog"), ("cpus", "cpu", "affinity"), ("pids", "pids", "rlimit")):
        assert met[name] in have.get(controller, set()) | {fall_back}, (met, have)
        # root has no need of a delegation
        assert not user.is_root or not have.get(controller) or met[name] != fall_back, (met, have)


def test_policy_files(run, user, ws):
    # The smallest of all values counts, and an untrusted project may set one.
    user.write(ws / ".bailey.json", '{"limits": {"pids": 30, "memory": "64M", "cpus": "0.5"}}')
    limits = json.loads(run(["true"], "--explain=json", "--pids=20", "--memory=128M").out)["limits"]
    assert {k: v.get("value", v.get("thousandths")) for k, v in limits.items()} == {"memory": 64 << 20, "cpus": 500, "pids": 20}
    user.write(ws / ".bailey.json", '{"limits": {"memory": "64X"}}')
    r = run(["touch", "witness"])
    assert r.rc == 2 and ".bailey.json:1:23: limits.memory: '64X': expected a size" in r.err, r
    assert not (ws / "witness").exists()


def test_soft_is_said_and_hard_is_not(run, mechanism):
    r = run(["true"], "--memory=64M", "--pids=20")
    assert r.rc == 0, r
    if mechanism("memory", "64M") in SOFT:
        assert "soft" in r.bailey_err and "--memory" in r.bailey_err and "Delegate=yes" in r.bailey_err, r
        assert len(r.err.splitlines()) == 1, r
    else:
        assert "soft" not in r.err, r


def test_memory(run, mechanism):
    by = mechanism("memory", "64M")
    r = run([PYTHON, "-c", HOG.format(200)], *MEMORY)
    assert r.rc == 137, r
    assert f"bailey: the run was ended: memory limit 64M ({by})" in r.bailey_err, r
    assert r.secs < 15


def test_memory_below_the_limit(run):
    r = run([PYTHON, "-c", HOG.format(20).replace("3", "0.5")], *MEMORY)
    assert (r.rc, r.command_err) == (0, "") and "ended" not in r.err, r


def test_shared_memory_counts_once(run):
    # Five copies of 30 MB that nobody writes are 30 MB.
    code = "import os, time\nx = bytearray(30 << 20)\nfor i in range(5):\n  if os.fork() == 0: time.sleep(0.7); os._exit(0)\nfor i in range(5): os.wait()"
    assert run([PYTHON, "-c", code], *MEMORY).rc == 0


def test_one_process_of_several_is_ended(run, mechanism):
    # The kernel ends the largest process, the watchdog everything.
    by = mechanism("memory", "64M")
    r = run(f"{PYTHON} -c '{HOG.format(200)}'; echo after $?", *MEMORY)
    if by in SOFT:
        assert r.rc == 137, r
    else:
        assert (r.rc, r.out) == (0, "after 137\n"), r
        assert f"bailey: notice: processes of the run were ended: memory limit 64M ({by})" in r.bailey_err, r


def test_memory_and_web_assembly(run):
    # An address space limit would break it: engines reserve gigabytes that they never touch.
    if not shutil.which("node"):
        skip("node is not installed")
    code = "const m = new WebAssembly.Memory({initial: 100, maximum: 65536}); new Uint8Array(m.buffer).fill(1); m.grow(100); console.log(m.buffer.byteLength)"
    r = run(["node", "-e", code], "--memory", "512M", "--timeout", "30s")
    assert (r.rc, r.out) == (0, f"{200 * 65536}\n"), r


def test_runtimes_find_the_limit(run, mechanism):
    by = mechanism("memory", "64M")
    if by in SOFT:
        return  # there is nothing that they could find it by
    name = "memory.max" if by == "cgroup v2" else "memory/memory.limit_in_bytes"
    r = run(["sh", "-c", f"cat /sys/fs/cgroup/{name}; grep -c ':/$' /proc/self/cgroup; echo 1 > /sys/fs/cgroup/{name}"], *MEMORY)
    assert r.out.split()[0] == str(64 << 20), r
    assert "Read-only file system" in r.err + r.out, r


def test_pids(run, mechanism):
    by = mechanism("pids", "20")
    code = "import os, time\nn = 0\ntry:\n  while n < 40:\n    if os.fork() == 0: time.sleep(2); os._exit(0)\n    n += 1\nexcept BlockingIOError: print(n)"
    r = run([PYTHON, "-c", code], "--pids", "20", "--timeout", "20s")
    assert (r.rc, r.out) == (0, "19\n"), r  # with itself: 20
    if by != "rlimit":
        assert f"bailey: notice: processes could not be made: pids limit 20 ({by})" in r.bailey_err, r


def test_pids_counts_the_sandbox_alone(run):
    # Not what else the caller has.
    assert run("sleep 0.1 & sleep 0.1 & wait", "--pids", "3").rc == 0


def test_one_process(run):
    assert run(["true"], "--pids", "1").rc == 0
    r = run("sleep 0; echo more", "--pids", "1")
    assert r.rc != 0 and "more" not in r.out, r


def test_fsize(run):
    r = run(["head", "-c", "2M", "/dev/zero"], "--fsize", "1M", stdout=subprocess.DEVNULL)
    assert r.rc == 0, r
    r = run(["sh", "-c", "exec head -c 2M /dev/zero > big"], "--fsize", "1M")
    assert r.rc == 128 + signal.SIGXFSZ, r
    assert "bailey: the run was ended by SIGXFSZ: fsize limit 1M (rlimit)" in r.bailey_err, r
    assert run(["sh", "-c", "exec head -c 1M /dev/zero > big"], "--fsize", "1M").rc == 0


def test_nofile(run):
    r = run("ulimit -Hn; ulimit -Sn; ulimit -n 65", "--nofile", "64")
    assert r.rc != 0 and r.out == "64\n64\n", r


def test_disk(run):
    r = run("head -c 3M /dev/zero > /tmp/a && head -c 3M /dev/zero > /dev/shm/b; echo $?; df --output=size -k /run | tail -1", "--disk", "4M")
    assert r.out.split() == ["1", "4096"] and "No space left" in r.err, r
    assert run("head -c 3M /dev/zero > /tmp/a", "--disk", "4M").rc == 0


@pytest.mark.parametrize("opts", [["--memory", "4M"], ["--disk", "64K"], ["--nofile", "16"], ["--pids", "1"], ["--fsize", "1"], ["--cpus", "0.01"]])
def test_the_smallest_value_is_enough_for_a_small_program(run, opts):
    # a hundredth of a CPU makes it a hundred times as long
    most = max(20, 300 * run(["true"]).secs if "--cpus" in opts else 0)
    r = run(["true"], *opts, "--timeout", f"{most:.0f}s", timeout=most + 10)
    assert r.rc == 0, r


def test_cpus(run, mechanism):
    by = mechanism("cpus", "0.25")
    if by == "affinity":
        r = run(["nproc"], "--cpus", "0.25")
        assert r.out == "1\n", r
        return
    spin = "import time\nbegin = time.process_time()\nend = time.monotonic() + 1.5\nwhile time.monotonic() < end: pass\nprint(time.process_time() - begin)"
    control = float(run([PYTHON, "-c", spin], "--timeout", "20s").out)
    limited = float(run([PYTHON, "-c", spin], "--cpus", "0.25", "--timeout", "20s").out)
    # 0.25 * 1.5 s, and a period more; a busy machine gives less, never more
    assert limited < 0.6, (control, limited)


def test_time_out_beside_limits(run):
    r = run(["sleep", "20"], "--timeout", "300ms", "--memory", "64M", "--pids", "20")
    assert r.rc == 124 and r.secs < 10, r


def test_dry_run(run):
    r = run(["true"], "--dry-run", "--memory", "64M", "--pids", "20", "--cpus", "1")
    assert r.rc == 0, r


def test_pid1_is_inside(start, mechanism):
    if mechanism("memory", "64M") in SOFT:
        return  # there is no cgroup to be in
    proc = start(["sleep", "5"], "--memory", "64M", "--pids", "20", "--timeout", "10s")
    assert wait_for(lambda: groups_of(proc.pid) and all(len(members(g)) == 2 for g in groups_of(proc.pid)))
    for g in groups_of(proc.pid):
        first = {pathlib.Path(f"/proc/{p}/status").read_text().split("NSpid:")[1].split("\n")[0].split()[-1] for p in members(g)}
        assert "1" in first, first


def members(group):
    return pathlib.Path(group, "cgroup.procs").read_text().split()


def test_cgroups_are_removed(start, mechanism):
    proc = start("sleep 0.3", "--memory", "64M", "--pids", "20", "--cpus", "1")
    if mechanism("memory", "64M") not in SOFT:
        assert wait_for(lambda: groups_of(proc.pid)), "the control: they exist during the run"
    assert proc.wait(20) == 0
    assert groups_of(proc.pid) == []


def test_cgroups_of_a_killed_launcher_are_swept(start, run, mechanism):
    if mechanism("memory", "64M") in SOFT:
        return
    live = start(["sleep", "10"], "--memory", "64M", "--pids", "20")
    dead = start(["sleep", "10"], "--memory", "64M", "--pids", "20")
    assert wait_for(lambda: groups_of(live.pid) and groups_of(dead.pid) and all(members(g) for g in groups_of(dead.pid)))
    kept = groups_of(live.pid)
    kill(dead)
    left = groups_of(dead.pid)
    assert left, "the control: kill -9 leaves them"
    assert wait_for(lambda: not any(members(g) for g in left)), "everything in them is dead"
    assert run(["true"], "--memory", "64M", "--pids", "20").rc == 0
    assert groups_of(dead.pid) == [] and groups_of(live.pid) == kept
    assert live.poll() is None


def test_without_limits_nothing_is_touched(user, ws):
    if not shutil.which("strace"):
        skip("strace is not installed")

    def touched(*opts):
        r = user.exec(["strace", "-f", "-e", "trace=%file,setrlimit,prlimit64,fspick", BAILEY, "run", *opts, "--", "true"], cwd=ws)
        assert r.rc == 0, r
        lines = [li for li in r.err.splitlines() if "execve" not in li]
        return [li for li in lines if "/fs/cgroup" in li or "/self/cgroup" in li or "RLIMIT_NPROC" in li or "fspick" in li]

    assert touched() == []
    assert touched("--memory", "64M"), "the control"


# -- Fall-backs, forced


@pytest.fixture
def hidden(user, ws, bailey):
    """bailey run where no cgroup is mounted: an empty directory lies over /sys/fs/cgroup, in a mount namespace of its own."""
    if os.geteuid() != 0:
        skip("hiding /sys/fs/cgroup needs root")
    root = User("root", 0, 0, user.home, user.base)

    def call(cmd, *opts, where=ws):
        script = 'mount -t tmpfs none /sys/fs/cgroup && exec setpriv --reuid "$0" --regid "$1" --clear-groups "${@:2}"'
        argv = ["unshare", "-m", "bash", "-c", script, user.uid, user.gid, BAILEY, "run", *opts, "--", *cmd]
        return root.exec([str(a) for a in argv], cwd=where)

    return call


def test_without_cgroups_memory_is_watched(hidden):
    r = hidden(["true"], "--memory=64M", "--cpus=1", "--pids=20", "--explain=json")
    assert {k: v["mechanism"] for k, v in json.loads(r.out)["limits"].items()} == {"memory": "watchdog", "cpus": "affinity", "pids": "rlimit"}
    r = hidden([PYTHON, "-c", HOG.format(200)], *MEMORY)
    assert r.rc == 137 and "bailey: the run was ended: memory limit 64M (watchdog)" in r.err, r
    assert "no cgroup hierarchy with 'memory' is mounted here" in r.err and "soft" in r.err, r
    assert hidden([PYTHON, "-c", HOG.format(20).replace("3", "0.5")], *MEMORY).rc == 0


def test_without_cgroups_pids_hold(hidden):
    r = hidden(["sh", "-c", "for i in 1 2 3 4 5 6 7 8; do sleep 1 & done; echo all"], "--pids", "5")
    if "running as uid 0" in r.err:
        assert r.rc == 125 and "layer 'cgroup' is missing" in r.err, r  # see below
        return
    assert r.rc != 0 and "all" not in r.out and "soft" not in r.err, r
    assert hidden(["sh", "-c", "for i in 1 2 3; do sleep 0.1 & done; wait; echo all"], "--pids", "5").out == "all\n"


def test_without_cgroups_and_proc_memory_is_refused(user, ws, bailey):
    # Who can't look must not say that it watches.
    if os.geteuid() != 0:
        skip("masking /proc needs root")
    root = User("root", 0, 0, user.home, user.base)
    script = "mount -t tmpfs none /sys/fs/cgroup && mount --bind /dev/null /proc/version && "
    script += 'exec setpriv --reuid "$0" --regid "$1" --clear-groups "${@:2}"'
    argv = ["unshare", "-m", "bash", "-c", script, str(user.uid), str(user.gid), BAILEY, "run", "--allow-degraded=proc"]
    r = root.exec([*argv, "--memory=64M", "--", "touch", "witness"], cwd=ws)
    assert r.rc == 125 and "--memory" in r.err, r
    assert not (ws / "witness").exists()
    assert root.exec([*argv, "--nofile=64", "--", "true"], cwd=ws).rc == 0


def test_without_cgroups_the_host_root_has_no_limit_on_pids(user, ws, bailey):
    # RLIMIT_NPROC does not bind the host's uid 0, which root is on file systems without idmapped mounts: tried, and refused.
    if not user.is_root:
        return
    for n in ("lower", "upper", "merged"):
        user.mkdir(ws / n)
    script = (
        f"mount -t tmpfs none '{ws}/upper' && mkdir '{ws}/upper/u' '{ws}/upper/w' && "
        f"mount -t overlay overlay -o 'lowerdir={ws}/lower,upperdir={ws}/upper/u,workdir={ws}/upper/w' '{ws}/merged' && cd '{ws}/merged' && "
    )
    hide = "mount -t tmpfs none /sys/fs/cgroup && "
    go = f"exec '{BAILEY}' run --pids 5 $0 -- sh -c 'touch witness; for i in 1 2 3 4 5 6 7 8; do sleep 0.5 & done; ls; id -u'"
    r = user.exec(["unshare", "-m", "sh", "-c", script + hide + go, "--timeout=10s"], cwd=ws)
    assert r.rc == 125 and "layer 'cgroup' is missing" in r.err and "--allow-degraded=cgroup" in r.err and r.out == "", r
    r = user.exec(["unshare", "-m", "sh", "-c", script + hide + go, "--allow-degraded=cgroup"], cwd=ws)
    assert r.rc == 0 and "without the layer 'cgroup'" in r.err and r.out.split()[-2:] == ["witness", "0"], r
    r = user.exec(["unshare", "-m", "sh", "-c", script + go, "--timeout=10s"], cwd=ws)
    assert r.rc != 125 and "cgroup" in r.err, "with a cgroup it holds"


def test_a_cgroup_that_does_not_work_is_a_missing_layer(user, ws, bailey):
    # Version 1 refuses a CPU limit above that of the cgroup around it: the cgroup is there, and can't be what it should.
    top = pathlib.Path("/sys/fs/cgroup/cpu")
    if not user.is_root or not (top / "cgroup.procs").exists():
        return  # an ordinary user has none; version 2 allows any value
    own = next(li.strip().split(":", 2)[2] for li in open("/proc/self/cgroup", encoding="utf-8") if "cpu" in li.split(":")[1].split(","))
    group = pathlib.Path(f"{top}{own}/test-bailey-{os.getpid()}")
    group.mkdir()
    try:
        (group / "cpu.cfs_quota_us").write_text("50000")
        script = f"echo $$ > '{group}/cgroup.procs' && exec '{BAILEY}' run --cpus 1 -- touch witness"
        r = user.exec(["sh", "-c", script], cwd=ws)
        assert r.rc == 125 and "layer 'cgroup' is missing" in r.err and "cpu.cfs_quota_us" in r.err, r
        assert not (ws / "witness").exists()
        low = user.exec(["sh", "-c", script.replace("--cpus 1", "--cpus 0.5").replace("witness", "low")], cwd=ws)
        assert low.rc == 0 and (ws / "low").exists(), low
        soft = user.exec(["sh", "-c", script.replace("--cpus 1", "--cpus 1 --allow-degraded=cgroup").replace("witness", "soft")], cwd=ws)
        assert soft.rc == 0 and "affinity" in soft.err and "without the layer 'cgroup'" in soft.err, soft
    finally:
        for _ in range(100):
            try:
                group.rmdir()
                break
            except OSError:
                time.sleep(0.01)
