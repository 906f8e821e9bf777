# SPDX-License-Identifier: Apache-2.0
"""Terminals that tests type into: a bare pty, and a real tmux with a shell in it."""
import fcntl
import itertools
import os
import pathlib
import pty
import re
import select
import shlex
import signal
import struct
import subprocess
import termios
import time

from conftest import BAILEY, counter, wait_for


def become(user):
    """In a child: the caller's ids."""
    if user.uid and os.geteuid() == 0:
        os.setgroups([])
        os.setgid(user.gid)
        os.setuid(user.uid)


class Pty:
    """ARGV as leader of a session on a terminal of its own; `out` is what has come from there."""

    def __init__(self, user, argv, cwd, size=(24, 80), env=None):
        self.out = b""
        self.status = None
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            try:
                fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("4H", *size, 0, 0))
                os.chdir(cwd)
                os.chown(os.ttyname(0), user.uid, -1)  # as login does
                become(user)
                os.execve(argv[0], [os.fspath(a) for a in argv], user.environ({"TERM": "xterm", **(env or {})}))
            finally:
                os._exit(99)

    @property
    def said(self):
        """What has come, but for the line that says as whom the run goes where there are no idmapped mounts, as Result.bailey_err."""
        return re.sub(rb"^bailey: notice: running as uid [^\n]*\n", b"", self.out)

    def type(self, text):
        os.write(self.fd, text.encode())

    def resize(self, rows, cols):
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("4H", rows, cols, 0, 0))

    def read(self, seconds):
        """More output. Return: whether there was any; False at the end."""
        if not select.select([self.fd], [], [], seconds)[0]:
            return False
        try:
            data = os.read(self.fd, 65536)
        except OSError:
            return False
        self.out += data
        return bool(data)

    def expect(self, pattern, seconds=60.0, start=0):
        """Wait for PATTERN in the output from START. Return: the match."""
        end = time.monotonic() + seconds
        while True:
            found = re.search(pattern.encode(), self.out[start:])
            if found:
                return found
            left = end - time.monotonic()
            assert left > 0 and (self.read(left) or re.search(pattern.encode(), self.out[start:])), f"no {pattern!r} in {self.out[-2000:]!r}"

    def settings(self):
        """Terminal settings as the program on the other end sees them."""
        return termios.tcgetattr(self.fd)

    def wait(self, seconds=60.0):
        """Read to the end. Return: exit status, negative for a signal."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.read(0.05)
            if self.poll() is not None:
                while self.read(0.05):
                    pass
                return self.status
        raise AssertionError(f"still running; {self.out[-2000:]!r}")

    def poll(self):
        if self.status is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.status = os.waitstatus_to_exitcode(status)
        return self.status

    def close(self):
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def done(self):
        self.close()
        if self.status is None:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
            self.status = -9


class Tmux:
    """A tmux server of our own with one window, and bash in it."""

    PROMPT = "ready> "

    def __init__(self, user, cwd, size=(24, 80)):
        self.user = user
        self.socket = pathlib.Path(user.base) / f"tmux{os.getpid()}-{next(counter)}"
        self.marks = itertools.count()
        self.tmux("-f", "/dev/null", "new-session", "-d", "-y", str(size[0]), "-x", str(size[1]), "-c", str(cwd), "bash --norc --noprofile -i", env={"PS1": self.PROMPT})
        self.see(r"ready> $")
        self.run(f"alias bailey={shlex.quote(os.fspath(BAILEY))}; ulimit -c 0; clear")

    def tmux(self, *args, env=None):
        r = self.user.exec(["tmux", "-S", self.socket, *args], env={"TERM": "screen", "HISTFILE": "/dev/null", **(env or {})})
        assert r.rc == 0, (args, r)
        return r.out

    def keys(self, *keys):
        self.tmux("send-keys", *keys)

    def line(self, text):
        self.tmux("send-keys", "-l", text)
        self.tmux("send-keys", "Enter")

    def screen(self):
        return self.tmux("capture-pane", "-p", "-J", "-S", "-2000").rstrip("\n")

    def see(self, pattern, seconds=60.0):
        """Wait until PATTERN is on the screen, or was. Return: the match."""
        found = wait_for(lambda: re.search(pattern, self.screen(), re.M), seconds)
        assert found, f"no {pattern!r} on the screen:\n{self.screen()}"
        return found

    def run(self, command, seconds=60.0):
        """A command line of the shell, to its end. Return: its exit status."""
        self.line(command)
        return self.status(seconds)

    def status(self, seconds=60.0):
        """The shell is there again: the last exit status. Typed only when its prompt is seen."""
        mark = f"s{next(self.marks)}"
        self.see(r"ready> $", seconds)
        self.line(f"echo {mark}=$?")
        return int(self.see(rf"^{mark}=(\d+)$", seconds)[1])

    def output(self, command):
        """Output of a command without terminal tricks; the shell must be waiting."""
        mark = f"o{next(self.marks)}"
        self.line(f"echo {mark}:$({command}):")
        return self.see(rf"^{mark}:(.*):$")[1]

    def done(self):
        """The server is ours alone; what ran in it gets SIGHUP."""
        self.user.exec(["tmux", "-S", self.socket, "kill-server"])
        if self.socket.exists():
            self.socket.unlink()


def quote(*argv):
    return " ".join(shlex.quote(os.fspath(a)) for a in argv)


def stopped(pid):
    """Whether the process is stopped by a signal."""
    with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as f:
        return f.read().rsplit(")", 1)[1].split()[0] == "T"


def children(pid):
    """Direct children, as the host sees them."""
    r = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True, check=False)
    return [int(n) for n in r.stdout.split()]
