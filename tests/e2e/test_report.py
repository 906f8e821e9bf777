# SPDX-License-Identifier: Apache-2.0
"""Reports of denials: what is named, what bounds them, and that nobody gains anything by them (docs/adr/0018)."""
import json
import os
import pathlib
import re
import shutil
import subprocess

import pytest

from conftest import BAILEY, PYTHON, has_own_ids, skip

LINE = re.compile(r"^bailey: report: (?:(\d+) times )?(\w+) (\S+): denied, (.*)$", re.M)
CC = ["gcc", "-O2", "-Wall", "-Wextra", "-Werror", "-pthread"]


def denials(r):
    """{(op, path): (count, words)} of the report's lines."""
    return {(op, path): (int(count or 1), words) for count, op, path, words in LINE.findall(r.err)}


@pytest.fixture
def program(user, ws, session_dir):
    """program(NAME, SOURCE) -> path of a program in the workspace."""

    def build(name, source):
        target = session_dir / name
        subprocess.run([*CC, "-x", "c", "-", "-o", target], input=source, text=True, check=True, timeout=60)
        inside = ws / name  # the other is below a directory that is the run's own
        shutil.copy(target, inside)
        return user.own(inside)

    return build


# ---- what is named ----


def test_attack_1_is_named_with_rule_and_option(run, user, bailey, ws):
    key = user.write(user.home / ".ssh" / "id_report", "secret")
    assert user.exec(["cat", key]).out == "secret", "the probe works outside"
    try:
        r = run(["cat", key], "--report=reads")
        assert r.rc != 0 and "secret" not in r.out
        count, words = denials(r)[("read", str(key))]
        assert count == 1 and words.startswith("hidden; hide ") and "(built-in" in words, r.err
        assert words.endswith(f"to allow it: --allow-read {key}"), r.err
        # the way on that it names is one
        again = bailey(["run", "--report=reads", "--allow-read", key, "--", "cat", key], cwd=ws)
        assert (again.rc, again.out) == (0, "secret") and not denials(again), again
    finally:
        key.unlink()


def test_rules_of_files_and_of_the_command_line_are_named(run, user, ws):
    user.write(ws / "a", "x")
    user.write(ws / "b", "x")
    policy = user.write(ws / "p.json", '{"filesystem":\n{"denyRead": ["a"]}}')
    r = run("cat a; cat b; cat p.json >/dev/null", "--report=reads", "--policy", policy, "--deny-read", "b")
    found = denials(r)
    assert f"deny-read {ws}/a ({policy}:2)" in found[("read", f"{ws}/a")][1], r.err
    assert f"deny-read {ws}/b (--deny-read)" in found[("read", f"{ws}/b")][1], r.err
    assert set(found) == {("read", f"{ws}/a"), ("read", f"{ws}/b")}, r.err


def test_writes_of_every_kind(run, user, outside, ws):
    user.write(outside / "f", "x")
    user.mkdir(outside / "d")
    script = f"""
import os
def call(f, *a, **k):
    try: f(*a, **k)
    except OSError as e: pass
    else: raise SystemExit(f"{{f}} was allowed")
o = {str(outside)!r}
os.chdir(o)
call(open, "f", "a")
call(open, "new", "w")
call(os.open, "new2", os.O_RDONLY | os.O_CREAT)
call(os.truncate, "f", 0)
call(os.mkdir, o + "/../" + os.path.basename(o) + "/sub")
call(os.mknod, "node")
call(os.rename, "f", "g")
call(os.rename, o + "/f", {str(ws)!r} + "/g")
call(os.unlink, "f")
call(os.rmdir, "d")
call(os.link, "f", "l")
call(os.symlink, "f", "s")
call(os.chmod, "f", 0o700)
call(os.chown, "f", os.getuid(), os.getgid())
call(os.utime, "f")
fd = os.open("d", os.O_RDONLY)
call(os.mkdir, "in", dir_fd=fd)
call(open, "missing/new", "w")
call(os.unlink, "missing")
"""
    r = run([PYTHON, "-c", script], "--report")
    assert r.rc == 0, r
    found = denials(r)
    o = str(outside)
    want = {("write", "f"), ("create", "new"), ("create", "new2"), ("truncate", "f"), ("mkdir", "sub"), ("mknod", "node"), ("rename", "f"), ("rename", "g")}
    want |= {("remove", "f"), ("remove", "d"), ("link", "l"), ("symlink", "s"), ("chmod", "f"), ("chown", "f"), ("utime", "f"), ("mkdir", "d/in")}
    assert set(found) == {(op, f"{o}/{name}") for op, name in want}, r.err
    assert found[("write", f"{o}/f")][1].endswith(f"--allow-write {o}/f")
    assert found[("create", f"{o}/new")][1].endswith(f"--allow-write {o}"), "a grant is of what exists"
    assert found[("remove", f"{o}/f")][1].endswith(f"--allow-write {o}"), "a name belongs to its directory"
    assert found[("rename", f"{o}/f")][0] == 2


def test_without_reads_they_are_not_named(run, user, ws):
    user.write(ws / "a", "x")
    r = run("cat a", "--report", "--deny-read", "a")
    assert r.rc != 0 and r.bailey_err == "bailey: report: no file was denied\n", r
    r = run("cat a", "--deny-read", "a")
    assert r.rc != 0 and r.bailey_err == "", r


def test_nothing_denied(run, user, ws):
    r = run("echo a >f; mv f g; mkdir d; cat g; cat missing; rm missing; echo x >missing/f; : >/dev/null; echo t >/tmp/x", "--report=reads")
    assert r.out == "a\n" and r.bailey_err == "bailey: report: no file was denied\n", r


def test_links_lead_to_what_is_judged(run, user, outside, ws):
    user.write(outside / "f", "x")
    user.symlink(outside, ws / "link")
    r = run("echo x >link/f; rm link/f", "--report")
    assert set(denials(r)) == {("write", f"{outside}/f"), ("remove", f"{outside}/f")}, r.err


def test_children_threads_and_vfork(run, user, outside, program):
    source = r"""
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
static const char *dir;
static void make(const char *name) {
	char path[4096];
	snprintf(path, sizeof(path), "%s/%s", dir, name);
	if (open(path, O_CREAT | O_WRONLY, 0600) >= 0) _exit(9);
}
static void *thread(void *arg) { for (int i = 0; i < 50; i++) make(arg); return NULL; }
int main(int argc, char **argv) {
	static char *names[] = { "t0", "t1", "t2", "t3" };
	pthread_t t[4];
	dir = argv[argc - 1];
	for (int i = 0; i < 4; i++) pthread_create(&t[i], NULL, thread, names[i]);
	for (int i = 0; i < 20; i++) {
		pid_t pid = vfork();
		if (pid == 0) {
			if (open("/usr/vforked", O_CREAT | O_WRONLY, 0600) >= 0) _exit(9);
			_exit(0);
		}
		waitpid(pid, NULL, 0);
	}
	for (int i = 0; i < 4; i++) pthread_join(t[i], NULL);
	return 0;
}
"""
    r = run([program("threads", source), outside], "--report")
    assert r.rc == 0, r
    found = denials(r)
    assert {key: count for key, (count, _) in found.items()} == {
        ("create", "/usr/vforked"): 20,
        **{("create", f"{outside}/t{i}"): 50 for i in range(4)},
    }, r.err


def test_root_as_the_owner_of_the_workspace(plain_user, session_dir):
    """Where owners can't be mapped (overlayfs), root's command has the id of the workspace's owner; it is looked at all the same."""
    if os.geteuid() != 0:
        skip("only root runs as somebody else")
    top = session_dir / "owner"
    top.mkdir()
    ids = f"{plain_user.uid}:{plain_user.gid}"
    script = (f"mount -t tmpfs none {top} && cd {top} && mkdir lower upper work ws && chown {ids} lower upper && "
              f"mount -t overlay none -o lowerdir=lower,upperdir=upper,workdir=work ws && cd ws && "
              f"exec {BAILEY} run --report -- sh -c 'id -u; echo x >ok; echo x >/etc/new-file'")
    r = subprocess.run(["unshare", "-m", "sh", "-c", script], capture_output=True, text=True, timeout=30, check=False)
    assert r.stdout == f"{plain_user.uid}\n", r
    assert [line for line in r.stderr.splitlines() if "report" in line] == [
        "bailey: report: create /etc/new-file: denied, read-only; by default only the workspace is writable; to allow it: --allow-write /etc"
    ], r.stderr


# ---- what bounds it ----


def test_a_flood_is_bounded(run, user, outside):
    r = run([PYTHON, "-c", f"import os\nfor i in range(3000):\n try: os.mkdir('{outside}/%d' % i)\n except OSError: pass"], "--report")
    assert r.rc == 0, r
    assert len(denials(r)) == 200 and r.bailey_err.endswith("bailey: report: and 2800 more\n"), r.err[-300:]


def test_names_are_escaped(run, user, outside):
    name = "\x1b[31m\nbailey: report: no file was denied\r\\"
    r = run([PYTHON, "-c", f"import os\ntry: os.mkdir({str(outside)!r} + '/' + {name!r})\nexcept OSError: pass\n"
             f"try: os.mkdir(os.fsencode({str(outside)!r}) + b'/\\xff')\nexcept OSError: pass"], "--report")
    assert "\x1b" not in r.err and "\r" not in r.err and r.bailey_err.count("\n") == 2 and r.command_err == "", r.err
    assert r"\x1b[31m\x0abailey: report: no file was denied\x0d\x5c: denied" in r.err and r"/\xff: denied" in r.err, r.err


def test_a_long_path_is_no_harm(run, user, outside):
    deep = "/".join(["x"] * 2000)
    script = f"import os\nfor p in ('{outside}/{deep}', '{outside}/' + 'y' * 5000, ''):\n try: open(p, 'w')\n except OSError: pass"
    r = run([PYTHON, "-c", script], "--report")
    assert r.rc == 0 and r.bailey_err == "bailey: report: no file was denied\n", r.err[:500]


def test_a_stopped_run_ends_in_time(run, user, outside):
    r = run(f"while :; do echo >{outside}/x; done 2>/dev/null", "--report", "--timeout", "1s")
    assert r.rc == 124 and ("create", f"{outside}/x") in denials(r) and r.secs < 30, r


# ---- nobody gains anything by it ----


def test_a_path_that_changes_under_the_look_gains_nothing(run, user, outside, ws, program):
    source = r"""
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>
static volatile char path[] = "a/file";
static volatile int over;
static void *flip(void *arg) { while (!over) { path[0] = 'a'; path[0] = 'b'; } return arg; }
int main(void) {
	pthread_t t;
	int made = 0;
	pthread_create(&t, NULL, flip, NULL);
	for (int i = 0; i < 10000; i++) {
		int fd = open((const char *)path, O_CREAT | O_WRONLY, 0600);
		if (fd >= 0) { made++; close(fd); }
	}
	over = 1;
	pthread_join(t, NULL);
	printf("%d\n", made);
	return 0;
}
"""
    flip, bad = program("flip", source), outside / "file"
    user.mkdir(ws / "a")
    user.symlink(outside, ws / "b")
    assert user.exec([flip], cwd=ws).rc == 0 and bad.exists(), "the probe works outside"
    bad.unlink()
    r = run([flip], "--report")
    assert r.rc == 0 and int(r.out) > 0, r
    assert not bad.exists() and list(outside.iterdir()) == []


def test_other_call_numbers_are_refused_as_before(run, user, program):
    source = r"""
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>
static char name[] = "made";
static sigjmp_buf none; /* some machines have no such entry, and answer by SIGSEGV */
static void on_none(int sig) { siglongjmp(none, sig); }
int main(void) {
	static long r = 5; /* open of i386 */
	signal(SIGSEGV, on_none);
	if (sigsetjmp(none, 1))
		r = -ENOSYS;
	else
		__asm__ volatile("int $0x80" : "+a"(r) : "b"((int)(long)name), "c"(O_CREAT | O_WRONLY), "d"(0600) : "memory", "r8", "r9", "r10", "r11");
	printf("%ld ", r);
	errno = 0;
	r = syscall(0x40000000 + SYS_open, "made32", O_CREAT | O_WRONLY, 0600);
	printf("%ld %d ", r, errno);
	errno = 0;
	r = syscall(SYS_unshare, 0x10000000);
	printf("%ld %d\n", r, errno);
	return 0;
}
"""
    numbers = program("numbers", source)
    plain, reported = run([numbers]), run([numbers], "--report=reads")
    assert (plain.rc, plain.out) == (0, "-38 -1 38 -1 1\n"), plain
    assert (reported.rc, reported.out) == (0, plain.out), reported


def test_the_observer_can_be_missed_but_not_evaded(start, user, ws):
    """When it is killed, calls that wait for it fail, and the report says that it is not complete."""
    p = start("echo ready; read x; echo a >f; echo $?", "--report", stdin=subprocess.PIPE)
    assert p.stdout.readline() == b"ready\n"
    children = open(f"/proc/{p.pid}/task/{p.pid}/children", encoding="ascii").read().split()
    observers = [c for c in children if not os.listdir(f"/proc/{c}/fd") == [] and "seccomp" in " ".join(map(readlink, fds(c)))]
    assert len(observers) == 1, children
    os.kill(int(observers[0]), 9)
    out, err = p.communicate(b"\n", timeout=20)
    assert out == b"2\n" and not (ws / "f").exists(), (out, err)
    assert b"bailey: report: not complete" in err, err


def fds(pid):
    return [f"/proc/{pid}/fd/{n}" for n in os.listdir(f"/proc/{pid}/fd")]


def readlink(path):
    try:
        return os.readlink(path)
    except OSError:
        return ""


# ---- the rest ----


def test_no_listener_is_a_refusal(user, ws, program):
    """A process has one listener at most: below another one, a report can't be had, and nothing runs without it."""
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
    r = user.exec([listener, BAILEY, "run", "--", "touch", "plain"], cwd=ws)
    assert r.rc == 0 and (ws / "plain").exists(), r
    r = user.exec([listener, BAILEY, "run", "--report", "--", "touch", "ran"], cwd=ws)
    assert r.rc == 125 and r.bailey_err.startswith("bailey: --report: no seccomp listener can be had here") and not (ws / "ran").exists(), r
    assert "leave the option out" in r.err


@pytest.mark.parametrize("value", ["writes", "x", "reads "])
def test_other_values_are_refused(run, value):
    r = run("true", f"--report={value}")
    assert r.rc == 2 and "--report=reads" in r.err, r


def test_dry_run_says_nothing(run):
    r = run("true", "--report", "--dry-run")
    assert r.rc == 0 and "report" not in r.err, r


def test_with_a_nested_namespace(run, user, outside, ws):
    r = run(f"unshare -Ur sh -c 'echo x >{outside}/f'", "--report", "--allow-userns")
    if user.is_root and not has_own_ids(user, ws):
        assert r.rc == 125 and "user namespaces inside are refused" in r.err, r
        return
    assert ("create", f"{outside}/f") in denials(r), r.err


# ---- bailey learn ----


@pytest.fixture
def learn(bailey, ws):
    def call(cmd, *opts, **kw):
        return bailey(["learn", *opts, "--", "sh", "-c", cmd], cwd=ws, **kw)

    return call


def again(run, user, ws, cmd, learnt):
    """The same command with what was learnt."""
    policy = user.write(ws / "learnt.json", learnt.out)
    return run(cmd, "--report=reads", "--policy", policy)


def test_what_was_learnt_is_enough(learn, run, user, outside, ws):
    user.write(outside / "f", "x")
    user.write(outside / "s*r [x]", "x")
    user.mkdir(outside / "d")
    cmd = f"echo 1 >{outside}/f; echo 2 >'{outside}/s*r [x]'; mkdir {outside}/d/sub; echo said"
    r = learn(cmd)
    assert r.rc == 0 and "said\n" in r.err, "what the command prints is no part of the policy"
    assert json.loads(r.out) == {"filesystem": {"allowWrite": [f"{outside}/d", f"{outside}/f", {"path": f"{outside}/s*r [x]", "literal": True}]}}
    assert not (outside / "d" / "sub").exists(), "learning loosens nothing"
    second = again(run, user, ws, cmd, r)
    assert second.rc == 0 and second.out == "said\n" and second.bailey_err == "bailey: report: no file was denied\n", second
    assert (outside / "f").read_text() == "1\n" and (outside / "s*r [x]").read_text() == "2\n"


def test_many_become_their_directory(learn, run, user, outside, ws):
    few, many = user.mkdir(outside / "few"), user.mkdir(outside / "many")
    for i in range(9):
        user.write(many / str(i))
        if i < 8:
            user.write(few / str(i))
    cmd = f"for f in {outside}/*/*; do echo x >$f; done; true"
    r = learn(cmd)
    assert json.loads(r.out) == {"filesystem": {"allowWrite": [*(f"{few}/{i}" for i in range(8)), str(many)]}}, r
    assert again(run, user, ws, cmd, r).bailey_err == "bailey: report: no file was denied\n"


def test_homes_and_the_root_are_never_learnt(learn, user, ws):
    r = learn(f"echo x >{user.home}/new-file; mkdir /new-dir; true")
    assert r.rc == 0 and json.loads(r.out) == {"filesystem": {}}, r
    assert r.err.count("bailey: learn: not in the policy") == 2 and f"{user.home}/new-file" in r.err and "/new-dir" in r.err, r.err


def test_credentials_are_learnt_only_when_asked_for(learn, run, user, ws):
    key = user.write(user.home / ".ssh" / "id_learn", "secret")
    try:
        cmd = f"cat {key}; true"
        r = learn(cmd)
        assert json.loads(r.out) == {"filesystem": {}} and "--credentials" in r.err and str(key) in r.err, r
        r = learn(cmd, "--credentials")
        assert json.loads(r.out) == {"filesystem": {"allowRead": [str(key)]}}, r
        second = again(run, user, ws, cmd, r)
        assert second.out == "secret" and second.bailey_err == "bailey: report: no file was denied\n", second
    finally:
        key.unlink()


def test_password_hashes_are_never_learnt_unasked(learn, user):
    assert user.is_root == (user.exec(["cat", "/etc/shadow"]).rc == 0), "root can outside"
    r = learn("cat /etc/shadow; true")
    assert json.loads(r.out) == {"filesystem": {}} and "read /etc/shadow: denied" in r.err, r


def test_learn_ends_as_its_command(learn, ws):
    r = learn("exit 7")
    assert (r.rc, json.loads(r.out)) == (7, {"filesystem": {}}), r
    r = learn("true", "--dry-run")
    assert r.rc == 2 and "--dry-run" in r.err, r
    r = learn("true", "--workspace", "no-such-directory")
    assert r.rc not in (0, 7) and r.out == "", r

# ---- --audit and --report-json ----


def lines_of(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_audit_logs_every_look(run, user, outside, ws):
    """Allowed and denied, with the rule; and it changes nothing: the same command ends the same way without it."""
    log = outside / "audit.jsonl"
    user.write(ws / "a", "x")
    user.write(outside / "f", "x")
    cmd = f"cat a; echo new > b; mv b c; rm c; cat {outside}/f; echo y > {outside}/g; cat missing; true"
    plain = run(cmd)
    r = run(cmd, "--audit", log)
    assert (r.rc, r.out, r.command_err) == (plain.rc, plain.out, plain.command_err) and not (outside / "g").exists(), (r, plain)
    seen = {(x["op"], x["path"]): x for x in lines_of(log)}
    assert {(op, p): seen[(op, p)]["decision"] for op, p in
            [("read", f"{ws}/a"), ("create", f"{ws}/b"), ("rename", f"{ws}/b"), ("rename", f"{ws}/c"), ("remove", f"{ws}/c"), ("read", f"{outside}/f"), ("read", f"{ws}/missing")]} == {
                ("read", f"{ws}/a"): "allow", ("create", f"{ws}/b"): "allow", ("rename", f"{ws}/b"): "allow", ("rename", f"{ws}/c"): "allow",
                ("remove", f"{ws}/c"): "allow", ("read", f"{outside}/f"): "allow", ("read", f"{ws}/missing"): "allow"}
    denied = seen[("create", f"{outside}/g")]
    assert denied["decision"] == "deny" and denied["state"] and denied["pid"] > 0 and denied["time"].endswith("Z"), denied
    assert seen[("create", f"{ws}/b")]["rule"] == "allow-write" and seen[("create", f"{ws}/b")]["rule_path"] == str(ws)
    assert f"bailey: audit: {len(lines_of(log))} looks at files, 1 of them denied: {log}\n" == r.bailey_err, r.err
    assert log.stat().st_mode & 0o777 == 0o600
    before = len(lines_of(log))
    r = run("true", "--audit", log, "--report")
    assert len(lines_of(log)) > before and "report: no file was denied" in r.err, "appended; beside a report"


def test_audit_and_a_report_of_writes(run, user, outside, ws):
    """What is logged is all; what is reported is what was asked for."""
    user.write(ws / "a", "x")
    log = outside / "audit.jsonl"
    r = run("cat a", "--audit", log, "--report", "--deny-read", "a")
    assert "report: no file was denied" in r.err and "1 of them denied" in r.err, r.err
    (line,) = [x for x in lines_of(log) if x["path"] == f"{ws}/a"]
    assert line["decision"] == "deny" and line["rule"] == "deny-read" and line["origin"] == "--deny-read", line


def test_audit_file_out_of_reach(run, user, outside, ws):
    for place in (ws / "log", ws / "new/log"):
        r = run("true", "--audit", place)
        assert r.rc != 0 and "the command could write it" in r.err and not place.exists(), r
    user.symlink(outside / "target", outside / "link")
    r = run("true", "--audit", outside / "link")
    assert r.rc != 0 and not (outside / "target").exists(), r
    os.mkfifo(outside / "fifo")
    user.own(outside / "fifo")
    r = run("true", "--audit", outside / "fifo")
    assert r.rc != 0 and "--audit" in r.err, r
    r = run("echo x > ran", "--audit", outside / "missing" / "log")
    assert r.rc != 0 and "--audit" in r.err and not (ws / "ran").exists(), r


def test_audit_in_policy_files(run, user, outside, ws):
    """Of a project that is not trusted it has no effect: it names a file of the host."""
    log = outside / "audit.jsonl"
    policy = user.write(outside / "p.json", json.dumps({"filesystem": {"audit": str(log)}}))
    r = run("true", "--policy", policy)
    assert r.rc == 0 and lines_of(log), r
    log.unlink()
    user.write(ws / ".bailey.json", json.dumps({"filesystem": {"audit": str(log)}}))
    r = run("true")
    assert r.rc == 0 and not log.exists() and "audit" not in r.out, r
    (ws / ".bailey.json").unlink()
    user.write(policy, json.dumps({"filesystem": {"audit": "relative"}}))
    r = run("echo x > ran", "--policy", policy)
    assert r.rc == 2 and "must begin with / or ~/" in r.err and not (ws / "ran").exists(), r


def test_json_report(run, user, outside, ws):
    r = run(f"echo x > {outside}/g; echo x > .envrc; true", "--report", "--strict-protect", "--report-json")
    (text,) = [line for line in r.err.splitlines() if line.startswith("{")]
    rep = json.loads(text)
    assert rep["complete"] is True and rep["more"] == 0 and rep["unread"] == 0 and "audit" not in rep
    by_path = {d["path"]: d for d in rep["denied"]}
    assert by_path[f"{outside}/g"]["op"] == "create" and by_path[f"{outside}/g"]["option"] == "--allow-write" and by_path[f"{outside}/g"]["grant"] == str(outside), rep
    assert rep["not_made"] == [{"path": f"{ws}/.envrc", "what": "direnv"}], rep
    # the way on that it names is one
    d = by_path[f"{outside}/g"]
    assert run(f"echo x > {outside}/g", d["option"], d["grant"]).rc == 0 and (outside / "g").exists()
    r = run("true", "--audit", outside / "log", "--report-json")
    assert json.loads(r.said)["audit"]["looks"] > 0 and json.loads(r.said)["denied"] == []


def test_json_without_a_report(run, ws):
    r = run("echo x > ran", "--report-json")
    assert r.rc == 2 and "add --report" in r.err and not (ws / "ran").exists(), r
