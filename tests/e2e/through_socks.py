#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A ProxyCommand: through_socks.py HOST PORT [USER PASSWORD], by the SOCKS proxy at 127.0.0.1:1080. Offers a password only when it has one."""
import os
import socket
import sys
import threading

host, port, *secret = sys.argv[1:]
s = socket.create_connection(("127.0.0.1", 1080))
s.sendall(b"\5\2\0\2" if secret else b"\5\1\0")
method = s.recv(2)[1]
if method == 2:
    s.sendall(b"\1" + b"".join(bytes([len(w)]) + w.encode() for w in secret))
    assert s.recv(2)[1] == 0
s.sendall(b"\5\1\0\3" + bytes([len(host)]) + host.encode() + int(port).to_bytes(2, "big"))
answer = s.recv(10)
if answer[1]:
    sys.exit(f"refused: {answer[1]}")


def up():
    while data := os.read(0, 65536):
        s.sendall(data)


threading.Thread(target=up, daemon=True).start()
while data := s.recv(65536):
    os.write(1, data)
