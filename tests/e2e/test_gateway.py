# SPDX-License-Identifier: Apache-2.0
"""The gateway: what rules allow works for programs of every kind, everything else is refused at once, and the log says both."""
import datetime
import json
import os
import pathlib
import re
import signal
import subprocess
import time

import pytest

from conftest import PYTHON, TIMEOUT, Result, wait_for
from networks import Net

CLEAN: list[str] = ["env", "-u", "http_proxy", "-u", "https_proxy", "-u", "all_proxy", "-u", "HTTP_PROXY", "-u", "HTTPS_PROXY", "-u", "ALL_PROXY"]
WAYS: tuple[list[str], list[str]] = (CLEAN, [])  # a program that knows no proxy, and one that does
CURL = ["curl", "-sS", "-m", "8"]


# --- what is allowed ---


@pytest.mark.parametrize("env", [CLEAN, []], ids=["captured", "proxy"])
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_an_allowed_name_answers(net, env, scheme):
    r = net([*env, *CURL, "-k", f"{scheme}://one.test/path"], "--allow-host", "one.test")
    assert (r.rc, r.said) == (0, "")
    assert re.fullmatch(r"192\.0\.2\.10:\d+ GET /path host=one\.test\n|2001:db8::10:80 GET /path host=one\.test\n", r.out)


def test_socks_takes_names(net):
    r = net([*CLEAN, *CURL, "-x", "socks5h://127.0.0.1:1080", "http://one.test/"], "--allow-host", "one.test")
    assert (r.rc, r.said) == (0, "") and "host=one.test" in r.out


def test_a_server_that_has_only_ipv6(net):
    for env in WAYS:
        r = net([*env, *CURL, "http://six.test/"], "--allow-host", "six.test")
        assert (r.rc, r.said) == (0, ""), r
        assert r.out.startswith("2001:db8::20:80 GET")


def test_a_wildcard_is_for_subdomains_only(net):
    r = net([*CLEAN, *CURL, "http://sub.wild.test/"], "--allow-host", "*.wild.test")
    assert r.rc == 0, r.err
    r = net([*CLEAN, *CURL, "http://wild.test/"], "--allow-host", "*.wild.test")
    assert r.rc == 6 and "wild.test denied" in r.err


def test_servers_that_speak_first_need_a_rule_with_the_port(net):
    talk = f"{PYTHON} -c \"import socket; s = socket.create_connection(('one.test', 22), 5); print(s.recv(99)); s.send(b'hi'); print(s.recv(99))\""
    r = net(talk, "--allow-host", "one.test:22")
    assert (r.rc, r.out) == (0, "b'SSH-2.0-test\\r\\n'\nb'you said hi'\n"), r.err
    r = net(talk, "--allow-host", "one.test")
    assert r.rc != 0 and "SSH" not in r.out and "timed out" not in r.err
    assert "such a protocol needs a rule that names the port; --allow-host one.test:22\n" in r.err, r


@pytest.mark.parametrize("way", ["captured", "connect", "socks"])
def test_bytes_both_ways_and_their_counts(net, ws, way):
    """What the log counts is what the server has seen."""
    script = """
import os, socket, sys, threading
data = os.urandom(1 << 20) * 2
s = socket.create_connection({'captured': ('one.test', 7), 'connect': ('127.0.0.1', 3128), 'socks': ('127.0.0.1', 1080)}[sys.argv[1]], 5)
if sys.argv[1] == 'connect': s.sendall(b'CONNECT one.test:7 HTTP/1.1\\r\\nHost: one.test:7\\r\\n\\r\\n'); assert b' 200 ' in s.recv(999)
if sys.argv[1] == 'socks': s.sendall(b'\\5\\1\\0'); s.recv(2); s.sendall(b'\\5\\1\\0\\3\\x08one.test\\0\\7'); assert s.recv(99)[1] == 0
def send():
    s.sendall(data)
    s.shutdown(socket.SHUT_WR)
threading.Thread(target=send).start()
got = b''
while part := s.recv(1 << 16):
    got += part
assert got == data, len(got)
s2 = socket.socket()
try: s2.connect(('192.0.2.11', 80)); s2.send(b'x'); print(s2.recv(1))
except OSError as e: print(type(e).__name__)
"""
    (ws / "talk.py").write_text(script)
    log = net.internet.dir / "log"
    before = len(log.read_text())
    r = net([PYTHON, "talk.py", way], "--allow-host", "one.test:7")
    assert (r.rc, r.out) == (0, "ConnectionResetError\n"), r.err
    close = [line for line in net.log(r) if line["event"] == "close"]
    server = [int(n) for n in re.findall(r"^echoed (\d+)$", log.read_text()[before:], re.M)]
    assert [(c["sent"], c["received"]) for c in close] == [(n, n) for n in server] == [(2 << 20, 2 << 20)]
    assert close[0]["via"] == way, close


def test_uploads_with_a_length_and_in_chunks(net, ws):
    (ws / "data").write_bytes(bytes(3_000_000))
    for env in WAYS:
        for how in ("Accept: */*", "Transfer-Encoding: chunked"):
            r = net([*env, *CURL, "-H", how, "--data-binary", "@data", "http://one.test/"], "--allow-host", "one.test")
            assert (r.rc, r.out) == (0, "got 3000000\n"), (env, how, r.err)


def test_many_requests_of_one_connection(net):
    urls = [f"http://one.test/{i}" for i in range(20)]
    for env in WAYS:
        r = net([*env, *CURL, *urls], "--allow-host", "one.test")
        assert r.rc == 0 and r.out.count("host=one.test") == 20, r.err


def test_datagrams_by_rule(net):
    talk = """
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(4)
for host in sys.argv[1:]:
    try:
        s.connect((host, 7)); s.send(b'hello'); print(s.recv(99))
    except OSError as e: print(type(e).__name__)
"""
    r = net([PYTHON, "-c", talk, "one.test", "192.0.2.11", "192.0.2.10"], "--allow-host", "one.test:7/udp")
    assert r.out == "b'HELLO'\nConnectionRefusedError\nConnectionRefusedError\n", r.err
    assert r.secs < 20
    r = net([PYTHON, "-c", talk, "192.0.2.11"], "--allow-cidr", "192.0.2.11:7/udp")
    assert r.out == "b'HELLO'\n", r.err
    talk = talk.replace("AF_INET,", "AF_INET6,")
    r = net([PYTHON, "-c", talk, "six.test", "2001:db8::20", "2001:db8::10"], "--allow-host", "six.test:7/udp", "--allow-cidr", "[2001:db8::20]:7/udp")
    assert r.out == "b'HELLO'\nb'HELLO'\nConnectionRefusedError\n", r.err


REFUSED = """
import socket, sys, time
def send(to, port, family=socket.AF_INET):
    s = socket.socket(family, socket.SOCK_DGRAM)
    s.settimeout(4)
    try: s.connect((to, port)); s.send(b'x'); return s.recv(9)
    except OSError as e: return type(e).__name__
"""


def test_refused_datagrams_are_in_the_log(net):
    talk = REFUSED + """
me = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
me.bind(("127.0.0.1", 0))
socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', me.getsockname())
print(me.recv(9), send("127.0.0.1", 9), send("one.test", 7), send("one.test", 443), send("192.0.2.11", 99), send("2001:db8::99", 98, socket.AF_INET6))
"""
    r = net([PYTHON, "-c", talk], "--allow-host", "one.test", "--allow-host", "one.test:7/udp")
    no = "ConnectionRefusedError"
    assert r.out == f"b'x' {no} b'X' {no} {no} {no}\n", r
    got = sorted((e["port"], e.get("name"), e["address"], e["protocol"], e["decision"]) for e in net.log(r) if e["event"] == "deny")
    assert [(p, n, a if not n else None, *more) for p, n, a, *more in got] == [
        (98, None, "2001:db8::99", "udp", "deny"), (99, None, "192.0.2.11", "udp", "deny"), (443, "one.test", None, "udp", "deny")], net.log(r)
    assert "network: one.test:443 denied: no rule allows UDP to there; --allow-host one.test:443/udp\n" in r.err, r
    assert "network: 192.0.2.11:99 denied: no rule allows UDP to there; --allow-cidr 192.0.2.11:99/udp\n" in r.err, r


def test_a_flood_of_refused_datagrams_is_counted(net):
    talk = REFUSED + """
send("one.test", 1)
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
end = time.monotonic() + 2
n = 0
while time.monotonic() < end:
    try: n += s.sendto(b'x' * 1000, ("192.0.2.11", 1000 + n % 50000)) > 0
    except OSError: pass
time.sleep(1.5)
send("192.0.2.11", 7)
print(n)
"""
    r = net([PYTHON, "-c", talk], "--allow-host", "one.test")
    lines = [e for e in net.log(r) if e["event"] == "deny"]
    counted = sum(int(e["reason"].split()[0]) for e in lines if "more datagrams" in e["reason"])
    assert int(r.out) > 1000 and 5 <= len(lines) <= 60, (r.out, len(lines))
    assert counted > 100 and lines[-1]["port"] == 7, lines[-3:]


# --- what is not ---


DENIED = {
    "another name": ("http://two.test/", "two.test denied"),
    "an address": ("http://192.0.2.11/", "192.0.2.11:80 denied"),
    "the address of an allowed name": ("http://192.0.2.10/", "192.0.2.10:80 denied"),
    "an address in IPv6": ("http://[2001:db8::10]/", "2001:db8::10]?:80 denied"),
    "a mapped address": ("http://[::ffff:192.0.2.10]/", "192.0.2.10:80 denied"),
    "another port": ("http://one.test:8080/", "one.test:8080 denied"),
    "the metadata service": ("http://169.254.169.254/", "169.254.169.254:80 denied"),
    "a private address": ("http://10.1.2.3/", "10.1.2.3:80 denied"),
    "a decimal address": ("http://3221225994/", "192.0.2.10:80 denied"),
}


@pytest.mark.parametrize("what", DENIED)
def test_what_no_rule_allows_is_refused_at_once(net, what):
    url, said = DENIED[what]
    before = net.internet.log()
    r = net([*CLEAN, *CURL, url], "--allow-host", "one.test:80")
    assert r.rc in (6, 7, 56) and r.secs < 20, r
    assert re.search(said, r.err) and "--allow-" in r.err, r.err
    assert net.internet.log() == before
    r = net([*CURL, url], "--allow-host", "one.test:80")
    assert r.rc == 0 and "denied" in r.out, r  # the proxy has words
    assert net.internet.log() == before


@pytest.mark.parametrize("name", ["loop.test", "meta.test"])
def test_a_name_that_leads_inside_is_refused(net, name):
    before = net.internet.log()
    r = net([*CLEAN, *CURL, f"http://{name}/"], "--allow-host", name)
    assert r.rc in (7, 56) and f"{name}:80 denied" in r.err, r.err
    assert net.internet.log() == before


def test_a_private_answer_needs_an_exact_rule(net):
    assert net([*CLEAN, *CURL, "http://private.test/"], "--allow-host", "private.test").rc == 0
    r = net([*CLEAN, *CURL, "http://private.test/"], "--allow-host", "*.test", "--i-know")
    assert r.rc in (7, 56) and "private" in r.err, r.err


@pytest.mark.parametrize("env", [CLEAN, []], ids=["captured", "proxy"])
def test_a_redirect_is_judged_anew(net, env):
    before = net.internet.log()
    r = net([*env, *CURL, "-L", "http://one.test/redirect/two.test/secret"], "--allow-host", "one.test")
    assert "two.test" in r.err or "two.test" in r.out
    assert "/secret two.test" not in net.internet.log()[len(before):]
    r = net([*env, *CURL, "-L", "http://one.test/redirect/two.test/open"], "--allow-host", "one.test", "--allow-host", "two.test")
    assert r.rc == 0 and "/open host=two.test" in r.out


def test_host_and_server_name_must_be_the_name_that_was_asked_for(net):
    before = net.internet.log()
    r = net([*CLEAN, *CURL, "-H", "Host: two.test", "http://one.test/"], "--allow-host", "one.test")
    assert "fronting" in r.out and "fronting" in r.err
    for env in WAYS:
        r = net([*env, *CURL, "-k", "--connect-to", "two.test:443:one.test:443", "https://two.test/"], "--allow-host", "one.test")
        assert r.rc != 0 and "fronting" in r.err, r
    assert net.internet.log() == before
    # twin: both names allowed, and the bytes say what the connection is for
    r = net([*CLEAN, *CURL, "-k", "https://two.test/"], "--allow-host", "one.test", "--allow-host", "two.test")
    assert r.rc == 0


def test_the_second_request_of_a_connection_is_judged_too(net):
    talk = r"""
import socket
s = socket.create_connection(('one.test', 80), 5)
s.sendall(b'GET /first HTTP/1.1\r\nHost: one.test\r\n\r\n')
got = b''
while b'/first host=' not in got: got += s.recv(4096)
print(got.split(b'\r\n')[0])
s.sendall(b'GET /second HTTP/1.1\r\nHost: two.test\r\n\r\n')
try: print(s.recv(4096))
except OSError as e: print(type(e).__name__)
"""
    r = net([PYTHON, "-c", talk], "--allow-host", "one.test:80")
    assert r.out == "b'HTTP/1.1 200 OK'\nConnectionResetError\n", r.err
    assert "/second" not in net.internet.log()


SMUGGLED = [
    "POST / HTTP/1.1\\r\\nHost: one.test\\r\\nContent-Length: 4\\r\\nTransfer-Encoding: chunked\\r\\n\\r\\n0\\r\\n\\r\\nGET /smuggled HTTP/1.1\\r\\nHost: two.test\\r\\n\\r\\n",
    "GET / HTTP/1.1\\r\\nHost: one.test\\r\\nX: a\\r\\n Host: two.test\\r\\n\\r\\n",
    "GET / HTTP/1.1\\r\\nHost: one.test\\r\\nHost: two.test\\r\\n\\r\\n",
    "GET / HTTP/1.1\\nHost: one.test\\n\\nGET /smuggled HTTP/1.1\\nHost: two.test\\n\\n",
    "POST / HTTP/1.1\\r\\nHost: one.test\\r\\nTransfer-Encoding: chunked\\r\\n\\r\\n1;x=y\\r\\nZ\\r\\n0\\r\\n\\r\\nGET /smuggled HTTP/1.1\\r\\nHost: two.test\\r\\n\\r\\n",
    "GET http://two.test/smuggled HTTP/1.1\\r\\nHost: one.test\\r\\n\\r\\n",
    "\\r\\nGET /smuggled HTTP/1.1\\r\\nHost: two.test\\r\\n\\r\\n",
    "get /smuggled http/1.1\\r\\nHost: two.test\\r\\n\\r\\n",
    "GET /smuggled HTTP/1.1\\r\\nHost: one.test@two.test\\r\\n\\r\\n",
    "CONNECT two.test:80 HTTP/1.1\\r\\nHost: two.test:80\\r\\n\\r\\nGET /smuggled HTTP/1.1\\r\\nHost: two.test\\r\\n\\r\\n",
]


@pytest.mark.parametrize("bytes_", SMUGGLED, ids=range(len(SMUGGLED)))
def test_smuggled_requests_are_refused(net, bytes_):
    before = net.internet.log()
    talk = f"import socket\ns = socket.create_connection(('one.test', 80), 5)\ns.sendall(b'{bytes_}')\ntry: print(s.recv(4096))\nexcept OSError as e: print(type(e).__name__)"
    r = net([PYTHON, "-c", talk], "--allow-host", "one.test:80")
    assert "200 OK" not in r.out or "/smuggled" not in net.internet.log()[len(before):]
    assert "/smuggled" not in net.internet.log()[len(before):]
    assert "denied" in r.err or "HTTP/1.1 4" in r.out or "Reset" in r.out, r


def test_no_upgrade_but_a_websocket_passes(net):
    r = net([*CLEAN, *CURL, "-v", "--http2", "http://one.test/headers"], "--allow-host", "one.test")
    assert r.rc == 0 and "upgrade=xxx\n" in r.out, r
    # twin: what a server sees of the other
    r = net([*CLEAN, *CURL, "-H", "Connection: Upgrade", "-H", "Upgrade: websocket", "http://one.test/headers"], "--allow-host", "one.test")
    assert r.rc == 0 and "upgrade=websocket" in r.out, r


def test_tls_without_a_name_is_refused(net):
    r = net(["openssl", "s_client", "-noservername", "-connect", "one.test:443"], "--allow-host", "one.test")
    assert "CERTIFICATE" not in r.out and "without a server name" in r.err, r.err
    # twin
    r = net(["openssl", "s_client", "-servername", "one.test", "-connect", "one.test:443"], "--allow-host", "one.test")
    assert "CERTIFICATE" in r.out


def test_a_port_that_is_closed_there_fails_at_once(net):
    r = net([*CLEAN, *CURL, "http://shut.test/"], "--allow-host", "shut.test")
    assert r.rc in (7, 28, 56) and r.secs < 9


def test_everything_public_is_open_with_network_allow(net):
    r = net([*CLEAN, *CURL, "http://one.test/"], "--network", "allow")
    assert r.rc == 0, r.err
    for url in ("http://private.test/", "http://169.254.169.254/", "http://10.1.2.3/", "http://loop.test/"):
        assert net([*CLEAN, *CURL, url], "--network", "allow").rc != 0
    r = net([*CLEAN, *CURL, "http://two.test/"], "--network", "allow", "--deny-host", "two.test")
    assert r.rc == 6 and "--deny-host" in r.err, r.err


# A preset, what answers, what is refused. The names of a registry, and of its vendor, lead to a server of ours.
PRESETS: dict[str, tuple[list[str], list[str]]] = {
    "closed": ([], ["registry.npmjs.org", "one.test", "private.test", "10.1.2.3", "169.254.169.254"]),
    "balanced": (["registry.npmjs.org"], ["npmjs.org", "one.test", "192.0.2.13", "private.test", "169.254.169.254"]),
    "open-minus-private": (["registry.npmjs.org", "npmjs.org", "one.test", "two.test", "192.0.2.11"], ["private.test", "loop.test", "meta.test", "10.1.2.3", "169.254.169.254", "own.test"]),
}


@pytest.mark.parametrize("preset", PRESETS)
def test_presets(net, preset):
    answers, refused = PRESETS[preset]
    fetch = f"for h in {' '.join(answers + refused)}; do curl -sf -m 8 -o /dev/null http://$h/ && echo yes || echo no; done"
    for env in WAYS:
        r = net([*env, "sh", "-c", fetch], "--preset", preset)
        assert r.out.split() == ["yes"] * len(answers) + ["no"] * len(refused), r
    if answers:
        r = net([*CLEAN, *CURL, f"http://{answers[0]}/"], "--preset", preset, "--deny-host", answers[0])
        assert r.rc != 0 and "--deny-host" in r.err, r
    r = net([*CLEAN, *CURL, "http://one.test/"], "--preset", preset, "--allow-host", "one.test")
    assert r.rc == 0, r


def test_there_is_no_network_without_a_rule(net):
    r = net([*CLEAN, *CURL, "http://one.test/"])
    assert r.rc in (6, 7) and r.out == ""
    r = net("ip -o link | wc -l; cat /etc/hosts | wc -l; env | grep -ci _proxy")
    assert r.out.split()[-1] == "0"


def test_the_log_is_a_chain(net, user):
    r = net([*CLEAN, *CURL, "http://one.test/", "http://two.test/"], "--allow-host", "one.test")
    run = re.findall(r"bailey network log ([0-9a-f]{10})", r.err)[0]
    lines = net.log(r)
    assert [line["event"] for line in lines] == ["open", "deny", "close"] or {"open", "deny", "close"} == {line["event"] for line in lines}
    assert net.network("log", run, "--verify").rc == 0
    state = pathlib.Path("/var/lib/bailey" if user.is_root else user.home / ".local/state/bailey") / "network" / run / "log.0"
    good = state.read_bytes()
    parts = good.splitlines(True)
    bad = {
        "edited": good.replace(b"two.test", b"owt.test"),
        "removed": b"".join(parts[:1] + parts[2:]),
        "the first one removed": b"".join(parts[1:]),
        "reordered": b"".join([parts[1], parts[0], *parts[2:]]),
        "cut": b"".join(parts[:-1]),
        "torn": good[:-20],
    }
    for what, text in bad.items():
        state.write_bytes(text)
        v = net.network("log", run, "--verify")
        assert v.rc == 1, (what, v.out, v.err)
    state.write_bytes(good)
    assert net.network("log", run, "--verify").rc == 0


def gateways_of(pid):
    """The gateways that bailey PID has started."""
    found = []
    for p in pathlib.Path("/proc").iterdir():
        try:
            if p.name.isdigit() and (p / "comm").read_text() == "bailey-gateway\n" and f"\nPPid:\t{pid}\n" in (p / "status").read_text():
                found.append(int(p.name))
        except OSError:
            pass
    return found


def test_the_gateway_dies_and_comes_back(net):
    script = f"for i in 1 2 3 4 5 6; do {' '.join([*CLEAN, *CURL])} http://one.test/$i; sleep 1; done"
    p = net.start(script, "--allow-host", "one.test")
    try:
        killed = wait_for(lambda: gateways_of(p.pid))
        assert killed
        for pid in killed:
            os.kill(pid, signal.SIGKILL)
        out, err = p.communicate(timeout=TIMEOUT)
    finally:
        p.kill()
    assert b"the gateway has ended" in err
    assert b"/6 host=one.test" in out, err


def test_rules_and_addresses_outlive_a_gateway(net, ws):
    """What was changed while it lived holds, and no name has another's address after it."""
    script = f"""getent ahostsv4 one.test | head -1; getent ahostsv4 two.test | head -1
touch asked; until [ -e go ]; do sleep 0.1; done
getent ahostsv4 two.test | head -1; getent ahostsv4 one.test | head -1
{' '.join([*CLEAN, *CURL])} http://one.test/; {' '.join([*CLEAN, *CURL])} http://two.test/; {' '.join([*CLEAN, *CURL])} http://sub.wild.test/"""
    p = net.start(script, "--allow-host", "one.test", "--allow-host", "two.test")
    try:
        assert wait_for(lambda: (ws / "asked").exists())
        run = net.run_id()
        assert net.network("deny", run, "one.test").rc == 0 and net.network("allow", run, "sub.wild.test").rc == 0
        for pid in gateways_of(p.pid):
            os.kill(pid, signal.SIGKILL)
        (ws / "go").touch()
        out, err = p.communicate(timeout=TIMEOUT)
    finally:
        p.kill()
    addresses = [line.split()[0] for line in out.decode().splitlines() if "STREAM" in line]
    assert len(addresses) == 3 and addresses[1] == addresses[2] and addresses[0] != addresses[1], (out, err)  # one.test is denied now
    assert b"host=one.test" not in out and b"host=two.test" in out and b"host=sub.wild.test" in out, (out, err)


def test_nobody_is_left_when_bailey_is_killed(net):
    p = net.start([*CLEAN, *CURL, "-m", "60", "http://one.test/slow", "-o", "/dev/null"], "--allow-host", "one.test")
    gateways = wait_for(lambda: gateways_of(p.pid))
    assert gateways
    p.kill()
    p.wait()
    assert wait_for(lambda: not [g for g in gateways if pathlib.Path(f"/proc/{g}/comm").exists() and pathlib.Path(f"/proc/{g}/comm").read_text().startswith("bailey-gateway")])


def test_a_gateway_is_confined(net, user):
    p = net.start([*CLEAN, *CURL, "-m", "60", "http://one.test/slow", "-o", "/dev/null"], "--allow-host", "one.test", "--env", "CANARY=feed-the-birds", env={
        "HOME": str(user.home), "PATH": os.environ["PATH"], "SECRET_TOKEN": "canary-in-the-environment"})
    try:
        pid = wait_for(lambda: gateways_of(p.pid))[0]
        wait_for(lambda: "Seccomp:\t2" in pathlib.Path(f"/proc/{pid}/status").read_text())
        status = dict(line.split(":\t", 1) for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines())
        assert status["Seccomp"] == "2" and status["NoNewPrivs"] == "1" and status["Threads"] == "1"
        assert status["CapEff"] == status["CapPrm"] == "0000000000000000"
        if user.is_root:
            assert status["Uid"].split()[0] != "0" and not status["Groups"].strip()
        targets = [os.readlink(f) for f in pathlib.Path(f"/proc/{pid}/fd").iterdir()]
        assert all(re.match(r"(socket|pipe|anon_inode):|/dev/null$|.*/network/([0-9a-f]{10}/log\.[01]|heads/[0-9a-f]{10})$", t) for t in targets), targets
        memory = open(f"/proc/{pid}/mem", "rb")
        for line in pathlib.Path(f"/proc/{pid}/maps").read_text().splitlines():
            span, rights, *_ = line.split()
            if "r" in rights and "[v" not in line:
                low, high = (int(x, 16) for x in span.split("-"))
                memory.seek(low)
                try:
                    data = memory.read(high - low)
                except OSError:
                    continue
                assert b"canary-in-the" + b"-environment" not in data and b"feed-the" + b"-birds" not in data, line
        memory.close()
    finally:
        p.kill()
        p.communicate()


# --- while it runs ---


@pytest.mark.parametrize("how", ["captured", "connect", "socks", "http"])
def test_a_denial_ends_what_is_open(net, how):
    ways: dict[str, tuple[list[str], list[str]]] = {"captured": (CLEAN, []), "connect": ([], ["-p"]), "socks": (CLEAN, ["-x", "socks5h://127.0.0.1:1080"]), "http": ([], [])}
    env, opts = ways[how]
    p = net.start([*env, *CURL, "-m", "60", *opts, "http://one.test/slow", "-o", "/dev/null", "-w", "%{exitcode}\n"], "--allow-host", "one.test")
    try:
        run = wait_for(lambda: net.run_id())
        assert run
        assert wait_for(lambda: '"open"' in net.network("log", run, "--json").out)
        assert p.poll() is None
        start = time.monotonic()
        r = net.network("deny", run, "one.test", "--reason", "enough")
        assert r.rc == 0, r.err
        out, err = p.communicate(timeout=60)
        assert time.monotonic() - start < 20
        assert p.returncode in (18, 56), (out, err)
        assert b"one.test:80 denied" in err and b"enough" in err
        when = {line["event"]: datetime.datetime.fromisoformat(line["time"].rstrip("Z")) for line in net.log(Result(0, "", err.decode(), 0))}
        assert when["close"] - when["change"] <= datetime.timedelta(milliseconds=100), when
    finally:
        p.kill()


def test_a_denial_ends_datagrams(net, ws):
    talk = """
import os, socket, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(2); s.connect(("one.test", 7))
s.send(b"a"); print(s.recv(9), flush=True); open("open", "w").close()
while not os.path.exists("go"): time.sleep(0.05)
try: s.send(b"b"); print(s.recv(9))
except OSError as e: print(type(e).__name__)
"""
    for denied in (True, False):
        for name in ("open", "go"):
            (ws / name).unlink(missing_ok=True)
        p = net.start([PYTHON, "-c", talk], "--allow-host", "one.test:7/udp")
        try:
            assert wait_for(lambda: (ws / "open").exists())
            run = net.run_id()
            assert net.network("deny", run, "one.test" if denied else "two.test").rc == 0
            (ws / "go").touch()
            out, err = p.communicate(timeout=TIMEOUT)
        finally:
            p.kill()
        assert out.startswith(b"b'A'\n") and (b"b'B'" in out) == (not denied), (out, err)


def test_a_rule_that_was_removed_covers_nothing(net, ws):
    script = f"""for i in 1 2; do until [ -e go$i ]; do sleep 0.1; done; {' '.join([*CLEAN, *CURL])} http://two.test/$i; touch done$i; done"""
    p = net.start(script, "--allow-host", "one.test")
    try:
        run = wait_for(net.run_id)
        assert net.network("allow", run, "sub.wild.test", "two.test").rc == 0
        (ws / "go1").touch()
        assert wait_for(lambda: (ws / "done1").exists())
        assert net.network("remove", run, "two.test").rc == 0
        rules = [r["rule"] for r in json.loads(net.network("policy", run, "--json").out)["rules"]]
        assert "sub.wild.test" in rules and "two.test" not in rules
        again = net.network("remove", run, "two.test")
        assert again.rc == 2 and "no live rule" in again.err
        (ws / "go2").touch()
        out, err = p.communicate(timeout=TIMEOUT)
    finally:
        p.kill()
    assert b"/1 host=two.test" in out and b"/2 host=two.test" not in out and b"two.test denied" in err, (out, err)


def test_rules_change_while_it_runs(net, ws):
    script = f"until [ -e go ]; do sleep 0.1; done; {' '.join([*CLEAN, *CURL])} http://two.test/; {' '.join([*CLEAN, *CURL])} http://one.test/"
    p = net.start(script, "--allow-host", "one.test")
    try:
        run = wait_for(lambda: net.run_id())
        assert net.network("allow", run, "two.test").rc == 0
        policy = json.loads(net.network("policy", run, "--json").out)
        assert {"action": "allow", "rule": "two.test", "layer": "live", "origin": "live", "reason": None} in policy["rules"]
        bad = net.network("allow", run, "no such host")
        assert bad.rc == 2 and "is no host name" in bad.err
        (ws / "go").touch()
        out, err = p.communicate(timeout=TIMEOUT)
        assert out.count(b"host=two.test") == 1 and out.count(b"host=one.test") == 1, err
    finally:
        p.kill()
    r = net.network("allow", run, "two.test")
    assert r.rc == 2 and "has ended" in r.err


@pytest.mark.parametrize("decision", ["once", "always", "never"])
def test_a_human_is_asked(net, ws, decision):
    """Over the control socket; the terminal's part is the same with a key."""
    script = f"until [ -e go ]; do sleep 0.1; done; for i in 1 2; do {' '.join([*CLEAN, *CURL])} http://one.test/$i; done"
    p = net.start(script, "--ask")
    asked = []
    try:
        run = wait_for(lambda: net.run_id())
        state = next(d for d in (pathlib.Path("/var/lib/bailey/network"), *pathlib.Path("/home").glob("*/.local/state/bailey/network")) if (d / run).exists())
        client = subprocess.Popen([*net.enter, PYTHON, "-c", """
import json, os, socket, sys
os.chdir(sys.argv[1])
s = socket.socket(socket.AF_UNIX); s.connect("control"); f = s.makefile("rw")
print(json.dumps({"op": "ask"}), file=f, flush=True); f.readline()
print("ready", flush=True)
for line in f:
    q = json.loads(line)
    if q.get("event") == "ask":
        print(line, end="", flush=True)
        print(json.dumps({"op": "answer", "id": q["id"], "decision": sys.argv[2]}), file=f, flush=True)
""", str(state / run), decision], stdout=subprocess.PIPE, text=True)
        assert client.stdout and client.stdout.readline() == "ready\n"
        (ws / "go").touch()
        out, err = p.communicate(timeout=TIMEOUT)
        client.wait(5)
        asked = [json.loads(line) for line in client.stdout.read().splitlines()]
    finally:
        p.kill()
    assert asked[0] | {"id": 0} == {"event": "ask", "id": 0, "name": "one.test", "port": 80, "protocol": "tcp"}
    assert len(asked) == (2 if decision == "once" else 1), asked
    assert (out.count(b"host=one.test") == 2) == (decision != "never"), (out, err)


def test_without_anyone_to_ask_it_is_a_no(net):
    r = net([*CLEAN, *CURL, "http://one.test/"], "--ask")
    assert r.rc != 0 and "one.test:80 denied" in r.err


def test_srt_settings(net, ws):
    (ws / "srt.json").write_text(json.dumps({"filesystem": {"denyRead": [], "allowWrite": ["."], "denyWrite": []},
                                             "network": {"allowedDomains": ["one.test", "*.wild.test"], "deniedDomains": ["two.test"]}}))
    for env in WAYS:
        for host, works in (("one.test", True), ("sub.wild.test", True), ("wild.test", False), ("two.test", False)):
            r = net(None, "-s", "srt.json", "--", *env, *CURL, f"http://{host}/", verb="srt")
            assert (f"host={host}" in r.out) == works, (host, r)


# --- ports, budgets ---


def test_a_port_of_the_host(net):
    r = net([*CLEAN, *CURL, "http://host.bailey.internal:80/x"], "--allow-host-port", "80")
    assert (r.rc, r.out) == (0, "127.0.0.1:80 GET /x host=localhost:80\n"), r.err
    ways: tuple[list[str], ...] = ([], ["--noproxy", "", "-x", "http://127.0.0.1:3128"], ["--noproxy", "", "-p", "-x", "http://127.0.0.1:3128"],
                                   ["--noproxy", "", "-x", "socks5h://127.0.0.1:1080"], ["--noproxy", "", "-x", "socks5://127.0.0.1:1080"])  # fmt: skip
    for way in ways:
        for name in ("localhost", "127.0.0.1", "[::1]", "localhost:80", "127.0.0.1:80"):
            r = net([*CURL, *way, f"http://{name}/x"], "--allow-host-port", "80")
            assert r.rc == 0 and r.out.startswith("127.0.0.1:80 GET /x host="), (way, name, r)
        r = net([*CURL, *way, "http://localhost/x"], "--allow-host-port", "81")
        assert r.rc != 0 or "denied" in r.out, (way, r)
    r = net([*CURL, "-k", "https://127.0.0.1/x"], "--allow-host-port", "443")
    assert r.rc == 0 and "GET /x" in r.out, "certificates of addresses have no name to send"
    r = net([*CURL, "http://localhost/x"], "--allow-host-port", "80", "--deny-host", "localhost")
    assert r.rc != 0 and "GET" not in r.out, "a denial may name it as programs do"
    # as many as fit are on loopback, twice is once, and more is no reason to refuse; the gateway's own ports stay its own
    many = [o for port in (80, 80, *range(9001, 9020)) for o in ("--allow-host-port", str(port))]
    assert net([*CURL, "http://localhost/x"], *many).rc == 0
    r = net([*CURL, "http://one.test/y"], "--allow-host-port", "3128", "--allow-host-port", "1080", "--allow-host", "one.test")
    assert r.rc == 0 and "GET /y" in r.out, r
    for name in ("localhost:81", "127.0.0.1:81", "[::1]:81"):
        r = net([*CURL, f"http://{name}/x"], "--allow-host-port", "80")
        assert r.rc == 7 and "denied" not in r.err, "the sandbox's own, where nothing listens"
    r = net([*CURL, "http://localhost/x"], "--allow-host-port", "80", "-p", "127.0.0.1:18082:80")
    assert r.rc == 7, "what is published is the sandbox's own"
    r = net([*CURL, "-H", "Host: one.test", "http://localhost/x"], "--allow-host-port", "80")
    assert "fronting" in r.out + r.err and "GET" not in r.out, r
    r = net(f"{PYTHON} -m http.server -b 127.0.0.1 8081 >/dev/null 2>&1 & for i in 1 2 3 4 5 6 7 8 9; do curl -s http://localhost:8081/ && break; sleep 1; done", "--allow-host-port", "80")
    assert "Directory listing" in r.out, "and what listens there is reached"
    for opts in (["--allow-host-port", "81"], ["--network", "allow"], ["--allow-host", "host.bailey.internal"], ["--allow-host", "**"]):
        r = net([*CLEAN, *CURL, "http://host.bailey.internal/"], *opts)
        assert r.rc != 0 and "GET" not in r.out, opts


def test_a_published_port(net, internet):
    server = f"{PYTHON} -m http.server -b 127.0.0.1 8000 >/dev/null 2>&1"
    p = net.start(f"echo inside > index.html; timeout 10 {server}", "-p", "127.0.0.1:18080:8000")
    try:
        def fetch(where="127.0.0.1:18080"):
            r = subprocess.run(["nsenter", f"--net=/proc/{internet.pid}/ns/net", *CURL, f"http://{where}/"], capture_output=True, text=True, check=False)
            return r.stdout
        assert wait_for(fetch) == "inside\n"
        for other in ("127.0.0.1:8000", "127.0.0.1:18081", "198.51.100.1:18080", "[::1]:18080"):
            assert fetch(other) == "", other
    finally:
        p.terminate()
        p.communicate(timeout=TIMEOUT)
    assert fetch() == "", "gone with the run"
    for bad in ("", "0", "x:80", "1.2.3.4.5:1:2", "70000:80", "80:0", "80/udp", "80:"):
        r = net("true", "--publish", bad)
        assert r.rc == 2 and "[[IP:]HOST:]PORT" in r.err, bad


def test_a_budget_of_bytes(net):
    r = net([*CLEAN, *CURL, "-o", "/dev/null", "http://one.test/big"], "--allow-host", "one.test", "--limit-bytes", "one.test=1M")
    assert r.rc in (18, 56) and "denied: the budget of bytes is used up: --limit-bytes one.test=1M\n" in r.err, r.err
    close = [line for line in net.log(r) if line["event"] == "close"][0]
    assert close["sent"] + close["received"] == 1 << 20
    assert net([*CLEAN, *CURL, "-o", "/dev/null", "http://one.test/big"], "--allow-host", "one.test", "--limit-bytes", "two.test=1").rc == 0


def test_a_rate(net):
    r = net([*CLEAN, *CURL, "-o", "/dev/null", "-w", "%{time_total}", "-r", "0-10", "http://one.test/big", "-m", "3"], "--allow-host", "one.test", "--limit-rate", "one.test=4M")
    assert r.rc == 28
    close = [line for line in net.log(r) if line["event"] == "close"][0]
    assert 8 << 20 < close["received"] < 16 << 20, close
    # twins: a rate that is not reached, and one of another host
    for opts in (["--limit-rate", "one.test=400M"], ["--limit-rate", "two.test=4k"]):
        r = net([*CLEAN, *CURL, "-o", "/dev/null", "-w", "%{size_download}", "http://one.test/big", "-m", "20"], "--allow-host", "one.test", *opts)
        assert (r.rc, r.out) == (0, str(64 << 20)), (opts, r)


def test_a_long_policy_comes_whole(net, ws):
    """More than a socket holds at once, to a client that is slow; and orders that come behind it are obeyed in their order."""
    rules = [f"n{i}.{'x' * 50}.{'y' * 50}.example" for i in range(3900)]
    files: list[str] = []
    for i in range(3):
        files += ["--policy", str(net.user.write(ws / f"rules{i}.json", json.dumps({"network": {"allowedDomains": rules[i * 1300:(i + 1) * 1300]}})))]
    client = """
import json, socket, sys, time
s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1])
s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
s.sendall(b'{"op":"policy"}\\n{"op":"allow","rule":"two.test"}\\n{"op":"policy"}\\n{"op":"status"}\\n')
time.sleep(1)
f = s.makefile()
a, b, c, d = [json.loads(f.readline()) for _ in range(4)]
print(len(a["rules"]), b, len(c["rules"]), d["ok"])
"""
    p = net.start("sleep 20", *files)
    try:
        assert wait_for(net.run_id)
        where = pathlib.Path("/var/lib/bailey" if net.user.is_root else net.user.home / ".local/state/bailey") / "network" / net.run_id()
        got = subprocess.run([*net.enter, PYTHON, "-c", client, where / "control"], capture_output=True, text=True, timeout=TIMEOUT, check=False)
        assert got.stdout == "3900 {'ok': True} 3901 True\n", got
        listed = net.network("policy", net.run_id(), "--json")
        assert listed.rc == 0, listed.err
        assert len(json.loads(listed.out)["rules"]) == 3901
        # one that asks and never reads costs nobody else anything, and only so much
        greedy = subprocess.Popen([*net.enter, PYTHON, "-c", "import socket, sys, time; s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1])\nfor i in range(200): s.sendall(b'{\"op\":\"policy\"}\\n')\nprint(1, flush=True); time.sleep(20)",
                                   str(where / "control")], stdout=subprocess.PIPE)
        try:
            assert greedy.stdout and greedy.stdout.readline() == b"1\n"
            (gateway,) = gateways_of(p.pid)
            assert len(json.loads(net.network("policy", net.run_id(), "--json").out)["rules"]) == 3901
            high = int(re.search(r"VmHWM:\s+(\d+)", pathlib.Path(f"/proc/{gateway}/status").read_text()).group(1))  # type: ignore[union-attr]
            assert high < 40 << 10, high
        finally:
            greedy.kill()
            greedy.wait()
    finally:
        p.kill()
        p.communicate()


DATAGRAMS = """
import socket, sys, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(0.3); s.connect(("one.test", 7)); got = 0
began = time.monotonic()
while time.monotonic() - began < float(sys.argv[2]):
    try: s.send(b"x" * int(sys.argv[1])); got += len(s.recv(2000))
    except OSError as e: pass
print(got)
"""


def test_a_budget_counts_datagrams(net):
    """Both ways, and together with connections to the same host."""
    talk = [PYTHON, "-c", DATAGRAMS, "1000", "1.5"]
    r = net(talk, "--allow-host", "one.test:7/udp", "--limit-bytes", "one.test=10k")
    assert 0 < int(r.out) <= 5000, r
    lines = net.log(r)
    assert any(li["event"] == "deny" and li["via"] == "udp" and li["reason"] == "the budget of bytes is used up: --limit-bytes one.test=10k" for li in lines), lines
    assert sum(li["sent"] + li["received"] for li in lines if li["event"] == "close") <= 10240
    r = net(f"{' '.join(CURL)} -o big http://one.test/big; {PYTHON} -c '{DATAGRAMS}' 1000 0.5", "--allow-host", "one.test", "--allow-host", "one.test:7/udp", "--limit-bytes", "one.test=10k")
    assert r.out == "0\n", ("a connection has taken all of it", r)
    # twins: a budget that is not reached, and one of another host
    for opts in (["--limit-bytes", "one.test=100M"], ["--limit-bytes", "two.test=1k"], ["--limit-bytes", "one.test/tcp=1k"]):
        r = net([PYTHON, "-c", DATAGRAMS, "1000", "0.5"], "--allow-host", "one.test:7/udp", *opts)
        assert int(r.out) > 20000, r


def test_a_rate_counts_datagrams(net):
    r = net([PYTHON, "-c", DATAGRAMS, "1000", "3"], "--allow-host", "one.test:7/udp", "--limit-rate", "one.test=20k")
    assert 10000 <= int(r.out) <= 40000, r
    # one that is larger than what the rate gathers at a time passes now and then
    before = net.internet.log()
    r = net([PYTHON, "-c", DATAGRAMS, "1400", "4"], "--allow-host", "one.test:7/udp", "--limit-rate", "one.test=2k")
    assert 3 <= net.internet.log()[len(before):].count("udp 192.0.2.10 7 1400") <= 8, r


class FullDisk:
    """The logs of NET's user on a small file system of their own."""

    def __init__(self, net):
        self.net, self.dir = net, pathlib.Path("/var/lib/bailey" if net.user.is_root else net.user.home / ".local/state/bailey") / "network"
        net("true", "--network", "allow")  # which makes the directory
        self.inside = ["nsenter", f"--mount=/proc/{net.internet.pid}/ns/mnt"]
        self.run("mount", "-t", "tmpfs", "-o", f"size=512k,mode=700,uid={net.user.uid},gid={net.user.gid}", "none", self.dir)

    def run(self, *argv, check=True):
        subprocess.run([*self.inside, *argv], check=check, capture_output=True)

    def fill(self, yes):
        self.run("dd", "if=/dev/zero", f"of={self.dir}/fill", "bs=4k", check=False) if yes else self.run("rm", self.dir / "fill")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.run("umount", "-l", self.dir)


@pytest.mark.parametrize("required", [False, True], ids=["default", "required"])
def test_a_full_disk_is_said_and_counted(net, ws, required):
    """Connections go on, a notice says once that they are in no log, and the next line counts them; with --audit-required there are none."""
    fetch = " ".join([*CLEAN, *CURL, "-f"])
    script = f"""
{fetch} http://one.test/1 >&2 && echo first; touch a; while [ ! -e b ]; do sleep 0.05; done
n=0; for i in $(seq 40); do {fetch} http://one.test/full$i >&2 && n=$((n + 1)); done; echo $n of 40; {fetch} -p -x http://127.0.0.1:3128 http://one.test/full >&2; echo $?
touch c; while [ ! -e d ]; do sleep 0.05; done; sleep 1.2; {fetch} http://one.test/last >&2 && echo last
"""
    before = net.internet.log()
    with FullDisk(net) as disk:
        p = net.start(script, "--allow-host", "one.test", *(["--audit-required"] if required else []))
        try:
            assert wait_for((ws / "a").exists)
            disk.fill(True)
            net.user.write(ws / "b", "")
            assert wait_for((ws / "c").exists, 60)
            disk.fill(False)
            net.user.write(ws / "d", "")
            out, err = p.communicate(timeout=TIMEOUT)
        finally:
            p.kill()
        first, done, proxy, last = out.decode().splitlines()
        notices = [li for li in err.decode().splitlines() if "log can't be written" in li and li.startswith("bailey: network: its")]
        assert first == "first" and last == "last", (out, err)
        assert len(notices) == 1 and ("are refused" if required else "go on without lines") in notices[0], err
        n = int(done.split()[0])
        if required:
            assert n < 25 and proxy != "0" and net.internet.log()[len(before):].count("/full") == n, (out, err)
        else:
            assert n == 40 and proxy == "0", (out, err)
        lines = net.log(Result(0, "", err.decode(), 0))
        assert sum(li.get("dropped", 0) for li in lines) > 0 and lines[-1]["event"] in ("close", "counted"), lines
        verified = net.network("log", "--verify")
        assert verified.rc == 0, verified
