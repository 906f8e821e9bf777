# SPDX-License-Identifier: Apache-2.0
"""HTTP/1.1 through bailey-keys: what passes, what is refused, and what the server gets to see."""
import asyncio
import socket
import ssl
import threading
import time

import pytest

HOST = b"Host: web.test:%d\r\n"


def ask(s, data: bytes) -> tuple[bytes, bytes]:
    """One request, one answer with a Content-Length or without a body: head and body."""
    s.sendall(data)
    return answer(s)


def answer(s) -> tuple[bytes, bytes]:
    head = b""
    while b"\r\n\r\n" not in head:
        got = s.recv(1 << 16)
        if not got:
            return head, b""
        head += got
    head, _, body = head.partition(b"\r\n\r\n")
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            n = int(line.split(b":")[1])
            while len(body) < n:
                got = s.recv(1 << 16)
                if not got:
                    break
                body += got
    return head, body


def status(head: bytes) -> int:
    return int(head.split()[1]) if head else 0


def get(door, target=b"/", more=b"", method=b"GET", host=None):
    return method + b" " + target + b" HTTP/1.1\r\n" + (HOST % door.port if host is None else host) + more + b"\r\n"


def closed(s) -> bool:
    """Whether nothing more comes."""
    try:
        while s.recv(1 << 16):
            pass
    except (ConnectionResetError, ssl.SSLError):
        pass
    return True


def test_a_request_and_its_answer(door, plain):
    server = plain()
    d = door(server)
    with d.talk(d.trust) as s:
        head, body = ask(s, get(d, b"/a/b?c=d", b"X-A: 1\r\nKeep-Alive: 5\r\nConnection: x-b\r\nX-B: 2\r\nTE: trailers\r\n"))
        assert status(head) == 200
        assert body == b"GET /a/b?c=d HTTP/1.1\r\nHost: web.test:%d\r\nX-A: 1\r\n\r\n" % d.port, "what ends at a connection does not pass"
        head, body = ask(s, get(d, b"/again", b"Connection: close\r\n"))
        assert status(head) == 200 and b"GET /again" in body and b"connection: close" in head.lower()
        assert closed(s)
    assert d.keys.end_of(1) == ""
    assert [(e["method"], e["target"], e["status"], e["denied"]) for e in d.keys.requests(2)] == [("GET", "/a/b?c=d", 0, 0), ("GET", "/again", 0, 0)]


def test_plain_http_is_judged_the_same(door, plain):
    d = door(plain(tls=False), tls=False, rules=[{"host": "web.test", "requests": [{"method": "GET", "path": "/yes"}]}])
    with d.talk() as s:
        assert status(ask(s, get(d, b"/yes"))[0]) == 200
        assert status(ask(s, get(d, b"/no"))[0]) == 403
        assert status(ask(s, get(d, b"/yes"))[0]) == 200


def test_head_no_body_and_interim(door, plain):
    def serve(head, s, f):
        if head.startswith(b"HEAD"):
            s.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 77\r\n\r\n")
        elif b"/hints" in head:
            s.sendall(b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 204 No Content\r\nX-End: 1\r\n\r\n")
        elif b"/304" in head:
            s.sendall(b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\nETag: \"x\"\r\n\r\n")
        else:
            assert b"xpect" not in head  # a server that answers without the body would take that for a request
            body = f.read(5)
            s.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n" + body)

    d = door(plain(serve))
    with d.talk(d.trust) as s:
        s.sendall(get(d, method=b"HEAD"))
        head = s.recv(4096)
        assert b"200 OK" in head and b"Content-Length: 77" in head and head.endswith(b"\r\n\r\n")
        head, body = ask(s, get(d, b"/hints"))
        assert head.startswith(b"HTTP/1.1 103") and b"Link: x" in head
        while not body.endswith(b"\r\n\r\n"):
            body += s.recv(4096)
        assert body.startswith(b"HTTP/1.1 204") and b"X-End: 1" in body
        s.sendall(get(d, b"/304"))
        head = s.recv(4096)
        assert head.startswith(b"HTTP/1.1 304") and head.endswith(b"\r\n\r\n")
        s.sendall(get(d, b"/post", b"Content-Length: 5\r\nExpect: 100-continue\r\n", method=b"POST"))
        assert s.recv(4096).startswith(b"HTTP/1.1 100 Continue\r\n\r\n")
        head, body = ask(s, b"hello")
        assert status(head) == 200 and body == b"hello"


def test_chunks_trailers_and_ends_by_close(door, plain):
    def serve(head, s, f):
        if b"/chunks" in head:
            text = b""
            while not text.endswith(b"\r\n\r\n"):
                text += f.readline()
            s.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n%x\r\n%b\r\n0\r\nX-T: 1\r\n\r\n" % (len(text), text))
        elif b"/empty" in head:
            s.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        else:
            s.sendall(b"HTTP/1.1 200 OK\r\n\r\nuntil the end")
            return False

    d = door(plain(serve))
    with d.talk(d.trust) as s:
        s.sendall(get(d, b"/chunks", b"Transfer-Encoding: chunked\r\n", method=b"POST") + b"3\r\nabc\r\n0\r\nX-U: 2\r\n\r\n")
        got = b""
        while not got.endswith(b"X-T: 1\r\n\r\n"):
            got += s.recv(4096)
        assert b"3\r\nabc\r\n0\r\nX-U: 2\r\n\r\n" in got
        assert status(ask(s, get(d, b"/empty", b"Content-Length: 0\r\n", method=b"POST"))[0]) == 200
        s.sendall(get(d, b"/close"))
        got = b""
        while True:
            more = s.recv(4096)
            if not more:
                break
            got += more
        assert got.endswith(b"until the end") and b"connection: close" in got.lower()


def test_an_old_client_gets_no_chunks(door, plain):
    def serve(head, s, f):
        s.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n")

    d = door(plain(serve))
    with d.talk(d.trust) as s:
        s.sendall(b"GET / HTTP/1.0\r\n" + HOST % d.port + b"\r\n")
        got = b""
        while True:
            more = s.recv(4096)
            if not more:
                break
            got += more
    assert got.endswith(b"\r\n\r\nhello") and b"chunked" not in got.lower()


SMUGGLED = [
    ("CL and TE", b"POST / HTTP/1.1\r\n%bContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    ("two lengths", b"POST / HTTP/1.1\r\n%bContent-Length: 4\r\nContent-Length: 5\r\n\r\nabcd"),
    ("a folded field", b"GET / HTTP/1.1\r\n%bX: a\r\n b\r\n\r\n"),
    ("a chunk's extension", b"POST / HTTP/1.1\r\n%bTransfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n0\r\n\r\n"),
    ("a bare LF", b"GET / HTTP/1.1\n%bX: a\r\n\r\n"),
    ("a blank before the colon", b"GET / HTTP/1.1\r\n%bTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n"),
    ("two hosts", b"GET / HTTP/1.1\r\n%bHost: other.test\r\n\r\n"),
    ("HTTP/2 in clear", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    ("no HTTP", b"\x00\x01\x02\r\n\r\n"),
]


@pytest.mark.parametrize("data", [d for _, d in SMUGGLED], ids=[n for n, _ in SMUGGLED])
def test_smuggling_on_a_kept_connection(door, plain, data):
    server = plain()
    d = door(server)
    with d.talk(d.trust) as s:
        assert status(ask(s, get(d))[0]) == 200, "the control"
        hidden = get(d, b"/hidden")
        s.sendall((data % (HOST % d.port) if b"%b" in data else data) + hidden)
        head, _ = answer(s)
        assert status(head) == 400 and b"connection: close" in head.lower()
        assert closed(s)
    assert not any(b"/hidden" in h for h in server.heads)
    assert d.keys.end_of(1) != ""
    if b"chunked\r\n\r\n5;" not in data:
        assert len(server.heads) == 1
        d.keys.wait(lambda e: e["kind"] == "request" and e["status"] == 400 and e["denied"])


def test_an_answer_that_was_not_asked_for_ends_it(door, plain):
    def serve(head, s, f):
        s.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison")

    d = door(plain(serve))
    with d.talk(d.trust) as s:
        head, body = ask(s, get(d))
        assert status(head) == 200 and body == b"ok"
        assert closed(s)
    assert "not asked for" in d.keys.end_of(1)


@pytest.mark.parametrize("method", [b"HeAd", b"HEAD"])
def test_a_body_is_not_the_answer_to_the_next_request(door, plain, method):
    """Servers that compare methods exactly answer "HeAd" with a body, and some do for HEAD itself."""
    poison = b"HTTP/1.1 101 x\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\nraw"

    def serve(head, s, f):
        s.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(poison), poison))

    server = plain(serve)
    d = door(server)
    with d.talk(d.trust) as s:
        head, body = ask(s, get(d, b"/file", method=method) + get(d, b"/next", b"Connection: upgrade\r\nUpgrade: websocket\r\n"))
        assert status(head) == 200
        if method == b"HeAd":
            assert body == poison, "it is a body, and the next request is one"
            head, body = answer(s)
            assert status(head) == 200 and body == poison
            assert len(server.heads) == 2
        else:
            assert body == b"" and closed(s)
            assert "not asked for" in d.keys.end_of(1) and len(server.heads) == 1


@pytest.mark.parametrize("host", [b"Host: other.test\r\n", b"Host: web.test:1\r\n", b"Host: sub.web.test\r\n", b"Host: 127.0.0.1\r\n", b"Host: web.test\r\n"])
def test_another_host_is_421(door, plain, host):
    server = plain()
    d = door(server)
    with d.talk(d.trust) as s:
        head, body = ask(s, get(d, host=host))
        assert status(head) == 421 and b"fronting" in body
        assert status(ask(s, get(d))[0]) == 200, "the right one, on the same connection"
        assert status(ask(s, get(d, b"https://other.test:%d/" % d.port))[0]) == 421, "in the target"
        assert status(ask(s, get(d, b"http://web.test:%d/" % d.port))[0]) == 421, "another scheme"
        head, body = ask(s, get(d, b"https://WEB.test:%d/abs" % d.port))
        assert status(head) == 200 and body.startswith(b"GET /abs HTTP/1.1\r\n")
    assert len(server.heads) == 2
    assert [e["denied"] for e in d.keys.requests(5)] == [1, 0, 1, 1, 0]


@pytest.mark.parametrize("method", [b"TRACE", b"TRACK", b"CONNECT"])
def test_trace_is_405(door, plain, method):
    server = plain()
    d = door(server)
    target = b"web.test:%d" % d.port if method == b"CONNECT" else b"/"
    with d.talk(d.trust) as s:
        assert status(ask(s, get(d, target, method=method))[0]) == 405
        assert status(ask(s, get(d, method=b"OPTIONS", target=b"*"))[0]) == 200
    assert len(server.heads) == 1


def test_rules(door, plain):
    server = plain()
    rules = ["other.test",
             {"host": "web.test", "requests": [
                 {"path": "/closed", "action": "deny", "reason": "not today"},
                 {"path": {"startsWith": "/fixed/"}, "action": {"response": {"status": 418, "headers": {"X-A": "b", "Content-Type": "text/html"}, "body": "<p>tea"}}},
                 {"method": "POST", "path": {"regex": "^/acme/[^/]+/git-upload-pack$"}},
                 {"headers": {"X-Go": "yes"}, "action": {"headers": {"X-Added": "1", "user-agent": None, "accept": "text/plain"}}},
                 {"method": ["GET", "HEAD"], "path": {"startsWith": "/acme/"}}]}]
    d = door(server, rules=rules)
    with d.talk(d.trust) as s:
        head, body = ask(s, get(d, b"/closed"))
        assert status(head) == 403 and b"not today" in body and b"X-Bailey: denied" in head
        head, body = ask(s, get(d, b"/fixed/x"))
        assert status(head) == 418 and body == b"<p>tea" and b"x-a: b" in head and head.lower().count(b"content-type") == 1
        assert status(ask(s, get(d, b"/acme/x"))[0]) == 200
        assert status(ask(s, get(d, b"/acme/../secret"))[0]) == 403
        assert status(ask(s, get(d, b"/acme/%2e%2e/secret"))[0]) == 400
        assert status(ask(s, get(d, b"/acme%2fx"))[0]) == 400
        head, body = ask(s, get(d, b"/x/../acme/%61?q=%2f"))
        assert status(head) == 200 and body.startswith(b"GET /acme/a?q=%2f HTTP"), "what was judged is sent"
        assert status(ask(s, get(d, b"/acme/repo/git-upload-pack", b"Content-Length: 0\r\n", method=b"POST"))[0]) == 200
        head, body = ask(s, get(d, b"/any", b"X-Go: yes\r\nUser-Agent: a\r\nAccept: a\r\nAccept: b\r\n"))
        assert status(head) == 200 and b"x-added: 1" in body and b"User-Agent" not in body and body.lower().count(b"accept:") == 1
        assert status(ask(s, get(d, b"/any", b"X-Go: yes\r\nX-Go: no\r\n"))[0]) == 403, "each of them must match"
        head, _ = ask(s, get(d, b"/acme/repo/git-receive-pack", b"Content-Length: 3\r\n", method=b"POST") + b"abc")
        assert status(head) == 403 and b"connection: close" in head.lower()
        assert closed(s)
    log = d.keys.requests(11)
    assert log[0]["denied"] == 1 and log[0]["why"] == "not today" and log[0]["status"] == 403
    assert (log[1]["status"], log[1]["denied"], log[1]["why"]) == (418, 0, "web.test requests[1]")
    assert log[2]["why"] == "web.test requests[4]"
    assert log[-1]["why"].startswith("no entry")


def test_rules_are_replaced(door, plain):
    d = door(plain(), rules=["web.test"])
    with d.talk(d.trust) as s:
        assert status(ask(s, get(d, b"/a"))[0]) == 200
        assert d.keys.say({"inspect": [{"host": "web.test", "requests": [{"path": "/b"}]}]}) == {"ok": True}
        assert status(ask(s, get(d, b"/a"))[0]) == 403
        assert status(ask(s, get(d, b"/b"))[0]) == 200
        assert "error" in d.keys.say({"inspect": [{"host": "web.test", "requests": [{"nonsense": "/a"}]}]})
        assert "error" in d.keys.say("nonsense")
        assert status(ask(s, get(d, b"/a"))[0]) == 403, "the ones before still hold"
        for i in range(30):
            assert d.keys.say({"inspect": [{"host": "web.test", "requests": [{"path": f"/{i}"}]}]}) == {"ok": True}
        assert status(ask(s, get(d, b"/29"))[0]) == 200
        assert d.keys.say({"inspect": []}) == {"ok": True}
        assert status(ask(s, get(d, b"/a"))[0]) == 200


def test_a_server_that_breaks_off(door, plain):
    def serve(head, s, f):
        if b"/none" in head:
            return False
        if b"/bad" in head:
            s.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n")
        elif b"/half" in head:
            s.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
            return False
        elif b"/early" in head:
            s.sendall(b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 4\r\nConnection: close\r\n\r\nstop")
            s.shutdown(socket.SHUT_WR)
            time.sleep(1)
            return False
        return True

    d = door(plain(serve))
    with d.talk(d.trust) as s:
        head, body = ask(s, get(d, b"/none"))
        assert status(head) == 502 and b"without an answer" in body
    with d.talk(d.trust) as s:
        head, body = ask(s, get(d, b"/bad"))
        assert status(head) == 502 and b"Content-Length" in body
    with d.talk(d.trust) as s:
        head, body = ask(s, get(d, b"/half"))
        assert status(head) == 200 and body == b"half"
    assert "not sent all" in d.keys.end_of(3)
    r = d.curl("-i", "-H", "Expect:", "--data-binary", "@-", path="/early", ca=d.ca, input=bytes(90000000))
    assert b"413 Content Too Large" in r.stdout and r.stdout.endswith(b"stop"), r


@pytest.mark.parametrize("tls", [True, False], ids=["tls", "plain"])
def test_websocket(door, plain, web, tls):
    websockets = pytest.importorskip("websockets")

    async def handler(ws):
        async for m in ws:
            await ws.send(m)

    async def main(d):
        context = d.trust if tls else None
        async with websockets.connect(f"{'wss' if tls else 'ws'}://web.test:{d.port}/chat", host="127.0.0.1", port=d.port, ssl=context, max_size=None, **({"server_hostname": "web.test"} if tls else {})) as ws:
            for m in ("hello", b"\0" * 3000000, "bye"):
                await ws.send(m)
                assert await ws.recv() == m

    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    from conftest import server_context
    server = loop.run_until_complete(websockets.serve(handler, "127.0.0.1", 0, ssl=server_context(web) if tls else None, max_size=None))
    address = server.sockets[0].getsockname()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    d = door(address, tls=tls, rules=[{"host": "web.test", "requests": [{"path": "/chat"}]}])
    asyncio.run(main(d))
    assert d.keys.end_of(1) == ""
    with d.talk(d.trust if tls else None) as s:
        # something else than WebSocket is not asked for
        head, _ = ask(s, get(d, b"/chat", b"Connection: Upgrade\r\nUpgrade: h2c\r\nHTTP2-Settings: AA\r\n"))
        assert status(head) not in (0, 101)
        assert status(ask(s, get(d, b"/other", b"Connection: Upgrade\r\nUpgrade: websocket\r\n"))[0]) in (0, 403)
    server.close()
    asyncio.run_coroutine_threadsafe(server.wait_closed(), loop).result(10)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(10)


def test_an_upgrade_that_was_not_asked_for(door, plain):
    def serve(head, s, f):
        s.sendall(b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n")

    d = door(plain(serve))
    with d.talk(d.trust) as s:
        assert status(ask(s, get(d))[0]) == 502
    assert "not asked for" in d.keys.end_of(1)
    with d.talk(d.trust) as s:
        assert status(ask(s, get(d, b"/", b"Connection: upgrade\r\nUpgrade: websocket\r\n"))[0]) == 101, "the control"
