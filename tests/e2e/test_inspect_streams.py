# SPDX-License-Identifier: Apache-2.0
"""What goes both ways for as long as it likes, looked into: gRPC over HTTP/2 and WebSockets, by real clients that are told of no authority, with a secret that they do not have."""
import contextlib
import json
import os

import pytest

from conftest import PYTHON, skip, wait_for
from test_credentials import VALUE, secret
from test_gateway_clients import BOTH, Servers, need
from test_inspect import Inside, requests

KEY = "streams"
OPEN = ["--allow-host", "grpc.test", "--allow-host", "web.test"]
BOUND = [*OPEN, "--secret", KEY]
LOOKED = [*OPEN, "--inspect", "grpc.test", "--inspect", "web.test"]

# KEY: a message is sent when the one before it has been answered, so nothing on the way may wait for an end.
GRPC = """
import grpc, os, queue, sys
fields = [w.split("=", 1) for w in sys.argv[1:]]
channel = grpc.secure_channel("grpc.test:443", grpc.ssl_channel_credentials())
to = queue.Queue()
try:
    chat = channel.stream_stream("/t.Test/Chat")(iter(to.get, None), metadata=fields, timeout=40)
    print(dict(chat.initial_metadata()).get("x-echo"), flush=True)
    for n in (5, 70000, 3 << 20):
        to.put(b"x" * n)
        assert next(chat) == b"X" * n
    to.put(None)
    assert list(chat) == []
    print(dict(chat.trailing_metadata()).get("x-echo-last"))
    print(channel.unary_unary("/t.Test/Upper")(b"one", metadata=fields, timeout=40).decode(), len(list(channel.unary_stream("/t.Test/Many")(b"500", metadata=fields, timeout=40))))
except grpc.RpcError as e:
    print(e.code().name)
    to.put(None)
"""
SOCKET = """
import asyncio, http.client, ssl, sys, websockets
way, fields = sys.argv[1], [w.split("=", 1) for w in sys.argv[2:]]
sock = None
if way == "proxy":
    c = http.client.HTTPConnection("127.0.0.1", 3128); c.set_tunnel("web.test", 443); c.connect(); sock = c.sock; sock.setblocking(False)
async def main():
    try:
        ws = await websockets.connect("wss://web.test/ws", sock=sock, ssl=ssl.create_default_context(), server_hostname="web.test", max_size=1 << 25, extra_headers=fields)
    except websockets.InvalidStatusCode as e:
        print(e.status_code)
        return
    for n in (5, 70000, 3 << 20):
        await ws.send(b"x" * n)
        assert await ws.recv() == b"x" * n
    await (await ws.ping())
    await ws.close()
    print("echoed")
asyncio.run(asyncio.wait_for(main(), 40))
"""


@pytest.fixture(scope="module")
def internet():
    if os.geteuid() != 0:
        skip("servers in namespaces of their own need root")
    need("nginx", "dnsmasq", "git", "openssl")
    servers = Servers("grpc")
    yield servers
    servers.end()


@pytest.fixture
def at(internet, user, ws, works):
    assert works(user) == ""
    user.write(ws / "ca.crt", (internet.dir / "ca.crt").read_text(), 0o600)
    user.write(ws / "rpc.py", GRPC)
    user.write(ws / "web.py", SOCKET)
    inside = Inside(internet, user, ws)
    secret(inside, "rm", KEY, check=False)
    secret(inside, "set", KEY, "--host", "grpc.test", "--host", "web.test", "--header", "X-Key", "--env", "OWN_KEY", stdin=VALUE)
    yield inside
    secret(inside, "rm", KEY)


def new_lines(at, name, done=1):
    """Of a log of the servers, since the last call: at least DONE."""
    seen, path = at.__dict__.setdefault("seen", {}), at.internet.dir / name
    wait_for(lambda: len(path.read_text().splitlines()) >= seen.get(name, 0) + done)
    lines = path.read_text().splitlines()
    seen[name], new = len(lines), lines[seen.get(name, 0):]
    return new


def calls(at, done=1):
    """[x-key, authorization] of each Chat that arrived."""
    return [line.split(" ", 1) for line in new_lines(at, "grpc.log", done)]


def sockets(at, done=1):
    """X-Key of each handshake that arrived. The server logs when it is over."""
    return [line.rsplit('"', 2)[-2] for line in new_lines(at, "keys.log", done) if " web.test /ws " in line]


@BOTH
def test_grpc_has_the_secret_in_its_metadata_and_streams_both_ways(at, env):
    calls(at, 0)
    r = at([*env, "sh", "-c", f'{PYTHON} rpc.py "x-key=$OWN_KEY"; echo "$OWN_KEY"'], *BOUND)
    first, last, rest, stand_in = r.out.splitlines()
    assert stand_in.startswith("bailey-secret-") and (first, last, rest) == (stand_in, stand_in, "ONE 500") and VALUE not in r.out + r.err, r
    assert calls(at) == [[VALUE, "None"]]
    log = [e for e in at.log(r) if e["event"] == "request"]
    assert [(e["decision"], e["method"], e["target"], e.get("secret")) for e in log] == [("allow", "POST", f"/t.Test/{n}", KEY) for n in ("Chat", "Upper", "Many")], log
    # the twin: looked into, and nothing is bound
    r = at([*env, PYTHON, "rpc.py", "x-key=own"], *LOOKED)
    assert r.out == "own\nown\nONE 500\n" and calls(at) == [["own", "None"]], r
    assert len(requests(at, r)) == 3
    # the control: not looked into, the server's own authority is none that the client trusts
    r = at([*env, PYTHON, "rpc.py", "x-key=own"], *OPEN)
    assert r.out == "None\nUNAVAILABLE\n" and calls(at, 0) == [], r
    r = at([*env, PYTHON, "rpc.py", "x-key=own"], *OPEN, "--env", "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH=ca.crt")
    assert r.out == "own\nown\nONE 500\n" and calls(at) == [["own", "None"]], r


@pytest.mark.parametrize("field", ["x-key=another", "authorization=Bearer another", "x-api-key=another", "cookie=session=another"])
def test_grpc_with_another_credential_is_refused(at, field):
    calls(at, 0)
    r = at([PYTHON, "rpc.py", field], *BOUND)
    assert r.out == "None\nPERMISSION_DENIED\n" and calls(at, 0) == [], r
    assert any(e["decision"] == "deny" and "foreign-credential" in e.get("reason", "") for e in at.log(r) if e["event"] == "request"), at.log(r)
    r = at([PYTHON, "rpc.py", field], *LOOKED)
    assert r.out.endswith("ONE 500\n") and len(calls(at)) == 1, r


def test_methods_of_grpc_by_rule(at):
    """The path of a call is its service and method."""
    def talk(*denials):
        rule = {"host": "grpc.test", "requests": [*denials, {"method": "POST", "path": {"startsWith": "/t.Test/"}}]}
        return at([PYTHON, "rpc.py"], "--allow-host", "grpc.test", "--inspect", json.dumps(rule))

    r = talk()
    assert r.out == "nothing\nnothing\nONE 500\n", r
    calls(at, 0)
    r = talk({"path": "/t.Test/Chat", "action": "deny", "reason": "no talk"})
    assert r.out == "None\nPERMISSION_DENIED\n" and calls(at, 0) == [] and requests(at, r) == [("deny", "POST", "/t.Test/Chat")], r


@pytest.mark.parametrize("way", ["captured", "proxy"])
def test_a_websocket_has_the_secret_in_its_handshake_and_goes_both_ways(at, way):
    sockets(at, 0)
    r = at(["sh", "-c", f'{PYTHON} web.py {way} "X-Key=$OWN_KEY"; echo "$OWN_KEY"'], *BOUND)
    assert r.out.startswith("echoed\nbailey-secret-") and VALUE not in r.out + r.err, r
    assert sockets(at) == [VALUE]
    [e] = [e for e in at.log(r) if e["event"] == "request"]
    assert (e["decision"], e["target"], e["secret"]) == ("allow", "/ws", KEY), e
    # looked into, and nothing is bound
    r = at([PYTHON, "web.py", way, "X-Key=own"], *LOOKED)
    assert r.out == "echoed\n" and sockets(at) == ["own"] and requests(at, r) == [("allow", "GET", "/ws")], r
    # not looked into: the same server, whose authority the client is told of
    r = at([PYTHON, "web.py", way, "X-Key=own"], *OPEN, "--env", "SSL_CERT_FILE=ca.crt")
    assert r.out == "echoed\n" and sockets(at) == ["own"] and requests(at, r) == [], r


@pytest.mark.parametrize("field", ["X-Key=another", "Authorization=Bearer another", "Cookie=session=another"])
def test_a_websocket_with_another_credential_is_refused(at, field):
    sockets(at, 0)
    r = at([PYTHON, "web.py", "captured", field], *BOUND)
    assert r.out == "403\n" and sockets(at, 0) == [], r
    assert any(e["decision"] == "deny" and "foreign-credential" in e.get("reason", "") for e in at.log(r) if e["event"] == "request"), at.log(r)
    r = at([PYTHON, "web.py", "captured", field], *LOOKED)
    assert r.out == "echoed\n" and len(sockets(at)) == 1, r


# Goes on until it is ended, and counts in the file `count`; `again` makes it open another one. Says how that was answered, and how the first ended.
HELD = {
    "grpc.test": """
import grpc, os, queue, time
fields = [("x-key", os.environ["OWN_KEY"])]
channel = grpc.secure_channel("grpc.test:443", grpc.ssl_channel_credentials())
to = queue.Queue()
chat = channel.stream_stream("/t.Test/Chat")(iter(to.get, None), metadata=fields)
n, asked = 0, False
try:
    while True:
        to.put(b"x")
        assert next(chat) == b"X"
        n += 1
        with open("count", "w") as f: f.write(str(n))
        if not asked and os.path.exists("again"):
            asked = True
            try: print(channel.unary_unary("/t.Test/Upper")(b"one", metadata=fields, timeout=40), flush=True)
            except grpc.RpcError as e: print(e.code().name, flush=True)
            open("answered", "w").close()
        time.sleep(0.02)
except grpc.RpcError as e:
    print("ended", flush=True)
os._exit(0)
""",
    "web.test": """
import asyncio, os, ssl, websockets
def open_one(): return websockets.connect("wss://web.test/ws", ssl=ssl.create_default_context(), extra_headers=[("X-Key", os.environ["OWN_KEY"])])
async def main():
    n, asked, ws = 0, False, await open_one()
    try:
        while True:
            await ws.send(b"x")
            assert await ws.recv() == b"x"
            n += 1
            with open("count", "w") as f: f.write(str(n))
            if not asked and os.path.exists("again"):
                asked = True
                try: print(await open_one(), flush=True)
                except websockets.InvalidStatusCode as e: print(e.status_code, flush=True)
                open("answered", "w").close()
            await asyncio.sleep(0.02)
    except websockets.ConnectionClosed:
        print("ended", flush=True)
asyncio.run(main())
os._exit(0)
""",
}


@pytest.mark.parametrize("host, refused", [("grpc.test", "PERMISSION_DENIED"), ("web.test", "403")])
def test_what_is_open_outlives_its_secret_and_not_its_host(at, host, refused):
    """A secret that is taken away is put into nothing new, while what has begun with it goes on; a denial of the host ends it, one of another host does not."""
    at.user.write(at.ws / "held.py", HELD[host])

    def goes_on():
        def count():
            return int((at.ws / "count").read_text() or 0) if (at.ws / "count").exists() else 0

        before = count()
        return wait_for(lambda: count() > before + 3)

    p = at.start([PYTHON, "held.py"], *BOUND)
    assert p.stderr
    err, said = p.stderr.fileno(), bytearray()
    os.set_blocking(err, False)

    def told():
        with contextlib.suppress(BlockingIOError):
            said.extend(os.read(err, 65536))
        return f"secret '{KEY}' was removed".encode() in said

    try:
        assert goes_on()
        secret(at, "rm", KEY)
        assert wait_for(told) and goes_on()
        at.user.write(at.ws / "again", "")
        assert wait_for((at.ws / "answered").exists) and goes_on()
        assert at.network("deny", at.run_id(), "denied.test").rc == 0 and goes_on()
        assert at.network("deny", at.run_id(), host).rc == 0
        out = p.communicate(timeout=60)[0].decode()
    finally:
        p.kill()
        p.wait()
        secret(at, "set", KEY, "--host", "grpc.test", "--host", "web.test", "--header", "X-Key", "--env", "OWN_KEY", stdin=VALUE)
    assert out == f"{refused}\nended\n", out
