# SPDX-License-Identifier: Apache-2.0
"""What runs in a sandbox by itself: kept, in order, started again, bounded (docs/adr/0037)."""
import json
import os
import re
import signal
import time

from conftest import BAILEY, PYTHON, kill, wait_for
from terminals import Pty
from test_named import boxes  # pylint: disable=unused-import # noqa: F401: a fixture

SERVER = "import http.server as h, os\nh.HTTPServer(('127.0.0.1', 8000), type('H', (h.BaseHTTPRequestHandler,), {'do_GET': lambda s: (s.send_response(200), " \
         "s.end_headers(), s.wfile.write(b'I am %d' % os.getpid()))})).serve_forever()"
ASK = "import urllib.request as u; print(u.urlopen('http://127.0.0.1:8000', timeout=60).read().decode())"
WAIT = 20.0  # for a machine that has other things to do


def service(box, *words, rc=0):
    r = box("service", *words)
    assert r.rc == rc and (rc == 0) == (r.err == ""), r
    return r


def now(box, name=None):
    """All services by name, or one."""
    all_of = {s["name"]: s for s in json.loads(service(box, "ls", "--json", "box").out)}
    return all_of[name] if name else all_of


def is_running(box, name):
    assert wait_for(lambda: now(box, name)["state"] == "running", WAIT), now(box, name)
    return now(box, name)


def log_of(box, name):
    return service(box, "logs", "box", name).out


def test_a_server(boxes):
    """A real server: answers from inside, is there again after a kill -9 of itself, and of the supervisor; and the control: without it nothing answers."""
    boxes.make()
    assert boxes.exec([PYTHON, "-c", ASK]).rc == 1
    service(boxes, "add", "--port", "8000", "box", "web", "--", PYTHON, "-c", SERVER)
    first = is_running(boxes, "web")
    assert boxes.exec([PYTHON, "-c", ASK]).out == f"I am {first['pid']}\n" and first["restarts"] == 0
    assert boxes.exec(f"kill -9 {first['pid']}").rc == 0
    assert wait_for(lambda: now(boxes, "web")["restarts"] == 1, WAIT)
    second = is_running(boxes, "web")
    assert second["status"] == 137 and second["pid"] != first["pid"] and second["session"] == first["session"]
    assert boxes.exec([PYTHON, "-c", ASK]).out == f"I am {second['pid']}\n"
    supervisor = boxes.supervisor()
    os.kill(supervisor, signal.SIGKILL)
    assert wait_for(lambda: not boxes.supervisors(), WAIT) and now(boxes, "web")["state"] == "stopped"
    assert boxes("start", "box").rc == 0
    third = is_running(boxes, "web")
    assert third["restarts"] == 0 and boxes.exec([PYTHON, "-c", ASK]).out == f"I am {third['pid']}\n"
    assert boxes("stop", "box").rc == 0 and now(boxes, "web")["state"] == "stopped" and "pid" not in now(boxes, "web")


def test_they_are_kept(boxes):
    """By the store: what was added stands there as it was said, and inspect shows it; a sandbox without has none."""
    boxes.make()
    assert now(boxes) == {} and boxes.ls()["box"]["services"] is None and service(boxes, "ls", "box").out == ""
    words = ["sh", "-c", "echo \"$1 $X\"; pwd; id -un; exec sleep 1000", "sh", "ä b\n"]
    service(boxes, "add", "--restart", "no", "--workdir", "/tmp", "-e", "X=0", "-e", "X=1=2", "box", "a", "--", *words)
    want = {"name": "a", "command": words, "needs": [], "env": ["X=1=2"], "dir": "/tmp", "user": None, "port": 0, "restart": "no"}
    assert boxes.ls()["box"]["services"] == [want] and json.loads(boxes("inspect", "box").out)[0]["services"] == [want]
    assert now(boxes, "a") == {**want, "state": "stopped", "restarts": 0}
    assert boxes("start", "box").rc == 0
    is_running(boxes, "a")
    assert wait_for(lambda: log_of(boxes, "a").count("\n") == 4, WAIT)
    assert log_of(boxes, "a") == "ä b\n 1=2\n/tmp\nagent\n"
    assert [s["name"] for s in json.loads(boxes("sessions", "--json", "box").out)] == ["a"]
    r = boxes("exec", "--name", "a", "box", "--", "true")
    assert r.rc != 0 and "service 'a'" in r.err
    service(boxes, "rm", "box", "a")
    assert now(boxes) == {} and boxes.exec("pgrep sleep").out == ""
    assert boxes("exec", "--name", "a", "box", "--", "true").rc == 0


def test_order(boxes, user, ws):
    """Each after those that it needs, also with a port that takes its time; stopped the other way round; start, restart and stop take along who is concerned."""
    say = "echo start $0 >> order; trap 'echo stop $0 >> order; exit' TERM; while :; do sleep 0.05; done"
    late = f"echo start db >> order; while [ ! -e go ]; do sleep 0.05; done; {PYTHON} -c \"import socket, signal; s = socket.create_server(('127.0.0.1', 5432)); signal.sigwait([signal.SIGTERM])\"; echo stop db >> order"
    boxes.make()
    service(boxes, "add", "--port", "5432", "box", "db", "--", "sh", "-c", f"trap : TERM; {late}")
    service(boxes, "add", "--needs", "db", "box", "web", "--", "sh", "-c", say, "web")
    service(boxes, "add", "--needs", "web", "--needs", "db", "box", "top", "--", "sh", "-c", say, "top")
    service(boxes, "add", "box", "alone", "--", "sh", "-c", "exec sleep 1000")
    order, go = ws / "order", ws / "go"
    r = boxes("start", "box")
    assert r.rc == 0 and now(boxes, "alone")["state"] == "running", "it was spawned before the start was said to be complete"
    assert now(boxes, "db")["state"] == "starting" and now(boxes, "db")["pid"] and now(boxes, "top")["error"] == "it waits for 'web'"
    user.write(go, "")
    is_running(boxes, "top")
    assert wait_for(lambda: order.read_text().count("\n") == 3, WAIT) and order.read_text().startswith("start db\n")
    assert now(boxes, "db")["pid"] < now(boxes, "web")["pid"] < now(boxes, "top")["pid"], "spawned one after the other; which of the two writes first is theirs"
    service(boxes, "stop", "box", "db")
    assert {s["state"] for n, s in now(boxes).items() if n != "alone"} == {"stopped"} and now(boxes, "alone")["state"] == "running"
    assert order.read_text().splitlines()[3:] == ["stop top", "stop web", "stop db"]
    order.unlink()
    go.unlink()
    service(boxes, "start", "box", "web")
    assert now(boxes, "web")["state"] == "starting" and now(boxes, "web")["error"] == "it waits for 'db'"
    user.write(go, "")
    is_running(boxes, "web")
    assert now(boxes, "top")["state"] == "stopped"
    assert boxes("stop", "box").rc == 0
    assert wait_for(lambda: order.read_text().splitlines() == ["start db", "start web", "stop web", "stop db"]), order.read_text()
    assert user.exec(["cat", order]).rc == 0


def test_what_ends(boxes):
    """States, statuses and rules of restarting; its whole process group ends with it, and what has left that does not."""
    boxes.make()
    boxes("start", "box")
    for name, rule, cmd in (("well", "no", "exit 0"), ("badly", "no", "exit 7"), ("good", "on-failure", "exit 0"), ("again", "on-failure", "exit 3"), ("always", "always", "exit 0")):
        assert boxes("service", "add", "--restart", rule, "box", name, "--", "sh", "-c", f"echo {name}; {cmd}").rc == 0
    assert wait_for(lambda: now(boxes, "again")["restarts"] >= 2 and now(boxes, "always")["restarts"] >= 2, WAIT)
    got = now(boxes)
    assert [(got[n]["state"], got[n]["status"], got[n]["restarts"]) for n in ("well", "badly", "good")] == [("stopped", 0, 0), ("failed", 7, 0), ("stopped", 0, 0)]
    assert got["again"]["status"] == 3 and log_of(boxes, "badly") == "badly\n" and log_of(boxes, "again").startswith("again\nagain\n")
    r = boxes("service", "add", "box", "none", "--", "/nonexistent")
    assert r.rc == 0 and "/nonexistent: command not found" in r.err and now(boxes, "none")["state"] == "failed" and now(boxes, "none")["status"] == 127
    r = boxes("service", "start", "box", "badly")  # it ends at once: before or after the answer
    assert r.rc == 0 or (r.rc == 4 and "has ended at once" in r.err), r
    assert "not found" in boxes("service", "start", "box", "none").err
    seen = [json.loads(li) for li in boxes("events", "--json", "box").out.splitlines()]
    assert {(e["event"], e.get("status")) for e in seen if e.get("service") == "none"} == {("exec-failed", 127)}
    assert {(e["event"], e.get("status")) for e in seen if e.get("service") == "badly"} == {("exec-started", None), ("exec-ended", 7)}
    assert "nonexistent" not in (boxes.home / "events.log").read_text(), "never a word of a command"
    service(boxes, "add", "--restart", "no", "box", "tree", "--", "sh", "-c", "sleep 1001 & setsid sleep 1002 & echo $$; wait")
    pid = is_running(boxes, "tree")["pid"]
    assert wait_for(lambda: boxes.exec("pgrep -fc '^sleep 100[12]'").out == "2\n", WAIT)
    boxes.exec(f"kill -9 {pid}")
    assert wait_for(lambda: now(boxes, "tree")["state"] == "failed", WAIT) and boxes.exec("pgrep -fa '^sleep 100[12]'").out.split()[1:] == ["sleep", "1002"]
    # who does not hear is killed
    service(boxes, "add", "box", "deaf", "--", "sh", "-c", "trap '' TERM; echo deaf; while :; do sleep 0.1; done")
    assert wait_for(lambda: log_of(boxes, "deaf") == "deaf\n", WAIT)
    service(boxes, "stop", "--time", "200ms", "box", "deaf")
    assert (now(boxes, "deaf")["state"], now(boxes, "deaf")["status"]) == ("stopped", 137)


def test_logs(boxes, user, ws):
    """Byte by byte, stdout and stderr in their order; a follower is there over a restart, and ends with the service; --tail."""
    user.write(ws / "bytes.py", "import os\nfor i in range(300): os.write(1 + i % 2, bytes((i * j) % 256 for j in range(1000)))\n")
    boxes.make()
    service(boxes, "add", "--restart", "no", "box", "bytes", "--", PYTHON, "bytes.py")
    service(boxes, "add", "box", "lines", "--", "sh", "-c", "n=$(cat n 2>/dev/null || echo 0); echo $((n + 1)) > n; echo run $n; exec sleep 1000")
    boxes("start", "box")
    assert wait_for(lambda: now(boxes, "bytes")["state"] == "stopped", WAIT)
    want = b"".join(bytes((i * j) % 256 for j in range(1000)) for i in range(300))
    p = boxes.start("service", "logs", "box", "bytes", stdout=-1)
    assert p.communicate(timeout=60)[0] == want and p.returncode == 0
    follower = boxes.start("service", "logs", "-f", "box", "lines", stdout=-1)
    try:
        assert follower.stdout.readline() == b"run 0\n"
        boxes.exec(f"kill -9 {is_running(boxes, 'lines')['pid']}")
        assert follower.stdout.readline() == b"run 1\n", "it is there when the service is started again"
        assert wait_for(lambda: log_of(boxes, "lines") == "run 0\nrun 1\n", WAIT)
        assert service(boxes, "logs", "--tail", "1", "box", "lines").out == "run 1\n"
        assert json.loads(service(boxes, "logs", "--json", "-n", "1", "box", "lines").out)["line"] == "run 1"
        service(boxes, "rm", "box", "lines")
        assert follower.wait(30) == 0 and follower.stdout.read() == b""
    finally:
        kill(follower)


def test_it_is_a_session(boxes, user, ws):
    """attach, logs and kill know its name, as docs/adr/0037 says; what was killed is started again. The control: a name that is no service's."""
    boxes.make()
    boxes("start", "box")
    service(boxes, "add", "box", "echo", "--", "sh", "-c", "echo up $$; exec sleep 1000")
    pid = is_running(boxes, "echo")["pid"]
    assert wait_for(lambda: log_of(boxes, "echo") == f"up {pid}\n", WAIT)
    assert boxes("logs", "box", "echo").out == f"up {pid}\n"
    t = Pty(user, [BAILEY, "attach", "box", "echo"], ws, env=boxes.env)
    t.expect(rf"up {pid}\r\n")
    assert boxes("kill", "--signal", "KILL", "box", "echo").rc == 0
    assert wait_for(lambda: now(boxes, "echo")["restarts"] == 1, WAIT)
    again = is_running(boxes, "echo")
    assert again["status"] == 137 and again["pid"] != pid
    t.expect(rf"up {again['pid']}\r\n")
    assert boxes("logs", "box", "echo").out == f"up {pid}\nup {again['pid']}\n"
    t.type("\x03")
    assert t.wait() == 130 and now(boxes, "echo")["pid"] == again["pid"], "who leaves ends nothing"
    t.done()
    for verb in ("attach", "logs", "kill"):
        r = boxes(verb, "box", "nosuch")
        assert r.rc == 3 and "'nosuch'" in r.err, r


BAD = [
    ((), "say what to do"), (("frob", "box"), "'frob'"), (("add", "box", "a"), "no command"), (("add", "box", "a", "--"), "no command"), (("add", "box", "--", "true"), "SANDBOX NAME"),
    (("add", "box", "a", "b", "--", "true"), "SANDBOX NAME"), (("add", "box", "1a", "--", "true"), "service '1a'"), (("add", "box", "a/b", "--", "true"), "service 'a/b'"),
    (("add", "box", "a" * 64, "--", "true"), "service 'aaa"), (("add", "box", "", "--", "true"), "service ''"), (("add", "--needs", "no", "box", "a", "--", "true"), "--needs 'no'"),
    (("add", "--needs", "a", "box", "a", "--", "true"), "need itself"), (("add", "--needs", "", "box", "a", "--", "true"), "--needs ''"),
    (("add", "--workdir", "x", "box", "a", "--", "true"), "--workdir 'x'"), (("add", "--workdir", "/" + "x" * 4096, "box", "a", "--", "true"), "--workdir"),
    (("add", "-e", "X", "box", "a", "--", "true"), "--env 'X'"), (("add", "-e", "=X", "box", "a", "--", "true"), "--env '=X'"), (("add", "-u", "", "box", "a", "--", "true"), "--user ''"),
    (("add", "-u", "a\nb", "box", "a", "--", "true"), "--user"), *((("add", "--port", p, "box", "a", "--", "true"), "--port") for p in ("0", "65536", "-1", "80x", "", "+80", "080000")),
    (("add", "--restart", "never", "box", "a", "--", "true"), "--restart 'never'"), (("add", "box", "a", "--", "x" * 100000, "y" * 100000), "131072 bytes"),
    (("ls",), "SANDBOX"), (("ls", "box", "there"), "SANDBOX"), (("ls", "--port", "80", "box"), "--port is no option"), (("start", "box"), "SANDBOX NAME"),
    (("stop", "--time", "x", "box", "there"), "--time"), (("stop", "--time", "11m", "box", "there"), "--time"), (("logs", "--tail", "x", "box", "there"), "--tail"),
    (("start", "box", "there", "--", "x"), "SANDBOX NAME"), (("start", "--time", "1s", "box", "there"), "--time is no option"), (("rm", "box", "there", "more"), "SANDBOX NAME")]
REFUSED = [(3, ("add", "none", "a", "--", "true"), "none"), (3, ("ls", "none"), "none"), (3, ("rm", "box", "none"), "'none'"), (4, ("add", "box", "there", "--", "true"), "already"),
           (4, ("add", "--port", "80", "box", "a", "--", "true"), "--port 80"), (4, ("rm", "box", "there"), "'user' needs 'there'"), (4, ("stop", "box", "there"), "does not run"),
           (4, ("logs", "box", "there"), "does not run")]


def test_bad_input(boxes, user):
    """One line that names what is wrong, the right status, and nothing has changed; the control: what is right is taken (all other tests)."""
    boxes.make()
    service(boxes, "add", "--port", "80", "box", "there", "--", "true")
    service(boxes, "add", "--needs", "there", "box", "user", "--", "true")
    kept = boxes.ls()["box"]["services"]
    for rc, words, part in [*((2, *b) for b in BAD), *REFUSED]:
        r = boxes("service", *words)
        assert r.rc == rc and part in r.err and re.fullmatch(r"bailey: [^\n]+\n", r.err) and r.out == "", (words, r)
    assert boxes.ls()["box"]["services"] == kept and boxes.ls()["box"]["state"] == "stopped"
    full = json.dumps({"services": [{"name": f"s{i}", "command": ["true"], "restart": "no"} for i in range(64)]})
    assert user.exec([os.path.join(os.path.dirname(BAILEY), "bailey-store"), boxes.home, "set", "box"], stdin=full).rc == 0
    r = boxes("service", "add", "box", "more", "--", "true")
    assert r.rc == 4 and "64 services" in r.err
    assert boxes("exec", "box", "--", "true").rc == 0, "all of them, and the sandbox starts"
    assert boxes("stop", "box").rc == 0
    assert user.exec([os.path.join(os.path.dirname(BAILEY), "bailey-store"), boxes.home, "set", "box"], stdin='{"services": [{"name": "a"}]}').rc == 0
    r = boxes("start", "box")
    assert r.rc == 125 and "service 'a': there is no command" in r.err, "what nobody can have added is not run"


def test_in_one_that_runs(boxes):
    """While it runs: unknown ones are named, what was not started yet says so."""
    boxes.make()
    service(boxes, "add", "--port", "9", "box", "slow", "--", "sleep", "1000")
    service(boxes, "add", "--needs", "slow", "box", "later", "--", "true")
    boxes("start", "box")
    for rc, words, part in ((3, ("start", "box", "none"), "'none'"), (3, ("stop", "box", "none"), "'none'"), (3, ("logs", "box", "none"), "'none'"), (4, ("logs", "box", "later"), "not been started")):
        r = boxes("service", *words)
        assert r.rc == rc and part in r.err, (words, r)
    assert now(boxes, "slow")["state"] == "starting" and now(boxes, "later")["error"] == "it waits for 'slow'"
    assert boxes.exec([PYTHON, "-c", "import socket, time; s = socket.create_server(('', 9)); time.sleep(3)"], "-u", "0").rc == 0 or not json.loads(boxes("inspect", "box").out)[0]["root"]


FORKS = "import os, time\nwhile True:\n    try:\n        os.fork()\n    except OSError:\n        time.sleep(0.2)\n"


def test_forks_without_end(boxes):
    """It has the sandbox's limit of processes and no more; others are answered; all of it ends at once."""
    boxes.make("box", "--pids", "60")
    boxes("start", "box")
    service(boxes, "add", "box", "forks", "--", PYTHON, "-c", FORKS)
    assert wait_for(lambda: int(json.loads(boxes("stats", "--json", "box").out)[0]["pids"]) >= 50, WAIT), boxes("stats", "--json", "box")
    assert now(boxes, "forks")["state"] == "running"
    service(boxes, "rm", "box", "forks")
    assert now(boxes) == {} and boxes.exec("pgrep -fc os.fork").out == "1\n", "who asks alone"


def test_prints_without_end(boxes):
    """What is kept is a MiB, and the supervisor needs no more memory for it."""
    boxes.make()
    boxes("start", "box")
    service(boxes, "add", "box", "prints", "--", "yes", "x y z")
    assert wait_for(lambda: json.loads(boxes("sessions", "--json", "box").out)[0]["written"] > 3 << 20, WAIT)
    log = log_of(boxes, "prints")
    assert (1 << 20) - len("x y z\n") < len(log) <= 1 << 20 and set(log.split("\n")[:-1]) == {"x y z"}, "from a whole line on"
    supervisor = boxes.supervisor()
    with open(f"/proc/{supervisor}/status", encoding="ascii") as f:
        assert int(f.read().partition("VmRSS:")[2].split()[0]) < 32 << 10, "KiB"
    service(boxes, "rm", "box", "prints")


def test_a_crash_loop_uses_no_processor(boxes):
    """The delay doubles: as many starts as that allows, of the many that there were time for (how long each delay is: tests/unit/cli/test-services.c)."""
    boxes.make()
    boxes("start", "box")
    began = time.monotonic()
    service(boxes, "add", "box", "dies", "--", "sh", "-c", "exit 1")
    assert wait_for(lambda: now(boxes, "dies")["restarts"] >= 4, WAIT)
    assert wait_for(lambda: now(boxes, "dies")["state"] == "failed", WAIT), "most of the time it waits"
    got, passed = now(boxes, "dies"), time.monotonic() - began
    assert got["next_restart"] > got["since"] and sum(0.1 * 2**i for i in range(got["restarts"] - 1)) <= passed


def test_paused(boxes):
    """A pause stops them and starts none; who orders one wakes it, who looks does not; a service that only waits keeps no sandbox awake."""
    boxes.make("box", "--idle-freeze", "400ms")
    service(boxes, "add", "box", "waits", "--", "sleep", "1000")
    boxes("start", "box")
    assert wait_for(lambda: boxes.ls()["box"]["state"] == "paused", WAIT), "it only waits"
    assert now(boxes, "waits")["state"] == "running" and boxes.ls()["box"]["state"] == "paused"
    pid = now(boxes, "waits")["pid"]
    service(boxes, "restart", "box", "waits")
    assert now(boxes, "waits")["state"] == "running" and now(boxes, "waits")["pid"] != pid
    assert wait_for(lambda: boxes.ls()["box"]["state"] == "paused", WAIT)
    assert boxes("stop", "box").rc == 0


def test_paused_for_good(boxes):
    """With --wake never: what is added is kept and begins with the resume, what is removed ends then, and an order is refused."""
    boxes.make("box", "--wake", "never")
    service(boxes, "add", "box", "old", "--", "sleep", "1000")
    boxes("start", "box")
    assert boxes("pause", "box").rc == 0
    r = boxes("service", "add", "box", "new", "--", "sleep", "1000")
    assert r.rc == 0 and "the sandbox is paused; bailey resume box lets it begin" in r.err and now(boxes, "new")["error"] == "the sandbox is paused"
    r = boxes("service", "restart", "box", "old")
    assert r.rc != 0 and "bailey resume box" in r.err
    r = boxes("service", "rm", "box", "old")
    assert r.rc == 0 and set(now(boxes)) == {"new"}
    assert boxes.ls()["box"]["state"] == "paused" and boxes("resume", "box").rc == 0
    is_running(boxes, "new")
    assert wait_for(lambda: boxes.exec("pgrep -c sleep").out == "1\n", WAIT)


def test_what_a_start_costs(boxes, user):
    """Not a process more: what the starter forks is counted, without services and with one; and the supervisor, which has the list, starts none."""
    forks = {}
    trace = user.base / "trace-services"
    boxes.make("without")
    boxes.make("with")
    service(boxes, "add", "with", "a", "--", "sleep", "1000")
    for name in ("without", "with"):
        assert (boxes("start", name).rc, boxes("stop", name).rc) == (0, 0)  # one that was just made is read twice
        r = user.exec(["strace", "-qq", "-e", "trace=clone,clone3,fork,vfork", "-o", trace, BAILEY, "start", name], env=boxes.env)
        assert r.rc == 0, r
        forks[name] = [line for line in user.exec(["cat", trace]).out.splitlines() if re.match(r"(clone3?|v?fork)\(", line)]
        user.exec(["rm", "-f", trace])
    assert len(forks["with"]) == len(forks["without"]) > 0, forks
    assert json.loads(service(boxes, "ls", "--json", "with").out)[0]["state"] == "running"


def test_many_at_once(boxes, user, ws):
    """Twelve callers add and remove at the same time, while it runs: all is kept, and what runs is what is kept."""
    boxes.make()
    boxes("start", "box")
    ps = [boxes.start("service", "add", "box", f"s{i}", "--", "sleep", "1000", stderr=-1) for i in range(12)]
    assert [p.communicate(timeout=60)[1] for p in ps] == [b""] * 12
    assert set(now(boxes)) == {f"s{i}" for i in range(12)} and {s["state"] for s in now(boxes).values()} == {"running"}
    ps = [boxes.start("service", "rm", "box", f"s{i}", stderr=-1) for i in range(12)]
    assert [p.communicate(timeout=60)[1] for p in ps] == [b""] * 12
    assert now(boxes) == {} and boxes.exec("pgrep -c sleep").out == "0\n"
