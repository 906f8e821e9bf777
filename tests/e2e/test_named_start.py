# SPDX-License-Identifier: Apache-2.0
"""
What a start of a sandbox that stays has of who starts it: nothing (docs/adr/0031). Each is started by somebody with other values, and by nobody who has any, as at a boot; the controls are
sandboxes that were created without.
"""
import http.server
import json
import threading

import pytest

from conftest import BAILEY, PYTHON, wait_for
from test_named import boxes  # noqa: F401 (a fixture)
from test_ssh import agents, known_hosts, line  # noqa: F401 (a fixture)

# pylint: disable=redefined-outer-name

FETCH = [PYTHON, "-c", "import urllib.request as u; print(u.urlopen('http://one.test/', timeout=10).read().decode())"]


@pytest.fixture
def begin(boxes, user):
    """begin(ENV, NAME) -> Result of a start anew by who has ENV beside his own variables; ENV None: nothing but what leads to the sandbox."""

    def call(env, name="box"):
        assert boxes("stop", name).rc == 0
        if env is None:
            r = user.exec(["env", "-i", f"XDG_STATE_HOME={boxes.env['XDG_STATE_HOME']}", BAILEY, "start", name])
        else:
            r = boxes("start", name, env=env)
        assert r.rc == 0, r
        return r

    return call


@pytest.mark.parametrize("where", ["XDG_CONFIG_HOME", "HOME"])
def test_the_policy_of_its_user(boxes, user, outside, ws, begin, where):
    """What it denies holds, whoever starts it; and what somebody else's denies does not."""
    secret = user.write(ws / "secret", "s3cret\n")
    config = user.mkdir(outside / ".config")
    user.write(config / "bailey/policy.json", json.dumps({"filesystem": {"denyRead": [str(secret)]}}))
    mine = {where: str(outside if where == "HOME" else config)}
    other = {where: str(user.mkdir(outside / "other"))}
    assert boxes("create", "box", env=mine).rc == 0
    assert boxes("create", "open", env=other).rc == 0
    for env in (other, None):
        begin(env)
        r = boxes.exec(["cat", secret])
        assert r.rc != 0 and "s3cret" not in r.out, (env, r)
    begin(mine, "open")
    r = boxes.exec("cat secret; env", name="open")
    assert r.out.startswith("s3cret\n") and str(outside) not in r.out, "the control; and no command has such a variable"


class Proxy(http.server.ThreadingHTTPServer):
    """Answers whatever it is asked for, and remembers who asked with what."""

    def __init__(self):
        proxy = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):  # noqa: N802
                proxy.asked.append(self.headers["Proxy-Authorization"])
                self.send_response(200)
                self.send_header("Content-Length", "5")
                self.end_headers()
                self.wfile.write(b"proxy")

            def do_CONNECT(self):  # noqa: N802
                proxy.asked.append(self.headers["Proxy-Authorization"])
                self.send_response(200)
                self.end_headers()
                while self.rfile.readline().strip():
                    pass
                self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nproxy")

            def log_message(self, *_):  # pylint: disable=arguments-differ
                pass

        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[str | None] = []
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def url(self, user=""):
        return f"http://{user}127.0.0.1:{self.server_address[1]}"


@pytest.fixture
def proxy():
    p = Proxy()
    yield p
    p.shutdown()
    p.server_close()


def test_the_proxy_that_leads_out(boxes, begin, proxy):
    dead = {"http_proxy": "http://127.0.0.1:9", "no_proxy": "*"}
    assert boxes("create", "--allow-host", "one.test", "box", env={"http_proxy": proxy.url()}).rc == 0
    boxes.make("direct", "--allow-host", "one.test")
    for env in (dead, None):
        begin(env)
        r = boxes.exec(FETCH)
        assert (r.rc, r.out) == (0, "proxy\n"), (env, r)
    asked = len(proxy.asked)
    begin({"http_proxy": proxy.url()}, "direct")
    r = boxes.exec(FETCH, name="direct")
    assert r.rc != 0 and len(proxy.asked) == asked == 2, (r, proxy.asked)


def test_a_password_of_a_proxy(boxes, begin, proxy, user):
    """It is not kept; who starts the sandbox may have it, but no other proxy."""
    r = boxes("create", "--allow-host", "one.test", "box", env={"http_proxy": proxy.url("us:WORD77@")})
    assert r.rc == 0 and "http_proxy is kept without its user and password" in r.err and "WORD77" not in r.err, r
    for env, said in ((None, None), ({"http_proxy": proxy.url("us:WORD77@")}, "Basic dXM6V09SRDc3"), ({"http_proxy": "http://us:WORD77@127.0.0.1:9"}, None)):
        begin(env)
        r = boxes.exec(FETCH)
        assert (r.rc, r.out, proxy.asked.pop()) == (0, "proxy\n", said), (env, r)
    assert f"--host-env=http_proxy={proxy.url()}" in boxes("inspect", "box").out
    r = user.exec(["grep", "-r", "WORD77", boxes.home])
    assert r.rc == 1, r


def test_a_proxy_that_cannot_be_used(boxes):
    """Refused when it is created, not at each start for ever; the control: without a network it is no matter."""
    r = boxes("create", "--allow-host", "one.test", "box", env={"https_proxy": "socks5://127.0.0.1:9"})
    assert r.rc == 2 and "HTTPS_PROXY: only proxies of http:// can be used" in r.err and not boxes.ls(), r
    assert boxes("create", "--network", "none", "box", env={"https_proxy": "socks5://127.0.0.1:9"}).rc == 0 and boxes.exec("true").rc == 0


def test_words_of_an_older_bailey(boxes, user, ws, outside, begin):
    """Its sandboxes have what their starter has, as they had: no denial is dropped."""
    secret = user.write(ws / "secret", "s3cret\n")
    user.write(outside / "bailey/policy.json", json.dumps({"filesystem": {"denyRead": [str(secret)]}}))
    boxes.make()
    (about,) = json.loads(boxes("inspect", "box").out)
    words = [w for w in about["options"] if not w.startswith("--host-env=HOME=")]
    assert len(words) == len(about["options"]) - 1
    # as it would stand there
    sql = "import json, sqlite3, sys; d = sqlite3.connect(sys.argv[1]); d.execute('UPDATE sandboxes SET options = ?', [sys.argv[2]]); d.commit()"
    r = user.exec([PYTHON, "-c", sql, boxes.home / "state.db", json.dumps(words)])
    assert r.rc == 0, r
    begin({"XDG_CONFIG_HOME": str(outside)})
    assert boxes.exec(["cat", secret]).rc != 0
    begin({})
    assert boxes.exec(["cat", secret]).out == "s3cret\n"


class Keys:
    """An agent at a place of its own, which comes and goes."""

    def __init__(self, agent, user):
        self.agent, self.user, self.path = agent, user, agent.sock
        self.key = agent.make("ed25519", comment="mine")
        known_hosts(user, line("good.test", self.key))

    def goes(self):
        self.agent.proc.terminate()
        self.agent.proc.wait(10)
        self.path.unlink(missing_ok=True)

    def comes(self):
        for f in (self.agent.proc.stdout, self.agent.proc.stderr):
            f.close()
        self.agent.proc = self.user.popen(["ssh-agent", "-D", "-a", self.path])
        assert wait_for(self.path.exists)
        self.agent.add(self.key)


@pytest.fixture
def keys(agents, user):
    yield Keys(agents(), user)
    user.exec(["rm", "-rf", user.home / ".ssh"])


def listed(boxes):
    r = boxes.exec(["ssh-add", "-l"])
    return "mine" in r.out


def test_the_agent(boxes, begin, keys, agents):
    """The one that was there at create, whatever the starter has."""
    assert boxes("create", "--ssh-key", "mine@good.test", "box", env={"SSH_AUTH_SOCK": str(keys.path)}).rc == 0
    boxes.make("none")
    for env in ({"SSH_AUTH_SOCK": str(agents().sock)}, None):
        r = begin(env)
        assert listed(boxes) and "ssh" not in r.err, r
    begin({"SSH_AUTH_SOCK": str(keys.path)}, "none")
    assert "SSH_AUTH_SOCK" not in boxes.exec("env", name="none").out


def test_an_agent_that_comes_later(boxes, begin, keys, agents):
    """A start needs none: it says so, and a log-in finds what is there then, as often as it goes and comes. The starter's stands in where none is at the kept place."""
    assert boxes("create", "--ssh-key", "mine@good.test", "box", env={"SSH_AUTH_SOCK": str(keys.path)}).rc == 0
    keys.goes()
    r = begin(None)
    assert "no agent answers" in r.err and r.err.count("\n") == 1 and not listed(boxes), r
    assert "no agent answers" in boxes("logs", "--supervisor", "box").out
    for _ in range(2):
        keys.comes()
        assert wait_for(lambda: listed(boxes), 20)
        assert boxes.exec('cat "$(dirname "$SSH_AUTH_SOCK")/known_hosts"').out.startswith("good.test ssh-ed25519 ")
        keys.goes()
        assert wait_for(lambda: not listed(boxes), 20)
    assert boxes.exec("true").rc == 0
    other = agents()
    other.add(keys.key)
    begin({"SSH_AUTH_SOCK": str(other.sock)})
    assert listed(boxes)


def test_an_agent_without_the_key(boxes, begin, keys, agents):
    empty = agents()
    assert boxes("create", "--ssh-key", "mine@good.test", "box", env={"SSH_AUTH_SOCK": str(empty.sock)}).rc == 0
    r = begin(None)
    assert "has no key 'mine'" in r.err and not listed(boxes), r
    empty.add(keys.key)
    assert wait_for(lambda: listed(boxes), 20)
    r = boxes("run", "--ssh-key", "mine@good.test", "--", "true", env={"SSH_AUTH_SOCK": str(empty.sock) + "x"})
    assert r.rc == 2 and "no agent answers" in r.err, "the control: a run needs it at once"


def test_an_agent_is_not_asked_without_end(boxes, begin, keys):
    """What code inside can have tried as often as it likes costs the host one look a second."""
    assert boxes("create", "--ssh-key", "mine@good.test", "box", env={"SSH_AUTH_SOCK": str(keys.path)}).rc == 0
    keys.goes()
    begin(None)
    hammer = "import os, socket\nfor i in range(2000):\n s = socket.socket(socket.AF_UNIX); s.connect(os.environ['SSH_AUTH_SOCK']); s.recv(1); s.close()"
    r = boxes.exec([PYTHON, "-c", hammer], timeout=60)
    assert r.rc == 0, r
    assert boxes("logs", "--supervisor", "box").out.count("no agent answers") <= 2, "once at the start, once for all of these"
    keys.comes()
    assert wait_for(lambda: listed(boxes), 20)
