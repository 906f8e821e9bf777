# SPDX-License-Identifier: Apache-2.0
"""Programs from npm, at the versions of npm/package-lock.json, and pictures."""
import fcntl
import os
import pathlib
import shutil
import struct
import subprocess
import zlib

PROJECT = pathlib.Path(__file__).resolve().parents[2]
LOCKED = PROJECT / "tests" / "full" / "npm"
BUILD = PROJECT / "build" / "npm"


def npm_modules():
    """node_modules below build/, made when the lock file has changed."""
    BUILD.mkdir(parents=True, exist_ok=True)
    with open(BUILD / "lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        stamp, want = BUILD / "installed", (LOCKED / "package-lock.json").read_bytes()
        if not stamp.exists() or stamp.read_bytes() != want:
            stamp.unlink(missing_ok=True)
            for name in ("package.json", "package-lock.json"):
                shutil.copy(LOCKED / name, BUILD / name)
            env = {**os.environ, "npm_config_cache": str(BUILD / "cache")}
            subprocess.run(["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts"], cwd=BUILD, env=env, check=True, timeout=600)
            stamp.write_bytes(want)
    return BUILD / "node_modules"


def predict(a, b, c):
    p = a + b - c
    return min((abs(p - a), 0, a), (abs(p - b), 1, b), (abs(p - c), 2, c))[2]


def unfilter(kind, line, above, step):
    for i, value in enumerate(line):
        a = line[i - step] if i >= step else 0
        b = above[i]
        c = above[i - step] if i >= step else 0
        line[i] = (value + (0, a, b, (a + b) // 2, predict(a, b, c))[kind]) & 255
    return line


def pixels(png):
    """(width, height, rows of bytes in RGB) of a PNG with 8 bits and no interlacing."""
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    at, data = 8, b""
    head: tuple[int, ...] = ()
    while at < len(png):
        size, kind = struct.unpack(">I4s", png[at : at + 8])
        body = png[at + 8 : at + 8 + size]
        assert zlib.crc32(kind + body) == struct.unpack(">I", png[at + 8 + size : at + 12 + size])[0]
        if kind == b"IHDR":
            head = struct.unpack(">IIBBBBB", body)
        elif kind == b"IDAT":
            data += body
        at += 12 + size
    width, height, bits, colours, _, _, interlaced = head
    assert (bits, interlaced) == (8, 0) and colours in (2, 6), head
    step = 3 if colours == 2 else 4
    raw, rows, above = zlib.decompress(data), [], bytearray(width * step)
    for y in range(height):
        begin = y * (width * step + 1)
        above = unfilter(raw[begin], bytearray(raw[begin + 1 : begin + 1 + width * step]), above, step)
        rows.append(bytes(above) if step == 3 else b"".join(bytes(above[i : i + 3]) for i in range(0, len(above), 4)))
    return width, height, rows
