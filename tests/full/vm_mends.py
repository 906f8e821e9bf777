# SPDX-License-Identifier: Apache-2.0
"""
The mends of doctor that load modules, executed: test_vm.py boots a machine that has none of them loaded, overlayfs neither, and runs this in it as root.

Prints a line for each caller and fact: "mends " and [uid, fact, [[state, mend, exit status of a run, what that says], ...]]: one answer of doctor
after the other, between two of them the mend that it printed, executed as it stands.
"""
import json
import os
import subprocess

BAILEY, NOBODY = os.environ["BAILEY"], 65534
# fact -> the modules that its mend loads, in the order in which they can be unloaded; what a run needs it for
FACTS = {
    "overlay": (["overlay"], []),
    "net.capture": (["nft_tproxy", "nft_reject_ipv4", "nft_reject_ipv6", "nf_tables"], ["--allow-host=name.test"]),
    "net.tap": (["tun"], []),
}
MOST = 4  # mends of one fact, one after the other


def call(uid, *words):
    home = f"/tmp/home-{uid}"
    r = subprocess.run([BAILEY, *words], user=uid, group=uid, extra_groups=[], cwd=home, env={"HOME": home, "PATH": os.environ["PATH"]},
                       capture_output=True, text=True, timeout=60, check=False)
    return r.returncode, r.stdout, r.stderr


def steps(uid, fact, options):
    for _ in range(MOST):
        found = next(f for f in json.loads(call(uid, "doctor", "--json", fact)[1]) if f["id"] == fact)
        rc, _, err = call(uid, "run", *options, "--", "true")
        yield found["state"], found["mend"], rc, err
        if not found["mend"]:
            return
        subprocess.run(["sh", "-c", found["mend"].removeprefix("sudo ")], check=True)  # the guest's root has no need of sudo


def main():
    # What the kernel can load by itself, when it is asked for, needs no mend: so it is where this helper is missing, or not to be found.
    with open("/proc/sys/kernel/modprobe", "w", encoding="ascii") as f:
        f.write("/nonexistent")
    os.makedirs("/dev/net", exist_ok=True)
    os.mknod("/dev/net/tun", 0o20600, os.makedev(10, 200))  # as systemd-tmpfiles makes it before the module is there
    subprocess.run(["mount", "-t", "tmpfs", "none", "/var/lib"], check=True)  # root's state: the root of this guest is read-only
    for uid in (NOBODY, 0):
        os.mkdir(f"/tmp/home-{uid}")
        os.chown(f"/tmp/home-{uid}", uid, uid)
        os.chmod("/dev/net/tun", 0o600)
        for modules, _ in FACTS.values():
            subprocess.run(["modprobe", "-r", *modules], check=True)
        for fact, (_, options) in FACTS.items():
            print("mends " + json.dumps([uid, fact, [*steps(uid, fact, options)]]), flush=True)


main()
