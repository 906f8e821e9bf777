# SPDX-License-Identifier: Apache-2.0
"""kill -9, a machine that goes down, and a disk that fails, at every call that changes something: what is left is the old or the new, and the next command works."""
import os
import shutil
import signal
import subprocess
import sys
from typing import Any

import pytest

from harness import injected, traced
from replay import Disk, apply

BIG: dict[str, Any] = {"options": ["x" * 30000], "network": {"allow": ["h" * 100] * 200}, "services": [{"name": "web", "command": ["w" * 4000]}], "restart": True}
THOROUGH = bool(os.environ.get("THOROUGH"))  # make test-full
# verb: words, input. On a directory with something in it.
VERBS: dict[str, Any] = {
    "add": (["add"], {"name": "new", "cwd": "/", "volumes": [{"volume": "free", "path": "/f"}], **BIG}),
    "set": (["set", "one"], {**BIG, "volumes": [{"volume": "free", "path": "/f"}]}),
    "rename": (["rename", "two", "2"], ""),
    "rm": (["rm", "two"], ""),
    "volume add": (["volume", "add", "more"], ""),
    "volume rm": (["volume", "rm", "free"], ""),
}
FIRST: dict[str, Any] = {"first add": (["add"], {"name": "new", "cwd": "/"}), "first volume add": VERBS["volume add"]}


def left_wal(store):
    """A writer that was killed when it had committed: its change is in the WAL alone."""
    write = f"import os, sqlite3; c = sqlite3.connect({str(store.db)!r}); c.execute(\"UPDATE sandboxes SET agent = 'left', options = json_array(printf('%.*c', 20000, 'y')) " \
        "WHERE name = 'two'\"); c.commit(); os._exit(0)"
    subprocess.run([sys.executable, "-c", write], check=True)
    store.caller.own(store.state)
    assert (store.state / "state.db-wal").stat().st_size > 20000


# where each verb begins
BEGIN = [(verb, start) for verb in VERBS for start in ("clean", "with a WAL") if start == "clean" or verb == "add" or THOROUGH]


@pytest.fixture
def begun(request, filled):
    if request.param == "with a WAL":
        left_wal(filled)
    return filled


def old_and_new(store, words, text, back):
    """What is kept before and after; the verb must change it."""
    old = store.what()
    back()
    r = store(*words, text=text)
    assert r.rc == 0, r
    new = store.what()
    back()
    assert old != new
    return old, new


def still_works(store, what):
    """The next command does, and the one after it."""
    store.add("afterwards")
    assert store.names() == sorted(["afterwards", *(o["name"] for o in what if "cwd" in o)])
    store.whole()


@pytest.mark.thorough
@pytest.mark.parametrize("verb, begun", BEGIN, indirect=["begun"])
def test_kill(strace, begun, verb):
    words, text = VERBS[verb]
    killed(begun, words, text)


@pytest.mark.parametrize("verb", FIRST)
def test_kill_first(strace, store, verb):
    """Nothing was there, not even the directory."""
    words, text = FIRST[verb]
    killed(store, words, text)


def killed(store, words, text, path=None):
    back = store.keep()
    old, new = old_and_new(store, words, text, back)
    _, calls, _ = traced(store, words, text)
    back()
    seen: list[bool] = []

    def once(call):
        r = injected(store, call, "signal=KILL", words, text)
        assert r.rc in (-signal.SIGKILL, 128 + signal.SIGKILL), (call, r)
        what = store.what()
        assert what in (old, new), call
        assert what == new or not r.out, (call, "it had said that it was done")
        still_works(store, what)
        back()
        return what == new

    for call in calls:
        done = once(call)
        if done and not any(seen):
            done = once(call)  # the first one that commits: on a busy machine strace has, rarely, lost a program, which then went on to its end
        seen.append(done)
    print(f"killed {len(calls)} times: {' '.join(words)}; {seen.count(False)} times it was the old")
    assert len(calls) > 10 and seen == sorted(seen) and set(seen) == {False, True}


def boot(store, files, garbage):
    """The machine is up again, with these files. The index is shared memory: nothing of it is promised."""
    shutil.rmtree(store.state)
    store.state.mkdir(mode=0o700)
    for name, body in files.items():
        (store.state / name).write_bytes(body)
        (store.state / name).chmod(0o600)
    if garbage:
        (store.state / "state.db-shm").write_bytes(b"\xa5" * 32768)
        (store.state / "state.db-shm").chmod(0o600)


def replayed(store, words, text):
    back = store.keep()
    old, new = old_and_new(store, words, text, back)
    start = {p.name: p.read_bytes() for p in store.state.iterdir() if not p.name.endswith("-shm")}
    r, _, lines = traced(store, words, text, options=["-xx", "-s", "1000000"])
    assert r.rc == 0, r
    end = {p.name: p.read_bytes() for p in store.state.iterdir() if not p.name.endswith("-shm")}
    disk, tried, seen = Disk(start), set(), {False: 0, True: 0}
    for line in [*lines, "fsync(the end)"]:
        # before a sync there is most that it can lose
        for files in disk.states() if line.startswith(("fsync", "fdatasync")) else ():
            state = (tuple(sorted(files.items())), disk.said)
            if state in tried:
                continue
            tried.add(state)
            boot(store, files, len(tried) % 2)
            what = store.what()
            assert what in ([new] if disk.said or "end" in line else [old, new]), (line, {n: len(b) for n, b in files.items()})
            seen[what == new] += 1
            if len(tried) % 5 == 0:
                still_works(store, what)
        disk.step(line)
    assert {n: apply(f.sure, f.pending) for n, f in disk.now.items()} == end, "the model of the disk is wrong"
    print(f"{' '.join(words)}: {disk.syncs} syncs, {len(tried)} disks: {seen[False]} times the old, {seen[True]} times the new")
    assert disk.syncs >= 1 and all(seen.values()) and len(tried) > 8


@pytest.mark.thorough
@pytest.mark.parametrize("verb, begun", BEGIN, indirect=["begun"])
def test_power(strace, begun, verb):
    replayed(begun, *VERBS[verb])


@pytest.mark.parametrize("verb", FIRST)
def test_power_first(strace, mine, verb):
    mine.state.mkdir(mode=0o700)
    replayed(mine, *FIRST[verb])


@pytest.mark.parametrize("verb, errno", [*((v, "ENOSPC") for v in (*VERBS, *FIRST)), ("add", "EIO"), ("rename", "EIO"), ("rename", "EDQUOT"), ("first add", "EIO")])
def test_disk_fails(strace, mine, request, verb, errno):
    """A call that fails: all is said to be well, and is, or it isn't, and nothing is half."""
    store = mine if verb in FIRST else request.getfixturevalue("filled")
    words, text = (VERBS | FIRST)[verb]
    back = store.keep()
    old, new = old_and_new(store, words, text, back)
    _, calls, _ = traced(store, words, text)
    back()
    failed = 0
    for call in calls:
        if call.name == "write" and call.text.startswith("write(1"):
            continue
        r = injected(store, call, f"error={errno}", words, text)
        what = store.what()
        if r.rc == 0:
            assert r.err == "" and what == new, (call, r)
        else:
            failed += 1
            assert r.rc == 125 and r.out == "" and r.err.startswith("bailey: ") and r.err.count("\n") == 1, (call, r)
            assert what == old or (what == new and "nothing has changed" not in r.err), (call, r)
            # no disk refuses to open a file that is there because it is full; sqlite, told so, takes what it can only read
            opened = call.name == "openat" and "state.db-" in call.text and "readonly" in r.err
            assert errno == "EIO" or "no space" in r.err.lower() or "quota" in r.err or opened, (call, r)
        still_works(store, what)
        back()
    print(f"{len(calls)} calls, {failed} failures")
    assert failed > (1 if verb.endswith("rm") and errno == "ENOSPC" else 2), "what takes away makes room, and tries again"


def test_replay_can_fail(strace, filled):
    """The control: a program that doesn't sync is found out."""
    filled.settle()
    back = filled.keep()
    old = filled.what()
    write = f"import os, sqlite3; os.chdir({str(filled.state)!r}); c = sqlite3.connect('state.db'); c.execute('PRAGMA journal_mode=WAL'); c.execute('PRAGMA synchronous=OFF'); " \
        "c.execute(\"UPDATE sandboxes SET name = 'other', options = json_array(printf('%.*c', 20000, 'y')) WHERE name = 'one'\"); c.commit(); c.close(); os.write(1, b'done')"
    start = {p.name: p.read_bytes() for p in filled.state.iterdir()}
    log = filled.state.parent / "trace"
    subprocess.run(["strace", "-qq", "-xx", "-s", "1000000", "-o", log, "-e", "trace=openat,pwrite64,write,ftruncate,fsync,fdatasync,unlink,close", sys.executable, "-c", write], check=True,
                   stdout=subprocess.DEVNULL)
    new = filled.what()
    assert old != new
    disk, outcomes = Disk(start), set()
    for line in log.read_text().splitlines():
        disk.step(line)
        if disk.said:
            break
    for i, files in enumerate(disk.states()):
        boot(filled, files, i % 2)
        r = filled("ls")
        outcomes.add("error" if r.rc or filled("volume", "ls").rc else "new" if filled.what() == new else "old" if filled.what() == old else "neither")
    assert outcomes != {"new"}, outcomes
    back()
