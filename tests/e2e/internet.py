#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A small internet in network and mount namespaces of its own: run by unshare(1), see internet_of() in test_gateway.py.

Names (in /etc/hosts of the namespace) and what serves them; everything that arrives is written, a line each, to the file LOG.

    one.test      192.0.2.10, 2001:db8::10   HTTP on 80 and 8080, TLS on 443, a banner on 22, echo on 7 (TCP and UDP)
    two.test      192.0.2.11   HTTP on 80, TLS on 443
    six.test      2001:db8::20   HTTP on 80, echo on 7 (UDP); no IPv4
    private.test  10.1.2.3   HTTP on 80
    sub.wild.test 192.0.2.12   HTTP on 80
    loop.test     127.0.0.1   HTTP on 80, TLS on 443
    shut.test     192.0.2.99   nothing listens
    meta.test     169.254.169.254   HTTP on 80
    own.test      198.51.100.1      HTTP on 80, of the host that runs bailey
    own2.test     198.51.100.3      the same, a second address
    registry.npmjs.org, npmjs.org   192.0.2.13   HTTP on 80
"""
import ctypes
import http.server
import os
import pathlib
import socket
import socketserver
import ssl
import subprocess
import sys
import threading

WHERE = pathlib.Path(sys.argv[1])
LOG = open(WHERE / "log", "a", buffering=1)
BIG = 64 << 20

HOSTS = """127.0.0.1 localhost
192.0.2.10 one.test
2001:db8::10 one.test
192.0.2.11 two.test
2001:db8::20 six.test
10.1.2.3 private.test
192.0.2.12 sub.wild.test
127.0.0.1 loop.test
192.0.2.99 shut.test
169.254.169.254 meta.test
198.51.100.1 own.test
198.51.100.3 own2.test
192.0.2.13 registry.npmjs.org npmjs.org
"""


def log(*words):
    LOG.write(" ".join(map(str, words)) + "\n")


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, status, body, **headers):
        self.send_response(status)
        for k, v in headers.items():
            self.send_header(k.replace("_", "-"), v)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        address, port = tuple(self.server.server_address)[:2]  # type: ignore[arg-type]
        here = f"{address}:{port}"
        log("http", here, self.command, self.path, self.headers.get("Host"))
        if self.path.startswith("/redirect/"):
            self.answer(302, b"", Location="http://" + self.path[len("/redirect/"):])
        elif self.path == "/big":
            self.send_response(200)
            self.send_header("Content-Length", str(BIG))
            self.end_headers()
            block = bytes(65536)
            for _ in range(BIG // len(block)):
                self.wfile.write(block)
        elif self.path == "/slow":  # a byte now and then, for as long as somebody listens
            self.send_response(200)
            self.send_header("Content-Length", "1000000000")
            self.end_headers()
            try:
                while True:
                    self.wfile.write(bytes(65536))
            except OSError:
                log("cut", here)
        elif self.path == "/headers":
            self.answer(200, f"upgrade={self.headers.get('Upgrade')}\n".encode())
        else:
            self.answer(200, f"{here} {self.command} {self.path} host={self.headers.get('Host')}\n".encode())

    def do_POST(self):
        if self.headers.get("Transfer-Encoding"):
            size = 0
            while True:
                n = int(self.rfile.readline(), 16)
                self.rfile.read(n + 2)
                size += n
                if n == 0:
                    break
        else:
            size = len(self.rfile.read(int(self.headers.get("Content-Length", 0))))
        log("post", size)
        self.answer(200, f"got {size}\n".encode())


class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True
    request_queue_size = 512

    def handle_error(self, request, client_address):
        pass


class Server6(Server):
    address_family = socket.AF_INET6


def tls(server, name):
    key, cert = WHERE / f"{name}.key", WHERE / f"{name}.crt"
    if not cert.exists():
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", f"/CN={name}",
                        "-addext", f"subjectAltName=DNS:{name},DNS:two.test,DNS:six.test", "-keyout", key, "-out", cert], check=True, capture_output=True)
    ctx = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ctx.load_cert_chain(cert, key)
    server.socket = ctx.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    return server


def spawn(f, *args):
    threading.Thread(target=f, args=args, daemon=True).start()


def listen(address, port):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    s = socket.socket(family, socket.SOCK_STREAM)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind((address, port))
    s.listen(512)
    return s


def banner(sock):
    while True:
        conn = sock.accept()[0]
        log("banner", conn.getsockname()[0])

        def talk(conn=conn):
            conn.sendall(b"SSH-2.0-test\r\n")
            data = conn.recv(4096)
            conn.sendall(b"you said " + data)
            conn.close()

        spawn(talk)


def echo(sock):
    while True:
        conn = sock.accept()[0]
        log("echo", conn.getsockname()[0])

        def talk(conn=conn):
            total = 0
            try:
                while data := conn.recv(65536):
                    total += len(data)
                    conn.sendall(data)
            except OSError:
                pass  # the gateway refused what was said
            log("echoed", total)
            conn.close()

        spawn(talk)


def echo_udp(address, port):
    s = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
    s.bind((address, port))
    while True:
        data, peer = s.recvfrom(65536)
        log("udp", address, port, len(data))
        s.sendto(data.upper(), peer)


NEAR = ["link set lo up", "link set near up", "addr add 198.51.100.1/24 dev near", "addr add 198.51.100.3/24 dev near", "addr add fd11::1/64 dev near nodad",
        "route add default via 198.51.100.2", "-6 route add default via fd11::2"]
FAR = ["link set lo up", "link set far up", "addr add 198.51.100.2/24 dev far", "addr add fd11::2/64 dev far nodad",
       *(f"addr add {a}/32 dev lo" for a in ("192.0.2.10", "192.0.2.11", "192.0.2.12", "192.0.2.13", "10.1.2.3", "169.254.169.254")),
       *(f"addr add {a}/128 dev lo nodad" for a in ("2001:db8::10", "2001:db8::20"))]


def ip(lines):
    for line in lines:
        subprocess.run(["ip", *line.split()], check=True)


def serve():
    """Where the servers are: another host, as addresses of one's own are something else."""
    for address, port in (("192.0.2.10", 80), ("192.0.2.10", 8080), ("192.0.2.11", 80), ("192.0.2.12", 80), ("192.0.2.13", 80), ("10.1.2.3", 80), ("169.254.169.254", 80)):
        spawn(Server((address, port), Handler).serve_forever)
    for address in ("2001:db8::10", "2001:db8::20"):
        spawn(Server6((address, 80), Handler).serve_forever)
    spawn(tls(Server(("192.0.2.10", 443), Handler), "one.test").serve_forever)
    spawn(tls(Server(("192.0.2.11", 443), Handler), "two.test").serve_forever)
    spawn(banner, listen("192.0.2.10", 22))
    spawn(echo, listen("192.0.2.10", 7))
    spawn(echo_udp, "192.0.2.10", 7)
    spawn(echo_udp, "192.0.2.11", 7)
    spawn(echo_udp, "2001:db8::20", 7)


def main():
    begun, linked, serving = os.pipe(), os.pipe(), os.pipe()
    far = os.fork()
    if far == 0:
        assert ctypes.CDLL(None, use_errno=True).unshare(0x40000000) == 0  # CLONE_NEWNET
        os.write(begun[1], b"x")
        os.read(linked[0], 1)
        ip(FAR)
        serve()
        os.write(serving[1], b"x")
        sys.stdin.read()
        os._exit(0)
    os.read(begun[0], 1)
    ip([f"link add near type veth peer name far netns {far}", *NEAR])
    os.write(linked[1], b"x")
    for name, text in (("hosts", HOSTS), ("resolv.conf", "nameserver 192.0.2.10\noptions timeout:4 attempts:1\n")):
        path = WHERE / name
        path.write_text(text)
        path.chmod(0o644)
        subprocess.run(["mount", "--bind", path, f"/etc/{name}"], check=True)
    for address in ("127.0.0.1", "198.51.100.1", "198.51.100.3"):  # the host itself
        spawn(Server((address, 80), Handler).serve_forever)
    os.read(serving[0], 1)
    spawn(tls(Server(("127.0.0.1", 443), Handler), "one.test").serve_forever)
    print("ready", os.getpid(), far, flush=True)
    sys.stdin.read()  # until whoever made it has gone


main()
