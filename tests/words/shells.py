# SPDX-License-Identifier: Apache-2.0
"""What bash and zsh offer for a line, asked of the shells themselves."""
import os
import pathlib
import pty
import re
import select
import shutil
import signal
import subprocess
import tempfile
import time

BASH = r"""
compopt() { :; } # may only be called by readline
source "$1"
while IFS= read -r COMP_LINE; do
	COMP_POINT=${#COMP_LINE}
	IFS=$'\037' read -ra COMP_WORDS
	[[ $COMP_LINE == *' ' ]] && COMP_WORDS+=('')
	COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
	COMPREPLY=()
	_bailey
	printf '%s\037' "${COMPREPLY[@]}"
	echo
done
"""


def readline_words(line):
    """LINE as readline takes it apart, but for a last empty word."""
    return re.findall(r"[=:]+|[^\s=:]+", line)


def bash_offers(script, lines, cwd=None):
    """{line: what the completion in the file SCRIPT offers}"""
    text = "".join(f"{line}\n{chr(31).join(readline_words(line))}\n" for line in lines)
    r = subprocess.run(["bash", "--norc", "-c", BASH, "bash", script], input=text, capture_output=True, text=True, timeout=600,
                       cwd=cwd, check=False)
    assert r.returncode == 0 and not r.stderr, r
    answers = r.stdout.split("\n")[:-1]
    assert len(answers) == len(lines), r.stdout
    return {line: [w for w in a.split("\037") if w] for line, a in zip(lines, answers)}


ZSH = r"""
PS1='' PS2='' RPS1='' HISTFILE=''
unsetopt zle_bracketed_paste beep prompt_sp prompt_cr
fpath=($WORDS $fpath)
autoload -Uz compinit && compinit -u -D
compadd() {
	local -a hits
	# -O, -A and -D ask for an answer in an array: that is no offer
	if [[ ${@[1,(i)(-|--)]} != *-(O|A|D)\ * ]]; then
		builtin compadd -O hits "$@"
		print -rl -- $hits >&9
	fi
	builtin compadd "$@"
}
mark() { print -r -- "--END--" >&9; BUFFER=''; zle redisplay; }
zle -N mark
bindkey '^X^E' mark
bindkey '^I' complete-word
reload() { unfunction -m '_bailey*'; autoload -Uz _bailey; }
print -r -- "--END--" >&9
"""


class Zsh:
    """An interactive zsh in a pseudo terminal, with the completion that stands in a directory of its own."""

    def __init__(self, script, cwd="/"):
        self.top = pathlib.Path(tempfile.mkdtemp(prefix="bailey-zsh-"))
        (self.top / "words").mkdir()
        (self.top / "rc").write_text(ZSH)
        self.use(script)
        self.offers_file = self.top / "offers"
        self.offers_file.touch()
        env = {"PATH": os.environ["PATH"], "HOME": str(self.top), "TERM": "dumb", "LANG": "C.UTF-8", "WORDS": str(self.top / "words"),
               "CANARY_VARIABLE": "1", "ZDOTDIR": str(self.top)}
        self.pid, self.tty = pty.fork()
        if self.pid == 0:
            try:
                os.chdir(cwd)
                os.dup2(os.open(self.offers_file, os.O_WRONLY | os.O_APPEND), 9)
                os.execve(shutil.which("zsh") or "/usr/bin/zsh", ["zsh", "-f", "-i"], env)
            finally:
                os._exit(127)
        self.seen = 0
        self.send(f"source {self.top}/rc\n")
        self.wait()

    def use(self, script):
        shutil.copyfile(script, self.top / "words" / "_bailey")

    def reload(self, script):
        """Take another completion from now on."""
        self.use(script)
        self.send("reload\n")

    def send(self, text):
        os.write(self.tty, text.encode())

    def wait(self):
        """What was offered up to the mark."""
        end = time.monotonic() + 60
        while time.monotonic() < end:
            if select.select([self.tty], [], [], 0.02)[0]:
                os.read(self.tty, 65536)
            text = self.offers_file.read_text()[self.seen:]
            if "--END--\n" in text:
                text = text.split("--END--\n")[0]
                self.seen += len(text) + len("--END--\n")
                return [w for w in text.split("\n") if w]
        raise AssertionError(f"zsh does not answer: {self.offers_file.read_text()[self.seen:]!r}")

    def offers(self, line):
        self.send(line + "\t\x18\x05")
        return self.wait()

    def close(self):
        try:
            os.kill(self.pid, signal.SIGKILL)  # our child, not reaped yet
            os.waitpid(self.pid, 0)
        finally:
            os.close(self.tty)
            shutil.rmtree(self.top, ignore_errors=True)
