# SPDX-License-Identifier: Apache-2.0
"""
Test suites of other projects: where their sources come from, how their results are read, and what counts as the same.

A suite is run twice by the same caller in the same tree: outside, then as `bailey run -- SUITE`. Each test has a name and one of the
words of PASS, FAIL, SKIP (as the suite means them). A name with two different words is a difference. A difference that no `Because` of the
suite names is run again, alone, outside and inside, since suites have tests that depend on the machine's load; if it is there again, it is
a failure: of bailey, or of the list of reasons.
"""
import pathlib
import re
import shutil
import xml.etree.ElementTree
from multiprocessing import shared_memory
from typing import Callable, NamedTuple, Optional

from callers import BAILEY, skip

SLOW = 3000  # seconds for one suite; about 100 on a quiet machine, and 20 times that where a fork takes 10 ms

Results = dict[str, str]


class Because(NamedTuple):
    """Tests whose names match NAMES get INSIDE, not OUTSIDE, and that is meant. SELDOM: on some machines only."""

    names: str
    outside: str
    inside: str
    reason: str
    seldom: bool = False


def explain(name, was, now, reasons):
    for because in reasons:
        if re.fullmatch(because.names, name) and (was, now) == (because.outside, because.inside):
            return because
    return None


def differences(outside: Results, inside: Results) -> dict[str, tuple[str, str]]:
    return {
        name: (outside.get(name, "absent"), inside.get(name, "absent"))
        for name in sorted({*outside, *inside})
        if outside.get(name) != inside.get(name)
    }


def same(suite: Callable[[list, Optional[list[str]]], Results], least: int, reasons=()):
    """
    Run SUITE(PREFIX, ONLY) outside and inside, and compare. PREFIX stands before the command, ONLY are the names of tests, or None for all.
    LEAST: that many tests must have passed outside, so that an empty suite is no success.
    """
    within = [BAILEY, "run", "--"]
    outside, inside = suite([], None), suite(within, None)
    passed = sum(word == "PASS" for word in outside.values())
    assert passed >= least, f"{passed} tests passed outside, at least {least} were expected: {outside}"

    used, open_ = set(), {}
    for name, (was, now) in differences(outside, inside).items():
        because = explain(name, was, now, reasons)
        if because:
            used.add(because)
            print(f"{name}: {was} outside, {now} inside: {because.reason}")
        else:
            print(f"{name}: {was} outside, {now} inside: once more")
            open_[name] = (was, now)
    if open_:
        names = list(open_)
        left = differences(suite([], names), suite(within, names))
        left = {name: words for name, words in left.items() if name in open_ and not explain(name, *words, reasons)}
        assert not left, f"different outside and inside, twice, and no reason is known: {left}"
    # A reason that explains nothing any more hides the next defect.
    stale = [because.names for because in reasons if not because.seldom and because not in used]
    assert not stale, f"these are no different any more: {stale}"
    words = list(inside.values())
    print(f"{len(words)} tests inside: " + ", ".join(f"{words.count(w)} {w}" for w in sorted(set(words))))


def has_shm() -> bool:
    """Does shared memory work on this machine? In some containers /dev/shm is missing; inside bailey there always is one."""
    try:
        shared_memory.SharedMemory(create=True, size=1).unlink()
    except OSError:
        return False
    return True


# ---- how results are read ----


def automake(text: str) -> Results:
    """The lines of automake's parallel driver: PASS: tests/x.sh"""
    found = re.findall(r"^(PASS|FAIL|SKIP|XFAIL|XPASS|ERROR): (\S+\.(?:sh|pl|xpl))$", text, re.M)
    return {name: {"XFAIL": "PASS", "XPASS": "FAIL", "ERROR": "FAIL"}.get(word, word) for word, name in found}


def autotest(text: str) -> Results:
    """The lines of autotest: ` 12: what it does    ok`. Without a word after the name it is one that did not end."""
    found = re.findall(r"^ *(\d+): (.+?) +(ok|FAILED|skipped|expected failure|unexpected pass)\b.*$", text, re.M)
    words = {"ok": "PASS", "expected failure": "PASS", "skipped": "SKIP"}
    return {f"{number} {name}": words.get(word, "FAIL") for number, name, word in found}


def tap(text: str) -> Results:
    """TAP of node --test, nested: a test is named by its number among those of one name, since names repeat."""
    results: Results = {}
    for indent, no, name, directive in re.findall(r"^( *)(not )?ok \d+ - (.*?)( # (?:SKIP|TODO).*)?$", text, re.M):
        if name.endswith(".js"):
            continue  # the file around the tests: named by its path
        key = f"{name} ({sum(k.rpartition(' (')[0] == name for k in results) + 1})"
        results[key] = "SKIP" if "SKIP" in directive else "FAIL" if no else "PASS"
    return results


def cargo(text: str) -> Results:
    words = {"ok": "PASS", "FAILED": "FAIL", "ignored": "SKIP"}
    results: Results = {}
    where = ""
    for line in text.splitlines():
        target = re.match(r" +(?:Running (?:unittests )?(\S+)|Doc-tests (\S+))", line)
        if target:
            where = target[1] or target[2]
        test = re.match(r"test (.+?)(?: - should panic)? \.\.\. (ok|FAILED|ignored)", line)
        if test:
            results[f"{where} {test[1]}"] = words[test[2]]
    return results


def junit(path: pathlib.Path) -> Results:
    """What `python3 -m test --junit-xml` writes. Several entries of one test (subtests): the worst counts."""
    results: Results = {}
    for case in xml.etree.ElementTree.parse(path).iter("testcase"):
        name = case.get("name", "")
        if not name:
            continue  # a module that could not be imported: its tests are missing, which is noticed
        word = "FAIL" if case.find("error") is not None or case.find("failure") is not None else "SKIP" if case.find("skipped") is not None else "PASS"
        results[name] = "FAIL" if "FAIL" in (word, results.get(name)) else word
    return results


# ---- sources of Debian packages ----


def source_lists(into: pathlib.Path, codename: str) -> None:
    """The machine's own mirrors of this release, asked for sources instead of packages."""
    etc = pathlib.Path("/etc/apt")
    for path in [etc / "sources.list", *sorted((etc / "sources.list.d").glob("*"))]:
        if not path.is_file() or path.suffix not in (".list", ".sources"):
            continue
        text = path.read_text()
        if path.suffix == ".list":
            lines = [li for li in text.splitlines() if re.match(r"deb\s", li) and re.search(rf"\s{codename}\b", li)]
            kept = "".join(re.sub(r"^deb\s", "deb-src ", li) + "\n" for li in lines)
        else:
            stanzas = [s for s in re.split(r"\n\s*\n", text) if re.search(rf"^Suites:.*\b{codename}\b", s, re.M)]
            kept = "\n\n".join(re.sub(r"^Types:.*$", "Types: deb-src", s, flags=re.M) for s in stanzas)
        if kept:
            (into / path.name).write_text(kept)
            (into / path.name).chmod(0o644)


class Sources:
    """apt with a configuration, lists and a cache of its own: the machine's are not touched."""

    def __init__(self, caller, top: pathlib.Path):
        self.caller, self.top = caller, top
        parts = caller.mkdir(top / "parts")
        for name in ("state/lists/partial", "cache/archives/partial"):
            caller.mkdir(top / name)
        release = dict(li.split("=", 1) for li in pathlib.Path("/etc/os-release").read_text().splitlines() if "=" in li)
        source_lists(parts, release.get("VERSION_CODENAME", "").strip('"') or "stable")
        self.problem = "" if any(parts.iterdir()) else "no mirror of this Debian release in /etc/apt"
        if not self.problem:
            r = self.apt("update")
            self.problem = "" if r.rc == 0 and not re.search("^[EW]:", r.err, re.M) else f"apt-get update: {r.err}"

    def apt(self, *args):
        dirs = {"Etc::SourceList": "/dev/null", "Etc::SourceParts": self.top / "parts", "State": self.top / "state", "Cache": self.top / "cache"}
        options = [f"-oDir::{name}={value}" for name, value in dirs.items()]
        return self.caller.exec(["apt-get", "-qq", *options, "-oAcquire::Retries=3", *args], cwd=self.top, timeout=300)

    def get(self, package: str, build: list[str]) -> pathlib.Path:
        """The unpacked and built source of PACKAGE."""
        if self.problem:
            skip(self.problem)
        r = self.apt("source", package)
        if r.rc != 0:
            skip(f"apt-get source {package}: {r.err}")
        found = [p for p in self.top.glob(f"{package}-*") if p.is_dir()]
        assert len(found) == 1, found
        # Patches made some files newer than what was made from them: nothing is to be made again, since not every tool is here.
        for argv in (["sh", "-c", "touch stamp && find . -exec touch -h -r stamp {} +"], *(["sh", "-c", b] for b in build)):
            r = self.caller.exec(argv, cwd=found[0], timeout=SLOW)
            assert r.rc == 0, (argv, r.out[-3000:], r.err[-3000:])
        return found[0]


def remove(path):
    """Suites leave directories that can't be listed."""
    for p in [path, *path.rglob("*")]:
        if p.is_dir() and not p.is_symlink():
            p.chmod(0o700)
    shutil.rmtree(path, ignore_errors=True)
