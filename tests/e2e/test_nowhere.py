# SPDX-License-Identifier: Apache-2.0
"""A key is nowhere but where it must be: not in a sandbox that has used it, nor in what is left behind. Each search has a control that plants it where it is looked for, in each form."""
import os
import pathlib
import signal

import pytest

from conftest import PYTHON, skip, wait_for
from searches import capture, descendants, forms, inside_of, search
from test_credentials import ECHO, RUN, VALUE, arrived, secret
from test_inspect import Inside, internet  # noqa: F401 (a fixture)

FORMS = sorted(forms(VALUE))
PLANT = [f.hex() for f in FORMS]


class Alone(Inside):
    """With a state of its own, which can be searched as a whole."""

    def __init__(self, internet, user, ws):
        super().__init__(internet, user, ws)
        self.state = user.mkdir(ws.parent / f"state-{ws.name}", 0o700)
        self.environ["XDG_STATE_HOME"] = str(self.state)


@pytest.fixture
def at(internet, user, ws, works):
    assert works(user) == ""
    user.write(ws / "ca.crt", (internet.dir / "ca.crt").read_text(), 0o600)
    inside = Alone(internet, user, ws)
    secret(inside, "set", "own", "--host", "web.test", "--header", "X-Key", "--env", "OWN_KEY", stdin=VALUE)
    yield inside
    user.exec(["rm", "-rf", inside.state])


# Requests, so many; then, for the control, what is planted: in each kind of place, in each form.
SESSION = """
import http.client, os, socket, ssl, subprocess, sys, time
key, planted = os.environ["OWN_KEY"], [bytes.fromhex(w) for w in sys.argv[2:]]
open("ready", "w").close()
while not os.path.exists("go"):
    time.sleep(0.05)
c = http.client.HTTPSConnection("web.test", context=ssl.create_default_context())
for i in range(int(sys.argv[1])):
    c.request("GET", "/echo", headers={"X-Key": key})
    r = c.getresponse()
    body = r.read()
    assert r.status == 200 and key.encode() in body, (r.status, body)
for place in ("/tmp/kept", "/dev/shm/kept", "kept"):
    open(place, "wb").write(body)
if planted:
    text = b"\\n".join(planted)
    other = subprocess.Popen(["sleep", "120"], env={"PLANTED": text}), subprocess.Popen(["sh", "-c", "sleep 120; :", b"PLANTED=" + text])
    for place in ("/tmp/planted", "/dev/shm/planted", "planted"):
        open(place, "wb").write(text)
    gone, memory = open("/tmp/gone", "w+b"), os.memfd_create("hidden")
    gone.write(text)
    gone.flush()
    os.unlink("/tmp/gone")
    os.write(memory, text)
    pipe, pair = os.pipe(), socket.socketpair()
    os.write(pipe[1], text)
    pair[0].send(text)
    socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(text, ("127.0.0.1", 9))
open("done", "w").close()
time.sleep(120)
"""
PLACES = {"/mem ", "/environ", "/cmdline", "gone (deleted)", "/memfd:hidden", "pipe:[", "socket:[", "/tmpfs /tmp/planted", "/tmpfs /dev/shm/planted", "workspace planted", "the capture"}


@pytest.mark.parametrize("planted", [False, True], ids=["session", "control"])
def test_after_a_thousand_requests_it_is_nowhere_inside(at, planted):
    """In no memory, environment, words, descriptor or tmpfs of any process of the sandbox, in no file of the workspace, and in nothing that passed its interfaces."""
    number = 10 if planted else 1000
    at.user.write(at.ws / "session.py", SESSION)
    arrived(at)
    p, sent = at.start([PYTHON, "session.py", str(number), *(PLANT if planted else [])], *RUN), None
    try:
        assert wait_for((at.ws / "ready").exists), p.poll()
        sent = capture(max(inside_of(p)))
        at.user.write(at.ws / "go", "")
        assert wait_for((at.ws / "done").exists, 60), p.poll()
        pids = inside_of(p)
        assert len(pids) >= 2, pids
        found = search(pids, FORMS)
        passed = sent.communicate(timeout=60)[0]
        found += [f"the capture form {i}" for i, f in enumerate(FORMS) if f in passed]
        found += [f"workspace {f.name} form {i}" for f in at.ws.iterdir() for i, form in enumerate(FORMS) if form in f.read_bytes()]
        # the process that puts it in has it, and of the engine's no other
        ours = {pid: name for pid, name in descendants(p.pid).items() if pid not in pids}
        holders = {ours[int(li.split("/")[0])] for li in search(ours, FORMS)}
    finally:
        p.kill()
        p.wait()
        if sent:
            sent.kill()
            sent.wait()
    assert len(passed) > 100 * number
    assert [a[-1] for a in arrived(at)] == [VALUE] * number
    if planted:
        missing = [(place, i) for place in PLACES for i in range(len(FORMS)) if not any(place in li and li.endswith(f"form {i}") for li in found)]
        assert missing == [], (missing, found)
    else:
        assert found == []
        assert holders == {"bailey-keys"} and len(ours) >= 3, (holders, ours)


# What an agent leaves behind: a layer, lines of the log, a core dump of its own process, which has the stand-in, or the value.
LEAVE = """
import http.client, os, ssl, sys, time
key, planted = os.environ["OWN_KEY"], [bytes.fromhex(w).decode() for w in sys.argv[1:]]
c = http.client.HTTPSConnection("web.test", context=ssl.create_default_context())
kept = b""
for way in ({"X-Key": key}, {"X-Key": "another"}, {"X-Key": key, "Authorization": "Bearer " + key}):
    for path in ("/echo", "/echo?a=" + key, *("/echo?a=" + p for p in planted)):
        c.request("GET", path, headers=way)
        r = c.getresponse()
        kept += r.read() + str(r.getheaders()).encode()
open("kept", "wb").write(kept + "\\n".join(planted).encode())
os.open("ready", os.O_CREAT)
time.sleep(60)
"""


def files_below(top):
    return {f: f.read_bytes() for f in top.rglob("*") if f.is_file() and not f.is_symlink()}


@pytest.mark.parametrize("planted", [False, True], ids=["session", "control"])
def test_what_is_left_of_a_run_does_not_have_it(at, planted):
    """Log, state, layer and cores; also when the process that has the key is ended by a fault."""
    if not pathlib.Path("/proc/sys/kernel/core_pattern").read_text().startswith("core"):
        skip("this machine's cores are somebody else's")
    at.user.write(at.ws / "leave.py", LEAVE)
    at.enter = ["prlimit", "--core=unlimited:unlimited", *at.enter]
    arrived(at)
    cores = set(pathlib.Path("/").glob("core*"))
    p = at.start(["sh", "-c", f"{PYTHON} leave.py {' '.join(PLANT if planted else [])}; ls; exec sleep 60"], *RUN, "--workspace", ".:overlay")
    try:
        layer = wait_for(lambda: [f for f in at.state.rglob("upper/kept") if (f.parent / "ready").exists()])
        assert layer, p.poll()
        [pid] = [pid for pid in inside_of(p) if pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().startswith(PYTHON.encode())]
        os.kill(pid, signal.SIGABRT)
        core = wait_for(lambda: [f for f in layer[0].parent.glob("core*") if f.stat().st_size > 1 << 20])
        assert core, "the control: a process of the sandbox leaves a core"
        # those of the engine leave none, nor anything else
        keys = [pid for pid, name in descendants(p.pid).items() if name == "bailey-keys"]
        assert keys
        where = [pathlib.Path(f"/proc/{pid}/cwd").resolve() for pid in keys]
        assert all(pathlib.Path(f"/proc/{pid}/limits").read_text().split("Max core file size")[1].split()[:2] == ["0", "0"] for pid in keys)
        for pid in keys:
            try:
                os.kill(pid, signal.SIGSEGV)
            except ProcessLookupError:
                pass  # ended with the other
        assert wait_for(lambda: not any(pathlib.Path(f"/proc/{pid}/exe").exists() for pid in keys))
        left = files_below(at.state)
    finally:
        p.kill()
        p.wait()
    left |= files_below(at.state) | files_below(at.ws)
    assert set(pathlib.Path("/").glob("core*")) == cores and not any(f for w in where for f in w.glob("core*"))
    logs = [f for f, data in left.items() if b'"event":"request"' in data.replace(b" ", b"")]
    assert logs and core[0] in left and b"bailey-secret-" in left[core[0]] and b"bailey-secret-" in left[layer[0]], list(left)
    found = {f: {i for i, form in enumerate(FORMS) if form in data} for f, data in left.items()}
    if planted:
        assert all(len(found[f]) == len(FORMS) for f in (core[0], layer[0], logs[0])), found
    else:
        assert not any(found.values()), found
    assert any(a[-1] == VALUE for a in arrived(at))
