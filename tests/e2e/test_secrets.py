# SPDX-License-Identifier: Apache-2.0
"""bailey secret: what is kept, how, and that no value is found anywhere: in no file, no listing, no message, no process."""
import base64
import ctypes
import json
import os
import pathlib
import pty
import re
import shutil
import signal
import stat
import subprocess
import termios
import time

import pytest

from conftest import BAILEY, PROJECT, kill, skip, wait_for
from searches import forms
from terminals import Pty

KEYS = BAILEY.parent / "bailey-keys"
VALUE = "kept/Value+0123=Canary~xyz"
OTHER = "other/Value+9876=Canary~abc"
EXAMPLE = ("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")


def holds(data, value):
    return [f for f in forms(value) if f in data]


@pytest.fixture
def state(user, outside):
    return user.mkdir(outside / "state", 0o700)


@pytest.fixture
def secret(user, state):
    """secret(WORDS…, stdin=) -> Result of `bailey secret`, with a state of its own."""
    def call(*words, stdin=None, env=None, cwd=None):
        return user.exec([BAILEY, "secret", *words], stdin=stdin, cwd=cwd, env={"XDG_STATE_HOME": str(state), **(env or {})})

    return call


@pytest.fixture
def listing(secret):
    def call():
        r = secret("ls", "--json")
        assert r.rc == 0, r
        return json.loads(r.out)

    return call


def store(state):
    return state / "bailey" / "secrets"


def no_trace(state, *values):
    """No file of the state holds a value in any form; what else is below it is searched, too."""
    files = [p for p in state.rglob("*") if p.is_file()]
    assert files
    for p in files:
        for v in values:
            assert not holds(p.read_bytes(), v), p
            assert not holds(p.name.encode(), v), p


def test_the_search_finds_every_form(tmp_path):
    """The control of all tests that find nothing."""
    for f in forms(VALUE):
        (tmp_path / "x").write_bytes(b"before" + f + b"behind")
        with pytest.raises(AssertionError):
            no_trace(tmp_path, VALUE)
    for shift in range(5):
        assert holds(base64.b64encode(b"x" * shift + VALUE.encode() + b"yy"), VALUE)
    (tmp_path / "x").write_text("nothing")
    no_trace(tmp_path, VALUE)


def test_a_secret_is_kept_listed_rotated_and_removed(secret, listing, state):
    r = secret("set", "github", stdin=VALUE + "\n")
    assert (r.rc, r.err) == (0, "") and r.out.startswith("kept github, for api.github.com, github.com"), r
    entry, = listing()
    assert entry["name"] == entry["service"] == "github" and entry["state"] == "ready" and entry["source"] == "value"
    assert entry["variables"] == ["GH_TOKEN", "GITHUB_TOKEN"] and "github.com" in entry["hosts"] and entry["expires"] is None
    before = (store(state) / "github.secret").read_bytes()
    no_trace(state, VALUE)
    time.sleep(1.1)
    r = secret("rotate", "github", stdin=OTHER)
    assert r.rc == 0 and r.out.startswith("rotated github"), r
    again, = listing()
    assert again["created"] == entry["created"] and again["changed"] > entry["changed"]
    assert (store(state) / "github.secret").read_bytes() != before
    no_trace(state, VALUE, OTHER)
    r = secret("ls")
    assert r.rc == 0 and r.out.startswith("github: ready, github, api.github.com") and "Canary" not in r.out + r.err
    r = secret("rm", "github")
    assert (r.rc, r.out, r.err) == (0, "removed github\n", ""), r
    assert listing() == [] and secret("ls").out == ""
    no_trace(state, VALUE, OTHER)


def test_only_its_owner_can_read_it(secret, state, user):
    old = os.umask(0)
    try:
        assert secret("set", "npm", stdin=VALUE).rc == 0
    finally:
        os.umask(old)
    assert stat.S_IMODE(store(state).stat().st_mode) == 0o700
    assert {p.name for p in store(state).iterdir()} == {"key", "npm.secret"}
    for p in store(state).iterdir():
        assert stat.S_IMODE(p.stat().st_mode) == 0o600 and p.stat().st_uid == user.uid
    assert (store(state) / "key").stat().st_size == 32


# Of each: the hosts that get the value, and the variables that hold a stand-in. One more is a way out, one less is a program that finds nothing.
SERVICES = {
    "anthropic": (["api.anthropic.com"], ["ANTHROPIC_API_KEY"]),
    "openai": (["api.openai.com"], ["OPENAI_API_KEY"]),
    "github": (["api.github.com", "github.com", "uploads.github.com"], ["GH_TOKEN", "GITHUB_TOKEN"]),
    "google": (["generativelanguage.googleapis.com"], ["GEMINI_API_KEY", "GOOGLE_API_KEY"]),
    "aws": (["*.amazonaws.com", "*.api.aws"], ["AWS_SECRET_ACCESS_KEY"]),
    "groq": (["api.groq.com"], ["GROQ_API_KEY"]),
    "mistral": (["api.mistral.ai"], ["MISTRAL_API_KEY"]),
    "xai": (["api.x.ai"], ["XAI_API_KEY"]),
    "openrouter": (["openrouter.ai"], ["OPENROUTER_API_KEY"]),
    "npm": (["registry.npmjs.org"], ["NPM_TOKEN", "NODE_AUTH_TOKEN"]),
    "pypi": (["upload.pypi.org"], ["TWINE_PASSWORD", "UV_PUBLISH_TOKEN"]),
}


@pytest.mark.parametrize("service", SERVICES)
def test_services_ask_for_nothing_else(secret, listing, service):
    assert secret("set", service, stdin=":".join(EXAMPLE) if service == "aws" else VALUE).rc == 0
    entry, = listing()
    assert entry["service"] == service and (entry["hosts"], entry["variables"]) == SERVICES[service]


def test_these_are_all_services(secret):
    """A service that is added comes into the table above, and into test_ready_made.py."""
    r = secret("set", "no-such-service", stdin=VALUE)
    known = secret("--help").out
    assert r.rc == 2 and all(s in known for s in SERVICES), r
    table = (PROJECT / "src/keys/services.c").read_text()
    assert re.findall(r'\.name = "(.*)"', table) == list(SERVICES)


def test_the_keys_of_aws(secret, listing, state, user, outside):
    for text in (":".join(EXAMPLE), ":".join(EXAMPLE) + ":token/of+session==",
                 json.dumps({"Version": 1, "AccessKeyId": EXAMPLE[0], "SecretAccessKey": EXAMPLE[1], "SessionToken": "t/o+k=en1", "Expiration": "2001-01-01T00:00:00+00:00"})):
        r = secret("set", "aws", "--replace", "--region", "eu-west-1", "--aws-service", "s3", stdin=text)
        assert r.rc == 0, r
        no_trace(state, EXAMPLE[1])
    assert listing()[0]["state"] == "expired"
    for text in (VALUE, EXAMPLE[0] + ":short", "lower:" + EXAMPLE[1], "{", '{"AccessKeyId": "AKIAIOSFODNN7EXAMPLE"}', "AKIAIOSFODNN7EXAMPLE:" + EXAMPLE[1] + ":"):
        r = secret("set", "aws", "--replace", stdin=text)
        assert r.rc == 2 and r.err.startswith("bailey: secret 'aws': ") and EXAMPLE[1] not in r.err and "Canary" not in r.err, r


def test_where_a_value_comes_from(secret, listing, state, user, outside):
    f = user.write(outside / "token", VALUE + "\r\n", 0o600)
    how = ("--host", "api.example.org", "--header", "X-Key")
    assert secret("set", "a", *how, "--file", f).rc == 0
    assert secret("set", "b", *how, "--from-env", "TOKEN", env={"TOKEN": VALUE}).rc == 0
    assert secret("set", "c", *how, "--command", f"cat {f}").rc == 0
    assert secret("set", "d", *how, "--file", "-", stdin=VALUE).rc == 0
    assert [e["source"] for e in listing()] == ["value", "value", "command", "value"]
    assert listing()[2]["expires"] is None
    no_trace(state, VALUE)


def test_a_command_says_how_long(secret, listing, user, outside, state):
    count = outside / "count"
    script = user.write(outside / "token.sh", f"""#!/bin/sh
echo run >> {count}
printf '{{"value":"{VALUE}","expires_in":%s}}' "$1"
""", 0o755)
    how = ("--host", "*.Example.org", "--query", "k")
    assert secret("set", "t", *how, "--command", f"{script} 3600").rc == 0
    entry, = listing()
    assert entry["source"] == "command" and entry["state"] == "ready" and entry["hosts"] == ["*.example.org"]
    left = time.mktime(time.strptime(entry["expires"], "%Y-%m-%dT%H:%M:%SZ")) - time.timezone - time.time()
    assert 3500 < left <= 3600
    assert count.read_text() == "run\n"
    assert secret("rotate", "t").rc == 0  # by the same command
    assert count.read_text() == "run\nrun\n"
    assert secret("rotate", "t", "--command", f"{script} 0").rc == 0
    assert listing()[0]["state"] == "expired"
    assert secret("rotate", "t", "--file", "-", stdin=OTHER).rc == 0
    assert listing()[0]["source"] == "value" and listing()[0]["expires"] is None
    no_trace(state, VALUE, OTHER)


@pytest.mark.parametrize("command,why", [("exit 3", "exit status 3"), ("echo short", "at least 8"), ("kill -9 $$", "signal 9"), ("true", "at least 8"),
                                         ("head -c 100000 /dev/zero", "longer than"), ("echo '{\"value\":7}'", "no \"value\""),
                                         ("echo '{\"value\":\"12345678\",\"expires\":\"soon\"}'", "expires")])
def test_a_command_that_gives_nothing(secret, listing, command, why):
    r = secret("set", "t", "--host", "a.org", "--query", "k", "--command", command)
    assert r.rc == 2 and why in r.err, r
    assert listing() == []


@pytest.mark.parametrize("words,why", [
    (("set",), "bailey secret set NAME"),
    (("set", "UPPER"), "no name for a secret"),
    (("set", "../x"), "no name for a secret"),
    (("set", "x" * 64), "no name for a secret"),
    (("set", "anthropc"), "did you mean anthropic?"),
    (("set", "mine", "--host", "a.org"), "no service that is known"),
    (("set", "mine", "--header", "X-Key"), "--host"),
    (("set", "mine", "--header", "X-Key", "--query", "k", "--host", "a.org"), "one of --header"),
    (("set", "github", "--service", "github", "--query", "k"), "says how it is used"),
    (("set", "mine", "--service", "nope"), "no service that is known"),
    (("set", "mine", "--anywhere", "--host", "a.org"), "--env VAR"),
    (("set", "mine", "--header", "Host", "--host", "a.org"), "no header that could carry"),
    (("set", "mine", "--header", "Bad Name", "--host", "a.org"), "no header that could carry"),
    (("set", "mine", "--header", "X: no hole", "--host", "a.org"), "one {}"),
    (("set", "mine", "--header", "X: {} {}", "--host", "a.org"), "one {}"),
    (("set", "mine", "--header", "X: a\r\nb: {}", "--host", "a.org"), "printable"),
    (("set", "mine", "--query", "a&b", "--host", "a.org"), "no field of a query"),
    (("set", "mine", "--basic", "a:b", "--host", "a.org"), "no user of Basic"),
    (("set", "mine", "--query", "k", "--host", "*"), "--host"),
    (("set", "mine", "--query", "k", "--host", "*.org"), "--host '*.org': anybody can have a name below 'org' (it is a public suffix), and would get the secret; name the hosts\n"),
    (("set", "mine", "--query", "k", "--host", "a.org:443"), "without a port"),
    (("set", "mine", "--query", "k", "--host", "10.0.0.1"), "10.0.0.1"),
    (("set", "mine", "--query", "k", "--host", "a.org", "--host", "A.org"), "twice"),
    (("set", "mine", "--query", "k", "--host", "a.org", "--env", "A=B"), "no name of a variable"),
    (("set", "mine", "--query", "k", "--host", "a.org", "--region", "x"), "AWS"),
    (("set", "github", "--key", "vault"), "file or keyring"),
    (("set", "github", "--file", "/nonexistent"), "/nonexistent"),
    (("set", "github", "--from-env", "NOT_SET_AT_ALL"), "not set"),
    (("set", "github", "--file", "x", "--command", "y"), "one of them"),
    (("set", "github", "--json"), "--json is for ls"),
    (("rotate",), "say which"),
    (("rotate", "none"), "no secret 'none'"),
    (("rotate", "none", "--host", "a.org"), "bailey secret set alone"),
    (("rm",), "say which"),
    (("rm", "none"), "no secret 'none'"),
    (("rm", "../../x"), "no name"),
    (("rm", "x", "--file", "y"), "bailey secret set alone"),
    (("ls", "x"), "takes no name"),
    (("show",), "none of its words"),
    ((), "say what to do"),
    (("--nope",), "unknown option"),
])
def test_bad_words_keep_nothing(secret, state, words, why):
    r = secret(*words, stdin=VALUE)
    assert r.rc == (3 if why.startswith("no secret") else 2) and r.out == "" and why in r.err and r.err.startswith("bailey: ") and r.err.count("\n") == 1, r
    assert "Canary" not in r.err
    assert not store(state).exists() or not list(store(state).glob("*.secret"))


@pytest.mark.parametrize("value", ["", "\n", "short12", "two\nlines-of-it", "tab\tinside1", " blank-before", "blank-behind ", "umlaut-\u00fc-12345", "x" * 16385, "nul\0inside"])
def test_bad_values(secret, listing, value):
    r = secret("set", "github", stdin=value)
    assert r.rc == 2 and r.err.startswith("bailey: secret 'github': "), r
    assert not value.strip() or value not in r.err
    assert listing() == []


@pytest.mark.parametrize("value", ["exactly8", "x" * 16384, "\"quotes\" and \\ and / and {}", "%41%42%43%00"])
def test_good_values(secret, listing, value, state):
    assert secret("set", "github", stdin=value).rc == 0
    assert listing()[0]["state"] == "ready"
    assert value.encode() not in (store(state) / "github.secret").read_bytes()


def test_a_value_on_the_command_line_is_refused_and_not_repeated(secret, listing):
    r = secret("set", "github", VALUE)
    assert r.rc == 2 and "never given as a word" in r.err and VALUE not in r.err
    assert listing() == []


def test_one_of_a_name(secret, listing):
    assert secret("set", "mine", "--host", "a.org", "--query", "k", stdin=VALUE).rc == 0
    r = secret("set", "mine", "--host", "b.org", "--query", "k", stdin=VALUE)
    assert r.rc == 2 and "already" in r.err and "--replace" in r.err
    assert listing()[0]["hosts"] == ["a.org"]
    assert secret("set", "mine", "--host", "b.org", "--query", "k", "--replace", stdin=VALUE).rc == 0
    assert listing()[0]["hosts"] == ["b.org"]
    # all are known before one goes
    assert secret("rm", "mine", "none").rc == 3 and len(listing()) == 1


def test_options_stand_anywhere(secret, listing):
    assert secret("--host", "a.org", "set", "--query", "k", "mine", "--env", "MINE", stdin=VALUE).rc == 0
    assert listing()[0] | {"created": 0, "changed": 0} == {
        "sandbox": None,
        "name": "mine", "state": "ready", "service": None, "carrier": "query", "field": "k", "hosts": ["a.org"], "variables": ["MINE"], "source": "value",
        "expires": None, "created": 0, "changed": 0}


# --- the files ----------------------------------------------------------------------------------------------------------------------


def test_a_file_that_was_moved_or_changed_is_not_believed(secret, listing, state):
    """Attack: a record put under another name, so that it goes to another secret's hosts."""
    assert secret("set", "github", stdin=VALUE).rc == 0 and secret("set", "npm", stdin=OTHER).rc == 0
    d = store(state)
    good = (d / "github.secret").read_bytes()
    states = lambda: {e["name"]: e["state"] for e in listing()}  # noqa: E731
    assert states() == {"github": "ready", "npm": "ready"}
    (d / "github.secret").write_bytes((d / "npm.secret").read_bytes())
    assert states() == {"github": "unreadable", "npm": "ready"}
    r = secret("rotate", "github", stdin=VALUE)
    assert r.rc == 2 and "changed, or is that of another secret" in r.err
    for at in range(0, len(good), 7):
        (d / "github.secret").write_bytes(good[:at] + bytes([good[at] ^ 1]) + good[at + 1:])
        assert states()["github"] == "unreadable", at
    for cut in (0, 1, 40, len(good) - 1):
        (d / "github.secret").write_bytes(good[:cut])
        assert states()["github"] == "unreadable", cut
    (d / "github.secret").write_bytes(good)
    assert states()["github"] == "ready"


def test_another_key(secret, listing, state):
    assert secret("set", "github", stdin=VALUE).rc == 0
    key = store(state) / "key"
    good = key.read_bytes()
    key.write_bytes(bytes(32))
    assert listing()[0]["state"] == "unreadable"
    r = secret("rotate", "github", stdin=OTHER)
    assert r.rc == 2 and "another key" in r.err
    key.write_bytes(b"short")
    assert secret("set", "npm", stdin=OTHER).rc == 2
    key.write_bytes(good)
    assert listing()[0]["state"] == "ready"


@pytest.mark.parametrize("what,mode", [("", 0o755), ("", 0o770), ("key", 0o640), ("key", 0o604), ("github.secret", 0o644)])
def test_what_others_could_read_is_refused(secret, state, what, mode):
    assert secret("set", "github", stdin=VALUE).rc == 0
    path = store(state) / what if what else store(state)
    old = stat.S_IMODE(path.stat().st_mode)
    path.chmod(mode)
    r = secret("rotate", "github", stdin=OTHER)
    assert r.rc == 2 and "must be yours, with mode" in r.err, r
    path.chmod(old)
    assert secret("rotate", "github", stdin=OTHER).rc == 0


def test_no_link_is_followed(secret, state, user, outside):
    assert secret("set", "github", stdin=VALUE).rc == 0
    d = store(state)
    target = user.write(outside / "target", "untouched", 0o600)
    (d / "npm.secret").symlink_to(target)
    (d / ".openai.secret.new").symlink_to(target)
    (d / "xai.secret").mkdir()
    assert secret("set", "npm", "--replace", stdin=OTHER).rc == 0 and secret("set", "openai", stdin=OTHER).rc == 0
    assert target.read_text() == "untouched" and not (d / "npm.secret").is_symlink()
    assert secret("set", "xai", "--replace", stdin=OTHER).rc == 125
    (d / "xai.secret").rmdir()
    shutil.move(d, outside / "moved")
    d.symlink_to(outside / "moved")
    assert secret("ls").rc == 125


def test_the_keyring(secret, listing, state, user):
    if subprocess.run(["grep", "-q", "^[0-9a-f]", "/proc/keys"], check=False).returncode:
        skip("this kernel has no keyrings here")
    r = secret("set", "github", "--key", "keyring", stdin=VALUE)
    assert r.rc == 0, r
    assert {p.name for p in store(state).iterdir()} == {"github.secret"}
    # the keyring is the user's: another process of theirs has it while one of them lives; a plain user's may go with the last
    holder = user.popen(["sleep", "60"])
    try:
        r = secret("set", "npm", "--replace", "--key", "keyring", stdin=VALUE)
        assert r.rc == 0, r
        assert {e["name"]: e["state"] for e in listing()}["npm"] == "ready"
        r = secret("set", "xai", "--key", "file", stdin=VALUE)
        assert r.rc == 2 and "keyring already" in r.err
        assert secret("set", "xai", stdin=VALUE).rc == 0 and not (store(state) / "key").exists()
        no_trace(state, VALUE)
    finally:
        kill(holder)
        if user.is_root:  # a plain user's keyring goes with the user
            keyctl = lambda *args: ctypes.CDLL(None).syscall(250, *args)  # noqa: E731
            key = keyctl(10, -4, b"user", f"bailey:{store(state)}".encode(), 0)  # search the user's keyring
            assert key > 0 and keyctl(9, key, -4) == 0  # unlink it


def test_file_first_then_keyring_is_refused(secret):
    assert secret("set", "github", stdin=VALUE).rc == 0
    r = secret("set", "npm", "--key", "keyring", stdin=VALUE)
    assert r.rc == 2 and "a file already" in r.err


def test_many_writers(user, state, listing):
    procs = [user.popen([BAILEY, "secret", "set", f"s{i}", "--host", "a.org", "--query", "k"], env={"XDG_STATE_HOME": str(state)}, stdin=subprocess.PIPE) for i in range(12)]
    for p in procs:
        p.communicate(VALUE.encode(), 30)
        assert p.returncode == 0
    assert {e["name"] for e in listing() if e["state"] == "ready"} == {f"s{i}" for i in range(12)}


CALLS = ("openat", "mkdir", "write", "fsync", "rename", "renameat", "renameat2", "unlink", "unlinkat", "flock")


def points(log):
    """(name, which of that name) of the calls that change a file, from the first that touches the store."""
    seen: dict[str, int] = {}
    found = []
    for line in log.read_text().splitlines():
        m = re.match(r"(\w+)\((.*)", line)
        if not m or m[1] not in CALLS:
            continue
        seen[m[1]] = seen.get(m[1], 0) + 1
        if (m[1] == "openat" and "O_CREAT" not in m[2]) or (m[1] == "write" and re.match(r"[12],", m[2])):
            continue
        found.append((m[1], seen[m[1]]))
    return found


@pytest.mark.parametrize("first", [True, False], ids=["the-first", "another"])
def test_killed_at_each_change(user, outside, first):
    """kill -9 before each call that changes a file: the old secret is there, or the new one, and the next command goes on."""
    if not shutil.which("strace"):
        skip("strace is not installed")
    log = outside / "log"

    def scene(n):
        env = {"XDG_STATE_HOME": str(user.mkdir(outside / f"state{n}", 0o700))}
        if not first:
            r = user.exec([BAILEY, "secret", "set", "mine", "--host", "old.org", "--query", "k"], stdin=VALUE, env=env)
            assert r.rc == 0, r
        return env

    def change(env, *strace):
        return user.exec(["strace", "-qq", "-o", log, "-e", "trace=" + ",".join(CALLS), "-e", "signal=none", *strace,
                          BAILEY, "secret", "set", "mine", "--replace", "--host", "new.org", "--query", "k"], stdin=OTHER, env=env)

    def kept(env):
        r = user.exec([BAILEY, "secret", "ls", "--json"], env=env)
        assert r.rc == 0, r
        return [(e["state"], e["hosts"]) for e in json.loads(r.out)]

    assert change(scene("x")).rc == 0
    todo = points(log)
    assert {c for c, _ in todo} >= {"openat", "write", "fsync", "renameat"} and len(todo) >= (10 if first else 5), todo
    outcomes = set()
    for n, (call, which) in enumerate(todo):
        env = scene(n)
        r = change(env, "-e", f"inject={call}:signal=KILL:when={which}")
        assert r.rc in (-9, 137), (call, which, r)
        now = kept(env)
        assert now in ([] if first else [("ready", ["old.org"])], [("ready", ["new.org"])]), (call, which, now)
        outcomes.add(str(now))
        r = user.exec([BAILEY, "secret", "set", "mine", "--replace", "--host", "last.org", "--query", "k"], stdin=VALUE, env=env)
        assert r.rc == 0 and kept(env) == [("ready", ["last.org"])], (call, which, r)
        d = pathlib.Path(env["XDG_STATE_HOME"]) / "bailey/secrets"
        assert {p.name for p in d.iterdir()} == {"key", "mine.secret"}
    assert len(outcomes) == 2, "neither side of the change was seen"


@pytest.mark.parametrize("call", ["write", "fsync", "renameat"])
def test_a_call_that_fails_changes_nothing(user, state, secret, listing, outside, call):
    if not shutil.which("strace"):
        skip("strace is not installed")
    assert secret("set", "mine", "--host", "old.org", "--query", "k", stdin=VALUE).rc == 0
    log = outside / "log"

    def change(host, *strace):
        return user.exec(["strace", "-qq", "-o", log, "-e", "trace=" + ",".join(CALLS), *strace,
                          BAILEY, "secret", "set", "mine", "--replace", "--host", host, "--query", "k"], stdin=OTHER, env={"XDG_STATE_HOME": str(state)})

    assert change("old.org").rc == 0
    which = max(n for c, n in points(log) if c == call) if call == "write" else 1
    r = change("new.org", "-e", f"inject={call}:error=ENOSPC:when={which}")
    assert r.rc == 125 and "No space left" in r.err, r
    assert [(e["state"], e["hosts"]) for e in listing()] == [("ready", ["old.org"])]
    assert {p.name for p in store(state).iterdir()} == {"key", "mine.secret"}


def test_a_full_disk(user, state):
    """On a real one: what was kept stays, the error says why, and with room again it works."""
    if os.geteuid() != 0:
        skip("mounting needs root")
    script = r"""
mount -t tmpfs -o size=64k,mode=700,uid=$1 tmpfs "$2"; b=$3; ids="setpriv --reuid $1 --regid $4 --clear-groups --"; export XDG_STATE_HOME=$2 HOME=$2
set() { $ids "$b" secret set "$@" --query k --replace; }
echo 12345678-small | set mine --host old.org
head -c 100000 /dev/zero >"$2/fill" 2>/dev/null
head -c 16000 /dev/zero | tr '\0' x | set mine --host new.org; echo "full: $?"
$ids "$b" secret ls
rm "$2/fill"
head -c 16000 /dev/zero | tr '\0' x | set mine --host new.org; echo "room: $?"
$ids "$b" secret ls
ls -A "$2/bailey/secrets"
"""
    r = subprocess.run(["unshare", "-m", "--propagation", "private", "bash", "-c", script, "-", str(user.uid), state, BAILEY, str(user.gid)],
                       capture_output=True, text=True, timeout=60, check=False)
    assert "full: 125" in r.stdout and "No space left" in r.stderr and "nothing has changed" in r.stderr, r
    full, room = r.stdout.split("room: ")
    assert "mine: ready, query, old.org" in full.split("full: ")[1] and room.startswith("0\nmine: ready, query, new.org"), r
    assert room.split()[-2:] == ["key", "mine.secret"], r


# --- processes ----------------------------------------------------------------------------------------------------------------------


def memory(pid):
    """Everything that can be read of a process."""
    found = []
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb", buffering=0) as mem:
        for line in maps:
            m = re.match(r"([0-9a-f]+)-([0-9a-f]+) r", line)
            if not m or "[v" in line:
                continue
            try:
                mem.seek(int(m[1], 16))
                found.append(mem.read(int(m[2], 16) - int(m[1], 16)))
            except OSError:
                pass
    return b"".join(found)


def keys_process(strace_pid):
    """The traced process, once it is bailey-keys."""
    def look():
        for p in subprocess.run(["pgrep", "-P", str(strace_pid)], capture_output=True, text=True, check=False).stdout.split():
            try:
                if pathlib.Path(f"/proc/{p}/cmdline").read_bytes().startswith(b"bailey-keys\0secret"):
                    return int(p)
            except OSError:
                pass  # gone meanwhile
        return None

    return wait_for(look)


@pytest.mark.parametrize("verb", ["set", "set-env", "set-file", "set-command", "rotate", "ls", "rm"])
def test_memory_words_and_environment_at_the_end(user, state, secret, outside, verb):
    """The process is held where it has done everything and is about to end: no form of a value is left in its memory."""
    if os.geteuid() != 0 or not shutil.which("strace"):
        skip("looking into it needs root and strace")
    words = {"set": ["set", "npm"], "set-env": ["set", "npm", "--from-env", "TOKEN_HERE"], "set-file": ["set", "npm", "--file", outside / "f"],
             "set-command": ["set", "npm", "--command", f"cat {outside}/f"], "rotate": ["rotate", "github"], "ls": ["ls"], "rm": ["rm", "github"]}[verb]
    assert secret("set", "github", stdin=OTHER).rc == 0
    user.write(outside / "f", VALUE, 0o600)
    p = user.popen(["strace", "-qq", "-o", "/dev/null", "-e", "trace=exit_group", "-e", "inject=exit_group:delay_enter=2500000", BAILEY, "secret", *words],
                   stdin=subprocess.PIPE, env={"XDG_STATE_HOME": str(state), "TOKEN_HERE": VALUE} if verb == "set-env" else {"XDG_STATE_HOME": str(state)})
    try:
        p.stdin.write(VALUE.encode())
        p.stdin.close()
        pid = keys_process(p.pid)
        assert pid

        def ended():
            try:
                return pathlib.Path(f"/proc/{pid}/syscall").read_text().startswith("231 ")
            except OSError:
                return False

        assert wait_for(ended)
        seen = memory(pid)
        assert b"bailey-keys" in seen and len(seen) > 1 << 20  # the control: it was read
        for v in (VALUE, OTHER):
            assert not holds(seen, v)
            assert not holds(pathlib.Path(f"/proc/{pid}/cmdline").read_bytes() + pathlib.Path(f"/proc/{pid}/environ").read_bytes(), v)
        assert p.wait(20) == 0
    finally:
        kill(p)
    no_trace(state, VALUE, OTHER)


def test_a_process_that_holds_one_is_closed(user, state, outside):
    """While it waits for more on stdin: nobody of the same user looks into it, and it leaves no core. The controls are sleep's."""
    if os.geteuid() != 0:
        skip("another process of the same user is started by root")

    def crash(argv, stdin):
        p = subprocess.Popen(["prlimit", "--core=unlimited", "setpriv", "--reuid", str(user.uid), "--regid", str(user.gid), "--clear-groups", "--", *map(str, argv)],
                             stdin=stdin, env=user.environ({"XDG_STATE_HOME": str(state)}), cwd=user.mkdir(outside / "cores"), stdout=subprocess.DEVNULL)
        name = b"bailey-keys" if argv[0] == BAILEY else b"sleep"
        assert wait_for(lambda: pathlib.Path(f"/proc/{p.pid}/cmdline").read_bytes().startswith(name))
        time.sleep(0.3)
        readable = subprocess.run(["setpriv", "--reuid", str(user.uid), "--regid", str(user.gid), "--clear-groups", "--", "head", "-c1", f"/proc/{p.pid}/environ"],
                                  capture_output=True, check=False).returncode == 0
        os.kill(p.pid, signal.SIGSEGV)
        _, status = os.waitpid(p.pid, 0)
        p.returncode = 0
        return readable, os.WCOREDUMP(status)

    readable, core = crash(["sleep", "60"], subprocess.DEVNULL)
    assert readable
    if not core:
        skip("this machine writes no cores")
    r, w = os.pipe()
    os.write(w, VALUE.encode())
    readable, core = crash([BAILEY, "secret", "set", "github"], r)
    os.close(r)
    os.close(w)
    assert not core
    assert user.is_root or not readable


def test_a_terminal_shows_nothing(user, state, listing):
    master, slave = pty.openpty()
    p = user.popen([BAILEY, "secret", "set", "github"], stdin=slave, stdout=slave, stderr=slave, env={"XDG_STATE_HOME": str(state)})
    os.close(slave)
    seen = b""
    try:
        while b"value of github: " not in seen:
            seen += os.read(master, 1000)
        os.write(master, VALUE.encode() + b"\n")
        while b"kept" not in seen:
            seen += os.read(master, 1000)
        assert p.wait(20) == 0
    finally:
        kill(p)
        os.close(master)
    assert not holds(seen, VALUE)
    assert listing()[0]["state"] == "ready"


@pytest.mark.parametrize("how", ["key", "signal"])
def test_a_terminal_is_left_as_it_was(user, state, listing, outside, how):
    """^C, or another's signal, in the middle of it."""
    t = Pty(user, [BAILEY, "secret", "set", "github"], outside, env={"XDG_STATE_HOME": str(state)})
    try:
        before = termios.tcgetattr(t.fd)
        t.expect("value of github: ")
        assert not termios.tcgetattr(t.fd)[3] & termios.ECHO
        t.type("half-a-val")
        if how == "key":
            t.type("")
        else:
            os.kill(t.pid, signal.SIGTERM)
        assert wait_for(lambda: termios.tcgetattr(t.fd)[3] & termios.ECHO)
        assert termios.tcgetattr(t.fd)[3] == before[3]
        assert t.wait() in (-signal.SIGINT, -signal.SIGTERM, 128 + signal.SIGINT, 128 + signal.SIGTERM)
    finally:
        t.done()
    assert listing() == [] and b"half" not in t.out


def test_a_sandbox_sees_no_store(run, secret, state, user):
    assert secret("set", "github", stdin=VALUE).rc == 0
    env = {"XDG_STATE_HOME": str(state)}
    script = f"ls {store(state)} && cat {store(state)}/key"
    assert user.exec(["sh", "-c", script]).rc == 0  # the control
    r = run(script, env=env)
    assert r.rc != 0 and "github" not in r.out, r


# --- the program --------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def release(session_dir, user):
    """release(LAYOUT) -> a bailey of its own, whose bailey-keys can be changed."""
    made = []

    def call(keys="bailey-keys"):
        d = pathlib.Path(subprocess.run(["mktemp", "-d", session_dir / "release.XXXXXX"], capture_output=True, text=True, check=True).stdout.strip())
        made.append(d)
        d.chmod(0o755)
        for source, target in ((BAILEY, d / "bin/bailey"), (KEYS, d / "bin" / keys)):
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, target)
        return d

    yield call
    for d in made:
        shutil.rmtree(d)


def test_where_the_program_is(release, user, state):
    env = {"XDG_STATE_HOME": str(state)}
    for place in ("bailey-keys", "../libexec/bailey/bailey-keys"):
        d = release(place)
        r = user.exec([d / "bin/bailey", "secret", "ls"], env=env)
        assert (r.rc, r.err) == (0, ""), r
    r = user.exec([release("elsewhere") / "bin/bailey", "secret", "ls"], env=env)
    assert r.rc == 125 and "bailey-keys is not installed" in r.err, r
    # and not from where the caller stands, or from PATH
    r = user.exec([release("elsewhere") / "bin/bailey", "secret", "ls"], env=env | {"PATH": f"{KEYS.parent}:/usr/bin:/bin"}, cwd=KEYS.parent)
    assert r.rc == 125, r


def test_a_program_that_others_could_have_made(release, user, state):
    env = {"XDG_STATE_HOME": str(state)}
    d = release()
    keys = d / "bin/bailey-keys"
    for mode in (0o775, 0o757):
        keys.chmod(mode)
        r = user.exec([d / "bin/bailey", "secret", "set", "github"], env=env, stdin=VALUE)
        assert r.rc == 2 and "nobody else may write" in r.err and not store(state).exists(), r
    keys.chmod(0o755)
    if os.geteuid() == 0:
        os.chown(keys, 65534, 65534)
        r = user.exec([d / "bin/bailey", "secret", "set", "github"], env=env, stdin=VALUE)
        assert r.rc == 2 and "yours or root's" in r.err, r
        os.chown(keys, user.uid, user.gid)
    assert user.exec([d / "bin/bailey", "secret", "set", "github"], env=env, stdin=VALUE).rc == 0


def test_a_program_of_another_release(release, user, state):
    env = {"XDG_STATE_HOME": str(state)}
    d = release()
    for other in ("/bin/true", "/bin/cat"):
        (d / "bin/bailey-keys").unlink()
        shutil.copy(other, d / "bin/bailey-keys")
        r = user.exec([d / "bin/bailey", "secret", "ls"], env=env)
        assert r.rc == 125 and "not of this release" in r.err, r
    r = user.exec([KEYS, "--version"])
    assert r.rc == 0 and r.out.startswith("bailey-keys "), r


def test_help_needs_no_program(release, user):
    r = user.exec([release("elsewhere") / "bin/bailey", "secret", "--help"])
    assert r.rc == 0 and "--from-env VAR" in r.out
