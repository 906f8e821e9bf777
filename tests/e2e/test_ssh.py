# SPDX-License-Identifier: Apache-2.0
"""--ssh-key: log-ins by a key that is not inside, at hosts that are named, once they have proved who they are. Each refusal stands beside the twin that is signed."""
import os
import pathlib
import shutil
import socket
import struct
import subprocess
import tempfile

import pytest

from conftest import PYTHON, skip, wait_for
from test_gateway_clients import At, Servers, need

FAILURE, SUCCESS, IDENTITIES, SIGNATURE = 5, 6, 12, 14
OTHERS = {"add": 17, "add constrained": 25, "remove": 18, "remove all": 19, "lock": 22, "unlock": 23, "token": 20, "constrained token": 26, "remove token": 21, "protocol 1": 9}

# Runs inside: a line of hexadecimal messages for each connection; prints the answers of each.
CLIENT = """
import os, socket, struct, sys
for line in sys.stdin:
    s = socket.socket(socket.AF_UNIX)
    s.connect(os.environ["SSH_AUTH_SOCK"])
    f, got = s.makefile("rb"), []
    for m in line.split():
        m = bytes.fromhex(m)
        s.sendall(struct.pack(">I", len(m)) + m)
        n = f.read(4)
        got.append(f.read(struct.unpack(">I", n)[0]).hex() if len(n) == 4 else "00")
    print(*got)
"""


def string(b):
    b = b.encode() if isinstance(b, str) else b
    return struct.pack(">I", len(b)) + b


def strings(b, n):
    out = []
    for _ in range(n):
        size = struct.unpack(">I", b[:4])[0]
        out.append(b[4:4 + size])
        b = b[4 + size:]
    return out, b


class Agent:
    """A real ssh-agent of one caller."""

    def __init__(self, user):
        need("ssh-agent", "ssh-add", "ssh-keygen")
        self.user = user
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="bailey-agent-", dir="/tmp"))
        user.own(self.dir)
        self.sock = self.dir / "sock"
        self.proc = user.popen(["ssh-agent", "-D", "-a", self.sock])
        assert wait_for(self.sock.exists)

    def add(self, path, *opts):
        r = self.user.exec(["ssh-add", "-q", *opts, path], env={"SSH_AUTH_SOCK": str(self.sock)})
        assert r.rc == 0, r

    def make(self, kind, *opts, comment=""):
        path = self.dir / f"key{len(list(self.dir.iterdir()))}"
        r = self.user.exec(["ssh-keygen", "-q", "-t", kind, *opts, "-N", "", "-C", comment, "-f", path])
        assert r.rc == 0, r
        self.add(path)
        return path

    def ask(self, message):
        with socket.socket(socket.AF_UNIX) as s:
            s.connect(str(self.sock))
            s.sendall(string(message))
            f = s.makefile("rb")
            return f.read(struct.unpack(">I", f.read(4))[0])

    def keys(self):
        (blobs, rest), out = strings(self.ask(b"\x0b")[5:], 0), {}
        while rest:
            (blob, comment), rest = strings(rest, 2)
            out[comment.decode()] = blob
        assert not blobs
        return out

    def sign(self, blob, data, flags=0):
        answer = self.ask(b"\x0d" + string(blob) + string(data) + struct.pack(">I", flags))
        assert answer[0] == SIGNATURE
        return strings(answer[1:], 1)[0][0]

    def fingerprint(self, path):
        return self.user.exec(["ssh-keygen", "-l", "-f", path]).out.split()[1]

    def end(self):
        self.proc.terminate()
        self.proc.wait(10)
        for f in (self.proc.stdout, self.proc.stderr):
            f.close()
        shutil.rmtree(self.dir, ignore_errors=True)


@pytest.fixture
def agents(user):
    """agents() -> a new agent of the caller"""
    made = []

    def new():
        made.append(Agent(user))
        return made[-1]

    yield new
    for a in made:
        a.end()


def known_hosts(user, text):
    user.mkdir(user.home / ".ssh", 0o700)
    return user.write(user.home / ".ssh/known_hosts", text, 0o600)


def line(name, path):
    return f"{name} {' '.join(pathlib.Path(str(path) + '.pub').read_text().split()[:2])}\n"


class Raw:
    """The caller's agent with the keys `mine` and `other`; hosts whose keys are in another agent, which signs as they would."""

    def __init__(self, user, run, agents):
        self.user, self.run = user, run
        self.agent, self.hosts = agents(), agents()
        self.mine, self.other = self.agent.make("ed25519", comment="mine"), self.agent.make("rsa", comment="other")
        self.paths = {}
        for name, kind in {"good.test": ["ed25519"], "bad.test": ["ed25519"], "rsa.test": ["rsa"], "p256.test": ["ecdsa", "-b", "256"], "p384.test": ["ecdsa", "-b", "384"],
                           "p521.test": ["ecdsa", "-b", "521"], "unknown.test": ["ed25519"], "revoked.test": ["ed25519"]}.items():
            self.paths[name] = self.hosts.make(*kind, comment=name)
        known_hosts(user, "".join(line(n, p) for n, p in self.paths.items() if n != "unknown.test") + "@revoked * " + line("", self.paths["revoked.test"]).lstrip())
        self.key, self.other_key = (self.agent.keys()[n] for n in ("mine", "other"))

    def bind(self, host, session, forwarding=b"\0", signed=None, flags=0):
        blob = self.hosts.keys()[host]
        sig = self.hosts.sign(blob, session if signed is None else signed, flags)
        return b"\x1b" + string("session-bind@openssh.com") + string(blob) + string(session) + string(sig) + forwarding

    def login(self, session, key=None, flags=0, alg="ssh-ed25519", signed=None, service="ssh-connection", method="publickey", tail=b"", yes=b"\1"):
        key = self.key if key is None else key
        data = string(session) + b"\x32" + string("git") + string(service) + string(method) + yes + string(alg) + string(key if signed is None else signed) + tail
        return self.sign(data, key, flags)

    def sign(self, data, key=None, flags=0):
        return b"\x0d" + string(self.key if key is None else key) + string(data) + struct.pack(">I", flags)

    def __call__(self, connections, *opts, rc=0):
        text = "".join(" ".join(m.hex() for m in c) + "\n" for c in connections)
        r = self.run([PYTHON, "-c", CLIENT], *opts, stdin=text, env={"SSH_AUTH_SOCK": str(self.agent.sock)})
        assert r.rc == rc, r
        return [[bytes.fromhex(m) for m in li.split()] for li in r.out.splitlines()], r.err

    def types(self, connections, *opts):
        answers, err = self(connections, *opts)
        return [[m[0] for m in c] for c in answers], err


@pytest.fixture
def raw(user, run, agents):
    return Raw(user, run, agents)


S1, S2 = b"s" * 32, b"t" * 32
GOOD = ("--ssh-key", "mine@good.test")


def test_only_the_named_keys_are_there(raw):
    answers, err = raw([[b"\x0b"]], *GOOD)
    assert answers == [[bytes([IDENTITIES]) + struct.pack(">I", 1) + string(raw.key) + string("mine")]] and "refused" not in err
    both, _ = raw([[b"\x0b"]], *GOOD, "--ssh-key", f"{raw.agent.fingerprint(raw.other)}@good.test")
    assert both[0][0][1:5] == struct.pack(">I", 2)
    path, _ = raw([[b"\x0b"]], "--ssh-key", f"{raw.other}.pub@*")
    assert path == [[bytes([IDENTITIES]) + struct.pack(">I", 1) + string(raw.other_key) + string("other")]]


@pytest.mark.parametrize("host", ["good.test", "rsa.test", "p256.test", "p384.test", "p521.test"])
def test_a_bound_login_is_signed_by_the_right_key(raw, host):
    for i, flags in enumerate((2, 4) if host == "rsa.test" else (0,)):
        session = bytes([i]) * 64
        answers, err = raw([[raw.bind(host, session, flags=flags), raw.login(session)]], "--ssh-key", f"mine@{host}")
        assert [m[0] for m in answers[0]] == [SUCCESS, SIGNATURE], err
        assert answers[0][1] == raw.agent.ask(raw.login(session))  # ed25519 says the same each time
        assert f"ssh: signed: a log-in as 'git' at {host}" in err


def test_a_login_by_rsa(raw):
    sign = [raw.bind("good.test", S1)]
    for flags, alg in ((2, "rsa-sha2-256"), (4, "rsa-sha2-512"), (0, "ssh-rsa"), (2, "rsa-sha2-512"), (2, "ssh-rsa"), (8, "rsa-sha2-256")):
        sign.append(raw.login(S1, raw.other_key, flags, alg))
    assert raw.types([sign], "--ssh-key", "other@good.test")[0] == [[SUCCESS, SIGNATURE, SIGNATURE, FAILURE, FAILURE, FAILURE, FAILURE]]


def refusals(raw):
    """What is refused -> the connections, and what the end says. The last message of the last connection is the one."""
    good = raw.bind("good.test", S1)
    host = raw.hosts.keys()
    hostbound = "publickey-hostbound-v00@openssh.com"
    return {
        "unbound": ([[raw.login(S1)]], "OpenSSH 8.9"),
        "other destination": ([[raw.bind("bad.test", S1), raw.login(S1)]], f"--ssh-key {raw.agent.fingerprint(raw.mine)}@bad.test allows it"),
        "unknown host": ([[raw.bind("unknown.test", S1), raw.login(S1)]], "in no known_hosts"),
        "revoked host": ([[raw.bind("revoked.test", S1), raw.login(S1)]], "revoked"),
        "wrong host key": ([[raw.bind("good.test", S1).replace(host["good.test"], host["bad.test"]), raw.login(S1)]], "not of its host key"),
        "signature of another session": ([[raw.bind("good.test", S1, signed=S2), raw.login(S1)]], "not of its host key"),
        "another session": ([[good, raw.login(S2)]], "another session"),
        "other key": ([[good, raw.login(S1, raw.other_key, 2, "rsa-sha2-256")]], f"--ssh-key {raw.agent.fingerprint(raw.other)}@HOST"),
        "key in the data": ([[good, raw.login(S1, signed=raw.other_key)]], "another key"),
        "raw data": ([[good, raw.sign(b"any bytes at all")]], "no log-in"),
        "a commit": ([[good, raw.sign(b"SSHSIG" + string("git") + string("") + string("sha512") + string(b"h" * 64))]], "SSHSIG"),
        "a question": ([[good, raw.login(S1, yes=b"\0")]], "no log-in"),
        "another service": ([[good, raw.login(S1, service="sftp")]], "no log-in"),
        "another method": ([[good, raw.login(S1, method="hostbased")]], "no log-in"),
        "more behind it": ([[good, raw.login(S1, tail=b"x")]], "no log-in"),
        "another host's log-in": ([[good, raw.login(S1, method=hostbound, tail=string(host["bad.test"]))]], "another key, host key"),
        "forwarded": ([[raw.bind("good.test", S1, b"\1"), raw.login(S1)]], "forwarded"),
        "bound after forwarding": ([[raw.bind("good.test", S1, b"\1"), good, raw.login(S1)]], "forwarded"),
        "bound twice": ([[good, raw.bind("good.test", S2), raw.login(S2)]], "second time"),
        "replay": ([[good], [good, raw.login(S1)]], "a replay"),
    }


REFUSED = ["unbound", "other destination", "unknown host", "revoked host", "wrong host key", "signature of another session", "another session", "other key", "key in the data",
           "raw data", "a commit", "a question", "another service", "another method", "more behind it", "another host's log-in", "forwarded", "bound after forwarding", "bound twice",
           "replay"]


def test_what_is_refused_and_what_would_allow_it(raw):
    cases = refusals(raw)
    assert list(cases) == REFUSED
    for name, (connections, why) in cases.items():
        types, err = raw.types(connections, *GOOD)
        assert types[-1][-1] == FAILURE and SIGNATURE not in sum(types, []), (name, types, err)
        assert f"{why}" in err and "refused" in err and "signed: a" not in err, (name, err)
    # the twins: the same messages, to the caller's own agent; a good log-in, of both methods, beside them
    for name in ("unbound", "other key", "raw data", "a commit"):
        assert raw.agent.ask(cases[name][0][-1][-1])[0] == SIGNATURE, name
    good, bound = raw.bind("good.test", S1), raw.login(S1, method="publickey-hostbound-v00@openssh.com", tail=string(raw.hosts.keys()["good.test"]))
    assert raw.types([[good, raw.login(S1), bound]], *GOOD)[0] == [[SUCCESS, SIGNATURE, SIGNATURE]]
    assert raw.types(cases["other destination"][0], *GOOD, "--ssh-key", "mine@bad.test")[0] == [[SUCCESS, SIGNATURE]]
    assert raw.types(cases["other destination"][0], "--ssh-key", "mine@*")[0] == [[SUCCESS, SIGNATURE]]
    for name in ("unknown host", "revoked host"):
        assert raw.types(cases[name][0], "--ssh-key", "mine@*")[0][-1][-1] == FAILURE


def test_a_key_is_for_its_own_hosts(raw):
    opts = ("--ssh-key", "mine@good.test", "--ssh-key", "other@bad.test")
    rsa = {"key": raw.other_key, "flags": 2, "alg": "rsa-sha2-256"}
    assert raw.types([[raw.bind("good.test", S1), raw.login(S1), raw.login(S1, **rsa)], [raw.bind("bad.test", S2), raw.login(S2), raw.login(S2, **rsa)]], *opts)[0] == [
        [SUCCESS, SIGNATURE, FAILURE], [SUCCESS, FAILURE, SIGNATURE]]


def test_nothing_else_of_the_agent_can_be_asked_for(raw, agents):
    before = raw.agent.keys()
    add = b"\x11" + string("ssh-ed25519") + string(b"p" * 32) + string(b"k" * 64) + string("planted")
    messages = [add] + [bytes([t]) + string("x") for t in OTHERS.values()] + [b"\x1b" + string("query"), b"\x1b" + string("session-bind@openssh.com"), b"\x01", b"\xff" * 9, b"\x0b\0",
                                                                              b"\x0d" + b"\xff" * 4]
    types, err = raw.types([messages + [b"\x0b"]], *GOOD)
    assert types == [[FAILURE] * len(messages) + [IDENTITIES]] and raw.agent.keys() == before
    for words in ("to add a key", "to lock the agent", "'query'", "no request of an ssh client"):
        assert words in err
    # the same reaches an agent: it is locked
    other = agents()
    other.make("ed25519", comment="x")
    assert other.ask(b"\x16" + string("x"))[0] == SUCCESS and not other.keys()


def test_messages_that_are_too_long_end_the_connection(raw):
    code = """
import os, socket, struct
for n in (0, 16385, 1 << 31):
    s = socket.socket(socket.AF_UNIX); s.connect(os.environ["SSH_AUTH_SOCK"])
    s.sendall(struct.pack(">I", n)); print(s.recv(10))
many = []
for i in range(80):
    s = socket.socket(socket.AF_UNIX); s.settimeout(0.3)
    try:
        s.connect(os.environ["SSH_AUTH_SOCK"]); s.sendall(b"\\0\\0\\0\\1\\x0b"); s.recv(5); many.append(s)
    except OSError:
        break
print(len(many))
for s in many: s.close()
s = socket.socket(socket.AF_UNIX); s.connect(os.environ["SSH_AUTH_SOCK"]); s.sendall(b"\\0\\0\\0\\1\\x0b" * 3)
want = 3 * (4 + struct.unpack(">I", s.recv(4, socket.MSG_PEEK))[0])
while want: want -= len(s.recv(want))
print("again")
"""
    r = raw.run([PYTHON, "-c", code], *GOOD, env={"SSH_AUTH_SOCK": str(raw.agent.sock)})
    assert r.out == "b''\nb''\nb''\n32\nagain\n" and "more than 16384 bytes" in r.err, r


def test_names_of_known_hosts(raw, user):
    """Hashed names, ports, patterns, negation; what the sandbox sees of them."""
    path = known_hosts(user, line("[port.test]:2222", raw.paths["good.test"]) + line("hashed.test", raw.paths["rsa.test"]))
    assert user.exec(["ssh-keygen", "-q", "-H", "-f", path]).rc == 0
    assert "hashed.test" not in path.read_text()
    known_hosts(user, path.read_text() + line("*.wild.test,!not.wild.test", raw.paths["p256.test"]) + "# a comment\n\nnot a line\n" + line("plain.test,10.0.0.1", raw.paths["p384.test"]))
    show = 'cat "$(dirname "$SSH_AUTH_SOCK")/known_hosts"; ls -d ~/.ssh'
    for name, host in {"PORT.test:2222": "good.test", "hashed.test": "rsa.test", "a.wild.test": "p256.test", "[port.TEST]:2222": "good.test", "10.0.0.1": "p384.test"}.items():
        types, err = raw.types([[raw.bind(host, S1, flags=4 if host == "rsa.test" else 0), raw.login(S1)]], "--ssh-key", f"mine@{name}")
        assert types == [[SUCCESS, SIGNATURE]], (name, err)
        r = raw.run(show, "--ssh-key", f"mine@{name}", env={"SSH_AUTH_SOCK": str(raw.agent.sock)})
        written = "[port.test]:2222" if ":" in name else name
        assert r.out == line(written, raw.paths[host]), r
    for name in ("port.test", "not.wild.test", "wild.test", "hashed.test:2222"):
        r = raw.run("touch ran", "--ssh-key", f"mine@{name}", env={"SSH_AUTH_SOCK": str(raw.agent.sock)})
        assert r.rc == 2 and "is not in known_hosts" in r.err, r
    assert user.exec(["ls", "-d", user.home / ".ssh"]).rc == 0


def test_many_known_hosts(raw, user):
    """All are shown with KEY@*; what is more than can be shown is an error."""
    key = line("x", raw.paths["good.test"]).split(" ", 1)[1]
    text = "".join(f"host-{i}.test,192.0.2.{i % 256} {key}" for i in range(3000))
    known_hosts(user, text)
    show = 'cat "$(dirname "$SSH_AUTH_SOCK")/known_hosts"'
    env = {"SSH_AUTH_SOCK": str(raw.agent.sock)}
    assert raw.run(show, "--ssh-key", "mine@*", env=env).out == text
    assert raw.run(show, "--ssh-key", "mine@host-2999.test", env=env).out == f"host-2999.test {key}"
    known_hosts(user, text * 3)
    r = raw.run(show, "--ssh-key", "mine@*", env=env)
    assert r.rc == 2 and "known_hosts is too long to be shown" in r.err, r
    assert raw.run(show, "--ssh-key", "mine@host-2999.test", env=env).out == f"host-2999.test {key}" * 3


BAD = {"mine": "the agent has no key|the host is missing", "@good.test": "the key is missing", "mine@": "the host is missing", "mine@*.test": "is no host", "mine@a b": "is no host",
       "mine@good.test:0": "the port", "mine@good.test:65536": "the port", "mine@good.test:x": "the port", "mine@[::1": "is no host", "mine@-x": "is no host",
       "nobody@good.test": "has no key 'nobody'", "./absent.pub@good.test": "No such file", "mine@other.test": "is not in known_hosts", "/etc/passwd@good.test": "holds no public key",
       "mi\nne@good.test": "control character"}


@pytest.mark.parametrize("value", BAD)
def test_bad_values_are_errors_before_anything_runs(raw, ws, value):
    r = raw.run("touch ran", "--ssh-key", value, env={"SSH_AUTH_SOCK": str(raw.agent.sock)})
    assert r.rc == 2 and len(r.err.splitlines()) == 1 and "--ssh-key" in r.err and not (ws / "ran").exists(), r
    assert any(w in r.err for w in BAD[value].split("|")), r


def test_no_agent_no_run(raw, ws):
    for env, why in (({}, "SSH_AUTH_SOCK names no agent"), ({"SSH_AUTH_SOCK": "/nowhere"}, "no agent answers")):
        r = raw.run("touch ran", *GOOD, env=env)
        assert r.rc == 2 and why in r.err and not (ws / "ran").exists(), r


def test_off_by_default_and_from_files(raw, user, ws):
    env = {"SSH_AUTH_SOCK": str(raw.agent.sock)}
    say = 'test -S "$SSH_AUTH_SOCK" && ssh-add -l | wc -l || echo none'
    assert raw.run(say, env=env).out == "none\n"
    project = user.write(ws / ".bailey.json", '{ "credentials": { "sshKeys": ["mine@good.test"] } }')
    r = raw.run(say, env=env)  # a project asks; nobody has trusted it
    assert r.out == "none\n" and "credentials.sshKeys" in r.err
    given = user.write(user.home / "p.json", project.read_text())
    project.unlink()
    assert raw.run(say, "--policy", given, env=env).out == "1\n"
    user.write(given, '{ "credentials": { "sshKeys": ["mine"] } }')
    r = raw.run(say, "--policy", given, env=env)
    assert r.rc == 2 and "credentials.sshKeys" in r.err and "the host is missing" in r.err
    user.write(given, '{ "credentials": { "sshKeys": ["./k.pub@good.test"] } }')
    assert "begins with / or ~/" in raw.run(say, "--policy", given, env=env).err


def leftovers(user):
    where = [pathlib.Path("/run"), pathlib.Path("/tmp")]
    return [p for d in where for p in d.glob("bailey-ssh-*") if p.lstat().st_uid == user.uid]


def test_nothing_is_left_on_the_host(raw, user, start, ws):
    env = {"SSH_AUTH_SOCK": str(raw.agent.sock)}
    before = leftovers(user)
    proc = start('ssh-add -l > there; exec sleep 60', *GOOD, env=env)
    assert wait_for(lambda: (ws / "there").exists() and (ws / "there").stat().st_size > 0)
    assert leftovers(user) == before  # while it lives, too
    mine = [p for p in pathlib.Path("/proc").glob("[0-9]*") if f"\nPPid:\t{proc.pid}\n" in read(p / "status") and read(p / "comm") == "bailey-ssh\n"]
    assert len(mine) == 1 and "\nSeccomp:\t2\n" in read(mine[0] / "status") and "\nCapEff:\t0000000000000000\n" in read(mine[0] / "status")
    proc.kill()
    proc.wait()
    assert wait_for(lambda: not mine[0].exists() or "\nState:\tZ" in read(mine[0] / "status")) and leftovers(user) == before


def read(path):
    try:
        return path.read_text()
    except OSError:
        return ""


def test_the_agents_end_is_said(raw, user, start, ws):
    proc = start([PYTHON, "-c", "import sys, time; print(flush=True); sys.stdin.readline()\n" + CLIENT], *GOOD, env={"SSH_AUTH_SOCK": str(raw.agent.sock)}, stdin=-1)
    assert proc.stdout.readline() == b"\n"
    message = f"\n{raw.bind('good.test', S1).hex()} {raw.login(S1).hex()} 0b\n"
    raw.agent.proc.kill()
    raw.agent.proc.wait()
    out, err = proc.communicate(message.encode(), 20)
    assert [bytes.fromhex(m)[0] for m in out.decode().split()] == [SUCCESS, FAILURE, IDENTITIES] and b"the caller's agent has ended" in err


# --- real clients and a real server ---


@pytest.fixture(scope="module")
def internet():
    if os.geteuid() != 0:
        skip("servers in namespaces of their own need root")
    need("nginx", "dnsmasq", "dropbear", "git", "ssh", "ssh-keygen", "ssh-agent")
    servers = Servers()
    yield servers
    servers.end()


class Ssh(At):
    def __init__(self, internet, user, ws, agents):
        super().__init__(internet, user, ws)
        self.agent = agents()
        key = user.write(user.home / "login.key", (internet.dir / "client.key").read_text(), 0o600)
        self.agent.add(key)
        key.unlink()
        self.comment = next(iter(self.agent.keys()))
        self.agent.make("ed25519", comment="stranger")
        self.host_key = host_key_of(internet)
        known_hosts(user, f"ssh.test {self.host_key}\n")
        self.environ["SSH_AUTH_SOCK"] = str(self.agent.sock)

    def key(self, host="ssh.test"):
        return ("--allow-host", "ssh.test:22", "--ssh-key", f"{self.comment}@{host}")


def host_key_of(internet):
    """The server's, as known_hosts has it."""
    out = subprocess.run(["dropbearkey", "-y", "-f", internet.dir / "host.key"], check=True, capture_output=True, text=True).stdout
    return " ".join(next(li for li in out.splitlines() if li.startswith("ssh-")).split()[:2])


@pytest.fixture
def ssh(internet, user, ws, works, agents):
    assert works(user) == ""
    return Ssh(internet, user, ws, agents)


LOGIN = "ssh -o BatchMode=yes git@ssh.test echo in"
NO_CHECK = "ssh -o BatchMode=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o GlobalKnownHostsFile=/dev/null -o LogLevel=ERROR git@ssh.test echo in"
GIT = "git -c user.name=t -c user.email=t@t"


def test_git_over_ssh_with_a_key_that_is_nowhere_inside(ssh, user):
    mark = f"{user.name}{os.getpid()}"
    url = f"ssh://git@ssh.test{ssh.internet.dir}/repos/it.git"
    secret = (ssh.internet.dir / "client.key").read_text().splitlines()[2]
    clone = f"""{GIT} clone -q {url} && cat it/file && cd it && git checkout -q -b k-{mark} && echo x > new && git add new && {GIT} commit -q -m new && git push -q origin k-{mark} &&
        cd .. && ! grep -rqs {secret} . ~ /tmp /run /dev/shm && ! grep -qs {secret} /proc/[0-9]*/environ && echo nowhere"""
    r = ssh(clone, *ssh.key())
    assert (r.rc, r.out) == (0, "it is there\nnowhere\n"), r
    assert "ssh: signed: a log-in as 'git' at ssh.test" in r.err and "(2 times)" in r.err
    assert f"k-{mark}" in ssh.outside(f"GIT_SSH_COMMAND='ssh -o UserKnownHostsFile={user.home}/.ssh/known_hosts -o IdentityAgent={ssh.agent.sock}' git ls-remote {url}").out
    # the controls: without the option, and with the key planted
    r = ssh(LOGIN, "--allow-host", "ssh.test:22")
    assert r.rc == 255 and "in" not in r.out, r
    r = ssh(f"echo {secret} > here; {clone.split('&&', maxsplit=1)[0]}; ! grep -rqs {secret} . && echo nowhere || echo found", *ssh.key())
    assert r.out.endswith("found\n")


FLOOD = """
import os, socket, struct
s = socket.socket(socket.AF_UNIX)
s.connect(os.environ["SSH_AUTH_SOCK"])
f = s.makefile("rb")
for i in range(500):
    m = b"\\x1b" + struct.pack(">I", 8) + b"flood%03d" % i
    s.sendall(struct.pack(">I", len(m)) + m)
    f.read(struct.unpack(">I", f.read(4))[0])
"""


def test_a_flood_of_refusals_hides_no_log_in(ssh, ws):
    (ws / "flood.py").write_text(FLOOD)
    r = ssh(f"{PYTHON} flood.py; {LOGIN}", *ssh.key())
    assert r.out == "in\n" and "ssh: signed: a log-in as 'git' at ssh.test" in r.err, r
    lines = [line for line in r.err.splitlines() if "the extension 'flood" in line]
    left = next(line for line in r.err.splitlines() if "ssh: and more:" in line)
    hidden, counted = (int(w) for w in left.split() if w.isdigit())
    assert 1 <= len(lines) <= 20 and len(lines) + hidden + counted == 500 and counted > 400, r
    r = ssh(LOGIN, *ssh.key())
    assert "ssh: and more" not in r.err, "the control"


def test_logins_that_are_refused(ssh, user):
    assert ssh(LOGIN, *ssh.key()).out == "in\n" and ssh(NO_CHECK, *ssh.key()).out == "in\n"
    assert ssh(LOGIN, "--allow-host", "ssh.test:22", "--ssh-key", f"{ssh.comment}@*").out == "in\n"
    # a key that the host does not take
    r = ssh(LOGIN, "--allow-host", "ssh.test:22", "--ssh-key", "stranger@ssh.test")
    assert r.rc == 255 and "Permission denied" in r.err, r
    # the host has another key than it is known by: ssh says so by itself; one that does not look is refused by the agent
    other = pathlib.Path(str(ssh.agent.make("ed25519", comment="fake")) + ".pub").read_text().split()
    known_hosts(user, f"ssh.test {other[0]} {other[1]}\n")
    for login in (LOGIN, NO_CHECK):
        r = ssh(login, *ssh.key())
        assert r.rc == 255 and r.out == "", r
    assert "in no known_hosts of yours" in r.err
    # another destination: the host is known, and the key is for another one
    known_hosts(user, f"elsewhere.test {other[0]} {other[1]}\nssh.test {ssh.host_key}\n")
    r = ssh(NO_CHECK, *ssh.key("elsewhere.test"))
    assert r.rc == 255 and r.out == "" and "@ssh.test allows it" in r.err, r
    assert ssh(NO_CHECK, *ssh.key("elsewhere.test"), "--ssh-key", f"{ssh.comment}@ssh.test").out == "in\n"


def test_clients_that_do_not_say_where_they_log_in(ssh):
    need("dbclient")
    login = "dbclient -A -y -y git@ssh.test echo in"
    assert ssh.outside(f"SSH_AUTH_SOCK={ssh.agent.sock} {login}").out == "in\n"
    r = ssh(login, *ssh.key())
    assert r.out == "" and "OpenSSH 8.9" in r.err, r


def test_a_sandbox_that_stays_logs_in_with_a_key_that_is_not_inside(ssh):
    """The option is kept with the sandbox: each of its commands has the agent, also after a stop; one that was made without it has none."""
    state = ssh.user.mkdir(ssh.ws.parent / f"state-{ssh.ws.name}", 0o700)
    ssh.environ |= {"XDG_STATE_HOME": str(state), "XDG_RUNTIME_DIR": ""}
    secret = (ssh.internet.dir / "client.key").read_text().splitlines()[2]
    nowhere = f"! grep -rqs {secret} . ~ /tmp /run /dev/shm && ! grep -qs {secret} /proc/[0-9]*/environ && echo nowhere"
    try:
        assert ssh(None, *ssh.key(), "box", verb="create").rc == 0
        assert ssh(None, "--allow-host", "ssh.test:22", "bare", verb="create").rc == 0
        for _ in range(2):
            for _ in range(2):
                r = ssh(f"{LOGIN} && {nowhere}", "box", verb="exec")
                assert r.out == "in\nnowhere\n", r
            assert ssh("ssh-add -l | wc -l", "box", verb="exec").out == "1\n"
            assert ssh(None, "box", verb="stop").rc == 0
        r = ssh(LOGIN, "bare", verb="exec")
        assert r.rc == 255 and r.out == "", r
        r = ssh(f"echo {secret} > here; {nowhere} || echo found", "box", verb="exec")
        assert r.out == "found\n", r
        # what is no log-in is not signed; the twin is the caller's own agent
        sign = "rm -f data.sig; echo x > data; ssh-add -L | head -1 > k.pub; ssh-keygen -q -Y sign -f k.pub -n file data 2>&1; test -e data.sig && echo signed"
        assert ssh(sign, "box", verb="exec").rc == 1
        assert ssh.outside(["env", f"SSH_AUTH_SOCK={ssh.agent.sock}", "sh", "-c", sign]).out.endswith("signed\n")
    finally:
        for name in ("box", "bare"):
            ssh(None, "-f", name, verb="rm")
        ssh.user.exec(["rm", "-rf", state])
