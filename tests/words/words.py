# SPDX-License-Identifier: Apache-2.0
"""Whether help, manual pages and completions say what the tables of the program say. Each check returns its findings, a line each."""
import functools
import re
import subprocess
from typing import NamedTuple

from shells import bash_offers

HELP_WIDTH = 80


class Row(NamedTuple):
    verb: str
    name: str
    letter: str
    type: str
    arg: str
    key: str
    help: str
    man: str

    @property
    def left(self):
        """As help and manual page show it."""
        short = f"-{self.letter}, " if self.letter else ""
        if self.type == "optional":
            return f"{short}--{self.name}[={self.arg}]"
        return f"{short}--{self.name}" + (f" {self.arg}" if self.arg else "")

    @property
    def sentence(self):
        return self.help[:1].upper() + self.help[1:] + "."

    def __str__(self):
        return f"{self.verb} --{self.name}"


def rows(dump):
    return [Row(v["name"], *(o[k] or "" for k in ("name", "letter", "type", "arg", "key", "help", "man")))
            for v in dump["verbs"] for o in v["options"]]


@functools.lru_cache(4096)  # the same texts are asked about for every row, and for every row that is taken away
def squeeze(text):
    return " ".join(text.split())


def check_rows(dump):
    """The words that a row must have."""
    found = []
    for v in dump["verbs"]:
        if not re.match(rf"bailey {v['name']}\b", v["usage"]):
            found.append(f"{v['name']}: the usage does not begin with the verb")
        if v["options"][:-1] and "[OPTIONS]" not in v["usage"]:
            found.append(f"{v['name']}: has options, but the usage has no [OPTIONS]")
        if not re.match(r"[a-z].*[^.]$", v["summary"]):
            found.append(f"{v['name']}: the summary is no phrase: {v['summary']!r}")
        if not re.match(r"[A-Z].*\.$", v["about"] or "", re.S):
            found.append(f"{v['name']}: what it is about is not said in whole sentences")
        if not v["statuses"] or not v["examples"]:
            found.append(f"{v['name']}: no exit statuses, or no examples")
        for part in v["statuses"] + v["examples"]:
            if not re.match(r"\S.*[^.\s]$", part["means"]):
                found.append(f"{v['name']}: {part['what']}: no phrase: {part['means']!r}")
        names = [o["name"] for o in v["options"]]
        found += [f"{v['name']} --{n}: stands there twice" for n in set(names) if names.count(n) > 1]
    for row in rows(dump):
        if not re.match(r"[A-Z].*[^.\s]$", row.help):
            found.append(f"{row}: the help line is no phrase: {row.help!r}")
        if row.name != "help" and not re.match(r"[A-Z0-9].*\.$", row.man, re.S):
            found.append(f"{row}: the manual text is no sentence: {row.man!r}")
        if (row.type == "flag") != (row.arg == ""):
            found.append(f"{row}: only what is no flag has a name for its value")
        if row.key and not re.fullmatch(r"[a-z]+\.[a-z][A-Za-z]*", row.key):
            found.append(f"{row}: the key is not group.camelCase: {row.key!r}")
    return found


def check_help(dump, screens):
    """SCREENS: {verb: its help, "": the list of verbs}"""
    found = []
    for name, text in screens.items():
        found += [f"help {name}: a line of {len(li)} columns: {li}" for li in text.splitlines() if len(li) > HELP_WIDTH]
    for v in dump["verbs"]:
        if not re.search(rf"^  {v['name']} +{re.escape(v['summary'])}$", screens[""], re.M):
            found.append(f"{v['name']}: not in the list of verbs")
        text = screens[v["name"]]
        if not text.startswith(v["usage"] + "\n"):
            found.append(f"{v['name']}: its screen does not begin with the usage")
        for part in [squeeze(v["about"] or "")] + [squeeze(p["what"] + " " + p["means"]) for p in v["statuses"] + v["examples"]]:
            if part not in squeeze(text):
                found.append(f"{v['name']}: not in its help: {part}")
    for row in rows(dump):
        # the option at the left, what it means behind it or below, up to the next option or title
        item = re.search(rf"^  {re.escape(row.left)}(?= |\n)(.*?)(?=^  \S|^\S|^\n|\Z)", screens[row.verb], re.M | re.S)
        if not item or squeeze(item.group(1)) != squeeze(row.help):
            found.append(f"{row}: not in help as the row says")
    return found


def mandoc(path):
    """A page as plain text, as wide as it likes."""
    r = subprocess.run(["mandoc", "-T", "utf8", "-O", "width=1000", path], capture_output=True, text=True, check=True, timeout=300)
    return re.sub(".\b", "", r.stdout)


@functools.lru_cache(256)
def man_section(page, verb):
    found = re.search(rf"^   bailey {verb}$(.*?)(?=^   \S|^\S)", page, re.M | re.S)
    return found.group(1) if found else ""


def check_man(dump, page1, page5):
    """PAGE1, PAGE5: texts of bailey(1) and bailey-policy(5)"""
    found = []
    flat1 = squeeze(page1)
    lower1, joined1 = flat1.lower(), re.sub(r"(?<=\d) (?=[A-Z])| (?=[A-Z])", " ", flat1)
    for v in dump["verbs"]:
        section = man_section(page1, v["name"])
        if squeeze(v["about"] or "") not in squeeze(section):
            found.append(f"{v['name']}: no section of bailey(1) that says what it does")
        if squeeze(v["usage"]).replace("...", " ...").replace("|", " | ") not in flat1.split("DESCRIPTION")[0]:
            found.append(f"{v['name']}: not in the synopsis of bailey(1)")
        for part in v["examples"]:
            if "$ " + squeeze(part["what"]) not in flat1:
                found.append(f"{v['name']}: the example is not in bailey(1): {part['what']}")
        for part in v["statuses"]:
            if squeeze(part["what"] + " " + part["means"]) not in joined1 and part["means"].lower() not in lower1:
                found.append(f"{v['name']}: the exit status is not in bailey(1): {part['what']}")
    for row in rows(dump):
        if row.name == "help":
            if "--help" not in flat1:
                found.append(f"{row}: not in bailey(1)")
            continue
        text = man_section(page1, row.verb)
        refers = re.search(r"The options of bailey (\w+)", text)
        want = squeeze(f"{row.sentence} {row.man}" + (f" In policy files: {row.key}." if row.key else ""))
        if not any(squeeze(f"{row.left} {want}") in squeeze(t)
                   for t in [text] + ([man_section(page1, refers.group(1))] if refers else [])):
            found.append(f"{row}: not in bailey(1) as the row says")
        if row.key and row.verb != "create":  # what a key of a run's means for a sandbox's life is said there alone
            group, key = row.key.split(".")
            section = re.search(rf"^   {group}$(.*?)(?=^   \S|^\S)", page5, re.M | re.S)
            said = squeeze(section.group(1)) if section else ""
            if squeeze(f"{key} {row.sentence} {row.man} The value is") not in said or f"On the command line: --{row.name}." not in said:
                found.append(f"{row}: the key {row.key} is not in bailey-policy(5) as the row says")
    return found


def kind_of(arg):
    """The capitals that the name of a value begins with say what it is."""
    return arg[:len(arg) - len(arg.lstrip("ABCDEFGHIJKLMNOPQRSTUVWXYZ"))]


def choices(dump, arg):
    """The values that an argument can have, when they are known."""
    if "|" in arg and arg == arg.lower():
        return arg.split("|")
    return [v["what"] for v in dump["values"].get(kind_of(arg), [])]


def questions(dump, row):
    """(line, what must be offered) for everything that completion should know of a row."""
    asked = [(f"bailey {row.verb} --{row.name[:-1]}", f"--{row.name}")]
    if row.type in ("string", "list"):
        for value in choices(dump, row.arg):
            asked += [(f"bailey {row.verb} --{row.name} {value[:-1]}", value), (f"bailey {row.verb} --{row.name}={value[:-1]}", value)]
        kind = kind_of(row.arg)
        for value in {"PATH": ["file-a", "dir-a"], "FILE": ["file-a", "dir-a"], "DIR": ["dir-a"], "VAR": ["CANARY_VARIABLE"]}.get(kind, []):
            more = "=" if "=" in row.arg else ""
            asked += [(f"bailey {row.verb} --{row.name} {value[:-2]}", value + more),
                      (f"bailey {row.verb} --{row.name}={value[:-2]}", value + more)]
    if row.type == "optional":
        asked += [(f"bailey {row.verb} --{row.name}={value[:-1]}", value) for value in choices(dump, row.arg)]
    return asked


def has(offers, want):
    """zsh keeps the "=" behind a variable to itself."""
    return want in offers or want.rstrip("=") in offers or want in [o.rstrip("/") for o in offers]


def check_bash(dump, path, cwd, only=None):
    asked = [(row, line, want) for row in rows(dump) if only in (None, row) for line, want in questions(dump, row)]
    answers = bash_offers(path, [line for _, line, _ in asked], cwd)
    return [f"{row}: bash does not offer {want} for: {line}" for row, line, want in asked if not has(answers[line], want)]


def check_zsh(dump, shell, only=None):
    return [f"{row}: zsh does not offer {want} for: {line}" for row in rows(dump) if only in (None, row)
            for line, want in questions(dump, row) if not has(shell.offers(line), want)]
