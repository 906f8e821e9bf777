# SPDX-License-Identifier: Apache-2.0
"""Package tools behind inspection, told of nothing: pip from a venv (it brings roots of its own), cargo with a sparse registry, a Go program. Servers as in ../e2e/servers.py."""
import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile

import pytest

from callers import PROJECT, PYTHON, skip

sys.path.insert(1, str(PROJECT / "tests" / "e2e"))
import test_inspect as quick  # noqa: E402
from test_gateway_clients import need  # noqa: E402
from test_inspect import WEB, at, requests  # noqa: E402

__all__ = ["at"]  # a fixture
LONG = 300  # seconds
GO = 'package main\n\nimport ("fmt"; "io"; "net/http"; "os")\n\nfunc main() {\n\tr, err := http.Get(os.Args[1])\n\tif err != nil { fmt.Println(err); os.Exit(1) }\n\tio.Copy(os.Stdout, r.Body)\n}\n'


@pytest.fixture(scope="module")
def internet():
    if os.geteuid() != 0:
        skip("servers in namespaces of their own need root")
    need("nginx", "dnsmasq", "git", "openssl", "go", "cargo")
    servers = quick.Servers()
    publish(servers.dir / "www")
    yield servers
    servers.end()


def publish(www):
    """An index of pip's with a wheel, and a registry of cargo's with a crate."""
    wheel = io.BytesIO()
    with zipfile.ZipFile(wheel, "w") as z:
        z.writestr("tea.py", "pot = 1\n")
        z.writestr("tea-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: tea\nVersion: 1.0\n")
        z.writestr("tea-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        z.writestr("tea-1.0.dist-info/RECORD", "tea.py,,\ntea-1.0.dist-info/METADATA,,\ntea-1.0.dist-info/WHEEL,,\ntea-1.0.dist-info/RECORD,,\n")
    crate = io.BytesIO()
    with tarfile.open(fileobj=crate, mode="w:gz") as t:
        for name, text in (("Cargo.toml", '[package]\nname = "tea"\nversion = "1.0.0"\nedition = "2021"\n'), ("src/lib.rs", "pub const POT: u32 = 1;\n")):
            info = tarfile.TarInfo(f"tea-1.0.0/{name}")
            info.size = len(text)
            t.addfile(info, io.BytesIO(text.encode()))
    entry = {"name": "tea", "vers": "1.0.0", "deps": [], "cksum": hashlib.sha256(crate.getvalue()).hexdigest(), "features": {}, "yanked": False}
    files = {
        "simple/tea/index.html": b'<a href="/files/tea-1.0-py3-none-any.whl">tea-1.0-py3-none-any.whl</a>\n', "files/tea-1.0-py3-none-any.whl": wheel.getvalue(),
        "index/config.json": b'{"dl": "https://web.test/crates"}\n', "index/3/t/tea": json.dumps(entry).encode() + b"\n", "crates/tea/1.0.0/download": crate.getvalue(),
    }
    for name, body in files.items():
        path = www / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(body)
    subprocess.run(["chmod", "-R", "a+rX", www], check=True)


def test_pip(at):
    """The pip of a venv, which trusts the roots that it brings, but for the variable."""
    at.outside([PYTHON, "-m", "venv", "venv"])
    get = ["venv/bin/pip", "install", "--no-cache-dir", "--disable-pip-version-check", "--retries", "0", "--index-url", "https://web.test/simple/", "tea"]
    r = at(get, *WEB)
    assert r.rc == 0 and "Successfully installed tea-1.0" in r.out, r
    assert ("allow", "GET", "/files/tea-1.0-py3-none-any.whl") in requests(at, r)
    assert at(["venv/bin/python", "-c", "import tea; print(tea.pot)"]).out == "1\n"
    r = at([*get, "--force-reinstall"], "--allow-host", "web.test")
    assert r.rc != 0 and "certificate verify failed" in r.out + r.err, "the control: the server's own authority is none of pip's"


def test_cargo(at):
    home, pot = at.ws / "cargo", at.ws / "pot"
    for path, text in ((home / "config.toml", '[registries.ours]\nindex = "sparse+https://web.test/index/"\n'), (pot / "src/lib.rs", "pub use tea::POT;\n"),
                       (pot / "Cargo.toml", '[package]\nname = "pot"\nversion = "0.1.0"\nedition = "2021"\n[dependencies]\ntea = { version = "1", registry = "ours" }\n')):
        at.user.write(path, text)
    fetch = ["env", f"CARGO_HOME={home}", "CARGO_UNSTABLE_SPARSE_REGISTRY=true", "CARGO_REGISTRIES_CRATES_IO_PROTOCOL=sparse", "RUSTC_BOOTSTRAP=1", "cargo", "-Zsparse-registry", "fetch", "--manifest-path", "pot/Cargo.toml"]
    r = at(fetch, *WEB)
    assert r.rc == 0, r
    assert ("allow", "GET", "/crates/tea/1.0.0/download") in requests(at, r)
    shutil.rmtree(home / "registry")
    r = at(fetch, "--allow-host", "web.test")
    assert r.rc != 0 and "certificate" in r.err.lower(), r


def test_go(at):
    at.user.write(at.ws / "get.go", GO)
    env = {**os.environ, "GOCACHE": str(at.ws / "cache"), "GO111MODULE": "off", "CGO_ENABLED": "0", "GOPATH": str(at.ws / "path")}
    subprocess.run(["go", "build", "-o", "get", "get.go"], cwd=at.ws, env=env, check=True, timeout=LONG)
    get = ["env", "-u", "SSL_CERT_FILE", "./get", "https://web.test/who"]  # Go reads the system's bundle
    r = at(get, *WEB)
    assert r.rc == 0 and "https web.test HTTP/" in r.out, r
    assert requests(at, r) == [("allow", "GET", "/who")]
    r = at(get, "--allow-host", "web.test")
    assert r.rc == 1 and "certificate" in r.out, r
