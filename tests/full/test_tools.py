# SPDX-License-Identifier: Apache-2.0
"""
Tools that people start beside an agent, chosen for what a sandbox breaks easily: shared memory, locks, notification, terminals, debuggers.
Each runs outside first, so that a failure inside is the sandbox's, and is judged by what it did.
"""
import os
import pathlib
import shutil

import pytest

from callers import BAILEY, PYTHON, skip

from suites import has_shm

SOME = 120  # seconds


def need(*programs):
    missing = [p for p in programs if not shutil.which(p)]
    if missing:
        skip(f"not installed: {', '.join(missing)}")


@pytest.fixture
def both(user, ws, bailey):
    """both(COMMAND) -> stdout, which is the same outside and inside, each in an empty directory of the workspace."""
    del bailey  # only its check that there is a sandbox
    count = iter(range(1000))

    def call(script, files=(), least=""):
        said = []
        for prefix in ([], [BAILEY, "run", "--"]):
            cwd = user.mkdir(ws / f"d{next(count)}")
            for name, text in dict(files).items():
                user.write(cwd / name, text)
            argv = ["sh", "-ec", script] if isinstance(script, str) else script
            r = user.exec([*prefix, *argv], cwd=cwd, timeout=SOME)
            assert r.rc == 0, (prefix, r)
            said.append(r.out)
        assert said[0] == said[1] and least in said[0], said
        return said[1]

    return call


# ---- building ----

MANY = "all: $(addprefix o,$(shell seq 40))\no%:\n\t@sleep 0.01; echo $@ > $@\n"


def test_make_and_ninja_in_parallel(both):
    need("make", "ninja")
    # The job server is a pipe, or a fifo in /tmp
    assert both("make -j8 && cat o* | sort | md5sum && make -j8 -n | wc -l", {"Makefile": MANY}, least="\n")
    ninja = "rule w\n  command = sleep 0.01; echo $out > $out\n" + "".join(f"build o{n}: w\n" for n in range(40))
    both("ninja -j8 --quiet && cat o* | sort | md5sum && ninja", {"build.ninja": ninja}, least="no work to do")


def test_python_venv_and_pip(both):
    both(
        f"{PYTHON} -m venv --without-pip v && v/bin/python -c 'import sys; print(sys.prefix != sys.base_prefix)' && "
        f"{PYTHON} -m venv p && p/bin/pip --version | cut -d' ' -f1,2 && p/bin/pip list --format=freeze --disable-pip-version-check",
        least="True\npip ",
    )


# ---- files that processes share ----


def test_sqlite_wal_by_several_processes(both):
    need("sqlite3")
    out = both(
        "sqlite3 t.db 'pragma journal_mode=wal; create table t (x)';"
        "for i in 1 2 3 4; do (for j in 1 2 3 4 5; do sqlite3 -cmd '.timeout 60000' t.db \"insert into t values ($i)\"; done) & done; wait;"
        "sqlite3 t.db 'select count(*), sum(x) from t; pragma integrity_check'",
    )
    assert out == "wal\n20|50\nok\n"


def test_locks(both):
    need("flock")
    both("(flock 9; sleep 0.3; echo first) 9> l & sleep 0.1; ! flock -n l true; flock l echo second; wait", least="first\nsecond\n")
    code = (
        "import fcntl, os\n"
        "f = open('l', 'w'); fcntl.lockf(f, fcntl.LOCK_EX)\n"
        "if os.fork() == 0:\n"
        "    try: fcntl.lockf(open('l', 'w'), fcntl.LOCK_EX | fcntl.LOCK_NB)\n"
        "    except OSError as e: print(e.strerror, flush=True)\n"
        "    os._exit(0)\n"
        "os.wait()\n"
    )
    both([PYTHON, "-c", code], least="Resource temporarily unavailable")


def test_a_lock_of_the_host_holds_inside(user, ws, run):
    """The workspace is one and the same file system."""
    need("flock")
    assert run("flock -n l echo free").out == "free\n"
    holder = user.popen(["flock", "l", "sh", "-c", "echo held; read x"], cwd=ws, stdin=-1)
    try:
        assert holder.stdout.readline() == b"held\n"
        assert run("flock -n l echo free").rc == 1
    finally:
        holder.communicate(b"\n")
    assert run("flock -n l echo free").out == "free\n"


def test_inotifywait(both):
    need("inotifywait")
    both("mkdir d; (inotifywait -q -r -m -e create,close_write,moved_to --format '%e %f' d > log 2>&1 & echo $! > pid); sleep 1; echo x > d/a; mv d/a d/b; sleep 1; kill $(cat pid); cat log", least="MOVED_TO b")


def test_node_watch(both):
    need("node")
    script = (
        "const { spawn } = require('child_process'), fs = require('fs');\n"
        "fs.writeFileSync('app.js', \"console.log('one')\");\n"
        "const p = spawn(process.execPath, ['--watch', 'app.js']);\n"
        "let text = '';\n"
        "p.stdout.on('data', d => { text += d;\n"
        "  if (/one/.test(text) && !/two/.test(text)) setTimeout(() => fs.writeFileSync('app.js', \"console.log('two')\"), 300);\n"
        "  if (/two/.test(text)) { console.log('restarted'); p.kill(); process.exit(0); } });\n"
        "setTimeout(() => { console.log('no restart', text); process.exit(1); }, 60000);\n"
    )
    both(["node", "w.js"], {"w.js": script}, least="restarted")


# ---- memory and other objects of the kernel ----

OBJECTS = {
    "semaphores": "import multiprocessing as m; s = m.Semaphore(0); p = m.Process(target=s.release); p.start(); print(s.acquire(timeout=60)); p.join()",
    "shared memory": (
        "from multiprocessing import shared_memory as s, Process\n"
        "def child(name):\n    m = s.SharedMemory(name); m.buf[0] = 42; m.close()\n"
        "m = s.SharedMemory(create=True, size=1 << 20); p = Process(target=child, args=(m.name,)); p.start(); p.join(); print(m.buf[0]); m.close(); m.unlink()"
    ),
    "spawn and forkserver": (
        "import multiprocessing as m, sys\nif __name__ == '__main__':\n"
        "    for how in ('spawn', 'forkserver'):\n        with m.get_context(how).Pool(2) as p: print(how, p.map(abs, [-1, -2]))"
    ),
    "message queues": (
        "import ctypes, os\nc = ctypes.CDLL(None, use_errno=True); q = c.mq_open(b'/e2e-%d' % os.getpid(), os.O_CREAT | os.O_RDWR, 0o600, None)\n"
        "b = ctypes.create_string_buffer(8192); print(q >= 0, c.mq_send(q, b'hello', 5, 0), c.mq_receive(q, b, 8192, None), b.value, c.mq_unlink(b'/e2e-%d' % os.getpid()))"
    ),
    "System V": (
        "import ctypes\nc = ctypes.CDLL(None, use_errno=True); c.shmat.restype = ctypes.c_void_p; c.shmat.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_int]\n"
        "i = c.shmget(0, 65536, 0o1600); a = c.shmat(i, None, 0); ctypes.memset(a, 7, 65536); print(i >= 0, ctypes.string_at(a, 2), c.shmctl(i, 0, None)); s = c.semget(0, 2, 0o1600); print(s >= 0, c.semctl(s, 0, 0))"
    ),
    "memfd with seals": (
        "import os, fcntl\nf = os.memfd_create('e2e', os.MFD_ALLOW_SEALING); os.write(f, b'x'); fcntl.fcntl(f, 1033, 2 | 4 | 8)\n"
        "try: os.write(f, b'y')\nexcept PermissionError as e: print(e.strerror)\nprint(open(f'/proc/self/fd/{f}').read())"
    ),
    "a program in a memfd": (
        "import os\nf = os.memfd_create('e2e', 0); os.write(f, open('/bin/echo', 'rb').read())\nos.execve(f, ['echo', 'from memory'], {})"
    ),
    "pidfd": (
        "import os, signal, select\np = os.fork()\nif p == 0: signal.pause()\n"
        "f = os.pidfd_open(p); signal.pidfd_send_signal(f, signal.SIGTERM); print(select.select([f], [], [], 60)[0] == [f], os.waitid(os.P_PIDFD, f, os.WEXITED).si_status)"
    ),
    "signals, timers, events": (
        "import ctypes, os, signal, time\nsignal.signal(signal.SIGALRM, lambda *a: print('alarm')); signal.setitimer(signal.ITIMER_REAL, 0.05); signal.pause()\n"
        "c = ctypes.CDLL(None); e = c.eventfd(3, 0); print(os.read(e, 8)[0], c.timerfd_create(1, 0) >= 0, c.inotify_init1(0) >= 0)"
    ),
    "huge pages advice": "import mmap\nm = mmap.mmap(-1, 8 << 20); m.madvise(mmap.MADV_HUGEPAGE); m.madvise(mmap.MADV_DONTNEED); m[5] = 1; print(m[5])",
    "about itself": (
        "import os, pathlib\nprint(os.readlink('/proc/self/exe'), os.cpu_count(), len(os.sched_getaffinity(0)), 'processor' in open('/proc/cpuinfo').read())\n"
        "print(os.sysconf('SC_PHYS_PAGES') > 0, 'MemTotal' in open('/proc/meminfo').read(), len(os.getloadavg()), '[stack]' in open('/proc/self/maps').read(), open('/proc/self/comm').read())\n"
        "print(pathlib.Path('/proc/self/oom_score_adj').read_text() != '', os.listdir('/proc/self/task') == [str(os.getpid())], open('/proc/sys/kernel/ostype').read())"
    ),
    "sockets": (
        "import socket, array, os\na, b = socket.socketpair(); r, w = os.pipe(); socket.send_fds(a, [b'fd'], [w]); m, fds, *_ = socket.recv_fds(b, 9, 1); os.write(fds[0], b'passed'); print(m, os.read(r, 9))\n"
        "s = socket.create_server(('::1', 0), family=socket.AF_INET6); c = socket.create_connection(s.getsockname()[:2]); print(socket.getaddrinfo('localhost', 80)[0][0].name, c.getpeername()[0])\n"
        "u = socket.socket(socket.AF_UNIX); u.bind('s'); u.listen(); v = socket.socket(socket.AF_UNIX); v.connect('s'); print(len(u.accept()[0].getsockopt(1, 17, 12)))"
    ),
}

# Those that need /dev/shm, and what they print.
NEED_SHM = {"semaphores": "True\n", "shared memory": "42\n", "spawn and forkserver": "spawn [1, 2]\nforkserver [1, 2]\n"}


@pytest.mark.parametrize("what", OBJECTS)
def test_kernel_objects(both, run, user, ws, what):
    if what in NEED_SHM and not has_shm():
        # A machine without it, as some containers are: nothing to compare with, but inside there is one.
        user.write(ws / "o.py", OBJECTS[what])
        r = run([PYTHON, "o.py"], timeout=SOME)
        assert (r.rc, r.out) == (0, NEED_SHM[what]), r
        return
    out = both([PYTHON, "o.py"], {"o.py": OBJECTS[what]})
    assert out.strip() and out == NEED_SHM.get(what, out)


def test_node_without_io_uring(both):
    """libuv asks for io_uring, is refused, and takes its threads; the answer is ENOSYS, as from a kernel without it."""
    need("node")
    code = (
        "const fs = require('fs'), p = require('fs/promises');\n"
        "(async () => { await Promise.all([...Array(200).keys()].map(async i => { await p.writeFile('f' + i, 'x'.repeat(i)); return (await p.readFile('f' + i)).length; }))\n"
        "  .then(a => console.log(a.reduce((x, y) => x + y))); console.log((await p.readdir('.')).length); })();\n"
    )
    files = {"u.js": code}
    assert both("UV_USE_IO_URING=1 node u.js", files) == both("UV_USE_IO_URING=0 node u.js", files) == "19900\n201\n"


# ---- terminals ----

TMUX = (
    "export TERM=screen SHELL=/bin/sh; tmux -S ./t -f /dev/null new-session -d -x 80 -y 24 'sh -i'; "
    # its prompt is there; else what is typed stands before it
    "timeout 60 sh -c 'until tmux -S ./t capture-pane -p | grep -q \"^[#$]\"; do sleep 0.1; done'; "
    "tmux -S ./t send-keys 'tty > /dev/null && echo on-a-terminal > out; stty size >> out; (echo to-it > /dev/tty) && echo written >> out; tmux wait-for -S done' Enter; "
    # the pane's text and the word that it is done come to tmux by different ways
    "timeout 60 tmux -S ./t wait-for done; timeout 60 sh -c 'until tmux -S ./t capture-pane -p | grep -qx to-it; do sleep 0.1; done'; tmux -S ./t list-panes -F '#{pane_width}'; tmux -S ./t kill-server; cat out"
)


def test_tmux(both):
    need("tmux")
    both(TMUX, least="80\non-a-terminal\n24 80\nwritten\n")


def test_script_and_dev_tty(both):
    """A terminal made inside: a session of its own, with /dev/tty and job control."""
    need("script")
    both("script -qec 'tty -s && echo t > /dev/tty; set -m; sleep 0.1 & fg; stty size > /dev/null; echo $-' /dev/null | tr -d '\\r'", least="t\n")


# ---- keys ----


def test_keys(both):
    need("ssh-keygen", "openssl")
    # The signatures of ed25519 depend on nothing else
    both("ssh-keygen -q -t ed25519 -N '' -f k && ssh-keygen -y -P '' -f k > p && [ \"$(cut -d' ' -f1,2 p)\" = \"$(cut -d' ' -f1,2 k.pub)\" ] && stat -c %a k && echo x > m && ssh-keygen -q -Y sign -f k -n e2e m && ls", least="m.sig")
    both("openssl speed -seconds 1 -bytes 1024 sha256 2> /dev/null | grep -c '^sha256'; openssl rand 32 | wc -c; printf x | openssl dgst -sha256", least="32\n")


# ---- debuggers ----

CRASH = "#include <signal.h>\n#include <unistd.h>\nint depth(int n) { if (n) return depth(n - 1) + 1; raise(SIGSEGV); return 0; }\nint main(int c, char **v) { (void)v; if (c > 1) for (;;) pause(); return depth(3); }\n"


def test_gdb_backtrace_and_attach(both):
    need("gdb", "gcc")
    build = "gcc -g -O0 -o c c.c"
    both(f"{build} && gdb -nx -batch -ex run -ex bt ./c 2>/dev/null | grep -o 'depth (n=[0-9])'", {"c.c": CRASH}, least="depth (n=0)\ndepth (n=1)\ndepth (n=2)\ndepth (n=3)\n")
    # A child of the shell is no child of gdb's: the sandbox's own processes are still all traceable, if the host's Yama says so outside
    if pathlib.Path("/proc/sys/kernel/yama/ptrace_scope").exists() and pathlib.Path("/proc/sys/kernel/yama/ptrace_scope").read_text().strip() != "0":
        skip("kernel.yama.ptrace_scope: debuggers attach to nothing here, outside neither")
    both(f"{build} && ./c wait & sleep 3; gdb -nx -batch -p $(pgrep -f '^./c wait' -u $(id -u) | tail -1) -ex bt 2>/dev/null | grep -o ' main (c=2'; pkill -f '^./c wait' -u $(id -u) || true", {"c.c": CRASH}, least="main (c=2")


def test_strace_follows_threads_and_children(both):
    need("strace")
    code = "import threading, subprocess\nt = threading.Thread(target=subprocess.run, args=([\"true\"],)); t.start(); t.join()"
    both(f"strace -f -c -o sum {PYTHON} -c '{code}' && grep -q execve sum; strace -f -e trace=execve -o log {PYTHON} -c '{code}'; grep -c 'execve(.*true' log; grep -c '+++ exited with' log", least="\n")


def test_core_pattern_is_read_only(run, user):
    """What the kernel does with a crash is the host's: a pipe there would start a program as root."""
    r = run("cat /proc/sys/kernel/core_pattern; (echo '|/bin/true' > /proc/sys/kernel/core_pattern) 2>&1 || echo refused")
    assert r.out.splitlines()[0] == pathlib.Path("/proc/sys/kernel/core_pattern").read_text().strip(), r
    assert r.out.splitlines()[-1] == "refused", r
    assert os.WTERMSIG(run("kill -SEGV $$").rc - 128) == 11


def test_perf_counters_are_refused(run):
    code = (
        "import ctypes, os\nc = ctypes.CDLL(None, use_errno=True); a = ctypes.create_string_buffer(128); a[0:8] = (1).to_bytes(4, 'little') + (128).to_bytes(4, 'little')\n"
        "r = c.syscall(298, a, 0, -1, -1, 0); print(r, os.strerror(ctypes.get_errno()))"
    )
    r = run([PYTHON, "-c", code])
    assert r.out.startswith("-1 ") and ("not permitted" in r.out or "not implemented" in r.out), r
