# SPDX-License-Identifier: Apache-2.0
"""The network of `bailey srt`: updates of a run that lives, the words of refusals, and other proxies. Servers and proxies are real (internet.py, forward.py)."""
import json
import os
import re
import select
import shlex
import shutil
import signal
import subprocess
import threading
import time
from typing import Any

import pytest
from conftest import BAILEY, OWN_ETC, PROJECT, PYTHON, wait_for
from networks import Net
from test_gateway import CLEAN, CURL, WAYS, gateways_of

STATUS = [*CURL, "-o", "/dev/null", "-w", "%{http_code}\\n"]


def settings(**network: Any) -> dict[str, Any]:
    return {"network": {"allowedDomains": [], "deniedDomains": [], **network}, "filesystem": {"denyRead": [], "allowWrite": [], "denyWrite": []}}


class Srt:
    """srt(SETTINGS, COMMAND) -> Result of `bailey srt`, where the servers are."""

    def __init__(self, net):
        self.net, self.user = net, net.user

    def argv(self, network, command, *opts):
        path = self.user.write(self.user.base / "srt-net.json", json.dumps(settings(**network)))
        words = ["-c", command] if isinstance(command, str) else ["--", *command]
        return [os.fspath(w) for w in (*self.net.enter, "env", "-C", self.net.ws, BAILEY, "srt", "-s", path, *opts, *words)]

    def __call__(self, network, command, *opts, env=None):
        p = subprocess.run(self.argv(network, command, *opts), stdin=subprocess.DEVNULL, capture_output=True, timeout=60, check=False, text=True,
                           env={**self.net.environ, **(env or {})})
        return p

    def live(self, network, script):
        return Live(self, network, script)


class Live:
    """A run with a control channel whose command does SCRIPT with $1 for each line that it gets, and answers with lines that end in `.`."""

    def __init__(self, srt, network, script):
        read, self.control = os.pipe()
        loop = f"f() {{ {script}\n}}; while read -r line; do f $line 2>&1; echo .; done"
        self.fd = read
        self.p: Any = subprocess.Popen(srt.argv(network, loop, "-d", "--control-fd", str(read)), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                  pass_fds=(read,), env=srt.net.environ, start_new_session=True)
        os.close(read)
        self.err = self.out = b""
        self.reader = threading.Thread(target=self.drain, daemon=True)  # or bailey waits for us
        self.reader.start()

    def drain(self):
        while more := os.read(self.p.stderr.fileno(), 65536):
            self.err += more

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.control >= 0:
            os.close(self.control)
        self.p.stdin.close()
        try:
            self.p.wait(5)
        except subprocess.TimeoutExpired:
            self.p.kill()
            self.p.wait()
            raise
        self.reader.join(5)
        self.p.stdout.close()
        self.p.stderr.close()

    def ask(self, line):
        self.p.stdin.write(line.encode() + b"\n")
        self.p.stdin.flush()
        end = time.monotonic() + 20
        while not self.out.endswith(b".\n"):
            assert select.select([self.p.stdout], [], [], max(0, end - time.monotonic()))[0], (self.out, self.err)
            more = os.read(self.p.stdout.fileno(), 65536)
            assert more, self.err
            self.out += more
        out, self.out = self.out[:-2].decode().rstrip("\n"), b""
        return out

    def read_err(self, done):
        """stderr, until DONE(what has come of it)."""
        assert wait_for(lambda: done(self.err.decode())), self.err
        text, self.err = self.err.decode(), b""
        return text

    def send(self, line):
        os.write(self.control, (line if isinstance(line, str) else json.dumps(line)).encode() + b"\n")

    def update(self, **network):
        self.err = b""
        self.send(settings(**network))
        self.read_err(lambda text: "Config updated from control fd" in text)

    def gateway(self):
        """Its pid; nsenter and env have become bailey."""
        return gateways_of(self.p.pid)


@pytest.fixture
def srt(net):
    return Srt(net)


FETCH = f"{shlex.join(STATUS)} http://$1/"
CAPTURED = f"{shlex.join(CLEAN)} {shlex.join(STATUS)} http://$1/"


# --- updates ---


@pytest.mark.parametrize("way", [FETCH, CAPTURED], ids=["proxy", "captured"])
def test_an_update_opens_and_closes(srt, way):
    shut = "403" if way == FETCH else "000"
    with srt.live({"allowedDomains": ["one.test"]}, way) as run:
        assert run.ask("one.test")[-3:] == "200"
        assert run.ask("two.test")[-3:] == shut
        run.update(allowedDomains=["two.test"])
        assert run.ask("two.test")[-3:] == "200"
        assert run.ask("one.test")[-3:] == shut, "a line is a whole configuration"
        run.update(allowedDomains=["one.test", "two.test"], deniedDomains=["two.test"])
        assert run.ask("two.test")[-3:] == shut, "what is denied counts first"
        assert run.ask("one.test")[-3:] == "200"


def test_an_empty_list_can_be_opened(srt):
    """Without a control channel an empty list is no network; with one there are proxies, which refuse."""
    with srt.live({}, FETCH) as run:
        assert run.ask("one.test") == "403"
        run.update(allowedDomains=["one.test"])
        assert run.ask("one.test") == "200"
        run.update()
        assert run.ask("one.test") == "403"


def test_an_update_before_the_first_use(srt):
    with srt.live({"allowedDomains": ["two.test"]}, FETCH) as run:
        run.update(allowedDomains=["one.test"])
        assert run.ask("two.test") == "403"
        assert run.ask("one.test") == "200"


@pytest.mark.parametrize("way", [[], CLEAN], ids=["proxy", "captured"])
def test_open_connections_end(srt, net, way):
    fetch = f"{shlex.join([*way, *CURL])} -m 60 -N -o /dev/null http://one.test/slow 2>/dev/null; echo $?"
    with srt.live({"allowedDomains": ["one.test", "two.test"]}, fetch) as run:
        run.p.stdin.write(b"go\n")
        run.p.stdin.flush()
        assert wait_for(lambda: "/slow" in net.internet.log()[-2000:])
        run.update(allowedDomains=["one.test"])
        time.sleep(0.3)
        assert not select.select([run.p.stdout], [], [], 0)[0], "what is allowed in both goes on"
        start = time.monotonic()
        run.update(allowedDomains=["two.test"])
        assert int(run.p.stdout.readline()) != 0 and time.monotonic() - start < 30
        run.p.stdout.readline()


def test_denied_addresses_of_an_update(srt):
    with srt.live({"allowedDomains": ["one.test", "two.test"]}, FETCH) as run:
        assert run.ask("two.test") == "200"
        run.update(allowedDomains=["one.test", "two.test"], deniedResolvedAddresses=["192.0.2.11"])
        assert run.ask("two.test") == "403"
        assert run.ask("one.test") == "200"


def test_a_bad_line_changes_nothing(srt):
    with srt.live({"allowedDomains": ["one.test"]}, FETCH) as run:
        for line, what in (("not json", ":1:"), (settings(allowedDomains=["*.com"]), "network.allowedDomains[0]"), (settings(deniedDomains=["b\u00fccher.example"]), "ASCII form"),
                           (settings(parentProxy={"http": "http://u:PROXYPASS4@x:bad"}), "network.parentProxy.http"),
                           ({"network": {}}, "is missing"), (settings(mitmProxy={"socketPath": "/x", "domains": ["b\u00fccher.example"]}), "mitmProxy.domains")):
            run.send(line)
            told = run.read_err(lambda text: "previous config still in force" in text)
            assert f"Invalid config on control fd {run.fd}: ignored" in told and what in told, told
            assert "PROXYPASS4" not in told, told
            assert run.ask("one.test") == "200" and run.ask("two.test") == "403"
        run.send("")
        run.update(allowedDomains=["two.test"])
        assert run.ask("two.test") == "200", "the channel is still read"


def test_rules_outlive_a_gateway(srt):
    with srt.live({"allowedDomains": ["one.test"]}, FETCH) as run:
        assert run.ask("one.test") == "200"
        run.update(allowedDomains=["two.test"])
        for pid in run.gateway():
            os.kill(pid, signal.SIGKILL)
        run.read_err(lambda text: "the gateway has ended" in text)
        assert run.ask("two.test") == "200"
        assert run.ask("one.test") == "403"


def test_many_rules_and_many_updates(srt):
    many = [f"h{i}.example" for i in range(3000)]
    with srt.live({"allowedDomains": many}, FETCH) as run:
        assert run.ask("one.test") == "403"
        for i in range(20):
            run.update(allowedDomains=[*many, "one.test" if i % 2 else "two.test"])
        assert run.ask("one.test") == "200"
        assert run.ask("two.test") == "403"
        run.send(settings(allowedDomains=[f"h{i}.example" for i in range(4000)], deniedDomains=[f"d{i}.example" for i in range(200)]))
        run.read_err(lambda text: "Invalid config" in text and "more than 4096 network rules" in text)
        assert run.ask("one.test") == "200"


def test_a_live_denial_has_a_place_beside_any_number_of_rules(srt, net):
    with srt.live({"allowedDomains": ["one.test"]}, FETCH) as run:
        assert run.ask("one.test") == "200"
        assert net.network("deny", net.run_id(), "one.test").rc == 0
        run.update(allowedDomains=["one.test", *(f"h{i}.example" for i in range(4095))])
        assert run.ask("one.test") == "403"
        for pid in run.gateway():
            os.kill(pid, signal.SIGKILL)
        run.read_err(lambda text: "the gateway has ended" in text)
        assert run.ask("one.test") == "403"


@pytest.mark.parametrize("mode", ["allow", "host"])
def test_no_policy_of_the_machine_opens_more_than_the_lists(managed, mode):
    net = managed({"network": {"mode": mode}})
    assert Srt(net)({"allowedDomains": ["one.test"]}, FETCH.replace("$1", "one.test")).stdout == "200\n"
    assert Srt(net)({"allowedDomains": ["one.test"]}, FETCH.replace("$1", "two.test")).stdout == "403\n"
    assert Srt(net)({"allowedDomains": ["one.test"]}, CAPTURED.replace("$1", "two.test")).stdout == "000\n"
    assert Srt(net)({}, CAPTURED.replace("$1", "one.test")).stdout == "000\n"


def test_no_grant_of_the_machine_widens_a_run(managed):
    kept = "/srv/bailey-srt-managed"
    net = managed({"network": {"allowedDomains": ["two.test"], "preset": "open-minus-private", "deniedDomains": ["sub.one.test"]},
                   "filesystem": {"allowWrite": [kept]}})  # fmt: skip
    os.mkdir(kept)
    try:
        srt = Srt(net)
        assert srt({"allowedDomains": ["one.test"]}, FETCH.replace("$1", "one.test")).stdout == "200\n", "the control"
        assert srt({"allowedDomains": ["one.test"]}, FETCH.replace("$1", "two.test")).stdout == "403\n"
        assert srt({"allowedDomains": ["one.test", "*.one.test"]}, FETCH.replace("$1", "sub.one.test")).stdout == "403\n", "denials hold"
        assert srt({}, CAPTURED.replace("$1", "one.test")).stdout == "000\n"
        srt({}, f"echo x > {kept}/f")
        assert not os.path.exists(f"{kept}/f")
        native = net(f"echo x > {kept}/f", "--network", "none")
        assert os.path.exists(f"{kept}/f"), ("the control: it counts in a native run", native)
    finally:
        shutil.rmtree(kept)


def test_what_was_changed_live_stays(srt, net):
    with srt.live({"allowedDomains": ["one.test"]}, FETCH) as run:
        assert run.ask("one.test") == "200"
        assert net.network("deny", net.run_id(), "one.test").rc == 0
        assert run.ask("one.test") == "403"
        run.update(allowedDomains=["one.test", "two.test"])
        assert run.ask("two.test") == "200"
        assert run.ask("one.test") == "403", "the owner's denial is no setting"
        log = [json.loads(li) for li in net.network("log", net.run_id(), "--json").out.splitlines()]
        changes = [(li["decision"], li["rule"]) for li in log if li["event"] == "change"]
        assert ("deny", "one.test") in changes and ("allow", "two.test") in changes, changes


@pytest.fixture
def managed(internet, root_user):
    """managed(POLICY) -> a Net of root whose runs find POLICY as the machine's: in mount namespaces of their own, since it has one place."""
    def make(policy):
        net = Net(internet, root_user, root_user.mkdir(root_user.base / "srt-managed"))
        path = root_user.write(root_user.base / "managed.json", json.dumps(policy))
        net.enter = [*net.enter, "unshare", "-m", "sh", "-c",
                     f'{OWN_ETC}; mkdir -p /etc/bailey && cp "$0" /etc/bailey/policy.json && exec "$@"', str(path)]
        return net

    return make


def test_the_administrator_s_denial_is_final(managed):
    with Srt(managed({"network": {"deniedDomains": ["two.test"]}})).live({"allowedDomains": ["one.test"]}, FETCH) as run:
        run.update(allowedDomains=["one.test", "two.test"])
        assert run.ask("one.test") == "200"
        assert run.ask("two.test") == "403"


def test_names_and_what_is_said_must_fit(srt):
    """Wildcards and private addresses, addresses, Host, and protocols that say no name."""
    network: dict[str, Any] = {"allowedDomains": ["*.wild.test", "one.test", "private.test"]}
    talk = f"{PYTHON} -c \"import socket; s = socket.create_connection(('one.test', 7), 5); s.send(b'<opaque>'); print(s.recv(99))\""
    for command, ok in (([*STATUS, "http://sub.wild.test/"], "200\n"), ([*STATUS, "http://private.test/"], "200\n"),
                              ([*STATUS, "http://192.0.2.10/"], "403\n"),
                              ([*CLEAN, *STATUS, "-H", "Host: two.test", "http://one.test/"], "421\n"), (talk, "")):
        p = srt(network, command)
        assert p.stdout == ok, (command, p)
    assert srt({"allowedDomains": ["192.0.2.10"]}, [*STATUS, "http://192.0.2.10/"]).stdout == "200\n"
    assert srt({"allowedDomains": ["one.test:7"]}, talk).stdout == "b'<opaque>'\n"


# --- words ---


def answer(text):
    """(status line, X-Proxy-Error, body) of the first answer in what `curl -i` or `curl -v` printed."""
    lines = [li.removeprefix("< ").rstrip("\r") for li in text.splitlines()]
    mark = next((li for li in lines if li.lower().startswith("x-proxy-error:")), None)
    return next(li for li in lines if li.startswith("HTTP/")), mark, lines[-1]


def test_words_of_a_refused_request(srt):
    network: dict[str, Any] = {"allowedDomains": ["one.test", "loop.test", "own.test", "meta.test", "private.test"], "deniedDomains": ["two.test"], "deniedResolvedAddresses": ["10.0.0.0/8"]}
    allowlist = ("HTTP/1.1 403 Forbidden", "X-Proxy-Error: blocked-by-allowlist", "Connection blocked by network allowlist")
    for host, want in (("other.test", allowlist), ("two.test", allowlist),
                       ("loop.test", (allowlist[0], "X-Proxy-Error: blocked-by-sandbox-runtime", "Connection to loop.test blocked: resolved to a loopback address")),
                       ("meta.test", (allowlist[0], "X-Proxy-Error: blocked-by-sandbox-runtime", "Connection to meta.test blocked: resolved to a cloud metadata address")),
                       ("own.test", (allowlist[0], "X-Proxy-Error: blocked-by-sandbox-runtime", "Connection to own.test blocked: resolved to one of this host's addresses")),
                       ("private.test", (allowlist[0], "X-Proxy-Error: blocked-by-sandbox-runtime", "Connection to private.test blocked: resolved to a listed address"))):
        p = srt(network, [*CURL, "-i", f"http://{host}/"])
        assert answer(p.stdout) == want, (host, p)
    p = srt(network, [*CURL, "-i", "http://one.test/"])
    assert "200 OK" in p.stdout and "X-Proxy-Error" not in p.stdout


def test_words_of_a_refused_connect(srt):
    network: dict[str, Any] = {"allowedDomains": ["one.test", "loop.test"], "deniedDomains": ["two.test", "*:22", "wild.test"],
               "deniedDomainReasons": {"two.test": "use one.test", "*:22": "SSH is blocked \u2013 use https\r\nX: y"}}
    for url, phrase in (("https://other.test/", "host is not on the allow list"), ("https://two.test/", "use one.test"), ("https://wild.test/", "host is on the deny list"),
                        ("https://one.test:22/", "SSH is blocked ? use https X: y"), ("https://loop.test/", "resolved to a loopback address")):
        p = srt(network, [*CURL, "-v", url])
        status = next(li for li in p.stderr.splitlines() if li.startswith("< HTTP/"))
        assert p.returncode == 56 and status.rstrip("\r") == f"< HTTP/1.1 403 {phrase}", (url, p)
        assert "\n< X: y" not in p.stderr
    assert srt(network, [*CURL, "-k", "https://one.test/"]).returncode == 0


def test_words_of_socks(srt):
    network: dict[str, Any] = {"allowedDomains": ["one.test"], "deniedDomains": ["two.test"]}
    for proxy in ("socks5h://127.0.0.1:1080", "socks5h://user:word@127.0.0.1:1080"):
        for host in ("two.test", "other.test"):
            p = srt(network, [*CLEAN, *CURL, "-x", proxy, f"http://{host}/"])
            assert p.returncode == 97 and re.search(r"\(2\)", p.stderr), p
        assert srt(network, [*CLEAN, *CURL, "-x", proxy, "http://one.test/"]).returncode == 0


SSH = "ssh -F /dev/null -o BatchMode=yes -o ConnectTimeout=5 -o UserKnownHostsFile=/dev/null -o StrictHostKeyChecking=no"


def test_ssh_is_told_why(srt, net):
    reason = "pushes by SSH are blocked; use https://one.test"
    network: dict[str, Any] = {"allowedDomains": ["one.test"], "deniedDomains": ["one.test:22", "two.test"], "deniedDomainReasons": {"one.test:22": reason}}
    p = srt(network, f"{SSH} git@one.test")
    assert p.returncode == 255 and "Received disconnect from" in p.stderr and reason in p.stderr, p
    socks = f"{PYTHON} {readable(net, 'through_socks.py')} %h %p"
    p = srt(network, f"{SSH} -o 'ProxyCommand={socks}' git@one.test")
    assert p.returncode == 255 and reason in p.stderr, p
    p = srt(network, f"{SSH} -o 'ProxyCommand={socks} user word' git@one.test")
    assert p.returncode == 255 and "Received disconnect" not in p.stderr and "refused: 2" in p.stderr, p
    # the twin: where it is allowed, the server is who speaks
    p = srt({"allowedDomains": ["one.test:22"]}, f"{PYTHON} -c \"import socket; print(socket.create_connection(('one.test', 22), 5).recv(99))\"")
    assert p.stdout == "b'SSH-2.0-test\\r\\n'\n", p


def test_the_end_of_a_run_names_the_settings(srt):
    """srt has no options for that."""
    p = srt({"allowedDomains": ["one.test"]}, "curl -sS -m 8 http://two.test/; curl -sS -m 8 http://two.test:8080/")
    path = srt.user.base / "srt-net.json"
    for what in ("two.test", "two.test:8080"):
        assert f'denied: no rule allows it; add "{what}" to network.allowedDomains in {path}\n' in p.stderr, p
    assert "--allow" not in p.stderr, p
    # the same after an update
    with srt.live({"allowedDomains": ["one.test"]}, FETCH) as run:
        run.update(allowedDomains=["one.test", "three.test"])
        assert run.ask("two.test") == "403"
    assert f'add "two.test" to network.allowedDomains in {path}\n' in run.err.decode(), run.err


def test_native_runs_have_their_own_words(net):
    r = net([*CURL, "-i", "http://two.test/"], "--allow-host", "one.test")
    assert "X-Bailey: denied" in r.out and "X-Proxy-Error" not in r.out and "bailey: " in r.out


# --- other proxies ---


def readable(net, name):
    """A script of this directory where every user can read it: the project may lie in a directory that is closed."""
    return shutil.copy(PROJECT / "tests/e2e" / name, net.internet.dir / name)


class Forward:
    """A proxy of another program (forward.py) on the machine that bailey runs on."""

    def __init__(self, net, kind, where, *refuse, owner=None):
        self.path = net.internet.dir / f"forward-{os.urandom(4).hex()}.log"
        enter = net.enter if owner is None else net.internet.enter(owner)
        self.path.touch(0o666)
        self.path.chmod(0o666)
        self.p: Any = subprocess.Popen([*enter, PYTHON, readable(net, "forward.py"), kind, str(where), self.path, *refuse], stdout=subprocess.PIPE, stdin=subprocess.DEVNULL)
        assert self.p.stdout.readline() == b"ready\n"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.p.kill()
        self.p.wait()
        self.p.stdout.close()

    def log(self):
        """What it was asked for since the last time."""
        lines = self.path.read_text().splitlines()
        self.path.write_text("")
        return lines


PORT = 18000 + os.getpid() % 1000


@pytest.fixture
def forward(net):
    with Forward(net, "http", f"198.51.100.1:{PORT}", "closed.test") as f:
        yield f


def test_a_parent_proxy_dials(srt, forward):
    parent = {"http": f"http://us%20er:p%40ss@198.51.100.1:{PORT}", "noProxy": "two.test"}
    network: dict[str, Any] = {"allowedDomains": ["one.test", "two.test", "private.test"], "parentProxy": parent}
    for way in WAYS:
        for url, port in (("http://one.test/", 80), ("https://one.test/", 443), ("http://private.test/", 80)):
            p = srt(network, [*way, *CURL, "-k", url])
            assert p.returncode == 0 and "GET /" in p.stdout, p
            assert forward.log() == [f"CONNECT {url.split('/')[2]}:{port} Proxy-Authorization: Basic dXMgZXI6cEBzcw=="]
        p = srt(network, [*way, *CURL, "http://two.test/"])
        assert p.returncode == 0 and forward.log() == [], "noProxy"
        p = srt(network, [*way, *CURL, "http://three.test/"])
        assert "GET /" not in p.stdout and forward.log() == [], "what no list allows is not asked for there either"


def test_a_parent_proxy_of_the_environment(srt, forward):
    """In srt's order: capitals first, HTTPS_PROXY falls back to HTTP_PROXY, settings before both."""
    url, dead = f"http://198.51.100.1:{PORT}", "http://198.51.100.1:9"
    network: dict[str, Any] = {"allowedDomains": ["one.test"]}
    for env, asked in (({"HTTP_PROXY": url}, True), ({"http_proxy": url}, True), ({"HTTP_PROXY": url, "http_proxy": dead}, True), ({"HTTPS_PROXY": url}, True),
                       ({"HTTP_PROXY": dead, "https_proxy": url}, True), ({"HTTP_PROXY": url, "NO_PROXY": "one.test"}, False), ({}, False)):
        p = srt(network, [*CURL, "-k", "https://one.test/"], env=env)
        assert p.returncode == 0, (env, p)
        assert forward.log() == (["CONNECT one.test:443"] if asked else []), env
    p = srt({**network, "parentProxy": {"https": url}}, [*CURL, "-k", "https://one.test/"], env={"HTTPS_PROXY": dead})
    assert p.returncode == 0 and forward.log() == ["CONNECT one.test:443"]
    p = srt({**network, "parentProxy": {"https": url}}, [*CURL, "http://one.test/"])
    assert p.returncode == 0 and forward.log() == [], "plain HTTP has a proxy of its own, and there is none"


def test_a_parent_proxy_that_refuses_or_is_dead(srt, forward):
    p = srt({"allowedDomains": ["closed.test"], "parentProxy": {"http": f"http://198.51.100.1:{PORT}"}}, [*STATUS, "http://closed.test/"])
    assert p.stdout == "502\n" and forward.log() == ["CONNECT closed.test:80"]
    p = srt({"allowedDomains": ["one.test"], "parentProxy": {"http": "http://198.51.100.1:9"}}, [*STATUS, "http://one.test/"])
    assert p.stdout == "502\n", "never without it"
    assert "network: one.test:80 failed: the proxy 198.51.100.1:9: Connection refused" in p.stderr, p


def test_a_parent_proxy_that_cannot_be_used_is_an_error(srt):
    rows: tuple[tuple[dict[str, Any], dict[str, str], str], ...] = (({"parentProxy": {"https": "https://proxy.test:3128"}}, {}, "network.parentProxy.https"), ({}, {"HTTPS_PROXY": "socks5://proxy.test"}, "HTTPS_PROXY"))
    for network, env, where in rows:
        p = srt({"allowedDomains": ["one.test"], **network}, "echo RAN", env=env)
        assert p.returncode == 1 and p.stdout == "" and where in p.stderr and "http://" in p.stderr, p
    for url in ("http://u:PROXYPASS4@x:bad", "PROXYPASS4@x", "http://u:PROXY%50ASS4@x:bad"):
        p = srt({"allowedDomains": ["one.test"], "parentProxy": {"http": url}}, "echo RAN")
        assert p.returncode == 1 and "network.parentProxy.http" in p.stderr and "SCHEME://HOST" in p.stderr, p
        assert "ASS4" not in p.stderr and "RAN" not in p.stdout, p
    p = srt({}, "echo RAN", env={"HTTPS_PROXY": "socks5://proxy.test"})
    assert p.stdout == "RAN\n", "a run without a network has no use for it"


@pytest.fixture
def mitm(net):
    where = net.user.mkdir(net.user.base / "mitm")
    path = where / "socket"
    path.unlink(missing_ok=True)
    with Forward(net, "http", path) as f:
        f.socket = path
        yield f
    path.unlink(missing_ok=True)


def test_what_is_handed_to_a_proxy_at_a_socket(srt, mitm):
    network: dict[str, Any] = {"allowedDomains": ["one.test", "sub.wild.test", "two.test", "loop.test"], "mitmProxy": {"socketPath": str(mitm.socket), "domains": ["one.test", "*.wild.test", "loop.test"]}}
    for way, asked in zip(WAYS, (["CONNECT one.test:80"], ["GET http://one.test/x"])):
        p = srt(network, [*way, *CURL, "http://one.test/x"])
        assert p.returncode == 0 and "GET /x host=one.test" in p.stdout, p
        assert mitm.log() == asked
        p = srt(network, [*way, *CURL, "-k", "https://one.test/"])
        assert p.returncode == 0 and mitm.log() == ["CONNECT one.test:443"], p
        p = srt(network, [*way, *CURL, "http://sub.wild.test/"])
        assert p.returncode == 0 and len(mitm.log()) == 1
        p = srt(network, [*way, *CURL, "http://two.test/"])
        assert p.returncode == 0 and mitm.log() == []
        p = srt(network, [*way, *CURL, "http://other.test/"])
        assert "GET /" not in p.stdout and mitm.log() == []
    # which address that is, is the proxy's matter
    assert srt(network, [*CURL, "http://loop.test/"]).returncode == 0 and mitm.log() == ["GET http://loop.test/"]
    p = srt(network, [*CLEAN, *CURL, "-x", "socks5h://127.0.0.1:1080", "-k", "https://one.test/"])
    assert p.returncode == 0 and mitm.log() == ["CONNECT one.test:443"]
    p = srt(network, [*CURL, "-d", "body", "http://ONE.test:8080/y?z"])
    assert mitm.log() == ["POST http://one.test:8080/y?z"], p


def test_a_post_through_the_socket(srt, mitm):
    network: dict[str, Any] = {"allowedDomains": ["one.test"], "mitmProxy": {"socketPath": str(mitm.socket), "domains": ["one.test"]}}
    p = srt(network, f"head -c 300000 /dev/zero | {shlex.join(CURL)} --data-binary @- http://one.test/")
    assert p.stdout == "got 300000\n", p
    p = srt(network, f"{shlex.join(CURL)} http://one.test/big | wc -c")
    assert p.stdout == f"{64 << 20}\n", p


def test_without_the_proxy_at_the_socket_nothing_goes(srt, net, mitm):
    network: dict[str, Any] = {"allowedDomains": ["one.test"], "mitmProxy": {"socketPath": str(mitm.socket), "domains": ["one.test"]}}
    before = net.internet.log()
    mitm.p.kill()
    mitm.p.wait()
    p = srt(network, [*STATUS, "http://one.test/"])
    assert p.stdout == "502\n", p
    mitm.socket.unlink()
    p = srt(network, [*STATUS, "http://one.test/"])
    assert p.stdout == "502\n", p
    assert net.internet.log() == before


def test_the_command_cannot_turn_the_socket(srt, net, mitm):
    """Where it may write the directory: a link to another socket of the host is not followed."""
    path = mitm.socket.with_name("later")
    network: dict[str, Any] = {"allowedDomains": ["one.test"], "mitmProxy": {"socketPath": str(path), "domains": ["one.test"]}}
    fetch = f"{shlex.join(STATUS)} http://one.test/"
    for command, want in ((f"ln -s {mitm.socket} {path}; {fetch}", "502\n"), (fetch, "200\n")):
        argv = srt.argv(network, command)
        (srt.user.base / "srt-net.json").write_text(json.dumps({**settings(**network), "filesystem": {"denyRead": [], "allowWrite": [str(path.parent)], "denyWrite": []}}))
        p = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, timeout=60, check=False, text=True, env=net.environ)
        # a link that is there when the run starts is the caller's own
        assert p.stdout == want and mitm.log() == ([] if want == "502\n" else ["GET http://one.test/"]), p
    path.unlink()


def test_a_socket_that_an_update_names(srt, mitm):
    with srt.live({"allowedDomains": ["one.test"]}, FETCH) as run:
        assert run.ask("one.test") == "200" and mitm.log() == []
        run.update(allowedDomains=["one.test"], mitmProxy={"socketPath": str(mitm.socket), "domains": ["one.test"]})
        assert run.ask("one.test") == "200" and mitm.log() == ["GET http://one.test/"]
        run.update(allowedDomains=["one.test"], mitmProxy={"socketPath": str(mitm.socket) + "-not", "domains": ["one.test"]})
        assert run.ask("one.test") == "502" and mitm.log() == []
        run.update(allowedDomains=["one.test"])
        assert run.ask("one.test") == "200" and mitm.log() == []


def test_an_external_http_proxy_decides(srt, net):
    """Lists are not for what goes there; what is captured is judged by them, and dialled by that proxy."""
    with Forward(net, "http", PORT, "closed.test") as f:
        network: dict[str, Any] = {"allowedDomains": ["one.test", "closed.test"], "deniedDomains": ["sub.wild.test"], "httpProxyPort": PORT}
        p = srt(network, [*CURL, "http://one.test/x"])
        assert p.returncode == 0 and f.log() == ["GET http://one.test/x"], p
        p = srt(network, [*CURL, "-k", "https://two.test/"])
        assert p.returncode == 0 and f.log() == ["CONNECT two.test:443"], "it filters in our place"
        p = srt(network, [*CURL, "-i", "http://closed.test/"])
        assert "403 Not by this proxy" in p.stdout and f.log() == ["GET http://closed.test/"], p
        for name, asked in (("one.test", ["CONNECT one.test:443"]), ("two.test", []), ("sub.wild.test", [])):
            p = srt(network, [*CLEAN, *CURL, "-k", f"https://{name}/"])
            assert (p.returncode == 0) == bool(asked) and f.log() == asked, p
        # the other port is still bailey's, with the lists
        p = srt(network, [*CLEAN, *CURL, "-x", "socks5h://127.0.0.1:1080", "http://one.test/"])
        assert p.returncode == 0 and f.log() == [], p
        p = srt(network, [*CLEAN, *CURL, "-x", "socks5h://127.0.0.1:1080", "http://two.test/"])
        assert p.returncode == 97 and f.log() == [], p
        p = srt({"httpProxyPort": PORT}, [*CURL, "http://two.test/"])
        assert p.returncode == 0 and f.log() == ["GET http://two.test/"], "an empty list says nothing about it"
    p = srt(network, [*CURL, "http://one.test/"])
    assert p.returncode != 0 and "GET" not in p.stdout, "nobody there: nothing else in its place"


def test_an_external_socks_proxy_decides(srt, net):
    with Forward(net, "socks", PORT, "closed.test") as f:
        network: dict[str, Any] = {"allowedDomains": ["one.test"], "socksProxyPort": PORT}
        socks = [*CLEAN, *CURL, "-x", "socks5h://127.0.0.1:1080"]
        p = srt(network, [*socks, "http://two.test/"])
        assert p.returncode == 0 and f.log() == ["SOCKS two.test:80"], p
        assert srt(network, [*socks, "http://closed.test/"]).returncode == 97 and f.log() == ["SOCKS closed.test:80"]
        for way in WAYS:
            assert srt(network, [*way, *CURL, "http://one.test/"]).returncode == 0 and f.log() == []
            p = srt(network, [*way, *CURL, "http://two.test/"])
            assert "GET /" not in p.stdout and f.log() == [], p
    assert srt(network, [*socks, "http://one.test/"]).returncode in (7, 97), "nobody there"


def test_what_cannot_be_enforced_is_an_error(srt):
    rows: tuple[tuple[dict[str, Any], str], ...] = (({"refuseOpaqueTunnels": True}, "refuseOpaqueTunnels"), ({"stripResponseHeaders": ["set-cookie"]}, "stripResponseHeaders"))
    for network, key in rows:
        p = srt({"allowedDomains": ["one.test"], **network}, "echo RAN")
        assert p.returncode == 1 and p.stdout == "" and f"network.{key}: it needs network.tlsTerminate" in p.stderr, p
        assert srt(network, "echo RAN").stdout == "RAN\n", "without a network there is nothing to refuse"
