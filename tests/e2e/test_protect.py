# SPDX-License-Identifier: Apache-2.0
"""What the host executes later, beside git: existing names are read-only, wherever the search finds them. test_git.py has git."""
import json
import os
import pathlib
import re
import shutil
import time

import pytest

from conftest import BAILEY, PROJECT, wait_for


def rows(section="In any writable directory"):
    """The rows of a section of docs/protected-paths.md, which a unit test holds to the table."""
    found, keep, any_dir = [], False, False
    for line in (PROJECT / "docs/protected-paths.md").read_text(encoding="utf-8").split("\n"):
        if line.startswith("## "):
            keep = "`protect`" in line
        elif line.startswith("In "):
            any_dir = line.startswith(section)
        elif keep and any_dir and (m := re.match(r"\| `([^`]+)` \|", line)) and m[1] != ".git":
            found.append(m[1])
    assert len(found) > 20
    return found


def attack(path):
    """Changes PATH by each way that there is, one after the other, in a shell."""
    q = f"'{path}'"
    parent = os.path.dirname(path) or "."
    return (
        f"{{ if [ -d {q} ]; then echo x > {q}/evil; else echo x >> {q}; fi; }} 2>/dev/null && echo written; "
        f"mv {q} {q}.gone 2>/dev/null && echo moved; rm -rf {q} 2>/dev/null && echo removed; "
        f"echo x > evil && mv -f evil {q} 2>/dev/null && ! [ -d {q} ] && echo replaced; ln -sfn /tmp {q} 2>/dev/null && ! [ -d {q} ] && echo linked; "
        f"[ {parent} = . ] || {{ mv '{parent}' '{parent}.gone' 2>/dev/null && echo parent; }}; true"
    )


def plant(user, ws, name):
    if name.endswith("/"):
        user.write(ws / name / "inner", "inner\n")
    else:
        # bailey's own is read at the start, so it must be one
        user.write(ws / name, "{}\n" if name.endswith(".bailey.json") else "text\n")


def state(ws):
    return {
        str(p.relative_to(ws)): (p.is_dir(), p.read_text() if p.is_file() else os.readlink(p) if p.is_symlink() else "")
        for p in ws.rglob("*")
        if p.name not in ("evil",)
    }


def test_every_row(run, user, ws):
    """Denied inside; the control: the same outside; the twin: what is beside it, and what --unprotect names."""
    names = rows()
    for name in names:
        plant(user, ws, name)
        user.write(ws / pathlib.Path(name).parent / "beside", "beside\n")
    before = state(ws)
    script = "; ".join(attack(n.rstrip("/")) for n in names)
    r = run(script)
    assert r.rc == 0 and r.out == "", r
    assert state(ws) == before
    r = run("; ".join(f"echo y >> '{pathlib.Path(n).parent}/beside'" for n in names))
    assert r.rc == 0, r
    write = "; ".join(attack(n.rstrip("/")).split(";  mv")[0].split("; mv")[0] for n in names)
    assert run(write).out == "" and state(ws)
    r = run(write, "--unprotect", ws)
    assert r.out.count("written") == len(names), r
    assert user.exec(["sh", "-c", write], cwd=ws).out == r.out, "control"
    out = user.exec(["sh", "-c", script], cwd=ws).out
    for word in ("moved", "removed", "replaced", "parent"):
        assert word in out, f"control: {word}"


def test_deep_and_renamed_ancestors(run, user, ws):
    for d in ("a/b/c", "a/b", "a"):
        user.write(ws / d / ".envrc", "text\n")
    before = state(ws)
    r = run(
        "mv a x; mv a/b a/x; mv a/b/c a/b/x; mv a/b c; rm -rf a; cd a/b && mv c d; cd ..; mv b d; cd ../a/b/c && mv ../../../a ../../../x; "
        "mkdir n; mv a n; python3 -c \"import ctypes, os; l = ctypes.CDLL(None); os.mkdir('e'); print(l.renameat2(-100, b'a', -100, b'e', 2))\""
    )
    left = state(ws)
    assert {k: v for k, v in left.items() if k in before} == before, r
    assert "-1" in r.out or "python3" in r.err, r
    assert user.exec(["mv", "a/b/c", "a/b/x"], cwd=ws).rc == 0, "control"
    assert run("mv a/b y && echo moved", "--unprotect", "a").out == "moved\n", "nothing is pinned that holds nothing protected"


def test_rename_inside_a_pinned_directory(run, user, ws):
    """A pinned directory is a mount of its own: mv copies, and what is in it can be renamed."""
    user.write(ws / "a/.envrc")
    user.write(ws / "a/f", "f\n")
    assert run("mv a/f a/g && mv a/g b && mv b a/h && mkdir -p a/d && mv a/d a/e && cat a/h").out == "f\n"


def test_links(run, user, ws, outside):
    """Hooks that are a link, a link to that, a directory that is one, and one that leads out."""
    user.mkdir(ws / "real")
    user.write(ws / "real/hook", "hook\n")
    user.symlink("real", ws / "l")
    user.symlink("l", ws / ".husky")
    user.write(outside / "o", "out\n")
    user.symlink(outside / "o", ws / ".envrc")
    r = run(
        "for i in .husky l real .envrc; do rm -rf $i && echo removed $i; mv $i x && echo moved $i; ln -sfn /tmp $i && [ ! -d $i ] && echo linked; done; "
        "echo x > real/new && echo written; echo x > .husky/hook && echo written; echo x > l/hook && echo written; echo x > .envrc && echo written; cat .husky/hook"
    )
    assert r.out == "hook\n", r
    assert os.readlink(ws / ".husky") == "l" and os.readlink(ws / "l") == "real" and os.readlink(ws / ".envrc") == str(outside / "o")
    assert run("rm .husky && echo ok", "--unprotect", ws).out == "ok\n", "control"


def test_link_loops_and_odd_things(run, user, ws):
    user.mkdir(ws / "d")
    user.symlink("..", ws / "d/up")
    user.symlink(".", ws / "here")
    user.symlink(".vscode", ws / ".vscode")
    user.symlink("../..", ws / "d/.husky")
    user.mkdir(ws / "e")
    os.mkfifo(ws / "e/.git")
    user.own(ws / "e/.git")
    r = run("echo ok > f && cat f")
    assert r.out == "ok\n", r


def test_odd_names(run, bailey, user, ws):
    names = ["new\nline", "a b", "quo'te", 'dou"ble', "back\\slash", "co:lon,comma", "ünï", "raw\udcff", "-dash", "$(touch evil)"]
    for name in names:
        user.write(ws / name / ".envrc", "text\n")
    r = run("for i in */.envrc; do echo x > \"./$i\" && echo written; done; ls -d */ | wc -l")
    assert r.rc == 0 and "written" not in r.out and not (ws / "evil").exists(), r
    doc = json.loads(bailey(["run", "--explain=json", "--", "true"], cwd=ws).out)
    denied = {rule["path"] for rule in doc["policy"] if rule["origin"] == "built-in: protected: direnv"}
    assert denied == {str(ws / n / ".envrc") for n in names if "\udcff" not in n} | {p for p in denied if "raw" in p} and len(denied) == len(names)


def test_unreadable_directories(plain_user, works):
    """What its owner has closed is read-only as a whole: an earlier run can have closed it, and a later one could open it again."""
    assert not works(plain_user)
    ws = plain_user.mkdir(plain_user.base / "unreadable")
    plain_user.write(ws / "closed/.envrc", "text\n")
    plain_user.write(ws / "open/.envrc", "text\n")

    def run(script, *opts):
        return plain_user.exec([BAILEY, "run", *opts, "--", "sh", "-c", script], cwd=ws)

    script = "chmod 755 closed && echo opened; echo x > closed/.envrc && echo written; mv closed c && echo moved; echo x > open/.envrc && echo written; echo ran"
    try:
        for mode in (0o311, 0o600, 0):
            (ws / "closed").chmod(mode)
            assert run(script).out == "ran\n", oct(mode)
            r = plain_user.exec([BAILEY, "run", "--explain", "--", "true"], cwd=ws)
            assert re.search(rf"{ws}/closed +\[built-in: protected: unseen directory\]", r.out), r.out
            assert plain_user.exec(["sh", "-c", "chmod 755 closed && cat closed/.envrc"], cwd=ws).out == "text\n", "control"
        for mode in (0o311, 0o111):
            ws.chmod(mode)
            r = run("echo ran")
            assert r.rc != 0 and r.out == "" and f"'{ws}'" in r.err and "chmod u+rx" in r.err, r
        ws.chmod(0o755)
        assert run("echo ran").out == "ran\n"
    finally:
        ws.chmod(0o755)
        (ws / "closed").chmod(0o755)
        shutil.rmtree(ws)


def test_bailey_in_its_own_workspace(user, ws, works):
    """Attack 13: what the next run would start."""
    assert not works(user)
    program = ws / "build/bailey"
    shutil.copy(BAILEY, user.mkdir(program.parent))
    user.own(program)
    kept = program.read_bytes()
    script = "cp /bin/false build/bailey; cp /bin/false x; mv -f x build/bailey && echo replaced; rm -f build/bailey && echo removed; mv build b && echo moved; echo y > build/z; cat build/z"
    r = user.exec([program, "run", "--", "sh", "-c", script], cwd=ws)
    assert r.out == "y\n" and program.read_bytes() == kept, r
    r = user.exec([program, "run", "--unprotect", "build", "--", "sh", "-c", script], cwd=ws)
    assert r.out.startswith("replaced\nremoved\nmoved\n"), r


def test_ten_thousand_directories(plain_user, works):
    assert not works(plain_user)
    ws = plain_user.mkdir(plain_user.base / "many")
    for i in range(100):
        for k in range(100):
            os.makedirs(ws / f"d{i}" / f"e{k}")
    plain_user.write(ws / ".envrc", "text\n")
    r = plain_user.exec([BAILEY, "run", "--", "sh", "-c", "echo x > .envrc && echo written; echo ran"], cwd=ws)
    assert r.out == "ran\n" and r.secs < 20, r
    out = plain_user.exec([BAILEY, "run", "--explain", "--", "true"], cwd=ws).out
    assert "more than 500 directories" in out
    shutil.rmtree(ws)


def test_a_large_tree_is_covered_soon_after_the_start(run, bailey, user, ws):
    """Beyond what a start can wait for: within a window, which SECURITY.md states."""
    for i in range(200):
        user.mkdir(ws / f"d{i:03}")
    names = [f"d{i:03}/.envrc" for i in range(0, 200, 7)]
    for n in names:
        user.write(ws / n, "text\n")
    look = "ok() { for i in d*/.envrc; do (: >> $i) 2>/dev/null && return 1; done; return 0; }; for i in $(seq 100); do ok && break; sleep 0.02; done; "
    r = run(look + "ok && echo covered; mv d000 x && echo moved; cd d007 && mv ../d007 ../x && echo moved; for i in ../d*/.envrc; do echo x > $i && echo written; done")
    assert r.out == "covered\n", r
    assert run(look + "ok && echo covered", "--unprotect", ws).out == "", "control"
    assert run("echo x > d007/.envrc && echo written; sleep 0.2; echo y > d014/.envrc || echo kept", "--unprotect", "d007").out == "written\nkept\n"
    found = bailey(["run", "--explain", "--", "true"], cwd=ws).out.count("built-in: protected: direnv]\n")
    assert found >= len(names), "--explain has searched all"


def test_allow_write_is_searched_too(run, user, outside):
    user.write(outside / ".envrc", "text\n")
    user.write(outside / "a/.git/config", "[core]\n")
    r = run(f"echo x > {outside}/.envrc && echo 1; echo x > {outside}/a/.git/config && echo 2; echo x > {outside}/f && echo 3", "--allow-write", outside)
    assert r.out == "3\n", r
    assert run(f"echo x > {outside}/.envrc && echo 1", "--allow-write", outside / ".envrc").out == "1\n", "named itself, it is meant"


def test_writable_home(bailey, user):
    """The real start-up files, not only those of the current directory."""
    home = user.mkdir(user.home / f"h{time.monotonic_ns()}")
    names = rows("In the home directory")
    for n in names:
        user.write(home / (f"{n}inner" if n.endswith("/") else n), "text\n")
    script = "; ".join(f"{{ echo x >> ~/{n}{'inner' * n.endswith('/')}; }} 2>/dev/null && echo written" for n in names) + "; echo x > ~/f && echo twin"
    env = {"HOME": str(home)}
    for opts in ([], ["--workspace", home], ["--allow-write", "~"]):
        r = bailey(["run", *opts, "--", "sh", "-c", script], cwd=home, env=env)
        assert r.out == "twin\n", (opts, r)
    assert user.exec(["sh", "-c", script], env=env).out.count("written") == len(names), "control"
    shutil.rmtree(home)


def test_dotfiles_repository(bailey, user):
    """~/.bashrc is a link into the workspace: what the shell runs is there."""
    home = user.mkdir(user.home / f"h{time.monotonic_ns()}")
    user.write(home / "dot/bash/rc", "text\n")
    user.write(home / "dot/other", "text\n")
    user.symlink("dot/bash/rc", home / ".bashrc")
    script = "echo x > bash/rc && echo rc; mv bash b && echo moved; echo x > other && echo twin"
    assert bailey(["run", "--", "sh", "-c", script], cwd=home / "dot", env={"HOME": str(home)}).out == "twin\n"
    assert bailey(["run", "--", "sh", "-c", script], cwd=home / "dot").out == "rc\nmoved\ntwin\n", "control: another home"
    shutil.rmtree(home)


def test_absent_names_leave_no_trace(run, user, ws):
    user.mkdir(ws / ".vscode")
    user.write(ws / "f")
    before = sorted(os.listdir(ws))
    r = run("ls -A; ls -A .vscode")
    assert r.out.split() == before and sorted(os.listdir(ws)) == before and not os.listdir(ws / ".vscode")


def test_unprotect_is_explained(bailey, user, ws):
    user.write(ws / ".envrc")
    r = bailey(["run", "--explain", "--unprotect", ".envrc", "--", "true"], cwd=ws)
    assert re.search(rf"unprotect +{ws}/.envrc +\[--unprotect\]", r.out) and "built-in: protected: direnv" in r.out, r.out
    r = bailey(["check", "write", ".envrc", "f"], cwd=ws)
    assert r.rc == 1 and "protected: direnv" in r.out and f"--unprotect {ws}/.envrc" in r.out, r


@pytest.mark.parametrize("value", ["", "x" * 5000])
def test_unprotect_bad_values(bailey, ws, value):
    r = bailey(["run", "--unprotect", value, "--", "touch", "witness"], cwd=ws)
    assert r.rc == 2 and "--unprotect" in r.err and not (ws / "witness").exists(), r


def test_sockets_in_protected_directories_are_dead(run, user, ws):
    """The search for sockets passes read-only mounts over: the tree above has them."""
    import socket

    user.mkdir(ws / ".husky")
    path = ws / ".husky/sock"
    with socket.socket(socket.AF_UNIX) as s:
        here = os.getcwd()
        os.chdir(ws / ".husky")
        s.bind("sock")
        os.chdir(here)
        s.listen(8)
        path.chmod(0o777)
        code = "import socket, os; os.chdir('.husky'); s = socket.socket(socket.AF_UNIX); s.connect('sock'); print('connected')"
        assert user.exec(["/usr/bin/python3", "-c", code], cwd=ws).out == "connected\n", "control"
        assert "connected" not in run(["/usr/bin/python3", "-c", code]).out


def test_a_name_that_vanishes_while_it_starts(user, ws, works):
    """A host that works in the repository meanwhile: a run starts, or says what it missed; nothing hangs."""
    user.write(ws / ".git/config", "[core]\n")
    user.mkdir(ws / ".git/hooks")
    script = "while :; do echo x > .git/c; mv .git/c .git/config; done"
    p = user.popen(["sh", "-c", script], cwd=ws)
    try:
        for _ in range(10):
            r = user.exec([BAILEY, "run", "--", "true"], cwd=ws)
            assert r.rc in (0, 2, 125) and (r.rc == 0 or "config" in r.err), r
    finally:
        p.kill()
        p.wait()
    assert wait_for(lambda: user.exec([BAILEY, "run", "--", "true"], cwd=ws).rc == 0)
