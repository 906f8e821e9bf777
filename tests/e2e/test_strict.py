# SPDX-License-Identifier: Apache-2.0
"""--strict-protect: names that the host would execute later can't be made (docs/adr/0023). Everything else is as without it."""
import os
import shutil
import signal
import subprocess
import time

import pytest

from conftest import BAILEY, PYTHON, wait_for
from test_guard import quarantine
from test_protect import rows

STRICT = "--strict-protect"


@pytest.fixture
def program(user, ws, session_dir):
    """program(NAME, SOURCE) -> path of a program in the workspace."""

    def build(name, source):
        target = session_dir / name
        subprocess.run(["gcc", "-O2", "-Wall", "-Wextra", "-Werror", "-pthread", "-x", "c", "-", "-o", target], input=source, text=True, check=True, timeout=60)
        shutil.copy(target, ws / name)
        return user.own(ws / name)

    return build


def test_every_row_absent(run, bailey, user, ws):
    """No name of the table can be made, the twin beside can; the control: outside it can."""
    names = rows()
    lines = []
    for n in names:
        inner = f"{n}inner" if n.endswith("/") else n
        lines.append(f"mkdir -p '{os.path.dirname(inner) or '.'}' && echo made > '{inner}' && echo 'made {n}'")
        lines.append(f"mkdir -p '{os.path.dirname(n.rstrip('/')) or '.'}' && echo made > '{n.rstrip('/')}.twin'")
    r = run("; ".join(lines) + "; true", STRICT)
    assert r.rc == 0 and r.out == "" and r.err.count("Read-only file system") >= len(names), r
    assert [n for n in names if (ws / n.rstrip("/")).exists()] == []
    assert all((ws / (n.rstrip("/") + ".twin")).exists() for n in names)
    for n in names:
        assert f"'{ws}/{n.rstrip('/')}': not made: the host would use it (" in r.bailey_err and f"--unprotect {ws}/{n.rstrip('/')}\n" in r.bailey_err, (n, r.err)
    assert quarantine(bailey, ws) == {}, "nothing came, so nothing was moved"
    r = user.exec(["sh", "-c", "; ".join(lines)], cwd=ws)
    assert {line.removeprefix("made ") for line in r.out.splitlines()} == set(names), "control"


WAYS = {
    "open": "echo x > .envrc",
    "append": "echo x >> .envrc",
    "touch": "touch .envrc",
    "mknod": "mknod .envrc p",
    "rename": "echo x > y; mv y .envrc",
    "rename over": "echo x > y; mkdir d; mv -T y d/../.envrc",
    "exchange": "echo x > y; echo z > .envrx; python3 -c 'import ctypes; print(ctypes.CDLL(None, use_errno=True).renameat2(-100, b\"y\", -100, b\".envrc\", 1))'; mv y .envrc",
    "hard link": "echo x > y; ln y .envrc",
    "symlink": "ln -s y .envrc",
    "through a link to the directory": "mkdir d; ln -s d e; echo x > e/../.envrc; echo x > e/.envrc",
    "through a dangling link": "ln -s .envrc y; echo x > y",
    "through a descriptor": "mkdir d; exec 5< .; echo x > /proc/self/fd/5/.envrc; echo x > /dev/fd/5/d/.envrc",
    "through the working directory": "echo x > /proc/self/cwd/.envrc; echo x > $PWD//./.envrc",
    "without a name first": PYTHON + " -c 'import os; fd = os.open(\".\", os.O_TMPFILE | os.O_WRONLY); import ctypes; ctypes.CDLL(None).linkat(-100, f\"/proc/self/fd/{fd}\".encode(), -100, b\".envrc\", 0x400)'",
    "below a directory descriptor": PYTHON + " -c 'import os; os.open(\".envrc\", os.O_CREAT | os.O_WRONLY, dir_fd=os.open(\".\", os.O_RDONLY))'",
    "deep": "mkdir -p a/b/c/d/e/f; echo x > a/b/c/d/e/f/.envrc",
    "a directory brings it": "mkdir d; echo x > d/tasks.json; mv d .vscode",
    "a link brings it": "mkdir d; echo x > d/tasks.json; ln -s d .vscode",
    "a second name of a link brings it": "mkdir d; echo x > d/tasks.json; ln -s d x; ln -P x .vscode",
    "a link's descriptor brings it": "mkdir d; echo x > d/tasks.json; ln -s d x; " + PYTHON + " -c 'import os, ctypes; fd = os.open(\"x\", os.O_PATH | os.O_NOFOLLOW); ctypes.CDLL(None).linkat(-100, f\"/proc/self/fd/{fd}\".encode(), -100, b\".vscode\", 0x400)'",
    "two levels": "mkdir -p d/runConfigurations; mv d .idea",
    "into a directory of the table": "mkdir .claude; mkdir .claude/hooks; echo x > .claude/hooks/a",
    "a pointer": "echo 'gitdir: /tmp/x' > .git",
    "a link as .git": "mkdir d; ln -s d .git",
    "a repository": "git init -q .",
    "a bare repository": "git init -q --bare bare",
    "configuration first, then what makes a repository": "mkdir d; echo x > d/config; mkdir d/objects d/refs; echo x > d/HEAD",
    "hooks first": "mkdir -p d/hooks d/refs; echo x > d/HEAD; mkdir d/objects",
    "renamed to .git": "mkdir -p d/hooks; mv d .git",
    "worktrees of a repository": "mkdir -p d/worktrees/a; echo x > d/worktrees/a/gitdir; mv d .git",
}


def dangerous(ws):
    """What the host would use: names of the table, and git directories with something that git obeys."""
    names = [f"/{n.rstrip('/')}" for n in rows()]
    found = [p for p in ws.rglob("*") if any(str(p).endswith(n) for n in names)]  # links that lead nowhere, too
    found += [p for p in ws.rglob("*") if p.is_symlink() and p.is_dir() and any((p / n.split("/", 2)[2]).exists() for n in names if n.count("/") == 2 and p.name == n.split("/")[1])]
    for p in [ws, *ws.rglob("*")]:
        git = p.name == ".git" or all((p / n).exists() for n in ("HEAD", "objects", "refs"))
        if p.name == ".git" and (p.is_symlink() or p.is_file()):
            found.append(p)
        elif git and any((p / n).exists() for n in ("config", "hooks", "commondir", "config.worktree", "info/attributes", "worktrees")):
            found.append(p)
    return found


@pytest.mark.parametrize("way", WAYS)
def test_ways_to_make_a_name(run, user, ws, way):
    r = run(WAYS[way], STRICT)
    assert dangerous(ws) == [], r
    assert ": not made: " in r.bailey_err and "quarantine" not in r.bailey_err, r
    for p in list(ws.iterdir()):
        p.unlink() if p.is_symlink() or not p.is_dir() else shutil.rmtree(p)
    user.exec(["bash", "-c", WAYS[way]], cwd=ws)
    assert dangerous(ws), "control: outside it works"


def test_a_path_that_changes_under_the_look_gains_nothing(run, user, ws, program):
    """The call that was judged is the one that is done: the maker reads nothing from the caller's memory a second time."""
    source = r"""
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>
static volatile char path[] = ".envrx", dir[] = ".huskx", other[] = "x/link";
static volatile int over;
static void *flip(void *arg) { while (!over) { path[5] = 'c'; dir[5] = 'y'; path[5] = 'x'; dir[5] = 'x'; } return arg; }
/* a link that leads here and there */
static void *swap(void *arg) { while (!over) { unlink("x/link"); symlink("../.envrc", "x/link"); unlink("x/link"); symlink("../fine", "x/link"); } return arg; }
int main(void) {
	pthread_t t[2];
	int made = 0, i;
	mkdir("x", 0700);
	pthread_create(&t[0], NULL, flip, NULL);
	pthread_create(&t[1], NULL, swap, NULL);
	for (i = 0; i < 3000; i++) {
		int fd;
		unlink(".envrx"); /* the link that a rename put there leads to nothing */
		fd = open((const char *)path, O_CREAT | O_WRONLY, 0600);
		if (fd >= 0) { made++; close(fd); }
		fd = open((const char *)other, O_CREAT | O_WRONLY, 0600);
		if (fd >= 0) close(fd);
		mkdir((const char *)dir, 0700);
		rename("x/link", (const char *)path);
	}
	over = 1;
	pthread_join(t[0], NULL);
	pthread_join(t[1], NULL);
	printf("%d\n", made);
	return 0;
}
"""
    flip = program("flip", source)
    assert user.exec([flip], cwd=ws).rc == 0 and dangerous(ws), "the probe works outside"
    for p in (".envrc", ".husky"):
        path = ws / p
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    r = run([flip], STRICT)
    assert r.rc == 0 and int(r.out) > 0, r
    assert dangerous(ws) == [] and "quarantine" not in r.bailey_err, r


PARITY = r"""
import errno, os, stat, sys
def call(f, *a, **k):
    try: r = f(*a, **k)
    except OSError as e: print(f.__name__, a, errno.errorcode[e.errno]); return None
    print(f.__name__, a, "ok"); return r
W = os.O_CREAT | os.O_WRONLY
def mode(p): print(p, oct(os.lstat(p).st_mode), os.lstat(p).st_size, os.lstat(p).st_nlink)
os.mkdir("d"); os.symlink("d", "l"); os.symlink("nowhere/x", "dangling"); os.symlink("loop", "loop"); os.symlink("new-by-link", "tonew")
open("f", "w").write("text")
for p in ("f", "d", "l", "l/", "d/", "d/n", "d/n/", "n/", "loop", "dangling", "tonew", "f/x", "", ".", "..", "d/.", "missing/x", "x" * 255, "x" * 256, "y/" * 2000, "/", "/proc/self/nothing", "/usr/x", "/etc/passwd", "/nowhere", "//tmp//t", "/dev/full"):
    for flags in (W, W | os.O_EXCL, W | os.O_NOFOLLOW, os.O_CREAT, W | os.O_TRUNC | os.O_APPEND):
        fd = call(os.open, p, flags, 0o666)
        if fd is not None:
            import fcntl
            print(stat.S_IFMT(os.fstat(fd).st_mode), fcntl.fcntl(fd, fcntl.F_GETFL) & (os.O_ACCMODE | os.O_APPEND), fcntl.fcntl(fd, fcntl.F_GETFD)); os.close(fd)
mode("f"); mode("new-by-link")
for p in ("m", "m", "m/", "m/..", "d", "f", "f/m", "missing/m", ".", "/", "/usr/m", "l", "loop/m", "dangling"):
    call(os.mkdir, p, 0o777)
for mask in (0, 0o022, 0o077, 0o027):
    os.umask(mask); call(os.mkdir, f"mask{mask}", 0o1777); os.close(os.open(f"file{mask}", W, 0o666)); mode(f"mask{mask}"); mode(f"file{mask}")
for m in (0o644, stat.S_IFREG | 0o600, stat.S_IFIFO | 0o600, stat.S_IFCHR | 0o600, stat.S_IFDIR | 0o700):
    call(os.mknod, f"node{m}", m)
call(os.mknod, "f"); call(os.mknod, "missing/n"); call(os.mknod, "n/")
for a, b in (("f", "f2"), ("f2", "f"), ("d", "d2"), ("d2", "d"), ("f", "d"), ("d", "f"), ("d", "d/x"), ("missing", "y"), ("f", "missing/y"), ("f", "f/"), ("d/", "d3/"), ("d3", "d"), ("l", "l2"), ("l2", "l"), (".", "z"), ("d/..", "z"), ("f", "/usr/f"), ("f", "/tmp/f"), ("/etc/passwd", "p")):
    call(os.rename, a, b)
for a, b in (("f", "h"), ("f", "h"), ("d", "h2"), ("missing", "h3"), ("l", "h4"), ("f", "missing/h"), ("f", "h/"), ("/etc/passwd", "h5")):
    call(os.link, a, b, follow_symlinks=False)
call(os.link, "l", "h6", follow_symlinks=True)
for a, b in (("anything", "s"), ("anything", "s"), ("", "s2"), ("x" * 5000, "s3"), ("a", "missing/s"), ("a", "s4/"), ("a", "d")):
    call(os.symlink, a, b)
mode("f"); mode("s")
dirfd = os.open("d", os.O_RDONLY)
call(os.mkdir, "in", dir_fd=dirfd); call(os.open, "in2", W, dir_fd=dirfd); call(os.rename, "in2", "in3", src_dir_fd=dirfd, dst_dir_fd=dirfd)
call(os.symlink, "t", "in4", dir_fd=dirfd); call(os.link, "in3", "in5", src_dir_fd=dirfd, dst_dir_fd=dirfd)
filefd = os.open("f", os.O_RDONLY)
call(os.mkdir, "in", dir_fd=filefd); call(os.mkdir, "in", dir_fd=99)
os.chmod("d", 0o500); call(os.mkdir, "d/closed"); call(os.open, "d/closed", W); os.chmod("d", 0o700)
os.mkdir("gone"); os.chdir("gone"); os.rmdir("../gone"); call(os.open, "x", W); call(os.mkdir, "x"); os.chdir("..")
for root, dirs, files in os.walk("."):
    for n in sorted(dirs + files): print(root, n)
    dirs.sort()
"""


def test_everything_else_is_the_same(run, user, ws):
    """One list of calls, with and without: the same results, errors, modes and names."""

    def once(*opts):
        for p in list(ws.iterdir()):
            p.unlink() if p.is_symlink() or not p.is_dir() else shutil.rmtree(p)
        r = run([PYTHON, "-c", PARITY], *opts)
        assert r.rc == 0, r
        return r.out.splitlines()

    plain, strict = once(), once(STRICT)
    different = [(a, b) for a, b in zip(plain, strict) if a != b]
    assert different == [] and len(plain) == len(strict) > 200, different[:20]
    print(f"{user.name}: {len(plain)} results are the same")


def test_streams_and_fifos(run, user, ws):
    script = ("{ echo a > /dev/stdout; echo b >> /dev/fd/1; echo c > /proc/self/fd/1; } | cat; echo d > /dev/null; exec 5> kept; echo e > /proc/self/fd/5; "
              "mkfifo p; (sleep 0.1; cat p; sleep 0.1; cat < p) & echo f > p; sleep 0.05; echo g > p; wait; ln -s /dev/null n; echo h > n; cat kept")
    a, b = run(["bash", "-c", script]), run(["bash", "-c", "rm -rf p n kept;" + script], STRICT)
    assert a.rc == b.rc == 0 and a.out == b.out == "a\nb\nc\nf\ng\ne\n", (a, b)


def test_a_fifo_without_another_end_stops_nobody_else(run, ws):
    r = run("mkfifo p; (echo x > p) & p=$!; i=0; while [ $i -lt 50 ]; do echo > f$i; i=$((i + 1)); done; kill -9 $p; echo done", STRICT)
    assert r.rc == 0 and r.out == "done\n" and len(list(ws.glob("f*"))) == 50, r


def test_the_terminal(run, ws):
    r = run("echo one > /dev/tty; echo two > $(tty)", STRICT, "--tty")
    assert r.rc == 0 and r.out.replace("\r", "") == "one\ntwo\n", r


def test_an_existing_repository_works(run, bailey, user, ws):
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@b"]
    for words in (["init", "-q"], ["commit", "-q", "--allow-empty", "-m", "first"]):
        assert user.exec([*git, *words], cwd=ws).rc == 0
    g = " ".join(git)
    script = (f"echo x > f; git add f; {g} commit -q -m second; git branch b; git checkout -q b; echo y > f; {g} commit -qam third; git checkout -q -; "
              f"{g} merge -q b; git tag t; git gc -q; {g} stash -q; git pack-refs --all; git branch -D b; echo x > new; {g} stash -uq; {g} rebase -q HEAD~1; git status --short; git log --format=%s")
    r = run(script, STRICT)
    assert r.rc == 0 and "third\nsecond\nfirst\n" in r.out and {line.split("'")[1] for line in r.bailey_err.splitlines()} <= {f"{ws}/.git/config"}, r  # branch -D
    assert user.exec(["git", "-c", "safe.directory=*", "fsck", "--strict"], cwd=ws).rc == 0
    r = run("echo x > .git/hooks/pre-commit; echo x > .git/config; git config a.b c; echo x > .git/info/attributes; mkdir -p .git/modules/m; echo x > .git/modules/m/config; echo x > .git/config.worktree", STRICT)
    assert not (ws / ".git/modules/m/config").exists() and not (ws / ".git/config.worktree").exists() and not (ws / ".git/hooks/pre-commit").exists(), r
    assert quarantine(bailey, ws) == {}


def test_private_directories_are_free(run, ws):
    r = run("git init -q /tmp/r && cd /tmp/r && echo x > .envrc && git -c user.name=a -c user.email=a@b commit -q --allow-empty -m a && git log --format=%s", STRICT)
    assert r.rc == 0 and r.out == "a\n" and r.bailey_err == "", r


def test_unprotect_and_denied_names(run, ws):
    r = run("echo a > .envrc; mkdir .husky && echo b > .husky/x; echo c > .mcp.json; echo d > no; mkdir -p deep; echo e > deep/no", STRICT, "--unprotect", ".envrc", "--unprotect", ".husky",
            "--deny-write", "no", "--deny-write", "deep/no")
    assert (ws / ".envrc").read_text() == "a\n" and (ws / ".husky/x").exists(), r
    assert not any((ws / p).exists() for p in (".mcp.json", "no", "deep/no")), r
    assert f"'{ws}/no': not made" in r.bailey_err and "quarantine" not in r.bailey_err, r


def test_what_a_configuration_names(run, user, ws):
    """core.hooksPath of the host's configuration leads to a directory that is not there yet."""
    assert user.exec(["git", "init", "-q"], cwd=ws).rc == 0
    assert user.exec(["git", "config", "core.hooksPath", "tools/hooks"], cwd=ws).rc == 0
    script = "mkdir -p tools; mkdir tools/hooks; mkdir t; mkdir t/hooks; rmdir tools; mv t tools; ln -s t tools"
    r = run(script, STRICT)
    assert not (ws / "tools/hooks").exists() and not (ws / "tools").is_symlink() and (ws / "t/hooks").exists(), r
    user.exec(["sh", "-c", "mkdir -p tools/hooks"], cwd=ws)
    assert (ws / "tools/hooks").exists(), "control"


def test_with_a_report(run, user, outside, ws):
    r = run(f"echo x > {outside}/f; echo x > .envrc; echo x > fine", STRICT, "--report")
    assert (ws / "fine").exists() and not (ws / ".envrc").exists()
    assert f"report: create {outside}/f: denied" in r.bailey_err and f"'{ws}/.envrc': not made" in r.bailey_err, r


def test_from_files(run, user, ws, bailey):
    """A project that is not trusted may ask for it: it takes away."""
    user.write(ws / ".bailey.json", '{"filesystem": {"strictProtect": true}}')
    r = run("echo x > .envrc; ls -A")
    assert ".envrc" not in r.out and ": not made: " in r.bailey_err, r
    user.write(ws / ".bailey.json", '{"filesystem": {"strictProtect": false}}')
    r = run("echo x > .envrc", STRICT)
    assert ": not made: " in r.bailey_err, r


@pytest.mark.parametrize("option", ["--allow-userns", "--allow-nested-sandbox"])
def test_contradictions(run, ws, option):
    r = run("echo x > ran", STRICT, option)
    assert r.rc == 2 and STRICT in r.err and option in r.err and not (ws / "ran").exists(), r


def makers(run_pid):
    """Processes of the sandbox that are no command: named bailey, PID 1 not counted."""
    found = []
    for p in os.listdir("/proc"):
        try:
            if p.isdigit() and open(f"/proc/{p}/stat", encoding="ascii", errors="replace").read().rsplit(")", 1)[1].split()[1] == str(run_pid):
                found.append(int(p))
        except OSError:
            continue
    return found


def test_kill_9_of_the_maker(start, user, ws):
    """Then no name is made any more: nothing goes on by itself."""
    proc = start("echo > before; echo up; read x; echo > .envrc; echo > after; echo $?; cat before", STRICT, stdin=-1, stdout=-1, stderr=-1)
    assert proc.stdout.readline() == b"up\n"
    killed = 0
    for child in makers(proc.pid):
        for grandchild in makers(child):
            if "bailey" in os.readlink(f"/proc/{grandchild}/exe"):
                os.kill(grandchild, signal.SIGKILL)
                killed += 1
    assert killed == 1
    out, err = proc.communicate(b"\n", timeout=20)
    assert out == b"2\n\n" and not (ws / "after").exists() and not (ws / ".envrc").exists() and (ws / "before").exists(), (out, err)
    assert b"what makes names was killed" in err, err


def test_the_command_can_not_reach_the_maker(run, ws):
    script = r"""
import os
own = os.getpid()
for p in os.listdir("/proc"):
    if not p.isdigit() or int(p) in (1, own): continue
    if os.stat(f"/proc/{p}").st_uid == os.stat("/proc/self").st_uid and int(p) > 4: continue
    for name in ("mem", "environ", "maps", "fd/3", "exe"):
        try: os.open(f"/proc/{p}/{name}", os.O_RDWR if name == "mem" else os.O_RDONLY); print("opened", p, name)
        except OSError: print("refused")
    import ctypes
    print(ctypes.CDLL(None).ptrace(16, int(p), 0, 0))
"""
    r = run([PYTHON, "-c", script], STRICT)
    assert r.rc == 0 and "opened" not in r.out and r.out.count("refused") >= 5 and "-1" in r.out, r
    r = run("ln -s /proc/self l; cat l/comm > c; (echo x > l/mem) 2>/dev/null || echo no; (echo x > l/fd/3) 2>/dev/null || echo no; (: > l/environ) 2>/dev/null || echo no", STRICT)
    assert r.out.count("no") == 3, r


def test_no_listener_is_a_refusal(user, ws, program):
    source = r"""
#define _GNU_SOURCE
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
int main(int argc, char **argv) {
	struct sock_filter allow = { BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW };
	struct sock_fprog prog = { 1, &allow };
	int status = 0;
	(void)argc;
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &prog) < 0) return 99;
	if (fork() == 0) { execv(argv[1], argv + 1); _exit(98); }
	wait(&status);
	return WEXITSTATUS(status);
}
"""
    listener = program("listener", source)
    r = user.exec([listener, BAILEY, "run", STRICT, "--", "touch", "ran"], cwd=ws)
    assert r.rc == 125 and r.bailey_err.startswith("bailey: --strict-protect: no seccomp listener can be had here") and not (ws / "ran").exists(), r


def test_many_threads_and_processes(run, user, ws):
    script = r"""
import os, threading
def work(k):
    for i in range(100):
        fd = os.open(f"{k}-{i}", os.O_CREAT | os.O_WRONLY); os.write(fd, str(k).encode()); os.close(fd); os.rename(f"{k}-{i}", f"r{k}-{i}")
for p in range(4):
    if os.fork() == 0:
        ts = [threading.Thread(target=work, args=(p * 10 + t,)) for t in range(5)]
        [t.start() for t in ts]; [t.join() for t in ts]; os._exit(0)
for _ in range(4): os.wait()
"""
    begin = time.monotonic()
    r = run([PYTHON, "-c", script], STRICT)
    names = list(ws.glob("r*"))
    assert r.rc == 0 and len(names) == 2000 and all(p.read_text() == p.name[1:].split("-")[0] for p in names), r
    print(f"{user.name}: 4000 names in {time.monotonic() - begin:.1f} s")


def test_it_ends_with_the_run(start, ws):
    proc = start("echo up; sleep 60", STRICT, stdout=-1)
    assert proc.stdout.readline() == b"up\n"
    inner = [g for c in makers(proc.pid) for g in [c, *makers(c)]]
    os.kill(proc.pid, signal.SIGKILL)
    proc.wait(20)
    assert wait_for(lambda: not any(os.path.exists(f"/proc/{p}") for p in inner))
