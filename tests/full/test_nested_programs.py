# SPDX-License-Identifier: Apache-2.0
"""Programs that sandbox themselves do so inside: chromium with --allow-userns, codex (by bwrap) with --allow-nested-sandbox."""
import os
import pathlib
import shutil
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))

# pylint: disable=wrong-import-position,unused-import
from callers import counter, skip  # noqa: E402
from programs import npm_modules, pixels  # noqa: E402
from test_nested import ws  # noqa: E402,F401

PAGE = """<!doctype html><html><head><style>
body { margin: 0; background: #c00 } p { margin: 20px; width: 100px; height: 60px; border-radius: 20px;
background: linear-gradient(90deg, #ff0, #00f); color: #fff; font: 20px monospace }</style></head>
<body><p>text</p><script>document.body.style.background = 'rgb(0, ' + [...'128'].join('') + ', 0)'</script></body></html>
"""


def chromium(where):
    return [
        "chromium", "--headless", "--disable-gpu", "--hide-scrollbars", "--force-device-scale-factor=1", "--window-size=320,200",
        f"--user-data-dir={where}/profile", f"--screenshot={where}/shot.png", f"file://{where}/page.html",
    ]  # fmt: skip


@pytest.fixture
def reference(plain_user):
    """The picture that chromium makes outside, as an ordinary user: it runs its sandbox for nobody else."""
    if not shutil.which("chromium"):
        skip("not installed: chromium")
    where = plain_user.mkdir(plain_user.base / f"outside{next(counter)}")
    plain_user.write(where / "page.html", PAGE)
    r = plain_user.exec(chromium(where), cwd=where, timeout=120)
    assert r.rc == 0, r
    yield pixels((where / "shot.png").read_bytes())
    shutil.rmtree(where)


def test_chromium_renders_with_its_own_sandbox(run, user, ws, reference):
    user.write(ws / "page.html", PAGE)
    r = run(chromium(ws), "--allow-userns", timeout=120)
    assert r.rc == 0, r
    width, height, rows = pixels((ws / "shot.png").read_bytes())
    assert (width, height) == (320, 200)
    assert rows[199][-3:] == bytes((0, 128, 0)), "the script ran"
    assert len({rows[50][i : i + 3] for i in range(0, 960, 3)}) > 50, "the gradient is there"
    assert (width, height, rows) == reference
    # without the option chromium finds no sandbox of its own, and says so
    (ws / "shot.png").unlink()
    shutil.rmtree(ws / "profile")
    r = run(chromium(ws), timeout=120)
    assert r.rc != 0 and ("without --no-sandbox is not supported" if user.is_root else "No usable sandbox") in r.err, r
    assert not (ws / "shot.png").exists()


@pytest.fixture
def codex(user, ws):
    """codex(MODE, SCRIPT) -> argv of `codex sandbox`. Its files are copied where the caller can read them."""
    home = user.mkdir(user.home / f"codex{next(counter)}")
    package = npm_modules() / "@openai" / "codex-linux-x64" / "vendor" / "x86_64-unknown-linux-musl"
    if not package.exists():
        skip(f"no build of codex for this machine: {package.name}")
    shutil.copytree(package, home / "codex")
    home.chmod(0o755)
    state = user.mkdir(ws / "state")
    yield lambda mode, script: ["env", f"CODEX_HOME={state}", home / "codex" / "bin" / "codex", "sandbox", "-c", f'sandbox_mode="{mode}"', "--", "sh", "-c", script]
    shutil.rmtree(home)


def test_codex_denies_a_write_inside(run, user, ws, codex):
    write = f"echo in; echo x > '{ws}/made'"
    r = run([os.fspath(w) for w in codex("read-only", write)], "--allow-nested-sandbox", timeout=120)
    assert r.out == "in\n" and r.rc != 0 and "Read-only file system" in r.err, r
    assert not (ws / "made").exists()
    # the same write where codex allows it: so it was codex that denied it, not bailey
    r = run([os.fspath(w) for w in codex("workspace-write", write)], "--allow-nested-sandbox", timeout=120)
    assert (r.rc, r.out) == (0, "in\n"), r
    assert (ws / "made").read_text() == "x\n" and (ws / "made").stat().st_uid == user.uid
    # without the option codex's sandbox can't be made, and its command does not run
    for options in ((), ("--allow-userns",)):
        r = run([os.fspath(w) for w in codex("read-only", write)], *options, timeout=120)
        assert r.rc != 0 and r.out == "" and "bwrap" in r.err, r
