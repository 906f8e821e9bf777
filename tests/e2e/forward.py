#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A forward proxy of another program: forward.py http|socks WHERE LOG [REFUSE...], WHERE a port of 127.0.0.1, ADDRESS:PORT, or the path of a unix socket.

http: CONNECT, and requests with an absolute target, which it reads itself. socks: SOCKS5 without a password. A line of LOG for each request, as it came, then what
Proxy-Authorization said. What names one of REFUSE is answered 403 (SOCKS: 2). Prints "ready" when it listens.
"""
import os
import select
import socket
import sys
import threading
import urllib.parse


def relay(a, b):
    peers = {a: b, b: a}
    while peers:
        for s in select.select(list(peers), [], [])[0]:
            try:
                data = s.recv(65536)
                if data:
                    peers[s].sendall(data)
            except OSError:
                return
            if not data:
                try:
                    peers.pop(s).shutdown(socket.SHUT_WR)
                except OSError:
                    return


def read(conn, n):
    data = b""
    while len(data) < n:
        more = conn.recv(n - len(data))
        if not more:
            raise OSError("cut")
        data += more
    return data


def http(conn, log, refuse):
    head = b""
    while b"\r\n\r\n" not in head:
        more = conn.recv(65536)
        if not more:
            return
        head += more
    head, _, rest = head.partition(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    method, target, _ = lines[0].split(" ", 2)
    secret = next((line for line in lines if line.lower().startswith("proxy-authorization:")), "")
    log(f"{method} {target} {secret}".rstrip())
    url = urllib.parse.urlsplit("//" + target if method == "CONNECT" else target)
    if url.hostname in refuse:
        conn.sendall(b"HTTP/1.1 403 Not by this proxy\r\nContent-Length: 9\r\nConnection: close\r\n\r\nnot here\n")
        return
    try:
        server = socket.create_connection((url.hostname, url.port or 80), 5)
    except OSError:
        conn.sendall(b"HTTP/1.1 502 Nobody there\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        return
    with server:
        if method == "CONNECT":
            conn.sendall(b"HTTP/1.1 200 Go on\r\n\r\n")
        else:
            path = urllib.parse.urlunsplit(("", "", url.path or "/", url.query, ""))
            server.sendall("\r\n".join([f"{method} {path} HTTP/1.1", *(li for li in lines[1:] if li != secret), "Via: 1.1 forward", "", ""]).encode("latin-1"))
        if rest:
            server.sendall(rest)
        relay(conn, server)


def socks(conn, log, refuse):
    _, n = read(conn, 2)
    read(conn, n)
    conn.sendall(b"\5\0")
    _, _, _, kind = read(conn, 4)
    size = {1: 4, 4: 16}.get(kind) or read(conn, 1)[0]
    host = read(conn, size)
    name = host.decode() if kind == 3 else socket.inet_ntop(socket.AF_INET if kind == 1 else socket.AF_INET6, host)
    port = int.from_bytes(read(conn, 2), "big")
    log(f"SOCKS {name}:{port}")
    if name in refuse:
        conn.sendall(b"\5\2\0\1" + bytes(6))
        return
    try:
        server = socket.create_connection((name, port), 5)
    except OSError:
        conn.sendall(b"\5\4\0\1" + bytes(6))
        return
    with server:
        conn.sendall(b"\5\0\0\1" + bytes(6))
        relay(conn, server)


def main():
    kind, where, path, *refuse = sys.argv[1:]
    if where.startswith("/"):
        sock = socket.socket(socket.AF_UNIX)
        sock.bind(where)
        os.chmod(where, 0o666)
    else:
        address, _, port = where.rpartition(":")
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((address or "127.0.0.1", int(port)))
    sock.listen(64)
    out = open(path, "a", buffering=1)

    def serve(conn):
        with conn:
            try:
                {"http": http, "socks": socks}[kind](conn, lambda line: out.write(line + "\n"), refuse)
            except (OSError, ValueError):
                pass

    print("ready", flush=True)
    while True:
        threading.Thread(target=serve, args=(sock.accept()[0],), daemon=True).start()


main()
