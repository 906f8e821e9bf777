# SPDX-License-Identifier: Apache-2.0
"""The environment is cleaned of secrets by name; single variables can be set or let through."""
import pytest

SECRETS = [
    "GITHUB_TOKEN",
    "NPM_TOKEN",
    "OPENAI_API_KEY",
    "ANTHROPIC_API_KEY",
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_PROFILE",
    "CLIENT_SECRET",
    "DB_PASSWORD",
    "PGPASSWORD",
    "SSH_AUTH_SOCK",
]
PLAIN = ["FOO", "EDITOR", "TERM", "LC_ALL", "CFLAGS", "_UNDERSCORE", "KEYBOARD_LAYOUT"]
VALUE = "canary-value-93b1"


def environment(text):
    return dict(e.split("=", 1) for e in text.split("\0") if e)


def test_secrets_are_cleaned(run):
    r = run(["env", "-0"], env={name: VALUE for name in SECRETS})
    assert r.rc == 0
    assert not set(SECRETS) & set(environment(r.out))
    assert VALUE not in r.out + r.err


def test_plain_variables_stay(run, user):
    given = {name: f"v-{name}" for name in PLAIN}
    seen = environment(run(["env", "-0"], env=given).out)
    assert {k: seen.get(k) for k in given} == given
    assert seen["HOME"] == str(user.home)
    assert seen["PATH"] == user.environ()["PATH"]


def test_values_are_untouched(run):
    odd = {"ODD": "a=b\n c\t\"'\\$", "EMPTY": ""}
    seen = environment(run(["env", "-0"], env=odd).out)
    assert {k: seen.get(k) for k in odd} == odd


def test_pass_env(run):
    env = {"GITHUB_TOKEN": "t1", "NPM_TOKEN": "t2", "AWS_PROFILE": "t3"}
    seen = environment(run(["env", "-0"], "--pass-env", "GITHUB_TOKEN", "--pass-env=AWS_PROFILE", env=env).out)
    assert seen.get("GITHUB_TOKEN") == "t1"
    assert seen.get("AWS_PROFILE") == "t3"
    assert "NPM_TOKEN" not in seen


def test_pass_env_of_an_unset_name(run):
    r = run(["env", "-0"], "--pass-env", "NOT_SET_TOKEN")
    assert r.rc in (0, 2)
    assert "NOT_SET_TOKEN" not in environment(r.out)


def test_env_sets(run):
    opts = ["--env", "A=1", "--env", "B=x=y z", "--env", "C=", "--env=HOME=/elsewhere", "--env", "MY_TOKEN=wanted"]
    seen = environment(run(["env", "-0"], *opts, env={"A": "0"}).out)
    assert seen["A"] == "1"
    assert seen["B"] == "x=y z"
    assert seen["C"] == ""
    assert seen["HOME"] == "/elsewhere"
    assert seen["MY_TOKEN"] == "wanted", "a value given by hand is no leak"


def test_env_last_wins_and_is_single(run):
    r = run(["env", "-0"], "--env", "A=1", "--env", "A=2", env={"A": "0"})
    assert [e for e in r.out.split("\0") if e.startswith("A=")] == ["A=2"]


def test_a_name_given_twice_is_not_a_way_in(user, ws, bailey):
    # envp may hold a name twice: the copy must not survive the cleaning of the first.
    code = (
        "import ctypes, os, sys\n"
        "libc = ctypes.CDLL(None)\n"
        "argv = (ctypes.c_char_p * 6)(b'bailey', b'run', b'--', b'env', b'-0', None)\n"
        "envp = (ctypes.c_char_p * 5)(b'PATH=/usr/bin:/bin', b'GITHUB_TOKEN=c1', b'GITHUB_TOKEN=c2', ('HOME=' + sys.argv[2]).encode(), None)\n"
        "libc.execve(os.fsencode(sys.argv[1]), argv, envp)\n"
    )
    from conftest import BAILEY, PYTHON

    r = user.exec([PYTHON, "-c", code, BAILEY, user.home], cwd=ws)
    assert r.rc == 0, r
    assert "GITHUB_TOKEN" not in r.out


@pytest.mark.parametrize("pid", ["1", "$PPID"])
def test_secrets_are_not_in_another_process(run, pid):
    # PID 1 is a copy of the launcher: its environment must be out of reach.
    r = run(f"cat /proc/{pid}/environ; cat /proc/{pid}/mem; true", env={"GITHUB_TOKEN": VALUE})
    assert VALUE not in r.out + r.err
    assert "denied" in r.err or "not permitted" in r.err or "No such" in r.err


def test_secrets_are_not_in_explain(bailey, ws):
    for fmt in ("--explain", "--explain=json"):
        r = bailey(["run", fmt, "--", "true"], cwd=ws, env={"GITHUB_TOKEN": VALUE})
        assert r.rc == 0
        assert VALUE not in r.out + r.err


def test_env_file(run, user, ws):
    f = user.write(ws / "vars", "# comment\nA=1\n\nB=x = y \"z\"\nMY_TOKEN\nC=\nD=#no comment\nÜ=ü\nLAST=no newline")
    seen = environment(run(["env", "-0"], "--env-file", f, env={"MY_TOKEN": "t", "OTHER_TOKEN": "o"}).out)
    want = {"A": "1", "B": 'x = y "z"', "MY_TOKEN": "t", "C": "", "D": "#no comment", "Ü": "ü", "LAST": "no newline"}
    assert {k: seen.get(k) for k in want} == want
    assert "OTHER_TOKEN" not in seen


def test_env_file_and_its_order(run, user, ws, outside):
    one, two = user.write(outside / "1", "A=one\nB=one\n"), user.write(outside / "2", "B=two\n")
    r = run(["env", "-0"], "--env", "A=word", "--env-file", one, "--env-file", two)
    assert environment(r.out)["A"] == "word" and environment(r.out)["B"] == "two"
    policy = user.write(outside / "p.json", '{"environment": {"set": {"A": "policy", "C": "policy"}}}')
    seen = environment(run(["env", "-0"], "--env-file", one, "--policy", policy).out)
    assert seen["A"] == "one" and seen["C"] == "policy"


@pytest.mark.parametrize(
    "text,want",
    [("A=1\nB C=2\n", ":2: expected NAME=VALUE"), ("=x\n", ":1: expected"), ("A=1\r\n", ":1: the line ends with CR"), ("A=\0\n", ":1: the line has a NUL"),
     ("\ufeffA=1", ":1: the file begins with a byte order mark"), ("A=1\n B=2", ":2: expected"), ("x" * 300, ":1: expected"), ("A=" + "x" * 40000, ":1: the line is longer")],
)  # fmt: skip
def test_bad_env_file(run, user, ws, text, want):
    f = user.write(ws / "vars", text)
    r = run("touch witness", "--env-file", f)
    assert r.rc == 2 and "--env-file" in r.err and f"vars{want}" in r.err, r
    assert not (ws / "witness").exists()
    assert run("true", "--env-file", ws / "none").rc == 2
    assert run("true", "--env-file", ws).rc == 2


def test_caches_that_can_not_be_written(run, user, ws):
    """npm and go need one: where the home's is read-only it is private, and what a caller says stays."""
    def values(*options, env=None):
        r = run("echo ${npm_config_cache-none} ${GOCACHE-none}", *options, env=env)
        assert r.rc == 0, r
        return r.out.split()

    assert values() == ["none", "/tmp/.go-build"], "what is there can be read, and nobody fetches"
    assert values("--network", "deny") == ["/tmp/.npm", "/tmp/.go-build"]
    assert values("--network", "deny", env={"npm_config_cache": "/n", "GOCACHE": "/g"}) == ["/n", "/g"]
    assert values("--network", "deny", "--env", "npm_config_cache=/n", "--env", "GOCACHE=/g") == ["/n", "/g"]
    assert values("--network", "deny", env={"NPM_CONFIG_CACHE": "/n"})[0] == "none"
    user.mkdir(user.home / ".npm", 0o700)
    user.mkdir(user.home / ".cache", 0o700)
    assert values("--network", "deny", "--allow-write", user.home / ".npm", "--allow-write", user.home / ".cache") == ["none", "none"]
    assert values(env={"XDG_CACHE_HOME": str(ws)}) == ["none", "none"], "the workspace can be written"
    (ws / "home").symlink_to(user.home)
    assert values("--network", "deny", "--workspace", user.home / ".cache", "--workspace", ws, env={"HOME": str(ws / "home")}) == ["/tmp/.npm", "none"], "by another name"
    assert values("--network", "deny", "--allow-write", user.home / ".npm", "--deny-write", user.home / ".npm")[0] == "/tmp/.npm"
    assert values("--network", "deny", "--allow-write", "/tmp") == ["none", "none"], "others could have filled the host's"
