# SPDX-License-Identifier: Apache-2.0
"""TLS on both sides: what the client gets, what of the server is verified, and who is told when it fails."""
import base64
import os
import pathlib
import re
import shutil
import socket
import ssl
import subprocess
import threading
import time

import pytest

from conftest import free_port, wait_for
from harness import Authority
from test_h1 import ask, closed, get, status


def refused(door, server, *, why):
    """A client of HTTP/1.1 is told why; one that speaks HTTP/2 alone gets an alert. The server hears nothing of the request."""
    d = door(server)
    with d.talk(d.trust) as s:
        head, body = ask(s, get(d))
        assert status(head) == 502 and why in body.decode(), (head, body)
        assert closed(s)
    assert why in d.keys.end_of(1)
    assert d.keys.requests()[0]["status"] == 502
    h2 = ssl.create_default_context(cadata=d.keys.hello["ca"])
    h2.set_alpn_protocols(["h2"])
    with pytest.raises(ssl.SSLError, match="(?i)alert"):
        d.talk(h2)
    assert why in d.keys.end_of(2)
    assert server.heads == []


def test_the_authority(door, plain):
    d = door(plain())
    text = subprocess.run(["openssl", "x509", "-noout", "-text"], input=d.keys.hello["ca"].encode(), capture_output=True, check=True).stdout.decode()
    assert "Subject: CN = bailey sandbox tests" in text and "prime256v1" in text and "CA:TRUE, pathlen:0" in text and "Certificate Sign, CRL Sign" in text
    with d.talk(d.trust) as s:
        leaf = ssl.DER_cert_to_PEM_cert(s.getpeercert(binary_form=True))
    text = subprocess.run(["openssl", "x509", "-noout", "-text"], input=leaf.encode(), capture_output=True, check=True).stdout.decode()
    assert "DNS:web.test" in text and "CA:FALSE" in text and "TLS Web Server Authentication" in text
    assert len(re.findall("DNS:", text)) == 1


def test_two_authorities_differ(door, plain):
    server = plain()
    a, b = door(server), door(server)
    assert a.keys.hello["ca"] != b.keys.hello["ca"]
    with pytest.raises(ssl.SSLCertVerificationError):
        a.talk(b.trust)
    # the client's alert is in the log
    assert "does not trust" in a.keys.end_of(1)


def test_an_expired_server(door, plain, authority):
    refused(door, plain(cert=authority.issue("expired", "DNS:web.test", days=-1)), why="certificate has expired")


def test_a_server_with_another_name(door, plain, authority):
    refused(door, plain(cert=authority.issue("other", "DNS:other.test,DNS:*.web.test")), why="hostname mismatch")


def test_an_unknown_root(door, plain, tmp_path):
    other = Authority(tmp_path, "other")
    refused(door, plain(cert=other.issue("web", "DNS:web.test")), why="unable to get local issuer certificate")


def test_a_server_of_itself(door, plain, tmp_path):
    other = Authority(tmp_path, "web.test")
    refused(door, plain(cert=(other.crt, other.key)), why="self-signed certificate")


def test_a_wildcard_and_an_address_are_good(door, plain):
    for host in ("a.wild.test", "192.0.2.7"):
        d = door(plain(), host=host)
        with d.talk(d.trust) as s:
            head, body = ask(s, get(d, host=b"Host: %b:%d\r\n" % (host.encode(), d.port)))
            assert status(head) == 200, body
    d = door(plain(), host="b.a.wild.test")
    with d.talk(d.trust) as s:
        assert status(ask(s, get(d, host=b"Host: b.a.wild.test:%d\r\n" % d.port))[0]) == 502


def test_a_server_that_is_no_tls(door, plain):
    def greet():
        with server.accept()[0] as s:
            s.sendall(b"220 ready\r\n")
            s.recv(1000)

    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=greet, daemon=True).start()
        d = door(server.getsockname())
        with d.talk(d.trust) as s:
            head, body = ask(s, get(d))
            assert status(head) == 502 and b"TLS with the server: " in body


@pytest.mark.parametrize("version, said", [("-tls1_2", b"TLSv1.2"), ("-tls1_3", b"TLSv1.3")])
def test_versions(door, command, web, version, said):
    port = free_port()
    command("openssl", "s_server", "-quiet", "-www", "-accept", f"127.0.0.1:{port}", "-cert", web[0], "-key", web[1], version, port=port,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    d = door(("127.0.0.1", port))
    # what the server says of its side; the client's does not hang on it
    for more in ([], ["--tls-max", "1.2"], ["--tlsv1.3"]):
        r = d.curl(*more, ca=d.ca)
        assert r.returncode == 0 and re.search(rb"(New|Reused), " + said, r.stdout), r


def test_old_versions_are_refused(door, command, web, plain):
    port = free_port()
    command("openssl", "s_server", "-quiet", "-www", "-accept", f"127.0.0.1:{port}", "-cert", web[0], "-key", web[1], "-tls1_1", "-cipher", "ALL:@SECLEVEL=0", port=port,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    d = door(("127.0.0.1", port))
    with d.talk(d.trust) as s:
        head, body = ask(s, get(d))
        assert status(head) == 502 and b"version" in body
    d = door(plain())
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
    old.set_ciphers("ALL:@SECLEVEL=0")
    old.minimum_version, old.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
    with pytest.raises(ssl.SSLError):
        d.talk(old)
    with d.talk(d.trust) as s:
        assert status(ask(s, get(d))[0]) == 200, "the control"


@pytest.mark.parametrize("server,client,want", [
    (("h2", "http/1.1"), ("h2", "http/1.1"), "h2"), (("http/1.1",), ("h2", "http/1.1"), "http/1.1"), (("h2", "http/1.1"), ("http/1.1",), "http/1.1"),
    ((), ("h2", "http/1.1"), None), (("h2",), (), None), (("http/1.1", "h2"), ("x", "http/1.1", "y"), "http/1.1"), (("h2", "http/1.1"), ("http/1.1", "h2"), None)])
def test_alpn_is_the_servers(door, plain, server, client, want):
    s = plain(alpn=server)
    d = door(s)
    context = ssl.create_default_context(cadata=d.keys.hello["ca"])
    if client:
        context.set_alpn_protocols(list(client))
    with d.talk(context) as t:
        got = t.selected_alpn_protocol()
    assert got == want or (want is None and client and server and got in client), got


def test_other_protocols_need_bypass(door, plain):
    d = door(plain())
    context = ssl.create_default_context(cadata=d.keys.hello["ca"])
    context.set_alpn_protocols(["postgresql"])
    with pytest.raises(ssl.SSLError, match="(?i)no application protocol"):
        d.talk(context)
    assert "bypass" in d.keys.end_of(1)


def test_another_name_in_the_hello(door, plain):
    d = door(plain())
    s = d.connect()
    loose = ssl.create_default_context(cadata=d.keys.hello["ca"])
    loose.check_hostname, loose.verify_mode = False, ssl.CERT_NONE
    with pytest.raises(ssl.SSLError, match="(?i)unrecognized"):
        loose.wrap_socket(s, server_hostname="other.test")
    assert loose.wrap_socket(d.connect(), server_hostname="web.test"), "the control"


def handshakes(command, web, *options):
    port = free_port()
    child = command("openssl", "s_server", "-www", "-accept", f"127.0.0.1:{port}", "-cert", web[0], "-key", web[1], *options, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_for(port)
    return child, ("127.0.0.1", port)


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_a_client_certificate_is_wanted(door, command, web, authority, version):
    _, address = handshakes(command, web, version, "-Verify", "1", "-CAfile", authority.crt)
    d = door(address)
    for wait in (0, 0.5):  # in TLS 1.3 the server's alert comes behind the handshake: before or after the request
        with d.talk(d.trust) as s:
            time.sleep(wait)
            head, body = ask(s, get(d))
            assert status(head) == 502 and b"client certificate" in body and b"bypass" in body, body
    # one that only asks is content without
    _, address = handshakes(command, web, version, "-verify", "1", "-CAfile", authority.crt)
    d = door(address)
    r = d.curl(ca=d.ca)
    assert r.returncode == 0 and b"no client certificate" in r.stdout.lower(), r


@pytest.mark.parametrize("version", ["TLSv1_2", "TLSv1_3"])
def test_the_client_resumes(door, plain, version):
    d = door(plain())
    context = ssl.create_default_context(cadata=d.keys.hello["ca"])
    context.minimum_version = context.maximum_version = getattr(ssl.TLSVersion, version)
    with d.talk(context) as s:
        assert not s.session_reused
        assert status(ask(s, get(d))[0]) == 200
        session = s.session
    with d.talk(context, session=session) as s:
        assert s.session_reused
        assert status(ask(s, get(d))[0]) == 200
    other = door(d.server, host="a.wild.test")
    context = ssl.create_default_context(cadata=other.keys.hello["ca"])
    with other.talk(context) as s:
        assert not s.session_reused


def test_the_server_is_resumed(door, nginx):
    d = door(nginx)
    context = ssl.create_default_context(cadata=d.keys.hello["ca"])
    seen = []
    for _ in range(3):
        with d.talk(context) as s:
            head, body = ask(s, get(d, b"/who", b"Connection: close\r\n"))
            assert status(head) == 200 and closed(s)
            seen.append(body.split()[4])
    assert seen == [b".", b"r", b"r"]


def test_hosts_without_roots_trust_nobody(door, plain, authority, tmp_path):
    bundle = tmp_path / "bundle.pem"
    bundle.write_text(authority.crt.read_text())
    d = door(plain(), roots=[], env={"SSL_CERT_FILE": str(bundle)})
    with d.talk(d.trust) as s:
        assert status(ask(s, get(d))[0]) == 200, "the host's file"
    d = door(plain(), roots=[])
    with d.talk(d.trust) as s:
        assert status(ask(s, get(d))[0]) == 502, "an authority that this host does not know"


def test_waiting_for_a_client_to_close_takes_no_time(door, plain):
    """Once all is said, a client may stay for seconds: that is a wait, and no work. What the kernel tells of our own shutdown is no reason for another."""
    def used() -> int:
        return int(pathlib.Path(f"/proc/{d.keys.process.pid}/schedstat").read_text().split()[0])

    d = door(plain())
    with d.talk(d.trust) as s:
        head, _ = ask(s, get(d, b"/who", b"Connection: close\r\n"))
        assert status(head) == 200
        before = used()
        time.sleep(1.5)
        assert used() - before < 100e6, "nanoseconds of a processor"
        assert closed(s)
    assert d.keys.end_of(1) == ""


def test_a_client_that_is_silent_or_no_tls(door, plain):
    d = door(plain())
    s = d.connect()
    s.sendall(b"GET / HTTP/1.1\r\n\r\n")
    assert closed(s)
    assert "TLS with the client" in d.keys.end_of(1)
    s = d.connect()
    s.close()
    assert d.keys.end_of(2) == ""


def test_close_notify_and_truncation(door, plain):
    """An answer that ends with the connection is complete only if the server says so."""
    def serve(head, s, f):
        s.sendall(b"HTTP/1.1 200 OK\r\n\r\nall of it")
        if b"/clean" in head:
            s.unwrap()
        else:
            s.shutdown(socket.SHUT_RDWR)
        return False

    d = door(plain(serve))
    d.trust.options &= ~0x80  # OP_IGNORE_UNEXPECTED_EOF
    for target, clean in ((b"/clean", True), (b"/cut", False)):
        s = d.talk(d.trust, suppress_ragged_eofs=False)
        s.sendall(get(d, target))
        got = b""
        try:
            while True:
                more = s.recv(4096)
                if not more:
                    break
                got += more
            end = True
        except (ssl.SSLError, ConnectionResetError):
            end = False
        assert b"all of it" in got or not clean
        assert end == clean, target


def test_slow_handshakes_end(door, plain):
    mute = socket.create_server(("127.0.0.1", 0))
    d = door(mute.getsockname())
    begin = time.monotonic()
    with d.talk(d.trust, timeout=40) as s:
        head, body = ask(s, get(d))
        assert status(head) == 502 and b"does not finish the handshake" in body
    assert 10 < time.monotonic() - begin < 30
    s = d.connect()
    s.settimeout(40)
    assert closed(s)
    assert "client does not finish" in d.keys.end_of(2)
    mute.close()


def test_handshakes_have_the_time_that_was_told(door, plain):
    """Of srt's handshakeTimeoutMs: a server and a client that never finish theirs; who has finished is not timed."""
    mute = socket.create_server(("127.0.0.1", 0))
    begin = time.monotonic()
    d = door(mute.getsockname(), handshake=400)
    with d.talk(d.trust) as s:
        head, body = ask(s, get(d))
        assert status(head) == 502 and b"does not finish the handshake" in body
    assert 0.4 < time.monotonic() - begin < 10, "the usual time is 15 s"
    mute.close()
    d = door(plain(), handshake=400)
    with d.talk(d.trust) as open_, d.connect() as silent, d.connect() as half:
        half.sendall(b"\x16\x03\x01\x02\x00\x01")  # of a ClientHello
        for number, s in ((2, silent), (3, half)):
            assert closed(s) and "client does not finish" in d.keys.end_of(number)
        assert status(ask(open_, get(d))[0]) == 200, "its handshake was over"


def test_leaves_are_kept(door, plain):
    """One leaf for a name, whatever the number of connections."""
    d = door(plain())
    seen = set()
    for _ in range(3):
        with d.talk(d.trust) as s:
            seen.add(s.getpeercert(binary_form=True))
            assert status(ask(s, get(d))[0]) == 200
    assert len(seen) == 1




def test_what_java_is_to_trust(keys, authority, tmp_path):
    """The host's roots, those that were added, and the sandbox's authority."""
    bundle = "/etc/ssl/certs/ca-certificates.crt"
    k = keys(java=True, env={"SSL_CERT_FILE": bundle} if os.path.exists(bundle) else {"SSL_CERT_FILE": str(authority.crt)})
    wanted = {ssl.PEM_cert_to_DER_cert(k.hello["ca"]), ssl.PEM_cert_to_DER_cert(authority.crt.read_text())}
    pem = "-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----"
    if os.path.exists(bundle):
        wanted |= {ssl.PEM_cert_to_DER_cert(c) for c in re.findall(pem, pathlib.Path(bundle).read_text(), re.S)}
        assert len(wanted) > 50
    assert all(len(p) <= 32767 for p in k.hello["java"])
    store = tmp_path / "store.p12"
    store.write_bytes(b"".join(base64.b64decode(p) for p in k.hello["java"]))
    r = subprocess.run(["openssl", "pkcs12", "-in", store, "-nokeys", "-passin", "pass:changeit"], capture_output=True, check=True)
    certs = {ssl.PEM_cert_to_DER_cert(c) for c in re.findall(pem, r.stdout.decode(), re.S)}
    assert certs == wanted
    if shutil.which("keytool"):
        r = subprocess.run(["keytool", "-list", "-keystore", store, "-storepass", "changeit"], capture_output=True, check=True)
        assert r.stdout.count(b"trustedCertEntry") == len(certs), r.stdout[:500]
    assert "java" not in keys().hello
