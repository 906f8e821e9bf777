# SPDX-License-Identifier: Apache-2.0
"""Real programs through the gateway to real servers (servers.py), and attacks on it with controls: the same outside, and an allowed twin inside."""
import json
import os
import pathlib
import re
import shutil
import subprocess
import time

import pytest

from conftest import PROJECT, PYTHON, Result, command, skip, wait_for
from networks import Argv, Internet, Net
from test_gateway import CLEAN

SECS = 60  # of one client: machines can be busy
BOTH = pytest.mark.parametrize("env", [CLEAN, []], ids=["captured", "proxy"])


class Servers(Internet):
    """The namespaces of Internet with the servers of servers.py in them."""

    def __init__(self, *extra):
        super().__init__()
        enter = ["nsenter", f"--mount=/proc/{self.pid}/ns/mnt", f"--net=/proc/{self.far}/ns/net"]
        self.servers = subprocess.Popen([*enter, PYTHON, PROJECT / "tests/e2e/servers.py", self.dir, *extra], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self.servers.stdout
        words = self.servers.stdout.readline()
        if words != b"ready\n":
            self.end()
            pytest.fail(f"the servers did not start: {words!r}")

    def end(self):
        assert self.servers.stdin
        self.servers.stdin.close()
        self.servers.wait(20)
        super().end()


def need(*programs):
    missing = [p for p in programs if not shutil.which(p, path=os.environ["PATH"] + ":/usr/sbin")]
    if missing:
        skip(f"not installed: {', '.join(missing)}")


@pytest.fixture(scope="module")
def internet():
    if os.geteuid() != 0:
        skip("servers in namespaces of their own need root")
    need("nginx", "dnsmasq", "dropbear", "git", "ssh-keygen")
    servers = Servers()
    yield servers
    servers.end()


class At(Net):
    """Net with clients that may take longer, and the same without bailey."""

    def __call__(self, cmd, *opts, timeout=SECS, **kw):
        return super().__call__(cmd, *opts, timeout=timeout, **kw)

    def outside(self, cmd: str | Argv) -> Result:
        argv = [*self.enter, "env", "-C", self.ws, *command(cmd)]
        start = time.monotonic()
        r = subprocess.run([os.fspath(a) for a in argv], stdin=subprocess.DEVNULL, capture_output=True, text=True, env=self.environ, timeout=SECS, check=False)
        return Result(r.returncode, r.stdout, r.stderr, time.monotonic() - start)


@pytest.fixture
def at(internet, user, ws, works):
    """In a workspace that has the authority's certificate and a key for ssh."""
    assert works(user) == ""
    for name in ("ca.crt", "client.key"):
        user.write(ws / name, (internet.dir / name).read_text(), 0o600)
    return At(internet, user, ws)


def nginx_log(at):
    return (at.internet.dir / "nginx.log").read_text()


# --- clients that fetch ---

FETCH = {
    "curl": ["curl", "-sS", "--cacert", "ca.crt"],
    "wget": ["wget", "-q", "-O", "-", "--ca-certificate=ca.crt"],
    "urllib": [PYTHON, "-c", "import ssl, sys, urllib.request as u; print(u.urlopen(sys.argv[1], context=ssl.create_default_context(cafile='ca.crt')).read().decode(), end='')"],
    "fetch": ["env", "NODE_EXTRA_CA_CERTS=ca.crt", "node", "-e", "fetch(process.argv[1]).then(r => r.text()).then(t => process.stdout.write(t), e => { console.log(e.cause?.code ?? e); process.exit(1) })"],
}


@BOTH
@pytest.mark.parametrize("client", FETCH)
def test_clients_fetch_what_is_allowed_and_nothing_else(at, client, env):
    need(FETCH[client][0].replace("env", "node"))
    for scheme in ("http", "https"):
        r = at([*env, *FETCH[client], f"{scheme}://web.test/who"], "--allow-host", "web.test")
        assert (r.rc, r.said) == (0, "") and re.fullmatch(rf"\S+ {scheme} web\.test HTTP/(1\.1|2\.0)\n", r.out), r
        # the same address, another name; and a name of another server
        before = nginx_log(at)
        for name in ("alias.test", "denied.test"):
            assert at.outside([*FETCH[client], f"{scheme}://{name}/who?control"]).rc == 0
            r = at([*env, *FETCH[client], f"{scheme}://{name}/who?inside"], "--allow-host", "web.test")
            assert f"{scheme} {name}" not in r.out and f"{name}" in r.err and "denied" in r.err, r
        after = nginx_log(at)[len(before):]
        assert after.count("?control") == 2 and "?inside" not in after


@BOTH
def test_a_host_that_has_only_ipv6(at, env):
    for client in ("curl", "urllib", "wget"):
        r = at([*env, *FETCH[client], "https://web6.test/who"], "--allow-host", "web6.test")
        assert (r.rc, r.said) == (0, "") and r.out.startswith("2001:db8::30 https web6.test"), r


@BOTH
def test_http2_by_its_name_in_tls(at, env):
    r = at([*env, *FETCH["curl"], "--http2", "https://web.test/who", "https://web.test/who"], "--allow-host", "web.test")
    assert r.rc == 0 and re.fullmatch(r"(\S+ https web\.test HTTP/2\.0\n){2}", r.out), r


@BOTH
def test_much_data(at, env):
    r = at([*env, *FETCH["curl"], "https://web.test/big", "-o", "/dev/null", "-w", "%{size_download}"], "--allow-host", "web.test")
    assert (r.rc, r.out) == (0, str(8 << 20)), r.err


def node_supports_env_proxy(node="node"):
    script = "process.exit(process.allowedNodeEnvironmentFlags.has('--use-env-proxy') ? 0 : 1)"
    return subprocess.run([node, "-e", script], capture_output=True, check=False).returncode == 0


def test_fetch_of_node_goes_one_way_or_the_other(at):
    """Node reads proxy variables only since some version, and only when NODE_USE_ENV_PROXY says so: it works in any case."""
    need("node")
    r = at(FETCH["fetch"] + ["https://web.test/who"], "--allow-host", "web.test", "--limit-bytes", "web.test=10M")
    assert r.rc == 0, r
    r = at(FETCH["fetch"] + ["https://denied.test/who"], "--allow-host", "web.test")
    line = [li for li in at.log(r) if li["event"] == "deny"][0]
    assert line["via"] == ("connect" if node_supports_env_proxy() else "dns"), line


STATIC = r"""
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
int main(int argc, char **argv)
{
	struct addrinfo want = { .ai_socktype = SOCK_STREAM }, *a;
	char line[512];
	int fd = -1, n;
	if (argc < 3 || getaddrinfo(argv[1], "80", &want, &a) != 0)
		return puts("no address"), 1;
	for (; a && (fd = socket(a->ai_family, SOCK_STREAM, 0), connect(fd, a->ai_addr, a->ai_addrlen) < 0); a = a->ai_next)
		close(fd);
	if (!a)
		return puts("no connection"), 1;
	n = snprintf(line, sizeof(line), "GET %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", argv[2], argv[1]);
	if (write(fd, line, n) != n)
		return puts("no write"), 1;
	while ((n = read(fd, line, sizeof(line))) > 0)
		fwrite(line, 1, n, stdout);
	return n < 0;
}
"""


@pytest.fixture(scope="module")
def static(session_dir):
    source = session_dir / "static.c"
    source.write_text(STATIC)
    subprocess.run(["musl-gcc", "-static", "-O1", "-o", session_dir / "static", source], check=True)
    return session_dir / "static"


def test_a_static_program_that_knows_no_variable(at, static):
    shutil.copy(static, at.ws / "static")
    static = "./static"
    r = at([static, "web.test", "/who"], "--allow-host", "web.test")
    assert (r.rc, r.said) == (0, "") and r.out.endswith("http web.test HTTP/1.1\n"), r
    assert at.outside([static, "denied.test", "/who"]).rc == 0
    r = at([static, "denied.test", "/who"], "--allow-host", "web.test")
    assert (r.rc, r.out) == (1, "no address\n") and "denied.test denied" in r.err, r
    assert at.outside([static, "192.0.2.20", "/who"]).rc == 0
    r = at([static, "192.0.2.20", "/who"], "--allow-host", "web.test")
    assert r.rc == 1 and "HTTP" not in r.out and "192.0.2.20:80 denied" in r.err, r


# --- git ---

GIT = ["env", "GIT_SSL_CAINFO=ca.crt", "GIT_CONFIG_GLOBAL=/dev/null", "GIT_TERMINAL_PROMPT=0"]
CHANGE = "cd it && git -c user.name=t -c user.email=t@t commit -q --allow-empty -m 'from inside {}' && GIT_SSL_CAINFO=../ca.crt {}git push -q origin HEAD:refs/heads/new-{}"


@BOTH
def test_git_over_https(at, env, request):
    mark = re.sub(r"\W", "-", request.node.name)
    url = "https://web.test/git/it.git"
    r = at([*env, *GIT, "sh", "-ec", f"git clone -q {url}; cat it/file; {CHANGE.format(mark, '', mark)}"], "--allow-host", "web.test")
    assert (r.rc, r.out) == (0, "it is there\n"), r
    assert f"refs/heads/new-{mark}" in at.outside([*GIT, "git", "ls-remote", url]).out
    denied = url.replace("web.test", "denied.test")
    assert at.outside([*GIT, "git", "ls-remote", denied]).rc == 0
    r = at([*env, *GIT, "git", "ls-remote", denied], "--allow-host", "web.test")
    assert r.rc == 128 and "denied.test" in r.err and "refs/" not in r.out, r


SSH = "ssh -F none -i client.key -o IdentitiesOnly=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR -o BatchMode=yes"


def test_git_over_ssh(at, request):
    need("ssh")
    mark = re.sub(r"\W", "-", request.node.name)
    url = f"ssh://git@ssh.test{at.internet.dir}/repos/it.git"
    ssh = SSH.replace("client.key", "$PWD/client.key")
    clone = f'export GIT_SSH_COMMAND="{ssh}"; git clone -q {url}; cat it/file; {CHANGE.format(mark, "", mark)}'
    r = at([*GIT, "sh", "-ec", clone], "--allow-host", "ssh.test:22")
    assert (r.rc, r.out) == (0, "it is there\n"), r
    assert f"refs/heads/new-{mark}" in at.outside([*GIT, "sh", "-c", f'GIT_SSH_COMMAND="{ssh}" git ls-remote {url}']).out


def test_what_git_ssh_and_a_websocket_need_is_learnt(at):
    """bailey learn: in one run where hosts are let through; then these work by the policy, and nothing else does."""
    need("ssh")
    script = f"""
git clone -q https://web.test/git/it.git && cat it/file
GIT_SSH_COMMAND="{SSH.replace("client.key", "$PWD/client.key")}" git ls-remote -q ssh://git@ssh.test{at.internet.dir}/repos/it.git | head -c 20
wget -q -O - --ca-certificate=ca.crt https://web6.test/who
{PYTHON} ws.py ws://web.test/ws captured
"""
    at.user.write(at.ws / "ws.py", SOCKET)
    r = at([*GIT, "sh", "-ec", script], "--network", "allow", verb="learn")
    policy = json.loads(r.out)
    assert r.rc == 0 and policy["network"] == {"allowedDomains": ["ssh.test:22", "web.test", "web6.test"]}, r
    path = at.user.write(at.ws / "learnt.json", r.out)
    shutil.rmtree(at.ws / "it")
    r = at([*GIT, "sh", "-ec", script], "--policy", str(path))
    assert r.rc == 0 and r.out.startswith("it is there\n") and r.out.endswith("echoed\n"), r
    for other in ("https://denied.test/who", "https://alias.test/who", "http://ssh.test/"):
        r = at(["wget", "-q", "-T", "8", "-t", "1", "-O", "-", "--ca-certificate=ca.crt", other], "--policy", str(path))
        assert r.rc != 0 and r.out == "", r


def test_ssh_needs_a_rule_that_names_the_port(at):
    need("ssh")
    script = f"{SSH} git@ssh.test 'echo hello from $USER; head -c 3000000 /dev/zero' | wc -c"
    assert at.outside(script).out == "3000015\n"
    assert at(script, "--allow-host", "ssh.test:22").out == "3000015\n"
    for opts in (["--allow-host", "ssh.test"], ["--allow-host", "web.test:22"], ["--allow-host", "ssh.test:443"]):
        r = at(script, *opts)
        assert r.out == "0\n" and "ssh.test" in r.err and r.secs < 20, r


# --- WebSocket ---

SOCKET = """
import asyncio, http.client, ssl, sys, urllib.parse, websockets
url, proxy = sys.argv[1], sys.argv[2]
u = urllib.parse.urlsplit(url)
port = u.port or (443 if u.scheme == 'wss' else 80)
sock = None
if proxy == 'proxy':
    c = http.client.HTTPConnection('127.0.0.1', 3128); c.set_tunnel(u.hostname, port); c.connect(); sock = c.sock; sock.setblocking(False)
async def main():
    tls = ssl.create_default_context(cafile='ca.crt') if u.scheme == 'wss' else None
    async with websockets.connect(url, sock=sock, ssl=tls, server_hostname=u.hostname if sock and tls else None, max_size=1 << 25) as ws:
        for n in (5, 70000, 3 << 20):
            await ws.send(b'x' * n)
            assert await ws.recv() == b'x' * n
        pong = await ws.ping(); await pong
        print('echoed')
asyncio.run(asyncio.wait_for(main(), 40))
"""


@pytest.mark.parametrize("url", ["ws://ws.test/", "ws://web.test/ws", "wss://web.test/ws"])
@pytest.mark.parametrize("way", ["captured", "proxy"])
def test_a_websocket(at, url, way):
    allowed = re.findall(r"//([^/]*)", url)[0]
    r = at([PYTHON, "-c", SOCKET, url, way], "--allow-host", allowed)
    assert (r.rc, r.out, r.said) == (0, "echoed\n", ""), r
    assert at.outside([PYTHON, "-c", SOCKET, url, "direct"]).out == "echoed\n"
    r = at([PYTHON, "-c", SOCKET, url, way], "--allow-host", "alias.test")
    assert r.rc == 1 and f"{allowed}" in r.err and "denied" in r.err and not r.out, r


# --- names: dig, ping ---

DIG = ["dig", "+time=3", "+tries=1"]


def test_dig(at):
    need("dig")
    rules = ["--allow-host", "web.test", "--allow-host", "*.wide.test"]
    r = at("dig +short web.test A; dig +short web.test AAAA; dig +short +tcp web.test; dig +short @203.0.113.9 web.test; dig +short @2001:db8::9 web.test", *rules)
    addresses = r.out.split()
    assert len(addresses) == 5 and re.match(r"198\.18\.", addresses[0]) and addresses[1].startswith("fd62:"), r
    assert addresses[0] == addresses[2] == addresses[3] == addresses[4]
    # the name of such an address
    assert at(f"dig +short -x {addresses[0]}; dig +short web.test; dig +short -x {addresses[0]}", *rules).out.split()[-1] == "web.test."
    for name, status in (("denied.test", "REFUSED"), ("wide.test", "REFUSED"), ("none.wide.test", "NXDOMAIN"), ("sub.wide.test", "NOERROR")):
        r = at([*DIG, name], *rules)
        assert f"status: {status}" in r.out and r.secs < 20, r
        assert "status: " in at.outside([*DIG, name]).out
    # what would hide a name, or list them all
    for kind in ("HTTPS", "SVCB", "ANY", "AXFR", "NS"):
        r = at([*DIG, "web.test", kind], *rules)
        assert r.secs < 20 and "192.0.2.20" not in r.out and ("ANSWER: 0" in r.out or "Transfer failed" in r.out or "REFUSED" in r.out), r
    assert "a text" in at("dig +short web.test TXT", *rules).out and "1 web.test." in at("dig +short web.test MX", *rules).out
    # the answers of other programs agree
    assert at("getent ahostsv4 web.test | cut -d' ' -f1 | sort -u", *rules).out == addresses[0] + "\n"


def test_a_name_server_that_does_not_answer_ends_in_a_failure(at):
    need("dig")
    r = at(["dig", "+time=25", "+tries=1", "mute.test", "TXT"], "--allow-host", "mute.test")
    assert "SERVFAIL" in r.out and r.secs < 25, r
    r = at([*CLEAN, *FETCH["curl"], "-m", "40", "http://mute.test/"], "--allow-host", "mute.test")
    assert r.rc == 56 and r.secs < 40, r
    assert [li["event"] for li in at.log(r) if li["name"] == "mute.test"] == ["fail"]


def test_ping(at):
    need("ping")
    r = at("ping -c 2 -i 0.2 -W 3 web.test", "--allow-host", "web.test")
    assert r.rc == 0 and "2 received" in r.out, r
    r = at("ping -6 -c 1 -W 3 web.test", "--allow-host", "web.test")
    assert r.rc == 0 and "1 received" in r.out, r
    # answered outside
    assert at.outside("ping -c 1 -W 3 192.0.2.20 && ping -c 1 -W 3 2001:db8::31 && ping -c 1 -W 3 denied.test").rc == 0
    for name in ("192.0.2.20", "2001:db8::31", "203.0.113.77"):
        r = at(f"ping -c 1 -W 3 {name}", "--allow-host", "web.test")
        assert r.rc == 1 and " 0 received" in r.out and ("Packet filtered" in r.out or "prohibited" in r.out), r
        assert r.secs < 30
    r = at("ping -c 1 -W 3 denied.test", "--allow-host", "web.test")
    assert r.rc == 2 and "denied.test" in r.err and r.secs < 30, r


# --- attacks ---


def hits(at):
    return at.internet.log().count("http 127.0.0.1:80")


@BOTH
@pytest.mark.parametrize("zone", ["turn", "both"])
def test_a_name_that_turns_round(at, env, zone, request):
    """Attack 51. The address that was checked is the one that is dialled, at each connection."""
    mark = re.sub(r"\W+", "-", request.node.name).lower()[-40:].strip("-")
    name = f"{mark}.{zone}.test"
    curl = f"{' '.join(env)} curl -sS -m 20 http://"
    # outside the name leads to loopback
    before = hits(at)
    r = at.outside(f"curl -sS http://out-{name}/; curl -sS --connect-timeout 5 http://out-{name}/")
    assert zone == "both" or (r.out.startswith("192.0.2.12:80") and "127.0.0.1:80" in r.out and hits(at) == before + 1), r
    before = hits(at)
    r = at(f"for i in 1 2 3 4 5 6; do {curl}{name}/$i; echo; sleep 0.6; done", "--allow-host", f"*.{zone}.test")
    assert r.out.startswith("192.0.2.12:80 GET /1") and "127.0.0.1:80 GET" not in r.out, r
    assert hits(at) == before
    if zone == "turn":
        assert f"{name}:80 denied" in r.err and "loopback" in r.err, r
        assert at.internet.log().count(f"asked {name}\n") >= 2


@BOTH
def test_an_alias_is_judged_by_where_it_leads(at, env):
    """Attack 57."""
    for name, opts, word in (("alias.test", [], ""), ("wrong.test", ["--deny-host", "denied.test"], "denied.test"), ("home.test", [], "loopback")):
        r = at([*env, *FETCH["curl"], f"http://{name}/who?alias"], "--allow-host", name, *opts)
        if word:
            assert word in r.err and f"http {name}" not in r.out, r
        else:
            assert r.rc == 0 and f"http {name}" in r.out, r
    # twins
    assert "http wrong.test" in at([*env, *FETCH["curl"], "http://wrong.test/who"], "--allow-host", "wrong.test").out
    assert "http wrong.test" in at.outside([*FETCH["curl"], "http://wrong.test/who"]).out


@BOTH
@pytest.mark.parametrize("client", ["curl", "wget", "urllib", "fetch"])
def test_clients_that_follow_a_redirect(at, env, client):
    """Attack 57."""
    argv = [*FETCH[client][:1], "-L", *FETCH[client][1:]] if client == "curl" else FETCH[client]
    assert "denied.test" in at.outside([*argv, "https://web.test/away"]).out
    before = nginx_log(at)
    r = at([*env, *argv, "https://web.test/away"], "--allow-host", "web.test")
    assert "https denied.test" not in r.out and "denied.test" in r.err and "GET /who" not in nginx_log(at)[len(before):], r
    r = at([*env, *argv, "https://web.test/away"], "--allow-host", "web.test", "--allow-host", "denied.test")
    assert r.rc == 0 and "https denied.test" in r.out, r


SPELLINGS = {
    "WEB.TEST": True, "web.test.": True, "Web.Test.": True, "web.test..": False, "web%2etest": None, "web.test%00.denied.test": False, "web.test%0d%0a": False,
    "xn--wb-test.test": False, "wеb.test": False, "[fe80::1%25lo]": False, "web.test@denied.test": False, "denied.test#web.test": False, "a" * 64 + ".test": False,
    ".".join(["a" * 60] * 5) + ".test": False, "0x7f.1": False, "0177.0.0.1": False, "2130706433": False, "127.1": False, "0": False, "[::]": False, "[::ffff:127.0.0.1]": False,
}


@BOTH
@pytest.mark.parametrize("spelling", SPELLINGS)
def test_spellings_of_a_host(at, env, spelling):
    """Attacks 50, 52: the same name, or none."""
    before, log = hits(at), nginx_log(at)
    r = at([*env, *FETCH["curl"], "-m", "20", f"http://{spelling}/who"], "--allow-host", "web.test")
    good = r.out.count(" http web.test")
    if SPELLINGS[spelling]:
        assert r.rc == 0 and good == 1, r
    elif SPELLINGS[spelling] is False:
        assert not good and nginx_log(at) == log, r
    assert hits(at) == before and "denied.test" not in nginx_log(at)[len(log):]


RAW = """
import socket, sys
s = socket.create_connection(('127.0.0.1', int(sys.argv[1])), 10)
s.sendall(eval(sys.argv[2]))
got = b''
try:
    while part := s.recv(4096): got += part
except OSError: pass
print(got[:60])
"""
# A user of a proxy can say anything: what the name holds is in the bytes. (port, bytes)
ODD = {
    "NUL": (3128, b"CONNECT web.test\0.denied.test:80 HTTP/1.1\r\nHost: web.test\r\n\r\n"),
    "CR LF": (3128, b"CONNECT web.test\r\nX: y:80 HTTP/1.1\r\n\r\n"),
    "a user": (3128, b"CONNECT web.test@denied.test:80 HTTP/1.1\r\nHost: web.test\r\n\r\n"),
    "two ports": (3128, b"CONNECT web.test:80:81 HTTP/1.1\r\nHost: web.test\r\n\r\n"),
    "a percent code": (3128, b"CONNECT %77eb.test:80 HTTP/1.1\r\nHost: web.test\r\n\r\n"),
    "too long": (3128, b"CONNECT " + b"a." * 200 + b"test:80 HTTP/1.1\r\n\r\n"),
    "NUL for SOCKS": (1080, b"\5\1\0\5\1\0\3\x15web.test\0.denied.test\0\x50"),
    "nothing for SOCKS": (1080, b"\5\1\0\5\1\0\3\0\0\x50"),
    "loopback for SOCKS": (1080, b"\5\1\0\5\1\0\1\x7f\0\0\1\0\x50"),
    "mapped loopback for SOCKS": (1080, b"\5\1\0\5\1\0\4" + bytes(10) + b"\xff\xff\x7f\0\0\1\0\x50"),
}


@pytest.mark.parametrize("what", ODD)
def test_odd_bytes_to_the_proxies(at, what):
    """Attack 52."""
    port, sent = ODD[what]
    before, log = hits(at), nginx_log(at)
    r = at([PYTHON, "-c", RAW, str(port), repr(sent)], "--allow-host", "web.test")
    assert r.rc == 0 and b" 200 " not in eval(r.out) and not eval(r.out).startswith(b"\5\0\5\0"), r
    assert hits(at) == before and nginx_log(at) == log and r.secs < 20


def test_the_odd_bytes_have_a_twin(at):
    good = {3128: b"CONNECT web.test:80 HTTP/1.1\r\nHost: web.test\r\n\r\n", 1080: b"\5\1\0\5\1\0\3\x08web.test\0\x50"}
    for port, bytes_ in good.items():
        ask = bytes_ + b"GET /who HTTP/1.1\r\nHost: web.test\r\nConnection: close\r\n\r\n"
        r = at([PYTHON, "-c", RAW, str(port), repr(ask)], "--allow-host", "web.test")
        assert b" 200 " in eval(r.out) or eval(r.out).startswith(b"\5\0\5\0"), r


def test_datagrams_to_port_443_and_53(at):
    """Attack 56: no QUIC, and whoever asks another name server asks bailey."""
    quic = "import socket, sys\ns = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(10)\ntry: s.connect((sys.argv[1], int(sys.argv[2]))); s.send(bytes([0xc0, 0, 0, 0, 1] + [0] * 1195)); print(s.recv(99))\nexcept OSError as e: print(type(e).__name__)"
    for host in ("web.test", "192.0.2.20", "192.0.2.10"):
        r = at([PYTHON, "-c", quic, host, "443"], "--allow-host", "web.test")
        assert r.out == "ConnectionRefusedError\n" and r.secs < 30, r
    need("dig")
    control = at.outside([*DIG, "+short", "@192.0.2.10", "denied.test"])
    assert control.out == "192.0.2.21\n"
    for way in ("+notcp", "+tcp"):
        r = at([*DIG, way, "@192.0.2.10", "denied.test"], "--allow-host", "web.test")
        assert "REFUSED" in r.out and "192.0.2.21" not in r.out, r


def test_names_that_carry_data(at):
    """Attack 56, 78: under a wildcard, names that nobody has asked for come slowly and are short."""
    ask = r"""
import socket, struct, sys, time, collections
def q(name, i): return struct.pack('>6H', i, 0x100, 1, 0, 0, 0) + b''.join(bytes([len(l)]) + l for l in name.split(b'.')) + b'\0\0\1\0\1'
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(20); s.connect(('192.0.2.10', 53))
s.send(q(b'a' * 50 + b'.turn.test', 1)); print('long', s.recv(999)[3] & 15)
codes = collections.Counter()
for i in range(1000):
    s.send(q(b'n%d.' % i + sys.argv[1].encode() + b'.turn.test', i)); codes[s.recv(999)[3] & 15] += 1
print(codes[0], codes[5], sum(codes.values()))
"""
    before = at.internet.log().count(".first.turn.test")
    r = at([PYTHON, "-c", ask, "first"], "--allow-host", "*.turn.test")
    long_, counts = r.out.splitlines()
    good, refused, both = map(int, counts.split())
    assert long_ == "long 5" and both == 1000 == good + refused and refused > 300, r
    assert at.internet.log().count(".first.turn.test") - before <= good + 1
    assert "come too fast" in r.err, r


def test_the_table_of_names_has_an_end(at):
    """Attack 78: no name gets the address of another one."""
    ask = r"""
import socket, struct
def q(labels, kind, i): return struct.pack('>6H', i, 0x100, 1, 0, 0, 0) + b''.join(bytes([len(l)]) + l for l in labels) + struct.pack('>BHH', 0, kind, 1)
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(20); s.connect(('192.0.2.10', 53))
seen, refused = {}, 0
for i in range(8300):
    s.send(q([b'n%d' % i, b'test'], 1, i)); a = s.recv(999)
    if a[3] & 15: refused += 1
    else: assert seen.setdefault(a[-4:], i) == i
print(len(seen), refused)
for addr, i in list(seen.items())[::500]:
    s.send(q([b'n%d' % i, b'test'], 1, i)); assert s.recv(999)[-4:] == addr
    s.send(q([b'%d' % x for x in reversed(addr)] + [b'in-addr', b'arpa'], 12, i)); assert b'\x04test' in s.recv(999) and True
print('same')
"""
    r = at([PYTHON, "-c", ask], "--ask", "--allow-host", "web.test")
    assert r.out == "8192 108\nsame\n" and "too many names" in r.err, r


def test_one_sandbox_to_another(at, user):
    """Attack 59."""
    serve = f"{PYTHON} -m http.server -b 0.0.0.0 8123 >log 2>&1 & echo $!; until curl -s -o /dev/null --noproxy '*' http://127.0.0.1:8123/; do sleep 0.1; done; touch up; until [ -e stop ]; do sleep 0.1; done"
    p = at.start(serve, "--allow-host", "web.test")
    try:
        up = pathlib.Path(at.ws / "up")
        assert wait_for(up.exists, 30)
        for where in ("127.0.0.1", "198.18.0.1", "198.18.0.2", "192.0.2.20", "[::1]", "localhost"):
            r = at([*CLEAN, "curl", "-sS", "-m", "10", f"http://{where}:8123/"], "--allow-host", "web.test:8123")
            assert r.rc != 0 and "Directory listing" not in r.out, r
        # twin: its own
        own = serve.replace("touch up; until [ -e stop ]; do sleep 0.1; done", "curl -s http://127.0.0.1:8123/")
        assert "Directory listing" in at(own, "--allow-host", "web.test").out
    finally:
        (at.ws / "stop").touch()
        p.communicate(timeout=SECS)
    # the socket that orders come by
    control = [str(d) for d in (pathlib.Path("/var/lib/bailey/network"), user.home / ".local/state/bailey/network") if d.is_dir()]
    r = at(["sh", "-c", f"ls {' '.join(control)}"], "--allow-host", "web.test")
    assert r.rc != 0 and not r.out, r


def test_a_flood_of_refusals_is_bounded(at, user):
    """Attack 61."""
    flood = r"""
import socket
for i in range(40000):
    s = socket.socket(); s.setblocking(False)
    try: s.connect(('192.0.2.%d' % (i % 200 + 30), 1000 + i % 5000))
    except OSError: pass
    if i % 200 == 0:
        try: socket.create_connection(('127.0.0.1', 3128), 20).close()
        except OSError: pass
    s.close()
"""
    r = at([PYTHON, "-c", flood + "\nimport subprocess; print(subprocess.run(['curl', '-sS', '-m', '30', 'http://web.test/who'], capture_output=True).stdout)"], "--allow-host", "web.test")
    assert "http web.test" in r.out, r
    run = re.findall(r"bailey network log ([0-9a-f]{10})", r.err)[0]
    state = pathlib.Path("/var/lib/bailey" if user.is_root else user.home / ".local/state/bailey") / "network" / run
    assert sum(f.stat().st_size for f in state.iterdir()) <= (16 << 20) + 65536
    assert at.network("log", run, "--verify").rc == 0


def test_slow_clients_are_ended(at):
    """Attack 62: a byte a second is not enough for a head."""
    slow = r"""
import socket, sys, time
s = socket.create_connection((sys.argv[1], int(sys.argv[2])), 20)
start = time.monotonic()
try:
    for i in range(60):
        s.sendall(b'GET / HTTP/1.1\r\nHost: web.test\r\nX: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa'[i:i + 1]); time.sleep(0.5)
except OSError: pass
print(time.monotonic() - start)
"""
    script = " & ".join(f"{PYTHON} slow.py {host} {port}" for host, port in (("127.0.0.1", 3128), ("127.0.0.1", 1080), ("web.test", 80))) + " & wait"
    (at.ws / "slow.py").write_text(slow)
    r = at(script, "--allow-host", "web.test")
    assert len(r.out.split()) == 3 and all(float(t) < 25 for t in r.out.split()), r


def test_connections_have_a_cap(at):
    """Attack 63: those who come later are refused or wait, the host loses nothing, and all is well afterwards."""
    many = r"""
import resource, socket, subprocess, sys, time
resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096)) if resource.getrlimit(resource.RLIMIT_NOFILE)[1] >= 4096 else None
held = []
for i in range(2500):
    s = socket.socket(); s.setblocking(False)
    s.connect_ex(('127.0.0.1', 3128)); held.append(s)
time.sleep(1)
for s in held: s.close()
time.sleep(1)
print(subprocess.run(['curl', '-sS', '-m', '30', 'http://web.test/who'], capture_output=True).stdout)
"""
    r = at([PYTHON, "-c", many], "--allow-host", "web.test", "--nofile", "4096")
    assert "http web.test" in r.out and "gateway has ended" not in r.err, r
