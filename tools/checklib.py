# SPDX-License-Identifier: Apache-2.0
"""What the check-* scripts share: the list of files, C without comments, and results as TAP."""

import os
import re
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def files(*tops: str, root: str = ROOT) -> list[str]:
    """Files of the project below TOPS, relative to ROOT. New files count: they are about to be committed."""
    out = subprocess.run(
        ["git", "-C", root, "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *tops],
        capture_output=True, check=False)
    if out.returncode == 0:
        names = out.stdout.decode().split("\0")
    else:  # an unpacked archive
        names = []
        for top in tops or (".",):
            for path, dirs, leaf in os.walk(os.path.join(root, top)):
                dirs[:] = [d for d in dirs if not d.startswith((".", "build", "__pycache__"))]
                names += [os.path.relpath(os.path.join(path, f), root) for f in leaf]
    return sorted({n for n in names if n and os.path.isfile(os.path.join(root, n))})


def read(name: str, root: str = ROOT) -> str:
    with open(os.path.join(root, name), encoding="utf-8", errors="replace") as f:
        return f.read()


def interpreter(name: str) -> str:
    """The program named by the #! line, without its directory; "" when there is none."""
    with open(os.path.join(ROOT, name), "rb") as f:
        first = f.readline(200)
    if not first.startswith(b"#!"):
        return ""
    words = first[2:].decode(errors="replace").split()
    if len(words) > 1 and os.path.basename(words[0]) == "env":
        words = words[1:]
    return os.path.basename(words[0]) if words else ""


def scripts(kind: str) -> list[str]:
    """All scripts of a kind ("sh" or "python"), known by suffix or #! line."""
    suffix, progs = {"sh": (".sh", ("sh", "bash", "dash")), "python": (".py", ("python3", "python"))}[kind]
    return [n for n in files() if n.endswith(suffix)
            or ("." not in os.path.basename(n).lstrip(".") and interpreter(n) in progs)]


_TOKEN = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)


def bare_c(text: str) -> str:
    """C with comments and string contents blanked; line numbers stay."""
    def blank(m: re.Match[str]) -> str:
        return re.sub(r"[^\n]", " ", m.group())
    return _TOKEN.sub(blank, text)


class Tap:
    """Results as TAP: finding() lines belong to the next result()."""

    def __init__(self) -> None:
        self.count = self.failed = 0
        self._found: list[str] = []

    def finding(self, text: str) -> None:
        self._found.append(text)

    def result(self, name: str) -> None:
        self.count += 1
        for line in self._found:
            for part in line.splitlines():
                print("# " + part)
        bad = bool(self._found)
        self.failed += bad
        print(f"{'not ok' if bad else 'ok'} {self.count} - {name}", flush=True)
        self._found = []

    def skip(self, name: str, why: str) -> None:
        self.count += 1
        print(f"ok {self.count} - {name} # SKIP {why}", flush=True)

    def done(self) -> None:
        print(f"1..{self.count}", flush=True)
        sys.exit(1 if self.failed else 0)
