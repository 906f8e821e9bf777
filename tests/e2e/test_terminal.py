# SPDX-License-Identifier: Apache-2.0
"""A person at a terminal: a real tmux with a shell, in which bailey runs."""
import os
import pathlib
import re
import shutil
import signal

import pytest

from conftest import BAILEY, PYTHON, processes_with, skip, wait_for
from terminals import Tmux, quote, stopped

RUN = "bailey run --"
# Types one character into the terminal on fd 0; prints the errno's name.
STI = "import errno, fcntl, termios\ntry: fcntl.ioctl(0, termios.TIOCSTI, b'#'); print('typed')\nexcept OSError as e: print(errno.errorcode[e.errno])"


@pytest.fixture
def tmux(user, ws, bailey):
    if not shutil.which("tmux"):
        skip("tmux is not installed")
    t = Tmux(user, ws)
    yield t
    t.done()


def need(program):
    if not shutil.which(program):
        skip(f"{program} is not installed")


def bailey_of(marker):
    """Host pid of the bailey whose command line has MARKER (its PID 1 is a copy with the same one)."""
    pids = []
    for pid in processes_with(marker):
        try:
            if b"bailey\0run" in pathlib.Path(f"/proc/{pid}/cmdline").read_bytes():
                pids.append(pid)
        except OSError:
            pass  # gone meanwhile
    return min(pids, default=None)


def test_vim_edits_and_saves(tmux, user, ws):
    need("vim")
    user.write(ws / "file.txt", "first\n")
    tmux.line(f"{RUN} vim -u NONE -i NONE -n file.txt")
    tmux.see("^first")
    tmux.see("^~")
    tmux.keys("o")
    tmux.keys("-l", "second")
    tmux.keys("Escape")
    tmux.keys("-l", ":wq")
    tmux.keys("Enter")
    assert tmux.status() == 0
    assert (ws / "file.txt").read_text() == "first\nsecond\n"


def test_htop_shows_and_quits(tmux):
    need("htop")
    tmux.line(f"{RUN} htop")
    tmux.see("Load average")
    tmux.see("F10")
    tmux.keys("q")
    assert tmux.status() == 0


def test_ctrl_c_ends_the_command(tmux):
    tmux.line(f"{RUN} sh -c 'echo begun; exec sleep 1000'")
    tmux.see("^begun")
    tmux.keys("C-c")
    assert tmux.status() == 130


def test_ctrl_backslash(tmux):
    tmux.line(f"{RUN} sh -c 'echo begun; exec sleep 1000'")
    tmux.see("^begun")
    tmux.keys("C-\\")
    assert tmux.status() == 131


def test_ctrl_d_is_the_end(tmux):
    tmux.line(f"{RUN} sh -c 'echo begun; cat'")
    tmux.see("^begun")
    tmux.line("hello")
    tmux.see("^hello\nhello")
    tmux.keys("C-d")
    assert tmux.status() == 0


def test_ctrl_z_and_fg_in_the_outer_shell(tmux, user, ws):
    need("vim")
    before = tmux.output("stty -g")
    user.write(ws / "file.txt", "first\n")
    tmux.line(f"{RUN} vim -u NONE -i NONE -n file.txt")
    tmux.see("^first\n~")
    for n in range(2):
        tmux.keys("C-z")
        tmux.see(r"^\[1\]\+  Stopped")
        assert tmux.status() == 128 + signal.SIGTSTP
        assert tmux.output("stty -g") == before
        tmux.line("clear; fg")
        tmux.see("^first\n")
        tmux.keys("-l", f"Goline{n}")
        tmux.keys("Escape")
        tmux.see(f"^line{n}")
    tmux.keys("-l", ":wq")
    tmux.keys("Enter")
    assert tmux.status() == 0
    assert (ws / "file.txt").read_text() == "first\nline0\nline1\n"
    assert tmux.output("stty -g") == before


def test_ctrl_z_of_a_plain_command_then_bg_then_fg(tmux, user, ws):
    # A shell script does nothing about SIGTSTP; the whole group stops.
    user.write(ws / "count", "while [ ! -e stop ]; do echo x >> ticks; sleep 0.1; done; echo over; read line; echo line: $line\n")
    tmux.line(f"{RUN} sh count")
    assert wait_for((ws / "ticks").exists)
    tmux.keys("C-z")
    tmux.see(r"^\[1\]\+  Stopped")
    size = (ws / "ticks").stat().st_size
    assert not wait_for(lambda: (ws / "ticks").stat().st_size > size + 2, 0.6), "it goes on although it is stopped"
    size = (ws / "ticks").stat().st_size
    tmux.line("bg")
    assert wait_for(lambda: (ws / "ticks").stat().st_size > size)
    assert tmux.output("echo alive") == "alive"  # the terminal is the shell's
    user.write(ws / "stop")
    tmux.see("^over|> over|over$")
    # In the background it may write, and reading stops it again.
    assert wait_for(lambda: "Stopped" in tmux.output("jobs | tr '\\n' ' '"))
    tmux.line("fg")
    tmux.line("typed")
    tmux.see("^line: typed")
    assert tmux.status() == 0


def test_ctrl_z_inside_an_inner_shell_stops_only_the_inner_job(tmux):
    tmux.line(f"PS1='inner> ' {RUN} bash --norc --noprofile -i")
    tmux.see(r"^inner> $")
    tmux.line("sleep 1000")
    tmux.keys("C-z")
    tmux.see(r"^\[1\]\+  Stopped +sleep 1000\ninner> $")
    tmux.line("jobs; fg")
    tmux.see(r"^sleep 1000$")
    tmux.keys("C-c")
    tmux.line("echo rc=$?; exit 9")
    tmux.see("^rc=130")
    assert tmux.status() == 9


def test_suspend_of_an_inner_shell(tmux):
    tmux.line(f"PS1='inner> ' {RUN} bash --norc --noprofile -i")
    tmux.see(r"^inner> $")
    tmux.line("suspend")
    tmux.see(r"^\[1\]\+  Stopped")
    tmux.line("fg")
    tmux.line("echo still $((6*7)); exit 5")
    tmux.see("^still 42")
    assert tmux.status() == 5


def test_window_size(tmux):
    tmux.line(f"{RUN} sh -c 'trap \"stty size\" WINCH; stty size; while :; do sleep 0.1; done'")
    tmux.see("^24 80")
    tmux.tmux("resize-window", "-x", "101", "-y", "31")
    tmux.see("^31 101")
    tmux.keys("C-z")
    tmux.see("Stopped")
    tmux.tmux("resize-window", "-x", "90", "-y", "33")
    tmux.line("fg")
    tmux.see("^33 90")
    tmux.keys("C-c")
    assert tmux.status() == 130


def test_tiocsti(tmux, user, ws):
    # Attack 37, with the control in the same terminal and session.
    user.write(ws / "sti.py", STI)
    tmux.line(f"{PYTHON} sti.py")
    control = tmux.see("^#?(typed|E[A-Z]+)$")[1]
    with open("/proc/sys/dev/tty/legacy_tiocsti", encoding="ascii") as f:
        legacy = f.read().strip()
    assert control == ("typed" if legacy == "1" or user.is_root else "EIO"), (control, legacy)
    tmux.keys("C-u")
    tmux.line("clear")
    tmux.line(f"{RUN} {PYTHON} sti.py")
    tmux.see("^EPERM$")
    assert tmux.status() == 0
    # Without the filter it types into the command's own terminal, which ends with it: nothing comes to the shell.
    tmux.line(f"bailey run --allow-degraded=seccomp -- {PYTHON} sti.py; echo over")
    tmux.see("^over$")
    tmux.line("echo next")
    tmux.see("^ready> echo next$")  # no "#" came before it


END = {
    "normal": ("true", None, 0),
    "raw": ("sh -c 'stty raw -echo; exit 4'", None, 4),
    "not-found": ("no-such-command", None, 127),
    "command-killed": ("sh -c 'stty raw -echo; kill -9 $$'", None, 137),
    "bailey-term": ("sh -c 'stty raw -echo; echo begun; exec sleep {marker}'", signal.SIGTERM, 143),
    "bailey-int": ("sh -c 'stty raw -echo; echo begun; exec sleep {marker}'", signal.SIGINT, 130),
    "bailey-hup": ("sh -c 'stty raw -echo; echo begun; exec sleep {marker}'", signal.SIGHUP, 129),
    "bailey-crashes": ("sh -c 'stty raw -echo; echo begun; exec sleep {marker}'", signal.SIGSEGV, 139),
    "bailey-aborts": ("sh -c 'stty raw -echo; echo begun; exec sleep {marker}'", signal.SIGABRT, 134),
    "bailey-alarm": ("sh -c 'stty raw -echo; echo begun; exec sleep {marker}'", signal.SIGALRM, 142),
}


@pytest.mark.parametrize("end", END)
def test_terminal_settings_are_as_before(tmux, end):
    command, sig, status = END[end]
    before = tmux.output("stty -g")
    marker = f"86400.{os.getpid()}77"
    tmux.line(f"{RUN} {command.format(marker=marker)}")
    if sig:
        tmux.see("begun")
        assert wait_for(lambda: bailey_of(marker))
        os.kill(bailey_of(marker), sig)
    assert tmux.status() == status
    assert tmux.output("stty -g") == before
    assert wait_for(lambda: not processes_with(marker))


def test_terminal_settings_after_a_timeout(tmux):
    before = tmux.output("stty -g")
    assert tmux.run(f"bailey run --timeout 700ms -- sh -c 'stty raw -echo; sleep 1000'") == 124
    assert tmux.output("stty -g") == before


def test_a_suspended_job_times_out(tmux):
    before = tmux.output("stty -g")
    marker = f"86400.{os.getpid()}78"
    tmux.line(f"bailey run --timeout 2s -- sh -c 'echo begun; sleep {marker}'")
    tmux.see("^begun")
    tmux.keys("C-z")
    tmux.see("Stopped")
    pid = bailey_of(marker)
    assert pid and stopped(pid)
    assert wait_for(lambda: not processes_with(marker)), "a stopped job lives for ever"
    tmux.see("ready> $")
    tmux.keys("Enter")
    tmux.see(r"Exit 124")
    assert tmux.output("stty -g") == before


def test_flood_and_ctrl_c(tmux):
    tmux.line(f"{RUN} yes")
    tmux.see("^y\ny\ny\n")
    tmux.keys("C-c")
    assert tmux.status() == 130


def test_ctrl_s_and_ctrl_q(tmux, ws):
    tmux.line(f"{RUN} sh -c 'echo begun; read x; echo out; read y; echo over'")
    tmux.see("^begun")
    tmux.keys("C-s")
    tmux.line("one")
    assert not wait_for(lambda: re.search("^out", tmux.screen(), re.M), 0.5)
    tmux.keys("C-q")
    tmux.see("^out")
    tmux.line("two")
    tmux.see("^over")
    assert tmux.status() == 0


def test_closed_terminal_hangs_up(tmux, user, ws):
    marker = f"86400.{os.getpid()}79"
    user.write(ws / "wait", f"trap 'echo hup > hup; exit 1' HUP; echo begun; while :; do sleep 0.1; done; : {marker}\n")
    tmux.line(f"{RUN} sh wait {marker}")
    tmux.see("^begun")
    tmux.tmux("kill-pane")
    assert wait_for((ws / "hup").exists), "no SIGHUP came in"
    assert wait_for(lambda: not processes_with(marker))


def test_session_without_a_shell(tmux, user):
    # The leader of a session can't be stopped, nobody could continue it: Ctrl-Z is taken back at once.
    tmux.tmux("new-window", f"{quote(BAILEY)} run -- sh -c 'kill -TSTP $$; echo went on; sleep 1000'")
    tmux.see("^went on")
    tmux.keys("C-c")
    tmux.see("ready> $")


def test_background_job_stops_when_it_reads(tmux):
    tmux.line(f"{RUN} sh -c 'echo begun; read line; echo line: $line' &")
    tmux.see("begun")
    assert wait_for(lambda: "Stopped" in tmux.output("jobs | tr '\\n' ' '"))
    tmux.line("fg")
    tmux.line("typed")
    tmux.see("^line: typed")
    assert tmux.status() == 0


def test_pipeline_leaves_the_keyboard_to_others(tmux):
    need("less")
    tmux.line(f"{RUN} seq 1 500 | less")
    tmux.see("^1\n2\n3\n")
    tmux.keys("G")
    tmux.see("^500\n")
    tmux.keys("q")
    assert tmux.status() == 0


def test_pager_inside_at_the_end_of_a_pipeline(tmux):
    need("less")
    before = tmux.output("stty -g")
    tmux.line(f"seq 1 500 | {RUN} less")
    tmux.see("^1\n2\n3\n")
    tmux.keys("G")
    tmux.see("^500\n")
    tmux.keys("q")
    assert tmux.status() == 0
    assert tmux.output("stty -g") == before


def test_ctrl_z_of_a_pipeline(tmux):
    tmux.line(f"{RUN} sh -c 'while :; do echo tick; sleep 0.2; done' | cat")
    tmux.see("^tick\ntick")
    tmux.keys("C-z")
    tmux.see("Stopped")
    tmux.status()
    tmux.line("fg")
    tmux.see("^tick\ntick")
    tmux.keys("C-c")
    tmux.status()


def test_no_terminal_ctrl_z_stops_the_command(tmux, user, ws):
    # No stream is a terminal, but the job belongs to one.
    user.write(ws / "count", "while :; do echo x >> ticks; sleep 0.1; done\n")
    tmux.line(f"{RUN} sh count </dev/null >/dev/null 2>&1")
    assert wait_for((ws / "ticks").exists)
    tmux.keys("C-z")
    tmux.see("Stopped")
    size = (ws / "ticks").stat().st_size
    assert not wait_for(lambda: (ws / "ticks").stat().st_size > size + 2, 0.6), "it goes on although it is stopped"
    size = (ws / "ticks").stat().st_size
    tmux.line("fg")
    assert wait_for(lambda: (ws / "ticks").stat().st_size > size)
    tmux.keys("C-c")
    assert tmux.status() == 130


def test_script_and_tmux_inside(tmux, ws):
    need("script")
    tmux.line(f"{RUN} script -qc 'tty; stty size' {quote(ws / 'log')}")
    tmux.see(r"^/dev/pts/1\n24 80")
    assert tmux.status() == 0  # what is typed while a command runs is the command's
    tmux.line(f"{RUN} tmux -L inner -f /dev/null new-session 'echo in the inner; sleep 1000'")
    tmux.see("^in the inner")
    tmux.keys("C-b", "d")
    tmux.see("detached")
    tmux.status()


def test_a_password_is_asked_for_without_echo(tmux, user, ws):
    # Like ssh and sudo: /dev/tty, whatever stands on 0-2.
    user.write(ws / "ask.py", "import getpass, sys\nprint('got', sys.argv[1], getpass.getpass(f'Secret {sys.argv[1]}? ')[::-1])\n")
    for n, streams in enumerate(("", "</dev/null 2>/dev/null", "| cat")):
        tmux.line(f"{RUN} {PYTHON} ask.py {n} {streams}")
        tmux.see(rf"Secret {n}\? $")
        tmux.line("swordfish")
        tmux.see(f"got {n} hsifdrows")
        tmux.status()
    assert "swordfish" not in tmux.screen()
