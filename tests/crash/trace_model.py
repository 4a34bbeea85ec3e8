"""A file system that remembers what is durable, fed with a trace of src/sys/trace.h.

Each change is kept or lost by itself at a power cut unless a sync that began after it had ended before the
cut: fsync and fdatasync of a file cover its octets and size, fsync of a folder covers the names in it, syncfs
covers everything. A file's fsync does not cover its name. That is harsher than any real file system.
"""
import os
import random

FSYNC, FDATASYNC, SYNCFS = 1, 2, 3
O_CREAT, O_TRUNC = 0o100, 0o1000


def read_trace(path):
    """The records: (op, pid, thread, fd, a, octets1, octets2)."""
    records = []
    with open(path, "rb") as f:
        data = f.read()
    at = 0
    while at < len(data):
        end = data.index(b"\n", at)
        op, pid, tid, fd, a, _b, n1, n2 = data[at:end].split()
        n1, n2 = int(n1), int(n2)
        body = data[end + 1:end + 1 + n1 + n2]
        records.append((op.decode(), int(pid), int(tid), int(fd), int(a), body[:n1], body[n1:]))
        at = end + 1 + n1 + n2 + 1
    return records


def mark(path, text):
    """Appends a record of the test's own: what a client has seen by now."""
    with open(path, "ab", buffering=0) as f:
        f.write(b"mark 0 0 -1 0 0 %d 0\n%s\n" % (len(text), text.encode()))


class Change:
    """One change: a name in a folder set or removed (inode None), or octets or size of a file."""

    __slots__ = ("at", "folder", "name", "inode", "kind", "offset", "octets", "durable_at")

    def __init__(self, at, folder=None, name="", inode=None, kind="name", offset=0, octets=b""):
        self.at, self.folder, self.name, self.inode, self.kind = at, folder, name, inode, kind
        self.offset, self.octets, self.durable_at = offset, octets, None


class Model:
    """Reads a snapshot of a folder and a trace of what happened to it since."""

    def __init__(self, snapshot, records):
        self.next_inode = 1
        self.start_dirs, self.start_files = {0: {}}, {}
        self._load(snapshot, 0)
        self.dirs = {d: dict(names) for d, names in self.start_dirs.items()}
        self.changes, self.marks = [], []
        self.fds, self.pending = {}, {}
        for at, record in enumerate(records):
            self._take(at, record)
        self.length = len(records)

    def _new(self):
        self.next_inode += 1
        return self.next_inode

    def _load(self, path, inode):
        for entry in os.scandir(path):
            child = self._new()
            self.start_dirs[inode][entry.name] = child
            if entry.is_dir(follow_symlinks=False):
                self.start_dirs[child] = {}
                self._load(entry.path, child)
            elif entry.is_file(follow_symlinks=False):
                with open(entry.path, "rb") as f:
                    self.start_files[child] = f.read()

    def _walk(self, path):
        """(folder inode, last name) of a path in the state all changes have led to."""
        parts = [p for p in path.split("/") if p not in ("", ".")]
        where = 0
        for part in parts[:-1]:
            where = self.dirs[where][part]
        return where, parts[-1] if parts else ""

    def _inode(self, path):
        where, name = self._walk(path)
        return where if name == "" else self.dirs[where].get(name)

    def _name(self, at, where, name, inode):
        if inode is None:
            self.dirs[where].pop(name, None)
        else:
            self.dirs[where][name] = inode
        self.changes.append(Change(at, folder=where, name=name, inode=inode))

    def _sync(self, begin, end, kind, inode):
        for change in self.changes:
            if change.durable_at is not None or change.at >= begin:
                continue
            touched = change.folder if change.kind == "name" else change.inode
            if kind == SYNCFS or touched == inode:
                change.durable_at = end

    def _take(self, at, record):
        op, pid, tid, fd, a, one, two = record
        if op == "mark":
            self.marks.append((at, one.decode()))
            return
        path, path2 = one.decode("utf-8", "surrogateescape"), two.decode("utf-8", "surrogateescape")
        if op == "open":
            if path.startswith("/"):
                self.fds.pop((pid, fd), None)
                return
            inode = self._inode(path)
            if inode is None and a & O_CREAT:
                where, name = self._walk(path)
                inode = self._new()
                self._name(at, where, name, inode)
            elif inode is not None and a & O_TRUNC:
                self.changes.append(Change(at, inode=inode, kind="trunc"))
            self.fds[pid, fd] = inode
        elif op == "write" and self.fds.get((pid, fd)) is not None:
            self.changes.append(Change(at, inode=self.fds[pid, fd], kind="data", offset=a, octets=one))
        elif op == "trunc" and self.fds.get((pid, fd)) is not None:
            self.changes.append(Change(at, inode=self.fds[pid, fd], kind="trunc", offset=a))
        elif op in ("rename", "link"):
            inode = self._inode(path)
            self._name(at, *self._walk(path2), inode)
            if op == "rename":  # a disk may keep the new name, the old one, both or none
                self._name(at, *self._walk(path), None)
        elif op in ("unlink", "rmdir"):
            self._name(at, *self._walk(path), None)
        elif op == "mkdir":
            inode = self._new()
            self.dirs[inode] = {}
            self._name(at, *self._walk(path), inode)
        elif op == "sync+":
            self.pending[tid, fd] = at
        elif op == "sync-":
            begin = self.pending.pop((tid, fd), None)
            if begin is not None:
                self._sync(begin, at, a, self.fds.get((pid, fd)))
        elif op == "close":
            self.fds.pop((pid, fd), None)

    def cut(self, at, policy, rng=None):
        """The state after a power cut before record `at`: policy "none", "all" or "some" of what wasn't synced."""
        rng = rng or random.Random(0)
        dirs = {d: dict(names) for d, names in self.start_dirs.items()}
        files = {i: bytearray(data) for i, data in self.start_files.items()}
        for change in self.changes:
            if change.at >= at:
                break
            durable = change.durable_at is not None and change.durable_at < at
            if not durable and (policy == "none" or (policy == "some" and rng.random() < 0.5)):
                continue
            if change.kind == "name":
                names = dirs.setdefault(change.folder, {})
                if change.inode is None:
                    names.pop(change.name, None)
                else:
                    names[change.name] = change.inode
                continue
            data = files.setdefault(change.inode, bytearray())
            if change.kind == "trunc":
                del data[change.offset:]
                data.extend(b"\0" * (change.offset - len(data)))
            else:
                end = change.offset + len(change.octets)
                data.extend(b"\0" * (end - len(data)))
                data[change.offset:end] = change.octets
        return dirs, files

    def build(self, folder, state):
        """Writes a state to a folder."""
        dirs, files = state
        known_dirs = set(self.dirs) | set(self.start_dirs)

        def make(inode, path):
            os.makedirs(path, exist_ok=True)
            for name, child in dirs.get(inode, {}).items():
                where = os.path.join(path, name)
                if child in known_dirs:
                    make(child, where)
                else:
                    with open(where, "wb") as f:
                        f.write(files.get(child, b""))
        make(0, folder)

