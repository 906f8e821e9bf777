# SPDX-License-Identifier: Apache-2.0
"""One row of the option table makes help, manual page and completion: each is asked for each row, and deleting any of them is noticed."""
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

import pytest

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import shells  # noqa: E402
import words  # noqa: E402

PROJECT = pathlib.Path(__file__).resolve().parents[2]
BAILEY = pathlib.Path(os.environ.get("BAILEY") or "build/bailey")
if not BAILEY.is_absolute():
    BAILEY = PROJECT / BAILEY


def say(*args, **kw):
    r = subprocess.run([BAILEY, *args], capture_output=True, text=True, timeout=300, check=False, **kw)
    assert (r.returncode, r.stderr) == (0, ""), r
    return r.stdout


@pytest.fixture(scope="module")
def dump():
    return json.loads(say("help", "--json"))


@pytest.fixture(scope="module")
def share(tmp_path_factory):
    """What `make install` would put below share/."""
    top = tmp_path_factory.mktemp("share")
    subprocess.run([PROJECT / "tools" / "gen-words", BAILEY, top], check=True, timeout=300)
    return top


@pytest.fixture(scope="module")
def screens(dump):
    return {"": say("help")} | {v["name"]: say("help", v["name"]) for v in dump["verbs"]}


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A directory with something to complete."""
    top = tmp_path_factory.mktemp("files")
    (top / "file-a").touch()
    (top / "dir-a").mkdir()
    return top


@pytest.fixture(scope="module")
def canary():
    os.environ["CANARY_VARIABLE"] = "1"
    yield
    del os.environ["CANARY_VARIABLE"]


@pytest.fixture(scope="module")
def zsh(share, files):
    shell = shells.Zsh(share / "zsh/site-functions/_bailey", files)
    yield shell
    shell.close()


BASH = "bash-completion/completions/bailey"
ZSH = "zsh/site-functions/_bailey"
MAN1 = "man/man1/bailey.1"
MAN5 = "man/man5/bailey-policy.5"
MAN_SRT = "man/man1/bailey-srt.1"


# --- as it is: everything is said -------------------------------------------------------------------------------------------------------


def test_rows_have_words(dump):
    assert len(words.rows(dump)) > 12 and not words.check_rows(dump)


def test_help(dump, screens):
    assert not words.check_help(dump, screens)


def test_help_is_the_same_everywhere(dump, screens):
    assert say() == say("--help") == say("-h") == screens[""]
    for v in dump["verbs"]:
        for args in ([v["name"], "--help"], [v["name"], "-h"], ["--help", v["name"]]):
            assert say(*args) == screens[v["name"]], args


def test_help_of_one_option(dump):
    for row in words.rows(dump):
        text = words.squeeze(say("help", row.verb, f"--{row.name}")) if row.name != "help" else ""
        if text:
            want = f"{row.left} {row.help} {row.man}" + (f" In policy files: {row.key}" if row.key else "")
            assert text == words.squeeze(want), row


def test_no_colour_but_on_a_terminal(screens):
    assert not any("\033" in text for text in screens.values())

    def on_tty(**env):
        r = subprocess.run(["script", "-qec", f"{BAILEY} help run", "/dev/null"], capture_output=True, text=True, timeout=300, check=True,
                           env={"PATH": os.environ["PATH"], **env})
        return r.stdout

    assert "\033[1mFiles\033[0m" in on_tty(TERM="xterm")
    assert "\033[1m" in on_tty(TERM="xterm", NO_COLOR="")
    assert "\033" not in on_tty(TERM="xterm", NO_COLOR="1")
    assert "\033" not in on_tty(TERM="dumb")
    assert "\033" not in on_tty()


def test_man(dump, share):
    assert not words.check_man(dump, words.mandoc(share / MAN1), words.mandoc(share / MAN5))


@pytest.mark.parametrize("page", [MAN1, MAN5, MAN_SRT])
def test_man_is_clean(share, page):
    text = (share / page).read_text()
    assert not re.search(r"^@|@[A-Z]+@", text, re.M), "a place that nobody filled"
    assert text.isascii()
    r = subprocess.run(["mandoc", "-T", "lint", "-W", "all", share / page], capture_output=True, text=True, timeout=300, check=False)
    # they refer to each other, and are not installed; the data base of pages is the machine's business; the page is bailey's, not a system's
    fine = r"not found: Xr (bailey|namespaces|user_namespaces)|outdated mandoc.db|operating system explicitly specified"
    left = [li for li in (r.stdout + r.stderr).splitlines() if not re.search(fine, li)]
    assert not left
    r = subprocess.run(["man", "--warnings", "-E", "UTF-8", "-l", "-Tutf8", "-Z", share / page], capture_output=True, text=True,
                       timeout=300, check=True)
    assert r.stderr == ""


@pytest.mark.parametrize("section", "NAME SYNOPSIS DESCRIPTION ENVIRONMENT FILES EXAMPLES LIMITATIONS".split() + ["EXIT STATUS", "SEE ALSO"])
def test_man_has_sections(share, section):
    assert re.search(rf"^{section}$", words.mandoc(share / MAN1), re.M)
    if section not in ("SYNOPSIS", "ENVIRONMENT", "EXIT STATUS"):
        assert re.search(rf"^{section}$", words.mandoc(share / MAN5), re.M)


def test_bash(dump, share, files, canary):
    assert not words.check_bash(dump, share / BASH, files)


def test_zsh(dump, zsh):
    assert not words.check_zsh(dump, zsh)


def test_bash_is_clean(share):
    r = subprocess.run(["shellcheck", share / BASH], capture_output=True, text=True, timeout=300, check=False)
    assert r.returncode == 0, r.stdout


COMMON = [
    ("bailey ", {"run", "check", "help", "version"}, set()),
    ("bailey ru", {"run"}, {"check"}),
    ("bailey run --allow-w", {"--allow-write"}, {"--allow-read"}),
    ("bailey check ", {"read", "write"}, {"file-a"}),
    ("bailey check read ", {"file-a", "dir-a"}, {"read"}),
    ("bailey check --hide x --json w", {"write"}, {"read"}),
    ("bailey check write file-a f", {"file-a"}, {"dir-a"}),
    ("bailey help ", {"run", "check"}, {"--"}),
    ("bailey help run --hi", {"--hide"}, {"--json"}),
    ("bailey help version --js", {"--json"}, {"--hide"}),
    ("bailey run --workspace ", {"dir-a"}, {"file-a"}),
    ("bailey run --workspace=", {"dir-a"}, {"file-a"}),
    ("bailey run --allow-degraded ", {"overlay", "landlock"}, {"userns", "file-a"}),
    ("bailey run --explain=", {"text", "json"}, set()),
    ("bailey run --timeout ", set(), {"file-a", "--hide"}),
    ("bailey run --hide=x --dry", {"--dry-run"}, set()),
    ("bailey run --hide x -", {"--"}, set()),
    ("bailey version --js", {"--json"}, {"--hide"}),
]


@pytest.mark.parametrize("line,want,never", COMMON, ids=[c[0] for c in COMMON])
def test_completion(share, files, zsh, line, want, never):
    for offers in (shells.bash_offers(share / BASH, [line], files)[line], zsh.offers(line)):
        offers = {o.rstrip("/") for o in offers}
        assert want <= offers and not never & offers, offers


def test_completion_of_the_command(share, files, zsh):
    """Behind "--" the command's own words, with bash-completion and without."""
    assert "file-a" in zsh.offers("bailey run --hide x -- cat fi")
    assert "echo" in zsh.offers("bailey run -- ech")
    assert "--explain" not in zsh.offers("bailey run -- make --expl")
    assert "echo" in shells.bash_offers(share / BASH, ["bailey run -- ech"], files)["bailey run -- ech"]
    both = files.parent / "both"
    both.write_text(f"source /usr/share/bash-completion/bash_completion\nsource {share / BASH}\n")
    line = "bailey run --hide=x --timeout 5 -- git --versi"
    r = shells.bash_offers(both, [line], files)[line]
    assert [o.strip() for o in r] == ["--version"], r


def test_completion_in_a_real_readline(share, files):
    """What readline makes of the offers: it takes words apart at "=" and ":"."""
    import pty
    import select
    import time

    (files / "dir-b:c").mkdir(exist_ok=True)
    out = files.parent / "typed"
    cases = [("bailey run --hide=fil", "bailey run --hide=file-a "), ("bailey run --workspace dir-a:r", "bailey run --workspace dir-a:ro "),
             ("bailey run --workspace dir-a:o", "bailey run --workspace dir-a:overlay "),
             ("bailey run --workspace=dir-a:r", "bailey run --workspace=dir-a:ro "), ("bailey run --explain=j", "bailey run --explain=json "),
             ("bailey run --env CANARY_V", "bailey run --env CANARY_VARIABLE="), ("bailey run --hide fi", "bailey run --hide file-a "),
             ("bailey run --timeo", "bailey run --timeout ")]
    rc = files.parent / "bashrc"
    rc.write_text(f"source {share / BASH}\nPS1='' PS2=''\nexport CANARY_VARIABLE=1\nset +o history\n"
                  f"mark() {{ printf '%s|\\n' \"$READLINE_LINE\" >>{out}; READLINE_LINE=; }}\n"
                  "bind -x '\"\\C-x\\C-e\": mark'\nbind 'set bell-style none'\nbind 'set mark-directories off'\n")
    out.touch()
    pid, tty = pty.fork()
    if pid == 0:
        os.chdir(files)
        os.execvpe("bash", ["bash", "--noprofile", "--rcfile", str(rc), "-i"], {"PATH": os.environ["PATH"], "TERM": "dumb"})
    try:
        time.sleep(0.3)
        for line, _ in cases:
            os.write(tty, line.encode() + b"\t\x18\x05")
        end = time.monotonic() + 20
        while out.read_text().count("\n") < len(cases) and time.monotonic() < end:
            if select.select([tty], [], [], 0.05)[0]:
                os.read(tty, 65536)
        assert out.read_text().splitlines() == [f"{want}|" for _, want in cases]
    finally:
        os.kill(pid, 9)  # our child, not reaped yet
        os.waitpid(pid, 0)
        os.close(tty)


def test_install(share, tmp_path):
    """Everything goes to its place, and goes again."""
    env = {k: v for k, v in os.environ.items() if not k.startswith(("MAKE", "BAILEY"))}
    make = ["make", "-s", "-C", str(PROJECT), f"DESTDIR={tmp_path}", "PREFIX=/usr"]
    subprocess.run([*make, "install"], check=True, timeout=300, capture_output=True, env=env)
    found = {str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*") if p.is_file()}
    assert found == {"usr/bin/bailey", "usr/libexec/bailey/bailey-keys", "usr/libexec/bailey/bailey-store"} | {f"usr/share/{f}" for f in (MAN1, MAN5, MAN_SRT, BASH, ZSH)}
    for f in (MAN1, MAN5, MAN_SRT, BASH, ZSH):
        assert (tmp_path / "usr/share" / f).read_text() == (share / f).read_text(), f
    subprocess.run([*make, "uninstall"], check=True, timeout=300, capture_output=True, env=env)
    assert not [p for p in tmp_path.rglob("*") if p.is_file()]


# --- with one thing deleted: the checks notice, and name it -----------------------------------------------------------------------------


def named(findings, row):
    return any(f.startswith(f"{row}:") for f in findings)


def without(lines, start, stop):
    """LINES without the first one that START matches and those up to the next that STOP matches."""
    for i, line in enumerate(lines):
        if start(line):
            end = next(k for k in range(i + 1, len(lines) + 1) if k == len(lines) or stop(lines[k]))
            return lines[:i] + lines[end:]
    raise AssertionError("nothing to delete")


def test_a_row_without_words_is_noticed(dump):
    for v in range(len(dump["verbs"])):
        for o in range(len(dump["verbs"][v]["options"]) - 1):
            for field in ("help", "man"):
                copy = json.loads(json.dumps(dump))
                copy["verbs"][v]["options"][o][field] = ""
                row = words.rows({"verbs": [dump["verbs"][v]]})[o]
                assert named(words.check_rows(copy), row), (row, field)
        for field in ("about", "summary", "examples", "statuses"):
            copy = json.loads(json.dumps(dump))
            copy["verbs"][v][field] = type(copy["verbs"][v][field])()
            assert words.check_rows(copy), field


def test_a_line_of_help_that_is_gone_is_noticed(dump, screens):
    for row in words.rows(dump):
        lines = screens[row.verb].splitlines(True)
        less = without(lines, lambda li: re.match(rf"  {re.escape(row.left)}(?= |$)", li),  # pylint: disable=cell-var-from-loop
                       lambda li: not li.startswith("   "))
        assert named(words.check_help(dump, screens | {row.verb: "".join(less)}), row), row
    for v in dump["verbs"]:
        less = "".join(li for li in screens[""].splitlines(True) if not li.startswith(f"  {v['name']} "))
        assert words.check_help(dump, screens | {"": less}), v["name"]


def some(all_of):
    """All in `make test-full`; each takes programs of others to read it."""
    return all_of if os.environ.get("THOROUGH") else all_of[::4]


def own_section(dump, row):
    """The verb in whose section of bailey(1) the row stands."""
    return next(r.verb for r in words.rows(dump) if r[1:] == row[1:])


@pytest.mark.thorough
def test_a_paragraph_of_the_manual_that_is_gone_is_noticed(dump, share, tmp_path):
    page1, page5 = (share / MAN1).read_text(), (share / MAN5).read_text()
    text1, text5 = words.mandoc(share / MAN1), words.mandoc(share / MAN5)
    for row in some(words.rows(dump)):
        if row.name == "help" or own_section(dump, row) != row.verb:
            continue
        at = page1.index(f"\n.Ss bailey {row.verb}\n")
        less = without(page1[at:].splitlines(True), lambda li: re.match(rf"\.It (Fl \w , )?Fl -{row.name}(?=\s)", li),  # pylint: disable=cell-var-from-loop
                       lambda li: li.startswith((".It ", ".El")))
        (tmp_path / "1").write_text(page1[:at] + "".join(less))
        assert named(words.check_man(dump, words.mandoc(tmp_path / "1"), text5), row), row
        if row.key and row.verb != "create":
            group, key = row.key.split(".")
            at = page5.index(f"\n.Ss {group}\n")
            less = without(page5[at:].splitlines(True), lambda li: li == f".It Cm {key}\n",  # pylint: disable=cell-var-from-loop
                           lambda li: li.startswith((".It ", ".El")))
            (tmp_path / "5").write_text(page5[:at] + "".join(less))
            assert named(words.check_man(dump, text1, words.mandoc(tmp_path / "5")), row), row


@pytest.mark.thorough
def test_an_offer_of_bash_that_is_gone_is_noticed(dump, share, files, canary, tmp_path):
    text = (share / BASH).read_text()
    for row in some(words.rows(dump)):
        less, n = re.subn(rf"^(\t{row.verb}\) printf .*) --{row.name}(?= )", r"\1", text, flags=re.M)
        assert n == 1, row
        (tmp_path / "name").write_text(less)
        assert named(words.check_bash(dump, tmp_path / "name", files, row), row), row
        if len(words.questions(dump, row)) > 1:
            less, n = re.subn(rf"^\t'{row.verb} --{row.name}=?'( \| .*)?\) echo .*\n", "", text, flags=re.M)
            assert n == 1, row
            (tmp_path / "value").write_text(less)
            assert named(words.check_bash(dump, tmp_path / "value", files, row), row), row


@pytest.mark.thorough
def test_an_offer_of_zsh_that_is_gone_is_noticed(dump, share, files, tmp_path):
    text = (share / ZSH).read_text()
    shell = shells.Zsh(share / ZSH, files)
    try:
        for row in some(words.rows(dump)):
            at = text.index(f"\n_bailey_{row.verb}()\n")
            less = re.sub(rf"^\t\t'\*?--{row.name}[=\[].*\n", "", text[at:], count=1, flags=re.M)
            assert len(less) < len(text) - at, row
            (tmp_path / "_bailey").write_text(text[:at] + less)
            shell.reload(tmp_path / "_bailey")
            assert named(words.check_zsh(dump, shell, row), row), row
        shell.reload(share / ZSH)
        assert not words.check_zsh(dump, shell), "the shell itself is still well"
    finally:
        shell.close()


def test_every_tool_is_there():
    """No check above is worth anything without these."""
    for tool in ("bash", "zsh", "mandoc", "man", "shellcheck", "script"):
        assert shutil.which(tool), f"{tool} is missing: make deps-test"
    assert os.path.exists("/usr/share/bash-completion/bash_completion"), "bash-completion is missing: make deps-test"
