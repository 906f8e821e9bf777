# SPDX-License-Identifier: Apache-2.0
"""Patterns in path options and policy files: what they match is denied or given, nothing is silently without effect."""
import json
import os
import time

import pytest

from conftest import PYTHON


def explain(bailey, ws, *opts):
    r = bailey(["run", "--explain=json", *opts, "--", "true"], cwd=ws)
    assert r.rc == 0, r
    return json.loads(r.out)


@pytest.fixture
def tree(user, ws):
    for name in (".env", "a/.env", "a/b/c/.env", "a/b/.env.local", "env", "a/x1.key", "a/x2.key", "a/xy.key", ".d/deep/.env"):
        user.write(ws / name, name + "\n")
    return ws


def readable(run, ws, *opts, names=None):
    code = (
        "import os\n"
        "for d, dirs, files in os.walk('.', onerror=lambda e: print('unlisted', e.filename)):\n"
        "    for f in files:\n"
        "        try: print(os.path.relpath(os.path.join(d, f)) if open(os.path.join(d, f)).read() else '', end='\\n')\n"
        "        except OSError: pass\n"
    )
    r = run([PYTHON, "-c", code], *opts)
    assert r.rc == 0, r
    return set(r.out.split("\n")) - {""}


ALL = {".env", "a/.env", "a/b/c/.env", "a/b/.env.local", "env", "a/x1.key", "a/x2.key", "a/xy.key", ".d/deep/.env"}


@pytest.mark.parametrize(
    "pattern,gone",
    [
        ("**/.env", {".env", "a/.env", "a/b/c/.env", ".d/deep/.env"}),
        ("*/.env", {"a/.env"}),
        ("a/**/.env", {"a/.env", "a/b/c/.env"}),
        ("**/.env*", {".env", "a/.env", "a/b/c/.env", "a/b/.env.local", ".d/deep/.env"}),
        ("a/x?.key", {"a/x1.key", "a/x2.key", "a/xy.key"}),
        ("a/x[0-9].key", {"a/x1.key", "a/x2.key"}),
        ("a/x[!0-9].key", {"a/xy.key"}),
        ("**/x1.key", {"a/x1.key"}),
        ("./a/../**/xy.key", {"a/xy.key"}),
        ("**/b/**", {"a/b/c/.env", "a/b/.env.local", "unlisted ./a/b"}),
        ("a/**", {n for n in ALL if n.startswith("a/")} | {"unlisted ./a"}),
        (".*/deep/*", {".d/deep/.env"}),
        ("nothing/**/here", set()),
    ],
)
@pytest.mark.parametrize("option", ["--deny-read", "--hide"])
def test_denials(run, tree, pattern, gone, option):
    seen = readable(run, tree, option, pattern)
    want = {n for n in ALL if n not in gone} | {n for n in gone if n.startswith("unlisted")}
    assert seen == want, seen ^ want


def test_below_the_home(run, user, outside):
    """~/.x/** is what it says (and what other sandboxes ignore); so is a pattern in a tree that is shown by an overlay."""
    user.write(user.home / ".x" / "y" / "f", "SECRET\n")
    user.write(outside / "k" / "id.pem", "PEM\n")
    user.write(outside / "k" / "id.pub", "PUB\n")
    assert run("cat ~/.x/y/f").out == "SECRET\n"
    for option in ("--deny-read", "--hide"):
        assert run("cat ~/.x/y/f", option, "~/.x/**").out == ""
        assert run("cat ~/.x/y/f", option, "~/.x/*").out == ""
        r = run(f"cat {outside}/k/id.pem {outside}/k/id.pub", option, f"~/{outside.name}/**/*.pem")
        assert r.out == "PUB\n", r


def test_root_patterns(run, user, outside):
    """A first part that is a pattern: not skipped, and not the root itself."""
    user.write(outside / "id.pem", "PEM\n")
    top = "/" + outside.parts[1][:-1] + "?"
    r = run(f"cat {outside}/id.pem; cat /etc/hostname", "--deny-read", f"{top}/{'/'.join('*' for _ in outside.parts[2:-1]) + '/' if outside.parts[2:-1] else ''}{outside.name}/*.pem")
    assert "PEM" not in r.out and r.out != "", r
    # everything but what is shown again: usr and lib, so that programs run
    shown = [o for d in ("/usr", "/lib", "/lib64", "/bin", "/etc/ld.so.cache") if os.path.exists(d) for o in ("--allow-read", d)]
    r = run("cat /var/lib/dpkg/status | head -c 1; cat /etc/passwd; echo still", "--deny-read", "/**", *shown)
    assert r.out == "still\n" and r.command_err.count("\n") == 2, r


def test_too_much_is_refused(bailey, run, user, ws):
    """What can't be looked at is not half denied. The bound is proved on a tree that is made deep, not large."""
    deep = ws
    for _ in range(140):
        deep = deep / "d"
    os.makedirs(deep)
    r = run("touch witness", "--deny-read", "**/.env")
    assert r.rc == 2 and "too deep" in r.err and "'**/.env'" in r.err, r
    assert not (ws / "witness").exists()


def test_more_matches_than_rules_are_refused(run, user, ws):
    user.mkdir(ws / "many")
    for i in range(4200):
        (ws / "many" / f"{i}.pyc").touch()
    r = run("touch witness", "--hide", "**/*.pyc")
    assert r.rc == 2 and "'**/*.pyc'" in r.err and "more than 4096 rules" in r.err, r
    assert not (ws / "witness").exists()
    assert run("ls many | wc -l", "--hide", "**/*[0-9][0-9][0-9][0-9].pyc").rc == 0


def test_cost_of_a_hostile_tree(run, user, ws):
    """Names and patterns that make naive matchers explode."""
    for i in range(50):
        user.write(ws / ("a" * 200 + str(i)), "x")
    start = time.monotonic()
    assert run("true", "--deny-read", "**/" + "a*" * 60 + "b", "--deny-read", "**/*/**/*/**/*/**/x").rc == 0
    assert time.monotonic() - start < 20


def test_names_that_look_like_patterns(run, user, ws):
    user.write(ws / "pages" / "[id]" / "f", "LITERAL\n")
    user.write(ws / "pages" / "i" / "f", "MATCHED\n")
    user.write(ws / "back\\slash", "BACK\n")
    cat = "cat 'pages/[id]/f' pages/i/f 'back\\slash'"
    assert run(cat).out == "LITERAL\nMATCHED\nBACK\n"
    # as it stands it exists: a denial means it, and what it matches
    assert run(cat, "--deny-read", "pages/[id]").out == "BACK\n"
    assert run(cat, "--deny-read", "pages/\\[id]").out == "MATCHED\nBACK\n"
    assert run(cat, "--deny-read", "pages/[[]id[]]").out == "MATCHED\nBACK\n"
    assert run(cat, "--deny-read", "back\\slash").out == "LITERAL\nMATCHED\n"
    assert run(cat, "--deny-read", "back\\\\slash").out == "LITERAL\nMATCHED\n"
    # a file can say so
    for doc, want in (
        ([{"path": "pages/[id]", "literal": True}], "MATCHED\nBACK\n"),
        ([{"path": "pages/[id]"}], "BACK\n"),
        ([{"path": "pages/[a-z]", "literal": True}], "LITERAL\nMATCHED\nBACK\n"),
        (["pages/[a-z]"], "LITERAL\nBACK\n"),
    ):
        user.write(ws / ".bailey.json", json.dumps({"filesystem": {"denyRead": doc}}))
        assert run(cat).out == want, doc
    os.unlink(ws / ".bailey.json")
    # a grant means the least
    r = run(cat + "; touch 'pages/[id]/new' pages/i/new", "--workspace", f"{ws}:ro", "--allow-write", "pages/[id]")
    assert (ws / "pages/[id]/new").exists() and not (ws / "pages/i/new").exists(), r


def test_write_patterns(run, user, ws, outside):
    for name in ("one", "two", ".git"):
        user.mkdir(outside / "r" / name)
    r = run(f"touch {outside}/r/one/x {outside}/r/two/x {outside}/r/x", "--allow-write", outside / "r" / "t*")
    assert (outside / "r/two/x").exists() and not (outside / "r/one/x").exists() and not (outside / "r/x").exists(), r
    user.mkdir(ws / "sub" / "keep.d")
    user.write(ws / "a.lock", "L\n")
    r = run("echo x >> a.lock; echo x > sub/keep.d/x; echo x > b.txt", "--deny-write", "**/*.lock", "--deny-write", "**/keep.d")
    assert (ws / "a.lock").read_text() == "L\n" and not (ws / "sub/keep.d/x").exists() and (ws / "b.txt").exists(), r
    assert r.err.count("Read-only") == 2, r


def test_links(run, bailey, user, ws, outside):
    """Denials follow links where the pattern names them; grants never."""
    user.write(outside / "real" / "secret", "SECRET\n")
    user.mkdir(ws / "links")
    user.symlink(outside / "real", ws / "links" / "dir")
    user.symlink(outside / "real" / "secret", ws / "links" / "file")
    assert run("cat links/dir/secret links/file").out == "SECRET\nSECRET\n"
    assert run(f"cat links/dir/secret {outside}/real/secret", "--deny-read", "links/*/secret").out == ""
    assert run(f"cat links/file {outside}/real/secret", "--deny-read", "links/f*").out == ""
    user.symlink("nowhere", ws / "links" / "fd")
    assert run("cat links/file; echo ok", "--deny-read", "links/f*").out == "ok\n", "a link that leads nowhere is no error"
    os.unlink(ws / "links" / "fd")
    doc = explain(bailey, ws, "--allow-write", "links/*")
    assert doc["patterns"][0]["links"] == 2 and doc["patterns"][0]["matches"] == 0
    r = run("touch links/dir/new", "--allow-write", "links/*")
    assert r.rc != 0 and not (outside / "real" / "new").exists()


def test_explain_says_what_was_looked_at(bailey, run, user, tree):
    closed = user.mkdir(tree / "closed", 0)
    doc = explain(bailey, tree, "--deny-read", "**/.env", "--hide", "no/such/*")
    one, two = doc["patterns"]
    assert one["pattern"] == "**/.env" and one["below"] == str(tree) and one["matches"] == 4 and one["names"] >= 12
    assert one["origin"] == "--deny-read" and two["matches"] == 0
    assert one["unlisted"] == (0 if user.is_root else 1)
    text = bailey(["run", "--explain", "--deny-read", "**/.env", "--", "true"], cwd=tree).out
    assert "**/.env  4 matches of" in text and "later names are covered when they are seen" in text
    closed.chmod(0o755)


@pytest.mark.parametrize("pattern,want", [("a[", "begins no set"), ("[]", "begins no set"), ("[z-a]", "begins no set"), ("[[:alpha:]]", "begins no set"),
                                          ("a\\", "no character behind"), ("x**", "'**' must stand alone"), ("*/../x", "'..' behind a pattern"),
                                          ("\\../x", "means nothing"), ("/".join(["*"] * 40), "more than 32 parts")])  # fmt: skip
def test_bad_patterns(run, user, ws, pattern, want):
    for option in ("--deny-read", "--allow-write", "--hide"):
        r = run("touch witness", option, pattern)
        assert r.rc == 2 and want in r.err.replace("\\x5c", "\\") and option in r.err, r
    assert not (ws / "witness").exists()


def test_a_pattern_behind_a_link_and_two_dots(run, user, ws, outside):
    """As a literal path: '..' behind a symlink is one directory for programs, and another for a shell's cd."""
    user.mkdir(outside / "far" / "below")
    (ws / "link").symlink_to(outside / "far" / "below")
    user.mkdir(ws / "dir")
    for option in ("--deny-read", "--deny-write", "--allow-write", "--hide"):
        for pattern in ("link/../*.env", f"{ws}/link/../**/x", "dir/../link/../*", "link/../x/*"):
            r = run("touch witness", option, pattern)
            assert r.rc == 2 and "'..' behind a symlink" in r.err and option in r.err, r
        assert run("true", option, "dir/../*.env").rc == 0
    assert run("true", "--allow-socket", "link/../s").rc == 2
    assert "'..' behind a symlink" in run("true", "--allow-socket", "link/../s").err
    assert not (ws / "witness").exists()


def test_check_follows_patterns(bailey, tree):
    assert bailey(["check", "--deny-read", "**/.env", "read", "a/.env"], cwd=tree).rc == 1
    assert bailey(["check", "--deny-read", "**/.env", "read", "env"], cwd=tree).rc == 0
