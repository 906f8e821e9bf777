# SPDX-License-Identifier: Apache-2.0
"""Network rules (docs/adr/0019): options, policy files, layers, `bailey network check`, and what a run says that can't have its network."""
import json
import shutil

import pytest


@pytest.fixture
def config(user):
    """The caller's own policy file."""
    path = user.home / ".config" / "bailey" / "policy.json"
    yield lambda doc: user.write(path, json.dumps(doc, indent=1))
    shutil.rmtree(user.home / ".config" / "bailey", ignore_errors=True)


@pytest.fixture
def project(user, ws):
    return lambda doc: user.write(ws / ".bailey.json", json.dumps(doc, indent=1))


@pytest.fixture
def store(user, outside):
    user.mkdir(outside / "state", 0o700)
    return {"XDG_STATE_HOME": str(outside / "state")}


@pytest.fixture
def check(bailey, ws):
    """check(WORDS...) -> (verdicts, result)"""

    def call(*words, **kw):
        r = bailey(["network", "check", "--json", *words], cwd=ws, **kw)
        docs = json.loads(r.out) if r.rc in (0, 1) else []
        assert r.rc == 2 or (r.rc == 0) == all(d["allowed"] for d in docs), r
        return docs, r

    return call


def line_of(path, word):
    return next(i for i, li in enumerate(path.read_text().splitlines(), 1) if word in li)


def explained(bailey, ws, *opts, **kw):
    r = bailey(["run", "--explain=json", *opts, "--", "true"], cwd=ws, **kw)
    assert r.rc == 0, r
    return json.loads(r.out)


def test_budgets_of_names_and_ranges_with_a_protocol(bailey, ws):
    for rule in ("one.test:7/udp", "one.test/tcp", "10.0.0.0/8", "10.0.0.0/8/tcp", "10.0.0.0/8:53/udp", "[fd00::/8]:7/udp"):
        for option in ("--limit-bytes", "--limit-rate"):
            doc = explained(bailey, ws, "--network", "allow", option, f"{rule}=10k")
            assert [x["rule"] for x in doc["network"]["limits"]] == [rule], doc["network"]
    for rule in ("one.test/x", "one.test/udp/tcp/x", "10.0.0.0/8/icmp"):
        r = bailey(["run", "--explain=json", "--limit-bytes", f"{rule}=10k", "--", "true"], cwd=ws)
        assert r.rc == 2 and "--limit-bytes" in r.err, r


def test_of_files_the_preset_that_opens_less_counts(bailey, user, ws, outside):
    files = {name: user.write(outside / f"{name}.json", json.dumps({"network": {"preset": name}})) for name in ("closed", "balanced", "open-minus-private")}
    for loose, tight in (("open-minus-private", "balanced"), ("balanced", "closed")):
        for pair in ((loose, tight), (tight, loose)):
            doc = explained(bailey, ws, *(word for name in pair for word in ("--policy", files[name])))
            assert doc["network"]["origin"] == f"preset {tight}", doc["network"]
            assert [n for n in doc["notices"] if f"{files[loose]}:1:" in n and f"'{loose}': {files[tight]}:1:" in n and "the tighter one counts" in n], doc["notices"]
    doc = explained(bailey, ws, "--policy", files["balanced"], "--policy", files["balanced"])
    assert doc["network"]["origin"] == "preset balanced" and not doc["notices"], doc
    # the command line begins where it says
    assert explained(bailey, ws, "--policy", files["closed"], "--preset", "balanced")["network"]["origin"] == "preset balanced"


@pytest.mark.parametrize("url", ["https://pypi.org/", "https://pypi.org", "http://pypi.org:80/simple", "https://[::1]/", "pypi.org/simple"])
def test_a_url_is_no_rule(bailey, ws, url):
    for words in (["run", "--explain", "--allow-host", url, "--", "true"], ["run", "--explain", "--deny-host", url, "--", "true"], ["network", "check", "--allow-host", url, "pypi.org:443"]):
        r = bailey(words, cwd=ws)
        assert r.rc == 2 and "write the name alone, without scheme and path" in r.err, r


def test_check_answers(bailey, ws):
    r = bailey(["network", "check", "--allow-host", "*.example.org", "www.example.org:443"], cwd=ws)
    assert r.rc == 0 and r.said == "", r
    assert r.out == "www.example.org:443: allowed: 'allow *.example.org' (command, --allow-host); for TLS and HTTP, " \
                    "other protocols need a rule that names the port\n", r  # fmt: skip
    r = bailey(["network", "check", "--allow-host", "*.example.org", "example.org:443", "x.example.org:443"], cwd=ws)
    assert r.rc == 1 and r.out.splitlines()[0] == "example.org:443: denied: no rule allows it; --allow-host example.org", r
    r = bailey(["network", "check", "example.org:443"], cwd=ws)
    assert r.rc == 1 and r.out == "example.org:443: denied: this sandbox has no network; --allow-host example.org\n", r
    # options may stand before the word, too
    assert bailey(["network", "--allow-host", "a.org", "check", "--deny-host", "b.org", "a.org:443"], cwd=ws).rc == 0


def test_the_option_that_it_names_allows(bailey, ws):
    """What an answer proposes is what makes the answer yes."""
    for target in ("a.org:443", "a.org:22", "a.org:53/udp", "10.0.0.7:443", "127.0.0.1:5432", "[::1]:5432", "localhost:5432", "[fd00::1]:443", "[fd00::1]:5432", "[::1]:53/udp"):
        words = ["network", "check", "--allow-host", "other.org"]
        r = bailey([*words, target], cwd=ws)
        assert r.rc == 1 and "; --allow-" in r.out, (target, r)
        option = r.out.rstrip("\n").rsplit("; ", 1)[1]
        r = bailey([*words, *option.split(), target], cwd=ws)
        assert r.rc == 0, (target, r)


def test_the_host_itself_has_a_rule_of_its_own(bailey, ws):
    """As the gateway judges it: neither a mode nor a rule for names opens it."""
    target = "host.bailey.internal:80"
    for opts in (["--network", "allow"], ["--allow-host", "**", "--i-know"], ["--allow-host", "host.bailey.internal"], ["--allow-host-port", "81"]):
        r = bailey(["network", "check", *opts, target], cwd=ws)
        assert r.rc == 1 and "; --allow-host-port 80" in r.out, (opts, r)
    assert bailey(["network", "check", "--allow-host-port", "80", target], cwd=ws).rc == 0


def test_json(check):
    docs, r = check("--preset", "balanced", "github.com:22", "[::1]:80", "evil.org:53/udp")
    assert r.rc == 1 and [d["allowed"] for d in docs] == [True, False, False], r
    assert docs[0] == {
        "target": "github.com:22", "host": "github.com", "address": None, "port": 22, "protocol": "tcp", "allowed": True, "any_protocol": True,
        "class": None, "why": docs[0]["why"],
        "rule": {"action": "allow", "rule": "github.com:22", "layer": "built-in", "origin": "preset balanced", "reason": None},
    }  # fmt: skip
    assert docs[1]["address"] == "::1" and docs[1]["class"] == "loopback" and docs[1]["rule"] is None, docs
    assert docs[2]["protocol"] == "udp", docs


def test_addresses_of_names(check):
    docs, _ = check("--allow-host", "exact.org", "--allow-host", "*.wild.org", "--address", "10.0.0.7", "exact.org:443", "x.wild.org:443")
    assert [d["allowed"] for d in docs] == [True, False] and docs[1]["class"] == "private", docs
    docs, _ = check("--allow-host", "exact.org", "--address", "169.254.169.254", "exact.org:80")
    assert not docs[0]["allowed"] and docs[0]["class"] == "metadata", docs


BAD_WORDS = [
    (["--allow-host", "a b"], "--allow-host: 'a<20>b' is no host name"),
    (["--allow-host", "*"], "--allow-host: '*': every host is **"),
    (["--allow-host", "*.co.uk"], "(it is a public suffix); name the hosts, or say --i-know"),
    (["--allow-host", "*.github.io:443"], "(it is a public suffix)"),
    (["--allow-host", "http://a.org"], "expected NAME, *.NAME, ** or an address"),
    (["--allow-host", "127.1"], "ends in a number"),
    (["--deny-host", "a.org:0"], "--deny-host: 'a.org:0': the port"),
    (["--allow-cidr", "10.0.0.1/8"], "--allow-cidr: '10.0.0.1/8': the address has bits beyond the prefix; write 10.0.0.0/8"),
    (["--deny-cidr", "a.org"], "--deny-cidr: 'a.org': this is no address"),
    (["--network", "open"], "--network: 'open': expected none, deny, allow or host"),
    (["--preset", "balance"], "--preset: 'balance': expected closed, balanced or open-minus-private"),
    (["--network-precedence", "x"], "--network-precedence: 'x': expected deny-wins or most-specific"),
    (["--deny-host", "a.org", "--deny-reason", "b.org=x"], "--deny-reason 'b.org=x': no rule of --deny-host"),
    (["--deny-host", "a.org", "--deny-reason", "a.org"], "--deny-reason 'a.org': expected RULE=TEXT"),
    (["--deny-host", "a.org", "--deny-reason", "a.org=x\ny"], "the reason must be one line"),
    (["--network", "host", "--deny-host", "a.org"], "can't be filtered, but 'a.org' is denied"),
    (["--allow-own-credentials", "x y"], "--allow-own-credentials: 'x<20>y' is no host name"),
    (["--allow-own-credentials", "A.org"], "--allow-own-credentials: 'A.org': write it as 'a.org'"),
]


@pytest.mark.parametrize("words,want", BAD_WORDS, ids=range(len(BAD_WORDS)))
def test_bad_words(bailey, ws, words, want):
    for verb in (["network", "check", *words, "a.org:443"], ["run", *words, "--", "touch", "witness"], ["run", "--explain", *words, "--", "true"]):
        r = bailey(verb, cwd=ws)
        assert r.rc == 2 and r.out == "" and r.err.count("\n") == 1 and want in r.err, (verb, r)
    assert not (ws / "witness").exists()


@pytest.mark.parametrize("target", ["a.org", "a.org:", "a.org:0", "a.org:65536", "a.org:+1", "a.org:80x", "a.org:80/sctp", "::1:80", "[::1]", "[a.org]:80",
                                    "a..org:80", "*.a.org:80", "0x7f.1:80", ":80"])  # fmt: skip
def test_bad_targets(bailey, ws, target):
    r = bailey(["network", "check", "--allow-host", "**", "--", target], cwd=ws)
    assert r.rc == 2 and r.out == "" and r.err.count("\n") == 1, r


def test_bad_verbs(bailey, ws):
    assert "expected check" in bailey(["network", "chek", "a.org:1"], cwd=ws).err
    assert "bailey network check" in bailey(["network"], cwd=ws).err
    # options of one of its words are none of another's
    for words in (["ls", "--denied"], ["allow", "box", "a.org", "--limit", "5"], ["check", "--cidr", "a.org:1"], ["deny", "box", "a.org", "--i-know"], ["policy", "--follow"],
                  ["log", "--reason", "x"], ["remove", "box", "a.org", "--json"], ["allow", "box", "a.org", "--block-host", "b.org"], ["log", "--address", "::1"],
                  ["proxy", "box", "--quiet"]):  # fmt: skip
        r = bailey(["network", *words], cwd=ws)
        option = next(w for w in words if w.startswith("--"))
        assert r.rc == 2 and r.out == "" and r.err == f"bailey: {option} is no option of {words[0]}\n", (words, r)
    r = bailey(["network", "check", "--allow-host", "a.org"], cwd=ws)
    assert r.rc == 2 and "say which host" in r.err, r


def test_a_run_without_network(run):
    """Denials, and a mode that says none, begin no gateway: there is no route, no proxy, and nothing to say."""
    for words in ([], ["--network", "none"], ["--preset", "closed", "--network", "none"]):
        r = run("echo ran; cat /proc/net/route | wc -l; env | grep -ci _proxy=", *words)
        assert r.out.split() == ["ran", "1", "0"] and r.said == "", (words, r)


def test_none_wins_and_says_so(run):
    r = run("echo ran", "--network", "none", "--allow-host", "a.org")
    assert r.out == "ran\n" and r.said == "bailey: notice: --allow-host 'a.org' has no effect: network none (--network)\n", r


WITHOUT_EFFECT = [
    (["-p", "38080:80", "--network", "host"], "--publish '38080:80' has no effect: network host (--network)"),
    (["-p", "38080:80", "--network", "none"], "--publish '38080:80' has no effect: network none (--network)"),
    (["--preset", "balanced", "--network", "none"], "--preset 'balanced' has no effect: network none (--network)"),
    (["--ask", "--network", "none"], "--ask has no effect: network none (--network)"),
    (["--ask", "--network", "host"], "--ask has no effect: network host (--network)"),
    (["--audit-required", "--network", "host"], "--audit-required has no effect: network host (--network)"),
    (["--limit-bytes", "a.org=1M"], "--limit-bytes 'a.org=1M' has no effect: network none (the default)"),
    (["--limit-rate", "a.org=1M", "--network", "host"], "--limit-rate 'a.org=1M' has no effect: network host (--network)"),
    (["--limit-rate", "a.org=1M", "--allow-host", "b.org"], "--limit-rate 'a.org=1M' has no effect: no rule allows a.org: --allow-host a.org"),
    (["--limit-bytes", "*.a.org=1M", "--allow-host", "a.org"], "--limit-bytes '*.a.org=1M' has no effect: no rule allows *.a.org: --allow-host *.a.org"),
    (["--limit-bytes", "a.org:22=1M", "--allow-host", "a.org:443"], "--limit-bytes 'a.org:22=1M' has no effect: no rule allows a.org:22: --allow-host a.org:22"),
    # the controls: they do something
    (["--preset", "balanced", "--ask", "--audit-required", "-p", "127.0.0.1:0:80"], None),
    (["--limit-bytes", "a.org=1M", "--allow-host", "a.org:22"], None),
    (["--limit-bytes", "a.org:22=1M", "--allow-host", "a.org"], None),
    (["--limit-bytes", "*.a.org=1M", "--allow-host", "x.a.org"], None),
    (["--limit-bytes", "x.a.org=1M", "--allow-host", "*.a.org"], None),
    (["--limit-bytes", "**=1M", "--allow-host", "a.org"], None),
    (["--limit-bytes", "a.org=1M", "--network", "allow"], None),
    (["--limit-bytes", "a.org=1M", "--ask"], None),
    (["--limit-bytes", "a.org=1M", "--allow-host", "a.org:7/udp"], None),
    (["--limit-bytes", "10.1.2.3=1M", "--allow-cidr", "10.0.0.0/8"], None),
    (["--limit-bytes", "b.org=1M", "--allow-host", "a.org", "--inspect", '{"host": "a.org", "requests": [{"method": "GET", "action": {"forward": "https://b.org"}}]}'], None),
]


@pytest.mark.parametrize("words,said", WITHOUT_EFFECT, ids=[" ".join(w) for w, _ in WITHOUT_EFFECT])
def test_words_without_effect(bailey, ws, words, said):
    """One line says so, and why; where they do something there is none."""
    notices = explained(bailey, ws, *words)["notices"]
    assert notices == ([said] if said else []), notices


def test_notices_are_printed(run):
    r = run("echo ran", "--limit-bytes", "a.org=1M", "--ask", "--network", "none")
    assert r.out == "ran\n" and r.said == ("bailey: notice: --limit-bytes 'a.org=1M' has no effect: network none (--network)\n"
                                           "bailey: notice: --ask has no effect: network none (--network)\n"), r  # fmt: skip


def test_a_file_may_say_what_does_nothing_here(bailey, ws, config):
    """Words of a file are for many sandboxes: no notice."""
    config({"network": {"preset": "balanced"}})
    assert explained(bailey, ws, "--network", "none")["notices"] == []
    assert explained(bailey, ws, "--network", "none", "--audit-required")["notices"] == ["--audit-required has no effect: network none (--network)"]


def test_explain_shows_limits_ports_and_questions(bailey, ws):
    words = ["--allow-host", "a.org", "--limit-bytes", "a.org=1M", "--limit-rate", "a.org:22=2k", "--ask", "-p", "127.0.0.1:38080:80", "-p", "[::1]:38080:81"]
    net = explained(bailey, ws, *words)["network"]
    assert net["ask"] is True and net["publish"] == [{"address": "127.0.0.1", "host": 38080, "inside": 80}, {"address": "::1", "host": 38080, "inside": 81}], net
    assert net["limits"] == [{"rule": "a.org", "origin": "--limit-bytes", "bytes": 1 << 20}, {"rule": "a.org:22", "origin": "--limit-rate", "bytes_a_second": 2048}], net
    text = bailey(["run", "--explain", *words, "--", "true"], cwd=ws).out
    assert "\nlimits\n  network   1m for a.org by the gateway  [--limit-bytes]\n  network   2k a second for a.org:22 by the gateway  [--limit-rate]\n" in text.replace("1M", "1m").replace("2K", "2k"), text
    assert "\n  publish     127.0.0.1:38080 leads to 80 inside\n  publish     [::1]:38080 leads to 81 inside\n  ask " in text, text
    net = explained(bailey, ws)["network"]
    assert (net["ask"], net["publish"], net["limits"]) == (False, [], []) and "\nlimits: none\n" in bailey(["run", "--explain", "--", "true"], cwd=ws).out


def test_user_file(check, bailey, config, ws):
    f = config({"network": {
        "allowedDomains": ["*.example.org", {"rule": "db.intern:5432", "reason": "tests"}],
        "deniedDomains": ["evil.example.org", {"rule": "*.ads.org", "reason": "no ads"}, "spam.org"],
        "deniedDomainReasons": {"spam.org": "spam"},
        "allowedAddresses": ["10.1.0.0/16:443"], "deniedResolvedAddresses": ["192.0.2.0/24"],
    }})  # fmt: skip
    docs, _ = check("x.example.org:443", "evil.example.org:443", "a.ads.org:443", "db.intern:5432", "10.1.2.3:443", "192.0.2.1:443", "spam.org:1", "b.org:1")
    assert [d["allowed"] for d in docs] == [True, False, False, True, True, False, False, False], docs
    assert docs[0]["rule"] == {"action": "allow", "rule": "*.example.org", "layer": "user", "origin": f"{f}:{line_of(f, '*.example.org')}", "reason": None}
    assert docs[2]["rule"]["reason"] == "no ads" and "no ads" in docs[2]["why"] and docs[6]["rule"]["reason"] == "spam", docs
    net = explained(bailey, ws)["network"]
    assert net["mode"] == "deny" and net["most_specific"] == [], net
    assert net["rules"][1] == {"action": "allow", "rule": "db.intern:5432", "layer": "user", "origin": f"{f}:{line_of(f, 'db.intern')}", "reason": "tests"}
    text = bailey(["run", "--explain", "--", "true"], cwd=ws).out
    assert "\nnetwork   deny: what a rule allows\n" in text and f"\n  deny        *.ads.org  [{f}:{line_of(f, 'ads')}]  no ads\n" in text, text


@pytest.mark.parametrize("rule, option", [("localhost:8080", "8080"), ("localhost", "PORT")])
def test_localhost_is_the_sandbox_itself(run, rule, option):
    said = f"bailey: notice: --allow-host '{rule}' has no effect: inside, localhost is the sandbox itself; for a port of this machine: --allow-host-port {option}"
    assert said in run(["true"], "--allow-host", rule).err.splitlines()
    assert "has no effect" not in run(["true"], "--allow-host", "localhost.example.org").err


def test_a_denial_of_the_user_is_final(check, bailey, run, config, ws):
    f = config({"network": {"deniedDomains": ["a.org", "*.b.org"], "mode": "deny"}})
    docs, r = check("--allow-host", "a.org", "--allow-host", "x.b.org", "--allow-host", "*.b.org", "--allow-host", "c.org", "a.org:443", "x.b.org:443", "c.org:443")
    assert [d["allowed"] for d in docs] == [False, False, True] and docs[0]["rule"]["origin"] == f"{f}:{line_of(f, 'a.org')}", docs
    assert docs[0]["why"].endswith("; change it where it is written"), docs
    where = [f"{f}:{line_of(f, w)}" for w in ('"a.org"', "*.b.org")]
    assert r.err.splitlines() == [
        f"bailey: notice: --allow-host 'a.org' has no effect: deny 'a.org' of {where[0]} is final",
        f"bailey: notice: --allow-host 'x.b.org' has no effect: deny '*.b.org' of {where[1]} is final",
        f"bailey: notice: --allow-host '*.b.org' has no effect: deny '*.b.org' of {where[1]} is final",
    ], r
    # the mode, too
    docs, r = check("--network", "allow", "c.org:443")
    assert not docs[0]["allowed"] and "--network allow: " in r.err and "says deny, and the tighter one counts" in r.err, r
    # most-specific of the command line turns nothing round that the file says
    docs, _ = check("--network-precedence", "most-specific", "--allow-host", "x.b.org", "x.b.org:443")
    assert not docs[0]["allowed"], docs


def test_a_file_that_says_none(check, run, config):
    f = config({"network": {"mode": "none"}})
    docs, r = check("--allow-host", "a.org", "a.org:443")
    assert not docs[0]["allowed"] and f"has no effect: network none ({f}:{line_of(f, 'mode')})" in r.err, (docs, r)
    assert run("echo ran", "--allow-host", "a.org").out == "ran\n"


def test_a_host_network_that_a_file_filters(run, config, ws):
    f = config({"network": {"deniedDomains": ["a.org"]}})
    r = run("touch witness", "--network", "host")
    assert r.rc == 2 and f"'a.org' is denied ({f}:{line_of(f, 'a.org')})" in r.err and not (ws / "witness").exists(), r


def test_precedence(check):
    words = ["--allow-host", "**", "--deny-host", "*.a.org", "--allow-host", "x.a.org", "x.a.org:443", "y.a.org:443"]
    docs, _ = check(*words)
    assert [d["allowed"] for d in docs] == [False, False], docs
    docs, _ = check("--network-precedence", "most-specific", *words)
    assert [d["allowed"] for d in docs] == [True, False], docs


def test_untrusted_projects_only_tighten(check, bailey, run, user, project, config, store, ws):
    config({"network": {"allowedDomains": ["a.org", "b.org"]}})
    f = project({"network": {"allowedDomains": ["evil.org"], "allowedAddresses": ["10.0.0.0/8"], "deniedDomains": ["b.org"], "mode": "allow",
                             "preset": "balanced", "precedence": "most-specific", "allowPublicSuffixes": True}})  # fmt: skip
    targets = ["a.org:443", "b.org:443", "evil.org:443", "pypi.org:443", "10.0.0.1:443", "other.org:443"]
    docs, _ = check(*targets, env=store)
    assert [d["allowed"] for d in docs] == [True, False, False, False, False, False], docs
    assert docs[1]["rule"]["layer"] == "untrusted", docs
    doc = explained(bailey, ws, env=store)
    assert doc["network"]["mode"] == "deny" and {x["key"] for x in doc["ignored"]} == {
        "network.mode", "network.allowedDomains", "network.allowedAddresses", "network.preset", "network.precedence", "network.allowPublicSuffixes"}, doc  # fmt: skip
    r = bailey(["trust", ws], env=store)
    assert r.rc == 0, r
    docs, _ = check(*targets, env=store)
    assert [d["allowed"] for d in docs] == [True, False, True, True, True, True], docs
    # alone, its word for an open network gives none
    project({"network": {"mode": "host"}})
    config({})
    r = run("echo ran", env=store)
    assert r.out == "ran\n" and "ignored: network.mode (line 3)" in r.err, r
    # but as a ceiling it counts
    project({"network": {"mode": "deny"}})
    docs, _ = check("--network", "allow", "a.org:443", env=store)
    assert not docs[0]["allowed"], docs
    project({"network": {"mode": "none"}})
    config({"network": {"allowedDomains": ["a.org"]}})
    docs, r = check("a.org:443", env=store)
    assert not docs[0]["allowed"] and f"network none ({f}:3)" in docs[0]["why"], docs


def test_policy_option(check, user, ws):
    f = user.write(ws / "p.json", json.dumps({"network": {"allowedDomains": ["a.org"], "deniedDomains": ["b.org"]}}))
    docs, _ = check("--policy", f, "--allow-host", "b.org", "a.org:443", "b.org:443")
    assert [d["allowed"] for d in docs] == [True, False] and docs[0]["rule"]["layer"] == "command", docs


def test_bad_files(run, config):
    for doc, want in (
        ({"network": {"allowedDomains": ["a b"]}}, "network.allowedDomains: 'a<20>b' is no host name"),
        ({"network": {"allowedDomains": ["*.github.io"]}}, "network.allowedDomains: '*.github.io': anybody"),
        ({"network": {"deniedDomains": [{"rule": "a.org:x"}]}}, "network.deniedDomains: 'a.org:x': the port"),
        ({"network": {"deniedDomains": [{"rule": "a.org", "reason": "a\nb"}]}}, "the reason must be one line"),
        ({"network": {"mode": "open"}}, "network.mode: 'open': expected none, deny, allow or host"),
        ({"network": {"preset": "x"}}, "network.preset: 'x': expected closed"),
        ({"network": {"deniedDomainReasons": {"a.org": "x"}}}, "network.deniedDomainReasons 'a.org=x': no rule"),
    ):
        f = config(doc)
        r = run("true")
        assert r.rc == 2 and r.err.startswith(f"bailey: {f}:") and want in r.err and r.err.count("\n") == 1, (doc, r)
    config({"network": {"allowedDomains": ["*.github.io"], "allowPublicSuffixes": True, "mode": "none"}})
    assert run("echo ran").out == "ran\n"
