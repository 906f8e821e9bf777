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


@pytest.mark.parametrize("how", ["option", "file"])
def test_a_directory_with_special_characters(user, ws, how):
    d = user.mkdir(ws / "app[1]")
    for name in ("secrets/a.key", "deep/.env", "lit/x", "sub/b.pem"):
        user.write(d / name, "SECRET\n")
    user.write(d / "open", "open\n")
    f = user.write(d / ".claude" / "settings.json", json.dumps({
        "sandbox": {"filesystem": {"denyRead": ["./secrets/*.key", "lit"]}}, "permissions": {"deny": ["Read(.env)", "Read(/sub/*.pem)"]}}))  # fmt: skip
    r = user.exec([BAILEY, "import-claude-settings", f], cwd=d)
    options = ["--import-claude-settings", f] if how == "option" else ["--policy", user.write(user.base / "imported.json", r.out)]
    r = user.exec([BAILEY, "run", *options, "--", "sh", "-c", "cat secrets/a.key; cat deep/.env; cat lit/x; cat sub/b.pem; cat open"], cwd=d)
    assert r.out == "open\n", r


def test_the_root_directory_denied(user, ws, project, run_with):
    f = project({"sandbox": {"filesystem": {"denyWrite": ["/"]}}})
    r = run_with([f], "echo x > f; echo ran")
    assert r.out == "ran\n" and not (ws / "f").exists(), r
    f = project({"sandbox": {"filesystem": {"denyRead": ["/"], "allowRead": ["/usr", "/bin", "/lib", "/lib64", str(ws)]}}})
    r = run_with([f], "cat /etc/passwd; echo ran")
    assert r.out == "ran\n", r


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
    assert policy == {"filesystem": {"denyRead": ["~/.netrc"]}, "network": {"allowedDomains": ["example.com", "a.b"], "deniedDomains": ["x.y"]},
                      "environment": {"set": {"PLAIN": ""}}}  # fmt: skip
    for key in ("sandbox.enabled", "sandbox.excludedCommands", "sandbox.allowUnsandboxedCommands", "sandbox.enableWeakerNestedSandbox",
                "sandbox.network.allowAllUnixSockets", "sandbox.credentials.files[0]", "sandbox.credentials.envVars[0]",
                "permissions.allow[0]", "permissions.ask", "permissions.deny[0]", "permissions.defaultMode"):
        assert sum(f": {key}: " in li and li.startswith(f"bailey: {f}:") for li in err.splitlines()) == 1, (key, err)
    assert len(err.splitlines()) == 11, err
    r = bailey(["run", "--import-claude-settings", f, "--", "sh", "-c", "echo $PLAIN.$MY_TOKEN."], cwd=ws, env={"PLAIN": "SECRET", "MY_TOKEN": "SECRET"})
    assert r.out == "..\n" and len(r.bailey_err.splitlines()) == 11, r


def test_explain_names_the_file_and_line(user, ws, project, bailey):
    f = project({"sandbox": {"filesystem": {"denyRead": ["/etc/hostname"]}, "network": {"allowedDomains": ["a.b", "localhost:3000"]}}})
    r = bailey(["run", "--import-claude-settings", f, "--explain=json", "--", "true"], cwd=ws)
    policy = json.loads(r.out)
    assert [rule["origin"] for rule in policy["policy"] if rule["path"] == "/etc/hostname" and rule["rule"] == "deny-read"] == [f"{f}:5"]
    assert [(rule["rule"], rule["origin"], rule["layer"]) for rule in policy["network"]["rules"]] == [("a.b", f"{f}:10", "command")]
    assert "sandbox.network.allowedDomains[1]" in r.out


@pytest.mark.parametrize("text,want", [
    ("{", ":1:2: "), ("[]", "expected an object"), ('{"sandbox": []}', "sandbox: expected an object"),
    ('{"sandbox": {"filesystem": {"denyRead": "x"}}}', "sandbox.filesystem.denyRead: expected a list"),
    ('{"sandbox": {"filesystem": {"denyRead": [1]}}}', "sandbox.filesystem.denyRead[0]: expected a string"),
    ('{"sandbox": {"filesystem": {"denyRead": [""]}}}', "the path is empty"),
    ('{"permissions": {"deny": ["Read(x"]}}', "expected TOOL(PATH)"),
    ('{"permissions": {"deny": [{}]}}', "permissions.deny[0]: expected a string"),
    ('{"sandbox": {"network": []}}', "sandbox.network: expected an object"),
    ('{"sandbox": {"network": {"allowedDomains": "x"}}}', "sandbox.network.allowedDomains: expected a list"),
    ('{"sandbox": {"network": {"deniedDomains": [7]}}}', "sandbox.network.deniedDomains[0]: expected a string"),
    ('{"sandbox": {"network": {"allowedDomains": [""]}}}', "sandbox.network.allowedDomains[0]: the host is empty"),
    # a denial that is left out would open something
    ('{"sandbox": {"network": {"deniedDomains": ["https://x.y/"]}}}', "sandbox.network.deniedDomains[0]: "),
    ('{"sandbox": {"network": {"deniedDomains": ["b\u00fccher.example"]}}}', "write its ASCII form"),
    ('{"sandbox": {"network": {"deniedDomains": ["x.y\\u0000.z"]}}}', "s.json:1:"),
    ('{"permissions": {"deny": ["WebFetch(domain:x.y:0)"]}}', "permissions.deny[0]: "),
    ('{"permissions": {"deny": ["WebFetch(domain:x.y"]}}', "expected TOOL("),
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


# --- hosts ---


HOSTS = [  # entry, the rule (None: it is a note)
    ("example.com", "example.com"), ("*.Example.com", "*.Example.com"), ("example.com:8080", "example.com:8080"), ("192.0.2.1", "192.0.2.1"), ("192.0.2.1:22", "192.0.2.1:22"),
    ("[2001:db8::1]:443", "[2001:db8::1]:443"), ("[2001:db8::1]", "[2001:db8::1]"), ("10.0.0.1", "10.0.0.1"),
    ("*", None), ("*:443", None), ("localhost", None), ("localhost:3000", None), ("127.0.0.1:3000", None), ("[::1]:3000", None), ("*.co.uk", None), ("*.github.io", None),
    ("https://example.com", None), ("example.com/path", None), ("*example.com", None), ("b\u00fccher.example", None), ("0x7f.1", None), ("a..b", None), ("x:0", None),
]  # fmt: skip


@pytest.mark.parametrize("entry,rule", HOSTS, ids=[h[0] for h in HOSTS])
def test_hosts_that_are_allowed(user, ws, project, entry, rule):
    for settings, key in (({"sandbox": {"network": {"allowedDomains": [entry]}}}, "sandbox.network.allowedDomains[0]"), ({"permissions": {"allow": [f"WebFetch(domain:{entry})"]}}, "permissions.allow[0]")):
        policy, err = imported(user, ws, project(settings))
        assert policy == ({"network": {"allowedDomains": [rule]}} if rule else {}), err
        assert (f": {key}: " in err) == (rule is None), err


def test_hosts_that_are_denied(user, ws, project):
    denied = ["*", "*:22", "evil.example", "*.evil.example", "localhost", "127.0.0.1", "*.co.uk"]
    settings = {"sandbox": {"network": {"deniedDomains": denied}}, "permissions": {"deny": ["WebFetch(domain:x.y)", "WebFetch(domain:x.y)"]}}
    policy, err = imported(user, ws, project(settings))
    assert policy == {"network": {"deniedDomains": ["**", "**:22", *denied[2:], "x.y"]}} and err == ""


def test_network_keys_that_cannot_be_said(user, ws, project):
    """Each with its key; and what asks for nothing here is no note."""
    network = {"allowUnixSockets": ["/x"], "allowAllUnixSockets": True, "allowMachLookup": ["com.x.*"], "httpProxyPort": 8080, "socksProxyPort": 1080, "tlsTerminate": {"caCertPath": "/x"}, "allowManagedDomainsOnly": True}
    policy, err = imported(user, ws, project({"sandbox": {"network": network}, "permissions": {"allow": ["WebFetch", "WebFetch(*)", "WebFetch(x.y)"]}}))
    assert policy == {}
    for key in (*(f"sandbox.network.{k}" for k in network), "permissions.allow[0]", "permissions.allow[1]", "permissions.allow[2]"):
        assert sum(f": {key}: " in li for li in err.splitlines()) == 1, (key, err)
    assert len(err.splitlines()) == len(network) + 3, err
    quiet = {"allowUnixSockets": [], "allowAllUnixSockets": False, "strictAllowlist": True, "allowLocalBinding": True, "allowManagedDomainsOnly": False, "allowedDomains": [], "deniedDomains": []}
    assert imported(user, ws, project({"sandbox": {"network": quiet}})) == ({}, "")


@pytest.mark.parametrize("how", ["option", "file"])
def test_hosts_are_reached_and_others_are_not(net, project, how):
    """Real servers: what is allowed answers, what nobody names is refused, a denial wins over a wider grant."""
    f = project({"sandbox": {"network": {"allowedDomains": ["one.test", "*.wild.test"], "deniedDomains": ["two.test"]}}, "permissions": {"allow": ["WebFetch(domain:two.test)", "WebFetch(domain:six.test)"]}})
    if how == "option":
        opts = ["--import-claude-settings", str(f)]
    else:
        policy, _ = imported(net.user, net.ws, f)
        opts = ["--policy", str(net.user.write(net.user.base / "imported-net.json", json.dumps(policy)))]
    for url in ("http://one.test/", "http://sub.wild.test/", "http://six.test/"):
        r = net(["curl", "-sSf", "-m", "8", url], *opts)
        assert r.rc == 0 and "host=" in r.out, r
    for url, why in (("http://two.test/", "'deny two.test'"), ("http://wild.test/", "no rule allows it"), ("http://private.test/", "no rule allows it"), ("http://192.0.2.10/", "no rule allows it")):
        r = net(["curl", "-sSf", "-m", "8", url], *opts)
        assert r.rc != 0 and r.out == "" and why in r.err, r
    # the control: without the settings there is no network, and two.test answers where it may
    assert net(["curl", "-sSf", "-m", "8", "http://one.test/"]).rc != 0
    assert net(["curl", "-sSf", "-m", "8", "http://two.test/"], "--allow-host", "two.test").rc == 0
