#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Real servers for real clients, in the namespaces that internet.py has made: servers.py DIR [grpc] [squid]. Ends with its standard input.

Names come from dnsmasq on 192.0.2.10, which asks a server of ours for what dnsmasq does not do:

    web.test       192.0.2.20, 2001:db8::31   nginx: HTTP, TLS and HTTP/2; /git/ is git's own backend, /private/ the same for who has TOKEN, /ws a WebSocket,
                                  /tokens/ and /basic/ files for who has TOKEN, as Bearer or Basic; /body writes what it is sent to bodies.log
    web6.test      2001:db8::30   the same, no IPv4
    denied.test    192.0.2.21     the same
    alias.test     an alias of web.test;  wrong.test: of denied.test;  home.test: of a name that is 127.0.0.1
    ssh.test       192.0.2.22     dropbear, with an account `git`
    ws.test        192.0.2.23     a WebSocket server on 80
    grpc.test      192.0.2.24     gRPC on 50051, and with TLS on 443; the file grpc.log says what each call brought
    bucket.s3.eu-west-1.amazonaws.com  192.0.2.20   nginx, and behind it S3 that checks what signs each request; other.s3.… leads there, too
    api.anthropic.com, github.com …   192.0.2.20   the hosts of ready-made secrets: nginx, as web.test
    proxy.test     192.0.2.25     squid with Debian's rules on 3128, wider ones on 3129; a user and a password
    *.turn.test    192.0.2.12 when it is asked for the first time, then 127.0.0.1; never to be kept
    *.both.test    both at once
    mute.test      no answer
"""
import asyncio
import concurrent.futures
import http.server
import os
import pathlib
import shutil
import socket
import struct
import subprocess
import sys
import threading
import time
import typing

sys.dont_write_bytecode = True
sys.path.append(str(pathlib.Path(__file__).resolve().parents[1] / "keys"))
import test_sigv4  # noqa: E402

WHERE = pathlib.Path(sys.argv[1])
EXTRA = sys.argv[2:]
LOG = open(WHERE / "log", "a", buffering=1)
NOBODY = 65534
SECRET = ("us er", "p@ss:w/rd%")  # of the proxy
TOKEN = "the/Token+of=a.repository"

NAMES = {
    "web.test": "192.0.2.20,2001:db8::31", "web6.test": "2001:db8::30", "denied.test": "192.0.2.21", "ssh.test": "192.0.2.22", "ws.test": "192.0.2.23",
    "grpc.test": "192.0.2.24", "proxy.test": "192.0.2.25", "inside.test": "127.0.0.1", "sub.wide.test": "192.0.2.20",
}
SERVICES = ["api.anthropic.com", "api.openai.com", "api.github.com", "github.com", "uploads.github.com", "generativelanguage.googleapis.com", "api.groq.com", "api.mistral.ai",
            "api.x.ai", "openrouter.ai", "registry.npmjs.org", "upload.pypi.org"]
NAMES.update(dict.fromkeys(SERVICES, "192.0.2.20"))
NAMES.update(dict.fromkeys([f"{n}.s3.eu-west-1.amazonaws.com" for n in ("bucket", "other")], "192.0.2.20"))
NAMES["registry.npmjs.org"] = "192.0.2.13"  # as internet.py says
ALIASES = {"alias.test": "web.test", "wrong.test": "denied.test", "home.test": "inside.test"}

NGINX = """
daemon off; user root; worker_processes 1; pid {where}/nginx.pid; error_log {where}/nginx-error.log;
events {{ worker_connections 512; }}
http {{
    log_format keys '$scheme $host $request_uri "$http_authorization" "$http_x_key"';
    log_format carriers escape=json '{{"host":"$host","uri":"$request_uri","authorization":"$http_authorization","x-api-key":"$http_x_api_key",'
                                    '"x-goog-api-key":"$http_x_goog_api_key","sec-websocket-protocol":"$http_sec_websocket_protocol"}}';
    log_format bodies escape=json '{{"uri":"$request_uri","x-key":"$http_x_key","body":"$request_body"}}';
    access_log {where}/nginx.log;
    access_log {where}/keys.log keys;
    access_log {where}/carriers.log carriers;
    {temps}
    client_max_body_size 0;
    ssl_certificate {where}/web.crt; ssl_certificate_key {where}/web.key;
    server {{
        listen 192.0.2.20:80; listen 192.0.2.20:443 ssl http2; listen [2001:db8::31]:80; listen [2001:db8::31]:443 ssl http2; listen [2001:db8::30]:80; listen [2001:db8::30]:443 ssl http2;
        listen 192.0.2.21:80; listen 192.0.2.21:443 ssl http2; listen 192.0.2.13:443 ssl http2;
        root {where}/www;
        location = /who {{ default_type text/plain; return 200 "$server_addr $scheme $host $server_protocol\\n"; }}
        location = /echo {{ default_type text/plain; add_header X-Echo $http_x_key; return 200 "key=$http_x_key authorization=$http_authorization\n"; }}
        location = /oauth/token {{ proxy_pass http://192.0.2.20:80/echo; }} # which reads what comes before it answers
        location = /body {{ access_log {where}/bodies.log bodies; client_body_buffer_size 1m; proxy_pass http://192.0.2.20:80/echo; }}
        location /tokens/ {{ if ($http_authorization != "Bearer {token}") {{ return 401; }} }}
        location /basic/ {{ auth_basic here; auth_basic_user_file {where}/git.passwd; }}
        location = /away {{ return 302 $scheme://denied.test/who; }}
        location /git/ {{ proxy_pass http://127.0.0.1:8001/; }}
        location /private/ {{ auth_basic here; auth_basic_user_file {where}/git.passwd; proxy_pass http://127.0.0.1:8001/; }}
        location /ws {{
            proxy_pass http://192.0.2.23:80; proxy_http_version 1.1;
            proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection upgrade; proxy_set_header Host $host;
        }}
    }}
    server {{
        listen 192.0.2.20:443 ssl http2; server_name *.s3.eu-west-1.amazonaws.com;
        location / {{ proxy_pass http://127.0.0.1:8002; proxy_http_version 1.1; proxy_set_header Host $host; }}
    }}
}}
"""

# On 3128 the rules are those of the file that Debian's package brings: CONNECT to 443 alone. On 3129 also to 80.
SQUID = """
http_port 192.0.2.25:3128
http_port 192.0.2.25:3129
acl open localport 3129
auth_param basic program /usr/lib/squid/basic_ncsa_auth {where}/squid/passwd
acl known proxy_auth REQUIRED
acl SSL_ports port 443
acl Safe_ports port 80
acl Safe_ports port 443
acl CONNECT method CONNECT
http_access deny !Safe_ports
http_access deny CONNECT !SSL_ports !open
http_access allow known
http_access deny all
cache deny all
dns_nameservers 192.0.2.10
access_log stdio:{where}/squid/log
cache_log {where}/squid/cache.log
pid_filename {where}/squid/pid
coredump_dir {where}/squid
netdb_filename none
shutdown_lifetime 0 seconds
"""

children = []


def start(*argv, **kw):
    children.append(subprocess.Popen([str(a) for a in argv], stdin=subprocess.DEVNULL, **kw))


def spawn(f, *args):
    threading.Thread(target=f, args=args, daemon=True).start()


def call(*argv, **kw):
    return subprocess.run([str(a) for a in argv], check=True, capture_output=True, **kw)


def certificates():
    """An authority, and a certificate of it for all names."""
    ec = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    call("openssl", "req", "-x509", *ec, "-days", "2", "-subj", "/CN=tests", "-keyout", WHERE / "ca.key", "-out", WHERE / "ca.crt")
    call("openssl", "req", *ec, "-subj", "/CN=web.test", "-keyout", WHERE / "web.key", "-out", WHERE / "web.csr")
    (WHERE / "ext").write_text("subjectAltName=" + ",".join(f"DNS:{n}" for n in [*NAMES, *ALIASES]) + "\n")
    call("openssl", "x509", "-req", "-in", WHERE / "web.csr", "-CA", WHERE / "ca.crt", "-CAkey", WHERE / "ca.key", "-CAcreateserial", "-days", "2",
         "-extfile", WHERE / "ext", "-out", WHERE / "web.crt")
    (WHERE / "ca.crt").chmod(0o644)


def turning(sock):
    """The answers that change."""
    seen: dict[str, bool] = {}
    while True:
        q, peer = sock.recvfrom(2000)
        name, at = [], 12
        while q[at]:
            name.append(q[at + 1:at + 1 + q[at]].decode())
            at += 1 + q[at]
        kind = struct.unpack(">H", q[at + 1:at + 3])[0]
        text = ".".join(name)
        if text == "mute.test":
            continue
        addresses = []
        if kind == 1:
            LOG.write(f"asked {text}\n")
            addresses = ["192.0.2.12", "127.0.0.1"] if name[-2] == "both" else ["127.0.0.1" if seen.get(text) else "192.0.2.12"]
            seen[text] = True
        body = b"".join(b"\xc0\x0c\0\1\0\1\0\0\0\0\0\4" + socket.inet_aton(a) for a in addresses)
        sock.sendto(q[:2] + b"\x85\x80" + struct.pack(">4H", 1, len(addresses), 0, 0) + q[12:at + 5] + body, peer)


class Git(http.server.BaseHTTPRequestHandler):
    """git http-backend, as a web server would call it."""

    def log_message(self, *_):
        pass

    def do_GET(self):
        path, _, query = self.path.partition("?")
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        env = {"PATH": os.environ["PATH"], "GIT_PROJECT_ROOT": str(WHERE / "repos"), "GIT_HTTP_EXPORT_ALL": "1", "REQUEST_METHOD": self.command, "PATH_INFO": path,
               "QUERY_STRING": query, "CONTENT_TYPE": self.headers.get("Content-Type", ""), "CONTENT_LENGTH": str(len(body)),
               "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""), "GIT_PROTOCOL": self.headers.get("Git-Protocol", "")}
        out = subprocess.run(["git", "http-backend"], input=body, env=env, capture_output=True, user=NOBODY, group=NOBODY, extra_groups=[], check=False).stdout
        head, _, rest = out.partition(b"\r\n\r\n")
        lines = [line.split(": ", 1) for line in head.decode().split("\r\n")]
        self.send_response(int(next((v for k, v in lines if k == "Status"), "200").split()[0]))
        for k, v in lines:
            if k != "Status":
                self.send_header(k, v)
        self.end_headers()
        self.wfile.write(rest)

    do_POST = do_GET


class S3(http.server.BaseHTTPRequestHandler):
    """One bucket of one region, which takes each signed request once: keys/test_sigv4.py."""

    server_checks: typing.Any = None

    def log_message(self, *_):
        pass

    def do_GET(self):
        m = test_sigv4.Message(self.command, self.path, self.headers.items(), self.rfile.read(int(self.headers.get("Content-Length", 0))))
        why = self.server_checks.check(m)
        text = (why or "taken").encode()
        self.send_response(403 if why else 200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    do_PUT = do_GET


def repository():
    """A bare one, with a commit, that belongs to nobody."""
    (WHERE / "repos").mkdir()
    work, bare = WHERE / "work", WHERE / "repos" / "it.git"
    git = ["git", "-c", "user.name=t", "-c", "user.email=t@t", "-c", "init.defaultBranch=main"]
    call(*git, "init", work)
    (work / "file").write_text("it is there\n")
    (work / "big").write_bytes(os.urandom(1 << 20))
    call(*git, "add", ".", cwd=work)
    call(*git, "commit", "-m", "first", cwd=work)
    call(*git, "clone", "--bare", work, bare)
    call(*git, "config", "http.receivepack", "true", cwd=bare)
    call("chown", "-R", f"{NOBODY}:{NOBODY}", WHERE / "repos")


def ssh():
    """An account `git` that only dropbear sees: it has an /etc of its own."""
    home = WHERE / "git"
    (home / ".ssh").mkdir(parents=True)
    call("dropbearkey", "-t", "ed25519", "-f", WHERE / "host.key")
    call("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", WHERE / "client.key")
    (home / ".ssh/authorized_keys").write_bytes((WHERE / "client.key.pub").read_bytes())
    call("chown", "-R", f"{NOBODY}:{NOBODY}", home)
    etc = WHERE / "etc"
    etc.mkdir()
    for name in ("passwd", "group", "shells", "nsswitch.conf"):
        shutil.copy(f"/etc/{name}", etc)
    with open(etc / "passwd", "a") as f:
        f.write(f"git:x:{NOBODY}:{NOBODY}::{home}:/bin/sh\n")
    start("unshare", "-m", "--propagation", "private", "sh", "-c", 'mount --bind "$1" /etc && exec dropbear -F -E -s -p 192.0.2.22:22 -r "$2" -P "$3"', "sh",
          etc, WHERE / "host.key", WHERE / "dropbear.pid", stderr=open(WHERE / "dropbear.log", "w"))


def websocket():
    import websockets.server

    async def echo(ws):
        async for message in ws:
            await ws.send(message)

    async def main():
        async with websockets.server.serve(echo, "192.0.2.23", 80, max_size=1 << 25):
            await asyncio.Future()

    asyncio.run(main())


def grpc_server():
    import grpc

    calls_log = open(WHERE / "grpc.log", "w", buffering=1)

    def chat(requests, context):
        """Each message has its answer before the next one is there; what came with the call goes back before all of them."""
        brought = dict(context.invocation_metadata())
        calls_log.write(f"{brought.get('x-key')} {brought.get('authorization')}\n")
        context.send_initial_metadata([("x-echo", brought.get("x-key", "nothing"))])
        for request in requests:
            yield request.upper()
        context.set_trailing_metadata([("x-echo-last", brought.get("x-key", "nothing"))])

    def many(request, _):
        for i in range(int(request)):
            yield b"%d" % i

    calls = grpc.method_handlers_generic_handler("t.Test", {
        "Upper": grpc.unary_unary_rpc_method_handler(lambda request, _: request.upper()),
        "Many": grpc.unary_stream_rpc_method_handler(many),
        "Chat": grpc.stream_stream_rpc_method_handler(chat),
    })
    server = grpc.server(concurrent.futures.ThreadPoolExecutor(4))
    server.add_generic_rpc_handlers((calls,))
    server.add_insecure_port("192.0.2.24:50051")
    server.add_secure_port("192.0.2.24:443", grpc.ssl_server_credentials([((WHERE / "web.key").read_bytes(), (WHERE / "web.crt").read_bytes())]))
    server.start()
    return server


def squid():
    top = WHERE / "squid"
    top.mkdir()
    hashed = call("openssl", "passwd", "-apr1", SECRET[1], text=True).stdout
    (top / "passwd").write_text(f"{SECRET[0]}:{hashed}")
    (top / "conf").write_text(SQUID.format(where=WHERE))
    call("chown", "-R", "proxy:proxy", top)
    # its shared memory has one name for all of a machine
    start("unshare", "-m", "--propagation", "private", "sh", "-c", 'mount -t tmpfs none /dev/shm && exec squid -N -f "$1"', "sh", top / "conf")


def is_open(address, port):
    try:
        socket.create_connection((address, port), 1).close()
        return True
    except OSError:
        return False


def main():
    addresses = [f"192.0.2.{n}/32" for n in range(20, 26)] + ["2001:db8::30/128", "2001:db8::31/128"]
    call("ip", "-batch", "-", input="".join(f"addr add {a} dev lo{' nodad' if ':' in a else ''}\n" for a in addresses).encode())
    os.umask(0o022)
    certificates()
    repository()
    (WHERE / "www").mkdir()
    (WHERE / "www/big").write_bytes(bytes(8 << 20))
    (WHERE / "git.passwd").write_text(f"x-access-token:{{PLAIN}}{TOKEN}\n")
    temps = " ".join(f"{t}_temp_path {WHERE}/nginx-{t};" for t in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    (WHERE / "nginx.conf").write_text(NGINX.format(where=WHERE, temps=temps, token=TOKEN))
    start("nginx", "-p", WHERE, "-e", WHERE / "nginx-error.log", "-c", WHERE / "nginx.conf")
    turn = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    turn.bind(("127.0.0.1", 5300))
    spawn(turning, turn)
    start("dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--no-resolv", "--no-hosts", "--bind-interfaces", "--listen-address=192.0.2.10", "--user=root",
          "--pid-file=", "--log-facility=/dev/null", "--local=/test/", *(f"--host-record={n},{a}" for n, a in NAMES.items()), *(f"--cname={a},{n}" for a, n in ALIASES.items()),
          "--txt-record=web.test,a text", "--mx-host=web.test,web.test,1", *(f"--server=/{n}.test/127.0.0.1#5300" for n in ("turn", "both", "mute")))
    spawn(http.server.ThreadingHTTPServer(("127.0.0.1", 8001), Git).serve_forever)
    S3.server_checks = test_sigv4.Server()
    spawn(http.server.ThreadingHTTPServer(("127.0.0.1", 8002), S3).serve_forever)
    ssh()
    spawn(websocket)
    waiting = [("192.0.2.10", 53), ("192.0.2.20", 443), ("192.0.2.22", 22), ("192.0.2.23", 80)]
    kept = None
    if "grpc" in EXTRA:
        kept = grpc_server()
        waiting.append(("192.0.2.24", 443))
    if "squid" in EXTRA:
        squid()
        waiting.append(("192.0.2.25", 3128))
    end = time.monotonic() + 60
    while waiting and time.monotonic() < end:
        waiting = [w for w in waiting if not is_open(*w)]
        time.sleep(0.05)
    print("ready" if not waiting else f"nobody listens on {waiting}", flush=True)
    try:
        sys.stdin.read()
    finally:
        for child in children:
            child.terminate()
        for child in children:
            child.wait(10)
        del kept
        os._exit(0)


main()
