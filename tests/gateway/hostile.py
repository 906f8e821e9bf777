# SPDX-License-Identifier: Apache-2.0
"""A DNS server that does what servers must not: hostile.py MODE [ADDRESS...]. Each question it gets is a line of JSON on standard output."""
import json
import os
import socket
import struct
import sys
import threading
import time

A, CNAME, SOA, TXT, AAAA, OPT = 1, 5, 6, 16, 28, 41
counts: dict[str, int] = {}
lock = threading.Lock()


def name(text: str) -> bytes:
    return b"".join(bytes([len(label)]) + label.encode() for label in text.split(".") if label) + b"\0"


def record(owner: bytes, kind: int, ttl: int, data: bytes) -> bytes:
    return owner + struct.pack(">HHIH", kind, 1, ttl, len(data)) + data


class Question:
    def __init__(self, p: bytes) -> None:
        self.id, self.flags, _, _, _, more = struct.unpack(">6H", p[:12])
        labels, at = [], 12
        while p[at]:
            labels.append(p[at + 1:at + 1 + p[at]].decode())
            at += p[at] + 1
        self.name = ".".join(labels)
        self.type = struct.unpack(">H", p[at + 1:at + 3])[0]
        self.raw = p[12:at + 5]
        self.edns = more == 1

    def answer(self, records: list[bytes], rcode: int = 0, flags: int = 0x8180, ident: int | None = None, question: bytes | None = None,
               counts: tuple[int, ...] | None = None) -> bytes:
        head = struct.pack(">6H", self.id if ident is None else ident, flags | rcode, *(counts or (1, len(records), 0, 0)))
        return head + (self.raw if question is None else question) + b"".join(records)

    def addr(self, last: int = 1, ttl: int = 60, owner: bytes = b"\xc0\x0c") -> bytes:
        if self.type == AAAA:
            return record(owner, AAAA, ttl, socket.inet_pton(socket.AF_INET6, f"2001:db8::{last}"))
        return record(owner, A, ttl, socket.inet_aton(f"192.0.2.{last}"))


def wrong_first(q: Question) -> list[bytes]:
    """Everything that is not the answer, and then the answer."""
    good = q.answer([q.addr()])
    return [
        q.answer([q.addr(66)], ident=q.id ^ 1),
        q.answer([q.addr(66)], ident=(q.id + 1) & 0xffff),
        q.answer([q.addr(66)], question=name("other.example") + q.raw[-4:]),
        q.answer([q.addr(66)], question=name(q.name) + b"\0\x01\0\x03"),
        q.answer([q.addr(66), b"\0"]),
        q.answer([q.addr(66)], counts=(1, 2, 0, 0)),
        q.answer([q.addr(66)], flags=0x0180),
        q.answer([record(b"\xc0\x0c", q.type, 1, b"\x42")]),
        q.answer([record(b"\xc0\xff", q.type, 1, b"\x42" * 4)]),
        q.answer([record(b"\xc0\x0c", CNAME, 1, b"\xc0\x0c")]),
        q.answer([record(b"\xc0\x0c", CNAME, 1, name("a.example")), record(name("a.example"), CNAME, 1, b"\xc0\x0c")]),
        good[:-1], good[:13], good[:1], b"", os.urandom(400), b"\xff" * 9000,
        good,
        q.answer([q.addr(67)]),  # too late
    ]


def serve(mode: str, q: Question, times: int, tcp: bool) -> list[bytes]:
    """What is sent to a question that comes for the @times. time (from 1 on)."""
    ok = [q.answer([q.addr()])]
    truncated = [q.answer([], flags=0x8380)]
    if mode == "wrong-first":
        return wrong_first(q)
    if mode == "only-wrong-ids":
        return [q.answer([q.addr(66)], ident=(q.id + i) & 0xffff) for i in range(1, 201)]
    if mode == "rebind":
        return [q.answer([q.addr(times, ttl=0)])]
    if mode == "long-ttl":
        return [q.answer([q.addr(ttl=0x7fffffff)])]
    if mode == "negative-long":
        return [q.answer([record(b"\0", SOA, 86400, name("a") + name("b") + struct.pack(">5I", 1, 1, 1, 1, 86400))], rcode=3, counts=(1, 0, 1, 0))]
    if mode == "silent":
        return []
    if mode == "no-aaaa":
        return [] if q.type == AAAA else ok
    if mode == "servfail":
        return [q.answer([], rcode=2)]
    if mode == "refused":
        return [q.answer([], rcode=5)]
    if mode in ("no-edns", "no-edns-header"):
        if q.edns:
            return [q.answer([], rcode=1, question=b"", counts=(0, 0, 0, 0)) if mode == "no-edns-header" else q.answer([], rcode=4)]
        return ok
    if mode == "aaaa-other-chain":
        alias = name("v6.example" if q.type == AAAA else "v4.example")
        return [q.answer([record(b"\xc0\x0c", CNAME, 60, alias), q.addr(owner=alias)])]
    if mode == "txt-addresses":  # an answer of another type than what was asked for
        return [q.answer([record(b"\xc0\x0c", A, 60, b"\xc0\0\2\1")])]
    if mode.startswith("tcp-"):
        if not tcp:
            return truncated
        answers: dict[str, list[bytes]] = {"tcp-ok": ok, "tcp-wrong-id": [q.answer([q.addr(66)], ident=q.id ^ 1)], "tcp-truncated": truncated, "tcp-long": [ok[0] + b"\0" * 40000],
                "tcp-short": [b"\0" * 5], "tcp-bytewise": ok, "tcp-cut": ok, "tcp-silent": [], "tcp-close": ok}
        return answers[mode]
    return ok


def note(q: Question, peer: tuple, tcp: bool) -> int:
    with lock:
        key = f"{q.name} {q.type} {tcp}"
        counts[key] = counts.get(key, 0) + 1
        print(json.dumps({"name": q.name, "type": q.type, "id": q.id, "port": peer[1], "tcp": tcp, "edns": q.edns}), flush=True)
        return counts[key]


def udp(mode: str, sock: socket.socket, other: socket.socket) -> None:
    while True:
        data, peer = sock.recvfrom(65536)
        q = Question(data)
        times = note(q, peer, False)
        if mode == "other-source":
            other.sendto(q.answer([q.addr(66)]), peer)
            time.sleep(0.1)
        for m in serve(mode, q, times, False):
            sock.sendto(m, peer)


def tcp_one(mode: str, conn: socket.socket, peer: tuple) -> None:
    data = b""
    while len(data) < 2 or len(data) < 2 + struct.unpack(">H", data[:2])[0]:
        more = conn.recv(65536)
        if not more:
            return
        data += more
    q = Question(data[2:])
    times = note(q, peer, True)
    if mode == "tcp-close":
        conn.close()
        return
    for m in serve(mode, q, times, True):
        out = struct.pack(">H", len(m)) + m
        if mode == "tcp-cut":
            out = out[:-3]
        try:
            for i in range(len(out) if mode == "tcp-bytewise" else 1):
                conn.sendall(out[i:i + 1] if mode == "tcp-bytewise" else out)
                time.sleep(0.002)
        except OSError:
            break
    if mode == "tcp-silent":
        time.sleep(60)
    conn.close()


def main() -> None:
    mode = sys.argv[1]
    for address in sys.argv[2:] or ["127.0.0.1"]:
        family, where = socket.getaddrinfo(address, 53, type=socket.SOCK_DGRAM)[0][::4]
        sock, other = socket.socket(family, socket.SOCK_DGRAM), socket.socket(family, socket.SOCK_DGRAM)
        sock.bind(where)
        threading.Thread(target=udp, args=(mode, sock, other), daemon=True).start()
        if mode.startswith("tcp-") and mode != "tcp-refused":
            listener = socket.create_server(where[:2], family=family, backlog=100)

            def accept(listener: socket.socket = listener) -> None:
                while True:
                    threading.Thread(target=tcp_one, args=(mode, *listener.accept()), daemon=True).start()
            threading.Thread(target=accept, daemon=True).start()
    print("ready", flush=True)
    while True:
        time.sleep(60)


main()
