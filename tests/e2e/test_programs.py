# SPDX-License-Identifier: Apache-2.0
"""Real programs do real work: git, make and gcc, npm and node, python, debuggers."""
import base64
import functools
import hashlib
import http.server
import io
import json
import re
import shutil
import tarfile
import threading

from typing import Any

import pytest

from conftest import PYTHON, skip


def need(*programs):
    missing = [p for p in programs if not shutil.which(p)]
    if missing:
        skip(f"not installed: {', '.join(missing)}")


# ---- git ----

GIT_ID = {f"GIT_{who}_{what}": v for who in ("AUTHOR", "COMMITTER") for what, v in (("NAME", "e2e"), ("EMAIL", "e2e@localhost"))}


def test_git_clone_and_commit(run, user, ws, outside):
    need("git")
    made = user.exec(
        ["sh", "-ec", "git init -q -b main; echo one > a; mkdir d; echo two > d/b; git add .; git commit -qm first; git tag v1; git gc -q"],
        cwd=user.mkdir(outside / "src"),
        env=GIT_ID,
    )
    assert made.rc == 0, made
    script = (
        f"git clone -q '{outside}/src' copy && cd copy && cat d/b && echo three >> a && git mv d/b d/c && "
        "git commit -qam second && git checkout -qb topic && echo x > n && git add n && git commit -qm third && "
        "git checkout -q main && git merge -q --no-ff -m merged topic && git status --porcelain && git log --oneline | wc -l && git fsck --strict 2>/dev/null"
    )
    r = run(["sh", "-c", script], env=GIT_ID)
    assert r.rc == 0, r
    assert r.out.split()[:2] == ["two", "4"]
    # The host agrees with what was made inside.
    assert user.exec(["git", "-C", ws / "copy", "status", "--porcelain"]).out == ""
    assert user.exec(["git", "-C", ws / "copy", "log", "-1", "--format=%s"]).out == "merged\n"
    # The clone can't push to where it came from.
    before = user.exec(["git", "-C", outside / "src", "rev-parse", "main"]).out
    assert run("cd copy && git push -q origin topic", env=GIT_ID).rc != 0
    assert user.exec(["git", "-C", outside / "src", "branch", "--list", "topic"]).out == ""
    assert user.exec(["git", "-C", outside / "src", "rev-parse", "main"]).out == before


def test_git_in_an_existing_repository(run, user, ws):
    need("git")
    assert user.exec(["sh", "-ec", "git init -q -b main; echo a > a; git add a; git commit -qm one"], cwd=ws, env=GIT_ID).rc == 0
    r = run("git status --porcelain && echo b >> a && git diff --stat && git stash -q && git stash pop -q && git commit -qam two && git log --oneline | wc -l", env=GIT_ID)
    assert r.rc == 0, r
    assert r.out.strip().endswith("2")


# ---- a C project ----

C_FILES = {
    "Makefile": (
        "CFLAGS = -O1 -Wall -Werror\nall: app\napp: main.o sum.o\n\t$(CC) -o $@ $^\n%.o: %.c sum.h\n\t$(CC) $(CFLAGS) -c -o $@ $<\n"
        "check: app\n\t./app 2 3 | grep -qx 5\n\t./app 40 2 | grep -qx 42\n\t@echo all passed\nclean:\n\trm -f *.o app\n"
    ),
    "sum.h": "int sum(int a, int b);\n",
    "sum.c": '#include "sum.h"\nint sum(int a, int b) { return a + b; }\n',
    "main.c": (
        '#include <stdio.h>\n#include <stdlib.h>\n#include "sum.h"\n'
        'int main(int argc, char **argv)\n{\n\treturn argc == 3 ? printf("%d\\n", sum(strtol(argv[1], 0, 0), strtol(argv[2], 0, 0))) < 0 : 1;\n}\n'
    ),
}


def test_make(run, user, ws):
    need("make", "gcc")
    for name, text in C_FILES.items():
        user.write(ws / name, text)
    r = run(["make", "-j2", "check"])
    assert r.rc == 0, r
    assert r.out.endswith("all passed\n")
    assert user.exec([ws / "app", "1", "1"]).out == "2\n"
    # Up to date means up to date: time stamps survived
    assert "gcc" not in run(["make", "all"]).out
    user.write(ws / "sum.c", '#include "sum.h"\nint sum(int a, int b) { return a - b; }\n')
    assert run(["make", "check"]).rc == 2


# ---- node ----

PACKAGES: dict[str, dict[str, Any]] = {
    "e2e-twice": {"index.js": "module.exports = (x) => require('e2e-add')(x, x);\n", "dependencies": {"e2e-add": "^1.0.0"}},
    "e2e-add": {"index.js": "module.exports = (a, b) => a + b;\n"},
}


class Registry(http.server.BaseHTTPRequestHandler):
    """Just enough of a package registry for two small packages, on loopback."""

    files: dict = {}

    def do_GET(self):
        data = self.files.get(self.path)
        self.send_response(200 if data else 404)
        self.send_header("Content-Type", "application/json" if not self.path.endswith(".tgz") else "application/octet-stream")
        self.send_header("Content-Length", str(len(data or b"")))
        self.end_headers()
        self.wfile.write(data or b"")

    def log_message(self, *args):
        pass


def tarball(name, package, index):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        for path, text in (("package.json", json.dumps(package)), ("index.js", index)):
            info = tarfile.TarInfo(f"package/{path}")
            info.size = len(text)
            info.mode = 0o644
            tar.addfile(info, io.BytesIO(text.encode()))
    return out.getvalue()


@pytest.fixture
def registry():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Registry))
    url = f"http://127.0.0.1:{server.server_port}"
    files = {}
    for name, spec in PACKAGES.items():
        package = {"name": name, "version": "1.0.0", "main": "index.js", "dependencies": spec.get("dependencies", {})}
        data = tarball(name, package, spec["index.js"])
        files[f"/{name}/-/{name}-1.0.0.tgz"] = data
        integrity = "sha512-" + base64.b64encode(hashlib.sha512(data).digest()).decode()
        version = {**package, "dist": {"tarball": f"{url}/{name}/-/{name}-1.0.0.tgz", "integrity": integrity}}
        files[f"/{name}"] = json.dumps({"name": name, "dist-tags": {"latest": "1.0.0"}, "versions": {"1.0.0": version}}).encode()
    Registry.files = files
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield url
    server.shutdown()
    server.server_close()


def test_npm_and_node(run, user, ws, registry):
    need("npm", "node")
    env = {
        "npm_config_cache": str(ws / ".cache"),
        "npm_config_registry": registry,
        "npm_config_audit": "false",
        "npm_config_fund": "false",
        "npm_config_update_notifier": "false",
    }
    user.write(ws / "package.json", json.dumps({"name": "e2e", "version": "1.0.0", "dependencies": {"e2e-twice": "^1.0.0"}, "scripts": {"test": "node --test"}}))
    user.write(
        ws / "twice.test.js",
        "const test = require('node:test'); const assert = require('node:assert');\n"
        "test('twice', () => assert.strictEqual(require('e2e-twice')(21), 42));\n",
    )
    warm = user.exec(["npm", "install", "--no-progress"], cwd=ws, env=env, timeout=60)
    assert warm.rc == 0 and (ws / "package-lock.json").exists(), warm
    shutil.rmtree(ws / "node_modules")

    r = run(["npm", "ci", "--offline", "--no-progress"], env=env, timeout=60)
    assert r.rc == 0, r
    assert (ws / "node_modules" / "e2e-add" / "index.js").exists()
    r = run(["npm", "test"], env=env, timeout=60)
    assert r.rc == 0, r
    assert "pass 1" in r.out and "fail 0" in r.out
    # Without the cache there is no way to the registry.
    shutil.rmtree(ws / "node_modules")
    shutil.rmtree(ws / ".cache")
    r = run(["npm", "ci", "--no-progress", "--fetch-retries=0"], env=env, timeout=60)
    assert r.rc != 0
    assert not (ws / "node_modules" / "e2e-add" / "index.js").exists()


def test_node_server(run, user, ws):
    need("node")
    user.write(
        ws / "s.js",
        "const http = require('http'), os = require('os'), w = require('worker_threads');\n"
        "if (w.isMainThread) {\n"
        "  const s = http.createServer((q, a) => a.end('hi ' + q.url)).listen(0, '127.0.0.1', () =>\n"
        "    http.get({port: s.address().port, host: '127.0.0.1', path: '/x'}, r => r.on('data', d => { console.log(String(d));\n"
        "      new w.Worker(__filename).on('exit', () => s.close()); })));\n"
        "} else console.log('worker', new WebAssembly.Memory({initial: 1}).buffer.byteLength);\n",
    )
    r = run(["node", "s.js"])
    assert r.out == "hi /x\nworker 65536\n", r


# ---- python ----


def test_python(run, user, ws):
    user.write(ws / "calc.py", "def double(x):\n    return 2 * x\n")
    user.write(
        ws / "test_calc.py",
        "import unittest, multiprocessing, subprocess, threading, sqlite3, tempfile, asyncio, ssl\n"
        "from calc import double\n\n"
        "async def nap():\n    p = await asyncio.create_subprocess_exec('true')\n    return await p.wait()\n\n"
        "class T(unittest.TestCase):\n"
        "    def test_double(self):\n        self.assertEqual(double(21), 42)\n"
        "    def test_pool(self):\n"
        "        with multiprocessing.Pool(2) as p:\n            self.assertEqual(p.map(double, [1, 2]), [2, 4])\n"
        "    def test_process(self):\n        self.assertEqual(subprocess.run(['echo', 'x'], capture_output=True).stdout, b'x\\n')\n"
        "    def test_db(self):\n"
        "        db = sqlite3.connect('t.db'); db.execute('pragma journal_mode=wal'); db.execute('create table t (x)'); db.execute('insert into t values (1)'); db.commit()\n"
        "        self.assertEqual(db.execute('select x from t').fetchone(), (1,))\n"
        "    def test_async(self):\n        self.assertEqual(asyncio.run(nap()), 0)\n"
        "    def test_thread(self):\n        t = threading.Thread(target=double, args=(1,)); t.start(); t.join()\n"
        "    def test_temp(self):\n        tempfile.NamedTemporaryFile().close()\n"
        "    def test_tls(self):\n        ssl.create_default_context()\n"
        "if __name__ == '__main__':\n    unittest.main()\n",
    )
    r = run([PYTHON, "-m", "unittest", "-q"])
    assert r.rc == 0, r
    assert "OK" in r.err and (ws / "t.db").exists()


# ---- debuggers ----


def test_gdb(run, user, ws):
    need("gdb", "gcc")
    user.write(ws / "d.c", "int twice(int x) { return 2 * x; }\nint main(void) { return twice(21); }\n")
    assert run(["gcc", "-g", "-O0", "-o", "d", "d.c"]).rc == 0
    argv = ["gdb", "-nx", "-batch", "-ex", "break twice", "-ex", "run", "-ex", "print x", "-ex", "continue", "./d"]
    r = run(argv)
    assert "$1 = 21" in r.out, r
    assert "exited with code 052" in r.out

    def said(out):  # but for the number of its process
        return [re.sub(r"process [0-9]+", "process N", line) for line in out.splitlines()]
    assert said(r.out) == said(user.exec(argv, cwd=ws).out), "as outside"


def test_strace(run, user, ws):
    need("strace")
    argv = ["strace", "-f", "-e", "trace=execve,exit_group", "-o", "log", "sh", "-c", "true; cat /etc/hostname > /dev/null & wait"]

    def calls():
        return sorted(re.sub(r"^[0-9]+ +|0x[0-9a-f]+|/\* .*", "", line) for line in (ws / "log").read_text().splitlines() if "SIGCHLD" not in line)
    r = run(argv)
    inside = calls()
    assert r.rc == 0 and "execve" in str(inside), r
    assert user.exec(argv, cwd=ws).rc == 0 and calls() == inside, "as outside"


def test_debuggers_cannot_reach_pid_1(run):
    need("strace")
    r = run(["timeout", "5", "strace", "-p", "1", "-o", "log"])
    assert r.rc not in (0, 124), r
    assert "not permitted" in r.err or "denied" in r.err


# ---- everyday tools ----


def test_archives_and_find(run, user, ws):
    user.write(ws / "in" / "a", "a\n")
    r = run("tar czf t.tgz in && mkdir out && tar xzf t.tgz -C out && find out -name a -exec cat {} + && cp -a in copy && sort -u in/a copy/a && df . > /dev/null && du -s . > /dev/null && date > /dev/null")
    assert (r.rc, r.out) == (0, "a\na\n"), r


def test_who_am_i(run, user):
    assert run("whoami; id -un").out.split() == [user.name, user.name]
