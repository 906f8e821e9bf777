# SPDX-License-Identifier: Apache-2.0
"""
The whole machine on an overlayfs, as in most containers, live systems and fresh-machine tests: an overlay over this machine's root, entered by
pivot_root. Mounts there can't be idmapped, so root's runs act as the workspace's owner, and say so.
"""
import json
import os
import subprocess

import pytest

from conftest import BAILEY, PYTHON, command, has_own_ids, lacks, skip
from test_degraded import WHOLE

# Into a new root: $1 more layers, then "$@" as $UID_ and $GID_. What was written to the machine is found in $T/upper, by the name of its file.
ENTER = """
set -e
T=$1; shift
mount -t tmpfs none "$T"
touch "$T/stamp"
lower=/
for n in $LAYERS; do
	mkdir "$T/upper$n" "$T/work$n" "$T/root$n"
	mount -t overlay none -o "lowerdir=$lower,upperdir=$T/upper$n,workdir=$T/work$n" "$T/root$n"
	lower=$T/root$n
done
cd "$lower"
for d in proc dev sys; do mount --rbind /$d $d; done
mount -t tmpfs none tmp; chmod 1777 tmp
mount -t tmpfs none run
mkdir run/machine
mount --bind "$T" run/machine
pivot_root . mnt
umount -l /mnt
cd "$WS"
rc=0
setpriv --reuid "$UID_" --regid "$GID_" --clear-groups "$@" || rc=$?
find /run/machine/upper? -type f -perm /6000 -newer /run/machine/stamp | sed 's/^/set-id: /'
exit $rc
"""


@pytest.fixture
def on_overlay(user, root_user, session_dir, ws):
    """on_overlay(ARGV, layers=) -> Result; the caller's command, in the new root, in the workspace."""
    if os.geteuid() != 0:
        skip("to make a root needs root")
    top = session_dir / "overlay-root"
    top.mkdir(exist_ok=True)
    already = "overlay" in subprocess.run(["stat", "-f", "-c", "%T", "/"], check=True, capture_output=True, text=True).stdout

    def call(argv, layers="1"):
        if already and layers == "1":
            lacks("a root that is no overlay")
        layers = layers[2:] if already else layers
        env = {**user.environ(), "LAYERS": layers, "UID_": str(user.uid), "GID_": str(user.gid), "WS": str(ws)}
        return root_user.exec(["unshare", "-m", "bash", "-c", ENTER, "enter", top, *argv], cwd="/", env=env, timeout=60)

    return call


@pytest.fixture
def run(on_overlay):
    def call(cmd, *opts, **kw):
        return on_overlay([BAILEY, "run", *opts, "--", *command(cmd)], **kw)

    return call


def notices(r):
    return [li for li in r.err.splitlines() if li.startswith("bailey: ")]


def test_the_root_is_an_overlay(on_overlay):
    r = on_overlay(["stat", "-f", "-c", "%T", "/", "/etc", "/var/lib"])
    assert set(r.out.split()) == {"overlayfs"}, r


def test_works_as_the_owner_and_says_so(run, user):
    r = run([PYTHON, "-c", WHOLE + "\nprint(os.getuid(), os.stat('ok').st_uid)"])
    assert (r.rc, r.out) == (0, f"bad\n{user.uid} {user.uid}\n"), r
    if user.is_root:
        assert notices(r) == ["bailey: notice: running as uid 0 of the host, without capabilities (no idmapped mounts here)"], r
    else:
        assert notices(r) == [], r


def test_the_notice_comes_where_it_is_true(user, bailey, ws):
    """On this machine as it is, overlayfs or not: other tests leave that line out of what they compare (conftest.py)."""
    r = bailey(["run", "--", PYTHON, "-c", WHOLE + "\nprint(os.getuid(), os.stat('ok').st_uid)"], cwd=ws)
    assert (r.rc, r.out) == (0, f"bad\n{user.uid} {user.uid}\n") and (ws / "ok").stat().st_uid == user.uid, r
    own = not user.is_root or has_own_ids(user, ws)
    assert notices(r) == ([] if own else ["bailey: notice: running as uid 0 of the host, without capabilities (no idmapped mounts here)"]), r


@pytest.mark.parametrize("user", ["root"], indirect=True)  # an ordinary user's ids do not depend on the workspace
def test_owner_of_a_workspace_that_is_not_roots(on_overlay, user):
    r = on_overlay(["sh", "-c", f"mkdir /opt/w && chown 4321:4321 /opt/w && cd /opt/w && '{BAILEY}' run -- sh -c 'id -u; touch f; stat -c %u f'"])
    assert r.out.split() == ["4321", "4321"] and "running as uid 4321 of the host" in r.err and "the workspace's owner" in r.err, r


LIFE = """
set -e
export XDG_STATE_HOME=$1 XDG_RUNTIME_DIR=
trap '"$0" rm -f box >/dev/null 2>&1' EXIT
"$0" create box >/dev/null
"$0" exec box -- sh -c 'id -u; id -un; touch f; mkdir d; stat -c "%u %U" f d; cd; touch mine; stat -c %U mine; sudo -n true 2>/dev/null || echo no sudo'
stat -c %u f d
"$0" inspect box
"""


def test_a_sandbox_that_stays(on_overlay, user, ws, session_dir):
    """create, exec, inspect: root's has no root inside, and says why; its files are the workspace's owner's, as a run's. The twin: an ordinary user's has his own ids."""
    state = f"/opt/state-{user.uid}" if user.is_root else str(user.mkdir(user.home / "overlay-state", 0o700))
    r = on_overlay(["sh", "-c", LIFE, BAILEY, state])
    assert r.rc == 0, r
    lines, _, shown = r.out.partition("[")
    (about,) = json.loads("[" + shown)
    said = lines.split("\n")[:-1]
    assert said[:5] == ["1000", "agent", "1000 agent", "1000 agent", "agent"] and said[-2:] == [str(user.uid)] * 2, r
    if not user.is_root:
        assert not any("id map" in li for li in notices(r)), r
        return
    assert any("mount_setattr with an id map" in li for li in notices(r)), r
    assert not about["root"] and "mount_setattr with an id map" in about["rootless_because"], about
    assert said[5:-2] == ["no sudo"], r


def test_writes_stay_in_the_workspace(run, on_overlay, user, outside):
    script = f'for f in "{outside}/new" ~/new /etc/new /usr/new /var/lib/new /new; do sh -c "echo evil > $f" 2>/dev/null && echo "$f"; done; echo twin > twin; cat twin'
    assert run(script).out == "twin\n"
    control = on_overlay(["sh", "-c", script])
    everywhere = [f"{outside}/new", f"{user.home}/new", "/etc/new", "/usr/new", "/var/lib/new", "/new"]
    assert control.out.split() == [*(everywhere if user.is_root else everywhere[:2]), "twin"], control


def test_no_set_id_file_is_left(run, on_overlay):
    script = "cp /usr/bin/true t; chmod 755 t; chmod 4755 t; chmod 2755 t; true"
    r = run(script)
    assert r.out == "" and r.err.count("Operation not permitted") == 2, r
    control = on_overlay(["sh", "-c", script])
    assert control.out.startswith("set-id: ") and control.out.endswith("/t\n"), control


def test_hidden_names_and_sockets(run, on_overlay, user, outside):
    user.write(user.home / ".ssh" / "places-id", "key\n", 0o600)
    code = f"""
import os, socket, subprocess, sys
path = {str(outside)!r} + '/sock'
try: print(open(os.path.expanduser('~/.ssh/places-id')).read(), end='')
except OSError as e: print('key', e.errno)
s = socket.socket(socket.AF_UNIX)
try: s.connect(path); print('connected')
except OSError as e: print('socket', e.errno)
"""
    # the listener lives in the new root, too
    listen = f"import os, socket, subprocess, sys; os.umask(0); s = socket.socket(socket.AF_UNIX); s.bind({str(outside)!r} + '/sock'); s.listen(); sys.exit(subprocess.call(sys.argv[1:]))"
    r = on_overlay([PYTHON, "-c", listen, BAILEY, "run", "--", PYTHON, "-c", code])
    assert r.out == "key 2\nsocket 111\n", r
    control = on_overlay([PYTHON, "-c", listen, PYTHON, "-c", code])
    assert control.out == "key\nconnected\n", control


def test_doctor_says_the_same(on_overlay, user):
    r = on_overlay([BAILEY, "doctor", "--json"])
    facts = {f["id"]: f for f in json.loads(r.out)}
    assert r.rc == 0 and facts["overlay"]["state"] == "ok", r
    if user.is_root:
        assert {facts[i]["state"] for i in ("idmap.root", "idmap.cwd", "idmap.home")} == {"degraded"}, facts


def test_an_overlay_of_overlays_is_refused(run, on_overlay, ws):
    # The kernel stacks two, and the second one is the machine's already: no third can make sockets dead and names absent.
    r = run(["touch", "witness"], layers="1 2")
    lines = [li for li in r.err.splitlines() if "notice:" not in li]
    assert r.rc == 125 and len(lines) == 1 and "layer 'overlay' is missing" in lines[0] and "--allow-degraded=overlay" in lines[0], r
    assert not (ws / "witness").exists() and "witness" not in r.out
    r = on_overlay([BAILEY, "doctor"], layers="1 2")
    assert r.rc == 1 and "next: overlay: the kernel stacks two overlays" in r.out, r
    r = run([PYTHON, "-c", WHOLE], "--allow-degraded=overlay", layers="1 2")
    assert (r.rc, r.out) == (0, "bad\n") and "overlay" in r.err, r
