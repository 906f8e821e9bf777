# SPDX-License-Identifier: Apache-2.0
"""The ready-made secret of AWS against S3 that checks signatures (servers.py): what a client in the sandbox signs with its stand-ins is taken, and what is wrong stays wrong."""
import os
import subprocess

import pytest

from conftest import PROJECT, PYTHON
from searches import forms
from test_credentials import secret
from test_inspect import internet  # noqa: F401 (a fixture)
from test_ready_made import at  # noqa: F401 (the same)

REAL = ("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")  # of keys/test_sigv4.py
HOSTS = ["--allow-host", "bucket.s3.eu-west-1.amazonaws.com", "--allow-host", "other.s3.eu-west-1.amazonaws.com"]

# FLAG MARK: signs as an SDK does, and says a line of each request: its name, the status, and what the answer says.
CLIENT = """
import os, subprocess, sys
import test_sigv4 as s
pair, flag, mark = (os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"]), sys.argv[1], sys.argv[2]
bucket, other = "bucket.s3.eu-west-1.amazonaws.com", "other.s3.eu-west-1.amazonaws.com"

def send(name, m):
    fields = [w for k, v in m.fields if k not in ("Host", "Content-Length") for w in ("-H", f"{k}: {v}")]
    body = ["--data-binary", "@-", "-H", "Content-Type:"] if m.body else []
    r = subprocess.run(["curl", "-sS", flag, "--path-as-is", "-X", m.method, *fields, *body, "-w", "\\n%{http_code}", f"https://{m.all('host')[0]}{m.target}"], input=m.body, capture_output=True)
    said, _, status = r.stdout.decode().rpartition("\\n")
    print(f"{name}: {status} {said.splitlines()[0] if said else r.stderr.decode()}")

c = s.Client(pair)
send("get", c.sign("GET", f"/get-{mark}?list-type=2"))
send("put", c.sign("PUT", f"/put-{mark}", [("X-Amz-Meta-A", "b")], b"body of it"))
send("chunks", c.stream(f"/chunks-{mark}", [b"one" * 9999, b"two"], "x-amz-checksum-crc32:AAAAAA=="))
m = c.presign("GET", f"/presigned-{mark}")
send("presigned", m)
send("presigned again", m)
m = c.sign("GET", f"/replay-{mark}")
send("first", m)
send("again", m)
send("region", s.Client(pair, region="us-east-1").sign("GET", f"/region-{mark}"))
send("host", s.Client(pair, host=other).sign("GET", f"/host-{mark}"))
m = c.sign("PUT", f"/body-{mark}", body=b"one")
m.body = b"two"
send("body", m)
m = c.stream(f"/chunk-{mark}", [b"one", b"two"])
m.body = m.body.replace(b"two", b"tvo")
send("chunk", m)
m = c.stream(f"/no-chunks-{mark}", [b"one"])
m.body = b"x" * len(m.body)
send("no chunks", m)
"""
GOOD = ["get", "put", "chunks", "presigned", "first"]
BAD = {"presigned again": "replay", "again": "replay", "region": "wrong region or service", "host": "wrong host", "body": "the body is another",
       "chunk": "chunks of AWS: a signature is not of the pair", "no chunks": "chunks of AWS: "}


@pytest.mark.parametrize("flag", ["--http1.1", "--http2"])
def test_s3_takes_what_is_signed_anew(at, request, flag):
    secret(at, "set", "aws", stdin=":".join(REAL))
    at.user.write(at.ws / "test_sigv4.py", (PROJECT / "tests/keys/test_sigv4.py").read_text())
    at.user.write(at.ws / "client.py", CLIENT)
    mark = request.node.callspec.id
    argv = [PYTHON, "client.py", flag]
    r = at(["sh", "-c", f'{" ".join(argv)} {mark}; echo "$AWS_ACCESS_KEY_ID $AWS_SECRET_ACCESS_KEY"; cat /proc/self/environ'], *HOSTS, "--secret", "aws")
    said = dict(line.split(": ", 1) for line in r.out.splitlines() if ": " in line)
    assert {n: said.get(n) for n in GOOD} == dict.fromkeys(GOOD, "200 taken"), r
    assert all(said[n].startswith("403 ") and why in said[n] for n, why in BAD.items()), (said, r)
    denied = {e["target"].split("-" + mark)[0]: e["reason"] for e in at.log(r) if e["event"] == "request" and e["decision"] == "deny"}
    assert sorted(denied) == ["/chunk", "/no-chunks"] and all(why.startswith("chunks of AWS: ") for why in denied.values()), denied
    assert not [f for part in REAL for f in forms(part) if f in (r.out + r.err).encode()]
    # the controls: a pair of one's own where nothing is bound, and the real one outside
    pair = {"AWS_ACCESS_KEY_ID": "AKIAATTACKERATTACKER", "AWS_SECRET_ACCESS_KEY": "their+own/secret/access/key/of/40/chars!"}
    r = at([*argv, f"own-{mark}"], *HOSTS, "--env", "CURL_CA_BUNDLE=ca.crt", *(w for k, v in pair.items() for w in ("--env", f"{k}={v}")))
    assert r.out.count(": 403 unknown access key") >= len(GOOD) and "200" not in r.out, r
    env = {**at.environ, "CURL_CA_BUNDLE": "ca.crt", "AWS_ACCESS_KEY_ID": REAL[0], "AWS_SECRET_ACCESS_KEY": REAL[1]}
    out = subprocess.run([os.fspath(w) for w in [*at.enter, "env", "-C", at.ws, *argv, f"out-{mark}"]], capture_output=True, text=True, env=env, timeout=60, check=False).stdout
    assert out.count(": 200 taken") == len(GOOD), out
