# SPDX-License-Identifier: Apache-2.0
"""Bad input to the gateway, by name: refused, counted in the log, and the next one who asks rightly is served. Rules that are none: one error that names them."""
import json
import pathlib
import re
import struct
import subprocess

import pytest

from conftest import PYTHON, wait_for
from test_gateway_attacks import Running, control, gateway_of, hello

__all__ = ["internet", "net"]  # fixtures

# --- who talks: ENTRY HEX... sends each on a connection, or in a datagram, of its own and prints what comes back; with "=" the beginning of an answer is enough ---

TALK = r"""
import socket, sys
ENTRY = {"proxy": ("127.0.0.1", 3128), "socks": ("127.0.0.1", 1080), "http": ("one.test", 80), "tls": ("one.test", 443), "dns": ("192.0.2.10", 53), "dns-tcp": ("192.0.2.10", 53)}
def talk(entry, data, patient=False):
    got = b""
    try:
        if entry == "dns":
            s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(8 if patient else 0.3); s.connect(ENTRY[entry]); s.send(data); return s.recv(2000)
        s = socket.create_connection(ENTRY[entry], 5); s.settimeout(8 if patient else 0.4)
        if entry == "socks" and data[:1] == b"!":  # a request after a good greeting
            s.sendall(b"\5\1\0"); s.recv(2); data = data[1:]
        s.sendall(data)
        while not (patient and got) and (part := s.recv(65536)): got += part
    except TimeoutError: return got or "silence"
    except OSError as e: return got or type(e).__name__
    return got or "closed"
for word in sys.argv[2:]: print(repr(talk(sys.argv[1], bytes.fromhex(word.lstrip("=")), word[0] == "=")[:200]))
"""


def query(name=b"\3one\4test\0", flags=b"\1\0", counts=(1, 0, 0, 0), rest=b"\0\1\0\1", kind=b"\x12\x34"):
    return kind + flags + struct.pack(">4H", *counts) + name + rest


def socks(host, port=80):
    return b"!\5\1\0\3" + bytes([len(host)]) + host + struct.pack(">H", port)


def framed(message):
    return struct.pack(">H", len(message)) + message


GOOD = {
    "proxy": (b"CONNECT one.test:80 HTTP/1.1\r\nHost: one.test:80\r\n\r\n", b"HTTP/1.1 200"), "socks": (socks(b"one.test"), b"\5\0"),
    "http": (b"GET /twin HTTP/1.1\r\nHost: one.test\r\nConnection: close\r\n\r\n", b"HTTP/1.1 200"), "tls": (hello(b"one.test"), b"\x15\x03"),
    "dns": (query(), b"\x12\x34\x81\x80\0\1\0\1"), "dns-tcp": (framed(query()), b"\0"),
}

# Names that are none: what they are inside CONNECT, an absolute target, Host, SOCKS and a label of DNS.
HOSTS = {
    "NUL": b"one.test\0.evil", "CR": b"one.test\rX", "LF": b"one.test\nX", "CR LF": b"one.test\r\nHost: two.test", "256 bytes": b"a." * 124 + b"one.test",
    "a label of 64 bytes": b"a" * 64 + b".test", "a Cyrillic o": "\u043ene.test".encode(), "full width": "\uff4fne.test".encode(), "an ideographic full stop": "one\u3002test".encode(),
    "percent codes": b"one%2etest", "a zone": b"one.test%eth0", "a user": b"one.test@two.test", "hexadecimal": b"0xc0.0.2.10", "octal": b"0300.0.2.10", "two dots": b"one..test",
    "a blank": b"one .test", "a backslash": b"one.test\\.evil", "a slash": b"one.test/../two.test", "no name": b"",
}

SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: one.test\r\n\r\n"


def post(fields, body=b""):
    return b"POST / HTTP/1.1\r\nHost: one.test\r\n" + b"".join(f + b"\r\n" for f in fields) + b"\r\n" + body


def chunked(body):
    return post([b"Transfer-Encoding: chunked"], body + SMUGGLED)


HTTP = {
    "length and chunks": post([b"Content-Length: 4", b"Transfer-Encoding: chunked"], b"0\r\n\r\n" + SMUGGLED),
    "chunks and length": post([b"Transfer-Encoding: chunked", b"Content-Length: 4"], b"0\r\n\r\n" + SMUGGLED),
    "two lengths": post([b"Content-Length: 0", b"Content-Length: 44"], SMUGGLED), "a list of lengths": post([b"Content-Length: 0, 44"], SMUGGLED),
    "a signed length": post([b"Content-Length: +0"], SMUGGLED), "a negative length": post([b"Content-Length: -1"], SMUGGLED), "a hexadecimal length": post([b"Content-Length: 0x0"], SMUGGLED),
    "a length beyond 64 bits": post([b"Content-Length: 18446744073709551616"], SMUGGLED),
    "chunks that are not the last coding": post([b"Transfer-Encoding: chunked, identity"], b"0\r\n\r\n" + SMUGGLED), "two codings": post([b"Transfer-Encoding: chunked", b"Transfer-Encoding: x"], SMUGGLED),
    "an unknown coding": post([b"Transfer-Encoding: xchunked"], SMUGGLED), "a blank before the colon": post([b"Transfer-Encoding : chunked"], b"0\r\n\r\n" + SMUGGLED),
    "a folded line": post([b"X: a", b" Transfer-Encoding: chunked"], SMUGGLED), "a folded coding": post([b"Transfer-Encoding:", b" chunked"], b"0\r\n\r\n" + SMUGGLED),
    "a vertical tab in a coding": post([b"Transfer-Encoding: \x0bchunked"], b"0\r\n\r\n" + SMUGGLED), "NUL in a field": post([b"X: a\0b"], SMUGGLED), "a bare CR in a field": post([b"X: a\rContent-Length: 44"], SMUGGLED),
    "bare LF": b"POST / HTTP/1.1\nHost: one.test\nContent-Length: 0\n\n" + SMUGGLED, "a field without a name": post([b": x"], SMUGGLED), "a field without a colon": post([b"X"], SMUGGLED),
    "chunks in HTTP/1.0": b"POST / HTTP/1.0\r\nHost: one.test\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + SMUGGLED, "HTTP/0.9": b"GET /smuggled HTTP/0.9\r\nHost: one.test\r\n\r\n",
    "a chunk of 0x0": chunked(b"0x0\r\n\r\n"), "a chunk of +0": chunked(b"+0\r\n\r\n"), "a chunk of -1": chunked(b"-1\r\n\r\n"), "a chunk without a size": chunked(b"\r\n\r\n"),
    "a chunk beyond 64 bits": chunked(b"1" + b"0" * 16 + b"\r\n"), "a blank behind the size": chunked(b"0 \r\n\r\n"), "a chunk that ends in LF": chunked(b"0\n\n"), "a chunk that is longer": chunked(b"1\r\nZZ\r\n0\r\n\r\n"),
    "an extension of a chunk": chunked(b"0;x=\"\n\r\n\r\n"), "a trailer that is folded": chunked(b"0\r\nX: a\r\n b\r\n\r\n"),
    "a head of 40 KiB": b"GET /smuggled HTTP/1.1\r\nHost: one.test\r\nX: " + b"a" * 40000 + b"\r\n\r\n", "ten thousand fields": post([b"X: y"] * 10000),
}  # fmt: skip

TLS = {
    "a record that is too long": b"\x16\x03\x01\xff\xff" + b"\1\0\0\5" + bytes(200), "a hello that is cut": hello(b"one.test")[:-3] + b"\0\0\0\0" * 10000, "no extensions": b"\x16\x03\x01\0\x2d\1\0\0\x29\3\3" + bytes(32) + b"\0\0\2\x13\1\1\0",
    "a name with NUL": hello(b"one.test\0x"), "a name of 256 bytes": hello(b"a." * 124 + b"one.test"), "a Cyrillic o": hello("\u043ene.test".encode()), "an address as a name": hello(b"192.0.2.10"), "an empty name": hello(b""),
    "another message than a hello": b"\x16\x03\x01\0\4\2\0\0\0" + bytes(64), "lengths that do not add up": hello(b"one.test").replace(struct.pack(">H", len(b"one.test")) + b"one.test", b"\xff\xffone.test"),
    "noise": b"\x16\x03\x01\x02\x00" + bytes((i * 89 + 13) % 256 for i in range(512)),
}  # fmt: skip

DNS = {
    "a few bytes": b"\x12\x34\1", "an answer": query(flags=b"\x81\x80"), "no question": query(name=b"", rest=b"", counts=(0, 0, 0, 0)), "two questions": query(rest=b"\0\1\0\1\3two\4test\0\0\1\0\1", counts=(2, 0, 0, 0)),
    "an answer in a question": query(counts=(1, 1, 0, 0), rest=b"\0\1\0\1\xc0\x0c\0\1\0\1\0\0\0\1\0\4\1\2\3\4"), "a pointer to itself": query(name=b"\xc0\x0c"), "a pointer beyond the end": query(name=b"\xc3\xff"),
    "a label that is cut": query(name=b"\x3fone", rest=b""), "a label of another kind": query(name=b"\x40one\0"), "a name of 256 bytes": query(name=b"\3abc" * 64 + b"\0"), "a name that does not end": query(name=b"\3one\4test", rest=b""),
    "an update": query(flags=b"\x28\0"), "the class CHAOS": query(rest=b"\0\1\0\3"), "NUL in a label": query(name=b"\5on\0ex\4test\0"), "a dot in a label": query(name=b"\x08one.test\0"), "a Cyrillic o": query(name=b"\4\xd0\xbene\4test\0"),
    "bytes behind it": query(rest=b"\0\1\0\1" + b"x" * 50), "more OPT than one": query(counts=(1, 0, 0, 2), rest=b"\0\1\0\1" + b"\0\0\x29\4\xd0\0\0\0\0\0\0" * 2), "noise": bytes((i * 89 + 13) % 256 for i in range(512)), "all of a datagram": b"\xff" * 1232, "more than one takes": b"\0" * 4000,
}  # fmt: skip

SOCKS = {
    "SOCKS 4": b"\4\1\0\x50\xc0\0\2\x0aname\0", "no way to log in": b"\5\0", "another way to log in": b"\5\1\x80", "HTTP": b"GET http://one.test/ HTTP/1.1\r\n\r\n", "BIND": b"!\5\2\0\3\x08one.test\0\x50", "UDP": b"!\5\3\0\3\x08one.test\0\x50",
    "a family that is none": b"!\5\1\0\x09\1\2\3\4\0\x50", "a reserved byte": b"!\5\1\1\3\x08one.test\0\x50", "version 6": b"!\6\1\0\3\x08one.test\0\x50", "port 0": socks(b"one.test", 0),
}  # fmt: skip

PROXY = {
    "a line that is none": b"hello\r\n\r\n", "an ordinary request": b"GET / HTTP/1.1\r\nHost: one.test\r\n\r\n", "another scheme": b"GET ftp://one.test/ HTTP/1.1\r\nHost: one.test\r\n\r\n", "CONNECT without a port": b"CONNECT one.test HTTP/1.1\r\nHost: one.test\r\n\r\n",
    "CONNECT with a path": b"CONNECT one.test:80/x HTTP/1.1\r\nHost: one.test\r\n\r\n", "port 0": b"CONNECT one.test:0 HTTP/1.1\r\nHost: one.test\r\n\r\n", "port 65536": b"CONNECT one.test:65536 HTTP/1.1\r\nHost: one.test\r\n\r\n",
    "TLS": hello(b"one.test"), "noise": bytes((i * 89 + 13) % 256 for i in range(512)) + b"\r\n\r\n", "a head of 40 KiB": b"GET http://one.test/ HTTP/1.1\r\nX: " + b"a" * 40000 + b"\r\n\r\n", "no version": b"GET http://one.test/\r\n\r\n",
    "length and chunks": b"POST http://one.test/ HTTP/1.1\r\nHost: one.test\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + SMUGGLED, "a folded line": b"GET http://one.test/ HTTP/1.1\r\nHost: one.test\r\nX: a\r\n b\r\n\r\n",
}  # fmt: skip

ROWS = {
    **{f"proxy: {k}": ("proxy", v) for k, v in PROXY.items()}, **{f"socks: {k}": ("socks", v) for k, v in SOCKS.items()}, **{f"http: {k}": ("http", v) for k, v in HTTP.items()}, **{f"tls: {k}": ("tls", v) for k, v in TLS.items()},
    **{f"dns: {k}": ("dns", v) for k, v in DNS.items()}, "dns-tcp: a length of 0": ("dns-tcp", b"\0\0" + bytes(20)), "dns-tcp: a length beyond all": ("dns-tcp", b"\xff\xff" + bytes(20)), "dns-tcp: noise": ("dns-tcp", framed(b"\xff" * 60)),
    **{f"CONNECT: {k}": ("proxy", b"CONNECT " + v + b":80 HTTP/1.1\r\nHost: one.test\r\n\r\n") for k, v in HOSTS.items()},
    **{f"target: {k}": ("proxy", b"GET http://" + v + b"/smuggled HTTP/1.1\r\nHost: one.test\r\n\r\n") for k, v in HOSTS.items() if k != "a slash"},
    **{f"Host: {k}": ("http", b"GET /smuggled HTTP/1.1\r\nHost: " + v + b"\r\n\r\n") for k, v in HOSTS.items()},
    **{f"SOCKS: {k}": ("socks", socks(v)) for k, v in HOSTS.items() if len(v) < 256},
}  # fmt: skip


def served(entry, out):
    """What a good one gets."""
    want = repr(GOOD[entry][1])[2:-1]
    return out.startswith(f"b'{want}") or entry == "tls" and out.startswith(("b'\\x15\\x03", "b'\\x16\\x03"))


@pytest.mark.parametrize("row", ROWS)
def test_is_refused_and_counted(net, row):
    entry, data = ROWS[row]
    before = net.internet.log()
    r = net([PYTHON, "-c", TALK, entry, data.hex(), "=" + GOOD[entry][0].hex()], "--allow-host", "one.test")
    bad, good = r.out.splitlines()
    assert served(entry, good), ("the twin", r)
    assert not served(entry, bad) and "/smuggled" not in net.internet.log()[len(before):], r
    assert "has ended" not in r.err, r.err
    lines = net.log(r)
    denied = [li for li in lines if li["event"] == "deny"]
    counted = [li for li in lines if li["event"] == "counted"]
    assert denied or counted and counted[0]["garbage"] > 0, (r, lines)
    assert all(re.fullmatch(r"[\x20-\x7e]*", li.get("reason", "")) for li in lines), lines


def outside(net, entry, data):
    """The same program without bailey."""
    return subprocess.run([*net.enter, PYTHON, "-c", TALK, entry, "=" + data.hex()], capture_output=True, text=True, check=True, timeout=20).stdout


def test_the_control_reaches_a_server_outside(net):
    """What is refused inside arrives outside: the bytes are what they should be, and some server obeys them."""
    before = net.internet.log()
    for row in ("length and chunks", "bare LF"):
        assert "HTTP/1." in outside(net, "http", HTTP[row]), row
    assert "/smuggled" in net.internet.log()[len(before):]
    assert "\\x15\\x03" in outside(net, "tls", TLS["a name with NUL"]) or "\\x16\\x03" in outside(net, "tls", TLS["a name with NUL"])


def memory(pid, what):
    found = re.search(rf"{what}:\s+(\d+)", pathlib.Path(f"/proc/{pid}/status").read_text())
    return int(found[1]) if found else 0


FLOOD = TALK.replace("for word in", "import time\nprint(repr(talk('proxy', b'x\\r\\n\\r\\n')[:9]), flush=True); time.sleep(0.5)\nn = 0\nfor i in range(6):\n  for word in").replace(
    "print(repr(talk(sys.argv[1], bytes.fromhex(word.lstrip(\"=\")), word[0] == \"=\")[:200]))", "\n    e, _, h = word.partition(':'); talk(e, bytes.fromhex(h)); n += 1") + "\nprint(n, repr(talk('proxy', bytes.fromhex(sys.argv[1]), True)[:12]), flush=True); time.sleep(20)\n"


def test_bad_input_takes_no_memory(net):
    """Every row, again and again, on one gateway: it is the same process afterwards, no larger than its bounds, and serves."""
    words = [f"{entry}:{data.hex()}" for entry, data in ROWS.values() if entry in ("proxy", "socks") and len(data) < 5000]
    words += [f"tls:{data.hex()}" for data in TLS.values() if len(data) < 300] + [f"dns:{DNS[k].hex()}" for k in ("two questions", "noise")]
    with Running(net, [PYTHON, "-c", FLOOD, GOOD["proxy"][0].hex(), *words], "--allow-host", "one.test") as run:
        assert run.proc.stdout.readline()
        pid = gateway_of(run)
        before = memory(pid, "VmRSS")
        n, _, twin = run.proc.stdout.readline().decode().partition(" ")
        assert int(n) == 6 * len(words) and twin.startswith("b'HTTP/1.1 200"), twin
        assert gateway_of(run) == pid and memory(pid, "VmHWM") - before < 4096, (before, memory(pid, "VmHWM"))
        status = control(net, run.dir, {"op": "status"})[0]
        assert status["garbage"] >= 300 and status["log-dropped"] == 0, status


SLOW = """
import select, socket, sys, time
hello, kept = bytes.fromhex(sys.argv[1]), {}
def begin(port, data, name="127.0.0.1"):
    s = socket.create_connection((name, port)); s.sendall(data[:1]); kept[s] = data[1:]
for i in range(40):
    begin(3128, b"CONNECT one.test:80 HTTP/1.1\\r\\n"); begin(1080, b"\\5\\xff" + bytes(255))
    begin(80, b"GET / HTTP/1.1\\r\\nX: " + b"a" * 99, "one.test"); begin(443, hello, "one.test")
for i in range(200): s = socket.create_connection(("127.0.0.1", 3128)); kept[s] = b""  # half open: they never say a word
print(len(kept), flush=True)
began, ended, served = time.monotonic(), 0, False
while kept and time.monotonic() - began < 60:
    for s in select.select(list(kept), [], [], 0.5)[0]:
        ended += 1; kept.pop(s); s.close()
    for s in list(kept):
        try: s.send(kept[s][:1]); kept[s] = kept[s][1:]
        except OSError: ended += 1; kept.pop(s)
    if time.monotonic() - began > 2 and not served:
        served = True; s = socket.create_connection(("127.0.0.1", 3128)); s.sendall(b"CONNECT one.test:80 HTTP/1.1\\r\\nHost: one.test\\r\\n\\r\\n"); print(s.recv(12), flush=True)
print(ended, len(kept), flush=True)
"""


def test_slow_and_half_open_clients_are_ended_and_counted(net):
    with Running(net, [PYTHON, "-c", SLOW, hello(b"one.test").hex()], "--allow-host", "one.test") as run:
        assert run.proc.stdout.readline() == b"360\n"
        pid = gateway_of(run)
        before = memory(pid, "VmRSS")
        assert run.proc.stdout.readline() == b"b'HTTP/1.1 200'\n", "others are served meanwhile"
        assert run.proc.stdout.readline() == b"360 0\n"
        assert memory(pid, "VmHWM") - before < 16384
        assert wait_for(lambda: run.proc.poll() is not None)
        err = run.proc.communicate()[1].decode()
    (counted,) = [json.loads(li) for li in net.network("log", run.dir.name, "--json").out.splitlines() if '"event":"counted"' in li]
    assert counted["timed-out"] >= 350, (counted, err)


# --- rules ---

BAD_RULES = ["", "*", ".one.test", "one..test", "one.test:", "one.test:0", "one.test:65536", "one.test:http", "one.test:80:80", "one.test/sctp", "https://one.test", "one.test/path", "one test", "one.test@x", "one%2etest",
             "\u043ene.test", "a" * 64 + ".test", "a." * 130 + "test", "0x7f.1", "127.1", "1.2.3.4/8", "[2001:db8::1", "[one.test]:80", "*.co.uk", "*.*.test", "one.*", "-one.test", "one.test/udp", "**:53/udp", "one.test\nX", "one.test\rX", "one.test\tX"]  # fmt: skip


@pytest.mark.parametrize("rule", BAD_RULES, ids=[repr(r[:30]) for r in BAD_RULES])
def test_rules_that_are_none(bailey, user, ws, rule):
    """On the command line and in a file: exit status 2, the option or the place named, nothing ran."""
    r = bailey(["run", "--allow-host", rule, "--", "echo", "RAN"], cwd=ws)
    assert (r.rc, r.out) == (2, "") and "--allow-host" in r.err and r.err.count("\n") == 1, r
    f = user.write(ws / "p.json", json.dumps({"network": {"allowedDomains": [rule]}}))
    r = bailey(["run", "--policy", f, "--", "echo", "RAN"], cwd=ws)
    assert (r.rc, r.out) == (2, "") and "network.allowedDomains" in r.err and f"{f}:1:" in r.err and r.err.count("\n") == 1, r
    r = bailey(["run", "--allow-host", "one.test", "--", "echo", "RAN"], cwd=ws)
    assert (r.rc, r.out) == (0, "RAN\n"), ("the twin", r)


def test_live_rules_that_are_none(net):
    """Over the control socket, where a rule can hold what no command line can: an error each, and nothing has changed."""
    with Running(net, ["sleep", "120"], "--allow-host", "one.test") as run:
        odd: list = [*BAD_RULES, "one.test\0.evil", None, 7, ["one.test"], {}]
        for rule in odd:
            (answer,) = control(net, run.dir, {"op": "allow", "rule": rule})
            assert answer["ok"] is False and answer["error"], (rule, answer)
        for message in ({}, {"op": "x"}, {"op": None}, [], 7, "x", None, {"op": "answer", "id": 1}, {"op": "remove", "rule": "two.test"}):
            (answer,) = control(net, run.dir, message)
            assert answer["ok"] is False and answer["error"], (message, answer)
        (policy,) = control(net, run.dir, {"op": "policy"})
        assert [r["rule"] for r in policy["rules"]] == ["one.test"]
        assert control(net, run.dir, {"op": "allow", "rule": "two.test"}) == [{"ok": True}], "the twin"
