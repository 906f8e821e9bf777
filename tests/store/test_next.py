# SPDX-License-Identifier: Apache-2.0
"""A database of version 3, and a program that has two steps more: tests/store/next-schema.c."""
import shutil
import sqlite3

import pytest

from harness import injected, traced
from test_many import together
from test_verbs import refused


@pytest.fixture
def later(filled):
    """(store, the program of the later release)."""
    return filled, filled.caller.path.with_name("bailey-store-next")


def version(store):
    """Of a copy: who reads the file itself may mend it, or leave an index."""
    copy = store.state.parent / "copy"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(store.state, copy)
    c = sqlite3.connect(copy / "state.db")
    try:
        tables = {r[0] for r in c.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
        notes = c.execute("SELECT count(*) FROM notes").fetchone()[0] if "notes" in tables else None
        return c.execute("PRAGMA user_version").fetchone()[0], notes, "more" in tables
    finally:
        c.close()


def whole(store, rows):
    """A version is there with all that belongs to it."""
    v = version(store)
    assert v in ((3, None, False), (4, rows, False), (5, 2 * rows, True)), v
    return v[0]


@pytest.mark.parametrize("words", [["ls"], ["get", "one"], ["volume", "ls"], ["rm", "one"], ["volume", "add", "x"]])
def test_any_verb_does_it(later, words):
    store, program = later
    kept = store("ls").json
    assert version(store) == (3, None, False)
    assert store(*words, path=program).rc == 0
    assert version(store) == (5, 4, True)
    assert [o for o in kept if o["name"] != "one" or words[0] != "rm"] == store("ls", path=program).json
    # there is no way back
    for verb in (["ls"], ["rm", "one"]):
        assert refused(store(*verb), 125, "version 5", "knows 3")
    store.whole()


def test_a_new_one(mine):
    program = mine.caller.path.with_name("bailey-store-next")
    assert mine("add", text={"name": "a", "cwd": "/"}, path=program).rc == 0
    assert version(mine) == (5, 0, True)
    mine.whole()


def test_of_the_release_before(filled):
    """Version 2 knew no services: all that it had stays, and nobody has one."""
    kept = [{**o, "services": None} for o in filled("ls").json]
    filled.sql("ALTER TABLE sandboxes DROP COLUMN services", "PRAGMA user_version = 2")
    assert version(filled) == (2, None, False)
    assert filled("ls").json == kept and version(filled) == (3, None, False)
    assert filled("set", "one", text={"services": [{"name": "a"}]}).rc == 0 and filled("get", "one").json["services"] == [{"name": "a"}]
    filled.whole()


def test_a_step_that_fails(later):
    """It is all undone, the steps before it stay, and when what hindered it is gone it is made."""
    store, program = later
    assert store("rename", "one", "poison").rc == 0
    for _ in range(2):
        assert refused(store("ls", path=program), 125, "from version 4 to 5")
        assert version(store) == (4, 2, False)
    store.sql("UPDATE sandboxes SET name = 'one' WHERE name = 'poison'")
    assert len(store("ls", path=program).json) == 2
    assert version(store) == (5, 4, True)


def test_many_at_once(later):
    store, program = later
    done = together(store, [(["add"], {"name": f"n{i}", "cwd": "/"}) for i in range(12)] + [(["ls"], "")] * 8, path=program)
    assert [d for d in done if d[0] != 0 or d[2]] == []
    assert version(store) == (5, 4, True)
    assert len(store("ls", path=program).json) == 14


def test_kill(strace, later):
    store, program = later
    kept, back = store("ls").json, store.keep()
    r, calls, _ = traced(store, ["ls"], "", path=program)
    assert r.rc == 0, r
    back()
    seen = []
    for call in calls:
        injected(store, call, "signal=KILL", ["ls"], "", path=program)
        seen.append(whole(store, 2))
        assert store("ls", path=program).json == kept
        assert version(store) == (5, 4, True)
        store.whole()
        back()
    print(f"killed {len(calls)} times: {seen}")
    assert len(calls) > 10 and seen == sorted(seen) and set(seen) == {3, 4, 5}
