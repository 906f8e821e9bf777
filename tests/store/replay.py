# SPDX-License-Identifier: Apache-2.0
"""What a disk may hold when the machine goes down: made of the calls that strace has seen, in their order.

A file that was synced has all that was written to it before. Of what was written since, a crash leaves nothing, or any part: here nothing, each call alone, half of each
call alone, all of them, and all but one. A name that was made or removed is sure when its directory was synced; before that it is there or not, and here both.
"""
import re

LINE = re.compile(r'(\w+)\((.*)\)\s+= (-?\d+|\?)')
HEX = re.compile(r'"((?:\\x[0-9a-f]{2})*)"')


def unhex(text):
    return bytes.fromhex(text.replace("\\x", ""))


class File:
    def __init__(self, body=b""):
        self.sure = bytearray(body)
        self.pending = []  # of (offset, bytes) and (size, None)


def apply(body, ops):
    body = bytearray(body)
    for at, data in ops:
        if data is None:
            del body[at:]
            body.extend(bytes(at - len(body)))
        else:
            body.extend(bytes(max(0, at - len(body))))
            body[at:at + len(data)] = data
    return bytes(body)


def halves(op):
    at, data = op
    return [op] if data is None or len(data) < 2 else [op, (at, data[:len(data) // 2]), (at + len(data) // 2, data[len(data) // 2:])]


class Disk:
    """The files of one directory."""

    def __init__(self, files):
        self.now = {name: File(body) for name, body in files.items()}
        self.sure = dict(self.now)  # names whose directory was synced
        self.fds = {}
        self.said = False  # the verb has printed
        self.syncs = 0

    def states(self):
        """All that may be there if the machine went down now: dicts of name and body."""
        for names in (self.sure, self.now):
            def files(changes=None, names=names):
                return {n: apply(f.sure, changes.get(id(f), ()) if changes else ()) for n, f in names.items()}
            yield files()
            yield files({id(f): f.pending for f in names.values()})
            for f in names.values():
                for i, op in enumerate(f.pending):
                    yield files({id(f): f.pending[:i] + f.pending[i + 1:]})
                    for part in halves(op):
                        yield files({id(f): [part]})

    def step(self, line):
        """One call more."""
        m = LINE.match(line)
        if not m or m[3].startswith("-") or m[3] == "?":
            return
        name, args, ret = m[1], m[2], int(m[3])
        paths = [unhex(p).decode("latin-1") for p in HEX.findall(args)]
        if name == "openat":
            base = paths[0].rsplit("/", 1)[-1]
            if base.startswith(("state.db", ".state.db")) and not base.endswith("-shm"):
                if "O_CREAT" in args and base not in self.now:
                    self.now[base] = File()
                self.fds[ret] = self.now[base]
            else:
                self.fds[ret] = "dir" if base == "." or "O_DIRECTORY" in args else None
        elif name == "close":
            self.fds.pop(int(args), None)
        elif name in ("pwrite64", "write"):
            fd = int(args.split(",", 1)[0])
            f = self.fds.get(fd)
            if fd == 1:
                self.said = True
            if isinstance(f, File):
                data = unhex(HEX.findall(args)[0])
                assert len(data) == ret, "strace has cut a write"
                at = int(args.rsplit(",", 1)[1]) if name == "pwrite64" else sum(len(d) for _, d in f.pending if d)
                f.pending.append((at, data))
        elif name == "ftruncate":
            f = self.fds.get(int(args.split(",")[0]))
            if isinstance(f, File):
                f.pending.append((int(args.split(",")[1]), None))
        elif name in ("fsync", "fdatasync"):
            f = self.fds.get(int(args))
            if isinstance(f, File):
                f.sure = bytearray(apply(f.sure, f.pending))
                f.pending = []
            elif f == "dir":
                self.sure = dict(self.now)
            self.syncs += f is not None
        elif name in ("unlink", "unlinkat"):
            self.now.pop(paths[0].rsplit("/", 1)[-1], None)
        elif name in ("rename", "renameat"):
            self.now[paths[1]] = self.now.pop(paths[0])
