# SPDX-License-Identifier: Apache-2.0
"""Policy files: the layers and who may say what (attack 69), trust, and bad files: file, line, column, key; exit 2; nothing runs."""
import json
import os
import pathlib
import shlex
import shutil
import stat
import subprocess

import pytest

from conftest import BAILEY, PROJECT, command, skip

MANAGED = "/etc/bailey/policy.json"


def write(user, path, doc, mode=0o644):
    return user.write(path, doc if isinstance(doc, str) else json.dumps(doc, indent=1), mode)


@pytest.fixture
def config(user):
    """The caller's own policy file."""
    path = user.home / ".config" / "bailey" / "policy.json"
    yield lambda doc, **kw: write(user, path, doc, **kw)
    shutil.rmtree(user.home / ".config" / "bailey", ignore_errors=True)


@pytest.fixture
def project(user, ws):
    """The policy file of the workspace."""
    return lambda doc, **kw: write(user, ws / ".bailey.json", doc, **kw)


@pytest.fixture
def store(user, outside):
    """Where trust is kept: not in the machine's own state, when root tests."""
    user.mkdir(outside / "state", 0o700)
    return {"XDG_STATE_HOME": str(outside / "state")}


@pytest.fixture
def managed(user, ws, session_dir):
    """managed(DOC, COMMAND, *OPTIONS) -> Result, with DOC as the managed file. In a mount namespace of its own: the machine has none."""
    if os.geteuid() != 0:
        skip("a managed file needs pytest to run as root")
    # no overlay: over an overlayfs no third one could be made for the run
    etc = session_dir / f"etc-{user.name}-{ws.name}"
    subprocess.run(["cp", "-a", "/etc", etc], check=True)
    f = etc / "bailey" / "policy.json"
    f.parent.mkdir(exist_ok=True)
    f.parent.chmod(0o755)

    def call(doc, cmd, *opts, owner=0, mode=0o644, env=None):
        f.write_text(doc if isinstance(doc, str) else json.dumps(doc))
        f.chmod(mode)
        os.chown(f, owner, owner)
        script = 'mount --bind "$1" /etc; shift; exec setpriv --reuid "$1" --regid "$2" --clear-groups -- "${@:3}"'
        ids = [str(user.uid), str(user.gid)]
        r = subprocess.run(
            ["unshare", "--mount", "bash", "-ec", script, "bash", etc, *ids, BAILEY, "run", *opts, "--", *command(cmd)],
            cwd=ws, env=user.environ(env), capture_output=True, text=True, timeout=30, check=False, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        return r

    yield call
    shutil.rmtree(etc)


def test_managed_network_rules(managed):
    doc = {"network": {"deniedDomains": ["a.org"], "mode": "deny"}}
    r = managed(doc, "true", "--explain=json", "--network", "allow", "--allow-host", "a.org")
    said = json.loads(r.stdout)
    assert said["network"]["mode"] == "deny" and said["network"]["origin"] == f"{MANAGED}:1", said["network"]
    assert [(x["action"], x["layer"]) for x in said["network"]["rules"]] == [("deny", "managed"), ("allow", "command")], said["network"]
    assert len(said["notices"]) == 2 and f"deny 'a.org' of {MANAGED}:1 is final" in said["notices"][1], said["notices"]


def test_nothing_that_is_managed_is_stepped_over(managed, ws):
    """The host's own network has no requests that could be judged, and no log; of the managed audit file there is no other."""
    for doc, options, said in (
        ({"network": {"inspect": [{"host": "a.org", "requests": [{"method": ["GET"], "action": "allow"}]}]}}, ["--network", "host"], f"'a.org' is inspected ({MANAGED}:1)"),
        ({"network": {"auditRequired": True}}, ["--network", "host"], f"{MANAGED}:1:31: network.auditRequired says true"),
        ({"filesystem": {"audit": "/var/log/audit.jsonl"}}, ["--audit", "/var/tmp/another.jsonl"], f"{MANAGED}:1:26: filesystem.audit says '/var/log/audit.jsonl', which is final"),
    ):  # fmt: skip
        r = managed(doc, "touch witness", *options)
        assert r.returncode == 2 and said in r.stderr and not (ws / "witness").exists(), r
        assert managed({}, "true", *options, "--explain").returncode == 0, "the control"
    for more in ("--network=allow", "--network=deny"):
        assert managed({"network": {"auditRequired": True}}, "true", "--explain", more).returncode == 0


@pytest.mark.parametrize("name", ["it's", "e\x1b[31mx", "plain", "with space"])
def test_names_are_escaped_and_quoted(bailey, user, outside, config, store, name):
    """What is shown obeys nothing, and what is to be pasted is one word for a shell."""
    d = user.mkdir(outside / name)
    write(user, d / ".bailey.json", {"filesystem": {"allowRead": ["~/x"], "denyRead": ["y"]}})
    user.mkdir(d / ".git")
    below = user.mkdir(d / "below")
    for cwd, words in ((d, "bailey trust "), (below, "to use it: --workspace ")):
        r = bailey(["run", "--", "true"], cwd=cwd, env=store)
        assert r.rc == 0 and "\x1b" not in r.err, r
        hint = r.err.split(words)[1].split("\n")[0]
        if "\x1b" not in name:
            assert shlex.split(hint) == [str(d)], r
        r = bailey(["run", "--explain", "--", "true"], cwd=cwd, env=store)
        assert r.rc == 0 and "\x1b" not in r.out + r.err, r
    # a rule's origin, of a file in that directory
    r = bailey(["run", "--explain", "--policy", d / ".bailey.json", "--", "true"], cwd=outside, env=store)
    assert r.rc == 0 and f"{d.name}/.bailey.json:".replace("\x1b", "\\x1b") in r.out and "\x1b" not in r.out, r


def explain(bailey, ws, *opts, **kw):
    r = bailey(["run", "--explain=json", *opts, "--", "true"], cwd=ws, **kw)
    assert r.rc == 0, r
    return json.loads(r.out)


# --- the layers ---------------------------------------------------------------------------------------------------------------


def test_user_file(run, bailey, user, config, ws, outside):
    user.write(outside / "seen", "SEEN\n")
    user.write(outside / "notes" / "n", "SECRET\n")
    user.mkdir(outside / "cache")
    f = config({"filesystem": {"denyRead": [str(outside / "notes")], "allowWrite": [str(outside / "cache")]},
                "environment": {"set": {"FROM_FILE": "1"}}, "limits": {"timeout": "20s"}})  # fmt: skip
    r = run(f"cat {outside}/seen; cat {outside}/notes/n; echo x > {outside}/cache/new; echo $FROM_FILE")
    assert r.out == "SEEN\n1\n" and "denied" in r.err, r
    assert (outside / "cache" / "new").exists()
    doc = explain(bailey, ws)
    rules = {(x["rule"], x["path"]): x for x in doc["policy"]}
    line = next(i for i, li in enumerate(f.read_text().splitlines(), 1) if "notes" in li)
    assert rules["deny-read", str(outside / "notes")]["origin"] == f"{f}:{line}"
    assert rules["deny-read", str(outside / "notes")]["layer"] == "user"
    assert doc["timeout_ms"] == 20000
    assert [x["path"] for x in doc["files"]] == [str(f)]


def test_a_users_denial_is_final_for_the_command_line(run, user, config, outside):
    user.write(outside / "notes" / "n", "SECRET\n")
    config({"filesystem": {"denyRead": [str(outside / "notes")]}})
    r = run(f"cat {outside}/notes/n", "--allow-read", outside / "notes")
    assert "SECRET" not in r.out and r.rc != 0
    assert "has no effect" in r.err and "policy.json:" in r.err
    config({"filesystem": {"denyRead": []}})
    assert run(f"cat {outside}/notes/n").out == "SECRET\n"


def test_a_user_file_lifts_a_built_in(run, user, config):
    user.write(user.home / ".npmrc", "TOKEN\n")
    assert "TOKEN" not in run("cat ~/.npmrc").out
    config({"filesystem": {"allowRead": ["~/.npmrc"]}})
    assert run("cat ~/.npmrc").out == "TOKEN\n"


def test_managed_is_final_for_all(managed, config, user, outside):
    user.write(outside / "notes" / "n", "SECRET\n")
    user.write(outside / "shown", "SHOWN\n")
    config({"filesystem": {"allowRead": [str(outside / "notes")]}})
    doc = {"filesystem": {"denyRead": [str(outside / "notes")]}, "limits": {"timeout": "300"}}
    r = managed(doc, f"cat {outside}/shown; cat {outside}/notes/n", "--allow-read", outside / "notes", "--timeout", "10h")
    assert r.stdout == "SHOWN\n" and "denied" in r.stderr, r
    assert "the smaller one counts" in r.stderr and "/etc/bailey/policy.json:1:" in r.stderr
    assert "has no effect" in r.stderr
    # the environment chooses the caller's file, never the managed one
    env = {"XDG_CONFIG_HOME": str(outside), "HOME": "/nonexistent", "BAILEY_POLICY": "/dev/null"}
    r = managed(doc, f"cat {outside}/notes/n", env=env)
    assert "SECRET" not in r.stdout
    r = managed({"limits": {}}, f"cat {outside}/notes/n")
    assert r.stdout == "SECRET\n", r


def test_managed_must_be_roots(managed, plain_user):
    for kw in ({"owner": plain_user.uid}, {"mode": 0o666}, {"mode": 0o664}):
        r = managed({}, "touch witness", **kw)
        assert r.returncode == 2 and MANAGED in r.stderr, (kw, r)
    assert managed({}, "true").returncode == 0


def test_managed_malformed(managed, ws):
    r = managed('{"filesystem": {"denyRead": [1]}}', "touch witness")
    assert r.returncode == 2 and f"{MANAGED}:1:30: filesystem.denyRead[0]: expected a string" in r.stderr, r
    assert not (ws / "witness").exists()


def test_policy_option(run, bailey, user, ws, outside):
    user.write(outside / "n", "SECRET\n")
    a = write(user, outside / "a.json", {"filesystem": {"denyRead": [str(outside / "n")]}})
    b = write(user, outside / "b.json", {"environment": {"set": {"A": "file"}}})
    r = run(f"cat {outside}/n; echo $A", "--policy", a, "--policy", b)
    assert r.out == "file\n", r
    assert run("echo $A", "--policy", b, "--env", "A=word").out == "word\n"
    assert run(f"cat {outside}/n", "--policy", a, "--allow-read", outside / "n").out == "SECRET\n", "one layer: srt's precedence"
    r = run("touch witness", "--policy", outside / "missing.json")
    assert r.rc == 2 and "--policy" in r.err and "missing.json" in r.err
    assert bailey(["check", "--policy", a, "read", outside / "n"], cwd=ws).rc == 1


def test_relative_paths(run, user, config, ws):
    """As in srt relative to where the caller is; in a project's file to the project."""
    user.write(ws / "x" / "f", "X\n")
    user.write(ws / "y" / "f", "Y\n")
    user.mkdir(ws / "sub")
    config({"filesystem": {"denyRead": ["x"]}})
    write(user, ws / ".bailey.json", {"filesystem": {"denyRead": ["y"]}})
    assert run("cat x/f y/f").out == ""
    assert run("cat ../x/f ../y/f", "--workspace", ws, cwd=ws / "sub").out == "X\n"


# --- projects: attack 69 ------------------------------------------------------------------------------------------------------

LOOSE = {
    "filesystem": {"allowRead": ["~/.ssh"], "allowWrite": ["~/loose"], "denyRead": ["private"]},
    "environment": {"set": {"LD_PRELOAD": "/x.so", "PATH": "/evil"}, "pass": ["MY_TOKEN"]},
    "limits": {"timeout": "25s"},
}


@pytest.fixture
def loose(user, ws, project):
    user.write(user.home / ".ssh" / "id_ed25519", "PRIVATE-KEY\n")
    user.mkdir(user.home / "loose")
    user.write(ws / "private" / "f", "PRIVATE\n")
    project(LOOSE)
    return "cat ~/.ssh/id_ed25519; touch ~/loose/x; cat private/f; echo token=$MY_TOKEN path=$PATH"


def test_an_untrusted_project_only_tightens(run, bailey, user, ws, store, loose):
    r = run(loose, env={"MY_TOKEN": "t", **store})
    assert "PRIVATE" not in r.out and "token= path=/" in r.out and "/evil" not in r.out
    assert not (user.home / "loose" / "x").exists()
    line = [li for li in r.err.splitlines() if li.startswith("bailey:")]
    assert len([li for li in line if "not trusted" in li]) == 1, r
    for word in ("filesystem.allowRead", "filesystem.allowWrite", "environment.set", "environment.pass", f"bailey trust {shlex.quote(str(ws))}"):
        assert word in line[0] + (line[1] if len(line) > 1 else ""), word
    assert "denyRead" not in r.bailey_err and "timeout" not in r.bailey_err
    doc = explain(bailey, ws, env=store)
    assert doc["timeout_ms"] == 25000
    assert {x["key"] for x in doc["ignored"]} == {"filesystem.allowRead", "filesystem.allowWrite", "environment.set", "environment.pass"}
    assert [x["layer"] for x in doc["files"]] == ["untrusted"]
    assert not [x for x in doc["policy"] if x["layer"] == "untrusted" and x["rule"].startswith("allow")]
    # control: the same words on the command line do it
    assert "PRIVATE-KEY" in run("cat ~/.ssh/id_ed25519", "--allow-read", "~/.ssh", env=store).out


def test_trust_and_change(run, bailey, user, ws, store, loose):
    r_trust = r = bailey(["trust", ws], cwd=ws, env=store)
    assert r.rc == 0 and "filesystem.allowRead: ~/.ssh" in r.out and "line" in r.out, r
    loose = loose.replace("echo", "/bin/echo").replace("cat ", "/bin/cat ").replace("touch", "/bin/touch")
    r = run(["/bin/sh", "-c", loose], env={"MY_TOKEN": "t", **store})
    assert "PRIVATE-KEY" in r.out and "token=t path=/evil" in r.out and "PRIVATE\n" not in r.out, r
    assert "not trusted" not in r.err
    assert (user.home / "loose" / "x").exists()
    # one byte more and it is another file
    text = (ws / ".bailey.json").read_text()
    listed = json.loads(bailey(["trust", "--list", "--json"], env=store).out)
    assert [(x["id"], x["state"]) for x in listed] == [(str(ws), "trusted")] and listed[0]["grants"] == r_trust.out.count("  line ") > 0, listed
    user.write(ws / ".bailey.json", text + " ")
    r = run(loose, env=store)
    assert "PRIVATE-KEY" not in r.out and "changed since it was trusted" in r.err
    listed = json.loads(bailey(["trust", "--list", "--json"], env=store).out)
    assert [(x["id"], x["state"]) for x in listed] == [(str(ws), "changed")]
    user.write(ws / ".bailey.json", text)
    assert "PRIVATE-KEY" in run(["/bin/sh", "-c", loose], env=store).out
    assert bailey(["trust", "--revoke", ws], env=store).rc == 0
    assert "PRIVATE-KEY" not in run(["/bin/sh", "-c", loose], env=store).out
    assert json.loads(bailey(["trust", "--list", "--json"], env=store).out) == []
    assert bailey(["trust", "--revoke", ws], env=store).rc == 2


# what each key holds, as a script that says so; and what is said where the key is not given
HELD = {
    "fsize": ("1M", "(head -c 2M /dev/zero > big) 2>/dev/null; stat -c %s big; rm -f big", "1048576", "2097152"),
    "nofile": (64, "ulimit -Hn", "64", None),
    "disk": ("4M", "head -c 6M /dev/zero 2>/dev/null > /tmp/a && echo written || echo full; rm -f /tmp/a", "full", "written"),
}


@pytest.mark.parametrize("place", ["user", "trusted", "untrusted", "--policy"])
def test_limits_of_a_file(run, bailey, user, ws, outside, store, config, project, place):
    """Whoever says them: less is never more than somebody asked for."""
    for key, (value, script, want, _) in HELD.items():
        free = run(script, env=store).out.strip()
        assert free == (HELD[key][3] or free) and free != want, f"control: {key} is not held by itself: {free}"
    doc = {"limits": {key: value for key, (value, *_) in HELD.items()}}
    opts = []
    if place == "user":
        f = config(doc)
    elif place == "--policy":
        f = write(user, outside / "p.json", doc)
        opts = ["--policy", f]
    else:
        f = project(doc)
    if place == "trusted":
        assert bailey(["trust", ws], env=store).rc == 0
    for key, (_, script, want, _) in HELD.items():
        r = run(script, *opts, env=store)
        assert r.out.strip() == want, (key, r)
    said = explain(bailey, ws, *opts, env=store)
    assert [(x["path"], x["layer"]) for x in said["files"]] == [(str(f), {"user": "user", "--policy": "command"}.get(place, "project"))], said["files"]
    assert not said["ignored"], "a limit only tightens"


@pytest.mark.parametrize("key,value", [("allowGitConfig", True), ("unprotect", [".git/config"])])
def test_a_projects_file_and_its_git_configuration(run, bailey, user, ws, store, project, key, value):
    """What git runs on the host is no untrusted file's to give: refused, and the file is named; trusted, the same file does it."""
    if not shutil.which("git"):
        skip("git is not installed")
    assert user.exec(["git", "init", "-q", ws]).rc == 0
    before = (ws / ".git/config").read_text()
    f = project({"filesystem": {key: value}})
    r = run("git config x.y z", env=store)
    assert r.rc != 0 and (ws / ".git/config").read_text() == before, r
    assert f"{f}: not trusted; ignored: filesystem.{key}" in r.bailey_err and f"bailey trust {shlex.quote(str(ws))}" in r.bailey_err, r
    assert [x["key"] for x in explain(bailey, ws, env=store)["ignored"]] == [f"filesystem.{key}"]
    r = bailey(["trust", ws], env=store)
    assert r.rc == 0 and f"filesystem.{key}" in r.out, r
    r = run("git config x.y z; echo hook > .git/hooks/post-commit", env=store)
    assert user.exec(["git", "config", "x.y"], cwd=ws).out == "z\n" and "not trusted" not in r.err, r
    assert not (ws / ".git/hooks/post-commit").exists(), "of the configuration only"


def test_trust_is_of_one_directory(run, bailey, user, ws, store, outside):
    a, b = user.mkdir(ws / "a"), user.mkdir(ws / "b")
    for d in (a, b, ws):
        write(user, d / ".bailey.json", {"environment": {"set": {"A": "1"}}})
    assert bailey(["trust", a], env=store).rc == 0
    assert run("echo A=$A", env=store, cwd=a).out == "A=1\n"
    assert run("echo A=$A", env=store, cwd=b).out == "A=\n"
    assert run("echo A=$A", env=store, cwd=ws).out == "A=\n"
    # by another name it is the same
    user.symlink(a, outside / "link")
    assert run("echo A=$A", env=store, cwd=outside / "link").out == "A=1\n"
    shutil.rmtree(a)
    r = bailey(["trust", "--list"], env=store)
    assert r.out == f"{a}: gone\n", r
    assert bailey(["trust", "--revoke", a], env=store).rc == 0


def test_the_command_cannot_make_itself_trusted(run, bailey, user, ws, store, outside, project):
    state = outside / "state"
    project({"environment": {"set": {"A": "1"}}})
    r = run(f"mkdir -p {state}/bailey/trust{ws} && cp .bailey.json {state}/bailey/trust{ws}/; {BAILEY} trust . ; true", env=store)
    assert r.rc == 0 and run("echo A=$A", env=store).out == "A=\n"
    # the state is not there inside, also when it could be read outside
    assert bailey(["trust", ws], env=store).rc == 0
    assert "Permission denied" in run(f"ls {state}/bailey", env=store).err or "No such" in run(f"ls {state}/bailey", env=store).err


def test_a_store_that_others_can_write_is_refused(run, bailey, user, ws, store, outside, project):
    project({"environment": {"set": {"A": "1"}}})
    assert bailey(["trust", ws], env=store).rc == 0
    (outside / "state" / "bailey" / "trust").chmod(0o777)
    r = run("touch witness", env=store)
    assert r.rc == 2 and "others could write" in r.err
    assert not (ws / "witness").exists()


def test_trust_refuses_a_bad_file(bailey, user, ws, store, project):
    for text in ("{", '{"x": {}}', '{"filesystem": {"allowRead": "x"}}'):
        project(text)
        r = bailey(["trust", ws], env=store)
        assert r.rc == 2 and ".bailey.json:1:" in r.err, r
    os.unlink(ws / ".bailey.json")
    r = bailey(["trust", ws], env=store)
    assert r.rc == 2 and "no such file" in r.err
    assert bailey(["trust"], env=store).rc == 2
    assert bailey(["trust", "--list", ws], env=store).rc == 2
    assert bailey(["trust", "--list"], env=store).out == ""


def test_a_project_file_of_each_workspace(run, user, ws, outside):
    for d in (ws, outside):
        user.write(d / "private", "PRIVATE\n")
        write(user, d / ".bailey.json", {"filesystem": {"hide": ["private"]}})
    r = run(f"cat private {outside}/private", "--workspace", ws, "--workspace", outside)
    assert "PRIVATE" not in r.out, r
    assert run(f"cat {outside}/private").out == "PRIVATE\n", "no workspace, no project"


def test_a_home_as_the_workspace_keeps_the_next_run(bailey, user):
    """Names that are not there yet must not become the next run's policy."""
    for d in (".config/bailey", ".local/state/bailey"):
        shutil.rmtree(user.home / d, ignore_errors=True)
    loose = json.dumps({"environment": {"set": {"PLANTED": "yes"}}})
    cmd = f"mkdir -p .config/bailey .local/state/bailey; echo '{loose}' > .config/bailey/policy.json; mv .config old; true"
    r = bailey(["run", "--", "sh", "-c", cmd], cwd=user.home)
    assert r.rc == 0, r
    assert not (user.home / ".config" / "bailey" / "policy.json").exists()
    assert bailey(["run", "--", "sh", "-c", "echo $PLANTED"], cwd=user.home).out == "\n"
    shutil.rmtree(user.home / ".config" / "bailey", ignore_errors=True)


@pytest.mark.parametrize("user", ["root"], indirect=True)  # its modes keep it from everybody else
def test_root_giving_var_lib_does_not_give_the_store(bailey, run, ws):
    store = pathlib.Path("/var/lib/bailey")
    there = store.exists()
    try:
        r = run(f"mkdir -p {store}/trust; touch {store}/x; mv {store} {store}.old; touch /var/lib/bailey-e2e-twin", "--allow-write", "/var/lib")
        assert not (store / "trust").exists() or there, r
        assert not (store / "x").exists() and not pathlib.Path(f"{store}.old").exists(), r
        assert pathlib.Path("/var/lib/bailey-e2e-twin").exists(), "the twin beside it can be written"
        hidden = {x["path"]: x["origin"] for x in explain(bailey, ws, "--allow-write", "/var/lib")["policy"] if x["rule"] == "hide"}
        assert "own" in hidden.get(str(store), "") and "/etc/bailey" not in hidden
    finally:
        pathlib.Path("/var/lib/bailey-e2e-twin").unlink(missing_ok=True)
        if not there and store.exists():
            store.rmdir()


def test_to_explain_makes_nothing(bailey, user):
    """Nor does a run that is refused."""
    there = [pathlib.Path(p).exists() for p in ("/etc/bailey", "/var/lib/bailey")]
    for path in ("/", "/etc"):
        bailey(["run", "--allow-write", path, "--", "true"], cwd=user.mkdir(user.base / "nothing"))
    assert there == [pathlib.Path(p).exists() for p in ("/etc/bailey", "/var/lib/bailey")]
    shutil.rmtree(user.home / ".config" / "bailey", ignore_errors=True)
    for args in (["run", "--explain", "--", "true"], ["check", "read", "x"]):
        assert bailey(args, cwd=user.home).rc in (0, 1)
        assert not (user.home / ".config" / "bailey").exists()


# --- bad files ----------------------------------------------------------------------------------------------------------------

BAD = [
    ("", "1:1: expected a value, found the end of the file"),
    ("[]", "1:1: expected an object, found a list"),
    ("{} x", "1:4: expected the end of the file, found 'x'"),
    ("\ufeff{}", "1:1: the file begins with a byte order mark"),
    ('{"filesystem": {"denyread": []}}', "1:17: filesystem.denyread: unknown key; did you mean 'denyRead'?"),
    ('{"file_system": {}}', "1:2: file_system: unknown group of keys; did you mean 'filesystem'?"),
    ('{"filesystem": {"denyRead": "x"}}', "1:29: filesystem.denyRead: expected a list, found a string"),
    ('{"filesystem":\n {"denyRead": [\n  "a", 7]}}', "3:8: filesystem.denyRead[1]: expected a string, found a number"),
    ('{"filesystem": {"denyRead": ["a"], "denyRead": []}}', "1:36: filesystem: the key 'denyRead' is here twice, first in line 1"),
    ('{"filesystem": {"denyRead": ["a\\u0000b"]}}', "1:34: filesystem.denyRead: \\u0000 (NUL) is refused"),
    ('{"filesystem": {"denyRead": ["a\0b"]}}', "1:32: filesystem.denyRead: the byte 0x00 (NUL) is refused"),
    ('{"filesystem": {"denyRead": ["\\ud800"]}}', "1:33: filesystem.denyRead: \\ud800 is half of a surrogate pair"),
    ('{"filesystem": {"denyRead": ["\udcff"]}}', "1:31: filesystem.denyRead: the byte 0xff is no UTF-8"),
    ('{"filesystem": {"denyRead": ["a",]}}', "1:34: filesystem.denyRead: expected another value behind the ','"),
    ('{"filesystem": {"denyRead": [""]}}', "1:30: filesystem.denyRead[0]: the path is empty"),
    ('{"filesystem": {"denyRead": ["' + "x" * 4096 + '"]}}', "1:30: filesystem.denyRead[0]: the path is longer than 4095 bytes"),
    ('{"environment": {"set": {"A": "' + "x" * 40000 + '"}}}', "1:31: environment.set: a string of more than"),
    ('{"environment": {"set": {"A=B": "x"}}}', "1:26: environment.set.A=B: expected the name of a variable"),
    ('{"environment": {"set": {"A": 1}}}', "1:31: environment.set.A: expected a string, found a number"),
    ('{"limits": {"timeout": "soon"}}', "1:24: limits.timeout: 'soon': expected a duration"),
    ('{"limits": {"timeout": 1.5}}', "1:24: limits.timeout: '1.5': expected a duration"),
    ('{"limits": {"timeout": null}}', "1:24: limits.timeout: expected a string or a number, found null"),
    ('{"a": ' + "[" * 50 + "]" * 50 + "}", "1:18: a" + "[0]" * 10 + ": lists and objects are nested more than 12 deep"),
    ('{"filesystem": {"denyRead": ["a/[b"]}}', "1:30: filesystem.denyRead: 'a/[b': a '[' begins no set"),
    ('{"filesystem": {"denyRead": ["a**/b"]}}', "1:30: filesystem.denyRead: 'a**/b': '**' must stand alone"),
    ('{"filesystem": {"denyRead": [{"path": "a", "glob": true}]}}', "1:44: filesystem.denyRead[0].glob: unknown key"),
    ('{ // comment\n}', "1:3: expected a key in \"\", found '/' (JSON has no comments)"),
    ('{"filesystem": {"denyRead": ["a]}}\n', "1:30: filesystem.denyRead: the string that begins here has no end in its line"),
    ('{"network": {"deniedDomains": [7]}}', "1:32: network.deniedDomains[0]: expected a string, found a number"),
    ('{"network": {"deniedDomains": [{"rule": "a.org", "why": "x"}]}}', "1:50: network.deniedDomains[0].why: unknown key; there are 'rule' and 'reason'"),
    ('{"network": {"deniedDomains": [{"reason": "x"}]}}', "1:32: network.deniedDomains[0]: the key 'rule' is missing"),
    ('{"network": {"deniedDomains": [{"rule": ["a.org"]}]}}', "1:41: network.deniedDomains[0].rule: expected a string, found a list"),
    ('{"network": {"deniedDomains": ["a b"]}}', "1:32: network.deniedDomains: 'a<20>b' is no host name"),
    ('{"network": {"deniedDomainReasons": {"a=b": "x"}}}', "1:38: network.deniedDomainReasons.a=b: expected a rule"),
    ('{"network": {"mode": "open"}}', "1:22: network.mode: 'open': expected none"),
    ("x" * (256 * 1024 + 1), ".bailey.json: it is longer than 262144 bytes"),
]


@pytest.mark.parametrize("text,want", BAD, ids=range(len(BAD)))
def test_bad_file(run, user, ws, text, want):
    f = ws / ".bailey.json"
    f.write_bytes(text.encode(errors="surrogateescape"))
    user.own(f)
    r = run("touch witness")
    assert r.rc == 2 and r.out == "", r
    assert r.err.count("\n") == 1 and (want if ".json" in want else f"{f}:{want}") in r.err.replace("\\x5c", "\\"), r
    assert not (ws / "witness").exists()
    r = run("touch witness", "--explain")
    assert r.rc == 2


# a name, a key, a byte, the size
ELSEWHERE = [4, 8, 9, 35]


@pytest.mark.parametrize("place", ["user", "--policy", "managed"])
@pytest.mark.parametrize("number", ELSEWHERE)
def test_bad_file_elsewhere(request, run, user, ws, outside, config, number, place):
    """As .bailey.json: the file by its name, line and column; nothing runs. The same place with a good file is read."""
    text, want = BAD[number]
    want = want.removeprefix(".bailey.json: ")
    good = '{"environment": {"set": {"READ": "yes"}}}'
    sep = ": " if want.startswith("it is") else ":"
    if place == "managed":
        put = request.getfixturevalue("managed")
        r = put(text, "touch witness")
        said, f, rc = r.stderr, MANAGED, r.returncode
        again = put(good, "echo $READ").stdout
    else:
        opts = ["--policy", outside / "p.json"] if place == "--policy" else []
        f = write(user, opts[1], text) if opts else config(text)
        r = run("touch witness", *opts)
        said, rc = r.err, r.rc
        assert r.out == "" and run("touch witness", "--explain", *opts).rc == 2
        user.write(f, good)
        again = run("echo $READ", *opts).out
    assert rc == 2 and said.count("\n") == 1 and f"{f}{sep}{want}" in said.replace("\\x5c", "\\"), r
    assert not (ws / "witness").exists()
    assert again == "yes\n", "the twin: the file is read from there"


def test_what_is_no_file(run, user, ws):
    f = ws / ".bailey.json"
    user.write(ws / "real.json", "{}")
    user.symlink("real.json", f)
    assert run("true").rc == 2 and "symlink" in run("true").err
    os.unlink(f)
    os.mkfifo(f)
    r = run("true", timeout=60)
    assert r.rc == 2 and "regular file" in r.err
    os.unlink(f)
    user.mkdir(f)
    assert run("true").rc == 2
    f.rmdir()
    assert run("true").rc == 0


def test_whose_file(run, user, config, ws):
    f = config({})
    assert run("true").rc == 0
    f.chmod(0o666)
    r = run("touch witness")
    assert r.rc == 2 and "chmod go-w" in r.err, r
    f.chmod(0o644)
    if os.geteuid() == 0:
        os.chown(f, 12345, 12345)
        r = run("touch witness")
        assert r.rc == 2 and "12345" in r.err, r
        if not user.is_root:
            os.chown(f, 0, 0)
            assert run("true").rc == 0, "root may write it for the user"
    assert not (ws / "witness").exists()


def test_a_value_that_cannot_be_enforced(run, project, ws):
    project({"filesystem": {"denyRead": ["/"]}})
    r = run("touch witness")
    assert r.rc == 2 and ".bailey.json:4" in r.err and "can only be read-only" in r.err, r
    assert not (ws / "witness").exists()


def test_a_grant_of_nothing_is_no_error_in_a_file(run, bailey, config, ws):
    config({"filesystem": {"allowWrite": ["~/no/such/cache"], "allowRead": ["~/no/such/file"]}, "network": {"allowUnixSockets": ["/no/such/s"]}})
    assert run("echo ok").out == "ok\n"
    assert len(explain(bailey, ws)["ignored"]) == 3
    assert run("true", "--allow-write", "~/no/such/cache").rc == 2, "a word of the command line is"


# --- attack 70 ----------------------------------------------------------------------------------------------------------------

HOSTILE = {
    "LD_PRELOAD": "/nonexistent.so", "LD_LIBRARY_PATH": "/tmp", "GLIBC_TUNABLES": "glibc.malloc.check=3", "BAILEY_POLICY": "/dev/null",
    "BAILEY_DEGRADED": "all", "BAILEY_SANDBOX": "run", "BAILEY_ALLOW_DEGRADED": "landlock,seccomp", "SANDBOX_RUNTIME": "1",
    "IS_SANDBOX": "1", "CLAUDE_CODE_SANDBOX": "0", "TMPDIR": "/etc", "IFS": "x", "LANDLOCK": "0", "SECCOMP": "0", "NO_SANDBOX": "1",
    "MALLOC_PERTURB_": "7", "POSIXLY_CORRECT": "1", "XDG_CONFIG_HOME": "relative", "XDG_STATE_HOME": "relative",
}  # fmt: skip


def test_environment_and_argv_of_the_engine_change_nothing(bailey, run, user, ws):
    for _ in range(5):  # the plan names what lies in "/", which other tests change
        plain, odd = explain(bailey, ws), explain(bailey, ws, env=HOSTILE)
        for doc in (plain, odd):
            doc.pop("environment_removed")
        if plain == odd:
            break
    assert plain == odd
    status = "grep -E '^(Seccomp|NoNewPrivs|CapEff|CapBnd)' /proc/self/status; touch /etc/x 2>&1; unshare -U true 2>&1"
    want = run(["sh", "-c", status])
    got = run(["sh", "-c", status], env={k: v for k, v in HOSTILE.items() if k not in ("IFS", "LD_PRELOAD")})
    assert want.out == got.out and "NoNewPrivs:\t1" in want.out, (want, got)
    # called by other names, or through a link
    for name in ("sh", "-bailey", " ", "/bin/su", "bwrap"):
        code = "import os, sys; os.execv(sys.argv[1], [sys.argv[2], 'run', '--', 'sh', '-c', sys.argv[3]])"
        r = user.exec(["/usr/bin/python3", "-c", code, BAILEY, name, status], cwd=ws)
        assert r.out == want.out, (name, r)


# --- the schema ---------------------------------------------------------------------------------------------------------------


# what is JSON, and wrong, is wrong for the schema, too, but for what only the reader can know
ONLY_READER = ("twice", "duration", "begins no set", "'**'", "of more than", "longer than 4095", "nested", "surrogate", "byte order", "no host name")


@pytest.fixture(scope="module")
def schema():
    import jsonschema

    doc = json.loads((PROJECT / "docs" / "policy.schema.json").read_text())
    jsonschema.Draft7Validator.check_schema(doc)
    return jsonschema.Draft7Validator(doc)


def test_good_files_have_every_key(schema):
    """What stands for a key in test_schema_agrees: a key that no good file has is one that nobody has tried."""
    wanted, found = set(), set()
    for group, doc in schema.schema["properties"].items():
        wanted |= {f"{group}.{key}" for key in doc["properties"]} if "properties" in doc else {group}
    for f in (PROJECT / "tests" / "data" / "policy").glob("good-*.json"):
        for group, value in json.loads(f.read_text()).items():
            found |= {f"{group}.{key}" for key in value} if isinstance(value, dict) else {group}
    assert len(wanted) > 30 and wanted <= found, sorted(wanted - found)


def test_schema_agrees_about_the_corpus(plain_user, works, schema):
    """The corpus of the reader's fuzzer, one file after the other as a project's: both take it, or both refuse it."""
    assert not works(plain_user)
    ws = plain_user.mkdir(plain_user.base / "corpus")
    files = sorted((PROJECT / "fuzz" / "corpus" / "json").iterdir())
    count = {"taken": 0, "refused": 0, "by the reader alone": 0, "no JSON": 0}
    for f in files:
        shutil.copy(f, plain_user.write(ws / ".bailey.json"))
        r = plain_user.exec([BAILEY, "run", "--explain", "--", "true"], cwd=ws)
        assert r.rc in (0, 2), (f, r)
        try:
            errors = list(schema.iter_errors(json.loads(f.read_bytes())))
        except ValueError:
            assert r.rc == 2, f"{f}: what is no JSON is no policy"
            count["no JSON"] += 1
            continue
        if r.rc == 2 and any(w in r.err for w in ONLY_READER):
            count["by the reader alone"] += 1
            continue
        assert (r.rc == 0) == (not errors), (f, r, errors)
        count["refused" if errors else "taken"] += 1
    assert sum(count.values()) == len(files) and min(count["taken"], count["refused"]) >= 5, count


def test_schema_agrees(bailey, user, ws, schema):
    """What the reader takes and the schema takes are the same, for the good files and for BAD."""
    good = sorted((PROJECT / "tests" / "data" / "policy").glob("good-*.json"))
    assert len(good) >= 3
    for f in good:
        errors = [e.message for e in schema.iter_errors(json.loads(f.read_text()))]
        assert not errors, (f, errors)
        shutil.copy(f, ws / ".bailey.json")
        user.own(ws / ".bailey.json")
        r = bailey(["run", "--explain", "--", "true"], cwd=ws)
        assert r.rc == 0, (f, r)
    for text, want in BAD:
        try:
            doc = json.loads(text.encode(errors="surrogateescape"))
        except ValueError:
            continue
        if not any(w in want for w in ONLY_READER):
            assert list(schema.iter_errors(doc)), (text, want)


def test_mode_of_what_trust_writes(bailey, user, ws, store, outside, project):
    project({})
    assert bailey(["trust", ws], env=store).rc == 0
    for path in (outside / "state" / "bailey").rglob("*"):
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path


def test_a_project_file_above_the_workspace_is_named(run, bailey, user, ws):
    """In a directory below the project its file is not read, and the run says why and how; not where that is on purpose."""
    below = user.mkdir(ws / "a" / "b")
    user.mkdir(ws / ".git")
    user.write(ws / ".bailey.json", '{"filesystem": {"hide": ["a/b/secret"]}}')
    user.write(below / "secret", "x")
    r = bailey(["run", "--", "cat", "secret"], cwd=below)
    assert r.out == "x" and f"'{ws}/.bailey.json' is not read, because the workspace is '{below}'; to use it: --workspace {ws}" in r.bailey_err, r
    r = bailey(["run", "--workspace", ws, "--", "cat", "secret"], cwd=below)
    assert r.rc != 0 and r.out == "" and "is not read" not in r.err, "the way on that it names is one"
    # one of its own counts; above a repository's top is another project
    user.write(below / ".bailey.json", "{}")
    assert "is not read" not in bailey(["run", "--", "true"], cwd=below).err
    (below / ".bailey.json").unlink()
    user.mkdir(below / ".git")
    assert "is not read" not in bailey(["run", "--", "true"], cwd=below).err
    assert "is not read" not in run("true").err
