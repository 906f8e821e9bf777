# SPDX-License-Identifier: Apache-2.0
"""Many at a time: each gets its turn, and who was told yes has it."""
import json
import os
import random
import signal
import sqlite3
import threading
import time

from test_verbs import refused

MANY = 20


def together(store, calls, path=None):
    """Starts all, then lets them go. Returns (rc, out, err) of each."""
    children = [store.caller.start([path or store.caller.path, store.state, *words]) for words, _ in calls]
    done = [None] * len(calls)

    def finish(i):
        text = calls[i][1]
        out, err = children[i].communicate(json.dumps(text).encode() if text != "" else b"", timeout=120)
        done[i] = (children[i].returncode, out.decode(), err.decode())

    threads = [threading.Thread(target=finish, args=(i,)) for i in range(len(calls))]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    return done


def test_all_add(store):
    """From nothing: one of them makes the database, all of them are in it."""
    done = together(store, [(["add"], {"name": f"n{i}", "cwd": "/"}) for i in range(MANY)])
    assert [d for d in done if d[0] != 0 or d[2]] == []
    assert {o["id"]: o["name"] for o in store("ls").json} == {d[1].strip(): f"n{i}" for i, d in enumerate(done)}
    store.whole()


def test_all_add_again(filled):
    """Into one that is there; readers among them see whole rows, whatever the moment is."""
    calls = [(["add"], {"name": f"n{i}", "cwd": "/", "options": ["x" * 30000]}) for i in range(MANY)] + [(["ls"], "")] * MANY
    done = together(filled, calls)
    assert [d for d in done if d[0] != 0 or d[2]] == []
    for _, out, _ in done[MANY:]:
        names = [o["name"] for o in json.loads(out)]
        assert {"one", "two"} <= set(names) <= {"one", "two", *(f"n{i}" for i in range(MANY))}
        assert all(len(o["options"][0]) == 30000 for o in json.loads(out) if o["name"].startswith("n"))
    assert len(filled("ls").json) == MANY + 2
    filled.whole()


def test_one_name(mine):
    """Who is first has it; the others are told."""
    done = together(mine, [(["add"], {"name": "web", "cwd": "/"})] * MANY)
    assert sorted(d[0] for d in done) == [0] + [4] * (MANY - 1)
    assert all("'web' already" in d[2] for d in done if d[0] == 4)
    assert len(mine("ls").json) == 1


def test_one_generation(mine):
    """Of all who have seen the same, one changes it."""
    mine.add("web")
    done = together(mine, [(["set", "web"], {"timeout": i + 1, "generation": 1}) for i in range(MANY)])
    won = [i for i, d in enumerate(done) if d[0] == 0]
    assert len(won) == 1 and all(d[0] == 4 and "generation is 2" in d[2] for i, d in enumerate(done) if i not in won)
    assert (mine("get", "web").json["timeout"], mine("get", "web").json["generation"]) == (won[0] + 1, 2)


def test_nothing_is_lost(mine):
    """Without a precondition each change is one more generation."""
    mine.add("web")
    done = together(mine, [(["set", "web"], {"timeout": i + 1}) for i in range(MANY)])
    assert sorted(d[1] for d in done) == sorted(f"{i}\n" for i in range(2, MANY + 2))
    assert mine("get", "web").json["generation"] == MANY + 1


def test_volumes_and_their_users(mine):
    """Either the volume goes, or somebody has it: never both."""
    for i in range(5):
        assert mine("volume", "add", "v").rc == 0
        done = together(mine, [(["add"], {"name": f"a{i}", "cwd": "/", "volumes": [{"volume": "v", "path": "/v"}]}), (["volume", "rm", "v"], "")] * 2)
        assert {d[0] for d in done} <= {0, 3, 4}
        there = [v["sandboxes"] for v in mine("volume", "ls").json]
        users = [o["name"] for o in mine("ls").json]
        assert there == ([users] if users else [])
        for name in users:
            assert mine("rm", name).rc == 0
        if there:
            assert mine("volume", "rm", "v").rc == 0
    mine.whole()


def test_a_reader_that_stays(filled):
    """A reader keeps what it saw; writers don't wait for it."""
    c = sqlite3.connect(filled.db, isolation_level=None)
    c.execute("BEGIN")
    assert c.execute("SELECT count(*) FROM sandboxes").fetchone() == (2,)
    start = time.monotonic()
    for i in range(5):
        filled.add(f"n{i}")
    assert filled("rm", "one").rc == 0
    assert time.monotonic() - start < 8
    assert c.execute("SELECT count(*) FROM sandboxes").fetchone() == (2,)
    c.execute("COMMIT")
    assert c.execute("SELECT count(*) FROM sandboxes").fetchone() == (6,)
    c.close()
    assert len(filled("ls").json) == 6
    filled.whole()


def test_a_writer_that_hangs(filled):
    """Who waits is told so in the end; who reads isn't kept."""
    c = sqlite3.connect(filled.db, isolation_level=None)
    c.execute("BEGIN IMMEDIATE")
    start = time.monotonic()
    assert refused(filled("add", text={"name": "new", "cwd": "/"}), 125, "busy for 10 seconds")
    assert 9 < time.monotonic() - start < 40
    assert filled.names() == ["one", "two"]
    c.execute("ROLLBACK")
    c.close()
    filled.add("new")


def test_one_that_makes_it_and_hangs(mine):
    """The lock of the directory, held by somebody who does nothing."""
    import fcntl  # pylint: disable=import-outside-toplevel
    mine.state.mkdir(mode=0o700)
    fd = os.open(mine.state, os.O_RDONLY)
    fcntl.flock(fd, fcntl.LOCK_EX)
    assert refused(mine("add", text={"name": "new", "cwd": "/"}), 125, "making it for 10 seconds")
    assert list(mine.state.iterdir()) == []
    os.close(fd)
    mine.add("new")


def test_kills_at_any_time(mine):
    """kill -9 at random among many: who was told an id has it, and the rest is whole."""
    rng, told = random.Random(7), {}
    for turn in range(6):
        children = []
        for i in range(10):
            p = mine.caller.start([mine.caller.path, mine.state, "add"])
            assert p.stdin
            p.stdin.write(json.dumps({"name": f"t{turn}-{i}", "cwd": "/", "options": ["x" * 20000]}).encode())
            p.stdin.close()
            p.stdin = None
            children.append(p)
        time.sleep(rng.random() * 0.15)
        for p in rng.sample(children, 6):
            p.send_signal(signal.SIGKILL)
        for i, p in enumerate(children):
            out, err = p.communicate(timeout=120)
            assert p.returncode in (0, -signal.SIGKILL), err
            if out:
                told[out.decode().strip()] = f"t{turn}-{i}"
        there = {o["id"]: o for o in mine("ls").json}
        assert told.items() <= {i: o["name"] for i, o in there.items()}.items()
        assert all(len(o["options"][0]) == 20000 for o in there.values())
    assert len(told) >= 24
    mine.whole()


def test_the_wal_has_an_end(mine):
    """It stays when a process goes, and is written back before it is long; a second one that is open keeps nobody from that for good."""
    sizes = []
    for i in range(40):
        mine.add(f"n{i}", options=["x" * 6000])
        wal = mine.state / "state.db-wal"
        sizes.append(wal.stat().st_size if wal.exists() else 0)
    assert max(sizes) < 256 << 10 and min(sizes) == 0 and sum(s > 0 for s in sizes) > 20, sizes
    mine.whole()
