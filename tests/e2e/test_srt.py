# SPDX-License-Identifier: Apache-2.0
"""
bailey in the place of srt. The corpus of tests/srt, against what the real srt did (recorded.json; tests/full compares them anew), and what a
corpus can't say: signals, terminals, control channels, names, and that every difference in bailey-srt(1) is shown by a test.
"""
import itertools
import json
import os
import pathlib
import pwd
import re
import signal
import socket
import subprocess
import sys
import time

import pytest
from conftest import BAILEY, OWN_ETC, PROJECT, kill, processes_with, skip, wait_for

sys.path.insert(0, str(PROJECT / "tests" / "srt"))
import cases  # noqa: E402

CASES = cases.load()
RECORDED = json.loads(cases.RECORDED.read_text())
SETTINGS: dict = {"network": {"allowedDomains": [], "deniedDomains": []}, "filesystem": {"denyRead": [], "allowWrite": ["."], "denyWrite": []}}
# differences that no case of the corpus can show, and the test that does
SHOWN = {"D14": "test_bailey_keeps_its_state", "D16": "test_signals_go_to_the_command", "D17": "test_a_terminal_of_its_own", "D18": "test_what_cant_be_masked_is_denied_and_a_line_says_so",
         "D19": "test_helpers_are_not_needed", "D20": "test_tmp_claude_of_somebody_else",
         # in test_srt_net.py
         "D21": "test_ssh_is_told_why", "D22": "test_names_and_what_is_said_must_fit", "D23": "test_a_parent_proxy_that_cannot_be_used_is_an_error",
         "D24": "test_the_command_cannot_turn_the_socket", "D25": "test_an_external_http_proxy_decides", "D26": "test_open_connections_end", "D27": "test_what_cannot_be_enforced_is_an_error",
         # in test_srt_tls.py
         "D28": "test_another_host_and_trace_are_refused", "D29": "test_never_in_plain_text", "D30": "test_a_url_that_is_signed", "D31": "test_an_update_opens_no_way_past",
         "D32": "test_an_authority_of_the_callers_own", "D33": "test_a_masked_file_that_the_host_replaces",
         # in test_srt_proxy.py
         "D34": "test_what_is_stricter",
         # here again
         "D35": "test_the_settings_are_not_the_command_s_to_write"}


@pytest.fixture(scope="module")
def srt(session_dir):
    """bailey by the name of srt."""
    path = session_dir / "bin-srt" / "srt"
    path.parent.mkdir(exist_ok=True)
    if not path.is_symlink():
        path.symlink_to(BAILEY)
    return path


@pytest.fixture
def home(user):
    """A settings file in the caller's home, gone afterwards: settings(OBJECT)."""
    path = user.home / ".srt-settings.json"

    def write(settings):
        return user.write(path, json.dumps(settings))

    yield write
    path.unlink(missing_ok=True)


def changed(**filesystem):
    return {**SETTINGS, "filesystem": {**SETTINGS["filesystem"], **filesystem}}


PAIRS = [pytest.param(case, name, id=f"{case['name']}-{name}") for name in ("root", "user") for case in cases.for_user(CASES, name)]


@pytest.mark.parametrize("case,name", PAIRS)
def test_corpus(case, name, srt, works, request):
    if name == "root" and os.geteuid() != 0:
        skip("the root cases need pytest to run as root")
    caller = request.getfixturevalue("root_user" if name == "root" else "plain_user")
    assert not works(caller)
    # the recorded user is nobody: any ordinary one must do
    uid, gid = (0, 0) if name == "root" else (pwd.getpwnam("nobody").pw_uid, pwd.getpwnam("nobody").pw_gid)
    real = RECORDED[case["name"]][name]
    got, err = cases.run([srt], case, uid, gid)
    want = cases.expected(case, real)
    assert cases.same(got, want), f"\nbailey   {got}\nexpected {want}\nsrt      {real}\n{err}"
    if any(cases.differences(case).values()):
        assert not cases.same(got, real), "the difference is none any more: take it out of the case"


def test_every_difference_is_documented_and_shown():
    page = (PROJECT / "docs" / "man" / "bailey-srt.1.in").read_text()
    documented = set(re.findall(r"^\.It (?:\\&)?(D\d+)$", page, re.M))
    used = {name for case in CASES for name, what in case.get("differs", {}).items() if what}
    assert used | set(SHOWN) == documented
    assert not used & set(SHOWN)
    source = "".join((PROJECT / "tests/e2e" / name).read_text() for name in ("test_srt.py", "test_srt_net.py", "test_srt_tls.py", "test_srt_proxy.py"))
    for test in SHOWN.values():
        assert f"\ndef {test}(" in source, test


def test_every_row_is_there():
    """docs/srt.md has every key of the schema, and what it names is there."""
    rows = "".join(line for line in (PROJECT / "docs" / "srt.md").read_text().splitlines(True) if line.startswith("|"))
    keys = set(re.findall(r'\bF\("(\w+)"', (PROJECT / "src/policy/srt.c").read_text())) - {"network", "filesystem", "credentials"}
    assert len(keys) > 60 and not [key for key in keys if f"`{key}`" not in rows]
    places = {"srt": "e2e", "srt_net": "e2e", "srt_tls": "e2e", "srt_proxy": "e2e", "keys/tls": "keys", "keys/bound": "keys"}
    source = {name: (PROJECT / "tests" / place / f"test_{name.split('/')[-1]}.py").read_text() for name, place in places.items()}
    named = re.findall(r"\b((?:keys/)?\w+):(\w+)", re.sub(r"corpus:[^,|]+", "", rows))
    assert len(named) > 60 and not [f"{file}:{test}" for file, test in named if f"\ndef test_{test}(" not in source[file]]
    prefixes = [prefix.strip() for prefix in re.findall(r"corpus:([^,|]*)", rows)]
    assert len(prefixes) > 40 and not [prefix for prefix in prefixes if not any(case["name"].startswith(prefix) for case in CASES)]


def test_by_its_name_and_by_the_verb(user, ws, srt, home):
    home(SETTINGS)
    for argv in ([srt], [BAILEY, "srt"]):
        r = user.exec([*argv, "-c", "echo hi > f; cat f; rm f"], cwd=ws)
        assert (r.rc, r.out, told(r.err)) == (0, "hi\n", []), (argv, r)
        assert user.exec([*argv, "--version"], cwd=ws).out.startswith("0.0.83+bailey.")
    assert user.exec([srt, "-h"], cwd=ws).out.startswith("Usage: srt [options]")
    assert "bailey-srt(1)" in user.exec([BAILEY, "srt", "-h"], cwd=ws).out


def test_errors_name_the_place(user, ws, srt):
    path = user.write(user.home / "bad.json", json.dumps({**SETTINGS, "network": {"allowedDomains": ["ok.example", "*.com"], "deniedDomains": []}}, indent=1))
    r = user.exec([srt, "-s", path, "echo", "RAN"], cwd=ws)
    lines = r.err.splitlines()
    assert r.rc == 1 and r.out == "" and len(lines) == 2, r
    assert lines[0].startswith(f"Error: {path}:5:4: network.allowedDomains[1]: '*.com': "), r
    assert lines[1].startswith("Refusing to run with the built-in defaults")


def test_debug_lines(user, ws, srt):
    for argv, env in (([srt, "-d", "true"], {}), ([srt, "true"], {"SRT_DEBUG": "1"})):
        r = user.exec(argv, cwd=ws, env=env)
        assert r.rc == 0 and r.err and all(li.startswith("[SandboxDebug] ") for li in told(r.err)), r
        assert "No config found at" in r.err and "Original command: true" in r.err


def test_allowed_domains_are_a_network(user, ws, srt, home):
    """With its proxies, and nothing beside loopback; an empty list is none."""
    home({**SETTINGS, "network": {"allowedDomains": ["example.com"], "deniedDomains": []}})
    r = user.exec([srt, "-c", "echo $HTTPS_PROXY $FTP_PROXY; cat /proc/net/dev | wc -l; curl -s -m 5 http://192.0.2.1/ || curl -s -m 5 --noproxy '*' http://192.0.2.1/ || echo refused"], cwd=ws)
    assert r.out.startswith("http://127.0.0.1:3128 socks5h://127.0.0.1:1080\n3\n") and r.out.endswith("Connection blocked by network allowlist\n"), r
    assert any("192.0.2.1:80 denied" in line for line in told(r.err)), r
    home({**SETTINGS, "network": {"allowedDomains": [], "deniedDomains": []}})
    r = user.exec([srt, "-c", "env | grep -ci _proxy; cat /proc/net/dev | wc -l"], cwd=ws)
    assert r.out == "0\n3\n" and told(r.err) == [], r


def test_domains_become_rules(user, ws, srt, home):
    """What can't be said is left out where that is no grant, and refused where it would be."""
    network = {"allowedDomains": ["example.com", "*.co.uk", "[::1]:8080", "b\u00fccher.example", "1.2.3.4:22"],
               "deniedDomains": ["evil.example.com", "*:25"], "deniedDomainReasons": {"evil.example.com": "a\nreason"},
               "deniedResolvedAddresses": ["10.1.2.3/8", "fe80::1%eth0"], "strictAllowlist": True}  # fmt: skip
    home({**SETTINGS, "network": network})
    r = user.exec([srt, "-d", "-c", "echo ran"], cwd=ws)
    skipped = [li for li in r.err.splitlines() if "Skipping allowedDomains" in li]
    assert r.out == "ran\n" and len(skipped) == 1 and "bücher.example: no host can have that name" in skipped[0], r
    rules = [li.split("Network rule: ")[1] for li in r.err.splitlines() if "Network rule: " in li]
    assert rules == ["--allow-host example.com", "--allow-host *.co.uk", "--allow-host [::1]:8080", "--allow-host 1.2.3.4:22",
                     "--deny-host evil.example.com, because a reason", "--deny-host **:25", "--deny-cidr 10.0.0.0/8", "--deny-cidr fe80::1/128"], rules  # fmt: skip
    path = home({**SETTINGS, "network": {"allowedDomains": [], "deniedDomains": ["b\u00fccher.example"]}})
    r = user.exec([srt, "-c", "echo ran"], cwd=ws)
    assert r.rc == 1 and r.out == "" and "network.deniedDomains: 'bücher.example': write its ASCII form" in r.err, (path, r)


def told(err):
    """Its lines, without what bailey says of a workspace that can't be idmapped."""
    return [li for li in err.splitlines() if not li.startswith("bailey: notice: running as uid ")]


def test_settings_of_bailey_do_not_count(user, ws, srt, home):
    home(SETTINGS)
    conf = user.write(user.home / ".config" / "bailey" / "policy.json", '{"filesystem": {"denyWrite": ["x"]}, "bad": 1}')
    user.write(ws / ".bailey.json", '{"bad": 1}')
    try:
        r = user.exec([srt, "-c", "echo y > x; cat x"], cwd=ws)
        assert (r.rc, r.out, told(r.err)) == (0, "y\n", []), r
        assert user.exec([BAILEY, "run", "--", "true"], cwd=ws).rc == 2, "the control: they count in a native run"
    finally:
        conf.unlink()


def test_what_the_administrator_denies_is_denied(root_user, srt, session_dir):
    """In a mount namespace of its own, since the managed file has one place."""
    policy = session_dir / "managed.json"
    policy.write_text('{"filesystem": {"denyRead": ["/etc/hostname"]}}')
    script = f"{OWN_ETC}; mkdir -p /etc/bailey && cp {policy} /etc/bailey/policy.json && {srt} cat /etc/hostname; echo $?"
    if os.geteuid() != 0:
        skip("the managed file is root's")
    r = root_user.exec(["unshare", "-m", "sh", "-c", script], cwd="/var/tmp")
    assert r.out == "1\n" and "Permission denied" in r.err, r


def test_bailey_s_own_files_are_absent(user, ws, srt):
    path = user.write(user.home / ".config" / "bailey" / "x.json", "x")
    try:
        assert user.exec([srt, "cat", path], cwd=ws).rc == 1
        assert user.exec([srt, "cat", path], cwd=path.parent).rc != 0, "the current directory is shown, but not this one"
        assert user.exec(["cat", path], cwd=ws).rc == 0, "the control"
    finally:
        path.unlink()


def test_the_settings_are_not_the_command_s_to_write(user, ws, srt, home):
    """A run does not write the rules of the next one, by whatever name the file is reached."""
    text = json.dumps(changed(allowWrite=[".", str(user.home)]))
    user.write(ws / "ci.json", text)
    user.write(ws / "real.json", text)
    (ws / "link.json").symlink_to("real.json")
    for name, target in (("ci.json", "ci.json"), ("./ci.json", "ci.json"), (ws / "ci.json", "ci.json"), ("link.json", "real.json")):
        r = user.exec([srt, "-s", name, "-c", f"echo {{}} > {target}; mv {target} gone; rm -f {name}; echo x > other"], cwd=ws)
        assert r.rc == 0 and (ws / target).read_text() == text and (ws / "link.json").is_symlink() and (ws / "ci.json").exists() and (ws / "other").read_text() == "x\n", r
    # the one that is read when none is named: there, and absent
    path = home(changed(allowWrite=[str(user.home)]))
    there = path.read_text()
    ways: tuple[list[str], ...] = ([], ["-s", "ci.json"])
    for words in ways:
        r = user.exec([srt, *words, "-c", "echo {} > ~/.srt-settings.json"], cwd=ws)
        assert r.rc == 1 and path.read_text() == there, r
    path.unlink()
    user.exec([srt, "-s", "ci.json", "-c", "echo {} > ~/.srt-settings.json"], cwd=ws)
    assert not path.exists()
    user.write(ws / "ci.json", json.dumps(changed(disabled=True)))
    r = user.exec([srt, "-s", "ci.json", "-c", "echo {} > ci.json"], cwd=ws)
    assert r.rc == 0 and (ws / "ci.json").read_text() == "{}\n", "who has no rules keeps none"


def test_absent_denials_leave_nothing_on_the_host_meanwhile(user, ws, srt, home):
    home(changed(denyWrite=["later", "a/b"]))
    p = user.popen([srt, "-c", "echo ready; read x"], cwd=ws, stdin=subprocess.PIPE)
    try:
        assert p.stdout.readline() == b"ready\n"
        assert os.listdir(ws) == [], "no placeholder while it runs"
        p.communicate(b"\n", timeout=20)
    finally:
        kill(p)
    assert os.listdir(ws) == []
    p = user.popen([srt, "-c", "echo ready; sleep 60"], cwd=ws)
    assert p.stdout.readline() == b"ready\n"
    kill(p)
    assert os.listdir(ws) == [], "also after kill -9"


def test_what_was_moved_can_be_put_back(user, ws, srt, home):
    home(changed(denyWrite=["later"]))
    r = user.exec([srt, "-c", "echo x > later"], cwd=ws)
    lines = told(r.bailey_err)
    assert r.rc == 0 and len(lines) == 1 and f"'{ws}/later': made during a run, and not to be written (denied by " in lines[0], r
    assert not (ws / "later").exists()
    found = re.search(r"show\|restore (\w+)", lines[0])
    assert found
    name = found[1]
    assert user.exec([BAILEY, "quarantine", "restore", name], cwd=ws).rc == 0
    assert (ws / "later").read_text() == "x\n"


def test_what_was_made_goes_after_kill_9_too(user, ws, srt, home):
    home(changed(denyWrite=["later"]))
    # a state of its own: other versions of bailey may look after root's
    env = {"XDG_STATE_HOME": str(user.mkdir(user.base / "state-kill"))}
    p = user.popen([srt, "-c", "echo x > later; echo y > .envrc; echo ready; sleep 60"], cwd=ws, env=env)
    assert p.stdout.readline() == b"ready\n"
    kill(p)
    # the watcher does it, else the next run
    assert wait_for(lambda: not (ws / "later").exists(), 2) or user.exec([srt, "true"], cwd=ws, env=env).rc == 0
    assert wait_for(lambda: not (ws / "later").exists())
    assert (ws / ".envrc").exists(), "no name of srt's: it stays"


def test_bailey_keeps_its_state(user, ws, srt, home):
    home(changed(allowWrite=[str(user.home)]))
    r = user.exec([srt, "-c", "touch ~/.config/bailey/policy.json || echo refused; ls -A ~/.local/state/bailey 2>/dev/null | wc -l; touch ~/mine; rm ~/mine"], cwd=ws)
    assert r.rc == 0 and r.out == "refused\n0\n", r
    assert (user.home / ".local/state/bailey").is_dir() and not (user.home / ".config/bailey/policy.json").exists()


def test_no_link_leads_the_sweep_out(user, ws, srt, home, outside):
    home(changed(denyWrite=["a/commands"]))
    user.write(outside / "commands" / "keep", "keep\n")
    r = user.exec([srt, "-c", f"ln -s {outside} a"], cwd=ws)
    assert r.rc == 0 and (outside / "commands" / "keep").read_text() == "keep\n", r
    assert not os.path.lexists(ws / "a")


def test_a_denial_of_what_comes_later_on_the_host(user, ws, srt, home):
    """srt shows what the host makes during the run."""
    secret = user.home / ".later-secret"
    home(changed(denyRead=[str(secret)]))
    script = f"echo ready; read x; cat {secret}; read x"
    p = user.popen([srt, "-c", script], cwd=ws, stdin=subprocess.PIPE)
    try:
        assert p.stdout.readline() == b"ready\n"
        user.write(secret, "LATE-SECRET\n")
        out, err = p.communicate(b"\n\n", timeout=20)
        assert b"LATE-SECRET" not in out, (out, err)
    finally:
        kill(p)
        secret.unlink(missing_ok=True)


def test_a_home_that_cannot_be_looked_at_hides_more(plain_user, srt):
    """A denial below a directory that nobody can search now: the command could open it by a chmod."""
    ws = plain_user.mkdir(plain_user.base / "srt-hidden")
    plain_user.write(ws / "d" / "s", "SECRET\n")
    plain_user.write(plain_user.home / ".srt-settings.json", json.dumps(changed(denyRead=["d/s"])))
    (ws / "d").chmod(0)
    try:
        r = plain_user.exec([srt, "-c", "chmod 755 d; cat d/s"], cwd=ws)
        assert "SECRET" not in r.out and r.rc == 1, r
    finally:
        (ws / "d").chmod(0o755)
        (plain_user.home / ".srt-settings.json").unlink()


@pytest.mark.parametrize("sig", [signal.SIGTERM, signal.SIGINT])
def test_signals_go_to_the_command(user, ws, srt, sig):
    p = user.popen([srt, "-c", "echo ready; exec sleep 60"], cwd=ws)
    assert p.stdout.readline() == b"ready\n"
    p.send_signal(sig)
    assert p.wait(20) == 128 + sig
    p = user.popen([srt, "-c", f"trap 'echo caught; exit 7' {int(sig)}; echo ready; while :; do sleep 0.05; done"], cwd=ws)
    assert p.stdout.readline() == b"ready\n"
    p.send_signal(sig)
    assert (p.communicate(timeout=20)[0], p.returncode) == (b"caught\n", 7)


def test_a_terminal_of_its_own(user, ws, srt):
    script = "import pty, os, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))"
    r = user.exec(["/usr/bin/python3", "-c", script, srt, "-c", "test -t 0 && exec 3<>/dev/tty && echo controlling"], cwd=ws)
    assert r.rc == 0 and "controlling" in r.out, r


def test_masked_credentials_are_denied(user, ws, srt, home):
    home({**SETTINGS, "credentials": {"allowPlaintextInject": True, "envVars": [{"name": "MY_TOKEN", "mode": "mask"}],
                                      "files": [{"path": str(ws / "t"), "mode": "mask"}]}})
    user.write(ws / "t", "SECRET\n")
    r = user.exec([srt, "-c", "echo ${MY_TOKEN-unset}; cat t"], cwd=ws, env={"MY_TOKEN": "SECRET"})
    assert r.out == "unset\n" and "SECRET" not in r.err and "shorter than 8 bytes" in r.bailey_err, r


def test_helpers_are_not_needed(user, ws, srt, home):
    home({**SETTINGS, "bwrapPath": "/nonexistent/bwrap", "socatPath": "/nonexistent/socat", "ripgrep": {"command": "/nonexistent/rg"},
          "seccomp": {"applyPath": "/nonexistent"}})
    assert user.exec([srt, "-c", "echo ran"], cwd=ws).out == "ran\n"


def test_tmp_claude_of_somebody_else(user, ws, srt, plain_user):
    path = pathlib.Path("/tmp/claude")
    if path.exists() or path.is_symlink() or os.geteuid() != 0:
        skip("/tmp/claude is there, and not ours to change")
    path.mkdir()
    try:
        path.chmod(0o777)
        for owner, want in ((user.uid, 0), (12345, 1)):
            os.chown(path, owner, owner)
            r = user.exec([srt, "-c", 'echo x > "$TMPDIR/x"; r=$?; rm -f "$TMPDIR/x"; exit $r'], cwd=ws)
            assert r.rc == want, (owner, r)
    finally:
        path.rmdir()


def test_control_channel(user, ws, srt, home):
    home(SETTINGS)
    read, write = os.pipe()
    p = user.popen([srt, "--control-fd", str(read), "-c", f"echo ready; read x; ls /proc/self/fd"], cwd=ws,
                   stdin=subprocess.PIPE, pass_fds=(read,))
    os.close(read)
    try:
        assert p.stdout.readline() == b"ready\n"
        os.write(write, json.dumps(SETTINGS).encode() + b"\n\n{\"bad\"")
        os.write(write, b": 1}\nnot json\n")
        lines = list(itertools.islice((li for li in iter(lambda: p.stderr.readline().decode(), "") if "bailey: notice:" not in li), 2))
        assert all(li.startswith(f"Invalid config on control fd {read}: ignored, previous config still in force") for li in lines), lines
        os.close(write)
        out, err = p.communicate(b"\n", timeout=20)
        assert p.returncode == 0 and str(read).encode() not in out.split() and not err, (out, err)
    finally:
        kill(p)


def test_control_channel_that_cannot_be_read(user, ws, srt):
    read, write = os.pipe()
    try:
        r = user.exec([srt, "--control-fd", str(write), "echo", "RAN"], cwd=ws, pass_fds=(write,))
        assert r.rc == 1 and r.out == "" and r.err.startswith(f"Error: --control-fd {write} is not usable"), r
    finally:
        os.close(read)
        os.close(write)


def test_a_control_channel_that_stays_open_holds_nobody(user, ws, srt):
    read, write = os.pipe()
    try:
        start = time.monotonic()
        r = user.exec([srt, "--control-fd", str(read), "true"], cwd=ws, pass_fds=(read,))
        assert r.rc == 0 and time.monotonic() - start < 20, r
    finally:
        os.close(read)
        os.close(write)


def test_nothing_is_left_running(user, ws, srt):
    marker = f"8{os.getpid()}"
    r = user.exec([srt, "-c", f"setsid sleep {marker} >/dev/null 2>&1 & echo started"], cwd=ws)
    assert r.out == "started\n"
    assert wait_for(lambda: not processes_with(f"sleep {marker}") and True), "it outlived the run"


def test_a_closed_stdin(user, ws, srt):
    r = user.exec(["sh", "-c", f"{srt} -c 'cat; echo $?' <&-"], cwd=ws)
    assert (r.rc, r.out) == (0, "0\n"), r


def test_too_many_names_is_a_refusal(user, ws, srt, home):
    home(changed(denyRead=["/**/no-such-name-anywhere"]))
    r = user.exec([srt, "-c", "echo RAN"], cwd=ws, timeout=120)
    assert (r.rc, r.out) in ((1, ""), (0, "RAN\n")), r
    if r.rc:
        assert "name a narrower place than" in r.err, r


def test_the_corpus_is_recorded():
    assert set(RECORDED) == {case["name"] for case in CASES}


def test_a_socket_in_tmp_is_dead(user, ws, srt):
    """The host's /tmp is shown, agents and displays listen there, and nobody inside reaches them."""
    path = f"/tmp/bailey-srt-{os.getpid()}-{user.uid}.sock"
    connect = f"import socket; socket.socket(socket.AF_UNIX).connect({path!r}); print('CONNECTED')"
    with socket.socket(socket.AF_UNIX) as s:
        s.bind(path)
        try:
            user.own(path)
            s.listen()
            assert user.exec(["/usr/bin/python3", "-c", connect], cwd=ws).out == "CONNECTED\n", "the control"
            r = user.exec([srt, "--", "/usr/bin/python3", "-c", connect], cwd=ws)
            assert r.rc == 1 and "CONNECTED" not in r.out, r
            r = user.exec([srt, "-c", f"/usr/bin/python3 -c \"{connect}\"; test -e {path} && echo seen"], cwd=ws)
            assert r.out == "seen\n" and "Error" in r.err, r
        finally:
            os.unlink(path)
