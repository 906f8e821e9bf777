# SPDX-License-Identifier: Apache-2.0
"""`bailey srt` where TLS ends on the way: tlsTerminate, credentials that are masked, pairs of AWS, and what requests may be. Real clients and servers (servers.py)."""
import base64
import hashlib
import hmac
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
from typing import Any

import pytest

from conftest import BAILEY, PROJECT, PYTHON
from searches import descendants, forms, search
from test_credentials import arrived
from test_gateway import CLEAN
from test_gateway_clients import BOTH
from test_inspect import Inside, internet  # noqa: F401 (a fixture)
from test_ready_made_aws import BAD, CLIENT, GOOD

VALUE = "k3y-Of/The+Owner=7d1f0a"
OTHER = "0ther-Key_Of.The:Owner~x"
ECHO, WHO = "https://web.test/echo", "https://web.test/who"
TLS: dict[str, Any] = {"tlsTerminate": {}}


class Srt(Inside):
    """srt(COMMAND, NETWORK, …) -> (status, stdout, stderr) of `bailey srt -c COMMAND`."""

    def words(self, network, credentials, filesystem, opts):
        config = {"network": {"allowedDomains": ["web.test"], "deniedDomains": [], **network},
                  "filesystem": {"denyRead": [], "allowWrite": ["."], "denyWrite": [], **(filesystem or {})}, **({"credentials": credentials} if credentials else {})}
        path = self.user.write(self.user.base / "srt-tls.json", json.dumps(config))
        return [os.fspath(w) for w in (*self.enter, "env", "-C", self.ws, BAILEY, "srt", "-s", path, *opts)]

    def __call__(self, cmd, network=None, credentials=None, *, filesystem=None, env=None, opts=(), **kw):
        words = [*self.words({**TLS, **(network or {})} if network is not False else {}, credentials, filesystem, opts), "-c", cmd]
        return subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", timeout=60, check=False, env={**self.environ, **(env or {})}, **kw)

    def log(self, _=None):
        got = self.network("log", "--json")
        assert got.rc == 0, got.err
        return [json.loads(line) for line in got.out.splitlines()]

    def network(self, *words):
        return Inside.__call__(self, None, *words, verb="network")


@pytest.fixture
def srt(internet, user, ws, works):  # noqa: F811
    assert works(user) == ""
    user.write(ws / "ca.crt", (internet.dir / "ca.crt").read_text(), 0o600)
    return Srt(internet, user, ws)


def status(r):
    return re.findall(r"^\d{3}$", r.stdout, re.M)


CODE = "curl -sS -o out -w '%{http_code}\\n'"


# --- tlsTerminate ---


@BOTH
def test_tls_ends_here_and_every_request_is_logged(srt, env):
    clean = " ".join(env)
    r = srt(f"{clean} curl -sS {WHO}; {clean} curl -sS http://web.test/who")
    assert r.stdout.count("web.test HTTP/") == 2, r
    assert [(e["method"], e["target"]) for e in srt.log() if e["event"] == "request"] == [("GET", "/who")] * 2
    issuer = "echo | openssl s_client -connect web.test:443 -servername web.test 2>/dev/null | openssl x509 -noout -issuer"
    assert "bailey sandbox" in srt(f"{clean} {issuer}").stdout
    r = srt(f"{issuer}; curl -sS --cacert ca.crt {WHO}", False)
    assert "CN = tests" in r.stdout and "web.test HTTP/" in r.stdout, "control: without tlsTerminate nobody looks inside"


def test_what_is_excluded_is_left_alone(srt):
    show = "for h in web denied; do echo | openssl s_client -connect $h.test:443 -servername $h.test 2>/dev/null | openssl x509 -noout -issuer; done"
    r = srt(show, {"allowedDomains": ["web.test", "denied.test"], "tlsTerminate": {"excludeDomains": ["denied.test"]}})
    assert re.fullmatch(r"issuer=CN = bailey sandbox \w+\nissuer=CN = tests\n", r.stdout), r


def test_the_bundle_has_more_roots(srt):
    """Without the caller's variable the command trusts the server only if the settings say so; a key beside the certificate stays outside."""
    del srt.environ["SSL_CERT_FILE"]
    srt.user.write(srt.ws / "both.pem", "-----BEGIN PRIVATE KEY-----\nCANARY\n-----END PRIVATE KEY-----\n" + (srt.ws / "ca.crt").read_text())
    excluded: dict[str, Any] = {"excludeDomains": ["web.test"]}
    rows: tuple[tuple[dict[str, Any], int], ...] = (({}, 60), ({"extraCaCertPaths": ["/nowhere", "both.pem"]}, 0))
    for more, rc in rows:
        r = srt(f"curl -sS {WHO}; echo rc $?; grep -c CANARY $SSL_CERT_FILE", {"tlsTerminate": {**excluded, **more}})
        assert r.stdout.splitlines()[-2:] == [f"rc {rc}", "0"], r


@pytest.fixture
def authority(srt):
    def make(*ext, name="mine"):
        srt.user.exec(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=my own", *ext, "-keyout", srt.ws / f"{name}.key", "-out", srt.ws / f"{name}.crt"])
        return {"tlsTerminate": {"caCertPath": f"{name}.crt", "caKeyPath": f"{name}.key"}}

    return make


def test_an_authority_of_the_callers_own(srt, authority):
    r = srt(f"curl -sS --cacert mine.crt {WHO}; cat mine.key; echo rc $?", authority())
    assert "web.test HTTP/" in r.stdout and r.stdout.endswith("rc 1\n") and "PRIVATE" not in r.stdout, r
    assert "PRIVATE" in srt("cat mine.key").stdout, "control: when it is nobody's authority it is a file as others"


def test_a_bad_authority_is_named_and_nothing_runs(srt, authority):
    leaf = authority("-addext", "basicConstraints=critical,CA:FALSE", name="leaf")
    good = authority()
    for network, words in ((leaf, "leaf.crt: the certificate is of no authority"),
                           ({"tlsTerminate": {"caCertPath": "mine.crt", "caKeyPath": "leaf.key"}}, "the key is not that of the certificate"),
                           ({"tlsTerminate": {"caCertPath": "mine.key", "caKeyPath": "mine.key"}}, "no certificate"),
                           ({"tlsTerminate": {"caCertPath": "mine.crt", "caKeyPath": "mine.crt"}}, "no private key"),
                           ({"tlsTerminate": {"caCertPath": "none.crt", "caKeyPath": "mine.key"}}, "none.crt: No such file"),
                           ({"tlsTerminate": {"caCertPath": "mine.crt"}}, "network.tlsTerminate: caCertPath and caKeyPath")):
        r = srt("touch ran", network)
        assert r.returncode == 1 and words in r.stderr and not (srt.ws / "ran").exists(), (words, r)
    assert srt("touch ran", good).returncode == 0 and (srt.ws / "ran").exists()


def test_as_many_tunnels_as_the_settings_say(srt):
    script = """import ssl, socket
held = []
for _ in range(3):
    try:
        s = ssl.create_default_context().wrap_socket(socket.create_connection(("web.test", 443)), server_hostname="web.test")
        s.sendall(b"GET /who HTTP/1.1\\r\\nHost: web.test\\r\\n\\r\\n")
        held.append((s, s.recv(12).decode()))
    except OSError as e:
        held.append((None, "none"))
print([what for _, what in held])
"""
    srt.user.write(srt.ws / "hold.py", script)
    assert srt(f"{PYTHON} hold.py", {"tlsTerminate": {"maxTunnels": 2}}).stdout == "['HTTP/1.1 200', 'HTTP/1.1 200', 'none']\n"
    assert srt(f"{PYTHON} hold.py").stdout == "['HTTP/1.1 200', 'HTTP/1.1 200', 'HTTP/1.1 200']\n"


SLOW = """import os, socket, time
how = {"silent": b"", "half": b"\\x16\\x03\\x01\\x02\\x00\\x01"}
for name, first in how.items():
    s = socket.create_connection(("127.0.0.1", 3128))
    s.sendall(b"CONNECT web.test:443 HTTP/1.1\\r\\nHost: web.test:443\\r\\n\\r\\n")
    assert s.recv(100).startswith(b"HTTP/1.1 200"), name
    s.sendall(first)
    s.settimeout(3)
    try:
        print(name, "ended" if s.recv(1) == b"" else "said something")
    except OSError as e:
        print(name, "open" if isinstance(e, TimeoutError) else "ended")
"""


def test_a_client_that_does_not_begin_its_handshake_is_ended(srt):
    """From its CONNECT, as srt counts; what comes of the handshakes themselves is in tests/keys/test_tls.py. The usual time is 10 s, and more than this waits."""
    srt.user.write(srt.ws / "slow.py", SLOW)
    for ms, what in ((300, "ended"), (None, "open")):
        r = srt(f"{PYTHON} slow.py", {"tlsTerminate": {"handshakeTimeoutMs": ms} if ms else {}})
        assert r.stdout == f"silent {what}\nhalf {what}\n", r


def test_what_is_neither_needs_an_entry_with_the_port(srt):
    """As SSH is carried: srt passes it; with refuseOpaqueTunnels nobody does."""
    talk = f"{PYTHON} -c \"import socket; s = socket.create_connection(('web.test', 80)); s.sendall(b'\\x01\\x02\\x03\\x04 what?\\n'); print(s.recv(100)[:12])\""
    listed: dict[str, Any] = {"allowedDomains": ["web.test", "web.test:80"]}
    assert "HTTP/1.1 400" in srt(" ".join([*CLEAN, talk]), listed).stdout, "nginx has seen it"
    for network in ({}, {**listed, "refuseOpaqueTunnels": True}):
        r = srt(" ".join([*CLEAN, talk]), network)
        assert "HTTP/1.1 400" not in r.stdout, r


# --- requests ---


def test_fields_of_answers_are_taken_away(srt):
    ask = " ".join(f"curl -sSi {flag} {url} | tr -d '\\r' | grep -i '^x-echo\\|^server' | cut -d: -f1;"
                   for flag in ("--http1.1", "--http2") for url in (ECHO + " -H X-Key:yes", "http://web.test/echo -H X-Key:yes"))
    assert srt(ask).stdout.lower().split() == ["server", "x-echo"] * 4
    assert srt(ask, {"stripResponseHeaders": ["x_ECHO"]}).stdout.lower().split() == ["server"] * 4
    # of excluded hosts too, where somebody can look
    ask = "curl -sSi http://web.test/echo -H X-Key:yes | tr -d '\\r' | grep -ic '^x-echo'"
    assert srt(ask, {"stripResponseHeaders": ["x_ECHO"], "tlsTerminate": {"excludeDomains": ["web.test"]}}).stdout == "0\n"


@pytest.mark.parametrize("key, value", [("refuseOpaqueTunnels", True), ("stripResponseHeaders", ["set-cookie"])])
@pytest.mark.parametrize("other", [False, {"httpProxyPort": 3999, **TLS}], ids=["no-tls", "other-proxy"])
def test_what_nobody_could_keep_is_an_error(srt, key, value, other):
    r = srt("touch ran", {**(other or {"tlsTerminate": None}), key: value} if other else None, opts=()) if other else plain(srt, {key: value})
    assert r.returncode == 1 and f"network.{key}: it needs network.tlsTerminate" in r.stderr and not (srt.ws / "ran").exists(), r


def plain(srt, network):
    words = [*srt.words(network, None, None, ()), "-c", "touch ran"]
    return subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False, env=srt.environ)


def test_tls_and_a_proxy_at_a_socket_is_an_error(srt):
    r = srt("touch ran", {"mitmProxy": {"socketPath": "/nowhere", "domains": ["web.test"]}})
    assert r.returncode == 1 and "network.mitmProxy: it can't be used beside tlsTerminate" in r.stderr and not (srt.ws / "ran").exists(), r


def test_a_function_is_an_error(srt):
    r = srt("touch ran", {"filterRequest": "x"})
    assert r.returncode == 1 and "network.filterRequest: a function can't be given in a file" in r.stderr and not (srt.ws / "ran").exists(), r


def test_what_nobody_looks_into_is_refused(srt):
    network: dict[str, Any] = {"allowedDomains": ["web.test", "denied.test"], "refuseOpaqueTunnels": True, "tlsTerminate": {"excludeDomains": ["denied.test"]}}
    ask = "for h in web denied; do curl -sSk -o /dev/null -w '%{http_code}\\n' https://$h.test/who; done"
    assert status(srt(ask, network)) == ["200", "000"]
    assert status(srt(ask, {**network, "refuseOpaqueTunnels": False})) == ["200", "200"]


def test_another_host_and_trace_are_refused(srt):
    """requireHostMatch always holds."""
    r = srt(f"{CODE} -H 'Host: denied.test' {WHO}; {CODE} {WHO}; {CODE} -X TRACE {WHO}", {"requireHostMatch": False})
    assert status(r) == ["421", "200", "405"], r


# --- masks of variables ---


def mask(**more):
    return {"envVars": [{"name": "MY_KEY", "mode": "mask", **more}]}


@BOTH
@pytest.mark.parametrize("flag", ["--http1.1", "--http2"])
def test_the_server_gets_the_value_and_the_command_a_sentinel(srt, env, flag):
    arrived(srt)
    r = srt(f"{' '.join(env)} curl -sS {flag} -i -H \"X-Key: $MY_KEY\" -H 'Authorization: Bearer of.my.own' {ECHO}; echo \"$MY_KEY\"", None, mask(), env={"MY_KEY": VALUE})
    assert [a[3:] for a in arrived(srt)] == [("Bearer of.my.own", VALUE)], r  # what else authenticates is the command's own business
    sentinel = r.stdout.splitlines()[-1]
    assert sentinel.startswith("bailey-secret-") and VALUE not in r.stdout and r.stdout.count(sentinel) == 3, r
    assert [e["secret"] for e in srt.log() if e["event"] == "request"] == ["MY_KEY"]


def test_it_goes_where_the_settings_say(srt):
    both: dict[str, Any] = {"allowedDomains": ["web.test:443", "*.wide.test"]}
    ask = "for u in https://web.test https://sub.wide.test; do curl -sSk -H \"X-Key: $MY_KEY\" $u/echo -o /dev/null; done"
    for creds, got in ((mask(), [VALUE, VALUE]), (mask(injectHosts=["*.wide.test"]), ["no", VALUE]), (mask(injectHosts=["sub.wide.test", "web.test"]), [VALUE, VALUE])):
        arrived(srt)
        r = srt(ask, both, creds, env={"MY_KEY": VALUE})
        assert [a[-1] if a[-1] == VALUE else "no" for a in arrived(srt)] == got, (creds, r)
    # excluded: nobody looks, nobody puts in
    arrived(srt)
    r = srt(ask, {**both, "tlsTerminate": {"excludeDomains": ["web.test"]}}, mask(), env={"MY_KEY": VALUE})
    assert [a[-1] == VALUE for a in arrived(srt)] == [False, True], r


def test_never_in_plain_text(srt):
    for creds in (mask(), {**mask(), "allowPlaintextInject": True}):
        arrived(srt)
        r = srt(f"{CODE} -H \"X-Key: $MY_KEY\" http://web.test/echo; {CODE} -H 'X-Key: other' http://web.test/echo", None, creds, env={"MY_KEY": VALUE})
        assert status(r) == ["403", "200"] and [a[-1] for a in arrived(srt)] == ["other"], r
    arrived(srt)
    r = srt("curl -sSk -H \"X-Key: $MY_KEY\" https://web.test/echo", False, {**mask(), "allowPlaintextInject": True}, env={"MY_KEY": VALUE})
    assert "put in nowhere" in r.stderr and arrived(srt)[0][-1].startswith("bailey-secret-"), r


def test_it_is_put_into_bodies_and_queries_too(srt):
    arrived(srt)
    r = srt(f"curl -sS \"{ECHO}?k=$MY_KEY\"; curl -sS -u \"me:$MY_KEY\" {ECHO}", None, mask(), env={"MY_KEY": VALUE})
    (_, _, path, *_), (_, _, _, auth, _) = arrived(srt)
    assert path == "/echo?k=k3y-Of%2FThe%2BOwner%3D7d1f0a" and base64.b64decode(auth.split()[1]).decode() == f"me:{VALUE}", r
    assert VALUE not in r.stdout


@pytest.mark.parametrize("value, why", [("short", "shorter than 8 bytes"), ("two lines\nof it", "no header can have"), ("umläute-sind-da", "no header can have")])
def test_what_cant_be_masked_is_denied_and_a_line_says_so(srt, value, why):
    r = srt("echo \"[$MY_KEY]\"; grep -c \"$0\" /proc/self/environ", None, mask(), env={"MY_KEY": value})
    assert r.stdout.startswith("[]\n") and f"credentials.envVars[0] 'MY_KEY' can't be masked, so it is denied: it " in r.stderr and why in r.stderr, r
    assert srt("echo \"[$MY_KEY]\"", env={"MY_KEY": value}).stdout == f"[{value}]\n", "control"


def test_a_denial_of_the_same_name_counts_and_nothing_stays_nothing(srt):
    both = {"envVars": [{"name": "MY_KEY", "mode": "mask"}, {"name": "MY_KEY", "mode": "deny"}]}
    assert srt("echo \"[$MY_KEY]\"", None, both, env={"MY_KEY": VALUE}).stdout == "[]\n"
    assert srt("echo \"[${MY_KEY-unset}]\"", None, mask()).stdout == "[unset]\n"


def test_the_parts_that_an_expression_finds(srt):
    url = f"https://me:{VALUE}@web.test/x?again={VALUE}&other={OTHER}"
    r = srt("echo \"$MY_KEY\"", None, mask(extract=r"(?:me:|other=)([^@&\s]+?)(?=@|$)"), env={"MY_KEY": url})
    assert r.stdout == "\n" and "looks around" in r.stderr, r
    r = srt("echo \"$MY_KEY\"", None, mask(extract=r"(?:me:|again=|other=)([^@&\s]+)"), env={"MY_KEY": url})
    m = re.fullmatch(r"https://me:(bailey-secret-\w+)@web\.test/x\?again=(bailey-secret-\w+)&other=(bailey-secret-\w+)\n", r.stdout)
    assert m and m[1] == m[2] != m[3], r
    arrived(srt)
    srt(f"k=${{MY_KEY#*me:}}; curl -sS -H \"X-Key: ${{k%%@*}}\" -H \"Authorization: ${{MY_KEY##*=}}\" {ECHO}", None, mask(extract=r"(?:me:|again=|other=)([^@&\s]+)"), env={"MY_KEY": url})
    assert [a[3:] for a in arrived(srt)] == [(OTHER, VALUE)]


@pytest.mark.parametrize("way, rc, out", [("warn", 0, "[]\n"), ("deny", 0, "[]\n"), ("error", 1, ""), (None, 0, "[]\n")])
def test_no_match(srt, way, rc, out):
    r = srt("echo \"[$MY_KEY]\"", None, mask(extract="token=(.+)", **({"onExtractNoMatch": way} if way else {})), env={"MY_KEY": VALUE})
    assert (r.returncode, r.stdout) == (rc, out) and "extract matches nothing" in r.stderr, r


def jwt(claims):
    return ".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in ({"alg": "HS256", "typ": "JWT"}, claims)) + ".c2lnbmF0dXJl"


def test_a_token_looks_like_one(srt):
    token = jwt({"sub": "me", "exp": 1})
    arrived(srt)
    r = srt(f"curl -sS -o /dev/null -H \"Authorization: Bearer $MY_KEY\" {ECHO}; echo \"$MY_KEY\"", None, mask(decode="jwt"), env={"MY_KEY": token})
    assert [a[3] for a in arrived(srt)] == [f"Bearer {token}"], r
    head, payload, _ = r.stdout.strip().split(".")
    assert json.loads(base64.urlsafe_b64decode(head + "=="))["alg"] == "HS256"
    assert json.loads(base64.urlsafe_b64decode(payload + "=="))["exp"] > 9e9
    r = srt("echo \"[$MY_KEY]\"", None, mask(decode="jwt"), env={"MY_KEY": VALUE})
    assert r.stdout == "[]\n" and "no JSON Web Token" in r.stderr, r


def test_claims_of_a_token(srt):
    """What is not named stays as it is; both the token and a claim alone are put in."""
    token = jwt({"iss": "somebody", "key": VALUE, "list": [1, "two", None], "n": 1.5, "t": True})
    look = "python3 -c 'import base64, json, os; print(json.dumps(json.loads(base64.urlsafe_b64decode(os.environ[\"MY_KEY\"].split(\".\")[1] + \"==\"))))'"
    arrived(srt)
    send = f"{PYTHON} -c \"import base64, json, os; print(json.loads(base64.urlsafe_b64decode(os.environ['MY_KEY'].split('.')[1] + '=='))['key'])\" > claim"
    r = srt(f"{look}; {send}; curl -sS -o /dev/null -H \"Authorization: Bearer $MY_KEY\" -H \"X-Key: $(cat claim)\" {ECHO}; echo \"$MY_KEY\"",
            None, mask(decode="jwt", maskClaims=["key", "n", "absent"]), env={"MY_KEY": token})
    assert [a[3:] for a in arrived(srt)] == [(f"Bearer {token}", VALUE)], r
    claims, fake = json.loads(r.stdout.splitlines()[0]), r.stdout.splitlines()[-1]
    assert claims.pop("key").startswith("bailey-secret-") and claims == {"iss": "somebody", "list": [1, "two", None], "n": 1.5, "t": True}, r
    assert fake.split(".")[0] == token.split(".")[0] and fake.split(".")[2] != token.split(".")[2]
    for claims, why in (({"iss": "somebody"}, "none of maskClaims"), ({"key": "short"}, "shorter than 8 bytes"), ({"key": VALUE, "pad": "x" * 4000}, "too long")):
        r = srt("echo \"[$MY_KEY]\"", None, mask(decode="jwt", maskClaims=["key", "n"]), env={"MY_KEY": jwt(claims)})
        assert r.stdout == "[]\n" and why in r.stderr, r


def test_claims_of_tokens_in_a_file(srt):
    one, two = jwt({"key": VALUE}), jwt({"key": OTHER, "iss": "me"})
    srt.user.write(srt.ws / "key", f"one={one}\ntwo={two}\n")
    r = srt("cat key", None, file_mask(decode="jwt", maskClaims=["key"]))
    fakes = dict(line.split("=", 1) for line in r.stdout.splitlines())
    assert one not in r.stdout and two not in r.stdout and all(f.count(".") == 2 for f in fakes.values()), r
    assert json.loads(base64.urlsafe_b64decode(fakes["two"].split(".")[1] + "=="))["iss"] == "me"


# --- masks of files ---


def file_mask(**more):
    return {"files": [{"path": "key", "mode": "mask", **more}]}


def test_a_file_is_shown_with_its_sentinel(srt):
    srt.user.write(srt.ws / "key", VALUE + "\n", 0o600)
    arrived(srt)
    r = srt(f"curl -sS -o /dev/null -H \"X-Key: $(cat key)\" {ECHO}; cat key; echo x > key; rm -f key; mv key other; cat key", None, file_mask())
    assert [a[-1] for a in arrived(srt)] == [VALUE], r
    assert re.fullmatch(r"(bailey-secret-\w{32}\n)\1", r.stdout), r
    assert (srt.ws / "key").read_text() == VALUE + "\n" and not (srt.ws / "other").exists()
    assert srt("cat key").stdout == VALUE + "\n", "control: without a mask"


def test_a_mask_below_tmp(srt):
    """Where everything private is staged: it is put in its place when the rest is there."""
    srt.ws = srt.user.mkdir(pathlib.Path(f"/tmp/bailey-masked{os.getpid()}"))
    try:
        srt.user.write(srt.ws / "key", VALUE + "\n", 0o600)
        r = srt("cat key; echo x > new", None, file_mask())
        assert re.fullmatch(r"bailey-secret-\w{32}\n", r.stdout) and (srt.ws / "new").exists(), r
        assert (srt.ws / "key").read_text() == VALUE + "\n"
    finally:
        shutil.rmtree(srt.ws)


def test_of_a_file_only_the_parts(srt):
    text = f"# {VALUE}\nhost: web.test\ntoken: {VALUE}\nother: {OTHER}\n"
    srt.user.write(srt.ws / "key", text)
    r = srt("cat key", None, file_mask(extract=r"(?:token|other): (\S+)"))
    assert re.fullmatch(rf"# {re.escape(VALUE)}\nhost: web\.test\ntoken: bailey-secret-\w+\nother: bailey-secret-\w+\n", r.stdout), r
    r = srt("cat key", None, file_mask(extract=r"(?:token|other): (\S+)", maskDuplicates=True))
    assert re.fullmatch(r"# (bailey-secret-\w+)\nhost: web\.test\ntoken: \1\nother: bailey-secret-\w+\n", r.stdout), r
    arrived(srt)
    srt(f"curl -sS -o /dev/null -H \"X-Key: $(sed -n 's/other: //p' key)\" {ECHO}", None, file_mask(extract=r"(?:token|other): (\S+)"))
    assert [a[-1] for a in arrived(srt)] == [OTHER]


def test_tokens_in_a_file(srt):
    token = jwt({"sub": "me"})
    srt.user.write(srt.ws / "key", f"{{\"token\": \"{token}\"}}")
    r = srt("cat key", None, file_mask(decode="jwt"))
    assert token not in r.stdout and json.loads(r.stdout)["token"].count(".") == 2, r


@pytest.mark.parametrize("text, more, why", [
    ("short", {}, "shorter"), ("two\nlines-of-it\n", {}, "no header can have"), (VALUE, {"extract": "token=(.*)"}, "extract matches nothing"),
    ("x" * 70000, {}, "too long"), (VALUE, {"decode": "jwt"}, "extract matches nothing"),
], ids=["short", "lines", "no-match", "long", "no-token"])  # fmt: skip
def test_a_file_that_cant_be_masked_is_denied(srt, text, more, why):
    srt.user.write(srt.ws / "key", text)
    for fs in (None, {"disabled": True}):
        r = srt("cat key || echo denied", None, file_mask(**more), filesystem=fs)
        assert r.stdout == "denied\n" and why in r.stderr, (fs, r)


def test_no_match_in_a_file_can_be_an_error(srt):
    srt.user.write(srt.ws / "key", VALUE)
    r = srt("cat key || echo denied", None, file_mask(extract="no(t)here", onExtractNoMatch="error"))
    assert r.returncode == 1 and r.stdout == "" and "onExtractNoMatch" in r.stderr, r


def test_a_link_to_a_masked_file_and_a_denied_directory(srt):
    srt.user.exec(["mkdir", srt.ws / "d"])
    srt.user.write(srt.ws / "d/real", VALUE)
    srt.user.exec(["ln", "-s", "d/real", srt.ws / "key"])
    r = srt("cat key d/real | tr -d '\\n'", None, file_mask())
    assert re.fullmatch(r"(bailey-secret-\w{32})\1", r.stdout), r
    r = srt("cat key || echo denied", None, file_mask(), filesystem={"denyRead": ["d"]})
    assert r.stdout == "denied\n", r


def test_a_masked_file_that_the_host_replaces(srt):
    """A refreshed credential comes by a rename, which takes the mask with it: what comes is denied where the command could write, and elsewhere the mask stays."""
    srt.user.exec(["mkdir", srt.ws / "w", srt.ws / "r"])
    for d in ("w", "r"):
        srt.user.write(srt.ws / d / "key", VALUE)
    masks = {"files": [{"path": f"{d}/key", "mode": "mask"} for d in ("w", "r")], "allowPlaintextInject": True}
    words = [*srt.words({"allowedDomains": []}, masks, {"allowWrite": ["w"]}, ()), "-c", "cat */key; echo .; read -r _; cat r/key; sleep 1; cat w/key || echo denied"]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=srt.environ, text=True) as p:
        assert p.stdin and p.stdout
        first = p.stdout.readline()
        for d in ("w", "r"):
            srt.user.write(srt.ws / d / "new", OTHER)
            srt.user.exec(["mv", srt.ws / d / "new", srt.ws / d / "key"])
        out = p.communicate("\n", timeout=30)[0]
    assert first.count("bailey-secret-") == 2 and re.fullmatch(r"bailey-secret-\w{32}denied\n", out), (first, out)


def test_masks_hold_without_a_network(srt):
    srt.user.write(srt.ws / "key", VALUE)
    r = srt("echo \"$MY_KEY\"; cat key", {"allowedDomains": []}, {**mask(), **file_mask()}, env={"MY_KEY": VALUE})
    assert r.stdout.count("bailey-secret-") == 2 and VALUE not in r.stdout, r


def test_nothing_that_the_command_can_see_has_the_value(srt):
    srt.user.write(srt.ws / "key", OTHER)
    look = "cat /proc/*/environ /proc/*/cmdline 2>/dev/null | tr '\\0' '\\n' | grep -c 'k3y[-]Of\\|0ther[-]Key'"
    assert srt(look, None, {**mask(), **file_mask()}, env={"MY_KEY": VALUE}).stdout == "0\n"
    assert srt(look, env={"MY_KEY": VALUE}).stdout != "0\n", "control"


def test_no_process_but_one_has_the_value(srt):
    """Searched by root, who sees all of them: the command's, PID 1's, the gateway's and the supervisor's memory. The control is the process that must have it."""
    srt.user.write(srt.ws / "key", OTHER)
    script = f"curl -sS -H \"X-Key: $MY_KEY\" -H \"Authorization: $(cat key)\" {ECHO} > /dev/null; echo done; read -r _"
    words = [*srt.words(TLS, {**mask(), **file_mask()}, None, ()), "-c", script]
    arrived(srt)
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={**srt.environ, "MY_KEY": VALUE}) as p:
        assert p.stdin and p.stdout and p.stdout.readline() == b"done\n"
        assert [a[3:] for a in arrived(srt)] == [(OTHER, VALUE)]
        names = descendants(p.pid)
        out = search(names, forms(VALUE) | forms(OTHER))
        found = {names[int(li.split("/")[0])] for li in out}
        p.stdin.close()
    assert len(names) > 4 and found == {"bailey-keys"}, (names, out)


# --- pairs of AWS ---

SIGN = """import datetime, hashlib, hmac, os, sys, urllib.request as u
host, target = "web.test", "/echo"
extra = dict(a.split("=", 1) for a in sys.argv[1:])
hash_ = extra.pop("hash", "UNSIGNED-PAYLOAD")
names = extra.pop("names", "AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN").split()
key, secret, token = (os.environ.get(n, "") for n in names)
date = "20261129T080000Z"
headers = {"host": host, "x-amz-content-sha256": hash_, "x-amz-date": date, **({"x-amz-security-token": token} if token else {})}
signed = ";".join(sorted(headers))
canonical = "\\n".join(["GET", target, "", *(f"{k}:{headers[k]}" for k in sorted(headers)), "", signed, hash_])
scope = f"{date[:8]}/eu-west-1/s3/aws4_request"
text = "\\n".join(["AWS4-HMAC-SHA256", date, scope, hashlib.sha256(canonical.encode()).hexdigest()])
k = ("AWS4" + secret).encode()
for part in scope.split("/"):
    k = hmac.new(k, part.encode(), hashlib.sha256).digest()
auth = f"{extra.pop('alg', 'AWS4-HMAC-SHA256')} Credential={key}/{scope}, SignedHeaders={signed}, Signature={hmac.new(k, text.encode(), hashlib.sha256).hexdigest()}"
r = u.Request(f"https://{host}{target}", headers={**headers, "Authorization": auth})
try:
    print(u.urlopen(r).status)
except u.HTTPError as e:
    print(e.code, e.read().decode().strip())
print(key, secret, token)
"""
REAL = ("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "FwoGZXIvYXdzEXAMPLEtoken")


def signature(auth, token, secret=REAL[1], hash_="UNSIGNED-PAYLOAD"):
    """What a server with the real key computes for AUTH."""
    m = re.fullmatch(r"AWS4-HMAC-SHA256 Credential=([^/]+)/(\S+), ?SignedHeaders=(\S+), ?Signature=(\w+)", auth)
    assert m, auth
    values = {"host": "web.test", "x-amz-content-sha256": hash_, "x-amz-date": "20261129T080000Z", "x-amz-security-token": token}
    names = m[3].split(";")
    canonical = "\n".join(["GET", "/echo", "", *(f"{k}:{values[k]}" for k in names), "", m[3], hash_])
    text = "\n".join(["AWS4-HMAC-SHA256", values["x-amz-date"], m[2], hashlib.sha256(canonical.encode()).hexdigest()])
    k = ("AWS4" + secret).encode()
    for part in m[2].split("/"):
        k = hmac.new(k, part.encode(), hashlib.sha256).digest()
    return m[1], names, m[4] == hmac.new(k, text.encode(), hashlib.sha256).hexdigest()


def aws(names, **more):
    return {"envVars": [{"name": n, "mode": "mask"} for n in names], **more}


USUAL = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
OWN = ("MY_ID", "MY_SECRET", "MY_TOKEN")


@pytest.mark.parametrize("names, token", [(USUAL, True), (USUAL, False), (OWN, True)], ids=["usual", "no-token", "own-names"])
def test_requests_are_signed_anew(srt, names, token):
    srt.user.write(srt.ws / "sign.py", SIGN)
    pairs = {"awsPairs": [dict(zip(("accessKeyIdVar", "secretAccessKeyVar", "sessionTokenVar"), names, strict=True))]} if names is OWN else {}
    env = dict(zip(names, REAL if token else REAL[:2], strict=False))
    arrived(srt)
    r = srt(f"{PYTHON} sign.py names='{' '.join(names)}'", None, aws(names, **pairs), env=env)
    lines = r.stdout.splitlines()
    assert lines[0] == "200" and not any(v in r.stdout for v in REAL), r
    assert re.fullmatch(r"AKIABAILEY[A-Z2-7]{10} bailey-secret-\w{26}" + (r" bailey-secret-\w{32}" if token else " "), lines[-1]), r
    [(_, _, _, auth, _)] = arrived(srt)
    key, signed, right = signature(auth, REAL[2])
    assert key == REAL[0] and right and ("x-amz-security-token" in signed) == token, auth


@pytest.mark.parametrize("kind, words", [("streaming", "hash=STREAMING-UNSIGNED-PAYLOAD-TRAILER"), ("sigv4a", "alg=AWS4-ECDSA-P256-SHA256")])
def test_forms_that_srt_cant_sign_are_refused(srt, kind, words):
    srt.user.write(srt.ws / "sign.py", SIGN)
    env = dict(zip(USUAL, REAL, strict=True))
    arrived(srt)
    r = srt(f"{PYTHON} sign.py {words}", None, aws(USUAL), env=env)
    assert r.stdout.startswith("403 ") and kind in r.stdout.splitlines()[0] and arrived(srt) == [], r


def test_a_url_that_is_signed(srt):
    env = dict(zip(USUAL, REAL, strict=True))
    url = f"{ECHO}?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=$AWS_ACCESS_KEY_ID%2F20261129%2Feu-west-1%2Fs3%2Faws4_request&X-Amz-Date=20261129T080000Z&X-Amz-Expires=60&X-Amz-SignedHeaders=host&X-Amz-Signature={'0' * 64}"
    arrived(srt)
    r = srt(f"{CODE} \"{url}\"; cat out", None, aws(USUAL), env=env)
    assert status(r) == ["403"] and "presigned" in r.stdout and arrived(srt) == [], r
    r = srt(f"{CODE} \"{url}\"; cat out", None, aws(USUAL, sigv4={"presigned": "passthrough"}), env=env)
    assert status(r) == ["403"] and "not by the pair" in r.stdout, r  # the signature is none: it is checked before it is made anew


@pytest.mark.parametrize("forms_of", ["usual", "all"])
def test_s3_takes_what_is_signed_anew(srt, request, forms_of):
    """A server that checks signatures: heads as they are, URLs and chunks where the settings let them through. Controls: without the pair of awsPairs nothing is taken, and outside all is."""
    srt.user.write(srt.ws / "test_sigv4.py", (PROJECT / "tests/keys/test_sigv4.py").read_text())
    srt.user.write(srt.ws / "client.py", CLIENT)
    mark = request.node.callspec.id
    network = {"allowedDomains": ["bucket.s3.eu-west-1.amazonaws.com", "other.s3.eu-west-1.amazonaws.com"]}
    names = {"AWS_ACCESS_KEY_ID": "$MY_ID", "AWS_SECRET_ACCESS_KEY": "$MY_SECRET"}
    client = " ".join(f'{k}="{v}"' for k, v in names.items()) + f" {PYTHON} client.py --http1.1"
    pair: dict[str, Any] = {"awsPairs": [{"accessKeyIdVar": "MY_ID", "secretAccessKeyVar": "MY_SECRET"}]}
    sigv4: dict[str, Any] = {"sigv4": {"presigned": "passthrough", "streaming": "passthrough"}} if forms_of == "all" else {}
    env = {"MY_ID": REAL[0], "MY_SECRET": REAL[1]}

    def said(mark, **more):
        r = srt(f"{client} {mark}", network, aws(env, **more), env=env)
        assert r.returncode == 0 and not any(v in r.stdout for v in REAL), r
        return dict(line.split(": ", 1) for line in r.stdout.splitlines())

    got = said(mark, **pair, **sigv4)
    held = {} if sigv4 else {"chunks": "403 bailey: streaming: ", "chunk": "403 bailey: streaming: ", "no chunks": "403 bailey: streaming: ",
                             "presigned": "403 bailey: presigned: ", "presigned again": "403 bailey: presigned: "}
    assert {n: got[n] for n in GOOD if n not in held} == {n: "200 taken" for n in GOOD if n not in held}, got
    assert all(got[n].startswith("403 ") and why in got[n] for n, why in {**BAD, **held}.items()), got
    if not sigv4:
        none = said(f"none-{mark}")
        assert all(none[n] == "403 signature does not match" for n in GOOD), none  # a mask alone puts the name of the key in, and signs nothing
        own = [f"{n}={v}" for n, v in zip(names, REAL, strict=False)]
        assert srt.outside(["env", "CURL_CA_BUNDLE=ca.crt", *own, PYTHON, "client.py", "--http1.1", f"out-{mark}"]).out.count(": 200 taken") == len(GOOD)


def test_half_a_pair_is_said(srt):
    r = srt("echo \"$AWS_SECRET_ACCESS_KEY\"", None, aws(USUAL[1:2]), env=dict(zip(USUAL, REAL, strict=True)))
    assert r.stdout.startswith("bailey-secret-") and "nothing is signed with it" in r.stderr, r


# --- updates ---


class Updated:
    """A run with a control channel: up(NETWORK) sends it, up.ask(COMMAND) runs one inside."""

    def __init__(self, srt, network, credentials=None, env=None):
        read, self.fd = os.pipe()
        self.p = subprocess.Popen([*srt.words(network, credentials, None, ("-d", "--control-fd", str(read))), "-c", "while read -r line; do eval \"$line\"; echo; echo .; done"],
                                  stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, pass_fds=(read,), env={**srt.environ, **(env or {})})
        os.close(read)

    def __call__(self, network, credentials=None):
        assert self.p.stderr
        config: dict[str, Any] = {"network": {"allowedDomains": [], "deniedDomains": [], **network}, "filesystem": {"denyRead": [], "allowWrite": [], "denyWrite": []},
                                  **({"credentials": credentials} if credentials else {})}
        os.write(self.fd, json.dumps(config).encode() + b"\n")
        for line in self.p.stderr:
            if "onfig" in line and "control fd" in line:
                return line
        raise AssertionError("it has ended")

    def ask(self, cmd):
        assert self.p.stdin and self.p.stdout
        self.p.stdin.write(cmd + "\n")
        self.p.stdin.flush()
        lines = []
        while (line := self.p.stdout.readline()) != ".\n":
            assert line, "it has ended"
            lines.append(line.strip())
        return [line for line in lines if line]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        os.close(self.fd)
        self.p.kill()
        self.p.wait()


def issuer(host):
    return f"echo | openssl s_client -connect {host}:443 -servername {host} 2>/dev/null | openssl x509 -noout -issuer 2>/dev/null | cut -c1-14; echo asked"


OURS, THEIRS, NONE = ["issuer=CN = ba", "asked"], ["issuer=CN = te", "asked"], ["asked"]


def test_an_update_opens_no_way_past(srt):
    """What is inspected was settled at the start: a host that an update allows is, one that it excludes is all the same, and one that it excludes no more is closed."""
    start = {"allowedDomains": ["denied.test"], "tlsTerminate": {"excludeDomains": ["denied.test"]}}
    with Updated(srt, start) as up:
        assert (up.ask(issuer("denied.test")), up.ask(issuer("web.test"))) == (THEIRS, NONE)
        both: dict[str, Any] = {"allowedDomains": ["web.test", "denied.test"]}
        assert "updated" in up({**both, "tlsTerminate": {"excludeDomains": ["denied.test", "web.test"]}})
        assert (up.ask(issuer("denied.test")), up.ask(issuer("web.test"))) == (THEIRS, OURS)
        assert "updated" in up({**both, "tlsTerminate": {}})
        assert (up.ask(issuer("denied.test")), up.ask(issuer("web.test"))) == (NONE, OURS)
        line = up({**both, "mitmProxy": {"socketPath": "/nowhere", "domains": ["web.test"]}})
        assert "previous config still in force" in line and "mitmProxy" in line
        assert (up.ask(issuer("denied.test")), up.ask(issuer("web.test"))) == (NONE, OURS)


def test_a_gateway_that_begins_after_an_update_inspects_too(srt):
    with Updated(srt, {"allowedDomains": ["denied.test"], **TLS}) as up:
        assert "updated" in up({"allowedDomains": ["web.test"], **TLS})  # nothing was asked for yet: there is no gateway
        assert (up.ask(issuer("denied.test")), up.ask(issuer("web.test"))) == (NONE, OURS)


TWO = {"A_ID": REAL[0], "A_KEY": REAL[1], "B_ID": "AKIAI44QH8DHBEXAMPLE", "B_KEY": "je7MtGbClwBF/2Zp9Utk/h3yCo8nvbEXAMPLEKEY"}


def two(*names, **more):
    return aws(TWO, awsPairs=[{"accessKeyIdVar": f"{n}_ID", "secretAccessKeyVar": f"{n}_KEY"} for n in names], **more)


def test_an_update_says_what_signs(srt):
    """awsPairs and sigv4 of an update hold for the next request; what is not valid changes nothing, and neither does a line without credentials, but for sigv4."""
    srt.user.write(srt.ws / "sign.py", SIGN)
    network: dict[str, Any] = {"allowedDomains": ["web.test"], **TLS}

    def sign(name, more=""):
        arrived(srt)
        lines = up.ask(f"{PYTHON} sign.py names='{name}_ID {name}_KEY NONE' {more}")
        who = [signature(auth, "", TWO[f"{n}_KEY"])[0] == TWO[f"{n}_ID"] and signature(auth, "", TWO[f"{n}_KEY"])[2] and n for _, _, _, auth, _ in arrived(srt) for n in ("A", "B")]
        m = re.match(r"(\d{3})(?: bailey: ([\w-]+))?", lines[0])
        assert m, lines
        return " ".join(g for g in m.groups() if g), [n for n in who if n]

    with Updated(srt, network, two("A"), env=TWO) as up:
        assert sign("A") == ("200", ["A"]) and sign("B")[1] == [], "control: nobody signs for the other"
        assert "updated" in up(network, two("B"))
        assert sign("B") == ("200", ["B"]) and sign("A") == ("403 pair-removed", [])
        line = up({**network, "allowedDomains": []}, two("A", sigv4={"streaming": "maybe"}))
        assert "previous config still in force" in line and "credentials.sigv4.streaming" in line
        line = up(network, {**two("B"), "awsPairs": [{"accessKeyIdVar": "B_ID", "secretAccessKeyVar": "NONE"}]})
        assert "previous config still in force" in line and "credentials.awsPairs[0].secretAccessKeyVar" in line
        assert sign("B") == ("200", ["B"]) and sign("A") == ("403 pair-removed", [])
        chunks = "hash=STREAMING-UNSIGNED-PAYLOAD-TRAILER"
        assert sign("B", chunks) == ("403 streaming", [])
        assert "updated" in up(network, two("A", "B", sigv4={"streaming": "passthrough"}))
        assert sign("B", chunks)[0] != "403 streaming" and sign("A") == ("200", ["A"]) and sign("B") == ("200", ["B"])
        assert "updated" in up(network)
        assert sign("A") == ("200", ["A"]) and sign("B", chunks) == ("403 streaming", [])


def test_an_update_holds_when_nobody_can_sign_any_more(srt):
    """bailey-keys has ended: what it looked into is closed, and the lists of a line hold all the same."""
    network: dict[str, Any] = {"allowedDomains": ["web.test", "denied.test"], "tlsTerminate": {"excludeDomains": ["denied.test"]}}
    with Updated(srt, network, two("A"), env=TWO) as up:
        assert (up.ask(issuer("denied.test")), up.ask(issuer("web.test"))) == (THEIRS, OURS)
        [keys] = [pid for pid in descendants(up.p.pid) if pathlib.Path(f"/proc/{pid}/comm").read_text() == "bailey-keys\n"]
        os.kill(keys, signal.SIGKILL)
        assert "updated" in up({**network, "deniedDomains": ["denied.test"]}, two("B"))
        assert (up.ask(issuer("denied.test")), up.ask(issuer("web.test"))) == (NONE, NONE)


# --- bad settings ---


@pytest.mark.parametrize("network, credentials, words", [
    ({"tlsTerminate": {"excludeDomains": ["*"]}}, None, "network.tlsTerminate.excludeDomains[0]"),
    ({"tlsTerminate": {"maxTunnels": 0}}, None, "network.tlsTerminate.maxTunnels"),
    ({"tlsTerminate": {"handshakeTimeoutMs": 99}}, None, "network.tlsTerminate.handshakeTimeoutMs"),
    ({"tlsTerminate": {"handshakeTimeoutMs": 600001}}, None, "network.tlsTerminate.handshakeTimeoutMs"),
    ({"tlsTerminate": {"handshakeTimeoutMs": 100.5}}, None, "network.tlsTerminate.handshakeTimeoutMs"),
    ({"tlsTerminate": {"handshakeTimeoutMs": "300"}}, None, "network.tlsTerminate.handshakeTimeoutMs"),
    ({"tlsTerminate": {"extraCaCertPaths": [""]}}, None, "network.tlsTerminate.extraCaCertPaths[0]"),
    ({"stripResponseHeaders": [""]}, None, "network.stripResponseHeaders[0]"),
    ({"ambiguousRequestTarget": "other"}, None, "network.ambiguousRequestTarget"),
    ({}, {"envVars": [{"name": "A-B", "mode": "mask"}]}, "credentials.envVars[0].name"),
    ({}, {"envVars": [{"name": "A", "mode": "hide"}]}, "credentials.envVars[0].mode"),
    ({}, {"envVars": [{"name": "A", "mode": "mask", "extract": "("}]}, "credentials.envVars[0].extract"),
    ({}, {"envVars": [{"name": "A", "mode": "mask", "injectHosts": ["other.test"]}]}, "credentials.envVars[0].injectHosts[0]"),
    ({}, {"files": [{"path": "d/", "mode": "mask"}]}, "credentials.files[0].path"),
    ({}, {"awsPairs": [{"accessKeyIdVar": "A"}]}, "credentials.awsPairs[0]"),
    ({}, {"awsPairs": [{"accessKeyIdVar": "A", "secretAccessKeyVar": "B"}]}, "credentials.awsPairs[0].accessKeyIdVar"),
    ({}, {"sigv4": {"streaming": "allow"}}, "credentials.sigv4.streaming"),
    ({}, {"sigv4": {"other": "deny"}}, "credentials.sigv4.other"),
])  # fmt: skip
def test_bad_settings_are_named_and_nothing_runs(srt, network, credentials, words):
    r = srt("touch ran", network, credentials)
    assert r.returncode == 1 and words + ":" in r.stderr and not (srt.ws / "ran").exists(), r
