# SPDX-License-Identifier: Apache-2.0
"""bailey cp: files out of a sandbox that stays, and into it (docs/adr/0034)."""
import io
import os
import stat
import tarfile

import pytest

from conftest import BAILEY, PYTHON, has_own_ids, kill, wait_for
from test_named import boxes  # noqa: F401 (a fixture)

LONG = "n" * 200


@pytest.fixture
def box(boxes, ws, user):  # noqa: F811
    """A sandbox, and a directory of the host that it can't reach."""
    boxes.make()
    boxes.here = user.mkdir(user.home / "here", 0o700)
    yield boxes
    user.exec(["chmod", "-R", "u+rwX", boxes.here])
    user.exec(["rm", "-rf", boxes.here])


def tree(top):
    """{path: (kind, mode, content, mtime in ns)} of everything below TOP."""
    found = {}
    for at, dirs, files in os.walk(top):
        for name in dirs + files:
            p = os.path.join(at, name)
            st = os.lstat(p)
            kind = stat.S_IFMT(st.st_mode)
            text = os.readlink(p) if stat.S_ISLNK(st.st_mode) else open(p, "rb").read() if stat.S_ISREG(st.st_mode) else None
            found[os.path.relpath(p, top)] = (kind, None if stat.S_ISLNK(st.st_mode) else stat.S_IMODE(st.st_mode), text, st.st_mtime_ns)
    return found


MAKE = f"""
mkdir -p src/sub/empty src/shut; cd src
echo text > file; printf x > sub/{LONG}; printf '#!/bin/sh\\n' > run; chmod 755 run; chmod 640 file
ln -s ../../../../etc/passwd up; ln -s nowhere dangling; ln -s sub to-sub
head -c 300000 /dev/urandom > big; : > 'a name with
a line'; chmod 555 shut; touch -d 2001-02-03T04:05:06.789 file sub shut; touch -h -d 2002-01-01 up
"""


def test_out_and_in(box, ws, user):
    """A tree comes out as it is: contents, modes, times, links as links; and goes in, and comes out again."""
    assert box.exec(MAKE).rc == 0
    r = box("cp", "box:src", box.here / "copy")
    assert (r.rc, r.out, r.err) == (0, "", ""), r
    want = tree(ws / "src")
    assert tree(box.here / "copy") == want and len(want) == 11
    assert os.stat(box.here / "copy/file").st_uid == user.uid
    assert box("cp", box.here / "copy", "box:/tmp").rc == 0, "a directory that is there gets it"
    assert box.exec("cd /tmp/copy && cat file && stat -c %a run shut && readlink up dangling").out == "text\n755\n555\n../../../../etc/passwd\nnowhere\n"
    assert box("cp", "box:/tmp/copy/.", box.here / "again").rc == 0
    assert tree(box.here / "again") == want


def test_as_cp_says(box, ws):
    """Names: a new one, a directory that is there, DIR/. for what is in it, a file that is replaced."""
    here = box.here
    assert box.exec("mkdir -p d; echo one > f; echo two > d/g; ln -s f link").rc == 0
    assert box("cp", "box:f", here / "new").rc == 0 and (here / "new").read_text() == "one\n"
    assert box("cp", f"box:{ws}/f", here).rc == 0 and (here / "f").read_text() == "one\n"
    assert box("cp", "box:d", here).rc == 0 and (here / "d/g").read_text() == "two\n"
    assert box("cp", "box:d/.", here).rc == 0 and (here / "g").read_text() == "two\n"
    assert box("cp", "box:f", here / "g").rc == 0 and (here / "g").read_text() == "one\n", "replaced"
    assert box("cp", "box:link", here / "l").rc == 0 and os.readlink(here / "l") == "f"
    assert box("cp", "-L", "box:link", here / "followed").rc == 0 and not (here / "followed").is_symlink() and (here / "followed").read_text() == "one\n"
    assert box("cp", here / "new", "box:d/h").rc == 0 and (ws / "d/h").read_text() == "one\n"
    assert box("cp", here / "d", "box:e").rc == 0 and (ws / "e/g").read_text() == "two\n"
    assert box("cp", f"{here}/d/.", "box:e2").rc == 0 and (ws / "e2/g").read_text() == "two\n"
    assert box("cp", here / "l", "box:l").rc == 0 and os.readlink(ws / "l") == "f"
    assert box("cp", "./d/g", "box:/tmp/deep", cwd=here).rc == 0 and box.exec("cat /tmp/deep").out == "two\n"


def test_streams(box, ws, user):
    """- is an archive of tar, which other programs read and write."""
    assert box.exec("mkdir -p d; echo two > d/g").rc == 0
    p = user.popen([BAILEY, "cp", "box:d", "-"], cwd=ws, env=box.env)
    out, err = p.communicate(timeout=20)
    assert p.returncode == 0 and not err, err
    with tarfile.open(fileobj=io.BytesIO(out)) as t:
        f = t.extractfile("d/g")
        assert t.getnames() == ["d", "d/g"] and f and f.read() == b"two\n"
    for fmt in ("gnu", "pax", "ustar", "v7"):
        user.exec(["sh", "-c", f"mkdir -p w && echo {fmt} > w/f && ln -f w/f w/hard && tar --format={fmt} -cf {fmt}.tar w"], cwd=box.here)
        with open(box.here / f"{fmt}.tar", "rb") as f:
            r = box("cp", "-", "box:/tmp", stdin=f)
        assert r.rc == 0, r
        assert box.exec("cat /tmp/w/f /tmp/w/hard; stat -c %h /tmp/w/f").out == f"{fmt}\n{fmt}\n2\n"


def test_by_the_rights_of_the_sandbox(box, ws, user, outside):
    """What it can't read does not come out, what it can't write does not go in; the control: outside it can be done."""
    secret = user.write(user.home / ".ssh/id_secret", "s3cret\n")
    try:
        for src in (secret, "/nowhere"):
            r = box("cp", f"box:{src}", box.here / "stolen")
            assert r.rc == 1 and r.err.count("\n") == 1 and "sandbox 'box'" in r.err and not (box.here / "stolen").exists(), r
        source = user.write(box.here / "source", "x\n")
        for dst in (outside, "/usr", "/etc/os-release"):
            before = user.exec(["ls", "-lL", "/etc/os-release"]).out
            r = box("cp", source, f"box:{dst}")
            assert r.rc == 1 and r.err.count("\n") == 1, r
            assert not list(outside.iterdir()) and not os.path.exists("/usr/source") and user.exec(["ls", "-lL", "/etc/os-release"]).out == before
        assert box("cp", source, "box:ok").rc == 0 and (ws / "ok").read_text() == "x\n"
        assert user.exec(["cp", secret, box.here / "copied"]).rc == 0 and user.exec(["cp", source, outside]).rc == 0
    finally:
        user.exec(["rm", "-rf", user.home / ".ssh"])


def test_links_lead_nowhere(box, user):
    """Names that would be reached through a link, of the sandbox's or of the host's, are errors, and nothing is written behind them."""
    victim = user.mkdir(box.here / "victim")
    target = user.mkdir(box.here / "target")
    user.symlink(victim, target / "sub")
    assert box.exec("mkdir -p src/sub; echo x > src/sub/f").rc == 0
    r = box("cp", "box:src/.", target)
    assert r.rc == 1 and "is a link" in r.err and r.err.count("\n") == 1 and not list(victim.iterdir()), r
    user.exec(["rm", target / "sub"])
    user.symlink(victim / "f", target / "f")
    assert box.exec("echo y > src/f").rc == 0 and box("cp", "box:src/f", f"{target}/").rc == 0
    assert not (target / "f").is_symlink() and (target / "f").read_text() == "y\n" and not list(victim.iterdir()), "replaced, not followed"


@pytest.fixture
def odd(box, user):
    """{name: what it is} of a FIFO, a socket, a device where one can be made, and a link to each; none is a name of the host's own."""
    at = user.mkdir(box.here / "odd")
    user.exec(["mkfifo", at / "fifo"])
    user.exec([PYTHON, "-c", "import socket, sys; socket.socket(socket.AF_UNIX).bind(sys.argv[1])", at / "sock"])
    if os.geteuid() == 0:
        os.mknod(at / "device", 0o666 | stat.S_IFCHR, os.makedev(1, 3))
    made = {p.name: p for p in at.iterdir()}
    for name in made:
        user.symlink(name, at / f"to-{name}")
    return at, sorted(made)


def test_the_place_here_is_no_special_file(box, odd, user):
    """As root, 'bailey cp box:f /dev/stdout' would put a file there for everybody. A link is neither replaced nor followed."""
    at, names = odd
    assert box.exec("echo x > f; mkdir -p d; echo y > d/f").rc == 0
    user.write(at / "real", "old\n")
    user.symlink("real", at / "link")
    user.symlink("nowhere", at / "dangling")
    user.mkdir(at / "dir")
    user.symlink("dir", at / "to-dir")
    what = {"fifo": "a FIFO", "sock": "a socket", "device": "a device"}
    before = {p.name: (os.lstat(p).st_ino, os.lstat(p).st_mode) for p in at.iterdir()}
    for name in names:
        for src in ("f", "d"):
            r = box("cp", f"box:{src}", at / name)
            assert r.rc == 2 and f"is {what[name]}; for standard output say '-'" in r.err and r.err.count("\n") == 1, r
            r = box("cp", f"box:{src}", at / f"to-{name}")
            assert r.rc == 2 and f"is a link to {what[name]}; for standard output say '-'" in r.err, r
    for name, to in (("link", "real"), ("dangling", "nowhere")):
        for src in ("f", "d"):
            r = box("cp", f"box:{src}", at / name)
            assert r.rc == 2 and f"is a link to '{to}': name that" in r.err and r.err.count("\n") == 1, r
    assert {p.name: (os.lstat(p).st_ino, os.lstat(p).st_mode) for p in at.iterdir()} == before
    assert (at / "real").read_text() == "old\n"
    # the permitted twins: what the link leads to, a link to a directory, a new directory
    assert box("cp", "box:f", at / "real").rc == 0 and (at / "real").read_text() == "x\n"
    for place in (f"{at}/to-dir", f"{at}/to-dir/"):
        assert box("cp", "box:f", place).rc == 0 and (at / "dir/f").read_text() == "x\n" and (at / "to-dir").is_symlink()
    assert box("cp", "box:d", f"{at}/new/").rc == 0 and (at / "new/f").read_text() == "y\n"


def test_a_source_here_is_no_special_file(box, odd, user):
    """A link as /dev/stdin is would arrive as one that leads nowhere. Another link goes as a link, or with -L as what it leads to."""
    at, names = odd
    user.write(at / "real", "text\n")
    user.symlink("real", at / "link")
    for name in (*names, *(f"to-{n}" for n in names)):
        r = box("cp", at / name, "box:/tmp/x")
        assert r.rc == 2 and "for standard input say '-'" in r.err and r.err.count("\n") == 1, r
    assert box("cp", at / "link", "box:/tmp/as-link").rc == 0 and box("cp", "-L", at / "link", "box:/tmp/followed").rc == 0
    assert box.exec("readlink /tmp/as-link; cat /tmp/followed; ls /tmp").out == "real\ntext\nas-link\nfollowed\n"


def fake(user, box, data):
    """What `bailey cp` does with DATA that a sandbox sends: unpacked by the same code, as a stream."""
    with open(box.here / "in.tar", "wb") as f:
        f.write(data)
    os.chown(box.here / "in.tar", user.uid, user.gid)
    with open(box.here / "in.tar", "rb") as f:
        return box("cp", "-", "box:/tmp/in", stdin=f)


def entry(name, **kw):
    i = tarfile.TarInfo(name)
    for k, v in kw.items():
        setattr(i, k, v)
    return i


HOSTILE = {
    "up": ([entry("../x")], "leads elsewhere"),
    "absolute": ([entry("/tmp/x")], "leads elsewhere"),
    "through a link": ([entry("l", type=tarfile.SYMTYPE, linkname="/tmp"), entry("l/x")], "is a link"),
    "hard link up": ([entry("h", type=tarfile.LNKTYPE, linkname="../../etc/passwd")], "leads elsewhere"),
    "hard link through a link": ([entry("l", type=tarfile.SYMTYPE, linkname="/etc"), entry("h", type=tarfile.LNKTYPE, linkname="l/passwd")], "is a link"),
    "device up": ([entry("../n", type=tarfile.CHRTYPE, devmajor=1, devminor=3)], "leads elsewhere"),
    "a name with a NUL": ([entry("x", pax_headers={"path": "in\0/../../x"})], "this is no archive of tar"),
    "no file at all": ([entry("n", type=b"Z")], "file of an unknown kind"),
    "a directory's place": ([entry("d", type=tarfile.DIRTYPE, mode=0o755), entry("d")], "a directory stands there"),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_hostile_archives(box, user, what):
    entries, said = HOSTILE[what]
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as t:
        for e in entries:
            t.addfile(e)
    assert box.exec("mkdir /tmp/in").rc == 0
    r = fake(user, box, out.getvalue())
    assert r.rc == 1 and said in r.err and r.err.count("\n") == 1, r
    assert box.exec("ls -A /tmp; test ! -e /tmp/x").out == "in\n"


def test_what_is_behind_the_end_of_an_archive(box, user):
    """tar fills its last record up; nobody reads that, however much it is."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as t:
        t.addfile(entry("f", size=5), io.BytesIO(b"hello"))
    assert box.exec("mkdir /tmp/in").rc == 0
    r = fake(user, box, out.getvalue() + bytes(8 << 20))
    assert (r.rc, r.err) == (0, "") and box.exec("cat /tmp/in/f").out == "hello", r


def test_special_files_of_an_archive_are_left_out(box, user):
    """None is made, each has a line, up to a bound; what stands around them comes, and what stood there under their name stays."""
    specials = [entry("d/p", type=tarfile.FIFOTYPE), entry("c", type=tarfile.CHRTYPE, devmajor=1, devminor=3), entry("b\033", type=tarfile.BLKTYPE, devmajor=7)]
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as t:
        t.addfile(specials[0])
        t.addfile(entry("d", type=tarfile.DIRTYPE, mode=0o755))
        t.addfile(entry("f", size=5), io.BytesIO(b"hello"))
        for e in specials[1:]:
            t.addfile(e)
        t.addfile(entry("last", size=1), io.BytesIO(b"x"))
    assert box.exec("mkdir /tmp/in; echo old > /tmp/in/c").rc == 0
    r = fake(user, box, out.getvalue())
    assert r.rc == 0 and r.err.count("\n") == 3 and "d/p: a FIFO is left out" in r.err and "c: a device is left out" in r.err and "\033" not in r.err, r
    assert all(line.startswith("bailey: ") for line in r.err.splitlines()), r
    assert box.exec("cd /tmp/in; find * | sort; cat f c").out == "c\nd\nf\nlast\nhelloold\n"
    many = io.BytesIO()
    with tarfile.open(fileobj=many, mode="w") as t:
        for i in range(1000):
            t.addfile(entry(f"p{i}", type=tarfile.FIFOTYPE))
        t.addfile(entry("after"))
    r = fake(user, box, many.getvalue())
    assert r.rc == 0 and "and more is left out" in r.err and r.err.count("\n") <= 20, r
    assert box.exec("test -e /tmp/in/after").rc == 0
    r = box("cp", "-", "box:/tmp/nowhere", stdin=open(box.here / "in.tar", "rb"))
    assert r.rc == 1 and "/tmp/nowhere" in r.err, r


def test_archives_that_are_none(box, user):
    assert box.exec("mkdir /tmp/in").rc == 0
    good = io.BytesIO()
    with tarfile.open(fileobj=good, mode="w") as t:
        t.addfile(entry("f", size=5), io.BytesIO(b"hello"))
    for data in (b"", b"no tar", b"x" * 5000, good.getvalue()[:514], good.getvalue()[:300]):
        r = fake(user, box, data)
        assert r.rc == 1 and "no archive of tar" in r.err and r.err.count("\n") == 1, (data[:20], r)
    assert box.exec("ls -A /tmp/in").out == "", "no half of a file, no temporary name"
    assert fake(user, box, good.getvalue()).rc == 0 and box.exec("cat /tmp/in/f").out == "hello"


def test_no_set_id(box, user):
    """No set-id bit travels, in or out; the sticky one of a directory does."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as t:
        t.addfile(entry("s", mode=0o6755))
        t.addfile(entry("d", type=tarfile.DIRTYPE, mode=0o7755))
    assert box.exec("mkdir /tmp/in").rc == 0 and fake(user, box, out.getvalue()).rc == 0
    assert box.exec("stat -c %a /tmp/in/s /tmp/in/d").out == "755\n1755\n"
    made = user.write(box.here / "setid")
    os.chmod(made, 0o6755)
    assert box("cp", made, "box:/tmp/setid").rc == 0 and box.exec("stat -c %a /tmp/setid").out == "755\n"


def test_attributes(box, ws, user):
    """user.* goes along; what would be the kernel's own notes in a layer does not."""
    f = user.write(box.here / "f", "x")
    for name in ("user.note", "user.overlay.opaque"):
        os.setxattr(f, name, b"v\0w")
    assert box("cp", f, "box:f").rc == 0
    assert os.listxattr(ws / "f") == ["user.note"] and os.getxattr(ws / "f", "user.note") == b"v\0w"
    assert box("cp", "box:f", box.here / "back").rc == 0 and os.getxattr(box.here / "back", "user.note") == b"v\0w"


def test_sockets_and_holes(box, ws):
    """What can't be copied is left out, with a line; holes stay holes; more than --max-size is an error that leaves nothing."""
    assert box.exec("mkdir d; mkfifo d/p; echo x > d/f; truncate -s 1G d/hole").rc == 0
    r = box("cp", "box:d", box.here)
    assert r.rc == 0 and "d/p: a FIFO is left out" in r.err and r.err.count("\n") == 1, r
    st = os.stat(box.here / "d/hole")
    assert st.st_size == 1 << 30 and st.st_blocks * 512 < 1 << 20
    r = box("cp", "box:d/p", box.here)
    assert r.rc == 1 and "FIFO" in r.err, r
    for here in (box.here / "small", "-"):
        r = box("cp", "--max-size", "1M", "box:d/hole", here)
        assert r.rc == 1 and "more than 1048576 bytes" in r.err and r.err.count("\n") == 1, r
    assert not (box.here / "small").exists()


def test_a_tree_that_is_too_deep(box, ws, user):
    """Out and in: an error that names the limit; the twin: what is just as deep as it may be."""
    assert box.exec("true").rc == 0  # a start looks for sockets as deep as that
    at = ws / "tree"
    for _ in range(127):
        at = at / "d"
    at.mkdir(parents=True)
    assert box("cp", f"box:{ws}/tree", user.base / "got").rc == 0 and box("cp", ws / "tree", "box:/tmp").rc == 0
    (at / "d" / "d").mkdir(parents=True)
    for words in ((f"box:{ws}/tree", user.base / "got2"), (ws / "tree", "box:/var/tmp")):
        r = box("cp", *words)
        assert r.rc != 0 and "more than 128 directories inside each other" in r.err and "loop" not in r.err and r.err.count("\n") == 1, r
    user.exec(["rm", "-rf", user.base / "got", user.base / "got2"])


def test_owners(box, ws, user):
    """-a keeps the numbers where that may be done; else it is an error and nothing is changed."""
    f = user.write(box.here / "f", "x")
    assert box("cp", "-a", f, "box:mine").rc == 0
    if has_own_ids(user, ws):
        os.chown(f, 12345, 12345)
        r = box("cp", "-a", f, "box:f")
        assert r.rc == 1 and "not permitted" in r.err and r.err.count("\n") == 1 and sorted(os.listdir(ws)) == ["mine"], r
    assert box("cp", f, "box:g").rc == 0 and box("cp", "box:g", box.here / "g").rc == 0
    assert (box.here / "g").stat().st_uid == user.uid
    r = box("cp", "-a", "box:g", box.here / "h")
    assert r.rc == 0, r


def test_what_is_killed_leaves_no_half(box, ws, user):
    """kill -9 of cp: the sandbox lives on, and nobody waits inside."""
    assert box.exec("head -c 50000000 /dev/zero | tr '\\0' x > big").rc == 0
    p = box.start("cp", "box:big", "-")
    assert p.stdout.read(1000)
    kill(p)
    p.stdout.close()
    p.stderr.close()
    # PID 1 and the shell with ps and its helpers; the copy has a name of its own
    assert wait_for(lambda: box.exec("ls /proc | grep -c '^[0-9]'").out.strip() in ("3", "4", "5")), box.exec("ps ax").out
    assert box.exec("wc -c < big").out.strip() == "50000000"


BAD = [
    (["cp"], 2, "name two places"),
    (["cp", "box:a"], 2, "name two places"),
    (["cp", "a", "b"], 2, "neither"),
    (["cp", "box:a", "box:b"], 2, "both"),
    (["cp", "box:", "b"], 2, "the path is missing"),
    (["cp", "nobox:a", "b"], 3, "nobox"),
    (["cp", "nowhere", "box:b"], 2, "nowhere"),
    (["cp", "--max-size", "much", "box:a", "b"], 2, "--max-size"),
    (["cp", "-x", "box:a", "b"], 2, "-x"),
    (["cp", "box:a", ""], 2, "empty"),
]


@pytest.mark.parametrize("words,status,said", BAD, ids=[" ".join(w) for w, _, _ in BAD])
def test_bad_words(boxes, words, status, said):  # noqa: F811
    boxes.make()
    r = boxes(*words)
    assert r.rc == status and said in r.err and r.err.count("\n") == 1 and r.err.startswith("bailey: "), r
    assert boxes.ls()["box"]["state"] == "stopped", "nothing was started for it"
