# SPDX-License-Identifier: Apache-2.0
"""
Test suites of other projects give the same result for each test outside and inside, as an ordinary user. suites.py says how that is
judged; what is different is listed here, each with its reason.
"""
import json
import pathlib
import re
import shutil

import pytest

from callers import PYTHON, TIMEOUT, skip

import suites
from suites import SLOW, Because, Sources, has_shm, same

HERE = pathlib.Path(__file__).resolve().parent
SET_ID = "set-id modes are refused (SECURITY.md)"
ONE_ID = "an ordinary user's sandbox has one uid and one gid: others are invalid (EINVAL), where the suite knows only EPERM"


@pytest.fixture
def user(plain_user):
    return plain_user


@pytest.fixture
def suite_run(user, works):
    """suite_run(ARGV, cwd=, env=) -> stdout of a suite, which may have failing tests."""
    problem = works(user)
    if problem:
        pytest.fail(problem)

    def call(argv, **kw):
        r = user.exec(argv, timeout=SLOW, **kw)
        assert r.rc not in (125, 126, 127), r
        print(r.err[-2000:])
        return r.out

    return call


@pytest.fixture(scope="module")
def sources(plain_user):
    top = plain_user.mkdir(plain_user.home / "sources")
    yield Sources(plain_user, top)
    suites.remove(top)


# Without optional libraries: their headers may or may not be on this machine.
TAR = ["./configure -q --disable-nls --without-selinux --without-posix-acls CFLAGS=-O0", "make -s -j2"]
COREUTILS = [
    "./configure -q --disable-nls --without-selinux --disable-acl --disable-xattr --disable-libcap --without-libgmp CFLAGS=-O0",
    "make -s -j2 SUBDIRS=.",
]


def test_tar(sources, suite_run):
    """GNU tar: links, modes, times, sparse files, extended attributes, directories that vanish."""
    tree = sources.get("tar", TAR)

    def suite(prefix, only):
        numbers = " ".join(name.split()[0] for name in only or [])
        return suites.autotest(suite_run([*prefix, "make", "-C", "tests", "check", f"TESTSUITEFLAGS=-j2 {numbers}"], cwd=tree))

    same(
        suite,
        200,
        [Because(r"\d+ tar --one-top-level restoring permissions", "PASS", "SKIP", SET_ID)],
    )


def test_coreutils(sources, suite_run):
    """GNU coreutils: cp, mv, rm, ls, tail -f, timeout, stat, df and the others."""
    tree = sources.get("coreutils", COREUTILS)

    def suite(prefix, only):
        subset = [f"TESTS={' '.join(only)}"] if only else []
        return suites.automake(suite_run([*prefix, "make", "-k", "-j2", "check", "SUBDIRS=.", "RUN_EXPENSIVE_TESTS=no", *subset], cwd=tree))

    same(
        suite,
        400,
        [
            Because("tests/chmod/setgid.sh", "PASS", "FAIL", SET_ID),
            Because("tests/install/install-C.sh", "PASS", "FAIL", SET_ID),
            Because("tests/misc/ls-misc.pl", "PASS", "SKIP", SET_ID, seldom=True),  # perl may be without what it needs
            Because("tests/df/df-symlink.sh", "PASS", "SKIP", "the device of the root file system has no node in the private /dev", seldom=True),
            Because("tests/rm/fail-eperm.xpl", "PASS", "SKIP", "it looks for another user's file in /tmp, and the private one has none", seldom=True),
        ],
    )


PYTHON_TESTS = (
    "os posix pty signal subprocess fcntl mmap tempfile shutil socket select selectors epoll poll pathlib resource fork1 ioctl openpty wait3 wait4 "
    "threadsignals fileio mailbox dbm tarfile venv multiprocessing_fork posixpath file largefile sqlite3 shelve"
)


def test_python(suite_run, user, ws):
    """CPython's own tests of everything that asks the kernel."""
    if not pathlib.Path("/usr/lib/python3.11/test/test_os.py").exists():
        skip("not installed: libpython3.11-testsuite")
    modules = [f"test_{name}" for name in PYTHON_TESTS.split()]
    shm = has_shm()
    if not shm:
        modules.remove("test_multiprocessing_fork")  # a machine without /dev/shm: this works inside only, where there always is one

    # Sockets of AF_INET are TCP, UDP and ping: there is no UDP-Lite inside, and where a test's thread fails for that while its main thread fails, too,
    # CPython's runner may end with the whole module.
    without = ["-i", "*UDPLITE*", "-i", "*UDPLite*"]

    def suite(prefix, only):
        if only:
            match = [word for name in only for word in ("-m", name)]
            some = sorted({name.split(".")[1] for name in only if name.startswith("test.test_")})
        else:
            match, some = [], modules
        report = ws / "report.xml"
        report.unlink(missing_ok=True)
        suite_run([*prefix, PYTHON, "-m", "test", "-j2", "--timeout", "600", "--junit-xml", report, *without, *match, *(some or modules)], cwd=ws)
        return suites.junit(report)

    same(
        suite,
        1500,
        [
            Because(r"test\.test_os\.ChownFileTests\.test_chown_without_permission", "PASS", "FAIL", ONE_ID),
            # their subtests fail, and then the report has no entry of the test
            Because(r"test\.test_subprocess\.POSIXProcessTestCase\.test_(user|group)", "PASS", "absent", ONE_ID),
            Because(r"test\.test_os\.MakedirTests\.test_exist_ok_s_isgid_directory", "PASS", "SKIP", SET_ID),
            *([] if shm else [Because(r"test\.test_venv\.\w+\.test_multiprocessing\w*", "SKIP", "PASS", "/dev/shm is there")]),
        ],
    )


# ---- node: packages of npm that ship their tests ----

NODE_TESTS = {
    # files, fsync, reopen, modes; not write.test.js, which writes gigabytes
    "sonic-boom": "destroy end flush-sync flush fsync minlength mode periodicflush reopen retry sync",
    # worker threads, shared memory, Atomics.wait
    "thread-stream": "base context end event indexes post-message thread-management",
}


def test_node(suite_run, user, ws):
    for program in ("node", "npm"):
        if not shutil.which(program):
            skip(f"not installed: {program}")
    for name in ("package.json", "package-lock.json"):
        user.write(ws / name, (HERE / "node" / name).read_text())
    env = {f"npm_config_{k}": v for k, v in {"cache": str(ws / ".cache"), "audit": "false", "fund": "false", "update_notifier": "false", "progress": "false"}.items()}
    warm = user.exec(["npm", "ci", "--ignore-scripts"], cwd=ws, env=env, timeout=300)
    if warm.rc != 0:
        skip(f"npm ci, outside: {warm.err[-500:]}")
    shutil.rmtree(ws / "node_modules")
    # Here the packages come from the cache alone, inside.
    suite_run([suites.BAILEY, "run", "--", "npm", "ci", "--offline", "--ignore-scripts"], cwd=ws, env=env)
    for package, tests in NODE_TESTS.items():
        # node looks for no tests below node_modules
        tree = ws / package
        assert user.exec(["cp", "-a", ws / "node_modules" / package, tree]).rc == 0
        files = [f"test/{name}.test.js" for name in tests.split()]

        def suite(prefix, only, tree=tree, files=files):
            del only  # names can repeat: all of them again
            return suites.tap(suite_run([*prefix, "node", "--test", "--test-reporter=tap", *files], cwd=tree))

        same(suite, 20)


# ---- rust ----

REGISTRY = pathlib.Path("/usr/share/cargo/registry")
CARGO = "/usr/bin/cargo"
APP = {
    "Cargo.toml": '[package]\nname = "app"\nversion = "0.1.0"\nedition = "2021"\n[dependencies]\ntempfile = { path = "../tempfile" }\n',
    "src/main.rs": """use std::io::{Read, Seek, Write};

fn main() {
    let mut file = tempfile::tempfile().unwrap();
    write!(file, "written").unwrap();
    file.rewind().unwrap();
    let mut text = String::new();
    file.read_to_string(&mut text).unwrap();
    let sum: u64 = (1..=4u64).map(|n| std::thread::spawn(move || n * 10)).map(|t| t.join().unwrap()).sum();
    println!("{text} {sum}");
}
""",
}


@pytest.fixture
def rust(user, ws):
    """A workspace with the tempfile crate, an application that depends on it by path, and Debian's crates as the registry."""
    found = sorted(REGISTRY.glob("tempfile-*"))
    if not found or not pathlib.Path(CARGO).exists():
        skip("not installed: cargo, librust-tempfile-dev")
    assert user.exec(["cp", "-rL", "--no-preserve=mode", found[-1], ws / "tempfile"]).rc == 0
    user.write(ws / ".cargo" / "config.toml", f'[source.crates-io]\nreplace-with = "debian"\n[source.debian]\ndirectory = "{REGISTRY}"\n')
    for name, text in APP.items():
        user.write(ws / "app" / name, text)
    return ws


def test_cargo_build(rust, user, suite_run):
    env = {"PATH": "/usr/bin:/bin"}
    suite_run([suites.BAILEY, "run", "--", CARGO, "build", "--offline", "--quiet", "--manifest-path", "app/Cargo.toml"], cwd=rust, env=env)
    app = rust / "app" / "target" / "debug" / "app"
    for prefix in ([], [suites.BAILEY, "run", "--"]):
        r = user.exec([*prefix, app], cwd=rust)
        assert (r.rc, r.out) == (0, "written 100\n"), r
    # What was built inside is up to date outside: time stamps and hashes of target/ are those of the host.
    r = user.exec([CARGO, "build", "--offline", "-v", "--manifest-path", "app/Cargo.toml"], cwd=rust, env=env, timeout=SLOW)
    assert r.rc == 0 and "Compiling" not in r.err and len(re.findall("Fresh", r.err)) >= 2, r


def test_cargo_test(rust, user, suite_run):
    def suite(prefix, only):
        del only
        out = suite_run([*prefix, "sh", "-c", f"{CARGO} test --offline --no-fail-fast 2>&1"], cwd=rust / "tempfile", env={"PATH": "/usr/bin:/bin"})
        return suites.cargo(out)

    same(suite, 30)


# ---- the comparison itself ----


def test_a_difference_is_noticed():
    """A defect that always shows is a failure, one that the list names is not, and one that is gone makes the list a failure."""
    good = {"a": "PASS", "b": "PASS", "c": "SKIP"}

    def suite(inside):
        return lambda prefix, only: {k: v for k, v in (inside if prefix else good).items() if only is None or k in only}

    same(suite(good), 2)
    reasons = [Because("b", "PASS", "FAIL", "meant")]
    same(suite({**good, "b": "FAIL"}), 2, reasons)
    for inside, known in (({**good, "b": "FAIL"}, []), ({"a": "PASS", "c": "SKIP"}, reasons), (good, reasons), ({**good, "d": "PASS"}, [])):
        with pytest.raises(AssertionError):
            same(suite(inside), 2, known)
    with pytest.raises(AssertionError):
        same(suite(good), 3)
    # Seen once, not twice: the machine's load
    turns = iter([good, {**good, "a": "FAIL"}, good, good])
    same(lambda prefix, only: next(turns), 2)
    assert json.dumps(suites.tap("    not ok 1 - x\nok 1 - x # SKIP no\nok 2 - test/f.test.js\n")) == '{"x (1)": "FAIL", "x (2)": "SKIP"}'
    assert TIMEOUT < SLOW
