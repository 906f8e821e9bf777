#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""An authorization server (proxy.test) and an API (grpc.test) that knows which token is in force: login_server.py DIR. Run where the servers are; ends with its standard input.

GET /authorize answers as after a log-in: it leads to redirect_uri with a code, which is good once and for who knows what code_challenge is the hash of (PKCE). `the-code` is always good.
Everything that a client has sent as a token, and each token that was given, is a line of DIR/logins.
"""
import base64
import hashlib
import http.server
import json
import pathlib
import secrets
import ssl
import subprocess
import sys
import threading
import urllib.parse

WHERE = pathlib.Path(sys.argv[1])
LOG = open(WHERE / "logins", "a", buffering=1)
ADDRESSES = ("192.0.2.24", "192.0.2.25")
TOKENS: dict[str, str] = {}
CODES: dict[str, str] = {}  # and the challenge of each


def is_good(asked):
    if asked.get("refresh_token"):
        return asked["refresh_token"] == TOKENS.get("refresh")
    hashed = base64.urlsafe_b64encode(hashlib.sha256(asked.get("code_verifier", "").encode()).digest()).decode().rstrip("=")
    return asked.get("code") == "the-code" or CODES.pop(asked.get("code"), None) == hashed


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, status, body):
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        asked = json.loads(body) if "json" in self.headers.get("Content-Type", "") else dict(urllib.parse.parse_qsl(body))
        if is_good(asked):
            TOKENS.update(access="sk-ant-oat01-" + secrets.token_urlsafe(60), refresh="sk-ant-ort01-" + secrets.token_urlsafe(60))
            LOG.write(f"given {TOKENS['access']}\ngiven {TOKENS['refresh']}\n")
            self.answer(200, {"access_token": TOKENS["access"], "refresh_token": TOKENS["refresh"], "expires_in": 3600})
        else:
            LOG.write(f"refused {body}\n")
            self.answer(400, {"error": "invalid_grant"})

    def do_GET(self):
        url = urllib.parse.urlsplit(self.path)
        if url.path == "/authorize":
            asked = dict(urllib.parse.parse_qsl(url.query))
            code = secrets.token_urlsafe(20)
            CODES[code] = asked["code_challenge"]
            self.send_response(302)
            self.send_header("Location", f"{asked['redirect_uri']}?{urllib.parse.urlencode({'code': code, 'state': asked['state']})}")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        bearer = self.headers.get("Authorization", "").removeprefix("Bearer ")
        LOG.write(f"brought {bearer}\n")
        self.answer(200 if bearer and bearer == TOKENS.get("access") else 401, {"you": "me"})


def main():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(WHERE / "web.crt", WHERE / "web.key")
    for a in ADDRESSES:
        subprocess.run(["ip", "addr", "add", f"{a}/32", "dev", "lo"], check=False, stderr=subprocess.DEVNULL)  # it may be there
        server = http.server.ThreadingHTTPServer((a, 443), Handler)
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        threading.Thread(target=server.serve_forever, daemon=True).start()
    print("ready", flush=True)
    sys.stdin.read()


main()
