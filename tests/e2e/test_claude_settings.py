# SPDX-License-Identifier: Apache-2.0
"""Settings of Claude Code as a policy: by --import-claude-settings, and as a policy file that the verb prints."""
import json
import os

import pytest
from conftest import BAILEY


@pytest.fixture
def project(user, ws):
    """settings(OBJECT, path=…): a settings file of the project."""

    def write(settings, path=".claude/settings.json"):
        return user.write(ws / path, json.dumps(settings, indent=1))

    return write


def imported(user, ws, *files):
    r = user.exec([BAILEY, "import-claude-settings", *files], cwd=ws)
    assert r.rc == 0, r
    return json.loads(r.out), r.err


@pytest.fixture(params=["option", "file"])
def run_with(request, user, ws, bailey):
    """run_with(FILES, SCRIPT): a run under these settings, by the option or by a file made of them."""

    def call(files, script):
        if request.param == "option":
            options = [x for f in files for x in ("--import-claude-settings", f)]
        else:
            policy, _ = imported(user, ws, *files)
            options = ["--policy", user.write(user.base / "imported.json", json.dumps(policy))]
        return bailey(["run", *options, "--", "sh", "-c", script], cwd=ws)

    return call


def test_files_and_rules(user, ws, project, run_with, outside):
    user.write(ws / "secrets" / "a", "SECRET\n")
    user.write(ws / "deep" / "down" / ".env", "SECRET\n")
    user.write(ws / "open", "open\n")
    user.write(ws / "fixed", "old\n")
    user.write(ws / "release" / "r", "old\n")
    f = project({
        "sandbox": {"enabled": True, "filesystem": {"allowWrite": [str(outside)], "denyRead": ["./secrets"], "denyWrite": ["fixed"]}},
        "permissions": {"deny": ["Read(.env)", "Edit(/release/**)"], "allow": ["Read(~/x)"]},
    })
    r = run_with([f], f"cat secrets/a; cat deep/down/.env; cat open; echo x > fixed; echo x > release/r; echo x > {outside}/new; echo x > own")
    assert "SECRET" not in r.out and r.out == "open\n", r
    assert (ws / "fixed").read_text() == (ws / "release" / "r").read_text() == "old\n"
    assert (outside / "new").read_text() == (ws / "own").read_text() == "x\n"


def test_several_files_are_joined(user, ws, project, run_with):
    for name in "ab":
        user.write(ws / name, "SECRET\n")
    files = [project({"permissions": {"deny": ["Read(./a)"]}}), project({"permissions": {"deny": ["Read(./b)"]}}, ".claude/settings.local.json")]
    assert "SECRET" not in run_with(files, "cat a b").out
    assert run_with(files[:1], "cat a b").out == "SECRET\n", "the control"


def test_where_relative_paths_begin(user, ws, project):
    home = user.home.resolve()
    settings = {"sandbox": {"filesystem": {"denyRead": ["x", "./y", "/z", "//w", "~/v"]}}, "permissions": {"deny": ["Read(/r)", "Read(//s)", "Read(./t)", "Read(u)", "Read(a/b)"]}}
    of_project, _ = imported(user, ws, project(settings))
    assert of_project["filesystem"]["denyRead"] == [f"{ws}/x", f"{ws}/y", "/z", "/w", "~/v", f"{ws}/r", "/s", f"{ws}/t", f"{ws}/**/u", f"{ws}/a/b"]
    path = user.write(user.home / ".claude" / "settings.json", json.dumps(settings))
    try:
        of_user, _ = imported(user, ws, path)
    finally:
        path.unlink()
        path.parent.rmdir()
    assert of_user["filesystem"]["denyRead"][:2] == [f"{home}/.claude/x", f"{home}/.claude/y"]
    assert of_user["filesystem"]["denyRead"][5] == f"{home}/.claude/r" and of_user["filesystem"]["denyRead"][7] == f"{ws}/t"


def test_patterns(user, ws, project):
    policy, err = imported(user, ws, project({"sandbox": {"filesystem": {"denyRead": ["/a/**.key", "/b/**", "/c/[!x]"], "allowWrite": ["/d/*", "/e/**"], "denyWrite": ["/f/*"]}},
                                             "permissions": {"allow": ["Edit(//g/**)", "Edit(//h/*.md)"]}}))  # fmt: skip
    assert policy["filesystem"] == {"denyRead": ["/a/**/*.key", "/b", "/c/[\\!x]"], "allowWrite": ["/e", "/g"], "denyWrite": ["/f/*"]}
    assert err.count("a pattern makes nothing writable on Linux") == 2


def test_what_cannot_be_said_is_listed(user, ws, project, bailey):
    f = project({
        "sandbox": {"enabled": False, "excludedCommands": ["docker *"], "allowUnsandboxedCommands": True, "enableWeakerNestedSandbox": True,
                    "network": {"allowedDomains": ["example.com"], "deniedDomains": ["x.y"], "allowAllUnixSockets": True, "allowLocalBinding": True},
                    "credentials": {"files": [{"path": "~/.netrc", "mode": "mask"}], "envVars": [{"name": "PLAIN", "mode": "deny"}, {"name": "MY_TOKEN", "mode": "deny"}]}},
        "permissions": {"allow": ["Bash(npm test)", "WebFetch(domain:a.b)"], "ask": ["Bash(git push)"], "deny": ["Edit"], "defaultMode": "plan"},
        "model": "x", "hooks": {},
    })
    policy, err = imported(user, ws, f)
    assert policy == {"filesystem": {"denyRead": ["~/.netrc"]}, "environment": {"set": {"PLAIN": ""}}}
    for key in ("sandbox.enabled", "sandbox.excludedCommands", "sandbox.allowUnsandboxedCommands", "sandbox.enableWeakerNestedSandbox",
                "sandbox.network.allowedDomains", "sandbox.network.allowAllUnixSockets", "sandbox.credentials.files[0]", "sandbox.credentials.envVars[0]",
                "permissions.allow[0]", "permissions.allow[1]", "permissions.ask", "permissions.deny[0]", "permissions.defaultMode"):
        assert sum(f": {key}: " in li and li.startswith(f"bailey: {f}:") for li in err.splitlines()) == 1, (key, err)
    assert len(err.splitlines()) == 13, err
    r = bailey(["run", "--import-claude-settings", f, "--", "sh", "-c", "echo $PLAIN.$MY_TOKEN."], cwd=ws, env={"PLAIN": "SECRET", "MY_TOKEN": "SECRET"})
    assert r.out == "..\n" and len(r.bailey_err.splitlines()) == 13, r


def test_explain_names_the_file_and_line(user, ws, project, bailey):
    f = project({"sandbox": {"filesystem": {"denyRead": ["/etc/hostname"]}, "network": {"allowedDomains": ["a.b"]}}})
    r = bailey(["run", "--import-claude-settings", f, "--explain=json", "--", "true"], cwd=ws)
    policy = json.loads(r.out)
    assert [rule["origin"] for rule in policy["policy"] if rule["path"] == "/etc/hostname" and rule["rule"] == "deny-read"] == [f"{f}:5"]
    assert "sandbox.network.allowedDomains" in r.out


@pytest.mark.parametrize("text,want", [
    ("{", ":1:2: "), ("[]", "expected an object"), ('{"sandbox": []}', "sandbox: expected an object"),
    ('{"sandbox": {"filesystem": {"denyRead": "x"}}}', "sandbox.filesystem.denyRead: expected a list"),
    ('{"sandbox": {"filesystem": {"denyRead": [1]}}}', "sandbox.filesystem.denyRead[0]: expected a string"),
    ('{"sandbox": {"filesystem": {"denyRead": [""]}}}', "the path is empty"),
    ('{"permissions": {"deny": ["Read(x"]}}', "expected TOOL(PATH)"),
    ('{"permissions": {"deny": [{}]}}', "permissions.deny[0]: expected a string"),
])  # fmt: skip
def test_bad_files_are_errors(user, ws, bailey, text, want):
    f = user.write(ws / "s.json", text)
    for argv in (["import-claude-settings", f], ["run", "--import-claude-settings", f, "--", "echo", "RAN"]):
        r = bailey(argv, cwd=ws)
        assert (r.rc, r.out) == (2, "") and want in r.err and str(f) in r.err, r


def test_a_file_that_is_not_there(user, ws, bailey):
    for argv in (["import-claude-settings", "none.json"], ["run", "--import-claude-settings", "none.json", "--", "echo", "RAN"], ["import-claude-settings"]):
        r = bailey(argv, cwd=ws)
        assert (r.rc, r.out) == (2, ""), r


def test_a_link_is_followed_but_gives_nothing_more(user, ws, project, run_with, outside):
    user.write(ws / "s", "SECRET\n")
    real = user.write(outside / "settings.json", json.dumps({"permissions": {"deny": ["Read(/s)"]}}))
    user.mkdir(ws / ".claude")
    os.symlink(real, ws / ".claude" / "settings.json")
    assert "SECRET" not in run_with([ws / ".claude" / "settings.json"], "cat s").out


def test_a_planted_link_makes_no_grant(user, ws, project, run_with, outside):
    os.symlink(outside, ws / "out")
    f = project({"sandbox": {"filesystem": {"allowWrite": ["out"]}}})
    r = run_with([f], "echo x > out/f; echo $?")
    assert not (outside / "f").exists(), r
