"""How far the journal reaches, noted beside the data file: a lost end is noticed at start.

SQLite takes a damaged log for one that ends there, which is right after a crash in the middle of a
write, and wrong for batches that were acknowledged. What is in the file cannot tell the two apart;
the mark can.

Shapes:     <partition>.mark: magic, version, the file's id, epoch, seq, time, CRC-32; big-endian.
            It is written in place and is smaller than a sector: it is there whole or not at all.
Invariants: a batch is on disk before a mark names it. So the mark may be behind (it is written when
            no batch waits, and not synced for each), and is never ahead.
Errors:     none for a mark that cannot be written: it only helps to notice a loss.
"""

from __future__ import annotations

import os
import struct
import zlib
from contextlib import suppress
from typing import Final

import msgspec

from wakeful.forks import keep_from_children

_FORM: Final = struct.Struct(">8sB16sQQQ")
_SUM: Final = struct.Struct(">I")
_MAGIC: Final = b"wakefulM"
_VERSION: Final = 1
SIZE_BYTES: Final = _FORM.size + _SUM.size


class Reached(msgspec.Struct, frozen=True):
    """What a mark says.

    Attributes:
        file: the id of the data file it is for.
        epoch: of the owner that wrote it.
        seq: the number of a batch that is durable.
        time_ns: when that was written.
    """

    file: str
    epoch: int
    seq: int
    time_ns: int

    def pack(self) -> bytes:
        """Its stored form."""
        id = bytes.fromhex(self.file)
        body = _FORM.pack(_MAGIC, _VERSION, id, self.epoch, self.seq, self.time_ns)
        return body + _SUM.pack(zlib.crc32(body))


class BadMark(Exception):
    """The mark is damaged."""


def path_of(file: str) -> str:
    """Where the mark of a data file is."""
    return f"{file.removesuffix('.db')}.mark"


def read(file: str) -> Reached | None:
    """What the mark of a data file says; None if there is none.

    Raises:
        BadMark: it is damaged, or cannot be read.
    """
    try:
        with open(path_of(file), "rb") as opened:
            data = opened.read(SIZE_BYTES + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise BadMark(f"{path_of(file)} cannot be read: {error.strerror}") from error
    if not data:
        return None  # made, and then the power went
    body, total = data[: _FORM.size], data[_FORM.size :]
    if len(data) != SIZE_BYTES or total != _SUM.pack(zlib.crc32(body)):
        raise BadMark(f"{path_of(file)} is damaged")
    magic, version, id, epoch, seq, time_ns = _FORM.unpack(body)
    if magic != _MAGIC or version != _VERSION:
        raise BadMark(f"{path_of(file)} is not what this wakeful writes")
    return Reached(id.hex(), epoch, seq, time_ns)


class Mark:
    """The mark of a data file, open for writing.

    Args:
        file: the data file.
        id: its id.
        epoch: of its owner.
    """

    def __init__(self, file: str, id: str, epoch: int) -> None:
        self._id = id
        self._epoch = epoch
        self._noted = -1
        self._fd: int | None = None
        with suppress(OSError):
            self._fd = os.open(path_of(file), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        keep_from_children(self, _descriptors)

    def note(self, seq: int, time_ns: int) -> None:
        """Say that a batch is durable."""
        if self._fd is not None and seq != self._noted:
            self._noted = seq
            with suppress(OSError):
                os.pwrite(self._fd, Reached(self._id, self._epoch, seq, time_ns).pack(), 0)

    def sync(self) -> None:
        """Wait until what was noted is on disk."""
        if self._fd is not None:
            with suppress(OSError):
                os.fsync(self._fd)

    def close(self) -> None:
        """Close it."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None


def _descriptors(mark: Mark) -> list[int]:
    """What a mark has open."""
    return [] if mark._fd is None else [mark._fd]
