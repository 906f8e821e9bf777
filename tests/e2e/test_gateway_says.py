# SPDX-License-Identifier: Apache-2.0
"""What the gateway knows by itself, and what it says of what it does not."""
import os
import re

import pytest
from test_gateway import CLEAN, CURL


@pytest.mark.parametrize("opts", [["--allow-host", "one.test"], []], ids=["network", "control"])
def test_the_own_name_is_known(net, opts):
    """As without a network, where the host's file is shown."""
    name = os.uname().nodename
    r = net("getent hosts $(uname -n); getent ahostsv4 $(uname -n)", *opts)
    # the host may not know its own name either: then that is asked for in vain, and said
    assert r.said == "" or (not opts and r.rc != 0 and "the command tried the network" in r.said), "nobody was asked"
    if opts:
        assert r.rc == 0 and r.out.split()[:2] == ["::1", name] and "127.0.1.1" in r.out.split(), r


def test_a_dead_proxy_is_named(net):
    for env, name in (({"https_proxy": "http://us:WORD77@127.0.0.1:9"}, "127.0.0.1:9: Connection refused"), ({"https_proxy": "http://us:WORD77@[::1]:9"}, "[::1]:9: Connection refused")):
        r = net([*CURL, "https://one.test/"], "--allow-host", "one.test", env=env)
        assert r.rc != 0 and f"network: one.test:443 failed: the proxy {name}\n" in r.err and "WORD77" not in r.err, r
        [e] = [e for e in net.log(r) if e["event"] == "fail"]
        assert e["reason"] == f"the proxy {name}" and "address" not in e, e
    # the twin: a server that is not there is nobody else's fault
    r = net([*CURL, "http://one.test:9/"], "--allow-host", "one.test:9")
    assert r.out == "bailey: Connection refused\n" and "network:" not in r.err, r


def test_no_address_is_logged_where_none_is_known(net):
    r = net([*CURL, "http://two.test/"], "--allow-host", "one.test")
    [e] = [e for e in net.log(r) if e["event"] == "deny"]
    assert e["name"] == "two.test" and "address" not in e, e
    run = re.findall(r"bailey network log ([0-9a-f]{10})", r.err)[0]
    assert "(::)" not in net.network("log", run).out
    r = net([*CLEAN, *CURL, "http://192.0.2.11/"], "--allow-host", "one.test")
    assert any(e["event"] == "deny" and e["address"] == "192.0.2.11" for e in net.log(r)), "the twin"
