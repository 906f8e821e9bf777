# SPDX-License-Identifier: Apache-2.0
"""What is refused of the JSON, and that the message names the field."""
import json
import re
from typing import Any

import pytest

OK: dict[str, Any] = {"name": "a", "cwd": "/"}
MIB = 1 << 20


def row(text, *parts):
    return pytest.param(text, parts, id=(text if isinstance(text, str) else repr(text))[:60])


def of(key, *values, also=(), words=()):
    """Rows of one field: as a new one says it."""
    return [row(json.dumps({**OK, **dict(also), key: v}), f"field '{key}'", *words) for v in values]


NUMBERS = ["1", 1.0, 1.5, True, [], {}, -1, 0]
BAD = [
    # no JSON, no object
    *(row(t, "no JSON") for t in ("", " ", "{", '{"name": "a", "cwd": "/"', '{"name": "a" "cwd": "/"}', "{'name': 'a'}", '{"name": "a",}', "nul", "{}{}", '{"name":"a","cwd":"/"} x',
                                  '{"name": "a", "cwd": "/", "name": "b"}', '{"name":"a","cwd":"/","network":{"x":1,"x":2}}', '{"name": "\\u0000", "cwd": "/"}',
                                  '{"name":"a","cwd":"/\\ud800"}', '{"name":"a","cwd":"/","timeout":99999999999999999999}', '{"name":"a","cwd":"/","timeout":1e999}',
                                  '{"name":"a","cwd":"/","timeout":01}', '{"name":"a","cwd":"/","timeout":NaN}', "[" * 100000, '{"a":' * 5000)),
    row(b'{"name":"a","cwd":"/\xff"}', "no JSON"),
    row(b'{"name":"a","cwd":"/"}\x00', "no JSON"),
    row(b'\xef\xbb\xbf{"name":"a","cwd":"/"}', "no JSON"),
    *(row(t, "object") for t in ("[]", "[{}]")),
    *(row(t, "JSON") for t in ("null", "1", '"a"')),
    # what is missing, or not for the caller
    row("{}", "field 'name'", "missing"), row('{"cwd": "/"}', "field 'name'", "missing"), row('{"name": "a"}', "field 'cwd'", "missing"),
    *of("nome", 1, words=["did you mean 'name'?"]), *of("", 1), *of("Name", 1),
    *(row(json.dumps({**OK, k: v}), f"field '{k}'", "new sandbox") for k, v in (("id", "0123456789"), ("created", 1), ("changed", 1), ("generation", 1))),
    row(json.dumps({**OK, "x\x1b[31m": 1}), r"field 'x\x1b[31m'"), row(json.dumps({**OK, "k" * 5000: 1}), "field 'kkkk"),
    # of the wrong kind
    *of("name", None, 1, True, [], {}, "", "A", "a/b", "a\n", "0123456789", "abcdefabcd", "a" * 64, "-a", ".a", "ä"),
    *of("isolation", None, 1, "", "Process", "vm ", "container", ["vm"]),
    *of("template", None, 1, "", "a" * 256, "a\nb", "a\x1b", []),
    *of("agent", 1, "", "a" * 256, "a\tb", {}, False),
    *of("options", None, "x", {}, [1], [None], [["x"]], ["a", 1], ["a"] * 4097, ["a" * (128 << 10)]),
    *of("cwd", None, 1, "", "work", "./x", "~", ["/"], "/" + "a" * 4096),
    *of("workspaces", None, "/x", {}, [1], [{}]),
    *of("restart", None, 0, 1, "true", []),
    *of("timeout", *NUMBERS), *of("freeze", *NUMBERS), *of("stop", *NUMBERS),
    *of("network", "x", 1, True, 1.5), *of("services", "x", 1, True, 1.5),
    *of("volumes", None, "x", {}, [1], ["data"], [{}], [{"volume": "data"}], [{"path": "/x"}], [{"volume": "data", "path": "x"}], [{"volume": 1, "path": "/x"}],
        [{"volume": "data", "path": "/x", "more": 1}], [{"volume": "data", "path": "/x"}] * 2, [{"volume": "data", "path": f"/{i}"} for i in range(65)]),
]


def refused(r, *parts):
    assert r.rc == 2 and r.out == "" and re.fullmatch(r"bailey: [^\n\x00-\x1f]+\n", r.err), r
    for p in parts:
        assert p in r.err, (p, r)
    return True


@pytest.mark.parametrize("text, parts", BAD)
def test_add(mine, text, parts):
    assert refused(mine("add", text=text), *parts)
    assert mine("ls").json == []


def test_add_takes_what_is_right(mine):
    """The control: what stands at the borders."""
    assert mine("volume", "add", "data").rc == 0
    rows: list[dict[str, Any]] = [{}, {"options": ["a"] * 4096}, {"options": ["a" * ((128 << 10) - 1)]}, {"cwd": "/" + "a" * 4094}, {"timeout": 1}, {"timeout": 2**63 - 1}, {"agent": None},
            {"timeout": None, "freeze": None, "stop": None, "network": None, "services": None}, {"services": [{"name": "a"}]}, {"template": "a" * 255}, {"network": {}}, {"network": []}, {"workspaces": [""]},
            {"volumes": [{"volume": "data", "path": f"/{i}"} for i in range(64)]}, {"agent": "ä"}, {"options": ["\x1b\n\u2028"]}]
    for i, more in enumerate(rows):
        mine.add(f"n{i}", **more)
        got = mine("get", f"n{i}").json
        for key, value in more.items():
            assert got[key] == (sorted(value, key=lambda o: o["path"]) if key == "volumes" else value)
    mine.whole()


def test_how_much(mine):
    """1 MiB is read, and no more: of a file, and of what never ends."""
    head = json.dumps({**OK, "options": ["x" * 100000] * 10})[:-1]
    most = head + " " * (MIB - len(head) - 1) + "}"
    assert len(most) == MIB
    assert mine("add", text=most).rc == 0
    assert refused(mine("add", text=most.replace("}", " }")), "1048576 bytes")
    assert refused(mine("add", text=" " * (MIB + 1)), "1048576 bytes")
    r = mine.caller.exec(["sh", "-c", 'exec "$0" "$1" add </dev/zero', mine.caller.path, mine.state])
    assert refused(r, "1048576 bytes")
    assert mine.names() == ["a"]


@pytest.mark.parametrize("text, parts", [
    row("{}", "changes nothing"), row('{"generation": 1}', "changes nothing"),
    *(row(json.dumps({k: v}), f"field '{k}'", "changed") for k, v in (("name", "b"), ("isolation", "vm"), ("id", "0123456789"), ("created", 1), ("changed", 1))),
    row('{"restart": true, "restart": false}', "no JSON"), row('{"restrat": true}', "field 'restrat'", "did you mean 'restart'?"),
    *(row('{"restart": true, "generation": %s}' % g, "field 'generation'") for g in ("null", "0", "-1", '"1"', "1.0", "true", "[]")),
    row('{"restart": true, "timeout": "5"}', "field 'timeout'"), row('{"restart": true, "volumes": [1]}', "field 'volumes'"),
    row("[]", "object"), row("", "no JSON"),
])
def test_set(mine, text, parts):
    mine.add("a")
    kept = mine("ls").json
    assert refused(mine("set", "a", text=text), *parts)
    assert mine("ls").json == kept


def test_a_volume_that_is_not_there(mine):
    r = mine("add", text={**OK, "volumes": [{"volume": "A' --", "path": "/x"}]})
    assert r.rc == 3 and "field 'volumes'" in r.err and "A' --" in r.err, r
    assert mine("ls").json == []


def test_how_many(mine):
    """There is an end to it, which says so."""
    mine.add("a")
    mine.sql(*(f"INSERT INTO sandboxes SELECT printf('%010x', {i}), 'n{i}', created, changed, isolation, template, agent, options, cwd, workspaces, restart, timeout, freeze, stop, "
               "network, generation, NULL, NULL FROM sandboxes WHERE name = 'a'" for i in range(4094)), *(f"INSERT INTO volumes VALUES ('v{i}', 1, NULL)" for i in range(4095)))
    mine.add("last")
    assert refused(mine("add", text={"name": "more", "cwd": "/"}), "4096 sandboxes")
    assert len(mine("ls").json) == 4096
    assert mine("volume", "add", "last").rc == 0
    assert refused(mine("volume", "add", "more"), "4096 volumes")
    assert mine("rm", "n5").rc == 0 and mine("volume", "rm", "v5").rc == 0
    mine.add("more")
    assert mine("volume", "add", "more").rc == 0


def test_how_much_of_all(mine):
    """What is kept can be read by who asks for all of it: 64 MiB."""
    mine.add("a", options=["x" * 130000] * 8)
    for i in range(6):
        mine.sql(f"INSERT INTO sandboxes SELECT printf('%010x', {i} * 1000 + rowid), printf('n{i}-%d', rowid), created, changed, isolation, template, agent, options, cwd, workspaces, "
                 "restart, timeout, freeze, stop, network, generation, NULL, NULL FROM sandboxes LIMIT 63 - (SELECT count(*) FROM sandboxes)")
    assert len(mine("ls").out) < 64 << 20
    assert mine("add", text={"name": "more", "cwd": "/", "options": ["x" * 130000] * 8}).rc == 0
    assert refused(mine("add", text={"name": "most", "cwd": "/", "options": ["x" * 130000] * 8}), "67108864 bytes")
    assert refused(mine("set", "more", text={"workspaces": ["x" * 130000] * 8}), "67108864 bytes")
    mine.add("less")


def test_how_many_values_of_all(mine):
    """A short value needs more memory where it is read than bytes here: all of them can be read, too."""
    rules = [1] * 300000
    for i in range(15):
        mine.add(f"n{i}", network=rules)
    assert refused(mine("add", text={"name": "most", "cwd": "/", "network": rules}), "67108864 bytes")
    mine.add("less", network=rules[:1000])
