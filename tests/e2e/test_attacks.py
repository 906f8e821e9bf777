# SPDX-License-Identifier: Apache-2.0
"""docs/attacks.md is what it says it is; and the attacks that no other file of these has."""
import json
import os
import random
import re
import shutil
import subprocess
import sys

import pytest

from conftest import BAILEY, PROJECT, PYTHON, skip, wait_for

# --- the table ------------------------------------------------------------------------------------------------------------------

NUMBERS = {str(n) for n in range(1, 81)} | {"22b", "29b", "29c"}
# What the table may call `not in this release`: everything else has a probe.
ABSENT = {"9", "60", "65", "66", "73", "74", "75", "76"}


def table():
    found = {}
    for line in (PROJECT / "docs/attacks.md").read_text(encoding="utf-8").split("\n"):
        cells = [c.strip() for c in line.strip("|").split("|")]
        if line.startswith("| ") and len(cells) == 4 and cells[0][0].isdigit():
            first, _, last = cells[0].partition("-")
            for number in range(int(first), int(last) + 1) if last else [cells[0]]:
                assert str(number) not in found, f"{number} is there twice"
                found[str(number)] = cells[3]
    return found


def manifest():
    """Per number: how many rows are denials, and how many of them have a control that was seen to work, and a twin."""
    sys.path.insert(0, str(PROJECT / "tests/escape"))
    try:
        import run
    finally:
        sys.path.pop(0)
    found: dict[str, list[bool]] = {}
    for row in run.parse_manifest(str(PROJECT / "tests/escape/manifest.txt")):
        if row.twin != "-":
            rows = found.setdefault(row.attack, [])
            rows.append(any(who != "unreached" for who, _, _, _ in row.controls))
    return found


def is_there(reference):
    name, _, function = reference.partition("::")
    path = PROJECT / "tests" / name
    if not path.is_file():
        return False
    text = path.read_text(encoding="utf-8")
    return not function or re.search(rf"^(def {function}\(|TEST\({function}\))", text, re.M) is not None


def test_every_number_has_a_probe():
    rows, probes = table(), manifest()
    assert set(rows) == NUMBERS
    for number, where in rows.items():
        if where.startswith("not in this release: "):
            assert number in ABSENT, f"{number} is of this release"
            assert len(where) > 25 and number not in probes, number
            continue
        assert number not in ABSENT, f"{number} is there now: take it out of ABSENT"
        for reference in where.split("; "):
            if reference == "manifest":
                assert any(probes.get(number, [])), f"{number}: no row of the manifest has a control that works"
            else:
                assert is_there(reference), f"{number}: {reference} does not exist"
        assert (number in probes) == ("manifest" in where.split("; ")), f"{number}: the table and the manifest differ"
    assert not {p for p in probes if p[0].isdigit()} - set(rows), "numbers of the manifest that the table lacks"


def test_the_check_would_fail():
    assert not is_there("e2e/test_attacks.py::test_nothing") and not is_there("e2e/test_no.py")
    assert is_there("e2e/test_attacks.py::test_the_check_would_fail")


# --- 5: planted links -------------------------------------------------------------------------------------------------------------

LINKS = {"dir": "out/victim", "file": "out/file", "none": "out/none", "deep": "out/none/deep"}
REFUSED = ["--allow-write", "--allow-read", "--unprotect", "--workspace", "--allow-socket", "--env-file", "--policy"]


@pytest.mark.parametrize("option", [*REFUSED, "--deny-write", "--deny-read", "--hide"])
def test_planted_links(bailey, user, ws, outside, option):
    """An earlier run has planted a symlink under the name that an option has now: nothing is given, nothing is made on the host."""
    user.write(outside / "victim/f", "host\n")
    user.write(outside / "file", "host\n")
    before = sorted(str(p) for p in outside.rglob("*"))
    script = f"mkdir -p {outside}/none/deep; for i in {outside}/victim/n {outside}/file dir/n file none deep; do echo x > $i; done; echo ran"
    for name, target in LINKS.items():
        r = bailey(["run", "--", "ln", "-s", f"{outside}/{target[4:]}", name], cwd=ws)
        assert r.rc == 0, r
    for name in LINKS:
        r = bailey(["run", option, name, "--", "sh", "-c", script], cwd=ws)
        assert r.rc == 2 and option.lstrip("-") in r.err or r.out == "ran\n", (name, r)
        assert r.rc == 2 or option not in REFUSED, (name, r)
        assert sorted(str(p) for p in outside.rglob("*")) == before and (outside / "file").read_text() == "host\n", (name, r)
    # the twin: what is no link; the control: the same without the sandbox
    if option not in ("--allow-socket", "--env-file", "--policy"):
        user.mkdir(ws / "plain")
        assert bailey(["run", option, "plain", "--", "true"], cwd=ws).rc == 0
    assert user.exec(["sh", "-c", script], cwd=ws).out == "ran\n" and (outside / "file").read_text() == "x\n"


# --- 18: devices ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["file", "device", "link"])
def test_replaced_devices(bailey, user, ws, outside, how):
    """In a container, /dev may have been written by somebody else; what stands for /dev/null must be that (CVE-2025-31133)."""
    if os.geteuid() != 0:
        skip("to replace a device of the host, in a mount namespace, needs root")
    secret = user.write(outside / "secret", "secret\n")
    script = {
        "file": f"mount --bind '{secret}' /dev/null",
        "device": "mount --bind /dev/full /dev/null",
        "link": f"mkdir /dev/shm && mkdir /dev/pts; mknod -m 666 /dev/zero c 1 5; ln -s '{secret}' /dev/null",
    }[how]
    tmpfs = "mount -t tmpfs -o mode=755 tmpfs /dev && " if how == "link" else ""
    ids = [] if user.is_root else ["setpriv", f"--reuid={user.uid}", f"--regid={user.gid}", "--clear-groups"]

    def run(prepare, *words):
        argv = ["unshare", "-m", "sh", "-c", f'{prepare}; exec "$@"', "sh", *ids, *words]
        return subprocess.run(argv, cwd=ws, env=user.environ(), capture_output=True, text=True, input="", timeout=30, check=False)

    r = run(tmpfs + script, BAILEY, "run", "--", "sh", "-c", "cat /dev/null; echo ran")
    assert r.returncode == 125 and "/dev/null" in r.stderr and r.stdout == "", r
    r = run(tmpfs + script, "head", "-c", "3", "/dev/null")
    assert r.stdout, "control: something else can be read there"
    r = run("true", BAILEY, "run", "--", "sh", "-c", "cat /dev/null; echo ran")
    assert r.stdout == "ran\n", r


# --- 25: what would hang ----------------------------------------------------------------------------------------------------------

FIFOS = [".git", ".git/config", ".git/config.worktree", ".git/index", ".git/HEAD", ".git/commondir", ".git/hooks", ".git/worktrees", ".git/modules",
         ".git/worktrees/w/gitdir", ".git/worktrees/w/commondir", ".git/modules/s/HEAD", ".git/modules/s/config", ".gitmodules", ".envrc", ".vscode",
         ".vscode/tasks.json", "sub/.git", "sub/.bailey.json"]  # fmt: skip


@pytest.mark.parametrize("name", FIFOS)
def test_fifos(bailey, user, ws, name):
    """The launcher reads what the command could have put there; nobody will ever write into these."""
    for other in (".git/HEAD", ".git/config", ".git/modules/s/HEAD", ".git/modules/s/config"):
        if not other.startswith(name + "/") and other != name:
            user.write(ws / other, "[core]\n")
    for directory in (".git/objects", ".git/refs"):
        if name != ".git":
            user.mkdir(ws / directory)
    user.mkdir((ws / name).parent)
    os.mkfifo(ws / name)
    user.own(ws / name)
    for words in (["run", "--", "echo", "ran"], ["run", "--explain", "--", "true"], ["check", "write", name]):
        r = bailey(words, cwd=ws, timeout=60)
        assert r.rc in (0, 1, 2) and r.secs < 30, r
    r = bailey(["run", "--", "echo", "ran"], cwd=ws, timeout=60)
    assert r.out == "ran\n", r
    with pytest.raises(subprocess.TimeoutExpired):  # control
        subprocess.run(["cat", ws / name], timeout=0.3, check=False)


# --- 26: names in messages --------------------------------------------------------------------------------------------------------


def test_names_are_escaped(bailey, user, ws):
    name = "evil\x1b]0;title\x07\x1b[2J\nbailey: all is well\r\x9b31m"
    user.write(ws / name / ".git", "gitdir: /etc\n")
    user.write(ws / name / ".envrc", "x\n")
    seen = ""
    for words in (
        ["run", "--explain", "--", "true"], ["check", "write", f"{name}/.envrc"], ["run", "--deny-read", f"{name}/none", "--", "true"],
        ["run", "--workspace", f"{name}/none", "--", "true"], ["run", "--", f"./{name}/none"], ["run", "--allow-write", f"{name}/none", "--", "true"],
        ["run", "--workspace", name, "--", "true"],
    ):  # fmt: skip
        r = bailey(words, cwd=ws)
        seen += r.out + r.err
        bad = [c for c in r.out + r.err if (ord(c) < 0x20 and c != "\n") or 0x7F <= ord(c) < 0xA0]
        assert not bad and "\nbailey: all is well" not in r.out + r.err, (words, r)
    assert "evil" in seen, "the name is not even mentioned"


# --- 67: pids ---------------------------------------------------------------------------------------------------------------------

CALL = re.compile(r"^(kill|tgkill|tkill|pidfd_send_signal|wait4|waitid)\((.*)\) += (-?\d+)")


def judge(trace):
    """(signals to a pid that was reaped before, how many signals were sent to processes)."""
    reaped, wrong, sent = set(), [], 0
    for line in trace.split("\n"):
        m = CALL.match(line)
        if not m:
            continue
        call, args, result = m[1], m[2], int(m[3])
        if call == "wait4" and result > 0:
            reaped.add(result)
        elif call == "waitid" and result == 0:
            found = re.search(r"si_pid=(\d+)", args)
            if found and "WNOWAIT" not in args:
                reaped.add(int(found[1]))
        elif call in ("kill", "tgkill", "tkill"):
            pid = abs(int(args.split(",")[0]))
            sent += pid > 1
            if pid in reaped:
                wrong.append(line)
    return wrong, sent


@pytest.mark.parametrize("what", ["end", "timeout", "term", "limits", "late", "kill", "relay"])
def test_no_signal_to_a_process_that_was_reaped(user, ws, works, outside, what):
    """A number that was waited for can be another process's: the launcher must not use it again (attack 67)."""
    if not shutil.which("strace"):
        skip("strace is not installed")
    assert not works(user)
    log = outside / "trace"
    opts, script, stdin = [], "exit 3", None
    if what == "timeout":
        opts, script = ["--timeout", "200ms"], "trap '' TERM; sleep 20 & wait; sleep 20"
    elif what == "term":
        script = "trap 'exit 5' TERM; touch ready; sleep 20 & wait"
    elif what == "limits":
        opts, script = ["--memory", "64M", "--cpus", "1", "--pids", "40"], "sleep 0.3"
    elif what == "late":
        for i in range(400):
            user.mkdir(ws / f"d{i}/e")
    elif what == "kill":
        script = "kill -9 $$"
    elif what == "relay":
        stdin = "x" * 200000
    trace = ["strace", "-o", log, "-e", "trace=kill,tgkill,tkill,wait4,waitid,pidfd_send_signal"]
    argv = [*trace, BAILEY, "run", *opts, "--", "sh", "-c", script]
    if what == "term":
        p = user.popen(argv, cwd=ws)
        assert wait_for((ws / "ready").exists)
        children = subprocess.run(["ps", "-o", "pid=", "--ppid", str(p.pid)], capture_output=True, text=True, check=True).stdout.split()
        os.kill(int(children[0]), 15)
        assert p.wait(20) == 5
        p.communicate()
    else:
        user.exec(argv, cwd=ws, stdin=stdin)
    wrong, sent = judge(log.read_text())
    assert not wrong, wrong
    assert sent or what not in ("timeout",), "no signal was seen: this shows nothing"


def test_the_judge_of_pids(user, ws, outside):
    """The control: a shell that signals what it has waited for."""
    if not shutil.which("strace"):
        skip("strace is not installed")
    user.exec(["strace", "-o", outside / "t", "-e", "trace=kill,wait4", "dash", "-c", "true & p=$!; wait $p; kill -9 $p 2>/dev/null; true"], cwd=ws)
    wrong, sent = judge((outside / "t").read_text())
    assert wrong and sent


# --- 70: the environment of the engine ----------------------------------------------------------------------------------------------

KNOWN = """LD_PRELOAD LD_AUDIT LD_LIBRARY_PATH LD_BIND_NOW LD_DEBUG LD_SHOW_AUXV GLIBC_TUNABLES MALLOC_CHECK_ MALLOC_ARENA_MAX GCONV_PATH LOCPATH NLSPATH
HOSTALIASES RES_OPTIONS TMPDIR TMP TEMP IFS BASH_ENV ENV SHELL SHELLOPTS PS4 PATH CDPATH PWD OLDPWD LANG LC_ALL LANGUAGE TZ TZDIR TERM COLORTERM NO_COLOR
FORCE_COLOR DEBUG CI SUDO_USER SUDO_UID SUDO_GID USER LOGNAME container CONTAINER NOTIFY_SOCKET LISTEN_FDS LISTEN_PID INVOCATION_ID DOCKER_HOST KUBERNETES_SERVICE_HOST
CLAUDECODE CLAUDE_CODE_SANDBOX CLAUDE_CODE_BUBBLEWRAP SANDBOX SANDBOX_RUNTIME IS_SANDBOX NO_SANDBOX SRT_DEBUG CODEX_SANDBOX SECCOMP LANDLOCK UNSHARE
BAILEY BAILEY_POLICY BAILEY_CONFIG BAILEY_DEBUG BAILEY_DEGRADED BAILEY_ALLOW_DEGRADED BAILEY_SANDBOX BAILEY_UNSAFE BAILEY_OPTIONS BAILEY_WORKSPACE
GIT_DIR GIT_WORK_TREE GIT_CONFIG GIT_CONFIG_GLOBAL GIT_CONFIG_COUNT GIT_INDEX_FILE GIT_COMMON_DIR XDG_DATA_HOME XDG_CACHE_HOME XDG_CONFIG_DIRS DBUS_SESSION_BUS_ADDRESS
SSH_AUTH_SOCK GPG_AGENT_INFO DISPLAY WAYLAND_DISPLAY HTTP_PROXY HTTPS_PROXY NO_PROXY ALL_PROXY COLUMNS LINES POSIXLY_CORRECT ASAN_OPTIONS LSAN_OPTIONS""".split()
VALUES = ["", "0", "1", "true", "all", "/", "/etc", "..", "relative", "/nonexistent", "seccomp,landlock,overlay", "none", "%s%n", "x" * 4000, "a=b", "\x1b[2J", "*"]
STATUS = "grep -E '^(Seccomp|Seccomp_filters|NoNewPrivs|CapInh|CapPrm|CapEff|CapBnd|CapAmb|Uid|Gid|Groups)' /proc/self/status; touch /etc/x 2>/dev/null || echo kept; " \
    "unshare -U true 2>/dev/null || echo refused; cut -d' ' -f5 /proc/self/mountinfo | sort | md5sum"  # fmt: skip


def names_in_the_program():
    """What could be the name of a variable, of all strings in the binary."""
    return sorted({m.decode() for m in re.findall(rb"(?<=\0)[A-Z][A-Z0-9_]{2,30}(?=\0)", BAILEY.read_bytes())})


def explained(bailey, ws, env):
    """What is in force, without what is said about the variables themselves."""
    for _ in range(5):  # the plan names what lies in "/", which other tests change
        docs = []
        for e in (None, env):
            r = bailey(["run", "--explain=json", "--", "true"], cwd=ws, env=e)
            assert r.rc == 0, (env, r)
            doc = json.loads(r.out)
            doc.pop("environment_removed")
            docs.append(doc)
        if docs[0] == docs[1]:
            break
    return docs


def test_environment_fuzz(bailey, run, ws):
    names = [n for n in [*KNOWN, *names_in_the_program()] if n not in ("HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_RUNTIME_DIR")]
    assert len(names) > 100
    seed = random.randrange(1 << 32)
    rng = random.Random(seed)
    want = run(STATUS)
    assert "NoNewPrivs:\t1" in want.out and "Seccomp:\t2" in want.out and "kept\nrefused\n" in want.out, want
    rng.shuffle(names)
    for start in range(0, len(names), 12):
        env = {n: rng.choice(VALUES) for n in names[start : start + 12] if n != "PATH"}
        plain, odd = explained(bailey, ws, env)
        assert plain == odd, (seed, env)
        # what the shell inside would obey itself is no matter of the engine
        got = run(["/bin/sh", "-c", STATUS], env={k: v for k, v in env.items() if not re.match(r"LD_|IFS|ENV|BASH_ENV|GLIBC|MALLOC|PS4|LANG|LC_|GCONV|LOCPATH|POSIX", k)})
        assert got.out == want.out, (seed, env, got)


@pytest.fixture
def no_state_left():
    """Root's bailey makes its state where it is told to."""
    places = [p for p in ("/nonexistent", "/bailey") if not os.path.exists(p)]
    yield
    for place in places:
        shutil.rmtree(place, ignore_errors=True)


@pytest.mark.usefixtures("no_state_left")
def test_environment_that_is_obeyed_loosens_no_layer(bailey, run, user, ws):
    """HOME and XDG_… choose files and homes (SECURITY.md); the layers, the network and the private places do not depend on them."""
    plain = json.loads(bailey(["run", "--explain=json", "--", "true"], cwd=ws).out)
    status = run(STATUS.split("; cut")[0]).out
    for name in ("HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_RUNTIME_DIR"):
        for value in ("", "relative", "/nonexistent", "/etc", "/", str(ws)):
            r = bailey(["run", "--explain=json", "--", "true"], cwd=ws, env={name: value})
            if r.rc:
                assert r.err.startswith("bailey: "), r
                continue
            doc = json.loads(r.out)
            assert {k: doc[k] for k in ("layers", "network")} == {k: plain[k] for k in ("layers", "network")}, (name, value)
            got = run(STATUS.split("; cut")[0], env={name: value}).out
            # a runtime directory is private: what is written there does not arrive
            assert got == (status.replace("kept\n", "") if (name, value) == ("XDG_RUNTIME_DIR", "/etc") else status), (name, value)
            assert not os.path.lexists("/etc/x")


def test_no_arguments_at_all(user, ws):
    """argc of 0 (CVE-2021-4034)."""
    code = "import ctypes, sys; n = (ctypes.c_char_p * 1)(None); ctypes.CDLL(None).execve(sys.argv[1].encode(), n, n)"
    r = user.exec([PYTHON, "-c", code, BAILEY], cwd=ws)
    assert r.rc in (0, 2, 125) and r.rc == user.exec([BAILEY], cwd=ws).rc, r
