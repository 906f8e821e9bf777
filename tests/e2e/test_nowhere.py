# SPDX-License-Identifier: Apache-2.0
"""A key is nowhere but where it must be: not in a sandbox that has used it, nor in what is left behind. Each search has a control that plants it where it is looked for, in each form."""
import base64
import contextlib
import os
import pathlib
import signal
import subprocess

import pytest

from conftest import PROJECT, PYTHON, kill, skip, wait_for
from searches import capture, descendants, forms, inside_of, private_key, search, supervisors
from test_credentials import ECHO, RUN, TOKEN, VALUE, arrived, secret
from test_inspect import WEB, WHO, Inside, internet  # noqa: F401 (a fixture)
from test_ready_made_aws import REAL

FORMS = sorted(forms(VALUE))
PLANT = [f.hex() for f in FORMS]


class Alone(Inside):
    """With a state of its own, which can be searched as a whole."""

    def __init__(self, internet, user, ws):
        super().__init__(internet, user, ws)
        self.state = user.mkdir(ws.parent / f"state-{ws.name}", 0o700)
        self.home = self.state / "bailey"
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
        sent = capture(max(inside_of(p.pid)))
        at.user.write(at.ws / "go", "")
        assert wait_for((at.ws / "done").exists, 60), p.poll()
        pids = inside_of(p.pid)
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


# --- other ways, and a sandbox that stays ---

@contextlib.contextmanager
def living(at, named, cmd, *opts):
    """CMD in a run, or in a sandbox that stays: what belongs to it is below the pid that this gives."""
    if not named:
        p = at.start(cmd, *opts)
        try:
            yield p.pid
        finally:
            kill(p)
        return
    assert at(None, *opts, "box", verb="create").rc == 0 and at(["true"], "box", verb="exec").rc == 0
    p = None
    try:
        tops: list[int] = []

        def stays():  # what it starts beside itself has gone
            before, tops[:] = list(tops), supervisors(at.home)
            return len(tops) == 1 and tops == before

        assert wait_for(stays), tops
        [top] = tops
        p = subprocess.Popen(at.argv(cmd, ["box"], "exec"), stdin=subprocess.DEVNULL, start_new_session=True, env=at.environ)
        yield top
    finally:
        if p:
            kill(p)
        assert at(None, "-f", "box", verb="rm").rc == 0


def look(at, top, wanted):
    """Where WANTED is of what belongs to the run below TOP: its processes and files, and the names of the engine's processes that have it, one each."""
    pids = inside_of(top)
    ours = {pid: name for pid, name in descendants(top).items() if pid not in pids}
    assert len(pids) >= 2 and len(ours) >= 3, (pids, ours)
    found = search(pids, wanted) + [f"{f} form {i}" for f, data in (files_below(at.ws) | files_below(at.home)).items() for i, form in enumerate(wanted) if form in data]
    return found, sorted(ours[pid] for pid in {int(li.split("/")[0]) for li in search(ours, wanted)})


GIT = ["--allow-host", "web.test", "--secret", "git", "--env", "GIT_TERMINAL_PROMPT=0", "--env", "GIT_CONFIG_GLOBAL=/dev/null"]
CLONES = "for i in $(seq 17); do git clone -q https://x-access-token:$GIT_TOKEN@web.test/private/it.git it$i && cat it$i/file; done > said; touch done; exec sleep 120"
STREAMS = f'curl -sS --http2 -Z -H "X-Key: $OWN_KEY" -o "kept-#1" -w "%{{http_version}}\\n" "{ECHO}?[1-50]" > said; touch done; exec sleep 120'
SIGNED = """
import http.client, os, ssl, time
import test_sigv4
signer = test_sigv4.Client((os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"]))
c = http.client.HTTPSConnection(signer.host, context=ssl.create_default_context())
said = b""
for i in range(50):
    m = signer.sign("PUT", f"/{os.environ['MARK']}-{i}", body=b"%d" % i)
    c.request(m.method, m.target, m.body, dict(m.fields))
    said += c.getresponse().read() + b"\\n"
open("said", "wb").write(said)
os.open("done", os.O_CREAT)
time.sleep(120)
"""


def ways(at, mark):
    """The command, its options, what a search must not find, what the command says, what then stands in the server's log of each request but first questions."""
    secret(at, "set", "git", "--host", "web.test", "--basic", "x-access-token", "--env", "GIT_TOKEN", stdin=TOKEN)
    secret(at, "set", "aws", stdin=":".join(REAL))
    client = (PROJECT / "tests/keys/test_sigv4.py").read_text().replace(REAL[0], "").replace(REAL[1], "")
    for name, text in (("session.py", SESSION), ("signed.py", SIGNED), ("test_sigv4.py", client)):
        at.user.write(at.ws / name, text)
    basic = base64.b64encode(f"x-access-token:{TOKEN}".encode()).decode()
    return {
        "http1": (["sh", "-c", f"touch go said; exec {PYTHON} session.py 50"], RUN, [VALUE], "", VALUE),
        "http2": (["sh", "-c", STREAMS], RUN, [VALUE], "2\n" * 50, VALUE),
        "git": (["sh", "-c", CLONES], GIT, [TOKEN], "it is there\n" * 17, basic),
        "sigv4": ([PYTHON, "signed.py"], ["--allow-host", "bucket.s3.eu-west-1.amazonaws.com", "--secret", "aws", "--env", f"MARK={mark}"], REAL, "taken\n" * 50, REAL[0]),
    }


@pytest.mark.parametrize("named", [False, True], ids=["run", "create"])
@pytest.mark.parametrize("way", ["http1", "http2", "git", "sigv4"])
def test_it_is_nowhere_inside_whichever_way_it_goes(at, request, way, named):
    """Fifty requests each; the control is the process that puts it in, which the same search finds, and the server that has it."""
    cmd, opts, values, said, there = ways(at, request.node.callspec.id)[way]
    wanted = sorted({f for v in values for f in forms(v)})
    arrived(at)
    with living(at, named, cmd, *opts) as top:
        assert wait_for((at.ws / "done").exists)
        found, holders = look(at, top, wanted)
        assert (at.ws / "said").read_text() == said
    assert found == [] and holders == ["bailey-keys"], (found, holders)
    assert sum(there in str(a) for a in arrived(at)) >= 50


# --- the key of the authority ---

def point_of(pem):
    """The public key of a certificate, as OpenSSL has it uncompressed: the last 65 bytes."""
    key = subprocess.run(["openssl", "x509", "-noout", "-pubkey"], input=pem.encode(), capture_output=True, check=True).stdout
    return subprocess.run(["openssl", "pkey", "-pubin", "-outform", "DER"], input=key, capture_output=True, check=True).stdout[-65:]


def key_forms(scalar, point):
    """The scalar alone, either way round, and in the lines of PEM files, of both kinds: in these the end of a line cuts base64."""
    sec1 = bytes.fromhex("30770201010420") + scalar + bytes.fromhex("a00a06082a8648ce3d030107a144034200") + point
    pkcs8 = bytes.fromhex("308187020100301306072a8648ce3d020106082a8648ce3d030107046d306b0201010420") + scalar + bytes.fromhex("a144034200") + point
    lines = {base64.b64encode(der)[at:at + 64] for der, at in ((sec1, 0), (pkcs8, 64))}
    assert all(subprocess.run(["openssl", "pkey", "-inform", "DER", "-pubout", "-outform", "DER"], input=der, capture_output=True, check=True).stdout[-65:] == point for der in (sec1, pkcs8))
    return sorted(forms(scalar) | lines)


# FILE COMMAND…: once there is FILE, what it says in hexadecimal is in the memory, the environment, a pipe and files of who runs here.
PLANTER = """
import os, subprocess, sys, time
while not os.path.exists("targets"):
    time.sleep(0.05)
planted = [bytes.fromhex(w) for w in open("targets").read().split()]
text = b"\\n".join(p for p in planted if b"\\0" not in p)
other = subprocess.Popen(["sleep", "120"], env={"PLANTED": text})
for place in ("/tmp/planted", "/dev/shm/planted", "planted"):
    open(place, "wb").write(b"\\n".join(planted))
os.open("done", os.O_CREAT)
time.sleep(120)
"""


@pytest.mark.parametrize("named", [False, True], ids=["run", "create"])
def test_the_key_of_the_authority_is_in_one_process_alone(at, named):
    """Nor is the one of its leaves: not in what the command, PID 1, the gateway, the dialer and the supervisor have in memory, environment, words and descriptors, and in no file. Both are
    taken from the memory of the process that must have them; then one is planted inside, and found."""
    at.user.write(at.ws / "planter.py", PLANTER)
    show = f"curl -sS {WHO} > said; cat $SSL_CERT_FILE > bundle; echo | openssl s_client -connect web.test:443 -servername web.test 2>/dev/null | openssl x509 > leaf; touch ready; exec {PYTHON} planter.py"
    with living(at, named, ["sh", "-c", show], *WEB, "--secret", "own") as top:
        assert wait_for((at.ws / "ready").exists) and "web.test HTTP/" in (at.ws / "said").read_text()
        certificates = {"-----BEGIN" + c.split("-----END")[0] + "-----END CERTIFICATE-----\n" for c in (at.ws / "bundle").read_text().split("-----BEGIN")[1:]}
        host = pathlib.Path("/etc/ssl/certs/ca-certificates.crt").read_text() + (at.ws / "ca.crt").read_text()
        [authority] = [c for c in certificates if c.strip() not in host]
        everybody = descendants(top)
        assert {"bailey-keys", "bailey-gateway"} <= set(everybody.values()), everybody
        wanted = []
        for pem in (authority, (at.ws / "leaf").read_text()):
            point = point_of(pem)
            scalars = {s for pid, name in everybody.items() if name == "bailey-keys" and (s := private_key(pid, point))}
            assert len(scalars) == 1, "the control: who signs with it has it"
            wanted += key_forms(scalars.pop(), point)
        found, holders = look(at, top, wanted)
        assert found == [] and holders == ["bailey-keys"], (found, holders)
        at.user.write(at.ws / "targets", " ".join(w.hex() for w in wanted))
        assert wait_for((at.ws / "done").exists)
        found, _ = look(at, top, wanted)
        for place in ("/mem ", "/environ", "/tmpfs /tmp/planted", "/tmpfs /dev/shm/planted", f"{at.ws}/planted"):
            missing = [w for i, w in enumerate(wanted) if not (place == "/environ" and b"\0" in w) and not any(place in li and li.endswith(f"form {i}") for li in found)]
            assert missing == [], (place, missing)


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
        [pid] = [pid for pid in inside_of(p.pid) if pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().startswith(PYTHON.encode())]
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
