# SPDX-License-Identifier: Apache-2.0
"""--open-urls: the command asks for a page, a human says yes or no, a log-in comes back by one port, once. Each refusal stands beside a twin that is opened."""
import contextlib
import json
import os
import pathlib
import re
import socket
import subprocess
import time

import pytest

from conftest import BAILEY, PYTHON, TIMEOUT, command, wait_for
from terminals import Pty
from test_named import boxes  # noqa: F401 (a fixture)

PORT = 45871

# The host's browser: says what it was given, then follows the redirect as a browser does after a log-in.
BROWSER = """#!/usr/bin/python3
import json, os, sys, urllib.parse, urllib.request
log = os.path.join(os.path.dirname(os.path.abspath(sys.argv[0])), "log")
said = {"argv": sys.argv[1:], "cwd": os.getcwd(), "path": os.environ["PATH"], "browser": os.environ.get("BROWSER"), "home": os.environ["HOME"], "uid": os.getuid(),
        "tty": os.isatty(0), "env": dict(os.environ), "fds": sorted(os.listdir("/proc/self/fd"))}
back = urllib.parse.parse_qs(urllib.parse.urlsplit(sys.argv[1]).query).get("redirect_uri", [None])[0]
if back:
    try:
        said["got"] = urllib.request.urlopen(back + "?code=tea%20pot", timeout=60).read().decode()
        said["icon"] = urllib.request.urlopen(urllib.parse.urljoin(back, "/favicon.ico"), timeout=60).read().decode()
    except OSError as e:
        said["failed"] = str(e)
with open(log + ".new", "a") as f:
    f.write(json.dumps(said) + "\\n")
os.rename(log + ".new", log)
"""

# The agent inside: listens where it says that the log-in comes back to, asks for the page, prints what came.
AGENT = """
import http.server, os, subprocess, sys
class H(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        print("came", self.path, flush=True)
        self.send_response(200); self.end_headers(); self.wfile.write(b"welcome")
    def log_message(self, *a): pass
class S(http.server.HTTPServer):
    address_family = __import__("socket").AF_INET6 if ":" in sys.argv[2] else __import__("socket").AF_INET
s = S((sys.argv[2], int(sys.argv[3])), H)
r = subprocess.run([os.environ["BROWSER"] if sys.argv[4:] else "xdg-open", sys.argv[1]], capture_output=True, text=True)
print("rc", r.returncode, r.stderr.strip(), flush=True)
if r.returncode == 0:
    s.handle_request(); s.handle_request()
print("over", flush=True)
"""


def page(back=None, host="login.test"):
    return f"https://{host}/authorize?client_id=x&scope=a%20b" + (f"&redirect_uri={back.replace(':', '%3A').replace('/', '%2F')}" if back else "") + "&state=1"


@pytest.fixture
def browser(user, outside):
    """A program of the host, and what it has said."""
    path = user.write(outside / "browser", BROWSER, 0o755)

    class Browser:
        env = {"BROWSER": str(path)}
        log = outside / "log"
        program = path

        def said(self, seconds=60.0):
            if not wait_for(self.log.exists, seconds):
                return []
            return [json.loads(li) for li in self.log.read_text().splitlines()]

    return Browser()


@pytest.fixture
def term(user, ws, bailey):
    """term(COMMAND, *OPTIONS, env=): `bailey run --open-urls` on a terminal."""
    all_of_them = []

    def call(cmd, *opts, env=None):
        all_of_them.append(Pty(user, [BAILEY, "run", "--open-urls", *opts, "--", *command(cmd)], ws, env=env))
        return all_of_them[-1]

    yield call
    for t in all_of_them:
        t.done()


def answer(t, key):
    """A key, when the question has stood long enough."""
    t.expect(r"Open it\? y = yes, n = no, x = no, and don't ask again in this run: ")
    time.sleep(0.8)
    t.type(key)


def listens(port, family=socket.AF_INET):
    with socket.socket(family) as s:
        s.settimeout(2)
        return s.connect_ex(("::1" if family == socket.AF_INET6 else "127.0.0.1", port)) == 0


def agent(url, at="127.0.0.1", port=PORT, *words):
    return [PYTHON, "-c", AGENT, url, at, str(port), *words]


# --- yes ---


@pytest.mark.parametrize("name,at,words", [("localhost", "127.0.0.1", []), ("127.0.0.1", "127.0.0.1", ["BROWSER"]), ("[::1]", "::1", []), ("localhost", "::1", [])])
@pytest.mark.parametrize("network", ["none", "deny"])
def test_a_log_in_comes_back(user, ws, term, browser, name, at, words, network):
    url = page(f"http://{name}:{PORT}/callback")
    assert not listens(PORT)
    t = term(agent(url, at, PORT, *words), "--network", network, env=browser.env)
    t.expect(r"at the host login\.test:")
    t.expect(re.escape(url))
    t.expect(f"comes back to port {PORT} of the sandbox: what you log in to is the command's then\\.")
    assert not listens(PORT), "not before the answer"
    answer(t, "y")
    t.expect("over")
    assert t.wait() == 0
    assert b"rc 0 \r\n" in t.out and b"came /callback?code=tea%20pot" in t.out and b"came /favicon.ico" in t.out, t.out
    (said,) = browser.said()
    assert said["argv"] == [url] and said["got"] == said["icon"] == "welcome", said
    assert (said["cwd"], said["uid"], said["tty"], said["browser"]) == ("/", user.uid, False, None), said
    assert len(said["fds"]) <= 4, said
    assert not listens(PORT), "not after the run"


def test_the_question_says_who_has_the_tokens(term, browser):
    t = term(["xdg-open", page(f"http://localhost:{PORT}/cb")], "--network", "deny", "--login", "github", env=browser.env)
    t.expect("the command's then, but for the tokens that --login keeps outside\\.")
    answer(t, "n")
    t.wait()


def test_the_port_is_open_for_one_burst_only(term, browser, ws):
    t = term(f"{' '.join(['xdg-open', repr(page(f'http://localhost:{PORT}/cb'))])}; {PYTHON} -m http.server {PORT} --bind 127.0.0.1 & while :; do [ -e go ] && exit; sleep 0.1; done", env=browser.env)
    answer(t, "y")
    assert browser.said()
    assert wait_for(lambda: not listens(PORT)), "the burst has an end"
    assert not listens(PORT, socket.AF_INET6)
    (ws / "go").touch()
    t.wait()


def test_a_page_without_a_way_back(term, browser):
    url = page()
    t = term(["xdg-open", url], env=browser.env)
    answer(t, "y")
    assert t.wait() == 0 and b"comes back" not in t.out
    assert browser.said()[0]["argv"] == [url]
    for other in (page("https://console.login.test/code"), page("urn:ietf:wg:oauth:2.0:oob"), page("http://192.0.2.1:4000/")):
        browser.log.unlink(missing_ok=True)
        t = term(["xdg-open", other], env=browser.env)
        answer(t, "y")
        assert t.wait() == 0 and b"comes back" not in t.out
        assert wait_for(browser.log.exists), other


def test_with_the_hosts_own_network_nothing_is_forwarded(term, browser):
    t = term(agent(page(f"http://127.0.0.1:{PORT}/cb")), "--network", "host", env=browser.env)
    answer(t, "y")
    t.expect("over")
    assert t.wait() == 0 and browser.said()[0]["got"] == "welcome"


# --- no ---


@pytest.mark.parametrize("key", ["n", "x", "\x03", "\x1b"])
def test_no_is_no(term, browser, key):
    t = term(f"xdg-open '{page(f'http://localhost:{PORT}/cb')}'; echo first=$?; xdg-open '{page()}'; echo second=$?", env=browser.env)
    answer(t, key)
    t.expect("second=4")
    assert t.wait() == 0
    assert b"first=4" in t.out and b"not opened: the answer was no" in t.out
    assert (b"the answer was: never in this run" if key == "x" else b"the answer was no a moment ago") in t.out
    assert t.out.count(b"Open it?") == 1 and not listens(PORT)
    assert not browser.said(0.5)


def test_keys_typed_before_the_question_do_not_answer(term, browser, ws):
    t = term(f"sleep 1; xdg-open '{page()}'; echo rc=$?", env=browser.env)
    time.sleep(0.3)
    t.type("yyy")
    t.expect(r"Open it\?")
    t.type("y")  # within the time in which nobody can have read it
    time.sleep(1)
    assert not browser.log.exists() and b"rc=" not in t.out
    t.type("n")
    t.expect("rc=4")
    assert t.wait() == 0 and not browser.log.exists()


def test_without_anybody_it_is_a_no(run, browser):
    r = run(f"xdg-open '{page()}'; echo rc=$?; xdg-open '{page()}'", "--open-urls", env=browser.env)
    assert "rc=4" in r.out and "bailey: xdg-open: not opened: there is nobody to ask" in r.err, r
    assert r.err.count("bailey: --open-urls: nothing is opened: there is nobody to ask") == 1, r
    assert not browser.said(0.5)


def test_only_where_it_was_asked_for(run, browser, outside):
    r = run("echo $BROWSER; ls -d /run/bailey", env=browser.env)
    assert r.out == f"{browser.program}\n" and r.rc != 0, "without the option nothing of it is there"
    r = run("echo $BROWSER $PATH; ls /run/bailey", "--open-urls", env=browser.env)
    assert r.out.startswith("/run/bailey/xdg-open /run/bailey:") and r.out.endswith("\nopen\nxdg-open\n"), r
    r = run("rm -f /run/bailey/xdg-open; echo x > /run/bailey/xdg-open; rm -f /run/bailey/open; ls /run/bailey; mv /run/bailey /run/b", "--open-urls", env=browser.env)
    assert r.out == "open\nxdg-open\n", "what is shown stays"


BAD = {
    "a scheme": "file:///etc/passwd", "javascript": "javascript:alert(1)", "no scheme": "login.test/x", "an option": "--help-me", "letters": "HTTPS://login.test/", "a blank": "https://login.test/a b",
    "an escape": "https://login.test/\x1b[2J", "a new line": "https://login.test/\r\nx", "not ASCII": "https://login.test/é", "a quote": "https://login.test/'x'", "a dollar": "https://login.test/$(id)",
    "a backslash": "https://login.test\\@evil.test/", "a user": "https://login.test@evil.test/", "no host": "https:///x", "a port": "https://login.test:99999/", "this machine": "http://localhost:631/",
    "its address": "http://127.0.0.1:631/", "its address as a number": "http://2130706433/", "IPv6": "http://[::1]/", "mapped": "http://[::ffff:127.0.0.1]/", "below localhost": "http://a.localhost/",
    "metadata": "http://169.254.169.254/", "private": "http://10.0.0.1/", "long": "https://login.test/" + "x" * 4096, "two ways back": page("http://localhost:5000/") + "&redirect_uri=http://localhost:5001/",
    "a low port": page("http://localhost:80/"), "no port": page("http://localhost/"), "coded wrongly": page() + "&redirect_uri=http%3A%2",
}


def test_bad_urls_are_refused_unasked(term, browser, ws, user):
    """By the supervisor: the program inside says what the command wants, and so could any other."""
    user.write(ws / "bad", json.dumps(BAD))
    raw = """
import json, socket, sys
for name, url in json.load(open("bad")).items():
    s = socket.socket(socket.AF_UNIX); s.connect("/run/bailey/open")
    try: s.sendall(url.encode() + b"\\n"); got = s.makefile().read()
    except OSError as e: got = str(e)
    print(name, "->", got.strip(), flush=True)
"""
    t = term([PYTHON, "-c", raw], env=browser.env)
    assert t.wait() == 0
    assert b"Open it?" not in t.out and b"opened\r\n" not in t.out
    for name in BAD:
        assert re.search(rf"{name} -> .+".encode(), t.out), (name, t.out)
    assert b"\x1b[2J" not in t.out and not browser.said(0.5)


def test_a_hostile_client_costs_nobody_else_anything(term, browser, ws):
    raw = """
import socket, time
def c():
    s = socket.socket(socket.AF_UNIX); s.connect("/run/bailey/open"); s.settimeout(8); return s
def say(s, b):
    try: s.sendall(b)
    except OSError: pass
    try: return s.recv(999)
    except OSError as e: return str(e)
print(say(c(), b"https://a.test/\\nhttps://b.test/\\n"))
print(say(c(), b"x" * 5000))
print(say(c(), b"\\0\\0\\n"))
quiet = c(); t = time.monotonic()
print(quiet.recv(99), 1 < time.monotonic() - t < 8)
c().close()
held = [c() for _ in range(8)]
for s in held: s.close()
"""
    t = term(f"{PYTHON} -c '{raw}'; xdg-open '{page()}'; echo rc=$?", env=browser.env)
    answer(t, "y")
    t.expect("rc=0")
    assert t.wait() == 0 and t.out.count(b"Open it?") == 1
    assert t.out.count(b"b'one line, please, of at most 4096 bytes") == 2 and b"byte 1 (0x00)" in t.out and b"b'no line came\\n' True" in t.out, t.out
    assert browser.said()[0]["argv"] == [page()]


def test_a_port_that_somebody_has(term, browser):
    with socket.socket() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.bind(("127.0.0.1", PORT))
        s.listen()
        t = term(["xdg-open", page(f"http://localhost:{PORT}/")], env=browser.env)
        answer(t, "y")
        assert t.wait() == 4 and f"port {PORT} of this machine".encode() in t.out
        assert not browser.said(0.5), "the log-in would come back to somebody else"


# --- what is executed ---


def test_nothing_that_the_sandbox_can_write_is_executed(term, browser, user, ws, outside):
    """Its program, a directory of PATH, a link to one; beside each the twin that lies elsewhere."""
    good = user.mkdir(outside / "bin")
    user.write(good / "xdg-open", BROWSER, 0o755)
    evil = user.mkdir(ws / "bin")
    user.write(evil / "xdg-open", f"#!/bin/sh\ntouch {outside}/evil\n", 0o755)
    user.symlink(evil, outside / "link")
    user.symlink(evil / "xdg-open", good / "linked")
    path = f"{evil}:bin:.::{outside}/link:{good}:{os.environ['PATH']}"
    for own in (None, str(evil / "xdg-open"), "bin/xdg-open", str(outside / "link/xdg-open"), str(good / "linked"), f"{good}/xdg-open %s", "nothing-of-this-name"):
        (good / "log").unlink(missing_ok=True)
        t = term(["xdg-open", page()], env={"PATH": path, "BROWSER": own or ""})
        answer(t, "y")
        assert t.wait() == 0, (own, t.out)
        assert wait_for((good / "log").exists), own
        said = json.loads((good / "log").read_text())
        assert said["argv"] == [page()] and said["path"].startswith(f"{good}:/") and str(ws) not in said["path"], said
        assert not (outside / "evil").exists(), own
    t = term(["xdg-open", page()], env={"PATH": f"{evil}:/usr/bin:/bin"} if not pathlib.Path("/usr/bin/xdg-open").exists() else {"PATH": str(evil)})
    assert t.wait() == 4 and b"the host has no browser for it" in t.out and b"Open it?" not in t.out


def test_no_variable_leads_to_what_the_sandbox_can_write(term, browser, user, ws, outside):
    """Who it is and where the screen is, it gets; of places those that the sandbox has no hand in; and no variable that nobody has thought of."""
    good, evil = user.mkdir(outside / "share"), user.mkdir(ws / "share")
    user.symlink(evil, outside / "evil")
    user.write(outside / "cookie", "")
    user.write(evil / "cookie", "")
    bad = {v: str(evil) for v in ("LD_LIBRARY_PATH", "PYTHONPATH", "PERL5LIB", "PERL5OPT", "NODE_OPTIONS", "GTK_PATH", "GIO_EXTRA_MODULES", "BROWSER_ARGS", "XDG_CONFIG_HOME")}
    bad |= {"LD_PRELOAD": "", "XDG_DATA_HOME": f"{outside}/evil", "XDG_RUNTIME_DIR": "share", "XDG_CONFIG_DIRS": f"{evil}:share", "XDG_SESSION_PATH": "/org/x", "LANGUAGE": "../x",
            "DBUS_SESSION_BUS_ADDRESS": f"unix:path={evil}/cookie"}
    fine = {"XAUTHORITY": f"{outside}/cookie", "DISPLAY": ":7", "WAYLAND_DISPLAY": "wayland-0", "LC_TIME": "C.UTF-8", "XDG_SESSION_TYPE": "wayland", "XDG_CURRENT_DESKTOP": "a:b",
            "https_proxy": "http://proxy.test:3128/", "NO_PROXY": "localhost,.test"}
    cases: list[tuple[dict[str, str], dict[str, str]]] = [
        (bad | fine | {"XDG_DATA_DIRS": f"{evil}:{good}:{outside}/evil:share:/usr/share"}, fine | {"XDG_DATA_DIRS": f"{good}:/usr/share"}),
        ({"DBUS_SESSION_BUS_ADDRESS": f"unix:path={outside}/cookie,guid=1", "XAUTHORITY": f"{evil}/cookie", "XDG_RUNTIME_DIR": str(outside), "WAYLAND_DISPLAY": f"{evil}/x"},
         {"DBUS_SESSION_BUS_ADDRESS": f"unix:path={outside}/cookie", "XDG_RUNTIME_DIR": str(outside)}),
        ({"DBUS_SESSION_BUS_ADDRESS": f"unixexec:path={outside}/cookie"}, {})]  # fmt: skip
    for env, want in cases:
        browser.log.unlink(missing_ok=True)
        t = term(["xdg-open", page()], env={**browser.env, **env})
        answer(t, "y")
        assert t.wait() == 0, t.out
        (said,) = browser.said()
        got = said["env"]
        assert {k: v for k, v in got.items() if k in env} == want, got
        assert got["HOME"] and got["PATH"] and not [v for k, v in got.items() if str(ws) in v or ("evil" in v and k != "PATH")], got
        assert set(got) - set(want) <= {"HOME", "PATH", "USER", "LOGNAME", "LANG", "TERM", "LC_ALL", "LC_CTYPE", "DISPLAY", "XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS"}, got


# --- in the place of the terminal ---


@contextlib.contextmanager
def asker(user, ws, browser, decision):
    """A run without a terminal, and a program of the caller that answers for it."""
    p = user.popen([BAILEY, "run", "--open-urls", "--network", "deny", "--", "sh", "-c", f"until [ -e go ]; do sleep 0.1; done; xdg-open '{page(f'http://localhost:{PORT}/')}'; echo rc=$?"],
                   cwd=ws, env=browser.env)
    client = None
    try:
        state = pathlib.Path("/var/lib/bailey" if user.is_root else user.home / ".local/state/bailey") / "network"
        where = wait_for(lambda: [d for d in state.glob("*/open-urls") if json.loads((d.parent / "about").read_text())["cwd"] == str(ws)])
        assert where and oct(where[0].parent.stat().st_mode)[-3:] == "700"
        client = user.popen([PYTHON, "-c", """
import json, os, socket, sys
os.chdir(sys.argv[1])
s = socket.socket(socket.AF_UNIX); s.connect("open-urls"); f = s.makefile("rw")
def say(**words): print(json.dumps(words), file=f, flush=True); return json.loads(f.readline())
print(say(op="answer", id=1, decision="once"), say(op="nonsense"), say(op="ask"), flush=True)
q = json.loads(f.readline())
print(json.dumps(q), flush=True)
print(say(op="answer", id=q["id"] + 1, decision="once"), say(op="answer", id=q["id"], decision="always"), flush=True)
if sys.argv[2] != "gone": print(say(op="answer", id=q["id"], decision=sys.argv[2]), flush=True)
""", where[0].parent, decision])
        time.sleep(0.5)
        (ws / "go").touch()
        yield p, client
    finally:
        for q in (p, client):
            if q:
                q.kill()
                q.wait()


@pytest.mark.parametrize("decision", ["once", "no", "never", "gone"])
def test_somebody_else_answers(user, ws, bailey, browser, decision):
    with asker(user, ws, browser, decision) as (p, client):
        out, err = p.communicate(timeout=TIMEOUT)
        said = client.communicate(timeout=60)[0].decode().splitlines()
    assert said[0].count("'ok': False") == 2 and said[0].count("'ok': True") == 1, said
    assert json.loads(said[1]) == {"event": "open", "id": 1, "url": page(f"http://localhost:{PORT}/"), "host": "login.test", "port": PORT}
    assert said[2].count("'ok': False") == 2, said
    assert (b"rc=0" in out) == (decision == "once") and bool(browser.said(60 if decision == "once" else 0.5)) == (decision == "once"), (out, err)
    if decision == "gone":
        assert b"nobody answered" in err


def test_a_sandbox_that_stays_has_it_where_it_was_made_with_it(boxes, browser):
    """Its supervisor has no terminal: without anybody at its socket it is a no, in each of its commands, also after a stop. Who says yes there is in test_login.py."""
    boxes.make("with", "--open-urls", "--network", "deny")
    boxes.make("bare", "--network", "deny")
    ask = f"xdg-open '{page()}'; echo rc=$?; ls /run/bailey; echo $BROWSER"
    for _ in range(2):
        for _ in range(2):
            r = boxes.exec(ask, name="with", env=browser.env)
            assert r.out == "rc=4\nopen\nxdg-open\n/run/bailey/xdg-open\n" and "not opened: there is nobody to ask" in r.err, r
        assert boxes("stop", "with").rc == 0
    r = boxes.exec("ls -d /run/bailey; echo $BROWSER", name="bare", env=browser.env)
    assert "/run/bailey" not in r.out, r
    assert not browser.said(0.5)


# --- what is left ---


def test_nothing_is_left_on_the_host(term, browser, user, ws):
    places = [pathlib.Path("/run"), pathlib.Path("/tmp")]
    before = {p for d in places for p in d.glob("bailey-open-*")}
    t = term("touch up; while :; do sleep 0.1; done", env=browser.env)
    assert wait_for((ws / "up").exists)
    assert {p for d in places for p in d.glob("bailey-open-*")} <= before, "its names go when it has its mounts"
    t.done()


def test_kill_9_ends_what_listens(term, browser, ws):
    t = term(f"xdg-open '{page(f'http://localhost:{PORT}/')}'; touch up; sleep 60", env={"BROWSER": "/bin/true"})
    answer(t, "y")
    assert wait_for((ws / "up").exists)
    found = subprocess.run(["pgrep", "-x", "bailey-callback"], capture_output=True, text=True, check=False).stdout.split()
    assert found, "control: it lives"
    t.done()
    assert wait_for(lambda: not listens(PORT))
