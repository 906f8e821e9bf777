# SPDX-License-Identifier: Apache-2.0
"""What a sandbox can have its gateway do has a pace: whoever goes faster waits, loses nothing, and leaves the processors to others."""
import pathlib


def test_tcp_inside_does_not_pace(net):
    setting = "/proc/sys/net/ipv4/tcp_congestion_control"
    r = net(["cat", setting], "--allow-host", "one.test")
    assert (r.rc, r.out) == (0, "reno\n"), r.err
    # without a network nothing is set: as the host has it
    r = net(["cat", setting])
    assert (r.rc, r.out) == (0, pathlib.Path(setting).read_text()), r.err
