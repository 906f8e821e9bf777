# SPDX-License-Identifier: Apache-2.0
"""--explain, --dry-run and check tell what a run would do, and run nothing."""
import json

import pytest

from conftest import PYTHON

LAYERS = set("userns mountns pidns ipcns utsns cgroupns netns rootfs overlay proc caps nnp landlock seccomp sockets".split())


def explain(bailey, cwd, *opts):
    r = bailey(["run", "--explain=json", *opts, "--", "touch", "witness"], cwd=cwd)
    assert r.rc == 0, r
    return json.loads(r.out)


def test_json(bailey, ws):
    doc = explain(bailey, ws)
    assert isinstance(doc["policy"], list) and doc["policy"]
    assert isinstance(doc["plan"], list) and doc["plan"]
    assert isinstance(doc["layers"], dict)
    assert LAYERS <= set(doc["layers"]), sorted(doc["layers"])


def test_every_rule_has_an_origin(bailey, user, ws, outside):
    user.mkdir(outside / "d")
    opts = ["--allow-write", outside / "d", "--deny-read", "/srv", "--hide", "~/.x", "--allow-read", "/opt"]
    doc = explain(bailey, ws, *opts)
    for rule in doc["policy"]:
        assert rule.get("origin"), rule
        assert rule.get("rule") and rule.get("path") and rule.get("layer"), rule
    found = {(r["rule"], r["path"]): r["origin"] for r in doc["policy"]}
    origin = [o for (kind, path), o in found.items() if path == str(outside / "d")]
    assert any("--allow-write" in json.dumps(o) for o in origin), origin
    assert any("built-in" in json.dumps(o) for o in found.values())
    assert any(path == str(user.home / ".ssh") for kind, path in found)


def test_json_with_odd_names(bailey, user, ws):
    names = ['quo"te', "new\nline", "back\\slash", "tab\t", "ünï", "ctrl\x01"]
    opts = []
    for name in names:
        opts += ["--deny-read", user.mkdir(ws / name)]
    paths = {rule["path"] for rule in explain(bailey, ws, *opts)["policy"]}
    for name in names:
        assert str(ws / name) in paths, name


def test_json_is_valid_for_bytes_that_are_not_utf8(bailey, user, ws):
    explain(bailey, ws, "--deny-read", user.mkdir(ws / "raw\udcff"))


def test_explain_runs_nothing(bailey, user, ws):
    for opt in ("--explain", "--explain=json", "--dry-run"):
        r = bailey(["run", opt, "--", "touch", "witness"], cwd=ws)
        assert r.rc == 0, r
        assert not (ws / "witness").exists()


def test_explain_needs_no_existing_command(bailey, ws):
    assert bailey(["run", "--explain", "--", "no-such-command"], cwd=ws).rc == 0


def test_explain_text(bailey, user, ws):
    r = bailey(["run", "--explain", "--hide", "~/mine", "--", "true"], cwd=ws)
    assert r.rc == 0 and r.err == ""
    for word in (str(ws), str(user.home / "mine"), "--hide", ".ssh", "landlock", "seccomp"):
        assert word in r.out, word


def test_explain_names_a_lost_layer(bailey, ws):
    doc = explain(bailey, ws, "--allow-degraded=landlock")
    assert "landlock" in doc["layers"]


def test_explain_is_stable(bailey, ws):
    assert explain(bailey, ws) == explain(bailey, ws)


def test_explain_refuses_what_a_run_refuses(bailey, ws):
    assert bailey(["run", "--explain", "--workspace", "/no/such", "--", "true"], cwd=ws).rc == 2


def test_dry_run_builds_the_sandbox(bailey, deny, user, ws):
    from conftest import BAILEY

    assert bailey(["run", "--dry-run", "--", "true"], cwd=ws).rc == 0
    # What would be refused is refused here too
    r = user.exec([deny, "landlock_create_ruleset=ENOSYS", "--", BAILEY, "run", "--dry-run", "--", "true"], cwd=ws)
    assert r.rc == 125 and "landlock" in r.err.lower()


@pytest.mark.parametrize(
    "verb,path,code",
    [
        ("read", "/etc/passwd", 0),
        ("write", "/etc/passwd", 1),
        ("read", "~/.ssh/id_ed25519", 1),
        ("write", "~/some/file", 1),
        ("read", "~/some/file", 0),
        ("write", "inside", 0),
        ("read", "inside", 0),
    ],
)
def test_check(bailey, user, ws, verb, path, code):
    user.write(ws / "inside")
    user.write(user.home / "some" / "file")
    user.write(user.home / ".ssh" / "id_ed25519", "", 0o600)
    r = bailey(["check", verb, path], cwd=ws)
    assert r.rc == code, r
    assert r.out and r.err == ""


def test_check_says_what_would_change_it(bailey, user, ws):
    user.write(user.home / ".ssh" / "id_ed25519", "", 0o600)
    r = bailey(["check", "read", "~/.ssh/id_ed25519"], cwd=ws)
    assert "--allow-read" in r.out and "built-in" in r.out and str(user.home / ".ssh") in r.out
    # The option that it names does change it
    opt = r.out.split("to allow it: ")[1].split()
    assert bailey(["check", *opt, "read", "~/.ssh/id_ed25519"], cwd=ws).rc == 0
    r = bailey(["check", "write", "/etc/hosts"], cwd=ws)
    assert "--allow-write" in r.out


def test_check_follows_the_options(bailey, user, ws, outside):
    f = user.write(outside / "d" / "f")
    assert bailey(["check", "write", f], cwd=ws).rc == 1
    assert bailey(["check", "--allow-write", outside, "write", f], cwd=ws).rc == 0
    assert bailey(["check", "--allow-write", outside, "--deny-write", outside / "d", "write", f], cwd=ws).rc == 1
    assert bailey(["check", "--deny-read", outside, "read", f], cwd=ws).rc == 1
    assert bailey(["check", "--deny-read", outside, "--allow-read", outside / "d", "read", f], cwd=ws).rc == 0
    assert bailey(["check", "--workspace", f"{ws}:ro", "write", ws / "x"], cwd=ws).rc == 1


def test_check_of_several_paths(bailey, ws):
    assert bailey(["check", "read", "/etc/passwd", "/usr"], cwd=ws).rc == 0
    r = bailey(["check", "write", "x", "/etc/passwd", "y"], cwd=ws)
    assert r.rc == 1 and len([li for li in r.out.splitlines() if li.strip()]) >= 3


def test_check_agrees_with_the_run(bailey, run, user, ws, outside):
    """The verdicts and the sandbox come from one policy: compare them."""
    for name in ("a/f", "a/b/f", "a/b/c/f", "d/f"):
        user.write(outside / name, "x")
    o = outside
    opts = ["--allow-write", o / "a", "--deny-write", o / "a/b", "--deny-read", o / "d", "--hide", o / "a/b/c"]
    code = (
        "import sys\n"
        "for p in sys.argv[1:]:\n"
        "    for how in ('r', 'r+'):\n"
        "        try: open(p, how); print(1, end='')\n"
        "        except OSError: print(0, end='')\n"
    )
    paths = [str(o / n) for n in ("a/f", "a/b/f", "a/b/c/f", "d/f")] + ["/etc/passwd"]
    r = run([PYTHON, "-c", code, *paths], *opts)
    told = "".join(
        str(1 - bailey(["check", *opts, verb, p], cwd=ws).rc) for p in paths for verb in ("read", "write")
    )
    assert r.out == told == "1110000010", r
