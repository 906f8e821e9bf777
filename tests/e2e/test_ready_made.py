# SPDX-License-Identifier: Apache-2.0
"""Secrets of the services that need nothing but a value (src/keys/services.c), each by its variables, at its hosts, in every way that it takes one. aws is not among them: it signs."""
import base64
import json
import os
import shlex
from urllib.parse import unquote

import pytest

from conftest import wait_for
from searches import forms
from test_credentials import TOKEN, secret
from test_inspect import Inside, internet  # noqa: F401 (a fixture)

VALUE = "k3y-Of/The+Owner=7d1f0a"
FOREIGN = "an0ther-Of/Somebody+Else=55"

# What curl says, and what the server then has: (field of the log, its text). {} is the key.
BASIC = "basic "  # and a user
WAYS = {
    "bearer": ("-H 'Authorization: Bearer {}'", "authorization", "Bearer {}"),
    "token": ("-H 'Authorization: token {}'", "authorization", "token {}"),
    "x-api-key": ("-H 'X-Api-Key: {}'", "x-api-key", "{}"),
    "x-goog-api-key": ("-H 'X-Goog-Api-Key: {}'", "x-goog-api-key", "{}"),
    "query": ("-G --data-urlencode 'key={}'", "uri", "/echo?key={}"),
    "websocket": ("-H 'Connection: Upgrade' -H 'Upgrade: websocket' -H 'Sec-WebSocket-Version: 13' -H 'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==' "
                  "-H 'Sec-WebSocket-Protocol: realtime, openai-insecure-api-key.{}'", "sec-websocket-protocol", "realtime, openai-insecure-api-key.{}"),
}

# What its stand-in begins with, and (variables, host, ways). A way "absent ": the client says nothing, and the server has what stands behind it.
CASES: dict[str, tuple[str, list[tuple[list[str], str, list[str]]]]] = {
    "anthropic": ("sk-ant-api03-", [(["ANTHROPIC_API_KEY"], "api.anthropic.com", ["x-api-key"])]),
    "openai": ("sk-", [(["OPENAI_API_KEY"], "api.openai.com", ["bearer", "websocket"])]),
    "github": ("ghp_", [(["GH_TOKEN", "GITHUB_TOKEN"], "api.github.com", ["bearer", "token", "basic x-access-token", "basic anybody", "absent bearer"]),
                        (["GH_TOKEN", "GITHUB_TOKEN"], "uploads.github.com", ["bearer", "token", "absent bearer"]),
                        (["GH_TOKEN", "GITHUB_TOKEN"], "github.com", ["basic x-access-token", "basic anybody", "absent basic x-access-token"])]),
    "google": ("AIzaSy", [(["GEMINI_API_KEY", "GOOGLE_API_KEY"], "generativelanguage.googleapis.com", ["x-goog-api-key", "query"])]),
    "groq": ("gsk_", [(["GROQ_API_KEY"], "api.groq.com", ["bearer"])]),
    "mistral": ("", [(["MISTRAL_API_KEY"], "api.mistral.ai", ["bearer"])]),
    "xai": ("xai-", [(["XAI_API_KEY"], "api.x.ai", ["bearer"])]),
    "openrouter": ("sk-or-v1-", [(["OPENROUTER_API_KEY"], "openrouter.ai", ["bearer"])]),
    "npm": ("npm_", [(["NPM_TOKEN", "NODE_AUTH_TOKEN"], "registry.npmjs.org", ["bearer", "absent bearer"])]),
    "pypi": ("pypi-", [(["TWINE_PASSWORD", "UV_PUBLISH_TOKEN"], "upload.pypi.org", ["basic __token__", "bearer"])]),
}


@pytest.fixture
def at(internet, user, ws, works):
    """With a state of its own: the names of the services are everybody's."""
    assert works(user) == ""
    user.write(ws / "ca.crt", (internet.dir / "ca.crt").read_text(), 0o600)
    inside = Inside(internet, user, ws)
    state = user.mkdir(ws.parent / f"state-{ws.name}", 0o700)
    inside.environ["XDG_STATE_HOME"] = str(state)
    yield inside
    user.exec(["rm", "-rf", state])


def arrived(at, least=0):
    """What the server was sent since the last call, at least so many."""
    log = at.internet.dir / "carriers.log"
    seen = getattr(at, "seen", 0)
    wait_for(lambda: len(log.read_text().splitlines()) >= seen + least, 5 if least else 0.3)
    lines = log.read_text().splitlines()
    at.seen = len(lines)
    found = [json.loads(line) for line in lines[seen:]]
    return [{**e, "uri": unquote(e["uri"])} for e in found]


def sends(way, key):
    """Words of curl for a shell."""
    if way.startswith(BASIC):
        return f'-u "{way[len(BASIC):]}:{key}"'
    return "" if way.startswith("absent ") else WAYS[way][0].replace("'", '"').format(key)


def has(way, value):
    """The field that arrives, and its text."""
    way = way.removeprefix("absent ")
    if way.startswith(BASIC):
        return "authorization", "Basic " + base64.b64encode(f"{way[len(BASIC):]}:{value}".encode()).decode()
    return WAYS[way][1], WAYS[way][2].format(value)


def asks(service, key=None):
    """A shell script that asks in each way, in both protocols, and what should arrive. KEY: instead of what the variables hold."""
    script, expected = [], []
    for variables, host, ways in CASES[service][1]:
        for way in ways:
            for n, variable in enumerate(variables):
                if key and way.startswith("absent "):
                    continue
                for flag in ("--http1.1", "--http2")[n:1 if way == "websocket" else 2]:  # HTTP/2 has no Upgrade
                    script.append(f'curl -sS {flag} -o out -w "%{{http_code}} " {sends(way, key or f"${variable}")} https://{host}/echo; cat out >> said; rm -f out')
                    expected.append((host, *has(way, key or VALUE)))
    return "\n".join(script), expected


def allow(service):
    return [w for _, host, _ in CASES[service][1] for w in ("--allow-host", host)]


@pytest.mark.parametrize("service", CASES)
def test_its_value_arrives_in_every_way_and_is_not_inside(at, service):
    prefix, cases = CASES[service]
    variables = {v for names, _, _ in cases for v in names}
    assert secret(at, "set", service, stdin=VALUE).stdout.startswith(f"kept {service}, for ")
    script, expected = asks(service)
    arrived(at)
    r = at(["sh", "-c", script + "\nenv -0 > env; cat /proc/self/environ >> env"], *allow(service), "--secret", service)
    assert r.out.split() == ["200"] * len(expected), (r, (at.ws / "said").read_text())
    got = arrived(at, len(expected))
    assert [(e["host"], f, e[f]) for e, (_, f, _) in zip(got, expected)] == expected and len(got) == len(expected)
    # the sandbox: a stand-in, the same in all variables; the value in no form, nor in what the server repeated
    env = dict(e.split("=", 1) for e in (at.ws / "env").read_text().split("\0") if "=" in e)
    stands = {env[v] for v in variables}
    assert len(stands) == 1 and stands.pop().startswith(prefix + "bailey-secret-"), env
    inside = (at.ws / "env").read_bytes() + (at.ws / "said").read_bytes() + r.out.encode() + r.err.encode()
    assert not [f for f in forms(VALUE) if f in inside]
    assert {e.get("secret") for e in at.log(r) if e["event"] == "request"} == {service}


@pytest.mark.parametrize("service", CASES)
def test_another_key_of_it_does_not_arrive(at, service):
    """Of somebody else's account, in each of its ways; the twin: where nothing is bound, it arrives."""
    secret(at, "set", service, stdin=VALUE)
    script, expected = asks(service, FOREIGN)
    arrived(at)
    r = at(["sh", "-c", script], *allow(service), "--secret", service)
    assert r.out.split() == ["403"] * len(expected) and (at.ws / "said").read_text().count("foreign-credential") == len(expected) and arrived(at) == [], r
    (at.ws / "said").unlink()
    r = at(["sh", "-c", script], *allow(service), "--env", "CURL_CA_BUNDLE=ca.crt")
    got = arrived(at, len(expected))
    assert r.out.split() == ["200"] * len(expected) and [(e["host"], f, e[f]) for e, (_, f, _) in zip(got, expected)] == expected, r


def test_git_of_github_with_nothing_set_up(at, request):
    """A private repository of github.com, cloned and pushed to by a git that has no credential at all."""
    secret(at, "set", "github", stdin=TOKEN)
    who = f"made-{request.node.callspec.id}-{os.getpid()}"
    url, opts = "https://github.com/private/it.git", ["--allow-host", "github.com", "--env", "GIT_TERMINAL_PROMPT=0", "--env", "GIT_CONFIG_GLOBAL=/dev/null"]
    work = f"""git clone -q {url} {who} && cat {who}/file && cd {who} && git -c user.name=t -c user.email=t@t commit -q --allow-empty -m x && git push -q origin HEAD:refs/heads/{who}
echo pushed $?; env; cat .git/config"""
    r = at(["sh", "-c", work], *opts, "--secret", "github")
    assert r.out.startswith("it is there\npushed 0\n") and "GH_TOKEN=ghp_bailey-secret-" in r.out and not [f for f in forms(TOKEN) if f in (r.out + r.err).encode()], r
    assert {"git-upload-pack", "git-receive-pack"} <= {e["target"].rsplit("/", 1)[-1] for e in at.log(r) if e.get("secret") == "github"}
    r = at(["sh", "-c", f"git ls-remote {shlex.quote(url)}"], *opts, "--env", "GIT_SSL_CAINFO=ca.crt")
    assert r.rc != 0 and "refs/heads" not in r.out, "the control: without it the server asks"
