# SPDX-License-Identifier: Apache-2.0
"""Requests signed for AWS through the process itself; test_sigv4.py has what of it is pure."""
import os

import pytest

import test_sigv4 as sigv4
from test_bound import HOST, store  # noqa: F401 (a fixture)
from test_h1 import ask, status


@pytest.mark.parametrize("sizes", [[1 << 16] * 3, [1 << 17] * 3, [1 << 18] * 2 + [5]])
def test_chunks_of_aws_as_large_as_they_may_be(store, door, plain, authority, sizes):
    """Through the process itself: what is held for a signature leaves as one piece, so its buffers must take that."""
    host, kept = HOST, []

    def serve(head, s, f):
        kept.append(head + f.read(int(head.lower().split(b"\r\ncontent-length: ")[1].split(b"\r\n")[0])))
        s.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    server = plain(serve, cert=authority.issue(f"s3-{len(sizes)}-{sizes[0]}", f"DNS:{host}"))
    d = door(server, host=host, **store("set", "aws", "--service", "aws", value=":".join(sigv4.REAL)))
    d.port = 443
    env = d.keys.hello["env"]
    sent = sigv4.Client((env["AWS_ACCESS_KEY_ID"], env["AWS_SECRET_ACCESS_KEY"])).stream("/key", [os.urandom(n) for n in sizes])
    with d.talk(d.trust) as s:
        assert status(ask(s, sent.bytes())[0]) == 200
    got = sigv4.Message.parse(kept[0])
    assert sigv4.Server().check(got) == "" and len(got.body) == len(sent.body)


def chunked(m):
    """The same body in chunks: nothing says its length any more."""
    m.fields = [("Transfer-Encoding", "chunked") if n == "Content-Length" else (n, v) for n, v in m.fields]
    m.body = b"%x\r\n%b\r\n0\r\n\r\n" % (len(m.body), m.body)


def longer(m):
    m.fields = [(n, str(len(m.body) + 1) if n == "Content-Length" else v) for n, v in m.fields]
    m.body += b"!"


@pytest.mark.parametrize("body, change, good", [
    (b"body", None, True), (b"", None, True), (b"body" * 30000, None, True),
    (b"body", longer, False), (b"body", chunked, False),
    (b"body", lambda m: m.fields.append(("Content-Length", "4")), False),
    (b"body", lambda m: m.fields.append(("Transfer-Encoding", "chunked")), False),
], ids=["short", "empty", "long", "another", "chunked", "twice", "both"])  # fmt: skip
def test_a_length_that_aws_signs(store, door, plain, authority, body, change, good):
    """What is verified is the number that the client has sent, and what is signed anew is the one that goes out: once, with as many bytes behind it."""
    kept = []

    def serve(head, s, f):
        kept.append(head + f.read(int(head.lower().split(b"\r\ncontent-length: ")[1].split(b"\r\n")[0])))
        s.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    server = plain(serve, cert=authority.issue("s3-length", f"DNS:{HOST}"))
    d = door(server, host=HOST, **store("set", "aws", "--service", "aws", value=":".join(sigv4.REAL)))
    d.port = 443
    env = d.keys.hello["env"]
    client = sigv4.Client((env["AWS_ACCESS_KEY_ID"], env["AWS_SECRET_ACCESS_KEY"]))
    m = client.sign("PUT", "/key", [] if body else [("Content-Length", "0")], body, payload="UNSIGNED-PAYLOAD")
    assert "content-length;" in m.all("authorization")[0]
    if change:
        change(m)
    with d.talk(d.trust) as s:
        assert status(ask(s, m.bytes())[0]) in ((200,) if good else (400, 403))
    if not good:
        assert kept == [] and d.keys.requests()[0]["denied"] == 1
        return
    got = sigv4.Message.parse(kept[0])
    assert sigv4.Server().check(got) == "" and got.body == body and got.all("content-length") == [str(len(body))] and not got.all("transfer-encoding")
