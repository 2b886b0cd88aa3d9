"""A disk that fails on command, counts, and forgets what was not synced when the power goes.

An apsw VFS over the real one. It keeps, per file, what is synced and what was written since, so
that `power_cut` can make a directory as a crash might leave it.
"""

from __future__ import annotations

import random
import shutil
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import apsw

from wakeful.store import checksums, mark

SECTOR_BYTES = 512


class Disk(apsw.VFS):
    """Register with `with`: the VFS has a name of its own.

    Attributes:
        counts: operations so far: "write wal", "sync db", ...
        fault: called before each operation with its name; may raise.
        forgetful: a sync that fails drops what it should have written; it is still read, as long as
            the machine is on, and no later sync writes it (as Linux does).
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.counts: Counter[str] = Counter()
        self.fault: Callable[[str], None] | None = None
        self.forgetful = False
        self.files: dict[str, Contents] = {}
        self.deleted: dict[str, Contents] = {}  # until the directory is synced
        self.lock = threading.Lock()
        super().__init__(name, checksums.vfs() or "")

    def __enter__(self) -> Disk:
        return self

    def __exit__(self, *exc: object) -> None:
        self.fault = None
        self.unregister()

    def xOpen(self, name: apsw.URIFilename | str | None, flags: list[int]) -> DiskFile:
        return DiskFile(self, name, flags)

    def xDelete(self, filename: str, syncdir: bool) -> None:
        with self.lock:
            if (contents := self.files.pop(filename, None)) is not None:
                self.deleted[filename] = contents
        super().xDelete(filename, syncdir)

    def operate(self, what: str, path: str) -> None:
        operation = f"{what} {'wal' if path.endswith('-wal') else 'db'}"
        with self.lock:
            self.counts[operation] += 1
        if self.fault is not None:
            self.fault(operation)

    def power_cut(self, target: Path, chance: random.Random) -> None:
        """Write the files as a power cut now might leave them."""
        target.mkdir()
        with self.lock:
            undeleted = {p: c for p, c in self.deleted.items() if chance.random() < 0.5}
            for path, contents in {**self.files, **undeleted}.items():
                (target / Path(path).name).write_bytes(contents.after_power_cut(chance))
            # It may have reached the disk at once, or long before.
            for path in {Path(mark.path_of(p)) for p in self.files if p.endswith(".db")}:
                if path.exists() and chance.random() < 0.8:
                    shutil.copy(path, target)


class Contents:
    """What a file holds for sure, and what may or may not have reached the disk since."""

    def __init__(self, synced: bytes) -> None:
        self.synced = bytearray(synced)
        self.since: list[tuple[int, bytes | None]] = []  # None: truncated to that offset

    def sync(self) -> None:
        for offset, data in self.since:
            apply(self.synced, offset, data)
        self.since.clear()

    def after_power_cut(self, chance: random.Random) -> bytes:
        image = bytearray(self.synced)
        share = chance.choice([0.0, 0.5, 0.9, 1.0])
        for offset, data in self.since:
            if data is None:
                if chance.random() < share:
                    apply(image, offset, None)
                continue
            for start in range(0, len(data), SECTOR_BYTES):
                if chance.random() < share:
                    apply(image, offset + start, data[start : start + SECTOR_BYTES])
        return bytes(image)


def apply(image: bytearray, offset: int, data: bytes | None) -> None:
    if data is None:
        del image[offset:]
        return
    image.extend(bytes(max(0, offset - len(image))))
    image[offset : offset + len(data)] = data


class DiskFile(apsw.VFSFile):
    """An open file of a Disk."""

    def __init__(self, disk: Disk, name: apsw.URIFilename | str | None, flags: list[int]) -> None:
        self._disk = disk
        self._path = name.filename() if isinstance(name, apsw.URIFilename) else name or ""
        disk.operate("open", self._path)
        # With the first sync of a new journal or log SQLite syncs the directory.
        self._new = not self._path.endswith(".db") and not Path(self._path).exists()
        super().__init__(checksums.vfs() or "", name, flags)
        if self._path and self._path not in disk.files:
            path = Path(self._path)
            disk.files[self._path] = Contents(path.read_bytes() if path.exists() else b"")

    def xWrite(self, data: bytes, offset: int) -> None:
        self._disk.operate("write", self._path)
        super().xWrite(data, offset)
        self._note(offset, self._written(len(data), offset))

    def xTruncate(self, newsize: int) -> None:
        self._disk.operate("truncate", self._path)
        super().xTruncate(newsize)
        self._note(newsize, None)

    def xSync(self, flags: int) -> None:
        try:
            self._disk.operate("sync", self._path)
        except apsw.Error:
            if self._disk.forgetful:
                self._disk.files[self._path].since.clear()
            raise
        super().xSync(flags)
        with self._disk.lock:
            self._disk.files[self._path].sync()
            if self._new:
                self._disk.deleted.clear()
                self._new = False

    def _written(self, size: int, offset: int) -> bytes:
        """What is there now: a page has got its checksum on the way."""
        with open(self._path, "rb") as file:
            file.seek(offset)
            return file.read(size)

    def _note(self, offset: int, data: bytes | None) -> None:
        with self._disk.lock:
            self._disk.files[self._path].since.append((offset, data))
