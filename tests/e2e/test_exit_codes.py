# SPDX-License-Identifier: Apache-2.0
"""The exit code is the command's own, or says who failed."""
import json

import pytest

from conftest import PYTHON


def test_sandbox_works(run):
    r = run(["true"])
    assert (r.rc, r.out, r.command_err) == (0, "", "")


@pytest.mark.parametrize("code", [0, 1, 2, 42, 124, 125, 126, 127, 255])
def test_own_code(run, code):
    assert run(f"exit {code}").rc == code


@pytest.mark.parametrize("sig", ["HUP", "INT", "QUIT", "KILL", "SEGV", "PIPE", "TERM", "USR1"])
def test_signal_is_128_plus_n(run, sig):
    number = {"HUP": 1, "INT": 2, "QUIT": 3, "KILL": 9, "USR1": 10, "SEGV": 11, "PIPE": 13, "TERM": 15}[sig]
    # exec: the command itself dies, no shell turns it into a code
    code = f"import os, signal; signal.signal({number}, 0) if {number} != 9 else 0; os.kill(os.getpid(), {number})"
    assert run([PYTHON, "-c", code]).rc == 128 + number


def test_not_found(run):
    r = run(["no-such-command-anywhere"])
    assert r.rc == 127
    assert "no-such-command-anywhere" in r.bailey_err


@pytest.mark.parametrize("path", ["./missing", "/no/such/dir/cmd", "/etc"])
def test_bad_path(run, path):
    r = run([path])
    assert r.rc == (126 if path == "/etc" else 127)
    assert r.bailey_err


def test_not_executable(run, user, ws):
    user.write(ws / "plain", "#!/bin/sh\nexit 0\n", 0o644)
    r = run(["./plain"])
    assert r.rc == 126
    assert "plain" in r.bailey_err


def test_not_a_program(run, user, ws):
    # Like execvp(3): what the kernel can't execute is given to the shell, which runs a script without "#!".
    user.write(ws / "script", "echo ran\n", 0o755)
    user.write(ws / "garbage", "\x01\x02 no format\n", 0o755)
    r = run(["./script"])
    assert r.rc == 126 or r.out == "ran\n", r
    assert run(["./garbage"]).rc in (126, 127)


def test_missing_interpreter(run, user, ws):
    user.write(ws / "script", "#!/no/such/interpreter\n", 0o755)
    assert run(["./script"]).rc in (126, 127)


def test_relative_and_path_lookup(run, user, ws):
    user.write(ws / "hello", "#!/bin/sh\necho hello \"$@\"\n", 0o755)
    assert run(["./hello", "a b"]).out == "hello a b\n"
    assert run(["hello"], env={"PATH": f"{ws}:/usr/bin:/bin"}).out == "hello\n"


def test_arguments_are_untouched(run):
    args = ["", " ", "a\nb", "--explain", "--", "*", "$HOME", "\\", "'", '"', "\udcff"]
    r = run([PYTHON, "-c", "import sys; print(ascii(sys.argv[1:]))", *args])
    assert r.rc == 0
    assert r.out == ascii(args) + "\n"


def test_timeout_is_124(run):
    r = run(["sleep", "60"], "--timeout", "500ms")
    assert r.rc == 124
    assert r.secs < 20


@pytest.mark.parametrize(
    "args",
    [
        ["run", "--no-such-option", "--", "true"],
        ["run", "--workspace", "/no/such/directory", "--", "true"],
        ["run", "--workspace", "/etc/passwd", "--", "true"],
        ["run", "--workspace", "", "--", "true"],
        ["run", "--workspace"],
        ["run", "--timeout", "soon", "--", "true"],
        ["run", "--timeout", "-1s", "--", "true"],
        ["run", "--timeout", "", "--", "true"],
        ["run", "--timeout", "99999999999999999999h", "--", "true"],
        ["run", "--env", "NO_EQUALS", "--", "true"],
        ["run", "--env", "=x", "--", "true"],
        ["run", "--allow-write", "", "--", "true"],
        ["run", "--allow-degraded=nonsense", "--", "true"],
        ["run", "--allow-degraded=userns", "--", "true"],
        ["run", "--explain=xml", "--", "true"],
        ["run", "--"],
        ["run"],
        ["no-such-verb"],
        ["check", "fly", "/etc"],
        ["check", "read"],
    ],
    ids=" ".join,
)
def test_bad_usage_is_2(bailey, ws, args):
    r = bailey(args, cwd=ws)
    assert r.rc == 2, r
    assert r.err.startswith("bailey"), r.err
    assert len(r.err.splitlines()) <= 3, "an error names the option, it does not print the whole help"


def test_version_and_help(bailey, ws):
    r = bailey(["--version"], cwd=ws)
    assert r.rc == 0 and r.out.startswith("bailey") and r.err == ""
    for args in (["--help"], ["help", "run"]):
        r = bailey(args, cwd=ws)
        assert r.rc == 0 and r.err == "", r
        assert "run" in r.out
    for opt in ("--workspace", "--allow-write", "--deny-read", "--timeout", "--allow-degraded", "--pass-env"):
        assert opt in bailey(["help", "run"], cwd=ws).out


def test_verb_version(bailey, ws):
    """The verb says what the option says; --json for scripts; no words."""
    r = bailey(["version"], cwd=ws)
    assert r.rc == 0 and r.err == "" and r.out == bailey(["--version"], cwd=ws).out, r
    about = bailey(["version", "--json"], cwd=ws)
    assert about.rc == 0 and about.err == "" and about.out.count("\n") == 1, about
    assert f"{json.loads(about.out)['name']} {json.loads(about.out)['version']}\n" == r.out and set(json.loads(about.out)) == {"name", "version"}
    for words in (["version", "box"], ["version", "--jso"]):
        r = bailey(words, cwd=ws)
        assert r.rc == 2 and r.out == "" and r.err.count("\n") == 1 and words[1] in r.err, r


def test_help_after_the_separator_belongs_to_the_command(run):
    assert run([PYTHON, "-c", "import sys; print(sys.argv[1])", "--help"]).out == "--help\n"


def test_errors_are_one_line_even_for_odd_names(run, ws):
    r = run(["no\nsuch\x1b[31mcommand"])
    assert r.rc == 127
    assert len([li for li in r.err.splitlines() if "notice:" not in li]) == 1
    assert "\x1b" not in r.err
