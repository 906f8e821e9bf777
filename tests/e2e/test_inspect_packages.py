# SPDX-License-Identifier: Apache-2.0
"""npm and apt behind inspection, told of no authority, at registries that ask for who comes: they get the token, and nothing inside has it. More tools: ../full/test_inspect_tools.py."""
import base64
import hashlib
import io
import json
import os
import pathlib
import subprocess
import tarfile

import pytest

from conftest import skip
from searches import forms
from test_credentials import TOKEN, secret
from test_gateway_clients import Servers, need
from test_inspect import requests
from test_ready_made import CASES, arrived, at  # noqa: F401 (a fixture)

HOST = CASES["npm"][1][0][1]
SECS = 120  # of a package tool on a busy machine
BASIC = "Basic " + base64.b64encode(f"x-access-token:{TOKEN}".encode()).decode()


@pytest.fixture(scope="module")
def internet(tmp_path_factory):
    if os.geteuid() != 0:
        skip("servers in namespaces of their own need root")
    need("nginx", "dnsmasq", "git", "openssl", "npm", "apt-get", "dpkg-deb")
    servers = Servers()
    publish(servers.dir / "www", tmp_path_factory.mktemp("deb"))
    yield servers
    servers.end()


def publish(www: pathlib.Path, work: pathlib.Path) -> None:
    """A registry of npm's below tokens/ and a repository of apt's below basic/, each with one package."""
    tarball = io.BytesIO()
    with tarfile.open(fileobj=tarball, mode="w:gz") as t:
        for name, text in (("package.json", '{"name": "tea", "version": "1.0.0"}'), ("index.js", "module.exports = 'a pot';\n")):
            info = tarfile.TarInfo(f"package/{name}")
            info.size = len(text)
            t.addfile(info, io.BytesIO(text.encode()))
    package = tarball.getvalue()
    dist = {"tarball": f"https://{HOST}/tokens/files/tea-1.0.0.tgz", "integrity": "sha512-" + base64.b64encode(hashlib.sha512(package).digest()).decode()}
    about = {"name": "tea", "dist-tags": {"latest": "1.0.0"}, "versions": {"1.0.0": {"name": "tea", "version": "1.0.0", "dist": dist}}}
    control = "Package: tea\nVersion: 1.0\nArchitecture: all\nMaintainer: T <t@t>\nDescription: a pot\n"
    (work / "tea/DEBIAN").mkdir(parents=True)
    (work / "tea/DEBIAN/control").write_text(control)
    subprocess.run(["dpkg-deb", "--root-owner-group", "-b", work / "tea", work / "tea.deb"], check=True, capture_output=True)
    deb = (work / "tea.deb").read_bytes()
    index = f"{control}Filename: ./tea.deb\nSize: {len(deb)}\nSHA256: {hashlib.sha256(deb).hexdigest()}\n\n".encode()
    release = f"Origin: tests\nDate: Thu, 01 Jan 2026 00:00:00 UTC\nSHA256:\n {hashlib.sha256(index).hexdigest()} {len(index)} Packages\n".encode()
    files = {"tokens/tea": json.dumps(about).encode(), "tokens/files/tea-1.0.0.tgz": package, "basic/apt/tea.deb": deb, "basic/apt/Packages": index, "basic/apt/Release": release}
    for name, body in files.items():
        (www / name).parent.mkdir(parents=True, exist_ok=True)
        (www / name).write_bytes(body)
    subprocess.run(["chmod", "-R", "a+rX", www], check=True)


def inside(at, r):
    """All that the sandbox has seen and kept."""
    return b"".join(p.read_bytes() for p in at.ws.rglob("*") if p.is_file()) + r.out.encode() + r.err.encode()


# Of no configuration but this: the machine's own may name an authority, too.
NPM = [f"npm_config_registry=https://{HOST}/tokens/", "npm_config_cache=./cache", "npm_config_fetch_retries=0", "npm_config_audit=false", "npm_config_fund=false",
       "npm_config_update_notifier=false", "npm_config_globalconfig=/dev/null"]
INSTALL = "npm install tea && rm -rf node_modules cache && npm ci && node -p 'require(\"tea\")'"


def test_npm_with_a_token_that_is_not_inside(at):
    """install, then ci by the lock file, of a registry that asks for the ready-made secret's token in each request."""
    secret(at, "set", "npm", stdin=TOKEN)
    opts = ["--allow-host", HOST, *(w for e in NPM for w in ("--env", e))]

    def npm(line, script, *more):
        at.user.exec(["rm", "-rf", at.ws / "node_modules", at.ws / "cache", at.ws / "package-lock.json"])
        at.user.write(at.ws / "package.json", '{"name": "t", "version": "1.0.0"}')
        at.user.write(at.ws / ".npmrc", f"//{HOST}/tokens/:_authToken={line}\n")
        arrived(at)
        return at(["sh", "-c", script], *opts, *more, timeout=SECS)

    r = npm("${NPM_TOKEN}", INSTALL + "; env", "--secret", "npm")
    assert "\na pot\n" in r.out and "NPM_TOKEN=npm_bailey-secret-" in r.out, r
    got = arrived(at, 3)
    assert {e["uri"] for e in got} == {"/tokens/tea", "/tokens/files/tea-1.0.0.tgz"} and {e["authorization"] for e in got} == {f"Bearer {TOKEN}"}, got
    seen = inside(at, r)
    assert b"a pot" in seen and not [f for f in forms(TOKEN) if f in seen]
    assert {e["secret"] for e in at.log(r) if e["event"] == "request"} == {"npm"}
    # another one's token goes nowhere
    r = npm("another", "npm install tea", "--secret", "npm")
    assert r.rc != 0 and "E403" in r.err and arrived(at) == [], r
    # looked into, and nothing is bound: the registry asks
    r = npm("another", "npm install tea", "--inspect", HOST)
    assert r.rc != 0 and "E401" in r.err and {e["authorization"] for e in arrived(at, 1)} == {"Bearer another"}, r
    # the control: not looked into, it knows no authority of the registry; told of it and with the token it works
    r = npm(TOKEN, "npm install tea")
    assert r.rc != 0 and "E40" not in r.err and "certificate" in r.err.lower() and arrived(at) == [], r
    r = npm(TOKEN, INSTALL, "--env", "NODE_EXTRA_CA_CERTS=ca.crt")
    assert r.out.endswith("a pot\n"), r


APT = ("rm -rf s c; mkdir -p s/lists/partial c/archives/partial; printf 'machine web.test login x-access-token password %s\\n' \"$APT_TOKEN\" > auth.conf; "
       'apt() { apt-get -o Dir::Etc::sourcelist=$PWD/one.list -o Dir::Etc::sourceparts=/dev/null -o Dir::Etc::netrc=$PWD/auth.conf -o Dir::Etc::netrcparts=/dev/null -o Dir::State=$PWD/s '
       '-o Dir::Cache=$PWD/c -o APT::Sandbox::User= -o Acquire::Languages=none -o Acquire::Retries=0 -o Debug::NoLocking=1 -o APT::Update::Post-Invoke-Success::= "$@"; }; '
       "apt update && apt download tea && dpkg-deb -f tea_1.0_all.deb Description")


def test_apt_with_a_password_that_is_not_inside(at):
    """update and download from a repository over https that asks for a password, which is an own secret."""
    secret(at, "set", "apt", "--host", "web.test", "--basic", "x-access-token", "--env", "APT_TOKEN", stdin=TOKEN)
    at.user.write(at.ws / "one.list", "deb [trusted=yes] https://web.test/basic/apt ./\n")

    def apt(*more):
        at.user.exec(["rm", "-f", at.ws / "tea_1.0_all.deb"])
        arrived(at)
        return at(["sh", "-c", APT], "--allow-host", "web.test", *more, timeout=SECS)

    r = apt("--secret", "apt")
    assert r.rc == 0 and r.out.endswith("a pot\n"), r
    got = {e["uri"]: e["authorization"] for e in arrived(at, 3)}
    assert {"/basic/apt/./Packages", "/basic/apt/./tea.deb"} <= set(got) and set(got.values()) == {BASIC}, got
    seen = inside(at, r)
    assert b"bailey-secret-" in seen and not [f for f in forms(TOKEN) if f in seen]
    assert ("allow", "GET", "/basic/apt/./tea.deb") in requests(at, r)
    # another one's goes nowhere; looked into, and nothing is bound, the repository asks
    r = apt("--secret", "apt", "--env", "APT_TOKEN=another")
    assert r.rc != 0 and arrived(at) == [], r
    r = apt("--inspect", "web.test", "--env", "APT_TOKEN=another")
    assert r.rc != 0 and "401" in r.err and len(arrived(at, 1)) > 0, r
    # the control: not looked into, it knows no authority of the server; told of it and with the password it works
    r = apt("--env", f"APT_TOKEN={TOKEN}")
    assert r.rc != 0 and "ertificate" in r.err and arrived(at) == [], r
    at.user.write(at.ws / "apt.conf", 'Acquire::https::CaInfo "ca.crt";\n')
    r = apt("--env", f"APT_TOKEN={TOKEN}", "--env", "APT_CONFIG=apt.conf")
    assert r.rc == 0 and r.out.endswith("a pot\n"), r
