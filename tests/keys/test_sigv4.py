# SPDX-License-Identifier: Apache-2.0
"""Signing for AWS against a second implementation, by hmac and hashlib: clients sign with the sandbox's pair, a server checks the real one's signature, for its region, service and
host, each once."""
import hashlib
import hmac
import os
import pathlib
import random
import re
import subprocess
import urllib.parse

import pytest

PROJECT = pathlib.Path(__file__).resolve().parents[2]
BUILD = PROJECT / "build" / "glibc"
DRIVER = pathlib.Path(os.environ.get("INJECT_DRIVER") or BUILD / "tests/keys/inject-driver")
REAL = ("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")
TOKEN = "IQoJb3JpZ2luX2VjE/token+of=session=="
DATE = "20260102T030405Z"
EMPTY = hashlib.sha256(b"").hexdigest()


def sha(data):
    return hashlib.sha256(data).hexdigest()


def sign_text(secret, text, scope):
    key = ("AWS4" + secret).encode()
    for part in scope.split("/"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()


def quote(text, safe=""):
    return urllib.parse.quote(text, safe=safe + "-._~")


def canonical_path(path, service):
    """As the server reads what was sent."""
    if service == "s3":
        return quote(urllib.parse.unquote(path), "/")
    parts: list[str] = []
    for p in path.split("/"):
        if p == "..":
            parts = parts[:-1]
        elif p not in ("", "."):
            parts.append(p)
    return quote("/" + "/".join(parts) + ("/" if path.endswith("/") and parts else ""), "/")


def canonical_query(query):
    pairs = [p.partition("=") for p in query.split("&") if p]
    decoded = [(urllib.parse.unquote_plus(k), urllib.parse.unquote_plus(v)) for k, _, v in pairs]
    return "&".join(f"{k}={v}" for k, v in sorted((quote(k), quote(v)) for k, v in decoded if k != "X-Amz-Signature"))


class Message:
    """A request: method, target, [(name, value)], body."""

    def __init__(self, method, target, fields, body=b""):
        self.method, self.target, self.fields, self.body = method, target, list(fields), body

    def all(self, name):
        return [v for k, v in self.fields if k.lower() == name]

    def bytes(self):
        head = f"{self.method} {self.target} HTTP/1.1\r\n" + "".join(f"{k}: {v}\r\n" for k, v in self.fields)
        return head.encode() + b"\r\n" + self.body

    @classmethod
    def parse(cls, data):
        head, body = data.split(b"\r\n\r\n", 1)
        first, *rest = head.decode().split("\r\n")
        method, target, _ = first.split(" ")
        return cls(method, target, [tuple(li.split(": ", 1)) for li in rest], body)

    def canonical(self, names, service, payload):
        path, _, query = self.target.partition("?")
        values = [f"{n}:{','.join(re.sub(' +', ' ', v.strip()) for v in self.all(n))}" for n in names]
        return "\n".join([self.method, canonical_path(path, service), canonical_query(query), *values, "", ";".join(names), payload])

    def signature(self, secret, names, scope, payload):
        text = "\n".join(["AWS4-HMAC-SHA256", DATE, scope, sha(self.canonical(names, scope.split("/")[2], payload).encode())])
        return sign_text(secret, text, scope)


class Client:
    """What an SDK in the sandbox does, with the pair that it was given."""

    def __init__(self, pair, host="bucket.s3.eu-west-1.amazonaws.com", region="eu-west-1", service="s3"):
        self.pair, self.host, self.service = pair, host, service
        self.scope = f"{DATE[:8]}/{region}/{service}/aws4_request"

    def sign(self, method, target, fields=(), body=b"", payload=None, send_hash=True, unsigned=()):
        payload = payload or sha(body)
        m = Message(method, target, [("Host", self.host), ("X-Amz-Date", DATE), *fields], body)
        if send_hash:
            m.fields.append(("X-Amz-Content-Sha256", payload))
        if body:
            m.fields.append(("Content-Length", str(len(body))))
        names = sorted({k.lower() for k, _ in m.fields} - set(unsigned))
        self.seed = m.signature(self.pair[1], names, self.scope, payload)
        m.fields.append(("Authorization", f"AWS4-HMAC-SHA256 Credential={self.pair[0]}/{self.scope}, SignedHeaders={';'.join(names)}, Signature={self.seed}"))
        return m

    def chunks(self, parts, trailer=None, seed=None):
        """The aws-chunked form of PARTS, signed from the seed."""
        before, out = seed or self.seed, b""
        for part in [*parts, b""]:
            text = "\n".join(["AWS4-HMAC-SHA256-PAYLOAD", DATE, self.scope, before, EMPTY, sha(part)])
            before = sign_text(self.pair[1], text, self.scope)
            out += f"{len(part):x};chunk-signature={before}\r\n".encode() + (part + b"\r\n" if part else b"")
        if trailer:
            text = "\n".join(["AWS4-HMAC-SHA256-TRAILER", DATE, self.scope, before, sha((trailer + "\n").encode())])
            out += f"{trailer}\r\nx-amz-trailer-signature:{sign_text(self.pair[1], text, self.scope)}\r\n".encode()
        return out + b"\r\n"

    def stream(self, target, parts, trailer=None):
        payload = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD" + ("-TRAILER" if trailer else "")
        fields = [("Content-Encoding", "aws-chunked"), ("X-Amz-Decoded-Content-Length", str(sum(map(len, parts))))]
        fields.append(("Content-Length", str(len(self.chunks(parts, trailer, seed=EMPTY)))))  # of any seed
        m = self.sign("PUT", target, fields + ([("X-Amz-Trailer", trailer.split(":")[0])] if trailer else []), payload=payload)
        m.body = self.chunks(parts, trailer)
        return m

    def presign(self, method, target, expires=900):
        path, _, query = target.partition("?")
        query = "&".join([*(query.split("&") if query else []), "X-Amz-Algorithm=AWS4-HMAC-SHA256", f"X-Amz-Credential={quote(self.pair[0] + '/' + self.scope)}",
                          f"X-Amz-Date={DATE}", f"X-Amz-Expires={expires}", "X-Amz-SignedHeaders=host"])
        m = Message(method, f"{path}?{query}", [("Host", self.host)])
        m.target += "&X-Amz-Signature=" + m.signature(self.pair[1], ["host"], self.scope, "UNSIGNED-PAYLOAD")
        return m


class Server:
    """One service of one region at one host. Return of check(): "" or why it refuses."""

    def __init__(self, pair=REAL, token=None, host="bucket.s3.eu-west-1.amazonaws.com", region="eu-west-1", service="s3"):
        self.pair, self.token, self.host, self.region, self.service = pair, token, host, region, service
        self.seen = set()

    def check(self, m):
        if m.all("host") != [self.host]:
            return "wrong host"
        return self.check_url(m) if "X-Amz-Signature=" in m.target else self.check_head(m)

    def known(self, credential, token):
        key, _, scope = credential.partition("/")
        if key != self.pair[0]:
            return "unknown access key"
        if scope.split("/")[1:] != [self.region, self.service, "aws4_request"]:
            return "wrong region or service"
        return "" if token == ([self.token] if self.token else []) else "wrong token"

    def once(self, signature):
        if signature in self.seen:
            return "replay"
        self.seen.add(signature)
        return ""

    def check_head(self, m):
        if len(m.all("authorization")) != 1:
            return "not signed"
        a = re.fullmatch(r"AWS4-HMAC-SHA256 Credential=(\S+), SignedHeaders=(\S+), Signature=([0-9a-f]{64})", m.all("authorization")[0])
        if not a:
            return "no signature"
        names, scope = a[2].split(";"), a[1].partition("/")[2]
        why = self.known(a[1], m.all("x-amz-security-token"))
        if why:
            return why
        if not {k.lower() for k, _ in m.fields if k.lower().startswith("x-amz-")} | {"host"} <= set(names) or names != sorted(names):
            return "something is not signed"
        payload = (m.all("x-amz-content-sha256") or [sha(m.body)])[0]
        if m.signature(self.pair[1], names, scope, payload) != a[3]:
            return "signature does not match"
        if payload.startswith("STREAMING-AWS4"):
            return self.check_chunks(m, scope, a[3], payload.endswith("TRAILER")) or self.once(a[3])
        if re.fullmatch("[0-9a-f]{64}", payload) and payload != sha(m.body):
            return "the body is another"
        return self.once(a[3])

    def check_chunks(self, m, scope, before, trailer):
        body, n = m.body, -1
        if m.all("content-length") and int(m.all("content-length")[0]) != len(body):
            return "wrong length"
        while n:
            line, _, body = body.partition(b"\r\n")
            size, mark, signature = line.decode().partition(";chunk-signature=")
            n, data = int(size, 16), body[:int(size, 16)]
            text = "\n".join(["AWS4-HMAC-SHA256-PAYLOAD", DATE, scope, before, EMPTY, sha(data)])
            before = sign_text(self.pair[1], text, scope)
            if not mark or before != signature:
                return "chunk signature does not match"
            body = body[n + 2:] if n else body
        if trailer:
            line, _, body = body.partition(b"\r\n")
            signed, _, body = body.partition(b"\r\n")
            text = "\n".join(["AWS4-HMAC-SHA256-TRAILER", DATE, scope, before, sha(line + b"\n")])
            if signed.decode() != "x-amz-trailer-signature:" + sign_text(self.pair[1], text, scope):
                return "trailer signature does not match"
        return "" if body == b"\r\n" else "something behind the chunks"

    def check_url(self, m):
        q = urllib.parse.parse_qs(m.target.partition("?")[2], keep_blank_values=True)
        why = self.known(q["X-Amz-Credential"][0], q.get("X-Amz-Security-Token", []))
        if why:
            return why
        want = m.signature(self.pair[1], q["X-Amz-SignedHeaders"][0].split(";"), q["X-Amz-Credential"][0].partition("/")[2], "UNSIGNED-PAYLOAD")
        return self.once(want) if q["X-Amz-Signature"] == [want] else "signature does not match"


class Keys:
    """The process under test, as far as it is pure."""

    def __init__(self, token=None, regions="-", services="-", hosts="-"):
        self.p = subprocess.Popen([DRIVER, *REAL, token or "-", regions, services, hosts], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self.p.stdin and self.p.stdout
        self.to, self.back = self.p.stdin, self.p.stdout
        first = self.back.readline().decode().split()
        self.pair = (first[0], first[1])

    def send(self, m, host):
        data = m.bytes()
        self.to.write(f"{host} {len(data)}\n".encode() + data)
        self.to.flush()
        word, _, rest = self.back.readline().decode().strip().partition(" ")
        if word == "refused":
            return rest
        assert word == "ok", (word, rest)
        return Message.parse(self.back.read(int(rest)))

    def end(self):
        self.to.close()
        assert self.p.wait(10) == 0
        self.back.close()


@pytest.fixture(scope="module", autouse=True)
def driver():
    if "INJECT_DRIVER" in os.environ:
        return
    if not (BUILD / "build.ninja").exists():
        subprocess.run(["meson", "setup", BUILD, PROJECT], check=True, stdout=subprocess.DEVNULL)
    subprocess.run(["ninja", "-C", BUILD, "--quiet", "tests/keys/inject-driver"], check=True)


@pytest.fixture
def keys():
    made = []

    def call(**kw):
        made.append(Keys(**kw))
        return made[-1]

    yield call
    for k in made:
        k.end()


def passes(k, m, server=None, host=None):
    """M goes through, and the server takes it; nothing of the sandbox's pair is left in it."""
    server = server or Server()
    got = k.send(m, host or server.host)
    assert isinstance(got, Message), (got, m.bytes()[:600])
    assert server.check(got) == "", (m.bytes(), got.bytes())
    data = got.bytes()
    assert k.pair[0].encode() not in data and k.pair[1].encode() not in data and REAL[1].encode() not in data
    return got


TARGETS = ["/", "/key", "/a/b//c/../d", "/with%20space/%C3%BC%2B+~!$'()*,;=:@", "/?prefix=a%2Fb&delimiter=%2F&list-type=2", "/k?versionId=&acl", "/k?b=2&a=1&a=0&B=%7E~&c=x+y",
           "/k?x=%e4%bd%a0"]


def test_the_server_refuses(keys):
    """The controls: what the server would say to requests as the sandbox sends them, and to each thing that is wrong."""
    k, server = keys(), Server()
    c = Client(REAL)
    assert server.check(c.sign("GET", "/a")) == ""
    assert server.check(c.sign("GET", "/a")) == "replay"
    assert Server().check(Client(k.pair).sign("GET", "/a")) == "unknown access key"
    assert Server().check(Client((REAL[0], "no")).sign("GET", "/a")) == "signature does not match"
    assert Server(region="us-east-1").check(c.sign("GET", "/a")) == "wrong region or service"
    assert Server(host="other.s3.eu-west-1.amazonaws.com").check(c.sign("GET", "/a")) == "wrong host"
    assert Server(token="x").check(c.sign("GET", "/a")) == "wrong token"
    m = c.sign("PUT", "/a", body=b"one")
    m.body = b"two"
    assert Server().check(m) == "the body is another"
    m = c.stream("/a", [b"one", b"two"])
    assert Server().check(m) == ""
    m.body = m.body.replace(b"two", b"tvo")
    assert Server().check(m) == "chunk signature does not match"
    m = c.stream("/a", [b"one"], "x-amz-checksum-crc32:AAAAAA==")
    assert Server().check(m) == ""
    m.body = m.body.replace(b"AAAAAA", b"BAAAAA")
    assert Server().check(m) == "trailer signature does not match"
    m = c.presign("GET", "/a")
    assert Server().check(m) == ""
    m.target = m.target.replace("/a?", "/b?")
    assert Server().check(m) == "signature does not match"


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("token", [None, TOKEN])
def test_heads(keys, target, token):
    k = keys(token=token)
    c, server = Client(k.pair), Server(token=token)
    passes(k, c.sign("GET", target), server)
    passes(k, c.sign("PUT", target, [("X-Amz-Meta-A", "  two   blanks "), ("Content-Type", "text/plain")], b"body"), server)
    passes(k, c.sign("PUT", target, body=b"body", payload="UNSIGNED-PAYLOAD"), server)
    passes(k, c.presign("GET", target), server)
    passes(k, c.stream(target, [b"x" * 8192, b"y"]), server)


@pytest.mark.parametrize("host, service", [("a1b2.execute-api.eu-west-1.amazonaws.com", "execute-api"), ("bucket.s3-website.eu-west-1.amazonaws.com", "s3"),
                                           ("a1b2.lambda-url.eu-west-1.on.aws", "lambda")])
def test_a_token_goes_to_no_gateway_of_others(keys, host, service):
    """But by name; a pair without a token signs, which gives nothing away; and a service's own name has it."""
    for token, hosts, good in ((TOKEN, "*.amazonaws.com,*.on.aws", False), (TOKEN, f"*.amazonaws.com,{host}", True), (None, "*.amazonaws.com,*.on.aws", True)):
        k = keys(token=token, hosts=hosts)
        c, server = Client(k.pair, host, service=service), Server(token=token, host=host, service=service)
        sent = [c.sign("GET", "/"), c.sign("POST", "/", body=b"x", send_hash=False), *([c.presign("GET", "/x")] if service == "s3" else [])]
        for m in sent:
            if good:
                passes(k, m, server)
            else:
                assert k.send(m, host).startswith("session-token: others' programs may answer at this name"), host
    k = keys(token=TOKEN, hosts="*.amazonaws.com")
    passes(k, Client(k.pair).sign("GET", "/"), Server(token=TOKEN))


@pytest.mark.parametrize("service", ["dynamodb", "bedrock", "sts", "execute-api"])
@pytest.mark.parametrize("target", TARGETS[:4])
def test_bodies_whose_hash_is_not_sent(keys, service, target):
    host = f"{service}.eu-west-1.amazonaws.com"
    k = keys(token=TOKEN)
    c, server = Client(k.pair, host, service=service), Server(token=TOKEN, host=host, service=service)
    passes(k, c.sign("POST", target, [("X-Amz-Target", "DynamoDB_20120810.GetItem")], b'{"a":1}' * 9999, send_hash=False), server)
    passes(k, c.sign("GET", target, send_hash=False), server)
    m = c.sign("POST", target, body=b'{"a":1}', send_hash=False)
    m.body = b'{"a":2}'
    assert k.send(m, host) == "foreign-credential: signature of AWS, not by the pair of this sandbox"


@pytest.mark.parametrize("sizes", [[], [1], [8192], [65536, 65536, 17], [1 << 17] * 3, [1 << 18], [3] * 100])
@pytest.mark.parametrize("trailer", [None, "x-amz-checksum-crc32c:sOO8/Q=="])
def test_payloads_in_chunks(keys, sizes, trailer):
    k = keys(token=TOKEN)
    parts = [random.Random(n).randbytes(s) for n, s in enumerate(sizes)]
    sent = Client(k.pair).stream("/key", parts, trailer)
    got = passes(k, sent, Server(token=TOKEN))
    assert len(got.body) == len(sent.body) and got.all("content-length") == sent.all("content-length")


def test_a_chunk_has_an_end(keys):
    """One that is longer is refused when its line is read, before any of it is held."""
    k = keys()
    assert k.send(Client(k.pair).stream("/key", [bytes((1 << 18) + 1)]), "bucket.s3.eu-west-1.amazonaws.com").endswith("a chunk is too long")


def test_chunks_that_are_not_of_the_pair(keys):
    k = keys()
    c = Client(k.pair)
    for change in (lambda b: b.replace(b"two", b"tvo"), lambda b: b[:-4], lambda b: b + b"x", lambda b: b.replace(b"3;", b"4;", 1),
                   lambda b: Client(REAL).chunks([b"one", b"two"], seed=c.seed), lambda b: b""):
        m = c.stream("/key", [b"one", b"two"])
        m.body = change(m.body)
        assert isinstance(k.send(m, "bucket.s3.eu-west-1.amazonaws.com"), str), change
    passes(k, c.stream("/key", [b"one", b"two"]))


def test_unsigned_chunks_go_on(keys):
    k = keys()
    m = Client(k.pair).sign("PUT", "/k", [("X-Amz-Trailer", "x-amz-checksum-crc32")], payload="STREAMING-UNSIGNED-PAYLOAD-TRAILER")
    m.body = b"3\r\none\r\n0\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n"
    m.fields.append(("Content-Length", str(len(m.body))))
    assert passes(k, m).body == m.body


def test_what_is_not_sent_on_is_not_signed(keys):
    """Ranges and compression are not asked for at a bound host, also where the client has signed them."""
    k = keys()
    got = passes(k, Client(k.pair).sign("GET", "/k", [("Range", "bytes=0-9"), ("Accept-Encoding", "gzip"), ("If-Range", "x")]))
    assert not got.all("range") and not got.all("if-range") and got.all("accept-encoding") == ["identity"]
    assert "range" not in got.all("authorization")[0]


def test_wrong_region_host_and_replay(keys):
    """The server still sees who asked for what: signing anew makes nothing right that was wrong."""
    k = keys()
    host = "bucket.s3.eu-west-1.amazonaws.com"
    got = k.send(Client(k.pair, region="us-east-1").sign("GET", "/k"), host)
    assert Server().check(got) == "wrong region or service"
    got = k.send(Client(k.pair, host="other.s3.eu-west-1.amazonaws.com").sign("GET", "/k"), "other.s3.eu-west-1.amazonaws.com")
    assert Server().check(got) == "wrong host"
    server, m = Server(), Client(k.pair).sign("GET", "/k")
    passes(k, m, server)
    assert server.check(k.send(m, host)) == "replay"


def test_bound_regions_and_services(keys):
    k = keys(regions="eu-west-1,eu-north-1", services="s3")
    passes(k, Client(k.pair).sign("GET", "/k"))
    host = "bucket.s3.eu-west-1.amazonaws.com"
    assert k.send(Client(k.pair, region="us-east-1").sign("GET", "/k"), host) == "the secret is not bound to this region of AWS"
    assert k.send(Client(k.pair, region="us-east-1").presign("GET", "/k"), host) == "the secret is not bound to this region of AWS"
    assert k.send(Client(k.pair, service="sts").sign("GET", "/k"), host) == "the secret is not bound to this service of AWS"


@pytest.mark.parametrize("sign", [lambda c: c.sign("PUT", "/k", body=b"loot"), lambda c: c.presign("PUT", "/k"), lambda c: c.stream("/k", [b"loot"])])
def test_somebody_elses_key(keys, sign):
    """Attack 72: what the agent has read, uploaded with an account of the attacker's."""
    k = keys()
    own = ("AKIAATTACKERATTACKER", "their+own/secret/access/key/of/40/chars!")
    why = k.send(sign(Client(own)), "bucket.s3.eu-west-1.amazonaws.com")
    assert isinstance(why, str) and why.startswith("foreign-credential: ") and "another access key" in why
    # the id of the sandbox with a secret of their own is no better
    why = k.send(sign(Client((k.pair[0], own[1]))), "bucket.s3.eu-west-1.amazonaws.com")
    assert why == "foreign-credential: signature of AWS, not by the pair of this sandbox"
    passes(k, sign(Client(k.pair)))


@pytest.mark.parametrize("change", [
    lambda m: m.fields.append(("X-Amz-Security-Token", "theirs")),
    lambda m: setattr(m, "target", m.target + "?X-Amz-Security-Token=theirs"),
    lambda m: setattr(m, "target", m.target + "?X-Amz-Credential=theirs&X-Amz-Signature=x"),
    lambda m: m.fields.append(("Authorization", "AWS AKIA:x")),
    lambda m: m.fields.append(("Cookie", "session=theirs")),
    lambda m: m.fields.append(("X-Amz-S3session-Token", "theirs")),
])
def test_a_second_carrier_beside_the_signature(keys, change):
    k = keys()
    m = Client(k.pair).sign("GET", "/k")
    change(m)
    why = k.send(m, "bucket.s3.eu-west-1.amazonaws.com")
    assert isinstance(why, str) and why.startswith("foreign-credential: "), why


@pytest.mark.parametrize("target", ["/a%2Fb%2fc", "/a+b?x=1+2", "/k?a=%7e%2f", "/%61%5f", "/(a)?b=(c)"])
@pytest.mark.parametrize("reading", ["decoded", "verbatim"])
def test_signers_that_read_a_target_in_another_way(keys, monkeypatch, target, reading):
    """What its signer takes a target for is what is signed anew: its server does the same."""
    if reading == "verbatim":
        monkeypatch.setattr("test_sigv4.canonical_path", lambda path, service: path)
        monkeypatch.setattr("test_sigv4.canonical_query", lambda query: "&".join(sorted(p if "=" in p else p + "=" for p in query.split("&")
                                                                                        if p and not p.startswith("X-Amz-Signature"))))
    k = keys()
    passes(k, Client(k.pair).sign("GET", target))
    passes(k, Client(k.pair).presign("GET", target))


def test_a_length_is_signed_or_not(keys):
    """SDKs of Go, Java and JavaScript sign it, others don't; one that is signed is the one that was sent."""
    k = keys()
    c, host = Client(k.pair), "bucket.s3.eu-west-1.amazonaws.com"
    for unsigned in ((), ("content-length",)):
        got = passes(k, c.sign("PUT", "/k", body=b"body", payload="UNSIGNED-PAYLOAD", unsigned=unsigned))
        assert ("content-length;" in got.all("authorization")[0]) == (not unsigned) and got.all("content-length") == ["4"]
    m = c.sign("PUT", "/k", body=b"body", payload="UNSIGNED-PAYLOAD")
    m.fields = [(n, "5" if n == "Content-Length" else v) for n, v in m.fields]
    m.body += b"!"
    assert k.send(m, host) == "foreign-credential: signature of AWS, not by the pair of this sandbox"


def test_many_requests(keys):
    """Whatever a client sends that signs as AWS says, is signed as AWS says."""
    r = random.Random(7)
    k, server = keys(token=TOKEN), Server(token=TOKEN)
    c = Client(k.pair)
    letters = "abcXYZ019-._~!$'()*,;:@ %+=&/?#\u00fc\u4f60\""
    word = lambda n: quote("".join(r.choice(letters) for _ in range(r.randrange(n))), r.choice(("", "/", "!$'()*,")))  # noqa: E731
    for n in range(400):
        target = "/" + word(20) + "/" + word(9) + f"/{n}"
        if r.random() < 0.6:
            target += "?" + "&".join(word(8) + r.choice(("", "=", "=" + word(8))) for _ in range(r.randrange(1, 5)))
        if re.search(r"[?&](x-|auth|sig|key|token)", target, re.I):
            continue
        fields = [(f"X-Amz-Meta-{i}", " ".join("".join(r.choice("ab ,;=\t") for _ in range(9)).split("\t"))) for i in range(r.randrange(4))]
        kind = r.randrange(4)
        if kind == 0:
            m = c.sign(r.choice(("GET", "HEAD", "DELETE")), target, fields)
        elif kind == 1:
            m = c.sign(r.choice(("PUT", "POST")), target, fields, r.randbytes(r.randrange(1, 500)))
        elif kind == 2:
            m = c.stream(target, [r.randbytes(r.randrange(1, 9999)) for _ in range(r.randrange(4))], r.choice((None, "x-amz-checksum-sha1:AA==")))
        else:
            m = c.presign("GET", target)
        passes(k, m, server)
