# SPDX-License-Identifier: Apache-2.0
"""The resolver against dnsmasq and against servers that lie, each in a network namespace of its own."""
import json
import os
import pathlib
import shutil
import subprocess
import sys
import threading
import time

import pytest

sys.dont_write_bytecode = True

HERE = pathlib.Path(__file__).resolve().parent
PROJECT = HERE.parents[1]
BUILD = PROJECT / "build" / "asan"
DRIVER = BUILD / "tests" / "gateway" / "resolve-driver"
PYTHON = "/usr/bin/python3"
USER = [] if os.geteuid() == 0 else ["-U", "-r"]
A, MX, TXT, AAAA, SRV = 1, 15, 16, 28, 33
ETIMEDOUT, ECONNREFUSED, EPROTO, EAGAIN = -110, -111, -71, -11


@pytest.fixture(scope="session", autouse=True)
def built():
    """The driver with sanitizers, as tools/test configures it."""
    if not (BUILD / "build.ninja").exists():
        subprocess.run(["meson", "setup", BUILD, "-Db_sanitize=address,undefined"], cwd=PROJECT, check=True, capture_output=True)
    subprocess.run(["ninja", "-C", BUILD, "--quiet", "tests/gateway/resolve-driver"], check=True)


class Net:
    """A namespace with loopback, servers in it, and the resolver."""

    def __init__(self, tmp):
        self.tmp = tmp
        self.children = []
        self.log = {}
        self.holder = subprocess.Popen(["unshare", *USER, "-n", "sh", "-c", "ip link set lo up && echo up && exec sleep 600"], stdout=subprocess.PIPE, text=True)
        assert self.holder.stdout and self.holder.stdout.readline() == "up\n"

    def inside(self, *argv):
        user = ["-U", "--preserve-credentials"] if USER else []
        return ["nsenter", "-t", str(self.holder.pid), *user, "-n", *map(str, argv)]

    def start(self, *argv):
        child = subprocess.Popen(self.inside(*argv), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.children.append(child)
        return child

    def hostile(self, mode, *addresses):
        """Returns the list of questions it got, which grows."""
        child = self.start(PYTHON, HERE / "hostile.py", mode, *addresses)
        assert child.stdout.readline() == "ready\n"
        got: list[dict] = []
        thread = threading.Thread(target=lambda: got.extend(json.loads(line) for line in child.stdout), daemon=True)
        thread.start()
        self.log[id(got)] = (child, thread)
        return got

    def questions(self, got):
        """Ends that server; all that it was asked."""
        child, thread = self.log[id(got)]
        child.terminate()
        thread.join(10)
        return got

    def dnsmasq(self, *options, address="127.0.0.1"):
        self.start(shutil.which("dnsmasq", path="/usr/sbin:/sbin:/usr/bin"), "--keep-in-foreground", "--conf-file=/dev/null", "--no-resolv", "--no-hosts", "--user=root", "--group=root",
                   "--pid-file=", "--bind-interfaces", f"--listen-address={address}", "--except-interface=none", "--auth-ttl=60", "--local-ttl=30", *options)
        for _ in range(100):
            if "53" in [line.split()[3].rsplit(":", 1)[1] for line in self.run("ss", "-Hlun").splitlines()]:
                return
            time.sleep(0.05)
        self.children[-1].kill()
        raise AssertionError("dnsmasq does not start: " + self.children[-1].stdout.read())

    def run(self, *argv):
        return subprocess.run(self.inside(*argv), check=True, capture_output=True, text=True).stdout

    def resolve(self, *commands, conf="nameserver 127.0.0.1\noptions timeout:1\n", hosts="", timeout=50):
        """What the driver prints, one dict a line: answers in the order of the questions."""
        (self.tmp / "resolv.conf").write_text(conf)
        (self.tmp / "hosts").write_text(hosts)
        out = subprocess.run(self.inside(DRIVER, self.tmp / "resolv.conf", self.tmp / "hosts", *commands), capture_output=True, text=True, timeout=timeout, check=False)
        assert out.returncode == 0 and not out.stderr, out.stdout + out.stderr
        return sorted((json.loads(line) for line in out.stdout.splitlines()), key=lambda o: o.get("n", 1e9))

    def one(self, command, **kw):
        """One question, and the numbers after it."""
        answer, stats = self.resolve(command, "wait", "stats", **kw)
        assert stats["closed_early"] == 0, stats
        return answer, stats

    def close(self):
        for child in [*self.children, self.holder]:
            child.kill()
            child.wait()


@pytest.fixture
def net(tmp_path):
    n = Net(tmp_path)
    yield n
    n.close()


@pytest.fixture
def zone(net, tmp_path):
    """A real server with a small zone."""
    many = "".join(f"198.51.100.{i} many.example\n" for i in range(1, 201))
    (tmp_path / "many").write_text(many)
    net.dnsmasq("--local=/example/", "--host-record=a.example,192.0.2.1", "--host-record=both.example,192.0.2.2,2001:db8::2", "--cname=w.example,x.example", "--cname=x.example,both.example",
                "--mx-host=a.example,mail.example,10", "--srv-host=_sip._tcp.example,both.example,5060", f"--txt-record=t.example,{'x' * 200}",
                *[f"--txt-record=long.example,{c * 250}" for c in "abcdefgh"], f"--addn-hosts={tmp_path / 'many'}", "--log-queries", "--log-facility=-")
    return net


def test_real_server(zone):
    out = zone.resolve("ask:a.example:46", "ask:both.example:46", "ask:both.example:4", "ask:both.example:6", "ask:w.example:46", "ask:nothing.example:46", "ask:a.example:6", "wait", "stats")
    stats = out.pop()
    got: dict[str, list[dict]] = {}
    for o in out:
        got.setdefault(o["host"], []).append(o)
    assert got["a.example"][0]["addrs"] == ["192.0.2.1"] and got["a.example"][0]["aliases"] == []
    assert got["a.example"][1]["addrs"] == [] and got["a.example"][1]["rcode"] == 0 and got["a.example"][1]["error"] == 0
    assert [o["addrs"] for o in got["both.example"]] == [["2001:db8::2", "192.0.2.2"], ["192.0.2.2"], ["2001:db8::2"]]
    assert got["w.example"][0]["addrs"] == ["2001:db8::2", "192.0.2.2"]
    assert got["w.example"][0]["aliases"] == ["x.example", "both.example"]
    assert got["nothing.example"][0]["rcode"] == 3 and not got["nothing.example"][0]["addrs"]
    assert got["both.example"][1]["ttl"] == 30
    assert stats["coalesced"] == 3 and stats["sent"] == 8 and stats["wrong_id"] == stats["wrong_reply"] == 0


def test_truncated_answers_come_over_tcp(zone):
    answer, stats = zone.one("ask:many.example:4")
    assert len(set(answer["addrs"])) == 16 and all(a.startswith("198.51.100.") for a in answer["addrs"])
    assert stats["sent_tcp"] == 1 and stats["sent"] == 1


def ends_in_opt(message):
    return message.endswith(bytes.fromhex("00002904d0000000000000"))


@pytest.mark.parametrize("host,kind,word", [("a.example", MX, b"\4mail"), ("_sip._tcp.example", SRV, b"\4both\7example"), ("t.example", TXT, b"x" * 200)])
def test_relayed(zone, host, kind, word):
    answer, _ = zone.one(f"raw:{host}:{kind}:1232")
    message = bytes.fromhex(answer["message"])
    assert message[:4] == b"\x43\x21\x81\x80" and message[4:12] == bytes([0, 1, 0, 1, 0, 0, 0, 1])
    assert word in message and ends_in_opt(message)
    # the client's own spelling, as it was asked
    assert message[12 + 1:12 + 2] == host[:1].upper().encode() or host[0] == "_"


def test_relayed_over_tcp_and_truncated_for_the_client(zone):
    answer, stats = zone.one(f"raw:long.example:{TXT}:1232")
    message = bytes.fromhex(answer["message"])
    assert stats["sent_tcp"] == 1
    assert message[2] & 2 and message[6:8] == b"\0\0" and len(message) < 100
    answer, _ = zone.one(f"raw:long.example:{TXT}:65535")
    message = bytes.fromhex(answer["message"])
    assert not message[2] & 2 and message[6:8] == b"\0\x08" and len(message) > 2000 and ends_in_opt(message)


def test_relayed_no_such_name(zone):
    answer, _ = zone.one(f"raw:none.example:{TXT}:1232")
    assert bytes.fromhex(answer["message"])[3] & 15 == 3 and answer["rcode"] == 3


def test_relayed_questions_are_coalesced(zone):
    out = zone.resolve(*[f"raw:t.example:{TXT}:{size}" for size in (1232, 50, 1232)], "wait", "stats")
    stats = out.pop()
    assert stats["sent"] == 1 and stats["coalesced"] == 2 and len(out) == 3
    assert [len(o["message"]) // 2 for o in out] == [251, 38, 251]


def test_addresses_of_servers_do_not_come_with_other_types(net):
    net.hostile("txt-addresses")
    answer, stats = net.one(f"raw:t.example:{TXT}:1232")
    assert answer["message"] == "" and answer["error"] == ETIMEDOUT and stats["wrong_reply"] == 2


def test_hosts_file(net):
    got = net.hostile("ok")
    hosts = "127.0.0.1 localhost\n192.0.2.7 A.example b.example # c.example\n2001:db8::7\ta.example\n192.0.2.8 a.example\nbad d.example\n0.0.0.0 blocked.example\n192.0.2.9 e.example"
    out = net.resolve("ask:a.example:46", "ask:b.example:46", "ask:b.example:6", "ask:localhost:46", "ask:x.localhost:46", "ask:blocked.example:4", "ask:e.example:4", "wait", "ask:c.example:4", "ask:d.example:4", "wait", hosts=hosts)
    assert [o["addrs"] for o in out[:7]] == [["2001:db8::7", "192.0.2.7", "192.0.2.8"], ["192.0.2.7"], [], ["127.0.0.1"], [], ["0.0.0.0"], ["192.0.2.9"]]
    assert [o["hosts"] for o in out[:7]] == [True, True, True, True, False, True, True]
    assert out[4]["rcode"] == 3  # no server is asked for such a name
    assert sorted(q["name"] for q in net.questions(got)) == ["c.example", "d.example"]


def test_wrong_answers_are_ignored_and_counted(net):
    net.hostile("wrong-first")
    answer, stats = net.one("ask:a.example:4")
    assert answer["addrs"] == ["192.0.2.1"] and answer["error"] == 0
    # 2 of another id, 2 too short to have one, and two that are random or all ones; the rest are not answers to the question
    assert stats["wrong_id"] == 6 and stats["wrong_reply"] == 11, stats
    assert stats["sent"] == 1


def test_answers_from_another_port_never_arrive(net):
    def no_ports():
        lines = [line.split() for line in net.run("cat", "/proc/net/snmp").splitlines() if line.startswith("Udp:")]
        return int(dict(zip(*lines))["NoPorts"])
    before = no_ports()
    net.hostile("other-source")
    answer, stats = net.one("ask:a.example:4")
    assert answer["addrs"] == ["192.0.2.1"]
    assert stats["wrong_id"] == stats["wrong_reply"] == 0
    assert no_ports() == before + 1


def test_a_flood_of_wrong_ids_ends_the_try(net):
    got = net.hostile("only-wrong-ids")
    net.hostile("ok", "127.0.0.2")
    answer, stats = net.one("ask:a.example:4", conf="nameserver 127.0.0.1\nnameserver 127.0.0.2\noptions timeout:5\n")
    assert answer["addrs"] == ["192.0.2.1"] and answer["ms"] < 1500
    assert stats["wrong_id"] == 64 and len(net.questions(got)) == 1
    assert stats["unanswered"] == 0


@pytest.mark.parametrize("how", ["nobody", "silent", "servfail", "refused", "tcp-refused", "tcp-wrong-id", "tcp-truncated", "tcp-long", "tcp-short", "tcp-cut", "tcp-close", "tcp-silent"])
def test_first_server_is_of_no_use(net, how):
    if how != "nobody":
        net.hostile(how)
    got = net.hostile("ok", "127.0.0.2")
    conf = "nameserver 127.0.0.1\nnameserver 127.0.0.2\noptions timeout:1 attempts:2\n"
    first, second, stats = net.resolve("ask:a.example:4", "wait", "ask:b.example:4", "wait", "stats", conf=conf)
    assert first["addrs"] == second["addrs"] == ["192.0.2.1"]
    assert (first["ms"] >= 1000) == (how in ("silent", "tcp-silent"))
    assert second["ms"] < 500, "the server that answers is asked first from then on"
    assert len(net.questions(got)) == 2
    assert stats["watched"] == 0 and stats["closed_early"] == 0


def test_all_servers_are_dead(net):
    got = net.hostile("silent")
    answer, stats = net.one("ask:a.example:4", conf="nameserver 127.0.0.1\nnameserver 127.0.0.9\noptions timeout:1 attempts:2\n")
    assert answer["error"] in (ETIMEDOUT, ECONNREFUSED) and answer["addrs"] == []
    assert 2000 <= answer["ms"] < 4000
    assert len(net.questions(got)) == 2 and stats["unanswered"] == 2


def test_no_route_to_any_server(net):
    answer, stats = net.one("ask:a.example:46", conf="nameserver 192.0.2.53\nnameserver 2001:db8::53\nnameserver fe80::1%nothere\n")
    assert answer["error"] < 0 and answer["error"] != ETIMEDOUT and answer["ms"] < 1000 and stats["sent"] == 0


def test_errors_of_all_servers(net):
    net.hostile("servfail", "127.0.0.1", "127.0.0.2")
    answer, _ = net.one("ask:a.example:4", conf="nameserver 127.0.0.1\nnameserver 127.0.0.2\nnameserver 127.0.0.9\n")
    assert (answer["error"], answer["rcode"]) == (0, 2)


@pytest.mark.parametrize("mode", ["no-edns", "no-edns-header"])
def test_server_without_edns(net, mode):
    got = net.hostile(mode)
    first, second = net.resolve("ask:a.example:4", "wait", "ask:b.example:4", "wait")
    assert first["addrs"] == second["addrs"] == ["192.0.2.1"]
    assert [q["edns"] for q in net.questions(got)] == [True, False, False]


@pytest.mark.parametrize("mode", ["tcp-ok", "tcp-bytewise"])
def test_tcp(net, mode):
    got = net.hostile(mode)
    answer, _ = net.one("ask:a.example:4")
    assert answer["addrs"] == ["192.0.2.1"]
    asked = net.questions(got)
    assert [q["tcp"] for q in asked] == [False, True] and asked[0]["id"] != asked[1]["id"]


def test_rebinding(net):
    got = net.hostile("rebind")
    out = net.resolve("ask:a.example:4", "wait", "ask:a.example:4", "wait", "sleep:1100", "ask:a.example:4", "wait")
    assert [o["addrs"] for o in out] == [["192.0.2.1"], ["192.0.2.1"], ["192.0.2.2"]]
    assert [o["ttl"] for o in out] == [1, 1, 1]
    assert len(net.questions(got)) == 2


def test_long_ttl_is_bounded(net):
    net.hostile("long-ttl")
    assert net.one("ask:a.example:4")[0]["ttl"] == 60


def test_negative_answers_are_kept_shortly(net):
    got = net.hostile("negative-long")
    first, second = net.resolve("ask:a.example:4", "wait", "ask:a.example:4", "wait")
    assert first["rcode"] == second["rcode"] == 3 and first["ttl"] == 5
    assert len(net.questions(got)) == 1


def test_equal_questions_are_asked_once(net):
    got = net.hostile("ok")
    out = net.resolve(*["ask:a.example:46"] * 50, "wait", *["ask:a.example:46"] * 50, "wait", "stats")
    stats = out.pop()
    assert len(out) == 100 and {tuple(o["addrs"]) for o in out} == {("2001:db8::1", "192.0.2.1")}
    assert stats["coalesced"] == 98 and stats["from_cache"] == 100
    assert sorted(q["type"] for q in net.questions(got)) == [A, AAAA]


def test_slow_family_is_not_waited_for(net):
    net.hostile("no-aaaa")
    answer, _ = net.one("ask:a.example:46", conf="nameserver 127.0.0.1\noptions timeout:5\n")
    assert answer["addrs"] == ["192.0.2.1"] and 100 <= answer["ms"] < 1000 and answer["error"] == 0


def test_missing_family_is_an_error_without_the_other(net):
    net.hostile("no-aaaa")
    answer, _ = net.one("ask:a.example:6")
    assert answer["error"] == ETIMEDOUT and not answer["addrs"]


def test_aliases_of_both_families(net):
    net.hostile("aaaa-other-chain")
    answer, _ = net.one("ask:a.example:46")
    assert answer["addrs"] == ["2001:db8::1", "192.0.2.1"] and sorted(answer["aliases"]) == ["v4.example", "v6.example"]


def test_ids_and_ports_are_new_each_time(net):
    got = net.hostile("ok")
    out = net.resolve("many:400:4", "wait", "stats")
    assert out.pop()["watched_most"] == 64
    assert len(out) == 400 and all(o["addrs"] == ["192.0.2.1"] for o in out)
    asked = net.questions(got)
    assert len(asked) == 400
    # by chance a few are equal: of 28232 ports about 3, of 65536 ids about 1
    assert len({q["port"] for q in asked}) > 370 and len({q["id"] for q in asked}) > 380
    steps = [b["port"] - a["port"] for a, b in zip(asked, asked[1:])]
    assert len(set(steps)) > 300, "ports are not counted up"


def test_bounds(net):
    """More than can be kept open: refused at once, and nothing of what was taken is lost."""
    got = net.hostile("silent")
    out = net.resolve("many:700:4", "wait", "ask:n0.example:4", "wait", "stats", conf="nameserver 127.0.0.1\noptions timeout:1 attempts:1\n")
    stats = out.pop()
    refused = [o for o in out if "refused" in o]
    assert len(refused) == 700 - 512 and all(o["refused"] == EAGAIN for o in refused)
    assert len(out) == 701 and all(o["error"] == ETIMEDOUT for o in out if "refused" not in o)
    assert stats["watched_most"] == 64 and stats["refused"] == 188
    assert len(net.questions(got)) == 513


def test_waiters_are_bounded(net):
    net.hostile("ok")
    out = net.resolve(*["ask:a.example:4"] * 1100, "wait", "stats")
    stats = out.pop()
    assert stats["refused"] == 76 and stats["sent"] == 1 and len([o for o in out if "addrs" in o]) == 1024


def test_old_answers_make_room(net):
    net.hostile("ok")
    out = net.resolve("many:512:4", "wait", "ask:new.example:46", "wait", "stats")
    stats = out.pop()
    assert out[-1]["addrs"] == ["2001:db8::1", "192.0.2.1"] and stats["refused"] == 0


def test_cancel(net):
    net.hostile("ok")
    out = net.resolve("ask:a.example:46", "cancel", f"raw:t.example:{TXT}:1232", "cancel", "sleep:300", "ask:a.example:46", "wait", "stats")
    stats = out.pop()
    assert [o["host"] for o in out] == ["a.example"] and stats["from_cache"] == 2 and stats["watched"] == 0


def test_free_with_open_questions(net):
    net.hostile("silent")
    assert net.resolve("many:100:46", f"raw:t.example:{TXT}:1232", "sleep:50") == []


def test_callbacks_may_ask(net):
    got = net.hostile("ok")
    out = net.resolve("chain:a.example:20", "wait")
    assert len(out) == 21 and all(len(o["addrs"]) == 2 for o in out)
    assert len(net.questions(got)) == 2


def test_no_names(net):
    words = ["", ".", "a..b", "A.example", "127.1", "a/b", "x" * 64, "1.2.3.4"]
    out = net.resolve(*[f"ask:{w}:4" for w in words], "ask:a.example:0")
    assert [o["refused"] for o in out] == [-22] * 9


@pytest.mark.parametrize("address", ["::1", "fe80::53%lo"])
def test_server_by_ipv6(net, address):
    net.run("ip", "addr", "add", "fe80::53/64", "dev", "lo", "nodad")
    got = net.hostile("ok", address)
    answer, _ = net.one("ask:a.example:46", conf=f"# none\n; none\ndomain x\nnameserver\nnameserver bad\nnameserver\t{address} \n")
    assert answer["addrs"] == ["2001:db8::1", "192.0.2.1"]
    assert len(net.questions(got)) == 2


def test_without_files_it_is_loopback(net):
    net.hostile("ok")
    out = subprocess.run(net.inside(DRIVER, "/nonexistent/a", "/nonexistent/b", "ask:a.example:4", "wait"), capture_output=True, text=True, check=True)
    assert json.loads(out.stdout)["addrs"] == ["192.0.2.1"]
