# SPDX-License-Identifier: Apache-2.0
"""Proxies that bench/network.py and bench/inspection.py measure beside the gateway: configured for what it does (one name, one port), with their logs, without a cache."""

import os
import socket
import subprocess
import time

from common import PATH, Failed, which

NOBODY = 65534


def squid(at: str, port: int, host: str, target: tuple[str, int]) -> list[str]:
    conf = os.path.join(at, "squid.conf")
    with open(conf, "w", encoding="ascii") as f:
        f.write(f"http_port 127.0.0.1:{port}\nacl good dstdomain {host}\nacl port port {target[1]}\nhttp_access allow CONNECT good port\n"
                f"http_access deny all\ncache deny all\ncache_mem 0 MB\naccess_log stdio:{at}/squid.log\ncache_log {at}/squid.err\n"
                f"coredump_dir {at}\npid_filename none\nmax_filedescriptors 4096\nshutdown_lifetime 0 seconds\npinger_enable off\n")
    return [which("squid"), "-N", "-f", conf]


def tinyproxy(at: str, port: int, host: str, target: tuple[str, int]) -> list[str]:
    conf, names = os.path.join(at, "tinyproxy.conf"), os.path.join(at, "tinyproxy.names")
    with open(names, "w", encoding="ascii") as f:
        f.write(f"^{host}$\n")
    with open(conf, "w", encoding="ascii") as f:
        f.write(f"Listen 127.0.0.1\nPort {port}\nTimeout 60\nMaxClients 1000\nFilter \"{names}\"\nFilterDefaultDeny Yes\nFilterExtended On\n"
                f"ConnectPort {target[1]}\nLogFile \"{at}/tinyproxy.log\"\nLogLevel Connect\n")
    return [which("tinyproxy"), "-d", "-c", conf]


def haproxy(at: str, port: int, host: str, target: tuple[str, int]) -> list[str]:
    """It knows no CONNECT: a relay to the one server, by splice as the gateway does it."""
    del host
    conf = os.path.join(at, "haproxy.cfg")
    with open(conf, "w", encoding="ascii") as f:
        f.write(f"defaults\n mode tcp\n option splice-auto\n timeout connect 5s\n timeout client 60s\n timeout server 60s\n"
                f"listen relay\n bind 127.0.0.1:{port}\n server one {target[0]}:{target[1]}\n")
    return [which("haproxy"), "-db", "-q", "-f", conf]


def mitmproxy(at: str, port: int, host: str, target: tuple[str, int]) -> list[str]:
    """Without inspection: it relays what it does not know."""
    del target
    return [which("mitmdump"), "--quiet", "--listen-host", "127.0.0.1", "--listen-port", str(port), "--set", f"confdir={at}/mitm",
            "--ignore-hosts", f"^{host}:"]


def inspecting(at: str, port: int, host: str, target: tuple[str, int]) -> list[str]:
    """mitmproxy ends TLS; the server's authority is $UPSTREAM_CA of the benchmark."""
    del host, target
    return [which("mitmdump"), "--quiet", "--listen-host", "127.0.0.1", "--listen-port", str(port), "--set", f"confdir={at}/mitm",
            "--set", f"ssl_verify_upstream_trusted_ca={os.environ['UPSTREAM_CA']}", "--set", "stream_large_bodies=1m"]


# name -> how it is started, and how it is asked
PROXIES = {"squid": (squid, "http"), "tinyproxy": (tinyproxy, "http"), "haproxy": (haproxy, "tcp"), "mitmproxy": (mitmproxy, "http")}
INSPECTING = {"mitmproxy": (inspecting, "http")}


class Proxy:
    """One that runs, as nobody when started by root."""

    def __init__(self, base: str, name: str, port: int, host: str, target: tuple[str, int], inspects: bool = False) -> None:
        start, how = (INSPECTING if inspects else PROXIES)[name]
        self.way = f"{how}:{port}"
        self.at = os.path.join(base, name)
        os.makedirs(self.at, exist_ok=True)
        ids = {}
        if os.geteuid() == 0:
            os.chown(self.at, NOBODY, NOBODY)
            ids = {"user": NOBODY, "group": NOBODY, "extra_groups": []}
        self.proc = subprocess.Popen(start(self.at, port, host, target), cwd=self.at, stdin=subprocess.DEVNULL,  # type: ignore[call-overload]
                                     stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env={"PATH": PATH, "HOME": self.at}, **ids)
        end = time.monotonic() + 30
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                return
            except OSError:
                if self.proc.poll() is not None or time.monotonic() > end:
                    self.end()
                    raise Failed(f"{name} does not start") from None
                time.sleep(0.1)

    def end(self) -> None:
        self.proc.kill()
        self.proc.wait(30)
