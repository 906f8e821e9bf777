# SPDX-License-Identifier: Apache-2.0
"""The gateway, attacked: by programs in the sandbox that control every byte they send, and by servers that do not answer as they should."""
import json
import os
import pathlib
import select
import struct
import subprocess
import time

import pytest

from conftest import PYTHON, TIMEOUT, wait_for
from test_gateway import CLEAN, CURL, WAYS

__all__ = ["internet", "net"]  # fixtures

# A name server that takes its time with "slow.test" (first argument: seconds), has an address for everything else, and says what it was asked.
NAME_SERVER = r"""
import socket, sys, time, threading
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("192.0.2.10", 53))
print("ready", flush=True)
def answer(q, peer, wait):
    time.sleep(wait)
    a = q[:2] + b"\x81\x80" + q[4:6] + (b"\0\1" if q[-15:-11] == b"\0\1\0\1" else b"\0\0") + b"\0\0\0\0" + q[12:-11]
    s.sendto(a + (b"\xc0\x0c\0\1\0\1\0\0\0\1\0\4\xc0\0\2\x0b" if q[-15:-11] == b"\0\1\0\1" else b""), peer)
while True:
    q, peer = s.recvfrom(2000)
    name, at = [], 12
    while q[at]:
        name.append(q[at + 1:at + 1 + q[at]].decode()); at += 1 + q[at]
    print(".".join(name), flush=True)
    threading.Thread(target=answer, args=(q, peer, float(sys.argv[1]) if name[0] == "slow" else 0), daemon=True).start()
"""

# Takes connections and never says a word.
MUTE = r"""
import socket
s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1); s.bind(("192.0.2.10", 9)); s.listen(99)
print("ready", flush=True)
kept = []
while True: kept.append(s.accept())
"""


class Server:
    """A program where the servers are; lines() is what it has said so far."""

    def __init__(self, net, source, *args):
        self.out = ""
        self.proc = subprocess.Popen(["nsenter", f"--net=/proc/{net.internet.far}/ns/net", PYTHON, "-c", source, *map(str, args)], stdout=subprocess.PIPE)
        assert self.proc.stdout
        self.said = self.proc.stdout
        os.set_blocking(self.said.fileno(), False)
        assert wait_for(lambda: "ready" in self.lines())

    def lines(self):
        while select.select([self.said], [], [], 0)[0] and (part := self.said.read()):
            self.out += part.decode()
        return self.out.splitlines()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.proc.kill()
        self.proc.wait()


def sent(bytes_, port, wait=1.0):
    """A program that sends bytes to one.test and prints what comes back, or how it ends."""
    return [PYTHON, "-c", f"""
import socket
s = socket.create_connection(("one.test", {port}), 5); s.sendall({bytes_!r}); s.settimeout({wait}); got = b""
try:
    while part := s.recv(65536): got += part
except OSError as e: print(type(e).__name__, end=" ")
print(got)"""]


def hello(name, record=b"\x03\x01"):
    sni = struct.pack(">HHHBH", 0, len(name) + 5, len(name) + 3, 0, len(name)) + name
    body = b"\x03\x03" + bytes(32) + b"\x00\x00\x02\x13\x01\x01\x00" + struct.pack(">H", len(sni)) + sni
    return b"\x16" + record + struct.pack(">H", len(body) + 4) + b"\x01" + struct.pack(">I", len(body))[1:] + body


def of_two(line, host=b"two.test"):
    return line + b"\r\nHost: " + host + b"\r\n\r\n"


JUDGED = {  # what some server takes for HTTP or TLS, though it is written as nobody should write it; all for another name
    "a method with a hyphen": of_two(b"X-GET / HTTP/1.1"),
    "a long method": of_two(b"G" * 40 + b" / HTTP/1.1"),
    "a method with a digit": of_two(b"GET2 / HTTP/1.1"),
    "a long target": of_two(b"GET /" + b"a" * 9000 + b" HTTP/1.1"),
    "HTTP/2.0 as a version": of_two(b"GET / HTTP/2.0"),
    "a vertical tab": of_two(b"GET\x0b/ HTTP/1.1"),
    "no blank before the version": of_two(b"GET /HTTP/1.1"),
    "a line longer than any head": of_two(b"GET /" + b"a" * 40000 + b" HTTP/1.1"),
    "a record of TLS 1.4": hello(b"two.test", b"\x03\x05"),
    "a record of no version": hello(b"two.test", b"\0\0"),
    "an alert before the hello": b"\x15\x03\x01\x00\x02\x01\x5a" + hello(b"two.test"),
    "a record without a byte": b"\x16\x03\x01\x00\x00" + hello(b"two.test"),
    "a hello of SSL 2": b"\x80\x2e\x01\x03\x01\x00\x15\x00\x00\x00\x10" + bytes(37),
}
PASSED = {
    "HTTP": of_two(b"GET / HTTP/1.1", b"one.test"),
    "TLS": hello(b"one.test"),
    "git": b"0032git-upload-pack /project\0host=one.test\0",
    "a line": b"GET key\r\n",
    "binary": b"\0\0\0\x08\x04\xd2\x16\x2f",
    "a byte above 0x80": b"\xff\xfb\x18",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
}


@pytest.mark.parametrize("what", JUDGED)
def test_what_a_server_may_take_for_http_or_tls_is_judged_even_where_a_rule_names_the_port(net, what):
    r = net(sent(JUDGED[what], 7), "--allow-host", "one.test:7")
    assert r.rc == 0 and JUDGED[what][:20] not in r.out.encode().decode("unicode_escape").encode("latin1"), r.out
    assert "HTTP/1.1 4" in r.out or "ConnectionResetError" in r.out, r.out
    assert r.err.count("one.test:7 denied") == 1, r.err


@pytest.mark.parametrize("what", PASSED)
def test_other_protocols_pass_where_a_rule_names_the_port(net, what):
    r = net(sent(PASSED[what], 7), "--allow-host", "one.test:7")
    assert r.out == f"TimeoutError {PASSED[what]!r}\n", r.err


def test_an_upgrade_to_what_can_hold_other_names_is_not_offered(net):
    def request(protocol):
        return b"GET / HTTP/1.1\r\nHost: one.test\r\nConnection: Upgrade\r\nUpgrade: " + protocol + b"\r\n\r\n"

    for protocol, masked in ((b"h2c", b"xxx"), (b"TLS/1.0, H2C", b"xxxxxxx, xxx"), (b"tcp", b"xxx")):
        r = net(sent(request(protocol), 7), "--allow-host", "one.test")
        assert r.out == f"TimeoutError {request(masked)!r}\n", r
    # twins: WebSocket is offered, and the echo is no answer to that; what else there is, where the rule names the port
    for protocol, rule in ((b"websocket", "one.test"), (b"tcp", "one.test:7")):
        r = net(sent(request(protocol), 7), "--allow-host", rule)
        assert "ConnectionResetError" in r.out and "no valid answer to an upgrade" in r.err, r


@pytest.mark.parametrize("name", ["own", "own2"])
def test_the_hosts_own_addresses_are_not_reached_by_a_name_or_a_range(net, name):
    address = {"own": "198.51.100.1", "own2": "198.51.100.3"}[name]
    before = net.internet.log()
    for opts, url in ((["--allow-host", f"{name}.test"], f"http://{name}.test/"), (["--network", "allow"], f"http://{name}.test/"), (["--network", "allow"], f"http://{address}/"),
                      (["--allow-cidr", "198.51.100.0/24"], f"http://{address}/")):
        for env in WAYS:
            r = net([*env, *CURL, url], *opts)
            assert f"it leads to {address}, an address of this host itself, which needs a rule for that address alone; --allow-cidr {address}, or --allow-host-port 80" in r.err + r.out, r
    assert net.internet.log() == before
    # twins: the address alone, and others of the range
    assert net([*CLEAN, *CURL, f"http://{address}/"], "--allow-cidr", f"{address}/32").rc == 0
    assert net([*CLEAN, *CURL, "http://192.0.2.11/"], "--allow-cidr", "192.0.2.0/24").rc == 0


# --- names ---


def test_names_under_a_wildcard_carry_nothing_out_by_a_proxy_either(net):
    label = "x" * 50
    with Server(net, NAME_SERVER, 0) as names:
        for proxy in ("http://127.0.0.1:3128", "socks5h://127.0.0.1:1080"):
            r = net([*CLEAN, *CURL, "-p", "-x", proxy, f"http://{label}.wild.test/"], "--allow-host", "*.wild.test")
            assert r.rc != 0 and "too long" in r.err, r
        assert not [n for n in names.lines() if label in n]
        r = net([*CLEAN, *CURL, "-p", "-x", "http://127.0.0.1:3128", "http://short.wild.test/"], "--allow-host", "*.wild.test")
        assert r.rc == 0 and "short.wild.test" in names.lines(), r.err
        many = "import socket\n" + "\n".join([
            "for i in range(400):",
            "    s = socket.create_connection(('127.0.0.1', 3128)); s.sendall(b'CONNECT n%d.wild.test:80 HTTP/1.1\\r\\nHost: n\\r\\n\\r\\n' % i); s.recv(99)"])
        r = net([PYTHON, "-c", many], "--allow-host", "*.wild.test")
        asked = {n for n in names.lines() if n.startswith("n") and n.endswith(".wild.test")}
        assert r.rc == 0 and 150 < len(asked) < 350, len(asked)


# Asks for the TXT records of "data.wild.test", and says how that went.
TXT = r"""
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(10); s.connect(("198.18.0.1", 53))
s.send(b"\1\1\1\0\0\1\0\0\0\0\0\0\4data\4wild\4test\0\0\x10\0\1")
print(s.recv(512)[3] & 15)
"""


def test_what_would_be_asked_about_tells_name_servers_nothing_before(net):
    with Server(net, NAME_SERVER, 0) as names:
        r = net([PYTHON, "-c", TXT], "--ask")
        assert (r.rc, r.out) == (0, "5\n") and "data.wild.test denied: no rule allows it" in r.err, r
        assert "data.wild.test" not in names.lines()
        net([PYTHON, "-c", TXT], "--ask", "--allow-host", "*.wild.test")  # control
        assert wait_for(lambda: "data.wild.test" in names.lines())


# A name server for which every name is another one of real.test.
ALIASES = r"""
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("192.0.2.10", 53))
print("ready", flush=True)
REAL = b"\4real\4test\0"
while True:
    q, peer = s.recvfrom(2000)
    end = q.index(b"\0", 12) + 5
    v4 = q[end - 4:end - 2] == b"\0\1"
    a = q[:2] + b"\x81\x80\0\1" + (b"\0\2" if v4 else b"\0\1") + b"\0\0\0\0" + q[12:end] + b"\xc0\x0c\0\5\0\1\0\0\0\1\0\x0b" + REAL
    s.sendto(a + (REAL + b"\0\1\0\1\0\0\0\1\0\4\xc0\0\2\x0b" if v4 else b""), peer)
"""
SEND = r"""
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(3); s.connect((sys.argv[1], 7)); s.send(b"hello")
try: print(s.recv(99))
except OSError as e: print(type(e).__name__)
"""


def test_a_denied_name_is_not_reached_by_another_name_over_udp_either(net):
    before = net.internet.log()
    with Server(net, ALIASES):
        r = net([PYTHON, "-c", SEND, "other.test"], "--allow-host", "other.test:7/udp", "--deny-host", "real.test")
        assert r.rc == 0 and "b'HELLO'" not in r.out and net.internet.log() == before, r
        [denied] = [e for e in net.log(r) if e["event"] == "deny" and e["via"] == "udp"]
        assert denied["rule"] == "real.test" and "'deny real.test'" in denied["reason"], denied
        # twin
        r = net([PYTHON, "-c", SEND, "other.test"], "--allow-host", "other.test:7/udp", "--deny-host", "unreal.test")
        assert r.out == "b'HELLO'\n", r


def test_the_log_names_the_rule_that_denies_an_address_to_udp(net):
    r = net([PYTHON, "-c", SEND, "two.test"], "--allow-host", "two.test:7/udp", "--deny-cidr", "192.0.2.11/32")
    [denied] = [e for e in net.log(r) if e["event"] == "deny" and e["via"] == "udp"]
    assert "b'HELLO'" not in r.out and denied["rule"] == "192.0.2.11/32" and "'deny 192.0.2.11/32'" in denied["reason"], (r, denied)


def test_a_denial_of_one_port_does_not_hide_the_name(net):
    r = net([*CLEAN, *CURL, "http://two.test/"], "--network", "allow", "--deny-host", "two.test:443")
    assert r.rc == 0 and "host=two.test" in r.out, r
    r = net([*CLEAN, *CURL, "http://two.test/"], "--network", "allow", "--deny-host", "two.test")
    assert r.rc == 6, r


def control(net, run, *messages):
    """What the gateway of a run answers to its user."""
    script = "import json, socket, sys\ns = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); f = s.makefile('rw')\n" \
             "for m in sys.argv[2:]:\n    f.write(m + '\\n'); f.flush(); print(f.readline(), end='')"
    got = subprocess.run([*net.internet.enter(net.user), PYTHON, "-c", script, run / "control", *map(json.dumps, messages)], capture_output=True, text=True, check=True, timeout=TIMEOUT)
    return [json.loads(line) for line in got.stdout.splitlines()]


def runs(net):
    """The logs of runs in this workspace: as root there may be others."""
    state = pathlib.Path("/var/lib/bailey" if net.user.is_root else net.user.home / ".local/state/bailey") / "network"
    found = set()
    for about in state.glob("*/about"):
        try:
            if json.loads(about.read_text())["cwd"] == str(net.ws) and (about.parent / "control").exists():
                found.add(about.parent)
        except (FileNotFoundError, json.JSONDecodeError):
            pass  # it ends, or begins
    return found


class Running:
    """A run that lives until the block ends."""

    def __init__(self, net, *args, **kw):
        self.before = runs(net)
        self.proc = net.start(*args, **kw)
        assert wait_for(lambda: runs(net) - self.before)
        (self.dir,) = runs(net) - self.before

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.proc.kill()
        self.proc.communicate()


def test_a_late_answer_of_a_name_server_opens_nothing_that_was_refused_meanwhile(net):
    talk = """
import socket
s = socket.create_connection(("127.0.0.1", 3128)); s.sendall(b"CONNECT slow.test:80 HTTP/1.1\\r\\nHost: slow.test:80\\r\\n\\r\\n")
got = s.recv(999); print(got.split(b"\\r\\n")[0])
try: s.sendall(b"GET /late HTTP/1.1\\r\\nHost: slow.test\\r\\n\\r\\n")
except OSError: pass
s.settimeout(5)
while part := s.recv(999): got += part
print(got.count(b"HTTP/1.1"), b"/late" in got)
"""
    before = net.internet.log()
    with Server(net, NAME_SERVER, 2) as names, Running(net, [PYTHON, "-c", talk], "--allow-host", "slow.test") as run:
        assert wait_for(lambda: "slow.test" in names.lines())
        assert control(net, run.dir, {"op": "deny", "rule": "slow.test"}) == [{"ok": True}]
        out, err = run.proc.communicate(timeout=TIMEOUT)
        assert out == b"b'HTTP/1.1 403 Forbidden'\n1 False\n", err
        time.sleep(2)
    assert "/late" not in net.internet.log()[len(before):]
    # twin: nobody denies it
    with Server(net, NAME_SERVER, 2):
        r = net([PYTHON, "-c", talk], "--allow-host", "slow.test")
        assert r.out == "b'HTTP/1.1 200 Connection established'\n2 True\n" or "/late" in net.internet.log()[len(before):], r


# --- the process ---


def gateway_of(run):
    """The gateway among the processes of a run."""
    kids = [run.proc.pid]
    for pid in kids:
        kids += [int(p) for p in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    (found,) = [p for p in kids if pathlib.Path(f"/proc/{p}/comm").read_text().strip() == "bailey-gateway"]
    return found


def cpu(pid):
    return sum(map(int, pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[11:13])) / os.sysconf("SC_CLK_TCK")


def test_the_gateway_has_no_terminal_and_no_file_of_its_caller(net):
    with Running(net, [PYTHON, "-c", "import socket, time; s = socket.create_connection(('one.test', 7)); print(1, flush=True); time.sleep(30)"], "--allow-host", "one.test:7") as run:
        assert run.proc.stdout.readline() == b"1\n"
        pid = gateway_of(run)
        where = {int(p.name): os.readlink(p) for p in pathlib.Path(f"/proc/{pid}/fd").iterdir()}
        assert [where[i] for i in (0, 1, 2)] == ["/dev/null"] * 3
        assert {w.split(":")[0] for w in where.values() if not w.startswith("/")} <= {"socket", "pipe", "anon_inode"}
        assert {os.path.basename(w) for w in where.values() if w.startswith("/")} == {"null", "log.0", "log.1", run.dir.name}


def limit_files(pid, n):
    """Whoever has the ids of a process may change its limits."""
    ids = {k: v.split()[0] for k, v in (line.split(":", 1) for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()) if k in ("Uid", "Gid")}
    subprocess.run(["setpriv", f"--reuid={ids['Uid']}", f"--regid={ids['Gid']}", "--clear-groups", "prlimit", f"--pid={pid}", f"--nofile={n}:"], check=True)


def test_no_descriptor_left_is_no_busy_loop(net):
    talk = """
import socket, time
def ask(text):
    s = socket.create_connection(("192.0.2.10", 7)); s.settimeout(20); s.sendall(text); print(s.recv(9), flush=True); return s
kept = ask(b"x\\0")
time.sleep(2)
ask(b"y\\0")
"""
    with Running(net, [PYTHON, "-c", talk], "--allow-cidr", "192.0.2.10/32:7") as run:
        assert run.proc.stdout.readline() == b"b'x\\x00'\n"
        pid = gateway_of(run)
        used = {int(p.name) for p in pathlib.Path(f"/proc/{pid}/fd").iterdir()}
        limit = min(set(range(1000)) - used)
        limit_files(pid, limit)
        time.sleep(2)
        before = cpu(pid)
        time.sleep(1)
        assert cpu(pid) - before < 0.2
        limit_files(pid, limit + 100)
        assert run.proc.stdout.readline() == b"b'y\\x00'\n"


def test_connections_that_their_clients_have_left_are_forgotten(net):
    talk = """
import socket, struct, time
kept = []
for how in (b"GET http://one.test:9/ HTTP/1.1\\r\\nHost: one.test:9\\r\\n\\r\\n", b"CONNECT one.test:9 HTTP/1.1\\r\\nHost: one.test:9\\r\\n\\r\\n"):
    for i in range(20):
        s = socket.create_connection(("127.0.0.1", 3128)); s.sendall(how); kept.append(s)
        if how[:1] == b"C":
            s.recv(99); s.sendall(b"GET / HTTP/1.1\\r\\nHost: one.test:9\\r\\nConnection: upgrade\\r\\nUpgrade: websocket\\r\\n\\r\\n")
time.sleep(1)
print("now", flush=True)
input()
"""
    with Server(net, MUTE), Running(net, [PYTHON, "-c", talk.replace("input()", "time.sleep(3)\nfor s in kept: s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0)); s.close()\nprint('gone', flush=True); time.sleep(30)")],
                                    "--allow-host", "one.test") as run:
        assert run.proc.stdout.readline() == b"now\n"
        assert control(net, run.dir, {"op": "status"})[0]["connections"] == 40
        assert run.proc.stdout.readline() == b"gone\n"
        assert wait_for(lambda: control(net, run.dir, {"op": "status"})[0]["connections"] == 0)


def test_ten_thousand_connections_do_not_stop_the_gateway(net):
    talk = """
import resource, socket, time
resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
refused, kept = 0, []
for i in range(10000):
    s = socket.socket(); s.settimeout(5)
    try: s.connect(("127.0.0.1", (1080, 3128)[i % 2])); s.send(b"G" if i % 2 else b"\\5")
    except OSError: refused += 1
    kept.append(s)
    if len(kept) > 3000: kept.pop(0).close()
print(refused, flush=True)
for s in kept: s.close()
for i in range(50):
    try: s = socket.create_connection(("one.test", 7), 5); s.settimeout(5); s.sendall(b"x\\0"); print(s.recv(9)); break
    except OSError: time.sleep(0.1)
"""
    r = net([PYTHON, "-c", talk], "--allow-host", "one.test:7")
    assert r.rc == 0 and r.out.endswith("b'x\\x00'\n"), r
    assert "has ended" not in r.err
