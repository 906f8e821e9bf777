# SPDX-License-Identifier: Apache-2.0
"""Every verb, and what it says when it can't."""
import json
import os
import re
import stat
import subprocess
import time
from typing import Any

import pytest

FULL: dict[str, Any] = {"name": "web", "isolation": "vm", "template": "base", "agent": "claude", "options": ["--allow-host", "example.org", "", "ä\n"], "cwd": "/srv/ä b",
        "workspaces": ["/srv", "/lib:ro"], "restart": True, "timeout": 1, "freeze": 2**62, "stop": 9223372036854775807,
        "network": {"z": [1, {"b": None}], "a": 1.5}, "services": [{"name": "web"}], "volumes": [{"volume": "data", "path": "/d"}, {"volume": "data", "path": "/a"}]}
PRESET: dict[str, Any] = {"isolation": "process", "template": "host", "agent": None, "options": [], "workspaces": [], "restart": False, "timeout": None, "freeze": None,
          "stop": None, "network": None, "services": None, "ids": None, "generation": 1, "volumes": []}
KEYS = ["id", "name", "created", "changed", "isolation", "template", "agent", "options", "cwd", "workspaces", "restart", "timeout", "freeze", "stop", "network",
        "services", "ids", "generation", "volumes"]


def refused(r, rc, *parts):
    """One line of ours."""
    assert r.rc == rc and r.out == "" and re.fullmatch(r"bailey: [^\n]+\n", r.err), r
    for p in parts:
        assert p in r.err, r
    return True


def test_nothing_is_there(store):
    """Asking makes nothing."""
    assert store("ls").json == [] and store("volume", "ls").json == []
    assert refused(store("get", "web"), 3, "sandbox 'web'")
    assert refused(store("rm", "web"), 3, "sandbox 'web'")
    assert refused(store("set", "web", text={"restart": True}), 3, "sandbox 'web'")
    assert refused(store("rename", "web", "x"), 3, "sandbox 'web'")
    assert refused(store("volume", "rm", "data"), 3, "volume 'data'")
    assert not store.state.exists()


def test_add_and_get(store):
    before = time.time_ns()
    assert store("volume", "add", "data").rc == 0
    ids = {}
    r = store("add", text=FULL)
    assert r.rc == 0 and re.fullmatch(r"[0-9a-f]{10}\n", r.out) and r.err == "", r
    ids["web"] = r.out.strip()
    ids["plain"] = store.add("plain")
    got = store("get", "web").json
    assert list(got) == KEYS
    assert before <= got["created"] == got["changed"] <= time.time_ns()
    want = {**FULL, "volumes": sorted(FULL["volumes"], key=lambda v: v["path"]), "generation": 1, "id": ids["web"], "ids": got["ids"]}
    assert {k: v for k, v in got.items() if k not in ("created", "changed")} == want
    assert store("get", ids["web"]).json == got and store("get", ids["web"][:9]).json == got
    plain = store("get", "plain").json
    blocks = {got["ids"], plain["ids"]}
    assert len(blocks) == 2 and all(1 <= b <= 2047 for b in blocks) if store.caller.uid == 0 else blocks == {None}
    assert plain == {**PRESET, "ids": plain["ids"], "id": ids["plain"], "name": "plain", "cwd": "/srv", "created": plain["created"], "changed": plain["created"]}
    assert store("ls").json == [got, plain]
    st = [os.stat(p) for p in (store.state, store.db)]
    assert [(stat.S_IMODE(s.st_mode), s.st_uid) for s in st] == [(0o700, store.caller.uid), (0o600, store.caller.uid)]
    store.whole()


def test_words_that_mean_one(mine):
    """A name, an id, the beginning of an id that no other has: 4 digits or more."""
    alike = mine.add("alike")
    ids = sorted(mine.add(f"n{i}") for i in range(20))
    full = {o["id"]: o for o in mine("ls").json}
    for i in ids:
        shortest = next(n for n in range(1, 11) if sum(o.startswith(i[:n]) for o in ids) == 1)
        for n in range(1, 10):
            r = mine("get", i[:n])
            if n < 4:
                assert refused(r, 3, "there is no sandbox")
            elif n >= shortest:
                assert r.json == full[i]
            else:
                assert refused(r, 2, i[:n], "more than one")
    # others take a name or an id, and no beginning
    for verb in (["rm"], ["set"], ["rename"]):
        assert refused(mine(*verb, ids[0][:9], *(["x"] if verb == ["rename"] else []), text={"restart": True}), 3)
    assert mine("rm", ids[0]).rc == 0 and mine("rename", ids[1], "other").rc == 0 and mine("set", ids[2], text={"restart": True}).rc == 0
    # a name is meant before a beginning
    beginning = ids[3][:5]
    mine.add(beginning)
    assert mine("get", beginning).json["name"] == beginning
    mine.sql(f"UPDATE sandboxes SET id = '{ids[4][:6]}' || substr('000ffff' || id, 4, 4) WHERE id = '{alike}'")
    assert refused(mine("get", ids[4][:6]), 2, ids[4][:6], "more than one")


@pytest.mark.parametrize("word, near", [("wbe", "web"), ("webb", "web"), ("ewb", "web"), ("something-else", None), ("", None), ("a" * 100000, None),
                                        ("x\x1b[31m\ny", None), ("' OR 1=1 --", None), ("%", None), ("w*", None)])
def test_not_found(mine, word, near):
    mine.add("web")
    mine.add("database")
    for verb in (["get", word], ["rm", word], ["rename", word, "x"], ["set", word]):
        r = mine(*verb, text={"restart": True})
        assert refused(r, 3, "there is no sandbox '") and len(r.err) < 600
        assert (f"did you mean '{near}'?" in r.err) if near else "did you mean" not in r.err, r
        assert "\x1b" not in r.err
    assert mine.names() == ["database", "web"]


def test_taken(mine):
    mine.add("web")
    mine.add("other")
    kept = mine("ls").json
    assert refused(mine("add", text={"name": "web", "cwd": "/"}), 4, "'web'", "already")
    assert refused(mine("rename", "other", "web"), 4, "'web'", "already")
    assert refused(mine("rename", "web", "web"), 4, "'web'", "already")
    assert mine("ls").json == kept
    assert mine("rm", "web").rc == 0
    new = mine.add("web")  # the name is free again, the id is another
    assert new not in [o["id"] for o in kept]


def test_rename(mine):
    mine.add("web")
    old = mine("get", "web").json
    assert mine("rename", "web", "shop") == (0, "", "")
    new = mine("get", "shop").json
    assert new["changed"] > old["changed"]
    assert new == {**old, "name": "shop", "generation": 2, "changed": new["changed"]}
    assert refused(mine("get", "web"), 3)
    for bad in ("", "A", "a/b", "0123456789", "a" * 64, "-x", "../x"):
        assert refused(mine("rename", "shop", bad), 2, "can't be a name")
    assert mine("ls").json == [new]


def test_set(mine):
    assert mine("volume", "add", "data").rc == 0 and mine("volume", "add", "more").rc == 0
    mine.add("web")
    changes = {k: v for k, v in FULL.items() if k not in ("name", "isolation")}
    old, generation = mine("get", "web").json, 1
    for key, value in changes.items():  # each alone changes that, and nothing else
        r = mine("set", "web", text={key: value})
        generation += 1
        assert r == (0, f"{generation}\n", ""), r
        new = mine("get", "web").json
        if key == "volumes":
            value = sorted(value, key=lambda v: v["path"])
        assert new == {**old, key: value, "generation": generation, "changed": new["changed"]} and new["changed"] > old["changed"]
        old = new
    back = {k: PRESET.get(k, "/") for k in changes}
    assert mine("set", "web", text=back).json == generation + 1
    assert {k: v for k, v in mine("get", "web").json.items() if k in back} == back
    assert refused(mine("set", "web", text={"volumes": [{"volume": "dat", "path": "/x"}], "restart": True}), 3, "field 'volumes'", "'dat'", "did you mean 'data'?")
    assert mine("get", "web").json["restart"] is False


def test_generation(mine):
    mine.add("web")
    assert mine("set", "web", text={"restart": True, "generation": 1}).json == 2
    kept = mine("get", "web").json
    for stale in (1, 3, 2**62):
        assert refused(mine("set", "web", text={"restart": False, "timeout": 5, "generation": stale}), 4, "'web'", "generation is 2", str(stale))
    assert mine("get", "web").json == kept
    assert mine("rename", "web", "x").rc == 0
    assert refused(mine("set", "x", text={"restart": False, "generation": 2}), 4)  # a new name is a change, too
    assert mine("set", "x", text={"restart": False, "generation": 3}).json == 4


def test_rm(filled):
    assert filled("rm", "two") == (0, "", "")
    assert filled.names() == ["one"]
    assert [v["sandboxes"] for v in filled("volume", "ls").json] == [[], []]  # its volumes stay
    assert refused(filled("rm", "two"), 3)
    assert filled("volume", "rm", "used") == (0, "", "")
    filled.whole()


def test_volumes(store):
    before = time.time_ns()
    assert store("volume", "add", "data") == (0, "", "")
    assert store("volume", "add", "big", "9223372036854775799") == (0, "", "")
    listed = store("volume", "ls").json
    assert [list(v) for v in listed] == [["name", "created", "limit", "sandboxes"]] * 2
    assert [(v["name"], v["limit"], v["sandboxes"]) for v in listed] == [("big", 9223372036854775799, []), ("data", None, [])]
    assert all(before <= v["created"] <= time.time_ns() for v in listed)
    assert refused(store("volume", "add", "data"), 4, "volume 'data'", "already")
    for bad in ("", "A", "0123456789", "a" * 64, "a/b"):
        assert refused(store("volume", "add", bad), 2, "can't be a name")
    for bad in ("0", "-1", "", "1k", "1.5", " 1", "+1", "9" * 30):
        assert refused(store("volume", "add", "x", bad), 2, "field 'limit'")
    store.add("a", volumes=[{"volume": "data", "path": "/x"}, {"volume": "data", "path": "/y"}])
    assert refused(store("volume", "rm", "data"), 4, "volume 'data' is used by sandbox 'a'\n")
    for name in ("b", "c", "d", "e"):
        store.add(name, volumes=[{"volume": "data", "path": "/x"}])
    assert refused(store("volume", "rm", "data"), 4, "used by sandboxes 'a', 'b', 'c' and 2 more")
    assert store("volume", "ls").json[1]["sandboxes"] == ["a", "b", "c", "d", "e"]
    assert refused(store("volume", "rm", "dat"), 3, "volume 'dat'", "did you mean 'data'?")
    for name in "abcd":
        assert store("rm", name).rc == 0
    assert refused(store("volume", "rm", "data"), 4, "used by sandbox 'e'\n")
    assert store("set", "e", text={"volumes": []}).rc == 0
    assert store("volume", "rm", "data") == (0, "", "")
    assert [v["name"] for v in store("volume", "ls").json] == ["big"]


@pytest.mark.parametrize("words", [[], ["frob"], ["get"], ["get", "a", "b"], ["ls", "a"], ["add", "a"], ["rename", "a"], ["rename", "a", "b", "c"], ["rm"],
                                   ["rm", "a", "b"], ["set"], ["set", "a", "b"], ["volume"], ["volume", "add"], ["volume", "add", "a", "1", "2"],
                                   ["volume", "ls", "a"], ["volume", "rm"], ["volume", "frob"], ["--version"], ["ls", "--version"], ["GET", "a"]])
def test_wrong_words(mine, words):
    assert refused(mine(*words), 2)
    assert not mine.state.exists()


def test_state_dir(mine):
    for bad in ("state", "", "./state"):
        r = mine.caller.exec([mine.caller.path, bad, "add"], '{"name": "a", "cwd": "/"}')
        assert refused(r, 2, "absolute")
    assert refused(mine.caller.exec([mine.caller.path, "/" + "a" * 5000, "add"], '{"name": "a", "cwd": "/"}'), 2)
    assert refused(mine.caller.exec([mine.caller.path]), 2)


def test_version(mine):
    r = mine.caller.exec([mine.caller.path, "--version"])
    assert r.rc == 0 and re.fullmatch(r"bailey-store \d+\.\d+\.\d+\n", r.out) and r.err == "", r


def test_nobody_listens(mine):
    """What can't be printed is said, and what was done is done."""
    with open("/dev/full", "w", encoding="utf-8") as full:
        for words, text in ((["add"], {"name": "a", "cwd": "/"}), (["ls"], ""), (["get", "a"], ""), (["set", "a"], {"restart": True})):
            r = subprocess.run([mine.caller.path, mine.state, *words], input=json.dumps(text), text=True, stdout=full, stderr=subprocess.PIPE, check=False)
            assert r.returncode == 125 and r.stderr.startswith("bailey: standard output"), r
    assert [(o["name"], o["restart"]) for o in mine("ls").json] == [("a", True)]
