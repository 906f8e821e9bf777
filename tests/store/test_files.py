# SPDX-License-Identifier: Apache-2.0
"""Whose files they are, files that are none of ours, of a later release, or damaged."""
import hashlib
import os
import random
import sqlite3
import stat
import subprocess
import sys
import time

import pytest

from conftest import ORDINARY, skip
from test_verbs import refused

VERBS = [(["ls"], ""), (["get", "one"], ""), (["add"], {"name": "new", "cwd": "/"}), (["rename", "one", "x"], ""), (["rm", "one"], ""), (["set", "one"], {"restart": True}),
         (["volume", "add", "v"], ""), (["volume", "ls"], ""), (["volume", "rm", "free"], "")]

def seen(top):
    """All that can be seen of a directory."""
    found = {}
    for p in sorted(top.rglob("*")):
        st = p.lstat()
        body = hashlib.sha256(p.read_bytes()).hexdigest() if stat.S_ISREG(st.st_mode) else os.readlink(p) if p.is_symlink() else ""
        found[p.name] = (st.st_mode, st.st_uid, st.st_size, st.st_mtime_ns, st.st_ino, body)
    return found


def refuses_all(store, *parts, rc=125):
    """Every verb says why, and nothing has changed but the index, which is made of the rest."""
    def all_else():
        return {name: what for name, what in seen(store.state).items() if not name.endswith("-shm")}

    before = all_else()
    for words, text in VERBS:
        assert refused(store(*words, text=text), rc, *parts)
        assert all_else() == before, words


def wait_for(what):
    end = time.monotonic() + 60
    while not what():
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True


def make_db(path, *statements):
    c = sqlite3.connect(path)
    for s in statements:
        c.execute(s)
    c.commit()
    c.close()


FOREIGN = {
    "text": lambda p: p.write_text("my notes\n"),
    "empty": lambda p: p.write_bytes(b""),
    "long text": lambda p: p.write_bytes(b"SQLite format 2\0" + b"x" * 10000),
    "zeros": lambda p: p.write_bytes(bytes(8192)),
    "half a head": lambda p: p.write_bytes(b"SQLite format 3\0" + bytes(50)),
    "database of nobody": lambda p: make_db(p, "CREATE TABLE t (x)", "INSERT INTO t VALUES (1)"),
    "of another program": lambda p: make_db(p, "CREATE TABLE t (x)", "PRAGMA application_id = 7"),
    "with our tables": lambda p: make_db(p, "CREATE TABLE sandboxes (id, name)", "PRAGMA user_version = 1"),
    "with a WAL": lambda p: make_db(p, "PRAGMA journal_mode=WAL", "CREATE TABLE t (x)"),
    "empty database": lambda p: make_db(p, "PRAGMA user_version = 1"),
}


@pytest.mark.parametrize("kind", FOREIGN)
def test_no_database_of_ours(store, kind):
    store.state.mkdir(mode=0o700)
    FOREIGN[kind](store.db)
    store.db.chmod(0o600)
    store.caller.own(store.state)
    db = kind.startswith(("database", "of ", "with", "empty d"))
    refuses_all(store, str(store.db), "another program" if db else "no database")
    store.db.unlink()  # the control
    store.add("one")


def test_a_foreign_journal_stays(mine):
    """Somebody else's database that was cut short: sqlite would mend it."""
    mine.state.mkdir(mode=0o700)
    make_db(mine.db, "CREATE TABLE t (x)", "INSERT INTO t VALUES (1)")
    write = f"import os, sqlite3; c = sqlite3.connect({str(mine.db)!r}); c.execute('PRAGMA cache_size = 1'); c.execute('BEGIN IMMEDIATE')\n" \
        "for i in range(2000): c.execute('INSERT INTO t VALUES (zeroblob(4000))')\nos._exit(0)"
    subprocess.run([sys.executable, "-c", write], check=True)
    for p in mine.state.iterdir():
        p.chmod(0o600)
    assert (mine.state / "state.db-journal").stat().st_size > 0
    refuses_all(mine, "another program")


@pytest.mark.parametrize("in_wal", [False, True], ids=["in the head", "in the WAL"])
def test_newer(filled, in_wal):
    what = filled.what()
    if in_wal:  # by one that was killed
        write = f"import os, sqlite3; c = sqlite3.connect({str(filled.db)!r}); c.execute('PRAGMA user_version = 99'); c.commit(); os._exit(0)"
        subprocess.run([sys.executable, "-c", write], check=True)
        assert (filled.state / "state.db-wal").stat().st_size > 0
        for words, text in VERBS:
            assert refused(filled(*words, text=text), 125, "newer release", "version 99", "knows 3")
    else:
        filled.sql("PRAGMA user_version = 99")
    refuses_all(filled, "newer release", "version 99", "knows 3")
    filled.sql("PRAGMA user_version = 3")
    assert filled.what() == what
    filled.whole()


def test_links(store):
    """A name that leads elsewhere is no file of ours, whatever it leads to."""
    store.add("one")
    store.settle()
    elsewhere = store.state.parent / "elsewhere"
    store.db.rename(elsewhere)
    store.db.symlink_to(elsewhere)
    store.caller.own(store.db)
    before = elsewhere.read_bytes()
    refuses_all(store, "state.db: it is no file")
    store.db.unlink()
    elsewhere.rename(store.db)
    for suffix in ("-wal", "-shm", "-journal"):
        victim = store.state.parent / "victim"
        victim.write_text("precious")
        link = store.state / f"state.db{suffix}"
        link.symlink_to(victim)
        store.caller.own(link)
        refuses_all(store, f"state.db{suffix}: it is no file")
        assert victim.read_text() == "precious"
        link.unlink()
        link.symlink_to(store.state.parent / "not there")
        store.caller.own(link)
        refuses_all(store, f"state.db{suffix}: it is no file")
        assert not (store.state.parent / "not there").exists()
        link.unlink()
        os.mkfifo(link, 0o600)
        store.caller.own(link)
        refuses_all(store, f"state.db{suffix}: it is no file")
        link.unlink()
    assert store.db.read_bytes() == before and store.names() == ["one"]


def test_a_link_beside_a_new_one(store):
    """What stands where the new database is written isn't written to."""
    store.state.mkdir(mode=0o700)
    victim = store.state.parent / "victim"
    victim.write_text("precious")
    for name in (".state.db.new", "state.db-wal", "state.db-shm"):
        (store.state / name).symlink_to(victim)
    store.caller.own(store.state)
    store.add("one")
    assert victim.read_text() == "precious"
    store.whole()


def test_an_old_wal_without_its_database(filled):
    """The database was taken away, what sqlite kept beside it wasn't: a new one doesn't read it."""
    write = f"import os, sqlite3; c = sqlite3.connect({str(filled.db)!r}); c.execute(\"UPDATE sandboxes SET name = 'ghost' WHERE name = 'one'\"); c.commit(); os._exit(0)"
    subprocess.run([sys.executable, "-c", write], check=True)
    assert (filled.state / "state.db-wal").stat().st_size > 0
    filled.db.unlink()
    assert filled("ls").json == []
    filled.add("fresh")
    assert filled.names() == ["fresh"]
    filled.whole()


def test_modes(store):
    store.add("one")
    for mode in (0o640, 0o604, 0o666, 0o601):
        store.db.chmod(mode)
        refuses_all(store, "state.db: it must be yours, with mode 600")
    store.db.chmod(0o600)
    for mode in (0o770, 0o707, 0o1777):
        store.state.chmod(mode)
        refuses_all(store, "nobody else may write there")
    for mode in (0o700, 0o755):
        store.state.chmod(mode)
        assert store.names() == ["one"]


def test_owners(store):
    if os.geteuid() != 0:
        skip("only root can give files away")
    store.add("one")
    other = ORDINARY + 1 if store.caller.uid != 0 else ORDINARY
    for path in (store.db, store.state):
        os.chown(path, other, other)
        if store.caller.uid == 0:
            refuses_all(store, "must be yours")
        else:  # he can't even look, or it isn't his
            assert refused(store("ls"), 125)
        store.caller.own(path)
        assert store.names() == ["one"]
    wal = store.state / "state.db-wal"
    wal.write_bytes(b"")
    wal.chmod(0o600)
    os.chown(wal, other, other)
    refuses_all(store, "state.db-wal: it must be yours")


def test_umask(mine):
    """Whatever the caller's mask is, nobody else reads it."""
    r = mine.caller.exec(["sh", "-c", f"umask 0; echo '{{\"name\":\"a\",\"cwd\":\"/\"}}' | exec {mine.caller.path} {mine.state} add"])
    assert r.rc == 0, r
    assert stat.S_IMODE(mine.state.stat().st_mode) == 0o700 and stat.S_IMODE(mine.db.stat().st_mode) == 0o600
    r = mine.caller.exec(["sh", "-c", f"umask 0777; exec {mine.caller.path} {mine.state} ls"])
    assert r.rc == 0, r


def test_a_state_behind_a_link(mine):
    """The state directory itself may lie elsewhere, as for the other programs; what counts is whose it is."""
    real = mine.state.parent / "real"
    real.mkdir(mode=0o700)
    mine.state.symlink_to(real)
    mine.add("one")
    assert (real / "state.db").exists()
    mine.state.unlink()
    mine.state.symlink_to(mine.state.parent / "nowhere")
    r = mine("add", text={"name": "one", "cwd": "/"})
    assert refused(r, 125)


def test_moved_while_it_works(mine):
    """It holds on to the directory that it has checked, not to the path."""
    mine.add("one")
    child = mine.caller.start([mine.caller.path, mine.state, "add"])
    # it waits for its input with the store open
    assert wait_for(lambda: any(os.path.realpath(f"/proc/{child.pid}/fd/{f}") == str(mine.db) for f in os.listdir(f"/proc/{child.pid}/fd")))
    moved = mine.state.parent / "moved"
    mine.state.rename(moved)
    mine.state.mkdir(mode=0o700)
    out, err = child.communicate(b'{"name": "two", "cwd": "/"}', timeout=60)
    assert child.returncode == 0 and err == b"", err
    assert list(mine.state.iterdir()) == []
    mine.state.rmdir()
    moved.rename(mine.state)
    assert mine.names() == ["one", "two"]
    assert out


def test_damage(filled):
    """Bytes that were changed at random: an answer or an error, never a crash; the head is looked at first."""
    back, rng, failed = filled.keep(), random.Random(1), 0
    size = filled.db.stat().st_size
    for i in range(150):
        back()
        with open(filled.db, "r+b") as f:
            for _ in range(rng.choice((1, 4, 64))):
                f.seek(rng.randrange(size) if i % 3 else rng.randrange(4096) if i % 2 else rng.randrange(100))
                f.write(bytes([rng.randrange(256)]))
            if i % 10 == 0:
                f.truncate(rng.randrange(size))
        words, text = VERBS[i % len(VERBS)]
        r = filled(*words, text=text)
        assert r.rc in (0, 2, 3, 4, 125) and (r.rc == 0) == (r.err == "") and "Sanitizer" not in r.err, r
        failed += r.rc == 125
    assert failed > 20


def test_damaged_rows(filled):
    """A row that nobody has written so is named; the others can be read."""
    rows = {"options": "[", "workspaces": "{]", "network": "\"a", "services": "[{"}
    back = filled.keep()
    for column, value in rows.items():
        back()
        filled.sql(f"UPDATE sandboxes SET {column} = '{value}' WHERE name = 'one'")
        assert refused(filled("get", "one"), 125, column, "can't be read")
        assert refused(filled("ls"), 125, column)
        assert filled("get", "two").rc == 0
        assert filled("set", "one", text={column: None if column in ("network", "services") else []}).rc == 0
        assert filled("get", "one").rc == 0


def test_nobody_puts_tables_of_his_own(filled):
    """The tables keep what this program keeps to, whoever writes."""
    for bad in ("UPDATE sandboxes SET restart = 2", "UPDATE sandboxes SET isolation = 'none'", "UPDATE sandboxes SET created = 'x'",
                "INSERT INTO volumes (name, created) VALUES (NULL, 1)", "UPDATE sandboxes SET name = 'one'", "PRAGMA foreign_keys = ON; DELETE FROM volumes WHERE name = 'used'"):
        with pytest.raises(sqlite3.Error):
            c = sqlite3.connect(filled.db)
            try:
                for s in bad.split("; "):
                    c.execute(s)
            finally:
                c.close()
