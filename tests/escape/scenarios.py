# SPDX-License-Identifier: Apache-2.0
"""Attacks that need the runner while the sandbox lives. Each returns "" or what went wrong; outside=True is the control."""

import contextlib
import os
import random
import shutil
import signal
import socket
import subprocess
import time
import typing

if typing.TYPE_CHECKING:
    import fixtures
    from run import Suite

PATIENCE = 2.0  # seconds in which everything of a dead run must be gone
COUNTER = iter(range(1, 1 << 30))
SKIP = "skip: "  # begins an answer that says why something can't be tried here


def marked(mark: str) -> list[int]:
    """Processes that carry the mark in their arguments."""
    found = []
    for name in os.listdir("/proc"):
        if not name.isdigit() or int(name) == os.getpid():
            continue
        with contextlib.suppress(OSError):
            with open(f"/proc/{name}/cmdline", "rb") as f:
                if mark.encode() in f.read():
                    found.append(int(name))
    return found


def all_gone(mark: str) -> list[int]:
    end = time.monotonic() + PATIENCE
    while True:
        left = marked(mark)
        if not left or time.monotonic() > end:
            return left
        time.sleep(0.02)


def reap(pids: list[int]) -> None:
    """Ends processes of this suite, found by their unique mark."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def wait_for(path: str, seconds: float = 60.0) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if os.path.lexists(path):
            return True
        time.sleep(0.005)
    return False


def new_mark(s: "Suite") -> str:
    return f"{s.world.name}-mark-{next(COUNTER)}-"


def command(s: "Suite", c: "fixtures.Caller", words: list[str], outside: bool, options: list[str] | None = None) -> list[str]:
    return ([] if outside else s.bailey(c, options or [])) + [c.probe, *words]


def judge_daemon(mark: str, outside: bool) -> str:
    """Outside the daemon must have lived on, else the test shows nothing."""
    if outside:
        time.sleep(0.1)
        left = marked(mark)
        reap(left)
        return "" if left else "the daemon does not even live on outside"
    left = all_gone(mark)
    reap(left)
    return f"still alive after {PATIENCE} s: {left}" if left else ""


def daemon(s: "Suite", c: "fixtures.Caller", _args: list[str], outside: bool) -> str:
    mark, ready = new_mark(s), c.fresh()
    got = s.finish(s.spawn(c, command(s, c, ["daemon", mark, ready], outside)))
    problem = judge_daemon(mark, outside)
    if got.verdict != "ok":
        problem = f"the daemon did not start: {got}"
    c.clear_fresh()
    return problem


def daemon_kill(s: "Suite", c: "fixtures.Caller", args: list[str], outside: bool) -> str:
    mark, ready = new_mark(s), c.fresh()
    process = s.spawn(c, command(s, c, ["daemon", mark, ready, "stay"], outside, args))
    started = wait_for(ready)
    process.send_signal(signal.SIGKILL)
    problem = judge_daemon(mark, outside)
    process.communicate()
    c.clear_fresh()
    return problem if started else "the daemon did not start"


def daemon_timeout(s: "Suite", c: "fixtures.Caller", _args: list[str], outside: bool) -> str:
    mark, ready = new_mark(s), c.fresh()
    argv = command(s, c, ["daemon", mark, ready, "stay"], outside, ["--timeout", "300ms"])
    if outside:
        argv = ["timeout", "--preserve-status", "-k", "0.3", "0.3", *argv]
    process = s.spawn(c, argv)
    got = s.finish(process)
    problem = judge_daemon(mark, outside)
    c.clear_fresh()
    if not outside and got.verdict != "exit=124":
        problem = f"{got}, exit=124 wanted; {problem}"
    return problem


def stop_init(s: "Suite", c: "fixtures.Caller", _args: list[str], outside: bool) -> str:
    """Outside a watcher that is stopped by what it watches ends nothing; inside the launcher's clock is out of reach."""
    script = "kill -STOP $PPID 1 2>/dev/null; sleep 20"
    if outside:
        process = s.spawn(c, ["timeout", "0.3", "sh", "-c", "kill -STOP $PPID; sleep 20"])
        time.sleep(1)
        alive = process.poll() is None
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        return "" if alive else "a stopped watcher has ended what it watches"
    before = time.monotonic()
    got = s.finish(s.spawn(c, [*s.bailey(c, ["--timeout", "300ms"]), "sh", "-c", script]))
    took = time.monotonic() - before
    return "" if got.verdict == "exit=124" and took < 5 else f"{got} after {took:.1f} s, exit=124 wanted"


def early_kill(s: "Suite", c: "fixtures.Caller", _args: list[str], outside: bool) -> str:
    del outside
    problems = []
    for i in range(20):
        mark, ready = new_mark(s), c.fresh()
        process = s.spawn(c, command(s, c, ["daemon", mark, ready, "stay"], outside=False))
        time.sleep(i * 0.0004 + random.random() * 0.0004)
        process.send_signal(signal.SIGKILL)
        left = all_gone(mark)
        reap(left)
        process.communicate()
        if left:
            problems.append(f"killed after about {i * 0.4:.1f} ms: {len(left)} processes left")
    c.clear_fresh()
    return "\n".join(problems)


def status_of(pid: int) -> dict[str, str]:
    with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as f:
        return {k: v.strip() for k, _, v in (line.partition(":") for line in f)}


def confined(s: "Suite", c: "fixtures.Caller", _args: list[str], outside: bool) -> str:
    """Every process of the sandbox, PID 1 too: no capability, no_new_privs, a filter, and no host uid 0."""
    del outside
    mark, ready = new_mark(s), c.fresh()
    process = s.spawn(c, command(s, c, ["sleep", "1500", mark, ready], outside=False))
    if not wait_for(ready):
        process.kill()
        _, err = process.communicate()
        return f"the probe did not start: {err.decode(errors='replace')}"
    ours = os.readlink("/proc/self/ns/pid")
    problems, seen = [], 0
    for name in [n for n in os.listdir("/proc") if n.isdigit()]:
        with contextlib.suppress(OSError):
            if os.readlink(f"/proc/{name}/ns/pid") == ours or str(process.pid) != name and not below(int(name), process.pid):
                continue
            seen += 1
            problems += judge_status(c, status_of(int(name)))
    process.kill()
    _, err = process.communicate()
    if "uid" in " ".join(problems) and c.name == "ov" and err.strip():
        problems = [p for p in problems if "uid" not in p]  # the notice that this case must give
    c.clear_fresh()
    if seen < 2:
        problems.append(f"only {seen} processes of the sandbox were found, PID 1 and the probe wanted")
    return "\n".join(problems)


def with_personality(s: "Suite", c: "fixtures.Caller", _args: list[str], outside: bool) -> str:
    """The command switches randomisation off for what it executes. Neither PID 1 nor the launcher, nor anything that they start, has it."""
    mark, ready = new_mark(s), c.fresh()
    process = s.spawn(c, command(s, c, ["personality", "0x0040000", c.probe, "sleep", "1500", mark, ready], outside))
    started = wait_for(ready)
    seen = {}
    for pid in marked(mark):
        with contextlib.suppress(OSError), open(f"/proc/{pid}/personality", encoding="ascii") as f:
            seen[pid] = (int(f.read(), 16), os.readlink(f"/proc/{pid}/exe"))
    process.kill()
    process.communicate()
    c.clear_fresh()
    if not started:
        return "the probe did not start"
    has = [pid for pid, (value, _) in seen.items() if value & 0x0040000]
    engine = [pid for pid, (_, exe) in seen.items() if exe == s.world.bailey]
    if len(has) != 1 or (engine if outside else len(engine) < 2):  # more than two while the search for protected names goes on
        return f"one process with it, and the engine's at least two without, wanted: {seen}"
    return f"an engine's process has it: {seen}" if set(has) & set(engine) else ""


def debugger(s: "Suite", c: "fixtures.Caller", _args: list[str], outside: bool) -> str:
    """gdb attaches to PID 1 and would make a call in it; outside to a process of the same user."""
    if not shutil.which("gdb"):
        return f"{SKIP if os.environ.get('MUST_WORK') != '1' else ''}gdb is not installed"
    pid = c.vars["hostpid"] if outside else "1"
    words = ["gdb", "-nx", "-batch", "-iex", "set debuginfod enabled off", "-p", pid, "-ex", "print (int)1+41", "-ex", "info registers rip", "-ex", "detach"]
    process = s.spawn(c, [*([] if outside else s.bailey(c, ["--env", "HOME=/tmp"])), *words])
    try:
        out, err = process.communicate(timeout=20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        return "gdb hung"
    attached = b"rip  " in out
    text = (out + err).decode(errors="replace")
    if outside:
        return "" if attached else f"not even attached outside: {text[-300:]}"
    if attached:
        return f"attached: {text[-300:]}"
    return "" if "not permitted" in text else f"unexpected: {text[-300:]}"


def below(pid: int, ancestor: int) -> bool:
    while pid > 1:
        pid = int(status_of(pid)["PPid"])
        if pid == ancestor:
            return True
    return False


def judge_status(c: "fixtures.Caller", st: dict[str, str]) -> list[str]:
    who = f"{st['Name']} (pid {st.get('NSpid', '?').split()[-1]} inside)"
    problems = [f"{who}: {k} {st[k]}" for k in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb") if int(st[k], 16)]
    if st["NoNewPrivs"] != "1":
        problems.append(f"{who}: no_new_privs is off")
    if st["Seccomp"] != "2":
        problems.append(f"{who}: no seccomp filter")
    if c.uid == 0 and "0" in st["Uid"].split():
        problems.append(f"{who}: host uid 0")
    if c.uid and set(st["Uid"].split()) != {str(c.uid)}:
        problems.append(f"{who}: uid {st['Uid']}")
    return problems


# SECURITY.md: what comes in a direct workspace is covered some milliseconds later; this is generous for a busy machine
WINDOW = 1.0


def late(s: "Suite", c: "fixtures.Caller", args: list[str], outside: bool) -> str:
    """A socket that is bound after the command has started."""
    kind, place, look = args
    top = {"home": c.home, "ws": c.ws}.get(place) or s.world.places[place]
    path = f"{top}/late-{next(COUNTER)}"
    ready, go = c.fresh(), c.fresh()
    process = s.spawn(c, command(s, c, ["unix-late", kind, path, ready, go, look], outside), outside=outside)
    if not wait_for(ready):
        process.kill()
        return f"the probe did not start: {s.finish(process)}"
    s.world.listeners.plant(path, socket.SOCK_DGRAM if kind == "dgram" else socket.SOCK_STREAM)
    os.chown(path, c.uid, c.gid)
    if place == "ws":
        time.sleep(WINDOW)
    with open(go, "w", encoding="ascii"):
        pass
    got = s.finish(process)
    reached = s.world.listeners.total().get(path, 0)
    os.unlink(path)
    c.clear_fresh()
    if outside:
        return "" if got.verdict == "ok" and reached else f"not even reached outside: {got}"
    if reached or got.verdict == "ok":
        return f"the socket was reached: {got}, {reached} times"
    return "" if got.verdict in ("ECONNREFUSED", "ENOENT", "EACCES", "EPERM", "ENXIO", "ENOTSOCK") else f"unexpected: {got}"


def race(s: "Suite", c: "fixtures.Caller", _args: list[str], outside: bool) -> str:
    """Two directories swap while bailey looks for sockets; many files between them make the look slow."""
    top = f"{c.ws}/race"
    for i in range(2000):
        if i % 100 == 0:
            os.makedirs(f"{top}/m/{i // 100}")
        with open(f"{top}/m/{i // 100}/{i}", "w", encoding="ascii"):
            pass
    os.makedirs(f"{top}/a/k")
    os.makedirs(f"{top}/z/k")
    s.world.listeners.plant(f"{top}/a/k/sock", socket.SOCK_STREAM)
    for base, dirs, files in os.walk(c.ws + "/race"):
        for name in [*dirs, *files, "."]:
            os.lchown(os.path.join(base, name), c.uid, c.gid)
    wins = 0
    rounds = 1 if outside else 20
    got = None
    for _ in range(rounds):
        argv = command(s, c, ["unix-race", "stream", f"{top}/a/k", f"{top}/z/k", "sock"], outside)
        got = s.finish(s.spawn(c, argv, outside=outside))
        wins += got.verdict == "ok"
    s.world.listeners.hits.pop(f"{top}/a/k/sock", None)
    shutil.rmtree(top)
    if outside:
        return "" if wins else f"not even reached outside: {got}"
    if not wins and got and got.verdict not in ("ECONNREFUSED", "ENOENT", "EACCES", "EPERM", "ENXIO"):
        return f"unexpected: {got}"
    return f"the socket was reached in {wins} of {rounds} rounds" if wins else ""


def workspace_fd(s: "Suite", c: "fixtures.Caller", _args: list[str], outside: bool) -> str:
    """A workspace named through an inherited descriptor: refused, and nothing runs."""
    del outside
    mark = c.fresh()
    for path in ("/proc/self/fd/9", f"/proc/{os.getpid()}/root", "/proc/self/cwd/../../../../../../.."):
        got = s.finish(s.spawn(c, [*s.bailey(c, ["--workspace", path]), c.probe, "leave", mark]))
        if got.verdict not in ("exit=125", "exit=2"):
            return f"--workspace {path}: {got}, exit=125 or exit=2 wanted"
    return ""


def deleted_cwd(s: "Suite", c: "fixtures.Caller", _args: list[str], outside: bool) -> str:
    """Started in a directory that is no longer there, without a workspace option: refused."""
    del outside
    path = f"{c.ws}/gone"
    os.mkdir(path)
    os.chown(path, c.uid, c.gid)
    argv = [*s.bailey_run(), "--", c.probe, "gained", "cap"]
    script = 'rmdir "$PWD" && exec "$@"'
    process = s.spawn(c, ["sh", "-c", script, "sh", *argv], cwd=path)
    got = s.finish(process)
    with contextlib.suppress(FileNotFoundError):
        os.rmdir(path)
    return "" if got.verdict in ("exit=125", "exit=2") else f"{got}, exit=125 or exit=2 wanted"


def closed(s: "Suite", c: "fixtures.Caller", args: list[str], outside: bool) -> str:
    """With 0-2 closed, what takes their numbers must be nothing that bailey opened for itself."""
    del outside
    problems = []
    for digit in args[0]:
        report = c.fresh()
        argv = command(s, c, ["-o", report, "fd-odd", digit], outside=False)
        got = s.finish(s.spawn(c, argv, close=args[0]), report)
        if got.verdict not in ("EBADF", "EACCES", "exit=125"):
            problems.append(f"{digit} with {args[0]} closed: {got}")
    report = c.fresh()
    got = s.finish(s.spawn(c, command(s, c, ["-o", report, "leaked-fd"], outside=False), close=args[0]), report)
    if got.verdict not in ("EBADF", "exit=125"):
        problems.append(f"above 2: {got}")
    c.clear_fresh()
    return "\n".join(problems)


SCENARIOS = {
    "@daemon": daemon, "@daemon-kill": daemon_kill, "@daemon-timeout": daemon_timeout, "@early-kill": early_kill,
    "@confined": confined, "@late": late, "@race": race, "@workspace-fd": workspace_fd, "@deleted-cwd": deleted_cwd,
    "@personality": with_personality, "@debugger": debugger,
    "@closed": closed, "@stop-init": stop_init,
}  # fmt: skip


def run(s: "Suite", c: "fixtures.Caller", words: list[str], outside: bool) -> str:
    try:
        return SCENARIOS[words[0]](s, c, words[1:], outside)
    except (OSError, subprocess.SubprocessError) as e:
        return f"the runner failed: {e}"
